package console_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"gatehouse/internal/consent"
	"gatehouse/internal/registration"
	"gatehouse/internal/tenant"
)

// mill is a vendor with an app that a customer's users may not consent to.
const mill = `{"tenants":[
 {"name":"Maker Mill","domain":"makermill.onmicrosoft.com","mandatory_mfa":false,"users":[{"upn":"dev@makermill.onmicrosoft.com"}],
  "apps":[{"name":"Mill Link","purpose":"delegated","secret":true,"multi_tenant":true,"verified_publisher":true,"redirect_uris":["REPLY"],
   "delegated_permissions":{"graph":["openid","profile","offline_access","User.Read"],"sharepoint":["AllSites.Read"]}}]},
 {"name":"Client Creek","domain":"clientcreek.onmicrosoft.com","mandatory_mfa":false,"licences":["SPE_E3"],"consent":{"users":"none","admin_requests":true},
  "users":[{"upn":"gina@clientcreek.onmicrosoft.com","name":"Gina Global","roles":["Global Administrator"]},{"upn":"paul@clientcreek.onmicrosoft.com","name":"Paul Plain"}],
  "apps":[
   {"name":"Gatehouse reader","purpose":"reader","application_permissions":{"graph":["Policy.Read.All","AuditLog.Read.All","UserAuthenticationMethod.Read.All","User.Read.All","GroupMember.Read.All","RoleManagement.Read.Directory","Application.Read.All","Organization.Read.All","DelegatedPermissionGrant.Read.All"]},
    "granted":{"graph":["Policy.Read.All","AuditLog.Read.All","UserAuthenticationMethod.Read.All","User.Read.All","GroupMember.Read.All","RoleManagement.Read.Directory","Application.Read.All","Organization.Read.All","DelegatedPermissionGrant.Read.All"]}},
   {"name":"Lab administration","purpose":"admin","secret":true,"granted":{"graph":["Application.ReadWrite.All","Directory.Read.All","DelegatedPermissionGrant.ReadWrite.All"]}}]}]}`

// mill adds the vendor and its customer to the lab, and the vendor's registration
// here.
func (h *house) mill() tenant.Tenant {
	h.t.Helper()
	if _, err := h.lab.AddTenants(strings.NewReader(strings.Replace(mill, "REPLY", h.server.URL+consent.CallbackPath, 1))); err != nil {
		h.t.Fatal(err)
	}
	g, err := h.registrations.Create(h.boss(), registration.CreateRequest{
		Kind: registration.Public, Details: registration.Details{Name: "Mill Link", Clients: map[string]string{"lab": h.at("Maker Mill").App("Mill Link").ClientID}, Publisher: registration.PublisherVerified, PublisherName: "Maker Mill"},
		Permissions: append(registration.SignInPermissions(), registration.Permission{Resource: "graph", Name: "User.Read", Kind: consent.Delegated, Why: "to show who is signed in"}, registration.Permission{Resource: "sharepoint", Name: "AllSites.Read", Kind: consent.Delegated, Why: "to read the price list"}),
	})
	h.millApp = must(h.t, g, err).ID
	at := h.add("Client Creek")
	return at
}

// User stories 17, 18 and 23: an operator makes a page for the administrator, who
// opens it without an account, goes through the lab's pages to "Consent on behalf of
// the organization", comes back and sees that it was read. The administrator's
// sign-in is kept by nobody.
func TestConsentStory(t *testing.T) {
	t.Parallel()
	h := newHouse(t, (*house).browsable, (*house).named)
	at := h.mill()
	h.onboard(at)
	cookie := h.administrator()
	b, operator := h.browse(), h.browse(cookie)

	operator.open("/tenants/" + at.ID)
	operator.press("Ask for Mill Link")
	operator.sees("It is not known how the consent stands")
	operator.press("Look again")
	operator.sees("Nothing of what Mill Link asks for is granted")
	operator.sees("User consent is switched off")
	operator.fill("why", "Our price list reads your SharePoint sites.")
	operator.press("Make a page")
	operator.sees("Send this address to the tenant's administrator")
	address := evaluate[string](operator, `document.querySelector("#address").textContent`)
	path := strings.TrimPrefix(address, h.server.URL)

	b.size(1280, 900)
	b.open(path)
	for _, text := range []string{"Approve Mill Link for Client Creek", "Our price list reads your SharePoint sites.", "to read the price list", h.at("Maker Mill").App("Mill Link").ClientID, "verified by Microsoft", "Cloud Application Administrator", "AADSTS90099", "Enterprise apps", "Waiting for your approval",
		"Ada Person", "Harbour Help", "User consent is switched off", "Administrator only", "How to take it back later", h.signIns.MicrosoftHost()} {
		b.sees(text)
	}
	stands := func(tone string) {
		t.Helper()
		if got := evaluate[string](b, `document.querySelector("main .verdict").className + " "`); !strings.Contains(got, " "+tone+" ") {
			t.Errorf("the page's verdict looks %q, not %s", got, tone)
		}
	}
	stands("warn") // nothing is broken: it is waited for
	b.press("Go to Microsoft to approve")
	b.fill("upn", "gina@clientcreek.onmicrosoft.com")
	b.press("Next")
	b.fill("password", *h.at("Client Creek").User("gina").Password)
	b.press("Sign in")
	b.sees("for everybody in Client Creek")
	b.photograph("consent-microsoft-1280-light")
	accepted := func() {
		t.Helper()
		b.press("Accept")
		h.eventually("the browser did not come back", func() bool { return strings.HasPrefix(evaluate[string](b, `location.pathname`), "/consent/") })
		h.eventually("it was not read back", func() bool {
			b.open(path)
			return evaluate[bool](b, `document.body.innerText.includes("Everything that is asked is granted")`)
		})
	}
	accepted()
	b.look(screen{"consent-granted", path})
	stands("good")
	h.withdrawn("Client Creek", h.at("Maker Mill").App("Mill Link").ClientID)
	operator.open("/tenants/" + at.ID + "/consents/" + h.millApp)
	operator.press("Look again")
	operator.sees("What changed by itself")
	b.look(screen{"consent-not-whole", path})
	b.sees("It was granted and is not whole any more")
	stands("bad")
	b.size(1280, 900)
	b.press("Go to Microsoft to approve")
	b.sees("for everybody in Client Creek")
	accepted()
	operator.look(screen{"consent", "/tenants/" + at.ID + "/consents/" + h.millApp})
	operator.size(1280, 900)
	operator.open("/tenants/" + at.ID + "/consents/" + h.millApp)
	operator.sees("Everything that Mill Link asks for is granted.")
	operator.press("Withdraw")
	operator.sees("does not open any more")
	b.open(path)
	b.sees("This page does not open (any more)")
	if n, err := h.db.Read().NewSelect().TableExpr("connections").Count(t.Context()); err != nil || n != 0 {
		t.Errorf("%d connections, %v: the administrator's sign-in was kept", n, err)
	}
}

// withdrawn takes back in a tenant's directory what it granted to an app for everybody,
// but for the first API.
func (h *house) withdrawn(tenantName, clientID string) {
	h.t.Helper()
	var apps, grants struct{ Value []struct{ ID string } }
	a := h.administration(tenantName)
	a.call(http.MethodGet, "/servicePrincipals?"+url.Values{"$filter": {"appId eq '" + clientID + "'"}}.Encode(), nil, &apps)
	a.call(http.MethodGet, "/servicePrincipals/"+apps.Value[0].ID+"/oauth2PermissionGrants", nil, &grants)
	for _, g := range grants.Value[1:] {
		a.call(http.MethodDelete, "/oauth2PermissionGrants/"+g.ID, nil, nil)
	}
}

// What comes back without a page in this browser, or twice, stores nothing and leads
// nowhere else; a tenant that is not the person's is not there.
func TestConsentPages(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	at := h.mill()
	boss := h.visitor(h.administrator())
	made := boss.post("/tenants/"+at.ID+"/consents/"+h.millApp, url.Values{"why": {"For the price list"}, "days": {"7"}})
	made.has(t, "Send this address")
	_, rest, _ := strings.Cut(made.Text, h.server.URL+"/consent/")
	token := rest[:43]
	if made.Header.Get("Cache-Control") != "no-store" {
		t.Error("the page with the address may be kept")
	}
	if again := boss.get("/tenants/" + at.ID + "/consents/" + h.millApp); strings.Contains(again.Text, token) {
		t.Error("the address is shown again")
	}
	boss.post("/tenants/"+at.ID+"/consents/"+h.millApp, url.Values{"why": {strings.Repeat("x", 501)}}).has(t, "too long")

	out := h.visitor()
	page := out.get("/consent/" + token)
	page.has(t, "Approve Mill Link for Client Creek", "v2.0/adminconsent", "offline_access", `card verdict warn`, "Waiting for your approval", "Of which organisation is not said here")
	if strings.Contains(page.Text, "What users may consent to themselves") || strings.Contains(page.Text, "everything that the app") {
		t.Error("the page tells of a setting that was not read, or of more than is asked")
	}
	_, old, _ := strings.Cut(boss.post("/tenants/"+at.ID+"/consents/"+h.millApp, url.Values{"days": {"7"}, "endpoint": {"v1"}}).Text, h.server.URL+"/consent/")
	h.visitor().get("/consent/"+old[:43]).has(t, h.lab.URL()+"/"+at.DirectoryID+"/adminconsent?", "page will ask for everything")
	if page.Header.Get("Referrer-Policy") != "no-referrer" || page.Header.Get("Cache-Control") != "no-store" {
		t.Errorf("the page's headers: %v", page.Header)
	}
	stranger := h.visitor()
	_, link, _ := strings.Cut(page.Text, `id="microsoft"`)
	_, state, _ := strings.Cut(link, "state=")
	state, _, _ = strings.Cut(state, "<")
	state, _, _ = strings.Cut(state, "&")
	query := "?admin_consent=True&tenant=" + at.DirectoryID + "&state=" + state
	if p := stranger.get(consent.CallbackPath + query); p.Status != http.StatusBadRequest {
		t.Errorf("another browser's answer: %d", p.Status)
	}
	for _, bad := range []string{"", "?state=x", "?admin_consent=True&state=" + state + "x", query + "&state=" + state, "?state=" + state + "&redirect_uri=https://evil.example&admin_consent=True&admin_consent=True"} {
		if p := out.get(consent.CallbackPath + bad); p.Status != http.StatusBadRequest || strings.Contains(p.Text, "evil.example") {
			t.Errorf("%q: %d", bad, p.Status)
		}
	}
	refused := out.get(consent.CallbackPath + "?error=access_denied&error_description=AADSTS90099%3A+%3Cb%3Epartner%3C%2Fb%3E&admin_consent=True&next=https://evil.example&state=" + state)
	refused.has(t, "cannot consent here", "AADSTS90099")
	if refused.Path != "/consent/"+token || strings.Contains(refused.Text, "<b>partner") || strings.Contains(refused.Text, "evil.example") {
		t.Errorf("the answer leads to %s", refused.Path)
	}
	if p := out.get(consent.CallbackPath + query); p.Status != http.StatusBadRequest || !strings.Contains(p.Text, "taken already") {
		t.Errorf("replayed: %d", p.Status)
	}
	out.post("/consent/"+token+"/look", nil).has(t, "Approve Mill Link")
	boss.get("/consents?state=granted").has(t, "No consent fits")
	boss.get("/consents").has(t, "Mill Link", "Client Creek")
	for _, path := range []string{"/tenants/" + at.ID + "/consents/nothing", "/tenants/none/consents/" + h.millApp, "/consent/" + strings.Repeat("a", 43), "/consents/customers"} {
		if p := boss.get(path); p.Status != http.StatusNotFound {
			t.Errorf("%s: %d", path, p.Status)
		}
	}
	if p := out.get("/consents"); !strings.HasPrefix(p.Path, "/sign-in") {
		t.Errorf("the list is open: %s", p.Path)
	}
}
