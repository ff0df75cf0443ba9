package campaign

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/uptrace/bun"

	"gatehouse/internal/audit"
	"gatehouse/internal/fault"
	"gatehouse/internal/secrets"
	"gatehouse/internal/sqldb"
)

// remindAtOnce is how many people are read at once who are due.
const remindAtOnce = 200

// due are those of a campaign whose reminder is due. Whose tenant lacks consent could
// not sign in: they wait for the administrator.
func (s *Service) due(db bun.IDB, id string, now time.Time) *bun.SelectQuery {
	return db.NewSelect().TableExpr("campaign_people AS p").Join("JOIN campaign_tenants AS t ON t.campaign_id = p.campaign_id AND t.tenant_id = p.tenant_id").
		Where("p.campaign_id = ? AND p.remind_at <= ? AND p.state <> ?", id, now, SignedIn).Where("t.consent NOT IN (?)", bun.List([]ConsentState{ConsentMissing, ConsentAsked}))
}

// remind writes to everybody of a running campaign whose reminder is due.
func (s *Service) remind(ctx context.Context, id string) error {
	if !s.HasMail() {
		return nil
	}
	for ctx.Err() == nil {
		r, err := find(ctx, s.DB.Read(), id)
		if err != nil || r.State != Running {
			return err
		}
		var ids []string
		if err := s.due(s.DB.Read(), id, s.time()).ColumnExpr("p.id").OrderExpr("p.remind_at, p.id").Limit(remindAtOnce).Scan(ctx, &ids); err != nil {
			return fmt.Errorf("looking whom to remind: %w", err)
		}
		for _, one := range ids {
			if err := s.remindOne(ctx, r, one); err != nil {
				return err
			}
		}
		if len(ids) < remindAtOnce {
			return nil
		}
	}
	return context.Cause(ctx)
}

// remindOne claims a reminder before it makes the link, so that nobody gets two, then
// queues the letter. What keeps it from being sent is noted with the person.
func (s *Service) remindOne(ctx context.Context, r *row, personID string) error {
	p, err := s.claim(ctx, r, personID)
	if err != nil || p == nil {
		return err
	}
	set := r.campaign()
	to := p.Email
	if to == "" && r.MailUsernames {
		to = p.Username
	}
	if !address(to) {
		return s.unsent(ctx, p, "no mail address is known: add one, or hand out the link")
	}
	link, until := secrets.New(r.SignInURL), time.Time{}
	if p.ConnectionID != "" {
		if link, until, err = s.Link(ctx, p.ConnectionID, r.ID, p.Username, why(set)); err != nil {
			return s.unsent(ctx, p, "no link could be made: "+err.Error())
		}
	}
	subject, text := Letter(set, p.person())
	return s.DB.Change(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		if _, err := lock(ctx, tx, r.ID, p.TenantID); err != nil {
			return err
		}
		if err := s.Mail(ctx, tx, to, p.Name, subject, text, link, until); err != nil {
			return err
		}
		return s.asked(ctx, tx, r, p)
	})
}

// claim takes a reminder that is still due, and gives whom as they were before; nil if
// it is not.
func (s *Service) claim(ctx context.Context, r *row, personID string) (p *personRow, err error) {
	err = s.DB.Change(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		now := s.time()
		next := r.campaign().Next(*r.StartedAt, now)
		if !r.Remind {
			next = nil
		}
		if p, err = findPerson(ctx, tx, r.ID, personID); err != nil {
			return err
		}
		mine, err := changedOne(tx.NewRaw("UPDATE campaign_people SET remind_at = ?, reminded_at = ?, mail_reason = '' WHERE campaign_id = ? AND id = ? AND remind_at <= ? AND state <> ?", next, now, r.ID, personID, now, SignedIn).Exec(ctx))
		if !mine {
			p = nil // done, or reminded by another replica
		}
		return err
	})
	return p, err
}

func (s *Service) unsent(ctx context.Context, p *personRow, reason string) error {
	return s.DB.Change(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		_, err := tx.NewRaw("UPDATE campaign_people SET mail_reason = ?, reminded_at = ? WHERE campaign_id = ? AND id = ?", clip(reason, maxReason), p.RemindedAt, p.CampaignID, p.ID).Exec(ctx)
		if err != nil {
			return fmt.Errorf("noting why a reminder was not sent: %w", err)
		}
		return nil
	})
}

// asked notes that somebody was asked to sign in. The caller holds the lock.
func (s *Service) asked(ctx context.Context, tx *sqldb.Tx, r *row, p *personRow) error {
	now := s.time()
	if _, err := tx.NewRaw("UPDATE campaign_people SET reminders = reminders + 1, reminded_at = ? WHERE campaign_id = ? AND id = ?", now, r.ID, p.ID).Exec(ctx); err != nil {
		return fmt.Errorf("noting a reminder: %w", err)
	}
	first, err := changedOne(tx.NewRaw("UPDATE campaign_people SET state = ?, changed_at = ? WHERE campaign_id = ? AND id = ? AND state = ?", Reminded, now, r.ID, p.ID, Pending).Exec(ctx))
	if err != nil || !first {
		return err
	}
	return s.changed(ctx, tx, r, p.TenantID)
}

// address reports whether a text can be a mail address.
func address(text string) bool {
	name, domain, found := strings.Cut(text, "@")
	return found && name != "" && strings.Contains(domain, ".") && !strings.ContainsAny(text, " ,;<>\"\r\n\t") && !strings.Contains(domain, "@") && len(text) <= 254
}

// Selection are the people whom somebody chooses: by id, or else by a filter.
type Selection struct {
	IDs    []string
	Filter PersonFilter
}

// mostChosen is how many people are chosen by id at most.
const mostChosen = 1000

// Reminding says what asking people to be reminded came to.
type Reminding struct {
	Due       int // are reminded within a minute
	Today     int // were already, within the last day
	NoConsent int // wait for their tenant's administrator
	Finished  int // have signed in
}

// Remind has people reminded now who have not signed in, whatever the schedule, but
// nobody twice within a day: of the tenants in which the actor may manage
// connections.
func (s *Service) Remind(ctx context.Context, id string, sel Selection) (out Reminding, err error) {
	if len(sel.IDs) > mostChosen {
		return out, fault.Of("people", "are too many", fmt.Sprintf("name at most %d, or choose a tenant", mostChosen))
	}
	if _, err := s.Get(ctx, id); err != nil {
		return out, err
	}
	err = s.DB.Change(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		r, err := find(ctx, tx, id)
		if err != nil {
			return err
		}
		tenants, err := s.chosenTenants(ctx, tx, id, sel)
		if err != nil {
			return err
		}
		if r.State != Running {
			return ErrState
		}
		if !s.HasMail() {
			return ErrNoMail
		}
		out = Reminding{}
		for _, t := range tenants {
			if err := s.remindTenant(ctx, tx, r, t, sel, &out); err != nil {
				return err
			}
		}
		return nil
	})
	return out, err
}

// chosenTenants are the tenants of a selection in which the actor may manage
// connections; if there are others only, that is refused.
func (s *Service) chosenTenants(ctx context.Context, tx *sqldb.Tx, id string, sel Selection) ([]string, error) {
	var all []string
	q := tx.NewSelect().TableExpr("campaign_people AS p").ColumnExpr("DISTINCT p.tenant_id").Where("p.campaign_id = ?", id)
	if err := sel.apply(q); err != nil {
		return nil, err
	}
	view, err := audit.Tenants(ctx, audit.ConnectionView)
	if err != nil {
		return nil, err
	}
	if err := view.Filter(q, "p.tenant_id").OrderExpr("p.tenant_id").Scan(ctx, &all); err != nil {
		return nil, fmt.Errorf("reading who is chosen: %w", err)
	}
	scope, err := audit.Tenants(ctx, audit.ConnectionManage)
	if err != nil {
		return nil, err
	}
	var mine []string
	for _, t := range all {
		if scope.Has(t) {
			mine = append(mine, t)
		}
	}
	if len(mine) > 0 {
		return mine, nil
	}
	// Nobody was chosen of whom the actor may remind: are there any at all?
	var others []string
	if err := tx.NewSelect().TableExpr("campaign_people").ColumnExpr("DISTINCT tenant_id").Where("campaign_id = ?", id).OrderExpr("tenant_id").Scan(ctx, &others); err != nil {
		return nil, fmt.Errorf("reading who is chosen: %w", err)
	}
	if len(others) > 0 && !slices.ContainsFunc(others, scope.Has) {
		return nil, s.Audit.Allow(ctx, others[0], audit.ConnectionManage)
	}
	return nil, nil
}

func (sel Selection) apply(q *bun.SelectQuery) error {
	if len(sel.IDs) > 0 {
		q.Where("p.id IN (?)", bun.List(sel.IDs))
		return nil
	}
	return sel.Filter.apply(q)
}

// day is how long nobody is reminded again.
const day = 24 * time.Hour

func (s *Service) remindTenant(ctx context.Context, tx *sqldb.Tx, r *row, tenantID string, sel Selection, out *Reminding) error {
	if _, err := lock(ctx, tx, r.ID, tenantID); err != nil {
		return err
	}
	var consent ConsentState
	if err := tx.NewRaw("SELECT consent FROM campaign_tenants WHERE campaign_id = ? AND tenant_id = ?", r.ID, tenantID).Scan(ctx, &consent); err != nil {
		return fmt.Errorf("reading a tenant's consent: %w", err)
	}
	var chosen []struct {
		ID         string
		State      PersonState
		RemindedAt *time.Time
	}
	q := tx.NewSelect().TableExpr("campaign_people AS p").ColumnExpr("p.id, p.state, p.reminded_at").Where("p.campaign_id = ? AND p.tenant_id = ?", r.ID, tenantID)
	if err := sel.apply(q); err != nil {
		return err
	}
	if err := q.Scan(ctx, &chosen); err != nil && !sqldb.Missing(err) {
		return fmt.Errorf("reading who is chosen: %w", err)
	}
	now := s.time()
	var ids []string
	for _, p := range chosen {
		switch {
		case p.State == SignedIn:
			out.Finished++
		case lacks(consent):
			out.NoConsent++
		case p.RemindedAt != nil && now.Sub(*p.RemindedAt) < day:
			out.Today++
		default:
			ids = append(ids, p.ID)
		}
	}
	out.Due += len(ids)
	if len(ids) == 0 {
		return nil
	}
	if err := s.Audit.Act(ctx, tx, r.entry(tenantID, "campaign.reminded", map[string]any{"people": len(ids)})); err != nil {
		return err
	}
	if _, err := tx.NewRaw("UPDATE campaign_people SET remind_at = ? WHERE campaign_id = ? AND tenant_id = ? AND id IN (?)", now, r.ID, tenantID, bun.List(ids)).Exec(ctx); err != nil {
		return fmt.Errorf("having people reminded: %w", err)
	}
	return nil
}
