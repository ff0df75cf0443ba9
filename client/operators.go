package client

import (
	"context"
	"net/http"
	"time"
)

// AllTenants stands for every tenant in an operator's roles.
const AllTenants = "*"

// Operator is someone who signs in to Gatehouse.
type Operator struct {
	ID          string            `json:"id"`
	Email       string            `json:"email"`
	Name        string            `json:"name"`
	Roles       map[string]string `json:"roles" doc:"viewer, technician, engineer or administrator, by tenant id; * stands for all tenants"`
	CreatedAt   time.Time         `json:"created_at"`
	DisabledAt  *time.Time        `json:"disabled_at,omitempty"`
	LockedUntil *time.Time        `json:"locked_until,omitempty" doc:"After too many wrong passwords or codes"`
	// InvitedUntil is when the link ends of one who has not set themselves up.
	InvitedUntil *time.Time `json:"invited_until,omitempty" doc:"When the link of an invitation that was not used ends"`
	BreakGlass   bool       `json:"break_glass,omitempty" doc:"May sign in with a password where only some accounts may"`
}

// Invitation is a link with which an operator sets themselves up.
type Invitation struct {
	Operator Operator `json:"operator"`
	Link     string   `json:"link,omitempty" doc:"Works once; whoever has it becomes the operator. Empty if it was mailed"`
	Mailed   bool     `json:"mailed" doc:"Whether the link was sent to the operator's address"`
}

// InviteRequest makes an operator.
type InviteRequest struct {
	Email string            `json:"email" maxLength:"320"`
	Name  string            `json:"name,omitempty" maxLength:"200"`
	Roles map[string]string `json:"roles,omitempty" maxProperties:"1000" doc:"By tenant id; * stands for all tenants"`
}

// RoleRequest gives a role in a tenant, or takes it away.
type RoleRequest struct {
	Role string `json:"role" enum:"none,viewer,technician,engineer,administrator"`
}

// Operators lists the operators that may be seen.
func (c *Client) Operators(ctx context.Context) ([]Operator, error) {
	l, err := call[List[Operator]](ctx, c, request{method: http.MethodGet, path: "/operators"})
	return l.Items, err
}

// Invite makes an operator and gives the link for them.
func (c *Client) Invite(ctx context.Context, r InviteRequest) (Invitation, error) {
	return call[Invitation](ctx, c, request{method: http.MethodPost, path: "/operators", body: r})
}

// Operator gives one operator.
func (c *Client) Operator(ctx context.Context, id string) (Operator, error) {
	return call[Operator](ctx, c, request{method: http.MethodGet, path: path("operators", id)})
}

// Relink gives a new link to an operator who lost password or second factor.
func (c *Client) Relink(ctx context.Context, id string) (Invitation, error) {
	return call[Invitation](ctx, c, request{method: http.MethodPost, path: path("operators", id, "link")})
}

// DisableOperator ends an operator's sessions and lets them in no more.
func (c *Client) DisableOperator(ctx context.Context, id string) error {
	return c.do(ctx, request{method: http.MethodPost, path: path("operators", id, "disable")})
}

// EnableOperator lets an operator in again.
func (c *Client) EnableOperator(ctx context.Context, id string) error {
	return c.do(ctx, request{method: http.MethodPost, path: path("operators", id, "enable")})
}

// RemoveOperator deletes an operator.
func (c *Client) RemoveOperator(ctx context.Context, id string) error {
	return c.do(ctx, request{method: http.MethodDelete, path: path("operators", id)})
}

// EraseOperator takes the name and addresses of an operator who was removed out
// of the audit log, which still verifies, and out of everything else. It cannot
// be undone.
func (c *Client) EraseOperator(ctx context.Context, id string) error {
	return c.do(ctx, request{method: http.MethodPost, path: path("operators", id, "erase")})
}

// SetRole gives an operator a role in a tenant ([AllTenants] for all), or takes
// it away with "none".
func (c *Client) SetRole(ctx context.Context, id, tenantID, role string) error {
	return c.do(ctx, request{method: http.MethodPut, path: path("operators", id, "roles", tenantID), body: RoleRequest{role}})
}
