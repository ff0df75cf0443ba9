package connection

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/uptrace/bun"

	"gatehouse/internal/audit"
	"gatehouse/internal/diagnosis"
	"gatehouse/internal/posture"
	"gatehouse/internal/sqldb"
	"gatehouse/internal/tenant"
)

type row struct {
	bun.BaseModel `bun:"table:connections,alias:c"`

	ID                 string `bun:"id,pk"`
	TenantID           string
	TenantName         string `bun:"tenant_name,scanonly"`
	Name               string
	Description        string
	Kind               Kind
	MFA                bool `bun:"mfa"`
	Username           string
	ClientID           string
	RegistrationID     string
	ObjectID           string
	Credential         CredentialKind
	Secret             []byte
	Held               bool `bun:"held,scanonly"` // there is a secret
	Certificate        string
	Thumbprint         string
	CredentialNotAfter *time.Time
	CredentialVersion  int64
	Services           string
	Site               string
	AdminURL           string `bun:"admin_url"`
	Environment        string
	Company            string
	Consumer           string
	Search             string
	Verdict            string
	Sentence           string
	Rule               string
	Warnings           string
	ValidatedAt        *time.Time
	Parked             bool
	ParkedReason       string
	CreatedAt          time.Time
	Version            int64
	Previous           string // of before a conversion: see convert.go
	PreviousSecret     []byte
	AdminProbe         string `bun:"admin_probe"`
	Schedule           string
	NextAt             *time.Time
	Planned            bool
}

// selected is how connections are read: with the tenant's name, and without
// what is sealed.
func selected(q *bun.SelectQuery) *bun.SelectQuery {
	return q.ExcludeColumn("secret", "certificate", "previous_secret").ColumnExpr("t.name AS tenant_name, length(c.secret) > 0 AS held").Join("JOIN tenants AS t ON t.id = c.tenant_id")
}

func find(ctx context.Context, db bun.IDB, id string) (*row, error) {
	var r row
	err := selected(db.NewSelect().Model(&r)).Where("c.id = ?", id).Scan(ctx)
	if sqldb.Missing(err) {
		return nil, ErrMissing
	}
	if err != nil {
		return nil, fmt.Errorf("reading a connection: %w", err)
	}
	return &r, nil
}

// connection reads the row's documents.
func (r *row) connection() (Connection, error) {
	c := Connection{
		ID: r.ID, TenantID: r.TenantID, TenantName: r.TenantName, Name: r.Name, Description: r.Description, Kind: r.Kind, MFA: r.MFA, Username: r.Username, ClientID: r.ClientID, RegistrationID: r.RegistrationID, ObjectID: r.ObjectID,
		Credential: r.Credential, HasCredential: r.Held, CredentialNotAfter: utc(r.CredentialNotAfter), Thumbprint: r.Thumbprint,
		Site: r.Site, AdminURL: r.AdminURL, Environment: r.Environment, Company: r.Company,
		Verdict: r.Verdict, Sentence: r.Sentence, ValidatedAt: utc(r.ValidatedAt), Parked: r.Parked, ParkedReason: r.ParkedReason, CreatedAt: r.CreatedAt.UTC(), Version: r.Version,
		Schedule: r.Schedule, NextAt: utc(r.NextAt),
	}
	var found []string
	for _, d := range []struct {
		text string
		into any
	}{{r.Services, &c.Services}, {r.Consumer, &c.Consumer}, {r.Warnings, &found}, {r.Rule, &c.Rule}, {r.Previous, &c.Previous}, {r.AdminProbe, &c.Admin}} {
		if d.text == "" {
			continue
		}
		if err := json.Unmarshal([]byte(d.text), d.into); err != nil {
			return Connection{}, fmt.Errorf("reading connection %s: %w", r.ID, err)
		}
	}
	c.Warnings = append(c.profileWarnings(), found...)
	return c, nil
}

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

// Get gives a connection.
func (s *Service) Get(ctx context.Context, id string) (Connection, error) {
	r, err := find(ctx, s.DB.Read(), id)
	if err != nil {
		return Connection{}, err
	}
	if err := s.Audit.Allow(ctx, r.TenantID, audit.ConnectionView); err != nil {
		return Connection{}, err
	}
	c, err := r.connection()
	if err != nil {
		return Connection{}, err
	}
	one := []Connection{c}
	err = s.tagged(ctx, one)
	return one[0], err
}

// Never is the verdict that finds connections without one.
const Never = "never"

// Page asks for a part of a list.
type Page = tenant.Page

// List gives connections by name: those of the tenants that the actor may see.
// The cursor of the next page is "" after the last one.
func (s *Service) List(ctx context.Context, f Filter, p Page) ([]Connection, string, error) {
	scope, err := audit.Tenants(ctx, audit.ConnectionView)
	if err != nil {
		return nil, "", err
	}
	var rows []row
	q := scope.Filter(selected(s.DB.Read().NewSelect().Model(&rows)), "c.tenant_id").OrderExpr("c.name, c.id").Limit(int64(p.Size() + 1))
	if p.After != "" {
		place, err := p.Place(2)
		if err != nil {
			return nil, "", err
		}
		q.Where("(c.name, c.id) > (?, ?)", place[0], place[1])
	}
	f.apply(q, s.DB.Postgres())
	if err := q.Scan(ctx); err != nil {
		return nil, "", fmt.Errorf("listing connections: %w", err)
	}
	next := ""
	if len(rows) > p.Size() {
		rows = rows[:p.Size()]
		last := rows[len(rows)-1]
		next = tenant.Cursor(last.Name, last.ID)
	}
	out := make([]Connection, len(rows))
	for i := range rows {
		if out[i], err = rows[i].connection(); err != nil {
			return nil, "", err
		}
	}
	return out, next, s.tagged(ctx, out)
}

// Count is how many connections have a verdict.
type Count struct {
	Verdict string // "" for never validated
	Count   int
}

// namesOf is [tenant.Connections].Names.
func (s *Service) namesOf(ctx context.Context, tenantID string) (names []string, count int, err error) {
	q := s.DB.Read().NewSelect().Model((*row)(nil)).Column("name").Where("tenant_id = ?", tenantID)
	n, err := q.Count(ctx)
	if err == nil {
		err = s.DB.Read().NewSelect().Model((*row)(nil)).Column("name").Where("tenant_id = ?", tenantID).Order("name").Limit(20).Scan(ctx, &names)
	}
	if err != nil {
		return nil, 0, fmt.Errorf("counting a tenant's connections: %w", err)
	}
	return names, int(n), nil
}

// removeAll is [tenant.Connections].Remove. Validations go with them.
func (s *Service) removeAll(ctx context.Context, tx *sqldb.Tx, tenantID string) error {
	if err := s.left(ctx, tx, Leaving{TenantID: tenantID, TenantToo: true}); err != nil {
		return err
	}
	if _, err := tx.NewRaw("DELETE FROM schedules WHERE tenant_id = ?", tenantID).Exec(ctx); err != nil {
		return fmt.Errorf("removing a tenant's schedule: %w", err)
	}
	if _, err := tx.NewRaw("DELETE FROM connections WHERE tenant_id = ?", tenantID).Exec(ctx); err != nil {
		return fmt.Errorf("removing a tenant's connections: %w", err)
	}
	return nil
}

// maxIdentities bounds how many accounts and apps one snapshot holds: each
// account costs six calls.
const maxIdentities = 200

// identities is [tenant.Connections].Identities: those of the connections that
// were validated least lately are left out if there are too many.
func (s *Service) identities(ctx context.Context, tenantID string) (posture.Want, error) {
	var rows []row
	err := s.DB.Read().NewSelect().Model(&rows).Column("kind", "username", "client_id").Where("tenant_id = ?", tenantID).OrderExpr("validated_at IS NULL, validated_at DESC, id").Limit(maxIdentities).Scan(ctx)
	if err != nil {
		return posture.Want{}, fmt.Errorf("reading a tenant's identities: %w", err)
	}
	var want posture.Want
	seen := map[string]bool{}
	for _, r := range rows {
		key := strings.ToLower(r.Username + r.ClientID)
		switch {
		case seen[key]:
		case r.Kind != App && r.Username != "":
			want.Accounts = append(want.Accounts, r.Username)
		case r.Kind != ServiceAccount && r.ClientID != "":
			want.Apps = append(want.Apps, r.ClientID)
		}
		seen[key] = true
	}
	return want, nil
}

// Settled is what a validation says of a connection.
type Settled struct {
	Verdict  string
	Sentence string
	Rule     *diagnosis.Rule
	Warnings []string
	At       time.Time
	Found
}

// Settle notes the outcome of a validation in its transaction. The connection
// may be gone.
func (s *Service) Settle(ctx context.Context, tx *sqldb.Tx, id string, v Settled) error {
	rule := ""
	if v.Rule != nil {
		rule = encode(v.Rule)
	}
	done, err := tx.NewRaw("UPDATE connections SET verdict = ?, sentence = ?, rule = ?, warnings = ?, validated_at = ? WHERE id = ?",
		v.Verdict, v.Sentence, rule, encode(v.Warnings), v.At.UTC(), id).Exec(ctx)
	if err != nil {
		return fmt.Errorf("noting a validation: %w", err)
	}
	if n, err := done.RowsAffected(); err != nil || n == 0 {
		return err
	}
	return s.changed(ctx, tx, id, &v.Found)
}
