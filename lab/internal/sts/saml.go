package sts

import (
	"encoding/base64"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"time"

	"gatehouse/lab/internal/directory"
	"gatehouse/lab/internal/federation"
)

// Grants for assertions of an organisation's own federation server
// (entra-sign-in §7).
const (
	grantSAML1 = "urn:ietf:params:oauth:grant-type:saml1_1-bearer"
	grantSAML2 = "urn:ietf:params:oauth:grant-type:saml2-bearer"
)

// redeemSAML is the SAML bearer grant. The password that MSAL sends beside the
// assertion is not looked at: the federation server has checked it.
func (s *Server) redeemSAML(q *request, kind string) (map[string]any, *refusal) {
	encoded := q.form.Get("assertion")
	if encoded == "" {
		return nil, missingParameter("assertion")
	}
	if refused := s.resolveScopes(q, false); refused != nil {
		return nil, refused
	}
	entry := &directory.SignIn{UPN: strings.ToLower(clip(q.form.Get("username"))), Protocol: "none"}
	result, refused := s.samlGates(q, entry, kind, encoded)
	s.logSignIn(q, entry, refused)
	return result, refused
}

func (s *Server) samlGates(q *request, entry *directory.SignIn, kind, encoded string) (map[string]any, *refusal) {
	// Standard base64, as MSAL Go sends it; RFC 7522 §2.1 says base64url.
	data, err := base64.RawURLEncoding.DecodeString(strings.NewReplacer("+", "-", "/", "_", "\r", "", "\n", "").Replace(strings.TrimRight(encoded, "=")))
	if err != nil {
		return nil, refuse("invalid_grant", 50008, "The SAML token is invalid: it is not encoded in base64.")
	}
	a, refused := s.checkAssertionXML(data, q.now)
	if refused != nil {
		return nil, refused
	}
	if version := map[string]int{grantSAML1: 1, grantSAML2: 2}[kind]; a.Version != version {
		return nil, refuse("invalid_grant", 50008, "The SAML token is invalid: its version is not the one of the grant type.")
	}
	var grant *userGrant
	s.cfg.Store.Update(q.tenant, func(t *directory.Tenant) {
		if refused = s.checkResource(q, t); refused != nil {
			return
		}
		var sub *subject
		if sub, refused = vouchedFor(t, a, q.now); refused != nil {
			return
		}
		entry.UserID, entry.UserName, entry.UPN, entry.HomeTenant = sub.user.ID, sub.user.Name, sub.user.UPN, sub.home.ID
		if refused = sub.stillGood(directory.Remnant{Issued: q.now}); refused == nil {
			grant, refused = s.authorise(q, t, sub, entry, firstFactor("fed", q.now))
		}
	})
	if refused != nil {
		return nil, refused
	}
	return s.userTokens(q, grant)
}

// checkAssertionXML checks what a federation server signed.
func (s *Server) checkAssertionXML(data []byte, now time.Time) (*federation.Assertion, *refusal) {
	if s.cfg.Federation == nil {
		return nil, refuse("invalid_grant", 50107, "No federation is configured.")
	}
	a, err := s.cfg.Federation.Verify(data, now)
	switch {
	case errors.Is(err, federation.ErrIssuer):
		return nil, refuse("invalid_grant", 50107, "The requested federation realm does not exist: no domain names the issuer of the SAML token.")
	case errors.Is(err, federation.ErrSignature):
		return nil, refuse("invalid_grant", 50008, "The SAML token is invalid: its signature does not match the certificate of the federation.")
	case errors.Is(err, federation.ErrLifetime):
		return nil, refuse("invalid_grant", 500133, "The assertion is not within its valid time range: it is %s now.", now.UTC().Format(time.RFC3339))
	case err != nil:
		return nil, refuse("invalid_grant", 50008, "The SAML token is invalid: %s.", clip(err.Error()))
	case a.Audience != federation.Audience:
		return nil, refuse("invalid_grant", 50008, "The SAML token is invalid: it is for the audience '%s'.", clip(a.Audience))
	}
	return a, nil
}

// vouchedFor finds whom an assertion is about: a synchronised user of a domain
// whose federation the issuer is.
func vouchedFor(t *directory.Tenant, a *federation.Assertion, now time.Time) (*subject, *refusal) {
	if a.ImmutableID == "" {
		return nil, refuse("invalid_grant", 90020, "The SAML token names no ImmutableID of the user.")
	}
	sub, refused := findSubject(t, a.UPN, now)
	if refused != nil || sub.user.ImmutableID() != a.ImmutableID {
		return nil, refuse("invalid_grant", 51004, "The user account '%s' does not exist in the directory '%s'.", clip(a.UPN), t.Name)
	}
	_, domain, _ := strings.Cut(sub.user.UPN, "@")
	if d := sub.home.Domain(domain); d == nil || d.Federation == nil || d.Federation.Issuer != a.Issuer {
		return nil, refuse("invalid_grant", 50107, "The domain '%s' is not federated with the issuer of the SAML token.", clip(domain))
	}
	return sub, nil
}

// federationOf gives the federation of the flow's user, with the addresses
// that a browser which reached the service under this name can follow.
func (s *Server) federationOf(r *http.Request, upn string) *directory.Federation {
	_, domain, _ := strings.Cut(strings.ToLower(upn), "@")
	var out *directory.Federation
	s.cfg.Store.View(domain, func(t *directory.Tenant) {
		if d := t.Domain(domain); d != nil && d.Federation != nil {
			kept := *d.Federation
			out = &kept
		}
	})
	if out != nil && s.cfg.Federation != nil && !s.realHost(r) {
		*out = s.cfg.Federation.Addresses(domain, *out)
	}
	return out
}

// realHost reports whether a request came under the name of a real cloud.
func (s *Server) realHost(r *http.Request) bool {
	host := s.hostOf(r)
	for _, c := range s.cfg.Clouds {
		for _, name := range c.Login {
			if name == host {
				return true
			}
		}
	}
	return false
}

// signInPath is where federation servers send the browser back to.
const signInPath = "/login.srf"

// toFederation sends the browser to the organisation's own sign-in page
// (WS-Federation 1.2 §13).
func (s *Server) toFederation(w http.ResponseWriter, r *http.Request, f *flow) {
	to := s.federationOf(r, f.upn)
	if to == nil || s.cfg.Federation == nil {
		s.endFlow(f)
		s.showError(w, r, f.ids, f.app.Name, refuse("invalid_request", 50107, "The requested federation realm does not exist."))
		return
	}
	query := url.Values{"wa": {"wsignin1.0"}, "wtrealm": {federation.Audience}, "wctx": {f.id}, "wreply": {s.cfg.Root(r) + signInPath}, "username": {f.upn}}
	join := "?"
	if strings.Contains(to.PassiveURL, "?") {
		join = "&"
	}
	w.Header().Set("Cache-Control", "no-store")
	http.Redirect(w, r, to.PassiveURL+join+query.Encode(), http.StatusSeeOther)
}

// fromFederation takes what the organisation's server says of the person.
func (s *Server) fromFederation(w http.ResponseWriter, r *http.Request) {
	if refused := readForm(w, r); refused != nil {
		s.showError(w, r, idsOf(r), "", refused)
		return
	}
	s.mu.Lock()
	f, ok := s.flows.get(r.PostForm.Get("wctx"), s.cfg.Store.Now())
	s.mu.Unlock()
	cookie, err := r.Cookie(browserCookie)
	switch {
	case r.Method != http.MethodPost || r.PostForm.Get("wa") != "wsignin1.0":
		s.showError(w, r, idsOf(r), "", refuse("invalid_request", 20012, "The message of the federation server is no answer to a sign-in."))
		return
	case !ok:
		s.showError(w, r, idsOf(r), "", refuse("invalid_request", 50089, "This sign-in has ended or has waited too long. Go back to the app and begin again."))
		return
	case err != nil || !same(cookie.Value, f.browser):
		s.showError(w, r, idsOf(r), "", refuse("invalid_request", 165000, "This sign-in was begun in another browser, or the browser keeps no cookies. Begin again from the app."))
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.ended = s.takeAssertion(r, f, r.PostForm.Get("wresult")); f.ended != nil {
		s.logFlow(r, f, f.ended)
	}
	http.Redirect(w, r, loginAddress(f), http.StatusSeeOther) //nolint:gosec // own path
}

// takeAssertion signs the flow's user in with what a federation server signed.
func (s *Server) takeAssertion(r *http.Request, f *flow, result string) *refusal {
	if result == "" {
		return refuse("invalid_request", 20001, "The federation server answered without a token.")
	}
	q := s.flowRequest(r, f)
	a, refused := s.checkAssertionXML([]byte(result), q.now)
	if refused != nil {
		return refused
	}
	s.cfg.Store.View(f.tenant, func(t *directory.Tenant) {
		var sub *subject
		if sub, refused = vouchedFor(t, a, q.now); refused == nil && !strings.EqualFold(sub.user.UPN, f.upn) {
			refused = refuse("invalid_request", 50197, "Somebody else signed in at the federation server than was asked for.")
		}
	})
	if refused == nil {
		f.proof, f.fresh, f.changed = firstFactor("fed", q.now), true, true
	}
	return refused
}
