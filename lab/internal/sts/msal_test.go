package sts_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/AzureAD/microsoft-authentication-library-for-go/apps/public"
)

// client gives MSAL Go a way to the service.
func (c *cloud) client(tb testing.TB) public.Client {
	tb.Helper()
	client, err := public.New(desktop, public.WithAuthority(root+"/t.onmicrosoft.com"), public.WithInstanceDiscovery(false), public.WithHTTPClient(&http.Client{Transport: c}))
	if err != nil {
		tb.Fatal(err)
	}
	return client
}

// RoundTrip answers a request without a network.
func (c *cloud) RoundTrip(r *http.Request) (*http.Response, error) {
	w := httptest.NewRecorder()
	if r.Body == nil {
		r.Body = http.NoBody
	}
	if r.Host == "" {
		r.Host = r.URL.Host
	}
	r.RemoteAddr = "127.0.0.1:40000"
	c.serve(w, r)
	c.answered = w.Body.Bytes()
	return w.Result(), nil
}

// TestMSALInteractive: MSAL Go's interactive sign-in, with a browser that
// brings the answer to its listener as a posted form.
func TestMSALInteractive(t *testing.T) {
	c := start(t, people)
	result, err := c.client(t).AcquireTokenInteractive(t.Context(), []string{"User.Read"}, public.WithOpenURL(func(address string) error {
		b := c.browser(t).get(strings.TrimPrefix(address, root)).signIn("oath@t.onmicrosoft.com").want("code").fill("code", totp(t, "JBSWY3DPEHPK3PXP", c.now)).want("stay").fill("action", "no")
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, b.left.String(), strings.NewReader(b.answer().Encode()))
		if err != nil {
			return err
		}
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		response, err := http.DefaultClient.Do(r)
		if err != nil {
			return err
		}
		defer response.Body.Close()
		_, err = io.Copy(io.Discard, response.Body)
		return err
	}))
	if err != nil {
		t.Fatal(err)
	}
	if claims(t, result.AccessToken)["upn"] != "oath@t.onmicrosoft.com" || result.Account.PreferredUsername != "oath@t.onmicrosoft.com" || result.IDToken.Oid == "" {
		t.Errorf("%+v", result)
	}
}

// TestMSALDeviceCode: MSAL Go's device code sign-in, which begins to poll
// before the person has signed in.
func TestMSALDeviceCode(t *testing.T) {
	c := start(t, people)
	device, err := c.client(t).AcquireTokenByDeviceCode(t.Context(), []string{"User.Read"})
	if err != nil {
		t.Fatal(err)
	}
	c.browser(t).get("/common/oauth2/deviceauth?otc="+device.Result.UserCode).fill().want("device").fill("action", "continue").signIn("plain@t.onmicrosoft.com").want("200", "You are signed in to")
	result, err := device.AuthenticationResult(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if claims(t, result.AccessToken)["upn"] != "plain@t.onmicrosoft.com" {
		t.Errorf("%+v", result)
	}
}
