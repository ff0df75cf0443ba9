package conditionalaccess

import (
	"math/bits"
)

// Evaluate decides a sign-in. It allocates nothing once the result's slices
// have grown to what is needed.
func (c *Compiled) Evaluate(si *SignIn, r *Result) {
	s := &r.scratch
	c.prepare(s)
	f := c.gather(si, s)
	c.screen(f, s)
	r.reset()
	c.collect(r)
	c.decide(f, r)
	s.facts.si, s.facts.device = nil, nil
}

func (r *Result) reset() {
	r.Verdict, r.ErrorCode = Unknown, 0
	r.Outstanding, r.Missing = r.Outstanding[:0], r.Missing[:0]
	r.Applied, r.ReportOnly, r.Undecided = r.Applied[:0], r.ReportOnly[:0], r.Undecided[:0]
}

// prepare makes room in the scratch, which may come from another set.
func (c *Compiled) prepare(s *scratch) {
	if s.set == c {
		return
	}
	s.set = c
	fit := func(b *bitset, n int) {
		if cap(*b) < n {
			*b = make(bitset, n)
		}
		*b = (*b)[:n]
	}
	fit(&s.certain, c.width)
	fit(&s.possible, c.width)
	fit(&s.a, c.width)
	fit(&s.b, c.width)
	fit(&s.groups, wordCount(len(c.groups)))
	fit(&s.groupsMaybe, wordCount(len(c.groups)))
	fit(&s.roles, wordCount(len(c.roles)))
	fit(&s.rolesMaybe, wordCount(len(c.roles)))
	fit(&s.places, wordCount(c.places.count))
	fit(&s.maybes, wordCount(c.places.count))
	fit(&s.placeYes, wordCount(c.places.count))
	fit(&s.placeNo, wordCount(c.places.count))
	if cap(s.outcomes) < len(c.classes) {
		s.outcomes = make([]outcome, len(c.classes))
	}
	s.outcomes = s.outcomes[:len(c.classes)]
}

// screen finds the policies that certainly and that possibly apply.
func (c *Compiled) screen(f *facts, s *scratch) {
	t := &c.tables
	certain, possible := s.certain, s.possible
	special := t.special
	switch f.kinds {
	case kindUser:
		c.screenPeople(f, s)
	case kindServicePrincipal:
		clear(certain)
		copy(possible, t.workloads)
		special = possible
	default:
		clear(certain)
		copy(possible, t.live)
		special = possible
	}
	and(certain, t.live)
	and(possible, t.live)
	c.screenTarget(f, s)
	screenMask(s, &t.client, f.client)
	screenMask(s, &t.platform, f.platform)
	screenMask(s, &t.signInRisk, f.signInRisk)
	screenMask(s, &t.userRisk, f.userRisk)
	screenMask(s, &t.insiderRisk, f.insiderRisk)
	screenMask(s, &t.spRisk, f.spRisk)
	screenMask(s, &t.agRisk, f.agRisk)
	c.screenFlow(f, s)
	c.screenPlace(f, s)
	c.screenDevice(f, s)
	for w := range possible {
		for rest := possible[w] & special[w]; rest != 0; rest &= rest - 1 {
			i := w<<6 | bits.TrailingZeros64(rest)
			if p := &c.policies[i]; f.kinds == kindUser && !p.full {
				c.examineRest(p, f, i, s)
				continue
			}
			certain.remove(i)
			switch t, _ := c.examine(&c.policies[i], f); t {
			case yes:
				certain.add(i)
			case no:
				possible.remove(i)
			}
		}
	}
}

// examineRest evaluates the conditions that the tables take for met.
func (c *Compiled) examineRest(p *compiledPolicy, f *facts, i int, s *scratch) {
	result := c.deviceCondition(p, f).result
	if p.odd {
		result = min(result, stateCondition(c, p, f).result, c.clientCondition(p, f).result,
			c.platformCondition(p, f).result, otherCondition(c, p, f).result)
	}
	switch result {
	case no:
		s.certain.remove(i)
		s.possible.remove(i)
	case maybe:
		s.certain.remove(i)
	}
}

func and(b, with bitset) {
	with = with[:len(b)]
	for w := range b {
		b[w] &= with[w]
	}
}

func or(b, with bitset) {
	with = with[:len(b)]
	for w := range b {
		b[w] |= with[w]
	}
}

// screenPeople applies the assignment of users.
func (c *Compiled) screenPeople(f *facts, s *scratch) {
	t := &c.tables
	certain, possible := s.certain, s.possible
	c.side(&t.in, f, certain, possible)
	c.side(&t.out, f, s.a, s.b)
	for w := range certain {
		certain[w] &= t.userPolicies[w] &^ s.b[w]
		possible[w] &= t.userPolicies[w] &^ s.a[w]
	}
}

func (c *Compiled) side(t *peopleTable, f *facts, certain, possible bitset) {
	types := f.types
	if types&(types-1) == 0 {
		bit := bits.TrailingZeros(uint(types))
		yesRow, mayRow := t.typeYes.row(bit), t.typeMay.row(bit)
		for w := range certain {
			certain[w] = t.all[w] | yesRow[w]
			possible[w] = t.all[w] | mayRow[w] | t.unknown[w]
		}
	} else {
		for w := range certain {
			certain[w] = ^uint64(0)
			possible[w] = t.all[w] | t.unknown[w]
		}
		for ; types != 0; types &= types - 1 {
			bit := bits.TrailingZeros(uint(types))
			and(certain, t.typeYes.row(bit))
			or(possible, t.typeMay.row(bit))
		}
		or(certain, t.all)
	}
	switch f.user {
	case idUnknown:
		or(possible, t.anyUser)
	case idOther:
	default:
		or(certain, t.user.row(int(f.user)))
	}
	orRows(certain, &t.group, f.groups)
	orRows(certain, &t.role, f.roles)
	orRows(possible, &t.group, f.groupsMaybe)
	orRows(possible, &t.role, f.rolesMaybe)
	or(possible, certain)
}

func orRows(b bitset, r *rows, which bitset) {
	for w, word := range which {
		for ; word != 0; word &= word - 1 {
			or(b, r.row(w<<6|bits.TrailingZeros64(word)))
		}
	}
}

func (c *Compiled) screenTarget(f *facts, s *scratch) {
	t := &c.tables
	switch f.target {
	case targetUnknown:
		c.screenApplication(f, s)
	case targetAction:
		row := int(f.action)
		if f.action == idOther {
			row = len(c.actions)
			if f.security {
				row++
			}
		}
		and(s.certain, t.actionYes.row(row))
		and(s.possible, t.actionMay.row(row))
	case targetContext:
		row := int(f.context)
		if f.context == idOther {
			row = len(c.contexts)
		}
		and(s.certain, t.contextYes.row(row))
		and(s.possible, t.contextMay.row(row))
	default:
		if f.guesses != [suiteGuesses]suite{} || len(f.services) > 0 && f.scopes != anyScopes {
			c.screenApplication(f, s)
			return
		}
		yesRows, mayRows := &t.resourceYes[f.scopes], &t.resourceMay[f.scopes]
		row := int(f.resource)
		if f.resource == idOther {
			row = len(c.apps)
		}
		if len(f.services) == 0 {
			and(s.certain, yesRows.row(row))
			and(s.possible, mayRows.row(row))
		} else {
			c.screenServices(f, s, row)
		}
	}
}

// screenServices applies the resource together with the services behind it.
func (c *Compiled) screenServices(f *facts, s *scratch, row int) {
	yesRows, mayRows := &c.tables.resourceYes[f.scopes], &c.tables.resourceMay[f.scopes]
	if f.behind {
		clear(s.a)
		clear(s.b)
	} else {
		copy(s.a, yesRows.row(row))
		copy(s.b, mayRows.row(row))
	}
	for _, service := range f.services {
		or(s.a, yesRows.row(int(service)))
		or(s.b, mayRows.row(int(service)))
	}
	and(s.certain, s.a)
	and(s.possible, s.b)
}

// screenApplication asks every policy that is left for its applications, where
// no table holds the answer.
func (c *Compiled) screenApplication(f *facts, s *scratch) {
	for w := range s.possible {
		for rest := s.possible[w]; rest != 0; rest &= rest - 1 {
			i := w<<6 | bits.TrailingZeros64(rest)
			switch c.application(&c.policies[i], f).result {
			case no:
				s.certain.remove(i)
				s.possible.remove(i)
			case maybe:
				s.certain.remove(i)
			}
		}
	}
}

// screenMask applies a dimension with few values.
func screenMask(s *scratch, r *rows, m int) {
	if r.bits == nil {
		return
	}
	if m&(m-1) == 0 {
		row := r.row(bits.TrailingZeros(uint(m)))
		certain, possible := s.certain[:len(row)], s.possible[:len(row)]
		for w, here := range row {
			certain[w] &= here
			possible[w] &= here
		}
		return
	}
	clear(s.b)
	for ; m != 0; m &= m - 1 {
		row := r.row(bits.TrailingZeros(uint(m)))
		and(s.certain, row)
		or(s.b, row)
	}
	and(s.possible, s.b)
}

func (c *Compiled) screenFlow(f *facts, s *scratch) {
	t := &c.tables
	if !t.flows {
		return
	}
	copy(s.a, t.noFlow)
	copy(s.b, t.noFlow)
	for bit := range bits.Len(allFlows) {
		if f.flows&(1<<bit) != 0 {
			or(s.a, t.flow.row(bit))
		}
		if f.flowsPossible&(1<<bit) != 0 {
			or(s.b, t.flow.row(bit))
		}
	}
	and(s.certain, s.a)
	and(s.possible, s.b)
}

func (c *Compiled) screenPlace(f *facts, s *scratch) {
	t := &c.tables
	// Included.
	copy(s.a, t.inAnywhere)
	orRows(s.a, &t.inPlace, f.locations)
	copy(s.b, s.a)
	orRows(s.b, &t.inPlace, f.locationsMaybe)
	or(s.b, t.inUnknown)
	for w := range s.a {
		s.certain[w] &= t.unlocated[w] | s.a[w]
		s.possible[w] &= t.unlocated[w] | s.b[w]
	}
	// Excluded.
	copy(s.a, t.outAnywhere)
	orRows(s.a, &t.outPlace, f.locations)
	for w := range s.a {
		s.possible[w] &^= s.a[w]
	}
	orRows(s.a, &t.outPlace, f.locationsMaybe)
	for w := range s.a {
		s.certain[w] &^= s.a[w] | t.outUnknown[w]
	}
}

// screenDevice applies the rules for devices, each if it matters.
func (c *Compiled) screenDevice(f *facts, s *scratch) {
	for i := range c.tables.filters {
		t := &c.tables.filters[i]
		if !overlap(s.possible, t.in) && !overlap(s.possible, t.out) {
			continue
		}
		result, _ := t.eval(&subject{device: f.device})
		for w := range s.possible {
			switch result {
			case yes:
				s.certain[w] &^= t.out[w]
				s.possible[w] &^= t.out[w]
			case no:
				s.certain[w] &^= t.in[w]
				s.possible[w] &^= t.in[w]
			default:
				s.certain[w] &^= t.in[w] | t.out[w]
			}
		}
	}
}

func overlap(a, b bitset) bool {
	for w := range a {
		if a[w]&b[w] != 0 {
			return true
		}
	}
	return false
}

// examine evaluates one policy condition by condition.
func (c *Compiled) examine(p *compiledPolicy, f *facts) (tri, members) {
	result, missing := yes, members(0)
	for _, k := range checks {
		got := k(c, p, f)
		if got.result == no {
			return no, 0
		}
		if got.result == maybe {
			result = maybe
			missing |= got.missing
		}
	}
	return result, missing
}

// collect lists the policies.
func (c *Compiled) collect(r *Result) {
	s := &r.scratch
	for w, certain := range s.certain {
		reportOnly := c.tables.reportOnly[w]
		for rest := certain &^ reportOnly; rest != 0; rest &= rest - 1 {
			r.Applied = append(r.Applied, w<<6|bits.TrailingZeros64(rest))
		}
		for rest := certain & reportOnly; rest != 0; rest &= rest - 1 {
			r.ReportOnly = append(r.ReportOnly, w<<6|bits.TrailingZeros64(rest))
		}
		for rest := s.possible[w] &^ s.certain[w]; rest != 0; rest &= rest - 1 {
			r.Undecided = append(r.Undecided, w<<6|bits.TrailingZeros64(rest))
		}
	}
}
