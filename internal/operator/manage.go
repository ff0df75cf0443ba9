package operator

import (
	"context"
	"fmt"
	"strings"

	"github.com/uptrace/bun"

	"gatehouse/internal/audit"
	"gatehouse/internal/secrets"
	"gatehouse/internal/sqldb"
)

// List gives the operators that the actor may see, by e-mail address: with a role
// in all tenants everybody; otherwise who has a role in one of the actor's
// tenants, and of their roles only those.
func (s *Service) List(ctx context.Context) ([]*Operator, error) {
	scope, err := audit.Tenants(ctx, audit.OperatorView)
	if err != nil {
		return nil, err
	}
	return s.list(ctx, scope, "")
}

// Get gives one operator: oneself, or one of [Service.List].
func (s *Service) Get(ctx context.Context, id string) (*Operator, error) {
	scope, err := audit.Tenants(ctx, audit.OperatorView)
	if err != nil {
		return nil, err
	}
	if may(ctx, id) == audit.Self && audit.May(ctx, audit.AllTenants, audit.Self) {
		scope.All = true
	}
	found, err := s.list(ctx, scope, id)
	if err != nil {
		return nil, err
	}
	if len(found) == 0 {
		return nil, ErrMissing
	}
	return found[0], nil
}

func (s *Service) list(ctx context.Context, scope audit.Scope, id string) ([]*Operator, error) {
	var operators []*Operator
	q := s.db.Read().NewSelect().Model(&operators).Order("o.email")
	if id != "" {
		q.Where("o.id = ?", id)
	}
	if !scope.All {
		here := s.db.Read().NewSelect().Model((*roleRow)(nil)).Column("operator_id")
		q.Where("o.id IN (?) OR o.id IN (?)", scope.Filter(here, "tenant_id"), s.reachThrough(scope))
	}
	if err := q.Scan(ctx); err != nil {
		return nil, fmt.Errorf("listing operators: %w", err)
	}
	if err := s.readRoles(ctx, s.db.Read(), operators); err != nil {
		return nil, err
	}
	for _, o := range operators {
		o.seenIn(scope)
	}
	return operators, s.readInvitations(ctx, operators)
}

// Invite makes an account with roles by tenant, and gives the token of the link
// with which its owner sets a password and a second factor. It needs the
// management of operators in each of the tenants, in all of them for an operator
// without roles. Where mail can be sent, the link goes to the new operator and the
// token that is given back is empty.
func (s *Service) Invite(ctx context.Context, email, name string, roles map[string]audit.Role) (o *Operator, token secrets.Value, err error) {
	o = &Operator{ID: newID(), Email: normalise(email), Name: strings.TrimSpace(name), CreatedAt: s.time(), Roles: roles}
	if err := checkPerson(o.Email, o.Name); err != nil {
		return nil, token, err
	}
	err = s.alter(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		if len(roles) == 0 {
			if err := s.audit.Act(ctx, tx, o.managed(audit.AllTenants, "operator.invited", nil)); err != nil {
				return err
			}
		}
		for tenant, role := range roles {
			if err := s.audit.Act(ctx, tx, o.managed(tenant, "operator.invited", map[string]any{"role": role})); err != nil {
				return err
			}
		}
		if _, err := tx.NewInsert().Model(o).Exec(ctx); err != nil {
			if sqldb.Duplicate(err) {
				return ErrTaken
			}
			return fmt.Errorf("inviting an operator: %w", err)
		}
		for tenant, role := range roles {
			if err := putRole(ctx, tx, o.ID, tenant, role); err != nil {
				return err
			}
		}
		token, err = s.send(ctx, tx, o)
		return err
	})
	if err != nil {
		return nil, secrets.Value{}, err
	}
	return o, token, nil
}

// managed is an entry about an operator in a tenant.
func (o *Operator) managed(tenantID, action string, details map[string]any) audit.Entry {
	return audit.Entry{Permission: audit.OperatorManage, TenantID: tenantID, Action: action, ObjectKind: "operator", ObjectID: o.ID, ObjectName: o.Name, Details: details}
}

// Relink gives the token of a new link for an operator who lost the password or
// the second factor. It needs the management of operators in all tenants: who
// holds the link becomes the operator. As with [Service.Invite] it is mailed where
// it can be.
func (s *Service) Relink(ctx context.Context, operatorID string) (token secrets.Value, err error) {
	err = s.manage(ctx, operatorID, "setup_link.issued", func(ctx context.Context, tx *sqldb.Tx, o *Operator) error {
		token, err = s.send(ctx, tx, o)
		return err
	})
	if err != nil {
		return secrets.Value{}, err
	}
	return token, nil
}

// manage authorises and records what concerns an operator as a whole.
func (s *Service) manage(ctx context.Context, operatorID, action string, do func(context.Context, *sqldb.Tx, *Operator) error) error {
	return s.alter(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		if err := s.audit.Allow(ctx, audit.AllTenants, audit.OperatorManage); err != nil {
			return err
		}
		o, err := s.find(ctx, tx, "id", operatorID)
		if err != nil {
			return err
		}
		if err := s.audit.Act(ctx, tx, o.managed(audit.AllTenants, action, nil)); err != nil {
			return err
		}
		return do(ctx, tx, o)
	})
}

// SetRole gives an operator a role in a tenant in place of the one they had; 0
// takes it away. The last administrator of all tenants stays one.
func (s *Service) SetRole(ctx context.Context, operatorID, tenantID string, role audit.Role) error {
	return s.alter(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		if err := s.audit.Allow(ctx, tenantID, audit.OperatorManage); err != nil {
			return err
		}
		o, err := s.find(ctx, tx, "id", operatorID)
		if err != nil {
			return err
		}
		err = s.audit.Act(ctx, tx, o.managed(tenantID, "operator.role_set", map[string]any{"role": role, "before": o.Roles[tenantID]}))
		if err != nil {
			return err
		}
		return keepAdministrator(ctx, tx, func() error {
			if role == 0 {
				_, err := tx.NewDelete().Model((*roleRow)(nil)).Where("operator_id = ?", operatorID).Where("tenant_id = ?", tenantID).Exec(ctx)
				return err
			}
			return putRole(ctx, tx, operatorID, tenantID, role)
		})
	})
}

func putRole(ctx context.Context, tx *sqldb.Tx, operatorID, tenantID string, role audit.Role) error {
	if role < audit.Viewer || role > audit.Administrator {
		return fmt.Errorf("giving a role: %d is none", role)
	}
	_, err := tx.NewInsert().Model(&roleRow{OperatorID: operatorID, TenantID: tenantID, Role: role.String()}).
		On("CONFLICT (operator_id, tenant_id) DO UPDATE").Set("role = EXCLUDED.role").Exec(ctx)
	if err != nil {
		return fmt.Errorf("giving a role: %w", err)
	}
	return nil
}

// Disable ends an operator's sessions and links and lets them in no more.
func (s *Service) Disable(ctx context.Context, operatorID string) error {
	return s.manage(ctx, operatorID, "operator.disabled", func(ctx context.Context, tx *sqldb.Tx, o *Operator) error {
		if err := dropLinks(ctx, tx, o.ID); err != nil {
			return err
		}
		if err := endSessions(ctx, tx, o.ID, ""); err != nil {
			return err
		}
		return keepAdministrator(ctx, tx, func() error {
			_, err := tx.NewUpdate().Model((*Operator)(nil)).Set("disabled_at = ?", s.time()).Where("id = ?", o.ID).Exec(ctx)
			return err
		})
	})
}

// Enable lets an operator in again who was disabled.
func (s *Service) Enable(ctx context.Context, operatorID string) error {
	return s.manage(ctx, operatorID, "operator.enabled", func(ctx context.Context, tx *sqldb.Tx, o *Operator) error {
		_, err := tx.NewUpdate().Model((*Operator)(nil)).Set("disabled_at = NULL").Where("id = ?", o.ID).Exec(ctx)
		return err
	})
}

// Remove deletes an operator. The audit log keeps their entries; [Service.Erase]
// takes the name out of them.
func (s *Service) Remove(ctx context.Context, operatorID string) error {
	return s.manage(ctx, operatorID, "operator.removed", func(ctx context.Context, tx *sqldb.Tx, o *Operator) error {
		if err := dropLinks(ctx, tx, o.ID); err != nil {
			return err
		}
		return keepAdministrator(ctx, tx, func() error {
			for _, model := range []any{(*roleRow)(nil), (*factor)(nil), (*Session)(nil), (*identity)(nil), (*held)(nil), (*keyRow)(nil)} {
				if _, err := tx.NewDelete().Model(model).Where("operator_id = ?", o.ID).Exec(ctx); err != nil {
					return fmt.Errorf("removing an operator: %w", err)
				}
			}
			_, err := tx.NewDelete().Model((*Operator)(nil)).Where("id = ?", o.ID).Exec(ctx)
			return err
		})
	})
}

// keepAdministrator makes a change after which there must still be an
// administrator of all tenants, if there was one. Such changes wait for each
// other, so that two cannot take away the last two at the same moment.
func keepAdministrator(ctx context.Context, tx *sqldb.Tx, change func() error) error {
	if err := lockAdministrators(ctx, tx); err != nil {
		return err
	}
	before, err := administrators(ctx, tx)
	if err != nil {
		return err
	}
	if err := change(); err != nil {
		return err
	}
	after, err := administrators(ctx, tx)
	if err != nil {
		return err
	}
	if before > 0 && after == 0 {
		return ErrLastAdministrator
	}
	return nil
}

// lockAdministrators makes changes of who administers all tenants wait for each
// other.
func lockAdministrators(ctx context.Context, tx *sqldb.Tx) error {
	_, err := tx.NewUpdate().Model((*roleRow)(nil)).Set("role = role").
		Where("tenant_id = ?", audit.AllTenants).Where("role = ?", audit.Administrator.String()).Exec(ctx)
	if err != nil {
		return fmt.Errorf("counting administrators: %w", err)
	}
	return nil
}

// administrators counts who can administer all tenants without a directory: who is
// not disabled, has a second factor and may sign in locally.
func administrators(ctx context.Context, db bun.IDB) (int64, error) {
	n, err := db.NewSelect().Model((*Operator)(nil)).Where("o.disabled_at IS NULL").
		Where("EXISTS (SELECT 1 FROM operator_roles AS r WHERE r.operator_id = o.id AND r.tenant_id = ? AND r.role = ?)", audit.AllTenants, audit.Administrator.String()).
		Where("EXISTS (SELECT 1 FROM operator_factors AS f WHERE f.operator_id = o.id)").
		Where("o.break_glass OR NOT EXISTS (SELECT 1 FROM instance AS i WHERE i.name = ?)", limitName).Count(ctx)
	if err != nil {
		return 0, fmt.Errorf("counting administrators: %w", err)
	}
	return n, nil
}

// ChangePassword sets the signed-in operator's own password and ends their other
// sessions. The old password is asked for, and a wrong one counts towards the
// lock of the account.
func (s *Service) ChangePassword(ctx context.Context, session *Session, old, password secrets.Value, visit Visit) error {
	if session.Stage != StageSignedIn {
		return ErrSession
	}
	if session.Method == SSO {
		return ErrNotLocal
	}
	if err := s.limiter.Take(visit.Address); err != nil {
		return err
	}
	o := session.Operator
	if err := checkPassword(password, o.Email); err != nil {
		return err
	}
	open, err := s.reserve(ctx, o.ID)
	if err != nil {
		return err
	}
	if !open || tooLong(old) {
		return fmt.Errorf("changing the password: %w", ErrSignIn)
	}
	right, _, err := s.hasher.verify(ctx, o.PasswordHash, old)
	if err != nil {
		return err
	}
	if !right {
		return s.wrongOld(ctx, o, visit)
	}
	hash, err := s.hasher.hash(ctx, password)
	if err != nil {
		return err
	}
	return s.alter(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		if err := s.audit.Act(ctx, tx, o.self("operator.password_changed", nil)); err != nil {
			return err
		}
		err := met(ErrSession)(tx.NewUpdate().Model((*Operator)(nil)).Set("password_hash = ?", hash).Set("failures = 0, locked_until = NULL").
			Where("id = ?", o.ID).Where("password_hash = ?", o.PasswordHash).Exec(ctx))
		if err != nil {
			return err
		}
		if err := dropLinks(ctx, tx, o.ID); err != nil {
			return err
		}
		return endSessions(ctx, tx, o.ID, session.ID)
	})
}

func (s *Service) wrongOld(ctx context.Context, o *Operator, visit Visit) error {
	e := o.self("operator.password_changed", map[string]any{"reason": "wrong password"})
	e.Outcome = audit.OutcomeFailed
	if err := s.note(ctx, o.actor(visit.Address), e); err != nil {
		return err
	}
	return fmt.Errorf("changing the password: %w", ErrSignIn)
}
