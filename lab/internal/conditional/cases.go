package conditional

import (
	"net/netip"
	"slices"
	"strings"

	"gatehouse/lab/internal/directory"
)

// somethingElse is an id that no policy names.
const somethingElse = "ffffffff-0000-0000-0000-00000000000f"

// cases are the situations that fill in a missing fact, named as in
// [PolicyResult.Missing], for the policy that asks for it. There are none for
// what a policy says in a way that the evaluator does not understand: that
// turns out one way or the other by itself.
func (x *settling) cases(what string, s situation, policy map[string]any) []situation {
	var out []situation
	with := func(values []string, fill func(*SignIn, string)) []situation {
		for _, v := range values {
			next := s
			fill(&next.signIn, v)
			out = append(out, next)
		}
		return out
	}
	switch what {
	case "principalType":
		return with([]string{principalUser, principalWorkload}, func(s *SignIn, v string) { s.PrincipalType = v })
	case "userId":
		return with(x.named("users", "Users"), func(s *SignIn, v string) { s.UserID = Of(v) })
	case "guestOrExternalUserType":
		return with(s.signIn.guestTypes(), func(s *SignIn, v string) { s.GuestOrExternalUserType = Of(v) })
	case "externalTenantId":
		return x.tenants(s)
	case "servicePrincipalId":
		return with(x.named("clientApplications", "ServicePrincipals"), func(s *SignIn, v string) { s.ServicePrincipalID = Of(v) })
	case "groups":
		return x.membership(s, policy, "Groups", inGroup, (*evaluation).group)
	case "roles":
		return x.membership(s, policy, "Roles", withRole, func(e *evaluation, id string) truth { return e.roles(list{items: []string{id}}) })
	case "resource":
		return x.targets(s)
	case "clientAppType":
		return with(clientTypes, func(s *SignIn, v string) { s.ClientAppType = Of(v) })
	case "ipAddress":
		return x.addresses(s)
	case "country":
		return x.countries(s)
	case "compliantNetwork":
		yes, no := s, s
		yes.signIn.CompliantNetwork, no.signIn.CompliantNetwork = Of(true), Of(false)
		return []situation{yes, no}
	case "platform":
		return with(append([]string{""}, platforms...), func(s *SignIn, v string) { s.Platform = Of(v) })
	case "signInRisk":
		return with(riskLevels, func(s *SignIn, v string) { s.SignInRisk = Of(v) })
	case "userRisk":
		return with(riskLevels, func(s *SignIn, v string) { s.UserRisk = Of(v) })
	case "servicePrincipalRisk":
		return with(riskLevels, func(s *SignIn, v string) { s.ServicePrincipalRisk = Of(v) })
	case "insiderRisk":
		return with([]string{"", "minor", "moderate", "elevated"}, func(s *SignIn, v string) { s.InsiderRisk = Of(v) })
	case "authenticationFlow":
		return with([]string{"", "deviceCodeFlow", "authenticationTransfer"}, func(s *SignIn, v string) { s.AuthenticationFlow = Of(v) })
	case "authMethodCombination":
		return x.combinations(s)
	}
	return x.outside(what, s)
}

// outside are facts that are no members of the sign-in.
func (x *settling) outside(what string, s situation) []situation {
	if name, isAttribute := strings.CutPrefix(what, "device."); isAttribute {
		return x.devices(strings.ToLower(name), s)
	}
	if what == "device" { // first whether there is a registered one
		none, some := s, s
		none.signIn.Device, some.signIn.Device = Of[Device](nil), Of(Device{})
		return []situation{none, some}
	}
	if app, isGroup := strings.CutPrefix(what, "app group of "); isGroup {
		for _, suite := range []string{office365, adminPortals} {
			if name := strings.ToLower(suite + " has " + app); !s.has(name) {
				return []situation{s.assume(name, false), s.assume(name, true)}
			}
		}
		return nil
	}
	if what == "MFA trusted IPs" || strings.HasPrefix(what, "namedLocation ") {
		return []situation{s.assume(what, false), s.assume(what, true)}
	}
	return nil
}

func (s situation) has(what string) bool { _, is := s.assumed[what]; return is }

var riskLevels = []string{"", "low", "medium", "high", "hidden"}

// named are the ids that policies include or exclude, and one that none does.
func (x *settling) named(where, what string) []string {
	out := []string{somethingElse}
	for _, policy := range x.policies {
		conditions, _ := block(policy.Members, "conditions")
		from, _ := block(conditions, where)
		for _, side := range []string{"include", "exclude"} {
			for _, id := range (&evaluation{}).list(from, side+what).items {
				if !slices.ContainsFunc(out, func(have string) bool { return same(have, id) }) {
					out = append(out, id)
				}
			}
		}
	}
	return out
}

// membership takes the first group or role of a policy that is still open.
func (x *settling) membership(s situation, policy map[string]any, what, assumed string, is func(*evaluation, string) truth) []situation {
	conditions, _ := block(policy, "conditions")
	users, _ := block(conditions, "users")
	e := &evaluation{s: &s.signIn, w: x.world, given: x.given, assumed: s.assumed}
	for _, side := range []string{"include", "exclude"} {
		for _, id := range e.list(users, side+what).items {
			if is(e, id) == maybe {
				id = assumed + strings.ToLower(id)
				return []situation{s.assume(id, false), s.assume(id, true)}
			}
		}
	}
	return nil
}

// tenants: those that policies name, and none of them. A named one makes the
// user external.
func (x *settling) tenants(s situation) []situation {
	out := []situation{s}
	out[0].signIn.ExternalTenantID = Of("")
	if !slices.ContainsFunc(s.signIn.guestTypes(), foreign) {
		return out
	}
	for _, policy := range x.policies {
		conditions, _ := block(policy.Members, "conditions")
		users, _ := block(conditions, "users")
		for _, side := range []string{"include", "exclude"} {
			guests, _ := block(users, side+"GuestsOrExternalUsers")
			tenants, _ := block(guests, "externalTenants")
			for _, id := range (&evaluation{}).list(tenants, "members").items {
				next := s
				next.signIn.ExternalTenantID = Of(id)
				out = append(out, next)
			}
		}
	}
	return out
}

// targets: all resources, actions and contexts that policies or the evaluator
// know, and others.
func (x *settling) targets(s situation) []situation {
	apps, actions, contexts := x.named("applications", "Applications"), []string{RegisterSecurityInfo, RegisterDevice, somethingElse}, []string{somethingElse}
	for app := range x.world.Suites {
		apps = append(apps, app)
	}
	for app := range x.world.Dependencies {
		apps = append(apps, app)
	}
	apps = append(apps, directory.DirectoryID, directory.GraphID)
	for _, policy := range x.policies {
		conditions, _ := block(policy.Members, "conditions")
		named, _ := block(conditions, "applications")
		actions = append(actions, (&evaluation{}).list(named, "includeUserActions").items...)
		contexts = append(contexts, (&evaluation{}).list(named, "includeAuthenticationContextClassReferences").items...)
	}
	var out []situation
	for _, t := range []struct {
		fact   func(*SignIn) *Opt[string]
		values []string
	}{
		{func(s *SignIn) *Opt[string] { return &s.Resource }, apps},
		{func(s *SignIn) *Opt[string] { return &s.UserAction }, actions},
		{func(s *SignIn) *Opt[string] { return &s.AuthenticationContext }, contexts},
	} {
		for _, v := range distinct(t.values) {
			next := s
			if fact := t.fact(&next.signIn); !fact.Known || t.fact(x.given) == &x.given.Resource {
				*fact = Of(v)
				out = append(out, next)
			}
		}
	}
	return out
}

// distinct drops repetitions, whatever the case.
func distinct(values []string) []string {
	for i := range values {
		values[i] = strings.ToLower(values[i])
	}
	slices.Sort(values)
	return slices.Compact(values)
}

// addresses are the ends of all ranges, where alone an address can begin to be
// inside or outside.
func (x *settling) addresses(s situation) []situation {
	e := &evaluation{s: &s.signIn, w: x.world, given: x.given}
	ends := ends("0.0.0.0/32", "::/128", "::1/128", "fc00::/7", "fe80::/10")
	for _, private := range []string{"10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "127.0.0.0/8", "169.254.0.0/16"} {
		ends = append(ends, endsOf(netip.MustParsePrefix(private))...)
	}
	for _, prefix := range x.world.TrustedIPs.Value {
		ends = append(ends, endsOf(prefix)...)
	}
	for _, l := range x.world.Locations {
		ranges, _ := l.Members["ipRanges"].([]any)
		for _, r := range ranges {
			ends = append(ends, rangeEnds(r)...)
		}
	}
	var out []situation
	kinds := map[string]bool{}
	for _, addr := range ends {
		next := s
		next.signIn.IPAddress = Of(addr.String())
		e.s = &next.signIn
		kind := e.inTrustedIPs().String()
		for _, l := range x.world.Locations {
			if locationKind(l.Members) == "ipNamedLocation" {
				kind += " " + e.inRanges(l.Members).String()
			}
		}
		if nowhere(addr) {
			kind += " private"
			if s.assumed["abroad"] {
				continue
			}
		}
		if !kinds[kind] {
			kinds[kind] = true
			out = append(out, next)
		}
	}
	return out
}

func ends(prefixes ...string) []netip.Addr {
	var out []netip.Addr
	for _, p := range prefixes {
		out = append(out, endsOf(netip.MustParsePrefix(p))...)
	}
	return out
}

// endsOf are the first address of a range and the first behind it.
func endsOf(p netip.Prefix) []netip.Addr {
	p = p.Masked()
	last := p.Addr().AsSlice()
	for bit := p.Bits(); bit < len(last)*8; bit++ {
		last[bit/8] |= 1 << (7 - bit%8)
	}
	to, _ := netip.AddrFromSlice(last)
	return between(p.Addr(), to)
}

func between(from, to netip.Addr) []netip.Addr {
	if next := to.Next(); next.IsValid() {
		return []netip.Addr{from, next}
	}
	return []netip.Addr{from}
}

func rangeEnds(r any) []netip.Addr {
	members, _ := r.(map[string]any)
	if cidr, isText := members["cidrAddress"].(string); isText {
		prefix, err := netip.ParsePrefix(cidr)
		if err != nil {
			return nil
		}
		return endsOf(prefix)
	}
	lower, _ := members["lowerAddress"].(string)
	upper, _ := members["upperAddress"].(string)
	from, err := netip.ParseAddr(lower)
	to, err2 := netip.ParseAddr(upper)
	if err != nil || err2 != nil {
		return nil
	}
	return between(from, to)
}

// countries: those that locations name, another, and none.
func (x *settling) countries(s situation) []situation {
	codes := []string{"zz"} // nobody's
	for _, l := range x.world.Locations {
		codes = append(codes, (&evaluation{}).list(l.Members, "countriesAndRegions").items...)
	}
	none := s
	none.signIn.Country = Of("")
	out := []situation{none}
	for _, code := range distinct(codes) {
		next := s.assume("abroad", true)
		next.signIn.Country = Of(code)
		out = append(out, next)
	}
	return out
}

// combinations: those of strengths, and one that none names. Whoever did no MFA
// used none that is MFA.
func (x *settling) combinations(s situation) []situation {
	e := &evaluation{s: &s.signIn, w: x.world, given: x.given}
	values := append([]string{somethingElse}, mfaCombinations...)
	for _, policy := range x.policies {
		grant, _ := block(policy.Members, "grantControls")
		strength, _ := block(grant, controlStrength)
		id, _ := strength["id"].(string)
		values = append(values, e.combinations(strength, id)...)
	}
	undone := e.mfaDone() == no
	var out []situation
	for _, v := range distinct(values) {
		if undone && allows(mfaCombinations, v) {
			continue
		}
		next := s
		next.signIn.AuthMethodCombination = Of(v)
		out = append(out, next)
	}
	return out
}
