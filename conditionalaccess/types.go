package conditionalaccess

import "net/netip"

// State says whether a member of a sign-in is known.
type State uint8

// The states of a [Member].
const (
	Absent State = iota // not given: unknown
	Null                // given as null: there is none
	Given
)

// A Member is a member of a sign-in with its state. The zero value is absent.
type Member[T any] struct {
	State State
	Value T // meaningful if State is Given
}

// Is gives a member with a value.
func Is[T any](v T) Member[T] { return Member[T]{State: Given, Value: v} }

// None gives a member that is null.
func None[T any]() Member[T] { return Member[T]{State: Null} }

// given reports whether the member has a value.
func (m *Member[T]) given() bool { return m.State == Given }

// A SignIn is one request for a token, as far as it is known. Names and values
// are Graph's (conditional-access-evaluation §2, §3); ids are compared without
// regard to case.
//
// Null means "there is none" for Device (an unregistered device), Platform
// (not recognised), Country (the address maps to no country), the risks, the
// flows, GuestOrExternalUserType, ExternalTenantID, UserAction and
// AuthenticationContext. For the other members null is the same as absent.
type SignIn struct {
	ID string // the caller's own; not evaluated

	// PrincipalType is user or servicePrincipal; beyond these agentIdentity and
	// agentUser (beta) and managedIdentity, to which no policy applies. Absent,
	// it follows from ServicePrincipalID or UserID.
	PrincipalType Member[string]

	UserID   Member[string]
	UserType Member[string] // Member or Guest
	// GuestOrExternalUserType is one of Graph's six types.
	GuestOrExternalUserType Member[string]
	// ExternalTenantID is the home tenant of an external user. On a service
	// principal it marks a multi-tenant application.
	ExternalTenantID   Member[string]
	ServicePrincipalID Member[string]
	// Groups holds object ids, direct or transitive: nesting is resolved with
	// [Options.Directory] if that is given.
	Groups Member[[]string]
	// Roles holds template ids of built-in roles that are active tenant-wide.
	Roles Member[[]string]

	// Resource is the appId of what the token is for. Resource, UserAction and
	// AuthenticationContext are alternatives.
	Resource              Member[string]
	UserAction            Member[string] // urn:user:registersecurityinfo or urn:user:registerdevice
	AuthenticationContext Member[string] // c1 … c99
	// Scopes are the delegated permissions asked for.
	Scopes Member[[]string]
	// ResourceAttributes are the custom security attributes of the resource,
	// for a service principal PrincipalAttributes its own: name (with its set,
	// as in Set_Name) to values.
	ResourceAttributes  Member[map[string][]string]
	PrincipalAttributes Member[map[string][]string]

	ClientAppType Member[string] // browser, mobileAppsAndDesktopClients, exchangeActiveSync or other
	IPAddress     Member[netip.Addr]
	Country       Member[string] // two letters
	// CompliantNetwork says whether the sign-in came through Global Secure
	// Access of this tenant.
	CompliantNetwork Member[bool]
	Platform         Member[string]

	SignInRisk           Member[string]
	UserRisk             Member[string]
	InsiderRisk          Member[string]
	ServicePrincipalRisk Member[string]
	AgentRisk            Member[string]

	AuthenticationFlow     Member[string] // deviceCodeFlow or authenticationTransfer
	OriginalTransferMethod Member[string] // how the session began

	// Satisfied names what was done already: password, mfa, compliantDevice,
	// termsOfUse, an agreement's or a custom factor's id, … homeTenantMfa is MFA
	// done in an external user's own tenant; it counts with inbound trust.
	Satisfied Member[[]string]
	// AuthMethodCombination is the combination of methods used, as Graph joins
	// them: password,microsoftAuthenticatorPush.
	AuthMethodCombination Member[string]
	// MethodsRegistered are the user's authentication methods. An empty list
	// turns a demand for MFA into registration.
	MethodsRegistered Member[[]string]

	// Device is last, as it is the largest and the others are read together.
	Device Member[Device]
}

// DeviceAttribute is an attribute that a device filter can name.
type DeviceAttribute uint8

// The attributes of device filters (conditional-access-evaluation §2.6).
const (
	DeviceID DeviceAttribute = iota
	MDMAppID
	DeviceOwnership
	IsCompliant // "True" or "False"
	ProfileType
	TrustType
	PhysicalIDs
	SystemLabels
	DisplayName
	EnrollmentProfileName
	Manufacturer
	Model
	OperatingSystem
	OperatingSystemVersion
	ExtensionAttribute1  // the other fourteen follow
	ExtensionAttribute15 = ExtensionAttribute1 + 14

	deviceAttributes = int(ExtensionAttribute15) + 1
)

// A Device is a registered device. An attribute that was not set is unknown.
type Device struct {
	attributes [deviceAttributes]Member[string]
	lists      [2]Member[[]string] // PhysicalIDs, SystemLabels
	// IsManaged says whether Intune manages the device. It is not part of the
	// filter language but decides whether extension attributes are available.
	IsManaged Member[bool]
}

// Set gives an attribute a value: True or False for IsCompliant.
func (d *Device) Set(a DeviceAttribute, value string) { d.attributes[a] = Is(value) }

// SetList gives PhysicalIDs or SystemLabels their elements.
func (d *Device) SetList(a DeviceAttribute, elements []string) {
	d.lists[a-PhysicalIDs] = Is(elements)
	d.attributes[a] = Is("")
}

// SetNull says that the device has no such attribute.
func (d *Device) SetNull(a DeviceAttribute) { d.attributes[a] = None[string]() }

// A Verdict is the answer for a sign-in. The values are the words of the
// command line.
type Verdict uint8

// The verdicts, strongest demand first (conditional-access-evaluation §3).
const (
	Unknown Verdict = iota // depends on what is missing
	Blocked
	RegistrationRequired // MFA is demanded and no method is registered
	MFARequired          // MFA is demanded and was not done
	AuthStrengthRequired // MFA was done, in a combination that is not allowed
	DeviceRequired
	AppProtectionRequired
	PasswordChangeRequired
	TermsOfUseRequired
	CustomControlRequired
	Allowed
)

var verdictNames = [...]string{
	Unknown: "unknown", Blocked: "blocked", RegistrationRequired: "registration_required",
	MFARequired: "mfa_required", AuthStrengthRequired: "auth_strength_required",
	DeviceRequired: "device_required", AppProtectionRequired: "app_protection_required",
	PasswordChangeRequired: "password_change_required", TermsOfUseRequired: "terms_of_use_required",
	CustomControlRequired: "custom_control_required", Allowed: "allowed",
}

// String gives the verdict as the command line writes it: mfa_required.
func (v Verdict) String() string { return verdictNames[v] }

// A Result is the answer for one sign-in. The caller owns it and may use it
// again for the next one; its slices are then overwritten.
type Result struct {
	Verdict Verdict
	// ErrorCode is the AADSTS number that Entra would give, 0 if there is none.
	ErrorCode int
	// Outstanding names the unmet grant controls of all policies that apply, in
	// the order in which they are asked for, in Graph's names.
	Outstanding []string
	// Missing names the members of the sign-in, and what of the tenant, would
	// have to be known. It is empty unless Verdict is Unknown.
	Missing []string
	// Applied holds the positions of the enabled policies that apply, ReportOnly
	// those of the report-only ones that would, Undecided those of either kind
	// for which that is unknown. They ascend and index [Compiled.Policy].
	Applied, ReportOnly, Undecided []int

	scratch scratch
}

// Options say what is assumed besides the policies.
type Options struct {
	// ReportOnlyAsEnabled treats report-only policies as if they were enforced.
	ReportOnlyAsEnabled bool
	// MFATrustedIPs are the addresses of the per-user MFA service settings. Nil
	// means unknown where a policy names them by id, and none for AllTrusted.
	MFATrustedIPs []netip.Prefix
	// OldBaselineScopes keeps the behaviour before June 2026: a policy on all
	// resources with an exclusion is skipped for requests of directory scopes
	// only (conditional-access-evaluation §2.2).
	OldBaselineScopes bool
	// ServiceDependencies also applies policies of the services that the
	// resource binds early, and of those behind Microsoft Graph's scopes
	// (conditional-access-evaluation §1, §6). Microsoft's what-if tool does not.
	ServiceDependencies bool
	// RegistrationApart takes the registration of security information out of
	// "all resources". What-if counts it in; whether sign-ins do is not
	// documented.
	RegistrationApart bool
	// InboundTrust is what the tenant accepts from external users' tenants.
	InboundTrust InboundTrust
	// Country gives the country of an address for sign-ins that give none;
	// false means that the address maps to no country.
	Country func(netip.Addr) (string, bool)
	// Directory gives groups and roles of users for sign-ins that give none,
	// and the nesting of groups for all.
	Directory *Directory
}

// InboundTrust is the part of the cross-tenant access settings that accepts
// claims of external users' home tenants.
type InboundTrust struct {
	MFA, CompliantDevice, HybridJoinedDevice bool
}

// A Directory says who belongs where. Memberships may be nested and may go in
// circles.
type Directory struct {
	Users  []DirectoryUser
	Groups []DirectoryGroup
}

// A DirectoryUser is a user with direct memberships. The lists are complete
// together with those of [DirectoryGroup].
type DirectoryUser struct {
	ID     string
	Groups []string
	Roles  []string
}

// A DirectoryGroup is a group with its direct members: users and groups.
type DirectoryGroup struct {
	ID      string
	Members []string
}
