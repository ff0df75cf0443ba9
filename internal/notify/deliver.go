package notify

import (
	"context"
	"errors"
	"fmt"
	"time"

	"gatehouse/internal/operator"
	"gatehouse/internal/secrets"
	"gatehouse/internal/sqldb"
)

// deliverArgs name one attempt of a delivery: whatever became of it meanwhile,
// an old job does not make a further one.
type deliverArgs struct {
	Delivery string `json:"delivery"`
	Round    int64  `json:"round"`
	Try      int64  `json:"try"`
}

// Gaps are the pauses after each failed attempt, before they are spread by a
// tenth; the attempt after the last is the last one. The shape is that of the
// Standard Webhooks specification: soon, then ever later, for a day in all.
var Gaps = []time.Duration{5 * time.Second, 5 * time.Minute, 30 * time.Minute, 2 * time.Hour, 4 * time.Hour, 7 * time.Hour, 10 * time.Hour}

// longestWait bounds what a receiver may ask for with Retry-After.
const longestWait = 24 * time.Hour

// The outcomes of an attempt.
const (
	UnderWay = ""        // and not noted yet
	Taken    = "taken"   // the receiver took it
	Refused  = "refused" // it did not, or was not reached
	Unknown  = "unknown" // the server ended before an outcome was noted
)

// parcel is a delivery that is about to be sent.
type parcel struct {
	delivery *deliveryRow
	notice   *noticeRow
	attempt  *attemptRow
	webhook  *webhookRow   // of a webhook
	link     secrets.Value // of an invitation
	until    time.Time     // when that ends
	withheld string        // why the receiver is not to have it after all
	off      bool          // the webhook is switched off: it can be sent again later
}

// result is what became of an attempt.
type result struct {
	taken  bool
	status int
	reason string // why it was not taken
	answer string // the first bytes of it, escaped
	// hopeless: trying again would change nothing.
	hopeless bool
	gone     bool          // the receiver wants no more at all
	after    time.Duration // it asks to be left alone for so long
}

// work is the job of one attempt.
func (s *Service) work(ctx context.Context, args deliverArgs) error {
	p, err := s.begin(ctx, args)
	if err != nil || p == nil {
		return err
	}
	return s.attempt(ctx, p)
}

// attempt sends a parcel and notes what became of it.
func (s *Service) attempt(ctx context.Context, p *parcel) error {
	limited, cancel := context.WithTimeout(ctx, sending)
	defer cancel()
	began := time.Now() // how long it takes is no matter of the service's clock
	r := s.send(limited, p)
	took := time.Since(began)
	if !r.taken && ctx.Err() != nil { // the server stops: the job is made again
		return fmt.Errorf("sending a notice: %w", context.Cause(ctx))
	}
	// Once it is sent, that is noted even if the server is stopping.
	noting, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	return s.note(noting, p, r, took)
}

func (s *Service) send(ctx context.Context, p *parcel) result {
	if p.delivery.Channel == ByWebhook {
		return s.post(ctx, p)
	}
	return s.mail(ctx, p)
}

// begin loads what is to be sent and writes the attempt down; nil if there is
// nothing to do.
func (s *Service) begin(ctx context.Context, args deliverArgs) (*parcel, error) {
	var p *parcel
	err := s.DB.Change(ctx, func(ctx context.Context, tx *sqldb.Tx) (err error) {
		p = nil
		d, err := findDelivery(ctx, tx, args.Delivery)
		if errors.Is(err, ErrMissing) || err == nil && (d.State != Waiting || d.Round != args.Round || d.Tries+1 != args.Try) {
			return nil // forgotten, or done already
		}
		if err != nil {
			return err
		}
		if p, err = s.pack(ctx, tx, d); err != nil {
			return err
		}
		if err := closeOpen(ctx, tx, d.ID); err != nil {
			return err
		}
		if p.withheld != "" || p.off {
			err = s.keepBack(ctx, tx, p)
			p = nil
			return err
		}
		return s.writeAttempt(ctx, tx, p)
	})
	return p, err
}

// pack gathers what is to be sent, if the receiver may still have it.
func (s *Service) pack(ctx context.Context, tx *sqldb.Tx, d *deliveryRow) (*parcel, error) {
	n, err := findNotice(ctx, tx, d.NoticeID)
	if err != nil {
		return nil, err
	}
	p := &parcel{delivery: d, notice: n}
	switch {
	case d.Channel == ByWebhook:
		err = s.packWebhook(ctx, tx, p)
	case once(n.Kind):
		err = s.packLink(ctx, tx, p)
	default:
		err = s.packMail(ctx, tx, p)
	}
	return p, err
}

func (s *Service) packMail(ctx context.Context, tx *sqldb.Tx, p *parcel) error {
	o, err := s.Operators.Person(ctx, tx, p.delivery.OperatorID, p.notice.TenantID)
	if errors.Is(err, operator.ErrMissing) {
		p.withheld = "the operator is gone, is disabled or has no role in the tenant any more"
		return nil
	}
	if err != nil {
		return err
	}
	p.delivery.Name, p.delivery.Address = line(o.Name, maxTitle), o.Email
	kind, _ := kindOf(p.notice.Kind)
	if !hears(o, kind, p.notice.TenantID) {
		p.withheld = "the operator may not hear of it any more"
		return nil
	}
	if kind.Name == WebhookDisabled { // also to who made the webhook
		return nil
	}
	chosen, err := s.wishes(ctx, tx, []*operator.Operator{o})
	if err == nil && !chosen.of(o, p.notice.TenantID).covers(kind.Name, p.notice.TenantID) {
		p.withheld = "the operator has chosen not to hear of it meanwhile"
	}
	return err
}

func (s *Service) packLink(ctx context.Context, tx *sqldb.Tx, p *parcel) error {
	var l linkRow
	err := tx.NewSelect().Model(&l).Where("delivery_id = ?", p.delivery.ID).Scan(ctx)
	switch {
	case sqldb.Missing(err) && p.notice.Kind == Letter && p.notice.Path == "": // it has none
		return nil
	case sqldb.Missing(err) || err == nil && !l.Until.After(s.Now()):
		p.withheld = "the link of the " + p.notice.Kind + " has ended"
		return nil
	case err != nil:
		return fmt.Errorf("reading a link to be mailed: %w", err)
	}
	p.until = l.Until
	p.link, err = s.Keys.Open(ctx, "notice_links", l.DeliveryID, "link", l.Link)
	return err
}

func (s *Service) packWebhook(ctx context.Context, tx *sqldb.Tx, p *parcel) (err error) {
	p.webhook, err = findWebhook(ctx, tx, p.delivery.WebhookID)
	switch {
	case errors.Is(err, ErrMissing):
		p.withheld = "the webhook was removed"
		return nil
	case err != nil:
		return err
	case !p.webhook.Enabled:
		p.off = true
	case !p.webhook.reaches(p.notice.TenantID):
		p.withheld = "the webhook is for other tenants by now"
	}
	return nil
}

// closeOpen marks attempts whose outcome nobody noted: the process ended
// between sending and noting, or before sending.
func closeOpen(ctx context.Context, tx *sqldb.Tx, deliveryID string) error {
	_, err := tx.NewUpdate().Model((*attemptRow)(nil)).Set("outcome = ?", Unknown).Set("reason = ?", "the server ended before the outcome was noted; it was sent again with the same id").
		Where("delivery_id = ?", deliveryID).Where("outcome = ?", UnderWay).Exec(ctx)
	if err != nil {
		return fmt.Errorf("noting an attempt without outcome: %w", err)
	}
	return nil
}

func (s *Service) writeAttempt(ctx context.Context, tx *sqldb.Tx, p *parcel) error {
	p.attempt = &attemptRow{ID: newID(), DeliveryID: p.delivery.ID, BegunAt: s.time()}
	if _, err := tx.NewInsert().Model(p.attempt).Exec(ctx); err != nil {
		return fmt.Errorf("writing an attempt down: %w", err)
	}
	return nil
}

func (s *Service) keepBack(ctx context.Context, tx *sqldb.Tx, p *parcel) error {
	if p.off {
		return s.end(ctx, tx, p, Failed, "the webhook is switched off")
	}
	return s.end(ctx, tx, p, Withheld, p.withheld)
}

// end ends a delivery, and with it an invitation's link.
func (s *Service) end(ctx context.Context, tx *sqldb.Tx, p *parcel, state, reason string) error {
	now := s.time()
	d := p.delivery
	d.State, d.Reason, d.DueAt, d.EndedAt = state, cut(reason, maxReason), nil, &now
	if err := d.save(ctx, tx); err != nil {
		return err
	}
	if once(p.notice.Kind) {
		if _, err := tx.NewDelete().Model((*linkRow)(nil)).Where("delivery_id = ?", d.ID).Exec(ctx); err != nil {
			return fmt.Errorf("erasing a link that was mailed: %w", err)
		}
	}
	return s.announce(ctx, tx, p.notice)
}

// note writes down what became of an attempt, and what follows.
func (s *Service) note(ctx context.Context, p *parcel, r result, took time.Duration) error {
	return s.DB.Change(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		a := p.attempt
		a.TookMS, a.Outcome, a.Status, a.Reason, a.Answer = took.Milliseconds(), Refused, int64(r.status), cut(r.reason, maxReason), r.answer
		if r.taken {
			a.Outcome = Taken
		}
		if _, err := tx.NewUpdate().Model(a).WherePK().Exec(ctx); err != nil {
			return fmt.Errorf("noting an attempt: %w", err)
		}
		d, err := findDelivery(ctx, tx, p.delivery.ID)
		if errors.Is(err, ErrMissing) || err == nil && (d.State != Waiting || d.Round != p.delivery.Round || d.Tries != p.delivery.Tries) {
			return nil // another replica, which thought this one dead, was quicker
		}
		if err != nil {
			return err
		}
		d.Name, d.Address = p.delivery.Name, p.delivery.Address
		p := &parcel{delivery: d, notice: p.notice, webhook: p.webhook}
		if err := s.settle(ctx, tx, p, r); err != nil {
			return err
		}
		return s.fare(ctx, tx, p, r)
	})
}

// settle ends the delivery or puts it off.
func (s *Service) settle(ctx context.Context, tx *sqldb.Tx, p *parcel, r result) error {
	d := p.delivery
	d.Tries++
	switch {
	case r.taken:
		return s.end(ctx, tx, p, Delivered, "")
	case r.hopeless, p.notice.Kind == Test:
		return s.end(ctx, tx, p, Failed, r.reason)
	case int(d.Tries) > len(Gaps):
		return s.end(ctx, tx, p, Failed, fmt.Sprintf("%d attempts within a day failed, the last one: %s", d.Tries, r.reason))
	}
	due := s.time().Add(s.pause(int(d.Tries), r.after))
	d.DueAt, d.Reason = &due, cut(r.reason, maxReason)
	if err := d.save(ctx, tx); err != nil {
		return err
	}
	if err := s.schedule(ctx, tx, p.notice, d); err != nil {
		return err
	}
	return s.announce(ctx, tx, p.notice)
}

// pause is how long to wait after so many attempts: spread by a tenth, so that
// what failed together does not come back together, and never shorter than what
// the receiver asked for.
func (s *Service) pause(tries int, after time.Duration) time.Duration {
	gap := Gaps[tries-1]
	gap += time.Duration((2*s.Draw() - 1) * float64(gap) / 10)
	return max(gap, min(after, longestWait)).Truncate(time.Microsecond)
}

// maxReason bounds, in bytes, what is kept of the reason of a failure.
const maxReason = 500

func findDelivery(ctx context.Context, tx *sqldb.Tx, id string) (*deliveryRow, error) {
	var d deliveryRow
	err := tx.NewSelect().Model(&d).Where("id = ?", id).Scan(ctx)
	if sqldb.Missing(err) {
		return nil, ErrMissing
	}
	if err != nil {
		return nil, fmt.Errorf("reading a delivery: %w", err)
	}
	return &d, nil
}

func (d *deliveryRow) save(ctx context.Context, tx *sqldb.Tx) error {
	if _, err := tx.NewUpdate().Model(d).WherePK().Exec(ctx); err != nil {
		return fmt.Errorf("noting a delivery: %w", err)
	}
	return nil
}
