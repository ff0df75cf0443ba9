package conversion

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/google/uuid"
	"github.com/uptrace/bun"

	"gatehouse/internal/audit"
	"gatehouse/internal/connection"
	"gatehouse/internal/live"
	"gatehouse/internal/microsoft"
	"gatehouse/internal/sqldb"
	"gatehouse/internal/tenant"
	"gatehouse/internal/validation"
)

// The states of a conversion.
const (
	Open    = "open"
	Done    = "done"
	GivenUp = "given_up"
)

// Ways in which the app proves itself.
const (
	MadeHere = "made_here" // a certificate, handed over as PFX
	Own      = "own"       // the consumer's own certificate: its public half is given
	Signing  = "signing"   // the consumer's signing request
	Secret   = "secret"    // a client secret
)

// Conversion is one profile on its way to an app.
type Conversion struct {
	ID           string
	ConnectionID string // the old profile
	TenantID     string
	AppID        string // the app's connection; "" until its credential is there
	State        string
	CreatedAt    time.Time
	EndedAt      *time.Time
	Progress
}

// Progress is how far a conversion has come.
type Progress struct {
	ClientID  string    `json:"client_id,omitempty"`
	Way       string    `json:"way,omitempty"`
	Consented *Mark     `json:"consented,omitempty"` // somebody said so
	Handed    *Mark     `json:"handed,omitempty"`    // the PFX was downloaded
	Seen      *Evidence `json:"seen,omitempty"`      // the consumer uses the app
	Looked    *Mark     `json:"looked,omitempty"`    // nothing was found, and why
}

// Mark is who did something, and when.
type Mark struct {
	At    time.Time `json:"at"`
	By    string    `json:"by"`
	Words string    `json:"words,omitempty"`
}

// Evidence is how it is known that the consumer signs in as the app.
type Evidence struct {
	Mark
	Log     bool   `json:"log"` // its own sign-in is in the tenant's log; otherwise somebody said so
	Address string `json:"address,omitempty"`
}

// The errors that callers tell apart.
var (
	ErrMissing    = errors.New("there is no such conversion")
	ErrNoAccount  = errors.New("the connection is an app already: there is nothing to convert")
	ErrEnded      = errors.New("the conversion has ended: start another one")
	ErrOrder      = errors.New("the step before it is not done yet")
	ErrHanded     = errors.New("the certificate was handed over already, once: make another one to hand over again")
	ErrNothing    = errors.New("there is no key here to hand over: the consumer has its own, or you entered a secret")
	ErrNone       = errors.New("there is no conversion of this connection: start one")
	errStaleWrite = errors.New("the conversion was changed meanwhile: load it again")
)

// Config is what the service needs; all but Now and Random must be given.
type Config struct {
	DB          *sqldb.DB
	Audit       *audit.Log
	Live        *live.Hub
	Tenants     *tenant.Service
	Connections *connection.Service
	Runs        *validation.Runs
	Cloud       microsoft.Cloud
	Now         func() time.Time // time.Now if nil
	Random      io.Reader        // crypto/rand's if nil
}

// Service leads conversions.
type Service struct{ Config }

// New makes the service.
func New(c Config) *Service {
	if c.Now == nil {
		c.Now = time.Now
	}
	return &Service{c}
}

func (s *Service) time() time.Time { return s.Now().UTC().Truncate(time.Microsecond) }

type row struct {
	bun.BaseModel `bun:"table:conversions,alias:v"`

	ID           string `bun:"id,pk"`
	ConnectionID string
	TenantID     string
	AppID        *string
	State        string
	Data         string
	CreatedAt    time.Time
	EndedAt      *time.Time
	Version      int64
}

func (r *row) conversion() (Conversion, error) {
	c := Conversion{ID: r.ID, ConnectionID: r.ConnectionID, TenantID: r.TenantID, State: r.State, CreatedAt: r.CreatedAt.UTC(), EndedAt: r.EndedAt}
	if r.AppID != nil {
		c.AppID = *r.AppID
	}
	if err := json.Unmarshal([]byte(r.Data), &c.Progress); err != nil {
		return c, fmt.Errorf("reading conversion %s: %w", r.ID, err)
	}
	return c, nil
}

func find(ctx context.Context, db bun.IDB, id string) (*row, error) {
	var r row
	err := db.NewSelect().Model(&r).Where("id = ?", id).Scan(ctx)
	if sqldb.Missing(err) {
		return nil, ErrMissing
	}
	if err != nil {
		return nil, fmt.Errorf("reading a conversion: %w", err)
	}
	return &r, nil
}

// Get gives a conversion.
func (s *Service) Get(ctx context.Context, id string) (Conversion, error) {
	r, err := find(ctx, s.DB.Read(), id)
	if err != nil {
		return Conversion{}, err
	}
	if err := s.Audit.Allow(ctx, r.TenantID, audit.ConnectionView); err != nil {
		return Conversion{}, err
	}
	return r.conversion()
}

// Of gives the last conversion of a connection, be it the old profile or the app;
// nil if there is none.
func (s *Service) Of(ctx context.Context, connectionID string) (*Conversion, error) {
	c, err := s.Connections.Get(ctx, connectionID)
	if err != nil {
		return nil, err
	}
	var rows []row
	if err := s.DB.Read().NewSelect().Model(&rows).Where("connection_id = ? OR app_id = ?", c.ID, c.ID).OrderExpr("id DESC").Limit(1).Scan(ctx); err != nil {
		return nil, fmt.Errorf("reading a conversion: %w", err)
	}
	if len(rows) == 0 {
		return nil, nil
	}
	out, err := rows[0].conversion()
	return &out, err
}

// Last is [Service.Of] where there has to be one, for what needs a permission:
// [ErrNone] if there is none.
func (s *Service) Last(ctx context.Context, connectionID string, p audit.Permission) (Conversion, error) {
	of, err := s.Connections.Get(ctx, connectionID)
	if err != nil {
		return Conversion{}, err
	}
	if err := s.Audit.Allow(ctx, of.TenantID, p); err != nil {
		return Conversion{}, err
	}
	c, err := s.Of(ctx, connectionID)
	if err == nil && c == nil {
		err = ErrNone
	}
	return orNone(c), err
}

// Start begins the conversion of a service account's profile; if one is open, it
// is that one.
func (s *Service) Start(ctx context.Context, connectionID string) (Conversion, error) {
	c, err := s.Connections.Get(ctx, connectionID)
	if err != nil {
		return Conversion{}, err
	}
	if err := s.Audit.Allow(ctx, c.TenantID, audit.ConnectionManage); err != nil {
		return Conversion{}, err
	}
	if c.Kind != connection.ServiceAccount {
		return Conversion{}, ErrNoAccount
	}
	if open, err := s.Of(ctx, c.ID); err != nil || open != nil && open.State == Open {
		return orNone(open), err
	}
	r := &row{ID: uuid.Must(uuid.NewV7()).String(), ConnectionID: c.ID, TenantID: c.TenantID, State: Open, Data: "{}", CreatedAt: s.time(), Version: 1}
	err = s.DB.Change(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		if err := s.Audit.Act(ctx, tx, s.entry(r, "conversion.started", nil)); err != nil {
			return err
		}
		if _, err := tx.NewInsert().Model(r).On("CONFLICT DO NOTHING").Exec(ctx); err != nil {
			return fmt.Errorf("starting a conversion: %w", err)
		}
		return s.announce(ctx, tx, r)
	})
	if err != nil {
		return Conversion{}, err
	}
	open, err := s.Of(ctx, c.ID)
	return orNone(open), err
}

func orNone(c *Conversion) Conversion {
	if c == nil {
		return Conversion{}
	}
	return *c
}

// entry is a line of the log about the old profile: its page shows it.
func (s *Service) entry(r *row, action string, details map[string]any) audit.Entry {
	return audit.Entry{Permission: audit.ConnectionManage, TenantID: r.TenantID, Action: action, ObjectKind: "connection", ObjectID: r.ConnectionID, Details: details}
}

func (s *Service) announce(ctx context.Context, tx *sqldb.Tx, r *row) error {
	return s.Live.Publish(ctx, tx, "tenant/"+r.TenantID, r.TenantID, map[string]string{"tenant": r.TenantID, "connection": r.ConnectionID, "changed": "conversion"})
}

// load reads an open conversion for somebody who may change it.
func (s *Service) load(ctx context.Context, id string) (*row, Conversion, error) {
	r, err := find(ctx, s.DB.Read(), id)
	if err != nil {
		return nil, Conversion{}, err
	}
	if err := s.Audit.Allow(ctx, r.TenantID, audit.ConnectionManage); err != nil {
		return nil, Conversion{}, err
	}
	c, err := r.conversion()
	if err == nil && r.State != Open {
		err = ErrEnded
	}
	return r, c, err
}

// save writes progress over the version that was read, within a change that has
// been recorded.
func (s *Service) save(ctx context.Context, tx *sqldb.Tx, r *row, p Progress) error {
	data, err := json.Marshal(p)
	if err != nil {
		return fmt.Errorf("encoding a conversion: %w", err)
	}
	done, err := tx.NewRaw("UPDATE conversions SET data = ?, state = ?, app_id = ?, ended_at = ?, version = version + 1 WHERE id = ? AND version = ?", string(data), r.State, r.AppID, r.EndedAt, r.ID, r.Version).Exec(ctx)
	if err != nil {
		return fmt.Errorf("keeping a conversion: %w", err)
	}
	if n, err := done.RowsAffected(); err != nil || n == 0 {
		return errors.Join(err, errStaleWrite)
	}
	return s.announce(ctx, tx, r)
}

// step records something and writes the progress.
func (s *Service) step(ctx context.Context, r *row, p Progress, action string, details map[string]any) (Conversion, error) {
	err := s.DB.Change(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		if err := s.Audit.Act(ctx, tx, s.entry(r, action, details)); err != nil {
			return err
		}
		return s.save(ctx, tx, r, p)
	})
	if err != nil {
		return Conversion{}, err
	}
	return s.Get(ctx, r.ID)
}

func (s *Service) mark(ctx context.Context, words string) *Mark {
	actor, _ := audit.From(ctx)
	return &Mark{At: s.time(), By: actor.Name, Words: words}
}
