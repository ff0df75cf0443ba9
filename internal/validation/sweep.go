package validation

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/uuid"

	"gatehouse/internal/audit"
	"gatehouse/internal/connection"
	"gatehouse/internal/jobs"
	"gatehouse/internal/sqldb"
	"gatehouse/internal/tenant"
)

// ErrOpen says that the connection is being validated by somebody else already.
var ErrOpen = errOpen

// Within validates a connection within a job of the caller's that does so for many
// connections of one tenant, and gives the run. It asks for the caller's
// permission. by is who asked. A parked connection is refused with
// *[connection.ParkedError], one of a paused tenant with [tenant.ErrPaused], one
// that is validated already with [ErrOpen]. A run that the same job began before it
// was cut off goes on, or is lost if its password was sent by then.
func (r *Runs) Within(ctx context.Context, shared *Shared, connectionID, by string) (Run, error) {
	c, err := r.Connections.Open(ctx, connectionID)
	if err != nil {
		return Run{}, err
	}
	ctx = audit.AsSystem(ctx, "validation")
	if c.Parked {
		return Run{}, &connection.ParkedError{Reason: c.ParkedReason}
	}
	at, err := r.Tenants.Directory(ctx, c.TenantID)
	switch {
	case err != nil:
		return Run{}, err
	case at.Paused:
		return Run{}, tenant.ErrPaused
	}
	row, again, err := r.enter(ctx, c, by)
	switch {
	case err != nil:
		return Run{}, err
	case again:
		return r.ended(ctx, row.ID, r.lose(ctx, row.ID, "Gatehouse was stopped after the password was sent and before the answer was noted"))
	}
	row.quiet = true
	result, err := r.examine(ctx, row, c, shared)
	switch stopped := context.Cause(ctx); {
	case stopped != nil:
		return Run{}, r.interrupted(ctx, row, stopped)
	case err != nil:
		return r.ended(ctx, row.ID, r.lose(ctx, row.ID, err.Error()))
	}
	return Run{ID: row.ID, ConnectionID: c.ID, TenantID: c.TenantID, State: Done, RequestedBy: row.RequestedBy, CreatedAt: row.CreatedAt, Result: &result}, r.finish(ctx, row.ID, result)
}

// ended gives a run that was just ended, unless that went wrong.
func (r *Runs) ended(ctx context.Context, id string, err error) (Run, error) {
	if err != nil {
		return Run{}, err
	}
	row, err := r.find(ctx, r.DB.Read(), id)
	if err != nil {
		return Run{}, err
	}
	return row.run()
}

// enter notes a run that begins at once, or takes up the one that this job began
// before; again says that a password was sent for that one.
func (r *Runs) enter(ctx context.Context, c connection.Opened, by string) (row *runRow, again bool, err error) {
	now := r.time()
	row = &runRow{ID: uuid.Must(uuid.NewV7()).String(), ConnectionID: c.ID, TenantID: c.TenantID, State: Running, JobID: jobs.ID(ctx), RequestedBy: by, CreatedAt: now, StartedAt: &now}
	err = r.DB.Change(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		done, err := tx.NewInsert().Model(row).On("CONFLICT DO NOTHING").Exec(ctx)
		if sqldb.Referenced(err) {
			return connection.ErrMissing
		}
		if err != nil {
			return fmt.Errorf("beginning a validation: %w", err)
		}
		if n, err := done.RowsAffected(); err != nil || n == 0 {
			return errors.Join(err, errOpen)
		}
		return nil // pages are told when it has ended
	})
	if !errors.Is(err, errOpen) {
		return row, false, err
	}
	// It may be one that has ended without knowing, or this job's own.
	open, err := r.open(ctx, c.ID)
	switch {
	case err != nil:
		return nil, false, err
	case open == nil:
		return nil, false, errOpen // it has ended just now: whoever began it has the answer
	}
	mine, err := r.find(ctx, r.DB.Read(), open.ID)
	if err != nil || mine.JobID != jobs.ID(ctx) {
		return nil, false, errors.Join(err, errOpen)
	}
	return r.begin(ctx, mine.ID)
}

// examine runs the recipe for a connection that is open already.
func (r *Runs) examine(ctx context.Context, row *runRow, c connection.Opened, shared *Shared) (Result, error) {
	request, err := r.request(ctx, c, shared)
	if err != nil {
		return Result{}, err
	}
	request.Shared = shared
	request.Watch = Watch{
		Probe: func(p Probe) { r.progress(ctx, row, p) },
		Try:   func(ctx context.Context) error { return r.intend(ctx, row, c) },
		Tried: func(ctx context.Context, outcome error) error { return r.answered(ctx, row, c, outcome) },
	}
	result := r.service.Run(ctx, request)
	if len(result.Hosts) > 0 && r.FoundHosts != nil {
		_ = r.FoundHosts(ctx, c.TenantID, result.Hosts) // the next validation hears them again
	}
	return result, nil
}
