package batch

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"github.com/google/uuid"

	"gatehouse/internal/audit"
	"gatehouse/internal/fault"
	"gatehouse/internal/jobs"
	"gatehouse/internal/sqldb"
)

// Request is a batch to begin.
type Request struct {
	Kind    string
	Words   string // what is done, for people: "Add the tag finance"
	Request any    // particulars, as JSON
	Items   []Item
}

// Preview says what a batch would do.
type Preview struct {
	Total   int // items that may be done
	Refused int // those of tenants in which the actor may not do this
	// RefusedNames are some of them.
	RefusedNames []string
}

const fewNames = 20

// Preview says how many items the actor may do this to.
func (s *Service) Preview(ctx context.Context, kind string, items []Item) (Preview, error) {
	k, known := s.kinds[kind]
	if !known {
		return Preview{}, fault.Of("action", "is not known", "use one of "+fmt.Sprint(slices.Sorted(maps.Keys(s.kinds))))
	}
	var p Preview
	for _, i := range items {
		if audit.May(ctx, i.TenantID, k.Permission) {
			p.Total++
			continue
		}
		p.Refused++
		if len(p.RefusedNames) < fewNames {
			p.RefusedNames = append(p.RefusedNames, i.Name)
		}
	}
	return p, nil
}

// insertAtOnce is how many rows one statement inserts.
const insertAtOnce = 500

// Start begins a batch. Items of tenants in which the actor lacks the permission
// are refused, and the others done; if all are refused, so is the batch, with an
// *[audit.Refused]. One audit entry is written for each tenant.
func (s *Service) Start(ctx context.Context, in Request) (Batch, error) {
	p, err := s.Preview(ctx, in.Kind, in.Items)
	switch {
	case err != nil:
		return Batch{}, err
	case len(in.Items) == 0:
		return Batch{}, fault.Of("filter", "lets no connection through", "widen it, or choose connections")
	case len(in.Items) > Most:
		return Batch{}, fault.Of("filter", fmt.Sprintf("lets more than %d connections through", Most), "narrow it")
	case p.Total == 0:
		return Batch{}, s.Audit.Allow(ctx, in.Items[0].TenantID, s.kinds[in.Kind].Permission)
	}
	actor, _ := audit.From(ctx)
	who, err := json.Marshal(actor)
	if err != nil {
		return Batch{}, fmt.Errorf("beginning a batch: %w", err)
	}
	what, err := json.Marshal(in.Request)
	if err != nil {
		return Batch{}, fmt.Errorf("beginning a batch: %w", err)
	}
	row := &batchRow{ID: uuid.Must(uuid.NewV7()).String(), Kind: in.Kind, Words: in.Words, Request: string(what), Actor: string(who), RequestedBy: actor.Name, State: Running, Total: int64(len(in.Items)), CreatedAt: s.time()}
	items, tenants := s.prepare(ctx, row, in.Items)
	err = s.DB.Change(ctx, func(ctx context.Context, tx *sqldb.Tx) error { return s.put(ctx, tx, row, items, tenants) })
	if err != nil {
		return Batch{}, err
	}
	return s.Get(ctx, row.ID)
}

// prepare makes the rows of the items and counts those to be done by tenant.
func (s *Service) prepare(ctx context.Context, b *batchRow, items []Item) (rows []itemRow, tenants map[string]int) {
	k := s.kinds[b.Kind]
	tenants = map[string]int{}
	all := map[string]bool{}
	rows = make([]itemRow, len(items))
	for n, i := range items {
		rows[n] = itemRow{BatchID: b.ID, Seq: int64(n + 1), TenantID: i.TenantID, ObjectID: i.ObjectID, Name: i.Name, Data: string(i.Data), Outcome: i.Outcome, Note: i.Note}
		all[i.TenantID] = true
		switch {
		case i.Outcome != "":
		case audit.May(ctx, i.TenantID, k.Permission):
			tenants[i.TenantID]++
		default:
			least, _ := audit.Least(k.Permission)
			rows[n].Outcome, rows[n].Note = Refused, "this needs the role "+least.String()+" in the tenant"
		}
	}
	if len(all) == 1 {
		b.TenantID = items[0].TenantID
	}
	return rows, tenants
}

func (s *Service) put(ctx context.Context, tx *sqldb.Tx, b *batchRow, items []itemRow, tenants map[string]int) error {
	if _, err := tx.NewInsert().Model(b).Exec(ctx); err != nil {
		return fmt.Errorf("beginning a batch: %w", err)
	}
	for some := range slices.Chunk(items, insertAtOnce) {
		if _, err := tx.NewInsert().Model(&some).Exec(ctx); err != nil {
			return fmt.Errorf("beginning a batch: %w", err)
		}
	}
	for _, tenant := range slices.Sorted(maps.Keys(tenants)) {
		e := audit.Entry{Permission: s.kinds[b.Kind].Permission, TenantID: tenant, Action: "batch.started", ObjectKind: "batch", ObjectID: b.ID, ObjectName: b.Words, Details: map[string]any{"kind": b.Kind, "connections": tenants[tenant]}}
		if err := s.Audit.Act(ctx, tx, e); err != nil {
			return err
		}
		if _, err := s.job.Add(ctx, tx, args{b.ID, tenant}, jobs.Options{Tenant: tenant}); err != nil {
			return err
		}
	}
	if len(tenants) == 0 {
		return s.end(ctx, tx, b.ID)
	}
	return nil
}
