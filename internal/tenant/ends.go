package tenant

import (
	"context"
	"fmt"
	"time"

	"gatehouse/internal/audit"
)

// ReaderEnd is a reader whose certificate ends.
type ReaderEnd struct {
	TenantID, TenantName string
	At                   time.Time
}

// ReaderEnds gives the readers of the tenants that the actor may see whose
// certificates end before a moment, the first one first, so many at most, and how
// many there are.
func (s *Service) ReaderEnds(ctx context.Context, before time.Time, most int) ([]ReaderEnd, int, error) {
	scope, err := audit.Tenants(ctx, audit.TenantView)
	if err != nil {
		return nil, 0, err
	}
	var out []ReaderEnd
	q := s.DB.Read().NewSelect().TableExpr("readers AS r").ColumnExpr("t.id AS tenant_id, t.name AS tenant_name, r.not_after AS at").Join("JOIN tenants AS t ON t.id = r.tenant_id").
		Where("r.not_after < ?", before.UTC()).OrderExpr("r.not_after, t.id").Limit(int64(most))
	if err := scope.Filter(q, "r.tenant_id").Scan(ctx, &out); err != nil {
		return nil, 0, fmt.Errorf("looking for readers that end: %w", err)
	}
	n, err := scope.Filter(s.DB.Read().NewSelect().TableExpr("readers AS r").Where("r.not_after < ?", before.UTC()), "r.tenant_id").Count(ctx)
	if err != nil {
		return nil, 0, fmt.Errorf("counting readers that end: %w", err)
	}
	for i := range out {
		out[i].At = out[i].At.UTC()
	}
	return out, int(n), nil
}
