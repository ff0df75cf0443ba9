package notify

import (
	"context"
	"fmt"
	"time"

	"github.com/uptrace/bun"

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

// patienceWithJobs is how long a delivery may be overdue before it is looked
// after.
const patienceWithJobs = 15 * time.Minute

// Sweep erases what is over: links of invitations, secrets that sign no more,
// and tests whose outcome nobody noted, as the server ended meanwhile. What waits
// and has no job any more, as somebody cancelled it or it failed too often while
// the database was away, gets one.
func (s *Service) Sweep(ctx context.Context) error {
	now := s.time()
	if err := s.erase(ctx, now); err != nil {
		return err
	}
	for after := ""; ; {
		next := ""
		err := s.DB.Change(ctx, func(ctx context.Context, tx *sqldb.Tx) (err error) {
			next, err = s.revive(ctx, tx, now.Add(-patienceWithJobs), after)
			return err
		})
		if err != nil || next == "" {
			return err
		}
		after = next
	}
}

// revive adds the jobs of some deliveries that are overdue: one that is there
// still stays the only one. It gives the last of them, "" if there were no more.
func (s *Service) revive(ctx context.Context, tx *sqldb.Tx, before time.Time, after string) (string, error) {
	var overdue []*deliveryRow
	if err := tx.NewSelect().Model(&overdue).Where("state = ?", Waiting).Where("due_at < ?", before).Where("id > ?", after).Order("id").Limit(forgetAtOnce).Scan(ctx); err != nil {
		return "", fmt.Errorf("looking for deliveries without a job: %w", err)
	}
	for _, d := range overdue {
		n, err := findNotice(ctx, tx, d.NoticeID)
		if err != nil {
			return "", err
		}
		if err := s.schedule(ctx, tx, n, d); err != nil {
			return "", err
		}
	}
	if len(overdue) < forgetAtOnce {
		return "", nil
	}
	return overdue[len(overdue)-1].ID, nil
}

func (s *Service) erase(ctx context.Context, now time.Time) error {
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

// Erase takes a person out of what was sent to them: by their id, and of
// invitations by name. It is an [gatehouse/internal/operator.Eraser].
func (s *Service) Erase(ctx context.Context, tx *sqldb.Tx, id string, names []string) error {
	_, err := tx.NewRaw("UPDATE notice_deliveries SET name = '', address = '' WHERE channel = ? AND (operator_id = ? OR operator_id = '' AND name IN (?))", ByMail, id, bun.List(names)).Exec(ctx)
	if err != nil {
		return fmt.Errorf("erasing a person from notices: %w", err)
	}
	return nil
}
