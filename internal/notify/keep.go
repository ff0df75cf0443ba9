package notify

import (
	"context"
	"fmt"
	"time"

	"gatehouse/internal/sqldb"
)

// forgetAtOnce is how many notices one transaction forgets, so that nobody waits
// long for it.
const forgetAtOnce = 500

// Forget removes notices that were published before a moment, with deliveries
// and attempts, and gives how many. One that is still being delivered stays. It
// is for the retention job: it asks for no permission.
func (s *Service) Forget(ctx context.Context, before time.Time) (int, error) {
	const query = `DELETE FROM notices WHERE id IN (SELECT n.id FROM notices AS n WHERE n.created_at < ?
		AND NOT EXISTS (SELECT 1 FROM notice_deliveries AS d WHERE d.notice_id = n.id AND d.state = ?) LIMIT ?)`
	total := 0
	for {
		removed := 0
		err := s.DB.Change(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
			done, err := tx.NewRaw(query, before.UTC(), Waiting, forgetAtOnce).Exec(ctx)
			if err != nil {
				return err
			}
			n, err := done.RowsAffected()
			removed = int(n)
			return err
		})
		total += removed
		if err != nil {
			return total, fmt.Errorf("forgetting old notices: %w", err)
		}
		if removed < forgetAtOnce {
			return total, nil
		}
	}
}

// Sweep erases what is over: links of invitations, secrets that sign no more,
// and tests whose outcome nobody noted, as the server ended meanwhile.
func (s *Service) Sweep(ctx context.Context) error {
	now := s.time()
	return s.DB.Change(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		for _, query := range []struct {
			text string
			args []any
		}{
			{"DELETE FROM notice_links WHERE until <= ?", []any{now}},
			{"UPDATE webhooks SET old_secret = ?, old_until = NULL WHERE old_until <= ?", []any{[]byte{}, now}},
			{"UPDATE notice_deliveries SET state = ?, reason = ?, due_at = NULL, ended_at = ? WHERE state = ? AND due_at < ? AND notice_id IN (SELECT id FROM notices WHERE kind = ?)",
				[]any{Failed, "the server ended before the outcome was noted", now, Waiting, now.Add(-10 * time.Minute), Test}},
		} {
			if _, err := tx.NewRaw(query.text, query.args...).Exec(ctx); err != nil {
				return fmt.Errorf("sweeping notices: %w", err)
			}
		}
		return nil
	})
}
