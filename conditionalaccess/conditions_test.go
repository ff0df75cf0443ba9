package conditionalaccess

import (
	"strings"
	"testing"
)

// TestConditions has for every condition a sign-in that meets it, one that does
// not, and one of which that is not known.
func TestConditions(t *testing.T) {
	b := func(more string) string { return pol(everybody, allApps, more, block) }
	users := func(list string) string { return pol(`"users":{`+list+`}`, allApps, "", block) }
	to := func(apps string) string { return pol(everybody, `"applications":{`+apps+`}`, "", block) }
	guests := func(tenants string) string {
		return users(`"includeGuestsOrExternalUsers":{"guestOrExternalUserTypes":"b2bCollaborationGuest,serviceProvider"` + tenants + `}`)
	}
	enumerated := guests(`,"externalTenants":{"membershipKind":"enumerated","members":["t1"]}`)
	workload := func(apps string) string {
		return `{"id":"w","state":"enabled","conditions":{"users":{"includeUsers":["None"]},"clientApplications":{` + apps + `},` + allApps + `},` + block + `}`
	}
	principal := func(more string) string {
		return `{"principalType":"servicePrincipal","userId":null,"servicePrincipalId":"sp-1"` + more + `}`
	}
	const guest = `"userType":"Guest","guestOrExternalUserType":"b2bCollaborationGuest"`
	for _, c := range []struct {
		name, policy      string
		met, unmet, open  string // overrides of the sign-in; "-" if there is none
		missing           string
		firstUnmet, place string
	}{
		{"user", users(`"includeUsers":["u"]`), `{"userId":"U"}`, `{"userId":"v"}`, `{"userId":"ABSENT"}`, "userId", "users", ""},
		{"nobody", users(`"includeUsers":["None"]`), "-", `{}`, "-", "", "users", ""},
		{"group", users(`"includeGroups":["g"]`), `{"groups":["G"]}`, `{"groups":[]}`, `{"groups":"ABSENT"}`, "groups", "users", ""},
		{"role", users(`"includeRoles":["r"]`), `{"roles":["r"]}`, `{"roles":[]}`, `{"roles":"ABSENT"}`, "roles", "users", ""},
		{"guests, the old word", users(`"includeUsers":["GuestsOrExternalUsers"]`), `{` + guest + `}`, `{}`, `{"guestOrExternalUserType":"ABSENT"}`, "guestOrExternalUserType", "users", ""},
		{"kinds of guests", guests(""), `{` + guest + `}`, `{"userType":"Guest","guestOrExternalUserType":"internalGuest"}`,
			`{"userType":"Guest","guestOrExternalUserType":"ABSENT"}`, "guestOrExternalUserType", "users", ""},
		{"guests of a tenant", enumerated, `{` + guest + `,"externalTenantId":"T1"}`, `{` + guest + `,"externalTenantId":"t2"}`,
			`{` + guest + `,"externalTenantId":"ABSENT"}`, "externalTenantId", "users", ""},
		{"principals of the tenant", workload(`"includeServicePrincipals":["ServicePrincipalsInMyTenant"],"excludeServicePrincipals":["sp-2"]`),
			principal(``), principal(`,"servicePrincipalId":"SP-2"`), principal(`,"servicePrincipalId":"ABSENT"`), "servicePrincipalId", "workloadIdentities", ""},
		{"principal", workload(`"includeServicePrincipals":["sp-1"]`), principal(``), principal(`,"externalTenantId":"t"`),
			principal(`,"servicePrincipalId":"ABSENT"`), "servicePrincipalId", "workloadIdentities", ""},
		{"principals by attribute", workload(`"servicePrincipalFilter":{"mode":"include","rule":"CustomSecurityAttribute.A_B -eq \"x\""}`),
			principal(`,"principalAttributes":{"A_B":"x"}`), principal(`,"principalAttributes":{}`), principal(``), "principalAttributes", "workloadIdentities", ""},
		{"agents", workload(`"includeAgentIdServicePrincipals":["All"]`), principal(`,"principalType":"agentIdentity"`), principal(``), "-", "", "workloadIdentities", ""},
		{"users that are agents", `{"id":"a","state":"enabled","conditions":{"users":{"includeUsers":["None"]},"agents":{"includeAgentUsers":["All"]},` + allApps + `},` + block + `}`,
			`{"principalType":"agentUser"}`, `{}`, "-", "", "users", ""},
		{"resource", to(`"includeApplications":["` + sharePoint + `"]`), `{}`, `{"resource":"x"}`, `{"resource":"ABSENT"}`, "resource", "application", ""},
		{"Office 365", to(`"includeApplications":["office365"]`), `{"resource":"` + exchange + `"}`, `{"resource":"x"}`, `{"resource":"` + appAutomate + `"}`, "appGroups", "application", ""},
		{"admin portals", to(`"includeApplications":["MicrosoftAdminPortals"]`), `{"resource":"` + appPortal + `"}`, `{"resource":"` + appManagement + `"}`, "-", "", "application", ""},
		{"no resource", to(`"includeApplications":["None"]`), "-", `{}`, "-", "", "application", ""},
		{"nothing at all", to(`"includeApplications":[]`), "-", `{}`, "-", "", "emptyPolicy", ""},
		{"user action", to(`"includeUserActions":["urn:user:registerdevice"]`), `{"userAction":"urn:user:registerdevice"}`,
			`{"userAction":"urn:user:registersecurityinfo"}`, "-", "", "userActions", ""},
		{"registration of security information", to(`"includeApplications":["All"]`), `{"userAction":"urn:user:registersecurityinfo"}`,
			`{"userAction":"urn:user:registerdevice"}`, "-", "", "userActions", ""},
		{"authentication context", to(`"includeAuthenticationContextClassReferences":["c1","c7"]`), `{"authenticationContext":"C7"}`, `{"authenticationContext":"c2"}`, "-", "", "authenticationContext", ""},
		{"authentication context and all resources", to(`"includeApplications":["All"]`), "-", `{"authenticationContext":"c2"}`, "-", "", "authenticationContext", ""},
		{"platform", b(`"platforms":{"includePlatforms":["macOS"]}`), `{"platform":"macos"}`, `{"platform":null}`, `{"platform":"ABSENT"}`, "platform", "devicePlatform", ""},
		{"device filter", b(`"devices":{"deviceFilter":{"mode":"include","rule":"device.model -eq \"A\""}}`), `{"device":{"model":"a"}}`, `{"device":null}`, `{"device":{}}`, "device.model", "devices", ""},
		{"device states", b(`"deviceStates":{"includeStates":["All"],"excludeStates":["Compliant","DomainJoined"]}`), `{"device":null}`, `{"device":{"isCompliant":true}}`,
			`{"device":"ABSENT"}`, "device", "devices", ""},
		{"client", b(`"clientAppTypes":["browser"]`), `{}`, `{"clientAppType":"other"}`, `{"clientAppType":"ABSENT"}`, "clientAppType", "clientApps", ""},
		{"ActiveSync on supported platforms", b(`"clientAppTypes":["easSupported"]`), `{"clientAppType":"exchangeActiveSync","platform":"iOS"}`,
			`{"clientAppType":"exchangeActiveSync","platform":null}`, `{"clientAppType":"exchangeActiveSync","platform":"ABSENT"}`, "platform", "clientApps", ""},
		{"address", b(locations(`"plain"`, ``)), `{"ipAddress":"198.51.100.17"}`, `{}`, `{"ipAddress":"ABSENT"}`, "ipAddress", "location", namedPlaces},
		{"trusted", b(locations(`"AllTrusted"`, ``)), `{"ipAddress":"192.0.2.1"}`, `{}`, `{"ipAddress":"ABSENT"}`, "ipAddress", "location", namedPlaces},
		{"country", b(locations(`"c"`, ``)), `{"country":"no"}`, `{"country":null}`, `{"country":"ABSENT"}`, "country", "location", namedPlaces},
		{"location by name", b(locations(`"L"`, ``)), `{"ipAddress":"198.51.100.17"}`, `{}`, `{"ipAddress":"ABSENT"}`, "ipAddress", "location", namedPlaces},
		{"compliant network", b(locations(`"gsa"`, ``)), `{"compliantNetwork":true}`, `{"compliantNetwork":false}`, `{}`, "compliantNetwork", "location",
			`{"@odata.type":"#microsoft.graph.compliantNetworkNamedLocation","id":"gsa","compliantNetworkType":"allTenantCompliantNetworks"}`},
		{"sign-in risk", b(`"signInRiskLevels":["high"]`), `{"signInRisk":"high"}`, `{"signInRisk":null}`, `{"signInRisk":"ABSENT"}`, "signInRisk", "signInRisk", ""},
		{"no sign-in risk", b(`"signInRiskLevels":["none"]`), `{"signInRisk":null}`, `{"signInRisk":"low"}`, `{"signInRisk":"ABSENT"}`, "signInRisk", "signInRisk", ""},
		{"user risk", b(`"userRiskLevels":["medium"]`), `{"userRisk":"medium"}`, `{"userRisk":"high"}`, `{"userRisk":"ABSENT"}`, "userRisk", "userRisk", ""},
		{"insider risk", b(`"insiderRiskLevels":"minor, moderate"`), `{"insiderRisk":"moderate"}`, `{"insiderRisk":"elevated"}`, `{"insiderRisk":"ABSENT"}`, "insiderRisk", "insiderRisk", ""},
		{"flow", b(`"authenticationFlows":{"transferMethods":["deviceCodeFlow"]}`), `{"authenticationFlow":"deviceCodeFlow"}`, `{"authenticationFlow":"none"}`,
			`{"authenticationFlow":"ABSENT"}`, "authenticationFlow", "authenticationFlow", ""},
		{"disabled", polState("disabled", everybody, allApps, "", block), "-", `{}`, "-", "", "policyNotEnabled", ""},
		{"no users", `{"id":"x","state":"enabled","conditions":{` + allApps + `},` + block + `}`, "-", `{}`, "-", "", "invalidPolicy", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			documents := []string{c.policy}
			if c.place != "" {
				documents = append(documents, c.place)
			}
			compiled := Compile(readSet(t, documents...), Options{})
			check := func(overrides string, verdict Verdict, missing, firstUnmet string) {
				if overrides == "-" {
					return
				}
				var r Result
				trace := compiled.Trace(readSignIn(t, signInJSON(overrides)), &r)
				if r.Verdict != verdict || strings.Join(r.Missing, " ") != missing || trace[0].FirstUnmet != firstUnmet {
					t.Errorf("%s: %v, missing %v, first unmet %q\n%+v", overrides, r.Verdict, r.Missing, trace[0].FirstUnmet, trace[0])
				}
				for _, k := range trace[0].Conditions {
					if k.Why == "" || !strings.HasSuffix(k.Why, ".") || k.Why == "Not configured." {
						t.Errorf("%s: %s says %q", overrides, k.Condition, k.Why)
					}
				}
			}
			check(c.met, Blocked, "", "")
			check(c.unmet, Allowed, "", c.firstUnmet)
			check(c.open, Unknown, c.missing, "notEnoughInformation")
		})
	}
}

// TestSentences: the sentence names what decided.
func TestSentences(t *testing.T) {
	for policy, want := range map[string]string{
		pol(`"users":{"includeGroups":["Night Shift"]}`, allApps, "", mfa):                                      "users not_met Your account is not in the group night shift.",
		pol(excluding(`"excludeGroups":["day"]`), allApps, "", mfa):                                             "users not_met Your account is in the excluded group day.",
		pol(everybody, allApps, `"platforms":{"includePlatforms":["iOS"]}`, mfa):                                "devicePlatform not_met The policy is for other platforms than windows.",
		pol(everybody, allApps, `"platforms":{"includePlatforms":["all"],"excludePlatforms":["windows"]}`, mfa): "devicePlatform not_met The platform is excluded: windows.",
		pol(everybody, allApps, `"clientAppTypes":["other"]`, mfa):                                              "clientApps not_met The policy is for other kinds of client than browser.",
		pol(everybody, apps(`"All"`, `"Office365"`), "", mfa):                                                   "application not_met The resource belongs to an excluded group of applications.",
		pol(everybody, allApps, locations(`"All"`, `"trusted"`), mfa):                                           "location not_met The address or country belongs to what is excluded: T.",
		pol(everybody, allApps, `"signInRiskLevels":["high"]`, mfa):                                             "signInRisk not_met The policy is for other risks than low.",
	} {
		var r Result
		c := Compile(readSet(t, policy, namedPlaces), Options{})
		trace := c.Trace(readSignIn(t, signInJSON(`{"groups":["Day"],"signInRisk":"low","ipAddress":"192.0.2.8"}`)), &r)
		k := trace[0].Conditions[len(trace[0].Conditions)-1]
		for _, other := range trace[0].Conditions {
			if other.Result == "not_met" {
				k = other
			}
		}
		if got := k.Condition + " " + k.Result + " " + k.Why; got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

// TestControls has for every control what its lack leads to, for people of the
// tenant, for external users and for old clients
// (conditional-access-evaluation §3, §9).
func TestControls(t *testing.T) {
	grant := func(controls string) string {
		return pol(everybody, allApps, "", `"grantControls":{"operator":"AND",`+controls+`}`)
	}
	builtIn := func(name string) string { return grant(`"builtInControls":["` + name + `"]`) }
	const guest = `{"userType":"Guest","guestOrExternalUserType":"b2bCollaborationGuest","externalTenantId":"t"}`
	for _, c := range []struct {
		policy                       string
		member, guest, activeSync    Verdict
		code                         int
		satisfied, unknown, outstand string
	}{
		{builtIn("mfa"), MFARequired, MFARequired, Blocked, 50076, `{"satisfied":["mfa"]}`, "satisfied", "mfa"},
		{builtIn("compliantDevice"), DeviceRequired, Blocked, Blocked, 53000, `{"device":{"isCompliant":true}}`, "", "compliantDevice"},
		{builtIn("domainJoinedDevice"), DeviceRequired, Blocked, Blocked, 53001, `{"device":{"trustType":"Hybrid Azure AD joined"}}`, "", "domainJoinedDevice"},
		{builtIn("approvedApplication"), AppProtectionRequired, Blocked, AppProtectionRequired, 53002, `{"satisfied":["approvedApplication"]}`, "satisfied", "approvedApplication"},
		{builtIn("compliantApplication"), AppProtectionRequired, Blocked, Blocked, 53009, `{"satisfied":["compliantApplication"]}`, "satisfied", "compliantApplication"},
		{builtIn("passwordChange"), PasswordChangeRequired, Blocked, Blocked, 50135, `{"satisfied":["passwordChange"]}`, "satisfied", "passwordChange"},
		{builtIn("riskRemediation"), PasswordChangeRequired, Blocked, Blocked, 50135, `{"satisfied":["riskRemediation"]}`, "satisfied", "riskRemediation"},
		{grant(`"termsOfUse":["t-1"]`), TermsOfUseRequired, TermsOfUseRequired, Blocked, 50158, `{"satisfied":["termsOfUse"]}`, "satisfied", "termsOfUse"},
		{grant(`"customAuthenticationFactors":["Duo"]`), CustomControlRequired, CustomControlRequired, Blocked, 50158, `{"satisfied":["duo"]}`, "satisfied", "Duo"},
		{grant(`"authenticationStrength":{"id":"00000000-0000-0000-0000-000000000003"}`), MFARequired, MFARequired, Blocked, 50076,
			`{"authMethodCombination":"deviceBasedPush"}`, "", "authenticationStrength"},
	} {
		compiled := Compile(readSet(t, c.policy), Options{})
		check := func(overrides string, verdict Verdict, outstanding, missing string) {
			var r Result
			compiled.Evaluate(readSignIn(t, signInJSON(overrides)), &r)
			if r.Verdict != verdict || strings.Join(r.Outstanding, " ") != outstanding || strings.Join(r.Missing, " ") != missing {
				t.Errorf("%s with %s: %v, outstanding %v, missing %v; want %v", c.outstand, overrides, r.Verdict, r.Outstanding, r.Missing, verdict)
			}
			if verdict == c.member && r.ErrorCode != c.code {
				t.Errorf("%s: code %d, want %d", c.outstand, r.ErrorCode, c.code)
			}
		}
		check(`{}`, c.member, c.outstand, "")
		check(guest, c.guest, c.outstand, "")
		check(`{"clientAppType":"exchangeActiveSync"}`, c.activeSync, c.outstand, "")
		check(`{"clientAppType":"other"}`, Blocked, c.outstand, "")
		check(c.satisfied, Allowed, "", "")
		if c.unknown != "" {
			check(`{"satisfied":"ABSENT","authMethodCombination":"ABSENT"}`, Unknown, "", c.unknown)
		}
	}
}

// TestAlternatives: of the controls one of which is enough, the first that can
// be met at all is asked for.
func TestAlternatives(t *testing.T) {
	compiled := Compile(readSet(t, pol(everybody, allApps, "", `"grantControls":{"operator":"OR","builtInControls":["compliantDevice","mfa","approvedApplication"]}`)), Options{})
	for overrides, want := range map[string]Verdict{
		`{}`: MFARequired,
		`{"userType":"Guest","guestOrExternalUserType":"b2bCollaborationGuest"}`: MFARequired,
		`{"clientAppType":"exchangeActiveSync"}`:                                 AppProtectionRequired,
		`{"clientAppType":"other"}`:                                              Blocked,
		`{"device":{"isCompliant":true}}`:                                        Allowed,
		`{"methodsRegistered":["password"]}`:                                     RegistrationRequired,
	} {
		var r Result
		if compiled.Evaluate(readSignIn(t, signInJSON(overrides)), &r); r.Verdict != want {
			t.Errorf("%s: %v, want %v", overrides, r.Verdict, want)
		}
	}
}
