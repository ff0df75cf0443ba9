package incident

import (
	"context"
	"fmt"
	"time"

	"github.com/uptrace/bun"

	"gatehouse/internal/audit"
	"gatehouse/internal/diagnosis"
	"gatehouse/internal/sqldb"
	"gatehouse/internal/tenant"
)

// Filter narrows a list. Empty members do not.
type Filter struct {
	State    State  // Open, Acknowledged, Ended, or [Current]
	TenantID string // it affects, or did, a connection of the tenant
	Search   string // in the subject, and in names of connections and tenants
}

// Current is the state, in a [Filter], of what has not ended.
const Current State = "current"

// List gives incidents, newest first: those that affect tenants of the actor, as
// far as they do.
func (s *Service) List(ctx context.Context, f Filter, p tenant.Page) ([]Incident, string, error) {
	scope, err := audit.Tenants(ctx, audit.IncidentView)
	if err != nil {
		return nil, "", err
	}
	var rows []row
	q := s.DB.Read().NewSelect().Model(&rows).Where("i.state <> ?", Forming)
	s.narrow(q, scope, f)
	next, err := tenant.Newest(ctx, q, p, "incidents", "i.id", &rows, func(r row) string { return r.ID })
	if err != nil {
		return nil, "", err
	}
	all, err := s.seen(ctx, scope, rows)
	return all, next, err
}

// narrow applies scope and filter. What has ended for the actor's tenants has
// ended for the actor.
func (s *Service) narrow(q *bun.SelectQuery, scope audit.Scope, f Filter) {
	members := func(more string, args ...any) *bun.SelectQuery {
		m := scope.Filter(s.DB.Read().NewSelect().TableExpr("incident_connections AS m").ColumnExpr("1").Where("m.incident_id = i.id"), "m.tenant_id")
		if f.TenantID != "" {
			m.Where("m.tenant_id = ?", f.TenantID)
		}
		if more != "" {
			m.Where(more, args...)
		}
		return m
	}
	now := members("m.until IS NULL")
	switch f.State {
	case Current:
		q.Where("i.state <> ? AND EXISTS (?)", Ended, now)
	case Open, Acknowledged:
		q.Where("i.state = ? AND EXISTS (?)", f.State, now)
	case Ended:
		q.Where("EXISTS (?) AND NOT EXISTS (?)", members(""), now)
	default:
		q.Where("EXISTS (?)", members(""))
	}
	if f.Search != "" {
		like := tenant.Like(f.Search)
		named := members("(lower(m.name) LIKE ? ESCAPE '!' OR lower(m.title) LIKE ? ESCAPE '!' OR EXISTS (SELECT 1 FROM tenants AS t WHERE t.id = m.tenant_id AND t.search LIKE ? ESCAPE '!'))", like, like, like)
		q.Where("(i.search LIKE ? ESCAPE '!' OR EXISTS (?))", like, named)
	}
}

// reach is what an incident affects of somebody's tenants.
type reach struct {
	IncidentID        string
	Now, Ever         int
	NowIn, EverIn     int // tenants
	NowFirst, AnFirst string
	Until             *time.Time
}

// seen makes of incidents what somebody may see of them.
func (s *Service) seen(ctx context.Context, scope audit.Scope, rows []row) ([]Incident, error) {
	if len(rows) == 0 {
		return nil, nil
	}
	ids := make([]string, len(rows))
	for i := range rows {
		ids[i] = rows[i].ID
	}
	var reaches []reach
	q := s.DB.Read().NewSelect().TableExpr("incident_connections AS m").Where("m.incident_id IN (?)", bun.List(ids)).GroupExpr("m.incident_id").
		ColumnExpr("m.incident_id AS incident_id, count(*) AS ever, sum(CASE WHEN m.until IS NULL THEN 1 ELSE 0 END) AS now, count(DISTINCT m.tenant_id) AS ever_in").
		ColumnExpr("count(DISTINCT CASE WHEN m.until IS NULL THEN m.tenant_id END) AS now_in, coalesce(min(CASE WHEN m.until IS NULL THEN m.connection_id END), '') AS now_first, min(m.connection_id) AS an_first, max(m.until) AS until")
	if err := scope.Filter(q, "m.tenant_id").Scan(ctx, &reaches); err != nil {
		return nil, fmt.Errorf("reading the reach of incidents: %w", err)
	}
	of := map[string]reach{}
	for _, r := range reaches {
		if r.NowFirst == "" {
			r.NowFirst = r.AnFirst
		}
		of[r.IncidentID] = r
	}
	firsts, err := s.firsts(ctx, reaches)
	if err != nil {
		return nil, err
	}
	out := make([]Incident, 0, len(rows))
	for i := range rows {
		if r, ok := of[rows[i].ID]; ok {
			one, err := rows[i].seen(r, firsts[rows[i].ID])
			if err != nil {
				return nil, err
			}
			out = append(out, one)
		}
	}
	return out, nil
}

type shownRow struct {
	memberRow
	TenantName string
	Gone       bool
}

// members are connections of incidents with what is to be shown of them.
func (s *Service) members() *bun.SelectQuery {
	return s.DB.Read().NewSelect().TableExpr("incident_connections AS m").ColumnExpr("m.*, t.name AS tenant_name, NOT EXISTS (SELECT 1 FROM connections AS c WHERE c.id = m.connection_id) AS gone").
		Join("JOIN tenants AS t ON t.id = m.tenant_id")
}

// firsts reads one connection of each incident.
func (s *Service) firsts(ctx context.Context, reaches []reach) (map[string]shownRow, error) {
	q := s.members().WhereGroup(" AND ", func(q *bun.SelectQuery) *bun.SelectQuery {
		for _, r := range reaches {
			first := r.NowFirst
			if first == "" {
				first = r.AnFirst
			}
			q.WhereOr("m.incident_id = ? AND m.connection_id = ?", r.IncidentID, first)
		}
		return q
	})
	var rows []shownRow
	if err := q.Scan(ctx, &rows); err != nil {
		return nil, fmt.Errorf("reading what incidents affect: %w", err)
	}
	out := map[string]shownRow{}
	for _, r := range rows {
		out[r.IncidentID] = r
	}
	return out, nil
}

func (r *row) seen(of reach, first shownRow) (Incident, error) {
	i := Incident{ID: r.ID, Kind: r.Kind, State: r.State, Subject: r.Subject, Since: r.Since.UTC(), EndedAt: utc(r.EndedAt), AcknowledgedBy: r.AcknowledgedBy, AcknowledgedAt: utc(r.AcknowledgedAt),
		Title: first.Title, Actor: first.Actor, Help: first.Help, Code: first.Code, Connections: of.Now, Tenants: of.NowIn}
	if of.Now == 0 {
		i.State, i.EndedAt, i.Connections, i.Tenants = Ended, utc(of.Until), of.Ever, of.EverIn
	}
	var err error
	if i.First, err = first.member(); err != nil {
		return i, err
	}
	i.Rule = i.First.Rule
	if i.Kind == KindService && i.Actor == "" {
		i.Actor = diagnosis.NobodyRetry
	}
	return i, nil
}

func (r *shownRow) member() (Member, error) {
	rule, err := readRule(r.Rule)
	return Member{ConnectionID: r.ConnectionID, Name: r.Name, TenantID: r.TenantID, TenantName: r.TenantName, Since: r.Since.UTC(), Until: utc(r.Until), Ending: r.Ending, Title: r.Title, Rule: rule, Gone: r.Gone}, err
}

// Get gives an incident, as far as it affects tenants of the actor.
func (s *Service) Get(ctx context.Context, id string) (Incident, error) {
	r, err := find(ctx, s.DB.Read(), id)
	if err != nil {
		return Incident{}, err
	}
	return s.get(ctx, r)
}

func (s *Service) get(ctx context.Context, r *row) (Incident, error) {
	scope, err := audit.Tenants(ctx, audit.IncidentView)
	if err != nil {
		return Incident{}, err
	}
	all, err := s.seen(ctx, scope, []row{*r})
	if err != nil || len(all) == 1 {
		return append(all, Incident{})[0], err
	}
	return Incident{}, s.hidden(ctx, s.DB.Read(), r, audit.IncidentView)
}

// hidden refuses what concerns none of the actor's tenants, as if it were not
// there.
func (s *Service) hidden(ctx context.Context, db bun.IDB, r *row, p audit.Permission) error {
	var of string
	err := db.NewSelect().Model((*memberRow)(nil)).ColumnExpr("m.tenant_id").Where("incident_id = ?", r.ID).OrderExpr("m.tenant_id").Limit(1).Scan(ctx, &of)
	if err != nil && !sqldb.Missing(err) {
		return fmt.Errorf("reading what an incident affects: %w", err)
	}
	if err := s.Audit.Allow(ctx, of, p); err != nil {
		return err
	}
	return ErrMissing
}

// Members gives the connections of an incident that are in the actor's tenants:
// those that it affects first, by name, then those that it did.
func (s *Service) Members(ctx context.Context, id string, p tenant.Page) ([]Member, string, error) {
	if _, err := s.Get(ctx, id); err != nil {
		return nil, "", err
	}
	scope, err := audit.Tenants(ctx, audit.IncidentView)
	if err != nil {
		return nil, "", err
	}
	const order = "CASE WHEN m.until IS NULL THEN '0' ELSE '1' END"
	var rows []shownRow
	q := scope.Filter(s.members(), "m.tenant_id").Where("m.incident_id = ?", id).OrderExpr(order + ", m.name, m.connection_id").Limit(int64(p.Size() + 1))
	if p.After != "" {
		place, err := p.Place(3)
		if err != nil {
			return nil, "", err
		}
		q.Where("("+order+", m.name, m.connection_id) > (?, ?, ?)", place[0], place[1], place[2])
	}
	if err := q.Scan(ctx, &rows); err != nil {
		return nil, "", fmt.Errorf("listing what an incident affects: %w", err)
	}
	next := ""
	if len(rows) > p.Size() {
		rows = rows[:p.Size()]
		last, past := rows[len(rows)-1], "0"
		if last.Until != nil {
			past = "1"
		}
		next = tenant.Cursor(past, last.Name, last.ConnectionID)
	}
	out := make([]Member, len(rows))
	for i := range rows {
		if out[i], err = rows[i].member(); err != nil {
			return nil, "", err
		}
	}
	return out, next, s.prove(ctx, out)
}

// prove adds what is known of the software of connections that work again.
func (s *Service) prove(ctx context.Context, members []Member) error {
	if len(members) == 0 {
		return nil
	}
	ids := make([]string, len(members))
	for i, m := range members {
		ids[i] = m.ConnectionID
	}
	var rows []proofRow
	if err := s.DB.Read().NewSelect().Model(&rows).Where("p.connection_id IN (?)", bun.List(ids)).Scan(ctx); err != nil {
		return fmt.Errorf("reading proofs: %w", err)
	}
	for i, m := range members {
		for j := range rows {
			if rows[j].ConnectionID == m.ConnectionID && m.Ending == Works {
				members[i].Proof = rows[j].proof()
			}
		}
	}
	return nil
}

// Diagnosis is what a validation found out of a connection of an incident, as an
// example; nil if nothing is known.
func (s *Service) Diagnosis(ctx context.Context, i Incident) (*diagnosis.Diagnosis, error) {
	if err := s.Audit.Allow(ctx, i.First.TenantID, audit.IncidentView); err != nil || i.First.Gone || i.State == Ended {
		return nil, err
	}
	f, err := s.Runs.Found(ctx, i.First.ConnectionID)
	if err != nil || f == nil {
		return nil, err
	}
	return f.Diagnosis, nil
}

// Of gives the incident that affects a connection now, as far as the actor may see
// it; nil if none does.
func (s *Service) Of(ctx context.Context, connectionID string) (*Incident, error) {
	var r row
	err := s.DB.Read().NewSelect().Model(&r).Join("JOIN incident_connections AS m ON m.incident_id = i.id").Where("m.connection_id = ? AND m.until IS NULL AND i.state <> ?", connectionID, Forming).Scan(ctx)
	if sqldb.Missing(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("looking for a connection's incident: %w", err)
	}
	i, err := s.get(ctx, &r)
	return &i, err
}

// Summary is what stands on the overview.
type Summary struct {
	Count   int // that have not ended
	Trouble int // of these, trouble of services or of the way there
	Some    []Incident
}

// Summary gives the incidents under way that affect most, so many at most: of one
// tenant, or of all that the actor may see if none is named.
func (s *Service) Summary(ctx context.Context, tenantID string, most int) (Summary, error) {
	scope, err := audit.Tenants(ctx, audit.IncidentView)
	if tenantID != "" {
		scope, err = audit.Scope{IDs: []string{tenantID}}, s.Audit.Allow(ctx, tenantID, audit.IncidentView)
	}
	if err != nil {
		return Summary{}, err
	}
	db := s.DB.Read()
	count := db.NewSelect().TableExpr("incidents AS i").Where("i.state IN (?, ?)", Open, Acknowledged)
	top := db.NewSelect().TableExpr("incidents AS i").ColumnExpr("i.id AS id").Where("i.state IN (?, ?)", Open, Acknowledged)
	if scope.All {
		top.OrderExpr("i.stops DESC, i.id")
	} else {
		members := func() *bun.SelectQuery {
			return scope.Filter(db.NewSelect().TableExpr("incident_connections AS m").Where("m.until IS NULL"), "m.tenant_id")
		}
		count.Where("i.id IN (?)", members().ColumnExpr("m.incident_id"))
		top.Join("JOIN (?) AS r ON r.incident_id = i.id", members().ColumnExpr("m.incident_id, count(*) AS reach").GroupExpr("m.incident_id")).OrderExpr("r.reach DESC, i.id")
	}
	var groups []struct {
		Kind  Kind
		Count int
	}
	if err := count.ColumnExpr("i.kind AS kind, count(*) AS count").GroupExpr("i.kind").Scan(ctx, &groups); err != nil {
		return Summary{}, fmt.Errorf("counting incidents: %w", err)
	}
	var out Summary
	for _, g := range groups {
		out.Count += g.Count
		if trouble(g.Kind) {
			out.Trouble += g.Count
		}
	}
	if out.Count == 0 {
		return out, nil
	}
	var ids []string
	if err := top.Limit(int64(most)).Scan(ctx, &ids); err != nil {
		return Summary{}, fmt.Errorf("listing incidents: %w", err)
	}
	out.Some, err = s.inOrder(ctx, scope, ids)
	return out, err
}

func (s *Service) inOrder(ctx context.Context, scope audit.Scope, ids []string) ([]Incident, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	var rows []row
	if err := s.DB.Read().NewSelect().Model(&rows).Where("i.id IN (?)", bun.List(ids)).Scan(ctx); err != nil {
		return nil, fmt.Errorf("reading incidents: %w", err)
	}
	at := map[string]row{}
	for _, r := range rows {
		at[r.ID] = r
	}
	rows = rows[:0]
	for _, id := range ids {
		if r, ok := at[id]; ok {
			rows = append(rows, r)
		}
	}
	return s.seen(ctx, scope, rows)
}
