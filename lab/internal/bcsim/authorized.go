package bcsim

import (
	"cmp"
	"net/http"
	"slices"
	"strings"

	"gatehouse/lab/internal/directory"
)

// authorizedApps serves /admin/…/authorizedAadApps: which apps an administrator
// lets use the admin-centre API ("Authorized Microsoft Entra apps"). Apps see
// only where they are authorised themselves, people everything but that.
func (r *request) authorizedApps(segments []string) (*answer, error) {
	if len(segments) == 1 && strings.EqualFold(segments[0], "manageableTenants") {
		return r.manageableTenants()
	}
	if r.app() || len(segments) > 1 {
		return nil, notAuthorised()
	}
	if len(segments) == 0 {
		if !r.reads() {
			return nil, noMethod(r.http.Method, "authorizedAadApps", http.MethodGet)
		}
		list := []any{}
		for _, clientID := range r.server.adminApps(r.tenant.id) {
			list = append(list, r.authorizedApp(clientID))
		}
		return &answer{status: http.StatusOK, list: list}, nil
	}
	clientID := strings.ToLower(segments[0])
	switch {
	case !isGUID(clientID):
		return nil, refuse(http.StatusBadRequest, codeGUID, "'%s' is no GUID.", clip(clientID))
	case r.http.Method == http.MethodPut && len(r.server.adminApps(r.tenant.id)) >= maxAdminApps:
		return nil, refuse(http.StatusBadRequest, codeBadRequest, "The tenant has authorised %d apps, which is the most.", maxAdminApps)
	case r.http.Method == http.MethodPut:
		r.server.SetAdminApp(r.tenant.id, clientID, true)
		return &answer{status: http.StatusOK, body: r.authorizedApp(clientID)}, nil
	case r.http.Method == http.MethodDelete:
		r.server.SetAdminApp(r.tenant.id, clientID, false)
		return &answer{status: http.StatusNoContent}, nil
	}
	return nil, noMethod(r.http.Method, "authorizedAadApps", http.MethodPut+", "+http.MethodDelete)
}

// authorizedApp tells of an app whether its permission was granted, too.
func (r *request) authorizedApp(clientID string) map[string]any {
	granted := false
	r.server.cfg.Store.View(r.tenant.id, func(t *directory.Tenant) {
		granted = slices.Contains(t.AppRolesOf(clientID, directory.BusinessCentralID), roleAdmin)
	})
	return map[string]any{"appId": clientID, "isAdminConsentGranted": granted}
}

// manageableTenants lists the tenants that let the calling app manage them,
// whether the permission was granted there or not (since v2.24).
func (r *request) manageableTenants() (*answer, error) {
	if !r.role(roleAdmin) {
		return nil, notAuthorised()
	}
	if !r.reads() {
		return nil, noMethod(r.http.Method, "manageableTenants", http.MethodGet)
	}
	var ids []string
	r.server.cfg.Store.Tenants(func(t *directory.Tenant) {
		if r.server.adminApp(at(t.ID, "", r.claims.AppID)) {
			ids = append(ids, t.ID)
		}
	})
	values := []any{}
	for _, id := range ids {
		values = append(values, map[string]any{"entraTenantId": id})
	}
	return &answer{status: http.StatusOK, body: map[string]any{"value": values}}, nil
}

// notAuthorised comes from the layer in front, in neither form of error.
func notAuthorised() *fault {
	f := refuse(http.StatusForbidden, "", "Authorization has been denied for this request.")
	f.bare = true
	return f
}

// maxAdminApps is how many apps a tenant may authorise.
const maxAdminApps = 1000

// adminApps are the apps that a tenant authorised, in the order of their ids.
func (s *Server) adminApps(tenantID string) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []string
	for p, authorised := range s.state.admins {
		if authorised && p.tenant == strings.ToLower(tenantID) {
			out = append(out, p.who)
		}
	}
	slices.SortFunc(out, cmp.Compare)
	return out
}
