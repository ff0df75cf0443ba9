package api

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"gatehouse/client"
	"gatehouse/internal/audit"
	"gatehouse/internal/consent"
)

func (f *face) consents(h huma.API) {
	const tag = "Consents"
	view, manage := needs(audit.ConsentView), needs(audit.ConsentManage)
	add(f, h, route{access: view, method: http.MethodGet, path: "/consents", id: "get-consents", tag: tag, summary: "List how consents stand, by tenant",
		long: "Those that were asked for or read. What is missing is named; what could not be read is unknown, with the reason."}, f.listConsents)
	add(f, h, route{access: view, method: http.MethodGet, path: "/tenants/{id}/consent", id: "get-consent", tag: tag, summary: "How the consent of a tenant to an app registration stands",
		long: "With what is asked in plain words, who may approve, and the pages for administrators."}, f.getConsent)
	add(f, h, route{access: manage, method: http.MethodPost, path: "/tenants/{id}/consent", id: "ask-consent", tag: tag, summary: "Make a page for a tenant's administrator",
		long: "The address is in the answer, and never shown again. Whoever has it sees what is asked, and comes to Microsoft's consent page; it needs no account here, may be opened many times, and can be withdrawn."}, f.askConsent)
	add(f, h, route{access: manage, method: http.MethodPost, path: "/tenants/{id}/consent/look", id: "look-at-consent", tag: tag, asks: true, summary: "Read how a consent stands right now"}, f.lookAtConsent)
	add(f, h, route{access: manage, method: http.MethodDelete, path: "/consent-pages/{id}", id: "remove-consent-page", tag: tag, summary: "Withdraw a page for an administrator",
		long: "What was consented to stays: the tenant's administrator takes that back."}, f.withdrawConsent)
	add(f, h, route{access: manage, method: http.MethodGet, path: "/tenants/{id}/customers", id: "get-customers", tag: tag, asks: true, summary: "List a partner's customers as Partner Center does"}, f.customers)
	add(f, h, route{access: manage, method: http.MethodPost, path: "/tenants/{id}/customers", id: "onboard-customers", tag: tag, summary: "Consent in the tenants of a partner's customers",
		long: "Through Partner Center's application consents, as a batch that tells of each customer how it went; or, with undo, take it back. Delegated permissions only: Partner Center takes no others.", maxBody: 2 << 20}, f.onboardCustomers)
}

func consentPermission(p consent.Permission) client.ConsentPermission {
	return client.ConsentPermission{Resource: p.Resource, ResourceName: p.ResourceName, Name: p.Name, Kind: p.Kind, Why: p.Why}
}

func consentPermissions(all []consent.Permission) []client.ConsentPermission {
	out := []client.ConsentPermission{}
	for _, p := range all {
		out = append(out, consentPermission(p))
	}
	return out
}

func consentOf(s consent.Status) client.Consent {
	out := client.Consent{
		TenantID: s.TenantID, TenantName: s.TenantName, RegistrationID: s.RegistrationID, Name: s.Name, ClientID: s.ClientID, State: string(s.State), Reason: s.Reason, ReadFrom: s.ReadFrom,
		Missing: consentPermissions(s.Missing), Held: consentPermissions(s.Held), Problems: []client.ConsentProblem{}, Version: s.Version, ApprovedAt: s.ApprovedAt, GrantedAt: s.GrantedAt,
		Changes: []client.ConsentDrift{}, ChangedAt: s.ChangedAt, Following: s.Following,
	}
	if !s.At.IsZero() {
		out.ReadAt = &s.At
	}
	for _, p := range s.Problems {
		out.Problems = append(out.Problems, client.ConsentProblem{Kind: p.Kind, Text: p.Text, Steps: orEmpty(p.Steps), Actor: p.Actor})
	}
	for _, c := range s.Changes {
		out.Changes = append(out.Changes, client.ConsentDrift{ConsentPermission: consentPermission(c.Permission), Change: c.Change})
	}
	if p := s.Policy; p != nil {
		out.Policy = &client.UserConsent{Words: p.Words(), Policies: orEmpty(p.Policies), Verified: p.Verified, Assigned: p.Assigned, Verdicts: []client.UserVerdict{}, ReadAt: p.ReadAt}
		for _, v := range p.Verdicts {
			out.Policy.Verdicts = append(out.Policy.Verdicts, client.UserVerdict{ConsentPermission: consentPermission(v.Permission), May: v.May, Reason: v.Why})
		}
	}
	return out
}

func consentPage(r consent.Request) client.ConsentPage {
	return client.ConsentPage{
		ID: r.ID, TenantID: r.TenantID, RegistrationID: r.RegistrationID, Address: r.URL.Reveal(), Why: r.Why, Endpoint: r.Endpoint, Until: r.Until, CreatedBy: r.CreatedBy, CreatedAt: r.CreatedAt,
		WithdrawnAt: r.WithdrawnAt, Opened: r.Opened, OpenedAt: r.OpenedAt, AnsweredAt: r.AnsweredAt, Answer: r.Answer,
	}
}

func (f *face) consentDetail(ctx context.Context, tenantID, registrationID string) (*body[client.ConsentDetail], error) {
	d, err := f.Consents.Get(ctx, tenantID, registrationID)
	if err != nil {
		return nil, err
	}
	out := client.ConsentDetail{Consent: consentOf(d.Status), Asked: []client.ConsentAsked{}, Roles: []string{}, Pages: []client.ConsentPage{}}
	for _, g := range d.Sheet {
		for _, a := range g.Items {
			out.Asked = append(out.Asked, client.ConsentAsked{ConsentPermission: consentPermission(a.Permission), Words: a.Words, Change: a.Change, Held: a.Held})
		}
	}
	for _, r := range d.Roles {
		out.Roles = append(out.Roles, r.Name)
	}
	for _, r := range d.Requests {
		out.Pages = append(out.Pages, consentPage(r))
	}
	return with(out), nil
}

type consentList struct {
	Paging
	Tenant       string `query:"tenant" maxLength:"64"`
	Registration string `query:"registration" maxLength:"64"`
	State        string `query:"state" enum:"unknown,missing,partly,granted,approved_not_read"`
}

func (f *face) listConsents(ctx context.Context, in *consentList) (*body[client.List[client.Consent]], error) {
	all, next, err := f.Consents.List(ctx, consent.Filter{TenantID: in.Tenant, RegistrationID: in.Registration, State: consent.State(in.State)}, consent.Page{After: in.After, Limit: in.Limit})
	if err != nil {
		return nil, err
	}
	return list(all, next, consentOf), nil
}

type consentQuery struct {
	ByID
	Registration string `query:"registration" maxLength:"64" required:"true" doc:"Id of the app registration"`
}

func (f *face) getConsent(ctx context.Context, in *consentQuery) (*body[client.ConsentDetail], error) {
	return f.consentDetail(ctx, in.ID, in.Registration)
}

func (f *face) lookAtConsent(ctx context.Context, in *consentQuery) (*body[client.ConsentDetail], error) {
	if _, err := f.Consents.Look(ctx, in.ID, in.Registration); err != nil {
		return nil, err
	}
	return f.consentDetail(ctx, in.ID, in.Registration)
}

type consentAsk struct {
	ByID
	Body client.ConsentRequest
}

func (f *face) askConsent(ctx context.Context, in *consentAsk) (*body[client.ConsentPage], error) {
	made, err := f.Consents.Ask(ctx, in.ID, in.Body.RegistrationID, consent.AskOptions{Why: in.Body.Why, Until: time.Duration(in.Body.Hours) * time.Hour, Endpoint: in.Body.Endpoint})
	if err != nil {
		return nil, err
	}
	return with(consentPage(made)), nil
}

func (f *face) withdrawConsent(ctx context.Context, in *ByID) (*empty, error) {
	return nil, f.Consents.Withdraw(ctx, in.ID)
}

type customerList struct {
	ByID
	After        string `query:"after" maxLength:"8192" doc:"Partner Center's cursor of the page before"`
	Connection   string `query:"connection" maxLength:"64" required:"true" doc:"Of the partner's tenant: of an admin agent"`
	Registration string `query:"registration" maxLength:"64" doc:"Says what was done for it"`
}

func (f *face) customers(ctx context.Context, in *customerList) (*body[client.List[client.PartnerCustomer]], error) {
	all, next, err := f.Consents.Customers(ctx, in.ID, in.Connection, in.Registration, in.After)
	if err != nil {
		return nil, f.noToken(err)
	}
	return list(all, next, func(c consent.Customer) client.PartnerCustomer {
		return client.PartnerCustomer{ID: c.ID, Name: c.Name, Domain: c.Domain, TenantID: c.TenantID, State: c.State, Note: c.Note, At: c.At, Read: string(c.Read)}
	}), nil
}

type onboarding struct {
	ByID
	Body client.OnboardRequest
}

func (f *face) onboardCustomers(ctx context.Context, in *onboarding) (*body[client.Batch], error) {
	ask := consent.OnboardRequest{TenantID: in.ID, ConnectionID: in.Body.ConnectionID, RegistrationID: in.Body.RegistrationID, Undo: in.Body.Undo}
	for _, c := range in.Body.Customers {
		ask.Customers = append(ask.Customers, consent.CustomerRef{ID: c.ID, Name: c.Name})
	}
	started, err := f.Consents.Onboard(ctx, ask)
	if err != nil {
		return nil, err
	}
	return with(f.batchOf(started)), nil
}
