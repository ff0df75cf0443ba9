package sts_test

import (
	"crypto/sha256"
	"encoding/base64"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"gatehouse/lab/internal/directory"
)

// people is a tenant with people of every kind, and one of another's.
const people = `{"tenants":[
 {"name":"T","domain":"t.onmicrosoft.com","id":"0f1e2d3c-4b5a-4978-8796-a5b4c3d2e1f0","consent":{"users":"all"},"lockout":{"threshold":3,"duration_seconds":60},
  "users":[{"upn":"plain@t.onmicrosoft.com","name":"Pia Plain","password":"pass-word-1"},
   {"upn":"off@t.onmicrosoft.com","password":"pass-word-1","enabled":false},
   {"upn":"old@t.onmicrosoft.com","password":"pass-word-1","password_expired":true},
   {"upn":"admin@t.onmicrosoft.com","name":"Ada Admin","password":"pass-word-1","roles":["Global Administrator"]},
   {"upn":"apps@t.onmicrosoft.com","password":"pass-word-1","roles":["Application Administrator"]},
   {"upn":"push@t.onmicrosoft.com","name":"Per Push","password":"pass-word-1","per_user_mfa":"enforced",
    "methods":[{"type":"authenticator","name":"Pixel"},{"type":"phone","phone":"+44 7700900123"},{"type":"oath","secret":"JBSWY3DPEHPK3PXP"}]},
   {"upn":"oath@t.onmicrosoft.com","password":"pass-word-1","per_user_mfa":"enforced","methods":[{"type":"oath","secret":"JBSWY3DPEHPK3PXP"}]},
   {"upn":"key@t.onmicrosoft.com","password":"pass-word-1","per_user_mfa":"enforced","methods":[{"type":"fido2","name":"Key"}]},
   {"upn":"new@t.onmicrosoft.com","password":"pass-word-1","per_user_mfa":"enabled"}],
  "apps":[{"name":"Web","client_id":"11111111-2222-4333-8444-555555555555","secret":{"value":"a-secret-of-sufficient-length"},"redirect_uris":["https://app.example/cb","https://app.example","http://localhost/back"],"id_tokens":true,
    "delegated_permissions":{"graph":["User.Read","Mail.Read"]},"application_permissions":{"graph":["User.Read.All"]}},
   {"name":"Desktop","client_id":"21111111-2222-4333-8444-555555555555","public":true,"id_tokens":true,"redirect_uris":["http://localhost","https://login.microsoftonline.com/common/oauth2/nativeclient","msal21://auth"]},
   {"name":"Nowhere","client_id":"31111111-2222-4333-8444-555555555555","public":true},
   {"name":"Members only","client_id":"41111111-2222-4333-8444-555555555555","public":true,"redirect_uris":["http://localhost"],"assignment_required":true,"assigned":["plain@t.onmicrosoft.com"]},
   {"name":"Switched off","client_id":"51111111-2222-4333-8444-555555555555","public":true,"redirect_uris":["http://localhost"],"enabled":false}],
  "grants":[{"app":"Desktop","scopes":["User.Read"]},{"app":"Web","scopes":["User.Read"]},{"app":"Members only","scopes":["User.Read"]}]},
 {"name":"Other","domain":"other.onmicrosoft.com",
  "users":[{"upn":"olga@other.onmicrosoft.com","password":"pass-word-1"},{"upn":"oath@t.onmicrosoft.com","type":"guest","guest_of":"t.onmicrosoft.com","per_user_mfa":"enabled"}],
  "grants":[{"app":"Everywhere","scopes":["User.Read"]}],
  "apps":[{"name":"Everywhere","client_id":"61111111-2222-4333-8444-555555555555","public":true,"multi_tenant":true,"redirect_uris":["http://localhost"]},
   {"name":"Only there","client_id":"71111111-2222-4333-8444-555555555555","public":true,"redirect_uris":["http://localhost"]}]}]}`

const (
	webApp     = "11111111-2222-4333-8444-555555555555"
	desktop    = "21111111-2222-4333-8444-555555555555"
	everywhere = "61111111-2222-4333-8444-555555555555"
	verifier   = "a-verifier-of-at-least-forty-three-characters"
	pw         = "pass-word-1"
)

func challenge() string {
	sum := sha256.Sum256([]byte(verifier))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// ask makes an authorize address. Pairs override the defaults; an empty value
// takes a parameter out.
func ask(pairs ...string) string {
	values := url.Values{"client_id": {desktop}, "response_type": {"code"}, "redirect_uri": {"http://localhost:51234"}, "scope": {"User.Read openid profile offline_access"}, "state": {"s t&a/te"}}
	tenant := "t.onmicrosoft.com"
	for pair := range slices.Chunk(pairs, 2) {
		switch name, value := pair[0], pair[1]; {
		case name == "tenant":
			tenant = value
		case value == "":
			values.Del(name)
		default:
			values.Set(name, value)
		}
	}
	return "/" + tenant + "/oauth2/v2.0/authorize?" + values.Encode()
}

func redeem(pairs ...string) url.Values {
	values := url.Values{"grant_type": {"authorization_code"}, "client_id": {desktop}, "redirect_uri": {"http://localhost:51234"}, "scope": {"User.Read openid profile offline_access"}, "code_verifier": {""}}
	for pair := range slices.Chunk(pairs, 2) {
		values.Set(pair[0], pair[1])
	}
	return values
}

// TestPushToToken walks the whole way: account, password, push with number
// matching, code, tokens with PKCE, and a refresh that needs no second factor.
func TestPushToToken(t *testing.T) {
	c := start(t, people)
	b := c.browser(t)
	b.get(ask("code_challenge", challenge(), "code_challenge_method", "S256", "nonce", "n-1", "tenant", "organizations", "client_id", directory.GraphCLIID)).want("account", "Microsoft Graph Command Line Tools")
	b.fill("upn", "push@t.onmicrosoft.com").want("password", "push@t.onmicrosoft.com").fill("password", pw).want("push")
	open := c.Prompts()
	if len(open) != 1 || open[0].UPN != "push@t.onmicrosoft.com" || open[0].Name != "Per Push" || len(open[0].Choices) != 3 || open[0].App != "Microsoft Graph Command Line Tools" {
		t.Fatalf("prompts: %+v", open)
	}
	b.reload().want("push")
	if err := c.AnswerPrompt(open[0].ID, "approve", shown(t, b, open[0].Choices)); err != nil {
		t.Fatal(err)
	}
	if len(c.Prompts()) != 0 {
		t.Error("an answered prompt is still open")
	}
	b.reload().want("stay").fill("action", "no").want("consent", "Sign you in and read your own profile").fill("action", "accept")
	answer := b.answer()
	if answer.Get("state") != "s t&a/te" || b.left.Path != "/" || b.left.Host != "localhost:51234" {
		t.Errorf("answer %v at %v", answer, b.left)
	}
	status, body := c.post(t, "/organizations/oauth2/v2.0/token", redeem("code", answer.Get("code"), "code_verifier", verifier, "client_id", directory.GraphCLIID))
	if status != 200 {
		t.Fatalf("%d %v", status, body)
	}
	access, id := claims(t, body["access_token"]), claims(t, body["id_token"])
	if amr := access["amr"].([]any); !slices.Equal(amr, []any{"pwd", "mfa"}) || access["upn"] != "push@t.onmicrosoft.com" {
		t.Errorf("access token %v", access)
	}
	if id["nonce"] != "n-1" || id["aud"] != directory.GraphCLIID {
		t.Errorf("id token %v", id)
	}
	status, body = c.post(t, "/t.onmicrosoft.com/oauth2/v2.0/token", url.Values{"grant_type": {"refresh_token"}, "client_id": {directory.GraphCLIID}, "refresh_token": {body["refresh_token"].(string)}, "scope": {"User.Read"}})
	if status != 200 {
		t.Errorf("refresh: %d %v", status, body)
	}
	if log := c.signIns("t.onmicrosoft.com"); !slices.Equal(log, []string{"push@t.onmicrosoft.com 0", "push@t.onmicrosoft.com 0"}) {
		t.Errorf("log %v", log)
	}
	c.tenant(t, func(tenant *directory.Tenant) {
		e := tenant.SignIns[0]
		if !e.Interactive || e.Protocol != "none" || !e.MFARequired || e.Demands[0].Provider != "user" || e.UserID == "" || e.ClientID != directory.GraphCLIID {
			t.Errorf("entry %+v", e)
		}
	})
}

// shown finds the number on the screen among the choices.
func shown(t *testing.T, b *browser, choices []int) int {
	t.Helper()
	i := strings.Index(b.body, `class="number"`)
	if i < 0 {
		t.Fatal("no number on the page")
	}
	text := b.body[strings.Index(b.body[i:], ">")+i+1:][:2]
	for _, n := range choices {
		if text == string([]byte{byte('0' + n/10), byte('0' + n%10)}) {
			return n
		}
	}
	t.Fatalf("%q is none of %v", text, choices)
	return 0
}

// TestAuthorizeRefusals: what is shown and what is sent to the app.
func TestAuthorizeRefusals(t *testing.T) {
	c := start(t, people)
	for _, test := range []struct {
		name  string
		pairs []string
		sent  string // error that the app gets; "" for a page
		code  string
	}{
		{"no client", []string{"client_id", ""}, "", "AADSTS900144"},
		{"unknown client", []string{"client_id", "99999999-2222-4333-8444-555555555555"}, "", "AADSTS700016"},
		{"unknown client on common", []string{"tenant", "common", "client_id", "99999999-2222-4333-8444-555555555555"}, "", "AADSTS700016"},
		{"another tenant's app", []string{"client_id", "71111111-2222-4333-8444-555555555555"}, "", "AADSTS700016"},
		{"single-tenant app on common", []string{"tenant", "common"}, "", "AADSTS50194"},
		{"consumers", []string{"tenant", "consumers"}, "", "AADSTS9002332"},
		{"unknown tenant", []string{"tenant", "nowhere.onmicrosoft.com"}, "", "AADSTS90002"},
		{"disabled app", []string{"client_id", "51111111-2222-4333-8444-555555555555"}, "", "AADSTS7000112"},
		{"no address registered", []string{"client_id", "31111111-2222-4333-8444-555555555555"}, "", "AADSTS500113"},
		{"no address sent", []string{"redirect_uri", ""}, "", "AADSTS900971"},
		{"another host", []string{"redirect_uri", "https://evil.example"}, "", "AADSTS50011"},
		{"another path", []string{"redirect_uri", "http://localhost:1/other"}, "", "AADSTS50011"},
		{"https for http", []string{"redirect_uri", "https://localhost"}, "", "AADSTS50011"},
		{"IPv6", []string{"redirect_uri", "http://[::1]:5000"}, "", "AADSTS50011"},
		{"with a user", []string{"redirect_uri", "http://a@localhost"}, "", "AADSTS50011"},
		{"script", []string{"redirect_uri", "javascript:alert(1)"}, "", "AADSTS50011"},
		{"path in other case", []string{"client_id", webApp, "redirect_uri", "https://app.example/CB"}, "", "AADSTS50011"},
		{"other port", []string{"client_id", webApp, "redirect_uri", "https://app.example:444/cb"}, "", "AADSTS50011"},
		{"no response type", []string{"response_type", ""}, "invalid_request", "AADSTS900144"},
		{"token", []string{"response_type", "token"}, "unsupported_response_type", "AADSTS70005"},
		{"hybrid in the query", []string{"response_type", "code id_token", "nonce", "n", "response_mode", "query"}, "invalid_request", "AADSTS70007"},
		{"hybrid without nonce", []string{"response_type", "code id_token"}, "invalid_request", "AADSTS900144"},
		{"hybrid without openid", []string{"response_type", "code id_token", "nonce", "n", "scope", "User.Read"}, "invalid_request", "AADSTS70011"},
		{"unknown mode", []string{"response_mode", "pigeon"}, "invalid_request", "AADSTS70007"},
		{"prompt of the older endpoint", []string{"prompt", "admin_consent"}, "invalid_request", "AADSTS901001"},
		{"unknown prompt", []string{"prompt", "always"}, "invalid_request", "AADSTS90023"},
		{"no scope", []string{"scope", ""}, "invalid_request", "AADSTS900144"},
		{"unknown scope", []string{"scope", "User.Invent"}, "invalid_scope", "AADSTS70011"},
		{"unknown resource", []string{"scope", "https://nowhere.example/.default"}, "invalid_resource", "AADSTS500011"},
		{"default and more", []string{"scope", "https://graph.microsoft.com/.default User.Read"}, "invalid_scope", "AADSTS70011"},
		{"claims", []string{"claims", "{nope"}, "invalid_request", "AADSTS50117"},
		{"claims of another form", []string{"claims", `{"access_token":{"acrs":"c1"}}`}, "invalid_request", "AADSTS50117"},
		{"challenge too short", []string{"code_challenge", "short"}, "invalid_request", "AADSTS501491"},
		{"challenge method", []string{"code_challenge", challenge(), "code_challenge_method", "S512"}, "invalid_request", "AADSTS501491"},
	} {
		t.Run(test.name, func(t *testing.T) {
			b := c.browser(t).get(ask(test.pairs...))
			if test.sent == "" {
				b.want("400", test.code, "Correlation id", "2026-11-22 12:00:00Z")
				return
			}
			answer := b.answer()
			if answer.Get("error") != test.sent || !strings.HasPrefix(answer.Get("error_description"), test.code+": ") || answer.Get("state") != "s t&a/te" {
				t.Errorf("%v", answer)
			}
		})
	}
}

// TestRedirectAddresses: the forms that match, and where the answer goes.
func TestRedirectAddresses(t *testing.T) {
	c := start(t, people)
	for _, test := range []struct{ client, redirect, at string }{
		{desktop, "http://localhost:1", "http://localhost:1/?"},
		{desktop, "http://LOCALHOST:1/", "http://LOCALHOST:1/?"},
		{desktop, "https://login.microsoftonline.com/common/oauth2/nativeclient", "https://login.microsoftonline.com/common/oauth2/nativeclient?"},
		{desktop, "msal21://auth", "msal21://auth?"},
		{webApp, "https://app.example", "https://app.example/?"},
		{webApp, "https://app.example/cb", "https://app.example/cb?"},
		{webApp, "http://localhost:99/back", "http://localhost:99/back?"},
	} {
		b := c.browser(t).get(ask("client_id", test.client, "redirect_uri", test.redirect, "state", "", "prompt", "none"))
		if b.left == nil || !strings.HasPrefix(b.left.String(), test.at+"error") {
			t.Errorf("%s: %v\n%s", test.redirect, b.left, b.body)
		}
	}
	if b := c.browser(t).get(ask("redirect_uri", root+"/common/oauth2/nativeclient")).signIn("plain@t.onmicrosoft.com"); !strings.Contains(b.body, "You may close this page") || b.at.Query().Get("code") == "" {
		t.Errorf("native client page: %v %s", b.at, b.body)
	}
}

// TestResponses: modes, state and hybrid answers.
func TestResponses(t *testing.T) {
	c := start(t, people)
	b := c.browser(t).get(ask("response_mode", "form_post", "state", `a<script>alert(1)</script>"b`)).signIn("plain@t.onmicrosoft.com")
	if b.sent.Get("code") == "" || b.sent.Get("state") != `aalert(1)"b` || b.left.String() != "http://localhost:51234" {
		t.Errorf("form_post: %v %v", b.sent, b.left)
	}
	if policy := b.header.Get("Content-Security-Policy"); !strings.Contains(policy, "script-src 'nonce-") || strings.Contains(policy, "unsafe") {
		t.Errorf("policy %s", policy)
	}
	if !strings.Contains(b.body, "<button") {
		t.Error("no button for browsers without script")
	}
	b = c.browser(t).get(ask("response_mode", "fragment")).signIn("plain@t.onmicrosoft.com")
	if b.left.RawQuery != "" || b.answer().Get("code") == "" || b.answer().Get("state") != "s t&a/te" {
		t.Errorf("fragment: %v", b.left)
	}
	b = c.browser(t).get(ask("response_type", "code id_token", "nonce", "n-2")).signIn("plain@t.onmicrosoft.com")
	if b.left.RawQuery != "" {
		t.Errorf("tokens in the query: %v", b.left)
	}
	answer := b.answer()
	id := claims(t, answer.Get("id_token"))
	sum := sha256.Sum256([]byte(answer.Get("code")))
	if id["nonce"] != "n-2" || id["c_hash"] != base64.RawURLEncoding.EncodeToString(sum[:16]) {
		t.Errorf("id token %v", id)
	}
	if answer := c.browser(t).get(ask("response_type", "id_token", "nonce", "n")).signIn("plain@t.onmicrosoft.com").answer(); answer.Get("code") != "" || answer.Get("id_token") == "" {
		t.Errorf("id_token alone: %v", answer)
	}
}

// TestCodeRefusals: a code is bound to everything it was issued for, and good
// for ten minutes and once.
func TestCodeRefusals(t *testing.T) {
	c := start(t, people)
	fresh := func(pairs ...string) string {
		t.Helper()
		return c.browser(t).get(ask(pairs...)).signIn("plain@t.onmicrosoft.com").answer().Get("code")
	}
	plain := fresh()
	s256 := fresh("code_challenge", challenge(), "code_challenge_method", "S256")
	text := fresh("code_challenge", verifier)
	for _, test := range []struct {
		name   string
		tenant string
		form   url.Values
		code   int
		oauth  string
	}{
		{"no code", "t.onmicrosoft.com", redeem(), 900144, "invalid_request"},
		{"unknown code", "t.onmicrosoft.com", redeem("code", "x"), 70008, "invalid_grant"},
		{"unknown code on common", "common", redeem("code", "x"), 70008, "invalid_grant"},
		{"another client", "t.onmicrosoft.com", redeem("code", plain, "client_id", directory.GraphCLIID), 70000, "invalid_grant"},
		{"another tenant", "other.onmicrosoft.com", redeem("code", plain, "client_id", directory.GraphCLIID), 70000, "invalid_grant"},
		{"another redirect address", "t.onmicrosoft.com", redeem("code", plain, "redirect_uri", "http://localhost:4"), 50011, "invalid_grant"},
		{"no redirect address", "t.onmicrosoft.com", redeem("code", plain, "redirect_uri", ""), 900144, "invalid_request"},
		{"verifier without challenge", "t.onmicrosoft.com", redeem("code", plain, "code_verifier", verifier), 501481, "invalid_grant"},
		{"challenge without verifier", "t.onmicrosoft.com", redeem("code", s256), 501481, "invalid_grant"},
		{"wrong verifier", "t.onmicrosoft.com", redeem("code", s256, "code_verifier", verifier+"x"), 501481, "invalid_grant"},
		{"wrong plain verifier", "t.onmicrosoft.com", redeem("code", text, "code_verifier", challenge()), 501481, "invalid_grant"},
		{"right", "t.onmicrosoft.com", redeem("code", plain), 0, ""},
		{"right with S256", "t.onmicrosoft.com", redeem("code", s256, "code_verifier", verifier), 0, ""},
		{"right with plain", "t.onmicrosoft.com", redeem("code", text, "code_verifier", verifier), 0, ""},
		{"again", "t.onmicrosoft.com", redeem("code", plain), 54005, "invalid_grant"},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, body := c.post(t, "/"+test.tenant+"/oauth2/v2.0/token", test.form)
			if oauth, _ := body["error"].(string); code(body) != test.code || oauth != test.oauth {
				t.Errorf("%v", body)
			}
		})
	}
	late := fresh()
	c.now = c.now.Add(10 * time.Minute)
	if _, body := c.post(t, "/t.onmicrosoft.com/oauth2/v2.0/token", redeem("code", late)); code(body) != 70008 {
		t.Errorf("after ten minutes: %v", body)
	}
	revoked := fresh()
	c.now = c.now.Add(time.Second)
	c.tenant(t, func(tenant *directory.Tenant) { tenant.User("plain@t.onmicrosoft.com").TokensValidFrom = c.now })
	if _, body := c.post(t, "/t.onmicrosoft.com/oauth2/v2.0/token", redeem("code", revoked)); code(body) != 50173 {
		t.Errorf("after a revocation: %v", body)
	}
}

// TestConfidentialClient: the client's credential is asked for at redemption,
// and what the request leaves out comes from the authorize request.
func TestConfidentialClient(t *testing.T) {
	c := start(t, people)
	got := c.browser(t).get(ask("client_id", webApp, "redirect_uri", "https://app.example/cb")).signIn("plain@t.onmicrosoft.com").answer().Get("code")
	form := redeem("client_id", webApp, "redirect_uri", "https://app.example/cb", "code", got)
	if status, body := c.post(t, "/t.onmicrosoft.com/oauth2/v2.0/token", form); status != 401 || code(body) != 7000218 {
		t.Errorf("without secret: %d %v", status, body)
	}
	form.Set("client_secret", "a-secret-of-sufficient-length")
	form.Del("scope")
	status, body := c.post(t, "/common/oauth2/v2.0/token", form)
	if status != 200 || body["refresh_token"] == nil || claims(t, body["access_token"])["appidacr"] != "1" || claims(t, body["access_token"])["scp"] != "User.Read" {
		t.Errorf("%d %v", status, body)
	}
}

// TestV1Authorize: the v1.0 endpoint takes a resource and what was granted.
func TestV1Authorize(t *testing.T) {
	c := start(t, people)
	address := "/t.onmicrosoft.com/oauth2/authorize?" + url.Values{"client_id": {desktop}, "response_type": {"code"}, "redirect_uri": {"http://localhost"}, "resource": {"https://graph.microsoft.com"}}.Encode()
	got := c.browser(t).get(address).signIn("plain@t.onmicrosoft.com").answer().Get("code")
	status, body := c.post(t, "/t.onmicrosoft.com/oauth2/token", url.Values{"grant_type": {"authorization_code"}, "client_id": {desktop}, "redirect_uri": {"http://localhost"}, "code": {got}})
	if status != 200 || body["resource"] != "https://graph.microsoft.com" || claims(t, body["access_token"])["scp"] != "User.Read" || claims(t, body["id_token"])["ver"] != "1.0" {
		t.Errorf("%d %v", status, body)
	}
}

// TestContexts: an authentication context asks for MFA and comes back in the
// tokens.
func TestContexts(t *testing.T) {
	c := start(t, people)
	c.tenant(t, func(tenant *directory.Tenant) { tenant.User("oath@t.onmicrosoft.com").PerUserMFA = "disabled" })
	b := c.browser(t).get(ask("claims", `{"access_token":{"acrs":{"essential":true,"value":"c1"},"xms_cc":{"values":["cp1"]}}}`)).signIn("oath@t.onmicrosoft.com")
	b.want("code").fill("code", totp(t, "JBSWY3DPEHPK3PXP", c.now)).want("stay").fill("action", "no")
	_, body := c.post(t, "/t.onmicrosoft.com/oauth2/v2.0/token", redeem("code", b.answer().Get("code")))
	contexts := func(body map[string]any) []any {
		acrs, _ := claims(t, body["access_token"])["acrs"].([]any)
		return acrs
	}
	if !slices.Equal(contexts(body), []any{"c1"}) {
		t.Errorf("%v", body)
	}
	// Where MFA was done, a refresh meets a further one; a password does not.
	refresh := url.Values{"grant_type": {"refresh_token"}, "client_id": {desktop}, "refresh_token": {body["refresh_token"].(string)}, "scope": {"User.Read"}, "claims": {`{"access_token":{"acrs":{"value":"c2"}}}`}}
	if _, body := c.post(t, "/t.onmicrosoft.com/oauth2/v2.0/token", refresh); !slices.Equal(contexts(body), []any{"c1", "c2"}) {
		t.Errorf("%v", body)
	}
	grant := url.Values{"grant_type": {"password"}, "client_id": {desktop}, "username": {"oath@t.onmicrosoft.com"}, "password": {pw}, "scope": {"User.Read"}, "claims": refresh["claims"]}
	if _, body := c.post(t, "/t.onmicrosoft.com/oauth2/v2.0/token", grant); code(body) != 50076 {
		t.Errorf("%v", body)
	}
	grant.Set("claims", "{")
	if _, body := c.post(t, "/t.onmicrosoft.com/oauth2/v2.0/token", grant); code(body) != 50117 {
		t.Errorf("%v", body)
	}
}
