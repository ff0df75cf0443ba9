package conditionalaccess

// checks are the conditions in the order in which first unmet ones are named.
var checks = [...]func(*Compiled, *compiledPolicy, *facts) finding{
	stateCondition,
	(*Compiled).who,
	(*Compiled).application,
	(*Compiled).platformCondition,
	(*Compiled).deviceCondition,
	(*Compiled).clientCondition,
	(*Compiled).locationCondition,
	riskConditions(conditionSignInRisk),
	riskConditions(conditionUserRisk),
	riskConditions(conditionInsiderRisk),
	riskConditions(conditionPrincipalRisk),
	func(_ *Compiled, p *compiledPolicy, f *facts) finding { return flowCondition(p, f) },
	otherCondition,
}

func stateCondition(_ *Compiled, p *compiledPolicy, _ *facts) finding {
	f := finding{condition: conditionState, result: yes}
	switch p.State {
	case Disabled:
		f.result, f.why = no, reasonDisabled
	case StateUnknown:
		f.result, f.why, f.missing = maybe, reasonUnknownState, mState.set()
	}
	return f
}

func riskConditions(k condition) func(*Compiled, *compiledPolicy, *facts) finding {
	return func(_ *Compiled, p *compiledPolicy, f *facts) finding {
		return orUnknown(riskCondition(k, p, f), p.strange[k])
	}
}

func riskCondition(k condition, p *compiledPolicy, f *facts) finding {
	switch k {
	case conditionSignInRisk:
		return level(k, f.signInRisk, p.signInRisk, mSignInRisk, f.si.SignInRisk.Value)
	case conditionUserRisk:
		return level(k, f.userRisk, p.userRisk, mUserRisk, f.si.UserRisk.Value)
	case conditionInsiderRisk:
		return level(k, f.insiderRisk, p.insiderRisk, mInsiderRisk, f.si.InsiderRisk.Value)
	}
	t := level(k, f.spRisk, p.spRisk, mServicePrincipalRisk, f.si.ServicePrincipalRisk.Value)
	if agent := level(k, f.agRisk, p.agRisk, mAgentRisk, f.si.AgentRisk.Value); agent.result < t.result {
		agent.missing |= t.missing
		return agent
	}
	return t
}

// otherCondition is what this package does not know: values of known
// conditions, and whole conditions.
func otherCondition(_ *Compiled, p *compiledPolicy, _ *facts) finding {
	f := finding{condition: conditionOther, result: yes}
	if len(p.Conditions.Unknown) > 0 {
		f.result, f.missing, f.why = maybe, mPolicy.set(), reasonUnknownCondition
	}
	return f
}

// A PolicyTrace says what came out of one policy, and why.
type PolicyTrace struct {
	Policy int // position, see [Compiled.Policy]
	// Result is applies, does_not_apply or unknown.
	Result string
	// FirstUnmet is the first condition that is not met, as What If names
	// reasons; notEnoughInformation if the result is unknown, and "" if the
	// policy applies.
	FirstUnmet string
	// Conditions are those that the policy configures, in the order of the tests.
	Conditions []ConditionTrace
	// Outcome is what the sign-in log would say: success, failure, notApplied,
	// notEnabled, reportOnlySuccess, reportOnlyFailure, reportOnlyInterrupted,
	// reportOnlyNotApplied or unknown (conditional-access-evaluation §4).
	Outcome string
}

// A ConditionTrace says what came out of one condition.
type ConditionTrace struct {
	Condition string // as What If names it
	Result    string // met, not_met or unknown
	Why       string // one sentence for people
}

// Trace says for every policy, in order, whether it applies to a sign-in and
// why. The result is that of [Compiled.Evaluate] for the same sign-in or a
// fresh one.
func (c *Compiled) Trace(si *SignIn, r *Result) []PolicyTrace {
	c.Evaluate(si, r)
	f := c.gather(si, &r.scratch)
	list := make([]PolicyTrace, len(c.policies))
	for i := range c.policies {
		list[i] = c.trace(i, f)
	}
	return list
}

func (c *Compiled) trace(i int, f *facts) PolicyTrace {
	p := &c.policies[i]
	t := PolicyTrace{Policy: i}
	result := yes
	for _, check := range checks {
		got := check(c, p, f)
		if got.result == no && result != no {
			t.FirstUnmet = whatIfNames[got.condition]
		}
		result = min(result, got.result)
		if got.result == yes && !configured(p, got.condition) {
			continue
		}
		t.Conditions = append(t.Conditions, ConditionTrace{
			Condition: whatIfNames[got.condition],
			Result:    [...]string{no: "not_met", maybe: "unknown", yes: "met"}[got.result],
			Why:       got.sentence(),
		})
	}
	t.Result = [...]string{no: "does_not_apply", maybe: "unknown", yes: "applies"}[result]
	if result == maybe {
		t.FirstUnmet = "notEnoughInformation"
	}
	t.Outcome = c.logged(p, f, result)
	return t
}

// configured reports whether a policy has a condition at all.
func configured(p *compiledPolicy, k condition) bool {
	cond := &p.Conditions
	switch k {
	case conditionState, conditionOther:
		return false
	case conditionPlatform:
		return cond.Platforms != nil
	case conditionDevices:
		return cond.DeviceFilter != nil || cond.DeviceStates != nil
	case conditionClients:
		return p.clients != allClients || p.eas || p.clientsMaybe
	case conditionLocation:
		return p.located
	case conditionSignInRisk:
		return len(cond.SignInRiskLevels) > 0
	case conditionUserRisk:
		return len(cond.UserRiskLevels) > 0
	case conditionInsiderRisk:
		return len(cond.InsiderRiskLevels) > 0
	case conditionPrincipalRisk:
		return len(cond.ServicePrincipalRiskLevels)+len(cond.AgentRiskLevels) > 0
	case conditionFlow:
		return p.flows != 0
	}
	return true
}

// logged is what the sign-in log would say.
func (c *Compiled) logged(p *compiledPolicy, f *facts, result tri) string {
	if p.State == Disabled {
		return "notEnabled"
	}
	prefix, success, failure := "", "success", "failure"
	if p.reportOnly {
		prefix, success, failure = "reportOnly", "Success", "Failure"
	}
	switch {
	case result == maybe:
		return "unknown"
	case result == no && prefix == "":
		return "notApplied"
	case result == no:
		return prefix + "NotApplied"
	case p.class < 0:
		return prefix + success
	}
	demands := c.demand(&c.classes[p.class], f).asks
	switch v := demands.verdict(); {
	case v == Unknown:
		return "unknown"
	case v == Allowed:
		return prefix + success
	case p.reportOnly && v != Blocked && v != DeviceRequired && v != AppProtectionRequired:
		return prefix + "Interrupted" // the user would have had to act
	}
	return prefix + failure
}

// SessionControls gives the session controls of the policies that apply, in
// the order of the policies. Of several of one kind the strictest would win;
// that is not decided here.
func (c *Compiled) SessionControls(r *Result) []SessionControl {
	var list []SessionControl
	for _, i := range r.Applied {
		list = append(list, c.policies[i].Session...)
	}
	return list
}
