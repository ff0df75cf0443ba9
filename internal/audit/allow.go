package audit

import (
	"context"
	"fmt"
	"slices"

	"github.com/uptrace/bun"

	"gatehouse/internal/sqldb"
)

// Refused says that the actor lacks a permission. Faces answer 403, or 404 if
// it is Hidden, just as if the object were not there.
type Refused struct {
	Permission Permission
	TenantID   string
	Needs      Role // the least role that would do
	Nobody     bool // there is no actor at all
	Hidden     bool // the actor may not even know that the tenant is there
	Narrow     bool // it is not the role that is missing: a key or link has but some permissions
}

// Error says what is missing.
func (r *Refused) Error() string {
	switch {
	case r.Nobody:
		return fmt.Sprintf("authorising %s: nobody is signed in", r.Permission)
	case r.Narrow:
		return fmt.Sprintf("authorising %s: the API key does not have this permission", r.Permission)
	case r.TenantID == AllTenants:
		return fmt.Sprintf("authorising %s: it needs the role %s in all tenants; ask an administrator for it", r.Permission, r.Needs)
	default:
		return fmt.Sprintf("authorising %s in tenant %s: it needs the role %s there; ask an administrator for it", r.Permission, r.TenantID, r.Needs)
	}
}

// check decides; it records nothing.
func check(ctx context.Context, tenantID string, p Permission) (Actor, *Refused) {
	a, ok := From(ctx)
	if ok && a.May(tenantID, p) {
		return a, nil
	}
	need, known := Least(p)
	if !known {
		need = Administrator
	}
	if !ok {
		a.Kind = Visitor
	}
	return a, &Refused{Permission: p, TenantID: tenantID, Needs: need, Nobody: !ok, Hidden: !a.sees(tenantID), Narrow: a.Only != nil && !slices.Contains(a.Only, p)}
}

// May reports whether the context's actor has a permission in a tenant, for
// pages that show only what can be done. Nothing is recorded.
func May(ctx context.Context, tenantID string, p Permission) bool {
	_, refused := check(ctx, tenantID, p)
	return refused == nil
}

// Allow demands a permission in a tenant: that of the loaded object, AllTenants
// for what belongs to none. It is for reading; what changes something calls
// [Log.Act]. A refusal is a *[Refused] and is recorded; inside a change it also
// keeps the change from being committed.
func (l *Log) Allow(ctx context.Context, tenantID string, p Permission) error {
	a, refused := check(ctx, tenantID, p)
	if refused == nil {
		return nil
	}
	return l.refuse(ctx, sqldb.Current(ctx), a, refused, Entry{Permission: p, TenantID: tenantID, Action: string(p)})
}

// Scope is the tenants in which an actor has a permission.
type Scope struct {
	All bool // every tenant, and what belongs to none
	IDs []string
}

// Tenants are the tenants in which the context's actor has a permission. Every
// list filters by it, in SQL. An actor who has it nowhere gets the empty scope,
// and thus an empty list; no actor at all is refused.
func Tenants(ctx context.Context, p Permission) (Scope, error) {
	a, ok := From(ctx)
	if !ok {
		_, refused := check(ctx, AllTenants, p)
		return Scope{}, refused
	}
	if a.May(AllTenants, p) {
		return Scope{All: true}, nil
	}
	var s Scope
	for id := range a.Roles {
		if a.May(id, p) {
			s.IDs = append(s.IDs, id)
		}
	}
	slices.Sort(s.IDs)
	return s, nil
}

// Anywhere reports whether the context's actor has a permission in any tenant: whether
// [Tenants] would name one.
func Anywhere(ctx context.Context, p Permission) bool {
	a, ok := From(ctx)
	if !ok {
		return false
	}
	for id := range a.Roles {
		if a.May(id, p) {
			return true
		}
	}
	return false
}

// Filter keeps the rows of the scope's tenants; column holds the tenant's id.
func (s Scope) Filter(q *bun.SelectQuery, column string) *bun.SelectQuery {
	switch {
	case s.All:
		return q
	case len(s.IDs) == 0:
		return q.Where("1 = 0")
	default:
		return q.Where("? IN (?)", bun.Ident(column), bun.List(s.IDs))
	}
}

// Has reports whether a tenant is in the scope.
func (s Scope) Has(tenantID string) bool { return s.All || slices.Contains(s.IDs, tenantID) }

// refuse records a refusal and gives it as the error. Inside a change it is
// recorded after the rollback, which it makes certain.
func (l *Log) refuse(ctx context.Context, tx *sqldb.Tx, a Actor, refused *Refused, e Entry) error {
	e.Outcome = OutcomeRefused
	e.Details = map[string]any{"permission": refused.Permission, "needs": refused.Needs}
	record := func(ctx context.Context) error { return l.recordRefusal(ctx, a, e) }
	if tx != nil {
		tx.BeforeCommit(func(context.Context) error { return refused })
		tx.OnRollback(record)
		return refused
	}
	if err := record(context.WithoutCancel(ctx)); err != nil {
		return fmt.Errorf("%w (and %w)", refused, err)
	}
	return refused
}
