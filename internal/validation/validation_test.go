package validation_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"gatehouse/internal/diagnosis"
	"gatehouse/internal/microsoft"
	"gatehouse/internal/microsoft/login"
	"gatehouse/internal/posture"
	"gatehouse/internal/secrets"
	"gatehouse/internal/validation"
	"gatehouse/lab"
)

const azureCLI = "04b07795-8ddb-461a-bbee-02f9e1bf7b46"

func cloudOf(l *lab.Lab) microsoft.Cloud {
	return microsoft.At("lab", l.URL(), l.Roots())
}

func certificate(t testing.TB, a lab.ReadyApp) *login.Certificate {
	t.Helper()
	data, err := os.ReadFile(*a.CertificateFile)
	if err != nil {
		t.Fatal(err)
	}
	c, err := login.ReadCertificate(data)
	if err != nil {
		t.Fatal(err)
	}
	return &c
}

// account asks about a user of a tenant with the right password, through an
// app (by name; "" for the default) and with the tenant's reader.
func account(t testing.TB, l *lab.Lab, tenant, user, app string) validation.Request {
	t.Helper()
	at := l.Tenant(tenant)
	u := at.User(user)
	client := validation.GraphCommandLineTools
	if app != "" {
		client = at.App(app).ClientID
	}
	reader := at.App("Gatehouse reader")
	return validation.Request{
		Cloud: cloudOf(l), Tenant: at.Domain, Username: u.UPN, ClientID: client, Credential: validation.Credential{Password: secrets.New(*u.Password)},
		Reader: &validation.Reader{ClientID: reader.ClientID, Credential: validation.Credential{Certificate: certificate(t, reader)}},
	}
}

func app(t *testing.T, l *lab.Lab, tenant, name string) validation.Request {
	t.Helper()
	at := l.Tenant(tenant)
	a, reader := at.App(name), at.App("Gatehouse reader")
	r := validation.Request{
		Cloud: cloudOf(l), Tenant: at.Domain, ClientID: a.ClientID,
		Reader: &validation.Reader{ClientID: reader.ClientID, Credential: validation.Credential{Secret: secrets.New(*reader.Secret)}},
	}
	if a.CertificateFile != nil {
		r.Certificate = certificate(t, a)
	} else {
		r.Secret = secrets.New(*a.Secret)
	}
	return r
}

func check(t *testing.T, r validation.Request) validation.Result {
	t.Helper()
	return validation.Service{}.Run(t.Context(), r)
}

// graphAdmin changes a tenant through Graph as its administrator would, so
// that a remedy is applied the way it is in the world.
func graphAdmin(t testing.TB, l *lab.Lab, tenant, method, path string, body any) map[string]any {
	t.Helper()
	at := l.Tenant(tenant)
	admin := at.App("Lab administration")
	client := l.Client()
	defer client.CloseIdleConnections()
	response, err := client.PostForm(l.URL()+"/"+at.ID+"/oauth2/v2.0/token", url.Values{
		"grant_type": {"client_credentials"}, "client_id": {admin.ClientID}, "client_secret": {*admin.Secret}, "scope": {"https://graph.microsoft.com/.default"}})
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	var token struct {
		Access string `json:"access_token"`
	}
	if err := json.NewDecoder(response.Body).Decode(&token); err != nil {
		t.Fatal(err)
	}
	encoded, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	request, err := http.NewRequestWithContext(t.Context(), method, l.URL()+path, strings.NewReader(string(encoded)))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+token.Access)
	request.Header.Set("Content-Type", "application/json")
	answer, err := client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	var out map[string]any
	_ = json.NewDecoder(answer.Body).Decode(&out) // 204 has none
	if answer.StatusCode >= 300 {
		t.Fatalf("%s %s: %d %v", method, path, answer.StatusCode, out)
	}
	return out
}

// objectID gives the id of a service principal in a tenant.
func objectID(t *testing.T, l *lab.Lab, tenant, clientID string) string {
	t.Helper()
	id, _ := graphAdmin(t, l, tenant, http.MethodGet, "/v1.0/servicePrincipals(appId='"+clientID+"')", nil)["id"].(string)
	return id
}

const graphID = "00000003-0000-0000-c000-000000000000"

// The story tenants: check names the rule, who acts and the first remedy; after
// a remedy is applied to the tenant it says that it works.
func TestStories(t *testing.T) {
	consent := func(name string) func(*testing.T, *lab.Lab) {
		return func(t *testing.T, l *lab.Lab) {
			graphAdmin(t, l, "ledgerlane", http.MethodPost, "/v1.0/oauth2PermissionGrants", map[string]any{
				"clientId": objectID(t, l, "ledgerlane", l.Tenant("ledgerlane").App(name).ClientID), "resourceId": objectID(t, l, "ledgerlane", graphID),
				"consentType": "AllPrincipals", "scope": "User.Read openid profile"})
		}
	}
	patchUser := func(tenant, user string, body map[string]any) func(*testing.T, *lab.Lab) {
		return func(t *testing.T, l *lab.Lab) {
			graphAdmin(t, l, tenant, http.MethodPatch, "/v1.0/users/"+l.Tenant(tenant).User(user).UPN, body)
		}
	}
	perUserOff := func(user string) func(*testing.T, *lab.Lab) {
		return func(t *testing.T, l *lab.Lab) {
			graphAdmin(t, l, "profilepark", http.MethodPatch, "/beta/users/"+l.Tenant("profilepark").User(user).UPN+"/authentication/requirements", map[string]any{"perUserMfaState": "disabled"})
		}
	}
	defaultsOff := func(t *testing.T, l *lab.Lab) {
		graphAdmin(t, l, "defaultshield", http.MethodPatch, "/v1.0/policies/identitySecurityDefaultsEnforcementPolicy", map[string]any{"isEnabled": false})
	}
	newSecret := func(tenant string) func(*testing.T, *lab.Lab, *validation.Request) {
		return func(t *testing.T, l *lab.Lab, r *validation.Request) {
			added := graphAdmin(t, l, tenant, http.MethodPost, "/v1.0/applications(appId='"+r.ClientID+"')/addPassword", map[string]any{"passwordCredential": map[string]any{"displayName": "renewed"}})
			text, _ := added["secretText"].(string)
			r.Credential = validation.Credential{Secret: secrets.New(text)}
		}
	}
	// instead replaces the identity by the app-only one of the tenant, which is
	// the first remedy wherever MFA stops a service account.
	appOnly := func(tenant, name string) func(*testing.T, *lab.Lab, *validation.Request) {
		return func(t *testing.T, l *lab.Lab, r *validation.Request) { *r = app(t, l, tenant, name) }
	}
	tests := []struct {
		name     string
		request  func(*testing.T, *lab.Lab) validation.Request
		verdict  validation.Verdict
		rule     diagnosis.RuleKind // "" for none
		category string
		actor    diagnosis.Actor
		remedy   string // first remedy
		apply    func(*testing.T, *lab.Lab)
		change   func(*testing.T, *lab.Lab, *validation.Request)
	}{
		{name: "Security Defaults, enrolled administrator",
			request: func(t *testing.T, l *lab.Lab) validation.Request {
				return account(t, l, "defaultshield", "svc-connection", "")
			},
			verdict: validation.Blocked, rule: diagnosis.SecurityDefaults, category: "mfa_required", actor: diagnosis.Operator, remedy: "move-to-app-only", apply: defaultsOff},
		{name: "Security Defaults, administrator without a method",
			request: func(t *testing.T, l *lab.Lab) validation.Request {
				return account(t, l, "defaultshield", "svc-unenrolled", "")
			},
			verdict: validation.Blocked, rule: diagnosis.SecurityDefaults, category: "mfa_enrollment", actor: diagnosis.Operator, remedy: "move-to-app-only", apply: defaultsOff},
		{name: "Security Defaults, registration due",
			request: func(t *testing.T, l *lab.Lab) validation.Request {
				return account(t, l, "defaultshield", "svc-new", "")
			},
			verdict: validation.Blocked, rule: diagnosis.SecurityDefaults, category: "mfa_enrollment", actor: diagnosis.Operator, remedy: "move-to-app-only", apply: defaultsOff},
		{name: "per-user MFA enforced",
			request: func(t *testing.T, l *lab.Lab) validation.Request {
				return account(t, l, "profilepark", "svc-avepoint", "")
			},
			verdict: validation.Blocked, rule: diagnosis.PerUserMFA, category: "mfa_required", actor: diagnosis.Operator, remedy: "move-to-app-only", apply: perUserOff("svc-avepoint")},
		{name: "per-user MFA enabled, not registered",
			request: func(t *testing.T, l *lab.Lab) validation.Request {
				return account(t, l, "profilepark", "svc-waiting", "")
			},
			verdict: validation.Blocked, rule: diagnosis.PerUserMFA, category: "mfa_enrollment", actor: diagnosis.Operator, remedy: "move-to-app-only", apply: perUserOff("svc-waiting")},
		{name: "mandatory MFA",
			request: func(t *testing.T, l *lab.Lab) validation.Request {
				return account(t, l, "azurequay", "svc-deploy", azureCLI)
			},
			verdict: validation.Blocked, rule: diagnosis.MandatoryMFA, category: "mfa_required", actor: diagnosis.Operator, remedy: "move-to-app-only", change: appOnly("azurequay", "Deployment app")},
		{name: "consent missing",
			request: func(t *testing.T, l *lab.Lab) validation.Request {
				return account(t, l, "ledgerlane", "ben.koch", "Ledger Link")
			},
			verdict: validation.Blocked, rule: diagnosis.Consent, category: "consent_user", actor: diagnosis.TenantAdmin, remedy: "grant-admin-consent", apply: consent("Ledger Link")},
		{name: "not assigned",
			request: func(t *testing.T, l *lab.Lab) validation.Request {
				return account(t, l, "ledgerlane", "carla.novak", "Ledger Reports")
			},
			verdict: validation.Blocked, rule: diagnosis.UserAssignment, category: "user_not_assigned", actor: diagnosis.TenantAdmin, remedy: "assign-user",
			apply: func(t *testing.T, l *lab.Lab) {
				sp := objectID(t, l, "ledgerlane", l.Tenant("ledgerlane").App("Ledger Reports").ClientID)
				graphAdmin(t, l, "ledgerlane", http.MethodPost, "/v1.0/servicePrincipals/"+sp+"/appRoleAssignedTo", map[string]any{
					"principalId": l.Tenant("ledgerlane").User("carla.novak").ID, "resourceId": sp, "appRoleId": "00000000-0000-0000-0000-000000000000"})
			}},
		{name: "federated domain",
			request: func(t *testing.T, l *lab.Lab) validation.Request { return account(t, l, "federaford", "svc-sync", "") },
			verdict: validation.Blocked, rule: diagnosis.Federation, category: "ropc_unsupported_federated", actor: diagnosis.Operator, remedy: "move-to-app-only",
			change: func(t *testing.T, l *lab.Lab, r *validation.Request) {
				*r = account(t, l, "federaford", "svc-cloud", "")
			}},
		{name: "disabled account",
			request: func(t *testing.T, l *lab.Lab) validation.Request {
				return account(t, l, "brokenbay", "svc-disabled", "")
			},
			verdict: validation.Failed, category: "account_disabled", actor: diagnosis.TenantAdmin, remedy: "enable-account", apply: patchUser("brokenbay", "svc-disabled", map[string]any{"accountEnabled": true})},
		{name: "locked account",
			request: func(t *testing.T, l *lab.Lab) validation.Request { return account(t, l, "brokenbay", "svc-locked", "") },
			verdict: validation.Failed, category: "account_locked", actor: diagnosis.TenantAdmin, remedy: "wait-for-unlock",
			change: func(t *testing.T, l *lab.Lab, r *validation.Request) {
				patchUser("brokenbay", "svc-locked", map[string]any{"passwordProfile": map[string]any{"password": "Unlocked-2026-lab", "forceChangePasswordNextSignIn": false}})(t, l)
				r.Password = secrets.New("Unlocked-2026-lab")
			}},
		{name: "expired password",
			request: func(t *testing.T, l *lab.Lab) validation.Request {
				return account(t, l, "brokenbay", "svc-expired", "")
			},
			verdict: validation.Failed, category: "password_expired", actor: diagnosis.Operator, remedy: "reset-password",
			change: func(t *testing.T, l *lab.Lab, r *validation.Request) {
				patchUser("brokenbay", "svc-expired", map[string]any{"passwordProfile": map[string]any{"password": "Renewed-2026-lab", "forceChangePasswordNextSignIn": false}})(t, l)
				r.Password = secrets.New("Renewed-2026-lab")
			}},
		{name: "wrong password",
			request: func(t *testing.T, l *lab.Lab) validation.Request {
				r := account(t, l, "brokenbay", "svc-ok", "")
				r.Password = secrets.New("not the password")
				return r
			},
			verdict: validation.Failed, category: "bad_credentials", actor: diagnosis.Operator, remedy: "correct-password",
			change: func(t *testing.T, l *lab.Lab, r *validation.Request) { *r = account(t, l, "brokenbay", "svc-ok", "") }},
		{name: "unknown user",
			request: func(t *testing.T, l *lab.Lab) validation.Request {
				r := account(t, l, "brokenbay", "svc-ok", "")
				r.Username = "svc-typo@brokenbay.example"
				return r
			},
			verdict: validation.Failed, category: "bad_credentials", actor: diagnosis.Operator,
			change: func(t *testing.T, l *lab.Lab, r *validation.Request) { *r = account(t, l, "brokenbay", "svc-ok", "") }},
		{name: "unknown app",
			request: func(t *testing.T, l *lab.Lab) validation.Request {
				r := account(t, l, "openharbour", "svc-backup", "")
				r.ClientID = "11111111-2222-3333-4444-555555555555"
				return r
			},
			verdict: validation.Failed, category: "app_not_found", actor: diagnosis.AppOwner,
			change: func(t *testing.T, l *lab.Lab, r *validation.Request) {
				*r = account(t, l, "openharbour", "svc-backup", "")
			}},
		{name: "unknown tenant",
			request: func(t *testing.T, l *lab.Lab) validation.Request {
				r := account(t, l, "openharbour", "svc-backup", "")
				r.Tenant = "nowhere.onmicrosoft.com"
				return r
			},
			verdict: validation.Failed, category: "tenant_not_found", actor: diagnosis.Operator,
			change: func(t *testing.T, l *lab.Lab, r *validation.Request) { r.Tenant = "openharbour.onmicrosoft.com" }},
		{name: "expired secret",
			request: func(t *testing.T, l *lab.Lab) validation.Request { return app(t, l, "brokenbay", "Expired secret app") },
			verdict: validation.Failed, category: "app_credential_expired", actor: diagnosis.AppOwner, remedy: "renew-secret", change: newSecret("brokenbay")},
		{name: "expired certificate",
			request: func(t *testing.T, l *lab.Lab) validation.Request {
				return app(t, l, "brokenbay", "Expired certificate app")
			},
			verdict: validation.Failed, category: "app_credential_expired", actor: diagnosis.AppOwner, remedy: "renew-secret", change: newSecret("brokenbay")},
		{name: "wrong secret",
			request: func(t *testing.T, l *lab.Lab) validation.Request {
				r := app(t, l, "brokenbay", "Expiring app")
				r.Secret = secrets.New("not-the-secret-but-long-enough")
				return r
			},
			verdict: validation.Failed, category: "app_credential_invalid", actor: diagnosis.AppOwner, change: newSecret("brokenbay")},
		{name: "disabled app",
			request: func(t *testing.T, l *lab.Lab) validation.Request { return app(t, l, "brokenbay", "Disabled app") },
			verdict: validation.Failed, category: "other", actor: diagnosis.TenantAdmin, remedy: "enable-app",
			apply: func(t *testing.T, l *lab.Lab) {
				graphAdmin(t, l, "brokenbay", http.MethodPatch, "/v1.0/servicePrincipals/"+objectID(t, l, "brokenbay", l.Tenant("brokenbay").App("Disabled app").ClientID), map[string]any{"accountEnabled": true})
			}},
		{name: "app without permissions",
			request: func(t *testing.T, l *lab.Lab) validation.Request { return app(t, l, "brokenbay", "Unconsented app") },
			verdict: validation.Blocked, rule: diagnosis.Consent, category: "permission_missing", actor: diagnosis.TenantAdmin, remedy: "grant-admin-consent",
			apply: func(t *testing.T, l *lab.Lab) {
				sp := objectID(t, l, "brokenbay", l.Tenant("brokenbay").App("Unconsented app").ClientID)
				graphAdmin(t, l, "brokenbay", http.MethodPost, "/v1.0/servicePrincipals/"+sp+"/appRoleAssignments", map[string]any{
					"principalId": sp, "resourceId": objectID(t, l, "brokenbay", graphID), "appRoleId": "df021288-bdef-4463-88db-98f22de89214"})
			}},
		{name: "secret that ends soon",
			request: func(t *testing.T, l *lab.Lab) validation.Request { return app(t, l, "brokenbay", "Expiring app") },
			verdict: validation.WorksWithWarnings, change: newSecret("brokenbay")},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			l := lab.Start(t)
			request := test.request(t, l)
			got := check(t, request)
			if got.Verdict != test.verdict {
				t.Fatalf("verdict %s, want %s\n%s", got.Verdict, test.verdict, show(got))
			}
			switch {
			case test.rule == "" && got.Rule != nil, test.rule != "" && (got.Rule == nil || got.Rule.Kind != test.rule):
				t.Errorf("rule %v, want %q", got.Rule, test.rule)
			}
			if test.verdict != validation.WorksWithWarnings {
				d := got.Diagnosis
				if d == nil || d.Actor != test.actor || len(d.Remedies) == 0 || test.category != "" && d.Category != test.category || test.remedy != "" && d.Remedies[0].ID != test.remedy {
					t.Errorf("want category %q, actor %q, first remedy %q\n%s", test.category, test.actor, test.remedy, show(got))
				}
			}
			if test.apply != nil {
				test.apply(t, l)
			}
			if test.change != nil {
				test.change(t, l, &request)
			}
			if after := check(t, request); after.Verdict != validation.Works {
				t.Errorf("after the remedy: %s\n%s", after.Verdict, show(after))
			}
		})
	}
}

func show(r validation.Result) string {
	out, err := json.MarshalIndent(r, "", " ")
	if err != nil {
		return err.Error()
	}
	return string(out)
}

func probe(t *testing.T, r validation.Result, name string) validation.Probe {
	t.Helper()
	for _, p := range r.Probes {
		if p.Name == name {
			return p
		}
	}
	t.Fatalf("no probe %s in %s", name, show(r))
	return validation.Probe{}
}

// The same refusals without reader and snapshot: the rule stays open, the
// posture unknown, with the way to get it.
func TestWithoutReader(t *testing.T) {
	l := lab.Start(t)
	for _, who := range [][3]string{{"defaultshield", "svc-connection", ""}, {"profilepark", "svc-avepoint", ""}, {"azurequay", "svc-deploy", azureCLI}} {
		r := account(t, l, who[0], who[1], who[2])
		r.Reader = nil
		got := check(t, r)
		posture := probe(t, got, validation.ProbePosture)
		if got.Verdict != validation.Blocked || got.Rule != nil || posture.State != validation.NotKnown || posture.Reason == nil || !strings.Contains(*posture.Reason, "--reader-client-id") {
			t.Errorf("%s: %s", who[1], show(got))
		}
		if got.Diagnosis == nil || got.Diagnosis.Remedies[0].ID != "move-to-app-only" {
			t.Errorf("%s: diagnosis %v", who[1], got.Diagnosis)
		}
	}
}

// A snapshot names the rule as a reader does.
func TestSnapshot(t *testing.T) {
	l := lab.Start(t)
	for _, test := range []struct {
		tenant, user, app string
		rule              diagnosis.RuleKind
	}{{"defaultshield", "svc-connection", "", diagnosis.SecurityDefaults}, {"profilepark", "svc-avepoint", "", diagnosis.PerUserMFA}, {"azurequay", "svc-deploy", azureCLI, diagnosis.MandatoryMFA}} {
		r := account(t, l, test.tenant, test.user, test.app)
		client := login.New(login.Config{Cloud: r.Cloud})
		token, err := client.Certificate(t.Context(), r.Tenant, r.Reader.ClientID, *r.Reader.Credential.Certificate, []string{"https://graph.microsoft.com/.default"})
		if err != nil {
			t.Fatal(err)
		}
		s := snapshot(t, r.Cloud, token.Access, r.Username)
		// Through the file form, as a person would carry it.
		encoded, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		if r.Snapshot, err = posture.Read(strings.NewReader(string(encoded))); err != nil {
			t.Fatal(err)
		}
		r.Reader = nil
		got := check(t, r)
		if got.Verdict != validation.Blocked || got.Rule == nil || got.Rule.Kind != test.rule {
			t.Errorf("%s: rule %v\n%s", test.user, got.Rule, show(got))
		}
		if probe(t, got, validation.ProbePosture).Evidence["as_of"] == nil {
			t.Error("the age of the snapshot is not shown")
		}
	}
}

// The log of a tenant with P1 says who demanded MFA; it is believed before the
// settings are.
func TestSignInLogNamesTheRule(t *testing.T) {
	l := lab.Start(t)
	got := check(t, account(t, l, "profilepark", "svc-avepoint", ""))
	p := probe(t, got, validation.ProbePosture)
	if log, _ := p.Evidence["sign_in_log"].(string); !strings.HasPrefix(log, "found: ") {
		t.Errorf("sign-in log: %v", p.Evidence["sign_in_log"])
	}
	if p.Evidence["rule_from"] != "the sign-in log names the rule" {
		t.Errorf("rule from %v", p.Evidence["rule_from"])
	}
}

// A refusal by Conditional Access names the policy: in its claims, in the log,
// or not at all, and then the rule stays without a name.
func TestConditionalAccessRefusals(t *testing.T) {
	l := lab.Start(t)
	const policy = "6f5e4d3c-2b1a-4099-8877-665544332211"
	refusal := func(claims string) string {
		body := map[string]any{"error": "invalid_grant", "error_description": "AADSTS53003: Blocked.\r\nTrace ID: x", "error_codes": []int{53003}, "suberror": "message_only", "correlation_id": "0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0"}
		if claims != "" {
			body["claims"] = claims
		}
		encoded, err := json.Marshal(body)
		if err != nil {
			t.Fatal(err)
		}
		return string(encoded)
	}
	log := `{"value":[{"id":"1","correlationId":"0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0","appliedConditionalAccessPolicies":[{"id":"other","displayName":"Other","result":"notApplied"},{"id":"` + policy + `","displayName":"CA004 block service accounts","result":"failure"}]}]}`
	for _, test := range []struct{ name, claims, log, id, policyName string }{
		{"claims", `{"access_token":{"capolids":{"essential":true,"values":["` + policy + `"]}}}`, `{"value":[]}`, policy, "CA004 block service accounts"},
		{"log", "", log, policy, "CA004 block service accounts"},
		{"neither", "", `{"value":[]}`, "", ""},
		{"hostile claims", `{"access_token":{"capolids":7}}`, `{"value":[]}`, "", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			request := account(t, l, "profilepark", "svc-common", "")
			request.Cloud = hostile(t, forward(t, l, func(w http.ResponseWriter, r *http.Request) bool {
				switch {
				case strings.HasSuffix(r.URL.Path, "/token"):
					if err := r.ParseForm(); err != nil || r.PostForm.Get("grant_type") != "password" {
						r.Body = http.NoBody
						if err == nil {
							r.Body = io.NopCloser(strings.NewReader(r.PostForm.Encode()))
						}
						return false
					}
					w.WriteHeader(400)
					_, _ = w.Write([]byte(refusal(test.claims)))
				case strings.HasSuffix(r.URL.Path, "/auditLogs/signIns"):
					_, _ = w.Write([]byte(test.log))
				case strings.HasSuffix(r.URL.Path, "/conditionalAccess/policies"):
					_, _ = w.Write([]byte(`{"value":[{"id":"` + policy + `","displayName":"CA004 block service accounts","state":"enabled"}]}`))
				default:
					return false
				}
				return true
			}))
			// The reader's assertion is made for the lab's own address.
			secret := l.Tenant("profilepark").App("Gatehouse reader").Secret
			request.Reader.Credential = validation.Credential{Secret: secrets.New(*secret)}
			got := check(t, request)
			if got.Verdict != validation.Blocked || got.Rule == nil || got.Rule.Kind != diagnosis.ConditionalAccess || got.Diagnosis.Category != "conditional_access_block" {
				t.Fatalf("%s", show(got))
			}
			if id := deref(got.Rule.ID); id != test.id {
				t.Errorf("policy id %q, want %q", id, test.id)
			}
			if name := deref(got.Rule.Name); name != test.policyName {
				t.Errorf("policy name %q, want %q", name, test.policyName)
			}
			if test.policyName != "" && !strings.Contains(got.Diagnosis.Title+got.Diagnosis.Cause, test.policyName) {
				t.Errorf("the diagnosis does not name the policy: %s", show(got))
			}
		})
	}
}

func deref(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

// hostile is a server that stands where the cloud should be.
func hostile(t *testing.T, handler http.Handler) microsoft.Cloud {
	t.Helper()
	server := httptest.NewTLSServer(handler)
	t.Cleanup(server.Close)
	roots := server.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs
	return microsoft.Cloud{Name: "test", Login: server.URL, Graph: server.URL, GraphResource: "https://graph.microsoft.com", Roots: roots}
}

// forward passes requests to the lab, except where intercept answers.
func forward(t *testing.T, l *lab.Lab, intercept func(w http.ResponseWriter, r *http.Request) bool) http.Handler {
	t.Helper()
	client := l.Client()
	t.Cleanup(client.CloseIdleConnections)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if intercept(w, r) {
			return
		}
		out := r.Clone(r.Context())
		out.RequestURI, out.URL.Scheme, out.URL.Host, out.Host = "", "https", strings.TrimPrefix(l.URL(), "https://"), r.Host
		// The lab answers to its own loopback names whatever the port.
		response, err := client.Do(out) //nolint:gosec // forwards to the lab and nowhere else
		if err != nil {
			panic(http.ErrAbortHandler)
		}
		defer response.Body.Close()
		for k, v := range response.Header {
			w.Header()[k] = v
		}
		w.WriteHeader(response.StatusCode)
		buffer := make([]byte, 32<<10)
		for {
			n, err := response.Body.Read(buffer)
			_, _ = w.Write(buffer[:n])
			if err != nil {
				return
			}
		}
	})
}

// A password is tried once, whatever comes back.
func TestOneTryPerPassword(t *testing.T) {
	l := lab.Start(t)
	answers := map[string]func(http.ResponseWriter){
		"429": func(w http.ResponseWriter) { w.Header().Set("Retry-After", "1"); w.WriteHeader(429) },
		"503": func(w http.ResponseWriter) { w.WriteHeader(503) },
		"504 html": func(w http.ResponseWriter) {
			w.Header().Set("Content-Type", "text/html")
			w.WriteHeader(504)
			_, _ = w.Write([]byte("<html>gateway"))
		},
		"reset": func(http.ResponseWriter) { panic(http.ErrAbortHandler) },
		"wrong": func(w http.ResponseWriter) {
			w.WriteHeader(400)
			_, _ = w.Write([]byte(`{"error":"invalid_grant","error_description":"AADSTS50126: no","error_codes":[50126]}`))
		},
		"redirect": func(w http.ResponseWriter) {
			w.Header().Set("Location", "https://127.0.0.1:1/token")
			w.WriteHeader(307)
		},
		"cut json":   func(w http.ResponseWriter) { _, _ = w.Write([]byte(`{"access_token":"ey`)) },
		"empty":      func(w http.ResponseWriter) {},
		"other json": func(w http.ResponseWriter) { _, _ = w.Write([]byte(`[1,2,3]`)) },
	}
	for name, answer := range answers {
		t.Run(name, func(t *testing.T) {
			var tries atomic.Int32
			request := account(t, l, "openharbour", "svc-backup", "")
			request.Reader = nil
			request.Cloud = hostile(t, forward(t, l, func(w http.ResponseWriter, r *http.Request) bool {
				if !strings.HasSuffix(r.URL.Path, "/oauth2/v2.0/token") {
					return false
				}
				tries.Add(1)
				answer(w)
				return true
			}))
			got := check(t, request)
			if n := tries.Load(); n != 1 {
				t.Errorf("the password was sent %d times", n)
			}
			if got.Verdict == validation.Works || got.Verdict == validation.WorksWithWarnings {
				t.Errorf("verdict %s", got.Verdict)
			}
			if name != "wrong" && got.Verdict != validation.Unknown {
				t.Errorf("verdict %s, nothing is known about the password\n%s", got.Verdict, show(got))
			}
			if strings.Contains(show(got), request.Password.Reveal()) {
				t.Error("the result shows the password")
			}
		})
	}
}

// A federated domain's password goes to no host that the realm answer names,
// not even if the answer changes between two questions.
func TestFederatedPasswordStays(t *testing.T) {
	l := lab.Start(t)
	var leaked atomic.Int32
	trap := httptest.NewTLSServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { leaked.Add(1) }))
	defer trap.Close()
	federated := fmt.Sprintf(`{"account_type":"Federated","domain_name":"openharbour.example","cloud_instance_name":"x","cloud_audience_urn":"urn:x","federation_protocol":"WSTrust","federation_metadata_url":"%s/mex","federation_active_auth_url":"%s/trust"}`, trap.URL, trap.URL)
	for _, after := range []int32{0, 1, 2} {
		t.Run(fmt.Sprintf("federated from question %d on", after+1), func(t *testing.T) {
			var asked atomic.Int32
			request := account(t, l, "openharbour", "svc-backup", "")
			request.Reader = nil
			request.Cloud = hostile(t, forward(t, l, func(w http.ResponseWriter, r *http.Request) bool {
				if !strings.Contains(r.URL.Path, "UserRealm") || asked.Add(1) <= after {
					return false
				}
				_, _ = w.Write([]byte(federated))
				return true
			}))
			got := check(t, request)
			if leaked.Load() != 0 {
				t.Fatal("the federation host was contacted")
			}
			if got.Verdict == validation.Works {
				t.Errorf("verdict %s", got.Verdict)
			}
		})
	}
}

// The road to the cloud is broken: each time a clear answer, never a verdict
// about the account.
func TestBrokenRoads(t *testing.T) {
	l := lab.Start(t)
	closed, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := "https://" + closed.Addr().String()
	if err := closed.Close(); err != nil {
		t.Fatal(err)
	}
	html := func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		_, _ = w.Write([]byte("<html><title>Captive portal</title>Please log in</html>"))
	}
	untrusted := cloudOf(l)
	untrusted.Roots = nil
	at := func(login string) microsoft.Cloud {
		c := cloudOf(l)
		c.Login, c.Graph = login, login
		return c
	}
	tests := map[string]microsoft.Cloud{
		"unreachable":     at(address),
		"unknown host":    at("https://login.gatehouse.invalid"),
		"bad certificate": untrusted,
		"html":            hostile(t, http.HandlerFunc(html)),
		"broken json": hostile(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			_, _ = w.Write([]byte(`{"issuer":"https://`))
		})),
		"endless": hostile(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			for range 8 {
				if _, err := w.Write(make([]byte, 1<<20)); err != nil {
					return
				}
			}
		})),
	}
	for name, cloud := range tests {
		t.Run(name, func(t *testing.T) {
			for _, request := range []validation.Request{account(t, l, "openharbour", "svc-backup", ""), app(t, l, "openharbour", "Backup app")} {
				request.Cloud = cloud
				got := check(t, request)
				if got.Verdict != validation.Unknown || got.Diagnosis == nil || len(got.Diagnosis.Remedies) == 0 || got.Diagnosis.Cause == "" {
					t.Errorf("%s", show(got))
				}
			}
		})
	}
	t.Run("out of time", func(t *testing.T) {
		ctx, cancel := context.WithDeadlineCause(t.Context(), time.Now().Add(-time.Second), errors.New("past"))
		defer cancel()
		if got := (validation.Service{}).Run(ctx, account(t, l, "openharbour", "svc-backup", "")); got.Verdict != validation.Unknown {
			t.Errorf("%s", show(got))
		}
	})
}

// The machine's clock is off by an hour: the certificate sign-in fails, and
// the result says whose clock it is.
func TestClockOff(t *testing.T) {
	l := lab.Start(t)
	l.Advance(time.Hour)
	request := app(t, l, "openharbour", "Backup app")
	got := check(t, request)
	if got.Verdict != validation.Failed || got.Diagnosis == nil || got.Diagnosis.Category != "app_credential_invalid" {
		t.Errorf("%s", show(got))
	}
	p := probe(t, got, validation.ProbeTenant)
	if p.State != validation.Warning || p.Reason == nil || !strings.Contains(*p.Reason, "1h0m") || !strings.Contains(*p.Reason, "behind") {
		t.Errorf("tenant probe: %+v", p)
	}
}

// Unknown is never quietly no: a reader that may read nothing leaves the
// parts open, and says why.
func TestReaderWithoutPermissions(t *testing.T) {
	l := lab.Start(t)
	request := account(t, l, "brokenbay", "svc-ok", "")
	useless := l.Tenant("brokenbay").App("Unconsented app")
	request.Reader = &validation.Reader{ClientID: useless.ClientID, Credential: validation.Credential{Secret: secrets.New(*useless.Secret)}}
	got := check(t, request)
	if got.Verdict != validation.Works {
		t.Errorf("verdict %s", got.Verdict)
	}
	for _, name := range []string{validation.ProbeAccount, validation.ProbePosture} {
		if p := probe(t, got, name); p.State != validation.NotKnown || p.Reason == nil {
			t.Errorf("%s: %+v", name, p)
		}
	}
	request.Reader.Credential.Secret = secrets.New("wrong-secret-of-the-reader")
	if p := probe(t, check(t, request), validation.ProbePosture); p.State != validation.NotKnown || p.Reason == nil || !strings.Contains(*p.Reason, "AADSTS7000215") {
		t.Errorf("wrong reader secret: %+v", p)
	}
}

func TestWarnings(t *testing.T) {
	l := lab.Start(t)
	for _, test := range []struct{ tenant, user, probe, words string }{
		{"openharbour", "svc-admin", validation.ProbePermissions, "Global Administrator"},
		{"openharbour", "lena.fischer", validation.ProbeAccount, "person's own account"},
		{"defaultshield", "svc-plain", validation.ProbePosture, "when Microsoft sees a reason"},
	} {
		got := check(t, account(t, l, test.tenant, test.user, ""))
		p := probe(t, got, test.probe)
		if got.Verdict != validation.WorksWithWarnings || p.State != validation.Warning || p.Reason == nil || !strings.Contains(*p.Reason, test.words) {
			t.Errorf("%s: %s", test.user, show(got))
		}
	}
	u := l.Tenant("profilepark").User("svc-avepoint")
	request := account(t, l, "profilepark", "svc-avepoint", "")
	request.Password = secrets.New(*u.AppPassword)
	got := check(t, request)
	if p := probe(t, got, validation.ProbeConfiguration); got.Verdict != validation.Failed || p.State != validation.Warning || !strings.Contains(*p.Reason, "app password") {
		t.Errorf("app password: %s", show(got))
	}
}
