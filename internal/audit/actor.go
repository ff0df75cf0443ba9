package audit

import (
	"context"
	"slices"
)

// Kind says what an actor is.
type Kind string

// The kinds of actors.
const (
	Operator Kind = "operator" // signed in, or known by an API key
	System   Kind = "system"   // Gatehouse itself: a job, a sweep
	Link     Kind = "link"     // whoever holds a signed link
	Visitor  Kind = "visitor"  // nobody yet: someone before signing in
)

// AllTenants stands for every tenant in an actor's roles, and for "belongs to
// no tenant" in an object. Only a role in all tenants reaches such objects.
const AllTenants = ""

// Actor is who does something. It rides in the context.
type Actor struct {
	Kind    Kind
	ID      string          // of the operator or link; the job's name for the system
	Name    string          // for people; erasable
	Address string          // where the request came from; erasable
	Roles   map[string]Role // by tenant id
	Only    []Permission    // if set, nothing but these, whatever the roles: API keys and links
}

// AsSystem makes Gatehouse itself the actor of what follows, for jobs: name
// says which. It may do everything.
func AsSystem(ctx context.Context, name string) context.Context {
	return With(ctx, Actor{Kind: System, ID: name, Name: name, Roles: map[string]Role{AllTenants: Administrator}})
}

type actorKey struct{}

// With puts the actor into a context.
func With(ctx context.Context, a Actor) context.Context { return context.WithValue(ctx, actorKey{}, a) }

// From is the actor of a context; false if there is none, who may do nothing.
func From(ctx context.Context) (Actor, bool) {
	a, ok := ctx.Value(actorKey{}).(Actor)
	return a, ok
}

// Role is the actor's role in a tenant: that in the tenant itself or that in all,
// whichever is higher.
func (a Actor) Role(tenantID string) Role { return max(a.Roles[AllTenants], a.Roles[tenantID]) }

// May reports whether the actor has a permission in a tenant.
func (a Actor) May(tenantID string, p Permission) bool {
	need, known := Least(p)
	if !known || a.Only != nil && !slices.Contains(a.Only, p) {
		return false
	}
	return a.Role(tenantID) >= need
}

// sees reports whether the actor may know that a tenant is there.
func (a Actor) sees(tenantID string) bool {
	return tenantID == AllTenants || a.Role(tenantID) >= Viewer
}
