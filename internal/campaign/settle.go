package campaign

import (
	"context"
	"fmt"

	"github.com/uptrace/bun"

	"gatehouse/internal/audit"
	"gatehouse/internal/sqldb"
)

// sums are the counts of a campaign over tenants.
type sums struct {
	CampaignID                                                               string
	People, Pending, Reminded, Done, Failed, OnOld, Tenants, TenantsDone, No int64
}

// total counts campaigns over the tenants of a scope.
func total(ctx context.Context, db bun.IDB, scope audit.Scope, ids ...string) (map[string]sums, error) {
	var all []sums
	q := db.NewSelect().TableExpr("campaign_tenants AS t").Where("t.campaign_id IN (?)", bun.List(ids)).GroupExpr("t.campaign_id").
		ColumnExpr("t.campaign_id, sum(t.people) AS people, sum(t.pending) AS pending, sum(t.reminded) AS reminded, sum(t.done) AS done, sum(t.failed) AS failed, sum(t.on_old) AS on_old").
		ColumnExpr("count(*) AS tenants, sum(CASE WHEN t.done = t.people THEN 1 ELSE 0 END) AS tenants_done, sum(CASE WHEN t.consent IN ('missing', 'asked') THEN 1 ELSE 0 END) AS no")
	if err := scope.Filter(q, "t.tenant_id").Scan(ctx, &all); err != nil && !sqldb.Missing(err) {
		return nil, fmt.Errorf("counting campaigns: %w", err)
	}
	out := make(map[string]sums, len(all))
	for _, one := range all {
		out[one.CampaignID] = one
	}
	return out, nil
}

func (c *Campaign) count(n sums) {
	c.Progress = Progress{People: int(n.People), Pending: int(n.Pending), Reminded: int(n.Reminded), Done: int(n.Done), Failed: int(n.Failed), OnOld: int(n.OnOld)}
	c.Tenants, c.TenantsDone, c.NoConsent = int(n.Tenants), int(n.TenantsDone), int(n.No)
}

// settle tells how far a started campaign is, and ends it with the last one: once
// everybody signed in and no tenant is known to lack consent. Of two that commit at
// once neither may see the other; the watch settles it then.
func (s *Service) settle(ctx context.Context, tx *sqldb.Tx, r *row) error {
	if r.State != Running && r.State != Paused {
		return nil
	}
	all, err := total(ctx, tx, audit.Scope{All: true}, r.ID)
	if err != nil {
		return err
	}
	n := all[r.ID]
	if n.People == 0 {
		return nil
	}
	ctx = audit.AsSystem(ctx, "campaign")
	if n.Done == n.People && n.No == 0 {
		return s.complete(ctx, tx, r)
	}
	for _, step := range []struct {
		percent int64
		what    string
	}{{90, Most}, {50, Half}} {
		if n.Done*100 < step.percent*n.People {
			continue
		}
		first, err := changedOne(tx.NewRaw("UPDATE campaigns SET told = ? WHERE id = ? AND told < ?", step.percent, r.ID, step.percent).Exec(ctx))
		if err != nil || !first {
			return err
		}
		return s.tell(ctx, tx, r, step.what)
	}
	return nil
}

func (s *Service) complete(ctx context.Context, tx *sqldb.Tx, r *row) error {
	first, err := changedOne(tx.NewRaw("UPDATE campaigns SET state = ?, ended_at = ?, told = 100, version = version + 1 WHERE id = ? AND state IN (?)", Done, s.time(), r.ID, bun.List([]State{Running, Paused})).Exec(ctx))
	if err != nil || !first {
		return err
	}
	if err := s.Audit.Act(ctx, tx, r.entry(audit.AllTenants, "campaign.done", nil)); err != nil {
		return err
	}
	if err := s.announceAll(ctx, tx, r.ID); err != nil {
		return err
	}
	return s.tell(ctx, tx, r, Complete)
}

// tell tells of a campaign as it stands in the transaction.
func (s *Service) tell(ctx context.Context, tx *sqldb.Tx, r *row, what string) error {
	if s.Tell == nil {
		return nil
	}
	now, err := find(ctx, tx, r.ID)
	if err != nil {
		return err
	}
	all, err := total(ctx, tx, audit.Scope{All: true}, r.ID)
	if err != nil {
		return err
	}
	c := now.campaign()
	c.count(all[r.ID])
	return s.Tell(ctx, tx, News{Campaign: c, What: what, At: s.time()})
}
