package operator

import (
	"context"
	"errors"
	"fmt"

	"gatehouse/internal/audit"
	"gatehouse/internal/sqldb"
)

// ErrStillThere says that an operator has to be removed before they are erased.
var ErrStillThere = errors.New("they are still an operator: remove them first")

// Eraser takes a person out of what a feature keeps: whoever is known there by
// the id, or by one of the names.
type Eraser func(ctx context.Context, tx *sqldb.Tx, id string, names []string) error

// OnErase adds what [Service.Erase] calls.
func (s *Service) OnErase(erasers ...Eraser) { s.erasers = append(s.erasers, erasers...) }

// Erase takes the name and addresses of a removed operator out of the audit log,
// which still verifies, and out of everything that features keep. What was done
// stays, under the id. It needs the permission in all tenants. Where features
// know people by name only, another person of exactly this name is taken out as
// well. Backups that were made before still hold the name.
func (s *Service) Erase(ctx context.Context, id string) error {
	err := s.alter(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		if err := s.audit.Allow(ctx, audit.AllTenants, audit.AuditErase); err != nil {
			return err
		}
		switch _, err := s.find(ctx, tx, "id", id); {
		case err == nil:
			return ErrStillThere
		case !errors.Is(err, ErrMissing):
			return err
		}
		names, err := s.audit.Names(ctx, tx, id)
		if err != nil {
			return err
		}
		if len(names) == 0 {
			return ErrMissing // never there, or erased before
		}
		for _, erase := range s.erasers {
			if err := erase(ctx, tx, id, names); err != nil {
				return err
			}
		}
		return s.audit.Erase(ctx, tx, id)
	})
	if err != nil {
		return fmt.Errorf("erasing a person: %w", err)
	}
	return nil
}
