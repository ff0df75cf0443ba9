package rotation

import (
	"context"
	"fmt"

	"github.com/uptrace/bun"

	"gatehouse/internal/sqldb"
)

// Erase takes a person's names out of the rotations that they started. It is an
// [gatehouse/internal/operator.Eraser].
func (s *Service) Erase(ctx context.Context, tx *sqldb.Tx, _ string, names []string) error {
	if _, err := tx.NewRaw("UPDATE rotations SET started_by = '' WHERE started_by IN (?)", bun.List(names)).Exec(ctx); err != nil {
		return fmt.Errorf("erasing a person from rotations: %w", err)
	}
	return nil
}
