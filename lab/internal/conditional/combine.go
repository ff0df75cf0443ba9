package conditional

import (
	"slices"
	"strings"

	"gatehouse/lab/internal/directory"
)

// Policy states.
const (
	stateEnabled    = "enabled"
	stateDisabled   = "disabled"
	stateReportOnly = "enabledForReportingButNotEnforced"
)

// Evaluate holds a sign-in against the policies of a tenant, in Graph's JSON.
// The verdict is [Unknown] only if it depends on what is missing: then every
// case is tried that the policies can tell apart. Source:
// conditional-access-evaluation §2 and §3.
func Evaluate(policies []*directory.Object, signIn *SignIn, world *World) *Decision {
	out := &Decision{}
	all := only(demandNone)
	for _, policy := range policies {
		result := evaluate(policy, signIn, world)
		if result.enforced {
			all = all.with(result.demands, first)
		}
		out.Policies = append(out.Policies, result)
	}
	if all.uncertain() {
		all = settle(policies, signIn, world, all)
	}
	out.decide(all)
	for i, policy := range policies {
		p := &out.Policies[i]
		if p.enforced && !p.doubtful && p.Applies == Applies {
			out.Outstanding = append(out.Outstanding, p.Outstanding...)
			out.Session.join(policy.Members)
		}
		if p.enforced && out.Verdict == Unknown && p.demands.uncertain() {
			out.Missing = append(out.Missing, p.Missing...)
		}
	}
	out.Outstanding = ordered(out.Outstanding)
	slices.Sort(out.Missing)
	out.Missing = slices.Compact(out.Missing)
	out.failTerms()
	return out
}

// decide draws the verdict from the demands that may come out.
func (d *Decision) decide(all demands) {
	d.demand, d.Verdict = all.last(), all.verdict()
	if d.Verdict == Unknown {
		d.demand = demandUnknown
	}
	d.ErrorCode = outcomes[d.demand].code
	for demand := range all.each {
		if outcomes[demand].code != d.ErrorCode {
			d.ErrorCode = 0
		}
	}
}

// verdict is what all demands come to, [Unknown] if they differ.
func (d demands) verdict() Verdict {
	out := outcomes[d.first()].verdict
	for demand := range d.each {
		if outcomes[demand].verdict != out {
			return Unknown
		}
	}
	return out
}

// uncertain reports whether more than one thing may come out, or something that
// the evaluator does not know.
func (d demands) uncertain() bool {
	n := 0
	for range d.each {
		n++
	}
	return n > 1 || d[demandUnknown]
}

// evaluate holds a sign-in against one policy.
func evaluate(policy *directory.Object, signIn *SignIn, world *World) PolicyResult {
	e := &evaluation{s: signIn, w: world, given: signIn}
	name, _ := policy.Members["displayName"].(string)
	state, _ := policy.Members["state"].(string)
	out := PolicyResult{ID: policy.ID, Name: name, State: state}
	out.GrantControls, out.SessionControls = logNames(policy.Members)
	asked, operator := e.weigh(policy.Members, &out)
	if out.Applies == Applies && !asked[demandNone] {
		out.Outstanding = outstanding(out.controls)
	}
	out.Log = out.logged(signIn, asked, operator)
	return out
}

// weigh asks whether a policy applies and what it asks for, as far as it does.
func (e *evaluation) weigh(policy map[string]any, out *PolicyResult) (asked demands, operator string) {
	applies, reason, missing := e.applies(policy)
	out.Applies, out.Reason, out.Missing, out.tracked = applies.String(), reason, missing, e.tracked
	asked = only(demandNone)
	if applies != no {
		out.controls, operator = e.grant(policy)
		asked = combine(out.controls, operator)
	}
	if asked.uncertain() {
		for _, c := range out.controls {
			if c.met == maybe || c.ask.uncertain() {
				out.Missing = append(out.Missing, c.missing...)
			}
		}
	}
	out.demands = asked
	if applies == maybe {
		out.demands = asked.or(only(demandNone))
	}
	state, _ := policy["state"].(string)
	switch {
	case same(state, stateEnabled), same(state, stateReportOnly) && e.w.ReportOnlyAsEnabled:
		out.enforced = true
	case !same(state, stateDisabled) && !same(state, stateReportOnly):
		out.enforced, out.doubtful = true, true
		out.demands = out.demands.or(only(demandNone))
		out.Missing = append(out.Missing, "policy member state")
	}
	return asked, operator
}

// combine draws together the controls of one policy: AND wants all, OR any one;
// a block stands above both. Without a readable operator both are tried.
func combine(controls []control, operator string) demands {
	if len(controls) == 0 {
		return only(demandNone)
	}
	if slices.ContainsFunc(controls, func(c control) bool { return same(c.name, controlBlock) }) {
		return only(demandBlock)
	}
	every, one := only(demandNone), only(demandNone)
	met := no
	for i, c := range controls {
		every = every.with(c.may(), first)
		met = or(met, c.met)
		if i == 0 {
			one = c.ask
		} else {
			one = one.with(c.ask, easiest)
		}
	}
	switch met {
	case yes:
		one = only(demandNone)
	case maybe:
		one = one.or(only(demandNone))
	}
	switch strings.ToUpper(operator) {
	case "AND":
		return every
	case "OR":
		return one
	}
	return every.or(one)
}

// may is what may come out of a control alone.
func (c control) may() demands {
	switch c.met {
	case yes:
		return only(demandNone)
	case maybe:
		return c.ask.or(only(demandNone))
	}
	return c.ask
}

// outstanding are the names of the controls that are not met.
func outstanding(controls []control) []string {
	var out []string
	for _, c := range controls {
		if c.met == no {
			out = append(out, c.name)
		}
	}
	return ordered(out)
}

// askingOrder is the documented order of unmet controls; custom factors come
// last.
var askingOrder = []string{controlBlock, controlMFA, controlStrength, controlCompliant, controlHybrid, controlApprovedApp, controlProtected,
	controlPassword, controlRemediation, controlTerms}

// ordered sorts controls by that order and drops repetitions.
func ordered(names []string) []string {
	rank := func(name string) int {
		if i := slices.IndexFunc(askingOrder, func(known string) bool { return same(known, name) }); i >= 0 {
			return i
		}
		return len(askingOrder)
	}
	slices.SortStableFunc(names, func(a, b string) int { return rank(a) - rank(b) })
	var out []string
	for _, name := range names {
		if !slices.Contains(out, name) {
			out = append(out, name)
		}
	}
	return out
}
