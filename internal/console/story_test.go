package console_test

import (
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
	"github.com/pquerna/otp/totp"
)

var shownKey = regexp.MustCompile(`class="id">([A-Z2-7 ]+)<`)

// TestWithoutScripts goes from the set-up link to a verdict with forms alone.
func TestWithoutScripts(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	token, err := h.operators.FirstLink(h.boss())
	link := "/setup/" + must(t, token, err).Reveal()
	v := h.visitor()

	weak := v.post(link, url.Values{"email": {adaEmail}, "name": {"Ada Person"}, "password": {"password123"}, "again": {"password123"}})
	weak.has(t, "fewer than 12 characters", `value="Ada Person"`, `value="`+adaEmail+`"`)
	if weak.Status != http.StatusUnprocessableEntity || strings.Contains(weak.Text, "password123") {
		t.Errorf("a weak password is answered %d, or shown again", weak.Status)
	}
	factor := v.post(link, url.Values{"email": {adaEmail}, "name": {"Ada Person"}, "password": {goodPassword}, "again": {goodPassword}})
	factor.has(t, "Add a second factor", "data:image/png")
	v.post("/factors/code", url.Values{"code": {"000000"}}).has(t, "does not match")
	v.enrol(factor).has(t, "Three steps to the first answer")

	domain := h.at("Default Shield").Domain
	v.post("/tenants/new", url.Values{"do": {"find"}, "tenant": {"no such domain"}}).has(t, "is neither a domain nor a directory id", `value="no such domain"`)
	v.post("/tenants/new", url.Values{"do": {"find"}, "tenant": {domain}}).has(t, "Found. Is this the tenant?", h.at("Default Shield").ID)
	added := v.post("/tenants/new", url.Values{"do": {"add"}, "tenant": {domain}, "name": {"Default Shield"}})
	added.has(t, "What this tenant lets Gatehouse do", "Who consents", "answers stay unknown")
	id := strings.TrimPrefix(added.Path, "/tenants/")

	user := h.at("Default Shield").User("svc-connection")
	form := url.Values{"tenant": {id}, "kind": {"service_account"}, "name": {"Admin tool"}, "username": {"nobody"}, "password": {*user.Password}, "services": {"graph"}, "consumer.holds_credential": {"gatehouse"}}
	form.Set("schedule", "sometimes")
	v.post("/connections/new", form).has(t, "is no user name", `value="nobody"`, "write off, every 6h", `value="sometimes"`)
	form.Set("username", user.UPN)
	form.Set("schedule", "every 12h")
	made := v.post("/connections/new", form)
	made.has(t, "Nobody has looked yet", `value="every 12h"`)
	v.post(made.Path+"/validate", nil)
	h.eventually("no verdict came", func() bool { return strings.Contains(v.get(made.Path).Text, "What helps") })
	v.get(made.Path).has(t, "Blocked", "Who must act", "AADSTS50076", "reload this page")
	v.get("/").has(t, "1 incident stops 1 of 1 connection", "Admin tool")
	v.post("/tenants/"+id+"/remove", url.Values{"confirm": {"wrong"}}).has(t, "exactly as it is shown", "1 connection")
	v.post("/tenants/"+id+"/remove", url.Values{"confirm": {"Default Shield"}}).has(t, "No tenant yet")

	v.post("/sign-out", nil).has(t, "You are signed out")
	if out := v.get("/connections"); out.Path != "/sign-in" {
		t.Errorf("after signing out %s is shown", out.Path)
	}
	v.post("/sign-in", url.Values{"email": {adaEmail}, "password": {"wrong"}}).has(t, "The e-mail address or the password is wrong", `value="`+adaEmail+`"`)
}

// enrol confirms the code generator that a page shows.
func (v *visitor) enrol(shown page) page {
	v.t.Helper()
	key := strings.ReplaceAll(shownKey.FindStringSubmatch(shown.Text)[1], " ", "")
	code, err := totp.GenerateCode(key, time.Now())
	return v.post("/factors/code", url.Values{"code": {must(v.t, code, err)}, "name": {"Phone"}})
}

// TestKeyboard signs in, adds a tenant and a connection and validates it with
// keys alone, and the verdict comes by itself.
func TestKeyboard(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	b := h.browse(h.administrator())
	b.open("/")
	b.keys("g", "t")
	b.sees("No tenant yet")
	b.tabTo("Add a tenant")
	b.keys(kb.Enter)
	b.sees("Domain or directory id")
	b.focusOn("tenant")
	b.keys(h.at("Default Shield").Domain, kb.Enter)
	b.sees("Is this the tenant?")
	b.focusOn("name")
	b.keys("Default Shield", kb.Enter)
	b.sees("What this tenant lets Gatehouse do")
	b.tabTo("Add a connection")
	b.keys(kb.Enter)
	b.sees("What signs in")
	user := h.at("Default Shield").User("svc-connection")
	b.tabTo("kind")
	b.keys(kb.ArrowDown)
	b.tabTo("name")
	b.keys("Admin tool")
	b.tabTo("username")
	b.keys(user.UPN)
	b.tabTo("password")
	b.keys(*user.Password, kb.Enter)
	b.sees("Nobody has looked yet")
	b.tabTo("Validate now")
	b.keys(kb.Enter)
	b.sees("What helps")
	b.keys("?")
	b.sees("Rows of a table")
	b.keys(kb.Escape, "/", "AADSTS50126", kb.Enter)
	b.sees("Name or error text")
}

func (b *tab) keys(keys ...string) {
	b.t.Helper()
	for _, k := range keys {
		b.do(chromedp.KeyEvent(k))
	}
}

// focusOn waits until a field has the focus by itself.
func (b *tab) focusOn(name string) {
	b.t.Helper()
	b.eventually(name+" did not get the focus", func() bool { return evaluate[string](b, `document.activeElement.name ?? ""`) == name })
}

const focused = `(() => { const e = document.activeElement, s = getComputedStyle(e); return {name: e.name || e.innerText?.trim() || e.id || "", seen: s.outlineStyle !== "none" && parseFloat(s.outlineWidth) >= 2} })()`

// tabTo presses the tabulator until something has the focus, which must show
// at each step.
func (b *tab) tabTo(name string) {
	b.t.Helper()
	for range 60 {
		b.keys(kb.Tab)
		now := evaluate[struct {
			Name string `json:"name"`
			Seen bool   `json:"seen"`
		}](b, focused)
		if !now.Seen {
			b.t.Errorf("%q has the focus, which cannot be seen", now.Name)
		}
		if now.Name == name {
			return
		}
	}
	b.t.Fatalf("the tabulator does not lead to %q on %s", name, b.where())
}
