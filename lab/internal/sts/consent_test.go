package sts_test

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"

	"gatehouse/lab/internal/directory"
)

// shop is a customer's tenant with a consent setting, apps of its own and of
// others, and a partner who administers it.
func shop(consent string) string {
	return strings.ReplaceAll(`{"tenants":[
 {"name":"T","domain":"t.onmicrosoft.com","id":"0f1e2d3c-4b5a-4978-8796-a5b4c3d2e1f0","mandatory_mfa":false,"consent":`+consent+`,
  "users":[{"upn":"plain@t.onmicrosoft.com","name":"Pia Plain","password":"pass-word-1"},
   {"upn":"admin@t.onmicrosoft.com","password":"pass-word-1","roles":["Global Administrator"]},
   {"upn":"apps@t.onmicrosoft.com","password":"pass-word-1","roles":["Application Administrator"]}],
  "apps":[{"name":"Own","client_id":"a1111111-2222-4333-8444-555555555555","public":true,"redirect_uris":["http://localhost"]},
   {"name":"Assigned","client_id":"b1111111-2222-4333-8444-555555555555","public":true,"redirect_uris":["http://localhost"],"assignment_required":true,"assigned":["plain@t.onmicrosoft.com"]}],
  "partners":[{"domain":"other.onmicrosoft.com","access":{"Technicians":["Global Administrator"]}}]},
 {"name":"Maker","domain":"other.onmicrosoft.com","groups":[{"name":"Technicians","members":["olga@other.onmicrosoft.com"]}],
  "users":[{"upn":"olga@other.onmicrosoft.com","password":"pass-word-1"}],
  "apps":[{"name":"Verified","client_id":"c1111111-2222-4333-8444-555555555555","public":true,"multi_tenant":true,"verified_publisher":true,"redirect_uris":["http://localhost"],
    "delegated_permissions":{"graph":["User.Read","User.ReadBasic.All"],"sharepoint":["AllSites.Read"]},"application_permissions":{"graph":["User.Read.All"]}},
   {"name":"Unverified","client_id":"d1111111-2222-4333-8444-555555555555","public":true,"multi_tenant":true,"redirect_uris":["http://localhost"]},
   {"name":"Books","client_id":"e1111111-2222-4333-8444-555555555555","public":true,"multi_tenant":true,"redirect_uris":["http://localhost"],"delegated_permissions":{"business_central":["Financials.ReadWrite.All"]}},
   {"name":"Sharepoint only","client_id":"f1111111-2222-4333-8444-555555555555","public":true,"multi_tenant":true,"redirect_uris":["http://localhost"],"application_permissions":{"sharepoint":["Sites.Read.All"]}}]}]}`, "\n", "")
}

const (
	own        = "a1111111-2222-4333-8444-555555555555"
	assigned   = "b1111111-2222-4333-8444-555555555555"
	verified   = "c1111111-2222-4333-8444-555555555555"
	unverified = "d1111111-2222-4333-8444-555555555555"
	books      = "e1111111-2222-4333-8444-555555555555"
	sharepoint = "f1111111-2222-4333-8444-555555555555"
)

// TestConsentPolicies: who may consent to what, by the tenant's setting.
func TestConsentPolicies(t *testing.T) {
	const low, basic, mail, files, admin = "openid User.Read", "User.ReadBasic.All", "Mail.Read", "Files.Read", "User.Read.All"
	for _, test := range []struct {
		setting, client, scope string
		page                   string
	}{
		{"all", unverified, low, "consent"}, {"all", unverified, basic, "consent"}, {"all", unverified, mail, "consent"}, {"all", verified, admin, "approval"}, {"all", assigned, low, "approval"},
		{"low_risk", verified, low, "consent"}, {"low_risk", own, low, "consent"}, {"low_risk", unverified, low, "approval"}, {"low_risk", verified, basic, "approval"}, {"low_risk", own, mail, "approval"},
		{"managed", verified, low, "consent"}, {"managed", verified, basic, "consent"}, {"managed", verified, mail, "approval"}, {"managed", own, files, "approval"}, {"managed", verified, admin, "approval"},
		{"managed", verified, "https://outlook.office365.com/EWS.AccessAsUser.All", "approval"}, {"managed", verified, "https://graph.microsoft.com/.default", "approval"},
		{"none", own, low, "approval"}, {"none", verified, low, "approval"},
	} {
		t.Run(fmt.Sprint(test.setting, " ", test.client[:2], " ", test.scope), func(t *testing.T) {
			for _, requests := range []bool{false, true} {
				c := start(t, shop(fmt.Sprintf(`{"users":%q,"admin_requests":%v}`, test.setting, requests)))
				b := c.browser(t).get(ask("client_id", test.client, "scope", test.scope)).signIn("plain@t.onmicrosoft.com").want(test.page)
				if test.page == "consent" {
					if b.names["organisation"] {
						t.Error("a person without role may consent for everybody")
					}
					continue
				}
				want := "AADSTS90094"
				if requests {
					want = "AADSTS90095"
				}
				if b.want("approval", want); b.names["action=request"] != requests {
					t.Errorf("request form: %v", b.names)
				}
			}
			// An administrator may in every setting, for everybody as well.
			c := start(t, shop(fmt.Sprintf(`{"users":%q}`, test.setting)))
			b := c.browser(t).get(ask("client_id", test.client, "scope", test.scope))
			if test.client == assigned {
				b.signIn("admin@t.onmicrosoft.com").want("400", "AADSTS50105")
				return
			}
			if b.signIn("admin@t.onmicrosoft.com").want("consent"); !b.names["organisation"] {
				t.Error("no box for the organisation")
			}
		})
	}
}

// TestConsent: what is written, what is asked again, what the app hears.
func TestConsent(t *testing.T) {
	c := start(t, shop(`{"users":"all"}`))
	visit := func(upn string, pairs ...string) *browser {
		t.Helper()
		return c.browser(t).get(ask(append([]string{"client_id", verified, "scope", "openid profile offline_access User.Read"}, pairs...)...)).signIn(upn)
	}
	grants := func() []string {
		var out []string
		c.tenant(t, func(tenant *directory.Tenant) {
			for _, g := range tenant.Grants {
				who := "everybody"
				if g.User != "" {
					who, _, _ = strings.Cut(tenant.User(g.User).UPN, "@")
				}
				out = append(out, fmt.Sprint(who, " ", strings.Join(g.Scopes, " ")))
			}
		})
		return out
	}
	answer := visit("plain@t.onmicrosoft.com").want("consent", "Publisher: Maker (verified)", "Sign you in and read your own profile").fill("action", "cancel").answer()
	if answer.Get("error") != "access_denied" || !strings.HasPrefix(answer.Get("error_description"), "AADSTS65004") || answer.Get("state") == "" {
		t.Errorf("%v", answer)
	}
	if _, body := c.post(t, "/t.onmicrosoft.com/oauth2/v2.0/token", redeem("client_id", verified, "code", "x")); code(body) != 700016 {
		t.Errorf("the app was installed without consent: %v", body)
	}
	got := visit("plain@t.onmicrosoft.com").want("consent").fill("action", "accept").answer().Get("code")
	if status, body := c.post(t, "/t.onmicrosoft.com/oauth2/v2.0/token", redeem("client_id", verified, "code", got)); status != 200 || claims(t, body["access_token"])["scp"] != "openid profile offline_access User.Read" {
		t.Errorf("%d %v", status, body)
	}
	if g := grants(); !slices.Equal(g, []string{"plain openid profile offline_access User.Read"}) {
		t.Errorf("%v", g)
	}
	visit("plain@t.onmicrosoft.com").want("left")
	// More scopes: only what is new is asked, and joins the grant.
	b := visit("plain@t.onmicrosoft.com", "scope", "User.Read User.ReadBasic.All https://outlook.office365.com/SMTP.Send").want("consent", "User.ReadBasic.All", "SMTP.Send")
	if strings.Contains(b.body, ">User.Read ·") {
		t.Error("a granted scope was asked again")
	}
	b.fill("action", "accept").want("left")
	if g := grants(); !slices.Equal(g, []string{"plain openid profile offline_access User.Read User.ReadBasic.All", "plain SMTP.Send"}) {
		t.Errorf("%v", g)
	}
	visit("plain@t.onmicrosoft.com", "prompt", "consent").want("consent", "User.Read").fill("action", "accept").want("left")
	// An administrator for everybody, with everything that is registered.
	visit("admin@t.onmicrosoft.com", "scope", "https://graph.microsoft.com/.default").want("consent", "AllSites.Read").fill("action", "accept", "organisation", "yes").want("left")
	if g := grants(); len(g) != 4 || g[2] != "everybody User.Read User.ReadBasic.All" || g[3] != "everybody AllSites.Read" {
		t.Errorf("%v", g)
	}
	visit("apps@t.onmicrosoft.com").want("left")
	visit("plain@t.onmicrosoft.com", "client_id", books, "scope", "https://api.businesscentral.dynamics.com/.default").want("400", "AADSTS650052")
	visit("plain@t.onmicrosoft.com", "client_id", unverified).want("consent", "The publisher, Maker, is not verified")
	// Partners use what was consented to, and consent to nothing.
	b = c.browser(t).get(ask("client_id", unverified)).want("account").fill("upn", "olga@other.onmicrosoft.com").fill("password", pw).want("stay").fill("action", "no").want("400", "AADSTS90099")
	b.get(ask("client_id", verified, "scope", "User.Read")).want("left")
	b.get("/t.onmicrosoft.com/adminconsent?client_id="+verified+"&redirect_uri=http://localhost").want("400", "AADSTS90099")
}

// TestConsentRequest: a request for approval is kept.
func TestConsentRequest(t *testing.T) {
	c := start(t, shop(`{"users":"none","admin_requests":true}`))
	visit := func() *browser {
		return c.browser(t).get(ask("client_id", verified, "scope", "openid User.Read")).signIn("plain@t.onmicrosoft.com").want("approval")
	}
	visit().fill("action", "request", "reason", "Backups").want("200", "Request sent")
	if r := c.ConsentRequests(); len(r) != 1 || r[0].Reason != "Backups" || r[0].UPN != "plain@t.onmicrosoft.com" || r[0].ClientID != verified || !slices.Equal(r[0].Permissions, []string{"openid", "User.Read"}) {
		t.Errorf("%+v", r)
	}
	if answer := visit().fill("action", "return").answer(); answer.Get("error") != "access_denied" || !strings.HasPrefix(answer.Get("error_description"), "AADSTS90095") {
		t.Errorf("%v", answer)
	}
}

// TestAdminConsent: the addresses of admin consent and their answers.
func TestAdminConsent(t *testing.T) {
	c := start(t, shop(`{"users":"all"}`))
	v1 := "/t.onmicrosoft.com/adminconsent?" + url.Values{"client_id": {verified}, "redirect_uri": {"http://localhost:7"}, "state": {"s"}}.Encode()
	v2 := func(tenant, scope string) string {
		return "/" + tenant + "/v2.0/adminconsent?" + url.Values{"client_id": {verified}, "redirect_uri": {"http://localhost:7"}, "state": {"s"}, "scope": {scope}}.Encode()
	}
	b := c.browser(t)
	b.get(v2("common", "User.Read")).want("400", "AADSTS900144")
	b.get(v2("t.onmicrosoft.com", "")).want("400", "AADSTS900144")
	b.get("/t.onmicrosoft.com/adminconsent?client_id="+verified+"&redirect_uri=https://evil.example").want("400", "AADSTS50011")

	// The short form answers to the address that the app registered first.
	if answer := c.browser(t).get("/t.onmicrosoft.com/adminconsent?client_id="+verified).signIn("admin@t.onmicrosoft.com").want("consent").fill("action", "cancel").answer(); answer.Get("error") != "permission_denied" {
		t.Errorf("%v", answer)
	}
	b.get("/t.onmicrosoft.com/v2.0/adminconsent?scope=User.Read&client_id="+verified).want("400", "AADSTS900971")

	answer := c.browser(t).get(v1).signIn("admin@t.onmicrosoft.com").want("consent", "for everybody in T", "User.Read.All", "without a person signed in").fill("action", "cancel").answer()
	if answer.Get("error") != "permission_denied" || answer.Get("state") != "s" || answer.Has("admin_consent") {
		t.Errorf("%v", answer)
	}
	answer = c.browser(t).get(v2("organizations", "User.Read")).signIn("admin@t.onmicrosoft.com").want("consent").fill("action", "cancel").answer()
	if answer.Get("error") != "consent_required" || answer.Get("admin_consent") != "True" || !strings.HasPrefix(answer.Get("error_description"), "AADSTS65004") {
		t.Errorf("%v", answer)
	}
	c.browser(t).get(v2("t.onmicrosoft.com", "User.Read")).signIn("plain@t.onmicrosoft.com").want("approval", "AADSTS90094")
	// Application administrators: not for Graph's app permissions.
	c.browser(t).get(v1).signIn("apps@t.onmicrosoft.com").want("approval", "AADSTS90094")
	c.browser(t).get(strings.ReplaceAll(v1, verified, sharepoint)).signIn("apps@t.onmicrosoft.com").want("consent")

	answer = c.browser(t).get(v2("t.onmicrosoft.com", "User.Read Mail.Read")).signIn("apps@t.onmicrosoft.com").want("consent").fill("action", "accept").answer()
	if answer.Get("admin_consent") != "True" || answer.Get("tenant") != "0f1e2d3c-4b5a-4978-8796-a5b4c3d2e1f0" || answer.Get("scope") != "https://graph.microsoft.com/User.Read https://graph.microsoft.com/Mail.Read" || answer.Get("state") != "s" {
		t.Errorf("%v", answer)
	}
	answer = c.browser(t).get(strings.Replace(v1, "t.onmicrosoft.com", "common", 1)).signIn("admin@t.onmicrosoft.com").want("consent").fill("action", "accept").answer()
	if answer.Get("admin_consent") != "True" || answer.Get("tenant") != "0f1e2d3c-4b5a-4978-8796-a5b4c3d2e1f0" || answer.Has("scope") {
		t.Errorf("%v", answer)
	}
	c.tenant(t, func(tenant *directory.Tenant) {
		scopes := tenant.ScopesOf(verified, directory.GraphID, "anybody")
		if roles := tenant.AppRolesOf(verified, directory.GraphID); !slices.Equal(roles, []string{"User.Read.All"}) || !slices.Equal(scopes, []string{"User.Read", "Mail.Read", "User.ReadBasic.All"}) {
			t.Errorf("roles %v, scopes %v", roles, scopes)
		}
	})
}
