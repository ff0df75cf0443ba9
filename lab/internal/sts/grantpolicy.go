package sts

import (
	"slices"
	"strings"

	"gatehouse/lab/internal/directory"
)

// userMayConsent applies the tenant's settings for people who are no
// administrators (entra-sign-in §9.3): one policy that allows everything asked
// is enough.
func userMayConsent(t *directory.Tenant, f *flow, q *request, plan *consentPlan) bool {
	if q.client.AssignmentRequired {
		return false
	}
	var asked []askedScope
	for _, g := range plan.scopes {
		for _, value := range g.values {
			p, _ := g.resource.Scope(value)
			if p.Admin {
				return false
			}
			asked = append(asked, askedScope{g.resource, p, classOf(t, g.resource, p, value)})
		}
	}
	return builtInAllows(t, f, asked) || slices.ContainsFunc(t.CustomConsent, func(entry string) bool { return customAllows(t, &f.app, entry, asked) })
}

// askedScope is a delegated permission that somebody shall consent to.
type askedScope struct {
	resource   *directory.Resource
	permission directory.Permission
	class      string // low, medium, high or ""
}

// classOf is how an administrator classified a permission. Where nothing was
// classified at all, what signs somebody in counts as low.
func classOf(t *directory.Tenant, r *directory.Resource, p directory.Permission, value string) string {
	principal := t.Principal(r.ClientID)
	for _, c := range t.Classifications {
		if principal != nil && c.Principal == principal.ID && (strings.EqualFold(c.PermissionID, p.ID) || strings.EqualFold(c.Name, value)) {
			return c.Class
		}
	}
	if len(t.Classifications) == 0 && r.ClientID == directory.GraphID && (slices.Contains(openIDScopes, value) || value == "User.Read") {
		return "low"
	}
	return ""
}

// builtInAllows applies the one of Microsoft's policies that the tenant chose.
func builtInAllows(t *directory.Tenant, f *flow, asked []askedScope) bool {
	switch t.Consent.Users {
	case "all":
		return true
	case "low_risk":
		trusted := f.app.Verified || t.Owner(f.app.ClientID) == t.ID
		return trusted && !slices.ContainsFunc(asked, func(a askedScope) bool { return a.class != "low" })
	case "managed":
		return !slices.ContainsFunc(asked, func(a askedScope) bool {
			return slices.ContainsFunc(sensitive, func(s string) bool { return strings.HasPrefix(a.permission.Value, s) })
		})
	}
	return false
}

// customAllows evaluates a permission grant policy of the tenant's own: each
// permission must meet an include set and no exclude set ("Manage app consent
// policies").
func customAllows(t *directory.Tenant, app *directory.App, entry string, asked []askedScope) bool {
	scope, id, _ := strings.Cut(entry, ".")
	if !strings.EqualFold(scope, "ManagePermissionGrantsForSelf") {
		return false
	}
	i := slices.IndexFunc(t.GrantPolicies, func(o *directory.Object) bool { return strings.EqualFold(o.ID, id) })
	if i < 0 {
		return false
	}
	meets := func(side string, a askedScope) bool {
		sets, _ := t.GrantPolicies[i].Members[side].([]any)
		return slices.ContainsFunc(sets, func(set any) bool {
			members, _ := set.(map[string]any)
			return conditionsHold(t, app, members, a)
		})
	}
	return !slices.ContainsFunc(asked, func(a askedScope) bool { return !meets("includes", a) || meets("excludes", a) })
}

// conditionsHold reports whether all conditions of a set hold for a permission
// (resource type permissionGrantConditionSet). A condition that is missing, or
// says all or any, holds always.
func conditionsHold(t *directory.Tenant, app *directory.App, set map[string]any, a askedScope) bool {
	text := func(name string) string { s, _ := set[name].(string); return s }
	lists := func(name, value string) bool {
		list, _ := set[name].([]any)
		return len(list) == 0 || slices.ContainsFunc(list, func(item any) bool {
			s, _ := item.(string)
			return strings.EqualFold(s, "all") || value != "" && strings.EqualFold(s, value)
		})
	}
	verifiedOnly, _ := set["clientApplicationsFromVerifiedPublisherOnly"].(bool)
	class, resource := text("permissionClassification"), text("resourceApplication")
	return text("permissionType") == "delegated" &&
		(class == "" || class == "all" || class == a.class) &&
		(resource == "" || resource == "any" || strings.EqualFold(resource, a.resource.ClientID)) &&
		lists("permissions", a.permission.ID) && lists("clientApplicationIds", app.ClientID) &&
		lists("clientApplicationTenantIds", t.Owner(app.ClientID)) && lists("clientApplicationPublisherIds", app.PublisherID()) &&
		(!verifiedOnly || app.Verified)
}
