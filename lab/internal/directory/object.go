package directory

import "time"

// Object is a thing that Graph keeps as it was given: a Conditional Access
// policy, a named location and the like. Members is Graph's JSON without id and
// times; it is replaced, never changed in place, so that a reader may keep it.
type Object struct {
	ID                string
	Members           map[string]any
	Created, Modified time.Time
	Deleted           time.Time // zero: not deleted
}

// Classification says how much a delegated permission of a resource matters.
type Classification struct {
	ID, Principal      string // Principal: object id of the resource's service principal
	PermissionID, Name string
	Class              string // low, medium or high
}

// Built-in authentication strengths (graph-mfa-posture §4).
const (
	StrengthMFA               = "00000000-0000-0000-0000-000000000002"
	StrengthPasswordless      = "00000000-0000-0000-0000-000000000003"
	StrengthPhishingResistant = "00000000-0000-0000-0000-000000000004"
)

// Audit is an entry of the audit log.
type Audit struct {
	ID, CorrelationID string
	Time              time.Time
	Activity          string // "Update user"
	Category          string // "UserManagement"
	Operation         string // Add, Update, Delete or Assign
	Service           string // "Core Directory"
	// Who: a user, or an app alone.
	UserID, UPN, UserName        string
	ClientID, ClientName, Client string // Client: object id of the service principal
	IPAddress, UserAgent         string
	Targets                      []AuditTarget
}

// AuditTarget is an object that a change concerns.
type AuditTarget struct {
	ID, Type, Name, UPN string
	Modified            []AuditChange
}

// AuditChange is a member with its values before and after, as JSON; "" for
// none.
type AuditChange struct{ Name, Old, New string }

// MaxAudits is how many entries of the audit log a tenant keeps at least.
const MaxAudits = 5_000

// Audit appends to the audit log and drops the oldest entries.
func (t *Tenant) Audit(e *Audit) {
	if len(t.Audits) >= 2*MaxAudits {
		t.Audits = append([]*Audit(nil), t.Audits[MaxAudits:]...)
	}
	t.Audits = append(t.Audits, e)
}
