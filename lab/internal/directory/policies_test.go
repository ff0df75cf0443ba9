package directory

import (
	"strings"
	"testing"
	"time"
)

var policyClock = time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)

func policyTenant(locations, policies string) string {
	return `{"tenants": [{"name": "Slip", "domain": "slip.onmicrosoft.com", "users": [{"upn": "jo@slip.onmicrosoft.com", "name": "Jo", "passwordless": true}], "groups": [{"name": "Crew"}],
		"apps": [{"name": "Boats"}], "named_locations": [` + locations + `], "conditional_access": [` + policies + `]}]}`
}

const (
	quay = `{"@odata.type": "#microsoft.graph.ipNamedLocation", "displayName": "Quay", "ipRanges": [{"cidrAddress": "192.0.2.0/24"}]}`
	rule = `{"displayName": "Crew only", "state": "enabled", "unknown": {"kept": 3}, "createdDateTime": "2026-01-02T03:04:05Z",
		"conditions": {"applications": {"includeApplications": ["Boats"]}, "users": {"includeUsers": ["JO@slip.onmicrosoft.com"], "includeGroups": ["crew"], "excludeRoles": ["Global Administrator"]},
		"locations": {"includeLocations": ["All"], "excludeLocations": ["quay"]}}, "grantControls": {"operator": "OR", "builtInControls": ["mfa"]}}`
)

// TestPoliciesOfFile: names become ids, unknown members stay, and adding twice
// is adding once.
func TestPoliciesOfFile(t *testing.T) {
	file, err := Parse(strings.NewReader(policyTenant(quay, rule)), policyClock)
	if err != nil {
		t.Fatal(err)
	}
	store, _, err := New(file, Config{Seed: 3, Now: func() time.Time { return policyClock }})
	if err != nil {
		t.Fatal(err)
	}
	store.AddPolicies(file)
	store.AddPolicies(file)
	store.View("slip.onmicrosoft.com", func(d *Tenant) {
		if len(d.NamedLocations) != 1 || len(d.ConditionalAccess) != 1 {
			t.Fatalf("%d locations, %d policies", len(d.NamedLocations), len(d.ConditionalAccess))
		}
		p := d.ConditionalAccess[0]
		conditions := p.Members["conditions"].(map[string]any)
		users := conditions["users"].(map[string]any)
		first := func(block map[string]any, name string) any { return block[name].([]any)[0] }
		if first(users, "includeUsers") != d.User("jo@slip.onmicrosoft.com").ID || first(users, "includeGroups") != d.Groups[0].ID || first(users, "excludeRoles") != Roles[0].ID {
			t.Errorf("users: %v", users)
		}
		if first(conditions["applications"].(map[string]any), "includeApplications") != d.Apps[0].ClientID || first(conditions["locations"].(map[string]any), "excludeLocations") != d.NamedLocations[0].ID {
			t.Errorf("conditions: %v", conditions)
		}
		if p.Members["unknown"].(map[string]any)["kept"] != 3.0 || p.Created.Month() != time.January || !guidPattern.MatchString(p.ID) {
			t.Errorf("policy: %+v", p)
		}
	})
}

// TestPolicyFaults: each mistake is reported with its path.
func TestPolicyFaults(t *testing.T) {
	for want, file := range map[string]string{
		"tenants[0].conditional_access[0].state":                                    policyTenant(quay, strings.Replace(rule, `"enabled"`, `"on"`, 1)),
		"tenants[0].conditional_access[0].conditions.users.includeUsers[0]":         policyTenant(quay, strings.Replace(rule, "JO@", "joe@", 1)),
		"tenants[0].conditional_access[0].conditions.locations.excludeLocations[0]": policyTenant("", rule),
		"tenants[0].conditional_access[0].id":                                       policyTenant(quay, strings.Replace(rule, `"state"`, `"id": "seven", "state"`, 1)),
		"tenants[0].conditional_access[0].createdDateTime":                          policyTenant(quay, strings.Replace(rule, "2026-01-02T03:04:05Z", "yesterday", 1)),
		"tenants[0].conditional_access[0]: is a number":                             policyTenant(quay, "7"),
		"tenants[0].named_locations[0].ipRanges[0].cidrAddress":                     policyTenant(strings.Replace(quay, "/24", "", 1), ""),
		"tenants[0].named_locations[0].@odata.type":                                 policyTenant(strings.Replace(quay, "ipNamed", "odd", 1), ""),
	} {
		_, err := Parse(strings.NewReader(file), policyClock)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want a fault at %s: %v", want, err)
		}
	}
}

// TestJournal: it stays bounded and says when it does not reach back.
func TestJournal(t *testing.T) {
	d := &Tenant{}
	for range 3*MaxChanges + 5 {
		d.Touch(Change{Kind: "user", ID: "x"})
	}
	if len(d.changes.list) > 2*MaxChanges || d.Position() != 3*MaxChanges+5 {
		t.Errorf("%d kept, position %d", len(d.changes.list), d.Position())
	}
	if _, ok := d.Since(0); ok {
		t.Error("the beginning is still there")
	}
	if list, ok := d.Since(d.Position() - 2); !ok || len(list) != 2 {
		t.Errorf("the last two: %d %v", len(list), ok)
	}
	if _, ok := d.Since(d.Position() + 1); ok {
		t.Error("the future is known")
	}
	for range 3 * MaxAudits {
		d.Audit(&Audit{})
	}
	if len(d.Audits) > 2*MaxAudits {
		t.Errorf("%d audits kept", len(d.Audits))
	}
}
