package operator

import (
	"context"
	"crypto/sha256"
	"sync"
	"time"

	"gatehouse/internal/audit"
	"gatehouse/internal/sqldb"
)

// KeyTrust is how long a key that was found good is taken as it was: what another
// replica did to it or its owner counts after that at the latest. What this process
// did counts at once.
const KeyTrust = time.Second

// mostKeys bounds the keys that are remembered.
const mostKeys = 10_000

// keyCache remembers keys that were good a moment ago, so that a program that calls
// often costs no look at the database each time.
type keyCache struct {
	mu      sync.Mutex
	byHash  map[[sha256.Size]byte]rememberedKey
	cleared uint64
}

type rememberedKey struct {
	key   Key
	actor audit.Actor // without an address
	at    time.Time
}

// find gives a key that was good a moment ago, and what [keyCache.keep] wants.
func (c *keyCache) find(hash [sha256.Size]byte, now time.Time) (k rememberedKey, ok bool, epoch uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	k, ok = c.byHash[hash]
	return k, ok && now.Sub(k.at).Abs() < KeyTrust, c.cleared
}

// keep remembers a key, unless something changed since the epoch at which it was
// read.
func (c *keyCache) keep(hash [sha256.Size]byte, k rememberedKey, epoch uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if epoch != c.cleared {
		return
	}
	if c.byHash == nil || len(c.byHash) >= mostKeys {
		c.byHash = map[[sha256.Size]byte]rememberedKey{}
	}
	c.byHash[hash] = k
}

func (c *keyCache) clear() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.cleared++
	clear(c.byHash)
}

// alter changes operators, keys, sessions or roles: what was remembered of keys is
// forgotten once it is done.
func (s *Service) alter(ctx context.Context, do func(ctx context.Context, tx *sqldb.Tx) error) error {
	return s.db.Change(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		tx.OnCommit(s.keys.clear)
		return do(ctx, tx)
	})
}
