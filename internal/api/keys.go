package api

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"gatehouse/client"
	"gatehouse/internal/audit"
	"gatehouse/internal/operator"
)

func (f *face) keys(h huma.API) {
	const tag = "Keys"
	own := needs(audit.Self)
	add(f, h, route{access: own, method: http.MethodGet, path: "/keys", id: "list-keys", tag: tag, summary: "List API keys",
		long: "One's own, and those that reach tenants in which the caller may see operators, with these tenants only."}, f.listKeys)
	add(f, h, route{access: own, method: http.MethodPost, path: "/keys", id: "add-key", tag: tag, summary: "Make an API key",
		long: "The answer has the key, once. It takes a session; no key makes keys. A key can never do more than its owner may at that moment."}, f.addKey)
	add(f, h, route{access: own, method: http.MethodDelete, path: "/keys/{id}", id: "revoke-key", tag: tag, summary: "End an API key",
		long: "One's own; another's with the management of operators in all tenants."}, f.revokeKey)
}

func keyOf(k operator.Key) client.Key {
	out := client.Key{
		ID: k.ID, Name: k.Name, Hint: k.Hint, OperatorID: k.OperatorID, Owner: k.Owner, Permissions: make([]string, len(k.Permissions)), Tenants: make([]string, len(k.Tenants)),
		CreatedAt: k.CreatedAt, ExpiresAt: k.ExpiresAt, UsedAt: k.UsedAt,
	}
	for i, p := range k.Permissions {
		out.Permissions[i] = string(p)
	}
	for i, id := range k.Tenants {
		out.Tenants[i] = tenantWord(id)
	}
	return out
}

func (f *face) listKeys(ctx context.Context, _ *struct{}) (*body[client.List[client.Key]], error) {
	all, err := f.Operators.Keys(ctx)
	if err != nil {
		return nil, err
	}
	return list(all, "", keyOf), nil
}

func (f *face) addKey(ctx context.Context, in *body[client.KeyRequest]) (*body[client.NewKey], error) {
	r := operator.KeyRequest{Name: in.Body.Name, Days: in.Body.Days}
	for _, p := range in.Body.Permissions {
		r.Permissions = append(r.Permissions, audit.Permission(p))
	}
	for _, word := range in.Body.Tenants {
		r.Tenants = append(r.Tenants, tenantID(word))
	}
	k, token, err := f.Operators.AddKey(ctx, r)
	if err != nil {
		return nil, err
	}
	return with(client.NewKey{Key: keyOf(k), Token: token.Reveal()}), nil
}

func (f *face) revokeKey(ctx context.Context, in *ByID) (*empty, error) {
	return nil, f.Operators.RevokeKey(ctx, in.ID)
}
