package graphsim

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"gatehouse/lab/internal/directory"
	"gatehouse/lab/internal/labtest"
	"gatehouse/lab/internal/token"
)

var testNow = labtest.Start

const tenantsFile = `{"tenants": [
 {"name": "Harbour Freight Lines", "domain": "harbour.onmicrosoft.com", "id": "11111111-aaaa-4aaa-8aaa-111111111111", "domains": [{"name": "harbour.example"}],
  "licences": ["SPB", "AAD_PREMIUM_P2"], "security_defaults": true, "consent": {"users": "low_risk", "admin_requests": true},
  "users": [
   {"upn": "ada@harbour.example", "name": "Ada Admin", "passwordless": true, "roles": ["Global Administrator"], "licences": ["SPB"], "methods": [{"type": "authenticator", "name": "Ada's phone"}, {"type": "fido2", "name": "Blue key"}], "default_method": "push"},
   {"upn": "ben@harbour.example", "name": "Ben Baker", "department": "Stores", "job_title": "Clerk", "licences": ["SPB"], "per_user_mfa": "enabled",
    "methods": [{"type": "phone", "phone": "+44 7700900123"}, {"type": "email", "email": "ben@home.example"}, {"type": "oath", "name": "token"}, {"type": "hello", "name": "Laptop"}, {"type": "temporary_access_pass", "minutes": 60, "created": "-10m"}]},
   {"upn": "Cy.O'Neil@harbour.example", "name": "Cy O'Neil", "passwordless": true, "synced": true, "enabled": false, "department": "Stores"},
   {"upn": "svc-backup@harbour.example", "name": "Backup Service", "locked": true, "password": "Old-Password-123!", "password_expired": true},
   {"upn": "dora@partner.onmicrosoft.com", "name": "Dora Guest", "type": "guest", "guest_of": "partner.onmicrosoft.com"}],
  "groups": [
   {"name": "Everyone", "members": ["Ship crew", "ada@harbour.example"]}, {"name": "Ship crew", "members": ["ben@harbour.example", "Cy.O'Neil@harbour.example", "Reader"]},
   {"name": "Role holders", "role_assignable": true, "roles": ["Reports Reader"], "members": ["ben@harbour.example"]}],
  "apps": [
   {"name": "Reader", "purpose": "reader", "secret": true, "certificate": true, "application_permissions": {"graph": ["User.Read.All"]}, "granted": {"graph": ["User.Read.All", "Policy.Read.All"]}, "roles": ["Global Reader"]},
   {"name": "Portal", "purpose": "delegated", "secret": true, "multi_tenant": true, "redirect_uris": ["https://portal.example/callback"], "delegated_permissions": {"graph": ["User.Read"]}, "assigned": ["ben@harbour.example", "Ship crew"]},
   {"name": "Public tool", "purpose": "delegated", "public": true}],
  "grants": [{"app": "Portal", "scopes": ["User.Read", "openid"]}, {"app": "Public tool", "scopes": ["User.Read"], "user": "ben@harbour.example"}]},
 {"name": "Plain", "domain": "plain.onmicrosoft.com", "id": "22222222-aaaa-4aaa-8aaa-222222222222", "licences": ["ENTERPRISEPACK"], "users": [{"upn": "pat@plain.onmicrosoft.com", "name": "Pat Plain", "passwordless": true}]},
 {"name": "Partner", "domain": "partner.onmicrosoft.com", "id": "33333333-aaaa-4aaa-8aaa-333333333333",
  "users": [{"upn": "dora@partner.onmicrosoft.com", "name": "Dora", "passwordless": true}], "apps": [{"name": "Vendor", "multi_tenant": true}, {"name": "Private"}]}
]}`

const harbour, plain = "11111111-aaaa-4aaa-8aaa-111111111111", "22222222-aaaa-4aaa-8aaa-222222222222"

// world is a Graph over the test's tenants.
type world struct {
	t      testing.TB
	store  *directory.Store
	server *Server
	ids    map[string]string // by UPN, group name or app name; apps: principal id
	clock  *labtest.Clock
}

// pass lets time go by.
func (w *world) pass(d time.Duration) { w.clock.Pass(d) }

func newWorld(t testing.TB, change ...func(*Config)) *world {
	t.Helper()
	w := &world{t: t, clock: &labtest.Clock{}, ids: map[string]string{}}
	w.store = labtest.Store(t, tenantsFile, w.clock)
	cfg := Config{Store: w.store, Tokens: labtest.Signer(), Root: func(*http.Request) string { return "https://graph.lab" }, Deterministic: true}
	for _, c := range change {
		c(&cfg)
	}
	w.server = New(cfg)
	w.store.Update(harbour, func(d *directory.Tenant) {
		for _, u := range d.Users {
			w.ids[u.UPN] = u.ID
		}
		for _, g := range d.Groups {
			w.ids[g.Name] = g.ID
		}
		for _, p := range d.Principals {
			w.ids[d.App(p.ClientID).Name] = p.ID
		}
		for _, a := range d.Apps {
			w.ids["client "+a.Name], w.ids["app "+a.Name] = a.ClientID, a.ID
		}
		w.log(d)
	})
	return w
}

// log writes sign-ins of all kinds, oldest first.
func (w *world) log(d *directory.Tenant) {
	for i := range 12 {
		e := &directory.SignIn{
			ID: directory.NameID("sign-in", itoa(i)), CorrelationID: directory.NameID("correlation", itoa(i)), Time: testNow.Add(time.Duration(i-12) * time.Minute),
			UserID: w.ids["ben@harbour.example"], UPN: "ben@harbour.example", UserName: "Ben Baker", ClientID: directory.GraphCLIID, ClientName: "Microsoft Graph Command Line Tools",
			Resource: directory.GraphID, ResourceName: "Microsoft Graph", IPAddress: "192.0.2." + itoa(i), UserAgent: "Mozilla/5.0 (Windows NT 10.0)", Interactive: true, Protocol: "ropc", CredentialType: "none",
		}
		switch i % 4 {
		case 1:
			e.Status, e.Failure, e.MFARequired = 50076, "MFA is needed.", true
			e.Demands = []directory.Demand{{Provider: "securityDefaults", Detail: "Security Defaults"}}
		case 2:
			e.Interactive = false
		case 3:
			e.UserID, e.UPN, e.UserName, e.PrincipalID, e.CredentialType, e.Interactive = "", "", "", w.ids["Reader"], "clientSecret", false
		}
		d.Log(e)
	}
}

// caller makes a token's claims.
type caller func(*token.Claims)

func app(roles ...string) caller {
	return func(c *token.Claims) { c.IDType, c.Roles, c.ObjectID = "app", roles, directory.NameID("some app") }
}

func (w *world) user(upn string, scopes string, roles ...string) caller {
	return func(c *token.Claims) {
		c.IDType, c.Scopes, c.UPN, c.ObjectID, c.WIDs = "user", scopes, upn, w.ids[upn], roles
	}
}

// inPlain is a caller of the tenant without premium licence.
func inPlain(inner caller) caller {
	return func(c *token.Claims) { inner(c); c.TenantID = plain }
}

func (w *world) bearer(who caller) string {
	c := &token.Claims{Audience: "https://graph.microsoft.com", TenantID: harbour, NotBefore: w.clock.Now().Add(-time.Minute).Unix(), Expires: w.clock.Now().Add(time.Hour).Unix(), AppID: w.ids["client Reader"]}
	who(c)
	return labtest.Bearer(w.t, c)
}

// reply is what came back.
type reply struct {
	status int
	header http.Header
	body   map[string]any
	text   string
}

func (r reply) code() string {
	e, _ := r.body["error"].(map[string]any)
	code, _ := e["code"].(string)
	return code
}

func (r reply) value() []any {
	v, _ := r.body["value"].([]any)
	return v
}

func (r reply) names(member string) []string {
	out := []string{}
	for _, v := range r.value() {
		s, _ := v.(map[string]any)[member].(string)
		out = append(out, s)
	}
	return out
}

var eventual = http.Header{"Consistencylevel": {"eventual"}}

// do sends a request; body "" sends none.
func (w *world) do(who caller, method, path, body string, headers ...http.Header) reply {
	w.t.Helper()
	path = strings.ReplaceAll(path, " ", "%20")
	h := httptest.NewRequest(method, path, strings.NewReader(body))
	if who != nil {
		h.Header.Set("Authorization", w.bearer(who))
	}
	if body != "" {
		h.Header.Set("Content-Type", "application/json")
	}
	for _, extra := range headers {
		for name, values := range extra {
			h.Header[name] = values
		}
	}
	recorder := httptest.NewRecorder()
	w.server.ServeHTTP(recorder, h)
	answer := recorder.Result()
	raw, err := io.ReadAll(answer.Body)
	if err != nil {
		w.t.Fatalf("reading the answer: %v", err)
	}
	out := reply{status: answer.StatusCode, header: answer.Header, text: string(raw)}
	if strings.Contains(answer.Header.Get("Content-Type"), "json") {
		if err := json.Unmarshal(raw, &out.body); err != nil {
			w.t.Fatalf("%s %s: the answer is no JSON object: %v", method, path, err)
		}
	}
	return out
}

func (w *world) get(who caller, path string, headers ...http.Header) reply {
	w.t.Helper()
	return w.do(who, http.MethodGet, path, "", headers...)
}

// must is do with the status that is expected.
func (w *world) must(status int, who caller, method, path, body string, headers ...http.Header) reply {
	w.t.Helper()
	r := w.do(who, method, path, body, headers...)
	if r.status != status {
		w.t.Fatalf("%s %s: status %d, want %d: %s", method, path, r.status, status, r.text)
	}
	return r
}

func query(pairs ...string) string {
	v := url.Values{}
	for i := 0; i+1 < len(pairs); i += 2 {
		v.Set(pairs[i], pairs[i+1])
	}
	return "?" + v.Encode()
}

var everything = app("User.ReadWrite.All", "Directory.Read.All", "GroupMember.ReadWrite.All", "Policy.Read.All", "Policy.ReadWrite.SecurityDefaults", "AuditLog.Read.All",
	"UserAuthenticationMethod.ReadWrite.All", "Policy.ReadWrite.AuthenticationMethod", "Application.ReadWrite.All", "AppRoleAssignment.ReadWrite.All", "DelegatedPermissionGrant.ReadWrite.All",
	"Policy.ReadWrite.ConditionalAccess", "Application.Read.All", "Policy.Read.PermissionGrant", "Policy.ReadWrite.PermissionGrant", "Policy.ReadWrite.Authorization", "Policy.ReadWrite.ConsentRequest",
	"AuthenticationContext.ReadWrite.All", "Agreement.ReadWrite.All", "Group.ReadWrite.All", "RoleManagement.ReadWrite.Directory", "User.DeleteRestore.All", "IdentityRiskyUser.ReadWrite.All", "Policy.ReadWrite.AuthenticationFlows", "ConsentRequest.Read.All")
