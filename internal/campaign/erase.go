package campaign

import (
	"context"
	"fmt"
	"time"

	"github.com/uptrace/bun"

	"gatehouse/internal/sqldb"
)

// Erase takes a person out of campaigns: as who started them, and as one of those
// who were asked to sign in, by object id, user name or name. That somebody signed
// in stays. It is an [gatehouse/internal/operator.Eraser].
func (s *Service) Erase(ctx context.Context, tx *sqldb.Tx, id string, names []string) error {
	if _, err := tx.NewRaw("UPDATE campaigns SET started_by = '' WHERE started_by IN (?)", bun.List(names)).Exec(ctx); err != nil {
		return fmt.Errorf("erasing a person from campaigns: %w", err)
	}
	_, err := tx.NewRaw(`UPDATE campaign_people SET username = '', object_id = '', name = '', email = '', search = '', remind_at = NULL, person_key = CASE WHEN connection_id = '' THEN id ELSE person_key END
		WHERE object_id = ? AND object_id <> '' OR username IN (?) AND username <> '' OR name IN (?) AND name <> '' OR email IN (?) AND email <> ''`, id, bun.List(names), bun.List(names), bun.List(names)).Exec(ctx)
	if err != nil {
		return fmt.Errorf("erasing a person from campaigns: %w", err)
	}
	return nil
}

// forgetAtOnce is how many campaigns one transaction forgets.
const forgetAtOnce = 20

// Forget removes campaigns that ended before a moment, with their people. It is for
// the retention job, and asks for no permission.
func (s *Service) Forget(ctx context.Context, before time.Time) error {
	for more := true; more; {
		err := s.DB.Change(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
			done, err := tx.NewRaw("DELETE FROM campaigns WHERE id IN (SELECT id FROM campaigns WHERE ended_at < ? LIMIT ?)", before.UTC(), forgetAtOnce).Exec(ctx)
			if err != nil {
				return fmt.Errorf("forgetting old campaigns: %w", err)
			}
			n, err := done.RowsAffected()
			more = n == forgetAtOnce
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}
