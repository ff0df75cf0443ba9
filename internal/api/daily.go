package api

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"gatehouse/client"
	"gatehouse/internal/audit"
	"gatehouse/internal/connection"
	"gatehouse/internal/schedule"
)

func (f *face) daily(h huma.API) {
	const connections, tenants, server = "Connections", "Tenants", "Server"
	view, manage := needs(audit.ConnectionView), needs(audit.ConnectionManage)
	add(f, h, route{access: view, method: http.MethodGet, path: "/filters", id: "list-filters", tag: connections, summary: "List saved filters: one's own, and those that others share"}, f.listFilters)
	add(f, h, route{access: view, method: http.MethodPost, path: "/filters", id: "save-filter", tag: connections, summary: "Keep a filter under a name", long: "In place of the caller's own of that name."}, f.saveFilter)
	add(f, h, route{access: view, method: http.MethodDelete, path: "/filters/{id}", id: "remove-filter", tag: connections, summary: "Remove one of one's own filters"}, f.removeFilter)
	add(f, h, route{access: view, method: http.MethodGet, path: "/tags", id: "count-tags", tag: connections, summary: "The tags in use, with how many connections have each"}, f.tags)
	add(f, h, route{access: manage, method: http.MethodPut, path: "/connections/{id}/tags", id: "set-tags", tag: connections, summary: "Set the tags of a connection"}, f.setTags)
	add(f, h, route{access: manage, method: http.MethodPut, path: "/connections/{id}/schedule", id: "set-schedule", tag: connections, summary: "Set when a connection is validated by itself"}, f.setSchedule)
	add(f, h, route{access: needs(audit.TenantView), method: http.MethodGet, path: "/tenants/{id}/schedule", id: "get-tenant-schedule", tag: tenants, summary: "When a tenant's connections are validated, and its rules read, by themselves"}, f.tenantSchedule)
	add(f, h, route{access: needs(audit.TenantManage), method: http.MethodPut, path: "/tenants/{id}/schedule", id: "set-tenant-schedule", tag: tenants, summary: "Set when a tenant's connections are validated, and its rules read, by themselves"}, f.setTenantSchedule)
	add(f, h, route{access: needs(audit.SettingsView), method: http.MethodGet, path: "/schedule", id: "get-schedule", tag: server, summary: "The schedule on which tenants fall back"}, f.serverSchedule)
	add(f, h, route{access: needs(audit.SettingsManage), method: http.MethodPut, path: "/schedule", id: "set-server-schedule", tag: server, summary: "Set the schedule on which tenants fall back"}, f.setServerSchedule)
}

func savedOf(s connection.SavedFilter) client.SavedFilter {
	return client.SavedFilter{ID: s.ID, Name: s.Name, Filter: searchOf(s.Filter), Shared: s.Shared, Mine: s.Mine, By: s.By}
}

func (f *face) listFilters(ctx context.Context, _ *struct{}) (*body[client.List[client.SavedFilter]], error) {
	all, err := f.Connections.SavedFilters(ctx)
	if err != nil {
		return nil, err
	}
	return list(all, "", savedOf), nil
}

func (f *face) saveFilter(ctx context.Context, in *body[client.FilterRequest]) (*body[client.SavedFilter], error) {
	saved, err := f.Connections.SaveFilter(ctx, in.Body.Name, filterOf(in.Body.Filter), in.Body.Shared)
	if err != nil {
		return nil, err
	}
	return with(savedOf(saved)), nil
}

func (f *face) removeFilter(ctx context.Context, in *ByID) (*empty, error) {
	return nil, f.Connections.ForgetFilter(ctx, in.ID)
}

// mostTags bounds how many tags are shown.
const mostTags = 1000

func (f *face) tags(ctx context.Context, _ *struct{}) (*body[client.Tags], error) {
	all, err := f.Connections.Tags(ctx, mostTags)
	if err != nil {
		return nil, err
	}
	out := client.Tags{Tags: []client.TagCount{}}
	for _, t := range all {
		out.Tags = append(out.Tags, client.TagCount{Tag: t.Tag, Count: t.Count})
	}
	return with(out), nil
}

func (f *face) setTags(ctx context.Context, in *struct {
	ByID
	Body client.TagRequest
}) (*body[client.Connection], error) {
	if err := f.Connections.SetTags(ctx, in.ID, in.Body.Tags); err != nil {
		return nil, err
	}
	return f.getConnection(ctx, &in.ByID)
}

type scheduleRequest struct {
	ByID
	Body client.Schedule
}

func (f *face) setSchedule(ctx context.Context, in *scheduleRequest) (*body[client.Connection], error) {
	if _, err := f.Connections.SetSchedule(ctx, in.ID, in.Body.Schedule); err != nil {
		return nil, err
	}
	return f.getConnection(ctx, &in.ByID)
}

func (f *face) tenantSchedule(ctx context.Context, in *ByID) (*body[client.Schedule], error) {
	if _, err := f.Tenants.Get(ctx, in.ID); err != nil {
		return nil, err
	}
	all, err := f.Connections.Schedules(ctx)
	if err != nil {
		return nil, err
	}
	return with(client.Schedule{Schedule: all.Own(in.ID).String(), InForce: all.For(in.ID, "").String()}), nil
}

func (f *face) setTenantSchedule(ctx context.Context, in *scheduleRequest) (*body[client.Schedule], error) {
	if err := f.Connections.SetFallback(ctx, in.ID, in.Body.Schedule); err != nil {
		return nil, err
	}
	return f.tenantSchedule(ctx, &in.ByID)
}

func (f *face) serverSchedule(ctx context.Context, _ *struct{}) (*body[client.Schedule], error) {
	if err := f.Audit.Allow(ctx, audit.AllTenants, audit.SettingsView); err != nil {
		return nil, err
	}
	all, err := f.Connections.Schedules(ctx)
	if err != nil {
		return nil, err
	}
	own := all.Own(connection.ServerSchedule)
	return with(client.Schedule{Schedule: own.String(), InForce: own.Or(schedule.Default).String()}), nil
}

func (f *face) setServerSchedule(ctx context.Context, in *body[client.Schedule]) (*body[client.Schedule], error) {
	if err := f.Connections.SetFallback(ctx, connection.ServerSchedule, in.Body.Schedule); err != nil {
		return nil, err
	}
	return f.serverSchedule(ctx, nil)
}
