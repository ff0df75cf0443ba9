package batch

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/uptrace/bun"

	"gatehouse/internal/audit"
	"gatehouse/internal/sqldb"
	"gatehouse/internal/tenant"
)

// clean makes a text fit for both databases.
func clean(s string) string {
	return strings.ReplaceAll(strings.ToValidUTF8(s, "\uFFFD"), "\x00", "\uFFFD")
}

func (r batchRow) batch() Batch {
	b := Batch{ID: r.ID, Kind: r.Kind, Words: r.Words, Request: json.RawMessage(r.Request), RequestedBy: r.RequestedBy, TenantID: r.TenantID, State: r.State, CreatedAt: r.CreatedAt.UTC(), Outcomes: map[string]int{}}
	if r.EndedAt != nil {
		ended := r.EndedAt.UTC()
		b.EndedAt = &ended
	}
	return b
}

// Get gives a batch as far as the actor may see it: who may see none of its
// connections gets a refusal.
func (s *Service) Get(ctx context.Context, id string) (Batch, error) {
	r, err := find(ctx, s.DB.Read(), id)
	if err != nil {
		return Batch{}, err
	}
	all, err := s.counted(ctx, []batchRow{*r})
	if err != nil {
		return Batch{}, err
	}
	if all[0].Total == 0 {
		return Batch{}, s.hidden(ctx, id)
	}
	return all[0], nil
}

// hidden refuses whoever may see no item of a batch.
func (s *Service) hidden(ctx context.Context, id string) error {
	var tenantID string
	if err := s.DB.Read().NewSelect().TableExpr("batch_items").ColumnExpr("tenant_id").Where("batch_id = ?", id).Limit(1).Scan(ctx, &tenantID); err != nil {
		return ErrMissing
	}
	if err := s.Audit.Allow(ctx, tenantID, audit.ConnectionView); err != nil {
		return err
	}
	return ErrMissing
}

// counted adds to batches how far they are.
func (s *Service) counted(ctx context.Context, rows []batchRow) ([]Batch, error) {
	if len(rows) == 0 {
		return nil, nil
	}
	scope, err := audit.Tenants(ctx, audit.ConnectionView)
	if err != nil {
		return nil, err
	}
	ids, out, at := make([]string, len(rows)), make([]Batch, len(rows)), map[string]*Batch{}
	for i, r := range rows {
		ids[i], out[i] = r.ID, r.batch()
		at[r.ID] = &out[i]
	}
	var counts []struct {
		BatchID, Outcome string
		Count            int
	}
	q := s.DB.Read().NewSelect().TableExpr("batch_items AS i").ColumnExpr("i.batch_id AS batch_id, i.outcome AS outcome, count(*) AS count").Where("i.batch_id IN (?)", bun.List(ids)).GroupExpr("i.batch_id, i.outcome")
	if err := scope.Filter(q, "i.tenant_id").Scan(ctx, &counts); err != nil {
		return nil, fmt.Errorf("counting a batch: %w", err)
	}
	for _, c := range counts {
		b := at[c.BatchID]
		b.Total += c.Count
		if c.Outcome != "" {
			b.Done += c.Count
			b.Outcomes[c.Outcome] += c.Count
		}
	}
	return out, nil
}

// List gives the batches of whose connections the actor may see some, newest first.
func (s *Service) List(ctx context.Context, p tenant.Page) ([]Batch, string, error) {
	scope, err := audit.Tenants(ctx, audit.ConnectionView)
	if err != nil {
		return nil, "", err
	}
	var rows []batchRow
	q := s.DB.Read().NewSelect().Model(&rows)
	if !scope.All {
		if len(scope.IDs) == 0 {
			return nil, "", nil
		}
		q.Where("EXISTS (SELECT 1 FROM batch_items AS i WHERE i.batch_id = b.id AND i.tenant_id IN (?))", bun.List(scope.IDs))
	}
	next, err := tenant.Newest(ctx, q, p, "batches", "b.id", &rows, func(r batchRow) string { return r.ID })
	if err != nil {
		return nil, "", err
	}
	out, err := s.counted(ctx, rows)
	return out, next, err
}

// Items gives a batch's items that the actor may see, in their order; outcome
// narrows them if it is not "".
func (s *Service) Items(ctx context.Context, id, outcome string, p tenant.Page) ([]Item, string, error) {
	if _, err := s.Get(ctx, id); err != nil {
		return nil, "", err
	}
	scope, err := audit.Tenants(ctx, audit.ConnectionView)
	if err != nil {
		return nil, "", err
	}
	var rows []itemRow
	q := scope.Filter(s.DB.Read().NewSelect().Model(&rows), "i.tenant_id").Where("i.batch_id = ?", id).OrderExpr("i.seq").Limit(int64(p.Size()) + 1)
	if outcome != "" {
		q.Where("i.outcome = ?", outcome)
	}
	if p.After != "" {
		place, err := p.Place(1)
		if err != nil {
			return nil, "", err
		}
		seq, _ := strconv.ParseInt(place[0], 10, 64) // 0 is the beginning
		q.Where("i.seq > ?", seq)
	}
	if err := q.Scan(ctx); err != nil {
		return nil, "", fmt.Errorf("listing a batch: %w", err)
	}
	next := ""
	if len(rows) > p.Size() {
		rows = rows[:p.Size()]
		next = tenant.Cursor(strconv.FormatInt(rows[len(rows)-1].Seq, 10))
	}
	out := make([]Item, len(rows))
	for i, r := range rows {
		out[i] = r.item()
	}
	return out, next, nil
}

// Cancel calls a batch off: what is being done is finished, the rest is not begun.
// It takes the permission of the batch in all its tenants.
func (s *Service) Cancel(ctx context.Context, id string) (Batch, error) {
	if _, err := s.Get(ctx, id); err != nil {
		return Batch{}, err
	}
	err := s.DB.Change(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		b, err := find(ctx, tx, id)
		if err != nil {
			return err
		}
		var tenants []string
		if err := tx.NewSelect().TableExpr("batch_items").ColumnExpr("DISTINCT tenant_id").Where("batch_id = ?", id).Scan(ctx, &tenants); err != nil {
			return fmt.Errorf("reading a batch: %w", err)
		}
		for _, t := range tenants {
			e := audit.Entry{Permission: s.kinds[b.Kind].Permission, TenantID: t, Action: "batch.cancelled", ObjectKind: "batch", ObjectID: id, ObjectName: b.Words}
			if err := s.Audit.Act(ctx, tx, e); err != nil {
				return err
			}
		}
		done, err := tx.NewRaw("UPDATE batches SET state = ?, ended_at = ? WHERE id = ? AND state = ?", Cancelled, s.time(), id, Running).Exec(ctx)
		if err != nil {
			return fmt.Errorf("calling off a batch: %w", err)
		}
		if n, err := done.RowsAffected(); err != nil || n == 0 {
			if err == nil {
				err = ErrEnded
			}
			return err
		}
		if _, err := tx.NewRaw("UPDATE batch_items SET outcome = ? WHERE batch_id = ? AND outcome = ''", CalledOff, id).Exec(ctx); err != nil {
			return fmt.Errorf("calling off a batch: %w", err)
		}
		return s.tell(ctx, tx, id)
	})
	if err != nil {
		return Batch{}, err
	}
	return s.Get(ctx, id)
}

// Forget removes batches that ended before a moment. It is for the retention job,
// and asks for no permission.
func (s *Service) Forget(ctx context.Context, before time.Time) error {
	return s.DB.Change(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		if _, err := tx.NewRaw("DELETE FROM batches WHERE ended_at < ?", before.UTC()).Exec(ctx); err != nil {
			return fmt.Errorf("forgetting old batches: %w", err)
		}
		return nil
	})
}
