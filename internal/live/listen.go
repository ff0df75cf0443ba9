package live

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/uptrace/bun"
)

// Run fetches the events of all replicas until the context ends. With SQLite,
// where there is one process, there is nothing to fetch.
func (h *Hub) Run(ctx context.Context) {
	if !h.db.Postgres() {
		close(h.listening)
		<-ctx.Done()
		return
	}
	const shortest, longest = 100 * time.Millisecond, 5 * time.Second
	pause := shortest
	for {
		began := time.Now()
		err := h.listen(ctx)
		if ctx.Err() != nil {
			return
		}
		h.log.Warn("listening for events", "error", err)
		if time.Since(began) > longest {
			pause = shortest
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause):
		}
		pause = min(2*pause, longest)
	}
}

// Listening is closed once the events of other replicas arrive.
func (h *Hub) Listening() <-chan struct{} { return h.listening }

// quiet is after how long without notifications the connection is tried.
const quiet = 30 * time.Second

// listen waits for notifications on a connection of its own.
func (h *Hub) listen(ctx context.Context) error {
	limited, cancel := context.WithTimeout(ctx, quiet)
	defer cancel()
	connection, err := pgx.Connect(limited, h.db.Address())
	if err != nil {
		return fmt.Errorf("connecting to %s: %w", h.db.Name(), err)
	}
	defer func() { _ = connection.Close(context.WithoutCancel(ctx)) }() // it ends with the process at the latest
	if _, err := connection.Exec(limited, "LISTEN "+channel); err != nil {
		return err
	}
	if err := h.catchUp(limited); err != nil {
		return err
	}
	select {
	case <-h.listening:
	default:
		close(h.listening)
	}
	for {
		ids, err := gather(ctx, connection)
		if err != nil {
			return err
		}
		if err := h.fetch(ctx, connection, ids); err != nil {
			return err
		}
	}
}

// gather waits for a notification and takes those that come with it; none when
// all was quiet.
func gather(ctx context.Context, connection *pgx.Conn) ([]string, error) {
	var ids []string
	for wait := quiet; len(ids) < 500; wait = time.Millisecond {
		limited, cancel := context.WithTimeout(ctx, wait)
		n, err := connection.WaitForNotification(limited)
		cancel()
		switch {
		case ctx.Err() != nil:
			return nil, ctx.Err()
		case errors.Is(err, context.DeadlineExceeded):
			return ids, nil
		case err != nil:
			return nil, err
		}
		ids = append(ids, n.Payload)
	}
	return ids, nil
}

// fetch reads the events that notifications named. Without any it makes sure
// that the connection still lives and that nothing was missed.
func (h *Hub) fetch(ctx context.Context, connection *pgx.Conn, ids []string) error {
	limited, cancel := context.WithTimeout(ctx, quiet)
	defer cancel()
	if len(ids) == 0 {
		if err := connection.Ping(limited); err != nil {
			return err
		}
		return h.catchUp(limited)
	}
	var rows []row
	if err := h.db.Read().NewSelect().Model(&rows).Where("id IN (?)", bun.List(ids)).Order("at", "id").Scan(limited); err != nil {
		return err
	}
	for _, r := range rows {
		h.pass(r.event())
	}
	return nil
}

// catchUp passes on what came while nobody listened.
func (h *Hub) catchUp(ctx context.Context) error {
	h.mu.Lock()
	from := h.newest.Add(-overlap)
	h.mu.Unlock()
	events, complete, err := h.from(ctx, from, "")
	if err != nil {
		return err
	}
	h.pass(events...)
	if !complete {
		h.mu.Lock()
		defer h.mu.Unlock()
		h.newest = time.Now()
		for s := range h.subscribers {
			h.giveUp(s)
		}
	}
	return nil
}
