package api

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"gatehouse/client"
	"gatehouse/internal/audit"
	"gatehouse/internal/connection"
	"gatehouse/internal/diagnosis"
	"gatehouse/internal/secrets"
)

func (f *face) connections(h huma.API) {
	const tag = "Connections"
	view, manage := needs(audit.ConnectionView), needs(audit.ConnectionManage)
	add(f, h, route{access: view, method: http.MethodGet, path: "/connections", id: "list-connections", tag: tag, summary: "List connections"}, f.listConnections)
	add(f, h, route{access: manage, method: http.MethodPost, path: "/connections", id: "add-connection", tag: tag, summary: "Add a connection"}, f.addConnection)
	add(f, h, route{access: view, method: http.MethodGet, path: "/connections/{id}", id: "get-connection", tag: tag, summary: "Get a connection",
		long: "Never with its credential."}, f.getConnection)
	add(f, h, route{access: manage, method: http.MethodPut, path: "/connections/{id}", id: "change-connection", tag: tag, summary: "Change a connection",
		long: "The whole profile is replaced. The version must be the one that was read: a change in between is a conflict."}, f.changeConnection)
	add(f, h, route{access: manage, method: http.MethodDelete, path: "/connections/{id}", id: "remove-connection", tag: tag, summary: "Remove a connection with its validations"}, f.removeConnection)
	add(f, h, route{access: manage, method: http.MethodPut, path: "/connections/{id}/credential", id: "set-credential", tag: tag, summary: "Set a new credential"}, f.setCredential)
	add(f, h, route{access: manage, method: http.MethodPost, path: "/connections/{id}/unpark", id: "unpark-connection", tag: tag, summary: "Let a refused password be tried again"}, f.unpark)
	add(f, h, route{access: view, method: http.MethodGet, path: "/connections/{id}/certificate", id: "get-certificate", tag: tag, summary: "The public part of a certificate"}, f.getCertificate)
}

func connectionOf(c connection.Connection) client.Connection {
	return client.Connection{
		ID: c.ID, TenantID: c.TenantID, TenantName: c.TenantName, Name: c.Name, Description: c.Description, Kind: string(c.Kind), MFA: c.MFA,
		Username: c.Username, ClientID: c.ClientID, RegistrationID: c.RegistrationID, ObjectID: c.ObjectID, Credential: string(c.Credential), HasCredential: c.HasCredential, CredentialNotAfter: c.CredentialNotAfter, Thumbprint: c.Thumbprint,
		Services: orEmpty(c.Services), Site: c.Site, AdminURL: c.AdminURL, Environment: c.Environment, Company: c.Company,
		Consumer: client.Consumer{Name: c.Consumer.Name, HoldsCredential: string(c.Consumer.HoldsCredential), Accepts: c.Consumer.Accepts, Addresses: c.Consumer.Addresses},
		Verdict:  string(c.Verdict), Sentence: c.Sentence, Rule: ruleOf(c.Rule), ValidatedAt: c.ValidatedAt, Parked: c.Parked, ParkedReason: c.ParkedReason,
		Warnings: orEmpty(c.Warnings), CreatedAt: c.CreatedAt, Version: c.Version,
		Tags: orEmpty(c.Tags), Schedule: c.Schedule, ScheduleInForce: c.InForce, NextAt: c.NextAt,
	}
}

func ruleOf(r *diagnosis.Rule) *client.Rule {
	if r == nil {
		return nil
	}
	return &client.Rule{Kind: string(r.Kind), ID: r.ID, Name: r.Name}
}

func oneConnection(c connection.Connection, err error) (*body[client.Connection], error) {
	if err != nil {
		return nil, err
	}
	return with(connectionOf(c)), nil
}

// ConnectionFilter are the parameters of what is about some connections.
type ConnectionFilter struct {
	Tenant  string `query:"tenant" maxLength:"64"`
	Verdict string `query:"verdict" enum:"works,works_with_warnings,blocked,failed,unknown,never"`
	Kind    string `query:"kind" enum:"delegated,service_account,app"`
	Search  string `query:"search" maxLength:"200" doc:"In name and user name"`
	Tag     string `query:"tag" maxLength:"40"`
	Service string `query:"service" enum:"graph,sharepoint,exchange,business_central"`
	Parked  string `query:"parked" enum:"yes,no"`
}

func (q ConnectionFilter) filter() connection.Filter {
	return connection.Filter{TenantID: q.Tenant, Verdict: q.Verdict, Kind: connection.Kind(q.Kind), Search: q.Search, Tag: q.Tag, Service: q.Service, Parked: q.Parked}
}

type connectionList struct {
	Paging
	ConnectionFilter
}

func (f *face) listConnections(ctx context.Context, in *connectionList) (*body[client.List[client.Connection]], error) {
	all, next, err := f.Connections.List(ctx, in.filter(), connection.Page{After: in.After, Limit: in.Limit})
	if err != nil {
		return nil, err
	}
	return list(all, next, connectionOf), nil
}

func credentialOf(r client.CredentialRequest) connection.CredentialRequest {
	return connection.CredentialRequest{
		Kind: connection.CredentialKind(r.Kind), NotAfter: r.NotAfter, Password: secrets.New(r.Password), Secret: secrets.New(r.Secret), CertificatePEM: secrets.New(r.CertificatePEM), Generate: r.Generate,
	}
}

func profileOf(p client.Profile) connection.Profile {
	return connection.Profile{
		Name: p.Name, Description: p.Description, MFA: p.MFA, Username: p.Username, ClientID: p.ClientID, RegistrationID: p.RegistrationID, Services: p.Services, Site: p.Site, AdminURL: p.AdminURL,
		Environment: p.Environment, Company: p.Company,
		Consumer: connection.Consumer{Name: p.Consumer.Name, HoldsCredential: p.Consumer.HoldsCredential, Accepts: p.Consumer.Accepts, Addresses: p.Consumer.Addresses},
	}
}

func (f *face) addConnection(ctx context.Context, in *body[client.ConnectionRequest]) (*body[client.Connection], error) {
	r := in.Body
	return oneConnection(f.Connections.Create(ctx, connection.CreateRequest{
		TenantID: r.TenantID, Kind: connection.Kind(r.Kind), Profile: profileOf(r.Profile), Credential: credentialOf(r.Credential), Existing: r.Existing, Schedule: r.Schedule,
	}))
}

type connectionChange struct {
	ByID
	Body client.ConnectionChange
}

func (f *face) changeConnection(ctx context.Context, in *connectionChange) (*body[client.Connection], error) {
	return oneConnection(f.Connections.Update(ctx, in.ID, connection.UpdateRequest{Profile: profileOf(in.Body.Profile), Version: in.Body.Version}))
}

func (f *face) getConnection(ctx context.Context, in *ByID) (*body[client.Connection], error) {
	return oneConnection(f.Connections.Get(ctx, in.ID))
}

func (f *face) removeConnection(ctx context.Context, in *ByID) (*empty, error) {
	return nil, f.Connections.Remove(ctx, in.ID)
}

type credentialInput struct {
	ByID
	Body client.CredentialRequest
}

func (f *face) setCredential(ctx context.Context, in *credentialInput) (*body[client.Connection], error) {
	return oneConnection(f.Connections.SetCredential(ctx, in.ID, credentialOf(in.Body)))
}

func (f *face) unpark(ctx context.Context, in *ByID) (*body[client.Connection], error) {
	if err := f.Connections.Unpark(ctx, in.ID); err != nil {
		return nil, err
	}
	return oneConnection(f.Connections.Get(ctx, in.ID))
}

func (f *face) getCertificate(ctx context.Context, in *ByID) (*body[client.CertificateAnswer], error) {
	pem, err := f.Connections.Certificate(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	return with(client.CertificateAnswer{PEM: pem}), nil
}
