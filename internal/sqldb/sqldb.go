// Package sqldb opens the database: a SQLite file or PostgreSQL, with one
// schema and one SQL text for both. It gives connections, transactions,
// migrations and paging; the queries belong to the features.
//
// The rules of the house:
//
//   - Changes go through [DB.Change], which commits them, their audit lines and
//     their jobs together.
//   - No call to another service is made inside a transaction: the context of a
//     transaction carries a mark ([InChange]), and the clients of other services
//     refuse it.
//   - Reads that need no transaction use [DB.Read].
package sqldb

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/uptrace/bun"
	"github.com/uptrace/bun/dialect"
	"github.com/uptrace/bun/dialect/pgdialect"
	"github.com/uptrace/bun/dialect/sqlitedialect"
	_ "modernc.org/sqlite" // driver "sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// DB is an open database.
type DB struct {
	write, read *bun.DB
	address     string
}

// Open opens the database at an address: "postgres://…", or the path of a
// SQLite file, which is made if it is missing. The schema is not touched: see
// [DB.Migrate].
func Open(ctx context.Context, address string) (*DB, error) {
	db := &DB{address: address}
	var err error
	if IsPostgres(address) {
		err = db.openPostgres()
	} else {
		err = db.openSQLite()
	}
	if err != nil {
		return nil, err
	}
	if err := db.ping(ctx); err != nil {
		_ = db.Close() // the first error is the one to tell
		return nil, fmt.Errorf("opening the database %s: %w", db.Name(), err)
	}
	return db, nil
}

// IsPostgres tells an address of a PostgreSQL server from a file.
func IsPostgres(address string) bool {
	return strings.HasPrefix(address, "postgres://") || strings.HasPrefix(address, "postgresql://")
}

// maxConnections bounds what one replica takes of a PostgreSQL server, whose
// default is 100 for all.
const maxConnections = 20

func (db *DB) openPostgres() error {
	settings, err := pgx.ParseConfig(db.address)
	if err != nil {
		// The error would show the address, password included.
		return errors.New("opening the database: its address cannot be read: write postgres://user:password@host:port/name")
	}
	Bound(settings)
	pool := stdlib.OpenDB(*settings)
	pool.SetMaxOpenConns(maxConnections)
	pool.SetMaxIdleConns(maxConnections / 2)
	pool.SetConnMaxIdleTime(5 * time.Minute)
	db.write = bun.NewDB(pool, pgdialect.New())
	db.read = db.write
	return nil
}

// Bound lets PostgreSQL end a transaction of this connection in which nothing
// happens: one whose process is held up would keep others waiting for its locks.
// An address that says otherwise counts.
func Bound(c *pgx.ConnConfig) {
	const timeout = "idle_in_transaction_session_timeout"
	if c.RuntimeParams[timeout] == "" {
		c.RuntimeParams[timeout] = "30s"
	}
}

// openSQLite opens one connection for changes, so that they wait for each other
// in this process rather than fail in the file, and several for reading, which
// WAL lets go on meanwhile.
func (db *DB) openSQLite() error {
	open := func(options string, connections int) (*bun.DB, error) {
		const pragmas = "_pragma=busy_timeout(5000)&_pragma=journal_mode(WAL)&_pragma=synchronous(NORMAL)&_pragma=foreign_keys(1)"
		name := (&url.URL{Scheme: "file", Opaque: (&url.URL{Path: db.address}).EscapedPath()}).String()
		pool, err := sql.Open("sqlite", name+"?"+pragmas+options)
		if err != nil {
			return nil, fmt.Errorf("opening the database %s: %w", db.Name(), err)
		}
		pool.SetMaxOpenConns(connections)
		pool.SetMaxIdleConns(connections)
		return bun.NewDB(pool, sqlitedialect.New()), nil
	}
	var err error
	if db.write, err = open("&_txlock=immediate", 1); err != nil {
		return err
	}
	db.read, err = open("&_pragma=query_only(1)", 8)
	return err
}

// ping makes the first connection. Two that open a new SQLite file at the same
// moment both want to switch it to WAL, for which SQLite does not wait by
// itself.
func (db *DB) ping(ctx context.Context) error {
	const patience, pause = 5 * time.Second, 20 * time.Millisecond
	for waited := time.Duration(0); ; waited += pause {
		err := db.write.PingContext(ctx)
		if !is(err, "", sqlite3.SQLITE_BUSY) || waited >= patience {
			return err
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// Postgres reports whether the database is PostgreSQL.
func (db *DB) Postgres() bool { return db.write.Dialect().Name() == dialect.PG }

// Name is the address without a password, for people.
func (db *DB) Name() string {
	if u, err := url.Parse(db.address); err == nil && IsPostgres(db.address) {
		return u.Redacted()
	}
	return db.address
}

// Address is the address as it was given, password included.
func (db *DB) Address() string { return db.address }

// Read is for queries that change nothing.
func (db *DB) Read() bun.IDB { return db.read }

// SQL is the pool that changes go through, for libraries that need one.
func (db *DB) SQL() *sql.DB { return db.write.DB }

// Close closes all connections.
func (db *DB) Close() error {
	err := db.write.Close()
	if db.read != nil && db.read != db.write {
		err = errors.Join(err, db.read.Close())
	}
	return err
}

type changeKey struct{}

// InChange reports whether a context belongs to an open transaction.
func InChange(ctx context.Context) bool { return Current(ctx) != nil }

// Current is the transaction that a context belongs to, or nil. It is for the
// hooks of the ground; queries use the transaction that was handed to them.
func Current(ctx context.Context) *Tx {
	tx, _ := ctx.Value(changeKey{}).(*Tx)
	return tx
}

// Tx is an open transaction, with hooks around its end.
type Tx struct {
	bun.Tx
	hooks
}

// Change runs do in one transaction, which is committed if do returns nil and
// rolled back otherwise. Inside, only tx may be used: the transaction of a
// caller is not joined, and asking for a second one is an error.
//
// PostgreSQL refuses a transaction that lost a race (serialisation failure,
// deadlock); it is then run again, up to five times, so do must have no effect
// but through tx.
func (db *DB) Change(ctx context.Context, do func(ctx context.Context, tx *Tx) error) error {
	if InChange(ctx) {
		return errors.New("a change was begun inside another")
	}
	const tries = 5
	for try := 1; ; try++ {
		tx, err := db.change(ctx, do)
		if tx == nil {
			return err
		}
		if err != nil && try < tries && retryable(err) && ctx.Err() == nil {
			continue
		}
		if err != nil {
			for _, f := range tx.undone {
				if also := f(context.WithoutCancel(ctx)); also != nil {
					err = errors.Join(err, also)
				}
			}
			return err
		}
		for _, f := range tx.after {
			f()
		}
		return nil
	}
}

// change gives the transaction even if it was rolled back, nil if it never
// began.
func (db *DB) change(ctx context.Context, do func(ctx context.Context, tx *Tx) error) (*Tx, error) {
	inner, err := db.write.BeginTx(ctx, nil)
	if err != nil {
		return nil, fmt.Errorf("beginning a change: %w", err)
	}
	tx := &Tx{Tx: inner}
	defer func() { _ = inner.Rollback() }() // after a commit it does nothing
	inside := context.WithValue(ctx, changeKey{}, tx)
	if err := do(inside, tx); err != nil {
		return tx, err
	}
	for i := 0; i < len(tx.before); i++ { // a hook may add another
		if err := tx.before[i](inside); err != nil {
			return tx, err
		}
	}
	if err := inner.Commit(); err != nil {
		return tx, fmt.Errorf("committing a change: %w", err)
	}
	return tx, nil
}
