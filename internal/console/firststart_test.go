package console_test

import (
	"encoding/pem"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/pquerna/otp/totp"

	"gatehouse/internal/tenant"
)

// TestFirstStart is the whole story of a first day on a phone: from the set-up
// link to a service account that a policy stops, which works once the tenant's
// administrator has followed what the page says.
func TestFirstStart(t *testing.T) {
	t.Parallel()
	h := newHouse(t, (*house).browsable)
	h.plant()
	b := h.browse()
	b.size(390, 844)
	token, err := h.operators.FirstLink(h.boss())
	b.open("/setup/" + must(t, token, err).Reveal())
	b.fill("email", adaEmail)
	b.fill("name", "Ada Person")
	b.fill("password", goodPassword)
	b.fill("again", goodPassword)
	b.press("Continue to the second factor")
	b.sees("Code generator")
	key := strings.ReplaceAll(evaluate[string](b, `document.querySelector("form[action='/factors/code'] .id").textContent`), " ", "")
	code, err := totp.GenerateCode(key, time.Now())
	b.fill("code", must(t, code, err))
	b.press("Add the code generator")

	b.sees("Three steps to the first answer")
	b.press("Add the first tenant")
	b.fill("tenant", h.at("Pine Harbour").Domain)
	b.press("Look it up")
	b.sees("Is this the tenant?")
	b.fill("name", "Pine Harbour")
	b.press("Add this tenant")
	b.sees("these answers stay unknown")
	b.photograph("story-1-tenant")

	b.letRead("Pine Harbour")
	b.photograph("story-2-reader")
	b.press("Pine Harbour")
	b.eventually("the rules were not shown", func() bool { return strings.Contains(b.where(), "2 on, of which 2 ask for MFA") })

	account := h.at("Pine Harbour").User("svc-backup")
	b.press("Add a connection")
	b.sees("What signs in")
	b.do(chromedp.Click(`input[name=kind][value=service_account]`))
	b.fill("name", "Nightly backup")
	b.fill("username", account.UPN)
	b.fill("password", *account.Password)
	b.press("Store the connection")
	b.sees("Validate it to see whether it gets in")
	b.press("Validate now")
	b.sees("What helps")
	for _, text := range []string{"Blocked", "Rule: CA001 - MFA for everybody", "Who must act:", "Which rules see this account", "1 policy that does not apply", "CA002 - Guests"} {
		b.sees(text)
	}
	b.photograph("story-3-blocked")

	h.administration("Pine Harbour").addToGroup("Software without MFA", account.ID)
	b.press("Pine Harbour")
	before := h.only()
	b.press("Read the rules now")
	b.eventually("the rules were not read again", func() bool {
		now, err := h.tenants.Get(h.boss(), before.ID)
		return must(t, now, err).SnapshotAt.After(*before.SnapshotAt)
	})
	b.press("Nightly backup")
	b.press("Validate now")
	b.sees("It works.")
	b.sees("Lets through")
	b.photograph("story-4-works")
	b.open("/")
	b.sees("The one connection gets in")
}

// only is the one tenant that there is.
func (h *house) only() tenant.Tenant {
	h.t.Helper()
	all, _, err := h.tenants.List(h.boss(), tenant.Filter{}, tenant.Page{})
	if len(must(h.t, all, err)) != 1 {
		h.t.Fatalf("there are %d tenants", len(all))
	}
	return all[0]
}

// letRead onboards the reader of the tenant whose page is shown, and consents
// to it in the lab's own pages.
func (b *tab) letRead(name string) {
	b.t.Helper()
	at := b.at(name)
	reader, admin := at.App("Gatehouse reader"), at.User("ida.lund")
	b.press("Let the rules be read")
	b.fill("client_id", reader.ClientID)
	b.press("Make a certificate and show the steps")
	b.sees("What the tenant's administrator does next")
	shown := func(id string) string { return evaluate[string](b, `document.getElementById("`+id+`").textContent`) }
	block, _ := pem.Decode([]byte(shown("certificate")))
	consent, err := url.Parse(shown("consent"))
	if must(b.t, consent, err).Query().Get("client_id") != reader.ClientID {
		b.t.Errorf("the consent is for another app: %s", consent)
	}
	b.administration(name).upload(reader.ClientID, block.Bytes)

	them := b.browse()
	them.visit(consent.String())
	them.sees("Sign in")
	them.fill("User name", admin.UPN)
	them.press("Next")
	them.sees("Enter the password")
	them.fill("Password", *admin.Password)
	them.press("Sign in")
	them.sees("Policy.Read.All")
	them.photograph("consent-at-microsoft")
	them.press("Accept")
	them.sees("admin_consent=True")

	b.press("Check the reader")
	b.sees("The rules of this tenant can be read")
}
