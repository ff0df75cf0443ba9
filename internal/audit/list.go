package audit

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/uptrace/bun"

	"gatehouse/internal/sqldb"
)

// Filter narrows a list. Empty members do not.
type Filter struct {
	TenantID string
	ActorID  string
	ObjectID string
	Action   string
	Among    []string // actions, one of which it has to be
	Without  []string // actions that are left out
	Outcome  Outcome
	Search   string    // in action, and name of actor and object, of the newest [Searched] entries
	From, To time.Time // from inclusive, to exclusive
	Before   int64     // for the next page: the seq of the last record had
	Limit    int       // records at most: 100 if 0, 1000 at most
}

// Searched is how many entries, the newest, are searched for a text: there is no
// index of their words, and the log grows for ever.
const Searched = 20_000

func (f Filter) limit() int64 {
	if f.Limit <= 0 {
		return 100
	}
	return int64(min(f.Limit, 1000))
}

// List gives entries, newest first: those of the tenants in which the actor may
// see the log.
func (l *Log) List(ctx context.Context, f Filter) ([]Record, error) {
	var records []Record
	q, err := l.scoped(ctx, f, "at", l.db.Read().NewSelect().Model(&records))
	if err != nil {
		return nil, err
	}
	if f.Outcome != "" {
		q.Where("outcome = ?", f.Outcome)
	}
	if f.Search != "" {
		like := sqldb.Like(f.Search)
		q.Where("seq > (SELECT seq FROM audit_head WHERE id = 1) - ?", Searched)
		q.Where("(lower(action) LIKE ? ESCAPE '!' OR lower(actor_name) LIKE ? ESCAPE '!' OR lower(object_name) LIKE ? ESCAPE '!')", like, like, like)
	}
	if f.Before > 0 {
		q.Where("seq < ?", f.Before)
	}
	if err := q.OrderExpr("seq DESC").Scan(ctx); err != nil {
		return nil, fmt.Errorf("listing the audit log: %w", err)
	}
	return records, nil
}

// ListUses gives sums of uses, newest first, filtered like [Log.List]. Outcome
// and Before mean nothing here.
func (l *Log) ListUses(ctx context.Context, f Filter) ([]Uses, error) {
	var sums []Uses
	q, err := l.scoped(ctx, f, "minute", l.db.Read().NewSelect().Model(&sums))
	if err != nil {
		return nil, err
	}
	if err := q.OrderExpr("minute DESC, actor_id, action, object_id").Scan(ctx); err != nil {
		return nil, fmt.Errorf("listing uses: %w", err)
	}
	return sums, nil
}

// scoped applies what both lists have in common; at is the column of the time.
func (l *Log) scoped(ctx context.Context, f Filter, at string, q *bun.SelectQuery) (*bun.SelectQuery, error) {
	scope, err := Tenants(ctx, AuditView)
	if err != nil {
		return nil, err
	}
	q = scope.Filter(q, "tenant_id").Limit(f.limit())
	for _, c := range []struct{ column, value string }{{"tenant_id", f.TenantID}, {"actor_id", f.ActorID}, {"object_id", f.ObjectID}, {"action", f.Action}} {
		if c.value != "" {
			q.Where("? = ?", bun.Ident(c.column), c.value)
		}
	}
	if len(f.Among) > 0 {
		q.Where("action IN (?)", bun.List(f.Among))
	}
	if len(f.Without) > 0 {
		q.Where("action NOT IN (?)", bun.List(f.Without))
	}
	if !f.From.IsZero() {
		q.Where("? >= ?", bun.Ident(at), f.From.UTC())
	}
	if !f.To.IsZero() {
		q.Where("? < ?", bun.Ident(at), f.To.UTC())
	}
	return q, nil
}

const actionErased = "audit.erased"

// Erase takes the names, addresses and details out of all entries that a person
// or object, by id, did or was the object of, as part of a change. The entries
// stay, with the id, and the log still verifies: an entry says that they were
// erased.
func (l *Log) Erase(ctx context.Context, tx *sqldb.Tx, id string) error {
	if id == "" {
		return errors.New("erasing from the audit log: no id was given")
	}
	if err := l.Act(ctx, tx, Entry{Permission: AuditErase, Action: actionErased, ObjectKind: "person", ObjectID: id}); err != nil {
		return err
	}
	// After the entry was appended: it, too, may carry the name.
	tx.BeforeCommit(func(ctx context.Context) error { return erase(ctx, tx, id) })
	return nil
}

// Names are what the log calls a person, by id: as who acted, and as what was
// acted on.
func (l *Log) Names(ctx context.Context, tx *sqldb.Tx, id string) ([]string, error) {
	var names []string
	err := tx.NewRaw("SELECT actor_name FROM audit WHERE actor_id = ? AND actor_name <> '' UNION SELECT object_name FROM audit WHERE object_id = ? AND object_name <> ''", id, id).Scan(ctx, &names)
	if err != nil {
		return nil, fmt.Errorf("reading the audit log: %w", err)
	}
	return names, nil
}

func erase(ctx context.Context, tx *sqldb.Tx, id string) error {
	_, err := tx.NewUpdate().Model((*Record)(nil)).Set("actor_name = '', address = '', actor_salt = ''").Where("actor_id = ?", id).Exec(ctx)
	if err != nil {
		return err
	}
	_, err = tx.NewUpdate().Model((*Record)(nil)).Set("object_name = '', details = '', object_salt = ''").Where("object_id = ?", id).Exec(ctx)
	return err
}

// Last is the number of the last entry, 0 of an empty log. It is for monitoring:
// it asks for no permission.
func (l *Log) Last(ctx context.Context) (seq int64, err error) {
	if err := l.db.Read().NewSelect().TableExpr("audit_head").Column("seq").Where("id = 1").Scan(ctx, &seq); err != nil {
		return 0, fmt.Errorf("reading the end of the audit log: %w", err)
	}
	return seq, nil
}

// LastOn is when something was last done to an object; the zero time if never.
// It is for monitoring: it asks for no permission.
func (l *Log) LastOn(ctx context.Context, objectID, action string) (time.Time, error) {
	var at []time.Time
	err := l.db.Read().NewSelect().TableExpr("audit").Column("at").Where("object_id = ?", objectID).Where("action = ?", action).Where("outcome = ?", OutcomeDone).
		OrderExpr("seq DESC").Limit(1).Scan(ctx, &at)
	if err != nil || len(at) == 0 {
		return time.Time{}, err
	}
	return at[0].UTC(), nil
}
