package registration

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/uptrace/bun"

	"gatehouse/internal/audit"
	"gatehouse/internal/sqldb"
	"gatehouse/internal/tenant"
)

type row struct {
	bun.BaseModel `bun:"table:registrations,alias:g"`

	ID              string `bun:"id,pk"`
	Name            string
	Kind            Kind
	Purpose         string
	Redirects       string
	Publisher       string
	PublisherName   string
	PublisherSource string
	PublisherAt     *time.Time
	Seen            string
	Search          string
	CreatedBy       string
	CreatedAt       time.Time
	Version         int64
}

type clientRow struct {
	bun.BaseModel `bun:"table:registration_clients,alias:k"`

	RegistrationID string
	Cloud          string
	ClientID       string
	Since          time.Time
	Until          *time.Time
}

type manifestRow struct {
	bun.BaseModel `bun:"table:registration_manifests,alias:m"`

	RegistrationID string `bun:"registration_id,pk"`
	Version        int    `bun:"version,pk"`
	Permissions    string
	Reason         string
	MadeBy         string
	MadeAt         time.Time
}

func newID() string { return uuid.Must(uuid.NewV7()).String() } // fails only if there is no randomness

func utc(t *time.Time) *time.Time {
	if t == nil {
		return nil
	}
	moment := t.UTC()
	return &moment
}

// encode writes a document. The types that are stored always encode.
func encode(v any) string {
	text, _ := json.Marshal(v)
	return string(text)
}

func find(ctx context.Context, db bun.IDB, id string) (*row, error) {
	var r row
	err := db.NewSelect().Model(&r).Where("g.id = ?", id).Scan(ctx)
	if sqldb.Missing(err) {
		return nil, ErrMissing
	}
	if err != nil {
		return nil, fmt.Errorf("reading an app registration: %w", err)
	}
	return &r, nil
}

// entry is what is written down about a registration.
func (r *row) entry(action string, details map[string]any) audit.Entry {
	return audit.Entry{Permission: audit.SettingsManage, TenantID: audit.AllTenants, Action: action, ObjectKind: "registration", ObjectID: r.ID, ObjectName: r.Name, Details: details}
}

func (r *row) index(clients []clientRow) {
	parts := []string{r.Name}
	for _, c := range clients {
		parts = append(parts, c.ClientID)
	}
	r.Search = strings.ToLower(strings.Join(parts, "\n"))
}

// Get gives a registration with all that belongs to it.
func (s *Service) Get(ctx context.Context, id string) (Registration, error) {
	if err := s.view(ctx); err != nil {
		return Registration{}, err
	}
	g, err := s.load(ctx, id)
	if err != nil {
		return Registration{}, err
	}
	all := []Registration{g}
	return all[0], hide(ctx, all)
}

// hide takes out in which tenant something was tried or read where the actor may not
// see that tenant.
func hide(ctx context.Context, all []Registration) error {
	scope, err := audit.Tenants(ctx, audit.ConnectionView)
	if err != nil {
		return err
	}
	for _, g := range all {
		for _, c := range g.Credentials {
			if c.Check != nil && !scope.Has(c.Check.TenantID) {
				c.Check.TenantID = ""
			}
		}
		if g.Seen != nil && !scope.Has(g.Seen.TenantID) {
			g.Seen.TenantID = ""
		}
	}
	return nil
}

func (s *Service) load(ctx context.Context, id string) (Registration, error) {
	r, err := find(ctx, s.DB.Read(), id)
	if err != nil {
		return Registration{}, err
	}
	all, err := s.whole(ctx, []row{*r})
	if err != nil {
		return Registration{}, err
	}
	return all[0], nil
}

// Present gives a registration without how many connections use it, which takes long
// to count where they are many: for features that have authorised on an object of
// theirs. [ErrMissing] if there is none.
func (s *Service) Present(ctx context.Context, id string) (Registration, error) {
	r, err := find(ctx, s.DB.Read(), id)
	if err != nil {
		return Registration{}, err
	}
	all, err := s.joined(ctx, []row{*r})
	if err != nil {
		return Registration{}, err
	}
	return all[0], nil
}

// Filter narrows a list. Empty members do not.
type Filter struct {
	Search string // in name and client ids
}

// List gives registrations by name. The cursor of the next page is "" after the last
// one.
func (s *Service) List(ctx context.Context, f Filter, p Page) ([]Registration, string, error) {
	scope, err := audit.Tenants(ctx, audit.ConnectionView)
	if err != nil {
		return nil, "", err
	}
	if !scope.All && len(scope.IDs) == 0 {
		return nil, "", nil
	}
	var rows []row
	q := s.DB.Read().NewSelect().Model(&rows).Order("g.name", "g.id").Limit(int64(p.Size() + 1))
	if p.After != "" {
		place, err := p.Place(2)
		if err != nil {
			return nil, "", err
		}
		q.Where("(g.name, g.id) > (?, ?)", place[0], place[1])
	}
	if f.Search != "" {
		q.Where("g.search LIKE ? ESCAPE '!'", tenant.Like(f.Search))
	}
	if err := q.Scan(ctx); err != nil {
		return nil, "", fmt.Errorf("listing app registrations: %w", err)
	}
	next := ""
	if len(rows) > p.Size() {
		rows = rows[:p.Size()]
		last := rows[len(rows)-1]
		next = tenant.Cursor(last.Name, last.ID)
	}
	all, err := s.whole(ctx, rows)
	if err != nil {
		return nil, "", err
	}
	return all, next, hide(ctx, all)
}

// idsOf are the ids of rows, for a query.
func idsOf(rows []row) bun.ListValues {
	ids := make([]string, len(rows))
	for i, r := range rows {
		ids[i] = r.ID
	}
	return bun.List(ids)
}

// whole adds to registrations what lies in other tables.
func (s *Service) whole(ctx context.Context, rows []row) ([]Registration, error) {
	out, err := s.joined(ctx, rows)
	if err != nil || len(out) == 0 {
		return nil, err
	}
	var uses []struct {
		RegistrationID string
		N              int
	}
	err = s.DB.Read().NewSelect().TableExpr("connections AS c").ColumnExpr("c.registration_id AS registration_id, count(*) AS n").Where("c.registration_id IN (?)", idsOf(rows)).GroupExpr("c.registration_id").Scan(ctx, &uses)
	if err != nil {
		return nil, fmt.Errorf("counting who uses app registrations: %w", err)
	}
	for _, u := range uses {
		out[slices.IndexFunc(out, func(g Registration) bool { return g.ID == u.RegistrationID })].Connections = u.N
	}
	return out, nil
}

// joined is whole without the count of connections.
func (s *Service) joined(ctx context.Context, rows []row) ([]Registration, error) {
	if len(rows) == 0 {
		return nil, nil
	}
	ids := idsOf(rows)
	var clients []clientRow
	var credentials []credentialRow
	var manifests []manifestRow
	db := s.DB.Read()
	for _, q := range []*bun.SelectQuery{
		db.NewSelect().Model(&clients).Where("k.registration_id IN (?)", ids).OrderExpr("k.cloud, k.until IS NOT NULL, k.since DESC"),
		db.NewSelect().Model(&credentials).ExcludeColumn("secret").Where("r.registration_id IN (?) AND r.cloud = ?", ids, s.Cloud.Name).OrderExpr("r.added_at DESC, r.id DESC"),
		db.NewSelect().Model(&manifests).Where("m.registration_id IN (?) AND m.version = (SELECT max(x.version) FROM registration_manifests AS x WHERE x.registration_id = m.registration_id)", ids),
	} {
		if err := q.Scan(ctx); err != nil {
			return nil, fmt.Errorf("reading app registrations: %w", err)
		}
	}
	out := make([]Registration, len(rows))
	at := map[string]*Registration{}
	for i, r := range rows {
		var err error
		if out[i], err = s.registration(r); err != nil {
			return nil, err
		}
		at[r.ID] = &out[i]
	}
	for _, c := range clients {
		g := at[c.RegistrationID]
		g.Clients = append(g.Clients, Client{Cloud: c.Cloud, ClientID: c.ClientID, Since: c.Since.UTC(), Until: utc(c.Until)})
		if c.Cloud == s.Cloud.Name && c.Until == nil {
			g.ClientID = c.ClientID
		}
	}
	for _, c := range credentials {
		at[c.RegistrationID].Credentials = append(at[c.RegistrationID].Credentials, c.credential())
	}
	for _, m := range manifests {
		var err error
		if at[m.RegistrationID].Manifest, err = m.manifest(); err != nil {
			return nil, err
		}
	}
	for i := range out {
		out[i].Redirects = out[i].checked(s.needed())
	}
	return out, nil
}

func (s *Service) registration(r row) (Registration, error) {
	g := Registration{
		ID: r.ID, Name: r.Name, Kind: r.Kind, Purpose: r.Purpose, Cloud: s.Cloud.Name, Publisher: Publisher{State: r.Publisher, Name: r.PublisherName, Source: r.PublisherSource, At: utc(r.PublisherAt)},
		CreatedBy: r.CreatedBy, CreatedAt: r.CreatedAt.UTC(), Version: r.Version,
	}
	for _, d := range []struct {
		text string
		into any
	}{{r.Redirects, &g.Redirects}, {r.Seen, &g.Seen}} {
		if err := json.Unmarshal([]byte(d.text), d.into); err != nil {
			return g, fmt.Errorf("reading app registration %s: %w", r.ID, err)
		}
	}
	return g, nil
}

func (m manifestRow) manifest() (Manifest, error) {
	out := Manifest{Version: m.Version, Reason: m.Reason, By: m.MadeBy, At: m.MadeAt.UTC()}
	if err := json.Unmarshal([]byte(m.Permissions), &out.Permissions); err != nil {
		return out, fmt.Errorf("reading manifest %d of app registration %s: %w", m.Version, m.RegistrationID, err)
	}
	return out, nil
}

// Manifest gives the newest manifest of a registration, for features that have
// authorised on an object of theirs; [ErrMissing] if there is no such registration.
func (s *Service) Manifest(ctx context.Context, id string) (Manifest, error) {
	var r manifestRow
	err := s.DB.Read().NewSelect().Model(&r).Where("m.registration_id = ?", id).OrderExpr("m.version DESC").Limit(1).Scan(ctx)
	if sqldb.Missing(err) {
		return Manifest{}, ErrMissing
	}
	if err != nil {
		return Manifest{}, fmt.Errorf("reading a manifest: %w", err)
	}
	return r.manifest()
}

// Manifests gives the versions of a registration's manifest, the newest first.
func (s *Service) Manifests(ctx context.Context, id string) ([]Manifest, error) {
	if err := s.view(ctx); err != nil {
		return nil, err
	}
	if _, err := find(ctx, s.DB.Read(), id); err != nil {
		return nil, err
	}
	var rows []manifestRow
	if err := s.DB.Read().NewSelect().Model(&rows).Where("m.registration_id = ?", id).OrderExpr("m.version DESC").Scan(ctx); err != nil {
		return nil, fmt.Errorf("listing manifests: %w", err)
	}
	out := make([]Manifest, len(rows))
	for i, r := range rows {
		var err error
		if out[i], err = r.manifest(); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// Use is a connection that uses a registration.
type Use struct {
	ConnectionID, Name, TenantID, TenantName, Username, ClientID string
	Verdict                                                      string
	Former                                                       bool // its person signed in to a former client id
}

// usesShown bounds how many connections of a registration are listed.
const usesShown = 500

// Uses lists the connections that use a registration, of the tenants that the actor
// may see, those on a former client id first, 500 at most.
func (s *Service) Uses(ctx context.Context, id string) ([]Use, error) {
	g, err := s.Get(ctx, id)
	if err != nil {
		return nil, err
	}
	scope, err := audit.Tenants(ctx, audit.ConnectionView)
	if err != nil {
		return nil, err
	}
	var out []Use
	q := s.DB.Read().NewSelect().TableExpr("connections AS c").
		ColumnExpr("c.id AS connection_id, c.name, c.tenant_id, t.name AS tenant_name, c.username, c.client_id, CASE WHEN c.parked THEN 'parked' ELSE c.verdict END AS verdict, (c.object_id <> '' AND c.client_id <> ?) AS former", g.ClientID).
		Join("JOIN tenants AS t ON t.id = c.tenant_id").Where("c.registration_id = ?", id).OrderExpr("former DESC, t.name, c.name, c.id").Limit(usesShown)
	if err := scope.Filter(q, "c.tenant_id").Scan(ctx, &out); err != nil {
		return nil, fmt.Errorf("listing who uses an app registration: %w", err)
	}
	return out, nil
}

// needed are the addresses that Gatehouse itself comes back to.
func (s *Service) needed() []Redirect {
	base := strings.TrimRight(s.PublicURL, "/")
	return []Redirect{
		{URI: base + "/signin/callback", Note: "people come back here after they signed in", Needed: true},
		{URI: base + "/consent/callback", Note: "administrators come back here after they consented", Needed: true},
	}
}

// checked are all redirect addresses, with what a directory showed of them.
func (g Registration) checked(needed []Redirect) []Redirect {
	all := append(slices.Clone(needed), g.Redirects...)
	for i := range all {
		all[i].State = "unknown"
		if g.Seen == nil || g.Seen.ClientID != g.ClientID {
			continue
		}
		all[i].State = "missing"
		if slices.Contains(g.Seen.Redirects, all[i].URI) {
			all[i].State = "there"
		}
	}
	return all
}
