package validation_test

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"gatehouse/internal/connection"
	"gatehouse/internal/schedule"
	"gatehouse/internal/sqldb"
	"gatehouse/internal/tenant"
	"gatehouse/internal/validation"
	"gatehouse/lab"
)

// clock is a time that a test moves.
type clock struct{ at atomic.Int64 }

func newClock() *clock {
	c := &clock{}
	c.at.Store(time.Now().UnixMicro())
	return c
}

// restart lets the clock begin anew, for another database.
func (c *clock) restart() { c.at.Store(time.Now().UnixMicro()) }

func (c *clock) now() time.Time          { return time.UnixMicro(c.at.Load()) }
func (c *clock) forward(d time.Duration) { c.at.Add(d.Microseconds()) }

// elsewhere makes connections whose credential only the consumer has, so that their
// validation signs nobody in.
func (h *house) elsewhere(tenantID string, from, to int) (ids []string) {
	h.t.Helper()
	for i := from; i < to; i++ {
		c, err := h.connections.Create(h.boss(), connection.CreateRequest{TenantID: tenantID, Kind: connection.ServiceAccount, Credential: connection.CredentialRequest{Kind: connection.Password}, Profile: connection.Profile{
			Name: fmt.Sprintf("Held %03d", i), Username: fmt.Sprintf("svc-%03d@openharbour.example", i), Consumer: connection.Consumer{Name: "Backup", HoldsCredential: connection.HeldByConsumer}}})
		if err != nil {
			h.t.Fatal(err)
		}
		ids = append(ids, c.ID)
	}
	return ids
}

// scheduled lets two replicas keep to the schedules at the same moment, waits for
// what they began, and gives how often each connection was validated by itself.
func (h *house) scheduled() map[string]int {
	h.t.Helper()
	var both sync.WaitGroup
	for range 2 {
		both.Go(func() {
			if err := h.runs.Scheduled(h.t.Context()); err != nil {
				h.t.Error(err)
			}
		})
	}
	both.Wait()
	var rows []struct {
		ConnectionID string
		Count        int
	}
	h.eventually("scheduled validations have not ended", func() bool {
		n, err := h.db.Read().NewSelect().TableExpr("validations").Where("state IN ('queued', 'running')").Count(h.t.Context())
		return err == nil && n == 0
	})
	if err := h.db.Read().NewSelect().TableExpr("validations").ColumnExpr("connection_id, count(*) AS count").Where("requested_by = ?", validation.ScheduledBy).GroupExpr("connection_id").Scan(h.t.Context(), &rows); err != nil {
		h.t.Fatal(err)
	}
	out := map[string]int{}
	for _, r := range rows {
		out[r.ConnectionID] = r.Count
	}
	return out
}

// Each connection is validated once a day by itself, whichever replica comes first;
// not while it is parked, its tenant paused, or its schedule off.
func TestScheduled(t *testing.T) {
	t.Parallel()
	c := newClock()
	eachWith(t, parts{now: c.now}, func(t *testing.T, h *house, l *lab.Lab) {
		c.restart()
		at, away := h.add(l, "openharbour"), h.add(l, "azurequay")
		ids := h.elsewhere(at.ID, 0, 4)
		paused := h.elsewhere(away.ID, 4, 5)[0]
		if err := h.tenants.Pause(h.boss(), away.ID, true); err != nil {
			t.Fatal(err)
		}
		parked, off := ids[2], ids[3]
		if err := h.db.Change(t.Context(), func(ctx context.Context, tx *sqldb.Tx) error {
			return h.connections.Park(h.boss(), tx, parked, 1, "refused")
		}); err != nil {
			t.Fatal(err)
		}
		if _, err := h.connections.SetSchedule(h.boss(), off, "off"); err != nil {
			t.Fatal(err)
		}
		if ran := h.scheduled(); len(ran) != 0 {
			t.Fatalf("at once: %v", ran)
		}
		first, err := h.connections.Get(h.boss(), ids[0])
		if err != nil || first.NextAt == nil || first.InForce != "every 24h" || first.NextAt.Sub(c.now()) > 24*time.Hour {
			t.Fatalf("%+v %v", first, err)
		}
		for day := range 2 {
			c.forward(24 * time.Hour)
			ran := h.scheduled()
			for id, want := range map[string]int{ids[0]: day + 1, ids[1]: day + 1, parked: 0, off: 0, paused: 0} {
				if ran[id] != want {
					t.Errorf("after %d days %s was validated %d times, not %d", day+1, id, ran[id], want)
				}
			}
			if again := h.scheduled(); fmt.Sprint(again) != fmt.Sprint(ran) {
				t.Errorf("in the same minute: %v, before %v", again, ran)
			}
		}
		// The tenant's schedule counts for those without one of their own.
		if err := h.connections.SetFallback(h.boss(), at.ID, "off"); err != nil {
			t.Fatal(err)
		}
		if _, err := h.connections.SetSchedule(h.boss(), ids[1], "every 1h"); err != nil {
			t.Fatal(err)
		}
		c.forward(time.Hour)
		if ran := h.scheduled(); ran[ids[0]] != 2 || ran[ids[1]] != 3 {
			t.Errorf("with the tenant's schedule off: %v", ran)
		}
	})
}

// After a downtime what was missed is made up for once, some in each minute.
func TestCatchUp(t *testing.T) {
	t.Parallel()
	c := newClock()
	eachWith(t, parts{now: c.now}, func(t *testing.T, h *house, l *lab.Lab) {
		c.restart()
		const many, most = 50, 20
		ids := h.elsewhere(h.add(l, "openharbour").ID, 0, many)
		h.scheduled()
		c.forward(72 * time.Hour)
		for minute, before := 0, 0; before < many; minute++ {
			ran := h.scheduled()
			if begun := len(ran) - before; begun == 0 || begun > 2*most { // of two replicas
				t.Fatalf("minute %d began %d", minute, begun)
			}
			before = len(ran)
			c.forward(time.Second)
		}
		for _, id := range ids {
			if ran := h.scheduled(); ran[id] != 1 {
				t.Errorf("%s was made up for %d times", id, ran[id])
			}
		}
	})
}

// The rules of a tenant are read by themselves, once a day.
func TestRefreshes(t *testing.T) {
	t.Parallel()
	c := newClock()
	eachWith(t, parts{now: c.now, unpaced: true}, func(t *testing.T, h *house, l *lab.Lab) {
		c.restart()
		at := h.add(l, "openharbour")
		h.onboard(l, "openharbour", at.ID)
		taken := func() (at time.Time) {
			h.eventually("no snapshot was taken", func() bool {
				// In this order: a job that ends in between has stored its snapshot.
				n, countErr := h.db.Read().NewSelect().TableExpr("river_job").Where("kind = 'tenant_refresh' AND finalized_at IS NULL").Count(t.Context())
				got, err := h.tenants.Get(h.boss(), h.only())
				if err == nil && got.SnapshotAt != nil {
					at = *got.SnapshotAt
				}
				return err == nil && countErr == nil && n == 0 && !at.IsZero()
			})
			return at
		}
		keep := func(s schedule.Schedule) {
			t.Helper()
			for range 2 { // two replicas
				if err := h.tenants.Refreshes(t.Context(), func(string) schedule.Schedule { return s }); err != nil {
					t.Fatal(err)
				}
			}
		}
		first := taken()
		keep(schedule.Default)
		if again := taken(); !again.Equal(first) {
			t.Error("a snapshot was taken at once")
		}
		c.forward(24 * time.Hour)
		keep(schedule.Default)
		second := taken()
		if second.Sub(first) < 23*time.Hour {
			t.Errorf("the next snapshot is %s younger", second.Sub(first))
		}
		off, err := schedule.Parse("", "off")
		if err != nil {
			t.Fatal(err)
		}
		c.forward(48 * time.Hour)
		keep(off)
		if third := taken(); !third.Equal(second) {
			t.Error("a snapshot was taken although the schedule is off")
		}
	})
}

// only is the id of the one tenant.
func (h *house) only() string {
	all, _, err := h.tenants.List(h.boss(), tenant.Filter{}, tenant.Page{})
	if err != nil || len(all) != 1 {
		h.t.Fatalf("%d tenants: %v", len(all), err)
	}
	return all[0].ID
}
