package broker_test

import (
	"context"
	"errors"
	"runtime"
	"strings"
	"testing"
	"time"

	"gatehouse/internal/audit"
	"gatehouse/internal/broker"
	"gatehouse/internal/connection"
	"gatehouse/internal/fault"
	"gatehouse/internal/secrets"
	"gatehouse/internal/sqldb"
)

// A program is given tokens of a person's sign-in: for the connection's services, to
// whoever may use it, the service asked once for as long as the token lasts.
func TestToken(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		h.wire.since()
		var no *audit.Refused
		other := audit.With(t.Context(), audit.Actor{Kind: audit.Operator, ID: "o2", Roles: map[string]audit.Role{"elsewhere": audit.Administrator}})
		refused := func(when string) {
			t.Helper()
			if _, err := h.Token(h.caller(audit.ConnectionView, audit.ConnectionValidate), h.id, "graph", ""); !errors.As(err, &no) {
				t.Errorf("%s, without the permission: %v", when, err)
			}
			if _, err := h.Token(other, h.id, "graph", ""); !errors.As(err, &no) || !no.Hidden {
				t.Errorf("%s, from another tenant: %v", when, err)
			}
		}
		refused("read from the database")
		first := h.token()
		refused("read from memory")
		if second := h.token(); second.Access.Reveal() != first.Access.Reveal() || h.wire.since() != 0 {
			t.Error("the token that came with the sign-in is not given out")
		}
		if c := first.Claims; c.UPN != "ines@quietquay.onmicrosoft.com" || !strings.Contains(c.Scopes, "User.Read") {
			t.Errorf("%+v", c)
		}
		for _, resource := range []string{"https://graph.microsoft.com", "https://graph.microsoft.com/", "https://graph.microsoft.com/.default", "GRAPH"} {
			if token, err := h.Token(h.caller(audit.ConnectionUse), h.id, resource, ""); err != nil || token.Access.Reveal() != first.Access.Reveal() {
				t.Errorf("%s: %v", resource, err)
			}
		}
		for _, resource := range []string{"sharepoint", "https://vault.azure.net", "https://graph.microsoft.com.evil.example", "http://graph.microsoft.com", "https://u@graph.microsoft.com", "", "https://graph.microsoft.com/a/b", "nonsense"} {
			var f *fault.Field
			if _, err := h.Token(h.caller(audit.ConnectionUse), h.id, resource, ""); !errors.As(err, &f) || !strings.Contains(f.Way, "https://graph.microsoft.com") || !strings.Contains(f.Way, "business_central") {
				t.Errorf("%q: %v", resource, err)
			}
		}
		for _, claims := range []string{"null", "[]", "x", `"a"`, strings.Repeat("{", 9000)} {
			if _, err := h.Token(h.caller(audit.ConnectionUse), h.id, "graph", claims); err == nil {
				t.Errorf("%q is taken for a challenge", claims)
			}
		}
		for what, ask := range map[string]func(context.Context) error{
			"the state": func(ctx context.Context) error { _, err := h.StateOf(ctx, h.id); return err }, "a look": func(ctx context.Context) error { _, err := h.Look(ctx, h.id); return err },
			"hearing of it": func(ctx context.Context) error { _, err := h.Watch(ctx, h.id); return err }, "another try": func(ctx context.Context) error { return h.TryAgain(ctx, h.id) },
		} {
			if err := ask(other); !errors.As(err, &no) || !no.Hidden {
				t.Errorf("%s, from another tenant: %v", what, err)
			}
			only := h.caller(audit.ConnectionUse)
			switch what {
			case "another try":
				only = h.caller(audit.ConnectionUse, audit.ConnectionView)
			case "a look", "hearing of it":
				only = h.caller(audit.ConnectionView)
			}
			if err := ask(only); !errors.As(err, &no) {
				t.Errorf("%s, without the permission: %v", what, err)
			}
		}
		if _, err := h.Token(h.caller(), "none", "graph", ""); !errors.Is(err, connection.ErrMissing) {
			t.Error(err)
		}
		must(t, h.audit.Flush(boss(t.Context())))
		s := h.state()
		if s.State != broker.Ready || s.Person != "ines@quietquay.onmicrosoft.com" || s.SignedInAt == nil || s.Diagnosis != nil || len(s.Callers) != 1 || s.Callers[0].Uses < 6 || s.Link != "/connections/"+h.id {
			t.Errorf("%+v", s)
		}
		// Most of its life over, it is still given, and another one fetched.
		h.advance(time.Until(time.Now().Add(first.Expires.Sub(h.lab.Now()) * 9 / 10)))
		if token := h.token(); token.Access.Reveal() != first.Access.Reveal() {
			t.Error("the caller waited although the token is still good")
		}
		for h.wire.since() == 0 {
			runtime.Gosched() // the refresh is under way
		}
		for h.token().Access.Reveal() == first.Access.Reveal() {
			runtime.Gosched()
		}
		// It has ended: the caller waits for another one.
		h.advance(3 * time.Hour)
		second := h.token()
		if n := h.wire.since(); n != 1 || second.Access.Reveal() == first.Access.Reveal() {
			t.Errorf("asked %d times", n)
		}
	})
}

// What is said of a connection holds on every replica: signed out, paused, removed,
// other services.
func TestDropped(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		other, err := stand(t.Context(), h.db, h.keyFile, h.cloud, h.app, h.lab.Now, nil)
		must(t, err)
		const trust = 300 * time.Millisecond
		other.TrustFor(trust)
		running, stop := context.WithCancel(t.Context())
		done := make(chan struct{}, 4)
		for _, g := range []*ground{h.ground, other} {
			go func() { g.config.Live.Run(running); done <- struct{}{} }()
			<-g.config.Live.Listening()
			go func() { g.Run(running); done <- struct{}{} }()
		}
		defer func() {
			stop()
			for range 4 {
				<-done
			}
		}()
		// within asks until each replica refuses, which it has to within what is said;
		// on SQLite, where there is one process, events of another do not come.
		within := func(what, state string) {
			t.Helper()
			for _, g := range []*ground{h.ground, other} {
				bound := 2 * time.Second
				if !h.db.Postgres() && g == other {
					bound = trust + 2*time.Second
				}
				for began := time.Now(); ; {
					_, err := g.Token(h.caller(audit.ConnectionUse), h.id, "graph", "")
					var r *broker.Refused
					if errors.As(err, &r) && r.State == state || state == "" && errors.Is(err, connection.ErrMissing) {
						break
					}
					if err != nil || time.Since(began) > bound {
						t.Fatalf("%s: after %s a replica still answers %v", what, time.Since(began), err)
					}
				}
			}
		}
		both := func() {
			t.Helper()
			h.token()
			if _, err := other.Token(h.caller(audit.ConnectionUse), h.id, "graph", ""); err != nil {
				t.Fatal(err)
			}
		}
		both()
		must(t, h.tenants.Pause(boss(t.Context()), h.tenant.ID, true))
		within("paused", broker.Parked)
		must(t, h.tenants.Pause(boss(t.Context()), h.tenant.ID, false))
		both()
		must(t, h.db.Change(t.Context(), func(ctx context.Context, tx *sqldb.Tx) error { return h.Forget(ctx, tx, h.id, "signed out by ada") }))
		within("signed out", broker.NeedsSignIn)
		if s := h.state(); s.State != broker.NeedsSignIn || s.Person == "" || s.SignedInAt == nil {
			t.Errorf("history is gone: %+v", s)
		}
		var sealed int
		must(t, h.db.Read().NewRaw("SELECT (SELECT count(*) FROM grants WHERE length(refresh) > 0) + (SELECT count(*) FROM access_tokens)").Scan(t.Context(), &sealed))
		if sealed != 0 {
			t.Errorf("%d sealed tokens are left", sealed)
		}
		h.signIn()
		both()
		must(t, h.connections.Remove(boss(t.Context()), h.id))
		within("removed", "")
	})
}

// A sign-in that earned nothing to go on with is not kept (story 9).
func TestNothingToGoOnWith(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		g := h.earn()
		g.Refresh = secrets.Value{}
		if err := h.keep(g); !errors.Is(err, broker.ErrNoRefresh) || !strings.Contains(err.Error(), "offline_access") {
			t.Error(err)
		}
		h.token()
	})
}
