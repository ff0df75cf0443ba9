package signin

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/google/uuid"

	"gatehouse/internal/audit"
	"gatehouse/internal/connection"
	"gatehouse/internal/jobs"
	"gatehouse/internal/live"
	"gatehouse/internal/microsoft"
	"gatehouse/internal/microsoft/login"
	"gatehouse/internal/pace"
	"gatehouse/internal/secrets"
	"gatehouse/internal/sqldb"
	"gatehouse/internal/tenant"
)

const (
	// Lifetime is how long a sign-in in a browser may take.
	Lifetime = 15 * time.Minute
	// LinkLife is how long a personal link is good where nothing else is said.
	LinkLife = 7 * 24 * time.Hour
	// maxLinkLife bounds what can be said.
	maxLinkLife = 30 * 24 * time.Hour
	// browserLife is how long a browser is known again: it may begin anew with the
	// link that it began with.
	browserLife = 24 * time.Hour
	// maxRounds is how often a sign-in is sent back to Microsoft with a challenge.
	maxRounds = 2
)

// CallbackPath is the path of the redirect address of every app registration.
const CallbackPath = "/signin/callback"

// LinkPath is the path under which personal links lie.
const LinkPath = "/signin/link/"

// The flows.
const (
	FlowCode   = "code"
	FlowDevice = "device"
)

// Registration is what a sign-in has to know of an app registration.
type Registration struct {
	ID, Name    string
	Permissions []Permission
}

// Permission is one that an app registration needs.
type Permission struct {
	Resource     string // app id of the API
	ResourceName string
	Name         string
	Kind         string // delegated or application
	Why          string
}

// Grant is what a sign-in earned, with whom and for what.
type Grant struct {
	ConnectionID, TenantID string
	RegistrationID         string
	ClientID, Cloud        string
	DirectoryID, ObjectID  string
	Username               string
	Refresh                secrets.Value
	Access                 login.Token
	Resource               string // service that Access is for
	AuthTime               time.Time
	AMR                    []string
	Flow                   string // FlowCode or FlowDevice
	By                     string // who began it
}

// Config is what the service needs.
type Config struct {
	DB          *sqldb.DB
	Audit       *audit.Log
	Keys        *secrets.Keyring // opened with [Columns]
	Jobs        *jobs.Queue
	Live        *live.Hub
	Pace        *pace.Governor
	Cloud       microsoft.Cloud
	Tenants     *tenant.Service
	Connections *connection.Service
	PublicURL   string
	Log         *slog.Logger // nothing is logged if nil

	// App gives an app registration as it lets people sign in, Registration what it
	// asks for, Registrations those to choose from. Nil: there are none, and nobody
	// can sign in.
	App           func(ctx context.Context, registrationID string) (login.App, error)
	Registration  func(ctx context.Context, registrationID string) (Registration, error)
	Registrations func(ctx context.Context) ([]Registration, error)
	// ActingFor makes an operator the actor of what follows, as they are now.
	ActingFor func(ctx context.Context, operatorID, address string, only ...audit.Permission) (context.Context, error)

	// Earned keeps what a sign-in earned.
	Earned func(ctx context.Context, tx *sqldb.Tx, g Grant) error
	// SignedIn hears of a sign-in that ended, well or (err) not; username is who
	// signed in, as far as known. Nil: nobody has to.
	SignedIn func(ctx context.Context, tx *sqldb.Tx, connectionID, campaignID, username string, err error) error
	// NeedsConsent hears that consent is missing. Nil: nobody has to.
	NeedsConsent func(ctx context.Context, tx *sqldb.Tx, connectionID string, e *microsoft.Error) error
	// Forget forgets the sealed tokens of a connection, Revocable gives a token with
	// which the person's sign-ins can be revoked, or says why there is none.
	Forget    func(ctx context.Context, tx *sqldb.Tx, connectionID, why string) error
	Revocable func(ctx context.Context, connectionID string) (login.Token, error)

	Now    func() time.Time // time.Now if nil
	Random io.Reader        // crypto/rand's if nil
	// Transport replaces the cloud's own transport to the sign-in service, for tests
	// with another route to it.
	Transport http.RoundTripper
}

// Columns are the columns of this package that hold sealed secrets.
var Columns = []secrets.Column{{Table: "signin_attempts", Key: "id", Name: "secret"}}

// Service signs people in.
type Service struct {
	Config
	login *login.Client
	poll  *jobs.Kind[pollArgs]
}

// New makes the service and registers its jobs.
func New(c Config) *Service {
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Random == nil {
		c.Random = rand.Reader
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	c.PublicURL = strings.TrimSuffix(c.PublicURL, "/")
	s := &Service{Config: c, login: login.New(login.Config{Cloud: c.Cloud, Pace: c.Pace, Transport: c.Transport})}
	s.poll = jobs.Register(c.Jobs, jobs.Kind[pollArgs]{Name: "signin_device", Timeout: time.Minute, Attempts: 3, Unique: true, Work: s.pollJob})
	return s
}

// Repeat registers what is done every so often: it is called before the queue
// starts.
func (s *Service) Repeat() {
	jobs.Every(s.Jobs, time.Hour, jobs.Kind[jobs.Tick]{Name: "signin_sweep", Work: func(ctx context.Context, _ jobs.Tick) error {
		return s.Sweep(audit.AsSystem(ctx, "signin_sweep"))
	}})
}

// The errors that callers tell apart.
var (
	// ErrLink says that a link leads nowhere.
	ErrLink = errors.New("there is no such sign-in link")
	// ErrEnded says that a link opens nothing any more, or never did.
	ErrEnded = errors.New("the sign-in link is not open: it was used, withdrawn or has never been there")
	// ErrMissing says that there is no such sign-in.
	ErrMissing = errors.New("there is no such sign-in")
	// ErrKind says that nobody signs in for the connection.
	ErrKind = errors.New("nobody signs in for this connection: it is not of a person who signs in")
	// ErrRegistration says that people cannot sign in to anything here.
	ErrRegistration = errors.New("there is no app registration to sign in to: add one first")
)

// Options say how a sign-in is to go.
type Options struct {
	Resource   string        // service to sign in for first; "" for the connection's first
	Claims     string        // a claims challenge, as JSON, that the sign-in has to answer
	Prompt     string        // login or select_account; "" as Microsoft likes
	CampaignID string        // of the campaign that asked; ""
	Browser    secrets.Value // by which the browser is known already; empty if it is not
}

// Attempt is a sign-in that was begun.
type Attempt struct {
	ID     string
	URL    string        // Microsoft's, where the browser goes
	Cookie secrets.Value // by which the browser is known when it comes back
	Until  time.Time
}

// Done is how far a sign-in has come with an answer.
type Done struct {
	AttemptID    string
	ConnectionID string
	// Again is where the browser goes on to answer a challenge; "" if the sign-in has
	// ended well.
	Again string
	// Operator says that an operator began it, whose page is the connection's.
	Operator bool
}

func (s *Service) time() time.Time { return s.Now().UTC().Truncate(time.Microsecond) }

func newID() string { return uuid.Must(uuid.NewV7()).String() } // fails only if there is no randomness

// token makes a text that nobody guesses.
func (s *Service) token() secrets.Value {
	b := make([]byte, 32)
	_, _ = io.ReadFull(s.Random, b) // crypto/rand's never fails
	return secrets.New(base64.RawURLEncoding.EncodeToString(b))
}

// hash is what is stored of a token. It needs no salt: it cannot be guessed.
func hash(token secrets.Value) string {
	if token.Empty() {
		return ""
	}
	sum := sha256.Sum256([]byte(token.Reveal()))
	return hex.EncodeToString(sum[:])
}

// MicrosoftHost is the host of the pages that people are sent to.
func (s *Service) MicrosoftHost() string {
	_, host, _ := strings.Cut(s.Cloud.Login, "://")
	return host
}

// MicrosoftOrigin is the origin of those pages, for the policy of pages with a form
// that leads there.
func (s *Service) MicrosoftOrigin() string { return s.Cloud.Login }
