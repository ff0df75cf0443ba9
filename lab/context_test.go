package lab_test

import (
	"encoding/base64"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"gatehouse/lab"
)

const contextFile = `{"tenants":[{"name":"Contoso","domain":"contoso.onmicrosoft.com","licences":["SPE_E3"],"sharepoint":{"contexts":{"/sites/Finance":"c1"}},
 "users":[{"upn":"admin@contoso.onmicrosoft.com","roles":["Global Administrator"],"methods":[{"type":"oath"}]}],
 "apps":[{"name":"Files","client_id":"11111111-2222-4333-8444-555555555555","public":true,"redirect_uris":["http://localhost"]}],
 "grants":[{"app":"Files","resource":"sharepoint","scopes":["AllSites.Read"]},{"app":"Files","scopes":["openid","offline_access"]}],
 "conditional_access":[{"displayName":"CA7 - finance","state":"enabled","conditions":{"clientAppTypes":["all"],"users":{"includeUsers":["All"]},"applications":{"includeAuthenticationContextClassReferences":["c1"]}},"grantControls":{"operator":"OR","builtInControls":["mfa"]}}]}]}`

// One site wants an authentication context: everything else works, and that site
// answers with a claims challenge to clients that can handle one, with 403 to
// others. The claims lead to a token that opens it.
func TestSiteContext(t *testing.T) {
	l := lab.Start(t, lab.WithTenants(contextFile))
	const scope = "https://contoso.sharepoint.com/AllSites.Read"
	tokenFor := func(claims string) string {
		t.Helper()
		query := url.Values{"client_id": {"11111111-2222-4333-8444-555555555555"}, "response_type": {"code"}, "redirect_uri": {"http://localhost"}, "scope": {scope}}
		if claims != "" {
			query.Set("claims", claims)
		}
		back, err := l.SignIn(l.URL()+"/contoso.onmicrosoft.com/oauth2/v2.0/authorize?"+query.Encode(), lab.Person{UPN: "admin@contoso.onmicrosoft.com", Factor: true})
		if err != nil {
			t.Fatal(err)
		}
		form := url.Values{"grant_type": {"authorization_code"}, "client_id": query["client_id"], "redirect_uri": {"http://localhost"}, "code": {back.Query().Get("code")}, "scope": {scope}}
		if claims != "" {
			form.Set("claims", claims)
		}
		a := post(t, l, "/contoso.onmicrosoft.com/oauth2/v2.0/token", form)
		if a.status != http.StatusOK {
			t.Fatal(a.raw)
		}
		return a.text("access_token")
	}
	open := func(site, token string) answer {
		return get(t, l, "https://contoso.sharepoint.com"+site+"/_api/web", token)
	}
	const capable = `{"access_token":{"xms_cc":{"values":["cp1"]}}}`
	if a := open("/sites/projects", tokenFor("")); a.status != http.StatusOK {
		t.Errorf("another site: %d %s", a.status, a.raw)
	}
	if a := open("/sites/finance", tokenFor("")); a.status != http.StatusForbidden {
		t.Errorf("a client that cannot be asked: %d %s", a.status, a.raw)
	}
	a := open("/sites/finance", tokenFor(capable))
	challenge := a.header.Get("WWW-Authenticate")
	match := regexp.MustCompile(`error="insufficient_claims",claims="([^"]+)"`).FindStringSubmatch(challenge)
	if a.status != http.StatusUnauthorized || match == nil {
		t.Fatalf("%d %q %s", a.status, challenge, a.raw)
	}
	claims, err := base64.StdEncoding.DecodeString(match[1])
	if err != nil || !strings.Contains(string(claims), `"value":"c1"`) {
		t.Fatalf("%s %v", claims, err)
	}
	if a := open("/sites/finance", tokenFor(string(claims))); a.status != http.StatusOK {
		t.Errorf("with the context: %d %s", a.status, a.raw)
	}
	for body, want := range map[string]int{
		`{"site":"/sites/finance","context":""}`: 204, `{"site":"/sites/finance","context":"c100"}`: 400, `{"site":"finance","context":"c1"}`: 400, `{"site":"/sites/finance"}`: 400,
	} {
		if status, _, text := ask(t, l, http.MethodPut, "/tenants/contoso.onmicrosoft.com/sites", body); status != want {
			t.Errorf("%s: %d %s", body, status, text)
		}
	}
	if a := open("/sites/finance", tokenFor("")); a.status != http.StatusOK {
		t.Errorf("the context was taken away: %d %s", a.status, a.raw)
	}
	if err := lab.Check(strings.NewReader(strings.Replace(contextFile, `"c1"}}`, `"one"}}`, 1))); err == nil || !strings.Contains(err.Error(), "contexts") {
		t.Errorf("a wrong context: %v", err)
	}
}
