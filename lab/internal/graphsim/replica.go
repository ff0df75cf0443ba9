package graphsim

import (
	"slices"
	"strings"
	"sync"
	"time"
)

// replicas remembers how objects looked before changes that not every replica
// of the directory has seen yet: [Config.ReplicationDelay]. Reading shows the
// older form meanwhile, writing works on the newer one, as the first replica
// does ("Writes are eventually consistent", graph-mfa-posture §0). Only objects
// lag: who is in a group, and what was deleted, is known at once.
type replicas struct {
	mu   sync.Mutex
	held map[string][]lagging // by tenant and id, oldest change first
}

// lagging is the form of an object until a time; before is nil for one that
// did not exist.
type lagging struct {
	until  time.Time
	before map[string]any
}

const maxLagging = 10_000 // objects that are remembered

func replicaKey(tenant, id string) string { return strings.ToLower(tenant + "/" + id) }

// note remembers a change. The journal's kinds are types of Graph, ids of
// different types do not collide.
func (p *replicas) note(tenant, id string, l lagging) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.held == nil || len(p.held) >= maxLagging {
		p.held = map[string][]lagging{}
	}
	key := replicaKey(tenant, id)
	p.held[key] = append(slices.Clone(p.held[key]), l)
}

func (p *replicas) forget(tenant, id string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.held, replicaKey(tenant, id))
}

// older gives the oldest form that readers still see.
func (p *replicas) older(tenant, id string, now time.Time) (lagging, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	key := replicaKey(tenant, id)
	for i, l := range p.held[key] {
		if now.Before(l.until) {
			p.held[key] = p.held[key][i:]
			return l, true
		}
	}
	delete(p.held, key)
	return lagging{}, false
}

// lagged reports whether the request reads from a replica.
func (r *request) lagged() bool {
	return r.route != nil && !r.route.writes && r.server.cfg.ReplicationDelay > 0
}

// lag gives the form in which a reader sees the object, false for the one that
// it has.
func (r *request) lag(it item) (lagging, bool) {
	if !r.lagged() || it.typ.byName["id"] == nil {
		return lagging{}, false
	}
	return r.server.replicas.older(r.tenant.ID, r.idOf(it), r.now)
}

// replicated leaves out what readers do not see yet.
func (r *request) replicated(all []item) []item {
	if !r.lagged() {
		return all
	}
	return slices.DeleteFunc(slices.Clone(all), func(it item) bool {
		l, lags := r.lag(it)
		return lags && l.before == nil
	})
}

// lags notes a change that has just been made.
func (r *request) lags(c *change) {
	delay := r.server.cfg.ReplicationDelay
	id := r.idOf(c.it)
	switch {
	case delay <= 0:
	case c.operation == "Delete":
		r.server.replicas.forget(r.tenant.ID, id)
	case c.operation == "Add" || c.before != nil:
		r.server.replicas.note(r.tenant.ID, id, lagging{r.now.Add(delay), c.before})
	}
}
