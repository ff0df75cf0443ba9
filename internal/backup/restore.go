package backup

import (
	"bufio"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"slices"

	"github.com/uptrace/bun"

	"gatehouse/internal/sqldb"
)

// maxLine bounds a line of a backup; a snapshot of a large tenant is some 10 MB.
const maxLine = 256 << 20

// ErrNotEmpty says that the database to restore into is in use.
var ErrNotEmpty = errors.New("restoring: the database holds something already: name an empty one; nothing was changed")

// errEnd says that a file is not whole.
var errEnd = errors.New("reading the backup: it is cut off: it has no end line; use another copy")

// Restore fills an empty database with a backup, in one transaction: it is all
// there afterwards, or nothing is. The schema is brought to the backup's
// release first and to this one's after.
func Restore(ctx context.Context, db *sqldb.DB, r io.Reader) (Report, error) {
	in, err := open(r)
	if err != nil {
		return Report{}, err
	}
	head, err := in.header()
	if err != nil {
		return Report{}, err
	}
	newest, err := db.Newest()
	if err != nil {
		return Report{}, err
	}
	if head.Schema > newest {
		return Report{}, fmt.Errorf("restoring: the backup was made by a newer release (%s, schema %d; this one knows %d): use that release", head.Version, head.Schema, newest)
	}
	switch now, err := db.Schema(ctx); {
	case err != nil:
		return Report{}, err
	case now > head.Schema:
		// It was used by this release already; whether it is empty is seen below.
		err = empty(ctx, db)
		if err == nil {
			err = fmt.Errorf("restoring: the database has schema %d already and the backup %d: name one that was never opened", now, head.Schema)
		}
		return Report{}, err
	}
	if err := db.MigrateTo(ctx, head.Schema); err != nil {
		return Report{}, err
	}
	if err := empty(ctx, db); err != nil {
		return Report{}, err
	}
	report := Report{MadeAt: head.MadeAt, Version: head.Version, Schema: head.Schema}
	err = db.Change(ctx, func(ctx context.Context, tx *sqldb.Tx) error { return in.load(ctx, tx, db.Postgres(), &report) })
	if err != nil {
		return Report{}, err
	}
	return report, db.Migrate(ctx)
}

// born are tables in which a migration puts rows.
var born = []string{"audit_head"}

// empty demands that nothing was stored yet.
func empty(ctx context.Context, db *sqldb.DB) error {
	all, err := tables(ctx, db.Read(), db.Postgres())
	if err != nil {
		return err
	}
	for _, t := range all {
		if slices.Contains(born, t.name) {
			continue
		}
		n, err := db.Read().NewSelect().TableExpr("?", bun.Ident(t.name)).Count(ctx)
		if err != nil {
			return fmt.Errorf("looking whether %s is empty: %w", t.name, err)
		}
		if n > 0 {
			return ErrNotEmpty
		}
	}
	return nil
}

// reading is a backup being read.
type reading struct {
	r   *bufio.Reader
	sum hash.Hash
}

func open(r io.Reader) (*reading, error) {
	small, err := gzip.NewReader(r)
	if err != nil {
		return nil, fmt.Errorf("reading the backup: it is no gzip file: %w", err)
	}
	return &reading{r: bufio.NewReaderSize(small, 1<<16), sum: sha256.New()}, nil
}

// line gives the next one, without summing it up.
func (in *reading) line() ([]byte, error) {
	var line []byte
	for {
		part, err := in.r.ReadSlice('\n')
		line = append(line, part...)
		switch {
		case len(line) > maxLine:
			return nil, fmt.Errorf("reading the backup: a line is longer than %d bytes", maxLine)
		case errors.Is(err, bufio.ErrBufferFull):
		case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
			return nil, errEnd
		case err != nil:
			return nil, fmt.Errorf("reading the backup: it is damaged: %w; use another copy", err)
		default:
			return line, nil
		}
	}
}

func (in *reading) header() (header, error) {
	var h header
	line, err := in.line()
	if err != nil {
		return h, err
	}
	in.sum.Write(line)
	switch err := json.Unmarshal(line, &h); {
	case err != nil, h.Kind != kind:
		return h, errors.New("reading the backup: the file is no backup of Gatehouse")
	case h.Format != format:
		return h, fmt.Errorf("reading the backup: its format is %d, this release reads %d: use the release that made it (%s)", h.Format, format, h.Version)
	}
	return h, nil
}

// load puts all rows into the database.
func (in *reading) load(ctx context.Context, tx *sqldb.Tx, postgres bool, report *Report) error {
	have, err := tables(ctx, tx, postgres)
	if err != nil {
		return err
	}
	for _, name := range born {
		if _, err := tx.NewDelete().TableExpr("?", bun.Ident(name)).Where("1 = 1").Exec(ctx); err != nil {
			return fmt.Errorf("emptying %s: %w", name, err)
		}
	}
	var to *loading
	for {
		line, err := in.line()
		if err != nil {
			return err
		}
		if line[0] == '{' {
			if err := to.flush(ctx, tx); err != nil {
				return err
			}
			var end endLine
			if err := json.Unmarshal(line, &end); err == nil && end.End {
				return in.end(end, report)
			}
			if to, err = begin(line, have, report); err != nil {
				return err
			}
		} else if err := to.row(ctx, tx, line); err != nil {
			return err
		}
		in.sum.Write(line)
	}
}

// end holds what was read against the last line.
func (in *reading) end(end endLine, report *Report) error {
	for _, t := range report.Tables {
		report.Rows += t.Rows
	}
	if end.Rows != report.Rows || end.SHA256 != hex.EncodeToString(in.sum.Sum(nil)) {
		return errors.New("reading the backup: it was changed or damaged: its rows do not add up to its sum; use another copy")
	}
	// The sum of gzip comes after the last line.
	if _, err := in.r.ReadByte(); !errors.Is(err, io.EOF) {
		return errors.New("reading the backup: something follows its end, or the file is damaged; use another copy")
	}
	return nil
}

// loading is the table that rows are for.
type loading struct {
	table
	at      *Table
	pending [][]any
}

// batch is how many rows go into one statement.
const batch = 200

func begin(line []byte, have []table, report *Report) (*loading, error) {
	var t tableLine
	if err := json.Unmarshal(line, &t); err != nil {
		return nil, fmt.Errorf("reading the backup: a table's line cannot be read: %w", err)
	}
	i := slices.IndexFunc(have, func(h table) bool { return h.name == t.Table })
	if i < 0 {
		return nil, fmt.Errorf("reading the backup: it has a table %q, which this release does not know", t.Table)
	}
	if len(t.Columns) == 0 || len(t.Kinds) != len(t.Columns) {
		return nil, fmt.Errorf("reading the backup: the columns of %s cannot be read", t.Table)
	}
	for at, column := range t.Columns {
		switch where := slices.Index(have[i].columns, column); {
		case where < 0:
			return nil, fmt.Errorf("reading the backup: %s has a column %q, which this release does not know", t.Table, column)
		case have[i].kinds[where] != t.Kinds[at]:
			return nil, fmt.Errorf("reading the backup: the column %s of %s holds %s there and %s here", column, t.Table, t.Kinds[at], have[i].kinds[where])
		}
	}
	report.Tables = append(report.Tables, Table{Name: t.Table})
	return &loading{table: table{t.Table, t.Columns, t.Kinds}, at: &report.Tables[len(report.Tables)-1]}, nil
}

func (l *loading) row(ctx context.Context, tx *sqldb.Tx, line []byte) error {
	if l == nil {
		return errors.New("reading the backup: a row comes before its table")
	}
	var texts []json.RawMessage
	if err := json.Unmarshal(line, &texts); err != nil || len(texts) != len(l.columns) {
		return fmt.Errorf("reading the backup: row %d of %s cannot be read", l.at.Rows+1, l.name)
	}
	values := make([]any, len(texts))
	for i, text := range texts {
		var err error
		if values[i], err = l.kinds[i].stored(text); err != nil {
			return fmt.Errorf("reading the backup: row %d of %s, column %s: %w", l.at.Rows+1, l.name, l.columns[i], err)
		}
	}
	l.at.Rows++
	if l.pending = append(l.pending, values); len(l.pending) < batch {
		return nil
	}
	return l.flush(ctx, tx)
}

// flush stores the rows that wait.
func (l *loading) flush(ctx context.Context, tx *sqldb.Tx) error {
	if l == nil || len(l.pending) == 0 {
		return nil
	}
	query := make([]byte, 0, 1<<10)
	query = append(query, "INSERT INTO "+quoted([]string{l.name})+" ("+quoted(l.columns)+") VALUES "...)
	var args []any
	for i, row := range l.pending {
		if i > 0 {
			query = append(query, ", "...)
		}
		query = append(query, '(')
		for j, v := range row {
			if j > 0 {
				query = append(query, ", "...)
			}
			query = append(query, '?')
			args = append(args, v)
		}
		query = append(query, ')')
	}
	l.pending = l.pending[:0]
	if _, err := tx.NewRaw(string(query), args...).Exec(ctx); err != nil {
		return fmt.Errorf("restoring %s: %w", l.name, err)
	}
	return nil
}
