package client

import (
	"context"
	"net/http"
	"time"
)

// The kinds of what has a role by assignment.
const (
	AssignPerson = "person"
	AssignGroup  = "group"
)

// Assignment gives a person or group of a directory a role in a tenant.
type Assignment struct {
	ID        string    `json:"id"`
	Directory string    `json:"directory" doc:"Id of the Entra tenant, or the issuer"`
	Kind      string    `json:"kind" enum:"person,group"`
	ObjectID  string    `json:"object_id"`
	Name      string    `json:"name" doc:"For people to read"`
	TenantID  string    `json:"tenant_id" doc:"* stands for all tenants"`
	Role      string    `json:"role"`
	CreatedAt time.Time `json:"created_at"`
}

// AssignmentRequest makes an assignment.
type AssignmentRequest struct {
	Directory string `json:"directory,omitempty" maxLength:"500" doc:"May be left out if there is only one"`
	Kind      string `json:"kind" enum:"person,group"`
	ObjectID  string `json:"object_id" maxLength:"255" doc:"Object id at Entra; elsewhere the subject, or the group as the issuer writes it"`
	Name      string `json:"name,omitempty" maxLength:"200"`
	TenantID  string `json:"tenant_id" maxLength:"64" doc:"* stands for all tenants"`
	Role      string `json:"role" enum:"viewer,technician,engineer,administrator"`
}

// Assignments lists those of the tenants in which one may see operators.
func (c *Client) Assignments(ctx context.Context) ([]Assignment, error) {
	l, err := call[List[Assignment]](ctx, c, request{method: http.MethodGet, path: "/assignments"})
	return l.Items, err
}

// Assign gives a person or group of a directory a role. It counts from their next
// sign-in on.
func (c *Client) Assign(ctx context.Context, r AssignmentRequest) (Assignment, error) {
	return call[Assignment](ctx, c, request{method: http.MethodPost, path: "/assignments", body: r})
}

// Unassign takes an assignment away, at once.
func (c *Client) Unassign(ctx context.Context, id string) error {
	return c.do(ctx, request{method: http.MethodDelete, path: path("assignments", id)})
}
