package campaign

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/uptrace/bun"

	"gatehouse/internal/audit"
	"gatehouse/internal/diagnosis"
	"gatehouse/internal/jobs"
	"gatehouse/internal/sqldb"
)

// connectionOf is what is read of a connection whose person signed in.
type connectionOf struct{ ID, TenantID, RegistrationID, ClientID, Username, ObjectID string }

// SignedIn notes that the person of a connection signed in, or tried to: err says
// why it failed. It counts in all open campaigns of the registration, with or
// without a link of one. Call it after the connection knows by which app its person
// signed in, in the transaction that keeps what they earned. It asks for no
// permission.
func (s *Service) SignedIn(ctx context.Context, tx *sqldb.Tx, connectionID, _, username string, failure error) error {
	var c connectionOf
	err := tx.NewRaw("SELECT id, tenant_id, registration_id, client_id, username, object_id FROM connections WHERE id = ? AND kind = 'delegated'", connectionID).Scan(ctx, &c)
	if sqldb.Missing(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("reading whose sign-in it was: %w", err)
	}
	if username != "" {
		c.Username = username
	}
	var open []row
	if err := tx.NewSelect().Model(&open).Where("registration_id = ?", c.RegistrationID).Where("state IN (?)", bun.List([]State{Draft, Running, Paused})).OrderExpr("id").Scan(ctx); err != nil {
		return fmt.Errorf("looking for campaigns: %w", err)
	}
	for _, r := range open {
		if err := s.signedIn(ctx, tx, &r, c, failure); err != nil {
			return err
		}
	}
	return nil
}

func (s *Service) signedIn(ctx context.Context, tx *sqldb.Tx, r *row, c connectionOf, failure error) error {
	if err := s.join(ctx, tx, r, c.ID); err != nil { // it may be newer than the last look
		return err
	}
	if _, err := lock(ctx, tx, r.ID, c.TenantID); err != nil {
		return err
	}
	p, err := findPerson(ctx, tx, r.ID, c.ID)
	if errors.Is(err, ErrMissing) {
		return nil
	}
	if err != nil {
		return err
	}
	p.Username = c.Username
	if c.ObjectID != "" {
		p.ObjectID = c.ObjectID
	}
	if failure == nil {
		p.ClientID = c.ClientID
	}
	p.index()
	// A sign-in to the old app, which goes on working, is not what is asked for.
	there := r.Reason != NewClientID || r.ClientID == "" || c.ClientID == r.ClientID
	switch {
	case failure == nil && there:
		s.state(p, SignedIn, "")
	case failure != nil && p.State != SignedIn:
		s.state(p, Failed, said(failure))
	}
	if _, err := tx.NewUpdate().Model(p).WherePK().Exec(ctx); err != nil {
		return fmt.Errorf("noting a sign-in: %w", err)
	}
	return s.changed(ctx, tx, r, p.TenantID)
}

// state moves somebody to a state; who is done is reminded no more.
func (s *Service) state(p *personRow, to PersonState, reason string) {
	if p.State != to || p.Reason != reason {
		p.State, p.Reason, p.ChangedAt = to, reason, s.time()
	}
	if to == SignedIn {
		p.RemindAt = nil
	}
}

// changed counts anew what a change of people in a tenant comes to, and tells it.
func (s *Service) changed(ctx context.Context, tx *sqldb.Tx, r *row, tenantID string) error {
	if err := recount(ctx, tx, r.ID, tenantID); err != nil {
		return err
	}
	if err := s.announce(ctx, tx, r.ID, tenantID); err != nil {
		return err
	}
	return s.settle(ctx, tx, r)
}

// maxReason bounds what is kept of a diagnosis, in bytes.
const maxReason = 500

// said is an error as a diagnosis in one line.
func said(err error) string {
	d := diagnosis.Of(err, diagnosis.Facts{})
	text := d.Title
	if d.Code != nil {
		text += " (" + *d.Code + ")"
	}
	return clip(text, maxReason)
}

// clip makes one bounded line that both databases can hold.
func clip(text string, most int) string {
	text = strings.Join(strings.Fields(strings.ReplaceAll(strings.ToValidUTF8(text, "\uFFFD"), "\x00", "\uFFFD")), " ")
	if len(text) > most {
		text = strings.ToValidUTF8(text[:most], "") + "…"
	}
	return text
}

// Granted notes that a tenant's administrator consented. What was granted is read
// back soon afterwards; until then it is approved and not read. It asks for no
// permission.
func (s *Service) Granted(ctx context.Context, tx *sqldb.Tx, tenantID, registrationID string) error {
	var open []row
	err := tx.NewSelect().Model(&open).Where("registration_id = ?", registrationID).Where("state IN (?)", bun.List([]State{Draft, Running, Paused})).
		Where("EXISTS (SELECT 1 FROM campaign_tenants AS t WHERE t.campaign_id = k.id AND t.tenant_id = ?)", tenantID).OrderExpr("id").Scan(ctx)
	if err != nil {
		return fmt.Errorf("looking for campaigns: %w", err)
	}
	for _, r := range open {
		if !r.campaign().Consents() {
			continue
		}
		if err := s.consented(ctx, tx, &r, tenantID, "", ConsentNotRead, ""); err != nil {
			return err
		}
		// The next look reads it back.
		if _, err := tx.NewRaw("UPDATE campaign_tenants SET consent_at = NULL WHERE campaign_id = ? AND tenant_id = ?", r.ID, tenantID).Exec(ctx); err != nil {
			return fmt.Errorf("noting a consent: %w", err)
		}
	}
	return nil
}

// consented notes what is known of a tenant's consent, unless it is not any more as
// it was when that was looked for; "" is any. Where it was what kept people from
// signing in, they are asked soon.
func (s *Service) consented(ctx context.Context, tx *sqldb.Tx, r *row, tenantID string, was, state ConsentState, why string) error {
	if n, err := lock(ctx, tx, r.ID, tenantID); err != nil || n == 0 {
		return err
	}
	now := s.time()
	var before ConsentState
	if err := tx.NewRaw("SELECT consent FROM campaign_tenants WHERE campaign_id = ? AND tenant_id = ?", r.ID, tenantID).Scan(ctx, &before); err != nil {
		return fmt.Errorf("reading a tenant's consent: %w", err)
	}
	if was != "" && before != was {
		return nil // somebody consented, or was asked to, meanwhile
	}
	if state == ConsentMissing && before == ConsentAsked {
		state = ConsentAsked
	}
	if _, err := tx.NewRaw("UPDATE campaign_tenants SET consent = ?, consent_why = ?, consent_at = ? WHERE campaign_id = ? AND tenant_id = ?", state, clip(why, maxReason), now, r.ID, tenantID).Exec(ctx); err != nil {
		return fmt.Errorf("noting a tenant's consent: %w", err)
	}
	if before == state {
		return nil
	}
	if !lacks(state) && lacks(before) && r.State == Running {
		if _, err := tx.NewRaw("UPDATE campaign_people SET remind_at = ? WHERE campaign_id = ? AND tenant_id = ? AND state <> ? AND remind_at IS NOT NULL AND reminded_at IS NULL", s.firstReminder(r, now), r.ID, tenantID, SignedIn).Exec(ctx); err != nil {
			return fmt.Errorf("asking the people of a tenant: %w", err)
		}
	}
	return s.changed(ctx, tx, r, tenantID)
}

// lacks reports whether people cannot sign in for want of consent.
func lacks(c ConsentState) bool { return c == ConsentMissing || c == ConsentAsked }

// Changed is told that an app registration changed. A draft is made, which an
// operator starts or discards; the open campaign to an app that was replaced once
// more follows to the new one instead. It asks for no permission.
func (s *Service) Changed(ctx context.Context, tx *sqldb.Tx, c Change) error {
	reason := Reason(c.What)
	if reason != NewClientID && reason != NewManifest && reason != NewCredential {
		return fmt.Errorf("making a campaign: %.40q is no change that asks for one", c.What)
	}
	if reason == NewCredential && c.Old == "" {
		return nil // it replaced none: nobody has signed in by it
	}
	ctx = audit.AsSystem(ctx, "campaign")
	if reason == NewClientID {
		if followed, err := s.moveOn(ctx, tx, c); err != nil || followed {
			return err
		}
	} else if reached, err := s.reaches(ctx, tx, c.RegistrationID); err != nil || !reached {
		return err // nobody signs in through it here
	}
	r, err := s.proposal(ctx, tx, c, reason)
	if err != nil {
		return err
	}
	if _, err := s.reach.Add(ctx, tx, reachArgs{r.ID}, jobs.Options{}); err != nil {
		return err
	}
	if err := s.announce(ctx, tx, r.ID); err != nil {
		return err
	}
	return s.tell(ctx, tx, r, Proposed)
}

func (s *Service) reaches(ctx context.Context, tx *sqldb.Tx, registrationID string) (found bool, err error) {
	if err := tx.NewRaw("SELECT EXISTS (SELECT 1 FROM connections WHERE registration_id = ?)", registrationID).Scan(ctx, &found); err != nil {
		return false, fmt.Errorf("looking whom a registration serves: %w", err)
	}
	return found, nil
}

// moveOn points the started campaigns to a registration's app at the newest one: who
// signed in to the one in between has to once more.
func (s *Service) moveOn(ctx context.Context, tx *sqldb.Tx, c Change) (bool, error) {
	var open []row
	err := tx.NewSelect().Model(&open).Where("registration_id = ? AND reason = ?", c.RegistrationID, NewClientID).Where("state IN (?)", bun.List([]State{Running, Paused})).OrderExpr("id").Scan(ctx)
	if err != nil {
		return false, fmt.Errorf("looking for campaigns: %w", err)
	}
	for _, r := range open {
		if err := s.Audit.Act(ctx, tx, r.entry(audit.AllTenants, "campaign.moved_on", map[string]any{"from": r.NewValue, "to": c.New})); err != nil {
			return false, err
		}
		if _, err := lock(ctx, tx, r.ID, ""); err != nil {
			return false, err
		}
		now := s.time()
		if _, err := tx.NewRaw("UPDATE campaigns SET new_value = ?, client_id = ?, told = 0, version = version + 1 WHERE id = ?", c.New, c.New, r.ID).Exec(ctx); err != nil {
			return false, fmt.Errorf("moving a campaign on: %w", err)
		}
		if _, err := tx.NewRaw("UPDATE campaign_people SET state = ?, changed_at = ?, remind_at = ? WHERE campaign_id = ? AND state = ? AND client_id <> ?", Pending, now, s.firstReminder(&r, now), r.ID, SignedIn, c.New).Exec(ctx); err != nil {
			return false, fmt.Errorf("moving a campaign on: %w", err)
		}
		// Nobody has consented to the newest app.
		if _, err := tx.NewRaw("UPDATE campaign_tenants SET consent = ?, consent_at = NULL, asked_at = NULL WHERE campaign_id = ?", ConsentUnknown, r.ID).Exec(ctx); err != nil {
			return false, fmt.Errorf("moving a campaign on: %w", err)
		}
		if err := recount(ctx, tx, r.ID, ""); err != nil {
			return false, err
		}
		if err := s.announceAll(ctx, tx, r.ID); err != nil {
			return false, err
		}
	}
	return len(open) > 0, nil
}

// proposal makes a draft, or brings the one that nobody has looked at yet up to date.
func (s *Service) proposal(ctx context.Context, tx *sqldb.Tx, c Change, reason Reason) (*row, error) {
	var r row
	err := tx.NewSelect().Model(&r).Where("registration_id = ? AND state = ? AND started_by = '' AND reason = ?", c.RegistrationID, Draft, reason).OrderExpr("id DESC").Limit(1).Scan(ctx)
	if err != nil && !sqldb.Missing(err) {
		return nil, fmt.Errorf("looking for campaigns: %w", err)
	}
	fresh := sqldb.Missing(err)
	if fresh {
		now := s.time()
		r = row{ID: newID(), Reason: reason, RegistrationID: c.RegistrationID, State: Draft, OldValue: c.Old, Since: now, CreatedAt: now, Version: 1}
		r.Name = proposedName[reason] + now.Format(", 2 January 2006")
		if err := r.put(Defaults()); err != nil {
			return nil, err
		}
	}
	r.NewValue = c.New
	if reason == NewClientID {
		r.ClientID = c.New
	}
	if err := s.Audit.Act(ctx, tx, r.entry(audit.AllTenants, "campaign.proposed", map[string]any{"registration": c.RegistrationID, "what": c.What})); err != nil {
		return nil, err
	}
	if fresh {
		_, err = tx.NewInsert().Model(&r).Exec(ctx)
	} else {
		_, err = tx.NewUpdate().Model(&r).WherePK().Exec(ctx)
	}
	if err != nil {
		return nil, fmt.Errorf("proposing a campaign: %w", err)
	}
	return &r, nil
}

var proposedName = map[Reason]string{NewClientID: "New app id", NewManifest: "New permissions", NewCredential: "New credential"}
