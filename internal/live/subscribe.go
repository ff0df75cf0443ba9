package live

import (
	"context"
	"fmt"
	"time"

	"gatehouse/internal/sqldb"
)

// subscriber is an open page. All of it is guarded by the hub's mu; who sends
// holds it, so that room in the channel, once seen, stays.
type subscriber struct {
	filter Filter
	events chan Event
	// held keeps what arrives while older events are still being read.
	held    []Event
	reading bool
}

// Subscribe gives the events from now on, or, with the id of the last event
// that was seen (Last-Event-ID), from there on. The channel is closed when the
// context ends, and after an event with [Event.Reload]: that comes when the
// subscriber is too slow or the last event is too long ago.
func (h *Hub) Subscribe(ctx context.Context, filter Filter, after string) (<-chan Event, error) {
	s := &subscriber{filter: filter, events: make(chan Event, Buffer+1), reading: after != ""}
	h.mu.Lock()
	h.subscribers[s] = true
	h.mu.Unlock()
	context.AfterFunc(ctx, func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		h.drop(s)
	})
	if after == "" {
		return s.events, nil
	}
	missed, known, err := h.since(ctx, after)
	h.mu.Lock()
	defer h.mu.Unlock()
	if err != nil {
		h.drop(s)
		return nil, err
	}
	s.reading = false
	if !known {
		h.giveUp(s)
		return s.events, nil
	}
	given := map[string]bool{}
	for _, e := range append(missed, s.held...) {
		if !given[e.ID] && filter.matches(e) {
			given[e.ID] = true
			h.offer(s, e)
		}
	}
	s.held = nil
	return s.events, nil
}

// since reads the events after one. Transactions end in another order than
// they wrote, so it begins somewhat earlier.
func (h *Hub) since(ctx context.Context, id string) (events []Event, known bool, err error) {
	var last row
	err = h.db.Read().NewSelect().Model(&last).Where("id = ?", id).Scan(ctx)
	if sqldb.Missing(err) {
		return nil, false, nil
	}
	if err == nil {
		events, known, err = h.from(ctx, last.At.Add(-overlap), id)
	}
	if err != nil {
		return nil, false, fmt.Errorf("reading missed events: %w", err)
	}
	return events, known, nil
}

// maxMissed bounds how many events are read again.
const maxMissed = 5000

// from reads the events from a time on, but for one; complete is false if there
// are more than is sensible to read.
func (h *Hub) from(ctx context.Context, at time.Time, but string) (events []Event, complete bool, err error) {
	var rows []row
	if err := h.db.Read().NewSelect().Model(&rows).Where("at >= ? AND id <> ?", at, but).Order("at", "id").Limit(maxMissed + 1).Scan(ctx); err != nil {
		return nil, false, err
	}
	for _, r := range rows {
		events = append(events, r.event())
	}
	return events, len(rows) <= maxMissed, nil
}

// offer gives an event to a subscriber, or lets it go if it is too slow. It is
// called with mu held.
func (h *Hub) offer(s *subscriber, e Event) {
	if !h.subscribers[s] {
		return
	}
	if s.reading {
		if s.held = append(s.held, e); len(s.held) <= Buffer {
			return
		}
	} else if len(s.events) < Buffer {
		s.events <- e
		return
	}
	h.giveUp(s)
}

// giveUp ends a subscription with the demand to reload; one place in the
// channel is kept for that. It is called with mu held.
func (h *Hub) giveUp(s *subscriber) {
	if h.subscribers[s] {
		s.events <- Event{Reload: true}
		h.drop(s)
	}
}

// drop is called with mu held.
func (h *Hub) drop(s *subscriber) {
	if h.subscribers[s] {
		delete(h.subscribers, s)
		close(s.events)
	}
}
