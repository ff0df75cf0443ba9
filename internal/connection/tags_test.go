package connection_test

import (
	"fmt"
	"slices"
	"sync"
	"testing"
)

// Batches and people who tag a connection at the same time take nothing from each
// other, and none fails.
func TestTagsAtOnce(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		c := h.create(account(h.tenant("a"), "Backup"))
		const tags = 6
		var work sync.WaitGroup
		var want []string
		for i := range tags {
			tag := fmt.Sprintf("t%d", i)
			want = append(want, tag)
			for range 3 {
				work.Go(func() {
					if _, err := h.connections.AddTag(h.boss(), c.ID, tag); err != nil {
						t.Errorf("%s: %v", tag, err)
					}
				})
			}
		}
		work.Wait()
		now, err := h.connections.Get(h.boss(), c.ID)
		if err != nil || !slices.Equal(now.Tags, want) {
			t.Errorf("%v, %v", now.Tags, err)
		}
	})
}
