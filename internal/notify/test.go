package notify

import (
	"context"

	"gatehouse/internal/audit"
	"gatehouse/internal/sqldb"
)

// TestWebhook sends a test to a webhook at once and gives what became of it. A
// webhook that is switched off can be tested, too.
func (s *Service) TestWebhook(ctx context.Context, id string) (Delivery, error) {
	return s.test(ctx, func(ctx context.Context, tx *sqldb.Tx) (*parcel, error) {
		w, err := findWebhook(ctx, tx, id)
		if err != nil {
			return nil, err
		}
		if err := s.Audit.Act(ctx, tx, w.entry("webhook.tested", nil)); err != nil {
			return nil, hide(err)
		}
		p, err := s.trial(ctx, tx, w.TenantID, deliveryRow{Channel: ByWebhook, WebhookID: w.ID, Name: w.Name, Address: w.Host})
		if err == nil {
			p.webhook = w
		}
		return p, err
	})
}

// TestMail sends a test to the actor's own address at once and gives what became
// of it. [ErrNoMail] if no mail server is configured.
func (s *Service) TestMail(ctx context.Context) (Delivery, error) {
	o, err := s.me(ctx)
	if err != nil {
		return Delivery{}, err
	}
	if !s.HasMail() {
		return Delivery{}, ErrNoMail
	}
	return s.test(ctx, func(ctx context.Context, tx *sqldb.Tx) (*parcel, error) {
		if err := s.Audit.Act(ctx, tx, audit.Entry{Permission: audit.Self, Action: "notices.mail_tested", ObjectKind: "operator", ObjectID: o.ID, ObjectName: o.Name}); err != nil {
			return nil, err
		}
		return s.trial(ctx, tx, "", deliveryRow{Channel: ByMail, OperatorID: o.ID, Name: o.Name, Address: o.Email})
	})
}

// test sends what is packed and gives what became of it.
func (s *Service) test(ctx context.Context, pack func(context.Context, *sqldb.Tx) (*parcel, error)) (Delivery, error) {
	if err := s.tests.Take(""); err != nil {
		return Delivery{}, err
	}
	var p *parcel
	err := s.DB.Change(ctx, func(ctx context.Context, tx *sqldb.Tx) (err error) {
		p, err = pack(ctx, tx)
		return err
	})
	if err != nil {
		return Delivery{}, err
	}
	if err := s.attempt(ctx, p); err != nil {
		return Delivery{}, err
	}
	return s.delivery(ctx, p.delivery.ID)
}

// trial writes a test down as a delivery that nobody tries again.
func (s *Service) trial(ctx context.Context, tx *sqldb.Tx, tenantID string, d deliveryRow) (*parcel, error) {
	n, _, err := s.insert(ctx, tx, Event{Kind: Test, TenantID: tenantID, Title: "A test of Gatehouse", Text: "Somebody pressed the test button. If you read this, notices arrive here."})
	if err != nil {
		return nil, err
	}
	if n, err = findNotice(ctx, tx, n.ID); err != nil { // with the tenant's name
		return nil, err
	}
	p := &parcel{notice: n}
	if p.delivery, err = s.write(ctx, tx, n, d); err != nil {
		return nil, err
	}
	return p, s.writeAttempt(ctx, tx, p)
}
