package audit

import (
	"context"
	"fmt"
	"time"

	"github.com/uptrace/bun"

	"gatehouse/internal/sqldb"
)

// use is what is summed: one caller doing one thing to one object in a minute.
type use struct {
	minute                              time.Time
	actorID, action, objectID, tenantID string
}

// Count notes one use that is too frequent for an entry of its own: a cached
// token given out, a request through the proxy. Uses are summed per caller and
// minute in memory; [Log.Flush] writes the sums. The caller has been authorised
// already.
func (l *Log) Count(ctx context.Context, action, objectID, tenantID string) {
	a, _ := From(ctx)
	l.count(a, action, objectID, tenantID)
}

func (l *Log) count(a Actor, action, objectID, tenantID string) {
	u := use{l.time().Truncate(time.Minute), clean(a.ID), clean(action), clean(objectID), clean(tenantID)}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.uses[u]++
}

// Uses is a sum of uses.
type Uses struct {
	bun.BaseModel `bun:"table:audit_uses" json:"-"`

	Minute   time.Time `json:"minute"`
	ActorID  string    `json:"actor_id"`
	Action   string    `json:"action"`
	ObjectID string    `json:"object_id"`
	TenantID string    `json:"tenant_id"`
	Uses     int64     `json:"uses"`
}

// Flush adds what was counted to the sums in the database. Call it on a ticker
// and once after the last use: what a crash loses is what was counted since.
// What could not be written is kept for the next time.
func (l *Log) Flush(ctx context.Context) error {
	l.mu.Lock()
	counted := l.uses
	l.uses = map[use]int64{}
	l.mu.Unlock()
	rows := make([]Uses, 0, len(counted))
	for u, n := range counted {
		rows = append(rows, Uses{Minute: u.minute, ActorID: u.actorID, Action: u.action, ObjectID: u.objectID, TenantID: u.tenantID, Uses: n})
	}
	// A statement has a bounded number of parameters.
	const batch = 500
	for len(rows) > 0 {
		some := rows[:min(batch, len(rows))]
		if err := l.add(ctx, some); err != nil {
			l.keep(rows)
			return fmt.Errorf("writing the sums of uses: %w", err)
		}
		rows = rows[len(some):]
	}
	return nil
}

func (l *Log) add(ctx context.Context, rows []Uses) error {
	return l.db.Change(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		_, err := tx.NewInsert().Model(&rows).
			On("CONFLICT (minute, actor_id, action, object_id, tenant_id) DO UPDATE").
			Set("uses = ?TableAlias.uses + EXCLUDED.uses").Exec(ctx)
		return err
	})
}

func (l *Log) keep(rows []Uses) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, r := range rows {
		l.uses[use{r.Minute, r.ActorID, r.Action, r.ObjectID, r.TenantID}] += r.Uses
	}
}

// ForgetUses deletes the sums of minutes before a moment, as a job does every
// day. Entries are never deleted: later ones carry their hashes.
func (l *Log) ForgetUses(ctx context.Context, before time.Time) error {
	if err := l.Allow(ctx, AllTenants, AuditExport); err != nil {
		return err
	}
	err := l.db.Change(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		_, err := tx.NewDelete().Model((*Uses)(nil)).Where("minute < ?", before.UTC()).Exec(ctx)
		return err
	})
	if err != nil {
		return fmt.Errorf("deleting old sums of uses: %w", err)
	}
	return nil
}

// refusal is what is told once a minute: that an actor may not do one thing.
type refusal struct {
	actorID, address string
	permission       Permission
	action           string
	objectID, tenant string
}

// maxTold bounds the refusals that get an entry of their own in one minute.
const maxTold = 1000

// recordRefusal gives a refusal an entry; if the same one had an entry in this
// minute, it is counted as a use instead, so that nobody can fill the log by
// asking again.
func (l *Log) recordRefusal(ctx context.Context, a Actor, e Entry) error {
	if !l.first(refusal{a.ID, a.Address, e.Permission, e.Action, e.ObjectID, e.TenantID}) {
		l.count(a, "refused "+e.Action, e.ObjectID, e.TenantID)
		return nil
	}
	r, err := l.record(a, e)
	if err != nil {
		return err
	}
	return l.db.Change(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		tx.BeforeCommit(func(ctx context.Context) error { return r.append(ctx, tx) })
		return nil
	})
}

func (l *Log) first(r refusal) bool {
	now := l.time().Truncate(time.Minute)
	l.mu.Lock()
	defer l.mu.Unlock()
	if !now.Equal(l.minute) {
		l.minute = now
		clear(l.told)
	}
	if _, told := l.told[r]; told || len(l.told) >= maxTold {
		return false
	}
	l.told[r] = struct{}{}
	return true
}
