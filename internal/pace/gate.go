package pace

import (
	"context"
	"time"
)

// gate keeps the calls of a paced scope apart as they arrive, not only as they are
// let go: a process that gets little time may send one late, and the next right
// behind it. So one call of this process is under way at a time, and the next one
// begins an interval after its answer.
type gate struct {
	free chan struct{} // holds one thing while nobody is inside
	left time.Time
}

// enter waits for the gate of a paced scope; whoever is inside has to leave it.
func (g *Governor) enter(ctx context.Context, s scope) (leave func(), err error) {
	if s.interval == 0 {
		return func() {}, nil
	}
	g.mu.Lock()
	at := g.gates[s.name]
	if at == nil {
		at = &gate{free: make(chan struct{}, 1)}
		at.free <- struct{}{}
		g.gates[s.name] = at
	}
	g.mu.Unlock()
	select {
	case <-at.free:
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	leave = func() {
		at.left = time.Now()
		at.free <- struct{}{}
	}
	if wait := time.Until(at.left.Add(s.interval)); wait > 0 {
		if err := pause(ctx, wait); err != nil {
			at.free <- struct{}{}
			return nil, err
		}
	}
	return leave, nil
}
