package api

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"gatehouse/client"
	"gatehouse/internal/audit"
	"gatehouse/internal/connection"
	"gatehouse/internal/diagnosis"
	"gatehouse/internal/validation"
)

func (f *face) validations(h huma.API) {
	const tag = "Validations"
	view := needs(audit.ConnectionView)
	add(f, h, route{access: needs(audit.ConnectionValidate), method: http.MethodPost, path: "/connections/{id}/validations", id: "start-validation", tag: tag, summary: "Validate a connection",
		long: "Begins a validation; its probes appear in it and as events of the topic `validation/{connection id}` as they end. A password is tried once."}, f.startValidation)
	add(f, h, route{access: view, method: http.MethodGet, path: "/connections/{id}/validations", id: "list-validations", tag: tag, summary: "List the validations of a connection, newest first"}, f.listValidations)
	add(f, h, route{access: view, method: http.MethodGet, path: "/validations/{id}", id: "get-validation", tag: tag, summary: "Get a validation"}, f.getValidation)
}

func validationOf(r validation.Run) client.Validation {
	out := client.Validation{
		ID: r.ID, ConnectionID: r.ConnectionID, TenantID: r.TenantID, State: r.State, RequestedBy: r.RequestedBy, StartedAt: r.StartedAt, EndedAt: r.EndedAt, CreatedAt: r.CreatedAt, Reason: r.Reason,
		Probes: []client.Probe{},
	}
	probes := r.Probes
	if r.Result != nil {
		probes = r.Result.Probes
		out.Verdict, out.Rule = string(r.Result.Verdict), ruleOf(r.Result.Rule)
		if r.Result.Diagnosis != nil {
			out.Diagnosis = diagnosisOf(*r.Result.Diagnosis)
		}
	}
	for _, p := range probes {
		probe := client.Probe{Name: p.Name, State: string(p.State), TookMS: p.TookMS, Evidence: p.Evidence}
		if p.Reason != nil {
			probe.Reason = *p.Reason
		}
		if p.Diagnosis != nil {
			probe.Diagnosis = diagnosisOf(*p.Diagnosis)
		}
		out.Probes = append(out.Probes, probe)
	}
	return out
}

func diagnosisOf(d diagnosis.Diagnosis) *client.Diagnosis {
	out := &client.Diagnosis{
		Category: d.Category, Detail: d.Detail, Code: d.Code, Actor: string(d.Actor), Title: d.Title, Cause: d.Cause, Confidence: string(d.Confidence),
		Remedies: []client.Remedy{}, Alternatives: []client.Alternative{},
	}
	for _, r := range d.Remedies {
		out.Remedies = append(out.Remedies, client.Remedy{
			ID: r.ID, Title: r.Title, Actor: string(r.Actor), Steps: orEmpty(r.Steps), Automatic: r.Automatic, LowersProtection: r.LowersProtection, Reference: r.Reference,
		})
	}
	for _, a := range d.Alternatives {
		out.Alternatives = append(out.Alternatives, client.Alternative{Category: a.Category, Actor: string(a.Actor), Cause: a.Cause, Confidence: string(a.Confidence)})
	}
	return out
}

func oneValidation(r validation.Run, err error) (*body[client.Validation], error) {
	if err != nil {
		return nil, err
	}
	return with(validationOf(r)), nil
}

func (f *face) startValidation(ctx context.Context, in *ByID) (*body[client.Validation], error) {
	return oneValidation(f.Runs.Start(ctx, in.ID))
}

func (f *face) getValidation(ctx context.Context, in *ByID) (*body[client.Validation], error) {
	return oneValidation(f.Runs.Get(ctx, in.ID))
}

type validationList struct {
	ByID
	Paging
}

func (f *face) listValidations(ctx context.Context, in *validationList) (*body[client.List[client.Validation]], error) {
	all, next, err := f.Runs.List(ctx, in.ID, connection.Page{After: in.After, Limit: in.Limit})
	if err != nil {
		return nil, err
	}
	return list(all, next, validationOf), nil
}
