// Package login signs in to the Microsoft identity platform: user realm,
// password grant and client credentials, on MSAL. Every refusal comes back as
// [*microsoft.Error] with all that the service said.
//
// Each call makes its requests through an exchange that talks to the cloud's
// sign-in host and to nobody else: a password is never sent to a host that an
// answer names, unless the operator allowed that host.
package login

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/AzureAD/microsoft-authentication-library-for-go/apps/confidential"
	"github.com/AzureAD/microsoft-authentication-library-for-go/apps/public"

	"gatehouse/internal/microsoft"
	"gatehouse/internal/pace"
	"gatehouse/internal/secrets"
)

// CodeFederatedRealm is the code of the error with which [Client.Password]
// refuses to hand a password to a federation host.
const CodeFederatedRealm = "federated_realm"

// Client signs in to one cloud.
type Client struct {
	cloud microsoft.Cloud
	http  *http.Client
	pace  *pace.Governor
	allow []string
	known *Known
	now   func() time.Time
}

// Config is what a [Client] needs.
type Config struct {
	Cloud microsoft.Cloud
	// AllowFederation lists hosts that federated passwords may be sent to.
	AllowFederation []string
	// Pace lets each request pass when the service has not asked to wait; nil
	// lets all pass.
	Pace *pace.Governor
	// Transport replaces the cloud's own transport, for tests with another
	// route to it.
	Transport http.RoundTripper
	// Known keeps public answers for other calls; nil keeps none.
	Known *Known
	// Now is the clock by which tokens end that were not had through MSAL, and by
	// which assertions are made; time.Now if nil.
	Now func() time.Time
}

// New gives a client.
func New(cfg Config) *Client {
	transport := cfg.Transport
	if transport == nil {
		transport = cfg.Cloud.Transport()
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	return &Client{cloud: cfg.Cloud, now: cfg.Now, pace: cfg.Pace, allow: cfg.AllowFederation, known: cfg.Known, http: &http.Client{
		Transport: transport,
		Timeout:   45 * time.Second,
		// A redirect of a token request would carry the credential elsewhere.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// Tenant is what a tenant's public metadata say.
type Tenant struct {
	ID     string // GUID
	Issuer string
	Cloud  string // the cloud's own name, such as microsoftonline.us; "" if not told
	// ServerTime is the service's clock at Received on ours; zero if it was
	// not told. It has a resolution of one second.
	ServerTime, Received time.Time
}

// Tenant finds a tenant by id or domain. It needs no sign-in.
func (c *Client) Tenant(ctx context.Context, tenant string) (Tenant, error) {
	const op = "looking up the tenant"
	var document struct {
		Issuer string `json:"issuer"`
		Cloud  string `json:"cloud_instance_name"`
	}
	x := c.exchange(op)
	if err := x.get(ctx, c.cloud.Login+"/"+url.PathEscape(tenant)+"/v2.0/.well-known/openid-configuration", &document); err != nil {
		return Tenant{}, err
	}
	issuer, err := url.Parse(document.Issuer)
	if err != nil || document.Issuer == "" {
		return Tenant{}, x.unreadable(fmt.Errorf("the issuer %q is no address", document.Issuer))
	}
	id, _, _ := strings.Cut(strings.TrimPrefix(issuer.Path, "/"), "/")
	return Tenant{ID: id, Issuer: document.Issuer, Cloud: document.Cloud, ServerTime: x.serverTime, Received: x.received}, nil
}

// Realm says who authenticates a user name.
type Realm struct {
	Type        string `json:"account_type"` // Managed, Federated or Unknown
	Domain      string `json:"domain_name"`
	Protocol    string `json:"federation_protocol"`
	MetadataURL string `json:"federation_metadata_url"`
	ActiveURL   string `json:"federation_active_auth_url"`
}

// Federated reports whether another service than Microsoft's checks the
// password.
func (r Realm) Federated() bool { return strings.EqualFold(r.Type, "Federated") }

// hosts are the hosts that a federated sign-in would talk to.
func (r Realm) hosts() []string {
	var out []string
	for _, address := range []string{r.MetadataURL, r.ActiveURL} {
		if u, err := url.Parse(address); err == nil && u.Host != "" && !slices.Contains(out, u.Host) {
			out = append(out, u.Host)
		}
	}
	return out
}

// OpRealm is the operation of the errors of [Client.Realm].
const OpRealm = "looking up the user's realm"

// Realm asks who authenticates a user name (entra-sign-in §7). It needs no
// sign-in and tells nothing about whether the account exists.
func (c *Client) Realm(ctx context.Context, username string) (Realm, error) {
	var realm Realm
	x := c.exchange(OpRealm)
	err := x.get(ctx, c.cloud.Login+"/common/UserRealm/"+url.PathEscape(username)+"?api-version=1.0", &realm)
	if err == nil && realm.Type == "" {
		err = x.unreadable(errors.New("the answer has no account_type"))
	}
	return realm, err
}

// Token is an access token with what is known about it.
type Token struct {
	Access        secrets.Value
	Expires       time.Time
	Scopes        []string
	CorrelationID string
	// Claims are read from the token without checking it: evidence for a
	// diagnosis, no proof of anything.
	Claims Claims

	more func(context.Context, []string) (Token, error)
}

// For gives a token of the same sign-in for other scopes. A password is not sent
// again for it.
func (t Token) For(ctx context.Context, scopes []string) (Token, error) { return t.more(ctx, scopes) }

// Password signs a user in with a password, once: nothing here retries. The challenge
// is a claims challenge, as JSON, or "". A federated user's password is refused with code [CodeFederatedRealm] unless
// all hosts of the realm are allowed.
func (c *Client) Password(ctx context.Context, tenant, clientID, username string, password secrets.Value, scopes []string, challenge string) (Token, error) {
	realm, err := c.Realm(ctx, username)
	if err != nil {
		return Token{}, err
	}
	x := c.exchange("signing in with a password")
	if realm.Federated() {
		for _, host := range realm.hosts() {
			if !slices.Contains(c.allow, host) {
				return Token{}, &microsoft.Error{
					Service: microsoft.ServiceLogin, Op: x.op, Code: CodeFederatedRealm,
					Message: fmt.Sprintf("the domain %s is federated: the password would go to %s, which is not allowed", realm.Domain, host),
				}
			}
			x.hosts = append(x.hosts, host)
		}
	}
	client, err := public.New(clientID, public.WithAuthority(c.cloud.Login+"/"+tenant), public.WithHTTPClient(x), public.WithInstanceDiscovery(false))
	if err != nil {
		return Token{}, x.failure(err)
	}
	result, err := client.AcquireTokenByUsernamePassword(ctx, scopes, username, password.Reveal(), public.WithClaims(challenge)) //nolint:staticcheck // deprecated for new software; telling why it fails is this package's work
	if err != nil {
		return Token{}, x.failure(err)
	}
	token := x.token(result.AccessToken, result.ExpiresOn, result.GrantedScopes)
	token.more = func(ctx context.Context, scopes []string) (Token, error) {
		next, err := client.AcquireTokenSilent(ctx, scopes, public.WithSilentAccount(result.Account))
		if err != nil {
			return Token{}, x.failure(err)
		}
		return x.token(next.AccessToken, next.ExpiresOn, next.GrantedScopes), nil
	}
	return token, nil
}

// Secret signs an app in with a client secret.
func (c *Client) Secret(ctx context.Context, tenant, clientID string, secret secrets.Value, scopes []string) (Token, error) {
	credential, err := confidential.NewCredFromSecret(secret.Reveal())
	if err != nil {
		return Token{}, fmt.Errorf("reading the client secret: %w", err)
	}
	return c.app(ctx, tenant, clientID, credential, scopes, "signing in with a client secret")
}

// Certificate signs an app in with a certificate.
func (c *Client) Certificate(ctx context.Context, tenant, clientID string, certificate Certificate, scopes []string) (Token, error) {
	return c.app(ctx, tenant, clientID, certificate.credential, scopes, "signing in with a certificate")
}

func (c *Client) app(ctx context.Context, tenant, clientID string, credential confidential.Credential, scopes []string, op string) (Token, error) {
	x := c.exchange(op)
	client, err := confidential.New(c.cloud.Login+"/"+tenant, clientID, credential, confidential.WithHTTPClient(x), confidential.WithInstanceDiscovery(false))
	if err != nil {
		return Token{}, x.failure(err)
	}
	result, err := client.AcquireTokenByCredential(ctx, scopes)
	if err != nil {
		return Token{}, x.failure(err)
	}
	token := x.token(result.AccessToken, result.ExpiresOn, result.GrantedScopes)
	token.more = func(ctx context.Context, scopes []string) (Token, error) {
		return c.app(ctx, tenant, clientID, credential, scopes, op)
	}
	return token, nil
}

// exchange is the HTTP client of one call. It remembers the last answer, so
// that nothing of a refusal is lost in MSAL's error texts (which may carry
// tokens and addresses), and keeps to the allowed hosts.
type exchange struct {
	http  *http.Client
	pace  *pace.Governor
	op    string
	hosts []string
	known *Known
	now   func() time.Time

	correlation string
	response    *http.Response
	body        []byte
	err         error
	serverTime  time.Time
	received    time.Time
}

func (c *Client) exchange(op string) *exchange {
	u, err := url.Parse(c.cloud.Login)
	x := &exchange{http: c.http, pace: c.pace, known: c.known, now: c.now, op: op, err: err}
	if err == nil {
		x.hosts = []string{u.Host}
	}
	return x
}

// maxAnswer is the largest answer that is read, in bytes.
const maxAnswer = 4 << 20

// Do sends one request of MSAL.
func (x *exchange) Do(r *http.Request) (*http.Response, error) {
	if err := x.send(r); err != nil {
		return nil, err
	}
	return x.response, nil
}

// send keeps the answer with its body read to the end.
func (x *exchange) send(r *http.Request) error {
	x.response, x.body, x.err = nil, nil, nil
	x.err = x.receive(r)
	return x.err
}

func (x *exchange) receive(r *http.Request) error {
	if r.URL.Scheme != "https" || !slices.Contains(x.hosts, r.URL.Host) {
		return fmt.Errorf("the host %s is neither the sign-in service nor allowed", r.URL.Host)
	}
	if r.Header.Get("client-request-id") != "" {
		r.Header.Set("client-request-id", correlation())
	}
	x.correlation = r.Header.Get("client-request-id")
	if a, ok := x.known.find(r); ok {
		x.response, x.body, x.received, x.serverTime = a.response(), a.body, a.received, a.serverTime //nolint:bodyclose // its body lies in memory
		return nil
	}
	// Limits are the tenant's, which the path begins with (for a user's realm it
	// is "common"), or another host's.
	tenant, _, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	if r.URL.Host != x.hosts[0] {
		tenant = r.URL.Host
	}
	response, err := x.pace.Do(r.Context(), pace.Call{Service: microsoft.ServiceLogin, Tenant: tenant, Path: r.URL.Path}, func() (*http.Response, error) {
		return x.http.Do(r) //nolint:gosec // the host was checked above
	})
	if err != nil {
		return err
	}
	defer response.Body.Close()
	x.response, x.received = response, x.now()
	x.serverTime, _ = http.ParseTime(response.Header.Get("Date"))
	x.body, err = io.ReadAll(io.LimitReader(response.Body, maxAnswer+1))
	if err == nil && len(x.body) > maxAnswer {
		err = fmt.Errorf("the answer is larger than %d MB", maxAnswer>>20)
	}
	response.Body = io.NopCloser(bytes.NewReader(x.body))
	if err == nil {
		x.known.keep(r, answer{status: response.StatusCode, header: response.Header, body: x.body, received: x.received, serverTime: x.serverTime})
	}
	return err
}

// CloseIdleConnections is part of MSAL's client interface.
func (x *exchange) CloseIdleConnections() { x.http.CloseIdleConnections() }

func (x *exchange) get(ctx context.Context, address string, out any) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return fmt.Errorf("%s: %w", x.op, err)
	}
	if err := x.send(r); err != nil {
		return x.failure(err)
	}
	if x.response.StatusCode != http.StatusOK {
		return x.failure(nil)
	}
	if err := json.Unmarshal(x.body, out); err != nil {
		return x.unreadable(err)
	}
	return nil
}

func (x *exchange) token(access string, expires time.Time, scopes []string) Token {
	return Token{Access: secrets.New(access), Expires: expires, Scopes: scopes, CorrelationID: x.correlation, Claims: readClaims(access)}
}

// failure turns the outcome of the last request into a [microsoft.Error]: the
// transport's error, the service's refusal, or an answer that cannot be read.
func (x *exchange) failure(err error) error {
	e := &microsoft.Error{Service: microsoft.ServiceLogin, Op: x.op, CorrelationID: x.correlation}
	switch {
	case x.err != nil:
		e.Err = x.err
		var busy *pace.Busy
		if errors.As(x.err, &busy) {
			e.RetryAfter = busy.RetryAfter
		}
		return e
	case x.response == nil:
		// Refused before any request: MSAL did not like its own input.
		e.Err = err
		return e
	}
	e.Status, e.ContentType = x.response.StatusCode, x.response.Header.Get("Content-Type")
	e.Body = x.body[:min(len(x.body), microsoft.MaxErrorBody)]
	e.RequestID = x.response.Header.Get("x-ms-request-id")
	e.RetryAfter = pace.RetryAfter(x.response.Header.Get("Retry-After"), x.received)
	var body struct {
		Error         string `json:"error"`
		Description   string `json:"error_description"`
		Codes         []int  `json:"error_codes"`
		Suberror      string `json:"suberror"`
		Claims        string `json:"claims"`
		Timestamp     string `json:"timestamp"`
		TraceID       string `json:"trace_id"`
		CorrelationID string `json:"correlation_id"`
	}
	if json.Unmarshal(x.body, &body) != nil || body.Error == "" {
		if x.response.StatusCode == http.StatusOK {
			return x.unreadable(errors.New("the answer is not what the protocol asks for"))
		}
		return e
	}
	e.OAuth, e.Suberror, e.Claims, e.Timestamp = body.Error, body.Suberror, body.Claims, body.Timestamp
	e.Message, _, _ = strings.Cut(strings.ReplaceAll(body.Description, "\r\n", "\n"), "\n")
	if body.TraceID != "" {
		e.RequestID = body.TraceID
	}
	if body.CorrelationID != "" {
		e.CorrelationID = body.CorrelationID
	}
	// The description's own code comes first: error_codes may list several.
	if code, _, ok := strings.Cut(e.Message, ":"); ok && strings.HasPrefix(code, "AADSTS") {
		e.Code = code
	} else if len(body.Codes) > 0 {
		e.Code = "AADSTS" + strconv.Itoa(body.Codes[0])
	}
	return e
}

// unreadable is an answer with a good status that makes no sense: a proxy's
// or portal's page, cut JSON. The body is left out, as it may hold a token.
func (x *exchange) unreadable(err error) error {
	e := &microsoft.Error{Service: microsoft.ServiceLogin, Op: x.op, CorrelationID: x.correlation, Err: err}
	if x.response != nil {
		e.Status, e.ContentType = x.response.StatusCode, x.response.Header.Get("Content-Type")
		if kind, _, _ := mime.ParseMediaType(e.ContentType); kind == "text/html" {
			e.Body = x.body[:min(len(x.body), microsoft.MaxErrorBody)]
		}
	}
	e.Message = "the answer cannot be read as JSON of the sign-in service"
	return e
}
