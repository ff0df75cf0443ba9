// Package validation answers whether one identity gets into a service without
// a person. A validation is a row of probes, cheapest first; it stops where
// going on is senseless, never guesses, and tries a password exactly once.
//
// The recipe for a service account is [run.user], for an app [run.app], for a
// person's sign-in [run.delegated]; they read top to bottom. What the probes found becomes a verdict in verdict.go,
// and which rule of the tenant said no is decided in rule.go.
package validation

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"

	"gatehouse/internal/diagnosis"
	"gatehouse/internal/microsoft"
	"gatehouse/internal/microsoft/graph"
	"gatehouse/internal/microsoft/login"
	"gatehouse/internal/microsoft/sharepoint"
	"gatehouse/internal/pace"
	"gatehouse/internal/posture"
	"gatehouse/internal/secrets"
)

// Verdict is the answer of a validation.
type Verdict string

// The verdicts (a contract).
const (
	Works             Verdict = "works"
	WorksWithWarnings Verdict = "works_with_warnings"
	Blocked           Verdict = "blocked" // a rule or decision of the tenant says no
	Failed            Verdict = "failed"  // credential, account or app is wrong
	Unknown           Verdict = "unknown"
)

// State is the outcome of one probe.
type State string

// The states of a probe (a contract).
const (
	Passed   State = "passed"
	Warning  State = "warning"
	Fail     State = "failed"
	Skipped  State = "skipped"
	NotKnown State = "unknown"
)

// Probe names, in the order in which they run.
const (
	ProbeConfiguration = "configuration"
	ProbeTenant        = "tenant"
	ProbeRealm         = "realm"
	ProbeToken         = "token"
	ProbeClaims        = "claims"
	ProbeAccount       = "account"
	ProbeRegistration  = "mfa_registration"
	ProbePosture       = "posture"
	ProbeService       = "service"
	ProbePermissions   = "permissions"
	ProbeSecondHop     = "second_hop" // only where there is something to say
)

// Probe is one thing that was looked at.
type Probe struct {
	Name      string               `json:"name"`
	State     State                `json:"state"`
	TookMS    float64              `json:"took_ms"`
	Evidence  map[string]any       `json:"evidence"`
	Diagnosis *diagnosis.Diagnosis `json:"diagnosis"`
	Reason    *string              `json:"reason"` // a sentence; null where the state says it all
}

// Result is the outcome of a validation. Its JSON form is a contract (check).
type Result struct {
	Verdict   Verdict              `json:"verdict"`
	Rule      *diagnosis.Rule      `json:"rule"`
	Diagnosis *diagnosis.Diagnosis `json:"diagnosis"`
	Probes    []Probe              `json:"probes"`
	// Outcome is what the tenant's rules mean for the sign-in; nil where they
	// are not known.
	Outcome *posture.Outcome `json:"-"`
	// Hosts are the tenant's SharePoint hosts as Graph named them; nil where it was
	// not asked, or did not tell.
	Hosts []sharepoint.Host `json:"-"`
}

// Credential is how an identity or a reader proves itself: exactly one of the
// fields that fit.
type Credential struct {
	Password    secrets.Value
	Secret      secrets.Value
	Certificate *login.Certificate
}

// Reader is the tenant's read-only app identity.
type Reader struct {
	ClientID   string
	Credential Credential
}

// Request is what to validate.
type Request struct {
	Cloud  microsoft.Cloud
	Tenant string // id or domain
	// TenantName and Name are the tenant's and the identity's for people, where
	// they are known; texts name these instead of ids.
	TenantName, Name string
	Username         string // service account; empty for an app
	ClientID         string // the app that signs in
	Credential
	Reader   *Reader           // nil: none
	Snapshot *posture.Snapshot // nil: none; used where there is no reader
	// WayToReader says how to get one where there is neither.
	WayToReader string
	// AllowFederation lists hosts that a federated password may be sent to.
	AllowFederation []string
	// AppPassword: the password is an app password, which is not sent: no modern
	// sign-in takes one.
	AppPassword bool
	// Federated: tokens of another issuer prove the app.
	Federated bool
	// Person is who signed in, for a delegated connection; nil for the other kinds.
	Person *Person
	// Elsewhere: the credential is not here but with the consumer alone, so that
	// no sign-in is tried.
	Elsewhere bool
	Place
	Watch Watch
	// Shared is what the validations of a tenant's identities in a row have in
	// common; nil for one by itself.
	Shared *Shared
}

// GraphCommandLineTools is the app that a password sign-in uses if none is
// named: Microsoft's own public client for Graph.
const GraphCommandLineTools = "14d82eec-204b-4c2f-b7e8-296a70dab67e"

// clientNames are Microsoft's own public clients.
var clientNames = map[string]string{
	GraphCommandLineTools:                  "Microsoft Graph Command Line Tools",
	"04b07795-8ddb-461a-bbee-02f9e1bf7b46": "Microsoft Azure CLI",
	"1950a258-227b-4e31-a9cf-717495945fc2": "Microsoft Azure PowerShell",
	"31359c7f-bd7e-475c-86db-fdb8c937548e": "CLI for Microsoft 365",
}

// Service validates identities. The zero value works.
type Service struct {
	// Now is the clock; nil means the system's.
	Now func() time.Time
	// Rules keeps the rules of tenants between validations; nil means that each
	// validation reads them anew.
	Rules *posture.Cache
	// Pace keeps to Microsoft's limits; nil lets every call pass.
	Pace *pace.Governor
	// Transport carries the calls of all validations; nil means one for each.
	Transport http.RoundTripper
	// Known keeps what the sign-in service says to everybody; nil keeps nothing.
	Known *login.Known
}

// Watch is told of a validation under way. Members may be nil.
type Watch struct {
	// Probe is called with each probe as it ends.
	Probe func(Probe)
	// Try is called before the password is sent; an error keeps it from being
	// sent.
	Try func(context.Context) error
	// Tried is called with the outcome, nil or why there is no token.
	Tried func(context.Context, error) error
}

// Run validates one identity. Every outcome, an unreachable cloud included, is
// a result.
func (s Service) Run(ctx context.Context, request Request) Result {
	if s.Now == nil {
		s.Now = time.Now
	}
	if s.Rules == nil {
		s.Rules = &posture.Cache{Now: s.Now}
	}
	r := &run{
		Request: request, now: s.Now, rules: s.Rules, pace: s.Pace, transport: s.Transport,
		login:  login.New(login.Config{Cloud: request.Cloud, AllowFederation: request.AllowFederation, Pace: s.Pace, Transport: s.Transport, Known: s.Known}),
		facts:  request.facts(),
		tokens: map[string]login.Token{}, refused: map[string]error{},
	}
	switch {
	case r.Person != nil:
		r.delegated(ctx)
	case r.facts.AppOnly:
		r.app(ctx)
	default:
		r.user(ctx)
	}
	return r.result()
}

// facts are what the texts of diagnoses are filled with, names before ids.
func (r Request) facts() diagnosis.Facts {
	f := diagnosis.Facts{
		Unattended: r.Person == nil, AppOnly: r.Username == "" && r.Person == nil, Account: r.Username, ClientName: clientNames[r.ClientID],
		Tenant: cmp.Or(r.TenantName, r.Initial, r.Tenant), TenantID: r.Tenant, Login: r.Cloud.Login,
	}
	if f.AppOnly {
		f.Account = cmp.Or(r.Name, r.ClientID)
	}
	return f
}

// run is one validation under way.
type run struct {
	Request
	now   func() time.Time
	rules *posture.Cache
	pace  *pace.Governor
	login *login.Client
	// transport may be nil.
	transport http.RoundTripper
	facts     diagnosis.Facts
	probes    []Probe

	tenant     login.Tenant
	token      login.Token
	tokenErr   error // why there is no token
	serviceErr error // why the first service that refused did
	tokens     map[string]login.Token
	refused    map[string]error  // by service
	snapshot   *posture.Snapshot // of reader or file; nil: neither
	readerErr  error             // why there is no snapshot; nil: no reader either
	reader     *graph.Client     // nil: none
	hosts      []sharepoint.Host // as Graph named them; nil: not asked
	rule       *diagnosis.Rule
	outcome    *posture.Outcome
}

// probe runs one probe and keeps it. The function fills in state and the rest.
func (r *run) probe(name string, look func(*Probe)) *Probe {
	start := time.Now()
	p := Probe{Name: name, Evidence: map[string]any{}}
	look(&p)
	p.TookMS = float64(time.Since(start).Microseconds()) / 1000
	r.probes = append(r.probes, p)
	if r.Watch.Probe != nil {
		r.Watch.Probe(p)
	}
	return &r.probes[len(r.probes)-1]
}

func (r *run) skip(reason string, names ...string) {
	for _, name := range names {
		r.probe(name, func(p *Probe) { p.set(Skipped, "%s", reason) })
	}
}

func (p *Probe) set(state State, format string, args ...any) {
	p.State = state
	if format != "" {
		reason := fmt.Sprintf(format, args...)
		p.Reason = &reason
	}
}

// fail takes an error as the outcome: its diagnosis, and as evidence all that
// finds the refusal again at Microsoft.
func (p *Probe) fail(err error, facts diagnosis.Facts) {
	d := diagnosis.Of(err, facts)
	p.State, p.Diagnosis = Fail, &d
	if d.Undecided() {
		p.State = NotKnown
	}
	p.refusal(err)
}

// refusal adds what the service said to the evidence.
func (p *Probe) refusal(err error) {
	reason := err.Error()
	p.Reason = &reason
	var e *microsoft.Error
	if !errors.As(err, &e) {
		return
	}
	for key, value := range map[string]string{
		"code": e.Code, "error": e.OAuth, "suberror": e.Suberror, "correlation_id": e.CorrelationID, "request_id": e.RequestID, "time": e.Timestamp, "claims": e.Claims,
	} {
		if value != "" {
			p.Evidence[key] = value
		}
	}
	if e.Status != 0 {
		p.Evidence["status"] = e.Status
	}
	if e.RetryAfter > 0 {
		p.Evidence["retry_after_seconds"] = e.RetryAfter.Seconds()
	}
}

// user is the recipe for a service account.
func (r *run) user(ctx context.Context) {
	after := []string{ProbeRealm, ProbeToken, ProbeClaims, ProbeAccount, ProbeRegistration, ProbePosture, ProbeService, ProbePermissions}
	r.configuration()
	if !r.findTenant(ctx) {
		r.skip("the tenant was not found", after...)
		return
	}
	r.look(ctx)
	if r.findRealm(ctx) {
		r.signIn(ctx)
	}
	r.readClaims()
	r.account(ctx)
	r.registration()
	r.posture(ctx)
	if r.tokenErr != nil {
		r.skip("there is no token", ProbeService, ProbePermissions)
		return
	}
	r.service(ctx)
	r.permissions(ctx)
}

// app is the recipe for an app-only identity.
func (r *run) app(ctx context.Context) {
	after := []string{ProbeToken, ProbeClaims, ProbeAccount, ProbePosture, ProbeService, ProbePermissions}
	r.configuration()
	if !r.findTenant(ctx) {
		r.skip("the tenant was not found", after...)
		return
	}
	r.look(ctx)
	r.signIn(ctx)
	r.readClaims()
	r.principal(ctx)
	r.workloadPosture(ctx)
	if r.tokenErr != nil {
		r.skip("there is no token", ProbeService, ProbePermissions)
		return
	}
	r.service(ctx)
	r.permissions(ctx)
}

var appPasswordShape = regexp.MustCompile(`^[a-z]{16}$`)

// configuration looks at what was given, without asking anybody.
func (r *run) configuration() {
	r.probe(ProbeConfiguration, func(p *Probe) {
		p.set(Passed, "")
		p.Evidence["cloud"], p.Evidence["tenant"] = r.Cloud.Name, r.Tenant
		p.Evidence["client_id"] = r.ClientID
		if name := clientNames[r.ClientID]; name != "" {
			p.Evidence["client_name"] = name
		}
		switch {
		case r.Person != nil:
			p.Evidence["username"], p.Evidence["object_id"] = r.Username, r.Person.ObjectID
		case r.Username != "":
			p.Evidence["username"] = r.Username
			password := r.Password.Reveal()
			switch {
			case strings.TrimSpace(password) != password:
				p.set(Warning, "the password begins or ends with a blank: the password sign-in cannot carry that, although the browser can")
			case r.AppPassword, appPasswordShape.MatchString(password):
				p.set(Warning, "%s", r.appPasswordWarning())
			}
		case r.Certificate != nil:
			leaf := r.Certificate.Leaf
			p.Evidence["certificate_subject"], p.Evidence["certificate_expires"] = leaf.Subject.String(), leaf.NotAfter.UTC().Format(time.RFC3339)
			switch left := leaf.NotAfter.Sub(r.now()); {
			case left <= 0:
				p.set(Warning, "the certificate expired on %s", leaf.NotAfter.UTC().Format(time.DateOnly))
			case left <= soon:
				p.set(Warning, "the certificate expires on %s", leaf.NotAfter.UTC().Format(time.DateOnly))
			}
		}
	})
}

func (r *run) appPasswordWarning() string {
	if r.AppPassword {
		return "the profile holds an app password: it no longer opens SharePoint, and no modern sign-in"
	}
	return "the password has the shape of an app password (sixteen lower-case letters): app passwords do not open modern sign-ins"
}

// soon is how long before its end a credential is worth a warning.
const soon = 30 * 24 * time.Hour

// maxSkew is how far a clock may be off before certificate sign-ins fail.
const maxSkew = 5 * time.Minute

func (r *run) findTenant(ctx context.Context) bool {
	p := r.probe(ProbeTenant, func(p *Probe) {
		var err error
		if r.tenant, err = r.Shared.tenant(ctx, r.login, r.Tenant); err != nil {
			r.tokenErr = err
			p.fail(err, r.facts)
			return
		}
		p.set(Passed, "")
		p.Evidence["tenant_id"] = r.tenant.ID
		if !r.tenant.ServerTime.IsZero() {
			skew := r.tenant.Received.Sub(r.tenant.ServerTime).Round(time.Second)
			if skew.Abs() > maxSkew {
				p.Evidence["clock_off_seconds"] = skew.Seconds()
				p.set(Warning, "this machine's clock is about %s %s Microsoft's: certificate sign-ins fail until it is right", skew.Abs().Round(time.Minute), map[bool]string{true: "ahead of", false: "behind"}[skew > 0])
			}
		}
	})
	return p.State != Fail && p.State != NotKnown
}

func (r *run) findRealm(ctx context.Context) bool {
	p := r.probe(ProbeRealm, func(p *Probe) {
		realm, err := r.login.Realm(ctx, r.Username)
		if err != nil {
			r.tokenErr = err
			p.fail(err, r.facts)
			return
		}
		p.Evidence["account_type"], p.Evidence["domain"] = realm.Type, realm.Domain
		switch {
		case realm.Federated():
			p.Evidence["federation_protocol"], p.Evidence["federation_metadata_url"] = realm.Protocol, realm.MetadataURL
			p.set(Warning, "another service than Microsoft's checks this domain's passwords")
		case strings.EqualFold(realm.Type, "Managed"):
			p.set(Passed, "")
		default:
			p.set(Warning, "no tenant of this cloud has the domain of the user name")
		}
	})
	if r.tokenErr != nil {
		r.skip("the realm is not known", ProbeToken)
	}
	return p.State != Fail && p.State != NotKnown
}

// graphScope asks for everything that was granted on Graph.
func (r *run) graphScope() []string { return []string{r.Cloud.GraphResource + "/.default"} }

func (r *run) signIn(ctx context.Context) {
	r.probe(ProbeToken, func(p *Probe) {
		r.token, r.tokenErr = r.try(ctx)
		p.Evidence["client_id"] = r.ClientID
		if r.facts.ClientName != "" {
			p.Evidence["client_name"] = r.facts.ClientName
		}
		var held *withheld
		if errors.As(r.tokenErr, &held) {
			p.set(Skipped, "%v", r.tokenErr)
			return
		}
		if r.tokenErr != nil {
			r.rule = ruleOfRefusal(r.tokenErr, r.facts.ClientName)
			p.fail(r.tokenErr, r.withRule())
			return
		}
		p.set(Passed, "")
		p.Evidence["correlation_id"], p.Evidence["expires"] = r.token.CorrelationID, r.token.Expires.UTC().Format(time.RFC3339)
	})
}

// withheld says that no sign-in was tried, and why.
type withheld struct{ error }

func (w *withheld) Unwrap() error { return w.error }

var errElsewhere = errors.New("the credential is with the consumer alone, so no sign-in was tried: what is known comes from the tenant's rules")

// try signs the identity in. A password is sent only with leave.
func (r *run) try(ctx context.Context) (login.Token, error) {
	if r.AppPassword {
		return login.Token{}, &microsoft.Error{Service: microsoft.ServiceLogin, Op: "signing in with an app password", Code: "app_password_retired",
			Message: "no modern sign-in takes an app password, and it would count as a wrong one, so it was not sent"}
	}
	if r.Elsewhere {
		return login.Token{}, &withheld{errElsewhere}
	}
	if r.Username != "" && r.Watch.Try != nil {
		if err := r.Watch.Try(ctx); err != nil {
			return login.Token{}, &withheld{err}
		}
	}
	token, err := r.authenticate(ctx, r.ClientID, r.Username, r.Credential, r.scope(r.primary()))
	if r.Username != "" && r.Watch.Tried != nil {
		// The answer is in hand: that it is noted must not depend on who waits.
		if noted := r.Watch.Tried(context.WithoutCancel(ctx), err); noted != nil && err == nil {
			return login.Token{}, &withheld{noted}
		}
	}
	return token, err
}

func (r *run) withRule() diagnosis.Facts {
	facts := r.facts
	facts.Rule = r.rule
	return facts
}

func (r *run) authenticate(ctx context.Context, clientID, username string, c Credential, scope []string) (login.Token, error) {
	switch {
	case username != "":
		return r.login.Password(ctx, r.Tenant, clientID, username, c.Password, scope, "")
	case c.Certificate != nil:
		return r.login.Certificate(ctx, r.Tenant, clientID, *c.Certificate, scope)
	}
	return r.login.Secret(ctx, r.Tenant, clientID, c.Secret, scope)
}

func (r *run) readClaims() {
	if r.tokenErr != nil {
		r.skip("there is no token", ProbeClaims)
		return
	}
	r.probe(ProbeClaims, func(p *Probe) {
		c := r.token.Claims
		if !c.Readable() {
			p.set(NotKnown, "the access token cannot be read; that is Microsoft's right and no fault")
			return
		}
		if c.AppName != "" && r.facts.ClientName == "" {
			r.facts.ClientName = c.AppName
		}
		for key, value := range map[string]string{"app_name": c.AppName, "audience": c.Audience, "scopes": c.Scopes, "app_authentication": map[string]string{"0": "none", "1": "secret", "2": "certificate"}[c.AppACR]} {
			if value != "" {
				p.Evidence[key] = value
			}
		}
		if c.Roles != nil {
			p.Evidence["roles"] = c.Roles
		}
		switch {
		case !strings.EqualFold(c.TenantID, r.tenant.ID):
			p.set(Warning, "the token is for tenant %s, not for %s", c.TenantID, r.tenant.ID)
		case r.facts.AppOnly && len(c.Roles) == 0 && !slices.Contains(r.services(), r.primary()):
			p.set(Passed, "the token is for Microsoft Graph, where the app needs nothing: tokens for what it is for cannot be asked for here")
		case r.facts.AppOnly && len(c.Roles) == 0:
			r.rule = &diagnosis.Rule{Kind: diagnosis.Consent, Name: text(r.facts.ClientName)}
			p.fail(&microsoft.Error{Service: microsoft.ServiceLogin, Op: "reading the token", Code: "no_app_roles", Message: "the token carries no application permission: none was granted to the app"}, r.withRule())
		default:
			p.set(Passed, "")
		}
	})
}

func text(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}
