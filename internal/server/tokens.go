package server

import (
	"context"
	"time"

	"gatehouse/internal/broker"
	"gatehouse/internal/notify"
	"gatehouse/internal/secrets"
	"gatehouse/internal/sqldb"
)

// keepAlive is after how long idle sign-ins are refreshed; never for 0 days.
func keepAlive(days int) time.Duration {
	if days == 0 {
		return -1
	}
	return time.Duration(days) * 24 * time.Hour
}

// tellTokens tells that a connection gives no tokens, gives them again, or will soon
// give none.
func (s *Server) tellTokens(ctx context.Context, tx *sqldb.Tx, n broker.News) error {
	e := notify.Event{Kind: notify.SignInNeeded, TenantID: n.TenantID, Key: n.ConnectionID + " " + n.What + " " + n.At.UTC().Format(time.RFC3339Nano), Title: n.Title, Text: n.Text, Path: n.Path, At: n.At, Data: map[string]any{
		"connection": n.ConnectionID, "name": n.Name, "state": n.State, "what": n.What,
	}}
	if n.What == "ends" {
		e.Kind = notify.SignInEnds
	}
	return s.notices.Publish(ctx, tx, e)
}

// letters is what mails people who are no operators; nil without a mail server.
func (s *Server) letters() func(ctx context.Context, tx *sqldb.Tx, to, name, subject, text string, link secrets.Value, until time.Time) error {
	if !s.notices.HasMail() {
		return nil
	}
	return s.notices.Write
}
