package conditionalaccess

import (
	"bytes"
	"strings"
)

// policy reads a policy in Graph's form.
func (r *reader) policy(n *node, around surroundings) {
	p := &Policy{
		ID:          n.get("id").string(),
		DisplayName: n.get("displayName").string(),
		File:        r.current.Name,
		Line:        line(r.data, n.start),
		Raw:         bytes.Clone(r.data[n.start:n.end]),
	}
	if p.DisplayName == "" {
		p.DisplayName = around.displayName
	}
	state := n.get("state").string()
	if state == "" {
		state = around.state
	}
	p.State = parseState(state)
	d := decoder{wrong: func(at *node, reason string) {
		pos := at.start
		if at == nothing {
			pos = n.start
		}
		r.set.fault(p.File, line(r.data, pos), reason)
	}}
	d.conditions(n.get("conditions"), &p.Conditions)
	p.Grant = d.grant(n.get("grantControls"))
	if p.Grant != nil && p.Grant.Strength != nil && p.Grant.Strength.Combinations != nil {
		r.expanded = append(r.expanded, p.Grant.Strength)
	}
	p.Session = r.session(n.get("sessionControls"))
	r.set.Policies = append(r.set.Policies, p)
	r.current.Policies++
}

// parseState reads a policy's state. Whether one without is enforced is not
// known.
func parseState(s string) PolicyState {
	switch strings.ToLower(s) {
	case "enabled":
		return Enabled
	case "disabled":
		return Disabled
	case "enabledforreportingbutnotenforced":
		return ReportOnly
	}
	return StateUnknown
}

var conditionNames = []string{
	"users", "applications", "clientApplications", "agents", "agentContext", "clientAppTypes", "platforms",
	"locations", "deviceStates", "devices", "signInRiskLevels", "userRiskLevels", "insiderRiskLevels",
	"servicePrincipalRiskLevels", "agentIdRiskLevels", "authenticationFlows",
}

func (d *decoder) conditions(n *node, c *Conditions) {
	c.Users = d.users(n.get("users"))
	c.Applications = d.applications(n.get("applications"))
	c.ClientApplications = d.clientApplications(n.get("clientApplications"))
	c.Agents = d.agents(n)
	c.ClientAppTypes = d.flags(n.get("clientAppTypes"), "conditions.clientAppTypes")
	c.Platforms = d.choice(n.get("platforms"), "conditions.platforms", "includePlatforms", "excludePlatforms")
	c.Locations = d.choice(n.get("locations"), "conditions.locations", "includeLocations", "excludeLocations")
	c.DeviceStates = d.choice(n.get("deviceStates"), "conditions.deviceStates", "includeStates", "excludeStates")
	d.devices(n.get("devices"), c)
	c.SignInRiskLevels = d.levels(n.get("signInRiskLevels"), "conditions.signInRiskLevels")
	c.UserRiskLevels = d.levels(n.get("userRiskLevels"), "conditions.userRiskLevels")
	c.InsiderRiskLevels = d.flags(n.get("insiderRiskLevels"), "conditions.insiderRiskLevels")
	c.ServicePrincipalRiskLevels = d.levels(n.get("servicePrincipalRiskLevels"), "conditions.servicePrincipalRiskLevels")
	c.AgentRiskLevels = d.flags(n.get("agentIdRiskLevels"), "conditions.agentIdRiskLevels")
	flows := n.get("authenticationFlows")
	c.TransferMethods = d.flags(flows.get("transferMethods"), "conditions.authenticationFlows.transferMethods")
	unknown := func(name string, _ *node) { c.Unknown = append(c.Unknown, "conditions."+name) }
	flows.rest([]string{"transferMethods"}, unknown)
	n.rest(conditionNames, unknown)
}

// levels reads risk levels; none is a level of its own there.
func (d *decoder) levels(n *node, path string) []string {
	joined, _ := d.strings(n, path)
	var list []string
	for _, j := range joined {
		for f := range strings.SplitSeq(j, ",") {
			if f = strings.TrimSpace(f); f != "" {
				list = append(list, f)
			}
		}
	}
	return list
}

func (d *decoder) users(n *node) *Users {
	if n.empty() {
		return nil
	}
	u := &Users{
		IncludeGuests: d.guests(n.get("includeGuestsOrExternalUsers"), "includeGuestsOrExternalUsers"),
		ExcludeGuests: d.guests(n.get("excludeGuestsOrExternalUsers"), "excludeGuestsOrExternalUsers"),
	}
	known := []string{"includeGuestsOrExternalUsers", "excludeGuestsOrExternalUsers"}
	for _, part := range []struct {
		name string
		to   *Choice
	}{{"Users", &u.Users}, {"Groups", &u.Groups}, {"Roles", &u.Roles}} {
		var ok bool
		if part.to.Include, ok = d.strings(n.get("include"+part.name), "conditions.users.include"+part.name); !ok {
			u.UnknownInclude = true
		}
		if part.to.Exclude, ok = d.strings(n.get("exclude"+part.name), "conditions.users.exclude"+part.name); !ok {
			u.UnknownExclude = true
		}
		known = append(known, "include"+part.name, "exclude"+part.name)
	}
	var more Choice
	n.rest(known, more.unknown)
	u.UnknownInclude = u.UnknownInclude || more.UnknownInclude
	u.UnknownExclude = u.UnknownExclude || more.UnknownExclude
	return u
}

func (d *decoder) guests(n *node, name string) *Guests {
	path := "conditions.users." + name
	g := &Guests{Types: d.flags(n.get("guestOrExternalUserTypes"), path+".guestOrExternalUserTypes")}
	if len(g.Types) == 0 {
		return nil
	}
	tenants := n.get("externalTenants")
	kind := d.flags(tenants.get("membershipKind"), path+".externalTenants.membershipKind")
	members, _ := d.strings(tenants.get("members"), path+".externalTenants.members")
	switch {
	case len(kind) == 1 && strings.EqualFold(kind[0], "enumerated"), len(kind) == 0 && len(members) > 0:
		g.Tenants = append([]string{}, members...)
	case len(kind) == 0, len(kind) == 1 && strings.EqualFold(kind[0], "all"):
	default:
		g.UnknownTenants = true
	}
	return g
}

func (d *decoder) applications(n *node) *Applications {
	if n.empty() {
		return nil
	}
	const path = "conditions.applications"
	a := &Applications{
		UserActions:            d.flags(n.get("includeUserActions"), path+".includeUserActions"),
		AuthenticationContexts: d.flags(n.get("includeAuthenticationContextClassReferences"), path+".includeAuthenticationContextClassReferences"),
		Filter:                 d.filter(n.get("applicationFilter"), path+".applicationFilter"),
		Traffic:                !n.get("networkAccess").empty() || !n.get("globalSecureAccess").empty(),
	}
	var ok bool
	if a.Include, ok = d.strings(n.get("includeApplications"), path+".includeApplications"); !ok {
		a.UnknownInclude = true
	}
	if a.Exclude, ok = d.strings(n.get("excludeApplications"), path+".excludeApplications"); !ok {
		a.UnknownExclude = true
	}
	n.rest([]string{
		"includeApplications", "excludeApplications", "includeUserActions",
		"includeAuthenticationContextClassReferences", "applicationFilter", "networkAccess", "globalSecureAccess",
	}, a.unknown)
	return a
}

func (d *decoder) clientApplications(n *node) *ClientApplications {
	const path = "conditions.clientApplications"
	c := &ClientApplications{
		Filter:      d.filter(n.get("servicePrincipalFilter"), path+".servicePrincipalFilter"),
		AgentFilter: d.filter(n.get("agentIdServicePrincipalFilter"), path+".agentIdServicePrincipalFilter"),
	}
	for _, part := range []struct {
		name string
		to   *Choice
	}{{"ServicePrincipals", &c.ServicePrincipals}, {"AgentIdServicePrincipals", &c.AgentIdentities}} {
		var ok bool
		if part.to.Include, ok = d.strings(n.get("include"+part.name), path+".include"+part.name); !ok {
			part.to.UnknownInclude = true
		}
		if part.to.Exclude, ok = d.strings(n.get("exclude"+part.name), path+".exclude"+part.name); !ok {
			part.to.UnknownExclude = true
		}
	}
	n.rest([]string{
		"includeServicePrincipals", "excludeServicePrincipals", "servicePrincipalFilter",
		"includeAgentIdServicePrincipals", "excludeAgentIdServicePrincipals", "agentIdServicePrincipalFilter",
	}, c.ServicePrincipals.unknown)
	if len(c.ServicePrincipals.Include)+len(c.AgentIdentities.Include) == 0 && c.Filter == nil && c.AgentFilter == nil &&
		!c.ServicePrincipals.UnknownInclude && !c.AgentIdentities.UnknownInclude {
		return nil
	}
	return c
}

// agents reads the beta conditions on users that are agents.
func (d *decoder) agents(n *node) *Agents {
	users := n.get("agents")
	a := &Agents{Unknown: !n.get("agentContext").empty()}
	if c := d.choice(users, "conditions.agents", "includeAgentUsers", "excludeAgentUsers"); c != nil {
		a.Users = *c
	}
	if len(a.Users.Include) == 0 && !a.Users.UnknownInclude && !a.Unknown {
		return nil
	}
	return a
}

// devices reads the device filter and what came before it.
func (d *decoder) devices(n *node, c *Conditions) {
	const path = "conditions.devices"
	c.DeviceFilter = d.filter(n.get("deviceFilter"), path+".deviceFilter")
	known := []string{"deviceFilter"}
	for _, name := range []string{"DeviceStates", "Devices"} {
		known = append(known, "include"+name, "exclude"+name)
		old := d.choice(&node{kind: '{', names: []string{"include" + name, "exclude" + name},
			items: []node{*n.get("include" + name), *n.get("exclude" + name)}}, path, "include"+name, "exclude"+name)
		if old != nil && c.DeviceStates == nil {
			c.DeviceStates = old
		}
	}
	n.rest(known, func(name string, _ *node) { c.Unknown = append(c.Unknown, "conditions.devices."+name) })
}
