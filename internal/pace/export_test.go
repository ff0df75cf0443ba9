package pace

import (
	"context"
	"time"
)

// WaitFor waits in a scope with a pace of the test's own.
func (g *Governor) WaitFor(ctx context.Context, name string, interval time.Duration) error {
	return g.wait(ctx, scope{name: name, interval: interval})
}

// OnGrant is told each slot that was handed out.
func (g *Governor) OnGrant(f func(slot time.Time)) { g.granted = f }

// ScopeOf names a call's scope.
func ScopeOf(c Call) (string, time.Duration) { s := c.scope(); return s.name, s.interval }
