package connection_test

import (
	"context"
	"fmt"
	"os"
	"slices"
	"testing"
	"time"

	"gatehouse/internal/audit"
	"gatehouse/internal/connection"
	"gatehouse/internal/sqldb"
	"gatehouse/internal/sqldb/dbtest"
)

// crowd puts so many tenants and connections into the database: of every verdict,
// some parked, with services, rules and ends of many kinds, and readers.
func crowd(t testing.TB, db *sqldb.DB, tenants, connections int) {
	t.Helper()
	blob := map[bool]string{true: `'\x00'`, false: "x'00'"}[db.Postgres()]
	date := "'2026-12-' || substr(CAST(100 + n % 28 + 1 AS text), 2) || ' 12:00:00+00:00'"
	numbers := func(n int) string {
		return fmt.Sprintf("WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < %d) ", n)
	}
	stamp := func(expression string) string {
		if db.Postgres() {
			return "CAST(" + expression + " AS timestamptz)"
		}
		return expression
	}
	statements := []string{
		`INSERT INTO tenants (id, directory_id, name, domain, cloud, realm, paused, search, created_at, version) ` + numbers(tenants) +
			`SELECT 't' || n, 'd' || n, 'Tenant ' || substr(CAST(100000 + n AS text), 2), '', 'none', 'unknown', FALSE, '', '2026-11-22 12:00:00+00:00', 1 FROM numbers`,
		`INSERT INTO readers (tenant_id, client_id, principal_id, certificate, private_key, thumbprint, not_after, state, reason) ` + numbers(tenants/3) +
			`SELECT 't' || n, '', '', '', ` + blob + `, '', ` + stamp(date) + `, 'works', '' FROM numbers`,
		// Every tenant but the last few; in the first half of them all is well.
		fmt.Sprintf(`INSERT INTO connections (id, tenant_id, name, description, kind, mfa, username, client_id, credential, secret, certificate, thumbprint, credential_not_after, credential_version,
			services, site, admin_url, environment, company, consumer, search, verdict, sentence, rule, warnings, validated_at, parked, parked_reason, created_at, version) `+numbers(connections)+`
			SELECT 'id' || substr(CAST(1000000 + n AS text), 2), 't' || (1 + n %% %[1]d), 'svc-' || n, '', 'app', FALSE, '', '', 'certificate', %[3]s, '', '', CASE WHEN n %% 5 = 0 THEN %[4]s END, 1,
			CASE n %% 4 WHEN 0 THEN '["graph"]' WHEN 1 THEN '["graph","sharepoint"]' WHEN 2 THEN '["business_central"]' ELSE '["exchange","sharepoint"]' END, '', '', '', '', '{}', '',
			CASE WHEN n %% %[1]d < %[2]d THEN 'works' ELSE CASE n %% 7 WHEN 0 THEN 'blocked' WHEN 1 THEN 'failed' WHEN 2 THEN 'unknown' WHEN 3 THEN '' WHEN 4 THEN 'works_with_warnings' ELSE 'works' END END,
			'It is so.', CASE WHEN n %% %[1]d >= %[2]d AND n %% 7 = 0 THEN '{"kind":"conditional_access","id":"p' || (n %% 3) || '","name":"CA' || (n %% 3) || '"}' ELSE '' END, '[]', %[4]s,
			n %% %[1]d >= %[2]d AND n %% 31 = 0, 'refused', '2026-11-22 12:00:00+00:00', 1 FROM numbers`, max(1, tenants-3), tenants/2, blob, stamp(date)),
	}
	err := db.Change(t.Context(), func(ctx context.Context, tx *sqldb.Tx) error {
		for _, s := range statements {
			if _, err := tx.ExecContext(ctx, s); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// What the overview sums up in SQL is what reading every connection gives, for all
// tenants and for some.
func TestOverview(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		crowd(t, h.db, 40, 700)
		for name, ctx := range map[string]context.Context{
			"all": h.boss(), "some": as(t.Context(), "Eve", audit.Viewer, "t3", "t24", "t25", "t39"), "none": as(t.Context(), "Eve", audit.Viewer),
		} {
			t.Run(name, func(t *testing.T) {
				got, err := h.connections.Overview(ctx, connection.OverviewRequest{Tenants: 8})
				if err != nil {
					t.Fatal(err)
				}
				all := h.all(ctx)
				h.compareCounts(t, got, all)
				h.compareRows(t, ctx, got, all)
			})
		}
		if _, err := h.connections.Overview(t.Context(), connection.OverviewRequest{}); err == nil {
			t.Error("nobody in particular sees an overview")
		}
	})
}

// all reads every connection that somebody may see.
func (h *house) all(ctx context.Context) []connection.Connection {
	h.t.Helper()
	var out []connection.Connection
	for after := ""; ; {
		page, next, err := h.connections.List(ctx, connection.Filter{}, connection.Page{After: after, Limit: 200})
		if err != nil {
			h.t.Fatal(err)
		}
		out = append(out, page...)
		if after = next; next == "" {
			return out
		}
	}
}

func stops(c connection.Connection) bool {
	return c.Parked || c.Verdict == "blocked" || c.Verdict == "failed"
}

func (h *house) compareCounts(t *testing.T, got connection.Overview, all []connection.Connection) {
	t.Helper()
	var want connection.Overview
	verdicts := map[string]int{}
	for _, c := range all {
		verdicts[c.Verdict]++
		want.Total++
		switch {
		case stops(c):
			want.Stopped++
		case c.Verdict == "works_with_warnings":
			want.Warned++
		case c.Verdict == "works":
			want.Works++
		case c.Verdict == "":
			want.Never++
		default:
			want.Unknown++
		}
	}
	if got.Total != want.Total || got.Stopped != want.Stopped || got.Warned != want.Warned || got.Works != want.Works || got.Never != want.Never || got.Unknown != want.Unknown {
		t.Errorf("got %d: %d %d %d %d %d, want %d: %d %d %d %d %d", got.Total, got.Stopped, got.Warned, got.Works, got.Never, got.Unknown, want.Total, want.Stopped, want.Warned, want.Works, want.Never, want.Unknown)
	}
	for _, v := range got.Verdicts {
		if v.Count != verdicts[v.Verdict] {
			t.Errorf("%d of verdict %q, want %d", v.Count, v.Verdict, verdicts[v.Verdict])
		}
		delete(verdicts, v.Verdict)
	}
	if len(verdicts) > 0 {
		t.Errorf("verdicts left out: %v", verdicts)
	}
}

func (h *house) compareRows(t *testing.T, ctx context.Context, got connection.Overview, all []connection.Connection) {
	t.Helper()
	tenants := h.tenants(ctx)
	worst := map[string]connection.Standing{}
	standing := func(c connection.Connection) connection.Standing {
		switch {
		case stops(c):
			return connection.Stopped
		case c.Verdict == "works_with_warnings":
			return connection.Warns
		case c.Verdict == "works":
			return connection.GetsIn
		case c.Verdict == "":
			return connection.NotTried
		}
		return connection.Unclear
	}
	for _, c := range all {
		worst[c.TenantID] = max(worst[c.TenantID], standing(c))
	}
	well := 0
	for _, id := range tenants {
		if worst[id] == connection.GetsIn {
			well++
		}
	}
	if got.WellCount != well || got.WrongCount != len(tenants)-well || len(got.Well) != min(8, well) || len(got.Wrong) != min(8, len(tenants)-well) {
		t.Fatalf("%d well (%d shown), %d wrong (%d shown); want %d of %d well", got.WellCount, len(got.Well), got.WrongCount, len(got.Wrong), well, len(tenants))
	}
	for i, row := range got.Wrong {
		if i > 0 && (row.Standing > got.Wrong[i-1].Standing || row.Standing == got.Wrong[i-1].Standing && row.Name < got.Wrong[i-1].Name) {
			t.Errorf("%s is out of order", row.Name)
		}
	}
	for _, row := range slices.Concat(got.Wrong, got.Well) {
		if row.Standing != worst[row.ID] || len(row.Cells) != 4 {
			t.Errorf("%+v, want %d", row, worst[row.ID])
		}
		for _, cell := range row.Cells {
			var count int
			var stands connection.Standing
			for _, c := range all {
				if c.TenantID == row.ID && slices.Contains(c.Services, cell.Service) {
					count, stands = count+1, max(stands, standing(c))
				}
			}
			if cell.Count != count || cell.Standing != stands {
				t.Errorf("%s, %s: %+v, want %d, %d", row.Name, cell.Service, cell, count, stands)
			}
			if i := slices.IndexFunc(all, func(c connection.Connection) bool { return c.ID == cell.ConnectionID }); count > 0 && (i < 0 || all[i].Verdict != cell.Verdict || all[i].Parked != cell.Parked || all[i].TenantID != row.ID) {
				t.Errorf("%s, %s: %+v is not one of those", row.Name, cell.Service, cell)
			}
		}
	}
}

// tenants are the ids that somebody may see.
func (h *house) tenants(ctx context.Context) []string {
	h.t.Helper()
	scope, err := audit.Tenants(ctx, audit.ConnectionView)
	if err != nil {
		h.t.Fatal(err)
	}
	var ids, out []string
	if err := h.db.Read().NewRaw("SELECT id FROM tenants").Scan(ctx, &ids); err != nil {
		h.t.Fatal(err)
	}
	for _, id := range ids {
		if scope.Has(id) {
			out = append(out, id)
		}
	}
	return out
}

// BenchmarkOverview is the whole sum of 50,000 connections of 5,000 tenants. Bar:
// 100 ms.
func BenchmarkOverview(b *testing.B) {
	for name, address := range map[string]func(testing.TB) string{"sqlite": dbtest.SQLite, "postgres": dbtest.Postgres} {
		if name == "postgres" && os.Getenv(dbtest.Variable) == "" {
			continue
		}
		h := open(b, dbtest.Open(b, address(b)))
		crowd(b, h.db, 5_000, 50_000)
		if _, err := h.db.SQL().ExecContext(b.Context(), map[bool]string{true: "VACUUM ANALYZE", false: "ANALYZE"}[h.db.Postgres()]); err != nil { // as the server does by itself
			b.Fatal(err)
		}
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				if _, err := h.connections.Overview(h.boss(), connection.OverviewRequest{Tenants: 100}); err != nil {
					b.Fatal(err)
				}
			}
			each := b.Elapsed() / time.Duration(b.N)
			b.ReportMetric(float64(each.Microseconds())/1000, "ms/overview")
			if each > 100*time.Millisecond {
				b.Errorf("an overview takes %s", each)
			}
		})
	}
}
