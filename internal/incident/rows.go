package incident

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/uptrace/bun"

	"gatehouse/internal/audit"
	"gatehouse/internal/diagnosis"
	"gatehouse/internal/sqldb"
)

type row struct {
	bun.BaseModel `bun:"table:incidents,alias:i"`

	ID             string `bun:"id,pk"`
	Kind           Kind
	Cause          string
	Slot           *string
	TenantID       string
	Subject        string
	State          State
	Since          time.Time
	JoinedAt       time.Time
	EndedAt        *time.Time
	EndTold        bool
	Stops          int
	AcknowledgedBy string
	AcknowledgedAt *time.Time
	Search         string
	Version        int64
}

type memberRow struct {
	bun.BaseModel `bun:"table:incident_connections,alias:m"`

	IncidentID   string `bun:"incident_id,pk"`
	ConnectionID string `bun:"connection_id,pk"`
	TenantID     string
	Name         string
	Since        time.Time
	Until        *time.Time
	Ending       string
	Title        string
	Actor        diagnosis.Actor
	Help         string
	Code         string
	Rule         string
}

type commentRow struct {
	bun.BaseModel `bun:"table:incident_comments,alias:m"`

	ID         string `bun:"id,pk"`
	IncidentID string
	At         time.Time
	AuthorID   string
	Author     string
	Text       string
}

type commentTenantRow struct {
	bun.BaseModel `bun:"table:incident_comment_tenants"`

	CommentID string `bun:"comment_id,pk"`
	TenantID  string `bun:"tenant_id,pk"`
}

func utc(t *time.Time) *time.Time {
	if t == nil {
		return nil
	}
	moment := t.UTC()
	return &moment
}

func encodeRule(r *diagnosis.Rule) string {
	if r == nil {
		return ""
	}
	data, _ := json.Marshal(r) // always encodes
	return string(data)
}

func readRule(text string) (*diagnosis.Rule, error) {
	if text == "" {
		return nil, nil
	}
	var r diagnosis.Rule
	if err := json.Unmarshal([]byte(text), &r); err != nil {
		return nil, fmt.Errorf("reading an incident's rule: %w", err)
	}
	return &r, nil
}

func find(ctx context.Context, db bun.IDB, id string) (*row, error) {
	var r row
	err := db.NewSelect().Model(&r).Where("i.id = ? AND i.state <> ?", id, Forming).Scan(ctx)
	if sqldb.Missing(err) {
		return nil, ErrMissing
	}
	if err != nil {
		return nil, fmt.Errorf("reading an incident: %w", err)
	}
	return &r, nil
}

// headline names an incident in a line, without any tenant's own words.
func headline(kind Kind, subject, title string) string {
	switch {
	case kind == KindPolicy:
		return "Policy " + subject
	case kind == KindAccount:
		return "The account " + subject + " is parked"
	case kind == KindService:
		return serviceNames[subject] + " is in trouble"
	case kind == KindEnvironment:
		return "Gatehouse does not reach Microsoft"
	case kind == KindRule, kind == KindSignIns:
		return subject
	case subject != "" && title != "":
		return "App " + subject + ": " + lowerFirst(title)
	}
	return title
}

// Headline names an incident in a line.
func (i Incident) Headline() string { return headline(i.Kind, i.Subject, i.Title) }

var serviceNames = map[string]string{"": "A service of Microsoft", "login": "Microsoft's sign-in service", "graph": "Microsoft Graph", "sharepoint": "SharePoint", "exchange": "Exchange", "business_central": "Business Central"}

func lowerFirst(s string) string {
	if len(s) < 2 || s[0] < 'A' || s[0] > 'Z' || s[1] >= 'A' && s[1] <= 'Z' {
		return s // an abbreviation
	}
	return strings.ToLower(s[:1]) + s[1:]
}

// entry is what is written down about an incident, for whoever may read of a
// tenant; of all if none is named.
func (r *row) entry(ctx context.Context, tx *sqldb.Tx, tenantID, action string) (audit.Entry, error) {
	var title string
	q := tx.NewSelect().Model((*memberRow)(nil)).ColumnExpr("m.title").Where("m.incident_id = ?", r.ID).OrderExpr("m.since, m.connection_id").Limit(1)
	if tenantID != audit.AllTenants {
		q.Where("m.tenant_id = ?", tenantID)
	}
	if err := q.Scan(ctx, &title); err != nil && !sqldb.Missing(err) {
		return audit.Entry{}, fmt.Errorf("reading what an incident affects: %w", err)
	}
	return audit.Entry{Permission: audit.IncidentManage, TenantID: tenantID, Action: action, ObjectKind: "incident", ObjectID: r.ID, ObjectName: cmp.Or(headline(r.Kind, r.Subject, title), string(r.Kind))}, nil
}

// hold keeps others from changing an incident until the transaction ends; false
// if it is in none of the states any more.
func hold(ctx context.Context, tx *sqldb.Tx, id string, states ...State) (bool, error) {
	done, err := tx.NewRaw("UPDATE incidents SET version = version + 1 WHERE id = ? AND state IN (?)", id, bun.List(states)).Exec(ctx)
	if err != nil {
		return false, fmt.Errorf("holding an incident: %w", err)
	}
	n, err := done.RowsAffected()
	return n == 1, err
}

var errRace = errors.New("the incident ended meanwhile")
