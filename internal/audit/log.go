package audit

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/uptrace/bun"

	"gatehouse/internal/sqldb"
)

// Outcome says how an act ended.
type Outcome string

// The outcomes. An entry that names none is done.
const (
	OutcomeDone    Outcome = "done"
	OutcomeRefused Outcome = "refused" // the actor lacked the permission
	OutcomeFailed  Outcome = "failed"  // permitted and tried, in vain
)

// Entry is what a feature writes: an act, what it needs and what it was done to.
type Entry struct {
	Permission Permission
	TenantID   string // AllTenants for what belongs to none
	Action     string // for example "connection.created"
	ObjectKind string
	ObjectID   string
	ObjectName string // for people; erasable
	Outcome    Outcome
	// Details is what else is worth knowing, as JSON of 8 KB at most; erasable
	// with the object's name. Never a secret: a secrets.Value shows dots.
	Details map[string]any
}

// Record is an entry of the log as it is stored and exported.
type Record struct {
	bun.BaseModel `bun:"table:audit" json:"-"`

	Seq          int64     `bun:"seq,pk" json:"seq"`
	At           time.Time `json:"at"`
	ActorKind    Kind      `json:"actor_kind"`
	ActorID      string    `json:"actor_id"`
	ActorName    string    `json:"actor_name"`
	Address      string    `json:"address"`
	ActorSalt    string    `json:"actor_salt"`
	ActorDigest  string    `json:"actor_digest"`
	Action       string    `json:"action"`
	ObjectKind   string    `json:"object_kind"`
	ObjectID     string    `json:"object_id"`
	ObjectName   string    `json:"object_name"`
	Details      string    `json:"details"`
	ObjectSalt   string    `json:"object_salt"`
	ObjectDigest string    `json:"object_digest"`
	TenantID     string    `json:"tenant_id"`
	Outcome      Outcome   `json:"outcome"`
	Hash         string    `json:"hash"`
}

// Config is what a log needs.
type Config struct {
	DB  *sqldb.DB
	Now func() time.Time // time.Now if nil
}

// Log is the audit log. It may be used by many goroutines.
type Log struct {
	db  *sqldb.DB
	now func() time.Time

	mu     sync.Mutex
	uses   map[use]int64
	minute time.Time            // of the refusals in told
	told   map[refusal]struct{} // refusals that have an entry in this minute
}

// New makes a log on a database.
func New(c Config) *Log {
	if c.Now == nil {
		c.Now = time.Now
	}
	return &Log{db: c.DB, now: c.Now, uses: map[use]int64{}, told: map[refusal]struct{}{}}
}

func (l *Log) time() time.Time { return l.now().UTC().Truncate(time.Microsecond) }

// Act authorises an act on an object of a tenant and appends its entry to the
// log, both in the caller's transaction: the entry is there if and only if the
// change is. Call it as soon as the object is loaded, before changing anything.
// A refusal is a *[Refused]; it keeps the transaction from being committed, and
// is recorded in one of its own.
func (l *Log) Act(ctx context.Context, tx *sqldb.Tx, e Entry) error {
	a, refused := check(ctx, e.TenantID, e.Permission)
	if refused != nil {
		return l.refuse(ctx, tx, a, refused, e)
	}
	r, err := l.record(a, e)
	if err != nil {
		return err
	}
	tx.BeforeCommit(func(ctx context.Context) error { return r.append(ctx, tx) })
	return nil
}

// maxDetails and maxName bound, in bytes, what one entry holds.
const (
	maxDetails = 8 << 10
	maxName    = 512
)

func (l *Log) record(a Actor, e Entry) (*Record, error) {
	if e.Action == "" {
		return nil, errors.New("writing the audit log: an entry without action")
	}
	if e.Outcome == "" {
		e.Outcome = OutcomeDone
	}
	if e.Details == nil {
		e.Details = map[string]any{}
	}
	details, err := json.Marshal(e.Details)
	if err != nil {
		return nil, fmt.Errorf("writing the audit log: encoding the details of %s: %w", e.Action, err)
	}
	if len(details) > maxDetails {
		return nil, fmt.Errorf("writing the audit log: the details of %s take %d bytes, more than %d: leave out what can be read elsewhere", e.Action, len(details), maxDetails)
	}
	r := &Record{
		At: l.time(), ActorKind: a.Kind, ActorID: clean(a.ID), ActorName: clean(a.Name), Address: clean(a.Address),
		Action: clean(e.Action), ObjectKind: clean(e.ObjectKind), ObjectID: clean(e.ObjectID), ObjectName: clean(e.ObjectName),
		Details: string(details), TenantID: clean(e.TenantID), Outcome: e.Outcome,
		ActorSalt: rand.Text(), ObjectSalt: rand.Text(),
	}
	r.ActorDigest, r.ObjectDigest = r.actorDigest(), r.objectDigest()
	return r, nil
}

// clean makes text fit for both databases, and bounded: names come from outside.
func clean(s string) string {
	s = strings.ReplaceAll(strings.ToValidUTF8(s, "\uFFFD"), "\x00", "\uFFFD")
	if len(s) <= maxName {
		return s
	}
	end := maxName
	for !utf8.RuneStart(s[end]) {
		end--
	}
	return s[:end]
}

// append adds the record to the end of the chain. The row of the chain's end is
// locked from here to the end of the transaction.
func (r *Record) append(ctx context.Context, tx *sqldb.Tx) error {
	var before string
	err := tx.NewUpdate().TableExpr("audit_head").Set("seq = seq + 1").Where("id = 1").
		Returning("seq, hash").Scan(ctx, &r.Seq, &before)
	if err != nil {
		return fmt.Errorf("writing the audit log: reading its end: %w", err)
	}
	r.Hash = r.chain(before)
	if _, err := tx.NewInsert().Model(r).Exec(ctx); err != nil {
		return fmt.Errorf("writing the audit log: %w", err)
	}
	_, err = tx.NewUpdate().TableExpr("audit_head").Set("hash = ?", r.Hash).Where("id = 1").Exec(ctx)
	if err != nil {
		return fmt.Errorf("writing the audit log: moving its end: %w", err)
	}
	return nil
}
