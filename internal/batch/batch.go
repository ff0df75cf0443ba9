// Package batch does something to many connections: validates them, changes them,
// makes them from a list. A batch is asked for once, authorised for each tenant and
// again for each connection, worked on tenant by tenant by whichever replica, and
// shows how far it is. It survives a restart, and can be called off.
//
// What can be done is a [Kind]; those of connections are in kinds.go, and package
// transfer adds the import.
package batch

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/uptrace/bun"

	"gatehouse/internal/audit"
	"gatehouse/internal/connection"
	"gatehouse/internal/jobs"
	"gatehouse/internal/live"
	"gatehouse/internal/sqldb"
	"gatehouse/internal/validation"
)

// The states of a batch.
const (
	Running   = "running"
	Done      = "done"
	Cancelled = "cancelled" // what was done by then stays
)

// The outcomes of items, beside the verdicts of validations.
const (
	Changed   = "changed"
	Unchanged = "unchanged" // it was so already
	Refused   = "refused"   // who asked may not do this there
	Skipped   = "skipped"   // there is a reason not to: see the note
	Failed    = "error"
	CalledOff = "cancelled"
)

// Most is how many items a batch may have.
const Most = 50_000

// Batch is something that is done to many connections.
type Batch struct {
	ID          string
	Kind        string
	Words       string // what is done, for people
	Request     json.RawMessage
	RequestedBy string
	TenantID    string // of all items; "" if there are several
	State       string
	CreatedAt   time.Time
	EndedAt     *time.Time

	// Total, Done and Outcomes count the items that the actor may see.
	Total    int
	Done     int
	Outcomes map[string]int
}

// Rate is how many items are done in a second; 0 while none is.
func (b Batch) Rate(now time.Time) float64 {
	end := now
	if b.EndedAt != nil {
		end = *b.EndedAt
	}
	if took := end.Sub(b.CreatedAt).Seconds(); took > 0 {
		return float64(b.Done) / took
	}
	return 0
}

// Left is how long the rest takes at the rate so far; 0 if that is not known.
func (b Batch) Left(now time.Time) time.Duration {
	rate := b.Rate(now)
	if b.State != Running || rate == 0 {
		return 0
	}
	return time.Duration(float64(b.Total-b.Done) / rate * float64(time.Second)).Round(time.Second)
}

// Item is one thing of a batch.
type Item struct {
	Seq      int64
	TenantID string
	ObjectID string // of the connection; "" for one that is to be made
	Name     string
	Data     json.RawMessage // what is particular to it; nil for nothing
	Outcome  string          // "" until it is done
	Note     string
}

// Kind is something that can be done to many connections.
type Kind struct {
	Name string
	// Permission is demanded in the tenant of each item.
	Permission audit.Permission
	// Together is how many items of a tenant are worked on at once; 1 if zero.
	Together int
	// Begin gives what is done to each item of one tenant. The context has the
	// actor who asked. An error of the context ends the work, which goes on
	// later; any other is the item's outcome.
	Begin func(request json.RawMessage, by string) (func(ctx context.Context, i Item) (outcome, note string, err error), error)
}

// ErrMissing says that there is no such batch.
var ErrMissing = errors.New("there is no such batch")

// ErrEnded says that there is nothing to call off.
var ErrEnded = errors.New("the batch has ended already")

// Config is what the service needs; all but Now must be given.
type Config struct {
	DB          *sqldb.DB
	Audit       *audit.Log
	Connections *connection.Service
	Runs        *validation.Runs
	Jobs        *jobs.Queue // not yet started
	Live        *live.Hub
	Now         func() time.Time // time.Now if nil
}

// Service keeps the batches.
type Service struct {
	Config
	kinds map[string]Kind
	job   *jobs.Kind[args]

	mu   sync.Mutex
	told map[string]time.Time // when pages last heard of a batch
}

// args name the part of a batch that is of one tenant.
type args struct {
	Batch  string `json:"batch"`
	Tenant string `json:"tenant"`
}

// New makes the service with what can be done to connections, and registers its job.
func New(c Config) *Service {
	if c.Now == nil {
		c.Now = time.Now
	}
	s := &Service{Config: c, kinds: map[string]Kind{}, told: map[string]time.Time{}}
	for _, k := range s.ofConnections() {
		s.Register(k)
	}
	s.job = jobs.Register(c.Jobs, jobs.Kind[args]{Name: "batch", Work: s.work, Timeout: partTime, Attempts: 50, Lane: jobs.Many, Unique: true})
	return s
}

// partTime bounds one attempt at a tenant's part; what is left then goes on in the
// next. It is shorter than the reader's token lives.
const partTime = 30 * time.Minute

// Register adds a kind.
func (s *Service) Register(k Kind) { s.kinds[k.Name] = k }

func (s *Service) time() time.Time { return s.Now().UTC().Truncate(time.Microsecond) }

type batchRow struct {
	bun.BaseModel `bun:"table:batches,alias:b"`

	ID          string `bun:"id,pk"`
	Kind        string
	Words       string
	Request     string
	Actor       string
	RequestedBy string
	TenantID    string
	State       string
	Total       int64
	CreatedAt   time.Time
	EndedAt     *time.Time
}

type itemRow struct {
	bun.BaseModel `bun:"table:batch_items,alias:i"`

	BatchID  string `bun:"batch_id,pk"`
	Seq      int64  `bun:"seq,pk"`
	TenantID string
	ObjectID string
	Name     string
	Data     string
	Outcome  string
	Note     string
}

func (r itemRow) item() Item {
	return Item{Seq: r.Seq, TenantID: r.TenantID, ObjectID: r.ObjectID, Name: r.Name, Data: json.RawMessage(r.Data), Outcome: r.Outcome, Note: r.Note}
}

// Topic of a batch's live events.
func Topic(id string) string { return "batch/" + id }

func find(ctx context.Context, db bun.IDB, id string) (*batchRow, error) {
	var r batchRow
	err := db.NewSelect().Model(&r).Where("id = ?", id).Scan(ctx)
	if sqldb.Missing(err) {
		return nil, ErrMissing
	}
	if err != nil {
		return nil, fmt.Errorf("reading a batch: %w", err)
	}
	return &r, nil
}
