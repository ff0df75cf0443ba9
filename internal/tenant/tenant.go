package tenant

import (
	"context"
	"errors"
	"time"

	"github.com/google/uuid"

	"gatehouse/internal/audit"
	"gatehouse/internal/jobs"
	"gatehouse/internal/live"
	"gatehouse/internal/microsoft"
	"gatehouse/internal/microsoft/login"
	"gatehouse/internal/pace"
	"gatehouse/internal/posture"
	"gatehouse/internal/secrets"
	"gatehouse/internal/sqldb"
)

// Tenant is a Microsoft 365 tenant with what it consented to.
type Tenant struct {
	ID          string // ours
	DirectoryID string // Entra's
	Name        string
	Domain      string // "" while none is known
	Cloud       string // the cloud's name
	Realm       string // managed, federated or unknown
	Paused      bool   // nothing is started for it by itself
	CreatedAt   time.Time

	Switches []Switch // all four, in their order
	Reader   *Reader  // nil: none

	SnapshotAt     *time.Time // nil: none
	SnapshotSource string     // reader, upload or ""
	Version        int64
}

// Switch gives one of the four switches.
func (t Tenant) Switch(name SwitchName) Switch {
	for _, s := range t.Switches {
		if s.Name == name {
			return s
		}
	}
	return Switch{}
}

// Without says which answers stay unknown for want of reader and snapshot; "" if
// there is one of them.
func (t Tenant) Without() string {
	if t.Reader != nil && t.Reader.State == ReaderWorks || t.SnapshotAt != nil {
		return ""
	}
	return "Without a reader or an uploaded snapshot these answers stay unknown: which rule stands behind a bare demand for MFA, which rules see an account, whether a second factor is registered, when an app's credentials end."
}

// Reader is the tenant's read-only app identity.
type Reader struct {
	ClientID    string
	PrincipalID string // of the service principal; "" until it was seen
	Thumbprint  string // SHA-1 of the certificate, as portals show it
	NotAfter    time.Time
	CheckedAt   *time.Time
	State       string // one of the Reader constants
	Reason      string // what is wrong, or worth knowing
}

// The states of a reader.
const (
	ReaderUnchecked = "unchecked"
	ReaderWorks     = "works"
	ReaderBroken    = "broken"
)

// Sources of a snapshot.
const (
	FromReader = "reader"
	FromUpload = "upload"
)

// The errors that callers tell apart.
var (
	// ErrMissing says that there is no such tenant.
	ErrMissing = errors.New("there is no such tenant")
	// ErrTaken says that the tenant is here already.
	ErrTaken = errors.New("this tenant has been added already")
	// ErrNoReader says that the tenant has no reader.
	ErrNoReader = errors.New("the tenant has no reader: onboard one, or upload a snapshot")
	// ErrNoSnapshot says that there is no snapshot of the tenant's rules.
	ErrNoSnapshot = errors.New("there is no snapshot of the tenant's rules: onboard a reader, or upload one")
	// ErrPaused says that nothing is done for the tenant.
	ErrPaused = errors.New("the tenant is paused: resume it first")
)

// Config is what the service needs; all but Now must be given.
type Config struct {
	DB    *sqldb.DB
	Audit *audit.Log
	Keys  *secrets.Keyring // opened with [Columns]
	Jobs  *jobs.Queue      // not yet started
	Live  *live.Hub
	Pace  *pace.Governor
	Cloud microsoft.Cloud
	Now   func() time.Time // time.Now if nil
}

// Columns are the columns of this package that hold sealed secrets.
var Columns = []secrets.Column{{Table: "readers", Key: "tenant_id", Name: "private_key"}}

// Service keeps the tenants.
type Service struct {
	Config
	login       *login.Client
	refresh     *jobs.Kind[refreshArgs]
	connections Connections
}

// Connections is what tenants need of the connections that depend on them.
type Connections struct {
	// Names are those of a tenant's connections, some of them, and how many
	// there are.
	Names func(ctx context.Context, tenantID string) (names []string, count int, err error)
	// Remove takes the connections of a tenant away in its transaction.
	Remove func(ctx context.Context, tx *sqldb.Tx, tenantID string) error
	// Paused puts the connections of a tenant aside in its transaction.
	Paused func(ctx context.Context, tx *sqldb.Tx, tenantID string) error
	// Identities are the accounts and apps that a snapshot is to hold.
	Identities func(ctx context.Context, tenantID string) (posture.Want, error)
}

// New makes the service and registers its jobs.
func New(c Config) *Service {
	if c.Now == nil {
		c.Now = time.Now
	}
	s := &Service{Config: c, login: login.New(login.Config{Cloud: c.Cloud, Pace: c.Pace})}
	s.refresh = jobs.Register(c.Jobs, jobs.Kind[refreshArgs]{Name: "tenant_refresh", Work: s.takeSnapshot, Timeout: 2 * time.Minute, Attempts: 5, Unique: true})
	return s
}

// Attach makes the tenants' connections known. It is called once, before
// anything else is.
func (s *Service) Attach(c Connections) { s.connections = c }

func (s *Service) time() time.Time { return s.Now().UTC().Truncate(time.Microsecond) }

func newID() string { return uuid.Must(uuid.NewV7()).String() } // fails only if there is no randomness

// topic of a tenant's live events.
func topic(id string) string { return "tenant/" + id }

func (s *Service) announce(ctx context.Context, tx *sqldb.Tx, id, what string) error {
	return s.Live.Publish(ctx, tx, topic(id), id, map[string]string{"tenant": id, "changed": what})
}

// entry is what is written down about a tenant.
func (r *row) entry(p audit.Permission, action string, details map[string]any) audit.Entry {
	return audit.Entry{Permission: p, TenantID: r.ID, Action: action, ObjectKind: "tenant", ObjectID: r.ID, ObjectName: r.Name, Details: details}
}
