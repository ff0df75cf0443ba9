// Package dbtest opens databases for tests: a SQLite file in a temporary
// folder, and a database of its own on the PostgreSQL server whose address
// GATEHOUSE_TEST_POSTGRES holds, which `make test` sets.
package dbtest

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"gatehouse/internal/jobs"
	"gatehouse/internal/sqldb"
)

// Variable names the environment variable with the server's address.
const Variable = "GATEHOUSE_TEST_POSTGRES"

// Each runs a test on each database, with the schema in place.
func Each(t *testing.T, test func(t *testing.T, db *sqldb.DB)) {
	t.Helper()
	EachAddress(t, func(t *testing.T, address string) {
		test(t, Open(t, address))
	})
}

// EachAddress runs a test with the address of a database of each kind, which
// is the test's own.
func EachAddress(t *testing.T, test func(t *testing.T, address string)) {
	t.Helper()
	each(t, SQLite, Postgres, test)
}

// EachEmpty is [EachAddress] with databases that have no schema yet.
func EachEmpty(t *testing.T, test func(t *testing.T, address string)) {
	t.Helper()
	each(t, emptySQLite, emptyPostgres, test)
}

func each(t *testing.T, sqlite, postgres func(testing.TB) string, test func(t *testing.T, address string)) {
	t.Helper()
	t.Run("sqlite", func(t *testing.T) { test(t, sqlite(t)) })
	if os.Getenv(Variable) != "" {
		t.Run("postgres", func(t *testing.T) { test(t, postgres(t)) })
	}
}

// Open opens a database and migrates it.
func Open(t testing.TB, address string) *sqldb.DB {
	t.Helper()
	ctx := context.Background()
	db, err := sqldb.Open(ctx, address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Errorf("closing the database: %v", err)
		}
	})
	if err := db.Migrate(ctx); err != nil {
		t.Fatal(err)
	}
	return db
}

// SQLite gives the path of a new file with the schema in place.
func SQLite(t testing.TB) string {
	t.Helper()
	content, err := templateFile()
	if err != nil {
		t.Fatalf("preparing SQLite: %v", err)
	}
	path := emptySQLite(t)
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func emptySQLite(t testing.TB) string {
	t.Helper()
	return filepath.Join(t.TempDir(), "gatehouse.db")
}

// The templates are made once in a test binary; copying one takes a tenth of
// migrating each database.
var (
	templateFile = sync.OnceValues(func() ([]byte, error) {
		dir, err := os.MkdirTemp("", "gatehouse-template-")
		if err != nil {
			return nil, err
		}
		path := filepath.Join(dir, "gatehouse.db")
		err = migrate(path)
		content, readErr := os.ReadFile(path)
		return content, errors.Join(err, readErr, os.RemoveAll(dir))
	})
	template = sync.OnceValues(func() (string, error) {
		name := "gatehouse_" + strings.ToLower(rand.Text())
		if err := execute("CREATE DATABASE " + name); err != nil {
			return "", err
		}
		return name, migrate(at(name))
	})
)

// migrate brings a database to the newest schema, the queue's included.
func migrate(address string) error {
	ctx := context.Background()
	db, err := sqldb.Open(ctx, address)
	if err != nil {
		return err
	}
	err = db.Migrate(ctx)
	if err == nil {
		err = jobs.Migrate(ctx, db)
	}
	return errors.Join(err, db.Close())
}

// Postgres makes a database with the schema in place and gives its address. It
// is dropped when the test ends.
func Postgres(t testing.TB) string {
	t.Helper()
	from, err := template()
	if err != nil {
		t.Fatalf("preparing PostgreSQL: %v", err)
	}
	return create(t, " TEMPLATE "+from)
}

func emptyPostgres(t testing.TB) string {
	t.Helper()
	return create(t, "")
}

func create(t testing.TB, options string) string {
	t.Helper()
	name := "gatehouse_" + strings.ToLower(rand.Text())
	if err := execute("CREATE DATABASE " + name + options); err != nil {
		t.Fatalf("making a database: %v", err)
	}
	t.Cleanup(func() {
		if err := execute("DROP DATABASE " + name + " WITH (FORCE)"); err != nil {
			t.Errorf("dropping the database: %v", err)
		}
	})
	return at(name)
}

func at(name string) string {
	u, err := url.Parse(os.Getenv(Variable))
	if err != nil {
		return ""
	}
	u.Path = "/" + name
	return u.String()
}

func execute(statement string) error {
	pool, err := sql.Open("pgx", os.Getenv(Variable))
	if err != nil {
		return err
	}
	defer pool.Close()
	_, err = pool.ExecContext(context.Background(), statement)
	return err
}
