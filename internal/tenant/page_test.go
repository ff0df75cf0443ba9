package tenant_test

import (
	"errors"
	"slices"
	"testing"

	"github.com/uptrace/bun"

	"gatehouse/internal/tenant"
	"gatehouse/lab"
)

// Newest gives each row once, the newest first, and says where the next page
// begins; a cursor of another list is refused.
func TestNewest(t *testing.T) {
	each(t, func(t *testing.T, h *house, l *lab.Lab) {
		var want []string
		for _, name := range []string{"openharbour", "federaford", "callercove", "azurequay", "policypier"} {
			want = append([]string{h.add(l, name).ID}, want...)
		}
		type row struct {
			bun.BaseModel `bun:"table:tenants,alias:t"`

			ID string
		}
		var got []string
		p := tenant.Page{Limit: 2}
		for pages := 1; ; pages++ {
			var rows []row
			next, err := tenant.Newest(t.Context(), h.db.Read().NewSelect().Model(&rows), p, "tenants", "t.id", &rows, func(r row) string { return r.ID })
			if err != nil {
				t.Fatal(err)
			}
			if pages < 3 && len(rows) != 2 || (next == "") != (pages == 3) {
				t.Fatalf("page %d: %d rows, next %q", pages, len(rows), next)
			}
			for _, r := range rows {
				got = append(got, r.ID)
			}
			if next == "" {
				break
			}
			p.After = next
		}
		if !slices.Equal(got, want) {
			t.Errorf("%v, want %v", got, want)
		}
		var rows []row
		p.After = tenant.Cursor("two", "columns")
		var faults tenant.Faults
		if _, err := tenant.Newest(t.Context(), h.db.Read().NewSelect().Model(&rows), p, "tenants", "t.id", &rows, func(r row) string { return r.ID }); !errors.As(err, &faults) || faults[0].Field != "after" {
			t.Errorf("a cursor of another list: %v", err)
		}
	})
}
