package conditional

import (
	"net/netip"
	"slices"
	"testing"

	"gatehouse/lab/internal/directory"
)

// row is a policy and a sign-in that differ from the standard ones, and whether
// the policy applies.
type row struct {
	name    string
	policy  []string
	signIn  []string
	applies string
	reason  string // "" follows from applies being "applies" or "unknown"
	missing string // one of what is missing
}

func checkRows(t *testing.T, rows []row) {
	t.Helper()
	for _, r := range rows {
		t.Run(r.name, func(t *testing.T) {
			t.Helper()
			reason := r.reason
			switch r.applies {
			case Applies:
				reason = reasonNotSet
			case NotKnown:
				reason = reasonTooLittle
			}
			d := Evaluate([]*directory.Object{asks(t, "mfa", r.policy...)}, signInOf(t, r.signIn...), world(t))
			got := d.Policies[0]
			if got.Applies != r.applies || got.Reason != reason {
				t.Errorf("%s for %s; want %s for %s (missing %q)", got.Applies, got.Reason, r.applies, reason, got.Missing)
			}
			if (r.missing != "" || r.applies == NotKnown) && !slices.Contains(got.Missing, r.missing) {
				t.Errorf("missing %q, want %q among it", got.Missing, r.missing)
			}
			want := map[string]Verdict{Applies: MFARequired, DoesNotApply: Allowed, NotKnown: Unknown}[r.applies]
			if d.Verdict != want {
				t.Errorf("verdict %s, want %s", d.Verdict, want)
			}
		})
	}
}

const (
	nobody = "conditions.users.includeUsers=[]"
	noApps = "conditions.applications.includeApplications=[]"
)

// TestWho: conditional-access-evaluation §2.1.
func TestWho(t *testing.T) {
	guests := func(types, more string) string {
		return `conditions.users.includeGuestsOrExternalUsers={"guestOrExternalUserTypes":"` + types + `"` + more + `}`
	}
	enumerated := `,"externalTenants":{"@odata.type":"#microsoft.graph.conditionalAccessEnumeratedExternalTenants","membershipKind":"enumerated","members":["Tenant-2"]}`
	b2b := []string{`userType="Guest"`, `guestOrExternalUserType="b2bCollaborationGuest"`, `externalTenantId="tenant-2"`}
	provider := []string{`guestOrExternalUserType="serviceProvider"`, `externalTenantId="tenant-3"`, "userType=null"}
	checkRows(t, []row{
		{"nobody", []string{nobody}, nil, DoesNotApply, reasonEmpty, ""},
		{"nobody, with an exclusion", []string{nobody, `conditions.users.excludeUsers=["user-2"]`}, nil, DoesNotApply, reasonUsers, ""},
		{"None", []string{`conditions.users.includeUsers=["None"]`}, nil, DoesNotApply, reasonUsers, ""},
		{"None, user not known", []string{`conditions.users.includeUsers=["None"]`}, []string{"-userId"}, DoesNotApply, reasonUsers, ""},
		{"user by id in other case", []string{`conditions.users.includeUsers=["USER-1"]`}, nil, Applies, "", ""},
		{"another user", []string{`conditions.users.includeUsers=["user-2"]`}, nil, DoesNotApply, reasonUsers, ""},
		{"user not known", []string{`conditions.users.includeUsers=["user-2"]`}, []string{"-userId"}, NotKnown, "", "userId"},
		{"user not known, and All", []string{`conditions.users.includeUsers=["user-2","All"]`}, []string{"-userId"}, Applies, "", ""},
		{"excluded user not known", []string{`conditions.users.excludeUsers=["user-2"]`}, []string{"-userId"}, NotKnown, "", "userId"},
		{"All covers a service provider", nil, provider, Applies, "", ""},
		{"no users block", []string{"-conditions.users"}, nil, DoesNotApply, reasonEmpty, ""},
		{"torn users block", []string{`conditions.users="All"`}, nil, NotKnown, "", "policy member users"},
		{"torn list", []string{`conditions.users.includeUsers="All"`}, nil, NotKnown, "", "policy member includeUsers"},
		{"torn entry beside a match", []string{`conditions.users.includeUsers=[7,"user-1"]`}, nil, Applies, "", ""},
		{"unknown way to include", []string{`conditions.users.includeRobots=["r"]`, nobody}, nil, NotKnown, "", "policy member includeRobots"},
		{"unknown way to exclude", []string{`conditions.users.excludeRobots=["r"]`}, nil, NotKnown, "", "policy member excludeRobots"},
		{"unknown way to exclude who is not included", []string{`conditions.users.excludeRobots=["r"]`, `conditions.users.includeUsers=["user-2"]`}, nil, DoesNotApply, reasonUsers, ""},
		{"unknown way to include beside All", []string{`conditions.users.includeRobots=["r"]`}, nil, Applies, "", ""},
		{"unknown but empty", []string{`conditions.users.excludeRobots=[]`, `conditions.users.excludeRobots@odata.type="x"`}, nil, Applies, "", ""},

		{"group", []string{nobody, `conditions.users.includeGroups=["g"]`}, []string{`groups=["G"]`}, Applies, "", ""},
		{"group nested twice in a ring", []string{nobody, `conditions.users.includeGroups=["ring"]`}, []string{`groups=["inner"]`}, Applies, "", ""},
		{"other group in a ring", []string{nobody, `conditions.users.includeGroups=["g"]`}, []string{`groups=["inner"]`}, DoesNotApply, reasonUsers, ""},
		{"groups not known", []string{nobody, `conditions.users.includeGroups=["g"]`}, []string{"-groups"}, NotKnown, "", "groups"},
		{"groups not known, user excluded", []string{`conditions.users.excludeUsers=["user-1"]`, `conditions.users.includeGroups=["g"]`}, []string{"-groups"}, DoesNotApply, reasonUsers, ""},
		{"group that is excluded too, groups not known", []string{nobody, `conditions.users.includeGroups=["g"]`, `conditions.users.excludeGroups=["G"]`}, []string{"-groups"}, DoesNotApply, reasonUsers, ""},
		{"role", []string{nobody, `conditions.users.includeRoles=["r"]`}, []string{`roles=["R"]`}, Applies, "", ""},
		{"another role", []string{nobody, `conditions.users.includeRoles=["r"]`}, []string{`roles=["q"]`}, DoesNotApply, reasonUsers, ""},
		{"roles not known", []string{nobody, `conditions.users.includeRoles=["r"]`}, []string{"-roles"}, NotKnown, "", "roles"},
		{"custom role, roles not known", []string{nobody, `conditions.users.includeRoles=["custom-role"]`}, []string{"-roles"}, DoesNotApply, reasonUsers, ""},

		{"guests by the old word", []string{`conditions.users.includeUsers=["GuestsOrExternalUsers"]`}, b2b, Applies, "", ""},
		{"member by the old word", []string{`conditions.users.includeUsers=["GuestsOrExternalUsers"]`}, nil, DoesNotApply, reasonUsers, ""},
		{"old word, only userType Guest known", []string{`conditions.users.includeUsers=["GuestsOrExternalUsers"]`}, []string{`userType="Guest"`, "-guestOrExternalUserType", "-externalTenantId"}, Applies, "", ""},
		{"old word, only userType Member known", []string{`conditions.users.includeUsers=["GuestsOrExternalUsers"]`}, []string{"-guestOrExternalUserType", "-externalTenantId"}, NotKnown, "", "guestOrExternalUserType"},
		{"old word, Member without home tenant", []string{`conditions.users.includeUsers=["GuestsOrExternalUsers"]`}, []string{"-guestOrExternalUserType"}, NotKnown, "", "guestOrExternalUserType"},
		{"old word, home tenant known", []string{`conditions.users.includeUsers=["GuestsOrExternalUsers"]`}, []string{"-userType", "-guestOrExternalUserType", `externalTenantId="tenant-2"`}, Applies, "", ""},
		{"guest type in a flag string with blanks", []string{nobody, guests("internalGuest, b2bCollaborationGuest", "")}, b2b, Applies, "", ""},
		{"guest type as a list", []string{nobody, `conditions.users.includeGuestsOrExternalUsers={"guestOrExternalUserTypes":["b2bCollaborationGuest"]}`}, b2b, Applies, "", ""},
		{"another guest type", []string{nobody, guests("internalGuest", "")}, b2b, DoesNotApply, reasonUsers, ""},
		{"the flag none", []string{nobody, guests("none", "")}, nil, DoesNotApply, reasonUsers, ""},
		{"guest type not known", []string{nobody, guests("internalGuest", "")}, []string{`userType="Guest"`, "-guestOrExternalUserType", "-externalTenantId"}, NotKnown, "", "guestOrExternalUserType"},
		{"guest type from the home tenant", []string{nobody, guests("internalGuest", "")}, []string{`userType="Guest"`, `externalTenantId="tenant-2"`, "-guestOrExternalUserType"}, DoesNotApply, reasonUsers, ""},
		{"guest of no type", []string{nobody, guests("internalGuest", "")}, []string{`userType="Guest"`, "guestOrExternalUserType=null"}, Applies, "", ""},
		{"torn guest types", []string{nobody, `conditions.users.includeGuestsOrExternalUsers={"guestOrExternalUserTypes":7}`}, b2b, NotKnown, "", "policy member guestOrExternalUserTypes"},
		{"torn guests", []string{nobody, `conditions.users.includeGuestsOrExternalUsers=["x"]`}, b2b, NotKnown, "", "policy member includeGuestsOrExternalUsers"},
		{"all tenants", []string{nobody, guests("b2bCollaborationGuest", `,"externalTenants":{"membershipKind":"all"}`)}, b2b, Applies, "", ""},
		{"all tenants by type", []string{nobody, guests("b2bCollaborationGuest", `,"externalTenants":{"@odata.type":"#microsoft.graph.conditionalAccessAllExternalTenants"}`)}, b2b, Applies, "", ""},
		{"enumerated tenant by type", []string{nobody, guests("b2bCollaborationGuest", `,"externalTenants":{"@odata.type":"#microsoft.graph.conditionalAccessEnumeratedExternalTenants","members":["tenant-3"]}`)}, b2b, DoesNotApply, reasonUsers, ""},
		{"torn tenants", []string{nobody, guests("b2bCollaborationGuest", `,"externalTenants":["tenant-3"]`)}, b2b, NotKnown, "", "policy member externalTenants"},
		{"enumerated tenant", []string{nobody, guests("b2bCollaborationGuest", enumerated)}, b2b, Applies, "", ""},
		{"tenant not enumerated", []string{nobody, guests("serviceProvider", enumerated)}, provider, DoesNotApply, reasonUsers, ""},
		{"tenant not known", []string{nobody, guests("b2bCollaborationGuest", enumerated)}, append(slices.Clone(b2b), "-externalTenantId"), NotKnown, "", "externalTenantId"},
		{"tenant not known, other type", []string{nobody, guests("internalGuest", enumerated)}, append(slices.Clone(b2b), "-externalTenantId"), DoesNotApply, reasonUsers, ""},
		{"membership of an unknown kind", []string{nobody, guests("b2bCollaborationGuest", `,"externalTenants":{"membershipKind":"most"}`)}, b2b, NotKnown, "", "policy member externalTenants"},
		{"excluded guests", []string{`conditions.users.excludeGuestsOrExternalUsers={"guestOrExternalUserTypes":"b2bCollaborationGuest"}`}, b2b, DoesNotApply, reasonUsers, ""},
	})
}

// TestWorkloads: conditional-access-evaluation §5.
func TestWorkloads(t *testing.T) {
	none := `conditions.users.includeUsers=["None"]`
	mine := `conditions.clientApplications.includeServicePrincipals=["ServicePrincipalsInMyTenant"]`
	app := []string{`principalType="servicePrincipal"`, `servicePrincipalId="app-1"`, "-userId", "-externalTenantId"}
	checkRows(t, []row{
		{"user before a workload policy", []string{none, mine}, nil, DoesNotApply, reasonUsers, ""},
		{"app before a policy on users", nil, app, DoesNotApply, reasonWorkloads, ""},
		{"all of the tenant", []string{none, mine}, app, Applies, "", ""},
		{"told by its id", []string{none, mine}, []string{"-principalType", "-userId", `servicePrincipalId="app-1"`}, Applies, "", ""},
		{"one by id", []string{none, `conditions.clientApplications.includeServicePrincipals=["APP-1"]`}, app, Applies, "", ""},
		{"another", []string{none, `conditions.clientApplications.includeServicePrincipals=["app-2"]`}, app, DoesNotApply, reasonWorkloads, ""},
		{"excluded", []string{none, mine, `conditions.clientApplications.excludeServicePrincipals=["app-1"]`}, app, DoesNotApply, reasonWorkloads, ""},
		{"id not known", []string{none, `conditions.clientApplications.includeServicePrincipals=["app-2"]`}, append(slices.Clone(app), "-servicePrincipalId"), NotKnown, "", "servicePrincipalId"},
		{"multi-tenant app by id", []string{none, `conditions.clientApplications.includeServicePrincipals=["app-1"]`}, append(slices.Clone(app), `externalTenantId="tenant-2"`), DoesNotApply, reasonWorkloads, ""},
		{"filter", []string{none, `conditions.clientApplications.servicePrincipalFilter={"mode":"include","rule":"x"}`}, app, NotKnown, "", "servicePrincipalFilter"},
		{"filter that excludes others", []string{none, `conditions.clientApplications={"includeServicePrincipals":["app-2"],"servicePrincipalFilter":{"mode":"exclude","rule":"x"}}`}, app, DoesNotApply, reasonWorkloads, ""},
		{"agents", []string{none, `conditions.clientApplications.includeAgentIdServicePrincipals=["All"]`}, app, NotKnown, "", "policy member includeAgentIdServicePrincipals"},
		{"risk", []string{none, mine, `conditions.servicePrincipalRiskLevels=["high"]`}, append(slices.Clone(app), `servicePrincipalRisk="high"`), Applies, "", ""},
		{"no risk", []string{none, mine, `conditions.servicePrincipalRiskLevels=["high"]`}, app, DoesNotApply, "signInRisk", ""},
		{"torn", []string{none, `conditions.clientApplications=["x"]`}, app, NotKnown, "", "policy member clientApplications"},
	})
}

// TestWhat: conditional-access-evaluation §2.2.
func TestWhat(t *testing.T) {
	app := func(side, list string) string {
		return "conditions.applications." + side + "Applications=" + list
	}
	resource := func(id string) []string { return []string{`resource="` + id + `"`} }
	action := func(name string) []string { return []string{"-resource", `userAction="` + name + `"`} }
	context := []string{"-resource", `authenticationContext="c1"`}
	contexts := `conditions.applications.includeAuthenticationContextClassReferences=["c1","c2"]`
	const powerBI = "00000009-0000-0000-c000-000000000000"
	filter := func(mode string) string {
		return `conditions.applications.applicationFilter={"mode":"` + mode + `","rule":"x"}`
	}
	checkRows(t, []row{
		{"None", []string{app("include", `["None"]`)}, nil, DoesNotApply, reasonApplication, ""},
		{"nothing", []string{noApps}, nil, DoesNotApply, reasonEmpty, ""},
		{"only exclusions", []string{noApps, app("exclude", `["x"]`)}, nil, DoesNotApply, reasonApplication, ""},
		{"resource not known", []string{app("include", `["x"]`)}, []string{"-resource"}, NotKnown, "", "resource"},
		{"resource not known, All", nil, []string{"-resource", "userAction=null", "authenticationContext=null"}, Applies, "", ""},
		{"target not known, All", nil, []string{"-resource"}, NotKnown, "", "resource"},
		{"resource not known, All with an exclusion", []string{app("exclude", `["x"]`)}, []string{"-resource"}, NotKnown, "", "resource"},
		{"resource not known, None", []string{app("include", `["None"]`)}, []string{"-resource"}, DoesNotApply, reasonApplication, ""},
		{"included and excluded, resource not known", []string{app("include", `["x"]`), app("exclude", `["x"]`)}, []string{"-resource"}, DoesNotApply, reasonApplication, ""},
		{"admin portal", []string{app("include", `["MicrosoftAdminPortals"]`)}, resource(portal), Applies, "", ""},
		{"app of unknown groups", []string{app("include", `["Office365"]`)}, resource(powerBI), NotKnown, "", "app group of " + powerBI},
		{"app of unknown groups by id", []string{app("include", `["Office365","`+powerAppsID+`"]`)}, resource(powerAppsID), Applies, "", ""},
		{"app of no group", []string{app("include", `["Office365"]`)}, resource(directory.BusinessCentralID), DoesNotApply, reasonApplication, ""},
		{"agents' resources", []string{app("include", `["AllAgentIdResources"]`)}, nil, NotKnown, "", "agent resources"},
		{"filter to include", []string{noApps, filter("include")}, nil, NotKnown, "", "applicationFilter"},
		{"filter to include beside All", []string{filter("include")}, nil, Applies, "", ""},
		{"filter to exclude", []string{filter("exclude")}, nil, NotKnown, "", "applicationFilter"},
		{"filter of no mode", []string{filter("")}, nil, NotKnown, "", "applicationFilter"},
		{"unknown way to exclude", []string{`conditions.applications.excludeMoons=["full"]`}, nil, NotKnown, "", "policy member excludeMoons"},
		{"network traffic", []string{noApps, `conditions.applications.networkAccess={"includeTrafficProfiles":"m365"}`}, nil, NotKnown, "", "policy member networkAccess"},
		{"torn", []string{`conditions.applications="All"`}, nil, NotKnown, "", "policy member applications"},

		{"dependency of an excluded app", []string{app("exclude", `["`+teamsID+`"]`)}, resource(teamsID), Applies, "", ""},
		{"dependency one way", []string{app("include", `["`+teamsID+`"]`)}, resource(directory.SharePointID), DoesNotApply, reasonApplication, ""},
		{"mail scope", []string{app("include", `["`+directory.ExchangeID+`"]`)}, []string{`resource="` + directory.GraphID + `"`, `scopes=["https://graph.microsoft.com/Mail.Read","openid"]`}, Applies, "", ""},
		{"mail scope spares Teams", []string{app("include", `["`+teamsID+`"]`)}, []string{`resource="` + directory.GraphID + `"`, `scopes=["Mail.Read"]`}, DoesNotApply, reasonApplication, ""},
		{"message scope", []string{app("include", `["`+teamsID+`"]`)}, []string{`resource="` + directory.GraphID + `"`, `scopes=["Mail.Read","ChannelMessage.Send"]`}, Applies, "", ""},
		{"another scope leaves Graph", []string{app("exclude", `["`+directory.ExchangeID+`"]`)}, []string{`resource="` + directory.GraphID + `"`, `scopes=["Mail.Read","Device.Read"]`}, Applies, "", ""},

		{"excluded app, other scope", []string{app("exclude", `["`+directory.ExchangeID+`"]`)}, []string{`resource="` + directory.ExchangeID + `"`, `scopes=["User.Read","Mail.Send"]`}, DoesNotApply, reasonApplication, ""},
		{"excluded app, baseline scopes", []string{app("exclude", `["`+directory.ExchangeID+`"]`)}, []string{`resource="` + directory.ExchangeID + `"`, `scopes=["User.Read","openid"]`}, Applies, "", ""},
		{"excluded confidential client, OIDC scopes", []string{app("exclude", `["client-1"]`)}, []string{`resource="client-1"`, `scopes=["openid","profile"]`}, DoesNotApply, reasonApplication, ""},
		{"baseline scopes, directory excluded", []string{app("exclude", `["`+directory.DirectoryID+`"]`)}, []string{`resource="` + directory.GraphID + `"`, `scopes=["User.Read"]`}, DoesNotApply, reasonApplication, ""},
		{"baseline scopes, resource not known", []string{app("exclude", `["x"]`)}, []string{"-resource", `scopes=["User.Read"]`}, NotKnown, "", "resource"},
		{"no scopes are no baseline scopes", []string{app("exclude", `["`+directory.ExchangeID+`"]`)}, []string{`resource="` + directory.ExchangeID + `"`, "scopes=[]"}, DoesNotApply, reasonApplication, ""},

		{"register security information", []string{noApps, `conditions.applications.includeUserActions=["urn:user:registersecurityinfo"]`}, action(RegisterSecurityInfo), Applies, "", ""},
		{"All covers it", nil, action(RegisterSecurityInfo), Applies, "", ""},
		{"All and exclusions cover it", []string{app("exclude", `["x"]`)}, action(RegisterSecurityInfo), Applies, "", ""},
		{"All does not cover registering a device", nil, action(RegisterDevice), DoesNotApply, reasonUserActions, ""},
		{"register a device", []string{noApps, `conditions.applications.includeUserActions=["urn:user:registerdevice"]`}, action(RegisterDevice), Applies, "", ""},
		{"action before an app", []string{noApps, `conditions.applications.includeUserActions=["urn:user:registerdevice"]`}, nil, DoesNotApply, reasonApplication, ""},

		{"context", []string{noApps, contexts}, context, Applies, "", ""},
		{"another context", []string{noApps, contexts}, []string{"-resource", `authenticationContext="c3"`}, DoesNotApply, reasonContext, ""},
		{"All does not cover contexts", nil, context, DoesNotApply, reasonContext, ""},
		{"resource in a context", []string{noApps, contexts}, []string{`authenticationContext="c2"`}, Applies, "", ""},
		{"context not asked for", []string{noApps, contexts}, nil, DoesNotApply, reasonApplication, ""},
	})

	t.Run("switches", func(t *testing.T) {
		w := world(t)
		w.AllSparesRegistration, w.OldBaselineScopes = true, true
		policy := []*directory.Object{asks(t, "mfa"), asks(t, "mfa", app("exclude", `["x"]`))}
		for name, s := range map[string]*SignIn{
			"action":   signInOf(t, action(RegisterSecurityInfo)...),
			"baseline": signInOf(t, `scopes=["openid"]`),
			"none":     signInOf(t, "scopes=[]"),
		} {
			d := Evaluate(policy, s, w)
			got := []string{d.Policies[0].Applies, d.Policies[1].Applies}
			want := []string{DoesNotApply, DoesNotApply}
			if name != "action" {
				want[0] = Applies // without exclusions it always applied
			}
			if name == "none" {
				want[1] = Applies
			}
			if !slices.Equal(got, want) {
				t.Errorf("%s: %q, want %q", name, got, want)
			}
		}
	})
}

// TestWhere: conditional-access-evaluation §2.5.
func TestWhere(t *testing.T) {
	in := func(ids string) string { return "conditions.locations.includeLocations=[" + ids + "]" }
	out := func(ids string) string { return "conditions.locations.excludeLocations=[" + ids + "]" }
	from := func(ip string) []string { return []string{`ipAddress="` + ip + `"`} }
	const mfaIPs = `"00000000-0000-0000-0000-000000000000"`
	checkRows(t, []row{
		{"All without address", []string{in(`"All"`)}, []string{"-ipAddress"}, Applies, "", ""},
		{"empty block", []string{"conditions.locations={}"}, []string{"-ipAddress"}, Applies, "", ""},
		{"only an exclusion", []string{out(`"plant"`)}, nil, Applies, "", ""},
		{"only an exclusion that holds", []string{out(`"PLANT"`)}, from("192.0.2.1"), DoesNotApply, "location", ""},
		{"trusted IPv4", []string{in(`"AllTrusted"`)}, from("203.0.113.15"), Applies, "", ""},
		{"trusted IPv6", []string{in(`"AllTrusted"`)}, from("2001:db8:1::7"), Applies, "", ""},
		{"IPv4 written as IPv6 stays apart", []string{in(`"AllTrusted"`)}, from("::ffff:203.0.113.15"), DoesNotApply, "location", ""},
		{"not trusted", []string{in(`"AllTrusted"`)}, from("192.0.2.1"), DoesNotApply, "location", ""},
		{"trusted by the MFA settings", []string{in(`"AllTrusted"`)}, from("203.0.113.200"), Applies, "", ""},
		{"address not known", []string{in(`"AllTrusted"`)}, []string{"-ipAddress"}, NotKnown, "", "ipAddress"},
		{"address not readable", []string{in(`"plant"`)}, from("localhost"), NotKnown, "", "ipAddress"},
		{"MFA settings by id", []string{in(mfaIPs)}, from("203.0.113.200"), Applies, "", ""},
		{"MFA settings know no IPv6", []string{in(mfaIPs)}, from("2001:db8:99::1"), DoesNotApply, "location", ""},
		{"no such location", []string{in(`"gone"`)}, nil, NotKnown, "", "namedLocation gone"},
		{"no such location, another holds", []string{in(`"gone","plant"`)}, from("192.0.2.1"), Applies, "", ""},
		{"no such location excluded", []string{out(`"gone"`)}, nil, NotKnown, "", "namedLocation gone"},
		{"range of addresses, first", []string{in(`"span"`)}, from("192.0.2.100"), Applies, "", ""},
		{"range of addresses, last", []string{in(`"span"`)}, from("192.0.2.103"), Applies, "", ""},
		{"range of addresses, beyond", []string{in(`"span"`)}, from("192.0.2.104"), DoesNotApply, "location", ""},
		{"torn range", []string{in(`"torn"`)}, nil, NotKnown, "", "policy member cidrAddress"},
		{"torn range beside one that holds", []string{in(`"torn"`)}, from("192.0.2.200"), Applies, "", ""},
		{"no ranges", []string{in(`"no-ranges"`)}, []string{"-ipAddress"}, DoesNotApply, "location", ""},
		{"torn ranges", []string{in(`"torn-ranges"`)}, nil, NotKnown, "", "policy member ipRanges"},
		{"range over two families", []string{in(`"torn-span"`)}, nil, NotKnown, "", "policy member ipRanges"},
		{"address location that names no type", []string{in(`"bare"`)}, from("192.0.2.209"), Applies, "", ""},
		{"country location that names no type", []string{in(`"bare-country"`)}, []string{`country="XK"`}, Applies, "", ""},
		{"unmapped addresses said oddly", []string{in(`"bare-country"`)}, []string{"country=null"}, NotKnown, "", "policy member includeUnknownCountriesAndRegions"},
		{"network location that names no type", []string{in(`"bare-network"`)}, nil, DoesNotApply, "location", ""},
		{"location that names nothing", []string{in(`"bare-nothing"`)}, nil, NotKnown, "", "policy member namedLocation bare-nothing"},
		{"country", []string{in(`"alps"`)}, []string{`country="at"`}, Applies, "", ""},
		{"another country", []string{in(`"alps"`)}, nil, DoesNotApply, "location", ""},
		{"country not known", []string{in(`"alps"`)}, []string{"-country"}, NotKnown, "", "country"},
		{"no country", []string{in(`"alps"`)}, []string{"country=null"}, DoesNotApply, "location", ""},
		{"no country, those included", []string{in(`"far"`)}, []string{"country=null"}, Applies, "", ""},
		{"private address maps to none", []string{in(`"alps"`)}, []string{"-country", `ipAddress="192.168.1.1"`}, DoesNotApply, "location", ""},
		{"country by GPS, private address", []string{in(`"gps"`)}, []string{"-country", `ipAddress="192.168.1.1"`}, NotKnown, "", "country"},
		{"compliant network", []string{in(`"gsa"`)}, []string{"compliantNetwork=true"}, Applies, "", ""},
		{"outside the compliant network", []string{in(`"gsa"`)}, nil, DoesNotApply, "location", ""},
		{"compliant network not known", []string{in(`"gsa"`)}, []string{"-compliantNetwork"}, NotKnown, "", "compliantNetwork"},
		{"compliant network is not AllTrusted", []string{in(`"AllTrusted"`)}, []string{"compliantNetwork=true"}, DoesNotApply, "location", ""},
		{"location of an unknown kind", []string{in(`"odd"`)}, nil, NotKnown, "", "policy member namedLocation odd"},
		{"included and excluded, address not known", []string{`conditions.locations={"includeLocations":["AllTrusted"],"excludeLocations":["AllTrusted"]}`}, []string{"-ipAddress"}, DoesNotApply, "location", ""},
		{"torn", []string{`conditions.locations="All"`}, nil, NotKnown, "", "policy member locations"},
	})

	t.Run("trust said oddly", func(t *testing.T) {
		for ip, want := range map[string]string{"192.0.2.209": NotKnown, "192.0.2.1": DoesNotApply} {
			d := Evaluate([]*directory.Object{asks(t, "mfa", in(`"AllTrusted"`))}, signInOf(t, from(ip)...), world(t))
			if d.Policies[0].Applies != want {
				t.Errorf("%s: %s, want %s", ip, d.Policies[0].Applies, want)
			}
		}
	})

	t.Run("ActiveSync on platforms", func(t *testing.T) {
		for platform, want := range map[string]string{`platform="iOS"`: Applies, "platform=null": DoesNotApply, "-platform": NotKnown} {
			d := Evaluate([]*directory.Object{asks(t, "mfa", `conditions.clientAppTypes=["easSupported"]`)}, signInOf(t, `clientAppType="exchangeActiveSync"`, platform), world(t))
			if d.Policies[0].Applies != want {
				t.Errorf("%s: %s, want %s", platform, d.Policies[0].Applies, want)
			}
		}
	})

	t.Run("MFA settings not known", func(t *testing.T) {
		w := world(t)
		w.TrustedIPs = Opt[[]netip.Prefix]{}
		for value, want := range map[string]string{mfaIPs: NotKnown, `"AllTrusted"`: DoesNotApply} {
			d := Evaluate([]*directory.Object{asks(t, "mfa", in(value))}, signInOf(t, from("203.0.113.200")...), w)
			if d.Policies[0].Applies != want {
				t.Errorf("%s: %s, want %s", value, d.Policies[0].Applies, want)
			}
		}
	})
}

// TestClient: conditional-access-evaluation §2.3, §2.4 and §2.6.
func TestClient(t *testing.T) {
	types := func(list string) string { return "conditions.clientAppTypes=" + list }
	platforms := func(in, out string) string {
		return `conditions.platforms={"includePlatforms":` + in + `,"excludePlatforms":` + out + `}`
	}
	flow := `conditions.authenticationFlows.transferMethods="deviceCodeFlow,authenticationTransfer"`
	checkRows(t, []row{
		{"no client types", []string{types("[]")}, []string{"-clientAppType"}, Applies, "", ""},
		{"browser", []string{types(`["browser"]`)}, nil, Applies, "", ""},
		{"another type", []string{types(`["other"]`)}, nil, DoesNotApply, "clientApps", ""},
		{"type not known", []string{types(`["other"]`)}, []string{"-clientAppType"}, NotKnown, "", "clientAppType"},
		{"type not known, all", []string{types(`["other","all"]`)}, []string{"-clientAppType"}, Applies, "", ""},
		{"easSupported needs ActiveSync", []string{types(`["easSupported"]`)}, nil, DoesNotApply, "clientApps", ""},
		{"flows torn", []string{`conditions.authenticationFlows="deviceCodeFlow"`}, nil, NotKnown, "", "policy member authenticationFlows"},
		{"devices torn", []string{`conditions.devices="deviceCodeFlow"`}, nil, NotKnown, "", "policy member devices"},
		{"easSupported on an unknown platform", []string{types(`["easSupported"]`)}, []string{`clientAppType="exchangeActiveSync"`, "platform=null"}, DoesNotApply, "clientApps", ""},

		{"platform", []string{platforms(`["windows"]`, "[]")}, nil, Applies, "", ""},
		{"platform in other case", []string{platforms(`["ios"]`, "[]")}, []string{`platform="iOS"`}, Applies, "", ""},
		{"another platform", []string{platforms(`["iOS"]`, "[]")}, nil, DoesNotApply, "devicePlatform", ""},
		{"platform excluded", []string{platforms(`["all"]`, `["windows"]`)}, nil, DoesNotApply, "devicePlatform", ""},
		{"platform not recognised", []string{platforms(`["windows","linux"]`, "[]")}, []string{"platform=null"}, DoesNotApply, "devicePlatform", ""},
		{"platform of another kind", []string{platforms(`["all"]`, `["windows","linux"]`)}, []string{`platform="chromeOS"`}, Applies, "", ""},
		{"platform not known", []string{platforms(`["windows"]`, "[]")}, []string{"-platform"}, NotKnown, "", "platform"},
		{"platform not known, all", []string{platforms(`["all"]`, "[]")}, []string{"-platform"}, Applies, "", ""},
		{"platforms torn", []string{"conditions.platforms=1"}, nil, NotKnown, "", "policy member platforms"},

		{"sign-in risk", []string{`conditions.signInRiskLevels=["high"]`}, []string{`signInRisk="high"`}, Applies, "", ""},
		{"no risk listed", []string{`conditions.signInRiskLevels=["none","low"]`}, []string{"signInRisk=null"}, Applies, "", ""},
		{"sign-in risk not known", []string{`conditions.signInRiskLevels=["high"]`}, []string{"-signInRisk"}, NotKnown, "", "signInRisk"},
		{"user risk not known", []string{`conditions.userRiskLevels=["high"]`}, []string{"-userRisk"}, NotKnown, "", "userRisk"},
		{"user risk", []string{`conditions.userRiskLevels=["high"]`}, []string{`userRisk="low"`}, DoesNotApply, "userRisk", ""},
		{"insider risk", []string{`conditions.insiderRiskLevels="minor, elevated"`}, []string{`insiderRisk="elevated"`}, Applies, "", ""},
		{"no insider risk", []string{`conditions.insiderRiskLevels="minor,elevated"`}, nil, DoesNotApply, "insiderRisk", ""},
		{"insider risk not known", []string{`conditions.insiderRiskLevels="minor"`}, []string{"-insiderRisk"}, NotKnown, "", "insiderRisk"},

		{"flow", []string{flow}, []string{`authenticationFlow="authenticationTransfer"`}, Applies, "", ""},
		{"no flow", []string{flow}, nil, DoesNotApply, "authenticationFlow", ""},
		{"flow the session began with", []string{flow}, []string{`originalTransferMethod="deviceCodeFlow"`}, Applies, "", ""},
		{"flow not known", []string{flow}, []string{"-authenticationFlow"}, NotKnown, "", "authenticationFlow"},
		{"flow not known, original is none", []string{flow}, []string{"-authenticationFlow", "originalTransferMethod=null"}, NotKnown, "", "authenticationFlow"},
		{"flow not known, original matches", []string{flow}, []string{"-authenticationFlow", `originalTransferMethod="deviceCodeFlow"`}, Applies, "", ""},
		{"flow none", []string{`conditions.authenticationFlows.transferMethods="none"`}, []string{"-authenticationFlow"}, Applies, "", ""},
		{"flows as a list", []string{`conditions.authenticationFlows.transferMethods=["deviceCodeFlow"]`}, []string{`authenticationFlow="deviceCodeFlow"`}, Applies, "", ""},
		{"flow and an unknown member", []string{flow, `conditions.authenticationFlows.speed="high"`}, []string{`authenticationFlow="deviceCodeFlow"`}, NotKnown, "", "policy member speed"},

		{"unknown condition", []string{`conditions.moonPhase=["full"]`}, nil, NotKnown, "", "policy member moonPhase"},
		{"unknown condition where another fails", []string{`conditions.moonPhase=["full"]`, types(`["other"]`)}, nil, DoesNotApply, "clientApps", ""},
		{"unknown condition that is not set", []string{"conditions.moonPhase=[]", "conditions.times=null"}, nil, Applies, "", ""},
		{"old device states", []string{`conditions.deviceStates={"includeStates":["All"]}`}, nil, NotKnown, "", "policy member deviceStates"},
		{"enabled in part", []string{`partialEnablementStrategy="half"`}, nil, NotKnown, "", "policy member partialEnablementStrategy"},
		{"no conditions", []string{"conditions=null"}, nil, DoesNotApply, reasonInvalid, ""},
		{"torn conditions", []string{"conditions=[]"}, nil, NotKnown, "", "policy member conditions"},
		{"first of two unmet conditions", []string{types(`["other"]`), platforms(`["iOS"]`, "[]")}, nil, DoesNotApply, "devicePlatform", ""},
	})
}
