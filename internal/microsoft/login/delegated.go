package login

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
	"golang.org/x/oauth2"

	"gatehouse/internal/microsoft"
	"gatehouse/internal/secrets"
)

// App is an app registration as it lets people sign in. With neither secret nor
// certificate it is a public client.
type App struct {
	ClientID    string
	Secret      secrets.Value
	Certificate *Certificate
}

// Ask is a sign-in to begin in somebody's browser.
type Ask struct {
	Tenant   string // directory id; "organizations" for any
	ClientID string
	Redirect string
	Scopes   []string // of one resource, with openid, profile and offline_access
	State    string
	Nonce    string
	Verifier string // of PKCE; see [NewVerifier]
	Hint     string // user name to fill in; ""
	Prompt   string // login, consent, select_account; "" for none
	Claims   string // a claims challenge, as JSON; ""
}

// NewVerifier makes a verifier for PKCE (RFC 7636 §4.1).
func NewVerifier() string { return oauth2.GenerateVerifier() }

// AuthorizeURL is where a browser is sent to sign in: authorization code with PKCE,
// always S256 (entra-sign-in §3).
func (c *Client) AuthorizeURL(a Ask) string {
	query := url.Values{
		"client_id": {a.ClientID}, "response_type": {"code"}, "response_mode": {"query"}, "redirect_uri": {a.Redirect}, "scope": {strings.Join(a.Scopes, " ")},
		"state": {a.State}, "nonce": {a.Nonce}, "code_challenge": {oauth2.S256ChallengeFromVerifier(a.Verifier)}, "code_challenge_method": {"S256"},
	}
	for name, value := range map[string]string{"login_hint": a.Hint, "prompt": a.Prompt, "claims": a.Claims} {
		if value != "" {
			query.Set(name, value)
		}
	}
	return c.cloud.Login + "/" + url.PathEscape(a.Tenant) + "/oauth2/v2.0/authorize?" + query.Encode()
}

// Earned is what a sign-in or refresh gives: an access token and what to go on
// with.
type Earned struct {
	Token
	Refresh secrets.Value // empty if there is none: offline_access was not granted
	ID      secrets.Value // the id token, which [Client.VerifyID] checks; empty if there is none
}

// Redemption is an authorization code to be exchanged.
type Redemption struct {
	Tenant   string
	Redirect string // the one of the authorize request
	Code     secrets.Value
	Verifier string
	Scopes   []string
	Claims   string // a claims challenge, as JSON; ""
}

// Code exchanges an authorization code, once.
func (c *Client) Code(ctx context.Context, app App, r Redemption) (Earned, error) {
	return c.redeem(ctx, "redeeming the authorization code", r.Tenant, app, url.Values{
		"grant_type": {"authorization_code"}, "code": {r.Code.Reveal()}, "redirect_uri": {r.Redirect}, "code_verifier": {r.Verifier}, "scope": {strings.Join(r.Scopes, " ")}, "claims": claims(r.Claims),
	})
}

// Renew exchanges a refresh token for tokens of the scopes of one resource. The
// answer holds a new refresh token as a rule, which takes the place of the old one
// (entra-sign-in §8); claims are a claims challenge, or "".
func (c *Client) Renew(ctx context.Context, app App, tenant string, refresh secrets.Value, scopes []string, challenge string) (Earned, error) {
	return c.redeem(ctx, "refreshing the sign-in", tenant, app, url.Values{
		"grant_type": {"refresh_token"}, "refresh_token": {refresh.Reveal()}, "scope": {strings.Join(scopes, " ")}, "claims": claims(challenge),
	})
}

// Device is a sign-in on another device that somebody has to finish.
type Device struct {
	Code     secrets.Value // for [Client.Device]
	UserCode string        // what the person types
	Address  string        // where
	Message  string        // what the service says to do
	Interval time.Duration // between two questions
	Until    time.Time
}

// StartDevice begins a sign-in by device code (entra-sign-in §6).
func (c *Client) StartDevice(ctx context.Context, app App, tenant string, scopes []string) (Device, error) {
	x := c.exchange("asking for a device code")
	form := url.Values{"client_id": {app.ClientID}, "scope": {strings.Join(scopes, " ")}}
	if err := x.post(ctx, c.cloud.Login+"/"+url.PathEscape(tenant)+"/oauth2/v2.0/devicecode", form); err != nil {
		return Device{}, err
	}
	var answer struct {
		Code     string  `json:"device_code"`
		UserCode string  `json:"user_code"`
		Address  string  `json:"verification_uri"`
		Message  string  `json:"message"`
		Interval seconds `json:"interval"`
		Expires  seconds `json:"expires_in"`
	}
	if err := json.Unmarshal(x.body, &answer); err != nil || answer.Code == "" || answer.UserCode == "" || answer.Address == "" {
		return Device{}, x.unreadable(errors.New("the answer has no device code"))
	}
	d := Device{Code: secrets.New(answer.Code), UserCode: answer.UserCode, Address: answer.Address, Message: answer.Message, Interval: max(time.Duration(answer.Interval)*time.Second, 5*time.Second)}
	d.Until = x.received.Add(time.Duration(answer.Expires) * time.Second)
	return d, nil
}

// Device asks whether somebody has finished a sign-in by device code. While nobody
// has, the error's OAuth member is authorization_pending.
func (c *Client) Device(ctx context.Context, app App, tenant string, code secrets.Value) (Earned, error) {
	return c.redeem(ctx, "signing in with a device code", tenant, app, url.Values{
		"grant_type": {"urn:ietf:params:oauth:grant-type:device_code"}, "device_code": {code.Reveal()},
	})
}

// claims leaves a missing challenge out.
func claims(challenge string) []string {
	if challenge == "" {
		return nil
	}
	return []string{challenge}
}

// seconds are a number, or a string with one, as older services write it.
type seconds float64

// UnmarshalJSON reads either.
func (s *seconds) UnmarshalJSON(data []byte) error {
	n, err := strconv.ParseFloat(strings.Trim(string(data), `"`), 64)
	if err == nil && (math.IsNaN(n) || math.Abs(n) > 1e9) {
		err = errors.New("the number is out of bounds")
	}
	if err != nil {
		return fmt.Errorf("reading a number of seconds: %w", err)
	}
	*s = seconds(n)
	return nil
}

// ErrExpired says that the service gave a token out that had ended already.
var ErrExpired = errors.New("the service gave out an access token that has ended already")

// redeem asks the token endpoint.
func (c *Client) redeem(ctx context.Context, op, tenant string, app App, form url.Values) (Earned, error) {
	address := c.cloud.Login + "/" + url.PathEscape(tenant) + "/oauth2/v2.0/token"
	form.Set("client_id", app.ClientID)
	switch {
	case app.Certificate != nil:
		assertion, err := app.Certificate.assertion(app.ClientID, address, c.now())
		if err != nil {
			return Earned{}, err
		}
		form.Set("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer")
		form.Set("client_assertion", assertion)
	case !app.Secret.Empty():
		form.Set("client_secret", app.Secret.Reveal())
	}
	x := c.exchange(op)
	if err := x.post(ctx, address, form); err != nil {
		return Earned{}, err
	}
	var answer struct {
		Access  string  `json:"access_token"`
		Refresh string  `json:"refresh_token"`
		ID      string  `json:"id_token"`
		Type    string  `json:"token_type"`
		Scope   string  `json:"scope"`
		Expires seconds `json:"expires_in"`
	}
	if err := json.Unmarshal(x.body, &answer); err != nil {
		return Earned{}, x.unreadable(err)
	}
	if answer.Access == "" || !strings.EqualFold(answer.Type, "Bearer") {
		return Earned{}, x.unreadable(errors.New("the answer has no access token of type Bearer"))
	}
	token := x.token(answer.Access, x.lifetime(answer.Access, answer.Expires), strings.Fields(answer.Scope))
	if !token.Expires.After(x.received) {
		return Earned{}, x.unreadable(ErrExpired)
	}
	return Earned{Token: token, Refresh: secrets.New(answer.Refresh), ID: secrets.New(answer.ID)}, nil
}

// lifetime is when an access token ends by this machine's clock: as the answer
// says, or, where the token can be read and says less, as that does by the
// service's own clock.
func (x *exchange) lifetime(access string, expires seconds) time.Time {
	lasts := time.Duration(float64(expires) * float64(time.Second))
	if end := readClaims(access).Expires; end != 0 && !x.serverTime.IsZero() && math.Abs(end) < 1e12 {
		lasts = min(lasts, time.Unix(int64(end), 0).Sub(x.serverTime))
	}
	return x.received.Add(lasts)
}

// post sends a form; any answer but 200 is a refusal.
func (x *exchange) post(ctx context.Context, address string, form url.Values) error {
	for name, values := range form {
		if len(values) == 0 {
			delete(form, name)
		}
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, address, strings.NewReader(form.Encode()))
	if err != nil {
		return fmt.Errorf("%s: %w", x.op, err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Accept", "application/json")
	r.Header.Set("Client-Request-Id", correlation())
	if err := x.send(r); err != nil || x.response.StatusCode != http.StatusOK {
		return x.failure(err)
	}
	return nil
}

// assertion proves that the certificate's key is at hand (entra-sign-in §5.2).
func (c Certificate) assertion(clientID, audience string, now time.Time) (string, error) {
	print := sha256.Sum256(c.Leaf.Raw)
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.PS256, Key: c.key}, (&jose.SignerOptions{}).WithType("JWT").WithHeader("x5t#S256", base64.RawURLEncoding.EncodeToString(print[:])))
	if err != nil {
		return "", fmt.Errorf("signing an assertion: %w", err)
	}
	// It begins a little before now, for a service whose clock is behind.
	begins := now.Add(-time.Minute)
	payload, err := json.Marshal(map[string]any{"aud": audience, "iss": clientID, "sub": clientID, "jti": correlation(), "nbf": begins.Unix(), "exp": begins.Add(10 * time.Minute).Unix()})
	if err != nil {
		return "", fmt.Errorf("signing an assertion: %w", err)
	}
	signed, err := signer.Sign(payload)
	if err != nil {
		return "", fmt.Errorf("signing an assertion: %w", err)
	}
	return signed.CompactSerialize()
}

// Cloud is the cloud that the client signs in to.
func (c *Client) Cloud() microsoft.Cloud { return c.cloud }
