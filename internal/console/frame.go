package console

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/a-h/templ"

	"gatehouse/internal/audit"
	"gatehouse/internal/batch"
	"gatehouse/internal/campaign"
	"gatehouse/internal/connection"
	"gatehouse/internal/consent"
	"gatehouse/internal/expiry"
	"gatehouse/internal/incident"
	"gatehouse/internal/jobs"
	"gatehouse/internal/notify"
	"gatehouse/internal/operator"
	"gatehouse/internal/registration"
	"gatehouse/internal/rotation"
	"gatehouse/internal/secrets"
	"gatehouse/internal/sqldb"
	"gatehouse/internal/tenant"
	"gatehouse/internal/validation"
)

// frame is what every page shows around its content.
type frame struct {
	Title, Noun string
	Session     *operator.Session // nil before signing in
	Theme       string            // light, dark, system
	Demo        bool
	Said        string // what was just done
	Here        string // path of this page
	Now         time.Time
	ctx         context.Context // with the actor
}

// may reports whether the person may do something in a tenant.
func (f *frame) may(tenantID string, p audit.Permission) bool { return audit.May(f.ctx, tenantID, p) }

// anywhere reports whether the person may do something in some tenant.
func (f *frame) anywhere(p audit.Permission) bool {
	scope, err := audit.Tenants(f.ctx, p)
	return err == nil && (scope.All || len(scope.IDs) > 0)
}

// inside reports whether the person is signed in.
func (f *frame) inside() bool {
	return f.Session != nil && f.Session.Operator != nil && f.Session.Stage == operator.StageSignedIn
}

// handler serves one route. An error becomes a page that says what to do.
type handler func(w http.ResponseWriter, r *http.Request, f *frame) error

// errNoPage is the answer to an address that leads nowhere.
var errNoPage = errors.New("there is no page at this address")

//go:noinline
func (c *console) serve(h handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		f := &frame{Theme: themeOf(r), Demo: c.Demo, Here: r.URL.RequestURI(), Now: c.Now(), Said: said[r.URL.Query().Get("said")], ctx: r.Context()}
		err := errNoPage
		if !strings.ContainsRune(r.URL.Path, 0) && !unstorable(r.URL.Query()) {
			err = h(w, r, f)
		}
		if err != nil {
			c.fail(w, r, f, err)
		}
	})
}

// unstorable reports whether a value holds what no database takes in a text.
func unstorable(values url.Values) bool {
	for _, all := range values {
		for _, v := range all {
			if strings.ContainsRune(v, 0) || !utf8.ValidString(v) {
				return true
			}
		}
	}
	return false
}

// limited bounds how often an address may ask.
func (c *console) limited(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := c.Limiter.Take(visit(r).Address); err != nil {
			c.fail(w, r, &frame{Theme: themeOf(r), Demo: c.Demo, Now: c.Now(), ctx: r.Context()}, err)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// inSession demands a session in any stage.
//
//go:noinline
func (c *console) inSession(h handler) handler {
	return func(w http.ResponseWriter, r *http.Request, f *frame) error {
		ctx, session, err := c.Operators.Authenticate(r.Context(), c.token(r), visit(r))
		if err != nil {
			return err
		}
		f.Session, f.ctx = session, ctx
		return h(w, r.WithContext(ctx), f)
	}
}

// signedIn demands a session that is signed in; another is sent to its next
// step.
//
//go:noinline
func (c *console) signedIn(h handler) handler {
	return c.inSession(func(w http.ResponseWriter, r *http.Request, f *frame) error {
		if f.Session.Stage != operator.StageSignedIn {
			return to(w, r, nextStep(f.Session.Stage))
		}
		return h(w, r, f)
	})
}

func nextStep(stage operator.Stage) string {
	switch stage {
	case operator.StageEnrol:
		return "/factors/new"
	case operator.StagePassword:
		return "/sign-in/factor"
	default:
		return "/"
	}
}

// visit is where the request comes from. A server behind a proxy puts the
// client's address into RemoteAddr beforehand.
func visit(r *http.Request) operator.Visit {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		host = r.RemoteAddr
	}
	return operator.Visit{Address: host, UserAgent: r.UserAgent()}
}

// The cookie of the session. With https its name binds it to this host.
func (c *console) cookieName() string {
	if c.secure() {
		return "__Host-gatehouse"
	}
	return "gatehouse"
}

func (c *console) secure() bool { return strings.HasPrefix(c.PublicURL, "https:") }

func (c *console) token(r *http.Request) secrets.Value {
	cookie, err := r.Cookie(c.cookieName())
	if err != nil {
		return secrets.Value{}
	}
	return secrets.New(cookie.Value)
}

// remember gives the browser the token of a session; the empty one takes it away.
func (c *console) remember(w http.ResponseWriter, issued operator.Issued) {
	cookie := &http.Cookie{Name: c.cookieName(), Path: "/", HttpOnly: true, Secure: c.secure(), SameSite: http.SameSiteLaxMode, MaxAge: -1} //nolint:gosec // Secure wherever the console is reached by https
	if issued.Session != nil {
		cookie.Value, cookie.MaxAge = issued.Token.Reveal(), max(1, int(issued.Session.ExpiresAt.Sub(c.Now()).Seconds()))
	}
	http.SetCookie(w, cookie)
}

// to sends the browser on after a change, so that reloading does not repeat it.
func to(w http.ResponseWriter, r *http.Request, path string) error {
	http.Redirect(w, r, path, http.StatusSeeOther) //nolint:gosec // every path is ours, or went through inside
	return nil
}

// back is to with a word about what was done.
func back(w http.ResponseWriter, r *http.Request, path, what string) error {
	return to(w, r, path+"?said="+url.QueryEscape(what))
}

// show renders a page as a whole, so that what goes wrong with it can still be
// answered, and sends it. That the browser has gone meanwhile is no fault.
func show(w http.ResponseWriter, r *http.Request, status int, page templ.Component) error {
	var text bytes.Buffer
	small := strings.Contains(r.Header.Get("Accept-Encoding"), "gzip")
	var into io.Writer = &text
	var packer *gzip.Writer
	if small {
		packer = gzip.NewWriter(&text)
		into = packer
	}
	if err := page.Render(r.Context(), into); err != nil {
		return fmt.Errorf("rendering a page: %w", err)
	}
	if small {
		if err := packer.Close(); err != nil {
			return fmt.Errorf("rendering a page: %w", err)
		}
		w.Header().Set("Content-Encoding", "gzip")
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Vary", "Accept-Encoding")
	w.WriteHeader(status)
	_, _ = w.Write(text.Bytes())
	return nil
}

// asJSON answers a script.
func asJSON(w http.ResponseWriter, v any) error {
	w.Header().Set("Content-Type", "application/json")
	return json.NewEncoder(w).Encode(v)
}

// trouble is what an error page says.
type trouble struct {
	Status       int
	Title, Words string
	Action, Href string
}

// fail answers an error: with a page for people, in words for scripts.
func (c *console) fail(w http.ResponseWriter, r *http.Request, f *frame, err error) {
	if r.Context().Err() != nil {
		return // nobody is there any more to read it
	}
	if errors.Is(err, operator.ErrSession) && r.Method == http.MethodGet {
		_ = to(w, r, "/sign-in?next="+url.QueryEscape(r.URL.RequestURI()))
		return
	}
	if limited, ok := errors.AsType[*operator.Limited](err); ok {
		w.Header().Set("Retry-After", strconv.Itoa(int(limited.RetryAfter.Seconds())+1))
	}
	t := explainTrouble(err)
	if refusal, ok := refusedSSO(err); ok {
		t = c.failedSSO(r, refusal)
	}
	if t.Status == http.StatusInternalServerError {
		c.Log.ErrorContext(r.Context(), "serving a page", "method", r.Method, "path", r.URL.Path, "error", err)
	}
	if strings.HasPrefix(r.Header.Get("Content-Type"), "application/json") || strings.HasSuffix(r.URL.Path, "/begin") {
		http.Error(w, t.Words, t.Status)
		return
	}
	f.Title = t.Title
	if err := show(w, r, t.Status, troublePage(f, t)); err != nil {
		c.Log.WarnContext(r.Context(), "rendering an error page", "error", err)
	}
}

func explainTrouble(err error) trouble {
	refused, isRefused := errors.AsType[*audit.Refused](err)
	switch {
	case errors.Is(err, errNoPage), isRefused && refused.Hidden, missing(err):
		return trouble{http.StatusNotFound, "Not here", "There is nothing at this address, or you have no role for it. It may have been removed.", "Go to the overview", "/"}
	case isRefused:
		return trouble{http.StatusForbidden, "Your role does not allow this", "This needs the role " + refused.Needs.String() + ". An administrator of Gatehouse can give it to you under Operators.", "Go to the overview", "/"}
	case errors.Is(err, operator.ErrSession):
		return trouble{http.StatusUnauthorized, "Sign in again", "Your session has ended. What you typed was not stored.", "Sign in", "/sign-in"}
	case errors.Is(err, operator.ErrStale):
		return trouble{http.StatusForbidden, "Sign in again first", "You signed in more than 15 minutes ago. To change how you sign in, sign out and in again.", "Go to settings", "/settings"}
	case errors.Is(err, operator.ErrLink):
		return trouble{http.StatusNotFound, "This link does not open anything", "It was used already, has expired, or was not copied whole. Ask an administrator for a new one; if there is none yet, restart the server: it prints a new link.", "Go to sign-in", "/sign-in"}
	}
	if limited, ok := errors.AsType[*operator.Limited](err); ok {
		return trouble{http.StatusTooManyRequests, "Too many tries", sentence(limited.Error()), "Go back to sign-in", "/sign-in"}
	}
	if t, ok := consentTrouble(err); ok {
		return t
	}
	if t, ok := unlocal(err); ok {
		return t
	}
	if errors.Is(err, errNoForm) {
		return trouble{http.StatusBadRequest, "The form did not arrive whole", "It is too long, was cut off, or holds signs that no text has. Nothing was stored. Go back and send it again.", "Go to the overview", "/"}
	}
	if faults, ok := errors.AsType[tenant.Faults](err); ok {
		return trouble{http.StatusBadRequest, "This address is not right", sentence(faults.Error()), "Go to the overview", "/"}
	}
	if words, ok := plain(err); ok {
		return trouble{http.StatusConflict, "This cannot be done", sentence(words), "Go to the overview", "/"}
	}
	return trouble{http.StatusInternalServerError, "Something went wrong here", "The server could not do this; its log says why. Nothing was changed. Try again; if it stays, look into the log.", "Go to the overview", "/"}
}

func missing(err error) bool {
	return errors.Is(err, operator.ErrMissing) || errors.Is(err, jobs.ErrMissing) || sqldb.Missing(err) ||
		errors.Is(err, tenant.ErrMissing) || errors.Is(err, connection.ErrMissing) || errors.Is(err, validation.ErrMissing) || errors.Is(err, notify.ErrMissing) || errors.Is(err, incident.ErrMissing) ||
		errors.Is(err, connection.ErrNoFilter) || errors.Is(err, batch.ErrMissing) || errors.Is(err, campaign.ErrMissing) || errors.Is(err, expiry.ErrMissing) || errors.Is(err, rotation.ErrMissing) || errors.Is(err, registration.ErrMissing) || errors.Is(err, consent.ErrMissing)
}

// plain gives the words of errors that were written for the person.
func plain(err error) (string, bool) {
	for _, known := range []error{operator.ErrLastAdministrator, operator.ErrTaken, operator.ErrNoFactor, operator.ErrOnlyFactor, operator.ErrManyFactors, operator.ErrAssigned, operator.ErrManyKeys, tenant.ErrNoReader, tenant.ErrPaused, jobs.ErrFinished, jobs.ErrRunning,
		notify.ErrConflict, notify.ErrNoMail, notify.ErrOnce, notify.ErrUnderWay, notify.ErrOff, batch.ErrEnded, campaign.ErrState, campaign.ErrConflict, campaign.ErrNoMail, campaign.ErrOwnTokens,
		rotation.ErrOpen, rotation.ErrTooLate, rotation.ErrChanged, consent.ErrNoManifest, consent.ErrNoPartner, connection.ErrNoCertificate} {
		if errors.Is(err, known) {
			return known.Error(), true
		}
	}
	return regPlain(err)
}
