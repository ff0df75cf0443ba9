package lab

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/tls"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// Scenario is one way to meet one error code of the sign-in service in the
// built-in tenants.
type Scenario struct {
	Name  string   `json:"name"`
	Code  int      `json:"code"` // the AADSTS number
	Story string   `json:"story"`
	Steps []string `json:"steps"` // what to do, in order; the last step meets the code

	do []act
}

// act is one step of a scenario: what it says, and how it is done.
type act struct {
	say string
	do  func(*actor) error
}

// actor plays a scenario against a lab.
type actor struct {
	ctx    context.Context
	lab    *Lab
	client *http.Client
	body   map[string]any // of the last answer
}

// Scenarios lists all scenarios.
func Scenarios() []Scenario { return scenarios }

// Play plays a scenario and gives the code and the body of the refusal. A fresh
// lab with the built-in tenants is expected; scenarios change it.
func (l *Lab) Play(ctx context.Context, name string) (code int, body map[string]any, err error) {
	for _, s := range scenarios {
		if s.Name != name {
			continue
		}
		a := &actor{ctx: ctx, lab: l, client: l.Client()}
		defer a.client.CloseIdleConnections()
		for _, step := range s.do {
			if err := step.do(a); err != nil {
				return 0, nil, fmt.Errorf("%s: %s: %w", name, step.say, err)
			}
		}
		codes, _ := a.body["error_codes"].([]any)
		if len(codes) == 0 {
			return 0, a.body, fmt.Errorf("%s: the last answer is no refusal", name)
		}
		n, _ := codes[0].(float64)
		return int(n), a.body, nil
	}
	return 0, nil, fmt.Errorf("no scenario is called %q", name)
}

// post sends a token request and keeps the answer.
func (a *actor) post(path string, form url.Values) error {
	return a.send(http.MethodPost, a.lab.URL()+path, "application/x-www-form-urlencoded", form.Encode())
}

func (a *actor) send(method, address, contentType, body string) error {
	r, err := http.NewRequestWithContext(a.ctx, method, address, strings.NewReader(body))
	if err != nil {
		return err
	}
	r.Header.Set("Content-Type", contentType)
	response, err := a.client.Do(r)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	data, err := io.ReadAll(io.LimitReader(response.Body, 1<<20))
	if err != nil {
		return err
	}
	a.body = nil
	if len(data) > 0 {
		if err := json.Unmarshal(data, &a.body); err != nil {
			return fmt.Errorf("the answer with status %d is no JSON", response.StatusCode)
		}
	}
	return nil
}

const (
	scenarioClient  = "14d82eec-204b-4c2f-b7e8-296a70dab67e" // Microsoft Graph Command Line Tools
	scenarioCLI     = "04b07795-8ddb-461a-bbee-02f9e1bf7b46" // Microsoft Azure CLI
	scenarioScope   = "https://graph.microsoft.com/.default"
	scenarioUnknown = "11111111-2222-3333-4444-555555555555"
	jwtBearer       = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
)

func tokenPath(tenant string) string {
	if !strings.Contains(tenant, ".") && tenant != "common" && tenant != "organizations" {
		tenant += ".onmicrosoft.com"
	}
	return "/" + tenant + "/oauth2/v2.0/token"
}

// password signs a user of a tenant in at another tenant ("" for the same), with
// the user's own password ("" ) or another, through an app by name or id.
func password(home, user, at, secret, app string) act {
	if at == "" {
		at = home
	}
	through := "Microsoft Graph Command Line Tools"
	if app != "" {
		through = app
	}
	say := fmt.Sprintf("sign in as %s at %s with the password grant, through %s", user, at, through)
	if secret != "" {
		say += ", with " + secret
	}
	return act{say, func(a *actor) error {
		form := url.Values{"grant_type": {"password"}, "client_id": {scenarioClient}, "scope": {scenarioScope + " offline_access"}}
		t := a.lab.Tenant(home)
		if app != "" {
			form.Set("client_id", a.lab.Tenant(strings.TrimSuffix(at, ".onmicrosoft.com")).App(app).ClientID)
		}
		name, pass := user+"@"+strings.TrimSuffix(t.Domain, ".onmicrosoft.com")+".example", "not-the-password"
		for _, u := range t.Users {
			if short, _, _ := strings.Cut(u.UPN, "@"); short != user {
				continue
			}
			name = u.UPN
			switch {
			case secret == "" && u.Password != nil:
				pass = *u.Password
			case secret == "the app password" && u.AppPassword != nil:
				pass = *u.AppPassword
			}
		}
		form.Set("username", name)
		form.Set("password", pass)
		return a.post(tokenPath(at), form)
	}}
}

// app signs an app in for itself with its secret; change spoils the request.
func app(tenant, name, how string, change func(url.Values)) act {
	say := fmt.Sprintf("sign in as the app %q of %s with its secret", name, tenant)
	if how != "" {
		say += ", " + how
	}
	return act{say, func(a *actor) error {
		registered := a.lab.Tenant(tenant).App(name)
		form := url.Values{"grant_type": {"client_credentials"}, "client_id": {registered.ClientID}, "client_secret": {*registered.Secret}, "scope": {scenarioScope}}
		at := tenant
		if change != nil {
			change(form)
		}
		if moved := form.Get("at"); moved != "" {
			at = moved
			form.Del("at")
		}
		return a.post(tokenPath(at), form)
	}}
}

// assertion signs an app in with a certificate assertion that is spoilt.
func assertion(tenant, name, how string, change func(now time.Time, header map[jose.HeaderKey]any, claims map[string]any)) act {
	return act{fmt.Sprintf("sign in as the app %q of %s with a certificate, %s", name, tenant, how), func(a *actor) error {
		registered := a.lab.Tenant(tenant).App(name)
		data, err := os.ReadFile(*registered.CertificateFile)
		if err != nil {
			return err
		}
		pair, err := tls.X509KeyPair(data, data)
		if err != nil {
			return err
		}
		sum := sha256.Sum256(pair.Certificate[0])
		now := a.lab.Now()
		header := map[jose.HeaderKey]any{"typ": "JWT", "x5t#S256": base64.RawURLEncoding.EncodeToString(sum[:])}
		claims := map[string]any{"aud": a.lab.URL() + tokenPath(tenant), "iss": registered.ClientID, "sub": registered.ClientID, "jti": "1", "nbf": now.Unix(), "exp": now.Add(10 * time.Minute).Unix()}
		if change != nil {
			change(now, header, claims)
		}
		key := pair.PrivateKey
		if claims["foreign key"] != nil {
			delete(claims, "foreign key")
			if key, err = rsa.GenerateKey(rand.Reader, 2048); err != nil {
				return err
			}
		}
		signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.PS256, Key: key}, &jose.SignerOptions{ExtraHeaders: header})
		if err != nil {
			return err
		}
		payload, err := json.Marshal(claims)
		if err != nil {
			return err
		}
		jws, err := signer.Sign(payload)
		if err != nil {
			return err
		}
		compact, err := jws.CompactSerialize()
		if err != nil {
			return err
		}
		return a.post(tokenPath(tenant), url.Values{"grant_type": {"client_credentials"}, "client_id": {registered.ClientID}, "scope": {scenarioScope}, "client_assertion_type": {jwtBearer}, "client_assertion": {compact}})
	}}
}

// control changes the lab through its control port.
func control(say, method, path, body string) act {
	return act{say + fmt.Sprintf(" (%s %s %s)", method, path, body), func(a *actor) error {
		return a.send(method, a.lab.Ready().ControlURL+path, "application/json", body)
	}}
}

// refresh redeems the refresh token of the step before.
func refresh(tenant, client, how string) act {
	return act{"redeem the refresh token, " + how, func(a *actor) error {
		value, _ := a.body["refresh_token"].(string)
		if value == "" {
			return errors.New("the step before gave no refresh token")
		}
		return a.post(tokenPath(tenant), url.Values{"grant_type": {"refresh_token"}, "client_id": {client}, "refresh_token": {value}, "scope": {scenarioScope}})
	}}
}

// keeping does a step without losing the answer of the one before.
func keeping(step act) act {
	return act{step.say, func(a *actor) error {
		kept := a.body
		err := step.do(a)
		a.body = kept
		return err
	}}
}

func get(say, path string) act {
	return act{say, func(a *actor) error { return a.send(http.MethodGet, a.lab.URL()+path, "", "") }}
}

func scenario(code int, name, story string, do ...act) Scenario {
	s := Scenario{Name: name, Code: code, Story: story, do: do}
	for _, step := range do {
		s.Steps = append(s.Steps, step.say)
	}
	return s
}

func with(name, value string) func(url.Values) { return func(f url.Values) { f.Set(name, value) } }

func without(name string) func(url.Values) { return func(f url.Values) { f.Del(name) } }

const backup = "Backup app"

var scenarios = []Scenario{
	scenario(50076, "security-defaults", "An administrator's account under Security Defaults has to show a second factor.", password("defaultshield", "svc-connection", "", "", "")),
	scenario(50079, "security-defaults-not-enrolled", "The same, but no second factor was ever registered.", password("defaultshield", "svc-unenrolled", "", "", "")),
	scenario(50126, "wrong-password", "The password is wrong.", password("brokenbay", "svc-ok", "", "a wrong password", "")),
	scenario(50034, "unknown-user", "Nobody of this name exists.", password("brokenbay", "svc-typo", "", "any password", "")),
	scenario(50053, "locked-out", "Too many wrong passwords locked the account.", password("brokenbay", "svc-locked", "", "", "")),
	scenario(50057, "disabled-account", "The account is disabled.", password("brokenbay", "svc-disabled", "", "", "")),
	scenario(50055, "expired-password", "The password has expired.", password("brokenbay", "svc-expired", "", "", "")),
	scenario(50020, "account-of-another-tenant", "The account belongs to a tenant that has no access here.", password("openharbour", "svc-backup", "brokenbay", "", "")),
	scenario(90099, "partner-app-not-authorised", "A partner's delegated administrator uses an app that the customer never authorised.", password("partnerpoint", "tina.tech", "ledgerlane", "", "")),
	scenario(65001, "no-consent", "Neither the person nor an administrator consented to the app.", password("ledgerlane", "ben.koch", "", "", "Ledger Link")),
	scenario(50105, "not-assigned", "The app lets in assigned people only.", password("ledgerlane", "carla.novak", "", "", "Ledger Reports")),
	scenario(9001023, "password-on-common", "The password grant does not work on the shared authority.", password("openharbour", "svc-backup", "common", "", "")),
	scenario(50059, "app-without-tenant", "An app signs in without saying to which tenant.", app("openharbour", backup, "at the authority organizations", with("at", "organizations"))),
	scenario(90002, "unknown-tenant", "No tenant has this name.", app("openharbour", backup, "at a tenant that does not exist", with("at", "nowhere"))),
	scenario(700016, "unknown-app", "No app has this client id.", app("openharbour", backup, "with a client id that nobody registered", with("client_id", scenarioUnknown))),
	scenario(7000229, "app-never-consented", "A multi-tenant app signs in to a tenant that never consented to it.", act{"sign in for itself as the vendor's app \"Ledger Link\" at openharbour", func(a *actor) error {
		return a.post(tokenPath("openharbour"), url.Values{"grant_type": {"client_credentials"}, "client_id": {a.lab.Tenant("vendorvale").App("Ledger Link").ClientID}, "client_secret": {"any-secret-at-all"}, "scope": {scenarioScope}})
	}}),
	scenario(7000215, "wrong-secret", "The client secret is wrong.", app("openharbour", backup, "but another value", with("client_secret", "not~the-secret-of-this-app"))),
	scenario(7000222, "expired-secret", "The client secret has expired.", app("brokenbay", "Expired secret app", "", nil)),
	scenario(7000218, "no-credential", "A confidential client sends no credential.", app("openharbour", backup, "but leave the secret out", without("client_secret"))),
	scenario(700025, "public-client-with-secret", "A public client sends a secret.", app("openharbour", backup, "but with the client id of a public client", with("client_id", scenarioClient))),
	scenario(7000112, "disabled-app", "The service principal is disabled.", app("brokenbay", "Disabled app", "", nil)),
	scenario(1002012, "app-scope-without-default", "An app asks for a single permission.", app("openharbour", backup, "asking for User.Read.All", with("scope", "https://graph.microsoft.com/User.Read.All"))),
	scenario(500011, "unknown-resource", "The resource does not exist in the tenant.", app("openharbour", backup, "asking for Business Central, which the tenant never had", with("scope", "https://api.businesscentral.dynamics.com/.default"))),
	scenario(28000, "two-resources", "One token is asked for two resources.", app("openharbour", backup, "asking for Graph and Azure at once", with("scope", scenarioScope+" https://management.azure.com/.default"))),
	scenario(900144, "missing-parameter", "A parameter is missing.", app("openharbour", backup, "but leave the scope out", without("scope"))),
	scenario(70003, "unknown-grant", "The grant type does not exist.", app("openharbour", backup, "with the grant type magic", with("grant_type", "magic"))),
	scenario(70011, "invalid-scope", "The permission does not exist.", act{"sign in as svc-backup at openharbour with the password grant, asking for User.Raed", func(a *actor) error {
		u := a.lab.Tenant("openharbour").User("svc-backup")
		return a.post(tokenPath("openharbour"), url.Values{"grant_type": {"password"}, "client_id": {scenarioClient}, "username": {u.UPN}, "password": {*u.Password}, "scope": {"https://graph.microsoft.com/User.Raed"}})
	}}),
	scenario(900561, "get-on-token-endpoint", "The token endpoint was called with GET.", get("GET the token endpoint of openharbour", tokenPath("openharbour"))),
	scenario(9002313, "malformed-request", "The body cannot be read as a form.", act{"POST a broken form to the token endpoint", func(a *actor) error {
		return a.send(http.MethodPost, a.lab.URL()+tokenPath("openharbour"), "application/x-www-form-urlencoded", "grant_type=%zz")
	}}),
	scenario(50049, "unknown-authority", "Instance discovery is asked about a host that is no authority.", get("ask instance discovery about login.example", "/common/discovery/instance?api-version=1.1&authorization_endpoint=https://login.example/common/oauth2/authorize")),
	scenario(50027, "unreadable-assertion", "The client assertion is no JWT.", app("openharbour", backup, "but with an assertion that is no JWT", func(f url.Values) {
		f.Del("client_secret")
		f.Set("client_assertion_type", jwtBearer)
		f.Set("client_assertion", "e30.e30.AA")
	})),
	scenario(700027, "wrong-certificate", "The assertion was signed with another key than the certificate's.", assertion("openharbour", backup, "signed with another key", func(_ time.Time, _ map[jose.HeaderKey]any, c map[string]any) { c["foreign key"] = true })),
	scenario(700024, "clock-off", "The machine's clock is an hour behind.", assertion("openharbour", backup, "with times of an hour ago", func(now time.Time, _ map[jose.HeaderKey]any, c map[string]any) {
		c["nbf"], c["exp"] = now.Add(-time.Hour).Unix(), now.Add(-50*time.Minute).Unix()
	})),
	scenario(1000502, "expired-certificate", "The certificate has expired.", assertion("brokenbay", "Expired certificate app", "which has expired", nil)),
	scenario(700023, "assertion-for-another-tenant", "The assertion was made for another token endpoint.", assertion("openharbour", backup, "with another audience", func(_ time.Time, _ map[jose.HeaderKey]any, c map[string]any) {
		c["aud"] = "https://login.example/oauth2/v2.0/token"
	})),
	scenario(50048, "assertion-issuer-not-subject", "Issuer and subject of the assertion differ.", assertion("openharbour", backup, "with another issuer", func(_ time.Time, _ map[jose.HeaderKey]any, c map[string]any) { c["iss"] = scenarioUnknown })),
	scenario(700021, "assertion-of-another-app", "The assertion is another app's.", assertion("openharbour", backup, "as another app", func(_ time.Time, _ map[jose.HeaderKey]any, c map[string]any) {
		c["iss"], c["sub"] = scenarioUnknown, scenarioUnknown
	})),
	scenario(70000, "foreign-refresh-token", "A refresh token is redeemed by another client.", password("openharbour", "svc-backup", "", "", ""), refresh("openharbour", scenarioCLI, "as Microsoft Azure CLI")),
	scenario(700082, "refresh-token-unused", "The refresh token was not used for ninety days.", password("openharbour", "svc-backup", "", "", ""),
		keeping(control("let 91 days pass", http.MethodPost, "/clock", `{"advance":"2184h"}`)), refresh("openharbour", scenarioClient, "as the same client")),
	scenario(50173, "refresh-token-revoked", "An administrator revoked the account's sessions.", password("openharbour", "svc-backup", "", "", ""),
		keeping(control("let a minute pass", http.MethodPost, "/clock", `{"advance":"1m"}`)),
		keeping(control("revoke the sessions", http.MethodPatch, "/tenants/openharbour.onmicrosoft.com/users/svc-backup@openharbour.example", `{"revoke_sessions":true}`)),
		refresh("openharbour", scenarioClient, "as the same client")),
}
