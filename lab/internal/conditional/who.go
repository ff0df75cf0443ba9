package conditional

import (
	"slices"
	"strings"
)

// The two principal types.
const (
	principalUser     = "user"
	principalWorkload = "servicePrincipal"
)

// workload reports whether a service principal signs in.
func (s *SignIn) workload() bool { return s.principal() != principalUser && s.principal() != "" }

// principal is the type of the principal: as it is given, or as the id tells;
// "" if that is not known.
func (s *SignIn) principal() string {
	switch {
	case s.PrincipalType != "":
		return s.PrincipalType
	case s.UserID.Value != "":
		return principalUser
	case s.ServicePrincipalID.Value != "":
		return principalWorkload
	case s.UserType.Value != "", s.GuestOrExternalUserType.Known:
		return principalUser
	}
	return ""
}

// who asks whether the policy is for this user or service principal. Values of
// users, groups, roles and guests are joined by "or"; exclusion beats inclusion.
// Source: "Conditional Access: Users, groups, agents, and workload identities".
func (e *evaluation) who(conditions map[string]any) truth {
	switch {
	case e.s.principal() == "":
		return e.anybody(conditions)
	case e.s.workload():
		return e.workloads(conditions)
	case !unset(conditions["clientApplications"]): // these policies are for workloads only
		return no
	}
	users, torn := block(conditions, "users")
	if torn {
		return e.unreadable("users")
	}
	include, exclude := e.strange(users, "includeUsers", "excludeUsers", "includeGroups", "excludeGroups", "includeRoles", "excludeRoles",
		"includeGuestsOrExternalUsers", "excludeGuestsOrExternalUsers")
	for _, kind := range []struct {
		name string
		any  func(list) truth
	}{
		{"Users", func(l list) truth { return l.any(e.user) }}, {"Groups", e.groups}, {"Roles", e.roles},
	} {
		in, out := e.list(users, "include"+kind.name), e.list(users, "exclude"+kind.name)
		include = or(include, kind.any(in.without(out)))
		exclude = or(exclude, kind.any(out))
	}
	include = or(include, e.guests(users, "includeGuestsOrExternalUsers"))
	exclude = or(exclude, e.guests(users, "excludeGuestsOrExternalUsers"))
	return and(include, not(exclude))
}

// anybody: whether a user or a service principal signs in is not known.
func (e *evaluation) anybody(conditions map[string]any) truth {
	s, missing := e.s, e.missing
	defer func() { e.s = s }()
	var either []truth
	for _, principal := range []string{principalUser, principalWorkload} {
		one := *s
		one.PrincipalType = principal
		e.s = &one
		either = append(either, e.who(conditions))
	}
	if either[0] == either[1] && either[0] != maybe {
		return either[0]
	}
	e.missing = missing // the rest is worth asking once that is known
	return e.lack("principalType")
}

func (e *evaluation) user(value string) truth {
	switch {
	case same(value, "All"): // every user, guests and users of other directories too
		return yes
	case same(value, "None"):
		return no
	case same(value, "GuestsOrExternalUsers"):
		return e.guestType(func(string) bool { return true })
	case e.s.UserID.Value == "":
		return e.lack("userId")
	}
	return of(same(value, e.s.UserID.Value))
}

// groups asks for membership, direct or nested.
func (e *evaluation) groups(l list) truth {
	switch {
	case l.empty():
		return no
	case !e.s.Groups.Known:
		return l.any(e.group)
	}
	in := e.around(e.s.Groups.Value)
	return l.any(func(id string) truth { return of(in[strings.ToLower(id)]) })
}

// around are groups with all that they are in. Rings of groups are walked once.
func (e *evaluation) around(groups []string) map[string]bool {
	seen := map[string]bool{}
	next := groups
	for len(next) > 0 {
		id := strings.ToLower(next[0])
		next = next[1:]
		if seen[id] {
			continue
		}
		seen[id] = true
		next = append(slices.Clip(next), e.w.Parents[id]...)
	}
	return seen
}

// group asks for membership of a user of whom no groups are known, only what
// was assumed: who is in a group is in those around it.
func (e *evaluation) group(id string) truth {
	for assumed, in := range e.assumed {
		other, isGroup := strings.CutPrefix(assumed, inGroup)
		switch {
		case isGroup && in && e.around([]string{other})[strings.ToLower(id)]:
			return yes
		case isGroup && !in && e.around([]string{id})[other]:
			return no
		}
	}
	return e.lack("groups")
}

// What may be assumed of a user, with an id behind it in lower case.
const (
	inGroup  = "in group "
	withRole = "with role "
)

// roles asks for active, tenant-wide, built-in roles: others are not honoured.
func (e *evaluation) roles(l list) truth {
	if l.empty() {
		return no
	}
	return l.any(func(id string) truth {
		held, assumed := e.assumed[withRole+strings.ToLower(id)]
		switch {
		case e.w.CustomRoles[strings.ToLower(id)]:
			return no
		case assumed:
			return of(held)
		case !e.s.Roles.Known:
			return e.lack("roles")
		}
		return of(slices.ContainsFunc(e.s.Roles.Value, func(held string) bool { return same(held, id) }))
	})
}

// guests reads include- or excludeGuestsOrExternalUsers: types of guests, and
// the tenants that they come from.
func (e *evaluation) guests(users map[string]any, name string) truth {
	guests, torn := block(users, name)
	if torn {
		return e.unreadable(name)
	}
	types := e.flags(guests, "guestOrExternalUserTypes")
	if types.empty() {
		return no
	}
	typed := e.guestType(func(typ string) bool { return types.has(typ) == yes })
	if slices.ContainsFunc(types.items, func(typ string) bool { return !slices.Contains(guestWords, strings.ToLower(typ)) }) {
		e.unreadable("guestOrExternalUserTypes") // one that this evaluator does not know
		typed = or(typed, maybe)
	}
	if types.torn {
		typed = or(typed, maybe)
	}
	if typed == no {
		return no
	}
	return and(typed, e.fromTenant(guests))
}

// fromTenant reads externalTenants; no block means all tenants.
func (e *evaluation) fromTenant(guests map[string]any) truth {
	tenants, torn := block(guests, "externalTenants")
	kind, isText := tenants["membershipKind"].(string)
	typ, _ := tenants["@odata.type"].(string)
	switch {
	case torn, tenants["membershipKind"] != nil && !isText:
		return e.unreadable("externalTenants")
	case unset(tenants) && typ == "", same(kind, "all"), kind == "" && strings.HasSuffix(typ, "AllExternalTenants"):
		return yes
	case !same(kind, "enumerated") && (kind != "" || !strings.HasSuffix(typ, "EnumeratedExternalTenants")):
		return e.unreadable("externalTenants")
	case !e.s.ExternalTenantID.Known && !slices.ContainsFunc(e.s.guestTypes(), foreign):
		return no // users of this tenant come from no other
	case !e.s.ExternalTenantID.Known:
		return e.lack("externalTenantId")
	}
	return e.list(tenants, "members").has(e.s.ExternalTenantID.Value)
}

// Types of guests and external users. "none" is a member of this tenant.
const (
	none           = "none"
	internalGuest  = "internalGuest"
	directConnect  = "b2bDirectConnectUser"
	guestOfB2B     = "b2bCollaborationGuest"
	memberOfB2B    = "b2bCollaborationMember"
	otherExternal  = "otherExternalUser"
	serviceProvide = "serviceProvider"
)

// guestType asks whether the user is a guest or external user of a wanted type.
// If the type is not known, it is settled by userType and home tenant as far as
// they go.
func (e *evaluation) guestType(wanted func(string) bool) truth {
	some, all := false, true
	for _, typ := range e.s.guestTypes() {
		is := typ != none && wanted(typ)
		some, all = some || is, all && is
	}
	switch {
	case all:
		return yes
	case !some:
		return no
	}
	return e.lack("guestOrExternalUserType")
}

// foreign reports whether users of a type have another home tenant.
func foreign(typ string) bool { return !same(typ, none) && !same(typ, internalGuest) }

var guestWords = []string{"none", "internalguest", "b2bcollaborationguest", "b2bcollaborationmember", "b2bdirectconnectuser", "otherexternaluser", "serviceprovider"}

// guestTypes are the types that the user may be of. Other external users are not
// of userType Member, and users of direct connect and service providers have no
// object that could have a userType. Null with userType Guest is a contradiction
// that is read as a guest.
func (s *SignIn) guestTypes() []string {
	guest := same(s.UserType.Value, "Guest")
	switch typ := s.GuestOrExternalUserType; {
	case typ.Value != "":
		return []string{typ.Value}
	case typ.Known && !guest:
		return []string{none}
	case typ.Known && s.ExternalTenantID.Value == "":
		return []string{internalGuest}
	}
	types := []string{none, memberOfB2B}
	switch {
	case guest:
		types = []string{internalGuest, guestOfB2B, otherExternal}
	case s.UserType.Value == "":
		types = append(types, otherExternal, internalGuest, guestOfB2B, directConnect, serviceProvide)
	}
	if s.ExternalTenantID.Value != "" {
		types = slices.DeleteFunc(types, func(typ string) bool { return !foreign(typ) })
	}
	return types
}

// external reports whether the user has another home tenant. Nobody is taken for
// external without a sign of it: a policy that asks for a device does not ask
// for the type of the user.
func (s *SignIn) external() bool {
	guest := same(s.UserType.Value, "Guest")
	switch typ := s.GuestOrExternalUserType; {
	case s.workload():
		return false
	case typ.Value != "":
		return foreign(typ.Value)
	case typ.Known:
		return guest && s.ExternalTenantID.Value != ""
	case s.ExternalTenantID.Known:
		return s.ExternalTenantID.Value != ""
	}
	return guest
}

// workloads asks whether the policy is for this service principal. Only those of
// single-tenant apps of the tenant are in scope, and only by clientApplications.
// Source: "Conditional Access for workload identities".
func (e *evaluation) workloads(conditions map[string]any) truth {
	clients, torn := block(conditions, "clientApplications")
	switch {
	case torn:
		return e.unreadable("clientApplications")
	case e.s.ExternalTenantID.Value != "":
		return no
	}
	include, exclude := e.strange(clients, "includeServicePrincipals", "excludeServicePrincipals", "servicePrincipalFilter")
	filterIn, filterOut := e.attributeFilter(clients, "servicePrincipalFilter")
	in, out := e.list(clients, "includeServicePrincipals"), e.list(clients, "excludeServicePrincipals")
	include = or(include, filterIn, in.without(out).any(e.principal))
	exclude = or(exclude, filterOut, out.any(e.principal))
	return and(include, not(exclude))
}

func (e *evaluation) principal(value string) truth {
	switch {
	case same(value, "ServicePrincipalsInMyTenant"):
		return yes
	case e.s.ServicePrincipalID.Value == "":
		return e.lack("servicePrincipalId")
	}
	return of(same(value, e.s.ServicePrincipalID.Value))
}

// attributeFilter reads a rule on custom security attributes. Nobody tells the
// evaluator these attributes, so a rule may match.
func (e *evaluation) attributeFilter(from map[string]any, name string) (include, exclude truth) {
	if unset(from[name]) {
		return no, no
	}
	e.lack(name)
	filter, _ := block(from, name)
	mode, _ := filter["mode"].(string)
	if !same(mode, "exclude") {
		include = maybe
	}
	if !same(mode, "include") {
		exclude = maybe
	}
	return include, exclude
}
