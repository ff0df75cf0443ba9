package conditionalaccess

import (
	"net/netip"
	"strings"

	"pgregory.net/rapid"
)

// The small worlds that random policies and sign-ins are drawn from.
var (
	someUsers    = []string{"user-a", "user-b", "user-c"}
	someGroups   = []string{"group-a", "group-b", "group-c"}
	someRoles    = []string{"role-a", "role-b"}
	someTenants  = []string{"tenant-a", "tenant-b"}
	someSPs      = []string{"sp-a", "sp-b"}
	someApps     = []string{sharePoint, exchange, graph, appPortal, appPowerApps, "app-a", "app-b"}
	somePlaces   = []string{"trusted", "plain", "c", "c-unknown", "AllTrusted", trustedIPs, "nowhere"}
	someTypes    = []string{"internalGuest", "b2bCollaborationGuest", "b2bCollaborationMember", "b2bDirectConnectUser", "otherExternalUser", "serviceProvider"}
	someClients  = []string{"browser", "mobileAppsAndDesktopClients", "exchangeActiveSync", "other"}
	somePlatform = []string{"android", "iOS", "windows", "macOS", "linux"}
	someRisks    = []string{"none", "low", "medium", "high"}
	someFlows    = []string{"deviceCodeFlow", "authenticationTransfer"}
	someContexts = []string{"c1", "c2"}
	someActions  = []string{actionSecurityInfo, actionDevice}
	someRules    = []string{
		`device.isCompliant -eq True`, `device.trustType -ne "ServerAD"`,
		`device.isCompliant -eq True -or device.trustType -eq "ServerAD"`,
		`-not (device.displayName -startsWith "PC" -and device.model -in ["A","B"])`,
		`device.extensionAttribute1 -eq "SAW"`, `device.physicalIds -contains "x"`,
	}
	someControls     = []string{"mfa", "compliantDevice", "domainJoinedDevice", "approvedApplication", "compliantApplication", "passwordChange"}
	someCombinations = []string{"password", "fido2", "password,sms", "password, microsoftAuthenticatorPush", "x509CertificateSingleFactor"}
	someAddresses    = []string{"192.0.2.9", "198.51.100.20", "203.0.113.5", "2001:db8::1", "10.0.0.1"}
)

// few draws a short list without repetition.
func few(t *rapid.T, label string, from []string) []string {
	if rapid.IntRange(0, 2).Draw(t, label+"?") > 0 {
		return nil
	}
	return rapid.SliceOfNDistinct(rapid.SampledFrom(from), 1, min(3, len(from)), rapid.ID[string]).Draw(t, label)
}

func choose(t *rapid.T, label string, include, exclude []string) *Choice {
	c := &Choice{Include: few(t, label+" in", include), Exclude: few(t, label+" out", exclude)}
	if len(c.Include)+len(c.Exclude) == 0 {
		return nil
	}
	return c
}

func anyPolicy(t *rapid.T) *Policy {
	p := &Policy{ID: rapid.StringMatching(`p[0-9]{3}`).Draw(t, "id")}
	p.State = rapid.SampledFrom([]PolicyState{Enabled, Enabled, Enabled, ReportOnly, Disabled, StateUnknown}).Draw(t, "state")
	c := &p.Conditions
	if rapid.IntRange(0, 9).Draw(t, "workload") == 0 {
		c.Users = &Users{Users: Choice{Include: []string{"None"}}}
		c.ClientApplications = &ClientApplications{ServicePrincipals: Choice{
			Include: rapid.SampledFrom([][]string{{"ServicePrincipalsInMyTenant"}, {"sp-a"}}).Draw(t, "sps"),
			Exclude: few(t, "sps out", someSPs),
		}}
		c.ServicePrincipalRiskLevels = few(t, "sp risk", someRisks)
	} else {
		c.Users = anyUsers(t)
	}
	anyTarget(t, c)
	c.ClientAppTypes = few(t, "clients", append([]string{"all", "easSupported", "toaster"}, someClients...))
	c.Platforms = choose(t, "platforms", append([]string{"all", "all"}, somePlatform...), somePlatform)
	c.Locations = choose(t, "locations", append([]string{"All", "All", "All"}, somePlaces...), somePlaces)
	c.SignInRiskLevels = few(t, "sign-in risk", someRisks)
	c.UserRiskLevels = few(t, "user risk", append([]string{"extreme"}, someRisks...))
	c.InsiderRiskLevels = few(t, "insider risk", []string{"minor", "moderate", "elevated"})
	c.TransferMethods = few(t, "flows", append([]string{"carrierPigeon"}, someFlows...))
	if rule := few(t, "filter", someRules); rule != nil {
		e, err := parseFilter(rule[0])
		if err != nil {
			t.Fatal(err)
		}
		c.DeviceFilter = &Filter{Exclude: rapid.Bool().Draw(t, "filter out"), Rule: rule[0], expression: e}
	}
	if rapid.IntRange(0, 19).Draw(t, "strange") == 0 {
		c.Unknown = []string{"conditions.weather"}
	}
	p.Grant = anyGrant(t)
	return p
}

func anyUsers(t *rapid.T) *Users {
	u := &Users{
		Users:  Choice{Include: few(t, "users", append([]string{"GuestsOrExternalUsers"}, someUsers...)), Exclude: few(t, "users out", append([]string{"GuestsOrExternalUsers"}, someUsers...))},
		Groups: Choice{Include: few(t, "groups", someGroups), Exclude: few(t, "groups out", someGroups)},
		Roles:  Choice{Include: few(t, "roles", someRoles), Exclude: few(t, "roles out", someRoles)},
	}
	if rapid.Bool().Draw(t, "all users") {
		u.Users.Include = []string{"All"}
	}
	guests := func(label string) *Guests {
		types := few(t, label, someTypes)
		if types == nil {
			return nil
		}
		return &Guests{Types: types, Tenants: few(t, label+" tenants", someTenants)}
	}
	u.IncludeGuests, u.ExcludeGuests = guests("guests"), guests("guests out")
	return u
}

func anyTarget(t *rapid.T, c *Conditions) {
	a := &Applications{}
	c.Applications = a
	switch rapid.IntRange(0, 9).Draw(t, "target") {
	case 0:
		a.UserActions = []string{rapid.SampledFrom(someActions).Draw(t, "action")}
	case 1:
		a.AuthenticationContexts = []string{rapid.SampledFrom(someContexts).Draw(t, "context")}
	case 2, 3, 4, 5:
		a.Include = []string{"All"}
		a.Exclude = few(t, "apps out", append([]string{"Office365", "MicrosoftAdminPortals"}, someApps...))
	default:
		a.Include = few(t, "apps", append([]string{"Office365", "MicrosoftAdminPortals", "None"}, someApps...))
		a.Exclude = few(t, "apps out", someApps)
	}
}

func anyGrant(t *rapid.T) *GrantControls {
	switch rapid.IntRange(0, 9).Draw(t, "grant") {
	case 0:
		return nil
	case 1, 2:
		return &GrantControls{BuiltIn: []string{"block"}}
	case 3:
		return &GrantControls{Strength: &AuthenticationStrength{ID: rapid.SampledFrom([]string{
			"00000000-0000-0000-0000-000000000002", "00000000-0000-0000-0000-000000000004", "strength-of-ours",
		}).Draw(t, "strength")}}
	case 4:
		return &GrantControls{TermsOfUse: []string{"terms"}, CustomFactors: few(t, "factors", []string{"factor"})}
	case 5:
		return &GrantControls{Unknown: []string{"oath"}}
	}
	return &GrantControls{
		All:     rapid.Bool().Draw(t, "all controls"),
		BuiltIn: rapid.SliceOfNDistinct(rapid.SampledFrom(someControls), 1, 3, rapid.ID[string]).Draw(t, "controls"),
	}
}

func anySet(t *rapid.T) *Set {
	set := Read(Document{"places.json", []byte(namedPlaces)})
	for range rapid.IntRange(1, 5).Draw(t, "policies") {
		set.Policies = append(set.Policies, anyPolicy(t))
	}
	return set
}

// maybeMember draws a member: absent, null or one of some values.
func maybeMember(t *rapid.T, label string, absent bool, from []string) Member[string] {
	n := rapid.IntRange(-2, len(from)-1).Draw(t, label)
	switch {
	case n == -2 && absent:
		return Member[string]{}
	case n < 0:
		return None[string]()
	}
	return Is(from[n])
}

func maybeList(t *rapid.T, label string, absent bool, from []string) Member[[]string] {
	if absent && rapid.IntRange(0, 3).Draw(t, label+" given") == 0 {
		return Member[[]string]{}
	}
	return Is(rapid.SliceOfNDistinct(rapid.SampledFrom(from), 0, 2, rapid.ID[string]).Draw(t, label))
}

// anySignIn draws a sign-in, with members left out if absent is set.
func anySignIn(t *rapid.T, absent bool) *SignIn {
	si := &SignIn{PrincipalType: Is("user")}
	if rapid.IntRange(0, 9).Draw(t, "principal") == 0 {
		si.PrincipalType = Is("servicePrincipal")
		si.ServicePrincipalID = Is(rapid.SampledFrom(someSPs).Draw(t, "sp"))
	} else {
		si.UserID = Is(rapid.SampledFrom(someUsers).Draw(t, "user"))
		anyType(t, si, absent)
	}
	si.ExternalTenantID = maybeMember(t, "tenant", absent, someTenants)
	if absent && rapid.IntRange(0, 5).Draw(t, "user known") == 0 {
		si.UserID = Member[string]{}
	}
	si.Groups = maybeList(t, "groups", absent, someGroups)
	si.Roles = maybeList(t, "roles", absent, someRoles)
	switch rapid.IntRange(0, 9).Draw(t, "target") {
	case 0:
		si.UserAction = Is(rapid.SampledFrom(someActions).Draw(t, "action"))
	case 1:
		si.AuthenticationContext = Is(rapid.SampledFrom(someContexts).Draw(t, "context"))
	default:
		si.Resource = Is(rapid.SampledFrom(append([]string{"app-unnamed"}, someApps...)).Draw(t, "resource"))
	}
	si.Scopes = maybeList(t, "scopes", absent, []string{"openid", "profile", "User.Read", "Mail.Read"})
	si.ClientAppType = Is(rapid.SampledFrom(someClients).Draw(t, "client"))
	if absent && rapid.IntRange(0, 4).Draw(t, "client known") == 0 {
		si.ClientAppType = Member[string]{}
	}
	if !absent || rapid.IntRange(0, 4).Draw(t, "address known") > 0 {
		si.IPAddress = Is(netip.MustParseAddr(rapid.SampledFrom(someAddresses).Draw(t, "address")))
	}
	si.Country = maybeMember(t, "country", absent, []string{"NO", "DE"})
	si.Platform = maybeMember(t, "platform", absent, somePlatform)
	si.SignInRisk = maybeMember(t, "sign-in risk", absent, someRisks)
	si.UserRisk = maybeMember(t, "user risk", absent, someRisks)
	si.InsiderRisk = maybeMember(t, "insider risk", absent, []string{"minor", "elevated"})
	si.ServicePrincipalRisk = maybeMember(t, "sp risk", absent, someRisks)
	si.AuthenticationFlow = maybeMember(t, "flow", absent, someFlows)
	anyDevice(t, si, absent)
	si.Satisfied = maybeList(t, "satisfied", absent, []string{"mfa", "termsOfUse", "factor", "compliantApplication", "passwordChange", "password"})
	si.AuthMethodCombination = Is(rapid.SampledFrom(someCombinations).Draw(t, "combination"))
	if absent && rapid.Bool().Draw(t, "combination known") {
		si.AuthMethodCombination = Member[string]{}
	}
	return si
}

func anyType(t *rapid.T, si *SignIn, absent bool) {
	kind := rapid.SampledFrom(append([]string{"", "", ""}, someTypes...)).Draw(t, "type")
	si.UserType = Is("Guest")
	if kind == "" || strings.HasSuffix(kind, "Member") {
		si.UserType = Is("Member")
	}
	si.GuestOrExternalUserType = Is(kind)
	if kind == "" {
		si.GuestOrExternalUserType = None[string]()
	}
	if absent && rapid.IntRange(0, 3).Draw(t, "type known") == 0 {
		si.GuestOrExternalUserType = Member[string]{}
	}
}

func anyDevice(t *rapid.T, si *SignIn, absent bool) {
	switch n := rapid.IntRange(0, 4).Draw(t, "device"); {
	case n == 0 && absent:
		return
	case n <= 1:
		si.Device = None[Device]()
		return
	}
	si.Device.State = Given
	d := &si.Device.Value
	for _, drawn := range []struct {
		attribute DeviceAttribute
		values    []string
	}{
		{IsCompliant, []string{"True", "False"}}, {TrustType, []string{"ServerAD", "AzureAD", "Workplace"}},
		{DisplayName, []string{"PC-1", "Mac"}}, {Model, []string{"A", "C"}}, {ExtensionAttribute1, []string{"SAW", "x"}},
	} {
		a := drawn.attribute
		switch m := maybeMember(t, memberNames[mAttributes+member(a)], absent, drawn.values); m.State {
		case Given:
			d.Set(a, m.Value)
		case Null:
			d.SetNull(a)
		}
	}
	d.IsManaged = Is(rapid.Bool().Draw(t, "managed"))
	d.SetList(PhysicalIDs, few(t, "physical", []string{"x", "y"}))
}
