package sts

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"gatehouse/lab/internal/directory"
)

// TestShelf: records end in time, the oldest make room, and the list of names
// does not grow with what was taken away.
func TestShelf(t *testing.T) {
	now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	s := newShelf[int](3)
	for i := range 5 {
		s.put(fmt.Sprint(i), i, now.Add(time.Duration(i)*time.Minute))
	}
	for i, want := range []bool{false, false, false, true, true} {
		if _, ok := s.get(fmt.Sprint(i), now.Add(2*time.Minute)); ok != want {
			t.Errorf("%d: %v", i, ok)
		}
	}
	s.put("4", 44, now.Add(time.Hour))
	var left []int
	s.each(now.Add(30*time.Minute), func(i int) { left = append(left, i) })
	if fmt.Sprint(left) != "[44]" {
		t.Errorf("%v", left)
	}
	for i := range 1000 {
		key := fmt.Sprint("x", i)
		s.put(key, i, now.Add(time.Hour))
		s.drop(key)
	}
	if len(s.order) > 6 || len(s.items) > 3 {
		t.Errorf("%d names, %d items", len(s.order), len(s.items))
	}
	for i := range 10 {
		s.put(fmt.Sprint("y", i), i, now.Add(time.Hour))
	}
	if len(s.items) != 3 {
		t.Errorf("%d items", len(s.items))
	}
}

// TestPlainWords: every permission that an app can ask for reads as words.
func TestPlainWords(t *testing.T) {
	for _, r := range directory.Resources {
		for _, p := range append(append([]directory.Permission{}, r.Scopes...), r.Roles...) {
			words := plainWords(p.Value)
			if len(words) < 8 || strings.Contains(words, "  ") || strings.Contains(words, "all all") || strings.HasPrefix(words, "Use "+p.Value) {
				t.Errorf("%s of %s: %q", p.Value, r.Name, words)
			}
		}
	}
}
