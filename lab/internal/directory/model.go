package directory

import (
	"crypto/x509"
	"time"
)

// Tenant is one simulated tenant at run time. All fields are guarded by the
// [Store] that holds it.
type Tenant struct {
	ID       string // GUID, lower case
	Name     string // display name
	Story    string // what the tenant is there to show
	Created  time.Time
	Domains  []Domain // the initial onmicrosoft.com domain first
	Licences []SKU

	SecurityDefaults bool
	// MandatoryMFA is Microsoft's own demand for the Azure and admin-portal
	// apps ([MandatoryMFAApps]); tenants cannot switch it off, the lab can, to
	// show the world before it.
	MandatoryMFA bool
	AppPasswords bool // people may create app passwords
	// RememberDays is for how many days MFA is remembered on trusted devices, and
	// refresh tokens count as signed in with it; 0: not at all.
	RememberDays int `json:",omitempty"`
	Lockout      Lockout
	Consent      ConsentSettings

	Users      []*User
	Groups     []*Group
	Apps       []*App       // registrations owned by this tenant
	Principals []*Principal // service principals: apps as they exist here
	Grants     []*Grant
	AppRoles   []*AppRoleAssignment
	Partners   []Partnership // partners that administer this tenant (GDAP)
	// SignIns is the log, oldest first; at least the newest [MaxSignIns] are kept.
	SignIns []*SignIn

	// What Graph keeps as it was given: see [Object].
	ConditionalAccess, NamedLocations               []*Object
	DeletedConditionalAccess, DeletedNamedLocations []*Object // deleted softly
	Strengths, Contexts, Agreements                 []*Object
	GrantPolicies                                   []*Object // permission grant policies of the tenant's own
	ConsentRequests                                 *Object   // adminConsentRequestPolicy as last written, nil: never
	Authorization                                   *Object   // authorizationPolicy: what was written besides Consent, nil: nothing
	Classifications                                 []*Classification
	// CustomConsent are the assigned permission grant policies that
	// ConsentSettings.Users cannot express, as Graph spells them.
	CustomConsent []string
	ActiveRoles   []string // template ids of roles that were activated and may have no holder

	// Audits is the audit log, oldest first, kept as SignIns are.
	Audits  []*Audit
	changes journal

	store *Store

	// What Graph keeps besides: nil or empty until somebody writes it.
	MethodsPolicy, FlowsPolicy         *Object   // authenticationMethodsPolicy and authenticationFlowsPolicy as last written
	MethodConfigurations, PreApprovals []*Object // of single authentication methods, by name; pre-approval policies (beta)
	ApprovalRequests                   []*ApprovalRequest
	Eligible                           []*Eligibility

	// InboundTrust is what is accepted of guests' home tenants, by the domain of
	// the tenant; "" stands for all others.
	InboundTrust map[string]InboundTrust

	SharePoint SharePoint `json:",omitzero"`
}

// MaxSignIns is how many sign-in log entries a tenant keeps.
const MaxSignIns = 10_000

// Domain is a verified domain of a tenant.
type Domain struct {
	Name    string
	Initial bool // the onmicrosoft.com domain the tenant was made with
	Default bool
	// PasswordDays is how long passwords last; 0: for ever.
	PasswordDays int
	Federation   *Federation // nil for a managed domain
}

// Federation is where a federated domain authenticates its people.
type Federation struct {
	Protocol    string `json:"protocol"`     // "WSTrust" or "SAMLP"
	MetadataURL string `json:"metadata_url"` // MEX document
	ActiveURL   string `json:"active_url"`
	Brand       string `json:"brand,omitempty"`
	PassiveURL  string `json:"passive_url,omitempty"` // sign-in page
	Issuer      string `json:"issuer,omitempty"`      // issuer of its assertions
}

// Lockout is the smart lock-out: after Threshold wrong passwords in a row the
// account is refused for Duration.
type Lockout struct {
	Threshold int
	Duration  time.Duration
}

// ConsentSettings is who may consent to apps.
type ConsentSettings struct {
	// Users is "all" (any permission that needs no administrator), "low_risk"
	// (verified publishers, low permissions), "managed" (Microsoft's own
	// recommended policy) or "none".
	Users         string
	AdminRequests bool // people may ask an administrator for approval
}

// User types.
const (
	Member = "Member"
	Guest  = "Guest"
)

// User is a directory user.
type User struct {
	ID, UPN, Name, GivenName, Surname string
	Type                              string // Member or Guest
	Mail, Department, JobTitle        string
	Story                             string
	Enabled                           bool
	PasswordExpired                   bool
	LockedUntil                       time.Time // zero: not locked
	FailedPasswords                   int
	PasswordHash                      []byte // see HashPassword; nil: the account has no password
	PasswordChanged                   time.Time
	AppPasswordHashes                 [][]byte
	HomeTenant                        string   // GUID of a guest's own tenant, empty for members
	Synced                            bool     // from an on-premises directory
	Roles                             []string // role template ids, assigned directly
	Licences                          []string // SKU part numbers
	PerUserMFA                        string   // disabled, enabled or enforced
	// RegistrationGrace is until when Security Defaults let the user in
	// without a registered method; zero: no grace.
	RegistrationGrace time.Time
	Methods           []*Method
	DefaultMethod     string // userPreferredMethodForSecondaryAuthentication, "" if unset
	SystemPreferred   bool
	Created           time.Time
	TokensValidFrom   time.Time // sessions and refresh tokens made before are revoked
	// What a change or reset of the password revokes; see [User.Revoked].
	PasswordValidFrom, RefreshValidFrom time.Time
	UsageLocation                       string // two-letter country code, "" if unset
	Risk                                Risk
	// Profile are members of the user that nothing in the lab decides on, as Graph
	// was given them: officeLocation, businessPhones, city …; replaced, never
	// changed in place.
	Profile map[string]any

	SignInRisk string   // of every sign-in of the user: low, medium, high; "" means none
	Device     *Device  // what the user signs in on, nil: nothing registered
	Terms      []string // ids of the agreements (terms of use) that were accepted
}

// Method types, as the tenants file spells them.
const (
	Authenticator  = "authenticator"
	Phone          = "phone"
	AlternatePhone = "alternate_phone"
	OfficePhone    = "office_phone"
	SoftwareOATH   = "oath"
	FIDO2          = "fido2"
	HelloBusiness  = "hello"
	Email          = "email"
	TAP            = "temporary_access_pass"
)

// Method is a registered authentication method other than the password.
type Method struct {
	ID        string
	Type      string // one of the method types
	Name      string // device or key name
	Phone     string // "+44 7700900123"
	Email     string
	Secret    string // base32 secret of a software OATH token
	Created   time.Time
	TAPOnce   bool              // temporary access pass: one use
	TAPLife   time.Duration     // temporary access pass: life from Created
	SMSSignIn bool              // phone: its owner may sign in by text message alone
	Details   map[string]string // of a hardware token, an external method, a QR code
}

// MFA reports whether the method is a second factor. E-mail only serves
// password reset (graph-mfa-posture §7), and a QR code with PIN is one factor.
func (m *Method) MFA() bool { return m.Type != Email && m.Type != QRCodePIN }

// Registered reports whether the user has a second factor registered.
func (u *User) Registered() bool {
	for _, m := range u.Methods {
		if m.MFA() {
			return true
		}
	}
	return false
}

// Group is a security group. Members are ids of users, groups and service
// principals of the tenant.
type Group struct {
	ID, Name       string
	Members        []string
	RoleAssignable bool
	Roles          []string // role template ids
	Created        time.Time
	Description    string
	MailNickname   string   // "": made from the name
	Owners         []string // ids of users and service principals
}

// App is an app registration.
type App struct {
	ID           string // object id
	ClientID     string
	Name         string
	Purpose      string // reader, service, delegated, admin …
	Story        string
	Public       bool // public client: has no credential
	MultiTenant  bool
	Verified     bool // verified publisher
	Secrets      []*Secret
	Certificates []*Certificate
	RedirectURIs []string
	// RedirectKinds says of a redirect URI that it is for "web", "spa" or
	// "publicClient"; one that is missing follows Public.
	RedirectKinds map[string]string
	// Permissions that the registration asks for, by the alias of the resource;
	// an API that a tenant registered has its client id as alias.
	Delegated   map[string][]string
	Application map[string][]string
	FirstParty  bool // owned by Microsoft
	Created     time.Time
	Federated   []*FederatedCredential
	Owners      []string // ids of users and service principals

	// API is what the app offers as a resource of its own, nil: nothing.
	API *API `json:",omitempty"`
	// IDTokens lets the authorize endpoint issue id tokens
	// (web/implicitGrantSettings/enableIdTokenIssuance).
	IDTokens bool `json:",omitempty"`
	// GroupClaims asks for the person's groups in id tokens
	// (groupMembershipClaims): "SecurityGroup", "All" or "" for none.
	GroupClaims string `json:",omitempty"`
}

// API is a registration as a resource that tokens can be asked for.
type API struct {
	URIs    []string     // identifier URIs
	Scopes  []Permission // oauth2PermissionScopes
	Roles   []Permission // appRoles
	Version int          // requestedAccessTokenVersion: 2, or 0 and 1 for tokens of v1.0
	// KnownClients are client ids of apps whose consent covers this app's own
	// permissions too (knownClientApplications).
	KnownClients []string
	// Preauthorised clients need no consent for the scopes named, by client id
	// (preAuthorizedApplications).
	Preauthorised map[string][]string
}

// Secret is a client secret. The value itself is not kept.
type Secret struct {
	KeyID      string
	Name       string
	Hint       string // first three characters
	Hash       []byte // see Store.HashSecret
	Start, End time.Time
	// Identifier joins the password of a signing key to that key; "" for secrets.
	Identifier string
	// Usable is when the token endpoint knows the secret; zero: at once.
	Usable time.Time
}

// Certificate is a client certificate.
type Certificate struct {
	KeyID       string
	Name        string
	Certificate *x509.Certificate
	SHA1        [20]byte
	SHA256      [32]byte
	// Usage is "" for a certificate with which an app proves itself (Verify), and
	// "Sign" for the private half of a SAML signing key.
	Usage string
	// Usable is when the token endpoint knows the certificate; zero: at once.
	Usable time.Time
}

// Principal is a service principal: an app in one tenant.
type Principal struct {
	ID                 string
	SigningKey         string // thumbprint of the SAML key that signs; "": none was chosen
	ClientID           string
	Enabled            bool
	AssignmentRequired bool
	Assigned           []string // ids of users and groups
	Roles              []string // directory role template ids
	Secrets            []*Secret
	Created            time.Time
	CreatedBy          string // client id of the app that created it, "" if consent or a tool did
	Certificates       []*Certificate
	Owners             []string // ids of users and service principals
}

// Grant is a delegated permission grant (oauth2PermissionGrant).
type Grant struct {
	ID       string
	Client   string // principal id
	Resource string // principal id
	User     string // user id, empty for all users (AllPrincipals)
	Scopes   []string
}

// AppRoleAssignment is an application permission (or an app role) that a
// principal, user or group holds.
type AppRoleAssignment struct {
	ID            string
	Principal     string // object id
	PrincipalType string // ServicePrincipal, User or Group
	Resource      string // principal id
	Role          string // app role id
	Created       time.Time
}

// Partnership is a granular delegated admin relationship (GDAP) seen from the
// customer's tenant.
type Partnership struct {
	Partner string    // tenant id of the partner
	Until   time.Time // zero: active without end in the lab
	// Access maps security groups of the partner tenant (ids) to the roles
	// they have here.
	Access map[string][]string
}

// SignIn is an entry of the sign-in log.
type SignIn struct {
	ID, CorrelationID    string
	Time                 time.Time
	UserID               string // empty for service principals
	PrincipalID          string // service principal sign-ins
	UPN, UserName        string
	ClientID, ClientName string
	Resource             string // client id of the resource
	ResourceName         string
	HomeTenant           string
	IPAddress            string
	UserAgent            string
	Interactive          bool
	Protocol             string // "ropc", "none", "deviceCode" …; beta authenticationProtocol
	CredentialType       string // clientSecret, clientAssertion, none
	KeyID                string // of the credential, where it was one of the app's
	Status               int    // 0, or the AADSTS number
	Failure              string // reason sentence
	MFARequired          bool
	// Demands says who asked for MFA (beta authenticationRequirementPolicies).
	Demands []Demand
	// Applied are the Conditional Access policies that were looked at; CAStatus is
	// success, failure or notApplied, "" meaning the last.
	Applied  []AppliedPolicy
	CAStatus string
	// TransferMethod is deviceCodeFlow or authenticationTransfer, "" for neither.
	TransferMethod string
}

// Demand is one source of an MFA requirement.
type Demand struct {
	Provider string // Graph's requirementProvider
	Detail   string
}
