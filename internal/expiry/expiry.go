package expiry

import (
	"context"
	"errors"
	"time"

	"gatehouse/internal/audit"
	"gatehouse/internal/jobs"
	"gatehouse/internal/live"
	"gatehouse/internal/microsoft"
	"gatehouse/internal/microsoft/login"
	"gatehouse/internal/pace"
	"gatehouse/internal/rotation"
	"gatehouse/internal/sqldb"
	"gatehouse/internal/tenant"
)

// Kind is what sort of thing ends.
type Kind string

// The kinds.
const (
	Secret      Kind = "secret"      // client secret
	Certificate Kind = "certificate" // with which an app proves itself
	SAMLKey     Kind = "saml_key"    // with which Entra signs a SAML app's tokens
	Password    Kind = "password"    // of a service account
	Reader      Kind = "reader"      // the certificate of a tenant's reader
)

// Kinds are all kinds, in the order in which they are offered.
var Kinds = []Kind{Secret, Certificate, SAMLKey, Password, Reader}

// Holder is the object that a credential belongs to.
type Holder string

// The holders.
const (
	Application      Holder = "application"
	ServicePrincipal Holder = "service_principal"
	User             Holder = "user"
	Here             Holder = "gatehouse" // it is stored here, and was not read at Microsoft
)

// State is what is known of an end.
type State string

// The states.
const (
	Dated   State = "dated"
	Never   State = "never"   // it does not end; the reason says why
	Unknown State = "unknown" // the reason says why
)

// Level is how near an end is. It is "" while more than 90 days are left.
type Level string

// The levels, the nearest last.
const (
	In90 Level = "90"
	In30 Level = "30"
	In7  Level = "7"
	Past Level = "past"
)

const day = 24 * time.Hour

// levels are the levels with the time that is left at most, the nearest first.
var levels = []struct {
	Level
	left time.Duration
}{{Past, 0}, {In7, 7 * day}, {In30, 30 * day}, {In90, 90 * day}}

// LevelAt is the level of an end at a moment.
func LevelAt(end, now time.Time) Level {
	for _, l := range levels {
		if end.Sub(now) <= l.left {
			return l.Level
		}
	}
	return ""
}

// Item is a credential with its end.
type Item struct {
	ID             string // the same in each reading
	TenantID       string
	TenantName     string
	Kind           Kind
	Holder         Holder
	ObjectID       string // of the holder in the directory; "" for what is stored here
	ClientID       string // of an app
	Username       string // of an account
	Name           string // of the app or account
	Label          string // of the credential itself
	CredentialID   string // key id, as Microsoft shows it
	Thumbprint     string // SHA-1, of a certificate
	Active         bool   // of a SAML key: it signs at present; of a registration: it is in use
	ConnectionID   string // the connection that it is stored with, of what is stored here
	RegistrationID string // the app registration that it is stored with; TenantID is "" then
	State          State
	Reason         string // why it never ends, or is not known
	StartsAt       *time.Time
	NotAfter       *time.Time // nil unless Dated
	UsedAt         *time.Time // the last sign-in with it that Microsoft tells of; nil: unknown
	SeenAt         *time.Time // when it was read; nil for what is stored here
	Used           bool       // a connection or reader uses the app or account

	Uses []Use
}

// Level is the item's level at a moment.
func (i Item) Level(now time.Time) Level {
	if i.NotAfter == nil {
		return ""
	}
	return LevelAt(*i.NotAfter, now)
}

// Use is a connection, reader or caller that uses a credential, with the software
// behind.
type Use struct {
	Kind       string // "connection", "reader" or "caller"
	ID         string // of the connection, for a caller that it calls through; of the tenant
	Name       string
	TenantID   string
	TenantName string
	Consumer   string     // the software that uses it; "" if nobody said
	Certain    bool       // it is known to be this very credential, not only one of the same app
	Verdict    string     // of the last validation
	UsedAt     *time.Time // the last validation, or check of the reader; nil: none
}

// News is what [Config.Tell] is told.
type News struct {
	Item
	Level Level
	At    time.Time
	Steps []string // what to do
	Actor string   // who does it
}

// The errors that callers tell apart.
var (
	// ErrMissing says that there is no such credential or calendar.
	ErrMissing = errors.New("there is no such expiry")
	// ErrMany says that somebody has as many calendars as they may.
	ErrMany = errors.New("there are ten calendar addresses already: revoke one first")
)

// FieldError is a fault in one field.
type FieldError = tenant.FieldError

// Config is what the service needs; all but Tell and Now must be given.
type Config struct {
	DB        *sqldb.DB
	Audit     *audit.Log
	Jobs      *jobs.Queue // not yet started
	Live      *live.Hub
	Pace      *pace.Governor
	Cloud     microsoft.Cloud
	Tenants   *tenant.Service
	Rotations *rotation.Service
	// ActingFor makes an operator the actor, with some permissions alone; an error
	// if there is none any more.
	ActingFor func(ctx context.Context, operatorID, address string, only ...audit.Permission) (context.Context, error)
	// Tell is told once of each credential and level, in the transaction that
	// notes it; nil: nobody is.
	Tell func(ctx context.Context, tx *sqldb.Tx, n News) error
	Now  func() time.Time // time.Now if nil
}

// Service forecasts.
type Service struct {
	Config
	login   *login.Client
	refresh *jobs.Kind[refreshArgs]
}

// New makes the service and registers its jobs.
func New(c Config) *Service {
	if c.Now == nil {
		c.Now = time.Now
	}
	s := &Service{Config: c, login: login.New(login.Config{Cloud: c.Cloud, Pace: c.Pace})}
	s.refresh = jobs.Register(c.Jobs, jobs.Kind[refreshArgs]{Name: "expiry_refresh", Work: s.read, Timeout: 5 * time.Minute, Attempts: 3, Lane: jobs.Long, Unique: true})
	return s
}

// Repeat has the queue read every tenant once a day, and tell every hour what is
// due.
func (s *Service) Repeat() {
	jobs.Every(s.Jobs, 24*time.Hour, jobs.Kind[jobs.Tick]{Name: "expiry_day", Work: s.plan, Lane: jobs.Long})
	jobs.Every(s.Jobs, time.Hour, jobs.Kind[jobs.Tick]{Name: "expiry_tell", Work: func(ctx context.Context, _ jobs.Tick) error {
		return s.tellAll(audit.AsSystem(ctx, "expiry_tell"))
	}, Timeout: 5 * time.Minute, Lane: jobs.Long})
}

func (s *Service) time() time.Time { return s.Now().UTC().Truncate(time.Microsecond) }

func utc(t *time.Time) *time.Time {
	if t == nil {
		return nil
	}
	moment := t.UTC()
	return &moment
}
