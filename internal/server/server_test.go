package server_test

import (
	"errors"
	"net/http"
	"os"
	"strings"
	"testing"

	"gatehouse/client"
	"gatehouse/internal/sqldb/dbtest"
	"gatehouse/internal/testenv"
)

// The way in: the link of the first start, a password, a code; then a tenant.
func TestFirstStart(t *testing.T) {
	testenv.Each(t, func(t *testing.T, e *testenv.Env) {
		ctx := t.Context()
		s, err := e.Session(ctx)
		if err != nil || s.Stage != client.StageSignedIn || s.Operator.Roles[client.AllTenants] != "administrator" {
			t.Fatalf("%+v %v", s, err)
		}
		added, err := e.AddTenant(ctx, client.TenantRequest{Tenant: "openharbour.onmicrosoft.com", Name: "Open Harbour"})
		if err != nil {
			t.Fatal(err)
		}
		tenants, next, err := e.Tenants(ctx, client.TenantFilter{}, client.Page{})
		if err != nil || next != "" || len(tenants) != 1 || tenants[0].ID != added.ID {
			t.Fatalf("%+v %q %v", tenants, next, err)
		}
		if !strings.Contains(e.Talk(), "master.key") {
			t.Errorf("nobody was told of the new master key: %s", e.Talk())
		}
		// The link works once.
		_, err = e.NewClient().SetUp(ctx, client.SetUpRequest{Link: e.SetUpLink(), Email: "mallory@contoso.example", Password: testenv.Password})
		if p := problem(t, err); p.Type != client.ProblemSignIn || p.Status != http.StatusUnauthorized {
			t.Errorf("the link works twice: %+v", p)
		}
	})
}

func problem(t *testing.T, err error) *client.Problem {
	t.Helper()
	var p *client.Problem
	if !errors.As(err, &p) {
		t.Fatalf("no problem but %v", err)
	}
	return p
}

// A restart finds everything: no new link, the same authority, the session.
func TestRestart(t *testing.T) {
	dbtest.EachAddress(t, func(t *testing.T, address string) {
		e := testenv.Start(t, testenv.Options{Database: address})
		if err := e.Stop(); err != nil {
			t.Fatal(err)
		}
		ca, err := os.ReadFile(e.Server.CAFile())
		if err != nil {
			t.Fatal(err)
		}
		again := testenv.Bare(t, testenv.Options{Database: address, Dir: e.Dir, Lab: e.Lab})
		if again.SetUpLink() != "" {
			t.Error("a second start with an administrator prints a link")
		}
		after, err := os.ReadFile(again.Server.CAFile())
		if err != nil || string(after) != string(ca) {
			t.Errorf("another authority: %v", err)
		}
		if _, err := again.NewClient(client.WithToken(e.Token())).Session(t.Context()); err != nil {
			t.Errorf("the session did not survive: %v", err)
		}
		// The key of another installation is refused at the start.
		if err := again.Stop(); err != nil {
			t.Fatal(err)
		}
	})
}
