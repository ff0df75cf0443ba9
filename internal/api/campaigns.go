package api

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"gatehouse/client"
	"gatehouse/internal/audit"
	"gatehouse/internal/campaign"
)

// maxPeople bounds a file of people with what JSON adds to it, in bytes.
const maxPeople = campaign.MaxFile + campaign.MaxFile/2

func (f *face) campaigns(h huma.API) {
	const tag = "Campaigns"
	view, manage := needs(audit.ConnectionView), needs(audit.ConnectionManage)
	add(f, h, route{access: view, method: http.MethodGet, path: "/campaigns", id: "list-campaigns", tag: tag, summary: "List campaigns, newest first",
		long: "Those with tenants that the caller may see, with the counts of these."}, f.listCampaigns)
	add(f, h, route{access: manage, method: http.MethodPost, path: "/campaigns", id: "create-campaign", tag: tag, summary: "Make a campaign, as a draft",
		long: "It takes the management of connections in all tenants. Nobody is asked for anything before it is started. It reaches the delegated connections of the registration; people of apps that keep their own tokens are added."}, f.createCampaign)
	add(f, h, route{access: view, method: http.MethodGet, path: "/campaigns/{id}", id: "get-campaign", tag: tag, summary: "Get a campaign with how far it is"}, f.getCampaign)
	add(f, h, route{access: manage, method: http.MethodPut, path: "/campaigns/{id}", id: "change-campaign", tag: tag, summary: "Change a campaign's name, deadline and reminders"}, f.changeCampaign)
	add(f, h, route{access: manage, method: http.MethodPost, path: "/campaigns/{id}/start", id: "start-campaign", tag: tag, summary: "Start a campaign",
		long: "People are asked from now on. Those of tenants whose consent is missing wait for it."}, f.startCampaign)
	add(f, h, route{access: manage, method: http.MethodPost, path: "/campaigns/{id}/pause", id: "pause-campaign", tag: tag, summary: "Stop a campaign's reminders; sign-ins count nevertheless"}, f.pauseCampaign)
	add(f, h, route{access: manage, method: http.MethodPost, path: "/campaigns/{id}/resume", id: "resume-campaign", tag: tag, summary: "Go on with a campaign after a pause"}, f.resumeCampaign)
	add(f, h, route{access: manage, method: http.MethodPost, path: "/campaigns/{id}/end", id: "end-campaign", tag: tag, summary: "End a campaign early, or discard a draft",
		long: "Nobody is reminded any more and no sign-in counts. Connections stay as they are. It cannot be undone."}, f.endCampaign)
	add(f, h, route{access: view, method: http.MethodGet, path: "/campaigns/{id}/tenants", id: "list-campaign-tenants", tag: tag, summary: "List the tenants of a campaign",
		long: "Those first that need somebody most: without consent, with failures, with many to go."}, f.listCampaignTenants)
	add(f, h, route{access: needs(audit.ConsentManage), method: http.MethodPost, path: "/campaigns/{id}/tenants/{tenant}/consent-link", id: "make-consent-link", tag: tag, summary: "Make a consent link for a tenant's administrator"}, f.campaignConsent)
	add(f, h, route{access: manage, method: http.MethodPost, path: "/campaigns/{id}/tenants/{tenant}/links", id: "make-sign-in-links", tag: tag, summary: "Make sign-in links for all of a tenant who have not signed in",
		long: "To be handed out where no mail is sent: at most 500. Each works once, for its person, and is not shown again."}, f.campaignLinks)
	add(f, h, route{access: view, method: http.MethodGet, path: "/campaigns/{id}/people", id: "list-campaign-people", tag: tag, summary: "List the people of a campaign by user name"}, f.listCampaignPeople)
	add(f, h, route{access: manage, method: http.MethodPost, path: "/campaigns/{id}/people", id: "add-campaign-people", tag: tag, summary: "Add tenants and people to a campaign", maxBody: maxPeople,
		long: "People of apps that keep their own tokens, whose sign-ins these apps report. Who is there already, by user name or object id, gets the name and address. With faults nothing is done."}, f.addCampaignPeople)
	add(f, h, route{access: manage, method: http.MethodDelete, path: "/campaigns/{id}/people/{person}", id: "remove-campaign-person", tag: tag, summary: "Take somebody out of a campaign",
		long: "Whose app keeps its own tokens. Who has a connection leaves with it."}, f.dropCampaignPerson)
	add(f, h, route{access: manage, method: http.MethodPost, path: "/campaigns/{id}/people/{person}/link", id: "make-sign-in-link", tag: tag, summary: "Make a sign-in link for somebody",
		long: "It works once, for that person, and is not shown again."}, f.campaignLink)
	add(f, h, route{access: manage, method: http.MethodPost, path: "/campaigns/{id}/remind", id: "remind-campaign", tag: tag, summary: "Have people reminded who have not signed in",
		long: "By mail, in the tenants in which the caller may manage connections; nobody twice within a day."}, f.remindCampaign)
	add(f, h, route{access: needs(audit.CampaignReport), method: http.MethodPost, path: "/campaigns/{id}/sign-ins", id: "report-sign-ins", tag: tag, summary: "Report sign-ins of an app that keeps its own tokens", maxBody: 4 << 20,
		long: "A key needs the permission `campaign.report`, and no other, in the tenants of the people. Each report counts by itself, and once: one that was made already changes nothing. " +
			"A sign-in to the old app is noted and does not count as done. What did not count is named in `bad`."}, f.reportSignIns)
	add(f, h, route{access: view, method: http.MethodGet, path: "/campaigns/{id}/export", id: "export-campaign", tag: tag, summary: "Write the people of a campaign into a file",
		long: "As CSV or JSON, without links. In CSV a cell that a spreadsheet would take for a formula has an apostrophe before it."}, f.exportCampaign)
	describeStream(h, "/campaigns/{id}/export", "text/csv", "People, by user name", &huma.Schema{Type: huma.TypeString})
}

type byTenant struct {
	ByID
	Tenant string `path:"tenant" maxLength:"64"`
}

type byPerson struct {
	ByID
	Person string `path:"person" maxLength:"64"`
}

type campaignList struct {
	Paging
	State string `query:"state" enum:"draft,running,paused,done,ended"`
}

func settingsOf(s client.CampaignSettings) campaign.Settings {
	return campaign.Settings{Note: s.Note, SignInURL: s.SignInURL, Deadline: s.Deadline, Remind: s.Remind, MailUsernames: s.MailUsernames, Days: s.RemindDays, Before: s.RemindBefore, Zone: s.Zone}
}

func progressOf(p campaign.Progress) client.CampaignProgress {
	return client.CampaignProgress{People: p.People, Pending: p.Pending, Reminded: p.Reminded, Done: p.Done, Failed: p.Failed, OnOld: p.OnOld, Percent: p.Percent()}
}

func campaignOf(c campaign.Campaign) client.Campaign {
	return client.Campaign{
		ID: c.ID, Name: c.Name, Reason: string(c.Reason), RegistrationID: c.RegistrationID, RegistrationName: c.RegistrationName, Old: c.Old, New: c.New, ClientID: c.ClientID,
		State: string(c.State), StartedBy: c.StartedBy, CreatedAt: c.CreatedAt, StartedAt: c.StartedAt, EndedAt: c.EndedAt, Version: c.Version, OldCanBeRemoved: c.OldGone(),
		CampaignSettings: client.CampaignSettings{Note: c.Note, SignInURL: c.SignInURL, Deadline: c.Deadline, Remind: c.Remind, MailUsernames: c.MailUsernames, RemindDays: orEmpty(c.Days), RemindBefore: orEmpty(c.Before), Zone: c.Zone},
		CampaignProgress: progressOf(c.Progress), Tenants: c.Tenants, TenantsDone: c.TenantsDone, NoConsent: c.NoConsent,
	}
}

// oneCampaign answers with a campaign.
func oneCampaign(c campaign.Campaign, err error) (*body[client.Campaign], error) {
	if err != nil {
		return nil, err
	}
	return with(campaignOf(c)), nil
}

func (f *face) listCampaigns(ctx context.Context, in *campaignList) (*body[client.List[client.Campaign]], error) {
	all, next, err := f.Campaigns.List(ctx, campaign.State(in.State), campaign.Page{After: in.After, Limit: in.Limit})
	if err != nil {
		return nil, err
	}
	return list(all, next, campaignOf), nil
}

func (f *face) createCampaign(ctx context.Context, in *body[client.CampaignRequest]) (*body[client.Campaign], error) {
	r := in.Body
	return oneCampaign(f.Campaigns.Create(ctx, campaign.Request{Name: r.Name, RegistrationID: r.Registration, App: r.App, Reason: campaign.Reason(r.Reason), Old: r.Old, New: r.New, Settings: settingsOf(r.CampaignSettings)}))
}

func (f *face) getCampaign(ctx context.Context, in *ByID) (*body[client.Campaign], error) {
	return oneCampaign(f.Campaigns.Get(ctx, in.ID))
}

type changeCampaign struct {
	ByID
	Body client.CampaignChange
}

func (f *face) changeCampaign(ctx context.Context, in *changeCampaign) (*body[client.Campaign], error) {
	return oneCampaign(f.Campaigns.Update(ctx, in.ID, in.Body.Version, in.Body.Name, settingsOf(in.Body.CampaignSettings)))
}

func (f *face) startCampaign(ctx context.Context, in *ByID) (*body[client.Campaign], error) {
	return oneCampaign(f.Campaigns.Start(ctx, in.ID))
}

func (f *face) pauseCampaign(ctx context.Context, in *ByID) (*body[client.Campaign], error) {
	return oneCampaign(f.Campaigns.Pause(ctx, in.ID))
}

func (f *face) resumeCampaign(ctx context.Context, in *ByID) (*body[client.Campaign], error) {
	return oneCampaign(f.Campaigns.Resume(ctx, in.ID))
}

type endCampaign struct {
	ByID
	Body client.CampaignEnd
}

func (f *face) endCampaign(ctx context.Context, in *endCampaign) (*body[client.Campaign], error) {
	return oneCampaign(f.Campaigns.End(ctx, in.ID, in.Body.Confirm))
}

type campaignTenants struct {
	ByID
	Paging
	Tenant  string `query:"tenant" maxLength:"64"`
	Consent string `query:"consent" enum:"unknown,missing,asked,granted,granted_not_read,not_needed"`
	Open    bool   `query:"open" doc:"Only those in which not everybody has signed in"`
	Search  string `query:"search" maxLength:"200" doc:"In name and domain"`
}

func (f *face) listCampaignTenants(ctx context.Context, in *campaignTenants) (*body[client.List[client.CampaignTenant]], error) {
	all, next, err := f.Campaigns.Tenants(ctx, in.ID, campaign.TenantFilter{TenantID: in.Tenant, Consent: campaign.ConsentState(in.Consent), Open: in.Open, Search: in.Search}, campaign.Page{After: in.After, Limit: in.Limit})
	if err != nil {
		return nil, err
	}
	return list(all, next, func(t campaign.Tenant) client.CampaignTenant {
		return client.CampaignTenant{TenantID: t.ID, TenantName: t.Name, Consent: string(t.Consent), ConsentReason: t.ConsentReason, ConsentAt: t.ConsentAt, AskedAt: t.AskedAt, CampaignProgress: progressOf(t.Progress)}
	}), nil
}

type personQuery struct {
	Tenant string `query:"tenant" maxLength:"64"`
	State  string `query:"state" enum:"pending,reminded,done,failed"`
	Search string `query:"search" maxLength:"200" doc:"In user name, name and address"`
	OnOld  bool   `query:"on_old" doc:"Only those seen on the old app last"`
	OwnApp bool   `query:"own_app" doc:"Only those of apps that keep their own tokens"`
}

func (q personQuery) filter() campaign.PersonFilter {
	return campaign.PersonFilter{TenantID: q.Tenant, State: campaign.PersonState(q.State), Search: q.Search, OnOld: q.OnOld, OwnApp: q.OwnApp}
}

type campaignPeople struct {
	ByID
	Paging
	personQuery
}

func personOf(p campaign.Person) client.CampaignPerson {
	return client.CampaignPerson{
		ID: p.ID, TenantID: p.TenantID, TenantName: p.TenantName, ConnectionID: p.ConnectionID, Username: p.Username, ObjectID: p.ObjectID, Name: p.Name, Email: p.Email, ClientID: p.ClientID,
		State: string(p.State), Reason: p.Reason, ChangedAt: p.ChangedAt, RemindedAt: p.RemindedAt, Reminders: p.Reminders, RemindAt: p.RemindAt, MailReason: p.MailReason,
	}
}

func (f *face) listCampaignPeople(ctx context.Context, in *campaignPeople) (*body[client.List[client.CampaignPerson]], error) {
	all, next, err := f.Campaigns.People(ctx, in.ID, in.filter(), campaign.Page{After: in.After, Limit: in.Limit})
	if err != nil {
		return nil, err
	}
	return list(all, next, personOf), nil
}
