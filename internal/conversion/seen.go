package conversion

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"gatehouse/internal/connection"
	"gatehouse/internal/microsoft/graph"
	"gatehouse/internal/validation"
)

// around is how near to a validation of ours a sign-in may be Gatehouse's own.
const around = 2 * time.Minute

// LookForUse reads, with the tenant's reader, the sign-in log for the consumer's
// own sign-in as the app. A sign-in is the consumer's if it comes from one of its
// addresses; where none is known, if Gatehouse itself did not sign in at the time.
// Nothing found proves nothing: entries arrive after minutes, and the log needs
// Entra ID P1.
func (s *Service) LookForUse(ctx context.Context, id string) (Conversion, error) {
	r, c, err := s.load(ctx, id)
	switch {
	case err != nil:
		return Conversion{}, err
	case c.AppID == "":
		return Conversion{}, ErrOrder
	}
	found, reason, err := s.use(ctx, c)
	if err != nil {
		return Conversion{}, err
	}
	if found == nil {
		c.Looked = s.mark(ctx, reason)
		return s.step(ctx, r, c.Progress, "conversion.use_looked_for", map[string]any{"found": false})
	}
	c.Seen, c.Looked = &Evidence{Mark: Mark{At: found.CreatedDateTime.UTC(), By: found.AppDisplayName}, Log: true, Address: found.IPAddress}, nil
	return s.step(ctx, r, c.Progress, "conversion.use_looked_for", map[string]any{"found": true, "sign_in": found.ID})
}

// use gives a sign-in of the consumer's, or why none is known.
func (s *Service) use(ctx context.Context, c Conversion) (*graph.SignIn, string, error) {
	app, err := s.Connections.Get(ctx, c.AppID)
	if err != nil {
		return nil, "", err
	}
	at, err := s.Tenants.Directory(ctx, c.TenantID)
	if err != nil {
		return nil, "", err
	}
	reading, err := s.Tenants.Reading(ctx, c.TenantID)
	if err != nil {
		return nil, "", err
	}
	if reading == nil {
		return nil, "no reader: without one the tenant's sign-in log cannot be read", nil
	}
	client, err := s.Tenants.Graph(ctx, at.DirectoryID, reading)
	if err != nil {
		return nil, "the reader could not sign in: " + err.Error(), nil
	}
	filter := fmt.Sprintf("appId eq '%s' and createdDateTime ge %s and signInEventTypes/any(t:t eq 'servicePrincipal')", c.ClientID, c.CreatedAt.Format(time.RFC3339))
	var page struct {
		Value []graph.SignIn `json:"value"`
	}
	if err := client.Get(ctx, "/beta/auditLogs/signIns?$top=100&$filter="+graph.QueryValue(filter), &page); err != nil {
		return nil, "the sign-in log was not read: " + err.Error(), nil
	}
	ours, err := s.ours(ctx, app)
	if err != nil {
		return nil, "", err
	}
	for i, e := range page.Value {
		if strings.EqualFold(e.AppID, c.ClientID) && e.Status.ErrorCode == 0 && theirs(e, app.Consumer.Addresses, ours) {
			return &page.Value[i], "", nil
		}
	}
	return nil, "the log has no sign-in of the consumer as the app yet; entries arrive after minutes", nil
}

// span is a time in which Gatehouse itself may have signed in as the app.
type span struct{ from, to time.Time }

func (s *Service) ours(ctx context.Context, app connection.Connection) ([]span, error) {
	runs, _, err := s.Runs.List(ctx, app.ID, connection.Page{Limit: 200})
	if err != nil {
		return nil, err
	}
	var out []span
	for _, r := range runs {
		out = append(out, spanOf(r, s.Now()))
	}
	return out, nil
}

func spanOf(r validation.Run, now time.Time) span {
	to := now
	if r.EndedAt != nil {
		to = *r.EndedAt
	}
	return span{r.CreatedAt.Add(-around), to.Add(around)}
}

// theirs reports whether a sign-in is the consumer's.
func theirs(e graph.SignIn, addresses []string, ours []span) bool {
	if len(addresses) > 0 {
		from, err := netip.ParseAddr(e.IPAddress)
		if err != nil {
			return false
		}
		for _, a := range addresses {
			if network, err := netip.ParsePrefix(a); err == nil && network.Contains(from.Unmap()) {
				return true
			}
			if alone, err := netip.ParseAddr(a); err == nil && alone.Unmap() == from.Unmap() {
				return true
			}
		}
		return false
	}
	for _, o := range ours {
		if !e.CreatedDateTime.Before(o.from) && !e.CreatedDateTime.After(o.to) {
			return false
		}
	}
	return true
}
