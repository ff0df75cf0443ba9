package server

import (
	"context"
	"errors"
	"log/slog"

	"gatehouse/internal/microsoft"
)

// correlated adds to each line that tells of an error of Microsoft's what it can
// be found by in the tenant's logs, and with Microsoft's support.
type correlated struct{ slog.Handler }

// Handle writes a line.
func (h correlated) Handle(ctx context.Context, r slog.Record) error {
	var said *microsoft.Error
	r.Attrs(func(a slog.Attr) bool {
		err, ok := a.Value.Any().(error)
		return !ok || !errors.As(err, &said)
	})
	if said != nil {
		r = r.Clone()
		r.AddAttrs(slog.Group("microsoft", "service", said.Service, "status", said.Status, "code", said.Code, "correlation_id", said.CorrelationID, "request_id", said.RequestID))
	}
	return h.Handler.Handle(ctx, r)
}

// WithAttrs keeps it.
func (h correlated) WithAttrs(a []slog.Attr) slog.Handler {
	return correlated{h.Handler.WithAttrs(a)}
}

// WithGroup keeps it.
func (h correlated) WithGroup(n string) slog.Handler { return correlated{h.Handler.WithGroup(n)} }
