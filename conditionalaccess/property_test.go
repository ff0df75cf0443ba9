package conditionalaccess

import (
	"slices"
	"testing"

	"pgregory.net/rapid"
)

func anyOptions(t *rapid.T) Options {
	return Options{
		ReportOnlyAsEnabled: rapid.Bool().Draw(t, "report-only as enabled"),
		OldBaselineScopes:   rapid.Bool().Draw(t, "old scopes"),
		ServiceDependencies: rapid.Bool().Draw(t, "dependencies"),
		RegistrationApart:   rapid.Bool().Draw(t, "registration apart"),
	}
}

// TestTablesAgreeWithConditions: the tables say of every policy what its
// conditions say one by one.
func TestTablesAgreeWithConditions(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := Compile(anySet(t), anyOptions(t))
		var r Result
		si := anySignIn(t, true)
		c.prepare(&r.scratch)
		f := c.gather(si, &r.scratch)
		c.screen(f, &r.scratch)
		certain, possible := r.scratch.certain, r.scratch.possible
		for i := range c.policies {
			want, _ := c.examine(&c.policies[i], f)
			have := no
			if possible.has(i) {
				have = maybe
			}
			if certain.has(i) {
				have = yes
			}
			if have != want {
				t.Fatalf("policy %d: the tables say %d, the conditions %d\n%+v", i, have, want, c.trace(i, f))
			}
		}
	})
}

// complete fills in every member that is absent, at random but in agreement
// with what is given.
func complete(t *rapid.T, si *SignIn) *SignIn {
	full := anySignIn(t, false)
	out := *si
	fill := func(to *Member[string], from Member[string]) {
		if to.State == Absent {
			*to = from
		}
	}
	fillList := func(to *Member[[]string], from Member[[]string]) {
		if to.State == Absent {
			*to = from
		}
	}
	if out.GuestOrExternalUserType.State == Absent && out.UserType.given() {
		kinds := []string{"internalGuest", "b2bCollaborationGuest", "otherExternalUser"}
		if out.UserType.Value == "Member" {
			kinds = []string{"none", "b2bCollaborationMember"}
		}
		out.GuestOrExternalUserType = Is(rapid.SampledFrom(kinds).Draw(t, "kind"))
		if out.GuestOrExternalUserType.Value == "none" {
			out.GuestOrExternalUserType = None[string]()
		}
	}
	if si.PrincipalType.Value == "user" {
		fill(&out.UserID, Is(rapid.SampledFrom(append([]string{"user-x"}, someUsers...)).Draw(t, "user")))
	}
	fill(&out.ExternalTenantID, None[string]())
	fillList(&out.Groups, full.Groups)
	fillList(&out.Roles, full.Roles)
	fill(&out.ClientAppType, full.ClientAppType)
	if out.IPAddress.State == Absent {
		out.IPAddress = full.IPAddress
	}
	if out.IPAddress.given() && out.IPAddress.Value.IsPrivate() { // which belong to no country
		full.Country = None[string]()
	}
	fill(&out.Country, full.Country)
	fill(&out.Platform, full.Platform)
	fill(&out.SignInRisk, full.SignInRisk)
	fill(&out.UserRisk, full.UserRisk)
	fill(&out.InsiderRisk, full.InsiderRisk)
	fill(&out.ServicePrincipalRisk, full.ServicePrincipalRisk)
	if full.AuthenticationFlow.Value == "deviceCodeFlow" && si.Device.given() {
		// Device controls take an unknown flow for another than this one.
		full.AuthenticationFlow = None[string]()
	}
	fill(&out.AuthenticationFlow, full.AuthenticationFlow)
	if out.Device.State == Absent {
		out.Device = full.Device
	}
	for i := range out.Device.Value.attributes {
		if out.Device.State != Given {
			break
		}
		if a := &out.Device.Value.attributes[i]; a.State == Absent {
			*a = full.Device.Value.attributes[i]
		}
	}
	fillList(&out.Satisfied, full.Satisfied)
	if out.AuthMethodCombination.State == Absent {
		out.AuthMethodCombination = full.AuthMethodCombination
		if !containsFold(out.Satisfied.Value, "mfa") { // the two agree
			out.AuthMethodCombination = Is("password")
		}
	}
	return &out
}

// TestUnknownRefines: a verdict that is known stays whatever the missing
// members turn out to be, and an unknown one names what is missing.
func TestUnknownRefines(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := Compile(anySet(t), anyOptions(t))
		si := anySignIn(t, true)
		var r Result
		c.Evaluate(si, &r)
		verdict := r.Verdict
		if verdict == Unknown && len(r.Missing) == 0 {
			t.Fatal("unknown, and nothing is missing")
		}
		if verdict != Unknown && len(r.Missing) > 0 {
			t.Fatalf("%v, although %v is missing", verdict, r.Missing)
		}
		for range 8 {
			full := complete(t, si)
			if external(full) != external(si) {
				continue // grant controls take a user of an unknown kind for the tenant's own
			}
			if si.ClientAppType.State == Absent && code(&full.ClientAppType, clientCodes, 0, 0)&legacy != 0 {
				continue // and an unknown client for a modern one
			}
			if c.Evaluate(full, &r); verdict != Unknown && r.Verdict != verdict {
				t.Fatalf("%v became %v with %+v", verdict, r.Verdict, full)
			}
		}
	})
}

// verdictOf evaluates one sign-in.
func verdictOf(c *Compiled, si *SignIn) Verdict {
	var r Result
	c.Evaluate(si, &r)
	return r.Verdict
}

// TestExclusionNeverDemands: excluding somebody or something more never leads
// to a stronger verdict.
func TestExclusionNeverDemands(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		set := anySet(t)
		options := anyOptions(t)
		options.OldBaselineScopes = false
		si := anySignIn(t, false)
		// An excluded application changes how requests for directory scopes are
		// treated; that is its own rule.
		si.Scopes = Member[[]string]{}
		before := verdictOf(Compile(set, options), si)
		p := *rapid.SampledFrom(set.Policies).Draw(t, "policy")
		add := func(list []string, from []string) []string {
			return append(slices.Clone(list), rapid.SampledFrom(from).Draw(t, "excluded"))
		}
		switch rapid.IntRange(0, 3).Draw(t, "what") {
		case 0:
			u := *p.Conditions.Users
			u.Users.Exclude = add(u.Users.Exclude, someUsers)
			p.Conditions.Users = &u
		case 1:
			u := *p.Conditions.Users
			u.Groups.Exclude = add(u.Groups.Exclude, someGroups)
			p.Conditions.Users = &u
		case 2:
			a := *p.Conditions.Applications
			a.Exclude = add(a.Exclude, someApps)
			p.Conditions.Applications = &a
		default:
			if p.Conditions.Locations != nil {
				l := *p.Conditions.Locations
				l.Exclude = add(l.Exclude, []string{"trusted", "plain", "c"})
				p.Conditions.Locations = &l
			}
		}
		changed := &Set{Locations: set.Locations}
		for _, have := range set.Policies {
			if have.ID == p.ID {
				have = &p
			}
			changed.Policies = append(changed.Policies, have)
		}
		after := verdictOf(Compile(changed, options), si)
		if before != Unknown && after < before {
			t.Fatalf("%v became %v", before, after)
		}
	})
}

// TestOrderAndDisabledPolicies: neither the order of policies nor a disabled
// one changes a verdict.
func TestOrderAndDisabledPolicies(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		set := anySet(t)
		options := anyOptions(t)
		si := anySignIn(t, true)
		before := verdictOf(Compile(set, options), si)
		mixed := &Set{Locations: set.Locations, Policies: rapid.Permutation(set.Policies).Draw(t, "order")}
		off := anyPolicy(t)
		off.State = Disabled
		mixed.Policies = append(mixed.Policies, off)
		if after := verdictOf(Compile(mixed, options), si); after != before {
			t.Fatalf("%v became %v", before, after)
		}
	})
}
