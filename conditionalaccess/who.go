package conditionalaccess

// who evaluates the assignment of users or of workload identities.
func (c *Compiled) who(p *compiledPolicy, f *facts) finding {
	if p.kinds == 0 {
		return finding{condition: conditionInvalid, result: no, why: reasonNobody}
	}
	all := [...]struct {
		kind int
		eval func(*compiledPolicy, *facts) finding
	}{
		{kindUser, c.whoUser}, {kindServicePrincipal, whoPrincipal}, {kindAgentIdentity, whoAgent},
		{kindAgentUser, whoAgentUser}, {kindManaged, whoManaged},
	}
	var out finding
	first := true
	for _, k := range all {
		if f.kinds&k.kind == 0 {
			continue
		}
		got := k.eval(p, f)
		switch {
		case first:
			out, first = got, false
		case got.result != out.result || got.result == maybe:
			out = finding{
				condition: conditionUsers, result: maybe, why: reasonMissing,
				missing: out.missing | got.missing | mPrincipalType.set(),
			}
		}
	}
	return out
}

func (c *Compiled) whoUser(p *compiledPolicy, f *facts) finding {
	switch {
	case p.Conditions.ClientApplications != nil:
		return finding{condition: conditionUsers, result: no, why: reasonWorkload}
	case p.Conditions.Agents != nil:
		return finding{condition: conditionUsers, result: no, why: reasonAgents}
	}
	return within(conditionUsers, c.listed(&p.who.in, f), c.listed(&p.who.out, f), reasonNotIncluded)
}

// listed says whether the user is on one side of the assignment.
func (c *Compiled) listed(p *people, f *facts) finding {
	var e either
	if p.all {
		e.add(yes, 0, reasonAllUsers, "")
	}
	if len(p.users) > 0 {
		if f.user == idUnknown {
			e.add(maybe, mUserID.set(), reasonMissing, "")
		} else if contains(p.users, f.user) {
			e.add(yes, 0, reasonUser, f.si.UserID.Value)
		}
	}
	e.membership(p.groups, f.groups, f.groupsMaybe, mGroups, reasonGroup, c.groupNames)
	e.membership(p.roles, f.roles, f.rolesMaybe, mRoles, reasonRole, c.roleNames)
	if p.guests {
		e.add(matches(f.types, allTypes&^typeInternal), mGuestType.set(), reasonGuest, "")
	}
	if p.types != nil {
		t, missing := p.types.match(f)
		e.add(t, missing, reasonGuest, "")
	}
	if p.unknown {
		e.add(maybe, mPolicy.set(), reasonUnknownCondition, "")
	}
	if others := len(p.users) + len(p.roles); e.result == no && others == 0 && len(p.groups) == 1 && !p.guests && p.types == nil {
		e.why, e.value = reasonNotInGroup, c.groupNames[p.groups[0]]
	}
	return e.finding
}

func (e *either) membership(wanted []id, have, perhaps bitset, m member, why reason, names []string) {
	for _, i := range wanted {
		switch {
		case have.has(int(i)):
			e.add(yes, 0, why, names[i])
			return
		case perhaps.has(int(i)):
			e.add(maybe, m.set(), reasonMissing, "")
		}
	}
}

func (g *compiledGuests) match(f *facts) (tri, members) {
	t := matches(f.types, g.types)
	var missing members
	if t == maybe {
		missing = mGuestType.set()
	}
	if t == no || g.all {
		return t, missing
	}
	tenant := no
	switch {
	case g.unknown:
		tenant, missing = maybe, missing|mPolicy.set()
	case f.tenant == idUnknown:
		tenant, missing = maybe, missing|mExternalTenant.set()
	case contains(g.tenants, f.tenant):
		tenant = yes
	}
	return min(t, tenant), missing
}

func contains(list []id, i id) bool {
	for _, have := range list {
		if have == i {
			return true
		}
	}
	return false
}

// whoPrincipal: only principals of the tenant's own applications (§5).
func whoPrincipal(p *compiledPolicy, f *facts) finding {
	const c = conditionWorkload
	switch {
	case p.Conditions.ClientApplications == nil:
		return finding{condition: c, result: no, why: reasonNoWorkload}
	case f.multi:
		return finding{condition: c, result: no, why: reasonMultiTenant}
	}
	return within(c, p.workload.in.match(f), p.workload.out.match(f), reasonNotIncluded)
}

func (p *principals) match(f *facts) finding {
	var e either
	if p.all {
		e.add(yes, 0, reasonAllPrincipals, "")
	}
	if len(p.ids) > 0 {
		if f.principal == idUnknown {
			e.add(maybe, mServicePrincipal.set(), reasonMissing, "")
		} else if contains(p.ids, f.principal) {
			e.add(yes, 0, reasonPrincipal, f.si.ServicePrincipalID.Value)
		}
	}
	if p.filter != nil {
		t, missing := p.filter.eval(&subject{attributes: &f.si.PrincipalAttributes, missing: mPrincipalAttributes.set()})
		e.add(t, missing, reasonFilter, p.filter.Rule)
	}
	if p.unknown {
		e.add(maybe, mPolicy.set(), reasonUnknownCondition, "")
	}
	return e.finding
}

// eval evaluates a filter; a rule that could not be read is unknown.
func (f *Filter) eval(s *subject) (tri, members) {
	if f.expression == nil {
		return maybe, mPolicy.set()
	}
	return f.expression.eval(s)
}

func whoAgent(p *compiledPolicy, f *facts) finding {
	const c = conditionWorkload
	if p.Conditions.ClientApplications == nil {
		return finding{condition: c, result: no, why: reasonNoWorkload}
	}
	return within(c, p.agentIDs.in.match(f), p.agentIDs.out.match(f), reasonNotIncluded)
}

// whoAgentUser: whether "all users" takes in users that are agents is not
// documented.
func whoAgentUser(p *compiledPolicy, f *facts) finding {
	const c = conditionUsers
	switch {
	case p.Conditions.ClientApplications != nil:
		return finding{condition: c, result: no, why: reasonWorkload}
	case p.Conditions.Agents == nil:
		return finding{condition: c, result: maybe, missing: mPolicy.set(), why: reasonUnknownCondition}
	}
	return within(c, p.agentUsers.in.match(f), p.agentUsers.out.match(f), reasonNotIncluded)
}

// whoManaged: no policy applies to managed identities (§2.1).
func whoManaged(*compiledPolicy, *facts) finding {
	return finding{condition: conditionWorkload, result: no, why: reasonManaged}
}
