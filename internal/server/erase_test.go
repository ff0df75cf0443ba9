package server_test

import (
	"errors"
	"strings"
	"testing"

	"gatehouse/client"
	"gatehouse/internal/testenv"
)

// Of a person who was removed and erased neither name nor address is anywhere in
// the database, what they did stays, and the audit log verifies.
func TestEraseOperator(t *testing.T) {
	testenv.Each(t, func(t *testing.T, e *testenv.Env) {
		ctx := t.Context()
		at := e.Lab.Tenant("openharbour")
		tenant, err := e.AddTenant(ctx, client.TenantRequest{Tenant: at.Domain, Name: "Open Harbour"})
		if err != nil {
			t.Fatal(err)
		}
		invited, err := e.Invite(ctx, client.InviteRequest{Email: "zelda@contoso.example", Name: "Zelda Quillfeather", Roles: map[string]string{client.AllTenants: "engineer"}})
		if err != nil {
			t.Fatal(err)
		}
		zelda, id := e.SetUp(invited.Link, ""), invited.Operator.ID
		c, err := zelda.AddConnection(ctx, client.ConnectionRequest{
			TenantID: tenant.ID, Kind: "service_account", Profile: client.Profile{Name: "Nightly backup", Username: at.User("svc-backup").UPN, Services: []string{"graph"}},
			Credential: client.CredentialRequest{Password: *at.User("svc-backup").Password},
		})
		if err != nil {
			t.Fatal(err)
		}
		if v, err := zelda.Validate(ctx, c.ID); err != nil || v.RequestedBy == "" {
			t.Fatalf("%+v %v", v, err)
		}

		if err := e.EraseOperator(ctx, id); !isConflict(err) {
			t.Errorf("an operator who is still there was erased: %v", err)
		}
		if err := zelda.EraseOperator(ctx, id); err == nil {
			t.Error("an engineer erased somebody")
		}
		if err := e.RemoveOperator(ctx, id); err != nil {
			t.Fatal(err)
		}
		if rows := tables(t, e); !strings.Contains(rows, "Quillfeather") {
			t.Fatal("the name is gone before it was erased")
		}
		if err := e.EraseOperator(ctx, id); err != nil {
			t.Fatal(err)
		}
		rows := tables(t, e)
		for _, gone := range []string{"Quillfeather", "zelda"} {
			if i := strings.Index(strings.ToLower(rows), strings.ToLower(gone)); i >= 0 {
				t.Errorf("%s is still there: …%s", gone, rows[max(0, i-200):i+20])
			}
		}
		entries, _, err := e.Audit(ctx, client.AuditFilter{ActorID: id}, client.Page{})
		if err != nil || len(entries) < 3 {
			t.Errorf("what they did is gone: %+v %v", entries, err)
		}
		if r, err := e.VerifyAudit(ctx); err != nil || r.Erased == 0 {
			t.Errorf("%+v %v", r, err)
		}
		if err := e.EraseOperator(ctx, id); err == nil {
			t.Error("erased twice")
		}
	})
}

func isConflict(err error) bool {
	var p *client.Problem
	return errors.As(err, &p) && p.Type == client.ProblemConflict
}

// tables is what a backup of the server holds: all its rows.
func tables(t *testing.T, e *testenv.Env) string {
	t.Helper()
	return unzipped(t, download(t, e))
}
