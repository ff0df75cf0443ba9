package graph_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"net/http"

	"gatehouse/internal/microsoft"
	"gatehouse/internal/microsoft/graph"
	"gatehouse/internal/secrets"
)

const (
	policies  = "/v1.0/identity/conditionalAccess/policies"
	locations = "/v1.0/identity/conditionalAccess/namedLocations"
)

func governed(t testing.TB, w wire, g *graph.Governor) *graph.Client {
	t.Helper()
	c, err := graph.New(graph.Config{Cloud: microsoft.Cloud{Graph: "https://graph.test"}, Transport: w, Governor: g,
		Token: func(context.Context) (secrets.Value, error) { return secrets.New("planted-token"), nil }})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// Conditional Access lets one request a second through for a whole tenant:
// policies and named locations, pages, repetitions and several clients
// included. Everything else goes at once.
func TestGovernor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		var times []time.Time
		refuse := 1
		w := func(r *http.Request) reply {
			mu.Lock()
			defer mu.Unlock()
			if r.URL.Path != policies && r.URL.Path != locations {
				return answer(200, `{"value":[]}`)
			}
			times = append(times, time.Now())
			if refuse > 0 { // another app took the turn: no Retry-After
				refuse--
				return answer(429, `{"error":{"code":"TooManyRequests"}}`)
			}
			if r.URL.Path == policies && r.URL.RawQuery == "" {
				return answer(200, `{"value":[],"@odata.nextLink":"https://graph.test`+policies+`?$skiptoken=2"}`)
			}
			return answer(200, `{"value":[]}`)
		}
		g := graph.NewGovernor(nil, nil)
		var working sync.WaitGroup
		for _, path := range []string{policies, locations, locations} {
			working.Go(func() {
				if _, err := graph.List[graph.Policy](t.Context(), governed(t, w, g), path); err != nil {
					t.Error(err)
				}
			})
		}
		start := time.Now()
		if _, err := graph.List[graph.User](t.Context(), governed(t, w, g), "/v1.0/users"); err != nil || time.Since(start) != 0 {
			t.Errorf("another call waited %v: %v", time.Since(start), err)
		}
		working.Wait()
		if len(times) != 5 { // four and the one that was refused
			t.Fatalf("%d calls", len(times))
		}
		for i := 1; i < len(times); i++ {
			if between := times[i].Sub(times[i-1]); between < time.Second {
				t.Errorf("call %d came %v after the one before", i, between)
			}
		}
	})
}

// Who waits for a turn can be called off, and leaves the turn to others.
func TestGovernorCalledOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := graph.NewGovernor(nil, nil)
		c := governed(t, func(*http.Request) reply { return answer(200, `{"value":[]}`) }, g)
		if err := c.Get(t.Context(), policies, nil); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
		defer cancel()
		start := time.Now()
		if err := c.Get(ctx, policies, nil); !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != 300*time.Millisecond {
			t.Errorf("after %v: %v", time.Since(start), err)
		}
		if err := c.Get(t.Context(), policies, nil); err != nil || time.Since(start) != time.Second {
			t.Errorf("after %v: %v", time.Since(start), err)
		}
	})
}

// A clock that was set back holds nobody up for longer than the gap.
func TestGovernorClockSetBack(t *testing.T) {
	now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	var waited time.Duration
	g := graph.NewGovernor(func() time.Time { return now }, func(_ context.Context, d time.Duration) error { waited += d; return nil })
	c := governed(t, func(*http.Request) reply { return answer(200, `{}`) }, g)
	for range 2 {
		if err := c.Get(t.Context(), policies, nil); err != nil {
			t.Fatal(err)
		}
		now = now.Add(-time.Hour)
	}
	if waited != time.Second {
		t.Errorf("waited %v", waited)
	}
}
