package conditionalaccess

import (
	"net/netip"
	"strings"
	"testing"
)

// Pieces of policies in the worked examples.
const (
	everybody = `"users":{"includeUsers":["All"]}`
	allApps   = `"applications":{"includeApplications":["All"]}`
	mfa       = `"grantControls":{"operator":"OR","builtInControls":["mfa"]}`
	block     = `"grantControls":{"operator":"OR","builtInControls":["block"]}`
	device    = `"grantControls":{"operator":"OR","builtInControls":["compliantDevice"]}`

	sharePoint = "00000003-0000-0ff1-ce00-000000000000"
	exchange   = "00000002-0000-0ff1-ce00-000000000000"
	graph      = "00000003-0000-0000-c000-000000000000"
	planner    = "09abbdfd-ed23-44ee-a2d9-a627aa1c90f3"
)

// pol joins conditions and controls into an enabled policy.
func pol(users, apps, more, controls string) string {
	return polState("enabled", users, apps, more, controls)
}

func polState(state, users, apps, more, controls string) string {
	if more != "" {
		more = "," + more
	}
	return `{"id":"p","displayName":"P","state":"` + state + `","conditions":{` + users + "," + apps + more + "}," + controls + "}"
}

func strength(id string) string {
	return `"grantControls":{"operator":"OR","authenticationStrength":{"id":"00000000-0000-0000-0000-00000000000` + id + `"}}`
}

func excluding(what string) string {
	return `"users":{"includeUsers":["All"],` + what + `}`
}

func apps(include, exclude string) string {
	return `"applications":{"includeApplications":[` + include + `],"excludeApplications":[` + exclude + `]}`
}

func locations(include, exclude string) string {
	return `"locations":{"includeLocations":[` + include + `],"excludeLocations":[` + exclude + `]}`
}

// namedPlaces are the locations of the examples.
const namedPlaces = `{"value":[
 {"@odata.type":"#microsoft.graph.ipNamedLocation","id":"trusted","displayName":"T","isTrusted":true,"ipRanges":[{"cidrAddress":"192.0.2.0/24"}]},
 {"@odata.type":"#microsoft.graph.ipNamedLocation","id":"plain","displayName":"L","isTrusted":false,"ipRanges":[{"cidrAddress":"198.51.100.16/28"}]},
 {"@odata.type":"#microsoft.graph.countryNamedLocation","id":"c-unknown","displayName":"C?","countriesAndRegions":["NO"],"includeUnknownCountriesAndRegions":true},
 {"@odata.type":"#microsoft.graph.countryNamedLocation","id":"c","displayName":"C","countriesAndRegions":["NO"]}
]}`

// signInJSON is a sign-in of a member with a password in a browser, of which
// everything is known; overrides replace members.
func signInJSON(overrides string) string {
	base := map[string]string{}
	order := []string{}
	add := func(object string) {
		s := scanner{data: []byte(object)}
		n, err := s.node()
		if err != nil {
			panic(err)
		}
		for i, name := range n.names {
			if _, ok := base[name]; !ok {
				order = append(order, name)
			}
			base[name] = object[n.items[i].start:n.items[i].end]
		}
	}
	add(`{"id":"s","principalType":"user","userId":"u","userType":"Member","guestOrExternalUserType":null,
	"externalTenantId":null,"groups":[],"roles":[],"resource":"` + sharePoint + `","clientAppType":"browser",
	"ipAddress":"203.0.113.5","country":"DE","platform":"windows","device":null,"signInRisk":null,"userRisk":null,
	"insiderRisk":null,"authenticationFlow":null,"satisfied":["password"],"authMethodCombination":"password"}`)
	add(overrides)
	var b strings.Builder
	for _, name := range order {
		if base[name] == `"ABSENT"` {
			continue
		}
		if b.Len() > 0 {
			b.WriteByte(',')
		}
		b.WriteString(`"` + name + `":` + base[name])
	}
	return "{" + b.String() + "}"
}

func readSignIn(t testing.TB, text string) *SignIn {
	t.Helper()
	var si SignIn
	if err := si.UnmarshalJSON([]byte(text)); err != nil {
		t.Fatalf("reading %s: %v", text, err)
	}
	return &si
}

func readSet(t testing.TB, documents ...string) *Set {
	t.Helper()
	var list []Document
	for i, d := range documents {
		list = append(list, Document{Name: string(rune('a'+i)) + ".json", Data: []byte(d)})
	}
	set := Read(list...)
	if len(set.Faults) > 0 {
		t.Fatalf("reading policies: %v", set.Faults)
	}
	return set
}

// TestWorkedExamples are the rows of conditional-access-evaluation §10 with
// their numbers. Rows 61 to 65 and 67 concern other enforcers than Conditional
// Access and the password.
func TestWorkedExamples(t *testing.T) {
	p := pol(everybody, allApps, "", mfa)
	b := func(more string) string { return pol(everybody, allApps, more, block) }
	workload := `{"id":"w","displayName":"W","state":"enabled","conditions":{"users":{"includeUsers":["None"]},` +
		`"clientApplications":{"includeServicePrincipals":["ServicePrincipalsInMyTenant"]},` + allApps + `},` + block + `}`
	nested := &Directory{
		Users:  []DirectoryUser{{ID: "u", Groups: []string{"h"}}},
		Groups: []DirectoryGroup{{ID: "g", Members: []string{"h"}}, {ID: "h", Members: []string{"g"}}},
	}
	flows := `"authenticationFlows":{"transferMethods":"deviceCodeFlow"}`
	filter := func(mode, rule string) string {
		return `"devices":{"deviceFilter":{"mode":"` + mode + `","rule":"` + rule + `"}}`
	}
	knownOut := `"platforms":{"includePlatforms":["all"],"excludePlatforms":["android","iOS","windows","macOS"]}`
	terms := pol(everybody, allApps, "", `"grantControls":{"operator":"OR","termsOfUse":["terms-1"]}`)
	guest := `"userType":"Guest","guestOrExternalUserType":"b2bCollaborationGuest","externalTenantId":"t2"`
	imap := `{"clientAppType":"other"}`

	for _, row := range []struct {
		row      string
		policies []string
		signIn   string // overrides
		options  Options
		verdict  Verdict
		code     int
		applied  int
		logged   string // outcome of the first policy, if not empty
	}{
		{row: "1 pol", policies: []string{p}, signIn: `{}`, verdict: MFARequired, code: 50076, applied: 1},
		{row: "2 ug", policies: []string{pol(excluding(`"excludeUsers":["U"]`), allApps, "", mfa)}, signIn: `{}`, verdict: Allowed},
		{row: "3 ug", policies: []string{pol(excluding(`"excludeGroups":["g"]`), allApps, "", mfa)}, signIn: `{"groups":"ABSENT"}`,
			options: Options{Directory: nested}, verdict: Allowed},
		{row: "3 ug, groups in the sign-in", policies: []string{pol(excluding(`"excludeGroups":["g"]`), allApps, "", mfa)},
			signIn: `{"groups":["h"]}`, options: Options{Directory: nested}, verdict: Allowed},
		{row: "4 ug", policies: []string{pol(`"users":{"includeGroups":["g"],"excludeGroups":["g"]}`, allApps, "", mfa)},
			signIn: `{"groups":["g"]}`, verdict: Allowed},
		{row: "5 ug", policies: []string{pol(excluding(`"excludeRoles":["62e90394-69f5-4237-9190-012177145e10"]`), allApps, "", mfa)},
			signIn: `{"roles":[]}`, verdict: MFARequired, code: 50076, applied: 1},
		{row: "6 ug", policies: []string{pol(`"users":{"includeRoles":["62e90394-69f5-4237-9190-012177145e10"]}`, allApps, "", mfa)},
			signIn: `{"roles":[]}`, verdict: Allowed},
		{row: "7 ug", policies: []string{pol(`"users":{"includeRoles":["custom-1"]}`, allApps, "", mfa),
			`{"id":"custom-1","displayName":"Ours","isBuiltIn":false,"rolePermissions":[{"allowedResourceActions":["x"]}]}`},
			signIn: `{"roles":["custom-1"]}`, verdict: Allowed},
		{row: "8 ug, ext", policies: []string{p}, signIn: `{` + guest + `}`, verdict: MFARequired, code: 50076, applied: 1},
		{row: "9 ext", policies: []string{p}, signIn: `{` + guest + `,"satisfied":["password","homeTenantMfa"]}`,
			options: Options{InboundTrust: InboundTrust{MFA: true}}, verdict: Allowed, applied: 1},
		{row: "9 ext, without trust", policies: []string{p}, signIn: `{` + guest + `,"satisfied":["password","homeTenantMfa"]}`,
			verdict: MFARequired, code: 50076, applied: 1},
		{row: "10 ext", policies: []string{pol(everybody, allApps, "", device)}, signIn: `{` + guest + `,"device":{"isCompliant":true}}`,
			verdict: Blocked, code: 53003, applied: 1},
		{row: "11 ext", policies: []string{pol(excluding(`"excludeUsers":["GuestsOrExternalUsers"]`), allApps, "", mfa)},
			signIn: `{"userType":"Guest","guestOrExternalUserType":"internalGuest"}`, verdict: Allowed},
		{row: "12 pol", policies: []string{p, b(locations(`"c"`, ``)), namedPlaces}, signIn: `{"country":"NO","satisfied":["password","mfa"]}`,
			verdict: Blocked, code: 53003, applied: 2},
		{row: "13 net", policies: []string{b(locations(`"All"`, `"AllTrusted"`)), namedPlaces}, signIn: `{"ipAddress":"192.0.2.77"}`, verdict: Allowed},
		{row: "14 net", policies: []string{b(locations(`"All"`, `"AllTrusted"`)), namedPlaces}, signIn: `{"ipAddress":"2001:db8::1"}`,
			verdict: Blocked, code: 53003, applied: 1},
		{row: "15 net", policies: []string{b(locations(`"AllTrusted"`, `"AllTrusted"`)), namedPlaces}, signIn: `{"ipAddress":"192.0.2.77"}`, verdict: Allowed},
		{row: "15 net, address not known", policies: []string{b(locations(`"AllTrusted"`, `"AllTrusted"`)), namedPlaces},
			signIn: `{"ipAddress":"ABSENT"}`, verdict: Allowed},
		{row: "16 net", policies: []string{b(locations(`"All"`, `"plain"`)), namedPlaces}, signIn: `{"ipAddress":"198.51.100.20"}`, verdict: Allowed},
		{row: "17 net", policies: []string{b(locations(`"c-unknown"`, ``)), namedPlaces}, signIn: `{"ipAddress":"10.1.2.3","country":"ABSENT"}`,
			verdict: Blocked, code: 53003, applied: 1},
		{row: "18 net", policies: []string{b(locations(`"All"`, `"c"`)), namedPlaces}, signIn: `{"country":null}`,
			verdict: Blocked, code: 53003, applied: 1},
		{row: "19 net, inside", policies: []string{b(locations(`"plain"`, ``)), namedPlaces}, signIn: `{"ipAddress":"198.51.100.31"}`,
			verdict: Blocked, code: 53003, applied: 1},
		{row: "19 net, outside", policies: []string{b(locations(`"plain"`, ``)), namedPlaces}, signIn: `{"ipAddress":"198.51.100.32"}`, verdict: Allowed},
		{row: "20 apps", policies: []string{pol(everybody, apps(`"`+exchange+`"`, ``), "", mfa)}, signIn: `{}`, verdict: Allowed},
		{row: "21 apps, o365", policies: []string{pol(everybody, apps(`"Office365"`, ``), "", mfa)}, signIn: `{}`, verdict: MFARequired, code: 50076, applied: 1},
		{row: "22 apps", policies: []string{pol(`"users":{"includeUsers":["GuestsOrExternalUsers"]}`, apps(`"All"`, `"Office365"`), "", block)},
			signIn: `{` + guest + `,"resource":"` + exchange + `"}`, verdict: Allowed},
		{row: "23 apps", policies: []string{pol(everybody, apps(`"MicrosoftAdminPortals"`, ``), "", block)}, signIn: `{"resource":"` + graph + `"}`, verdict: Allowed},
		{row: "24 apps", policies: []string{pol(everybody, apps(`"797f4846-ba00-4fd7-ba43-dac1f8f63013"`, ``), "", mfa)},
			signIn: `{"resource":"797f4846-ba00-4fd7-ba43-dac1f8f63013"}`, verdict: MFARequired, code: 50076, applied: 1},
		{row: "25 svc", policies: []string{pol(everybody, apps(`"`+sharePoint+`"`, ``), "", mfa)}, signIn: `{"resource":"` + appTeams + `"}`,
			options: Options{ServiceDependencies: true}, verdict: MFARequired, code: 50076, applied: 1},
		{row: "26 svc, Teams", policies: []string{pol(everybody, apps(`"`+planner+`"`, ``), "", mfa)}, signIn: `{"resource":"` + appTeams + `"}`,
			options: Options{ServiceDependencies: true}, verdict: Allowed},
		{row: "26 svc, Planner", policies: []string{pol(everybody, apps(`"`+planner+`"`, ``), "", mfa)}, signIn: `{"resource":"` + planner + `"}`,
			options: Options{ServiceDependencies: true}, verdict: MFARequired, code: 50076, applied: 1},
		{row: "27 apps", policies: []string{p}, signIn: `{"resource":"` + graph + `","scopes":["openid","profile"]}`, verdict: MFARequired, code: 50076, applied: 1},
		{row: "28 apps", policies: []string{pol(everybody, apps(`"All"`, `"`+exchange+`"`), "", mfa)}, signIn: `{"resource":"` + graph + `","scopes":["User.Read"]}`,
			options: Options{OldBaselineScopes: true}, verdict: Allowed},
		{row: "29 excl", policies: []string{pol(everybody, apps(`"All"`, `"`+exchange+`"`), "", mfa)}, signIn: `{"resource":"` + graph + `","scopes":["User.Read"]}`,
			verdict: MFARequired, code: 50076, applied: 1},
		{row: "30 excl", policies: []string{pol(everybody, apps(`"All"`, `"`+exchange+`"`), "", mfa)}, signIn: `{"resource":"` + exchange + `","scopes":["Mail.Read"]}`,
			verdict: Allowed},
		{row: "31 cond", policies: []string{pol(everybody, allApps, `"clientAppTypes":["browser","mobileAppsAndDesktopClients"]`, mfa)}, signIn: imap, verdict: Allowed},
		{row: "32 cond", policies: []string{pol(everybody, allApps, `"clientAppTypes":["all"]`, mfa)}, signIn: imap, verdict: Blocked, code: 53003, applied: 1},
		{row: "33 cond", policies: []string{b(`"clientAppTypes":["exchangeActiveSync","other"]`)}, signIn: imap, verdict: Blocked, code: 53003, applied: 1},
		{row: "34 ropc", policies: []string{p}, signIn: `{"clientAppType":"mobileAppsAndDesktopClients","interactive":false}`, verdict: MFARequired, code: 50076, applied: 1},
		{row: "35", policies: []string{pol(excluding(`"excludeUsers":["u"]`), allApps, "", mfa)},
			signIn: `{"clientAppType":"mobileAppsAndDesktopClients","interactive":false}`, verdict: Allowed},
		{row: "36 wl", policies: []string{p}, signIn: `{"principalType":"servicePrincipal","userId":null,"servicePrincipalId":"sp","externalTenantId":"vendor","satisfied":["clientSecret"]}`,
			verdict: Allowed},
		{row: "37 wl", policies: []string{workload}, signIn: `{"principalType":"servicePrincipal","servicePrincipalId":"sp","externalTenantId":"vendor"}`, verdict: Allowed},
		{row: "38 wl", policies: []string{workload}, signIn: `{"principalType":"servicePrincipal","servicePrincipalId":"sp","externalTenantId":null}`,
			verdict: Blocked, code: 53003, applied: 1},
		{row: "39 flow", policies: []string{b(flows)}, signIn: `{"authenticationFlow":"deviceCodeFlow"}`, verdict: Blocked, code: 53003, applied: 1},
		{row: "40 flow, sign-in", policies: []string{pol(everybody, apps(`"All"`, `"`+sharePoint+`"`), flows, block)},
			signIn: `{"authenticationFlow":"deviceCodeFlow"}`, verdict: Allowed},
		{row: "40 flow, refresh", policies: []string{pol(everybody, apps(`"All"`, `"`+sharePoint+`"`), flows, block)},
			signIn: `{"resource":"` + exchange + `","authenticationFlow":null,"originalTransferMethod":"deviceCodeFlow"}`, verdict: Blocked, code: 53003, applied: 1},
		{row: "41 grant", policies: []string{pol(everybody, allApps, "", device)}, signIn: `{"authenticationFlow":"deviceCodeFlow","device":{"isCompliant":true}}`,
			verdict: DeviceRequired, code: 53000, applied: 1},
		{row: "42 pol", policies: []string{pol(everybody, allApps, "", `"grantControls":{"operator":"OR","builtInControls":["mfa","compliantDevice"]}`)},
			signIn: `{"device":{"isCompliant":true}}`, verdict: Allowed, applied: 1},
		{row: "43 pol", policies: []string{pol(everybody, allApps, "", `"grantControls":{"operator":"AND","builtInControls":["mfa","compliantDevice"]}`)},
			signIn: `{"satisfied":["password","mfa"]}`, verdict: DeviceRequired, code: 53000, applied: 1},
		{row: "44 grant", policies: []string{p, terms}, signIn: `{"satisfied":["password","termsOfUse"]}`, verdict: MFARequired, code: 50076, applied: 2},
		{row: "45 str", policies: []string{pol(everybody, allApps, "", strength("4"))},
			signIn: `{"satisfied":["password","mfa"],"authMethodCombination":"password,microsoftAuthenticatorPush"}`, verdict: AuthStrengthRequired, code: 50076, applied: 1},
		{row: "46 str", policies: []string{pol(everybody, allApps, "", strength("4"))}, signIn: `{"satisfied":["mfa"],"authMethodCombination":"fido2"}`, verdict: Allowed, applied: 1},
		{row: "47 str", policies: []string{pol(everybody, allApps, "", strength("2"))},
			signIn: `{"satisfied":["password","mfa"],"authMethodCombination":"sms, password"}`, verdict: Allowed, applied: 1},
		{row: "48 str", policies: []string{pol(everybody, allApps, "", strength("2"))},
			signIn: `{"satisfied":[],"authMethodCombination":"x509CertificateSingleFactor"}`, verdict: MFARequired, code: 50076, applied: 1},
		{row: "49 dev", policies: []string{b(filter("exclude", "device.isCompliant -eq True"))}, signIn: `{}`, verdict: Blocked, code: 53003, applied: 1},
		{row: "50 dev", policies: []string{b(filter("include", `device.trustType -ne \"ServerAD\"`))}, signIn: `{}`, verdict: Blocked, code: 53003, applied: 1},
		{row: "51 dev", policies: []string{b(filter("include", `device.extensionAttribute1 -eq \"SAW\"`))},
			signIn: `{"device":{"isCompliant":false,"isManaged":false,"trustType":"Workplace","extensionAttribute1":"SAW"}}`, verdict: Allowed},
		{row: "52 cond", policies: []string{b(knownOut)}, signIn: `{"platform":"linux"}`, verdict: Blocked, code: 53003, applied: 1},
		{row: "53 cond", policies: []string{b(knownOut)}, signIn: `{"platform":null}`, verdict: Blocked, code: 53003, applied: 1},
		{row: "54 cond", policies: []string{b(`"userRiskLevels":["high"]`)}, signIn: `{"userRisk":"medium"}`, verdict: Allowed},
		{row: "55 cond", policies: []string{b(`"signInRiskLevels":["high","medium"]`)}, signIn: `{"signInRisk":"none"}`, verdict: Allowed},
		{row: "56 grant", policies: []string{pol(everybody, allApps, `"userRiskLevels":["high"]`, `"grantControls":{"operator":"AND","builtInControls":["mfa","passwordChange"]}`)},
			signIn: `{"userRisk":"high","satisfied":["password","mfa"]}`, verdict: PasswordChangeRequired, code: 50135, applied: 1},
		{row: "57 ro", policies: []string{polState("enabledForReportingButNotEnforced", everybody, allApps, "", mfa)}, signIn: `{}`,
			verdict: Allowed, logged: "reportOnlyInterrupted"},
		{row: "58 ro", policies: []string{polState("enabledForReportingButNotEnforced", everybody, allApps, "", block)}, signIn: `{}`,
			verdict: Allowed, logged: "reportOnlyFailure"},
		{row: "59 whatif", policies: []string{polState("disabled", everybody, allApps, "", mfa)}, signIn: `{}`, verdict: Allowed, logged: "notEnabled"},
		{row: "60 sess", policies: []string{pol(everybody, allApps, "", `"sessionControls":{"signInFrequency":{"isEnabled":true,"value":4,"type":"hours"}}`)}, signIn: `{}`,
			verdict: Allowed, applied: 1, logged: "success"},
		{row: "66 apps, a method", policies: []string{pol(everybody, `"applications":{"includeUserActions":["urn:user:registersecurityinfo"]}`, locations(`"All"`, `"AllTrusted"`), mfa), namedPlaces},
			signIn:  `{"resource":null,"userAction":"urn:user:registersecurityinfo","methodsRegistered":["microsoftAuthenticatorPush"]}`,
			verdict: MFARequired, code: 50076, applied: 1},
		{row: "66 apps, no method", policies: []string{pol(everybody, `"applications":{"includeUserActions":["urn:user:registersecurityinfo"]}`, locations(`"All"`, `"AllTrusted"`), mfa), namedPlaces},
			signIn:  `{"resource":null,"userAction":"urn:user:registersecurityinfo","methodsRegistered":[]}`,
			verdict: Blocked, code: 53010, applied: 1},
	} {
		t.Run(row.row, func(t *testing.T) {
			c := Compile(readSet(t, row.policies...), row.options)
			si := readSignIn(t, signInJSON(row.signIn))
			var r Result
			trace := c.Trace(si, &r)
			if r.Verdict != row.verdict || r.ErrorCode != row.code || len(r.Applied) != row.applied {
				t.Errorf("verdict %v, code %d, %d applied; want %v, %d, %d\nmissing %v, trace %+v",
					r.Verdict, r.ErrorCode, len(r.Applied), row.verdict, row.code, row.applied, r.Missing, trace)
			}
			if row.logged != "" && trace[0].Outcome != row.logged {
				t.Errorf("the log would say %s, want %s", trace[0].Outcome, row.logged)
			}
		})
	}
}

// TestNoMappingBetweenFamilies: an IPv4 address inside IPv6 is not in an IPv4
// location.
func TestNoMappingBetweenFamilies(t *testing.T) {
	c := Compile(readSet(t, pol(everybody, allApps, locations(`"All"`, `"AllTrusted"`), block), namedPlaces), Options{})
	var r Result
	si := readSignIn(t, signInJSON(`{}`))
	si.IPAddress = Is(netip.MustParseAddr("::ffff:192.0.2.77"))
	if c.Evaluate(si, &r); r.Verdict != Blocked {
		t.Errorf("verdict %v", r.Verdict)
	}
}
