package sts

import (
	"crypto/subtle"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"gatehouse/lab/internal/directory"
)

// The interactive sign-in. Routes: authorize, adminconsent and deviceauth make
// a flow, /{tenant}/login carries it on, and it ends at the app's redirect
// address or on a page. [Server.advance] decides from the state of the flow
// which page comes next: account or picker, password, second factor or
// registration, "stay signed in", consent. Sessions, codes and device codes
// take over what a flow has found out.

// flow is one interactive sign-in on its way. mu is held while a request works
// on it; the server's own lock comes after it, and is never held across the
// directory's.
type flow struct {
	mu      sync.Mutex
	id      string
	csrf    string // of the forms
	browser string // cookie of the browser that began it
	kind    kind
	ask     *ask
	app     directory.App
	ids     requestIDs
	device  string // user code of a device sign-in

	tenant, upn, name string // known once there is an account
	other             bool   // the picker was left for another account
	amr               []string
	signedIn          time.Time // when the password was given
	fresh             bool      // it was given in this flow
	changed           bool      // the session has to learn something
	expired           bool      // the password was right and has expired
	stayAnswered      bool
	skipped           bool // registration was put off
	consented         bool
	confirmed         bool // the device was confirmed

	methods []directory.Method // second factors of the account
	choose  bool               // show the choice of methods
	attempt *attempt
	setup   *setup
	plan    *consentPlan
	demands []directory.Demand

	problem *refusal // shown on the next page
	ended   *refusal // shown instead of any page
}

type kind int

const (
	signIn kind = iota
	adminConsentV2
	adminConsentV1
	deviceSignIn
)

const (
	flowLife = 15 * time.Minute
	maxFlows = 10_000
)

// Stages of a flow; most are named as the page that shows them.
const (
	atAccount  = "account"
	atPicker   = "picker"
	atPassword = "password"
	atChange   = "change"
	atMethods  = "methods"
	atPush     = "push"
	atCode     = "code"
	atRegister = "register"
	atSetup    = "setup"
	atStay     = "stay"
	atConsent  = "consent"
	atApproval = "approval"
	atDevice   = "device"
	atError    = "error"
	atDone     = "done"
)

// browserCookie ties flows to the browser that began them.
const browserCookie = "fpc"

func (s *Server) newFlow(w http.ResponseWriter, r *http.Request, k kind, a *ask, app directory.App, ids requestIDs) *flow {
	browser := ""
	if c, err := r.Cookie(browserCookie); err == nil && len(c.Value) >= 40 && len(c.Value) < 100 {
		browser = c.Value
	} else {
		browser = unguessable()
		setCookie(w, browserCookie, browser, 30*24*time.Hour)
	}
	f := &flow{id: unguessable(), csrf: unguessable(), browser: browser, kind: k, ask: a, app: app, ids: ids}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.flows.put(f.id, f, s.cfg.Store.Now().Add(flowLife))
	return f
}

// login carries a flow on: GET shows where it stands, POST takes a form.
func (s *Server) login(w http.ResponseWriter, r *http.Request) {
	if refused := readForm(w, r); refused != nil {
		s.showError(w, r, idsOf(r), "", refused)
		return
	}
	s.mu.Lock()
	f, ok := s.flows.get(r.Form.Get("flow"), s.cfg.Store.Now())
	s.mu.Unlock()
	cookie, err := r.Cookie(browserCookie)
	switch {
	case !ok:
		s.showError(w, r, idsOf(r), "", refuse("invalid_request", 50089, "This sign-in has ended or has waited too long. Go back to the app and begin again."))
		return
	case err != nil || !same(cookie.Value, f.browser):
		s.showError(w, r, idsOf(r), "", refuse("invalid_request", 165000, "This sign-in was begun in another browser, or the browser keeps no cookies. Begin again from the app."))
		return
	case r.Method == http.MethodPost && !same(r.PostForm.Get("csrf"), f.csrf):
		s.showError(w, r, idsOf(r), "", refuse("invalid_request", 165000, "The form does not belong to this sign-in. Go back to the app and begin again."))
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if r.Method != http.MethodPost {
		s.show(w, r, f)
		return
	}
	f.problem = nil
	if !s.take(w, r, f, r.PostForm) {
		http.Redirect(w, r, loginAddress(f), http.StatusSeeOther) //nolint:gosec // own path
	}
}

func same(a, b string) bool { return subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1 }

func loginAddress(f *flow) string {
	return "/" + url.PathEscape(f.ask.segment) + "/login?flow=" + url.QueryEscape(f.id)
}

// take applies a form. It reports true if it has answered the request itself.
// Forms of another stage than the present one change nothing: they come from
// the back button.
func (s *Server) take(w http.ResponseWriter, r *http.Request, f *flow, form url.Values) bool {
	at := s.advance(r, f)
	if form.Get("step") != at {
		return false
	}
	action := form.Get("action")
	switch at {
	case atAccount:
		f.problem = s.setUser(r, f, form.Get("upn"))
	case atPicker:
		s.pick(r, f, form.Get("upn"))
	case atPassword:
		if action == "back" {
			f.upn, f.amr, f.other = "", nil, true
			return false
		}
		s.givePassword(r, f, form.Get("password"))
	case atChange:
		s.changePassword(r, f, form.Get("password"), form.Get("again"))
	case atMethods:
		s.chooseMethod(r, f, form.Get("method"))
	case atPush, atCode:
		s.takeCode(r, f, action, form.Get("code"))
	case atRegister:
		s.chooseRegistration(f, action)
	case atSetup:
		s.takeSetup(r, f, action, form.Get("code"))
	case atStay:
		f.stayAnswered = true
		if action == "yes" {
			s.remember(w, r, f, true)
		}
	case atDevice:
		return s.confirmDevice(w, r, f, action == "continue")
	case atConsent:
		return s.takeConsent(w, r, f, action == "accept", form.Get("organisation") == "yes")
	case atApproval:
		return s.takeApproval(w, r, f, action, form.Get("reason"))
	}
	return false
}

// begin looks for an account: among the browser's sessions, or by hint.
func (s *Server) begin(r *http.Request, f *flow) {
	a, accounts := f.ask, s.accounts(r)
	known := slices.IndexFunc(accounts, func(c account) bool { return strings.EqualFold(c.upn, a.hint) })
	switch {
	case a.prompt == "select_account" && len(accounts) > 0:
	case a.prompt == "login" && a.hint != "":
		f.problem = s.setUser(r, f, a.hint)
	case a.prompt == "login":
	case a.hint != "" && known >= 0:
		s.adopt(r, f, accounts[known])
	case a.hint != "" && a.prompt != "none":
		f.problem = s.setUser(r, f, a.hint)
	case a.hint == "" && len(accounts) == 1:
		s.adopt(r, f, accounts[0])
	}
}

// setUser takes a user name into the flow if it can sign in to the app.
func (s *Server) setUser(r *http.Request, f *flow, name string) *refusal {
	name = strings.TrimSpace(name)
	if name == "" || len(name) > 256 {
		return refuse("invalid_request", 90014, "Enter the user name of a work or school account.")
	}
	tenant := f.ask.segment
	if shared(tenant) {
		if tenant = s.cfg.Store.TenantOf(name); tenant == "" {
			return refuse("invalid_grant", 50034, "No directory of this cloud has an account '%s'.", clip(name))
		}
	}
	q := s.flowRequest(r, f)
	var refused *refusal
	known := s.cfg.Store.View(tenant, func(t *directory.Tenant) {
		q.tenant = t.ID
		var app directory.App
		if app, refused = installable(t, f.ask.clientID); refused != nil {
			f.ended = refused
			return
		}
		var sub *subject
		if sub, refused = findSubject(t, name, q.now); refused != nil {
			return
		}
		if sub.federated() {
			refused = refuse("invalid_request", 50107, "The people of this domain sign in at a server of their own, which the lab does not simulate.")
			return
		}
		f.app, f.tenant, f.upn, f.name = app, t.ID, sub.user.UPN, sub.user.Name
	})
	if !known {
		refused = unknownTenant(clip(tenant))
	}
	if refused != nil && known {
		s.logSignIn(q, &directory.SignIn{UPN: strings.ToLower(clip(name)), Protocol: f.protocol(), Interactive: true}, refused)
	}
	return refused
}

// flowRequest is the flow as the gates of the token endpoint see a request.
// Each has a trace id of its own, which pages and log entries then share.
func (s *Server) flowRequest(r *http.Request, f *flow) *request {
	f.ids.trace = directory.RandomID()
	return &request{
		http: r, form: url.Values{}, ids: f.ids, v2: true, now: s.cfg.Store.Now(),
		host: s.cfg.Root(r), tenant: f.tenant, app: f.app, client: directory.Principal{ClientID: f.app.ClientID}, credential: "0", resource: f.ask.wishes[0].resource,
	}
}

func (f *flow) protocol() string {
	if f.kind == deviceSignIn {
		return "deviceCode"
	}
	return "none"
}

func (f *flow) entry() *directory.SignIn {
	return &directory.SignIn{UPN: f.upn, UserName: f.name, Protocol: f.protocol(), Interactive: true, Demands: f.demands, MFARequired: len(f.demands) > 0}
}

// givePassword checks the password, with the same count of failures and the
// same lock-out as the password grant.
func (s *Server) givePassword(r *http.Request, f *flow, password string) {
	q := s.flowRequest(r, f)
	var hash []byte
	var refused *refusal
	s.cfg.Store.View(f.tenant, func(t *directory.Tenant) {
		var sub *subject
		if sub, refused = findSubject(t, f.upn, q.now); refused == nil {
			hash = sub.user.PasswordHash
		}
	})
	correct := refused == nil && directory.CheckPassword(hash, password)
	entry := f.entry()
	if refused == nil {
		s.cfg.Store.Update(f.tenant, func(t *directory.Tenant) {
			var sub *subject
			if sub, refused = findSubject(t, f.upn, q.now); refused != nil {
				return
			}
			entry.UserID, entry.HomeTenant = sub.user.ID, sub.home.ID
			refused = q.checkPassword(sub, correct)
			// Synchronised people change theirs where they come from.
			f.expired = refused != nil && refused.code == 50055 && !sub.user.Synced
		})
	}
	if refused != nil {
		s.logSignIn(q, entry, refused)
		if !f.expired {
			f.problem = refused
		}
		return
	}
	f.amr, f.signedIn, f.fresh, f.changed = []string{"pwd"}, q.now, true, true
}

// advance decides where a flow stands.
func (s *Server) advance(r *http.Request, f *flow) string {
	switch {
	case f.ended != nil:
		return atError
	case f.kind == deviceSignIn && !f.confirmed:
		return atDevice
	case f.upn == "" && !f.other && f.ask.prompt != "login" && len(s.accounts(r)) > 0:
		return atPicker
	case f.upn == "":
		return atAccount
	case f.expired:
		return atChange
	case !slices.Contains(f.amr, "pwd"):
		return atPassword
	}
	q := s.flowRequest(r, f)
	entry := f.entry()
	at, refused := atDone, (*refusal)(nil)
	if !s.cfg.Store.Update(f.tenant, func(t *directory.Tenant) { at, refused = s.gates(t, q, f, entry) }) {
		refused = unknownTenant(f.tenant)
	}
	if refused != nil {
		s.logSignIn(q, entry, refused)
		f.ended = refused
		return atError
	}
	if at == atMethods {
		return s.secondFactor(r, f)
	}
	if at == atRegister && f.setup != nil {
		if s.setupDone(r, f) {
			return s.advance(r, f)
		}
		if f.setup != nil {
			return atSetup
		}
	}
	return at
}

// gates passes everything behind the password, in this order: account,
// demands for MFA, "stay signed in", assignment, consent.
func (s *Server) gates(t *directory.Tenant, q *request, f *flow, entry *directory.SignIn) (string, *refusal) {
	sub, refused := findSubject(t, f.upn, q.now)
	if refused != nil {
		return "", refused
	}
	entry.UserID, entry.UserName, entry.UPN, entry.HomeTenant = sub.user.ID, sub.user.Name, sub.user.UPN, sub.home.ID
	if p := t.Principal(f.app.ClientID); p != nil {
		if !p.Enabled {
			return "", refuse("unauthorized_client", 7000112, "The application '%s' (%s) is disabled.", f.app.ClientID, f.app.Name)
		}
		q.client = *p
	}
	if !sub.user.Enabled {
		return "", refuse("invalid_grant", 50057, "The user account is disabled.")
	}
	if f.signedIn.Before(sub.user.TokensValidFrom) {
		f.amr = nil // the session was revoked
		return atPassword, nil
	}
	f.demands = nil
	for _, w := range f.ask.wishes {
		if q.resource = w.resource; len(f.demands) == 0 {
			f.demands = demands(t, sub, q)
		}
	}
	q.resource = f.ask.wishes[0].resource
	entry.Demands, entry.MFARequired = f.demands, len(f.demands) > 0
	if !slices.Contains(f.amr, "mfa") {
		needed := len(f.demands) > 0 || len(f.ask.acrs) > 0
		switch {
		case needed && sub.user.Registered():
			f.methods = nil
			for _, m := range sub.user.Methods {
				if m.MFA() {
					f.methods = append(f.methods, *m)
				}
			}
			f.methods = sortMethods(f.methods, sub.user)
			return atMethods, nil
		case needed:
			return atRegister, nil
		case f.mayPutOff(t, sub, q.now) && !f.skipped:
			return atRegister, nil
		}
	}
	if f.fresh && !f.stayAnswered && f.kind == signIn && f.ask.prompt != "none" {
		return atStay, nil
	}
	if q.client.AssignmentRequired && f.kind != adminConsentV1 && f.kind != adminConsentV2 && !assigned(t, &q.client, sub.user.ID) {
		return "", refuse("invalid_grant", 50105, "The user '%s' is not assigned to a role for the application '%s' (%s), which requires assignment.", sub.user.UPN, f.app.ClientID, f.app.Name)
	}
	return s.consentGate(t, sub, q, f)
}

// mayPutOff: Security Defaults ask for registration, and the grace still runs
// (entra-sign-in §11.1).
func (f *flow) mayPutOff(t *directory.Tenant, sub *subject, now time.Time) bool {
	return f.fresh && t.SecurityDefaults && !sub.user.Registered() && now.Before(sub.user.RegistrationGrace)
}

// show answers with the page of the flow's stage, or ends the flow.
func (s *Server) show(w http.ResponseWriter, r *http.Request, f *flow) {
	at := s.advance(r, f)
	if f.changed && slices.Contains([]string{atStay, atConsent, atApproval, atDone}, at) {
		s.remember(w, r, f, false)
	}
	if at == atDone {
		s.complete(w, r, f)
		return
	}
	s.showStage(w, r, f, at)
}

// complete ends a flow that has passed every gate.
func (s *Server) complete(w http.ResponseWriter, r *http.Request, f *flow) {
	s.endFlow(f)
	s.logFlow(r, f, nil)
	switch f.kind {
	case adminConsentV1, adminConsentV2:
		s.adminConsented(w, r, f)
	case deviceSignIn:
		s.deviceSignedIn(w, r, f)
	default:
		s.deliverCode(w, r, f)
	}
}

func (s *Server) endFlow(f *flow) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.flows.drop(f.id)
}

// silent ends a flow that may show nothing (prompt=none).
func (s *Server) silent(w http.ResponseWriter, r *http.Request, f *flow) {
	several := len(s.accounts(r)) > 1
	at := s.advance(r, f)
	if at == atDone {
		s.complete(w, r, f)
		return
	}
	s.endFlow(f)
	s.withdraw(f)
	refused := f.ended
	switch at {
	case atAccount, atPicker, atPassword:
		refused = refuse("login_required", 50058, "A silent sign-in was asked for, but no user is signed in.")
		if several && f.ask.hint == "" {
			refused = refuse("login_required", 16000, "Several users are signed in; the app must say which of them it means.")
		}
	case atMethods, atPush, atCode:
		refused = refuse("interaction_required", 50076, "Multi-factor authentication must be used, which a silent sign-in cannot show.").sub("basic_action")
	case atRegister, atSetup:
		refused = refuse("interaction_required", 50079, "The user must register for multi-factor authentication, which a silent sign-in cannot show.").sub("basic_action")
	case atConsent, atApproval:
		refused = refuse("consent_required", 65001, "Neither the user nor an administrator has consented to the application '%s' named '%s' for what it asks.", f.app.ClientID, f.app.Name)
	case atError:
		if slices.Contains([]string{"invalid_grant", "invalid_request"}, refused.oauth) {
			again := *refused
			again.oauth = "interaction_required"
			refused = &again
		}
	}
	if at != atError && f.tenant != "" {
		s.logFlow(r, f, refused)
	}
	s.deliverRefusal(w, r, f.ids, f.ask, refused)
}
