package consent

import (
	"context"
	"database/sql/driver"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/uptrace/bun"

	"gatehouse/internal/audit"
	"gatehouse/internal/sqldb"
)

type row struct {
	bun.BaseModel `bun:"table:consents,alias:c"`

	TenantID       string `bun:"tenant_id,pk"`
	RegistrationID string `bun:"registration_id,pk"`
	State          State
	Reason         string
	ReadFrom       string
	Held           list[Permission]
	Missing        list[Permission]
	Problems       list[Problem]
	Policy         one[UserPolicy]
	Approved       list[Permission]
	Version        int64
	ApprovedAt     *time.Time
	GrantedAt      *time.Time
	ReadAt         *time.Time
	TriedAt        *time.Time
	Changes        list[Change]
	ChangedAt      *time.Time
	FollowUntil    *time.Time
}

type requestRow struct {
	bun.BaseModel `bun:"table:consent_requests,alias:q"`

	ID             string `bun:"id,pk"`
	TenantID       string
	RegistrationID string
	TokenHash      string
	Why            string
	Endpoint       string
	CreatedBy      string
	CreatedAt      time.Time
	ExpiresAt      time.Time
	WithdrawnAt    *time.Time
	OpenedAt       *time.Time
	Opened         int64
	AnsweredAt     *time.Time
	Answer         string
}

func (r *requestRow) request() Request {
	return Request{
		ID: r.ID, TenantID: r.TenantID, RegistrationID: r.RegistrationID, Until: r.ExpiresAt.UTC(), Why: r.Why, Endpoint: r.Endpoint, CreatedBy: r.CreatedBy, CreatedAt: r.CreatedAt.UTC(),
		WithdrawnAt: utc(r.WithdrawnAt), OpenedAt: utc(r.OpenedAt), Opened: int(r.Opened), AnsweredAt: utc(r.AnsweredAt), Answer: r.Answer,
	}
}

// entry is what is written down about a page.
func (r *requestRow) entry(action string, details map[string]any) audit.Entry {
	if details == nil {
		details = map[string]any{}
	}
	details["registration"] = r.RegistrationID
	return audit.Entry{Permission: audit.ConsentManage, TenantID: r.TenantID, Action: action, ObjectKind: "consent", ObjectID: r.ID, Details: details}
}

const unseen = "it was not looked at yet"

// find reads how a consent stands; a row that says that nothing is known if nothing
// was read yet.
func find(ctx context.Context, db bun.IDB, tenantID, registrationID string) (*row, error) {
	var r row
	err := db.NewSelect().Model(&r).Where("tenant_id = ? AND registration_id = ?", tenantID, registrationID).Scan(ctx)
	if sqldb.Missing(err) {
		return &row{TenantID: tenantID, RegistrationID: registrationID, State: Unknown, Reason: unseen}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading a consent: %w", err)
	}
	return &r, nil
}

// hold is find for a change: nobody else changes what is known of the consent before
// the transaction ends.
func hold(ctx context.Context, tx *sqldb.Tx, tenantID, registrationID string) (*row, error) {
	r := &row{TenantID: tenantID, RegistrationID: registrationID, State: Unknown, Reason: unseen}
	_, err := tx.NewInsert().Model(r).On("CONFLICT (tenant_id, registration_id) DO UPDATE").Set("tenant_id = EXCLUDED.tenant_id").Returning("*").Exec(ctx)
	if err != nil {
		return nil, fmt.Errorf("reading a consent: %w", err)
	}
	return r, nil
}

// save writes a row down that is held.
func (r *row) save(ctx context.Context, tx *sqldb.Tx) error {
	if _, err := tx.NewUpdate().Model(r).WherePK().Exec(ctx); err != nil {
		return fmt.Errorf("noting a consent: %w", err)
	}
	return nil
}

// list is kept as JSON.
type list[T any] []T

// Value writes it.
func (l list[T]) Value() (driver.Value, error) {
	if l == nil {
		l = list[T]{}
	}
	text, err := json.Marshal([]T(l))
	return string(text), err
}

// Scan reads it.
func (l *list[T]) Scan(src any) error { return scan(src, (*[]T)(l)) }

// one is a value that may be missing, kept as JSON.
type one[T any] struct{ V *T }

// Value writes it.
func (o one[T]) Value() (driver.Value, error) {
	text, err := json.Marshal(o.V)
	return string(text), err
}

// Scan reads it.
func (o *one[T]) Scan(src any) error { return scan(src, &o.V) }

func scan(src, into any) error {
	var text []byte
	switch v := src.(type) {
	case string:
		text = []byte(v)
	case []byte:
		text = v
	default:
		return errors.New("reading a column: it holds no text")
	}
	if len(text) == 0 {
		return nil
	}
	if err := json.Unmarshal(text, into); err != nil {
		return fmt.Errorf("reading a column: %w", err)
	}
	return nil
}

func utc(t *time.Time) *time.Time {
	if t == nil {
		return nil
	}
	moment := t.UTC()
	return &moment
}

// Erase takes a person's names out of the pages that they made. It is an
// [gatehouse/internal/operator.Eraser].
func (s *Service) Erase(ctx context.Context, tx *sqldb.Tx, _ string, names []string) error {
	if _, err := tx.NewRaw("UPDATE consent_requests SET created_by = '' WHERE created_by IN (?)", bun.List(names)).Exec(ctx); err != nil {
		return fmt.Errorf("erasing a person from consent: %w", err)
	}
	return nil
}
