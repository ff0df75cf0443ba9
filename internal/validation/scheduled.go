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
		return r.enqueue(ctx, tx, d.ID, d.TenantID, d.Name, ScheduledBy)
	})
}

// enqueue adds a run that nobody waits for, unless one was added just now.
func (r *Runs) enqueue(ctx context.Context, tx *sqldb.Tx, id, tenantID, name, by string) error {
	row := &runRow{ID: uuid.Must(uuid.NewV7()).String(), ConnectionID: id, TenantID: tenantID, State: Queued, RequestedBy: by, CreatedAt: r.time()}
	job, err := r.job.Add(ctx, tx, runArgs{row.ID}, jobs.Options{Tenant: tenantID})
	if err != nil {
		return err
	}
	row.JobID = job.ID
	done, err := tx.NewInsert().Model(row).On("CONFLICT DO NOTHING").Exec(ctx)
	if err != nil {
		return fmt.Errorf("beginning a validation: %w", err)
	}
	if n, err := done.RowsAffected(); err != nil || n == 0 {
		return err // somebody was first; the job finds nothing to do
	}
	if err := r.Audit.Act(ctx, tx, audit.Entry{Permission: audit.ConnectionValidate, TenantID: tenantID, Action: "validation.requested", ObjectKind: "connection", ObjectID: id, ObjectName: name}); err != nil {
		return err
	}
	return r.announce(ctx, tx, row, nil)
}

// SignInBy is who asks for validations of people's sign-ins that stopped or work
// again.
const SignInBy = "token broker"

// Again begins a validation of a delegated connection, in the transaction that notes
// that its sign-in stopped or works again, so that its verdict and its incident do
// not wait for the schedule. It does nothing where one is open, nobody ever signed in, or
// the tenant is paused. It asks for no permission: whoever found out had it.
func (r *Runs) Again(ctx context.Context, tx *sqldb.Tx, connectionID string) error {
	var c struct{ TenantID, Name string }
	err := tx.NewSelect().TableExpr("connections").ColumnExpr("tenant_id, name").Where("id = ? AND kind = ? AND object_id <> ''", connectionID, connection.Delegated).
		Where("NOT EXISTS (SELECT 1 FROM tenants AS t WHERE t.id = connections.tenant_id AND t.paused)").
		Where("NOT EXISTS (SELECT 1 FROM validations AS v WHERE v.connection_id = connections.id AND v.state IN (?, ?))", Queued, Running).Scan(ctx, &c)
	if sqldb.Missing(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("looking for a connection to validate: %w", err)
	}
	return r.enqueue(audit.AsSystem(ctx, "token_broker"), tx, connectionID, c.TenantID, c.Name, SignInBy)
}
