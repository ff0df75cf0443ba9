package live_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"gatehouse/internal/live"
	"gatehouse/internal/sqldb"
	"gatehouse/internal/sqldb/dbtest"
)

func TestMain(m *testing.M) {
	os.Exit(dbtest.Main(m, map[string]func(){"page": page}))
}

// each runs a test on each database and looks for goroutines that are left.
func each(t *testing.T, test func(t *testing.T, db *sqldb.DB)) {
	t.Helper()
	dbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		if db.Postgres() { // the pool's connection for reading
			if _, err := db.Read().ExecContext(t.Context(), "SELECT 1"); err != nil {
				t.Fatal(err)
			}
		}
		t.Cleanup(dbtest.Leaks(t))
		test(t, db)
	})
}

// hub gives a hub that runs.
func hub(t *testing.T, db *sqldb.DB) *live.Hub {
	t.Helper()
	h := live.New(live.Config{DB: db})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { h.Run(ctx); close(done) }()
	t.Cleanup(func() { cancel(); <-done })
	<-h.Listening()
	return h
}

func publish(t *testing.T, db *sqldb.DB, h *live.Hub, topic, tenant string, data any) {
	t.Helper()
	if err := db.Change(t.Context(), func(ctx context.Context, tx *sqldb.Tx) error {
		return h.Publish(ctx, tx, topic, tenant, data)
	}); err != nil {
		t.Fatal(err)
	}
}

func subscribe(t *testing.T, h *live.Hub, filter live.Filter, after string) <-chan live.Event {
	t.Helper()
	events, err := h.Subscribe(t.Context(), filter, after)
	if err != nil {
		t.Fatal(err)
	}
	return events
}

// next gives the data of the next event.
func next(t *testing.T, events <-chan live.Event) live.Event {
	t.Helper()
	select {
	case e, ok := <-events:
		if !ok {
			t.Fatal("the subscription has ended")
		}
		return e
	case <-time.After(10 * time.Second):
		t.Fatal("no event came")
	}
	panic("not reached")
}

// An event comes once its transaction is committed, to whoever may see it.
func TestPublish(t *testing.T) {
	each(t, func(t *testing.T, db *sqldb.DB) {
		here, there := hub(t, db), hub(t, db)
		if !db.Postgres() {
			there = here // one process
		}
		all := subscribe(t, there, live.Filter{AllTenants: true}, "")
		one := subscribe(t, there, live.Filter{Tenants: []string{"t1", ""}}, "")
		jobs := subscribe(t, there, live.Filter{AllTenants: true, Topics: []string{"job"}}, "")
		nothing := subscribe(t, there, live.Filter{}, "")
		no := errors.New("no")
		if err := db.Change(t.Context(), func(ctx context.Context, tx *sqldb.Tx) error {
			return errors.Join(here.Publish(ctx, tx, "job", "t1", "rolled back"), no)
		}); !errors.Is(err, no) {
			t.Fatal(err)
		}
		publish(t, db, here, "connection", "", "operators only")
		publish(t, db, here, "connection", "t2", "other tenant")
		publish(t, db, here, "connection", "t1", map[string]int{"n": 1})
		publish(t, db, here, "job", "t1", "job")
		for _, want := range []string{`"operators only"`, `"other tenant"`, `{"n":1}`, `"job"`} {
			if e := next(t, all); string(e.Data) != want || e.ID == "" || time.Since(e.At).Abs() > time.Minute {
				t.Errorf("all: %+v, want %s", e, want)
			}
		}
		for _, want := range []string{`{"n":1}`, `"job"`} {
			if e := next(t, one); string(e.Data) != want || e.Tenant != "t1" {
				t.Errorf("one tenant: %+v, want %s", e, want)
			}
		}
		if e := next(t, jobs); string(e.Data) != `"job"` || e.Topic != "job" {
			t.Errorf("one topic: %+v", e)
		}
		if len(nothing)+len(one)+len(jobs)+len(all) != 0 {
			t.Errorf("more events than published: %d %d %d %d", len(nothing), len(one), len(jobs), len(all))
		}
		// What belongs to many tenants is one event, to whoever may see any of them.
		many := []string{"t2"}
		for n := range 500 {
			many = append(many, fmt.Sprintf("of-many-%03d", n))
		}
		other := subscribe(t, there, live.Filter{Tenants: []string{"t3", many[400], many[7]}}, "")
		for _, among := range [][]string{many, append([]string{"t1"}, many...)} {
			if err := db.Change(t.Context(), func(ctx context.Context, tx *sqldb.Tx) error {
				return here.PublishAmong(ctx, tx, "campaign", among, len(among))
			}); err != nil {
				t.Fatal(err)
			}
		}
		for want, events := range map[string][]<-chan live.Event{"501": {all, other}, "502": {one}} {
			for _, heard := range events {
				if e := next(t, heard); string(e.Data) != want || e.Tenant != "" {
					t.Errorf("%+v, want %s, and no tenant named", e, want)
				}
			}
		}
		if all, other := next(t, all), next(t, other); string(all.Data) != "502" || string(other.Data) != "502" {
			t.Errorf("%s %s", all.Data, other.Data)
		}
		if len(nothing)+len(one)+len(jobs)+len(all)+len(other) != 0 {
			t.Errorf("of what belongs to many: %d %d %d %d %d too many", len(nothing), len(one), len(jobs), len(all), len(other))
		}
		if err := db.Change(t.Context(), func(ctx context.Context, tx *sqldb.Tx) error {
			return here.Publish(ctx, tx, "job", "t1", strings.Repeat("x", 5000))
		}); err == nil {
			t.Error("large data was published")
		}
	})
}

// A page whose connection broke goes on where it was; if that is too long ago
// it hears so.
func TestGoingOn(t *testing.T) {
	each(t, func(t *testing.T, db *sqldb.DB) {
		h := hub(t, db)
		first := subscribe(t, h, live.Filter{AllTenants: true}, "")
		publish(t, db, h, "job", "t1", "seen")
		seen := next(t, first)
		// A transaction that began before the last event was seen and ends after.
		begun, finish, done := make(chan struct{}), make(chan struct{}), make(chan error)
		if db.Postgres() {
			go func() {
				done <- db.Change(t.Context(), func(ctx context.Context, tx *sqldb.Tx) error {
					err := h.Publish(ctx, tx, "job", "t1", "late")
					close(begun)
					<-finish
					return err
				})
			}()
			<-begun
		}
		publish(t, db, h, "job", "t2", "other tenant")
		publish(t, db, h, "job", "t1", "missed")
		next(t, first)
		missed := next(t, first)
		if db.Postgres() {
			close(finish)
			if err := <-done; err != nil {
				t.Fatal(err)
			}
			next(t, first)
		}
		again := subscribe(t, h, live.Filter{Tenants: []string{"t1"}}, seen.ID)
		got := map[string]bool{}
		for range len(again) {
			got[string(next(t, again).Data)] = true
		}
		if !got[`"missed"`] || got[`"other tenant"`] || got[`"seen"`] || db.Postgres() && !got[`"late"`] {
			t.Errorf("caught up with %v", got)
		}
		if db.Postgres() { // what began earlier and was committed later is not missed
			later := subscribe(t, h, live.Filter{Tenants: []string{"t1"}}, missed.ID)
			found := false
			for range len(later) {
				found = found || string(next(t, later).Data) == `"late"`
			}
			if !found {
				t.Error("the late event was missed")
			}
		}
		publish(t, db, h, "job", "t1", "now")
		if e := next(t, again); string(e.Data) != `"now"` {
			t.Errorf("after catching up: %+v", e)
		}
		for name, after := range map[string]string{"unknown": "0195a000-0000-7000-8000-000000000000", "no id": "x'; DROP TABLE pace"} {
			gone := subscribe(t, h, live.Filter{AllTenants: true}, after)
			if e := next(t, gone); !e.Reload {
				t.Errorf("%s: %+v", name, e)
			}
			if _, open := <-gone; open {
				t.Errorf("%s: the subscription goes on", name)
			}
		}
	})
}

// A page that reads nothing holds nobody up, and learns that it has to reload.
func TestSlow(t *testing.T) {
	each(t, func(t *testing.T, db *sqldb.DB) {
		h := hub(t, db)
		slow := subscribe(t, h, live.Filter{AllTenants: true}, "")
		quick := subscribe(t, h, live.Filter{AllTenants: true}, "")
		var first live.Event
		for i := range live.Buffer + 10 {
			publish(t, db, h, "job", "t1", i)
			if e := next(t, quick); string(e.Data) != fmt.Sprint(i) {
				t.Fatalf("event %d: %+v", i, e)
			} else if i == 0 {
				first = e
			}
		}
		for i := range live.Buffer {
			if e := next(t, slow); e.Reload || string(e.Data) != fmt.Sprint(i) {
				t.Fatalf("event %d: %+v", i, e)
			}
		}
		if e := next(t, slow); !e.Reload {
			t.Errorf("instead of the demand to reload: %+v", e)
		}
		if _, open := <-slow; open {
			t.Error("the subscription goes on")
		}
		behind := subscribe(t, h, live.Filter{AllTenants: true}, first.ID)
		last := live.Event{}
		for e := range behind {
			last = e
		}
		if !last.Reload {
			t.Errorf("too much to catch up with: %+v", last)
		}
	})
}

func TestEnds(t *testing.T) {
	each(t, func(t *testing.T, db *sqldb.DB) {
		h := hub(t, db)
		ctx, cancel := context.WithCancel(t.Context())
		events, err := h.Subscribe(ctx, live.Filter{AllTenants: true}, "")
		if err != nil {
			t.Fatal(err)
		}
		cancel()
		if _, open := <-events; open {
			t.Error("an event came")
		}
		publish(t, db, h, "job", "", "nobody listens")
		if _, err := db.Read().NewRaw("SELECT 1").Exec(t.Context()); err != nil {
			t.Fatal(err)
		}
		count := func() (n int) {
			if err := db.Read().NewRaw("SELECT count(*) FROM live_events").Scan(t.Context(), &n); err != nil {
				t.Fatal(err)
			}
			return n
		}
		if err := db.Change(t.Context(), func(ctx context.Context, tx *sqldb.Tx) error {
			_, err := tx.NewRaw("INSERT INTO live_events (id, at, topic, tenant_id, data) VALUES ('old', ?, '', '', '{}')", time.Now().Add(-time.Hour).UTC()).Exec(ctx)
			return err
		}); err != nil {
			t.Fatal(err)
		}
		if err := h.Clean(t.Context()); err != nil || count() != 1 {
			t.Errorf("%d events are kept (%v), want 1", count(), err)
		}
	})
}

// page is a server process with one open page. It prints what it hears.
func page() {
	ctx, cancel := context.WithCancel(context.Background())
	db, err := sqldb.Open(ctx, os.Getenv("GATEHOUSE_TEST_ADDRESS"))
	if err != nil {
		panic(err)
	}
	h := live.New(live.Config{DB: db})
	events, err := h.Subscribe(ctx, live.Filter{Tenants: []string{"t1"}}, "")
	if err != nil {
		panic(err)
	}
	done := make(chan struct{})
	go func() { h.Run(ctx); close(done) }()
	<-h.Listening()
	fmt.Println("listening")
	go func() {
		for bufio.NewScanner(os.Stdin).Scan() {
		}
		cancel()
	}()
	for e := range events {
		fmt.Println("event", string(e.Data), e.Reload)
	}
	<-done
}

// What one server process changes the pages of another show, also when its
// connection to the database broke meanwhile.
func TestProcesses(t *testing.T) {
	dbtest.EachAddress(t, func(t *testing.T, address string) {
		if !sqldb.IsPostgres(address) {
			return // a SQLite file belongs to one process
		}
		db := dbtest.Open(t, address)
		h := live.New(live.Config{DB: db})
		other := dbtest.Start(t, "page", "GATEHOUSE_TEST_ADDRESS="+address)
		other.Await(t, "listening")
		const events = 20
		for i := range events {
			publish(t, db, h, "job", "t2", "not this")
			publish(t, db, h, "job", "t1", i)
			if i == events/2 {
				var ended bool
				if err := db.Read().NewRaw("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND query LIKE 'LISTEN%'").Scan(t.Context(), &ended); err != nil || !ended {
					t.Fatalf("breaking the connection: %v, %v", ended, err)
				}
			}
		}
		got := map[string]bool{}
		began := time.Now()
		for len(got) < events {
			got[other.Await(t, "event")] = true
		}
		if waited := time.Since(began); waited > 20*time.Second { // then only the safety net caught them
			t.Errorf("what was missed came after %v", waited)
		}
		for i := range events {
			if !got[fmt.Sprint(i, " false")] {
				t.Errorf("event %d was not heard: %v", i, got)
			}
		}
		if err := other.Stdin.Close(); err != nil {
			t.Fatal(err)
		}
		if err := other.Wait(); err != nil {
			t.Error(err)
		}
	})
}
