package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"gatehouse/client"
	"gatehouse/internal/audit"
	"gatehouse/internal/broker"
	"gatehouse/internal/live"
)

func (f *face) tokens(h huma.API) {
	const tag = "Tokens"
	use := needs(audit.ConnectionUse)
	add(f, h, route{access: use, method: http.MethodPost, path: "/connections/{id}/token", id: "new-token", tag: tag, summary: "Get an access token", fresh: true, asks: true,
		long: "Of a person who signed in, an app or a service account; the software needs no credential but its API key. A token that is still good is given at once, so that asking before each call costs little. " +
			"A problem of the type no-token says with `state` what the connection needs, with `link` where. An Idempotency-Key is not looked at: a token of before may have ended."}, f.newToken)
	add(f, h, route{access: needs(audit.ConnectionView), method: http.MethodGet, path: "/connections/{id}/token-state", id: "get-token-state", tag: tag, summary: "Whether a connection gives tokens",
		long: "With what stands in the way, when the sign-in will end by what can be foreseen, and who takes tokens."}, f.tokenState)
	add(f, h, route{access: needs(audit.ConnectionValidate), method: http.MethodPost, path: "/connections/{id}/token-retry", id: "retry-token", tag: tag, summary: "Ask the sign-in service again",
		long: "After a refusal it is left alone for a while; the next request for a token then asks it at once."}, f.retryToken)
	add(f, h, route{access: use, method: http.MethodGet, path: "/connections/{id}/token-events", id: "stream-token-events", tag: tag, summary: "Hear when a connection gives tokens again",
		long: "A stream of server-sent events, each with JSON data of the type TokenState: the present one at once, and each that follows."}, f.streamTokenEvents)
	describeStream(h, "/connections/{id}/token-events", "text/event-stream", "Server-sent events, each with the data of a TokenState", h.OpenAPI().Components.Schemas.Schema(reflect.TypeFor[client.TokenState](), true, "TokenState"))
}

type tokenInput struct {
	ByID
	Body client.TokenRequest
}

func (f *face) newToken(ctx context.Context, in *tokenInput) (*body[client.Token], error) {
	if in.Body.Resource != "" && in.Body.Service != "" {
		return nil, invalid(client.Fault{Field: "service", Problem: "is given beside a resource", Way: "send one of them"})
	}
	given, err := f.Tokens.Give(ctx, in.ID, broker.Ask{Resource: in.Body.Resource + in.Body.Service, Claims: in.Body.Claims, CAE: in.Body.CAE})
	if err != nil {
		return nil, f.noToken(err)
	}
	return with(client.Token{AccessToken: given.Access.Reveal(), TokenType: "Bearer", ExpiresAt: given.Expires.UTC(), Resource: given.Resource, Connection: in.ID, State: given.State}), nil
}

// noToken makes a problem of a refusal.
func (f *face) noToken(err error) error {
	var r *broker.Refused
	if !errors.As(err, &r) {
		return err
	}
	p := problem(http.StatusConflict, client.ProblemNoToken, strings.TrimPrefix(r.Error(), "giving a token: "))
	if r.State == broker.Ready {
		p.Status = http.StatusServiceUnavailable
	}
	p.State, p.Link, p.Claims = r.State, f.page(r.Link), r.Claims
	if r.RetryAfter > 0 {
		p.RetryAfter = seconds(r.RetryAfter)
	}
	if r.Diagnosis != nil {
		p.Diagnosis = diagnosisOf(*r.Diagnosis)
	}
	if r.State == broker.NeedsSignIn || r.State == broker.NeedsMFA {
		p.Detail += ". On the connection's page an operator signs in, or makes a personal link for the person"
	}
	return p
}

// page is the address of a page of the console.
func (f *face) page(path string) string { return strings.TrimSuffix(f.PublicURL, "/") + path }

func (f *face) tokenState(ctx context.Context, in *ByID) (*body[client.TokenState], error) {
	s, err := f.Tokens.StateOf(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	return with(f.tokenStateOf(in.ID, s)), nil
}

func (f *face) tokenStateOf(id string, s broker.State) client.TokenState {
	out := client.TokenState{
		Connection: id, State: s.State, Since: s.Since, Reason: s.Reason, Person: s.Person, ClientID: s.ClientID, SignedInAt: s.SignedInAt, MFA: s.MFA, RefreshedAt: s.RefreshedAt, Link: f.page(s.Link),
		Forecasts: []client.TokenForecast{}, Callers: []client.TokenCaller{},
	}
	if s.RetryAfter > 0 {
		out.RetryAfter = seconds(s.RetryAfter)
	}
	if s.Diagnosis != nil {
		out.Diagnosis = diagnosisOf(*s.Diagnosis)
	}
	for _, c := range s.Forecasts {
		out.Forecasts = append(out.Forecasts, client.TokenForecast{At: c.At, Rule: c.Rule, Confidence: string(c.Confidence), Text: c.Text})
	}
	for _, c := range s.Callers {
		out.Callers = append(out.Callers, client.TokenCaller{Operator: c.ID, Name: c.Name, Uses: c.Uses, Last: c.Last})
	}
	return out
}

func (f *face) retryToken(ctx context.Context, in *ByID) (*empty, error) {
	return nil, f.Tokens.TryAgain(ctx, in.ID)
}

func (f *face) streamTokenEvents(ctx context.Context, in *ByID) (*huma.StreamResponse, error) {
	tenantID, err := f.Tokens.Watch(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	// From before the state is read, so that no change is missed.
	events, err := f.Live.Subscribe(ctx, live.Filter{Tenants: []string{tenantID}, Topics: []string{broker.Topic + in.ID}}, "")
	if err != nil {
		cancel()
		return nil, err
	}
	return &huma.StreamResponse{Body: func(h huma.Context) {
		defer cancel()
		h.SetHeader("Content-Type", "text/event-stream")
		h.SetHeader("X-Accel-Buffering", "no") // proxies pass each event on at once
		f.streamStates(ctx, newPatient(h), events, in.ID)
	}}, nil
}

// streamStates writes states until the reader leaves, may not read them any more, the
// connection is gone, or the server stops.
func (f *face) streamStates(ctx context.Context, out *patient, events <-chan live.Event, id string) {
	beat := time.NewTicker(f.beat)
	defer beat.Stop()
	flush := func(format string, args ...any) bool {
		_, err := fmt.Fprintf(out, format, args...)
		return err == nil && out.control.Flush() == nil
	}
	tell := func() bool {
		if _, err := f.Tokens.Watch(ctx, id); err != nil {
			return false
		}
		s, err := f.Tokens.Look(ctx, id)
		if err != nil {
			return false
		}
		data, err := json.Marshal(f.tokenStateOf(id, s))
		return err == nil && flush("data: %s\n\n", data)
	}
	if !tell() {
		return
	}
	for {
		select {
		case e, ok := <-events:
			if !ok || !tell() || e.Reload {
				return
			}
		case <-beat.C:
			c := callerOf(ctx)
			with := ctx
			if f.recognise(&with, &c) != nil {
				return
			}
			if _, err := f.Tokens.Watch(with, id); err != nil || !flush(": %s\n\n", "still here") {
				return
			}
		case <-f.Stopping:
			return
		}
	}
}

// fresh reports whether a path is of the route whose answers are not repeated.
func (f *face) fresh(path string) bool {
	return strings.HasPrefix(path, prefix+"/connections/") && strings.HasSuffix(path, "/token")
}
