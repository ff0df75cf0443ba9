package notify

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/uptrace/bun"

	"gatehouse/internal/audit"
	"gatehouse/internal/sqldb"
)

// patience is how long a webhook may fail, without one success in between,
// before it is switched off.
const patience = 3 * 24 * time.Hour

func selectWebhooks(q *bun.SelectQuery) *bun.SelectQuery {
	return q.ColumnExpr("w.*, t.name AS tenant_name").Join("LEFT JOIN tenants AS t ON t.id = w.tenant_id")
}

func findWebhook(ctx context.Context, db bun.IDB, id string) (*webhookRow, error) {
	var w webhookRow
	err := selectWebhooks(db.NewSelect().Model(&w)).Where("w.id = ?", id).Scan(ctx)
	if sqldb.Missing(err) {
		return nil, ErrMissing
	}
	if err != nil {
		return nil, fmt.Errorf("reading a webhook: %w", err)
	}
	return &w, nil
}

// listening are the webhooks that are to be told of a kind in a tenant.
func (s *Service) listening(ctx context.Context, tx *sqldb.Tx, kind, tenantID string) ([]*webhookRow, error) {
	var all, out []*webhookRow
	if err := tx.NewSelect().Model(&all).Where("w.enabled").Where("(w.tenant_id IS NULL OR w.tenant_id = ?)", tenantID).Order("id").Scan(ctx); err != nil {
		return nil, fmt.Errorf("reading webhooks: %w", err)
	}
	for _, w := range all {
		kinds, err := texts(w.Kinds)
		if err != nil {
			return nil, err
		}
		if slices.Contains(kinds, kind) && w.reaches(tenantID) {
			out = append(out, w)
		}
	}
	return out, nil
}

// reaches reports whether a webhook hears of a tenant: its own, or, if it is for
// the whole server, those that were chosen.
func (w *webhookRow) reaches(tenantID string) bool {
	if w.TenantID != "" {
		return w.TenantID == tenantID
	}
	tenants, err := texts(w.Tenants)
	return err == nil && (len(tenants) == 0 || slices.Contains(tenants, tenantID))
}

// fare notes how a webhook fares, and switches it off if it wants no more or
// has failed for days.
func (s *Service) fare(ctx context.Context, tx *sqldb.Tx, p *parcel, r result) error {
	if p.webhook == nil {
		return nil
	}
	w, err := findWebhook(ctx, tx, p.webhook.ID)
	if err != nil {
		return err
	}
	now := s.time()
	if r.taken {
		w.FailingSince, w.DeliveredAt = nil, &now
		return w.save(ctx, tx, "failing_since", "delivered_at")
	}
	if p.notice.Kind == Test {
		return nil // a person is trying it out
	}
	if w.FailingSince == nil {
		w.FailingSince = &now
	}
	why := ""
	switch {
	case r.gone:
		why = "it answered 410 Gone: it wants no more notices"
	case now.Sub(*w.FailingSince) >= patience:
		why = fmt.Sprintf("it has failed for %d days, the last time: %s", int(now.Sub(*w.FailingSince).Hours()/24), r.reason)
	}
	if why == "" || !w.Enabled {
		return w.save(ctx, tx, "failing_since")
	}
	return s.switchOff(ctx, tx, w, why)
}

func (s *Service) switchOff(ctx context.Context, tx *sqldb.Tx, w *webhookRow, why string) error {
	w.Enabled, w.DisabledWhy = false, cut(why, maxReason)
	if err := w.save(ctx, tx, "enabled", "disabled_why", "failing_since"); err != nil {
		return err
	}
	if err := s.Audit.Act(audit.AsSystem(ctx, "notice_deliver"), tx, w.entry("webhook.disabled", map[string]any{"reason": w.DisabledWhy})); err != nil {
		return err
	}
	return s.publish(ctx, tx, Event{
		Kind: WebhookDisabled, TenantID: w.TenantID, Key: w.ID + " " + s.time().Format(time.RFC3339Nano), Path: "/settings/webhooks/" + w.ID,
		Title: "The webhook " + w.Name + " is switched off",
		Text:  "Gatehouse sends nothing to it any more: " + w.DisabledWhy + ".\nMend the receiver, then switch the webhook on again and replay what failed.",
		Data:  map[string]any{"webhook": w.ID, "name": w.Name, WhoActs: "you, or who looks after the receiver"},
	}, w.OwnerID)
}

func (w *webhookRow) save(ctx context.Context, tx *sqldb.Tx, columns ...string) error {
	if _, err := tx.NewUpdate().Model(w).Column(columns...).WherePK().Exec(ctx); err != nil {
		return fmt.Errorf("changing a webhook: %w", err)
	}
	return nil
}

// entry is what is written down about a webhook.
func (w *webhookRow) entry(action string, details map[string]any) audit.Entry {
	return audit.Entry{Permission: audit.NotifyManage, TenantID: w.TenantID, Action: action, ObjectKind: "webhook", ObjectID: w.ID, ObjectName: w.Name, Details: details}
}
