package console

import (
	"cmp"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"gatehouse/internal/audit"
	"gatehouse/internal/broker"
	"gatehouse/internal/connection"
	"gatehouse/internal/consent"
	"gatehouse/internal/microsoft"
	"gatehouse/internal/secrets"
	"gatehouse/internal/tenant"
)

// consentList is what the page of all consents shows.
type consentList struct {
	Items   []consent.Status
	Query   url.Values
	Tenants []option
	Next    string
	Bulk    bool
}

func (l consentList) filtered() bool { return l.Query.Get("tenant")+l.Query.Get("state") != "" }

func (c *console) consents(w http.ResponseWriter, r *http.Request, f *frame) error {
	q := r.URL.Query()
	items, next, err := c.Consents.List(r.Context(), consent.Filter{TenantID: q.Get("tenant"), RegistrationID: q.Get("registration"), State: consent.State(q.Get("state"))}, consent.Page{After: q.Get("after")})
	if err != nil {
		return err
	}
	v := consentList{Items: items, Query: q, Next: onward(r, next), Bulk: c.Consents.Partners() && f.anywhere(audit.ConsentManage)}
	if v.Tenants, err = c.tenantOptions(r, q.Get("tenant")); err != nil {
		return err
	}
	f.Title, f.Noun = "Consents", "consents"
	return show(w, r, http.StatusOK, consentsPage(f, v))
}

// consentsOf are a tenant's consents, and the registrations that it was not asked
// for.
func (c *console) consentsOf(r *http.Request, tenantID string) (known []consent.Status, others []option, err error) {
	if !audit.May(r.Context(), tenantID, audit.ConsentView) {
		return nil, nil, nil
	}
	if known, _, err = c.Consents.List(r.Context(), consent.Filter{TenantID: tenantID}, consent.Page{Limit: 200}); err != nil {
		return nil, nil, err
	}
	apps, err := c.Consents.Registrations(r.Context())
	for _, a := range apps {
		if !slices.ContainsFunc(known, func(s consent.Status) bool { return s.RegistrationID == a.ID }) {
			others = append(others, option{a.ID, a.Name})
		}
	}
	if len(known) == 0 {
		known = nil
	}
	return known, others, err
}

func consentState(s consent.State) state {
	switch s {
	case consent.Granted:
		return state{good, "check", "Granted"}
	case consent.ApprovedNotRead:
		return state{none, "half", "Approved, not read back"}
	case consent.Partly:
		return state{bad, "cross", "Partly"}
	case consent.Missing:
		return state{bad, "cross", "Missing"}
	default:
		return state{none, "question", "Unknown"}
	}
}

// consentStand is how a consent stands: what was never there is waited for, and what
// was there and is not any more is broken.
func consentStand(s consent.Status) state {
	if s.GrantedAt == nil && (s.State == consent.Missing || s.State == consent.Partly) {
		return state{warn, "half", consentState(s.State).Word}
	}
	return consentState(s.State)
}

func consentStates() []option {
	out := []option{{"", "All"}}
	for _, s := range consent.States {
		out = append(out, option{string(s), consentState(s).Word})
	}
	return out
}

// consentSentence says how a consent stands.
func consentSentence(s consent.Status) string {
	switch s.State {
	case consent.Granted:
		return "Everything that " + s.Name + " asks for is granted."
	case consent.ApprovedNotRead:
		return "An administrator approved. What was granted could not be read back: " + s.Reason + "."
	case consent.Partly:
		return count(len(s.Missing), "permission") + " of what " + s.Name + " asks for " + isAre(len(s.Missing)) + " missing: the tenant's administrator has to consent to the rest."
	case consent.Missing:
		return "Nothing of what " + s.Name + " asks for is granted. The tenant's administrator has to consent."
	default:
		return "It is not known how the consent stands: " + s.Reason + "."
	}
}

// administratorSentence says to an administrator how things stand.
func administratorSentence(s consent.Status) string {
	missing := listWords(permissionNames(s.Missing), len(s.Missing))
	switch {
	case s.State == consent.Granted:
		return "Everything that is asked is granted. There is nothing left to do."
	case s.State == consent.ApprovedNotRead:
		return "Approved. Thank you. It could not be read back here, which changes nothing for you."
	case s.GrantedAt != nil && (s.State == consent.Partly || s.State == consent.Missing):
		return "It was granted and is not whole any more: what needs it does not work. Missing: " + missing + ". Approve again, if that is not what you want."
	case s.State == consent.Partly:
		return "Part of it is granted. Waiting for your approval of the rest: " + missing + "."
	case s.ApprovedAt != nil:
		return "Approved at Microsoft. It is being read back, which can take a few minutes."
	}
	return "Waiting for your approval."
}

func isAre(n int) string {
	if n == 1 {
		return "is"
	}
	return "are"
}

func consentHref(s consent.Status) string {
	return "/tenants/" + url.PathEscape(s.TenantID) + "/consents/" + url.PathEscape(s.RegistrationID)
}

func permissionNames(all []consent.Permission) []string {
	var out []string
	for _, p := range all {
		out = append(out, p.Name)
	}
	return out
}

// consentView is the page of one consent.
type consentView struct {
	consent.Detail
	Form    *form
	Address string // of a page that was made right now
	Tenant  tenant.Tenant
}

func (c *console) consentDetail(w http.ResponseWriter, r *http.Request, f *frame) error {
	return c.showConsent(w, r, f, consentView{Form: &form{Values: url.Values{}}}, http.StatusOK)
}

func (c *console) showConsent(w http.ResponseWriter, r *http.Request, f *frame, v consentView, status int) (err error) {
	if v.Tenant, err = c.Tenants.Get(r.Context(), r.PathValue("id")); err != nil {
		return err
	}
	if v.Detail, err = c.Consents.Get(r.Context(), r.PathValue("id"), r.PathValue("registration")); err != nil {
		if _, faulty := errors.AsType[*tenant.FieldError](err); faulty {
			return errNoPage
		}
		return err
	}
	f.Title, f.Noun = "Consent of "+v.TenantName+" to "+v.Name, "consents"
	return show(w, r, status, consentDetailPage(f, v))
}

// askConsent shows the address in its answer, and nowhere again.
func (c *console) askConsent(w http.ResponseWriter, r *http.Request, f *frame) error {
	typed, err := typed(w, r)
	if err != nil {
		return err
	}
	days := map[string]time.Duration{"7": 7, "90": 90}[typed.Get("days")] * 24 * time.Hour
	made, err := c.Consents.Ask(r.Context(), r.PathValue("id"), r.PathValue("registration"), consent.AskOptions{Why: typed.text("why"), Until: days, Endpoint: typed.Get("endpoint")})
	if errors.Is(err, consent.ErrNoManifest) {
		typed.Problem, err = err.Error(), nil
	}
	if err := typed.refused(err); err != nil {
		return err
	}
	if len(typed.Faults) > 0 || typed.Problem != "" {
		return c.showConsent(w, r, f, consentView{Form: typed}, http.StatusUnprocessableEntity)
	}
	w.Header().Set("Cache-Control", "no-store")
	return c.showConsent(w, r, f, consentView{Form: &form{Values: url.Values{}}, Address: made.URL.Reveal()}, http.StatusOK)
}

func (c *console) lookAtConsent(w http.ResponseWriter, r *http.Request, _ *frame) error {
	s, err := c.Consents.Look(r.Context(), r.PathValue("id"), r.PathValue("registration"))
	if err != nil {
		return err
	}
	return back(w, r, consentHref(s), "consent-read")
}

func (c *console) withdrawConsent(w http.ResponseWriter, r *http.Request, _ *frame) error {
	typed, err := typed(w, r)
	if err != nil {
		return err
	}
	if err := c.Consents.Withdraw(r.Context(), r.PathValue("id")); err != nil {
		return err
	}
	return back(w, r, inside(typed.Get("back")), "consent-withdrawn")
}

func requestState(r consent.Request, now time.Time) state {
	switch {
	case r.WithdrawnAt != nil:
		return state{none, "ring", "Withdrawn"}
	case !r.Live(now):
		return state{none, "ring", "Expired"}
	case r.Answer == string(consent.Approved):
		return state{good, "check", "Approved"}
	case r.Answer != "":
		return state{bad, "cross", consent.Explain(consent.Kind(r.Answer)).Title}
	case r.Opened > 0:
		return state{warn, "half", "Opened"}
	default:
		return state{none, "ring", "Not opened yet"}
	}
}

// The cookie that ties answers of Microsoft to a browser: its secret, and the page
// that was opened last, to go back to.
func (c *console) consentCookie(browser secrets.Value, token string) *http.Cookie {
	return &http.Cookie{Name: c.cookieName() + "-consent", Value: browser.Reveal() + "." + token, Path: "/", HttpOnly: true, Secure: c.secure(), SameSite: http.SameSiteLaxMode, MaxAge: int(consent.StateLife.Seconds())} //nolint:gosec // Secure wherever the console is reached by https
}

func (c *console) consentBrowser(r *http.Request) (browser secrets.Value, token string) {
	cookie, err := r.Cookie(c.consentCookie(secrets.Value{}, "").Name)
	if err != nil {
		return secrets.Value{}, ""
	}
	secret, token, _ := strings.Cut(cookie.Value, ".")
	if len(secret) != 43 {
		return secrets.Value{}, ""
	}
	return secrets.New(secret), token
}

// administratorView is what the administrator's page shows.
type administratorView struct {
	consent.View
	asker
}

// stand is how things stand for the administrator: until they have approved, it is
// waited for them.
func (v administratorView) stand() state {
	s := consentStand(v.Status)
	if v.Status.ApprovedAt != nil && v.Status.GrantedAt == nil && s.Tone != good {
		return state{none, "half", "Approved"}
	}
	if v.Status.State == consent.Unknown {
		return state{warn, "half", "Waiting"}
	}
	return s
}

// consentPage is the administrator's: it needs no sign-in.
func (c *console) consentPage(w http.ResponseWriter, r *http.Request, f *frame) error {
	browser, _ := c.consentBrowser(r)
	if browser.Empty() {
		browser = consent.NewBrowser()
	}
	token := r.PathValue("token")
	v, err := c.Consents.Open(r.Context(), token, browser, visit(r).Address)
	if err != nil {
		return err
	}
	http.SetCookie(w, c.consentCookie(browser, token))
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Referrer-Policy", "no-referrer") // the address is a secret
	w.Header().Set("X-Robots-Tag", "noindex")
	f.Title, f.Here = "Approve "+v.App.Name+" for "+v.Tenant, "/consent/"+token
	return show(w, r, http.StatusOK, administratorPage(f, administratorView{v, c.asker(v.Request.CreatedBy)}))
}

// consentLook has the consent read, for whoever has the page.
func (c *console) consentLook(w http.ResponseWriter, r *http.Request, _ *frame) error {
	token := r.PathValue("token")
	err := c.Consents.LookAgain(r.Context(), token, visit(r).Address)
	if _, theirs := errors.AsType[*microsoft.Error](err); err != nil && !theirs {
		return err
	}
	return to(w, r, "/consent/"+url.PathEscape(token))
}

// consentAnswer is where Microsoft sends the administrator's browser back to.
func (c *console) consentAnswer(w http.ResponseWriter, r *http.Request, f *frame) error {
	browser, token := c.consentBrowser(r)
	f.Here = "/" // the address is good once
	w.Header().Set("Cache-Control", "no-store")
	done, err := c.Consents.Answer(r.Context(), r.URL.Query(), browser, visit(r).Address)
	if err != nil {
		return err
	}
	if c.Consents.Is(r.Context(), token, consent.RequestOf(r.URL.Query())) {
		return to(w, r, "/consent/"+url.PathEscape(token))
	}
	e := consent.Explain(done.Kind)
	f.Title = e.Title
	return show(w, r, http.StatusOK, answeredPage(f, e))
}

// consentTrouble words the errors of the administrator's pages.
func consentTrouble(err error) (trouble, bool) {
	for known, t := range map[error]trouble{
		consent.ErrLink:     {http.StatusNotFound, "This page does not open (any more)", "It has expired, was withdrawn, or its address was not copied whole. Ask whoever sent it to you for a new one. What you have consented to at Microsoft stays as it is.", "Go to the entrance", "/sign-in"},
		consent.ErrState:    {http.StatusBadRequest, "This answer does not belong to this browser", "Perhaps the page was opened in another browser, or a link from elsewhere led here. Nothing was stored. If you have consented at Microsoft just now, that counts: it is read from there. Open the page that was sent to you again to see it.", "Go to the entrance", "/sign-in"},
		consent.ErrReplayed: {http.StatusBadRequest, "This answer was taken already", "Going back or reloading brings it a second time. Open the page that was sent to you again: it shows how things stand.", "Go to the entrance", "/sign-in"},
		consent.ErrLate:     {http.StatusBadRequest, "This took too long", "The page was opened more than two hours before the answer came. If you have consented at Microsoft, that counts: it is read from there. Open the page that was sent to you again to see it.", "Go to the entrance", "/sign-in"},
	} {
		if errors.Is(err, known) {
			return t, true
		}
	}
	return trouble{}, false
}

// customersView is the page of a partner's customers.
type customersView struct {
	Query     url.Values
	Partners  []option // connections, with the registration that each signs in through
	App       string   // name of the registration of the one that is chosen
	Customers []consent.Customer
	Asked     bool
	Next      string
	Problem   string
	Link      string // where the problem is mended; ""
}

// registration of the connection that is chosen.
func (v customersView) registration() string {
	_, _, id := partnerOf(v.Query.Get("partner"))
	return id
}

func (c *console) customers(w http.ResponseWriter, r *http.Request, f *frame) error {
	return c.showCustomers(w, r, f, "", http.StatusOK)
}

// partnerOf takes the choice of a partner's connection apart.
func partnerOf(choice string) (tenantID, connectionID, registrationID string) {
	parts := strings.Fields(choice)
	if len(parts) != 3 {
		return "", "", ""
	}
	return parts[0], parts[1], parts[2]
}

// partners are the connections by which an operator may onboard customers.
func (c *console) partners(r *http.Request, f *frame) (out []option, apps map[string]string, err error) {
	list, err := c.Consents.Registrations(r.Context())
	if err != nil {
		return nil, nil, err
	}
	apps = map[string]string{}
	for _, a := range list {
		apps[a.ID] = a.Name
	}
	found, _, err := c.Connections.List(r.Context(), connection.Filter{Kind: connection.Delegated}, connection.Page{Limit: 200})
	for _, one := range found {
		if name := apps[one.RegistrationID]; name != "" && f.may(one.TenantID, audit.ConsentManage) {
			out = append(out, option{one.TenantID + " " + one.ID + " " + one.RegistrationID, one.Name + " (" + one.TenantName + ")"})
		}
	}
	return out, apps, err
}

func (c *console) showCustomers(w http.ResponseWriter, r *http.Request, f *frame, problem string, status int) error {
	if !c.Consents.Partners() {
		return errNoPage
	}
	v := customersView{Query: r.URL.Query(), Problem: problem}
	partners, apps, err := c.partners(r, f)
	if err != nil {
		return err
	}
	v.Partners = partners
	if tenantID, id, registrationID := partnerOf(v.Query.Get("partner")); id != "" {
		v.App = apps[registrationID]
		v.Customers, v.Next, err = c.Consents.Customers(r.Context(), tenantID, id, registrationID, v.Query.Get("after"))
		if v.Asked = err == nil; err != nil {
			if v.Problem, v.Link = noCustomers(err); v.Problem == "" {
				return err
			}
		}
		v.Next = onward(r, v.Next)
	}
	f.Title, f.Noun = "Onboard customers", "consents"
	return show(w, r, status, customersPage(f, v))
}

// noCustomers words why Partner Center gave no list, and where that is mended; "" for
// what is no fault of the connection's.
func noCustomers(err error) (words, link string) {
	if refused, ok := errors.AsType[*broker.Refused](err); ok {
		return "The connection has no token for Partner Center: " + cmp.Or(refused.Reason, "nobody is signed in for it"), refused.Link
	}
	if said, ok := errors.AsType[*microsoft.Error](err); ok {
		return "Partner Center gave no list: " + consent.PartnerTrouble(said), ""
	}
	return "", ""
}

func (c *console) onboardCustomers(w http.ResponseWriter, r *http.Request, f *frame) error {
	typed, err := typed(w, r)
	if err != nil {
		return err
	}
	tenantID, connectionID, registrationID := partnerOf(typed.Get("partner"))
	in := consent.OnboardRequest{TenantID: tenantID, ConnectionID: connectionID, RegistrationID: registrationID, Undo: typed.Get("do") == "undo"}
	for _, chosen := range typed.Values["customer"] {
		id, name, _ := strings.Cut(chosen, " ")
		in.Customers = append(in.Customers, consent.CustomerRef{ID: id, Name: name})
	}
	started, err := c.Consents.Onboard(r.Context(), in)
	if err := typed.refused(err); err != nil {
		return err
	}
	if len(typed.Faults) > 0 {
		r.URL.RawQuery = url.Values{"partner": {typed.Get("partner")}}.Encode()
		return c.showCustomers(w, r, f, typed.Faults.Error(), http.StatusUnprocessableEntity)
	}
	return to(w, r, "/batches/"+started.ID)
}

func customerState(c consent.Customer) state {
	switch c.State {
	case consent.Onboard:
		return state{good, "check", "Consented"}
	case consent.Refused:
		return state{bad, "cross", "Refused"}
	case consent.Sending, consent.Removing:
		return state{none, "turning", "Under way"}
	case consent.Removed:
		return state{none, "ring", "Taken back"}
	default:
		return state{none, "ring", "Nothing done from here"}
	}
}

// madeBy says who made a page, and how often it was opened.
func madeBy(r consent.Request) string {
	text := ""
	if r.CreatedBy != "" {
		text = "by " + r.CreatedBy + " "
	}
	if r.Opened == 0 { // the state beside it says so
		return text
	}
	return text + "(opened " + count(r.Opened, "time") + ")"
}
