package graphsim

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"

	"gatehouse/lab/internal/directory"
)

// grantPolicyType: resource type permissionGrantPolicy.
var grantPolicyType = func() *entity {
	e := objectEntity("permissionGrantPolicy", null("deletedDateTime"), kept("displayName", "description"),
		otherwise("includes", []any{}).seldom(), otherwise("excludes", []any{}).seldom(),
		otherwise("includeAllPreApprovedApplications", false).inBeta(), otherwise("resourceScopeType", "tenant").inBeta())
	e.named = true
	e.open = nil
	return e
}()

// conditionSet fills a permissionGrantConditionSet with what counts where a
// member is not set: everything.
func conditionSet(pairs ...any) map[string]any {
	return extend(object("permissionType", "delegated", "permissionClassification", "all", "permissions", texts("all"), "resourceApplication", "any",
		"clientApplicationIds", texts("all"), "clientApplicationTenantIds", texts("all"), "clientApplicationPublisherIds", texts("all"),
		"clientApplicationsFromVerifiedPublisherOnly", false), pairs...)
}

// builtInGrantPolicies are Microsoft's ("Manage app consent policies").
var builtInGrantPolicies = func() []*directory.Object {
	one := func(id, name string, includes []map[string]any, excludes ...map[string]any) *directory.Object {
		numbered := func(list []map[string]any, side string) []any {
			out := []any{}
			for i, set := range list {
				out = append(out, extend(set, "id", directory.NameID("grant policy", id, side, itoa(i))))
			}
			return out
		}
		return &directory.Object{ID: id, Members: object("displayName", name, "description", "One of Microsoft's own policies; it cannot be changed.",
			"includes", numbered(includes, "include"), "excludes", numbered(excludes, "exclude"))}
	}
	delegated, application := conditionSet(), conditionSet("permissionType", "application")
	low := []map[string]any{
		conditionSet("permissionClassification", "low", "clientApplicationsFromVerifiedPublisherOnly", true),
		conditionSet("permissionClassification", "low", "clientApplicationTenantIds", texts("{tenant}")),
	}
	graphRoles := conditionSet("permissionType", "application", "resourceApplication", directory.GraphID)
	return []*directory.Object{
		one("microsoft-all-application-permissions", "All application permissions", []map[string]any{application}),
		one("microsoft-application-admin", "What an Application Administrator may grant", []map[string]any{application, delegated}, graphRoles),
		one("microsoft-company-admin", "What a Global Administrator may grant", []map[string]any{application, delegated}),
		one("microsoft-user-default-legacy", "What people may grant: everything that needs no administrator", []map[string]any{delegated}),
		one("microsoft-user-default-low", "What people may grant: low permissions, trusted publishers", low),
		one("microsoft-user-default-recommended", "What people may grant: Microsoft's recommendation", low),
	}
}()

func (r *request) grantPolicies() []*directory.Object {
	return slices.Concat(builtInGrantPolicies, r.tenant.GrantPolicies)
}

var grantFamily = &family{
	set: "policies/permissionGrantPolicies", typ: grantPolicyType, name: "permission grant policy", service: coreDirectory, most: 100,
	list:  func(t *directory.Tenant) *[]*directory.Object { return &t.GrantPolicies },
	fixed: []string{"includes", "excludes", "isBuiltIn"},
	check: func(r *request, o *directory.Object, before map[string]any) error {
		name, _ := o.Members["displayName"].(string)
		switch {
		case before == nil && (len(o.ID) == 0 || len(o.ID) > 64 || strings.Trim(strings.ToLower(o.ID), "abcdefghijklmnopqrstuvwxyz0123456789-_") != ""):
			return badBody("id may have 1 to 64 letters, digits, hyphens and underscores.")
		case before == nil && strings.HasPrefix(strings.ToLower(o.ID), "microsoft-"):
			return badBody("An id that begins with 'microsoft-' belongs to Microsoft's own policies.")
		case before == nil && slices.ContainsFunc(r.tenant.GrantPolicies, func(other *directory.Object) bool { return strings.EqualFold(other.ID, o.ID) }):
			return conflict("The tenant has a policy '%s' already.", o.ID)
		case name == "" || len(name) > 256:
			return badBody("displayName must have 1 to 256 characters.")
		}
		return nil
	},
	remove: func(r *request, o *directory.Object) error {
		if slices.ContainsFunc(r.tenant.CustomConsent, func(s string) bool { return strings.HasSuffix(strings.ToLower(s), "."+strings.ToLower(o.ID)) }) {
			return badBody("The policy is assigned; take it out of the authorization policy first.")
		}
		return nil
	},
	fresh: statusOK,
}

func listGrantPolicies(r *request) (*answer, error) {
	return r.list(listing{set: grantFamily.set, types: []*entity{grantPolicyType}}, items(grantPolicyType, r.grantPolicies()))
}

func (r *request) grantPolicy() (*directory.Object, error) {
	for _, o := range r.grantPolicies() {
		if strings.EqualFold(o.ID, r.vars[0]) {
			return o, nil
		}
	}
	return nil, notFound(r.vars[0])
}

func getGrantPolicy(r *request) (*answer, error) {
	o, err := r.grantPolicy()
	if err != nil {
		return nil, err
	}
	return r.single(grantFamily.set, item{grantPolicyType, o})
}

// ownGrantPolicy refuses to change one of Microsoft's policies.
func ownGrantPolicy(fn func(*request) (*answer, error)) func(*request) (*answer, error) {
	return func(r *request) (*answer, error) {
		if strings.HasPrefix(strings.ToLower(r.vars[0]), "microsoft-") {
			return nil, refuse(http.StatusForbidden, "Authorization_RequestDenied", "Microsoft's own permission grant policies cannot be changed.")
		}
		return fn(r)
	}
}

// listSets: …/includes and …/excludes, as the path says.
func listSets(r *request) (*answer, error) {
	o, err := r.grantPolicy()
	if err != nil {
		return nil, err
	}
	side := strings.ToLower(r.segments[3])
	list, _ := o.Members[side].([]any)
	if list == nil {
		list = []any{}
	}
	out := make([]any, len(list))
	for i, set := range list {
		out[i] = r.ownTenant(set)
	}
	if len(r.segments) == 4 {
		return ok(object("@odata.context", r.context(grantFamily.set+"('"+o.ID+"')/"+side), "value", out)), nil
	}
	for _, set := range out {
		if one := set.(map[string]any); strings.EqualFold(one["id"].(string), r.segments[4]) {
			return ok(extend(one, "@odata.context", r.context(grantFamily.set+"('"+o.ID+"')/"+side)+"/$entity")), nil
		}
	}
	return nil, notFound(r.segments[4])
}

// ownTenant puts the tenant's id where a built-in policy speaks of it.
func (r *request) ownTenant(set any) any {
	one := set.(map[string]any)
	if list, _ := one["clientApplicationTenantIds"].([]any); len(list) == 1 && list[0] == "{tenant}" {
		return extend(one, "clientApplicationTenantIds", texts(r.tenant.ID))
	}
	return one
}

// addSet: POST …/includes or …/excludes.
func addSet(r *request) (*answer, error) {
	o, err := grantFamily.find(r, r.vars[0])
	if err != nil {
		return nil, err
	}
	var kind, class, resource string
	var permissions, clients, tenants, publishers []string
	var verified, certified *bool
	var id any
	if _, err := r.decode(map[string]any{"id": &id, "permissionType": &kind, "permissionClassification": &class, "permissions": &permissions, "resourceApplication": &resource,
		"clientApplicationIds": &clients, "clientApplicationTenantIds": &tenants, "clientApplicationPublisherIds": &publishers,
		"clientApplicationsFromVerifiedPublisherOnly": &verified, "certifiedClientApplicationsOnly": &certified}); err != nil {
		return nil, err
	}
	side := strings.ToLower(r.segments[3])
	list, _ := o.Members[side].([]any)
	switch {
	case kind != "delegated" && kind != "application":
		return nil, badBody("permissionType must be delegated or application.")
	case class != "" && !slices.Contains([]string{"low", "medium", "high", "all"}, class):
		return nil, badBody("permissionClassification must be low, medium, high or all.")
	case resource != "" && resource != "any" && !isGUID(resource):
		return nil, badBody("resourceApplication must be any or the client id of an API.")
	case len(permissions)+len(clients)+len(tenants)+len(publishers) > 1000:
		return nil, badBody("The lists have more than 1000 entries.")
	case len(list) >= 100:
		return nil, badBody("The policy has 100 of these already, which is the most.")
	}
	set := conditionSet("id", r.newID("condition set", side, itoa(len(list))), "permissionType", kind, "clientApplicationsFromVerifiedPublisherOnly", verified != nil && *verified)
	for name, value := range map[string][]string{"permissions": permissions, "clientApplicationIds": clients, "clientApplicationTenantIds": tenants, "clientApplicationPublisherIds": publishers} {
		if len(value) > 0 {
			set[name] = texts(value...)
		}
	}
	if class != "" {
		set["permissionClassification"] = class
	}
	if resource != "" {
		set["resourceApplication"] = resource
	}
	r.updates(grantFamily.activity("Update"), item{grantPolicyType, o})
	o.Members = extend(o.Members, side, append(slices.Clone(list), any(set)))
	a := ok(extend(set, "@odata.context", r.context(grantFamily.set+"('"+o.ID+"')/"+side)+"/$entity"))
	a.status = statusOK(r)
	return a, nil
}

func removeSet(r *request) (*answer, error) {
	o, err := grantFamily.find(r, r.vars[0])
	if err != nil {
		return nil, err
	}
	side := strings.ToLower(r.segments[3])
	list, _ := o.Members[side].([]any)
	i := slices.IndexFunc(list, func(set any) bool { return strings.EqualFold(set.(map[string]any)["id"].(string), r.segments[4]) })
	if i < 0 {
		return nil, notFound(r.segments[4])
	}
	r.updates(grantFamily.activity("Update"), item{grantPolicyType, o})
	o.Members = extend(o.Members, side, slices.Delete(slices.Clone(list), i, i+1))
	return noContent(), nil
}

// selfConsent maps the policies that decide about people's own consent to the
// choices of the tenant.
var selfConsent = map[string]string{
	"microsoft-user-default-legacy": "all", "microsoft-user-default-low": "low_risk", "microsoft-user-default-recommended": "managed",
}

// patchAuthorization: PATCH /policies/authorizationPolicy.
func patchAuthorization(r *request) (*answer, error) {
	role := map[string]json.RawMessage{}
	var older *[]string
	var invites, guest *string
	flags := map[string]*bool{}
	take := map[string]any{"defaultUserRolePermissions": &role, "permissionGrantPolicyIdsAssignedToDefaultUserRole": &older, "allowInvitesFrom": &invites, "guestUserRoleId": &guest, "guestUserRole": &guest}
	for _, name := range []string{"allowedToSignUpEmailBasedSubscriptions", "allowedToUseSSPR", "allowEmailVerifiedUsersToJoinOrganization", "blockMsolPowerShell", "allowUserConsentForRiskyApps"} {
		flags[name] = new(bool)
		take[name] = flags[name]
	}
	given, err := r.decode(take)
	if err != nil {
		return nil, err
	}
	next := map[string]any{}
	for name, flag := range flags {
		if present(given, name) {
			next[name] = *flag
		}
	}
	assigned := older
	for name, raw := range role {
		var flag bool
		switch name {
		case "permissionGrantPoliciesAssigned":
			err = json.Unmarshal(raw, &assigned)
		case "allowedToCreateApps", "allowedToCreateSecurityGroups", "allowedToCreateTenants", "allowedToReadBitlockerKeysForOwnedDevice", "allowedToReadOtherUsers":
			err = json.Unmarshal(raw, &flag)
			next[name] = flag
		default:
			return nil, badBody("A member '%s' cannot be set here.", clip(name))
		}
		if err != nil {
			return nil, badBody("The member '%s' has a value of the wrong type.", clip(name))
		}
	}
	switch {
	case invites != nil && !slices.Contains([]string{"none", "adminsAndGuestInviters", "adminsGuestInvitersAndAllMembers", "everyone"}, *invites):
		return nil, badBody("allowInvitesFrom must be none, adminsAndGuestInviters, adminsGuestInvitersAndAllMembers or everyone.")
	case guest != nil && !isGUID(*guest):
		return nil, badBody("guestUserRoleId must be the id of a role.")
	}
	if invites != nil {
		next["allowInvitesFrom"] = *invites
	}
	if guest != nil {
		next["guestUserRoleId"] = *guest
	}
	consent, custom := r.tenant.Consent.Users, r.tenant.CustomConsent
	if assigned != nil {
		if consent, custom, err = r.assignedConsent(*assigned); err != nil {
			return nil, err
		}
	}
	r.updates(core("Update authorization policy", policyCategory), item{authorizationPolicyType, r.tenant})
	r.tenant.Consent.Users, r.tenant.CustomConsent = consent, custom
	if last := r.tenant.Authorization; last != nil {
		next = extend(last.Members, pairs(next)...)
	}
	r.tenant.Authorization = &directory.Object{Modified: r.now, Members: next}
	return noContent(), nil
}

func pairs(m map[string]any) []any {
	var out []any
	for name, value := range m {
		out = append(out, name, value)
	}
	return out
}

// assignedConsent turns the assigned policies into the tenant's choice and what
// it cannot express.
func (r *request) assignedConsent(assigned []string) (consent string, custom []string, err error) {
	consent = "none"
	for _, entry := range assigned {
		scope, id, _ := strings.Cut(entry, ".")
		known := slices.ContainsFunc(r.grantPolicies(), func(o *directory.Object) bool { return strings.EqualFold(o.ID, id) })
		self := strings.EqualFold(scope, "ManagePermissionGrantsForSelf")
		switch choice := selfConsent[strings.ToLower(id)]; {
		case self && choice != "" && consent == "none":
			consent = choice
		case self && choice != "":
			return "", nil, badBody("permissionGrantPoliciesAssigned names two of Microsoft's policies for people's own consent.")
		case self && known, strings.EqualFold(scope, "ManagePermissionGrantsForOwnedResource") && id != "":
			custom = append(custom, entry)
		default:
			return "", nil, badBody("permissionGrantPoliciesAssigned names '%s', which is no policy of this tenant.", clip(entry))
		}
		if len(custom) > 50 {
			return "", nil, badBody("permissionGrantPoliciesAssigned has too many entries.")
		}
	}
	return consent, custom, nil
}

// putConsentRequests: PUT /policies/adminConsentRequestPolicy replaces it.
func putConsentRequests(r *request) (*answer, error) {
	type reviewer struct {
		Query string  `json:"query"`
		Type  string  `json:"queryType"`
		Root  *string `json:"queryRoot"`
	}
	var enabled, notify, remind *bool
	var days *int
	var version any
	var reviewers []reviewer
	if _, err := r.decode(map[string]any{"isEnabled": &enabled, "notifyReviewers": &notify, "remindersEnabled": &remind, "requestDurationInDays": &days, "reviewers": &reviewers, "version": &version}); err != nil {
		return nil, err
	}
	switch {
	case enabled == nil || notify == nil || remind == nil || days == nil:
		return nil, badBody("isEnabled, notifyReviewers, remindersEnabled and requestDurationInDays are all needed: the whole policy is replaced.")
	case *days < 0 || *days > 60:
		return nil, badBody("requestDurationInDays must be from 0 to 60.")
	case *enabled && len(reviewers) == 0 || len(reviewers) > 100:
		return nil, badBody("reviewers must name 1 to 100 where requests are enabled.")
	}
	list := []any{}
	for _, v := range reviewers {
		if v.Query == "" || len(v.Query) > 512 {
			return nil, badBody("query of a reviewer must have 1 to 512 characters.")
		}
		list = append(list, object("query", v.Query, "queryType", text2(v.Type, "MicrosoftGraph"), "queryRoot", v.Root))
	}
	r.updates(core("Update admin consent request policy", policyCategory), item{consentRequestType, r.tenant})
	number := 1
	if last := r.tenant.ConsentRequests; last != nil {
		n, _ := last.Members["version"].(int)
		number += n
	}
	r.tenant.Consent.AdminRequests = *enabled
	r.tenant.ConsentRequests = &directory.Object{Modified: r.now, Members: object("notifyReviewers", *notify, "remindersEnabled", *remind, "requestDurationInDays", *days, "reviewers", list, "version", number)}
	return noContent(), nil
}

// written is a member of the admin consent request policy as it was put last.
func written(name string, standard func(*request, *directory.Tenant) any) members {
	return prop(name, func(r *request, t *directory.Tenant) any {
		if t.ConsentRequests != nil {
			return t.ConsentRequests.Members[name]
		}
		return standard(r, t)
	})
}
