package graphsim

import (
	"maps"
	"net/http"
	"slices"
	"strings"

	"gatehouse/lab/internal/directory"
)

// block is a member of a complex value of a policy, and what is shown if the
// policy does not set it.
type block struct {
	name  string
	unset any     // null, an empty list …
	inner []block // of an object
	beta  bool
	flags bool // a flag string
}

func nulls(names ...string) []block {
	var out []block
	for _, name := range names {
		out = append(out, block{name: name})
	}
	return out
}

func lists(names ...string) []block {
	var out []block
	for _, name := range names {
		out = append(out, block{name: name, unset: []any{}})
	}
	return out
}

func onlyBeta(blocks []block) []block {
	for i := range blocks {
		blocks[i].beta = true
	}
	return blocks
}

var (
	guestBlocks = []block{{name: "guestOrExternalUserTypes", flags: true}, {name: "externalTenants"}}

	// conditionBlocks: resource type conditionalAccessConditionSet.
	conditionBlocks = slices.Concat(
		lists("userRiskLevels", "signInRiskLevels", "servicePrincipalRiskLevels"),
		[]block{{name: "clientAppTypes", unset: []any{"all"}}, {name: "insiderRiskLevels", flags: true}},
		[]block{
			{name: "applications", inner: slices.Concat(
				lists("includeApplications", "excludeApplications", "includeUserActions", "includeAuthenticationContextClassReferences"),
				nulls("applicationFilter"), onlyBeta(nulls("networkAccess", "globalSecureAccess")))},
			{name: "users", inner: slices.Concat(
				lists("includeUsers", "excludeUsers", "includeGroups", "excludeGroups", "includeRoles", "excludeRoles"),
				[]block{{name: "includeGuestsOrExternalUsers", inner: guestBlocks}, {name: "excludeGuestsOrExternalUsers", inner: guestBlocks}})},
			{name: "clientApplications", inner: slices.Concat(lists("includeServicePrincipals", "excludeServicePrincipals"), nulls("servicePrincipalFilter"),
				onlyBeta(lists("includeAgentIdServicePrincipals", "excludeAgentIdServicePrincipals")), onlyBeta(nulls("agentIdServicePrincipalFilter")))},
			{name: "platforms", inner: lists("includePlatforms", "excludePlatforms")},
			{name: "locations", inner: lists("includeLocations", "excludeLocations")},
			{name: "devices", inner: slices.Concat(nulls("deviceFilter"), onlyBeta(lists("includeDevices", "excludeDevices", "includeDeviceStates", "excludeDeviceStates")))},
			{name: "authenticationFlows", inner: []block{{name: "transferMethods", flags: true}}},
		},
		onlyBeta(nulls("agentIdRiskLevels", "deviceStates", "times", "clients")))

	// grantBlocks: resource type conditionalAccessGrantControls.
	grantBlocks = slices.Concat(nulls("operator"), lists("builtInControls", "customAuthenticationFactors", "termsOfUse"), nulls("authenticationStrength"))

	// sessionBlocks: resource type conditionalAccessSessionControls.
	sessionBlocks = slices.Concat(
		nulls("disableResilienceDefaults", "applicationEnforcedRestrictions", "cloudAppSecurity", "persistentBrowser", "secureSignInSession"),
		[]block{{name: "signInFrequency", inner: append(nulls("value", "type"), block{name: "authenticationType", unset: "primaryAndSecondaryAuthentication"},
			block{name: "frequencyInterval", unset: "timeBased"}, block{name: "isEnabled", unset: true})}},
		onlyBeta(nulls("continuousAccessEvaluation", "globalSecureAccessFilteringProfile", "networkAccessSecurity")))
)

// complete copies a complex value with every member that the version has.
func complete(r *request, value any, blocks []block) any {
	have, isObject := value.(map[string]any)
	if !isObject || have == nil {
		return nil
	}
	out := maps.Clone(have)
	for _, b := range blocks {
		v := have[b.name]
		switch {
		case b.beta && !r.beta():
			delete(out, b.name)
			continue
		case v == nil:
			out[b.name] = b.unset
		case b.inner != nil:
			out[b.name] = complete(r, v, b.inner)
		case b.flags:
			out[b.name] = strings.Join(directory.Flags(v), ",")
		}
	}
	return out
}

// policyType: resource type conditionalAccessPolicy.
var policyType = objectEntity("conditionalAccessPolicy",
	kept("templateId", "displayName"),
	times(),
	kept("state"),
	prop("conditions", func(r *request, o *directory.Object) any {
		return complete(r, o.Members["conditions"], conditionBlocks)
	}),
	prop("grantControls", grantControls),
	prop("sessionControls", func(r *request, o *directory.Object) any {
		return complete(r, o.Members["sessionControls"], sessionBlocks)
	}),
	prop("deletedDateTime", func(_ *request, o *directory.Object) any { return when(o.Deleted) }).inBeta(),
	kept("description"),
	kept("partialEnablementStrategy").inBeta(),
)

// grantControls shows the authentication strength that the policy names as the
// whole object.
func grantControls(r *request, o *directory.Object) any {
	return shownControls(r, o.Members["grantControls"])
}

func shownControls(r *request, value any) any {
	controls, _ := complete(r, value, grantBlocks).(map[string]any)
	if controls == nil {
		return nil
	}
	if named, _ := controls["authenticationStrength"].(map[string]any); named != nil {
		id, _ := named["id"].(string)
		controls["authenticationStrength"] = object("id", id)
		for _, strength := range r.strengths() {
			if strings.EqualFold(strength.ID, id) {
				controls["authenticationStrength"] = r.plainly(item{strengthType, strength})
			}
		}
	}
	return controls
}

var caPolicies = &family{
	set: "identity/conditionalAccess/policies", typ: policyType, name: "conditional access policy", service: conditionalAccess, most: directory.MaxPolicies,
	list:    func(t *directory.Tenant) *[]*directory.Object { return &t.ConditionalAccess },
	deleted: func(t *directory.Tenant) *[]*directory.Object { return &t.DeletedConditionalAccess },
	check:   checkPolicy,
	merge:   mergePolicy,
}

// mergePolicy replaces members at the level at which they were sent: whole
// blocks of the conditions, everything else member by member. How deep the
// service merges is not documented.
func mergePolicy(old, patch map[string]any) map[string]any {
	for name, value := range patch {
		was, _ := old[name].(map[string]any)
		if sent, isObject := value.(map[string]any); isObject && was != nil && name == "conditions" {
			joined := maps.Clone(was)
			maps.Copy(joined, sent)
			value = joined
		}
		old[name] = value
	}
	return old
}

func (r *request) licensed() error {
	if r.tenant.Premium() {
		return nil
	}
	return refuse(http.StatusForbidden, "AccessDenied", "The tenant has no licence for Conditional Access (Microsoft Entra ID P1).")
}

func checkPolicy(r *request, o *directory.Object, before map[string]any) error {
	if err := r.licensed(); err != nil {
		return err
	}
	exists := func(kind, id string) bool {
		list := r.tenant.NamedLocations
		if kind == "strength" {
			list = r.strengths()
		}
		return slices.ContainsFunc(list, func(o *directory.Object) bool { return strings.EqualFold(o.ID, id) })
	}
	if faults := directory.CheckPolicy(o.Members, exists); len(faults) > 0 {
		return badMember(faults[0])
	}
	if r.tenant.SecurityDefaults && o.Members["state"] == "enabled" && before["state"] != "enabled" {
		return badRequest("Security Defaults are on in this tenant; switch them off before a Conditional Access policy is enabled.")
	}
	return nil
}

// locationType: resource type namedLocation; each object names its own type.
var locationType = func() *entity {
	e := objectEntity("namedLocation", times(), kept("displayName"),
		prop("deletedDateTime", func(_ *request, o *directory.Object) any { return when(o.Deleted) }).inBeta(),
		// Members of the types below it, for $filter; open shows them.
		kept("isTrusted", "countriesAndRegions", "countryLookupMethod", "includeUnknownCountriesAndRegions", "ipRanges", "compliantNetworkType").seldom())
	e.open = openLocation
	return e
}()

// openLocation fills what a location of its type has.
func openLocation(_ *request, v any) map[string]any {
	o := v.(*directory.Object)
	out := maps.Clone(o.Members)
	typ := directory.LocationType(o.Members)
	out["@odata.type"] = "#microsoft.graph." + typ
	standard := map[string]map[string]any{
		"ipNamedLocation":               {"isTrusted": false, "ipRanges": []any{}},
		"countryNamedLocation":          {"countriesAndRegions": []any{}, "includeUnknownCountriesAndRegions": false, "countryLookupMethod": "clientIpAddress"},
		"compliantNetworkNamedLocation": {"isTrusted": true, "compliantNetworkType": "allTenantCompliantNetworks"},
	}
	for name, value := range standard[typ] {
		if out[name] == nil {
			out[name] = value
		}
	}
	return out
}

var caLocations = &family{
	set: "identity/conditionalAccess/namedLocations", typ: locationType, name: "named location", service: conditionalAccess, most: directory.MaxLocations,
	list:    func(t *directory.Tenant) *[]*directory.Object { return &t.NamedLocations },
	deleted: func(t *directory.Tenant) *[]*directory.Object { return &t.DeletedNamedLocations },
	check: func(r *request, o *directory.Object, before map[string]any) error {
		if err := r.licensed(); err != nil {
			return err
		}
		if faults := directory.CheckLocation(o.Members); len(faults) > 0 {
			return badMember(faults[0])
		}
		if before != nil && directory.LocationType(before) != directory.LocationType(o.Members) {
			return badRequest("The member '@odata.type' of a named location cannot change.")
		}
		return nil
	},
	remove: func(_ *request, o *directory.Object) error {
		if o.Members["isTrusted"] == true { // "Network assignment"
			return badRequest("A trusted location cannot be deleted; set isTrusted to false first.")
		}
		return nil
	},
}

// patchLocation: the type must be sent along.
func patchLocation(r *request) (*answer, error) {
	if members, err := r.raw(); err == nil && directory.LocationType(members) == "" {
		return nil, badRequest("The member '@odata.type' is missing: it tells which kind of named location is meant.")
	}
	return caLocations.patch(r)
}

// contextType: resource type authenticationContextClassReference.
var contextType = func() *entity {
	e := objectEntity("authenticationContextClassReference", kept("displayName", "description"), otherwise("isAvailable", false))
	e.named = true
	return e
}()

var caContexts = &family{
	set: "identity/conditionalAccess/authenticationContextClassReferences", typ: contextType, name: "authentication context", service: conditionalAccess, most: 25,
	list: func(t *directory.Tenant) *[]*directory.Object { return &t.Contexts },
	check: func(r *request, o *directory.Object, before map[string]any) error {
		name, _ := o.Members["displayName"].(string)
		_, isTruth := o.Members["isAvailable"].(bool)
		switch {
		case before == nil && !contextID(o.ID):
			return badRequest("The member 'id' must be one of c1 to c25.")
		case before == nil && slices.ContainsFunc(r.tenant.Contexts, func(other *directory.Object) bool { return strings.EqualFold(other.ID, o.ID) }):
			return conflict("The tenant has an authentication context '%s' already.", o.ID)
		case name == "" || len(name) > 256:
			return badRequest("The member 'displayName' must have 1 to 256 characters.")
		case o.Members["isAvailable"] != nil && !isTruth:
			return badRequest("The member 'isAvailable' must be true or false.")
		}
		return nil
	},
	fresh: statusOK,
}

func contextID(id string) bool {
	for i := 1; i <= 25; i++ {
		if id == "c"+itoa(i) {
			return true
		}
	}
	return false
}

// agreementType: resource type agreement, terms of use.
var agreementType = objectEntity("agreement",
	kept("displayName", "termsExpiration", "userReacceptRequiredFrequency"),
	otherwise("isViewingBeforeAcceptanceRequired", false), otherwise("isPerDeviceAcceptanceRequired", false))

// patchAgreement answers with the agreement ("Update agreement": 200).
func patchAgreement(r *request) (*answer, error) {
	if _, err := agreements.patch(r); err != nil {
		return nil, err
	}
	return agreements.get(r)
}

var agreements = &family{
	set: "identityGovernance/termsOfUse/agreements", typ: agreementType, name: "terms of use agreement", service: "Terms Of Use", most: 40,
	list:  func(t *directory.Tenant) *[]*directory.Object { return &t.Agreements },
	fixed: []string{"file", "files", "acceptances"}, // the texts themselves are not kept
	check: func(_ *request, o *directory.Object, _ map[string]any) error {
		if name, _ := o.Members["displayName"].(string); name == "" || len(name) > 256 {
			return badBody("displayName must have 1 to 256 characters.")
		}
		return nil
	},
}
