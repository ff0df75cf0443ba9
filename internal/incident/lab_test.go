package incident_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"gatehouse/internal/audit"
	"gatehouse/internal/connection"
	"gatehouse/internal/incident"
	"gatehouse/internal/microsoft/graph"
	"gatehouse/internal/posture"
	"gatehouse/internal/secrets"
	"gatehouse/internal/tenant"
	"gatehouse/lab"
)

// graph asks Graph of a lab's tenant as its administrator.
func (h *house) graph(l *lab.Lab, at lab.ReadyTenant, method, path string, body any) {
	h.t.Helper()
	admin := l.Tenant(at.Domain).App("Lab administration")
	client := l.Client()
	defer client.CloseIdleConnections()
	answer, err := client.PostForm(l.URL()+"/"+at.ID+"/oauth2/v2.0/token", url.Values{
		"grant_type": {"client_credentials"}, "client_id": {admin.ClientID}, "client_secret": {*admin.Secret}, "scope": {"https://graph.microsoft.com/.default"}})
	if err != nil {
		h.t.Fatal(err)
	}
	defer answer.Body.Close()
	var token struct {
		Access string `json:"access_token"`
	}
	encoded, err := json.Marshal(body)
	if decoding := json.NewDecoder(answer.Body).Decode(&token); err != nil || decoding != nil {
		h.t.Fatal(err, decoding)
	}
	request, err := http.NewRequestWithContext(h.t.Context(), method, l.URL()+path, bytes.NewReader(encoded))
	if err != nil {
		h.t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+token.Access)
	request.Header.Set("Content-Type", "application/json")
	done, err := client.Do(request)
	if err != nil {
		h.t.Fatal(err)
	}
	defer done.Body.Close()
	if done.StatusCode >= 300 {
		h.t.Fatalf("%s %s: %s", method, path, done.Status)
	}
}

const rolledOut = "Partner baseline: MFA for everybody"

// policyOf is the policy that the partner rolls out, as it is in the n-th tenant.
func policyOf(n int, state string) map[string]any {
	return map[string]any{
		"id": fmt.Sprintf("00000000-0000-4000-8000-%012d", n), "displayName": rolledOut, "state": state,
		"conditions":    map[string]any{"users": map[string]any{"includeUsers": []string{"All"}}, "applications": map[string]any{"includeApplications": []string{"All"}}, "clientAppTypes": []string{"all"}},
		"grantControls": map[string]any{"operator": "OR", "builtInControls": []string{"mfa"}},
	}
}

// crowd is a lab of so many tenants, each with a service account and the partner's
// policy, which is switched off.
func crowd(t *testing.T, tenants int) *lab.Lab {
	t.Helper()
	var all []any
	granted := map[string]any{"graph": []string{"Policy.Read.All", "Policy.ReadWrite.ConditionalAccess", "Application.Read.All"}}
	for n := range tenants {
		name := fmt.Sprintf("customer%03d", n)
		all = append(all, map[string]any{
			"name": "Customer " + name[8:], "domain": name + ".onmicrosoft.com", "story": "One of a partner's customers.", "licences": []string{"SPE_E3"},
			"users":              []any{map[string]any{"upn": "svc-backup@" + name + ".onmicrosoft.com", "name": "Backup service", "story": "Signs in with its password.", "methods": []any{map[string]any{"type": "authenticator", "name": "Phone"}}}},
			"apps":               []any{map[string]any{"name": "Lab administration", "purpose": "admin", "story": "Stands in for the partner.", "secret": true, "application_permissions": granted, "granted": granted}},
			"grants":             []any{map[string]any{"app": "Microsoft Graph Command Line Tools", "resource": "graph", "scopes": []string{"openid", "profile", "User.Read"}}},
			"conditional_access": []any{policyOf(n, "disabled")},
		})
	}
	file, err := json.Marshal(map[string]any{"tenants": all})
	if err != nil {
		t.Fatal(err)
	}
	return lab.Start(t, lab.WithTenants(string(file)))
}

// A partner rolls one policy out to fifty tenants: the next sweep makes one
// incident of fifty failures, which names the policy and who acts, told once. When
// the policy is taken back, the sweep after that ends it.
func TestOneIncidentForFiftyTenants(t *testing.T) {
	t.Parallel()
	const tenants = 50
	l := crowd(t, tenants)
	h := withLab(t, l)
	var connections []connection.Connection
	customers := l.Ready().Tenants
	for n, at := range customers {
		added := h.add(at)
		h.upload(at, added, n)
		connections = append(connections, h.signsIn(l, at, added.ID, "svc-backup", connection.Consumer{}))
	}
	roll := func(state string) {
		for n, at := range customers {
			h.graph(l, at, http.MethodPatch, fmt.Sprintf("/v1.0/identity/conditionalAccess/policies/%s", policyOf(n, state)["id"]), map[string]any{"state": state})
		}
	}
	h.validate(connections...)
	if all := h.list(h.boss(), incident.Filter{}); len(all) != 0 {
		t.Fatalf("before the change there are incidents: %s", words(all))
	}
	roll("enabled")
	for _, run := range h.validate(connections...) {
		if run.Result == nil || run.Result.Verdict != "blocked" {
			t.Fatalf("after the change: %+v", run.Result)
		}
	}
	i := h.only()
	if i.Kind != incident.KindPolicy || i.State != incident.Open || i.Subject != rolledOut || i.Connections != tenants || i.Tenants != tenants || i.Actor == "" || i.Help == "" {
		t.Errorf("incident %+v", i)
	}
	if d, err := h.incidents.Diagnosis(h.boss(), i); err != nil || d == nil || len(d.Remedies) == 0 || !strings.Contains(d.Title, "Conditional Access") {
		t.Errorf("diagnosis %+v %v", d, err)
	}
	if told := h.news(incident.Open); len(told) != 1 || told[0].ID != i.ID || !strings.Contains(told[0].Title, rolledOut) {
		t.Errorf("told: %+v", told)
	}
	roll("disabled")
	h.validate(connections...)
	if i := h.only(); i.State != incident.Ended || i.EndedAt == nil || i.Connections != tenants {
		t.Errorf("after the policy was taken back: %+v", i)
	}
	h.later(time.Hour)
	for range 2 {
		if err := h.incidents.TellEnds(audit.AsSystem(t.Context(), "test")); err != nil {
			t.Fatal(err)
		}
	}
	if told := h.news(incident.Ended); len(told) != 1 || told[0].Connections != tenants || len(told[0].Tenants) != tenants || told[0].TenantID != "" {
		t.Errorf("of its end was told: %+v", told)
	}
}

// upload gives a tenant a snapshot of its rules as they will be.
func (h *house) upload(at lab.ReadyTenant, added tenant.Tenant, n int) {
	h.t.Helper()
	raw, err := json.Marshal(policyOf(n, "enabled"))
	if err != nil {
		h.t.Fatal(err)
	}
	var p graph.Policy
	if err := json.Unmarshal(raw, &p); err != nil {
		h.t.Fatal(err)
	}
	off := false
	enabled, method := true, ""
	account := posture.Account{ID: at.User("svc-backup").ID, UPN: at.User("svc-backup").UPN, Name: "Backup service", Type: "Member", Enabled: &enabled, Groups: []posture.Group{}, Roles: []posture.Role{}, PerUserMFA: "disabled", Methods: []string{"push"}, DefaultMethod: &method}
	data, err := json.Marshal(posture.Snapshot{Format: posture.Format, TakenAt: time.Now(), TenantID: at.ID, TenantName: at.Name, Domains: []string{at.Domain}, SecurityDefaults: &off, Policies: []graph.Policy{p}, Accounts: []posture.Account{account}})
	if err != nil {
		h.t.Fatal(err)
	}
	if err := h.tenants.UploadSnapshot(h.boss(), added.ID, data); err != nil {
		h.t.Fatal(err)
	}
}

// A service of Microsoft breaks down: what cannot be found out in many tenants is
// one incident about which nobody has to do anything but wait. It ends with the
// outage.
func TestServiceTrouble(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		path   string
		before bool // it worked a moment ago: the public metadata is remembered
	}{"metadata": {"/*/v2.0/.well-known/openid-configuration", false}, "token endpoint": {"/*/oauth2/v2.0/token", true}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			serviceTrouble(t, c.path, c.before)
		})
	}
}

// serviceTrouble lets a part of the sign-in service answer 503 for a while.
func serviceTrouble(t *testing.T, path string, before bool) {
	l := lab.Start(t)
	h := withLab(t, l)
	var connections []connection.Connection
	for _, of := range []struct{ tenant, user string }{{"openharbour", "svc-backup"}, {"profilepark", "svc-common"}, {"brokenbay", "svc-ok"}} {
		at := l.Tenant(of.tenant)
		connections = append(connections, h.signsIn(l, at, h.add(at).ID, of.user, connection.Consumer{}))
	}
	if before {
		h.validate(connections...)
		if all := h.list(h.boss(), incident.Filter{}); len(all) != 0 {
			t.Fatalf("before the outage: %s", words(all))
		}
	}
	if _, err := l.AddFault(lab.Fault{Kind: "status", Status: 503, Path: path}); err != nil {
		t.Fatal(err)
	}
	h.validate(connections[0])
	if all := h.list(h.boss(), incident.Filter{}); len(all) != 0 || len(h.news(incident.Open)) != 0 {
		t.Errorf("one fault that passes is no incident: %s", words(all))
	}
	h.validate(connections[1:]...)
	i := h.only()
	if i.Kind != incident.KindService || i.Actor != "nobody_retry" || i.Connections != 3 || i.Tenants != 3 || !strings.Contains(i.Headline(), "sign-in service is in trouble") {
		t.Errorf("incident %+v", i)
	}
	l.ClearFaults()
	h.validate(connections...)
	if i := h.only(); i.State != incident.Ended {
		t.Errorf("after the outage: %+v", i)
	}
}

// Story 40: after the first refusal of its password an account is parked and tried
// no more, and the incident names it. It ends when the right password works.
func TestStory40ParkedAccountIsNamed(t *testing.T) {
	t.Parallel()
	l := lab.Start(t)
	h := withLab(t, l)
	at := l.Tenant("brokenbay")
	added := h.add(at)
	for _, of := range []struct{ user, password, code string }{{"svc-ok", "surely-not-this-one-17", "AADSTS50126"}, {"svc-locked", "", "AADSTS50053"}} {
		user := at.User(of.user)
		if of.password == "" {
			of.password = *user.Password
		}
		c, err := h.connections.Create(h.boss(), connection.CreateRequest{TenantID: added.ID, Kind: connection.ServiceAccount, Profile: connection.Profile{Name: of.user, Username: user.UPN}, Credential: connection.CredentialRequest{Password: secrets.New(of.password)}})
		if err != nil {
			t.Fatal(err)
		}
		h.validate(c)
		var mine *incident.Incident
		for _, i := range h.list(h.boss(), incident.Filter{State: incident.Open}) {
			if i.First.ConnectionID == c.ID {
				mine = &i
			}
		}
		if mine == nil || mine.Kind != incident.KindAccount || !strings.Contains(mine.Headline(), user.UPN) || mine.Code != of.code || mine.Connections != 1 || mine.Help == "" {
			t.Fatalf("%s: %+v", of.user, mine)
		}
		if _, err := h.runs.Start(h.boss(), c.ID); err == nil {
			t.Errorf("%s is tried again", of.user)
		}
		tries := 0
		for _, e := range l.Journal() {
			if e.GrantType == "password" && e.Username == user.UPN {
				tries++
			}
		}
		if tries != 1 {
			t.Errorf("%s: its password was sent %d times", of.user, tries)
		}
		if of.user != "svc-ok" {
			continue
		}
		if _, err := h.connections.SetCredential(h.boss(), c.ID, connection.CredentialRequest{Password: secrets.New(*user.Password)}); err != nil {
			t.Fatal(err)
		}
		if i, err := h.incidents.Get(h.boss(), mine.ID); err != nil || i.State != incident.Open {
			t.Errorf("with a password that nobody has tried yet: %+v %v", i, err)
		}
		h.validate(c)
		if i, err := h.incidents.Get(h.boss(), mine.ID); err != nil || i.State != incident.Ended {
			t.Errorf("with the right password: %+v %v", i, err)
		}
	}
	if told := h.news(incident.Open); len(told) != 2 {
		t.Errorf("told: %+v", told)
	}
}
