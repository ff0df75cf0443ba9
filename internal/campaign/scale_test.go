package campaign_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"

	"gatehouse/internal/campaign"
	"gatehouse/internal/live"
	"gatehouse/internal/sqldb"
	"gatehouse/internal/sqldb/dbtest"
)

const manyTenants, manyPeople, manyConnected = 400, 50, 2

// Of 400 tenants with 50 people each, some with connections here and the others of an
// app that keeps its own tokens, the campaign goes to its end with the right numbers at
// each step.
func TestFourHundredTenants(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		h.fill(manyTenants, manyConnected)
		c := h.begin(func(in *campaign.Request) { in.Remind = false })
		h.want(c.ID, "running: 800 people, 800 pending, 0 reminded, 0 done, 0 failed, 800 old; 400 tenants, 0 done, 0 without consent")
		rows, faults := campaign.ReadPeople([]byte(manyRows()))
		if got, err := h.Add(h.boss(), c.ID, rows, faults); err != nil || got.People != manyTenants*(manyPeople-manyConnected) || got.Faults.Count > 0 {
			t.Fatalf("%+v %v", got, err)
		}
		h.told()
		// Half of the tenants, then all but one person, then the last one.
		h.signAll(0, manyTenants/2)
		h.reportAll(c.ID, 0, manyTenants/2)
		h.want(c.ID, "running: 20000 people, 10000 pending, 0 reminded, 10000 done, 0 failed, 400 old; 400 tenants, 200 done, 0 without consent")
		if told := h.told(); told != "half" {
			t.Errorf("told %q", told)
		}
		h.signAll(manyTenants/2, manyTenants)
		h.reportAll(c.ID, manyTenants/2, manyTenants-1)
		h.want(c.ID, "running: 20000 people, 48 pending, 0 reminded, 19952 done, 0 failed, 0 old; 400 tenants, 399 done, 0 without consent")
		if told := h.told(); told != "ninety" {
			t.Errorf("told %q", told)
		}
		ts, next, err := h.Tenants(h.boss(), c.ID, campaign.TenantFilter{}, campaign.Page{Limit: 200})
		if err != nil || ts[0].ID != tenantID(manyTenants-1) || next == "" {
			t.Errorf("%v", err)
		}
		h.reportAll(c.ID, manyTenants-1, manyTenants)
		h.want(c.ID, "done: 20000 people, 0 pending, 0 reminded, 20000 done, 0 failed, 0 old; 400 tenants, 400 done, 0 without consent")
		if told := h.told(); told != "done" {
			t.Errorf("told %q", told)
		}
		var out strings.Builder
		if err := h.Export(h.boss(), c.ID, campaign.PersonFilter{}, "csv", &out); err != nil || strings.Count(out.String(), "\n") != 20001 {
			t.Errorf("%d lines, %v", strings.Count(out.String(), "\n"), err)
		}
	})
}

// manyRows is a file with people of an app that keeps its own tokens.
func manyRows() string {
	var b strings.Builder
	b.WriteString("tenant,username\n")
	for n := range manyTenants {
		for m := range manyPeople - manyConnected {
			fmt.Fprintf(&b, "%s.example,own%02d@%s.example\n", tenantID(n), m, tenantID(n))
		}
	}
	return b.String()
}

// signAll lets the connections of some tenants sign in to the new app, those of a
// tenant in one change.
func (h *house) signAll(from, to int) {
	h.t.Helper()
	for n := from; n < to; n++ {
		h.change(func(ctx context.Context, tx *sqldb.Tx) error {
			if _, err := tx.NewRaw("UPDATE connections SET client_id = ? WHERE tenant_id = ?", newApp, tenantID(n)).Exec(ctx); err != nil {
				return err
			}
			for m := range manyConnected {
				if err := h.SignedIn(ctx, tx, connection(n, m), "", "", nil); err != nil {
					return err
				}
			}
			return nil
		})
	}
}

func (h *house) reportAll(id string, from, to int) {
	h.t.Helper()
	var all []campaign.SignIn
	send := func() {
		got, err := h.Report(h.boss(), id, all)
		if err != nil || got.Done != len(all) {
			h.t.Fatalf("%+v %v", got, err)
		}
		all = nil
	}
	for n := from; n < to; n++ {
		for m := range manyPeople - manyConnected {
			all = append(all, campaign.SignIn{Tenant: tenantID(n), Person: fmt.Sprintf("own%02d@%s.example", m, tenantID(n)), ClientID: newApp, At: h.now()})
		}
		if len(all)+manyPeople > campaign.MaxReports {
			send()
		}
	}
	if len(all) > 0 {
		send()
	}
}

// Two replicas that hear of the same sign-ins at once count each once, and the
// campaign ends once.
func TestTwoReplicas(t *testing.T) {
	dbtest.EachAddress(t, func(t *testing.T, address string) {
		db := dbtest.Open(t, address)
		one := open(t, db)
		other := open(t, dbtest.Open(t, address))
		one.fill(4, 5)
		c := one.begin(func(in *campaign.Request) { in.Remind = false })
		var all sync.WaitGroup
		errs := make(chan error, 80)
		for _, h := range []*house{one, other} {
			for n := range 4 {
				all.Go(func() {
					for m := range 5 {
						if err := h.trySignIn(n, m, newApp, nil); err != nil {
							errs <- err
						}
					}
				})
			}
		}
		all.Wait()
		close(errs)
		for err := range errs {
			t.Error(err)
		}
		one.watch()
		other.watch()
		one.want(c.ID, "done: 20 people, 0 pending, 0 reminded, 20 done, 0 failed, 0 old; 4 tenants, 4 done, 0 without consent")
		if told := one.told() + " " + other.told(); strings.Count(told, "done") != 1 || strings.Count(told, "half") != 1 || strings.Count(told, "ninety") > 1 {
			t.Errorf("told %q", told)
		}
	})
}

// The pages of a campaign of 400 tenants with 50 people each.
func BenchmarkPages(b *testing.B) {
	h := open(b, dbtest.Open(b, dbtest.SQLite(b)))
	h.fill(manyTenants, manyPeople)
	c := h.begin(func(in *campaign.Request) { in.Remind = false })
	page := func(name string, do func() error) {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				if err := do(); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Microseconds())/1000/float64(b.N), "ms/page")
		})
	}
	people := func(f campaign.PersonFilter) func() error {
		return func() error {
			_, _, err := h.People(h.boss(), c.ID, f, campaign.Page{})
			return err
		}
	}
	page("list", func() error { return second3(h.List(h.boss(), "", campaign.Page{})) })
	page("tenants", func() error { return second3(h.Tenants(h.boss(), c.ID, campaign.TenantFilter{}, campaign.Page{})) })
	page("people", people(campaign.PersonFilter{}))
	page("people-of-state", people(campaign.PersonFilter{State: campaign.Pending}))
	page("people-search-hit", people(campaign.PersonFilter{Search: "person49@tenant-399"}))
	page("people-search-miss", people(campaign.PersonFilter{Search: "nobody at all"}))
	page("people-on-old", people(campaign.PersonFilter{OnOld: true}))
	page("signed-in", func() error { return h.trySignIn(7, 7, newApp, nil) })
	page("watch", func() error { return h.Watch(h.system()) })
}

// Adding 19,200 people by a file.
func BenchmarkAdd(b *testing.B) {
	file := []byte(manyRows())
	for b.Loop() {
		b.StopTimer()
		h := open(b, dbtest.Open(b, dbtest.SQLite(b)))
		h.fill(manyTenants, 0)
		c, err := h.Create(h.boss(), campaign.Request{Name: "Own", RegistrationID: jet, Reason: campaign.ByHand, Settings: campaign.Defaults()})
		if err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
		rows, faults := campaign.ReadPeople(file)
		if got, err := h.Add(h.boss(), c.ID, rows, faults); err != nil || got.People != manyTenants*(manyPeople-manyConnected) {
			b.Fatalf("%+v %v", got, err)
		}
	}
	b.ReportMetric(b.Elapsed().Seconds()/float64(b.N), "s/19200")
}

// A change of a whole campaign reaches each page that shows one of its tenants, however
// many they are, by an event or two, and no other page.
func TestNewsOfFourHundredTenants(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		h.fill(manyTenants+1, 0)
		hub, stop := context.WithCancel(t.Context())
		var done sync.WaitGroup
		done.Go(func() { h.Live.Run(hub) })
		t.Cleanup(func() { stop(); done.Wait() })
		<-h.Live.Listening()
		c, err := h.Create(h.boss(), campaign.Request{Name: "Own", RegistrationID: jet, Reason: campaign.ByHand, Settings: campaign.Settings{}})
		if err != nil {
			t.Fatal(err)
		}
		watch := func(f live.Filter) <-chan live.Event {
			t.Helper()
			events, err := h.Live.Subscribe(t.Context(), f, "")
			if err != nil {
				t.Fatal(err)
			}
			return events
		}
		topics := []string{campaign.Topic(c.ID), "marked"}
		watchers := map[string]<-chan live.Event{"of all": watch(live.Filter{AllTenants: true, Topics: topics}), "elsewhere": watch(live.Filter{Tenants: []string{tenantID(manyTenants)}})}
		for _, n := range []int{0, 100, manyTenants - 1} {
			watchers[tenantID(n)] = watch(live.Filter{Tenants: []string{tenantID(n)}, Topics: topics})
		}
		heard := func(what string) {
			t.Helper()
			marked := []string{tenantID(0), tenantID(100), tenantID(manyTenants - 1), tenantID(manyTenants)}
			h.change(func(ctx context.Context, tx *sqldb.Tx) error {
				return h.Live.PublishAmong(ctx, tx, "marked", marked, what)
			})
			for who, events := range watchers {
				n := 0
				for e := range events {
					if e.Reload {
						t.Fatalf("%s: the watcher %s was given up", what, who)
					}
					if e.Topic == "marked" {
						break
					}
					n++
				}
				if some := n > 0; some != (who != "elsewhere") || n > 2 {
					t.Errorf("%s: the watcher %s heard of it %d times", what, who, n)
				}
			}
		}
		rows, faults := campaign.ReadPeople([]byte(manyRows()))
		if got, err := h.Add(h.boss(), c.ID, rows, faults); err != nil || got.People == 0 {
			t.Fatalf("%+v %v", got, err)
		}
		heard("people were added")
		if _, err := h.Start(h.boss(), c.ID); err != nil {
			t.Fatal(err)
		}
		heard("the start")
		var all []campaign.SignIn
		for n := range manyTenants {
			all = append(all, campaign.SignIn{Tenant: tenantID(n), Person: fmt.Sprintf("own00@%s.example", tenantID(n)), ClientID: newApp, At: h.now()})
		}
		if got, err := h.Report(h.boss(), c.ID, all); err != nil || got.Done != manyTenants {
			t.Fatalf("%+v %v", got, err)
		}
		heard("one report of sign-ins in all tenants")
		if _, err := h.End(h.boss(), c.ID, "Own"); err != nil {
			t.Fatal(err)
		}
		heard("the end")
	})
}
