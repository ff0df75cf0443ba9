package lab_test

import (
	"errors"
	"net/http"
	"net/url"
	"runtime"
	"strings"
	"testing"
	"time"

	"gatehouse/lab"
)

func authorizeAddress(l *lab.Lab, tenant, client, scope string) string {
	return l.URL() + "/" + tenant + "/oauth2/v2.0/authorize?" + url.Values{"client_id": {client}, "response_type": {"code"}, "response_mode": {"form_post"}, "redirect_uri": {"http://localhost"}, "scope": {scope}, "state": {"s"}, "nonce": {"n"}}.Encode()
}

// A vendor with 400 customers of 50 people each is there in no time; its app is
// in nobody's tenant until an administrator consents, and then people sign in
// without a browser, each gate in force.
func TestCrowdOfCustomers(t *testing.T) {
	c := lab.Crowd{Customers: 400, People: 50}
	begin := time.Now()
	l := lab.Start(t, lab.WithTenants(c.Tenants()))
	took := time.Since(begin)
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	t.Logf("400 tenants with 50 people each: %s, %d MB on the heap", took, m.HeapAlloc>>20)
	const scope = "User.Read openid offline_access"
	ask := func(i int) string { return authorizeAddress(l, c.Customer(i), lab.CrowdClient, scope) }
	refused := func(err error, code int) {
		t.Helper()
		if one := (*lab.SignInRefused)(nil); !errors.As(err, &one) || one.Code != code {
			t.Errorf("want %d: %v", code, err)
		}
	}
	_, err := l.SignIn(ask(7), lab.Person{UPN: c.Person(7, 3), Consent: true})
	refused(err, 90094)
	consent := l.URL() + "/" + c.Customer(7) + "/v2.0/adminconsent?" + url.Values{"client_id": {lab.CrowdClient}, "redirect_uri": {"http://localhost"}, "scope": {"https://graph.microsoft.com/.default openid offline_access"}, "state": {"s"}}.Encode()
	_, err = l.SignIn(consent, lab.Person{UPN: c.Person(7, 3), Consent: true})
	refused(err, 90094)
	back, err := l.SignIn(consent, lab.Person{UPN: c.Admin(7), Consent: true})
	if err != nil || back.Query().Get("admin_consent") != "True" || back.Query().Get("error") != "" || back.Query().Get("tenant") != l.Tenant(c.Customer(7)).ID {
		t.Fatalf("%v %v", back, err)
	}
	if back, err = l.SignIn(ask(7), lab.Person{UPN: c.Person(7, 3)}); err != nil || back.Query().Get("state") != "s" || back.Host != "localhost" {
		t.Fatalf("%v %v", back, err)
	}
	redeemed := post(t, l, "/"+c.Customer(7)+"/oauth2/v2.0/token", url.Values{"grant_type": {"authorization_code"}, "client_id": {lab.CrowdClient}, "client_secret": {lab.CrowdSecret}, "redirect_uri": {"http://localhost"}, "code": {back.Query().Get("code")}, "scope": {scope}})
	if id := claimsOf(t, redeemed.text("id_token")); redeemed.status != http.StatusOK || id["preferred_username"] != c.Person(7, 3) || id["nonce"] != "n" {
		t.Errorf("%s", redeemed.raw)
	}
	_, err = l.SignIn(ask(7), lab.Person{UPN: c.Person(8, 3)})
	refused(err, 50020)
	_, err = l.SignIn(ask(7), lab.Person{UPN: "nobody@" + c.Customer(7)})
	refused(err, 50034)
	_, err = l.SignIn(l.URL()+"/elsewhere", lab.Person{UPN: c.Person(7, 3)})
	refused(err, 90014)
	if back, err = l.SignIn(authorizeAddress(l, c.Customer(7), lab.CrowdClient, "No.Such"), lab.Person{UPN: c.Person(7, 3)}); err != nil || back.Query().Get("error") != "invalid_scope" {
		t.Errorf("a fault of the app: %v %v", back, err)
	}
	// The password works as well, and MFA that is asked for is given or missed.
	if a := post(t, l, "/"+c.Customer(7)+"/oauth2/v2.0/token", url.Values{"grant_type": {"password"}, "client_id": {lab.CrowdClient}, "client_secret": {lab.CrowdSecret}, "username": {c.Person(7, 49)}, "password": {lab.CrowdPassword}, "scope": {scope}}); a.status != http.StatusOK {
		t.Errorf("%s", a.raw)
	}
}

// A visitor gives the second factor only if told to.
func TestVisitFactor(t *testing.T) {
	l := lab.Start(t)
	tenant := l.Tenant("profilepark")
	ask := authorizeAddress(l, tenant.ID, graphCLI, "User.Read")
	mfa := 0
	for _, u := range tenant.Users {
		if _, err := l.SignIn(ask, lab.Person{UPN: u.UPN, Consent: true}); err == nil {
			continue
		}
		back, err := l.SignIn(ask, lab.Person{UPN: u.UPN, Consent: true, Factor: true})
		if err != nil {
			continue // has nothing registered
		}
		mfa++
		a := post(t, l, "/"+tenant.ID+"/oauth2/v2.0/token", url.Values{"grant_type": {"authorization_code"}, "client_id": {graphCLI}, "redirect_uri": {"http://localhost"}, "code": {back.Query().Get("code")}})
		if amr, _ := claimsOf(t, a.text("access_token"))["amr"].([]any); len(amr) != 2 || amr[1] != "mfa" {
			t.Errorf("%s: %s", u.UPN, a.raw)
		}
	}
	if mfa == 0 {
		t.Error("nobody was asked for a second factor")
	}
}

// Device codes are signed in likewise, and a block reaches the device. The control
// port does the same for other languages.
func TestVisitDevice(t *testing.T) {
	l := lab.Start(t)
	tenant := l.Tenant("openharbour")
	begin := func() answer {
		return post(t, l, "/"+tenant.ID+"/oauth2/v2.0/devicecode", url.Values{"client_id": {graphCLI}, "scope": {"User.Read offline_access"}})
	}
	poll := func(a answer) answer {
		return post(t, l, "/"+tenant.ID+"/oauth2/v2.0/token", url.Values{"grant_type": {"device_code"}, "client_id": {graphCLI}, "device_code": {a.text("device_code")}})
	}
	page := func(a answer) string { return l.URL() + "/common/oauth2/deviceauth?otc=" + a.text("user_code") }
	upn := tenant.User("svc-backup").UPN
	device := begin()
	if a := poll(device); a.code() != 70016 {
		t.Fatal(a.raw)
	}
	if _, err := l.SignIn(page(device), lab.Person{UPN: upn}); err != nil {
		t.Fatal(err)
	}
	if a := poll(device); a.status != http.StatusOK || a.text("refresh_token") == "" {
		t.Errorf("%s", a.raw)
	}
	if _, err := l.SignIn(page(device), lab.Person{UPN: upn}); err == nil {
		t.Error("a code serves twice")
	}
	second := begin()
	policy := `{"displayName":"No device codes","state":"enabled","conditions":{"clientAppTypes":["all"],"users":{"includeUsers":["All"]},"applications":{"includeApplications":["All"]},"authenticationFlows":{"transferMethods":"deviceCodeFlow"}},"grantControls":{"operator":"OR","builtInControls":["block"]}}`
	if a := graphAs(t, l, "openharbour", http.MethodPost, "/v1.0/identity/conditionalAccess/policies", policy); a.status != http.StatusCreated {
		t.Fatal(a.raw)
	}
	if _, err := l.SignIn(page(second), lab.Person{UPN: upn}); err == nil {
		t.Error("the block is passed")
	}
	if a := poll(second); a.code() != 53003 {
		t.Errorf("the device does not hear of it: %s", a.raw)
	}
	for body, want := range map[string]int{
		`{"address":"` + authorizeAddress(l, tenant.ID, graphCLI, "User.Read") + `","upn":"` + upn + `"}`:                     200,
		`{"address":"` + authorizeAddress(l, tenant.ID, graphCLI, "User.Read") + `","upn":"nobody@openharbour.example"}`:      409,
		`{"address":"` + authorizeAddress(l, tenant.ID, graphCLI, "User.Read") + `","upn":"` + upn + `","password":"secret"}`: 400,
	} {
		status, got, text := ask(t, l, http.MethodPost, "/signin", body)
		if location, _ := got["location"].(string); status != want || (want == 200) != strings.HasPrefix(location, "http://localhost/?code=") {
			t.Errorf("%s: %d %s", body, status, text)
		}
	}
}

// BenchmarkVisit is one sign-in up to the code.
func BenchmarkVisit(b *testing.B) {
	c := lab.Crowd{Customers: 1, People: 1, UserConsent: "all"}
	l := lab.Start(b, lab.WithTenants(c.Tenants()))
	ask := authorizeAddress(l, c.Customer(0), lab.CrowdClient, "User.Read openid offline_access")
	for b.Loop() {
		if _, err := l.SignIn(ask, lab.Person{UPN: c.Person(0, 0), Consent: true}); err != nil {
			b.Fatal(err)
		}
	}
}
