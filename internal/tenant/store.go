package tenant

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/uptrace/bun"

	"gatehouse/internal/audit"
	"gatehouse/internal/sqldb"
)

type row struct {
	bun.BaseModel `bun:"table:tenants,alias:tenants"`

	ID          string `bun:"id,pk"`
	DirectoryID string
	Name        string
	Domain      string
	Cloud       string
	Realm       string
	Paused      bool
	Search      string
	CreatedAt   time.Time
	Version     int64
}

type domainRow struct {
	bun.BaseModel `bun:"table:tenant_domains"`

	TenantID string `bun:"tenant_id,pk"`
	Domain   string `bun:"domain,pk"`
}

type switchRow struct {
	bun.BaseModel `bun:"table:tenant_switches"`

	TenantID    string     `bun:"tenant_id,pk"`
	Name        SwitchName `bun:"name,pk"`
	State       SwitchState
	ConsentedBy string
	ConsentedAt *time.Time
	Reason      string
}

type readerRow struct {
	bun.BaseModel `bun:"table:readers"`

	TenantID    string `bun:"tenant_id,pk"`
	ClientID    string
	PrincipalID string
	Certificate string
	PrivateKey  []byte
	Thumbprint  string
	NotAfter    time.Time
	CheckedAt   *time.Time
	State       string
	Reason      string
}

type snapshotRow struct {
	bun.BaseModel `bun:"table:snapshots,alias:s"`

	TenantID string `bun:"tenant_id,pk"`
	TakenAt  time.Time
	Source   string
	Data     string
}

func (r *row) index() { r.Search = strings.ToLower(r.Name + "\n" + r.Domain + "\n" + r.DirectoryID) }

// find reads the row of a tenant.
func find(ctx context.Context, db bun.IDB, id string) (*row, error) {
	var r row
	err := db.NewSelect().Model(&r).Where("id = ?", id).Scan(ctx)
	if sqldb.Missing(err) {
		return nil, ErrMissing
	}
	if err != nil {
		return nil, fmt.Errorf("reading a tenant: %w", err)
	}
	return &r, nil
}

// findReader reads a tenant's reader; nil if it has none.
func findReader(ctx context.Context, db bun.IDB, id string) (*readerRow, error) {
	var r readerRow
	err := db.NewSelect().Model(&r).Where("tenant_id = ?", id).Scan(ctx)
	if sqldb.Missing(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading a tenant's reader: %w", err)
	}
	return &r, nil
}

// Get gives a tenant.
func (s *Service) Get(ctx context.Context, id string) (Tenant, error) {
	r, err := find(ctx, s.DB.Read(), id)
	if err != nil {
		return Tenant{}, err
	}
	if err := s.Audit.Allow(ctx, r.ID, audit.TenantView); err != nil {
		return Tenant{}, err
	}
	all, err := whole(ctx, s.DB.Read(), []row{*r})
	if err != nil {
		return Tenant{}, err
	}
	return all[0], nil
}

// Filter narrows a list. Empty members do not.
type Filter struct {
	Search string // in name, domains and directory id
	Paused *bool
}

// Page asks for a part of a list.
type Page struct {
	After string // cursor of the page before; "" for the first
	Limit int    // 50 if 0, 200 at most
}

// Size is how many items the page has at most.
func (p Page) Size() int {
	if p.Limit <= 0 {
		return 50
	}
	return min(p.Limit, 200)
}

// Cursor writes the place of an item in a list that is ordered by some columns.
func Cursor(columns ...string) string {
	text, _ := json.Marshal(columns) // texts always encode
	return base64.RawURLEncoding.EncodeToString(text)
}

// Place reads a cursor of so many columns.
func (p Page) Place(columns int) ([]string, error) {
	var place []string
	text, err := base64.RawURLEncoding.DecodeString(p.After)
	if err != nil || json.Unmarshal(text, &place) != nil || len(place) != columns {
		return nil, Fault("after", "is no cursor of this list", "begin again with the first page")
	}
	return place, nil
}

// Newest reads into rows, the model of q, the page of what q selects: the newest
// first by the column id, whose texts grow with time, which of gives of a row. What
// they are is for the error. The cursor of the next page is "" after the last one.
func Newest[T any](ctx context.Context, q *bun.SelectQuery, p Page, what, id string, rows *[]T, of func(T) string) (next string, err error) {
	if p.After != "" {
		place, err := p.Place(1)
		if err != nil {
			return "", err
		}
		q.Where("? < ?", bun.Ident(id), place[0])
	}
	if err := q.OrderExpr("? DESC", bun.Ident(id)).Limit(int64(p.Size() + 1)).Scan(ctx); err != nil {
		return "", fmt.Errorf("listing %s: %w", what, err)
	}
	if all := *rows; len(all) > p.Size() {
		*rows = all[:p.Size()]
		next = Cursor(of(all[p.Size()-1]))
	}
	return next, nil
}

// Like is the pattern of a search text in a LIKE with ESCAPE '!'.
func Like(text string) string { return sqldb.Like(text) }

// List gives tenants by name: those that the actor may see. The cursor of the
// next page is "" after the last one.
func (s *Service) List(ctx context.Context, f Filter, p Page) ([]Tenant, string, error) {
	scope, err := audit.Tenants(ctx, audit.TenantView)
	if err != nil {
		return nil, "", err
	}
	var rows []row
	q := scope.Filter(s.DB.Read().NewSelect().Model(&rows), "tenants.id").Order("name", "id").Limit(int64(p.Size() + 1))
	if p.After != "" {
		place, err := p.Place(2)
		if err != nil {
			return nil, "", err
		}
		q.Where("(name, id) > (?, ?)", place[0], place[1])
	}
	if f.Paused != nil {
		q.Where("paused = ?", *f.Paused)
	}
	if f.Search != "" {
		like := Like(f.Search)
		q.Where("(search LIKE ? ESCAPE '!' OR EXISTS (SELECT 1 FROM tenant_domains d WHERE d.tenant_id = tenants.id AND d.domain LIKE ? ESCAPE '!'))", like, like)
	}
	if err := q.Scan(ctx); err != nil {
		return nil, "", fmt.Errorf("listing tenants: %w", err)
	}
	next := ""
	if len(rows) > p.Size() {
		rows = rows[:p.Size()]
		last := rows[len(rows)-1]
		next = Cursor(last.Name, last.ID)
	}
	all, err := whole(ctx, s.DB.Read(), rows)
	return all, next, err
}

// whole adds to tenants what lies in other tables.
func whole(ctx context.Context, db bun.IDB, rows []row) ([]Tenant, error) {
	if len(rows) == 0 {
		return nil, nil
	}
	ids := make([]string, len(rows))
	for i, r := range rows {
		ids[i] = r.ID
	}
	var switches []switchRow
	var readers []readerRow
	var snapshots []snapshotRow
	for _, q := range []*bun.SelectQuery{
		db.NewSelect().Model(&switches),
		db.NewSelect().Model(&readers).ExcludeColumn("private_key", "certificate"),
		db.NewSelect().Model(&snapshots).ExcludeColumn("data"),
	} {
		if err := q.Where("tenant_id IN (?)", bun.List(ids)).Scan(ctx); err != nil {
			return nil, fmt.Errorf("reading tenants: %w", err)
		}
	}
	out := make([]Tenant, len(rows))
	at := map[string]*Tenant{}
	for i, r := range rows {
		out[i] = Tenant{ID: r.ID, DirectoryID: r.DirectoryID, Name: r.Name, Domain: r.Domain, Cloud: r.Cloud, Realm: r.Realm, Paused: r.Paused, CreatedAt: r.CreatedAt.UTC(), Version: r.Version}
		out[i].Switches = append(out[i].Switches, catalogue...)
		for j := range out[i].Switches {
			out[i].Switches[j].State = Off
		}
		at[r.ID] = &out[i]
	}
	for _, w := range switches {
		for j := range at[w.TenantID].Switches {
			if sw := &at[w.TenantID].Switches[j]; sw.Name == w.Name {
				sw.State, sw.ConsentedBy, sw.ConsentedAt, sw.Reason = w.State, w.ConsentedBy, utc(w.ConsentedAt), w.Reason
			}
		}
	}
	for _, r := range readers {
		at[r.TenantID].Reader = &Reader{ClientID: r.ClientID, PrincipalID: r.PrincipalID, Thumbprint: r.Thumbprint, NotAfter: r.NotAfter.UTC(), CheckedAt: utc(r.CheckedAt), State: r.State, Reason: r.Reason}
	}
	for _, p := range snapshots {
		at[p.TenantID].SnapshotAt, at[p.TenantID].SnapshotSource = utc(&p.TakenAt), p.Source
	}
	return out, nil
}

func utc(t *time.Time) *time.Time {
	if t == nil {
		return nil
	}
	moment := t.UTC()
	return &moment
}

// putSwitch sets a switch's row.
func putSwitch(ctx context.Context, tx *sqldb.Tx, w switchRow) error {
	_, err := tx.NewInsert().Model(&w).On("CONFLICT (tenant_id, name) DO UPDATE").
		Set("state = EXCLUDED.state, consented_by = EXCLUDED.consented_by, consented_at = EXCLUDED.consented_at, reason = EXCLUDED.reason").Exec(ctx)
	if err != nil {
		return fmt.Errorf("setting a switch: %w", err)
	}
	return nil
}
