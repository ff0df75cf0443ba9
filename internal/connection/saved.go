package connection

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/uptrace/bun"

	"gatehouse/internal/audit"
	"gatehouse/internal/fault"
	"gatehouse/internal/sqldb"
)

// SavedFilter is a filter of the list of connections that an operator keeps.
type SavedFilter struct {
	ID        string
	Name      string
	Filter    Filter
	Shared    bool // others may use it
	Mine      bool // the actor's own
	By        string
	CreatedAt time.Time
}

// ErrNoFilter says that there is no such saved filter.
var ErrNoFilter = errors.New("there is no such saved filter")

const (
	maxFilterName = 80
	// maxFilters is how many filters an operator keeps.
	maxFilters = 100
)

type savedRow struct {
	bun.BaseModel `bun:"table:saved_filters,alias:f"`

	ID         string `bun:"id,pk"`
	OperatorID string
	By         string `bun:"by_name,scanonly"`
	TenantID   string // that the filter names, or ''
	Name       string
	Query      string
	Shared     bool
	CreatedAt  time.Time
}

// SaveFilter keeps a filter under a name, in place of the operator's own filter of
// that name.
func (s *Service) SaveFilter(ctx context.Context, name string, f Filter, shared bool) (SavedFilter, error) {
	name = strings.TrimSpace(name)
	var wrong fault.List
	wrong.Text("name", name, maxFilterName)
	if name == "" {
		wrong.Add("name", "is empty", "name the filter, such as Blocked in finance")
	}
	if err := wrong.Err(); err != nil {
		return SavedFilter{}, err
	}
	actor, ok := audit.From(ctx)
	if !ok || actor.Kind != audit.Operator {
		return SavedFilter{}, errors.New("saving a filter: only an operator has filters")
	}
	if err := s.mayFilter(ctx, f); err != nil {
		return SavedFilter{}, err
	}
	r := &savedRow{ID: newID(), OperatorID: actor.ID, TenantID: f.TenantID, Name: name, Query: f.Query().Encode(), Shared: shared, CreatedAt: s.time()}
	err := s.DB.Change(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		if err := s.Audit.Act(ctx, tx, audit.Entry{Permission: audit.ConnectionView, TenantID: actingTenant(ctx, f), Action: "filter.saved", ObjectKind: "filter", ObjectID: r.ID, ObjectName: name, Details: map[string]any{"shared": shared}}); err != nil {
			return err
		}
		n, err := tx.NewSelect().Model((*savedRow)(nil)).Where("operator_id = ? AND name <> ?", actor.ID, name).Count(ctx)
		if err != nil {
			return fmt.Errorf("saving a filter: %w", err)
		}
		if n >= maxFilters {
			return fault.Of("name", fmt.Sprintf("would be the filter number %d", n+1), "remove filters that are no longer used")
		}
		_, err = tx.NewInsert().Model(r).On("CONFLICT (operator_id, name) DO UPDATE").Set("query = EXCLUDED.query, shared = EXCLUDED.shared, tenant_id = EXCLUDED.tenant_id").Exec(ctx)
		if err != nil {
			return fmt.Errorf("saving a filter: %w", err)
		}
		return nil
	})
	if err != nil {
		return SavedFilter{}, err
	}
	all, err := s.SavedFilters(ctx)
	for _, kept := range all {
		if kept.Mine && kept.Name == name {
			return kept, err
		}
	}
	return SavedFilter{}, errors.Join(err, ErrNoFilter)
}

// mayFilter demands that the actor sees the tenant that a filter names.
func (s *Service) mayFilter(ctx context.Context, f Filter) error {
	if f.TenantID == "" {
		return nil
	}
	if _, err := s.Tenants.Directory(ctx, f.TenantID); err != nil {
		return err
	}
	return s.Audit.Allow(ctx, f.TenantID, audit.ConnectionView)
}

// actingTenant is the tenant in whose log a filter is noted: the one that it
// names, or one in which the actor may list connections.
func actingTenant(ctx context.Context, f Filter) string {
	if f.TenantID != "" {
		return f.TenantID
	}
	scope, err := audit.Tenants(ctx, audit.ConnectionView)
	if err == nil && !scope.All && len(scope.IDs) > 0 {
		return scope.IDs[0]
	}
	return audit.AllTenants
}

// SavedFilters gives the actor's own filters, and those that others share, unless
// they name a tenant that the actor may not see.
func (s *Service) SavedFilters(ctx context.Context) ([]SavedFilter, error) {
	scope, err := audit.Tenants(ctx, audit.ConnectionView)
	if err != nil {
		return nil, err
	}
	actor, _ := audit.From(ctx)
	var rows []savedRow
	q := s.DB.Read().NewSelect().Model(&rows).ColumnExpr("f.*, o.name AS by_name").Join("JOIN operators AS o ON o.id = f.operator_id").Where("(f.operator_id = ? OR f.shared)", actor.ID).OrderExpr("f.name, f.id")
	if !scope.All {
		q.Where("f.tenant_id IN (?)", bun.List(append([]string{""}, scope.IDs...)))
	}
	if err := q.Scan(ctx); err != nil {
		return nil, fmt.Errorf("listing saved filters: %w", err)
	}
	out := make([]SavedFilter, 0, len(rows))
	for _, r := range rows {
		q, err := url.ParseQuery(r.Query)
		if err != nil {
			return nil, fmt.Errorf("reading the saved filter %s: %w", r.ID, err)
		}
		f, err := ParseFilter(q)
		if err != nil {
			continue // of another release
		}
		out = append(out, SavedFilter{ID: r.ID, Name: r.Name, Filter: f, Shared: r.Shared, Mine: r.OperatorID == actor.ID, By: r.By, CreatedAt: r.CreatedAt.UTC()})
	}
	return out, nil
}

// SavedFilter gives a saved filter that the actor may use, by id or name; of
// several with the name, the actor's own.
func (s *Service) SavedFilter(ctx context.Context, idOrName string) (SavedFilter, error) {
	all, err := s.SavedFilters(ctx)
	if err != nil {
		return SavedFilter{}, err
	}
	var found *SavedFilter
	for i, f := range all {
		if f.ID == idOrName {
			return f, nil
		}
		if f.Name == idOrName && (found == nil || f.Mine) {
			found = &all[i]
		}
	}
	if found == nil {
		return SavedFilter{}, ErrNoFilter
	}
	return *found, nil
}

// ForgetFilter removes one of the actor's own filters.
func (s *Service) ForgetFilter(ctx context.Context, id string) error {
	f, err := s.SavedFilter(ctx, id)
	if err != nil || !f.Mine {
		return errors.Join(err, ErrNoFilter)
	}
	return s.DB.Change(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		if err := s.Audit.Act(ctx, tx, audit.Entry{Permission: audit.ConnectionView, TenantID: actingTenant(ctx, f.Filter), Action: "filter.removed", ObjectKind: "filter", ObjectID: f.ID, ObjectName: f.Name}); err != nil {
			return err
		}
		if _, err := tx.NewRaw("DELETE FROM saved_filters WHERE id = ?", f.ID).Exec(ctx); err != nil {
			return fmt.Errorf("removing a saved filter: %w", err)
		}
		return nil
	})
}
