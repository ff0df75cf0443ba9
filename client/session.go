package client

import (
	"context"
	"net/http"
	"time"
)

// The stages of a session.
const (
	StagePassword = "password"  // the second factor is missing
	StageEnrol    = "enrol"     // a second factor has to be set up first
	StageSignedIn = "signed_in" // whoever has the token may act
)

// Session is how far signing in has come.
type Session struct {
	Token     string    `json:"token,omitempty" doc:"Proves the session: send it as Authorization: Bearer. Each step gives a new one."`
	Stage     string    `json:"stage" enum:"password,enrol,signed_in"`
	ExpiresAt time.Time `json:"expires_at"`
	Operator  Operator  `json:"operator"`
}

// SignInRequest is the first step of signing in.
type SignInRequest struct {
	Email    string `json:"email" maxLength:"320"`
	Password string `json:"password" maxLength:"1024"`
}

// CodeRequest is the second step: the code that the generator shows.
type CodeRequest struct {
	Code string `json:"code" maxLength:"32"`
}

// SetUpRequest uses a set-up link.
type SetUpRequest struct {
	Link     string `json:"link" maxLength:"2048" doc:"The link, or the token at its end"`
	Email    string `json:"email,omitempty" maxLength:"320" doc:"For the first administrator; others have theirs already"`
	Name     string `json:"name,omitempty" maxLength:"200"`
	Password string `json:"password" maxLength:"1024"`
}

// Generator is what a code generator needs to be set up.
type Generator struct {
	Secret string `json:"secret" doc:"Base32, to type"`
	URL    string `json:"url" doc:"otpauth:// address, to show as a QR code"`
}

// GeneratorRequest finishes setting up a code generator.
type GeneratorRequest struct {
	Name string `json:"name,omitempty" maxLength:"100" doc:"For example \"phone\""`
	Code string `json:"code" maxLength:"32"`
}

// SignIn begins a session with e-mail address and password. What is missing
// then is the second factor: [Client.GiveCode].
func (c *Client) SignIn(ctx context.Context, email, password string) (Session, error) {
	c.take("")
	return c.session(ctx, request{method: http.MethodPost, path: "/session", body: SignInRequest{email, password}})
}

// GiveCode completes signing in with a code.
func (c *Client) GiveCode(ctx context.Context, code string) (Session, error) {
	return c.session(ctx, request{method: http.MethodPost, path: "/session/code", body: CodeRequest{code}})
}

// SetUp uses a set-up link. What is missing then is a second factor:
// [Client.NewGenerator] and [Client.ConfirmGenerator].
func (c *Client) SetUp(ctx context.Context, r SetUpRequest) (Session, error) {
	c.take("")
	return c.session(ctx, request{method: http.MethodPost, path: "/setup", body: r})
}

// NewGenerator begins to set up a code generator.
func (c *Client) NewGenerator(ctx context.Context) (Generator, error) {
	return call[Generator](ctx, c, request{method: http.MethodPost, path: "/session/generator"})
}

// ConfirmGenerator finishes it with the first code, and signs in.
func (c *Client) ConfirmGenerator(ctx context.Context, r GeneratorRequest) (Session, error) {
	return c.session(ctx, request{method: http.MethodPost, path: "/session/generator/confirm", body: r})
}

// Session tells who is signed in.
func (c *Client) Session(ctx context.Context) (Session, error) {
	return call[Session](ctx, c, request{method: http.MethodGet, path: "/session"})
}

// SignOut ends the session.
func (c *Client) SignOut(ctx context.Context) error {
	err := c.do(ctx, request{method: http.MethodDelete, path: "/session"})
	if err == nil {
		c.take("")
	}
	return err
}

func (c *Client) session(ctx context.Context, r request) (s Session, err error) {
	r.into = &s
	if err := c.do(ctx, r); err != nil {
		return Session{}, err
	}
	c.take(s.Token)
	return s, nil
}
