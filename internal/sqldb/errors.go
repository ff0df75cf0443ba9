package sqldb

import (
	"database/sql"
	"errors"

	"github.com/jackc/pgx/v5/pgconn"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// Codes of PostgreSQL's errors (appendix A of its manual).
const (
	pgUnique        = "23505"
	pgForeign       = "23503"
	pgSerialisation = "40001"
	pgDeadlock      = "40P01"
)

// Missing reports that a query found no row.
func Missing(err error) bool { return errors.Is(err, sql.ErrNoRows) }

// Duplicate reports that a row with such a key is there already.
func Duplicate(err error) bool {
	return is(err, pgUnique, sqlite3.SQLITE_CONSTRAINT_UNIQUE, sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY)
}

// Referenced reports that a row is missing that another refers to, or is still
// referred to.
func Referenced(err error) bool {
	return is(err, pgForeign, sqlite3.SQLITE_CONSTRAINT_FOREIGNKEY)
}

func retryable(err error) bool {
	return is(err, pgSerialisation) || is(err, pgDeadlock)
}

func is(err error, code string, numbers ...int) bool {
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		return pg.Code == code
	}
	var lite *sqlite.Error
	if errors.As(err, &lite) {
		for _, n := range numbers {
			if lite.Code() == n {
				return true
			}
		}
	}
	return false
}
