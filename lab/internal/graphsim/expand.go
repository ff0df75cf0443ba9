package graphsim

import (
	"slices"
	"strings"

	"gatehouse/lab/internal/directory"
)

// relation is a navigation member that $expand fills.
type relation struct {
	name   string
	single bool // one object, not a list
	get    func(*request, any) []item
	// raw, instead of get, gives values that are no objects of their own.
	raw func(*request, any) any
}

// maxExpanded is how many objects $expand gives of a relation between directory
// objects ("Use query parameters", $expand).
const maxExpanded = 20

// expansions are the relations of a type. They are filled by init: the
// functions refer to the types, and the types to the functions.
var expansions map[*entity][]relation

//go:noinline
func many[T any](name string, get func(*request, T) []item) relation {
	return relation{name: name, get: func(r *request, v any) []item { return get(r, v.(T)) }}
}

func one[T any](name string, get func(*request, T) item) relation {
	return relation{name: name, single: true, get: func(r *request, v any) []item {
		it := get(r, v.(T))
		if it.value == nil {
			return nil
		}
		return []item{it}
	}}
}

func ruleSets(name string) relation {
	return relation{name: name, raw: func(r *request, v any) any {
		list, _ := v.(*directory.Object).Members[name].([]any)
		out := []any{}
		for _, set := range list {
			out = append(out, r.ownTenant(set))
		}
		return out
	}}
}

func init() {
	expansions = map[*entity][]relation{
		userType: {
			many("memberOf", func(r *request, u *directory.User) []item { return r.memberOf(u.ID, u.Roles, false) }),
			many("transitiveMemberOf", func(r *request, u *directory.User) []item { return r.memberOf(u.ID, u.Roles, true) }),
			many("appRoleAssignments", func(r *request, u *directory.User) []item { return r.heldBy(u.ID) }),
			many("oauth2PermissionGrants", func(r *request, u *directory.User) []item {
				return r.grantsWhere(func(g *directory.Grant) bool { return g.User == u.ID })
			}),
			many("ownedObjects", func(r *request, u *directory.User) []item { return r.ownedBy(u.ID) }),
			many("licenseDetails", func(_ *request, u *directory.User) []item { return items(licenseDetailsType, skusOf(u)) }),
		},
		groupType: {
			many("members", func(r *request, g *directory.Group) []item { return r.membersOf(g, false) }),
			many("transitiveMembers", func(r *request, g *directory.Group) []item { return r.membersOf(g, true) }),
			many("memberOf", func(r *request, g *directory.Group) []item { return r.memberOf(g.ID, g.Roles, false) }),
			many("transitiveMemberOf", func(r *request, g *directory.Group) []item { return r.memberOf(g.ID, g.Roles, true) }),
			many("owners", func(r *request, g *directory.Group) []item { return r.objects(g.Owners) }),
			many("appRoleAssignments", func(r *request, g *directory.Group) []item { return r.heldBy(g.ID) }),
		},
		servicePrincipalType: {
			many("appRoleAssignments", func(r *request, p *directory.Principal) []item { return r.heldBy(p.ID) }),
			many("appRoleAssignedTo", func(r *request, p *directory.Principal) []item { return r.heldOn(p.ID) }),
			many("oauth2PermissionGrants", func(r *request, p *directory.Principal) []item {
				return r.grantsWhere(func(g *directory.Grant) bool { return g.Client == p.ID })
			}),
			many("memberOf", func(r *request, p *directory.Principal) []item { return r.memberOf(p.ID, p.Roles, false) }),
			many("transitiveMemberOf", func(r *request, p *directory.Principal) []item { return r.memberOf(p.ID, p.Roles, true) }),
			many("owners", func(r *request, p *directory.Principal) []item { return r.objects(p.Owners) }),
			many("ownedObjects", func(r *request, p *directory.Principal) []item { return r.ownedBy(p.ID) }),
			many("delegatedPermissionClassifications", func(r *request, p *directory.Principal) []item { return r.classified(p) }),
		},
		applicationType: {
			many("owners", func(r *request, a *directory.App) []item { return r.objects(a.Owners) }),
			many("federatedIdentityCredentials", func(_ *request, a *directory.App) []item { return items(federatedType, a.Federated) }),
		},
		directoryRoleType: {
			many("members", func(r *request, role directory.Role) []item { return r.holdersOf(role) }),
		},
		roleAssignmentType: {
			one("roleDefinition", func(_ *request, a assignment) item { return item{roleDefinitionType, a.role} }),
			one("principal", func(_ *request, a assignment) item { return a.principal }),
			one("directoryScope", func(r *request, _ assignment) item { return item{organizationType, r.tenant} }),
		},
		roleDefinitionType: {
			many("inheritsPermissionsFrom", func(*request, directory.Role) []item { return []item{{roleDefinitionType, roleOf(directoryReaders)}} }),
		},
		riskyUserType: {
			many("history", func(_ *request, u *directory.User) []item { return items(riskHistoryType, historyOf(u)) }),
		},
		appConsentType: {
			many("userConsentRequests", func(_ *request, c appConsent) []item { return items(userConsentType, c.requests) }),
		},
		agreementType: {
			{name: "files", raw: func(*request, any) any { return []any{} }}, // the texts themselves are not kept
			{name: "acceptances", raw: func(*request, any) any { return []any{} }},
		},
		grantPolicyType: {ruleSets("includes"), ruleSets("excludes")},
	}
	for _, typ := range []*entity{eligibilityType, eligibilityScheduleType, eligibilityRequestType} {
		expansions[typ] = []relation{
			one("roleDefinition", func(_ *request, e *directory.Eligibility) item { return item{roleDefinitionType, roleOf(e.Role)} }),
			one("principal", func(r *request, e *directory.Eligibility) item {
				it, _ := r.object(e.Principal)
				return it
			}),
			one("directoryScope", func(r *request, _ *directory.Eligibility) item { return item{organizationType, r.tenant} }),
		}
	}
	expansions[activeType], expansions[activeScheduleType] = expansions[roleAssignmentType], expansions[roleAssignmentType]
}

// expansion reads name($select=a,b): the relation and what is selected of it.
func expansion(part string) (name string, selected []string, err error) {
	name, options, nested := strings.Cut(part, "(")
	if !nested {
		return name, nil, nil
	}
	options, closed := strings.CutSuffix(options, ")")
	key, value, _ := strings.Cut(strings.TrimSpace(options), "=")
	if !closed || !strings.EqualFold(strings.TrimPrefix(strings.TrimSpace(key), "$"), "select") {
		return "", nil, badRequest("$expand: '%s' may have $select in its parentheses and nothing else.", clip(part))
	}
	if selected = split(value); len(selected) == 0 {
		return "", nil, badRequest("$expand: '%s' selects nothing.", clip(part))
	}
	return strings.TrimSpace(name), selected, nil
}

// expand fills the navigation members that the reference documents for the
// type; all others are refused.
func (r *request) expand(it item, body map[string]any) error {
	for _, part := range r.options.expand {
		name, selected, err := expansion(part)
		if err != nil {
			return err
		}
		i := slices.IndexFunc(expansions[it.typ], func(rel relation) bool { return strings.EqualFold(rel.name, name) })
		if i < 0 {
			return badRequest("$expand of '%s' is not simulated on '%s'.", clip(name), it.typ.name)
		}
		rel := expansions[it.typ][i]
		if rel.raw != nil {
			body[rel.name] = rel.raw(r, it.value)
			continue
		}
		body[rel.name] = r.related(rel, it, selected)
	}
	return nil
}

func (r *request) related(rel relation, it item, selected []string) any {
	list := r.replicated(rel.get(r, it.value))
	if it.typ.directory && len(list) > maxExpanded {
		list = list[:maxExpanded]
	}
	out := []any{}
	for _, other := range list {
		body := r.render(other, selected)
		if other.typ.directory || other.typ.typed {
			body["@odata.type"] = "#microsoft.graph." + other.typ.name
		}
		out = append(out, body)
	}
	if !rel.single {
		return out
	}
	if len(out) == 0 {
		return nil
	}
	return out[0]
}
