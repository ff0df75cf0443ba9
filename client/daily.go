package client

import (
	"context"
	"net/http"
)

// SavedFilter is a filter of connections under a name.
type SavedFilter struct {
	ID     string           `json:"id"`
	Name   string           `json:"name"`
	Filter ConnectionSearch `json:"filter"`
	Shared bool             `json:"shared" doc:"Others may use it"`
	Mine   bool             `json:"mine" doc:"It is the caller's own"`
	By     string           `json:"by" doc:"Whose it is"`
}

// FilterRequest is a filter to keep.
type FilterRequest struct {
	Name   string           `json:"name" maxLength:"80"`
	Filter ConnectionSearch `json:"filter"`
	Shared bool             `json:"shared,omitempty"`
}

// TagCount is a tag with the number of connections that have it.
type TagCount struct {
	Tag   string `json:"tag"`
	Count int    `json:"count"`
}

// Tags are the tags in use.
type Tags struct {
	Tags []TagCount `json:"tags" nullable:"false"`
}

// TagRequest are the tags of a connection.
type TagRequest struct {
	Tags []string `json:"tags" maxItems:"20" doc:"In place of those that it has"`
}

// Schedule says when connections are validated by themselves.
type Schedule struct {
	Schedule string `json:"schedule" maxLength:"100" doc:"off, every 6h (1 to 168 hours), or daily 02:30 Europe/Berlin; empty for none of its own"`
	InForce  string `json:"in_force,omitempty" readOnly:"true" doc:"What holds if this is empty"`
}

// SavedFilters lists the caller's own filters and those that others share.
func (c *Client) SavedFilters(ctx context.Context) ([]SavedFilter, error) {
	l, err := call[List[SavedFilter]](ctx, c, request{method: http.MethodGet, path: "/filters"})
	return l.Items, err
}

// SaveFilter keeps a filter, in place of the caller's own of that name.
func (c *Client) SaveFilter(ctx context.Context, r FilterRequest) (SavedFilter, error) {
	return call[SavedFilter](ctx, c, request{method: http.MethodPost, path: "/filters", body: r})
}

// RemoveFilter removes one of the caller's own filters.
func (c *Client) RemoveFilter(ctx context.Context, id string) error {
	return c.do(ctx, request{method: http.MethodDelete, path: path("filters", id)})
}

// Tags gives the tags in use.
func (c *Client) Tags(ctx context.Context) ([]TagCount, error) {
	t, err := call[Tags](ctx, c, request{method: http.MethodGet, path: "/tags"})
	return t.Tags, err
}

// SetTags gives a connection tags in place of those that it has.
func (c *Client) SetTags(ctx context.Context, id string, tags []string) (Connection, error) {
	return call[Connection](ctx, c, request{method: http.MethodPut, path: path("connections", id, "tags"), body: TagRequest{tags}})
}

// SetSchedule gives a connection a schedule of its own; "" for the tenant's.
func (c *Client) SetSchedule(ctx context.Context, id, schedule string) (Connection, error) {
	return call[Connection](ctx, c, request{method: http.MethodPut, path: path("connections", id, "schedule"), body: Schedule{Schedule: schedule}})
}

// TenantSchedule gives the schedule of a tenant.
func (c *Client) TenantSchedule(ctx context.Context, id string) (Schedule, error) {
	return call[Schedule](ctx, c, request{method: http.MethodGet, path: path("tenants", id, "schedule")})
}

// SetTenantSchedule sets the schedule of a tenant; "" for the server's.
func (c *Client) SetTenantSchedule(ctx context.Context, id, schedule string) (Schedule, error) {
	return call[Schedule](ctx, c, request{method: http.MethodPut, path: path("tenants", id, "schedule"), body: Schedule{Schedule: schedule}})
}

// ServerSchedule gives the schedule on which tenants fall back.
func (c *Client) ServerSchedule(ctx context.Context) (Schedule, error) {
	return call[Schedule](ctx, c, request{method: http.MethodGet, path: "/schedule"})
}

// SetServerSchedule sets the schedule on which tenants fall back; "" for once a day.
func (c *Client) SetServerSchedule(ctx context.Context, schedule string) (Schedule, error) {
	return call[Schedule](ctx, c, request{method: http.MethodPut, path: "/schedule", body: Schedule{Schedule: schedule}})
}
