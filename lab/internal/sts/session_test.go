package sts_test

import (
	"net/url"
	"strings"
	"testing"
	"time"

	"gatehouse/lab/internal/directory"
)

// TestSessions: single sign-on, its end, and what asks again.
func TestSessions(t *testing.T) {
	c := start(t, people)
	b := c.browser(t)
	if answer := b.get(ask("prompt", "none")).answer(); answer.Get("error") != "login_required" || !strings.HasPrefix(answer.Get("error_description"), "AADSTS50058") {
		t.Errorf("%v", answer)
	}
	b.get(ask()).signIn("plain@t.onmicrosoft.com")
	for _, pairs := range [][]string{{}, {"prompt", "none"}, {"login_hint", "PLAIN@t.onmicrosoft.com", "prompt", "none"}, {"tenant", "0f1e2d3c-4b5a-4978-8796-a5b4c3d2e1f0", "prompt", "none"}} {
		if answer := b.get(ask(pairs...)).answer(); answer.Get("code") == "" {
			t.Errorf("%v: %v", pairs, answer)
		}
	}
	if answer := b.get(ask("prompt", "none", "scope", "Mail.Read")).answer(); answer.Get("error") != "consent_required" || !strings.HasPrefix(answer.Get("error_description"), "AADSTS65001") {
		t.Errorf("%v", answer)
	}
	if answer := b.get(ask("prompt", "none", "claims", `{"id_token":{"acrs":{"value":"c1"}}}`)).answer(); answer.Get("error") != "interaction_required" || !strings.HasPrefix(answer.Get("error_description"), "AADSTS50079") {
		t.Errorf("%v", answer)
	}
	if answer := b.get(ask("prompt", "none", "login_hint", "push@t.onmicrosoft.com")).answer(); answer.Get("error") != "login_required" {
		t.Errorf("%v", answer)
	}
	b.get(ask("prompt", "login")).want("account")
	b.get(ask("prompt", "login", "login_hint", "plain@t.onmicrosoft.com")).want("password")
	b.get(ask("login_hint", "admin@t.onmicrosoft.com")).want("password")

	// The picker: an account of the session, or another.
	b.get(ask("prompt", "select_account")).want("picker", "Pia Plain").fill("upn", "plain@t.onmicrosoft.com")
	if b.answer().Get("code") == "" {
		t.Error("no code from the picker")
	}
	b.get(ask("prompt", "select_account")).want("picker").fill("upn", "").signIn("push@t.onmicrosoft.com").want("push")
	p := c.Prompts()[0]
	if err := c.AnswerPrompt(p.ID, "approve", shown(t, b, p.Choices)); err != nil {
		t.Fatal(err)
	}
	b.reload().want("stay").fill("action", "yes")
	if answer := b.get(ask("prompt", "none")).answer(); !strings.HasPrefix(answer.Get("error_description"), "AADSTS16000") {
		t.Errorf("%v", answer)
	}
	b.get(ask()).want("picker", "Per Push", "Pia Plain")
	// The session knows of the second factor.
	if answer := b.get(ask("prompt", "none", "login_hint", "push@t.onmicrosoft.com")).answer(); answer.Get("code") == "" {
		t.Errorf("%v", answer)
	}
	c.now = c.now.Add(48 * time.Hour)
	if answer := b.get(ask("prompt", "none", "login_hint", "push@t.onmicrosoft.com")).answer(); answer.Get("code") == "" {
		t.Errorf("after two days of staying signed in: %v", answer)
	}
	c.tenant(t, func(tenant *directory.Tenant) { tenant.User("push@t.onmicrosoft.com").TokensValidFrom = c.now })
	if answer := b.get(ask("prompt", "none", "login_hint", "push@t.onmicrosoft.com")).answer(); answer.Get("error") != "login_required" {
		t.Errorf("after a revocation: %v", answer)
	}

	short := c.browser(t)
	short.get(ask()).signIn("plain@t.onmicrosoft.com")
	c.now = c.now.Add(25 * time.Hour)
	short.get(ask()).want("account")
}

// TestSessionWithoutFactor: a session from a password alone is asked for the
// second factor where one is demanded, without the password.
func TestSessionWithoutFactor(t *testing.T) {
	c := start(t, people)
	c.tenant(t, func(tenant *directory.Tenant) { tenant.User("oath@t.onmicrosoft.com").PerUserMFA = "disabled" })
	b := c.browser(t)
	b.get(ask()).signIn("oath@t.onmicrosoft.com")
	c.tenant(t, func(tenant *directory.Tenant) { tenant.User("oath@t.onmicrosoft.com").PerUserMFA = "enforced" })
	if answer := b.get(ask("prompt", "none")).answer(); answer.Get("error") != "interaction_required" || !strings.HasPrefix(answer.Get("error_description"), "AADSTS50076") {
		t.Errorf("%v", answer)
	}
	b.get(ask()).want("code").fill("code", totp(t, "JBSWY3DPEHPK3PXP", c.now))
	if b.answer().Get("code") == "" {
		t.Error("no code")
	}
	if answer := b.get(ask("prompt", "none")).answer(); answer.Get("code") == "" {
		t.Errorf("%v", answer)
	}
}

// TestGuests: a guest signs in with the home password and registers a second
// factor of its own here; the one given at home does not count.
func TestGuests(t *testing.T) {
	c := start(t, people)
	b := c.browser(t)
	b.get(ask()).signIn("oath@t.onmicrosoft.com").want("code").fill("code", totp(t, "JBSWY3DPEHPK3PXP", c.now)).want("stay").fill("action", "yes").want("left")
	b.get(ask("tenant", "other.onmicrosoft.com", "client_id", everywhere)).want("register").fill("action", "authenticator").want("setup")
	p := c.Prompts()[0]
	if err := c.AnswerPrompt(p.ID, "approve", shown(t, b, p.Choices)); err != nil {
		t.Fatal(err)
	}
	got := b.reload().want("left").answer().Get("code")
	_, body := c.post(t, "/other.onmicrosoft.com/oauth2/v2.0/token", redeem("client_id", everywhere, "code", got))
	if access := claims(t, body["access_token"]); access["acct"] != 1.0 || access["tid"] == "0f1e2d3c-4b5a-4978-8796-a5b4c3d2e1f0" {
		t.Errorf("%v", access)
	}
	c.store.View("other.onmicrosoft.com", func(tenant *directory.Tenant) {
		if m := tenant.User("oath@t.onmicrosoft.com").Methods; len(m) != 1 || m[0].Type != directory.Authenticator {
			t.Errorf("%+v", m)
		}
	})
	c.tenant(t, func(tenant *directory.Tenant) {
		if m := tenant.User("oath@t.onmicrosoft.com").Methods; len(m) != 1 {
			t.Errorf("registered at home: %+v", m)
		}
	})
	b = c.browser(t).get(ask("tenant", "other.onmicrosoft.com", "client_id", everywhere)).want("account").fill("upn", "plain@t.onmicrosoft.com")
	b.want("account", "AADSTS50020")
}

// TestLogout: the session ends; the browser is sent on to registered addresses
// only.
func TestLogout(t *testing.T) {
	c := start(t, people)
	b := c.browser(t)
	b.get(ask()).signIn("plain@t.onmicrosoft.com")
	got := b.answer().Get("code")
	b.get("/t.onmicrosoft.com/oauth2/v2.0/logout?post_logout_redirect_uri=" + url.QueryEscape("https://app.example/cb") + "&state=x")
	if b.left == nil || b.left.String() != "https://app.example/cb?state=x" {
		t.Errorf("%v", b.left)
	}
	b.get(ask()).want("account")
	b.get("/common/oauth2/v2.0/logout?post_logout_redirect_uri=https://evil.example").want("200", "not registered")
	b.get("/t.onmicrosoft.com/oauth2/v2.0/logout?client_id="+desktop+"&post_logout_redirect_uri=https://app.example/cb").want("200", "not registered")
	b.get("/t.onmicrosoft.com/oauth2/logout").want("200", "Signed out")
	if status, body := c.post(t, "/t.onmicrosoft.com/oauth2/v2.0/token", redeem("code", got)); status != 200 {
		t.Errorf("codes and tokens outlive the session: %v", body)
	}
}
