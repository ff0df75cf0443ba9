package backup

import (
	"compress/gzip"
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"hash"
	"io"
	"strings"
	"time"

	"gatehouse/internal/sqldb"
)

// Write writes a backup of the database, as it is at one moment, to w. The
// server may go on working meanwhile. Version is the program's.
func Write(ctx context.Context, db *sqldb.DB, w io.Writer, version string, now time.Time) (Report, error) {
	schema, err := db.Schema(ctx)
	if err != nil {
		return Report{}, err
	}
	// The pool for reading: on SQLite, one that changes would wait for this.
	tx, err := db.Read().BeginTx(ctx, &sql.TxOptions{Isolation: isolation(db), ReadOnly: db.Postgres()})
	if err != nil {
		return Report{}, fmt.Errorf("beginning a backup: %w", err)
	}
	defer func() { _ = tx.Rollback() }() // it changed nothing
	all, err := tables(ctx, tx, db.Postgres())
	if err != nil {
		return Report{}, err
	}
	small := gzip.NewWriter(w)
	out := &lines{w: small, sum: sha256.New()}
	report := Report{MadeAt: now.UTC(), Version: version, Schema: schema}
	if err := out.write(header{Kind: kind, Format: format, Schema: schema, Version: version, MadeAt: report.MadeAt}); err != nil {
		return Report{}, err
	}
	for _, t := range all {
		n, err := t.write(ctx, tx, out)
		if err != nil {
			return Report{}, fmt.Errorf("backing up %s: %w", t.name, err)
		}
		report.Tables = append(report.Tables, Table{t.name, n})
		report.Rows += n
	}
	if err := out.write(endLine{End: true, Rows: report.Rows, SHA256: hex.EncodeToString(out.sum.Sum(nil))}); err != nil {
		return Report{}, err
	}
	if err := small.Close(); err != nil {
		return Report{}, fmt.Errorf("writing the backup: %w", err)
	}
	return report, nil
}

// isolation gives all statements the same moment. SQLite's transactions have
// that anyhow.
func isolation(db *sqldb.DB) sql.IsolationLevel {
	if db.Postgres() {
		return sql.LevelRepeatableRead
	}
	return sql.LevelDefault
}

// lines are written one for each value, and summed up.
type lines struct {
	w   io.Writer
	sum hash.Hash
}

func (l *lines) write(v any) error {
	line, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("writing the backup: %w", err)
	}
	line = append(line, '\n')
	l.sum.Write(line)
	if _, err := l.w.Write(line); err != nil {
		return fmt.Errorf("writing the backup: %w", err)
	}
	return nil
}

type querier interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

func (t table) write(ctx context.Context, tx querier, out *lines) (int64, error) {
	if err := out.write(tableLine{t.name, t.columns, t.kinds}); err != nil {
		return 0, err
	}
	rows, err := tx.QueryContext(ctx, "SELECT "+quoted(t.columns)+" FROM "+quoted([]string{t.name}))
	if err != nil {
		return 0, err
	}
	defer func() { _ = rows.Close() }()
	values, places := make([]any, len(t.columns)), make([]any, len(t.columns))
	for i := range values {
		places[i] = &values[i]
	}
	n := int64(0)
	for ; rows.Next(); n++ {
		if err := rows.Scan(places...); err != nil {
			return 0, err
		}
		for i, v := range values {
			if values[i], err = t.kinds[i].portable(v); err != nil {
				return 0, fmt.Errorf("column %s: %w", t.columns[i], err)
			}
		}
		if err := out.write(values); err != nil {
			return 0, err
		}
	}
	return n, rows.Err()
}

// quoted writes names for SQL. They are the schema's own.
func quoted(names []string) string {
	return `"` + strings.Join(names, `", "`) + `"`
}
