package spsim

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"gatehouse/lab/internal/directory"
	"gatehouse/lab/internal/token"
)

// Hosts name the tenant and what is reached there.
func TestTenant(t *testing.T) {
	w := newWorld(t)
	for _, c := range []struct {
		host, tenant, kind string
	}{
		{"contoso.sharepoint.com", contoso, "site"},
		{"CONTOSO.SharePoint.com:443", contoso, "site"},
		{"contoso-admin.sharepoint.com", contoso, "admin"},
		{"contoso-my.sharepoint.com", contoso, "my"},
		{"contoso.sharepoint.us", contoso, "site"},
		{"contoso-admin.sharepoint.cn", contoso, "admin"},
		{"fabrikam.sharepoint.com.", fabrikam, "site"},
		// A tenant of that very name comes before another's OneDrive host.
		{"delta-my.sharepoint.com", deltaMy, "site"},
		{"delta-my-my.sharepoint.com", deltaMy, "my"},
		{"nobody.sharepoint.com", "", ""},
		{"contoso-other.sharepoint.com", "", ""},
		{"-admin.sharepoint.com", "", ""},
		{".sharepoint.com", "", ""},
		{"sharepoint.com", "", ""},
		{"a.contoso.sharepoint.com", "", ""},
		{"contoso.sharepoint.com.example", "", ""},
		{"teams.contoso.example", "", ""},
		{"", "", ""},
	} {
		id, kind, ok := Tenant(w.store, c.host)
		if id != c.tenant || kind != c.kind || ok != (c.tenant != "") {
			t.Errorf("%q: %q %q %v, want %q %q", c.host, id, kind, ok, c.tenant, c.kind)
		}
	}
}

// The form of a host, and the address that a ready file names.
func TestAddresses(t *testing.T) {
	for host, want := range map[string]bool{"nobody.sharepoint.com": true, "NOBODY-admin.sharepoint.us:443": true, "a.b.sharepoint.com": false, "sharepoint.com": false, "127.0.0.1:8443": false} {
		if IsHost(host) != want {
			t.Errorf("%s: %v", host, !want)
		}
	}
	if got := Address("https://127.0.0.1:8443/", "Contoso.onmicrosoft.com"); got != "https://127.0.0.1:8443/sharepoint/contoso" {
		t.Errorf("address %q", got)
	}
}

// Who comes without token is told the tenant and where to sign in, whatever
// host and path.
func TestChallenge(t *testing.T) {
	w := newWorld(t)
	for _, c := range []struct{ address, realm, authority string }{
		{main + "/_api/web", contoso, "login.microsoftonline.com"},
		{main + "/sites/nowhere/_api/web", contoso, "login.microsoftonline.com"},
		{main + "/", contoso, "login.microsoftonline.com"},
		{adminHost + "/_api/SPO.Tenant", contoso, "login.microsoftonline.com"},
		{myHost + "/_vti_bin/client.svc", contoso, "login.microsoftonline.com"},
		{"fabrikam.sharepoint.com/_api/web", fabrikam, "login.microsoftonline.com"},
		{"contoso.sharepoint.us/_api/web", contoso, "login.microsoftonline.us"},
		{"contoso.sharepoint.cn/_api/web", contoso, "login.partner.microsoftonline.cn"},
		{"127.0.0.1:8443/sharepoint/contoso/_api/web", contoso, "127.0.0.1:8443"},
	} {
		for _, scheme := range []string{"", "Bearer", "Bearer "} {
			r := w.do(nil, http.MethodGet, c.address, "", "Authorization", scheme)
			challenge := r.header.Get("WWW-Authenticate")
			if r.status != 401 || r.text != "" {
				t.Errorf("%s: status %d, body %q", c.address, r.status, r.text)
			}
			for _, part := range []string{`Bearer realm="` + c.realm + `"`, `client_id="` + directory.SharePointID + `"`, `trusted_issuers="`, `authorization_uri="https://` + c.authority + `/common/oauth2/authorize"`} {
				if !strings.Contains(challenge, part) {
					t.Errorf("%s: challenge %q lacks %q", c.address, challenge, part)
				}
			}
		}
	}
	if r := w.do(nil, http.MethodGet, "127.0.0.1/sharepoint/nobody/_api/web", ""); r.status != 404 || r.header.Get("WWW-Authenticate") != "" {
		t.Errorf("a host that no tenant has: status %d, challenge %q", r.status, r.header.Get("WWW-Authenticate"))
	}
}

// Each reason for which a token is refused, where it is told.
func TestRejectedTokens(t *testing.T) {
	w := newWorld(t)
	good := bearer(t, "https://"+main, reader)
	forged := good[:len(good)-8] + strings.Map(func(c rune) rune {
		if c == 'A' {
			return 'B'
		}
		return 'A'
	}, good[len(good)-8:])
	for _, c := range []struct {
		name, host, token   string
		diagnostics, reason string
		body                string
	}{
		{"made with a secret", main, bearer(t, "https://"+main, reader.with(func(c *token.Claims) { c.AppIDACR = "1" })), "3001000", "Unsupported app only token.", "Unsupported app only token."},
		{"for Graph", main, bearer(t, "https://graph.microsoft.com", reader), "3001000", "Invalid issuer or signature.", `{"error_description":"Invalid issuer or signature."}`},
		{"for Graph by id", main, bearer(t, directory.GraphID, reader), "3001000", "Invalid issuer or signature.", `{"error_description":"Invalid issuer or signature."}`},
		{"for another API", main, bearer(t, "https://management.azure.com", reader), "3000003", "Invalid audience Uri 'https://management.azure.com'.", "{}"},
		{"for another tenant's host", main, bearer(t, "https://fabrikam.sharepoint.com", reader), "3000003", "Invalid audience Uri 'https://fabrikam.sharepoint.com'.", "{}"},
		{"for the sites at the admin centre", adminHost, bearer(t, "https://"+main, reader), "3000003", "Invalid audience Uri", "{}"},
		{"for the admin centre at the sites", main, bearer(t, "https://"+adminHost, reader), "3000003", "Invalid audience Uri", "{}"},
		{"for another suffix", "contoso.sharepoint.us", bearer(t, "https://"+main, reader), "3000003", "Invalid audience Uri", "{}"},
		{"audience with quotes", main, bearer(t, "https://x\"\r\nX-Evil: 1", reader), "3000003", "Invalid audience Uri 'https://x???X-Evil: 1'.", "{}"},
		{"of another tenant", main, bearer(t, directory.SharePointID, reader.with(func(c *token.Claims) { c.TenantID = fabrikam })), "3001000", "Invalid issuer or signature.", `{"error_description":"Invalid issuer or signature."}`},
		{"of the retired Access Control Service", main, bearer(t, directory.SharePointID+"/"+main+"@"+contoso, reader.with(func(c *token.Claims) { c.Issuer = "00000001-0000-0000-c000-000000000000@" + contoso })),
			"3001000", "Token type is not allowed.", `{"error":"invalid_request","error_description":"Token type is not allowed."}`},
		{"forged", main, forged, "3000006", "Token contains invalid signature.", "{}"},
		{"expired", main, bearer(t, "https://"+main, reader.with(func(c *token.Claims) { c.Expires = testNow.Add(-time.Hour).Unix() })), "3001000", "expired", "{}"},
		{"early", main, bearer(t, "https://"+main, reader.with(func(c *token.Claims) { c.NotBefore = testNow.Add(time.Hour).Unix() })), "3001000", "not valid yet", "{}"},
		{"no JWT", main, "Bearer nonsense", "3001000", "cannot be read", "{}"},
		{"unsigned", main, "Bearer eyJhbGciOiJub25lIn0.e30.", "3001000", "cannot be read", "{}"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := w.do(nil, http.MethodGet, c.host+"/_api/web", "", "Authorization", c.token)
			if r.status != 401 || r.text != c.body {
				t.Errorf("status %d, body %q, want 401 and %q", r.status, r.text, c.body)
			}
			if got := r.header.Get("x-ms-diagnostics"); !strings.HasPrefix(got, c.diagnostics+`;reason="`) || !strings.Contains(got, c.reason) || !strings.HasSuffix(got, `;category="invalid_client"`) {
				t.Errorf("x-ms-diagnostics: %q", got)
			}
			if got := r.header.Get("WWW-Authenticate"); !strings.Contains(got, c.reason) || !strings.Contains(got, `realm="`+contoso+`"`) {
				t.Errorf("WWW-Authenticate: %q", got)
			}
			if r.header.Get("X-Evil") != "" {
				t.Error("the audience wrote a header")
			}
		})
	}
}

// Audiences that are good at a host.
func TestAudiences(t *testing.T) {
	w := newWorld(t)
	for _, audience := range []string{"https://" + main, "https://" + main + "/", "https://Contoso.SharePoint.com", directory.SharePointID, directory.SharePointID + "/" + main + "@" + contoso} {
		h := httptest.NewRequest(http.MethodGet, "https://"+main+"/_api/web", nil)
		h.Header.Set("Authorization", bearer(t, audience, reader))
		if r := w.send(h); r.status != 200 {
			t.Errorf("%s: status %d: %s", audience, r.status, r.text)
		}
	}
}

// Since early 2026 the body of a refusal may be empty; the headers have the
// reason all the same.
func TestEmptyBodies(t *testing.T) {
	w := newWorld(t, hostile(1))
	bodies := map[string]int{}
	for range 200 {
		r := w.do(reader.with(func(c *token.Claims) { c.AppIDACR = "1" }), http.MethodGet, main+"/_api/web", "")
		if r.status != 401 || !strings.Contains(r.header.Get("x-ms-diagnostics"), "Unsupported app only token.") {
			t.Fatalf("status %d, diagnostics %q", r.status, r.header.Get("x-ms-diagnostics"))
		}
		bodies[r.text]++
	}
	if bodies["{}"] < 50 || bodies["Unsupported app only token."] < 50 || len(bodies) != 2 {
		t.Errorf("bodies: %v", bodies)
	}
}

// Passwords and SPOIDCRL cookies buy nothing any more.
func TestLegacySignIn(t *testing.T) {
	w := newWorld(t)
	for _, c := range []struct {
		name, address string
		headers       []string
	}{
		{"endpoint", main + "/_vti_bin/idcrl.svc/", nil},
		{"endpoint with a token", main + "/sites/finance/_vti_bin/idcrl.svc/", []string{"Authorization", bearer(t, "https://"+main, reader)}},
		{"cookie", main + "/_api/web", []string{"Cookie", "SPOIDCRL=77u/PD94bWw="}},
		{"cookie, admin centre", adminHost + "/_api/SPO.Tenant", []string{"Cookie", "SPOIDCRL=77u/PD94bWw="}},
		{"Basic", main + "/_api/web", []string{"Authorization", "Basic YTpi"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := w.do(nil, http.MethodGet, c.address, "", c.headers...)
			said := r.header.Get("X-MSDAVEXT_Error")
			if r.status != 401 || r.text != "" || r.header.Get("Content-Length") != "0" || !strings.HasPrefix(said, "917656; Access%20denied%2e") || r.header.Get("X-MS-InvokeApp") != "1; RequireReadOnly" {
				t.Errorf("status %d, body %q, headers %v", r.status, r.text, r.header)
			}
		})
	}
	// Switching the old setting on brings nothing back.
	w.server.SetTenant(contoso, TenantSettings{LegacyAuthProtocolsEnabled: true})
	if r := w.do(nil, http.MethodGet, main+"/_api/web", "", "Cookie", "SPOIDCRL=77u/PD94bWw="); r.status != 401 {
		t.Errorf("with the setting: status %d", r.status)
	}
	if r := w.do(reader, http.MethodGet, main+"/_api/web", "", "Cookie", "SPOIDCRL=77u/PD94bWw="); r.status != 200 {
		t.Errorf("a token beside the cookie: status %d", r.status)
	}
}

// Every answer carries the headers that support asks for.
func TestHeaders(t *testing.T) {
	for name, w := range map[string]*world{"deterministic": newWorld(t), "hostile": newWorld(t, hostile(2))} {
		seen := map[string]bool{}
		for _, r := range []reply{
			w.do(nil, http.MethodGet, main+"/_api/web", ""), w.do(reader, http.MethodGet, main+"/_api/web", ""), w.do(app(), http.MethodGet, main+"/_api/web", ""),
			w.do(reader, http.MethodGet, main+"/sites/none/_api/web", ""), w.do(nil, http.MethodGet, main+"/_vti_bin/idcrl.svc", ""), w.do(nil, http.MethodGet, "example.com/x", ""),
		} {
			id := r.header.Get("SPRequestGuid")
			if len(id) != 36 || r.header.Get("request-id") != id || seen[id] {
				t.Errorf("%s: SPRequestGuid %q, request-id %q", name, id, r.header.Get("request-id"))
			}
			seen[id] = true
			for _, must := range []string{"MS-CV", "MicrosoftSharePointTeamServices", "X-SharePointHealthScore", "SPRequestDuration", "SPIisLatency"} {
				if r.header.Get(must) == "" {
					t.Errorf("%s: status %d lacks %s", name, r.status, must)
				}
			}
		}
	}
}
