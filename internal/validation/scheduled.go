package validation

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"

	"gatehouse/internal/audit"
	"gatehouse/internal/connection"
	"gatehouse/internal/jobs"
	"gatehouse/internal/sqldb"
)

// ScheduledBy is who asks for the validations that no person asks for.
const ScheduledBy = "schedule"

// After downtime what was missed is made up for, but not all in a moment: in a
// minute at most so many as are due in catchUp minutes of a usual day, and never
// fewer than leastCatchUp.
const (
	catchUp      = 12
	leastCatchUp = 20
)

// Scheduled begins the validations whose time has come. It is called every minute
// by one replica.
func (r *Runs) Scheduled(ctx context.Context) error {
	ctx = audit.AsSystem(ctx, ScheduledBy)
	if err := r.Connections.Plan(ctx); err != nil {
		return err
	}
	scheduled, err := r.Connections.Scheduled(ctx)
	if err != nil {
		return err
	}
	const minutes = int(24 * time.Hour / time.Minute)
	due, err := r.Connections.Due(ctx, max(leastCatchUp, scheduled*catchUp/minutes))
	if err != nil || len(due) == 0 {
		return err
	}
	schedules, err := r.Connections.Schedules(ctx)
	if err != nil {
		return err
	}
	for _, d := range due {
		if err := r.beginScheduled(ctx, schedules, d); err != nil {
			return err
		}
	}
	return nil
}

// beginScheduled adds the run of a connection that is due, unless one is open or
// another replica was first.
func (r *Runs) beginScheduled(ctx context.Context, schedules connection.Schedules, d connection.Due) error {
	return r.DB.Change(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		mine, err := r.Connections.Take(ctx, tx, schedules, d)
		if err != nil || !mine {
			return err
		}
		open, err := tx.NewSelect().Model((*runRow)(nil)).Where("connection_id = ? AND state IN (?, ?)", d.ID, Queued, Running).Exists(ctx)
		if err != nil || open {
			return err
		}
		row := &runRow{ID: uuid.Must(uuid.NewV7()).String(), ConnectionID: d.ID, TenantID: d.TenantID, State: Queued, RequestedBy: ScheduledBy, CreatedAt: r.time()}
		job, err := r.job.Add(ctx, tx, runArgs{row.ID}, jobs.Options{Tenant: d.TenantID})
		if err != nil {
			return err
		}
		row.JobID = job.ID
		if _, err := tx.NewInsert().Model(row).Exec(ctx); err != nil {
			return fmt.Errorf("beginning a scheduled validation: %w", err)
		}
		if err := r.Audit.Act(ctx, tx, audit.Entry{Permission: audit.ConnectionValidate, TenantID: d.TenantID, Action: "validation.requested", ObjectKind: "connection", ObjectID: d.ID, ObjectName: d.Name}); err != nil {
			return err
		}
		return r.announce(ctx, tx, row, nil)
	})
}
