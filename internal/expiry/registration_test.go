package expiry_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"gatehouse/internal/audit"
	"gatehouse/internal/connection"
	"gatehouse/internal/expiry"
	"gatehouse/internal/registration"
	"gatehouse/internal/secrets"
	"gatehouse/internal/sqldb"
)

// Stories 11 and 13: the credential of an app registration is told of 90, 30 and 7
// days before its end, with the connections and callers that use it, and when last.
func TestRegistrationEnds(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		at, elsewhere := h.add(harbour), h.add("azurequay")
		app := h.lab.Tenant(harbour).App("Backup app").ClientID
		g, err := h.registrations.Create(h.boss(), registration.CreateRequest{
			Kind: registration.Confidential, Details: registration.Details{Name: "Copies", Clients: map[string]string{"lab": app}},
			Permissions: append(registration.SignInPermissions(), registration.Permission{Resource: "graph", Name: "User.Read", Kind: "delegated"}),
		})
		must(t, err)
		end := h.clock().Add(100 * 24 * time.Hour).UTC().Truncate(time.Second)
		used, err := h.registrations.AddCredential(h.boss(), g.ID, registration.CredentialRequest{Secret: secrets.New("value-of-the-secret"), Label: "2025", NotAfter: &end})
		must(t, err)
		spare, err := h.registrations.AddCredential(h.boss(), g.ID, registration.CredentialRequest{Generate: true})
		must(t, err)
		_, err = h.registrations.App(t.Context(), g.ID)
		must(t, err)
		c, err := h.connections.Create(h.boss(), connection.CreateRequest{TenantID: at.ID, Kind: connection.Delegated, Profile: connection.Profile{Name: "Copies of Ida", RegistrationID: g.ID, Services: []string{"graph"}, Consumer: connection.Consumer{Name: "Copy machine"}}})
		must(t, err)
		ada, _, err := h.operators.Invite(h.boss(), "ada@gatehouse.example", "Ada Person", map[string]audit.Role{audit.AllTenants: audit.Engineer})
		must(t, err)
		h.audit.Count(audit.With(t.Context(), audit.Actor{Kind: audit.Operator, ID: ada.ID, Name: ada.Name}), "token.used", c.ID, at.ID)
		must(t, h.audit.Flush(t.Context()))

		item, err := h.Get(h.boss(), "g-"+used.ID)
		must(t, err)
		if item.RegistrationID != g.ID || item.Kind != expiry.Secret || !item.Active || !item.Used || item.UsedAt == nil || item.TenantID != "" || !item.NotAfter.Equal(end) {
			t.Errorf("%+v", item)
		}
		if len(item.Uses) != 2 || item.Uses[0].Kind != "connection" || item.Uses[0].Name != "Copies of Ida" || item.Uses[0].Consumer != "Copy machine" || !item.Uses[0].Certain ||
			item.Uses[1].Kind != "caller" || item.Uses[1].Name != "Ada Person, through Copies of Ida" || item.Uses[1].UsedAt == nil {
			t.Errorf("%+v", item.Uses)
		}
		if steps, actor := expiry.Remedy(item); actor != expiry.ActorOperator || !strings.Contains(strings.Join(steps, " "), "Registrations > Copies") {
			t.Errorf("%s %q", actor, steps)
		}
		ids := func(items []expiry.Item) (out []string) {
			for _, i := range items {
				if i.RegistrationID != "" {
					out = append(out, i.ID)
				}
			}
			return out
		}
		if got := ids(h.all(h.boss(), expiry.Filter{})); !slices.Equal(got, []string{"g-" + used.ID}) {
			t.Errorf("in use: %q", got)
		}
		if got := ids(h.all(h.boss(), expiry.Filter{All: true})); !slices.Equal(got, []string{"g-" + used.ID, "g-" + spare.ID}) {
			t.Errorf("all: %q", got)
		}
		for _, i := range h.all(h.boss(), expiry.Filter{}) {
			if i.ConnectionID == c.ID {
				t.Errorf("a person's sign-in is listed as a %s that ends", i.Kind)
			}
		}
		h.seenByOthers(at.ID, elsewhere.ID, "g-"+used.ID)

		for _, step := range []struct {
			left  int
			level expiry.Level
		}{{95, ""}, {89, expiry.In90}, {60, ""}, {29, expiry.In30}, {6, expiry.In7}, {-1, expiry.Past}} {
			h.ahead(time.Duration(100-step.left) * 24 * time.Hour)
			must(t, h.TellNow(h.boss()))
			must(t, h.TellNow(h.boss())) // once each
			var got []expiry.Level
			for _, n := range h.told() {
				if n.ID == "g-"+used.ID {
					got = append(got, n.Level)
				}
			}
			if step.level == "" && len(got) > 0 || step.level != "" && !slices.Equal(got, []expiry.Level{step.level}) {
				t.Errorf("%d days before: told %q, want %q", step.left, got, step.level)
			}
		}

		// What is told of goes with it.
		must(t, h.connections.Remove(h.boss(), c.ID))
		must(t, h.registrations.Remove(h.boss(), g.ID))
		must(t, h.db.Change(t.Context(), func(ctx context.Context, tx *sqldb.Tx) error {
			n, err := tx.NewSelect().TableExpr("registration_told").Count(ctx)
			if n != 0 {
				t.Errorf("%d lines are left", n)
			}
			return err
		}))
	})
}

// seenByOthers holds what people of one tenant see of a credential of no tenant.
func (h *house) seenByOthers(own, other, id string) {
	h.t.Helper()
	as := func(tenantID string) context.Context {
		return audit.With(h.t.Context(), audit.Actor{Kind: audit.Operator, ID: "eve", Name: "Eve Person", Roles: map[string]audit.Role{tenantID: audit.Viewer}})
	}
	if item, err := h.Get(as(own), id); err != nil || len(item.Uses) != 2 {
		h.t.Errorf("its own tenant's people: %+v %v", item.Uses, err)
	}
	if item, err := h.Get(as(other), id); err != nil || len(item.Uses) != 0 {
		h.t.Errorf("another tenant's people: %+v %v", item.Uses, err)
	}
	var refused *audit.Refused
	if _, err := h.Get(audit.With(h.t.Context(), audit.Actor{Kind: audit.Operator, ID: "nobody", Name: "No Body"}), id); !errors.As(err, &refused) {
		h.t.Errorf("nobody's: %v", err)
	}
}
