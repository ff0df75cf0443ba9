package console

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"gatehouse/internal/audit"
	"gatehouse/internal/registration"
)

// registrationList is what the page of all app registrations shows.
type registrationList struct {
	Items []registration.Registration
	Query url.Values
	Next  string
}

func (c *console) registrations(w http.ResponseWriter, r *http.Request, f *frame) error {
	q := r.URL.Query()
	items, next, err := c.Registrations.List(r.Context(), registration.Filter{Search: q.Get("search")}, registration.Page{After: q.Get("after")})
	if err != nil {
		return err
	}
	f.Title, f.Noun = "App registrations", "registrations"
	return show(w, r, http.StatusOK, registrationsPage(f, registrationList{items, q, onward(r, next)}))
}

// registrationView is what the page of one shows.
type registrationView struct {
	registration.Registration
	Uses     []registration.Use
	Consents []registration.Consent
	Tenants  []option // in which it can be looked up or checked
}

func (c *console) registration(w http.ResponseWriter, r *http.Request, f *frame) error {
	v, err := c.oneRegistration(r, f)
	if err != nil {
		return err
	}
	return show(w, r, http.StatusOK, registrationPage(f, v))
}

func (c *console) oneRegistration(r *http.Request, f *frame) (v registrationView, err error) {
	if v.Registration, err = c.Registrations.Get(r.Context(), r.PathValue("id")); err != nil {
		return v, err
	}
	f.Title, f.Noun = v.Name, "registrations"
	if v.Uses, err = c.Registrations.Uses(r.Context(), v.ID); err != nil {
		return v, err
	}
	if c.Registrations.Consents != nil {
		if v.Consents, err = c.Registrations.Consents(r.Context(), v.ID); err != nil {
			return v, err
		}
	}
	if f.may(audit.AllTenants, audit.SettingsManage) {
		v.Tenants, err = c.tenantOptions(r, "")
	}
	return v, err
}

// mayManage demands what the forms of registrations need.
func (c *console) mayManage(r *http.Request) error {
	return c.Audit.Allow(r.Context(), audit.AllTenants, audit.SettingsManage)
}

// registrationForm is what the forms for a registration show.
type registrationForm struct {
	Form         *form
	Registration *registration.Registration // nil: a new one
	Cloud        string
}

func (c *console) newRegistrationPage(w http.ResponseWriter, r *http.Request, f *frame) error {
	typed := &form{Values: url.Values{"kind": {string(registration.Confidential)}, "publisher": {registration.PublisherUnknown}, "permissions": {permissionLines(registration.SignInPermissions())}}}
	return c.showRegistrationForm(w, r, f, registrationForm{Form: typed}, http.StatusOK)
}

func (c *console) showRegistrationForm(w http.ResponseWriter, r *http.Request, f *frame, v registrationForm, status int) error {
	if err := c.mayManage(r); err != nil {
		return err
	}
	v.Cloud = c.Registrations.Cloud.Name
	f.Title, f.Noun = "Add an app registration", "registrations"
	if v.Registration != nil {
		f.Title = "Change " + v.Registration.Name
	}
	return show(w, r, status, registrationFormPage(f, v))
}

// details reads the form of a registration.
func (c *console) details(typed *form) registration.Details {
	d := registration.Details{Name: typed.text("name"), Purpose: typed.text("purpose"), Clients: map[string]string{}, Publisher: typed.text("publisher"), PublisherName: typed.text("publisher_name")}
	for _, cloud := range append([]string{c.Registrations.Cloud.Name}, registration.Clouds...) {
		if id := typed.text("client_" + cloud); id != "" {
			d.Clients[cloud] = id
		}
	}
	for line := range strings.Lines(typed.Get("redirects")) {
		if uri, note, _ := strings.Cut(strings.TrimSpace(line), " "); uri != "" {
			d.Redirects = append(d.Redirects, registration.Redirect{URI: uri, Note: note})
		}
	}
	return d
}

// permissionLines writes permissions as [readPermissions] reads them.
func permissionLines(all []registration.Permission) string {
	lines := make([]string, len(all))
	for i, p := range all {
		resource := p.Resource
		for _, r := range registration.Resources {
			if r.ID == p.Resource && r.Service != "" {
				resource = r.Service
			}
		}
		lines[i] = strings.TrimSpace(strings.Join([]string{resource, p.Kind, p.Name, p.Why}, " "))
	}
	return strings.Join(lines, "\n")
}

// readPermissions reads one permission in each line: resource, kind, name, and why.
func readPermissions(text string) (out []registration.Permission) {
	for line := range strings.Lines(text) {
		parts := strings.SplitN(strings.Join(strings.Fields(line), " "), " ", 4)
		if parts[0] == "" {
			continue
		}
		parts = append(parts, "", "", "")
		out = append(out, registration.Permission{Resource: parts[0], Kind: parts[1], Name: parts[2], Why: parts[3]})
	}
	return out
}

// spoken takes in the errors of a registration that are for the person.
func (f *form) spoken(err error) error {
	for _, known := range []error{registration.ErrTaken, registration.ErrConflict} {
		if errors.Is(err, known) {
			f.Problem = err.Error()
			return nil
		}
	}
	return f.unreachable(err)
}

func (c *console) newRegistration(w http.ResponseWriter, r *http.Request, f *frame) error {
	typed, err := typed(w, r)
	if err != nil {
		return err
	}
	made, err := c.Registrations.Create(r.Context(), registration.CreateRequest{Details: c.details(typed), Kind: registration.Kind(typed.Get("kind")), Permissions: readPermissions(typed.Get("permissions"))})
	if err := typed.spoken(err); err != nil {
		return err
	}
	if len(typed.Faults) > 0 || typed.Problem != "" {
		return c.showRegistrationForm(w, r, f, registrationForm{Form: typed}, http.StatusUnprocessableEntity)
	}
	return back(w, r, "/registrations/"+made.ID, "registration-added")
}

func (c *console) editRegistrationPage(w http.ResponseWriter, r *http.Request, f *frame) error {
	g, err := c.Registrations.Get(r.Context(), r.PathValue("id"))
	if err != nil {
		return err
	}
	values := url.Values{"name": {g.Name}, "purpose": {g.Purpose}, "publisher": {g.Publisher.State}, "publisher_name": {g.Publisher.Name}, "version": {strconv.FormatInt(g.Version, 10)}}
	for _, k := range g.Clients {
		if k.Until == nil {
			values.Set("client_"+k.Cloud, k.ClientID)
		}
	}
	var lines []string
	for _, d := range g.Redirects {
		if !d.Needed {
			lines = append(lines, strings.TrimSpace(d.URI+" "+d.Note))
		}
	}
	values.Set("redirects", strings.Join(lines, "\n"))
	return c.showRegistrationForm(w, r, f, registrationForm{Form: &form{Values: values}, Registration: &g}, http.StatusOK)
}

func (c *console) editRegistration(w http.ResponseWriter, r *http.Request, f *frame) error {
	typed, err := typed(w, r)
	if err != nil {
		return err
	}
	g, err := c.Registrations.Get(r.Context(), r.PathValue("id"))
	if err != nil {
		return err
	}
	version, _ := strconv.ParseInt(typed.Get("version"), 10, 64) // none: a conflict
	_, err = c.Registrations.Update(r.Context(), g.ID, registration.UpdateRequest{Details: c.details(typed), Version: version})
	if err := typed.spoken(err); err != nil {
		return err
	}
	if len(typed.Faults) > 0 || typed.Problem != "" {
		return c.showRegistrationForm(w, r, f, registrationForm{Form: typed, Registration: &g}, http.StatusUnprocessableEntity)
	}
	return back(w, r, "/registrations/"+g.ID, "updated")
}

func (c *console) removeRegistrationPage(w http.ResponseWriter, r *http.Request, f *frame) error {
	if err := c.mayManage(r); err != nil {
		return err
	}
	g, err := c.Registrations.Get(r.Context(), r.PathValue("id"))
	if err != nil {
		return err
	}
	f.Title, f.Noun = "Remove "+g.Name, "registrations"
	return show(w, r, http.StatusOK, confirmPage(f, question{
		Of: g.Name, Back: "/registrations/" + g.ID, Points: []string{"Its credentials are erased here, and the versions of what it asks for.", "At Microsoft nothing changes: the app registration, its credentials and the tenants' consents stay until somebody removes them there.", "While connections use it, it cannot be removed: " + count(g.Connections, "connection") + " now."},
		Action: r.URL.Path, Button: "Remove the app registration", Keep: "Keep it",
	}))
}

func (c *console) removeRegistration(w http.ResponseWriter, r *http.Request, _ *frame) error {
	if err := c.Registrations.Remove(r.Context(), r.PathValue("id")); err != nil {
		return err
	}
	return back(w, r, "/registrations", "registration-removed")
}

func (c *console) lookUpRegistration(w http.ResponseWriter, r *http.Request, _ *frame) error {
	typed, err := typed(w, r)
	if err != nil {
		return err
	}
	if _, err := c.Registrations.Look(r.Context(), r.PathValue("id"), typed.Get("tenant")); err != nil {
		if err := typed.unreachable(err); err != nil {
			return err
		}
		return back(w, r, "/registrations/"+r.PathValue("id"), "registration-unread")
	}
	return back(w, r, "/registrations/"+r.PathValue("id"), "registration-looked")
}

// manifestView is the page on which what is asked for is changed.
type manifestView struct {
	registration.Registration
	Form     *form
	Versions []manifestVersion
}

// manifestVersion is a version with what it changed.
type manifestVersion struct {
	registration.Manifest
	registration.Diff
	First bool
}

func (c *console) manifest(w http.ResponseWriter, r *http.Request, f *frame) error {
	return c.showManifest(w, r, f, nil, http.StatusOK)
}

func (c *console) showManifest(w http.ResponseWriter, r *http.Request, f *frame, typed *form, status int) error {
	g, err := c.Registrations.Get(r.Context(), r.PathValue("id"))
	if err != nil {
		return err
	}
	all, err := c.Registrations.Manifests(r.Context(), g.ID)
	if err != nil {
		return err
	}
	if typed == nil {
		typed = &form{Values: url.Values{"permissions": {permissionLines(g.Manifest.Permissions)}, "version": {strconv.Itoa(g.Manifest.Version)}}}
	}
	v := manifestView{Registration: g, Form: typed}
	for i, m := range all {
		one := manifestVersion{Manifest: m, First: i+1 == len(all)}
		if !one.First {
			one.Diff = m.Since(all[i+1])
		}
		v.Versions = append(v.Versions, one)
	}
	f.Title, f.Noun = "What "+g.Name+" asks for", "registrations"
	return show(w, r, status, manifestPage(f, v))
}

func (c *console) setManifest(w http.ResponseWriter, r *http.Request, f *frame) error {
	typed, err := typed(w, r)
	if err != nil {
		return err
	}
	version, _ := strconv.Atoi(typed.Get("version")) // none: a conflict
	_, _, err = c.Registrations.SetManifest(r.Context(), r.PathValue("id"), registration.ManifestRequest{Permissions: readPermissions(typed.Get("permissions")), Reason: typed.text("reason"), Version: version})
	if err := typed.spoken(err); err != nil {
		return err
	}
	if len(typed.Faults) > 0 || typed.Problem != "" {
		return c.showManifest(w, r, f, typed, http.StatusUnprocessableEntity)
	}
	return back(w, r, r.URL.Path, "manifest")
}

// verdict of a registration in one sentence, with who acts.
func (v registrationView) verdict(f *frame) (mood state, words, way string) {
	active, has := v.Active()
	switch lacks := v.Lacks(); {
	case lacks != "":
		return state{bad, "cross", "Not ready"}, "Nobody can sign in through it: it lacks " + lacks + ".", "You act: add what is missing below."
	case has && active.Ended(f.Now):
		return state{bad, "cross", "Ended"}, "Its credential in use has ended: nobody is let in.", "You act: add another one, which is in use once it is checked."
	case slices.ContainsFunc(v.Redirects, func(r registration.Redirect) bool { return r.Needed && r.State == "missing" }):
		return state{bad, "cross", "Redirect missing"}, "An address that people come back to is not in the app registration: their sign-in ends with AADSTS50011.", "The app's owner acts: add the redirect addresses below under Authentication."
	case has && active.NotAfter != nil && active.NotAfter.Before(f.Now.AddDate(0, 0, 30)):
		return state{warn, "warning", "Ends soon"}, "Its credential in use ends within 30 days.", "You act: add another one now. Both are accepted until the old one is removed."
	}
	former := 0
	for _, u := range v.Uses {
		if u.Former {
			former++
		}
	}
	if former > 0 {
		return state{warn, "half", "Being replaced"}, count(former, "connection") + " still " + liveLives(former) + " on a former client id.", "The people of these connections act: they sign in again."
	}
	return state{good, "check", "Ready"}, "People can sign in through it.", ""
}

func liveLives(n int) string {
	if n == 1 {
		return "lives"
	}
	return "live"
}

// credentialState is how far a credential is.
func credentialState(f *frame, c registration.Credential) state {
	switch {
	case c.State == registration.Retired:
		return state{none, "ring", "Retired"}
	case c.Ended(f.Now):
		return state{bad, "cross", "Ended"}
	case c.State == registration.Active:
		return state{good, "check", "In use"}
	case c.Check != nil && c.Check.State == registration.CheckRunning:
		return state{none, "turning", fmt.Sprintf("Being checked, %d of %d", c.Check.Successes, c.Check.Need)}
	case c.Check != nil && c.Check.State == registration.CheckFailed:
		return state{bad, "cross", "Check failed"}
	case c.State == registration.Checked && c.ReplacedAt != nil:
		return state{none, "half", "Replaced, still usable"}
	case c.State == registration.Checked:
		return state{good, "check", "Checked"}
	}
	return state{none, "question", "Not checked yet"}
}

func credentialName(c registration.Credential) string {
	name := "Client secret"
	if c.Kind == registration.CertificateCredential {
		name = "Certificate"
	}
	if c.Label != "" {
		name += " " + c.Label
	}
	return name
}

func originWords(c registration.Credential) string {
	switch c.Origin {
	case registration.MadeHere:
		return "made here: its key never left"
	case registration.Uploaded:
		return "uploaded with its key"
	default:
		return "pasted"
	}
}

func redirectState(r registration.Redirect) state {
	switch r.State {
	case "there":
		return state{good, "check", "There"}
	case "missing":
		return state{bad, "cross", "Missing"}
	default:
		return state{none, "question", "Not looked up"}
	}
}

func publisherState(p registration.Publisher) state {
	switch p.State {
	case registration.PublisherVerified:
		return state{good, "check", "Verified"}
	case registration.PublisherUnverified:
		return state{warn, "warning", "Not verified"}
	default:
		return state{none, "question", "Unknown"}
	}
}

// registrationState is the state of a registration in the list.
func registrationState(f *frame, g registration.Registration) state {
	mood, _, _ := registrationView{Registration: g}.verdict(f)
	return mood
}

// asked counts the permissions of a kind.
func asked(m registration.Manifest, kind string) (n int) {
	for _, p := range m.Permissions {
		if p.Kind == kind {
			n++
		}
	}
	return n
}

func resourceWords(p registration.Permission) string {
	if p.ResourceName != "" {
		return p.ResourceName
	}
	return p.Resource
}
