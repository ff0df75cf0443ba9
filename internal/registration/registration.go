package registration

import (
	"context"
	"errors"
	"net/http"
	"time"

	"gatehouse/internal/audit"
	"gatehouse/internal/jobs"
	"gatehouse/internal/live"
	"gatehouse/internal/microsoft"
	"gatehouse/internal/microsoft/login"
	"gatehouse/internal/pace"
	"gatehouse/internal/secrets"
	"gatehouse/internal/sqldb"
	"gatehouse/internal/tenant"
)

// Kind is how an app registration proves itself.
type Kind string

// The kinds.
const (
	Confidential Kind = "confidential" // with a secret or certificate
	Public       Kind = "public"       // not at all: an app on people's own machines
)

// Client is a client id in a cloud.
type Client struct {
	Cloud    string
	ClientID string
	Since    time.Time
	Until    *time.Time // nil: it is the present one
}

// Redirect is an address that people come back to after they signed in or consented.
type Redirect struct {
	URI  string `json:"uri"`
	Note string `json:"note,omitempty"` // what it is for
	// Needed by Gatehouse itself.
	Needed bool `json:"needed,omitempty"`
	// State is there, missing or unknown, as a directory showed it last.
	State string `json:"-"`
}

// What is known of a publisher.
const (
	PublisherVerified   = "verified"
	PublisherUnverified = "unverified"
	PublisherUnknown    = "unknown"
)

// Publisher says whether Microsoft has verified who publishes the app.
type Publisher struct {
	State  string // verified, unverified, unknown
	Name   string // of a verified one
	Source string // "directory", "entered"; "" while unknown
	At     *time.Time
}

// Registration is an app registration.
type Registration struct {
	ID       string
	Name     string
	Kind     Kind
	Purpose  string
	ClientID string // of this process's cloud; "" if it has none there
	Cloud    string // this process's
	Clients  []Client
	// Credentials are those of this cloud, the newest first.
	Credentials []Credential
	Redirects   []Redirect
	Publisher   Publisher
	Seen        *Seen // what a directory showed of it; nil: nothing was read
	Manifest    Manifest
	// Connections is how many connections use it, of all tenants.
	Connections int
	CreatedBy   string
	CreatedAt   time.Time
	Version     int64
}

// Active gives the credential that is in use for the present client id.
func (r Registration) Active() (Credential, bool) {
	for _, c := range r.Credentials {
		if c.State == Active && c.ClientID == r.ClientID {
			return c, true
		}
	}
	return Credential{}, false
}

// The errors that callers tell apart.
var (
	// ErrMissing says that there is no such app registration, credential or version.
	ErrMissing = errors.New("there is no such app registration, or no such part of it")
	// ErrTaken says that another registration has this name or client id.
	ErrTaken = errors.New("another app registration has this name or client id")
	// ErrConflict says that somebody else changed the registration meanwhile.
	ErrConflict = errors.New("the app registration was changed meanwhile: load it again")
	// ErrUsed says that connections use the registration.
	ErrUsed = errors.New("connections use the app registration: remove them first")
	// ErrUnchecked says that a credential has not passed a check.
	ErrUnchecked = errors.New("the credential has not been accepted by Microsoft yet: check it first")
	// ErrInUse says that a credential is in use.
	ErrInUse = errors.New("the credential is in use: switch to another one first")
	// ErrRetired says that a credential was retired.
	ErrRetired = errors.New("the credential was retired: its secret is forgotten here")
	// ErrNoUndo says that there is no credential to go back to.
	ErrNoUndo = errors.New("there is nothing to undo: no credential that was in use before is left")
	// ErrNoCredential says that a confidential registration has no credential in use.
	ErrNoCredential = errors.New("the app registration has no credential in use: add one")
	// ErrNoClient says that a registration has no client id in this process's cloud.
	ErrNoClient = errors.New("the app registration has no client id in this cloud")
)

// FieldError is a fault in one field.
type FieldError = tenant.FieldError

// Faults are all faults of what somebody entered.
type Faults = tenant.Faults

// Page asks for a part of a list.
type Page = tenant.Page

// What of a registration changed.
const (
	ChangedClientID   = "client_id"
	ChangedManifest   = "manifest"
	ChangedCredential = "credential"
)

// Change is a change after which people may have to consent or sign in again. Old and
// New are client ids, manifest versions or credential ids.
type Change struct {
	RegistrationID string
	What           string // client_id, manifest, credential or [Removed]
	Old, New       string
}

// Removed is the change by which a registration goes; Old is its name.
const Removed = "removed"

// Consent is how far a tenant's consent to a registration has come.
type Consent struct {
	TenantID, TenantName string
	State                string // unknown, missing, partly, granted, approved_not_read
	At                   *time.Time
	GrantedAt            *time.Time // since when it was whole, or was it before something went
}

// Config is what the service needs; all but Changed, Consents, Transport and Now must
// be given.
type Config struct {
	DB      *sqldb.DB
	Audit   *audit.Log
	Keys    *secrets.Keyring // opened with [Columns]
	Jobs    *jobs.Queue      // not yet started
	Live    *live.Hub
	Pace    *pace.Governor
	Cloud   microsoft.Cloud
	Tenants *tenant.Service
	// PublicURL is where browsers reach the server, without a slash at the end.
	PublicURL string
	// Changed is told of changes in the transaction that makes them; nil: nobody is.
	Changed func(ctx context.Context, tx *sqldb.Tx, c Change) error
	// Consents says which tenants consented, of those that the actor may see; nil:
	// nobody knows.
	Consents func(ctx context.Context, registrationID string) ([]Consent, error)
	// Transport replaces the cloud's own transport, for tests with another route to
	// it.
	Transport http.RoundTripper
	Now       func() time.Time // time.Now if nil
}

// Columns are the columns of this package that hold sealed secrets.
var Columns = []secrets.Column{{Table: "registration_credentials", Key: "id", Name: "secret"}}

type checkArgs struct {
	Credential string `json:"credential"`
}

// Service keeps the app registrations.
type Service struct {
	Config
	login *login.Client
	check *jobs.Kind[checkArgs]
}

// New makes the service and registers its jobs.
func New(c Config) *Service {
	if c.Now == nil {
		c.Now = time.Now
	}
	s := &Service{Config: c, login: login.New(login.Config{Cloud: c.Cloud, Pace: c.Pace, Transport: c.Transport})}
	s.check = jobs.Register(c.Jobs, jobs.Kind[checkArgs]{Name: "registration_check", Work: s.run, Timeout: 5 * time.Minute, Attempts: 20, Unique: true})
	return s
}

// Repeat has the queue go on with checks that stand still.
func (s *Service) Repeat() {
	jobs.Every(s.Jobs, 10*time.Minute, jobs.Kind[jobs.Tick]{Name: "registration_resume", Work: func(ctx context.Context, _ jobs.Tick) error {
		return s.resume(audit.AsSystem(ctx, "registration_resume"))
	}})
}

func (s *Service) time() time.Time { return s.Now().UTC().Truncate(time.Microsecond) }

// view demands that the actor may see connections of any tenant: who has none to look
// after has no use for registrations.
func (s *Service) view(ctx context.Context) error {
	scope, err := audit.Tenants(ctx, audit.ConnectionView)
	if err == nil && !scope.All && len(scope.IDs) == 0 {
		err = s.Audit.Allow(ctx, audit.AllTenants, audit.ConnectionView)
	}
	return err
}

// announce tells open pages, those of operators with a role in all tenants.
func (s *Service) announce(ctx context.Context, tx *sqldb.Tx, id, what string) error {
	return s.Live.Publish(ctx, tx, Topic(id), audit.AllTenants, map[string]string{"registration": id, "changed": what})
}

// Topic is that of the events of a registration.
func Topic(id string) string { return "registration/" + id }

func (s *Service) changed(ctx context.Context, tx *sqldb.Tx, c Change) error {
	if s.Changed == nil {
		return nil
	}
	return s.Changed(ctx, tx, c)
}
