package login_test

import (
	"errors"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"gatehouse/internal/microsoft"
	"gatehouse/internal/microsoft/login"
	"gatehouse/internal/secrets"
	"gatehouse/internal/testenv/pages"
	"gatehouse/lab"
)

const signInScope = "https://graph.microsoft.com/User.Read"

// signInFile is a tenant with a confidential client and somebody with a code app.
const signInFile = `{"tenants":[{"name":"Quiet Quay","domain":"quietquay.onmicrosoft.com","mandatory_mfa":false,"security_defaults":true,
 "users":[{"upn":"ines@quietquay.onmicrosoft.com","name":"Ines Person","methods":[{"type":"oath"}]}],
 "apps":[{"name":"Quay reports","secret":true,"certificate":true,"redirect_uris":["http://localhost/back"],"delegated_permissions":{"graph":["openid","profile","offline_access","User.Read"]}}],
 "grants":[{"app":"Quay reports","scopes":["openid","profile","offline_access","User.Read"]}]}]}`

// A person signs in with MFA through the browser; the code, the refresh token with
// secret and with certificate, and the id token are taken.
func TestDelegated(t *testing.T) {
	t.Parallel()
	l := lab.Start(t, lab.WithTenants(signInFile))
	at := l.Tenant("quietquay")
	app := at.App("Quay reports")
	c := login.New(login.Config{Cloud: microsoft.At("lab", l.URL(), l.Roots())})
	scopes := []string{signInScope, "openid", "profile", "offline_access"}
	ask := login.Ask{Tenant: at.ID, ClientID: app.ClientID, Redirect: "http://localhost/back", Scopes: scopes, State: "s1", Nonce: "n1", Verifier: login.NewVerifier(), Hint: "ines@quietquay.onmicrosoft.com"}
	back, stuck := pages.Of(t, l, "quietquay", "ines").Follow(c.AuthorizeURL(ask))
	if back == nil {
		t.Fatal(stuck)
	}
	if back.Query().Get("state") != "s1" || back.Query().Get("code") == "" {
		t.Fatal(back)
	}
	redemption := login.Redemption{Tenant: at.ID, Redirect: ask.Redirect, Code: secrets.New(back.Query().Get("code")), Verifier: ask.Verifier, Scopes: scopes}
	public := login.App{ClientID: app.ClientID}
	if _, err := c.Renew(t.Context(), public, at.ID, secrets.New("1.Anothing"), scopes, ""); err == nil {
		t.Error("a confidential client needs no proof")
	}
	withSecret := login.App{ClientID: app.ClientID, Secret: secrets.New(*app.Secret)}
	earned, err := c.Code(t.Context(), withSecret, redemption)
	if err != nil {
		t.Fatal(err)
	}
	if earned.Refresh.Empty() || earned.Claims.UPN != "ines@quietquay.onmicrosoft.com" || !earned.Expires.After(time.Now().Add(time.Minute)) {
		t.Errorf("%+v", earned)
	}
	expected := login.Expected{TenantID: at.ID, ClientID: app.ClientID, Nonce: "n1", Now: time.Now()}
	who, err := c.VerifyID(t.Context(), earned.ID, expected)
	if err != nil || who.Username != "ines@quietquay.onmicrosoft.com" || who.ObjectID == "" {
		t.Errorf("%+v, %v", who, err)
	}
	wrong := map[string]func(*login.Expected){
		"nonce": func(e *login.Expected) { e.Nonce = "n2" }, "audience": func(e *login.Expected) { e.ClientID = "11111111-2222-3333-4444-555555555555" },
		"expired": func(e *login.Expected) { e.Now = e.Now.Add(3 * time.Hour) }, "not_yet": func(e *login.Expected) { e.Now = e.Now.Add(-3 * time.Hour) },
	}
	for reason, change := range wrong {
		e := expected
		change(&e)
		var is *login.IdentityError
		if _, err := c.VerifyID(t.Context(), earned.ID, e); !errors.As(err, &is) || is.Reason != reason {
			t.Errorf("%s: %v", reason, err)
		}
	}
	if _, err := c.Code(t.Context(), withSecret, redemption); err == nil || !strings.Contains(err.Error(), "54005") {
		t.Errorf("a code was taken twice: %v", err)
	}
	certificate, err := readPEM(t, *app.CertificateFile)
	if err != nil {
		t.Fatal(err)
	}
	again, err := c.Renew(t.Context(), login.App{ClientID: app.ClientID, Certificate: &certificate}, at.ID, earned.Refresh, scopes, "")
	if err != nil || again.Refresh.Empty() || again.Refresh.Reveal() == earned.Refresh.Reveal() || again.Access.Reveal() == earned.Access.Reveal() {
		t.Errorf("%+v, %v", again, err)
	}
}

// What the token endpoint must not get away with.
func TestDelegatedAnswers(t *testing.T) {
	t.Parallel()
	for name, answer := range map[string]struct {
		body string
		want error
	}{
		"ended":      {`{"token_type":"Bearer","access_token":"planted-token","expires_in":0}`, login.ErrExpired},
		"long ended": {`{"token_type":"Bearer","access_token":"planted-token","expires_in":"-3600"}`, login.ErrExpired},
		"no token":   {`{"token_type":"Bearer","expires_in":3600}`, nil},
		"no type":    {`{"access_token":"planted-token","expires_in":3600}`, nil},
		"endless":    {`{"token_type":"Bearer","access_token":"planted-token","expires_in":1e300}`, nil},
		"empty":      {``, nil},
	} {
		c := login.New(login.Config{Cloud: cloud, Transport: wire(func(*http.Request) (int, string, string) { return 200, "application/json", answer.body })})
		_, err := c.Renew(t.Context(), login.App{ClientID: "a"}, "t", secrets.New("planted-refresh"), []string{signInScope}, "")
		var e *microsoft.Error
		if !errors.As(err, &e) || answer.want != nil && !errors.Is(err, answer.want) || strings.Contains(err.Error(), "planted") || strings.Contains(string(e.Body), "planted") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func readPEM(t *testing.T, path string) (login.Certificate, error) {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return login.ReadCertificate(data)
}
