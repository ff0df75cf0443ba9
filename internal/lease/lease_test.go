package lease_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"pgregory.net/rapid"

	"gatehouse/internal/lease"
	"gatehouse/internal/sqldb"
	"gatehouse/internal/sqldb/dbtest"
)

func TestMain(m *testing.M) {
	os.Exit(dbtest.Main(m, map[string]func(){"holder": holder}))
}

func replica(t *testing.T, db *sqldb.DB, ttl time.Duration) *lease.Replica {
	t.Helper()
	r := lease.New(lease.Config{DB: db, TTL: ttl})
	if err := r.Join(t.Context()); err != nil {
		t.Fatal(err)
	}
	return r
}

func TestLease(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		ctx := t.Context()
		a, b := replica(t, db, time.Minute), replica(t, db, time.Minute)
		l, err := a.Acquire(ctx, "pool/1")
		if err != nil {
			t.Fatal(err)
		}
		deadline, held := l.Held()
		if left := time.Until(deadline); !held || left > 54*time.Second || left < 40*time.Second {
			t.Errorf("held %v for %v, want nine tenths of a minute", held, left)
		}
		for _, r := range []*lease.Replica{a, b} {
			if _, err := r.Acquire(ctx, "pool/1"); !errors.Is(err, lease.ErrHeld) {
				t.Errorf("a second time: %v", err)
			}
		}
		if _, err := b.Acquire(ctx, "pool/2"); err != nil {
			t.Errorf("another lease: %v", err)
		}
		fence := func(l *lease.Lease) error {
			return db.Change(ctx, l.Fence)
		}
		if err := fence(l); err != nil {
			t.Errorf("a change of the holder: %v", err)
		}
		if err := l.Release(ctx); err != nil {
			t.Fatal(err)
		}
		select {
		case <-l.Lost():
		default:
			t.Error("a lease that was given back is not lost")
		}
		if _, held := l.Held(); held {
			t.Error("a lease that was given back is held")
		}
		next, err := b.Acquire(ctx, "pool/1")
		if err != nil || next.Epoch <= l.Epoch {
			t.Fatalf("after it was given back: %v, epoch %d after %d", err, next.Epoch, l.Epoch)
		}
		if err := fence(l); !errors.Is(err, lease.ErrHeld) {
			t.Errorf("a change of the holder before: %v", err)
		}
		if err := l.Release(ctx); err != nil { // of the old one: the new stays
			t.Error(err)
		}
		if err := fence(next); err != nil {
			t.Errorf("a change of the new holder: %v", err)
		}
	})
}

// Replicas are known to live until they leave, and what they held is free then.
func TestRun(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		leaks := dbtest.Leaks(t)
		a, b := replica(t, db, time.Second), replica(t, db, time.Minute)
		l, err := a.Acquire(t.Context(), "x")
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- a.Run(ctx) }()
		first, _ := l.Held()
		tick := time.NewTicker(5 * time.Millisecond)
		defer tick.Stop()
		for deadline := first; !deadline.After(first); <-tick.C { // until it was renewed
			var held bool
			if deadline, held = l.Held(); !held {
				t.Fatal("the lease was lost")
			}
		}
		living, err := b.Living(t.Context(), db.Read())
		if err != nil || !living[a.ID()] || !living[b.ID()] || len(living) != 2 {
			t.Errorf("alive: %v (%v)", living, err)
		}
		cancel()
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		living, err = b.Living(t.Context(), db.Read())
		if err != nil || living[a.ID()] || !living[b.ID()] {
			t.Errorf("alive afterwards: %v (%v)", living, err)
		}
		if _, err := b.Acquire(t.Context(), "x"); err != nil {
			t.Errorf("a lease of a replica that left: %v", err)
		}
		<-l.Lost()
		leaks()
	})
}

// A replica whose lease ran out knows it by itself, and joins again.
func TestRunsOut(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		a := replica(t, db, 50*time.Millisecond)
		old := a.Alive()
		<-old.Lost()
		if _, held := old.Held(); held {
			t.Error("lost and held")
		}
		if err := a.Renew(t.Context()); err != nil {
			t.Fatal(err)
		}
		if l := a.Alive(); l == old || l.Epoch <= old.Epoch {
			t.Errorf("after the heartbeat the epoch is %d, was %d", l.Epoch, old.Epoch)
		}
	})
}

// Whatever the clocks of the replicas show and however long their questions
// take, no two of them hold a lease at one time of the database.
func TestNeverTwo(t *testing.T) {
	const ttl = time.Minute
	ctx := context.Background()
	db := dbtest.Open(t, filepath.Join(t.TempDir(), "gatehouse.db"))
	run := 0
	rapid.Check(t, func(t *rapid.T) {
		run++
		name := fmt.Sprint("x", run)
		truth := time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC).Add(time.Duration(run) * 24 * time.Hour)
		seed := rapid.Uint64().Draw(t, "seed")
		source := rand.New(rand.NewPCG(seed, 1))
		pass := func(most time.Duration) { truth = truth.Add(time.Duration(source.Int64N(int64(most)))) }
		replicas := make([]*lease.Replica, 3)
		leases := make([]*lease.Lease, len(replicas))
		epoch := int64(0)
		for i := range replicas {
			offset := time.Duration(rapid.Int64Range(-int64(time.Hour), int64(time.Hour)).Draw(t, "offset"))
			rate := rapid.Float64Range(0.92, 1.08).Draw(t, "rate")
			start := truth
			replicas[i] = lease.New(lease.Config{DB: db, TTL: ttl, Now: func() time.Time {
				pass(ttl / 100) // the way back
				return start.Add(offset + time.Duration(rate*float64(truth.Sub(start))))
			}})
			replicas[i].SetDatabaseClock(func() time.Time {
				pass(ttl / 100) // the way to the database
				return truth
			})
		}
		for range rapid.IntRange(5, 40).Draw(t, "steps") {
			i := rapid.IntRange(0, len(replicas)-1).Draw(t, "replica")
			switch rapid.IntRange(0, 5).Draw(t, "act") {
			case 0, 1:
				l, err := replicas[i].Acquire(ctx, name)
				if err == nil {
					if l.Epoch <= epoch {
						t.Fatalf("epoch %d after %d", l.Epoch, epoch)
					}
					leases[i], epoch = l, l.Epoch
				} else if !errors.Is(err, lease.ErrHeld) {
					t.Fatal(err)
				}
			case 2, 3:
				if err := replicas[i].Renew(ctx); err != nil {
					t.Fatal(err)
				}
			case 4:
				if leases[i] != nil && rapid.Bool().Draw(t, "release") {
					if err := leases[i].Release(ctx); err != nil {
						t.Fatal(err)
					}
				}
			}
			// Short pauses, and those that end about when a lease does.
			if rapid.Bool().Draw(t, "long") {
				truth = truth.Add(ttl * 9 / 10)
			}
			pass(ttl / 10)
			holders := 0
			for _, l := range leases {
				if l == nil {
					continue
				}
				if _, held := l.Held(); held {
					holders++
				}
			}
			if holders > 1 {
				t.Fatalf("%d replicas hold the lease", holders)
			}
		}
	})
}
