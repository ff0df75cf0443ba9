package jobs

import (
	"context"
	"encoding/json"
	"errors"
	"math/rand/v2"
	"time"

	"github.com/riverqueue/river"
	"github.com/riverqueue/river/rivertype"
)

const failed = "failed"

// worker does the jobs of one kind.
type worker struct {
	river.WorkerDefaults[envelope]
	queue   *Queue
	timeout time.Duration
	work    func(context.Context, json.RawMessage) error
}

func (w *worker) Timeout(*river.Job[envelope]) time.Duration { return w.timeout }

// Work makes one attempt and tells River what to do with its outcome.
func (w *worker) Work(ctx context.Context, job *river.Job[envelope]) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer w.queue.atWork(job.ID, cancel)()
	if w.queue.live != nil {
		w.queue.news.add(tenantOf(job.JobRow), job.ID)
	}
	began := time.Now()
	cause := w.work(context.WithValue(ctx, idKey{}, job.ID), job.Args.Args)
	outcome, err := w.outcome(ctx, job, cause)
	w.queue.watch(job.Kind, outcome, time.Since(began))
	if outcome == failed {
		w.queue.log.WarnContext(ctx, "a job failed", "job", job.ID, "kind", job.Kind, "tenant", tenantOf(job.JobRow), "attempt", job.Attempt, "attempts", job.MaxAttempts, "error", bounded(cause))
	}
	return err
}

// outcome turns what became of an attempt into what River is to do with the job.
func (w *worker) outcome(ctx context.Context, job *river.Job[envelope], err error) (string, error) {
	if err == nil {
		return "done", nil
	}
	var stop stopError
	var later laterError
	switch cause := context.Cause(ctx); {
	case errors.Is(cause, errCancelled), errors.Is(cause, rivertype.ErrJobCancelledRemotely): // here, or on another replica
		return "cancelled", river.JobCancel(errCancelled)
	case ctx.Err() != nil && w.queue.stopping.Load():
		return "handed back", river.JobSnooze(0)
	case errors.As(err, &stop):
		// River ends a job as failed when it was its last attempt.
		job.MaxAttempts = job.Attempt
	case errors.As(err, &later):
		return "put off", river.JobSnooze(later.pause)
	}
	return failed, bounded(err)
}

type idKey struct{}

// ID is the id of the job that a context belongs to; 0 outside of one.
func ID(ctx context.Context) int64 {
	id, _ := ctx.Value(idKey{}).(int64)
	return id
}

// maxError bounds what is kept of an error, in bytes.
const maxError = 4 << 10

func bounded(err error) error {
	text := err.Error()
	if len(text) <= maxError {
		return err
	}
	return errors.New(text[:maxError] + "…")
}

// pauses is how long to wait before another attempt.
type pauses struct{}

// NextRetry doubles the pause from about two seconds up to about an hour. Each
// pause is drawn from a range of ±50 %, so that what failed together does not
// come back together.
func (pauses) NextRetry(job *rivertype.JobRow) time.Time {
	return time.Now().UTC().Add(pause(job.Attempt, rand.Float64())) //nolint:gosec // spreads load, guards nothing
}

func pause(attempt int, draw float64) time.Duration {
	const longest = time.Hour
	middle := longest
	if attempt < 12 {
		middle = min(time.Second<<max(attempt, 1), longest)
	}
	return middle/2 + time.Duration(draw*float64(middle))
}
