package graphsim

import (
	"encoding/base64"
	"encoding/hex"
	"slices"
	"strings"

	"gatehouse/lab/internal/directory"
)

// servicePrincipalType: resource type servicePrincipal.
var servicePrincipalType = newEntity("servicePrincipal",
	prop("id", func(_ *request, p *directory.Principal) any { return p.ID }),
	null("deletedDateTime"),
	prop("accountEnabled", func(_ *request, p *directory.Principal) any { return p.Enabled }),
	prop("alternativeNames", func(*request, *directory.Principal) any { return texts() }),
	prop("appDisplayName", func(r *request, p *directory.Principal) any { return text(r.appOf(p).Name) }),
	prop("appId", func(_ *request, p *directory.Principal) any { return p.ClientID }),
	prop("appOwnerOrganizationId", func(r *request, p *directory.Principal) any { return r.tenant.Owner(p.ClientID) }),
	prop("appRoleAssignmentRequired", func(_ *request, p *directory.Principal) any { return p.AssignmentRequired }),
	prop("createdDateTime", func(_ *request, p *directory.Principal) any { return when(p.Created) }),
	prop("createdByAppId", func(_ *request, p *directory.Principal) any { return text(p.CreatedBy) }),
	prop("displayName", func(r *request, p *directory.Principal) any { return text(r.appOf(p).Name) }),
	prop("replyUrls", func(r *request, p *directory.Principal) any { return texts(r.appOf(p).RedirectURIs...) }),
	prop("servicePrincipalNames", func(r *request, p *directory.Principal) any {
		return texts(append([]string{p.ClientID}, r.resourceOf(p.ClientID).URIs...)...)
	}),
	constant("Application", "servicePrincipalType"),
	prop("signInAudience", func(r *request, p *directory.Principal) any { return audience(r.appOf(p)) }),
	prop("tags", func(r *request, p *directory.Principal) any {
		if r.tenant.Owner(p.ClientID) == directory.MicrosoftTenant {
			return texts()
		}
		return texts("WindowsAzureActiveDirectoryIntegratedApp")
	}),
	prop("appRoles", func(r *request, p *directory.Principal) any { return shownRoles(r.resourceOf(p.ClientID).Roles) }),
	prop("oauth2PermissionScopes", func(r *request, p *directory.Principal) any { return shownScopes(r.resourceOf(p.ClientID).Scopes) }),
	prop("publishedPermissionScopes", func(r *request, p *directory.Principal) any { return shownScopes(r.resourceOf(p.ClientID).Scopes) }).inBeta(),
	prop("api", func(*request, *directory.Principal) any {
		return object("resourceSpecificApplicationPermissions", []any{})
	}).inBeta().plain(),
	prop("keyCredentials", func(_ *request, p *directory.Principal) any { return shownKeys(p.Certificates) }),
	prop("passwordCredentials", func(_ *request, p *directory.Principal) any { return passwords(p.Secrets) }),
	prop("preferredTokenSigningKeyThumbprint", func(_ *request, p *directory.Principal) any { return text(p.SigningKey) }),
	prop("info", func(*request, *directory.Principal) any { return informationalURL() }).plain(),
	prop("verifiedPublisher", func(r *request, p *directory.Principal) any { return verifiedPublisher(r.appOf(p)) }),
	prop("publisherName", func(r *request, p *directory.Principal) any { return r.publisher(p.ClientID) }),
	none("addIns", "endpoints", "notificationEmailAddresses", "resourceSpecificApplicationPermissions"),
	null("appDescription", "applicationTemplateId", "description", "disabledByMicrosoftStatus", "homepage", "isDisabled", "loginUrl", "logoutUrl", "notes",
		"preferredSingleSignOnMode", "samlSingleSignOnSettings", "tokenEncryptionKeyId"),
	null("errorUrl", "passwordSingleSignOnSettings", "preferredTokenSigningKeyEndDateTime", "samlMetadataUrl").inBeta(),
	null("customSecurityAttributes").seldom().plain(),
).ofDirectory()

// applicationType: resource type application, a registration of this tenant.
var applicationType = newEntity("application",
	prop("id", func(_ *request, a *directory.App) any { return a.ID }),
	null("deletedDateTime"),
	prop("appId", func(_ *request, a *directory.App) any { return a.ClientID }),
	prop("createdDateTime", func(_ *request, a *directory.App) any { return when(a.Created) }),
	prop("displayName", func(_ *request, a *directory.App) any { return a.Name }),
	prop("publisherDomain", func(r *request, _ *directory.App) any { return r.tenant.Initial() }),
	prop("signInAudience", func(_ *request, a *directory.App) any { return audience(a) }),
	prop("isFallbackPublicClient", func(_ *request, a *directory.App) any { return onlyTrue(a.Public) }),
	prop("verifiedPublisher", func(_ *request, a *directory.App) any { return verifiedPublisher(a) }),
	prop("info", func(*request, *directory.App) any { return informationalURL() }).plain(),
	prop("api", apiMember),
	prop("appRoles", func(_ *request, a *directory.App) any { return shownRoles(apiOf(a).Roles) }),
	prop("identifierUris", func(_ *request, a *directory.App) any { return texts(apiOf(a).URIs...) }),
	prop("keyCredentials", func(_ *request, a *directory.App) any { return shownKeys(a.Certificates) }),
	prop("passwordCredentials", func(_ *request, a *directory.App) any { return passwords(a.Secrets) }),
	prop("parentalControlSettings", func(*request, *directory.App) any {
		return object("countriesBlockedForMinors", []any{}, "legalAgeGroupRule", "Allow")
	}).plain(),
	prop("publicClient", func(_ *request, a *directory.App) any {
		return object("redirectUris", redirects(a, publicKind))
	}),
	prop("web", func(_ *request, a *directory.App) any {
		uris := redirects(a, webKind)
		settings := []any{}
		for i, uri := range uris {
			settings = append(settings, object("uri", uri, "index", i))
		}
		return object("homePageUrl", nil, "logoutUrl", nil, "redirectUris", uris, "redirectUriSettings", settings,
			"implicitGrantSettings", object("enableAccessTokenIssuance", false, "enableIdTokenIssuance", a.IDTokens))
	}),
	prop("groupMembershipClaims", func(_ *request, a *directory.App) any {
		if a.GroupClaims == "" {
			return nil
		}
		return a.GroupClaims
	}),
	prop("spa", func(_ *request, a *directory.App) any { return object("redirectUris", redirects(a, spaKind)) }),
	prop("requiredResourceAccess", requiredAccess),
	none("addIns", "tags"),
	null("applicationTemplateId", "authenticationBehaviors", "certification", "createdByAppId", "defaultRedirectUri", "description", "disabledByMicrosoftStatus",
		"isDeviceOnlyAuthSupported", "isDisabled", "nativeAuthenticationApisEnabled", "notes", "optionalClaims", "requestSignatureVerification",
		"samlMetadataUrl", "serviceManagementReference", "servicePrincipalLockConfiguration", "tokenEncryptionKeyId", "uniqueName"),
	none("managerApplications").ask(),
	constant(false, "oauth2RequirePostResponse").ask(),
	null("onPremisesPublishing", "signInAudienceRestrictions", "windows").inBeta().plain(),
).ofDirectory()

var noApp = &directory.App{}

// appOf gives the registration behind a service principal; one whose owner is
// gone has an empty one.
func (r *request) appOf(p *directory.Principal) *directory.App {
	if a := r.tenant.App(p.ClientID); a != nil {
		return a
	}
	return noApp
}

func (r *request) publisher(clientID string) any {
	owner := r.tenant.Owner(clientID)
	switch owner {
	case directory.MicrosoftTenant:
		return "Microsoft Services"
	case r.tenant.ID:
		return r.tenant.Name
	}
	return nil // another tenant's name is not looked up
}

func audience(a *directory.App) string {
	if a.MultiTenant {
		return "AzureADMultipleOrgs"
	}
	return "AzureADMyOrg"
}

func informationalURL() map[string]any {
	return object("logoUrl", nil, "marketingUrl", nil, "privacyStatementUrl", nil, "supportUrl", nil, "termsOfServiceUrl", nil)
}

func verifiedPublisher(a *directory.App) any {
	if !a.Verified || a.FirstParty {
		return object("displayName", nil, "verifiedPublisherId", nil, "addedDateTime", nil)
	}
	return object("displayName", a.Name+" publisher", "verifiedPublisherId", text(a.PublisherID()), "addedDateTime", when(a.Created))
}

func passwords(list []*directory.Secret) any {
	out := []any{}
	for _, s := range list {
		out = append(out, passwordCredential(s, nil))
	}
	return out
}

func passwordCredential(s *directory.Secret, value any) map[string]any {
	return object("customKeyIdentifier", text(s.Identifier), "displayName", text(s.Name), "startDateTime", when(s.Start), "endDateTime", when(s.End), "hint", s.Hint, "keyId", s.KeyID, "secretText", value)
}

func shownKeys(list []*directory.Certificate) any {
	out := []any{}
	for _, c := range list {
		out = append(out, shownKey(c))
	}
	return out
}

// shownKey: resource type keyCredential, without the key itself.
func shownKey(c *directory.Certificate) map[string]any {
	usage := "Verify"
	if c.Usage != "" {
		usage = c.Usage
	}
	return object("customKeyIdentifier", identifier(c), "displayName", text(c.Name), "startDateTime", when(c.Certificate.NotBefore), "endDateTime", when(c.Certificate.NotAfter),
		"key", nil, "keyId", c.KeyID, "type", keyTypeOf(c), "usage", usage)
}

// identifier is how a key names its certificate: base64 of the thumbprint's text.
func identifier(c *directory.Certificate) string {
	return base64.StdEncoding.EncodeToString([]byte(strings.ToUpper(hex.EncodeToString(c.SHA1[:]))))
}

// keyTypeOf: the private half of a signing key is a PFX file with a password.
func keyTypeOf(c *directory.Certificate) string {
	if c.Usage == usageSign {
		return "X509CertAndPassword"
	}
	return "AsymmetricX509Cert"
}

func requiredAccess(r *request, a *directory.App) any {
	wanted := map[string][]any{}
	var order []string
	add := func(asked []directory.Requested, kind string, find func(*directory.Resource, string) (directory.Permission, bool)) {
		for _, one := range asked {
			for _, value := range one.Values {
				p, known := find(one.Resource, value)
				if !known {
					continue
				}
				id := one.Resource.ClientID
				if wanted[id] == nil {
					order = append(order, id)
				}
				wanted[id] = append(wanted[id], object("id", p.ID, "type", kind))
			}
		}
	}
	add(r.tenant.Requests(a.Delegated), "Scope", (*directory.Resource).Scope)
	add(r.tenant.Requests(a.Application), "Role", (*directory.Resource).Role)
	out := []any{}
	for _, id := range order {
		out = append(out, object("resourceAppId", id, "resourceAccess", wanted[id]))
	}
	return out
}

// principalByKey finds a service principal by object id or appId='…'.
func (r *request) principalByKey(key string) (*directory.Principal, error) {
	client, byClient := alternate(key, "appId")
	for _, p := range r.tenant.Principals {
		if byClient && strings.EqualFold(p.ClientID, client) || strings.EqualFold(p.ID, key) {
			return p, nil
		}
	}
	return nil, notFound(key)
}

func (r *request) appByKey(key string) (*directory.App, error) {
	client, byClient := alternate(key, "appId")
	i := slices.IndexFunc(r.tenant.Apps, func(a *directory.App) bool {
		return byClient && strings.EqualFold(a.ClientID, client) || strings.EqualFold(a.ID, key)
	})
	if i < 0 {
		return nil, notFound(key)
	}
	return r.tenant.Apps[i], nil
}

func listPrincipals(r *request) (*answer, error) {
	return r.list(directoryPages("servicePrincipals", servicePrincipalType), items(servicePrincipalType, r.tenant.Principals))
}

// ofPrincipal is a handler on one service principal.
func ofPrincipal(fn func(*request, *directory.Principal) (*answer, error)) func(*request) (*answer, error) {
	return func(r *request) (*answer, error) {
		p, err := r.principalByKey(r.vars[0])
		if err != nil {
			return nil, err
		}
		return fn(r, p)
	}
}

func getPrincipal(r *request, p *directory.Principal) (*answer, error) {
	return r.single("servicePrincipals", item{servicePrincipalType, p})
}

func listPrincipalMemberOf(deep bool) func(*request, *directory.Principal) (*answer, error) {
	return func(r *request, p *directory.Principal) (*answer, error) {
		return r.memberships(r.memberOf(p.ID, p.Roles, deep), r.vars[1:])
	}
}

func listApps(r *request) (*answer, error) {
	return r.list(directoryPages("applications", applicationType), items(applicationType, r.tenant.Apps))
}

func getApp(r *request) (*answer, error) {
	a, err := r.appByKey(r.vars[0])
	if err != nil {
		return nil, err
	}
	return r.single("applications", item{applicationType, a})
}
