package consent

import (
	"context"
	"errors"
	"net/url"
	"strings"
	"time"

	"gatehouse/internal/audit"
	"gatehouse/internal/batch"
	"gatehouse/internal/jobs"
	"gatehouse/internal/live"
	"gatehouse/internal/microsoft"
	"gatehouse/internal/microsoft/login"
	"gatehouse/internal/pace"
	"gatehouse/internal/secrets"
	"gatehouse/internal/sqldb"
	"gatehouse/internal/tenant"
)

// Registration is an app registration as consent needs it.
type Registration struct {
	ID        string
	Name      string
	ClientID  string // in this process's cloud
	Publisher string // as it was noted; "" if nobody did
	// Verified says whether Microsoft has verified the publisher, as it was noted;
	// nil: nobody did.
	Verified *bool
}

// The kinds of permissions.
const (
	Delegated   = "delegated"
	Application = "application"
)

// Permission is one permission of a manifest.
type Permission struct {
	Resource     string `json:"resource"` // app id of the API
	ResourceName string `json:"resource_name"`
	Name         string `json:"name"` // as Microsoft names it: "User.Read"
	Kind         string `json:"kind"` // delegated or application
	Why          string `json:"why"`  // what the software needs it for
}

// same reports whether two are the same permission, whatever is said about them.
func (p Permission) same(o Permission) bool {
	return strings.EqualFold(p.Resource, o.Resource) && p.Kind == o.Kind && strings.EqualFold(p.Name, o.Name)
}

// Manifest is what a registration needs.
type Manifest struct {
	Version     int
	Permissions []Permission
}

// State is how far a consent has come.
type State string

// The states.
const (
	Unknown         State = "unknown" // the reason says why
	Missing         State = "missing" // nothing of it is granted
	Partly          State = "partly"
	Granted         State = "granted"
	ApprovedNotRead State = "approved_not_read" // somebody approved; it could not be read back
)

// States are all states, the worst first.
var States = []State{Missing, Partly, Unknown, ApprovedNotRead, Granted}

// Where a state was read.
const (
	FromDirectory = "directory"
	FromToken     = "token"
	FromBoth      = "directory and token"
)

// Status is how the consent of a tenant to a registration stands.
type Status struct {
	TenantID, TenantName string
	RegistrationID, Name string // the registration's
	ClientID             string
	State                State
	Reason               string
	ReadFrom             string // "" while it was not read
	Held                 []Permission
	Missing              []Permission
	Problems             []Problem
	Policy               *UserPolicy // nil: not read
	Version              int         // of the manifest that it was read against
	At                   time.Time   // of the reading; zero: never
	ApprovedAt           *time.Time
	GrantedAt            *time.Time
	Changes              []Change // what came or went by itself, last
	ChangedAt            *time.Time
	Following            bool // it is looked at again every so often
}

// Problem is something in the tenant that stands in the way.
type Problem struct {
	Kind  string   `json:"kind"` // service_missing, licence_missing, app_disabled, assignment_required, app_missing, unread
	Text  string   `json:"text"` // what it is
	Steps []string `json:"steps"`
	Actor string   `json:"actor"` // who acts
}

// Change is a permission that came or went.
type Change struct {
	Permission
	Change string `json:"change"` // added, removed
}

// News is what [Config.Tell] is told: permissions came or went by themselves.
type News struct {
	Status
	Before State
	Gone   []Permission
	Came   []Permission
	Path   string // of the page here
	At     time.Time
}

// The errors that callers tell apart.
var (
	// ErrMissing says that there is no such consent, page or registration.
	ErrMissing = errors.New("there is no such consent")
	// ErrLink says that an address opens nothing: it was withdrawn, has expired or
	// never was; nobody is told which.
	ErrLink = errors.New("this link opens nothing (any more): it has expired or was withdrawn; ask for a new one")
	// ErrNoManifest says that nothing is asked.
	ErrNoManifest = errors.New("the registration's manifest asks for no permission: add one first")
	// ErrNoPartner says that no partner connection can be used here.
	ErrNoPartner = errors.New("this cloud has no Partner Center that is known, or no connection of a partner can be used for it")
)

// CallbackPath is where Microsoft sends the administrator's browser back to: a
// redirect address of each registration.
const CallbackPath = "/consent/callback"

// Config is what the service needs; what may be nil says so.
type Config struct {
	DB        *sqldb.DB
	Audit     *audit.Log
	Jobs      *jobs.Queue // not yet started
	Live      *live.Hub
	Pace      *pace.Governor
	Cloud     microsoft.Cloud
	Tenants   *tenant.Service
	Batches   *batch.Service
	PublicURL string

	// Registration gives a registration; an error that is [ErrMissing] if there is
	// none. Registrations gives all by name. Manifest gives the newest manifest.
	Registration  func(ctx context.Context, id string) (Registration, error)
	Registrations func(ctx context.Context) ([]Registration, error)
	Manifest      func(ctx context.Context, id string) (Manifest, error)
	// FreshToken gives a token of a resource, by its app id, that was issued right
	// now; nil, or [ErrNoToken], if there is nothing to ask with.
	FreshToken func(ctx context.Context, tenantID, registrationID, resource string) (login.Token, error)
	// Granted is called in the transaction in which a consent became granted, or
	// approved without being read back; nil: nobody hears.
	Granted func(ctx context.Context, tx *sqldb.Tx, tenantID, registrationID string) error
	// Tell is told once of what came or went by itself; nil: nobody is.
	Tell func(ctx context.Context, tx *sqldb.Tx, n News) error
	// PartnerToken gives a token for Partner Center of a connection whose person is
	// an admin agent of the partner; nil: there is no onboarding in bulk.
	PartnerToken func(ctx context.Context, connectionID string) (login.Token, error)
	Now          func() time.Time // time.Now if nil
}

// ErrNoToken says that there is nothing to ask a token with.
var ErrNoToken = errors.New("nobody has signed in through this registration yet, and it has no application permissions")

// AskOptions are particulars of a request for consent.
type AskOptions struct {
	Why   string        // for the administrator: which software, what for
	Until time.Duration // how long the page opens; 30 days if zero, 90 at most
	// Endpoint is "v2", or "v1" for a registration that Microsoft's newer page does
	// not take; "v2" if empty.
	Endpoint string
}

// Request is a page for an administrator.
type Request struct {
	ID             string
	TenantID       string
	RegistrationID string
	URL            secrets.Value // only in the answer of [Service.Ask]: it is not kept
	Until          time.Time
	Why            string
	Endpoint       string
	CreatedBy      string
	CreatedAt      time.Time
	WithdrawnAt    *time.Time
	OpenedAt       *time.Time
	Opened         int
	AnsweredAt     *time.Time
	Answer         string // "approved", a [Kind], or "" while nobody came back
}

// Live reports whether the page opens at a moment.
func (r Request) Live(now time.Time) bool { return r.WithdrawnAt == nil && now.Before(r.Until) }

// Service knows the consents.
type Service struct {
	Config
	follow *jobs.Kind[followArgs]
	read   *jobs.Kind[readArgs]
}

// New makes the service and registers its jobs.
func New(c Config) *Service {
	if c.Now == nil {
		c.Now = time.Now
	}
	c.PublicURL = strings.TrimSuffix(c.PublicURL, "/")
	s := &Service{Config: c}
	s.follow = jobs.Register(c.Jobs, jobs.Kind[followArgs]{Name: "consent_follow", Work: s.followUp, Timeout: 2 * time.Minute, Attempts: 3, Unique: true})
	// Not unique: whoever asks for a reading has changed something that one that is
	// planned for later, or at work already, would not show.
	s.read = jobs.Register(c.Jobs, jobs.Kind[readArgs]{Name: "consent_read", Work: s.reread, Timeout: 2 * time.Minute, Attempts: 3, Lane: jobs.Long})
	s.registerBulk()
	return s
}

func (s *Service) time() time.Time { return s.Now().UTC().Truncate(time.Microsecond) }

// redirect is the address that Microsoft sends browsers back to.
func (s *Service) redirect() string { return s.PublicURL + CallbackPath }

// Topic of a tenant's live events about consent.
func Topic(tenantID string) string { return "consent/" + tenantID }

// path of the page about a consent.
func path(tenantID, registrationID string) string {
	return "/tenants/" + url.PathEscape(tenantID) + "/consents/" + url.PathEscape(registrationID)
}
