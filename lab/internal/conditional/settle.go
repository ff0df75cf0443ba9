package conditional

import (
	"maps"

	"gatehouse/lab/internal/directory"
)

// Bounds on how many cases are tried, and on how often a policy is weighed for
// them. Beyond either the verdict is unknown.
const (
	maxCases    = 1 << 14
	maxWeighing = 1 << 17
)

// settling tries the cases of a sign-in of which something is missing.
type settling struct {
	policies []*directory.Object
	given    *SignIn
	world    *World
	tries    int
	seen     demands
}

// settle is what may be asked for in all cases together, found plainly: a fact
// that is missing is filled in with each value in turn that makes a difference
// to some policy, until every case is clear. all is what may be asked for if
// the policies are taken by themselves.
func settle(policies []*directory.Object, signIn *SignIn, world *World, all demands) demands {
	x := &settling{policies: policies, given: signIn, world: world}
	x.try(situation{signIn: *signIn})
	if x.seen.verdict() == Unknown {
		return all.or(x.seen) // which is not one verdict
	}
	return x.seen
}

// situation is a sign-in with what was filled in, of its members and of the rest
// of the world.
type situation struct {
	signIn  SignIn
	assumed map[string]bool
}

func (s situation) assume(what string, is bool) situation {
	s.assumed = maps.Clone(s.assumed)
	if s.assumed == nil {
		s.assumed = map[string]bool{}
	}
	s.assumed[what] = is
	return s
}

// try reports whether all cases so far come to one verdict.
func (x *settling) try(s situation) bool {
	if x.tries++; x.tries > maxCases || x.tries*len(x.policies) > maxWeighing {
		x.seen[demandUnknown] = true
		return false
	}
	all := only(demandNone)
	results := make([]PolicyResult, len(x.policies))
	for i, policy := range x.policies {
		e := &evaluation{s: &s.signIn, w: x.world, given: x.given, assumed: s.assumed}
		e.weigh(policy.Members, &results[i])
		if results[i].enforced {
			all = all.with(results[i].demands, first)
		}
	}
	if all.uncertain() {
		if cases := x.next(results, all.last(), s); len(cases) > 0 {
			return x.all(cases)
		}
	}
	x.seen = x.seen.or(all)
	return x.seen.verdict() != Unknown
}

// next fills in a fact that makes a difference: one of which some policy may ask
// for more than weakest. The client comes last: whether a condition asks for it,
// so that it counts for the controls too, may depend on the other facts.
func (x *settling) next(results []PolicyResult, weakest demand, s situation) []situation {
	var clients []situation
	for i := range results {
		p := &results[i]
		if !p.enforced || !p.demands.uncertain() || p.demands.first() >= weakest {
			continue
		}
		for _, what := range p.Missing {
			cases := x.cases(what, s, x.policies[i].Members)
			if what == "clientAppType" {
				clients = cases
			} else if len(cases) > 0 {
				return cases
			}
		}
	}
	return clients
}

func (x *settling) all(cases []situation) bool {
	for _, c := range cases {
		if !x.try(c) {
			return false
		}
	}
	return true
}
