package lease_test

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"gatehouse/internal/lease"
	"gatehouse/internal/sqldb"
	"gatehouse/internal/sqldb/dbtest"
)

const processTTL = 1500 * time.Millisecond

// holder is a process that takes the lease whenever it can and prints the
// database's times at which it held it, until its input ends.
func holder() {
	ctx, cancel := context.WithCancel(context.Background())
	db, err := sqldb.Open(ctx, os.Getenv("GATEHOUSE_TEST_ADDRESS"))
	check(err)
	r := lease.New(lease.Config{DB: db, TTL: processTTL})
	check(r.Join(ctx))
	go func() {
		for bufio.NewScanner(os.Stdin).Scan() {
		}
		cancel()
	}()
	var wg sync.WaitGroup
	wg.Go(func() { check(r.Run(ctx)) })
	for ctx.Err() == nil {
		l, err := r.Acquire(ctx, "only")
		if err != nil {
			continue // another has it: asked again at once
		}
		for ctx.Err() == nil {
			var micros int64
			if err := db.Read().NewRaw("SELECT ?", db.ClockMicros(time.Now)).Scan(ctx, &micros); err != nil {
				break
			}
			// Held now, so it was held when the database was asked.
			if _, held := l.Held(); !held {
				fmt.Println("lost", l.Epoch)
				break
			}
			fmt.Println("at", l.Epoch, micros)
		}
	}
	wg.Wait()
	check(db.Close())
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// Of two server processes on one PostgreSQL only one holds a lease at a time,
// also if the holder is stopped for longer than the lease lasts and then goes
// on, and when it is killed.
func TestProcesses(t *testing.T) {
	dbtest.EachAddress(t, func(t *testing.T, address string) {
		if !sqldb.IsPostgres(address) {
			return // a SQLite file belongs to one process
		}
		db := dbtest.Open(t, address)
		env := "GATEHOUSE_TEST_ADDRESS=" + address
		times := map[string][2]int64{} // by epoch: first and last
		var mu sync.Mutex
		watch := func(p *dbtest.Process) (took, lost chan string, done chan struct{}) {
			took, lost, done = make(chan string, 100), make(chan string, 100), make(chan struct{})
			go func() {
				defer close(done)
				for line := range p.Lines {
					word, rest, _ := strings.Cut(line, " ")
					switch word {
					case "lost":
						lost <- rest
					case "at":
						var at int64
						epoch, micros, _ := strings.Cut(rest, " ")
						_, _ = fmt.Sscan(micros, &at)
						mu.Lock()
						span, ok := times[epoch]
						if !ok {
							span[0] = at
							took <- epoch
						}
						times[epoch] = [2]int64{min(span[0], at), max(span[1], at)}
						mu.Unlock()
					}
				}
			}()
			return took, lost, done
		}
		a, b := dbtest.Start(t, "holder", env), dbtest.Start(t, "holder", env)
		tookA, lostA, doneA := watch(a)
		tookB, lostB, doneB := watch(b)
		stopped, other, epoch := a, b, ""
		tookOther, lostStopped := tookB, lostA
		select {
		case epoch = <-tookA:
		case epoch = <-tookB:
			stopped, other, tookOther, lostStopped = b, a, tookA, lostB
		}
		if err := stopped.Process.Signal(syscall.SIGSTOP); err != nil {
			t.Fatal(err)
		}
		next := <-tookOther
		if err := stopped.Process.Signal(syscall.SIGCONT); err != nil {
			t.Fatal(err)
		}
		if lost := <-lostStopped; lost != epoch {
			t.Errorf("lost epoch %s, held %s", lost, epoch)
		}
		if err := other.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		last := <-map[bool]chan string{true: tookA, false: tookB}[stopped == a]
		if epoch == next || next == last {
			t.Errorf("epochs %s, %s, %s", epoch, next, last)
		}
		if err := stopped.Stdin.Close(); err != nil {
			t.Fatal(err)
		}
		<-doneA
		<-doneB
		if err := stopped.Wait(); err != nil {
			t.Error(err)
		}
		_ = other.Wait() // killed
		var end int64
		for i := 1; i <= 100; i++ {
			span, ok := times[fmt.Sprint(i)]
			if !ok {
				continue
			}
			if span[0] < end {
				t.Errorf("epoch %d begins %d µs before the one before it ended", i, end-span[0])
			}
			end = span[1]
		}
		if len(times) < 3 || end == 0 {
			t.Errorf("held in %d epochs: %v", len(times), times)
		}
		// Who ended in order has given back what it held.
		r := replica(t, db, time.Minute)
		if _, err := r.Acquire(t.Context(), "only"); err != nil {
			t.Error(err)
		}
	})
}
