package sso

import (
	"context"
	"crypto/subtle"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"gatehouse/internal/egress"
	"gatehouse/internal/microsoft"
	"gatehouse/internal/pace"
	"gatehouse/internal/secrets"
)

// Config names a provider and what it knows Gatehouse by.
type Config struct {
	Issuer   string        // "https://login.microsoftonline.com/<tenant id>/v2.0"
	ClientID string        // of the app registration
	Secret   secrets.Value // empty for a public client
	Name     string        // what the button calls it
	// Tenants are the Entra tenants that may sign in, by id. Without any it is the
	// one that Issuer names.
	Tenants  []string
	Redirect string // address that the issuer sends browsers back to
	// Cloud is Microsoft's; an Issuer below its sign-in service is Entra.
	Cloud microsoft.Cloud
	// Roots are the authorities that the issuer's certificate is checked against;
	// nil means the cloud's for Entra and the system's for others.
	Roots *x509.CertPool
	// Allow are private addresses that metadata may name: see package egress.
	Allow []netip.Prefix
	// Pace lets calls to Graph pass as Microsoft's limits allow; nil lets all pass.
	Pace *pace.Governor
	Now  func() time.Time // time.Now if nil
}

// Skew is how far the issuer's clock may differ from ours.
const Skew = time.Minute

const (
	// fetchTime bounds each request to the issuer.
	fetchTime = 10 * time.Second
	// maxDocument bounds each of its answers, in bytes.
	maxDocument = 1 << 20
	// metadataLife is how long metadata and keys are used before they are read
	// again; an unknown key is looked for at once.
	metadataLife = time.Hour
)

// asymmetric are the algorithms of an id token's signature. Neither none nor one
// with a shared key is among them: the issuer's public key would be a shared key
// that everybody has.
var asymmetric = []string{"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"}

// Provider is one OpenID Connect provider.
type Provider struct {
	Config
	entra bool
	http  *http.Client

	mu     sync.Mutex
	loaded *metadata
	until  time.Time
}

// metadata is what is read of the issuer's discovery document.
type metadata struct {
	Issuer      string   `json:"issuer"`
	Authorize   string   `json:"authorization_endpoint"`
	Token       string   `json:"token_endpoint"`
	KeySet      string   `json:"jwks_uri"`
	AuthMethods []string `json:"token_endpoint_auth_methods_supported"`
	NamesIssuer bool     `json:"authorization_response_iss_parameter_supported"`

	keys oidc.KeySet
}

// tenantMark stands for the tenant in the issuer of Entra's shared authorities.
const tenantMark = "{tenantid}"

// New makes the provider. Nothing is fetched yet: an issuer that is down keeps no
// server from starting.
func New(c Config) (*Provider, error) {
	c.Issuer = strings.TrimSuffix(c.Issuer, "/")
	issuer, err := url.Parse(c.Issuer)
	if err != nil || issuer.Scheme != "https" || issuer.Host == "" || issuer.RawQuery != "" || issuer.Fragment != "" {
		return nil, fmt.Errorf("setting up single sign-on: oidc.issuer is %q: write https://host/path", c.Issuer)
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	p := &Provider{Config: c, entra: c.Cloud.Login != "" && strings.HasPrefix(c.Issuer+"/", c.Cloud.Login+"/")}
	if p.entra {
		if err := p.readTenants(strings.TrimPrefix(c.Issuer, c.Cloud.Login+"/")); err != nil {
			return nil, err
		}
	}
	if p.Roots == nil && p.entra {
		p.Roots = c.Cloud.Roots
	}
	direct := c.Cloud
	direct.Roots = p.Roots
	elsewhere := egress.New(egress.Config{Allow: c.Allow, MaxBytes: maxDocument, Timeout: fetchTime, Roots: p.Roots})
	p.http = &http.Client{
		Transport: route{issuer: issuer.Host, direct: direct.Transport(), elsewhere: elsewhere.Transport}, Timeout: fetchTime,
		CheckRedirect: func(*http.Request, []*http.Request) error {
			return errors.New("the issuer sends requests on to another address")
		},
	}
	return p, nil
}

var guid = regexp.MustCompile(`^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`)

// readTenants finds out which tenants may sign in: path is what follows the
// sign-in service in the issuer.
func (p *Provider) readTenants(path string) error {
	name, _, _ := strings.Cut(path, "/")
	tenants := make([]string, 0, len(p.Tenants)+1)
	for _, id := range p.Tenants {
		if id = strings.ToLower(id); !guid.MatchString(id) {
			return fmt.Errorf("setting up single sign-on: in oidc.tenants %q is no tenant id: it looks like 11111111-2222-3333-4444-555555555555", id)
		}
		tenants = append(tenants, id)
	}
	switch name = strings.ToLower(name); name {
	case "common", "organizations", "consumers":
		if len(tenants) == 0 {
			return fmt.Errorf("setting up single sign-on: oidc.tenants is missing: with the issuer %s it names the ids of the tenants that may sign in", p.Issuer)
		}
	default:
		if !guid.MatchString(name) {
			return fmt.Errorf("setting up single sign-on: oidc.issuer is %q: at Microsoft Entra it names the tenant by its id: %s/<tenant id>/v2.0", p.Issuer, p.Cloud.Login)
		}
		if len(tenants) > 0 && !slices.Contains(tenants, name) {
			return fmt.Errorf("setting up single sign-on: oidc.tenants does not have the tenant that oidc.issuer names: leave it out, or take …/organizations/v2.0 as the issuer")
		}
		tenants = []string{name}
	}
	p.Tenants = tenants
	return nil
}

// Entra reports whether the provider is Microsoft Entra ID.
func (p *Provider) Entra() bool { return p.entra }

// Directories are whose people can sign in: tenants of Entra, or the issuer.
func (p *Provider) Directories() []string {
	if p.entra {
		return p.Tenants
	}
	return []string{p.Issuer}
}

// route sends requests to the issuer itself straight, and others through package
// egress. It bounds the answers.
type route struct {
	issuer            string
	direct, elsewhere http.RoundTripper
}

func (r route) RoundTrip(q *http.Request) (*http.Response, error) {
	next := r.elsewhere
	if q.URL.Host == r.issuer {
		next = r.direct
	}
	if q.URL.Scheme != "https" {
		return nil, fmt.Errorf("the address begins with %q: use https", q.URL.Scheme)
	}
	response, err := next.RoundTrip(q)
	if err != nil {
		return nil, err
	}
	response.Body = struct {
		io.Reader
		io.Closer
	}{io.LimitReader(response.Body, maxDocument), response.Body}
	return response, nil
}

// load gives the issuer's metadata.
func (p *Provider) load(ctx context.Context) (*metadata, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.loaded != nil && p.Now().Before(p.until) {
		return p.loaded, nil
	}
	m, err := p.fetch(ctx)
	if err != nil {
		return nil, err
	}
	m.keys = oidc.NewRemoteKeySet(oidc.ClientContext(context.WithoutCancel(ctx), p.http), m.KeySet)
	p.loaded, p.until = m, p.Now().Add(metadataLife)
	return m, nil
}

// fetch reads the discovery document (OpenID Connect Discovery §4) and checks
// that it is the issuer's own.
func (p *Provider) fetch(ctx context.Context) (*metadata, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, p.Issuer+"/.well-known/openid-configuration", nil)
	if err != nil {
		return nil, refuse(Unreachable, err, "reading %s", p.Issuer)
	}
	response, err := p.http.Do(request)
	if err != nil {
		return nil, refuse(Unreachable, err, "reading the metadata of %s", p.Issuer)
	}
	defer response.Body.Close()
	var m metadata
	if response.StatusCode != http.StatusOK {
		return nil, refuse(Unreachable, nil, "the metadata of %s is answered with %s", p.Issuer, response.Status)
	}
	if err := json.NewDecoder(response.Body).Decode(&m); err != nil {
		return nil, refuse(Unreachable, err, "the metadata of %s is no JSON", p.Issuer)
	}
	for name, address := range map[string]string{"authorization_endpoint": m.Authorize, "token_endpoint": m.Token, "jwks_uri": m.KeySet} {
		if u, err := url.Parse(address); err != nil || u.Scheme != "https" || u.Host == "" {
			return nil, refuse(Unreachable, nil, "in the metadata of %s %s is %.80q", p.Issuer, name, address)
		}
	}
	shared := p.entra && strings.Contains(m.Issuer, tenantMark) && strings.HasPrefix(m.Issuer, p.Cloud.Login+"/")
	if m.Issuer != p.Issuer && !shared {
		return nil, refuse(Issuer, nil, "the metadata of %s is that of %.200q", p.Issuer, m.Issuer)
	}
	return &m, nil
}

// Flow is what a sign-in that was begun must be answered with. All of it is
// secret.
type Flow struct {
	State    string `json:"state"`
	Nonce    string `json:"nonce"`
	Verifier string `json:"verifier"`
}

// Begin gives the address that a browser is sent to, and what the answer must
// fit. State and nonce are random texts of the caller's.
func (p *Provider) Begin(ctx context.Context, state, nonce string) (string, Flow, error) {
	m, err := p.load(ctx)
	if err != nil {
		return "", Flow{}, err
	}
	f := Flow{State: state, Nonce: nonce, Verifier: oauth2.GenerateVerifier()}
	return p.client(m).AuthCodeURL(f.State, oidc.Nonce(f.Nonce), oauth2.S256ChallengeOption(f.Verifier), oauth2.SetAuthURLParam("response_mode", "query")), f, nil
}

func (p *Provider) client(m *metadata) *oauth2.Config {
	// The default is basic (RFC 8414 §2). Trying both would spend the code.
	style := oauth2.AuthStyleInHeader
	if p.Secret.Empty() || len(m.AuthMethods) > 0 && !slices.Contains(m.AuthMethods, "client_secret_basic") {
		style = oauth2.AuthStyleInParams
	}
	scopes := []string{"openid", "profile", "email"}
	if p.entra {
		// Reads one's own groups at Graph, where the token has no room for them.
		scopes = append(scopes, p.Cloud.GraphResource+"/User.Read")
	}
	return &oauth2.Config{
		ClientID: p.ClientID, ClientSecret: p.Secret.Reveal(), RedirectURL: p.Redirect, Scopes: scopes,
		Endpoint: oauth2.Endpoint{AuthURL: m.Authorize, TokenURL: m.Token, AuthStyle: style},
	}
}

// Answer is what the issuer sent the browser back with.
type Answer struct{ Code, State, Issuer, Error, Description string }

// Finish checks the answer to a sign-in and gives the person. The error is a
// [*Refusal].
func (p *Provider) Finish(ctx context.Context, f Flow, a Answer) (*Person, error) {
	ctx, cancel := context.WithTimeout(ctx, 3*fetchTime)
	defer cancel()
	if a.State == "" || subtle.ConstantTimeCompare([]byte(a.State), []byte(f.State)) != 1 {
		return nil, refuse(State, nil, "the state is not that of this browser's sign-in")
	}
	m, err := p.load(ctx)
	if err != nil {
		return nil, err
	}
	if a.Issuer == "" && m.NamesIssuer || a.Issuer != "" && p.ours(m, a.Issuer, "") != nil {
		return nil, refuse(MixUp, nil, "the answer is of %.200q", a.Issuer)
	}
	if a.Error != "" || a.Code == "" {
		return nil, refuse(Declined, nil, "%.60q: %.300q", a.Error, a.Description)
	}
	token, err := p.client(m).Exchange(oidc.ClientContext(ctx, p.http), a.Code, oauth2.VerifierOption(f.Verifier))
	if err != nil {
		if said, ok := errors.AsType[*oauth2.RetrieveError](err); ok && said.Response.StatusCode < 500 {
			return nil, refuse(Code, nil, "%.60q: %.300q", said.ErrorCode, said.ErrorDescription)
		}
		return nil, refuse(Unreachable, err, "redeeming the code")
	}
	raw, _ := token.Extra("id_token").(string)
	return p.verify(ctx, m, raw, f, secrets.New(token.AccessToken))
}
