package campaign

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/uptrace/bun"

	"gatehouse/internal/sqldb"
)

// Watch follows every open campaign: who joins and leaves, what became of consents,
// what is to be told, and who is to be reminded.
func (s *Service) Watch(ctx context.Context) error {
	var open []row
	if err := s.DB.Read().NewSelect().Model(&open).Where("state IN (?)", bun.List([]State{Draft, Running, Paused})).OrderExpr("id").Scan(ctx); err != nil {
		return fmt.Errorf("looking for campaigns: %w", err)
	}
	var errs []error
	for _, r := range open {
		errs = append(errs, s.follow(ctx, r.ID), s.readConsents(ctx, r.ID), s.settleNow(ctx, r.ID), s.remind(ctx, r.ID))
	}
	return errors.Join(errs...)
}

func (s *Service) settleNow(ctx context.Context, id string) error {
	r, err := find(ctx, s.DB.Read(), id)
	if err != nil || r.State != Running && r.State != Paused {
		return err
	}
	return s.DB.Change(ctx, func(ctx context.Context, tx *sqldb.Tx) error { return s.settle(ctx, tx, r) })
}

// How often a tenant's consent is looked for, and how many tenants at a time.
const (
	consentEvery  = 15 * time.Minute
	consentAtOnce = 500
)

// readConsents looks for the consents that are not known to be there, those first
// that were not looked for the longest.
func (s *Service) readConsents(ctx context.Context, id string) error {
	r, err := find(ctx, s.DB.Read(), id)
	if err != nil || !r.State.open() || !r.campaign().Consents() {
		return err
	}
	var rows []tenantRow
	err = s.DB.Read().NewSelect().Model(&rows).Where("campaign_id = ? AND consent <> ?", id, ConsentGranted).Where("consent_at IS NULL OR consent_at < ?", s.time().Add(-consentEvery)).
		OrderExpr("consent_at IS NOT NULL, consent_at").Limit(consentAtOnce).Scan(ctx)
	if err != nil {
		return fmt.Errorf("looking for consents: %w", err)
	}
	for _, t := range rows {
		state, why := s.consentOf(ctx, r, t)
		err := s.DB.Change(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
			return s.consented(ctx, tx, r, t.TenantID, t.Consent, state, why)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// consentOf is what is known of a tenant's consent now. What somebody approved stays
// approved while it cannot be read.
func (s *Service) consentOf(ctx context.Context, r *row, t tenantRow) (state ConsentState, why string) {
	said, err := s.ConsentState(ctx, t.TenantID, r.RegistrationID)
	switch {
	case err != nil:
		state, why = ConsentUnknown, "it could not be read: "+err.Error()
	case said == "granted":
		return ConsentGranted, ""
	case said == "approved_not_read":
		return ConsentNotRead, ""
	case said == "missing", said == "partly":
		return ConsentMissing, ""
	default:
		state, why = ConsentUnknown, "nothing has been read of it yet"
	}
	if t.Consent == ConsentNotRead || t.Consent == ConsentAsked {
		return t.Consent, why
	}
	return state, why
}
