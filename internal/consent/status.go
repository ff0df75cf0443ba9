package consent

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"gatehouse/internal/audit"
	"gatehouse/internal/sqldb"
	"gatehouse/internal/tenant"
)

// StatusOf gives how the consent of a tenant to a registration stands, as it was
// last read.
func (s *Service) StatusOf(ctx context.Context, tenantID, registrationID string) (Status, error) {
	if err := s.viewing(ctx, tenantID); err != nil {
		return Status{}, err
	}
	app, err := s.named(ctx, registrationID)
	if err != nil {
		return Status{}, err
	}
	r, err := find(ctx, s.DB.Read(), tenantID, registrationID)
	if err != nil {
		return Status{}, err
	}
	out := s.status(r, app)
	if err := s.DB.Read().NewSelect().TableExpr("tenants").Column("name").Where("id = ?", tenantID).Scan(ctx, &out.TenantName); err != nil {
		return Status{}, fmt.Errorf("reading a tenant's name: %w", err)
	}
	return out, nil
}

func (s *Service) status(r *row, app Registration) Status {
	out := Status{
		TenantID: r.TenantID, RegistrationID: r.RegistrationID, Name: app.Name, ClientID: app.ClientID, State: r.State, Reason: r.Reason, ReadFrom: r.ReadFrom, Held: r.Held, Missing: r.Missing, Problems: r.Problems,
		Policy: r.Policy.V, Version: int(r.Version), ApprovedAt: utc(r.ApprovedAt), GrantedAt: utc(r.GrantedAt), Changes: r.Changes, ChangedAt: utc(r.ChangedAt),
		Following: r.FollowUntil != nil && s.time().Before(*r.FollowUntil),
	}
	if r.ReadAt != nil {
		out.At = r.ReadAt.UTC()
	}
	return out
}

// Filter narrows a list. Empty members do not.
type Filter struct {
	TenantID       string
	RegistrationID string
	State          State
}

// Page asks for a part of a list.
type Page = tenant.Page

// List gives the consents of the tenants that the actor may see, by tenant. The
// cursor of the next page is "" after the last one. Consents to registrations that
// are gone are left out.
func (s *Service) List(ctx context.Context, f Filter, p Page) ([]Status, string, error) {
	scope, err := audit.Tenants(ctx, audit.ConsentView)
	if err != nil {
		return nil, "", err
	}
	var rows []struct {
		row  `bun:",extend"`
		Name string
	}
	q := scope.Filter(s.DB.Read().NewSelect().Model(&rows), "c.tenant_id").ColumnExpr("c.*, t.name").Join("JOIN tenants AS t ON t.id = c.tenant_id").OrderExpr("t.name, c.tenant_id, c.registration_id").Limit(int64(p.Size() + 1))
	if p.After != "" {
		place, err := p.Place(3)
		if err != nil {
			return nil, "", err
		}
		q.Where("(t.name, c.tenant_id, c.registration_id) > (?, ?, ?)", place[0], place[1], place[2])
	}
	for column, value := range map[string]string{"c.tenant_id": f.TenantID, "c.registration_id": f.RegistrationID, "c.state": string(f.State)} {
		if value != "" {
			q.Where(column+" = ?", value)
		}
	}
	if err := q.Scan(ctx); err != nil {
		return nil, "", fmt.Errorf("listing consents: %w", err)
	}
	next := ""
	if len(rows) > p.Size() {
		rows = rows[:p.Size()]
		last := rows[len(rows)-1]
		next = tenant.Cursor(last.Name, last.TenantID, last.RegistrationID)
	}
	out := []Status{}
	apps := map[string]Registration{}
	for i := range rows {
		app, err := s.known(ctx, apps, rows[i].RegistrationID)
		if errors.Is(err, ErrMissing) {
			continue
		}
		if err != nil {
			return nil, "", err
		}
		one := s.status(&rows[i].row, app)
		one.TenantName = rows[i].Name
		out = append(out, one)
	}
	return out, next, nil
}

func (s *Service) known(ctx context.Context, apps map[string]Registration, id string) (Registration, error) {
	if app, ok := apps[id]; ok {
		return app, nil
	}
	app, err := s.Registration(ctx, id)
	if err == nil {
		apps[id] = app
	}
	return app, err
}

// Forget takes away what is known of a registration that is removed, in its
// transaction.
func (s *Service) Forget(ctx context.Context, tx *sqldb.Tx, registrationID string) error {
	tenants, err := tenantsOf(ctx, tx, registrationID)
	if err != nil {
		return err
	}
	for _, table := range []string{"consents", "consent_requests", "consent_customers"} {
		if _, err := tx.NewRaw("DELETE FROM "+table+" WHERE registration_id = ?", registrationID).Exec(ctx); err != nil {
			return fmt.Errorf("forgetting a registration's consents: %w", err)
		}
	}
	return s.setSwitches(ctx, tx, tenants)
}

// tenantsOf are the tenants whose consent to a registration is known of.
func tenantsOf(ctx context.Context, tx *sqldb.Tx, registrationID string) (tenants []string, err error) {
	if err := tx.NewSelect().TableExpr("consents").Column("tenant_id").Where("registration_id = ?", registrationID).OrderExpr("tenant_id").Scan(ctx, &tenants); err != nil {
		return nil, fmt.Errorf("looking who consented to an app: %w", err)
	}
	return tenants, nil
}

// setSwitches sets tenants' switches after what they rested on has changed. Whoever
// manages registrations need have no say about the tenants' consents: this follows from
// what they did.
func (s *Service) setSwitches(ctx context.Context, tx *sqldb.Tx, tenants []string) error {
	ctx = audit.AsSystem(ctx, "registrations")
	for _, id := range tenants {
		if err := s.setSwitch(ctx, tx, id, Registration{}); err != nil {
			return err
		}
	}
	return nil
}

// Replaced is told, in the transaction of the change, that a registration has another
// client id: what the tenants granted, they granted to the app before. Each of them is
// looked at anew, nothing of it counts as drift, and no switch stays on by it.
func (s *Service) Replaced(ctx context.Context, tx *sqldb.Tx, registrationID string) error {
	tenants, err := tenantsOf(ctx, tx, registrationID)
	if err != nil {
		return err
	}
	_, err = tx.NewRaw(`UPDATE consents SET state = ?, reason = ?, read_from = '', held = '[]', missing = '[]', problems = '[]', approved = '[]', changes = '[]',
		approved_at = NULL, granted_at = NULL, read_at = NULL, changed_at = NULL, follow_until = NULL WHERE registration_id = ?`, Unknown, "the app has a new client id, and was not looked at yet", registrationID).Exec(ctx)
	if err != nil {
		return fmt.Errorf("setting aside the consents to the app before: %w", err)
	}
	for _, id := range tenants {
		if err := errors.Join(s.lookSoon(ctx, tx, id, registrationID), s.announce(ctx, tx, id, registrationID)); err != nil {
			return err
		}
	}
	return s.setSwitches(ctx, tx, tenants)
}

// Reasked is told, in the transaction of the change, that a registration has a new
// manifest: what the tenants granted is held against it in a moment.
func (s *Service) Reasked(ctx context.Context, tx *sqldb.Tx, registrationID string) error {
	tenants, err := tenantsOf(ctx, tx, registrationID)
	if err != nil {
		return err
	}
	for _, id := range tenants {
		if err := s.lookSoon(ctx, tx, id, registrationID); err != nil {
			return err
		}
	}
	return nil
}

// Group is the permissions of one API.
type Group struct {
	Resource string
	Name     string
	Items    []Asked
}

// Asked is a permission as a page shows it.
type Asked struct {
	Permission
	Words  string
	Change string // "new" since the last consent; "gone"; "" as before, or at the first consent
	Held   *bool  // it is granted; nil: not known
}

// Sheet groups what a manifest asks by API, against what was approved before. What
// was approved and is not asked any more stands among the items as "gone".
func Sheet(m Manifest, approved, held []Permission, read bool) []Group {
	var out []Group
	put := func(a Asked) {
		i := slices.IndexFunc(out, func(g Group) bool { return g.Resource == a.Resource })
		if i < 0 {
			name := a.ResourceName
			if name == "" {
				name = a.Resource
			}
			out = append(out, Group{Resource: a.Resource, Name: name})
			i = len(out) - 1
		}
		out[i].Items = append(out[i].Items, a)
	}
	for _, p := range m.Permissions {
		a := Asked{Permission: p, Words: Words(p)}
		if len(approved) > 0 && !slices.ContainsFunc(approved, p.same) {
			a.Change = "new"
		}
		if read {
			has := slices.ContainsFunc(held, p.same)
			a.Held = &has
		}
		put(a)
	}
	for _, p := range approved {
		if !slices.ContainsFunc(m.Permissions, p.same) {
			put(Asked{Permission: p, Words: Words(p), Change: "gone"})
		}
	}
	for _, g := range out {
		slices.SortStableFunc(g.Items, func(a, b Asked) int { return cmp.Compare(b.Kind, a.Kind) })
	}
	return out
}

// Detail is all that is known of a consent, for its page.
type Detail struct {
	Status
	Manifest Manifest
	Sheet    []Group
	Requests []Request
	Roles    []Role
	Now      time.Time
}

// Get gives a consent with its pages and what is asked.
func (s *Service) Get(ctx context.Context, tenantID, registrationID string) (Detail, error) {
	status, err := s.StatusOf(ctx, tenantID, registrationID)
	if err != nil {
		return Detail{}, err
	}
	m, err := s.Manifest(ctx, registrationID)
	if err != nil {
		return Detail{}, err
	}
	r, err := find(ctx, s.DB.Read(), tenantID, registrationID)
	if err != nil {
		return Detail{}, err
	}
	m = r.asks(m)
	requests, err := s.Requests(ctx, tenantID, registrationID)
	if err != nil {
		return Detail{}, err
	}
	return Detail{Status: status, Manifest: m, Sheet: Sheet(m, r.Approved, r.Held, r.ReadAt != nil), Requests: requests, Roles: Approvers(m.Permissions), Now: s.time()}, nil
}
