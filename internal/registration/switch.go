package registration

import (
	"context"
	"fmt"

	"gatehouse/internal/audit"
	"gatehouse/internal/sqldb"
	"gatehouse/internal/tenant"
)

// Switch puts a checked credential into use. The one that was stays, so that it can be
// gone back to, until it is retired. [ErrUnchecked] if the credential passed no check.
func (s *Service) Switch(ctx context.Context, id, credentialID string) (Credential, error) {
	var out Credential
	err := s.change(ctx, id, "registration.switch_asked", map[string]any{"credential": credentialID}, func(ctx context.Context, tx *sqldb.Tx, g *row) error {
		r, err := findCredential(ctx, tx, credentialID)
		switch {
		case err != nil:
			return err
		case r.RegistrationID != id || r.Cloud != s.Cloud.Name:
			return ErrMissing
		case r.State == Added:
			return ErrUnchecked
		case r.State == Retired:
			return ErrRetired
		case r.credential().Ended(s.Now()):
			return tenant.Fault("credential", "has ended", "add a new one")
		}
		if r.State == Checked {
			err = s.put(ctx, tx, g, r, false)
		}
		out = r.credential()
		return err
	})
	return out, err
}

// put makes a checked credential the one in use, in place of the one that is.
func (s *Service) put(ctx context.Context, tx *sqldb.Tx, g *row, r *credentialRow, retire bool) error {
	now := s.time()
	var old []credentialRow
	err := tx.NewSelect().Model(&old).Where("r.registration_id = ? AND r.cloud = ? AND r.client_id = ? AND r.state = ?", r.RegistrationID, r.Cloud, r.ClientID, Active).Scan(ctx)
	if err != nil {
		return fmt.Errorf("reading the credential in use: %w", err)
	}
	from := ""
	for i := range old {
		from = old[i].ID
		old[i].State, old[i].ReplacedAt = Checked, &now
		if err := s.save(ctx, tx, &old[i], "state", "replaced_at"); err != nil {
			return err
		}
		if !retire {
			continue
		}
		if err := s.Audit.Act(ctx, tx, g.entry("registration.credential_retired", map[string]any{"credential": from})); err != nil {
			return err
		}
		if err := s.retire(ctx, tx, &old[i]); err != nil {
			return err
		}
	}
	r.State, r.ActiveAt, r.ReplacedAt, r.ThenSwitch, r.ThenRetire = Active, &now, nil, false, false
	if err := s.save(ctx, tx, r, "state", "active_at", "replaced_at", "then_switch", "then_retire"); err != nil {
		return err
	}
	if err := s.Audit.Act(ctx, tx, g.entry("registration.credential_switched", map[string]any{"from": from, "to": r.ID})); err != nil {
		return err
	}
	return s.changed(ctx, tx, Change{r.RegistrationID, ChangedCredential, from, r.ID})
}

// Undo goes back to the credential that was in use before: it is tried once, and put
// into use if Microsoft still accepts it. [ErrNoUndo] if there is none that is not
// retired.
func (s *Service) Undo(ctx context.Context, id string) (Credential, error) {
	if err := s.Audit.Allow(ctx, audit.AllTenants, audit.SettingsManage); err != nil {
		return Credential{}, err
	}
	present, err := s.present(ctx, id)
	if err != nil {
		return Credential{}, err
	}
	var before credentialRow
	err = s.DB.Read().NewSelect().Model(&before).ExcludeColumn("secret").Where("r.registration_id = ? AND r.cloud = ? AND r.client_id = ? AND r.state = ? AND r.replaced_at IS NOT NULL", id, s.Cloud.Name, present, Checked).
		OrderExpr("r.replaced_at DESC").Limit(1).Scan(ctx)
	if sqldb.Missing(err) {
		return Credential{}, ErrNoUndo
	}
	if err != nil {
		return Credential{}, fmt.Errorf("looking for the credential before: %w", err)
	}
	return s.begin(ctx, id, before.ID, CheckRequest{Switch: true}, 1)
}
