package bcsim

import (
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"

	"gatehouse/lab/internal/directory"
	"gatehouse/lab/internal/token"
)

var correlated = regexp.MustCompile(`[.!]  CorrelationId:  [0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\.$`)

// Whatever is wrong with the caller, the answer is one and the same 401.
func TestRejected(t *testing.T) {
	w := newWorld(t)
	w.server.SetCard(ledger, "Production", otherApp, false, []string{"D365 BUS FULL ACCESS"})
	w.server.SetUser(ledger, w.ids["ada@ledger.example"], false, nil)
	good := bearer(t, service)
	change := func(f func(*token.Claims)) string { return bearer(t, service.with(f)) }
	const customers, finance = api + "companies", "Financials.ReadWrite.All"
	for _, c := range []struct{ name, path, token string }{
		{"no token", customers, ""},
		{"no token, environments", "/environments/v1.2", ""},
		{"no token, unknown environment", "/v2.0/Nowhere/api/v2.0/companies", ""},
		{"user name and access key", customers, "Basic YW5uYTprZXk="},
		{"empty", customers, "Bearer "},
		{"no JWT", customers, "Bearer x.y.z"},
		{"cut", customers, good[:len(good)-4]},
		{"expired", customers, change(func(c *token.Claims) { c.Expires = testNow.Unix() - 3600 })},
		{"early", customers, change(func(c *token.Claims) { c.NotBefore = testNow.Unix() + 3600 })},
		{"for Graph", customers, change(func(c *token.Claims) { c.Audience = "https://graph.microsoft.com" })},
		{"for the root of the product's web client", customers, change(func(c *token.Claims) { c.Audience = "https://businesscentral.dynamics.com" })},
		{"app without permission", customers, bearer(t, app(serviceApp))},
		{"app with another permission", customers, bearer(t, app(serviceApp, "Automation.ReadWrite.All"))},
		{"automation API with the data permission", "/v2.0/Production/api/microsoft/automation/v2.0/companies", bearer(t, app(serviceApp, "API.ReadWrite.All"))},
		{"card disabled", customers, bearer(t, app(otherApp, "API.ReadWrite.All"))},
		{"card missing in this environment", "/v2.0/Sandbox/api/v2.0/companies", good},
		{"card missing, web services", "/v2.0/Sandbox/ODataV4/Company", good},
		{"no card at all", customers, bearer(t, app(directory.GraphCLIID, "API.ReadWrite.All"))},
		{"person without scope", customers, bearer(t, w.person("anna@ledger.example"))},
		{"person with an app's permission", customers, bearer(t, w.person("anna@ledger.example", "API.ReadWrite.All"))},
		{"person without licence", customers, bearer(t, w.person("bare@ledger.example", finance))},
		{"person disabled", customers, bearer(t, w.person("off@ledger.example", finance))},
		{"person whose licence was taken", customers, bearer(t, w.person("ada@ledger.example", finance))},
		{"person unknown here", customers, bearer(t, w.person("nobody@ledger.example", finance))},
		{"another tenant in the path", "/v2.0/" + audited + "/Production/api/v2.0/companies", good},
		{"no tenant in the path", "/v2.0/nobody.example/Production/api/v2.0/companies", good},
		{"app without any permission lists environments", "/environments/v1.2", bearer(t, app(serviceApp))},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := w.do(nil, http.MethodGet, c.path, "", "Authorization", c.token)
			if r.status != 401 || r.code() != "Authentication_InvalidCredentials" || !strings.HasPrefix(r.message(), "The server has rejected the client credentials.  CorrelationId:  ") {
				t.Errorf("%d %s", r.status, r.text)
			}
			if !strings.HasPrefix(r.header.Get("WWW-Authenticate"), `Bearer authorization_uri="https://login.microsoftonline.com/`) {
				t.Errorf("challenge %q", r.header.Get("WWW-Authenticate"))
			}
			if !correlated.MatchString(r.message()) || !strings.Contains(r.message(), r.header.Get("ms-correlation-x")) {
				t.Errorf("correlation: %q, header %q", r.message(), r.header.Get("ms-correlation-x"))
			}
		})
	}
}

// Under a lab's own address, callers are sent to the lab and links lead back.
func TestOwnAddress(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.Root = func(*http.Request) string { return "https://127.0.0.1:8443/" } })
	if got := w.must(401, nil, http.MethodGet, api+"companies", "").header.Get("WWW-Authenticate"); got != `Bearer authorization_uri="https://127.0.0.1:8443/common/oauth2/authorize"` {
		t.Errorf("challenge %q", got)
	}
	r := w.get(w.company("Production", 0) + "/customers")
	if next, _ := r.body["@odata.nextLink"].(string); !strings.HasPrefix(next, "https://127.0.0.1:8443/v2.0/Production/api/v2.0/companies(") {
		t.Errorf("link %q", next)
	}
	if got := w.get("/environments/v1.2").names("webServiceUrl")[0]; got != "https://127.0.0.1:8443" {
		t.Errorf("webServiceUrl %q", got)
	}
}

// Who comes in, and to what.
func TestAdmitted(t *testing.T) {
	w := newWorld(t)
	for _, c := range []struct {
		name string
		who  asCaller
		path string
	}{
		{"app", service, api + "companies"},
		{"audience by id", service.with(func(c *token.Claims) { c.Audience = directory.BusinessCentralID }), api + "companies"},
		{"tenant by id", service, "/v2.0/" + ledger + "/Production/api/v2.0/companies"},
		{"tenant by domain", service, "/v2.0/Ledger.example/production/api/v2.0/companies"},
		{"person", w.person("anna@ledger.example", "Financials.ReadWrite.All"), "/v2.0/Sandbox/api/v2.0/companies"},
		{"person, older scope", w.person("anna@ledger.example", "user_impersonation"), api + "companies"},
		{"Global Administrator without licence", w.person("ada@ledger.example", "Financials.ReadWrite.All"), api + "companies"},
		{"Dynamics 365 Administrator without licence", w.person("dyn@ledger.example", "Financials.ReadWrite.All"), api + "companies"},
		{"web services", service, "/v2.0/Production/ODataV4/Company"},
		{"automation", app(serviceApp, "Automation.ReadWrite.All"), "/v2.0/Production/api/microsoft/automation/v2.0/companies"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if r := w.do(c.who, http.MethodGet, c.path, ""); r.status != 200 || len(r.names("id")) == 0 {
				t.Errorf("%d %s", r.status, r.text)
			}
		})
	}
	if got := w.get("/v2.0/ledger.example/Production/api/v2.0/companies").body["@odata.context"]; got != audience+"/v2.0/ledger.example/Production/api/v2.0/$metadata#companies" {
		t.Errorf("context: %v", got)
	}
}

// The card is per environment, and what it allows is decided by its sets.
func TestCards(t *testing.T) {
	w := newWorld(t)
	caller := app(otherApp, "API.ReadWrite.All")
	first := w.company("Production", 0)
	for _, c := range []struct {
		name                string
		sets                []string
		companies           int
		company, read, post int
	}{
		{"none", nil, 0, 403, 403, 403},
		{"SUPER, which apps are not given", []string{"SUPER"}, 0, 403, 403, 403},
		{"set-up only", []string{"D365 AUTOMATION", "EXTEN. MGT. - ADMIN"}, 2, 200, 403, 403},
		{"reading", []string{"D365 READ"}, 2, 200, 200, 403},
		{"set-up and reading", []string{"D365 AUTOMATION", "d365 read"}, 2, 200, 200, 403},
		{"full access", []string{"D365 BUS FULL ACCESS"}, 2, 200, 200, 201},
	} {
		t.Run(c.name, func(t *testing.T) {
			w.server.SetCard(ledger, "PRODUCTION", strings.ToUpper(otherApp), true, c.sets)
			if r := w.must(200, caller, http.MethodGet, api+"companies", ""); len(r.names("id")) != c.companies || r.body["value"] == nil {
				t.Errorf("companies: %s", r.text)
			}
			for _, try := range []struct {
				method, path, body string
				status             int
			}{
				{"GET", first, "", c.company}, {"GET", first + "/customers?$top=1", "", c.read}, {"GET", first + "/items", "", c.read}, {"POST", first + "/customers", `{"displayName":"New"}`, c.post},
			} {
				r := w.do(caller, try.method, try.path, try.body)
				if r.status != try.status {
					t.Errorf("%s %s: %d, want %d: %s", try.method, try.path, r.status, try.status, r.text)
				}
				if r.status == 403 && (r.code() != "Authorization_PermissionDenied" || !correlated.MatchString(r.message())) {
					t.Errorf("refusal %s", r.text)
				}
			}
		})
	}
	// A card here is none there.
	w.must(401, caller, http.MethodGet, "/v2.0/Sandbox/api/v2.0/companies", "")
	w.server.SetCard(ledger, "Sandbox", otherApp, true, []string{"D365 READ"})
	w.must(200, caller, http.MethodGet, "/v2.0/Sandbox/api/v2.0/companies", "")
	w.server.RemoveCard(ledger, "sandbox", otherApp)
	w.must(401, caller, http.MethodGet, "/v2.0/Sandbox/api/v2.0/companies", "")
	// A person's sets count like an app's.
	anna := w.person("anna@ledger.example", "Financials.ReadWrite.All")
	w.server.SetUser(ledger, w.ids["anna@ledger.example"], true, nil)
	if r := w.must(200, anna, http.MethodGet, api+"companies", ""); len(r.names("id")) != 0 {
		t.Errorf("companies of a person without sets: %s", r.text)
	}
	w.server.SetUser(ledger, w.ids["anna@ledger.example"], true, []string{"D365 READ"})
	w.must(200, anna, http.MethodGet, first+"/vendors", "")
	w.must(403, anna, http.MethodPost, first+"/customers", `{"displayName":"New"}`)
}

// Which environments there are, and that only active ones serve data.
func TestEnvironments(t *testing.T) {
	w := newWorld(t)
	for _, who := range []asCaller{service, app(serviceApp, "AdminCenter.ReadWrite.All"), w.person("bare@ledger.example", "Financials.ReadWrite.All")} {
		for _, version := range []string{"v1.2", "v1.1", "V1.0"} {
			r := w.must(200, who, http.MethodGet, "/environments/"+version, "")
			if got := r.names("name"); !slices.Equal(got, []string{"Production", "Sandbox"}) || r.names("aadTenantId")[0] != ledger || r.names("type")[1] != "Sandbox" || r.names("webServiceUrl")[0] != audience {
				t.Errorf("%s", r.text)
			}
		}
	}
	elsewhere := app(otherApp, "API.ReadWrite.All").with(func(c *token.Claims) { c.TenantID = plain })
	if r := w.must(200, elsewhere, http.MethodGet, "/environments/v1.2", ""); len(r.names("name")) != 0 {
		t.Errorf("a tenant without the product: %s", r.text)
	}
	if r := w.must(404, elsewhere, http.MethodGet, api+"companies", ""); r.code() != "NoEnvironment" {
		t.Errorf("its data: %s", r.text)
	}
	for _, path := range []string{"/v2.0/Nowhere/api/v2.0/companies", "/v2.0/" + ledger + "/Nowhere/ODataV4/Company", "/v2.0/Nowhere/api/microsoft/automation/v2.0/companies"} {
		if r := w.do(app(serviceApp, "API.ReadWrite.All", "Automation.ReadWrite.All"), http.MethodGet, path, ""); r.status != 404 || r.code() != "NoEnvironment" || !strings.Contains(r.message(), "'Nowhere'") {
			t.Errorf("%s: %d %s", path, r.status, r.text)
		}
	}
	for status, retry := range map[string]string{"Upgrading": "120", "Preparing": "120", "NotReady": "120", "Recovering": "120", "SoftDeleted": "", "Removing": "", "CreatingFailed": ""} {
		w.server.SetStatus(ledger, "production", status)
		r := w.must(503, service, http.MethodGet, api+"companies", "")
		if r.code() != "Internal_TenantUnavailable" || !strings.Contains(r.message(), status) || r.header.Get("Retry-After") != retry {
			t.Errorf("%s: %s, retry %q", status, r.text, r.header.Get("Retry-After"))
		}
		admin := w.must(200, service, http.MethodGet, "/admin/v2.29/applications/BusinessCentral/environments/Production", "")
		if admin.body["status"] != status || (admin.body["softDeletedOn"] != nil) != (status == "SoftDeleted") {
			t.Errorf("%s in the admin centre: %s", status, admin.text)
		}
	}
	w.must(200, w.person("anna@ledger.example", "user_impersonation"), http.MethodGet, "/v2.0/Sandbox/api/v2.0/companies", "")
	w.server.SetStatus(ledger, "Production", "Active")
	w.get(api + "companies")
}

// The admin-centre API has its own door and its own form of errors.
func TestAdminAPI(t *testing.T) {
	w := newWorld(t)
	const environments = "/admin/v2.29/applications/BusinessCentral/environments"
	for _, c := range []struct {
		name   string
		who    asCaller
		status int
	}{
		{"app, authorised", app(serviceApp, "AdminCenter.ReadWrite.All"), 200},
		{"app, not authorised", app(otherApp, "AdminCenter.ReadWrite.All"), 403},
		{"app with another permission", app(serviceApp, "API.ReadWrite.All"), 403},
		{"Global Administrator", w.person("ada@ledger.example", "user_impersonation"), 200},
		{"Dynamics 365 Administrator", w.person("dyn@ledger.example", "Financials.ReadWrite.All"), 200},
		{"administrator without scope", w.person("ada@ledger.example"), 403},
		{"member", w.person("anna@ledger.example", "Financials.ReadWrite.All"), 403},
		{"nobody", nil, 401},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := w.do(c.who, http.MethodGet, environments, "")
			if r.status != c.status {
				t.Fatalf("%d %s", r.status, r.text)
			}
			if c.status == 200 && (!slices.Equal(r.names("status"), []string{"Active", "Active"}) || r.names("locationName")[0] == "") {
				t.Errorf("%s", r.text)
			}
			// The layer in front knows neither form of error.
			if c.status != 200 && (r.body["error"] != nil || r.body["code"] != nil || r.body["Message"] == nil) {
				t.Errorf("refusal %s", r.text)
			}
		})
	}
	w.server.SetAdminApp(ledger, otherApp, true)
	w.must(200, app(otherApp, "AdminCenter.ReadWrite.All"), http.MethodGet, "/admin/v2.24/applications/environments", "")
	w.server.SetAdminApp(ledger, otherApp, false)
	w.must(403, app(otherApp, "AdminCenter.ReadWrite.All"), http.MethodGet, environments, "")
	for path, code := range map[string]string{
		environments + "/Nowhere": "EnvironmentNotFound", "/admin/v2.30/applications/BusinessCentral/environments": "ResourceNotFound", "/admin/v3/applications": "ResourceNotFound", "/admin": "ResourceNotFound",
		"/admin/v2.29/applications/BusinessCentral": "ResourceNotFound", "/admin/v2.29/applications/BusinessCentral/environments/Production/x": "ResourceNotFound",
	} {
		if r := w.do(service, http.MethodGet, path, ""); r.status != 404 || r.body["code"] != code || r.body["message"] == nil {
			t.Errorf("%s: %d %s", path, r.status, r.text)
		}
	}
	w.must(405, service, http.MethodDelete, environments, "")
}

// TestAuthorizedApps: administrators authorise apps in the admin centre; an app
// finds the tenants that did, and may not authorise itself.
func TestAuthorizedApps(t *testing.T) {
	w := newWorld(t)
	const set = "/admin/v2.29/authorizedAadApps"
	admin, other := w.person("ada@ledger.example", "user_impersonation"), app(otherApp, "AdminCenter.ReadWrite.All")
	w.must(403, other, http.MethodGet, set+"/manageableTenants", "") // no tenant has authorised it: it does not get this far
	r := w.must(200, admin, http.MethodPut, set+"/"+otherApp, "")
	if r.body["appId"] != otherApp || r.body["isAdminConsentGranted"] != false {
		t.Errorf("authorised: %s", r.text)
	}
	if r := w.must(200, other, http.MethodGet, set+"/manageableTenants", ""); !slices.Equal(r.names("entraTenantId"), []string{ledger}) {
		t.Errorf("manageable: %s", r.text)
	}
	list := w.must(200, admin, http.MethodGet, set, "").list
	if len(list) != 2 || list[0].(map[string]any)["isAdminConsentGranted"] != true {
		t.Errorf("list: %v", list)
	}
	w.must(403, other, http.MethodGet, set, "")
	w.must(403, other, http.MethodPut, set+"/"+otherApp, "")
	w.must(400, admin, http.MethodPut, set+"/x", "")
	w.must(405, admin, http.MethodPost, set+"/"+otherApp, "")
	w.must(204, admin, http.MethodDelete, set+"/"+otherApp, "")
	w.must(403, other, http.MethodGet, "/admin/v2.29/applications/environments", "")
}
