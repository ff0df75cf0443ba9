package registration

import (
	"time"

	"github.com/uptrace/bun"
)

// CredentialKind is how a registration proves itself.
type CredentialKind string

// The kinds of credentials.
const (
	SecretCredential      CredentialKind = "secret"
	CertificateCredential CredentialKind = "certificate"
)

// Origins of credentials.
const (
	Pasted   = "pasted"
	Uploaded = "uploaded"
	MadeHere = "made"
)

// State is how far a credential is: see the package's documentation.
type State string

// The states.
const (
	Added   State = "new"
	Checked State = "checked"
	Active  State = "active"
	Retired State = "retired"
)

// The states of a check.
const (
	CheckRunning = "running"
	CheckPassed  = "passed"
	CheckFailed  = "failed"
)

// Check is the last check of a credential at the token endpoint.
type Check struct {
	State     string // running, passed, failed
	TenantID  string // in which it is, or was, tried
	Successes int    // in a row
	Need      int
	Reason    string // why it waits or failed
	BegunAt   time.Time
	At        *time.Time // the last try
	// Switch: it is put into use once it passed; Retire: and the one that was is
	// retired.
	Switch, Retire bool
}

// Credential is a secret or certificate of a registration.
type Credential struct {
	ID         string
	ClientID   string // that it belongs to
	Kind       CredentialKind
	Origin     string // pasted, uploaded, made
	Label      string
	State      State
	Thumbprint string // SHA-1, of a certificate
	KeyID      string // as Microsoft shows it, where somebody said; ""
	NotAfter   *time.Time
	UsedAt     *time.Time // when it was handed out last, to the minute
	ActiveAt   *time.Time
	ReplacedAt *time.Time // when another one was put in its place
	RetiredAt  *time.Time
	Check      *Check // nil: never
	AddedBy    string
	AddedAt    time.Time
}

// Ended reports whether a credential has ended at a moment, as far as is known.
func (c Credential) Ended(now time.Time) bool { return c.NotAfter != nil && !c.NotAfter.After(now) }

type credentialRow struct {
	bun.BaseModel `bun:"table:registration_credentials,alias:r"`

	ID             string `bun:"id,pk"`
	RegistrationID string
	Cloud          string
	ClientID       string
	Kind           CredentialKind
	Origin         string
	Label          string
	State          State
	Secret         []byte
	Certificate    string
	Thumbprint     string
	KeyID          string `bun:"key_id"`
	NotAfter       *time.Time
	UsedAt         *time.Time
	ActiveAt       *time.Time
	ReplacedAt     *time.Time
	RetiredAt      *time.Time
	CheckState     string
	CheckTenant    string
	CheckSuccesses int
	CheckNeed      int
	CheckReason    string
	CheckBegunAt   *time.Time
	CheckAt        *time.Time
	ThenSwitch     bool
	ThenRetire     bool
	AddedBy        string
	AddedAt        time.Time
	Version        int64
}

func (r credentialRow) credential() Credential {
	c := Credential{
		ID: r.ID, ClientID: r.ClientID, Kind: r.Kind, Origin: r.Origin, Label: r.Label, State: r.State, Thumbprint: r.Thumbprint, KeyID: r.KeyID, NotAfter: utc(r.NotAfter), UsedAt: utc(r.UsedAt),
		ActiveAt: utc(r.ActiveAt), ReplacedAt: utc(r.ReplacedAt), RetiredAt: utc(r.RetiredAt), AddedBy: r.AddedBy, AddedAt: r.AddedAt.UTC(),
	}
	if r.CheckState != "" && r.CheckBegunAt != nil {
		c.Check = &Check{State: r.CheckState, TenantID: r.CheckTenant, Successes: r.CheckSuccesses, Need: r.CheckNeed, Reason: r.CheckReason, BegunAt: r.CheckBegunAt.UTC(), At: utc(r.CheckAt), Switch: r.ThenSwitch, Retire: r.ThenRetire}
	}
	return c
}
