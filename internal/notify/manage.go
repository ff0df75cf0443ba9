package notify

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"gatehouse/internal/audit"
	"gatehouse/internal/fault"
	"gatehouse/internal/secrets"
	"gatehouse/internal/sqldb"
	"gatehouse/internal/tenant"
)

// Webhook is an address that is told what happens.
type Webhook struct {
	ID          string
	TenantID    string // "" for the whole server
	TenantName  string
	Name        string
	URL         string // whole for who may change it; for others only its host
	Kinds       []string
	Tenants     []string // of one for the whole server: empty for all
	Enabled     bool
	DisabledWhy string // "" if a person did it
	// FailingSince is set while nothing gets through.
	FailingSince *time.Time
	DeliveredAt  *time.Time // the last time
	// OldUntil: the secret was replaced, and the one before signs too until then.
	OldUntil  *time.Time
	CreatedAt time.Time
	Version   int64
}

// WebhookRequest is what a webhook is made of.
type WebhookRequest struct {
	TenantID string        // when it is made: "" for the whole server
	Name     string        // for people
	URL      secrets.Value // many hold a key; empty to keep the one that is there
	Kinds    []string
	Tenants  []string // of one for the whole server: empty for all
	Enabled  bool
	Version  int64 // when it is changed: the one that was read
}

// overlap is how long a secret that was replaced goes on signing.
const overlap = 24 * time.Hour

func (s *Service) webhook(ctx context.Context, w *webhookRow) (Webhook, error) {
	kinds, err := texts(w.Kinds)
	if err != nil {
		return Webhook{}, err
	}
	tenants, err := texts(w.Tenants)
	if err != nil {
		return Webhook{}, err
	}
	out := Webhook{
		ID: w.ID, TenantID: w.TenantID, TenantName: w.TenantName, Name: w.Name, URL: w.Host + "/…", Kinds: kinds, Tenants: tenants, Enabled: w.Enabled, DisabledWhy: w.DisabledWhy,
		FailingSince: utc(w.FailingSince), DeliveredAt: utc(w.DeliveredAt), CreatedAt: w.CreatedAt.UTC(), Version: w.Version,
	}
	if w.OldUntil != nil && w.OldUntil.After(s.Now()) {
		out.OldUntil = utc(w.OldUntil)
	}
	if audit.May(ctx, w.TenantID, audit.NotifyManage) {
		address, err := s.Keys.Open(ctx, "webhooks", w.ID, "url", w.URL)
		if err != nil {
			return Webhook{}, err
		}
		out.URL = address.Reveal()
	}
	return out, nil
}

// hide keeps from those with a role in some tenants that there is something of
// the whole server: they cannot tell it from what is not there.
func hide(err error) error {
	var refused *audit.Refused
	if errors.As(err, &refused) && refused.TenantID == audit.AllTenants && !refused.Nobody {
		return ErrMissing
	}
	return err
}

// Webhook gives a webhook.
func (s *Service) Webhook(ctx context.Context, id string) (Webhook, error) {
	w, err := findWebhook(ctx, s.DB.Read(), id)
	if err != nil {
		return Webhook{}, err
	}
	if err := s.Audit.Allow(ctx, w.TenantID, audit.NotifyView); err != nil {
		return Webhook{}, hide(err)
	}
	return s.webhook(ctx, w)
}

// Webhooks lists webhooks by name: those of the tenants that the actor may see.
func (s *Service) Webhooks(ctx context.Context, p Page) ([]Webhook, string, error) {
	scope, err := audit.Tenants(ctx, audit.NotifyView)
	if err != nil {
		return nil, "", err
	}
	var rows []*webhookRow
	q := scope.Filter(selectWebhooks(s.DB.Read().NewSelect().Model(&rows)), "w.tenant_id").OrderExpr("w.name, w.id").Limit(int64(p.Size() + 1))
	if p.After != "" {
		place, err := p.Place(2)
		if err != nil {
			return nil, "", err
		}
		q.Where("(w.name, w.id) > (?, ?)", place[0], place[1])
	}
	if err := q.Scan(ctx); err != nil {
		return nil, "", fmt.Errorf("listing webhooks: %w", err)
	}
	next := ""
	if len(rows) > p.Size() {
		rows = rows[:p.Size()]
		last := rows[len(rows)-1]
		next = tenant.Cursor(last.Name, last.ID)
	}
	out := make([]Webhook, len(rows))
	for i, w := range rows {
		if out[i], err = s.webhook(ctx, w); err != nil {
			return nil, "", err
		}
	}
	return out, next, nil
}

// AddWebhook makes a webhook and gives the secret that its receiver checks
// signatures with. It is given this once.
func (s *Service) AddWebhook(ctx context.Context, r WebhookRequest) (Webhook, secrets.Value, error) {
	secret := newSecret()
	w := &webhookRow{ID: newID(), TenantID: r.TenantID, OldSecret: []byte{}, OwnerID: actor(ctx), CreatedAt: s.time(), Version: 1}
	w.take(r)
	err := s.DB.Change(ctx, func(ctx context.Context, tx *sqldb.Tx) (err error) {
		if err := s.Audit.Act(ctx, tx, w.entry("webhook.added", w.told())); err != nil {
			return err
		}
		if err := s.checkWebhook(r, true); err != nil {
			return err
		}
		if err := s.seen(ctx, tx, r.Tenants); err != nil {
			return err
		}
		if w.URL, err = s.Keys.Seal(ctx, tx, "webhooks", w.ID, "url", r.URL); err != nil {
			return err
		}
		if w.Secret, err = s.Keys.Seal(ctx, tx, "webhooks", w.ID, "secret", secret); err != nil {
			return err
		}
		_, err = tx.NewInsert().Model(w).Exec(ctx)
		switch {
		case sqldb.Referenced(err):
			return tenant.ErrMissing
		case err != nil:
			return fmt.Errorf("adding a webhook: %w", err)
		}
		return nil
	})
	if err != nil {
		return Webhook{}, secrets.Value{}, err
	}
	out, err := s.Webhook(ctx, w.ID)
	return out, secret, err
}

// take sets what a request says, but for its tenant and address.
func (w *webhookRow) take(r WebhookRequest) {
	w.Name, w.Kinds, w.Tenants, w.Enabled = strings.TrimSpace(r.Name), encode(unique(r.Kinds)), encode(unique(r.Tenants)), r.Enabled
	if !r.URL.Empty() {
		w.Host = hostOf(r.URL)
	}
}

// told is what the audit log says of a webhook: never its address, which may
// hold a key.
func (w *webhookRow) told() map[string]any {
	return map[string]any{"host": w.Host, "kinds": w.Kinds, "enabled": w.Enabled}
}

func actor(ctx context.Context) string {
	if a, ok := audit.From(ctx); ok && a.Kind == audit.Operator {
		return a.ID
	}
	return ""
}

// changeWebhook loads a webhook, authorises, records and does something to it.
func (s *Service) changeWebhook(ctx context.Context, id, action string, do func(context.Context, *sqldb.Tx, *webhookRow) error) error {
	return s.DB.Change(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		w, err := findWebhook(ctx, tx, id)
		if err != nil {
			return err
		}
		if err := s.Audit.Act(ctx, tx, w.entry(action, w.told())); err != nil {
			return hide(err)
		}
		return do(ctx, tx, w)
	})
}

// ChangeWebhook puts other settings in place of those that had the version.
// Switching it on forgets that it failed.
func (s *Service) ChangeWebhook(ctx context.Context, id string, r WebhookRequest) (Webhook, error) {
	err := s.changeWebhook(ctx, id, "webhook.changed", func(ctx context.Context, tx *sqldb.Tx, w *webhookRow) (err error) {
		r.TenantID = w.TenantID
		if err := s.checkWebhook(r, false); err != nil {
			return err
		}
		if w.Version != r.Version {
			return ErrConflict
		}
		if err := s.seen(ctx, tx, r.Tenants); err != nil {
			return err
		}
		w.take(r)
		if !r.URL.Empty() {
			if w.URL, err = s.Keys.Seal(ctx, tx, "webhooks", w.ID, "url", r.URL); err != nil {
				return err
			}
		}
		w.DisabledWhy, w.FailingSince, w.OwnerID = "", nil, actor(ctx)
		w.Version++
		return w.save(ctx, tx, "name", "url", "host", "kinds", "tenants", "enabled", "disabled_why", "failing_since", "owner_id", "version")
	})
	if err != nil {
		return Webhook{}, err
	}
	return s.Webhook(ctx, id)
}

// RemoveWebhook forgets a webhook. What was to be sent to it is not.
func (s *Service) RemoveWebhook(ctx context.Context, id string) error {
	return s.changeWebhook(ctx, id, "webhook.removed", func(ctx context.Context, tx *sqldb.Tx, w *webhookRow) error {
		if _, err := tx.NewDelete().Model((*webhookRow)(nil)).Where("id = ?", w.ID).Exec(ctx); err != nil {
			return fmt.Errorf("removing a webhook: %w", err)
		}
		return nil
	})
}

// RotateSecret gives a webhook a new secret, which is given this once. For a day
// both sign, so that the receiver can be changed meanwhile.
func (s *Service) RotateSecret(ctx context.Context, id string) (Webhook, secrets.Value, error) {
	secret := newSecret()
	err := s.changeWebhook(ctx, id, "webhook.secret_rotated", func(ctx context.Context, tx *sqldb.Tx, w *webhookRow) error {
		old, err := s.Keys.Open(ctx, "webhooks", w.ID, "secret", w.Secret)
		if err != nil {
			return err
		}
		if w.OldSecret, err = s.Keys.Seal(ctx, tx, "webhooks", w.ID, "old_secret", old); err != nil {
			return err
		}
		if w.Secret, err = s.Keys.Seal(ctx, tx, "webhooks", w.ID, "secret", secret); err != nil {
			return err
		}
		until := s.time().Add(overlap)
		w.OldUntil = &until
		w.Version++
		return w.save(ctx, tx, "secret", "old_secret", "old_until", "version")
	})
	if err != nil {
		return Webhook{}, secrets.Value{}, err
	}
	out, err := s.Webhook(ctx, id)
	return out, secret, err
}

func (s *Service) checkWebhook(r WebhookRequest, fresh bool) error {
	var f fault.List
	if strings.TrimSpace(r.Name) == "" {
		f.Add("name", "is missing", "enter what the receiver is called")
	}
	f.Text("name", r.Name, 200)
	if len(r.Kinds) == 0 {
		f.Add("kinds", "is empty", "choose at least one of "+kindNames())
	}
	checkKinds(&f, r.Kinds)
	if r.TenantID != "" && len(r.Tenants) > 0 {
		f.Add("tenants", "does not belong to a webhook of one tenant", "leave it empty")
	}
	if len(r.Tenants) > maxTenants {
		f.Add("tenants", fmt.Sprintf("has more than %d entries", maxTenants), "leave it empty for all")
	}
	if fresh || !r.URL.Empty() {
		s.checkURL(&f, r.URL.Reveal())
	}
	return f.Err()
}

// checkURL looks at the form of an address. Whether it may be reached is decided
// when it is, by what its name then means.
func (s *Service) checkURL(f *fault.List, text string) {
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Hostname() == "" || u.Opaque != "" || len(text) > 2000 || strings.ContainsFunc(text, func(r rune) bool { return r <= ' ' || hostile(r) }):
		f.Add("url", "is no address", "enter it as https://host/path")
	case u.User != nil:
		f.Add("url", "holds a user name or password", "leave them out: the receiver checks the signature")
	case u.Fragment != "":
		f.Add("url", "has a part after #, which is not sent", "leave it out")
	case u.Scheme != "https" && (u.Scheme != "http" || len(s.Outside.Allow) == 0):
		f.Add("url", "does not begin with https://", "use https; plain http only to addresses that egress_allow names")
	}
}

// hostOf is what is shown of an address.
func hostOf(address secrets.Value) string {
	u, err := url.Parse(address.Reveal())
	if err != nil {
		return ""
	}
	return u.Scheme + "://" + u.Host
}

// Known reports whether a name is a kind of notices that can be chosen.
func Known(kind string) bool {
	return slices.ContainsFunc(Kinds, func(k Kind) bool { return k.Name == kind })
}
