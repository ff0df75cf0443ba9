package broker

import (
	"context"
	"fmt"
	"time"
)

// callersOf is over how long callers are told.
const callersOf = 7 * 24 * time.Hour

// callers are who was given tokens of late, most first: uses are summed by minute
// and written every half minute.
func (s *Service) callers(ctx context.Context, st *standing) ([]Caller, error) {
	var rows []struct {
		ActorID string
		Name    string
		Uses    int64
		Last    time.Time
	}
	// An index finds them by object and action.
	err := s.DB.Read().NewRaw(`SELECT u.actor_id, coalesce(o.name, '') AS name, u.uses, u.minute AS last FROM audit_uses AS u LEFT JOIN operators AS o ON o.id = u.actor_id
WHERE u.object_id = ? AND u.action = ? AND u.minute >= ? ORDER BY u.minute DESC LIMIT 20000`, st.ID, usedAction, s.Now().Add(-callersOf).UTC()).Scan(ctx, &rows)
	if err != nil {
		return nil, fmt.Errorf("reading who uses a connection: %w", err)
	}
	var out []Caller
	at := map[string]int{}
	for _, r := range rows {
		i, ok := at[r.ActorID]
		if !ok {
			i = len(out)
			at[r.ActorID] = i
			out = append(out, Caller{ID: r.ActorID, Name: r.Name, Last: r.Last.UTC()})
		}
		out[i].Uses += r.Uses
	}
	return out, nil
}
