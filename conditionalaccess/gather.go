package conditionalaccess

import "strings"

// gather puts a sign-in into the terms of the set.
func (c *Compiled) gather(si *SignIn, s *scratch) *facts {
	f := &s.facts
	f.si = si
	c.gatherWho(f, s)
	c.gatherWhat(f, s)
	f.client = code(&si.ClientAppType, clientCodes, allClients, allClients)
	f.platform = platform(&si.Platform)
	f.signInRisk = code(&si.SignInRisk, riskCodes, allRisks, riskNone)
	f.userRisk = code(&si.UserRisk, riskCodes, allRisks, riskNone)
	f.insiderRisk = code(&si.InsiderRisk, insiderCodes, allInsider, insiderNone)
	f.spRisk, f.agRisk = riskNone, riskNone // of principals of another kind
	if f.kinds&kindServicePrincipal != 0 {
		f.spRisk = code(&si.ServicePrincipalRisk, riskCodes, allRisks, riskNone)
	}
	if f.kinds&(kindAgentIdentity|kindAgentUser) != 0 {
		f.agRisk = code(&si.AgentRisk, riskCodes, allRisks, riskNone)
	}
	f.flows, f.flowsPossible = flows(si)
	f.locations, f.locationsMaybe = s.places, s.maybes
	f.locationsMissing = c.locate(si, f.locations, f.locationsMaybe)
	c.gatherSatisfied(f)
	return f
}

func platform(m *Member[string]) int {
	switch m.State {
	case Absent:
		return allPlatforms
	case Given:
		if p, ok := platformCodes.find(m.Value); ok {
			return p
		}
	}
	return platformOther
}

// flows gives the transfer methods that the sign-in certainly has, and those
// that it may have. A session stays marked with the method it began with
// (§2.6: protocol tracking).
func flows(si *SignIn) (certain, possible int) {
	if si.AuthenticationFlow.given() {
		certain, _ = flowCodes.find(si.AuthenticationFlow.Value)
	}
	if si.OriginalTransferMethod.given() {
		original, _ := flowCodes.find(si.OriginalTransferMethod.Value)
		certain |= original
	}
	if si.AuthenticationFlow.State == Absent {
		return certain, allFlows
	}
	return certain, certain
}

func kinds(si *SignIn) int {
	if si.PrincipalType.given() {
		if k, ok := kindCodes.find(si.PrincipalType.Value); ok {
			return k
		}
	}
	switch {
	case si.ServicePrincipalID.given() && !si.UserID.given():
		return kindServicePrincipal
	case si.UserID.given(), si.UserType.given(), si.GuestOrExternalUserType.State != Absent:
		return kindUser
	}
	return kindUnknown
}

func lookup(m map[string]id, value *Member[string]) id {
	if !value.given() {
		return idUnknown
	}
	if i, ok := fold(m, value.Value); ok {
		return i
	}
	return idOther
}

func (c *Compiled) gatherWho(f *facts, s *scratch) {
	si := f.si
	f.kinds = kinds(si)
	f.user = lookup(c.users, &si.UserID)
	f.types, f.external = userTypes(si)
	f.tenant = lookup(c.tenants, &si.ExternalTenantID)
	if si.ExternalTenantID.State == Null {
		f.tenant = idOther
	}
	f.principal = lookup(c.principals, &si.ServicePrincipalID)
	f.multi = si.ExternalTenantID.given()
	f.groups, f.roles = s.groups, s.roles
	clear(f.groups)
	clear(f.roles)
	var entry *compiledUser
	if c.directory != nil && si.UserID.given() {
		entry, _ = fold(c.directory.users, si.UserID.Value)
	}
	f.groupsKnown = si.Groups.given() || entry != nil
	switch {
	case si.Groups.given():
		for _, g := range si.Groups.Value {
			if i, ok := fold(c.groups, g); ok {
				f.groups.add(int(i))
			}
			if c.directory == nil {
				continue
			}
			if above, ok := fold(c.directory.groups, g); ok {
				for w := range above {
					f.groups[w] |= above[w]
				}
			}
		}
	case entry != nil:
		copy(f.groups, entry.groups)
	}
	f.rolesKnown = si.Roles.given() || entry != nil
	switch {
	case si.Roles.given():
		for _, r := range si.Roles.Value {
			if i, ok := fold(c.roles, r); ok {
				f.roles.add(int(i))
			}
		}
	case entry != nil:
		copy(f.roles, entry.roles)
	}
}

// userTypes gives the kinds of user that the sign-in may come from, and
// whether grant controls take it for an external user's. The directory calls a
// B2B member Member too, so that Member alone decides little (§2.1).
func userTypes(si *SignIn) (types int, external bool) {
	guest := si.UserType.given() && strings.EqualFold(si.UserType.Value, "Guest")
	switch si.GuestOrExternalUserType.State {
	case Given:
		if t, ok := typeCodes.find(si.GuestOrExternalUserType.Value); ok {
			return t, t&externalTypes != 0
		}
	case Null:
		if guest {
			return typeInternalGuest, false
		}
		return typeInternal, false
	}
	switch {
	case guest:
		return typeInternalGuest | typeB2BGuest | typeOtherExternal, true
	case si.UserType.given():
		return typeInternal | typeB2BMember, false
	}
	return allTypes, false
}

func (c *Compiled) gatherWhat(f *facts, s *scratch) {
	si := f.si
	f.services = s.services[:0]
	switch {
	case si.UserAction.given():
		f.target = targetAction
		f.action = idOther
		if i, ok := fold(c.actions, userAction(si.UserAction.Value)); ok {
			f.action = i
		}
	case si.AuthenticationContext.given():
		f.target = targetContext
		f.context = lookup(c.contexts, &si.AuthenticationContext)
	case si.Resource.given():
		f.target = targetResource
		f.resource = lookup(c.apps, &si.Resource)
		f.known, f.listed = 0, false
		if f.resource >= 0 {
			f.known, f.listed = c.suites[f.resource], true
		}
		f.scopes = anyScopes
		if si.Scopes.given() {
			f.scopes = classifyScopes(si.Scopes.Value)
		}
		if c.options.ServiceDependencies && f.resource >= 0 {
			f.services = c.services(f.services, c.appNames[f.resource], si)
		}
	default:
		f.target = targetUnknown
	}
	s.services = f.services
}

// services gives the services whose policies count besides the resource's.
func (c *Compiled) services(list []id, app string, si *SignIn) []id {
	if app == appGraph && si.Scopes.given() {
		for _, scope := range si.Scopes.Value {
			scope = scope[strings.LastIndexByte(scope, '/')+1:]
			first, _, _ := strings.Cut(scope, ".")
			if service, ok := fold(graphServices, first); ok {
				list = append(list, c.apps[service])
			}
		}
		return list
	}
	for _, service := range earlyBound[app] {
		list = append(list, c.apps[service])
		list = c.services(list, service, si) // no circles in the table
	}
	return list
}
