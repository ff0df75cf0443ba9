package tenant

import (
	"context"
	"fmt"
	"time"

	"gatehouse/internal/audit"
	"gatehouse/internal/jobs"
	"gatehouse/internal/schedule"
	"gatehouse/internal/sqldb"
)

// refreshAtOnce is how many snapshots are begun in a minute at most, so that what
// was missed is made up for without a burst.
const refreshAtOnce = 20

// Refreshes begins the snapshots whose time has come, by the schedule of each
// tenant. It is called every minute by one replica, after a start as well; tenants
// that are paused, or whose reader does not work, are left out.
func (s *Service) Refreshes(ctx context.Context, of func(tenantID string) schedule.Schedule) error {
	ctx = audit.AsSystem(ctx, "schedule")
	now := s.time()
	var rows []struct {
		ID, Name  string
		RefreshAt *time.Time
	}
	err := s.DB.Read().NewSelect().TableExpr("readers AS r").ColumnExpr("t.id AS id, t.name AS name, r.refresh_at AS refresh_at").Join("JOIN tenants AS t ON t.id = r.tenant_id").
		Where("r.state = ? AND NOT t.paused AND (r.refresh_at IS NULL OR r.refresh_at <= ?)", ReaderWorks, now).OrderExpr("r.refresh_at IS NULL, r.refresh_at, t.id").Limit(refreshAtOnce).Scan(ctx, &rows)
	if err != nil {
		return fmt.Errorf("reading which snapshots are due: %w", err)
	}
	for _, r := range rows {
		next := of(r.ID).Next(r.ID, now)
		if next.IsZero() { // switched off: looked at again in a day
			next = now.Add(24 * time.Hour)
		}
		err := s.DB.Change(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
			q := tx.NewUpdate().TableExpr("readers").Set("refresh_at = ?", next).Where("tenant_id = ?", r.ID)
			if r.RefreshAt == nil {
				q.Where("refresh_at IS NULL")
			} else {
				q.Where("refresh_at = ?", r.RefreshAt.UTC())
			}
			done, err := q.Exec(ctx)
			if err != nil {
				return fmt.Errorf("planning a snapshot: %w", err)
			}
			if n, err := done.RowsAffected(); err != nil || n == 0 || r.RefreshAt == nil || of(r.ID).Off() {
				return err // another was first, or it was only to be planned
			}
			if err := s.Audit.Act(ctx, tx, audit.Entry{Permission: audit.PostureRefresh, TenantID: r.ID, Action: "snapshot.requested", ObjectKind: "tenant", ObjectID: r.ID, ObjectName: r.Name}); err != nil {
				return err
			}
			_, err = s.refresh.Add(ctx, tx, refreshArgs{r.ID}, jobs.Options{Tenant: r.ID})
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}
