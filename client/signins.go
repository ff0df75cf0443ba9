package client

import (
	"context"
	"net/http"
	"time"
)

// SignInLink is an address at which a person signs in for a connection. It is given
// once.
type SignInLink struct {
	ID    string    `json:"id"`
	URL   string    `json:"url" doc:"Opens a page that asks nobody to sign in to Gatehouse; good once, in one browser"`
	Until time.Time `json:"until"`
}

// ConnectionSignInRequest says what a sign-in is to answer.
type ConnectionSignInRequest struct {
	Resource string `json:"resource,omitempty" enum:"graph,sharepoint,exchange,business_central" doc:"Service to sign in for first; left out: the connection's first"`
	Claims   string `json:"claims,omitempty" maxLength:"8192" doc:"A claims challenge to answer, as JSON"`
}

// SignInLinkRequest is a personal link to make.
type SignInLinkRequest struct {
	For   string `json:"for,omitempty" maxLength:"320" doc:"User name of who is to sign in; left out: whoever the connection names"`
	Why   string `json:"why,omitempty" maxLength:"500" doc:"For the person to read"`
	Hours int    `json:"hours,omitempty" minimum:"1" maximum:"720" doc:"How long it is good; left out: seven days"`
	ConnectionSignInRequest
}

// SignInLinkInfo is a personal link without its address.
type SignInLinkInfo struct {
	ID        string     `json:"id"`
	Person    string     `json:"person,omitempty"`
	Why       string     `json:"why,omitempty"`
	AskedBy   string     `json:"asked_by"`
	State     string     `json:"state" enum:"open,started,done,declined,withdrawn,expired"`
	CreatedAt time.Time  `json:"created_at"`
	Until     time.Time  `json:"until"`
	EndedAt   *time.Time `json:"ended_at,omitempty"`
}

// SignInLinkList is what is kept of a connection's personal links.
type SignInLinkList struct {
	Items []SignInLinkInfo `json:"items" nullable:"false"`
}

// DeviceSignIn is a sign-in with a device code.
type DeviceSignIn struct {
	ID       string    `json:"id"`
	State    string    `json:"state" enum:"pending,ended,expired"`
	UserCode string    `json:"user_code" doc:"What the person types"`
	Address  string    `json:"address" doc:"Where"`
	Message  string    `json:"message" doc:"What Microsoft says to do"`
	Interval int       `json:"interval" doc:"Seconds between two looks at how it stands"`
	Until    time.Time `json:"until"`
	Event    *SignIn   `json:"event,omitempty" doc:"Once it has ended: how"`
	CodeFlow bool      `json:"code_flow" doc:"Device codes are blocked there: sign in in a browser"`
}

// SignIn is what became of a sign-in, or a sign-out.
type SignIn struct {
	ID            string     `json:"id"`
	At            time.Time  `json:"at"`
	Outcome       string     `json:"outcome" enum:"signed_in,refused,failed,declined,signed_out"`
	Person        string     `json:"person,omitempty" doc:"Who signed in, as far as known"`
	ObjectID      string     `json:"object_id,omitempty"`
	Flow          string     `json:"flow" enum:",code,device"`
	By            string     `json:"by" doc:"Who began it"`
	ByLink        bool       `json:"by_link" doc:"The person themself, with a personal link"`
	Link          string     `json:"link,omitempty" doc:"Its id"`
	Reason        string     `json:"reason,omitempty" doc:"Why not: state, other_person, foreign, no_refresh, scopes, identity, microsoft, device_blocked, …"`
	Words         string     `json:"words,omitempty" doc:"The same in a sentence"`
	Code          string     `json:"code,omitempty" doc:"Microsoft's"`
	CorrelationID string     `json:"correlation_id,omitempty"`
	Diagnosis     *Diagnosis `json:"diagnosis,omitempty"`
}

// SignOutRequest says what a sign-out is to do beside forgetting the tokens.
type SignOutRequest struct {
	Revoke bool `json:"revoke,omitempty" doc:"Have Microsoft revoke the person's sign-ins: in everything that they use"`
}

// SignOut says what a sign-out did.
type SignOut struct {
	Forgotten bool   `json:"forgotten" doc:"The tokens are gone from here"`
	Revoked   bool   `json:"revoked"`
	Why       string `json:"why,omitempty" doc:"Why nothing was revoked, where that was asked for"`
}

// SignInConnection gives an address at which the caller signs in for a connection,
// within 15 minutes.
func (c *Client) SignInConnection(ctx context.Context, id string, r ConnectionSignInRequest) (SignInLink, error) {
	return call[SignInLink](ctx, c, request{method: http.MethodPost, path: path("connections", id, "sign-in"), body: r})
}

// NewSignInLink makes a personal link.
func (c *Client) NewSignInLink(ctx context.Context, id string, r SignInLinkRequest) (SignInLink, error) {
	return call[SignInLink](ctx, c, request{method: http.MethodPost, path: path("connections", id, "sign-in", "link"), body: r})
}

// SignInLinks are a connection's personal links, the newest first.
func (c *Client) SignInLinks(ctx context.Context, id string) ([]SignInLinkInfo, error) {
	l, err := call[SignInLinkList](ctx, c, request{method: http.MethodGet, path: path("connections", id, "sign-in", "links")})
	return l.Items, err
}

// WithdrawSignInLink takes a personal link back.
func (c *Client) WithdrawSignInLink(ctx context.Context, id, link string) error {
	return c.do(ctx, request{method: http.MethodDelete, path: path("connections", id, "sign-in", "links", link)})
}

// DeviceSignIn begins a sign-in with a device code.
func (c *Client) DeviceSignIn(ctx context.Context, id string, r ConnectionSignInRequest) (DeviceSignIn, error) {
	return call[DeviceSignIn](ctx, c, request{method: http.MethodPost, path: path("connections", id, "sign-in", "device"), body: r})
}

// DeviceSignInState says how a sign-in with a device code stands.
func (c *Client) DeviceSignInState(ctx context.Context, id, attempt string) (DeviceSignIn, error) {
	return call[DeviceSignIn](ctx, c, request{method: http.MethodGet, path: path("connections", id, "sign-in", "device", attempt)})
}

// SignOutConnection forgets the tokens of a connection.
func (c *Client) SignOutConnection(ctx context.Context, id string, r SignOutRequest) (SignOut, error) {
	return call[SignOut](ctx, c, request{method: http.MethodPost, path: path("connections", id, "sign-out"), body: r})
}

// SignIns lists what became of a connection's sign-ins, the latest first.
func (c *Client) SignIns(ctx context.Context, id string, p Page) (signIns []SignIn, next string, err error) {
	l, err := call[List[SignIn]](ctx, c, request{method: http.MethodGet, path: path("connections", id, "sign-ins"), query: p.query()})
	return l.Items, l.Next, err
}
