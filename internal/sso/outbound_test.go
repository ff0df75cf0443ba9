package sso_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"

	"gatehouse/internal/secrets"
	"gatehouse/internal/sso"
	"gatehouse/internal/sso/ssotest"
)

const redirect = "https://gatehouse.example/sign-in/sso/callback"

// try signs in through a provider as a browser would, and gives the person.
func try(t *testing.T, issuer *ssotest.Provider, c sso.Config) (*sso.Person, error) {
	t.Helper()
	c.Issuer, c.ClientID, c.Name, c.Redirect, c.Roots = issuer.URL, ssotest.ClientID, "Contoso", redirect, issuer.Roots
	p, err := sso.New(c)
	if err != nil {
		t.Fatal(err)
	}
	address, flow, err := p.Begin(t.Context(), strings.Repeat("s", 43), strings.Repeat("n", 43))
	if err != nil {
		return nil, err
	}
	browser := issuer.Browser()
	defer browser.CloseIdleConnections()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address, nil)
	if err != nil {
		t.Fatal(err)
	}
	response, err := browser.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	back, err := url.Parse(response.Header.Get("Location"))
	if err != nil || response.StatusCode != http.StatusFound {
		t.Fatalf("%s: %v", response.Status, err)
	}
	q := back.Query()
	return p.Finish(t.Context(), flow, sso.Answer{Code: q.Get("code"), State: q.Get("state"), Issuer: q.Get("iss")})
}

// The issuer is named by whoever runs the machine, and is reached wherever it is.
// What its metadata names besides is reached like any address from outside: never
// within the own network, unless that is allowed.
func TestOutboundRoute(t *testing.T) {
	t.Parallel()
	issuer := ssotest.Start(t, redirect)
	issuer.Is(ssotest.Person{Subject: "subject-1", Name: "Eva Person"})
	var asked atomic.Int64
	inside := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		asked.Add(1)
		w.WriteHeader(http.StatusTeapot)
	}))
	t.Cleanup(inside.Close)
	secret := secrets.New(ssotest.Secret)
	if who, err := try(t, issuer, sso.Config{Secret: secret}); err != nil || who == nil {
		t.Fatalf("the issuer itself, on this machine: %v", err)
	}
	for _, endpoint := range []string{"token_endpoint", "jwks_uri"} {
		issuer.Twist(ssotest.Twist{Meta: func(m map[string]any) { m[endpoint] = inside.URL + "/" + endpoint }})
		_, err := try(t, issuer, sso.Config{Secret: secret})
		var refused *sso.Refusal
		if !errors.As(err, &refused) || refused.Reason != sso.Unreachable || !strings.Contains(err.Error(), "this machine") || asked.Load() != 0 {
			t.Errorf("%s within the network: %v, asked %d times", endpoint, err, asked.Load())
		}
		if _, err := try(t, issuer, sso.Config{Secret: secret, Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")}}); err == nil || asked.Swap(0) == 0 {
			t.Errorf("%s within the network, which is allowed, was not asked: %v", endpoint, err)
		}
		issuer.Twist(ssotest.Twist{Meta: func(m map[string]any) { m[endpoint] = strings.Replace(inside.URL, "https:", "http:", 1) }})
		if _, err := try(t, issuer, sso.Config{Secret: secret}); !errors.As(err, &refused) || refused.Reason != sso.Unreachable || asked.Load() != 0 {
			t.Errorf("%s without TLS: %v", endpoint, err)
		}
	}
	// An issuer that sends requests on does not choose who is asked either.
	sending := httptest.NewTLSServer(http.RedirectHandler(inside.URL, http.StatusFound))
	t.Cleanup(sending.Close)
	p, err := sso.New(sso.Config{Issuer: sending.URL, ClientID: ssotest.ClientID, Redirect: redirect, Roots: issuer.Roots, Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}})
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := p.Begin(context.Background(), "state", "nonce"); err == nil || !strings.Contains(err.Error(), "another address") || asked.Load() != 0 {
		t.Errorf("sent on: %v, asked %d times", err, asked.Load())
	}
}

// A public client, which has no secret, sends none, and gets in by its proof key
// alone; one with a secret is refused where none is expected, and the reverse.
func TestPublicClient(t *testing.T) {
	t.Parallel()
	issuer := ssotest.Start(t, redirect)
	issuer.Is(ssotest.Person{Subject: "subject-1", Email: "eva@contoso.example", Name: "Eva Person"})
	for _, public := range []bool{true, false} {
		issuer.Twist(ssotest.Twist{Public: public})
		for _, secret := range []string{"", ssotest.Secret} {
			who, err := try(t, issuer, sso.Config{Secret: secrets.New(secret)})
			if right := public == (secret == ""); right && (err != nil || who.Name != "Eva Person") || !right && err == nil {
				t.Errorf("public %t, with a secret %t: %+v %v", public, secret != "", who, err)
			}
		}
	}
}
