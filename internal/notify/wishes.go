package notify

import (
	"context"
	"fmt"
	"slices"

	"github.com/uptrace/bun"

	"gatehouse/internal/audit"
	"gatehouse/internal/fault"
	"gatehouse/internal/operator"
	"gatehouse/internal/sqldb"
)

// Wish is what an operator wants to hear by mail.
type Wish struct {
	Kinds   []string
	Tenants []string // empty for all that they may see
	// Normal: nothing was chosen, so the defaults of the role hold.
	Normal bool
	// Address is where it goes.
	Address string
}

// wishes are what operators have chosen, by id.
type wishes map[string]Wish

// of is what an operator wants, or what the defaults say for the role in a
// tenant: administrators hear of what somebody has to act on, others of nothing.
func (w wishes) of(o *operator.Operator, tenantID string) Wish {
	if chosen, ok := w[o.ID]; ok {
		return chosen
	}
	normal := Wish{Kinds: []string{}, Tenants: []string{}, Normal: true}
	if (audit.Actor{Roles: o.Roles}).Role(tenantID) == audit.Administrator {
		for _, k := range Kinds {
			if k.Normal {
				normal.Kinds = append(normal.Kinds, k.Name)
			}
		}
	}
	return normal
}

func (w Wish) covers(kind, tenantID string) bool { return covers(w.Kinds, w.Tenants, kind, tenantID) }

// wishes reads what operators have chosen.
func (s *Service) wishes(ctx context.Context, db bun.IDB, of []*operator.Operator) (wishes, error) {
	out := wishes{}
	if len(of) == 0 {
		return out, nil
	}
	ids := make([]string, len(of))
	for i, o := range of {
		ids[i] = o.ID
	}
	var rows []subscriptionRow
	if err := db.NewSelect().Model(&rows).Where("operator_id IN (?)", bun.List(ids)).Scan(ctx); err != nil {
		return nil, fmt.Errorf("reading who wants which notices: %w", err)
	}
	for _, r := range rows {
		kinds, err := texts(r.Kinds)
		if err != nil {
			return nil, err
		}
		tenants, err := texts(r.Tenants)
		if err != nil {
			return nil, err
		}
		out[r.OperatorID] = Wish{Kinds: kinds, Tenants: tenants}
	}
	return out, nil
}

// Wish is what the actor, an operator, hears by mail.
func (s *Service) Wish(ctx context.Context) (Wish, error) {
	o, err := s.me(ctx)
	if err != nil {
		return Wish{}, err
	}
	chosen, err := s.wishes(ctx, s.DB.Read(), []*operator.Operator{o})
	if err != nil {
		return Wish{}, err
	}
	w := chosen.of(o, audit.AllTenants)
	if w.Normal { // an administrator of some tenants hears of these
		for _, role := range o.Roles {
			if role == audit.Administrator {
				w = wishes{}.of(&operator.Operator{Roles: map[string]audit.Role{audit.AllTenants: role}}, audit.AllTenants)
			}
		}
	}
	w.Address = o.Email
	return w, nil
}

// me is the operator who acts. Others have no address.
func (s *Service) me(ctx context.Context) (*operator.Operator, error) {
	if err := s.Audit.Allow(ctx, audit.AllTenants, audit.Self); err != nil {
		return nil, err
	}
	a, _ := audit.From(ctx)
	if a.Kind != audit.Operator {
		return nil, operator.ErrMissing
	}
	return s.Operators.Get(ctx, a.ID)
}

// maxTenants bounds a list of chosen tenants.
const maxTenants = 1000

// Choose sets what the actor hears by mail. Tenants that they may not see are
// refused as if they were not there; should they come to see them no more, they
// hear nothing of them, whatever was chosen.
func (s *Service) Choose(ctx context.Context, kinds, tenants []string) (Wish, error) {
	o, err := s.me(ctx)
	if err != nil {
		return Wish{}, err
	}
	var f fault.List
	checkKinds(&f, kinds)
	if len(tenants) > maxTenants {
		f.Add("tenants", fmt.Sprintf("has more than %d entries", maxTenants), "leave it empty for all")
	}
	if err := f.Err(); err != nil {
		return Wish{}, err
	}
	kinds, tenants = unique(kinds), unique(tenants)
	if err := s.seen(ctx, s.DB.Read(), tenants); err != nil {
		return Wish{}, err
	}
	err = s.DB.Change(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		if err := s.Audit.Act(ctx, tx, audit.Entry{Permission: audit.Self, Action: "notices.chosen", ObjectKind: "operator", ObjectID: o.ID, ObjectName: o.Name, Details: map[string]any{"kinds": kinds, "tenants": len(tenants)}}); err != nil {
			return err
		}
		r := &subscriptionRow{OperatorID: o.ID, Kinds: encode(kinds), Tenants: encode(tenants), ChangedAt: s.time()}
		_, err := tx.NewInsert().Model(r).On("CONFLICT (operator_id) DO UPDATE").Set("kinds = EXCLUDED.kinds, tenants = EXCLUDED.tenants, changed_at = EXCLUDED.changed_at").Exec(ctx)
		if err != nil {
			return fmt.Errorf("choosing notices: %w", err)
		}
		return nil
	})
	if err != nil {
		return Wish{}, err
	}
	return Wish{Kinds: kinds, Tenants: tenants, Address: o.Email}, nil
}

// seen demands that the actor may see all of these tenants.
func (s *Service) seen(ctx context.Context, db bun.IDB, tenants []string) error {
	if len(tenants) == 0 {
		return nil
	}
	scope, err := audit.Tenants(ctx, audit.TenantView)
	if err != nil {
		return err
	}
	q := scope.Filter(db.NewSelect().TableExpr("tenants").Where("id IN (?)", bun.List(tenants)), "id")
	n, err := q.Count(ctx)
	if err != nil {
		return fmt.Errorf("reading tenants: %w", err)
	}
	if int(n) != len(tenants) {
		return fault.Of("tenants", "names a tenant that is not there, or not for you to see", "choose among the tenants of the list")
	}
	return nil
}

func checkKinds(f *fault.List, kinds []string) {
	for _, k := range kinds {
		if _, known := kindOf(k); !known {
			f.Add("kinds", fmt.Sprintf("names %.40q", k), "use "+kindNames())
		}
	}
}

func kindNames() string {
	names := ""
	for i, k := range Kinds {
		if i > 0 {
			names += ", "
		}
		names += k.Name
	}
	return names
}

// unique gives a list in order, without repetitions.
func unique(list []string) []string {
	out := append([]string{}, list...)
	slices.Sort(out)
	return slices.Compact(out)
}
