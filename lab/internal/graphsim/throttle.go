package graphsim

import (
	"net"
	"strings"
	"sync"
	"time"
)

// throttle is the limit of Conditional Access: one request a second and tenant
// for all apps together, refused without Retry-After ("Microsoft Graph
// service-specific throttling limits", identity and access).
type throttle struct {
	mu   sync.Mutex
	last map[string]time.Time
}

// take reports whether a request may pass now.
func (t *throttle) take(tenant string, now time.Time) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	tenant = strings.ToLower(tenant)
	last, called := t.last[tenant]
	if called && now.Sub(last) < time.Second && !now.Before(last) {
		return false
	}
	const most = 10_000 // tenants that are remembered
	if t.last == nil || len(t.last) >= most {
		t.last = map[string]time.Time{}
	}
	t.last[tenant] = now
	return true
}

// host is an address without port.
func host(address string) string {
	if name, _, err := net.SplitHostPort(address); err == nil {
		return name
	}
	return address
}
