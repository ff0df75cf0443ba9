package api_test

import (
	"errors"
	"net/http"
	"testing"
	"time"

	"gatehouse/client"
	"gatehouse/internal/testenv"
)

// A program acts with a key over HTTP: with its permissions, in its tenants; what
// is about oneself and sessions is not for keys; a revoked one is nobody's.
func TestKeyActs(t *testing.T) {
	t.Parallel()
	e := testenv.Start(t)
	ctx := t.Context()
	own, err := e.AddTenant(ctx, client.TenantRequest{Tenant: "openharbour.onmicrosoft.com", Name: "Own"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := e.AddTenant(ctx, client.TenantRequest{Tenant: "ledgerlane.onmicrosoft.com", Name: "Elsewhere"}); err != nil {
		t.Fatal(err)
	}
	made, err := e.AddKey(ctx, client.KeyRequest{Name: "report", Permissions: []string{"tenant.view", "connection.manage"}, Tenants: []string{own.ID}})
	if err != nil {
		t.Fatal(err)
	}
	if keys, err := e.Keys(ctx); err != nil || len(keys) != 1 || keys[0].Name != "report" || keys[0].Hint != made.Token[:8] {
		t.Errorf("%+v %v", keys, err)
	}
	if days := time.Until(made.Key.ExpiresAt).Hours() / 24; days < 89.9 || days > 90 { // what was left out is as documented
		t.Errorf("it lasts %.2f days", days)
	}
	program := e.NewClient(client.WithToken(made.Token))
	if all, _, err := program.Tenants(ctx, client.TenantFilter{}, client.Page{}); err != nil || len(all) != 1 || all[0].ID != own.ID {
		t.Errorf("tenants: %+v %v", all, err)
	}
	problem := func(what string, err error, status int) {
		t.Helper()
		var p *client.Problem
		if !errors.As(err, &p) || p.Status != status {
			t.Errorf("%s: %v", what, err)
		}
	}
	err = program.RemoveReader(ctx, own.ID)
	problem("managing the tenant", err, http.StatusForbidden)
	_, err = program.AddKey(ctx, client.KeyRequest{Name: "more", Permissions: []string{"tenant.view"}, Tenants: []string{own.ID}})
	problem("making a key", err, http.StatusForbidden)
	problem("ending a key", program.RevokeKey(ctx, made.Key.ID), http.StatusForbidden)
	_, err = program.Session(ctx)
	problem("the session", err, http.StatusUnauthorized)
	problem("signing out", program.SignOut(ctx), http.StatusUnauthorized)
	if err := e.RevokeKey(ctx, made.Key.ID); err != nil {
		t.Fatal(err)
	}
	_, _, err = program.Tenants(ctx, client.TenantFilter{}, client.Page{})
	problem("with a revoked key", err, http.StatusUnauthorized)
}
