package jobs

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/riverqueue/river"
	"github.com/riverqueue/river/rivertype"

	"gatehouse/internal/fault"
	"gatehouse/internal/sqldb"
)

// State is what has become of a job.
type State string

// The states of a job.
const (
	Waiting   State = "waiting"   // due, for a worker
	Scheduled State = "scheduled" // for its time
	Retrying  State = "retrying"  // for its next attempt
	Running   State = "running"
	Done      State = "done"
	Cancelled State = "cancelled"
	Failed    State = "failed" // for good
)

var states = map[State]rivertype.JobState{
	Waiting: rivertype.JobStateAvailable, Scheduled: rivertype.JobStateScheduled, Retrying: rivertype.JobStateRetryable,
	Running: rivertype.JobStateRunning, Done: rivertype.JobStateCompleted, Cancelled: rivertype.JobStateCancelled, Failed: rivertype.JobStateDiscarded,
}

// Job is a job as operators see it.
type Job struct {
	ID       int64
	Kind     string
	Tenant   string
	Args     json.RawMessage
	State    State
	Attempt  int // how often it was begun
	Attempts int // how often at most
	Created  time.Time
	Due      time.Time  // when it is, or was, to begin
	Started  *time.Time // the last attempt
	Finished *time.Time
	Replica  string // which made the last attempt
	Failures []Failure
}

// Failure is an attempt that failed.
type Failure struct {
	At      time.Time
	Attempt int
	Error   string
}

// stateOf is River's state in our words.
func stateOf(theirs rivertype.JobState) State {
	for ours, state := range states {
		if state == theirs {
			return ours
		}
	}
	return ""
}

func read(row *rivertype.JobRow) Job {
	var e envelope
	_ = json.Unmarshal(row.EncodedArgs, &e) // what cannot be read is shown as empty
	job := Job{
		ID: row.ID, Kind: row.Kind, Tenant: tenantOf(row), Args: e.Args, Attempt: row.Attempt, Attempts: row.MaxAttempts,
		Created: row.CreatedAt.UTC(), Due: row.ScheduledAt.UTC(), Started: row.AttemptedAt, Finished: row.FinalizedAt, Replica: workedBy(row),
	}
	job.State = stateOf(row.State)
	// River keeps jobs with a short pause in the line of those that are due.
	if job.State == Waiting && job.Due.After(time.Now()) {
		job.State = Scheduled
		if len(row.Errors) > 0 {
			job.State = Retrying
		}
	}
	for _, e := range row.Errors {
		job.Failures = append(job.Failures, Failure{At: e.At, Attempt: e.Attempt, Error: e.Error})
	}
	return job
}

func tenantOf(row *rivertype.JobRow) string {
	var about metadata
	_ = json.Unmarshal(row.Metadata, &about) // what cannot be read belongs to none
	return about.Tenant
}

// Filter chooses jobs.
type Filter struct {
	// Tenants are those whose jobs may be seen; jobs of no tenant have ''.
	// AllTenants shows every job.
	Tenants    []string
	AllTenants bool
	Kinds      []string // all if empty
	States     []State  // all if empty
}

const maxPage = 200

// List gives a page of jobs, the newest first, and the cursor of the page
// after it, "" if that was the last.
func (q *Queue) List(ctx context.Context, filter Filter, after string, limit int) ([]Job, string, error) {
	limit = max(1, min(limit, maxPage))
	params := river.NewJobListParams().OrderBy(river.JobListOrderByID, river.SortOrderDesc).First(limit + 1)
	if after != "" {
		id, err := strconv.ParseInt(after, 10, 64)
		if err != nil {
			return nil, "", fault.Of("after", "is no cursor of this list", "begin again with the first page")
		}
		params = params.Where("id < @after", river.NamedArgs{"after": id})
	}
	if len(filter.Kinds) > 0 {
		params = params.Kinds(filter.Kinds...)
	}
	if len(filter.States) > 0 {
		chosen := make([]rivertype.JobState, len(filter.States))
		for i, s := range filter.States {
			if chosen[i] = states[s]; chosen[i] == "" {
				return nil, "", fmt.Errorf("listing jobs: no state is called %q", s)
			}
		}
		params = params.States(chosen...)
	}
	if !filter.AllTenants {
		if len(filter.Tenants) == 0 {
			return nil, "", nil
		}
		names, values := make([]string, len(filter.Tenants)), river.NamedArgs{}
		for i, tenant := range filter.Tenants {
			name := fmt.Sprintf("tenant%d_", i)
			names[i], values[name] = "@"+name, tenant
		}
		params = params.Where("metadata ->> 'tenant' IN ("+strings.Join(names, ", ")+")", values)
	}
	result, err := q.reader.JobList(ctx, params)
	if err != nil {
		return nil, "", fmt.Errorf("listing jobs: %w", err)
	}
	out, next := make([]Job, 0, limit), ""
	for i, row := range result.Jobs {
		if i == limit {
			next = strconv.FormatInt(out[i-1].ID, 10)
			break
		}
		out = append(out, read(row))
	}
	return out, next, nil
}

// Get gives a job; [ErrMissing] if it is not there.
func (q *Queue) Get(ctx context.Context, id int64) (Job, error) {
	row, err := q.reader.JobGet(ctx, id)
	if errors.Is(err, rivertype.ErrNotFound) {
		return Job{}, ErrMissing
	}
	if err != nil {
		return Job{}, fmt.Errorf("reading job %d: %w", id, err)
	}
	return read(row), nil
}

// Cancel ends a job for good: one that waits at once, one at work, on whichever
// replica, as soon as its function heeds the context. What it has done by then
// stays. [ErrFinished] if there is nothing to cancel any more.
func (q *Queue) Cancel(ctx context.Context, tx *sqldb.Tx, id int64) error {
	row, err := q.client.JobCancelTx(ctx, tx.Tx.Tx, id)
	if errors.Is(err, rivertype.ErrNotFound) {
		return ErrMissing
	}
	if err != nil {
		return fmt.Errorf("cancelling job %d: %w", id, err)
	}
	switch row.State {
	case rivertype.JobStateCompleted, rivertype.JobStateDiscarded:
		return ErrFinished
	}
	tx.OnCommit(func() { q.cancel(id, errCancelled) })
	q.changed(tx, row)
	return nil
}

// RetryNow lets a job begin at once that waits for its time, failed, was
// cancelled or is done. One that had used up its attempts gets one more.
// [ErrRunning] if it is at work.
func (q *Queue) RetryNow(ctx context.Context, tx *sqldb.Tx, id int64) error {
	row, err := q.client.JobRetryTx(ctx, tx.Tx.Tx, id)
	if errors.Is(err, rivertype.ErrNotFound) {
		return ErrMissing
	}
	if err != nil {
		return fmt.Errorf("starting job %d: %w", id, err)
	}
	if row.State == rivertype.JobStateRunning {
		return ErrRunning
	}
	q.changed(tx, row)
	return q.wake(ctx, tx, row)
}

// Count is how many jobs of a kind are in a state.
type Count struct {
	Kind  string
	State State
	Count int
}

// Tally counts the jobs that are not done, and those that failed for good, and
// says how long the one has been due that has waited longest. It is for
// monitoring: it asks for no permission.
func (q *Queue) Tally(ctx context.Context) (counts []Count, late time.Duration, err error) {
	var rows []struct {
		Kind, State string
		Count       int
	}
	err = q.db.Read().NewRaw("SELECT kind, CAST(state AS text) AS state, count(*) AS count FROM river_job WHERE state IN ('available', 'scheduled', 'retryable', 'running', 'discarded') GROUP BY kind, state ORDER BY kind, state").Scan(ctx, &rows)
	if err != nil {
		return nil, 0, fmt.Errorf("counting jobs: %w", err)
	}
	for _, r := range rows {
		counts = append(counts, Count{r.Kind, stateOf(rivertype.JobState(r.State)), r.Count})
	}
	var due []time.Time
	err = q.db.Read().NewRaw("SELECT scheduled_at FROM river_job WHERE state = 'available' ORDER BY scheduled_at LIMIT 1").Scan(ctx, &due)
	if err != nil {
		return nil, 0, fmt.Errorf("looking for the oldest job: %w", err)
	}
	if len(due) > 0 {
		late = max(0, q.now().Sub(due[0]))
	}
	return counts, late, nil
}
