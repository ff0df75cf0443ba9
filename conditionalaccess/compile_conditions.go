package conditionalaccess

import (
	"slices"
	"strings"
)

func (c *Compiled) compileWhat(cp *compiledPolicy) {
	a := cp.Conditions.Applications
	if a == nil {
		return
	}
	cp.what.in = c.resources(a.Include, a.UnknownInclude)
	cp.what.out = c.resources(a.Exclude, a.UnknownExclude)
	excluded := slices.Clone(cp.what.out.ids)
	for _, n := range a.Include { // also as one of an excluded suite
		if suiteOf[strings.ToLower(n)]&cp.what.out.suites != 0 {
			excluded = append(excluded, c.app(n))
		}
	}
	subtract(&cp.what.in.ids, excluded)
	cp.what.in.suites &^= cp.what.out.suites
	if a.Filter != nil {
		if a.Filter.Exclude {
			cp.what.out.filter = a.Filter
		} else {
			cp.what.in.filter = a.Filter
		}
	}
	for _, action := range a.UserActions {
		cp.actions = append(cp.actions, intern(c.actions, userAction(action)))
	}
	cp.contexts = internAll(c.contexts, a.AuthenticationContexts)
}

// The user actions (§2.2), also as What If spells them.
const (
	actionSecurityInfo = "urn:user:registersecurityinfo"
	actionDevice       = "urn:user:registerdevice"
)

func userAction(s string) string {
	switch strings.ToLower(s) {
	case "registersecurityinformation", "registersecurityinfo":
		return actionSecurityInfo
	case "registerorjoindevices", "registerdevice":
		return actionDevice
	}
	return s
}

func (c *Compiled) resources(names []string, unknown bool) resources {
	r := resources{unknown: unknown}
	for _, n := range names {
		lower := strings.ToLower(n)
		s, isSuite := suiteNames[lower]
		switch {
		case lower == "all":
			r.all = true
		case lower == "none":
		case lower == "allagentidresources":
			r.allAgents = true
		case isSuite:
			r.suites |= s
		case lower == appManagement: // the group includes the portals (§2.2)
			r.ids = append(r.ids, c.app(appManagement), c.app(appPortal))
		default:
			r.ids = append(r.ids, c.app(n))
		}
	}
	return r
}

// mask gives the mask of a list of words, and whether all were known.
func mask(list []string, codes words) (m int, known bool) {
	known = true
	for _, w := range list {
		if c, ok := codes.find(w); ok {
			m |= c
		} else {
			known = false
		}
	}
	return m, known
}

func (c *Compiled) compileConditions(cp *compiledPolicy) {
	cond := &cp.Conditions
	for _, t := range cond.ClientAppTypes {
		switch code, ok := clientCodes.find(t); {
		case ok:
			cp.clients |= code
		case strings.EqualFold(t, "all"):
			cp.clients |= allClients
		case strings.EqualFold(t, "easSupported"):
			cp.eas = true
		default:
			cp.clientsMaybe = true
		}
	}
	if len(cond.ClientAppTypes) == 0 {
		cp.clients = allClients
	}
	cp.platforms.in.mask = allPlatforms
	if p := cond.Platforms; p != nil {
		cp.platforms.in = platforms(p.Include, p.UnknownInclude)
		cp.platforms.out = platforms(p.Exclude, p.UnknownExclude)
		if len(p.Include) == 0 && !p.UnknownInclude {
			cp.platforms.in.mask = allPlatforms
		}
	}
	for _, risk := range []struct {
		condition condition
		levels    []string
		codes     words
		all       int
		to        *int
	}{
		{conditionSignInRisk, cond.SignInRiskLevels, riskCodes, allRisks, &cp.signInRisk},
		{conditionUserRisk, cond.UserRiskLevels, riskCodes, allRisks, &cp.userRisk},
		{conditionInsiderRisk, cond.InsiderRiskLevels, insiderCodes, allInsider, &cp.insiderRisk},
		{conditionPrincipalRisk, cond.ServicePrincipalRiskLevels, riskCodes, allRisks, &cp.spRisk},
		{conditionPrincipalRisk, cond.AgentRiskLevels, riskCodes, allRisks, &cp.agRisk},
	} {
		var known bool
		if *risk.to, known = mask(risk.levels, risk.codes); !known {
			cp.strange[risk.condition] = true
		}
		if len(risk.levels) == 0 {
			*risk.to = risk.all
		}
	}
	var known bool
	if cp.flows, known = mask(cond.TransferMethods, flowCodes); !known {
		cp.strange[conditionFlow] = true
	}
	if l := cond.Locations; l != nil {
		cp.located = true
		cp.where.in = c.places.list(l.Include, l.UnknownInclude)
		cp.where.out = c.places.list(l.Exclude, l.UnknownExclude)
		if len(l.Include) == 0 && !l.UnknownInclude {
			cp.where.in.all = true
		}
		subtract(&cp.where.in.ids, cp.where.out.ids)
	}
}

func platforms(names []string, unknown bool) enumeration {
	e := enumeration{unknown: unknown}
	for _, n := range names {
		if code, ok := platformCodes.find(n); ok {
			e.mask |= code
		} else if strings.EqualFold(n, "all") {
			e.mask |= allPlatforms
		} else {
			e.unknown = true
		}
	}
	return e
}
