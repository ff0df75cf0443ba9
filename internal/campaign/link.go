package campaign

import (
	"context"
	"fmt"
	"time"

	"gatehouse/internal/audit"
	"gatehouse/internal/fault"
	"gatehouse/internal/secrets"
	"gatehouse/internal/sqldb"
)

// Link is an address that is shown once and not kept.
type Link struct {
	URL    secrets.Value
	Until  time.Time
	Person Person // of a sign-in
}

// MaxLinks is how many sign-in links are made at once.
const MaxLinks = 500

// SignInLink makes a single-use link for somebody's sign-in, to be handed out.
func (s *Service) SignInLink(ctx context.Context, id, personID string) (Link, error) {
	var r *row
	var p *personRow
	err := s.DB.Change(ctx, func(ctx context.Context, tx *sqldb.Tx) (err error) {
		if r, p, err = s.mine(ctx, tx, id, personID, "campaign.link_made"); err != nil {
			return err
		}
		switch {
		case r.State == Draft:
			return ErrState
		case p.ConnectionID == "":
			return ErrOwnTokens
		}
		return nil
	})
	if err != nil {
		return Link{}, err
	}
	return s.link(ctx, r, p)
}

// link makes the link and notes that it was handed out.
func (s *Service) link(ctx context.Context, r *row, p *personRow) (Link, error) {
	url, until, err := s.Link(ctx, p.ConnectionID, r.ID, p.Username, why(r.campaign()))
	if err != nil {
		return Link{}, fmt.Errorf("making a sign-in link: %w", err)
	}
	err = s.DB.Change(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		if _, err := lock(ctx, tx, r.ID, p.TenantID); err != nil {
			return err
		}
		return s.asked(ctx, tx, r, p)
	})
	return Link{URL: url, Until: until, Person: p.person()}, err
}

// SignInLinks makes links for all of a tenant who have not signed in, to be handed out
// where no mail is sent: those that have a connection.
func (s *Service) SignInLinks(ctx context.Context, id, tenantID string) ([]Link, error) {
	var r *row
	var rows []personRow
	err := s.DB.Change(ctx, func(ctx context.Context, tx *sqldb.Tx) (err error) {
		if r, err = s.inTenant(ctx, tx, id, tenantID, audit.ConnectionManage, "campaign.links_made"); err != nil {
			return err
		}
		rows = nil
		err = tx.NewSelect().Model(&rows).ColumnExpr("p.*, tn.name AS tenant_name").Join("JOIN tenants AS tn ON tn.id = p.tenant_id").
			Where("p.campaign_id = ? AND p.tenant_id = ? AND p.connection_id <> '' AND p.state <> ?", id, tenantID, SignedIn).OrderExpr("p.username, p.id").Limit(MaxLinks + 1).Scan(ctx)
		if err != nil {
			return fmt.Errorf("reading the people of a tenant: %w", err)
		}
		if len(rows) > MaxLinks {
			return fault.Of("tenant", fmt.Sprintf("has more than %d people who have not signed in", MaxLinks), "make the links one by one, or have reminders sent")
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	out := make([]Link, 0, len(rows))
	for i := range rows {
		l, err := s.link(ctx, r, &rows[i])
		if err != nil {
			return nil, err
		}
		out = append(out, l)
	}
	return out, nil
}

// ConsentLink makes a link for the administrator of a tenant.
func (s *Service) ConsentLink(ctx context.Context, id, tenantID string) (Link, error) {
	var r *row
	err := s.DB.Change(ctx, func(ctx context.Context, tx *sqldb.Tx) (err error) {
		if r, err = s.inTenant(ctx, tx, id, tenantID, audit.ConsentManage, "campaign.consent_asked"); err != nil {
			return err
		}
		if !r.campaign().Consents() {
			return fault.Of("tenant", "needs no consent for this campaign", "ask its people to sign in")
		}
		return nil
	})
	if err != nil {
		return Link{}, err
	}
	url, until, err := s.Consent(ctx, tenantID, r.RegistrationID, why(r.campaign()))
	if err != nil {
		return Link{}, fmt.Errorf("making a consent link: %w", err)
	}
	err = s.DB.Change(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		if _, err := lock(ctx, tx, id, tenantID); err != nil {
			return err
		}
		if _, err := tx.NewRaw("UPDATE campaign_tenants SET asked_at = ?, consent = CASE WHEN consent IN ('missing', 'unknown') THEN 'asked' ELSE consent END WHERE campaign_id = ? AND tenant_id = ?", s.time(), id, tenantID).Exec(ctx); err != nil {
			return fmt.Errorf("noting a consent link: %w", err)
		}
		return s.changed(ctx, tx, r, tenantID)
	})
	return Link{URL: url, Until: until}, err
}

// inTenant loads a started campaign for an act in one of its tenants, and authorises.
func (s *Service) inTenant(ctx context.Context, tx *sqldb.Tx, id, tenantID string, p audit.Permission, action string) (*row, error) {
	r, err := find(ctx, tx, id)
	if err != nil {
		return nil, err
	}
	n, err := lock(ctx, tx, id, tenantID)
	if err == nil && (n == 0 || tenantID == "") {
		err = ErrMissing
	}
	if err != nil {
		return nil, err
	}
	e := r.entry(tenantID, action, nil)
	e.Permission = p
	if err := s.Audit.Act(ctx, tx, e); err != nil {
		return nil, err
	}
	if r.State != Running && r.State != Paused {
		return nil, ErrState
	}
	return r, nil
}
