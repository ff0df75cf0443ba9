package bcsim

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"gatehouse/lab/internal/directory"
	"gatehouse/lab/internal/labtest"
	"gatehouse/lab/internal/token"
)

var testNow = labtest.Start

const (
	ledger  = "11111111-aaaa-4aaa-8aaa-111111111111"
	plain   = "22222222-aaaa-4aaa-8aaa-222222222222"
	audited = "33333333-aaaa-4aaa-8aaa-333333333333"

	serviceApp = "c1111111-0000-4000-8000-000000000001" // has everything at the start
	otherApp   = "c1111111-0000-4000-8000-000000000002" // has nothing
)

const tenantsFile = `{"tenants": [
 {"name": "Coast & Sons' Ledger Office of York", "domain": "ledger.onmicrosoft.com", "id": "` + ledger + `", "domains": [{"name": "ledger.example"}], "licences": ["SPB"],
  "users": [
   {"upn": "anna@ledger.example", "name": "Anna", "passwordless": true, "licences": ["SPB"]},
   {"upn": "bare@ledger.example", "name": "Bare", "passwordless": true},
   {"upn": "off@ledger.example", "name": "Off", "passwordless": true, "licences": ["SPB"], "enabled": false},
   {"upn": "ada@ledger.example", "name": "Ada", "passwordless": true, "roles": ["Global Administrator"]},
   {"upn": "dyn@ledger.example", "name": "Dyn", "passwordless": true, "roles": ["Dynamics 365 Administrator"]}],
  "apps": [
   {"name": "Service", "client_id": "` + serviceApp + `", "secret": true, "application_permissions": {"business_central": ["API.ReadWrite.All", "AdminCenter.ReadWrite.All"]}, "granted": {"business_central": ["API.ReadWrite.All", "AdminCenter.ReadWrite.All"]}},
   {"name": "Other", "client_id": "` + otherApp + `", "secret": true}]},
 {"name": "Plain", "domain": "plain.onmicrosoft.com", "id": "` + plain + `"},
 {"name": "Audited", "domain": "audited.onmicrosoft.com", "id": "` + audited + `",
  "apps": [{"name": "Audit", "secret": true, "application_permissions": {"business_central": ["API.ReadWrite.All"]}, "granted": {"business_central": ["API.ReadWrite.All"]}}]}
]}`

// world is a Business Central over the test's tenants.
type world struct {
	t      testing.TB
	store  *directory.Store
	server *Server
	ids    map[string]string // user ids by user name
}

func newWorld(t testing.TB, change ...func(*Config)) *world {
	t.Helper()
	store := labtest.Store(t, tenantsFile, &labtest.Clock{})
	cfg := Config{Store: store, Tokens: labtest.Signer(), Deterministic: true}
	for _, c := range change {
		c(&cfg)
	}
	w := &world{t: t, store: store, server: New(cfg), ids: map[string]string{}}
	store.View(ledger, func(d *directory.Tenant) {
		for _, u := range d.Users {
			w.ids[u.UPN] = u.ID
		}
	})
	return w
}

// hostile switches randomness on.
func hostile(seed byte) func(*Config) {
	random := labtest.Random(seed)
	return func(c *Config) { c.Deterministic, c.Random = false, random }
}

// asCaller makes the claims of a token as the sign-in service does.
type asCaller func(*token.Claims)

func app(clientID string, roles ...string) asCaller {
	return func(c *token.Claims) {
		c.IDType, c.Roles, c.AppID, c.AppIDACR, c.ObjectID = "app", roles, clientID, "1", directory.NameID("principal", clientID)
	}
}

// person is a user through a vendor's app.
func (w *world) person(upn string, scopes ...string) asCaller {
	return func(c *token.Claims) {
		c.IDType, c.Scopes, c.UPN, c.ObjectID, c.AppID, c.AppIDACR = "user", strings.Join(scopes, " "), upn, w.ids[upn], otherApp, "0"
		w.store.View(ledger, func(t *directory.Tenant) {
			c.WIDs = append(t.RolesOf(c.ObjectID), "b79fbf4d-3ef9-4689-8143-76b194e85509")
		})
	}
}

func (a asCaller) with(change func(*token.Claims)) asCaller {
	return func(c *token.Claims) { a(c); change(c) }
}

const audience = "https://api.businesscentral.dynamics.com"

func bearer(t testing.TB, who asCaller) string {
	t.Helper()
	c := &token.Claims{
		Audience: audience, Issuer: "https://sts.windows.net/" + ledger + "/", TenantID: ledger, IssuedAt: testNow.Unix(), NotBefore: testNow.Unix(), Expires: testNow.Add(time.Hour).Unix(),
		Extra: map[string]any{"ver": "1.0"},
	}
	who(c)
	return labtest.Bearer(t, c)
}

// reply is what came back.
type reply struct {
	status int
	header http.Header
	body   map[string]any
	list   []any // of an answer that is a bare list
	text   string
}

func (r reply) code() string {
	e, _ := r.body["error"].(map[string]any)
	code, _ := e["code"].(string)
	return code
}

func (r reply) message() string {
	e, _ := r.body["error"].(map[string]any)
	message, _ := e["message"].(string)
	return message
}

func (r reply) names(member string) []string {
	out := []string{}
	values, _ := r.body["value"].([]any)
	for _, v := range values {
		out = append(out, fmt.Sprint(v.(map[string]any)[member]))
	}
	return out
}

// do sends a request; body "" sends none, a nil caller no token.
func (w *world) do(who asCaller, method, path, body string, headers ...string) reply {
	w.t.Helper()
	if !strings.HasPrefix(path, audience) {
		path = audience + path
	}
	h := httptest.NewRequest(method, strings.ReplaceAll(path, " ", "%20"), strings.NewReader(body))
	if who != nil {
		h.Header.Set("Authorization", bearer(w.t, who))
	}
	if body != "" {
		h.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i+1 < len(headers); i += 2 {
		h.Header.Set(headers[i], headers[i+1])
	}
	recorder := httptest.NewRecorder()
	w.server.ServeHTTP(recorder, h)
	answer := recorder.Result()
	raw, err := io.ReadAll(answer.Body)
	if err != nil {
		w.t.Fatalf("reading the answer: %v", err)
	}
	out := reply{status: answer.StatusCode, header: answer.Header, text: string(raw)}
	if len(raw) > 0 {
		into := any(&out.body)
		if raw[0] == '[' {
			into = &out.list
		}
		if err := json.Unmarshal(raw, into); err != nil {
			w.t.Fatalf("%s %s: the answer is no JSON object: %v", method, path, err)
		}
	}
	return out
}

// must is do with the status that is expected.
func (w *world) must(status int, who asCaller, method, path, body string, headers ...string) reply {
	w.t.Helper()
	r := w.do(who, method, path, body, headers...)
	if r.status != status {
		w.t.Fatalf("%s %s: status %d, want %d: %s", method, path, r.status, status, r.text)
	}
	return r
}

func (w *world) get(path string) reply {
	w.t.Helper()
	return w.must(http.StatusOK, service, http.MethodGet, path, "")
}

var service = app(serviceApp, "API.ReadWrite.All", "AdminCenter.ReadWrite.All")

const api = "/v2.0/Production/api/v2.0/"

// company is the address of a company of Production or Sandbox.
func (w *world) company(environment string, i int) string {
	w.t.Helper()
	ids := w.must(200, w.person("anna@ledger.example", "Financials.ReadWrite.All"), http.MethodGet, "/v2.0/"+environment+"/api/v2.0/companies", "").names("id")
	return "/v2.0/" + environment + "/api/v2.0/companies(" + ids[i] + ")"
}
