package datasource_test

import (
	"errors"
	"testing"

	"gatehouse/internal/audit"
	"gatehouse/internal/connection"
	"gatehouse/internal/datasource"
	"gatehouse/internal/secrets"
	"gatehouse/internal/sqldb/dbtest"
	"gatehouse/internal/tenant"
)

// Nothing is read with a password, of a paused tenant, for a service that is not the
// connection's, or without the permission; and that somebody looked is in the log.
func TestNothingIsRead(t *testing.T) {
	t.Parallel()
	h := open(t, dbtest.Open(t, dbtest.SQLite(t)))
	ctx := h.boss()
	c := h.delegated("Data source", "anna", connection.Profile{Services: []string{connection.Graph}})
	looked := func() int {
		t.Helper()
		all, err := audit.New(audit.Config{DB: h.db}).List(ctx, audit.Filter{ObjectID: c.ID, Action: "connection.sampled"})
		if err != nil {
			t.Fatal(err)
		}
		return len(all)
	}
	if sample, err := h.sources.Sample(ctx, c.ID, datasource.SampleRequest{}); err != nil || len(sample.Rows) == 0 || looked() != 1 {
		t.Errorf("%+v %v, %d lines in the log", sample, err, looked())
	}
	if _, err := h.sources.Companies(ctx, c.ID, ""); !errors.Is(err, datasource.ErrService) {
		t.Errorf("a service that it is not for: %v", err)
	}

	made := func(r connection.CreateRequest) connection.Connection {
		t.Helper()
		r.TenantID = h.tenantID
		made, err := h.connections.Create(ctx, r)
		if err != nil {
			t.Fatal(err)
		}
		return made
	}
	account := made(connection.CreateRequest{Kind: connection.ServiceAccount, Profile: connection.Profile{Name: "Account", Username: "ben@ledgerworks.onmicrosoft.com", Services: []string{connection.Graph}}, Credential: connection.CredentialRequest{Password: secrets.New("never sent anywhere")}})
	before := len(h.lab.Journal())
	if _, err := h.sources.Sample(ctx, account.ID, datasource.SampleRequest{}); !errors.Is(err, datasource.ErrPassword) {
		t.Errorf("with a password: %v", err)
	}
	app := made(connection.CreateRequest{Kind: connection.App, Profile: connection.Profile{Name: "App", ClientID: h.lab.Tenant("ledgerworks").App("Ledger").ClientID, Services: []string{connection.BusinessCentral}}, Credential: connection.CredentialRequest{Secret: secrets.New("never sent either")}})
	var no *audit.Refused
	viewer := as(t.Context(), h.tenantID, audit.Viewer)
	if _, err := h.sources.SetUp(viewer, app.ID); !errors.As(err, &no) {
		t.Errorf("a viewer has the set-up looked at: %v", err)
	}
	if _, err := h.sources.Environments(viewer, app.ID); !errors.As(err, &no) {
		t.Errorf("a viewer sees environments: %v", err)
	}
	if err := h.tenants.Pause(ctx, h.tenantID, true); err != nil {
		t.Fatal(err)
	}
	if _, err := h.sources.Sample(ctx, c.ID, datasource.SampleRequest{}); !errors.Is(err, tenant.ErrPaused) {
		t.Errorf("of a paused tenant: %v", err)
	}
	if n := len(h.lab.Journal()); n != before {
		t.Errorf("Microsoft was asked %d times", n-before)
	}
}
