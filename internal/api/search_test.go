package api_test

import (
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"gatehouse/client"
	"gatehouse/internal/testenv"
)

// found are the names of a kind that a text leads to.
func found(t *testing.T, c *client.Client, kind, text string) (names []string) {
	t.Helper()
	answer, err := c.Search(t.Context(), text)
	if err != nil {
		t.Fatal(err)
	}
	for _, g := range answer.Groups {
		if g.Kind == kind {
			for _, h := range g.Hits {
				names = append(names, h.Name)
			}
		}
	}
	return names
}

// Accounts of a snapshot and entries of the audit log are found by who may see
// them, and by nobody else; a newer snapshot takes the place of the older one's
// accounts.
func TestSearchRights(t *testing.T) {
	t.Parallel()
	testenv.Each(t, func(t *testing.T, e *testenv.Env) {
		ctx := t.Context()
		tenants := map[string]client.Tenant{}
		for _, name := range []string{"openharbour", "ledgerlane"} {
			at, err := e.AddTenant(ctx, client.TenantRequest{Tenant: name + ".onmicrosoft.com", Name: name})
			if err != nil {
				t.Fatal(err)
			}
			tenants[name] = at
		}
		upload := func(name string, ago time.Duration, accounts ...map[string]string) {
			t.Helper()
			text, err := json.Marshal(map[string]any{"format": 2, "tenant_id": e.Lab.Tenant(name).ID, "taken_at": time.Now().Add(-ago).UTC(), "accounts": accounts})
			if err != nil {
				t.Fatal(err)
			}
			if err := e.UploadSnapshot(ctx, tenants[name].ID, text); err != nil {
				t.Fatal(err)
			}
		}
		petra := map[string]string{"id": "11111111-1111-4111-8111-111111111111", "upn": "petra@openharbour.example", "name": "Petra Pilot"}
		upload("openharbour", time.Hour, petra, map[string]string{"id": "11111111-1111-4111-8111-111111111112", "upn": "50%_off@openharbour.example"})
		upload("ledgerlane", time.Hour, map[string]string{"id": "22222222-2222-4222-8222-222222222222", "upn": "petra@ledgerlane.example", "name": "Petra Ledger"})
		role := func(name, role string) *client.Client {
			return e.Member(name+"-"+role+"@contoso.example", map[string]string{tenants[name].ID: role})
		}
		viewer, engineer, foreign := role("openharbour", "viewer"), role("openharbour", "engineer"), role("ledgerlane", "engineer")
		for _, c := range []struct {
			who        string
			by         *client.Client
			kind, text string
			want       []string
		}{
			{"the administrator", e.Client, "accounts", "PETRA", []string{"Petra Ledger", "Petra Pilot"}},
			{"a viewer", viewer, "accounts", "petra", []string{"Petra Pilot"}},
			{"a stranger", foreign, "accounts", "petra", []string{"Petra Ledger"}},
			{"a stranger by address", foreign, "accounts", "openharbour", nil},
			{"signs of patterns", e.Client, "accounts", "%_", []string{"50%_off@openharbour.example"}},
			{"an engineer", engineer, "audit", "openharbour", []string{"snapshot.stored", "tenant.added"}},
			{"an engineer, by action", engineer, "audit", "SNAPSHOT.sto", []string{"snapshot.stored"}},
			{"a viewer's audit", viewer, "audit", "openharbour", nil},
			{"a stranger's audit", foreign, "audit", "openharbour", nil},
		} {
			if got := found(t, c.by, c.kind, c.text); !slices.Equal(got, c.want) {
				t.Errorf("%s finds %v, want %v", c.who, got, c.want)
			}
		}
		// The actor's name is searched too; what stands in the log is bounded.
		if got := found(t, e.Client, "audit", "tenant.added"); len(got) != 2 {
			t.Errorf("by the action: %v", got)
		}
		entries, _, err := e.Audit(ctx, client.AuditFilter{Search: "ledgerlane", Action: "tenant.added"}, client.Page{})
		if err != nil || len(entries) != 1 {
			t.Errorf("the log's own list: %+v %v", entries, err)
		}
		byActor, _, err := e.Audit(ctx, client.AuditFilter{Search: entries[0].ActorName, Action: "tenant.added"}, client.Page{})
		if err != nil || entries[0].ActorName == "" || len(byActor) != 2 {
			t.Errorf("by the actor %q: %+v %v", entries[0].ActorName, byActor, err)
		}
		for i := range 12 {
			if _, err := e.ChangeTenant(ctx, tenants["ledgerlane"].ID, client.TenantChange{Name: new(fmt.Sprintf("ledgerlane %d", i))}); err != nil {
				t.Fatal(err)
			}
		}
		answer, err := e.Search(ctx, "tenant.renamed")
		if err != nil || len(answer.Groups) == 0 {
			t.Fatalf("%+v %v", answer, err)
		}
		if g := answer.Groups[len(answer.Groups)-1]; g.Kind != "audit" || len(g.Hits) != 8 || !strings.HasPrefix(g.More, "/audit?search=") || g.Hits[0].At == nil || g.Hits[0].At.Before(*g.Hits[7].At) {
			t.Errorf("the newest first, and not all: %+v", g)
		} else if at, err := url.Parse(g.Hits[0].Path); err != nil || at.Query().Get("object") != tenants["ledgerlane"].ID {
			t.Errorf("a hit leads to %s", g.Hits[0].Path)
		}

		upload("openharbour", time.Minute, map[string]string{"id": "11111111-1111-4111-8111-111111111113", "upn": "paul@openharbour.example", "name": "Paul Pilot"})
		upload("openharbour", time.Hour, petra) // older: it changes nothing
		if got := found(t, e.Client, "accounts", "pilot"); !slices.Equal(got, []string{"Paul Pilot"}) {
			t.Errorf("after a newer snapshot: %v", got)
		}
	})
}
