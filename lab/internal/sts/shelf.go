package sts

import (
	"crypto/rand"
	"encoding/base64"
	"time"
)

// shelf keeps records for a while: each until its time, and no more than a
// number of them, of which the oldest goes first. Its owner locks.
type shelf[T any] struct {
	most  int
	items map[string]kept[T]
	order []string // oldest first; may name items that are gone
}

type kept[T any] struct {
	value T
	until time.Time
}

func newShelf[T any](most int) *shelf[T] {
	return &shelf[T]{most: most, items: map[string]kept[T]{}}
}

func (s *shelf[T]) put(key string, value T, until time.Time) {
	if _, known := s.items[key]; !known {
		for len(s.items) >= s.most {
			delete(s.items, s.order[0])
			s.order = s.order[1:]
		}
		if len(s.order) >= 2*s.most { // as many names without an item as with one
			live := make([]string, 0, s.most)
			for _, k := range s.order {
				if _, ok := s.items[k]; ok {
					live = append(live, k)
				}
			}
			s.order = live
		}
		s.order = append(s.order, key)
	}
	s.items[key] = kept[T]{value, until}
}

// get gives a record that is there and in time.
func (s *shelf[T]) get(key string, now time.Time) (T, bool) {
	item, ok := s.items[key]
	if !ok || !now.Before(item.until) {
		var none T
		return none, false
	}
	return item.value, true
}

func (s *shelf[T]) drop(key string) { delete(s.items, key) }

// each calls fn with every record in time, oldest first.
func (s *shelf[T]) each(now time.Time, fn func(T)) {
	for _, key := range s.order {
		if v, ok := s.get(key, now); ok {
			fn(v)
		}
	}
}

// unguessable makes a random name for a record that a browser or client holds.
func unguessable() string {
	b := make([]byte, 32)
	_, _ = rand.Read(b) // never fails: crypto/rand ends the process instead
	return base64.RawURLEncoding.EncodeToString(b)
}
