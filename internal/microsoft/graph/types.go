package graph

import (
	"encoding/json"
	"time"
)

// Organization is the tenant itself.
type Organization struct {
	ID              string `json:"id"`
	DisplayName     string `json:"displayName"`
	VerifiedDomains []struct {
		Name      string `json:"name"`
		IsDefault bool   `json:"isDefault"`
		IsInitial bool   `json:"isInitial"`
	} `json:"verifiedDomains"`
	AssignedPlans []AssignedPlan `json:"assignedPlans"`
}

// AssignedPlan is a service plan of a tenant or user.
type AssignedPlan struct {
	Service          string `json:"service"`
	ServicePlanID    string `json:"servicePlanId"`
	CapabilityStatus string `json:"capabilityStatus"`
}

// UserSelect are the members of [User], for $select.
const UserSelect = "id,userPrincipalName,displayName,userType,accountEnabled,jobTitle,mobilePhone,onPremisesSyncEnabled,assignedPlans,createdDateTime"

// ExternalSelect are the members of [User] for $select, with those that tell
// external users.
const ExternalSelect = UserSelect + ",creationType,externalUserState"

// User is a directory user with the members of [ExternalSelect]. Members that
// the caller may not read stay nil.
type User struct {
	ID                    string         `json:"id"`
	UserPrincipalName     string         `json:"userPrincipalName"`
	DisplayName           string         `json:"displayName"`
	UserType              *string        `json:"userType"` // Member, Guest; null for old objects
	AccountEnabled        *bool          `json:"accountEnabled"`
	JobTitle              *string        `json:"jobTitle"`
	MobilePhone           *string        `json:"mobilePhone"`
	OnPremisesSyncEnabled *bool          `json:"onPremisesSyncEnabled"`
	AssignedPlans         []AssignedPlan `json:"assignedPlans"`
	CreatedDateTime       *time.Time     `json:"createdDateTime"`
	CreationType          *string        `json:"creationType"`      // Invitation, LocalAccount …; null for members of the tenant
	ExternalUserState     *string        `json:"externalUserState"` // PendingAcceptance, Accepted; null where nobody was invited
}

// DirectoryObject is an item of a list of mixed kinds, such as memberOf.
type DirectoryObject struct {
	Type           string  `json:"@odata.type"`
	ID             string  `json:"id"`
	DisplayName    *string `json:"displayName"`
	RoleTemplateID *string `json:"roleTemplateId"`
}

// Type names of directory objects.
const (
	TypeGroup         = "#microsoft.graph.group"
	TypeDirectoryRole = "#microsoft.graph.directoryRole"
)

// AuthenticationMethod is a registered method; only its kind is read.
type AuthenticationMethod struct {
	Type      string  `json:"@odata.type"`
	ID        string  `json:"id"`
	PhoneType *string `json:"phoneType"`
}

// Requirements are a user's per-user MFA settings (beta).
type Requirements struct {
	PerUserMFAState string `json:"perUserMfaState"` // disabled, enabled, enforced
}

// Preferences are a user's sign-in preferences (beta).
type Preferences struct {
	SystemPreferred *bool `json:"isSystemPreferredAuthenticationMethodEnabled"`
	// Method is push, oath, sms, voiceMobile …; "" where none was chosen.
	Method string `json:"userPreferredMethodForSecondaryAuthentication"`
}

// RoleAssignment is an active assignment of a directory role.
type RoleAssignment struct {
	PrincipalID string `json:"principalId"`
	// RoleDefinitionID is the template id of a built-in role.
	RoleDefinitionID string `json:"roleDefinitionId"`
	// DirectoryScopeID is "/" for the whole tenant, else an administrative unit
	// or object.
	DirectoryScopeID *string         `json:"directoryScopeId"`
	AppScopeID       *string         `json:"appScopeId"`
	RoleDefinition   *RoleDefinition `json:"roleDefinition"` // with $expand
}

// RoleDefinition is a directory role.
type RoleDefinition struct {
	ID          string `json:"id"`
	DisplayName string `json:"displayName"`
	IsBuiltIn   *bool  `json:"isBuiltIn"`
}

// SecurityDefaults is the tenant's Security Defaults policy.
type SecurityDefaults struct {
	IsEnabled *bool `json:"isEnabled"`
}

// Policy is a Conditional Access policy: what names it, and all of it as sent.
type Policy struct {
	ID          string          `json:"id"`
	DisplayName string          `json:"displayName"`
	State       string          `json:"state"`
	Raw         json.RawMessage `json:"-"`
}

// UnmarshalJSON keeps the whole policy beside the members that name it.
func (p *Policy) UnmarshalJSON(data []byte) error {
	type named Policy
	if err := json.Unmarshal(data, (*named)(p)); err != nil {
		return err
	}
	p.Raw = append(p.Raw[:0], data...)
	return nil
}

// MarshalJSON gives the policy as it was sent.
func (p Policy) MarshalJSON() ([]byte, error) { return p.Raw, nil }

// SubscribedSKU is a licence of the tenant.
type SubscribedSKU struct {
	SKUPartNumber    string        `json:"skuPartNumber"`
	CapabilityStatus string        `json:"capabilityStatus"`
	ServicePlans     []ServicePlan `json:"servicePlans"`
}

// ServicePlan is a service plan within a licence.
type ServicePlan struct {
	ServicePlanID      string `json:"servicePlanId"`
	ServicePlanName    string `json:"servicePlanName"`
	ProvisioningStatus string `json:"provisioningStatus"`
}

// ServicePrincipal is an app as it exists in the tenant.
type ServicePrincipal struct {
	ID                        string       `json:"id"`
	AppID                     string       `json:"appId"`
	DisplayName               string       `json:"displayName"`
	AccountEnabled            *bool        `json:"accountEnabled"`
	AppRoleAssignmentRequired *bool        `json:"appRoleAssignmentRequired"`
	AppOwnerOrganizationID    *string      `json:"appOwnerOrganizationId"`
	ServicePrincipalType      string       `json:"servicePrincipalType"` // Application, ManagedIdentity …
	PasswordCredentials       []Credential `json:"passwordCredentials"`
	KeyCredentials            []Credential `json:"keyCredentials"`
}

// Application is an app registration of the tenant.
type Application struct {
	ID                  string       `json:"id"`
	AppID               string       `json:"appId"`
	DisplayName         string       `json:"displayName"`
	PasswordCredentials []Credential `json:"passwordCredentials"`
	KeyCredentials      []Credential `json:"keyCredentials"`
}

// Credential is a secret or certificate of an app, without its value.
type Credential struct {
	KeyID         string     `json:"keyId"`
	DisplayName   *string    `json:"displayName"`
	StartDateTime *time.Time `json:"startDateTime"`
	EndDateTime   *time.Time `json:"endDateTime"`
	// CustomKeyIdentifier is the SHA-1 thumbprint of a certificate, in base64
	// or hexadecimal.
	CustomKeyIdentifier *string `json:"customKeyIdentifier"`
	Hint                *string `json:"hint"`
}

// FederatedCredential says whose tokens prove an app in place of a secret.
type FederatedCredential struct {
	Name      string   `json:"name"`
	Issuer    string   `json:"issuer"`
	Subject   *string  `json:"subject"` // null where an expression matches subjects
	Audiences []string `json:"audiences"`
}

// AppRoleAssignment is an application permission that a principal holds.
type AppRoleAssignment struct {
	AppRoleID           string `json:"appRoleId"`
	ResourceID          string `json:"resourceId"`
	ResourceDisplayName string `json:"resourceDisplayName"`
}

// RegistrationDetails is a user's row of the registration report.
type RegistrationDetails struct {
	ID                string   `json:"id"`
	UserPrincipalName string   `json:"userPrincipalName"`
	IsMFARegistered   bool     `json:"isMfaRegistered"`
	IsMFACapable      bool     `json:"isMfaCapable"`
	MethodsRegistered []string `json:"methodsRegistered"`
}

// SignIn is an entry of the sign-in log (beta, which alone tells who demanded
// MFA).
type SignIn struct {
	ID                string    `json:"id"`
	CreatedDateTime   time.Time `json:"createdDateTime"`
	UserPrincipalName string    `json:"userPrincipalName"`
	AppID             string    `json:"appId"`
	AppDisplayName    string    `json:"appDisplayName"`
	CorrelationID     string    `json:"correlationId"`
	IPAddress         string    `json:"ipAddress"`
	Status            struct {
		ErrorCode     int     `json:"errorCode"`
		FailureReason *string `json:"failureReason"`
	} `json:"status"`
	AuthenticationRequirementPolicies []struct {
		RequirementProvider string  `json:"requirementProvider"`
		Detail              *string `json:"detail"`
	} `json:"authenticationRequirementPolicies"`
	AppliedConditionalAccessPolicies []struct {
		ID                    string   `json:"id"`
		DisplayName           string   `json:"displayName"`
		EnforcedGrantControls []string `json:"enforcedGrantControls"`
		Result                string   `json:"result"` // success, failure, notApplied, reportOnly…
	} `json:"appliedConditionalAccessPolicies"`
}
