package connection

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/uptrace/bun"

	"gatehouse/internal/audit"
)

// Standing is how well a connection, a service of a tenant or a tenant is off, the
// worst the highest. The database keeps it beside each connection.
type Standing int

// The standings.
const (
	NothingHere Standing = iota // no connection
	GetsIn
	NotTried // never validated
	Unclear  // the verdict is unknown
	Warns
	Stopped // blocked, failed or parked
)

// OverviewRequest bounds an overview; what lies beyond is counted.
type OverviewRequest struct {
	Tenants int // rows, those in which something is wrong and the others each
}

// Tally counts connections by standing.
type Tally struct {
	Total, Stopped, Warned, Works int
	Unknown, Never                int // unknown, and never validated
	Verdicts                      []Count
}

// Overview sums up all connections that the actor may see.
type Overview struct {
	Tally

	// Wrong are tenants in which not all is well, the worst first; those without
	// any connection come last. Well are the others, by name.
	Wrong, Well           []TenantRow
	WrongCount, WellCount int
}

// TenantRow is a tenant with a cell for each service that its connections are for.
type TenantRow struct {
	ID, Name string
	Standing Standing
	Cells    []Cell `bun:"-"` // in the order of [Services]; all four
}

// Cell is a service of a tenant.
type Cell struct {
	Service  string
	Count    int // connections that are for it
	Standing Standing
	// Verdict, Parked and ConnectionID are of one of those that stand worst.
	Verdict      string
	Parked       bool
	ConnectionID string
}

// Services are all services, in the order in which they are shown.
var Services = []string{Graph, SharePoint, Exchange, BusinessCentral}

// Overview sums up in SQL: its cost does not grow with what is not shown.
func (s *Service) Overview(ctx context.Context, in OverviewRequest) (Overview, error) {
	scope, err := audit.Tenants(ctx, audit.ConnectionView)
	if err != nil {
		return Overview{}, err
	}
	var out Overview
	parts := []func(context.Context, audit.Scope, OverviewRequest, *Overview) error{s.counts, s.rows}
	errs := make([]error, len(parts))
	var reading sync.WaitGroup // each fills in members of its own
	for i, part := range parts {
		reading.Go(func() { errs[i] = part(ctx, scope, in, &out) })
	}
	reading.Wait()
	if err := errors.Join(errs...); err != nil {
		return Overview{}, fmt.Errorf("summing up the connections: %w", err)
	}
	return out, nil
}

// Tally counts the connections of one tenant, or of all with [audit.AllTenants].
func (s *Service) Tally(ctx context.Context, tenantID string) (Tally, error) {
	if err := s.Audit.Allow(ctx, tenantID, audit.ConnectionView); err != nil {
		return Tally{}, err
	}
	var out Tally
	scope := audit.Scope{All: tenantID == audit.AllTenants, IDs: []string{tenantID}}
	if err := s.tally(ctx, scope, &out); err != nil {
		return Tally{}, fmt.Errorf("counting a tenant's connections: %w", err)
	}
	return out, nil
}

func (s *Service) counts(ctx context.Context, scope audit.Scope, _ OverviewRequest, out *Overview) error {
	return s.tally(ctx, scope, &out.Tally)
}

func (s *Service) tally(ctx context.Context, scope audit.Scope, out *Tally) error {
	var groups []struct {
		Verdict string
		Parked  bool
		Count   int
	}
	// Not by the standing, which is generated: SQLite reads whole rows for it.
	q := s.DB.Read().NewSelect().TableExpr("connections AS c").ColumnExpr("c.verdict AS verdict, c.parked AS parked, count(*) AS count").GroupExpr("c.verdict, c.parked").OrderExpr("c.verdict, c.parked")
	if err := scope.Filter(q, "c.tenant_id").Scan(ctx, &groups); err != nil {
		return err
	}
	of := map[string]*int{"works": &out.Works, "": &out.Never, "works_with_warnings": &out.Warned, "blocked": &out.Stopped, "failed": &out.Stopped}
	for _, g := range groups {
		to, known := of[g.Verdict]
		switch {
		case g.Parked:
			to = &out.Stopped
		case !known:
			to = &out.Unknown
		}
		*to += g.Count
		out.Total += g.Count
		if n := len(out.Verdicts); n > 0 && out.Verdicts[n-1].Verdict == g.Verdict { // those that are parked have one too
			out.Verdicts[n-1].Count += g.Count
		} else {
			out.Verdicts = append(out.Verdicts, Count{g.Verdict, g.Count})
		}
	}
	return nil
}

// rows are the tenants with their cells. Which tenants are shown is decided here:
// the database would sort them all twice.
func (s *Service) rows(ctx context.Context, scope audit.Scope, in OverviewRequest, out *Overview) error {
	var all []TenantRow
	q := s.DB.Read().NewSelect().TableExpr("tenants AS t").ColumnExpr("t.id AS id, t.name AS name, coalesce((SELECT max(c.standing) FROM connections AS c WHERE c.tenant_id = t.id), 0) AS standing").OrderExpr("t.name, t.id")
	if err := scope.Filter(q, "t.id").Scan(ctx, &all); err != nil {
		return err
	}
	for _, row := range all {
		if row.Standing == GetsIn {
			out.Well = append(out.Well, row)
		} else {
			out.Wrong = append(out.Wrong, row)
		}
	}
	slices.SortStableFunc(out.Wrong, func(a, b TenantRow) int { return cmp.Compare(b.Standing, a.Standing) })
	out.WrongCount, out.WellCount = len(out.Wrong), len(out.Well)
	out.Wrong, out.Well = out.Wrong[:min(len(out.Wrong), in.Tenants)], out.Well[:min(len(out.Well), in.Tenants)]
	return errors.Join(s.cells(ctx, out.Wrong), s.cells(ctx, out.Well))
}

// cells fills in the cells of some tenants.
func (s *Service) cells(ctx context.Context, rows []TenantRow) error {
	if len(rows) == 0 {
		return nil
	}
	ids, at := make([]string, len(rows)), map[string]*TenantRow{}
	for i := range rows {
		ids[i], at[rows[i].ID] = rows[i].ID, &rows[i]
		for _, name := range Services {
			rows[i].Cells = append(rows[i].Cells, Cell{Service: name})
		}
	}
	var groups []struct {
		TenantID, Verdict, Services, ID string
		Parked                          bool
		Standing                        Standing
		Count                           int
	}
	err := s.DB.Read().NewSelect().TableExpr("connections AS c").ColumnExpr("c.tenant_id AS tenant_id, c.verdict AS verdict, c.parked AS parked, c.standing AS standing, c.services AS services, count(*) AS count, min(c.id) AS id").
		Where("c.tenant_id IN (?)", bun.List(ids)).GroupExpr("c.tenant_id, c.verdict, c.parked, c.standing, c.services").OrderExpr("c.tenant_id, min(c.id)").Scan(ctx, &groups)
	if err != nil {
		return err
	}
	for _, g := range groups {
		for i, name := range Services {
			if cell := &at[g.TenantID].Cells[i]; strings.Contains(g.Services, `"`+name+`"`) {
				cell.Count += g.Count
				if g.Standing > cell.Standing {
					cell.Standing, cell.Verdict, cell.Parked, cell.ConnectionID = g.Standing, g.Verdict, g.Parked, g.ID
				}
			}
		}
	}
	return nil
}
