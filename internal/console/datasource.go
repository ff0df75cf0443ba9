package console

import (
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"gatehouse/internal/audit"
	"gatehouse/internal/connection"
	"gatehouse/internal/datasource"
	"gatehouse/internal/diagnosis"
	"gatehouse/internal/microsoft"
	"gatehouse/internal/microsoft/businesscentral"
)

// sourceView is what the page of a data source shows.
type sourceView struct {
	connection.Connection
	Form         *form
	Environments datasource.Environments
	Environment  string // the one whose companies are shown; "" for none
	Companies    []businesscentral.Company
	Sample       *datasource.Sample
	SetUp        *datasource.SetUp
	// Trouble is why something could not be read, Diagnosis what helps where
	// Microsoft said no.
	Trouble   string
	Diagnosis *diagnosis.Diagnosis
}

func (v sourceView) central() bool {
	return slices.Contains(v.Services, connection.BusinessCentral)
}

// state is the page's verdict: what was chosen, or why nothing can be.
func (v sourceView) state() (state, string) {
	switch {
	case v.Diagnosis != nil:
		return state{bad, "cross", "Refused"}, v.Diagnosis.Title
	case v.Trouble != "":
		return state{none, "question", "Unknown"}, sentence(v.Trouble)
	case v.SetUp != nil:
		return setUpState(v.SetUp.State), map[string]string{datasource.Passed: "Every step that is needed is done.", datasource.Failed: "A step is missing: the table says which, and what to do.", datasource.Unknown: "It could not be found out whether every step is done."}[v.SetUp.State]
	case v.Sample != nil:
		return state{good, "check", "Works"}, "It gets in: " + v.Sample.Of + "."
	case v.central() && v.Company == "":
		return state{none, "ring", "Not chosen"}, "No company is chosen yet."
	case v.central():
		return state{good, "check", "Chosen"}, v.Company + " in " + v.Connection.Environment + "."
	}
	return state{none, "ring", "Not read"}, "Read a sample to see whether it gets in."
}

func setUpState(s string) state {
	switch s {
	case datasource.Passed:
		return state{good, "check", "passed"}
	case datasource.Failed:
		return state{bad, "cross", "failed"}
	}
	return state{none, "question", "unknown"}
}

var setUpSteps = map[string]string{
	datasource.StepRegistration: "App registration", datasource.StepCredential: "Credential", datasource.StepPermission: "API.ReadWrite.All is asked for", datasource.StepConsent: "Administrator consented",
	datasource.StepEnvironment: "Environment is Active", datasource.StepCard: "Card in Microsoft Entra Applications", datasource.StepSets: "Permission sets on the card",
}

// environmentOptions are the environments with what is known of each.
func environmentOptions(v sourceView) []option {
	out := []option{}
	for _, e := range v.Environments.All {
		words := e.Name + " (" + strings.Join(slices.DeleteFunc([]string{e.Type, e.Status}, func(s string) bool { return s == "" }), ", ") + ")"
		out = append(out, option{e.Name, words})
	}
	return out
}

func companyOptions(v sourceView) []option {
	out := []option{}
	for _, c := range v.Companies {
		words := c.Name
		if c.Display != "" && c.Display != c.Name {
			words += " (" + c.Display + ")"
		}
		out = append(out, option{c.Name, words})
	}
	return out
}

// sampled are the connection's services that a sample can be read of.
func (v sourceView) sampled() []option {
	out := []option{}
	for _, s := range services {
		if s.Name != connection.Exchange && slices.Contains(v.Services, s.Name) {
			out = append(out, option{s.Name, s.Words})
		}
	}
	return out
}

// taken takes in why something could not be read, and gives back any other error.
func (v *sourceView) taken(err error) error {
	var e *microsoft.Error
	switch {
	case err == nil:
	case errors.Is(err, datasource.ErrPassword), errors.Is(err, datasource.ErrElsewhere), errors.Is(err, datasource.ErrNobody), errors.Is(err, datasource.ErrService), errors.Is(err, datasource.ErrSite), errors.Is(err, datasource.ErrCloud), errors.Is(err, datasource.ErrApps):
		v.Trouble = err.Error()
	case errors.As(err, &e):
		d := diagnosis.Of(err, diagnosis.Facts{AppOnly: v.Kind == connection.App, Unattended: v.Kind == connection.App, Account: v.account(), Tenant: v.TenantName})
		v.Diagnosis, v.Trouble = &d, err.Error()
	default:
		return err
	}
	return nil
}

func (v sourceView) account() string {
	if v.Username != "" {
		return v.Username
	}
	return v.Name
}

// source is a connection that the person may read with.
func (c *console) source(r *http.Request) (*sourceView, error) {
	one, err := c.Connections.Get(r.Context(), r.PathValue("id"))
	if err != nil {
		return nil, err
	}
	if err := c.Audit.Allow(r.Context(), one.TenantID, audit.ConnectionValidate); err != nil {
		return nil, err
	}
	return &sourceView{Connection: one, Form: &form{Values: url.Values{}}}, nil
}

// lists reads environments, and the companies of one of them.
func (c *console) lists(r *http.Request, v *sourceView, environment string) error {
	if !v.central() {
		return nil
	}
	var err error
	if v.Environments, err = c.Sources.Environments(r.Context(), v.ID); err != nil {
		return v.taken(err)
	}
	if environment == "" {
		environment = v.Connection.Environment
	}
	v.Environment = environment
	if environment == "" {
		return nil
	}
	v.Companies, err = c.Sources.Companies(r.Context(), v.ID, environment)
	return v.taken(err)
}

func (c *console) dataSource(w http.ResponseWriter, r *http.Request, f *frame) error {
	v, err := c.source(r)
	if err != nil {
		return err
	}
	if err := c.lists(r, v, strings.TrimSpace(r.URL.Query().Get("environment"))); err != nil {
		return err
	}
	return showSource(w, r, f, v, http.StatusOK)
}

func showSource(w http.ResponseWriter, r *http.Request, f *frame, v *sourceView, status int) error {
	for name, value := range map[string]string{"environment": v.Environment, "company": v.Company} {
		if v.Form.Get(name) == "" {
			v.Form.Set(name, value)
		}
	}
	f.Title, f.Noun = "Data source of "+v.Name, "connections"
	return show(w, r, status, dataSourcePage(f, *v))
}

func (c *console) chooseCompany(w http.ResponseWriter, r *http.Request, f *frame) error {
	typed, err := typed(w, r)
	if err != nil {
		return err
	}
	v, err := c.source(r)
	if err != nil {
		return err
	}
	_, err = c.Sources.Choose(r.Context(), v.ID, typed.text("environment"), typed.text("company"))
	if err == nil {
		http.Redirect(w, r, "/connections/"+v.ID+"/data", http.StatusSeeOther)
		return nil
	}
	if err = typed.refused(err); err != nil {
		if err = v.taken(err); err != nil {
			return err
		}
	}
	v.Form = typed
	if err := c.lists(r, v, typed.text("environment")); err != nil {
		return err
	}
	return showSource(w, r, f, v, http.StatusUnprocessableEntity)
}

func (c *console) sample(w http.ResponseWriter, r *http.Request, f *frame) error {
	typed, err := typed(w, r)
	if err != nil {
		return err
	}
	v, err := c.source(r)
	if err != nil {
		return err
	}
	s, err := c.Sources.Sample(r.Context(), v.ID, datasource.SampleRequest{Service: typed.text("service")})
	if err == nil {
		v.Sample = &s
	} else if err = v.taken(err); err != nil {
		return err
	}
	return showSource(w, r, f, v, http.StatusOK)
}

func (c *console) checkSetUp(w http.ResponseWriter, r *http.Request, f *frame) error {
	v, err := c.source(r)
	if err != nil {
		return err
	}
	s, err := c.Sources.SetUp(r.Context(), v.ID)
	if err == nil {
		v.SetUp = &s
	} else if err = v.taken(err); err != nil {
		return err
	}
	return showSource(w, r, f, v, http.StatusOK)
}
