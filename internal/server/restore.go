package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"gatehouse/internal/audit"
	"gatehouse/internal/backup"
	"gatehouse/internal/config"
	"gatehouse/internal/secrets"
	"gatehouse/internal/sqldb"
)

// openExisting opens the database of a configuration, which another process may
// be working on. It makes none.
func openExisting(ctx context.Context, c config.Config) (*sqldb.DB, error) {
	if address := c.Database.Reveal(); !strings.Contains(address, "://") {
		if _, err := os.Stat(address); err != nil {
			return nil, fmt.Errorf("opening the database (database, data_dir): %w", err)
		}
	}
	return sqldb.Open(ctx, c.Database.Reveal())
}

// BackUp makes a backup of the database of a configuration, without asking the
// server, which may be running or not. Close what it gives.
func BackUp(ctx context.Context, c config.Config, version string) (made *backup.Made, err error) {
	db, err := openExisting(ctx, c)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	service, err := backup.New(backup.Config{DB: db, Audit: audit.New(audit.Config{DB: db}), Dir: c.DataDir, Version: version})
	if err != nil {
		return nil, err
	}
	return service.Make(audit.AsSystem(ctx, "backup"))
}

// VerifyBackup restores a backup into a database of its own, which is removed
// again, and looks whether a server with this configuration's master key could
// work with it.
func VerifyBackup(ctx context.Context, c config.Config, file io.Reader) (backup.Verified, error) {
	return backup.Verify(ctx, file, secrets.NewFileKey(c.KeyFile), columns())
}

// Restore verifies a backup and then fills the database of a configuration with
// it, which must be empty. Before it is known to be good nothing is changed.
func Restore(ctx context.Context, c config.Config, file io.ReadSeeker) (found backup.Verified, err error) {
	if _, err := VerifyBackup(ctx, c, file); err != nil {
		return backup.Verified{}, err
	}
	if _, err := file.Seek(0, io.SeekStart); err != nil {
		return backup.Verified{}, fmt.Errorf("reading the backup: %w", err)
	}
	if err := os.MkdirAll(c.DataDir, 0o700); err != nil {
		return backup.Verified{}, fmt.Errorf("making the data folder (data_dir): %w", err)
	}
	db, err := sqldb.Open(ctx, c.Database.Reveal())
	if err != nil {
		return backup.Verified{}, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	report, err := backup.Restore(ctx, db, file)
	if err != nil {
		return backup.Verified{}, err
	}
	return backup.Examine(ctx, db, report, secrets.NewFileKey(c.KeyFile), columns())
}

// Drilled is what a drill found.
type Drilled struct {
	backup.Verified
	Size     int64         // of the backup, in bytes
	Making   time.Duration // how long the backup took
	Restored time.Duration // and restoring and verifying it
}

// Drill makes a backup and verifies it, as would be done after a loss; nothing
// stays of either.
func Drill(ctx context.Context, c config.Config, version string) (found Drilled, err error) {
	began := time.Now()
	made, err := BackUp(ctx, c, version)
	if err != nil {
		return Drilled{}, err
	}
	defer func() { err = errors.Join(err, made.Close()) }()
	found.Size, found.Making = made.Size, time.Since(began)
	began = time.Now()
	if found.Verified, err = VerifyBackup(ctx, c, made); err != nil {
		return Drilled{}, err
	}
	found.Restored = time.Since(began)
	if found.Rows != made.Rows {
		return Drilled{}, fmt.Errorf("restoring: %d rows came back of %d", found.Rows, made.Rows)
	}
	return found, nil
}
