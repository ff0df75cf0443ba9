package expiry

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/uptrace/bun"

	"gatehouse/internal/audit"
	"gatehouse/internal/secrets"
	"gatehouse/internal/sqldb"
	"gatehouse/internal/tenant"
)

// Feed is a secret address at which an operator's calendar program reads what
// ends: what the operator may see when it does.
type Feed struct {
	bun.BaseModel `bun:"table:calendar_feeds,alias:f"`

	ID         string `bun:"id,pk"`
	OperatorID string
	TokenHash  string
	Name       string
	CreatedAt  time.Time
	UsedAt     *time.Time
}

// maxFeeds is how many addresses an operator may have.
const maxFeeds = 10

// The calendar shows what ended lately, and what ends within so long.
const (
	feedPast   = 30 * day
	feedFuture = 800 * day
	maxEvents  = 2000
)

func hashOf(token string) string {
	sum := sha256.Sum256([]byte(token))
	return hex.EncodeToString(sum[:])
}

// self is the operator who asks; a link or job has no calendar.
func self(ctx context.Context) (string, error) {
	a, ok := audit.From(ctx)
	if !ok || a.Kind != audit.Operator {
		return "", &audit.Refused{Permission: audit.Self, Nobody: true}
	}
	return a.ID, nil
}

// NewFeed makes a secret address for the operator who asks, and gives what stands
// in it: it is not kept here, and so never shown again.
func (s *Service) NewFeed(ctx context.Context, name string) (Feed, secrets.Value, error) {
	id, err := self(ctx)
	if err != nil {
		return Feed{}, secrets.Value{}, err
	}
	name = strings.TrimSpace(name)
	var f tenant.Faults
	if name == "" {
		f.Add("name", "is missing", "say which calendar it is for, such as Outlook")
	}
	f.Text("name", name, 100)
	if err := f.Err(); err != nil {
		return Feed{}, secrets.Value{}, err
	}
	raw := make([]byte, 32)
	_, _ = rand.Read(raw) // never fails: it ends the process instead
	token := base64.RawURLEncoding.EncodeToString(raw)
	feed := Feed{ID: uuid.Must(uuid.NewV7()).String(), OperatorID: id, TokenHash: hashOf(token), Name: name, CreatedAt: s.time()}
	err = s.DB.Change(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		count, err := tx.NewSelect().Model((*Feed)(nil)).Where("operator_id = ?", id).Count(ctx)
		if err != nil {
			return fmt.Errorf("counting calendars: %w", err)
		}
		if count >= maxFeeds {
			return ErrMany
		}
		if err := s.Audit.Act(ctx, tx, feed.entry("calendar.made")); err != nil {
			return err
		}
		if _, err := tx.NewInsert().Model(&feed).Exec(ctx); err != nil {
			return fmt.Errorf("making a calendar: %w", err)
		}
		return nil
	})
	if err != nil {
		return Feed{}, secrets.Value{}, err
	}
	return feed, secrets.New(token), nil
}

func (f *Feed) entry(action string) audit.Entry {
	return audit.Entry{Permission: audit.Self, Action: action, ObjectKind: "calendar", ObjectID: f.ID, ObjectName: f.Name}
}

// Feeds are the addresses of the operator who asks, the newest first.
func (s *Service) Feeds(ctx context.Context) ([]Feed, error) {
	id, err := self(ctx)
	if err != nil {
		return nil, err
	}
	var all []Feed
	if err := s.DB.Read().NewSelect().Model(&all).Where("operator_id = ?", id).OrderExpr("id DESC").Scan(ctx); err != nil {
		return nil, fmt.Errorf("listing calendars: %w", err)
	}
	for i := range all {
		all[i].CreatedAt, all[i].UsedAt = all[i].CreatedAt.UTC(), utc(all[i].UsedAt)
	}
	return all, nil
}

// RevokeFeed ends an address of the operator who asks. [ErrMissing] if they have no
// such one.
func (s *Service) RevokeFeed(ctx context.Context, id string) error {
	who, err := self(ctx)
	if err != nil {
		return err
	}
	return s.DB.Change(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		var f Feed
		err := tx.NewSelect().Model(&f).Where("id = ? AND operator_id = ?", id, who).Scan(ctx)
		if sqldb.Missing(err) {
			return ErrMissing
		}
		if err != nil {
			return fmt.Errorf("reading a calendar: %w", err)
		}
		if err := s.Audit.Act(ctx, tx, f.entry("calendar.revoked")); err != nil {
			return err
		}
		if _, err := tx.NewDelete().Model(&f).WherePK().Exec(ctx); err != nil {
			return fmt.Errorf("revoking a calendar: %w", err)
		}
		return nil
	})
}

// ReadFeed gives the calendar behind a secret address, with what its operator may
// see now. [ErrMissing] for an address that is none, was revoked, or whose operator
// is gone or disabled: which of them, nobody is told.
func (s *Service) ReadFeed(ctx context.Context, token, address, console string) (string, error) {
	if len(token) != 43 { // 32 bytes
		return "", ErrMissing
	}
	var f Feed
	err := s.DB.Read().NewSelect().Model(&f).Where("token_hash = ?", hashOf(token)).Scan(ctx)
	if sqldb.Missing(err) {
		return "", ErrMissing
	}
	if err != nil {
		return "", fmt.Errorf("reading a calendar: %w", err)
	}
	ctx, err = s.ActingFor(ctx, f.OperatorID, address, audit.TenantView, audit.ConnectionView)
	if err != nil {
		return "", errors.Join(ErrMissing, err)
	}
	text, err := s.CalendarText(ctx, console)
	if err != nil {
		return "", err
	}
	if now := s.time(); f.UsedAt == nil || now.Sub(*f.UsedAt) > time.Minute {
		err = s.DB.Change(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
			_, err := tx.NewUpdate().Model((*Feed)(nil)).ModelTableExpr("calendar_feeds").Set("used_at = ?", now).Where("id = ?", f.ID).Exec(ctx)
			return err
		})
	}
	return text, err
}

// CalendarText gives what ends, of what the actor may see, as a calendar. At most
// 2,000 ends fit; the description of the last says so if there are more.
func (s *Service) CalendarText(ctx context.Context, console string) (string, error) {
	scope, err := seen(ctx)
	if err != nil {
		return "", err
	}
	now := s.time()
	var rows []found
	q := scope.Filter(s.selected(), "x.tenant_id").Where("x.used AND x.not_after > ? AND x.not_after < ?", now.Add(-feedPast), now.Add(feedFuture)).OrderExpr("x.not_after, x.id").Limit(maxEvents + 1)
	if err := q.Scan(ctx, &rows); err != nil {
		return "", fmt.Errorf("reading what ends: %w", err)
	}
	more := len(rows) > maxEvents
	items, err := s.whole(ctx, rows[:min(len(rows), maxEvents)])
	if err != nil {
		return "", err
	}
	if more {
		items[maxEvents-1].Name += " (there are more: the console shows them)"
	}
	return Calendar(items, now, strings.TrimSuffix(console, "/")), nil
}
