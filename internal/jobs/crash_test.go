package jobs_test

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"sync"
	"testing"
	"time"

	"gatehouse/internal/jobs"
	"gatehouse/internal/lease"
	"gatehouse/internal/sqldb"
	"gatehouse/internal/sqldb/dbtest"
)

const crashTTL = time.Second

// effects registers work that leaves a row, once.
func effects(q *jobs.Queue, db *sqldb.DB) *jobs.Kind[named] {
	return jobs.Register(q, jobs.Kind[named]{Name: "effect", Attempts: 100, Work: func(ctx context.Context, args named) error {
		return db.Change(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
			_, err := tx.ExecContext(ctx, "INSERT INTO instance (name, value) VALUES (?, '') ON CONFLICT (name) DO NOTHING", args.Name)
			return err
		})
	}})
}

// workerProcess is a server that adds jobs and works on them until it is
// killed. It prints each name once its job is committed.
func workerProcess() {
	fail := func(err error) {
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
	ctx := context.Background()
	db, err := sqldb.Open(ctx, os.Getenv("GATEHOUSE_TEST_ADDRESS"))
	fail(err)
	r := lease.New(lease.Config{DB: db, TTL: crashTTL})
	fail(r.Join(ctx))
	go func() { fail(r.Run(ctx)) }()
	q, err := jobs.New(jobs.Config{DB: db, Replica: r, Log: slog.New(slog.DiscardHandler)})
	fail(err)
	kind := effects(q, db)
	fail(q.Start(ctx))
	for i := 0; ; i++ {
		name := fmt.Sprintf("%s/%d", r.ID(), i)
		fail(db.Change(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
			_, err := kind.Add(ctx, tx, named{name}, jobs.Options{})
			return err
		}))
		fmt.Println(name)
	}
}

// Whenever servers are killed, each job that was acknowledged takes effect.
func TestKilled(t *testing.T) {
	rounds := 4
	if os.Getenv("GATEHOUSE_SOAK") == "1" {
		rounds = 60
	}
	each(t, func(t *testing.T, db *sqldb.DB) {
		together := 1 // a SQLite file belongs to one process
		if db.Postgres() {
			together = 2
		}
		acknowledged := map[string]bool{}
		for range rounds {
			var wg sync.WaitGroup
			var mu sync.Mutex
			for range together {
				p := dbtest.Start(t, "worker", "GATEHOUSE_TEST_ADDRESS="+db.Address())
				wg.Go(func() {
					left := 1 + rand.IntN(40)
					for name := range p.Lines {
						mu.Lock()
						acknowledged[name] = true
						mu.Unlock()
						if left--; left == 0 {
							if err := p.Process.Kill(); err != nil {
								t.Error(err)
							}
						}
					}
					_ = p.Wait() // killed
				})
			}
			wg.Wait()
		}
		if len(acknowledged) < rounds*together {
			t.Fatalf("only %d jobs were added", len(acknowledged))
		}
		r := open(t, db, func(_ *jobs.Config, l *lease.Config) { l.TTL = crashTTL })
		effects(r.Queue, db)
		r.start()
		tick := time.NewTicker(20 * time.Millisecond)
		defer tick.Stop()
		deadline := time.After(60 * time.Second)
		for {
			open, _, err := r.List(t.Context(), jobs.Filter{AllTenants: true, States: []jobs.State{jobs.Waiting, jobs.Running, jobs.Retrying, jobs.Scheduled}}, "", 1)
			if err != nil {
				t.Fatal(err)
			}
			if len(open) == 0 {
				break
			}
			select {
			case <-deadline:
				t.Fatalf("jobs are left: %+v", open)
			case <-tick.C:
			}
		}
		var names []string
		if err := db.Read().NewRaw("SELECT name FROM instance").Scan(t.Context(), &names); err != nil {
			t.Fatal(err)
		}
		effect := map[string]bool{}
		for _, name := range names {
			effect[name] = true
		}
		for name := range acknowledged {
			if !effect[name] {
				t.Errorf("the job %s was acknowledged and had no effect", name)
			}
		}
		failed, _, err := r.List(t.Context(), jobs.Filter{AllTenants: true, States: []jobs.State{jobs.Failed, jobs.Cancelled}}, "", 1)
		if err != nil || len(failed) != 0 {
			t.Errorf("failed: %v %+v", err, failed)
		}
		var taken int
		if err := db.Read().NewRaw("SELECT count(*) FROM river_job WHERE attempt > 1").Scan(t.Context(), &taken); err != nil {
			t.Fatal(err)
		}
		t.Logf("%d jobs acknowledged, %d effects, %d worked again after a kill", len(acknowledged), len(effect), taken)
	})
}
