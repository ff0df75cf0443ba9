package posture

import (
	"fmt"
	"slices"
	"strings"

	ca "gatehouse/conditionalaccess"
)

func contains(ids []string, id string) bool {
	return slices.ContainsFunc(ids, func(have string) bool { return strings.EqualFold(have, id) })
}

// covers says how a policy comes to look at the account or app: the value that
// includes it, and that no exclusion spares it.
func covers(p *ca.Policy, who subject) string {
	if !who.user {
		if c := p.Conditions.ClientApplications; c != nil && contains(c.ServicePrincipals.Include, who.app.ID) {
			return "names the app"
		}
		return "applies to the apps of this tenant"
	}
	u := p.Conditions.Users
	if u == nil {
		return "applies to the account"
	}
	return included(u, who.account) + notExcluded(u)
}

func included(u *ca.Users, a Account) string {
	switch {
	case contains(u.Users.Include, a.ID):
		return "names the account"
	case contains(u.Users.Include, "All"):
		return "applies to all users"
	}
	for _, g := range a.Groups {
		if contains(u.Groups.Include, g.ID) {
			return "names the group " + named(g.Name, g.ID) + ", to which the account belongs"
		}
	}
	for _, r := range a.Roles {
		if contains(u.Roles.Include, r.ID) && r.Counts() {
			return "names the role " + named(r.Name, r.ID) + ", which the account holds"
		}
	}
	if a.GuestType != "" && (u.IncludeGuests != nil || contains(u.Users.Include, "GuestsOrExternalUsers")) {
		return "applies to guests"
	}
	return "may apply to the account"
}

// notExcluded names the kinds of exclusions that do not spare the account.
func notExcluded(u *ca.Users) string {
	var kinds []string
	for _, of := range []struct {
		word string
		n    int
	}{{"user", len(u.Users.Exclude)}, {"group", len(u.Groups.Exclude)}, {"role", len(u.Roles.Exclude)}} {
		if of.n > 0 {
			kinds = append(kinds, "excluded "+of.word+"s")
		}
	}
	if len(kinds) == 0 {
		return ""
	}
	return "; the account is among none of the " + list(kinds)
}

// places says what else must hold for the policy: the conditions that narrow it
// to sign-ins like this one.
func places(p *ca.Policy, set *ca.Set, who subject) string {
	c := &p.Conditions
	var parts []string
	if a := c.Applications; a != nil {
		switch {
		case len(a.UserActions) > 0, len(a.AuthenticationContexts) > 0, contains(a.Include, "All"), len(a.Include) == 0:
		default:
			parts = append(parts, "for "+list(resourceWords(a.Include)))
		}
	}
	if l := c.Locations; l != nil {
		part := ""
		if len(l.Include) > 0 && !contains(l.Include, "All") {
			part = "from " + list(locationWords(l.Include, set))
		} else if len(l.Exclude) > 0 {
			part = "from everywhere"
		}
		if len(l.Exclude) > 0 {
			part = strings.TrimSpace(part + " but " + list(locationWords(l.Exclude, set)))
		}
		if part != "" {
			if who.in.Address.IsValid() {
				part += fmt.Sprintf(" (this sign-in comes from %s)", who.in.Address)
			}
			parts = append(parts, part)
		}
	}
	if len(c.TransferMethods) > 0 {
		parts = append(parts, "for sign-ins by "+list(flowWords(c.TransferMethods)))
	}
	if len(c.ClientAppTypes) > 0 && !contains(c.ClientAppTypes, "all") {
		parts = append(parts, "for the clients "+list(c.ClientAppTypes))
	}
	if c.Platforms != nil {
		parts = append(parts, "on some platforms")
	}
	if c.DeviceFilter != nil {
		parts = append(parts, "by a filter for devices")
	}
	if len(parts) == 0 {
		return ""
	}
	return "; " + strings.Join(parts, ", ")
}

func named(name, id string) string {
	if name == "" {
		return id
	}
	return `"` + name + `"`
}

func resourceWords(ids []string) []string {
	var out []string
	for _, id := range ids[:min(len(ids), 5)] {
		out = append(out, strings.ReplaceAll(ServiceName(id), "_", " "))
	}
	if more := len(ids) - len(out); more > 0 {
		out = append(out, fmt.Sprintf("%d more", more))
	}
	return out
}

// mfaTrustedIPs is the name of the trusted addresses of the per-user MFA
// settings (conditional-access-evaluation §2.5).
const mfaTrustedIPs = "00000000-0000-0000-0000-000000000000"

func locationWords(ids []string, set *ca.Set) []string {
	var out []string
	for _, id := range ids[:min(len(ids), 5)] {
		switch {
		case strings.EqualFold(id, "AllTrusted"):
			out = append(out, "the trusted locations")
		case id == mfaTrustedIPs:
			out = append(out, "the trusted addresses of multi-factor authentication")
		default:
			out = append(out, locationName(id, set))
		}
	}
	if more := len(ids) - len(out); more > 0 {
		out = append(out, fmt.Sprintf("%d more", more))
	}
	return out
}

func locationName(id string, set *ca.Set) string {
	for _, l := range set.Locations {
		if strings.EqualFold(l.ID, id) {
			return named(l.DisplayName, id)
		}
	}
	return id
}

func flowWords(methods []string) []string {
	words := map[string]string{"devicecodeflow": "device code", "authenticationtransfer": "authentication transfer"}
	var out []string
	for _, m := range methods {
		if w := words[strings.ToLower(m)]; w != "" {
			m = w
		}
		out = append(out, m)
	}
	return out
}

// controlWords say grant controls as administrators read them.
func controlWords(controls []string) []string {
	words := map[string]string{
		"mfa": "MFA", "authenticationStrength": "a certain authentication strength", "compliantDevice": "a compliant device",
		"domainJoinedDevice": "a hybrid joined device", "approvedApplication": "an approved app", "compliantApplication": "an app under protection",
		"passwordChange": "a new password", "termsOfUse": "acceptance of terms of use", "block": "nothing that could be given",
	}
	var out []string
	for _, c := range controls {
		if w := words[c]; w != "" {
			c = w
		}
		out = append(out, c)
	}
	return out
}

// asks says what an open policy would do.
func asks(p *ca.Policy, controls []string) string {
	switch {
	case contains(controls, "block"):
		return "block the sign-in"
	case len(controls) == 0:
		return "ask for nothing"
	}
	return "ask for " + wants(p, controls)
}

// missingWords say members of a sign-in in words.
func missingWords(names []string) []string {
	words := map[string]string{
		"ipAddress": "the address", "country": "the country of the address", "platform": "the platform", "device": "the device",
		"groups": "the account's groups", "roles": "the account's roles", "resource": "the resource", "scopes": "the permissions asked for",
		"clientAppType": "the kind of client", "signInRisk": "the risk of the sign-in", "userRisk": "the risk of the user", "insiderRisk": "the insider risk",
		"servicePrincipalRisk": "the risk of the app", "externalTenantId": "the home tenant", "guestOrExternalUserType": "the kind of guest",
		"namedLocations": "a named location that was not read", "mfaTrustedIPs": "the trusted addresses of multi-factor authentication",
		"appGroups": "the members of a group of apps", "authenticationStrength": "an authentication strength that was not read",
		"compliantNetwork": "whether Global Secure Access was used", "authenticationFlow": "the flow", "policy": "a part of the policy that this version does not know",
	}
	var out []string
	for _, n := range names {
		if w := words[n]; w != "" {
			n = w
		}
		out = append(out, n)
	}
	return out
}

// spares lists the exclusions that would spare the sign-in, the ones that the
// policy has already first (conditional-access-evaluation §11).
func (s *Snapshot) spares(p *ca.Policy, set *ca.Set, who subject) []Exclusion {
	out := []Exclusion{}
	c := &p.Conditions
	if !who.user {
		out = append(out, Exclusion{Kind: "service_principal", ID: who.app.ID, Name: who.app.Name, How: "exclude the app from the policy"})
	} else if c.Users != nil {
		for _, id := range c.Users.Groups.Exclude {
			out = append(out, Exclusion{Kind: "group", ID: id, How: "add the account to this group, which the policy excludes; other policies may exclude it too"})
		}
		out = append(out, Exclusion{Kind: "account", ID: who.account.ID, Name: who.account.UPN, How: "exclude the account from the policy, best through a group of its own"})
	}
	if c.Locations == nil {
		return out
	}
	for _, id := range c.Locations.Exclude {
		e := Exclusion{Kind: "named_location", ID: id, Name: strings.Trim(locationName(id, set), `"`), How: "sign in from this location, which the policy excludes"}
		switch {
		case strings.EqualFold(id, "AllTrusted"):
			e.Name, e.How = "All trusted locations", "sign in from a trusted named location, or have the tool's address made one"
		case id == mfaTrustedIPs:
			e.Name = "MFA trusted IPs"
		case e.Name == id:
			e.Name = ""
		}
		out = append(out, e)
	}
	return out
}
