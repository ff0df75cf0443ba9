package jobs

import (
	"context"
	"errors"
)

// Pause is the pause after an attempt.
var Pause = pause

// TickAll adds all periodic jobs for the time that the clock shows.
func (q *Queue) TickAll(ctx context.Context) error {
	var err error
	for _, t := range q.ticks {
		err = errors.Join(err, q.tick(ctx, t, q.now()))
	}
	return err
}

// Tell notes that a job has changed.
func (q *Queue) Tell(tenant string, id int64) { q.news.add(tenant, id) }

// Publish publishes what was noted.
func (q *Queue) Publish(ctx context.Context) error { return q.publish(ctx) }
