package lab_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4"

	"gatehouse/lab"
)

const servicesFile = `{"tenants":[{"name":"Contoso","domain":"contoso.onmicrosoft.com","licences":["SPE_E3"],
 "users":[{"upn":"admin@contoso.onmicrosoft.com","roles":["Global Administrator"]}],
 "apps":[
  {"name":"Sites","secret":true,"certificate":true,"granted":{"sharepoint":["Sites.Selected"]}},
  {"name":"Ledger","secret":true,"granted":{"business_central":["API.ReadWrite.All"]}}]}]}`

// From the token endpoint to the services, over TLS and under both kinds of
// names: what a secret opens and what needs a certificate, what a grant or a
// card changes.
func TestServices(t *testing.T) {
	l := lab.Start(t, lab.WithTenants(servicesFile))
	tenant := l.Tenant("contoso")
	sites, ledger := tenant.App("Sites"), tenant.App("Ledger")
	const scope = "https://contoso.sharepoint.com/.default"

	bySecret := secretForm(sites)
	bySecret.Set("scope", scope)
	token := post(t, l, "/contoso.onmicrosoft.com/oauth2/v2.0/token", bySecret).text("access_token")
	if a := get(t, l, "https://contoso.sharepoint.com/sites/projects/_api/web", token); a.status != http.StatusUnauthorized {
		t.Errorf("a token made with a secret: %d %s", a.status, a.raw)
	}
	token = post(t, l, "/contoso.onmicrosoft.com/oauth2/v2.0/token", url.Values{"grant_type": {"client_credentials"}, "client_id": {sites.ClientID}, "scope": {scope},
		"client_assertion_type": {"urn:ietf:params:oauth:client-assertion-type:jwt-bearer"},
		"client_assertion": {assertion(t, l, sites, jose.PS256, func(_ map[jose.HeaderKey]any, c map[string]any) {
			c["aud"] = l.URL() + "/contoso.onmicrosoft.com/oauth2/v2.0/token"
		}, nil)}}).text("access_token")
	for _, root := range []string{"https://contoso.sharepoint.com", tenant.SharePointURL} {
		if a := get(t, l, root+"/sites/projects/_api/web?$select=Title", token); a.status != http.StatusOK || a.header.Get("SPRequestGuid") == "" {
			t.Errorf("%s, a granted site: %d %s", root, a.status, a.raw)
		}
		if a := get(t, l, root+"/sites/finance/_api/web", token); a.status != http.StatusForbidden {
			t.Errorf("%s, another site: %d %s", root, a.status, a.raw)
		}
	}
	if status, _, body := ask(t, l, http.MethodPut, "/tenants/contoso.onmicrosoft.com/sites", `{"site":"/sites/finance","client_id":"`+sites.ClientID+`","role":"read"}`); status != http.StatusNoContent {
		t.Fatalf("granting the site: %d %s", status, body)
	}
	if a := get(t, l, "https://contoso.sharepoint.com/sites/finance/_api/web", token); a.status != http.StatusOK {
		t.Errorf("the site after the grant: %d %s", a.status, a.raw)
	}

	business := secretForm(ledger)
	business.Set("scope", "https://api.businesscentral.dynamics.com/.default")
	token = post(t, l, "/contoso.onmicrosoft.com/oauth2/v2.0/token", business).text("access_token")
	for _, root := range []string{"https://api.businesscentral.dynamics.com", l.URL()} {
		if a := get(t, l, root+"/v2.0/"+tenant.ID+"/Production/api/v2.0/companies", token); a.status != http.StatusOK || !strings.Contains(a.raw, `"value"`) {
			t.Errorf("%s, companies: %d %s", root, a.status, a.raw)
		}
	}
	if a := get(t, l, l.URL()+"/v2.0/"+tenant.ID+"/Sandbox/api/v2.0/companies", token); a.status != http.StatusUnauthorized {
		t.Errorf("an environment without a card: %d %s", a.status, a.raw)
	}
	if status, _, body := ask(t, l, http.MethodPut, "/tenants/contoso.onmicrosoft.com/cards", `{"environment":"Sandbox","client_id":"`+ledger.ClientID+`","enabled":true,"permission_sets":["D365 BUS FULL ACCESS"]}`); status != http.StatusNoContent {
		t.Fatalf("making the card: %d %s", status, body)
	}
	if a := get(t, l, l.URL()+"/v2.0/"+tenant.ID+"/Sandbox/api/v2.0/companies", token); a.status != http.StatusOK {
		t.Errorf("the environment with a card: %d %s", a.status, a.raw)
	}
	for path, body := range map[string]string{"/tenants/contoso.onmicrosoft.com/sites": `{"site":"finance","client_id":"x","role":"read"}`, "/tenants/contoso.onmicrosoft.com/cards": `{"enabled":true}`} {
		if status, _, answer := ask(t, l, http.MethodPut, path, body); status != http.StatusBadRequest {
			t.Errorf("%s %s: %d %s", path, body, status, answer)
		}
	}
}
