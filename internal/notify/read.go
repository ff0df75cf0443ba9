package notify

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/uptrace/bun"

	"gatehouse/internal/audit"
	"gatehouse/internal/sqldb"
	"gatehouse/internal/tenant"
)

// Notice is what was told.
type Notice struct {
	ID         string
	Kind       string
	Key        string
	TenantID   string // "" for the whole server
	TenantName string
	Title      string
	Text       string
	Path       string // page of the console; "" for none
	WhoActs    string // "" if nobody is named
	At         time.Time
	CreatedAt  time.Time
	Deliveries []Delivery
}

// Delivery is a notice to one receiver.
type Delivery struct {
	ID        string
	NoticeID  string
	Channel   string // mail, webhook
	WebhookID string
	Name      string // of the receiver
	Address   string // mail: hidden from who may not see operators
	State     string
	Reason    string // why it failed, was withheld or is tried again
	Tries     int    // since it was published or replayed
	DueAt     *time.Time
	CreatedAt time.Time
	EndedAt   *time.Time
	// Replayable: it has ended and can be sent again.
	Replayable bool
	// Attempts are all there were, the oldest first; only of a single notice.
	Attempts []Attempt
}

// Attempt is one time that a delivery was sent.
type Attempt struct {
	At      time.Time
	Took    time.Duration
	Outcome string // taken, refused, unknown; "" while it is under way
	Status  int    // of HTTP or SMTP, 0 for none
	Reason  string
	Answer  string // its first bytes, escaped
}

// Filter narrows a list of notices. Empty members do not.
type Filter struct {
	TenantID  string
	Kind      string
	State     string // with a delivery in this state
	WebhookID string // with a delivery to this one
}

func selectNotices(q *bun.SelectQuery) *bun.SelectQuery {
	return q.ColumnExpr("n.*, t.name AS tenant_name").Join("LEFT JOIN tenants AS t ON t.id = n.tenant_id")
}

func findNotice(ctx context.Context, db bun.IDB, id string) (*noticeRow, error) {
	var n noticeRow
	err := selectNotices(db.NewSelect().Model(&n)).Where("n.id = ?", id).Scan(ctx)
	if sqldb.Missing(err) {
		return nil, ErrMissing
	}
	if err != nil {
		return nil, fmt.Errorf("reading a notice: %w", err)
	}
	return &n, nil
}

func (n *noticeRow) notice() Notice {
	return Notice{ID: n.ID, Kind: n.Kind, Key: n.Key, TenantID: n.TenantID, TenantName: n.TenantName, Title: n.Title, Text: n.Text, Path: n.Path, WhoActs: whoActs(n.Data), At: n.At.UTC(), CreatedAt: n.CreatedAt.UTC()}
}

// List gives notices with their deliveries, the newest first: those of the
// tenants that the actor may see. The cursor of the next page is "" after the
// last one.
func (s *Service) List(ctx context.Context, f Filter, p Page) ([]Notice, string, error) {
	scope, err := audit.Tenants(ctx, audit.NotifyView)
	if err != nil {
		return nil, "", err
	}
	var rows []*noticeRow
	q := scope.Filter(selectNotices(s.DB.Read().NewSelect().Model(&rows)), "n.tenant_id")
	f.apply(q)
	next, err := tenant.Newest(ctx, q, p, "notices", "n.id", &rows, func(r *noticeRow) string { return r.ID })
	if err != nil {
		return nil, "", err
	}
	out, err := s.whole(ctx, rows)
	return out, next, err
}

func (f Filter) apply(q *bun.SelectQuery) {
	if f.TenantID != "" {
		q.Where("n.tenant_id = ?", f.TenantID)
	}
	if f.Kind != "" {
		q.Where("n.kind = ?", f.Kind)
	}
	if f.State != "" {
		q.Where("EXISTS (SELECT 1 FROM notice_deliveries AS d WHERE d.notice_id = n.id AND d.state = ?)", f.State)
	}
	if f.WebhookID != "" {
		q.Where("EXISTS (SELECT 1 FROM notice_deliveries AS d WHERE d.notice_id = n.id AND d.webhook_id = ?)", f.WebhookID)
	}
}

// whole adds their deliveries to notices.
func (s *Service) whole(ctx context.Context, rows []*noticeRow) ([]Notice, error) {
	out, at, ids := make([]Notice, len(rows)), map[string]*Notice{}, make([]string, len(rows))
	for i, n := range rows {
		out[i], ids[i] = n.notice(), n.ID
		at[n.ID] = &out[i]
	}
	if len(rows) == 0 {
		return out, nil
	}
	var deliveries []*deliveryRow
	if err := s.DB.Read().NewSelect().Model(&deliveries).Where("notice_id IN (?)", bun.List(ids)).Order("id").Scan(ctx); err != nil {
		return nil, fmt.Errorf("reading deliveries: %w", err)
	}
	for _, d := range deliveries {
		n := at[d.NoticeID]
		n.Deliveries = append(n.Deliveries, d.delivery(ctx, n))
	}
	return out, nil
}

func (d *deliveryRow) delivery(ctx context.Context, n *Notice) Delivery {
	out := Delivery{
		ID: d.ID, NoticeID: d.NoticeID, Channel: d.Channel, WebhookID: d.WebhookID, Name: d.Name, Address: d.Address, State: d.State, Reason: d.Reason,
		Tries: int(d.Tries), DueAt: utc(d.DueAt), CreatedAt: d.CreatedAt.UTC(), EndedAt: utc(d.EndedAt),
		Replayable: d.State != Waiting && !once(n.Kind) && n.Kind != Test,
	}
	if d.Channel == ByMail && (d.OperatorID == "" || d.OperatorID != actor(ctx)) && !audit.May(ctx, n.TenantID, audit.OperatorView) {
		out.Address = masked(d.Address)
		if once(n.Kind) {
			out.Name = ""
		}
	}
	return out
}

// masked is an e-mail address for those who may not see operators.
func masked(address string) string {
	_, domain, _ := strings.Cut(address, "@")
	return "…@" + domain
}

// Get gives a notice with its deliveries and all their attempts.
func (s *Service) Get(ctx context.Context, id string) (Notice, error) {
	n, err := findNotice(ctx, s.DB.Read(), id)
	if err != nil {
		return Notice{}, err
	}
	if err := s.Audit.Allow(ctx, n.TenantID, audit.NotifyView); err != nil {
		return Notice{}, hide(err)
	}
	all, err := s.whole(ctx, []*noticeRow{n})
	if err != nil {
		return Notice{}, err
	}
	for i := range all[0].Deliveries {
		d := &all[0].Deliveries[i]
		if d.Attempts, err = s.attempts(ctx, d.ID); err != nil {
			return Notice{}, err
		}
	}
	return all[0], nil
}

// maxAttempts bounds how many attempts of a delivery are shown, the last ones: a
// replay adds eight.
const maxAttempts = 50

func (s *Service) attempts(ctx context.Context, deliveryID string) ([]Attempt, error) {
	var rows []*attemptRow
	if err := s.DB.Read().NewSelect().Model(&rows).Where("delivery_id = ?", deliveryID).OrderExpr("id DESC").Limit(maxAttempts).Scan(ctx); err != nil {
		return nil, fmt.Errorf("reading attempts: %w", err)
	}
	out := make([]Attempt, len(rows))
	for i, a := range rows {
		out[len(rows)-1-i] = Attempt{At: a.BegunAt.UTC(), Took: time.Duration(a.TookMS) * time.Millisecond, Outcome: a.Outcome, Status: int(a.Status), Reason: a.Reason, Answer: a.Answer}
	}
	return out, nil
}

// delivery is one delivery with its attempts, for who has just made it.
func (s *Service) delivery(ctx context.Context, id string) (Delivery, error) {
	var d deliveryRow
	if err := s.DB.Read().NewSelect().Model(&d).Where("id = ?", id).Scan(ctx); err != nil {
		return Delivery{}, fmt.Errorf("reading a delivery: %w", err)
	}
	n, err := findNotice(ctx, s.DB.Read(), d.NoticeID)
	if err != nil {
		return Delivery{}, err
	}
	whole := n.notice()
	out := d.delivery(ctx, &whole)
	out.Attempts, err = s.attempts(ctx, id)
	return out, err
}

// Page asks for a part of a list.
type Page = tenant.Page

// Standing is how deliveries fare since a moment.
type Standing struct{ Delivered, Waiting, Failed int }

// Standing counts the deliveries of notices published since a moment, in the
// tenants that the actor may see.
func (s *Service) Standing(ctx context.Context, since time.Time) (Standing, error) {
	scope, err := audit.Tenants(ctx, audit.NotifyView)
	if err != nil {
		return Standing{}, err
	}
	var rows []struct {
		State string
		Count int
	}
	q := s.DB.Read().NewSelect().TableExpr("notice_deliveries AS d").Join("JOIN notices AS n ON n.id = d.notice_id").
		ColumnExpr("d.state AS state, count(*) AS count").Where("n.created_at >= ?", since.UTC()).Where("n.kind <> ?", Test).GroupExpr("d.state")
	if err := scope.Filter(q, "n.tenant_id").Scan(ctx, &rows); err != nil {
		return Standing{}, fmt.Errorf("counting deliveries: %w", err)
	}
	var out Standing
	for _, r := range rows {
		switch r.State {
		case Delivered:
			out.Delivered = r.Count
		case Waiting:
			out.Waiting = r.Count
		case Failed:
			out.Failed = r.Count
		}
	}
	return out, nil
}
