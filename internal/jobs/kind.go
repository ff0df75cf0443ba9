package jobs

import (
	"context"
	"encoding/json"
	"fmt"
	"reflect"
	"time"

	"github.com/riverqueue/river"
	"github.com/riverqueue/river/rivertype"

	"gatehouse/internal/sqldb"
)

// Lane is a part of the workers of a replica. Long work goes into a lane of its
// own, so that it never keeps short work waiting.
type Lane string

// The lanes.
const (
	Short Lane = "default" // seconds; the default
	Long  Lane = "long"    // exports, retention: minutes
	// Many is for what is done to many things tenant by tenant, and waits for
	// Microsoft most of the time.
	Many Lane = "many"
)

// Kind is something that can be done, with arguments of type T, which is
// stored as JSON.
type Kind[T any] struct {
	// Name is stored with the jobs: letters, digits and underscores. It is never
	// given to something else, as jobs of an older release may still wait.
	Name string
	// Work does it.
	Work func(ctx context.Context, args T) error
	// Timeout ends the context of one attempt; a minute if zero.
	Timeout time.Duration
	// Attempts bounds how often it is tried; 10 if zero, which takes about half
	// an hour.
	Attempts int
	Lane     Lane
	// Unique makes jobs with equal arguments one, as long as the first has not
	// finished. A job that is added while an equal one is at work is that one,
	// which may already have read what has now changed: work that must see the
	// change is not unique.
	Unique bool

	queue *Queue
	once  bool // unique among finished jobs as well
}

// maxArgs bounds arguments, in bytes of JSON: they name things and hold none.
const maxArgs = 16 << 10

// envelope is what River stores.
type envelope struct {
	kind string
	Args json.RawMessage `json:"args"`
}

func (e envelope) Kind() string { return e.kind }

// Register makes a kind known to the queue and gives what adds jobs of it.
// It is called before the queue starts; a mistake in the kind panics.
func Register[T any](q *Queue, kind Kind[T]) *Kind[T] {
	if q.started.Load() {
		panic("jobs: " + kind.Name + " was registered after the start")
	}
	if kind.Work == nil {
		panic("jobs: " + kind.Name + " has nothing to do")
	}
	if path := secretIn(reflect.TypeFor[T](), map[reflect.Type]bool{}); path != "" {
		panic("jobs: the arguments of " + kind.Name + " hold a secret in " + path)
	}
	if kind.Timeout == 0 {
		kind.Timeout = time.Minute
	}
	if kind.Attempts == 0 {
		kind.Attempts = 10
	}
	if kind.Lane == "" {
		kind.Lane = Short
	}
	kind.queue = q
	work := func(ctx context.Context, raw json.RawMessage) error {
		var args T
		if err := json.Unmarshal(raw, &args); err != nil {
			return Stop(fmt.Errorf("reading the arguments: %w", err))
		}
		return kind.Work(ctx, args)
	}
	river.AddWorkerArgs(q.workers, envelope{kind: kind.Name}, &worker{queue: q, timeout: kind.Timeout, work: work})
	return &kind
}

// secretIn finds a [gatehouse/internal/secrets.Value] in a type. It would be
// stored as dots, so whoever puts one there has misunderstood something.
func secretIn(t reflect.Type, seen map[reflect.Type]bool) string {
	if seen[t] {
		return ""
	}
	seen[t] = true
	if t.PkgPath() == "gatehouse/internal/secrets" {
		return t.String()
	}
	switch t.Kind() {
	case reflect.Pointer, reflect.Slice, reflect.Array:
		return secretIn(t.Elem(), seen)
	case reflect.Map:
		if path := secretIn(t.Key(), seen); path != "" {
			return path
		}
		return secretIn(t.Elem(), seen)
	case reflect.Struct:
		for i := range t.NumField() {
			if path := secretIn(t.Field(i).Type, seen); path != "" {
				return t.Field(i).Name + " " + path
			}
		}
	}
	return ""
}

// Options are particulars of one job.
type Options struct {
	// Tenant is the tenant that the job is about; '' for none. Who may not see
	// the tenant does not see the job.
	Tenant string
	// At is when to do it; at once if zero.
	At time.Time
	// Ahead puts the job before others that are due: somebody waits for it.
	Ahead bool
}

// Added says what became of [Kind.Add].
type Added struct {
	ID int64
	// Existing says that an equal job was there already, which ID names.
	Existing bool
}

// metadata is what is stored beside the arguments.
type metadata struct {
	Tenant string `json:"tenant"`
}

// Priorities of River, of which a smaller number is earlier.
const (
	ahead  = 1
	normal = 2
)

// Add adds a job. It is worked if, and once, the transaction is committed.
//
//go:noinline
func (k *Kind[T]) Add(ctx context.Context, tx *sqldb.Tx, args T, options Options) (Added, error) {
	raw, err := json.Marshal(args)
	if err != nil {
		return Added{}, fmt.Errorf("adding a job %s: %w", k.Name, err)
	}
	if len(raw) > maxArgs {
		return Added{}, fmt.Errorf("adding a job %s: the arguments have %d bytes, at most %d are allowed: name things by id", k.Name, len(raw), maxArgs)
	}
	about, err := json.Marshal(metadata{Tenant: options.Tenant})
	if err != nil {
		return Added{}, fmt.Errorf("adding a job %s: %w", k.Name, err)
	}
	insert := &river.InsertOpts{MaxAttempts: k.Attempts, Metadata: about, Priority: normal, Queue: string(k.Lane), ScheduledAt: options.At.UTC()}
	if options.Ahead {
		insert.Priority = ahead
	}
	if k.Unique || k.once {
		insert.UniqueOpts = river.UniqueOpts{ByArgs: true, ByState: unfinished}
		if k.once {
			insert.UniqueOpts.ByState = rivertype.JobStates()
		}
	}
	result, err := k.queue.client.InsertTx(ctx, tx.Tx.Tx, envelope{kind: k.Name, Args: raw}, insert)
	if err != nil {
		return Added{}, fmt.Errorf("adding a job %s: %w", k.Name, err)
	}
	if err := k.queue.wake(ctx, tx, result.Job); err != nil {
		return Added{}, fmt.Errorf("adding a job %s: %w", k.Name, err)
	}
	k.queue.changed(tx, result.Job)
	return Added{ID: result.Job.ID, Existing: result.UniqueSkippedAsDuplicate}, nil
}

var unfinished = []rivertype.JobState{
	rivertype.JobStateAvailable, rivertype.JobStatePending, rivertype.JobStateRetryable, rivertype.JobStateRunning, rivertype.JobStateScheduled,
}
