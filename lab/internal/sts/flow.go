package sts

import (
	"crypto/subtle"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"gatehouse/lab/internal/conditional"
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
	typed             string // user name as it was typed last
	other             bool   // the picker was left for another account
	proof
	fresh        bool // the first factor was given in this flow
	changed      bool // the session has to learn something
	expired      bool // the password was right and has expired
	compromised  bool // a policy wants the password changed
	federated    bool // the password is asked for at the organisation's own server
	stayAnswered bool
	skipped      bool // registration was put off
	needed       bool // a second factor has to be registered
	consented    bool
	confirmed    bool // the device was confirmed

	methods []directory.Method // second factors of the account
	choose  bool               // show the choice of methods
	attempt *attempt
	setup   *setup
	plan    *consentPlan
	demands []directory.Demand // of others than policies

	ruling     *ruling         // of Conditional Access
	unfit      map[string]bool // ways of giving a second factor that no policy takes
	terms      []string        // agreements to accept
	done       []string        // what else was done: passwordChange
	persistent string          // what policies say of staying signed in: always, never, ""
	aged       bool            // the session was too old for the policies

	// Of remembered MFA: for how many days, 0 for none; whether the person wants
	// this browser to remember; how the second factor was given.
	rememberDays int
	dontAsk      bool
	factorWay    string

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
	atAccount    = "account"
	atPicker     = "picker"
	atPassword   = "password"
	atFederation = "federation" // no page: the browser is sent there
	atChange     = "change"
	atMethods    = "methods"
	atPush       = "push"
	atCode       = "code"
	atRegister   = "register"
	atSetup      = "setup"
	atStay       = "stay"
	atConsent    = "consent"
	atApproval   = "approval"
	atDevice     = "device"
	atTerms      = "terms"
	atExternal   = "external"
	atError      = "error"
	atDone       = "done"
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
	if r.Method != http.MethodPost && r.Form.Get("wait") != "" && s.waits(f) {
		w.WriteHeader(http.StatusNoContent)
		return
	}
	if r.Method != http.MethodPost {
		s.show(w, r, f)
		return
	}
	f.problem = nil
	if !s.take(w, r, f, r.PostForm) {
		http.Redirect(w, r, loginAddress(f), http.StatusSeeOther) //nolint:gosec // own path
	}
}

// waits reports whether the phone has not answered yet: what the script of a
// page asks before it looks again.
func (s *Server) waits(f *flow) bool {
	switch {
	case f.setup != nil && f.setup.prompt != nil:
		return s.answerOf(f.setup.prompt) == ""
	case f.attempt != nil && f.attempt.prompt != nil:
		return s.answerOf(f.attempt.prompt) == ""
	}
	return false
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
	if at == atApproval && form.Get("step") == atConsent && form.Get("action") == "accept" {
		// The right to consent went away while the page was open.
		s.decline(w, r, f, refuse("access_denied", 90093, "The directory does not let the user grant what the application '%s' asks for.", f.app.Name))
		return true
	}
	if form.Get("step") != at {
		return false
	}
	action := form.Get("action")
	switch at {
	case atAccount:
		f.typed = form.Get("upn")
		f.problem = s.setUser(r, f, f.typed)
	case atPicker:
		s.pick(r, f, form.Get("upn"))
	case atPassword:
		if action == "back" {
			f.upn, f.proof, f.other = "", proof{}, true
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
	case atTerms:
		return s.takeTerms(w, r, f, action == "accept")
	case atExternal:
		return s.takeExternal(w, r, f, action == "pass")
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
		f.federated = sub.federated()
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
	q := &request{
		http: r, form: url.Values{}, ids: f.ids, v2: true, now: s.cfg.Store.Now(),
		host: s.cfg.Root(r), tenant: f.tenant, app: f.app, client: directory.Principal{ClientID: f.app.ClientID}, credential: "0", resource: f.ask.wishes[0].resource,
		claims: f.ask.claims, how: conditional.Interactive, page: f.ask.redirectKind == "spa", done: f.done,
	}
	if f.kind == deviceSignIn {
		q.transfer = byDevice
	}
	return q
}

func (f *flow) protocol() string {
	if f.kind == deviceSignIn {
		return "deviceCode"
	}
	return "none"
}

func (f *flow) entry() *directory.SignIn {
	e := &directory.SignIn{UPN: f.upn, UserName: f.name, Protocol: f.protocol(), Interactive: true, Demands: slices.Clone(f.demands), MFARequired: len(f.demands) > 0}
	p := f.proof
	if f.kind == deviceSignIn {
		p.transfer = byDevice
	}
	f.ruling.note(e, p)
	return e
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
	f.proof, f.fresh, f.changed = firstFactor("pwd", q.now), true, true
}
