package lab_test

import (
	"net/http"
	"net/url"
	"testing"

	"gatehouse/lab"
)

const behindFile = `{"tenants":[{"name":"Contoso","domain":"contoso.onmicrosoft.com","licences":["SPE_E3"],
 "users":[{"upn":"anna@contoso.onmicrosoft.com","licences":["SPE_E3"],"methods":[{"type":"oath"}]}],
 "apps":[{"name":"Ledger","secret":true,"granted":{"business_central":["API.ReadWrite.All"]}},
  {"name":"Link","public":true,"delegated_permissions":{"sharepoint":["AllSites.Read"],"business_central":["Financials.ReadWrite.All"]}}],
 "grants":[{"app":"Link","resource":"sharepoint","scopes":["AllSites.Read"]},{"app":"Link","resource":"business_central","scopes":["Financials.ReadWrite.All"]}]}]}`

// What stands behind a token is changed at the control port.
func TestBehindTokens(t *testing.T) {
	l := lab.Start(t, lab.WithTenants(behindFile))
	at := l.Tenant("contoso")
	anna := at.User("anna")
	token := func(resource string) string {
		t.Helper()
		form := passwordForm(at.App("Link").ClientID, anna.UPN, *anna.Password)
		form.Set("scope", resource+"/.default")
		return post(t, l, "/contoso.onmicrosoft.com/oauth2/v2.0/token", form).text("access_token")
	}
	put := func(path, body string, want int) {
		t.Helper()
		if status, _, said := ask(t, l, http.MethodPut, "/tenants/contoso.onmicrosoft.com"+path, body); status != want {
			t.Errorf("%s %s: %d %s", path, body, status, said)
		}
	}
	central := l.URL() + "/v2.0/" + at.ID + "/Production/api/v2.0/companies"
	person := token("https://api.businesscentral.dynamics.com")
	business := secretForm(at.App("Ledger"))
	business.Set("scope", "https://api.businesscentral.dynamics.com/.default")
	app := post(t, l, "/contoso.onmicrosoft.com/oauth2/v2.0/token", url.Values(business)).text("access_token")
	put("/bc-users", `{"user":"anna@contoso.onmicrosoft.com","licensed":false}`, http.StatusNoContent)
	put("/bc-users", `{"user":"nobody@contoso.onmicrosoft.com","licensed":false}`, http.StatusNotFound)
	if a := get(t, l, central, person); a.status != http.StatusUnauthorized {
		t.Errorf("a person without licence: %d %s", a.status, a.raw)
	}
	put("/environments", `{"environment":"Production","status":"Upgrading"}`, http.StatusNoContent)
	put("/environments", `{"environment":"Production"}`, http.StatusBadRequest)
	if a := get(t, l, central, app); a.status != http.StatusServiceUnavailable || a.header.Get("Retry-After") == "" {
		t.Errorf("while it is upgraded: %d %s", a.status, a.raw)
	}
}
