package operator

import (
	"context"
	"errors"
	"fmt"

	"github.com/uptrace/bun"

	"gatehouse/internal/audit"
	"gatehouse/internal/fault"
	"gatehouse/internal/secrets"
	"gatehouse/internal/sqldb"
)

// limitName is the installation's fact that only break-glass accounts may sign in
// locally. It is there or not.
const limitName = "local_sign_in_limited"

// maxBreakGlass bounds the accounts for emergencies.
const maxBreakGlass = 50

// ErrLimited says that an account may not sign in with a password.
var ErrLimited = errors.New("signing in with a password is limited to a few accounts here: sign in through the directory")

// Limited reports whether only break-glass accounts may sign in locally.
func (s *Service) Limited(ctx context.Context) (bool, error) { return limited(ctx, s.db.Read()) }

func limited(ctx context.Context, db bun.IDB) (bool, error) {
	n, err := db.NewSelect().TableExpr("instance").Where("name = ?", limitName).Count(ctx)
	if err != nil {
		return false, fmt.Errorf("reading who may sign in locally: %w", err)
	}
	return n > 0, nil
}

// mayLocal refuses an account that may not sign in locally with [ErrLimited].
func mayLocal(ctx context.Context, db bun.IDB, o *Operator) error {
	if o.BreakGlass {
		return nil
	}
	closed, err := limited(ctx, db)
	if err == nil && closed {
		return ErrLimited
	}
	return err
}

// LimitLocal says which accounts are for break-glass, and whether only they may
// sign in with password and second factor. Sessions of the others that were begun
// so end. One of those that stay must administer all tenants and have a second
// factor.
func (s *Service) LimitLocal(ctx context.Context, only bool, breakGlass []string) error {
	if len(breakGlass) > maxBreakGlass {
		return fault.Of("break_glass", fmt.Sprintf("are more than %d accounts", maxBreakGlass), "keep a few: emergencies are rare")
	}
	return s.alter(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		err := s.audit.Act(ctx, tx, audit.Entry{Permission: audit.OperatorManage, Action: "local_sign_in.limited", ObjectKind: "operator", Details: map[string]any{"only": only, "accounts": breakGlass}})
		if err != nil {
			return err
		}
		if err := lockAdministrators(ctx, tx); err != nil {
			return err
		}
		if _, err := tx.NewUpdate().Model((*Operator)(nil)).Set("break_glass = ?", false).Where("break_glass").Exec(ctx); err != nil {
			return fmt.Errorf("limiting local sign-in: %w", err)
		}
		if len(breakGlass) > 0 {
			err := met(ErrMissing)(tx.NewUpdate().Model((*Operator)(nil)).Set("break_glass = ?", true).Where("id IN (?)", bun.List(breakGlass)).Exec(ctx))
			if err != nil {
				return err
			}
		}
		if _, err := tx.NewDelete().TableExpr("instance").Where("name = ?", limitName).Exec(ctx); err != nil {
			return fmt.Errorf("limiting local sign-in: %w", err)
		}
		if !only {
			return nil
		}
		return s.closeLocal(ctx, tx)
	})
}

func (s *Service) closeLocal(ctx context.Context, tx *sqldb.Tx) error {
	if s.sso == nil {
		return fault.Of("only", "would leave no other way in", "configure single sign-on first (oidc.issuer)")
	}
	if _, err := tx.ExecContext(ctx, "INSERT INTO instance (name, value) VALUES (?, '')", limitName); err != nil {
		return fmt.Errorf("limiting local sign-in: %w", err)
	}
	n, err := administrators(ctx, tx)
	if err != nil {
		return err
	}
	if n == 0 {
		return fault.Of("break_glass", "leaves nobody who administers all tenants with a password and a second factor", "keep such an account for the day on which the directory does not answer")
	}
	others := tx.NewSelect().Model((*Operator)(nil)).Column("id").Where("NOT break_glass")
	if _, err := tx.NewDelete().Model((*Session)(nil)).Where("method = ?", Local).Where("operator_id IN (?)", others).Exec(ctx); err != nil {
		return fmt.Errorf("limiting local sign-in: ending sessions: %w", err)
	}
	return nil
}

// send issues a link for an operator and mails it; where that cannot be, it gives
// the link's token.
func (s *Service) send(ctx context.Context, tx *sqldb.Tx, o *Operator) (secrets.Value, error) {
	token, err := s.issue(ctx, tx, o.ID)
	if err != nil || s.mail == nil {
		return token, err
	}
	link := secrets.New(s.origin + "/setup/" + token.Reveal())
	err = s.mail(ctx, tx, o.Email, o.Name, link, s.time().Add(linkLifetime))
	switch {
	case errors.Is(err, ErrNoMail):
		return token, nil
	case err != nil:
		return secrets.Value{}, fmt.Errorf("mailing an invitation: %w", err)
	}
	return secrets.Value{}, nil
}
