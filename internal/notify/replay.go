package notify

import (
	"context"
	"fmt"
	"time"

	"github.com/uptrace/bun"

	"gatehouse/internal/audit"
	"gatehouse/internal/sqldb"
)

// Replay sends a delivery that has ended once more, with a day of attempts
// before it and with the same id: a receiver that had it already can tell.
// [ErrUnderWay] if it has not ended, [ErrOff] if its webhook is switched off.
func (s *Service) Replay(ctx context.Context, deliveryID string) error {
	return s.DB.Change(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		d, err := findDelivery(ctx, tx, deliveryID)
		if err != nil {
			return err
		}
		n, err := findNotice(ctx, tx, d.NoticeID)
		if err != nil {
			return err
		}
		if err := s.Audit.Act(ctx, tx, n.entry("notice.replayed", map[string]any{"delivery": d.ID, "to": d.Name})); err != nil {
			return hide(err)
		}
		switch {
		case once(n.Kind) || n.Kind == Test:
			return ErrOnce
		case d.State == Waiting:
			return ErrUnderWay
		}
		if err := s.mustBeOn(ctx, tx, d.WebhookID); err != nil {
			return err
		}
		if err := s.again(ctx, tx, n, d); err != nil {
			return err
		}
		return s.announce(ctx, tx, n)
	})
}

// mustBeOn demands that a webhook, if one is named, can be sent to.
func (s *Service) mustBeOn(ctx context.Context, db bun.IDB, webhookID string) error {
	if webhookID == "" {
		return nil
	}
	w, err := findWebhook(ctx, db, webhookID)
	if err == nil && !w.Enabled {
		return ErrOff
	}
	return err
}

func (s *Service) again(ctx context.Context, tx *sqldb.Tx, n *noticeRow, d *deliveryRow) error {
	now := s.time()
	d.State, d.Reason, d.Tries, d.DueAt, d.EndedAt = Waiting, "", 0, &now, nil
	d.Round++
	if err := d.save(ctx, tx); err != nil {
		return err
	}
	return s.schedule(ctx, tx, n, d)
}

// replayAtOnce is how many deliveries one transaction replays, so that nobody
// waits long for it.
const replayAtOnce = 200

// ReplayFailed sends once more what has failed of the notices published since a
// moment, to one webhook or, if none is named, to all receivers; in the tenants
// in which the actor may. It gives how many. What would go to a webhook that is
// switched off is left as it is.
func (s *Service) ReplayFailed(ctx context.Context, since time.Time, webhookID string) (int, error) {
	scope, err := audit.Tenants(ctx, audit.NotifyManage)
	if err != nil {
		return 0, err
	}
	if webhookID != "" {
		w, err := findWebhook(ctx, s.DB.Read(), webhookID)
		if err != nil {
			return 0, err
		}
		if err := s.Audit.Allow(ctx, w.TenantID, audit.NotifyManage); err != nil {
			return 0, hide(err)
		}
		if err := s.mustBeOn(ctx, s.DB.Read(), webhookID); err != nil {
			return 0, err
		}
	}
	total := 0
	for {
		done := 0
		err := s.DB.Change(ctx, func(ctx context.Context, tx *sqldb.Tx) (err error) {
			done, err = s.replaySome(ctx, tx, scope, since, webhookID)
			return err
		})
		total += done
		if err != nil || done < replayAtOnce {
			return total, err
		}
	}
}

func (s *Service) replaySome(ctx context.Context, tx *sqldb.Tx, scope audit.Scope, since time.Time, webhookID string) (int, error) {
	var rows []*deliveryRow
	q := tx.NewSelect().Model(&rows).Join("JOIN notices AS n ON n.id = d.notice_id").
		Where("d.state = ?", Failed).Where("n.created_at >= ?", since.UTC()).Where("n.kind NOT IN (?, ?, ?)", Test, Invitation, Letter).
		Where("(d.webhook_id = '' OR EXISTS (SELECT 1 FROM webhooks AS w WHERE w.id = d.webhook_id AND w.enabled))").
		OrderExpr("d.id").Limit(replayAtOnce)
	if webhookID != "" {
		q.Where("d.webhook_id = ?", webhookID)
	}
	if err := scope.Filter(q, "n.tenant_id").Scan(ctx); err != nil {
		return 0, fmt.Errorf("looking for what failed: %w", err)
	}
	by := map[string]int{}
	for _, d := range rows {
		n, err := findNotice(ctx, tx, d.NoticeID)
		if err != nil {
			return 0, err
		}
		if err := s.again(ctx, tx, n, d); err != nil {
			return 0, err
		}
		by[n.TenantID]++
	}
	for tenantID, count := range by {
		e := audit.Entry{Permission: audit.NotifyManage, TenantID: tenantID, Action: "notices.replayed", ObjectKind: "webhook", ObjectID: webhookID, Details: map[string]any{"count": count, "since": since.UTC()}}
		if err := s.Audit.Act(ctx, tx, e); err != nil {
			return 0, err
		}
		if err := s.Live.Publish(ctx, tx, "notice", tenantID, map[string]string{}); err != nil {
			return 0, err
		}
	}
	return len(rows), nil
}

// entry is what is written down about a notice.
func (n *noticeRow) entry(action string, details map[string]any) audit.Entry {
	return audit.Entry{Permission: audit.NotifyManage, TenantID: n.TenantID, Action: action, ObjectKind: "notice", ObjectID: n.ID, ObjectName: n.Title, Details: details}
}
