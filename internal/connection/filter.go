package connection

import (
	"context"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/uptrace/bun"

	"gatehouse/internal/audit"
	"gatehouse/internal/fault"
)

// Filter narrows a list. Empty members do not.
type Filter struct {
	TenantID string
	Verdict  string // [Never] for those that were never validated
	Kind     Kind
	Tag      string
	Service  string
	Parked   string // Yes or No
	Search   string // in name, user name and client id
}

// The values of [Filter.Parked].
const (
	Yes = "yes"
	No  = "no"
)

// filterValues are what members of a filter may be; nil for anything.
var filterValues = []struct {
	name   string
	at     func(*Filter) *string
	values []string
}{
	{"tenant", func(f *Filter) *string { return &f.TenantID }, nil},
	{"verdict", func(f *Filter) *string { return &f.Verdict }, []string{"works", "works_with_warnings", "blocked", "failed", "unknown", Never}},
	{"kind", func(f *Filter) *string { return (*string)(&f.Kind) }, []string{string(Delegated), string(ServiceAccount), string(App)}},
	{"tag", func(f *Filter) *string { return &f.Tag }, nil},
	{"service", func(f *Filter) *string { return &f.Service }, Services},
	{"parked", func(f *Filter) *string { return &f.Parked }, []string{Yes, No}},
	{"search", func(f *Filter) *string { return &f.Search }, nil},
}

const maxFilterValue = 200

// ParseFilter reads a filter as it stands in the address of the list: tenant (an
// id), verdict, kind, tag, service, parked, search. Other members are left alone.
func ParseFilter(q url.Values) (Filter, error) {
	var f Filter
	var wrong fault.List
	for _, m := range filterValues {
		value := strings.TrimSpace(q.Get(m.name))
		switch {
		case len(value) > maxFilterValue:
			wrong.Add(m.name, "is too long", "shorten it")
		case value != "" && m.values != nil && !slices.Contains(m.values, value):
			wrong.Add(m.name, "is none of the known ones", "use one of "+strings.Join(m.values, ", "))
		}
		*m.at(&f) = value
	}
	f.Tag = normal(f.Tag)
	return f, wrong.Err()
}

// Query is the filter as [ParseFilter] reads it.
func (f Filter) Query() url.Values {
	q := url.Values{}
	for _, m := range filterValues {
		if value := *m.at(&f); value != "" {
			q.Set(m.name, value)
		}
	}
	return q
}

func (f Filter) apply(q *bun.SelectQuery, postgres bool) {
	if f.TenantID != "" {
		q.Where("c.tenant_id = ?", f.TenantID)
	}
	switch f.Verdict {
	case "":
	case Never:
		q.Where("c.verdict = ''")
	default:
		q.Where("c.verdict = ?", f.Verdict)
	}
	if f.Kind != "" {
		q.Where("c.kind = ?", f.Kind)
	}
	if f.Tag != "" {
		q.Where("EXISTS (SELECT 1 FROM connection_tags AS g WHERE g.tag = ? AND g.connection_id = c.id)", normal(f.Tag))
	}
	contains := func(column string) string {
		if postgres {
			return "strpos(" + column + ", ?) > 0"
		}
		return "instr(" + column + ", ?) > 0" // several times as fast as LIKE there
	}
	if f.Service != "" {
		q.Where(contains("c.services"), `"`+f.Service+`"`)
	}
	switch f.Parked {
	case Yes:
		q.Where("c.parked")
	case No:
		q.Where("NOT c.parked")
	}
	if f.Search != "" {
		q.Where(contains("c.search"), strings.ToLower(strings.TrimSpace(f.Search)))
	}
}

// Target is a connection that something is to be done to.
type Target struct{ ID, TenantID, Name string }

// Select gives the connections that a filter lets through, of those that the actor
// may see, in the order of tenants; most at most, which is an error if there are
// more.
func (s *Service) Select(ctx context.Context, f Filter, most int) ([]Target, error) {
	scope, err := audit.Tenants(ctx, audit.ConnectionView)
	if err != nil {
		return nil, err
	}
	return s.targets(ctx, most, func(q *bun.SelectQuery) {
		scope.Filter(q, "c.tenant_id")
		f.apply(q, s.DB.Postgres())
	})
}

// Chosen gives connections by id, those that the actor may see; an id that is not
// there is left out.
func (s *Service) Chosen(ctx context.Context, ids []string) ([]Target, error) {
	scope, err := audit.Tenants(ctx, audit.ConnectionView)
	if err != nil || len(ids) == 0 {
		return nil, err
	}
	return s.targets(ctx, len(ids), func(q *bun.SelectQuery) { scope.Filter(q, "c.tenant_id").Where("c.id IN (?)", bun.List(ids)) })
}

func (s *Service) targets(ctx context.Context, most int, narrow func(*bun.SelectQuery)) ([]Target, error) {
	var out []Target
	q := s.DB.Read().NewSelect().TableExpr("connections AS c").ColumnExpr("c.id AS id, c.tenant_id AS tenant_id, c.name AS name").OrderExpr("c.tenant_id, c.name, c.id").Limit(int64(most) + 1)
	narrow(q)
	if err := q.Scan(ctx, &out); err != nil {
		return nil, fmt.Errorf("choosing connections: %w", err)
	}
	if len(out) > most {
		return nil, fault.Of("filter", fmt.Sprintf("lets more than %d connections through", most), "narrow it")
	}
	return out, nil
}

// Matching counts the connections that a filter lets through and the actor may see.
func (s *Service) Matching(ctx context.Context, f Filter) (int, error) {
	scope, err := audit.Tenants(ctx, audit.ConnectionView)
	if err != nil {
		return 0, err
	}
	q := scope.Filter(s.DB.Read().NewSelect().TableExpr("connections AS c"), "c.tenant_id")
	f.apply(q, s.DB.Postgres())
	n, err := q.Count(ctx)
	if err != nil {
		return 0, fmt.Errorf("counting connections: %w", err)
	}
	return int(n), nil
}
