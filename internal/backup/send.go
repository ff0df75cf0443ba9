package backup

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strconv"
	"time"
)

// How long a backup may take until its first byte is sent, and the reader to
// accept a part of it.
const (
	makingPatience = 30 * time.Minute
	partPatience   = time.Minute
)

// Send makes a backup and answers with it, as a file to be saved. An error says
// that nothing was answered yet; what goes wrong later breaks the answer off.
func (s *Service) Send(ctx context.Context, w http.ResponseWriter) error {
	control := http.NewResponseController(w)
	if err := control.SetWriteDeadline(time.Now().Add(makingPatience)); err != nil {
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
	for part := int64(1 << 20); ; {
		if err := control.SetWriteDeadline(time.Now().Add(partPatience)); err != nil {
			panic(http.ErrAbortHandler)
		}
		_, err := io.CopyN(w, made, part)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil { // the reader is gone, or the file
			panic(http.ErrAbortHandler)
		}
	}
}
