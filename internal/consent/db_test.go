package consent_test

import (
	"testing"

	"gatehouse/internal/sqldb"
	"gatehouse/internal/sqldb/dbtest"
)

func openDB(t *testing.T) *sqldb.DB {
	t.Helper()
	return dbtest.Open(t, dbtest.SQLite(t))
}
