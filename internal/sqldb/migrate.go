package sqldb

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"

	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"
)

// Migrations are plain SQL that runs unchanged on both databases. They only
// ever expand: a column or table that is no longer used is dropped one release
// after the last code that reads it, so that replicas of two neighbouring
// releases can run side by side.
//
//go:embed migrations/*.sql
var migrations embed.FS

// Migrate brings the schema to this release's. With PostgreSQL, replicas that
// start together wait for each other. It refuses a database that a newer
// release has already migrated further.
func (db *DB) Migrate(ctx context.Context) error {
	provider, err := db.provider()
	if err != nil {
		return err
	}
	now, newest, err := provider.GetVersions(ctx)
	if err != nil {
		return fmt.Errorf("reading the version of the schema: %w", err)
	}
	if now > newest {
		return fmt.Errorf("the database %s was made by a newer release (schema %d, this one knows %d): start that release, or restore a backup", db.Name(), now, newest)
	}
	for now < newest {
		_, err := provider.Up(ctx)
		before := now
		// SQLite has no lock to wait at: a step that another process took
		// meanwhile fails here, and is then done.
		if now, _, _ = provider.GetVersions(ctx); err != nil && now <= before {
			return migrationError(err)
		}
	}
	return nil
}

func migrationError(err error) error {
	var partial *goose.PartialError
	if errors.As(err, &partial) && partial.Failed != nil {
		return fmt.Errorf("migrating the schema to %d: %w", partial.Failed.Source.Version, partial.Err)
	}
	return fmt.Errorf("migrating the schema: %w", err)
}

// MigrateTo brings the schema to an older version than the newest, for tests of
// upgrades.
func (db *DB) MigrateTo(ctx context.Context, version int64) error {
	provider, err := db.provider()
	if err != nil {
		return err
	}
	if _, err := provider.UpTo(ctx, version); err != nil {
		return fmt.Errorf("migrating the schema to %d: %w", version, err)
	}
	return nil
}

func (db *DB) provider() (*goose.Provider, error) {
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return nil, err
	}
	kind, options := goose.DialectSQLite3, []goose.ProviderOption{}
	if db.Postgres() {
		locker, err := lock.NewPostgresSessionLocker(lock.WithLockTimeout(1, 300))
		if err != nil {
			return nil, err
		}
		kind, options = goose.DialectPostgres, append(options, goose.WithSessionLocker(locker))
	}
	provider, err := goose.NewProvider(kind, db.write.DB, files, options...)
	if err != nil {
		return nil, fmt.Errorf("reading the migrations: %w", err)
	}
	return provider, nil
}
