package console_test

import (
	"fmt"
	"net/http"
	"os"
	"testing"

	"github.com/chromedp/chromedp"

	"gatehouse/internal/audit"
	"gatehouse/internal/connection"
	"gatehouse/internal/tenant"
)

// screen is a page to look at.
type screen struct{ name, path string }

// furnished is a house with something on every page, and its screens.
func furnished(t *testing.T) (*house, *http.Cookie, []screen) {
	h := newHouse(t)
	cookie := h.administrator()
	var first tenant.Tenant
	var shown connection.Connection
	for i, of := range []struct{ tenant, user, name string }{
		{"Default Shield", "svc-connection", "Admin tool"}, {"Open Harbour", "svc-backup", "Nightly backup"}, {"Profile Park", "svc-avepoint", "Backup profile"}, {"Azure Quay", "svc-deploy", "Deployment"},
	} {
		at := h.add(of.tenant)
		if i < 3 {
			h.onboard(at)
		}
		c := h.account(at, of.user, of.name, "graph", "sharepoint")
		if i < 3 {
			h.validate(c)
		}
		if i == 0 {
			first, shown = at, c
		}
	}
	made, err := h.connections.Create(h.boss(), connection.CreateRequest{
		TenantID: first.ID, Kind: connection.App, Profile: connection.Profile{Name: "Reporting", ClientID: "11111111-2222-3333-4444-555555555555", Services: []string{"business_central"}, Consumer: connection.Consumer{HoldsCredential: connection.HeldHere}},
		Credential: connection.CredentialRequest{Generate: true},
	})
	must(t, made, err)
	eve, _, err := h.operators.Invite(h.boss(), "eve@gatehouse.example", "Eve Person", map[string]audit.Role{first.ID: audit.Engineer})
	must(t, eve, err)
	return h, cookie, []screen{
		{"overview", "/"}, {"tenants", "/tenants"}, {"tenant-new", "/tenants/new"}, {"tenant", "/tenants/" + first.ID}, {"reader", "/tenants/" + first.ID + "/reader"}, {"tenant-remove", "/tenants/" + first.ID + "/remove"},
		{"connections", "/connections"}, {"connection-new", "/connections/new"}, {"connection", "/connections/" + shown.ID}, {"connection-edit", "/connections/" + shown.ID + "/edit"},
		{"credential", "/connections/" + made.ID + "/credential"}, {"connection-app", "/connections/" + made.ID}, {"connection-remove", "/connections/" + shown.ID + "/remove"},
		{"jobs", "/jobs"}, {"audit", "/audit"}, {"operators", "/operators"}, {"operator-new", "/operators/new"}, {"operator", "/operators/" + eve.ID}, {"operator-remove", "/operators/" + eve.ID + "/remove"},
		{"explain", "/explain"}, {"developers", "/developers"}, {"settings", "/settings"}, {"factor-new", "/factors/new"}, {"not-here", "/nowhere"},
	}
}

// TestScreens looks at every page in both themes and at four widths: axe-core
// finds nothing, nothing is wider than the window, nothing breaks the policy.
func TestScreens(t *testing.T) {
	h, cookie, screens := furnished(t)
	b := h.browse(cookie)
	for _, s := range screens {
		b.look(s)
	}
	outside := h.browse()
	for _, s := range []screen{{"sign-in", "/sign-in"}} {
		outside.look(s)
	}
	outside.look(screen{"setup", "/setup/" + h.link("frank@gatehouse.example")})
}

// link is the token of a link for a new operator.
func (h *house) link(email string) string {
	h.t.Helper()
	_, token, err := h.operators.Invite(h.boss(), email, "Frank Person", map[string]audit.Role{audit.AllTenants: audit.Viewer})
	return must(h.t, token, err).Reveal()
}

func axe(t *testing.T) string {
	t.Helper()
	source, err := os.ReadFile("../../interop/node/node_modules/axe-core/axe.min.js")
	return string(must(t, source, err))
}

func (b *tab) look(s screen) {
	b.t.Helper()
	source := axe(b.t)
	for _, theme := range []string{"light", "dark"} {
		b.size(1280, 900)
		b.open(s.path)
		evaluate[chromedp.Void](b, fmt.Sprintf(`document.documentElement.dataset.theme = %q`, theme))
		b.accessible(source, s.name+" "+theme)
		b.photograph(s.name + "-1280-" + theme)
		for _, width := range []int64{320, 390, 768} {
			b.size(width, 844)
			if wide := evaluate[int64](b, `document.documentElement.scrollWidth`); wide > width {
				b.t.Errorf("%s is %d wide in a window of %d: %s", s.name, wide, width, evaluate[string](b, fmt.Sprintf(widest, width)))
			}
			if width == 390 {
				b.photograph(s.name + "-390-" + theme)
				if theme == "light" {
					b.accessible(source, s.name+" narrow")
				}
			}
		}
	}
}

// widest names elements that reach beyond a width.
const widest = `[...document.querySelectorAll("body *")].filter(e => e.getBoundingClientRect().right > %d && !e.closest(".scroll, pre")).slice(0, 3).map(e => e.outerHTML.slice(0, 120)).join(" | ")`

// TestExplainBox answers a pasted error, and finds what is called so.
func TestExplainBox(t *testing.T) {
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
