package registration_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"gatehouse/internal/audit"
	"gatehouse/internal/connection"
	"gatehouse/internal/fault"
	"gatehouse/internal/registration"
	"gatehouse/internal/secrets"
	"gatehouse/internal/sqldb"
	"gatehouse/internal/tenant"
)

func (h *house) sql(text string, args ...any) {
	h.t.Helper()
	must(h.t, h.db.Change(h.t.Context(), func(ctx context.Context, tx *sqldb.Tx) error {
		_, err := tx.NewRaw(text, args...).Exec(ctx)
		return err
	}))
}

func (h *house) sealedLength(credentialID string) (n int) {
	h.t.Helper()
	must(h.t, h.db.Read().NewRaw("SELECT length(secret) FROM registration_credentials WHERE id = ?", credentialID).Scan(h.t.Context(), &n))
	return n
}

func tenantNamed(name string) tenant.AddRequest { return tenant.AddRequest{NameOrID: name} }

func delegated(tenantID, registrationID string, services ...string) connection.CreateRequest {
	return connection.CreateRequest{TenantID: tenantID, Kind: connection.Delegated, Profile: connection.Profile{Name: "Ledgers", RegistrationID: registrationID, Services: services}}
}

func signedIn(h *house, connectionID, clientID string) func(context.Context, *sqldb.Tx) error {
	return func(ctx context.Context, tx *sqldb.Tx) error {
		return h.connections.SignedIn(ctx, tx, connectionID, connection.Person{ObjectID: "9a000000-0000-4000-8000-000000000001", Username: "ida@ledgerlane.example", ClientID: clientID})
	}
}

func graphRead() []registration.Permission {
	return append(registration.SignInPermissions(), registration.Permission{Resource: "graph", Name: "User.Read", Kind: registration.DelegatedPermission, Why: "to greet people"})
}

// Story 9 and what else keeps people from signing in: refused where the connection is
// made, with what is missing by its name.
func TestSuits(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		whole := append(graphRead(),
			registration.Permission{Resource: "business_central", Name: "Financials.ReadWrite.All", Kind: registration.DelegatedPermission},
			registration.Permission{Resource: "sharepoint", Name: "Sites.FullControl.All", Kind: registration.ApplicationPermission})
		lab := map[string]string{"lab": h.clientID}
		for name, c := range map[string]struct {
			kind        registration.Kind
			clients     map[string]string
			permissions []registration.Permission
			secret      bool
			services    []string
			want        string
		}{
			"suits":                   {registration.Confidential, lab, whole, true, []string{"graph", "business_central"}, ""},
			"public, no credential":   {registration.Public, lab, whole, false, []string{"graph"}, ""},
			"no credential":           {registration.Confidential, lab, whole, false, []string{"graph"}, "no credential in use"},
			"no offline_access":       {registration.Confidential, lab, whole[3:], true, []string{"graph"}, "does not ask for offline_access"},
			"another cloud":           {registration.Confidential, map[string]string{"usgov": h.clientID}, whole, false, []string{"graph"}, "no client id in the cloud lab"},
			"not the service":         {registration.Confidential, lab, whole, true, []string{"graph", "exchange"}, "no delegated permission of Office 365 Exchange Online"},
			"application is no":       {registration.Confidential, lab, whole, true, []string{"sharepoint"}, "no delegated permission of SharePoint"},
			"sign-in scopes are none": {registration.Confidential, lab, whole[:3], true, []string{"graph"}, "no delegated permission of Microsoft Graph"},
		} {
			g, err := h.Create(h.boss(), registration.CreateRequest{Kind: c.kind, Details: registration.Details{Name: name, Clients: c.clients}, Permissions: c.permissions})
			must(t, err)
			if c.secret {
				_, err := h.AddCredential(h.boss(), g.ID, registration.CredentialRequest{Secret: secrets.New("some-value-of-a-secret")})
				must(t, err)
			}
			in := delegated(h.at.ID, g.ID, c.services...)
			in.Name = name
			made, err := h.connections.Create(h.boss(), in)
			var field *fault.Field
			switch {
			case c.want == "" && (err != nil || made.ClientID != h.clientID):
				t.Errorf("%s: %q, %v", name, made.ClientID, err)
			case c.want != "" && (!errors.As(err, &field) || field.Field != "registration_id" || !strings.Contains(field.Problem, c.want) || field.Way == ""):
				t.Errorf("%s: %v", name, err)
			}
			h.sql("DELETE FROM connections")
			must(t, h.Remove(h.boss(), g.ID))
		}
		if _, err := h.Suits(t.Context(), "nothing", []string{"graph"}); err == nil || !strings.Contains(err.Error(), "names no app registration") {
			t.Errorf("%v", err)
		}
	})
}

// Story 23: each version says what it adds and removes, who made it and why.
func TestManifest(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		g, _ := h.made(graphRead()...)
		h.changes = nil
		if got := g.Manifest.Scopes("graph"); !slices.Equal(got, []string{"User.Read"}) || !g.Manifest.Offline() || len(g.Manifest.SignIn()) != 3 || g.Manifest.Version != 1 {
			t.Errorf("%v %+v", got, g.Manifest)
		}
		next := []registration.Permission{
			{Resource: "graph", Name: "offline_access", Kind: "delegated"},
			{Resource: "Dynamics 365 Business Central", Name: "Financials.ReadWrite.All", Kind: "Delegated", Why: "to read ledgers"},
			{Resource: "graph", Name: "Sites.Selected", Kind: "application"},
			{Resource: "graph", Name: "sites.selected", Kind: "application"},
			{Resource: "77777777-aaaa-4bbb-8ccc-dddddddddddd", Name: "Tides.Read", Kind: "delegated"},
		}
		m, d, err := h.SetManifest(h.boss(), g.ID, registration.ManifestRequest{Permissions: next, Reason: "ledgers instead of people", Version: 1})
		must(t, err)
		show := func(all []registration.Permission) (out []string) {
			for _, p := range all {
				out = append(out, fmt.Sprintf("%s/%s/%s/%v", p.ResourceName, p.Name, p.Kind, p.Known()))
			}
			return out
		}
		if got := show(d.Added); !slices.Equal(got, []string{"/Tides.Read/delegated/false", "Dynamics 365 Business Central/Financials.ReadWrite.All/delegated/true", "Microsoft Graph/Sites.Selected/application/true"}) {
			t.Errorf("added: %q", got)
		}
		if got := show(d.Removed); !slices.Equal(got, []string{"Microsoft Graph/User.Read/delegated/true"}) {
			t.Errorf("removed: %q", got)
		}
		if m.Version != 2 || m.By != "Ada Person" || m.Reason != "ledgers instead of people" || len(m.SignIn()) != 3 || !slices.Equal(m.Roles("graph"), []string{"Sites.Selected"}) || len(m.Scopes("graph")) != 0 {
			t.Errorf("%+v", m)
		}
		if len(h.changes) != 1 || h.changes[0] != (registration.Change{RegistrationID: g.ID, What: registration.ChangedManifest, Old: "1", New: "2"}) {
			t.Errorf("%+v", h.changes)
		}
		if again, d, err := h.SetManifest(h.boss(), g.ID, registration.ManifestRequest{Permissions: next, Version: 2}); err != nil || again.Version != 2 || !d.Empty() {
			t.Errorf("the same again: %d %v %v", again.Version, d, err)
		}
		if _, _, err := h.SetManifest(h.boss(), g.ID, registration.ManifestRequest{Permissions: next[:1], Version: 1}); !errors.Is(err, registration.ErrConflict) {
			t.Errorf("over somebody else's: %v", err)
		}
		for _, wrong := range []registration.Permission{{Resource: "nowhere", Name: "A", Kind: "delegated"}, {Resource: "graph", Name: "User.Read openid", Kind: "delegated"}, {Resource: "graph", Name: "User.Read", Kind: "both"}, {Resource: "graph", Kind: "delegated"}} {
			if _, _, err := h.SetManifest(h.boss(), g.ID, registration.ManifestRequest{Permissions: []registration.Permission{wrong}, Version: 2}); err == nil || !strings.HasPrefix(err.Error(), "permissions ") {
				t.Errorf("%+v: %v", wrong, err)
			}
		}
		all, err := h.Manifests(h.boss(), g.ID)
		must(t, err)
		if len(all) != 2 || all[0].Version != 2 || all[1].Reason != "" {
			t.Errorf("%+v", all)
		}
		if newest, err := h.Manifest(t.Context(), g.ID); err != nil || newest.Version != 2 {
			t.Errorf("%d %v", newest.Version, err)
		}
	})
}

// What cannot be is refused with its field and the way out.
func TestFaults(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		g, _ := h.made()
		public, err := h.Create(h.boss(), registration.CreateRequest{Kind: registration.Public, Details: registration.Details{Name: "On desks"}})
		must(t, err)
		add := func(id string, in registration.CredentialRequest) error {
			_, err := h.AddCredential(h.boss(), id, in)
			return err
		}
		create := func(d registration.Details) error {
			_, err := h.Create(h.boss(), registration.CreateRequest{Kind: registration.Confidential, Details: d})
			return err
		}
		redirect := func(uri string) error {
			return create(registration.Details{Name: "x", Redirects: []registration.Redirect{{URI: uri}}})
		}
		some := secrets.New("some-value-of-a-secret")
		for name, c := range map[string]struct {
			err  error
			want string
		}{
			"federated":          {add(g.ID, registration.CredentialRequest{Kind: "federated"}), "kind is federated, which the token endpoint takes with a token of another identity provider"},
			"nothing":            {add(g.ID, registration.CredentialRequest{}), "credential is missing"},
			"two":                {add(g.ID, registration.CredentialRequest{Secret: some, Generate: true}), "more than one form"},
			"the id of a secret": {add(g.ID, registration.CredentialRequest{Secret: secrets.New("0a000000-0000-4000-8000-000000000001")}), "looks like the id of a secret"},
			"past":               {add(g.ID, registration.CredentialRequest{Secret: some, NotAfter: after(h.lab.Now(), -1)}), "not_after has passed"},
			"no PEM":             {add(g.ID, registration.CredentialRequest{CertificatePEM: secrets.New("nonsense")}), "certificate cannot be used"},
			"of a public client": {add(public.ID, registration.CredentialRequest{Secret: some}), "does not belong to a public client"},
			"no name":            {create(registration.Details{}), "name is missing"},
			"no GUID":            {create(registration.Details{Name: "x", Clients: map[string]string{"lab": "x"}}), "client_ids has"},
			"no cloud":           {create(registration.Details{Name: "x", Clients: map[string]string{"moon": h.clientID}}), "names the cloud"},
			"taken":              {create(registration.Details{Name: g.Name}), "another app registration"},
			"taken client id":    {create(registration.Details{Name: "x", Clients: map[string]string{"lab": h.clientID}}), "another app registration"},
			"http":               {redirect("http://contoso.example/back"), "no app registration takes"},
			"fragment":           {redirect("https://contoso.example/#x"), "no app registration takes"},
			"script":             {redirect("javascript:alert(1)"), "no app registration takes"},
			"wildcard":           {redirect("https://*.contoso.example/back"), "no app registration takes"},
		} {
			if c.err == nil || !strings.Contains(c.err.Error(), c.want) {
				t.Errorf("%s: %v", name, c.err)
			}
		}
		for _, uri := range []string{"https://contoso.example/back?x=1", "http://localhost:8400", "http://127.0.0.1/back", "msal11111111://auth"} {
			if err := create(registration.Details{Name: uri, Redirects: []registration.Redirect{{URI: uri}}}); err != nil {
				t.Errorf("%s: %v", uri, err)
			}
		}
	})
}

// Whoever looks after a tenant sees registrations; only whoever runs the server
// changes them. What belongs to a tenant is shown to its own people alone.
func TestRights(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		g, c := h.made(graphRead()...)
		elsewhere := h.addTenant("ledgerlane")
		_, err := h.Check(h.boss(), g.ID, c.ID, registration.CheckRequest{TenantID: h.at.ID})
		must(t, err)
		_, err = h.connections.Create(h.boss(), delegated(h.at.ID, g.ID))
		must(t, err)
		viewer, other, nobody := h.as(h.at.ID, audit.Viewer), h.as(elsewhere, audit.Engineer), h.as("t-0", 0)
		seen, err := h.Get(viewer, g.ID)
		must(t, err)
		if got := seen.Credentials[0].Check.TenantID; got != h.at.ID {
			t.Errorf("checked in %q", got)
		}
		hidden, err := h.Get(other, g.ID)
		must(t, err)
		if got := hidden.Credentials[0].Check.TenantID; got != "" {
			t.Errorf("another tenant's people see where it was checked: %q", got)
		}
		if uses, err := h.Uses(other, g.ID); err != nil || len(uses) != 0 {
			t.Errorf("another tenant's people see %v, %v", uses, err)
		}
		var refused *audit.Refused
		for name, err := range map[string]error{"get": second(h.Get(nobody, g.ID)), "versions": second(h.Manifests(nobody, g.ID)), "public": second(h.CertificatePEM(nobody, g.ID, c.ID))} {
			if !errors.As(err, &refused) {
				t.Errorf("%s: %v", name, err)
			}
		}
		// An engineer of all tenants runs none of the server.
		before := len(h.lab.Journal())
		for who, other := range map[string]context.Context{"another tenant's": other, "all tenants'": h.as(audit.AllTenants, audit.Engineer)} {
			_, _, manifest := h.SetManifest(other, g.ID, registration.ManifestRequest{Version: 1})
			for name, err := range map[string]error{
				"create":   second(h.Create(other, registration.CreateRequest{Kind: registration.Public, Details: registration.Details{Name: "x"}})),
				"update":   second(h.Update(other, g.ID, registration.UpdateRequest{Details: registration.Details{Name: "x"}, Version: 1})),
				"remove":   h.Remove(other, g.ID),
				"add":      second(h.AddCredential(other, g.ID, registration.CredentialRequest{Generate: true})),
				"check":    second(h.Check(other, g.ID, c.ID, registration.CheckRequest{TenantID: h.at.ID})),
				"switch":   second(h.Switch(other, g.ID, c.ID)),
				"undo":     second(h.Undo(other, g.ID)),
				"retire":   second(h.Retire(other, g.ID, c.ID)),
				"look":     second(h.Look(other, g.ID, h.at.ID)),
				"manifest": manifest,
			} {
				if !errors.As(err, &refused) {
					t.Errorf("%s, by %s engineer: %v", name, who, err)
				}
			}
		}
		if n := len(h.lab.Journal()); n != before {
			t.Errorf("Microsoft was asked %d times for who may not", n-before)
		}
		if list, _, err := h.List(nobody, registration.Filter{}, registration.Page{}); err != nil || len(list) != 0 {
			t.Errorf("%v %v", list, err)
		}
		list, next, err := h.List(viewer, registration.Filter{Search: h.clientID[:12]}, registration.Page{Limit: 1})
		must(t, err)
		if len(list) != 1 || list[0].ID != g.ID || next != "" {
			t.Errorf("%v %q", list, next)
		}
		must(t, h.db.Change(h.boss(), func(ctx context.Context, tx *sqldb.Tx) error { return h.Erase(ctx, tx, "ada", []string{"Ada Person"}) }))
		g, err = h.Get(h.boss(), g.ID)
		must(t, err)
		if g.CreatedBy+g.Credentials[0].AddedBy+g.Manifest.By != "" {
			t.Errorf("%q %q %q", g.CreatedBy, g.Credentials[0].AddedBy, g.Manifest.By)
		}
	})
}

func second[T any](_ T, err error) error { return err }
