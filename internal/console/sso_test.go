package console_test

import (
	"crypto/tls"
	"html"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"gatehouse/internal/audit"
	"gatehouse/internal/console"
	"gatehouse/internal/operator"
	"gatehouse/internal/secrets"
	"gatehouse/internal/sso"
	"gatehouse/internal/sso/ssotest"
)

// eva is who signs in through the strict provider.
var eva = ssotest.Person{Subject: "subject-1", Email: "eva@contoso.example", Name: "Eva Person", Groups: []string{"night-shift"}}

// strict makes a house whose operators sign in through a provider that is not
// Entra.
func strict(t *testing.T) (*house, *ssotest.Provider) {
	t.Helper()
	var issuer *ssotest.Provider
	h := newHouse(t, func(h *house) {
		h.signOn = func(address string) *sso.Provider {
			issuer = ssotest.Start(t, address+console.SSOCallback)
			p, err := sso.New(sso.Config{Issuer: issuer.URL, ClientID: ssotest.ClientID, Secret: secrets.New(ssotest.Secret), Name: "Contoso", Redirect: address + console.SSOCallback, Roots: issuer.Roots})
			return must(t, p, err)
		}
	})
	issuer.Is(eva)
	return h, issuer
}

// trusting is a visitor whose browser trusts the strict provider.
func (h *house) trusting(issuer *ssotest.Provider) *visitor {
	v := h.visitor()
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: issuer.Roots, MinVersion: tls.VersionTLS12}}
	h.t.Cleanup(transport.CloseIdleConnections)
	v.client.Transport = transport
	return v
}

// assign gives a group or person of the directory a role in all tenants.
func (h *house) assign(kind, id string, role audit.Role) operator.Assignment {
	h.t.Helper()
	_, directories, _ := h.operators.SignOn()
	a, err := h.operators.Assign(h.boss(), operator.Assignment{Directory: directories[0], Kind: kind, ObjectID: id, Name: id, TenantID: audit.AllTenants}, role)
	return must(h.t, a, err)
}

// TestSSOMatrix refuses what a sign-in through a directory can be wrong in, each
// with a reason of its own; nobody is signed in after any of them.
func TestSSOMatrix(t *testing.T) {
	t.Parallel()
	h, issuer := strict(t)
	h.administrator()
	h.assign(operator.GroupKind, "night-shift", audit.Viewer)
	claim := func(name string, value any) ssotest.Twist {
		return ssotest.Twist{Claims: func(c map[string]any) {
			if c[name] = value; value == nil {
				delete(c, name)
			}
		}}
	}
	answer := func(name, value string) ssotest.Twist {
		return ssotest.Twist{Answer: func(q url.Values) {
			if q.Set(name, value); value == "" {
				q.Del(name)
			}
		}}
	}
	alg := func(name string, sign func(string) []byte) ssotest.Twist {
		return ssotest.Twist{Header: func(head map[string]any) { head["alg"] = name }, Sign: sign}
	}
	in := func(d time.Duration) int64 { return time.Now().Add(d).Unix() }
	rows := []struct {
		name, says string
		twist      ssotest.Twist
	}{
		{"wrong issuer", "made by another directory", claim("iss", "https://other.example")},
		{"wrong audience", "meant for another app", claim("aud", "another-app")},
		{"several audiences without a party", "meant for another app", claim("aud", []string{ssotest.ClientID, "another-app"})},
		{"wrong party", "meant for another app", claim("azp", "another-app")},
		{"wrong nonce", "belongs to another sign-in", claim("nonce", "another")},
		{"no nonce", "belongs to another sign-in", claim("nonce", nil)},
		{"expired", "has expired", claim("exp", in(-2*sso.Skew))},
		{"not yet valid", "not valid yet", claim("nbf", in(2*sso.Skew))},
		{"issued in the future", "not valid yet", claim("iat", in(2*sso.Skew))},
		{"no subject", "cannot be read", claim("sub", "")},
		{"no expiry", "cannot be read", claim("exp", nil)},
		{"another key", "signature is wrong", ssotest.Twist{Sign: issuer.OtherKey}},
		{"another access token", "signature is wrong", claim("at_hash", "AAAAAAAAAAAAAAAAAAAAAA")},
		{"no signature", "not signed as it has to be", alg("none", func(string) []byte { return nil })},
		{"shared key", "not signed as it has to be", alg("HS256", issuer.SharedKey)},
		{"wrong state", "not the sign-in that this browser began", answer("state", strings.Repeat("x", 43))},
		{"no state", "not the sign-in that this browser began", answer("state", "")},
		{"answer of another issuer", "came from another directory", answer("iss", "https://other.example")},
		{"answer without issuer", "came from another directory", answer("iss", "")},
		{"code of another issuer", "does not take back its own answer", answer("code", "a-code-of-somebody-else")},
		{"declined", "did not let you in", ssotest.Twist{Answer: func(q url.Values) { q.Del("code"); q.Set("error", "access_denied") }}},
		{"groups left out", "Your groups could not be read", ssotest.Twist{Claims: func(c map[string]any) {
			delete(c, "groups")
			c["_claim_names"] = map[string]string{"groups": "src1"}
			c["_claim_sources"] = map[string]any{"src1": map[string]string{"endpoint": "https://other.example/groups"}}
		}}},
		{"no role", "You have no role here yet", claim("groups", []string{"day-shift"})},
	}
	for _, row := range rows {
		issuer.Twist(row.twist)
		v := h.trusting(issuer)
		p := v.get("/sign-in/sso?next=/tenants")
		if !strings.Contains(p.Text, row.says) || p.Status < 400 {
			t.Errorf("%s: %d %s does not say %q", row.name, p.Status, title(p), row.says)
		}
		if inside := v.get("/tenants"); inside.Path != "/sign-in" {
			t.Errorf("%s: signed in all the same", row.name)
		}
	}
	// And what is right gets in, within the skew of clocks.
	issuer.Twist(ssotest.Twist{Claims: func(c map[string]any) { c["exp"], c["iat"], c["nbf"] = in(-sso.Skew/2), in(sso.Skew/2), in(sso.Skew/2) }})
	if p := h.trusting(issuer).get("/sign-in/sso?next=/tenants"); p.Path != "/tenants" {
		t.Errorf("the right answer: %s %s", p.Path, title(p))
	}
	h.audited(t, "operator.sign_in failed", "operator.sign_in done")
}

// audited demands entries of the audit log.
func (h *house) audited(t *testing.T, want ...string) {
	t.Helper()
	records, err := h.log.List(h.boss(), audit.Filter{})
	all := ""
	for _, r := range must(t, records, err) {
		all += r.Action + " " + string(r.Outcome) + "\n"
	}
	for _, w := range want {
		if !strings.Contains(all, w) {
			t.Errorf("the audit log has no %q:\n%s", w, all)
		}
	}
}

var titled = regexp.MustCompile(`<h1>([^<]*)</h1>`)

func title(p page) string {
	if m := titled.FindStringSubmatch(p.Text); m != nil {
		return html.UnescapeString(m[1])
	}
	return p.Text[:min(len(p.Text), 200)]
}

// TestSSOBinding: a sign-in belongs to the browser that began it, is good once,
// and leads nowhere but into the console.
func TestSSOBinding(t *testing.T) {
	t.Parallel()
	h, issuer := strict(t)
	h.administrator()
	h.assign(operator.PersonKind, eva.Subject, audit.Viewer)

	// The answer, before the browser takes it back.
	v := h.trusting(issuer)
	var callback string
	v.client.CheckRedirect = func(r *http.Request, _ []*http.Request) error {
		if r.URL.Path == console.SSOCallback {
			callback = r.URL.RequestURI()
			return http.ErrUseLastResponse
		}
		return nil
	}
	v.get("/sign-in/sso")
	at, err := url.Parse(h.server.URL)
	held := v.client.Jar.Cookies(must(t, at, err))
	if len(held) != 1 || !strings.Contains(held[0].Name, "sso") {
		t.Fatalf("the browser holds %v", held)
	}
	// Somebody else's browser: the cookie is missing.
	if p := h.trusting(issuer).get(callback); !strings.Contains(p.Text, "not the sign-in that this browser began") {
		t.Errorf("another browser: %s", title(p))
	}
	// The right one, and then the same once more.
	if p := v.get(callback); p.Status != http.StatusOK || p.Path != "/" {
		t.Errorf("the right browser: %s %s", p.Path, title(p))
	}
	again := h.trusting(issuer)
	again.client.Jar.SetCookies(at, held)
	if p := again.get(callback); !strings.Contains(p.Text, "This sign-in was used already") {
		t.Errorf("a second time: %s", title(p))
	}
	// A wrong answer uses the sign-in up as well.
	spoilt := h.trusting(issuer)
	spoilt.client.CheckRedirect = v.client.CheckRedirect
	spoilt.get("/sign-in/sso")
	right, wrong := callback, strings.Replace(callback, "state=", "state=x", 1)
	held = spoilt.client.Jar.Cookies(at)
	spoilt.get(wrong)
	spoilt.client.Jar.SetCookies(at, held)
	if p := spoilt.get(right); !strings.Contains(p.Text, "This sign-in was used already") {
		t.Errorf("after a wrong answer: %s", title(p))
	}
	for _, next := range []string{"https://other.example/", "//other.example/", "/\\other.example", "javascript:alert(1)", strings.Repeat("/x", 2000)} {
		p := h.trusting(issuer).get("/sign-in/sso?next=" + url.QueryEscape(next))
		if p.Path != "/" || p.Status != http.StatusOK {
			t.Errorf("next=%.40s leads to %s (%d)", next, p.Path, p.Status)
		}
	}
}

// TestSSOPeople: roles follow the directory; whoever is removed there or here is
// out; an address proves nothing.
func TestSSOPeople(t *testing.T) {
	t.Parallel()
	h, issuer := strict(t)
	ada := h.administrator()
	h.add("Open Harbour")
	given := h.assign(operator.GroupKind, "night-shift", audit.Viewer)

	v := h.trusting(issuer)
	v.get("/sign-in").has(t, "Sign in with Contoso", "Sign in with a password instead")
	v.get("/sign-in/sso?next=%2Ftenants").has(t, "Open Harbour")
	v.get("/settings").has(t, "You signed in through the directory", eva.Email)
	if p := v.post("/settings/link", nil); p.Status != http.StatusForbidden {
		t.Errorf("a session of the directory links another account: %d", p.Status)
	}
	if p := v.get("/factors/new"); p.Status != http.StatusForbidden || !strings.Contains(p.Text, "You signed in through the directory") {
		t.Errorf("a session of the directory enrols a factor: %d %s", p.Status, title(p))
	}
	boss := h.visitor(ada)
	boss.get("/operators").has(t, "Eva Person", "Viewer in all tenants, through the group night-shift")

	// The role taken away: at once. Given back: from the next sign-in on.
	boss.get("/operators/directory/"+given.ID+"/remove").has(t, "loses it at once")
	boss.post("/operators/directory/"+given.ID+"/remove", nil).has(t, "The assignment is gone")
	if text := v.get("/tenants").Text; strings.Contains(text, "Open Harbour") {
		t.Error("the role is gone, and yet: Open Harbour is shown")
	}
	h.assign(operator.GroupKind, "night-shift", audit.Viewer)
	v.get("/sign-in/sso?next=%2Ftenants").has(t, "Open Harbour")

	// Out of the group: the next sign-in, from wherever, ends every session that
	// was begun through the directory.
	other := h.trusting(issuer)
	gone := eva
	gone.Groups = []string{}
	issuer.Is(gone)
	other.get("/sign-in/sso").has(t, "You have no role here yet", eva.Email, "subject-1", "Ada Person")
	if p := v.get("/tenants"); p.Path != "/sign-in" {
		t.Errorf("a person who was removed still sees %s", p.Path)
	}
	// Disabled here.
	issuer.Is(eva)
	v.get("/sign-in/sso?next=%2Ftenants").has(t, "Open Harbour")
	person := regexp.MustCompile(`/operators/[0-9a-f-]{36}">Eva`).FindString(boss.get("/operators").Text)
	boss.post(strings.TrimSuffix(person, `">Eva`)+"/disable", nil)
	if p := v.get("/tenants"); p.Path != "/sign-in" {
		t.Errorf("a disabled operator still sees %s", p.Path)
	}
	v.get("/sign-in/sso").has(t, "Your account here is disabled")

	// Another person with the address of a local account: that account is theirs
	// only once its owner has linked the two.
	issuer.Is(ssotest.Person{Subject: "subject-2", Email: adaEmail, Name: "Ada Person", Groups: []string{"night-shift"}})
	h.trusting(issuer).get("/sign-in/sso").has(t, "An account with your address is here already")
	link := boss.post("/settings/link", nil)
	link.has(t, "Link your directory account", "Go to Contoso")
	way := html.UnescapeString(regexp.MustCompile(`href="(https://127[^"]+)"`).FindStringSubmatch(link.Text)[1])
	boss.client.Transport = v.client.Transport
	response, err := boss.client.Get(way) //nolint:bodyclose // read closes it
	boss.read(response, err).has(t, "Your directory account is linked", "Linked with "+adaEmail)
	asAda := h.trusting(issuer)
	asAda.get("/sign-in/sso?next=%2Foperators").has(t, "Invite an operator")

	// The same person does not become another operator as well.
	issuer.Is(eva)
	link = boss.post("/settings/link", nil)
	way = html.UnescapeString(regexp.MustCompile(`href="(https://127[^"]+)"`).FindStringSubmatch(link.Text)[1])
	response, err = boss.client.Get(way) //nolint:bodyclose // read closes it
	boss.read(response, err).has(t, "belongs to another operator")
	h.audited(t, "operator.linked done", "assignment.added done", "assignment.removed done")
}

// TestSSODown: when the directory does not answer, accounts for emergencies get
// in, and others are told whom to wait for. A new key of the issuer's is found.
func TestSSODown(t *testing.T) {
	t.Parallel()
	h, issuer := strict(t)
	ada := h.administrator()
	h.assign(operator.GroupKind, "night-shift", audit.Viewer)
	issuer.Down(true)
	p := h.trusting(issuer).get("/sign-in/sso")
	p.has(t, "The directory does not answer", "/sign-in?local=1")
	if p.Status != http.StatusBadGateway {
		t.Errorf("answered %d", p.Status)
	}
	h.visitor().get("/sign-in?local=1").has(t, "<details class=\"fold\" open", "E-mail address")
	issuer.Down(false)
	if p := h.trusting(issuer).get("/sign-in/sso?next=/tenants"); p.Path != "/tenants" {
		t.Errorf("once it answers: %s", title(p))
	}
	issuer.Rotate()
	if p := h.trusting(issuer).get("/sign-in/sso?next=/tenants"); p.Path != "/tenants" || issuer.KeysRead() != 2 {
		t.Errorf("with a new key: %s, keys read %d times", title(p), issuer.KeysRead())
	}

	// Only accounts for emergencies sign in with a password from now on.
	boss := h.visitor(ada)
	me := regexp.MustCompile(`/operators/([0-9a-f-]{36})">Ada`).FindStringSubmatch(boss.get("/operators").Text)[1]
	eve := h.visitor()
	made := boss.post("/operators/new", url.Values{"email": {"eve@gatehouse.example"}, "name": {"Eve Person"}, "tenant": {""}, "role": {"administrator"}})
	eve.join(strings.TrimPrefix(shownLink.FindStringSubmatch(made.Text)[1], eve.server.URL))
	boss.post("/operators/local", url.Values{"only": {"yes"}}).has(t, "leaves nobody who administers all tenants")
	boss.get("/operators/local").has(t, `value="`+me+`" checked`)
	boss.post("/operators/local", url.Values{"only": {"yes"}, "break_glass": {me}}).has(t, "Who may sign in with a password is stored")
	if p := eve.get("/tenants"); p.Path != "/sign-in" {
		t.Errorf("a session with a password goes on: %s", p.Path)
	}
	if p := boss.get("/tenants"); p.Path != "/tenants" {
		t.Errorf("the account for emergencies is signed out: %s", p.Path)
	}
	eve.post("/sign-in", url.Values{"email": {"eve@gatehouse.example"}, "password": {goodPassword}}).has(t, "The e-mail address or the password is wrong", "Only accounts for emergencies")
	h.visitor().post("/sign-in", url.Values{"email": {adaEmail}, "password": {goodPassword}}).has(t, "Second factor")
	made = boss.post("/operators/new", url.Values{"email": {"fay@gatehouse.example"}, "name": {"Fay Person"}, "tenant": {""}, "role": {"viewer"}})
	if p := h.visitor().get(strings.TrimPrefix(shownLink.FindStringSubmatch(made.Text)[1], h.server.URL)); p.Status != http.StatusForbidden {
		t.Errorf("a link opens an account that may not sign in: %d", p.Status)
	}
	// The last one for emergencies stays.
	if p := boss.post("/operators/"+me+"/disable", nil); !strings.Contains(p.Text, "the last administrator") {
		t.Errorf("disabling the last account for emergencies: %s", title(p))
	}
	h.audited(t, "local_sign_in.limited done")
}
