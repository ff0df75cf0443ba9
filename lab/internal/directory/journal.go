package directory

import (
	"slices"
	"strings"
)

// Change is one entry of a tenant's journal, which delta queries read.
type Change struct {
	Kind string // Graph's type: user, group …
	ID   string
	Gone bool // the object was removed
	// Member, where set, is an object that joined or (Left) left the object.
	Member string
	Left   bool
}

// MaxChanges is how many changes a tenant's journal keeps at least.
const MaxChanges = 10_000

// journal is a bounded list of changes; first is the number of the oldest.
type journal struct {
	first uint64
	list  []Change
}

// Touch notes a change.
func (t *Tenant) Touch(c Change) {
	if len(t.changes.list) >= 2*MaxChanges {
		t.changes.list = slices.Clone(t.changes.list[MaxChanges:])
		t.changes.first += MaxChanges
	}
	t.changes.list = append(t.changes.list, c)
}

// Position is the number that the next change will have.
func (t *Tenant) Position() uint64 { return t.changes.first + uint64(len(t.changes.list)) }

// Since gives the changes from a position on. It reports false if the journal
// does not reach back that far, or never was there.
func (t *Tenant) Since(position uint64) ([]Change, bool) {
	if position < t.changes.first || position > t.Position() {
		return nil, false
	}
	return t.changes.list[position-t.changes.first:], true
}

// RemoveUser removes a user with its memberships, assignments and grants.
func (t *Tenant) RemoveUser(u *User) {
	t.Users = slices.DeleteFunc(slices.Clone(t.Users), func(o *User) bool { return o == u })
	delete(t.index().users, strings.ToLower(u.ID))
	delete(t.index().users, strings.ToLower(u.UPN))
	t.forget(u.ID)
}

// RemoveGroup removes a group.
func (t *Tenant) RemoveGroup(g *Group) {
	t.Groups = slices.DeleteFunc(slices.Clone(t.Groups), func(o *Group) bool { return o == g })
	delete(t.index().groups, strings.ToLower(g.ID))
	t.forget(g.ID)
}

// RemoveApp removes a registration. Its service principals in other tenants
// stay and are without one.
func (t *Tenant) RemoveApp(a *App) {
	t.Apps = slices.DeleteFunc(slices.Clone(t.Apps), func(o *App) bool { return o == a })
	delete(t.index().apps, strings.ToLower(a.ClientID))
	delete(t.store.apps, strings.ToLower(a.ClientID))
}

// RemovePrincipal removes a service principal with everything granted to it or
// on it.
func (t *Tenant) RemovePrincipal(p *Principal) {
	t.Principals = slices.DeleteFunc(slices.Clone(t.Principals), func(o *Principal) bool { return o == p })
	delete(t.index().principals, strings.ToLower(p.ID))
	delete(t.index().principals, strings.ToLower(p.ClientID))
	t.Classifications = slices.DeleteFunc(slices.Clone(t.Classifications), func(c *Classification) bool { return c.Principal == p.ID })
	t.forget(p.ID)
}

// forget drops all references to an object and notes what else changed by it.
func (t *Tenant) forget(id string) {
	is := func(other string) bool { return other == id }
	for _, g := range t.Groups {
		if slices.Contains(g.Members, id) {
			g.Members = slices.DeleteFunc(slices.Clone(g.Members), is)
			t.Touch(Change{Kind: "group", ID: g.ID, Member: id, Left: true})
		}
	}
	for _, p := range t.Principals {
		p.Assigned = slices.DeleteFunc(slices.Clone(p.Assigned), is)
	}
	t.Grants = slices.DeleteFunc(slices.Clone(t.Grants), func(g *Grant) bool {
		gone := g.Client == id || g.Resource == id || g.User == id
		if gone {
			t.Touch(Change{Kind: "oAuth2PermissionGrant", ID: g.ID, Gone: true})
		}
		return gone
	})
	t.AppRoles = slices.DeleteFunc(slices.Clone(t.AppRoles), func(a *AppRoleAssignment) bool { return a.Principal == id || a.Resource == id })
}
