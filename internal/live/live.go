// Package live tells open pages what has changed, whichever replica changed it.
//
// An event is published in the transaction of the change and reaches every
// subscriber that may see its tenant once that is committed, through
// PostgreSQL's notifications, which carry the event's id, or within the process
// with SQLite. Events are kept for some minutes, so that a page whose connection
// broke goes on where it was.
//
// Events are hints: a page reads again what an event names. One may arrive
// twice, or out of order with others of the same moment; none is lost without
// the subscriber hearing [Event.Reload].
package live

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/uptrace/bun"

	"gatehouse/internal/sqldb"
)

// Event says that something changed.
type Event struct {
	ID     string
	At     time.Time
	Topic  string          // what kind of thing: "job", "connection"
	Tenant string          // '' for what belongs to no tenant, or to several
	Data   json.RawMessage // small: ids, a state

	// Reload is set on the last event of a subscription that could not be given
	// all: the page has to read everything again and subscribe anew.
	Reload bool

	tenants []string // to which it belongs, in order
}

// Filter chooses events.
type Filter struct {
	// Tenants are those whose events may be seen. AllTenants shows all, and
	// those of no tenant.
	Tenants    []string
	AllTenants bool
	Topics     []string // all if empty
}

func (f Filter) matches(e Event) bool {
	return (f.AllTenants || slices.ContainsFunc(f.Tenants, e.of)) && (len(f.Topics) == 0 || slices.Contains(f.Topics, e.Topic))
}

// of reports whether an event belongs to a tenant.
func (e Event) of(tenant string) bool {
	_, found := slices.BinarySearch(e.tenants, tenant)
	return found
}

// Bounds.
const (
	// Buffer is how many events a subscriber may be behind.
	Buffer = 64
	// maxData bounds the data of an event, in bytes.
	maxData = 4 << 10
	// keep is how long events can be caught up with.
	keep = 10 * time.Minute
	// overlap is how much longer than others a transaction may take from its
	// publishing to its commit, without its event being missed when catching up.
	overlap = 30 * time.Second
	// leastRoom is how many ids of events are kept without looking for old ones.
	leastRoom = 1000
)

// Config is what a [Hub] needs.
type Config struct {
	DB *sqldb.DB
	// Log hears of a connection that broke; nothing is logged if nil.
	Log *slog.Logger
}

// Hub passes events on within a process. [Hub.Run] fetches those of other
// replicas.
type Hub struct {
	db  *sqldb.DB
	log *slog.Logger

	mu          sync.Mutex
	subscribers map[*subscriber]bool
	seen        map[string]time.Time // ids that were passed on lately
	room        int                  // how many of them there may be before old ones are looked for
	newest      time.Time            // of those, by the database's clock
	listening   chan struct{}        // closed once notifications arrive
}

// New gives a hub.
func New(cfg Config) *Hub {
	h := &Hub{db: cfg.DB, log: cfg.Log, subscribers: map[*subscriber]bool{}, seen: map[string]time.Time{}, room: leastRoom, newest: time.Now(), listening: make(chan struct{})}
	if h.log == nil {
		h.log = slog.New(slog.DiscardHandler)
	}
	return h
}

type row struct {
	bun.BaseModel `bun:"table:live_events"`
	ID            string
	At            time.Time
	Topic         string
	TenantID      string // several with blanks between them, in order
	Data          string
}

func (r row) event() Event {
	e := Event{ID: r.ID, At: r.At.UTC(), Topic: r.Topic, Data: json.RawMessage(r.Data), tenants: strings.Fields(r.TenantID)}
	if len(e.tenants) == 1 {
		e.Tenant = r.TenantID
	}
	return e
}

// channel is the name of PostgreSQL's notifications.
const channel = "gatehouse_live"

// Publish announces a change in its own transaction. The data is encoded as
// JSON and holds no secrets and nothing that who may see the tenant may not see.
func (h *Hub) Publish(ctx context.Context, tx *sqldb.Tx, topic, tenant string, data any) error {
	return h.PublishAmong(ctx, tx, topic, []string{tenant}, data)
}

// PublishAmong is [Hub.Publish] for what belongs to several tenants: whoever may see
// one of them hears of it, once, and not of which the others are.
func (h *Hub) PublishAmong(ctx context.Context, tx *sqldb.Tx, topic string, tenants []string, data any) error {
	encoded, err := json.Marshal(data)
	if err != nil {
		return fmt.Errorf("publishing %s: %w", topic, err)
	}
	if len(encoded) > maxData {
		return fmt.Errorf("publishing %s: the data has %d bytes, at most %d are allowed: name things by id", topic, len(encoded), maxData)
	}
	id, err := uuid.NewV7()
	if err != nil {
		return fmt.Errorf("publishing %s: %w", topic, err)
	}
	tenants = slices.Sorted(slices.Values(tenants))
	r := row{ID: id.String(), Topic: topic, TenantID: strings.Join(slices.Compact(tenants), " "), Data: string(encoded)}
	if err := tx.NewRaw("INSERT INTO live_events (id, at, topic, tenant_id, data) VALUES (?, ?, ?, ?, ?) RETURNING at",
		r.ID, h.db.Clock(time.Now, 0), r.Topic, r.TenantID, r.Data).Scan(ctx, &r.At); err != nil {
		return fmt.Errorf("publishing %s: %w", topic, err)
	}
	if !h.db.Postgres() {
		tx.OnCommit(func() { h.pass(r.event()) })
		return nil
	}
	if _, err := tx.NewRaw("SELECT pg_notify(?, ?)", channel, r.ID).Exec(ctx); err != nil {
		return fmt.Errorf("publishing %s: %w", topic, err)
	}
	return nil
}

// pass hands events to the subscribers, each once as far as is known.
func (h *Hub) pass(events ...Event) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, e := range events {
		if _, known := h.seen[e.ID]; known {
			continue
		}
		h.seen[e.ID] = e.At
		if e.At.After(h.newest) {
			h.newest = e.At
		}
		for s := range h.subscribers {
			if s.filter.matches(e) {
				h.offer(s, e)
			}
		}
	}
	if len(h.seen) > h.room {
		for id, at := range h.seen {
			if at.Before(h.newest.Add(-2 * overlap)) {
				delete(h.seen, id)
			}
		}
		// Where many are lately, not each event looks through all of them.
		h.room = max(leastRoom, 2*len(h.seen))
	}
}

// Clean deletes events that nobody catches up with any more. It is due every
// few minutes.
func (h *Hub) Clean(ctx context.Context) error {
	err := h.db.Change(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		_, err := tx.NewRaw("DELETE FROM live_events WHERE at < ?", h.db.Clock(time.Now, -keep)).Exec(ctx)
		return err
	})
	if err != nil {
		return fmt.Errorf("deleting old events: %w", err)
	}
	return nil
}
