package connection

import (
	"context"
	"errors"
	"time"

	"github.com/google/uuid"

	"gatehouse/internal/audit"
	"gatehouse/internal/diagnosis"
	"gatehouse/internal/live"
	"gatehouse/internal/secrets"
	"gatehouse/internal/sqldb"
	"gatehouse/internal/tenant"
)

// Kind is what sort of identity a connection is.
type Kind string

// The kinds.
const (
	ServiceAccount Kind = "service_account" // user name and password
	App            Kind = "app"             // an app for itself
	Delegated      Kind = "delegated"       // an app for a person who signed in
)

// CredentialKind is how an identity proves itself.
type CredentialKind string

// The kinds of credentials.
const (
	Password    CredentialKind = "password"
	AppPassword CredentialKind = "app_password"
	Secret      CredentialKind = "secret"
	Certificate CredentialKind = "certificate"
	Federated   CredentialKind = "federated"
	// SignIn is what a delegated connection lives on: a person's sign-in, which the
	// token broker keeps.
	SignIn CredentialKind = "sign_in"
)

// Services that a connection can be for.
const (
	Graph           = "graph"
	SharePoint      = "sharepoint"
	BusinessCentral = "business_central"
	Exchange        = "exchange"
)

// Holders of a credential.
const (
	HeldHere       = "gatehouse"
	HeldByConsumer = "consumer" // it has its own copy, or the only one
)

// Consumer is the software that uses a connection.
type Consumer struct {
	Name            string   `json:"name"`
	HoldsCredential string   `json:"holds_credential"` // gatehouse or consumer
	Accepts         []string `json:"accepts"`          // password, secret, certificate: what it can be given
	Addresses       []string `json:"addresses"`        // IP addresses or ranges it calls from
}

// Connection is an identity that reaches services of a tenant.
type Connection struct {
	ID          string
	TenantID    string
	TenantName  string
	Name        string
	Description string
	Kind        Kind
	MFA         bool // the profile's flag: the organisation uses MFA
	Username    string
	ClientID    string

	// RegistrationID is the app registration that a delegated connection's person
	// signs in through, ObjectID who did, "" while nobody has. ClientID is then the
	// app that they signed in to, which a registration may have replaced since.
	RegistrationID string
	ObjectID       string

	Credential         CredentialKind
	HasCredential      bool       // it is stored here
	CredentialNotAfter *time.Time // nil: not known, or it does not end
	Thumbprint         string     // of a certificate

	Services    []string
	Site        string // SharePoint
	AdminURL    string // SharePoint; "" for the default
	Environment string // Business Central
	Company     string // Business Central
	Consumer    Consumer

	Verdict     string // of the last validation; "" if there was none
	Sentence    string
	Rule        *diagnosis.Rule
	ValidatedAt *time.Time
	// Parked: its password was refused and is not tried again.
	Parked       bool
	ParkedReason string
	Warnings     []string // of the profile itself, then of the last validation
	CreatedAt    time.Time
	Version      int64

	// Previous is what a conversion to a common profile replaced, while it can be
	// undone; nil otherwise.
	Previous *Previous
	// Admin is what the given admin-centre address said when it was asked; nil
	// where none is given.
	Admin *AdminProbe

	Tags     []string
	Schedule string     // its own, as package schedule writes it; "" for the tenant's
	InForce  string     // its own schedule, the tenant's or the server's
	NextAt   *time.Time // when it is validated by itself; nil for never
}

// The errors that callers tell apart.
var (
	// ErrMissing says that there is no such connection.
	ErrMissing = errors.New("there is no such connection")
	// ErrTaken says that the tenant has another connection of this name.
	ErrTaken = errors.New("the tenant has another connection of this name")
	// ErrConflict says that somebody else changed the connection meanwhile.
	ErrConflict = errors.New("the connection was changed meanwhile: load it again")
	// ErrNoCertificate says that the connection has no certificate.
	ErrNoCertificate = errors.New("the connection has no certificate")
	// ErrReplaced says that the credential was replaced meanwhile.
	ErrReplaced = errors.New("the credential was replaced meanwhile: validate again")
)

// ParkedError refuses to try a password again.
type ParkedError struct{ Reason string }

// Error says why, and the way out.
func (e *ParkedError) Error() string {
	return "the connection is parked: " + e.Reason + ". Enter the right password, or take the connection out of park"
}

// FieldError is a fault in one field.
type FieldError = tenant.FieldError

// Faults are all faults of what somebody entered.
type Faults = tenant.Faults

// Config is what the service needs; all but AdminURL,
// Registration and Now must be given.
type Config struct {
	DB      *sqldb.DB
	Audit   *audit.Log
	Keys    *secrets.Keyring // opened with [Columns]
	Live    *live.Hub
	Tenants *tenant.Service
	// AdminURL asks the admin centre at a given address whose it is. The error is
	// a [FieldError] if it cannot be this tenant's. Nil: it is not asked.
	AdminURL func(ctx context.Context, tenantID, address string) (AdminProbe, error)
	// Registration says whether people can sign in to some services through an app
	// registration, and by which client id; the error is a [FieldError] if they
	// cannot. Nil: there are no delegated connections.
	Registration func(ctx context.Context, registrationID string, services []string) (clientID string, err error)
	Now          func() time.Time // time.Now if nil
}

// Columns are the columns of this package that hold sealed secrets.
var Columns = []secrets.Column{{Table: "connections", Key: "id", Name: "secret"}, {Table: "connections", Key: "id", Name: "previous_secret"}}

// Service keeps the connections.
type Service struct {
	Config
	watch Watch
}

// New makes the service and tells the tenants of it.
func New(c Config) *Service {
	if c.Now == nil {
		c.Now = time.Now
	}
	s := &Service{Config: c}
	c.Tenants.Attach(tenant.Connections{Names: s.namesOf, Remove: s.removeAll, Paused: s.pausedAll, Identities: s.identities})
	return s
}

func (s *Service) time() time.Time { return s.Now().UTC().Truncate(time.Microsecond) }

func newID() string { return uuid.Must(uuid.NewV7()).String() } // fails only if there is no randomness

func (s *Service) announce(ctx context.Context, tx *sqldb.Tx, r *row, what string) error {
	return s.Live.Publish(ctx, tx, "tenant/"+r.TenantID, r.TenantID, map[string]string{"tenant": r.TenantID, "connection": r.ID, "changed": what})
}

// entry is what is written down about a connection.
func (r *row) entry(p audit.Permission, action string, details map[string]any) audit.Entry {
	return audit.Entry{Permission: p, TenantID: r.TenantID, Action: action, ObjectKind: "connection", ObjectID: r.ID, ObjectName: r.Name, Details: details}
}
