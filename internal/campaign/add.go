package campaign

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"gatehouse/internal/audit"
	"gatehouse/internal/fault"
	"gatehouse/internal/sqldb"
)

// Added is what adding rows does, or would do. Nothing is done while there are
// faults.
type Added struct {
	Rows      int
	People    int // who join
	Changed   int // who are there, and get another name or address
	Unchanged int
	Tenants   int // that join
	Faults    Faults
}

// tenantNames finds tenants by what people call them.
type tenantNames struct {
	ids map[string]string // by lower-case name; "" for a name that several have
}

// names are the tenants in which the actor has a permission, by each name that a file
// may use.
func (s *Service) names(ctx context.Context, p audit.Permission) (*tenantNames, error) {
	scope, err := audit.Tenants(ctx, p)
	if err != nil {
		return nil, err
	}
	n := &tenantNames{ids: map[string]string{}}
	var all []struct{ ID, Name, Domain, DirectoryID string }
	if err := scope.Filter(s.DB.Read().NewSelect().TableExpr("tenants").Column("id", "name", "domain", "directory_id"), "id").Scan(ctx, &all); err != nil && !sqldb.Missing(err) {
		return nil, fmt.Errorf("reading the tenants: %w", err)
	}
	var domains []struct{ TenantID, Domain string }
	if err := scope.Filter(s.DB.Read().NewSelect().TableExpr("tenant_domains").Column("tenant_id", "domain"), "tenant_id").Scan(ctx, &domains); err != nil && !sqldb.Missing(err) {
		return nil, fmt.Errorf("reading the tenants' domains: %w", err)
	}
	for _, d := range domains {
		n.put(d.Domain, d.TenantID)
	}
	for _, t := range all {
		n.put(t.Name, t.ID)
		n.put(t.Domain, t.ID)
		n.put(t.DirectoryID, t.ID)
		n.put(t.ID, t.ID)
	}
	return n, nil
}

func (n *tenantNames) put(name, id string) {
	name = strings.ToLower(name)
	if name == "" {
		return
	}
	if have, taken := n.ids[name]; taken && have != id {
		id = ""
	}
	n.ids[name] = id
}

// find gives a tenant's id; else what is wrong with its name, and the way out.
func (n *tenantNames) find(name string) (id, problem, way string) {
	id, known := n.ids[strings.ToLower(name)]
	switch {
	case !known:
		return "", "is no tenant in which you may do this", "add the tenant first, or ask for the role there"
	case id == "":
		return "", "is the name of several tenants", "give the directory id"
	}
	return id, "", ""
}

// plan is what adding rows does.
type plan struct {
	Added
	tenants map[string]bool // of the rows
	fresh   []personRow
	changed []personRow
}

// Look says what adding rows would do, and does nothing.
func (s *Service) Look(ctx context.Context, id string, rows []Row, f Faults) (Added, error) {
	p, err := s.plan(ctx, id, rows, f)
	if err != nil {
		return Added{}, err
	}
	return p.Added, nil
}

func (s *Service) plan(ctx context.Context, id string, rows []Row, f Faults) (*plan, error) {
	c, err := s.visible(ctx, id)
	if err != nil {
		return nil, err
	}
	if !c.State.open() {
		return nil, ErrState
	}
	names, err := s.names(ctx, audit.ConnectionManage)
	if err != nil {
		return nil, err
	}
	var have []personRow
	if err := s.DB.Read().NewSelect().Model(&have).Where("campaign_id = ?", id).Scan(ctx); err != nil {
		return nil, fmt.Errorf("reading the people of a campaign: %w", err)
	}
	var tenants []string
	if err := s.DB.Read().NewSelect().Model((*tenantRow)(nil)).Column("tenant_id").Where("campaign_id = ?", id).Scan(ctx, &tenants); err != nil {
		return nil, fmt.Errorf("reading the tenants of a campaign: %w", err)
	}
	p := &plan{Added: Added{Rows: len(rows), Faults: f}, tenants: map[string]bool{}}
	known := map[string]*personRow{}
	for i := range have {
		for _, k := range keys(&have[i]) {
			known[k] = &have[i]
		}
	}
	seen := map[string]int{}
	for _, r := range rows {
		s.planRow(p, r, id, names, known, seen)
	}
	for t := range p.tenants {
		if !slices.Contains(tenants, t) {
			p.Tenants++
		}
	}
	if len(have)+len(p.fresh) > MaxPeople {
		p.Faults.add(0, "", fmt.Sprintf("the campaign would have more than %d people", MaxPeople), "make a second one")
	}
	return p, nil
}

// visible is a campaign that the actor may see, or may add the first people to.
func (s *Service) visible(ctx context.Context, id string) (Campaign, error) {
	r, err := find(ctx, s.DB.Read(), id)
	if err != nil {
		return Campaign{}, err
	}
	if audit.May(ctx, audit.AllTenants, audit.ConnectionManage) {
		return r.campaign(), nil
	}
	return s.Get(ctx, id)
}

// keys are what finds somebody: user name and object id.
func keys(p *personRow) (out []string) {
	for _, k := range []string{p.Username, p.ObjectID} {
		if k != "" {
			out = append(out, p.TenantID+"\n"+strings.ToLower(k))
		}
	}
	return out
}

func (s *Service) planRow(p *plan, r Row, id string, names *tenantNames, known map[string]*personRow, seen map[string]int) {
	if !r.check(&p.Faults) {
		return
	}
	tenantID, problem, way := names.find(r.Tenant)
	if problem != "" {
		p.Faults.add(r.Line, "tenant", problem, way)
		return
	}
	p.tenants[tenantID] = true
	if !r.person() {
		return
	}
	now := s.time()
	fresh := &personRow{CampaignID: id, ID: newID(), TenantID: tenantID, Username: r.Username, ObjectID: strings.ToLower(r.ObjectID), Name: r.Name, Email: r.Email, State: Pending, ChangedAt: now, JoinedAt: now}
	var found *personRow
	for _, k := range keys(fresh) {
		if line, twice := seen[k]; twice {
			p.Faults.add(r.Line, "username", fmt.Sprintf("is the person of row %d", line), "remove one of the two rows")
			return
		}
		seen[k] = r.Line
		if found == nil {
			found = known[k]
		}
	}
	if found == nil {
		fresh.PersonKey = strings.ToLower(r.Username)
		if fresh.PersonKey == "" {
			fresh.PersonKey = fresh.ObjectID
		}
		fresh.index()
		p.fresh = append(p.fresh, *fresh)
		p.People++
		return
	}
	change := *found
	for _, cell := range []struct {
		to  *string
		new string
	}{{&change.Username, fresh.Username}, {&change.ObjectID, fresh.ObjectID}, {&change.Name, fresh.Name}, {&change.Email, fresh.Email}} {
		if cell.new != "" && !strings.EqualFold(*cell.to, cell.new) {
			*cell.to = cell.new
		}
	}
	if change == *found {
		p.Unchanged++
		return
	}
	change.index()
	p.changed = append(p.changed, change)
	p.Changed++
}

// insertAtOnce is how many rows one statement inserts.
const insertAtOnce = 500

// Add adds tenants and people. People join who are not there; who is there, by user
// name or object id, gets the name and address of the row. With faults nothing is
// done. It takes the management of connections in each of the tenants.
func (s *Service) Add(ctx context.Context, id string, rows []Row, f Faults) (Added, error) {
	p, err := s.plan(ctx, id, rows, f)
	if err != nil || p.Faults.Count > 0 {
		if err != nil {
			return Added{}, err
		}
		return p.Added, nil
	}
	if len(rows) == 0 {
		return p.Added, fault.Of("file", "holds nobody", "write a row for each person below the heading")
	}
	err = s.DB.Change(ctx, func(ctx context.Context, tx *sqldb.Tx) error { return s.add(ctx, tx, id, p) })
	return p.Added, err
}

func (s *Service) add(ctx context.Context, tx *sqldb.Tx, id string, p *plan) error {
	r, err := find(ctx, tx, id)
	if err != nil {
		return err
	}
	if !r.State.open() {
		return ErrState
	}
	people := map[string]int{}
	for _, one := range slices.Concat(p.fresh, p.changed) {
		people[one.TenantID]++
	}
	consent := ConsentUnknown
	if !r.campaign().Consents() {
		consent = ConsentNotNeeded
	}
	tenants := slices.Sorted(maps.Keys(p.tenants))
	for _, t := range tenants {
		if err := s.Audit.Act(ctx, tx, r.entry(t, "campaign.people_added", map[string]any{"people": people[t]})); err != nil {
			return err
		}
		row := &tenantRow{CampaignID: id, TenantID: t, Added: true, Consent: consent}
		if _, err := tx.NewInsert().Model(row).On("CONFLICT (campaign_id, tenant_id) DO UPDATE").Set("added = EXCLUDED.added").Exec(ctx); err != nil {
			return fmt.Errorf("adding a tenant to a campaign: %w", err)
		}
	}
	if err := s.insert(ctx, tx, r, p); err != nil {
		return err
	}
	if err := recount(ctx, tx, id, ""); err != nil {
		return err
	}
	return s.announce(ctx, tx, id, tenants...)
}

func (s *Service) insert(ctx context.Context, tx *sqldb.Tx, r *row, p *plan) error {
	if _, err := lock(ctx, tx, r.ID, ""); err != nil {
		return err
	}
	first := s.firstReminder(r, s.time())
	for i := range p.fresh {
		p.fresh[i].RemindAt = first
	}
	for some := range slices.Chunk(p.fresh, insertAtOnce) {
		if _, err := tx.NewInsert().Model(&some).On("CONFLICT DO NOTHING").Exec(ctx); err != nil {
			return fmt.Errorf("adding people to a campaign: %w", err)
		}
	}
	for i := range p.changed {
		if _, err := tx.NewUpdate().Model(&p.changed[i]).Column("username", "object_id", "name", "email", "search").WherePK().Exec(ctx); err != nil {
			return fmt.Errorf("changing people of a campaign: %w", err)
		}
	}
	return nil
}

// Drop takes somebody out of a campaign whose app keeps its own tokens. Who has a
// connection leaves with it.
func (s *Service) Drop(ctx context.Context, id, personID string) error {
	return s.DB.Change(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		r, p, err := s.mine(ctx, tx, id, personID, "campaign.person_dropped")
		if err != nil {
			return err
		}
		if p.ConnectionID != "" {
			return fault.Of("person", "signs in for a connection", "remove the connection, and they leave with it")
		}
		if _, err := tx.NewDelete().Model(p).WherePK().Exec(ctx); err != nil {
			return fmt.Errorf("taking somebody out of a campaign: %w", err)
		}
		return s.changed(ctx, tx, r, p.TenantID)
	})
}

// mine loads an open campaign and somebody in it for a change, authorises in their
// tenant and locks it.
func (s *Service) mine(ctx context.Context, tx *sqldb.Tx, id, personID, action string) (*row, *personRow, error) {
	r, err := find(ctx, tx, id)
	if err != nil {
		return nil, nil, err
	}
	p, err := findPerson(ctx, tx, id, personID)
	if err != nil {
		return nil, nil, err
	}
	if err := s.Audit.Act(ctx, tx, r.entry(p.TenantID, action, map[string]any{"person": p.ID})); err != nil {
		return nil, nil, err
	}
	if !r.State.open() {
		return nil, nil, ErrState
	}
	_, err = lock(ctx, tx, id, p.TenantID)
	return r, p, err
}
