package incident_test

import (
	"context"
	"fmt"
	"testing"

	"gatehouse/internal/connection"
	"gatehouse/internal/incident"
	"gatehouse/internal/sqldb"
)

// Story 1: a partner rolls an MFA policy out over fifty tenants, and the renewal of
// every person's sign-in is refused. That is one incident, with the policy's name
// and the people's connections; it ends by itself once they have signed in again.
// People who were never signed in are in none.
func TestStory1OneIncidentForAPolicy(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		var all []connection.Connection
		for n := range 50 {
			id := fmt.Sprintf("t%02d", n)
			h.tenant(id)
			who := fmt.Sprintf("anna@%s.example", id)
			c, err := h.connections.Create(h.boss(), connection.CreateRequest{TenantID: id, Kind: connection.Delegated, Profile: connection.Profile{Name: "Data source of " + who, Username: who, RegistrationID: "r"}})
			if err != nil {
				t.Fatal(err)
			}
			if n == 0 { // nobody has signed in for this one
				h.settle(c, outcome{verdict: "unknown", category: "reauth_required", service: "login"})
				continue
			}
			h.change(func(ctx context.Context, tx *sqldb.Tx) error {
				return h.connections.SignedIn(ctx, tx, c.ID, connection.Person{ObjectID: "object of " + id, Username: who, ClientID: c.ClientID})
			})
			refused := policy(id, "MFA for everybody")
			refused.category = "mfa_required"
			h.settle(c, refused)
			all = append(all, c)
		}
		i := h.only()
		if i.Kind != incident.KindPolicy || i.Subject != "MFA for everybody" || i.Connections != 49 || i.Tenants != 49 || i.First.Name != "Data source of anna@t01.example" {
			t.Fatalf("%+v", i)
		}
		for _, c := range all {
			h.settle(c, works)
		}
		if i := h.only(); i.State != incident.Ended {
			t.Errorf("it goes on: %+v", i)
		}
	})
}
