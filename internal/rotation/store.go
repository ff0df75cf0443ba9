package rotation

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/uptrace/bun"

	"gatehouse/internal/audit"
	"gatehouse/internal/jobs"
	"gatehouse/internal/sqldb"
	"gatehouse/internal/tenant"
)

type row struct {
	bun.BaseModel `bun:"table:rotations,alias:r"`

	ID             string `bun:"id,pk"`
	TenantID       string
	TenantName     string `bun:"tenant_name,scanonly"`
	Name           string `bun:"name,scanonly"`
	ConnectionID   *string
	ClientID       string
	State          State
	DirectoryID    string
	Holder         string
	ObjectID       string
	OldThumbprint  string
	OldKeyID       string
	OldCertificate string
	OldKey         []byte
	OldNotAfter    time.Time
	NewThumbprint  string
	NewKeyID       string
	NewCertificate string
	NewKey         []byte
	NewNotAfter    time.Time
	Others         string
	Successes      int
	SentAt         *time.Time
	Reason         string
	Undoes         string
	StartedBy      string
	CreatedAt      time.Time
	ChangedAt      time.Time
	EndedAt        *time.Time
}

func selected(q *bun.SelectQuery) *bun.SelectQuery {
	return q.ColumnExpr("?TableColumns, t.name AS tenant_name, coalesce(c.name, 'Reader') AS name").Join("JOIN tenants AS t ON t.id = r.tenant_id").Join("LEFT JOIN connections AS c ON c.id = r.connection_id")
}

func find(ctx context.Context, db bun.IDB, id string) (*row, error) {
	var r row
	err := selected(db.NewSelect().Model(&r)).Where("r.id = ?", id).Scan(ctx)
	if sqldb.Missing(err) {
		return nil, ErrMissing
	}
	if err != nil {
		return nil, fmt.Errorf("reading a rotation: %w", err)
	}
	return &r, nil
}

func (r *row) target() Target {
	t := Target{TenantID: r.TenantID}
	if r.ConnectionID != nil {
		t.ConnectionID = *r.ConnectionID
	}
	return t
}

// entry is what is written down about a rotation.
func (r *row) entry(action string, details map[string]any) audit.Entry {
	e := audit.Entry{Permission: audit.ConsentManage, TenantID: r.TenantID, Action: action, ObjectKind: "tenant", ObjectID: r.TenantID, ObjectName: r.TenantName, Details: details}
	if r.ConnectionID != nil {
		e.Permission, e.ObjectKind, e.ObjectID, e.ObjectName = audit.ConnectionManage, "connection", *r.ConnectionID, r.Name
	}
	return e
}

func (s *Service) announce(ctx context.Context, tx *sqldb.Tx, r *row) error {
	data := map[string]string{"tenant": r.TenantID, "changed": "rotation"}
	if r.ConnectionID != nil {
		data["connection"] = *r.ConnectionID
	}
	return s.Live.Publish(ctx, tx, "tenant/"+r.TenantID, r.TenantID, data)
}

// undoable reports whether the old certificate can be put back.
func (r *row) undoable(now time.Time) bool {
	switch r.State {
	case Planned, Adding, Proving:
		return true
	case Switched, Removing, Done:
		return len(r.OldKey) > 0 && r.OldNotAfter.Sub(now) > 24*time.Hour
	default:
		return false
	}
}

func utc(t *time.Time) *time.Time {
	if t == nil {
		return nil
	}
	moment := t.UTC()
	return &moment
}

func (r *row) rotation(now time.Time) Rotation {
	out := Rotation{
		ID: r.ID, TenantID: r.TenantID, TenantName: r.TenantName, ConnectionID: r.target().ConnectionID, Name: r.Name, ClientID: r.ClientID, State: r.State, Holder: r.Holder, ObjectID: r.ObjectID,
		OldThumbprint: r.OldThumbprint, OldKeyID: r.OldKeyID, OldNotAfter: r.OldNotAfter.UTC(), NewThumbprint: r.NewThumbprint, NewKeyID: r.NewKeyID, NewNotAfter: r.NewNotAfter.UTC(),
		Successes: r.Successes, Reason: r.Reason, Undoes: r.Undoes, StartedBy: r.StartedBy, CreatedAt: r.CreatedAt.UTC(), ChangedAt: r.ChangedAt.UTC(), EndedAt: utc(r.EndedAt), Undoable: r.undoable(now),
	}
	if json.Unmarshal([]byte(r.Others), &out.Others) != nil { // a document of ours
		out.Others = nil
	}
	return out
}

// save writes a row that was read: [ErrChanged] if it has changed since.
func (s *Service) save(ctx context.Context, tx *sqldb.Tx, r *row) error {
	before := r.ChangedAt
	r.ChangedAt = s.time()
	if !r.ChangedAt.After(before) {
		r.ChangedAt = before.UTC().Add(time.Microsecond)
	}
	done, err := tx.NewUpdate().Model(r).ExcludeColumn("id", "tenant_id", "connection_id", "created_at").Where("id = ? AND changed_at = ?", r.ID, before.UTC()).Exec(ctx)
	if err != nil {
		return fmt.Errorf("changing a rotation: %w", err)
	}
	if n, err := done.RowsAffected(); err != nil || n == 0 {
		return errors.Join(err, ErrChanged)
	}
	return s.announce(ctx, tx, r)
}

// ErrChanged says that somebody else moved the rotation on meanwhile.
var ErrChanged = errors.New("the rotation was changed meanwhile: look again")

// move brings a rotation to a state, with a line in the audit log and its job.
func (s *Service) move(ctx context.Context, r *row, to State, action string, with func(*row)) error {
	return s.DB.Change(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		now := *r
		now.State = to
		if with != nil {
			with(&now)
		}
		if err := s.Audit.Act(ctx, tx, now.entry(action, map[string]any{"rotation": now.ID, "reason": now.Reason})); err != nil {
			return err
		}
		if err := s.save(ctx, tx, &now); err != nil {
			return err
		}
		if now.EndedAt == nil {
			if _, err := s.work.Add(ctx, tx, workArgs{now.ID}, jobs.Options{Tenant: now.TenantID}); err != nil {
				return err
			}
		}
		*r = now
		return nil
	})
}

// Get gives a rotation.
func (s *Service) Get(ctx context.Context, id string) (Rotation, error) {
	r, err := find(ctx, s.DB.Read(), id)
	if err != nil {
		return Rotation{}, err
	}
	if err := s.Audit.Allow(ctx, r.TenantID, audit.TenantView); err != nil {
		return Rotation{}, err
	}
	return r.rotation(s.Now()), nil
}

// Filter narrows a list. Empty members do not.
type Filter struct {
	TenantID     string
	ConnectionID string
}

// Page asks for a part of a list.
type Page = tenant.Page

// List gives rotations, the newest first, of the tenants that the actor may see.
func (s *Service) List(ctx context.Context, f Filter, p Page) ([]Rotation, string, error) {
	scope, err := audit.Tenants(ctx, audit.TenantView)
	if err != nil {
		return nil, "", err
	}
	var rows []row
	q := scope.Filter(selected(s.DB.Read().NewSelect().Model(&rows)), "r.tenant_id")
	if f.TenantID != "" {
		q.Where("r.tenant_id = ?", f.TenantID)
	}
	if f.ConnectionID != "" {
		q.Where("r.connection_id = ?", f.ConnectionID)
	}
	next, err := tenant.Newest(ctx, q, p, "rotations", "r.id", &rows, func(r row) string { return r.ID })
	if err != nil {
		return nil, "", err
	}
	out := make([]Rotation, len(rows))
	for i := range rows {
		out[i] = rows[i].rotation(s.Now())
	}
	return out, next, nil
}

// Latest gives the newest rotation of a target; nil if there was none.
func (s *Service) Latest(ctx context.Context, t Target) (*Rotation, error) {
	if err := s.Audit.Allow(ctx, t.TenantID, audit.TenantView); err != nil {
		return nil, err
	}
	var r row
	q := selected(s.DB.Read().NewSelect().Model(&r)).Where("r.tenant_id = ? AND coalesce(r.connection_id, '') = ?", t.TenantID, t.ConnectionID).OrderExpr("r.id DESC").Limit(1)
	err := q.Scan(ctx)
	if sqldb.Missing(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading a rotation: %w", err)
	}
	out := r.rotation(s.Now())
	return &out, nil
}

// resume adds the job of each rotation that is under way: one whose job gave up, or
// was cancelled, goes on.
func (s *Service) resume(ctx context.Context) error {
	var rows []row
	if err := s.DB.Read().NewSelect().Model(&rows).Column("id", "tenant_id").Where("ended_at IS NULL").Scan(ctx); err != nil {
		return fmt.Errorf("looking for rotations: %w", err)
	}
	if len(rows) == 0 {
		return nil
	}
	return s.DB.Change(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		for _, r := range rows {
			if _, err := s.work.Add(ctx, tx, workArgs{r.ID}, jobs.Options{Tenant: r.TenantID}); err != nil {
				return err
			}
		}
		return nil
	})
}

// forget takes the keys away of rotations that ended so long ago that they are not
// taken back any more.
func (s *Service) forget(ctx context.Context) error {
	return s.DB.Change(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		_, err := tx.NewUpdate().Model((*row)(nil)).ModelTableExpr("rotations").Set("old_key = ?, new_key = ?", []byte{}, []byte{}).
			Where("ended_at < ? AND (length(old_key) > 0 OR length(new_key) > 0)", s.time().Add(-undoable)).Exec(ctx)
		if err != nil {
			return fmt.Errorf("forgetting old keys: %w", err)
		}
		return nil
	})
}
