package pace

import (
	"context"
	"fmt"
	"sync"
	"time"

	"gatehouse/internal/sqldb"
)

// ledger keeps the state of scopes.
type ledger interface {
	// reserve takes the next free slot of a scope, if it comes within patience.
	// Otherwise it takes none; wait is how long the scope is full or blocked.
	reserve(ctx context.Context, s scope, patience time.Duration) (slot time.Time, wait time.Duration, ok bool, err error)
	// blocked tells for how long a scope is blocked, 0 if it is not.
	blocked(ctx context.Context, s scope) (time.Duration, error)
	// block lets nothing pass for some time.
	block(ctx context.Context, s scope, pause time.Duration) error
}

// memory is the ledger of one process.
type memory struct {
	mu     sync.Mutex
	scopes map[string]*struct{ next, blocked time.Time }
}

func (m *memory) at(name string) *struct{ next, blocked time.Time } {
	if m.scopes == nil {
		m.scopes = map[string]*struct{ next, blocked time.Time }{}
	}
	if m.scopes[name] == nil {
		m.scopes[name] = &struct{ next, blocked time.Time }{}
	}
	return m.scopes[name]
}

func (m *memory) reserve(_ context.Context, s scope, patience time.Duration) (time.Time, time.Duration, bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	now, at := time.Now(), m.at(s.name)
	slot := now
	for _, earliest := range []time.Time{at.next, at.blocked} {
		if earliest.After(slot) {
			slot = earliest
		}
	}
	wait := slot.Sub(now)
	if wait > patience {
		return time.Time{}, wait, false, nil
	}
	at.next = slot.Add(s.interval)
	return slot, wait, true, nil
}

func (m *memory) blocked(_ context.Context, s scope) (time.Duration, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return max(0, time.Until(m.at(s.name).blocked)), nil
}

func (m *memory) block(_ context.Context, s scope, pause time.Duration) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if until, at := time.Now().Add(pause), m.at(s.name); until.After(at.blocked) {
		at.blocked = until
	}
	return nil
}

// table is the ledger of all replicas.
type table struct{ db *sqldb.DB }

func (t table) reserve(ctx context.Context, s scope, patience time.Duration) (time.Time, time.Duration, bool, error) {
	db, err := t.db.Single(ctx)
	if err != nil {
		return time.Time{}, 0, false, err
	}
	now := t.db.ClockMicros(time.Now)
	interval := s.interval.Microseconds()
	var row struct{ Slot, Wait int64 }
	err = db.NewRaw(`INSERT INTO pace (scope, next_us, blocked_us) VALUES (?, ? + ?, 0)
ON CONFLICT (scope) DO UPDATE SET next_us = ? + CASE
  WHEN pace.next_us >= pace.blocked_us AND pace.next_us > ? THEN pace.next_us
  WHEN pace.blocked_us > ? THEN pace.blocked_us
  ELSE ? END
WHERE pace.next_us <= ? + ? AND pace.blocked_us <= ? + ?
RETURNING next_us - ? AS slot, next_us - ? - ? AS wait`,
		s.name, now, interval, interval, now, now, now, now, patience.Microseconds(), now, patience.Microseconds(), interval, interval, now).Scan(ctx, &row)
	if err == nil {
		return time.UnixMicro(row.Slot), max(0, time.Duration(row.Wait)*time.Microsecond), true, nil
	}
	if !sqldb.Missing(err) {
		return time.Time{}, 0, false, fmt.Errorf("reserving a call of %s: %w", s.name, err)
	}
	var wait int64
	err = t.db.Read().NewRaw("SELECT CASE WHEN blocked_us > next_us THEN blocked_us ELSE next_us END - ? FROM pace WHERE scope = ?", now, s.name).Scan(ctx, &wait)
	if err != nil {
		return time.Time{}, 0, false, fmt.Errorf("reserving a call of %s: %w", s.name, err)
	}
	return time.Time{}, max(time.Millisecond, time.Duration(wait)*time.Microsecond), false, nil
}

func (t table) blocked(ctx context.Context, s scope) (time.Duration, error) {
	var left int64
	err := t.db.Read().NewRaw("SELECT blocked_us - ? FROM pace WHERE scope = ?", t.db.ClockMicros(time.Now), s.name).Scan(ctx, &left)
	if sqldb.Missing(err) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("reading whether %s is throttled: %w", s.name, err)
	}
	return max(0, time.Duration(left)*time.Microsecond), nil
}

func (t table) block(ctx context.Context, s scope, pause time.Duration) error {
	db, err := t.db.Single(ctx)
	if err == nil {
		_, err = db.NewRaw(`INSERT INTO pace (scope, next_us, blocked_us) VALUES (?, 0, ? + ?)
ON CONFLICT (scope) DO UPDATE SET blocked_us = excluded.blocked_us WHERE pace.blocked_us < excluded.blocked_us`,
			s.name, t.db.ClockMicros(time.Now), pause.Microseconds()).Exec(ctx)
	}
	if err != nil {
		return fmt.Errorf("noting that %s is throttled: %w", s.name, err)
	}
	return nil
}
