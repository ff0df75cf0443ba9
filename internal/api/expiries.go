package api

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"gatehouse/client"
	"gatehouse/internal/audit"
	"gatehouse/internal/expiry"
)

func (f *face) expiries(h huma.API) {
	const tag = "Expiries"
	view, self := needs(audit.TenantView), needs(audit.Self)
	add(f, h, route{access: view, method: http.MethodGet, path: "/expiries", id: "list-expiries", tag: tag, summary: "List what ends",
		long: "Client secrets, certificates, SAML signing keys, passwords of service accounts and readers' certificates by their end; then those that do not end or are unknown."}, f.listExpiries)
	add(f, h, route{access: view, method: http.MethodGet, path: "/expiries/{id}", id: "get-expiry", tag: tag, summary: "Get a credential with its end, and who uses it"}, f.getExpiry)
	add(f, h, route{access: view, method: http.MethodGet, path: "/expiry-readings", id: "list-expiry-readings", tag: tag, summary: "How the tenants' credentials were read",
		long: "At most 200 tenants: those that could not be read first."}, f.listReadings)
	add(f, h, route{access: needs(audit.PostureRefresh), method: http.MethodPost, path: "/tenants/{id}/expiries/refresh", id: "refresh-expiries", tag: tag, summary: "Have a tenant's credentials read anew"}, f.refreshExpiries)
	add(f, h, route{access: view, method: http.MethodGet, path: "/tenants/{id}/consent-changes", id: "get-consent-changes", tag: tag, summary: "Permissions that came or went",
		long: "Application and delegated permissions of the apps that connections and the reader use: the newest 200."}, f.consentChanges)
	add(f, h, route{access: view, method: http.MethodGet, path: "/calendar", id: "list-calendar-events", tag: tag, summary: "What ends as a calendar (RFC 5545)"}, f.calendar)
	add(f, h, route{access: self, method: http.MethodGet, path: "/calendar/feeds", id: "get-calendar-feeds", tag: tag, summary: "One's own calendar addresses"}, f.feeds)
	add(f, h, route{access: self, method: http.MethodPost, path: "/calendar/feeds", id: "new-calendar-feed", tag: tag, summary: "Make a secret calendar address",
		long: "The address is in the answer, and never shown again. Whoever has it reads what its operator may see at that moment."}, f.newFeed)
	add(f, h, route{access: self, method: http.MethodDelete, path: "/calendar/feeds/{id}", id: "revoke-calendar-feed", tag: tag, summary: "Revoke a calendar address"}, f.revokeFeed)
}

func (f *face) expiryOf(i expiry.Item) client.Expiry {
	steps, actor := expiry.Remedy(i)
	out := client.Expiry{
		ID: i.ID, TenantID: i.TenantID, TenantName: i.TenantName, Kind: string(i.Kind), Holder: string(i.Holder), ObjectID: i.ObjectID, ClientID: i.ClientID, Username: i.Username, Name: i.Name, Label: i.Label,
		CredentialID: i.CredentialID, Thumbprint: i.Thumbprint, Active: i.Active, ConnectionID: i.ConnectionID, RegistrationID: i.RegistrationID, State: string(i.State), Reason: i.Reason, Level: string(i.Level(f.Now())),
		NotAfter: i.NotAfter, UsedAt: i.UsedAt, SeenAt: i.SeenAt, Used: i.Used, Actor: actor, Steps: orEmpty(steps), Uses: []client.Use{},
	}
	for _, u := range i.Uses {
		out.Uses = append(out.Uses, client.Use{Kind: u.Kind, ID: u.ID, Name: u.Name, TenantID: u.TenantID, TenantName: u.TenantName, Consumer: u.Consumer, Certain: u.Certain, Verdict: u.Verdict, UsedAt: u.UsedAt})
	}
	return out
}

type expiryList struct {
	Paging
	Tenant string `query:"tenant" maxLength:"64"`
	Kind   string `query:"kind" enum:"secret,certificate,saml_key,password,reader"`
	Within string `query:"within" enum:"90,30,7,past,unknown,never" doc:"Ends within so many days, has ended, or has no known end"`
	All    bool   `query:"all" doc:"Of all apps of the tenants, not only of those that connections and readers use"`
	Search string `query:"search" maxLength:"200" doc:"In name, label and key id"`
}

func (f *face) listExpiries(ctx context.Context, in *expiryList) (*body[client.List[client.Expiry]], error) {
	all, next, err := f.Expiries.List(ctx, expiry.Filter{TenantID: in.Tenant, Kind: expiry.Kind(in.Kind), Within: in.Within, All: in.All, Search: in.Search}, expiry.Page{After: in.After, Limit: in.Limit})
	if err != nil {
		return nil, err
	}
	return list(all, next, f.expiryOf), nil
}

func (f *face) getExpiry(ctx context.Context, in *ByID) (*body[client.Expiry], error) {
	i, err := f.Expiries.Get(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	return with(f.expiryOf(i)), nil
}

func (f *face) listReadings(ctx context.Context, _ *struct{}) (*body[client.List[client.ExpiryReading]], error) {
	all, _, err := f.Expiries.Readings(ctx, "", 200)
	if err != nil {
		return nil, err
	}
	return list(all, "", func(r expiry.Reading) client.ExpiryReading {
		out := client.ExpiryReading{TenantID: r.TenantID, TenantName: r.TenantName, At: r.At, Reason: r.Reason, Unread: []client.Unread{}}
		for _, u := range r.Unread {
			out.Unread = append(out.Unread, client.Unread{Part: u.Part, Reason: u.Reason})
		}
		return out
	}), nil
}

func (f *face) refreshExpiries(ctx context.Context, in *ByID) (*empty, error) {
	return nil, f.Expiries.Refresh(ctx, in.ID)
}

func (f *face) consentChanges(ctx context.Context, in *ByID) (*body[client.List[client.ConsentChange]], error) {
	all, err := f.Expiries.ConsentChanges(ctx, in.ID, 200)
	if err != nil {
		return nil, err
	}
	return list(all, "", func(c expiry.ConsentChange) client.ConsentChange {
		return client.ConsentChange{ClientID: c.ClientID, Name: c.Name, Kind: string(c.Kind), Resource: c.Resource, Permission: c.Permission, Change: c.Change, Since: c.Since, SeenAt: c.SeenAt}
	}), nil
}

func (f *face) calendar(ctx context.Context, _ *struct{}) (*body[client.CalendarText], error) {
	text, err := f.Expiries.CalendarText(ctx, f.PublicURL)
	if err != nil {
		return nil, err
	}
	return with(client.CalendarText{ICS: text}), nil
}

func feedOf(d expiry.Feed) client.CalendarFeed {
	return client.CalendarFeed{ID: d.ID, Name: d.Name, CreatedAt: d.CreatedAt, UsedAt: d.UsedAt}
}

func (f *face) feeds(ctx context.Context, _ *struct{}) (*body[client.List[client.CalendarFeed]], error) {
	all, err := f.Expiries.Feeds(ctx)
	if err != nil {
		return nil, err
	}
	return list(all, "", feedOf), nil
}

func (f *face) newFeed(ctx context.Context, in *body[client.FeedRequest]) (*body[client.CalendarFeed], error) {
	made, token, err := f.Expiries.NewFeed(ctx, in.Body.Name)
	if err != nil {
		return nil, err
	}
	out := feedOf(made)
	out.Address = serverURL(f.PublicURL) + "/calendar/" + token.Reveal() + ".ics"
	return with(out), nil
}

func (f *face) revokeFeed(ctx context.Context, in *ByID) (*empty, error) {
	return nil, f.Expiries.RevokeFeed(ctx, in.ID)
}
