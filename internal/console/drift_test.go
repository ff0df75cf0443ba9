package console_test

import (
	"net/http"
	"strings"
	"testing"

	"gatehouse/internal/audit"
	"gatehouse/internal/tenant"
)

// consents gives the reader of a tenant that was forecast a further permission,
// and has the tenant read again.
func (h *house) drifted(at tenant.Tenant) {
	h.t.Helper()
	admin := h.administration(at.Name)
	var reader, graph struct {
		ID    string
		Roles []struct{ ID, Value string } `json:"appRoles"`
	}
	admin.call(http.MethodGet, "/servicePrincipals(appId='"+h.at(at.Name).App("Gatehouse reader").ClientID+"')", nil, &reader)
	admin.call(http.MethodGet, "/servicePrincipals(appId='00000003-0000-0000-c000-000000000000')", nil, &graph)
	for _, role := range graph.Roles {
		if role.Value == "User.ReadWrite.All" {
			admin.call(http.MethodPost, "/servicePrincipals/"+reader.ID+"/appRoleAssignments", map[string]string{"principalId": reader.ID, "resourceId": graph.ID, "appRoleId": role.ID}, nil)
		}
	}
	h.eventually("the permission was not noticed", func() bool {
		if err := h.expiries.Refresh(h.boss(), at.ID); err != nil { // again: while the reading before ends, it is none of its own
			h.t.Fatal(err)
		}
		changes, err := h.expiries.ConsentChanges(h.boss(), at.ID, 1)
		return len(must(h.t, changes, err)) > 0
	})
}

// What appeared among the permissions of a tenant's apps stands on the tenant's
// page and on one of its own, with the two readings between which it did and who
// acts; strangers do not see it.
func TestConsentChanges(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	v := h.visitor(h.administrator())
	at, other := h.add("Default Shield"), h.add("Ledger Lane")
	page := "/tenants/" + at.ID + "/consent-changes"
	v.get(page).has(t, "were not read yet", "Unknown")
	h.onboard(at)
	h.forecast(at)
	v.get(page).has(t, "DelegatedPermissionGrant.Read.All", "Not all known")
	if shown := v.get("/tenants/" + at.ID); strings.Contains(shown.Text, "Changed consents") {
		t.Error("changes are shown where there are none")
	}
	h.drifted(at)
	v.get(page).has(t, "Permissions of apps came or went", "tenant's administrator", "Appeared", "User.ReadWrite.All", "Microsoft Graph, of the app itself", "Between two readings")
	v.get("/tenants/"+at.ID).has(t, "Changed consents", "User.ReadWrite.All of Gatehouse reader", page)
	if got := h.member(audit.Viewer, other.ID).get(page); got.Status != http.StatusNotFound && got.Status != http.StatusForbidden {
		t.Errorf("a stranger is answered %d", got.Status)
	}
}
