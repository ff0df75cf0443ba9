package operator

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"net/mail"
	"net/url"
	"strings"
	"time"

	"github.com/go-webauthn/webauthn/protocol"
	"github.com/go-webauthn/webauthn/webauthn"
	"github.com/google/uuid"
	"github.com/uptrace/bun"

	"gatehouse/internal/audit"
	"gatehouse/internal/fault"
	"gatehouse/internal/secrets"
	"gatehouse/internal/sqldb"
	"gatehouse/internal/sso"
)

// Columns are the columns of this package that hold sealed secrets, for the
// keyring.
var Columns = []secrets.Column{
	{Table: "operator_factors", Key: "id", Name: "credential"},
	{Table: "sessions", Key: "id", Name: "ceremony"},
	{Table: "sso_flows", Key: "id", Name: "flow"},
}

// Config is what the service needs.
type Config struct {
	DB      *sqldb.DB
	Keyring *secrets.Keyring // opened with [Columns]
	Audit   *audit.Log
	// Origin is where browsers find the console, for example
	// "https://gatehouse.contoso.example". Passkeys are bound to its host.
	Origin string
	// SSO lets operators sign in through a directory; nil if none is configured.
	SSO *sso.Provider
	// Mail sends somebody a set-up link, within the transaction that makes it;
	// [ErrNoMail] if no mail can be sent just now. If nil, or after ErrNoMail, the
	// link is shown to whoever invites.
	Mail func(ctx context.Context, tx *sqldb.Tx, to, name string, link secrets.Value, until time.Time) error
	Now  func() time.Time // time.Now if nil
}

// Service keeps the operators, lets them in and says what they may do.
type Service struct {
	db       *sqldb.DB
	keyring  *secrets.Keyring
	audit    *audit.Log
	now      func() time.Time
	hasher   *hasher
	keys     keyCache
	passkeys *webauthn.WebAuthn
	limiter  *Limiter
	erasers  []Eraser
	visits   *Limiter // of sign-ins through the directory: nothing can be guessed there
	sso      *sso.Provider
	mail     func(ctx context.Context, tx *sqldb.Tx, to, name string, link secrets.Value, until time.Time) error
	origin   string
	// answerTime is how long a sign-in that fails takes, whatever failed: what
	// is written for an account that exists would otherwise tell that it does.
	answerTime time.Duration
}

// New makes the service.
func New(c Config) (*Service, error) {
	if c.Now == nil {
		c.Now = time.Now
	}
	origin, err := url.Parse(c.Origin)
	if err != nil || origin.Hostname() == "" {
		return nil, fmt.Errorf("setting up sign-in: the origin %q is no address of a web page: give it as https://host", c.Origin)
	}
	passkeys, err := webauthn.New(&webauthn.Config{
		RPID: origin.Hostname(), RPDisplayName: "Gatehouse", RPOrigins: []string{c.Origin},
		AttestationPreference: protocol.PreferNoAttestation,
	})
	if err != nil {
		return nil, fmt.Errorf("setting up passkeys for %s: %w", c.Origin, err)
	}
	return &Service{
		db: c.DB, keyring: c.Keyring, audit: c.Audit, now: c.Now, hasher: newHasher(), passkeys: passkeys, answerTime: 300 * time.Millisecond,
		sso: c.SSO, mail: c.Mail, origin: strings.TrimSuffix(c.Origin, "/"),
		limiter: NewLimiter(LimiterConfig{Every: 3 * time.Second, Burst: 20, Now: c.Now}),
		visits:  NewLimiter(LimiterConfig{Every: time.Second, Burst: 60, Now: c.Now}),
	}, nil
}

func (s *Service) time() time.Time { return s.now().UTC().Truncate(time.Microsecond) }

// Operator is someone who signs in to Gatehouse.
type Operator struct {
	bun.BaseModel `bun:"table:operators,alias:o" json:"-"`

	ID           string     `bun:"id,pk" json:"id"`
	Email        string     `json:"email"` // lower case
	Name         string     `json:"name"`
	PasswordHash string     `json:"-"`
	CreatedAt    time.Time  `json:"created_at"`
	DisabledAt   *time.Time `json:"disabled_at,omitempty"`
	Failures     int        `json:"failures"` // wrong passwords or codes in a row
	LockedUntil  *time.Time `json:"locked_until,omitempty"`
	BreakGlass   bool       `json:"break_glass"` // may sign in locally where only some may

	Roles map[string]audit.Role `bun:"-" json:"roles"` // by tenant id; audit.AllTenants for all
	// Own are those of the roles that were given to the operator by name; others
	// come through a directory.
	Own     map[string]audit.Role `bun:"-" json:"-"`
	Through []Through             `bun:"-" json:"-"`
	// InvitedUntil is when the link of an invitation ends; nil if there is none.
	InvitedUntil *time.Time `bun:"-" json:"-"`
	Accounts     []Account  `bun:"-" json:"-"` // in directories
}

// Through is a role that an operator has through a directory.
type Through struct {
	TenantID string
	Role     audit.Role
	Kind     string // person, group
	Name     string
	Until    time.Time // when it ends without another sign-in
}

type roleRow struct {
	bun.BaseModel `bun:"table:operator_roles"`

	OperatorID string `bun:"operator_id,pk"`
	TenantID   string `bun:"tenant_id,pk"`
	Role       string
}

// Visit is where a request comes from.
type Visit struct{ Address, UserAgent string }

// The errors that callers tell apart.
var (
	// ErrSignIn is the one answer to a sign-in that fails, so that it tells
	// nobody who has an account, or whether it is locked.
	ErrSignIn = errors.New("signing in: the e-mail address or the password is wrong, or the account is locked for a while after too many tries")
	// ErrFactor is the answer to a wrong code or passkey.
	ErrFactor = errors.New("signing in: the code or passkey is wrong or was used already, or the account is locked for a while after too many tries")
	// ErrNoFactor says that the account has no second factor yet.
	ErrNoFactor = errors.New("signing in: the account has no passkey and no code generator yet: ask an administrator for a new link")
	// ErrSession says that nobody is signed in with this token, or not far enough.
	ErrSession = errors.New("the session has ended or does not allow this: sign in")
	// ErrStale says that the sign-in is too long ago for what is asked.
	ErrStale = errors.New("the sign-in is more than 15 minutes ago: sign in again to change how you sign in")
	// ErrLink says that a set-up link does not open anything.
	ErrLink = errors.New("the link is wrong, was used already or has expired: ask an administrator for a new one, or restart the server if there is none yet")
	// ErrLastAdministrator says that nobody would be left to administer.
	ErrLastAdministrator = errors.New("this is the last administrator of all tenants: make somebody else one first")
	// ErrOnlyFactor says that nothing would be left to sign in with.
	ErrOnlyFactor = errors.New("removing a second factor: it is the only one: enrol another first")
	// ErrManyFactors says that no further second factor may be enrolled.
	ErrManyFactors = errors.New("enrolling a second factor: there are ten already: remove one first")
	// ErrMissing says that there is no such operator, session or factor.
	ErrMissing = errors.New("there is no such operator, session or second factor")
	// ErrTaken says that the e-mail address belongs to another operator.
	ErrTaken = errors.New("another operator has this e-mail address")
	// ErrNotLocal says that a session was begun through the directory.
	ErrNotLocal = errors.New("this session was begun through the directory: password and second factors are for those who sign in here; sign in with your password to change them")
	// ErrNoMail says that a link cannot be mailed just now.
	ErrNoMail = errors.New("no mail can be sent: no mail server is configured")
)

// newToken makes a secret of 256 bits for a cookie or link.
func newToken() secrets.Value {
	b := make([]byte, 32)
	_, _ = rand.Read(b) // never fails
	return secrets.New(base64.RawURLEncoding.EncodeToString(b))
}

// hashToken is what is stored of a token. It needs no salt: it cannot be guessed.
func hashToken(token secrets.Value) string {
	sum := sha256.Sum256([]byte(token.Reveal()))
	return hex.EncodeToString(sum[:])
}

func newID() string { return uuid.Must(uuid.NewV7()).String() } // fails only if there is no randomness

func normalise(email string) string { return strings.ToLower(strings.TrimSpace(email)) }

// checkPerson gives a [fault.List] that names the fields as the API does.
func checkPerson(email, name string) error {
	var f fault.List
	address, err := mail.ParseAddress(email)
	if err != nil || address.Address != email || len(email) > 254 || strings.ContainsAny(email, "\x00 ") {
		f.Add("email", "is no e-mail address", "write it as name@domain")
	}
	if name = strings.TrimSpace(name); name == "" {
		f.Add("name", "is missing", "enter the name that others see")
	}
	f.Text("name", name, 200)
	if f.Err() != nil {
		return fmt.Errorf("naming an operator: %w", f)
	}
	return nil
}

// find reads one operator with roles.
func (s *Service) find(ctx context.Context, db bun.IDB, column, value string) (*Operator, error) {
	var o Operator
	err := db.NewSelect().Model(&o).Where("? = ?", bun.Ident(column), value).Scan(ctx)
	if sqldb.Missing(err) {
		return nil, ErrMissing
	}
	if err != nil {
		return nil, fmt.Errorf("reading an operator: %w", err)
	}
	all := []*Operator{&o}
	return &o, s.readRoles(ctx, db, all)
}

func (s *Service) readRoles(ctx context.Context, db bun.IDB, operators []*Operator) error {
	if len(operators) == 0 {
		return nil
	}
	byID := map[string]*Operator{}
	ids := make([]string, 0, len(operators))
	for _, o := range operators {
		o.Roles, o.Own, o.Through = map[string]audit.Role{}, map[string]audit.Role{}, nil
		byID[o.ID] = o
		ids = append(ids, o.ID)
	}
	var rows []roleRow
	if err := db.NewSelect().Model(&rows).Where("operator_id IN (?)", bun.List(ids)).Scan(ctx); err != nil {
		return fmt.Errorf("reading roles: %w", err)
	}
	for _, r := range rows {
		role, err := audit.ParseRole(r.Role)
		if err != nil {
			return err
		}
		o := byID[r.OperatorID]
		o.Roles[r.TenantID], o.Own[r.TenantID] = role, role
	}
	return s.readThrough(ctx, db, byID, ids)
}

// actor is the operator as the actor of what follows.
func (o *Operator) actor(address string) audit.Actor {
	return audit.Actor{Kind: audit.Operator, ID: o.ID, Name: o.Name, Address: address, Roles: o.Roles}
}

// self is the operator's own entry in the audit log.
func (o *Operator) self(action string, details map[string]any) audit.Entry {
	return audit.Entry{Permission: audit.Self, Action: action, ObjectKind: "operator", ObjectID: o.ID, ObjectName: o.Name, Details: details}
}

// note writes an entry that goes with no change, under the operator's name but
// without their roles: they have not signed in yet.
func (s *Service) note(ctx context.Context, a audit.Actor, e audit.Entry) error {
	a.Roles = nil
	ctx = audit.With(ctx, a)
	return s.alter(ctx, func(ctx context.Context, tx *sqldb.Tx) error { return s.audit.Act(ctx, tx, e) })
}
