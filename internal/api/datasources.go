package api

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"gatehouse/client"
	"gatehouse/internal/audit"
	"gatehouse/internal/datasource"
)

func (f *face) dataSources(h huma.API) {
	const tag = "Sources"
	look := needs(audit.ConnectionValidate)
	add(f, h, route{access: look, method: http.MethodGet, path: "/connections/{id}/environments", id: "list-environments", tag: tag, asks: true, summary: "List the environments of Business Central that a connection is shown"}, f.environments)
	add(f, h, route{access: look, method: http.MethodGet, path: "/connections/{id}/companies", id: "list-companies", tag: tag, asks: true, summary: "List the companies of an environment that a connection may open"}, f.companies)
	add(f, h, route{access: needs(audit.ConnectionManage), method: http.MethodPut, path: "/connections/{id}/company", id: "choose-company", tag: tag, asks: true, summary: "Choose the company that a connection is for",
		long: "Environment and company must be among those that the connection is shown at this moment."}, f.chooseCompany)
	add(f, h, route{access: look, method: http.MethodGet, path: "/connections/{id}/sample", id: "get-sample", tag: tag, asks: true, summary: "Read a few records with a connection, as proof",
		long: "Customers of the company, the SharePoint site, or the person and organisation in Microsoft Graph. Nothing is kept; that somebody looked is audited."}, f.sample)
	add(f, h, route{access: look, method: http.MethodGet, path: "/connections/{id}/business-central-set-up", id: "check-business-central-set-up", tag: tag, asks: true, summary: "Go through the set-up of an app in Business Central, step by step",
		long: "Registration, credential, permission and consent once; then environment, card and permission sets in each environment. An environment that no connection uses counts for nothing."}, f.lookThrough)
}

func (f *face) environments(ctx context.Context, in *ByID) (*body[client.Environments], error) {
	all, err := f.Sources.Environments(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	out := client.Environments{Items: []client.Environment{}, StatusUnread: all.StatusUnread}
	for _, e := range all.All {
		out.Items = append(out.Items, client.Environment{Name: e.Name, Type: e.Type, Country: e.Country, Status: e.Status})
	}
	return with(out), nil
}

type companyList struct {
	ByID
	Environment string `query:"environment" maxLength:"100" doc:"The connection's own if it is left out"`
}

func (f *face) companies(ctx context.Context, in *companyList) (*body[client.List[client.Company]], error) {
	all, err := f.Sources.Companies(ctx, in.ID, in.Environment)
	if err != nil {
		return nil, err
	}
	out := client.List[client.Company]{Items: []client.Company{}}
	for _, c := range all {
		out.Items = append(out.Items, client.Company{ID: c.ID, Name: c.Name, DisplayName: c.Display})
	}
	return with(out), nil
}

type companyChoice struct {
	ByID
	Body client.CompanyChoice
}

func (f *face) chooseCompany(ctx context.Context, in *companyChoice) (*body[client.Connection], error) {
	return oneConnection(f.Sources.Choose(ctx, in.ID, in.Body.Environment, in.Body.Company))
}

type sampleInput struct {
	ByID
	Service     string `query:"service" enum:"graph,sharepoint,business_central"`
	Environment string `query:"environment" maxLength:"100"`
	Company     string `query:"company" maxLength:"200"`
}

func (f *face) sample(ctx context.Context, in *sampleInput) (*body[client.Sample], error) {
	s, err := f.Sources.Sample(ctx, in.ID, datasource.SampleRequest{Service: in.Service, Environment: in.Environment, Company: in.Company})
	if err != nil {
		return nil, err
	}
	return with(client.Sample{Service: s.Service, Of: s.Of, Columns: orEmpty(s.Columns), Rows: orEmpty(s.Rows)}), nil
}

func (f *face) lookThrough(ctx context.Context, in *ByID) (*body[client.SetUp], error) {
	s, err := f.Sources.SetUp(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	out := client.SetUp{State: s.State, At: s.At, Steps: []client.SetUpStep{}}
	for _, step := range s.Steps {
		made := client.SetUpStep{Name: step.Name, Environment: step.Environment, Needed: step.Needed, State: step.State, Reason: step.Reason}
		if step.Diagnosis != nil {
			made.Diagnosis = diagnosisOf(*step.Diagnosis)
		}
		out.Steps = append(out.Steps, made)
	}
	return with(out), nil
}
