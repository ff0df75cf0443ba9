package lab_test

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"testing"
	"time"

	"gatehouse/lab"
)

// A vendor's year: the secret runs out, another takes its place, the publisher is
// verified, the app is registered anew and the old registration deleted. What its
// customers' people see at each step.
func TestVendorApp(t *testing.T) {
	c := lab.Crowd{Customers: 1, People: 2, UserConsent: "low_risk"}
	l := lab.Start(t, lab.WithTenants(c.Tenants()))
	const vendor = "vendor.onmicrosoft.com"
	customer, person := c.Customer(0), c.Person(0, 0)
	change := func(method, path, body string, want int) map[string]any {
		t.Helper()
		status, got, text := ask(t, l, method, path, body)
		if status != want {
			t.Fatalf("%s %s %s: %d %s", method, path, body, status, text)
		}
		return got
	}
	app := "/tenants/" + vendor + "/apps/" + lab.CrowdClient
	signIn := func(client string, organisation bool) (*url.URL, error) {
		upn := person
		if organisation {
			upn = c.Admin(0)
		}
		return l.SignIn(authorizeAddress(l, customer, client, "User.Read openid offline_access"), lab.Person{UPN: upn, Consent: true, Organisation: organisation})
	}
	refused := func(err error, code int) {
		t.Helper()
		if one := (*lab.SignInRefused)(nil); !errors.As(err, &one) || one.Code != code {
			t.Errorf("want %d: %v", code, err)
		}
	}
	secret := lab.CrowdSecret
	token := func(client string, form url.Values) answer {
		form.Set("client_id", client)
		form.Set("client_secret", secret)
		return post(t, l, "/"+customer+"/oauth2/v2.0/token", form)
	}
	redeemed := func(client string, back *url.URL) answer {
		t.Helper()
		if back == nil {
			t.Fatal("nobody signed in")
		}
		return token(client, url.Values{"grant_type": {"authorization_code"}, "redirect_uri": {"http://localhost"}, "code": {back.Query().Get("code")}})
	}

	// Users may consent to verified publishers only.
	_, err := signIn(lab.CrowdClient, false)
	refused(err, 90094)
	change(http.MethodPatch, app, `{"verified_publisher":true}`, http.StatusNoContent)
	back, err := signIn(lab.CrowdClient, false)
	if err != nil {
		t.Fatal(err)
	}
	held := redeemed(lab.CrowdClient, back)
	if held.status != http.StatusOK {
		t.Fatal(held.raw)
	}
	renew := func() answer {
		return token(lab.CrowdClient, url.Values{"grant_type": {"refresh_token"}, "refresh_token": {held.text("refresh_token")}, "scope": {"User.Read"}})
	}

	change(http.MethodPatch, app, `{"secrets_end":"24h"}`, http.StatusNoContent)
	l.Advance(25 * time.Hour)
	if a := renew(); a.code() != 7000222 || a.status != http.StatusUnauthorized {
		t.Errorf("the secret has run out: %s", a.raw)
	}
	change(http.MethodPatch, app, `{"secret":"another~secret-of-the-vendor"}`, http.StatusNoContent)
	secret = "another~secret-of-the-vendor"
	if a := renew(); a.status != http.StatusOK {
		t.Errorf("the new secret: %s", a.raw)
	}

	// More permissions: consent is asked for those that are new.
	change(http.MethodPatch, app, `{"delegated_permissions":{"graph":["User.Read","Directory.Read.All"]}}`, http.StatusNoContent)
	_, err = l.SignIn(authorizeAddress(l, customer, lab.CrowdClient, "Directory.Read.All"), lab.Person{UPN: person, Consent: true})
	refused(err, 90094)
	change(http.MethodPatch, "/tenants/"+customer+"/apps/"+lab.CrowdClient, `{"assignment_required":true}`, http.StatusNoContent)
	if a := renew(); a.code() != 50105 {
		t.Errorf("assignment: %s", a.raw)
	}
	change(http.MethodPatch, "/tenants/"+customer+"/apps/"+lab.CrowdClient, `{"assignment_required":false,"enabled":false}`, http.StatusNoContent)
	if a := renew(); a.code() != 7000112 {
		t.Errorf("disabled: %s", a.raw)
	}
	change(http.MethodPatch, "/tenants/"+customer+"/apps/"+lab.CrowdClient, `{"enabled":true}`, http.StatusNoContent)

	// The registration is replaced: the new one is in nobody's tenant and opens no
	// old token; both work side by side until the old one is deleted.
	made := change(http.MethodPost, app+"/replacement", "", http.StatusCreated)
	replacement, _ := made["client_id"].(string)
	if l.Tenant(vendor).App(replacement).Secret == nil {
		t.Error("the ready file does not know the replacement")
	}
	if a := renew(); a.status != http.StatusOK {
		t.Errorf("the old app beside the new one: %s", a.raw)
	}
	old := secret
	secret, _ = made["secret"].(string)
	if a := token(replacement, url.Values{"grant_type": {"refresh_token"}, "refresh_token": {held.text("refresh_token")}, "scope": {"User.Read"}}); a.code() != 700016 {
		t.Errorf("the old token with the new app, which is not in the tenant: %s", a.raw)
	}
	if back, err = signIn(replacement, true); err != nil {
		t.Fatal(err)
	}
	if a := redeemed(replacement, back); a.status != http.StatusOK {
		t.Errorf("the new app: %s", a.raw)
	}
	if a := token(replacement, url.Values{"grant_type": {"refresh_token"}, "refresh_token": {held.text("refresh_token")}, "scope": {"User.Read"}}); a.code() != 70000 {
		t.Errorf("the old token with the new app: %s", a.raw)
	}
	secret = old
	change(http.MethodDelete, app, "", http.StatusNoContent)
	if a := renew(); a.code() != 700016 {
		t.Errorf("the old app is gone: %s", a.raw)
	}
	_, err = signIn(lab.CrowdClient, false)
	refused(err, 700016)
	change(http.MethodDelete, app, "", http.StatusNotFound)
	change(http.MethodPost, app+"/replacement", "", http.StatusNotFound)

	for path, bodies := range map[string][]string{
		"/tenants/" + vendor + "/apps/" + replacement:   {`{"secret":"short"}`, `{"delegated_permissions":{"graph":["No.Such"]}}`, `{"delegated_permissions":{"moon":["x"]}}`, `{"secrets_end":"soon"}`, `{"nonsense":1}`},
		"/tenants/" + customer + "/apps/" + replacement: {`{"verified_publisher":true}`},
	} {
		for _, body := range bodies {
			change(http.MethodPatch, path, body, http.StatusBadRequest)
		}
	}
	if _, err := json.Marshal(l.Ready()); err != nil {
		t.Error(err)
	}
}
