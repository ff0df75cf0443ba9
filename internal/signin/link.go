package signin

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/uptrace/bun"

	"gatehouse/internal/audit"
	"gatehouse/internal/fault"
	"gatehouse/internal/secrets"
	"gatehouse/internal/sqldb"
	"gatehouse/internal/tenant"
)

// LinkState is how a personal link stands.
type LinkState string

// The states of a link. Expired is one that nobody used in time.
const (
	LinkOpen      LinkState = "open"
	LinkStarted   LinkState = "started" // bound to the browser that began with it
	LinkDone      LinkState = "done"
	LinkDeclined  LinkState = "declined"
	LinkWithdrawn LinkState = "withdrawn"
	LinkExpired   LinkState = "expired"
)

// LinkOptions say what a personal link is for.
type LinkOptions struct {
	For        string        // user name of who is to sign in; "" for whoever the connection names
	Why        string        // for the person to read
	Until      time.Duration // how long it is good; [LinkLife] if zero
	Resource   string        // service to sign in for; "" for the connection's first
	Claims     string        // a claims challenge to answer, as JSON; ""
	CampaignID string
}

// Link is a personal link as it is given out, once.
type Link struct {
	ID    string
	URL   secrets.Value
	Until time.Time
}

// LinkInfo is a personal link without its address.
type LinkInfo struct {
	ID, ConnectionID string
	Person, Why      string
	AskedBy          string
	State            LinkState
	CreatedAt        time.Time
	Until            time.Time
	EndedAt          *time.Time
}

type linkRow struct {
	bun.BaseModel `bun:"table:signin_links"`

	ID           string `bun:"id,pk"`
	TenantID     string
	ConnectionID string
	TokenHash    string
	Person       string
	Why          string
	Resource     string
	Claims       string
	CampaignID   string
	AskedKind    audit.Kind
	AskedID      string
	AskedBy      string
	CreatedAt    time.Time
	Until        time.Time
	BrowserHash  string
	State        LinkState
	EndedAt      *time.Time
}

func (l *linkRow) info(now time.Time) LinkInfo {
	out := LinkInfo{ID: l.ID, ConnectionID: l.ConnectionID, Person: l.Person, Why: l.Why, AskedBy: l.AskedBy, State: l.State, CreatedAt: l.CreatedAt.UTC(), Until: l.Until.UTC(), EndedAt: l.EndedAt}
	if (l.State == LinkOpen || l.State == LinkStarted) && !now.Before(l.Until) {
		out.State = LinkExpired
	}
	return out
}

// shown is info for the person of the link, who has heard of operators at most.
func (l *linkRow) shown(now time.Time) LinkInfo {
	out := l.info(now)
	if l.AskedKind == audit.System {
		out.AskedBy = ""
	}
	return out
}

// NewLink makes a personal link for a connection. Its address is given once.
func (s *Service) NewLink(ctx context.Context, connectionID string, o LinkOptions) (Link, error) {
	c, err := s.manageable(ctx, connectionID)
	if err != nil {
		return Link{}, err
	}
	o.For, o.Why = strings.TrimSpace(o.For), strings.TrimSpace(o.Why)
	if o.Until == 0 {
		o.Until = LinkLife
	}
	var f fault.List
	f.Text("for", o.For, 320)
	f.Text("why", o.Why, 500)
	if o.For != "" && c.Username != "" && !strings.EqualFold(o.For, c.Username) {
		f.Add("for", "is another person than the connection's ("+c.Username+")", "make a connection for the other person, or leave it out")
	}
	if o.Until < time.Minute || o.Until > maxLinkLife {
		f.Add("until", "is no time that a link can be good for", "choose between a minute and 30 days")
	}
	if err := f.Err(); err != nil {
		return Link{}, err
	}
	if s.Registration == nil {
		return Link{}, ErrRegistration
	}
	registration, err := s.Registration(ctx, c.RegistrationID)
	if err != nil {
		return Link{}, err
	}
	if _, err := s.wants(c, registration, o.Resource); err != nil {
		return Link{}, err
	}
	actor, _ := audit.From(ctx)
	token, now := s.token(), s.time()
	l := &linkRow{
		ID: newID(), TenantID: c.TenantID, ConnectionID: c.ID, TokenHash: hash(token), Person: orElse(o.For, c.Username), Why: o.Why, Resource: o.Resource, Claims: o.Claims, CampaignID: o.CampaignID,
		AskedKind: actor.Kind, AskedID: actor.ID, AskedBy: actor.Name, CreatedAt: now, Until: now.Add(o.Until), State: LinkOpen,
	}
	err = s.DB.Change(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		if err := s.Audit.Act(ctx, tx, l.entry("connection.sign_in_link", audit.OutcomeDone, c.Name)); err != nil {
			return err
		}
		if _, err := tx.NewInsert().Model(l).Exec(ctx); err != nil {
			return fmt.Errorf("making a sign-in link: %w", err)
		}
		return s.announce(ctx, tx, l.TenantID, l.ConnectionID)
	})
	if err != nil {
		return Link{}, err
	}
	return Link{ID: l.ID, URL: secrets.New(s.PublicURL + LinkPath + token.Reveal()), Until: l.Until}, nil
}

func (l *linkRow) entry(action string, outcome audit.Outcome, name string) audit.Entry {
	return audit.Entry{Permission: audit.ConnectionManage, TenantID: l.TenantID, Action: action, ObjectKind: "connection", ObjectID: l.ConnectionID, ObjectName: name, Outcome: outcome,
		Details: map[string]any{"link": l.ID, "person": l.Person, "until": l.Until}}
}

// Links are a connection's personal links, the newest first.
func (s *Service) Links(ctx context.Context, connectionID string) ([]LinkInfo, error) {
	c, err := s.Connections.Get(ctx, connectionID)
	if err != nil {
		return nil, err
	}
	var rows []linkRow
	if err := s.DB.Read().NewSelect().Model(&rows).Where("connection_id = ?", c.ID).OrderExpr("id DESC").Limit(50).Scan(ctx); err != nil {
		return nil, fmt.Errorf("listing sign-in links: %w", err)
	}
	out, now := make([]LinkInfo, len(rows)), s.time()
	for i := range rows {
		out[i] = rows[i].info(now)
	}
	return out, nil
}

// Withdraw takes a personal link back: it opens nothing from then on, and a sign-in
// begun with it keeps nothing. [ErrEnded] if it has ended already.
func (s *Service) Withdraw(ctx context.Context, connectionID, linkID string) error {
	c, err := s.Connections.Get(ctx, connectionID)
	if err != nil {
		return err
	}
	return s.DB.Change(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		l := &linkRow{ID: linkID, TenantID: c.TenantID, ConnectionID: c.ID}
		if err := s.Audit.Act(ctx, tx, l.entry("connection.sign_in_link_withdrawn", audit.OutcomeDone, c.Name)); err != nil {
			return err
		}
		done, err := tx.NewRaw("UPDATE signin_links SET state = ?, ended_at = ? WHERE id = ? AND connection_id = ? AND state IN (?, ?)", LinkWithdrawn, s.time(), linkID, c.ID, LinkOpen, LinkStarted).Exec(ctx)
		if err != nil {
			return fmt.Errorf("withdrawing a sign-in link: %w", err)
		}
		if n, err := done.RowsAffected(); err != nil || n == 0 {
			return errors.Join(err, ErrEnded)
		}
		return s.announce(ctx, tx, c.TenantID, c.ID)
	})
}

// Opening is what the page of a personal link shows. AskedBy is "" if nobody asked but
// Gatehouse itself.
type Opening struct {
	LinkInfo
	Connection  string // its name
	Tenant      string
	App         string // name of the app registration
	Service     string
	Permissions []Permission
	Host        string // of the pages that come next
}

// Opened gives what a personal link is for. Looking at it does nothing, so that
// programs that look at the links in mail do no harm. [ErrLink] if there is none.
// Of one that can no longer be used the error is a [*Refusal]; what it was for is
// given all the same.
func (s *Service) Opened(ctx context.Context, token, browser secrets.Value) (Opening, error) {
	l, ctx, err := s.byToken(ctx, token)
	if err != nil {
		return Opening{}, err
	}
	out := Opening{LinkInfo: l.shown(s.time()), Host: s.MicrosoftHost()}
	c, err := s.Connections.Get(ctx, l.ConnectionID)
	if err != nil {
		return Opening{}, err
	}
	out.Connection, out.Tenant = c.Name, c.TenantName
	if err := l.usable(s.time(), hash(browser)); err != nil {
		return out, err
	}
	if s.Registration == nil {
		return Opening{}, ErrRegistration
	}
	registration, err := s.Registration(ctx, c.RegistrationID)
	if err != nil {
		return Opening{}, err
	}
	want, err := s.wants(c, registration, l.Resource)
	if err != nil {
		return Opening{}, err
	}
	out.App, out.Service, out.Permissions = registration.Name, want.service, registration.delegated(want.service)
	return out, nil
}

// StartLink begins to sign in with a personal link, which is this browser's from
// then on.
func (s *Service) StartLink(ctx context.Context, token, browser secrets.Value, prompt string) (Attempt, error) {
	l, ctx, err := s.byToken(ctx, token)
	if err != nil {
		return Attempt{}, err
	}
	if err := l.usable(s.time(), hash(browser)); err != nil {
		return Attempt{}, err
	}
	c, err := s.manageable(ctx, l.ConnectionID)
	if err != nil {
		return Attempt{}, err
	}
	return s.begin(ctx, start{connection: c, link: l, person: orElse(c.Username, l.Person), round: 1, Options: Options{Resource: l.Resource, Claims: l.Claims, Prompt: prompt, Browser: browser}})
}

// Decline notes that the person of a link does not want to sign in.
func (s *Service) Decline(ctx context.Context, token, browser secrets.Value) error {
	l, ctx, err := s.byToken(ctx, token)
	if err != nil {
		return err
	}
	if err := l.usable(s.time(), hash(browser)); err != nil {
		return err
	}
	c, err := s.Connections.Get(ctx, l.ConnectionID)
	if err != nil {
		return err
	}
	refusal := refuse(Declined, orElse(l.Person, "The person")+" declined to sign in", "by the link")
	return s.DB.Change(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		if err := s.Audit.Act(ctx, tx, l.entry("connection.sign_in_declined", audit.OutcomeDone, c.Name)); err != nil {
			return err
		}
		done, err := tx.NewRaw("UPDATE signin_links SET state = ?, ended_at = ? WHERE id = ? AND state IN (?, ?)", LinkDeclined, s.time(), l.ID, LinkOpen, LinkStarted).Exec(ctx)
		if err != nil {
			return fmt.Errorf("declining to sign in: %w", err)
		}
		if n, err := done.RowsAffected(); err != nil || n == 0 {
			return errors.Join(err, refuse(LinkUsed, "This link was used already", "meanwhile"))
		}
		if s.SignedIn != nil {
			if err := s.SignedIn(ctx, tx, l.ConnectionID, l.CampaignID, "", refusal); err != nil {
				return err
			}
		}
		r := &attemptRow{TenantID: l.TenantID, ConnectionID: l.ConnectionID, LinkID: l.ID, ActorKind: audit.Link, ActorName: l.Person}
		return s.note(ctx, tx, r, &Event{Outcome: SaidNo, Reason: Declined, Words: refusal.Words, Person: l.Person})
	})
}

// byToken finds a link, and makes its holder the actor.
func (s *Service) byToken(ctx context.Context, token secrets.Value) (*linkRow, context.Context, error) {
	if token.Empty() || len(token.Reveal()) > 100 {
		return nil, ctx, ErrLink
	}
	var l linkRow
	err := s.DB.Read().NewSelect().Model(&l).Where("token_hash = ?", hash(token)).Scan(ctx)
	if sqldb.Missing(err) {
		return nil, ctx, ErrLink
	}
	if err != nil {
		return nil, ctx, fmt.Errorf("reading a sign-in link: %w", err)
	}
	who, _ := audit.From(ctx)
	return &l, s.asLink(ctx, l.ID, l.Person, l.TenantID, who.Address), nil
}

func (s *Service) findLink(ctx context.Context, id string) (*linkRow, error) {
	var l linkRow
	err := s.DB.Read().NewSelect().Model(&l).Where("id = ?", id).Scan(ctx)
	if sqldb.Missing(err) {
		return nil, ErrLink
	}
	if err != nil {
		return nil, fmt.Errorf("reading a sign-in link: %w", err)
	}
	return &l, nil
}

// usable demands that a link can be begun with, in a browser.
func (l *linkRow) usable(now time.Time, browserHash string) error {
	switch {
	case l.State == LinkWithdrawn:
		return refuse(Withdrawn, "This link was withdrawn", "")
	case l.State == LinkDone:
		return refuse(LinkUsed, "This link was used already", "the sign-in has ended")
	case l.State == LinkDeclined:
		return refuse(LinkUsed, "This link was used already", "the person declined")
	case !now.Before(l.Until):
		return refuse(LinkLapsed, "This link has expired", "on %s", l.Until.UTC())
	case l.State == LinkStarted && l.BrowserHash != browserHash:
		return refuse(LinkUsed, "This link was used already, in another browser", "begun")
	}
	return nil
}

// started makes the link the browser's, in the transaction of its attempt.
func (l *linkRow) started(ctx context.Context, tx *sqldb.Tx, browserHash string, now time.Time) error {
	done, err := tx.NewRaw("UPDATE signin_links SET state = ?, browser_hash = ? WHERE id = ? AND until > ? AND (state = ? OR state = ? AND browser_hash = ?)", LinkStarted, browserHash, l.ID, now, LinkOpen, LinkStarted, browserHash).Exec(ctx)
	if err != nil {
		return fmt.Errorf("beginning with a sign-in link: %w", err)
	}
	if n, err := done.RowsAffected(); err != nil || n == 0 {
		return errors.Join(err, refuse(LinkUsed, "This link was used already", "meanwhile"))
	}
	return nil
}

// endLink uses a link up; "" is none. One that was withdrawn while the person
// signed in keeps the sign-in from being stored.
func (s *Service) endLink(ctx context.Context, tx *sqldb.Tx, id string) error {
	if id == "" {
		return nil
	}
	done, err := tx.NewRaw("UPDATE signin_links SET state = ?, ended_at = ? WHERE id = ? AND state = ?", LinkDone, s.time(), id, LinkStarted).Exec(ctx)
	if err != nil {
		return fmt.Errorf("using a sign-in link: %w", err)
	}
	if n, err := done.RowsAffected(); err != nil || n == 0 {
		return errors.Join(err, refuse(Withdrawn, "The link was withdrawn while you signed in", ""))
	}
	return nil
}

func (s *Service) announce(ctx context.Context, tx *sqldb.Tx, tenantID, connectionID string) error {
	return s.Live.Publish(ctx, tx, "tenant/"+tenantID, tenantID, map[string]string{"tenant": tenantID, "connection": connectionID, "changed": "sign_in"})
}

// Faults are what is wrong with what somebody entered.
type Faults = tenant.Faults
