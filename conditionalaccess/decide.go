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
	if total&(total-1) != 0 || total == Unknown.set() {
		missing := c.lacking(f, r, total.weakest())
		if total = c.settle(f, s, missing); total == 0 {
			r.Missing = missing.appendNames(r.Missing)
			return
		}
	}
	r.Verdict = total.strongest()
	r.ErrorCode = errorCode(r.Verdict, f, r.Outstanding)
}

// combine gives the verdicts that may come out, and the unmet controls of the
// policies that certainly apply.
func (c *Compiled) combine(f *facts, s *scratch) (verdicts, controlSet) {
	t := &c.tables
	total := Allowed.set()
	var kinds controlSet
	s.own = s.own[:0]
	for class := range c.classes {
		row := t.classes.row(class)
		var sure, perhaps uint64
		for w := range row {
			here := row[w] &^ t.reportOnly[w]
			sure |= here & s.certain[w]
			perhaps |= here & s.possible[w]
		}
		s.outcomes[class] = outcome{}
		if perhaps == 0 {
			continue
		}
		out := c.demand(&c.classes[class], f)
		s.outcomes[class] = out
		if sure == 0 {
			out.verdicts |= Allowed.set()
		} else if out.verdicts&Allowed.set() == 0 {
			s.unmet(&c.classes[class], out.unmet, &kinds)
		}
		total = both(total, out.verdicts)
	}
	if total.weakest() == Blocked {
		total = Blocked.set() // nothing unknown can change that
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

// errorCode gives the AADSTS number (conditional-access-evaluation §9, and §4
// of entra-sign-in for terms of use).
func errorCode(v Verdict, f *facts, outstanding []string) int {
	has := func(k controlKind) bool { return indexFold(outstanding, controlNames[k]) >= 0 }
	switch v {
	case Blocked:
		return 53003
	case MFARequired, AuthStrengthRequired:
		return 50076
	case RegistrationRequired:
		if f.target == targetAction {
			return 53010 // registration is allowed from certain places only
		}
		return 50079
	case DeviceRequired:
		if has(controlHybridDevice) && !has(controlCompliantDevice) {
			return 53001
		}
		return 53000
	case AppProtectionRequired:
		if has(controlApprovedApp) {
			return 53002
		}
		return 53009
	case PasswordChangeRequired:
		return 50135
	case TermsOfUseRequired, CustomControlRequired:
		return 50158
	}
	return 0
}

// lacking says what would have to be known: what undecided policies ask for,
// and controls, as far as they could lead to a stronger verdict than is
// certain anyhow.
func (c *Compiled) lacking(f *facts, r *Result, floor Verdict) members {
	s := &r.scratch
	var missing members
	for class := range c.classes {
		out := &s.outcomes[class]
		if out.verdicts != 0 && out.verdicts.strongest() < floor {
			missing |= out.missing
		}
	}
	for _, i := range r.Undecided {
		p := &c.policies[i]
		if p.class < 0 || p.reportOnly || s.outcomes[p.class].verdicts.strongest() >= floor {
			continue
		}
		_, more := c.examine(p, f)
		missing |= more
	}
	return missing
}
