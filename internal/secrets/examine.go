package secrets

import (
	"context"
	"fmt"

	"github.com/uptrace/bun"
)

// Examine opens every secret of the database, and gives how many there are. The
// first that does not open is an error that names its place.
func (k *Keyring) Examine(ctx context.Context) (opened int, err error) {
	for _, c := range k.c.Columns {
		for after := ""; ; {
			var rows []stored
			err := k.c.DB.Read().NewSelect().TableExpr("?", bun.Ident(c.Table)).ColumnExpr("? AS key", bun.Ident(c.Key)).ColumnExpr("? AS sealed", bun.Ident(c.Name)).
				Where("length(?) > 0", bun.Ident(c.Name)).Where("? > ?", bun.Ident(c.Key), after).OrderExpr("?", bun.Ident(c.Key)).Limit(batch).Scan(ctx, &rows)
			if err != nil {
				return opened, fmt.Errorf("reading %s.%s: %w", c.Table, c.Name, err)
			}
			for _, s := range rows {
				if _, err := k.Open(ctx, c.Table, s.Key, c.Name, s.Sealed); err != nil {
					return opened, err
				}
				opened++
			}
			if len(rows) < batch {
				break
			}
			after = rows[len(rows)-1].Key
		}
	}
	return opened, nil
}
