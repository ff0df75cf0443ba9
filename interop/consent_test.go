package interop

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/AzureAD/microsoft-authentication-library-for-go/apps/confidential"

	"gatehouse/lab"
)

// willow is a tenant whose people may not consent by themselves, and may ask
// an administrator to; with a web app of its own.
const willow = `{"tenants": [{
	"name": "Willow Works", "domain": "willowworks.onmicrosoft.com",
	"domains": [{"name": "willowworks.example", "default": true}],
	"consent": {"users": "none", "admin_requests": true},
	"users": [
		{"upn": "ada.lind@willowworks.example", "name": "Ada Lind", "roles": ["Global Administrator"], "methods": [{"type": "authenticator", "name": "Phone of Ada"}]},
		{"upn": "bo.park@willowworks.example", "name": "Bo Park", "methods": [{"type": "oath"}]},
		{"upn": "cy.wood@willowworks.example", "name": "Cy Wood"}
	],
	"apps": [
		{"name": "Willow portal", "purpose": "delegated", "secret": true, "certificate": true, "redirect_uris": ["http://localhost"],
			"delegated_permissions": {"graph": ["User.Read", "Mail.Read"]}, "application_permissions": {"graph": ["User.Read.All"]}}
	]
}]}`

// addWillow adds the tenant to a lab.
func addWillow(t *testing.T, l *lab.Lab) (tenant lab.ReadyTenant, portal lab.ReadyApp) {
	t.Helper()
	if _, err := l.AddTenants(strings.NewReader(willow)); err != nil {
		t.Fatal(err)
	}
	tenant = l.Tenant("willowworks")
	return tenant, tenant.App("Willow portal")
}

// webApp is where an app of its own receives the browser again.
func webApp(t *testing.T) (redirect string) {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_, _ = w.Write([]byte(`<!doctype html><html lang="en"><title>Portal</title><body data-app="returned"><h1>Portal</h1></body></html>`))
	}))
	t.Cleanup(server.Close)
	return strings.Replace(server.URL, "127.0.0.1", "localhost", 1)
}

// A person declines what an app asks for, and the app hears of it; then
// consents, and is not asked again.
func TestConsent(t *testing.T) {
	t.Parallel()
	l := browsableLab(t)
	tenant := l.Tenant("openharbour")
	user := tenant.User("lena.fischer")
	client := publicClient(t, l, tenant.ID)
	scopes := []string{"User.ReadBasic.All"}
	p := newPerson(t, l)

	address, wait := begin(t, client, scopes)
	p.open(address)
	p.giveAccount(user)
	p.givePassword(user)
	p.stay("No")
	p.expect("Permissions asked for")
	p.expectText("User.ReadBasic.All")
	p.press("Cancel")
	p.expectText("Authentication failed")
	if _, err := wait(); err == nil || !strings.Contains(err.Error(), "AADSTS65004") {
		t.Errorf("declined: %v", err)
	}

	for _, asked := range []bool{true, false} {
		address, wait = begin(t, client, scopes)
		p.open(address)
		p.expect("Choose an account")
		p.press("Lena Fischer")
		if asked {
			p.expect("Permissions asked for")
			p.press("Accept")
		}
		result := signedIn(t, l, p, wait, user, false)
		if !slices.Contains(result.GrantedScopes, "User.ReadBasic.All") {
			t.Errorf("granted %v", result.GrantedScopes)
		}
	}
}

// An administrator consents on behalf of everybody; nobody else is asked.
func TestConsentForOrganisation(t *testing.T) {
	t.Parallel()
	l := browsableLab(t)
	tenant := l.Tenant("openharbour")
	client := publicClient(t, l, tenant.ID)
	for i, name := range []string{"svc-admin", "lena.fischer"} {
		user := tenant.User(name)
		address, wait := begin(t, client, []string{"User.ReadBasic.All"})
		p := newPerson(t, l)
		p.open(address)
		p.giveAccount(user)
		p.givePassword(user)
		p.stay("No")
		if i == 0 {
			p.expect("Permissions asked for")
			p.tick("Consent on behalf of your organisation.")
			p.press("Accept")
		}
		signedIn(t, l, p, wait, user, false)
	}
}

// portalClient is MSAL Go as a confidential client.
func portalClient(t *testing.T, l *lab.Lab, tenant lab.ReadyTenant, portal lab.ReadyApp) confidential.Client {
	t.Helper()
	credential, err := confidential.NewCredFromSecret(*portal.Secret)
	if err != nil {
		t.Fatal(err)
	}
	client, err := confidential.New(l.URL()+"/"+tenant.ID, portal.ClientID, credential, confidential.WithHTTPClient(l.Client()), confidential.WithInstanceDiscovery(false))
	if err != nil {
		t.Fatal(err)
	}
	return client
}

// The way of a customer's web app: a person may not consent and asks for
// approval; an administrator grants it at the address of admin consent; then
// the app redeems the person's code with its secret, once, and refreshes.
func TestApprovalThenAdminConsent(t *testing.T) {
	t.Parallel()
	l := browsableLab(t)
	tenant, portal := addWillow(t, l)
	bo, ada := tenant.User("bo.park"), tenant.User("ada.lind")
	demandMFA(t, l, tenant, bo)
	client := portalClient(t, l, tenant, portal)
	redirect := webApp(t)
	scopes := []string{"User.Read"}
	address, err := client.AuthCodeURL(t.Context(), portal.ClientID, redirect, scopes)
	if err != nil {
		t.Fatal(err)
	}

	p := newPerson(t, l)
	p.open(address)
	p.giveAccount(bo)
	p.givePassword(bo)
	p.giveCode(p.codeOf(bo))
	p.stay("Yes")
	p.expect("An administrator must approve")
	p.fill("Why do you need the app?", "It books the rooms.")
	p.press("Request approval")
	p.expect("Request sent")

	p.open(address) // the browser remembers him
	p.expect("An administrator must approve")
	p.press("Return to the app without it")
	if got := p.back(redirect); got.Get("error") != "access_denied" || !strings.Contains(got.Get("error_description"), "AADSTS90095") {
		t.Errorf("returned with %v", got)
	}

	admin := newPerson(t, l)
	admin.open(l.URL() + "/" + tenant.ID + "/adminconsent?" + url.Values{"client_id": {portal.ClientID}, "redirect_uri": {redirect}, "state": {"kept"}}.Encode())
	admin.giveAccount(ada)
	admin.givePassword(ada)
	admin.expect("Permissions asked for")
	admin.expectText("Mail.Read")
	admin.press("Accept")
	if got := admin.back(redirect); got.Get("admin_consent") != "True" || got.Get("tenant") != tenant.ID || got.Get("state") != "kept" || got.Has("error") {
		t.Errorf("admin consent returned %v", got)
	}

	p.open(address)
	code := p.back(redirect).Get("code")
	result, err := client.AcquireTokenByAuthCode(t.Context(), code, redirect, scopes)
	if err != nil {
		t.Fatal(err)
	}
	if amr := claimsOf(t, result.AccessToken).AMR; !slices.Contains(amr, "mfa") {
		t.Errorf("amr %v", amr)
	}
	checkMe(t, l.Client(), l.URL(), result.AccessToken, bo)
	if _, err := client.AcquireTokenByAuthCode(t.Context(), code, redirect, scopes); err == nil || !strings.Contains(err.Error(), "AADSTS54005") {
		t.Errorf("the code was redeemed twice: %v", err)
	}
	// MSAL has no token with the other permission: it uses the refresh token.
	mail, err := client.AcquireTokenSilent(t.Context(), []string{"Mail.Read"}, confidential.WithSilentAccount(result.Account))
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Contains(mail.GrantedScopes, "Mail.Read") || !slices.Contains(claimsOf(t, mail.AccessToken).AMR, "mfa") {
		t.Errorf("refreshed: granted %v, amr %v", mail.GrantedScopes, claimsOf(t, mail.AccessToken).AMR)
	}
	// What the administrator granted holds for the app itself too.
	if _, err := client.AcquireTokenByCredential(t.Context(), []string{graphDefault}); err != nil {
		t.Errorf("as itself: %v", err)
	}
}

// The newer address of admin consent names the scopes; a refusal says True as
// well, with an error; who is no administrator cannot grant.
func TestAdminConsentDeclined(t *testing.T) {
	t.Parallel()
	l := browsableLab(t)
	tenant, portal := addWillow(t, l)
	redirect := webApp(t)
	address := l.URL() + "/" + tenant.ID + "/v2.0/adminconsent?" + url.Values{"client_id": {portal.ClientID}, "redirect_uri": {redirect}, "scope": {"https://graph.microsoft.com/Mail.Read"}, "state": {"kept"}}.Encode()

	p := newPerson(t, l)
	p.open(address)
	cy := tenant.User("cy.wood")
	p.giveAccount(cy)
	p.givePassword(cy)
	p.expect("An administrator must approve")
	p.press("Return to the app without it")
	if got := p.back(redirect); got.Get("error") == "" || !strings.Contains(got.Get("error_description"), "AADSTS90094") {
		t.Errorf("somebody else returned with %v", got)
	}

	ada := tenant.User("ada.lind")
	p = newPerson(t, l)
	for _, accept := range []bool{false, true} {
		p.open(address)
		if !accept {
			p.giveAccount(ada)
			p.givePassword(ada)
			p.expect("Permissions asked for")
			p.press("Cancel")
			if got := p.back(redirect); got.Get("error") != "consent_required" || got.Get("admin_consent") != "True" || !strings.Contains(got.Get("error_description"), "AADSTS65004") || got.Get("state") != "kept" {
				t.Errorf("declined: %v", got)
			}
			continue
		}
		p.expect("Permissions asked for")
		p.press("Accept")
		if got := p.back(redirect); got.Has("error") || got.Get("tenant") != tenant.ID || !strings.Contains(got.Get("scope"), "https://graph.microsoft.com/Mail.Read") {
			t.Errorf("accepted: %v", got)
		}
	}
}
