package console

import (
	"net/http"
	"net/url"

	"gatehouse/internal/tenant"
)

// readerView is what the page of a tenant's reader shows.
type readerView struct {
	tenant.Tenant
	Form       *form
	Onboarding *tenant.Onboarding // right after it was made
}

func (c *console) readerPage(w http.ResponseWriter, r *http.Request, f *frame) error {
	return c.showReader(w, r, f, readerView{Form: &form{Values: url.Values{}}}, http.StatusOK)
}

func (c *console) showReader(w http.ResponseWriter, r *http.Request, f *frame, v readerView, status int) error {
	var err error
	if v.Tenant, err = c.Tenants.Get(r.Context(), r.PathValue("id")); err != nil {
		return err
	}
	f.Title, f.Noun = "Reader of "+v.Name, "tenants"
	return show(w, r, status, readerPage(f, v))
}

// onboardReader shows the certificate and the steps at once: they are not kept
// for a page of their own.
func (c *console) onboardReader(w http.ResponseWriter, r *http.Request, f *frame) error {
	typed, err := typed(w, r)
	if err != nil {
		return err
	}
	made, err := c.Tenants.OnboardReader(r.Context(), r.PathValue("id"), tenant.OnboardRequest{ClientID: typed.text("client_id")})
	if err := typed.unreachable(err); err != nil {
		return err
	}
	if len(typed.Faults) > 0 || typed.Problem != "" {
		return c.showReader(w, r, f, readerView{Form: typed}, http.StatusUnprocessableEntity)
	}
	return c.showReader(w, r, f, readerView{Form: typed, Onboarding: &made}, http.StatusOK)
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

func (c *console) removeReader(w http.ResponseWriter, r *http.Request, _ *frame) error {
	if err := c.Tenants.RemoveReader(r.Context(), r.PathValue("id")); err != nil {
		return err
	}
	return back(w, r, "/tenants/"+r.PathValue("id"), "reader-removed")
}
