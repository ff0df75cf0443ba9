package console

import (
	"encoding/base64"
	"net/http"
	"net/url"

	"github.com/a-h/templ"

	"gatehouse/internal/audit"
	"gatehouse/internal/tenant"
)

// readerView is what the page of a tenant's reader shows.
type readerView struct {
	tenant.Tenant
	Form       *form
	Onboarding *tenant.Onboarding // as long as it does not work
	Rotation   rotationView
}

func (c *console) readerPage(w http.ResponseWriter, r *http.Request, f *frame) error {
	return c.showReader(w, r, f, readerView{Form: &form{Values: url.Values{}}}, http.StatusOK)
}

func (c *console) showReader(w http.ResponseWriter, r *http.Request, f *frame, v readerView, status int) error {
	var err error
	if v.Tenant, err = c.Tenants.Get(r.Context(), r.PathValue("id")); err != nil {
		return err
	}
	if v.Reader != nil && !v.Form.Has("client_id") {
		v.Form.Set("client_id", v.Reader.ClientID)
	}
	if v.Reader != nil && v.Reader.State != tenant.ReaderWorks && f.may(v.ID, audit.ConsentManage) {
		steps, err := c.Tenants.Steps(r.Context(), v.ID)
		if err != nil {
			return err
		}
		v.Onboarding = &steps
	}
	if v.Reader != nil {
		if v.Rotation, err = c.rotationOf(r, v.ID, v.Reader.NotAfter); err != nil {
			return err
		}
	}
	f.Title, f.Noun = "Reader of "+v.Name, "tenants"
	return show(w, r, status, readerPage(f, v))
}

// asFile is an address that holds a text, for a link that keeps it as a file:
// the portals upload files.
func asFile(text string) templ.SafeURL {
	return templ.SafeURL("data:application/x-pem-file;base64," + base64.StdEncoding.EncodeToString([]byte(text)))
}

// readerLine is the state of a reader in a sentence.
func readerLine(r *tenant.Reader) string {
	switch r.State {
	case tenant.ReaderWorks:
		return "The rules of this tenant can be read"
	case tenant.ReaderBroken:
		return "The rules of this tenant cannot be read"
	default:
		return "Waiting for the tenant's administrator"
	}
}

func (c *console) onboardReader(w http.ResponseWriter, r *http.Request, f *frame) error {
	typed, err := typed(w, r)
	if err != nil {
		return err
	}
	_, err = c.Tenants.OnboardReader(r.Context(), r.PathValue("id"), tenant.OnboardRequest{ClientID: typed.text("client_id")})
	if err := typed.unreachable(err); err != nil {
		return err
	}
	if len(typed.Faults) > 0 || typed.Problem != "" {
		return c.showReader(w, r, f, readerView{Form: typed}, http.StatusUnprocessableEntity)
	}
	return to(w, r, "/tenants/"+r.PathValue("id")+"/reader")
}

func (c *console) checkReader(w http.ResponseWriter, r *http.Request, f *frame) error {
	typed, err := typed(w, r)
	if err != nil {
		return err
	}
	if _, err := c.Tenants.CheckReader(r.Context(), r.PathValue("id")); err != nil {
		if err := typed.unreachable(err); err != nil {
			return err
		}
		return c.showReader(w, r, f, readerView{Form: typed}, http.StatusBadGateway)
	}
	return back(w, r, "/tenants/"+r.PathValue("id")+"/reader", "reader-checked")
}

func (c *console) removeReaderPage(w http.ResponseWriter, r *http.Request, f *frame) error {
	t, err := c.Tenants.Get(r.Context(), r.PathValue("id"))
	if err != nil {
		return err
	}
	if err := c.Audit.Allow(r.Context(), t.ID, audit.ConsentManage); err != nil {
		return err
	}
	if t.Reader == nil {
		return tenant.ErrNoReader
	}
	f.Title, f.Noun = "Remove the reader of "+t.Name, "tenants"
	s := t.Switch(tenant.Diagnose)
	return show(w, r, http.StatusOK, confirmPage(f, question{
		Of: t.Name, Back: "/tenants/" + t.ID + "/reader", Points: []string{
			"Its key and the snapshot that it took go from here. This cannot be undone; a new reader needs a new certificate.",
			"Afterwards these answers are unknown: which rule stands behind a demand for MFA, which rules see an account, whether a second factor is registered.",
			"This stays in the tenant: " + lowerFirst(s.Stays) + " " + s.Remove,
		},
		Action: r.URL.Path, Button: "Remove the reader", Keep: "Keep it",
	}))
}

func (c *console) removeReader(w http.ResponseWriter, r *http.Request, _ *frame) error {
	if err := c.Tenants.RemoveReader(r.Context(), r.PathValue("id")); err != nil {
		return err
	}
	return back(w, r, "/tenants/"+r.PathValue("id"), "reader-removed")
}
