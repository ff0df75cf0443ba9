package main

import (
	"regexp"
	"strings"
)

// Bodies of the things that an empty tenant lacks.
var (
	conditionalPolicy = map[string]any{
		"displayName": "Riggers, strong", "state": "enabledForReportingButNotEnforced", "grantControls": map[string]any{"operator": "OR", "builtInControls": []any{"mfa"}},
		"conditions": map[string]any{
			"signInRiskLevels": []any{"high", "medium"}, "clientAppTypes": []any{"all"}, "applications": map[string]any{"includeApplications": []any{"All"}}, "users": map[string]any{"includeUsers": []any{"All"}},
			"platforms": map[string]any{"includePlatforms": []any{"all"}}, "locations": map[string]any{"includeLocations": []any{"All"}},
		},
		"sessionControls": map[string]any{
			"signInFrequency": map[string]any{"value": 4, "type": "hours", "isEnabled": true}, "cloudAppSecurity": map[string]any{"cloudAppSecurityType": "monitorOnly", "isEnabled": true},
			"persistentBrowser": map[string]any{"mode": "never", "isEnabled": true}, "applicationEnforcedRestrictions": map[string]any{"isEnabled": true},
		},
	}
	countries = map[string]any{"@odata.type": "#microsoft.graph.countryNamedLocation", "displayName": "Coasts", "countriesAndRegions": []any{"NO", "PT"}}
	addresses = map[string]any{
		"@odata.type": "#microsoft.graph.ipNamedLocation", "displayName": "Yard", "isTrusted": false,
		"ipRanges": []any{
			map[string]any{"@odata.type": "#microsoft.graph.iPv4CidrRange", "cidrAddress": "192.0.2.0/24"}, map[string]any{"@odata.type": "#microsoft.graph.iPv6CidrRange", "cidrAddress": "2001:db8::/32"},
		},
	}
)

// narrow is a report-only policy for what applications names.
func narrow(name string, applications map[string]any) map[string]any {
	return map[string]any{
		"displayName": name, "state": "enabledForReportingButNotEnforced",
		"conditions":    map[string]any{"clientAppTypes": []any{"all"}, "applications": applications, "users": map[string]any{"includeUsers": []any{"All"}}},
		"grantControls": map[string]any{"operator": "OR", "authenticationStrength": map[string]any{"id": "00000000-0000-0000-0000-000000000002"}},
	}
}

// furniture is what is made before the examples are asked for.
func (g *simulated) furniture() []thing {
	const conditional, owners = "/v1.0/identity/conditionalAccess/", "/owners/$ref"
	link := func(id string) map[string]any {
		return map[string]any{"@odata.id": "https://graph.microsoft.com/v1.0/directoryObjects/" + id}
	}
	bob, ann := link(g.tenant.Users[1].ID), link(g.tenant.Users[0].ID)
	return []thing{
		{conditional + "policies", conditionalPolicy},
		{conditional + "policies", narrow("Gates", map[string]any{"includeAuthenticationContextClassReferences": []any{"c1"}})},
		{conditional + "policies", narrow("Registering", map[string]any{"includeUserActions": []any{"urn:user:registersecurityinfo"}})},
		{conditional + "namedLocations", countries},
		{conditional + "namedLocations", addresses},
		{"/v1.0/identityGovernance/termsOfUse/agreements", map[string]any{"displayName": "Yard rules", "isViewingBeforeAcceptanceRequired": true}},
		{conditional + "authenticationContextClassReferences", map[string]any{"id": "c1", "displayName": "Locks", "description": "Locks of the yard", "isAvailable": true}},
		{"/v1.0/policies/authenticationStrengthPolicies", map[string]any{"displayName": "Keys", "description": "Keys of the yard", "allowedCombinations": []any{"fido2", "password,sms"}}},
		{"/v1.0/policies/permissionGrantPolicies", map[string]any{"id": ownPolicy, "displayName": "Own", "description": "Of the yard"}},
		{"/v1.0/policies/permissionGrantPolicies/" + ownPolicy + "/includes", map[string]any{"permissionType": "delegated"}},
		{"/v1.0/policies/permissionGrantPolicies/" + ownPolicy + "/excludes", map[string]any{"permissionType": "application"}},
		{"/v1.0/identityProtection/riskyUsers/confirmCompromised", map[string]any{"userIds": []any{g.tenant.Users[1].ID}}},
		{"/v1.0/groups/" + g.ids["Avery family"] + owners, bob},
		{"/v1.0/groups/" + g.ids["Avery family"] + owners, ann},
		{"/v1.0/groups/" + g.ids["Avery seniors"] + owners, link(g.ids["Reader"])},
		{"/v1.0/servicePrincipals/" + g.ids["Reader"] + owners, bob},
		{"/v1.0/applications/appId=" + g.tenant.Apps[0].ClientID + owners, bob},
		{"/v1.0/applications/appId=" + g.tenant.Apps[0].ClientID + "/federatedIdentityCredentials", map[string]any{
			"name": "yard-build", "issuer": "https://tokens.yard.example", "subject": "yard", "audiences": []any{"api://AzureADTokenExchange"}}},
		{"/v1.0/groups/" + g.ids["Avery family"] + "/appRoleAssignments", map[string]any{"principalId": g.ids["Avery family"], "resourceId": g.ids["Second"], "appRoleId": noRole}},
		{"/v1.0/servicePrincipals/" + g.ids["Microsoft Graph"] + "/delegatedPermissionClassifications", map[string]any{"permissionName": "User.Read", "classification": "low"}},
	}
}

const noRole = "00000000-0000-0000-0000-000000000000"

// madeUp are values of examples that name an object of theirs.
var madeUp = regexp.MustCompile(`^(.*/)?(\{.*\}|[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12})$`)

// bodyOf is the documented body with ids of the lab's tenant, or one of our own
// where the example shows none or speaks of what the tenant cannot have.
func (g *simulated) bodyOf(x graphExample, path string) any {
	lower := strings.ToLower(path)
	for _, own := range g.ownBodies() {
		if x.Method == own.method && strings.HasSuffix(lower, own.end) {
			return own.body
		}
	}
	if x.Method == "DELETE" {
		return nil
	}
	documented, isObject := x.Request.(map[string]any)
	if wrapped, isList := documented["value"].([]any); isList && len(documented) == 1 && len(wrapped) == 1 { // an older page's slip
		documented, isObject = wrapped[0].(map[string]any)
	}
	if !isObject {
		if strings.HasSuffix(lower, "/policies/"+lower[strings.LastIndexByte(lower, '/')+1:]) && x.Method == "PATCH" {
			return map[string]any{"displayName": "Renamed"}
		}
		return map[string]any{}
	}
	return g.translated("", documented, lower)
}

type ownBody struct {
	method, end string
	body        any
}

// ownBodies are those that stand instead of documented ones, by the end of the
// path.
func (g *simulated) ownBodies() []ownBody {
	user, second, graph := g.tenant.Users[1].ID, g.ids["Second"], g.ids["Microsoft Graph"]
	return []ownBody{
		{"POST", "/oauth2permissiongrants", map[string]any{"clientId": second, "consentType": "AllPrincipals", "principalId": nil, "resourceId": graph, "scope": "User.Read"}},
		{"POST", "/approleassignedto", map[string]any{"principalId": user, "resourceId": g.ids["Reader"], "appRoleId": noRole}},
		{"POST", g.ids["Reader"] + "/approleassignments", map[string]any{"principalId": g.ids["Reader"], "resourceId": graph, "appRoleId": "df021288-bdef-4463-88db-98f22de89214"}},
		{"POST", "/approleassignments", map[string]any{"principalId": g.tenant.Users[0].ID, "resourceId": second, "appRoleId": noRole}},
		{"POST", "/delegatedpermissionclassifications", map[string]any{"permissionName": "Mail.Read", "classification": "low"}},
		{"POST", "/authenticationcontextclassreferences", map[string]any{"id": "c2", "displayName": "Gates", "description": "Gates of the yard", "isAvailable": false}},
		{"POST", g.ids["Avery family"] + "/approleassignments", map[string]any{"principalId": g.ids["Avery family"], "resourceId": g.ids["Reader"], "appRoleId": noRole}},
		{"POST", "/addpassword", map[string]any{"passwordCredential": map[string]any{"displayName": "eval"}}},
		{"POST", "/directoryroles", map[string]any{"roleTemplateId": "fe930be7-5e62-47db-91af-98c3a49a38b1"}},
		{"POST", "/roleassignments", map[string]any{"principalId": user, "roleDefinitionId": "fe930be7-5e62-47db-91af-98c3a49a38b1", "directoryScopeId": "/"}},
		{"POST", "/temporaryaccesspassmethods", map[string]any{"lifetimeInMinutes": 60, "isUsableOnce": false}},
		{"POST", "/getmembergroups", map[string]any{"securityEnabledOnly": false}},
		{"POST", "/getmemberobjects", map[string]any{"securityEnabledOnly": false}},
		{"POST", "/revokesigninsessions", nil},
	}
}

// translated copies a documented body with ids of the lab's tenant.
func (g *simulated) translated(name string, value any, path string) any {
	switch v := value.(type) {
	case map[string]any:
		out := map[string]any{}
		for member, inner := range v {
			out[member] = g.translated(member, inner, path)
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i, inner := range v {
			out[i] = g.translated(name, inner, path)
		}
		return out
	case string:
		if name == "userPrincipalName" {
			local, _, _ := strings.Cut(v, "@")
			return local + "@" + g.tenant.Domain
		}
		if prefix := madeUp.FindStringSubmatch(v); prefix != nil && v != noRole {
			if id := g.named(name, path); id != "" {
				return prefix[1] + id
			}
		}
		if name == "authenticationContextValue" {
			return "c1"
		}
	}
	return value
}

// named gives an object of the lab for a member that names one, "" if the
// value may stay.
func (g *simulated) named(member, path string) string {
	switch strings.TrimSuffix(member, "@odata.bind") {
	case "userId", "userIds", "includeUsers", "excludeUsers", "owners", "query", "ids":
		return g.tenant.Users[0].ID
	case "@odata.id", "members":
		return g.ids["Second"] // which is no member yet
	case "includeGroups", "excludeGroups", "groupIds":
		return g.ids["Avery family"]
	case "servicePrincipalId":
		return g.ids["Reader"]
	case "appId":
		return g.vendor
	case "includeLocations", "excludeLocations":
		return g.first("/v1.0/identity/conditionalAccess/namedLocations")
	case "termsOfUse":
		return g.first("/v1.0/identityGovernance/termsOfUse/agreements")
	case "keyId":
		return g.secret(path)
	case "id":
		if strings.Contains(path, "authenticationmethod") { // a target
			return g.ids["Avery family"]
		}
	}
	return ""
}

// first is the id of the first object of a collection, "" if there is none.
func (g *simulated) first(path string) string {
	_, body, err := g.ask("GET", path, "", nil)
	if err != nil || len(entities(body)) == 0 {
		return ""
	}
	id, _ := entities(body)[0]["id"].(string)
	return id
}

// secret makes a secret on the object of the path, and gives its key's id.
func (g *simulated) secret(path string) string {
	at, _, _ := strings.Cut(path, "/removepassword")
	_, body, err := g.ask("POST", at+"/addPassword", "", map[string]any{})
	if err != nil {
		return ""
	}
	id, _ := body["keyId"].(string)
	return id
}
