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
	f.deviceCode = si.AuthenticationFlow.given() && strings.EqualFold(si.AuthenticationFlow.Value, "deviceCodeFlow")
	f.device = &si.Device
	c.gatherWhere(f, s)
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

// known is lookup in an index.
func known(x *index, value *Member[string]) id {
	if !value.given() {
		return idUnknown
	}
	if i, ok := x.find(value.Value); ok {
		return i
	}
	return idOther
}

func (c *Compiled) gatherWho(f *facts, s *scratch) {
	si := f.si
	f.kinds = kinds(si)
	f.user = known(&c.findUser, &si.UserID)
	f.types = userTypes(si)
	f.external = f.kinds != kindServicePrincipal && external(si)
	f.direct = si.GuestOrExternalUserType.given() && f.types == typeDirectConnect
	f.tenant = lookup(c.tenants, &si.ExternalTenantID)
	if si.ExternalTenantID.State == Null || f.types&externalTypes == 0 {
		f.tenant = idOther
	}
	f.principal = lookup(c.principals, &si.ServicePrincipalID)
	f.multi = si.ExternalTenantID.given()
	var entry *compiledUser
	if c.directory != nil && si.UserID.given() {
		entry, _ = fold(c.directory.users, si.UserID.Value)
	}
	c.gatherGroups(f, s, entry)
	c.gatherRoles(f, s, entry)
}

func (c *Compiled) gatherGroups(f *facts, s *scratch, entry *compiledUser) {
	f.groups, f.groupsMaybe = s.groups, s.groupsMaybe
	clear(f.groups)
	clear(f.groupsMaybe)
	switch groups := &f.si.Groups; {
	case groups.given():
		for _, g := range groups.Value {
			if i, ok := c.findGroup.find(g); ok {
				f.groups.add(int(i))
			}
			if c.directory == nil {
				continue
			}
			if above, ok := fold(c.directory.groups, g); ok {
				or(f.groups, above)
			}
		}
	case entry != nil:
		copy(f.groups, entry.groups)
	default:
		fill(f.groupsMaybe, len(c.groups))
	}
}

func (c *Compiled) gatherRoles(f *facts, s *scratch, entry *compiledUser) {
	f.roles, f.rolesMaybe = s.roles, s.rolesMaybe
	clear(f.roles)
	clear(f.rolesMaybe)
	switch roles := &f.si.Roles; {
	case roles.given():
		for _, r := range roles.Value {
			if i, ok := c.findRole.find(r); ok {
				f.roles.add(int(i))
			}
		}
	case entry != nil:
		copy(f.roles, entry.roles)
	default:
		fill(f.rolesMaybe, len(c.roles))
	}
}

// userTypes gives the kinds of user that the sign-in may come from. Who has a
// home tenant elsewhere is not internal, only B2B members are Member besides
// those who are, and whom the directory calls Guest is a guest of some kind even
// if the type is null (§2.1).
func userTypes(si *SignIn) int {
	const here = typeInternal | typeInternalGuest
	const guests = typeInternalGuest | typeB2BGuest | typeOtherExternal
	guest := si.UserType.given() && strings.EqualFold(si.UserType.Value, "Guest")
	types := allTypes
	switch si.GuestOrExternalUserType.State {
	case Given:
		if t, ok := typeCodes.find(si.GuestOrExternalUserType.Value); ok {
			return t
		}
	case Null:
		switch {
		case !guest:
			return typeInternal
		case si.ExternalTenantID.given():
			return guests &^ here
		}
		return typeInternalGuest
	}
	switch {
	case guest:
		types = guests
	case si.UserType.given():
		types = typeInternal | typeB2BMember
	}
	if si.ExternalTenantID.given() {
		types &^= here
	}
	return types
}

// external says whether grant controls take the user for an external one.
// Nobody is without a sign of it: the type, a home tenant, or that the directory
// says Guest.
func external(si *SignIn) bool {
	guest := si.UserType.given() && strings.EqualFold(si.UserType.Value, "Guest")
	if t, ok := typeCodes.find(si.GuestOrExternalUserType.Value); ok && si.GuestOrExternalUserType.given() {
		return t&externalTypes != 0
	}
	switch {
	case si.GuestOrExternalUserType.State == Null:
		return guest && si.ExternalTenantID.given()
	case si.ExternalTenantID.State != Absent:
		return si.ExternalTenantID.given()
	}
	return guest
}

func (c *Compiled) gatherWhat(f *facts, s *scratch) {
	si := f.si
	f.services = s.services[:0]
	f.guesses, f.behind = [suiteGuesses]suite{}, false
	f.scopes = anyScopes
	if si.Scopes.given() {
		f.scopes = classifyScopes(si.Scopes.Value)
	}
	switch {
	case si.UserAction.given():
		f.target, f.action = targetAction, idOther
		action := userAction(si.UserAction.Value)
		f.security = strings.EqualFold(action, actionSecurityInfo)
		if i, ok := fold(c.actions, action); ok {
			f.action = i
		}
	case si.AuthenticationContext.given():
		f.target = targetContext
		f.context = lookup(c.contexts, &si.AuthenticationContext)
	case si.Resource.given():
		c.aim(f, s, known(&c.findApp, &si.Resource))
	default:
		f.target = targetUnknown
		f.mayBeAction, f.mayBeCtx = si.UserAction.State == Absent, si.AuthenticationContext.State == Absent
	}
}

// aim makes a resource the target.
func (c *Compiled) aim(f *facts, s *scratch, resource id) {
	f.target, f.resource = targetResource, resource
	if c.options.ServiceDependencies && resource >= 0 {
		f.services, f.behind = c.services(s.services[:0], c.appNames[resource], f.si)
		s.services = f.services
	}
}

// services gives the services whose policies count besides the resource's.
// Microsoft Graph cannot be targeted: the services behind its scopes count
// instead of it, unless some scope opens something else (§1).
func (c *Compiled) services(list []id, app string, si *SignIn) (services []id, instead bool) {
	if app == appGraph && si.Scopes.given() {
		instead = true
		for _, scope := range si.Scopes.Value {
			scope = scope[strings.LastIndexByte(scope, '/')+1:]
			first, _, _ := strings.Cut(scope, ".")
			if containsFold(oidcScopes, scope) || containsFold(directoryScopes, scope) {
				continue
			}
			service, ok := fold(graphServices, first)
			if !ok {
				instead = false
				continue
			}
			list = append(list, c.apps[service])
			list, _ = c.services(list, service, si)
		}
		return list, instead && len(list) > 0
	}
	for _, service := range earlyBound[app] {
		list = append(list, c.apps[service])
		list, _ = c.services(list, service, si) // no circles in the table
	}
	return list, false
}

func (c *Compiled) gatherWhere(f *facts, s *scratch) {
	si, p := f.si, &c.places
	f.locations, f.locationsMaybe = s.places, s.maybes
	f.addressed, f.region, f.abroad = si.IPAddress.given(), nil, false
	if f.addressed {
		f.region = p.containing(si.IPAddress.Value)
	}
	f.mapped, f.country = true, p.unmapped
	switch si.Country.State {
	case Given:
		f.country = p.of(si.Country.Value)
	case Absent:
		f.mapped = false
		if f.addressed && c.options.Country != nil && !p.private(f.region) {
			f.mapped = true
			if country, ok := c.options.Country(si.IPAddress.Value); ok {
				f.country = p.of(country)
			}
		}
	}
	f.network = maybe
	if si.CompliantNetwork.given() {
		f.network = triOf(si.CompliantNetwork.Value)
	}
	clear(s.placeYes)
	clear(s.placeNo)
	c.locate(f, s)
}
