package operator

import (
	"context"
	"fmt"
	"slices"

	"github.com/uptrace/bun"

	"gatehouse/internal/audit"
)

// People are the operators with a role in a tenant or in all, with these roles
// only; without those who are disabled. It is for the house itself, which tells
// them what happens there: it asks for no permission.
func (s *Service) People(ctx context.Context, db bun.IDB, tenantID string) ([]*Operator, error) {
	return s.people(ctx, db, tenantID, nil)
}

// Person is one of [Service.People]; [ErrMissing] if they are not, or no more.
func (s *Service) Person(ctx context.Context, db bun.IDB, id, tenantID string) (*Operator, error) {
	found, err := s.people(ctx, db, tenantID, []string{id})
	if err != nil {
		return nil, err
	}
	if len(found) == 0 {
		return nil, ErrMissing
	}
	return found[0], nil
}

func (s *Service) people(ctx context.Context, db bun.IDB, tenantID string, ids []string) ([]*Operator, error) {
	var out []*Operator
	places := bun.List([]string{audit.AllTenants, tenantID})
	here := db.NewSelect().Model((*roleRow)(nil)).Column("operator_id").Where("tenant_id IN (?)", places)
	through := db.NewSelect().TableExpr("operator_assignments AS m").Join("JOIN directory_assignments AS a ON a.id = m.assignment_id").Column("m.operator_id").Where("a.tenant_id IN (?)", places)
	q := db.NewSelect().Model(&out).Where("o.disabled_at IS NULL").Where("(o.id IN (?) OR o.id IN (?))", here, through).Order("o.email")
	if ids != nil {
		q.Where("o.id IN (?)", bun.List(ids))
	}
	if err := q.Scan(ctx); err != nil {
		return nil, fmt.Errorf("reading who is told: %w", err)
	}
	if err := s.readRoles(ctx, db, out); err != nil {
		return nil, err
	}
	for _, o := range out {
		for tenant := range o.Roles {
			if tenant != audit.AllTenants && tenant != tenantID {
				delete(o.Roles, tenant)
			}
		}
	}
	// What a directory gave ends some time after the last sign-in through it.
	return slices.DeleteFunc(out, func(o *Operator) bool { return len(o.Roles) == 0 }), nil
}
