package conditionalaccess

import "math/bits"

// maxCases bounds how many cases are tried for one sign-in. Beyond it the
// verdict is unknown.
const maxCases = 1 << 14

// cases is the state of deciding by cases.
type cases struct {
	tries  int
	seen   asks
	device Member[Device] // with what was assumed
	saved  []uint64       // bitsets to go back to
}

// settle looks whether the verdict is the same however the missing members
// turn out, where policies ask for the same member in different ways: one
// blocks known platforms, another all others. It takes one member after
// another, assumes each value that policies can tell apart from others, and
// gives what may be asked for if that is one verdict, else 0. What is missing of
// a single policy (a condition not known here, say) is no such member: it turns
// out one way or the other by itself.
func (c *Compiled) settle(f *facts, s *scratch, total asks) asks {
	s.cases.tries, s.cases.seen = 0, 0
	before := *f
	if f.device.given() {
		s.cases.device = *f.device
		f.device = &s.cases.device
	}
	if m, _ := c.open(f, s, total.weakest()); m == noMember {
		// Nothing can be assumed; what may come out may still be one verdict.
		s.cases.seen = total
	} else {
		c.decideCases(f, s)
	}
	*f = before
	if s.cases.seen.verdict() == Unknown {
		return 0
	}
	return s.cases.seen
}

// decideCases adds what may come out of a case, and reports whether all cases
// have one verdict so far.
func (c *Compiled) decideCases(f *facts, s *scratch) bool {
	k := &s.cases
	if k.tries++; k.tries > maxCases {
		k.seen |= askUnknown.set()
		return false
	}
	c.screen(f, s)
	total, _ := c.combine(f, s)
	if !total.one() || total == askUnknown.set() {
		if m, p := c.open(f, s, total.weakest()); m != noMember {
			return c.split(f, s, m, p)
		}
	}
	k.seen |= total
	return k.seen.verdict() != Unknown
}

// noMember says that there is none.
const noMember = ^member(0)

// open gives a member that is missing and whose values can be assumed, and the
// policy that asks for it, nil for a control. The client comes last: whether a
// condition asks for it, and controls take it for another than a modern one,
// may depend on all others.
func (c *Compiled) open(f *facts, s *scratch, floor ask) (member, *compiledPolicy) {
	var client *compiledPolicy
	for class := range c.classes {
		if out := &s.outcomes[class]; out.asks != 0 && out.asks.strongest() < floor {
			if m := c.assumable(f, s, nil, out.missing); m != noMember {
				return m, nil
			}
		}
	}
	for w := range s.possible {
		for rest := s.possible[w] &^ (s.certain[w] | c.tables.reportOnly[w]); rest != 0; rest &= rest - 1 {
			p := &c.policies[w<<6|bits.TrailingZeros64(rest)]
			if p.class < 0 || s.outcomes[p.class].asks.strongest() >= floor {
				continue
			}
			_, missing := c.examine(p, f)
			if m := c.assumable(f, s, p, missing&^mClientApp.set()); m != noMember {
				return m, p
			}
			if missing&mClientApp.set() != 0 {
				client = p
			}
		}
	}
	if client != nil && c.choices(f, s, mClientApp, client) > 0 {
		return mClientApp, client
	}
	return noMember, nil
}

func (c *Compiled) assumable(f *facts, s *scratch, p *compiledPolicy, missing members) member {
	for ; missing != 0; missing &= missing - 1 {
		m := member(bits.TrailingZeros64(uint64(missing)))
		if c.choices(f, s, m, p) > 0 {
			return m
		}
	}
	return noMember
}

// split decides a case by the values of a member.
func (c *Compiled) split(f *facts, s *scratch, m member, p *compiledPolicy) bool {
	before := *f
	mark := len(s.cases.saved)
	sets := [...]bitset{f.groups, f.groupsMaybe, f.roles, f.rolesMaybe, s.placeYes, s.placeNo, f.locations, f.locationsMaybe}
	for _, b := range sets {
		s.cases.saved = append(s.cases.saved, b...)
	}
	same := true
	for i := range c.choices(f, s, m, p) {
		if c.assume(f, s, m, p, i) {
			same = c.decideCases(f, s)
		}
		*f = before
		from := s.cases.saved[mark:]
		for _, b := range sets {
			from = from[copy(b, from):]
		}
		if m >= mAttributes {
			s.cases.device.Value.attributes[m-mAttributes] = Member[string]{}
		}
		if !same {
			break
		}
	}
	s.cases.saved = s.cases.saved[:mark]
	return same
}
