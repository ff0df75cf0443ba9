package api

import (
	"context"
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"gatehouse/internal/audit"
	"gatehouse/internal/backup"
)

func (f *face) backups(h huma.API) {
	add(f, h, route{access: needs(audit.BackupMake), method: http.MethodGet, path: "/backup", id: "make-backup", tag: "Server", summary: "Back up the whole database",
		long: "All rows as they are at one moment, secrets sealed. The master key is not in it. It is made before the answer begins, which can take minutes."}, f.makeBackup)
	describeStream(h, "/backup", "application/gzip", "The backup, for `gatehouse restore`", &huma.Schema{Type: huma.TypeString, Format: "binary"})
}

// makingPatience is how long a backup may take until its first byte is sent.
const makingPatience = 30 * time.Minute

func (f *face) makeBackup(ctx context.Context, _ *struct{}) (*huma.StreamResponse, error) {
	if err := f.Audit.Allow(ctx, audit.AllTenants, audit.BackupMake); err != nil {
		return nil, err
	}
	return &huma.StreamResponse{Body: func(h huma.Context) {
		_, w := humago.Unwrap(h)
		if err := SendBackup(ctx, w, f.Backups); err != nil {
			writeProblem(w, problemOf(f.answer(ctx, err)))
		}
	}}, nil
}

// SendBackup makes a backup and answers with it as a file to be saved. An error
// says that nothing was answered yet; one that comes later breaks the answer
// off.
func SendBackup(ctx context.Context, w http.ResponseWriter, s *backup.Service) error {
	if err := http.NewResponseController(w).SetWriteDeadline(time.Now().Add(makingPatience)); err != nil {
		return err
	}
	made, err := s.Make(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = made.Close() }() // what is left is removed at the next start
	head := w.Header()
	head.Set("Content-Type", "application/gzip")
	head.Set("Content-Length", strconv.FormatInt(made.Size, 10))
	head.Set("Content-Disposition", `attachment; filename="`+made.FileName()+`"`)
	head.Set("Cache-Control", "no-store")
	if _, err := io.Copy(&patient{w: w, control: http.NewResponseController(w)}, made); err != nil {
		panic(http.ErrAbortHandler) // the reader is gone, or the file
	}
	return nil
}
