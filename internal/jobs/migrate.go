package jobs

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/riverqueue/river/riverdriver"
	"github.com/riverqueue/river/riverdriver/riverdatabasesql"
	"github.com/riverqueue/river/riverdriver/riversqlite"
	"github.com/riverqueue/river/rivermigrate"

	"gatehouse/internal/sqldb"
)

// lock is the number of the lock that replicas take to migrate one by one.
const lock = 7291804411902145377

// Migrate brings the queue's tables to this release's version. It follows
// [sqldb.DB.Migrate].
func Migrate(ctx context.Context, db *sqldb.DB) (err error) {
	var driver riverdriver.Driver[*sql.Tx] = riversqlite.New(db.SQL())
	if db.Postgres() {
		driver = riverdatabasesql.New(db.SQL())
		connection, connErr := db.SQL().Conn(ctx)
		if connErr != nil {
			return fmt.Errorf("migrating the queue: %w", connErr)
		}
		defer connection.Close()
		if _, err := connection.ExecContext(ctx, "SELECT pg_advisory_lock($1)", int64(lock)); err != nil {
			return fmt.Errorf("migrating the queue: %w", err)
		}
		defer func() {
			_, unlockErr := connection.ExecContext(context.WithoutCancel(ctx), "SELECT pg_advisory_unlock($1)", int64(lock))
			err = errors.Join(err, unlockErr)
		}()
	}
	migrator, err := rivermigrate.New(driver, nil)
	if err != nil {
		return fmt.Errorf("migrating the queue: %w", err)
	}
	if _, err := migrator.Migrate(ctx, rivermigrate.DirectionUp, nil); err != nil {
		return fmt.Errorf("migrating the queue: %w", err)
	}
	return nil
}
