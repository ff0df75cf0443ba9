package expiry

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/uptrace/bun"

	"gatehouse/internal/audit"
	"gatehouse/internal/sqldb"
	"gatehouse/internal/tenant"
)

// everything is all that ends, as a table: what was read in the tenants, and what
// is stored here. Of a credential that is both, the reader's or registration's row
// counts, and then the one that was read. It takes the cloud's name twice. A connection of which nothing was read is unknown.
const everything = `(
	SELECT i.id, i.tenant_id, i.kind, i.holder, i.object_id, i.client_id, i.username, i.name, i.label, i.credential_id, i.thumbprint, i.active, '' AS connection_id, '' AS registration_id,
		i.state, i.reason, i.starts_at, i.not_after, i.used_at, i.seen_at,
		(i.username <> '' OR EXISTS (SELECT 1 FROM connections AS c WHERE c.tenant_id = i.tenant_id AND c.client_id = i.client_id)
			OR EXISTS (SELECT 1 FROM readers AS r WHERE r.tenant_id = i.tenant_id AND r.client_id = i.client_id)) AS used
	FROM expiry_items AS i
	WHERE NOT EXISTS (SELECT 1 FROM readers AS r WHERE r.tenant_id = i.tenant_id AND r.thumbprint = i.thumbprint)
		AND NOT EXISTS (SELECT 1 FROM registration_credentials AS g WHERE g.cloud = ? AND g.state <> 'retired' AND g.client_id = i.client_id AND (g.thumbprint <> '' AND g.thumbprint = i.thumbprint OR g.key_id <> '' AND g.key_id = lower(i.credential_id)))
	UNION ALL
	SELECT 'r-' || r.tenant_id, r.tenant_id, 'reader', 'gatehouse', '', r.client_id, '', 'Gatehouse', '', '', r.thumbprint, true, '', '', 'dated', '', NULL, r.not_after, NULL, NULL, true
	FROM readers AS r
	UNION ALL
	SELECT 'c-' || c.id, c.tenant_id, CASE WHEN c.credential IN ('certificate', 'secret') THEN c.credential ELSE 'password' END, 'gatehouse', '', c.client_id, c.username, c.name, '', '', c.thumbprint,
		true, c.id, '', CASE WHEN c.credential_not_after IS NULL THEN 'unknown' ELSE 'dated' END, '', NULL, c.credential_not_after, NULL, NULL, true
	FROM connections AS c
	WHERE c.credential NOT IN ('federated', 'sign_in') AND NOT EXISTS (SELECT 1 FROM expiry_items AS i WHERE i.tenant_id = c.tenant_id AND (
		c.thumbprint <> '' AND i.thumbprint = c.thumbprint
		OR c.credential_not_after IS NULL AND c.thumbprint = '' AND i.client_id = c.client_id AND i.kind = c.credential
		OR c.credential IN ('password', 'app_password') AND i.kind = 'password' AND i.username = lower(c.username)))
	UNION ALL
	SELECT 'g-' || r.id, '', r.kind, 'gatehouse', '', r.client_id, '', g.name, r.label, r.key_id, r.thumbprint, r.state = 'active', '', g.id,
		CASE WHEN r.not_after IS NULL THEN 'unknown' ELSE 'dated' END, '', r.added_at, r.not_after, r.used_at, NULL, r.state = 'active'
	FROM registration_credentials AS r JOIN registrations AS g ON g.id = r.registration_id
	WHERE r.cloud = ? AND r.state <> 'retired'
) AS x`

// found is a row of [everything].
type found struct {
	ID, TenantID, TenantName, ClientID, Username, Name, Label string
	Kind                                                      Kind
	Holder                                                    Holder
	ObjectID, CredentialID, Thumbprint, ConnectionID, Reason  string
	RegistrationID                                            string
	Active, Used                                              bool
	State                                                     State
	StartsAt, NotAfter, UsedAt, SeenAt                        *time.Time

	// How the tenant was read last.
	ReadAt *time.Time
	Tried  bool
	Why    string
}

func (f found) item() Item {
	i := Item{
		ID: f.ID, TenantID: f.TenantID, TenantName: f.TenantName, Kind: f.Kind, Holder: f.Holder, ObjectID: f.ObjectID, ClientID: f.ClientID, Username: f.Username, Name: f.Name, Label: f.Label,
		CredentialID: f.CredentialID, Thumbprint: f.Thumbprint, Active: f.Active, ConnectionID: f.ConnectionID, RegistrationID: f.RegistrationID, State: f.State, Reason: f.Reason,
		StartsAt: utc(f.StartsAt), NotAfter: utc(f.NotAfter), UsedAt: utc(f.UsedAt), SeenAt: utc(f.SeenAt), Used: f.Used,
	}
	if i.State == Unknown && i.Holder == Here {
		i.Reason = f.unread()
	}
	return i
}

// unread is why nothing is known of a connection's credential.
func (f found) unread() string {
	switch {
	case f.RegistrationID != "":
		return "nobody said when it ends: the Microsoft Entra admin centre shows it beside the secret"
	case f.Why != "":
		return f.Why
	case !f.Tried:
		return "the tenant has not been read yet"
	case f.ReadAt == nil:
		return noReader
	case f.Kind == Password:
		return "the tenant was read before this account was added"
	default:
		return "the tenant's reader sees no such credential of the app: its registration may lie in another tenant, or the credential was removed"
	}
}

func (s *Service) selected() *bun.SelectQuery {
	return s.DB.Read().NewSelect().TableExpr(everything, s.Cloud.Name, s.Cloud.Name).ColumnExpr("x.*, coalesce(t.name, '') AS tenant_name, e.read_at AS read_at, e.tenant_id IS NOT NULL AS tried, coalesce(e.reason, '') AS why").
		Join("LEFT JOIN tenants AS t ON t.id = x.tenant_id").Join("LEFT JOIN expiry_tenants AS e ON e.tenant_id = x.tenant_id")
}

// seen are the tenants whose ends the actor may see, with that of app registrations,
// which belong to none: whoever looks after a tenant sees those.
func seen(ctx context.Context) (audit.Scope, error) {
	scope, err := audit.Tenants(ctx, audit.TenantView)
	if !scope.All && len(scope.IDs) > 0 {
		scope.IDs = append(scope.IDs, audit.AllTenants)
	}
	return scope, err
}

// may demands that the actor may see the ends of a tenant, or of app registrations.
func (s *Service) may(ctx context.Context, tenantID string) error {
	scope, err := seen(ctx)
	if err == nil && !scope.Has(tenantID) {
		err = s.Audit.Allow(ctx, tenantID, audit.TenantView)
	}
	return err
}

// Filter narrows a list. Empty members do not.
type Filter struct {
	TenantID string
	Kind     Kind
	// Within is a level, for what has not ended and does so within as many days;
	// [Past], for what has; or "unknown" or "never".
	Within string
	// All lists the credentials of all apps of the tenants, not only of those that
	// connections and readers use.
	All    bool
	Search string // in name, label and key id
}

// Page asks for a part of a list.
type Page = tenant.Page

// late stands, in the order of lists, for what has no end.
var late = time.Date(9999, 12, 31, 0, 0, 0, 0, time.UTC)

// List gives what ends by its end, the first one first, then what does not or is
// unknown: in the tenants that the actor may see. The cursor of the next page is
// "" after the last one.
func (s *Service) List(ctx context.Context, f Filter, p Page) ([]Item, string, error) {
	scope, err := seen(ctx)
	if err != nil {
		return nil, "", err
	}
	var rows []found
	q := scope.Filter(s.selected(), "x.tenant_id").OrderExpr("coalesce(x.not_after, ?), x.id", late).Limit(int64(p.Size() + 1))
	if p.After != "" {
		place, err := p.Place(2)
		if err != nil {
			return nil, "", err
		}
		end, err := time.Parse(time.RFC3339Nano, place[0])
		if err != nil {
			return nil, "", tenant.Fault("after", "is no cursor of this list", "begin again with the first page")
		}
		q.Where("(coalesce(x.not_after, ?), x.id) > (?, ?)", late, end.UTC(), place[1])
	}
	if err := f.apply(q, s.Now()); err != nil {
		return nil, "", err
	}
	if err := q.Scan(ctx, &rows); err != nil {
		return nil, "", fmt.Errorf("listing what ends: %w", err)
	}
	next := ""
	if len(rows) > p.Size() {
		rows = rows[:p.Size()]
		last, end := rows[len(rows)-1], late
		if last.NotAfter != nil {
			end = last.NotAfter.UTC()
		}
		next = tenant.Cursor(end.Format(time.RFC3339Nano), last.ID)
	}
	items, err := s.whole(ctx, rows)
	return items, next, err
}

func (f Filter) apply(q *bun.SelectQuery, now time.Time) error {
	if f.TenantID != "" {
		q.Where("x.tenant_id = ?", f.TenantID)
	}
	if f.Kind != "" {
		q.Where("x.kind = ?", f.Kind)
	}
	if !f.All {
		q.Where("x.used")
	}
	if f.Search != "" {
		like := tenant.Like(f.Search)
		q.Where("(lower(x.name) LIKE ? ESCAPE '!' OR lower(x.label) LIKE ? ESCAPE '!' OR lower(x.credential_id) LIKE ? ESCAPE '!')", like, like, like)
	}
	now = now.UTC()
	switch f.Within {
	case "":
	case string(In90), string(In30), string(In7):
		for _, l := range levels {
			if string(l.Level) == f.Within {
				q.Where("x.not_after > ? AND x.not_after <= ?", now, now.Add(l.left))
			}
		}
	case string(Past):
		q.Where("x.not_after <= ?", now)
	case string(Unknown), string(Never):
		q.Where("x.state = ?", f.Within)
	default:
		return tenant.Fault("within", fmt.Sprintf("is %.40q", f.Within), "use 90, 30, 7, past, unknown or never")
	}
	return nil
}

// Get gives one credential with all its uses. [ErrMissing] if there is none.
func (s *Service) Get(ctx context.Context, id string) (Item, error) {
	var rows []found
	if err := s.selected().Where("x.id = ?", id).Scan(ctx, &rows); err != nil && !sqldb.Missing(err) {
		return Item{}, fmt.Errorf("reading what ends: %w", err)
	}
	if len(rows) == 0 {
		return Item{}, ErrMissing
	}
	if err := s.may(ctx, rows[0].TenantID); err != nil {
		return Item{}, err
	}
	items, err := s.whole(ctx, rows)
	if err != nil {
		return Item{}, err
	}
	return items[0], nil
}

// Strip gives what connections and readers use and what ends before a moment, or
// has ended, the first one first, so many at most, and how many there are.
func (s *Service) Strip(ctx context.Context, before time.Time, most int) ([]Item, int, error) {
	scope, err := seen(ctx)
	if err != nil {
		return nil, 0, err
	}
	var rows []found
	q := scope.Filter(s.selected(), "x.tenant_id").Where("x.used AND x.not_after < ?", before.UTC()).OrderExpr("x.not_after, x.id").Limit(int64(most))
	if err := q.Scan(ctx, &rows); err != nil {
		return nil, 0, fmt.Errorf("looking for what ends: %w", err)
	}
	count, err := scope.Filter(s.DB.Read().NewSelect().TableExpr(everything, s.Cloud.Name, s.Cloud.Name), "x.tenant_id").Where("x.used AND x.not_after < ?", before.UTC()).Count(ctx)
	if err != nil {
		return nil, 0, fmt.Errorf("counting what ends: %w", err)
	}
	items := make([]Item, len(rows))
	for i := range rows {
		items[i] = rows[i].item()
	}
	return items, int(count), nil
}

// Reading is how a tenant's credentials were read last.
type Reading struct {
	TenantID, TenantName string
	At                   *time.Time // nil: never
	Reason               string     // why the last try failed, or none was made
	Unread               []Unread
}

// Readings says of the tenants that the actor may see how they were read, those
// that could not be first, so many at most; and how many there are of which
// nothing or only something old is known.
func (s *Service) Readings(ctx context.Context, tenantID string, most int) ([]Reading, int, error) {
	scope, err := audit.Tenants(ctx, audit.TenantView)
	if err != nil {
		return nil, 0, err
	}
	var rows []struct {
		ID, Name, Reason, Unread string
		ReadAt                   *time.Time
		Tried, Reader            bool
	}
	old := s.time().Add(-2 * day)
	base := func() *bun.SelectQuery {
		q := s.DB.Read().NewSelect().TableExpr("tenants AS t").Join("LEFT JOIN expiry_tenants AS e ON e.tenant_id = t.id")
		if tenantID != "" {
			q.Where("t.id = ?", tenantID)
		}
		return scope.Filter(q, "t.id")
	}
	const poor = "(e.read_at IS NULL OR e.reason <> '' OR e.read_at < ?)"
	err = base().ColumnExpr("t.id AS id, t.name AS name, coalesce(e.reason, '') AS reason, coalesce(e.unread, '[]') AS unread, e.read_at AS read_at, e.tenant_id IS NOT NULL AS tried").
		ColumnExpr("EXISTS (SELECT 1 FROM readers AS r WHERE r.tenant_id = t.id AND r.state = ?) AS reader", tenant.ReaderWorks).
		OrderExpr("CASE WHEN "+poor+" THEN 0 ELSE 1 END, t.name, t.id", old).Limit(int64(most)).Scan(ctx, &rows)
	if err != nil {
		return nil, 0, fmt.Errorf("reading how tenants were read: %w", err)
	}
	count, err := base().Where(poor, old).Count(ctx)
	if err != nil {
		return nil, 0, fmt.Errorf("counting tenants that were not read: %w", err)
	}
	out := make([]Reading, len(rows))
	for i, r := range rows {
		out[i] = Reading{TenantID: r.ID, TenantName: r.Name, At: utc(r.ReadAt), Reason: r.Reason, Unread: unreadOf(r.Unread)}
		switch {
		case !r.Reader:
			out[i].Reason = noReader
		case !r.Tried:
			out[i].Reason = "not read yet"
		}
	}
	return out, int(count), nil
}

// upper bounds how many rows one question for uses names.
const upper = 200

// whole adds to rows who uses them.
func (s *Service) whole(ctx context.Context, rows []found) ([]Item, error) {
	items := make([]Item, len(rows))
	for i := range rows {
		items[i] = rows[i].item()
	}
	for part := items; len(part) > 0; part = part[min(upper, len(part)):] {
		if err := s.addUses(ctx, part[:min(upper, len(part))]); err != nil {
			return nil, err
		}
	}
	return items, nil
}

// keysOf are the identities of items.
func keysOf(items []Item) (clients, users []string) {
	clients, users = []string{""}, []string{""} // never an empty list
	for _, i := range items {
		if i.Username != "" {
			users = append(users, strings.ToLower(i.Username))
		} else {
			clients = append(clients, i.ClientID)
		}
	}
	return clients, users
}
