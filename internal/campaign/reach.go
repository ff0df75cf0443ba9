package campaign

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"gatehouse/internal/sqldb"
)

// joining are the delegated connections of a campaign's registration that it does
// not reach yet, leaving the people whose connection is gone.
const (
	joining = `FROM connections AS c JOIN campaigns AS k ON k.id = ? WHERE c.registration_id = k.registration_id AND k.registration_id <> '' AND c.kind = 'delegated'
		AND NOT EXISTS (SELECT 1 FROM campaign_people AS p WHERE p.campaign_id = k.id AND p.id = c.id)`
	leaving = `FROM campaign_people WHERE campaign_id = ? AND connection_id <> '' AND NOT EXISTS (SELECT 1 FROM connections AS c WHERE c.id = campaign_people.connection_id)`
)

// follow computes the reach of a campaign anew: who has a connection of the
// registration joins, and whose connection was removed leaves.
func (s *Service) follow(ctx context.Context, id string) error {
	r, err := find(ctx, s.DB.Read(), id)
	if errors.Is(err, ErrMissing) || err == nil && !r.State.open() {
		return nil
	}
	if err != nil {
		return err
	}
	if r.RegistrationID != "" && (r.RegistrationName == "" || r.ClientID == "") {
		if err := s.name(ctx, r); err != nil {
			return err
		}
	}
	var moved bool
	if err := s.DB.Read().NewRaw("SELECT EXISTS (SELECT 1 "+joining+") OR EXISTS (SELECT 1 "+leaving+")", id, id).Scan(ctx, &moved); err != nil {
		return fmt.Errorf("looking whom a campaign reaches: %w", err)
	}
	if !moved {
		return nil
	}
	return s.DB.Change(ctx, func(ctx context.Context, tx *sqldb.Tx) error { return s.move(ctx, tx, id) })
}

// move lets people join and leave.
func (s *Service) move(ctx context.Context, tx *sqldb.Tx, id string) error {
	r, err := find(ctx, tx, id)
	if err != nil {
		return err
	}
	if err := s.join(ctx, tx, r, ""); err != nil {
		return err
	}
	if _, err := lock(ctx, tx, id, ""); err != nil {
		return err
	}
	if _, err := tx.NewRaw("DELETE "+leaving, id).Exec(ctx); err != nil {
		return fmt.Errorf("letting people leave a campaign: %w", err)
	}
	if err := recount(ctx, tx, id, ""); err != nil {
		return err
	}
	// Those who watch a tenant that leaves hear of it, too.
	if err := s.announceAll(ctx, tx, id); err != nil {
		return err
	}
	if _, err := tx.NewRaw("DELETE FROM campaign_tenants WHERE campaign_id = ? AND added = ? AND people = 0", id, false).Exec(ctx); err != nil {
		return fmt.Errorf("letting tenants leave a campaign: %w", err)
	}
	return s.settle(ctx, tx, r)
}

// join lets the connections of the registration join, or one of them.
func (s *Service) join(ctx context.Context, tx *sqldb.Tx, r *row, connectionID string) error {
	now := s.time()
	one, args := "", []any{}
	if connectionID != "" {
		one, args = " AND c.id = ?", []any{connectionID}
	}
	consent := ConsentUnknown
	if !r.campaign().Consents() {
		consent = ConsentNotNeeded
	}
	if _, err := tx.NewRaw(`INSERT INTO campaign_tenants (campaign_id, tenant_id, added, consent, consent_why, people, pending, reminded, done, failed, on_old, worst)
		SELECT DISTINCT k.id, c.tenant_id, ?, ?, '', 0, 0, 0, 0, 0, 0, 0 `+joining+one+` ON CONFLICT (campaign_id, tenant_id) DO NOTHING`,
		append([]any{false, consent, r.ID}, args...)...).Exec(ctx); err != nil {
		return fmt.Errorf("letting tenants join a campaign: %w", err)
	}
	// Who is on the new app already has done what is asked; nobody signed in where
	// there is no object id.
	_, err := tx.NewRaw(`INSERT INTO campaign_people (campaign_id, id, tenant_id, connection_id, person_key, username, object_id, name, email, client_id, state, reason, changed_at, joined_at, reminders, remind_at, mail_reason, search)
		SELECT k.id, c.id, c.tenant_id, c.id, c.id, c.username, c.object_id, c.name, '', CASE WHEN c.object_id = '' THEN '' ELSE c.client_id END,
			CASE WHEN k.reason = 'client_id' AND k.client_id <> '' AND c.object_id <> '' AND c.client_id = k.client_id THEN 'done' ELSE 'pending' END,
			'', ?, ?, 0, ?, '', lower(c.username || '`+"\n"+`' || c.name || '`+"\n"+`' || c.object_id) `+joining+one+` ON CONFLICT DO NOTHING`,
		append([]any{now, now, s.firstReminder(r, now), r.ID}, args...)...).Exec(ctx)
	if err != nil {
		return fmt.Errorf("letting people join a campaign: %w", err)
	}
	return nil
}

// name notes what the registration is called and its client id, where that is not
// known yet.
func (s *Service) name(ctx context.Context, r *row) error {
	all, err := s.Registrations(ctx)
	if err != nil {
		return err
	}
	i := slices.IndexFunc(all, func(one Registration) bool { return one.ID == r.RegistrationID })
	if i < 0 {
		return nil // it was removed meanwhile
	}
	return s.DB.Change(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		_, err := tx.NewRaw("UPDATE campaigns SET registration_name = ?, client_id = CASE WHEN client_id = '' THEN ? ELSE client_id END WHERE id = ?", all[i].Name, all[i].ClientID, r.ID).Exec(ctx)
		if err != nil {
			return fmt.Errorf("naming a campaign: %w", err)
		}
		return nil
	})
}
