package graph

import (
	"context"
	"net/http"
	"strings"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
)

// Governor spaces the calls to Conditional Access: Graph lets one request a
// second and tenant through to policies and named locations, for all apps
// together, and refuses others without Retry-After (graph-mfa-posture §12). A
// tenant has one Governor, shared by all clients that reach it.
type Governor struct {
	now  func() time.Time
	wait func(context.Context, time.Duration) error
	turn chan struct{} // holds one token while nobody calls
	last time.Time     // when the last call was answered
}

// NewGovernor gives a governor with a clock and a way to wait; nil means the
// system's.
func NewGovernor(now func() time.Time, wait func(context.Context, time.Duration) error) *Governor {
	if now == nil {
		now = time.Now
	}
	if wait == nil {
		wait = sleep
	}
	g := &Governor{now: now, wait: wait, turn: make(chan struct{}, 1)}
	g.turn <- struct{}{}
	return g
}

// gap is the time between the end of one call and the begin of the next.
const gap = time.Second

// sleep waits, or ends with the context's error.
func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// Do is a step of the pipeline behind the retries, so that these are spaced
// too.
func (g *Governor) Do(r *policy.Request) (*http.Response, error) {
	if !spaced(r.Raw().URL.Path) {
		return r.Next()
	}
	ctx := r.Raw().Context()
	select {
	case <-g.turn:
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	defer func() { g.turn <- struct{}{} }()
	// A clock that was set back must not keep anybody waiting for hours.
	if left := gap - g.now().Sub(g.last); !g.last.IsZero() && left > 0 {
		if err := g.wait(ctx, min(left, gap)); err != nil {
			return nil, err
		}
	}
	defer func() { g.last = g.now() }()
	return r.Next()
}

// spaced reports whether a call counts against the limit of Conditional
// Access.
func spaced(path string) bool {
	for _, set := range []string{"/identity/conditionalAccess/policies", "/identity/conditionalAccess/namedLocations"} {
		if strings.Contains(path, set) {
			return true
		}
	}
	return false
}
