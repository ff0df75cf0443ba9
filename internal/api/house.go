package api

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"gatehouse/client"
	"gatehouse/internal/audit"
	"gatehouse/internal/secrets"
)

// doctor looks after the machine that the server runs on.
type doctor func(ctx context.Context) []client.Finding

func (f *face) house(h huma.API) {
	const tag = "Server"
	add(f, h, route{access: needs(audit.SettingsView), method: http.MethodGet, path: "/doctor", id: "doctor", tag: tag, summary: "Look after clock, disk, database, key, mail server, egress and DNS"}, f.examine)
	add(f, h, route{access: needs(audit.KeysRotate), method: http.MethodPost, path: "/keys/rotate", id: "rotate-keys", tag: tag, summary: "Begin to replace the key that seals secrets",
		long: "The server goes on with it by itself; it takes some minutes."}, f.rotateKeys)
}

func (f *face) examine(ctx context.Context, _ *struct{}) (*body[client.List[client.Finding]], error) {
	if err := f.Audit.Allow(ctx, audit.AllTenants, audit.SettingsView); err != nil {
		return nil, err
	}
	return with(client.List[client.Finding]{Items: orEmpty(f.Doctor(ctx))}), nil
}

func (f *face) rotateKeys(ctx context.Context, _ *struct{}) (*body[client.KeyState], error) {
	if err := f.Keys.BeginRotation(ctx); err != nil {
		return nil, err
	}
	return with(client.KeyState{State: string(secrets.Distributed)}), nil
}
