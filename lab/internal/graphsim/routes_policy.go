package graphsim

import "net/http"

var (
	conditionalRead = alike("Policy.Read.All", "Policy.Read.ConditionalAccess", "Policy.Read.All+Policy.ReadWrite.ConditionalAccess").by(policyReaders...).codes("AccessDenied", "")
	policyWrite     = alike("Policy.Read.All+Policy.ReadWrite.ConditionalAccess+Application.Read.All").by(conditionalAccessAdmin, securityAdministrator).codes("AccessDenied", "")
	locationWrite   = alike("Policy.Read.All+Policy.ReadWrite.ConditionalAccess").by(conditionalAccessAdmin, securityAdministrator).codes("AccessDenied", "")
	strengthRead    = alike("Policy.Read.AuthenticationMethod", "Policy.Read.All", "Policy.ReadWrite.ConditionalAccess", "Policy.ReadWrite.AuthenticationMethod").by(append([]string{authenticationPolicyAdmin}, policyReaders...)...)
	strengthWrite   = alike("Policy.ReadWrite.ConditionalAccess", "Policy.ReadWrite.AuthenticationMethod").by(conditionalAccessAdmin, securityAdministrator, authenticationPolicyAdmin)
	contextRead     = alike("AuthenticationContext.Read.All", "Policy.Read.All", "AuthenticationContext.ReadWrite.All", "Policy.ReadWrite.ConditionalAccess").by(policyReaders...)
	contextWrite    = alike("AuthenticationContext.ReadWrite.All", "Policy.Read.All+Policy.ReadWrite.ConditionalAccess").by(conditionalAccessAdmin, securityAdministrator)
	agreementRead   = alike("Agreement.Read.All", "Agreement.ReadWrite.All").by(policyReaders...)
	agreementWrite  = alike("Agreement.ReadWrite.All").by(conditionalAccessAdmin, securityAdministrator)
)

// rowsOfConditionalAccess are policies, locations and what they refer to.
func rowsOfConditionalAccess() {
	const get, post, patch, del = http.MethodGet, http.MethodPost, http.MethodPatch, http.MethodDelete
	const limited, writes = "throttled", "writes"

	row(get, caPolicies.set, conditionalRead, caPolicies.all, limited)
	row(post, caPolicies.set, policyWrite, caPolicies.create, writes, limited)
	row(get, caPolicies.set+"/{id}", conditionalRead, caPolicies.get, limited)
	row(patch, caPolicies.set+"/{id}", policyWrite, caPolicies.patch, writes, limited)
	row(del, caPolicies.set+"/{id}", locationWrite, caPolicies.del, writes, limited)

	row(get, caLocations.set, conditionalRead, caLocations.all, limited)
	row(post, caLocations.set, locationWrite, caLocations.create, writes, limited)
	row(get, caLocations.set+"/{id}", conditionalRead, caLocations.get, limited)
	row(patch, caLocations.set+"/{id}", locationWrite, patchLocation, writes, limited)
	row(del, caLocations.set+"/{id}", locationWrite, caLocations.del, writes, limited)

	for _, bin := range []recycleBin{{caPolicies}, {caLocations}} {
		row(get, bin.set(), conditionalRead, bin.list)
		row(get, bin.set()+"/{id}", conditionalRead, bin.get)
		row(del, bin.set()+"/{id}", locationWrite, bin.purge, writes)
		row(post, bin.set()+"/{id}/restore", locationWrite, bin.restore, writes)
	}
	row(get, templateSet, alike("Policy.Read.All").by(policyReaders...).codes("AccessDenied", ""), listTemplates)
	row(get, templateSet+"/{id}", alike("Policy.Read.All").by(policyReaders...).codes("AccessDenied", ""), getTemplate)

	row(get, caContexts.set, contextRead, caContexts.all)
	row(post, caContexts.set, contextWrite, caContexts.create, writes)
	row(get, caContexts.set+"/{id}", contextRead, caContexts.get)
	row(patch, caContexts.set+"/{id}", contextWrite, caContexts.patch, writes)
	row(del, caContexts.set+"/{id}", contextWrite, caContexts.del, writes)

	for _, set := range []string{strengthFamily.set, "identity/conditionalAccess/authenticationStrength/policies"} {
		row(get, set, strengthRead, listStrengths)
		row(post, set, strengthWrite, strengthFamily.create, writes)
		row(get, set+"/findByMethodMode/{modes}", strengthRead, findByMode)
		row(get, set+"/{id}", strengthRead, ofStrength(getStrength))
		row(patch, set+"/{id}", strengthWrite, ownStrength(strengthFamily.patch), writes)
		row(del, set+"/{id}", strengthWrite, ownStrength(strengthFamily.del), writes)
		row(post, set+"/{id}/updateAllowedCombinations", strengthWrite, ownStrength(updateCombinations), writes)
		row(get, set+"/{id}/usage", strengthRead, ofStrength(strengthUsage))
		row(get, set+"/{id}/combinationConfigurations", strengthRead, ofStrength(listConfigured))
		row(post, set+"/{id}/combinationConfigurations", strengthWrite, ownStrength(addConfigured), writes)
		row(get, set+"/{id}/combinationConfigurations/{configuration}", strengthRead, ofStrength(listConfigured))
		row(patch, set+"/{id}/combinationConfigurations/{configuration}", strengthWrite, ownStrength(patchConfigured), writes)
		row(del, set+"/{id}/combinationConfigurations/{configuration}", strengthWrite, ownStrength(removeConfigured), writes)
	}
	row(get, strengthRoot+"/combinations", strengthRead, listCombinations)
	row(get, modeSet, strengthRead, listModes)
	row(get, modeSet+"/{id}", strengthRead, getMode)

	row(get, agreements.set, agreementRead, agreements.all)
	row(post, agreements.set, agreementWrite, agreements.create, writes)
	row(get, agreements.set+"/{id}", agreementRead, agreements.get)
	row(patch, agreements.set+"/{id}", agreementWrite, patchAgreement, writes)
	row(del, agreements.set+"/{id}", agreementWrite, agreements.del, writes)
}

// rowsOfConsent are the policies on who may grant what.
func rowsOfConsent() {
	const get, post, put, patch, del, writes = http.MethodGet, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, "writes"
	read := alike("Policy.Read.PermissionGrant", "Policy.ReadWrite.PermissionGrant", "Policy.Read.All").by(append([]string{cloudAppAdministrator, applicationAdministrator}, policyReaders...)...)
	write := alike("Policy.ReadWrite.PermissionGrant").by(applicationAdministrator, cloudAppAdministrator, privilegedRoleAdministrator)
	row(get, grantFamily.set, read, listGrantPolicies)
	row(post, grantFamily.set, write, grantFamily.create, writes)
	row(get, grantFamily.set+"/{id}", read, getGrantPolicy)
	row(patch, grantFamily.set+"/{id}", write, ownGrantPolicy(grantFamily.patch), writes)
	row(del, grantFamily.set+"/{id}", write, ownGrantPolicy(grantFamily.del), writes)
	for _, side := range []string{"/{id}/includes", "/{id}/excludes"} {
		row(get, grantFamily.set+side, read, listSets)
		row(post, grantFamily.set+side, write, ownGrantPolicy(addSet), writes)
		row(get, grantFamily.set+side+"/{set}", read, listSets)
		row(del, grantFamily.set+side+"/{set}", write, ownGrantPolicy(removeSet), writes)
	}
	authorization := alike("Policy.ReadWrite.Authorization").by(privilegedRoleAdministrator)
	row(patch, "policies/authorizationPolicy", authorization, patchAuthorization, writes, "v1.0")
	row(patch, "policies/authorizationPolicy/authorizationPolicy", authorization, patchAuthorization, writes, "beta")
	row(put, "policies/adminConsentRequestPolicy", alike("Policy.ReadWrite.ConsentRequest").by(globalAdministrator), putConsentRequests, writes)

	classify := alike("Policy.ReadWrite.PermissionGrant").by(applicationAdministrator, cloudAppAdministrator)
	row(get, "servicePrincipals/{id}/delegatedPermissionClassifications", read, ofPrincipal(listClassifications))
	row(post, "servicePrincipals/{id}/delegatedPermissionClassifications", classify, ofPrincipal(addClassification), writes)
	row(get, "servicePrincipals/{id}/delegatedPermissionClassifications/{classification}", read, ofPrincipal(listClassifications))
	row(del, "servicePrincipals/{id}/delegatedPermissionClassifications/{classification}", classify, ofPrincipal(removeClassification), writes)
}
