package jobs

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver"
	"github.com/riverqueue/river/riverdriver/riverdatabasesql"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/riverdriver/riversqlite"
	"github.com/uptrace/bun"

	"gatehouse/internal/lease"
	"gatehouse/internal/live"
	"gatehouse/internal/sqldb"
)

// Config is what a [Queue] needs.
type Config struct {
	DB *sqldb.DB
	// Replica works on the jobs. It must have joined before the start.
	Replica *lease.Replica
	// Workers is how many jobs of the short lane run at once on this replica; 8
	// if zero. The long lane has a quarter of it, the lane of many four times as
	// many.
	Workers int
	// Live is told of jobs that change, for pages that show them; nobody is told
	// if nil.
	Live *live.Hub
	// KeepFailed is how long jobs that failed or were cancelled are kept; two
	// weeks if zero, for ever if negative.
	KeepFailed time.Duration
	// Now is the clock of [Every]; time.Now if nil.
	Now func() time.Time
	// Watch is told of each attempt: its outcome is done, failed, cancelled, put
	// off (the job asked for a later time) or handed back (this replica stops).
	// Nobody is told if nil.
	Watch func(kind, outcome string, took time.Duration)
	// Log hears of jobs that fail and of River; nothing is logged if nil.
	Log *slog.Logger
}

// How often River looks for jobs: at most once in cooldown, which bounds the
// throughput of a lane to its workers in that time, and at least once in
// interval, should it have missed that there are some.
const (
	cooldown = 10 * time.Millisecond
	interval = time.Second
)

// Finished jobs are shown for a while. Those that are done are kept longer than
// any period, as that is how a periodic job is known to have been done.
const (
	keepDone   = 48 * time.Hour
	keepFailed = 14 * 24 * time.Hour
)

// Queue is the durable queue.
type Queue struct {
	db      *sqldb.DB
	replica *lease.Replica
	now     func() time.Time
	log     *slog.Logger
	live    *live.Hub // may be nil
	news    *news
	watch   func(kind, outcome string, took time.Duration)

	keepFailed time.Duration

	workers *river.Workers
	client  *river.Client[*sql.Tx] // changes jobs in the data's transactions
	reader  *river.Client[*sql.Tx] // lists them beside
	driver  riverdriver.Driver[*sql.Tx]
	runner  runner        // works on them
	pool    *pgxpool.Pool // the runner's, with PostgreSQL
	waker   *waker        // with SQLite
	lanes   map[string]river.QueueConfig
	ticks   []ticker

	started  atomic.Bool
	stopping atomic.Bool // and jobs are being cancelled
	stopped  atomic.Bool
	quit     context.CancelFunc
	tasks    sync.WaitGroup

	mu      sync.Mutex
	running map[int64]context.CancelCauseFunc
}

// runner is River's client of either database.
type runner interface {
	Start(context.Context) error
	Stop(context.Context) error
	StopAndCancel(context.Context) error
	Subscribe(kinds ...river.EventKind) (<-chan *river.Event, func())
}

// New gives a queue that can take jobs; [Queue.Start] begins to work on them.
func New(cfg Config) (*Queue, error) {
	q := &Queue{db: cfg.DB, replica: cfg.Replica, now: cfg.Now, log: cfg.Log, live: cfg.Live, news: newNews(), watch: cfg.Watch, workers: river.NewWorkers(), running: map[int64]context.CancelCauseFunc{}}
	if q.now == nil {
		q.now = time.Now
	}
	if q.watch == nil {
		q.watch = func(string, string, time.Duration) {}
	}
	if q.log == nil {
		q.log = slog.New(slog.DiscardHandler)
	}
	switch q.keepFailed = cfg.KeepFailed; {
	case q.keepFailed == 0:
		q.keepFailed = keepFailed
	case q.keepFailed < 0:
		q.keepFailed = -1 // River's for ever
	}
	short := cfg.Workers
	if short == 0 {
		short = 8
	}
	q.lanes = map[string]river.QueueConfig{string(Short): {MaxWorkers: short}, string(Long): {MaxWorkers: (short + 3) / 4}, string(Many): {MaxWorkers: 4 * short}}
	var readDriver riverdriver.Driver[*sql.Tx]
	if q.db.Postgres() {
		q.driver = riverdatabasesql.New(q.db.SQL())
		readDriver = q.driver
	} else {
		q.waker = &waker{}
		q.driver = &wakingDriver{Driver: riversqlite.New(q.db.SQL()), waker: q.waker}
		read, ok := q.db.Read().(*bun.DB)
		if !ok {
			return nil, errors.New("opening the queue: the database has no connections for reading")
		}
		readDriver = riversqlite.New(read.DB)
	}
	var err error
	if q.client, err = river.NewClient(q.driver, &river.Config{Logger: slog.New(inner{q.log.Handler()})}); err != nil {
		return nil, fmt.Errorf("opening the queue: %w", err)
	}
	if q.reader, err = river.NewClient(readDriver, &river.Config{Logger: slog.New(inner{q.log.Handler()})}); err != nil {
		return nil, fmt.Errorf("opening the queue: %w", err)
	}
	return q, nil
}

// Start begins to work on jobs.
func (q *Queue) Start(ctx context.Context) error {
	if q.replica.Alive() == nil {
		return errors.New("starting the queue: this replica has not joined the others")
	}
	q.started.Store(true)
	config := &river.Config{
		ID: q.replica.ID(), Logger: slog.New(inner{q.log.Handler()}), Workers: q.workers, Queues: q.lanes, RetryPolicy: pauses{},
		FetchCooldown: cooldown, FetchPollInterval: interval,
		JobTimeout:                  -1, // each kind has its own
		CancelledJobRetentionPeriod: q.keepFailed, CompletedJobRetentionPeriod: keepDone, DiscardedJobRetentionPeriod: q.keepFailed,
	}
	var err error
	if q.db.Postgres() {
		err = q.openPostgres(ctx, config)
	} else {
		q.runner, err = river.NewClient(q.driver, config)
	}
	var ended <-chan *river.Event
	if err == nil && q.live != nil {
		ended, _ = q.runner.Subscribe(outcomes...) // until it stops
	}
	if err == nil {
		err = q.runner.Start(context.WithoutCancel(ctx))
	}
	if err != nil {
		q.close()
		return fmt.Errorf("starting the queue: %w", err)
	}
	if q.waker != nil {
		q.waker.ready.Store(true)
	}
	ctx, q.quit = context.WithCancel(context.WithoutCancel(ctx))
	q.tasks.Go(func() { q.takeOverLoop(ctx) })
	q.tasks.Go(func() { q.tickLoop(ctx) })
	q.tasks.Go(func() { q.watchReplica(ctx) })
	if q.live != nil {
		q.tasks.Go(func() { q.newsLoop(ctx, ended) })
	}
	return nil
}

// openPostgres gives River connections of its own: one listens for new jobs,
// the others fetch and finish them.
func (q *Queue) openPostgres(ctx context.Context, config *river.Config) error {
	settings, err := pgxpool.ParseConfig(q.db.Address())
	if err != nil {
		return errors.New("the address of the database cannot be read") // the error would show it
	}
	sqldb.Bound(settings.ConnConfig)
	settings.MaxConns = 6
	if q.pool, err = pgxpool.NewWithConfig(ctx, settings); err != nil {
		return err
	}
	q.runner, err = river.NewClient(riverpgxv5.New(q.pool), config)
	return err
}

// Stop ends the work: no new job is begun, those at work may finish until the
// context ends. Then they are cancelled and handed back, without this counting
// as an attempt. A job that does not end even then is an error; it is worked on
// again once this replica is gone.
func (q *Queue) Stop(ctx context.Context) error {
	if q.quit == nil || q.stopped.Swap(true) {
		return nil
	}
	err := q.runner.Stop(ctx)
	if err != nil {
		q.stopping.Store(true)
		q.cancelAll(errStopped)
		last, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		defer cancel()
		err = q.runner.StopAndCancel(last)
	}
	q.quit()
	q.tasks.Wait()
	if err != nil { // River still holds connections, which end with the process
		return fmt.Errorf("stopping the queue: jobs did not end when they were cancelled: %w", err)
	}
	q.close()
	return nil
}

func (q *Queue) close() {
	if q.waker != nil {
		q.waker.ready.Store(false)
	}
	if q.pool != nil {
		q.pool.Close()
	}
}

// atWork notes a job that runs here, so that it can be cancelled.
func (q *Queue) atWork(id int64, cancel context.CancelCauseFunc) (done func()) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.running[id] = cancel
	return func() {
		q.mu.Lock()
		defer q.mu.Unlock()
		delete(q.running, id)
	}
}

func (q *Queue) cancel(id int64, cause error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if cancel := q.running[id]; cancel != nil {
		cancel(cause)
	}
}

func (q *Queue) cancelAll(cause error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, cancel := range q.running {
		cancel(cause)
	}
}
