package sqldb

import (
	"time"

	"github.com/uptrace/bun"
	"github.com/uptrace/bun/schema"
)

// Clock is the database's time as an expression for a query, shifted by some
// time: PostgreSQL's own clock, which all replicas have in common. A SQLite
// file has no clock but that of the one machine it lies on, so there the time
// is now's.
func (db *DB) Clock(now func() time.Time, shift time.Duration) schema.QueryWithArgs {
	if db.Postgres() {
		return bun.SafeQuery("(clock_timestamp() + ? * interval '1 microsecond')", shift.Microseconds())
	}
	return bun.SafeQuery("?", now().UTC().Add(shift).Truncate(time.Microsecond))
}

// ClockMicros is the same in microseconds since 1970, to calculate with.
func (db *DB) ClockMicros(now func() time.Time) schema.QueryWithArgs {
	if db.Postgres() {
		return bun.SafeQuery("CAST(extract(epoch FROM clock_timestamp()) * 1000000 AS bigint)")
	}
	return bun.SafeQuery("?", now().UnixMicro())
}
