package conditionalaccess

import "math/bits"

// dimension gives the mask of a member that has few values, nil for others.
func dimension(f *facts, m member) *int {
	switch m {
	case mPrincipalType:
		return &f.kinds
	case mGuestType:
		return &f.types
	case mClientApp:
		return &f.client
	case mPlatform:
		return &f.platform
	case mSignInRisk:
		return &f.signInRisk
	case mUserRisk:
		return &f.userRisk
	case mInsiderRisk:
		return &f.insiderRisk
	case mServicePrincipalRisk:
		return &f.spRisk
	case mAgentRisk:
		return &f.agRisk
	}
	return nil
}

// choices gives the number of values that can be assumed for a member, 0 if
// there is nothing to assume. p is the policy that asks.
func (c *Compiled) choices(f *facts, s *scratch, m member, p *compiledPolicy) int {
	if mask := dimension(f, m); mask != nil {
		if n := bits.OnesCount(uint(*mask)); n > 1 {
			return n
		}
		return 0
	}
	open := 0 // besides the values that policies name
	switch m {
	case mUserID:
		open = when(f.user == idUnknown, len(c.users)+1)
	case mExternalTenant:
		open = when(f.tenant == idUnknown, len(c.tenants)+1)
	case mServicePrincipal:
		open = when(f.principal == idUnknown, len(c.principals)+1)
	case mGroups:
		open = when(undecided(p.who.in.groups, p.who.out.groups, f.groupsMaybe) >= 0, 2)
	case mRoles:
		open = when(undecided(p.who.in.roles, p.who.out.roles, f.rolesMaybe) >= 0, 2)
	case mResource:
		open = when(f.target == targetUnknown, len(c.apps)+1+len(c.actions)+2+len(c.contexts)+1)
	case mIPAddress:
		open = when(!f.addressed, len(c.places.regions))
	case mCountry:
		open = when(!f.mapped, len(c.places.nations)+1)
	case mCompliantNetwork:
		open = when(f.network == maybe, 2)
	case mNamedLocations, mTrustedIPs:
		open = when(c.undecidedPlace(p, f, m) >= 0, 2)
	case mAppGroups:
		open = when(c.undecidedApp(f) >= 0, 4)
	case mFlow:
		open = when(f.flowsPossible != f.flows, 3)
	case mDevice:
		open = when(f.device.State == Absent, 2)
	case mCombination:
		open = when(!f.satisfied.usedKnown, len(c.values.combinations))
	default:
		if m >= mAttributes && f.device == &s.cases.device {
			a := DeviceAttribute(m - mAttributes)
			open = when(f.device.Value.attributes[a].State == Absent, c.values.count(a))
		}
	}
	return open
}

func when(is bool, n int) int {
	if is {
		return n
	}
	return 0
}

// undecided gives the first of the ids that may belong, -1 if none may.
func undecided(in, out []id, perhaps bitset) int {
	for _, list := range [...][]id{in, out} {
		for _, i := range list {
			if perhaps.has(int(i)) {
				return int(i)
			}
		}
	}
	return -1
}

// undecidedPlace gives a location of a policy that may contain the sign-in for
// one reason.
func (c *Compiled) undecidedPlace(p *compiledPolicy, f *facts, why member) int {
	for _, list := range [...][]id{p.where.in.ids, p.where.out.ids} {
		for _, i := range list {
			if f.locationsMaybe.has(int(i)) && c.missingFor(i, f) == why.set() {
				return int(i)
			}
		}
	}
	return -1
}

// undecidedApp gives the resource, or a service behind it, if its suites are
// uncertain.
func (c *Compiled) undecidedApp(f *facts) int {
	if f.target != targetResource {
		return -1
	}
	for i, app := range c.values.uncertain {
		if f.guesses[i] != 0 {
			continue
		}
		if app == f.resource || contains(f.services, app) {
			return i
		}
	}
	return -1
}

// assume gives a member its i-th value, and reports whether that agrees with
// what is known.
func (c *Compiled) assume(f *facts, s *scratch, m member, p *compiledPolicy, i int) bool {
	if mask := dimension(f, m); mask != nil {
		for ; i > 0; i-- {
			*mask &= *mask - 1
		}
		*mask &= -*mask
		c.follow(f, m)
		return true
	}
	switch m {
	case mUserID:
		f.user = nth(i, len(c.users))
	case mServicePrincipal:
		f.principal = nth(i, len(c.principals))
	case mExternalTenant:
		return c.assumeTenant(f, i)
	case mGroups:
		g := undecided(p.who.in.groups, p.who.out.groups, f.groupsMaybe)
		c.assumeGroup(f, g, i == 1)
	case mRoles:
		r := undecided(p.who.in.roles, p.who.out.roles, f.rolesMaybe)
		f.rolesMaybe.remove(r)
		if i == 1 {
			f.roles.add(r)
		}
	case mResource:
		return c.assumeTarget(f, s, i)
	case mIPAddress, mCountry, mCompliantNetwork, mNamedLocations, mTrustedIPs:
		return c.assumePlace(f, s, m, p, i)
	case mAppGroups:
		f.guesses[c.undecidedApp(f)] = guessed | suite(i)*office365
	case mFlow:
		f.flows |= [...]int{0, flowDeviceCode, flowTransfer}[i]
		f.flowsPossible = f.flows
	case mCombination:
		return c.assumeCombination(f, i)
	case mDevice:
		s.cases.device = None[Device]()
		if i == 1 {
			s.cases.device = Is(Device{})
		}
		f.device = &s.cases.device
	default:
		c.values.assume(&f.device.Value, DeviceAttribute(m-mAttributes), i)
		given := &f.si.Device.Value
		return !given.extended() || given.plain() || !f.device.Value.plain()
	}
	return true
}

// follow draws the consequences of an assumed kind.
func (c *Compiled) follow(f *facts, m member) {
	switch {
	case m == mPrincipalType && f.kinds == kindUser:
		f.spRisk = riskNone
	case m == mPrincipalType:
		f.external = false
	case m == mGuestType && f.types&externalTypes == 0:
		f.tenant = idOther
	}
}

// nth gives the i-th of n ids, and at the end one that no policy names.
func nth(i, n int) id {
	if i == n {
		return idOther
	}
	return id(i)
}

// assumeTenant: one that policies name, which makes the user external, or
// another or none.
func (c *Compiled) assumeTenant(f *facts, i int) bool {
	f.tenant = nth(i, len(c.tenants))
	if f.tenant != idOther {
		f.types &= externalTypes
	}
	return f.types != 0
}

// assumeGroup: who is in a group is in those around it.
func (c *Compiled) assumeGroup(f *facts, g int, in bool) {
	f.groupsMaybe.remove(g)
	if in {
		f.groups.add(g)
		or(f.groups, c.values.around.row(g))
	}
	for other := range c.groupNames {
		if !in && c.values.around.row(other).has(g) {
			f.groupsMaybe.remove(other)
		}
	}
	for w := range f.groups {
		f.groupsMaybe[w] &^= f.groups[w]
	}
}

func (c *Compiled) assumeTarget(f *facts, s *scratch, i int) bool {
	if i <= len(c.apps) {
		c.aim(f, s, nth(i, len(c.apps)))
		return true
	}
	if i -= len(c.apps) + 1; i < len(c.actions)+2 {
		f.target, f.action, f.security = targetAction, idOther, i == len(c.actions)+1
		if i < len(c.actions) {
			f.action, f.security = id(i), id(i) == c.securityInfo()
		}
		c.gatherDemand(f)
		return f.mayBeAction
	}
	i -= len(c.actions) + 2
	f.target, f.context = targetContext, nth(i, len(c.contexts))
	return f.mayBeCtx
}

func (c *Compiled) assumePlace(f *facts, s *scratch, m member, p *compiledPolicy, i int) bool {
	agrees := true
	switch m {
	case mIPAddress:
		f.addressed, f.region = true, c.places.regions[i]
		agrees = !f.abroad || !c.places.private(f.region)
	case mCountry:
		f.mapped, f.country = true, c.places.unmapped
		if i > 0 {
			f.abroad, f.country = true, c.places.nations[i-1]
		}
	case mCompliantNetwork:
		f.network = triOf(i == 1)
	default:
		place := c.undecidedPlace(p, f, m)
		if i == 1 {
			s.placeYes.add(place)
		} else {
			s.placeNo.add(place)
		}
	}
	c.locate(f, s)
	return agrees
}

// assumeCombination: a combination that is MFA agrees only with MFA done.
func (c *Compiled) assumeCombination(f *facts, i int) bool {
	k := &f.satisfied
	k.used, k.usedKnown = c.values.combinations[i], true
	if !k.used.multi() {
		return true
	}
	was := k.mfa
	k.mfa = yes
	return was != no
}
