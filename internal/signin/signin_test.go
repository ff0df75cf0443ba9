package signin_test

import (
	"errors"
	"net/url"
	"strings"
	"testing"
	"time"

	"gatehouse/internal/audit"
	"gatehouse/internal/connection"
	"gatehouse/internal/secrets"
	"gatehouse/internal/signin"
	"gatehouse/internal/tenant"
)

// An operator signs a person in: what is earned is kept, with whom, and the history
// tells. Who may not manage the connection begins nothing.
func TestSignIn(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		c := h.connect("")
		a := h.begin(c)
		to, err := url.Parse(a.URL)
		q := to.Query()
		if err != nil || q.Get("code_challenge_method") != "S256" || q.Get("redirect_uri") != "http://localhost:1234/signin/callback" || q.Get("scope") != "https://graph.microsoft.com/User.Read openid profile offline_access" {
			t.Errorf("%s %v", a.URL, err)
		}
		done, err := h.signin.Finish(h.nobody(), h.walk("ines", a.URL), a.Cookie.Reveal())
		if err != nil || done.Again != "" || !done.Operator || len(h.grants) != 1 {
			t.Fatalf("%+v %v, %d kept", done, err, len(h.grants))
		}
		g, now := h.grants[0], h.get(c.ID)
		if g.Username != ines || g.Refresh.Empty() || g.Access.Access.Empty() || g.Resource != "graph" || g.By != "Ada Person" || g.Flow != signin.FlowCode || g.ObjectID != now.ObjectID || now.Username != ines || g.TenantID != h.tenantID {
			t.Errorf("%+v of %+v", g, now)
		}
		if e := h.last(c); e.Outcome != signin.SignedIn || e.Person != ines || e.By != "Ada Person" || e.CorrelationID == "" || e.AttemptID != a.ID {
			t.Errorf("%+v", e)
		}
		if h.audited(c, "connection.signed_in", "done") != 1 || len(h.told) != 1 || h.told[0] != nil {
			t.Errorf("not audited, or not told: %v", h.told)
		}
		if r, err := h.signin.Result(h.nobody(), a.ID, a.Cookie); err != nil || r.Outcome != signin.SignedIn || r.Retry {
			t.Errorf("%+v %v", r, err)
		}
		if _, err := h.signin.Result(h.nobody(), a.ID, secrets.New("another")); !errors.Is(err, signin.ErrMissing) {
			t.Errorf("another browser sees the result: %v", err)
		}
		eve := audit.With(t.Context(), audit.Actor{Kind: audit.Operator, ID: "eve", Roles: map[string]audit.Role{h.tenantID: audit.Technician}})
		var no *audit.Refused
		for what, err := range map[string]error{
			"begin": second(h.signin.Begin(eve, c.ID, signin.Options{})), "link": second(h.signin.NewLink(eve, c.ID, signin.LinkOptions{})), "device": second(h.signin.BeginDevice(eve, c.ID, signin.Options{})),
			"out": second(h.signin.Out(eve, c.ID, false)), "withdraw": h.signin.Withdraw(eve, c.ID, "x"),
		} {
			if !errors.As(err, &no) {
				t.Errorf("a technician may %s: %v", what, err)
			}
		}
		if all, _, err := h.signin.List(eve, c.ID, tenant.Page{}); err != nil || len(all) != 1 {
			t.Errorf("a technician does not see the sign-ins: %v", err)
		}
	})
}

func second[T any](_ T, err error) error { return err }

// The negative matrix: each answer is refused with its reason, written down, and
// nothing of it is kept.
func TestNegativeMatrix(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		// Genuine id tokens of other sign-ins, to be put in the place of the right one.
		genuine := func(client, user string) string {
			was := h.client
			h.client = client
			a, token := h.begin(h.connect("")), ""
			h.wire.change = func(_ string, _ url.Values, status int, body map[string]any) int {
				token, _ = body["id_token"].(string)
				return status
			}
			_, err := h.signin.Finish(h.nobody(), h.walk(user, a.URL), a.Cookie.Reveal())
			h.wire.change, h.client, h.grants = nil, was, nil
			if err != nil || token == "" {
				t.Fatalf("%s: %v", client, err)
			}
			return token
		}
		otherSignIn, otherApp := genuine("Quay reports", "olaf"), genuine("Quay device", "olaf")
		swap := func(token string) func(*house) {
			return func(h *house) {
				h.wire.change = func(_ string, _ url.Values, status int, body map[string]any) int {
					body["id_token"] = token
					return status
				}
			}
		}
		edit := func(change func(url.Values)) func(url.Values, *string) {
			return func(q url.Values, _ *string) { change(q) }
		}
		for name, m := range map[string]struct {
			user    string // ines if empty
			expect  string // who is to sign in
			before  func(h *house)
			answer  func(q url.Values, cookie *string)
			want    signin.Reason
			counted bool // of no sign-in that is known: in the sums of the log
		}{
			"wrong state":        {answer: edit(func(q url.Values) { q.Set("state", "x"+q.Get("state")) }), want: signin.State, counted: true},
			"missing state":      {answer: edit(func(q url.Values) { q.Del("state") }), want: signin.State, counted: true},
			"no cookie":          {answer: func(_ url.Values, cookie *string) { *cookie = "" }, want: signin.Browser},
			"other browser":      {answer: func(_ url.Values, cookie *string) { *cookie = "another" }, want: signin.Browser},
			"duplicated state":   {answer: edit(func(q url.Values) { q.Add("state", "x") }), want: signin.Malformed, counted: true},
			"duplicated code":    {answer: edit(func(q url.Values) { q.Add("code", "x") }), want: signin.Malformed, counted: true},
			"code and error":     {answer: edit(func(q url.Values) { q.Set("error", "access_denied") }), want: signin.Malformed, counted: true},
			"oversized":          {answer: edit(func(q url.Values) { q.Set("session_state", strings.Repeat("x", 20<<10)) }), want: signin.Malformed, counted: true},
			"no text":            {answer: edit(func(q url.Values) { q.Set("session_state", "\xff") }), want: signin.Malformed, counted: true},
			"another code":       {answer: edit(func(q url.Values) { q.Set("code", "1.Anothing") }), want: signin.Microsoft},
			"another issuer":     {answer: edit(func(q url.Values) { q.Set("iss", "https://login.example/common/v2.0") }), want: signin.MixUp},
			"another cloud":      {answer: edit(func(q url.Values) { q.Set("cloud_instance_host_name", "login.microsoftonline.us") }), want: signin.MixUp},
			"too late":           {answer: func(url.Values, *string) { h.now = time.Now().Add(signin.Lifetime + time.Second) }, want: signin.Lapsed},
			"nonce":              {before: swap(otherSignIn), want: signin.Identity},
			"audience":           {before: swap(otherApp), want: signin.Identity},
			"no id token":        {before: swap(""), want: signin.Identity},
			"unsigned id token":  {before: swap(otherSignIn[:strings.LastIndexByte(otherSignIn, '.')+1]), want: signin.Identity},
			"expired id token":   {before: func(h *house) { h.lab.Advance(-3 * time.Hour) }, want: signin.Identity},
			"another tenant":     {user: "olaf", before: func(h *house) { h.foreignToken() }, want: signin.Identity},
			"swapped person":     {user: "olaf", expect: ines, want: signin.OtherPerson},
			"guest":              {user: "gus", want: signin.Foreign},
			"partner":            {user: "pia", want: signin.Foreign},
			"another app by now": {answer: func(url.Values, *string) { h.client = "Quay device" }, want: signin.Changed},
			"token of another":   {user: "olaf", before: func(h *house) { h.otherAccess() }, want: signin.Identity},
			"without refresh":    {before: func(h *house) { h.without("refresh_token") }, want: signin.NoRefresh},
			"with less":          {before: func(h *house) { h.granted("openid profile") }, want: signin.Narrow},
			"declined by Entra": {answer: edit(func(q url.Values) {
				q.Del("code")
				q.Set("error", "access_denied")
				q.Set("error_description", "AADSTS65004: declined")
			}), want: signin.Microsoft},
			"the operator is out": {answer: func(url.Values, *string) { h.retire() }, want: "internal"},
		} {
			user := m.user
			if user == "" {
				user = "ines"
			}
			c := h.connect(m.expect)
			a := h.begin(c)
			if m.before != nil {
				m.before(h)
			}
			q, cookie := h.walk(user, a.URL), a.Cookie.Reveal()
			if m.answer != nil {
				m.answer(q, &cookie)
			}
			h.told = nil
			_, err := h.signin.Finish(h.nobody(), q, cookie)
			h.reset()
			if m.want == "internal" {
				if err == nil || len(h.grants) > 0 {
					t.Errorf("%s: %v, %d kept", name, err, len(h.grants))
				}
			} else {
				h.refusedFor(name, err, m.want)
			}
			if now := h.get(c.ID); now.ObjectID != "" {
				t.Errorf("%s: the connection is of %s", name, now.Username)
			}
			failed := h.audited(c, "connection.signed_in", "failed")
			if m.counted {
				if failed != 0 {
					t.Errorf("%s: written down for a connection that nobody knows of", name)
				}
				continue
			}
			told := 1
			if m.want == signin.Browser { // somebody else's sign-in may still be on its way
				told = 0
			}
			if e := h.last(c); failed != 1 || e.Outcome == signin.SignedIn || e.Words == "" || len(h.told) != told || told == 1 && h.told[0] == nil {
				t.Errorf("%s: audited %d times, noted %+v, told %v", name, failed, e, h.told)
			}
			// The answer is used up, right or wrong.
			if _, err := h.signin.Finish(h.nobody(), q, a.Cookie.Reveal()); err == nil || len(h.grants) > 0 {
				t.Errorf("%s: taken the second time: %v", name, err)
			}
		}

		c := h.connect("")
		a := h.begin(c)
		q := h.walk("ines", a.URL)
		if _, err := h.signin.Finish(h.nobody(), q, a.Cookie.Reveal()); err != nil {
			t.Fatal(err)
		}
		h.grants = nil
		_, err := h.signin.Finish(h.nobody(), q, a.Cookie.Reveal())
		h.refusedFor("replayed code", err, signin.Replayed)
	})
}

// reset undoes what a line of the matrix has changed.
func (h *house) reset() {
	h.wire.change, h.now, h.client = nil, time.Time{}, "Quay reports"
	h.lab.Advance(time.Until(h.lab.Now()) * -1)
	h.retired = false
}

// Story 18: an administrator who signs in as somebody else's connection is refused
// with both names, and may choose another account.
func TestStory18SwappedPerson(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		c := h.connect(ines)
		a := h.begin(c)
		_, err := h.signin.Finish(h.nobody(), h.walk("admin", a.URL), a.Cookie.Reveal())
		r := h.refusedFor("an administrator", err, signin.OtherPerson)
		if !strings.Contains(r.Words, "admin@quietquay.onmicrosoft.com") || !strings.Contains(r.Words, ines) {
			t.Errorf("not both names: %s", r.Words)
		}
		next, err := h.signin.Retry(h.nobody(), r.AttemptID, a.Cookie, "select_account")
		if err != nil || !strings.Contains(next, "prompt=select_account") || strings.Contains(next, "login_hint") {
			t.Fatalf("%s %v", next, err)
		}
		if _, err := h.signin.Finish(h.nobody(), h.walk("ines", next), a.Cookie.Reveal()); err != nil || len(h.grants) != 1 {
			t.Fatal(err)
		}
		// Once somebody has signed in, the connection is theirs, under any name.
		h.grants = nil
		again := h.begin(c)
		_, err = h.signin.Finish(h.nobody(), h.walk("admin", again.URL), again.Cookie.Reveal())
		h.refusedFor("an administrator, later", err, signin.OtherPerson)
	})
}

// Story 9: without a refresh token nothing is kept, and the missing scope is named.
func TestStory9OfflineAccess(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		c := h.connect("")
		a := h.begin(c)
		h.without("refresh_token")
		_, err := h.signin.Finish(h.nobody(), h.walk("ines", a.URL), a.Cookie.Reveal())
		if r := h.refusedFor("without a refresh token", err, signin.NoRefresh); !strings.Contains(r.Words, "offline_access") {
			t.Errorf("%s", r.Words)
		}
		if h.get(c.ID).ObjectID != "" {
			t.Error("the person was kept")
		}
	})
}

// Story 27: an external method is demanded when the code is redeemed. The person is
// sent back with the claims at once, and the sign-in succeeds; not for ever, though.
func TestStory27Challenge(t *testing.T) {
	const claims = `{"access_token":{"polids":{"essential":true,"values":["5ce770ea-8690-4747-aa73-c5b3cd509cd4"]}}}`
	each(t, func(t *testing.T, h *house) {
		for name, demands := range map[string]int{"once": 1, "twice": 2, "for ever": 100} {
			c, asked := h.connect(""), 0
			h.wire.change = func(_ string, form url.Values, status int, body map[string]any) int {
				if asked++; asked > demands {
					return status
				}
				clear(body)
				body["error"], body["error_description"], body["suberror"], body["claims"] = "interaction_required", "AADSTS50158: External security challenge not satisfied.", "additional_action", claims
				return 400
			}
			a := h.begin(c)
			address, rounds := a.URL, 0
			var err error
			for address != "" && err == nil {
				var done signin.Done
				h.lab.Advance(30 * time.Second) // no code of a code app is good twice
				done, err = h.signin.Finish(h.nobody(), h.walk("ines", address), a.Cookie.Reveal())
				if address = done.Again; address != "" {
					rounds++
					if q, _ := url.Parse(address); q.Query().Get("claims") != claims || q.Query().Get("scope") != "https://graph.microsoft.com/User.Read openid profile offline_access" {
						t.Errorf("%s: %s", name, address)
					}
				}
			}
			if demands > 2 {
				h.refusedFor(name, err, signin.Microsoft)
				if e := h.last(c); rounds != 2 || e.Code != "AADSTS50158" || e.Diagnosis == nil || e.Diagnosis.Category == "other" {
					t.Errorf("%d rounds: %+v", rounds, e)
				}
				continue
			}
			if err != nil || rounds != demands || len(h.grants) != 1 {
				t.Errorf("%s: %d rounds, %v", name, rounds, err)
			}
			h.grants = nil
		}
	})
}

// Story 29: the code is redeemed for the resource that it was asked for, so that a
// rule about it shows while the person is there.
func TestStory29SameResource(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		a := h.begin(h.connect(""))
		redeemed := ""
		h.wire.change = func(_ string, form url.Values, status int, _ map[string]any) int {
			redeemed = form.Get("scope")
			return status
		}
		if _, err := h.signin.Finish(h.nobody(), h.walk("ines", a.URL), a.Cookie.Reveal()); err != nil {
			t.Fatal(err)
		}
		if to, _ := url.Parse(a.URL); redeemed == "" || redeemed != to.Query().Get("scope") {
			t.Errorf("asked for %q, redeemed for %q", to.Query().Get("scope"), redeemed)
		}
	})
}

// Missing consent, at Microsoft's page or at redemption, is told where consent is
// asked for.
func TestNeedsConsent(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		c := h.connect("")
		for _, description := range []string{"AADSTS90094: An administrator must approve.\r\nTrace ID: t\r\nCorrelation ID: 11111111-2222-4333-8444-555555555555", "AADSTS65001: Nobody has consented."} {
			a := h.begin(c)
			q := h.walk("ines", a.URL)
			q.Del("code")
			q.Set("error", "access_denied")
			q.Set("error_description", description)
			_, err := h.signin.Finish(h.nobody(), q, a.Cookie.Reveal())
			h.refusedFor(description, err, signin.Microsoft)
		}
		if len(h.consents) != 2 || h.consents[0].Code != "AADSTS90094" || h.consents[0].CorrelationID != "11111111-2222-4333-8444-555555555555" {
			t.Errorf("told %+v", h.consents)
		}
		r, err := h.signin.Result(h.nobody(), h.last(c).AttemptID, secrets.Value{})
		if !errors.Is(err, signin.ErrMissing) {
			t.Errorf("%+v %v", r, err)
		}
		if _, err := h.signin.Begin(h.ada(), h.account().ID, signin.Options{}); !errors.Is(err, signin.ErrKind) {
			t.Errorf("somebody signs in for a service account: %v", err)
		}
	})
}

func (h *house) account() connection.Connection {
	h.t.Helper()
	c, err := h.connections.Create(h.ada(), connection.CreateRequest{TenantID: h.tenantID, Kind: connection.ServiceAccount, Profile: connection.Profile{Name: "Account", Username: olaf}, Credential: connection.CredentialRequest{Password: secrets.New("a password of somebody")}})
	if err != nil {
		h.t.Fatal(err)
	}
	return c
}
