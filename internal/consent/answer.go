package consent

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"

	"gatehouse/internal/audit"
	"gatehouse/internal/secrets"
	"gatehouse/internal/sqldb"
)

// stateLife is how long an answer of Microsoft is taken after its page was opened.
const stateLife = 2 * time.Hour

// The errors of an answer, for which nothing is stored.
var (
	// ErrState says that the answer does not belong to a page that this browser
	// opened.
	ErrState = errors.New("this answer does not belong to a page that this browser opened")
	// ErrReplayed says that the answer was taken already.
	ErrReplayed = errors.New("this answer was taken already")
	// ErrLate says that the page was opened too long ago.
	ErrLate = errors.New("the page was opened too long ago: open it again")
)

// NewBrowser makes the secret that ties answers to a browser. It lies in a cookie.
func NewBrowser() secrets.Value { return secrets.New(newToken()) }

// stateOf ties an answer to a page and a browser: only who knows the page's token
// and the browser's secret can make one.
func stateOf(r *requestRow, browser secrets.Value, now time.Time) string {
	body := r.ID + "." + strconv.FormatInt(now.Unix(), 36) + "." + newToken()[:16]
	return body + "." + seal(r, browser, body)
}

func seal(r *requestRow, browser secrets.Value, body string) string {
	mac := hmac.New(sha256.New, []byte(browser.Reveal()+" "+r.TokenHash))
	_, _ = mac.Write([]byte(body)) // never fails
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

// stateID is the page that a state says it belongs to.
func stateID(state string) (id, body, sum string, at time.Time, ok bool) {
	parts := strings.Split(state, ".")
	if len(state) > 300 || len(parts) != 4 {
		return "", "", "", time.Time{}, false
	}
	unix, err := strconv.ParseInt(parts[1], 36, 64)
	return parts[0], strings.Join(parts[:3], "."), parts[3], time.Unix(unix, 0), err == nil
}

// RequestOf is the id of the page that an answer says it belongs to; "" if it says
// none. It proves nothing: it finds the browser's cookie.
func RequestOf(query url.Values) string {
	id, _, _, _, ok := stateID(query.Get("state"))
	if !ok {
		return ""
	}
	return id
}

// Done is what became of an answer.
type Done struct {
	Kind     Kind // [Approved], or why it was not
	TenantID string
	Code     string // Microsoft's, "" if it gave none
}

// Answer takes the answer with which Microsoft sends the administrator's browser
// back. That it approved is a hint, whatever it says: [Service.Look] tells. Whoever
// has no page open in this browser gets [ErrState], [ErrReplayed] or [ErrLate].
func (s *Service) Answer(ctx context.Context, query url.Values, browser secrets.Value, address string) (Done, error) {
	for name, values := range query {
		if len(values) > 1 {
			return Done{}, fmt.Errorf("%w: %.40q is there twice", ErrState, name)
		}
	}
	id, body, sum, at, ok := stateID(query.Get("state"))
	if !ok || browser.Empty() {
		return Done{}, ErrState
	}
	var r requestRow
	err := s.DB.Read().NewSelect().Model(&r).Where("id = ?", id).Scan(ctx)
	if sqldb.Missing(err) {
		return Done{}, ErrState
	}
	if err != nil {
		return Done{}, fmt.Errorf("reading a page for an administrator: %w", err)
	}
	ctx = asLink(ctx, &r, address)
	now := s.time()
	switch {
	case !hmac.Equal([]byte(seal(&r, browser, body)), []byte(sum)):
		return Done{}, s.refused(ctx, &r, ErrState)
	case now.Sub(at) > stateLife || at.Sub(now) > time.Minute:
		return Done{}, s.refused(ctx, &r, ErrLate)
	case !r.request().Live(now):
		return Done{}, s.refused(ctx, &r, ErrLink)
	}
	directory, err := s.Tenants.Directory(ctx, r.TenantID)
	if err != nil {
		return Done{}, err
	}
	done := judge(query, directory.DirectoryID)
	done.TenantID = r.TenantID
	m, err := s.Manifest(ctx, r.RegistrationID)
	if err != nil {
		return Done{}, err
	}
	err = s.DB.Change(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		return s.take(ctx, tx, &r, done, hashOf(query.Get("state")), m)
	})
	if errors.Is(err, ErrReplayed) {
		return Done{}, s.refused(ctx, &r, err)
	}
	return done, err
}

// judge reads an answer. Success is that there is no error: admin_consent=True comes
// with a refusal as well (entra-sign-in §9.2). A tenant that is named and is another
// one proves that it was the wrong one; the right one proves nothing.
func judge(query url.Values, directoryID string) Done {
	if query.Get("error") != "" || query.Get("error_description") != "" {
		kind, code := kindOf(query.Get("error"), query.Get("error_description"))
		return Done{Kind: kind, Code: code}
	}
	switch tenant := query.Get("tenant"); {
	case !strings.EqualFold(query.Get("admin_consent"), "true"):
		return Done{Kind: Incomplete}
	case tenant != "" && !strings.EqualFold(tenant, directoryID):
		return Done{Kind: WrongTenant}
	}
	return Done{Kind: Approved}
}

// take keeps what an answer said.
func (s *Service) take(ctx context.Context, tx *sqldb.Tx, r *requestRow, done Done, state string, m Manifest) error {
	now := s.time()
	result, err := tx.NewRaw("INSERT INTO consent_answers (state_hash, request_id, at) VALUES (?, ?, ?) ON CONFLICT (state_hash) DO NOTHING", state, r.ID, now).Exec(ctx)
	if err != nil {
		return fmt.Errorf("noting an answer: %w", err)
	}
	if n, err := result.RowsAffected(); err != nil || n == 0 {
		return errors.Join(err, ErrReplayed)
	}
	outcome := audit.OutcomeDone
	if done.Kind != Approved {
		outcome = audit.OutcomeFailed
	}
	e := r.entry("consent.answered", map[string]any{"answer": done.Kind, "code": done.Code})
	e.Outcome = outcome
	if err := s.Audit.Act(ctx, tx, e); err != nil {
		return err
	}
	if _, err := tx.NewRaw("UPDATE consent_requests SET answered_at = ?, answer = ? WHERE id = ?", now, string(done.Kind), r.ID).Exec(ctx); err != nil {
		return fmt.Errorf("noting an answer: %w", err)
	}
	if done.Kind == Approved {
		c, err := hold(ctx, tx, r.TenantID, r.RegistrationID)
		if err != nil {
			return err
		}
		c.ApprovedAt, c.Approved, c.Version = &now, c.asks(m).Permissions, int64(m.Version)
		if err := c.save(ctx, tx); err != nil {
			return err
		}
	}
	if err := s.beginFollowing(ctx, tx, r.TenantID, r.RegistrationID, true); err != nil {
		return err
	}
	return s.announce(ctx, tx, r.TenantID, r.RegistrationID)
}

// refused writes down that an answer was not taken, and gives why.
func (s *Service) refused(ctx context.Context, r *requestRow, why error) error {
	e := r.entry("consent.answered", map[string]any{"refused": why.Error()})
	e.Outcome = audit.OutcomeRefused
	err := s.DB.Change(context.WithoutCancel(ctx), func(ctx context.Context, tx *sqldb.Tx) error { return s.Audit.Act(ctx, tx, e) })
	return errors.Join(why, err)
}

// asLink makes whoever holds a page's address the actor: they may do what the page
// does, in its tenant alone.
func asLink(ctx context.Context, r *requestRow, address string) context.Context {
	return audit.With(ctx, audit.Actor{Kind: audit.Link, ID: r.ID, Name: "consent page", Address: address, Roles: map[string]audit.Role{r.TenantID: audit.Engineer}, Only: []audit.Permission{audit.TenantView, audit.ConsentView, audit.ConsentManage}})
}

// Is reports whether a page's token and an answer's state belong together.
func (s *Service) Is(ctx context.Context, token, requestID string) bool {
	r, err := s.opened(ctx, token)
	return err == nil && r.ID == requestID
}

// StateLife is how long a browser keeps what ties answers to it.
const StateLife = stateLife
