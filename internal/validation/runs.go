package validation

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/google/uuid"
	"github.com/uptrace/bun"

	"gatehouse/internal/audit"
	"gatehouse/internal/connection"
	"gatehouse/internal/jobs"
	"gatehouse/internal/live"
	"gatehouse/internal/microsoft"
	"gatehouse/internal/microsoft/login"
	"gatehouse/internal/microsoft/sharepoint"
	"gatehouse/internal/pace"
	"gatehouse/internal/posture"
	"gatehouse/internal/sqldb"
	"gatehouse/internal/tenant"
)

// The states of a run.
const (
	Queued  = "queued"
	Running = "running"
	Done    = "done"
	// Lost: Gatehouse was stopped in the middle, so that what came out is not
	// known. It is not tried again by itself.
	Lost = "unknown"
)

// Run is a validation of a connection that is asked for, under way or over.
type Run struct {
	ID           string
	ConnectionID string
	TenantID     string
	State        string // one of the states of a run
	CreatedAt    time.Time
	StartedAt    *time.Time
	EndedAt      *time.Time
	RequestedBy  string
	Result       *Result          // nil until it is done
	Probes       []Probe          // those that have ended so far
	Outcome      *posture.Outcome // which rules see the identity; nil where that is not known
	Reason       string           // why nothing is known; "" otherwise
}

// ErrMissing says that there is no such run.
var ErrMissing = errors.New("there is no such validation")

// RunsConfig is what [Runs] need; all but AllowFederation, Log, KnownHost,
// FoundHosts, Token, Needs and Now must be given.
type RunsConfig struct {
	DB          *sqldb.DB
	Audit       *audit.Log
	Connections *connection.Service
	Tenants     *tenant.Service
	Jobs        *jobs.Queue // not yet started
	Live        *live.Hub
	Pace        *pace.Governor
	Cloud       microsoft.Cloud
	// AllowFederation lists hosts that a federated password may be sent to.
	AllowFederation []string
	// Log hears how each validation ended; nothing is logged if nil.
	Log *slog.Logger
	// KnownHost gives the name of a tenant's SharePoint hosts, "" if none is known,
	// and whether Graph need not be asked again. FoundHosts is told what Graph said.
	// Both may be nil.
	KnownHost  func(ctx context.Context, tenantID string) (name string, recent bool, err error)
	FoundHosts func(ctx context.Context, tenantID string, all []sharepoint.Host) error
	// Token gives a token of a delegated connection's sign-in, and Needs what its app
	// registration asks for. Both may be nil: then nothing is known of such a
	// connection, or of what it needs.
	Token func(ctx context.Context, connectionID, resource, claims string) (login.Token, error)
	Needs func(ctx context.Context, registrationID string) ([]Scope, error)
	Now   func() time.Time // time.Now if nil
}

// Runs validates connections and keeps what came out. Each runs as a job, once
// at a time for a connection, on whichever replica. Before a password is sent,
// the intent is written down; what was intended and has no outcome is not sent
// again.
type Runs struct {
	RunsConfig
	service Service
	job     *jobs.Kind[runArgs]
}

type runArgs struct {
	Run string `json:"run"`
}

// NewRuns makes the runs and registers their job.
func NewRuns(c RunsConfig) *Runs {
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	r := &Runs{RunsConfig: c, service: Service{Now: c.Now, Rules: &posture.Cache{Now: c.Now}, Pace: c.Pace, Transport: c.Cloud.Transport(), Known: &login.Known{}}}
	r.job = jobs.Register(c.Jobs, jobs.Kind[runArgs]{Name: "validation", Work: r.work, Timeout: 2 * time.Minute, Attempts: 20})
	return r
}

func (r *Runs) time() time.Time { return r.Now().UTC().Truncate(time.Microsecond) }

type runRow struct {
	bun.BaseModel `bun:"table:validations,alias:v"`

	ID           string `bun:"id,pk"`
	ConnectionID string
	TenantID     string
	State        string
	JobID        int64
	RequestedBy  string
	CreatedAt    time.Time
	StartedAt    *time.Time
	EndedAt      *time.Time
	Probes       string
	Result       string
	Outcome      string
	Reason       string
	quiet        bool // nobody watches its probes
}

func (row *runRow) run() (Run, error) {
	run := Run{ID: row.ID, ConnectionID: row.ConnectionID, TenantID: row.TenantID, State: row.State, CreatedAt: row.CreatedAt.UTC(), StartedAt: utc(row.StartedAt), EndedAt: utc(row.EndedAt), RequestedBy: row.RequestedBy, Reason: row.Reason}
	for _, d := range []struct {
		text string
		into any
	}{{row.Probes, &run.Probes}, {row.Result, &run.Result}, {row.Outcome, &run.Outcome}} {
		if d.text == "" {
			continue
		}
		if err := json.Unmarshal([]byte(d.text), d.into); err != nil {
			return Run{}, fmt.Errorf("reading validation %s: %w", row.ID, err)
		}
	}
	if run.Result != nil {
		run.Probes, run.Result.Outcome = run.Result.Probes, run.Outcome
	}
	return run, nil
}

func utc(t *time.Time) *time.Time {
	if t == nil {
		return nil
	}
	moment := t.UTC()
	return &moment
}

// Start asks for a validation of a connection. If one is queued or running, it
// is that one. A parked connection is refused with *[connection.ParkedError], one
// of a paused tenant with [tenant.ErrPaused].
func (r *Runs) Start(ctx context.Context, connectionID string) (Run, error) {
	c, err := r.Connections.Get(ctx, connectionID)
	if err != nil {
		return Run{}, err
	}
	if err := r.Audit.Allow(ctx, c.TenantID, audit.ConnectionValidate); err != nil {
		return Run{}, err
	}
	at, err := r.Tenants.Directory(ctx, c.TenantID)
	switch {
	case err != nil:
		return Run{}, err
	case at.Paused:
		return Run{}, tenant.ErrPaused
	}
	open, err := r.open(ctx, connectionID)
	if err != nil || open != nil {
		return orNone(open), err
	}
	if c.Parked {
		return Run{}, &connection.ParkedError{Reason: c.ParkedReason}
	}
	return r.add(ctx, c)
}

func orNone(run *Run) Run {
	if run == nil {
		return Run{}
	}
	return *run
}

var errOpen = errors.New("the connection is being validated already")

func (r *Runs) add(ctx context.Context, c connection.Connection) (Run, error) {
	actor, _ := audit.From(ctx)
	row := &runRow{ID: uuid.Must(uuid.NewV7()).String(), ConnectionID: c.ID, TenantID: c.TenantID, State: Queued, RequestedBy: actor.Name, CreatedAt: r.time()}
	err := r.DB.Change(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		if err := r.Audit.Act(ctx, tx, audit.Entry{Permission: audit.ConnectionValidate, TenantID: c.TenantID, Action: "validation.requested", ObjectKind: "connection", ObjectID: c.ID, ObjectName: c.Name}); err != nil {
			return err
		}
		job, err := r.job.Add(ctx, tx, runArgs{row.ID}, jobs.Options{Tenant: c.TenantID, Ahead: actor.Kind == audit.Operator})
		if err != nil {
			return err
		}
		row.JobID = job.ID
		done, err := tx.NewInsert().Model(row).On("CONFLICT DO NOTHING").Exec(ctx)
		if sqldb.Referenced(err) {
			return connection.ErrMissing
		}
		if err != nil {
			return fmt.Errorf("asking for a validation: %w", err)
		}
		if n, err := done.RowsAffected(); err != nil || n == 0 {
			return errors.Join(err, errOpen)
		}
		return r.announce(ctx, tx, row, nil)
	})
	if errors.Is(err, errOpen) {
		open, err := r.open(ctx, c.ID)
		if err == nil && open == nil {
			err = errOpen // it has ended just now
		}
		return orNone(open), err
	}
	if err != nil {
		return Run{}, err
	}
	return row.run()
}

// open finds the run of a connection that has not ended; nil if there is none.
// One whose job has ended without it, as when an operator cancelled the job, is
// lost.
func (r *Runs) open(ctx context.Context, connectionID string) (*Run, error) {
	var row runRow
	err := r.DB.Read().NewSelect().Model(&row).Where("connection_id = ? AND state IN (?, ?)", connectionID, Queued, Running).Scan(ctx)
	if sqldb.Missing(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading a validation: %w", err)
	}
	job, err := r.Jobs.Get(ctx, row.JobID)
	if err != nil && !errors.Is(err, jobs.ErrMissing) {
		return nil, err
	}
	if err != nil || job.Finished != nil {
		return nil, r.lose(audit.AsSystem(ctx, "validation"), row.ID, "its job ended before it: "+string(job.State))
	}
	run, err := row.run()
	return &run, err
}

// Get gives a run.
func (r *Runs) Get(ctx context.Context, id string) (Run, error) {
	row, err := r.find(ctx, r.DB.Read(), id)
	if err != nil {
		return Run{}, err
	}
	if err := r.Audit.Allow(ctx, row.TenantID, audit.ConnectionView); err != nil {
		return Run{}, err
	}
	return row.run()
}

func (r *Runs) find(ctx context.Context, db bun.IDB, id string) (*runRow, error) {
	var row runRow
	err := db.NewSelect().Model(&row).Where("id = ?", id).Scan(ctx)
	if sqldb.Missing(err) {
		return nil, ErrMissing
	}
	if err != nil {
		return nil, fmt.Errorf("reading a validation: %w", err)
	}
	return &row, nil
}

// List gives a connection's runs, newest first.
func (r *Runs) List(ctx context.Context, connectionID string, p connection.Page) ([]Run, string, error) {
	c, err := r.Connections.Get(ctx, connectionID)
	if err != nil {
		return nil, "", err
	}
	var rows []runRow
	q := r.DB.Read().NewSelect().Model(&rows).Where("connection_id = ?", c.ID)
	next, err := tenant.Newest(ctx, q, p, "validations", "id", &rows, func(r runRow) string { return r.ID })
	if err != nil {
		return nil, "", err
	}
	out := make([]Run, len(rows))
	for i := range rows {
		if out[i], err = rows[i].run(); err != nil {
			return nil, "", err
		}
	}
	return out, next, nil
}

// Progress is the live event of a run: its state, or a probe that has ended.
type Progress struct {
	Run     string     `json:"run"`
	State   string     `json:"state"`
	Verdict Verdict    `json:"verdict,omitempty"`
	Probe   *ProbeMark `json:"probe,omitempty"`
}

// ProbeMark is a probe without its evidence, which may be larger than an event.
type ProbeMark struct {
	Name   string  `json:"name"`
	State  State   `json:"state"`
	TookMS float64 `json:"took_ms"`
}

// Topic of a connection's live events.
func Topic(connectionID string) string { return "validation/" + connectionID }

func (r *Runs) announce(ctx context.Context, tx *sqldb.Tx, row *runRow, p *Probe) error {
	event := Progress{Run: row.ID, State: row.State}
	if p != nil {
		event.Probe = &ProbeMark{p.Name, p.State, p.TookMS}
	}
	return r.Live.Publish(ctx, tx, Topic(row.ConnectionID), row.TenantID, event)
}
