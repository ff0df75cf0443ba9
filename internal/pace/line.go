package pace

import (
	"context"
	"slices"
	"time"
)

// line is where the callers of a scope in this process wait. It takes one slot
// at a time, and decides who gets it only when it has come: so whoever is in a
// hurry overtakes those who came earlier, and no replica hoards slots.
type line struct {
	scope   scope
	waiting []*waiter // people first, otherwise in order of arrival
}

type waiter struct {
	ctx         context.Context
	interactive bool
	turn        chan error // receives once
}

// queue waits for a slot of a paced scope.
func (g *Governor) queue(ctx context.Context, s scope) error {
	w := &waiter{ctx: ctx, interactive: isInteractive(ctx), turn: make(chan error, 1)}
	g.mu.Lock()
	l := g.lines[s.name]
	if l == nil {
		l = &line{scope: s}
		g.lines[s.name] = l
		go g.serve(l)
	}
	at := l.place(w)
	if deadline, ok := ctx.Deadline(); ok {
		if wait := time.Duration(at) * s.interval; time.Until(deadline) < wait {
			g.mu.Unlock()
			return &Busy{Scope: s.name, RetryAfter: wait}
		}
	}
	l.waiting = slices.Insert(l.waiting, at, w)
	g.mu.Unlock()
	select {
	case err := <-w.turn:
		return err
	case <-ctx.Done():
		return context.Cause(ctx) // its place is passed over
	}
}

// place is where a caller belongs in the line.
func (l *line) place(w *waiter) int {
	if !w.interactive {
		return len(l.waiting)
	}
	for i, other := range l.waiting {
		if !other.interactive {
			return i
		}
	}
	return len(l.waiting)
}

// serve hands out slots until nobody waits.
func (g *Governor) serve(l *line) {
	for {
		slot, err := g.slot(l)
		g.mu.Lock()
		l.waiting = slices.DeleteFunc(l.waiting, func(w *waiter) bool { return w.ctx.Err() != nil })
		if err != nil { // for all who wait
			for _, w := range l.waiting {
				w.turn <- err
			}
			l.waiting = nil
		}
		if len(l.waiting) > 0 {
			g.granted(slot)
			l.waiting[0].turn <- nil
			l.waiting = l.waiting[1:]
		}
		if len(l.waiting) == 0 {
			delete(g.lines, l.scope.name)
			g.mu.Unlock()
			return
		}
		g.mu.Unlock()
	}
}

// slot waits for the next slot.
func (g *Governor) slot(l *line) (time.Time, error) {
	// It belongs to all who wait, so none of their contexts ends it; each step
	// is short.
	ctx, cancel := context.WithTimeout(context.Background(), 2*patience)
	defer cancel()
	for {
		slot, wait, ok, err := g.ledger.reserve(ctx, l.scope, patience)
		if err != nil {
			return time.Time{}, err
		}
		if !ok {
			return time.Time{}, &Busy{Scope: l.scope.name, RetryAfter: wait}
		}
		if wait == 0 {
			return slot, nil
		}
		if err := pause(ctx, wait); err != nil {
			return time.Time{}, err
		}
		// Meanwhile another may have been told to wait.
		if left, err := g.ledger.blocked(ctx, l.scope); err != nil || left == 0 {
			return slot, err
		}
	}
}
