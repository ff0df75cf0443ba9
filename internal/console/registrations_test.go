package console_test

import (
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"gatehouse/internal/audit"
	"gatehouse/internal/connection"
	"gatehouse/internal/registration"
	"gatehouse/internal/secrets"
	"gatehouse/internal/tenant"
)

// registered gives the furnished house an app registration with a secret in use, a
// certificate that is being checked, two versions of what it asks for, and a
// connection.
func (h *house) registered(at tenant.Tenant) []screen {
	h.t.Helper()
	app := h.at(at.Name).App("Backup app")
	g, err := h.registrations.Create(h.boss(), registration.CreateRequest{
		Kind: registration.Confidential, Details: registration.Details{Name: "Copies for everybody", Purpose: "Keeps copies of what people write.", Clients: map[string]string{"lab": app.ClientID, "usgov": "11111111-2222-4333-8444-555555555555"}, Redirects: []registration.Redirect{{URI: "https://portal.contoso.example/back", Note: "the portal"}}},
		Permissions: append(registration.SignInPermissions(), registration.Permission{Resource: "graph", Name: "User.Read", Kind: "delegated", Why: "to greet people"}),
	})
	must(h.t, g, err)
	_, _, err = h.registrations.SetManifest(h.boss(), g.ID, registration.ManifestRequest{Version: 1, Reason: "copies need files", Permissions: append(registration.SignInPermissions(),
		registration.Permission{Resource: "graph", Name: "Files.Read.All", Kind: "delegated", Why: "to copy files"}, registration.Permission{Resource: "77777777-aaaa-4bbb-8ccc-dddddddddddd", Name: "Tides.Read", Kind: "application"})})
	must(h.t, 0, err)
	used, err := h.registrations.AddCredential(h.boss(), g.ID, registration.CredentialRequest{Secret: secrets.New(*app.Secret), Label: "2025"})
	must(h.t, used, err)
	next, err := h.registrations.AddCredential(h.boss(), g.ID, registration.CredentialRequest{Generate: true, Label: "2026"})
	must(h.t, next, err)
	_, err = h.registrations.Check(h.boss(), g.ID, next.ID, registration.CheckRequest{TenantID: at.ID, Switch: true})
	must(h.t, 0, err)
	c, err := h.connections.Create(h.boss(), connection.CreateRequest{TenantID: at.ID, Kind: connection.Delegated, Profile: connection.Profile{Name: "Copies of Ida", RegistrationID: g.ID, Services: []string{"graph"}}})
	must(h.t, c, err)
	_, err = h.registrations.Look(h.boss(), g.ID, at.ID)
	must(h.t, 0, err)
	h.eventually("the check makes no try", func() bool {
		g, err := h.registrations.Get(h.boss(), g.ID)
		return must(h.t, g, err).Credentials[0].Check.At != nil
	})
	here := "/registrations/" + g.ID
	return []screen{{"registrations", "/registrations"}, {"registration-new", "/registrations/new"}, {"registration", here}, {"registration-manifest", here + "/manifest"},
		{"registration-credential", here + "/credentials/" + next.ID}, {"registration-credential-new", here + "/credential"}}
}

var credentialAddress = regexp.MustCompile(`/credentials/([0-9a-f-]{36})`)

// An app registration from its form to the day on which its credential is retired.
func TestRegistrationPages(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	v := h.visitor(h.administrator())
	at := h.add("Open Harbour")
	h.onboard(at)
	app := h.at("Open Harbour").App("Backup app")

	form := url.Values{"name": {"Copies"}, "kind": {"confidential"}, "client_lab": {"no id"}, "publisher": {"unknown"}, "permissions": {"graph delegated User.Read to greet people\nnowhere delegated A\n"}}
	refused := v.post("/registrations/new", form)
	if refused.Status != http.StatusUnprocessableEntity {
		t.Errorf("%d", refused.Status)
	}
	refused.has(t, "no application (client) id", "no id")
	form.Set("client_lab", app.ClientID)
	form.Set("permissions", "graph delegated User.Read to greet people\n77777777-aaaa-4bbb-8ccc-dddddddddddd application Tides.Read\n")
	made := v.post("/registrations/new", form)
	made.has(t, "The app registration is here", "Nobody can sign in through it: it lacks a credential, offline_access in its manifest", h.server.URL+"/signin/callback", h.server.URL+"/consent/callback", "Not known to Gatehouse", "See the profile of the person who signed in", "To greet people", "Not looked up")
	here := "/registrations/" + strings.TrimPrefix(made.Path, "/registrations/")

	changed := v.post(here+"/manifest", url.Values{"version": {"1"}, "reason": {"nobody stayed signed in"}, "permissions": {"graph delegated offline_access\nbusiness_central delegated Financials.ReadWrite.All to read ledgers"}})
	changed.has(t, "What it asks for is stored", "Version 2", "nobody stayed signed in", "Added", "Financials.ReadWrite.All", "Removed", "Tides.Read", "Ada Person")
	v.post(here+"/manifest", url.Values{"version": {"1"}, "permissions": {"graph delegated offline_access"}}).has(t, "changed meanwhile")

	v.post(here+"/credential", url.Values{"way": {"secret"}, "secret": {"0a000000-0000-4000-8000-000000000001"}}).has(t, "looks like the id of a secret")
	first := v.post(here+"/credential", url.Values{"way": {"secret"}, "secret": {*app.Secret}, "label": {"2025"}, "key_id": {"0a000000-0000-4000-8000-000000000001"}})
	first.has(t, "It is what the app proves itself with")
	if strings.Contains(first.Text, *app.Secret) {
		t.Error("the secret is shown")
	}
	v.get(here).has(t, "People can sign in through it", "Client secret 2025", "In use", "pasted")
	old := credentialAddress.FindStringSubmatch(first.Path)[1]

	second := v.post(here+"/credential", url.Values{"way": {"generate"}, "label": {"2026"}})
	second.has(t, "BEGIN CERTIFICATE", "Not checked yet", "Check whether Microsoft accepts it")
	if strings.Contains(second.Text, "PRIVATE") {
		t.Error("the key is shown")
	}
	next := second.Path
	v.post(next+"/switch", nil).has(t, "This cannot be done", "has not been accepted by Microsoft yet")
	v.post(next+"/check", url.Values{"tenant_id": {""}}).has(t, "Tenant", "is missing")
	v.post(next+"/check", url.Values{"tenant_id": {at.ID}, "switch": {"on"}}).has(t, "The check has begun")
	h.eventually("the check does not go on", func() bool { return strings.Contains(v.get(next).Text, "AADSTS700027") })
	v.get(next).has(t, "0 of 5 sign-ins in a row were accepted", "Not known yet", "Callers get the one in use meanwhile", `<progress max="5"`)
	v.get(next+"/retire").has(t, "Retire Certificate 2026", "Its secret is erased here")
	v.post(next+"/retire", nil).has(t, "Retired", "delete the one with the thumbprint", "and no other")
	v.post(here+"/credentials/"+old+"/retire", nil).has(t, "This cannot be done", "is in use")
	v.post(here+"/undo", nil).has(t, "nothing to undo")

	v.post(here+"/look", url.Values{"tenant": {at.ID}}).has(t, "The directory was read", "Missing", "AADSTS50011", "Not verified", "read in a directory")
	c, err := h.connections.Create(h.boss(), connection.CreateRequest{TenantID: at.ID, Kind: connection.Delegated, Profile: connection.Profile{Name: "Copies of Ida", RegistrationID: strings.TrimPrefix(here, "/registrations/"), Services: []string{"business_central"}}})
	must(t, c, err)
	v.post(here+"/remove", nil).has(t, "This cannot be done", "Connections use the app registration")
	v.post(here+"/edit", url.Values{"version": {"1"}, "name": {"Copies"}, "client_lab": {"0b000000-0000-4000-8000-000000000001"}}).has(t, "without a credential")
	v.post(here+"/edit", url.Values{"version": {"1"}, "name": {"Copies for all"}, "client_lab": {app.ClientID}, "redirects": {"https://portal.contoso.example/back the portal"}}).has(t, "Copies for all", "the portal")

	// Others see it, and change nothing.
	own, other := h.member(audit.Engineer, at.ID), h.member(audit.Technician, h.add("Default Shield").ID)
	own.get(here).has(t, "Copies of Ida")
	seen := other.get(here)
	seen.has(t, "Copies for all", "0 of 1")
	if strings.Contains(seen.Text, "Copies of Ida") || strings.Contains(seen.Text, "Add a credential") {
		t.Error("another tenant's connection is shown, or what may not be done")
	}
	for _, path := range []string{"/registrations/new", here + "/edit", here + "/credential"} {
		if p := other.get(path); p.Status != http.StatusForbidden {
			t.Errorf("%s: %d", path, p.Status)
		}
	}
	h.removed(c)
	v.post(here+"/remove", nil).has(t, "The app registration was removed here")
	if p := v.get(here); p.Status != http.StatusNotFound {
		t.Errorf("%d", p.Status)
	}
}

func (h *house) removed(c connection.Connection) {
	h.t.Helper()
	if err := h.connections.Remove(h.boss(), c.ID); err != nil {
		h.t.Fatal(err)
	}
}
