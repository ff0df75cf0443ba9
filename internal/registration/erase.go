package registration

import (
	"context"
	"fmt"

	"github.com/uptrace/bun"

	"gatehouse/internal/sqldb"
)

// Erase takes a person's names out of what they made. It is an
// [gatehouse/internal/operator.Eraser].
func (s *Service) Erase(ctx context.Context, tx *sqldb.Tx, _ string, names []string) error {
	for table, column := range map[string]string{"registrations": "created_by", "registration_credentials": "added_by", "registration_manifests": "made_by"} {
		if _, err := tx.NewRaw("UPDATE ? SET ? = '' WHERE ? IN (?)", bun.Ident(table), bun.Ident(column), bun.Ident(column), bun.List(names)).Exec(ctx); err != nil {
			return fmt.Errorf("erasing a person from app registrations: %w", err)
		}
	}
	return nil
}
