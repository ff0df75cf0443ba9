// Package ssotest is a small strict OpenID Connect provider for tests, written
// from the standards and with nothing of package sso or of the lab in it. It
// demands PKCE with S256, a nonce, the exact redirect address and the client's
// secret, gives each code once, and can be told to misbehave.
package ssotest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"
)

// What the provider knows its one client by.
const (
	ClientID = "gatehouse-console"
	Secret   = "a client secret that is long enough"
)

// Person signs in at the provider, at once and without a page.
type Person struct {
	Subject, Email, Name string
	Groups               []string
}

// Provider is a running provider.
type Provider struct {
	URL   string
	Roots *x509.CertPool

	t      testing.TB
	server *httptest.Server

	mu       sync.Mutex
	person   Person
	key      *ecdsa.PrivateKey
	kid      string
	codes    map[string]url.Values // the authorize requests behind codes
	redirect string
	twist    Twist
	down     bool
	keysRead int
}

// Twist is how the provider misbehaves.
type Twist struct {
	Claims func(map[string]any) // changes the id token's claims
	Header func(map[string]any) // changes its header
	Sign   func(signed string) []byte
	Answer func(url.Values) // changes what the browser is sent back with
	Meta   func(map[string]any)
	// Public: the client has no secret, and must send none.
	Public bool
}

// Start starts a provider that sends browsers back to redirect and nowhere else.
func Start(t testing.TB, redirect string) *Provider {
	t.Helper()
	p := &Provider{t: t, codes: map[string]url.Values{}, redirect: redirect, Roots: x509.NewCertPool()}
	p.Rotate()
	mux := http.NewServeMux()
	mux.HandleFunc("GET /.well-known/openid-configuration", p.metadata)
	mux.HandleFunc("GET /keys", p.keys)
	mux.HandleFunc("GET /authorize", p.authorize)
	mux.HandleFunc("POST /token", p.token)
	p.server = httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p.mu.Lock()
		defer p.mu.Unlock()
		if p.down {
			http.Error(w, "down for maintenance", http.StatusServiceUnavailable)
			return
		}
		mux.ServeHTTP(w, r)
	}))
	t.Cleanup(p.server.Close)
	p.URL = p.server.URL
	p.Roots.AddCert(p.server.Certificate())
	return p
}

// Set runs with nobody else looking.
func (p *Provider) set(do func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	do()
}

// Is says who signs in from now on.
func (p *Provider) Is(who Person) { p.set(func() { p.person = who }) }

// Twist makes the provider misbehave from now on; the zero value ends it.
func (p *Provider) Twist(t Twist) { p.set(func() { p.twist = t }) }

// Down says whether nothing is answered.
func (p *Provider) Down(down bool) { p.set(func() { p.down = down }) }

// SendTo changes the one address that browsers are sent back to.
func (p *Provider) SendTo(redirect string) { p.set(func() { p.redirect = redirect }) }

// Browser trusts the provider, and shows where it is sent to instead of going
// there.
func (p *Provider) Browser() *http.Client {
	return &http.Client{
		Transport:     &http.Transport{TLSClientConfig: &tls.Config{RootCAs: p.Roots, MinVersion: tls.VersionTLS12}},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// KeysRead is how often the keys were asked for.
func (p *Provider) KeysRead() (n int) { p.set(func() { n = p.keysRead }); return n }

// Rotate replaces the signing key.
func (p *Provider) Rotate() {
	p.set(func() {
		var err error
		if p.key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
			p.t.Fatal(err)
		}
		p.kid = rand.Text()
	})
}

func b64(data []byte) string { return base64.RawURLEncoding.EncodeToString(data) }

func (p *Provider) write(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	if err := json.NewEncoder(w).Encode(v); err != nil {
		p.t.Error(err)
	}
}

func (p *Provider) metadata(w http.ResponseWriter, _ *http.Request) {
	m := map[string]any{
		"issuer": p.URL, "authorization_endpoint": p.URL + "/authorize", "token_endpoint": p.URL + "/token", "jwks_uri": p.URL + "/keys",
		"response_types_supported": []string{"code"}, "subject_types_supported": []string{"public"}, "id_token_signing_alg_values_supported": []string{"ES256"},
		"code_challenge_methods_supported": []string{"S256"}, "authorization_response_iss_parameter_supported": true,
	}
	if p.twist.Meta != nil {
		p.twist.Meta(m)
	}
	p.write(w, http.StatusOK, m)
}

func (p *Provider) keys(w http.ResponseWriter, _ *http.Request) {
	p.keysRead++
	point, err := p.key.PublicKey.Bytes() // 4, X, Y
	if err != nil {
		p.t.Error(err)
	}
	p.write(w, http.StatusOK, map[string]any{"keys": []any{map[string]any{
		"kty": "EC", "crv": "P-256", "use": "sig", "alg": "ES256", "kid": p.kid, "x": b64(point[1:33]), "y": b64(point[33:]),
	}}})
}

func (p *Provider) authorize(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	for name, want := range map[string]string{"client_id": ClientID, "redirect_uri": p.redirect, "response_type": "code", "code_challenge_method": "S256"} {
		if q.Get(name) != want {
			p.t.Errorf("authorize: %s is %q, not %q", name, q.Get(name), want)
			http.Error(w, "the parameter "+name+" is wrong", http.StatusBadRequest)
			return
		}
	}
	if len(q.Get("state")) < 32 || len(q.Get("nonce")) < 32 || len(q.Get("code_challenge")) != 43 || !strings.Contains(" "+q.Get("scope")+" ", " openid ") {
		p.t.Errorf("authorize: state, nonce, challenge or scope is missing or short: %v", q)
	}
	code := rand.Text()
	p.codes[code] = q
	answer := url.Values{"code": {code}, "state": {q.Get("state")}, "iss": {p.URL}}
	if p.twist.Answer != nil {
		p.twist.Answer(answer)
	}
	http.Redirect(w, r, p.redirect+"?"+answer.Encode(), http.StatusFound)
}

func (p *Provider) token(w http.ResponseWriter, r *http.Request) {
	fail := func(status int, code string) {
		p.write(w, status, map[string]string{"error": code, "error_description": "the strict provider says " + code})
	}
	id, secret, ok := r.BasicAuth() // both are form-encoded (RFC 6749 §2.3.1)
	id, _ = url.QueryUnescape(id)
	secret, _ = url.QueryUnescape(secret)
	if p.twist.Public {
		ok = !ok && r.PostFormValue("client_id") == ClientID && !r.PostForm.Has("client_secret")
		id, secret = ClientID, Secret
	}
	if !ok || id != ClientID || secret != Secret {
		fail(http.StatusUnauthorized, "invalid_client")
		return
	}
	asked, known := p.codes[r.PostFormValue("code")]
	delete(p.codes, r.PostFormValue("code"))
	sum := sha256.Sum256([]byte(r.PostFormValue("code_verifier")))
	if !known || r.PostFormValue("grant_type") != "authorization_code" || r.PostFormValue("redirect_uri") != asked.Get("redirect_uri") || b64(sum[:]) != asked.Get("code_challenge") {
		fail(http.StatusBadRequest, "invalid_grant")
		return
	}
	access := rand.Text()
	half := sha256.Sum256([]byte(access))
	now := time.Now()
	claims := map[string]any{
		"iss": p.URL, "sub": p.person.Subject, "aud": ClientID, "exp": now.Add(5 * time.Minute).Unix(), "iat": now.Unix(), "nonce": asked.Get("nonce"),
		"at_hash": b64(half[:16]), "name": p.person.Name, "email": p.person.Email, "preferred_username": p.person.Email,
	}
	if p.person.Groups != nil {
		claims["groups"] = p.person.Groups
	}
	p.write(w, http.StatusOK, map[string]any{"token_type": "Bearer", "expires_in": 300, "access_token": access, "id_token": p.sign(claims)})
}

func (p *Provider) sign(claims map[string]any) string {
	header := map[string]any{"alg": "ES256", "kid": p.kid, "typ": "JWT"}
	if p.twist.Claims != nil {
		p.twist.Claims(claims)
	}
	if p.twist.Header != nil {
		p.twist.Header(header)
	}
	first, err := json.Marshal(header)
	second, err2 := json.Marshal(claims)
	if err != nil || err2 != nil {
		p.t.Error(err, err2)
	}
	signed := b64(first) + "." + b64(second)
	if p.twist.Sign != nil {
		return signed + "." + b64(p.twist.Sign(signed))
	}
	sum := sha256.Sum256([]byte(signed))
	r, s, err := ecdsa.Sign(rand.Reader, p.key, sum[:])
	if err != nil {
		p.t.Error(err)
	}
	return signed + "." + b64(append(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32))...))
}

// SharedKey signs with the public key as if it were a shared one: the attack on
// verifiers that let the token choose its algorithm.
func (p *Provider) SharedKey(signed string) []byte {
	der, err := x509.MarshalPKIXPublicKey(&p.key.PublicKey)
	if err != nil {
		p.t.Error(err)
	}
	mac := hmac.New(sha256.New, pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
	fmt.Fprint(mac, signed)
	return mac.Sum(nil)
}

// OtherKey signs with a key that is nobody's.
func (p *Provider) OtherKey(signed string) []byte {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		p.t.Error(err)
		return nil
	}
	sum := sha256.Sum256([]byte(signed))
	r, s, err := ecdsa.Sign(rand.Reader, key, sum[:])
	if err != nil {
		p.t.Error(err)
	}
	return append(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32))...)
}
