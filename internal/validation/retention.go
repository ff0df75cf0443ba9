package validation

import (
	"context"
	"fmt"
	"time"

	"github.com/uptrace/bun"

	"gatehouse/internal/sqldb"
)

// forgetAtOnce is how many runs one transaction forgets, so that nobody waits
// long for it.
const forgetAtOnce = 500

// Forget removes runs that ended before a moment, with their password tries, and
// gives how many. Of each connection the last run stays, and the last one that
// knew which rules see its identity. It is for the retention job: it asks for no
// permission.
//
// A forgotten try is at most one that made the next one trusted: without it a try
// that is not answered parks the connection, which is the careful side.
func (r *Runs) Forget(ctx context.Context, before time.Time) (int, error) {
	const newer = "EXISTS (SELECT 1 FROM validations AS w WHERE w.connection_id = v.connection_id AND w.id > v.id%s)"
	query := `DELETE FROM validations WHERE id IN (SELECT v.id FROM validations AS v WHERE v.ended_at < ? AND v.state IN (?, ?) AND ` +
		fmt.Sprintf(newer, "") + ` AND (v.outcome = '' OR ` + fmt.Sprintf(newer, " AND w.outcome <> ''") + `) LIMIT ?)`
	total := 0
	for {
		removed := 0
		err := r.DB.Change(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
			done, err := tx.NewRaw(query, before.UTC(), Done, Lost, forgetAtOnce).Exec(ctx)
			if err != nil {
				return err
			}
			n, err := done.RowsAffected()
			removed = int(n)
			return err
		})
		total += removed
		if err != nil {
			return total, fmt.Errorf("forgetting old validations: %w", err)
		}
		if removed < forgetAtOnce {
			return total, nil
		}
	}
}

// Erase takes a person's names out of the runs that they asked for. It is an
// [gatehouse/internal/operator.Eraser].
func (r *Runs) Erase(ctx context.Context, tx *sqldb.Tx, _ string, names []string) error {
	if _, err := tx.NewUpdate().Table("validations").Set("requested_by = ''").Where("requested_by IN (?)", bun.List(names)).Exec(ctx); err != nil {
		return fmt.Errorf("erasing a person from validations: %w", err)
	}
	return nil
}
