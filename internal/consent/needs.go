package consent

import (
	"context"
	"fmt"
	"slices"

	"gatehouse/internal/microsoft"
	"gatehouse/internal/sqldb"
)

// Needed reports whether an error of the sign-in service means that consent is
// missing, in any of its forms.
func Needed(e *microsoft.Error) bool { return e != nil && slices.Contains(consentCodes, e.Code) }

// NeedsConsent notes that a sign-in or token of a delegated connection was refused
// for want of consent, and has it read how it stands.
func (s *Service) NeedsConsent(ctx context.Context, tx *sqldb.Tx, connectionID string, e *microsoft.Error) error {
	var of struct{ TenantID, RegistrationID string }
	err := tx.NewSelect().TableExpr("connections").Column("tenant_id", "registration_id").Where("id = ?", connectionID).Scan(ctx, &of)
	if sqldb.Missing(err) || err == nil && of.RegistrationID == "" {
		return nil
	}
	if err != nil {
		return fmt.Errorf("reading a connection: %w", err)
	}
	r, err := hold(ctx, tx, of.TenantID, of.RegistrationID)
	if err != nil {
		return err
	}
	if r.State == Unknown || r.State == ApprovedNotRead {
		code := ""
		if e != nil {
			code = e.Code
		}
		r.State, r.Reason = Missing, "a sign-in was refused for want of consent ("+clip(code)+")"
		if err := r.save(ctx, tx); err != nil {
			return err
		}
	}
	if err := s.lookSoon(ctx, tx, of.TenantID, of.RegistrationID); err != nil {
		return err
	}
	return s.announce(ctx, tx, of.TenantID, of.RegistrationID)
}
