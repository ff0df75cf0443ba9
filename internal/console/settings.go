package console

import (
	"errors"
	"net/http"
	"net/url"

	"gatehouse/internal/operator"
	"gatehouse/internal/secrets"
)

// account is what the page of one's own settings shows.
type accountView struct {
	Form     *form
	Factors  []operator.Factor
	Sessions []operator.Session
}

func (c *console) settings(w http.ResponseWriter, r *http.Request, f *frame) error {
	return c.showSettings(w, r, f, &form{Values: url.Values{}}, http.StatusOK)
}

func (c *console) showSettings(w http.ResponseWriter, r *http.Request, f *frame, typed *form, status int) error {
	me := f.Session.OperatorID
	factors, err := c.Operators.Factors(r.Context(), me)
	if err != nil {
		return err
	}
	sessions, err := c.Operators.Sessions(r.Context(), me)
	if err != nil {
		return err
	}
	f.Title, f.Noun = "Settings", "settings"
	return show(w, r, status, settingsPage(f, accountView{typed, factors, sessions}))
}

func (c *console) changePassword(w http.ResponseWriter, r *http.Request, f *frame) error {
	typed, err := typed(w, r)
	if err != nil {
		return err
	}
	if typed.Get("password") != typed.Get("again") {
		typed.Faults.Add("again", "is not the same password", "type the new password twice")
		return c.showSettings(w, r, f, typed, http.StatusUnprocessableEntity)
	}
	err = c.Operators.ChangePassword(r.Context(), f.Session, secrets.New(typed.Get("old")), secrets.New(typed.Get("password")), visit(r))
	if weak, ok := errors.AsType[*operator.Weak](err); ok {
		typed.Faults.Add("password", "is easy to guess", weak.Reason)
	} else if errors.Is(err, operator.ErrSignIn) {
		typed.Faults.Add("old", "is not your password", "type the one that you signed in with")
	} else if err != nil {
		return err
	}
	if len(typed.Faults) > 0 {
		return c.showSettings(w, r, f, typed, http.StatusUnprocessableEntity)
	}
	return back(w, r, "/settings", "password")
}

func (c *console) removeFactor(w http.ResponseWriter, r *http.Request, f *frame) error {
	err := c.Operators.RemoveFactor(r.Context(), f.Session, r.PathValue("id"))
	if err != nil {
		return err
	}
	return back(w, r, "/settings", "factor-removed")
}

func (c *console) revokeOthers(w http.ResponseWriter, r *http.Request, f *frame) error {
	if err := c.Operators.RevokeAll(r.Context(), f.Session.OperatorID, f.Session.ID); err != nil {
		return err
	}
	return back(w, r, "/settings", "sessions-ended")
}

func (c *console) revokeSession(w http.ResponseWriter, r *http.Request, f *frame) error {
	typed, err := typed(w, r)
	if err != nil {
		return err
	}
	if err := c.Operators.Revoke(r.Context(), r.PathValue("id")); err != nil {
		return err
	}
	if r.PathValue("id") == f.Session.ID {
		c.remember(w, operator.Issued{})
		return back(w, r, "/sign-in", "signed-out")
	}
	return back(w, r, inside(typed.Get("back")), "session-ended")
}
