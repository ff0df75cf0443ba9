package sts_test

import (
	"net/url"
	"strings"
	"testing"

	"gatehouse/lab/internal/directory"
)

// A policy that is about another resource than the sign-in was for meets the app
// at the redemption of the code. The claims that come with the refusal lead the
// next sign-in to what the policy wants; asking for the right resource at once
// does so too.
func TestStepUp(t *testing.T) {
	const site = "https://t.sharepoint.com/AllSites.Read"
	onSharePoint := `"users":{"includeUsers":["All"]},"applications":{"includeApplications":["` + directory.SharePointID + `"]}`
	onOffice := `"users":{"includeUsers":["All"]},"applications":{"includeApplications":["Office365"]}`
	for name, test := range map[string]struct {
		conditions, controls string
		code                 int
		suberror, page       string
		pass                 func(c *cloud, b *browser) *browser
	}{
		"a control outside the service": {onSharePoint, `"grantControls":{"operator":"OR","builtInControls":[],"customAuthenticationFactors":["OuterMfa"]}`, 50158, "additional_action", "external",
			func(_ *cloud, b *browser) *browser { return b.want("external", "OuterMfa").fill("action", "pass") }},
		"MFA": {onSharePoint, grants("mfa"), 50076, "basic_action", "code",
			func(c *cloud, b *browser) *browser { return b.fill("code", totp(t, "JBSWY3DPEHPK3PXP", c.now)) }},
		"MFA for a suite": {onOffice, grants("mfa"), 50076, "basic_action", "code",
			func(c *cloud, b *browser) *browser { return b.fill("code", totp(t, "JBSWY3DPEHPK3PXP", c.now)) }},
		"terms of use": {onSharePoint, `"grantControls":{"operator":"OR","builtInControls":[],"termsOfUse":["` + rules + `"]}`, 50158, "additional_action", "terms",
			func(_ *cloud, b *browser) *browser { return b.fill("action", "accept") }},
	} {
		t.Run(name, func(t *testing.T) {
			c := start(t, governed)
			c.govern(t, policy(t, "enabled", test.conditions, test.controls))
			b := c.browser(t).get(ask("scope", "User.Read offline_access")).signIn(oathUser).want("left")
			exchange := func(b *browser) (int, map[string]any) {
				return c.post(t, "/t.onmicrosoft.com/oauth2/v2.0/token", redeem("code", b.want("left").answer().Get("code"), "scope", site+" offline_access"))
			}
			_, body := exchange(b)
			challenge, _ := body["claims"].(string)
			if code(body) != test.code || body["error"] != "interaction_required" || body["suberror"] != test.suberror || !strings.Contains(challenge, policyID) {
				t.Fatalf("%v", body)
			}
			// The claims of that refusal, with the old wish, lead to the demand.
			if got := b.silently("scope", "User.Read", "claims", challenge); got.Get("error") != "interaction_required" {
				t.Errorf("silently: %v", got)
			}
			b = test.pass(c, b.get(ask("scope", "User.Read offline_access", "claims", challenge)).want(test.page))
			status, body := exchange(b)
			if status != 200 {
				t.Fatalf("after it: %v", body)
			}
			renew := url.Values{"grant_type": {"refresh_token"}, "client_id": {desktop}, "refresh_token": {body["refresh_token"].(string)}, "scope": {site}}
			if status, body = c.post(t, "/t.onmicrosoft.com/oauth2/v2.0/token", renew); status != 200 {
				t.Errorf("refresh: %v", body)
			}
			if got := b.silently("scope", site); got.Get("code") == "" {
				t.Errorf("the session does not know: %v", got)
			}
			// Who asks for the right resource is asked at once, and needs no claims.
			c.tenant(t, func(tenant *directory.Tenant) { tenant.User(oathUser).Terms = nil })
			c.now = c.now.Add(60e9)
			straight := c.browser(t).get(ask("scope", site+" offline_access")).signIn(oathUser).want(test.page)
			straight = test.pass(c, straight)
			if straight.step() == "stay" {
				straight.fill("action", "no")
			}
			if status, body := exchange(straight); status != 200 {
				t.Errorf("the right resource: %v", body)
			}
		})
	}
	c := start(t, governed)
	c.govern(t, policy(t, "enabled", onSharePoint, `"grantControls":{"operator":"OR","builtInControls":[],"customAuthenticationFactors":["OuterMfa"]}`))
	got := c.browser(t).get(ask("scope", site)).signIn(oathUser).want("external").fill("action", "fail").want("left").answer()
	if got.Get("error") != "access_denied" || !strings.HasPrefix(got.Get("error_description"), "AADSTS50158") {
		t.Errorf("failed: %v", got)
	}
}
