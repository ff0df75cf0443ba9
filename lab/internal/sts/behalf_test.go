package sts_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/AzureAD/microsoft-authentication-library-for-go/apps/confidential"

	"gatehouse/lab/internal/directory"
)

// tiers is a client, a web API that it calls, and one further on.
const tiers = `{"tenants":[
 {"name":"T","domain":"t.onmicrosoft.com","id":"0f1e2d3c-4b5a-4978-8796-a5b4c3d2e1f0","consent":{"users":"all"},
  "users":[{"upn":"plain@t.onmicrosoft.com","password":"pass-word-1"},{"upn":"other@t.onmicrosoft.com","password":"pass-word-1"},
   {"upn":"oath@t.onmicrosoft.com","password":"pass-word-1","methods":[{"type":"oath","secret":"JBSWY3DPEHPK3PXP"}]}],
  "apps":[{"name":"Desktop","client_id":"21111111-2222-4333-8444-555555555555","public":true,"redirect_uris":["http://localhost"],"delegated_permissions":{"Middle":["access_as_user"]}},
   {"name":"Middle","client_id":"a2222222-2222-4333-8444-555555555555","secret":{"value":"a-secret-of-sufficient-length"},"redirect_uris":["https://middle.example/cb"],
    "scopes":["access_as_user",{"name":"administer","admin":true}],"app_roles":["Do.Everything"],"known_clients":["Desktop"],
    "delegated_permissions":{"graph":["User.Read"],"Back":["read"],"azure_management":["user_impersonation"]}},
   {"name":"Back","client_id":"a3333333-2222-4333-8444-555555555555","identifier_uris":["api://back"],"scopes":["read"],"token_version":2,
    "preauthorized":[{"app":"Trusted","scopes":["read"]}],"assignment_required":true,"assigned":["plain@t.onmicrosoft.com"]},
   {"name":"Trusted","client_id":"a4444444-2222-4333-8444-555555555555","secret":{"value":"a-secret-of-sufficient-length"},"granted":{"Middle":["Do.Everything"]}},
   {"name":"Stranger","client_id":"a5555555-2222-4333-8444-555555555555","public":true,"redirect_uris":["http://localhost"]}],
  "grants":[{"app":"Desktop","scopes":["User.Read"]},{"app":"Desktop","resource":"Middle","scopes":["access_as_user"],"user":"oath@t.onmicrosoft.com"},
   {"app":"Middle","scopes":["User.Read"],"user":"oath@t.onmicrosoft.com"},{"app":"Middle","resource":"azure_management","scopes":["user_impersonation"]},
   {"app":"Desktop","resource":"Middle","scopes":["access_as_user"],"user":"other@t.onmicrosoft.com"},{"app":"Middle","resource":"Back","scopes":["read"],"user":"other@t.onmicrosoft.com"}]}]}`

const (
	middle   = "a2222222-2222-4333-8444-555555555555"
	back     = "a3333333-2222-4333-8444-555555555555"
	trusted  = "a4444444-2222-4333-8444-555555555555"
	stranger = "a5555555-2222-4333-8444-555555555555"
	secret   = "a-secret-of-sufficient-length"
)

func (c *cloud) password(tb testing.TB, client, user, scope string) map[string]any {
	_, body := c.post(tb, "/t.onmicrosoft.com/oauth2/v2.0/token", url.Values{"grant_type": {"password"}, "client_id": {client}, "username": {user}, "password": {pw}, "scope": {scope}})
	return body
}

// behalf is the form by which a middle tier exchanges a token.
func behalf(client, assertion, scope string) url.Values {
	return url.Values{"grant_type": {"urn:ietf:params:oauth:grant-type:jwt-bearer"}, "requested_token_use": {"on_behalf_of"}, "client_id": {client}, "client_secret": {secret}, "assertion": {assertion}, "scope": {scope}}
}

// TestOwnAPIs: registrations as resources, by URI and by client id, and the two
// versions of their tokens.
func TestOwnAPIs(t *testing.T) {
	c := start(t, tiers)
	for _, scope := range []string{"api://" + middle + "/access_as_user", middle + "/access_as_user", "api://" + middle + "/.default"} {
		body := c.password(t, desktop, "oath@t.onmicrosoft.com", scope)
		first := claims(t, body["access_token"])
		if first["aud"] != scope[:strings.LastIndexByte(scope, '/')] || first["scp"] != "access_as_user" || first["ver"] != "1.0" || first["appid"] != desktop || first["iss"] != "https://sts.windows.net/0f1e2d3c-4b5a-4978-8796-a5b4c3d2e1f0/" || first["upn"] == nil || first["acr"] != "1" {
			t.Errorf("%s: %v", scope, first)
		}
	}
	_, body := c.post(t, "/t.onmicrosoft.com/oauth2/v2.0/token", url.Values{"grant_type": {"client_credentials"}, "client_id": {trusted}, "client_secret": {secret}, "scope": {"api://" + middle + "/.default"}})
	if roles := claims(t, body["access_token"])["roles"]; !slices.Equal(roles.([]any), []any{"Do.Everything"}) {
		t.Errorf("app roles of an own API: %v", roles)
	}
	_, body = c.post(t, "/t.onmicrosoft.com/oauth2/v2.0/token", url.Values{"grant_type": {"client_credentials"}, "client_id": {trusted}, "client_secret": {secret}, "scope": {"api://back/.default"}})
	second := claims(t, body["access_token"])
	if second["aud"] != back || second["ver"] != "2.0" || second["azp"] != trusted || second["azpacr"] != "1" || second["appid"] != nil || second["iss"] != root+"/0f1e2d3c-4b5a-4978-8796-a5b4c3d2e1f0/v2.0" {
		t.Errorf("%v", second)
	}
	for name, test := range map[string]struct {
		client, user, scope string
		code                int
	}{
		"nobody's API":                       {desktop, "plain@t.onmicrosoft.com", "api://nobody/read", 500011},
		"a scope that it does not expose":    {desktop, "plain@t.onmicrosoft.com", "api://" + middle + "/write", 70011},
		"without consent":                    {desktop, "plain@t.onmicrosoft.com", "api://" + middle + "/access_as_user", 65001},
		"not listed in the registration":     {stranger, "plain@t.onmicrosoft.com", "api://" + middle + "/.default", 650057},
		"itself, by URI":                     {desktop, "plain@t.onmicrosoft.com", "api://" + desktop + "/.default", 500011},
		"itself, never consented":            {stranger, "plain@t.onmicrosoft.com", stranger + "/.default", 90008},
		"itself, by client id":               {desktop, "plain@t.onmicrosoft.com", desktop + "/.default", 0},
		"two APIs":                           {desktop, "plain@t.onmicrosoft.com", "api://back/read User.Read", 28000},
		"an API of one's own in mixed case ": {desktop, "oath@t.onmicrosoft.com", "API://" + strings.ToUpper(middle) + "/access_as_user", 0},
	} {
		if body := c.password(t, test.client, test.user, test.scope); code(body) != test.code {
			t.Errorf("%s: %d %v", name, code(body), body["error_description"])
		}
	}
	c.tenant(t, func(tenant *directory.Tenant) { tenant.Principal(middle).Enabled = false })
	if body := c.password(t, desktop, "oath@t.onmicrosoft.com", "api://"+middle+"/access_as_user"); code(body) != 500014 {
		t.Errorf("disabled API: %v", body)
	}
}

// TestOnBehalfOf: the exchange, and every way in which it fails.
func TestOnBehalfOf(t *testing.T) {
	c := start(t, tiers)
	const scope = "api://" + middle + "/access_as_user"
	first := c.password(t, desktop, "oath@t.onmicrosoft.com", scope+" openid")
	token, _ := first["access_token"].(string)
	exchange := func(form url.Values) map[string]any {
		_, body := c.post(t, "/t.onmicrosoft.com/oauth2/v2.0/token", form)
		return body
	}
	got := exchange(behalf(middle, token, "https://graph.microsoft.com/User.Read offline_access openid"))
	if access := claims(t, got["access_token"]); access["appid"] != middle || access["upn"] != "oath@t.onmicrosoft.com" || access["scp"] != "User.Read" || access["aud"] != "https://graph.microsoft.com" || got["refresh_token"] == nil || got["id_token"] == nil {
		t.Errorf("%v", got)
	}
	if again := exchange(url.Values{"grant_type": {"refresh_token"}, "client_id": {middle}, "client_secret": {secret}, "refresh_token": {got["refresh_token"].(string)}, "scope": {"User.Read"}}); again["access_token"] == nil {
		t.Errorf("the middle tier's refresh token: %v", again)
	}
	if _, shared := c.post(t, "/common/oauth2/v2.0/token", behalf(middle, token, "User.Read")); shared["access_token"] == nil {
		t.Errorf("at the shared address: %v", shared)
	}
	_, v1 := c.post(t, "/t.onmicrosoft.com/oauth2/token", url.Values{"grant_type": {"urn:ietf:params:oauth:grant-type:jwt-bearer"}, "requested_token_use": {"on_behalf_of"}, "client_id": {middle}, "client_secret": {secret}, "assertion": {token}, "resource": {"https://graph.microsoft.com"}})
	if v1["access_token"] == nil {
		t.Errorf("v1.0: %v", v1)
	}
	graph := c.password(t, desktop, "plain@t.onmicrosoft.com", "User.Read")["access_token"].(string)
	_, app := c.post(t, "/t.onmicrosoft.com/oauth2/v2.0/token", url.Values{"grant_type": {"client_credentials"}, "client_id": {trusted}, "client_secret": {secret}, "scope": {"api://" + middle + "/.default"}})
	other := c.password(t, desktop, "other@t.onmicrosoft.com", scope)["access_token"].(string)
	for name, test := range map[string]struct {
		form     url.Values
		change   func(url.Values)
		code     int
		suberror string
	}{
		"token for somebody else":     {behalf(middle, graph, "User.Read"), nil, 500131, ""},
		"another middle tier":         {behalf(trusted, token, "User.Read"), nil, 500131, ""},
		"an app's own token":          {behalf(middle, app["access_token"].(string), "User.Read"), nil, 7000114, ""},
		"an id token":                 {behalf(middle, first["id_token"].(string), "User.Read"), nil, 240002, ""},
		"signature":                   {behalf(middle, token[:len(token)-8]+"AAAAAAAA", "User.Read"), nil, 50013, ""},
		"not a token":                 {behalf(middle, "x", "User.Read"), nil, 50027, ""},
		"no assertion":                {behalf(middle, "", "User.Read"), nil, 900144, ""},
		"no use":                      {behalf(middle, token, "User.Read"), func(f url.Values) { f.Del("requested_token_use") }, 900144, ""},
		"another use":                 {behalf(middle, token, "User.Read"), func(f url.Values) { f.Set("requested_token_use", "x") }, 90023, ""},
		"wrong secret":                {behalf(middle, token, "User.Read"), func(f url.Values) { f.Set("client_secret", "wrong") }, 7000215, ""},
		"public middle tier":          {behalf(desktop, token, "User.Read"), func(f url.Values) { f.Del("client_secret") }, 7000218, ""},
		"no consent further on":       {behalf(middle, token, "api://back/read"), nil, 65001, "consent_required"},
		"not assigned further on":     {behalf(middle, other, "api://back/read"), nil, 50105, ""},
		"unknown API further on":      {behalf(middle, token, "api://nowhere/.default"), nil, 500011, ""},
		"no scope":                    {behalf(middle, token, ""), nil, 900144, ""},
		"a scope that does not exist": {behalf(middle, token, "api://back/write"), nil, 70011, ""},
	} {
		if test.change != nil {
			test.change(test.form)
		}
		if body := exchange(test.form); code(body) != test.code || test.suberror != "" && body["suberror"] != test.suberror {
			t.Errorf("%s: %d %v %v", name, code(body), body["suberror"], body["error_description"])
		}
	}
	c.now = c.now.Add(70 * time.Minute)
	if body := exchange(behalf(middle, token, "User.Read")); code(body) != 500133 {
		t.Errorf("expired: %v", body)
	}
	fresh := c.password(t, desktop, "oath@t.onmicrosoft.com", scope)["access_token"].(string)
	c.now = c.now.Add(time.Minute)
	c.tenant(t, func(tenant *directory.Tenant) { tenant.User("oath@t.onmicrosoft.com").Revoke(c.now) })
	if body := exchange(behalf(middle, fresh, "User.Read")); code(body) != 50173 {
		t.Errorf("revoked: %v", body)
	}
	fresh = c.password(t, desktop, "oath@t.onmicrosoft.com", scope)["access_token"].(string)
	c.tenant(t, func(tenant *directory.Tenant) { tenant.User("oath@t.onmicrosoft.com").Enabled = false })
	if body := exchange(behalf(middle, fresh, "User.Read")); code(body) != 50057 {
		t.Errorf("disabled: %v", body)
	}
}

// TestBehalfMFA: a demand that meets only the API further on comes back as a
// claims challenge, which the client takes to an interactive sign-in.
func TestBehalfMFA(t *testing.T) {
	c := start(t, tiers)
	c.tenant(t, func(tenant *directory.Tenant) { tenant.SecurityDefaults = true })
	const scope = "api://" + middle + "/access_as_user"
	token := c.password(t, desktop, "oath@t.onmicrosoft.com", scope)["access_token"].(string)
	arm := behalf(middle, token, "https://management.azure.com/user_impersonation")
	status, body := c.post(t, "/t.onmicrosoft.com/oauth2/v2.0/token", arm)
	challenge, _ := body["claims"].(string)
	if status != http.StatusBadRequest || code(body) != 50076 || body["error"] != "interaction_required" || !json.Valid([]byte(challenge)) || !strings.Contains(challenge, "polids") {
		t.Fatalf("%d %v", status, body)
	}
	b := c.browser(t).get(ask("scope", scope, "claims", challenge)).signIn("oath@t.onmicrosoft.com").want("code").fill("code", totp(t, "JBSWY3DPEHPK3PXP", c.now)).want("stay").fill("action", "no")
	_, body = c.post(t, "/t.onmicrosoft.com/oauth2/v2.0/token", redeem("code", b.answer().Get("code"), "scope", scope))
	arm.Set("assertion", body["access_token"].(string))
	if _, body = c.post(t, "/t.onmicrosoft.com/oauth2/v2.0/token", arm); body["access_token"] == nil {
		t.Errorf("after the second factor: %v", body)
	}
	// Who has no second factor is told so.
	c.tenant(t, func(tenant *directory.Tenant) {
		tenant.User("oath@t.onmicrosoft.com").Methods = nil
		tenant.SecurityDefaults = false
		tenant.User("oath@t.onmicrosoft.com").PerUserMFA = "enforced"
	})
	arm.Set("assertion", token)
	if _, body = c.post(t, "/t.onmicrosoft.com/oauth2/v2.0/token", arm); code(body) != 50079 || body["error"] != "interaction_required" || body["claims"] == nil {
		t.Errorf("%v", body)
	}
}

// TestCombinedConsent: one consent covers client and middle tier where the
// middle tier knows the client; pre-authorised clients need none.
func TestCombinedConsent(t *testing.T) {
	c := start(t, tiers)
	b := c.browser(t).get(ask("scope", "api://"+middle+"/.default")).signIn("plain@t.onmicrosoft.com").want("consent", "access_as_user", "User.Read", "Middle", "Back")
	code1 := b.fill("action", "accept").answer().Get("code")
	_, body := c.post(t, "/t.onmicrosoft.com/oauth2/v2.0/token", redeem("code", code1, "scope", "api://"+middle+"/.default"))
	token, _ := body["access_token"].(string)
	for _, scope := range []string{"User.Read", "api://back/read"} {
		if _, body := c.post(t, "/t.onmicrosoft.com/oauth2/v2.0/token", behalf(middle, token, scope)); body["access_token"] == nil {
			t.Errorf("%s: %v", scope, body)
		}
	}
	if answer := b.get(ask("scope", "api://"+middle+"/.default", "prompt", "none")).answer(); answer.Get("code") == "" {
		t.Errorf("a second consent is asked for: %v", answer)
	}
	c.browser(t).get(ask("client_id", stranger, "scope", "api://"+middle+"/access_as_user")).signIn("plain@t.onmicrosoft.com").want("consent", "access_as_user")
	if body := c.password(t, trusted, "plain@t.onmicrosoft.com", "api://back/read"); body["access_token"] == nil && body["error"] != "invalid_client" {
		t.Errorf("pre-authorised: %v", body)
	}
	_, body = c.post(t, "/t.onmicrosoft.com/oauth2/v2.0/token", url.Values{"grant_type": {"password"}, "client_id": {trusted}, "client_secret": {secret}, "username": {"plain@t.onmicrosoft.com"}, "password": {pw}, "scope": {"api://back/read"}})
	if access := claims(t, body["access_token"]); access["scp"] != "read" || access["ver"] != "2.0" || access["preferred_username"] != "plain@t.onmicrosoft.com" || access["upn"] != nil || access["amr"] != nil {
		t.Errorf("pre-authorised: %v", access)
	}
}

// TestMSALOnBehalfOf: MSAL Go's own call, unmodified.
func TestMSALOnBehalfOf(t *testing.T) {
	c := start(t, tiers)
	token := c.password(t, desktop, "oath@t.onmicrosoft.com", "api://"+middle+"/access_as_user")["access_token"].(string)
	credential, err := confidential.NewCredFromSecret(secret)
	if err != nil {
		t.Fatal(err)
	}
	client, err := confidential.New(root+"/t.onmicrosoft.com", middle, credential, confidential.WithInstanceDiscovery(false), confidential.WithHTTPClient(&http.Client{Transport: c}))
	if err != nil {
		t.Fatal(err)
	}
	result, err := client.AcquireTokenOnBehalfOf(t.Context(), token, []string{"https://graph.microsoft.com/.default"})
	if err != nil {
		t.Fatal(err)
	}
	if access := claims(t, result.AccessToken); access["upn"] != "oath@t.onmicrosoft.com" || access["appid"] != middle {
		t.Errorf("%v", access)
	}
	if _, err := client.AcquireTokenOnBehalfOf(t.Context(), token, []string{"api://back/read"}); err == nil || !strings.Contains(err.Error(), "AADSTS65001") {
		t.Errorf("without consent: %v", err)
	}
}
