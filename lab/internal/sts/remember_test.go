package sts_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"gatehouse/lab/internal/directory"
	"gatehouse/lab/internal/sts"
)

// factor signs oath in on the pages up to the code of the code app.
func (b *browser) factor(c *cloud) *browser {
	b.tb.Helper()
	c.now = c.now.Add(2 * time.Minute) // a code serves once
	return b.get(ask("prompt", "login")).fill("upn", "oath@t.onmicrosoft.com").fill("password", pw)
}

// A browser that was told not to ask again is not asked for as many days as the
// tenant remembers MFA; others are.
func TestRememberedBrowser(t *testing.T) {
	c := start(t, people)
	b := c.browser(t)
	if b.factor(c).want("code"); b.names["action=remember"] {
		t.Error("offered where the tenant does not remember")
	}
	c.tenant(t, func(tenant *directory.Tenant) { tenant.RememberDays = 14 })
	b.factor(c).want("code", "ask again for 14 days").fill("action", "remember").want("code", "will not ask again for 14 days")
	b.fill("code", totp(t, "JBSWY3DPEHPK3PXP", c.now)).want("stay")
	b.factor(c).want("stay")
	c.browser(t).factor(c).want("code")
	c.now = c.now.Add(13 * 24 * time.Hour)
	b.factor(c).want("stay").fill("action", "no").want("left")
	_, body := c.post(t, "/t.onmicrosoft.com/oauth2/v2.0/token", redeem("code", b.answer().Get("code")))
	if amr := claims(t, body["access_token"])["amr"].([]any); len(amr) != 2 {
		t.Errorf("remembered MFA does not count: %v", amr)
	}
	c.now = c.now.Add(24 * time.Hour)
	b.factor(c).want("code").fill("code", totp(t, "JBSWY3DPEHPK3PXP", c.now)).want("stay")
	b.factor(c).want("code") // it was not asked to remember this time
	b.fill("action", "remember").fill("code", totp(t, "JBSWY3DPEHPK3PXP", c.now)).want("stay")
	b.factor(c).want("stay")
	c.tenant(t, func(tenant *directory.Tenant) { tenant.User("oath@t.onmicrosoft.com").Revoke(c.now) })
	b.factor(c).want("code")
}

// Two uses of a refresh token that serves once: what the first one earns while
// the second revokes the family is dead already.
func TestSingleUseOverlap(t *testing.T) {
	c := start(t, people)
	var meanwhile func()
	c.Server = sts.New(sts.Config{Store: c.store, Tokens: c.tokens, Root: func(*http.Request) string { return root }, Random: func() uint64 {
		if run := meanwhile; run != nil {
			meanwhile = nil
			run()
		}
		return 0
	}})
	c.SetSingleUse(true)
	held := c.password(t, desktop, "plain@t.onmicrosoft.com", "User.Read offline_access")["refresh_token"].(string)
	form := func(value string) url.Values {
		return url.Values{"grant_type": {"refresh_token"}, "client_id": {desktop}, "refresh_token": {value}, "scope": {"User.Read offline_access"}}
	}
	var second map[string]any
	meanwhile = func() { _, second = c.post(t, "/t.onmicrosoft.com/oauth2/v2.0/token", form(held)) }
	status, first := c.post(t, "/t.onmicrosoft.com/oauth2/v2.0/token", form(held))
	if status != 200 || code(second) != 70000 {
		t.Fatalf("%v, meanwhile %v", first, second)
	}
	if _, third := c.post(t, "/t.onmicrosoft.com/oauth2/v2.0/token", form(first["refresh_token"].(string))); code(third) != 70000 {
		t.Errorf("%v", third)
	}
}

// What ends a grant, each on the lab's clock, and how the service says so.
func TestGrantsEnd(t *testing.T) {
	const day = 24 * time.Hour
	policies := map[string]string{
		"mfa":   grants("mfa"),
		"hours": `"sessionControls":{"signInFrequency":{"isEnabled":true,"type":"hours","value":12,"authenticationType":"primaryAndSecondaryAuthentication","frequencyInterval":"timeBased"}}`,
	}
	for name, test := range map[string]struct {
		user   string
		before func(*testing.T, *cloud) // the sign-in
		after  func(*testing.T, *cloud) // it
		steps  []time.Duration          // time passes and the token is redeemed, each time with the newest token
		code   int                      // of the last; the others succeed
		oauth  string
		claims bool
	}{
		"remembered MFA": {user: "oath", before: func(t *testing.T, c *cloud) {
			c.tenant(t, func(tenant *directory.Tenant) { tenant.RememberDays = 14 })
		}, steps: []time.Duration{day, 12 * day, day}, code: 50078, oauth: "interaction_required"},
		"MFA not remembered":      {user: "oath", steps: []time.Duration{89 * day, 89 * day}},
		"remembered, never asked": {user: "plain", before: func(t *testing.T, c *cloud) { c.tenant(t, func(tenant *directory.Tenant) { tenant.RememberDays = 14 }) }, steps: []time.Duration{60 * day}},
		"remembered, no longer asked": {user: "oath", before: func(t *testing.T, c *cloud) {
			c.tenant(t, func(tenant *directory.Tenant) { tenant.RememberDays = 14 })
		}, after: func(t *testing.T, c *cloud) {
			c.tenant(t, func(tenant *directory.Tenant) { tenant.User("oath@t.onmicrosoft.com").PerUserMFA = "disabled" })
		}, steps: []time.Duration{20 * day}},
		"remembered, asked by a policy": {user: "oath", before: func(t *testing.T, c *cloud) {
			c.tenant(t, func(tenant *directory.Tenant) {
				tenant.RememberDays = 1
				tenant.User("oath@t.onmicrosoft.com").PerUserMFA = "disabled"
			})
			c.govern(t, policy(t, "enabled", everybody, policies["mfa"]))
		}, steps: []time.Duration{12 * time.Hour, 12 * time.Hour}, code: 50078, oauth: "interaction_required", claims: true},
		"a policy comes later": {user: "plain", after: func(t *testing.T, c *cloud) {
			c.tenant(t, func(tenant *directory.Tenant) {
				tenant.User("plain@t.onmicrosoft.com").Methods = []*directory.Method{{ID: "m", Type: directory.SoftwareOATH, Secret: "JBSWY3DPEHPK3PXP"}}
			})
			c.govern(t, policy(t, "enabled", everybody, policies["mfa"]))
		}, steps: []time.Duration{time.Hour}, code: 50076, oauth: "interaction_required", claims: true},
		"per-user MFA comes later": {user: "plain", after: func(t *testing.T, c *cloud) {
			c.tenant(t, func(tenant *directory.Tenant) {
				u := tenant.User("plain@t.onmicrosoft.com")
				u.PerUserMFA, u.Methods = "enforced", []*directory.Method{{ID: "m", Type: directory.SoftwareOATH, Secret: "JBSWY3DPEHPK3PXP"}}
			})
		}, steps: []time.Duration{time.Hour}, code: 50076, oauth: "invalid_grant"},
		"sign-in frequency": {user: "plain", before: func(t *testing.T, c *cloud) {
			c.govern(t, policy(t, "enabled", everybody, policies["hours"]))
		}, steps: []time.Duration{11 * time.Hour, 59 * time.Minute, time.Minute}, code: 70043, oauth: "invalid_grant"},
		"idle":       {user: "plain", steps: []time.Duration{89 * day, 91 * day}, code: 700082, oauth: "invalid_grant"},
		"kept alive": {user: "plain", steps: []time.Duration{60 * day, 60 * day, 60 * day}},
		"password": {user: "plain", after: func(t *testing.T, c *cloud) {
			c.tenant(t, func(tenant *directory.Tenant) {
				tenant.User("plain@t.onmicrosoft.com").SetPassword(directory.HashPassword("other"), directory.AzurePortal, c.now.Add(time.Minute))
			})
		}, steps: []time.Duration{time.Hour}, code: 50173, oauth: "invalid_grant"},
		"app deleted": {user: "plain", after: func(t *testing.T, c *cloud) {
			c.tenant(t, func(tenant *directory.Tenant) { tenant.RemoveApp(tenant.App(desktop)) })
		}, steps: []time.Duration{time.Hour}, code: 700016, oauth: "unauthorized_client"},
	} {
		t.Run(name, func(t *testing.T) {
			c := start(t, people)
			if test.before != nil {
				test.before(t, c)
			}
			b := c.browser(t).get(ask()).fill("upn", test.user+"@t.onmicrosoft.com").fill("password", pw)
			if b.step() == "code" {
				b.fill("code", totp(t, "JBSWY3DPEHPK3PXP", c.now))
			}
			_, body := c.post(t, "/t.onmicrosoft.com/oauth2/v2.0/token", redeem("code", b.want("stay").fill("action", "no").answer().Get("code")))
			if test.after != nil {
				test.after(t, c)
			}
			for i, step := range test.steps {
				c.now = c.now.Add(step)
				value, _ := body["refresh_token"].(string)
				form := url.Values{"grant_type": {"refresh_token"}, "client_id": {desktop}, "refresh_token": {value}, "scope": {"User.Read offline_access"}}
				var status int
				status, body = c.post(t, "/t.onmicrosoft.com/oauth2/v2.0/token", form)
				if i < len(test.steps)-1 || test.code == 0 {
					if status != 200 {
						t.Fatalf("after %s: %v", step, body)
					}
					continue
				}
				named, _ := body["claims"].(string)
				if code(body) != test.code || body["error"] != test.oauth || test.claims != strings.Contains(named, policyID) {
					t.Errorf("%v", body)
				}
				// The refusal is no accident: it stays, and a new sign-in helps.
				if _, again := c.post(t, "/t.onmicrosoft.com/oauth2/v2.0/token", form); code(again) != test.code {
					t.Errorf("again: %v", again)
				}
			}
		})
	}
}
