package api

import (
	"context"
	"net"
	"net/http"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"gatehouse/client"
	"gatehouse/internal/audit"
	"gatehouse/internal/operator"
	"gatehouse/internal/secrets"
)

// caller is what is known of who makes a request.
type caller struct {
	session *operator.Session // nil: none
	key     string            // id of the API key; "": none
	token   secrets.Value
	visit   operator.Visit
	request string // id of the request, as in the server's log
}

// whose tells callers apart who may act: an operator's sessions are one, each of
// their keys is another. "" for who may not.
func (c caller) whose() string {
	switch {
	case c.key != "":
		return "key " + c.key
	case c.session != nil && c.session.Stage == operator.StageSignedIn:
		return c.session.OperatorID
	}
	return ""
}

type callerKey struct{}

func callerOf(ctx context.Context) caller {
	c, _ := ctx.Value(callerKey{}).(caller)
	return c
}

func requestID(ctx context.Context) string { return callerOf(ctx).request }

// RequestIDHeader is set by the server on every request.
const RequestIDHeader = "X-Request-Id"

// authenticate finds the session of a request. Only a bearer token counts, never
// a cookie: so no page of another site can make a browser use the API. Requests
// without a good session are limited by address.
func (f *face) authenticate(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "no-store")
		address, _, err := net.SplitHostPort(r.RemoteAddr)
		if err != nil {
			address = r.RemoteAddr
		}
		c := caller{visit: operator.Visit{Address: address, UserAgent: r.UserAgent()}, request: r.Header.Get(RequestIDHeader)}
		ctx := r.Context()
		// A scheme's case does not matter (RFC 9110, 11.1).
		if scheme, given, _ := strings.Cut(r.Header.Get("Authorization"), " "); strings.EqualFold(scheme, "Bearer") {
			c.token = secrets.New(strings.TrimSpace(given))
			if err := f.recognise(&ctx, &c); err == nil {
				// known
			} else if p := problemOf(err); p.Status != http.StatusUnauthorized {
				f.refuse(w, context.WithValue(ctx, callerKey{}, c), err)
				return
			}
		}
		if c.session == nil && c.key == "" {
			if err := f.Open.Take(address); err != nil {
				f.refuse(w, context.WithValue(ctx, callerKey{}, c), err)
				return
			}
		}
		next.ServeHTTP(w, r.WithContext(context.WithValue(ctx, callerKey{}, c)))
	})
}

// recognise finds the session or the API key of a token.
func (f *face) recognise(ctx *context.Context, c *caller) error {
	if operator.IsKey(c.token) {
		with, key, err := f.Operators.AuthenticateKey(*ctx, c.token, c.visit)
		if err == nil {
			*ctx, c.key = with, key.ID
		}
		return err
	}
	with, session, err := f.Operators.Authenticate(*ctx, c.token, c.visit)
	if err == nil {
		*ctx, c.session = with, session
	}
	return err
}

// refuse answers with the problem of an error.
func (f *face) refuse(w http.ResponseWriter, ctx context.Context, err error) {
	writeProblem(w, f.answer(ctx, err).(*client.Problem)) //nolint:errorlint // answer gives nothing else
}

// authorise demands what a route declares, before its body is read.
func (f *face) authorise(h huma.API, ctx huma.Context, a access, next func(huma.Context)) {
	err := f.allowed(ctx.Context(), a)
	if err == nil {
		next(ctx)
		return
	}
	p := problemOf(f.answer(ctx.Context(), err))
	for name, values := range p.GetHeaders() {
		ctx.SetHeader(name, values[0])
	}
	ctx.SetHeader("Content-Type", p.ContentType(""))
	ctx.SetStatus(p.Status)
	_ = h.Marshal(ctx.BodyWriter(), "application/json", p) // a lost connection: nobody is left to tell
}

func (f *face) allowed(ctx context.Context, a access) error {
	c := callerOf(ctx)
	switch {
	case a.open:
		return nil
	case c.session == nil && (c.key == "" || a.entering):
		return operator.ErrSession
	case a.entering || c.session != nil && c.session.Stage == operator.StageSignedIn && a.permission == audit.Self:
		return nil
	case audit.Anywhere(ctx, a.permission):
		return nil
	}
	if _, nobody := audit.Tenants(ctx, a.permission); nobody != nil {
		return nobody
	}
	// The log refuses it and writes it down, as a feature would.
	return f.Audit.Allow(ctx, audit.AllTenants, a.permission)
}
