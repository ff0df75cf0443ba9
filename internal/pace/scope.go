package pace

import (
	"strings"
	"time"
)

// Call is what a client is about to send.
type Call struct {
	Service string // as in microsoft.Error: "graph", "login"
	Tenant  string // id or domain
	Path    string // with the version, for Graph: "/v1.0/organization"
}

// scope is what has one limit.
type scope struct {
	name     string
	interval time.Duration // between two calls; 0 for no pace
}

// conditionalAccessInterval keeps to one request a second with something to
// spare for the way there, on which calls may draw nearer to each other.
const conditionalAccessInterval = 1100 * time.Millisecond

// paced are the parts of services with a pace, by the first segments of a path
// after the version.
var paced = []struct {
	service, prefix, scope string
	interval               time.Duration
}{
	{"graph", "identity/conditionalaccess", "graph-ca", conditionalAccessInterval},
	{"graph", "identityprotection", "graph-ca", conditionalAccessInterval},
}

func (c Call) scope() scope {
	tenant := strings.ToLower(c.Tenant)
	path := strings.ToLower(strings.Trim(c.Path, "/"))
	if _, rest, ok := strings.Cut(path, "/"); ok {
		path = rest
	}
	for _, p := range paced {
		if c.Service == p.service && (path == p.prefix || strings.HasPrefix(path, p.prefix+"/")) {
			return scope{name: p.scope + "/" + tenant, interval: p.interval}
		}
	}
	return scope{name: c.Service + "/" + tenant}
}
