package graphsim

import (
	"maps"
	"net/http"
	"slices"
	"strings"

	"gatehouse/lab/internal/directory"
)

// putLast is a member of a policy that a tenant has one of: as it was written
// last, or its standard.
func putLast(of func(*directory.Tenant) *directory.Object, name string, standard any) members {
	return prop(name, func(_ *request, t *directory.Tenant) any {
		if o := of(t); o != nil {
			if v, was := o.Members[name]; was {
				return v
			}
		}
		return standard
	})
}

func methodsPolicy(t *directory.Tenant) *directory.Object { return t.MethodsPolicy }
func flowsPolicy(t *directory.Tenant) *directory.Object   { return t.FlowsPolicy }

// flowsPolicyType: resource type authenticationFlowsPolicy.
var flowsPolicyType = newEntity("authenticationFlowsPolicy",
	constant("authenticationFlowsPolicy", "id"),
	constant("Authentication Flows Policy", "displayName"),
	constant("Whether guests may sign up by themselves.", "description"),
	putLast(flowsPolicy, "selfServiceSignUp", object("isEnabled", false)),
)

// merged joins what was sent into what is there, object by object.
func merged(old, sent map[string]any) map[string]any {
	out := maps.Clone(old)
	for name, value := range sent {
		before, _ := out[name].(map[string]any)
		if inner, isObject := value.(map[string]any); isObject && before != nil {
			value = merged(before, inner)
		}
		out[name] = value
	}
	return out
}

// targets judges a list of includeTargets or excludeTargets; groups must exist.
func (r *request) targets(path string, value any) error {
	list, isList := value.([]any)
	const most = 100
	if !isList || len(list) > most {
		return badRequest("The member '%s' must be a list of %d targets at most.", path, most)
	}
	for _, v := range list {
		target, _ := v.(map[string]any)
		id, _ := target["id"].(string)
		kind, _ := target["targetType"].(string)
		switch {
		case kind != "group" && kind != "user":
			return badRequest("The member '%s/targetType' must be group or user.", path)
		case strings.EqualFold(id, "all_users") || id == noRole:
		case !isGUID(id):
			return badRequest("The member '%s/id' must be the id of a group or user, or all_users.", path)
		case r.tenant.Group(id) == nil && r.tenant.User(id) == nil:
			return badRequest("The member '%s/id' names '%s', which the tenant does not have.", path, clip(id))
		}
	}
	return nil
}

// state judges a member whose values are an enumeration.
func state(path string, value any, allowed ...string) error {
	text, _ := value.(string)
	if !slices.Contains(allowed, text) {
		return badRequest("The member '%s' must be one of %s.", path, strings.Join(allowed, ", "))
	}
	return nil
}

// everyTarget walks a value and judges all lists of targets in it.
func (r *request) everyTarget(path string, value any, depth int) error {
	object, isObject := value.(map[string]any)
	if !isObject {
		return nil
	}
	if depth > 8 {
		return badRequest("The member '%s' is nested too deeply.", path)
	}
	for name, inner := range object {
		at := strings.TrimPrefix(path+"/"+name, "/")
		var err error
		if name == "includeTargets" || name == "excludeTargets" {
			err = r.targets(at, inner)
		} else {
			err = r.everyTarget(at, inner, depth+1)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// methodsSettings are the members of the methods policy that can be written,
// and in beta only.
var methodsSettings = map[string]bool{"registrationEnforcement": false, "systemCredentialPreferences": false, "policyMigrationState": false, "reportSuspiciousActivitySettings": true}

// patchMethodsPolicy: PATCH /policies/authenticationMethodsPolicy answers 200
// with the policy in beta and 204 in v1.0.
func patchMethodsPolicy(r *request) (*answer, error) {
	members, err := r.raw()
	if err != nil {
		return nil, err
	}
	delete(members, "@odata.type")
	it := item{methodsPolicyType, r.tenant}
	current := r.plainly(it)
	next := map[string]any{}
	if r.tenant.MethodsPolicy != nil {
		next = maps.Clone(r.tenant.MethodsPolicy.Members)
	}
	for name, value := range members {
		onlyBeta, known := methodsSettings[name]
		if !known || onlyBeta && !r.beta() {
			return nil, badRequest("The member '%s' of the authentication methods policy cannot be set here.", clip(name))
		}
		if name == "policyMigrationState" {
			if err := state(name, value, "preMigration", "migrationInProgress", "migrationComplete"); err != nil {
				return nil, err
			}
			next[name] = value
			continue
		}
		block, isObject := value.(map[string]any)
		if !isObject {
			return nil, badRequest("The member '%s' must be an object.", clip(name))
		}
		before, _ := current[name].(map[string]any)
		block = merged(before, block)
		at := block
		if name == "registrationEnforcement" {
			at, _ = block["authenticationMethodsRegistrationCampaign"].(map[string]any)
		}
		if err := state(name+"/state", at["state"], "default", "enabled", "disabled"); err != nil {
			return nil, err
		}
		if err := r.everyTarget(name, block, 0); err != nil {
			return nil, err
		}
		next[name] = block
	}
	r.updates(activity{"Authentication Methods Policy Update", policyCategory, methodService}, it)
	r.tenant.MethodsPolicy = &directory.Object{Modified: r.now, Members: next}
	if r.beta() {
		return r.single("policies/authenticationMethodsPolicy", it)
	}
	return noContent(), nil
}

// patchFlowsPolicy: PATCH /policies/authenticationFlowsPolicy.
func patchFlowsPolicy(r *request) (*answer, error) {
	var signUp *struct {
		Enabled *bool `json:"isEnabled"`
	}
	if _, err := r.decode(map[string]any{"selfServiceSignUp": &signUp}); err != nil {
		return nil, err
	}
	if signUp == nil || signUp.Enabled == nil {
		return nil, badBody("selfServiceSignUp/isEnabled must be true or false.")
	}
	r.updates(core("Update authentication flows policy", policyCategory), item{flowsPolicyType, r.tenant})
	r.tenant.FlowsPolicy = &directory.Object{Modified: r.now, Members: object("selfServiceSignUp", object("isEnabled", *signUp.Enabled))}
	return noContent(), nil
}

// configurationsHere are the tenant's authentication method configurations: the
// standard ones, with what was written since.
func (r *request) configurationsHere() []map[string]any {
	out := configurations()
	for i, c := range out {
		for _, o := range r.tenant.MethodConfigurations {
			if strings.EqualFold(o.ID, c["id"].(string)) {
				out[i] = merged(c, o.Members)
			}
		}
	}
	return out
}

// configurationEntity lets the audit log name a configuration.
var configurationEntity = newEntity("authenticationMethodConfiguration",
	prop("id", func(_ *request, c map[string]any) any { return c["id"] }),
	prop("state", func(_ *request, c map[string]any) any { return c["state"] }),
	prop("includeTargets", func(_ *request, c map[string]any) any { return c["includeTargets"] }),
	prop("excludeTargets", func(_ *request, c map[string]any) any { return c["excludeTargets"] }),
)

func (r *request) configurationHere(id string) (map[string]any, error) {
	for _, c := range r.configurationsHere() {
		if strings.EqualFold(c["id"].(string), id) {
			return c, nil
		}
	}
	return nil, notFound(id)
}

// patchConfiguration: PATCH …/authenticationMethodConfigurations/{id}. The type
// must be sent along; members that the kind does not have are refused.
func patchConfiguration(r *request) (*answer, error) {
	before, err := r.configurationHere(r.vars[0])
	if err != nil {
		return nil, err
	}
	members, err := r.raw()
	if err != nil {
		return nil, err
	}
	if !strings.EqualFold(directory.LocationType(members), directory.LocationType(before)) {
		return nil, badRequest("The member '@odata.type' must be %s.", before["@odata.type"])
	}
	for name, value := range members {
		was, known := before[name]
		switch {
		case !known:
			return nil, badRequest("The member '%s' is none of this configuration.", clip(name))
		case name == "id" && !strings.EqualFold(r.vars[0], textOf(value)):
			return nil, badRequest("The member 'id' cannot change.")
		case was != nil && value != nil && kindOf(was) != kindOf(value):
			return nil, badRequest("The member '%s' has a value of the wrong type.", clip(name))
		}
	}
	after := merged(before, members)
	after["id"], after["@odata.type"] = before["id"], before["@odata.type"]
	if err := state("state", after["state"], "enabled", "disabled"); err != nil {
		return nil, err
	}
	if err := r.everyTarget("", after, 0); err != nil {
		return nil, err
	}
	r.setConfiguration(before, after)
	return noContent(), nil
}

func textOf(v any) string {
	s, _ := v.(string)
	return s
}

// kindOf is the JSON kind of a value.
func kindOf(v any) string {
	switch v.(type) {
	case bool:
		return "boolean"
	case int, float64:
		return "number"
	case []any:
		return "list"
	case map[string]any:
		return "object"
	}
	return "string"
}

// setConfiguration keeps a configuration; a nil one goes back to its standard.
func (r *request) setConfiguration(before, after map[string]any) {
	id := before["id"].(string)
	change := &change{activity: activity{"Authentication Methods Policy Update", policyCategory, methodService}, operation: "Update", it: item{configurationEntity, before}, before: r.plainly(item{configurationEntity, before})}
	list := slices.DeleteFunc(slices.Clone(r.tenant.MethodConfigurations), func(o *directory.Object) bool { return strings.EqualFold(o.ID, id) })
	if after != nil {
		list = append(list, &directory.Object{ID: id, Modified: r.now, Members: after})
	}
	r.tenant.MethodConfigurations = list
	change.it.value, _ = r.configurationHere(id)
	r.changes = append(r.changes, change)
}

// resetConfiguration: DELETE puts a configuration back to its standard.
func resetConfiguration(r *request) (*answer, error) {
	before, err := r.configurationHere(r.vars[0])
	if err != nil {
		return nil, err
	}
	r.setConfiguration(before, nil)
	return noContent(), nil
}

// rowsOfMethodPolicies are the policies on how people may sign in.
func rowsOfMethodPolicies() {
	const get, patch, del = http.MethodGet, http.MethodPatch, http.MethodDelete
	const policy, flows = "policies/authenticationMethodsPolicy", "policies/authenticationFlowsPolicy"
	write := alike("Policy.ReadWrite.AuthenticationMethod").by(authenticationPolicyAdmin)
	row(get, policy, methodsPolicyRead, tenantPolicy(policy, methodsPolicyType))
	row(patch, policy, write, patchMethodsPolicy, "writes")
	row(get, configurationSet, methodsPolicyRead, listConfigurations)
	row(get, configurationSet+"/{id}", methodsPolicyRead, getConfiguration)
	row(patch, configurationSet+"/{id}", write, patchConfiguration, "writes")
	row(del, configurationSet+"/{id}", write, resetConfiguration, "writes")
	row(get, flows, alike("Policy.Read.All", "Policy.ReadWrite.AuthenticationFlows").by(policyReaders...), tenantPolicy(flows, flowsPolicyType))
	row(patch, flows, alike("Policy.ReadWrite.AuthenticationFlows").by(privilegedRoleAdministrator), patchFlowsPolicy, "writes")
}
