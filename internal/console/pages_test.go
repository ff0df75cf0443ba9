package console_test

import (
	"fmt"
	"net/http"
	"os"
	"testing"

	"github.com/chromedp/chromedp"

	"gatehouse/internal/audit"
	"gatehouse/internal/connection"
	"gatehouse/internal/operator"
	"gatehouse/internal/secrets"
	"gatehouse/internal/tenant"
)

// screen is a page to look at.
type screen struct{ name, path string }

// furnished is a house with something on every page, and its screens.
func furnished(t testing.TB) (*house, *http.Cookie, []screen) {
	h := newHouse(t, (*house).throughTheLab, func(h *house) { h.partnered = true })
	cookie := h.administrator()
	shown := map[string]connection.Connection{}
	tenants := map[string]tenant.Tenant{}
	for _, of := range []struct {
		tenant, user, name string
		read               bool
		services           []string
	}{
		{"Default Shield", "svc-connection", "Admin tool", true, []string{"graph", "sharepoint"}},
		{"Open Harbour", "svc-backup", "Nightly backup", true, []string{"graph"}},
		{"Profile Park", "svc-avepoint", "Backup profile", true, []string{"graph", "sharepoint"}},
		{"Azure Quay", "svc-deploy", "Deployment", false, []string{"graph"}},
	} {
		at := h.add(of.tenant)
		if of.read {
			h.onboard(at)
		}
		c := h.account(at, of.user, of.name, of.services...)
		h.validate(c)
		tenants[of.tenant], shown[of.name] = at, c
	}
	first := tenants["Default Shield"]
	parked, err := h.connections.SetCredential(h.boss(), h.account(first, "svc-plain", "Migration").ID, connection.CredentialRequest{Password: secrets.New("not the password")})
	h.validate(must(t, parked, err))
	made, err := h.connections.Create(h.boss(), connection.CreateRequest{
		TenantID: first.ID, Kind: connection.App, Profile: connection.Profile{Name: "Reporting", ClientID: "11111111-2222-3333-4444-555555555555", Services: []string{"business_central"}, Consumer: connection.Consumer{HoldsCredential: connection.HeldHere}},
		Credential: connection.CredentialRequest{Generate: true},
	})
	must(t, made, err)
	eve, _, err := h.operators.Invite(h.boss(), "eve@gatehouse.example", "Eve Person", map[string]audit.Role{first.ID: audit.Engineer})
	must(t, eve, err)
	_, err = h.tenants.OnboardReader(h.boss(), tenants["Azure Quay"].ID, tenant.OnboardRequest{ClientID: "11111111-2222-3333-4444-555555555555"})
	if err == nil {
		_, err = h.tenants.CheckReader(h.boss(), tenants["Azure Quay"].ID) // Microsoft does not know it
	}
	must(t, 0, err)
	notices := h.tell(first)
	stopped, waiting, ended := h.incidentsOf(shown["Admin tool"], parked)
	assigned, err := h.operators.Assign(h.boss(), operator.Assignment{Kind: operator.GroupKind, ObjectID: "11111111-2222-4333-8444-555555555555", Name: "Night shift", Directory: first.DirectoryID}, audit.Technician)
	must(t, assigned, err)
	as, _, err := h.operators.Authenticate(t.Context(), secrets.New(cookie.Value), operator.Visit{})
	key, _, err2 := h.operators.AddKey(must(t, as, err), operator.KeyRequest{Name: "Nightly report", Permissions: []audit.Permission{audit.ConnectionView, audit.TenantView}, Tenants: []string{first.ID}})
	must(t, key, err2)
	swept := h.daily(shown["Nightly backup"], eve)
	ends := h.forecast(first)
	h.drifted(first)
	registered := h.registered(tenants["Open Harbour"])
	asked := h.asking(first)
	registered = append(registered, append(h.partnering(cookie), h.consenting(cookie)...)...)
	account, app, off := "/connections/"+shown["Admin tool"].ID, "/connections/"+made.ID, "/tenants/"+tenants["Azure Quay"].ID
	return h, cookie, append([]screen{
		{"overview", "/"}, {"tenants", "/tenants"}, {"tenants-none-fit", "/tenants?search=zzz"}, {"tenant-new", "/tenants/new"}, {"tenant", "/tenants/" + first.ID}, {"tenant-without-rules", off},
		{"reader", "/tenants/" + first.ID + "/reader"}, {"reader-broken", off + "/reader"}, {"reader-remove", "/tenants/" + first.ID + "/reader/remove"}, {"tenant-remove", "/tenants/" + first.ID + "/remove"},
		{"connections", "/connections"}, {"connection-new", "/connections/new"}, {"connection", account}, {"connection-works", "/connections/" + shown["Nightly backup"].ID},
		{"connection-without-rules", "/connections/" + shown["Deployment"].ID}, {"connection-parked", "/connections/" + parked.ID}, {"connection-edit", account + "/edit"},
		{"credential", app + "/credential"}, {"connection-app", app}, {"connection-remove", account + "/remove"},
		{"incidents", "/incidents"}, {"incidents-all", "/incidents?state=all"}, {"incidents-none-fit", "/incidents?search=zzz"}, {"incident", stopped}, {"incident-parked", waiting}, {"incident-ended", ended},
		{"connections-filtered", "/connections?tag=finance"}, {"batches", "/batches"}, {"batch", "/batches/" + swept}, {"import", "/connections/import"}, {"schedule", "/settings/schedule"}, {"search", "/search"},
		{"expiries", "/expiries"}, {"expiries-none-fit", "/expiries?search=zzz"}, {"expiry", "/expiries/" + ends.secret}, {"expiry-reader", "/expiries/r-" + first.ID}, {"expiry-unknown", "/expiries?within=unknown"},
		{"consent-changes", "/tenants/" + first.ID + "/consent-changes"}, {"expiry-calendar", "/expiries/calendar"}, {"rotation", "/rotations/" + ends.rotation},
		{"campaigns", "/campaigns"}, {"campaign-new", "/campaigns/new"}, {"campaign", asked.running}, {"campaign-draft", asked.draft}, {"campaign-people", asked.running + "/people/add"},
		{"jobs", "/jobs"}, {"audit", "/audit"}, {"operators", "/operators"}, {"operator-new", "/operators/new"}, {"operator", "/operators/" + eve.ID},
		{"operator-disable", "/operators/" + eve.ID + "/disable"}, {"operator-remove", "/operators/" + eve.ID + "/remove"},
		{"operators-directory", "/operators/directory"}, {"assignment-new", "/operators/directory/new?directory=" + first.DirectoryID}, {"assignment-found", "/operators/directory/new?search=Con&directory=" + first.DirectoryID},
		{"assignment-remove", "/operators/directory/" + assigned.ID + "/remove"}, {"operators-local", "/operators/local"}, {"keys", "/keys"}, {"key-new", "/keys/new"}, {"key-revoke", "/keys/" + key.ID + "/revoke"},
		{"explain", "/explain"}, {"developers", "/developers"}, {"settings", "/settings"}, {"server", "/server"}, {"audit-erase", "/audit/people/" + eve.ID + "/erase"}, {"factor-new", "/factors/new"}, {"not-here", "/nowhere"},
	}, append(registered, notices...)...)
}

// TestScreens looks at every page in both themes and at five widths: axe-core
// finds nothing, nothing is wider than the window, nothing shifts.
func TestScreens(t *testing.T) {
	t.Parallel()
	h, cookie, screens := furnished(t)
	for part := range 2 {
		t.Run(fmt.Sprint(part), func(t *testing.T) {
			t.Parallel()
			b := h.in(t).browse(cookie)
			for i, s := range screens {
				if i%2 == part {
					b.look(s)
				}
			}
		})
	}
	t.Run("weight", func(t *testing.T) { h.in(t).visitor(cookie).weigh(screens) })
	t.Run("outside", func(t *testing.T) {
		t.Parallel()
		outside := h.in(t).browse()
		outside.look(screen{"sign-in", "/sign-in"})
		outside.look(screen{"setup", "/setup/" + h.link("frank@gatehouse.example")})
		outside.look(screen{"setup-spent", "/setup/nothing"})
		outside.look(screen{"sign-in-local", "/sign-in?local=1"})
		outside.look(screen{"sso-refused", "/sign-in/sso/callback?code=x&state=y"})
		for _, s := range h.outside {
			outside.look(s)
		}
	})
}

// TestEmpty looks at the pages of a house in which nothing is yet, as a demo:
// each teaches the first step.
func TestEmpty(t *testing.T) {
	t.Parallel()
	h := newHouse(t, (*house).demonstrating, func(h *house) { h.partnered = true })
	b := h.browse(h.administrator())
	for _, s := range []struct {
		screen
		teaches string
	}{
		{screen{"empty-overview", "/"}, "Three steps to the first answer"}, {screen{"empty-tenants", "/tenants"}, "Add the first tenant"}, {screen{"empty-connections", "/connections"}, "First add a tenant"},
		{screen{"empty-expiries", "/expiries"}, "Nothing to forecast yet"}, {screen{"empty-campaigns", "/campaigns"}, "No campaign yet"}, {screen{"empty-consents", "/consents"}, "No consent was asked for yet"}, {screen{"empty-customers", "/consents/customers"}, "No connection of a partner yet"}, {screen{"empty-jobs", "/jobs"}, "No job"}, {screen{"empty-registrations", "/registrations"}, "Add the first app registration"}, {screen{"empty-notices", "/settings/notices"}, "Nothing was told yet"}, {screen{"empty-webhooks", "/settings/webhooks"}, "Add the first webhook"}, {screen{"empty-incidents", "/incidents"}, "Nothing is wrong that is known here"}, {screen{"empty-connection-new", "/connections/new"}, "First add a tenant"},
	} {
		b.look(s.screen)
		b.sees(s.teaches)
		b.sees("This is a demo with a simulated Microsoft cloud")
	}
	b.open("/")
	b.size(1280, 900)
	for _, stop := range []string{"/", "/connections?verdict=blocked", "/connections?kind=delegated", "/tenants", "/explain", "/audit"} {
		h.eventually("the tour does not lead to "+stop, func() bool { return evaluate[string](b, `location.pathname + location.search`) == stop })
		b.do(chromedp.Click(".tour .next a"))
	}
}

// link is the token of a link for a new operator.
func (h *house) link(email string) string {
	h.t.Helper()
	_, token, err := h.operators.Invite(h.boss(), email, "Frank Person", map[string]audit.Role{audit.AllTenants: audit.Viewer})
	return must(h.t, token, err).Reveal()
}

// axe is the public checker of accessibility.
func axe(t testing.TB) string {
	t.Helper()
	source, err := os.ReadFile("../../interop/node/node_modules/axe-core/axe.min.js")
	return string(must(t, source, err))
}

// widths are those of windows that people have.
var widths = map[string][]int64{"light": {1280, 320, 390, 768, 1920}, "dark": {1280, 390}}

// look looks at a page at each width. There are two layouts, for phones and for
// desks: each is looked at with all rules in both themes.
func (b *tab) look(s screen) {
	b.t.Helper()
	for _, width := range []int64{390, 1280} {
		b.size(width, 900)
		b.open(s.path)
		if moved := evaluate[float64](b, shifts); moved > 0 {
			b.t.Errorf("%s shifts by %f in a window of %d", s.name, moved, width)
		}
	}
	evaluate[chromedp.Void](b, axe(b.t))
	for _, theme := range []string{"light", "dark"} {
		evaluate[chromedp.Void](b, fmt.Sprintf(`document.documentElement.dataset.theme = %q`, theme))
		for _, width := range widths[theme] {
			b.size(width, 900)
			if wide := evaluate[int64](b, `document.documentElement.scrollWidth`); wide > width {
				b.t.Errorf("%s is %d wide in a window of %d: %s", s.name, wide, width, evaluate[string](b, fmt.Sprintf(widest, width)))
			}
			rules := layoutRules
			if width == 1280 || width == 390 {
				rules = allRules
				b.photograph(fmt.Sprintf("%s-%d-%s", s.name, width, theme))
			}
			b.accessible(fmt.Sprintf("%s at %d, %s", s.name, width, theme), rules)
		}
	}
}

// shifts is by how much a page has moved since it was opened, but for what a
// person has moved.
const shifts = `(() => { const o = new PerformanceObserver(() => {}); o.observe({type: "layout-shift", buffered: true}); return o.takeRecords().reduce((sum, e) => sum + (e.hadRecentInput ? 0 : e.value), 0) })()`

// widest names elements that reach beyond a width.
const widest = `[...document.querySelectorAll("body *")].filter(e => e.getBoundingClientRect().right > %d && !e.closest(".scroll, pre")).slice(0, 3).map(e => e.outerHTML.slice(0, 120)).join(" | ")`

// TestExplainBox answers a pasted error, and finds what is called so.
func TestExplainBox(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	v := h.visitor(h.administrator())
	h.add("Open Harbour")
	v.post("/explain", map[string][]string{"text": {"AADSTS50076: Due to a configuration change made by your administrator"}}).has(t, "Who must act", "AADSTS50076", "What helps")
	found := v.post("/explain", map[string][]string{"text": {"harbour"}})
	found.has(t, "Found here", "Open Harbour")
	empty := v.post("/explain", map[string][]string{"text": {" "}})
	empty.has(t, "paste the error as the program shows it")
	if empty.Status != http.StatusUnprocessableEntity {
		t.Errorf("an empty text is answered %d", empty.Status)
	}
}
