package connection

import (
	"context"

	"github.com/uptrace/bun"

	"gatehouse/internal/audit"
)

// Each calls do with each connection that a filter lets through, of those that the
// actor may see, by name.
func (s *Service) Each(ctx context.Context, f Filter, do func(Connection) error) error {
	for p := (Page{Limit: 200}); ; {
		some, next, err := s.List(ctx, f, p)
		if err != nil {
			return err
		}
		for _, c := range some {
			if err := do(c); err != nil {
				return err
			}
		}
		if next == "" {
			return nil
		}
		p.After = next
	}
}

// Check holds what is said of a connection against the rules that hold for all,
// without its credential, which the consumer alone has or which is kept already.
func Check(kind Kind, p Profile, as CredentialKind, tags []string) error {
	p.tidy()
	var f faults
	f.profile(kind, p)
	f.credential(kind, p, CredentialRequest{Kind: as}, as, true)
	if _, err := cleanTags("tags", tags); err != nil {
		if more, ok := err.(Faults); ok { //nolint:errorlint // as cleanTags makes it
			f.Faults = append(f.Faults, more...)
		}
	}
	return f.Err()
}

// Named gives the connections that the actor may see with one of these names or
// ids, in the tenants in which they are.
func (s *Service) Named(ctx context.Context, names, ids []string) ([]Connection, error) {
	scope, err := audit.Tenants(ctx, audit.ConnectionView)
	if err != nil {
		return nil, err
	}
	var out []Connection
	for _, part := range []struct {
		column string
		values []string
	}{{"c.name", names}, {"c.id", ids}} {
		for begin := 0; begin < len(part.values); begin += namedAtOnce {
			var rows []row
			q := scope.Filter(selected(s.DB.Read().NewSelect().Model(&rows)), "c.tenant_id").Where(part.column+" IN (?)", bun.List(part.values[begin:min(begin+namedAtOnce, len(part.values))]))
			if err := q.Scan(ctx); err != nil {
				return nil, err
			}
			for i := range rows {
				c, err := rows[i].connection()
				if err != nil {
					return nil, err
				}
				out = append(out, c)
			}
		}
	}
	for begin := 0; begin < len(out); begin += namedAtOnce {
		if err := s.tagged(ctx, out[begin:min(begin+namedAtOnce, len(out))]); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// namedAtOnce is how many names one statement asks for.
const namedAtOnce = 500
