package notify

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"gatehouse/internal/audit"
	"gatehouse/internal/jobs"
	"gatehouse/internal/operator"
	"gatehouse/internal/secrets"
	"gatehouse/internal/sqldb"
)

// The channels.
const (
	ByMail    = "mail"
	ByWebhook = "webhook"
)

// The states of a delivery.
const (
	Waiting   = "waiting"   // for its next attempt
	Delivered = "delivered" // the receiver took it
	Failed    = "failed"    // nobody took it, and it is tried no more
	Withheld  = "withheld"  // it was not sent: the receiver is not to have it
)

// Bounds of what is told, in bytes.
const (
	maxTitle = 300
	maxText  = 4 << 10
	maxData  = 16 << 10
)

// Publish writes an event down in the caller's transaction, together with what
// has to be sent for it. One whose kind and key are known is left alone. It asks
// for no permission: who publishes has it.
func (s *Service) Publish(ctx context.Context, tx *sqldb.Tx, e Event) error {
	return s.publish(ctx, tx, e, "")
}

// publish also tells an operator who may not have subscribed.
func (s *Service) publish(ctx context.Context, tx *sqldb.Tx, e Event, also string) error {
	kind, known := kindOf(e.Kind)
	if !known {
		return fmt.Errorf("publishing a notice: %.40q is no kind of notices", e.Kind)
	}
	to, err := s.receivers(ctx, tx, e, kind, also)
	if err != nil || len(to) == 0 && e.Thread != "" {
		return err
	}
	n, fresh, err := s.insert(ctx, tx, e)
	if err != nil || !fresh {
		return err
	}
	for _, d := range to {
		if _, err := s.queue(ctx, tx, n, d); err != nil {
			return err
		}
	}
	return s.announce(ctx, tx, n)
}

// receivers are the deliveries of an event to all who want to hear of it.
func (s *Service) receivers(ctx context.Context, tx *sqldb.Tx, e Event, kind Kind, also string) (to []deliveryRow, err error) {
	people, err := s.Operators.People(ctx, tx, e.TenantID)
	if err != nil {
		return nil, err
	}
	wishes, err := s.wishes(ctx, tx, people)
	if err != nil {
		return nil, err
	}
	for _, o := range people {
		if s.HasMail() && hears(o, kind, e.TenantID) && (o.ID == also || wishes.of(o, e.TenantID).covers(kind.Name, e.TenantID)) {
			to = append(to, deliveryRow{Channel: ByMail, OperatorID: o.ID, Name: o.Name, Address: o.Email})
		}
	}
	hooks, err := s.listening(ctx, tx, kind.Name, e.TenantID)
	if err != nil {
		return nil, err
	}
	for _, w := range hooks {
		to = append(to, deliveryRow{Channel: ByWebhook, WebhookID: w.ID, Name: w.Name, Address: w.Host})
	}
	if e.Thread == "" {
		return to, nil
	}
	told, err := s.told(ctx, tx, e)
	return slices.DeleteFunc(to, func(d deliveryRow) bool { return told[d.receiver()] }), err
}

// receiver tells whom a delivery is for.
func (d deliveryRow) receiver() string { return d.Channel + " " + d.OperatorID + d.WebhookID }

// told are the receivers that were told of an event's thread already.
func (s *Service) told(ctx context.Context, tx *sqldb.Tx, e Event) (map[string]bool, error) {
	var rows []deliveryRow
	err := tx.NewSelect().Model(&rows).Column("channel", "operator_id", "webhook_id").
		Where("notice_id IN (SELECT id FROM notices WHERE (kind = ? OR kind = ? AND d.channel = ?) AND (key = ? OR key >= ? AND key < ?))", e.Kind, e.Beside, ByMail, e.Thread, e.Thread+"/", e.Thread+"0"). // '0' follows '/'
		Scan(ctx)
	if err != nil {
		return nil, fmt.Errorf("reading who was told: %w", err)
	}
	out := make(map[string]bool, len(rows))
	for _, d := range rows {
		out[d.receiver()] = true
	}
	return out, nil
}

// hears reports whether an operator may hear of a kind of notices of a tenant.
func hears(o *operator.Operator, k Kind, tenantID string) bool {
	return audit.Actor{Kind: audit.Operator, ID: o.ID, Roles: o.Roles}.May(tenantID, k.needs)
}

// insert writes a notice; false if it is known.
func (s *Service) insert(ctx context.Context, tx *sqldb.Tx, e Event) (*noticeRow, bool, error) {
	now := s.time()
	n := &noticeRow{
		ID: newID(), Kind: e.Kind, Key: e.Key, TenantID: e.TenantID, Title: line(e.Title, maxTitle), Text: paragraphs(e.Text, maxText), Path: e.Path,
		At: e.At.UTC().Truncate(time.Microsecond), CreatedAt: now,
	}
	if n.Key == "" {
		n.Key = n.ID
	}
	if e.At.IsZero() {
		n.At = now
	}
	if !strings.HasPrefix(n.Path, "/") || strings.ContainsFunc(n.Path, unicode.IsControl) {
		n.Path = ""
	}
	if e.Data == nil {
		e.Data = map[string]any{}
	}
	data, err := json.Marshal(e.Data)
	if err != nil {
		return nil, false, fmt.Errorf("publishing a notice %s: encoding its data: %w", e.Kind, err)
	}
	if len(data) > maxData { // whoever publishes must not fail for the length of a list
		data = []byte(encode(map[string]any{"left_out": fmt.Sprintf("%d bytes, more than the %d that a notice holds: see its page", len(data), maxData)}))
	}
	n.Data = string(data)
	done, err := tx.NewInsert().Model(n).On("CONFLICT (kind, key) DO NOTHING").Exec(ctx)
	if err != nil {
		return nil, false, fmt.Errorf("publishing a notice %s: %w", e.Kind, err)
	}
	rows, err := done.RowsAffected()
	return n, rows == 1, err
}

// queue writes a delivery that is due at once, and its job.
func (s *Service) queue(ctx context.Context, tx *sqldb.Tx, n *noticeRow, d deliveryRow) (*deliveryRow, error) {
	written, err := s.write(ctx, tx, n, d)
	if err != nil {
		return nil, err
	}
	return written, s.schedule(ctx, tx, n, written)
}

func (s *Service) write(ctx context.Context, tx *sqldb.Tx, n *noticeRow, d deliveryRow) (*deliveryRow, error) {
	now := s.time()
	d.ID, d.NoticeID, d.State, d.Round, d.CreatedAt, d.DueAt = newID(), n.ID, Waiting, 1, now, &now
	d.Name, d.Address = line(d.Name, maxTitle), line(d.Address, maxTitle)
	if _, err := tx.NewInsert().Model(&d).Exec(ctx); err != nil {
		return nil, fmt.Errorf("publishing a notice %s: %w", n.Kind, err)
	}
	return &d, nil
}

// schedule adds the job for a delivery's next attempt.
func (s *Service) schedule(ctx context.Context, tx *sqldb.Tx, n *noticeRow, d *deliveryRow) error {
	options := jobs.Options{Tenant: n.TenantID}
	if d.Tries > 0 {
		options.At = *d.DueAt
	}
	_, err := s.deliver.Add(ctx, tx, deliverArgs{Delivery: d.ID, Round: d.Round, Try: d.Tries + 1}, options)
	return err
}

// Invite mails an invitation with the link that opens the account, until it
// ends. [ErrNoMail] if no mail server is configured.
func (s *Service) Invite(ctx context.Context, tx *sqldb.Tx, to, name string, link secrets.Value, until time.Time) error {
	if !s.HasMail() {
		return ErrNoMail
	}
	return s.mailLink(ctx, tx, to, name, link, until, Event{Kind: Invitation, Title: "You are invited to Gatehouse", Text: "An administrator has made an account for you. The link below opens it once: choose a password and a second factor there."})
}

// Write mails somebody who is no operator, with a link that may be empty and then
// has no end. [ErrNoMail] if no mail server is configured.
func (s *Service) Write(ctx context.Context, tx *sqldb.Tx, to, name, subject, text string, link secrets.Value, until time.Time) error {
	if !s.HasMail() {
		return ErrNoMail
	}
	e := Event{Kind: Letter, Title: subject, Text: text}
	if !link.Empty() {
		e.Path = "/" // there is a link
	}
	return s.mailLink(ctx, tx, to, name, link, until, e)
}

func (s *Service) mailLink(ctx context.Context, tx *sqldb.Tx, to, name string, link secrets.Value, until time.Time, e Event) error {
	n, _, err := s.insert(ctx, tx, e)
	if err != nil {
		return err
	}
	d, err := s.queue(ctx, tx, n, deliveryRow{Channel: ByMail, Name: name, Address: to})
	if err != nil {
		return err
	}
	if link.Empty() {
		return s.announce(ctx, tx, n)
	}
	sealed, err := s.Keys.Seal(ctx, tx, "notice_links", d.ID, "link", link)
	if err != nil {
		return err
	}
	if _, err := tx.NewInsert().Model(&linkRow{DeliveryID: d.ID, Link: sealed, Until: until.UTC()}).Exec(ctx); err != nil {
		return fmt.Errorf("mailing a link: %w", err)
	}
	return s.announce(ctx, tx, n)
}

// announce tells open pages that there is something new about a notice.
func (s *Service) announce(ctx context.Context, tx *sqldb.Tx, n *noticeRow) error {
	return s.Live.Publish(ctx, tx, "notice", n.TenantID, map[string]string{"notice": n.ID})
}

// line makes one line of a text that may come from outside: without control
// characters and those that turn the direction of what follows, and bounded.
func line(text string, most int) string {
	return cut(strings.Join(strings.FieldsFunc(text, func(r rune) bool { return unicode.IsSpace(r) || hostile(r) }), " "), most)
}

// paragraphs is the same for a text of several lines.
func paragraphs(text string, most int) string {
	var out []string
	for l := range strings.Lines(text) {
		out = append(out, line(l, most))
	}
	return cut(strings.TrimSpace(strings.Join(out, "\n")), most)
}

// hostile are the runes that change how others are shown.
func hostile(r rune) bool {
	return unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) || r == utf8.RuneError || r == '\u2028' || r == '\u2029' || r == '\u200b' || r == '\ufeff'
}

// cut shortens a text to so many bytes.
func cut(text string, most int) string {
	const mark = "…"
	if len(text) <= most {
		return text
	}
	end := most - len(mark)
	for end > 0 && !utf8.RuneStart(text[end]) {
		end--
	}
	return strings.TrimSpace(text[:end]) + mark
}

// covers reports whether a list of kinds and one of tenants, which stands for
// all if empty, take a notice in.
func covers(kinds, tenants []string, kind, tenantID string) bool {
	return slices.Contains(kinds, kind) && (len(tenants) == 0 || slices.Contains(tenants, tenantID))
}
