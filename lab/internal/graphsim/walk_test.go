package graphsim

import (
	"strings"

	"gatehouse/lab/internal/directory"
)

// Bodies with which things are made in tests.
const (
	policyBody = `{"displayName": "Everyone, MFA", "state": "disabled", "conditions": {"applications": {"includeApplications": ["All"]}, "users": {"includeUsers": ["All"], "excludeUsers": ["GuestsOrExternalUsers"]}},
		"grantControls": {"operator": "OR", "builtInControls": ["mfa"]}}`
	locationBody = `{"@odata.type": "#microsoft.graph.ipNamedLocation", "displayName": "Quay", "isTrusted": false, "ipRanges": [{"@odata.type": "#microsoft.graph.iPv4CidrRange", "cidrAddress": "192.0.2.0/24"}]}`
	contextBody  = `{"id": "c1", "displayName": "Locks", "description": "Steps up", "isAvailable": true}`
	strengthBody = `{"displayName": "Keys", "description": "Keys only", "allowedCombinations": ["fido2", "password, sms"]}`
	termsBody    = `{"displayName": "House rules", "isViewingBeforeAcceptanceRequired": true, "files": [{"fileName": "rules.pdf", "fileData": {"data": "eA=="}}]}`
	grantBody    = `{"id": "harbour-own", "displayName": "Own", "description": "Own rules"}`
	setBody      = `{"permissionType": "delegated", "permissionClassification": "low", "clientApplicationsFromVerifiedPublisherOnly": true}`
)

// collections are the sets whose objects tests make, with a body.
var collections = map[string]string{
	"identity/conditionalAccess/policies": policyBody, "identity/conditionalAccess/namedLocations": locationBody,
	"identity/conditionalAccess/authenticationContextClassReferences": contextBody, "policies/authenticationStrengthPolicies": strengthBody,
	"identity/conditionalAccess/authenticationStrength/policies": strengthBody, "identityGovernance/termsOfUse/agreements": termsBody, "policies/permissionGrantPolicies": grantBody,
}

func collectionOf(pattern string) (string, string) {
	for set, body := range collections {
		if pattern == set || strings.HasPrefix(pattern, set+"/") {
			return set, body
		}
	}
	return "", ""
}

// sharedState: what the route reads has to be made first.
func sharedState(r *route) bool {
	set, _ := collectionOf(r.pattern)
	return set != "" || strings.Contains(r.pattern, "{classification}") || strings.HasPrefix(r.pattern, "auditLogs/directoryAudits/")
}

// madeFor makes the object that the route's {id} stands for, "" if there is no
// need.
func (w *world) madeFor(r *route) string {
	set, body := collectionOf(r.pattern)
	switch {
	case set != "":
		return w.made(set, body)
	case r.pattern == "auditLogs/directoryAudits/{id}":
		w.must(204, everything, "PATCH", "/v1.0/users/ben@harbour.example", `{"department": "Log"}`)
		return w.must(200, everything, "GET", "/v1.0/auditLogs/directoryAudits", "").names("id")[0]
	case r.pattern == "servicePrincipals/{id}/delegatedPermissionClassifications/{classification}" || r.pattern == "servicePrincipals/{id}/delegatedPermissionClassifications":
		return w.ids["Microsoft Graph"]
	}
	return ""
}

// made makes an object and gives its id.
func (w *world) made(set, body string) string {
	w.t.Helper()
	r := w.do(everything, "POST", "/v1.0/"+set, body)
	if r.status != 201 {
		w.t.Fatalf("making one of %s: %d %s", set, r.status, r.text)
	}
	return r.body["id"].(string)
}

func (w *world) classificationID(r *route) string {
	if !strings.Contains(r.pattern, "{classification}") {
		return ""
	}
	return w.made("servicePrincipals/"+w.ids["Microsoft Graph"]+"/delegatedPermissionClassifications", `{"permissionName": "User.Read", "permissionId": "e1fe6dd8-ba31-4d61-89e7-88639da4683d", "classification": "low"}`)
}

func (w *world) setID(r *route) string {
	if !strings.Contains(r.pattern, "{set}") {
		return ""
	}
	return w.made("policies/permissionGrantPolicies/harbour-own/"+strings.Split(r.pattern, "/")[3], setBody)
}

// bodyOf is the body of a route that this file knows, "" for others.
func (w *world) bodyOf(r *route) string {
	set, body := collectionOf(r.pattern)
	link := func(name string) string {
		return `{"@odata.id": "https://graph.lab/v1.0/directoryObjects/` + w.ids[name] + `"}`
	}
	switch {
	case set != "" && strings.HasSuffix(r.pattern, "/updateAllowedCombinations"):
		return `{"allowedCombinations": ["fido2"]}`
	case set != "" && (strings.HasSuffix(r.pattern, "cludes")):
		return setBody
	case set != "" && r.method == "POST":
		return body
	case set != "" && strings.Contains(set, "namedLocations"):
		return `{"@odata.type": "#microsoft.graph.ipNamedLocation", "displayName": "Pier"}`
	case set != "":
		return `{"displayName": "Renamed"}`
	}
	return map[string]string{
		"POST users":              `{"accountEnabled": true, "displayName": "Eve", "mailNickname": "eve", "userPrincipalName": "eve@harbour.example", "passwordProfile": {"password": "Some-Password-1!"}}`,
		"POST groups":             `{"displayName": "New", "mailNickname": "new", "mailEnabled": false, "securityEnabled": true}`,
		"PATCH groups/{id}":       `{"description": "All of us"}`,
		"POST applications":       `{"displayName": "Made"}`,
		"PATCH applications/{id}": `{"displayName": "Reader too"}`,
		"POST servicePrincipals/{id}/addTokenSigningCertificate": `{"displayName": "CN=harbour"}`,
		"POST directoryRoles":                                            `{"roleTemplateId": "` + userAdministrator + `"}`,
		"POST directoryRoles/{id}/members/$ref":                          link("ben@harbour.example"),
		"POST roleManagement/directory/roleAssignments":                  `{"principalId": "` + w.ids["ben@harbour.example"] + `", "roleDefinitionId": "` + userAdministrator + `", "directoryScopeId": "/"}`,
		"PATCH policies/authorizationPolicy":                             `{"defaultUserRolePermissions": {"permissionGrantPoliciesAssigned": []}}`,
		"PATCH policies/authorizationPolicy/authorizationPolicy":         `{"permissionGrantPolicyIdsAssignedToDefaultUserRole": []}`,
		"PUT policies/adminConsentRequestPolicy":                         `{"isEnabled": false, "notifyReviewers": false, "remindersEnabled": false, "requestDurationInDays": 5, "reviewers": []}`,
		"POST servicePrincipals/{id}/delegatedPermissionClassifications": `{"permissionName": "User.Read", "permissionId": "e1fe6dd8-ba31-4d61-89e7-88639da4683d", "classification": "low"}`,
		"POST users/{id}/authentication/phoneMethods":                    `{"phoneNumber": "+44 7700900456", "phoneType": "office"}`,
		"PATCH users/{id}/authentication/phoneMethods/{method}":          `{"phoneNumber": "+44 7700900789", "phoneType": "mobile"}`,
		"PUT users/{id}/authentication/phoneMethods/{method}":            `{"phoneNumber": "+44 7700900789", "phoneType": "mobile"}`,
		"POST users/{id}/authentication/emailMethods":                    w.without(r, directory.Email, `{"emailAddress": "ben@new.example"}`),
		"PATCH users/{id}/authentication/emailMethods/{method}":          `{"emailAddress": "ben@new.example"}`,
		"PUT users/{id}/authentication/emailMethods/{method}":            `{"emailAddress": "ben@new.example"}`,
		"POST users/{id}/authentication/temporaryAccessPassMethods":      w.without(r, directory.TAP, `{"lifetimeInMinutes": 60, "isUsableOnce": true}`),
	}[r.method+" "+r.pattern]
}

// without takes a method from Ben where the route adds one of the kind.
func (w *world) without(r *route, kind, body string) string {
	if r.method == "POST" && strings.HasPrefix(r.pattern, "users/{id}/authentication/") {
		w.store.Update(harbour, func(t *directory.Tenant) {
			ben := t.User("ben@harbour.example")
			var rest []*directory.Method
			for _, m := range ben.Methods {
				if m.Type != kind {
					rest = append(rest, m)
				}
			}
			ben.Methods = rest
		})
	}
	return body
}
