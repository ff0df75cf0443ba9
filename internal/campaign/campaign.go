package campaign

import (
	"context"
	"errors"
	"time"

	"github.com/google/uuid"

	"gatehouse/internal/audit"
	"gatehouse/internal/jobs"
	"gatehouse/internal/live"
	"gatehouse/internal/secrets"
	"gatehouse/internal/sqldb"
	"gatehouse/internal/tenant"
)

// Reason is why everybody has to sign in again.
type Reason string

// The reasons.
const (
	NewClientID   Reason = "client_id"  // the registration has another client id
	NewManifest   Reason = "manifest"   // it asks for other permissions
	NewCredential Reason = "credential" // its credential was replaced
	Revocation    Reason = "revocation" // sign-ins or consent were revoked
	ByHand        Reason = "by_hand"
)

// Reasons are all reasons, in the order in which they are offered.
var Reasons = []Reason{NewClientID, NewManifest, NewCredential, Revocation, ByHand}

// Consents reports whether a campaign needs the tenants' consent: a new credential of
// the same app does not, and that of an app which is not registered here is not known.
func (c Campaign) Consents() bool { return c.Reason != NewCredential && c.RegistrationID != "" }

// State is how far a campaign is.
type State string

// The states.
const (
	Draft   State = "draft"   // nobody is asked for anything yet
	Running State = "running" // people are asked and reminded
	Paused  State = "paused"  // sign-ins count, nobody is reminded
	Done    State = "done"    // everybody signed in
	Ended   State = "ended"   // somebody ended it early
)

// open reports whether sign-ins still count.
func (s State) open() bool { return s == Draft || s == Running || s == Paused }

// PersonState is how far one sign-in is.
type PersonState string

// The states of people.
const (
	Pending  PersonState = "pending"
	Reminded PersonState = "reminded" // asked at least once
	SignedIn PersonState = "done"
	Failed   PersonState = "failed" // tried in vain: the reason says why
)

// ConsentState is how far a tenant's consent is.
type ConsentState string

// The states of consent.
const (
	ConsentUnknown   ConsentState = "unknown" // the reason says why
	ConsentMissing   ConsentState = "missing"
	ConsentAsked     ConsentState = "asked" // a link was made for the tenant's administrator
	ConsentGranted   ConsentState = "granted"
	ConsentNotRead   ConsentState = "granted_not_read" // approved, and not read back
	ConsentNotNeeded ConsentState = "not_needed"
)

// Progress counts people. Done is among People, as are the others.
type Progress struct {
	People, Pending, Reminded, Done, Failed int
	// OnOld are those who were seen on the old app last; the apps of the rest who
	// are not done are unknown.
	OnOld int
}

// Percent is the share of those who are done, rounded down: 100 only if all are.
func (p Progress) Percent() int {
	if p.People == 0 {
		return 0
	}
	return p.Done * 100 / p.People
}

// Campaign is a re-authentication campaign. Its counts are of the tenants that the
// actor may see.
type Campaign struct {
	ID               string
	Name             string
	Reason           Reason
	RegistrationID   string // "" for an app that is not registered here
	RegistrationName string // or the name of that app
	Old, New         string // client id, version or thumbprint before and after; "" if unknown
	ClientID         string // of the app that everybody is to sign in to; "" if unknown
	State            State
	StartedBy        string
	Settings
	CreatedAt time.Time
	StartedAt *time.Time
	EndedAt   *time.Time
	Version   int64

	Progress
	Tenants     int // of which
	TenantsDone int // everybody signed in
	NoConsent   int // consent is missing, or asked for
}

// Settings are what an operator chooses, and may change while it runs.
type Settings struct {
	Note          string     // a sentence of one's own in the mails
	SignInURL     string     // where people of apps that keep their own tokens sign in
	Deadline      *time.Time // nil for none
	Remind        bool       // reminders go out by themselves
	MailUsernames bool       // user names serve as addresses where none is known
	Days          []int      // after the start on which people are reminded who have not signed in
	Before        []int      // days before the deadline on which they are, too
	Zone          string     // IANA name
}

// OldGone reports whether nobody needs the old app any more: everybody has been
// seen on the new one.
func (c Campaign) OldGone() bool {
	return c.Reason == NewClientID && c.People > 0 && c.Done == c.People
}

// Tenant is a tenant of a campaign.
type Tenant struct {
	ID, Name      string
	Consent       ConsentState
	ConsentReason string
	ConsentAt     *time.Time // when it was last looked for
	AskedAt       *time.Time // when a link was made for the administrator
	Progress
}

// Person is somebody who is to sign in: for a connection, or in an app that keeps its
// own tokens. Who has two connections is there twice.
type Person struct {
	ID           string
	TenantID     string
	TenantName   string
	ConnectionID string // "": the app keeps its own tokens
	Username     string // "" until known
	ObjectID     string
	Name         string
	Email        string
	ClientID     string // of the app that they are signed in to, as last seen; "" if unknown
	State        PersonState
	Reason       string // of what failed
	ChangedAt    time.Time
	RemindedAt   *time.Time
	Reminders    int
	RemindAt     *time.Time // when the next one is due; nil for none
	MailReason   string     // why the last reminder was not sent
}

// Registration is an app registration as far as a campaign needs it.
type Registration struct{ ID, Name, ClientID string }

// Change is a change of an app registration.
type Change struct {
	RegistrationID string
	What           string // client_id, manifest or credential
	Old, New       string
}

// News is what [Config.Tell] is told.
type News struct {
	Campaign Campaign
	// What happened: [Proposed], [Half], [Most] or [Complete].
	What string
	At   time.Time
}

// What is told of a campaign.
const (
	Proposed = "proposed" // a registration changed: a draft waits for an operator
	Half     = "half"
	Most     = "ninety" // per cent
	Complete = "done"
)

// The errors that callers tell apart.
var (
	// ErrMissing says that there is no such campaign, tenant or person in it.
	ErrMissing = errors.New("there is no such campaign, or no such person or tenant in it")
	// ErrState says that a campaign is too far, or not far enough.
	ErrState = errors.New("the campaign is in another state by now: load it again")
	// ErrConflict says that somebody else changed it meanwhile.
	ErrConflict = errors.New("the campaign was changed meanwhile: load it again")
	// ErrNoMail says that no mail can be sent.
	ErrNoMail = errors.New("no mail server is configured: set mail.server and mail.from, or hand out the links of a tenant")
	// ErrOwnTokens says that somebody signs in elsewhere.
	ErrOwnTokens = errors.New("the person's app keeps its own tokens: they sign in there")
)

// Config is what the service needs; all but Registrations, Mail, Tell and Now must be
// given.
type Config struct {
	DB    *sqldb.DB
	Audit *audit.Log
	Jobs  *jobs.Queue // not yet started
	Live  *live.Hub
	// Registrations gives all app registrations, with the client id in this
	// process's cloud; it asks for no permission. Nil: there are none.
	Registrations func(ctx context.Context) ([]Registration, error)
	// Link makes a single-use link for the sign-in of a connection's person.
	Link func(ctx context.Context, connectionID, campaignID, person, why string) (url secrets.Value, until time.Time, err error)
	// Consent makes a link for the administrator of a tenant.
	Consent func(ctx context.Context, tenantID, registrationID, why string) (url secrets.Value, until time.Time, err error)
	// ConsentState is what is known of a tenant's consent: unknown, missing, partly,
	// granted or approved_not_read.
	ConsentState func(ctx context.Context, tenantID, registrationID string) (string, error)
	// Mail queues a letter with a link, which is empty for none; nil: there is no
	// mail server.
	Mail func(ctx context.Context, tx *sqldb.Tx, to, name, subject, text string, link secrets.Value, until time.Time) error
	// Tell is told of proposals and of how far a campaign is, once each, in the
	// transaction that notes it; nil: nobody is.
	Tell func(ctx context.Context, tx *sqldb.Tx, n News) error
	Now  func() time.Time // time.Now if nil
}

// Service runs campaigns.
type Service struct {
	Config
	reach *jobs.Kind[reachArgs]
}

// reachArgs name a campaign whose reach is to be computed.
type reachArgs struct {
	Campaign string `json:"campaign"`
}

// New makes the service and registers its job.
func New(c Config) *Service {
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Registrations == nil {
		c.Registrations = func(context.Context) ([]Registration, error) { return nil, nil }
	}
	s := &Service{Config: c}
	s.reach = jobs.Register(c.Jobs, jobs.Kind[reachArgs]{Name: "campaign_reach", Timeout: 5 * time.Minute, Attempts: 5, Lane: jobs.Long, Unique: true, Work: func(ctx context.Context, a reachArgs) error {
		return s.follow(audit.AsSystem(ctx, "campaign_reach"), a.Campaign)
	}})
	return s
}

// Repeat has the queue follow every open campaign.
func (s *Service) Repeat() {
	jobs.Every(s.Jobs, time.Minute, jobs.Kind[jobs.Tick]{Name: "campaign_watch", Timeout: 10 * time.Minute, Attempts: 1, Lane: jobs.Long, Work: func(ctx context.Context, _ jobs.Tick) error {
		return s.Watch(audit.AsSystem(ctx, "campaign_watch"))
	}})
}

func (s *Service) time() time.Time { return s.Now().UTC().Truncate(time.Microsecond) }

func newID() string { return uuid.Must(uuid.NewV7()).String() } // fails only if there is no randomness

// Page asks for a part of a list.
type Page = tenant.Page

// Topic of a campaign's live events.
func Topic(id string) string { return "campaign/" + id }

// HasMail reports whether reminders can be sent.
func (s *Service) HasMail() bool { return s.Mail != nil }
