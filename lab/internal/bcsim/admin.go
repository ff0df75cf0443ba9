package bcsim

import (
	"net/http"
	"net/url"
	"strconv"
	"strings"
)

// environments is the list for whoever wants to know where to sign in:
// /environments/v1.2.
func (r *request) environments(segments []string) (*answer, error) {
	if !r.role(roleAPI, roleAutomation, roleAdmin) && !r.delegated() {
		return nil, rejected()
	}
	if len(segments) != 1 || !strings.HasPrefix(strings.ToLower(segments[0]), "v1.") {
		return nil, noResource(strings.Join(segments, "/"))
	}
	if version, err := strconv.Atoi(segments[0][3:]); err != nil || version < 0 || version > 2 {
		return nil, noResource(segments[0])
	}
	if !r.reads() {
		return nil, noMethod(r.http.Method, "environments", http.MethodGet)
	}
	values := []any{}
	for _, e := range r.allEnvironments() {
		values = append(values, map[string]any{
			"aadTenantId": r.tenant.id, "applicationFamily": "BusinessCentral", "type": e.kind, "name": e.name, "countryCode": r.tenant.country, "webServiceUrl": r.root,
			"webClientLoginUrl": client(r.tenant, e), "ringName": "PROD",
		})
	}
	return &answer{status: http.StatusOK, body: map[string]any{"value": values}}, nil
}

func client(t tenant, e environment) string {
	return "https://businesscentral.dynamics.com/" + t.id + "/" + url.PathEscape(e.name)
}

// newest is the admin-centre API's newest version that the lab serves: v2.29.
const newest = 29

// admin is the admin-centre API. Who may not use it hears from the layer in
// front, in neither form of error.
func (r *request) admin(segments []string) (*answer, error) {
	person := r.delegated() && r.administrator()
	app := r.role(roleAdmin) && r.server.adminApp(at(r.tenant.id, "", r.claims.AppID))
	if !person && !app {
		return nil, notAuthorised()
	}
	version := -1
	if len(segments) > 0 {
		if minor, ok := strings.CutPrefix(strings.ToLower(segments[0]), "v2."); ok {
			if n, err := strconv.Atoi(minor); err == nil && n >= 0 && n <= newest {
				version = n
			}
		}
	}
	if version >= 0 && len(segments) > 1 && strings.EqualFold(segments[1], "authorizedAadApps") {
		return r.authorizedApps(segments[2:])
	}
	if version < 0 || len(segments) < 3 || !strings.EqualFold(segments[1], "applications") {
		return nil, noResource(strings.Join(segments, "/"))
	}
	rest := segments[2:]
	if strings.EqualFold(rest[0], "BusinessCentral") {
		rest = rest[1:]
	}
	if len(rest) == 0 || len(rest) > 2 || !strings.EqualFold(rest[0], "environments") {
		return nil, noResource(strings.Join(segments, "/"))
	}
	if !r.reads() {
		return nil, noMethod(r.http.Method, "environments", http.MethodGet)
	}
	if len(rest) == 2 {
		e, ok := r.findEnvironment(rest[1])
		if !ok {
			return nil, refuse(http.StatusNotFound, "EnvironmentNotFound", "The tenant has no environment '%s'.", clip(rest[1]))
		}
		return &answer{status: http.StatusOK, body: r.described(e)}, nil
	}
	values := []any{}
	for _, e := range r.allEnvironments() {
		values = append(values, r.described(e))
	}
	return &answer{status: http.StatusOK, body: map[string]any{"value": values}}, nil
}

func (r *request) described(e environment) map[string]any {
	out := map[string]any{
		"friendlyName": e.name, "type": e.kind, "name": e.name, "countryCode": r.tenant.country, "applicationFamily": "BusinessCentral", "aadTenantId": r.tenant.id, "status": e.status,
		"webServiceUrl": r.root, "webClientLoginUrl": client(r.tenant, e), "ringName": "PROD", "locationName": "UK South", "geoName": "United Kingdom", "applicationVersion": "27.1.41698.0",
		"versionDetails": map[string]any{"version": "27.1.41698.0", "gracePeriodStartDate": moment(r.now.AddDate(0, 6, 0)), "enforcedUpdatePeriodStartDate": moment(r.now.AddDate(0, 7, 0))},
	}
	if e.status == "SoftDeleted" {
		out["softDeletedOn"], out["hardDeletePendingOn"] = moment(r.now.AddDate(0, 0, -1)), moment(r.now.AddDate(0, 0, 6))
	}
	return out
}
