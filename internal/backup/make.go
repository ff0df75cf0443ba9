package backup

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"time"

	"gatehouse/internal/audit"
	"gatehouse/internal/sqldb"
)

// ErrBusy says that a backup is being made already.
var ErrBusy = errors.New("a backup is being made already: wait until it is done")

// Config is what a [Service] needs; all but Now must be given.
type Config struct {
	DB    *sqldb.DB
	Audit *audit.Log
	// Dir is where a backup lies until it was fetched.
	Dir     string
	Version string           // of the program
	Now     func() time.Time // time.Now if nil
}

// Service makes backups for operators.
type Service struct {
	Config
	making sync.Mutex
}

// New gives the service. What a killed process left in the folder is removed.
func New(c Config) (*Service, error) {
	if c.Now == nil {
		c.Now = time.Now
	}
	left, err := filepath.Glob(filepath.Join(c.Dir, leftovers))
	for _, name := range left {
		err = errors.Join(err, os.Remove(name))
	}
	if err != nil {
		return nil, fmt.Errorf("removing unfinished backups: %w", err)
	}
	return &Service{Config: c}, nil
}

// leftovers are the files in which backups are made.
const leftovers = ".backup-*.tmp"

// Object is the id under which the audit log tells of backups; Action is what
// it calls them.
const (
	Object = "backup"
	Action = "backup.made"
)

// Made is a backup in a file that goes when it is closed.
type Made struct {
	Report
	Size int64 // bytes
	file *os.File
}

// Make makes a backup. The audit log, as it is in the backup, tells of it: there
// is no copy that nobody has written down. Close what it gives.
func (s *Service) Make(ctx context.Context) (_ *Made, err error) {
	entry := audit.Entry{Permission: audit.BackupMake, TenantID: audit.AllTenants, Action: Action, ObjectKind: "server", ObjectID: Object}
	if err := s.Audit.Allow(ctx, entry.TenantID, entry.Permission); err != nil {
		return nil, err
	}
	if !s.making.TryLock() {
		return nil, ErrBusy
	}
	defer s.making.Unlock()
	note := func(ctx context.Context) error {
		return s.DB.Change(ctx, func(ctx context.Context, tx *sqldb.Tx) error { return s.Audit.Act(ctx, tx, entry) })
	}
	if err := note(ctx); err != nil {
		return nil, err
	}
	m := &Made{}
	defer func() {
		if err != nil {
			entry.Outcome = audit.OutcomeFailed
			err = errors.Join(err, m.Close(), note(context.WithoutCancel(ctx)))
		}
	}()
	if m.file, err = os.CreateTemp(s.Dir, leftovers); err != nil { // 0600
		return nil, fmt.Errorf("making a file for the backup: %w", err)
	}
	if m.Report, err = Write(ctx, s.DB, m.file, s.Version, s.Now()); err != nil {
		return nil, err
	}
	if m.Size, err = m.file.Seek(0, io.SeekCurrent); err != nil {
		return nil, fmt.Errorf("writing the backup: %w", err)
	}
	if _, err = m.file.Seek(0, io.SeekStart); err != nil {
		return nil, fmt.Errorf("writing the backup: %w", err)
	}
	return m, nil
}

// Read reads the backup.
func (m *Made) Read(p []byte) (int, error) { return m.file.Read(p) }

// Close removes the file.
func (m *Made) Close() error {
	if m.file == nil {
		return nil
	}
	return errors.Join(m.file.Close(), os.Remove(m.file.Name()))
}

// FileName is what a copy of the backup is best called.
func (r Report) FileName() string {
	return "gatehouse-" + r.MadeAt.UTC().Format("20060102-150405") + ".backup.gz"
}
