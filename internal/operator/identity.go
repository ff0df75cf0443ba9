package operator

import (
	"context"
	"fmt"
	"time"

	"github.com/uptrace/bun"

	"gatehouse/internal/audit"
	"gatehouse/internal/sqldb"
	"gatehouse/internal/sso"
)

// identity is who an operator is in a directory.
type identity struct {
	bun.BaseModel `bun:"table:operator_identities,alias:i"`

	ID          string `bun:"id,pk"`
	OperatorID  string
	Directory   string
	Subject     string
	Username    string
	CreatedAt   time.Time
	ConfirmedAt time.Time
}

// Account is an operator's account in a directory, for people to look at.
type Account struct {
	Directory, Subject, Username string
	ConfirmedAt                  time.Time // the last sign-in
}

// held is an assignment that met an operator at the last sign-in.
type held struct {
	bun.BaseModel `bun:"table:operator_assignments,alias:h"`

	OperatorID   string `bun:"operator_id,pk"`
	AssignmentID string `bun:"assignment_id,pk"`
	ConfirmedAt  time.Time
}

// heldFor is how long after a sign-in through the directory the roles that it
// brought count. Sessions begun so end after an hour ([ssoLifetime]); it is keys
// that live on, over a weekend. A key that has to live longer wants a role that is
// the operator's own.
const heldFor = 72 * time.Hour

// readThrough adds the roles that operators have through a directory.
func (s *Service) readThrough(ctx context.Context, db bun.IDB, byID map[string]*Operator, ids []string) error {
	var rows []struct {
		OperatorID, TenantID, Role, Kind, Name string
		ConfirmedAt                            time.Time
	}
	err := db.NewSelect().TableExpr("operator_assignments AS h").Join("JOIN directory_assignments AS a ON a.id = h.assignment_id").
		ColumnExpr("h.operator_id, h.confirmed_at, a.tenant_id, a.role, a.kind, a.name").
		Where("h.operator_id IN (?)", bun.List(ids)).Where("h.confirmed_at > ?", s.time().Add(-heldFor)).OrderExpr("a.tenant_id, a.name, a.id").Scan(ctx, &rows)
	if err != nil {
		return fmt.Errorf("reading roles through the directory: %w", err)
	}
	for _, r := range rows {
		role, err := audit.ParseRole(r.Role)
		if err != nil {
			return err
		}
		o := byID[r.OperatorID]
		o.Roles[r.TenantID] = max(o.Roles[r.TenantID], role)
		o.Through = append(o.Through, Through{r.TenantID, role, r.Kind, r.Name, r.ConfirmedAt.Add(heldFor).UTC()})
	}
	var accounts []identity
	if err := db.NewSelect().Model(&accounts).Where("operator_id IN (?)", bun.List(ids)).Order("created_at").Scan(ctx); err != nil {
		return fmt.Errorf("reading accounts in the directory: %w", err)
	}
	for _, i := range accounts {
		o := byID[i.OperatorID]
		o.Accounts = append(o.Accounts, Account{i.Directory, i.Subject, i.Username, i.ConfirmedAt.UTC()})
	}
	return nil
}

// reachThrough are the operators who have a role in one of the scope's tenants
// through a directory.
func (s *Service) reachThrough(scope audit.Scope) *bun.SelectQuery {
	q := s.db.Read().NewSelect().TableExpr("operator_assignments AS h").Join("JOIN directory_assignments AS a ON a.id = h.assignment_id").ColumnExpr("h.operator_id")
	return scope.Filter(q, "a.tenant_id")
}

// seenIn leaves of the roles those in a scope's tenants.
func (o *Operator) seenIn(scope audit.Scope) {
	for tenant := range o.Roles {
		if !scope.Has(tenant) {
			delete(o.Roles, tenant)
			delete(o.Own, tenant)
		}
	}
	var seen []Through
	for _, t := range o.Through {
		if scope.Has(t.TenantID) {
			seen = append(seen, t)
		}
	}
	o.Through = seen
}

// findIdentity gives whose directory account it is; nil if nobody's.
func (s *Service) findIdentity(ctx context.Context, db bun.IDB, who *sso.Person) (*identity, error) {
	var i identity
	err := db.NewSelect().Model(&i).Where("directory = ?", who.Directory).Where("subject = ?", who.Subject).Scan(ctx)
	if sqldb.Missing(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading accounts in the directory: %w", err)
	}
	return &i, nil
}

// confirm notes a sign-in through the directory: the assignments that met the
// person now, and no others.
func (s *Service) confirm(ctx context.Context, tx *sqldb.Tx, i *identity, met []Assignment) error {
	i.ConfirmedAt = s.time()
	_, err := tx.NewInsert().Model(i).On("CONFLICT (id) DO UPDATE").Set("username = EXCLUDED.username").Set("confirmed_at = EXCLUDED.confirmed_at").Exec(ctx)
	if err != nil {
		return fmt.Errorf("noting a sign-in through the directory: %w", err)
	}
	theirs := tx.NewSelect().Model((*Assignment)(nil)).Column("id").Where("directory = ?", i.Directory)
	if _, err := tx.NewDelete().Model((*held)(nil)).Where("operator_id = ?", i.OperatorID).Where("assignment_id IN (?)", theirs).Exec(ctx); err != nil {
		return fmt.Errorf("noting roles through the directory: %w", err)
	}
	if len(met) == 0 {
		return nil
	}
	rows := make([]held, 0, len(met))
	for _, a := range met {
		rows = append(rows, held{OperatorID: i.OperatorID, AssignmentID: a.ID, ConfirmedAt: i.ConfirmedAt})
	}
	if _, err := tx.NewInsert().Model(&rows).Exec(ctx); err != nil {
		return fmt.Errorf("noting roles through the directory: %w", err)
	}
	return nil
}
