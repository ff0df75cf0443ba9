package jobs

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/riverqueue/river"
	"github.com/riverqueue/river/rivertype"

	"gatehouse/internal/sqldb"
)

// Topic is that of the queue's live events, whose data are [News].
const Topic = "job"

// News names jobs of a tenant that have changed: they were added, begun, ended,
// put off, cancelled or started by hand.
type News struct {
	Jobs []int64 `json:"jobs"`
	// More says that others have changed as well.
	More bool `json:"more,omitempty"`
}

const (
	// gathering is how long changes are gathered for one event: a page that is
	// read again for each job of a sweep would only be slower.
	gathering = 100 * time.Millisecond
	// longGathering is the pause after a failure.
	longGathering = 5 * time.Second
	// mostNamed bounds the jobs that an event names.
	mostNamed = 100
)

// news gathers what has changed until it is published.
type news struct {
	mu      sync.Mutex
	changed map[string]map[int64]bool // ids by tenant
	some    chan struct{}             // holds one thing when there is something
}

func newNews() *news {
	return &news{changed: map[string]map[int64]bool{}, some: make(chan struct{}, 1)}
}

func (n *news) add(tenant string, id int64) {
	n.keep(tenant, id)
	select {
	case n.some <- struct{}{}:
	default:
	}
}

func (n *news) keep(tenant string, ids ...int64) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.changed[tenant] == nil {
		n.changed[tenant] = map[int64]bool{}
	}
	for _, id := range ids {
		if len(n.changed[tenant]) <= mostNamed {
			n.changed[tenant][id] = true
		}
	}
}

func (n *news) take() map[string][]int64 {
	n.mu.Lock()
	defer n.mu.Unlock()
	taken := map[string][]int64{}
	for tenant, ids := range n.changed {
		taken[tenant] = slices.Sorted(maps.Keys(ids))
	}
	clear(n.changed)
	return taken
}

// changed tells of a job once its transaction is committed.
func (q *Queue) changed(tx *sqldb.Tx, job *rivertype.JobRow) {
	if q.live != nil {
		tx.OnCommit(func() { q.news.add(tenantOf(job), job.ID) })
	}
}

// outcomes are how River tells of the jobs that this replica has worked on.
var outcomes = []river.EventKind{river.EventKindJobCompleted, river.EventKindJobFailed, river.EventKindJobCancelled, river.EventKindJobSnoozed}

// newsLoop publishes what has changed, until the queue has stopped.
func (q *Queue) newsLoop(ctx context.Context, ended <-chan *river.Event) {
	var due <-chan time.Time
	for {
		select {
		case e, open := <-ended:
			if !open {
				ended = nil // River has stopped
				continue
			}
			q.news.add(tenantOf(e.Job), e.Job.ID)
		case <-q.news.some:
			if due == nil {
				due = time.After(gathering)
			}
		case <-due:
			due = nil
			if err := q.publish(ctx); err != nil && ctx.Err() == nil {
				q.log.Warn("telling pages of jobs", "error", err)
				due = time.After(longGathering)
			}
		case <-ctx.Done():
			q.lastNews(context.WithoutCancel(ctx), ended)
			return
		}
	}
}

// lastNews tells what became of the last jobs: others may show them.
func (q *Queue) lastNews(ctx context.Context, ended <-chan *river.Event) {
	for left := true; left; {
		select {
		case e, open := <-ended:
			if left = open; open {
				q.news.add(tenantOf(e.Job), e.Job.ID)
			}
		default:
			left = false
		}
	}
	if err := q.publish(ctx); err != nil {
		q.log.Warn("telling pages of the last jobs", "error", err)
	}
}

// publish tells what has been gathered, and keeps it for the next time if that
// fails.
func (q *Queue) publish(ctx context.Context) error {
	taken := q.news.take()
	if len(taken) == 0 {
		return nil
	}
	err := q.db.Change(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		for tenant, ids := range taken {
			data := News{Jobs: ids[:min(len(ids), mostNamed)], More: len(ids) > mostNamed}
			if err := q.live.Publish(ctx, tx, Topic, tenant, data); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		for tenant, ids := range taken {
			q.news.keep(tenant, ids...)
		}
	}
	return err
}
