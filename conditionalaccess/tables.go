package conditionalaccess

import (
	"math/bits"
	"slices"
)

// tables hold, for each value that a dimension can take, the policies whose
// condition on that dimension is met, or may be met. Evaluation then is an AND
// over the dimensions. Policies with conditions that fit no table are special:
// their rows say "may", and they are evaluated one by one if nothing else
// excludes them.
type tables struct {
	live, reportOnly, special bitset
	userPolicies, workloads   bitset
	agents                    bitset

	in, out peopleTable

	// resources has a row for each resource and class of scopes, the last for
	// resources that no policy names.
	resourceYes, resourceMay [scopeClasses]rows
	actionYes, actionMay     rows
	contextYes, contextMay   rows

	// By bit of the mask; without rows if no policy asks.
	client, platform                                  rows
	signInRisk, userRisk, insiderRisk, spRisk, agRisk rows
	flows                                             bool // some policy asks for them
	noFlow                                            bitset
	flow                                              rows

	unlocated, inAnywhere, inUnknown, outUnknown, outAnywhere bitset
	inPlace, outPlace                                         rows

	filters []filterTable

	classes rows // the enforced policies of each class of controls
}

// filterTable holds the policies with one rule for devices, by its mode.
type filterTable struct {
	*Filter
	in, out bitset
}

// peopleTable is one side of the user assignment.
type peopleTable struct {
	all               bitset
	user, group, role rows
	anyUser           bitset
	typeYes, typeMay  rows
	unknown           bitset
}

func (c *Compiled) compileTables() {
	t := &c.tables
	n := c.width
	for _, b := range []*bitset{
		&t.live, &t.reportOnly, &t.special, &t.userPolicies, &t.workloads, &t.agents, &t.noFlow,
		&t.unlocated, &t.inAnywhere, &t.inUnknown, &t.outUnknown, &t.outAnywhere,
	} {
		*b = make(bitset, n)
	}
	for i := range c.policies {
		p := &c.policies[i]
		set := func(b bitset, on bool) {
			if on {
				b.add(i)
			}
		}
		set(t.live, p.live)
		set(t.reportOnly, p.reportOnly)
		set(t.userPolicies, p.kinds&kindUser != 0)
		set(t.workloads, p.kinds&kindServicePrincipal != 0)
		set(t.agents, p.kinds&kindAgentUser != 0)
		set(t.noFlow, p.flows == 0)
		set(t.unlocated, !p.located)
		set(t.inAnywhere, p.where.in.all)
		set(t.outAnywhere, p.where.out.all)
		set(t.inUnknown, p.where.in.unknown)
		set(t.outUnknown, p.where.out.unknown)
		p.odd = p.State == StateUnknown || p.eas || p.clientsMaybe || len(p.Conditions.Unknown) > 0 ||
			p.platforms.in.unknown || p.platforms.out.unknown
		p.full = p.strange != [conditions]bool{} || p.what.in.unknown || p.what.out.unknown || p.what.in.filter != nil || p.what.out.filter != nil ||
			p.who.in.unknown || p.who.out.unknown || limited(p.who.in.types) || limited(p.who.out.types)
		set(t.special, p.odd || p.full || p.Conditions.DeviceStates != nil)
	}
	t.in = c.peopleTable(func(p *compiledPolicy) *people { return &p.who.in })
	t.out = c.peopleTable(func(p *compiledPolicy) *people { return &p.who.out })
	c.compileTargets()
	c.compileMasks()
	c.compileFilters()
	t.inPlace, t.outPlace = newRows(c.places.count, n), newRows(c.places.count, n)
	t.classes = newRows(len(c.classes), n)
	for i := range c.policies {
		p := &c.policies[i]
		for _, place := range p.where.in.ids {
			t.inPlace.row(int(place)).add(i)
		}
		for _, place := range p.where.out.ids {
			t.outPlace.row(int(place)).add(i)
		}
		if p.class >= 0 && !p.reportOnly {
			t.classes.row(p.class).add(i)
		}
	}
}

// compileFilters fills the tables of the rules for devices. Where the older
// condition on devices stands beside one, the policy is evaluated by itself.
func (c *Compiled) compileFilters() {
	t := &c.tables
	for i := range c.policies {
		filter := c.policies[i].Conditions.DeviceFilter
		if filter == nil || c.policies[i].Conditions.DeviceStates != nil {
			continue
		}
		at := slices.IndexFunc(t.filters, func(have filterTable) bool { return have.Rule == filter.Rule })
		if at < 0 {
			at = len(t.filters)
			t.filters = append(t.filters, filterTable{filter, make(bitset, c.width), make(bitset, c.width)})
		}
		if filter.Exclude {
			t.filters[at].out.add(i)
		} else {
			t.filters[at].in.add(i)
		}
	}
}

// limited reports whether external users are selected by tenant too, which no
// table holds.
func limited(g *compiledGuests) bool { return g != nil && !g.all }

func (c *Compiled) peopleTable(side func(*compiledPolicy) *people) peopleTable {
	n := c.width
	t := peopleTable{
		all: make(bitset, n), unknown: make(bitset, n),
		anyUser: make(bitset, n),
		user:    newRows(len(c.users), n), group: newRows(len(c.groups), n), role: newRows(len(c.roles), n),
		typeYes: newRows(bits.Len(allTypes), n), typeMay: newRows(bits.Len(allTypes), n),
	}
	fill := func(r *rows, ids []id, i int) {
		for _, x := range ids {
			r.row(int(x)).add(i)
		}
	}
	for i := range c.policies {
		p := side(&c.policies[i])
		if p.all {
			t.all.add(i)
		}
		if p.unknown {
			t.unknown.add(i)
		}
		if len(p.users) > 0 {
			t.anyUser.add(i)
		}
		fill(&t.user, p.users, i)
		fill(&t.group, p.groups, i)
		fill(&t.role, p.roles, i)
		for bit := range bits.Len(allTypes) {
			listed := p.types != nil && p.types.types&(1<<bit) != 0
			guest := p.guests && 1<<bit != typeInternal
			if guest || listed && p.types.all {
				t.typeYes.row(bit).add(i)
			}
			if guest || listed {
				t.typeMay.row(bit).add(i)
			}
		}
	}
	return t
}

// compileTargets fills the tables of what a token is for. Only the policies
// that mention a resource can treat it otherwise than one that nobody names.
func (c *Compiled) compileTargets() {
	t := &c.tables
	n := c.width
	mentions := make([][]int, len(c.apps))
	for i := range c.policies {
		p := &c.policies[i]
		if !p.live {
			continue
		}
		mention := func(r *resources) {
			for _, app := range r.ids {
				mentions[app] = append(mentions[app], i)
			}
		}
		mention(&p.what.in)
		mention(&p.what.out)
		if p.what.in.suites|p.what.out.suites != 0 || p.what.in.allAgents || p.what.out.allAgents {
			for app := range suiteOf {
				mentions[c.apps[app]] = append(mentions[c.apps[app]], i)
			}
		}
	}
	si := &SignIn{}
	for class := range scopeClasses {
		yesRows, mayRows := newRows(len(c.apps)+1, n), newRows(len(c.apps)+1, n)
		decide := func(i, row int, f *facts) {
			record(yesRows.row(row), mayRows.row(row), i, c.application(&c.policies[i], f).result)
		}
		other := len(c.apps)
		for i := range c.policies {
			decide(i, other, &facts{si: si, target: targetResource, resource: idOther, scopes: scopeClass(class)})
		}
		for app, list := range mentions {
			copy(yesRows.row(app), yesRows.row(other))
			copy(mayRows.row(app), mayRows.row(other))
			for _, i := range list {
				decide(i, app, &facts{si: si, target: targetResource, resource: id(app), scopes: scopeClass(class)})
			}
		}
		// A listed application is none of the agents' even if no policy names it.
		t.resourceYes[class], t.resourceMay[class] = yesRows, mayRows
	}
	t.actionYes, t.actionMay = newRows(len(c.actions)+2, n), newRows(len(c.actions)+2, n)
	t.contextYes, t.contextMay = newRows(len(c.contexts)+1, n), newRows(len(c.contexts)+1, n)
	for i := range c.policies {
		p := &c.policies[i]
		for action := range len(c.actions) + 2 {
			f := &facts{si: si, target: targetAction, action: id(action)}
			switch {
			case action == len(c.actions): // another action
				f.action = idOther
			case action == len(c.actions)+1: // security information, if no policy names it
				f.action, f.security = idOther, true
			case action == int(c.securityInfo()):
				f.security = true
			}
			record(t.actionYes.row(action), t.actionMay.row(action), i, c.application(p, f).result)
		}
		for context := range len(c.contexts) + 1 {
			f := &facts{si: si, target: targetContext, context: id(context)}
			if context == len(c.contexts) {
				f.context = idOther
			}
			record(t.contextYes.row(context), t.contextMay.row(context), i, c.application(p, f).result)
		}
	}
}

// securityInfo gives the id of the action, or idOther.
func (c *Compiled) securityInfo() id {
	if i, ok := c.actions[actionSecurityInfo]; ok {
		return i
	}
	return idOther
}

func record(yesRow, mayRow bitset, i int, result tri) {
	yesRow.remove(i)
	mayRow.remove(i)
	if result == yes {
		yesRow.add(i)
	}
	if result != no {
		mayRow.add(i)
	}
}

// compileMasks fills the tables of the dimensions with few values.
func (c *Compiled) compileMasks() {
	t := &c.tables
	for _, d := range []struct {
		to   *rows
		all  int
		mask func(*compiledPolicy) int
	}{
		{&t.client, allClients, func(p *compiledPolicy) int {
			if p.clientsMaybe || p.eas {
				return allClients // special
			}
			return p.clients
		}},
		{&t.platform, allPlatforms, func(p *compiledPolicy) int {
			if p.platforms.in.unknown || p.platforms.out.unknown {
				return allPlatforms // special
			}
			return p.platforms.in.mask &^ p.platforms.out.mask
		}},
		{&t.signInRisk, allRisks, func(p *compiledPolicy) int { return p.signInRisk }},
		{&t.userRisk, allRisks, func(p *compiledPolicy) int { return p.userRisk }},
		{&t.insiderRisk, allInsider, func(p *compiledPolicy) int { return p.insiderRisk }},
		{&t.spRisk, allRisks, func(p *compiledPolicy) int { return p.spRisk }},
		{&t.agRisk, allRisks, func(p *compiledPolicy) int { return p.agRisk }},
	} {
		*d.to = newRows(bits.Len(uint(d.all)), c.width)
		asked := false
		for i := range c.policies {
			p := &c.policies[i]
			m := d.mask(p)
			if p.strange != [conditions]bool{} && d.all != allClients && d.all != allPlatforms {
				m = d.all // special
			}
			asked = asked || m != d.all
			for ; m != 0; m &= m - 1 {
				d.to.row(bits.TrailingZeros(uint(m))).add(i)
			}
		}
		if !asked {
			*d.to = rows{}
		}
	}
	t.flow = newRows(bits.Len(allFlows), c.width)
	for i := range c.policies {
		p := &c.policies[i]
		for m := p.flows; m != 0; m &= m - 1 {
			t.flow.row(bits.TrailingZeros(uint(m))).add(i)
			t.flows = true
		}
		if p.strange[conditionFlow] {
			t.noFlow.add(i) // special
		}
	}
}
