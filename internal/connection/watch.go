package connection

import (
	"context"
	"fmt"

	"gatehouse/internal/diagnosis"
	"gatehouse/internal/sqldb"
)

// Watch is told, in the transaction of the change, of what may change which
// connections work. Both members are given, or neither.
type Watch struct {
	// Changed is called with a connection as it is after a validation, or after it
	// was parked, taken out of park or given another credential.
	Changed func(ctx context.Context, tx *sqldb.Tx, c Connection, found *Found) error
	// Left is called before connections are removed or put aside with their tenant.
	Left func(ctx context.Context, tx *sqldb.Tx, l Leaving) error
}

// Found is what a validation found out; nil where there was none.
type Found struct {
	Diagnosis *diagnosis.Diagnosis // nil where it works, or nothing is known
	// Service is where the diagnosis comes from: login, or one of the services.
	Service string
}

// Leaving is a connection, or all of a tenant, that are not looked after any
// more.
type Leaving struct {
	ConnectionID string // "": all of the tenant
	TenantID     string
	Paused       bool // with the tenant; otherwise removed
	TenantToo    bool // the tenant is removed as well
}

// Observe makes the watch known. It is called once, before anything else is.
func (s *Service) Observe(w Watch) { s.watch = w }

func (s *Service) changed(ctx context.Context, tx *sqldb.Tx, id string, found *Found) error {
	if s.watch.Changed == nil {
		return nil
	}
	r, err := find(ctx, tx, id)
	if err != nil {
		return err
	}
	c, err := r.connection()
	if err != nil {
		return err
	}
	return s.watch.Changed(ctx, tx, c, found)
}

func (s *Service) left(ctx context.Context, tx *sqldb.Tx, l Leaving) error {
	if s.watch.Left == nil {
		return nil
	}
	return s.watch.Left(ctx, tx, l)
}

// pausedAll is [tenant.Connections].Paused.
func (s *Service) pausedAll(ctx context.Context, tx *sqldb.Tx, tenantID string) error {
	return s.left(ctx, tx, Leaving{TenantID: tenantID, Paused: true})
}

// Unfollowed gives connections that are stopped and that a table of another
// feature does not name, in tenants that are not paused, so many at most. The
// table has columns connection_id and until, which is null while it counts. It is
// for jobs, which make up for what happened while nobody watched.
func (s *Service) Unfollowed(ctx context.Context, table string, most int) ([]Connection, error) {
	var rows []row
	err := selected(s.DB.Read().NewSelect().Model(&rows)).Where("c.standing = ? AND NOT t.paused", Stopped).
		Where("NOT EXISTS (SELECT 1 FROM " + table + " AS f WHERE f.connection_id = c.id AND f.until IS NULL)").OrderExpr("c.tenant_id, c.id").Limit(int64(most)).Scan(ctx)
	if err != nil {
		return nil, fmt.Errorf("looking for connections that are stopped: %w", err)
	}
	out := make([]Connection, len(rows))
	for i := range rows {
		if out[i], err = rows[i].connection(); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// Reload reads a connection again within a transaction, which holds it until its
// end; [ErrMissing] if it is gone.
func (s *Service) Reload(ctx context.Context, tx *sqldb.Tx, id string) (Connection, error) {
	if _, err := tx.NewRaw("UPDATE connections SET version = version WHERE id = ?", id).Exec(ctx); err != nil {
		return Connection{}, fmt.Errorf("holding a connection: %w", err)
	}
	r, err := find(ctx, tx, id)
	if err != nil {
		return Connection{}, err
	}
	return r.connection()
}
