package lab_test

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"gatehouse/lab"
)

// The addresses of admin consent take well-formed links only, each cloud with
// its own names: v2 wants tenant or /organizations, scope and reply address; v1
// takes /common and needs no more than the app.
func TestAdminConsentLinks(t *testing.T) {
	l := lab.Start(t, lab.WithConfig(func(c *lab.Config) {
		c.Tenants = strings.NewReader(`{"tenants":[{"name":"Vendor","domain":"vendor.onmicrosoft.com","id":"0f1e2d3c-4b5a-4978-8796-a5b4c3d2e1f0",
		 "apps":[{"name":"Link","client_id":"11111111-2222-4333-8444-555555555555","multi_tenant":true,"redirect_uris":["https://link.example/cb"],"delegated_permissions":{"graph":["User.Read"]}}]}]}`)
	}))
	const app = "11111111-2222-4333-8444-555555555555"
	tenant := l.Tenant("vendor").ID
	query := func(pairs ...string) string {
		values := url.Values{"client_id": {app}, "redirect_uri": {"https://link.example/cb"}, "state": {"s"}}
		for pair := range slices.Chunk(pairs, 2) {
			if pair[1] == "" {
				values.Del(pair[0])
			} else {
				values.Add(pair[0], pair[1])
			}
		}
		return "?" + values.Encode()
	}
	graphs := map[string]string{
		l.URL():                                    "https://graph.microsoft.com",
		"https://login.microsoftonline.com":        "https://graph.microsoft.com",
		"https://login.microsoftonline.us":         "https://graph.microsoft.us",
		"https://login.partner.microsoftonline.cn": "https://microsoftgraph.chinacloudapi.cn",
	}
	for root, graph := range graphs {
		for link, want := range map[string]string{
			"/" + tenant + "/v2.0/adminconsent" + query("scope", graph+"/.default"):               "",
			"/organizations/v2.0/adminconsent" + query("scope", graph+"/User.Read"):               "",
			"/" + tenant + "/v2.0/adminconsent" + query("scope", "User.Read"):                     "",
			"/" + tenant + "/adminconsent" + query():                                              "",
			"/common/adminconsent" + query("redirect_uri", "", "state", ""):                       "",
			"/common/v2.0/adminconsent" + query("scope", graph+"/.default"):                       "900144",
			"/" + tenant + "/v2.0/adminconsent" + query():                                         "900144",
			"/" + tenant + "/v2.0/adminconsent" + query("scope", "User.Read", "client_id", ""):    "900144",
			"/" + tenant + "/v2.0/adminconsent" + query("scope", "User.Read", "redirect_uri", ""): "900971",
			"/" + tenant + "/v2.0/adminconsent" + query("scope", "User.Read", "state", "again"):   "9000411",
			"/" + tenant + "/adminconsent" + query("client_id", "", "client_id", tenant):          "700016",
			"/nowhere.onmicrosoft.com/adminconsent" + query():                                     "90002",
		} {
			page := get(t, l, root+link, "")
			switch {
			case page.status != http.StatusOK && page.status != http.StatusBadRequest:
				t.Errorf("%s%s: %d", root, link, page.status)
			case want == "" && !strings.Contains(page.raw, `name="upn"`):
				t.Errorf("%s%s is no sign-in page: %s", root, link, page.raw)
			case want != "" && !strings.Contains(page.raw, "AADSTS"+want+"<"):
				t.Errorf("%s%s: want %s in %s", root, link, want, page.raw)
			}
		}
		for other, foreign := range graphs {
			if foreign == graph || root == l.URL() || other == l.URL() {
				continue
			}
			r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, root+"/"+tenant+"/oauth2/v2.0/token",
				strings.NewReader(url.Values{"grant_type": {"password"}, "client_id": {graphCLI}, "username": {"a@vendor.onmicrosoft.com"}, "password": {"x"}, "scope": {foreign + "/.default"}}.Encode()))
			if err != nil {
				t.Fatal(err)
			}
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			if a := do(t, l, r); a.code() != 500011 {
				t.Errorf("the token endpoint of %s takes %s: %s", root, foreign, a.raw)
			}
			if page := get(t, l, root+"/"+tenant+"/v2.0/adminconsent"+query("scope", foreign+"/.default"), ""); !strings.Contains(page.raw, "AADSTS500011<") {
				t.Errorf("%s takes %s: %s", root, foreign, page.raw)
			}
		}
	}
}
