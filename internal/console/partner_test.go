package console_test

import (
	"context"
	"html"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"

	"gatehouse/internal/audit"
	"gatehouse/internal/batch"
	"gatehouse/internal/connection"
	"gatehouse/internal/consent"
	"gatehouse/internal/registration"
	"gatehouse/internal/signin"
	"gatehouse/internal/sqldb/dbtest"
	"gatehouse/internal/tenant"
	"gatehouse/lab"
)

// ridge is a partner with four customers: one that has everything, one without Business
// Central, one whose delegated administration gives no role that may consent, and one
// that consented to less a while ago. One of the partner's agents has no second factor.
const ridge = `{"tenants":[
 {"name":"Reseller Ridge","domain":"resellerridge.onmicrosoft.com","mandatory_mfa":false,
  "groups":[{"name":"AdminAgents","members":["ada@resellerridge.onmicrosoft.com","abe@resellerridge.onmicrosoft.com"]},{"name":"GDAP consent","members":["ada@resellerridge.onmicrosoft.com","abe@resellerridge.onmicrosoft.com"]}],
  "users":[{"upn":"ada@resellerridge.onmicrosoft.com","name":"Ada Agent","per_user_mfa":"enforced","methods":[{"type":"oath"}]},{"upn":"abe@resellerridge.onmicrosoft.com","name":"Abe Agent"}],
  "grants":[{"app":"Ridge Desk","resource":"graph","scopes":["openid","profile","offline_access","User.Read"]},{"app":"Ridge Desk","resource":"partner_center","scopes":["user_impersonation"]}],
  "apps":[{"name":"Ridge Desk","purpose":"delegated","public":true,"multi_tenant":true,"redirect_uris":["REPLY/signin/callback"],
   "delegated_permissions":{"graph":["openid","profile","offline_access","User.Read"],"business_central":["Financials.ReadWrite.All"],"partner_center":["user_impersonation"]}}]},
 {"name":"Full Ferry","domain":"fullferry.onmicrosoft.com","mandatory_mfa":false,"licences":["SPE_E3"],"partners":[{"domain":"resellerridge.onmicrosoft.com","access":{"GDAP consent":["Cloud Application Administrator"]}}],
  "users":[{"upn":"fay@fullferry.onmicrosoft.com"}],"apps":[{"name":"Own books","purpose":"delegated","public":true,"delegated_permissions":{"business_central":["Financials.ReadWrite.All"]}},READER]},
 {"name":"Bare Barn","domain":"barebarn.onmicrosoft.com","mandatory_mfa":false,"licences":["SPE_E3"],"partners":[{"domain":"resellerridge.onmicrosoft.com","access":{"GDAP consent":["Application Administrator"]}}],
  "users":[{"upn":"bob@barebarn.onmicrosoft.com"}],"apps":[READER]},
 {"name":"Closed Cove","domain":"closedcove.onmicrosoft.com","mandatory_mfa":false,"partners":[{"domain":"resellerridge.onmicrosoft.com","access":{"GDAP consent":["Helpdesk Administrator"]}}],"users":[{"upn":"cara@closedcove.onmicrosoft.com"}]},
 {"name":"Done Dock","domain":"donedock.onmicrosoft.com","mandatory_mfa":false,"licences":["SPE_E3"],"partners":[{"domain":"resellerridge.onmicrosoft.com","access":{"GDAP consent":["Global Administrator"]}}],
  "users":[{"upn":"dan@donedock.onmicrosoft.com"}],
  "grants":[{"app":"Ridge Desk","resource":"graph","scopes":["User.Read"]},{"app":"Ridge Desk","resource":"business_central","scopes":["Financials.ReadWrite.All"]}],
  "apps":[{"name":"Ridge Desk","from":"resellerridge.onmicrosoft.com"},READER]},
 {"name":"Strange Strand","domain":"strangestrand.onmicrosoft.com","users":[{"upn":"sue@strangestrand.onmicrosoft.com"}]}]}`

// ridgeReader is a customer's reader, and who stands in for its administrator.
const ridgeReader = `{"name":"Gatehouse reader","purpose":"reader","application_permissions":{"graph":["Policy.Read.All","AuditLog.Read.All","UserAuthenticationMethod.Read.All","User.Read.All","GroupMember.Read.All","RoleManagement.Read.Directory","Application.Read.All","Organization.Read.All","DelegatedPermissionGrant.Read.All"]},
    "granted":{"graph":["Policy.Read.All","AuditLog.Read.All","UserAuthenticationMethod.Read.All","User.Read.All","GroupMember.Read.All","RoleManagement.Read.Directory","Application.Read.All","Organization.Read.All","DelegatedPermissionGrant.Read.All"]}},
   {"name":"Lab administration","purpose":"admin","secret":true,"granted":{"graph":["Application.ReadWrite.All","Directory.Read.All","DelegatedPermissionGrant.ReadWrite.All"]}}`

// ridgeHouse is a house with the partner and its customers in the lab, and a connection
// in the partner's tenant for each of its agents.
func ridgeHouse(t *testing.T, options ...func(*house)) (h *house, app registration.Registration, ada, abe connection.Connection) {
	t.Helper()
	h = newHouse(t, append(options, func(h *house) { h.everywhere = true })...)
	app, ada, abe = h.ridge()
	return h, app, ada, abe
}

// ridge adds the partner and its customers to the lab, and the partner's registration
// and a connection for each of its agents here.
func (h *house) ridge() (app registration.Registration, ada, abe connection.Connection) {
	t := h.t
	t.Helper()
	if _, err := h.lab.AddTenants(strings.NewReader(strings.NewReplacer("REPLY", h.server.URL, "READER", ridgeReader).Replace(ridge))); err != nil {
		t.Fatal(err)
	}
	permission := func(resource, name string) registration.Permission {
		return registration.Permission{Resource: resource, Name: name, Kind: registration.DelegatedPermission}
	}
	app = h.publicApp("Ridge Desk", h.at("Reseller Ridge").App("Ridge Desk").ClientID, permission("graph", "User.Read"), permission("business_central", "Financials.ReadWrite.All"), permission(registration.PartnerCenterResource, "user_impersonation"))
	partner := h.add("Reseller Ridge")
	agent := func(name string) connection.Connection {
		made, err := h.connections.Create(h.boss(), connection.CreateRequest{TenantID: partner.ID, Kind: connection.Delegated, Profile: connection.Profile{Name: "Agent " + name, RegistrationID: app.ID, Username: name + "@resellerridge.onmicrosoft.com", Services: []string{connection.Graph}}})
		return must(t, made, err)
	}
	return app, agent("ada"), agent("abe")
}

// partnering onboards a partner's customers, and gives the pages about it: with what
// Partner Center lists, and with why it lists nothing.
func (h *house) partnering(cookie *http.Cookie) []screen {
	h.t.Helper()
	app, ada, abe := h.ridge()
	h.add("Full Ferry")
	h.inAs(ada, "ada")
	h.onboarded(h.visitor(cookie), ada, "consent", "Full Ferry", "Bare Barn", "Closed Cove", "Done Dock")
	chosen := func(c connection.Connection) string {
		return "/consents/customers?" + url.Values{"partner": {c.TenantID + " " + c.ID + " " + app.ID}}.Encode()
	}
	return []screen{{"consents", "/consents"}, {"customers", chosen(ada)}, {"customers-refused", chosen(abe)}}
}

// consenting asks a tenant's administrator for consent and a person to sign in, and
// gives the pages about it; those that need no sign-in are [house.outside].
func (h *house) consenting(cookie *http.Cookie) []screen {
	h.t.Helper()
	found, _, err := h.connections.List(h.boss(), connection.Filter{Kind: connection.Delegated, Search: "Agent abe"}, connection.Page{})
	path := "/connections/" + must(h.t, found, err)[0].ID // one that nobody is signed in for
	at := h.mill()
	ada := h.visitor(cookie)
	made := ada.post("/tenants/"+at.ID+"/consents/"+h.millApp, url.Values{"why": {"Our price list reads your SharePoint sites."}, "days": {"30"}})
	_, rest, _ := strings.Cut(made.Text, h.server.URL+"/consent/")
	device := ada.post(path+"/sign-in/device", nil)
	asked := ada.post(path+"/sign-in/link", url.Values{"why": {"The price list needs your sign-in."}, "days": {"7"}})
	_, link, ok := strings.Cut(asked.Text, h.server.URL+signin.LinkPath)
	if len(rest) < 43 || !ok || !strings.Contains(device.Path, "/sign-in/device/") {
		h.t.Fatalf("asked, and there is no address: on %s, %s, %s", made.Path, asked.Path, device.Path)
	}
	h.outside = []screen{{"consent-asked", "/consent/" + rest[:43]}, {"consent-spent", "/consent/nothing"}, {"sign-in-asked", signin.LinkPath + link[:43]}}
	return []screen{{"consent-waiting", "/tenants/" + at.ID + "/consents/" + h.millApp}, {"sign-in-choice", path + "/sign-in"}, {"sign-in-device", device.Path}}
}

// inAs signs an agent in by a personal link.
func (h *house) inAs(c connection.Connection, user string) {
	h.t.Helper()
	link, err := h.signIns.NewLink(h.boss(), c.ID, signin.LinkOptions{})
	h.byLinkAt("resellerridge", user, must(h.t, link, err).URL.Reveal()).has(h.t, "You are signed in")
}

// onboarded posts the form of the partner's customers, and gives how it went with each
// by name.
func (h *house) onboarded(v *visitor, c connection.Connection, do string, names ...string) map[string]batch.Item {
	h.t.Helper()
	form := url.Values{"partner": {c.TenantID + " " + c.ID + " " + c.RegistrationID}, "do": {do}}
	for _, name := range names {
		form.Add("customer", h.at(name).ID+" "+name)
	}
	page := v.post("/consents/customers", form)
	id, ok := strings.CutPrefix(page.Path, "/batches/")
	if !ok {
		h.t.Fatalf("%s: %s", page.Path, page.Text)
	}
	h.eventually("the batch does not end", func() bool {
		b, err := h.batches.Get(h.boss(), id)
		return must(h.t, b, err).State != batch.Running
	})
	all, _, err := h.batches.Items(h.boss(), id, "", tenant.Page{})
	out := map[string]batch.Item{}
	for _, i := range must(h.t, all, err) {
		out[i.Name] = i
	}
	return out
}

// granted are the delegated permissions that a customer's directory in the lab holds
// for everybody, by API.
func (h *house) granted(tenantName, clientID string) (scopes []string) {
	h.t.Helper()
	var apps struct{ Value []struct{ ID string } }
	a := h.administration(tenantName)
	a.call(http.MethodGet, "/servicePrincipals?"+url.Values{"$filter": {"appId eq '" + clientID + "'"}}.Encode(), nil, &apps)
	if len(apps.Value) == 0 {
		return nil
	}
	var grants struct {
		Value []struct{ ConsentType, Scope string }
	}
	a.call(http.MethodGet, "/servicePrincipals/"+apps.Value[0].ID+"/oauth2PermissionGrants", nil, &grants)
	for _, g := range grants.Value {
		if g.ConsentType == "AllPrincipals" {
			scopes = append(scopes, strings.Fields(g.Scope)...)
		}
	}
	slices.Sort(scopes)
	return scopes
}

// onwards is the link to the next page of a list.
var onwards = regexp.MustCompile(`href="([^"]+)" rel="next"`)

// A partner onboards its customers: an admin agent signs in at the lab, the customers
// that Partner Center lists are consented for, each with its result and its reason, and
// what their own directories hold is read back. Then it is taken back.
func TestPartnerOnboarding(t *testing.T) {
	t.Parallel()
	dbtest.EachAddress(t, func(t *testing.T, address string) {
		h, app, ada, abe := ridgeHouse(t, func(h *house) { h.address, h.lab = address, lab.Start(t) })
		clientID := app.ClientID
		here := map[string]tenant.Tenant{}
		for _, name := range []string{"Full Ferry", "Bare Barn", "Done Dock"} {
			here[name] = h.add(name)
			h.onboard(here[name])
		}
		boss := h.visitor(h.administrator())
		list := func(c connection.Connection) page { // all pages of it, as long as Partner Center makes them
			p := boss.get("/consents/customers?" + url.Values{"partner": {c.TenantID + " " + c.ID + " " + c.RegistrationID}}.Encode())
			for last := p; ; p.Text += last.Text {
				next := onwards.FindStringSubmatch(last.Text)
				if next == nil {
					return p
				}
				last = boss.get(html.UnescapeString(next[1]))
			}
		}
		boss.get("/consents").has(t, "Onboard customers")
		list(ada).has(t, "has no token for Partner Center", "Go to the connection")
		h.inAs(abe, "abe")
		list(abe).has(t, "MFA required", "sign the connection in again")
		h.inAs(ada, "ada")
		list(ada).has(t, "Full Ferry", "barebarn.onmicrosoft.com", "Closed Cove", "Done Dock", "Nothing done from here", "not a tenant here", "Consent to Ridge Desk for those chosen")
		if strings.Contains(list(ada).Text, "Strange Strand") {
			t.Error("a tenant that is no customer is listed")
		}

		went := h.onboarded(boss, ada, "consent", "Full Ferry", "Bare Barn", "Closed Cove", "Done Dock", "Strange Strand")
		for name, want := range map[string]struct{ outcome, note string }{
			"Full Ferry":     {batch.Changed, ""},
			"Bare Barn":      {batch.Failed, "may lack the service principal of the API (no licence)"},
			"Closed Cove":    {batch.Failed, "maps to Cloud Application Administrator or Application Administrator"},
			"Done Dock":      {batch.Unchanged, "Partner Center does not say what it holds"},
			"Strange Strand": {batch.Failed, "no customer of the partner"},
		} {
			if got := went[name]; got.Outcome != want.outcome || !strings.Contains(got.Note, want.note) {
				t.Errorf("%s: %s: %s", name, got.Outcome, got.Note)
			}
		}
		all := []string{"Financials.ReadWrite.All", "User.Read", "offline_access", "openid", "profile"}
		if got := h.granted("Full Ferry", clientID); !slices.Equal(got, all) {
			t.Errorf("in Full Ferry is granted %v", got)
		}
		if got := h.granted("Bare Barn", clientID); !slices.Equal(got, all[1:]) || !strings.Contains(went["Bare Barn"].Note, "Granted: Microsoft Graph.") {
			t.Errorf("in Bare Barn is granted %v, and said %s", got, went["Bare Barn"].Note)
		}
		read := func(name string) consent.Status {
			s, err := h.consents.StatusOf(h.boss(), here[name].ID, app.ID)
			return must(t, s, err)
		}
		for name, want := range map[string]consent.State{"Full Ferry": consent.Granted, "Bare Barn": consent.Partly, "Done Dock": consent.Partly} {
			h.eventually(name+" is not read back", func() bool { return read(name).State == want })
		}
		if p := read("Bare Barn").Problems; len(p) != 1 || p[0].Kind != "licence_missing" {
			t.Errorf("Bare Barn's problems: %+v", p)
		}
		list(ada).has(t, "Consented", "Refused", "Partly", "Granted", "/tenants/"+here["Full Ferry"].ID+"/consents/"+app.ID)

		if got := h.onboarded(boss, ada, "undo", "Full Ferry", "Closed Cove")["Full Ferry"]; got.Outcome != batch.Changed {
			t.Errorf("taken back: %s: %s", got.Outcome, got.Note)
		}
		if got := h.granted("Full Ferry", clientID); len(got) != 0 {
			t.Errorf("taken back, and granted are %v", got)
		}
		h.eventually("what was taken back is not read", func() bool { return read("Full Ferry").State == consent.Missing })

		// A permission that does not exist is refused for its API alone.
		_, _, err := h.registrations.SetManifest(h.boss(), app.ID, registration.ManifestRequest{Version: 1, Permissions: append(registration.SignInPermissions(), registration.Permission{Resource: "graph", Name: "Magic.Do", Kind: registration.DelegatedPermission}, registration.Permission{Resource: "business_central", Name: "Financials.ReadWrite.All", Kind: registration.DelegatedPermission})})
		must(t, 0, err)
		if got := h.onboarded(boss, ada, "consent", "Full Ferry")["Full Ferry"]; got.Outcome != batch.Failed || !strings.Contains(got.Note, "no permission Magic.Do") || !strings.Contains(got.Note, "Granted: Dynamics 365 Business Central.") {
			t.Errorf("a permission that is none: %s: %s", got.Outcome, got.Note)
		}
		h.onboardingNoted(app, ada)
	})
}

// onboardingNoted looks for what was done in the audit log, and that nobody onboards by
// a connection of another tenant, or without the right to.
func (h *house) onboardingNoted(app registration.Registration, c connection.Connection) {
	h.t.Helper()
	var outcomes []string
	err := h.db.Read().NewRaw("SELECT DISTINCT action || ' ' || outcome FROM audit WHERE object_kind = 'customer' ORDER BY 1").Scan(context.Background(), &outcomes)
	if want := []string{"consent.customer_onboarded done", "consent.customer_refused failed", "consent.customer_removed done"}; err != nil || !slices.Equal(outcomes, want) {
		h.t.Errorf("noted is %v, %v", outcomes, err)
	}
	ask := consent.OnboardRequest{TenantID: c.TenantID, ConnectionID: c.ID, RegistrationID: app.ID, Customers: []consent.CustomerRef{{ID: h.at("Full Ferry").ID}}}
	eve := audit.With(h.t.Context(), audit.Actor{Kind: audit.Operator, ID: "eve", Name: "Eve", Roles: map[string]audit.Role{c.TenantID: audit.Technician}})
	if _, err := h.consents.Onboard(eve, ask); err == nil {
		h.t.Error("a technician onboards customers")
	}
	if _, _, err := h.consents.Customers(eve, c.TenantID, c.ID, app.ID, ""); err == nil {
		h.t.Error("a technician sees a partner's customers")
	}
	others, _, err := h.tenants.List(h.boss(), tenant.Filter{}, tenant.Page{})
	for _, t := range must(h.t, others, err) {
		if t.ID != c.TenantID {
			ask.TenantID = t.ID
			if _, err := h.consents.Onboard(h.boss(), ask); err == nil || !strings.Contains(err.Error(), "none of this tenant") {
				h.t.Errorf("by a connection of another tenant: %v", err)
			}
		}
	}
}
