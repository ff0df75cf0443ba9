package api

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"gatehouse/client"
	"gatehouse/internal/audit"
	"gatehouse/internal/operator"
)

func (f *face) assignments(h huma.API) {
	const tag = "Operators"
	add(f, h, route{access: needs(audit.OperatorView), method: http.MethodGet, path: "/assignments", id: "list-assignments", tag: tag, summary: "List the roles of people and groups of a directory",
		long: "Those in the caller's tenants."}, f.listAssignments)
	add(f, h, route{access: needs(audit.OperatorManage), method: http.MethodPost, path: "/assignments", id: "assign-role", tag: tag, summary: "Give a person or group of a directory a role",
		long: "It counts from the next sign-in through the directory on, which single sign-on has to be configured for."}, f.assign)
	add(f, h, route{access: needs(audit.OperatorManage), method: http.MethodDelete, path: "/assignments/{id}", id: "remove-assignment", tag: tag, summary: "Take such a role away",
		long: "At once, from sessions and API keys that are in use too."}, f.unassign)
}

func assignmentOf(a operator.Assignment) client.Assignment {
	return client.Assignment{ID: a.ID, Directory: a.Directory, Kind: a.Kind, ObjectID: a.ObjectID, Name: a.Name, TenantID: tenantWord(a.TenantID), Role: a.Role, CreatedAt: a.CreatedAt.UTC()}
}

func (f *face) listAssignments(ctx context.Context, _ *struct{}) (*body[client.List[client.Assignment]], error) {
	all, err := f.Operators.Assignments(ctx)
	if err != nil {
		return nil, err
	}
	return list(all, "", assignmentOf), nil
}

func (f *face) assign(ctx context.Context, in *body[client.AssignmentRequest]) (*body[client.Assignment], error) {
	r := in.Body
	role, err := audit.ParseRole(r.Role)
	if err != nil {
		return nil, err
	}
	a, err := f.Operators.Assign(ctx, operator.Assignment{Directory: r.Directory, Kind: r.Kind, ObjectID: r.ObjectID, Name: r.Name, TenantID: tenantID(r.TenantID)}, role)
	if err != nil {
		return nil, err
	}
	return with(assignmentOf(a)), nil
}

func (f *face) unassign(ctx context.Context, in *ByID) (*empty, error) {
	return nil, f.Operators.Unassign(ctx, in.ID)
}
