package conditionalaccess

import (
	"strings"
	"testing"
)

// TestVerdictIsTheSameEitherWay: a missing member does not make the verdict
// unknown if every value of it leads to the same, be it through one policy or
// through several.
func TestVerdictIsTheSameEitherWay(t *testing.T) {
	platforms := func(list string) string { return `"platforms":{"includePlatforms":[` + list + `]}` }
	flow := `"authenticationFlows":{"transferMethods":"deviceCodeFlow"}`
	b := func(more string) string { return pol(everybody, allApps, more, block) }
	for _, c := range []struct {
		name     string
		policies []string
		signIn   string
		verdict  Verdict
		missing  string
	}{
		{"known and other platforms", []string{b(platforms(`"windows","macOS"`)), b(`"platforms":{"includePlatforms":["all"],"excludePlatforms":["windows","macOS"]}`)},
			`{"platform":"ABSENT"}`, Blocked, ""},
		{"one platform is left over", []string{b(platforms(`"windows"`)), b(`"platforms":{"includePlatforms":["all"],"excludePlatforms":["windows","macOS"]}`)},
			`{"platform":"ABSENT"}`, Unknown, "platform"},
		{"every risk, in two policies", []string{b(`"signInRiskLevels":["high","medium","hidden"]`), b(`"signInRiskLevels":["low","none"]`)},
			`{"signInRisk":"ABSENT"}`, Blocked, ""},
		{"a stronger verdict is certain", []string{b(""), pol(everybody, allApps, `"signInRiskLevels":["high"]`, mfa)},
			`{"signInRisk":"ABSENT"}`, Blocked, ""},
		{"MFA is certain, a block is not", []string{pol(everybody, allApps, "", mfa), b(`"signInRiskLevels":["high"]`), pol(everybody, allApps, platforms(`"iOS"`), mfa)},
			`{"signInRisk":"ABSENT","platform":"ABSENT"}`, Unknown, "signInRisk"},
		{"the demand is met anyway", []string{pol(everybody, allApps, `"signInRiskLevels":["high"]`, mfa)},
			`{"signInRisk":"ABSENT","satisfied":["mfa"]}`, Allowed, ""},
		{"old and new clients", []string{b(`"clientAppTypes":["exchangeActiveSync","other"]`), b(`"clientAppTypes":["browser","mobileAppsAndDesktopClients"]`)},
			`{"clientAppType":"ABSENT"}`, Blocked, ""},
		{"controls take an unknown client for a modern one", []string{pol(everybody, allApps, "", mfa)}, `{"clientAppType":"ABSENT"}`, MFARequired, ""},
		{"and as one that can do MFA", []string{pol(everybody, allApps, "", mfa)}, `{"clientAppType":"ABSENT","satisfied":["password","mfa"]}`, Allowed, ""},
		{"a condition asks for the client", []string{b(`"clientAppTypes":["exchangeActiveSync","other"]`), pol(everybody, allApps, "", mfa)},
			`{"clientAppType":"ABSENT","satisfied":["mfa"]}`, Unknown, "clientAppType"},
		{"a client tried for a condition counts for controls", []string{b(`"clientAppTypes":["browser","mobileAppsAndDesktopClients"]`), pol(everybody, allApps, "", mfa)},
			`{"clientAppType":"ABSENT","satisfied":["mfa"]}`, Blocked, ""},
		{"a condition that makes no difference does not ask", []string{pol(everybody, allApps, "", mfa), pol(everybody, allApps, `"clientAppTypes":["other"]`, mfa)},
			`{"clientAppType":"ABSENT"}`, MFARequired, ""},
		{"nor does it beside another member", []string{pol(everybody, allApps, `"clientAppTypes":["other"]`, mfa), pol(everybody, allApps, `"signInRiskLevels":["high"]`, mfa),
			pol(everybody, allApps, `"signInRiskLevels":["none","low","medium","hidden"]`, mfa)}, `{"clientAppType":"ABSENT","signInRisk":"ABSENT"}`, MFARequired, ""},
		{"risk and platform together", []string{b(`"signInRiskLevels":["high"],` + platforms(`"windows"`)), b(`"signInRiskLevels":["none","low","medium","hidden"]`), b(`"platforms":{"includePlatforms":["all"],"excludePlatforms":["windows"]}`)},
			`{"signInRisk":"ABSENT","platform":"ABSENT"}`, Blocked, ""},
		{"flow or not", []string{b(flow), pol(everybody, allApps, "", block)}, `{"authenticationFlow":"ABSENT"}`, Blocked, ""},
		{"flow decides", []string{b(flow)}, `{"authenticationFlow":"ABSENT"}`, Unknown, "authenticationFlow"},
		{"the session's beginning decides the flow", []string{b(flow)}, `{"authenticationFlow":"ABSENT","originalTransferMethod":"deviceCodeFlow"}`, Blocked, ""},
		{"the same group on both sides", []string{pol(`"users":{"includeGroups":["g"],"excludeGroups":["g"]}`, allApps, "", block)}, `{"groups":"ABSENT"}`, Allowed, ""},
		{"an attribute that only compliant devices have", []string{pol(everybody, allApps, `"devices":{"deviceFilter":{"mode":"include","rule":"device.extensionAttribute1 -eq \"SAW\""}}`, `"grantControls":{"operator":"OR","builtInControls":["compliantDevice"]}`),
			b(`"devices":{"deviceFilter":{"mode":"exclude","rule":"device.extensionAttribute1 -eq \"SAW\""}}`)},
			`{"device":{"extensionAttribute1":"SAW","isManaged":false,"trustType":"Workplace"}}`, Allowed, ""},
		{"nothing is known", []string{b("")}, `{"userId":"ABSENT","principalType":"ABSENT","userType":"ABSENT","guestOrExternalUserType":"ABSENT"}`, Unknown, "principalType"},
		{"no target", []string{b("")}, `{"resource":"ABSENT"}`, Unknown, "resource"},
		{"external member or not", []string{pol(`"users":{"includeUsers":["GuestsOrExternalUsers"]}`, allApps, "", block)}, `{"guestOrExternalUserType":"ABSENT"}`, Unknown, "guestOrExternalUserType"},
		{"a guest is one of the kinds", []string{pol(`"users":{"includeUsers":["GuestsOrExternalUsers"]}`, allApps, "", block)}, `{"userType":"Guest","guestOrExternalUserType":"ABSENT"}`, Blocked, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			var r Result
			Compile(readSet(t, c.policies...), Options{}).Evaluate(readSignIn(t, signInJSON(c.signIn)), &r)
			if r.Verdict != c.verdict || strings.Join(r.Missing, " ") != c.missing {
				t.Errorf("%v, missing %q", r.Verdict, r.Missing)
			}
		})
	}
}
