package tenant

import (
	"context"
	"fmt"
	"slices"

	"gatehouse/internal/audit"
	"gatehouse/internal/sqldb"
)

// SetSwitch sets how far a tenant's consent to a switch has come, in the transaction
// of the feature that learnt of it. The actor needs [audit.ConsentManage] in the
// tenant, which Gatehouse itself has ([audit.AsSystem]). by is who consented, as far as
// is known, and counts for [On]; reason is why it is [Broken]. While it is Pending or
// Broken, who consented last is kept; Off forgets it. What is so already is left as it
// is, without a line in the audit log.
func (s *Service) SetSwitch(ctx context.Context, tx *sqldb.Tx, tenantID string, name SwitchName, state SwitchState, by, reason string) error {
	if !slices.Contains([]SwitchState{Off, Pending, On, Broken}, state) || !slices.ContainsFunc(catalogue, func(c Switch) bool { return c.Name == name && c.Available }) {
		return fmt.Errorf("setting the switch %q to %q: there is no such switch or state", name, state)
	}
	r, err := find(ctx, tx, tenantID)
	if err != nil {
		return err
	}
	before := switchRow{TenantID: tenantID, Name: name, State: Off}
	if err := tx.NewSelect().Model(&before).Where("tenant_id = ? AND name = ?", tenantID, name).Scan(ctx); err != nil && !sqldb.Missing(err) {
		return fmt.Errorf("reading a switch: %w", err)
	}
	next := switchRow{TenantID: tenantID, Name: name, State: state}
	switch state {
	case On:
		now := s.time()
		next.ConsentedBy, next.ConsentedAt = by, &now
	case Pending, Broken:
		next.ConsentedBy, next.ConsentedAt = before.ConsentedBy, before.ConsentedAt
	}
	if state == Broken {
		next.Reason = reason
	}
	if before.State == next.State && before.Reason == next.Reason && (state != On || before.ConsentedBy == by) {
		return nil
	}
	if err := s.Audit.Act(ctx, tx, r.entry(audit.ConsentManage, "switch."+string(state), map[string]any{"switch": name, "reason": next.Reason})); err != nil {
		return err
	}
	if err := putSwitch(ctx, tx, next); err != nil {
		return err
	}
	return s.announce(ctx, tx, tenantID, "switch")
}
