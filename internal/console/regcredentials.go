package console

import (
	"errors"
	"net/http"
	"net/url"
	"time"

	"gatehouse/internal/registration"
	"gatehouse/internal/secrets"
)

// regCredentialForm is the form for a new credential.
type regCredentialForm struct {
	registration.Registration
	Form    *form
	Tenants []option
}

func (c *console) newRegCredentialPage(w http.ResponseWriter, r *http.Request, f *frame) error {
	return c.showRegCredentialForm(w, r, f, &form{Values: url.Values{"way": {"generate"}}}, http.StatusOK)
}

func (c *console) showRegCredentialForm(w http.ResponseWriter, r *http.Request, f *frame, typed *form, status int) error {
	if err := c.mayManage(r); err != nil {
		return err
	}
	g, err := c.Registrations.Get(r.Context(), r.PathValue("id"))
	if err != nil {
		return err
	}
	f.Title, f.Noun = "Add a credential", "registrations"
	return show(w, r, status, regCredentialFormPage(f, regCredentialForm{Registration: g, Form: typed}))
}

func (c *console) newRegCredential(w http.ResponseWriter, r *http.Request, f *frame) error {
	typed, err := typed(w, r)
	if err != nil {
		return err
	}
	in := registration.CredentialRequest{Label: typed.text("label"), ClientID: typed.text("client_id")}
	switch typed.Get("way") {
	case "secret":
		in.Kind, in.Secret, in.KeyID = string(registration.SecretCredential), secrets.New(typed.text("secret")), typed.text("key_id")
		if end := typed.text("not_after"); end != "" {
			at, err := time.Parse(time.DateOnly, end)
			if err != nil {
				typed.Faults.Add("not_after", "is no date", "write it as 2027-11-30")
			}
			in.NotAfter = &at
		}
	case "upload":
		in.CertificatePEM = secrets.New(typed.text("certificate"))
	default:
		in.Generate = true
	}
	var made registration.Credential
	if len(typed.Faults) == 0 {
		made, err = c.Registrations.AddCredential(r.Context(), r.PathValue("id"), in)
	}
	if err := typed.spoken(err); err != nil {
		return err
	}
	if len(typed.Faults) > 0 || typed.Problem != "" {
		typed.Del("secret")
		typed.Del("certificate")
		return c.showRegCredentialForm(w, r, f, typed, http.StatusUnprocessableEntity)
	}
	return back(w, r, regCredentialHref(r.PathValue("id"), made.ID), "registration-credential")
}

func regCredentialHref(id, credentialID string) string {
	return "/registrations/" + id + "/credentials/" + credentialID
}

// regCredentialView is the page of a credential.
type regCredentialView struct {
	registration.Registration
	registration.Credential
	PEM     string
	Form    *form
	Tenants []option
	Tried   string // name of the tenant in which it was tried, where the person sees it
}

// Href is where the page's acts lie.
func (v regCredentialView) Href() string {
	return regCredentialHref(v.Registration.ID, v.Credential.ID)
}

func (c *console) regCredential(w http.ResponseWriter, r *http.Request, f *frame) error {
	return c.showRegCredential(w, r, f, &form{Values: url.Values{"switch": {"on"}}}, http.StatusOK)
}

func (c *console) showRegCredential(w http.ResponseWriter, r *http.Request, f *frame, typed *form, status int) error {
	g, err := c.oneRegistration(r, f)
	if err != nil {
		return err
	}
	v := regCredentialView{Registration: g.Registration, Form: typed, Tenants: g.Tenants}
	for _, one := range g.Credentials {
		if one.ID == r.PathValue("credential") {
			v.Credential = one
		}
	}
	if v.Credential.ID == "" {
		return registration.ErrMissing
	}
	if v.Credential.Kind == registration.CertificateCredential {
		if v.PEM, err = c.Registrations.CertificatePEM(r.Context(), g.ID, v.Credential.ID); err != nil {
			return err
		}
	}
	if v.Check != nil {
		for _, t := range g.Tenants {
			if t.Value == v.Check.TenantID {
				v.Tried = t.Words
			}
		}
		if typed.Get("tenant_id") == "" {
			typed.Set("tenant_id", v.Check.TenantID)
		}
	}
	f.Title = credentialName(v.Credential)
	return show(w, r, status, regCredentialPage(f, v))
}

func (c *console) checkRegCredential(w http.ResponseWriter, r *http.Request, f *frame) error {
	typed, err := typed(w, r)
	if err != nil {
		return err
	}
	_, err = c.Registrations.Check(r.Context(), r.PathValue("id"), r.PathValue("credential"), registration.CheckRequest{TenantID: typed.Get("tenant_id"), Switch: typed.on("switch"), Retire: typed.on("switch") && typed.on("retire")})
	if err := typed.spoken(err); err != nil {
		return err
	}
	if len(typed.Faults) > 0 || typed.Problem != "" {
		return c.showRegCredential(w, r, f, typed, http.StatusUnprocessableEntity)
	}
	return back(w, r, regCredentialHref(r.PathValue("id"), r.PathValue("credential")), "registration-checking")
}

func (c *console) switchRegCredential(w http.ResponseWriter, r *http.Request, _ *frame) error {
	if _, err := c.Registrations.Switch(r.Context(), r.PathValue("id"), r.PathValue("credential")); err != nil {
		return err
	}
	return back(w, r, "/registrations/"+r.PathValue("id"), "registration-switched")
}

func (c *console) undoRegSwitch(w http.ResponseWriter, r *http.Request, _ *frame) error {
	one, err := c.Registrations.Undo(r.Context(), r.PathValue("id"))
	if err != nil {
		return err
	}
	return back(w, r, regCredentialHref(r.PathValue("id"), one.ID), "registration-checking")
}

func (c *console) retireRegCredentialPage(w http.ResponseWriter, r *http.Request, f *frame) error {
	if err := c.mayManage(r); err != nil {
		return err
	}
	g, err := c.Registrations.Get(r.Context(), r.PathValue("id"))
	if err != nil {
		return err
	}
	for _, one := range g.Credentials {
		if one.ID != r.PathValue("credential") {
			continue
		}
		f.Title, f.Noun = "Retire "+credentialName(one), "registrations"
		return show(w, r, http.StatusOK, confirmPage(f, question{
			Of: g.Name, Back: regCredentialHref(g.ID, one.ID), Points: []string{"Its secret is erased here: nothing goes back to it.", "Microsoft accepts it until it is removed there. The page says how, once it is retired."},
			Action: r.URL.Path, Button: "Retire the credential", Keep: "Keep it",
		}))
	}
	return registration.ErrMissing
}

func (c *console) retireRegCredential(w http.ResponseWriter, r *http.Request, _ *frame) error {
	if _, err := c.Registrations.Retire(r.Context(), r.PathValue("id"), r.PathValue("credential")); err != nil {
		return err
	}
	return back(w, r, regCredentialHref(r.PathValue("id"), r.PathValue("credential")), "registration-retired")
}

func (c *console) regCertificate(w http.ResponseWriter, r *http.Request, _ *frame) error {
	text, err := c.Registrations.CertificatePEM(r.Context(), r.PathValue("id"), r.PathValue("credential"))
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/x-pem-file")
	w.Header().Set("Content-Disposition", `attachment; filename="certificate.pem"`)
	_, err = w.Write([]byte(text)) //nolint:gosec // a certificate, which no browser shows
	return err
}

// regPlain gives the words of the errors of registrations that were written for the
// person.
func regPlain(err error) (string, bool) {
	for _, known := range []error{registration.ErrUsed, registration.ErrUnchecked, registration.ErrInUse, registration.ErrRetired, registration.ErrNoUndo, registration.ErrNoCredential, registration.ErrNoClient, registration.ErrConflict} {
		if errors.Is(err, known) {
			return known.Error(), true
		}
	}
	return "", false
}
