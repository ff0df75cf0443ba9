package campaign

import (
	"context"
	"fmt"
	"slices"
	"strconv"

	"github.com/uptrace/bun"

	"gatehouse/internal/audit"
	"gatehouse/internal/fault"
	"gatehouse/internal/sqldb"
	"gatehouse/internal/tenant"
)

// Get gives a campaign with the counts of the tenants that the actor may see; who
// may see none of them gets a refusal.
func (s *Service) Get(ctx context.Context, id string) (Campaign, error) {
	r, err := find(ctx, s.DB.Read(), id)
	if err != nil {
		return Campaign{}, err
	}
	scope, err := audit.Tenants(ctx, audit.ConnectionView)
	if err != nil {
		return Campaign{}, err
	}
	all, err := total(ctx, s.DB.Read(), scope, id)
	if err != nil {
		return Campaign{}, err
	}
	n, seen := all[id]
	if !seen && !scope.All {
		return Campaign{}, s.hidden(ctx, id)
	}
	c := r.campaign()
	c.count(n)
	return c, nil
}

// hidden refuses whoever may see no tenant of a campaign.
func (s *Service) hidden(ctx context.Context, id string) error {
	var tenantID []string
	if err := s.DB.Read().NewRaw("SELECT tenant_id FROM campaign_tenants WHERE campaign_id = ? LIMIT 1", id).Scan(ctx, &tenantID); err != nil || len(tenantID) == 0 {
		return ErrMissing
	}
	if err := s.Audit.Allow(ctx, tenantID[0], audit.ConnectionView); err != nil {
		return err
	}
	return ErrMissing
}

// List gives campaigns, newest first: those of tenants that the actor may see, with
// the counts of these. State narrows it unless it is "".
func (s *Service) List(ctx context.Context, state State, p Page) ([]Campaign, string, error) {
	scope, err := audit.Tenants(ctx, audit.ConnectionView)
	if err != nil {
		return nil, "", err
	}
	var rows []row
	q := s.DB.Read().NewSelect().Model(&rows)
	if !scope.All {
		q.Where("EXISTS (?)", scope.Filter(s.DB.Read().NewSelect().TableExpr("campaign_tenants AS t").ColumnExpr("1").Where("t.campaign_id = k.id"), "t.tenant_id"))
	}
	if state != "" {
		q.Where("k.state = ?", state)
	}
	next, err := tenant.Newest(ctx, q, p, "campaigns", "k.id", &rows, func(r row) string { return r.ID })
	if err != nil {
		return nil, "", err
	}
	out, ids := make([]Campaign, len(rows)), make([]string, len(rows))
	for i := range rows {
		out[i], ids[i] = rows[i].campaign(), rows[i].ID
	}
	if len(ids) == 0 {
		return out, "", nil
	}
	all, err := total(ctx, s.DB.Read(), scope, ids...)
	for i := range out {
		out[i].count(all[out[i].ID])
	}
	return out, next, err
}

// ConsentLacking stands in a filter for missing and asked.
const ConsentLacking ConsentState = "lacking"

// TenantFilter narrows the tenants of a campaign. Empty members do not.
type TenantFilter struct {
	TenantID string
	Consent  ConsentState // or [ConsentLacking]
	// Open: not everybody has signed in.
	Open   bool
	Search string // in the tenant's name and domains
}

// Tenants gives the tenants of a campaign that the actor may see, those first that
// need somebody most: without consent, with failures, with many to go.
func (s *Service) Tenants(ctx context.Context, id string, f TenantFilter, p Page) ([]Tenant, string, error) {
	if _, err := s.Get(ctx, id); err != nil {
		return nil, "", err
	}
	scope, err := audit.Tenants(ctx, audit.ConnectionView)
	if err != nil {
		return nil, "", err
	}
	var rows []tenantRow
	q := scope.Filter(s.DB.Read().NewSelect().Model(&rows), "t.tenant_id").ColumnExpr("t.*, tn.name AS tenant_name").Join("JOIN tenants AS tn ON tn.id = t.tenant_id").
		Where("t.campaign_id = ?", id).OrderExpr("t.worst DESC, t.tenant_id DESC").Limit(int64(p.Size()) + 1)
	if f.TenantID != "" {
		q.Where("t.tenant_id = ?", f.TenantID)
	}
	switch f.Consent {
	case "":
	case ConsentLacking:
		q.Where("t.consent IN (?)", bun.List([]ConsentState{ConsentMissing, ConsentAsked}))
	default:
		q.Where("t.consent = ?", f.Consent)
	}
	if f.Open {
		q.Where("t.done < t.people")
	}
	if f.Search != "" {
		q.Where("tn.search LIKE ? ESCAPE '!'", tenant.Like(f.Search))
	}
	if p.After != "" {
		place, err := p.Place(2)
		if err != nil {
			return nil, "", err
		}
		worst, err := strconv.ParseInt(place[0], 10, 64)
		if err != nil {
			return nil, "", tenant.Fault("after", "is no cursor of this list", "begin again with the first page")
		}
		q.Where("(t.worst, t.tenant_id) < (?, ?)", worst, place[1])
	}
	if err := q.Scan(ctx); err != nil {
		return nil, "", fmt.Errorf("listing the tenants of a campaign: %w", err)
	}
	next := ""
	if len(rows) > p.Size() {
		rows = rows[:p.Size()]
		last := rows[len(rows)-1]
		next = tenant.Cursor(strconv.FormatInt(last.Worst, 10), last.TenantID)
	}
	out := make([]Tenant, len(rows))
	for i := range rows {
		out[i] = rows[i].tenant()
	}
	return out, next, nil
}

// PersonFilter narrows the people of a campaign. Empty members do not.
type PersonFilter struct {
	TenantID string
	State    PersonState
	Search   string // in user name, name and address
	OnOld    bool   // seen on the old app last
	OwnApp   bool   // of apps that keep their own tokens
}

// PersonStates are all states of people, in the order in which they are offered.
var PersonStates = []PersonState{Failed, Pending, Reminded, SignedIn}

func (f PersonFilter) apply(q *bun.SelectQuery) error {
	if f.TenantID != "" {
		q.Where("p.tenant_id = ?", f.TenantID)
	}
	if f.State != "" {
		if !slices.Contains(PersonStates, f.State) {
			return fault.Of("state", fmt.Sprintf("is %.40q", f.State), "use pending, reminded, done or failed")
		}
		q.Where("p.state = ?", f.State)
	}
	if f.Search != "" {
		q.Where("p.search LIKE ? ESCAPE '!'", tenant.Like(f.Search))
	}
	if f.OnOld {
		q.Where("p.state <> ? AND p.client_id <> '' AND p.client_id = (SELECT k.old_value FROM campaigns AS k WHERE k.id = p.campaign_id)", SignedIn)
	}
	if f.OwnApp {
		q.Where("p.connection_id = ''")
	}
	return nil
}

// People gives those of a campaign that the actor may see, by user name.
func (s *Service) People(ctx context.Context, id string, f PersonFilter, p Page) ([]Person, string, error) {
	if _, err := s.Get(ctx, id); err != nil {
		return nil, "", err
	}
	rows, next, err := s.people(ctx, id, f, p.After, p.Size())
	out := make([]Person, len(rows))
	for i := range rows {
		out[i] = rows[i].person()
	}
	return out, next, err
}

func (s *Service) people(ctx context.Context, id string, f PersonFilter, after string, size int) ([]personRow, string, error) {
	scope, err := audit.Tenants(ctx, audit.ConnectionView)
	if err != nil {
		return nil, "", err
	}
	var rows []personRow
	q := scope.Filter(s.DB.Read().NewSelect().Model(&rows), "p.tenant_id").ColumnExpr("p.*, tn.name AS tenant_name").Join("JOIN tenants AS tn ON tn.id = p.tenant_id").
		Where("p.campaign_id = ?", id).OrderExpr("p.username, p.id").Limit(int64(size) + 1)
	if err := f.apply(q); err != nil {
		return nil, "", err
	}
	if after != "" {
		place, err := Page{After: after}.Place(2)
		if err != nil {
			return nil, "", err
		}
		q.Where("(p.username, p.id) > (?, ?)", place[0], place[1])
	}
	if err := q.Scan(ctx); err != nil {
		return nil, "", fmt.Errorf("listing the people of a campaign: %w", err)
	}
	next := ""
	if len(rows) > size {
		rows = rows[:size]
		last := rows[len(rows)-1]
		next = tenant.Cursor(last.Username, last.ID)
	}
	return rows, next, nil
}

// Person gives one of a campaign's people.
func (s *Service) Person(ctx context.Context, id, personID string) (Person, error) {
	p, err := findPerson(ctx, s.DB.Read(), id, personID)
	if err != nil {
		return Person{}, err
	}
	if err := s.Audit.Allow(ctx, p.TenantID, audit.ConnectionView); err != nil {
		return Person{}, err
	}
	return p.person(), nil
}

// OfConnection gives the open campaigns that wait for a connection's person.
func (s *Service) OfConnection(ctx context.Context, connectionID string) ([]Campaign, error) {
	scope, err := audit.Tenants(ctx, audit.ConnectionView)
	if err != nil {
		return nil, err
	}
	var rows []row
	err = s.DB.Read().NewSelect().Model(&rows).Where("k.state IN (?)", bun.List([]State{Running, Paused})).OrderExpr("k.id").
		Where("EXISTS (?)", scope.Filter(s.DB.Read().NewSelect().TableExpr("campaign_people AS p").ColumnExpr("1").Where("p.campaign_id = k.id AND p.connection_id = ? AND p.state <> ?", connectionID, SignedIn), "p.tenant_id")).Scan(ctx)
	if err != nil && !sqldb.Missing(err) {
		return nil, fmt.Errorf("looking for campaigns: %w", err)
	}
	out := make([]Campaign, len(rows))
	for i := range rows {
		out[i] = rows[i].campaign()
	}
	return out, nil
}
