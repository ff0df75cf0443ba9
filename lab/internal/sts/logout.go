package sts

import (
	"net/http"
	"net/url"
	"strings"

	"gatehouse/lab/internal/directory"
)

// logout ends the browser's session. The browser is sent on only to an address
// that some app of the session's tenants has registered (entra-sign-in §13).
// Tokens stay good (§8).
func (s *Server) logout(w http.ResponseWriter, r *http.Request, tenant string) {
	if refused := readForm(w, r); refused != nil {
		s.showError(w, r, idsOf(r), "", refused)
		return
	}
	s.mu.Lock()
	id, held := s.sessionOf(r)
	if held != nil {
		s.sessions.drop(id)
	}
	s.mu.Unlock()
	for _, name := range []string{sessionCookie, persistentCookie} {
		setCookie(w, name, "", -1)
	}
	target := r.Form.Get("post_logout_redirect_uri")
	if target != "" && s.mayLeaveTo(r, tenant, target) {
		if state := stripTags(r.Form.Get("state")); state != "" {
			join := "?"
			if strings.Contains(target, "?") {
				join = "&"
			}
			target += join + "state=" + url.QueryEscape(state)
		}
		w.Header().Set("Cache-Control", "no-store")
		http.Redirect(w, r, target, http.StatusFound) //nolint:gosec // registered by the app
		return
	}
	p := s.page(r, "message", "Signed out")
	p.Lead = "You are signed out here. Close all windows of the browser to be sure that apps forget you too."
	if target != "" {
		p.Lead += " The app asked to be returned to, but the address is not registered."
	}
	s.render(w, r, http.StatusOK, p)
}

// mayLeaveTo reports whether an app has registered the address. Without an
// app's name in the request, every app of the tenant counts.
func (s *Server) mayLeaveTo(r *http.Request, tenant, target string) bool {
	u, err := url.Parse(target)
	if err != nil || dangerous(u) {
		return false
	}
	client := strings.ToLower(r.Form.Get("client_id"))
	found := false
	s.cfg.Store.Tenants(func(t *directory.Tenant) {
		if !shared(tenant) && t.ID != strings.ToLower(tenant) && t.Domain(tenant) == nil {
			return
		}
		for _, p := range t.Principals {
			app := t.App(p.ClientID)
			if app == nil || client != "" && app.ClientID != client {
				continue
			}
			for _, registered := range app.RedirectURIs {
				found = found || sameRedirect(registered, u, target)
			}
		}
	})
	return found
}
