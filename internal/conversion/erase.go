package conversion

import (
	"context"
	"encoding/json"
	"fmt"

	"gatehouse/internal/sqldb"
)

// Erase takes a person's names out of what they did for conversions. It is an
// [gatehouse/internal/operator.Eraser].
func (s *Service) Erase(ctx context.Context, tx *sqldb.Tx, _ string, names []string) error {
	for _, name := range names {
		text, err := json.Marshal(name)
		if err != nil {
			return fmt.Errorf("erasing a person from conversions: %w", err)
		}
		if _, err := tx.NewRaw(`UPDATE conversions SET data = replace(data, ?, '"by":""')`, `"by":`+string(text)).Exec(ctx); err != nil {
			return fmt.Errorf("erasing a person from conversions: %w", err)
		}
	}
	return nil
}
