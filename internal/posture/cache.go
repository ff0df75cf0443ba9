package posture

import (
	"context"
	"sync"
	"time"

	"gatehouse/internal/microsoft/graph"
)

// Cache keeps the rules of tenants, so that many identities of a tenant are
// judged from one reading. The zero value works. Accounts and apps are read anew
// each time.
type Cache struct {
	// MaxAge is how old rules may be; 0 means five minutes.
	MaxAge time.Duration
	// Now is the clock; nil means the system's.
	Now func() time.Time

	mu      sync.Mutex
	tenants map[string]*cached
}

// cached is a tenant's place in the cache.
type cached struct {
	reading sync.Mutex // whoever comes second waits for the first one's rules
	part    *tenantPart
}

const usualAge = 5 * time.Minute

func (c *Cache) now() time.Time {
	if c.Now == nil {
		return time.Now()
	}
	return c.Now()
}

func (c *Cache) tenant(id string) *cached {
	c.mu.Lock()
	defer c.mu.Unlock()
	t := c.tenants[id]
	if t == nil {
		t = &cached{}
		if c.tenants == nil {
			c.tenants = map[string]*cached{}
		}
		c.tenants[id] = t
	}
	return t
}

// Load gives a snapshot, with the tenant's rules from the cache where they are
// young enough; [Snapshot.TakenAt] is the time of these. A reading that failed,
// or of which a part failed for a reason that passes, is not kept.
func (c *Cache) Load(ctx context.Context, client *graph.Client, tenantID string, want Want) (*Snapshot, error) {
	most := c.MaxAge
	if most == 0 {
		most = usualAge
	}
	return c.Renew(ctx, client, tenantID, want, most)
}

// Renew is [Cache.Load] with rules that are younger than a given age.
func (c *Cache) Renew(ctx context.Context, client *graph.Client, tenantID string, want Want, most time.Duration) (*Snapshot, error) {
	part, err := c.part(ctx, client, c.tenant(tenantID), most)
	if err != nil {
		return nil, err
	}
	return part.with(ctx, client, want)
}

func (c *Cache) part(ctx context.Context, client *graph.Client, t *cached, most time.Duration) (*tenantPart, error) {
	t.reading.Lock()
	defer t.reading.Unlock()
	now := c.now()
	if t.part != nil && now.Sub(t.part.snapshot.TakenAt).Abs() < most {
		return t.part, nil
	}
	part, err := loadTenant(ctx, client, now)
	if err != nil {
		return nil, err
	}
	if !part.snapshot.passing {
		t.part = part
	}
	return part, nil
}
