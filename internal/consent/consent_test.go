package consent_test

import (
	"errors"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"gatehouse/internal/audit"
	"gatehouse/internal/consent"
	"gatehouse/internal/microsoft"
	"gatehouse/internal/microsoft/login"
	"gatehouse/internal/secrets"
	"gatehouse/internal/tenant"
)

// User stories 17 and 23: where users may not consent, the tenant's administrator
// gets a page that says what is asked, goes to Microsoft, comes back; what was
// granted is read in the directory, within a minute, and drift afterwards is told
// once.
func TestConsent(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		at := h.add("Client Creek")
		h.read(at)
		if s := h.look(at.ID, link); s.State != consent.Missing || len(s.Missing) != 4 || s.ReadFrom != consent.FromDirectory || len(s.Problems) != 1 || s.Problems[0].Kind != "app_missing" {
			t.Fatalf("before: %+v", s)
		}
		s := h.status(at.ID)
		if s.Policy == nil || s.Policy.All() || !strings.Contains(s.Policy.Words(), "switched off") || s.Policy.Verdicts[3].May != consent.No {
			t.Errorf("what users may: %+v", s.Policy)
		}
		_, token := h.ask(at.ID, link)
		if now, _ := h.tenants.Get(h.boss(), at.ID); now.Switch(tenant.Connect).State != tenant.Pending {
			t.Errorf("the switch is %s", now.Switch(tenant.Connect).State)
		}
		browser := consent.NewBrowser()
		v := h.page(token, browser)
		if !v.First || v.Host != strings.TrimPrefix(h.lab.URL(), "https://") || len(v.Sheet) != 2 || v.Sheet[1].Items[0].Why != "to read the ledger" || v.Sheet[1].Items[0].Words == "" || v.Roles[0].Name != "Cloud Application Administrator" || v.All {
			t.Errorf("the page: %+v", v)
		}
		if !strings.Contains(v.Address, "/"+at.DirectoryID+"/v2.0/adminconsent?") {
			t.Error(v.Address)
		}
		done, err := h.Answer(t.Context(), h.walk("clientcreek", "carl", v.Address), browser, "192.0.2.1")
		must(t, err)
		if done.Kind != consent.Approved || done.TenantID != at.ID {
			t.Errorf("%+v", done)
		}
		if s := h.status(at.ID); s.State != consent.Missing || s.ApprovedAt == nil || !s.Following {
			t.Errorf("an approval by itself makes it %s", s.State)
		}
		must(t, h.Follow(t.Context(), at.ID, link, 0))
		s = h.status(at.ID)
		if s.State != consent.Granted || len(s.Missing)+len(s.Problems) != 0 || s.Following || len(h.granted) != 1 || len(h.news) != 0 {
			t.Fatalf("after: %+v, granted %v, news %v", s, h.granted, h.news)
		}
		if now, _ := h.tenants.Get(h.boss(), at.ID); now.Switch(tenant.Connect).State != tenant.On {
			t.Errorf("the switch is %s", now.Switch(tenant.Connect).State)
		}
		h.drift(at, s)
		h.widen(at, token)
	})
}

// drift takes a permission away behind everybody's back.
func (h *house) drift(at tenant.Tenant, s consent.Status) {
	t := h.t
	t.Helper()
	app := h.graph("GET", of("servicePrincipals", s.ClientID), nil)["id"].(string)
	bc := h.graph("GET", of("servicePrincipals", bcID), nil)["id"].(string)
	for _, g := range h.graph("GET", "servicePrincipals/"+app+"/oauth2PermissionGrants", nil)["value"].([]any) {
		if one := g.(map[string]any); one["resourceId"] == bc {
			h.graph("DELETE", "oauth2PermissionGrants/"+one["id"].(string), nil)
		}
	}
	h.ahead(time.Minute)
	must(t, h.Reread(t.Context(), at.ID, link))
	if s := h.status(at.ID); s.State != consent.Partly || names(s.Missing) != "Financials.ReadWrite.All" || len(s.Changes) != 1 {
		t.Fatalf("after drift: %+v", s)
	}
	if len(h.news) != 1 || names(h.news[0].Gone) != "Financials.ReadWrite.All" || h.news[0].TenantName != at.Name || h.news[0].Before != consent.Granted {
		t.Errorf("told: %+v", h.news)
	}
	now, err := h.tenants.Get(h.boss(), at.ID)
	must(t, err)
	if w := now.Switch(tenant.Connect); w.State != tenant.Broken || !strings.Contains(w.Reason, "Financials.ReadWrite.All") {
		t.Errorf("the switch: %+v", w)
	}
	must(t, h.Reread(t.Context(), at.ID, link))
	if len(h.news) != 1 {
		t.Errorf("told twice: %+v", h.news)
	}
	h.news = nil
	h.graph("POST", "oauth2PermissionGrants", map[string]any{"clientId": app, "consentType": "AllPrincipals", "resourceId": bc, "scope": "Financials.ReadWrite.All"})
	h.ahead(time.Minute)
	must(t, h.Reread(t.Context(), at.ID, link))
	if s := h.status(at.ID); s.State != consent.Granted || len(h.news) != 1 || names(h.news[0].Came) != "Financials.ReadWrite.All" {
		t.Errorf("what came back: %s, told %+v", s.State, h.news)
	}
	h.news = nil
}

// widen lets the manifest ask for more: the page shows the difference.
func (h *house) widen(at tenant.Tenant, token string) {
	t := h.t
	t.Helper()
	m := h.manifests[link]
	m.Version, m.Permissions = 2, append(m.Permissions[:3:3], consent.Permission{Resource: consent.GraphID, ResourceName: "Microsoft Graph", Name: "Mail.Send", Kind: consent.Delegated})
	h.manifests[link] = m
	v := h.page(token, consent.NewBrowser())
	change := map[string]string{}
	for _, g := range v.Sheet {
		for _, i := range g.Items {
			change[i.Name] = i.Change
		}
	}
	if v.First || change["Mail.Send"] != "new" || change["Financials.ReadWrite.All"] != "gone" || change["User.Read"] != "" {
		t.Errorf("the difference: %v", change)
	}
	if s := h.look(at.ID, link); s.State != consent.Partly || names(s.Missing) != "Mail.Send" || len(h.news) != 0 {
		t.Errorf("%+v, told %+v", s, h.news)
	}
}

// The three ways in which a result is read back: the directory (TestConsent), a
// token, or not at all.
func TestReadBack(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		at := h.add("Lone Lake") // no reader
		_, token := h.ask(at.ID, feed)
		browser := consent.NewBrowser()
		v := h.page(token, browser)
		if !v.All || v.Roles[0].Name != "Privileged Role Administrator" || !strings.Contains(v.Address, ".default") {
			t.Errorf("%+v", v)
		}
		directory := h.lab.Tenant("lonelake").ID
		app := h.lab.Tenant("makermill").App("Mill Feed")
		client := login.New(login.Config{Cloud: h.cloud})
		h.fresh = func(_, _, resource string) (login.Token, error) {
			if resource != consent.GraphID {
				t.Errorf("a token of %s", resource)
			}
			return client.Secret(t.Context(), directory, app.ClientID, secrets.New(*app.Secret), []string{"https://graph.microsoft.com/.default"})
		}
		if s := h.look(at.ID, feed); s.State != consent.Missing || s.ReadFrom != consent.FromToken {
			t.Errorf("before, by a token that is refused: %+v", s)
		}
		answer := h.walk("lonelake", "lena", v.Address)
		done, err := h.Answer(t.Context(), answer, browser, "")
		must(t, err)
		if done.Kind != consent.Approved {
			t.Errorf("%+v", done)
		}
		if s := h.look(at.ID, feed); s.State != consent.Granted || s.ReadFrom != consent.FromToken {
			t.Errorf("by token: %+v", s)
		}
		// A reader or network that is out of order takes nothing away.
		h.fresh = func(_, _, _ string) (login.Token, error) { return login.Token{}, errors.New("no network") }
		if s := h.look(at.ID, feed); s.State != consent.Granted || !strings.Contains(s.Reason+" no network", "no network") {
			t.Errorf("out of order: %+v", s)
		}

		// Neither reader nor token.
		h.fresh = nil
		_, token = h.ask(at.ID, link)
		if s := h.look(at.ID, link); s.State != consent.Unknown || s.Reason == "" || !s.At.IsZero() {
			t.Errorf("nothing to read with: %+v", s)
		}
		v = h.page(token, browser)
		if _, err = h.Answer(t.Context(), h.walk("lonelake", "lena", v.Address), browser, ""); err != nil {
			t.Fatal(err)
		}
		must(t, h.Follow(t.Context(), at.ID, link, 0))
		if s := h.status(at.ID); s.State != consent.ApprovedNotRead || !s.Following || !strings.Contains(s.Reason, "no reader") {
			t.Errorf("%+v", s)
		}
		// The next person's token shows it.
		h.fresh = func(_, _, resource string) (login.Token, error) {
			scopes := map[string]string{consent.GraphID: "User.Read", bcID: "Financials.ReadWrite.All user_impersonation"}[resource]
			return login.Token{Claims: login.Claims{TenantID: directory, Audience: resource, Scopes: scopes}}, nil
		}
		if s := h.look(at.ID, link); s.State != consent.Granted || s.ReadFrom != consent.FromToken {
			t.Errorf("by a person's token: %+v", s)
		}
		if len(h.granted) != 2 {
			t.Errorf("granted: %v", h.granted)
		}
		h.unlisted(at)
	})
}

// unlisted: a role in a tenant, and no other, opens what is its.
func (h *house) unlisted(at tenant.Tenant) {
	t := h.t
	t.Helper()
	eve := as(t.Context(), "other", audit.Administrator)
	if all, _, err := h.List(eve, consent.Filter{}, consent.Page{}); err != nil || len(all) != 0 {
		t.Errorf("a stranger sees %v, %v", all, err)
	}
	if all, next, err := h.List(as(t.Context(), at.ID, audit.Viewer), consent.Filter{}, consent.Page{Limit: 1}); err != nil || len(all) != 1 || next == "" {
		t.Errorf("a viewer sees %v, %v", all, err)
	}
	var refused *audit.Refused
	for name, call := range map[string]func() error{
		"ask":      func() error { _, err := h.Ask(eve, at.ID, link, consent.AskOptions{}); return err },
		"look":     func() error { _, err := h.Look(eve, at.ID, link); return err },
		"status":   func() error { _, err := h.StatusOf(eve, at.ID, link); return err },
		"requests": func() error { _, err := h.Requests(eve, at.ID, link); return err },
		"viewer asks": func() error {
			_, err := h.Ask(as(t.Context(), at.ID, audit.Viewer), at.ID, link, consent.AskOptions{})
			return err
		},
	} {
		if err := call(); !errors.As(err, &refused) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// What is wrong with an answer is refused, written down, and nothing stored.
func TestAnswerTampered(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		at := h.add("Lone Lake")
		r, token := h.ask(at.ID, link)
		browser := consent.NewBrowser()
		state := func(v consent.View) string {
			u, err := url.Parse(v.Address)
			must(t, err)
			return u.Query().Get("state")
		}
		good := state(h.page(token, browser))
		other, otherToken := h.ask(at.ID, feed)
		foreign := state(h.page(otherToken, browser))
		yes := func(state string, more ...string) url.Values {
			q := url.Values{"admin_consent": {"True"}, "tenant": {at.DirectoryID}, "state": {state}}
			for i := 0; i < len(more); i += 2 {
				q[more[i]] = append(q[more[i]], more[i+1])
			}
			return q
		}
		parts := strings.Split(good, ".")
		tampered := map[string]struct {
			query   url.Values
			browser secrets.Value
			want    error
		}{
			"no state":            {url.Values{"admin_consent": {"True"}}, browser, consent.ErrState},
			"no browser":          {yes(good), secrets.Value{}, consent.ErrState},
			"another browser":     {yes(good), consent.NewBrowser(), consent.ErrState},
			"another page's id":   {yes(other.ID + "." + strings.Join(parts[1:], ".")), browser, consent.ErrState},
			"another time":        {yes(parts[0] + ".zzzzzz." + parts[2] + "." + parts[3]), browser, consent.ErrState},
			"cut":                 {yes(good[:len(good)-1]), browser, consent.ErrState},
			"no page":             {yes("00000000-0000-0000-0000-000000000000." + strings.Join(parts[1:], ".")), browser, consent.ErrState},
			"state twice":         {yes(good, "state", foreign), browser, consent.ErrState},
			"tenant twice":        {yes(good, "tenant", "x"), browser, consent.ErrState},
			"too long":            {yes(strings.Repeat("a.", 300)), browser, consent.ErrState},
			"of long ago":         {yes(h.StateFor(t.Context(), token, browser, h.clock().Add(-consent.StateLife-time.Minute))), browser, consent.ErrLate},
			"of the future":       {yes(h.StateFor(t.Context(), token, browser, h.clock().Add(time.Hour))), browser, consent.ErrLate},
			"an id without token": {yes(forged(r.ID)), browser, consent.ErrState},
		}
		for name, one := range tampered {
			if _, err := h.Answer(t.Context(), one.query, one.browser, ""); !errors.Is(err, one.want) {
				t.Errorf("%s: %v", name, err)
			}
		}
		if s := h.status(at.ID); s.ApprovedAt != nil || s.State != consent.Unknown {
			t.Fatalf("something was stored: %+v", s)
		}
		// What says no, in whatever words, approves nothing.
		for name, one := range map[string]struct {
			query url.Values
			want  consent.Kind
		}{
			"refused with admin_consent": {yes("", "error", "consent_required", "error_description", "AADSTS65004: The user declined."), consent.Declined},
			"v1 refusal":                 {yes("", "error", "permission_denied"), consent.Declined},
			"a description alone":        {yes("", "error_description", "AADSTS90094: an administrator"), consent.NotAdmin},
			"a partner":                  {yes("", "error", "access_denied", "error_description", "AADSTS90099: pre-consent"), consent.PartnerAdmin},
			"no answer":                  {url.Values{}, consent.Incomplete},
			"another tenant":             {url.Values{"admin_consent": {"True"}, "tenant": {"99999999-0000-4000-8000-000000000000"}}, consent.WrongTenant},
			"false":                      {url.Values{"admin_consent": {"False"}}, consent.Incomplete},
		} {
			one.query.Set("state", state(h.page(token, browser)))
			done, err := h.Answer(t.Context(), one.query, browser, "")
			if err != nil || done.Kind != one.want {
				t.Errorf("%s: %+v, %v", name, done, err)
			}
			if v := h.page(token, browser); v.Answered == nil || v.Answered.Kind != one.want || len(v.Answered.Steps) == 0 {
				t.Errorf("%s: the page does not explain it: %+v", name, v.Answered)
			}
		}
		if s := h.status(at.ID); s.ApprovedAt != nil {
			t.Fatalf("a refusal was taken for an approval: %+v", s)
		}
		if _, err := h.Answer(t.Context(), yes(good), browser, ""); err != nil {
			t.Fatal(err)
		}
		if _, err := h.Answer(t.Context(), yes(good), browser, ""); !errors.Is(err, consent.ErrReplayed) {
			t.Errorf("replayed: %v", err)
		}
		late := state(h.page(token, browser))
		must(t, h.Withdraw(h.boss(), r.ID))
		if _, err := h.Answer(t.Context(), yes(late), browser, ""); !errors.Is(err, consent.ErrLink) {
			t.Errorf("of a page that was withdrawn: %v", err)
		}
		if _, err := h.Open(t.Context(), token, browser, ""); !errors.Is(err, consent.ErrLink) {
			t.Errorf("a page that was withdrawn opens: %v", err)
		}
		h.ahead(consent.DefaultLife)
		if _, err := h.Open(t.Context(), otherToken, browser, ""); !errors.Is(err, consent.ErrLink) {
			t.Errorf("a page that has expired opens: %v", err)
		}
		if err := h.LookAgain(t.Context(), otherToken, ""); !errors.Is(err, consent.ErrLink) {
			t.Errorf("a page that has expired looks: %v", err)
		}
		h.written(map[string]int{"refused": 9, "failed": 7})
		text := ""
		must(t, h.db.Read().NewRaw("SELECT string_agg(details, ' ') FROM audit").Scan(t.Context(), &text))
		if strings.Contains(text, token) {
			t.Error("the audit log holds the page's token")
		}
	})
}

// forged is a state of somebody who knows a page's id, and not its token.
func forged(id string) string { return id + ".1.aaaaaaaaaaaaaaaa.bbbb" }

// written counts the answers in the audit log.
func (h *house) written(want map[string]int) {
	h.t.Helper()
	var rows []struct {
		Outcome string
		N       int
	}
	must(h.t, h.db.Read().NewRaw("SELECT outcome, count(*) AS n FROM audit WHERE action = 'consent.answered' GROUP BY outcome").Scan(h.t.Context(), &rows))
	for _, r := range rows {
		if n, known := want[r.Outcome]; known && n != r.N {
			h.t.Errorf("%d answers are written down as %s, want %d", r.N, r.Outcome, n)
		}
	}
}

// User story 19: the links pass the lab's strict pages, as v1 and v2; those of
// national clouds name their hosts and Graphs.
func TestLinks(t *testing.T) {
	h := open(t, openDB(t))
	at := h.add("Lone Lake")
	app := h.lab.Tenant("makermill").App("Mill Link").ClientID
	for endpoint, path := range map[string]string{consent.V1: "/adminconsent?", consent.V2: "/v2.0/adminconsent?"} {
		r, err := h.Ask(h.boss(), at.ID, link, consent.AskOptions{Endpoint: endpoint})
		must(t, err)
		browser := consent.NewBrowser()
		v := h.page(strings.TrimPrefix(r.URL.Reveal(), "https://gatehouse.example/consent/"), browser)
		if !strings.Contains(v.Address, "/"+at.DirectoryID+path) {
			t.Errorf("%s: %s", endpoint, v.Address)
		}
		done, err := h.Answer(t.Context(), h.walk("lonelake", "lena", v.Address), browser, "")
		if err != nil || done.Kind != consent.Approved {
			t.Errorf("%s: %+v, %v", endpoint, done, err)
		}
	}
	for name, want := range map[string][3]string{
		"public": {"https://login.microsoftonline.com/", "https://graph.microsoft.com/", "https://entra.microsoft.com"}, "usgov": {"https://login.microsoftonline.us/", "https://graph.microsoft.us/", "https://portal.azure.us"},
		"usgov-dod": {"https://login.microsoftonline.us/", "https://dod-graph.microsoft.us/", "https://portal.azure.us"}, "china": {"https://login.partner.microsoftonline.cn/", "https://microsoftgraph.chinacloudapi.cn/", "https://portal.azure.cn"},
	} {
		cloud, err := microsoft.FindCloud(name, "")
		must(t, err)
		for _, endpoint := range []string{consent.V1, consent.V2} {
			address := consent.Address(cloud, consent.Way{Endpoint: endpoint, DirectoryID: at.DirectoryID, ClientID: app, Redirect: "https://gatehouse.example/consent/callback", State: "s", Permissions: h.manifests[link].Permissions})
			u, err := url.Parse(address)
			must(t, err)
			scope := u.Query().Get("scope")
			if !strings.HasPrefix(address, want[0]+at.DirectoryID+"/") || (endpoint == consent.V2) != strings.Contains(scope, want[1]+"User.Read") || strings.Contains(address, "/common/") || consent.Centre(cloud) != want[2] {
				t.Errorf("%s %s: %s", name, endpoint, address)
			}
			// The same on the lab, which knows all clouds' Graphs.
			cloud := cloud
			cloud.Login = h.lab.URL()
			if endpoint == consent.V2 {
				address = consent.Address(cloud, consent.Way{Endpoint: endpoint, DirectoryID: at.DirectoryID, ClientID: app, Redirect: "https://gatehouse.example/consent/callback", State: "s", Permissions: h.manifests[link].Permissions})
				if q := h.walk("lonelake", "lena", address); q.Get("error") != "" {
					t.Errorf("%s: %v", name, q)
				}
			}
		}
	}
}

// What the page was used for is looked at within a minute for an hour, then every
// five minutes, and then no more.
func TestFollow(t *testing.T) {
	h := open(t, openDB(t))
	at := h.add("Client Creek")
	h.read(at)
	_, token := h.ask(at.ID, link)
	h.page(token, consent.NewBrowser())
	began := h.clock()
	for step, looked := 0, 0; ; step++ {
		if looked++; looked > 200 {
			t.Fatal("it is looked at for ever")
		}
		before := h.clock()
		must(t, h.Follow(t.Context(), at.ID, link, step))
		s := h.status(at.ID)
		if !s.Following {
			if since := before.Sub(began); since < 5*time.Hour {
				t.Errorf("it is looked at for %s alone", since)
			}
			break
		}
		next := consent.Wait(step+1, before.Sub(began))
		if next > time.Minute && before.Sub(began) < time.Hour || next > 5*time.Minute {
			t.Fatalf("%s after the page was opened the next look comes in %s", before.Sub(began), next)
		}
		var due time.Time
		must(t, h.db.Read().NewRaw("SELECT max(scheduled_at) FROM river_job WHERE kind = 'consent_follow'").Scan(t.Context(), &due))
		if wait := due.Sub(h.clock()); wait > next+2*time.Second {
			t.Fatalf("the job comes in %s", wait)
		}
		if step > 10 { // the rest of the way by the hour
			next = time.Hour
		}
		h.ahead(next)
	}
}

// Several that look at a consent at once, as jobs and people do, do not stand in each
// other's way.
func TestLooksAtOnce(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		at := h.add("Lone Lake")
		const looks = 8
		var ready, all sync.WaitGroup
		ready.Add(looks)
		h.fresh = func(string, string, string) (login.Token, error) {
			ready.Done()
			ready.Wait() // all have read by now, and write it down
			return login.Token{}, consent.ErrNoToken
		}
		errs := make(chan error, looks)
		for range looks {
			all.Go(func() {
				_, err := h.Look(h.boss(), at.ID, feed)
				errs <- err
			})
		}
		all.Wait()
		close(errs)
		for err := range errs {
			must(t, err)
		}
		list, _, err := h.List(h.boss(), consent.Filter{RegistrationID: feed}, consent.Page{})
		if must(t, err); len(list) != 1 || list[0].State != consent.Unknown {
			t.Errorf("%+v", list)
		}
	})
}
