package sts_test

import (
	"crypto/x509"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"gatehouse/lab/internal/directory"
	"gatehouse/lab/internal/sts"
	"gatehouse/lab/internal/token"
)

const tenants = `{"tenants":[{"name":"T","domain":"t.onmicrosoft.com","id":"0f1e2d3c-4b5a-4978-8796-a5b4c3d2e1f0",
 "users":[{"upn":"u@t.onmicrosoft.com","password":"pass-word-1"}],
 "apps":[{"name":"App","client_id":"11111111-2222-4333-8444-555555555555","secret":{"value":"a-secret-of-sufficient-length"}}],
 "grants":[{"app":"Microsoft Graph Command Line Tools","scopes":["User.Read"]}]}]}`

func server(tb testing.TB) *sts.Server {
	tb.Helper()
	now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	file, err := directory.Parse(strings.NewReader(tenants), now)
	if err != nil {
		tb.Fatal(err)
	}
	store, _, err := directory.New(file, directory.Config{Seed: 1, Now: func() time.Time { return now },
		NewCertificate: func(string, time.Time, time.Time) (*x509.Certificate, error) { return nil, errors.New("not asked for") }})
	if err != nil {
		tb.Fatal(err)
	}
	root := func(*http.Request) string { return "https://lab.test" }
	return sts.New(sts.Config{Store: store, Tokens: token.NewSigner(nil), Root: root})
}

// FuzzRequests sends arbitrary requests: the answer is always a complete one.
// A token is only ever given for the right password or secret, script runs
// only where a page hands an answer over, and the browser is sent only to
// addresses that an app has registered.
func FuzzRequests(f *testing.F) {
	c := start(f, people)
	f.Add("POST", "/t.onmicrosoft.com/oauth2/v2.0/token", "grant_type=client_credentials&client_id=11111111-2222-4333-8444-555555555555&client_secret=wrong&scope=https://graph.microsoft.com/.default", "")
	f.Add("POST", "/organizations/oauth2/v2.0/token", "grant_type=password&client_id=14d82eec-204b-4c2f-b7e8-296a70dab67e&username=plain@t.onmicrosoft.com&password=x&scope=User.Read", "")
	f.Add("POST", "/t.onmicrosoft.com/oauth2/token", "grant_type=refresh_token&client_id=x&refresh_token=y", "Basic Zm9vOmJhcg==")
	f.Add("POST", "/t.onmicrosoft.com/oauth2/v2.0/token", "grant_type=client_credentials&client_id=11111111-2222-4333-8444-555555555555&client_assertion_type=urn:ietf:params:oauth:client-assertion-type:jwt-bearer&client_assertion=e30.e30.AA&scope=x/.default", "")
	f.Add("POST", "/common/oauth2/v2.0/token", redeem("code", "x").Encode(), "")
	f.Add("POST", "/t.onmicrosoft.com/oauth2/v2.0/token", "grant_type=device_code&client_id="+desktop+"&device_code=x", "")
	f.Add("POST", "/t.onmicrosoft.com/oauth2/v2.0/token", "grant_type=urn:ietf:params:oauth:grant-type:jwt-bearer&requested_token_use=on_behalf_of&scope=User.Read&assertion=e30.e30.AA&client_id="+webApp, "")
	f.Add("POST", "/common/oauth2/v2.0/token", "grant_type=urn:ietf:params:oauth:grant-type:jwt-bearer&requested_token_use=on_behalf_of&scope=api://x/.default&client_secret=x&assertion=e30.eyJ0aWQiOiIwZjFlMmQzYy00YjVhLTQ5NzgtODc5Ni1hNWI0YzNkMmUxZjAifQ.AA&client_id="+webApp, "")
	f.Add("POST", "/t.onmicrosoft.com/oauth2/v2.0/token", "grant_type=urn:ietf:params:oauth:grant-type:saml1_1-bearer&scope=User.Read&assertion=PGEvPg==&username=plain@t.onmicrosoft.com&client_id="+desktop, "")
	f.Add("POST", "/t.onmicrosoft.com/oauth2/token", "grant_type=urn:ietf:params:oauth:grant-type:saml2-bearer&resource=https://graph.microsoft.com&assertion=PCFET0NUWVBFIGE-&client_id="+desktop, "")
	f.Add("POST", "/t.onmicrosoft.com/oauth2/v2.0/token", "grant_type=client_credentials&scope=x/.default&client_assertion_type=urn:ietf:params:oauth:client-assertion-type:jwt-bearer&client_assertion=e30.eyJpc3MiOiJodHRwczovL3gifQ.AA&client_id="+webApp, "")
	f.Add("POST", "/t.onmicrosoft.com/oauth2/v2.0/token", redeem("code", "x", "claims", `{"access_token":{"xms_cc":{"values":["cp1"]},"polids":{"values":["x"]}}}`).Encode(), "")
	f.Add("POST", "/login.srf", "wa=wsignin1.0&wctx=x&wresult=%3Ca%3E", "")
	f.Add("OPTIONS", "/t.onmicrosoft.com/oauth2/v2.0/token", "", "")
	f.Add("POST", "/common/oauth2/v2.0/devicecode", "scope=User.Read&client_id="+desktop, "")
	f.Add("GET", "/common/discovery/instance?authorization_endpoint=https://%00/x", "", "")
	f.Add("GET", "/common/userrealm/%2e%2e?api-version=1.0", "", "")
	f.Add("GET", "/error?code=<script>", "", "")
	f.Add("GET", ask(), "", "")
	f.Add("GET", ask("response_mode", "form_post", "prompt", "none", "state", "<script>"), "", "")
	f.Add("GET", ask("redirect_uri", "javascript:alert(1)//localhost", "claims", `{"id_token":{"acrs":{"values":["c1"]}}}`), "", "")
	f.Add("POST", "/t.onmicrosoft.com/oauth2/v2.0/authorize", "client_id="+webApp+"&redirect_uri=https://app.example/cb&response_type=code+id_token&nonce=n&scope=openid&login_hint=plain@t.onmicrosoft.com", "")
	f.Add("GET", "/t.onmicrosoft.com/adminconsent?client_id="+desktop+"&redirect_uri=http://localhost", "", "")
	f.Add("GET", "/common/oauth2/v2.0/logout?post_logout_redirect_uri=//evil.example", "", "")
	f.Add("POST", "/common/oauth2/deviceauth", "otc=%3Cscript%3E", "")
	f.Add("POST", "/common/login", "flow=x&csrf=y", "")
	f.Fuzz(func(t *testing.T, method, target, body, authorization string) {
		r, err := http.NewRequestWithContext(t.Context(), method, "https://lab.test/"+strings.TrimPrefix(target, "/"), strings.NewReader(body))
		if err != nil {
			return
		}
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Authorization", authorization)
		w := httptest.NewRecorder()
		c.ServeHTTP(w, r)
		if w.Code < 200 || w.Code > 599 {
			t.Fatalf("status %d", w.Code)
		}
		if strings.HasPrefix(w.Header().Get("Content-Type"), "application/json") && !json.Valid(w.Body.Bytes()) {
			t.Fatalf("broken JSON: %s", w.Body)
		}
		if strings.Contains(w.Body.String(), `"access_token"`) && !strings.Contains(body+authorization, "pass") && !strings.Contains(body+authorization, "secret") {
			t.Fatalf("a token for %q", body)
		}
		if strings.HasPrefix(w.Header().Get("Content-Type"), "text/html") {
			scripts := 0
			if strings.Contains(w.Header().Get("Content-Security-Policy"), "script-src 'nonce-") {
				scripts = 1
			}
			if strings.Count(w.Body.String(), "<script") != scripts {
				t.Fatalf("script in a page: %s", w.Body)
			}
		}
		if location := w.Header().Get("Location"); location != "" {
			u, err := url.Parse(location)
			if err != nil || !slices.Contains([]string{"", "localhost", "app.example", "auth", "login.microsoftonline.com"}, strings.ToLower(u.Hostname())) {
				t.Fatalf("sent to %s", location)
			}
		}
	})
}

// BenchmarkClientCredentials is one app sign-in without the network: secret
// check, signature, log.
func BenchmarkClientCredentials(b *testing.B) {
	s := server(b)
	const body = "grant_type=client_credentials&client_id=11111111-2222-4333-8444-555555555555&client_secret=a-secret-of-sufficient-length&scope=https://graph.microsoft.com/.default"
	for b.Loop() {
		r := httptest.NewRequestWithContext(b.Context(), http.MethodPost, "https://lab.test/t.onmicrosoft.com/oauth2/v2.0/token", strings.NewReader(body))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		w := httptest.NewRecorder()
		s.ServeHTTP(w, r)
		if w.Code != http.StatusOK {
			b.Fatal(w.Body)
		}
	}
}
