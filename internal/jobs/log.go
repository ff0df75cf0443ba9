package jobs

import (
	"context"
	"log/slog"
	"strings"
)

// inner is the log of River: without what it tells of its inner life, and without
// the jobs that fail, of which the queue tells with the error itself.
type inner struct{ slog.Handler }

// Enabled keeps out what is below info.
func (h inner) Enabled(ctx context.Context, level slog.Level) bool {
	return level >= slog.LevelInfo && h.Handler.Enabled(ctx, level)
}

// Handle writes a line.
func (h inner) Handle(ctx context.Context, r slog.Record) error {
	if strings.HasSuffix(r.Message, ": Job errored") {
		return nil
	}
	return h.Handler.Handle(ctx, r)
}

// WithAttrs keeps it.
func (h inner) WithAttrs(a []slog.Attr) slog.Handler { return inner{h.Handler.WithAttrs(a)} }

// WithGroup keeps it.
func (h inner) WithGroup(n string) slog.Handler { return inner{h.Handler.WithGroup(n)} }
