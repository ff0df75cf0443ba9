package jobs

import (
	"context"
	"time"

	"gatehouse/internal/sqldb"
)

// Tick is the argument of a periodic job: the time that it stands for.
type Tick struct {
	Due time.Time `json:"due"`
}

type ticker struct {
	name   string
	period time.Duration
	add    func(ctx context.Context, tx *sqldb.Tx, due time.Time) error
}

// longestPeriod is bounded by how long finished jobs are kept.
const longestPeriod = 24 * time.Hour

// Every registers work that is due at each full period, counted in UTC, once
// over all replicas: at 00:00, 06:00, … for six hours. A time at which no
// replica ran is made up for at the next start, the latest one only. A period
// is between a second and a day.
func Every(q *Queue, period time.Duration, kind Kind[Tick]) {
	if period < time.Second || period > longestPeriod {
		panic("jobs: the period of " + kind.Name + " is not between a second and a day")
	}
	kind.once = true
	registered := Register(q, kind)
	q.ticks = append(q.ticks, ticker{name: kind.Name, period: period, add: func(ctx context.Context, tx *sqldb.Tx, due time.Time) error {
		_, err := registered.Add(ctx, tx, Tick{Due: due}, Options{})
		return err
	}})
}

// tickLoop adds the periodic jobs. All replicas do: of equal ones the first
// counts.
func (q *Queue) tickLoop(ctx context.Context) {
	if len(q.ticks) == 0 {
		return
	}
	timer := time.NewTimer(0)
	defer timer.Stop()
	next := make([]time.Time, len(q.ticks))
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		pause := longestPeriod
		for i, t := range q.ticks {
			now := q.now()
			if !now.Before(next[i]) {
				if err := q.tick(ctx, t, now); err != nil {
					if ctx.Err() == nil {
						q.log.Warn("adding a periodic job", "kind", t.name, "error", err)
					}
					next[i] = now.Add(min(t.period, 10*time.Second)) // try again
				} else {
					next[i] = now.UTC().Truncate(t.period).Add(t.period)
				}
			}
			pause = min(pause, next[i].Sub(now))
		}
		timer.Reset(max(pause, 10*time.Millisecond))
	}
}

func (q *Queue) tick(ctx context.Context, t ticker, now time.Time) error {
	return q.db.Change(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		return t.add(ctx, tx, now.UTC().Truncate(t.period))
	})
}
