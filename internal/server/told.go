package server

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"gatehouse/internal/diagnosis"
	"gatehouse/internal/expiry"
	"gatehouse/internal/incident"
	"gatehouse/internal/notify"
	"gatehouse/internal/operator"
	"gatehouse/internal/secrets"
	"gatehouse/internal/sqldb"
)

// tellIncident tells that an incident began or ended. Who looks after one of its
// tenants alone hears of it in that tenant's name, and everybody once.
func (s *Server) tellIncident(ctx context.Context, tx *sqldb.Tx, n incident.News) error {
	e := notify.Event{Kind: notify.IncidentOpened, TenantID: n.TenantID, Key: n.ID, Title: n.Title, Text: n.Text, Path: n.Path, At: n.At, Data: map[string]any{
		"incident": n.ID, "cause": n.Kind, "subject": n.Subject, "connections": n.Connections, "tenants": len(n.Tenants), notify.WhoActs: diagnosis.Actor(n.Actor).Words(),
	}}
	if n.What == incident.Ended {
		e.Kind = notify.IncidentEnded
	}
	if err := s.notices.Publish(ctx, tx, e); err != nil {
		return err
	}
	if n.What == incident.Open && n.Kind == string(incident.KindAccount) {
		e.Kind, e.Thread, e.Beside = notify.Parked, n.ID, notify.IncidentOpened
		return s.notices.Publish(ctx, tx, e)
	}
	for _, tenant := range n.Tenants {
		if n.TenantID == "" {
			if err := s.publishIn(ctx, tx, e, tenant); err != nil {
				return err
			}
		}
	}
	return nil
}

// spreadIncident tells those who look after a tenant that an incident reaches.
func (s *Server) spreadIncident(ctx context.Context, tx *sqldb.Tx, n incident.News) error {
	return s.publishIn(ctx, tx, notify.Event{Kind: notify.IncidentOpened, Key: n.ID, Title: n.Title, Text: n.Text, Path: n.Path, At: n.At, Data: map[string]any{
		"incident": n.ID, "cause": n.Kind, "subject": n.Subject, notify.WhoActs: diagnosis.Actor(n.Actor).Words(),
	}}, n.TenantID)
}

// publishIn tells those of a tenant who have not heard of an event yet.
func (s *Server) publishIn(ctx context.Context, tx *sqldb.Tx, e notify.Event, tenantID string) error {
	e.Thread, e.Key, e.TenantID = e.Key, e.Key+"/"+tenantID, tenantID
	return s.notices.Publish(ctx, tx, e)
}

// tellExpiry tells that a credential ends soon, or has ended.
func (s *Server) tellExpiry(ctx context.Context, tx *sqldb.Tx, n expiry.News) error {
	name := strings.TrimSpace(n.Name + " " + n.Username)
	if n.Name == n.Username {
		name = n.Name
	}
	title := fmt.Sprintf("%s of %s ends on %s", expiry.Words(n.Kind), name, n.NotAfter.UTC().Format("2 January 2006"))
	if n.Level == expiry.Past {
		title = fmt.Sprintf("%s of %s has ended on %s", expiry.Words(n.Kind), name, n.NotAfter.UTC().Format("2 January 2006"))
	}
	return s.notices.Publish(ctx, tx, notify.Event{
		Kind: notify.ExpiryDue, TenantID: n.TenantID, Key: n.ID + " " + n.NotAfter.UTC().Format(time.RFC3339) + " " + string(n.Level), Title: title, Text: strings.Join(n.Steps, "\n"), Path: "/expiries/" + n.ID, At: n.At,
		Data: map[string]any{"expiry": n.ID, "kind": string(n.Kind), "level": string(n.Level), "not_after": n.NotAfter.UTC(), "client_id": n.ClientID, notify.WhoActs: n.Actor},
	})
}

// mailInvitation mails the link of an invitation.
func (s *Server) mailInvitation(ctx context.Context, tx *sqldb.Tx, to, name string, link secrets.Value, until time.Time) error {
	err := s.notices.Invite(ctx, tx, to, name, link, until)
	if errors.Is(err, notify.ErrNoMail) {
		return operator.ErrNoMail
	}
	return err
}
