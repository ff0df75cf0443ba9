package jobs_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"gatehouse/internal/jobs"
	"gatehouse/internal/lease"
	"gatehouse/internal/secrets"
	"gatehouse/internal/sqldb"
	"gatehouse/internal/sqldb/dbtest"
)

func TestMain(m *testing.M) {
	os.Exit(dbtest.Main(m, map[string]func(){"worker": workerProcess}))
}

// each runs a test on each database, with the queue's tables in place, and
// looks for goroutines that are left.
func each(t *testing.T, test func(t *testing.T, db *sqldb.DB)) {
	t.Helper()
	dbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		if err := jobs.Migrate(t.Context(), db); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(dbtest.Leaks(t)) // after the queues, before the database
		test(t, db)
	})
}

// replica is a queue with its replica, as a server has them.
type replica struct {
	*jobs.Queue
	t      *testing.T
	db     *sqldb.DB
	log    *complaints
	stopAt time.Duration
}

type setting func(*jobs.Config, *lease.Config)

func open(t *testing.T, db *sqldb.DB, settings ...setting) *replica {
	t.Helper()
	log := &complaints{}
	cfg, leases := jobs.Config{DB: db, Log: slog.New(log)}, lease.Config{DB: db}
	for _, set := range settings {
		set(&cfg, &leases)
	}
	cfg.Replica = lease.New(leases)
	q, err := jobs.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	r := &replica{Queue: q, t: t, db: db, log: log, stopAt: 10 * time.Second}
	if err := cfg.Replica.Join(t.Context()); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- cfg.Replica.Run(ctx) }()
	t.Cleanup(func() {
		r.stop()
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return r
}

func (r *replica) start() *replica {
	r.t.Helper()
	if err := r.Start(r.t.Context()); err != nil {
		r.t.Fatal(err)
	}
	return r
}

func (r *replica) stop() {
	ctx, cancel := context.WithTimeout(context.Background(), r.stopAt)
	defer cancel()
	if err := r.Stop(ctx); err != nil {
		r.t.Error(err)
	}
	for _, line := range r.log.lines() {
		r.t.Errorf("the queue complained: %s", line)
	}
}

// complaints keeps what River logs as an error, but for jobs that fail.
type complaints struct {
	slog.Handler
	mu   sync.Mutex
	kept []string
}

func (c *complaints) Enabled(context.Context, slog.Level) bool { return true }

func (c *complaints) Handle(_ context.Context, r slog.Record) error {
	if r.Level >= slog.LevelError && !strings.Contains(r.Message, "Job errored") && !strings.Contains(r.Message, "panic") {
		line := r.Message
		r.Attrs(func(a slog.Attr) bool { line += " " + a.String(); return true })
		c.mu.Lock()
		c.kept = append(c.kept, line)
		c.mu.Unlock()
	}
	return nil
}

func (c *complaints) lines() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.kept
}

type named struct {
	Name string `json:"name"`
}

func add[T any](t *testing.T, db *sqldb.DB, kind *jobs.Kind[T], args T, options jobs.Options) jobs.Added {
	t.Helper()
	var added jobs.Added
	if err := db.Change(t.Context(), func(ctx context.Context, tx *sqldb.Tx) (err error) {
		added, err = kind.Add(ctx, tx, args, options)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	return added
}

func (r *replica) change(do func(context.Context, *sqldb.Tx, int64) error, id int64) error {
	return r.db.Change(r.t.Context(), func(ctx context.Context, tx *sqldb.Tx) error { return do(ctx, tx, id) })
}

// await waits until a job has a state.
func (r *replica) await(id int64, state jobs.State) jobs.Job {
	r.t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(20 * time.Second)
	for {
		job, err := r.Get(r.t.Context(), id)
		if err != nil {
			r.t.Fatal(err)
		}
		if job.State == state {
			return job
		}
		select {
		case <-deadline:
			r.t.Fatalf("job %d is %s, want %s: %+v", id, job.State, state, job.Failures)
		case <-tick.C:
		}
	}
}

// A job is worked if its transaction is committed, soon, and outside of any
// transaction; not if it is rolled back.
func TestCommitted(t *testing.T) {
	each(t, func(t *testing.T, db *sqldb.DB) {
		r := open(t, db)
		got := make(chan named, 10)
		kind := jobs.Register(r.Queue, jobs.Kind[named]{Name: "greet", Work: func(ctx context.Context, args named) error {
			if sqldb.InChange(ctx) {
				t.Error("the work runs in a transaction")
			}
			got <- args
			return nil
		}})
		r.start()
		refused := errors.New("no")
		if err := db.Change(t.Context(), func(ctx context.Context, tx *sqldb.Tx) error {
			if _, err := kind.Add(ctx, tx, named{"never"}, jobs.Options{}); err != nil {
				return err
			}
			return refused
		}); !errors.Is(err, refused) {
			t.Fatal(err)
		}
		var waits []time.Duration
		var ids []int64
		for i := range 15 {
			name := named{fmt.Sprint("job ", i)}
			added := add(t, db, kind, name, jobs.Options{Tenant: "t1"})
			began := time.Now()
			if args := <-got; args != name {
				t.Fatalf("worked %v, want %v", args, name)
			}
			waits = append(waits, time.Since(began))
			ids = append(ids, added.ID)
		}
		for _, id := range ids {
			job := r.await(id, jobs.Done)
			if job.Kind != "greet" || job.Tenant != "t1" || job.Attempt != 1 || job.Finished == nil || job.Replica == "" || len(job.Failures) != 0 {
				t.Errorf("%+v", job)
			}
		}
		slices.Sort(waits)
		if middle := waits[len(waits)/2]; middle > 100*time.Millisecond {
			t.Errorf("from commit to start it takes %v, want at most 100 ms; all: %v", middle, waits)
		}
		if list, _, err := r.List(t.Context(), jobs.Filter{AllTenants: true}, "", 100); err != nil || len(list) != 15 {
			t.Errorf("%d jobs (%v)", len(list), err)
		}
	})
}

func TestUnique(t *testing.T) {
	each(t, func(t *testing.T, db *sqldb.DB) {
		r := open(t, db)
		release, ran := make(chan struct{}), make(chan string, 10)
		kind := jobs.Register(r.Queue, jobs.Kind[map[string]string]{Name: "refresh", Unique: true, Work: func(_ context.Context, args map[string]string) error {
			ran <- args["a.b"]
			<-release
			return nil
		}})
		other := jobs.Register(r.Queue, jobs.Kind[map[string]string]{Name: "other", Unique: true, Work: func(context.Context, map[string]string) error { return nil }})
		r.start()
		// A dot in a name must not make different arguments equal.
		first := add(t, db, kind, map[string]string{"a.b": "1"}, jobs.Options{})
		again := add(t, db, kind, map[string]string{"a.b": "1"}, jobs.Options{})
		second := add(t, db, kind, map[string]string{"a.b": "2"}, jobs.Options{})
		apart := add(t, db, other, map[string]string{"a.b": "1"}, jobs.Options{})
		if first.Existing || !again.Existing || again.ID != first.ID || second.Existing || apart.Existing {
			t.Errorf("first %+v, again %+v, second %+v, other kind %+v", first, again, second, apart)
		}
		<-ran
		<-ran
		if running := add(t, db, kind, map[string]string{"a.b": "1"}, jobs.Options{}); !running.Existing {
			t.Error("a job was added while an equal one ran")
		}
		close(release)
		r.await(first.ID, jobs.Done)
		if later := add(t, db, kind, map[string]string{"a.b": "1"}, jobs.Options{}); later.Existing {
			t.Error("a finished job kept a new one out")
		}
	})
}

func TestOrderAndTime(t *testing.T) {
	each(t, func(t *testing.T, db *sqldb.DB) {
		r := open(t, db, func(c *jobs.Config, _ *lease.Config) { c.Workers = 1 })
		ran := make(chan string, 10)
		kind := jobs.Register(r.Queue, jobs.Kind[named]{Name: "note", Work: func(_ context.Context, args named) error {
			ran <- args.Name
			return nil
		}})
		add(t, db, kind, named{"bulk"}, jobs.Options{})
		add(t, db, kind, named{"bulk"}, jobs.Options{})
		add(t, db, kind, named{"somebody waits"}, jobs.Options{Ahead: true})
		soon := add(t, db, kind, named{"soon"}, jobs.Options{At: time.Now().Add(time.Second)})
		far := add(t, db, kind, named{"tomorrow"}, jobs.Options{At: time.Now().Add(24 * time.Hour)})
		r.await(soon.ID, jobs.Scheduled)
		r.start()
		if first := <-ran; first != "somebody waits" {
			t.Errorf("first ran %q", first)
		}
		<-ran
		<-ran
		if next := <-ran; next != "soon" {
			t.Errorf("then ran %q", next)
		}
		if job := r.await(soon.ID, jobs.Done); job.Started.Before(job.Due) {
			t.Errorf("due at %v, begun at %v", job.Due, job.Started)
		}
		r.await(far.ID, jobs.Scheduled)
		if err := r.change(r.RetryNow, far.ID); err != nil {
			t.Fatal(err)
		}
		if next := <-ran; next != "tomorrow" {
			t.Errorf("started by hand ran %q", next)
		}
	})
}

// Failures are kept and shown; a job is tried again until it may not be.
func TestFailures(t *testing.T) {
	each(t, func(t *testing.T, db *sqldb.DB) {
		r := open(t, db)
		var attempts atomic.Int64
		second := make(chan struct{})
		works := jobs.Register(r.Queue, jobs.Kind[named]{Name: "third_time", Work: func(context.Context, named) error {
			n := attempts.Add(1)
			if n == 2 {
				close(second)
			}
			if n < 3 {
				return fmt.Errorf("try %d: %s", n, strings.Repeat("x", 10_000))
			}
			return nil
		}})
		never := jobs.Register(r.Queue, jobs.Kind[named]{Name: "never", Attempts: 1, Work: func(context.Context, named) error { return errors.New("no luck") }})
		stops := jobs.Register(r.Queue, jobs.Kind[named]{Name: "stops", Work: func(context.Context, named) error {
			return fmt.Errorf("wrapped: %w", jobs.Stop(errors.New("no use")))
		}})
		panics := jobs.Register(r.Queue, jobs.Kind[named]{Name: "panics", Attempts: 1, Work: func(context.Context, named) error { panic("oh") }})
		var puts atomic.Int64
		later := jobs.Register(r.Queue, jobs.Kind[named]{Name: "later", Attempts: 1, Work: func(context.Context, named) error {
			if puts.Add(1) < 2 {
				return jobs.Later(0, errors.New("throttled"))
			}
			return nil
		}})
		slow := jobs.Register(r.Queue, jobs.Kind[named]{Name: "slow", Attempts: 1, Timeout: 20 * time.Millisecond, Work: func(ctx context.Context, _ named) error {
			<-ctx.Done()
			return ctx.Err()
		}})
		r.start()

		id := add(t, db, works, named{}, jobs.Options{}).ID
		job := r.await(id, jobs.Retrying)
		if pause := job.Due.Sub(job.Failures[0].At); len(job.Failures[0].Error) > 5000 || pause < 900*time.Millisecond || pause > 4*time.Second {
			t.Errorf("after the first failure: %d bytes of error, pause %v", len(job.Failures[0].Error), pause)
		}
		<-second // the first pause is waited out
		r.await(id, jobs.Retrying)
		if err := r.change(r.RetryNow, id); err != nil { // no need to wait
			t.Fatal(err)
		}
		job = r.await(id, jobs.Done)
		if len(job.Failures) != 2 || job.Attempt != 3 || !strings.HasPrefix(job.Failures[1].Error, "try 2") || job.Failures[1].Attempt != 2 {
			t.Errorf("%d failures, attempt %d", len(job.Failures), job.Attempt)
		}

		for _, c := range []struct {
			kind *jobs.Kind[named]
			text string
		}{{never, "no luck"}, {stops, "wrapped: no use"}, {panics, "oh"}, {slow, "deadline"}} {
			job := r.await(add(t, db, c.kind, named{}, jobs.Options{}).ID, jobs.Failed)
			if len(job.Failures) != 1 || !strings.Contains(job.Failures[0].Error, c.text) {
				t.Errorf("%s: %+v", c.kind.Name, job.Failures)
			}
		}
		job = r.await(add(t, db, later, named{}, jobs.Options{}).ID, jobs.Done)
		if len(job.Failures) != 0 || puts.Load() != 2 {
			t.Errorf("put off: %d times, %+v", puts.Load(), job)
		}
	})
}

func TestCancel(t *testing.T) {
	each(t, func(t *testing.T, db *sqldb.DB) {
		begun := make(chan struct{}, 1)
		register := func(r *replica) *jobs.Kind[named] {
			return jobs.Register(r.Queue, jobs.Kind[named]{Name: "endless", Work: func(ctx context.Context, _ named) error {
				begun <- struct{}{}
				<-ctx.Done()
				return ctx.Err()
			}})
		}
		idle, r := open(t, db), open(t, db)
		kind := register(r)
		register(idle)
		waiting := add(t, db, kind, named{}, jobs.Options{At: time.Now().Add(time.Hour)}).ID
		if err := idle.change(idle.Cancel, waiting); err != nil {
			t.Fatal(err)
		}
		if job := r.await(waiting, jobs.Cancelled); job.Attempt != 0 {
			t.Errorf("%+v", job)
		}
		r.start()
		from := []*replica{r}
		if db.Postgres() {
			from = append(from, idle) // across replicas
		}
		for _, by := range from {
			running := add(t, db, kind, named{}, jobs.Options{}).ID
			<-begun
			if err := r.change(r.RetryNow, running); !errors.Is(err, jobs.ErrRunning) {
				t.Errorf("starting a running job: %v", err)
			}
			if err := by.change(by.Cancel, running); err != nil {
				t.Fatal(err)
			}
			r.await(running, jobs.Cancelled)
		}
		// A cancellation that is rolled back cancels nothing.
		running := add(t, db, kind, named{}, jobs.Options{}).ID
		<-begun
		no := errors.New("no")
		if err := db.Change(t.Context(), func(ctx context.Context, tx *sqldb.Tx) error {
			return errors.Join(r.Cancel(ctx, tx, running), no)
		}); !errors.Is(err, no) {
			t.Fatal(err)
		}
		if job, err := r.Get(t.Context(), running); err != nil || job.State != jobs.Running {
			t.Errorf("%v %+v", err, job)
		}
		if err := r.change(r.Cancel, running); err != nil {
			t.Fatal(err)
		}
		r.await(running, jobs.Cancelled)
		if err := r.change(r.Cancel, 1<<40); !errors.Is(err, jobs.ErrMissing) {
			t.Errorf("cancelling no job: %v", err)
		}
		if err := r.change(r.RetryNow, 1<<40); !errors.Is(err, jobs.ErrMissing) {
			t.Errorf("starting no job: %v", err)
		}
		if _, err := r.Get(t.Context(), 1<<40); !errors.Is(err, jobs.ErrMissing) {
			t.Errorf("reading no job: %v", err)
		}
	})
}

// A queue that stops lets jobs finish, and hands back those that take too long.
func TestStop(t *testing.T) {
	each(t, func(t *testing.T, db *sqldb.DB) {
		begun, finish := make(chan struct{}, 2), make(chan struct{})
		var patient atomic.Bool
		work := func(ctx context.Context, _ named) error {
			begun <- struct{}{}
			select {
			case <-finish:
				return nil
			case <-ctx.Done():
				if patient.Load() {
					t.Error("cancelled though there was time")
				}
				return ctx.Err()
			}
		}
		kind := jobs.Kind[named]{Name: "work", Attempts: 1, Work: work}
		first := open(t, db)
		registered := jobs.Register(first.Queue, kind)
		first.start()
		id := add(t, db, registered, named{}, jobs.Options{}).ID
		<-begun
		first.stopAt = 10 * time.Millisecond
		first.stop()
		job, err := first.Get(t.Context(), id)
		if err != nil || job.State != jobs.Waiting || job.Attempt != 0 {
			t.Fatalf("handed back: %v %+v", err, job)
		}
		second := open(t, db)
		jobs.Register(second.Queue, kind)
		second.start()
		<-begun
		patient.Store(true)
		stopped := make(chan struct{})
		go func() { second.stop(); close(stopped) }()
		close(finish)
		<-stopped
		if job, err := second.Get(t.Context(), id); err != nil || job.State != jobs.Done {
			t.Errorf("after an orderly stop: %v %+v", err, job)
		}
	})
}

// Periodic work is done once for each time, over all replicas and restarts.
func TestEvery(t *testing.T) {
	each(t, func(t *testing.T, db *sqldb.DB) {
		start := time.Date(2026, 11, 22, 10, 20, 0, 0, time.UTC)
		var clock atomic.Int64
		clock.Store(start.UnixNano())
		due := make(chan time.Time, 10)
		replicaAt := func() *replica {
			r := open(t, db, func(c *jobs.Config, _ *lease.Config) {
				c.Now = func() time.Time { return time.Unix(0, clock.Load()) }
			})
			jobs.Every(r.Queue, time.Hour, jobs.Kind[jobs.Tick]{Name: "sweep", Work: func(_ context.Context, tick jobs.Tick) error {
				due <- tick.Due
				return nil
			}})
			return r.start()
		}
		a, b := replicaAt(), replicaAt()
		if at := <-due; !at.Equal(start.Truncate(time.Hour)) {
			t.Errorf("due at %v", at)
		}
		if err := errors.Join(a.TickAll(t.Context()), b.TickAll(t.Context())); err != nil {
			t.Fatal(err)
		}
		clock.Store(start.Add(40 * time.Minute).UnixNano())
		if err := errors.Join(a.TickAll(t.Context()), b.TickAll(t.Context()), a.TickAll(t.Context())); err != nil {
			t.Fatal(err)
		}
		if at := <-due; !at.Equal(start.Add(40 * time.Minute)) {
			t.Errorf("then due at %v", at)
		}
		clock.Store(start.Add(10 * time.Hour).UnixNano())
		replicaAt() // what was missed is made up for, once
		if at := <-due; !at.Equal(start.Add(10 * time.Hour).Truncate(time.Hour)) {
			t.Errorf("after a pause due at %v", at)
		}
		list, _, err := a.List(t.Context(), jobs.Filter{AllTenants: true, Kinds: []string{"sweep"}}, "", 100)
		if err != nil || len(list) != 3 {
			t.Errorf("%d jobs, want 3 (%v)", len(list), err)
		}
	})
}

func TestList(t *testing.T) {
	each(t, func(t *testing.T, db *sqldb.DB) {
		r := open(t, db)
		kind := jobs.Register(r.Queue, jobs.Kind[named]{Name: "a", Work: func(context.Context, named) error { return nil }})
		other := jobs.Register(r.Queue, jobs.Kind[named]{Name: "b", Work: func(context.Context, named) error { return nil }})
		at := time.Now().Add(time.Hour)
		for i := range 7 {
			add(t, db, kind, named{fmt.Sprint(i)}, jobs.Options{Tenant: fmt.Sprint("t", i%2), At: at})
		}
		add(t, db, other, named{"x"}, jobs.Options{})
		names := func(filter jobs.Filter, limit int) (out []string) {
			for after := ""; ; {
				page, next, err := r.List(t.Context(), filter, after, limit)
				if err != nil {
					t.Fatal(err)
				}
				for _, job := range page {
					out = append(out, strings.Trim(string(job.Args[strings.Index(string(job.Args), ":")+1:]), ` "}`))
				}
				if after = next; next == "" {
					return out
				}
			}
		}
		for want, filter := range map[string]jobs.Filter{
			"[x 6 5 4 3 2 1 0]": {AllTenants: true}, "[6 4 2 0]": {Tenants: []string{"t0"}}, "[6 5 4 3 2 1 0]": {Tenants: []string{"t0", "t1", "t9"}},
			"[x]": {Tenants: []string{""}}, "[]": {}, "[5 3 1]": {Tenants: []string{"t1"}, Kinds: []string{"a"}, States: []jobs.State{jobs.Scheduled}},
		} {
			for _, limit := range []int{2, 50} {
				if got := fmt.Sprint(names(filter, limit)); got != want {
					t.Errorf("%+v by %d: %s, want %s", filter, limit, got, want)
				}
			}
		}
		if got := names(jobs.Filter{AllTenants: true, States: []jobs.State{jobs.Waiting}}, 5); len(got) != 1 {
			t.Errorf("waiting: %v", got)
		}
		if _, _, err := r.List(t.Context(), jobs.Filter{AllTenants: true}, "1 OR 1=1", 5); err == nil {
			t.Error("a cursor of somebody else's was taken")
		}
		if _, _, err := r.List(t.Context(), jobs.Filter{AllTenants: true, States: []jobs.State{"odd"}}, "", 5); err == nil {
			t.Error("a state that is none was taken")
		}
	})
}

// Neither side starves the other: changes go on while many jobs, which change
// things themselves, are worked.
func TestBeside(t *testing.T) {
	each(t, func(t *testing.T, db *sqldb.DB) {
		const many = 90
		r := open(t, db)
		var worked sync.WaitGroup
		worked.Add(many)
		count := func(ctx context.Context) error {
			return db.Change(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
				_, err := tx.NewUpdate().TableExpr("audit_head").Set("seq = seq + 1").Where("id = 1").Exec(ctx)
				return err
			})
		}
		kind := jobs.Register(r.Queue, jobs.Kind[named]{Name: "count", Work: func(ctx context.Context, _ named) error {
			err := count(ctx)
			if err == nil {
				worked.Done()
			}
			return err
		}})
		r.start()
		var wg sync.WaitGroup
		for range 3 {
			wg.Go(func() {
				for range many / 3 {
					if err := db.Change(t.Context(), func(ctx context.Context, tx *sqldb.Tx) error {
						_, err := kind.Add(ctx, tx, named{}, jobs.Options{})
						return err
					}); err != nil {
						t.Error(err)
					}
					if err := count(t.Context()); err != nil {
						t.Error(err)
					}
				}
			})
		}
		wg.Wait()
		worked.Wait()
		var seq int64
		if err := db.Read().NewSelect().TableExpr("audit_head").Column("seq").Scan(t.Context(), &seq); err != nil || seq != 2*many {
			t.Errorf("counted %d (%v), want %d", seq, err, 2*many)
		}
	})
}

func TestMistakes(t *testing.T) {
	each(t, func(t *testing.T, db *sqldb.DB) {
		r := open(t, db)
		work := func(context.Context, named) error { return nil }
		type inner struct{ Deep []*secrets.Value }
		for name, mistake := range map[string]func(){
			"a secret": func() {
				jobs.Register(r.Queue, jobs.Kind[map[string]inner]{Name: "s", Work: func(context.Context, map[string]inner) error { return nil }})
			},
			"no work":        func() { jobs.Register(r.Queue, jobs.Kind[named]{Name: "n"}) },
			"twice":          func() { jobs.Register(r.Queue, jobs.Kind[named]{Name: "a", Work: work}) },
			"a short period": func() { jobs.Every(r.Queue, time.Millisecond, jobs.Kind[jobs.Tick]{Name: "e"}) },
		} {
			if name == "twice" {
				mistake()
			}
			func() {
				defer func() {
					if recover() == nil {
						t.Errorf("%s was allowed", name)
					}
				}()
				mistake()
			}()
		}
		large := jobs.Register(r.Queue, jobs.Kind[named]{Name: "large", Work: work})
		if err := db.Change(t.Context(), func(ctx context.Context, tx *sqldb.Tx) error {
			_, err := large.Add(ctx, tx, named{strings.Repeat("x", 20_000)}, jobs.Options{})
			return err
		}); err == nil || !strings.Contains(err.Error(), "name things by id") {
			t.Errorf("large arguments: %v", err)
		}
	})
}

// Replicas that start at the same moment migrate once, and again changes nothing.
func TestMigrateAtOnce(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		var wg sync.WaitGroup
		replicas := 4
		if !db.Postgres() {
			replicas = 1
		}
		for range replicas {
			wg.Go(func() {
				for range 2 {
					if err := jobs.Migrate(t.Context(), db); err != nil {
						t.Error(err)
					}
				}
			})
		}
		wg.Wait()
	})
}

func TestPauses(t *testing.T) {
	last := time.Duration(0)
	for attempt := 1; attempt < 40; attempt++ {
		least, most := jobs.Pause(attempt, 0), jobs.Pause(attempt, 1)
		if least < last/2 || most > 90*time.Minute || least < time.Second || most != 3*least {
			t.Errorf("attempt %d: %v to %v", attempt, least, most)
		}
		last = least
	}
	if last != 30*time.Minute {
		t.Errorf("the longest pause begins at %v", last)
	}
}
