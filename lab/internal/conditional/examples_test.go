package conditional

import (
	"strings"
	"testing"

	"gatehouse/lab/internal/directory"
)

// App ids of the examples.
const (
	planner = "09abbdfd-ed23-44ee-a2d9-a627aa1c90f3"
	portal  = directory.AzurePortalID
)

// TestWorkedExamples holds the evaluator against the worked examples of
// conditional-access-evaluation §10, by number. Rows 61 to 65 and 67 are not
// about Conditional Access policies.
func TestWorkedExamples(t *testing.T) {
	p := func(changes ...string) *directory.Object { return asks(t, "mfa", changes...) }
	b := func(changes ...string) *directory.Object { return asks(t, "block", changes...) }
	ex, sp := directory.ExchangeID, directory.SharePointID
	apps := func(side string, ids ...string) string {
		return "conditions.applications." + side + `Applications=["` + strings.Join(ids, `","`) + `"]`
	}
	strength := func(id string) *directory.Object {
		return p("grantControls.builtInControls=[]", `grantControls.authenticationStrength={"id":"`+id+`"}`)
	}
	legacy := `conditions.clientAppTypes=["exchangeActiveSync","other"]`
	workload := b(`conditions.users.includeUsers=["None"]`, `conditions.clientApplications.includeServicePrincipals=["ServicePrincipalsInMyTenant"]`, `conditions.locations.includeLocations=["All"]`)
	app := []string{`principalType="servicePrincipal"`, `servicePrincipalId="app-1"`, `-userId`, `satisfied=["clientSecret"]`, "-clientAppType", "-authMethodCombination"}
	guest := []string{`userType="Guest"`, `guestOrExternalUserType="b2bCollaborationGuest"`, `externalTenantId="tenant-2"`}
	trusting := func(trust Trust) func(*World) {
		return func(w *World) { w.Trust = map[string]Trust{"tenant-2": trust} }
	}
	device := `device={"isCompliant":true,"isManaged":true,"trustType":"AzureAD"}`
	risky := func(kind, levels string) string { return "conditions." + kind + "Levels=" + levels }
	type policies = []*directory.Object

	for _, row := range []struct {
		number   string
		policies policies
		signIn   []string
		adjust   func(*World)
		verdict  Verdict
		code     int
		log      string // results of the policies, "" if the row does not say
		source   string
	}{
		{"1", policies{p()}, nil, nil, MFARequired, 50076, "failure", "pol"},
		{"2", policies{p(`conditions.users.excludeUsers=["user-1"]`)}, nil, nil, Allowed, 0, "notApplied", "ug"},
		{"3", policies{p(`conditions.users.excludeGroups=["outer"]`)}, []string{`groups=["inner"]`}, nil, Allowed, 0, "notApplied", "ug"},
		{"4", policies{p("conditions.users.includeUsers=[]", `conditions.users.includeGroups=["g"]`, `conditions.users.excludeGroups=["g"]`)}, []string{`groups=["g"]`}, nil, Allowed, 0, "notApplied", "ug"},
		{"5", policies{p(`conditions.users.excludeRoles=["role"]`)}, nil, nil, MFARequired, 50076, "", "ug"},
		{"6", policies{p("conditions.users.includeUsers=[]", `conditions.users.includeRoles=["role"]`)}, nil, nil, Allowed, 0, "notApplied", "ug"},
		{"7", policies{p("conditions.users.includeUsers=[]", `conditions.users.includeRoles=["custom-role"]`)}, []string{`roles=["custom-role"]`}, nil, Allowed, 0, "notApplied", "ug"},
		{"8", policies{p()}, guest, nil, MFARequired, 50076, "", "ug, ext"},
		{"9", policies{p()}, append([]string{`satisfied=["password","mfa"]`}, guest...), trusting(Trust{MFA: true}), Allowed, 0, "success", "ext"},
		{"10", policies{asks(t, "compliantDevice")}, append([]string{device}, guest...), nil, Blocked, 53003, "failure", "ext"},
		{"11", policies{p(`conditions.users.excludeUsers=["GuestsOrExternalUsers"]`)}, []string{`userType="Guest"`, `guestOrExternalUserType="internalGuest"`}, nil, Allowed, 0, "notApplied", "ext"},
		{"12", policies{p(), b(`conditions.locations.includeLocations=["alps"]`)}, []string{`country="CH"`, `satisfied=["mfa"]`}, nil, Blocked, 53003, "success failure", "pol"},
		{"13", policies{b(`conditions.locations={"includeLocations":["All"],"excludeLocations":["AllTrusted"]}`)}, []string{`ipAddress="203.0.113.3"`}, nil, Allowed, 0, "notApplied", "net"},
		{"14", policies{b(`conditions.locations={"includeLocations":["All"],"excludeLocations":["AllTrusted"]}`)}, []string{`ipAddress="2001:db8:2::1"`}, nil, Blocked, 53003, "", "net"},
		{"15", policies{b(`conditions.locations={"includeLocations":["AllTrusted"],"excludeLocations":["AllTrusted"]}`)}, []string{`ipAddress="203.0.113.3"`}, nil, Allowed, 0, "notApplied", "net"},
		{"16", policies{b(`conditions.locations={"includeLocations":["All"],"excludeLocations":["plant"]}`)}, []string{`ipAddress="192.0.2.3"`}, nil, Allowed, 0, "notApplied", "net"},
		{"17", policies{b(`conditions.locations={"includeLocations":["far"]}`)}, []string{`ipAddress="10.1.2.3"`, "-country"}, nil, Blocked, 53003, "", "net"},
		{"18", policies{b(`conditions.locations={"includeLocations":["All"],"excludeLocations":["alps"]}`)}, []string{"country=null"}, nil, Blocked, 53003, "", "net"},
		{"19 inside", policies{b(`conditions.locations={"includeLocations":["plant"]}`)}, []string{`ipAddress="192.0.2.15"`}, nil, Blocked, 53003, "", "CIDR"},
		{"19 outside", policies{b(`conditions.locations={"includeLocations":["plant"]}`)}, []string{`ipAddress="192.0.2.16"`}, nil, Allowed, 0, "notApplied", "CIDR"},
		{"20", policies{p(apps("include", ex))}, nil, nil, Allowed, 0, "notApplied", "apps"},
		{"21", policies{p(apps("include", "Office365"))}, nil, nil, MFARequired, 50076, "", "apps, o365"},
		{"22", policies{b(apps("exclude", "Office365"))}, append([]string{`resource="` + ex + `"`}, guest...), nil, Allowed, 0, "notApplied", "apps"},
		{"23", policies{b(apps("include", "MicrosoftAdminPortals"))}, []string{`resource="` + directory.GraphID + `"`}, nil, Allowed, 0, "notApplied", "apps"},
		{"24", policies{p(apps("include", directory.AzureManagementID))}, []string{`resource="` + directory.AzureManagementID + `"`}, nil, MFARequired, 50076, "", "apps"},
		{"24 portal", policies{p(apps("include", directory.AzureManagementID))}, []string{`resource="` + portal + `"`}, nil, MFARequired, 50076, "", "apps"},
		{"25", policies{p(apps("include", sp))}, []string{`resource="` + teamsID + `"`}, nil, MFARequired, 50076, "", "svc"},
		{"26 sign-in", policies{p(apps("include", planner))}, []string{`resource="` + teamsID + `"`}, nil, Allowed, 0, "notApplied", "svc"},
		{"26 tab", policies{p(apps("include", planner))}, []string{`resource="` + planner + `"`}, nil, MFARequired, 50076, "", "svc"},
		{"27", policies{p()}, []string{`scopes=["openid","profile"]`, `resource="` + directory.GraphID + `"`}, nil, MFARequired, 50076, "", "apps"},
		{"28", policies{p(apps("exclude", ex))}, []string{`scopes=["User.Read"]`, `resource="` + directory.GraphID + `"`}, func(w *World) { w.OldBaselineScopes = true }, Allowed, 0, "notApplied", "apps"},
		{"29", policies{p(apps("exclude", ex))}, []string{`scopes=["User.Read"]`, `resource="` + directory.GraphID + `"`}, nil, MFARequired, 50076, "", "excl"},
		{"30", policies{p(apps("exclude", ex))}, []string{`scopes=["Mail.Read"]`, `resource="` + directory.GraphID + `"`}, nil, Allowed, 0, "notApplied", "excl"},
		{"31", policies{p(`conditions.clientAppTypes=["browser","mobileAppsAndDesktopClients"]`)}, []string{`clientAppType="other"`}, nil, Allowed, 0, "notApplied", "cond"},
		{"32", policies{p()}, []string{`clientAppType="other"`}, nil, Blocked, 53003, "", "cond"},
		{"33", policies{b(legacy)}, []string{`clientAppType="other"`}, nil, Blocked, 53003, "", "cond"},
		{"34", policies{p()}, []string{`clientAppType="mobileAppsAndDesktopClients"`, "platform=null"}, nil, MFARequired, 50076, "", "ropc"},
		{"35", policies{p(`conditions.users.excludeUsers=["user-1"]`)}, []string{`clientAppType="mobileAppsAndDesktopClients"`}, nil, Allowed, 0, "notApplied", "§7"},
		{"36", policies{p()}, append([]string{`externalTenantId="tenant-2"`}, app...), nil, Allowed, 0, "notApplied", "wl"},
		{"37", policies{workload}, append([]string{`externalTenantId="tenant-2"`}, app...), nil, Allowed, 0, "notApplied", "wl"},
		{"38", policies{workload}, app, nil, Blocked, 53003, "", "wl"},
		{"39", policies{b(`conditions.authenticationFlows.transferMethods="deviceCodeFlow"`)}, []string{`authenticationFlow="deviceCodeFlow"`}, nil, Blocked, 53003, "", "flow"},
		{"40 first", policies{b(`conditions.authenticationFlows.transferMethods="deviceCodeFlow"`, apps("exclude", sp))}, []string{`authenticationFlow="deviceCodeFlow"`}, nil, Allowed, 0, "notApplied", "flow"},
		{"40 refresh", policies{b(`conditions.authenticationFlows.transferMethods="deviceCodeFlow"`, apps("exclude", sp))}, []string{`originalTransferMethod="deviceCodeFlow"`, `resource="` + ex + `"`}, nil, Blocked, 53003, "", "flow"},
		{"41", policies{asks(t, "compliantDevice")}, []string{device, `authenticationFlow="deviceCodeFlow"`}, nil, DeviceRequired, 53000, "", "grant"},
		{"42", policies{p(`grantControls.builtInControls=["mfa","compliantDevice"]`)}, []string{device}, nil, Allowed, 0, "success", "pol"},
		{"43", policies{p(`grantControls.operator="AND"`, `grantControls.builtInControls=["mfa","compliantDevice"]`)}, []string{`satisfied=["mfa"]`}, nil, DeviceRequired, 53000, "", "pol"},
		{"44", policies{p(), p("grantControls.builtInControls=[]", `grantControls.termsOfUse=["agreement"]`)}, []string{`satisfied=["password","agreement"]`}, nil, MFARequired, 50076, "failure failure", "grant"},
		{"45", policies{strength(directory.StrengthPhishingResistant)}, []string{`satisfied=["mfa"]`, `authMethodCombination="password, microsoftAuthenticatorPush"`}, nil, StrengthRequired, 50076, "", "str"},
		{"46", policies{strength(directory.StrengthPhishingResistant)}, []string{`satisfied=["mfa"]`, `authMethodCombination="fido2"`}, nil, Allowed, 0, "success", "str"},
		{"47", policies{strength(directory.StrengthMFA)}, []string{`satisfied=["mfa"]`, `authMethodCombination="sms,password"`}, nil, Allowed, 0, "success", "str"},
		{"48", policies{strength(directory.StrengthMFA)}, []string{"satisfied=[]", `authMethodCombination="x509CertificateSingleFactor"`}, nil, MFARequired, 50076, "", "str"},
		{"49", policies{p(`conditions.devices.deviceFilter={"mode":"exclude","rule":"device.isCompliant -eq True"}`)}, nil, nil, MFARequired, 50076, "", "dev"},
		{"50", policies{p(`conditions.devices.deviceFilter={"mode":"include","rule":"device.trustType -ne \"ServerAD\""}`)}, nil, nil, MFARequired, 50076, "", "dev"},
		{"51", policies{p(`conditions.devices.deviceFilter={"mode":"include","rule":"device.extensionAttribute1 -eq \"SAW\""}`)}, []string{`device={"extensionAttribute1":"SAW","isManaged":false,"isCompliant":false,"trustType":"Workplace"}`}, nil, Allowed, 0, "notApplied", "dev"},
		{"52", policies{b(`conditions.platforms={"includePlatforms":["all"],"excludePlatforms":["android","iOS","windows","macOS"]}`)}, []string{`platform="linux"`}, nil, Blocked, 53003, "", "cond"},
		{"53", policies{b(`conditions.platforms={"includePlatforms":["all"],"excludePlatforms":["android","iOS","windows","macOS"]}`)}, []string{"platform=null"}, nil, Blocked, 53003, "", "cond"},
		{"54", policies{b(risky("userRisk", `["high"]`))}, []string{`userRisk="medium"`}, nil, Allowed, 0, "notApplied", "cond"},
		{"55", policies{b(risky("signInRisk", `["high","medium"]`))}, []string{`signInRisk="none"`}, nil, Allowed, 0, "notApplied", "cond"},
		{"56", policies{p(risky("userRisk", `["high"]`), `grantControls.operator="AND"`, `grantControls.builtInControls=["mfa","passwordChange"]`)}, []string{`userRisk="high"`, `satisfied=["mfa"]`}, nil, PasswordChangeRequired, 50135, "", "grant"},
		{"57", policies{p(`state="enabledForReportingButNotEnforced"`)}, nil, nil, Allowed, 0, "reportOnlyInterrupted", "ro"},
		{"58", policies{b(`state="enabledForReportingButNotEnforced"`)}, nil, nil, Allowed, 0, "reportOnlyFailure", "ro"},
		{"59", policies{p(`state="disabled"`)}, nil, nil, Allowed, 0, "notEnabled", "whatif"},
		{"60", policies{p("grantControls=null", `sessionControls.signInFrequency={"isEnabled":true,"value":4,"type":"hours"}`)}, nil, nil, Allowed, 0, "success", "sess"},
		{"66 method", policies{p("conditions.applications.includeApplications=[]", `conditions.applications.includeUserActions=["urn:user:registersecurityinfo"]`, `conditions.locations={"includeLocations":["All"],"excludeLocations":["AllTrusted"]}`)},
			[]string{"-resource", `userAction="urn:user:registersecurityinfo"`}, nil, MFARequired, 50076, "", "apps"},
		{"66 no method", policies{p("conditions.applications.includeApplications=[]", `conditions.applications.includeUserActions=["urn:user:registersecurityinfo"]`, `conditions.locations={"includeLocations":["All"],"excludeLocations":["AllTrusted"]}`)},
			[]string{"-resource", `userAction="urn:user:registersecurityinfo"`, "methodsRegistered=[]"}, nil, Blocked, 53010, "", "err"},
	} {
		t.Run(row.number, func(t *testing.T) {
			w := world(t)
			if row.adjust != nil {
				row.adjust(w)
			}
			d := Evaluate(row.policies, signInOf(t, row.signIn...), w)
			if d.Verdict != row.verdict || d.ErrorCode != row.code {
				t.Errorf("%s, %d; want %s, %d (%s)", d.Verdict, d.ErrorCode, row.verdict, row.code, row.source)
			}
			var logs []string
			for _, p := range d.Policies {
				logs = append(logs, p.Log)
			}
			if got := strings.Join(logs, " "); row.log != "" && got != row.log {
				t.Errorf("log %s, want %s", got, row.log)
			}
		})
	}
}
