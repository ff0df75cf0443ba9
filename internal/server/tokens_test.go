package server_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"gatehouse/client"
	"gatehouse/internal/testenv"
)

// tokenHouse is a server with a connection of an app, and the API key of a program
// that may use it.
func tokenHouse(t testing.TB, options ...testenv.Options) (e *testenv.Env, connection, key string) {
	t.Helper()
	e = testenv.Start(t, options...)
	at := e.Lab.Tenant("openharbour")
	added, err := e.AddTenant(t.Context(), client.TenantRequest{Tenant: at.Domain, Name: "Open Harbour"})
	if err != nil {
		t.Fatal(err)
	}
	app := at.App("Lab administration")
	c, err := e.AddConnection(t.Context(), client.ConnectionRequest{TenantID: added.ID, Kind: "app", Profile: client.Profile{Name: "reports", ClientID: app.ClientID, Services: []string{"graph"}}, Credential: client.CredentialRequest{Secret: *app.Secret}})
	if err != nil {
		t.Fatal(err)
	}
	made, err := e.AddKey(t.Context(), client.KeyRequest{Name: "program", Permissions: []string{"connection.use"}, Tenants: []string{added.ID}})
	if err != nil {
		t.Fatal(err)
	}
	return e, c.ID, made.Token
}

// A program gets tokens with its key and nothing else: good for the service, never
// stored by anybody on the way, refused to others, and none once the key is revoked.
func TestTokens(t *testing.T) {
	e, id, key := tokenHouse(t)
	ctx := t.Context()
	program := e.NewClient(client.WithToken(key))
	token, err := program.NewToken(ctx, id, client.TokenRequest{Service: "graph"})
	if err != nil || token.TokenType != "Bearer" || token.State != client.TokenReady || token.Resource != "https://graph.microsoft.com" || token.Connection != id || !token.ExpiresAt.After(time.Now()) {
		t.Fatalf("%+v %v", token.State, err)
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, e.Lab.URL()+"/v1.0/users?$top=1", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+token.AccessToken)
	response, err := e.Lab.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	_ = response.Body.Close()
	if response.StatusCode != http.StatusOK {
		t.Errorf("Graph answers %s", response.Status)
	}
	// An idempotency key makes no difference, and nothing may keep the answer.
	for range 2 {
		ask, err := http.NewRequestWithContext(ctx, http.MethodPost, e.URL+"/api/v1/connections/"+id+"/token", strings.NewReader(`{"resource":"https://graph.microsoft.com/.default"}`))
		if err != nil {
			t.Fatal(err)
		}
		ask.Header.Set("Content-Type", "application/json")
		ask.Header.Set("Authorization", "Bearer "+key)
		ask.Header.Set("Idempotency-Key", "once")
		answer, err := e.HTTP().Do(ask)
		if err != nil {
			t.Fatal(err)
		}
		_ = answer.Body.Close()
		if answer.StatusCode != http.StatusOK || answer.Header.Get("Cache-Control") != "no-store" || answer.Header.Get("Idempotency-Replayed") != "" {
			t.Errorf("%s %v", answer.Status, answer.Header)
		}
	}
	problem := func(what string, err error, status int, kind string) *client.Problem {
		t.Helper()
		var p *client.Problem
		if !errors.As(err, &p) || p.Status != status || p.Type != kind {
			t.Fatalf("%s: %v", what, err)
		}
		return p
	}
	_, err = program.NewToken(ctx, id, client.TokenRequest{Service: "sharepoint"})
	if p := problem("another service", err, http.StatusUnprocessableEntity, client.ProblemInvalid); !strings.Contains(p.Error(), "https://graph.microsoft.com") {
		t.Error(p)
	}
	viewer := e.Member("viewer@contoso.example", map[string]string{client.AllTenants: "technician"})
	_, err = viewer.NewToken(ctx, id, client.TokenRequest{Service: "graph"})
	_ = problem("without the role", err, http.StatusForbidden, client.ProblemRefused)

	// Paused: whoever waits hears of it, and of its end.
	states := make(chan string, 10)
	watching, stop := context.WithCancel(ctx)
	var done sync.WaitGroup
	done.Go(func() {
		_ = program.TokenEvents(watching, id, func(s client.TokenState) error { states <- s.State; return nil }) // ends with the test
	})
	defer done.Wait()
	defer stop()
	if first := <-states; first != client.TokenReady {
		t.Error(first)
	}
	all, _, err := e.Tenants(ctx, client.TenantFilter{}, client.Page{})
	if err != nil {
		t.Fatal(err)
	}
	paused := true
	if _, err := e.ChangeTenant(ctx, all[0].ID, client.TenantChange{Paused: &paused}); err != nil {
		t.Fatal(err)
	}
	for {
		if _, err = program.NewToken(ctx, id, client.TokenRequest{Service: "graph"}); err != nil {
			break
		}
	}
	if p := problem("paused", err, http.StatusConflict, client.ProblemNoToken); p.State != client.TokenParked || p.Link != e.URL+"/connections/"+id {
		t.Errorf("%+v", p)
	}
	if s, err := e.TokenState(ctx, id); err != nil || s.State != client.TokenParked || s.Reason == "" {
		t.Errorf("%+v %v", s, err)
	}
	if err := e.RevokeKey(ctx, keyID(t, e)); err != nil {
		t.Fatal(err)
	}
	_, err = program.NewToken(ctx, id, client.TokenRequest{Service: "graph"})
	_ = problem("with a revoked key", err, http.StatusUnauthorized, client.ProblemNotSignedIn)
	if log := e.Log(); strings.Contains(log, token.AccessToken) || strings.Contains(log, key) {
		t.Error("the log holds a token")
	}
}

func keyID(t testing.TB, e *testenv.Env) string {
	t.Helper()
	keys, err := e.Keys(t.Context())
	if err != nil || len(keys) == 0 {
		t.Fatal(err)
	}
	return keys[0].ID
}
