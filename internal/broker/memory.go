package broker

import (
	"container/list"
	"context"
	"sync"
	"time"

	"gatehouse/internal/microsoft/login"
)

// Trust is how long what is known of a connection is taken as it is, without a look
// at the database. Live events cut it short.
const Trust = 5 * time.Second

// Bounds of what is kept in memory.
const (
	mostConnections = 5000
	mostResources   = 16 // of one connection, under the names that callers give
)

// target is what a token is for: a resource, and software that can answer claims
// challenges ([Ask].CAE), or that cannot. The two are kept apart: who cannot would be
// refused with a token that says they can, and it lasts longer.
type target struct {
	resource string // its URI, or in memory the name that a caller gives it
	cae      bool
}

// kept is a token that can be given out again.
type kept struct {
	token     login.Token // Expires by the service's clock
	target                // with the URI
	claims    string      // digest of the challenge that it answers
	gotAt     time.Time
	refreshAt time.Time // from when on another one is had, if the service may be asked
	checked   time.Time // when it was held against the database, by the machine's clock
}

// good reports whether a token lasts long enough to be given to somebody.
func (k *kept) good(now time.Time) bool { return k != nil && k.token.Expires.Sub(now) >= least }

// least is what a token has left, at least, when it is given out: time for the
// caller to send it.
const least = 10 * time.Second

// known is what memory has of a connection.
type known struct {
	id, tenantID string
	state        string
	tokens       map[target]*kept // under the names that callers use
}

// memory keeps tokens of the connections that were used last.
type memory struct {
	mu    sync.Mutex
	byID  map[string]*list.Element // of *known
	order *list.List               // the latest first
	drops uint64
	trust time.Duration
}

func newMemory() *memory {
	return &memory{byID: map[string]*list.Element{}, order: list.New(), trust: Trust}
}

// find gives a token for a resource under the name that a caller uses; nil if there
// is none, or it has to be held against the database first.
func (m *memory) find(id string, t target) (k *kept, tenantID, state string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	e := m.byID[id]
	if e == nil {
		return nil, "", ""
	}
	c := e.Value.(*known)
	if k = c.tokens[t]; k == nil || time.Since(k.checked) >= m.trust {
		return nil, "", ""
	}
	m.order.MoveToFront(e)
	return k, c.tenantID, c.state
}

// epoch is given to [memory.put] with what was read afterwards.
func (m *memory) epoch() uint64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.drops
}

// put keeps a token under names, unless something was dropped since an epoch: what
// was read before may be what was dropped.
func (m *memory) put(epoch uint64, st *standing, k *kept, names ...target) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if epoch != m.drops {
		return
	}
	e := m.byID[st.ID]
	if e == nil {
		e = m.order.PushFront(&known{id: st.ID})
		m.byID[st.ID] = e
	}
	c := e.Value.(*known)
	if len(c.tokens) >= mostResources || c.tokens == nil {
		c.tokens = map[target]*kept{}
	}
	c.tenantID, c.state = st.TenantID, st.State
	for _, name := range names {
		c.tokens[name] = k
	}
	for m.order.Len() > mostConnections {
		last := m.order.Remove(m.order.Back()).(*known)
		delete(m.byID, last.id)
	}
}

// drop forgets a connection, all of a tenant, or everything.
func (m *memory) drop(id, tenantID string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.drops++
	if e := m.byID[id]; e != nil {
		m.order.Remove(e)
		delete(m.byID, id)
	}
	if id != "" {
		return
	}
	for id, e := range m.byID {
		if tenantID == "" || e.Value.(*known).tenantID == tenantID {
			m.order.Remove(e)
			delete(m.byID, id)
		}
	}
}

// locks let one caller at a time do something about a connection.
type locks struct {
	mu   sync.Mutex
	held map[string]*lock
}

type lock struct {
	free  chan struct{} // holds one token while nobody has the lock
	users int
}

func (l *locks) enter(id string) *lock {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.held == nil {
		l.held = map[string]*lock{}
	}
	k := l.held[id]
	if k == nil {
		k = &lock{free: make(chan struct{}, 1)}
		k.free <- struct{}{}
		l.held[id] = k
	}
	k.users++
	return k
}

func (l *locks) leave(id string, k *lock) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if k.users--; k.users == 0 {
		delete(l.held, id)
	}
}

// take waits for the lock; the function that it gives lets it go.
func (l *locks) take(ctx context.Context, id string) (func(), error) {
	k := l.enter(id)
	select {
	case <-k.free:
		return func() { k.free <- struct{}{}; l.leave(id, k) }, nil
	case <-ctx.Done():
		l.leave(id, k)
		return nil, ctx.Err()
	}
}

// busy reports whether somebody has the lock.
func (l *locks) busy(id string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.held[id] != nil
}
