package campaign

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/uptrace/bun"

	"gatehouse/internal/sqldb"
	"gatehouse/internal/tenant"
)

// Erase takes a person out of campaigns: as who started them, and as one of those
// who were asked to sign in, by object id, user name, address or name, however these
// are written. That somebody signed in stays. It is an
// [gatehouse/internal/operator.Eraser].
func (s *Service) Erase(ctx context.Context, tx *sqldb.Tx, id string, names []string) error {
	names = lowered(names)
	if _, err := tx.NewRaw("UPDATE campaigns SET started_by = '' WHERE lower(started_by) IN (?)", bun.List(names)).Exec(ctx); err != nil {
		return fmt.Errorf("erasing a person from campaigns: %w", err)
	}
	_, err := tx.NewRaw(`UPDATE campaign_people SET username = '', object_id = '', name = '', email = '', search = '', reason = '', mail_reason = '', remind_at = NULL, person_key = CASE WHEN connection_id = '' THEN id ELSE person_key END
		WHERE object_id = ? AND object_id <> '' OR lower(username) IN (?) OR lower(name) IN (?) OR lower(email) IN (?)`, id, bun.List(names), bun.List(names), bun.List(names)).Exec(ctx)
	if err != nil {
		return fmt.Errorf("erasing a person from campaigns: %w", err)
	}
	// What kept another person from signing in may name this one.
	for _, name := range names {
		if !strings.Contains(name, "@") {
			continue // people are called by their user names there
		}
		if _, err := tx.NewRaw("UPDATE campaign_people SET reason = '' WHERE lower(reason) LIKE ? ESCAPE '!'", tenant.Like(name)).Exec(ctx); err != nil {
			return fmt.Errorf("erasing a person from campaigns: %w", err)
		}
	}
	return nil
}

// lowered are names in lower case, but for empty ones, which would be everybody's.
func lowered(names []string) (out []string) {
	for _, n := range names {
		if n != "" {
			out = append(out, strings.ToLower(n))
		}
	}
	return out
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
