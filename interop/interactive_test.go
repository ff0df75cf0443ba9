package interop

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha1" //nolint:gosec // code apps use HMAC-SHA-1 (RFC 6238)
	"crypto/sha256"
	"encoding/base32"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"html"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/AzureAD/microsoft-authentication-library-for-go/apps/public"

	"gatehouse/lab"
)

// person sits before a browser: cookies are kept, forms are filled in, and the
// way ends where the app takes over.
type person struct {
	t      *testing.T
	client *http.Client
	at     *url.URL
	page   string
	left   *url.URL // the app's redirect address, once the browser was sent there
}

func newPerson(t *testing.T, l *lab.Lab) *person {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	p := &person{t: t}
	transport := l.Transport()
	t.Cleanup(transport.CloseIdleConnections)
	p.client = &http.Client{Transport: transport, Jar: jar, CheckRedirect: func(r *http.Request, _ []*http.Request) error {
		if r.URL.Hostname() == "localhost" && r.URL.Scheme == "http" {
			p.left = r.URL
			return http.ErrUseLastResponse
		}
		return nil
	}}
	return p
}

func (p *person) do(r *http.Request, err error) {
	p.t.Helper()
	if err != nil {
		p.t.Fatal(err)
	}
	response, err := p.client.Do(r)
	if err != nil {
		p.t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		p.t.Fatal(err)
	}
	p.at, p.page = response.Request.URL, string(body)
}

func (p *person) open(address string) {
	p.t.Helper()
	p.do(http.NewRequestWithContext(p.t.Context(), http.MethodGet, address, nil))
}

var (
	formPattern  = regexp.MustCompile(`<form method="post" action="([^"]*)"`)
	inputPattern = regexp.MustCompile(`<input type="hidden" name="([^"]*)" value="([^"]*)"`)
)

// submit sends the page's form with its hidden inputs and what the person
// filled in: names and values in turn.
func (p *person) submit(filled ...string) {
	p.t.Helper()
	form := formPattern.FindStringSubmatch(p.page)
	if form == nil {
		p.t.Fatalf("no form on the page:\n%s", p.page)
	}
	target, err := p.at.Parse(html.UnescapeString(form[1]))
	if err != nil {
		p.t.Fatal(err)
	}
	values := url.Values{}
	for _, input := range inputPattern.FindAllStringSubmatch(p.page, -1) {
		values.Set(html.UnescapeString(input[1]), html.UnescapeString(input[2]))
	}
	for i := 0; i+1 < len(filled); i += 2 {
		values.Set(filled[i], filled[i+1])
	}
	r, err := http.NewRequestWithContext(p.t.Context(), http.MethodPost, target.String(), strings.NewReader(values.Encode()))
	if err == nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	p.do(r, err)
}

// codeNow is what a code app shows.
func codeNow(t *testing.T, secret string, now time.Time) string {
	t.Helper()
	key, err := base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(secret)
	if err != nil {
		t.Fatal(err)
	}
	mac := hmac.New(sha1.New, key)
	_ = binary.Write(mac, binary.BigEndian, now.Unix()/30) // a hash takes everything
	sum := mac.Sum(nil)
	offset := sum[len(sum)-1] & 0x0f
	return fmt.Sprintf("%06d", binary.BigEndian.Uint32(sum[offset:])&0x7fffffff%1_000_000)
}

// interactive begins an authorization with MSAL Go and PKCE, and gives the
// address to open and what redeems the code.
func interactive(t *testing.T, l *lab.Lab, tenant string) (address string, redeem func(context.Context, *url.URL) (public.AuthResult, error)) {
	t.Helper()
	client, err := public.New(graphCommandLineTools, public.WithAuthority("https://login.microsoftonline.com/"+tenant), public.WithHTTPClient(l.Client()))
	if err != nil {
		t.Fatal(err)
	}
	scopes := []string{"User.Read"}
	verifier := rand.Text() + rand.Text()
	sum := sha256.Sum256([]byte(verifier))
	address, err = client.AuthCodeURL(t.Context(), graphCommandLineTools, "http://localhost", scopes)
	if err != nil {
		t.Fatal(err)
	}
	address += "&state=kept&code_challenge_method=S256&code_challenge=" + base64.RawURLEncoding.EncodeToString(sum[:])
	return address, func(ctx context.Context, back *url.URL) (public.AuthResult, error) {
		return client.AcquireTokenByAuthCode(ctx, back.Query().Get("code"), "http://localhost", scopes, public.WithChallenge(verifier))
	}
}

const graphCommandLineTools = "14d82eec-204b-4c2f-b7e8-296a70dab67e"

// demandMFA makes the lab ask a user for MFA.
func demandMFA(t *testing.T, l *lab.Lab, tenant, upn string) {
	t.Helper()
	control(t, l, http.MethodPatch, "/tenants/"+tenant+"/users/"+upn, `{"per_user_mfa":"enforced"}`)
}

func control(t *testing.T, l *lab.Lab, method, path, body string) []byte {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, l.Ready().ControlURL+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	data, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	if response.StatusCode >= 300 {
		t.Fatalf("%s %s: %d %s", method, path, response.StatusCode, data)
	}
	return data
}

// MSAL Go redeems a code that a person earned with password and a second
// factor; its token says so, and its silent sign-in keeps it.
func TestInteractiveSignIn(t *testing.T) {
	for _, factor := range []string{"code", "push"} {
		t.Run(factor, func(t *testing.T) {
			l := lab.Start(t)
			tenant := l.Tenant("callercove")
			user := tenant.User(map[string]string{"code": "wei.chen", "push": "maria.rossi"}[factor])
			demandMFA(t, l, tenant.Domain, user.UPN)
			address, redeem := interactive(t, l, tenant.ID)
			p := newPerson(t, l)
			p.open(address)
			p.submit("upn", user.UPN, "action", "next")
			p.submit("password", *user.Password, "action", "next")
			if factor == "code" {
				p.submit("code", codeNow(t, *user.TOTPSecret, l.Now()), "action", "next")
			} else {
				approve(t, l, p)
			}
			for range 3 { // "stay signed in?", and consent if it is asked for
				if p.left != nil {
					break
				}
				p.submit("action", "no")
			}
			if p.left == nil || p.left.Query().Get("code") == "" || p.left.Query().Get("state") != "kept" {
				t.Fatalf("the browser ended at %v:\n%s", p.left, p.page)
			}
			result, err := redeem(t.Context(), p.left)
			if err != nil {
				t.Fatal(err)
			}
			if result.Account.PreferredUsername != user.UPN || !slices.Contains(proofs(t, result.AccessToken), "mfa") {
				t.Errorf("account %s, amr %v", result.Account.PreferredUsername, proofs(t, result.AccessToken))
			}
			checkMe(t, l.Client(), "https://graph.microsoft.com", result.AccessToken, user)
			if _, err := redeem(t.Context(), p.left); err == nil || !strings.Contains(err.Error(), "AADSTS54005") {
				t.Errorf("the code was redeemed twice: %v", err)
			}
		})
	}
}

// approve answers the push on the person's phone with the number on the screen.
func approve(t *testing.T, l *lab.Lab, p *person) {
	t.Helper()
	var phone struct {
		Prompts []struct {
			ID      string
			Numbers []int
		}
	}
	if err := json.Unmarshal(control(t, l, http.MethodGet, "/phone/prompts", ""), &phone); err != nil || len(phone.Prompts) != 1 {
		t.Fatalf("%d pushes wait, %v:\n%s", len(phone.Prompts), err, p.page)
	}
	shown := 0
	for _, n := range phone.Prompts[0].Numbers {
		if strings.Contains(p.page, fmt.Sprintf(">%02d<", n)) {
			shown = n
		}
	}
	if shown == 0 {
		t.Fatalf("none of %v is on the screen:\n%s", phone.Prompts[0].Numbers, p.page)
	}
	control(t, l, http.MethodPost, "/phone/"+phone.Prompts[0].ID, fmt.Sprintf(`{"action":"approve","number":%d}`, shown))
	p.open(p.at.String())
}

// proofs reads the amr claim of an access token.
func proofs(t *testing.T, token string) []string {
	t.Helper()
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		t.Fatalf("not a token: %q", token)
	}
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		t.Fatal(err)
	}
	var claims struct {
		AMR []string `json:"amr"`
	}
	if err := json.Unmarshal(payload, &claims); err != nil {
		t.Fatal(err)
	}
	return claims.AMR
}
