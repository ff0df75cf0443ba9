package lab_test

import (
	"bytes"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1" //nolint:gosec // the older x5t form is SHA-1
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"io"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"gatehouse/lab"
)

const (
	graphCLI     = "14d82eec-204b-4c2f-b7e8-296a70dab67e"
	azureCLI     = "04b07795-8ddb-461a-bbee-02f9e1bf7b46"
	graphDefault = "https://graph.microsoft.com/.default"
)

// answer is an answer of the lab.
type answer struct {
	status int
	header http.Header
	body   map[string]any
	raw    string
}

func (a answer) text(member string) string { s, _ := a.body[member].(string); return s }

// code is the AADSTS number of a refusal, 0 for a token.
func (a answer) code() int {
	codes, _ := a.body["error_codes"].([]any)
	if len(codes) == 0 {
		return 0
	}
	n, _ := codes[0].(float64)
	return int(n)
}

func do(t *testing.T, l *lab.Lab, r *http.Request) answer {
	t.Helper()
	response, err := l.Client().Do(r)
	if err != nil {
		t.Fatalf("%s %s: %v", r.Method, r.URL, err)
	}
	defer response.Body.Close()
	data, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	a := answer{status: response.StatusCode, header: response.Header, raw: string(data)}
	_ = json.Unmarshal(data, &a.body) // some answers are text; the test looks at what it needs
	return a
}

func get(t *testing.T, l *lab.Lab, address, token string) answer {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address, nil)
	if err != nil {
		t.Fatal(err)
	}
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	return do(t, l, r)
}

// post sends a token request; path is relative to the lab.
func post(t *testing.T, l *lab.Lab, path string, form url.Values) answer {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, l.URL()+path, strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded; charset=utf-8")
	return do(t, l, r)
}

func passwordForm(client, user, password string) url.Values {
	return url.Values{"grant_type": {"password"}, "client_id": {client}, "username": {user}, "password": {password}, "scope": {graphDefault + " openid offline_access profile"}, "client_info": {"1"}}
}

func signIn(t *testing.T, l *lab.Lab, tenant, user, client string) answer {
	t.Helper()
	u := l.Tenant(tenant).User(user)
	if u.Password == nil {
		t.Fatalf("%s has no password", u.UPN)
	}
	return post(t, l, "/"+l.Tenant(tenant).ID+"/oauth2/v2.0/token", passwordForm(client, u.UPN, *u.Password))
}

func secretForm(a lab.ReadyApp) url.Values {
	return url.Values{"grant_type": {"client_credentials"}, "client_id": {a.ClientID}, "client_secret": {*a.Secret}, "scope": {graphDefault}}
}

// Every gate of the token endpoint, in the lab's built-in tenants: what it
// refuses, and how.
func TestRefusals(t *testing.T) {
	l := lab.Start(t)
	app := func(tenant, name string) lab.ReadyApp { return l.Tenant(tenant).App(name) }
	password := func(tenant, user, client string) func() answer {
		return func() answer { return signIn(t, l, tenant, user, client) }
	}
	form := func(tenant string, change func(url.Values)) func() answer {
		return func() answer {
			f := secretForm(app("openharbour", "Backup app"))
			change(f)
			return post(t, l, "/"+tenant+"/oauth2/v2.0/token", f)
		}
	}
	const home = "openharbour.onmicrosoft.com"
	tests := []struct {
		name            string
		ask             func() answer
		status, code    int
		oauth, suberror string
	}{
		{"security defaults, registered", password("defaultshield", "svc-connection", graphCLI), 400, 50076, "invalid_grant", "basic_action"},
		{"security defaults, not registered", password("defaultshield", "svc-unenrolled", graphCLI), 400, 50079, "interaction_required", "basic_action"},
		{"security defaults, registration due", password("defaultshield", "svc-new", graphCLI), 400, 50079, "interaction_required", "basic_action"},
		{"security defaults, Azure CLI for everybody", password("defaultshield", "svc-plain", azureCLI), 400, 50076, "invalid_grant", "basic_action"},
		{"per-user MFA enforced", password("profilepark", "svc-avepoint", graphCLI), 400, 50076, "invalid_grant", "basic_action"},
		{"per-user MFA enabled, not registered", password("profilepark", "svc-waiting", graphCLI), 400, 50079, "interaction_required", "basic_action"},
		{"app password on the password grant", func() answer {
			u := l.Tenant("profilepark").User("svc-avepoint")
			return post(t, l, "/profilepark.onmicrosoft.com/oauth2/v2.0/token", passwordForm(graphCLI, u.UPN, *u.AppPassword))
		}, 400, 50126, "invalid_grant", ""},
		{"mandatory MFA", password("azurequay", "svc-deploy", azureCLI), 400, 50076, "invalid_grant", "basic_action"},
		{"disabled account", password("brokenbay", "svc-disabled", graphCLI), 400, 50057, "invalid_grant", ""},
		{"locked account", password("brokenbay", "svc-locked", graphCLI), 400, 50053, "invalid_grant", ""},
		{"expired password", password("brokenbay", "svc-expired", graphCLI), 400, 50055, "invalid_grant", "user_password_expired"},
		{"wrong password", func() answer {
			return post(t, l, "/brokenbay.onmicrosoft.com/oauth2/v2.0/token", passwordForm(graphCLI, "svc-ok@brokenbay.example", "wrong"))
		}, 400, 50126, "invalid_grant", ""},
		{"account without password", func() answer {
			return post(t, l, "/brokenbay.onmicrosoft.com/oauth2/v2.0/token", passwordForm(graphCLI, "svc-nopassword@brokenbay.example", "anything"))
		}, 400, 50126, "invalid_grant", ""},
		{"unknown user", func() answer {
			return post(t, l, "/brokenbay.onmicrosoft.com/oauth2/v2.0/token", passwordForm(graphCLI, "nobody@brokenbay.example", "x"))
		}, 400, 50034, "invalid_grant", "bad_token"},
		{"user of another tenant", func() answer {
			return post(t, l, "/brokenbay.onmicrosoft.com/oauth2/v2.0/token", passwordForm(graphCLI, "svc-backup@openharbour.example", "x"))
		}, 400, 50020, "invalid_grant", ""},
		{"federated user", password("federaford", "svc-sync", graphCLI), 400, 50126, "invalid_grant", ""},
		{"no consent", func() answer {
			return signIn(t, l, "ledgerlane", "ben.koch", app("ledgerlane", "Ledger Link").ClientID)
		}, 400, 65001, "invalid_grant", "consent_required"},
		{"not assigned", func() answer {
			return signIn(t, l, "ledgerlane", "carla.novak", app("ledgerlane", "Ledger Reports").ClientID)
		}, 400, 50105, "invalid_grant", ""},
		{"partner, app not authorised in the customer's tenant", func() answer {
			u := l.Tenant("partnerpoint").User("tina.tech")
			return post(t, l, "/ledgerlane.onmicrosoft.com/oauth2/v2.0/token", passwordForm(graphCLI, u.UPN, *u.Password))
		}, 400, 90099, "invalid_grant", ""},
		{"partner, in no mapped group", func() answer {
			u := l.Tenant("partnerpoint").User("uwe.unmapped")
			return post(t, l, "/ledgerlane.onmicrosoft.com/oauth2/v2.0/token", passwordForm(graphCLI, u.UPN, *u.Password))
		}, 400, 50020, "invalid_grant", ""},
		{"password on /common", func() answer {
			return post(t, l, "/common/oauth2/v2.0/token", passwordForm(graphCLI, "svc-backup@openharbour.example", "x"))
		}, 400, 9001023, "invalid_request", ""},
		{"app on /organizations", form("organizations", func(url.Values) {}), 400, 50059, "invalid_request", ""},
		{"unknown tenant", form("nowhere.onmicrosoft.com", func(url.Values) {}), 400, 90002, "invalid_request", ""},
		{"unknown app", form(home, func(f url.Values) { f.Set("client_id", "11111111-2222-3333-4444-555555555555") }), 400, 700016, "unauthorized_client", ""},
		{"app of another tenant", form("brokenbay.onmicrosoft.com", func(url.Values) {}), 400, 700016, "unauthorized_client", ""},
		{"multi-tenant app that nobody consented to", form(home, func(f url.Values) { f.Set("client_id", app("vendorvale", "Ledger Link").ClientID) }), 401, 7000229, "invalid_client", ""},
		{"wrong secret", form(home, func(f url.Values) { f.Set("client_secret", "wrong~secret-of-some-length") }), 401, 7000215, "invalid_client", ""},
		{"no credential", form(home, func(f url.Values) { f.Del("client_secret") }), 401, 7000218, "invalid_client", ""},
		{"public client with a secret", form(home, func(f url.Values) { f.Set("client_id", graphCLI) }), 401, 700025, "invalid_client", ""},
		{"public client for itself", form(home, func(f url.Values) { f.Set("client_id", graphCLI); f.Del("client_secret") }), 401, 7000218, "invalid_client", ""},
		{"expired secret", func() answer {
			return post(t, l, "/brokenbay.onmicrosoft.com/oauth2/v2.0/token", secretForm(app("brokenbay", "Expired secret app")))
		}, 401, 7000222, "invalid_client", ""},
		{"disabled app", func() answer {
			return post(t, l, "/brokenbay.onmicrosoft.com/oauth2/v2.0/token", secretForm(app("brokenbay", "Disabled app")))
		}, 400, 7000112, "unauthorized_client", ""},
		{"app scope without .default", form(home, func(f url.Values) { f.Set("scope", "https://graph.microsoft.com/User.Read.All") }), 400, 1002012, "invalid_scope", ""},
		{"unknown resource", form(home, func(f url.Values) { f.Set("scope", "https://nowhere.example/.default") }), 400, 500011, "invalid_resource", ""},
		{"product the tenant never had", form(home, func(f url.Values) { f.Set("scope", "https://api.businesscentral.dynamics.com/.default") }), 400, 500011, "invalid_resource", ""},
		{"two resources", form(home, func(f url.Values) { f.Set("scope", graphDefault+" https://management.azure.com/.default") }), 400, 28000, "invalid_request", ""},
		{"no scope", form(home, func(f url.Values) { f.Del("scope") }), 400, 900144, "invalid_request", ""},
		{"no grant type", form(home, func(f url.Values) { f.Del("grant_type") }), 400, 900144, "invalid_request", ""},
		{"unknown grant type", form(home, func(f url.Values) { f.Set("grant_type", "magic") }), 400, 70003, "unsupported_grant_type", ""},
		{"no client id", form(home, func(f url.Values) { f.Del("client_id") }), 400, 900144, "invalid_request", ""},
		{"GET", func() answer { return get(t, l, l.URL()+"/"+home+"/oauth2/v2.0/token", "") }, 400, 900561, "invalid_request", ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			a := test.ask()
			if a.status != test.status || a.code() != test.code || a.text("error") != test.oauth || a.text("suberror") != test.suberror {
				t.Errorf("got %d, %d, %q, %q, want %d, %d, %q, %q\n%s", a.status, a.code(), a.text("error"), a.text("suberror"), test.status, test.code, test.oauth, test.suberror, a.raw)
			}
		})
	}
}

// The body of a refusal, member by member (entra-sign-in §4.1).
func TestRefusalBody(t *testing.T) {
	l := lab.Start(t)
	const correlation = "0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0"
	form := passwordForm(graphCLI, "svc-ok@brokenbay.example", "wrong")
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, l.URL()+"/brokenbay.onmicrosoft.com/oauth2/v2.0/token", strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("client-request-id", correlation)
	a := do(t, l, r)
	if a.text("correlation_id") != correlation || a.header.Get("client-request-id") != correlation {
		t.Errorf("the caller's correlation id is not echoed: %s", a.raw)
	}
	if a.text("trace_id") == "" || a.header.Get("x-ms-request-id") != a.text("trace_id") {
		t.Errorf("x-ms-request-id is %q, trace_id %q", a.header.Get("x-ms-request-id"), a.text("trace_id"))
	}
	description := regexp.MustCompile(`^AADSTS50126: [^\r\n]+\r\nTrace ID: ` + a.text("trace_id") + `\r\nCorrelation ID: ` + correlation + `\r\nTimestamp: \d{4}-\d\d-\d\d \d\d:\d\d:\d\dZ$`)
	if !description.MatchString(a.text("error_description")) {
		t.Errorf("description %q", a.text("error_description"))
	}
	if !strings.HasSuffix(a.text("error_description"), a.text("timestamp")) {
		t.Errorf("timestamp %q", a.text("timestamp"))
	}
	if !strings.Contains(a.raw, `"error_codes":[50126]`) {
		t.Errorf("error_codes are not integers: %s", a.raw)
	}
	for header, want := range map[string]string{"Cache-Control": "no-store, no-cache", "Pragma": "no-cache", "x-ms-clitelem": "1,50126,0,,", "Content-Type": "application/json; charset=utf-8"} {
		if got := a.header.Get(header); got != want {
			t.Errorf("%s is %q, want %q", header, got, want)
		}
	}
	// MSAL.js reads these words anywhere in a description as "ask the person".
	for _, word := range []string{"interaction_required", "consent_required", "login_required", "bad_token", "basic_action", "message_only"} {
		if strings.Contains(a.text("error_description"), word) {
			t.Errorf("the description contains %q", word)
		}
	}
	page := get(t, l, a.text("error_uri"), "")
	if page.status != http.StatusOK || !strings.Contains(page.raw, "AADSTS50126") {
		t.Errorf("error_uri answers %d: %s", page.status, page.raw)
	}
}

func claimsOf(t *testing.T, compact string) map[string]any {
	t.Helper()
	parts := strings.Split(compact, ".")
	if len(parts) != 3 {
		t.Fatalf("no JWT: %q", compact)
	}
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		t.Fatal(err)
	}
	var claims map[string]any
	if err := json.Unmarshal(payload, &claims); err != nil {
		t.Fatal(err)
	}
	return claims
}

func TestPasswordTokens(t *testing.T) {
	l := lab.Start(t)
	tenant := l.Tenant("openharbour")
	user := tenant.User("svc-backup")
	a := signIn(t, l, "openharbour", "svc-backup", graphCLI)
	if a.status != http.StatusOK {
		t.Fatalf("%d: %s", a.status, a.raw)
	}
	// MSAL Go takes each asked scope that is not echoed as declined.
	scopes := strings.Fields(a.text("scope"))
	for _, want := range []string{graphDefault, "openid", "profile", "https://graph.microsoft.com/User.Read"} {
		if !strings.Contains(" "+strings.Join(scopes, " ")+" ", " "+want+" ") {
			t.Errorf("scope %q lacks %s", a.text("scope"), want)
		}
	}
	info, err := base64.RawURLEncoding.DecodeString(a.text("client_info"))
	if err != nil || string(info) != `{"uid":"`+user.ID+`","utid":"`+tenant.ID+`"}` {
		t.Errorf("client_info %s, %v", info, err)
	}
	if seconds, ok := a.body["expires_in"].(float64); !ok || seconds < 3599 || seconds > 5400 {
		t.Errorf("expires_in %v is no number between 60 and 90 minutes", a.body["expires_in"])
	}
	access := claimsOf(t, a.text("access_token"))
	for claim, want := range map[string]any{"aud": "https://graph.microsoft.com", "tid": tenant.ID, "oid": user.ID, "appid": graphCLI, "appidacr": "0", "upn": user.UPN, "idtyp": "user", "iss": "https://sts.windows.net/" + tenant.ID + "/"} {
		if access[claim] != want {
			t.Errorf("access token %s = %v, want %v", claim, access[claim], want)
		}
	}
	id := claimsOf(t, a.text("id_token"))
	for claim, want := range map[string]any{"aud": graphCLI, "tid": tenant.ID, "oid": user.ID, "preferred_username": user.UPN, "ver": "2.0", "iss": l.URL() + "/" + tenant.ID + "/v2.0"} {
		if id[claim] != want {
			t.Errorf("id token %s = %v, want %v", claim, id[claim], want)
		}
	}
	// Short scope names come back as short names.
	form := passwordForm(graphCLI, user.UPN, *user.Password)
	form.Set("scope", "User.Read")
	short := post(t, l, "/organizations/oauth2/v2.0/token", form)
	if short.text("scope") != "User.Read" || short.body["id_token"] != nil || short.body["refresh_token"] != nil {
		t.Errorf("short scope answered with %s", short.raw)
	}
}

func TestV1Endpoint(t *testing.T) {
	l := lab.Start(t)
	tenant := l.Tenant("openharbour")
	user := tenant.User("svc-backup")
	form := url.Values{"grant_type": {"password"}, "client_id": {graphCLI}, "username": {user.UPN}, "password": {*user.Password}, "resource": {"https://graph.microsoft.com"}}
	a := post(t, l, "/"+tenant.Domain+"/oauth2/token", form)
	if a.status != http.StatusOK || a.text("resource") != "https://graph.microsoft.com" || a.text("scope") == "" || a.text("refresh_token") == "" {
		t.Fatalf("%d: %s", a.status, a.raw)
	}
	for _, member := range []string{"expires_in", "expires_on", "not_before", "ext_expires_in"} {
		if _, ok := a.body[member].(string); !ok {
			t.Errorf("%s is %T, the v1.0 endpoint writes strings", member, a.body[member])
		}
	}
	form.Del("resource")
	if a := post(t, l, "/"+tenant.Domain+"/oauth2/token", form); a.code() != 900144 {
		t.Errorf("without resource: %s", a.raw)
	}
	expired := l.Tenant("brokenbay").User("svc-expired")
	form.Set("resource", "https://graph.microsoft.com")
	form.Set("username", expired.UPN)
	form.Set("password", *expired.Password)
	if a := post(t, l, "/brokenbay.onmicrosoft.com/oauth2/token", form); a.text("error") != "user_password_expired" || a.text("password_change_url") == "" {
		t.Errorf("expired password on v1.0: %s", a.raw)
	}
}

func TestRefreshTokens(t *testing.T) {
	l := lab.Start(t)
	first := signIn(t, l, "openharbour", "svc-backup", graphCLI)
	redeem := func(value, client string) answer {
		return post(t, l, "/"+l.Tenant("openharbour").ID+"/oauth2/v2.0/token", url.Values{"grant_type": {"refresh_token"}, "client_id": {client}, "refresh_token": {value}, "scope": {graphDefault + " offline_access"}})
	}
	second := redeem(first.text("refresh_token"), graphCLI)
	if second.status != http.StatusOK || second.text("refresh_token") == first.text("refresh_token") || second.text("refresh_token") == "" {
		t.Fatalf("%d: %s", second.status, second.raw)
	}
	// The old one is not revoked by its use (entra-sign-in §8).
	if again := redeem(first.text("refresh_token"), graphCLI); again.status != http.StatusOK {
		t.Errorf("the old refresh token is refused: %s", again.raw)
	}
	if other := redeem(first.text("refresh_token"), azureCLI); other.code() != 70000 {
		t.Errorf("another client may redeem it: %s", other.raw)
	}
	if unknown := redeem("1.Anothing", graphCLI); unknown.code() != 70000 {
		t.Errorf("an unknown one: %s", unknown.raw)
	}
	l.Advance(91 * 24 * time.Hour)
	if idle := redeem(second.text("refresh_token"), graphCLI); idle.code() != 700082 {
		t.Errorf("unused for 91 days: %s", idle.raw)
	}
}

func TestLockout(t *testing.T) {
	l := lab.Start(t)
	u := l.Tenant("openharbour").User("svc-backup")
	try := func(password string) int {
		return post(t, l, "/openharbour.onmicrosoft.com/oauth2/v2.0/token", passwordForm(graphCLI, u.UPN, password)).code()
	}
	for i := range 10 {
		if code := try("wrong"); code != 50126 {
			t.Fatalf("try %d: %d", i, code)
		}
	}
	if code := try(*u.Password); code != 50053 {
		t.Fatalf("after ten wrong passwords the right one gives %d, want 50053", code)
	}
	l.Advance(61 * time.Second)
	if code := try(*u.Password); code != 0 {
		t.Fatalf("after the lock-out the right one gives %d", code)
	}
	for range 9 {
		try("wrong")
	}
	if code := try(*u.Password); code != 0 {
		t.Errorf("nine wrong passwords lock the account: %d", code)
	}
	if code := try("wrong"); code != 50126 {
		t.Errorf("a good sign-in does not clear the count: %d", code)
	}
}

// assertion makes a client assertion; header and claims may be changed.
func assertion(t *testing.T, l *lab.Lab, app lab.ReadyApp, algorithm jose.SignatureAlgorithm, change func(header map[jose.HeaderKey]any, claims map[string]any), key *rsa.PrivateKey) string {
	t.Helper()
	data, err := os.ReadFile(*app.CertificateFile)
	if err != nil {
		t.Fatal(err)
	}
	block, rest := pem.Decode(data)
	certificate, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	if key == nil {
		block, _ = pem.Decode(rest)
		parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
		if err != nil {
			t.Fatal(err)
		}
		key, _ = parsed.(*rsa.PrivateKey)
	}
	sum := sha256.Sum256(certificate.Raw)
	header := map[jose.HeaderKey]any{"typ": "JWT", "x5t#S256": base64.RawURLEncoding.EncodeToString(sum[:])}
	now := l.Now()
	claims := map[string]any{"aud": l.URL() + "/openharbour.onmicrosoft.com/oauth2/v2.0/token", "iss": app.ClientID, "sub": app.ClientID, "jti": "1", "nbf": now.Unix(), "exp": now.Add(10 * time.Minute).Unix()}
	if change != nil {
		change(header, claims)
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: algorithm, Key: key}, &jose.SignerOptions{ExtraHeaders: header})
	if err != nil {
		t.Fatal(err)
	}
	payload, err := json.Marshal(claims)
	if err != nil {
		t.Fatal(err)
	}
	jws, err := signer.Sign(payload)
	if err != nil {
		t.Fatal(err)
	}
	compact, err := jws.CompactSerialize()
	if err != nil {
		t.Fatal(err)
	}
	return compact
}

func TestAssertions(t *testing.T) {
	l := lab.Start(t)
	strict := lab.Start(t, lab.WithConfig(func(c *lab.Config) { c.Strict = true }))
	app := l.Tenant("openharbour").App("Backup app")
	other, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(*app.CertificateFile)
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(data)
	sha256sum, sha1sum := sha256.Sum256(block.Bytes), sha1.Sum(block.Bytes) //nolint:gosec // as above
	type members = map[jose.HeaderKey]any
	older := func(h members, _ map[string]any) {
		delete(h, "x5t#S256")
		h["x5t"] = base64.RawURLEncoding.EncodeToString(sha1sum[:])
	}
	tests := []struct {
		name      string
		lab       *lab.Lab
		algorithm jose.SignatureAlgorithm
		change    func(members, map[string]any)
		key       *rsa.PrivateKey
		code      int
	}{
		{"PS256, base64url", l, jose.PS256, nil, nil, 0},
		{"PS256, standard padded base64 as MSAL Go sends it", l, jose.PS256, func(h members, _ map[string]any) { h["x5t#S256"] = base64.StdEncoding.EncodeToString(sha256sum[:]) }, nil, 0},
		{"RS256 with x5t#S256", l, jose.RS256, nil, nil, 0},
		{"RS256 with x5t, the older form", l, jose.RS256, older, nil, 0},
		{"audience is the v1.0 endpoint", l, jose.PS256, func(_ members, c map[string]any) {
			c["aud"] = []string{l.URL() + "/openharbour.onmicrosoft.com/oauth2/token"}
		}, nil, 0},
		{"older form, strict", strict, jose.RS256, older, nil, 700027},
		{"another key", l, jose.PS256, nil, other, 700027},
		{"unknown certificate", l, jose.PS256, func(h members, _ map[string]any) {
			h["x5t#S256"] = base64.RawURLEncoding.EncodeToString(make([]byte, 32))
		}, nil, 700027},
		{"no certificate named", l, jose.PS256, func(h members, _ map[string]any) { delete(h, "x5t#S256") }, nil, 700027},
		{"audience is another tenant", l, jose.PS256, func(_ members, c map[string]any) { c["aud"] = l.URL() + "/brokenbay.onmicrosoft.com/oauth2/v2.0/token" }, nil, 700023},
		{"issuer is not the subject", l, jose.PS256, func(_ members, c map[string]any) { c["iss"] = graphCLI }, nil, 50048},
		{"another app", l, jose.PS256, func(_ members, c map[string]any) { c["iss"], c["sub"] = graphCLI, graphCLI }, nil, 700021},
		{"clock an hour behind", l, jose.PS256, func(_ members, c map[string]any) {
			c["nbf"], c["exp"] = l.Now().Add(-time.Hour).Unix(), l.Now().Add(-50*time.Minute).Unix()
		}, nil, 700024},
		{"clock an hour ahead", l, jose.PS256, func(_ members, c map[string]any) {
			c["nbf"], c["exp"] = l.Now().Add(time.Hour).Unix(), l.Now().Add(70*time.Minute).Unix()
		}, nil, 700024},
		{"no expiry", l, jose.PS256, func(_ members, c map[string]any) { delete(c, "exp") }, nil, 700024},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			form := url.Values{"grant_type": {"client_credentials"}, "client_id": {app.ClientID}, "scope": {graphDefault}, "client_assertion_type": {"urn:ietf:params:oauth:client-assertion-type:jwt-bearer"},
				"client_assertion": {assertion(t, test.lab, test.lab.Tenant("openharbour").App("Backup app"), test.algorithm, func(h map[jose.HeaderKey]any, c map[string]any) {
					if test.change != nil {
						test.change(h, c)
					}
				}, test.key)}}
			a := post(t, test.lab, "/openharbour.onmicrosoft.com/oauth2/v2.0/token", form)
			if a.code() != test.code {
				t.Fatalf("got %d, want %d: %s", a.code(), test.code, a.raw)
			}
			if test.code == 0 {
				claims := claimsOf(t, a.text("access_token"))
				if claims["appidacr"] != "2" || claims["idtyp"] != "app" || a.body["scope"] != nil || a.body["refresh_token"] != nil {
					t.Errorf("claims %v, answer %s", claims, a.raw)
				}
			}
		})
	}
	t.Run("expired certificate", func(t *testing.T) {
		broken := l.Tenant("brokenbay").App("Expired certificate app")
		form := url.Values{"grant_type": {"client_credentials"}, "client_id": {broken.ClientID}, "scope": {graphDefault}, "client_assertion_type": {"urn:ietf:params:oauth:client-assertion-type:jwt-bearer"},
			"client_assertion": {assertion(t, l, broken, jose.PS256, func(_ map[jose.HeaderKey]any, c map[string]any) {
				c["aud"] = l.URL() + "/brokenbay.onmicrosoft.com/oauth2/v2.0/token"
			}, nil)}}
		if a := post(t, l, "/brokenbay.onmicrosoft.com/oauth2/v2.0/token", form); a.code() != 1000502 {
			t.Errorf("got %d: %s", a.code(), a.raw)
		}
	})
}

// Tokens verify against the published keys, as any resource would check them.
func TestKeysVerifyTokens(t *testing.T) {
	l := lab.Start(t)
	metadata := get(t, l, l.URL()+"/openharbour.onmicrosoft.com/v2.0/.well-known/openid-configuration", "")
	keys := get(t, l, metadata.text("jwks_uri"), "")
	var set jose.JSONWebKeySet
	if err := json.Unmarshal([]byte(keys.raw), &set); err != nil || len(set.Keys) != 1 {
		t.Fatalf("keys %s: %v", keys.raw, err)
	}
	a := signIn(t, l, "openharbour", "svc-backup", graphCLI)
	for _, member := range []string{"access_token", "id_token"} {
		jws, err := jose.ParseSignedCompact(a.text(member), []jose.SignatureAlgorithm{jose.RS256})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := jws.Verify(set.Keys[0]); err != nil || jws.Signatures[0].Protected.KeyID != set.Keys[0].KeyID {
			t.Errorf("%s does not verify: %v", member, err)
		}
	}
}

// A deterministic lab makes equal tokens but for time and ids; the usual one
// varies lifetime and size, which no client may rely on.
func TestHostility(t *testing.T) {
	varies := func(deterministic bool) (lifetimes, sizes map[int]bool) {
		l := lab.Start(t, lab.WithConfig(func(c *lab.Config) { c.Deterministic = deterministic }))
		lifetimes, sizes = map[int]bool{}, map[int]bool{}
		for range 12 {
			a := post(t, l, "/openharbour.onmicrosoft.com/oauth2/v2.0/token", secretForm(l.Tenant("openharbour").App("Backup app")))
			seconds, _ := a.body["expires_in"].(float64)
			lifetimes[int(seconds)], sizes[len(a.text("access_token"))] = true, true
		}
		return lifetimes, sizes
	}
	if lifetimes, sizes := varies(true); len(lifetimes) != 1 || len(sizes) != 1 {
		t.Errorf("deterministic: lifetimes %v, sizes %v", lifetimes, sizes)
	}
	if lifetimes, sizes := varies(false); len(lifetimes) < 3 || len(sizes) < 3 {
		t.Errorf("hostile: lifetimes %v, sizes %v", lifetimes, sizes)
	}
}

// Requests that no client would send are refused, never answered with a token
// or a crash.
func TestHostileRequests(t *testing.T) {
	l := lab.Start(t)
	send := func(contentType string, body io.Reader) answer {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, l.URL()+"/openharbour.onmicrosoft.com/oauth2/v2.0/token", body)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", contentType)
		return do(t, l, r)
	}
	if a := send("application/json", strings.NewReader(`{"grant_type":"client_credentials"}`)); a.code() != 900144 {
		t.Errorf("JSON body: %s", a.raw)
	}
	if a := send("application/x-www-form-urlencoded", strings.NewReader("grant_type=%zz")); a.code() != 9002313 {
		t.Errorf("broken encoding: %s", a.raw)
	}
	if a := send("application/x-www-form-urlencoded", bytes.NewReader(bytes.Repeat([]byte("a"), 2<<20))); a.status != http.StatusRequestEntityTooLarge {
		t.Errorf("two megabytes: %d", a.status)
	}
	long := passwordForm(graphCLI, strings.Repeat("x", 5000)+"@openharbour.example", "p")
	if a := post(t, l, "/openharbour.onmicrosoft.com/oauth2/v2.0/token", long); a.code() != 50034 || len(a.raw) > 2000 {
		t.Errorf("long user name: %d, answer of %d bytes", a.code(), len(a.raw))
	}
	junk := url.Values{"grant_type": {"client_credentials"}, "client_id": {l.Tenant("openharbour").App("Backup app").ClientID}, "scope": {graphDefault},
		"client_assertion_type": {"urn:ietf:params:oauth:client-assertion-type:jwt-bearer"}, "client_assertion": {"e30.e30.AA"}}
	if a := post(t, l, "/openharbour.onmicrosoft.com/oauth2/v2.0/token", junk); a.code() != 50027 {
		t.Errorf("junk assertion: %s", a.raw)
	}
}
