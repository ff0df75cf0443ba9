package sts_test

import (
	"net/url"
	"slices"
	"strings"
	"testing"

	"gatehouse/lab/internal/directory"
	"gatehouse/lab/internal/sts"
)

const (
	oathUser   = "oath@t.onmicrosoft.com"
	bareUser   = "bare@t.onmicrosoft.com"
	oathSecret = "JBSWY3DPEHPK3PXP"
)

// begin opens the sign-in page and signs somebody in up to what is asked next.
func (c *cloud) begin(tb testing.TB, user string, pairs ...string) *browser {
	tb.Helper()
	return c.browser(tb).get(ask(pairs...)).want("account").fill("upn", user).want("password").fill("password", pw)
}

// silently asks for a sign-in that may show nothing, and gives the refusal.
func (b *browser) silently(pairs ...string) url.Values {
	b.tb.Helper()
	return b.get(ask(append(pairs, "prompt", "none")...)).want("left").answer()
}

// TestPolicyPages: what policies ask of a person, page by page, in the
// documented order.
func TestPolicyPages(t *testing.T) {
	for name, walk := range map[string]func(t *testing.T, c *cloud){
		"block": func(t *testing.T, c *cloud) {
			c.govern(t, policy(t, "enabled", everybody, grants("block")))
			c.begin(t, oathUser).want("400", "AADSTS53003", "<dt>Policy</dt><dd>CA1 - enabled</dd>")
			if e := c.last(t); e.Status != 53003 || !e.Interactive || e.Applied[0].Result != "failure" || e.CAStatus != "failure" {
				t.Errorf("log: %+v", e)
			}
		},
		"MFA, then the device": func(t *testing.T, c *cloud) {
			c.govern(t, policy(t, "enabled", everybody, grants("mfa", "compliantDevice")))
			c.begin(t, oathUser).want("code").fill("code", totp(t, oathSecret, c.now)).want("400", "AADSTS53000", "CA1 - enabled")
		},
		"MFA when silent": func(t *testing.T, c *cloud) {
			b := c.browser(t).get(ask()).signIn(oathUser)
			c.govern(t, policy(t, "enabled", everybody, grants("mfa")))
			got := b.silently()
			if got.Get("error") != "interaction_required" || !strings.Contains(got.Get("error_description"), "AADSTS50076") || !strings.Contains(got.Get("claims"), policyID) {
				t.Errorf("%v", got)
			}
			// The claims go back to the page, which asks for MFA; then silence is golden.
			b.get(ask("claims", got.Get("claims"))).want("code").fill("code", totp(t, oathSecret, c.now)).want("left")
			if got = b.silently("claims", got.Get("claims")); got.Get("code") == "" {
				t.Errorf("%v", got)
			}
		},
		"a strength that nothing of the account has": func(t *testing.T, c *cloud) {
			c.govern(t, policy(t, "enabled", everybody, `"grantControls":{"operator":"OR","builtInControls":[],"authenticationStrength":{"id":"`+directory.StrengthPhishingResistant+`"}}`))
			c.begin(t, oathUser).want("200", "Choose how to confirm", "stronger proof")
		},
		"a strength that one method has": func(t *testing.T, c *cloud) {
			const id = "d0d0d0d0-0000-4000-8000-000000000001"
			c.tenant(t, func(tenant *directory.Tenant) {
				tenant.Strengths = []*directory.Object{{ID: id, Members: map[string]any{"displayName": "By text", "allowedCombinations": []any{"password,sms"}}}}
			})
			b := c.begin(t, oathUser, "claims", `{"access_token":{"polids":{"values":["somebody-else"]}}}`).want("code", "code app").fill("code", totp(t, oathSecret, c.now)).want("stay").fill("action", "no").want("left")
			c.govern(t, policy(t, "enabled", everybody, `"grantControls":{"operator":"OR","builtInControls":[],"authenticationStrength":{"id":"`+id+`"}}`))
			b.get(ask()).want("code", "A message with a code").fill("action", "again").want("code", "A message with a code")
			texts := c.Texts()
			if len(texts) != 2 || texts[0].Code == texts[1].Code {
				t.Fatalf("%v", texts)
			}
			b.fill("code", texts[0].Code).want("left")
			if e := c.last(t); e.Applied[0].Strength != id || e.Demands[0].Provider != "authenticationStrengths" || e.Status != 0 {
				t.Errorf("log: %+v", e)
			}
		},
		"terms of use": func(t *testing.T, c *cloud) {
			b := c.browser(t).get(ask()).signIn(oathUser)
			c.govern(t, policy(t, "enabled", everybody, `"grantControls":{"operator":"OR","builtInControls":[],"termsOfUse":["`+rules+`"]}`))
			if got := b.silently(); got.Get("error") != "interaction_required" || !strings.Contains(got.Get("error_description"), "AADSTS50158") {
				t.Errorf("%v", got)
			}
			if got := b.get(ask()).want("terms", "House rules").fill("action", "decline").want("left").answer(); got.Get("error") != "access_denied" {
				t.Errorf("%v", got)
			}
			b.get(ask()).want("terms").fill("action", "accept").want("left")
			if got := b.silently(); got.Get("code") == "" {
				t.Errorf("%v", got)
			}
			if _, err := ropc(t, c.client(t), []string{"User.Read"}, oathUser, pw); err != nil {
				t.Error(err)
			}
		},
		"a new password": func(t *testing.T, c *cloud) {
			c.tenant(t, func(tenant *directory.Tenant) { tenant.User(oathUser).SetRisk("high", "atRisk", "none", "", c.now) })
			c.govern(t, policy(t, "enabled", everybody+`,"userRiskLevels":["high"]`, grants("mfa", "passwordChange")))
			client := c.client(t)
			c.begin(t, oathUser).want("code").fill("code", totp(t, oathSecret, c.now)).want("change", "Your account is at risk").
				fill("password", "Another-word-2", "again", "Another-word-2").want("stay").fill("action", "no").want("left")
			c.tenant(t, func(tenant *directory.Tenant) {
				if r := tenant.User(oathUser).Risk; r.Level != "none" || r.State != "remediated" {
					t.Errorf("%+v", r)
				}
			})
			if _, err := ropc(t, client, []string{"User.Read"}, oathUser, "Another-word-2"); err != nil {
				t.Error(err)
			}
		},
		"registration, from the right place": func(t *testing.T, c *cloud) {
			action := policy(t, "enabled", `"users":{"includeUsers":["All"]},"applications":{"includeUserActions":["urn:user:registersecurityinfo"]},"locations":{"includeLocations":["All"],"excludeLocations":["AllTrusted"]}`, grants("mfa"))
			c.govern(t, policy(t, "enabled", everybody, grants("mfa")), action)
			c.begin(t, bareUser).want("400", "AADSTS53010")
			if e := c.last(t); e.Status != 53010 || len(e.Applied) != 2 {
				t.Errorf("log: %+v", e)
			}
			if err := c.SetNetwork(sts.Network{Address: "198.51.100.3", User: bareUser}); err != nil {
				t.Fatal(err)
			}
			c.begin(t, bareUser).want("register").fill("action", "oath").want("setup")
		},
		"registration at risk": func(t *testing.T, c *cloud) {
			c.tenant(t, func(tenant *directory.Tenant) { tenant.User(bareUser).SignInRisk = "high" })
			c.govern(t, policy(t, "enabled", everybody+`,"signInRiskLevels":["high"]`, grants("mfa")))
			c.begin(t, bareUser).want("400", "AADSTS53004")
		},
		"browsers that forget": func(t *testing.T, c *cloud) {
			b := c.browser(t).get(ask()).want("account").fill("upn", oathUser).fill("password", pw).want("stay").fill("action", "yes").want("left")
			c.govern(t, policy(t, "enabled", everybody, `"sessionControls":{"persistentBrowser":{"mode":"never","isEnabled":true}}`))
			b.get(ask("prompt", "login", "login_hint", oathUser)).want("password").fill("password", pw).want("left")
			if kept := b.kept(); !slices.Equal(kept, []string{"ESTSAUTH"}) {
				t.Errorf("never: %v", kept)
			}
			c.govern(t, policy(t, "enabled", everybody, `"sessionControls":{"persistentBrowser":{"mode":"always","isEnabled":true}}`))
			other := c.begin(t, oathUser).want("left")
			if kept := other.kept(); !slices.Equal(kept, []string{"ESTSAUTHPERSISTENT"}) {
				t.Errorf("always: %v", kept)
			}
		},
		"a guest with trusted MFA": func(t *testing.T, c *cloud) {
			c.govern(t, policy(t, "enabled", everybody, grants("mfa")))
			c.begin(t, "near@trusted.onmicrosoft.com").want("code").fill("code", totp(t, oathSecret, c.now)).want("stay").fill("action", "no").want("left")
			c.begin(t, "far@far.onmicrosoft.com").want("register")
		},
		"an authentication context": func(t *testing.T, c *cloud) {
			c.govern(t, policy(t, "enabled", `"users":{"includeUsers":["All"]},"applications":{"includeAuthenticationContextClassReferences":["c1"]}`, grants("compliantDevice")))
			const context = `{"access_token":{"acrs":{"essential":true,"value":"c1"}}}`
			b := c.browser(t).get(ask()).signIn(oathUser).want("left")
			b.get(ask("claims", context)).want("code").fill("code", totp(t, oathSecret, c.now)).want("400", "AADSTS53000")
			b.get(ask("claims", strings.Replace(context, "c1", "c2", 1))).want("code")
		},
	} {
		t.Run(name, func(t *testing.T) { walk(t, start(t, governed)) })
	}
}

// kept are the names of the session cookies that the browser holds.
func (b *browser) kept() []string {
	var out []string
	for _, cookie := range b.jar.Cookies(b.at) {
		if strings.HasPrefix(cookie.Name, "ESTSAUTH") {
			out = append(out, cookie.Name)
		}
	}
	return out
}

// TestWaiting: the script of a page that waits for the phone is told when to
// look again.
func TestWaiting(t *testing.T) {
	c := start(t, people)
	b := c.browser(t).get(ask()).want("account").fill("upn", "push@t.onmicrosoft.com").fill("password", pw).want("push", "&wait=1", "<noscript><meta")
	waiting := func() int {
		look := *b
		look.get(b.at.RequestURI() + "&wait=1")
		return look.status
	}
	if status := waiting(); status != 204 {
		t.Errorf("status %d before the answer", status)
	}
	first := c.Prompts()[0]
	b.fill("action", "again").want("push")
	prompts := c.Prompts()
	if len(prompts) != 1 || prompts[0].ID == first.ID {
		t.Fatalf("sent again: %v", prompts)
	}
	if err := c.AnswerPrompt(prompts[0].ID, "deny", 0); err != nil {
		t.Fatal(err)
	}
	if status := waiting(); status != 200 {
		t.Errorf("status %d after it", status)
	}
	b.reload().want("methods", "AADSTS500121")
}
