package lease

import (
	"context"
	"fmt"
	"time"

	"github.com/uptrace/bun"
)

// Run renews the leases three times in the TTL until the context ends, and then
// gives them all back. A heartbeat that fails is logged and tried again: what it
// could not renew ends by itself.
func (r *Replica) Run(ctx context.Context) error {
	ticker := time.NewTicker(r.ttl / 3)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return r.leave(context.WithoutCancel(ctx))
		case <-ticker.C:
			if err := r.renew(ctx); err != nil && ctx.Err() == nil {
				r.log.Warn("renewing leases", "error", err)
			}
		}
	}
}

// renew is one heartbeat.
func (r *Replica) renew(ctx context.Context) error {
	r.mu.Lock()
	renewing := make([]*Lease, 0, len(r.held))
	names := make([]string, 0, len(r.held))
	for name, l := range r.held {
		renewing, names = append(renewing, l), append(names, name)
	}
	r.mu.Unlock()

	// A statement that takes longer than the leases last renews nothing.
	limited, cancel := context.WithTimeout(ctx, r.ttl)
	defer cancel()
	asked := r.now()
	tx, err := r.db.Single(limited)
	if err != nil {
		return err
	}
	var rows []struct {
		Name  string
		Epoch int64
	}
	if err := tx.NewRaw("UPDATE leases SET expires_at = ? WHERE holder = ? AND name IN (?) AND expires_at > ? RETURNING name, epoch",
		r.db.Clock(r.dbClock, r.ttl), r.id, bun.List(names), r.db.Clock(r.dbClock, 0)).Scan(limited, &rows); err != nil {
		return err
	}
	kept := map[string]int64{}
	for _, row := range rows {
		kept[row.Name] = row.Epoch
	}

	r.mu.Lock()
	for _, l := range renewing {
		switch {
		case l.over:
		case kept[l.Name] == l.Epoch && r.now().Before(l.deadline):
			r.extend(l, asked)
		default:
			r.end(l)
		}
	}
	again := r.alive != nil && r.alive.over
	r.mu.Unlock()
	// Replicas that are long gone.
	if _, err := tx.NewRaw("DELETE FROM leases WHERE name LIKE ? AND expires_at < ?", alive+"%", r.db.Clock(r.dbClock, -time.Hour)).Exec(limited); err != nil {
		return err
	}
	if again { // it was thought dead: it lives on with nothing in hand
		return r.Join(ctx)
	}
	return nil
}

// leave gives everything back.
func (r *Replica) leave(ctx context.Context) error {
	r.mu.Lock()
	for _, l := range r.held {
		r.end(l)
	}
	r.alive = nil
	r.mu.Unlock()
	limited, cancel := context.WithTimeout(ctx, r.ttl)
	defer cancel()
	tx, err := r.db.Single(limited)
	if err != nil {
		return err
	}
	if _, err := tx.NewRaw("DELETE FROM leases WHERE name = ?", alive+r.id).Exec(limited); err != nil {
		return fmt.Errorf("taking leave: %w", err)
	}
	if _, err := tx.NewRaw("UPDATE leases SET expires_at = ? WHERE holder = ? AND expires_at > ?",
		r.db.Clock(r.dbClock, 0), r.id, r.db.Clock(r.dbClock, 0)).Exec(limited); err != nil {
		return fmt.Errorf("giving back all leases: %w", err)
	}
	return nil
}
