package conditionalaccess

import "strconv"

// A Set is what was read from a folder or from documents.
type Set struct {
	Policies  []*Policy
	Locations []*NamedLocation
	Strengths []*AuthenticationStrength
	// CustomRoles are the ids of custom role definitions found. Conditional
	// Access honours only built-in roles (conditional-access-evaluation §2.1).
	CustomRoles []string
	// Files accounts for every file, in the order read.
	Files []File
	// Faults are the files, or parts of files, that could not be read.
	Faults []Fault
}

// A File says what was found in a file.
type File struct {
	Name                           string
	Policies, Locations, Strengths int
	// Ignored says what else the file holds ("group", "migration table"), empty
	// if nothing. A file with neither contents nor faults holds an empty list.
	Ignored string
}

// A Fault is something that could not be read.
type Fault struct {
	File   string
	Line   int // from 1; 0 if the fault concerns the whole file
	Reason string
}

// Error gives the fault as file:line: reason.
func (f Fault) Error() string {
	if f.Line == 0 {
		return f.File + ": " + f.Reason
	}
	return f.File + ":" + strconv.Itoa(f.Line) + ": " + f.Reason
}

// PolicyState is a policy's state.
type PolicyState uint8

// The states of a policy. A policy whose state this package does not know has
// StateUnknown, as one without has; whether it is enforced is unknown.
const (
	StateUnknown PolicyState = iota
	Enabled
	ReportOnly
	Disabled
)

// A Policy is a Conditional Access policy. An empty list and an empty object
// mean the same as null: not configured.
type Policy struct {
	ID          string // empty if the file has none
	DisplayName string
	File        string
	Line        int
	State       PolicyState
	Conditions  Conditions
	Grant       *GrantControls // nil: session controls only
	Session     []SessionControl
	// Raw is the policy as it stood in the file, in UTF-8 and with every member.
	Raw []byte
}

// Conditions are a policy's assignments and conditions.
type Conditions struct {
	Users              *Users
	Applications       *Applications
	ClientApplications *ClientApplications
	Agents             *Agents
	ClientAppTypes     []string
	Platforms          *Choice
	Locations          *Choice
	DeviceStates       *Choice // All, Compliant, DomainJoined; superseded by DeviceFilter
	DeviceFilter       *Filter
	SignInRiskLevels   []string
	UserRiskLevels     []string
	InsiderRiskLevels  []string
	// ServicePrincipalRiskLevels and AgentRiskLevels concern only principals of
	// that kind.
	ServicePrincipalRiskLevels []string
	AgentRiskLevels            []string
	TransferMethods            []string
	// Unknown names configured conditions that this package does not know.
	Unknown []string
}

// A Choice has included and excluded values. Exclusion wins.
type Choice struct {
	Include, Exclude []string
	// UnknownInclude and UnknownExclude say that there is more which this
	// package does not know.
	UnknownInclude, UnknownExclude bool
}

// Users says to whom a policy applies.
type Users struct {
	Users, Groups, Roles         Choice
	IncludeGuests, ExcludeGuests *Guests
	// UnknownInclude and UnknownExclude say that there is more which this
	// package does not know.
	UnknownInclude, UnknownExclude bool
}

// Guests selects external users by type and home tenant.
type Guests struct {
	Types []string
	// Tenants lists the home tenants; nil means all.
	Tenants []string
	// UnknownTenants says that tenants are selected in a way that this package
	// does not know.
	UnknownTenants bool
}

// Applications says for what a policy applies: resources, user actions or
// authentication contexts.
type Applications struct {
	Choice
	UserActions            []string
	AuthenticationContexts []string
	Filter                 *Filter
	// Traffic says that the policy targets network traffic profiles of Global
	// Secure Access.
	Traffic bool
}

// ClientApplications makes a policy one for workload identities.
type ClientApplications struct {
	ServicePrincipals Choice
	Filter            *Filter
	AgentIdentities   Choice // beta
	AgentFilter       *Filter
}

// Agents makes a policy one for users that are agents (beta).
type Agents struct {
	Users Choice
	// Unknown says that there is more which this package does not know.
	Unknown bool
}

// A Filter is a rule over attributes of devices, applications or service
// principals.
type Filter struct {
	Exclude bool // the mode; otherwise include
	Rule    string

	expression *expression // nil if the rule could not be understood
}

// GrantControls is what a policy demands.
type GrantControls struct {
	// All says that every control must be met (AND), otherwise one (OR).
	All           bool
	BuiltIn       []string
	TermsOfUse    []string
	CustomFactors []string
	Strength      *AuthenticationStrength
	// Unknown names configured controls that this package does not know.
	Unknown []string
}

// An AuthenticationStrength is a set of allowed method combinations.
type AuthenticationStrength struct {
	ID, DisplayName string
	// Combinations as Graph joins them: password,sms. Nil if only the id is
	// known.
	Combinations []string
	// Restricted are the combinations for which more than the method is
	// demanded, such as a certain kind of security key. Whether a sign-in meets
	// that is unknown.
	Restricted []string
}

// LocationKind is the kind of a named location.
type LocationKind uint8

// The kinds of named locations.
const (
	IPLocation LocationKind = iota
	CountryLocation
	CompliantNetworkLocation
)

// A NamedLocation is a place that policies name.
type NamedLocation struct {
	ID, DisplayName string
	File            string
	Line            int
	Kind            LocationKind
	Trusted         bool
	Ranges          []Range
	// Unreadable says that some range could not be read: other addresses may
	// belong to the location too.
	Unreadable       bool
	Countries        []string
	UnknownCountries bool // addresses that map to no country belong to it
	// Raw is the location as it stood in the file, in UTF-8.
	Raw []byte
}

// A SessionControl is a session control that is switched on.
type SessionControl struct {
	Name  string // Graph's: signInFrequency
	Value string // the control as JSON
}
