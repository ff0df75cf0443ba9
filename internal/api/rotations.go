package api

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"gatehouse/client"
	"gatehouse/internal/audit"
	"gatehouse/internal/rotation"
)

func (f *face) rotations(h huma.API) {
	const tag = "Rotations"
	view, manage := needs(audit.TenantView), needs(audit.ConsentManage)
	add(f, h, route{access: view, method: http.MethodGet, path: "/rotations", id: "list-rotations", tag: tag, summary: "List certificates that are being replaced, or were"}, f.listRotations)
	add(f, h, route{access: manage, method: http.MethodPost, path: "/rotations", id: "begin-rotation", tag: tag, summary: "Have a certificate replaced by the app itself",
		long: "Of a tenant's reader, or of a connection whose certificate is kept here. The new one is used once Microsoft has accepted it several times in a row; then the old key, and no other, is removed."}, f.beginRotation)
	add(f, h, route{access: view, method: http.MethodGet, path: "/rotations/{id}", id: "get-rotation", tag: tag, summary: "Get a rotation"}, f.getRotation)
	add(f, h, route{access: manage, method: http.MethodPost, path: "/rotations/{id}/undo", id: "undo-rotation", tag: tag, summary: "Take a rotation back",
		long: "Before the new certificate is used, its key is removed again. After that, the old one is put back by a rotation of its own, which is the answer."}, f.undoRotation)
}

func rotationOf(r rotation.Rotation) client.Rotation {
	out := client.Rotation{
		ID: r.ID, TenantID: r.TenantID, TenantName: r.TenantName, ConnectionID: r.ConnectionID, Name: r.Name, ClientID: r.ClientID, State: string(r.State), Holder: r.Holder, ObjectID: r.ObjectID,
		OldThumbprint: r.OldThumbprint, OldKeyID: r.OldKeyID, OldNotAfter: r.OldNotAfter, NewThumbprint: r.NewThumbprint, NewKeyID: r.NewKeyID, NewNotAfter: r.NewNotAfter, Others: []client.OtherCredential{},
		Successes: r.Successes, Reason: r.Reason, Undoes: r.Undoes, StartedBy: r.StartedBy, CreatedAt: r.CreatedAt, ChangedAt: r.ChangedAt, EndedAt: r.EndedAt, Undoable: r.Undoable,
	}
	for _, o := range r.Others {
		out.Others = append(out.Others, client.OtherCredential{Holder: o.Holder, Kind: o.Kind, KeyID: o.KeyID, Label: o.Label, Ends: o.Ends})
	}
	return out
}

func oneRotation(r rotation.Rotation, err error) (*body[client.Rotation], error) {
	if err != nil {
		return nil, err
	}
	return with(rotationOf(r)), nil
}

type rotationList struct {
	Paging
	Tenant string `query:"tenant" maxLength:"64"`
}

func (f *face) listRotations(ctx context.Context, in *rotationList) (*body[client.List[client.Rotation]], error) {
	all, next, err := f.Rotations.List(ctx, rotation.Filter{TenantID: in.Tenant}, rotation.Page{After: in.After, Limit: in.Limit})
	if err != nil {
		return nil, err
	}
	return list(all, next, rotationOf), nil
}

func (f *face) beginRotation(ctx context.Context, in *body[client.RotationRequest]) (*body[client.Rotation], error) {
	if in.Body.TenantID == "" && in.Body.ConnectionID == "" {
		return nil, invalid(client.Fault{Field: "tenant_id", Problem: "is missing", Way: "name a tenant, for its reader, or a connection"})
	}
	return oneRotation(f.Rotations.Begin(ctx, rotation.Target{TenantID: in.Body.TenantID, ConnectionID: in.Body.ConnectionID}))
}

func (f *face) getRotation(ctx context.Context, in *ByID) (*body[client.Rotation], error) {
	return oneRotation(f.Rotations.Get(ctx, in.ID))
}

func (f *face) undoRotation(ctx context.Context, in *ByID) (*body[client.Rotation], error) {
	return oneRotation(f.Rotations.Undo(ctx, in.ID))
}
