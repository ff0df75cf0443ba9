package api

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"gatehouse/client"
	"gatehouse/internal/audit"
	"gatehouse/internal/incident"
	"gatehouse/internal/tenant"
)

func (f *face) incidents(h huma.API) {
	const tag = "Incidents"
	view, manage := needs(audit.IncidentView), needs(audit.IncidentManage)
	add(f, h, route{access: view, method: http.MethodGet, path: "/incidents", id: "list-incidents", tag: tag, summary: "List incidents, newest first",
		long: "Each with what it does to the caller's tenants."}, f.listIncidents)
	add(f, h, route{access: view, method: http.MethodGet, path: "/incidents/{id}", id: "get-incident", tag: tag, summary: "Get an incident with what helps and what was written about it"}, f.getIncident)
	add(f, h, route{access: view, method: http.MethodGet, path: "/incidents/{id}/connections", id: "list-incident-connections", tag: tag, summary: "List the connections that an incident affects, or did"}, f.listIncidentConnections)
	add(f, h, route{access: manage, method: http.MethodPost, path: "/incidents/{id}/acknowledge", id: "acknowledge-incident", tag: tag, summary: "Say that somebody takes care of it"}, f.acknowledgeIncident)
	add(f, h, route{access: manage, method: http.MethodPost, path: "/incidents/{id}/comments", id: "comment-incident", tag: tag, summary: "Write something about an incident",
		long: "It is shown to those who may see all tenants of the incident that its author can see."}, f.commentIncident)
}

func incidentOf(i incident.Incident) client.Incident {
	return client.Incident{
		ID: i.ID, Kind: string(i.Kind), State: string(i.State), Headline: i.Headline(), Subject: i.Subject, Title: i.Title, Actor: string(i.Actor), Help: i.Help, Code: i.Code, Rule: ruleOf(i.Rule),
		Since: i.Since, EndedAt: i.EndedAt, Connections: i.Connections, Tenants: i.Tenants, TenantID: i.First.TenantID, AcknowledgedBy: i.AcknowledgedBy, AcknowledgedAt: i.AcknowledgedAt,
	}
}

func commentOf(c incident.Comment) client.IncidentComment {
	return client.IncidentComment{ID: c.ID, At: c.At, Author: c.Author, Text: c.Text}
}

func memberOf(m incident.Member) client.IncidentConnection {
	return client.IncidentConnection{
		ConnectionID: m.ConnectionID, Name: m.Name, TenantID: m.TenantID, TenantName: m.TenantName, Since: m.Since, Until: m.Until, Ending: m.Ending, Title: m.Title, Rule: ruleOf(m.Rule), Removed: m.Gone,
		Proof: proofOf(m.Proof),
	}
}

func proofOf(p *incident.Proof) *client.Proof {
	if p == nil {
		return nil
	}
	return &client.Proof{State: string(p.State), Since: p.Since, SeenAt: p.SeenAt, From: p.From, App: p.App, Reason: p.Reason}
}

type incidentList struct {
	Paging
	State  string `query:"state" enum:"current,open,acknowledged,ended" doc:"current: what has not ended"`
	Tenant string `query:"tenant" maxLength:"64"`
	Search string `query:"search" maxLength:"200" doc:"In what it is about, and in names of connections and tenants"`
}

func (f *face) listIncidents(ctx context.Context, in *incidentList) (*body[client.List[client.Incident]], error) {
	all, next, err := f.Incidents.List(ctx, incident.Filter{State: incident.State(in.State), TenantID: in.Tenant, Search: in.Search}, tenant.Page{After: in.After, Limit: in.Limit})
	if err != nil {
		return nil, err
	}
	return list(all, next, incidentOf), nil
}

func (f *face) getIncident(ctx context.Context, in *ByID) (*body[client.IncidentDetail], error) {
	i, err := f.Incidents.Get(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	out := client.IncidentDetail{Incident: incidentOf(i), Comments: []client.IncidentComment{}}
	d, err := f.Incidents.Diagnosis(ctx, i)
	if err != nil {
		return nil, err
	}
	if d != nil {
		out.Diagnosis = diagnosisOf(*d)
	}
	comments, err := f.Incidents.Comments(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	for _, c := range comments {
		out.Comments = append(out.Comments, commentOf(c))
	}
	return with(out), nil
}

type incidentConnections struct {
	ByID
	Paging
}

func (f *face) listIncidentConnections(ctx context.Context, in *incidentConnections) (*body[client.List[client.IncidentConnection]], error) {
	all, next, err := f.Incidents.Members(ctx, in.ID, tenant.Page{After: in.After, Limit: in.Limit})
	if err != nil {
		return nil, err
	}
	return list(all, next, memberOf), nil
}

func (f *face) acknowledgeIncident(ctx context.Context, in *ByID) (*body[client.Incident], error) {
	i, err := f.Incidents.Acknowledge(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	return with(incidentOf(i)), nil
}

type commentInput struct {
	ByID
	Body client.CommentRequest
}

func (f *face) commentIncident(ctx context.Context, in *commentInput) (*body[client.IncidentComment], error) {
	c, err := f.Incidents.Comment(ctx, in.ID, in.Body.Text)
	if err != nil {
		return nil, err
	}
	return with(commentOf(c)), nil
}
