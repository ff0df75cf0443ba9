package graphsim

import (
	"slices"
	"strings"
	"time"

	"gatehouse/lab/internal/directory"
)

// grantType: resource type oAuth2PermissionGrant.
var grantType = newEntity("oAuth2PermissionGrant",
	prop("id", func(_ *request, g *directory.Grant) any { return g.ID }),
	prop("clientId", func(_ *request, g *directory.Grant) any { return g.Client }),
	prop("consentType", func(_ *request, g *directory.Grant) any {
		if g.User == "" {
			return "AllPrincipals"
		}
		return "Principal"
	}),
	prop("principalId", func(_ *request, g *directory.Grant) any { return text(g.User) }),
	prop("resourceId", func(_ *request, g *directory.Grant) any { return g.Resource }),
	prop("scope", func(_ *request, g *directory.Grant) any { return strings.Join(g.Scopes, " ") }),
	// Both are ignored by the service and stand far apart.
	constant("0001-01-01T00:00:00Z", "startTime").inBeta().plain(),
	constant("9000-01-01T00:00:00Z", "expiryTime").inBeta().plain(),
)

// roleHolding is an app role assignment: a record of the store, or the plain
// assignment of a user or group to an app (role of zeros).
type roleHolding struct {
	id, role, principal, kind, resource string
	created                             time.Time
}

const noRole = "00000000-0000-0000-0000-000000000000"

// holdings gives all app role assignments of the tenant.
func (r *request) holdings() []roleHolding {
	var out []roleHolding
	for _, a := range r.tenant.AppRoles {
		out = append(out, roleHolding{a.ID, a.Role, a.Principal, a.PrincipalType, a.Resource, a.Created})
	}
	for _, p := range r.tenant.Principals {
		for _, id := range p.Assigned {
			kind := "User"
			if r.tenant.Group(id) != nil {
				kind = "Group"
			}
			out = append(out, roleHolding{opaque("assigned", r.tenant.ID, p.ID, id), noRole, id, kind, p.ID, p.Created})
		}
	}
	return out
}

func (r *request) heldBy(id string) []item {
	return items(appRoleAssignmentType, slices.DeleteFunc(r.holdings(), func(h roleHolding) bool { return h.principal != id }))
}

func (r *request) heldOn(id string) []item {
	return items(appRoleAssignmentType, slices.DeleteFunc(r.holdings(), func(h roleHolding) bool { return h.resource != id }))
}

// appRoleAssignmentType: resource type appRoleAssignment.
var appRoleAssignmentType = newEntity("appRoleAssignment",
	prop("id", func(_ *request, h roleHolding) any { return h.id }),
	null("deletedDateTime"),
	prop("appRoleId", func(_ *request, h roleHolding) any { return h.role }),
	prop("createdDateTime", func(_ *request, h roleHolding) any { return when(h.created) }),
	prop("creationTimestamp", func(_ *request, h roleHolding) any { return when(h.created) }).inBeta(),
	prop("principalDisplayName", func(r *request, h roleHolding) any { return r.nameOf(h.principal) }),
	prop("principalId", func(_ *request, h roleHolding) any { return h.principal }),
	prop("principalType", func(_ *request, h roleHolding) any { return h.kind }),
	prop("resourceDisplayName", func(r *request, h roleHolding) any { return r.nameOf(h.resource) }),
	prop("resourceId", func(_ *request, h roleHolding) any { return h.resource }),
)

func (r *request) nameOf(id string) any {
	it, found := r.object(id)
	if !found {
		return nil
	}
	switch v := it.value.(type) {
	case *directory.User:
		return v.Name
	case *directory.Group:
		return v.Name
	case *directory.Principal:
		return text(r.appOf(v).Name)
	}
	return nil
}

func pages100(set string, typ *entity) listing {
	return listing{set: set, types: []*entity{typ}, page: 100, most: 999}
}

func (r *request) grantsWhere(keep func(*directory.Grant) bool) []item {
	return items(grantType, slices.DeleteFunc(slices.Clone(r.tenant.Grants), func(g *directory.Grant) bool { return !keep(g) }))
}

func (r *request) grants(keep func(*directory.Grant) bool) (*answer, error) {
	return r.list(pages100("oauth2PermissionGrants", grantType), r.grantsWhere(keep))
}

func listGrants(r *request) (*answer, error) {
	return r.grants(func(*directory.Grant) bool { return true })
}

func listUserGrants(r *request, u *directory.User) (*answer, error) {
	return r.grants(func(g *directory.Grant) bool { return g.User == u.ID })
}

func listPrincipalGrants(r *request, p *directory.Principal) (*answer, error) {
	return r.grants(func(g *directory.Grant) bool { return g.Client == p.ID })
}

func (r *request) grantByKey(key string) (*directory.Grant, error) {
	for _, g := range r.tenant.Grants {
		if strings.EqualFold(g.ID, key) {
			return g, nil
		}
	}
	return nil, notFound(key)
}

func getGrant(r *request) (*answer, error) {
	g, err := r.grantByKey(r.vars[0])
	if err != nil {
		return nil, err
	}
	return r.single("oauth2PermissionGrants", item{grantType, g})
}

func listUserAssignments(r *request, u *directory.User) (*answer, error) {
	return r.list(pages100("appRoleAssignments", appRoleAssignmentType), r.heldBy(u.ID))
}

func listPrincipalAssignments(r *request, p *directory.Principal) (*answer, error) {
	return r.list(pages100("appRoleAssignments", appRoleAssignmentType), r.heldBy(p.ID))
}

func listAssignedTo(r *request, p *directory.Principal) (*answer, error) {
	return r.list(pages100("servicePrincipals('"+p.ID+"')/appRoleAssignedTo", appRoleAssignmentType), r.heldOn(p.ID))
}
