package console

import (
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"gatehouse/internal/audit"
	"gatehouse/internal/connection"
	"gatehouse/internal/secrets"
	"gatehouse/internal/tenant"
)

// connectionList is what the page of all connections shows.
type connectionList struct {
	Connections []connection.Connection
	Tenants     []option
	Query       url.Values
	Next        string
	Saved       []connection.SavedFilter
	Tags        []connection.TagCount
	Matching    int // connections that fit
}

// filtered reports whether the list is narrowed.
func (l connectionList) filtered() bool {
	return slices.ContainsFunc(filterNames, func(name string) bool { return l.Query.Get(name) != "" })
}

func (c *console) connections(w http.ResponseWriter, r *http.Request, f *frame) error {
	q := r.URL.Query()
	filter, err := connection.ParseFilter(q)
	if err != nil {
		return err
	}
	all, next, err := c.Connections.List(r.Context(), filter, connection.Page{After: q.Get("after")})
	if err != nil {
		return err
	}
	v := connectionList{Connections: all, Query: q, Next: onward(r, next)}
	if v.Saved, err = c.Connections.SavedFilters(r.Context()); err != nil {
		return err
	}
	if v.Tags, err = c.Connections.Tags(r.Context(), 200); err != nil {
		return err
	}
	if v.Matching, err = c.Connections.Matching(r.Context(), filter); err != nil {
		return err
	}
	if v.Tenants, err = c.tenantOptions(r, q.Get("tenant")); err != nil {
		return err
	}
	f.Title, f.Noun = "Connections", "connections"
	return show(w, r, http.StatusOK, connectionsPage(f, v))
}

// tenantOptions are the tenants to choose from: the first 200 by name, and the
// one that is chosen already.
func (c *console) tenantOptions(r *http.Request, chosen string) ([]option, error) {
	tenants, _, err := c.Tenants.List(r.Context(), tenant.Filter{}, tenant.Page{Limit: 200})
	if err != nil {
		return nil, err
	}
	var options []option
	for _, t := range tenants {
		options = append(options, option{t.ID, t.Name})
	}
	if chosen == "" || slices.ContainsFunc(options, func(o option) bool { return o.Value == chosen }) {
		return options, nil
	}
	t, err := c.Tenants.Get(r.Context(), chosen)
	if err != nil {
		return nil, err
	}
	return append(options, option{t.ID, t.Name}), nil
}

// profileView is what the forms for a connection show.
type profileView struct {
	Form    *form
	Tenants []option
	// Registrations are the app registrations that people sign in to.
	Registrations []option
	Connection    *connection.Connection // nil: a new one
}

func (c *console) newConnectionPage(w http.ResponseWriter, r *http.Request, f *frame) error {
	typed := &form{Values: url.Values{"tenant": {r.URL.Query().Get("tenant")}, "kind": {string(connection.App)}, "credential": {"generate"}, "consumer.holds_credential": {connection.HeldHere}, "services": {connection.Graph}}}
	return c.showNewConnection(w, r, f, typed, http.StatusOK)
}

func (c *console) showNewConnection(w http.ResponseWriter, r *http.Request, f *frame, typed *form, status int) error {
	tenants, err := c.tenantOptions(r, typed.Get("tenant"))
	if err != nil {
		return err
	}
	tenants = slices.DeleteFunc(tenants, func(o option) bool { return !f.may(o.Value, audit.ConnectionManage) })
	f.Title, f.Noun = "Add a connection", "connections"
	registrations, err := c.registrationOptions(r.Context())
	if err != nil {
		return err
	}
	return show(w, r, status, newConnectionPage(f, profileView{Form: typed, Tenants: tenants, Registrations: registrations}))
}

// profile is what was typed about a connection.
func (f *form) profile() connection.Profile {
	p := connection.Profile{
		Name: f.text("name"), Description: f.text("description"), ClientID: f.text("client_id"), Services: f.Values["services"], Site: f.text("site"), AdminURL: f.text("admin_url"),
		Environment: f.text("environment"), Company: f.text("company"),
		Consumer: connection.Consumer{Name: f.text("consumer.name"), HoldsCredential: f.Get("consumer.holds_credential"), Accepts: f.Values["consumer.accepts"], Addresses: f.lines("consumer.addresses")},
	}
	if connection.Kind(f.Get("kind")) == connection.Delegated {
		p.Username, p.RegistrationID, p.ClientID = f.text("person"), f.text("registration_id"), ""
		p.Consumer.HoldsCredential, p.Consumer.Accepts = connection.HeldHere, nil
	}
	if connection.Kind(f.Get("kind")) == connection.ServiceAccount {
		// What belongs to the other kind is not shown, and so not meant.
		p.MFA, p.Username, p.ClientID = f.on("mfa"), f.text("username"), ""
	}
	return p
}

// credential is what was typed of a credential. Only the member that belongs to
// the chosen kind counts.
func (f *form) credential(kind connection.Kind) connection.CredentialRequest {
	if kind == connection.Delegated {
		return connection.CredentialRequest{} // the person signs in
	}
	if f.Get("consumer.holds_credential") == connection.HeldByConsumer && f.Get("password")+f.Get("secret")+f.Get("certificate") == "" {
		return connection.CredentialRequest{Kind: f.heldKind(kind)}
	}
	if kind == connection.ServiceAccount {
		in := connection.CredentialRequest{Kind: connection.Password, Password: secrets.New(f.Get("password"))}
		if f.on("app_password") {
			in.Kind = connection.AppPassword
			in.Password = secrets.New(strings.ReplaceAll(f.Get("password"), " ", ""))
		}
		return in
	}
	switch f.Get("credential") {
	case "generate":
		return connection.CredentialRequest{Kind: connection.Certificate, Generate: true}
	case string(connection.Secret):
		return connection.CredentialRequest{Kind: connection.Secret, Secret: secrets.New(f.Get("secret"))}
	case string(connection.Federated):
		return connection.CredentialRequest{Kind: connection.Federated}
	default:
		return connection.CredentialRequest{Kind: connection.Certificate, CertificatePEM: secrets.New(f.Get("certificate"))}
	}
}

// heldKind is the kind of a credential that the consumer alone holds.
func (f *form) heldKind(kind connection.Kind) connection.CredentialKind {
	switch {
	case kind == connection.ServiceAccount && f.on("app_password"):
		return connection.AppPassword
	case kind == connection.ServiceAccount:
		return connection.Password
	case f.Get("credential") == "generate":
		return connection.Certificate
	default:
		return connection.CredentialKind(f.Get("credential"))
	}
}

func (c *console) newConnection(w http.ResponseWriter, r *http.Request, f *frame) error {
	typed, err := typed(w, r)
	if err != nil {
		return err
	}
	kind := connection.Kind(typed.Get("kind"))
	made, err := c.Connections.Create(r.Context(), connection.CreateRequest{
		TenantID: typed.Get("tenant"), Kind: kind, Profile: typed.profile(), Credential: typed.credential(kind), Existing: typed.on("app_password"), Schedule: typed.text("schedule"),
	})
	if err := typed.connectionFault(err); err != nil {
		return err
	}
	if len(typed.Faults) > 0 {
		return c.showNewConnection(w, r, f, typed, http.StatusUnprocessableEntity)
	}
	if made.Kind == connection.Delegated {
		return to(w, r, "/connections/"+made.ID+"/sign-in")
	}
	return back(w, r, "/connections/"+made.ID, "created")
}

// connectionFault takes in what is wrong with a connection that was typed.
func (f *form) connectionFault(err error) error {
	if errors.Is(err, connection.ErrTaken) {
		f.Faults.Add("name", "is the name of another connection of this tenant", "choose another one")
		return nil
	}
	if errors.Is(err, tenant.ErrMissing) && f.Get("tenant") == "" {
		f.Faults.Add("tenant", "is missing", "choose the tenant that the connection reaches")
		return nil
	}
	err = f.refused(err)
	for _, fault := range f.Faults {
		if fault.Field == "username" && connection.Kind(f.Get("kind")) == connection.Delegated {
			fault.Field = "person"
		}
	}
	return err
}

func (c *console) editConnectionPage(w http.ResponseWriter, r *http.Request, f *frame) error {
	return c.showEdit(w, r, f, nil, http.StatusOK)
}

func (c *console) showEdit(w http.ResponseWriter, r *http.Request, f *frame, typed *form, status int) error {
	one, err := c.Connections.Get(r.Context(), r.PathValue("id"))
	if err != nil {
		return err
	}
	if typed == nil {
		typed = filled(one)
	}
	f.Title, f.Noun = "Change "+one.Name, "connections"
	return show(w, r, status, editConnectionPage(f, profileView{Form: typed, Connection: &one}))
}

// filled is a form with what a connection says of itself.
func filled(c connection.Connection) *form {
	v := url.Values{
		"name": {c.Name}, "description": {c.Description}, "kind": {string(c.Kind)}, "username": {c.Username}, "person": {c.Username}, "client_id": {c.ClientID}, "services": c.Services,
		"site": {c.Site}, "admin_url": {c.AdminURL}, "environment": {c.Environment}, "company": {c.Company}, "version": {strconv.FormatInt(c.Version, 10)},
		"consumer.name": {c.Consumer.Name}, "consumer.holds_credential": {c.Consumer.HoldsCredential}, "consumer.accepts": c.Consumer.Accepts,
		"consumer.addresses": {strings.Join(c.Consumer.Addresses, "\n")},
	}
	if c.MFA {
		v.Set("mfa", "on")
	}
	return &form{Values: v}
}

func (c *console) editConnection(w http.ResponseWriter, r *http.Request, f *frame) error {
	typed, err := typed(w, r)
	if err != nil {
		return err
	}
	version, _ := strconv.ParseInt(typed.Get("version"), 10, 64) // 0 is nobody's, and so a conflict
	_, err = c.Connections.Update(r.Context(), r.PathValue("id"), connection.UpdateRequest{Profile: typed.profile(), Version: version})
	if errors.Is(err, connection.ErrConflict) {
		typed.Problem, err = "Somebody else changed this connection meanwhile. Look at it in another tab, then open this form again: what you typed stands below", nil
	}
	if err := typed.connectionFault(err); err != nil {
		return err
	}
	if len(typed.Faults) > 0 || typed.Problem != "" {
		return c.showEdit(w, r, f, typed, http.StatusUnprocessableEntity)
	}
	return back(w, r, "/connections/"+r.PathValue("id"), "updated")
}

func (c *console) credentialPage(w http.ResponseWriter, r *http.Request, f *frame) error {
	return c.showCredential(w, r, f, &form{Values: url.Values{"credential": {"generate"}}}, http.StatusOK)
}

func (c *console) showCredential(w http.ResponseWriter, r *http.Request, f *frame, typed *form, status int) error {
	one, err := c.Connections.Get(r.Context(), r.PathValue("id"))
	if err != nil {
		return err
	}
	typed.Set("kind", string(one.Kind))
	f.Title, f.Noun = "Replace the credential of "+one.Name, "connections"
	return show(w, r, status, credentialPage(f, profileView{Form: typed, Connection: &one}))
}

func (c *console) setCredential(w http.ResponseWriter, r *http.Request, f *frame) error {
	typed, err := typed(w, r)
	if err != nil {
		return err
	}
	_, err = c.Connections.SetCredential(r.Context(), r.PathValue("id"), typed.credential(connection.Kind(typed.Get("kind"))))
	if err := typed.connectionFault(err); err != nil {
		return err
	}
	if len(typed.Faults) > 0 {
		return c.showCredential(w, r, f, typed, http.StatusUnprocessableEntity)
	}
	return back(w, r, "/connections/"+r.PathValue("id"), "credential")
}

func (c *console) certificate(w http.ResponseWriter, r *http.Request, _ *frame) error {
	text, err := c.Connections.Certificate(r.Context(), r.PathValue("id"))
	if errors.Is(err, connection.ErrNoCertificate) {
		return errNoPage
	}
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/x-pem-file")
	w.Header().Set("Content-Disposition", `attachment; filename="certificate.pem"`)
	_, err = w.Write([]byte(text)) //nolint:gosec // PEM, sent as a file to keep
	return err
}

func (c *console) unpark(w http.ResponseWriter, r *http.Request, _ *frame) error {
	if err := c.Connections.Unpark(r.Context(), r.PathValue("id")); err != nil {
		return err
	}
	return back(w, r, "/connections/"+r.PathValue("id"), "unparked")
}

func (c *console) removeConnectionPage(w http.ResponseWriter, r *http.Request, f *frame) error {
	return c.showRemove(w, r, f, &form{Values: url.Values{}}, http.StatusOK)
}

func (c *console) showRemove(w http.ResponseWriter, r *http.Request, f *frame, typed *form, status int) error {
	one, err := c.Connections.Get(r.Context(), r.PathValue("id"))
	if err != nil {
		return err
	}
	f.Title, f.Noun = "Remove "+one.Name, "connections"
	return show(w, r, status, removeConnectionPage(f, profileView{Form: typed, Connection: &one}))
}

func (c *console) removeConnection(w http.ResponseWriter, r *http.Request, f *frame) error {
	typed, err := typed(w, r)
	if err != nil {
		return err
	}
	one, err := c.Connections.Get(r.Context(), r.PathValue("id"))
	if err != nil {
		return err
	}
	if typed.text("confirm") != one.Name {
		typed.Faults.Add("confirm", "is not the connection's name", "type the name exactly as it is shown")
		return c.showRemove(w, r, f, typed, http.StatusUnprocessableEntity)
	}
	if err := c.Connections.Remove(r.Context(), one.ID); err != nil {
		return err
	}
	return back(w, r, "/connections", "connection-gone")
}
