package console_test

import (
	"context"
	"net/url"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/webauthn"
	"github.com/chromedp/chromedp"
)

// authenticator gives the browser a passkey device that agrees to all it is
// asked.
func (b *tab) authenticator() {
	b.t.Helper()
	b.do(chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		if _, err := cdp.Call(ctx, t, webauthn.Enable, webauthn.EnableParams{}); err != nil {
			return err
		}
		_, err := cdp.Call(ctx, t, webauthn.AddVirtualAuthenticator, webauthn.AddVirtualAuthenticatorParams{Options: &webauthn.VirtualAuthenticatorOptions{
			Protocol: webauthn.AuthenticatorProtocolCtap2, Transport: webauthn.AuthenticatorTransportInternal, HasResidentKey: true, HasUserVerification: true, IsUserVerified: true, AutomaticPresenceSimulation: true,
		}})
		return err
	}))
}

// TestPasskey sets an account up with a passkey, signs out, and in again to the
// page that was asked for; a browser without the passkey does not get in.
func TestPasskey(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	b := h.browse()
	b.authenticator()
	token, err := h.operators.FirstLink(h.boss())
	link := must(t, token, err).Reveal()
	h.visitor().post("/setup/"+link, url.Values{"email": {adaEmail}, "name": {"Ada"}, "password": {"short"}, "again": {"short"}}).has(t, "fewer than 12 characters")
	b.open("/setup/" + link)
	for field, text := range map[string]string{"email": adaEmail, "name": "Ada Person", "password": goodPassword, "again": goodPassword} {
		b.fill(field, text)
	}
	b.press("Continue to the second factor")
	b.sees("Step 2 of 2")
	b.photograph("setup-factor")
	b.press("Add a passkey")
	b.sees("Three steps to the first answer")

	b.open("/settings")
	b.sees("Passkey")
	b.do(chromedp.Click(".account > summary"), chromedp.Click(`//header//button[normalize-space()="Sign out"]`, patiently))
	b.sees("You are signed out")
	b.open("/tenants/new")
	b.fill("email", adaEmail)
	b.fill("password", goodPassword)
	b.press("Continue")
	b.sees("Signing in as " + adaEmail)
	b.photograph("second-factor")
	b.press("Use your passkey")
	b.sees("Domain or directory id")

	stranger := h.browse()
	stranger.open("/sign-in")
	stranger.fill("email", adaEmail)
	stranger.fill("password", goodPassword)
	stranger.press("Continue")
	stranger.authenticator() // without the passkey
	stranger.press("Use your passkey")
	stranger.sees("The browser did not get a passkey")
	if p := stranger.where(); strings.Contains(p, "Overview") {
		t.Errorf("who has no passkey gets in: %s", p)
	}
}
