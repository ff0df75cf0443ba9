package cli_test

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gatehouse/client"
	"gatehouse/internal/testenv"
)

// What `setup registrations` makes is all that a reader needs: with its
// certificate uploaded and its permissions consented to, the reader works.
func TestSetupRegistrations(t *testing.T) {
	t.Parallel()
	e := testenv.Start(t)
	dir := t.TempDir()
	ready := filepath.Join(dir, "lab.json")
	if err := e.Lab.WriteReady(ready); err != nil {
		t.Fatal(err)
	}
	token := adminToken(t, e.Lab, "policypier")
	x := &terminal{t, map[string]string{"GATEHOUSE_LAB": ready, "GATEHOUSE_ADMIN_TOKEN": token, "GATEHOUSE_CA": e.Server.CAFile(), "GATEHOUSE_SESSION": filepath.Join(dir, "session.json")}}
	code, out, talk := x.run("setup", "registrations", "--cloud", "lab", "--name", "Harbour master's reader", "--public-url", "https://gatehouse.example/", "--json")
	var made struct {
		Registrations []struct {
			ClientID    *string                 `json:"client_id"`
			Permissions []struct{ Name string } `json:"permissions"`
		} `json:"registrations"`
	}
	if err := json.Unmarshal([]byte(out), &made); code != 0 || err != nil || len(made.Registrations) != 1 || made.Registrations[0].ClientID == nil {
		t.Fatalf("exit %d: %s %s", code, out, talk)
	}
	if strings.Contains(out+talk, token) {
		t.Error("the token is printed")
	}
	id := *made.Registrations[0].ClientID
	app := graph(t, e.Lab, token, http.MethodGet, "/applications(appId='"+id+"')", nil)
	if app["signInAudience"] != "AzureADMultipleOrgs" || len(app["keyCredentials"].([]any)) != 0 || !strings.Contains(out, "https://gatehouse.example/tenants") {
		t.Errorf("made: %v", app)
	}
	if code, _, talk := x.run("setup", "registrations", "--cloud", "lab", "--name", "Harbour master's reader"); code != 1 || !strings.Contains(talk, id) {
		t.Errorf("a second time: exit %d: %s", code, talk)
	}

	added, err := e.AddTenant(t.Context(), client.TenantRequest{Tenant: "policypier.onmicrosoft.com"})
	if err != nil {
		t.Fatal(err)
	}
	steps, err := e.OnboardReader(t.Context(), added.ID, client.ReaderRequest{ClientID: id})
	if err != nil {
		t.Fatal(err)
	}
	graph(t, e.Lab, token, http.MethodPatch, "/applications(appId='"+id+"')", map[string]any{"keyCredentials": []any{publicKey(t, []byte(steps.CertificatePEM))}})
	consent(t, e, token, id, app)
	checked, err := e.CheckReader(t.Context(), added.ID)
	if err != nil || checked.Reader == nil || checked.Reader.State != "works" || checked.Reader.Reason != "" {
		t.Errorf("the reader: %+v %v", checked.Reader, err)
	}
	namesTheRule(t, e, x, added.ID)
	if err := os.Remove(ready); err != nil {
		t.Fatal(err)
	}
	if code, _, talk := x.run("setup", "registrations", "--cloud", "lab"); code != 2 || !strings.Contains(talk, "--cloud") {
		t.Errorf("without a lab: exit %d: %s", code, talk)
	}
}

// consent grants what a registration asks for, as its tenant's administrator.
func consent(t *testing.T, e *testenv.Env, token, clientID string, app map[string]any) {
	t.Helper()
	principal := graph(t, e.Lab, token, http.MethodPost, "/servicePrincipals", map[string]any{"appId": clientID})
	api := graph(t, e.Lab, token, http.MethodGet, "/servicePrincipals(appId='00000003-0000-0000-c000-000000000000')", nil)
	for _, of := range app["requiredResourceAccess"].([]any) {
		for _, p := range of.(map[string]any)["resourceAccess"].([]any) {
			graph(t, e.Lab, token, http.MethodPost, "/servicePrincipals/"+api["id"].(string)+"/appRoleAssignedTo",
				map[string]any{"principalId": principal["id"], "resourceId": api["id"], "appRoleId": p.(map[string]any)["id"]})
		}
	}
}

// namesTheRule validates a connection of the tenant from the command line.
func namesTheRule(t *testing.T, e *testenv.Env, x *terminal, tenantID string) {
	t.Helper()
	u := e.Lab.Tenant("policypier").User("svc-nightly")
	_, err := e.AddConnection(t.Context(), client.ConnectionRequest{
		TenantID: tenantID, Kind: "service_account", Profile: client.Profile{Name: "Nightly export", Username: u.UPN, Services: []string{"graph"}}, Credential: client.CredentialRequest{Password: *u.Password},
	})
	if err != nil {
		t.Fatal(err)
	}
	session, err := json.Marshal(map[string]any{"server": e.URL, "token": e.Token()})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(x.env["GATEHOUSE_SESSION"], session, 0o600); err != nil {
		t.Fatal(err)
	}
	code, out, talk := x.run("validate", "nightly export")
	for _, want := range []string{"Blocked by conditional access \"CA006 - Service accounts - Block outside the office\"", "in report-only mode, would stop it", "Who acts: "} {
		if code != 1 || !strings.Contains(out, want) {
			t.Errorf("exit %d, %q is missing in %s %s", code, want, out, talk)
		}
	}
}
