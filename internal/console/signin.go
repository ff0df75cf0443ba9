package console

import (
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"

	"gatehouse/internal/operator"
	"gatehouse/internal/secrets"
)

// SetupPath is the path of the page that a set-up link opens.
func SetupPath(token secrets.Value) string { return "/setup/" + token.Reveal() }

// setUp is what the page of a set-up link shows.
type setUp struct {
	Form  *form
	For   *operator.Operator // nil: the first administrator
	Token string
}

func (c *console) setupPage(w http.ResponseWriter, r *http.Request, f *frame) error {
	return c.showSetup(w, r, f, &form{Values: url.Values{}}, http.StatusOK)
}

func (c *console) showSetup(w http.ResponseWriter, r *http.Request, f *frame, typed *form, status int) error {
	of, err := c.Operators.Link(r.Context(), secrets.New(r.PathValue("token")), visit(r))
	if err != nil {
		return err
	}
	f.Title = "Set up your account"
	if of != nil && !typed.Has("name") {
		typed.Set("name", of.Name)
	}
	return show(w, r, status, setupPage(f, setUp{typed, of, r.PathValue("token")}))
}

func (c *console) setup(w http.ResponseWriter, r *http.Request, f *frame) error {
	typed, err := typed(w, r)
	if err != nil {
		return err
	}
	if typed.Get("password") != typed.Get("again") {
		typed.Faults.Add("again", "is not the same password", "type the password twice")
		return c.showSetup(w, r, f, typed, http.StatusUnprocessableEntity)
	}
	issued, err := c.Operators.Setup(r.Context(), operator.SetupRequest{
		Token: secrets.New(r.PathValue("token")), Email: typed.text("email"), Name: typed.text("name"), Password: secrets.New(typed.Get("password")),
	}, visit(r))
	if err := typed.personFault(err); err != nil {
		return err
	}
	if len(typed.Faults) > 0 {
		return c.showSetup(w, r, f, typed, http.StatusUnprocessableEntity)
	}
	c.remember(w, issued)
	return to(w, r, "/factors/new")
}

// personFault takes in what is wrong with a person that was typed, and gives
// back any other error.
func (f *form) personFault(err error) error {
	if errors.Is(err, operator.ErrTaken) {
		f.Faults.Add("email", "belongs to another operator", "choose another one, or find that operator in the list")
		return nil
	}
	if weak, ok := errors.AsType[*operator.Weak](err); ok {
		f.Faults.Add("password", "is easy to guess", weak.Reason)
		return nil
	}
	return f.refused(err)
}

func (c *console) signInPage(w http.ResponseWriter, r *http.Request, f *frame) error {
	return c.showSignIn(w, r, f, &form{Values: url.Values{"next": {r.URL.Query().Get("next")}}}, http.StatusOK)
}

func (c *console) showSignIn(w http.ResponseWriter, r *http.Request, f *frame, typed *form, status int) error {
	v, err := c.signOn(r, typed)
	if err != nil {
		return err
	}
	f.Title = "Sign in"
	return show(w, r, status, signInPage(f, v))
}

func (c *console) signIn(w http.ResponseWriter, r *http.Request, f *frame) error {
	typed, err := typed(w, r)
	if err != nil {
		return err
	}
	issued, err := c.Operators.SignIn(r.Context(), typed.text("email"), secrets.New(typed.Get("password")), visit(r))
	if errors.Is(err, operator.ErrSignIn) || errors.Is(err, operator.ErrNoFactor) {
		typed.Problem = afterColon(err)
		return c.showSignIn(w, r, f, typed, http.StatusUnauthorized)
	}
	if err != nil {
		return err
	}
	c.remember(w, issued)
	return to(w, r, "/sign-in/factor"+nextQuery(typed.Get("next")))
}

// afterColon is the part of our own error that a person needs on the page that
// already says what was tried.
func afterColon(err error) string {
	_, text, found := strings.Cut(err.Error(), ": ")
	if !found {
		return err.Error()
	}
	return text
}

// inside gives a path of this console, never an address elsewhere.
func inside(next string) string {
	u, err := url.Parse(next)
	if err != nil || u.IsAbs() || u.Host != "" || !strings.HasPrefix(next, "/") || strings.HasPrefix(next, "//") || strings.ContainsAny(next, "\\\r\n\t") {
		return "/"
	}
	return next
}

func nextQuery(next string) string {
	if next = inside(next); next == "/" {
		return ""
	}
	return "?next=" + url.QueryEscape(next)
}

// secondFactor is what the page for the second factor shows.
type secondFactor struct {
	Form          *form
	Passkey, Code bool
	Query         string // passes on where to go
}

func (c *console) factorPage(w http.ResponseWriter, r *http.Request, f *frame) error {
	if f.Session.Stage != operator.StagePassword {
		return to(w, r, nextStep(f.Session.Stage))
	}
	return c.showFactor(w, r, f, &form{Values: url.Values{}}, http.StatusOK)
}

func (c *console) showFactor(w http.ResponseWriter, r *http.Request, f *frame, typed *form, status int) error {
	passkey, code, err := c.Operators.FactorKinds(r.Context(), f.Session)
	if err != nil {
		return err
	}
	f.Title = "Second factor"
	return show(w, r, status, factorPage(f, secondFactor{typed, passkey, code, nextQuery(r.URL.Query().Get("next"))}))
}

func (c *console) code(w http.ResponseWriter, r *http.Request, f *frame) error {
	typed, err := typed(w, r)
	if err != nil {
		return err
	}
	issued, err := c.Operators.TOTP(r.Context(), f.Session, typed.text("code"), visit(r))
	if errors.Is(err, operator.ErrFactor) {
		typed.Faults.Add("code", "was not accepted", "wait for the next code and type that; after too many tries the account is locked for a while")
		typed.Del("code")
		return c.showFactor(w, r, f, typed, http.StatusUnauthorized)
	}
	if err != nil {
		return err
	}
	c.remember(w, issued)
	return to(w, r, inside(r.URL.Query().Get("next")))
}

// maxCredential bounds what a browser answers for a passkey.
const maxCredential = 64 << 10

func (c *console) beginPasskey(w http.ResponseWriter, r *http.Request, f *frame) error {
	options, err := c.Operators.BeginPasskey(r.Context(), f.Session)
	if err != nil {
		return err
	}
	return asJSON(w, options)
}

func (c *console) finishPasskey(w http.ResponseWriter, r *http.Request, f *frame) error {
	answer, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxCredential))
	if err != nil {
		return errNoForm
	}
	issued, err := c.Operators.FinishPasskey(r.Context(), f.Session, answer, visit(r))
	if err != nil {
		return err
	}
	c.remember(w, issued)
	return asJSON(w, map[string]string{"next": inside(r.URL.Query().Get("next"))})
}

func (c *console) signOut(w http.ResponseWriter, r *http.Request, f *frame) error {
	if err := c.Operators.SignOut(r.Context(), f.Session, visit(r)); err != nil {
		return err
	}
	c.remember(w, operator.Issued{})
	return back(w, r, "/sign-in", "signed-out")
}

func (c *console) setTheme(w http.ResponseWriter, r *http.Request, _ *frame) error {
	typed, err := typed(w, r)
	if err != nil {
		return err
	}
	cookie := &http.Cookie{Name: "theme", Value: typed.Get("theme"), Path: "/", HttpOnly: true, Secure: c.secure(), SameSite: http.SameSiteLaxMode, MaxAge: 365 * 24 * 3600} //nolint:gosec // Secure wherever the console is reached by https
	if cookie.Value != "light" && cookie.Value != "dark" {
		cookie.Value, cookie.MaxAge = "", -1
	}
	http.SetCookie(w, cookie)
	return to(w, r, inside(typed.Get("back")))
}
