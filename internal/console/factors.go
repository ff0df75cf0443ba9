package console

import (
	"encoding/base64"
	"errors"
	"io"
	"net/http"
	"net/url"

	"gatehouse/internal/operator"
)

// enrolment is what the page for a new second factor shows.
type enrolment struct {
	Form    *form
	Secret  string // of the new code generator; "" if it was shown before
	QR      string // the same to scan, as an address of data
	SetUp   bool   // part of setting up the account
	Elapsed bool   // the sign-in is too long ago
}

func (c *console) newFactorPage(w http.ResponseWriter, r *http.Request, f *frame) error {
	if f.Session.Stage == operator.StagePassword {
		return to(w, r, nextStep(f.Session.Stage))
	}
	begun, err := c.Operators.BeginTOTPEnrolment(r.Context(), f.Session)
	if errors.Is(err, operator.ErrStale) {
		return c.showEnrolment(w, r, f, http.StatusForbidden, enrolment{Elapsed: true})
	}
	if err != nil {
		return err
	}
	return c.showEnrolment(w, r, f, http.StatusOK, enrolment{
		Form: &form{Values: url.Values{}}, Secret: grouped(begun.Secret.Reveal()), QR: "data:image/png;base64," + base64.StdEncoding.EncodeToString(begun.QR),
	})
}

func (c *console) showEnrolment(w http.ResponseWriter, r *http.Request, f *frame, status int, e enrolment) error {
	e.SetUp = f.Session.Stage == operator.StageEnrol
	f.Title, f.Noun = "Add a second factor", "settings"
	return show(w, r, status, enrolmentPage(f, e))
}

// grouped writes a secret in groups of four, as people type it.
func grouped(s string) string {
	var out []byte
	for i := range len(s) {
		if i > 0 && i%4 == 0 {
			out = append(out, ' ')
		}
		out = append(out, s[i])
	}
	return string(out)
}

func (c *console) enrolCode(w http.ResponseWriter, r *http.Request, f *frame) error {
	typed, err := typed(w, r)
	if err != nil {
		return err
	}
	issued, err := c.Operators.FinishTOTPEnrolment(r.Context(), f.Session, typed.text("name"), typed.text("code"), visit(r))
	if errors.Is(err, operator.ErrFactor) {
		typed.Faults.Add("code", "does not match", "type the code that the generator shows now; if its clock is wrong, set it")
		typed.Del("code")
		return c.showEnrolment(w, r, f, http.StatusUnprocessableEntity, enrolment{Form: typed})
	}
	if err != nil {
		return err
	}
	c.remember(w, issued)
	return to(w, r, afterEnrolment(f))
}

func afterEnrolment(f *frame) string {
	if f.Session.Stage == operator.StageEnrol {
		return "/"
	}
	return "/settings?said=factor-added"
}

func (c *console) beginEnrolPasskey(w http.ResponseWriter, r *http.Request, f *frame) error {
	options, err := c.Operators.BeginPasskeyEnrolment(r.Context(), f.Session)
	if err != nil {
		return err
	}
	return asJSON(w, options)
}

func (c *console) enrolPasskey(w http.ResponseWriter, r *http.Request, f *frame) error {
	answer, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxCredential))
	if err != nil {
		return errNoForm
	}
	issued, err := c.Operators.FinishPasskeyEnrolment(r.Context(), f.Session, r.URL.Query().Get("name"), answer, visit(r))
	if err != nil {
		return err
	}
	c.remember(w, issued)
	return asJSON(w, map[string]string{"next": afterEnrolment(f)})
}
