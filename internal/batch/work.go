package batch

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"gatehouse/internal/audit"
	"gatehouse/internal/jobs"
	"gatehouse/internal/sqldb"
)

// takeAtOnce is how many items are read at once.
const takeAtOnce = 200

// work does a tenant's part of a batch. It bears being started again: what has an
// outcome is not done a second time.
func (s *Service) work(ctx context.Context, a args) error {
	b, err := find(ctx, s.DB.Read(), a.Batch)
	if errors.Is(err, ErrMissing) {
		return nil
	}
	if err != nil {
		return err
	}
	k, known := s.kinds[b.Kind]
	if !known {
		return jobs.Stop(fmt.Errorf("no batch of kind %s is known here", b.Kind))
	}
	var actor audit.Actor
	if err := json.Unmarshal([]byte(b.Actor), &actor); err != nil {
		return jobs.Stop(fmt.Errorf("reading who asked for batch %s: %w", b.ID, err))
	}
	do, err := k.Begin(json.RawMessage(b.Request), b.RequestedBy)
	if err != nil {
		return jobs.Stop(err)
	}
	for {
		items, err := s.open(ctx, b.ID, a.Tenant)
		if err != nil {
			return err
		}
		if len(items) == 0 {
			return s.DB.Change(ctx, func(ctx context.Context, tx *sqldb.Tx) error { return s.end(ctx, tx, b.ID) })
		}
		if err := s.some(audit.With(ctx, actor), b, k, items, do); err != nil {
			return err
		}
	}
}

// open reads items that are to be done; none once the batch was called off.
func (s *Service) open(ctx context.Context, id, tenant string) ([]itemRow, error) {
	var rows []itemRow
	err := s.DB.Read().NewSelect().Model(&rows).Where("batch_id = ? AND tenant_id = ? AND outcome = ''", id, tenant).OrderExpr("seq").Limit(takeAtOnce).Scan(ctx)
	if err != nil {
		return nil, fmt.Errorf("reading a batch: %w", err)
	}
	return rows, nil
}

// some does some items, several at once.
func (s *Service) some(ctx context.Context, b *batchRow, k Kind, items []itemRow, do func(context.Context, Item) (string, string, error)) error {
	next := make(chan itemRow)
	var working sync.WaitGroup
	var mu sync.Mutex
	var failed error
	stop, cancel := context.WithCancel(ctx)
	defer cancel()
	for range min(max(k.Together, 1), len(items)) {
		working.Go(func() {
			for row := range next {
				if err := s.one(ctx, b, row, do); err != nil {
					mu.Lock()
					failed = errors.Join(failed, err)
					mu.Unlock()
					cancel()
				}
			}
		})
	}
feed:
	for _, row := range items {
		select {
		case next <- row:
		case <-stop.Done():
			break feed
		}
	}
	close(next)
	working.Wait()
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	return failed
}

// maxNote bounds what is kept of a reason, in bytes.
const maxNote = 1000

// one does an item and notes the outcome. It has one already if the batch was
// called off.
func (s *Service) one(ctx context.Context, b *batchRow, row itemRow, do func(context.Context, Item) (string, string, error)) error {
	open, err := s.DB.Read().NewSelect().Model((*itemRow)(nil)).Where("batch_id = ? AND seq = ? AND outcome = ''", b.ID, row.Seq).Exists(ctx)
	if err != nil {
		return fmt.Errorf("reading a batch: %w", err)
	}
	if !open {
		return nil
	}
	outcome, note, err := do(ctx, row.item())
	if stopped := context.Cause(ctx); stopped != nil && err != nil {
		return stopped
	}
	var refused *audit.Refused
	switch {
	case errors.As(err, &refused):
		outcome, note = Refused, refused.Error()
	case err != nil:
		outcome, note = Failed, err.Error()
	}
	if len(note) > maxNote {
		note = note[:maxNote] + "…"
	}
	return s.DB.Change(context.WithoutCancel(ctx), func(ctx context.Context, tx *sqldb.Tx) error {
		if _, err := tx.NewRaw("UPDATE batch_items SET outcome = ?, note = ? WHERE batch_id = ? AND seq = ?", outcome, clean(note), b.ID, row.Seq).Exec(ctx); err != nil {
			return fmt.Errorf("noting an outcome: %w", err)
		}
		if !s.tellNow(b.ID) {
			return nil
		}
		return s.Live.Publish(ctx, tx, Topic(b.ID), row.TenantID, map[string]string{"batch": b.ID})
	})
}

// tellNow reports whether pages are to hear of a batch again: once a second is
// enough.
func (s *Service) tellNow(id string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	if now.Sub(s.told[id]) < time.Second {
		return false
	}
	s.told[id] = now
	return true
}

// end closes a batch of which nothing is left to do, and tells pages.
func (s *Service) end(ctx context.Context, tx *sqldb.Tx, id string) error {
	done, err := tx.NewRaw("UPDATE batches SET state = ?, ended_at = ? WHERE id = ? AND state = ? AND NOT EXISTS (SELECT 1 FROM batch_items WHERE batch_id = ? AND outcome = '')",
		Done, s.time(), id, Running, id).Exec(ctx)
	if err != nil {
		return fmt.Errorf("ending a batch: %w", err)
	}
	n, err := done.RowsAffected()
	if err != nil || n == 0 {
		return err
	}
	tx.OnCommit(func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.told, id)
	})
	return s.tell(ctx, tx, id)
}

// tell lets all pages that show a batch read it again.
func (s *Service) tell(ctx context.Context, tx *sqldb.Tx, id string) error {
	var tenants []string
	if err := tx.NewSelect().TableExpr("batch_items").ColumnExpr("DISTINCT tenant_id").Where("batch_id = ?", id).Scan(ctx, &tenants); err != nil {
		return fmt.Errorf("reading a batch: %w", err)
	}
	for _, tenant := range tenants {
		if err := s.Live.Publish(ctx, tx, Topic(id), tenant, map[string]string{"batch": id}); err != nil {
			return err
		}
	}
	return nil
}
