package sts_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/AzureAD/microsoft-authentication-library-for-go/apps/confidential"

	"gatehouse/lab/internal/directory"
	"gatehouse/lab/internal/federation"
)

const (
	pipeline    = "b1111111-2222-4333-8444-555555555555"
	identity    = "b2222222-2222-4333-8444-555555555555"
	buildIssuer = "https://issuer.build.example"
	buildRun    = "repo:harbour/crane:ref:refs/heads/main"
)

const works = `{"tenants":[
 {"name":"T","domain":"t.onmicrosoft.com","id":"0f1e2d3c-4b5a-4978-8796-a5b4c3d2e1f0",
  "users":[{"upn":"plain@t.onmicrosoft.com","password":"pass-word-1"}],
  "apps":[{"name":"Pipeline","client_id":"b1111111-2222-4333-8444-555555555555","granted":{"graph":["User.Read.All"]},
    "federated_credentials":[{"name":"main","issuer":"https://issuer.build.example","subject":"repo:harbour/crane:ref:refs/heads/main"},
     {"name":"other","issuer":"https://other.build.example","subject":"x","audience":"api://other"}]},
   {"name":"Identity","client_id":"b2222222-2222-4333-8444-555555555555","secret":{"value":"a-secret-of-sufficient-length"}},
   {"name":"Desktop","client_id":"21111111-2222-4333-8444-555555555555","public":true,"redirect_uris":["http://localhost"]}],
  "grants":[{"app":"Desktop","scopes":["User.Read"]}]}]}`

func (c *cloud) workload(tb testing.TB, assertion string) map[string]any {
	_, body := c.post(tb, "/t.onmicrosoft.com/oauth2/v2.0/token", url.Values{"grant_type": {"client_credentials"}, "client_id": {pipeline}, "scope": {"https://graph.microsoft.com/.default"},
		"client_assertion_type": {"urn:ietf:params:oauth:client-assertion-type:jwt-bearer"}, "client_assertion": {assertion}})
	return body
}

// TestFederatedCredentials: tokens of a workload issuer as a credential, and
// each mismatch with its code.
func TestFederatedCredentials(t *testing.T) {
	c := start(t, works)
	mint := func(change func(*federation.WorkloadToken)) string {
		w := federation.WorkloadToken{Issuer: buildIssuer, Subject: buildRun}
		if change != nil {
			change(&w)
		}
		token, err := c.federation.Mint(w)
		if err != nil {
			t.Fatal(err)
		}
		return token
	}
	body := c.workload(t, mint(nil))
	if access := claims(t, body["access_token"]); access["appidacr"] != "2" || access["roles"].([]any)[0] != "User.Read.All" {
		t.Errorf("%v", access)
	}
	good := mint(nil)
	for name, test := range map[string]struct {
		assertion string
		code      int
	}{
		"issuer":                      {mint(func(w *federation.WorkloadToken) { w.Issuer = buildIssuer + "/" }), 700211},
		"subject":                     {mint(func(w *federation.WorkloadToken) { w.Subject = strings.ToUpper(buildRun) }), 700213},
		"audience":                    {mint(func(w *federation.WorkloadToken) { w.Audience = "api://azureadtokenexchange" }), 700212},
		"subject of the other issuer": {mint(func(w *federation.WorkloadToken) { w.Subject = "x" }), 700213},
		"over":                        {mint(func(w *federation.WorkloadToken) { w.Lifetime = -10 * time.Minute }), 700024},
		"signature":                   {good[:len(good)-8] + "AAAAAAAA", 700027},
		"unsigned":                    {strings.Join(append(strings.Split(good, ".")[:2], ""), "."), 700027},
		"not signed at all":           {strings.Replace(good, good[:strings.IndexByte(good, 46)], "eyJhbGciOiJub25lIn0", 1), 50027},
	} {
		if body := c.workload(t, test.assertion); code(body) != test.code || body["error"] != "invalid_client" && test.code != 50027 {
			t.Errorf("%s: %v", name, body)
		}
	}
	// A credential that was just written is known a little later.
	c.tenant(t, func(tenant *directory.Tenant) { tenant.App(pipeline).Federated[0].Usable = c.now.Add(time.Minute) })
	if body := c.workload(t, mint(nil)); code(body) != 700211 {
		t.Errorf("not usable yet: %v", body)
	}
	// The issuer serves discovery and keys.
	for path, want := range map[string]string{"/issuers/workloads/.well-known/openid-configuration": `"issuer":"` + outside + `/issuers/workloads"`, "/issuers/workloads/.well-known/jwks": `"kty":"RSA"`} {
		w := httptest.NewRecorder()
		c.serve(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, outside+path, nil))
		if !strings.Contains(w.Body.String(), want) {
			t.Errorf("%s: %s", path, w.Body)
		}
	}
	for name, w := range map[string]federation.WorkloadToken{"no https": {Issuer: "http://x", Subject: "s"}, "the sign-in service": {Issuer: root + "/t", Subject: "s"}, "no subject": {Issuer: buildIssuer}, "too long": {Issuer: buildIssuer, Subject: "s", Lifetime: 48 * time.Hour}} {
		if _, err := c.federation.Mint(w); err == nil {
			t.Errorf("%s: a token", name)
		}
	}
}

// TestIdentityAsCredential: an app's own token stands in for another app's
// secret, a user's does not ("Managed identity as a federated identity
// credential").
func TestIdentityAsCredential(t *testing.T) {
	c := start(t, works)
	const exchange = "api://AzureADTokenExchange/.default"
	_, body := c.post(t, "/t.onmicrosoft.com/oauth2/v2.0/token", url.Values{"grant_type": {"client_credentials"}, "client_id": {identity}, "client_secret": {secret}, "scope": {exchange}})
	token, _ := body["access_token"].(string)
	own := claims(t, token)
	c.tenant(t, func(tenant *directory.Tenant) {
		tenant.App(pipeline).Federated = append(tenant.App(pipeline).Federated, &directory.FederatedCredential{Name: "identity", Issuer: own["iss"].(string), Subject: own["sub"].(string), Audiences: []string{own["aud"].(string)}})
	})
	if body := c.workload(t, token); body["access_token"] == nil {
		t.Fatalf("%v", body)
	}
	c.now = c.now.Add(2 * time.Hour)
	if body := c.workload(t, token); code(body) != 700024 {
		t.Errorf("expired: %v", body)
	}
	b := c.password(t, desktop, "plain@t.onmicrosoft.com", "User.Read")
	users := claims(t, b["access_token"])
	c.tenant(t, func(tenant *directory.Tenant) {
		tenant.App(pipeline).Federated[2] = &directory.FederatedCredential{Name: "user", Issuer: users["iss"].(string), Subject: users["sub"].(string), Audiences: []string{users["aud"].(string)}}
	})
	if body := c.workload(t, b["access_token"].(string)); code(body) != 700229 {
		t.Errorf("a user's token: %v", body)
	}
}

// TestMSALAssertion: MSAL Go with a callback that brings the outside token.
func TestMSALAssertion(t *testing.T) {
	c := start(t, works)
	credential := confidential.NewCredFromAssertionCallback(func(_ context.Context, _ confidential.AssertionRequestOptions) (string, error) {
		return c.federation.Mint(federation.WorkloadToken{Issuer: buildIssuer, Subject: buildRun})
	})
	client, err := confidential.New(root+"/t.onmicrosoft.com", pipeline, credential, confidential.WithInstanceDiscovery(false), confidential.WithHTTPClient(&http.Client{Transport: c}))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := client.AcquireTokenByCredential(t.Context(), []string{"https://graph.microsoft.com/.default"}); err != nil {
		t.Fatal(err)
	}
}
