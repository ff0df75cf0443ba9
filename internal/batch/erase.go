package batch

import (
	"context"
	"fmt"

	"github.com/uptrace/bun"

	"gatehouse/internal/sqldb"
)

// Erase takes a person's names out of the batches that they asked for. It is an
// [gatehouse/internal/operator.Eraser].
func (s *Service) Erase(ctx context.Context, tx *sqldb.Tx, _ string, names []string) error {
	if _, err := tx.NewRaw("UPDATE batches SET requested_by = '', actor = CASE WHEN state = 'running' THEN actor ELSE '' END WHERE requested_by IN (?)", bun.List(names)).Exec(ctx); err != nil {
		return fmt.Errorf("erasing a person from batches: %w", err)
	}
	return nil
}
