package sts_test

import (
	"os"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"gatehouse/lab/internal/directory"
)

// TestWalks wanders through the pages as nobody would: whatever is pressed and
// in whichever order, a code is only given to who has entered the password,
// and, where MFA is demanded, has passed it.
func TestWalks(t *testing.T) {
	names := []string{"plain@t.onmicrosoft.com", "push@t.onmicrosoft.com", "oath@t.onmicrosoft.com", "new@t.onmicrosoft.com", "nobody@t.onmicrosoft.com"}
	c := start(t, people)
	rapid.Check(t, func(rt *rapid.T) {
		// Walks share a service, as people do; each begins with fresh accounts.
		c.now = c.now.Add(time.Hour)
		c.tenant(t, func(tenant *directory.Tenant) {
			for _, u := range tenant.Users {
				u.FailedPasswords, u.LockedUntil = 0, time.Time{}
			}
			u := tenant.User("new@t.onmicrosoft.com")
			u.Methods, u.PerUserMFA = nil, "enabled"
		})
		b := c.browser(t).get(ask())
		password, factor := map[string]bool{}, map[string]bool{}
		who := ""
		for range rapid.IntRange(5, 40).Draw(rt, "steps") {
			if b.left != nil {
				got := b.answer().Get("code")
				if got == "" {
					rt.Fatalf("sent to the app with %v", b.answer())
				}
				_, body := c.post(t, "/t.onmicrosoft.com/oauth2/v2.0/token", redeem("code", got))
				upn, _ := claims(t, body["access_token"])["upn"].(string)
				if !password[upn] || upn != names[0] && !factor[upn] {
					rt.Fatalf("tokens for %q, who proved %v and %v", upn, password[upn], factor[upn])
				}
				b.get(ask("prompt", rapid.SampledFrom([]string{"", "login", "select_account"}).Draw(rt, "prompt")))
				continue
			}
			if rapid.IntRange(0, 9).Draw(rt, "turn") == 0 {
				c.now = c.now.Add(time.Duration(rapid.IntRange(1, 700).Draw(rt, "seconds")) * time.Second)
				b.reload()
				continue
			}
			switch step := b.step(); step {
			case "account":
				b.fill("upn", rapid.SampledFrom(names).Draw(rt, "name"))
			case "picker":
				b.fill("upn", rapid.SampledFrom(append(names, "")).Draw(rt, "name"))
			case "password":
				if rapid.IntRange(0, 4).Draw(rt, "back") == 0 {
					b.fill("action", "back")
					continue
				}
				guess := rapid.SampledFrom([]string{pw, "wrong"}).Draw(rt, "password")
				who = b.form.Get("username")
				if b.fill("password", guess); b.step() != "password" {
					password[who] = guess == pw
				}
			case "push", "setup":
				who = between(b.body, `<p class="who">`, " ")
				for _, p := range c.Prompts() {
					number := p.Choices[0]
					action := rapid.SampledFrom([]string{"approve", "deny", "report"}).Draw(rt, "answer")
					if action == "approve" && p.UPN == who && rapid.Bool().Draw(rt, "right") {
						number = shown(t, b, p.Choices)
						factor[who] = true
					} else if action == "approve" {
						number = 0
					}
					if err := c.AnswerPrompt(p.ID, action, number); err != nil {
						rt.Fatal(err)
					}
				}
				if b.reload(); b.step() == "setup" {
					b.fill("action", "back")
				}
			case "methods":
				var ways []string
				for name := range b.names {
					if value, ok := strings.CutPrefix(name, "method="); ok && !strings.HasSuffix(value, "/call") {
						ways = append(ways, value)
					}
				}
				if len(ways) == 0 {
					b.get(ask())
					continue
				}
				b.fill("method", ways[rapid.IntRange(0, 100).Draw(rt, "way")%len(ways)])
			case "code":
				who = between(b.body, `<p class="who">`, " ")
				if rapid.Bool().Draw(rt, "right") && strings.Contains(b.body, "code app") {
					b.fill("code", totp(t, "JBSWY3DPEHPK3PXP", c.now))
					factor[who] = factor[who] || b.step() == "stay" || b.step() == "left"
				} else {
					b.fill("code", "1")
				}
			case "register":
				b.fill("action", rapid.SampledFrom([]string{"authenticator", "oath"}).Draw(rt, "kind"))
			case "stay":
				b.fill("action", rapid.SampledFrom([]string{"yes", "no"}).Draw(rt, "stay"))
			default: // an error page, or the flow has ended
				b.get(ask())
			}
		}
	})
}

// The Enter key presses a form's first button: on no page may that be the way
// back.
func TestEnterGoesOn(t *testing.T) {
	pages, err := os.ReadFile("pages.templ")
	if err != nil {
		t.Fatal(err)
	}
	seen := 0
	for form := range strings.SplitSeq(string(pages), "\ntempl ") {
		main := strings.Index(form, `<button class="main"`)
		if main < 0 {
			continue
		}
		seen++
		if first := strings.Index(form, "<button"); first != main {
			t.Errorf("%s: Enter presses another button than the main one", form[:strings.Index(form, "(")])
		}
	}
	if seen < 9 {
		t.Errorf("only %d forms with a main button", seen)
	}
}

func between(s, before, after string) string {
	_, s, _ = strings.Cut(s, before)
	s, _, _ = strings.Cut(s, after)
	return s
}
