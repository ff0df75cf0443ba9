package diagnosis

// Actor is who must act first.
type Actor string

// The actors, as labels and contracts spell them.
const (
	EndUser     Actor = "end_user"
	TenantAdmin Actor = "tenant_admin"
	AppOwner    Actor = "app_owner"
	Operator    Actor = "operator"
	Microsoft   Actor = "microsoft"
	NobodyRetry Actor = "nobody_retry"
)

// Words says it to the operator who reads it.
func (a Actor) Words() string {
	switch a {
	case EndUser:
		return "the user"
	case TenantAdmin:
		return "the tenant's administrator"
	case AppOwner:
		return "the app's owner"
	case Operator:
		return "you"
	case Microsoft:
		return "Microsoft"
	case NobodyRetry:
		return "nobody: wait, then try again"
	default:
		return string(a)
	}
}

// Confidence says how far the evidence carries.
type Confidence string

// The degrees of confidence.
const (
	High   Confidence = "high"
	Medium Confidence = "medium"
	Low    Confidence = "low"
)

// Diagnosis is the answer to "why, who acts, what helps". Its JSON form is a
// contract (explain, and the diagnosis member of check): members without value
// are null, remedies are never empty.
type Diagnosis struct {
	ID           *string       `json:"id"` // the input line's id, null outside explain --jsonl
	Category     string        `json:"category"`
	Detail       *string       `json:"detail"` // only with category "other"
	Code         *string       `json:"code"`   // "AADSTS50076", "Authorization_RequestDenied" …
	Actor        Actor         `json:"actor"`
	Title        string        `json:"title"`
	Cause        string        `json:"cause"`
	Confidence   Confidence    `json:"confidence"`
	Remedies     []Remedy      `json:"remedies"`
	Alternatives []Alternative `json:"alternatives"`

	// For our own faces; not part of the contract.
	Entry string `json:"-"` // id of the cause in the knowledge base
	Sure  string `json:"-"` // what would make sure, empty if nothing is left to find out
}

// Undecided reports whether the question stays open: the service was in trouble, or
// never reached, so that nothing is known of account, app or rule.
func (d Diagnosis) Undecided() bool {
	return d.Category == "throttled" || d.Category == "service_transient" || d.Category == "other" && (d.Detail == nil || *d.Detail == "client_environment")
}

// Remedy is one way out. Remedies come safest first.
type Remedy struct {
	ID               string   `json:"id"`
	Title            string   `json:"title"`
	Actor            Actor    `json:"actor"`
	Steps            []string `json:"steps"`
	Automatic        bool     `json:"automatic"`         // Gatehouse can do it
	LowersProtection bool     `json:"lowers_protection"` // the tenant is less protected afterwards
	Reference        *string  `json:"reference"`         // public page that documents it
}

// Alternative is another cause that the evidence does not exclude.
type Alternative struct {
	Category   string     `json:"category"`
	Actor      Actor      `json:"actor"`
	Cause      string     `json:"cause"`
	Confidence Confidence `json:"confidence"`
}

// Rule is the tenant's rule behind a refusal, as far as it is proved.
type Rule struct {
	Kind RuleKind `json:"kind"`
	ID   *string  `json:"id"`   // policy id, null where the rule has none
	Name *string  `json:"name"` // the rule's name as administrators see it
}

// RuleKind is the kind of a [Rule].
type RuleKind string

// The kinds of rules that can stop a sign-in.
const (
	SecurityDefaults  RuleKind = "security_defaults"
	PerUserMFA        RuleKind = "per_user_mfa"
	MandatoryMFA      RuleKind = "mandatory_mfa"
	ConditionalAccess RuleKind = "conditional_access"
	ExternalMFA       RuleKind = "external_mfa"
	SignInFrequency   RuleKind = "sign_in_frequency"
	Consent           RuleKind = "consent"
	UserAssignment    RuleKind = "user_assignment"
	Federation        RuleKind = "federation"
	LegacyAuth        RuleKind = "legacy_auth"
)

// Facts is what a caller knows beyond the error itself. The zero value means
// that nothing is known.
type Facts struct {
	Unattended bool  // software signs in with a stored password; nobody can answer a prompt
	AppOnly    bool  // the identity is an app, not a person's or service account
	Rule       *Rule // the rule known from sign-in log, claims or posture
	// Confidence is how sure the rule is; "" means high.
	Confidence Confidence
	// Because says what makes a Conditional Access policy stop the sign-in, most
	// telling first: workload, legacy, flow, risk, device, app, location, block.
	Because []string
	// Why is the sentence that says why the rule applies, for the texts.
	Why        string
	Registered *bool  // the account has a second factor registered
	ClientName string // display name of the app that signs in, if known
	// Account is the user principal name or, of an app, the name or client id,
	// for the texts. An app's ClientName comes before it.
	Account string
	Tenant  string // the tenant's name, else domain or id, for the texts
	// TenantID is what stands for the tenant in addresses; "" where not known.
	TenantID string
	// Login is the root of the cloud's sign-in service, for links; "" for the
	// public cloud's.
	Login string
}
