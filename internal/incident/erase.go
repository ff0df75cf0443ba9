package incident

import (
	"context"
	"fmt"

	"github.com/uptrace/bun"

	"gatehouse/internal/sqldb"
)

// Erase takes a person's name out of the comments that they wrote and of what they
// acknowledged. It is an [gatehouse/internal/operator.Eraser].
func (s *Service) Erase(ctx context.Context, tx *sqldb.Tx, id string, names []string) error {
	if _, err := tx.NewRaw("UPDATE incident_comments SET author = '' WHERE author_id = ?", id).Exec(ctx); err != nil {
		return fmt.Errorf("erasing a person from comments: %w", err)
	}
	if _, err := tx.NewRaw("UPDATE incidents SET acknowledged_by = '' WHERE acknowledged_by IN (?)", bun.List(names)).Exec(ctx); err != nil {
		return fmt.Errorf("erasing a person from incidents: %w", err)
	}
	return nil
}

// Count is how many incidents there are in each state that is not over. It is for
// monitoring: it asks for no permission.
func (s *Service) Count(ctx context.Context) (map[State]int, error) {
	var rows []struct {
		State State
		Count int
	}
	err := s.DB.Read().NewSelect().TableExpr("incidents").ColumnExpr("state, count(*) AS count").Where("state IN (?, ?)", Open, Acknowledged).GroupExpr("state").Scan(ctx, &rows)
	if err != nil {
		return nil, fmt.Errorf("counting incidents: %w", err)
	}
	out := map[State]int{}
	for _, r := range rows {
		out[r.State] = r.Count
	}
	return out, nil
}
