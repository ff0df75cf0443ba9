package api

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"gatehouse/client"
	"gatehouse/internal/audit"
	"gatehouse/internal/operator"
	"gatehouse/internal/secrets"
)

func (f *face) operators(h huma.API) {
	const tag = "Operators"
	view, manage := needs(audit.OperatorView), needs(audit.OperatorManage)
	add(f, h, route{access: view, method: http.MethodGet, path: "/operators", id: "list-operators", tag: tag, summary: "List operators",
		long: "Those with a role in one of the caller's tenants, with these roles only; all, for who has a role in all tenants."}, f.listOperators)
	add(f, h, route{access: manage, method: http.MethodPost, path: "/operators", id: "invite-operator", tag: tag, summary: "Invite an operator",
		long: "Where mail can be sent, the link goes to the operator; otherwise the answer has it, once: whoever has it becomes the operator."}, f.invite)
	add(f, h, route{access: needs(audit.Self), method: http.MethodGet, path: "/operators/{id}", id: "get-operator", tag: tag, summary: "Get an operator",
		long: "Oneself, or one that the list shows."}, f.getOperator)
	add(f, h, route{access: manage, method: http.MethodPost, path: "/operators/{id}/link", id: "relink-operator", tag: tag, summary: "Make a new link for an operator",
		long: "For one who lost password or second factor. Using it removes the second factors and ends the sessions."}, f.relink)
	add(f, h, route{access: manage, method: http.MethodPost, path: "/operators/{id}/disable", id: "disable-operator", tag: tag, summary: "Let an operator in no more"}, f.disable)
	add(f, h, route{access: manage, method: http.MethodPost, path: "/operators/{id}/enable", id: "enable-operator", tag: tag, summary: "Let an operator in again"}, f.enable)
	add(f, h, route{access: manage, method: http.MethodDelete, path: "/operators/{id}", id: "remove-operator", tag: tag, summary: "Remove an operator"}, f.removeOperator)
	add(f, h, route{access: needs(audit.AuditErase), method: http.MethodPost, path: "/operators/{id}/erase", id: "erase-operator", tag: tag, summary: "Erase the name of a removed operator",
		long: "Takes name and addresses out of the audit log, which still verifies, and out of everything else. What was done stays, under the id. It cannot be undone."}, f.eraseOperator)
	add(f, h, route{access: manage, method: http.MethodPut, path: "/operators/{id}/roles/{tenant}", id: "set-role", tag: tag, summary: "Give a role in a tenant, or take it away",
		long: "The tenant `*` stands for all."}, f.setRole)
}

func operatorOf(o *operator.Operator) client.Operator {
	out := client.Operator{ID: o.ID, Email: o.Email, Name: o.Name, Roles: map[string]string{}, CreatedAt: o.CreatedAt, DisabledAt: o.DisabledAt, LockedUntil: o.LockedUntil,
		InvitedUntil: o.InvitedUntil, BreakGlass: o.BreakGlass}
	for id, role := range o.Roles {
		out.Roles[tenantWord(id)] = role.String()
	}
	return out
}

func (f *face) listOperators(ctx context.Context, _ *struct{}) (*body[client.List[client.Operator]], error) {
	all, err := f.Operators.List(ctx)
	if err != nil {
		return nil, err
	}
	return list(all, "", operatorOf), nil
}

// list turns a page of a feature into an answer.
func list[F, C any](items []F, next string, convert func(F) C) *body[client.List[C]] {
	l := client.List[C]{Items: make([]C, len(items)), Next: next}
	for i, item := range items {
		l.Items[i] = convert(item)
	}
	return with(l)
}

func (f *face) invite(ctx context.Context, in *body[client.InviteRequest]) (*body[client.Invitation], error) {
	roles := map[string]audit.Role{}
	for id, name := range in.Body.Roles {
		role, err := audit.ParseRole(name)
		if err != nil {
			return nil, invalid(client.Fault{Field: "roles." + id, Problem: err.Error()})
		}
		roles[tenantID(id)] = role
	}
	o, token, err := f.Operators.Invite(ctx, in.Body.Email, in.Body.Name, roles)
	return f.invitation(o, token, err)
}

func (f *face) invitation(o *operator.Operator, token secrets.Value, err error) (*body[client.Invitation], error) {
	if err != nil {
		return nil, err
	}
	i := client.Invitation{Operator: operatorOf(o), Mailed: token.Empty()}
	if !i.Mailed {
		i.Link = SetUpLink(f.PublicURL, token).Reveal()
	}
	return with(i), nil
}

// SetUpLink is the address of the page that opens a set-up link.
func SetUpLink(publicURL string, token secrets.Value) secrets.Value {
	return secrets.New(publicURL + "/setup/" + token.Reveal())
}

func (f *face) getOperator(ctx context.Context, in *ByID) (*body[client.Operator], error) {
	o, err := f.Operators.Get(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	return with(operatorOf(o)), nil
}

func (f *face) relink(ctx context.Context, in *ByID) (*body[client.Invitation], error) {
	token, err := f.Operators.Relink(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	o, err := f.Operators.Get(ctx, in.ID)
	return f.invitation(o, token, err)
}

func (f *face) disable(ctx context.Context, in *ByID) (*empty, error) {
	return nil, f.Operators.Disable(ctx, in.ID)
}

func (f *face) enable(ctx context.Context, in *ByID) (*empty, error) {
	return nil, f.Operators.Enable(ctx, in.ID)
}

func (f *face) removeOperator(ctx context.Context, in *ByID) (*empty, error) {
	return nil, f.Operators.Remove(ctx, in.ID)
}

func (f *face) eraseOperator(ctx context.Context, in *ByID) (*empty, error) {
	return nil, f.Operators.Erase(ctx, in.ID)
}

type roleInput struct {
	ByID
	Tenant string `path:"tenant" maxLength:"64"`
	Body   client.RoleRequest
}

func (f *face) setRole(ctx context.Context, in *roleInput) (*empty, error) {
	var role audit.Role
	if in.Body.Role != "none" {
		var err error
		if role, err = audit.ParseRole(in.Body.Role); err != nil {
			return nil, err
		}
	}
	return nil, f.Operators.SetRole(ctx, in.ID, tenantID(in.Tenant), role)
}
