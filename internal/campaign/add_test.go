package campaign_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"gatehouse/internal/audit"
	"gatehouse/internal/campaign"
)

// Tenants and people of apps that keep their own tokens are added by a file, which
// says row by row what is wrong with it and does nothing then; the apps report their
// sign-ins, and bad reports are named one by one.
func TestOwnTokens(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		h.fill(3, 1)
		c := h.begin(nil)
		rows, faults := campaign.ReadPeople([]byte("\ufefftenant;username;name;email;object_id\r\nTenant tenant-001;ann@tenant-001.example;Ann;ann@mail.example;\r\n;x;;;\r\nnowhere.example;ben@nowhere.example;;;\r\ntenant-002.example;no name;;;nothing\r\ntenant-002.example;cleo@tenant-002.example;;broken;\r\n00000000-0000-4000-9000-000000000001;ann@TENANT-001.example;;;\r\n"))
		got, err := h.Add(h.boss(), c.ID, rows, faults)
		if err != nil {
			t.Fatal(err)
		}
		var told []string
		for _, f := range got.Faults.Some {
			told = append(told, fmt.Sprintf("%d %s %s", f.Row, f.Column, f.Problem))
			if f.Way == "" {
				t.Errorf("%+v has no way out", f)
			}
		}
		const want = "3 tenant is missing|3 username is no user name|4 tenant is no tenant in which you may do this|5 username is no user name|5 object_id is no object id|6 email is no mail address|7 username is the person of row 2"
		if strings.Join(told, "|") != want {
			t.Errorf("got  %s\nwant %s", strings.Join(told, "|"), want)
		}
		h.want(c.ID, "running: 3 people, 3 pending, 0 reminded, 0 done, 0 failed, 3 old; 3 tenants, 0 done, 0 without consent")

		file := "tenant,username,name,email\ntenant-001.example,ann@tenant-001.example,Ann,ann@mail.example\ntenant-001.example,ben@tenant-001.example,,\ntenant-000,person00@tenant-000.example,The chief,chief@mail.example\n"
		rows, faults = campaign.ReadPeople([]byte(file))
		look, err := h.Look(h.boss(), c.ID, rows, faults)
		if err != nil || look.People != 2 || look.Changed != 1 || look.Rows != 3 || look.Faults.Count != 0 {
			t.Errorf("%+v %v", look, err)
		}
		h.want(c.ID, "running: 3 people, 3 pending, 0 reminded, 0 done, 0 failed, 3 old; 3 tenants, 0 done, 0 without consent")
		if _, err := h.Add(h.boss(), c.ID, rows, faults); err != nil {
			t.Fatal(err)
		}
		if again, err := h.Add(h.boss(), c.ID, rows, faults); err != nil || again.Unchanged != 3 || again.People != 0 {
			t.Errorf("%+v %v", again, err)
		}
		h.want(c.ID, "running: 5 people, 5 pending, 0 reminded, 0 done, 0 failed, 3 old; 3 tenants, 0 done, 0 without consent")
		h.watch()
		to := map[string]bool{}
		for _, l := range h.letters() {
			to[l.to] = true
			if l.to == "ann@mail.example" && !l.link.Empty() {
				t.Errorf("%+v: who signs in elsewhere has no link", l)
			}
		}
		if len(to) != 5 || !to["chief@mail.example"] || !to["ann@mail.example"] {
			t.Errorf("%v", to)
		}

		var refused *audit.Refused
		if _, err := h.Report(h.as(audit.AllTenants, audit.Engineer, audit.ConnectionUse), c.ID, nil); !errors.As(err, &refused) {
			t.Errorf("a key without the permission: %v", err)
		}
		key := h.as(tenantID(1), audit.Engineer, audit.CampaignReport)
		h.pass(time.Hour)
		at := h.now().Add(-time.Minute)
		ok := campaign.SignIn{Tenant: "tenant-001.example", Person: "Ann@tenant-001.example", ClientID: newApp, At: at}
		all := []campaign.SignIn{ok, ok, ok, ok, ok, ok, ok, ok}
		all[0].ClientID, all[1].ClientID = oldApp, "another"
		all[2].Person, all[3].Tenant = "nobody@tenant-001.example", "tenant-000.example"
		all[4].At, all[5].At = h.now().Add(time.Hour), h.now().Add(-100*day)
		all[6].Failed, all[6].Reason = true, "AADSTS65001: consent\nis missing"
		all[7].Person, all[7].Failed, all[7].Reason = "ben@tenant-001.example", true, "AADSTS65001"
		r, err := h.Report(key, c.ID, all)
		if err != nil || r.Done != 0 || r.OnOld != 1 || r.Failed != 2 || len(r.Bad) != 5 {
			t.Errorf("%+v %v", r, err)
		}
		var bad []string
		for _, b := range r.Bad {
			bad = append(bad, fmt.Sprint(b.Index, " ", b.Field, " ", b.Problem))
		}
		const wantBad = "1 client_id is not the app of the campaign|2 person is not among those whose app keeps its own tokens|3 tenant is no tenant in which you may do this|4 at is in the future|5 at is before the campaign began"
		if strings.Join(bad, "|") != wantBad {
			t.Errorf("got  %s\nwant %s", strings.Join(bad, "|"), wantBad)
		}
		h.want(c.ID, "running: 5 people, 0 pending, 3 reminded, 0 done, 2 failed, 4 old; 3 tenants, 0 done, 0 without consent")
		for i, want := range []campaign.Reported{{Done: 1}, {Unchanged: 1}} {
			r, err := h.Report(key, c.ID, []campaign.SignIn{ok})
			if err != nil || r.Done != want.Done || r.Unchanged != want.Unchanged || len(r.Bad) != 0 {
				t.Errorf("%d: %+v %v", i, r, err)
			}
		}
		h.want(c.ID, "running: 5 people, 0 pending, 3 reminded, 1 done, 1 failed, 3 old; 3 tenants, 0 done, 0 without consent")
		if _, err := h.SignInLink(h.boss(), c.ID, personCalled(t, h, c.ID, "ben@")); !errors.Is(err, campaign.ErrOwnTokens) {
			t.Errorf("%v", err)
		}
		if err := h.Drop(h.boss(), c.ID, personCalled(t, h, c.ID, "ben@")); err != nil {
			t.Error(err)
		}
		if _, err := h.End(h.boss(), c.ID, "something"); err == nil {
			t.Error("it was ended without confirmation")
		}
		if _, err := h.End(h.boss(), c.ID, c.Name); err != nil {
			t.Error(err)
		}
		if _, err := h.Report(key, c.ID, []campaign.SignIn{ok}); !errors.Is(err, campaign.ErrState) {
			t.Errorf("%v", err)
		}
		h.want(c.ID, "ended: 4 people, 0 pending, 3 reminded, 1 done, 0 failed, 3 old; 3 tenants, 0 done, 0 without consent")
	})
}

func personCalled(t *testing.T, h *house, id, text string) string {
	t.Helper()
	all, _, err := h.People(h.boss(), id, campaign.PersonFilter{Search: text}, campaign.Page{})
	if err != nil || len(all) != 1 {
		t.Fatalf("%d are called %s: %v", len(all), text, err)
	}
	return all[0].ID
}

// Whatever is in a file, it is read within bounds, and what is wrong is said with its
// place.
func FuzzReadPeople(f *testing.F) {
	for _, seed := range []string{
		"tenant,username\ncontoso.example,ann@contoso.example\n", "\ufefftenant;name\r\n\"a;b\";'=1+1\r\n", "tenant\n", "tenant,tenant\n", "username\nx\n", "tenant,\"a\n", "tenant\tusername\n\x00", "tenant\n\xff", "tenant,username\na,b,c\n\n,\n",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		rows, faults := campaign.ReadPeople(data)
		if len(rows) > campaign.MaxPeople || len(faults.Some) > faults.Count {
			t.Fatalf("%d rows, %d of %d faults", len(rows), len(faults.Some), faults.Count)
		}
		last := 1
		for _, r := range rows {
			if r.Line <= last && r.Line != 2 || !utf8.ValidString(r.Username) {
				t.Fatalf("row %+v after %d", r, last)
			}
			last = r.Line
		}
		for _, one := range faults.Some {
			if one.Problem == "" || one.Row < 0 {
				t.Fatalf("%+v", one)
			}
		}
	})
}
