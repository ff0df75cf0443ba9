package sts_test

import (
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"gatehouse/lab/internal/directory"
)

// TestPushAnswers: everything that a person can do with a push, and nothing.
func TestPushAnswers(t *testing.T) {
	for _, test := range []struct {
		name, action string
		wrong        bool
		text         string
	}{
		{"deny", "deny", false, "denied"},
		{"report", "report", false, "reported"},
		{"wrong number", "approve", true, "Another number"},
		{"nothing", "", false, "no answer"},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := start(t, people)
			b := c.browser(t).get(ask()).signIn("push@t.onmicrosoft.com").want("push")
			p := c.Prompts()[0]
			if test.action == "" {
				c.now = c.now.Add(3 * time.Minute)
			} else {
				number := shown(t, b, p.Choices)
				if test.wrong {
					number++
				}
				if err := c.AnswerPrompt(p.ID, test.action, number); err != nil {
					t.Fatal(err)
				}
			}
			b.reload().want("methods", test.text, "AADSTS500121")
			if log := c.signIns("t.onmicrosoft.com"); !slices.Equal(log, []string{"push@t.onmicrosoft.com 500121"}) {
				t.Errorf("log %v", log)
			}
			if len(c.Prompts()) != 0 {
				t.Error("the prompt is still open")
			}
			// Another way is still open.
			b.fill("method", method(t, b, "/oath")).want("code").fill("code", totp(t, "JBSWY3DPEHPK3PXP", c.now)).want("stay")
		})
	}
	c := start(t, people)
	if err := c.AnswerPrompt("x", "approve", 0); err == nil {
		t.Error("a prompt that does not exist was answered")
	}
	c.browser(t).get(ask()).signIn("push@t.onmicrosoft.com")
	id := c.Prompts()[0].ID
	if err := c.AnswerPrompt(id, "shrug", 0); err == nil || len(c.Prompts()) != 1 {
		t.Error("an action that does not exist was taken")
	}
	if err := c.AnswerPrompt(id, "deny", 0); err != nil {
		t.Error(err)
	}
	if err := c.AnswerPrompt(id, "approve", 0); err == nil {
		t.Error("a prompt was answered twice")
	}
}

// method finds the choice of a method by the way it is used.
func method(t *testing.T, b *browser, way string) string {
	t.Helper()
	for name := range b.names {
		if value, ok := strings.CutPrefix(name, "method="); ok && strings.HasSuffix(value, way) {
			return value
		}
	}
	t.Fatalf("no method %s:\n%s", way, b.body)
	return ""
}

// TestOtherMethods: text message, call, code app, and a method that needs a
// device.
func TestOtherMethods(t *testing.T) {
	c := start(t, people)
	b := c.browser(t).get(ask()).signIn("push@t.onmicrosoft.com").want("push").fill("action", "other").want("methods", "44\u00a0••••••••23")
	if len(c.Prompts()) != 0 {
		t.Error("the push was not withdrawn")
	}
	b.fill("method", method(t, b, "/text")).want("code")
	texts := c.Texts()
	if len(texts) != 1 || texts[0].Phone != "+44 7700900123" || texts[0].UPN != "push@t.onmicrosoft.com" {
		t.Fatalf("texts %+v", texts)
	}
	b.fill("code", "0").want("code", "AADSTS500121").fill("code", texts[0].Code[:3]+" "+texts[0].Code[3:]).want("stay")

	b = c.browser(t).get(ask()).signIn("push@t.onmicrosoft.com").fill("action", "other")
	b.fill("method", method(t, b, "/call")).want("push", "being called")
	p := c.Prompts()[0]
	if len(p.Choices) != 0 {
		t.Errorf("a call with numbers: %+v", p)
	}
	if err := c.AnswerPrompt(p.ID, "approve", 0); err != nil {
		t.Fatal(err)
	}
	b.reload().want("stay")

	b = c.browser(t).get(ask()).signIn("push@t.onmicrosoft.com").fill("action", "other")
	b.fill("method", method(t, b, "/text"))
	c.now = c.now.Add(10 * time.Minute)
	if b.fill("code", texts[0].Code).want("code", "AADSTS500121"); len(c.Texts()) != 0 {
		t.Errorf("texts %+v", c.Texts())
	}

	c.browser(t).get(ask()).signIn("key@t.onmicrosoft.com").want("200", "need a real device")
}

// TestCodeApp: a code is good for its half minute and the ones beside it, once,
// and three wrong ones end the attempt.
func TestCodeApp(t *testing.T) {
	c := start(t, people)
	const secret = "JBSWY3DPEHPK3PXP"
	at := func(d time.Duration) string { return totp(t, secret, c.now.Add(d)) }
	open := func() *browser { return c.browser(t).get(ask()).signIn("oath@t.onmicrosoft.com").want("code") }
	open().fill("code", at(-30*time.Second)).want("stay")
	open().fill("code", at(30*time.Second)).want("stay")
	open().fill("code", at(-30*time.Second)).want("code", "AADSTS500121")
	open().fill("code", at(-90*time.Second)).want("code").fill("code", at(90*time.Second)).want("code").fill("code", "000000").want("methods", "wrong too often")
}

// TestRegistration: a demand without a method leads to registration, which
// counts as the second factor; during the grace it can be put off.
func TestRegistration(t *testing.T) {
	c := start(t, people)
	b := c.browser(t).get(ask()).signIn("new@t.onmicrosoft.com").want("register")
	if b.names["action=skip"] {
		t.Error("a demand could be put off")
	}
	b.fill("action", "oath").want("setup").fill("action", "back").want("register").fill("action", "oath").want("setup").fill("code", "000000", "action", "next").want("setup", "AADSTS500121")
	secret := regexp.MustCompile(`id="secret">([A-Z2-7 ]+)<`).FindStringSubmatch(b.body)
	if secret == nil {
		t.Fatalf("no secret: %s", b.body)
	}
	b.fill("action", "next", "code", totp(t, strings.ReplaceAll(secret[1], " ", ""), c.now)).want("stay").fill("action", "no")
	_, body := c.post(t, "/t.onmicrosoft.com/oauth2/v2.0/token", redeem("code", b.answer().Get("code")))
	if amr, _ := claims(t, body["access_token"])["amr"].([]any); !slices.Contains(amr, any("mfa")) {
		t.Errorf("%v", body)
	}
	c.tenant(t, func(tenant *directory.Tenant) {
		u := tenant.User("new@t.onmicrosoft.com")
		if len(u.Methods) != 1 || u.Methods[0].Type != directory.SoftwareOATH || u.PerUserMFA != "enforced" {
			t.Errorf("%+v", u)
		}
		u.Methods, u.PerUserMFA = nil, "disabled"
		tenant.SecurityDefaults, u.RegistrationGrace = true, c.now.Add(time.Hour)
	})

	// In the grace it may be put off; after it, not.
	b = c.browser(t).get(ask()).signIn("new@t.onmicrosoft.com").want("register").fill("action", "skip").want("stay").fill("action", "yes")
	if b.answer().Get("code") == "" {
		t.Error("no code")
	}
	c.now = c.now.Add(time.Hour)
	b = c.browser(t).get(ask()).signIn("new@t.onmicrosoft.com").want("register").fill("action", "authenticator").want("setup")
	p := c.Prompts()[0]
	if err := c.AnswerPrompt(p.ID, "deny", 0); err != nil {
		t.Fatal(err)
	}
	b.reload().want("register", "AADSTS500121").fill("action", "authenticator").want("setup")
	p = c.Prompts()[0]
	if err := c.AnswerPrompt(p.ID, "approve", shown(t, b, p.Choices)); err != nil {
		t.Fatal(err)
	}
	b.reload().want("stay")
	c.tenant(t, func(tenant *directory.Tenant) {
		if m := tenant.User("new@t.onmicrosoft.com").Methods; len(m) != 1 || m[0].Type != directory.Authenticator {
			t.Errorf("%+v", m)
		}
	})
}

// TestAccountPages: what the account and password pages refuse, with the count
// of failures that the password grant shares.
func TestAccountPages(t *testing.T) {
	c := start(t, people)
	page := func() *browser { return c.browser(t).get(ask()).want("account") }
	page().fill("upn", "nobody@t.onmicrosoft.com").want("account", "AADSTS50034")
	page().fill("upn", " ").want("account", "AADSTS90014")
	page().fill("upn", "olga@other.onmicrosoft.com").want("account", "AADSTS50020")
	page().fill("upn", "off@t.onmicrosoft.com").fill("password", pw).want("password", "AADSTS50057")
	page().fill("upn", "old@t.onmicrosoft.com").fill("password", "x").want("password", "AADSTS50126").fill("password", pw).want("change")
	page().fill("upn", "plain@t.onmicrosoft.com").want("password").fill("action", "back").want("account")
	c.browser(t).get(ask("login_hint", "plain@t.onmicrosoft.com")).want("password")

	b := page().fill("upn", "plain@t.onmicrosoft.com")
	b.fill("password", "wrong").want("password", "AADSTS50126")
	grant := url.Values{"grant_type": {"password"}, "client_id": {desktop}, "username": {"plain@t.onmicrosoft.com"}, "password": {"wrong"}, "scope": {"User.Read"}}
	if _, body := c.post(t, "/t.onmicrosoft.com/oauth2/v2.0/token", grant); code(body) != 50126 {
		t.Errorf("%v", body)
	}
	b.fill("password", "wrong").want("password", "AADSTS50126").fill("password", pw).want("password", "AADSTS50053")
	c.now = c.now.Add(time.Minute)
	b.fill("password", pw).want("stay")
	c.browser(t).get(ask("client_id", "41111111-2222-4333-8444-555555555555")).signIn("admin@t.onmicrosoft.com").want("400", "AADSTS50105")
	want := []string{"nobody@t.onmicrosoft.com 50034", "olga@other.onmicrosoft.com 50020", "off@t.onmicrosoft.com 50057", "old@t.onmicrosoft.com 50126", "old@t.onmicrosoft.com 50055",
		"plain@t.onmicrosoft.com 50126", "plain@t.onmicrosoft.com 50126", "plain@t.onmicrosoft.com 50126", "plain@t.onmicrosoft.com 50053", "admin@t.onmicrosoft.com 50105"}
	if log := c.signIns("t.onmicrosoft.com"); !slices.Equal(log, want) {
		t.Errorf("log %v", log)
	}
}

// TestFlowsAreBound: to their form, their browser and their time.
func TestFlowsAreBound(t *testing.T) {
	c := start(t, people)
	b := c.browser(t).get(ask()).want("account")
	form := b.form
	b.form = url.Values{"flow": form["flow"], "step": form["step"]}
	b.fill("upn", "plain@t.onmicrosoft.com").want("400", "AADSTS165000")

	b = c.browser(t).get(ask()).want("account")
	thief := c.browser(t).get(ask())
	thief.form = b.form
	thief.fill("upn", "plain@t.onmicrosoft.com").want("400", "AADSTS165000")
	c.browser(t).get("/t.onmicrosoft.com/login?flow="+b.form.Get("flow")).want("400", "AADSTS165000")

	// A form of a page that was left changes nothing.
	stale := b.form
	b.fill("upn", "plain@t.onmicrosoft.com").want("password")
	b.form, b.names = stale, map[string]bool{"upn": true}
	b.fill("upn", "admin@t.onmicrosoft.com").want("password", "plain@t.onmicrosoft.com")

	c.now = c.now.Add(15 * time.Minute)
	b.fill("password", pw).want("400", "AADSTS50089")
	c.browser(t).get("/t.onmicrosoft.com/login").want("400", "AADSTS50089")
}

// TestFlowsAreBounded: old flows make room, and the service stays well.
func TestFlowsAreBounded(t *testing.T) {
	c := start(t, people)
	first := c.browser(t).get(ask()).want("account")
	address := ask()
	b := c.browser(t)
	for range 10_000 {
		b.get(address)
	}
	first.fill("upn", "plain@t.onmicrosoft.com").want("400", "AADSTS50089")
	b.fill("upn", "plain@t.onmicrosoft.com").want("password")
	if fmt.Sprint(b.status) != "200" {
		t.Error(b.status)
	}
}

// TestPasswordChange: an expired password is changed on the way in, once the
// old one was right.
func TestPasswordChange(t *testing.T) {
	c := start(t, people)
	b := c.browser(t).get(ask("login_hint", "old@t.onmicrosoft.com")).want("password").fill("password", pw).want("change")
	b.fill("password", "New-word-1", "again", "New-word-2").want("change", "AADSTS90013", "differ")
	b.fill("password", "newword1", "again", "newword1").want("change", "AADSTS90013", "three kinds")
	b.fill("password", pw, "again", pw).want("change", "another than the old")
	b.fill("password", "New-word-1", "again", "New-word-1").want("stay").fill("action", "no")
	if b.answer().Get("code") == "" {
		t.Error("no code")
	}
	b = c.browser(t).get(ask("login_hint", "old@t.onmicrosoft.com")).fill("password", pw).want("password", "AADSTS50126")
	b.fill("password", "New-word-1").want("stay")
	c.tenant(t, func(tenant *directory.Tenant) {
		u := tenant.User("old@t.onmicrosoft.com")
		u.PasswordExpired, u.Synced = true, true
	})
	c.browser(t).get(ask("login_hint", "old@t.onmicrosoft.com")).fill("password", "New-word-1").want("password", "AADSTS50055")
}
