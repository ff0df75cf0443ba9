package graphsim

import (
	"gatehouse/lab/internal/directory"
)

// securityDefaultsType: resource type identitySecurityDefaultsEnforcementPolicy.
var securityDefaultsType = newEntity("identitySecurityDefaultsEnforcementPolicy",
	constant("00000000-0000-0000-0000-000000000005", "id"),
	constant("Security Defaults", "displayName"),
	constant("A base of protection that Microsoft recommends. It has no exceptions and excludes Conditional Access.", "description"),
	null("deletedDateTime"),
	prop("isEnabled", func(_ *request, t *directory.Tenant) any { return t.SecurityDefaults }),
)

// authorizationPolicyType: resource type authorizationPolicy.
var authorizationPolicyType = newEntity("authorizationPolicy",
	constant("authorizationPolicy", "id"),
	null("deletedDateTime"),
	constant("Authorization Policy", "displayName"),
	constant("Settings of authorization for the whole tenant.", "description"),
	setting("allowedToSignUpEmailBasedSubscriptions", true), setting("allowedToUseSSPR", true),
	setting("allowEmailVerifiedUsersToJoinOrganization", false), setting("blockMsolPowerShell", false),
	setting("allowInvitesFrom", "everyone"),
	setting("allowUserConsentForRiskyApps", nil),
	setting("guestUserRoleId", "10dae51f-b6af-4016-8d66-8c2a99b929b3"),
	prop("defaultUserRolePermissions", func(_ *request, t *directory.Tenant) any {
		out := object("permissionGrantPoliciesAssigned", assignedPolicies(t))
		for _, name := range []string{"allowedToCreateApps", "allowedToCreateSecurityGroups", "allowedToCreateTenants", "allowedToReadBitlockerKeysForOwnedDevice", "allowedToReadOtherUsers"} {
			out[name] = settled(t, name, true)
		}
		return out
	}),
	prop("permissionGrantPolicyIdsAssignedToDefaultUserRole", func(_ *request, t *directory.Tenant) any { return assignedPolicies(t) }).inBeta(),
	none("enabledPreviewFeatures").inBeta(),
)

// settled is a setting of the authorization policy as it was written last.
func settled(t *directory.Tenant, name string, standard any) any {
	if t.Authorization != nil {
		if v, written := t.Authorization.Members[name]; written {
			return v
		}
	}
	return standard
}

func setting(name string, standard any) members {
	return prop(name, func(_ *request, t *directory.Tenant) any { return settled(t, name, standard) })
}

// grantPolicies: who may consent, as "Configure how users consent to
// applications" maps the portal's choices to policies.
func grantPolicies(t *directory.Tenant) []any {
	switch t.Consent.Users {
	case "all":
		return texts("ManagePermissionGrantsForSelf.microsoft-user-default-legacy")
	case "low_risk":
		return texts("ManagePermissionGrantsForSelf.microsoft-user-default-low")
	case "managed":
		return texts("ManagePermissionGrantsForSelf.microsoft-user-default-recommended")
	}
	return texts()
}

// assignedPolicies are those and what was assigned besides.
func assignedPolicies(t *directory.Tenant) []any {
	return append(grantPolicies(t), texts(t.CustomConsent...)...)
}

// consentRequestType: resource type adminConsentRequestPolicy.
var consentRequestType = newEntity("adminConsentRequestPolicy",
	prop("isEnabled", func(_ *request, t *directory.Tenant) any { return t.Consent.AdminRequests }),
	written("notifyReviewers", func(_ *request, t *directory.Tenant) any { return t.Consent.AdminRequests }),
	written("remindersEnabled", func(_ *request, t *directory.Tenant) any { return t.Consent.AdminRequests }),
	written("requestDurationInDays", func(_ *request, t *directory.Tenant) any {
		if t.Consent.AdminRequests {
			return 30
		}
		return 0
	}),
	written("version", func(*request, *directory.Tenant) any { return 0 }),
	written("reviewers", func(_ *request, t *directory.Tenant) any {
		out := []any{}
		for _, u := range t.Users {
			if t.Consent.AdminRequests && len(u.Roles) > 0 && u.Roles[0] == globalAdministrator {
				out = append(out, object("query", "/users/"+u.ID, "queryType", "MicrosoftGraph", "queryRoot", nil))
			}
		}
		return out
	}),
)

// methodsPolicyType: resource type authenticationMethodsPolicy.
var methodsPolicyType = newEntity("authenticationMethodsPolicy",
	constant("authenticationMethodsPolicy", "id"),
	constant("Authentication Methods Policy", "displayName"),
	constant("Which methods people of the tenant may register and use.", "description"),
	prop("lastModifiedDateTime", func(_ *request, t *directory.Tenant) any {
		if t.MethodsPolicy != nil {
			return when(t.MethodsPolicy.Modified)
		}
		return when(t.Created)
	}),
	constant("1.5", "policyVersion"),
	putLast(methodsPolicy, "policyMigrationState", "migrationComplete"),
	null("reconfirmationInDays"),
	putLast(methodsPolicy, "registrationEnforcement",
		object("authenticationMethodsRegistrationCampaign", object("snoozeDurationInDays", 1, "enforceRegistrationAfterAllowedSnoozes", true, "state", "default", "excludeTargets", []any{},
			"includeTargets", []any{object("id", "all_users", "targetType", "group", "targetedAuthenticationMethod", "microsoftAuthenticator")}))),
	putLast(methodsPolicy, "systemCredentialPreferences", object("state", "default", "excludeTargets", []any{}, "includeTargets", []any{object("id", "all_users", "targetType", "group")})),
	putLast(methodsPolicy, "reportSuspiciousActivitySettings", object("state", "default", "voiceReportingCode", 0, "includeTarget", object("id", "all_users", "targetType", "group"))).inBeta(),
	null("microsoftAuthenticatorPlatformSettings").inBeta(),
	prop("authenticationMethodConfigurations", func(r *request, _ *directory.Tenant) any {
		out := []any{}
		for _, c := range r.configurationsHere() {
			out = append(out, c)
		}
		return out
	}),
)

// configurations are the authentication method configurations of a tenant where
// nobody has changed them: what the tenants file lets people register is
// allowed.
func configurations() []map[string]any {
	everybody := object("targetType", "group", "id", "all_users", "isRegistrationRequired", false)
	feature := object("state", "default", "includeTarget", object("targetType", "group", "id", "all_users"), "excludeTarget", object("targetType", "group", "id", noRole))
	one := func(id, name, state string, include []any, pairs ...any) map[string]any {
		return extend(object("@odata.type", "#microsoft.graph."+name+"AuthenticationMethodConfiguration", "id", id, "state", state, "excludeTargets", []any{}, "includeTargets", include), pairs...)
	}
	return []map[string]any{
		one("Fido2", "fido2", "enabled", []any{everybody}, "isSelfServiceRegistrationAllowed", true, "isAttestationEnforced", false, "defaultPasskeyProfile", nil,
			"keyRestrictions", object("isEnforced", false, "enforcementType", "block", "aaGuids", []any{})),
		one("MicrosoftAuthenticator", "microsoftAuthenticator", "enabled", []any{extend(everybody, "authenticationMode", "any")}, "isSoftwareOathEnabled", true,
			"featureSettings", object("displayAppInformationRequiredState", feature, "displayLocationInformationRequiredState", feature, "companionAppAllowedState", feature)),
		one("Sms", "sms", "enabled", []any{extend(everybody, "isUsableForSignIn", false)}),
		one("TemporaryAccessPass", "temporaryAccessPass", "enabled", []any{everybody}, "defaultLifetimeInMinutes", 60, "defaultLength", 8, "minimumLifetimeInMinutes", 60, "maximumLifetimeInMinutes", 480, "isUsableOnce", false),
		one("HardwareOath", "hardwareOath", "disabled", []any{}),
		one("SoftwareOath", "softwareOath", "enabled", []any{everybody}),
		one("Voice", "voice", "enabled", []any{everybody}, "isOfficePhoneAllowed", true),
		one("Email", "email", "enabled", []any{everybody}, "allowExternalIdToUseEmailOtp", "default"),
		one("X509Certificate", "x509Certificate", "disabled", []any{}, "certificateUserBindings", []any{}, "certificateAuthorityScopes", []any{},
			"authenticationModeConfiguration", object("x509CertificateAuthenticationDefaultMode", "x509CertificateSingleFactor", "x509CertificateDefaultRequiredAffinityLevel", "low", "rules", []any{}),
			"crlValidationConfiguration", object("state", "disabled", "exemptedCertificateAuthoritiesSubjectKeyIdentifiers", []any{}),
			"issuerHintsConfiguration", object("state", "disabled")),
		one("QRCodePin", "qrCodePin", "disabled", []any{}, "standardQRCodeLifetimeInDays", 365, "pinLength", 8),
	}
}

// tenantPolicy serves a policy that a tenant has one of.
func tenantPolicy(set string, typ *entity) func(*request) (*answer, error) {
	return func(r *request) (*answer, error) { return r.single(set, item{typ, r.tenant}) }
}

// listAuthorizationPolicy: in beta the policy is a collection of one.
func listAuthorizationPolicy(r *request) (*answer, error) {
	return r.list(listing{set: "policies/authorizationPolicy", types: []*entity{authorizationPolicyType}}, []item{{authorizationPolicyType, r.tenant}})
}

const configurationSet = "policies/authenticationMethodsPolicy/authenticationMethodConfigurations"

func listConfigurations(r *request) (*answer, error) {
	out := []any{}
	for _, c := range r.configurationsHere() {
		out = append(out, c)
	}
	return ok(map[string]any{"@odata.context": r.context(configurationSet), "value": out}), nil
}

func getConfiguration(r *request) (*answer, error) {
	c, err := r.configurationHere(r.vars[0])
	if err != nil {
		return nil, err
	}
	return ok(extend(c, "@odata.context", r.context(configurationSet)+"/$entity")), nil
}
