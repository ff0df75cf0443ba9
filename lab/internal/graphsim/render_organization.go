package graphsim

import (
	"slices"
	"strings"

	"gatehouse/lab/internal/directory"
)

// organizationType: resource type organization.
var organizationType = newEntity("organization",
	prop("id", func(_ *request, t *directory.Tenant) any { return t.ID }),
	null("deletedDateTime"),
	prop("displayName", func(_ *request, t *directory.Tenant) any { return t.Name }),
	prop("createdDateTime", func(_ *request, t *directory.Tenant) any { return when(t.Created) }),
	constant("AAD", "tenantType"),
	prop("verifiedDomains", verifiedDomains),
	prop("assignedPlans", func(_ *request, t *directory.Tenant) any {
		out := []any{}
		for _, p := range plans(t.Licences) {
			out = append(out, object("assignedDateTime", when(t.Created), "capabilityStatus", "Enabled", "service", p.Service, "servicePlanId", p.ID))
		}
		return out
	}),
	prop("provisionedPlans", func(_ *request, t *directory.Tenant) any {
		out := []any{}
		for _, p := range plans(t.Licences) {
			out = append(out, object("capabilityStatus", "Enabled", "provisioningStatus", "Success", "service", p.Service))
		}
		return out
	}),
	prop("onPremisesSyncEnabled", func(_ *request, t *directory.Tenant) any { return onlyTrue(synchronised(t)) }),
	prop("onPremisesLastSyncDateTime", func(r *request, t *directory.Tenant) any {
		if !synchronised(t) {
			return nil
		}
		return lastSync(r)
	}),
	prop("technicalNotificationMails", func(_ *request, t *directory.Tenant) any { return texts("it@" + t.Initial()) }),
	none("businessPhones", "marketingNotificationEmails", "securityComplianceNotificationMails", "securityComplianceNotificationPhones"),
	constant("US", "countryLetterCode"),
	constant("en", "preferredLanguage"),
	constant("unknown", "mobileDeviceManagementAuthority"),
	null("city", "country", "defaultUsageLocation", "partnerTenantType", "postalCode", "privacyProfile", "state", "street"),
	prop("directorySizeQuota", func(_ *request, t *directory.Tenant) any {
		return object("used", len(t.Users)+len(t.Groups)+len(t.Apps)+len(t.Principals), "total", 300000)
	}).plain(),
	null("certificateConnectorSetting", "onPremisesLastPasswordSyncDateTime").inBeta().plain(),
	constant(false, "isMultipleDataLocationsForServicesEnabled"), // not in v1.0's metadata, but in its answers
).ofDirectory("id", "displayName", "verifiedDomains")

func synchronised(t *directory.Tenant) bool {
	return slices.ContainsFunc(t.Users, func(u *directory.User) bool { return u.Synced })
}

func verifiedDomains(_ *request, t *directory.Tenant) any {
	out := []any{}
	for _, d := range t.Domains {
		kind := "Managed"
		if d.Federation != nil {
			kind = "Federated"
		}
		out = append(out, object("capabilities", "Email, OfficeCommunicationsOnline", "isDefault", d.Default, "isInitial", d.Initial, "name", d.Name, "type", kind))
	}
	return out
}

func listOrganization(r *request) (*answer, error) {
	return r.list(listing{set: "organization", types: []*entity{organizationType}}, []item{{organizationType, r.tenant}})
}

func getOrganization(r *request) (*answer, error) {
	if !strings.EqualFold(r.vars[0], r.tenant.ID) {
		return nil, notFound(r.vars[0])
	}
	return r.single("organization", item{organizationType, r.tenant})
}

// skuType: resource type subscribedSku.
var skuType = newEntity("subscribedSku",
	prop("id", func(r *request, s directory.SKU) any { return r.tenant.ID + "_" + s.ID }),
	prop("accountId", func(r *request, _ directory.SKU) any { return r.tenant.ID }),
	prop("accountName", func(r *request, _ directory.SKU) any {
		name, _, _ := strings.Cut(r.tenant.Initial(), ".")
		return name
	}),
	constant("User", "appliesTo"),
	constant("Enabled", "capabilityStatus"),
	prop("consumedUnits", func(r *request, s directory.SKU) any { return consumed(r.tenant, s) }),
	prop("prepaidUnits", func(r *request, s directory.SKU) any {
		return object("enabled", max(25, consumed(r.tenant, s)), "suspended", 0, "warning", 0, "lockedOut", 0)
	}),
	prop("servicePlans", func(_ *request, s directory.SKU) any { return servicePlans(s) }),
	prop("skuId", func(_ *request, s directory.SKU) any { return s.ID }),
	prop("skuPartNumber", func(_ *request, s directory.SKU) any { return s.PartNumber }),
	prop("subscriptionIds", func(r *request, s directory.SKU) any {
		return texts(directory.NameID("subscription", r.tenant.ID, s.ID))
	}),
)

func consumed(t *directory.Tenant, s directory.SKU) int {
	n := 0
	for _, u := range t.Users {
		if slices.Contains(u.Licences, s.PartNumber) {
			n++
		}
	}
	return n
}

func listSKUs(r *request) (*answer, error) {
	return r.list(listing{set: "subscribedSkus", types: []*entity{skuType}, bare: true}, items(skuType, r.tenant.Licences))
}

func getSKU(r *request) (*answer, error) {
	for _, it := range items(skuType, r.tenant.Licences) {
		if strings.EqualFold(r.idOf(it), r.vars[0]) {
			return r.single("subscribedSkus", it)
		}
	}
	return nil, notFound(r.vars[0])
}
