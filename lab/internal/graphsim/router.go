package graphsim

import (
	"net/http"
	"net/url"
	"slices"
	"strings"

	"gatehouse/lab/internal/directory"
)

// route is one row of the table in routes.go.
type route struct {
	method  string
	pattern string // segments after the version; {name} stands for any one
	only    string // "beta" or "v1.0"; "" serves both
	need    access
	licence string // "P1" or "P2" of Entra ID, "PIM" for P2 with that feature's own error, "" for none
	writes  bool   // changes the directory
	// throttled: counts for the limit of Conditional Access.
	throttled bool
	handle    func(*request) (*answer, error)

	segments []string
}

// unlicensed refuses a tenant that lacks the licence of the route.
func (t *route) unlicensed(tenant *directory.Tenant) error {
	switch {
	case t.licence == "P1" && !tenant.Premium(): // List signIns, "Error responses"
		return refuse(http.StatusForbidden, "Authentication_RequestFromNonPremiumTenantOrB2CTenant",
			"The tenant has neither a premium licence (Microsoft Entra ID P1 or P2) nor is it a kind of tenant that needs none for this.")
	case t.licence == "PIM" && !premium2(tenant):
		return refuse(http.StatusForbidden, "AadPremiumLicenseRequired", "The tenant needs a licence of Microsoft Entra ID P2 or Microsoft Entra ID Governance.")
	case t.licence == "P2" && !premium2(tenant):
		return refuse(http.StatusForbidden, "Forbidden", "Your tenant is not licensed for this feature: it needs Microsoft Entra ID P2.")
	}
	return nil
}

func premium2(tenant *directory.Tenant) bool {
	return slices.ContainsFunc(tenant.Licences, func(s directory.SKU) bool { return slices.Contains(s.Plans, directory.PlanP2) })
}

// parse reads version, path and query options.
func (r *request) parse(address *url.URL) error {
	raw := strings.Split(strings.Trim(address.EscapedPath(), "/"), "/")
	r.version = strings.ToLower(raw[0])
	if r.version != "v1.0" && r.version != "beta" {
		return badRequest("There is no version '%s'; use v1.0 or beta.", clip(raw[0]))
	}
	for _, s := range raw[1:] {
		segment, err := url.PathUnescape(s)
		if err != nil {
			return badRequest("The path's escapes cannot be read.")
		}
		r.segments = append(r.segments, keyed(segment)...)
	}
	if len(r.segments) > 16 {
		return badRequest("The path has too many segments.")
	}
	if len(r.segments) > 0 && strings.EqualFold(r.segments[0], "me") {
		if r.app() {
			return badRequest("'/me' needs a signed-in user; this token is an application's.")
		}
		r.segments = append([]string{"users", r.claims.ObjectID}, r.segments[1:]...)
	}
	var err error
	r.options, err = parseOptions(address.RawQuery)
	return err
}

// keyed takes name('key') and name(alternate='key') apart: OData's two forms
// of addressing a member of a collection.
func keyed(segment string) []string {
	name, rest, found := strings.Cut(segment, "(")
	if !found || name == "" || !strings.HasSuffix(rest, ")") {
		return []string{segment}
	}
	key := strings.TrimSuffix(rest, ")")
	if alternate, value, found := strings.Cut(key, "="); found {
		if strings.Contains(value, "',") { // several: the handler takes them apart
			return []string{name, key}
		}
		return []string{name, alternate + "=" + unquote(value)}
	}
	if key == "" {
		return []string{name}
	}
	return []string{name, unquote(key)}
}

func unquote(s string) string {
	if len(s) >= 2 && s[0] == '\'' && s[len(s)-1] == '\'' {
		return strings.ReplaceAll(s[1:len(s)-1], "''", "'")
	}
	return s
}

// find sets the route of the path, or says which segment is unknown.
func (r *request) find() error {
	if len(r.segments) == 1 && strings.EqualFold(r.segments[0], "$metadata") {
		return refuse(http.StatusNotFound, "NotFound", "The lab serves no metadata document.")
	}
	if last := len(r.segments) - 1; last > 0 && r.segments[last] == "$count" && r.method == http.MethodGet {
		r.segments, r.counting = r.segments[:last], true
	}
	matched, furthest := false, 0
	for i := range routes {
		candidate := &routes[i]
		if candidate.only != "" && candidate.only != r.version {
			continue
		}
		vars, depth := candidate.match(r.segments)
		furthest = max(furthest, depth)
		if depth < len(r.segments) || depth < len(candidate.segments) {
			continue
		}
		matched = true
		if candidate.method == r.method {
			r.route, r.vars = candidate, vars
			r.self = strings.EqualFold(candidate.segments[0], "users") && len(vars) > 0 && !r.app() &&
				(strings.EqualFold(vars[0], r.claims.ObjectID) || r.claims.UPN != "" && strings.EqualFold(vars[0], r.claims.UPN))
			return nil
		}
	}
	if matched {
		return refuse(http.StatusMethodNotAllowed, "Request_BadRequest", "This resource does not answer to %s.", clip(r.method))
	}
	if len(r.segments) == 0 || furthest >= len(r.segments) {
		return badRequest("The path ends too early to name a resource.")
	}
	return badRequest("Nothing is known under the segment '%s'.", clip(r.segments[furthest]))
}

// match gives the variables, and how many leading segments agree.
func (t *route) match(segments []string) (vars []string, depth int) {
	for i, want := range t.segments {
		switch {
		case i >= len(segments):
			return vars, i
		case want[0] == '{':
			vars = append(vars, segments[i])
		case !strings.EqualFold(want, segments[i]):
			return vars, i
		}
	}
	return vars, len(t.segments)
}
