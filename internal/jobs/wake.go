package jobs

import (
	"context"
	"database/sql"
	"encoding/json"
	"sync/atomic"

	"github.com/riverqueue/river/riverdriver"
	"github.com/riverqueue/river/riverdriver/riversqlite"
	"github.com/riverqueue/river/rivershared/baseservice"
	"github.com/riverqueue/river/rivershared/riverpilot"
	"github.com/riverqueue/river/rivertype"

	"gatehouse/internal/sqldb"
)

// wake lets workers look for a job as soon as its transaction is committed.
// With PostgreSQL a notification does, to all replicas. River sends one itself,
// but leaves some out that come quickly after another, though that one's
// transaction may be committed long before this; a doubled one costs nothing.
func (q *Queue) wake(ctx context.Context, tx *sqldb.Tx, job *rivertype.JobRow) error {
	if q.waker != nil {
		tx.OnCommit(func() { q.waker.wake(job) })
		return nil
	}
	payload, err := json.Marshal(map[string]string{"queue": job.Queue})
	if err != nil {
		return err
	}
	return q.driver.UnwrapExecutor(tx.Tx.Tx).NotifyMany(ctx, &riverdriver.NotifyManyParams{Topic: "river_insert", Payload: []string{string(payload)}})
}

// wakingDriver is River's driver of SQLite, which by itself would look for new
// jobs at intervals only: it knows no notifications, and River cannot see when
// a transaction of ours ends. A pilot is River's way of handing out the
// function that wakes its workers.
type wakingDriver struct {
	*riversqlite.Driver
	waker *waker
}

var _ riverdriver.Driver[*sql.Tx] = (*wakingDriver)(nil)

// PluginInit is part of River's interface for this.
func (*wakingDriver) PluginInit(*baseservice.Archetype) {}

// PluginPilot is the other part.
func (d *wakingDriver) PluginPilot() riverpilot.Pilot { return &pilot{waker: d.waker} }

type pilot struct {
	riverpilot.StandardPilot
	waker *waker
}

// PilotInit is called once for each client; the last is the one that works.
func (p *pilot) PilotInit(archetype *baseservice.Archetype, params *riverpilot.PilotInitParams) {
	p.StandardPilot.PilotInit(archetype, params)
	p.waker.notify = params.NotifyNonTxJobInsert
}

type waker struct {
	ready  atomic.Bool // River's workers run
	notify func(context.Context, []*rivertype.JobInsertResult)
}

func (w *waker) wake(job *rivertype.JobRow) {
	if w.ready.Load() {
		w.notify(context.Background(), []*rivertype.JobInsertResult{{Job: job}})
	}
}
