package datasource

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"gatehouse/internal/audit"
	"gatehouse/internal/connection"
	"gatehouse/internal/diagnosis"
	"gatehouse/internal/microsoft"
	"gatehouse/internal/microsoft/businesscentral"
	"gatehouse/internal/microsoft/graph"
	"gatehouse/internal/microsoft/login"
	"gatehouse/internal/pace"
	"gatehouse/internal/posture"
	"gatehouse/internal/sqldb"
)

// The states of a step.
const (
	Passed  = "passed"
	Failed  = "failed"
	Unknown = "unknown"
)

// The steps of an app's set-up in Business Central, in the order in which they are
// taken (business-central §3). The last three are taken in each environment.
const (
	StepRegistration = "registration"
	StepCredential   = "credential"
	StepPermission   = "permission"
	StepConsent      = "consent"
	StepEnvironment  = "environment"
	StepCard         = "card"
	StepSets         = "permission_sets"
)

// Step is one step of a set-up.
type Step struct {
	Name        string
	Environment string // "" for what is done once
	// Needed: a connection uses the environment. What is not needed counts for
	// nothing, and may stay undone.
	Needed    bool
	State     string
	Reason    string               // "" where the state says it all
	Diagnosis *diagnosis.Diagnosis // with the remedies; nil unless it failed
}

// SetUp is how far the set-up of an app has come.
type SetUp struct {
	State string // failed if a needed step is, else unknown if one is, else passed
	Steps []Step
	At    time.Time
}

// apiRole opens the APIs and web services to an app.
const apiRole = "API.ReadWrite.All"

// setUp is a set-up that is being looked through.
type setUp struct {
	s       *Service
	at      source
	reader  *graph.Client // nil: none
	why     string        // why there is none
	facts   diagnosis.Facts
	steps   []Step
	company string
}

// SetUp goes through the set-up of an app in Business Central, step by step, in
// every environment that the app is shown or a connection names.
func (s *Service) SetUp(ctx context.Context, id string) (SetUp, error) {
	c, err := s.Connections.Get(ctx, id)
	if err != nil {
		return SetUp{}, err
	}
	entry := audit.Entry{Permission: audit.ConnectionValidate, TenantID: c.TenantID, Action: "connection.set_up_checked", ObjectKind: "connection", ObjectID: c.ID, ObjectName: c.Name}
	if err := s.Audit.Allow(ctx, c.TenantID, entry.Permission); err != nil {
		return SetUp{}, err
	}
	if c.Kind == connection.Delegated {
		return SetUp{}, ErrApps
	}
	at, err := s.open(ctx, id, connection.BusinessCentral)
	if err != nil {
		return SetUp{}, err
	}
	named, err := s.named(ctx, at.Connection)
	if err != nil {
		return SetUp{}, err
	}
	if err := s.DB.Change(ctx, func(ctx context.Context, tx *sqldb.Tx) error { return s.Audit.Act(ctx, tx, entry) }); err != nil {
		return SetUp{}, err
	}
	u := &setUp{s: s, at: at, company: at.Company, facts: diagnosis.Facts{Unattended: true, AppOnly: true, Account: c.Name, Tenant: c.TenantName, TenantID: at.directory, Login: s.Cloud.Login}}
	u.look(pace.Interactive(ctx), named)
	return u.done(), nil
}

// named are the environments that connections of this app in this tenant use.
func (s *Service) named(ctx context.Context, of connection.Connection) ([]string, error) {
	var out []string
	err := s.Connections.Each(ctx, connection.Filter{TenantID: of.TenantID, Kind: connection.App, Service: connection.BusinessCentral}, func(c connection.Connection) error {
		name := wanted(c, "")
		if strings.EqualFold(c.ClientID, of.ClientID) && !slices.ContainsFunc(out, func(have string) bool { return strings.EqualFold(have, name) }) {
			out = append(out, name)
		}
		return nil
	})
	return out, err
}

func (u *setUp) done() SetUp {
	out := SetUp{State: Passed, Steps: u.steps, At: time.Now().UTC().Truncate(time.Second)}
	for _, step := range u.steps {
		switch {
		case !step.Needed:
		case step.State == Failed:
			out.State = Failed
		case step.State == Unknown && out.State == Passed:
			out.State = Unknown
		}
	}
	return out
}

func (u *setUp) step(name, environment string, needed bool, state, reason string) *Step {
	u.steps = append(u.steps, Step{Name: name, Environment: environment, Needed: needed, State: state, Reason: reason})
	return &u.steps[len(u.steps)-1]
}

// refused is a step that failed, or of which it is not known, with what helps.
func (u *setUp) refused(name, environment string, needed bool, err error) {
	d := diagnosis.Of(err, u.facts)
	step := u.step(name, environment, needed, Failed, err.Error())
	step.Diagnosis = &d
	if d.Undecided() {
		step.State = Unknown
	}
}

func (u *setUp) look(ctx context.Context, named []string) {
	u.reader, u.why = u.s.reader(ctx, u.at)
	token, err := u.at.token(ctx, connection.BusinessCentral)
	if err != nil {
		u.noToken(err)
		u.unreached(named, "the app gets no token")
		return
	}
	u.step(StepRegistration, "", true, Passed, "")
	u.step(StepCredential, "", true, Passed, "")
	if !u.permitted(ctx, token) {
		u.unreached(named, "the token opens nothing in Business Central yet")
		return
	}
	client := businesscentral.New(u.s.web(u.at, token.Access))
	all, err := listed(ctx, client, token)
	if err != nil {
		u.refused(StepEnvironment, "", true, err)
		return
	}
	for _, name := range named {
		if !slices.ContainsFunc(all.All, func(e businesscentral.Environment) bool { return strings.EqualFold(e.Name, name) }) {
			u.refused(StepEnvironment, name, true, notThere("finding the environment", "environment_not_found", "the tenant shows no environment "+name))
			u.step(StepCard, name, true, Unknown, "the environment is not there")
			u.step(StepSets, name, true, Unknown, "the environment is not there")
		}
	}
	for _, e := range all.All {
		u.inside(ctx, client, e, slices.ContainsFunc(named, func(name string) bool { return strings.EqualFold(name, e.Name) }))
	}
}

// unreached are the steps within environments where nobody gets that far.
func (u *setUp) unreached(named []string, why string) {
	for _, name := range named {
		for _, step := range []string{StepEnvironment, StepCard, StepSets} {
			u.step(step, name, true, Unknown, why)
		}
	}
}

// noToken reads from the refusal of a token which of the first steps is missing.
func (u *setUp) noToken(err error) {
	d := diagnosis.Of(err, u.facts)
	at := map[string]string{
		"app_not_found": StepRegistration, "app_credential_invalid": StepCredential, "app_credential_expired": StepCredential, "account_disabled": StepRegistration,
		"consent_admin": StepConsent, "consent_user": StepConsent, "resource_principal_missing": StepPermission,
	}[d.Category]
	var e *microsoft.Error
	if errors.As(err, &e) && e.Code == "AADSTS7000229" {
		at = StepConsent // the app is known, and has never been let into this tenant
	}
	order := []string{StepRegistration, StepCredential, StepPermission, StepConsent}
	for i, name := range order {
		switch {
		case at == "":
			u.step(name, "", true, Unknown, "it could not be found out: "+err.Error()).Diagnosis = &d
		case name == at:
			u.refused(name, "", true, err)
		case i == 0: // the sign-in service speaks of the app, so it knows it
			u.step(name, "", true, Passed, "")
		default:
			u.step(name, "", true, Unknown, "the sign-in service looked at the "+at+" first, and refused")
		}
	}
}

// permitted looks for the application permission in the token, and whether it is
// the request for it or the consent that is missing.
func (u *setUp) permitted(ctx context.Context, token login.Token) bool {
	if !token.Claims.Readable() {
		u.step(StepPermission, "", true, Unknown, "the access token cannot be read; that is Microsoft's right and no fault")
		u.step(StepConsent, "", true, Unknown, "the access token cannot be read")
		return true // the service itself will tell
	}
	if slices.Contains(token.Claims.Roles, apiRole) {
		u.step(StepPermission, "", true, Passed, "")
		u.step(StepConsent, "", true, Passed, "")
		return true
	}
	missing := &microsoft.Error{Service: microsoft.ServiceLogin, Op: "reading the token", Code: "no_app_roles", Message: "the token does not carry " + apiRole}
	if len(token.Claims.Roles) > 0 {
		missing.Message += "; it carries " + strings.Join(token.Claims.Roles, ", ")
	}
	asked, why := u.asked(ctx)
	switch {
	case asked == nil:
		u.step(StepPermission, "", true, Unknown, "whether the app asks for "+apiRole+" was not read: "+why)
		u.refused(StepConsent, "", true, missing)
	case *asked:
		u.step(StepPermission, "", true, Passed, "the app asks for "+apiRole)
		u.refused(StepConsent, "", true, missing)
	default:
		missing.Message = "the app registration does not ask for " + apiRole + " of Business Central (application permission)"
		u.refused(StepPermission, "", true, missing)
		u.step(StepConsent, "", true, Unknown, "there is nothing to consent to yet")
	}
	return false
}

// asked reports whether the app registration asks for the permission; nil with the
// reason where that cannot be read.
func (u *setUp) asked(ctx context.Context) (*bool, string) {
	if u.reader == nil {
		return nil, u.why
	}
	var app struct {
		Required []struct {
			Resource string `json:"resourceAppId"`
			Access   []struct {
				ID   string `json:"id"`
				Type string `json:"type"`
			} `json:"resourceAccess"`
		} `json:"requiredResourceAccess"`
	}
	if err := u.reader.Get(ctx, "/v1.0/applications(appId='"+graph.PathKey(u.at.ClientID)+"')?$select=id,requiredResourceAccess", &app); err != nil {
		return nil, err.Error()
	}
	role, err := u.roleID(ctx)
	if err != nil {
		return nil, err.Error()
	}
	found := false
	for _, r := range app.Required {
		for _, a := range r.Access {
			found = found || strings.EqualFold(r.Resource, posture.Services[connection.BusinessCentral]) && a.Type == "Role" && strings.EqualFold(a.ID, role)
		}
	}
	return &found, ""
}

// roleID is the id of the permission, as the service's own service principal in
// the tenant has it.
func (u *setUp) roleID(ctx context.Context) (string, error) {
	var sp struct {
		Roles []struct {
			ID    string `json:"id"`
			Value string `json:"value"`
		} `json:"appRoles"`
	}
	err := u.reader.Get(ctx, "/v1.0/servicePrincipals(appId='"+posture.Services[connection.BusinessCentral]+"')?$select=id,appRoles", &sp)
	for _, r := range sp.Roles {
		if r.Value == apiRole {
			return r.ID, nil
		}
	}
	if err == nil {
		err = errors.New("the service principal of Business Central does not name " + apiRole)
	}
	return "", err
}

// inside looks through what is set up within one environment.
func (u *setUp) inside(ctx context.Context, client *businesscentral.Client, e businesscentral.Environment, needed bool) {
	stop := func(why string, steps ...string) {
		for _, name := range steps {
			u.step(name, e.Name, needed, Unknown, why)
		}
	}
	if err := e.Ready(); err != nil {
		u.refused(StepEnvironment, e.Name, needed, err)
		stop("the environment is "+e.Status, StepCard, StepSets)
		return
	}
	companies, err := client.Companies(ctx, e.Name)
	var refused *microsoft.Error
	switch {
	case errors.As(err, &refused) && refused.Status == http.StatusUnauthorized:
		u.step(StepEnvironment, e.Name, needed, Passed, "")
		u.refused(StepCard, e.Name, needed, err)
		stop("the card comes first", StepSets)
		return
	case errors.As(err, &refused) && refused.Status == http.StatusForbidden:
		u.step(StepEnvironment, e.Name, needed, Passed, "")
		u.step(StepCard, e.Name, needed, Passed, "")
		u.refused(StepSets, e.Name, needed, err)
		return
	case err != nil:
		u.refused(StepEnvironment, e.Name, needed, err)
		stop("the environment does not answer", StepCard, StepSets)
		return
	}
	u.step(StepEnvironment, e.Name, needed, Passed, "")
	u.step(StepCard, e.Name, needed, Passed, "")
	company, err := choose(companies, map[bool]string{true: u.company}[needed && strings.EqualFold(e.Name, wanted(u.at.Connection, ""))])
	if err == nil {
		_, err = client.Customers(ctx, e.Name, company.ID, 1)
	}
	if err != nil {
		u.refused(StepSets, e.Name, needed, err)
		return
	}
	u.step(StepSets, e.Name, needed, Passed, "customers of "+company.Name+" can be read")
}

// reader is Graph as the tenant's reader; nil with the reason where there is none.
func (s *Service) reader(ctx context.Context, at source) (*graph.Client, string) {
	reading, err := s.Tenants.Reading(ctx, at.TenantID)
	if err == nil && reading == nil {
		return nil, "there is no reader: set it up on the tenant's page"
	}
	var client *graph.Client
	if err == nil {
		client, err = s.Tenants.Graph(ctx, at.directory, reading)
	}
	if err != nil {
		return nil, err.Error()
	}
	return client, ""
}
