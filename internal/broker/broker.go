package broker

import (
	"context"
	"crypto/rand"
	"log/slog"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"gatehouse/internal/audit"
	"gatehouse/internal/connection"
	"gatehouse/internal/diagnosis"
	"gatehouse/internal/live"
	"gatehouse/internal/microsoft"
	"gatehouse/internal/microsoft/login"
	"gatehouse/internal/pace"
	"gatehouse/internal/secrets"
	"gatehouse/internal/sqldb"
	"gatehouse/internal/tenant"
)

// The states of a connection as a source of tokens.
const (
	Ready        = "ready"         // tokens can be had
	NeedsSignIn  = "needs_sign_in" // the person has to sign in
	NeedsMFA     = "needs_mfa"     // the person has to show a second factor
	NeedsConsent = "needs_consent" // the app lacks consent in the tenant
	Parked       = "parked"        // an operator or administrator has to act first
)

// What is written down about refreshes, beside the sums of uses.
const (
	ActionRefreshed = "token.refreshed"
	ActionRefused   = "token.refused"   // with the state that the connection came to
	ActionRecovered = "token.recovered" // the first refresh after such a refusal
)

// Grant is what a person's sign-in earned for a delegated connection.
type Grant struct {
	ConnectionID   string
	TenantID       string // ours
	RegistrationID string
	ClientID       string // that they signed in to
	Cloud          string
	DirectoryID    string // of the tenant at Microsoft
	ObjectID       string // of the person there
	Username       string
	Refresh        secrets.Value
	Access         login.Token
	Resource       string    // that Access is for: its URI
	AuthTime       time.Time // when the person proved who they are
	AMR            []string  // how, as the token says: pwd, mfa …
	Flow           string    // code or device
	By             string    // who had them sign in
}

// State is how a connection stands as a source of tokens.
type State struct {
	State      string
	Since      time.Time
	Reason     string               // in a sentence; "" while it is ready
	Diagnosis  *diagnosis.Diagnosis // nil while nothing stands in the way
	RetryAfter time.Duration        // until the service is asked again by itself; 0 for at once
	Person     string               // who signed in; "" for other kinds
	ClientID   string               // that they signed in to
	SignedInAt *time.Time
	// MFA reports whether they showed a second factor then; nil where the token
	// did not tell.
	MFA         *bool
	RefreshedAt *time.Time // when the service last gave a token
	Callers     []Caller   // of the last seven days, who took most first
	Ends        *Forecast  // the next end that can be foreseen
	Forecasts   []Forecast // all of them, the nearest first; without a time last
	Link        string     // path of the console page where it can be mended
}

// Caller is who was given tokens.
type Caller struct {
	ID   string // of the operator whose key it was
	Name string // "" for one that there is no more
	Uses int64
	Last time.Time // to the minute
}

// Forecast is an end of a person's sign-in that can be foreseen.
type Forecast struct {
	At         *time.Time // nil where it cannot be told
	Rule       string     // sign_in_frequency, remembered_mfa, idle
	Confidence diagnosis.Confidence
	Text       string // why, and what helps
}

// Refused says that there is no token, and why.
type Refused struct {
	State        string
	Err          *microsoft.Error // what the service said; nil where it was not asked
	Reason       string
	Diagnosis    *diagnosis.Diagnosis
	RetryAfter   time.Duration
	Link         string // path of the console page
	ConnectionID string
	// Claims is the challenge that a new sign-in has to answer, as JSON; "".
	Claims string
}

// Error says it, with the way out.
func (r *Refused) Error() string {
	text := r.Reason
	if text == "" {
		text = "there is no token"
	}
	if words := inWords[r.State]; r.State != Ready && words != "" {
		text += " (" + words + ")"
	}
	return "giving a token: " + text
}

// Unwrap is what the service said.
func (r *Refused) Unwrap() error {
	if r.Err == nil {
		return nil
	}
	return r.Err
}

// Given is a token that was given out.
type Given struct {
	login.Token
	Resource string // the URI of its audience, as tokens are asked for
	State    string // of the connection: others than [Ready] say that this is one of the last tokens
}

// News is what [Config.Tell] is told: a connection needs somebody, works again, or
// will need somebody soon.
type News struct {
	ConnectionID, TenantID, Name string
	State                        string
	What                         string // stopped, works, ends
	Title, Text                  string
	Path                         string // of its page in the console
	At                           time.Time
}

// Config is what the service needs. App, Host, Tell, Transport, Log and Now may be
// left out.
type Config struct {
	DB          *sqldb.DB
	Audit       *audit.Log
	Keys        *secrets.Keyring // opened with [Columns]
	Live        *live.Hub
	Pace        *pace.Governor
	Cloud       microsoft.Cloud
	Tenants     *tenant.Service
	Connections *connection.Service
	// App gives an app registration with its active credential. Nil: there are no
	// delegated connections.
	App func(ctx context.Context, registrationID string) (login.App, error)
	// Former gives it as it was under an earlier client id, for people who signed in
	// to that one; an app without client id where there is none any more. Nil: they
	// have to sign in anew.
	Former func(ctx context.Context, registrationID, clientID string) (login.App, error)
	// Host gives the name of a tenant's SharePoint host, "" where it is not known.
	Host func(ctx context.Context, tenantID string) (string, error)
	// Tell is called, in the transaction, when a connection needs somebody, works
	// again or will end soon.
	Tell func(ctx context.Context, tx *sqldb.Tx, n News) error
	// AllowFederation lists hosts that federated passwords may be sent to.
	AllowFederation []string
	// KeepAlive is after how long without a refresh an idle sign-in is refreshed so
	// that it does not end (90 days without use): 0 for 30 days, negative for never.
	KeepAlive time.Duration
	// Claim is how long a process that asks the sign-in service keeps others from
	// asking, unless it says that it still does: [DefaultClaim] if 0. All replicas need
	// the same.
	Claim time.Duration
	// Transport replaces the cloud's own transport, for tests with another route
	// to it.
	Transport http.RoundTripper
	Log       *slog.Logger
	Now       func() time.Time // time.Now if nil
}

// Columns are the columns of this package that hold sealed secrets.
var Columns = []secrets.Column{{Table: "grants", Key: "connection_id", Name: "refresh"}, {Table: "access_tokens", Key: "id", Name: "token"}}

// Service gives tokens out.
type Service struct {
	Config
	login  *login.Client
	memory *memory
	locks  locks
	// me names this process in claims.
	me         string
	challenges challenges

	running    atomic.Int64 // refreshes that nobody waits for
	background sync.WaitGroup
	ending     context.Context // of refreshes that nobody waits for
	end        context.CancelFunc
}

// New makes the service.
func New(c Config) *Service {
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Claim == 0 {
		c.Claim = DefaultClaim
	}
	if c.KeepAlive == 0 {
		c.KeepAlive = DefaultKeepAlive
	}
	s := &Service{Config: c, memory: newMemory(), me: rand.Text(), login: login.New(login.Config{
		Cloud: c.Cloud, Pace: c.Pace, AllowFederation: c.AllowFederation, Transport: c.Transport, Known: &login.Known{}, Now: c.Now,
	})}
	s.ending, s.end = context.WithCancel(context.Background())
	return s
}

func (s *Service) time() time.Time { return s.Now().UTC().Truncate(time.Microsecond) }

// Topic is that of the live events of a connection's state, with its id behind it.
const Topic = "token/"

// path is the console page where a connection can be mended.
func path(connectionID string) string { return "/connections/" + connectionID }
