package campaign

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/uptrace/bun"

	"gatehouse/internal/audit"
	"gatehouse/internal/sqldb"
)

type row struct {
	bun.BaseModel `bun:"table:campaigns,alias:k"`

	ID               string `bun:"id,pk"`
	Name             string
	Reason           Reason
	RegistrationID   string
	RegistrationName string
	OldValue         string
	NewValue         string
	ClientID         string
	State            State
	StartedBy        string
	Note             string
	SignInURL        string `bun:"sign_in_url"`
	Remind           bool
	MailUsernames    bool
	RemindDays       string
	RemindBefore     string
	Zone             string
	Deadline         *time.Time
	Told             int64
	Since            time.Time
	CreatedAt        time.Time
	StartedAt        *time.Time
	EndedAt          *time.Time
	Version          int64
}

type tenantRow struct {
	bun.BaseModel `bun:"table:campaign_tenants,alias:t"`

	CampaignID string `bun:"campaign_id,pk"`
	TenantID   string `bun:"tenant_id,pk"`
	TenantName string `bun:"tenant_name,scanonly"`
	Added      bool
	Consent    ConsentState
	ConsentWhy string
	ConsentAt  *time.Time
	AskedAt    *time.Time
	People     int64
	Pending    int64
	Reminded   int64
	Done       int64
	Failed     int64
	OnOld      int64
	Worst      int64
}

type personRow struct {
	bun.BaseModel `bun:"table:campaign_people,alias:p"`

	CampaignID   string `bun:"campaign_id,pk"`
	ID           string `bun:"id,pk"`
	TenantID     string
	TenantName   string `bun:"tenant_name,scanonly"`
	ConnectionID string
	PersonKey    string
	Username     string
	ObjectID     string
	Name         string
	Email        string
	ClientID     string
	State        PersonState
	Reason       string
	ChangedAt    time.Time
	JoinedAt     time.Time
	RemindedAt   *time.Time
	Reminders    int64
	RemindAt     *time.Time
	MailReason   string
	Search       string
}

func (p *personRow) index() {
	p.Search = strings.ToLower(p.Username + "\n" + p.Name + "\n" + p.Email + "\n" + p.ObjectID)
}

func utc(t *time.Time) *time.Time {
	if t == nil {
		return nil
	}
	moment := t.UTC()
	return &moment
}

func (r *row) campaign() Campaign {
	c := Campaign{
		ID: r.ID, Name: r.Name, Reason: r.Reason, RegistrationID: r.RegistrationID, RegistrationName: r.RegistrationName, Old: r.OldValue, New: r.NewValue, ClientID: r.ClientID,
		State: r.State, StartedBy: r.StartedBy, CreatedAt: r.CreatedAt.UTC(), StartedAt: utc(r.StartedAt), EndedAt: utc(r.EndedAt), Version: r.Version,
		Settings: Settings{Note: r.Note, SignInURL: r.SignInURL, Deadline: utc(r.Deadline), Remind: r.Remind, MailUsernames: r.MailUsernames, Zone: r.Zone},
	}
	_ = json.Unmarshal([]byte(r.RemindDays), &c.Days) // written by put alone
	_ = json.Unmarshal([]byte(r.RemindBefore), &c.Before)
	return c
}

// put takes settings into a row.
func (r *row) put(s Settings) error {
	days, err := json.Marshal(s.Days)
	if err != nil {
		return fmt.Errorf("encoding the days of reminders: %w", err)
	}
	before, err := json.Marshal(s.Before)
	if err != nil {
		return fmt.Errorf("encoding the days of reminders: %w", err)
	}
	r.Note, r.SignInURL, r.Deadline, r.Remind, r.MailUsernames, r.Zone = s.Note, s.SignInURL, utc(s.Deadline), s.Remind, s.MailUsernames, s.Zone
	r.RemindDays, r.RemindBefore = string(days), string(before)
	return nil
}

func (r *row) entry(tenantID, action string, details map[string]any) audit.Entry {
	return audit.Entry{Permission: audit.ConnectionManage, TenantID: tenantID, Action: action, ObjectKind: "campaign", ObjectID: r.ID, ObjectName: r.Name, Details: details}
}

func (r *tenantRow) tenant() Tenant {
	return Tenant{
		ID: r.TenantID, Name: r.TenantName, Consent: r.Consent, ConsentReason: r.ConsentWhy, ConsentAt: utc(r.ConsentAt), AskedAt: utc(r.AskedAt),
		Progress: Progress{People: int(r.People), Pending: int(r.Pending), Reminded: int(r.Reminded), Done: int(r.Done), Failed: int(r.Failed), OnOld: int(r.OnOld)},
	}
}

func (p *personRow) person() Person {
	return Person{
		ID: p.ID, TenantID: p.TenantID, TenantName: p.TenantName, ConnectionID: p.ConnectionID, Username: p.Username, ObjectID: p.ObjectID, Name: p.Name, Email: p.Email, ClientID: p.ClientID,
		State: p.State, Reason: p.Reason, ChangedAt: p.ChangedAt.UTC(), RemindedAt: utc(p.RemindedAt), Reminders: int(p.Reminders), RemindAt: utc(p.RemindAt), MailReason: p.MailReason,
	}
}

// find reads a campaign.
func find(ctx context.Context, db bun.IDB, id string) (*row, error) {
	var r row
	err := db.NewSelect().Model(&r).Where("id = ?", id).Scan(ctx)
	if sqldb.Missing(err) {
		return nil, ErrMissing
	}
	if err != nil {
		return nil, fmt.Errorf("reading a campaign: %w", err)
	}
	return &r, nil
}

// findPerson reads somebody of a campaign.
func findPerson(ctx context.Context, db bun.IDB, campaignID, id string) (*personRow, error) {
	var p personRow
	err := db.NewSelect().Model(&p).ColumnExpr("p.*, tn.name AS tenant_name").Join("JOIN tenants AS tn ON tn.id = p.tenant_id").Where("p.campaign_id = ? AND p.id = ?", campaignID, id).Scan(ctx)
	if sqldb.Missing(err) {
		return nil, ErrMissing
	}
	if err != nil {
		return nil, fmt.Errorf("reading somebody of a campaign: %w", err)
	}
	return &p, nil
}

// lock keeps others from changing the people of a tenant, "" for all tenants, until
// the end of the transaction, so that counting them sees all that is committed.
// It gives how many tenants there are.
func lock(ctx context.Context, tx *sqldb.Tx, campaignID, tenantID string) (int64, error) {
	q := tx.NewUpdate().Model((*tenantRow)(nil)).Set("worst = worst").Where("campaign_id = ?", campaignID)
	if tenantID != "" {
		q.Where("tenant_id = ?", tenantID)
	}
	done, err := q.Exec(ctx)
	if err != nil {
		return 0, fmt.Errorf("locking a campaign's tenants: %w", err)
	}
	return done.RowsAffected()
}

// recount counts the people of a tenant anew, "" for all tenants.
func recount(ctx context.Context, tx *sqldb.Tx, campaignID, tenantID string) error {
	one, args := "", []any{campaignID}
	if tenantID != "" {
		one, args = " AND t.tenant_id = ?", append(args, tenantID)
	}
	counted := `SELECT t.tenant_id, count(p.id) AS people,
			sum(CASE WHEN p.state = 'pending' THEN 1 ELSE 0 END) AS pending, sum(CASE WHEN p.state = 'reminded' THEN 1 ELSE 0 END) AS reminded,
			sum(CASE WHEN p.state = 'done' THEN 1 ELSE 0 END) AS done, sum(CASE WHEN p.state = 'failed' THEN 1 ELSE 0 END) AS failed,
			sum(CASE WHEN p.state <> 'done' AND k.reason = 'client_id' AND k.old_value <> '' AND p.client_id = k.old_value THEN 1 ELSE 0 END) AS on_old
		FROM campaign_tenants AS t JOIN campaigns AS k ON k.id = t.campaign_id LEFT JOIN campaign_people AS p ON p.campaign_id = t.campaign_id AND p.tenant_id = t.tenant_id
		WHERE t.campaign_id = ?` + one + ` GROUP BY t.tenant_id`
	_, err := tx.NewRaw(`UPDATE campaign_tenants SET people = n.people, pending = n.pending, reminded = n.reminded, done = n.done, failed = n.failed, on_old = n.on_old,
			worst = CASE WHEN consent IN ('missing', 'asked') THEN 1000000000000 ELSE 0 END + n.failed * 1000000 + n.people - n.done
		FROM (`+counted+`) AS n WHERE campaign_tenants.campaign_id = ? AND campaign_tenants.tenant_id = n.tenant_id`,
		append(args, campaignID)...).Exec(ctx)
	if err != nil {
		return fmt.Errorf("counting the people of a campaign: %w", err)
	}
	return nil
}

// announce lets the pages read a campaign again that show one of these tenants; with
// none, those of whoever may see all.
func (s *Service) announce(ctx context.Context, tx *sqldb.Tx, id string, tenants ...string) error {
	if len(tenants) == 0 {
		tenants = []string{audit.AllTenants}
	}
	return s.Live.PublishAmong(ctx, tx, Topic(id), tenants, map[string]string{"campaign": id})
}

// announceAll is announce for all tenants of a campaign.
func (s *Service) announceAll(ctx context.Context, tx *sqldb.Tx, id string) error {
	var tenants []string
	if err := tx.NewRaw("SELECT tenant_id FROM campaign_tenants WHERE campaign_id = ?", id).Scan(ctx, &tenants); err != nil {
		return fmt.Errorf("reading the tenants of a campaign: %w", err)
	}
	return s.announce(ctx, tx, id, tenants...)
}
