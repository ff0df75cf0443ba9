package sqldb

import (
	"context"
	"errors"

	"github.com/uptrace/bun"
)

// Single is for a change that is one statement, which the database commits by
// itself. No process can be stopped in the middle of it with a lock in its hand
// that others wait for, so leases and paces, which others depend on, are kept
// with it. Whatever belongs together goes through [DB.Change].
func (db *DB) Single(ctx context.Context) (bun.IDB, error) {
	if InChange(ctx) {
		return nil, errors.New("a change was begun inside another")
	}
	return db.write, nil
}
