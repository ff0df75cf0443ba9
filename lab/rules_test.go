package lab_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"gatehouse/lab"
)

const rulesFile = `{"tenants":[
 {"name":"Customer","domain":"customer.onmicrosoft.com","security_defaults":true,"lockout":{"threshold":2,"duration_seconds":30},
  "users":[
   {"upn":"sync@customer.onmicrosoft.com","password":"pass-word-1","roles":["Directory Synchronization Accounts"]},
   {"upn":"new@customer.onmicrosoft.com","password":"pass-word-1","registration_grace":"24h"},
   {"upn":"nested@customer.onmicrosoft.com","password":"pass-word-1","methods":[{"type":"oath"}]},
   {"upn":"mailed@customer.onmicrosoft.com","password":"pass-word-1","methods":[{"type":"email","email":"a@b.example"}]},
   {"upn":"guest@partner.onmicrosoft.com","type":"guest","guest_of":"partner.onmicrosoft.com","methods":[{"type":"oath"}]}],
  "groups":[
   {"name":"Outer","members":["Inner"],"role_assignable":true,"roles":["Helpdesk Administrator"]},
   {"name":"Inner","members":["Outer","nested@customer.onmicrosoft.com"]},
   {"name":"Allowed","members":["mid"]},{"name":"mid","members":["sync@customer.onmicrosoft.com"]}],
  "apps":[{"name":"Gated","public":true,"assignment_required":true,"assigned":["Allowed"]}],
  "grants":[
   {"app":"Microsoft Graph Command Line Tools","scopes":["User.Read"]},
   {"app":"Gated","scopes":["User.Read"]}],
  "partners":[{"domain":"partner.onmicrosoft.com","until":"240h","access":{"Desk":["Directory Readers"]}}]},
 {"name":"Partner","domain":"partner.onmicrosoft.com",
  "users":[{"upn":"tech@partner.onmicrosoft.com","password":"pass-word-1","methods":[{"type":"oath"}]},{"upn":"guest@partner.onmicrosoft.com","password":"pass-word-1"}],
  "groups":[{"name":"Desk","members":["tech@partner.onmicrosoft.com"]}]}]}`

// Rules that the built-in tenants do not show: exemptions, grace, nested
// groups with cycles, guests, partners.
func TestRules(t *testing.T) {
	l := lab.Start(t, lab.WithTenants(rulesFile))
	try := func(user, app string) answer {
		client := graphCLI
		if app != "" {
			client = l.Tenant("customer").App(app).ClientID
		}
		form := url.Values{"grant_type": {"password"}, "client_id": {client}, "username": {user}, "password": {"pass-word-1"}, "scope": {graphDefault}}
		return post(t, l, "/customer.onmicrosoft.com/oauth2/v2.0/token", form)
	}
	for _, test := range []struct {
		name, user, app string
		code            int
	}{
		{"the synchronisation account is exempt", "sync@customer.onmicrosoft.com", "", 0},
		{"registration grace", "new@customer.onmicrosoft.com", "", 0},
		{"a role through nested groups counts", "nested@customer.onmicrosoft.com", "", 50076},
		{"an e-mail address is no second factor", "mailed@customer.onmicrosoft.com", "", 50079},
		{"guests are treated like members", "guest@partner.onmicrosoft.com", "", 0},
		{"partner with a mapped role", "tech@partner.onmicrosoft.com", "", 0},
		{"assigned through nested groups", "sync@customer.onmicrosoft.com", "Gated", 0},
		{"not assigned", "guest@partner.onmicrosoft.com", "Gated", 50105},
	} {
		t.Run(test.name, func(t *testing.T) {
			if a := try(test.user, test.app); a.code() != test.code {
				t.Errorf("got %d, want %d: %s", a.code(), test.code, a.raw)
			}
		})
	}
	partner := claimsOf(t, try("tech@partner.onmicrosoft.com", "").text("access_token"))
	if wids, _ := partner["wids"].([]any); len(wids) != 2 || wids[0] != "88d8e3e3-8f55-4a1e-953a-9b9898b8876b" || partner["tid"] != l.Tenant("customer").ID {
		t.Errorf("the partner's token: %v", partner)
	}
	t.Run("grace ends", func(t *testing.T) {
		l.Advance(25 * time.Hour)
		if a := try("new@customer.onmicrosoft.com", ""); a.code() != 50079 {
			t.Errorf("got %d", a.code())
		}
	})
	t.Run("the partner's relationship ends", func(t *testing.T) {
		l.Advance(240 * time.Hour)
		if a := try("tech@partner.onmicrosoft.com", ""); a.code() != 50020 {
			t.Errorf("got %d", a.code())
		}
	})
}

// A password reset revokes refresh tokens that were made before.
func TestResetRevokes(t *testing.T) {
	l := lab.Start(t)
	first := signIn(t, l, "openharbour", "svc-backup", graphCLI)
	l.Advance(time.Minute)
	admin := l.Tenant("openharbour").App("Lab administration")
	token := post(t, l, "/openharbour.onmicrosoft.com/oauth2/v2.0/token", secretForm(admin)).text("access_token")
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPatch, l.URL()+"/v1.0/users/svc-backup@openharbour.example", strings.NewReader(`{"passwordProfile":{"password":"Changed-2026-lab","forceChangePasswordNextSignIn":false}}`))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+token)
	r.Header.Set("Content-Type", "application/json")
	if a := do(t, l, r); a.status != http.StatusNoContent {
		t.Fatalf("%d: %s", a.status, a.raw)
	}
	a := post(t, l, "/openharbour.onmicrosoft.com/oauth2/v2.0/token", url.Values{"grant_type": {"refresh_token"}, "client_id": {graphCLI}, "refresh_token": {first.text("refresh_token")}, "scope": {graphDefault}})
	if a.code() != 50173 || a.text("suberror") != "bad_token" {
		t.Errorf("got %d: %s", a.code(), a.raw)
	}
}
