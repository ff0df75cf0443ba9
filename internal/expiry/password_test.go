package expiry_test

import (
	"strings"
	"testing"
	"time"

	"gatehouse/internal/connection"
	"gatehouse/internal/expiry"
	"gatehouse/internal/secrets"
)

// When a password ends: the last change plus the validity of the domain; never, or
// unknown with the reason, where that is what the directory says.
func TestPasswordEnd(t *testing.T) {
	t.Parallel()
	changed := time.Date(2026, 9, 1, 10, 0, 0, 0, time.UTC)
	days := func(n int64) *int64 { return &n }
	text := func(s string) *string { return &s }
	yes := true
	ninety := []expiry.Domain{{Name: "contoso.example", Kind: "Managed", Validity: days(90)}, {Name: "short.example", Validity: days(7)}, {Name: "fed.example", Kind: "Federated", Validity: days(90)},
		{Name: "forever.example", Validity: days(2147483647)}, {Name: "unset.example"}, {Name: "huge.example", Validity: days(2147483646)}, {Name: "none.example", Validity: days(0)}}
	for _, c := range []struct {
		name    string
		account expiry.Account
		domains []expiry.Domain
		state   expiry.State
		reason  string
		end     time.Duration
	}{
		{"ninety days", expiry.Account{UPN: "a@contoso.example", Changed: &changed}, ninety, expiry.Dated, "", 90 * day},
		{"upper case", expiry.Account{UPN: "A@Contoso.Example", Changed: &changed}, ninety, expiry.Dated, "", 90 * day},
		{"a subdomain goes by the one above it", expiry.Account{UPN: "a@mail.short.example", Changed: &changed}, ninety, expiry.Dated, "", 7 * day},
		{"not set is ninety", expiry.Account{UPN: "a@unset.example", Changed: &changed}, ninety, expiry.Dated, "", 90 * day},
		{"for ever", expiry.Account{UPN: "a@forever.example", Changed: &changed}, ninety, expiry.Never, "do not expire", 0},
		{"zero", expiry.Account{UPN: "a@none.example", Changed: &changed}, ninety, expiry.Never, "do not expire", 0},
		{"too long for a date", expiry.Account{UPN: "a@huge.example", Changed: &changed}, ninety, expiry.Never, "century", 0},
		{"policy of the account", expiry.Account{UPN: "a@contoso.example", Changed: &changed, Policies: text("DisableStrongPassword, DisablePasswordExpiration")}, ninety, expiry.Never, "DisablePasswordExpiration", 0},
		{"another policy", expiry.Account{UPN: "a@contoso.example", Changed: &changed, Policies: text("DisableStrongPassword")}, ninety, expiry.Dated, "", 90 * day},
		{"federated", expiry.Account{UPN: "a@fed.example", Changed: &changed}, ninety, expiry.Unknown, "federated", 0},
		{"synchronised", expiry.Account{UPN: "a@contoso.example", Changed: &changed, Synced: &yes}, ninety, expiry.Unknown, "on-premises", 0},
		{"foreign domain", expiry.Account{UPN: "a@elsewhere.example", Changed: &changed}, ninety, expiry.Unknown, "none of the tenant's", 0},
		{"never changed", expiry.Account{UPN: "a@contoso.example"}, ninety, expiry.Unknown, "does not say", 0},
		{"domains unread", expiry.Account{UPN: "a@contoso.example", Changed: &changed}, nil, expiry.Unknown, "could not be read", 0},
		{"no name", expiry.Account{Changed: &changed}, ninety, expiry.Unknown, "none of the tenant's", 0},
	} {
		state, reason, end := expiry.PasswordEnd(c.account, c.domains, "it could not be read")
		if state != c.state || !strings.Contains(reason, c.reason) || (end != nil) != (c.state == expiry.Dated) || end != nil && !end.Equal(changed.Add(c.end)) {
			t.Errorf("%s: %s %q %v", c.name, state, reason, end)
		}
	}
}

// The same, of accounts in a tenant; without the permission for domains it is
// unknown, and the permission is named.
func TestPasswordsOfAccounts(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, h *house) {
		at := h.onboard()
		for _, upn := range []string{"svc-backup@openharbour.example", "svc-admin@openharbour.example", "gone@openharbour.example"} {
			_, err := h.connections.Create(h.boss(), connection.CreateRequest{TenantID: at.ID, Kind: connection.ServiceAccount, Profile: connection.Profile{Name: upn, Username: upn}, Credential: connection.CredentialRequest{Password: secrets.New("x")}})
			must(t, err)
		}
		h.graph("PATCH", "users/svc-admin@openharbour.example", map[string]any{"passwordPolicies": "DisablePasswordExpiration"})
		changed, err := time.Parse(time.RFC3339, h.graph("GET", "users/svc-backup@openharbour.example?$select=lastPasswordChangeDateTime", nil)["lastPasswordChangeDateTime"].(string))
		must(t, err)
		passwords := func() map[string]expiry.Item {
			must(t, h.ReadNow(h.boss(), at.ID))
			out := map[string]expiry.Item{}
			for _, i := range h.all(h.boss(), expiry.Filter{Kind: expiry.Password}) {
				if _, twice := out[i.Username]; twice {
					t.Errorf("%s is listed twice", i.Username)
				}
				out[i.Username] = i
			}
			return out
		}
		got := passwords()
		if i := got["svc-backup@openharbour.example"]; i.State != expiry.Dated || i.NotAfter == nil || !i.NotAfter.Equal(changed.Add(90*day).Truncate(time.Microsecond)) || len(i.Uses) != 1 || !i.Uses[0].Certain {
			t.Errorf("dated: %+v", i)
		}
		if i := got["svc-admin@openharbour.example"]; i.State != expiry.Never || i.NotAfter != nil {
			t.Errorf("never: %+v", i)
		}
		if i := got["gone@openharbour.example"]; i.State != expiry.Unknown || !strings.Contains(i.Reason, "could not be read") {
			t.Errorf("unknown: %+v", i)
		}
		grants := of("servicePrincipals", h.reader) + "/appRoleAssignments"
		for _, g := range h.graph("GET", grants, nil)["value"].([]any) {
			one := g.(map[string]any)
			if one["appRoleId"] == h.roleID("Domain.Read.All") {
				h.graph("DELETE", grants+"/"+one["id"].(string), nil)
			}
		}
		if i := passwords()["svc-backup@openharbour.example"]; i.State != expiry.Unknown || !strings.Contains(i.Reason, "Domain.Read.All") {
			t.Errorf("without the permission: %+v", i)
		}
		readings, _, err := h.Readings(h.boss(), at.ID, 1)
		must(t, err)
		if len(readings[0].Unread) == 0 {
			t.Errorf("what could not be read is not said: %+v", readings)
		}
	})
}

func (h *house) roleID(name string) string {
	h.t.Helper()
	for _, r := range h.graph("GET", of("servicePrincipals", "00000003-0000-0000-c000-000000000000")+"?$select=appRoles", nil)["appRoles"].([]any) {
		if role := r.(map[string]any); role["value"] == name {
			return role["id"].(string)
		}
	}
	h.t.Fatalf("there is no permission %s", name)
	return ""
}
