package console_test

import (
	"context"
	"net/http"
	"net/http/cookiejar"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"gatehouse/internal/campaign"
	"gatehouse/internal/connection"
	"gatehouse/internal/consent"
	"gatehouse/internal/notify"
	"gatehouse/internal/signin"
	"gatehouse/internal/sqldb"
	"gatehouse/internal/tenant"
	"gatehouse/internal/testenv/pages"
	"gatehouse/internal/validation"
)

// tally is a vendor that replaces its app, and a customer whose administrator granted
// the old one, before its users could not consent any more.
const tally = `{"tenants":[
 {"name":"Abacus Arcade","domain":"abacusarcade.onmicrosoft.com","mandatory_mfa":false,"users":[{"upn":"dev@abacusarcade.onmicrosoft.com"}],
  "apps":[
   {"name":"Tally Sheets","purpose":"delegated","public":true,"multi_tenant":true,"verified_publisher":true,"redirect_uris":["REPLY/signin/callback"],
    "delegated_permissions":{"graph":["openid","profile","offline_access"],"business_central":["Financials.ReadWrite.All"]}},
   {"name":"Tally Sheets Online","purpose":"delegated","public":true,"multi_tenant":true,"verified_publisher":true,"redirect_uris":["REPLY/signin/callback","REPLY/consent/callback"],
    "delegated_permissions":{"graph":["openid","profile","offline_access","User.Read"],"business_central":["Financials.ReadWrite.All"]}}]},
 {"name":"Tally Trade","domain":"tallytrade.onmicrosoft.com","mandatory_mfa":false,"licences":["SPE_E3"],"consent":{"users":"none","admin_requests":false},
  "users":[{"upn":"gina@tallytrade.onmicrosoft.com","name":"Gina Global","roles":["Global Administrator"]},
   {"upn":"anna@tallytrade.onmicrosoft.com","name":"Anna Bauer","licences":["SPE_E3"]},{"upn":"ben@tallytrade.onmicrosoft.com","name":"Ben Koch","licences":["SPE_E3"]}],
  "grants":[{"app":"Tally Sheets","resource":"graph","scopes":["openid","profile","offline_access"]},{"app":"Tally Sheets","resource":"business_central","scopes":["Financials.ReadWrite.All"]}],
  "apps":[
   {"name":"Tally Sheets","from":"abacusarcade.onmicrosoft.com"},
   {"name":"Gatehouse reader","purpose":"reader","application_permissions":{"graph":["Policy.Read.All","AuditLog.Read.All","UserAuthenticationMethod.Read.All","User.Read.All","GroupMember.Read.All","RoleManagement.Read.Directory","Application.Read.All","Organization.Read.All","DelegatedPermissionGrant.Read.All"]},
    "granted":{"graph":["Policy.Read.All","AuditLog.Read.All","UserAuthenticationMethod.Read.All","User.Read.All","GroupMember.Read.All","RoleManagement.Read.Directory","Application.Read.All","Organization.Read.All","DelegatedPermissionGrant.Read.All"]}},
   {"name":"Lab administration","purpose":"admin","secret":true,"granted":{"graph":["Application.ReadWrite.All"]}}]}]}`

// jetTexts are what people who sign in to such a data source are told when its app was
// replaced, and the remedy of each.
var jetTexts = map[string]string{
	"This account requires multi-factor authentication and your Jet Hub environment is not currently setup to support multi-factor authentication.":           "connect-with-person",
	"You are not authorized to access this data source. You must sign-in using your Microsoft 365 credentials for authorization.":                             "sign-in-again",
	"Invoking the web service failed with the following message: Exception of type Jet.Shared.NavWebServiceOffice365AuthorizationMultiFactorAuth was thrown.": "connect-with-person",
}

// telling has the house tell of campaigns, as the server does.
func (h *house) telling() {
	h.tellCampaigns = func(ctx context.Context, tx *sqldb.Tx, n campaign.News) error {
		kind := map[string]string{campaign.Proposed: notify.CampaignProposed, campaign.Complete: notify.CampaignDone}[n.What]
		if kind == "" {
			kind = notify.CampaignProgress
		}
		return h.notices.Publish(ctx, tx, notify.Event{Kind: kind, Key: n.Campaign.ID + n.What, Title: n.Campaign.Name, Path: "/campaigns/" + n.Campaign.ID, At: n.At})
	}
}

// told gives the paths of the notices of a kind.
func (h *house) told(kind string) (paths []string) {
	h.t.Helper()
	all, _, err := h.notices.List(h.boss(), notify.Filter{Kind: kind}, notify.Page{})
	for _, n := range must(h.t, all, err) {
		paths = append(paths, n.Path)
	}
	return paths
}

// tallyHouse is a house that reaches Business Central, with the vendor's and the
// customer's tenants in its lab.
func tallyHouse(t *testing.T, options ...func(*house)) (*house, tenant.Tenant) {
	t.Helper()
	h := newHouse(t, append(options, (*house).telling, func(h *house) { h.everywhere = true })...)
	if _, err := h.lab.AddTenants(strings.NewReader(strings.ReplaceAll(tally, "REPLY", h.server.URL))); err != nil {
		t.Fatal(err)
	}
	return h, h.add("Tally Trade")
}

// pick chooses an option of a select or a tile of a form by its value.
func (b *tab) pick(name, value string) {
	b.t.Helper()
	ok := evaluate[bool](b, `(() => {
		const one = document.querySelector('main [name="`+name+`"][value="`+value+`"]'), list = document.querySelector('main select[name="`+name+`"]');
		if (one) { if (!one.checked) one.click(); return one.checked }
		if (!list) return false;
		list.value = "`+value+`"; list.dispatchEvent(new Event("change", {bubbles: true}));
		return list.value === "`+value+`" })()`)
	if !ok {
		b.t.Fatalf("%s has no %q on %s", name, value, b.where())
	}
}

// here is the path of the page.
func (b *tab) here() string {
	b.t.Helper()
	return evaluate[string](b, `location.pathname`)
}

// signsIn types a name, where it is asked for, and a password at the lab.
func (b *tab) signsIn(user string) {
	b.t.Helper()
	u := b.at("Tally Trade").User(user)
	b.sees("Enter the password")
	b.fill("password", *u.Password)
	b.press("Sign in")
}

// byLink signs somebody in through a personal link in a browser without scripts, and
// gives the page at the end.
func (h *house) byLink(user, link string) page {
	h.t.Helper()
	return h.byLinkAt("tallytrade", user, link)
}

// byLinkAt is byLink for somebody of a tenant of the lab.
func (h *house) byLinkAt(tenantName, user, link string) page {
	h.t.Helper()
	jar, err := cookiejar.New(nil)
	v := &visitor{h, &http.Client{Jar: must(h.t, jar, err), CheckRedirect: func(r *http.Request, _ []*http.Request) error {
		if r.URL.Scheme == "https" { // Microsoft's pages are walked below
			return http.ErrUseLastResponse
		}
		return nil
	}}}
	path := strings.TrimPrefix(link, h.server.URL)
	v.get(path).has(h.t, "asks you to sign in")
	sent := v.post(path, nil)
	answer, stuck := pages.Of(h.t, h.lab, tenantName, user).Follow(sent.Header.Get("Location"))
	if answer == nil {
		h.t.Fatalf("%s is stuck: %s", user, stuck)
	}
	return v.get(answer.RequestURI())
}

// issued demands a token of a connection, of the app by which its person is signed in.
func (h *house) issued(c connection.Connection, clientID string) {
	h.t.Helper()
	token, err := h.tokens.Token(h.boss(), c.ID, connection.BusinessCentral, "")
	if must(h.t, token, err).Access.Empty() {
		h.t.Error("an empty token was given")
	}
	state, err := h.tokens.StateOf(h.boss(), c.ID)
	if got := must(h.t, state, err); got.ClientID != clientID || got.State != "ready" {
		h.t.Errorf("%s is %s, signed in to %s, not to %s", c.Name, got.State, got.ClientID, clientID)
	}
}

// connected makes the registration and the connections of Anna, in the console, and of
// Ben, who is signed in already.
func (h *house) connected(operator *tab, at tenant.Tenant) (registrationID string, anna, ben connection.Connection) {
	h.t.Helper()
	operator.open("/registrations/new")
	operator.fill("name", "Tally Sheets")
	operator.pick("kind", "public")
	operator.fill("client_lab", h.at("Abacus Arcade").App("Tally Sheets").ClientID)
	operator.fill("permissions", "graph delegated offline_access\nbusiness_central delegated Financials.ReadWrite.All to fill your sheets")
	operator.press("Add the app registration")
	operator.sees("The app registration is here")
	registrationID = strings.TrimPrefix(operator.here(), "/registrations/")

	operator.open("/connections/new?tenant=" + at.ID)
	operator.pick("kind", "delegated")
	operator.fill("name", "Sheets of Anna")
	operator.pick("registration_id", registrationID)
	operator.fill("person", "anna@tallytrade.onmicrosoft.com")
	evaluate[chromedp.Void](operator, `document.querySelector('main [name="services"][value="graph"]').click()`) // offered first
	operator.pick("services", "business_central")
	operator.press("Store the connection")
	operator.sees("Sign in for Sheets of Anna")
	found, _, err := h.connections.List(h.boss(), connection.Filter{TenantID: at.ID}, connection.Page{})
	anna = must(h.t, found, err)[0]

	made, err := h.connections.Create(h.boss(), connection.CreateRequest{TenantID: at.ID, Kind: connection.Delegated, Profile: connection.Profile{
		Name: "Sheets of Ben", RegistrationID: registrationID, Username: "ben@tallytrade.onmicrosoft.com", Services: []string{connection.BusinessCentral},
	}})
	ben = must(h.t, made, err)
	link, err := h.signIns.NewLink(h.boss(), ben.ID, signin.LinkOptions{})
	h.byLink("ben", must(h.t, link, err).URL.Reveal()).has(h.t, "You are signed in")
	return registrationID, anna, ben
}

// The story of a vendor's app that is replaced: a person signs in, and Business Central
// is read; the app gets a new client id; what users are told is explained; their
// administrator consents on behalf of the organisation, and everybody signs in again,
// while the old app goes on working for those who have not yet.
func TestDelegatedStory(t *testing.T) {
	t.Parallel()
	h, at := tallyHouse(t, (*house).browsable)
	h.onboard(at)
	operator, anna := h.browse(h.administrator()), h.browse()
	vendor := h.at("Abacus Arcade")
	before, after := vendor.App("Tally Sheets").ClientID, vendor.App("Tally Sheets Online").ClientID
	registrationID, annas, bens := h.connected(operator, at)

	operator.fill("why", "Your sheets read the ledger.")
	operator.press("Make a personal link")
	operator.sees("it is shown this once")
	anna.visit(evaluate[string](operator, `document.getElementById("link").innerText`))
	anna.sees("To fill your sheets")
	anna.press("Continue to Microsoft")
	anna.signsIn("anna")
	anna.sees("Stay signed in?")
	anna.press("No")
	anna.sees("You are signed in")
	h.works(operator, annas, before)
	h.issued(bens, before)

	looked, err := h.consents.Look(h.boss(), at.ID, registrationID)
	if state := must(t, looked, err).State; state != consent.Granted {
		t.Errorf("the consent to the old app is %s", state)
	}
	campaignPath := h.replaced(operator, registrationID, after)
	h.explained(operator)
	h.refusedFirst(operator, anna, campaignPath, annas, bens, before)
	h.approved(operator, campaignPath)
	h.everybody(operator, anna, campaignPath, annas, bens, before, after)
	h.keptByNobody()
}

// works validates a connection, takes a token and reads a sample.
func (h *house) works(operator *tab, c connection.Connection, clientID string) {
	h.t.Helper()
	path := "/connections/" + c.ID
	operator.open(path)
	operator.press("Validate now")
	h.eventually("the validation finds no way in", func() bool {
		now, err := h.connections.Get(h.boss(), c.ID)
		return must(h.t, now, err).Verdict == string(validation.Works)
	})
	operator.sees("Works")
	h.issued(c, clientID)
	operator.open(path + "/data")
	operator.sees("No company is chosen yet")
	operator.pick("environment", "Production")
	operator.press("Show its companies")
	operator.sees("Company in Production")
	operator.pick("company", "Tally Trade Holding")
	operator.press("Choose company")
	operator.sees("Tally Trade Holding in Production.")
	operator.press("Read a sample")
	operator.sees("It gets in: Customers of Tally Trade Holding in Production")
	operator.sees("C00010")
}

// replaced gives the registration its new client id, and starts the campaign that is
// proposed then.
func (h *house) replaced(operator *tab, registrationID, after string) (campaignPath string) {
	h.t.Helper()
	operator.open("/registrations/" + registrationID)
	operator.press("Change details")
	operator.fill("client_lab", after)
	operator.press("Store")
	operator.sees("(former)")
	operator.open("/campaigns")
	operator.press("New app id, " + h.newest().CreatedAt.Format("2 January 2006"))
	campaignPath = operator.here()
	h.eventually("the draft reaches nobody", func() bool { return h.newest().People == 2 })
	if got := h.told(notify.CampaignProposed); len(got) != 1 || got[0] != campaignPath {
		h.t.Errorf("of the draft is told %v", got)
	}
	operator.open(campaignPath)
	operator.sees("2 people of 1 tenant are asked to sign in once more.")
	operator.press("Start: ask everybody")
	operator.sees("2 people still to sign in")
	operator.sees("2 people still on the old app")
	return campaignPath
}

// newest is the campaign that was made last.
func (h *house) newest() campaign.Campaign {
	h.t.Helper()
	all, _, err := h.campaigns.List(h.boss(), "", campaign.Page{})
	return must(h.t, all, err)[0]
}

// explained pastes what users are told into the page that explains.
func (h *house) explained(operator *tab) {
	h.t.Helper()
	remedies := map[string]string{"connect-with-person": "Connect once with a person's sign-in and keep the session", "sign-in-again": "Sign in again"}
	for text, remedy := range jetTexts {
		operator.open("/explain")
		operator.fill("text", text)
		operator.press("Explain")
		operator.sees("Who must act")
		operator.sees(remedies[remedy])
	}
}

// refusedFirst follows a person who signs in before the administrator has consented.
func (h *house) refusedFirst(operator, anna *tab, campaignPath string, annas, bens connection.Connection, before string) {
	h.t.Helper()
	operator.open(campaignPath + "?search=anna")
	operator.press("Link")
	operator.sees("Shown once, for the person alone.")
	made := evaluate[string](operator, `document.getElementById("link-0").textContent`)
	anna.visit(made)
	anna.press("Continue to Microsoft")
	anna.sees("An administrator must approve")
	anna.sees("AADSTS90094")
	anna.press("Return to the app without it")
	anna.sees("The sign-in did not work")
	anna.sees("Who must act: the tenant's administrator")
	anna.glance("delegated-story-refused")
	h.issued(annas, before) // what is there already is not lost
	h.issued(bens, before)
}

// approved has the administrator consent on a page of theirs.
func (h *house) approved(operator *tab, campaignPath string) {
	h.t.Helper()
	operator.open(campaignPath)
	operator.press("Consent link")
	operator.sees("for an administrator of the tenant")
	link := evaluate[string](operator, `document.getElementById("link-0").textContent`)
	path := strings.TrimPrefix(link, h.server.URL)
	gina := h.browse()
	gina.open(path)
	gina.sees("Approve Tally Sheets for Tally Trade")
	gina.sees("Waiting for your approval")
	gina.press("Go to Microsoft to approve")
	gina.fill("upn", "gina@tallytrade.onmicrosoft.com")
	gina.press("Next")
	gina.signsIn("gina")
	gina.sees("for everybody in Tally Trade")
	gina.press("Accept")
	h.eventually("the administrator does not come back", func() bool { return strings.HasPrefix(gina.here(), "/consent/") })
	h.eventually("it was not read back", func() bool {
		gina.open(path)
		return evaluate[bool](gina, `document.body.innerText.includes("Everything that is asked is granted")`)
	})
	if err := h.campaigns.Watch(h.boss()); err != nil { // each minute, in a server
		h.t.Fatal(err)
	}
	operator.open(campaignPath)
	operator.sees("Granted")
	operator.sees("2 people still to sign in")
}

// everybody signs in again through a link, and the campaign ends with the last one.
func (h *house) everybody(operator, anna *tab, campaignPath string, annas, bens connection.Connection, before, after string) {
	h.t.Helper()
	operator.press("Sign-in links")
	operator.sees("Shown once")
	links := evaluate[map[string]string](operator, `Object.fromEntries([...document.querySelectorAll("main [id^=link-]")].filter(e => /^link-\d+$/.test(e.id)).map(e => [e.closest("div:has(h2)").querySelector("h2").textContent.trim().split("@")[0], e.textContent]))`)
	if len(links) != 2 {
		h.t.Fatalf("links for %d people: %v", len(links), operator.where())
	}
	anna.visit(links["anna"])
	anna.press("Continue to Microsoft")
	anna.sees("You are signed in")
	h.issued(annas, after)
	h.issued(bens, before)
	operator.open(campaignPath)
	operator.sees("1 of 2 signed in (50 %)")
	h.byLink("ben", links["ben"]).has(h.t, "You are signed in")
	operator.sees("2 of 2 signed in (100 %)") // by itself
	operator.sees("Everybody was seen on the new app.")
	operator.glance("delegated-story-done")
	h.issued(annas, after)
	h.issued(bens, after)
	if got := h.newest(); got.State != campaign.Done {
		h.t.Errorf("the campaign is %s", got.State)
	}
	if got := h.told(notify.CampaignDone); len(got) != 1 || got[0] != campaignPath {
		h.t.Errorf("of the end is told %v", got)
	}
	operator.open("/connections/" + bens.ID)
	operator.press("Validate now")
	h.eventually("the validation finds no way in", func() bool {
		now, err := h.connections.Get(h.boss(), bens.ID)
		return must(h.t, now, err).Verdict == string(validation.Works)
	})
	operator.sees("Works")
}

// keptByNobody demands that nothing is kept of the administrator's sign-in.
func (h *house) keptByNobody() {
	h.t.Helper()
	gina := h.at("Tally Trade").User("gina")
	for _, table := range []string{"connections", "grants"} {
		for column, value := range map[string]string{"username": gina.UPN, "object_id": gina.ID} {
			if n, err := h.db.Read().NewSelect().TableExpr(table).Where("lower("+column+") = lower(?)", value).Count(h.t.Context()); err != nil || n != 0 {
				h.t.Errorf("%d of the administrator's sign-ins are in %s, %v", n, table, err)
			}
		}
		if n, err := h.db.Read().NewSelect().TableExpr(table).Count(h.t.Context()); err != nil || n != 2 {
			h.t.Errorf("%d in %s instead of one for each person, %v", n, table, err)
		}
	}
}
