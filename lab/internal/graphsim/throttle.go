package graphsim

import (
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"gatehouse/lab/internal/directory"
)

// Areas of Graph that have limits of their own ("Microsoft Graph
// service-specific throttling limits"; graph-mfa-posture §12).
const (
	areaConditional = "conditional" // policies, named locations, risk: per tenant, all apps together
	areaReports     = "reports"     // logs and reports: per app and tenant
	areaDirectory   = "directory"   // users, groups, apps, roles: resource units per app and tenant
)

// Limits of the areas.
const (
	reportLimit, reportWindow = 5, 10 * time.Second
	unitWindow                = 10 * time.Second
	writeLimit, writeWindow   = 3000, 150 * time.Second
)

// unitLimit is how many resource units an app may use in ten seconds, by the
// number of the tenant's users.
func unitLimit(users int) int {
	switch {
	case users < 50:
		return 3500
	case users <= 500:
		return 5000
	}
	return 8000
}

// area is the area of a route, "" for one without known limit.
func (t *route) area() string {
	switch t.segments[0] {
	case "auditLogs", "reports":
		return areaReports
	case "users", "groups", "servicePrincipals", "applications", "directoryRoles", "directoryObjects", "directoryRoleTemplates", "oauth2PermissionGrants", "organization", "subscribedSkus", "domains", "roleManagement":
		if len(t.segments) > 2 && t.segments[2] == "authentication" {
			return ""
		}
		return areaDirectory
	}
	if t.throttled {
		return areaConditional
	}
	return ""
}

// costs are the resource units of calls that do not cost one.
var costs = map[string]int{
	"GET users": 2, "GET groups/{id}/members": 3, "GET groups/{id}/transitiveMembers": 5, "POST users/{id}/checkMemberGroups": 4, "POST users/{id}/getMemberGroups": 2,
	"GET users/{id}/transitiveMemberOf": 2, "GET subscribedSkus": 3, "GET oauth2PermissionGrants": 2, "GET servicePrincipals/{id}/appRoleAssignments": 2,
}

// units are the resource units of a request: a write costs one more, $select
// and a small $top one less, $expand one more, and nothing is free.
func (r *request) units() int {
	cost := 1
	if c, known := costs[r.method+" "+r.route.pattern]; known {
		cost = c
	}
	if r.route.writes {
		cost++
	}
	if r.options.has("select") {
		cost--
	}
	if r.options.has("expand") {
		cost++
	}
	if r.options.top > 0 && r.options.top < 20 {
		cost--
	}
	return max(cost, 1)
}

// throttle counts what callers use, in windows that begin with a caller's first
// request.
type throttle struct {
	mu      sync.Mutex
	buckets map[string]bucket
}

type bucket struct {
	since time.Time
	used  int
}

// spend takes from a bucket. It gives what is used now, as a share of the
// limit, and, if the request may not pass, how long until it may.
func (t *throttle) spend(key string, cost, limit int, window time.Duration, now time.Time) (share float64, wait time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	const most = 10_000 // callers that are remembered
	if t.buckets == nil || len(t.buckets) >= most {
		t.buckets = map[string]bucket{}
	}
	b := t.buckets[key]
	if now.Sub(b.since) >= window || now.Before(b.since) {
		b = bucket{since: now}
	}
	if b.used > 0 && b.used+cost > limit {
		return float64(b.used+cost) / float64(limit), b.since.Add(window).Sub(now)
	}
	b.used += cost
	t.buckets[key] = b
	return float64(b.used) / float64(limit), 0
}

// limited holds a request against the limits of its area. It gives headers for
// the answer, or refuses.
func (r *request) limited() (http.Header, error) {
	tenant, app := strings.ToLower(r.claims.TenantID), strings.ToLower(r.claims.AppID)
	calls := &r.server.calls
	on := r.server.cfg.Throttle
	switch r.route.area() {
	case areaConditional:
		if !on {
			return nil, nil
		}
		if _, wait := calls.spend("conditional "+tenant, 1, 1, time.Second, r.now); wait > 0 { // without Retry-After
			return nil, refuse(http.StatusTooManyRequests, "TooManyRequests", "Conditional Access answers one request a second for the whole tenant.")
		}
	case areaReports:
		if !on {
			return nil, nil
		}
		if _, wait := calls.spend("reports "+tenant+" "+app, 1, reportLimit, reportWindow, r.now); wait > 0 {
			return nil, r.tooMany(wait, "Reporting", "RequestLimitExceeded")
		}
	case areaDirectory:
		return r.limitedDirectory(on, tenant, app)
	}
	return nil, nil
}

func (r *request) limitedDirectory(on bool, tenant, app string) (http.Header, error) {
	cost := r.units()
	header := http.Header{"X-Ms-Resource-Unit": {itoa(cost)}}
	if !on {
		return header, nil
	}
	users := 0
	r.server.cfg.Store.View(tenant, func(t *directory.Tenant) { users = len(t.Users) })
	share, wait := r.server.calls.spend("units "+tenant+" "+app, cost, unitLimit(users), unitWindow, r.now)
	if wait > 0 {
		return nil, r.tooMany(wait, "ReadWrite", "ResourceUnitLimitExceeded")
	}
	if r.route.writes {
		writes, wait := r.server.calls.spend("writes "+tenant+" "+app, 1, writeLimit, writeWindow, r.now)
		if wait > 0 {
			return nil, r.tooMany(wait, "Write", "WriteLimitExceeded")
		}
		share = max(share, writes)
	}
	if share >= 0.8 { // the header appears from here on
		header.Set("X-Ms-Throttle-Limit-Percentage", fmt.Sprintf("%.1f", share))
	}
	return header, nil
}

// tooMany refuses with the time to wait, in whole seconds.
func (r *request) tooMany(wait time.Duration, limit, information string) error {
	f := refuse(http.StatusTooManyRequests, "TooManyRequests", "Too many requests; wait as long as Retry-After says.")
	seconds := max(1, int((wait+time.Second-1)/time.Second))
	f.header = http.Header{"Retry-After": {itoa(seconds)}, "X-Ms-Throttle-Information": {information},
		"X-Ms-Throttle-Scope": {"Tenant_Application/" + limit + "/" + r.claims.AppID + "/" + r.claims.TenantID}}
	return f
}

// host is an address without port.
func host(address string) string {
	if name, _, err := net.SplitHostPort(address); err == nil {
		return name
	}
	return address
}
