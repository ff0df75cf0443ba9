package conditionalaccess

import (
	"slices"
	"strings"
)

// Compiled is a set that was prepared for evaluation. It does not change and
// may be used from several goroutines.
type Compiled struct {
	options  Options
	policies []compiledPolicy
	width    int // words of a bitset over policies

	users, groups, roles, tenants, principals, apps, actions, contexts map[string]id
	// The same of sign-ins.
	findUser, findGroup, findRole, findApp index
	// The names behind the ids.
	appNames, groupNames, roleNames []string
	suites                          []suite // of apps

	directory *compiledDirectory
	places    places
	classes   []grantClass
	tables    tables
	values    values
}

// compiledPolicy is a policy in the terms of facts.
type compiledPolicy struct {
	*Policy
	live       bool // enabled, report-only, or of unknown state
	reportOnly bool
	class      int // of grant controls; -1 if nothing is demanded

	kinds      int // of principals that the policy is about
	who        pair[people]
	workload   pair[principals]
	agentIDs   pair[principals]
	agentUsers pair[principals]

	what     pair[resources]
	actions  []id
	contexts []id

	clients                                           int
	eas                                               bool // ActiveSync on supported platforms
	platforms                                         pair[enumeration]
	signInRisk, userRisk, insiderRisk, spRisk, agRisk int
	flows                                             int
	clientsMaybe                                      bool             // values that this package does not know
	strange                                           [conditions]bool // likewise, of risks and flows
	located                                           bool
	where                                             pair[placeList]
	odd                                               bool // has conditions that no table holds, other than on devices
	full                                              bool // all its conditions must be looked at one by one
}

// pair is what is included and what is excluded.
type pair[T any] struct{ in, out T }

// people is one side of the user assignment.
type people struct {
	all, guests          bool
	users, groups, roles []id
	types                *compiledGuests
	unknown              bool
}

type compiledGuests struct {
	types   int
	all     bool // tenants
	tenants []id
	unknown bool
}

// principals is one side of the assignment of service principals.
type principals struct {
	all     bool
	ids     []id
	filter  *Filter
	unknown bool
}

// resources is one side of the assignment of applications.
type resources struct {
	all       bool
	ids       []id
	suites    suite
	allAgents bool // AllAgentIdResources
	filter    *Filter
	unknown   bool
}

type enumeration struct {
	mask    int
	unknown bool
}

// Compile prepares a set for evaluation.
func Compile(set *Set, options Options) *Compiled {
	c := &Compiled{
		options: options,
		users:   map[string]id{}, groups: map[string]id{}, roles: map[string]id{}, tenants: map[string]id{},
		principals: map[string]id{}, apps: map[string]id{}, actions: map[string]id{}, contexts: map[string]id{},
	}
	c.places = compilePlaces(set.Locations, options.MFATrustedIPs, set.Policies)
	custom := map[string]bool{}
	for _, role := range set.CustomRoles {
		custom[strings.ToLower(role)] = true
	}
	strengths := map[string]*AuthenticationStrength{}
	for _, s := range set.Strengths {
		if key := strings.ToLower(s.ID); strengths[key] == nil {
			strengths[key] = s
		}
	}
	c.policies = make([]compiledPolicy, len(set.Policies))
	classes := map[string]int{}
	for i, p := range set.Policies {
		cp := &c.policies[i]
		cp.Policy = p
		cp.live = p.State != Disabled
		cp.reportOnly = p.State == ReportOnly && !options.ReportOnlyAsEnabled
		c.compileWho(cp, custom)
		c.compileWhat(cp)
		c.compileConditions(cp)
		cp.class = c.compileGrant(p.Grant, strengths, classes)
	}
	for app := range suiteOf {
		c.app(app)
	}
	c.app(appDirectory)
	if options.ServiceDependencies {
		c.app(appGraph)
		c.app(appManagement)
	}
	c.findUser, c.findGroup, c.findRole, c.findApp = newIndex(c.users), newIndex(c.groups), newIndex(c.roles), newIndex(c.apps)
	c.appNames, c.groupNames, c.roleNames = namesOf(c.apps), namesOf(c.groups), namesOf(c.roles)
	for _, name := range c.appNames {
		c.suites = append(c.suites, suiteOf[name])
	}
	c.directory = c.compileDirectory(options.Directory)
	c.width = wordCount(len(c.policies))
	c.compileTables()
	c.compileCases()
	return c
}

// Policies gives the number of policies.
func (c *Compiled) Policies() int { return len(c.policies) }

// Policy gives the policy at a position of [Result.Applied].
func (c *Compiled) Policy(i int) *Policy { return c.policies[i].Policy }

// intern gives the id of a name among those of the policies.
func intern(m map[string]id, name string) id {
	name = strings.ToLower(name)
	i, ok := m[name]
	if !ok {
		i = id(len(m))
		m[name] = i
	}
	return i
}

// namesOf gives the names by id.
func namesOf(m map[string]id) []string {
	names := make([]string, len(m))
	for name, i := range m {
		names[i] = name
	}
	return names
}

func internAll(m map[string]id, names []string) []id {
	var list []id
	for _, name := range names {
		list = append(list, intern(m, name))
	}
	return list
}

func (c *Compiled) app(name string) id { return intern(c.apps, name) }

func (c *Compiled) compileWho(cp *compiledPolicy, custom map[string]bool) {
	cond := &cp.Conditions
	if u := cond.Users; u != nil {
		cp.who.in = c.people(u.Users.Include, u.Groups.Include, u.Roles.Include, u.IncludeGuests, custom)
		cp.who.out = c.people(u.Users.Exclude, u.Groups.Exclude, u.Roles.Exclude, u.ExcludeGuests, custom)
		cp.who.in.unknown = cp.who.in.unknown || u.UnknownInclude
		cp.who.out.unknown = cp.who.out.unknown || u.UnknownExclude
		subtract(&cp.who.in.users, cp.who.out.users)
		subtract(&cp.who.in.groups, cp.who.out.groups)
		subtract(&cp.who.in.roles, cp.who.out.roles)
		cp.who.in.guests = cp.who.in.guests && !cp.who.out.guests
	}
	switch {
	case cond.ClientApplications != nil:
		a := cond.ClientApplications
		cp.workload = c.principalsOf(&a.ServicePrincipals, a.Filter)
		cp.agentIDs = c.principalsOf(&a.AgentIdentities, a.AgentFilter)
		cp.kinds = kindServicePrincipal | kindAgentIdentity
	case cond.Agents != nil:
		cp.agentUsers = c.principalsOf(&cond.Agents.Users, nil)
		cp.agentUsers.in.unknown = cp.agentUsers.in.unknown || cond.Agents.Unknown
		cp.kinds = kindAgentUser
	case cond.Users != nil:
		cp.kinds = kindUser | kindAgentUser
	}
}

// subtract takes out what is excluded as well: it never counts, even where the
// membership is not known.
func subtract(in *[]id, out []id) {
	if len(out) == 0 {
		return
	}
	excluded := make(map[id]bool, len(out))
	for _, i := range out {
		excluded[i] = true
	}
	*in = slices.DeleteFunc(*in, func(i id) bool { return excluded[i] })
}

func (c *Compiled) people(users, groups, roles []string, guests *Guests, custom map[string]bool) people {
	p := people{groups: internAll(c.groups, groups)}
	for _, u := range users {
		switch strings.ToLower(u) {
		case "all":
			p.all = true
		case "none":
		case "guestsorexternalusers":
			p.guests = true
		default:
			p.users = append(p.users, intern(c.users, u))
		}
	}
	for _, r := range roles {
		if !custom[strings.ToLower(r)] {
			p.roles = append(p.roles, intern(c.roles, r))
		}
	}
	if guests != nil {
		g := &compiledGuests{all: guests.Tenants == nil && !guests.UnknownTenants, unknown: guests.UnknownTenants}
		for _, t := range guests.Types {
			if mask, ok := typeCodes.find(t); ok && mask != typeInternal {
				g.types |= mask
			} else {
				p.unknown = true
			}
		}
		g.tenants = internAll(c.tenants, guests.Tenants)
		p.types = g
	}
	return p
}

func (c *Compiled) principalsOf(choice *Choice, filter *Filter) pair[principals] {
	side := func(names []string, unknown, exclude bool) principals {
		p := principals{unknown: unknown}
		for _, n := range names {
			switch strings.ToLower(n) {
			case "all", "serviceprincipalsinmytenant":
				p.all = true
			case "none":
			default:
				p.ids = append(p.ids, intern(c.principals, n))
			}
		}
		if filter != nil && filter.Exclude == exclude {
			p.filter = filter
		}
		return p
	}
	out := pair[principals]{
		side(choice.Include, choice.UnknownInclude, false),
		side(choice.Exclude, choice.UnknownExclude, true),
	}
	subtract(&out.in.ids, out.out.ids)
	return out
}
