package sts

import (
	"net/http"
	"net/url"
	"slices"
	"strings"

	"gatehouse/lab/internal/directory"
)

// adminGate is the gate of the admin consent addresses (entra-sign-in §9.2).
func (f *flow) adminGate(t *directory.Tenant, sub *subject) (string, *refusal) {
	f.plan = &consentPlan{always: true, organisation: true}
	all := f.kind == adminConsentV1
	for _, w := range f.ask.wishes {
		if w.all {
			all = true
		} else if len(w.scopes) > 0 {
			f.plan.scopes = append(f.plan.scopes, granting{resource: w.resource, values: w.scopes})
		}
	}
	if all {
		f.plan.scopes = append(f.plan.scopes, f.registered(t)...)
		for _, r := range t.Requests(f.app.Application) {
			f.plan.roles = append(f.plan.roles, granting{resource: r.Resource, values: r.Values})
		}
	}
	if len(f.ask.openID) > 0 || len(f.plan.scopes)+len(f.plan.roles) == 0 {
		f.plan.scopes = withOpenID(f.plan.scopes, f.ask.openID)
	}
	if sub.gdap {
		return "", refuse("access_denied", 90099, "Partner delegated administrators cannot consent for the tenant '%s'; an administrator of its own can.", t.ID)
	}
	if refused := f.plan.installed(t); refused != nil {
		return "", refused
	}
	if !f.plan.consents(sub.roles) {
		f.plan.refused = refuse("access_denied", 90094, "Only an administrator can grant what the application '%s' asks for.", f.app.Name)
		return atApproval, nil
	}
	return atConsent, nil
}

// adminConsent begins a sign-in whose end is consent for the organisation.
func (s *Server) adminConsent(w http.ResponseWriter, r *http.Request, tenant string, k kind) {
	if refused := readForm(w, r); refused != nil {
		s.showError(w, r, idsOf(r), "", refused)
		return
	}
	ids := idsOf(r)
	a, app, refused := s.readAdminAsk(r, tenant, k)
	if refused != nil {
		s.showError(w, r, ids, app.Name, refused)
		return
	}
	f := s.newFlow(w, r, k, a, app, ids)
	f.mu.Lock()
	defer f.mu.Unlock()
	s.begin(r, f)
	s.show(w, r, f)
}

// readAdminAsk reads an address of admin consent.
func (s *Server) readAdminAsk(r *http.Request, tenant string, k kind) (*ask, directory.App, *refusal) {
	if k == adminConsentV1 && !r.Form.Has("redirect_uri") {
		// The short form, with client_id alone, answers to the app's own address
		// (Grant tenant-wide admin consent: construct the URL).
		if app, refused := s.askedApp(tenant, strings.ToLower(r.Form.Get("client_id"))); refused == nil && len(app.RedirectURIs) > 0 {
			r.Form.Set("redirect_uri", app.RedirectURIs[0])
		}
	}
	a, app, refused := s.readAsk(r, tenant, true)
	a.state, a.mode = stripTags(r.Form.Get("state")), modeQuery
	if refused == nil {
		refused = repeated(r)
	}
	switch {
	case refused != nil:
	case k == adminConsentV1:
		a.wishes = []wish{{resource: directory.ResourceByID(directory.GraphID), all: true}}
	case strings.EqualFold(tenant, common):
		refused = refuse("invalid_request", 900144, "The address of admin consent names a tenant, or /organizations; /common is not supported.")
	case strings.TrimSpace(r.Form.Get("scope")) == "":
		refused = missingParameter("scope")
	default:
		a.scope = strings.TrimSpace(r.Form.Get("scope"))
		if refused = s.abroad(r, a.scope, tenant); refused == nil {
			a.wishes, a.openID, refused = s.parseScopes(a.scope, tenant)
		}
	}
	return a, app, refused
}

// repeated refuses a parameter that stands there twice: which of the two counts,
// nobody could tell (RFC 6749 §3.1).
func repeated(r *http.Request) *refusal {
	for name, values := range r.Form {
		if len(values) > 1 {
			return refuse("invalid_request", 9000411, "The parameter '%s' stands in the request %d times.", clip(name), len(values))
		}
	}
	return nil
}

// adminConsented tells the app that its permissions were granted.
func (s *Server) adminConsented(w http.ResponseWriter, r *http.Request, f *flow) {
	values := url.Values{"admin_consent": {"True"}, "tenant": {f.tenant}}
	if f.kind == adminConsentV2 {
		var scopes []string
		for _, g := range append(slices.Clone(f.plan.scopes), f.plan.roles...) {
			for _, value := range g.values {
				if slices.Contains(openIDScopes, value) {
					scopes = append(scopes, value)
				} else {
					scopes = append(scopes, address(g.resource)+"/"+value)
				}
			}
		}
		values.Set("scope", strings.Join(scopes, " "))
	}
	s.deliver(w, r, f.ask, values)
}
