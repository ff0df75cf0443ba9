package conditionalaccess

import "strings"

// A condition is one of a policy's conditions, in the order in which first
// unmet ones are named.
type condition uint8

const (
	conditionState condition = iota
	conditionUsers
	conditionWorkload
	conditionApplications
	conditionActions
	conditionContext
	conditionPlatform
	conditionDevices
	conditionClients
	conditionLocation
	conditionSignInRisk
	conditionUserRisk
	conditionInsiderRisk
	conditionPrincipalRisk
	conditionFlow
	conditionOther
	conditionEmpty
	conditionInvalid
	conditions
)

// whatIfNames are What If's reasons (conditional-access-evaluation §8), which
// has none for the risk of service principals.
var whatIfNames = [conditions]string{
	conditionState: "policyNotEnabled", conditionUsers: "users", conditionWorkload: "workloadIdentities",
	conditionApplications: "application", conditionActions: "userActions", conditionContext: "authenticationContext",
	conditionPlatform: "devicePlatform", conditionDevices: "devices", conditionClients: "clientApps",
	conditionLocation: "location", conditionSignInRisk: "signInRisk", conditionUserRisk: "userRisk",
	conditionInsiderRisk: "insiderRisk", conditionPrincipalRisk: "servicePrincipalRisk",
	conditionFlow: "authenticationFlow", conditionOther: "invalidCondition", conditionEmpty: "emptyPolicy",
	conditionInvalid: "invalidPolicy",
}

// A finding is what came out of one condition.
type finding struct {
	condition condition
	result    tri
	missing   members // if the result is maybe
	why       reason
	value     string // that decided, for the sentence
}

// either collects alternatives: the strongest result wins.
type either struct{ finding }

func (e *either) add(result tri, missing members, why reason, value string) {
	if result == no {
		return
	}
	if result > e.result {
		e.result, e.why, e.value = result, why, value
	}
	e.missing |= missing
}

// within combines what is included and what is excluded; exclusion wins.
func within(c condition, in, out finding, notIncluded reason) finding {
	switch {
	case in.result == no:
		if in.why == reasonNotInGroup {
			notIncluded = in.why
		}
		return finding{condition: c, result: no, why: notIncluded, value: in.value}
	case out.result == yes:
		return finding{condition: c, result: no, why: out.why, value: out.value}
	case in.result == yes && out.result == no:
		return finding{condition: c, result: yes, why: in.why, value: in.value}
	}
	f := finding{condition: c, result: maybe, why: reasonMissing}
	if in.result == maybe {
		f.missing = in.missing
	}
	if out.result == maybe {
		f.missing |= out.missing
	}
	return f
}

// matches compares a mask of what may be with a mask of what is asked for.
func matches(possible, wanted int) tri {
	switch {
	case possible&wanted == 0:
		return no
	case possible&^wanted == 0:
		return yes
	}
	return maybe
}

func (c *Compiled) platformCondition(p *compiledPolicy, f *facts) finding {
	in := finding{result: matches(f.platform, p.platforms.in.mask), missing: mPlatform.set(), why: reasonPlatform, value: f.si.Platform.Value}
	if p.platforms.in.unknown && in.result != yes {
		in.result, in.missing = maybe, mPolicy.set()
	}
	out := finding{result: matches(f.platform, p.platforms.out.mask), missing: mPlatform.set(), why: reasonExcludedPlatform, value: f.si.Platform.Value}
	if p.platforms.out.unknown && out.result != yes {
		out.result, out.missing = maybe, mPolicy.set()
	}
	// Both sides look at the same platform: what remains after exclusion.
	if !p.platforms.in.unknown && !p.platforms.out.unknown {
		in.result, out.result = matches(f.platform, p.platforms.in.mask&^p.platforms.out.mask), no
		if in.result == no && f.platform&p.platforms.in.mask != 0 {
			return finding{condition: conditionPlatform, result: no, why: reasonExcludedPlatform, value: f.si.Platform.Value}
		}
	}
	return within(conditionPlatform, in, out, reasonOtherPlatform)
}

func (c *Compiled) clientCondition(p *compiledPolicy, f *facts) finding {
	t := finding{condition: conditionClients, result: matches(f.client, p.clients), missing: mClientApp.set(),
		why: reasonClient, value: f.si.ClientAppType.Value}
	if p.eas && t.result != yes && f.client&clientActiveSync != 0 {
		switch matches(f.platform, easPlatforms) {
		case maybe:
			if t.result == no && f.client == clientActiveSync {
				t.missing = 0
			}
			t.result, t.missing = maybe, t.missing|mPlatform.set()
		case yes:
			t.result = matches(f.client, p.clients|clientActiveSync)
		}
	}
	if p.clientsMaybe && t.result != yes {
		t.result, t.missing = maybe, mPolicy.set()
	}
	if t.result == no {
		t.why = reasonOtherClient
	}
	return t
}

// level evaluates a risk condition.
func level(c condition, have, wanted int, m member, value string) finding {
	t := finding{condition: c, result: matches(have, wanted), missing: m.set(), why: reasonRisk, value: value}
	if t.result == no {
		t.why = reasonOtherRisk
	}
	return t
}

func flowCondition(p *compiledPolicy, f *facts) finding {
	t := finding{condition: conditionFlow, result: yes, why: reasonFlow}
	switch {
	case p.flows == 0 && !p.strange[conditionFlow]:
	case f.flows&p.flows != 0:
	case f.flowsPossible&p.flows != 0:
		t.result, t.missing = maybe, mFlow.set()
	default:
		t.result, t.why = no, reasonOtherFlow
	}
	return orUnknown(t, p.strange[conditionFlow])
}

// deviceCondition evaluates the filter for devices and its predecessor.
func (c *Compiled) deviceCondition(p *compiledPolicy, f *facts) finding {
	t := finding{condition: conditionDevices, result: yes}
	s := subject{device: f.device}
	if filter := p.Conditions.DeviceFilter; filter != nil {
		t.result, t.missing = filter.eval(&s)
		t.value, t.why = filter.Rule, reasonDeviceFilter
		if filter.Exclude {
			t.result = t.result.not()
			t.why = reasonDeviceKept
		}
		if t.result == no {
			t.why = reasonDeviceNotMatched
			if filter.Exclude {
				t.why = reasonDeviceExcluded
			}
		}
	}
	if states := p.Conditions.DeviceStates; states != nil && t.result != no {
		in, out := deviceStates(states.Include, &s), deviceStates(states.Exclude, &s)
		if len(states.Include) == 0 {
			in.result = yes
		}
		in.why = reasonDeviceState
		old := within(conditionDevices, in, out, reasonDeviceNotMatched)
		if old.result < t.result || p.Conditions.DeviceFilter == nil {
			old.missing |= t.missing
			return old
		}
	}
	return t
}

var (
	compliantExpression = &expression{op: opEqual, attribute: IsCompliant, values: []string{"True"}}
	hybridExpression    = &expression{op: opEqual, attribute: TrustType, values: []string{serverAD}}
)

func deviceStates(names []string, s *subject) finding {
	var e either
	for _, n := range names {
		t, missing := maybe, mPolicy.set()
		switch {
		case strings.EqualFold(n, "All"):
			t, missing = yes, 0
		case strings.EqualFold(n, "Compliant"):
			t, missing = compliantExpression.eval(s)
		case strings.EqualFold(n, "DomainJoined"):
			t, missing = hybridExpression.eval(s)
		}
		e.add(t, missing, reasonDeviceExcluded, n)
	}
	return e.finding
}

func (c *Compiled) locationCondition(p *compiledPolicy, f *facts) finding {
	if !p.located {
		return finding{condition: conditionLocation, result: yes}
	}
	return within(conditionLocation, c.placed(&p.where.in, f), c.placed(&p.where.out, f), reasonElsewhere)
}

func (c *Compiled) placed(l *placeList, f *facts) finding {
	var e either
	if l.all {
		e.add(yes, 0, reasonAnyPlace, "")
	}
	for _, place := range l.ids {
		switch {
		case f.locations.has(int(place)):
			e.add(yes, 0, reasonPlace, c.places.name(place))
		case f.locationsMaybe.has(int(place)):
			e.add(maybe, c.missingFor(place, f), reasonMissing, "")
		}
	}
	if l.unknown {
		e.add(maybe, mPolicy.set(), reasonUnknownPlace, "")
	}
	return e.finding
}

func (p *places) name(place id) string {
	switch place {
	case placeTrusted:
		return "all trusted locations"
	case placeMFA:
		return "the MFA trusted IPs"
	}
	if p.unsupplied.has(int(place)) {
		return "a location that was not supplied" // assumed
	}
	l := p.named[place-placeNamed]
	if l.DisplayName != "" {
		return l.DisplayName
	}
	return l.ID
}
