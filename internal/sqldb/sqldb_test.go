package sqldb_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/uptrace/bun"

	"gatehouse/internal/sqldb"
	"gatehouse/internal/sqldb/dbtest"
)

type fact struct {
	bun.BaseModel `bun:"table:instance"`
	Name          string
	Value         string
}

func insert(ctx context.Context, tx bun.IDB, name, value string) error {
	_, err := tx.NewInsert().Model(&fact{Name: name, Value: value}).Exec(ctx)
	return err
}

func count(t *testing.T, db *sqldb.DB) int64 {
	t.Helper()
	n, err := db.Read().NewSelect().Model((*fact)(nil)).Count(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func TestChange(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		ctx := t.Context()
		var told []string
		note := func(what string) func() { return func() { told = append(told, what) } }
		if err := db.Change(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
			tx.OnCommit(note("first"))
			tx.OnCommit(note("second"))
			if !sqldb.InChange(ctx) {
				t.Error("the context does not say that a change is open")
			}
			if err := db.Change(ctx, func(context.Context, *sqldb.Tx) error { return nil }); err == nil {
				t.Error("a change inside a change was allowed")
			}
			return insert(ctx, tx, "a", "1")
		}); err != nil {
			t.Fatal(err)
		}
		if got := fmt.Sprint(told); got != "[first second]" {
			t.Errorf("after the commit ran %s", got)
		}
		refused := errors.New("no")
		err := db.Change(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
			tx.OnCommit(note("never"))
			if err := insert(ctx, tx, "b", "1"); err != nil {
				return err
			}
			return refused
		})
		if !errors.Is(err, refused) || count(t, db) != 1 || len(told) != 2 {
			t.Errorf("a refused change: error %v, %d rows, hooks %v", err, count(t, db), told)
		}
		err = db.Change(ctx, func(ctx context.Context, tx *sqldb.Tx) error { return insert(ctx, tx, "a", "2") })
		if !sqldb.Duplicate(err) || sqldb.Referenced(err) || sqldb.Missing(err) {
			t.Errorf("a second row of the same key: %v", err)
		}
		err = db.Change(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
			_, err := tx.NewInsert().Model(&map[string]any{"operator_id": "nobody", "tenant_id": "", "role": "viewer"}).TableExpr("operator_roles").Exec(ctx)
			return err
		})
		if !sqldb.Referenced(err) || sqldb.Duplicate(err) {
			t.Errorf("a row that refers to nothing: %v", err)
		}
		var f fact
		if err := db.Read().NewSelect().Model(&f).Where("name = ?", "z").Scan(ctx); !sqldb.Missing(err) {
			t.Errorf("a row that is not there: %v", err)
		}
	})
}

// The hooks run at their moment: before the commit inside the transaction, after
// the rollback outside of it.
func TestHooks(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		refused := errors.New("no")
		ctx, cancel := context.WithCancel(t.Context())
		if err := db.Change(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
			if sqldb.Current(ctx) != tx {
				t.Error("the context does not lead to the transaction")
			}
			tx.OnRollback(func(context.Context) error { t.Error("rolled back"); return nil })
			tx.BeforeCommit(func(ctx context.Context) error {
				tx.BeforeCommit(func(ctx context.Context) error { return insert(ctx, tx, "b", "1") })
				return insert(ctx, tx, "a", "1")
			})
			if n, err := tx.NewSelect().Model((*fact)(nil)).Count(ctx); n != 0 || err != nil {
				t.Errorf("a hook ran at once: %d rows, %v", n, err)
			}
			return nil
		}); err != nil || count(t, db) != 2 {
			t.Fatalf("%d rows, %v", count(t, db), err)
		}
		// A hook says no: all is undone, and a change of its own follows, also
		// when the caller has gone.
		err := db.Change(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
			tx.OnRollback(func(ctx context.Context) error {
				return db.Change(ctx, func(ctx context.Context, tx *sqldb.Tx) error { return insert(ctx, tx, "after", "1") })
			})
			tx.OnRollback(func(context.Context) error { return io.EOF })
			tx.BeforeCommit(func(context.Context) error {
				cancel()
				return refused
			})
			return insert(ctx, tx, "c", "1")
		})
		if !errors.Is(err, refused) || !errors.Is(err, io.EOF) || count(t, db) != 3 {
			t.Errorf("%d rows, %v", count(t, db), err)
		}
	})
}

// Concurrent changes of the same row all take effect, whichever database it is.
func TestChangesAtOnce(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		ctx := t.Context()
		const writers, rounds = 8, 25
		var wg sync.WaitGroup
		for range writers {
			wg.Go(func() {
				for range rounds {
					if err := db.Change(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
						_, err := tx.NewUpdate().TableExpr("audit_head").Set("seq = seq + 1").Where("id = 1").Exec(ctx)
						return err
					}); err != nil {
						t.Errorf("a change: %v", err)
						return
					}
					if _, err := db.Read().NewSelect().Model((*fact)(nil)).Count(ctx); err != nil {
						t.Errorf("a reader beside it: %v", err)
						return
					}
				}
			})
		}
		wg.Wait()
		var seq int64
		if err := db.Read().NewSelect().TableExpr("audit_head").Column("seq").Scan(ctx, &seq); err != nil || seq != writers*rounds {
			t.Errorf("seq is %d (%v), want %d", seq, err, writers*rounds)
		}
	})
}

// Times come back as they went in, and sort as they should, in both databases.
func TestTimes(t *testing.T) {
	type event struct {
		bun.BaseModel `bun:"table:live_events"`
		ID            string
		At            time.Time
		Topic         string
		TenantID      string
		Data          string
	}
	base := time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)
	times := []time.Time{base, base.Add(time.Microsecond), base.Add(100 * time.Millisecond), base.Add(110 * time.Millisecond), base.Add(time.Second), base.Add(time.Hour).In(time.FixedZone("", -7*3600))}
	dbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		ctx := t.Context()
		for i, at := range times {
			if err := db.Change(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
				_, err := tx.NewInsert().Model(&event{ID: fmt.Sprint(i), At: at}).Exec(ctx)
				return err
			}); err != nil {
				t.Fatal(err)
			}
		}
		var rows []event
		if err := db.Read().NewSelect().Model(&rows).Order("at").Scan(ctx); err != nil {
			t.Fatal(err)
		}
		for i, row := range rows {
			if row.ID != fmt.Sprint(i) || !row.At.Equal(times[i]) {
				t.Errorf("row %d is %s at %s, want %s", i, row.ID, row.At, times[i])
			}
		}
		n, err := db.Read().NewSelect().Model((*event)(nil)).Where("at <= ?", times[3]).Count(ctx)
		if err != nil || n != 4 {
			t.Errorf("%d rows up to the fourth time (%v), want 4", n, err)
		}
	})
}

func TestReadsChangeNothing(t *testing.T) {
	db := dbtest.Open(t, dbtest.SQLite(t))
	if err := insert(t.Context(), db.Read(), "a", "1"); err == nil {
		t.Error("SQLite: a change went through the connections for reading")
	}
}

func TestNewerSchemaIsRefused(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		if err := db.Change(t.Context(), func(ctx context.Context, tx *sqldb.Tx) error {
			_, err := tx.ExecContext(ctx, "INSERT INTO goose_db_version (version_id, is_applied) VALUES (99999, ?)", true)
			return err
		}); err != nil {
			t.Fatal(err)
		}
		if err := db.Migrate(t.Context()); err == nil {
			t.Error("a database of a newer release was opened")
		}
	})
}

// Replicas that start at the same moment migrate once.
func TestMigrateAtOnce(t *testing.T) {
	dbtest.EachEmpty(t, func(t *testing.T, address string) {
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				db, err := sqldb.Open(t.Context(), address)
				if err != nil {
					t.Error(err)
					return
				}
				defer db.Close()
				if err := db.Migrate(t.Context()); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
	})
}

func TestNames(t *testing.T) {
	ctx := t.Context()
	if _, err := sqldb.Open(ctx, filepath.Join(t.TempDir(), "missing", "x.db")); err == nil {
		t.Error("a file in a folder that is not there was opened")
	}
	// Characters that mean something in an address of SQLite.
	db := dbtest.Open(t, filepath.Join(t.TempDir(), "a b?c#d%20.db"))
	if err := db.Change(ctx, func(ctx context.Context, tx *sqldb.Tx) error { return insert(ctx, tx, "a", "1") }); err != nil {
		t.Fatal(err)
	}
	_, err := sqldb.Open(ctx, "postgres://gatehouse:planted-secret@127.0.0.1:1/x?connect_timeout=1")
	if err == nil {
		t.Fatal("a server that is not there was reached")
	}
	if text := err.Error(); len(text) == 0 || strings.Contains(text, "planted-secret") {
		t.Errorf("the error shows the password: %s", text)
	}
}

// A transaction in which nothing happens is ended by PostgreSQL, so that others
// need not wait for a process that is held up.
func TestIdleTransaction(t *testing.T) {
	dbtest.EachAddress(t, func(t *testing.T, address string) {
		db := dbtest.Open(t, address)
		if !db.Postgres() {
			return // a SQLite file belongs to one process
		}
		var timeout string
		if err := db.SQL().QueryRowContext(t.Context(), "SHOW idle_in_transaction_session_timeout").Scan(&timeout); err != nil || timeout != "30s" {
			t.Errorf("idle transactions end after %q: %v", timeout, err)
		}
		impatient := dbtest.Open(t, address+"&idle_in_transaction_session_timeout=200")
		lock := func(ctx context.Context, tx *sqldb.Tx) error {
			_, err := tx.ExecContext(ctx, "UPDATE audit_head SET seq = seq + 1 WHERE id = 1")
			return err
		}
		locked, passed, ended := make(chan struct{}), make(chan struct{}), make(chan error, 1)
		go func() {
			ended <- impatient.Change(t.Context(), func(ctx context.Context, tx *sqldb.Tx) error {
				err := lock(ctx, tx)
				close(locked)
				<-passed // held up
				return err
			})
		}()
		<-locked
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		err := db.Change(ctx, lock)
		close(passed)
		if err != nil {
			t.Errorf("whoever waits: %v", err)
		}
		if err := <-ended; err == nil {
			t.Error("whoever was held up was let through")
		}
	})
}
