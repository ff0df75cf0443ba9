package spsim

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
	contoso  = "11111111-aaaa-4aaa-8aaa-111111111111"
	fabrikam = "22222222-aaaa-4aaa-8aaa-222222222222"
	deltaMy  = "33333333-aaaa-4aaa-8aaa-333333333333"

	selectedApp = "c1111111-0000-4000-8000-000000000001"
	wideApp     = "c1111111-0000-4000-8000-000000000002"
)

const tenantsFile = `{"tenants": [
 {"name": "Contoso", "domain": "contoso.onmicrosoft.com", "id": "` + contoso + `", "domains": [{"name": "contoso.example"}], "licences": ["SPB"],
  "users": [
   {"upn": "ada@contoso.example", "name": "Ada Admin", "passwordless": true, "roles": ["Global Administrator"], "licences": ["SPB"]},
   {"upn": "sue@contoso.example", "name": "Sue Sites", "passwordless": true, "roles": ["SharePoint Administrator"], "licences": ["SPB"]},
   {"upn": "fay@contoso.example", "name": "Fay Figures", "passwordless": true, "department": "finance", "licences": ["SPB"]},
   {"upn": "ben@contoso.example", "name": "Ben O'Neil", "passwordless": true, "licences": ["SPB"]},
   {"upn": "off@contoso.example", "name": "Gone", "passwordless": true, "enabled": false},
   {"upn": "gil@fabrikam.onmicrosoft.com", "name": "Gil Guest", "type": "guest", "guest_of": "fabrikam.onmicrosoft.com"}],
  "apps": [
   {"name": "Selected", "client_id": "` + selectedApp + `", "certificate": true, "application_permissions": {"sharepoint": ["Sites.Selected"]}, "granted": {"sharepoint": ["Sites.Selected"]}},
   {"name": "Wide", "client_id": "` + wideApp + `", "certificate": true, "secret": true, "application_permissions": {"sharepoint": ["Sites.FullControl.All"]}, "granted": {"sharepoint": ["Sites.FullControl.All"]}}]},
 {"name": "Fabrikam", "domain": "fabrikam.onmicrosoft.com", "id": "` + fabrikam + `", "users": [{"upn": "gil@fabrikam.onmicrosoft.com", "name": "Gil", "passwordless": true}]},
 {"name": "Delta", "domain": "delta.onmicrosoft.com"},
 {"name": "Delta My", "domain": "delta-my.onmicrosoft.com", "id": "` + deltaMy + `"}
]}`

// world is a SharePoint over the test's tenants.
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
	store.View(contoso, func(d *directory.Tenant) {
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

// caller makes the claims of a token as the sign-in service does.
type asCaller func(*token.Claims)

// app is an app with a certificate.
func app(roles ...string) asCaller {
	return func(c *token.Claims) {
		c.IDType, c.Roles, c.AppID, c.AppIDACR = "app", roles, wideApp, "2"
		c.ObjectID = directory.NameID("principal", wideApp)
	}
}

// person is a user through an app.
func (w *world) person(upn, scopes string) asCaller {
	return func(c *token.Claims) {
		c.IDType, c.Scopes, c.UPN, c.ObjectID, c.AppID, c.AppIDACR = "user", scopes, upn, w.ids[upn], wideApp, "0"
		w.store.View(contoso, func(t *directory.Tenant) {
			c.WIDs = append(t.RolesOf(c.ObjectID), "b79fbf4d-3ef9-4689-8143-76b194e85509")
		})
	}
}

func (a asCaller) with(change func(*token.Claims)) asCaller {
	return func(c *token.Claims) { a(c); change(c) }
}

func bearer(t testing.TB, audience string, who asCaller) string {
	t.Helper()
	c := &token.Claims{
		Audience: audience, Issuer: "https://sts.windows.net/" + contoso + "/", TenantID: contoso, IssuedAt: testNow.Unix(), NotBefore: testNow.Unix(), Expires: testNow.Add(time.Hour).Unix(),
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
	text   string
}

// error gives code and message of a refusal in OData's form.
func (r reply) error() (code, message string) {
	for _, name := range []string{"odata.error", "error"} {
		if e, ok := r.body[name].(map[string]any); ok {
			code, _ = e["code"].(string)
			inner, _ := e["message"].(map[string]any)
			message, _ = inner["value"].(string)
		}
	}
	return code, message
}

func (r reply) value() []map[string]any {
	var out []map[string]any
	values, _ := r.body["value"].([]any)
	for _, v := range values {
		out = append(out, v.(map[string]any))
	}
	return out
}

func (r reply) names(member string) []string {
	var out []string
	for _, v := range r.value() {
		out = append(out, fmt.Sprint(v[member]))
	}
	return out
}

const main, adminHost, myHost = "contoso.sharepoint.com", "contoso-admin.sharepoint.com", "contoso-my.sharepoint.com"

// do sends a request; address is host and path, body "" sends none. A nil
// caller sends no token; headers override what do sets.
func (w *world) do(who asCaller, method, address, body string, headers ...string) reply {
	w.t.Helper()
	host, _, _ := strings.Cut(address, "/")
	h := httptest.NewRequest(method, "https://"+strings.NewReplacer(" ", "%20", "#", "%23").Replace(address), strings.NewReader(body))
	h.Header.Set("Accept", "application/json;odata=nometadata")
	if who != nil {
		audience := "https://" + host
		if _, _, ok := split(host); !ok {
			audience = directory.SharePointID
		}
		h.Header.Set("Authorization", bearer(w.t, audience, who))
	}
	if body != "" {
		h.Header.Set("Content-Type", "application/json;odata=verbose")
	}
	for i := 0; i+1 < len(headers); i += 2 {
		h.Header.Set(headers[i], headers[i+1])
	}
	return w.send(h)
}

func (w *world) send(h *http.Request) reply {
	w.t.Helper()
	recorder := httptest.NewRecorder()
	w.server.ServeHTTP(recorder, h)
	answer := recorder.Result()
	raw, err := io.ReadAll(answer.Body)
	if err != nil {
		w.t.Fatalf("reading the answer: %v", err)
	}
	out := reply{status: answer.StatusCode, header: answer.Header, text: string(raw)}
	if h.Method != http.MethodHead && strings.Contains(answer.Header.Get("Content-Type"), "json") {
		if err := json.Unmarshal(raw, &out.body); err != nil {
			w.t.Fatalf("%s %s: the answer is no JSON object: %v", h.Method, h.URL, err)
		}
	}
	return out
}

// must is do with the status that is expected.
func (w *world) must(status int, who asCaller, method, address, body string, headers ...string) reply {
	w.t.Helper()
	r := w.do(who, method, address, body, headers...)
	if r.status != status {
		w.t.Fatalf("%s %s: status %d, want %d: %s", method, address, r.status, status, r.text)
	}
	return r
}

func (w *world) get(who asCaller, address string, headers ...string) reply {
	w.t.Helper()
	return w.must(http.StatusOK, who, http.MethodGet, address, "", headers...)
}

var reader = app("Sites.Read.All")
