package incident

import (
	"context"
	"errors"
	"time"

	"gatehouse/internal/audit"
	"gatehouse/internal/connection"
	"gatehouse/internal/diagnosis"
	"gatehouse/internal/live"
	"gatehouse/internal/microsoft"
	"gatehouse/internal/microsoft/login"
	"gatehouse/internal/pace"
	"gatehouse/internal/sqldb"
	"gatehouse/internal/tenant"
	"gatehouse/internal/validation"
)

// State is how far an incident is.
type State string

// The states. Nobody sees one that is forming.
const (
	Forming      State = "forming"
	Open         State = "open"
	Acknowledged State = "acknowledged"
	Ended        State = "ended"
)

// Incident is what one operator may see of failures with one cause.
type Incident struct {
	ID             string
	Kind           Kind
	State          State
	Subject        string // the policy, app, account or service; "" if the title says it
	Title          string // what stops one of the connections
	Actor          diagnosis.Actor
	Help           string // what helps first, as far as is known
	Code           string // Microsoft's
	Rule           *diagnosis.Rule
	Since          time.Time
	EndedAt        *time.Time
	AcknowledgedBy string
	AcknowledgedAt *time.Time

	// Reach is what it affects; of one that has ended, what it affected.
	Connections, Tenants int
	// First is one of these, by name.
	First Member
}

// Member is a connection that an incident affects, or did.
type Member struct {
	ConnectionID string
	Name         string
	TenantID     string
	TenantName   string
	Since        time.Time
	Until        *time.Time // nil while it is affected
	Ending       string     // why it is not any more; "" while it is
	Title        string
	Rule         *diagnosis.Rule
	Gone         bool // the connection was removed
	Proof        *Proof
}

// Why a connection is not affected any more.
const (
	Works   = "works"
	Removed = "removed"
	Paused  = "paused"  // with its tenant
	Another = "another" // something else stops it by now
	Unsure  = "unsure"  // whether it works is not known
)

// Comment is what somebody wrote about an incident.
type Comment struct {
	ID     string
	At     time.Time
	Author string
	Text   string
}

// News is what there is to tell about an incident, without secrets.
type News struct {
	ID string
	// What happened: [Open], [Ended].
	What State
	// TenantID is the tenant that it concerns, "" if there are several.
	TenantID             string
	Tenants              []string // all that it concerns, or did
	Connections          int      // that it affects, or did
	Title, Text          string
	Path                 string // of its page in the console
	Subject, Kind, Actor string
	At                   time.Time
}

// The errors that callers tell apart.
var (
	// ErrMissing says that there is no such incident.
	ErrMissing = errors.New("there is no such incident")
	// ErrEnded says that there is nothing left to do about an incident.
	ErrEnded = errors.New("the incident has ended")
)

// Config is what the service needs. Tell, Spread, Calm and Now may be left out.
type Config struct {
	DB          *sqldb.DB
	Audit       *audit.Log
	Tenants     *tenant.Service
	Connections *connection.Service
	Runs        *validation.Runs
	Live        *live.Hub
	Pace        *pace.Governor
	Cloud       microsoft.Cloud
	// Tell is called, in the transaction, once when an incident opens and once
	// when it has ended for good.
	Tell func(ctx context.Context, tx *sqldb.Tx, n News) error
	// Spread is called, in the transaction, when an incident reaches a further
	// tenant, with that tenant as the News' own.
	Spread func(ctx context.Context, tx *sqldb.Tx, n News) error
	// Calm is how long an incident has to be over before its end is told; until
	// then the same failure opens it again. 15 minutes if 0.
	Calm time.Duration
	Now  func() time.Time // time.Now if nil
}

// Service keeps the incidents.
type Service struct {
	Config
	login *login.Client
}

// New makes the service and lets it watch the connections. Somebody has to call
// [Service.CatchUp], [Service.TellEnds] and [Service.Prove] every minute.
func New(c Config) *Service {
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Calm == 0 {
		c.Calm = 15 * time.Minute
	}
	s := &Service{Config: c, login: login.New(login.Config{Cloud: c.Cloud, Pace: c.Pace})}
	c.Connections.Observe(connection.Watch{Changed: s.changed, Left: s.left})
	return s
}

func (s *Service) time() time.Time { return s.Now().UTC().Truncate(time.Microsecond) }

// Topic of an incident's live events.
func Topic(id string) string { return "incident/" + id }

// path is the page of an incident in the console.
func path(id string) string { return "/incidents/" + id }
