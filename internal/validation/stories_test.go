package validation_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"gatehouse/internal/connection"
	"gatehouse/internal/diagnosis"
	"gatehouse/internal/secrets"
	"gatehouse/internal/tenant"
	"gatehouse/internal/validation"
	"gatehouse/lab"
)

// caretakers are the apps that every tenant of a test has: the reader, and one
// that applies remedies as an administrator would.
var caretakers = func() string {
	app := func(name, certificate string, granted ...string) string {
		list, err := json.Marshal(granted)
		if err != nil {
			panic(err)
		}
		return fmt.Sprintf(`{"name":%q,"secret":true%s,"application_permissions":{"graph":%s},"granted":{"graph":%s}}`, name, certificate, list, list)
	}
	return app("Gatehouse reader", `,"certificate":true`, "Policy.Read.All", "AuditLog.Read.All", "UserAuthenticationMethod.Read.All", "User.Read.All", "GroupMember.Read.All", "RoleManagement.Read.Directory", "Application.Read.All", "Organization.Read.All") + "," +
		app("Lab administration", "", "User.ReadWrite.All", "Policy.Read.All", "Policy.ReadWrite.SecurityDefaults", "Policy.ReadWrite.AuthenticationMethod", "Policy.ReadWrite.ConditionalAccess", "Application.Read.All", "Application.ReadWrite.All")
}()

// graphTool lets everybody use the usual client for Graph.
const graphTool = `{"app":"Microsoft Graph Command Line Tools","resource":"graph","scopes":["openid","profile","offline_access","User.Read"]}`

// switches are the three MFA switches in the order in which they stop a sign-in.
var switches = []diagnosis.RuleKind{diagnosis.SecurityDefaults, diagnosis.PerUserMFA, diagnosis.ConditionalAccess}

// switchTenants are eight tenants: the bits of a number are the switches that are
// on.
func switchTenants() string {
	var tenants []string
	for n := range 8 {
		name, perUser, policies := fmt.Sprintf("combination%d", n), "disabled", ""
		if n&2 != 0 {
			perUser = "enforced"
		}
		if n&4 != 0 {
			policies = `{"displayName":"CA004 MFA for all","state":"enabled","conditions":{"users":{"includeUsers":["All"]},"applications":{"includeApplications":["All"]},"clientAppTypes":["all"]},"grantControls":{"operator":"OR","builtInControls":["mfa"]}}`
		}
		tenants = append(tenants, fmt.Sprintf(`{"name":"Combination %d","domain":"%s.onmicrosoft.com","licences":["SPE_E3"],"security_defaults":%t,
			"users":[{"upn":"svc@%s.onmicrosoft.com","roles":["SharePoint Administrator"],"per_user_mfa":%q,"methods":[{"type":"authenticator","name":"Pixel 9"}],"licences":["SPE_E3"]}],
			"apps":[%s],"grants":[%s],"conditional_access":[%s]}`, n, name, n&1 != 0, name, perUser, caretakers, graphTool, policies))
	}
	return `{"tenants":[` + strings.Join(tenants, ",") + `]}`
}

// Story 24: which of the three MFA switches is it? In every combination the first
// one that stops the account is named, with the others behind it in order, and once
// it is out of the way the next one, although the rules were read a moment ago.
func TestStory24(t *testing.T) {
	var minutes atomic.Int64
	now := func() time.Time { return time.Now().Add(time.Duration(minutes.Load()) * time.Minute) }
	eachWith(t, parts{now: now, unpaced: true}, func(t *testing.T, h *house, l *lab.Lab) {
		minutes.Store(0)
		off := map[diagnosis.RuleKind]func(name string){
			diagnosis.SecurityDefaults: func(name string) {
				graphAdmin(t, l, name, http.MethodPatch, "/v1.0/policies/identitySecurityDefaultsEnforcementPolicy", map[string]any{"isEnabled": false})
			},
			diagnosis.PerUserMFA: func(name string) {
				graphAdmin(t, l, name, http.MethodPatch, "/beta/users/svc@"+name+".onmicrosoft.com/authentication/requirements", map[string]any{"perUserMfaState": "disabled"})
			},
			diagnosis.ConditionalAccess: func(name string) {
				for _, p := range graphAdmin(t, l, name, http.MethodGet, "/v1.0/identity/conditionalAccess/policies", nil)["value"].([]any) {
					graphAdmin(t, l, name, http.MethodPatch, "/v1.0/identity/conditionalAccess/policies/"+p.(map[string]any)["id"].(string), map[string]any{"state": "disabled"})
				}
			},
		}
		for n := range 8 {
			name := fmt.Sprintf("combination%d", n)
			at := h.add(l, name)
			if on := h.onboard(l, name, at.ID); on.Reader.State != tenant.ReaderWorks {
				t.Fatalf("%s: reader %+v", name, on.Reader)
			}
			user := l.Tenant(name).User("svc")
			c := h.account(at.ID, user.UPN, *user.Password)
			on := []diagnosis.RuleKind{}
			for i, kind := range switches {
				if n>>i&1 != 0 {
					on = append(on, kind)
				}
			}
			for {
				run := h.validate(c.ID)
				if got := stopping(run); !slices.Equal(got, on) {
					t.Errorf("%s: the rules that stop it are %v, want %v", name, got, on)
				}
				if len(on) == 0 {
					if run.Result.Verdict != validation.Works && run.Result.Verdict != validation.WorksWithWarnings {
						t.Errorf("%s, all switched off: %s", name, show(*run.Result))
					}
					break
				}
				r := run.Result
				if r.Verdict != validation.Blocked || r.Rule == nil || r.Rule.Kind != on[0] {
					t.Fatalf("%s with %v: rule %+v, %s", name, on, r.Rule, show(*r))
				}
				if r.Rule.Kind == diagnosis.ConditionalAccess && (r.Rule.Name == nil || *r.Rule.Name != "CA004 MFA for all") {
					t.Errorf("%s: policy %v", name, r.Rule.Name)
				}
				if r.Diagnosis.Remedies[0].LowersProtection {
					t.Errorf("%s: the first remedy lowers protection", name)
				}
				off[on[0]](name)
				on = on[1:]
				minutes.Add(1)
			}
		}
	}, lab.WithTenants(switchTenants()))
}

// stopping are the kinds of the rules that stop a run's identity, in order.
func stopping(run validation.Run) []diagnosis.RuleKind {
	out := []diagnosis.RuleKind{}
	if run.Outcome == nil {
		return nil
	}
	for _, f := range run.Outcome.Stops() {
		out = append(out, f.Rule.Kind)
	}
	return out
}

// appPasswordTenant has Security Defaults and an old profile with an app password.
var appPasswordTenant = `{"tenants":[{"name":"Old Profile","domain":"oldprofile.onmicrosoft.com","licences":["SPE_E3"],"security_defaults":true,"app_passwords":true,
	"users":[{"upn":"svc-old@oldprofile.onmicrosoft.com","roles":["SharePoint Administrator"],"app_passwords":["lab app password"],"methods":[{"type":"authenticator","name":"Pixel 9"}],"licences":["SPE_E3"]}],
	"apps":[` + caretakers + `],"grants":[` + graphTool + `]}]}`

// Story 25: a profile with an app password under Security Defaults is taken only as
// one that exists, and says first that it opens SharePoint no more; its validation
// fails with the reason and offers the way out, an app with a certificate.
func TestStory25(t *testing.T) {
	eachWith(t, parts{unpaced: true}, func(t *testing.T, h *house, l *lab.Lab) {
		at := h.add(l, "oldprofile")
		h.onboard(l, "oldprofile", at.ID)
		user := l.Tenant("oldprofile").User("svc-old")
		request := connection.CreateRequest{
			TenantID: at.ID, Kind: connection.ServiceAccount, Profile: connection.Profile{Name: "old", Username: user.UPN, MFA: true, Services: []string{connection.SharePoint}},
			Credential: connection.CredentialRequest{Kind: connection.AppPassword, Password: secrets.New("abcdefghijklmnop")},
		}
		if _, err := h.connections.Create(h.boss(), request); err == nil {
			t.Error("a new profile with an app password was taken")
		}
		request.Existing = true
		c, err := h.connections.Create(h.boss(), request)
		if err != nil || c.Credential != connection.AppPassword || !strings.Contains(c.Warnings[0], "no longer opens SharePoint") {
			t.Fatalf("%+v, %v", c, err)
		}
		run := h.validate(c.ID)
		r := run.Result
		if r == nil || r.Verdict != validation.Blocked || r.Diagnosis == nil || r.Diagnosis.Category != "legacy_auth_blocked" {
			t.Fatalf("%+v, %+v", run, r)
		}
		if p := probe(t, *r, validation.ProbeConfiguration); p.State != validation.Warning || !strings.Contains(reason(p), "no longer opens SharePoint") {
			t.Errorf("configuration: %+v", p)
		}
		offers(t, r.Diagnosis, "move-to-app-only", "convert-profile")
		// It is not sent, as it would count as a wrong password; the rules that would
		// stop the ordinary one are told all the same.
		if n := passwords(l, user.UPN); n != 0 {
			t.Errorf("the app password was sent %d times", n)
		}
		if got := stopping(run); !slices.Equal(got, []diagnosis.RuleKind{diagnosis.SecurityDefaults}) {
			t.Errorf("behind it stand %v", got)
		}
		if c, err = h.connections.Get(h.boss(), c.ID); err != nil || c.Parked || !strings.Contains(c.Sentence, "app password") {
			t.Errorf("%+v, %v", c, err)
		}
		// Converted: the flag cleared, the ordinary password entered.
		request.MFA = false
		if c, err = h.connections.Update(h.boss(), c.ID, connection.UpdateRequest{Profile: request.Profile, Version: c.Version}); err != nil {
			t.Fatal(err)
		}
		if _, err := h.connections.SetCredential(h.boss(), c.ID, connection.CredentialRequest{Password: secrets.New(*user.Password)}); err != nil {
			t.Fatal(err)
		}
		if r := h.validate(c.ID).Result; r.Verdict != validation.Blocked || r.Rule == nil || r.Rule.Kind != diagnosis.SecurityDefaults {
			t.Errorf("converted: %s", show(*r))
		}
	}, lab.WithTenants(appPasswordTenant))
}

// offers demands remedies in their order, the first of which lowers no protection.
func offers(t *testing.T, d *diagnosis.Diagnosis, want ...string) {
	t.Helper()
	var ids []string
	for _, r := range d.Remedies {
		ids = append(ids, r.ID)
	}
	at := 0
	for _, id := range ids {
		if at < len(want) && id == want[at] {
			at++
		}
	}
	if at < len(want) || d.Remedies[0].LowersProtection {
		t.Errorf("remedies %v, want %v in this order and nothing weaker first", ids, want)
	}
}

// Story 26: Security Defaults exempt nobody. That is said, and offered are an
// app-only identity, a person's session, and at last Conditional Access; switching
// the defaults off is never the first choice.
func TestStory26(t *testing.T) {
	each(t, func(t *testing.T, h *house, l *lab.Lab) {
		at := h.add(l, "defaultshield")
		h.onboard(l, "defaultshield", at.ID)
		user := l.Tenant("defaultshield").User("svc-connection")
		c := h.account(at.ID, user.UPN, *user.Password)
		d := h.validate(c.ID).Result.Diagnosis
		if d == nil || !strings.Contains(d.Cause, "no per-account exception") || !strings.Contains(d.Cause, at.Name) || !strings.Contains(d.Title, user.UPN) {
			t.Fatalf("%+v", d)
		}
		if strings.Contains(d.Title+d.Cause, at.DirectoryID) {
			t.Errorf("an id where a name is known: %s %s", d.Title, d.Cause)
		}
		offers(t, d, "move-to-app-only", "connect-with-person", "move-to-conditional-access")
		for _, r := range d.Remedies {
			if r.ID == "exclude-from-policy" || r.ID == "disable-per-user-mfa" {
				t.Errorf("%s is offered, which Security Defaults do not know", r.ID)
			}
		}
	})
}

// Story 37: of an account it is told whether a second factor is registered, whether
// it can be used, and what enforces it; without the licence that is unknown, with
// the reason, and no guess.
func TestStory37(t *testing.T) {
	eachWith(t, parts{unpaced: true}, func(t *testing.T, h *house, l *lab.Lab) {
		for _, test := range []struct {
			tenant, user          string
			registered, capable   bool
			licence               bool // Entra ID P1
			enforced              []diagnosis.RuleKind
			capableState, reasons string
		}{
			{tenant: "profilepark", user: "svc-avepoint", registered: true, capable: true, licence: true, enforced: []diagnosis.RuleKind{diagnosis.PerUserMFA}},
			{tenant: "openharbour", user: "svc-backup", registered: false, licence: true, enforced: []diagnosis.RuleKind{}},
			{tenant: "defaultshield", user: "svc-connection", registered: true, enforced: []diagnosis.RuleKind{diagnosis.SecurityDefaults}},
		} {
			at := h.add(l, test.tenant)
			h.onboard(l, test.tenant, at.ID)
			user := l.Tenant(test.tenant).User(test.user)
			run := h.validate(h.account(at.ID, user.UPN, *user.Password).ID)
			p := probe(t, *run.Result, validation.ProbeRegistration)
			if p.Evidence["registered"] != test.registered {
				t.Errorf("%s: registered %v", test.user, p.Evidence)
			}
			if got := stopping(run); !slices.Equal(got, test.enforced) {
				t.Errorf("%s: enforced by %v, want %v", test.user, got, test.enforced)
			}
			capable, known := p.Evidence["mfa_capable"].(bool)
			why, _ := p.Evidence["mfa_capable_unread"].(string)
			switch {
			case test.licence && (!known || capable != test.capable):
				t.Errorf("%s: capable %v", test.user, p.Evidence)
			case !test.licence && (known || !strings.Contains(why, "Entra ID P1")):
				t.Errorf("%s: without the licence %v", test.user, p.Evidence)
			}
		}
	})
}

// Story 46: SharePoint takes no app with a client secret. A new connection demands
// a certificate before it is saved; one that is in use already is diagnosed.
func TestStory46(t *testing.T) {
	eachWith(t, parts{unpaced: true}, func(t *testing.T, h *house, l *lab.Lab) {
		at := h.add(l, "contoso")
		app := l.Tenant("contoso").App("All sites")
		request := connection.CreateRequest{
			TenantID: at.ID, Kind: connection.App, Profile: connection.Profile{Name: "files", ClientID: app.ClientID, Services: []string{connection.SharePoint}},
			Credential: connection.CredentialRequest{Secret: secrets.New(*app.Secret)},
		}
		demanded := func(err error) {
			t.Helper()
			if fault := faultOf(err); fault == nil || fault.Field != "credential" || !strings.Contains(fault.Way, "certificate") {
				t.Errorf("no certificate is demanded: %v", err)
			}
		}
		_, err := h.connections.Create(h.boss(), request)
		demanded(err)
		request.Services, request.Name = []string{connection.Graph}, "graph only"
		c, err := h.connections.Create(h.boss(), request)
		if err != nil {
			t.Fatal(err)
		}
		profile := request.Profile
		profile.Services = []string{connection.Graph, connection.SharePoint}
		_, err = h.connections.Update(h.boss(), c.ID, connection.UpdateRequest{Profile: profile, Version: c.Version})
		demanded(err)
		request.Existing, request.Name, request.Services = true, "in use", []string{connection.SharePoint}
		old, err := h.connections.Create(h.boss(), request)
		if err != nil {
			t.Fatal(err)
		}
		run := h.validate(old.ID)
		if run.Result.Verdict != validation.Failed || run.Result.Diagnosis.Category != "app_only_not_supported" {
			t.Fatalf("%s", show(*run.Result))
		}
		offers(t, run.Result.Diagnosis, "use-sharepoint-certificate")
		if _, err := h.connections.SetCredential(h.boss(), old.ID, connection.CredentialRequest{Generate: true}); err != nil {
			t.Fatal(err)
		}
		certificate, err := h.connections.Certificate(h.boss(), old.ID)
		if err != nil {
			t.Fatal(err)
		}
		upload(t, l, "contoso", app.ClientID, certificate)
		if run := h.validate(old.ID); run.Result.Verdict != validation.Works {
			t.Errorf("with a certificate: %s", show(*run.Result))
		}
	}, lab.WithTenants(storyServices))
}

// storyServices is [servicesFile] with an app that uploads certificates.
var storyServices = strings.Replace(servicesFile, `"apps":[`, `"apps":[`+caretakers+`,`, 1)

func faultOf(err error) *connection.FieldError {
	faults, ok := err.(connection.Faults) //nolint:errorlint // they come as they are
	if !ok || len(faults) == 0 {
		return nil
	}
	return faults[0]
}
