package interop

import (
	"context"
	"flag"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"

	"gatehouse/lab"
)

// axe is the checker of accessibility, as npm has it.
var axe = sync.OnceValues(func() (string, error) {
	data, err := os.ReadFile(filepath.Join("node", "node_modules", "axe-core", "axe.min.js"))
	return string(data), err
})

// violation is something that axe objects to.
type violation struct {
	ID     string   `json:"id"`
	Impact string   `json:"impact"`
	Help   string   `json:"help"`
	Nodes  []string `json:"nodes"`
}

const runAxe = `
axe.run(document, {resultTypes: ["violations"]}).then((found) =>
	found.violations.map(({id, impact, help, nodes}) => ({id, impact, help, nodes: nodes.map((n) => n.html)})))`

// check looks at a page in light and dark, on a desk and on a phone: nothing is
// wider than the screen, and axe finds nothing serious or critical. It keeps
// pictures if told to.
func (p *person) check(name string) {
	p.t.Helper()
	for _, scheme := range []string{"light", "dark"} {
		for _, width := range []int64{1280, 390} {
			run(p, "changing the screen", screen(width, scheme))
			if wide := run(p, "measuring the page", chromedp.Evaluate[int64](`document.documentElement.scrollWidth`)); wide > width {
				p.t.Errorf("%s is %d pixels wide on a screen of %d", name, wide, width)
			}
			p.picture(fmt.Sprintf("%s-%d-%s.png", name, width, scheme))
		}
		for _, v := range p.violations() {
			switch v.Impact {
			case "serious", "critical":
				p.t.Errorf("%s, %s: %s (%s): %s\n%s", name, scheme, v.ID, v.Impact, v.Help, strings.Join(v.Nodes, "\n"))
			default:
				p.t.Logf("%s, %s: %s (%s): %s\n%s", name, scheme, v.ID, v.Impact, v.Help, strings.Join(v.Nodes, "\n"))
			}
		}
	}
	run(p, "changing the screen", screen(1280, "light"))
}

// screen sets width and colours.
func screen(width int64, scheme string) chromedp.Action[chromedp.Void] {
	return chromedp.Steps(chromedp.EmulateViewport(width, 800), chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		_, err := cdp.Call(ctx, t, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}}})
		return err
	}))
}

// violations runs axe on the page.
func (p *person) violations() []violation {
	p.t.Helper()
	needPackages(p.t)
	source, err := axe()
	if err != nil {
		p.t.Fatal(err)
	}
	return run(p, "running axe", chromedp.Evaluate[[]violation](source+";"+runAxe, chromedp.EvalAwaitPromise))
}

// picture keeps what the page looks like, if go test was told to keep what
// tests write.
func (p *person) picture(file string) {
	p.t.Helper()
	if flag.Lookup("test.artifacts").Value.String() != "true" {
		return
	}
	data := run(p, "taking a picture", chromedp.FullScreenshot(100))
	if err := os.WriteFile(filepath.Join(p.t.ArtifactDir(), file), data, 0o600); err != nil {
		p.t.Fatal(err)
	}
}

// hold keeps pages from sending their forms by themselves.
func (p *person) hold() {
	p.t.Helper()
	run(p, "holding forms", chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		_, err := cdp.Call(ctx, t, page.AddScriptToEvaluateOnNewDocument, page.AddScriptToEvaluateOnNewDocumentParams{Source: `HTMLFormElement.prototype.submit = () => {}`})
		return err
	}))
}

// Every page of the sign-in service and the phone page is fit for all: screen
// reader, telephone, dark room.
func TestPages(t *testing.T) {
	for name, walk := range map[string]func(p *person){
		"second factor": func(p *person) {
			tenant := p.lab.Tenant("callercove")
			user := tenant.User("omar.haddad")
			demandMFA(p.t, p.lab, tenant, user)
			client := publicClient(p.t, p.lab, tenant.ID)
			address, _ := begin(p.t, client, readProfile)
			p.open(address)
			p.expect("Sign in")
			p.check("account")
			p.giveAccount(lab.ReadyUser{UPN: "nobody@callercove.example"})
			p.expectText("AADSTS50034")
			p.check("account-refused")
			p.fill("User name", user.UPN)
			p.press("Next")
			p.expect("Enter the password")
			p.check("password")
			wrong := "wrong"
			p.givePassword(lab.ReadyUser{Password: &wrong})
			p.expectText("AADSTS50126")
			p.check("password-refused")
			p.givePassword(user)
			p.expect("Enter the code")
			p.check("code")
			p.press("Use another method")
			p.expect("Choose how to confirm")
			p.check("methods")
			p.press("Call the phone")
			p.expectText("is being called")
			p.check("call")
			p.press("Use another method")
			p.press("Approve on the phone")
			p.expect("Approve on your phone")
			p.check("push")
			p.lookAtPhone().check("phone")
			p.answer(user, "Deny")
			p.expectText("AADSTS500121")
			p.check("methods-refused")
			p.press("Approve on the phone")
			p.expect("Approve on your phone")
			p.approve(user)
			p.expect("Stay signed in?")
			p.check("stay")
			p.hold()
			p.press("No")
			p.expect("Back to the app")
			p.check("post")
			address, _ = begin(p.t, client, readProfile)
			p.open(address)
			p.expect("Choose an account")
			p.check("picker")
			p.open(p.lab.URL() + "/" + tenant.ID + "/oauth2/v2.0/logout")
			p.expect("Signed out")
			p.check("message")
		},
		"registration": func(p *person) {
			tenant := p.lab.Tenant("callercove")
			user := tenant.User("tom.berg")
			demandMFA(p.t, p.lab, tenant, user)
			address, _ := begin(p.t, publicClient(p.t, p.lab, tenant.ID), readProfile)
			p.open(address)
			p.giveAccount(user)
			p.givePassword(user)
			p.expect("Set up a second factor")
			p.check("register")
			p.press("Code app")
			p.expect("Connect your phone")
			p.check("setup-code")
			p.press("Back")
			p.press("Authenticator")
			p.expectText("A first request is on your phone.")
			p.check("setup-push")
		},
		"consent": func(p *person) {
			tenant := p.lab.Tenant("openharbour")
			user := tenant.User("svc-admin")
			address, _ := begin(p.t, publicClient(p.t, p.lab, tenant.ID), []string{"User.ReadBasic.All", "Mail.Read"})
			p.open(address)
			p.giveAccount(user)
			p.givePassword(user)
			p.stay("No")
			p.expect("Permissions asked for")
			p.check("consent")

			willow, portal := addWillow(p.t, p.lab)
			cy := willow.User("cy.wood")
			address, err := portalClient(p.t, p.lab, willow, portal).AuthCodeURL(p.t.Context(), portal.ClientID, "http://localhost", readProfile)
			if err != nil {
				p.t.Fatal(err)
			}
			p.open(address + "&prompt=login")
			p.giveAccount(cy)
			p.givePassword(cy)
			p.stay("No")
			p.expect("An administrator must approve")
			p.check("approval")
			p.open(p.lab.URL() + "/" + willow.ID + "/oauth2/v2.0/authorize?client_id=" + portal.ClientID)
			p.expect("The sign-in did not work")
			p.check("error")
		},
		"policies": func(p *person) {
			tenant := p.lab.Tenant("policypier")
			enter := func(user lab.ReadyUser) {
				address, _ := begin(p.t, publicClient(p.t, p.lab, tenant.ID), readProfile)
				p.open(address + "&prompt=login")
				p.giveAccount(user)
				p.givePassword(user)
			}
			enter(tenant.User("cora.contract"))
			p.expect("Terms of use")
			p.check("terms")
			p.press("Decline")
			p.expectText("AADSTS50158") // the app hears of it
			enter(tenant.User("svc-nightly"))
			p.expectText("CA006 - Service accounts - Block outside the office")
			p.check("blocked")
			enter(tenant.User("ada.admin"))
			p.expectText("stronger proof")
			p.check("methods-stronger")
		},
		"further demands": func(p *person) {
			tenant := p.lab.Tenant("callercove")
			control(p.t, p.lab, http.MethodPatch, "/tenants/"+tenant.ID, `{"remember_mfa_days":14}`)
			enter := func(user lab.ReadyUser) {
				demandMFA(p.t, p.lab, tenant, user)
				address, _ := begin(p.t, publicClient(p.t, p.lab, tenant.ID), readProfile)
				p.open(address + "&prompt=login")
				p.giveAccount(user)
				p.givePassword(user)
			}
			enter(tenant.User("wei.chen"))
			p.expect("Enter the code")
			p.check("code-remember")
			p.press("Don't ask again for 14 days")
			p.expectText("will not ask again for 14 days")
			p.check("code-remembered")
			enter(tenant.User("maria.rossi"))
			p.expect("Approve on your phone")
			p.check("push-remember")

			added, err := p.lab.AddTenants(strings.NewReader(`{"tenants":[{"name":"Outer Oak","domain":"outeroak.onmicrosoft.com","users":[{"upn":"oli@outeroak.onmicrosoft.com","name":"Oli Oak"}],
			 "grants":[{"app":"Microsoft Graph Command Line Tools","scopes":["User.Read"]}],
			 "conditional_access":[{"displayName":"Outer MFA","state":"enabled","conditions":{"clientAppTypes":["all"],"users":{"includeUsers":["All"]},"applications":{"includeApplications":["All"]}},"grantControls":{"operator":"OR","builtInControls":[],"customAuthenticationFactors":["OuterMfa"]}}]}]}`))
			if err != nil {
				p.t.Fatal(err)
			}
			address, _ := begin(p.t, publicClient(p.t, p.lab, added[0].ID), readProfile)
			p.open(address + "&prompt=login")
			p.giveAccount(added[0].Users[0])
			p.givePassword(added[0].Users[0])
			p.expect("A further check")
			p.check("external")
		},
		"device and password": func(p *person) {
			broken := p.lab.Tenant("brokenbay")
			user := broken.User("svc-expired")
			client := publicClient(p.t, p.lab, broken.ID)
			device, err := client.AcquireTokenByDeviceCode(p.t.Context(), readProfile)
			if err != nil {
				p.t.Fatal(err)
			}
			p.open(device.Result.VerificationURL)
			p.expect("Enter the code of the device")
			p.check("usercode")
			p.fill("Code that your device shows", device.Result.UserCode)
			p.press("Next")
			p.expect("Sign in on another device?")
			p.check("device")
			p.press("Continue")
			p.giveAccount(user)
			p.givePassword(user)
			p.expect("Set a new password")
			p.check("change")
			p.fill("New password", "weak")
			p.fill("New password again", "weak")
			p.press("Change password")
			p.expectText("The new password needs")
			p.check("change-refused")
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			walk(newPerson(t, browsableLab(t)))
		})
	}
}
