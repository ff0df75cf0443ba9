package graphsim

import (
	"slices"
	"sync"
	"time"

	"gatehouse/lab/internal/directory"
)

// reports holds the snapshots from which the report of registered methods is
// answered while it lags behind the directory.
type reports struct {
	mu   sync.Mutex
	held map[string]*report // by tenant
}

type report struct {
	at    time.Time
	users []*directory.User
}

// refresh gives a tenant's snapshot and takes a new one if the last is older
// than the lag. Writes call it, too: what they change must not be in it. The
// caller holds the store's lock.
func (s *reports) refresh(t *directory.Tenant, now time.Time, lag time.Duration) *report {
	if lag <= 0 {
		return &report{now, t.Users}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if last := s.held[t.ID]; last != nil && now.Sub(last.at) < lag && !now.Before(last.at) {
		return last
	}
	fresh := &report{at: now}
	for _, u := range t.Users {
		kept := *u
		kept.Methods = slices.Clone(u.Methods)
		fresh.users = append(fresh.users, &kept)
	}
	if s.held == nil {
		s.held = map[string]*report{}
	}
	s.held[t.ID] = fresh
	return fresh
}
