package expiry_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"gatehouse/internal/audit"
	"gatehouse/internal/connection"
	"gatehouse/internal/expiry"
)

// grant gives an app an application permission on Graph, or takes it away.
func (h *house) grant(clientID, name string, held bool) {
	h.t.Helper()
	path := of("servicePrincipals", clientID) + "/appRoleAssignments"
	if held {
		h.graph("POST", path, map[string]any{
			"principalId": h.graph("GET", of("servicePrincipals", clientID)+"?$select=id", nil)["id"], "resourceId": h.graphID(), "appRoleId": h.roleID(name)})
		return
	}
	for _, g := range h.graph("GET", path, nil)["value"].([]any) {
		if one := g.(map[string]any); one["appRoleId"] == h.roleID(name) {
			h.graph("DELETE", path+"/"+one["id"].(string), nil)
		}
	}
}

func (h *house) graphID() string {
	h.t.Helper()
	return h.graph("GET", of("servicePrincipals", "00000003-0000-0000-c000-000000000000")+"?$select=id", nil)["id"].(string)
}

// consent consents to delegated permissions on Graph, for everybody or for one
// person, and gives the id of the grant.
func (h *house) consent(clientID, scope, person string) string {
	h.t.Helper()
	body := map[string]any{"clientId": h.graph("GET", of("servicePrincipals", clientID)+"?$select=id", nil)["id"], "consentType": "AllPrincipals", "resourceId": h.graphID(), "scope": scope}
	if person != "" {
		body["consentType"], body["principalId"] = "Principal", person
	}
	return h.graph("POST", "oauth2PermissionGrants", body)["id"].(string)
}

// Delegated permissions that came or went are noted as well, apart by who
// consented, with the reading before; what could not be read in between is no
// change, and is said.
func TestDelegatedDrift(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, h *house) {
		at := h.onboard()
		app := h.register("Portal")
		h.connect(at.ID, "Portal", app, connection.CredentialRequest{Kind: connection.Secret})
		hours := 0
		read := func() (since time.Time) {
			t.Helper()
			hours++
			h.ahead(time.Duration(hours) * time.Hour)
			must(t, h.ReadNow(h.boss(), at.ID))
			r, _, err := h.Readings(h.boss(), at.ID, 1)
			must(t, err)
			return *r[0].At
		}
		unread := func() string {
			t.Helper()
			r, _, err := h.Readings(h.boss(), at.ID, 1)
			must(t, err)
			for _, u := range r[0].Unread {
				if u.Part == "delegated permissions" {
					return u.Reason
				}
			}
			return ""
		}
		told := 0
		changes := func() (got []string, all []expiry.ConsentChange) {
			t.Helper()
			all, err := h.ConsentChanges(h.boss(), at.ID, 50)
			must(t, err)
			all = slices.DeleteFunc(all, func(c expiry.ConsentChange) bool { return c.Kind == expiry.OfApplication })
			all, told = all[:len(all)-told], len(all)
			for _, c := range all {
				got = append(got, c.Change+" "+string(c.Kind)+" "+c.Permission+" on "+c.Resource)
			}
			slices.Sort(got)
			return got, all
		}
		ben := h.graph("GET", "users/svc-backup@openharbour.example?$select=id", nil)["id"].(string)
		h.consent(app, "User.Read", ben)
		read()
		if reason := unread(); !strings.Contains(reason, "DelegatedPermissionGrant.Read.All") {
			t.Errorf("without the permission: %q", reason)
		}
		h.grant(h.reader, "DelegatedPermissionGrant.Read.All", true)
		read()
		if got, _ := changes(); unread() != "" || len(got) > 0 {
			t.Errorf("read for the first time: %v, unread %q", got, unread())
		}
		first := read()

		// An administrator consents for everybody while the reader may not read.
		h.grant(h.reader, "DelegatedPermissionGrant.Read.All", false)
		everybody := h.consent(app, "User.Read Mail.Read", "")
		read()
		if got, _ := changes(); len(got) > 0 {
			t.Errorf("not read, and yet changed: %v", got)
		}
		h.grant(h.reader, "DelegatedPermissionGrant.Read.All", true)
		second := read()
		got, all := changes()
		if want := []string{"added delegated Mail.Read on Microsoft Graph", "added delegated User.Read on Microsoft Graph"}; !slices.Equal(got, want) {
			t.Errorf("consented for everybody: %v", got)
		}
		for _, c := range all {
			if c.ClientID != strings.ToLower(app) || c.Since.Sub(first).Abs() > time.Minute || c.SeenAt.Sub(second).Abs() > time.Minute {
				t.Errorf("since %s (want %s), seen %s (want %s)", c.Since, first, c.SeenAt, second)
			}
		}

		h.graph("PATCH", "oauth2PermissionGrants/"+everybody, map[string]any{"scope": "User.Read"})
		for range 2 {
			read()
		}
		if got, _ := changes(); !slices.Equal(got, []string{"removed delegated Mail.Read on Microsoft Graph"}) {
			t.Errorf("taken back: %v", got)
		}
		if _, err := h.ConsentChanges(as(t.Context(), at.ID, audit.Viewer), at.ID, 1); err != nil {
			t.Errorf("a viewer of the tenant: %v", err)
		}
	})
}
