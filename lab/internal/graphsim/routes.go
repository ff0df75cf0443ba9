package graphsim

import (
	"net/http"
	"slices"
	"strings"
)

// Permissions that several rows share.
var (
	// Directory.AccessAsUser.All lets an app do what the signed-in user may; the
	// reference named it as the highest permission of all directory objects.
	asUser = "Directory.AccessAsUser.All"

	usersRead  = alike("User.ReadBasic.All", "User.Read.All", "User.ReadWrite.All", "Directory.Read.All", "Directory.ReadWrite.All").also(asUser).own("User.Read", "User.ReadWrite")
	groupsRead = alike("GroupMember.Read.All", "Group.ReadBasic.All", "Group.Read.All", "Group.ReadWrite.All", "Directory.Read.All", "Directory.ReadWrite.All").also(asUser)
	memberRead = alike("GroupMember.ReadBasic.All", "GroupMember.Read.All", "Group.ReadBasic.All", "Group.Read.All", "Group.ReadWrite.All", "GroupMember.ReadWrite.All", "Directory.Read.All", "Directory.ReadWrite.All").also(asUser)
	memberOf   = alike("GroupMember.ReadBasic.All", "GroupMember.Read.All", "Group.ReadBasic.All", "Group.Read.All", "User.Read.All", "Directory.Read.All", "Directory.ReadWrite.All").also(asUser).own("User.Read")
	memberAsk  = alike("GroupMember.ReadBasic.All", "GroupMember.Read.All", "Group.ReadBasic.All", "Group.Read.All", "Group.ReadWrite.All", "User.Read.All", "User.ReadWrite.All",
		"Application.Read.All", "Directory.Read.All", "Directory.ReadWrite.All").also(asUser).own("User.Read")
	memberWrite = alike("GroupMember.ReadWrite.All", "Group.ReadWrite.All", "Directory.ReadWrite.All").also(asUser).by(groupsAdministrator, userAdministrator, directoryWriters)
	licences    = alike("LicenseAssignment.Read.All", "User.Read.All", "User.ReadWrite.All", "Directory.Read.All", "Directory.ReadWrite.All").also(asUser).own("User.Read")
	rolesRead   = alike("RoleManagement.Read.Directory", "RoleManagement.ReadWrite.Directory", "Directory.Read.All", "Directory.ReadWrite.All").also(asUser)
	appsRead    = access{
		app:  []string{"Application.Read.All", "Application.ReadWrite.OwnedBy", "Application.ReadWrite.All", "Directory.Read.All", "Directory.ReadWrite.All"},
		user: []string{"Application.Read.All", "Application.ReadWrite.All", "Directory.Read.All", "Directory.ReadWrite.All", asUser},
	}
	appsWrite = access{
		app:   []string{"Application.ReadWrite.OwnedBy", "Application.ReadWrite.All", "Directory.ReadWrite.All"},
		user:  []string{"Application.ReadWrite.All", "Directory.ReadWrite.All", asUser},
		roles: []string{cloudAppAdministrator, applicationAdministrator},
	}
	grantsRead  = alike("Directory.Read.All", "DelegatedPermissionGrant.Read.All", "DelegatedPermissionGrant.ReadWrite.All", "Directory.ReadWrite.All").also(asUser)
	grantsWrite = alike("DelegatedPermissionGrant.ReadWrite.All", "Directory.ReadWrite.All").also(asUser).by(cloudAppAdministrator, applicationAdministrator, privilegedRoleAdministrator)
	// Assigning reads the service principals at both ends, removing does not.
	assignmentsCreate = alike("AppRoleAssignment.ReadWrite.All+Application.Read.All", "AppRoleAssignment.ReadWrite.All+Directory.Read.All").also(asUser).by(cloudAppAdministrator, applicationAdministrator, privilegedRoleAdministrator)
	assignmentsWrite  = alike("AppRoleAssignment.ReadWrite.All").also(asUser).by(cloudAppAdministrator, applicationAdministrator, privilegedRoleAdministrator)

	methodReaders = []string{globalReader, authenticationAdministrator, privilegedAuthentication}
	methodsRead   = access{
		app:   []string{"UserAuthenticationMethod.Read.All", "UserAuthenticationMethod.ReadWrite.All"},
		user:  []string{"UserAuthenticationMethod.Read.All", "UserAuthenticationMethod.ReadWrite.All"},
		self:  []string{"UserAuthenticationMethod.Read", "UserAuthenticationMethod.ReadWrite"},
		roles: methodReaders,
	}.codes("accessDenied", "accessDenied")
	methodsWrite = access{
		app: []string{"UserAuthenticationMethod.ReadWrite.All"}, user: []string{"UserAuthenticationMethod.ReadWrite.All"}, self: []string{"UserAuthenticationMethod.ReadWrite"},
		roles: []string{authenticationAdministrator, privilegedAuthentication},
	}.codes("accessDenied", "accessDenied")
	perUserRead  = alike("Policy.Read.All", "Policy.ReadWrite.AuthenticationMethod").by(globalReader, authenticationPolicyAdmin, authenticationAdministrator, privilegedAuthentication).codes("accessDenied", "accessDenied")
	perUserWrite = alike("Policy.ReadWrite.AuthenticationMethod").by(authenticationPolicyAdmin).codes("accessDenied", "accessDenied")

	policyReaders       = []string{globalReader, securityReader, securityAdministrator, conditionalAccessAdmin}
	policyRead          = alike("Policy.Read.All").by(policyReaders...).codes("AccessDenied", "")
	defaultsWrite       = alike("Policy.Read.All+Policy.ReadWrite.SecurityDefaults", "Policy.Read.All+Policy.ReadWrite.ConditionalAccess").by(securityAdministrator, conditionalAccessAdmin).codes("AccessDenied", "")
	authorizationRead   = alike("Policy.Read.All", "Policy.ReadWrite.Authorization").by(append(policyReaders, privilegedRoleAdministrator)...)
	consentRequestsRead = alike("Policy.Read.All", "Policy.ReadWrite.ConsentRequest", "Directory.Read.All", "Directory.ReadWrite.All").by(append(policyReaders, cloudAppAdministrator, applicationAdministrator)...)
	methodsPolicyRead   = alike("Policy.Read.AuthenticationMethod", "Policy.Read.All", "Policy.ReadWrite.AuthenticationMethod").by(globalReader, authenticationPolicyAdmin, securityReader, securityAdministrator)

	logRead   = alike("AuditLog.Read.All").by(reportsReader, securityReader, securityAdministrator, globalReader).codes("Authentication_MSGraphPermissionMissing", "Authentication_RequestFromUnsupportedUserRole")
	userPatch = alike("User.EnableDisableAccount.All", "User-PasswordProfile.ReadWrite.All", "User.ReadWrite.All", "Directory.ReadWrite.All").also(asUser).
			by(userAdministrator, helpdeskAdministrator, passwordAdministrator, authenticationAdministrator, privilegedAuthentication, directoryWriters)
)

// routes is the whole of the simulated Graph.
var routes []route

func row(method, pattern string, need access, handle func(*request) (*answer, error), marks ...string) {
	routes = append(routes, route{
		method: method, pattern: pattern, need: need, handle: handle, segments: strings.Split(pattern, "/"),
		licence: chosen(marks, "P1", "P2", "PIM"), writes: slices.Contains(marks, "writes"), throttled: slices.Contains(marks, "throttled"), only: chosen(marks, "beta", "v1.0"),
	})
}

// chosen gives the mark that is one of the names, "" if none is.
func chosen(marks []string, names ...string) string {
	for _, m := range marks {
		if slices.Contains(names, m) {
			return m
		}
	}
	return ""
}

func init() { // a composite literal would refer to itself through the handlers
	const get, post, patch, del = http.MethodGet, http.MethodPost, http.MethodPatch, http.MethodDelete

	orgRead := alike("Organization.Read.All", "User.Read.All", "Directory.Read.All", "Organization.ReadWrite.All", "Directory.ReadWrite.All").also("User.Read", asUser)
	row(get, "organization", orgRead, listOrganization)
	row(get, "organization/{id}", orgRead, getOrganization)
	skus := alike("LicenseAssignment.Read.All", "Organization.Read.All", "Directory.Read.All", "Organization.ReadWrite.All", "Directory.ReadWrite.All").also(asUser)
	row(get, "subscribedSkus", skus, listSKUs)
	row(get, "subscribedSkus/{id}", skus, getSKU)

	row(get, "users", usersRead.own(), listUsers)
	row(get, "users/delta", usersRead.own(), delta(trackedUsers))
	row(get, "users/{id}", usersRead, ofUser(getUser))
	row(patch, "users/{id}", userPatch, ofUser(patchUser), "writes")
	row(post, "users", alike("User.ReadWrite.All", "Directory.ReadWrite.All").also(asUser).by(userAdministrator, directoryWriters), createUser, "writes")
	row(del, "users/{id}", alike("User.DeleteRestore.All", "User.ReadWrite.All", "Directory.ReadWrite.All").also(asUser).by(userAdministrator), ofUser(deleteUser), "writes")
	row(get, "users/{id}/licenseDetails", licences, ofUser(listLicences))
	row(get, "users/{id}/memberOf", memberOf, ofUser(listMemberOf(false)))
	row(get, "users/{id}/memberOf/{cast}", memberOf, ofUser(listMemberOf(false)))
	row(get, "users/{id}/transitiveMemberOf", memberOf, ofUser(listMemberOf(true)))
	row(get, "users/{id}/transitiveMemberOf/{cast}", memberOf, ofUser(listMemberOf(true)))
	row(post, "users/{id}/revokeSignInSessions", alike("User.RevokeSessions.All", "User.ReadWrite.All", "Directory.ReadWrite.All").also(asUser).
		own("User.RevokeSessions.All").by(userAdministrator, helpdeskAdministrator, authenticationAdministrator, privilegedAuthentication), ofUser(revokeSessions), "writes")
	userAssignments := alike("Directory.Read.All", "AppRoleAssignment.ReadWrite.All").also(asUser)
	row(get, "users/{id}/appRoleAssignments", userAssignments, ofUser(listUserAssignments))
	row(post, "users/{id}/appRoleAssignments", assignmentsWrite, createAssignment, "writes")
	row(del, "users/{id}/appRoleAssignments/{assignment}", assignmentsWrite, deleteAssignment, "writes")
	row(get, "users/{id}/oauth2PermissionGrants", grantsRead, ofUser(listUserGrants))

	row(get, "users/{id}/authentication/requirements", perUserRead, ofUser(getRequirements), "beta")
	row(patch, "users/{id}/authentication/requirements", perUserWrite, ofUser(patchRequirements), "beta", "writes")
	row(get, "users/{id}/authentication/signInPreferences", methodsRead, ofUser(getPreferences), "beta")
	row(patch, "users/{id}/authentication/signInPreferences", methodsWrite, ofUser(patchPreferences), "beta", "writes")
	for _, segment := range []string{"methods", "passwordMethods", "phoneMethods", "emailMethods", "microsoftAuthenticatorMethods", "softwareOathMethods", "fido2Methods",
		"windowsHelloForBusinessMethods", "temporaryAccessPassMethods"} {
		row(get, "users/{id}/authentication/"+segment, methodsRead, ofUser(listMethods))
		row(get, "users/{id}/authentication/"+segment+"/{method}", methodsRead, ofUser(listMethods))
		if segment != "methods" && segment != "passwordMethods" {
			row(del, "users/{id}/authentication/"+segment+"/{method}", methodsWrite, guardedMethods(deleteMethod), "writes")
		}
	}
	row(post, "users/{id}/authentication/phoneMethods", methodsWrite, guardedMethods(addPhone), "writes")
	row(patch, "users/{id}/authentication/phoneMethods/{method}", methodsWrite, guardedMethods(patchPhone), "writes")
	row(post, "users/{id}/authentication/emailMethods", methodsWrite, guardedMethods(addEmail), "writes")
	row(patch, "users/{id}/authentication/emailMethods/{method}", methodsWrite, guardedMethods(patchEmail), "writes")
	row(http.MethodPut, "users/{id}/authentication/emailMethods/{method}", methodsWrite, guardedMethods(patchEmail), "writes")
	passWrite := methodsWrite
	passWrite.self = nil // nobody makes a pass for themselves
	row(post, "users/{id}/authentication/temporaryAccessPassMethods", passWrite, guardedMethods(addPass), "writes")

	row(get, "groups", groupsRead, listGroups)
	groupsWrite := alike("Group.ReadWrite.All", "Directory.ReadWrite.All").also(asUser).by(groupsAdministrator, userAdministrator, directoryWriters)
	groupsCreate := groupsWrite
	groupsCreate.app = append([]string{"Group.Create"}, groupsWrite.app...)
	row(post, "groups", groupsCreate, createGroup, "writes")
	row(patch, "groups/{id}", groupsWrite, ofGroup(patchGroup), "writes")
	row(del, "groups/{id}", groupsWrite, ofGroup(deleteGroup), "writes")
	row(get, "groups/delta", groupsRead, delta(trackedGroups))
	row(get, "groups/{id}", groupsRead, ofGroup(getGroup))
	row(get, "groups/{id}/members", memberRead, ofGroup(listGroupMembers(false)))
	row(get, "groups/{id}/members/{cast}", memberRead, ofGroup(listGroupMembers(false)))
	row(get, "groups/{id}/transitiveMembers", memberRead, ofGroup(listGroupMembers(true)))
	row(get, "groups/{id}/transitiveMembers/{cast}", memberRead, ofGroup(listGroupMembers(true)))
	row(post, "groups/{id}/members/$ref", memberWrite, ofGroup(addMember), "writes")
	row(del, "groups/{id}/members/{member}/$ref", memberWrite, ofGroup(removeMember), "writes")

	row(get, "directoryRoles", rolesRead, listRoles)
	row(get, "directoryRoles/delta", rolesRead, delta(trackedRoles))
	row(get, "directoryRoles/{id}", rolesRead, getRole)
	row(get, "directoryRoles/{id}/members", rolesRead, listRoleMembers)
	row(get, "directoryRoles/{id}/members/{cast}", rolesRead, listRoleMembers)
	row(get, "roleManagement/directory/roleDefinitions", rolesRead, listRoleDefinitions)
	row(get, "roleManagement/directory/roleDefinitions/{id}", rolesRead, getRoleDefinition)
	row(get, "roleManagement/directory/roleAssignments", rolesRead, listRoleAssignments)
	row(get, "roleManagement/directory/roleAssignments/{id}", rolesRead, getRoleAssignment)
	rolesWrite := alike("RoleManagement.ReadWrite.Directory").also(asUser).by(privilegedRoleAdministrator)
	row(post, "roleManagement/directory/roleAssignments", rolesWrite, createRoleAssignment, "writes")
	row(del, "roleManagement/directory/roleAssignments/{id}", rolesWrite, deleteRoleAssignment, "writes")
	row(post, "directoryRoles", rolesWrite, activateRole, "writes")
	row(post, "directoryRoles/{id}/members/$ref", rolesWrite, addRoleMember, "writes")
	row(del, "directoryRoles/{id}/members/{member}/$ref", rolesWrite, removeRoleMember, "writes")

	row(get, "reports/authenticationMethods/userRegistrationDetails", logRead, listRegistrations, "P1")
	row(get, "reports/authenticationMethods/userRegistrationDetails/{id}", logRead, getRegistration, "P1")
	row(get, "auditLogs/signIns", logRead, listSignIns, "P1")
	row(get, "auditLogs/signIns/{id}", logRead, getSignIn, "P1")
	row(get, "auditLogs/directoryAudits", logRead, listAudits)
	row(get, "auditLogs/directoryAudits/{id}", logRead, getAudit)

	const defaults = "policies/identitySecurityDefaultsEnforcementPolicy"
	row(get, defaults, policyRead, tenantPolicy(defaults, securityDefaultsType))
	row(patch, defaults, defaultsWrite, patchSecurityDefaults, "writes")
	row(get, "policies/authorizationPolicy", authorizationRead, tenantPolicy("policies/authorizationPolicy", authorizationPolicyType), "v1.0")
	row(get, "policies/authorizationPolicy", authorizationRead, listAuthorizationPolicy, "beta")
	row(get, "policies/authorizationPolicy/authorizationPolicy", authorizationRead, tenantPolicy("policies/authorizationPolicy", authorizationPolicyType), "beta")
	row(get, "policies/adminConsentRequestPolicy", consentRequestsRead, tenantPolicy("policies/adminConsentRequestPolicy", consentRequestType))
	rowsOfMethodPolicies()
	rowsOfConditionalAccess()
	rowsOfConsent()
	rowsOfMembership()
	rowsOfRisk()
	rowsOfFederation()
	rowsOfApproval()
	rowsOfEligibility()
	rowsOfMore()
	rowsOfWhatIf()
	rowsOfSites()

	row(get, "servicePrincipals", appsRead, listPrincipals)
	row(post, "servicePrincipals", appsWrite, createPrincipal, "writes")
	row(get, "servicePrincipals/delta", appsRead, delta(trackedPrincipals))
	row(get, "servicePrincipals/{id}", appsRead, ofPrincipal(getPrincipal))
	row(patch, "servicePrincipals/{id}", appsWrite, ofPrincipal(patchPrincipal), "writes")
	row(del, "servicePrincipals/{id}", appsWrite, ofPrincipal(deletePrincipal), "writes")
	row(get, "servicePrincipals/{id}/appRoleAssignments", appsRead, ofPrincipal(listPrincipalAssignments))
	row(post, "servicePrincipals/{id}/appRoleAssignments", assignmentsCreate, createAssignment, "writes")
	row(del, "servicePrincipals/{id}/appRoleAssignments/{assignment}", assignmentsWrite, deleteAssignment, "writes")
	row(get, "servicePrincipals/{id}/appRoleAssignedTo", appsRead, ofPrincipal(listAssignedTo))
	row(post, "servicePrincipals/{id}/appRoleAssignedTo", assignmentsCreate, createAssignment, "writes")
	row(del, "servicePrincipals/{id}/appRoleAssignedTo/{assignment}", assignmentsWrite, deleteAssignment, "writes")
	row(get, "servicePrincipals/{id}/oauth2PermissionGrants", grantsRead, ofPrincipal(listPrincipalGrants))
	row(get, "servicePrincipals/{id}/memberOf", appsRead, ofPrincipal(listPrincipalMemberOf(false)))
	row(get, "servicePrincipals/{id}/memberOf/{cast}", appsRead, ofPrincipal(listPrincipalMemberOf(false)))
	row(get, "servicePrincipals/{id}/transitiveMemberOf", appsRead, ofPrincipal(listPrincipalMemberOf(true)))
	row(post, "servicePrincipals/{id}/addPassword", appsWrite, ofPrincipal(principalSecrets((*request).addPassword)), "writes")
	row(post, "servicePrincipals/{id}/removePassword", appsWrite, ofPrincipal(principalSecrets((*request).removePassword)), "writes")

	row(get, "applications", appsRead, listApps)
	row(get, "applications/delta", appsRead, delta(trackedApps))
	row(get, "applications/{id}", appsRead, getApp)
	row(post, "applications", appsWrite, createApp, "writes")
	row(patch, "applications/{id}", appsWrite, ofApp(patchApp), "writes")
	row(del, "applications/{id}", appsWrite, ofApp(deleteApp), "writes")
	row(post, "applications/{id}/addPassword", appsWrite, appSecrets((*request).addPassword), "writes")
	row(post, "applications/{id}/removePassword", appsWrite, appSecrets((*request).removePassword), "writes")

	row(get, "oauth2PermissionGrants", grantsRead, listGrants)
	row(post, "oauth2PermissionGrants", grantsWrite, createGrant, "writes")
	row(get, "oauth2PermissionGrants/delta", grantsRead, delta(trackedGrants))
	row(get, "oauth2PermissionGrants/{id}", grantsRead, getGrant)
	row(patch, "oauth2PermissionGrants/{id}", grantsWrite, patchGrant, "writes")
	row(del, "oauth2PermissionGrants/{id}", grantsWrite, deleteGrant, "writes")
}
