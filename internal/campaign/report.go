package campaign

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"gatehouse/internal/audit"
	"gatehouse/internal/fault"
	"gatehouse/internal/sqldb"
)

// MaxReports is how many sign-ins are reported at once.
const MaxReports = 1000

// SignIn is a sign-in that an app reports which keeps its own tokens.
type SignIn struct {
	Tenant   string // name, domain, directory id or id
	Person   string // user name or object id
	ClientID string // of the app that they signed in to
	Failed   bool
	Reason   string // of a failure
	At       time.Time
}

// BadSignIn is a report that did not count.
type BadSignIn struct {
	Index   int // in the list, from 0
	Field   string
	Problem string
	Way     string
}

// Reported says what reports came to.
type Reported struct {
	Done      int // signed in to the new app
	OnOld     int // signed in to the old one, which does not count
	Failed    int
	Unchanged int // was known
	Bad       []BadSignIn
}

// early is how far a caller's clock may be ahead.
const early = 5 * time.Minute

// Report notes the sign-ins of people whose app keeps its own tokens. Each counts by
// itself: what is wrong with one keeps no other from counting. A report that was made
// already changes nothing.
func (s *Service) Report(ctx context.Context, id string, all []SignIn) (Reported, error) {
	if len(all) > MaxReports {
		return Reported{}, fault.Of("sign_ins", "are too many", fmt.Sprintf("report at most %d at once", MaxReports))
	}
	r, err := find(ctx, s.DB.Read(), id)
	if err != nil {
		return Reported{}, err
	}
	if err := s.mayReport(ctx, r); err != nil {
		return Reported{}, err
	}
	names, err := s.names(ctx, audit.CampaignReport)
	if err != nil {
		return Reported{}, err
	}
	var out Reported
	err = s.DB.Change(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		out = Reported{Bad: []BadSignIn{}}
		r, err := find(ctx, tx, id)
		if err != nil {
			return err
		}
		if !r.State.open() {
			return ErrState
		}
		tenants := map[string][]int{}
		for i, one := range all {
			tenantID, problem, way := names.find(one.Tenant)
			if problem != "" {
				out.Bad = append(out.Bad, BadSignIn{i, "tenant", problem, way})
				continue
			}
			tenants[tenantID] = append(tenants[tenantID], i)
		}
		var changed []string
		for _, t := range slices.Sorted(maps.Keys(tenants)) {
			moved, err := s.reportTenant(ctx, tx, r, t, all, tenants[t], &out)
			if err != nil {
				return err
			}
			if moved {
				changed = append(changed, t)
			}
		}
		if len(changed) == 0 {
			return nil
		}
		if err := s.announce(ctx, tx, r.ID, changed...); err != nil {
			return err
		}
		return s.settle(ctx, tx, r)
	})
	slices.SortFunc(out.Bad, func(a, b BadSignIn) int { return a.Index - b.Index })
	return out, err
}

// mayReport demands the permission in one of the campaign's tenants.
func (s *Service) mayReport(ctx context.Context, r *row) error {
	var tenants []string
	if err := s.DB.Read().NewRaw("SELECT tenant_id FROM campaign_tenants WHERE campaign_id = ? ORDER BY tenant_id", r.ID).Scan(ctx, &tenants); err != nil && !sqldb.Missing(err) {
		return fmt.Errorf("reading the tenants of a campaign: %w", err)
	}
	if slices.ContainsFunc(tenants, func(t string) bool { return audit.May(ctx, t, audit.CampaignReport) }) {
		return nil
	}
	first := audit.AllTenants
	if len(tenants) > 0 {
		first = tenants[0]
	}
	return s.Audit.Allow(ctx, first, audit.CampaignReport)
}

// reportTenant notes the sign-ins in one tenant, and says whether any changed
// something.
func (s *Service) reportTenant(ctx context.Context, tx *sqldb.Tx, r *row, tenantID string, all []SignIn, which []int, out *Reported) (bool, error) {
	if _, err := lock(ctx, tx, r.ID, tenantID); err != nil {
		return false, err
	}
	var people []personRow
	if err := tx.NewSelect().Model(&people).Where("campaign_id = ? AND tenant_id = ? AND connection_id = ''", r.ID, tenantID).Scan(ctx); err != nil {
		return false, fmt.Errorf("reading the people of a tenant: %w", err)
	}
	known := map[string]*personRow{}
	for i := range people {
		for _, k := range keys(&people[i]) {
			known[k] = &people[i]
		}
	}
	before, moved := *out, map[string]*personRow{}
	for _, i := range which {
		p := known[tenantID+"\n"+strings.ToLower(strings.TrimSpace(all[i].Person))]
		if bad := s.wrong(r, p, all[i]); bad.Problem != "" {
			bad.Index = i
			out.Bad = append(out.Bad, bad)
			continue
		}
		if s.take(r, p, all[i], out) {
			moved[p.ID] = p
		}
	}
	if len(moved) == 0 {
		return false, nil
	}
	e := r.entry(tenantID, "campaign.sign_ins_reported", map[string]any{"done": out.Done - before.Done, "failed": out.Failed - before.Failed, "on_old": out.OnOld - before.OnOld})
	e.Permission = audit.CampaignReport
	if err := s.Audit.Act(ctx, tx, e); err != nil {
		return false, err
	}
	for _, id := range slices.Sorted(maps.Keys(moved)) {
		if _, err := tx.NewUpdate().Model(moved[id]).Column("client_id", "state", "reason", "changed_at", "remind_at").WherePK().Exec(ctx); err != nil {
			return false, fmt.Errorf("noting a reported sign-in: %w", err)
		}
	}
	return true, recount(ctx, tx, r.ID, tenantID)
}

// wrong is what is wrong with a report.
func (s *Service) wrong(r *row, p *personRow, one SignIn) BadSignIn {
	switch {
	case p == nil:
		return BadSignIn{Field: "person", Problem: "is not among those whose app keeps its own tokens", Way: "add the person to the campaign first"}
	case one.At.IsZero() || one.At.Before(r.Since):
		return BadSignIn{Field: "at", Problem: "is before the campaign began", Way: "report sign-ins since " + r.Since.UTC().Format(time.RFC3339)}
	case one.At.After(s.time().Add(early)):
		return BadSignIn{Field: "at", Problem: "is in the future", Way: "set the clock right, and write the time in UTC or with its offset"}
	case r.ClientID != "" && one.ClientID != r.ClientID && !r.old(one.ClientID):
		return BadSignIn{Field: "client_id", Problem: "is not the app of the campaign", Way: "report sign-ins to " + r.ClientID}
	}
	return BadSignIn{}
}

// old reports whether a client id is that of the app that is being replaced.
func (r *row) old(clientID string) bool {
	return r.Reason == NewClientID && r.OldValue != "" && clientID == r.OldValue
}

// take applies a report and says whether it changed anything. Who is done stays done:
// a late report of the old app, or of an earlier failure, takes nothing back.
func (s *Service) take(r *row, p *personRow, one SignIn, out *Reported) bool {
	at := one.At.UTC().Truncate(time.Microsecond)
	reason := clip(one.Reason, maxReason)
	switch {
	case p.State == SignedIn:
		out.Unchanged++
		return false
	case one.Failed:
		if p.State == Failed && (!at.After(p.ChangedAt) || reason == p.Reason) {
			out.Unchanged++
			return false
		}
		p.State, p.Reason, p.ChangedAt = Failed, reason, at
		out.Failed++
	case r.old(one.ClientID):
		if p.ClientID == one.ClientID {
			out.Unchanged++
			return false
		}
		p.ClientID = one.ClientID
		out.OnOld++
	default:
		p.State, p.Reason, p.ChangedAt, p.ClientID, p.RemindAt = SignedIn, "", at, one.ClientID, nil
		out.Done++
	}
	return true
}
