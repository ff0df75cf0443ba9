package api

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"gatehouse/internal/audit"
)

func (f *face) backups(h huma.API) {
	add(f, h, route{access: needs(audit.BackupMake), method: http.MethodGet, path: "/backup", id: "make-backup", tag: "Server", summary: "Back up the whole database",
		long: "All rows as they are at one moment, secrets sealed. The master key is not in it. It is made before the answer begins, which can take minutes."}, f.makeBackup)
	describeStream(h, "/backup", "application/gzip", "The backup, for `gatehouse restore`", &huma.Schema{Type: huma.TypeString, Format: "binary"})
}

func (f *face) makeBackup(ctx context.Context, _ *struct{}) (*huma.StreamResponse, error) {
	if err := f.Audit.Allow(ctx, audit.AllTenants, audit.BackupMake); err != nil {
		return nil, err
	}
	return &huma.StreamResponse{Body: func(h huma.Context) {
		_, w := humago.Unwrap(h)
		if err := f.Backups.Send(ctx, w); err != nil {
			writeProblem(w, problemOf(f.answer(ctx, err)))
		}
	}}, nil
}
