package directory

import "time"

// AppliedPolicy is what a sign-in made of one Conditional Access policy
// (graph-mfa-posture §11, appliedConditionalAccessPolicy).
type AppliedPolicy struct {
	ID, Name string
	// Result is success, failure, notApplied, notEnabled, unknown,
	// reportOnlySuccess, reportOnlyFailure, reportOnlyNotApplied or
	// reportOnlyInterrupted.
	Result string
	// Grant and Session are the controls that were enforced, as the log spells
	// them: "Mfa", "Block", "SignInFrequency".
	Grant, Session []string
	// Satisfied and NotSatisfied name conditions (beta): "application", "users".
	Satisfied, NotSatisfied []string
	Strength                string // id of the authentication strength, "" if none
}

// Risk is what Identity Protection thinks of a user; the zero value is no risk.
type Risk struct {
	Level   string // low, medium, high, none; "" means none
	State   string // none, atRisk, confirmedCompromised, dismissed, remediated …; "" means none
	Detail  string // riskDetail; "" means none
	Updated time.Time
	History []RiskEvent // oldest first
}

// RiskEvent is a change of a user's risk.
type RiskEvent struct {
	ID, Level, State, Detail string
	Time                     time.Time
	By                       string // object id of who changed it, "" for the service itself
}

// MaxRiskEvents is how many changes of a user's risk are kept.
const MaxRiskEvents = 100

// SetRisk changes a user's risk and notes the change.
func (u *User) SetRisk(level, state, detail, by string, now time.Time) {
	history := append(append([]RiskEvent(nil), u.Risk.History...), RiskEvent{RandomID(), level, state, detail, now, by})
	if len(history) > MaxRiskEvents {
		history = history[len(history)-MaxRiskEvents:]
	}
	u.Risk = Risk{level, state, detail, now, history}
}

// FederatedCredential lets tokens of another issuer stand for an app's
// credential (resource type federatedIdentityCredential).
type FederatedCredential struct {
	ID, Name, Issuer, Subject, Description string
	Audiences                              []string
	// Usable is when the token endpoint knows the credential; zero: at once.
	Usable time.Time
}

// Eligibility lets a principal activate a directory role (Privileged Identity
// Management).
type Eligibility struct {
	ID, Principal, Role string // Role: template id
	Created, Start, End time.Time
	// Justification and By say why and who; By is an object id.
	Justification, By string
}

// ApprovalRequest is a person's request that an administrator approve an app.
type ApprovalRequest struct {
	ID, User, ClientID, Reason string              // User: object id
	Scopes                     map[string][]string // by resource client id
	Requested                  time.Time
	Status                     string // InProgress, Completed or Expired
	Reviewer, Result           string // who decided, and Approve, Deny or Block
	Decided                    time.Time
}

// MaxApprovalRequests is how many requests for approval a tenant keeps.
const MaxApprovalRequests = 1_000

// RequestApproval adds a request and drops the oldest ones.
func (t *Tenant) RequestApproval(a *ApprovalRequest) {
	list := append(append([]*ApprovalRequest(nil), t.ApprovalRequests...), a)
	if len(list) > MaxApprovalRequests {
		list = list[len(list)-MaxApprovalRequests:]
	}
	t.ApprovalRequests = list
}

// Method types that Graph can add and tenants files do not name.
const (
	PlatformCredential = "platform_credential"
	HardwareOATH       = "hardware_oath"
	External           = "external"
	QRCodePIN          = "qr_code_pin"
)
