package notify

import (
	"context"
	"fmt"

	"github.com/uptrace/bun"

	"gatehouse/internal/sqldb"
)

func selectNotices(q *bun.SelectQuery) *bun.SelectQuery {
	return q.ColumnExpr("n.*, t.name AS tenant_name").Join("LEFT JOIN tenants AS t ON t.id = n.tenant_id")
}

func findNotice(ctx context.Context, db bun.IDB, id string) (*noticeRow, error) {
	var n noticeRow
	err := selectNotices(db.NewSelect().Model(&n)).Where("n.id = ?", id).Scan(ctx)
	if sqldb.Missing(err) {
		return nil, ErrMissing
	}
	if err != nil {
		return nil, fmt.Errorf("reading a notice: %w", err)
	}
	return &n, nil
}
