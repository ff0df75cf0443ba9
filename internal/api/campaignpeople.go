package api

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"gatehouse/client"
	"gatehouse/internal/campaign"
)

type addPeople struct {
	ByID
	Body client.CampaignPeople
}

func (f *face) addCampaignPeople(ctx context.Context, in *addPeople) (*body[client.CampaignAdded], error) {
	var rows []campaign.Row
	var faults campaign.Faults
	switch {
	case (in.Body.File == "") == (len(in.Body.People) == 0):
		return nil, invalid(client.Fault{Field: "people", Problem: "must be given, or else a file, one of the two", Way: "send a list, or the text of a CSV file"})
	case in.Body.File != "":
		rows, faults = campaign.ReadPeople([]byte(in.Body.File))
	default:
		for i, p := range in.Body.People {
			rows = append(rows, campaign.Row{Line: i + 1, Tenant: p.Tenant, Username: p.Username, ObjectID: p.ObjectID, Name: p.Name, Email: p.Email})
		}
	}
	do := f.Campaigns.Add
	if in.Body.DryRun {
		do = f.Campaigns.Look
	}
	a, err := do(ctx, in.ID, rows, faults)
	if err != nil {
		return nil, err
	}
	out := client.CampaignAdded{Rows: a.Rows, Joining: a.People, Changed: a.Changed, Unchanged: a.Unchanged, Tenants: a.Tenants, FaultCount: a.Faults.Count, Faults: []client.ImportFault{}}
	for _, e := range a.Faults.Some {
		out.Faults = append(out.Faults, client.ImportFault{Row: e.Row, Column: e.Column, Problem: e.Problem, Way: e.Way})
	}
	return with(out), nil
}

func (f *face) dropCampaignPerson(ctx context.Context, in *byPerson) (*empty, error) {
	return nil, f.Campaigns.Drop(ctx, in.ID, in.Person)
}

func linkOf(l campaign.Link) client.CampaignLink {
	return client.CampaignLink{URL: l.URL.Reveal(), Until: l.Until, PersonID: l.Person.ID, Username: l.Person.Username}
}

func (f *face) campaignLink(ctx context.Context, in *byPerson) (*body[client.CampaignLink], error) {
	l, err := f.Campaigns.SignInLink(ctx, in.ID, in.Person)
	if err != nil {
		return nil, err
	}
	return with(linkOf(l)), nil
}

func (f *face) campaignLinks(ctx context.Context, in *byTenant) (*body[client.List[client.CampaignLink]], error) {
	all, err := f.Campaigns.SignInLinks(ctx, in.ID, in.Tenant)
	if err != nil {
		return nil, err
	}
	return list(all, "", linkOf), nil
}

func (f *face) campaignConsent(ctx context.Context, in *byTenant) (*body[client.CampaignLink], error) {
	l, err := f.Campaigns.ConsentLink(ctx, in.ID, in.Tenant)
	if err != nil {
		return nil, err
	}
	return with(linkOf(l)), nil
}

type remindCampaign struct {
	ByID
	Body client.RemindRequest
}

func (f *face) remindCampaign(ctx context.Context, in *remindCampaign) (*body[client.Reminding], error) {
	r, err := f.Campaigns.Remind(ctx, in.ID, campaign.Selection{IDs: in.Body.People, Filter: campaign.PersonFilter{TenantID: in.Body.Tenant, State: campaign.PersonState(in.Body.State)}})
	if err != nil {
		return nil, err
	}
	return with(client.Reminding{Due: r.Due, Today: r.Today, NoConsent: r.NoConsent, Finished: r.Finished}), nil
}

type reportSignIns struct {
	ByID
	Body client.SignInReports
}

func (f *face) reportSignIns(ctx context.Context, in *reportSignIns) (*body[client.SignInsReported], error) {
	all := make([]campaign.SignIn, len(in.Body.SignIns))
	for i, one := range in.Body.SignIns {
		all[i] = campaign.SignIn{Tenant: one.Tenant, Person: one.Person, ClientID: one.ClientID, Failed: one.Outcome == "failed", Reason: one.Reason, At: one.At}
	}
	r, err := f.Campaigns.Report(ctx, in.ID, all)
	if err != nil {
		return nil, err
	}
	out := client.SignInsReported{Done: r.Done, OnOld: r.OnOld, Failed: r.Failed, Unchanged: r.Unchanged, Bad: []client.BadSignIn{}}
	for _, b := range r.Bad {
		out.Bad = append(out.Bad, client.BadSignIn{Index: b.Index, Field: b.Field, Problem: b.Problem, Way: b.Way})
	}
	return with(out), nil
}

type exportCampaign struct {
	ByID
	personQuery
	Format string `query:"format" enum:"csv,json" default:"csv"`
}

func (f *face) exportCampaign(ctx context.Context, in *exportCampaign) (*huma.StreamResponse, error) {
	if _, err := f.Campaigns.Get(ctx, in.ID); err != nil { // a refusal is an answer of its own
		return nil, err
	}
	kind := "text/csv; charset=utf-8"
	if in.Format == "json" {
		kind = "application/json"
	}
	return &huma.StreamResponse{Body: func(h huma.Context) {
		h.SetHeader("Content-Type", kind)
		h.SetHeader("Content-Disposition", `attachment; filename="campaign.`+in.Format+`"`)
		if err := f.Campaigns.Export(ctx, in.ID, in.filter(), in.Format, newPatient(h)); err != nil {
			f.Log.ErrorContext(ctx, "exporting a campaign", "error", err, "request", requestID(ctx))
			panic(http.ErrAbortHandler) // the answer is under way
		}
	}}, nil
}
