package backup

import (
	"context"
	"fmt"
	"strings"

	"github.com/uptrace/bun"
)

// table is one of the database.
type table struct {
	name    string
	columns []string
	kinds   []columnKind
}

// tables gives the tables that backups hold in the order in which they were
// made, so that what a row refers to comes before it.
func tables(ctx context.Context, db bun.IDB, postgres bool) ([]table, error) {
	query := "SELECT m.name, c.name, c.type FROM sqlite_master AS m JOIN pragma_table_info(m.name) AS c WHERE m.type = 'table' ORDER BY m.rowid, c.cid"
	if postgres {
		query = `SELECT t.relname, a.attname, format_type(a.atttypid, a.atttypmod)
			FROM pg_class AS t JOIN pg_attribute AS a ON a.attrelid = t.oid
			WHERE t.relkind = 'r' AND t.relnamespace = current_schema()::regnamespace AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''
			ORDER BY t.oid, a.attnum`
	}
	rows, err := db.QueryContext(ctx, query)
	if err != nil {
		return nil, fmt.Errorf("reading the schema: %w", err)
	}
	defer func() { _ = rows.Close() }()
	var all []table
	for rows.Next() {
		var name, column, declared string
		if err := rows.Scan(&name, &column, &declared); err != nil {
			return nil, fmt.Errorf("reading the schema: %w", err)
		}
		if ephemeral[name] || strings.HasPrefix(name, "river_") || strings.HasPrefix(name, "sqlite_") {
			continue
		}
		kind, err := kindOf(declared)
		if err != nil {
			return nil, fmt.Errorf("reading the schema of %s: %w", name, err)
		}
		if len(all) == 0 || all[len(all)-1].name != name {
			all = append(all, table{name: name})
		}
		t := &all[len(all)-1]
		t.columns, t.kinds = append(t.columns, column), append(t.kinds, kind)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("reading the schema: %w", err)
	}
	return all, nil
}
