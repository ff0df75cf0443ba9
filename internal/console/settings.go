package console

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"

	"gatehouse/internal/operator"
	"gatehouse/internal/secrets"
)

// account is what the page of one's own settings shows.
type accountView struct {
	Form     *form
	Factors  []operator.Factor
	Sessions []operator.Session
	SignOn   string // what the directory is called; "" if there is none
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
	name, _, _ := c.Operators.SignOn()
	return show(w, r, status, settingsPage(f, accountView{typed, factors, sessions, name}))
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
	if errors.Is(err, operator.ErrSignIn) {
		typed.Faults.Add("old", "is not your password", "type the one that you signed in with")
	} else if err := typed.personFault(err); err != nil {
		return err
	}
	if len(typed.Faults) > 0 {
		return c.showSettings(w, r, f, typed, http.StatusUnprocessableEntity)
	}
	return back(w, r, "/settings", "password")
}

func (c *console) removeFactorPage(w http.ResponseWriter, r *http.Request, f *frame) error {
	factors, err := c.Operators.Factors(r.Context(), f.Session.OperatorID)
	if err != nil {
		return err
	}
	i := slices.IndexFunc(factors, func(x operator.Factor) bool { return x.ID == r.PathValue("id") })
	if i < 0 {
		return errNoPage
	}
	if len(factors) == 1 {
		return operator.ErrOnlyFactor
	}
	f.Title, f.Noun = "Remove "+factors[i].Name, "settings"
	return show(w, r, http.StatusOK, confirmPage(f, question{
		Of: "Settings", Back: "/settings", Points: []string{
			factorWords(factors[i].Kind) + ": you no longer sign in with it, from now on.",
			"What is stored on the device or in the app stays there; delete it there.",
			fmt.Sprintf("You keep %s.", count(len(factors)-1, "other second factor")),
		},
		Action: r.URL.Path, Button: "Remove this second factor", Keep: "Keep it",
	}))
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
