package directory

import "strings"

// Client ids of Microsoft's own apps that the lab knows. Sources:
// entra-sign-in §11.3 (mandatory MFA), graph permissions reference.
const (
	GraphID           = "00000003-0000-0000-c000-000000000000"
	SharePointID      = "00000003-0000-0ff1-ce00-000000000000"
	ExchangeID        = "00000002-0000-0ff1-ce00-000000000000"
	BusinessCentralID = "996def3d-b36c-4153-8607-a6fd3c01b89f"
	AzureManagementID = "797f4846-ba00-4fd7-ba43-dac1f8f63013"
	DirectoryID       = "00000002-0000-0000-c000-000000000000"
	PartnerCenterID   = "fa3d9a0c-3fb0-42cc-9193-47c7ecd2edbd"

	GraphCLIID        = "14d82eec-204b-4c2f-b7e8-296a70dab67e"
	AzureCLIID        = "04b07795-8ddb-461a-bbee-02f9e1bf7b46"
	AzurePowerShellID = "1950a258-227b-4e31-a9cf-717495945fc2"
	M365CLIID         = "31359c7f-bd7e-475c-86db-fdb8c937548e"
	AzureMobileID     = "0c1307d4-29d6-4389-a11c-5cbe7f65d7fa"
	MFAClientID       = "981f26a1-7f43-403b-a875-f8b09b8cd720"
	AzurePortalID     = "c44b4083-3bb0-49c1-b47d-974e53cbdf3c"

	// MicrosoftTenant owns Microsoft's own apps.
	MicrosoftTenant = "f8cdef31-a31e-4b4a-93e4-5f571e91255a"
)

// MandatoryMFAApps are the apps whose every user sign-in Microsoft itself
// demands MFA for (entra-sign-in §11.3; phase 1 and 2).
var MandatoryMFAApps = map[string]bool{
	AzurePortalID: true, AzureCLIID: true, AzurePowerShellID: true, AzureMobileID: true,
}

// Resource is an API that tokens can be asked for.
type Resource struct {
	ClientID string
	Name     string
	Alias    string   // key in the tenants file
	URIs     []string // identifier URIs, without trailing slash; "{host}" forms are matched by suffix
	Roles    []Permission
	Scopes   []Permission
	// Of an API that a tenant registered: see [Tenant.Resource].
	App     *App
	Version int // of its access tokens, 1 or 2
}

// Permission is an app role or a delegated scope of a resource.
type Permission struct {
	ID    string
	Value string
	Admin bool // delegated: only an administrator may consent
}

// Resources are Microsoft's APIs. Every tenant has them but those on demand.
var Resources = []*Resource{
	{ClientID: GraphID, Name: "Microsoft Graph", Alias: "graph",
		URIs:  []string{"https://graph.microsoft.com", "https://graph.microsoft.us", "https://dod-graph.microsoft.us", "https://microsoftgraph.chinacloudapi.cn"},
		Roles: graphRoles, Scopes: graphScopes},
	{ClientID: SharePointID, Name: "Office 365 SharePoint Online", Alias: "sharepoint",
		URIs:   []string{"https://microsoft.sharepoint-df.com"},
		Roles:  []Permission{perm("sp", "Sites.FullControl.All"), perm("sp", "Sites.Read.All"), perm("sp", "Sites.ReadWrite.All"), perm("sp", "Sites.Selected"), perm("sp", "User.Read.All"), perm("sp", "TermStore.Read.All"), perm("sp", "TermStore.ReadWrite.All")},
		Scopes: []Permission{admin("sp-d", "AllSites.FullControl"), perm("sp-d", "AllSites.Read"), perm("sp-d", "AllSites.Write"), perm("sp-d", "AllSites.Manage"), admin("sp-d", "User.Read.All")}},
	{ClientID: ExchangeID, Name: "Office 365 Exchange Online", Alias: "exchange",
		URIs:   []string{"https://outlook.office365.com", "https://outlook.office.com", "https://outlook.office365.us", "https://webmail.apps.mil", "https://partner.outlook.cn"},
		Roles:  []Permission{perm("exo", "Exchange.ManageAsApp"), perm("exo", "full_access_as_app"), perm("exo", "SMTP.SendAsApp"), perm("exo", "IMAP.AccessAsApp")},
		Scopes: []Permission{perm("exo-d", "EWS.AccessAsUser.All"), perm("exo-d", "SMTP.Send"), perm("exo-d", "IMAP.AccessAsUser.All"), admin("exo-d", "Exchange.Manage")}},
	{ClientID: BusinessCentralID, Name: "Dynamics 365 Business Central", Alias: "business_central",
		URIs:   []string{"https://api.businesscentral.dynamics.com"},
		Roles:  []Permission{perm("bc", "API.ReadWrite.All"), perm("bc", "Automation.ReadWrite.All"), perm("bc", "AdminCenter.ReadWrite.All")},
		Scopes: []Permission{perm("bc-d", "Financials.ReadWrite.All"), perm("bc-d", "user_impersonation")}},
	{ClientID: AzureManagementID, Name: "Windows Azure Service Management API", Alias: "azure_management",
		URIs:   []string{"https://management.azure.com", "https://management.core.windows.net"},
		Scopes: []Permission{perm("arm-d", "user_impersonation")}},
	{ClientID: DirectoryID, Name: "Windows Azure Active Directory", Alias: "directory",
		URIs:   []string{"https://graph.windows.net"},
		Scopes: []Permission{perm("aad-d", "User.Read")}},
	{ClientID: PartnerCenterID, Name: "Microsoft Partner Center", Alias: "partner_center", // entra-sign-in §9.4
		URIs:   []string{"https://api.partnercenter.microsoft.com"},
		Scopes: []Permission{perm("pc-d", "user_impersonation")}},
}

// onDemand are the APIs whose principal is missing from tenants that have no use
// for them: Business Central from those that never had the product
// (business-central §2), Partner Center from those that are no partners.
var onDemand = map[string]bool{BusinessCentralID: true, PartnerCenterID: true}

// The well-known ids of Graph's permissions are facts of the real service
// where they are written out; the others are derived, stable and the lab's own.
var graphRoles = append([]Permission{
	{ID: "df021288-bdef-4463-88db-98f22de89214", Value: "User.Read.All"},
	{ID: "741f803b-c850-494e-b5df-cde7c675a1ca", Value: "User.ReadWrite.All"},
	{ID: "7ab1d382-f21e-4acd-a863-ba3e13f7da61", Value: "Directory.Read.All"},
	{ID: "19dbc75e-c2e2-444c-a770-ec69d8559fc7", Value: "Directory.ReadWrite.All"},
	{ID: "246dd0d5-5bd0-4def-940b-0421030a5b68", Value: "Policy.Read.All"},
	{ID: "b0afded3-3588-46d8-8b3d-9842eff778da", Value: "AuditLog.Read.All"},
	{ID: "38d9df27-64da-44fd-b7c5-a6fbac20248f", Value: "UserAuthenticationMethod.Read.All"},
	{ID: "50483e42-d915-4231-9639-7fdb7fd190e5", Value: "UserAuthenticationMethod.ReadWrite.All"},
	{ID: "5b567255-7703-4780-807c-7be8301ae99b", Value: "Group.Read.All"},
	{ID: "98830695-27a2-44f7-8c18-0c3ebc9698f6", Value: "GroupMember.Read.All"},
	{ID: "483bed4a-2ad3-4361-a73b-c83ccdbdc53c", Value: "RoleManagement.Read.Directory"},
	{ID: "9a5d68dd-52b0-4cc2-bd40-abcf44ac3a30", Value: "Application.Read.All"},
	{ID: "1bfefb4e-e0b5-418b-a88f-73c46d2cc8e9", Value: "Application.ReadWrite.All"},
	{ID: "498476ce-e0fe-48b0-b801-37ba7e2685c6", Value: "Organization.Read.All"},
	{ID: "06b708a9-e830-4db3-a914-8e69da51d44f", Value: "AppRoleAssignment.ReadWrite.All"},
	{ID: "332a536c-c7ef-4017-ab91-336970924f0d", Value: "Sites.Read.All"},
	{ID: "9492366f-7969-46a4-8d15-ed1a20078fff", Value: "Sites.ReadWrite.All"},
}, perms("graph", "Policy.ReadWrite.ConditionalAccess", "Policy.ReadWrite.SecurityDefaults", "Policy.ReadWrite.AuthenticationMethod",
	"Policy.ReadWrite.Authorization", "Policy.Read.AuthenticationMethod", "Policy.Read.PermissionGrant", "Policy.Read.ConditionalAccess",
	"Application.ReadWrite.OwnedBy", "DelegatedPermissionGrant.Read.All", "DelegatedPermissionGrant.ReadWrite.All", "LicenseAssignment.Read.All",
	"GroupMember.ReadWrite.All", "RoleManagement.ReadWrite.Directory", "User.EnableDisableAccount.All", "User-PasswordProfile.ReadWrite.All",
	"Reports.Read.All", "Files.Read.All", "Mail.Read", "Sites.Selected", "SharePointTenantSettings.Read.All",
	"Group.ReadBasic.All", "Group.ReadWrite.All", "GroupMember.ReadBasic.All", "Organization.ReadWrite.All", "Policy.ReadWrite.ConsentRequest",
	"User.ReadBasic.All", "User.RevokeSessions.All")...)

var graphScopes = append([]Permission{
	{ID: "e1fe6dd8-ba31-4d61-89e7-88639da4683d", Value: "User.Read"},
	{ID: "37f7f235-527c-4136-accd-4a02d197296e", Value: "openid"},
	{ID: "14dad69e-099b-42c9-810b-d002981feec1", Value: "profile"},
	{ID: "64a6cdd6-aab1-4aaf-94b8-3cc8405e90d0", Value: "email"},
	{ID: "7427e0e9-2fba-42fe-b0c0-848c9e6a8182", Value: "offline_access"},
	{ID: "a154be20-db9c-4678-8ab7-66f6cc099a59", Value: "User.Read.All", Admin: true},
	{ID: "06da0dbc-49e2-44d2-8312-53f166ab848a", Value: "Directory.Read.All", Admin: true},
	{ID: "572fea84-0151-49b2-9301-11cb16974376", Value: "Policy.Read.All", Admin: true},
	{ID: "e4c9e354-4dc5-45b8-9e7c-e1393b0b1a20", Value: "AuditLog.Read.All", Admin: true},
	{ID: "0e263e50-5827-48a4-b97c-d940288653c7", Value: "Directory.AccessAsUser.All", Admin: true},
	{ID: "b340eb25-3456-403f-be2f-af7a0d370277", Value: "User.ReadBasic.All"},
	perm("graph-d", "User.ReadWrite"), perm("graph-d", "UserAuthenticationMethod.Read"), perm("graph-d", "UserAuthenticationMethod.ReadWrite"),
	{ID: "204e0828-b5ca-4ad8-b9f3-f32a958e7cc4", Value: "User.ReadWrite.All", Admin: true},
	{ID: "205e70e5-aba6-4c52-a976-6d2d46c48043", Value: "Sites.Read.All"},
	{ID: "570282fd-fa5c-430d-a7fd-fc8dc98a9dca", Value: "Mail.Read"},
	{ID: "10465720-29dd-4523-a11a-6a75c743c9d9", Value: "Files.Read"},
}, admins("graph-d", "UserAuthenticationMethod.Read.All", "UserAuthenticationMethod.ReadWrite.All", "Group.Read.All", "GroupMember.Read.All",
	"RoleManagement.Read.Directory", "Application.Read.All", "Application.ReadWrite.All", "Organization.Read.All", "AppRoleAssignment.ReadWrite.All",
	"Policy.ReadWrite.ConditionalAccess", "Policy.ReadWrite.SecurityDefaults", "Policy.ReadWrite.AuthenticationMethod", "Policy.ReadWrite.Authorization",
	"Policy.Read.AuthenticationMethod", "Policy.Read.PermissionGrant", "DelegatedPermissionGrant.ReadWrite.All", "Group.ReadWrite.All",
	"GroupMember.ReadWrite.All", "RoleManagement.ReadWrite.Directory", "DelegatedPermissionGrant.Read.All", "Directory.ReadWrite.All",
	"Group.ReadBasic.All", "GroupMember.ReadBasic.All", "LicenseAssignment.Read.All", "Organization.ReadWrite.All", "Policy.ReadWrite.ConsentRequest",
	"User-PasswordProfile.ReadWrite.All", "User.EnableDisableAccount.All", "User.RevokeSessions.All")...)

func perm(resource, value string) Permission {
	return Permission{ID: NameID("permission", resource, value), Value: value}
}

func admin(resource, value string) Permission {
	p := perm(resource, value)
	p.Admin = true
	return p
}

func perms(resource string, values ...string) []Permission {
	var out []Permission
	for _, v := range values {
		out = append(out, perm(resource, v))
	}
	return out
}

func admins(resource string, values ...string) []Permission {
	out := perms(resource, values...)
	for i := range out {
		out[i].Admin = true
	}
	return out
}

// TokenExchange is the audience of tokens that stand in for another app's
// credential, as a managed identity's do. It has no principal in tenants.
var TokenExchange = &Resource{ClientID: "fb60f99c-7a34-4190-8149-302f77469936", Name: "Azure AD Token Exchange Endpoint", Alias: "token_exchange", URIs: []string{TokenExchangeAudience}, Version: 2}

// ResourceByID finds a resource by client id, nil if there is none.
func ResourceByID(id string) *Resource {
	for _, r := range Resources {
		if strings.EqualFold(r.ClientID, id) {
			return r
		}
	}
	return nil
}

// ResourceByAlias finds a resource by its name in tenants files.
func ResourceByAlias(alias string) *Resource {
	for _, r := range Resources {
		if r.Alias == alias {
			return r
		}
	}
	return nil
}

// ResourceByURI finds the resource that an identifier URI, a client id or,
// for SharePoint, a host of a tenant names. It returns nil if there is none.
func ResourceByURI(uri string) *Resource {
	uri = strings.TrimRight(strings.ToLower(uri), "/")
	if uri == strings.ToLower(TokenExchangeAudience) || uri == TokenExchange.ClientID {
		return TokenExchange
	}
	for _, r := range Resources {
		if uri == r.ClientID {
			return r
		}
		for _, u := range r.URIs {
			if uri == u {
				return r
			}
		}
	}
	if host, ok := strings.CutPrefix(uri, "https://"); ok && !strings.Contains(host, "/") {
		for _, suffix := range []string{".sharepoint.com", ".sharepoint.us", ".sharepoint-mil.us", ".sharepoint.cn"} {
			if strings.HasSuffix(host, suffix) {
				return ResourceByAlias("sharepoint")
			}
		}
	}
	return nil
}

// Role finds an app role of the resource by value or id.
func (r *Resource) Role(value string) (Permission, bool) { return findPermission(r.Roles, value) }

// Scope finds a delegated scope of the resource by value or id.
func (r *Resource) Scope(value string) (Permission, bool) { return findPermission(r.Scopes, value) }

func findPermission(list []Permission, value string) (Permission, bool) {
	for _, p := range list {
		if strings.EqualFold(p.Value, value) || p.ID == value {
			return p, true
		}
	}
	return Permission{}, false
}

// firstParty are Microsoft's own public clients, present in every tenant
// (CONTRACTS, lab). Preauthorised: Microsoft granted them these Graph scopes
// itself, nobody in the tenant has to consent.
var firstParty = []struct {
	id, name      string
	preauthorised []string
}{
	{GraphCLIID, "Microsoft Graph Command Line Tools", nil},
	{AzureCLIID, "Microsoft Azure CLI", []string{"AuditLog.Read.All", "Directory.AccessAsUser.All", "Group.ReadWrite.All", "User.ReadWrite.All", "email", "openid", "profile"}},
	{AzurePowerShellID, "Microsoft Azure PowerShell", []string{"AuditLog.Read.All", "Directory.AccessAsUser.All", "Group.ReadWrite.All", "User.ReadWrite.All", "email", "openid", "profile"}},
	{M365CLIID, "CLI for Microsoft 365", nil},
	{AzureMobileID, "Azure mobile app", []string{"Directory.AccessAsUser.All", "User.Read", "email", "openid", "profile"}},
}

// Preauthorised gives the scopes of a resource that Microsoft granted to one
// of its own clients, or nil.
func Preauthorised(client, resource string) []string {
	for _, f := range firstParty {
		if f.id != client {
			continue
		}
		switch resource {
		case GraphID:
			return f.preauthorised
		case AzureManagementID:
			if f.preauthorised != nil {
				return []string{"user_impersonation"}
			}
		}
	}
	return nil
}
