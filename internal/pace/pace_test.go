package pace_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"gatehouse/internal/pace"
	"gatehouse/internal/sqldb"
	"gatehouse/internal/sqldb/dbtest"
)

func TestMain(m *testing.M) {
	os.Exit(dbtest.Main(m, map[string]func(){"caller": caller}))
}

var policies = pace.Call{Service: "graph", Tenant: "t1", Path: "/v1.0/identity/conditionalAccess/policies"}

func answer(status int, retryAfter string) func() (*http.Response, error) {
	return func() (*http.Response, error) {
		return &http.Response{StatusCode: status, Header: http.Header{"Retry-After": {retryAfter}}, Body: http.NoBody}, nil
	}
}

// do makes a call that is answered as told and reports when it was sent.
func do(ctx context.Context, g *pace.Governor, call pace.Call, status int, retryAfter string) (sent time.Time, err error) {
	response, err := g.Do(ctx, call, func() (*http.Response, error) {
		sent = time.Now()
		return answer(status, retryAfter)()
	})
	if err == nil {
		_ = response.Body.Close()
	}
	return sent, err
}

func TestScopes(t *testing.T) {
	for path, want := range map[string]string{
		"/v1.0/identity/conditionalAccess/policies": "graph-ca/t1 1.1s", "/beta/identity/ConditionalAccess/namedLocations/7": "graph-ca/t1 1.1s",
		"/v1.0/identityProtection/riskyUsers": "graph-ca/t1 1.1s", "/v1.0/identity/conditionalAccess": "graph-ca/t1 1.1s",
		"/v1.0/identity/conditionalAccessOther": "graph/t1 0s", "/v1.0/users/identity/conditionalAccess": "graph/t1 0s", "/v1.0/organization": "graph/t1 0s", "": "graph/t1 0s",
	} {
		name, interval := pace.ScopeOf(pace.Call{Service: "graph", Tenant: "T1", Path: path})
		if got := fmt.Sprint(name, " ", interval); got != want {
			t.Errorf("%s: %s, want %s", path, got, want)
		}
	}
	if name, _ := pace.ScopeOf(pace.Call{Service: "login", Tenant: "a", Path: "/identity/conditionalAccess/policies"}); name != "login/a" {
		t.Errorf("another service: %s", name)
	}
}

// Within a process: one call in the interval, people first, each scope by itself.
func TestPace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := pace.New(pace.Config{})
		start := time.Now()
		var mu sync.Mutex
		sent := map[string]time.Duration{}
		var wg sync.WaitGroup
		call := func(ctx context.Context, name string, c pace.Call) {
			wg.Go(func() {
				at, err := do(ctx, g, c, 200, "")
				if err != nil {
					t.Errorf("%s: %v", name, err)
				}
				mu.Lock()
				sent[name] = at.Sub(start)
				mu.Unlock()
			})
			synctest.Wait()
		}
		for i := range 4 {
			call(t.Context(), fmt.Sprint("bulk ", i), policies)
		}
		call(pace.Interactive(t.Context()), "person 0", policies)
		call(pace.Interactive(t.Context()), "person 1", policies)
		elsewhere := policies
		elsewhere.Tenant = "t2"
		call(t.Context(), "other tenant", elsewhere)
		call(t.Context(), "other path", pace.Call{Service: "graph", Tenant: "t1", Path: "/v1.0/organization"})
		wg.Wait()
		for i, name := range []string{"bulk 0", "person 0", "person 1", "bulk 1", "bulk 2", "bulk 3"} {
			if want := time.Duration(i) * 1100 * time.Millisecond; sent[name] != want {
				t.Errorf("%s was sent at %v, want %v", name, sent[name], want)
			}
		}
		for _, name := range []string{"other tenant", "other path"} {
			if sent[name] != 0 {
				t.Errorf("%s waited %v", name, sent[name])
			}
		}
	})
}

// A caller that gives up takes nobody's turn, and one whose time does not
// suffice is told at once.
func TestGivingUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := pace.New(pace.Config{})
		if _, err := do(t.Context(), g, policies, 200, ""); err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		gone, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() {
			if _, err := do(gone, g, policies, 200, ""); !errors.Is(err, context.Canceled) {
				t.Errorf("a caller that gave up: %v", err)
			}
		})
		synctest.Wait()
		wg.Go(func() {
			at, err := do(t.Context(), g, policies, 200, "")
			if err != nil || at.Sub(start) != 1100*time.Millisecond {
				t.Errorf("behind it: %v after %v", err, at.Sub(start))
			}
		})
		synctest.Wait()
		short, stop := context.WithTimeout(t.Context(), time.Second)
		defer stop()
		_, err := do(short, g, policies, 200, "")
		var busy *pace.Busy
		if !errors.As(err, &busy) || busy.RetryAfter != 2200*time.Millisecond || time.Since(start) != 0 {
			t.Errorf("one in a hurry: %v after %v", err, time.Since(start))
		}
		cancel()
		wg.Wait()
	})
}

// What one call is told all heed.
func TestRetryAfter(t *testing.T) {
	users := pace.Call{Service: "graph", Tenant: "t1", Path: "/v1.0/users"}
	for _, c := range []struct {
		name        string
		call        pace.Call
		status      int
		header      string
		least, most time.Duration
	}{
		{"seconds", users, 429, "7", 7 * time.Second, 7200 * time.Millisecond},
		{"busy service", users, 503, "3", 3 * time.Second, 3200 * time.Millisecond},
		{"refused without a time", users, 429, "", 2 * time.Second, 2400 * time.Millisecond},
		{"nonsense", users, 429, "soon", 2 * time.Second, 2400 * time.Millisecond},
		{"busy without a time", users, 503, "", 0, 0},
		{"fine", users, 200, "9", 0, 0},
		{"paced scope", policies, 429, "", 2 * time.Second, 2400 * time.Millisecond},
		{"paced scope, told", policies, 429, "5", 5 * time.Second, 5200 * time.Millisecond},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				g := pace.New(pace.Config{})
				start := time.Now()
				if _, err := do(t.Context(), g, c.call, c.status, c.header); err != nil {
					t.Fatal(err)
				}
				if at, err := do(t.Context(), g, pace.Call{Service: "graph", Tenant: "t2", Path: c.call.Path}, 200, ""); err != nil || at != start {
					t.Errorf("another tenant waited %v (%v)", at.Sub(start), err)
				}
				at, err := do(t.Context(), g, c.call, 200, "")
				least, most := c.least, c.most
				if err != nil || at.Sub(start) < least || at.Sub(start) > most {
					t.Errorf("the next was sent after %v (%v), want %v to %v", at.Sub(start), err, least, most)
				}
			})
		})
	}
	synctest.Test(t, func(t *testing.T) {
		g := pace.New(pace.Config{})
		for _, call := range []pace.Call{users, policies} {
			if _, err := do(t.Context(), g, call, 429, "120"); err != nil {
				t.Fatal(err)
			}
			start := time.Now()
			_, err := do(t.Context(), g, call, 200, "")
			var busy *pace.Busy
			if !errors.As(err, &busy) || busy.RetryAfter != 2*time.Minute || time.Since(start) != 0 {
				t.Errorf("two minutes: %v after %v", err, time.Since(start))
			}
		}
		// A refusal that arrives while others wait for their slot holds them up too.
		g = pace.New(pace.Config{})
		release := make(chan struct{})
		var wg sync.WaitGroup
		wg.Go(func() {
			_, _ = g.Do(t.Context(), policies, func() (*http.Response, error) { <-release; return answer(429, "4")() }) //nolint:bodyclose // has none
		})
		synctest.Wait()
		start := time.Now()
		wg.Go(func() {
			if at, err := do(t.Context(), g, policies, 200, ""); err != nil || at.Sub(start) < 4*time.Second {
				t.Errorf("sent %v after a refusal that asked for 4 s (%v)", at.Sub(start), err)
			}
		})
		synctest.Wait()
		close(release)
		wg.Wait()
	})
}

// No call is made inside a transaction, with or without a governor.
func TestInChange(t *testing.T) {
	db := dbtest.Open(t, dbtest.SQLite(t))
	for _, g := range []*pace.Governor{nil, pace.New(pace.Config{}), pace.New(pace.Config{DB: db})} {
		err := db.Change(t.Context(), func(ctx context.Context, _ *sqldb.Tx) error {
			_, err := do(ctx, g, policies, 200, "")
			return err
		})
		if !errors.Is(err, pace.ErrInChange) {
			t.Errorf("inside a transaction: %v", err)
		}
		if _, err := do(t.Context(), g, policies, 200, ""); err != nil {
			t.Errorf("outside: %v", err)
		}
	}
}

// Two governors on one database keep the pace together, and share what one of
// them was told.
func TestShared(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		defer dbtest.Leaks(t)()
		const interval, calls = 20 * time.Millisecond, 30
		var mu sync.Mutex
		var slots []time.Time
		governors := []*pace.Governor{pace.New(pace.Config{DB: db}), pace.New(pace.Config{DB: db})}
		var wg sync.WaitGroup
		for i, g := range governors {
			g.OnGrant(func(slot time.Time) {
				mu.Lock()
				defer mu.Unlock()
				slots = append(slots, slot)
			})
			for range calls / 2 {
				wg.Go(func() {
					if err := g.WaitFor(t.Context(), "s", interval); err != nil {
						t.Errorf("governor %d: %v", i, err)
					}
				})
			}
		}
		wg.Wait()
		apart(t, slots, calls, interval)

		users := pace.Call{Service: "graph", Tenant: "t1", Path: "/v1.0/users"}
		for _, call := range []pace.Call{users, policies} {
			if _, err := do(t.Context(), governors[0], call, 429, "60"); err != nil {
				t.Fatal(err)
			}
			_, err := do(t.Context(), governors[1], call, 200, "")
			var busy *pace.Busy
			if !errors.As(err, &busy) || busy.RetryAfter > time.Minute || busy.RetryAfter < 50*time.Second {
				t.Errorf("%s on the other replica: %v", call.Path, err)
			}
		}
		if at, err := do(t.Context(), governors[1], pace.Call{Service: "login", Tenant: "t1"}, 200, ""); err != nil || at.IsZero() {
			t.Errorf("another service: %v", err)
		}
	})
}

// apart checks that slots were handed out in time.
func apart(t *testing.T, slots []time.Time, calls int, interval time.Duration) {
	t.Helper()
	if len(slots) != calls {
		t.Fatalf("%d slots, want %d", len(slots), calls)
	}
	slices.SortFunc(slots, time.Time.Compare)
	for i := 1; i < len(slots); i++ {
		if gap := slots[i].Sub(slots[i-1]); gap < interval {
			t.Errorf("slot %d comes %v after the one before", i, gap)
		}
	}
}

const processInterval, processCalls = 25 * time.Millisecond, 20

// caller is a server process that makes calls as fast as it may and prints
// slot and time of each, by the database's clock.
func caller() {
	ctx := context.Background()
	db, err := sqldb.Open(ctx, os.Getenv("GATEHOUSE_TEST_ADDRESS"))
	if err != nil {
		panic(err)
	}
	g := pace.New(pace.Config{DB: db})
	var slot time.Time
	g.OnGrant(func(at time.Time) { slot = at })
	for range processCalls {
		if err := g.WaitFor(ctx, "s", processInterval); err != nil {
			panic(err)
		}
		var now int64
		if err := db.Read().NewRaw("SELECT ?", db.ClockMicros(time.Now)).Scan(ctx, &now); err != nil {
			panic(err)
		}
		fmt.Println("slot", slot.UnixMicro(), now)
	}
}

// Two server processes together make no more calls than one may.
func TestProcesses(t *testing.T) {
	dbtest.EachAddress(t, func(t *testing.T, address string) {
		if !sqldb.IsPostgres(address) {
			return // a SQLite file belongs to one process
		}
		dbtest.Open(t, address)
		env := "GATEHOUSE_TEST_ADDRESS=" + address
		both := []*dbtest.Process{dbtest.Start(t, "caller", env), dbtest.Start(t, "caller", env)}
		var slots []time.Time
		for _, p := range both {
			for range processCalls {
				var slot, at int64
				if _, err := fmt.Sscan(p.Await(t, "slot"), &slot, &at); err != nil {
					t.Fatal(err)
				}
				slots = append(slots, time.UnixMicro(slot))
				if at < slot {
					t.Errorf("sent %d µs before its slot", slot-at)
				}
			}
			if err := p.Wait(); err != nil {
				t.Error(err)
			}
		}
		apart(t, slots, 2*processCalls, processInterval)
	})
}

// The forms of the header.
func TestRetryAfterHeader(t *testing.T) {
	now := time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)
	for header, want := range map[string]time.Duration{"": 0, "5": 5 * time.Second, " 7 ": 7 * time.Second, "-1": 0, "soon": 0, "99999999999999999999": 0,
		"Sun, 22 Nov 2026 10:01:00 GMT": time.Minute, "Sun, 22 Nov 2026 09:00:00 GMT": 0} {
		if got := pace.RetryAfter(header, now); got != want {
			t.Errorf("%q: %v, want %v", header, got, want)
		}
	}
}

// FuzzRetryAfter: whatever the header says, the pause is bounded.
func FuzzRetryAfter(f *testing.F) {
	for _, seed := range []string{"", "5", "-1", " 7 ", "99999999999999999999", "Sun, 22 Nov 2026 10:01:00 GMT", "1e9", "0x10"} {
		f.Add(seed)
	}
	now := time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)
	f.Fuzz(func(t *testing.T, header string) {
		if d := pace.RetryAfter(header, now); d < 0 {
			t.Errorf("%q gives %v", header, d)
		}
		if bytes.ContainsAny([]byte(header), "abcdfhijklmnoprstuvwy") && pace.RetryAfter(header, now) > 0 {
			if _, err := http.ParseTime(header); err != nil {
				t.Errorf("%q was read", header)
			}
		}
	})
}
