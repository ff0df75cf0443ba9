package interop

import (
	"context"
	"testing"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// typing sends keys to whatever has the focus.
func (p *person) typing(keys string) {
	p.t.Helper()
	run(p, "typing", chromedp.KeyEvent(keys))
}

// focus describes the element that has the focus, and whether that can be seen.
const focus = `(() => {
	const e = document.activeElement, style = getComputedStyle(e);
	return {caption: (e.firstChild?.textContent ?? "").trim() || e.id, seen: style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2};
})()`

// tabTo presses the tabulator until something has the focus, within a few
// steps, each of which must show where the focus is.
func (p *person) tabTo(caption string) {
	p.t.Helper()
	type focused struct {
		Caption string `json:"caption"`
		Seen    bool   `json:"seen"`
	}
	var passed []string
	for range 6 {
		p.typing(kb.Tab)
		now := run(p, "looking for the focus", chromedp.Evaluate[focused](focus))
		if !now.Seen {
			p.t.Errorf("%q has the focus, which cannot be seen", now.Caption)
		}
		if now.Caption == caption {
			return
		}
		passed = append(passed, now.Caption)
	}
	p.t.Fatalf("the tabulator leads to %q, not to %q\n%s", passed, caption, p.shown())
}

// The whole way in needs no mouse: keys, tabulator, return.
func TestKeyboardOnly(t *testing.T) {
	t.Parallel()
	l := browsableLab(t)
	tenant := l.Tenant("callercove")
	user := tenant.User("omar.haddad")
	demandMFA(t, l, tenant, user)
	address, wait := begin(t, publicClient(t, l, tenant.ID), []string{"User.ReadBasic.All"})
	p := newPerson(t, l)
	p.open(address)
	p.expect("Sign in")
	p.typing(user.UPN) // the field has the focus
	p.tabTo("Next")
	p.typing(kb.Enter)
	p.expect("Enter the password")
	p.typing(*user.Password + kb.Enter) // return presses the main button
	p.expect("Enter the code")
	p.tabTo("Use another method")
	p.typing(kb.Enter)
	p.expect("Choose how to confirm")
	p.tabTo("Send a text message")
	p.typing(kb.Enter)
	p.expect("Enter the code")
	p.typing(p.codeOf(user) + kb.Enter)
	p.expect("Stay signed in?")
	p.tabTo("No")
	p.typing(kb.Enter)
	p.expect("Permissions asked for")
	p.tabTo("Accept")
	p.typing(kb.Enter)
	signedIn(t, l, p, wait, user, true)
}

// The pages work without scripts; only the way back to the app then needs a
// press of a button.
func TestWithoutScripts(t *testing.T) {
	t.Parallel()
	l := browsableLab(t)
	tenant := l.Tenant("callercove")
	user := tenant.User("maria.rossi")
	demandMFA(t, l, tenant, user)
	address, wait := begin(t, publicClient(t, l, tenant.ID), readProfile)
	p := newPerson(t, l)
	run(p, "switching scripts off", chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		_, err := cdp.Call(ctx, t, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true})
		return err
	}))
	p.open(address)
	p.giveAccount(user)
	p.givePassword(user)
	p.expect("Approve on your phone")
	p.approve(user)
	p.stay("No")
	p.expect("Back to the app")
	p.press("Continue")
	signedIn(t, l, p, wait, user, true)
}
