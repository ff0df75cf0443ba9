package console_test

import (
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"gatehouse/internal/broker"
	"gatehouse/internal/connection"
	"gatehouse/internal/registration"
	"gatehouse/internal/secrets"
	"gatehouse/internal/signin"
	"gatehouse/internal/testenv/pages"
)

// quayFile is a tenant with an app registration that people sign in to.
const quayFile = `{"tenants":[{"name":"Quiet Quay","domain":"quietquay.onmicrosoft.com","mandatory_mfa":false,
 "users":[{"upn":"ines@quietquay.onmicrosoft.com","name":"Ines Person"},{"upn":"olaf@quietquay.onmicrosoft.com","name":"Olaf Other"}],
 "apps":[{"name":"Quay reports","public":true,"redirect_uris":["http://localhost/signin/callback"],"delegated_permissions":{"graph":["openid","profile","offline_access","User.Read"]}}],
 "grants":[{"app":"Quay reports","resource":"graph","scopes":["openid","profile","offline_access","User.Read"]}]}]}`

// publicApp makes a registration of a public client that people sign in to.
func (h *house) publicApp(name, clientID string, asks ...registration.Permission) registration.Registration {
	h.t.Helper()
	g, err := h.registrations.Create(h.boss(), registration.CreateRequest{
		Kind: registration.Public, Details: registration.Details{Name: name, Clients: map[string]string{"lab": clientID}}, Permissions: append(registration.SignInPermissions(), asks...),
	})
	return must(h.t, g, err)
}

// earned says who is signed in for a connection; "" for nobody.
func (h *house) earned(connectionID string) string {
	h.t.Helper()
	state, err := h.tokens.StateOf(h.boss(), connectionID)
	if must(h.t, state, err).State != broker.Ready {
		return ""
	}
	return state.Person
}

// quay is a house with a connection for Ines.
func quay(t *testing.T, options ...func(*house)) (*house, connection.Connection, *http.Cookie) {
	t.Helper()
	h := newHouse(t, append(options, (*house).browsable)...)
	if _, err := h.lab.AddTenants(strings.NewReader(quayFile)); err != nil {
		t.Fatal(err)
	}
	cookie := h.administrator()
	h.quayApp = h.publicApp("Quay reports", h.at("Quiet Quay").App("Quay reports").ClientID, registration.Permission{Resource: "graph", Name: "User.Read", Kind: "delegated", Why: "see your name and address"}).ID
	made, err := h.connections.Create(h.boss(), connection.CreateRequest{TenantID: h.add("Quiet Quay").ID, Kind: connection.Delegated, Profile: connection.Profile{
		Name: "Monthly reports", RegistrationID: h.quayApp, Username: "ines@quietquay.onmicrosoft.com", Services: []string{connection.Graph},
	}})
	return h, must(t, made, err), cookie
}

// A person opens a link, sees who asks and for what, signs in on Microsoft's pages
// and is told that it is done. Each page is accessible.
func TestSignInByLink(t *testing.T) {
	t.Parallel()
	h, c, cookie := quay(t, (*house).named)
	operator := h.browse(cookie)
	operator.open("/connections/" + c.ID)
	operator.press("Sign in")
	operator.fill("why", "The monthly report needs your sign-in.")
	operator.press("Make a personal link")
	operator.sees("it is shown this once")
	link := evaluate[string](operator, `document.getElementById("link").innerText`)
	path := strings.TrimPrefix(link, h.server.URL)
	operator.look(screen{"connection-delegated", "/connections/" + c.ID})
	operator.sees("A personal link is out,")

	person := h.browse()
	person.open(path)
	person.sees("Ada Person of Harbour Help asks you to sign in")
	for _, text := range []string{"The monthly report needs your sign-in.", "See your name and address", "User.Read", "ines@quietquay.onmicrosoft.com", h.signIns.MicrosoftHost(), "I do not want to sign in", "Monthly reports", "Quiet Quay", "Quay reports", "You do not know Ada Person of Harbour Help"} {
		person.sees(text)
	}
	person.press("Continue to Microsoft")
	person.sees("Enter the password")
	person.fill("password", *h.at("Quiet Quay").User("ines").Password)
	person.press("Sign in")
	person.sees("Stay signed in?")
	person.press("No")
	person.sees("You are signed in")
	person.sees("ask Ada Person of Harbour Help to log out")
	person.glance("sign-in-done")
	if who := h.earned(c.ID); who != "ines@quietquay.onmicrosoft.com" {
		t.Errorf("%q is signed in", who)
	}
	person.open(path)
	person.sees("This link was used already")
	person.sees("Ask Ada Person of Harbour Help for a new one")
	person.glance("sign-in-link-used")

	operator.open("/connections/" + c.ID)
	operator.sees("Sign in again")
	operator.press("Log out")
	operator.glance("sign-out")
	operator.press("Log out")
	operator.sees("Logged out: the tokens are forgotten here.")
	if h.earned(c.ID) != "" {
		t.Error("the tokens are still there")
	}

	// Of a swapped person the page says both names and offers another account.
	failed := h.browse()
	l, err := h.signIns.NewLink(h.boss(), c.ID, signin.LinkOptions{})
	another := must(t, l, err)
	failed.visit(another.URL.Reveal())
	failed.press("Continue to Microsoft")
	failed.press("Back")
	failed.fill("upn", "olaf@quietquay.onmicrosoft.com")
	failed.press("Next")
	failed.fill("password", *h.at("Quiet Quay").User("olaf").Password)
	failed.press("Sign in")
	failed.sees("Stay signed in?")
	failed.press("No")
	failed.sees("You signed in as olaf@quietquay.onmicrosoft.com, and this connection is for ines@quietquay.onmicrosoft.com")
	failed.look(screen{"sign-in-refused", evaluate[string](failed, `location.pathname`)})
	if h.earned(c.ID) != "" {
		t.Error("a swapped person was kept")
	}
}

// glance looks at the page that is open, as it is.
func (b *tab) glance(name string) {
	b.t.Helper()
	evaluate[chromedp.Void](b, axe(b.t))
	b.photograph(name)
	b.accessible(name, allRules)
}

// An operator signs in on a device code's page and in the browser; what the pages
// of sign-ins say to browsers.
func TestSignInPages(t *testing.T) {
	t.Parallel()
	h, c, cookie := quay(t)
	ada := h.visitor(cookie)
	form := ada.get("/connections/new?tenant=" + c.TenantID)
	form.has(t, "Person who signs in", "Quay reports")
	made := ada.post("/connections/new", url.Values{"tenant": {c.TenantID}, "kind": {"delegated"}, "name": {"Weekly reports"}, "registration_id": {h.quayApp}, "person": {"olaf@quietquay.onmicrosoft.com"}, "services": {"graph"}, "consumer.holds_credential": {"gatehouse"}})
	made.has(t, "Sign in for Weekly reports", "olaf@quietquay.onmicrosoft.com")
	wrong := ada.post("/connections/new", url.Values{"tenant": {c.TenantID}, "kind": {"delegated"}, "name": {"Wrong"}, "registration_id": {h.quayApp}, "person": {"no name"}, "services": {"graph"}})
	if wrong.Status != http.StatusUnprocessableEntity {
		t.Errorf("a person of no name is answered %d", wrong.Status)
	}

	device := ada.post("/connections/"+c.ID+"/sign-in/device", nil)
	code := regexp.MustCompile(`class="digits">([A-Z0-9]+)<`).FindStringSubmatch(device.Text)
	if code == nil {
		t.Fatalf("no code on %s: %s", device.Path, device.Text)
	}
	device.has(t, "type this code", "/common/oauth2/deviceauth")
	if text := pages.Of(t, h.lab, "quietquay", "ines").Device(h.lab.URL()+"/common/oauth2/deviceauth", code[1]); !strings.Contains(text, "Signed in") {
		t.Fatal(text)
	}

	// The browser: what it is sent to, and what comes back.
	browser := h.visitor(cookie)
	browser.client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	sent := browser.post("/connections/"+c.ID+"/sign-in", nil)
	cookies := strings.Join(sent.Header.Values("Set-Cookie"), "\n")
	if sent.Status != http.StatusSeeOther || !strings.HasPrefix(sent.Header.Get("Location"), h.lab.URL()+"/") || !strings.Contains(cookies, "HttpOnly") || !strings.Contains(cookies, "SameSite=Lax") {
		t.Fatalf("%d %v", sent.Status, sent.Header)
	}
	if policy := sent.Header.Get("Content-Security-Policy"); !strings.Contains(policy, "form-action 'self' "+h.lab.URL()) || sent.Header.Get("Referrer-Policy") != "no-referrer" || sent.Header.Get("Cache-Control") != "no-store" || !strings.Contains(sent.Header.Get("X-Robots-Tag"), "noindex") {
		t.Errorf("%v", sent.Header)
	}
	answer, stuck := pages.Of(t, h.lab, "quietquay", "ines").Follow(sent.Header.Get("Location"))
	if answer == nil {
		t.Fatal(stuck)
	}
	stranger := h.visitor().get(answer.RequestURI())
	if stranger.has(t, "This sign-in was begun in another browser"); stranger.Status != http.StatusConflict || h.earned(c.ID) != "" {
		t.Errorf("a stranger's browser is answered %d", stranger.Status)
	}
	sent = browser.post("/connections/"+c.ID+"/sign-in", nil)
	answer, _ = pages.Of(t, h.lab, "quietquay", "ines").Follow(sent.Header.Get("Location"))
	// Whatever else stands in the answer, it leads nowhere else.
	q := answer.Query()
	for _, name := range []string{"next", "return", "redirect_uri", "url"} {
		q.Set(name, "https://elsewhere.example/")
	}
	back := browser.get("/signin/callback?" + q.Encode())
	if back.Status != http.StatusSeeOther || back.Header.Get("Location") != "/connections/"+c.ID+"?said=signed-in" || h.earned(c.ID) == "" {
		t.Errorf("%d %s", back.Status, back.Header.Get("Location"))
	}
	twice := browser.get("/signin/callback?" + q.Encode())
	if !strings.HasPrefix(twice.Header.Get("Location"), "/signin/result/") {
		t.Errorf("%d %s", twice.Status, twice.Header.Get("Location"))
	}
	for path, says := range map[string]string{"/signin/link/nothing": "This link does not open anything", "/signin/callback?code=x&state=y": "not a sign-in that was begun here", "/signin/callback?code=x&code=y&state=z": "cannot be read", "/signin/result/nothing": "does not open anything"} {
		browser.get(path).has(t, says)
	}
	jar, _ := cookiejar.New(nil)
	declined := &visitor{h, &http.Client{Jar: jar}}
	l, err := h.signIns.NewLink(h.boss(), c.ID, signin.LinkOptions{})
	link := must(t, l, err)
	path := strings.TrimPrefix(link.URL.Reveal(), h.server.URL)
	declined.get(path).has(t, strings.TrimPrefix(h.server.URL, "http://")+" asks you to sign in", "Of which organisation is not said here")
	declined.post(path+"/decline", nil).has(t, "You declined")
	declined.get(path).has(t, "This link was used already", "for a new one")
	if _, err := h.signIns.StartLink(h.boss(), secrets.New(path[strings.LastIndexByte(path, '/')+1:]), secrets.Value{}, ""); err == nil {
		t.Error("a declined link still opens")
	}
}
