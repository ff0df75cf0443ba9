package directory

import (
	"slices"
	"strings"
	"testing"
	"time"
)

// TestWatch: a consent stands in the audit log and in the journal that delta
// queries read; what was there before does not.
func TestWatch(t *testing.T) {
	now := time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)
	file, err := Parse(strings.NewReader(`{"tenants": [
		{"name": "A", "domain": "a.onmicrosoft.com", "users": [{"upn": "u@a.onmicrosoft.com", "name": "U", "passwordless": true}], "apps": [{"name": "Old"}], "grants": [{"app": "Old", "scopes": ["User.Read"]}]},
		{"name": "B", "domain": "b.onmicrosoft.com", "apps": [{"name": "New", "multi_tenant": true}]}]}`), now)
	if err != nil {
		t.Fatal(err)
	}
	store, _, err := New(file, Config{Seed: 1, Now: func() time.Time { return now }})
	if err != nil {
		t.Fatal(err)
	}
	store.Update("a.onmicrosoft.com", func(tenant *Tenant) {
		clientID := tenant.Other("b.onmicrosoft.com").Apps[0].ClientID
		graph := tenant.Principal(GraphID)
		old := tenant.Grants[0]
		from := tenant.Position()
		noted := tenant.Watch()
		client := tenant.Install(clientID, now)
		tenant.GrantScopes(client.ID, graph.ID, "", []string{"User.Read", "Mail.Read"})
		tenant.GrantScopes(old.Client, graph.ID, "", []string{"Mail.Read"})
		role, _ := ResourceByID(GraphID).Role("User.Read.All")
		tenant.GrantRole(client.ID, graph.ID, role.ID, now)
		noted(Who{User: tenant.Users[0], IPAddress: "192.0.2.1"}, true, now)
		var activities []string
		for _, e := range tenant.Audits {
			if e.UPN != "u@a.onmicrosoft.com" || e.IPAddress != "192.0.2.1" || e.ID == "" {
				t.Errorf("entry %+v", e)
			}
			activities = append(activities, e.Activity)
		}
		slices.Sort(activities)
		want := []string{"Add app role assignment to service principal", "Add delegated permission grant", "Add delegated permission grant", "Add service principal", "Consent to application", "Consent to application"}
		if !slices.Equal(activities, want) {
			t.Errorf("activities: %q", activities)
		}
		changes, _ := tenant.Since(from)
		var kinds []string
		for _, c := range changes {
			kinds = append(kinds, c.Kind)
		}
		slices.Sort(kinds)
		if !slices.Equal(kinds, []string{"oAuth2PermissionGrant", "oAuth2PermissionGrant", "servicePrincipal"}) {
			t.Errorf("journal: %v", kinds)
		}
		before := len(tenant.Audits)
		tenant.Watch()(Who{}, false, now)
		if len(tenant.Audits) != before {
			t.Error("nothing changed, and yet something was written")
		}
	})
}
