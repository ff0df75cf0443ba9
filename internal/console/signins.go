package console

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"gatehouse/internal/audit"
	"gatehouse/internal/connection"
	"gatehouse/internal/secrets"
	"gatehouse/internal/signin"
	"gatehouse/internal/tenant"
)

// signInRoutes are the pages of signing in for connections: those that a person
// opens with a link or comes back to from Microsoft, and those of operators.
func (c *console) signInRoutes(open, page func(string, handler)) {
	open("GET "+signin.LinkPath+"{token}", c.private(c.linkPage))
	open("POST "+signin.LinkPath+"{token}", c.private(c.startLink))
	open("POST "+signin.LinkPath+"{token}/decline", c.private(c.declineLink))
	open("GET "+signin.CallbackPath, c.private(c.signInCallback))
	open("GET /signin/result/{id}", c.private(c.signInResult))
	open("POST /signin/result/{id}", c.private(c.signInAgain))
	page("GET /connections/{id}/sign-in", c.private(c.signInHow))
	page("POST /connections/{id}/sign-in", c.private(c.signInStart))
	page("POST /connections/{id}/sign-in/link", c.private(c.signInForSomebody))
	page("POST /connections/{id}/sign-in/links/{link}/withdraw", c.withdrawLink)
	page("POST /connections/{id}/sign-in/device", c.private(c.signInDevice))
	page("GET /connections/{id}/sign-in/device/{attempt}", c.private(c.devicePage))
	page("GET /connections/{id}/sign-out", c.signOutPage)
	page("POST /connections/{id}/sign-out", c.signOutConnection)
}

// private keeps an address that opens something from being told to others or found,
// and lets forms lead to Microsoft's sign-in.
func (c *console) private(next handler) handler {
	return func(w http.ResponseWriter, r *http.Request, f *frame) error {
		h := w.Header()
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("X-Robots-Tag", "noindex, nofollow")
		h.Set("Content-Security-Policy", strings.Replace(policy, "form-action 'self'", "form-action 'self' "+c.SignIns.MicrosoftOrigin(), 1))
		return next(w, r, f)
	}
}

// browserCookie is by which a browser is known again when Microsoft sends it back
// (SameSite=Lax).
func (c *console) browserCookie(token secrets.Value) *http.Cookie {
	return &http.Cookie{Name: c.cookieName() + "-signin", Value: token.Reveal(), Path: "/", HttpOnly: true, Secure: c.secure(), SameSite: http.SameSiteLaxMode, MaxAge: int((24 * time.Hour).Seconds())} //nolint:gosec // Secure wherever the console is reached by https
}

func (c *console) browser(r *http.Request) secrets.Value {
	cookie, err := r.Cookie(c.browserCookie(secrets.Value{}).Name)
	if err != nil {
		return secrets.Value{}
	}
	return secrets.New(cookie.Value)
}

// asVisitor is for pages without an operator: all that is known is the address.
func asVisitor(r *http.Request) context.Context {
	return audit.With(r.Context(), audit.Actor{Kind: audit.Visitor, Address: visit(r).Address})
}

// send sends a browser to Microsoft.
func (c *console) send(w http.ResponseWriter, r *http.Request, a signin.Attempt) error {
	http.SetCookie(w, c.browserCookie(a.Cookie))
	http.Redirect(w, r, a.URL, http.StatusSeeOther)
	return nil
}

// stopped is what the page of a sign-in says that cannot go on.
type stopped struct{ Title, Words string }

var stops = map[signin.Reason]stopped{
	signin.Malformed:  {"This answer cannot be read", "It did not come from Microsoft as it should have. Nothing was kept. Open the page again from which you began."},
	signin.State:      {"This is not a sign-in that was begun here", "Perhaps it was begun long ago, or a link from somewhere else led here. Nothing was kept. Open the page again from which you began."},
	signin.Browser:    {"This sign-in was begun in another browser", "Only the browser that began it can end it. Nothing was kept. If you did not begin one, somebody may have wanted you to sign in for them: close this page."},
	signin.Replayed:   {"This answer was used already", "Going back or reloading brings it a second time. Open the page again from which you began."},
	signin.LinkUsed:   {"This link was used already", "It is good once, and in one browser."},
	signin.LinkLapsed: {"This link has expired", "It is good for some days only."},
	signin.Withdrawn:  {"This link was withdrawn", "Whoever sent it took it back: there is nothing for you to do."},
}

func (c *console) showStop(w http.ResponseWriter, r *http.Request, f *frame, status int, s stopped) error {
	f.Title = s.Title
	return show(w, r, status, signInStopPage(f, s))
}

// stop answers what a link or answer is refused with; other errors are given back.
func (c *console) stop(w http.ResponseWriter, r *http.Request, f *frame, err error, askedBy string) error {
	if errors.Is(err, signin.ErrLink) || errors.Is(err, signin.ErrMissing) {
		return c.showStop(w, r, f, http.StatusNotFound, stopped{"This link does not open anything", "It was not copied whole, or was forgotten since. Ask whoever sent it to you for a new one."})
	}
	refusal, is := errors.AsType[*signin.Refusal](err)
	if !is {
		return err
	}
	s, known := stops[refusal.Reason]
	if !known {
		s = stopped{"The sign-in did not work", sentence(refusal.Words)}
	}
	if askedBy != "" && refusal.Reason != signin.Withdrawn {
		s.Words += " Ask " + askedBy + " for a new one."
	}
	return c.showStop(w, r, f, http.StatusConflict, s)
}

// linkView is what the page of a personal link shows.
type linkView struct {
	signin.Opening
	asker
	Token string
}

// resultView is what the page after a sign-in shows.
type resultView struct {
	signin.Result
	asker
}

// asker is who asks something of people who have no account here.
type asker struct {
	Name         string // of an operator; "" if nobody did but Gatehouse itself
	Organisation string // that runs the server; "" if it is not said
	Here         string // host of the server
}

func (c *console) asker(name string) asker {
	here, _ := url.Parse(c.PublicURL)
	return asker{name, c.Organisation, here.Host}
}

// Who names the asker in a sentence.
func (a asker) Who() string {
	switch {
	case a.Name == "":
		return cmp.Or(a.Organisation, a.Here)
	case a.Organisation == "":
		return a.Name
	}
	return a.Name + " of " + a.Organisation
}

func (c *console) linkPage(w http.ResponseWriter, r *http.Request, f *frame) error {
	f.Here = "/"
	o, err := c.SignIns.Opened(asVisitor(r), secrets.New(r.PathValue("token")), c.browser(r))
	if err != nil {
		return c.stop(w, r, f, err, c.asker(o.AskedBy).Who())
	}
	f.Title = "Sign in for " + o.Connection
	return show(w, r, http.StatusOK, signInLinkPage(f, linkView{o, c.asker(o.AskedBy), r.PathValue("token")}))
}

func (c *console) startLink(w http.ResponseWriter, r *http.Request, f *frame) error {
	f.Here = "/"
	a, err := c.SignIns.StartLink(asVisitor(r), secrets.New(r.PathValue("token")), c.browser(r), "")
	if err != nil {
		return c.stop(w, r, f, err, "")
	}
	return c.send(w, r, a)
}

func (c *console) declineLink(w http.ResponseWriter, r *http.Request, f *frame) error {
	f.Here = "/"
	if err := c.SignIns.Decline(asVisitor(r), secrets.New(r.PathValue("token")), c.browser(r)); err != nil {
		return c.stop(w, r, f, err, "")
	}
	return c.showStop(w, r, f, http.StatusOK, stopped{"You declined", "Whoever asked is told. Nothing was signed in to, and the link opens nothing any more. You may close this page."})
}

func (c *console) signInCallback(w http.ResponseWriter, r *http.Request, f *frame) error {
	f.Here = "/" // the address holds the code: no page may come back with it
	done, err := c.SignIns.Finish(asVisitor(r), r.URL.Query(), c.browser(r).Reveal())
	refusal, is := errors.AsType[*signin.Refusal](err)
	switch {
	case is && refusal.AttemptID != "" && refusal.Reason != signin.Browser:
		return to(w, r, "/signin/result/"+refusal.AttemptID)
	case err != nil:
		return c.stop(w, r, f, err, "")
	case done.Again != "":
		http.Redirect(w, r, done.Again, http.StatusSeeOther)
		return nil
	case done.Operator:
		return back(w, r, "/connections/"+done.ConnectionID, "signed-in")
	}
	return to(w, r, "/signin/result/"+done.AttemptID)
}

func (c *console) signInResult(w http.ResponseWriter, r *http.Request, f *frame) error {
	v, err := c.SignIns.Result(asVisitor(r), r.PathValue("id"), c.browser(r))
	if err != nil {
		return c.stop(w, r, f, err, "")
	}
	f.Title = "You are signed in"
	if v.Outcome != signin.SignedIn {
		f.Title = "The sign-in did not work"
	}
	by := v.By
	if v.Link != nil {
		by = v.Link.AskedBy // the person began it, whom somebody had asked
	}
	return show(w, r, http.StatusOK, signInResultPage(f, resultView{v, c.asker(by)}))
}

func (c *console) signInAgain(w http.ResponseWriter, r *http.Request, f *frame) error {
	typed, err := typed(w, r)
	if err != nil {
		return err
	}
	prompt := ""
	if typed.on("other") {
		prompt = "select_account"
	}
	address, err := c.SignIns.Retry(asVisitor(r), r.PathValue("id"), c.browser(r), prompt)
	if err != nil {
		return c.stop(w, r, f, err, "")
	}
	http.Redirect(w, r, address, http.StatusSeeOther) //nolint:gosec // Microsoft's, which the configuration names
	return nil
}

// signInView is what the page offers on which an operator chooses how to sign in.
type signInView struct {
	connection.Connection
	Form *form
	Host string // Microsoft's
	Link *signin.Link
	Said string // the refusal of a device code
}

func (c *console) signInHow(w http.ResponseWriter, r *http.Request, f *frame) error {
	return c.showSignInHow(w, r, f, signInView{Form: &form{Values: url.Values{"days": {"7"}}}}, http.StatusOK)
}

func (c *console) showSignInHow(w http.ResponseWriter, r *http.Request, f *frame, v signInView, status int) error {
	one, err := c.Connections.Get(r.Context(), r.PathValue("id"))
	if err != nil {
		return err
	}
	if err := c.Audit.Allow(r.Context(), one.TenantID, audit.ConnectionManage); err != nil {
		return err
	}
	if one.Kind != connection.Delegated {
		return errNoPage
	}
	v.Connection, v.Host = one, c.SignIns.MicrosoftHost()
	f.Title, f.Noun = "Sign in for "+one.Name, "connections"
	return show(w, r, status, signInHowPage(f, v))
}

// unsignable takes in why nobody can be signed in, and gives back any other error.
func (c *console) unsignable(w http.ResponseWriter, r *http.Request, f *frame, typed *form, err error) error {
	v := signInView{Form: typed}
	if refusal, is := errors.AsType[*signin.Refusal](err); is {
		v.Said = sentence(refusal.Words)
		return c.showSignInHow(w, r, f, v, http.StatusConflict)
	}
	if errors.Is(err, signin.ErrRegistration) {
		typed.Problem, err = "There is no app registration to sign in to: add one first", nil
	}
	if err = typed.unreachable(err); err != nil {
		return err
	}
	return c.showSignInHow(w, r, f, v, http.StatusUnprocessableEntity)
}

func (c *console) signInStart(w http.ResponseWriter, r *http.Request, f *frame) error {
	typed, err := typed(w, r)
	if err != nil {
		return err
	}
	a, err := c.SignIns.Begin(r.Context(), r.PathValue("id"), signin.Options{Browser: c.browser(r)})
	if err != nil {
		return c.unsignable(w, r, f, typed, err)
	}
	return c.send(w, r, a)
}

func (c *console) signInForSomebody(w http.ResponseWriter, r *http.Request, f *frame) error {
	typed, err := typed(w, r)
	if err != nil {
		return err
	}
	days, _ := strconv.Atoi(typed.text("days")) // 0 is no time, and so a fault
	if days < 1 || days > 30 {
		typed.Faults.Add("days", "is no number of days that a link can be good for", "write a number from 1 to 30")
		return c.showSignInHow(w, r, f, signInView{Form: typed}, http.StatusUnprocessableEntity)
	}
	l, err := c.SignIns.NewLink(r.Context(), r.PathValue("id"), signin.LinkOptions{For: typed.text("for"), Why: typed.text("why"), Until: time.Duration(days) * 24 * time.Hour})
	if err != nil {
		return c.unsignable(w, r, f, typed, err)
	}
	return c.showSignInHow(w, r, f, signInView{Form: typed, Link: &l}, http.StatusOK)
}

func (c *console) withdrawLink(w http.ResponseWriter, r *http.Request, _ *frame) error {
	if err := c.SignIns.Withdraw(r.Context(), r.PathValue("id"), r.PathValue("link")); err != nil && !errors.Is(err, signin.ErrEnded) {
		return err
	}
	return back(w, r, "/connections/"+r.PathValue("id"), "link-withdrawn")
}

func (c *console) signInDevice(w http.ResponseWriter, r *http.Request, f *frame) error {
	d, err := c.SignIns.BeginDevice(r.Context(), r.PathValue("id"), signin.Options{})
	if err != nil {
		return c.unsignable(w, r, f, &form{Values: url.Values{"days": {"7"}}}, err)
	}
	return to(w, r, "/connections/"+d.ConnectionID+"/sign-in/device/"+d.ID)
}

// deviceView is what the page of a device code shows.
type deviceView struct {
	connection.Connection
	signin.Device
}

func (c *console) devicePage(w http.ResponseWriter, r *http.Request, f *frame) error {
	d, err := c.SignIns.Polled(r.Context(), r.PathValue("id"), r.PathValue("attempt"))
	if errors.Is(err, signin.ErrMissing) || errors.Is(err, signin.ErrKind) {
		return errNoPage
	}
	if err != nil {
		return err
	}
	one, err := c.Connections.Get(r.Context(), d.ConnectionID)
	if err != nil {
		return err
	}
	f.Title, f.Noun = "Sign in on another device", "connections"
	return show(w, r, http.StatusOK, signInDevicePage(f, deviceView{one, d}))
}

func (c *console) signOutPage(w http.ResponseWriter, r *http.Request, f *frame) error {
	one, err := c.Connections.Get(r.Context(), r.PathValue("id"))
	if err != nil {
		return err
	}
	f.Title, f.Noun = "Log out of "+one.Name, "connections"
	return show(w, r, http.StatusOK, signOutPage(f, one))
}

func (c *console) signOutConnection(w http.ResponseWriter, r *http.Request, f *frame) error {
	typed, err := typed(w, r)
	if err != nil {
		return err
	}
	report, err := c.SignIns.Out(r.Context(), r.PathValue("id"), typed.on("revoke"))
	if errors.Is(err, signin.ErrRegistration) || errors.Is(err, signin.ErrKind) {
		return c.showConnection(w, r, f, &form{Problem: err.Error()}, http.StatusConflict)
	}
	if err != nil {
		return err
	}
	said := "logged-out"
	switch {
	case report.Revoked:
		said = "logged-out-everywhere"
	case report.Why != "":
		said = "logged-out-here"
	}
	return back(w, r, "/connections/"+r.PathValue("id"), said)
}

// signIns is what a connection's page shows of the person's sign-ins.
type signIns struct {
	Events []signin.Event
	Links  []signin.LinkInfo // that can still be used
}

// mostSignIns is how many sign-ins the timeline shows; the card lists the last few.
const (
	mostSignIns = 50
	fewSignIns  = 10
)

func (c *console) signInsOf(ctx context.Context, one connection.Connection) (out signIns, err error) {
	if one.Kind != connection.Delegated {
		return out, nil
	}
	if out.Events, _, err = c.SignIns.List(ctx, one.ID, tenant.Page{Limit: mostSignIns}); err != nil {
		return out, err
	}
	all, err := c.SignIns.Links(ctx, one.ID)
	for _, l := range all {
		if l.State == signin.LinkOpen || l.State == signin.LinkStarted {
			out.Links = append(out.Links, l)
		}
	}
	return out, err
}

// signedState is a sign-in's outcome to look at.
func signedState(e signin.Event) state {
	switch e.Outcome {
	case signin.SignedIn:
		return state{good, "check", "Signed in"}
	case signin.SignedOut:
		return state{none, "ring", "Logged out"}
	case signin.SaidNo:
		return state{warn, "stop", "Declined"}
	}
	return state{bad, "cross", "Refused"}
}

// outcomeWords says what became of a sign-in.
func outcomeWords(e signin.Event) string {
	text := e.Words
	if e.Outcome == signin.SignedIn {
		text = e.Person
	}
	if e.Diagnosis != nil {
		text = e.Diagnosis.Title
	}
	if e.Code != "" {
		text += " (" + e.Code + ")"
	}
	return text
}

// registrationOptions are the app registrations to choose from.
func (c *console) registrationOptions(ctx context.Context) ([]option, error) {
	if c.SignIns.Registrations == nil {
		return nil, nil
	}
	all, err := c.SignIns.Registrations(ctx)
	out := make([]option, 0, len(all))
	for _, r := range all {
		out = append(out, option{r.ID, r.Name})
	}
	return out, err
}

// whoActs says it to the person who signed in.
func whoActs(v signin.Result) string {
	if v.Diagnosis.Actor == "end_user" {
		return "you"
	}
	if v.Diagnosis.Actor == "operator" {
		return v.By
	}
	return v.Diagnosis.Actor.Words()
}

func orNobody(username string) string {
	if username == "" {
		return "the person"
	}
	return username
}
