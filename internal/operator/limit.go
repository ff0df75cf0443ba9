package operator

import (
	"container/list"
	"fmt"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// Limited says that an address has asked too often. Faces answer 429 with
// Retry-After.
type Limited struct{ RetryAfter time.Duration }

// Error says when to try again.
func (l *Limited) Error() string {
	return fmt.Sprintf("too many tries from this address: try again in %s", l.RetryAfter.Round(time.Second)+time.Second)
}

// Limiter bounds how often an address may do something. Every route that asks
// for no sign-in has one. It holds a bounded number of addresses; it counts in
// this process only.
type Limiter struct {
	every time.Duration
	burst int
	size  int
	now   func() time.Time

	mu      sync.Mutex
	buckets map[netip.Prefix]*list.Element
	order   list.List // the bucket used last is in front
}

type bucket struct {
	of   netip.Prefix
	rate *rate.Limiter
}

// LimiterConfig is how often is too often: Burst times at once, and once more
// after each Every.
type LimiterConfig struct {
	Every time.Duration
	Burst int
	Size  int              // addresses that are remembered; 10,000 if 0
	Now   func() time.Time // time.Now if nil
}

// NewLimiter makes a limiter.
func NewLimiter(c LimiterConfig) *Limiter {
	if c.Size == 0 {
		c.Size = 10_000
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	return &Limiter{every: c.Every, burst: c.Burst, size: c.Size, now: c.Now, buckets: map[netip.Prefix]*list.Element{}}
}

// Take counts one try of an address, and gives a *[Limited] if it is one too
// many. Addresses of IPv6 count by their /64, which is what one subscriber has;
// what is not an address counts as one.
func (l *Limiter) Take(address string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.now()
	r := l.bucket(network(address)).ReserveN(now, 1)
	wait := r.DelayFrom(now)
	if wait == 0 {
		return nil
	}
	r.CancelAt(now)
	// Rounded up, so that whoever waits as told is not a moment early.
	return &Limited{RetryAfter: wait.Truncate(time.Millisecond) + time.Millisecond}
}

func (l *Limiter) bucket(of netip.Prefix) *rate.Limiter {
	if e, ok := l.buckets[of]; ok {
		l.order.MoveToFront(e)
		return e.Value.(*bucket).rate
	}
	if len(l.buckets) >= l.size {
		last := l.order.Back()
		delete(l.buckets, last.Value.(*bucket).of)
		l.order.Remove(last)
	}
	b := &bucket{of: of, rate: rate.NewLimiter(rate.Every(l.every), l.burst)}
	l.buckets[of] = l.order.PushFront(b)
	return b.rate
}

func network(address string) netip.Prefix {
	a, err := netip.ParseAddr(address)
	if err != nil {
		withPort, err := netip.ParseAddrPort(address)
		if err != nil {
			return netip.Prefix{}
		}
		a = withPort.Addr()
	}
	a = a.Unmap().WithZone("")
	bits := 32
	if a.Is6() {
		bits = 64
	}
	p, _ := a.Prefix(bits) // bits fit the family
	return p
}
