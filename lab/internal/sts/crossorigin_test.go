package sts_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"
)

const singlePage = `{"tenants":[
 {"name":"T","domain":"t.onmicrosoft.com","id":"0f1e2d3c-4b5a-4978-8796-a5b4c3d2e1f0",
  "users":[{"upn":"plain@t.onmicrosoft.com","password":"pass-word-1"}],
  "apps":[{"name":"Page","client_id":"c1111111-2222-4333-8444-555555555555","secret":{"value":"a-secret-of-sufficient-length"},"redirect_uris":["https://app.example/cb"],"spa_redirect_uris":["https://page.example/cb"]}],
  "grants":[{"app":"Page","scopes":["User.Read"]}]}]}`

const pageApp = "c1111111-2222-4333-8444-555555555555"

// script sends a form as a script of another site does.
func (c *cloud) script(tb testing.TB, origin string, form url.Values) (*httptest.ResponseRecorder, map[string]any) {
	tb.Helper()
	r := httptest.NewRequestWithContext(tb.Context(), http.MethodPost, root+"/t.onmicrosoft.com/oauth2/v2.0/token", strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if origin != "" {
		r.Header.Set("Origin", origin)
	}
	w := httptest.NewRecorder()
	c.ServeHTTP(w, r)
	body := map[string]any{}
	if err := json.Unmarshal(w.Body.Bytes(), &body); err != nil {
		tb.Fatal(err)
	}
	return w, body
}

// TestSinglePage: what a single-page app redeems, from where, and for how long.
func TestSinglePage(t *testing.T) {
	c := start(t, singlePage)
	const scope = "User.Read openid offline_access"
	get := func(redirect string, pairs ...string) string {
		b := c.browser(t).get(ask(append([]string{"client_id", pageApp, "redirect_uri", redirect, "scope", scope, "code_challenge", challenge(), "code_challenge_method", "S256"}, pairs...)...)).signIn("plain@t.onmicrosoft.com")
		return b.answer().Get("code")
	}
	form := func(redirect, code string, pairs ...string) url.Values {
		return redeem(append([]string{"client_id", pageApp, "redirect_uri", redirect, "code", code, "code_verifier", verifier, "scope", scope}, pairs...)...)
	}
	const page, web, origin = "https://page.example/cb", "https://app.example/cb", "https://page.example"
	for name, test := range map[string]struct {
		origin string
		form   url.Values
		code   int
	}{
		"without Origin":               {"", form(page, get(page)), 9002327},
		"with a secret":                {origin, form(page, get(page), "client_secret", secret), 700025},
		"without PKCE":                 {origin, form(page, get(page, "code_challenge", "", "code_challenge_method", ""), "code_verifier", ""), 9002325},
		"web code from another origin": {origin, form(web, get(web), "client_secret", secret), 9002326},
		"web code with its secret":     {"", form(web, get(web), "client_secret", secret), 0},
		"web code without its secret":  {"", form(web, get(web)), 7000218},
		"a page's code":                {origin, form(page, get(page)), 0},
	} {
		if w, body := c.script(t, test.origin, test.form); code(body) != test.code || (w.Header().Get("Access-Control-Allow-Origin") == "*") != (test.origin != "") {
			t.Errorf("%s: %v %v", name, body, w.Header())
		}
	}

	// The day of its first refresh token is inherited by the others.
	_, body := c.script(t, origin, form(page, get(page)))
	value := body["refresh_token"].(string)
	refresh := func(origin string, pairs ...string) map[string]any {
		f := url.Values{"grant_type": {"refresh_token"}, "client_id": {pageApp}, "refresh_token": {value}, "scope": {scope}}
		for i := 0; i < len(pairs); i += 2 {
			f.Set(pairs[i], pairs[i+1])
		}
		_, body := c.script(t, origin, f)
		return body
	}
	if body := refresh(""); code(body) != 9002327 {
		t.Errorf("refreshed without Origin: %v", body)
	}
	if body := refresh(origin, "client_secret", secret); code(body) != 700025 {
		t.Errorf("refreshed with a secret: %v", body)
	}
	for range 3 {
		c.now = c.now.Add(8*time.Hour - time.Minute)
		body := refresh(origin)
		if body["refresh_token"] == nil {
			t.Fatalf("%v", body)
		}
		value = body["refresh_token"].(string)
	}
	c.now = c.now.Add(10 * time.Minute)
	if body := refresh(origin); code(body) != 700084 || body["error"] != "invalid_grant" {
		t.Errorf("after a day: %v", body)
	}

	// Browsers ask first.
	for _, path := range []string{"/t.onmicrosoft.com/oauth2/v2.0/token", "/t.onmicrosoft.com/v2.0/.well-known/openid-configuration", "/common/discovery/instance", "/common/discovery/v2.0/keys"} {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodOptions, root+path, nil)
		r.Header.Set("Origin", origin)
		w := httptest.NewRecorder()
		if c.ServeHTTP(w, r); w.Code != http.StatusOK || !strings.Contains(w.Header().Get("Access-Control-Allow-Methods"), "POST") {
			t.Errorf("%s: %d %v", path, w.Code, w.Header())
		}
	}
}
