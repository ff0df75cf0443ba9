package jobs

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/riverqueue/river/riverdriver"
	"github.com/riverqueue/river/rivertype"

	"gatehouse/internal/lease"
	"gatehouse/internal/sqldb"
)

// A replica that is killed leaves jobs behind that seem to be at work. Once its
// heartbeats have been missing for the time of a lease, another puts them back.

// takeOverLoop looks for such jobs. One replica at a time does.
func (q *Queue) takeOverLoop(ctx context.Context) {
	const often = 2 * time.Second
	timer := time.NewTimer(0)
	defer timer.Stop()
	var sole *lease.Lease
	for {
		select {
		case <-ctx.Done():
			if sole != nil {
				if err := sole.Release(context.WithoutCancel(ctx)); err != nil {
					q.log.Warn("stopping the queue", "error", err)
				}
			}
			return
		case <-timer.C:
		}
		timer.Reset(often)
		if sole != nil {
			if _, held := sole.Held(); !held {
				sole = nil
			}
		}
		var err error
		if sole == nil {
			sole, err = q.replica.Acquire(ctx, "jobs/takeover")
		}
		if sole != nil {
			err = q.takeOver(ctx, sole)
		}
		if err != nil && !errors.Is(err, lease.ErrHeld) && ctx.Err() == nil {
			q.log.Warn("taking over the jobs of replicas that are gone", "error", err)
		}
	}
}

// takeOver puts back the jobs of replicas that are gone. One that has used up
// its attempts ends as failed: it may be what kills them.
func (q *Queue) takeOver(ctx context.Context, sole *lease.Lease) error {
	return q.db.Change(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		if err := sole.Fence(ctx, tx); err != nil {
			return err
		}
		exec := q.driver.UnwrapExecutor(tx.Tx.Tx)
		// In this order: a job's replica joined before it took the job, and handed
		// it back before it left.
		running, err := exec.JobGetStuck(ctx, &riverdriver.JobGetStuckParams{Max: 1000, StuckHorizon: time.Now().UTC().Add(24 * time.Hour)})
		if err != nil {
			return err
		}
		living, err := q.replica.Living(ctx, tx)
		if err != nil {
			return err
		}
		var left []int64
		for _, job := range running {
			if !living[workedBy(job)] {
				left = append(left, job.ID)
			}
		}
		if err := q.resignFor(ctx, exec, living); err != nil || len(left) == 0 {
			return err
		}
		again, err := exec.JobGetByIDMany(ctx, &riverdriver.JobGetByIDManyParams{ID: left})
		if err != nil {
			return err
		}
		rescue := &riverdriver.JobRescueManyParams{}
		for _, job := range again {
			if job.State != rivertype.JobStateRunning || living[workedBy(job)] {
				continue
			}
			if err := putBack(rescue, job); err != nil {
				return err
			}
			if err := q.wake(ctx, tx, job); err != nil {
				return err
			}
			q.changed(tx, job)
			q.log.Warn("taking over a job", "job", job.ID, "kind", job.Kind, "attempt", job.Attempt, "replica", workedBy(job))
		}
		if len(rescue.ID) == 0 {
			return nil
		}
		_, err = exec.JobRescueMany(ctx, rescue)
		return err
	})
}

func workedBy(job *rivertype.JobRow) string {
	if n := len(job.AttemptedBy); n > 0 {
		return job.AttemptedBy[n-1]
	}
	return ""
}

func putBack(rescue *riverdriver.JobRescueManyParams, job *rivertype.JobRow) error {
	now := time.Now().UTC()
	text, err := json.Marshal(rivertype.AttemptError{At: now, Attempt: job.Attempt, Error: "the replica that worked on it is gone"})
	if err != nil {
		return fmt.Errorf("noting why job %d was put back: %w", job.ID, err)
	}
	state, due, finished := rivertype.JobStateAvailable, now, (*time.Time)(nil)
	var marks struct {
		Cancelled time.Time `json:"cancel_attempted_at"`
	}
	if json.Unmarshal(job.Metadata, &marks) == nil && !marks.Cancelled.IsZero() {
		state, due, finished = rivertype.JobStateCancelled, job.ScheduledAt, &now
	} else if job.Attempt >= job.MaxAttempts {
		state, due, finished = rivertype.JobStateDiscarded, job.ScheduledAt, &now
	}
	rescue.ID, rescue.Error, rescue.State = append(rescue.ID, job.ID), append(rescue.Error, text), append(rescue.State, string(state))
	rescue.ScheduledAt, rescue.FinalizedAt = append(rescue.ScheduledAt, due), append(rescue.FinalizedAt, finished)
	return nil
}

// resignFor gives up River's leadership in the name of a replica that is gone,
// so that jobs that are due later do not wait for the end of its term.
func (q *Queue) resignFor(ctx context.Context, exec riverdriver.Executor, living map[string]bool) error {
	leader, err := exec.LeaderGetElectedLeader(ctx, &riverdriver.LeaderGetElectedLeaderParams{})
	if errors.Is(err, rivertype.ErrNotFound) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("reading who leads: %w", err)
	}
	if living[leader.LeaderID] {
		return nil
	}
	_, err = exec.LeaderResign(ctx, &riverdriver.LeaderResignParams{LeaderID: leader.LeaderID, LeadershipTopic: "river_leadership"})
	return err
}

// watchReplica cancels what is at work when this replica was not heard of for
// so long that another may be at the same jobs.
func (q *Queue) watchReplica(ctx context.Context) {
	for {
		alive := q.replica.Alive()
		if alive == nil { // left: the server is stopping
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-alive.Lost():
			q.cancelAll(errTakenOver)
		}
		for q.replica.Alive() == alive { // until the next heartbeat that comes through
			select {
			case <-ctx.Done():
				return
			case <-time.After(100 * time.Millisecond):
			}
		}
	}
}
