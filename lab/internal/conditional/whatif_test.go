package conditional

import (
	"slices"
	"strings"
	"testing"

	"gatehouse/lab/internal/directory"
)

// whatIf is a request for a user's sign-in to SharePoint, and then changed.
func whatIf(t testing.TB, changes ...string) map[string]any {
	t.Helper()
	return change(t, parse(t, `{"signInIdentity":{"@odata.type":"#microsoft.graph.userSignIn","userId":"user-1"},
		"signInContext":{"@odata.type":"#microsoft.graph.applicationContext","includeApplications":["00000003-0000-0ff1-ce00-000000000000"]},
		"signInConditions":{"devicePlatform":"windows","clientAppType":"browser","ipAddress":"198.51.100.7","country":"DE"}}`), changes...)
}

// TestWhatIf: conditional-access-evaluation §8.
func TestWhatIf(t *testing.T) {
	for _, row := range []struct {
		name    string
		policy  []string
		request []string
		applies bool
		reasons string
	}{
		{"all", nil, nil, true, "notSet"},
		{"report-only", []string{`state="enabledForReportingButNotEnforced"`}, nil, true, "notSet"},
		{"another user", []string{`conditions.users.includeUsers=["user-2"]`}, nil, false, "users"},
		{"suite", []string{`conditions.applications.includeApplications=["Office365"]`}, nil, true, "notSet"},
		{"another app", []string{`conditions.applications.includeApplications=["x"]`}, nil, false, "application"},
		{"one of two apps", []string{`conditions.applications.includeApplications=["x"]`}, []string{`signInContext.includeApplications=["y","x"]`}, true, "notSet"},
		{"dependencies are not looked at", []string{`conditions.applications.includeApplications=["` + directory.SharePointID + `"]`}, []string{`signInContext.includeApplications=["` + teamsID + `"]`}, false, "application"},
		{"platform", []string{`conditions.platforms={"includePlatforms":["iOS"]}`}, nil, false, "devicePlatform"},
		{"platform missing", []string{`conditions.platforms={"includePlatforms":["iOS"]}`}, []string{"-signInConditions.devicePlatform"}, false, "notEnoughInformation"},
		{"device missing", []string{`conditions.devices.deviceFilter={"mode":"include","rule":"device.isCompliant -eq False"}`}, nil, false, "notEnoughInformation"},
		{"device", []string{`conditions.devices.deviceFilter={"mode":"include","rule":"device.trustType -eq \"AzureAD\""}`}, []string{`signInConditions.deviceInfo={"trustType":"EntraID"}`}, true, "notSet"},
		{"client app", []string{`conditions.clientAppTypes=["other"]`}, nil, false, "clientApps"},
		{"location", []string{`conditions.locations={"includeLocations":["office"]}`}, nil, false, "location"},
		{"country", []string{`conditions.locations={"includeLocations":["alps"]}`}, []string{`signInConditions.country="CH"`}, true, "notSet"},
		{"risk missing", []string{`conditions.signInRiskLevels=["high"]`}, nil, false, "notEnoughInformation"},
		{"risk null", []string{`conditions.signInRiskLevels=["high"]`}, []string{"signInConditions.signInRiskLevel=null"}, false, "notEnoughInformation"},
		{"risk", []string{`conditions.signInRiskLevels=["high"]`}, []string{`signInConditions.signInRiskLevel="low"`}, false, "signInRisk"},
		{"user risk", []string{`conditions.userRiskLevels=["high"]`}, []string{`signInConditions.userRiskLevel="low"`}, false, "userRisk"},
		{"insider risk", []string{`conditions.insiderRiskLevels="minor"`}, []string{`signInConditions.insiderRiskLevel="elevated"`}, false, "insiderRisk"},
		{"flow", []string{`conditions.authenticationFlows.transferMethods="deviceCodeFlow"`}, []string{`signInConditions.authenticationFlow={"transferMethod":"authenticationTransfer"}`}, false, "authenticationFlow"},
		{"user action", nil, []string{`signInContext={"@odata.type":"#microsoft.graph.userActionContext","userAction":"registerSecurityInformation"}`}, true, "notSet"},
		{"another user action", nil, []string{`signInContext={"@odata.type":"#microsoft.graph.userActionContext","userAction":"registerOrJoinDevices"}`}, false, "userActions"},
		{"context", nil, []string{`signInContext={"@odata.type":"#microsoft.graph.authContext","authenticationContextValue":"c1"}`}, false, "authenticationContext"},
		{"service principal", nil, []string{`signInIdentity={"@odata.type":"#microsoft.graph.servicePrincipalSignIn","servicePrincipalId":"app-1"}`}, false, "workloadIdentities"},
		{"guest", []string{`conditions.users.excludeUsers=["GuestsOrExternalUsers"]`}, []string{`signInIdentity.externalUserType="b2bCollaborationGuest"`, `signInIdentity.externalTenantId="tenant-2"`}, false, "users"},
		{"no principal", []string{"conditions.users=null"}, nil, false, "emptyPolicy"},
		{"no conditions", []string{"conditions=null"}, nil, false, "invalidPolicy"},
	} {
		t.Run(row.name, func(t *testing.T) {
			request, err := ReadWhatIf(whatIf(t, row.request...))
			if err != nil {
				t.Fatal(err)
			}
			if request.SignIn.GuestOrExternalUserType.Value == "" {
				request.SignIn.UserType, request.SignIn.GuestOrExternalUserType = Of("Member"), Of("")
			}
			policies := []*directory.Object{asks(t, "block", `state="disabled"`), asks(t, "mfa", row.policy...)}
			results := WhatIf(policies, request, world(t))
			if len(results) != 1 {
				t.Fatalf("%d results; disabled policies take no part", len(results))
			}
			if got := results[0]; got.Policy != policies[1] || got.Applies != row.applies || got.Reasons != row.reasons {
				t.Errorf("%v for %s, want %v for %s", got.Applies, got.Reasons, row.applies, row.reasons)
			}
			request.AppliedOnly = true
			if got := len(WhatIf(policies, request, world(t))); got != map[bool]int{true: 1}[row.applies] {
				t.Errorf("%d results if only those that apply are wanted", got)
			}
		})
	}
}

func TestReadWhatIf(t *testing.T) {
	request, err := ReadWhatIf(whatIf(t, "appliedPoliciesOnly=true", `signInContext.includeApplications=["a","b"]`))
	if err != nil {
		t.Fatal(err)
	}
	s := request.SignIn
	if !request.AppliedOnly || !slices.Equal(request.Apps, []string{"a", "b"}) || s.UserID != Of("user-1") || s.Platform != Of("windows") || s.SignInRisk.Known || s.Device.Known {
		t.Errorf("%+v", request)
	}
	for _, row := range []struct{ change, member string }{
		{"-signInIdentity", "signInIdentity"},
		{"signInIdentity=[]", "signInIdentity"},
		{"signInIdentity.@odata=1", ""},
		{"-signInIdentity.userId", "userId"},
		{`signInIdentity={"@odata.type":"#microsoft.graph.robotSignIn"}`, "signInIdentity/@odata.type"},
		{`signInIdentity.externalUserType="friend"`, "externalUserType"},
		{`signInIdentity.externalTenantId=7`, "externalTenantId"},
		{"signInContext=null", "signInContext"},
		{`signInContext={"@odata.type":"#microsoft.graph.lunarContext"}`, "signInContext/@odata.type"},
		{"signInContext.includeApplications=[]", "includeApplications"},
		{"signInContext.includeApplications=[1]", "includeApplications"},
		{`signInContext={"@odata.type":"#microsoft.graph.userActionContext","userAction":"dance"}`, "userAction"},
		{`signInContext={"@odata.type":"#microsoft.graph.authContext"}`, "authenticationContextValue"},
		{"-signInConditions", "signInConditions"},
		{`signInConditions.clientAppType="fax"`, "clientAppType"},
		{`signInConditions.devicePlatform=1`, "devicePlatform"},
		{`signInConditions.authenticationFlow="deviceCodeFlow"`, "authenticationFlow"},
		{`signInConditions.deviceInfo=[]`, "deviceInfo"},
		{`appliedPoliciesOnly="yes"`, "appliedPoliciesOnly"},
	} {
		_, err := ReadWhatIf(whatIf(t, row.change))
		switch {
		case row.member == "" && err == nil:
		case err == nil || !strings.HasPrefix(err.Error(), "reading a what-if request: the member '"+row.member+"' "):
			t.Errorf("%s: %v, want a word on %s", row.change, err, row.member)
		}
	}
}
