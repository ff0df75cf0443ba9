package incident_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"gatehouse/internal/audit"
	"gatehouse/internal/connection"
	"gatehouse/internal/diagnosis"
	"gatehouse/internal/incident"
	"gatehouse/internal/microsoft"
	"gatehouse/internal/sqldb"
	"gatehouse/internal/sqldb/dbtest"
	"gatehouse/internal/tenant"
)

// Failures with one cause are one incident, in one tenant and across; those with
// another are not; told once each. It ends with the last one, and the same failure
// soon after opens it again, of which nobody is told.
func TestOneIncidentACause(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		const app = "11111111-2222-3333-4444-555555555555"
		for _, id := range []string{"a", "b", "c"} {
			h.tenant(id)
		}
		defaults := func(string) outcome {
			return outcome{"blocked", &diagnosis.Rule{Kind: diagnosis.SecurityDefaults}, "mfa_required", "login"}
		}
		expired := outcome{verdict: "failed", category: "app_credential_expired", service: "login"}
		var hit []connection.Connection
		note := func(c connection.Connection, o outcome) {
			hit = append(hit, c)
			h.settle(c, o)
			h.settle(c, o) // the next sweep says nothing new
		}
		for _, id := range []string{"a", "b", "c"} {
			note(h.account(id, "by-policy-1"), policy(id, "MFA"))
			note(h.account(id, "by-policy-2"), policy(id, "mfa"))
			note(h.account(id, "by-defaults-1"), defaults(id))
			note(h.account(id, "by-defaults-2"), defaults(id))
			note(h.app(id, "expired", app), expired)
			note(h.account(id, "alone"), outcome{verdict: "failed", category: "license_missing", service: "sharepoint"})
		}
		h.settle(h.account("a", "fine"), works)
		all := h.list(h.boss(), incident.Filter{})
		got := map[string]int{}
		for _, i := range all {
			got[fmt.Sprintf("%s %d/%d", i.Kind, i.Connections, i.Tenants)]++
		}
		if len(all) != 8 || got["policy 6/3"] != 1 || got["rule 2/1"] != 3 || got["expiry 3/3"] != 1 || got["connection 1/1"] != 3 {
			t.Errorf("incidents: %s", words(all))
		}
		if told := h.news(incident.Open); len(told) != 8 {
			t.Errorf("%d openings told: %+v", len(told), told)
		}
		if len(h.spread) != 4 { // policy and app, in b and c
			t.Errorf("spread: %+v", h.spread)
		}
		var shared incident.Incident
		for _, i := range all {
			if i.Kind == incident.KindPolicy {
				shared = i
			}
		}
		if found := h.list(h.boss(), incident.Filter{Search: "by-policy-2", State: incident.Current}); len(found) != 1 || found[0].ID != shared.ID {
			t.Errorf("search: %s", words(found))
		}
		if found := h.list(h.boss(), incident.Filter{TenantID: "b"}); len(found) != 4 {
			t.Errorf("of a tenant: %s", words(found))
		}
		for _, c := range hit {
			h.settle(c, works)
		}
		if open := h.list(h.boss(), incident.Filter{State: incident.Current}); len(open) != 0 {
			t.Errorf("still open: %s", words(open))
		}
		h.settle(hit[0], policy("a", "MFA"))
		if i, err := h.incidents.Get(h.boss(), shared.ID); err != nil || i.State != incident.Open || i.Connections != 1 {
			t.Errorf("the same again: %+v %v", i, err)
		}
		h.tellEnds()
		if told := h.news(incident.Open); len(told) != 8 || len(h.news(incident.Ended)) != 0 {
			t.Errorf("told too early: %+v", h.told)
		}
		h.settle(hit[0], works)
		h.later(16 * time.Minute)
		h.tellEnds()
		h.tellEnds()
		if told := h.news(incident.Ended); len(told) != 8 {
			t.Errorf("%d ends told", len(told))
		}
		h.settle(hit[0], policy("a", "MFA"))
		if i, err := h.incidents.Get(h.boss(), shared.ID); err != nil || i.State != incident.Ended {
			t.Errorf("what was told to be over is another incident when it comes again: %+v %v", i, err)
		}
		if _, err := h.log.Verify(h.boss(), nil); err != nil {
			t.Error(err)
		}
	})
}

func (h *house) tellEnds() {
	h.t.Helper()
	if err := h.incidents.TellEnds(audit.AsSystem(h.t.Context(), "test")); err != nil {
		h.t.Fatal(err)
	}
}

// A policy of the same name that begins to stop another tenant long after is
// another cause; in its own tenant it is the same.
func TestLongAfter(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		for _, id := range []string{"a", "b"} {
			h.tenant(id)
		}
		h.settle(h.account("a", "first"), policy("a", "MFA"))
		h.later(25 * time.Hour)
		h.settle(h.account("b", "second"), policy("b", "MFA"))
		h.settle(h.account("a", "third"), policy("a", "MFA"))
		all := h.list(h.boss(), incident.Filter{})
		if len(all) != 2 || all[0].First.TenantID != "b" || all[0].Connections != 1 || all[1].Connections != 2 || all[1].Tenants != 1 {
			t.Errorf("incidents: %s", words(all))
		}
	})
}

// A connection that is stopped by something else moves; what could not be looked at
// stays where it was; what is removed, put aside or taken out of park leaves.
func TestMoves(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		h.tenant("a")
		c, other := h.account("a", "one"), h.account("a", "two")
		h.settle(c, policy("a", "MFA"))
		first := h.only()
		h.settle(c, outcome{verdict: "unknown", category: "service_transient", service: "login"})
		h.settle(c, outcome{verdict: "unknown"})
		if i := h.only(); i.ID != first.ID || i.State != incident.Open {
			t.Errorf("of what is not known now: %+v", i)
		}
		h.settle(c, policy("a", "Block"))
		if all := h.list(h.boss(), incident.Filter{}); len(all) != 2 || all[0].State != incident.Open || all[0].Subject != "Block" || all[1].State != incident.Ended {
			t.Errorf("stopped by something else: %s", words(all))
		}
		h.settle(other, policy("a", "Block"))
		if err := h.tenants.Pause(as(t.Context(), "Eve", audit.Engineer, "a"), "a", true); err != nil {
			t.Fatal(err)
		}
		h.settle(other, policy("a", "Block")) // it was under way
		if open := h.list(h.boss(), incident.Filter{State: incident.Current}); len(open) != 0 {
			t.Errorf("of a paused tenant: %s", words(open))
		}
		h.catchUp()
		if err := h.tenants.Pause(h.boss(), "a", false); err != nil {
			t.Fatal(err)
		}
		h.catchUp()
		if open := h.list(h.boss(), incident.Filter{State: incident.Current}); len(open) != 1 || open[0].Connections != 2 {
			t.Errorf("after it was resumed: %s", words(open))
		}
		if err := h.connections.Remove(h.boss(), c.ID); err != nil {
			t.Fatal(err)
		}
		i := h.list(h.boss(), incident.Filter{State: incident.Current})[0]
		members, _, err := h.incidents.Members(h.boss(), i.ID, tenant.Page{})
		if err != nil || len(members) != 2 || members[0].Name != "two" || members[0].Until != nil || !members[1].Gone || members[1].Ending != incident.Removed {
			t.Errorf("members %+v %v", members, err)
		}
		if err := h.tenants.Remove(h.boss(), "a", "Tenant a"); err != nil {
			t.Fatal(err)
		}
		if all := h.list(h.boss(), incident.Filter{}); len(all) != 0 {
			t.Errorf("of a tenant that was removed: %s", words(all))
		}
		if told := h.news(incident.Ended); len(told) != 2 { // one for each that there was
			t.Errorf("told: %+v", told)
		}
	})
}

func (h *house) catchUp() {
	h.t.Helper()
	if err := h.incidents.CatchUp(audit.AsSystem(h.t.Context(), "test")); err != nil {
		h.t.Fatal(err)
	}
}

// Trouble of a service is an incident only of several connections that meet it at
// about the same time.
func TestTroubleAddsUp(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		h.tenant("a")
		down := outcome{verdict: "unknown", category: "service_transient", service: "sharepoint"}
		var all []connection.Connection
		for i := range 5 {
			all = append(all, h.account("a", fmt.Sprint("account-", i)))
		}
		h.settle(all[0], down)
		h.settle(all[1], down)
		h.later(2 * time.Hour)
		h.settle(all[2], down)
		h.settle(all[3], down)
		if n := len(h.list(h.boss(), incident.Filter{})); n != 0 {
			t.Errorf("two faults now and two hours ago are %d incidents", n)
		}
		h.settle(all[4], down)
		i := h.only()
		if i.Connections != 3 || i.Headline() != "SharePoint is in trouble" || len(h.news(incident.Open)) != 1 {
			t.Errorf("incident %+v", i)
		}
		for _, c := range all {
			h.settle(c, works)
		}
		if h.only().State != incident.Ended {
			t.Error("it goes on")
		}
	})
}

// An operator sees of an incident what it does to their tenants, and nothing of one
// that does nothing to them; comments only where all that their author saw is
// theirs as well.
func TestScope(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		for _, id := range []string{"a", "b", "c"} {
			h.tenant(id)
			h.settle(h.account(id, "svc-of-"+id), policy(id, "MFA"))
			h.settle(h.account(id, "more-of-"+id), policy(id, "MFA"))
		}
		i := h.only()
		ofA, ofBoth, elsewhere, nowhere := as(t.Context(), "Eve", audit.Technician, "a"), as(t.Context(), "Bob", audit.Technician, "a", "b"), as(t.Context(), "Mal", audit.Administrator, "d"), as(t.Context(), "Nil", audit.Viewer, "x")
		for _, see := range []struct {
			ctx                  context.Context
			connections, tenants int
		}{{h.boss(), 6, 3}, {ofA, 2, 1}, {ofBoth, 4, 2}} {
			got, err := h.incidents.Get(see.ctx, i.ID)
			members, _, mErr := h.incidents.Members(see.ctx, i.ID, tenant.Page{})
			sum, sErr := h.incidents.Summary(see.ctx, "", 5)
			if err := errors.Join(err, mErr, sErr); err != nil || got.Connections != see.connections || got.Tenants != see.tenants || len(members) != see.connections || sum.Count != 1 || len(sum.Some) != 1 || sum.Some[0].Connections != see.connections {
				t.Errorf("%+v sees %+v, %d members, %+v %v", see, got, len(members), sum, err)
			}
			if all := h.list(see.ctx, incident.Filter{}); len(all) != 1 || all[0].Connections != see.connections {
				t.Errorf("%+v lists %s", see, words(all))
			}
		}
		if found := h.list(ofA, incident.Filter{Search: "svc-of-b"}); len(found) != 0 {
			t.Error("a search finds what is in others' tenants")
		}
		if found := h.list(ofA, incident.Filter{TenantID: "b"}); len(found) != 0 {
			t.Error("a filter finds what is in others' tenants")
		}
		for _, ctx := range []context.Context{elsewhere, nowhere} {
			var refused *audit.Refused
			if _, err := h.incidents.Get(ctx, i.ID); !errors.As(err, &refused) || !refused.Hidden {
				t.Errorf("somebody of elsewhere: %v", err)
			}
			if _, err := h.incidents.Acknowledge(ctx, i.ID); !errors.As(err, &refused) || !refused.Hidden {
				t.Errorf("somebody of elsewhere acknowledges: %v", err)
			}
			if sum, err := h.incidents.Summary(ctx, "", 5); err != nil || sum.Count != 0 || len(h.list(ctx, incident.Filter{})) != 0 {
				t.Errorf("somebody of elsewhere sees %+v %v", sum, err)
			}
		}
		var refused *audit.Refused
		if _, err := h.incidents.Comment(as(t.Context(), "Vi", audit.Viewer, "a"), i.ID, "hello"); !errors.As(err, &refused) || refused.Hidden {
			t.Errorf("a viewer comments: %v", err)
		}
		for _, say := range []struct {
			ctx  context.Context
			text string
		}{{ofA, "of a"}, {ofBoth, "of a and b"}, {h.boss(), "of all"}} {
			if _, err := h.incidents.Comment(say.ctx, i.ID, say.text); err != nil {
				t.Fatal(err)
			}
		}
		for _, read := range []struct {
			ctx  context.Context
			want string
		}{{ofA, "of a"}, {ofBoth, "of a|of a and b"}, {h.boss(), "of a|of a and b|of all"}} {
			comments, err := h.incidents.Comments(read.ctx, i.ID)
			var texts []string
			for _, c := range comments {
				texts = append(texts, c.Text)
			}
			if got := strings.Join(texts, "|"); err != nil || got != read.want {
				t.Errorf("comments %q, want %q (%v)", got, read.want, err)
			}
		}
		// For who has only a, it is over when a works.
		found, _, err := h.connections.List(ofA, connection.Filter{}, connection.Page{})
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range found {
			h.settle(c, works)
		}
		if got, err := h.incidents.Get(ofA, i.ID); err != nil || got.State != incident.Ended || got.EndedAt == nil || len(h.list(ofA, incident.Filter{State: incident.Current})) != 0 || len(h.list(ofA, incident.Filter{State: incident.Ended})) != 1 {
			t.Errorf("over in a: %+v %v", got, err)
		}
		if got, err := h.incidents.Acknowledge(ofBoth, i.ID); err != nil || got.State != incident.Acknowledged || got.AcknowledgedBy != "Bob" || got.Connections != 2 {
			t.Errorf("acknowledged: %+v %v", got, err)
		}
		if again, err := h.incidents.Acknowledge(h.boss(), i.ID); err != nil || again.AcknowledgedBy != "Bob" {
			t.Errorf("acknowledged again: %+v %v", again, err)
		}
	})
}

// Two replicas that settle failures of one cause at the same time make one incident
// of them, and end it once.
func TestAtTheSameTime(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		const tenants = 24
		other := h
		if h.db.Postgres() {
			var err error
			if other, err = build(t.Context(), dbtest.Open(t, h.db.Address()), microsoft.Cloud{Name: "none"}, h.keyFile); err != nil {
				t.Fatal(err)
			}
		}
		var connections []connection.Connection
		for n := range tenants {
			h.tenant(fmt.Sprint("t", n))
			connections = append(connections, h.account(fmt.Sprint("t", n), "svc"))
		}
		all := func(o func(c connection.Connection) outcome) {
			var settling sync.WaitGroup
			for n, c := range connections {
				on := []*house{h, other}[n%2]
				settling.Go(func() {
					err := on.db.Change(audit.AsSystem(t.Context(), "test"), func(ctx context.Context, tx *sqldb.Tx) error {
						return on.connections.Settle(ctx, tx, c.ID, o(c).settled(time.Now()))
					})
					if err != nil {
						t.Error(err)
					}
				})
			}
			settling.Wait()
		}
		for round := range 4 {
			all(func(c connection.Connection) outcome { return policy(c.TenantID, "MFA") })
			if i := h.only(); i.Connections != tenants || i.Tenants != tenants || i.State != incident.Open {
				t.Fatalf("round %d: %+v", round, i)
			}
			all(func(connection.Connection) outcome { return works })
			if i := h.only(); i.State != incident.Ended {
				t.Fatalf("round %d: %+v", round, i)
			}
		}
		told := len(h.news(incident.Open))
		if other != h {
			told += len(other.news(incident.Open))
		}
		if told != 1 {
			t.Errorf("its opening was told %d times", told)
		}
	})
}

// settlerProcess settles failures of the tenants whose numbers have a remainder.
func settlerProcess() {
	fail := func(err error) {
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
	ctx := audit.AsSystem(context.Background(), "test")
	db, err := sqldb.Open(ctx, os.Getenv("SETTLER_DATABASE"))
	fail(err)
	h, err := build(ctx, db, microsoft.Cloud{Name: "none"}, os.Getenv("SETTLER_KEY"))
	fail(err)
	fmt.Println("ready")
	if _, err := fmt.Scanln(); err != nil && err.Error() != "unexpected newline" {
		fail(err)
	}
	all, _, err := h.connections.List(ctx, connection.Filter{}, connection.Page{Limit: 200})
	fail(err)
	for _, c := range all {
		if strings.HasPrefix(c.Name, os.Getenv("SETTLER_OF")) {
			fail(db.Change(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
				return h.connections.Settle(ctx, tx, c.ID, policy(c.TenantID, "MFA").settled(time.Now()))
			}))
		}
	}
	fmt.Println("done")
	fail(db.Close())
}

// The same with processes of their own on one database.
func TestTwoProcesses(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		for n := range 20 {
			h.tenant(fmt.Sprint("t", n))
			h.account(fmt.Sprint("t", n), fmt.Sprint([]string{"left", "right"}[n%2], n))
		}
		var processes []*dbtest.Process
		for _, of := range []string{"left", "right"} {
			p := dbtest.Start(t, "settler", "SETTLER_DATABASE="+h.db.Address(), "SETTLER_KEY="+h.keyFile, "SETTLER_OF="+of)
			p.Await(t, "ready")
			processes = append(processes, p)
		}
		for _, p := range processes {
			if _, err := fmt.Fprintln(p.Stdin); err != nil {
				t.Fatal(err)
			}
		}
		for _, p := range processes {
			p.Await(t, "done")
		}
		if i := h.only(); i.Connections != 20 || i.Tenants != 20 {
			t.Errorf("incident %+v", i)
		}
	})
}
