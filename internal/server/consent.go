package server

import (
	"context"
	"strings"
	"time"

	"gatehouse/internal/consent"
	"gatehouse/internal/notify"
	"gatehouse/internal/sqldb"
)

// tellConsents tells that a tenant's consent changed by itself.
func (s *Server) tellConsents(ctx context.Context, tx *sqldb.Tx, n consent.News) error {
	var lines []string
	for _, part := range []struct {
		words string
		of    []consent.Permission
	}{{"Gone: ", n.Gone}, {"New: ", n.Came}} {
		var names []string
		for _, p := range part.of {
			names = append(names, p.Name)
		}
		if len(names) > 0 {
			lines = append(lines, part.words+strings.Join(names, ", ")+".")
		}
	}
	return s.notices.Publish(ctx, tx, notify.Event{
		Kind: notify.ConsentChanged, TenantID: n.TenantID, Key: n.TenantID + " " + n.RegistrationID + " " + n.At.UTC().Format(time.RFC3339Nano), Path: n.Path, At: n.At,
		Title: "What " + n.TenantName + " granted to " + n.Name + " has changed", Text: strings.Join(lines, "\n"),
		Data: map[string]any{"registration": n.RegistrationID, "state": string(n.State), "before": string(n.Before), "gone": len(n.Gone), "came": len(n.Came)},
	})
}
