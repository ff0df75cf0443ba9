package graphsim

import (
	"regexp"
	"slices"
	"strings"
	"time"

	"gatehouse/lab/internal/directory"
)

// userType: resource type user. Without $select v1.0 gives eleven members.
var userType = newEntity("user",
	profile([]any{}, "businessPhones"),
	prop("displayName", func(_ *request, u *directory.User) any { return text(u.Name) }),
	prop("givenName", func(_ *request, u *directory.User) any { return text(u.GivenName) }),
	prop("jobTitle", func(_ *request, u *directory.User) any { return text(u.JobTitle) }),
	prop("mail", func(_ *request, u *directory.User) any { return text(u.Mail) }),
	profile(nil, "mobilePhone", "officeLocation", "preferredLanguage"),
	prop("surname", func(_ *request, u *directory.User) any { return text(u.Surname) }),
	prop("userPrincipalName", func(_ *request, u *directory.User) any { return u.UPN }),
	prop("id", func(_ *request, u *directory.User) any { return u.ID }),
	slices.Concat(
		prop("accountEnabled", func(_ *request, u *directory.User) any { return u.Enabled }),
		prop("userType", func(_ *request, u *directory.User) any { return u.Type }),
		prop("department", func(_ *request, u *directory.User) any { return text(u.Department) }),
		prop("usageLocation", func(_ *request, u *directory.User) any { return text(u.UsageLocation) }),
		prop("createdDateTime", func(_ *request, u *directory.User) any { return when(u.Created) }),
		prop("assignedLicenses", assignedLicenses),
		prop("assignedPlans", assignedPlans),
		prop("provisionedPlans", provisionedPlans),
		prop("licenseAssignmentStates", licenseStates),
		prop("onPremisesSyncEnabled", func(_ *request, u *directory.User) any { return onlyTrue(u.Synced) }),
		prop("onPremisesImmutableId", func(_ *request, u *directory.User) any { return synced(u, u.ImmutableID()) }),
		prop("onPremisesSamAccountName", func(_ *request, u *directory.User) any { return synced(u, nickname(u.UPN)) }),
		prop("onPremisesUserPrincipalName", func(_ *request, u *directory.User) any { return synced(u, u.UPN) }),
		prop("onPremisesDomainName", func(_ *request, u *directory.User) any {
			_, domain, _ := strings.Cut(u.UPN, "@")
			return synced(u, domain)
		}),
		prop("onPremisesDistinguishedName", func(_ *request, u *directory.User) any { return synced(u, "CN="+u.Name+",OU=People") }),
		prop("onPremisesLastSyncDateTime", func(r *request, u *directory.User) any {
			if !u.Synced {
				return nil
			}
			return lastSync(r)
		}),
		null("onPremisesSecurityIdentifier"),
		prop("onPremisesExtensionAttributes", func(*request, *directory.User) any { return extensionAttributes() }),
		none("onPremisesProvisioningErrors", "serviceProvisioningErrors"),
		profile(nil, profileTexts...),
		prop("passwordProfile", func(_ *request, u *directory.User) any {
			if u.PasswordHash == nil {
				return nil
			}
			return object("password", nil, "forceChangePasswordNextSignIn", u.PasswordExpired, "forceChangePasswordNextSignInWithMfa", false)
		}).plain(),
		prop("lastPasswordChangeDateTime", func(_ *request, u *directory.User) any { return when(u.PasswordChanged) }),
		prop("signInSessionsValidFromDateTime", sessionsValidFrom),
		prop("refreshTokensValidFromDateTime", sessionsValidFrom).inBeta(),
		prop("externalUserState", func(_ *request, u *directory.User) any {
			if u.Type != directory.Guest {
				return nil
			}
			return "Accepted"
		}),
		prop("externalUserStateChangeDateTime", func(_ *request, u *directory.User) any {
			if u.Type != directory.Guest {
				return nil
			}
			return when(u.Created)
		}),
		prop("creationType", func(_ *request, u *directory.User) any {
			if u.Type != directory.Guest {
				return nil
			}
			return "Invitation"
		}),
		prop("identities", identities),
		prop("mailNickname", func(_ *request, u *directory.User) any { return nickname(u.UPN) }),
		prop("proxyAddresses", func(_ *request, u *directory.User) any {
			if u.Mail == "" {
				return texts()
			}
			return texts("SMTP:" + u.Mail)
		}),
		prop("otherMails", func(_ *request, u *directory.User) any {
			if u.Type == directory.Guest && u.Mail != "" {
				return texts(u.Mail)
			}
			return texts()
		}),
		prop("imAddresses", func(_ *request, u *directory.User) any {
			if u.Mail == "" {
				return texts()
			}
			return texts(strings.ToLower(u.Mail))
		}),
		prop("authorizationInfo", func(*request, *directory.User) any { return object("certificateUserIds", []any{}) }).plain(),
		prop("securityIdentifier", func(_ *request, u *directory.User) any { return securityIdentifier(u.ID) }),
		null("consentProvidedForMinor", "deletedDateTime", "employeeHireDate", "employeeLeaveDateTime", "isManagementRestricted", "isResourceAccount", "legalAgeGroupClassification",
			"preferredDataLocation", "showInAddressList"),
		null("employeeOrgData", "identityParentId").plain(),
		none("deviceKeys", "infoCatalogs").inBeta(),
		constant(false, "isLicenseReconciliationNeeded").inBeta(),
		null("onPremisesObjectIdentifier", "onPremisesSipInfo", "cloudRealtimeCommunicationInfo", "cloudLicensing", "identityGovernance").inBeta().plain(),
	).ask(),
	prop("signInActivity", signInActivity).seldom(),
	// Undocumented, but seen in tools that read it in bulk (graph-mfa-posture §6).
	prop("perUserMfaState", func(_ *request, u *directory.User) any { return u.PerUserMFA }).seldom().plain(),
	// Kept in SharePoint and Exchange, not in the directory: only by $select.
	null("aboutMe", "mySite", "preferredName", "mailboxSettings", "print", "customSecurityAttributes").seldom().plain(),
	constant("0001-01-01T00:00:00Z", "birthday", "hireDate").seldom().plain(),
	constant(5, "deviceEnrollmentLimit").seldom().plain(),
	none("interests", "pastProjects", "responsibilities", "schools", "skills").seldom().plain(),
).ofDirectory("id", "displayName", "givenName", "surname", "mail", "userPrincipalName")

// profileTexts are the strings of a user's profile that only are kept.
var profileTexts = []string{"ageGroup", "city", "companyName", "country", "employeeId", "employeeType", "faxNumber", "passwordPolicies", "postalCode", "state", "streetAddress"}

// profile are members that are kept as they were written.
func profile(standard any, names ...string) members {
	var out members
	for _, name := range names {
		out = append(out, prop(name, func(_ *request, u *directory.User) any {
			if v := u.Profile[name]; v != nil {
				return v
			}
			return standard
		})...)
	}
	return out
}

// onlyTrue is null where the directory was never synchronised.
func onlyTrue(b bool) any {
	if b {
		return true
	}
	return nil
}

func synced(u *directory.User, value string) any {
	if !u.Synced {
		return nil
	}
	return value
}

var notNickname = regexp.MustCompile(`[^A-Za-z0-9._#-]`)

func nickname(name string) string {
	name, _, _ = strings.Cut(name, "@")
	return notNickname.ReplaceAllString(name, "")
}

func extensionAttributes() map[string]any {
	out := map[string]any{}
	for i := 1; i <= 15; i++ {
		out["extensionAttribute"+itoa(i)] = nil
	}
	return out
}

func sessionsValidFrom(_ *request, u *directory.User) any {
	latest := u.Created
	for _, at := range []time.Time{u.TokensValidFrom, u.PasswordValidFrom, u.RefreshValidFrom} {
		if at.After(latest) {
			latest = at
		}
	}
	return when(latest)
}

func identities(r *request, u *directory.User) any {
	if u.Type == directory.Guest {
		return []any{object("signInType", "federated", "issuer", "ExternalAzureAD", "issuerAssignedId", nil)}
	}
	return []any{object("signInType", "userPrincipalName", "issuer", r.tenant.Initial(), "issuerAssignedId", u.UPN)}
}

func skusOf(u *directory.User) []directory.SKU {
	var out []directory.SKU
	for _, name := range u.Licences {
		if sku, ok := directory.SKUByPartNumber(name); ok {
			out = append(out, sku)
		}
	}
	return out
}

func assignedLicenses(_ *request, u *directory.User) any {
	out := []any{}
	for _, sku := range skusOf(u) {
		out = append(out, object("disabledPlans", []any{}, "skuId", sku.ID))
	}
	return out
}

func licenseStates(_ *request, u *directory.User) any {
	out := []any{}
	for _, sku := range skusOf(u) {
		out = append(out, object("skuId", sku.ID, "disabledPlans", []any{}, "assignedByGroup", nil, "state", "Active", "error", "None", "lastUpdatedDateTime", when(u.Created)))
	}
	return out
}

// plans gives every plan of the licences once.
func plans(skus []directory.SKU) []directory.Plan {
	var out []directory.Plan
	for _, sku := range skus {
		for _, p := range sku.Plans {
			if !slices.Contains(out, p) {
				out = append(out, p)
			}
		}
	}
	return out
}

func assignedPlans(_ *request, u *directory.User) any {
	out := []any{}
	for _, p := range plans(skusOf(u)) {
		out = append(out, object("assignedDateTime", when(u.Created), "capabilityStatus", "Enabled", "service", p.Service, "servicePlanId", p.ID))
	}
	return out
}

func provisionedPlans(_ *request, u *directory.User) any {
	out := []any{}
	for _, p := range plans(skusOf(u)) {
		out = append(out, object("capabilityStatus", "Enabled", "provisioningStatus", "Success", "service", p.Service))
	}
	return out
}

// signInActivity is computed from the log; checkActivity guards it.
func signInActivity(r *request, u *directory.User) any {
	out := object("lastSignInDateTime", nil, "lastSignInRequestId", nil, "lastNonInteractiveSignInDateTime", nil, "lastNonInteractiveSignInRequestId", nil,
		"lastSuccessfulSignInDateTime", nil, "lastSuccessfulSignInRequestId", nil)
	for _, e := range r.tenant.SignIns { // oldest first: the newest stays
		if e.UserID != u.ID {
			continue
		}
		set := func(name string) {
			out["last"+name+"DateTime"], out["last"+name+"RequestId"] = when(e.Time), e.ID
		}
		if e.Interactive {
			set("SignIn")
		} else {
			set("NonInteractiveSignIn")
		}
		if e.Status == 0 {
			set("SuccessfulSignIn")
		}
	}
	return out
}

// licenseDetailsType: resource type licenseDetails.
var licenseDetailsType = newEntity("licenseDetails",
	prop("id", func(_ *request, s directory.SKU) any { return opaque("license", s.ID) }),
	prop("skuId", func(_ *request, s directory.SKU) any { return s.ID }),
	prop("skuPartNumber", func(_ *request, s directory.SKU) any { return s.PartNumber }),
	prop("servicePlans", func(_ *request, s directory.SKU) any { return servicePlans(s) }),
)

func servicePlans(s directory.SKU) []any {
	out := []any{}
	for _, p := range s.Plans {
		out = append(out, object("servicePlanId", p.ID, "servicePlanName", p.Name, "provisioningStatus", "Success", "appliesTo", "User"))
	}
	return out
}
