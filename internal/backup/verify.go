package backup

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"gatehouse/internal/audit"
	"gatehouse/internal/secrets"
	"gatehouse/internal/sqldb"
)

// Verified says what a restored backup was found to be.
type Verified struct {
	Report
	Audit   audit.Report
	Secrets int // opened with the key
}

// Verify restores a backup into a database of its own, in a folder that is
// removed afterwards, and looks whether it could be worked with: the audit log
// verifies, and each secret opens with the master key.
func Verify(ctx context.Context, r io.Reader, key secrets.KeyWrapper, columns []secrets.Column) (found Verified, err error) {
	dir, err := os.MkdirTemp("", "gatehouse-restore-*")
	if err != nil {
		return Verified{}, fmt.Errorf("making a folder to restore into: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	db, err := sqldb.Open(ctx, filepath.Join(dir, "gatehouse.db"))
	if err != nil {
		return Verified{}, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	report, err := Restore(ctx, db, r)
	if err != nil {
		return Verified{}, err
	}
	return Examine(ctx, db, report, key, columns)
}

// Examine looks whether a database that was restored can be worked with.
func Examine(ctx context.Context, db *sqldb.DB, report Report, key secrets.KeyWrapper, columns []secrets.Column) (Verified, error) {
	// Whoever holds the file and the key may look into it.
	ctx = audit.AsSystem(ctx, "restore")
	found := Verified{Report: report}
	log := audit.New(audit.Config{DB: db})
	var err error
	if found.Audit, err = log.Verify(ctx, []ed25519.PublicKey(nil)); err != nil {
		return found, fmt.Errorf("verifying the audit log of the backup: %w", err)
	}
	ring, err := secrets.OpenKeyring(ctx, secrets.Config{DB: db, Wrapper: key, Audit: log, Columns: columns})
	if err != nil {
		return found, fmt.Errorf("opening the secrets of the backup: %w", err)
	}
	found.Secrets, err = ring.Examine(ctx)
	return found, err
}
