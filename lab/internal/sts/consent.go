package sts

import (
	"net/http"
	"net/url"
	"slices"
	"time"

	"gatehouse/lab/internal/directory"
)

// consentPlan is what a consent would grant.
type consentPlan struct {
	scopes []granting
	roles  []granting // app permissions: at the admin consent addresses
	// organisation: the person may consent for everybody. always: the page
	// offers nothing else.
	organisation, always bool
	refused              *refusal // why the person may not consent
}

// granting is what is granted on one resource.
type granting struct {
	resource *directory.Resource
	values   []string
	// client is who is granted them: "" the app, or the client id of an API
	// that names the app among its known clients.
	client string
}

// ConsentRequest is a person's request that an administrator approve an app.
type ConsentRequest struct {
	ID, TenantID, UserID, UPN, ClientID, App, Reason string
	Permissions                                      []string
	Requested                                        time.Time
}

// Directory roles that consent for the organisation (entra-sign-in §9.3).
const (
	globalAdministrator  = "62e90394-69f5-4237-9190-012177145e10"
	privilegedRoles      = "e8611ab8-c189-46e8-94e1-60213ab1f814"
	applications         = "9b895d92-2cd3-44c7-9d02-a6ac2d5ea5c3"
	cloudApplications    = "158c047a-c907-4556-b7ef-446551a6b5f7"
	maxConsentRequests   = 10_000
	consentRequestLife   = 30 * 24 * time.Hour
	longestConsentReason = 500
)

// consents reports whether the roles let somebody consent for everybody.
// Application administrators may not grant Graph's app permissions.
func (p *consentPlan) consents(roles []string) bool {
	if slices.Contains(roles, globalAdministrator) || slices.Contains(roles, privilegedRoles) {
		return true
	}
	if !slices.Contains(roles, applications) && !slices.Contains(roles, cloudApplications) {
		return false
	}
	return !slices.ContainsFunc(p.roles, func(g granting) bool { return g.resource.ClientID == directory.GraphID })
}

// consentGate decides whether somebody has to consent, and who may
// (entra-sign-in §9).
func (s *Server) consentGate(t *directory.Tenant, sub *subject, q *request, f *flow) (string, *refusal) {
	if f.consented {
		return atDone, nil
	}
	if f.kind == adminConsentV1 || f.kind == adminConsentV2 {
		return f.adminGate(t, sub)
	}
	forced := f.ask.prompt == "consent"
	plan := &consentPlan{scopes: f.wanted(t, sub.user.ID, forced)}
	if len(plan.scopes) == 0 {
		return atDone, nil
	}
	if sub.gdap {
		return "", refuse("invalid_grant", 90099, "The application '%s' is not authorised in the tenant '%s'. Apps must be authorised there before partner delegated administrators can use them.", f.app.ClientID, t.ID)
	}
	if refused := plan.installed(t); refused != nil {
		return "", refused
	}
	f.plan = plan
	if f.mayGrant(t, sub, q) {
		return atConsent, nil
	}
	plan.refused = refuse("access_denied", 90094, "The application '%s' asks for permissions that only an administrator can grant.", f.app.Name)
	if t.Consent.AdminRequests {
		plan.refused = refuse("access_denied", 90095, "The application '%s' asks for permissions that an administrator has to approve; approval can be requested.", f.app.Name)
	}
	return atApproval, nil
}

// registered is what the app's registration lists.
func (f *flow) registered(t *directory.Tenant) []granting {
	var out []granting
	for _, r := range t.Requests(f.app.Delegated) {
		out = append(out, granting{resource: r.Resource, values: r.Values})
	}
	return out
}

// combined is what an API asks for itself that a client asks for by .default:
// one consent covers both where the API knows the client
// (knownClientApplications; "On-Behalf-Of flow", combined consent).
func (f *flow) combined(t *directory.Tenant, api *directory.Resource, user string, forced bool) []granting {
	if api.App == nil || api.App.API == nil || !slices.Contains(api.App.API.KnownClients, f.app.ClientID) {
		return nil
	}
	var out []granting
	for _, r := range t.Requests(api.App.Delegated) {
		have := t.ScopesOf(api.ClientID, r.Resource.ClientID, user)
		missing := slices.DeleteFunc(slices.Clone(r.Values), func(s string) bool { return !forced && slices.Contains(have, s) })
		if len(missing) > 0 {
			out = append(out, granting{resource: r.Resource, values: missing, client: api.ClientID})
		}
	}
	return out
}

// wanted lists what is asked and not granted yet; with forced, all that is
// asked (prompt=consent). OpenID scopes need a consent of their own only where
// nothing else was granted.
func (f *flow) wanted(t *directory.Tenant, user string, forced bool) []granting {
	var out []granting
	var further []granting
	whole, bare := false, false // .default without a grant; nothing granted at all
	for _, w := range f.ask.wishes {
		if w.resource.ClientID == f.app.ClientID {
			bare = bare || forced || len(t.ScopesOf(f.app.ClientID, directory.GraphID, user)) == 0 // a token for itself
			continue
		}
		have := t.ScopesOf(f.app.ClientID, w.resource.ClientID, user)
		switch {
		case w.all:
			whole = whole || forced || len(have) == 0
			further = append(further, f.combined(t, w.resource, user, forced)...)
		case len(w.scopes) == 0:
			bare = bare || forced || len(have) == 0
		default:
			missing := w.scopes
			if !forced {
				missing = slices.DeleteFunc(slices.Clone(w.scopes), func(s string) bool { return slices.Contains(have, s) })
			}
			if len(missing) > 0 {
				out = append(out, granting{resource: w.resource, values: missing})
			}
		}
	}
	if whole {
		out = append(out, f.registered(t)...)
		bare = bare || len(out) == 0
	}
	if bare || len(out) > 0 {
		out = withOpenID(out, f.ask.openID)
	}
	if bare && len(out) == 0 {
		out = withOpenID(out, []string{"openid", "profile"})
	}
	return append(out, further...)
}

func withOpenID(list []granting, openID []string) []granting {
	if len(openID) == 0 {
		return list
	}
	i := slices.IndexFunc(list, func(g granting) bool { return g.resource.ClientID == directory.GraphID && g.client == "" })
	if i < 0 {
		list = append(list, granting{resource: directory.ResourceByID(directory.GraphID)})
		i = len(list) - 1
	}
	values := slices.Clone(openID)
	for _, v := range list[i].values {
		if !slices.Contains(values, v) {
			values = append(values, v)
		}
	}
	list[i].values = values
	return list
}

// installed refuses a consent to a service that the tenant does not have.
func (p *consentPlan) installed(t *directory.Tenant) *refusal {
	for _, g := range append(slices.Clone(p.scopes), p.roles...) {
		if t.Principal(g.resource.ClientID) == nil && !p.brings(g.resource.ClientID) {
			return refuse("invalid_client", 650052, "The app asks for access to '%s', which the organisation '%s' has not subscribed to or enabled.", g.resource.Name, t.Name)
		}
	}
	return nil
}

// brings reports whether the consent makes the service principal of an API
// itself: combined consent does, for an API that knows the client.
func (p *consentPlan) brings(api string) bool {
	return slices.ContainsFunc(p.scopes, func(g granting) bool { return g.client == api })
}

// Permissions that Microsoft's recommended consent policy takes from people,
// by the beginning of their names (entra-sign-in §9.3).
var sensitive = []string{"Files.", "Sites.", "AllSites.", "Mail.", "MailboxSettings.", "Calendars.", "Chat.", "ChatMessage.", "OnlineMeetings.", "Contacts.", "Tasks.", "People.Read",
	"EAS.", "EWS.", "IMAP.", "POP."}

// takeConsent grants or declines.
func (s *Server) takeConsent(w http.ResponseWriter, r *http.Request, f *flow, accept, organisation bool) bool {
	if !accept {
		s.decline(w, r, f, refuse("access_denied", 65004, "The user has declined to consent to the application '%s'.", f.app.Name))
		return true
	}
	now := s.cfg.Store.Now()
	var refused *refusal
	s.cfg.Store.Update(f.tenant, func(t *directory.Tenant) {
		sub, problem := findSubject(t, f.upn, now)
		if problem != nil {
			refused = problem
			return
		}
		user := sub.user.ID
		if f.plan.organisation && (organisation || f.plan.always) {
			user = ""
		}
		noted := t.Watch()
		client := t.Install(f.app.ClientID, now)
		for _, g := range f.plan.scopes {
			to := client
			if g.client != "" {
				to = t.Install(g.client, now)
			}
			t.GrantScopes(to.ID, t.Install(g.resource.ClientID, now).ID, user, g.values)
		}
		for _, g := range f.plan.roles {
			for _, value := range g.values {
				role, _ := g.resource.Role(value)
				t.GrantRole(client.ID, t.Install(g.resource.ClientID, now).ID, role.ID, now)
			}
		}
		noted(directory.Who{User: sub.user, IPAddress: addressOf(r), UserAgent: clip(r.UserAgent())}, user == "", now)
	})
	if refused != nil {
		s.decline(w, r, f, refused)
		return true
	}
	f.consented = true
	return false
}

// mayGrant reports whether the person may consent to the plan, for everybody
// or at least in person.
func (f *flow) mayGrant(t *directory.Tenant, sub *subject, q *request) bool {
	f.plan.organisation = f.plan.consents(sub.roles)
	return f.plan.organisation || userMayConsent(t, f, q, f.plan)
}

// takeApproval is what a person without the right to consent does: ask for
// approval, or go back to the app.
func (s *Server) takeApproval(w http.ResponseWriter, r *http.Request, f *flow, action, reason string) bool {
	if action == "request" && f.plan.refused.code == 90095 {
		request := ConsentRequest{
			ID: directory.RandomID(), TenantID: f.tenant, UPN: f.upn, ClientID: f.app.ClientID, App: f.app.Name, Requested: s.cfg.Store.Now(),
			Reason: string([]rune(reason)[:min(len([]rune(reason)), longestConsentReason)]),
		}
		request.UserID, _ = s.userID(f)
		for _, g := range f.plan.scopes {
			request.Permissions = append(request.Permissions, g.values...)
		}
		s.cfg.Store.Update(f.tenant, func(t *directory.Tenant) { t.RequestApproval(f.approvalRequest(request)) })
		s.mu.Lock()
		s.requests.put(request.ID, request, request.Requested.Add(consentRequestLife))
		s.mu.Unlock()
		s.endFlow(f)
		s.logFlow(r, f, f.plan.refused)
		p := s.page(r, "message", "Request sent")
		p.Lead = "An administrator of your organisation has been asked to approve " + f.app.Name + ". Sign in again once that has happened."
		s.render(w, r, http.StatusOK, p)
		return true
	}
	s.decline(w, r, f, f.plan.refused)
	return true
}

// approvalRequest is the request as the directory keeps it for administrators.
func (f *flow) approvalRequest(c ConsentRequest) *directory.ApprovalRequest {
	scopes := map[string][]string{}
	for _, g := range f.plan.scopes {
		scopes[g.resource.ClientID] = append(scopes[g.resource.ClientID], g.values...)
	}
	return &directory.ApprovalRequest{ID: c.ID, User: c.UserID, ClientID: c.ClientID, Reason: c.Reason, Scopes: scopes, Requested: c.Requested, Status: "InProgress"}
}

// ConsentRequests are the open requests for approval, oldest first.
func (s *Server) ConsentRequests() []ConsentRequest {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := []ConsentRequest{}
	s.requests.each(s.cfg.Store.Now(), func(c ConsentRequest) { out = append(out, c) })
	return out
}

// decline ends a flow without consent. The app hears of it in the words of its
// address (entra-sign-in §9.2).
func (s *Server) decline(w http.ResponseWriter, r *http.Request, f *flow, refused *refusal) {
	s.endFlow(f)
	s.logFlow(r, f, refused)
	switch f.kind {
	case deviceSignIn:
		s.deviceDeclined(w, r, f)
	case adminConsentV1:
		s.deliver(w, r, f.ask, url.Values{"error": {"permission_denied"}, "error_description": {s.description(f.ids, refused)}})
	case adminConsentV2:
		s.deliver(w, r, f.ask, url.Values{"error": {"consent_required"}, "error_description": {s.description(f.ids, refused)}, "admin_consent": {"True"}})
	default:
		s.deliverRefusal(w, r, f.ids, f.ask, refused)
	}
}

// address is the identifier URI of a resource.
func address(r *directory.Resource) string {
	if len(r.URIs) > 0 {
		return r.URIs[0]
	}
	return r.ClientID
}
