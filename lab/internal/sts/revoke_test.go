package sts_test

import (
	"fmt"
	"net/http"
	"net/url"
	"testing"
	"time"

	"gatehouse/lab/internal/directory"
)

// TestGuestRevocation: a guest's tokens are revoked where the guest is at home.
func TestGuestRevocation(t *testing.T) {
	c := start(t, people)
	c.store.Update("other.onmicrosoft.com", func(tenant *directory.Tenant) { tenant.User("oath@t.onmicrosoft.com").PerUserMFA = "disabled" })
	sign := func() string {
		_, body := c.post(t, "/other.onmicrosoft.com/oauth2/v2.0/token", url.Values{"grant_type": {"password"}, "client_id": {everywhere}, "username": {"oath@t.onmicrosoft.com"}, "password": {pw}, "scope": {"User.Read offline_access"}})
		value, _ := body["refresh_token"].(string)
		return value
	}
	redeemed := func(value string) int {
		_, body := c.post(t, "/other.onmicrosoft.com/oauth2/v2.0/token", url.Values{"grant_type": {"refresh_token"}, "client_id": {everywhere}, "refresh_token": {value}, "scope": {"User.Read"}})
		return code(body)
	}
	for name, happen := range map[string]func(*directory.User){
		"revoked at home":          func(u *directory.User) { u.Revoke(c.now) },
		"password changed at home": func(u *directory.User) { u.SetPassword(u.PasswordHash, "", c.now) },
	} {
		value := sign()
		if got := redeemed(value); got != 0 {
			t.Fatalf("%d", got)
		}
		c.now = c.now.Add(time.Minute)
		c.tenant(t, func(tenant *directory.Tenant) { happen(tenant.User("oath@t.onmicrosoft.com")) })
		if got := redeemed(value); got != 50173 {
			t.Errorf("%s: %d", name, got)
		}
	}
}

// TestRevocation is the table of entra-sign-in §8, cell by cell: what becomes
// of sessions and refresh tokens when something happens to the account. A
// federated sign-in stands for the columns without a password.
func TestRevocation(t *testing.T) {
	const keeps, revoked = false, true
	const confidentialApp = "d1111111-2222-4333-8444-555555555555"
	tenants := `{"tenants":[{"name":"T","domain":"t.onmicrosoft.com","id":"0f1e2d3c-4b5a-4978-8796-a5b4c3d2e1f0",
	  "domains":[{"name":"corp.example","federation":{"protocol":"WSTrust","metadata_url":"https://adfs.corp.example/adfs/services/trust/mex","active_url":"https://adfs.corp.example/a"}}],
	  "users":[{"upn":"plain@t.onmicrosoft.com","password":"pass-word-1"},{"upn":"fred@corp.example","password":"pass-word-1","synced":true}],
	  "apps":[{"name":"Desktop","client_id":"21111111-2222-4333-8444-555555555555","public":true,"redirect_uris":["http://localhost"]},
	   {"name":"Web","client_id":"` + confidentialApp + `","secret":{"value":"a-secret-of-sufficient-length"},"redirect_uris":["https://app.example/cb"]}],
	  "grants":[{"app":"Desktop","scopes":["User.Read"]},{"app":"Web","scopes":["User.Read"]}]}]}`
	user := func(fn func(*directory.User, time.Time)) func(*testing.T, *cloud, *browser, string) {
		return func(t *testing.T, c *cloud, _ *browser, upn string) {
			c.tenant(t, func(tenant *directory.Tenant) { fn(tenant.User(upn), c.now) })
		}
	}
	fresh := directory.HashPassword("another-word-2")
	for _, event := range []struct {
		name   string
		happen func(*testing.T, *cloud, *browser, string)
		// password cookie, password token, other cookie, other token, token of a
		// confidential client
		want [5]bool
	}{
		{"nothing", func(*testing.T, *cloud, *browser, string) {}, [5]bool{}},
		{"the password expires", user(func(u *directory.User, _ time.Time) { u.PasswordExpired = true }), [5]bool{keeps, keeps, keeps, keeps, keeps}},
		{"the person changes the password", user(func(u *directory.User, now time.Time) { u.SetPassword(fresh, "", now) }), [5]bool{revoked, revoked, keeps, keeps, keeps}},
		{"a reset in the Azure portal", user(func(u *directory.User, now time.Time) { u.SetPassword(fresh, directory.AzurePortal, now) }), [5]bool{revoked, revoked, keeps, keeps, keeps}},
		{"a reset in the Entra admin centre", user(func(u *directory.User, now time.Time) { u.SetPassword(fresh, directory.EntraAdminCentre, now) }), [5]bool{revoked, revoked, keeps, revoked, revoked}},
		{"all sessions are revoked", user(func(u *directory.User, now time.Time) { u.Revoke(now) }), [5]bool{revoked, revoked, revoked, revoked, revoked}},
		{"sign-out", func(_ *testing.T, _ *cloud, b *browser, _ string) { b.get("/t.onmicrosoft.com/oauth2/v2.0/logout") }, [5]bool{revoked, keeps, revoked, keeps, keeps}},
	} {
		for column, upn := range []string{"plain@t.onmicrosoft.com", "plain@t.onmicrosoft.com", "fred@corp.example", "fred@corp.example", "plain@t.onmicrosoft.com"} {
			t.Run(fmt.Sprint(event.name, " ", column), func(t *testing.T) {
				c := start(t, tenants)
				client := []string{"client_id", desktop}
				if column == 4 {
					client = []string{"client_id", confidentialApp, "redirect_uri", "https://app.example/cb"}
				}
				b := c.browser(t).get(ask(append(client, "login_hint", upn)...))
				if upn == "fred@corp.example" {
					b.fill("Password", pw).fill()
				} else {
					b.want("password").fill("password", pw)
				}
				got := b.want("stay").fill("action", "no").answer().Get("code")
				form := redeem(append(client, "code", got)...)
				if column == 4 {
					form.Set("client_secret", secret)
				}
				_, body := c.post(t, "/t.onmicrosoft.com/oauth2/v2.0/token", form)
				c.now = c.now.Add(time.Minute)
				event.happen(t, c, b, upn)
				gone := false
				if column == 0 || column == 2 {
					gone = b.get(ask(append(client, "login_hint", upn, "prompt", "none")...)).answer().Get("error") == "login_required"
				} else {
					form := url.Values{"grant_type": {"refresh_token"}, "client_id": {client[1]}, "refresh_token": {body["refresh_token"].(string)}, "scope": {"User.Read"}}
					if column == 4 {
						form.Set("client_secret", secret)
					}
					status, answer := c.post(t, "/t.onmicrosoft.com/oauth2/v2.0/token", form)
					if gone = status != http.StatusOK; gone && (code(answer) != 50173 || answer["suberror"] != "bad_token") {
						t.Errorf("%v", answer)
					}
				}
				if gone != event.want[column] {
					t.Errorf("revoked %v, want %v", gone, event.want[column])
				}
			})
		}
	}
}
