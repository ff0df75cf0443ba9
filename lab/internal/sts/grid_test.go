package sts_test

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"gatehouse/lab/internal/directory"
	"gatehouse/lab/internal/federation"
	"gatehouse/lab/internal/pki"
)

const gridTenants = `{"tenants":[
 {"name":"T","domain":"t.onmicrosoft.com","id":"0f1e2d3c-4b5a-4978-8796-a5b4c3d2e1f0",
  "domains":[{"name":"corp.example","federation":{"protocol":"WSTrust","metadata_url":"https://adfs.corp.example/adfs/services/trust/mex","active_url":"https://adfs.corp.example/a"}}],
  "users":[{"upn":"u@t.onmicrosoft.com","password":"pass-word-1"},{"upn":"fred@corp.example","password":"pass-word-1","synced":true}],
  "apps":[{"name":"Desktop","client_id":"21111111-2222-4333-8444-555555555555","public":true,"redirect_uris":["http://localhost"]},
   {"name":"Web","client_id":"11111111-2222-4333-8444-555555555555","secret":{"value":"a-secret-of-sufficient-length"},"redirect_uris":["https://app.example/cb"],"scopes":["use"]},
   {"name":"Robot","client_id":"b1111111-2222-4333-8444-555555555555","secret":{"value":"a-secret-of-sufficient-length"},"certificate":true,"granted":{"graph":["User.Read.All"]},
    "federated_credentials":[{"issuer":"https://issuer.build.example","subject":"repo:harbour/crane:ref:refs/heads/main"}]}],
  "grants":[{"app":"Desktop","scopes":["User.Read","Mail.Read"]},{"app":"Web","scopes":["User.Read","Mail.Read"]},{"app":"Desktop","resource":"Web","scopes":["use"]}]},
 {"name":"Elsewhere","domain":"elsewhere.onmicrosoft.com","apps":[{"name":"X","client_id":"99999999-2222-4333-8444-555555555555","public":true}]}]}`

// attempt is one sign-in of the grid: a flow up to the token request, which a
// refusal may spoil.
type attempt struct {
	t      *testing.T
	c      *cloud
	flow   gridFlow
	path   string
	method string
	form   url.Values
	raw    string // sent instead of the form
	claims map[string]any
	page   string // the page that the person was left at
	code   int    // the code that the pages showed or gave the app
}

// gridFlow is one way to a token.
type gridFlow struct {
	name         string
	client, user string
	pages        bool                       // a person signs in on the pages
	begin        func(*attempt, gridChange) // up to the token request
}

// gridChange spoils an attempt: the world before anything happens or right
// before the token request, the pages, or the request.
type gridChange struct {
	name     string
	early    bool // the world changes before the person comes to the pages
	world    func(*attempt, *directory.Tenant)
	clock    time.Duration
	password string // on the pages
	ask      []string
	request  func(*attempt)
	twice    bool
}

// apply changes the world.
func (g gridChange) apply(a *attempt) {
	if g.world != nil {
		a.c.tenant(a.t, func(tenant *directory.Tenant) { g.world(a, tenant) })
	}
	a.c.now = a.c.now.Add(g.clock)
}

const graphScope = "https://graph.microsoft.com/.default"

var shownCode = regexp.MustCompile(`AADSTS(\d+)`)

// onPages signs the flow's person in on the pages.
func (a *attempt) onPages(b *browser, g gridChange) *browser {
	word := pw
	if g.password != "" {
		word = g.password
	}
	for range 6 {
		switch b.step() {
		case "account":
			b.fill("upn", a.flow.user)
		case "password":
			if m := shownCode.FindStringSubmatch(b.body); m != nil {
				a.code, _ = strconv.Atoi(m[1])
				return b
			}
			b.fill("password", word)
		case "stay":
			b.fill("action", "no")
		case "device":
			b.fill("action", "continue")
		default:
			answer := b.body
			if b.left != nil {
				answer = b.answer().Get("error_description")
			}
			if m := shownCode.FindStringSubmatch(answer); m != nil {
				a.code, _ = strconv.Atoi(m[1])
			}
			a.page = b.step()
			return b
		}
		if b.step() == "account" {
			if m := shownCode.FindStringSubmatch(b.body); m != nil {
				a.code, _ = strconv.Atoi(m[1])
				return b
			}
		}
	}
	return b
}

func (a *attempt) tokens() map[string]any {
	a.t.Helper()
	_, body := a.c.post(a.t, "/t.onmicrosoft.com/oauth2/v2.0/token", url.Values{"grant_type": {"password"}, "client_id": {desktop}, "username": {a.flow.user}, "password": {pw}, "scope": {"User.Read offline_access"}})
	return body
}

func byCode(a *attempt, g gridChange) {
	pairs := append([]string{"client_id", a.flow.client, "redirect_uri", "http://localhost:51234", "scope", "User.Read offline_access", "code_challenge", challenge(), "code_challenge_method", "S256"}, g.ask...)
	b := a.onPages(a.c.browser(a.t).get(ask(pairs...)), g)
	a.form = redeem("client_id", a.flow.client, "code_verifier", verifier, "scope", "User.Read offline_access")
	if b.left != nil {
		if state := b.answer().Get("state"); state != "s t&a/te" {
			a.t.Errorf("state came back as %q", state)
		}
		a.form.Set("code", b.answer().Get("code"))
	}
}

func byDevice(a *attempt, g gridChange) {
	_, body := a.c.post(a.t, "/t.onmicrosoft.com/oauth2/v2.0/devicecode", url.Values{"client_id": {a.flow.client}, "scope": {"User.Read offline_access"}})
	user, _ := body["user_code"].(string)
	device, _ := body["device_code"].(string)
	a.onPages(a.c.browser(a.t).get("/common/oauth2/deviceauth?otc="+user).fill(), g)
	a.form = url.Values{"grant_type": {grantDevice}, "client_id": {a.flow.client}, "device_code": {device}}
}

func byPassword(a *attempt, _ gridChange) {
	a.form = url.Values{"grant_type": {"password"}, "client_id": {a.flow.client}, "username": {a.flow.user}, "password": {pw}, "scope": {"User.Read"}}
}

func bySecret(a *attempt, _ gridChange) {
	a.form = url.Values{"grant_type": {"client_credentials"}, "client_id": {a.flow.client}, "client_secret": {secret}, "scope": {graphScope}}
}

func byCertificate(a *attempt, _ gridChange) {
	a.form = url.Values{"grant_type": {"client_credentials"}, "client_id": {a.flow.client}, "scope": {graphScope}, "client_assertion_type": {"urn:ietf:params:oauth:client-assertion-type:jwt-bearer"}}
	a.claims = map[string]any{"aud": root + "/t.onmicrosoft.com/oauth2/v2.0/token", "iss": a.flow.client, "sub": a.flow.client, "jti": "1", "nbf": a.c.now.Unix(), "exp": a.c.now.Add(10 * time.Minute).Unix()}
	a.sign()
}

// sign makes the client assertion out of the attempt's claims.
func (a *attempt) sign() {
	a.t.Helper()
	key, err := pki.ClientKey()
	if err != nil {
		a.t.Fatal(err)
	}
	var sum [32]byte
	a.c.tenant(a.t, func(tenant *directory.Tenant) {
		sum = sha256.Sum256(tenant.App(a.flow.client).Certificates[0].Certificate.Raw)
	})
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.PS256, Key: key}, &jose.SignerOptions{ExtraHeaders: map[jose.HeaderKey]any{"x5t#S256": base64.RawURLEncoding.EncodeToString(sum[:])}})
	if err != nil {
		a.t.Fatal(err)
	}
	payload, err := json.Marshal(a.claims)
	if err != nil {
		a.t.Fatal(err)
	}
	signed, err := signer.Sign(payload)
	if err != nil {
		a.t.Fatal(err)
	}
	compact, err := signed.CompactSerialize()
	if err != nil {
		a.t.Fatal(err)
	}
	a.form.Set("client_assertion", compact)
}

func byWorkload(a *attempt, _ gridChange) {
	token, err := a.c.federation.Mint(federation.WorkloadToken{Issuer: buildIssuer, Subject: buildRun})
	if err != nil {
		a.t.Fatal(err)
	}
	a.form = url.Values{"grant_type": {"client_credentials"}, "client_id": {a.flow.client}, "scope": {graphScope}, "client_assertion_type": {"urn:ietf:params:oauth:client-assertion-type:jwt-bearer"}, "client_assertion": {token}}
}

func byRefresh(a *attempt, _ gridChange) {
	value, _ := a.tokens()["refresh_token"].(string)
	a.form = url.Values{"grant_type": {"refresh_token"}, "client_id": {a.flow.client}, "refresh_token": {value}, "scope": {"User.Read"}}
}

func byBehalf(a *attempt, _ gridChange) {
	token, _ := a.c.password(a.t, desktop, a.flow.user, "api://"+webApp+"/use")["access_token"].(string)
	a.form = behalf(a.flow.client, token, "User.Read")
}

func bySAML(a *attempt, _ gridChange) {
	_, answer := a.c.trust(a.t, corpActive, a.flow.user, pw, "")
	a.form = bearer(assertionPattern.FindString(answer))
	a.form.Set("scope", "User.Read")
}

var gridFlows = []gridFlow{
	{"authorization code", desktop, "u@t.onmicrosoft.com", true, byCode},
	{"device code", desktop, "u@t.onmicrosoft.com", true, byDevice},
	{"password", desktop, "u@t.onmicrosoft.com", false, byPassword},
	{"client secret", pipeline, "", false, bySecret},
	{"certificate", pipeline, "", false, byCertificate},
	{"federated credential", pipeline, "", false, byWorkload},
	{"refresh", desktop, "u@t.onmicrosoft.com", false, byRefresh},
	{"on-behalf-of", webApp, "u@t.onmicrosoft.com", false, byBehalf},
	{"SAML bearer", desktop, "fred@corp.example", false, bySAML},
}

// run plays an attempt and gives the code, 0 for a token.
func (f gridFlow) run(t *testing.T, g gridChange) (code int, page string) {
	t.Helper()
	a := &attempt{t: t, c: start(t, gridTenants), flow: f, path: "/t.onmicrosoft.com/oauth2/v2.0/token", method: http.MethodPost}
	if early := g.early && f.pages; early {
		g.apply(a)
		f.begin(a, g)
	} else {
		f.begin(a, g)
		g.apply(a)
	}
	if a.code != 0 || a.page != "" && a.page != "left" && a.page != "200" {
		return a.code, a.page
	}
	if g.request != nil {
		g.request(a)
	}
	status, body := a.send()
	if g.twice && status == http.StatusOK {
		status, body = a.send()
	}
	if status == http.StatusOK && body["access_token"] == nil {
		t.Fatalf("neither token nor refusal: %v", body)
	}
	return codeOf(body), ""
}

func (a *attempt) send() (int, map[string]any) {
	a.t.Helper()
	text := a.form.Encode()
	if a.raw != "" {
		text = a.raw
	}
	r := httptest.NewRequestWithContext(a.t.Context(), a.method, root+a.path, strings.NewReader(text))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	w := httptest.NewRecorder()
	a.c.ServeHTTP(w, r)
	body := map[string]any{}
	if err := json.Unmarshal(w.Body.Bytes(), &body); err != nil {
		a.t.Fatal(err)
	}
	return w.Code, body
}

func codeOf(body map[string]any) int { return code(body) }

// because says why a refusal cannot happen in a flow: the attempt then ends
// with a token all the same.
type because string

// asks is the page on which the person is asked instead.
type asks string

const (
	noPerson   = because("no person signs in")
	noRedirect = because("nothing is sent to a redirect address")
	noPages    = because("there is no request to the sign-in page")
	notAgain   = because("nothing documented forbids using it again")
	published  = because("the client is confidential and has shown its credential")
)

// TestGrid is every flow against every refusal: a code, or the reason why it
// cannot happen, or the page on which the person is asked.
func TestGrid(t *testing.T) {
	form := func(pairs ...string) func(*attempt) {
		return func(a *attempt) {
			for i := 0; i < len(pairs); i += 2 {
				a.form.Set(pairs[i], pairs[i+1])
			}
		}
	}
	user := func(change func(*directory.User)) func(*attempt, *directory.Tenant) {
		return func(a *attempt, tenant *directory.Tenant) {
			for _, u := range tenant.Users {
				if a.flow.user == "" || strings.EqualFold(u.UPN, a.flow.user) {
					change(u)
				}
			}
		}
	}
	artifacts := []string{"code", "device_code", "refresh_token", "assertion", "client_assertion", "client_secret", "password"}
	spoil := func(a *attempt) {
		for _, name := range artifacts {
			if value := a.form.Get(name); value != "" && (name != "client_secret" || a.flow.name == "client secret") {
				if a.flow.name == "SAML bearer" { // within the signed part
					raw, _ := base64.StdEncoding.DecodeString(value)
					a.form.Set(name, base64.StdEncoding.EncodeToString([]byte(strings.ReplaceAll(string(raw), "fred@", "fr3d@"))))
					return
				}
				at := len(value) - 20
				if at < 0 {
					at = 0
				}
				a.form.Set(name, value[:at]+strings.Repeat("A", len(value)-at))
			}
		}
	}
	everywhere := func(code int) []any {
		out := make([]any, len(gridFlows))
		for i := range out {
			out[i] = code
		}
		return out
	}
	tests := []struct {
		change gridChange
		want   []any // by flow, in their order: int, because or asks
	}{
		{gridChange{name: "nothing"}, everywhere(0)},
		{gridChange{name: "wrong credential", password: "wrong", request: spoil}, []any{50126, 50126, 50126, 7000215, 700027, 700027, 70000, 50013, 50008}},
		{gridChange{name: "unknown app", request: form("client_id", "77777777-2222-4333-8444-555555555555")}, []any{700016, 700016, 700016, 700016, 700016, 700016, 700016, 700016, 700016}},
		{gridChange{name: "disabled app", world: func(a *attempt, tenant *directory.Tenant) { tenant.Principal(a.flow.client).Enabled = false }}, everywhere(7000112)},
		{gridChange{name: "removed app", world: func(a *attempt, tenant *directory.Tenant) {
			tenant.RemovePrincipal(tenant.Principal(a.flow.client))
			tenant.RemoveApp(tenant.App(a.flow.client))
		}}, everywhere(700016)},
		{gridChange{name: "unknown tenant", request: func(a *attempt) { a.path = "/nowhere.onmicrosoft.com/oauth2/v2.0/token" }}, everywhere(90002)},
		{gridChange{name: "another tenant", request: func(a *attempt) { a.path = "/elsewhere.onmicrosoft.com/oauth2/v2.0/token" }}, everywhere(700016)},
		{gridChange{name: "shared address for personal accounts", request: func(a *attempt) { a.path = "/consumers/oauth2/v2.0/token" }},
			[]any{because("the tenant follows from the code"), because("the tenant follows from the device code"), 9001023, 50059, 50059, 50059, because("the tenant follows from the refresh token"), because("the tenant follows from the assertion"), 90002}},
		{gridChange{name: "unknown user", early: true, world: func(a *attempt, tenant *directory.Tenant) {
			for _, u := range append([]*directory.User(nil), tenant.Users...) {
				tenant.RemoveUser(u)
			}
		}}, []any{50034, 50034, 50034, noPerson, noPerson, noPerson, 50034, 50034, 51004}},
		{gridChange{name: "disabled user", world: user(func(u *directory.User) { u.Enabled = false })}, []any{50057, 50057, 50057, noPerson, noPerson, noPerson, 50057, 50057, 50057}},
		{gridChange{name: "disabled user on the pages", early: true, world: user(func(u *directory.User) { u.Enabled = false })}, []any{50057, 50057, 50057, noPerson, noPerson, noPerson, 50057, 50057, 50057}},
		{gridChange{name: "expired password", early: true, world: user(func(u *directory.User) { u.PasswordExpired = true })},
			[]any{asks("change"), asks("change"), 50055, noPerson, noPerson, noPerson, because("tokens outlive the password's expiry (§8)"), because("tokens outlive the password's expiry (§8)"), because("the organisation's own server looks after the password")}},
		{gridChange{name: "locked out", early: true, world: user(func(u *directory.User) { u.LockedUntil = time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC) })},
			[]any{50053, 50053, 50053, noPerson, noPerson, noPerson, because("lock-out stops passwords"), because("lock-out stops passwords"), because("lock-out stops passwords that Entra ID checks")}},
		{gridChange{name: "MFA required", early: true, world: user(func(u *directory.User) {
			u.PerUserMFA, u.Methods = "enforced", []*directory.Method{{ID: "m", Type: directory.SoftwareOATH, Secret: "JBSWY3DPEHPK3PXP"}}
		})}, []any{asks("code"), asks("code"), 50076, noPerson, noPerson, noPerson, 50076, 50076, 50076}},
		{gridChange{name: "not enrolled", early: true, world: user(func(u *directory.User) { u.PerUserMFA = "enforced" })}, []any{asks("register"), asks("register"), 50079, noPerson, noPerson, noPerson, 50079, 50079, 50079}},
		{gridChange{name: "MFA required after the sign-in", world: user(func(u *directory.User) {
			u.PerUserMFA, u.Methods = "enforced", []*directory.Method{{ID: "m", Type: directory.SoftwareOATH, Secret: "JBSWY3DPEHPK3PXP"}}
		})}, []any{50076, 50076, 50076, noPerson, noPerson, noPerson, 50076, 50076, 50076}},
		{gridChange{name: "authentication context demanded", request: form("claims", `{"access_token":{"acrs":{"essential":true,"value":"c1"}}}`)}, []any{50079, 50079, 50079, noPerson, noPerson, noPerson, 50079, 50079, 50079}},
		{gridChange{name: "no consent", early: true, world: func(_ *attempt, tenant *directory.Tenant) { tenant.Grants = nil; tenant.Consent.Users = "all" }},
			[]any{asks("consent"), asks("consent"), 65001, because("an app that was granted nothing gets a token without roles"), because("an app that was granted nothing gets a token without roles"),
				because("an app that was granted nothing gets a token without roles"), 65001, 65001, 65001}},
		{gridChange{name: "consent withdrawn after the sign-in", world: func(_ *attempt, tenant *directory.Tenant) { tenant.Grants = nil }}, []any{65001, 65001, 65001, noPerson, noPerson, noPerson, 65001, 65001, 65001}},
		{gridChange{name: "not assigned", early: true, world: func(a *attempt, tenant *directory.Tenant) { tenant.Principal(a.flow.client).AssignmentRequired = true }},
			[]any{50105, 50105, 50105, because("assignment is asked of people"), because("assignment is asked of people"), because("assignment is asked of people"), 50105, 50105, 50105}},
		{gridChange{name: "unknown resource", request: form("scope", "https://nowhere.example/.default")}, []any{500011, 500011, 500011, 500011, 500011, 500011, 500011, 500011, 500011}},
		{gridChange{name: "disabled resource", world: func(_ *attempt, tenant *directory.Tenant) { tenant.Principal(directory.GraphID).Enabled = false }}, everywhere(500014)},
		{gridChange{name: "unknown permission", request: form("scope", "https://graph.microsoft.com/User.Raed")}, []any{70011, 70011, 70011, 1002012, 1002012, 1002012, 70011, 70011, 70011}},
		{gridChange{name: "two resources", request: form("scope", graphScope+" https://management.azure.com/.default")}, everywhere(28000)},
		{gridChange{name: "permission beside .default", request: form("scope", graphScope+" https://graph.microsoft.com/User.Read")}, []any{70011, 70011, 70011, 1002012, 1002012, 1002012, 70011, 70011, 70011}},
		{gridChange{name: "revoked", clock: time.Second, world: func(a *attempt, tenant *directory.Tenant) {
			user(func(u *directory.User) { u.Revoke(a.c.now.Add(time.Second)) })(a, tenant)
		}},
			[]any{50173, 50173, because("it is a new sign-in"), noPerson, noPerson, noPerson, 50173, 50173, because("it is a new sign-in")}},
		{gridChange{name: "password changed", clock: time.Second, world: func(a *attempt, tenant *directory.Tenant) {
			user(func(u *directory.User) {
				u.SetPassword(directory.HashPassword("another-word-2"), "", a.c.now.Add(time.Second))
			})(a, tenant)
		}}, []any{50173, 50173, 50126, noPerson, noPerson, noPerson, 50173, published, because("the organisation's own server looks after the password")}},
		{gridChange{name: "used twice", twice: true}, []any{54005, 54005, notAgain, notAgain, notAgain, notAgain, because("a refresh token stays good after its use (§8)"), notAgain, notAgain}},
		{gridChange{name: "too late by seventy minutes", clock: 70 * time.Minute}, []any{70008, 70019, because("a password has no end"), because("the secret ends later"), 700024, 700024, because("it would take 90 days"), 500133, 500133}},
		{gridChange{name: "too late by a year and more", clock: 10_000 * time.Hour}, []any{70008, 70018, because("a password has no end"), 7000222, 700024, 700024, 700082, 7000222, 500133}},
		{gridChange{name: "PKCE mismatch", request: form("code_verifier", strings.Repeat("x", 50))}, []any{501481, noRedirect, noRedirect, noRedirect, noRedirect, noRedirect, noRedirect, noRedirect, noRedirect}},
		{gridChange{name: "redirect mismatch", request: form("redirect_uri", "http://localhost:1/other")}, []any{50011, noRedirect, noRedirect, noRedirect, noRedirect, noRedirect, noRedirect, noRedirect, noRedirect}},
		{gridChange{name: "no redirect address", request: form("redirect_uri", "")}, []any{900144, noRedirect, noRedirect, noRedirect, noRedirect, noRedirect, noRedirect, noRedirect, noRedirect}},
		{gridChange{name: "silently without a session", ask: []string{"prompt", "none"}}, []any{50058, noPages, noPages, noPages, noPages, noPages, noPages, noPages, noPages}},
		{gridChange{name: "another client's", world: func(a *attempt, tenant *directory.Tenant) {}, request: func(a *attempt) {
			a.form.Set("client_id", "22222222-2222-4333-8444-555555555555")
			a.c.tenant(a.t, func(tenant *directory.Tenant) {
				other := *tenant.App(a.flow.client)
				other.ClientID, other.ID, other.API = a.form.Get("client_id"), "x", nil
				tenant.AddApp(&other)
				tenant.Install(other.ClientID, a.c.now)
				principal, graph := tenant.Principal(other.ClientID).ID, tenant.Principal(directory.GraphID).ID
				tenant.GrantScopes(principal, graph, "", []string{"User.Read"})
			})
		}}, []any{70000, 70018, because("a password is not tied to a client"), because("both hold the same secret here"), 700021, because("both hold the same credential here"), 70000, 500131, because("an assertion is for the cloud, not for a client")}},
		{gridChange{name: "public client with a secret", request: form("client_secret", secret)}, []any{700025, 700025, 700025, because("it is confidential"), because("the assertion counts"), because("the assertion counts"), 700025, because("it is confidential"), 700025}},
		{gridChange{name: "confidential client without a credential", request: func(a *attempt) {
			a.form.Set("client_id", webApp)
			for _, name := range []string{"client_secret", "client_assertion"} {
				a.form.Del(name)
			}
		}}, everywhere(7000218)},
		{gridChange{name: "no artifact", request: func(a *attempt) {
			for _, name := range artifacts {
				a.form.Del(name)
			}
		}}, []any{900144, 900144, 900144, 7000218, 7000218, 7000218, 900144, 7000218, 900144}},
		{gridChange{name: "no client id", request: form("client_id", "")}, everywhere(900144)},
		{gridChange{name: "unknown grant", request: form("grant_type", "magic")}, everywhere(70003)},
		{gridChange{name: "no grant", request: form("grant_type", "")}, everywhere(900144)},
		{gridChange{name: "unreadable claims", request: form("claims", "{")}, everywhere(50117)},
		{gridChange{name: "malformed", request: func(a *attempt) { a.raw = "grant_type=%zz" }}, everywhere(9002313)},
		{gridChange{name: "GET", request: func(a *attempt) { a.method = http.MethodGet }}, everywhere(900561)},
	}
	cells := 0
	for _, test := range tests {
		for i, flow := range gridFlows {
			t.Run(fmt.Sprint(test.change.name, "/", flow.name), func(t *testing.T) {
				cells++
				code, page := flow.run(t, test.change)
				switch want := test.want[i].(type) {
				case int:
					if code != want {
						t.Errorf("code %d (page %q), want %d", code, page, want)
					}
				case asks:
					if page != string(want) || code != 0 {
						t.Errorf("code %d, page %q, want the page %q", code, page, want)
					}
				case because:
					if code != 0 || page != "" {
						t.Errorf("code %d, page %q, though %s", code, page, want)
					}
				}
			})
		}
	}
	if cells < 390 {
		t.Errorf("only %d cells", cells)
	}
}
