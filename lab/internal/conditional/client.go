package conditional

import (
	"slices"
	"strings"
)

// Client app types.
const (
	easClient   = "exchangeActiveSync"
	otherClient = "other"
)

// clientTypes are all there are.
var clientTypes = []string{"browser", "mobileAppsAndDesktopClients", easClient, otherClient}

// platforms that are recognised.
var platforms = []string{"android", "iOS", "windows", "windowsPhone", "macOS", "linux"}

// legacy reports whether the client uses a protocol that can neither do MFA nor
// send device state ("Conditional Access: Conditions"). One that is not known is
// taken for another: only conditions ask for it.
func (s *SignIn) legacy() bool {
	return same(s.ClientAppType.Value, easClient) || same(s.ClientAppType.Value, otherClient)
}

// client asks for the client app type.
func (e *evaluation) client(conditions map[string]any) truth {
	types := e.list(conditions, "clientAppTypes")
	if types.empty() {
		return yes
	}
	return types.any(func(typ string) truth {
		switch {
		case same(typ, "all"):
			return yes
		case same(typ, "easSupported"): // ActiveSync from a platform that is recognised
			return e.supported()
		case e.s.ClientAppType.Value == "":
			return e.lack("clientAppType")
		}
		return of(same(typ, e.s.ClientAppType.Value))
	})
}

func (e *evaluation) supported() truth {
	client := e.s.ClientAppType.Value
	recognised := slices.ContainsFunc(platforms, func(known string) bool { return same(known, e.s.Platform.Value) })
	switch {
	case client != "" && !same(client, easClient), e.s.Platform.Known && !recognised:
		return no
	}
	met := yes
	if client == "" {
		met = e.lack("clientAppType")
	}
	if !e.s.Platform.Known {
		met = e.lack("platform")
	}
	return met
}

// platform asks for the operating system as the user agent tells it. One that is
// not recognised matches "all" only, and no exclusion of others.
func (e *evaluation) platform(conditions map[string]any) truth {
	platforms, torn := block(conditions, "platforms")
	if torn {
		return e.unreadable("platforms")
	}
	include, exclude := e.list(platforms, "includePlatforms"), e.list(platforms, "excludePlatforms")
	strangeIn, strangeOut := e.strange(platforms, "includePlatforms", "excludePlatforms")
	is := func(value string) truth {
		switch {
		case same(value, "all"):
			return yes
		case !e.s.Platform.Known:
			return e.lack("platform")
		}
		return of(same(value, e.s.Platform.Value))
	}
	in := or(strangeIn, include.without(exclude).any(is))
	if include.empty() {
		in = yes
	}
	return and(in, not(or(strangeOut, exclude.any(is))))
}

// risk asks for a level. "none" matches only if it is listed.
func (e *evaluation) risk(levels list, fact Opt[string], name string) truth {
	if levels.empty() {
		return yes
	}
	if !fact.Known {
		return e.lack(name)
	}
	level := fact.Value
	if level == "" {
		level = none
	}
	return levels.has(level)
}

func (e *evaluation) signInRisk(c map[string]any) truth {
	return e.risk(e.list(c, "signInRiskLevels"), e.s.SignInRisk, "signInRisk")
}

func (e *evaluation) userRisk(c map[string]any) truth {
	return e.risk(e.list(c, "userRiskLevels"), e.s.UserRisk, "userRisk")
}

func (e *evaluation) principalRisk(c map[string]any) truth {
	return e.risk(e.list(c, "servicePrincipalRiskLevels"), e.s.ServicePrincipalRisk, "servicePrincipalRisk")
}

func (e *evaluation) insiderRisk(c map[string]any) truth {
	return e.risk(e.flags(c, "insiderRiskLevels"), e.s.InsiderRisk, "insiderRisk")
}

// flow asks for the way in which authentication is handed over. A session that
// began with one stays tracked: its refreshes match too ("Conditional Access:
// Authentication flows").
func (e *evaluation) flow(conditions map[string]any) truth {
	flows, torn := block(conditions, "authenticationFlows")
	if torn {
		return e.unreadable("authenticationFlows")
	}
	methods := e.flags(flows, "transferMethods")
	strangeIn, strangeOut := e.strange(flows, "transferMethods")
	if methods.empty() {
		return not(or(strangeIn, strangeOut))
	}
	now := e.lackingFlow()
	if e.s.AuthenticationFlow.Known {
		now = methods.has(flowName(e.s.AuthenticationFlow.Value))
	}
	before := no
	if e.s.OriginalTransferMethod.Known {
		before = methods.has(flowName(e.s.OriginalTransferMethod.Value))
	}
	e.tracked = before == yes && now == no
	return and(or(now, before, strangeIn), not(strangeOut))
}

// lackingFlow is maybe, and noted, if the flow is not known.
func (e *evaluation) lackingFlow() truth {
	if e.s.AuthenticationFlow.Known {
		return no
	}
	return e.lack("authenticationFlow")
}

// flowName keeps "none" from matching a list, which drops that word.
func flowName(value string) string {
	if value == "" {
		return none
	}
	return strings.TrimSpace(value)
}
