package conditionalaccess

import (
	"math/bits"
	"slices"
)

// decide combines what the policies demand (conditional-access-evaluation §3).
func (c *Compiled) decide(f *facts, r *Result) {
	s := &r.scratch
	total, kinds := c.combine(f, s)
	c.outstanding(r, kinds)
	if !total.one() || total == askUnknown.set() {
		missing := c.lacking(f, s, total.weakest())
		if total = c.settle(f, s, total); total == 0 {
			r.Missing = missing.appendNames(r.Missing)
			return
		}
	}
	r.Verdict, r.ErrorCode = total.verdict(), total.code()
}

// combine gives what may be asked for, and the unmet controls of the policies
// that certainly apply.
func (c *Compiled) combine(f *facts, s *scratch) (asks, controlSet) {
	t := &c.tables
	total := askNothing.set()
	var kinds controlSet
	s.own = s.own[:0]
	for class := range c.classes {
		row := t.classes.row(class)
		var sure, perhaps uint64
		certain, possible := s.certain[:len(row)], s.possible[:len(row)]
		for w, here := range row {
			sure |= here & certain[w]
			perhaps |= here & possible[w]
		}
		s.outcomes[class] = outcome{}
		if perhaps == 0 {
			continue
		}
		out := c.demand(&c.classes[class], f)
		s.outcomes[class] = out
		if sure == 0 {
			out.asks |= askNothing.set()
		} else if out.asks&askNothing.set() == 0 {
			s.unmet(&c.classes[class], out.unmet, &kinds)
		}
		total = both(total, out.asks)
	}
	return total, kinds
}

// outstanding lists the unmet controls in the documented order: those whose
// name is their kind's, then custom factors and others by their own.
func (c *Compiled) outstanding(r *Result, kinds controlSet) {
	for ; kinds != 0; kinds &= kinds - 1 {
		r.Outstanding = append(r.Outstanding, controlNames[bits.TrailingZeros16(uint16(kinds))])
	}
	r.Outstanding = append(r.Outstanding, r.scratch.own...)
}

// controlSet is a set of kinds of control.
type controlSet uint16

// unmet notes the unmet controls of a class.
func (s *scratch) unmet(class *grantClass, positions uint64, kinds *controlSet) {
	for ; positions != 0; positions &= positions - 1 {
		k := &class.controls[bits.TrailingZeros64(positions)]
		switch {
		case k.kind < controlCustom:
			*kinds |= 1 << k.kind
		case !slices.Contains(s.own, k.name):
			s.own = append(s.own, k.name)
		}
	}
}

// lacking says what would have to be known: what undecided policies ask for,
// and controls, as far as they could lead to a stronger demand than is certain
// anyhow.
func (c *Compiled) lacking(f *facts, s *scratch, floor ask) members {
	var missing members
	for class := range c.classes {
		out := &s.outcomes[class]
		if out.asks != 0 && out.asks.strongest() < floor {
			missing |= out.missing
		}
	}
	for w := range s.possible {
		for rest := s.possible[w] &^ (s.certain[w] | c.tables.reportOnly[w]); rest != 0; rest &= rest - 1 {
			p := &c.policies[w<<6|bits.TrailingZeros64(rest)]
			if p.class < 0 || s.outcomes[p.class].asks.strongest() >= floor {
				continue
			}
			_, more := c.examine(p, f)
			missing |= more
		}
	}
	return missing
}
