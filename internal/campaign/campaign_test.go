package campaign_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"gatehouse/internal/audit"
	"gatehouse/internal/campaign"
	"gatehouse/internal/sqldb"
)

// User story 12: the app id changes, and everybody consents and signs in again, up to
// the last one; who has not keeps working with the old app.
func TestStory12EverybodyAgain(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		h.fill(2, 3)
		h.change(func(ctx context.Context, tx *sqldb.Tx) error {
			// The new app's first credential, which has to be there before: it replaces none.
			if err := h.Changed(ctx, tx, campaign.Change{RegistrationID: jet, What: "credential", New: "its first"}); err != nil {
				return err
			}
			return h.Changed(ctx, tx, campaign.Change{RegistrationID: jet, What: "client_id", Old: oldApp, New: newApp})
		})
		if told := h.told(); told != "proposed" {
			t.Errorf("told %q", told)
		}
		all, _, err := h.List(h.boss(), "", campaign.Page{})
		if err != nil || len(all) != 1 {
			t.Fatalf("%d campaigns, %v", len(all), err)
		}
		id := all[0].ID
		h.watch()
		h.want(id, "draft: 6 people, 6 pending, 0 reminded, 0 done, 0 failed, 6 old; 2 tenants, 0 done, 0 without consent")
		if c := h.get(id); c.RegistrationName != "Jet Reports" || c.ClientID != newApp || c.Old != oldApp {
			t.Errorf("%+v", c)
		}
		if got := h.letters(); len(got) > 0 {
			t.Errorf("a draft wrote %d letters", len(got))
		}
		h.consent[tenantID(0)], h.consent[tenantID(1)] = "granted", "missing"
		h.pass(time.Hour)
		if _, err := h.Start(h.boss(), id); err != nil {
			t.Fatal(err)
		}
		h.watch()
		// Who could not sign in for want of consent is not written to.
		h.want(id, "running: 6 people, 3 pending, 3 reminded, 0 done, 0 failed, 6 old; 2 tenants, 0 done, 1 without consent")
		if got := h.letters(); len(got) != 3 || got[0].to != "person00@tenant-000.example" || !strings.Contains(got[0].link.Reveal(), "connection-000-00") || strings.Contains(got[0].text+got[0].subject, "http") {
			t.Errorf("%+v", got)
		}
		link, err := h.ConsentLink(h.boss(), id, tenantID(1))
		if err != nil || !strings.Contains(link.URL.Reveal(), tenantID(1)) {
			t.Fatal(err)
		}
		ts, _, err := h.Tenants(h.boss(), id, campaign.TenantFilter{}, campaign.Page{})
		if err != nil || len(ts) != 2 || ts[0].ID != tenantID(1) || ts[0].Consent != campaign.ConsentAsked || ts[0].AskedAt == nil || ts[1].Consent != campaign.ConsentGranted {
			t.Fatalf("%+v %v", ts, err)
		}
		h.change(func(ctx context.Context, tx *sqldb.Tx) error { return h.Granted(ctx, tx, tenantID(1), jet) })
		ts, _, _ = h.Tenants(h.boss(), id, campaign.TenantFilter{TenantID: tenantID(1)}, campaign.Page{})
		if len(ts) != 1 || ts[0].Consent != campaign.ConsentNotRead {
			t.Errorf("%+v", ts)
		}
		h.consent[tenantID(1)] = "granted"
		h.watch()
		h.want(id, "running: 6 people, 0 pending, 6 reminded, 0 done, 0 failed, 6 old; 2 tenants, 0 done, 0 without consent")
		if got := h.letters(); len(got) != 3 {
			t.Errorf("%d letters", len(got))
		}
		// A sign-in to the old app is not what is asked for, and a failed one is shown.
		h.signIn(0, 0, oldApp, nil)
		h.signIn(0, 1, newApp, errors.New("AADSTS50076: Due to a configuration change made by your administrator, you must use multi-factor authentication"))
		h.want(id, "running: 6 people, 0 pending, 5 reminded, 0 done, 1 failed, 6 old; 2 tenants, 0 done, 0 without consent")
		p, err := h.Person(h.boss(), id, connection(0, 1))
		if err != nil || p.State != campaign.Failed || !strings.Contains(p.Reason, "AADSTS50076") || !p.ChangedAt.Equal(h.now()) {
			t.Errorf("%+v %v", p, err)
		}
		h.signIn(0, 0, newApp, nil)
		h.signIn(0, 1, newApp, nil)
		h.signIn(0, 1, newApp, nil) // once more
		h.signIn(0, 1, newApp, errors.New("later"))
		h.want(id, "running: 6 people, 0 pending, 4 reminded, 2 done, 0 failed, 4 old; 2 tenants, 0 done, 0 without consent")
		h.told()
		h.signIn(0, 2, newApp, nil)
		if told := h.told(); told != "half" {
			t.Errorf("told %q", told)
		}
		// Somebody leaves, somebody joins.
		h.exec("DELETE FROM connections WHERE id = ?", connection(1, 2))
		h.watch()
		h.want(id, "running: 5 people, 0 pending, 2 reminded, 3 done, 0 failed, 2 old; 2 tenants, 1 done, 0 without consent")
		h.signIn(1, 0, newApp, nil)
		c := h.get(id)
		if c.OldGone() || c.Percent() != 80 {
			t.Errorf("%+v", c)
		}
		h.exec("DELETE FROM connections WHERE id = ?", connection(1, 1))
		h.watch()
		c = h.get(id)
		if c.State != campaign.Done || !c.OldGone() || c.EndedAt == nil || c.Percent() != 100 {
			t.Errorf("%+v", c)
		}
		if told := h.told(); told != "done" {
			t.Errorf("told %q", told)
		}
		h.pass(30 * 24 * time.Hour)
		h.watch()
		if got := h.letters(); len(got) > 0 {
			t.Errorf("%d letters after the end", len(got))
		}
	})
}

// Reminders go out on the days of the schedule, in the campaign's zone, never twice a
// day, to nobody who is done, and not while they are off.
func TestReminders(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		h.fill(1, 2)
		deadline := h.now().Add(20 * day)
		c := h.begin(func(in *campaign.Request) {
			in.Zone, in.Deadline, in.Days, in.Before = "America/New_York", &deadline, []int{3, 7}, []int{2}
		})
		days := map[string]int{}
		for n := range 30 * 12 {
			h.watch()
			for range h.letters() {
				days[h.now().Format("01-02 15:04")]++
			}
			if n == 4*12 {
				h.signIn(0, 0, newApp, nil)
			}
			if n == 5*12 { // by hand, twice
				for i, want := range []campaign.Reminding{{Due: 1, Finished: 1}, {Today: 1, Finished: 1}} {
					got, err := h.Remind(h.as(tenantID(0), audit.Engineer), c.ID, campaign.Selection{})
					if err != nil || got != want {
						t.Errorf("%d: %+v %v", i, got, err)
					}
					h.watch()
				}
			}
			h.pass(2 * time.Hour)
		}
		// 2 November 10:00 UTC is 5:00 in New York, whose 9:00 is 14:00 UTC.
		want := map[string]int{"11-02 14:00": 2, "11-05 14:00": 2, "11-07 12:00": 1, "11-09 14:00": 1, "11-20 14:00": 1}
		if len(days) != len(want) {
			t.Errorf("%v", days)
		}
		for at, n := range want {
			if days[at] != n {
				t.Errorf("%s: %d letters, want %d (%v)", at, days[at], n, days)
			}
		}
	})
}

const day = 24 * time.Hour

// Who may do what: a campaign spans tenants, and shows everybody their own.
func TestTenantsApart(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		h.fill(3, 2)
		c := h.begin(nil)
		mine := h.as(tenantID(1), audit.Engineer)
		seen, err := h.Get(mine, c.ID)
		if err != nil || seen.People != 2 || seen.Tenants != 1 {
			t.Errorf("%+v %v", seen.Progress, err)
		}
		people, _, err := h.People(mine, c.ID, campaign.PersonFilter{}, campaign.Page{})
		if err != nil || len(people) != 2 || people[0].TenantID != tenantID(1) {
			t.Errorf("%+v %v", people, err)
		}
		ts, _, err := h.Tenants(mine, c.ID, campaign.TenantFilter{}, campaign.Page{})
		if err != nil || len(ts) != 1 || ts[0].ID != tenantID(1) {
			t.Errorf("%+v %v", ts, err)
		}
		var csv strings.Builder
		if err := h.Export(mine, c.ID, campaign.PersonFilter{}, "csv", &csv); err != nil || strings.Count(csv.String(), "\n") != 3 || strings.Contains(csv.String(), tenantID(0)) {
			t.Errorf("%v %s", err, csv.String())
		}
		if got, err := h.Remind(mine, c.ID, campaign.Selection{}); err != nil || got.Due != 2 {
			t.Errorf("%+v %v", got, err)
		}
		var refused *audit.Refused
		for what, err := range map[string]error{
			"pause": second(h.Pause(mine, c.ID)), "end": second(h.End(mine, c.ID, c.Name)), "create": second(h.Create(mine, campaign.Request{Name: "Mine", RegistrationID: jet, Reason: campaign.ByHand, Settings: campaign.Defaults()})),
			"foreign link":    second(h.SignInLink(mine, c.ID, connection(0, 0))),
			"foreign consent": second(h.ConsentLink(mine, c.ID, tenantID(0))),
			"foreign person":  second(h.Person(mine, c.ID, connection(0, 0))),
			"foreign links":   second(h.SignInLinks(mine, c.ID, tenantID(0))),
			"viewer's link":   second(h.SignInLink(h.as(tenantID(1), audit.Viewer), c.ID, connection(1, 0))),
			"viewer reminds":  second(h.Remind(h.as(tenantID(1), audit.Viewer), c.ID, campaign.Selection{})),
			"stranger":        second(h.Get(h.as("elsewhere", audit.Administrator), c.ID)),
			"stranger's list": second3(h.People(h.as("elsewhere", audit.Administrator), c.ID, campaign.PersonFilter{}, campaign.Page{})),
		} {
			if !errors.As(err, &refused) {
				t.Errorf("%s: %v", what, err)
			}
		}
		if all, _, err := h.List(h.as("elsewhere", audit.Administrator), "", campaign.Page{}); err != nil || len(all) != 0 {
			t.Errorf("%v %v", all, err)
		}
		l, err := h.SignInLink(mine, c.ID, connection(1, 0))
		if err != nil || !strings.Contains(l.URL.Reveal(), connection(1, 0)) {
			t.Errorf("%v", err)
		}
		links, err := h.SignInLinks(mine, c.ID, tenantID(1))
		if err != nil || len(links) != 2 {
			t.Errorf("%d %v", len(links), err)
		}
		// What stays in the database holds no link.
		for _, table := range []string{"campaigns", "campaign_tenants", "campaign_people", "audit"} {
			var rows []map[string]any
			if err := h.db.Read().NewRaw("SELECT * FROM "+table).Scan(t.Context(), &rows); err != nil {
				t.Fatal(err)
			}
			for _, r := range rows {
				for column, v := range r {
					if text, ok := v.(string); ok && strings.Contains(text, "planted") {
						t.Errorf("%s.%s holds a link", table, column)
					}
				}
			}
		}
	})
}

func second[T any](_ T, err error) error          { return err }
func second3[T, U any](_ T, _ U, err error) error { return err }

// A consent that is noted while the watch looks for it is not overwritten by what was
// known before.
func TestConsentMeanwhile(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		h.fill(1, 1)
		c := h.begin(nil)
		if _, err := h.ConsentLink(h.boss(), c.ID, tenantID(0)); err != nil {
			t.Fatal(err)
		}
		h.ConsentState = func(ctx context.Context, tenantID, registrationID string) (string, error) {
			return "unknown", h.db.Change(ctx, func(ctx context.Context, tx *sqldb.Tx) error { return h.Granted(ctx, tx, tenantID, registrationID) })
		}
		h.pass(time.Hour)
		h.watch()
		ts, _, err := h.Tenants(h.boss(), c.ID, campaign.TenantFilter{}, campaign.Page{})
		if err != nil || len(ts) != 1 || ts[0].Consent != campaign.ConsentNotRead {
			t.Errorf("%+v %v", ts, err)
		}
		if ts, _, err = h.Tenants(h.boss(), c.ID, campaign.TenantFilter{Consent: campaign.ConsentLacking}, campaign.Page{}); err != nil || len(ts) != 0 {
			t.Errorf("%+v %v", ts, err)
		}
	})
}
