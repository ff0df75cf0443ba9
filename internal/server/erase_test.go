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
		zelda, id := e.NewClient(), invited.Operator.ID
		if _, err := zelda.SetUp(ctx, client.SetUpRequest{Link: invited.Link, Name: "Zelda Quillfeather", Password: testenv.Password}); err != nil {
			t.Fatal(err)
		}
		generator, err := zelda.NewGenerator(ctx)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := zelda.ConfirmGenerator(ctx, client.GeneratorRequest{Name: "phone", Code: testenv.Code(t, generator.Secret)}); err != nil {
			t.Fatal(err)
		}
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

		inCampaign(t, e, zelda, tenant.ID)

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

// inCampaign has an operator ask for sign-ins and begin one, start a campaign, and be
// one of those whom it asks.
func inCampaign(t *testing.T, e *testenv.Env, zelda *client.Client, tenantID string) {
	t.Helper()
	ctx := t.Context()
	app, err := e.AddRegistration(ctx, client.NewRegistration{Kind: "public", RegistrationDetails: client.RegistrationDetails{Name: "Reports", ClientIDs: map[string]string{"lab": "00000000-0000-4000-8000-00000000e4a5"}}})
	if err != nil {
		t.Fatal(err)
	}
	manifest := client.ManifestRequest{Version: app.Manifest.Version, Permissions: []client.ManifestPermission{
		{Resource: "graph", Name: "openid", Kind: "delegated"}, {Resource: "graph", Name: "profile", Kind: "delegated"}, {Resource: "graph", Name: "offline_access", Kind: "delegated"}, {Resource: "graph", Name: "User.Read", Kind: "delegated"},
	}}
	_, err = e.SetManifest(ctx, app.ID, manifest)
	c, err2 := zelda.AddConnection(ctx, client.ConnectionRequest{TenantID: tenantID, Kind: "delegated", Profile: client.Profile{Name: "Reports", RegistrationID: app.ID, Services: []string{"graph"}}})
	if err := errors.Join(err, err2); err != nil {
		t.Fatal(err)
	}
	link, err := zelda.NewSignInLink(ctx, c.ID, client.SignInLinkRequest{Why: "The reports need it."})
	_, err2 = zelda.SignInConnection(ctx, c.ID, client.ConnectionSignInRequest{})
	_, err4 := zelda.SignOutConnection(ctx, c.ID, client.SignOutRequest{})
	k, err3 := zelda.CreateCampaign(ctx, client.CampaignRequest{Name: "Again", Registration: app.ID, Reason: "by_hand"})
	if err := errors.Join(err, err2, err3, err4, zelda.WithdrawSignInLink(ctx, c.ID, link.ID)); err != nil {
		t.Fatal(err)
	}
	_, err = zelda.AddCampaignPeople(ctx, k.ID, client.CampaignPeople{People: []client.CampaignPersonRow{
		{Tenant: tenantID, Username: "Zelda@Contoso.example", Name: "ZELDA Quillfeather", Email: "zelda@contoso.example"},
	}})
	_, err2 = zelda.StartCampaign(ctx, k.ID)
	if err := errors.Join(err, err2); err != nil {
		t.Fatal(err)
	}
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
