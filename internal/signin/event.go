package signin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/uptrace/bun"

	"gatehouse/internal/audit"
	"gatehouse/internal/diagnosis"
	"gatehouse/internal/microsoft"
	"gatehouse/internal/secrets"
	"gatehouse/internal/sqldb"
	"gatehouse/internal/tenant"
)

// Outcome is what became of a sign-in.
type Outcome string

// The outcomes.
const (
	SignedIn  Outcome = "signed_in"
	Refused   Outcome = "refused"  // by Microsoft, or here
	Failed    Outcome = "failed"   // for a cause of our own
	SaidNo    Outcome = "declined" // by the person
	SignedOut Outcome = "signed_out"
)

// Event is a sign-in or sign-out of a connection.
type Event struct {
	ID, ConnectionID  string
	AttemptID, LinkID string
	At                time.Time
	Person, ObjectID  string // who signed in, as far as known
	Flow              string
	By                string // who began it
	ByLink            bool   // the person themself, with a link
	Outcome           Outcome
	Reason            Reason
	Words             string
	Code              string // Microsoft's
	CorrelationID     string
	Diagnosis         *diagnosis.Diagnosis // of what Microsoft said; nil otherwise
}

type eventRow struct {
	bun.BaseModel `bun:"table:sign_ins"`

	ID            string `bun:"id,pk"`
	TenantID      string
	ConnectionID  string
	AttemptID     string
	LinkID        string
	At            time.Time
	Person        string
	ObjectID      string
	Flow          string
	ByKind        audit.Kind
	ByName        string
	Outcome       Outcome
	Reason        Reason
	Words         string
	Code          string
	CorrelationID string
	Error         string
}

// said is what is kept of Microsoft's refusal.
type said struct {
	Status   int    `json:"status,omitempty"`
	Code     string `json:"code,omitempty"`
	OAuth    string `json:"oauth,omitempty"`
	Suberror string `json:"suberror,omitempty"`
	Message  string `json:"message,omitempty"`
}

func (r *eventRow) event() (Event, error) {
	e := Event{
		ID: r.ID, ConnectionID: r.ConnectionID, AttemptID: r.AttemptID, LinkID: r.LinkID, At: r.At.UTC(), Person: r.Person, ObjectID: r.ObjectID, Flow: r.Flow, By: r.ByName, ByLink: r.ByKind == audit.Link,
		Outcome: r.Outcome, Reason: r.Reason, Words: r.Words, Code: r.Code, CorrelationID: r.CorrelationID,
	}
	if r.Error == "" {
		return e, nil
	}
	var s said
	if err := json.Unmarshal([]byte(r.Error), &s); err != nil {
		return e, fmt.Errorf("reading a sign-in: %w", err)
	}
	d := diagnosis.Of(&microsoft.Error{Service: microsoft.ServiceLogin, Op: "signing in", Status: s.Status, Code: s.Code, OAuth: s.OAuth, Suberror: s.Suberror, Message: s.Message}, diagnosis.Facts{Account: r.Person})
	e.Diagnosis = &d
	return e, nil
}

// note writes down what became of a sign-in.
func (s *Service) note(ctx context.Context, tx *sqldb.Tx, r *attemptRow, e *Event) error {
	row := &eventRow{
		ID: newID(), TenantID: r.TenantID, ConnectionID: r.ConnectionID, AttemptID: r.ID, LinkID: r.LinkID, At: s.time(), Person: clip(e.Person, 320), ObjectID: clip(e.ObjectID, 64), Flow: r.Flow, ByKind: r.ActorKind, ByName: r.ActorName,
		Outcome: e.Outcome, Reason: e.Reason, Words: clip(e.Words, 1000), Code: clip(e.Code, 100), CorrelationID: clip(e.CorrelationID, 64),
	}
	return s.insert(ctx, tx, row)
}

func (s *Service) insert(ctx context.Context, tx *sqldb.Tx, row *eventRow) error {
	if _, err := tx.NewInsert().Model(row).Exec(ctx); err != nil {
		return fmt.Errorf("noting a sign-in: %w", err)
	}
	return s.announce(ctx, tx, row.TenantID, row.ConnectionID)
}

// refused writes down that a sign-in came to nothing, tells those who wait for it,
// and gives the error back; nil stays nil.
func (s *Service) refused(ctx context.Context, r *attemptRow, cause error) error {
	if cause == nil {
		return nil
	}
	refusal, known := errors.AsType[*Refusal](cause)
	if !known {
		refusal = &Refusal{Reason: "internal", Words: "Something went wrong here", Err: cause}
	}
	refusal.AttemptID = r.ID
	row := &eventRow{
		ID: newID(), TenantID: r.TenantID, ConnectionID: r.ConnectionID, AttemptID: r.ID, LinkID: r.LinkID, At: s.time(), Person: clip(refusal.Who, 320), ObjectID: clip(refusal.ObjectID, 64), Flow: r.Flow, ByKind: r.ActorKind, ByName: r.ActorName,
		Outcome: Refused, Reason: refusal.Reason, Words: clip(refusal.Words, 1000),
	}
	if !known {
		row.Outcome = Failed
	}
	details := map[string]any{"reason": refusal.Reason, "detail": clip(refusal.Detail, 1000), "person": clip(refusal.Who, 320), "link": r.LinkID, "flow": r.Flow}
	theirs, fromMicrosoft := errors.AsType[*microsoft.Error](refusal.Err)
	if fromMicrosoft {
		row.Code, row.CorrelationID = clip(theirs.Code, 100), clip(theirs.CorrelationID, 64)
		text, err := json.Marshal(said{theirs.Status, clip(theirs.Code, 100), clip(theirs.OAuth, 100), clip(theirs.Suberror, 100), clip(theirs.Message, 1000)})
		if err != nil {
			return errors.Join(cause, err)
		}
		row.Error = string(text)
		details["code"], details["correlation_id"] = row.Code, row.CorrelationID
	}
	acting, err := s.acting(ctx, r)
	if err != nil { // the operator is gone
		acting = audit.AsSystem(ctx, "signin")
	}
	name := ""
	if c, err := s.Connections.Get(acting, r.ConnectionID); err == nil {
		name = c.Name
	}
	err = s.DB.Change(acting, func(ctx context.Context, tx *sqldb.Tx) error {
		entry := r.entry(name, "connection.signed_in", details)
		entry.Outcome = audit.OutcomeFailed
		if err := s.Audit.Act(ctx, tx, entry); err != nil {
			return err
		}
		// An answer that comes a second time, or to a stranger, ends nobody's sign-in.
		if s.SignedIn != nil && refusal.Reason != Replayed && refusal.Reason != Browser {
			if err := s.SignedIn(ctx, tx, r.ConnectionID, r.CampaignID, refusal.Who, refusal); err != nil {
				return err
			}
		}
		if s.NeedsConsent != nil && fromMicrosoft && consentMissing(theirs) {
			if err := s.NeedsConsent(ctx, tx, r.ConnectionID, theirs); err != nil {
				return err
			}
		}
		return s.insert(ctx, tx, row)
	})
	return errors.Join(cause, err)
}

// consentMissing reports whether consent is what a refusal is about.
func consentMissing(e *microsoft.Error) bool {
	switch diagnosis.Of(e, diagnosis.Facts{}).Category {
	case "consent_user", "consent_admin":
		return true
	}
	return false
}

// List gives what became of a connection's sign-ins, the latest first. The cursor
// of the next page is "" after the last one.
func (s *Service) List(ctx context.Context, connectionID string, p tenant.Page) ([]Event, string, error) {
	c, err := s.Connections.Get(ctx, connectionID)
	if err != nil {
		return nil, "", err
	}
	var rows []eventRow
	q := s.DB.Read().NewSelect().Model(&rows).Where("connection_id = ?", c.ID)
	next, err := tenant.Newest(ctx, q, p, "sign-ins", "id", &rows, func(r eventRow) string { return r.ID })
	if err != nil {
		return nil, "", err
	}
	out := make([]Event, len(rows))
	for i := range rows {
		if out[i], err = rows[i].event(); err != nil {
			return nil, "", err
		}
	}
	return out, next, nil
}

// Result is what the page after a sign-in shows.
type Result struct {
	Event
	Connection, Tenant string
	Link               *LinkInfo // nil for an operator's own; AskedBy as in [Opening]
	Expected           string    // who was to sign in; "" for anybody
	Retry              bool      // it can be begun anew in this browser
}

// Result gives what became of a sign-in, to the browser in which it was begun.
// [ErrMissing] to any other.
func (s *Service) Result(ctx context.Context, attemptID string, browser secrets.Value) (Result, error) {
	r, acting, err := s.mine(ctx, attemptID, browser)
	if err != nil {
		return Result{}, err
	}
	var row eventRow
	err = s.DB.Read().NewSelect().Model(&row).Where("attempt_id = ?", r.ID).OrderExpr("id").Limit(1).Scan(ctx)
	if sqldb.Missing(err) {
		return Result{}, ErrMissing
	}
	if err != nil {
		return Result{}, fmt.Errorf("reading a sign-in: %w", err)
	}
	e, err := row.event()
	if err != nil {
		return Result{}, err
	}
	c, err := s.Connections.Get(acting, r.ConnectionID)
	if err != nil {
		return Result{}, err
	}
	out := Result{Event: e, Connection: c.Name, Tenant: c.TenantName, Expected: c.Username, Retry: e.Outcome != SignedIn && r.NextID == ""}
	if r.LinkID != "" {
		l, err := s.findLink(ctx, r.LinkID)
		if err != nil {
			return Result{}, err
		}
		info := l.shown(s.time())
		out.Link, out.Expected = &info, orElse(c.Username, l.Person)
		out.Retry = out.Retry && l.usable(s.time(), hash(browser)) == nil
	}
	return out, nil
}

// Retry begins anew, in the same browser, where a sign-in came to nothing. prompt is
// select_account where the person has to choose another account.
func (s *Service) Retry(ctx context.Context, attemptID string, browser secrets.Value, prompt string) (string, error) {
	res, err := s.Result(ctx, attemptID, browser)
	if err != nil {
		return "", err
	}
	if !res.Retry {
		return "", refuse(Replayed, "This sign-in cannot be begun anew", "")
	}
	r, acting, err := s.mine(ctx, attemptID, browser)
	if err != nil {
		return "", err
	}
	return s.again(acting, r, 1, "", prompt, browser)
}

// mine finds the attempt of a browser, and makes whoever began it the actor.
func (s *Service) mine(ctx context.Context, attemptID string, browser secrets.Value) (*attemptRow, context.Context, error) {
	r, err := s.findAttempt(ctx, s.DB.Read(), attemptID)
	if err != nil {
		return nil, ctx, err
	}
	if browser.Empty() || r.BrowserHash != hash(browser) || !s.time().Before(r.CreatedAt.Add(browserLife)) {
		return nil, ctx, ErrMissing
	}
	acting, err := s.acting(ctx, r)
	return r, acting, err
}
