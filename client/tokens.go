package client

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"time"
)

// The states of a connection as a source of tokens.
const (
	TokenReady        = "ready"
	TokenNeedsSignIn  = "needs_sign_in" // the person has to sign in
	TokenNeedsMFA     = "needs_mfa"     // the person has to show a second factor
	TokenNeedsConsent = "needs_consent" // the app lacks consent in the tenant
	TokenParked       = "parked"        // an operator or administrator has to act first
)

// TokenRequest says what a token is to be for.
type TokenRequest struct {
	// Resource is the URI of a service, or a scope of it.
	Resource string `json:"resource,omitempty" maxLength:"300" doc:"URI of the service, as Microsoft names it, or a scope of it; with neither resource nor service, the connection's only service"`
	// Service is its name.
	Service string `json:"service,omitempty" enum:"graph,sharepoint,exchange,business_central" doc:"The service by name, instead of its URI"`
	// Claims is a challenge that the service sent (WWW-Authenticate), decoded.
	Claims string `json:"claims,omitempty" maxLength:"8192" doc:"The claims challenge that the service answered with, as JSON: a token that meets it is fetched anew"`
	// CAE says that the caller passes such challenges on (continuous access evaluation).
	CAE bool `json:"cae,omitempty" doc:"The caller passes claims challenges on when it meets one (continuous access evaluation): the token says so (xms_cc cp1), may last up to 28 hours, and can be recalled by the service"`
}

// Token is an access token.
type Token struct {
	AccessToken string    `json:"access_token"`
	TokenType   string    `json:"token_type" enum:"Bearer"`
	ExpiresAt   time.Time `json:"expires_at"`
	Resource    string    `json:"resource" doc:"URI of the service that takes it"`
	Connection  string    `json:"connection"`
	State       string    `json:"state" enum:"ready,needs_sign_in,needs_mfa,needs_consent,parked" doc:"Of the connection; another than ready says that this is one of the last tokens"`
}

// TokenState is how a connection stands as a source of tokens.
type TokenState struct {
	Connection  string          `json:"connection"`
	State       string          `json:"state" enum:"ready,needs_sign_in,needs_mfa,needs_consent,parked"`
	Since       time.Time       `json:"since"`
	Reason      string          `json:"reason,omitempty"`
	Diagnosis   *Diagnosis      `json:"diagnosis,omitempty" doc:"Why there are no new tokens, and what helps"`
	RetryAfter  int             `json:"retry_after,omitempty" doc:"Seconds until the sign-in service is asked again by itself"`
	Person      string          `json:"person,omitempty" doc:"Who signed in"`
	ClientID    string          `json:"client_id,omitempty" doc:"Of the app that they signed in to"`
	SignedInAt  *time.Time      `json:"signed_in_at,omitempty"`
	MFA         *bool           `json:"mfa,omitempty" doc:"A second factor was shown then; left out where it is not known"`
	RefreshedAt *time.Time      `json:"refreshed_at,omitempty" doc:"When the sign-in service last gave a token"`
	Forecasts   []TokenForecast `json:"forecasts" nullable:"false" doc:"Ends that can be foreseen, the nearest first"`
	Callers     []TokenCaller   `json:"callers" nullable:"false" doc:"Who took tokens in the last seven days"`
	Link        string          `json:"link" doc:"The page where it can be mended"`
}

// TokenForecast is an end of a sign-in that can be foreseen.
type TokenForecast struct {
	At         *time.Time `json:"at,omitempty" doc:"Left out where it cannot be told"`
	Rule       string     `json:"rule" enum:"sign_in_frequency,remembered_mfa,idle"`
	Confidence string     `json:"confidence" enum:"high,medium,low"`
	Text       string     `json:"text"`
}

// TokenCaller is who took tokens.
type TokenCaller struct {
	Operator string    `json:"operator" doc:"Id of the operator whose key or session it was"`
	Name     string    `json:"name,omitempty"`
	Uses     int64     `json:"uses"`
	Last     time.Time `json:"last"`
}

// NewToken gives an access token of a connection. A *[Problem] of the type
// [ProblemNoToken] says, with its State, why there is none. It needs the permission
// connection.use.
func (c *Client) NewToken(ctx context.Context, connectionID string, r TokenRequest) (Token, error) {
	return call[Token](ctx, c, request{method: http.MethodPost, path: path("connections", connectionID, "token"), body: r})
}

// TokenState gives how a connection stands as a source of tokens.
func (c *Client) TokenState(ctx context.Context, connectionID string) (TokenState, error) {
	return call[TokenState](ctx, c, request{method: http.MethodGet, path: path("connections", connectionID, "token-state")})
}

// RetryToken lets the sign-in service be asked at once, whatever it said before.
func (c *Client) RetryToken(ctx context.Context, connectionID string) error {
	_, err := call[struct{}](ctx, c, request{method: http.MethodPost, path: path("connections", connectionID, "token-retry")})
	return err
}

// TokenEvents calls a function with the state of a connection, now and whenever it
// changes, until the context ends, the function fails or the stream breaks off.
func (c *Client) TokenEvents(ctx context.Context, connectionID string, each func(TokenState) error) error {
	return c.stream(ctx, path("connections", connectionID, "token-events"), nil, "", func(data []byte) error {
		var s TokenState
		if err := json.Unmarshal(data, &s); err != nil {
			return fmt.Errorf("reading events: %w", err)
		}
		return each(s)
	})
}
