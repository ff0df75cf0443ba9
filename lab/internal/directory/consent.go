package directory

import (
	"slices"
	"strings"
	"time"
)

// Install gives the service principal of an app, made if the tenant has none:
// the first consent to an app does so.
func (t *Tenant) Install(clientID string, now time.Time) *Principal {
	if p := t.Principal(clientID); p != nil {
		return p
	}
	p := &Principal{ID: RandomID(), ClientID: strings.ToLower(clientID), Enabled: true, Created: now}
	t.AddPrincipal(p)
	return p
}

// GrantScopes records a consent to delegated scopes: for one user, or for
// everybody where user is empty. Scopes join those that were granted before.
// Client and resource are object ids of service principals.
func (t *Tenant) GrantScopes(client, resource, user string, scopes []string) {
	// Readers may hold the old list: grants are replaced, never changed.
	grants := slices.Clone(t.Grants)
	i := slices.IndexFunc(grants, func(g *Grant) bool { return g.Client == client && g.Resource == resource && g.User == user })
	if i < 0 {
		grants = append(grants, &Grant{ID: RandomID(), Client: client, Resource: resource, User: user})
		i = len(grants) - 1
	}
	joined := *grants[i]
	joined.Scopes = slices.Clone(joined.Scopes)
	for _, scope := range scopes {
		if !slices.ContainsFunc(joined.Scopes, func(s string) bool { return strings.EqualFold(s, scope) }) {
			joined.Scopes = append(joined.Scopes, scope)
		}
	}
	grants[i] = &joined
	t.Grants = grants
}

// GrantRole records that an administrator granted an application permission.
// Principal and resource are object ids of service principals.
func (t *Tenant) GrantRole(principal, resource, role string, now time.Time) {
	if slices.ContainsFunc(t.AppRoles, func(a *AppRoleAssignment) bool {
		return a.Principal == principal && a.Resource == resource && a.Role == role
	}) {
		return
	}
	t.AppRoles = append(slices.Clone(t.AppRoles), &AppRoleAssignment{
		ID: RandomID(), Principal: principal, PrincipalType: "ServicePrincipal", Resource: resource, Role: role, Created: now,
	})
}
