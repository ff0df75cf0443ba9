package jobs_test

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"testing"
	"time"

	"gatehouse/internal/jobs"
	"gatehouse/internal/lease"
	"gatehouse/internal/live"
	"gatehouse/internal/sqldb"
)

// Pages that show a job hear when it is added, begins, ends, is started by hand
// and is cancelled; those that may not see its tenant hear nothing.
func TestNews(t *testing.T) {
	each(t, func(t *testing.T, db *sqldb.DB) {
		hub := live.New(live.Config{DB: db})
		r := open(t, db, func(c *jobs.Config, _ *lease.Config) { c.Live = hub })
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		done := make(chan struct{})
		go func() { hub.Run(ctx); close(done) }()
		defer func() { r.stop(); cancel(); <-done }()
		<-hub.Listening()

		release := make(chan struct{})
		kind := jobs.Register(r.Queue, jobs.Kind[named]{Name: "show", Attempts: 1, Work: func(ctx context.Context, args named) error {
			if args.Name == "fails" {
				return errors.New("no luck")
			}
			<-release
			return nil
		}})
		r.start()
		subscribe := func(f live.Filter) <-chan live.Event {
			events, err := hub.Subscribe(ctx, f, "")
			if err != nil {
				t.Fatal(err)
			}
			return events
		}
		mine := subscribe(live.Filter{Tenants: []string{"t1"}, Topics: []string{jobs.Topic}})
		others := subscribe(live.Filter{Tenants: []string{"t2"}})
		// told waits for an event about a job that then is in a state.
		told := func(id int64, state jobs.State) {
			t.Helper()
			for {
				select {
				case e := <-mine:
					var n jobs.News
					if err := json.Unmarshal(e.Data, &n); err != nil || e.Tenant != "t1" {
						t.Fatalf("%+v %v", e, err)
					}
					job, err := r.Get(ctx, id)
					if err != nil {
						t.Fatal(err)
					}
					if slices.Contains(n.Jobs, id) && job.State == state {
						return
					}
				case <-ctx.Done():
					t.Fatalf("nobody was told that job %d is %s", id, state)
				}
			}
		}
		id := add(t, db, kind, named{"waits"}, jobs.Options{Tenant: "t1"}).ID
		told(id, jobs.Running)
		far := add(t, db, kind, named{"far"}, jobs.Options{Tenant: "t1", At: time.Now().Add(time.Hour)}).ID
		told(far, jobs.Scheduled)
		close(release)
		told(id, jobs.Done)
		if err := r.change(r.Cancel, far); err != nil {
			t.Fatal(err)
		}
		told(far, jobs.Cancelled)
		if err := r.change(r.RetryNow, far); err != nil {
			t.Fatal(err)
		}
		told(far, jobs.Done)
		told(add(t, db, kind, named{"fails"}, jobs.Options{Tenant: "t1"}).ID, jobs.Failed)
		select {
		case e := <-others:
			t.Errorf("another tenant's pages heard %+v", e)
		default:
		}
	})
}

// An event names a bounded number of jobs, and says that there are more.
func TestManyNews(t *testing.T) {
	each(t, func(t *testing.T, db *sqldb.DB) {
		hub := live.New(live.Config{DB: db})
		r := open(t, db, func(c *jobs.Config, _ *lease.Config) { c.Live = hub })
		for id := range int64(300) {
			r.Tell("t1", id)
		}
		r.Tell("t2", 7)
		if err := r.Publish(t.Context()); err != nil {
			t.Fatal(err)
		}
		var data []string
		if err := db.Read().NewRaw("SELECT data FROM live_events ORDER BY tenant_id").Scan(t.Context(), &data); err != nil || len(data) != 2 {
			t.Fatalf("%d events %v", len(data), err)
		}
		var many, one jobs.News
		if err := errors.Join(json.Unmarshal([]byte(data[0]), &many), json.Unmarshal([]byte(data[1]), &one)); err != nil {
			t.Fatal(err)
		}
		if len(many.Jobs) != 100 || !many.More || len(one.Jobs) != 1 || one.More {
			t.Errorf("%+v %+v", many, one)
		}
	})
}
