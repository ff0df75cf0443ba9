package lease

import (
	"context"
	"time"
)

// SetDatabaseClock replaces the clock of a SQLite database.
func (r *Replica) SetDatabaseClock(now func() time.Time) { r.dbClock = now }

// Renew is one heartbeat.
func (r *Replica) Renew(ctx context.Context) error { return r.renew(ctx) }
