package validation_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"

	"gatehouse/internal/connection"
	"gatehouse/internal/microsoft"
	"gatehouse/internal/microsoft/login"
	"gatehouse/internal/secrets"
	"gatehouse/internal/sqldb"
	"gatehouse/internal/testenv/pages"
	"gatehouse/internal/validation"
)

// people keep what sign-ins earned, as the token broker does: a refresh token for
// each connection, which is renewed for whatever is asked for.
type people struct {
	mu       sync.Mutex
	cloud    microsoft.Cloud
	app      login.App
	tenant   string
	refresh  map[string]secrets.Value
	asks     []string // resource and claims of each request
	wants    []validation.Scope
	instead  map[string]login.Token // by connection
	withheld error
	demanded string // a claims challenge that sign-ins carry
}

func newPeople(wants ...validation.Scope) *people {
	return &people{refresh: map[string]secrets.Value{}, instead: map[string]login.Token{}, wants: wants}
}

const (
	registrationID = "0190a000-0000-7000-8000-000000000001"
	centralID      = "996def3d-b36c-4153-8607-a6fd3c01b89f"
	redirect       = "http://localhost"
)

func (p *people) registration(context.Context, string, []string) (string, error) {
	return p.app.ClientID, nil
}

func (p *people) needs(context.Context, string) ([]validation.Scope, error) { return p.wants, nil }

func (p *people) token(ctx context.Context, connectionID, resource, claims string) (login.Token, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.asks = append(p.asks, strings.TrimSpace(resource+" "+claims))
	if p.withheld != nil {
		return login.Token{}, p.withheld
	}
	if t, ok := p.instead[connectionID]; ok {
		return t, nil
	}
	refresh, ok := p.refresh[connectionID]
	if !ok {
		return login.Token{}, errors.New("the person logged out")
	}
	address := map[string]string{"graph": p.cloud.GraphResource, "business_central": p.cloud.BusinessCentralResource}[resource]
	if address == "" {
		address = resource
	}
	earned, err := login.New(login.Config{Cloud: p.cloud}).Renew(ctx, p.app, p.tenant, refresh, []string{address + "/.default", "offline_access"}, claims)
	if err != nil {
		return login.Token{}, err
	}
	if !earned.Refresh.Empty() {
		p.refresh[connectionID] = earned.Refresh
	}
	return earned.Token, nil
}

// delegated makes a connection that a person is to sign in for.
func (h *house) delegated(tenantID, name string, p connection.Profile) connection.Connection {
	h.t.Helper()
	p.Name, p.RegistrationID = name, registrationID
	c, err := h.connections.Create(h.boss(), connection.CreateRequest{TenantID: tenantID, Kind: connection.Delegated, Profile: p})
	if err != nil {
		h.t.Fatal(err)
	}
	return c
}

// signIn lets a person sign in for a connection before the lab's pages, by code.
func (p *people) signIn(t testing.TB, h *house, c connection.Connection, who *pages.Person, scopes ...string) login.Earned {
	t.Helper()
	client, verifier := login.New(login.Config{Cloud: p.cloud}), login.NewVerifier()
	scopes = append([]string{"openid", "profile", "offline_access"}, scopes...)
	at, stuck := who.Follow(client.AuthorizeURL(login.Ask{Tenant: p.tenant, ClientID: p.app.ClientID, Redirect: redirect, Scopes: scopes, State: "s", Nonce: "n", Verifier: verifier, Claims: p.demanded}))
	if at == nil || at.Query().Get("code") == "" {
		t.Fatalf("signing %s in: %v %.600s", who.UPN, at, stuck)
	}
	earned, err := client.Code(t.Context(), p.app, login.Redemption{Tenant: p.tenant, Redirect: redirect, Code: secrets.New(at.Query().Get("code")), Verifier: verifier, Scopes: scopes, Claims: p.demanded})
	if err != nil {
		t.Fatal(err)
	}
	p.mu.Lock()
	p.refresh[c.ID] = earned.Refresh
	p.mu.Unlock()
	err = h.db.Change(t.Context(), func(ctx context.Context, tx *sqldb.Tx) error {
		return h.connections.SignedIn(ctx, tx, c.ID, connection.Person{ObjectID: earned.Claims.ObjectID, Username: who.UPN, ClientID: p.app.ClientID})
	})
	if err != nil {
		t.Fatal(err)
	}
	return earned
}
