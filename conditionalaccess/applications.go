package conditionalaccess

// application evaluates what the token is for.
func (c *Compiled) application(p *compiledPolicy, f *facts) finding {
	if p.Conditions.Applications == nil {
		return finding{condition: conditionEmpty, result: no, why: reasonNoResource}
	}
	switch f.target {
	case targetAction:
		return c.actionCondition(p, f)
	case targetContext:
		t := finding{condition: conditionContext, result: triOf(contains(p.contexts, f.context)), why: reasonContext, value: f.si.AuthenticationContext.Value}
		return orUnknown(t, p.what.in.unknown)
	case targetUnknown:
		return c.anyTarget(p, f)
	}
	if w := &p.what; len(f.services) > 0 && w.in.all && f.scopes != anyScopes && w.out.any() {
		return c.baseline(p, f, f.resource) // the request as a whole, whatever it brings
	}
	var t finding
	if !f.behind {
		t = c.resourceCondition(p, f, f.resource)
	}
	for i, service := range f.services {
		if t.result == yes {
			break
		}
		other := c.resourceCondition(p, f, service)
		if other.result > t.result || i == 0 && f.behind {
			other.missing |= t.missing
			t = other
		}
	}
	return t
}

// anyTarget: nothing says what the token is for. A policy on all resources
// applies if it must be one.
func (c *Compiled) anyTarget(p *compiledPolicy, f *facts) finding {
	w := &p.what
	switch {
	case !f.mayBeAction && !f.mayBeCtx && w.in.all && !w.out.any():
		return finding{condition: conditionApplications, result: yes, why: reasonAllResources}
	case w.in.any(), f.mayBeAction && len(p.actions) > 0, f.mayBeCtx && len(p.contexts) > 0:
		return finding{condition: conditionApplications, result: maybe, missing: mResource.set(), why: reasonMissing}
	}
	return finding{condition: conditionApplications, result: no, why: reasonNoResource}
}

// orUnknown weakens a no where the policy says more than this package knows.
func orUnknown(t finding, unknown bool) finding {
	if t.result == no && unknown {
		t.result, t.missing, t.why = maybe, mPolicy.set(), reasonUnknownCondition
	}
	return t
}

// actionCondition: what If counts the registration of security information to
// "all resources"; the other action it does not (§2.2).
func (c *Compiled) actionCondition(p *compiledPolicy, f *facts) finding {
	t := finding{condition: conditionActions, why: reasonOtherAction, value: f.si.UserAction.Value}
	switch {
	case contains(p.actions, f.action):
		t.result, t.why = yes, reasonAction
	case p.what.in.all && !c.options.RegistrationApart && f.security:
		t.result, t.why = yes, reasonAllResources
	}
	return orUnknown(t, p.what.in.unknown)
}

// resourceCondition evaluates one resource against the included and excluded
// ones.
func (c *Compiled) resourceCondition(p *compiledPolicy, f *facts, resource id) finding {
	w := &p.what
	in := w.in.match(c, f, resource)
	if in.result == no {
		t := finding{condition: conditionApplications, result: no, why: reasonOtherResource, value: f.si.Resource.Value}
		if !w.in.all && len(w.in.ids) == 0 && w.in.suites == 0 && len(p.actions)+len(p.contexts) > 0 {
			t.why = reasonNoResource
		}
		return t
	}
	if w.in.all && f.scopes != anyScopes && w.out.any() {
		return c.baseline(p, f, resource)
	}
	return within(conditionApplications, in, w.out.match(c, f, resource), reasonOtherResource)
}

// any reports whether anything is listed.
func (r *resources) any() bool {
	return len(r.ids) > 0 || r.suites != 0 || r.all || r.allAgents || r.filter != nil || r.unknown
}

// baseline is the rule for policies on all resources with exclusions when the
// request is for directory scopes only (§2.2): formerly such a policy was
// skipped; now the request counts as one for the directory. An application
// that is excluded itself and only identifies the user stays excluded.
func (c *Compiled) baseline(p *compiledPolicy, f *facts, resource id) finding {
	if c.options.OldBaselineScopes {
		return finding{condition: conditionApplications, result: no, why: reasonBaselineSkipped}
	}
	var out either
	if f.scopes == onlyOIDC {
		out.finding = p.what.out.match(c, f, resource)
	}
	directory := p.what.out.match(c, f, c.apps[appDirectory])
	out.add(directory.result, directory.missing, directory.why, directory.value)
	return within(conditionApplications, finding{result: yes, why: reasonBaseline}, out.finding, reasonOtherResource)
}

// match says whether a resource is on one side of the assignment.
func (r *resources) match(c *Compiled, f *facts, resource id) finding {
	var e either
	known := c.suiteFor(f, resource)
	if r.all {
		e.add(yes, 0, reasonAllResources, "")
	}
	if resource >= 0 && contains(r.ids, resource) {
		e.add(yes, 0, reasonResource, c.appNames[resource])
	}
	switch {
	case r.suites&known != 0:
		e.add(yes, 0, reasonSuite, "")
	case r.suites != 0 && known&uncertain != 0:
		e.add(maybe, mAppGroups.set(), reasonUnknownSuite, "")
	}
	if r.allAgents && resource < 0 {
		e.add(maybe, mAppGroups.set(), reasonUnknownSuite, "")
	}
	if r.filter != nil {
		t, missing := r.filter.eval(&subject{attributes: &f.si.ResourceAttributes, missing: mResourceAttributes.set()})
		e.add(t, missing, reasonFilter, r.filter.Rule)
	}
	if r.unknown {
		e.add(maybe, mPolicy.set(), reasonUnknownCondition, "")
	}
	return e.finding
}

// suiteFor gives the suites of an application, as assumed if that is uncertain.
func (c *Compiled) suiteFor(f *facts, app id) suite {
	if app < 0 {
		return 0
	}
	known := c.suites[app]
	if known&uncertain == 0 {
		return known
	}
	for i, have := range c.values.uncertain {
		if have == app && f.guesses[i]&guessed != 0 {
			return f.guesses[i] &^ guessed
		}
	}
	return known
}
