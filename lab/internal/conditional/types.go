package conditional

import (
	"encoding/json"
	"net/netip"

	"gatehouse/lab/internal/directory"
)

// Opt is a fact that may not be known. A known fact may be none: null in JSON,
// the zero value here.
type Opt[T any] struct {
	Known bool
	Value T
}

// Of is a known fact.
func Of[T any](v T) Opt[T] { return Opt[T]{true, v} }

// UnmarshalJSON makes the fact known; a member that is absent stays unknown, and
// so does a list or a yes or no that is null: none is [] or false there.
func (o *Opt[T]) UnmarshalJSON(data []byte) error {
	switch any(o.Value).(type) {
	case []string, bool:
		if string(data) == "null" {
			return nil
		}
	}
	o.Known = true
	return json.Unmarshal(data, &o.Value)
}

// Device is what is known of a device: attributes as the filter rules name
// them, less "device.". An attribute that is absent is unknown, one that is nil
// has no value.
type Device map[string]any

// SignIn is a sign-in, or the redemption of a refresh token, after the first
// factor was accepted. Members that are not known make a policy that asks for
// them unknown; those of plain type have a value in every sign-in.
type SignIn struct {
	ID string `json:"id"`
	// PrincipalType is "user" or "servicePrincipal"; if it is "", a known
	// ServicePrincipalID makes it a service principal.
	PrincipalType string `json:"principalType"`

	UserID   Opt[string] `json:"userId"`
	UserType Opt[string] `json:"userType"` // Member or Guest
	// GuestOrExternalUserType is one of Graph's conditionalAccessGuestOrExternalUserTypes;
	// "" and "none": a member of this tenant.
	GuestOrExternalUserType Opt[string] `json:"guestOrExternalUserType"`
	// ExternalTenantID is the home tenant of an external user. A service
	// principal that has one is of a multi-tenant app.
	ExternalTenantID   Opt[string] `json:"externalTenantId"`
	ServicePrincipalID Opt[string] `json:"servicePrincipalId"`
	// Groups are ids of the groups that the user is in; [World.Parents] adds
	// the groups around them.
	Groups Opt[[]string] `json:"groups"`
	// Roles are template ids of the roles that are active for the whole tenant.
	// Eligible and scoped assignments do not count.
	Roles Opt[[]string] `json:"roles"`

	// What is asked for: the app id of a resource, a user action as policies
	// spell it, an authentication context. A resource together with a context
	// is a token for the resource in that context.
	Resource              Opt[string]   `json:"resource"`
	Scopes                Opt[[]string] `json:"scopes"`
	UserAction            Opt[string]   `json:"userAction"`
	AuthenticationContext Opt[string]   `json:"authenticationContext"`

	ClientAppType Opt[string] `json:"clientAppType"` // browser, mobileAppsAndDesktopClients, exchangeActiveSync, other
	IPAddress     Opt[string] `json:"ipAddress"`
	Country       Opt[string] `json:"country"`  // two letters; "": maps to none
	Platform      Opt[string] `json:"platform"` // "": not recognised
	// CompliantNetwork: the request came through Global Secure Access.
	CompliantNetwork Opt[bool]   `json:"compliantNetwork"`
	Device           Opt[Device] `json:"device"` // nil: not registered

	// Risk levels; "" and "none" mean none.
	SignInRisk           Opt[string] `json:"signInRisk"`
	UserRisk             Opt[string] `json:"userRisk"`
	InsiderRisk          Opt[string] `json:"insiderRisk"`
	ServicePrincipalRisk Opt[string] `json:"servicePrincipalRisk"`

	// AuthenticationFlow is deviceCodeFlow, authenticationTransfer or none;
	// OriginalTransferMethod the same of the sign-in that the session began
	// with. The latter may be unknown where the former is known: none then.
	AuthenticationFlow     Opt[string] `json:"authenticationFlow"`
	OriginalTransferMethod Opt[string] `json:"originalTransferMethod"`

	// Satisfied names what has been shown: password, mfa, termsOfUse or the id
	// of an agreement, approvedApplication, compliantApplication,
	// passwordChange, riskRemediation, the id of a custom factor. For a guest
	// mfa stands here if it was done in this tenant, or at home and inbound
	// trust accepts it.
	Satisfied Opt[[]string] `json:"satisfied"`
	// AuthMethodCombination is what the user signed in with, as Graph's
	// authenticationMethodModes joined by commas.
	AuthMethodCombination Opt[string] `json:"authMethodCombination"`
	// MethodsRegistered are the user's methods, as userRegistrationDetails
	// names them.
	MethodsRegistered Opt[[]string] `json:"methodsRegistered"`
}

// Trust is what inbound cross-tenant access settings accept from a guest's home
// tenant.
type Trust struct{ MFA, CompliantDevice, HybridJoined bool }

// World is what policies refer to, and how the documents' open questions are
// decided. The zero World knows nothing and decides as Microsoft does today.
type World struct {
	// Locations are the named locations and Strengths the authentication
	// strengths of the tenant, in Graph's JSON. The built-in strengths are
	// always known.
	Locations, Strengths []*directory.Object
	// TrustedIPs are the trusted addresses of the older MFA settings.
	TrustedIPs Opt[[]netip.Prefix]
	// Suites says which groups of apps an app is in, joined by commas, or
	// "unknown"; an app that is missing is in none. See [Suites].
	Suites map[string]string
	// Parents maps the id of a group to the groups that it is a member of.
	Parents map[string][]string
	// CustomRoles are role ids that policies do not honour.
	CustomRoles map[string]bool
	// Trust is the inbound trust by home tenant; "" stands for all others.
	Trust map[string]Trust
	// Dependencies maps an app to those whose policies must be met before it
	// gets a token (early-bound). See [EarlyBound].
	Dependencies map[string][]string
	// Behind maps the beginning of a Microsoft Graph scope to the app whose
	// data it opens. See [BehindScopes].
	Behind map[string]string

	// OldBaselineScopes: a policy for all resources with exclusions spares
	// requests for baseline scopes only, as before June 2026.
	OldBaselineScopes bool
	// AllSparesRegistration: policies for all resources do not cover the
	// registration of security information.
	AllSparesRegistration bool
	// ReportOnlyAsEnabled: report-only policies are enforced.
	ReportOnlyAsEnabled bool
}

// Verdict is what becomes of the sign-in.
type Verdict string

// The verdicts.
const (
	Allowed                Verdict = "allowed"
	Blocked                Verdict = "blocked"
	MFARequired            Verdict = "mfa_required"
	StrengthRequired       Verdict = "auth_strength_required" // MFA was done, with the wrong methods
	DeviceRequired         Verdict = "device_required"
	AppProtectionRequired  Verdict = "app_protection_required"
	PasswordChangeRequired Verdict = "password_change_required"
	TermsRequired          Verdict = "terms_of_use_required"
	CustomRequired         Verdict = "custom_control_required"
	RegistrationRequired   Verdict = "registration_required"
	Unknown                Verdict = "unknown"
)

// Whether a policy applies.
const (
	Applies      = "applies"
	DoesNotApply = "does_not_apply"
	NotKnown     = "unknown"
)

// PolicyResult is what one policy makes of a sign-in.
type PolicyResult struct {
	ID, Name string
	State    string // as the policy has it
	Applies  string // Applies, DoesNotApply or NotKnown, whatever the state
	// Reason is one of Graph's whatIfAnalysisReasons: the first condition that
	// is not met, notEnoughInformation, or notSet if the policy applies.
	Reason  string
	Missing []string // what would have to be known
	// Outstanding are the controls that are known to be unmet, in Graph's
	// names and the documented order.
	Outstanding []string
	// Log is the result in the sign-in log: success, failure, notApplied,
	// notEnabled, reportOnlySuccess … or unknown.
	Log string
	// GrantControls and SessionControls are those of the policy as the sign-in
	// log spells them.
	GrantControls, SessionControls []string

	enforced bool
	doubtful bool // whether it is enforced is not known
	tracked  bool // it applies by the way the session began, not by this request
	controls []control
	demands  demands
}

// Decision is what all policies together make of a sign-in.
type Decision struct {
	Verdict Verdict
	// Policies has an entry for each policy, in order.
	Policies []PolicyResult
	// Outstanding are the unmet controls of the enforced policies that apply,
	// in Graph's names and the documented order.
	Outstanding []string
	// Missing is what would have to be known, if Verdict is Unknown: members of
	// the sign-in, "namedLocation ID" and the like.
	Missing   []string
	ErrorCode int // AADSTS number, 0: none

	// Session is what the session controls of the enforced policies that apply
	// come to.
	Session Session

	demand demand
}
