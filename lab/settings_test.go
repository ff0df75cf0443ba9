package lab_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"gatehouse/lab"
)

// graphAs calls Graph as a tenant's administration app.
func graphAs(t *testing.T, l *lab.Lab, tenant, method, path, body string) answer {
	t.Helper()
	token := post(t, l, "/"+tenant+".onmicrosoft.com/oauth2/v2.0/token", secretForm(l.Tenant(tenant).App("Lab administration"))).text("access_token")
	r, err := http.NewRequestWithContext(t.Context(), method, l.URL()+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+token)
	r.Header.Set("Content-Type", "application/json")
	return do(t, l, r)
}

// Settings come from the configuration and from the control port.
func TestSettings(t *testing.T) {
	l := lab.Start(t, lab.WithConfig(func(c *lab.Config) { c.Settings.CredentialDelay = 30 * time.Second }))
	patch := func(body string) (int, map[string]any) {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPatch, l.Ready().ControlURL+"/settings", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", "application/json")
		a := do(t, l, r)
		return a.status, a.body
	}
	app := l.Tenant("openharbour").App("Backup app")
	fresh := func() answer {
		made := graphAs(t, l, "openharbour", http.MethodPost, "/v1.0/applications(appId='"+app.ClientID+"')/addPassword", `{"passwordCredential":{"displayName":"fresh"}}`)
		form := secretForm(app)
		form.Set("client_secret", made.text("secretText"))
		return post(t, l, "/openharbour.onmicrosoft.com/oauth2/v2.0/token", form)
	}
	if a := fresh(); a.code() != 7000215 {
		t.Errorf("a new secret is known at once: %s", a.raw)
	}
	if status, body := patch(`{"credential_delay":"0s","throttle":true}`); status != http.StatusOK || body["credential_delay"] != "0s" || body["throttle"] != true || body["report_lag"] != "0s" {
		t.Errorf("%d %v", status, body)
	}
	if a := fresh(); a.status != http.StatusOK {
		t.Errorf("a new secret is unknown: %s", a.raw)
	}
	const policies = "/v1.0/identity/conditionalAccess/policies"
	first, second := graphAs(t, l, "openharbour", http.MethodGet, policies, ""), graphAs(t, l, "openharbour", http.MethodGet, policies, "")
	if first.status != http.StatusOK || second.status != http.StatusTooManyRequests {
		t.Errorf("%d, then %d", first.status, second.status)
	}
	for _, wrong := range []string{`{"credential_delay":"-1s"}`, `{"report_lag":"1000h"}`, `{"replication_delay":"soon"}`, `{"nonsense":true}`} {
		if status, _ := patch(wrong); status != http.StatusBadRequest {
			t.Errorf("%s: %d", wrong, status)
		}
	}
	if s := l.Settings(); !s.Throttle || s.CredentialDelay != 0 {
		t.Errorf("%+v", s)
	}
	if _, err := lab.New(lab.Config{Settings: lab.Settings{ReportLag: -1}}); err == nil {
		t.Error("a lag below zero is accepted")
	}
}

// An app, its API and its federated credential registered through Graph work
// like those of the tenants file.
func TestRegisteredAtRunTime(t *testing.T) {
	l := lab.Start(t)
	tenant := l.Tenant("tiertown")
	made := graphAs(t, l, "tiertown", http.MethodPost, "/v1.0/applications", `{"displayName":"Newcomer","api":{"requestedAccessTokenVersion":2,"oauth2PermissionScopes":[{"id":"5c1b4c2e-1111-4222-8333-444455556666","value":"new.read","type":"User","isEnabled":true}]}}`)
	client, id := made.text("appId"), made.text("id")
	if made.status != http.StatusCreated {
		t.Fatalf("%s", made.raw)
	}
	for path, body := range map[string]string{
		"/v1.0/servicePrincipals":                                    `{"appId":"` + client + `"}`,
		"/v1.0/applications/" + id + "/federatedIdentityCredentials": `{"name":"build","issuer":"https://issuer.new.example","subject":"repo:new","audiences":["api://AzureADTokenExchange"]}`,
	} {
		if a := graphAs(t, l, "tiertown", http.MethodPost, path, body); a.status != http.StatusCreated {
			t.Fatalf("%s: %s", path, a.raw)
		}
	}
	if a := graphAs(t, l, "tiertown", http.MethodPatch, "/v1.0/applications/"+id, `{"identifierUris":["api://newcomer"]}`); a.status != http.StatusNoContent {
		t.Fatalf("%s", a.raw)
	}
	token, err := l.WorkloadToken(lab.WorkloadToken{Issuer: "https://issuer.new.example", Subject: "repo:new"})
	if err != nil {
		t.Fatal(err)
	}
	a := post(t, l, "/"+tenant.ID+"/oauth2/v2.0/token", url.Values{"grant_type": {"client_credentials"}, "client_id": {client}, "scope": {graphDefault},
		"client_assertion_type": {"urn:ietf:params:oauth:client-assertion-type:jwt-bearer"}, "client_assertion": {token}})
	if a.status != http.StatusOK {
		t.Errorf("federated credential: %s", a.raw)
	}
	batch := tenant.App("Tier batch")
	form := secretForm(batch)
	form.Set("scope", "api://newcomer/.default")
	if a = post(t, l, "/"+tenant.ID+"/oauth2/v2.0/token", form); a.status != http.StatusOK || claimsOf(t, a.text("access_token"))["aud"] != client {
		t.Errorf("token for the new API: %s", a.raw)
	}
	u := tenant.User("paula.page")
	form = passwordForm(tenant.App("Tier client").ClientID, u.UPN, *u.Password)
	form.Set("scope", "api://newcomer/new.read")
	if a = post(t, l, "/"+tenant.ID+"/oauth2/v2.0/token", form); a.code() != 65001 {
		t.Errorf("a scope of the new API: %s", a.raw)
	}
}

// A reset of the password at the control port says in which portal it happens.
func TestResetPortals(t *testing.T) {
	for portal, code := range map[string]int{"azure_portal": 50173, "entra_admin_centre": 50173} {
		l := lab.Start(t)
		u := l.Tenant("openharbour").User("svc-backup")
		first := signIn(t, l, "openharbour", "svc-backup", graphCLI)
		l.Advance(time.Minute)
		change, err := json.Marshal(map[string]string{"password": "Changed-2026-lab", "reset_in": portal})
		if err != nil {
			t.Fatal(err)
		}
		for body, status := range map[string]int{string(change): http.StatusNoContent, `{"reset_in":"azure_portal"}`: http.StatusBadRequest, `{"password":"Changed-2026-lab","reset_in":"phone"}`: http.StatusBadRequest} {
			r, err := http.NewRequestWithContext(t.Context(), http.MethodPatch, l.Ready().ControlURL+"/tenants/openharbour.onmicrosoft.com/users/"+u.UPN, strings.NewReader(body))
			if err != nil {
				t.Fatal(err)
			}
			r.Header.Set("Content-Type", "application/json")
			if a := do(t, l, r); a.status != status {
				t.Errorf("%s: %d %s", body, a.status, a.raw)
			}
		}
		a := post(t, l, "/openharbour.onmicrosoft.com/oauth2/v2.0/token", url.Values{"grant_type": {"refresh_token"}, "client_id": {graphCLI}, "refresh_token": {first.text("refresh_token")}, "scope": {graphDefault}})
		if a.code() != code {
			t.Errorf("%s: %s", portal, a.raw)
		}
	}
}
