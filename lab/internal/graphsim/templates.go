package graphsim

import (
	"slices"
	"strings"

	"gatehouse/lab/internal/directory"
)

const templateSet = "identity/conditionalAccess/templates"

// template is one of Microsoft's ready-made policies. Ids are Microsoft's, the
// words are the lab's.
type template struct {
	id, name, scenarios        string
	conditions, grant, session map[string]any
}

// templateType: resource type conditionalAccessTemplate.
var templateType = newEntity("conditionalAccessTemplate",
	prop("id", func(_ *request, t template) any { return t.id }),
	prop("name", func(_ *request, t template) any { return t.name }),
	prop("description", func(_ *request, t template) any {
		return t.name + ". The one who makes the policy is excluded from it."
	}),
	prop("scenarios", func(_ *request, t template) any { return t.scenarios }),
	prop("details", func(r *request, t template) any {
		return object("conditions", complete(r, t.conditions, conditionBlocks), "grantControls", shownControls(r, t.grant), "sessionControls", complete(r, t.session, sessionBlocks))
	}).plain(),
)

// templates are those whose ids are documented ("Conditional Access templates").
var templates = func() []template {
	current := texts("Current administrator will be excluded")
	everyone := object("includeUsers", texts("All"), "excludeUsers", current)
	apps := object("includeApplications", texts("All"))
	demand := func(operator string, controls ...string) map[string]any {
		return object("operator", operator, "builtInControls", texts(controls...))
	}
	where := func(users, applications map[string]any, pairs ...any) map[string]any {
		return extend(object("users", users, "applications", applications, "clientAppTypes", texts("all")), pairs...)
	}
	var admins []any
	for _, id := range []string{globalAdministrator, securityAdministrator, "f28a1f50-f6e7-4571-818b-6a12f2af6b6c", "29232cdf-9323-42fd-ade2-1d097af3e4de", conditionalAccessAdmin,
		helpdeskAdministrator, "b0f54661-2d74-4c50-afa3-1ec803f12efe", userAdministrator, authenticationAdministrator, applicationAdministrator, cloudAppAdministrator,
		passwordAdministrator, privilegedAuthentication, privilegedRoleAdministrator} {
		admins = append(admins, id)
	}
	administrators := object("includeRoles", admins, "excludeUsers", current)
	const base, remote = "secureFoundation,zeroTrust,remoteWork", "zeroTrust,remoteWork"
	return []template{
		{"c7503427-338e-4c5e-902d-abe252abfb43", "Require multifactor authentication for admins", "secureFoundation,zeroTrust,protectAdmins", where(administrators, apps), demand("OR", "mfa"), nil},
		{"b8bda7f8-6584-4446-bce9-d871480e53fa", "Securing security info registration", base,
			where(extend(everyone, "excludeUsers", append(slices.Clone(current), "GuestsOrExternalUsers")), object("includeUserActions", texts("urn:user:registersecurityinfo")),
				"locations", object("includeLocations", texts("All"), "excludeLocations", texts("AllTrusted"))), demand("OR", "mfa"), nil},
		{"0b2282f9-2862-4178-88b5-d79340b36cb8", "Block legacy authentication", "secureFoundation,zeroTrust,remoteWork,protectAdmins",
			where(everyone, apps, "clientAppTypes", texts("exchangeActiveSync", "other")), demand("OR", "block"), nil},
		{"a3d0a415-b068-4326-9251-f9cdf9feeb64", "Require multifactor authentication for all users", base, where(everyone, apps), demand("OR", "mfa"), nil},
		{"a4072ac0-722b-4991-981b-7f9755daef14", "Require multifactor authentication for guest access", remote,
			where(object("includeUsers", texts("GuestsOrExternalUsers"), "excludeUsers", current), apps), demand("OR", "mfa"), nil},
		{"d8c51a9a-e6b1-454d-86af-554e7872e2c1", "Require multifactor authentication for Azure management", "secureFoundation,zeroTrust,protectAdmins",
			where(everyone, object("includeApplications", texts("797f4846-ba00-4fd7-ba43-dac1f8f63013"))), demand("OR", "mfa"), nil},
		{"927c884e-7888-4e81-abc4-bd56ded28985", "Require compliant or hybrid joined device or multifactor authentication for all users", remote,
			where(everyone, apps), demand("OR", "compliantDevice", "domainJoinedDevice", "mfa"), nil},
		{"76c03f19-ea37-4656-a772-a183b4ddb81d", "Require phishing-resistant multifactor authentication for admins", "zeroTrust,protectAdmins,emergingThreats",
			where(administrators, apps), object("operator", "OR", "authenticationStrength", object("id", directory.StrengthPhishingResistant)), nil},
		{"6364131e-bc4a-47c4-a20b-33492d1fff6c", "Require multifactor authentication for Microsoft admin portals", "zeroTrust,protectAdmins,emergingThreats",
			where(administrators, object("includeApplications", texts("MicrosoftAdminPortals"))), demand("OR", "mfa"), nil},
		{"16aaa400-bfdf-4756-a420-ad2245d4cde8", "Block access to Office365 apps for users with insider risk", "zeroTrust",
			where(everyone, object("includeApplications", texts("Office365")), "insiderRiskLevels", "elevated"), demand("OR", "block"), nil},
		{"6b619f55-792e-45dc-9711-d83ec9d7ae90", "Require multifactor authentication for risky sign-ins", remote,
			where(everyone, apps, "signInRiskLevels", texts("high", "medium")), demand("OR", "mfa"), object("signInFrequency", object("frequencyInterval", "everyTime", "isEnabled", true))},
		{"634b6de7-c38d-4357-a2c7-3842706eedd7", "Require password change for high-risk users", remote,
			where(everyone, apps, "userRiskLevels", texts("high")), demand("AND", "mfa", "passwordChange"), object("signInFrequency", object("frequencyInterval", "everyTime", "isEnabled", true))},
		{"4e39a309-931e-4cb1-a371-e2beea168002", "Block access for unknown or unsupported device platform", remote,
			where(everyone, apps, "platforms", object("includePlatforms", texts("all"), "excludePlatforms", texts("android", "iOS", "windows", "macOS", "linux"))), demand("OR", "block"), nil},
		{"62e51ccc-c9c3-4554-ac70-066172c81007", "No persistent browser session", remote,
			where(everyone, apps), nil, object("persistentBrowser", object("mode", "never", "isEnabled", true), "signInFrequency", object("value", 1, "type", "hours", "isEnabled", true))},
		{"81fd2072-4876-42b6-8157-c6000693046b", "Use application enforced restrictions for unmanaged devices", "remoteWork",
			where(everyone, object("includeApplications", texts("Office365"))), nil, object("applicationEnforcedRestrictions", object("isEnabled", true))},
	}
}()

func listTemplates(r *request) (*answer, error) {
	return r.list(listing{set: templateSet, types: []*entity{templateType}}, items(templateType, templates))
}

func getTemplate(r *request) (*answer, error) {
	for _, t := range templates {
		if strings.EqualFold(t.id, r.vars[0]) {
			return r.single(templateSet, item{templateType, t})
		}
	}
	return nil, notFound(r.vars[0])
}
