package sts_test

import (
	"bytes"
	"encoding/base64"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"gatehouse/lab/internal/directory"
)

// harbour is a tenant with a federated domain beside its own.
const harbour = `{"tenants":[
 {"name":"T","domain":"t.onmicrosoft.com","id":"0f1e2d3c-4b5a-4978-8796-a5b4c3d2e1f0",
  "domains":[{"name":"corp.example","federation":{"protocol":"WSTrust","metadata_url":"https://adfs.corp.example/adfs/services/trust/mex","active_url":"https://adfs.corp.example/adfs/services/trust/13/usernamemixed","brand":"Corp AD FS"}},
   {"name":"quay.example","federation":{"protocol":"WSTrust","metadata_url":"https://adfs.quay.example/adfs/services/trust/mex","active_url":"https://adfs.quay.example/adfs/services/trust/13/usernamemixed"}}],
  "users":[{"upn":"fred@corp.example","name":"Fred <&> Ford","password":"pass-word-1","synced":true},
   {"upn":"cloud@corp.example","password":"pass-word-1"},
   {"upn":"mia@corp.example","password":"pass-word-1","synced":true,"per_user_mfa":"enforced","methods":[{"type":"oath","secret":"JBSWY3DPEHPK3PXP"}]},
   {"upn":"quentin@quay.example","password":"pass-word-1","synced":true},
   {"upn":"plain@t.onmicrosoft.com","password":"pass-word-1"}],
  "apps":[{"name":"Desktop","client_id":"21111111-2222-4333-8444-555555555555","public":true,"redirect_uris":["http://localhost"]}],
  "grants":[{"app":"Desktop","scopes":["User.Read"]}]}]}`

// trust asks a federation server for an assertion; kind is the token type, ""
// for the server's choice.
func (c *cloud) trust(tb testing.TB, path, user, password, kind string) (int, string) {
	tb.Helper()
	if kind != "" {
		kind = "<wst:TokenType>" + kind + "</wst:TokenType>"
	}
	body := `<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope" xmlns:wsa="http://www.w3.org/2005/08/addressing"><s:Header>` +
		`<wsse:Security xmlns:wsse="http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd"><wsse:UsernameToken><wsse:Username>` + user + `</wsse:Username><wsse:Password>` + password +
		`</wsse:Password></wsse:UsernameToken></wsse:Security></s:Header><s:Body><wst:RequestSecurityToken xmlns:wst="http://docs.oasis-open.org/ws-sx/ws-trust/200512">` +
		`<wsp:AppliesTo xmlns:wsp="http://schemas.xmlsoap.org/ws/2004/09/policy"><wsa:EndpointReference><wsa:Address>urn:federation:MicrosoftOnline</wsa:Address></wsa:EndpointReference></wsp:AppliesTo>` + kind +
		`<wst:RequestType>http://docs.oasis-open.org/ws-sx/ws-trust/200512/Issue</wst:RequestType></wst:RequestSecurityToken></s:Body></s:Envelope>`
	r := httptest.NewRequestWithContext(tb.Context(), http.MethodPost, outside+path, strings.NewReader(body))
	w := httptest.NewRecorder()
	c.serve(w, r)
	return w.Code, w.Body.String()
}

var assertionPattern = regexp.MustCompile(`(?s)<saml:Assertion.*</saml:Assertion>`)

const (
	corpActive = "/corp.example/adfs/services/trust/13/usernamemixed"
	saml2Kind  = "urn:oasis:names:tc:SAML:2.0:assertion"
)

// bearer is the form that redeems an assertion.
func bearer(assertion string) url.Values {
	kind := "saml1_1"
	if strings.Contains(assertion, saml2Kind) {
		kind = "saml2"
	}
	return url.Values{"grant_type": {"urn:ietf:params:oauth:grant-type:" + kind + "-bearer"}, "client_id": {desktop}, "scope": {"User.Read openid offline_access"}, "assertion": {base64.StdEncoding.EncodeToString([]byte(assertion))}}
}

// TestMSALFederated: MSAL Go's password sign-in of a federated account, from
// user realm over metadata and WS-Trust to the token.
func TestMSALFederated(t *testing.T) {
	c := start(t, harbour)
	client := c.client(t)
	for _, test := range []struct{ user, password, want string }{
		{"fred@corp.example", pw, ""},
		{"quentin@quay.example", pw, ""},
		{"fred@corp.example", "wrong", "FailedAuthentication"},
		{"nobody@corp.example", pw, "FailedAuthentication"},
		{"cloud@corp.example", pw, "AADSTS90020"},
		{"mia@corp.example", pw, "AADSTS50076"},
	} {
		result, err := client.AcquireTokenByUsernamePassword(t.Context(), []string{"User.Read"}, test.user, test.password) //nolint:staticcheck // the old way in is what the lab shows
		switch {
		case test.want == "" && (err != nil || claims(t, result.AccessToken)["upn"] != test.user || claims(t, result.AccessToken)["amr"].([]any)[0] != "fed"):
			t.Errorf("%s: %v", test.user, err)
		case test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)):
			t.Errorf("%s: %v, want %s", test.user, err, test.want)
		}
	}
}

// TestSAMLBearer: both versions of SAML, and what spoils an assertion.
func TestSAMLBearer(t *testing.T) {
	c := start(t, harbour)
	token := func(path, user, kind string) string {
		status, answer := c.trust(t, path, user, pw, kind)
		assertion := assertionPattern.FindString(answer)
		if status != http.StatusOK || assertion == "" {
			t.Fatalf("%d: %s", status, answer)
		}
		return assertion
	}
	redeem := func(form url.Values) (int, map[string]any) {
		return c.post(t, "/t.onmicrosoft.com/oauth2/v2.0/token", form)
	}
	good := token(corpActive, "fred@corp.example", "")
	for _, assertion := range []string{good, token(corpActive, "fred@corp.example", saml2Kind), strings.ReplaceAll(good, "></saml:NameIdentifier>", " ></saml:NameIdentifier>")} {
		if status, body := redeem(bearer(assertion)); status != http.StatusOK || body["refresh_token"] == nil || body["id_token"] == nil {
			t.Errorf("%d: %v\n%s", status, body, assertion)
		}
	}
	// Tokens of a federated sign-in are refreshed like others.
	_, body := redeem(bearer(good))
	if status, again := redeem(url.Values{"grant_type": {"refresh_token"}, "client_id": {desktop}, "refresh_token": {body["refresh_token"].(string)}, "scope": {"User.Read"}}); status != http.StatusOK {
		t.Errorf("%v", again)
	}
	spoil := func(old, replacement string) string {
		if !strings.Contains(good, old) {
			t.Fatalf("the assertion lacks %q", old)
		}
		return strings.Replace(good, old, replacement, 1)
	}
	wrapped := strings.Replace(good, "</saml:Assertion>", "<saml:Assertion xmlns:saml=\"urn:oasis:names:tc:SAML:1.0:assertion\" AssertionID=\"x\"></saml:Assertion></saml:Assertion>", 1)
	signature := regexp.MustCompile(`(?s)<ds:Signature .*</ds:Signature>`).FindString(good)
	evil := strings.Replace(strings.Replace(good, signature, "", 1), `AssertionID="`, `AssertionID="e`, 1)
	evil = strings.Replace(strings.Replace(evil, "fred@corp.example", "mia@corp.example", 1), "</saml:Assertion>", signature+good+"</saml:Assertion>", 1)
	for name, test := range map[string]struct {
		assertion string
		code      int
	}{
		"another user":       {spoil("fred@corp.example", "mia@corp.example"), 50008},
		"longer life":        {spoil(`NotOnOrAfter="2026`, `NotOnOrAfter="2036`), 50008},
		"another issuer":     {spoil("http://adfs.corp.example/", "http://adfs.evil.example/"), 50107},
		"issuer of another":  {spoil("http://adfs.corp.example/", "http://adfs.quay.example/"), 50008},
		"no signature":       {strings.Replace(good, signature, "", 1), 50008},
		"something added":    {wrapped, 50008},
		"signature wrapping": {evil, 50008},
		"comment in a name":  {spoil("fred@corp", "fred@corp<!-- x -->"), 0}, // canonical form leaves comments out
		"document type":      {`<!DOCTYPE a [<!ENTITY x "y">]>` + good, 50008},
		"entity":             {spoil("fred@corp.example", "&x;"), 50008},
		"not XML":            {"<a", 50008},
		"no assertion":       {"<a></a>", 50008},
		"weaker algorithm":   {spoil("2001/04/xmldsig-more#rsa-sha256", "2000/09/xmldsig#rsa-sha1"), 50008},
	} {
		if _, body := redeem(bearer(test.assertion)); code(body) != test.code {
			t.Errorf("%s: %d %v", name, code(body), body["error_description"])
		}
	}
	form := bearer(good)
	form.Set("grant_type", "urn:ietf:params:oauth:grant-type:saml2-bearer")
	if _, body := redeem(form); code(body) != 50008 {
		t.Errorf("another version than the grant's: %v", body)
	}
	form = bearer(good)
	form.Set("assertion", "*")
	if _, body := redeem(form); code(body) != 50008 {
		t.Errorf("no base64: %v", body)
	}
	form.Del("assertion")
	if _, body := redeem(form); code(body) != 900144 {
		t.Errorf("no assertion: %v", body)
	}
	// The organisation vouches, the account decides.
	c.tenant(t, func(tenant *directory.Tenant) { tenant.User("fred@corp.example").Enabled = false })
	if _, body := redeem(bearer(good)); code(body) != 50057 {
		t.Errorf("disabled: %v", body)
	}
	c.tenant(t, func(tenant *directory.Tenant) { tenant.RemoveUser(tenant.User("fred@corp.example")) })
	if _, body := redeem(bearer(good)); code(body) != 51004 {
		t.Errorf("removed: %v", body)
	}
	// A domain that was given to another federation is the old one's no more.
	quay := token("/quay.example/adfs/services/trust/13/usernamemixed", "quentin@quay.example", "")
	c.tenant(t, func(tenant *directory.Tenant) {
		tenant.Domain("quay.example").Federation.Issuer = "http://adfs.new.example/"
	})
	if _, body := redeem(bearer(quay)); code(body) != 50107 {
		t.Errorf("after the federation changed: %v", body)
	}
	c.now = c.now.Add(66 * time.Minute)
	if _, body := redeem(bearer(good)); code(body) != 500133 {
		t.Errorf("an hour later: %v", body)
	}
}

// TestFederationServer: what the server itself refuses.
func TestFederationServer(t *testing.T) {
	c := start(t, harbour)
	for name, test := range map[string]struct {
		path, user, password string
		status               int
		want                 string
	}{
		"wrong password":                 {corpActive, "fred@corp.example", "x", 500, "FailedAuthentication"},
		"somebody of another domain":     {corpActive, "plain@t.onmicrosoft.com", pw, 500, "FailedAuthentication"},
		"no password":                    {corpActive, "fred@corp.example", "", 400, "InvalidRequest"},
		"a domain that is not federated": {"/t.onmicrosoft.com/adfs/services/trust/13/usernamemixed", "plain@t.onmicrosoft.com", pw, 404, ""},
		"another address":                {"/corp.example/adfs/services/trust/2005/usernamemixed", "fred@corp.example", pw, 404, ""},
	} {
		if status, answer := c.trust(t, test.path, test.user, test.password, ""); status != test.status || !strings.Contains(answer, test.want) {
			t.Errorf("%s: %d %s", name, status, answer)
		}
	}
	for _, body := range []string{"", "<a", `<!DOCTYPE x><a/>`, `<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope"/>`, strings.Repeat("<a>", 100), strings.Repeat("x", 1<<20)} {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, outside+corpActive, strings.NewReader(body))
		w := httptest.NewRecorder()
		c.serve(w, r)
		if w.Code < 400 || !strings.Contains(w.Body.String(), "InvalidRequest") {
			t.Errorf("%.40s: %d %s", body, w.Code, w.Body)
		}
	}
}

// TestFederatedBrowser: the browser is sent to the organisation's own page and
// comes back with an assertion.
func TestFederatedBrowser(t *testing.T) {
	c := start(t, harbour)
	b := c.browser(t).get(ask()).want("account").fill("upn", "fred@corp.example").want("200", "Corp AD FS")
	if b.at.Host != "sts.test:8444" || b.form.Get("UserName") != "fred@corp.example" {
		t.Fatalf("at %s with %v", b.at, b.form)
	}
	b.fill("Password", "wrong").want("200", "not right")
	b.fill("Password", pw).want("200", "Back to the sign-in").fill().want("stay").fill("action", "no")
	got := b.answer().Get("code")
	_, body := c.post(t, "/t.onmicrosoft.com/oauth2/v2.0/token", redeem("code", got))
	if access := claims(t, body["access_token"]); access["upn"] != "fred@corp.example" || access["amr"].([]any)[0] != "fed" {
		t.Errorf("%v", access)
	}
	// Single sign-on, and a second factor of Entra ID's own on top.
	if answer := b.get(ask("prompt", "none")).answer(); answer.Get("code") == "" {
		t.Errorf("%v", answer)
	}
	m := c.browser(t).get(ask("login_hint", "mia@corp.example")).want("200").fill("Password", pw).want("200").fill().want("code").fill("code", totp(t, "JBSWY3DPEHPK3PXP", c.now)).want("stay")
	m.fill("action", "no").want("left")
	if answer := c.browser(t).get(ask("login_hint", "fred@corp.example", "prompt", "none")).answer(); answer.Get("error") != "login_required" {
		t.Errorf("%v", answer)
	}

	// What comes back must belong to the flow, be sound, and be about the person.
	begin := func() (*browser, url.Values) {
		b := c.browser(t).get(ask("login_hint", "fred@corp.example"))
		wctx := b.at.Query().Get("wctx")
		return b, url.Values{"wa": {"wsignin1.0"}, "wctx": {wctx}}
	}
	back := func(b *browser, form url.Values) *browser {
		b.send(http.MethodPost, &url.URL{Scheme: "https", Host: "lab.test", Path: "/login.srf"}, form.Encode())
		return b
	}
	_, answer := c.trust(t, corpActive, "mia@corp.example", pw, "")
	other := assertionPattern.FindString(answer)
	for name, test := range map[string]struct {
		change func(url.Values)
		want   string
	}{
		"no answer":     {func(f url.Values) { f.Del("wa") }, "AADSTS20012"},
		"no token":      {func(url.Values) {}, "AADSTS20001"},
		"not XML":       {func(f url.Values) { f.Set("wresult", "<") }, "AADSTS50008"},
		"somebody else": {func(f url.Values) { f.Set("wresult", other) }, "AADSTS50197"},
		"another flow":  {func(f url.Values) { f.Set("wctx", "x") }, "AADSTS50089"},
	} {
		b, form := begin()
		test.change(form)
		if back(b, form); !strings.Contains(b.body, test.want) {
			t.Errorf("%s: %d %s", name, b.status, b.body)
		}
	}
	_, form := begin()
	form.Set("wresult", other)
	if b := back(c.browser(t), form); !strings.Contains(b.body, "AADSTS165000") {
		t.Errorf("another browser: %d %s", b.status, b.body)
	}
	// The federation server sends nobody elsewhere.
	b = c.browser(t)
	u, _ := url.Parse(outside + "/corp.example/adfs/ls/?wa=wsignin1.0&wtrealm=urn:federation:MicrosoftOnline&wreply=https://evil.example/")
	if b.send(http.MethodGet, u, ""); b.status != http.StatusBadRequest || b.names["Password"] {
		t.Errorf("%d %s", b.status, b.body)
	}
}

// FuzzAssertion redeems arbitrary documents: only the one that the federation
// server signed gives a token, however it is written.
func FuzzAssertion(f *testing.F) {
	c := start(f, harbour)
	_, answer := c.trust(f, corpActive, "fred@corp.example", pw, "")
	good := []byte(assertionPattern.FindString(answer))
	f.Add(good)
	f.Add([]byte(answer))
	f.Add(bytes.ReplaceAll(good, []byte("fred"), []byte("mia")))
	f.Add([]byte(`<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>`))
	f.Add([]byte(`<saml:Assertion xmlns:saml="urn:oasis:names:tc:SAML:2.0:assertion" ID="_1"><saml:Issuer>http://adfs.corp.example/adfs/services/trust</saml:Issuer></saml:Assertion>`))
	f.Fuzz(func(t *testing.T, document []byte) {
		_, body := c.post(t, "/t.onmicrosoft.com/oauth2/v2.0/token", bearer(string(document)))
		if body["access_token"] != nil && claims(t, body["access_token"])["upn"] != "fred@corp.example" {
			t.Fatalf("a token for %s", document)
		}
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, outside+corpActive, bytes.NewReader(document))
		w := httptest.NewRecorder()
		c.serve(w, r)
		if w.Code == http.StatusOK {
			t.Fatalf("an assertion for %s", document)
		}
	})
}
