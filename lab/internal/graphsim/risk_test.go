package graphsim

import (
	"slices"
	"strings"
	"testing"
	"time"

	"gatehouse/lab/internal/directory"
)

// TestRisk: who is risky, what administrators say of it, and the history.
func TestRisk(t *testing.T) {
	w := newWorld(t)
	const set = "/v1.0/identityProtection/riskyUsers"
	ben := w.ids["ben@harbour.example"]
	if r := w.must(200, everything, "GET", set, ""); len(r.value()) != 0 {
		t.Errorf("before: %s", r.text)
	}
	w.must(404, everything, "GET", set+"/"+ben, "")
	body := `{"userIds": ["` + ben + `"]}`
	w.must(204, everything, "POST", set+"/confirmCompromised", body)
	r := w.must(200, everything, "GET", set+query("$filter", "riskLevel eq microsoft.graph.riskLevel'high' and riskState eq 'confirmedCompromised'"), "")
	if !slices.Equal(r.names("id"), []string{ben}) || r.names("@odata.type")[0] != "#microsoft.graph.riskyUser" || r.names("userDisplayName")[0] != "Ben Baker" {
		t.Errorf("compromised: %s", r.text)
	}
	w.pass(time.Hour)
	w.must(204, everything, "POST", "/beta/riskyUsers/dismiss", body)
	one := w.must(200, everything, "GET", "/beta/identityProtection/riskyUsers/"+ben+"?$expand=history", "").body
	if one["riskLevel"] != "none" || one["riskDetail"] != "adminDismissedAllRiskForUser" || one["riskLastUpdatedDateTime"] != "2026-11-20T13:00:00Z" || one["isGuest"] != false || len(one["history"].([]any)) != 2 {
		t.Errorf("dismissed: %v", one)
	}
	history := w.must(200, everything, "GET", set+"/"+ben+"/history", "")
	if !slices.Equal(history.names("riskState"), []string{"dismissed", "confirmedCompromised"}) {
		t.Errorf("history: %s", history.text)
	}
	w.must(200, everything, "GET", set+"/"+ben+"/history/"+history.names("id")[1], "")
	for _, bad := range []string{`{}`, `{"userIds": []}`, `{"userIds": "x"}`, `{"userIds": ["` + strings.Repeat(ben+`", "`, 60) + ben + `"]}`} {
		w.must(400, everything, "POST", set+"/dismiss", bad)
	}
	w.must(404, everything, "POST", set+"/dismiss", `{"userIds": ["`+directory.NameID("nobody")+`"]}`)
	if r := w.must(403, inPlain(everything), "GET", set, ""); r.code() != "Forbidden" {
		t.Errorf("without P2: %s", r.text)
	}
	audits := w.must(200, everything, "GET", "/v1.0/auditLogs/directoryAudits"+query("$filter", "activityDisplayName eq 'DismissUser'"), "")
	if len(audits.value()) != 1 {
		t.Errorf("audit: %s", audits.text)
	}
}

// TestEligibility: administrators make people eligible for a role, for a time;
// it needs Entra ID P2.
func TestEligibility(t *testing.T) {
	w := newWorld(t)
	const set = "/v1.0/roleManagement/directory/"
	_, body := prepareEligible(w, &route{method: "POST"})
	made := w.must(201, everything, "POST", set+"roleEligibilityScheduleRequests", body)
	if at(made.body, "scheduleInfo", "expiration", "endDateTime") != "2026-12-20T12:00:00Z" || made.body["status"] != "Provisioned" {
		t.Errorf("made: %s", made.text)
	}
	if r := w.must(400, everything, "POST", set+"roleEligibilityScheduleRequests", body); r.code() != "RoleAssignmentExists" {
		t.Errorf("twice: %s", r.text)
	}
	instances := set + "roleEligibilityScheduleInstances" + query("$filter", "principalId eq '"+w.ids["ben@harbour.example"]+"'", "$expand", "roleDefinition,principal($select=userPrincipalName)")
	r := w.must(200, everything, "GET", instances, "")
	if len(r.value()) != 1 || at(r.value()[0], "roleDefinition", "displayName") != "Global Reader" || at(r.value()[0], "principal", "userPrincipalName") != "ben@harbour.example" || has(at(r.value()[0], "principal"), "displayName") {
		t.Errorf("instances: %s", r.text)
	}
	mine := w.user("ben@harbour.example", "RoleManagement.Read.Directory")
	if r := w.must(200, mine, "GET", set+"roleEligibilityScheduleInstances/filterByCurrentUser(on='principal')", ""); len(r.value()) != 1 {
		t.Errorf("mine: %s", r.text)
	}
	w.must(400, mine, "GET", set+"roleEligibilityScheduleInstances/filterByCurrentUser(on='approver')", "")
	w.must(403, everything, "GET", set+"roleEligibilityScheduleInstances/filterByCurrentUser(on='principal')", "") // no app has a view of its own
	w.pass(30 * 24 * time.Hour)
	if r := w.must(200, everything, "GET", instances, ""); len(r.value()) != 0 {
		t.Errorf("after its end: %s", r.text)
	}
	again := strings.Replace(strings.Replace(body, `"type": "afterDuration", "duration": "P30D"`, `"type": "noExpiration"`, 1), "2026-11-20", "2027-01-01", 1)
	w.must(201, everything, "POST", set+"roleEligibilityScheduleRequests", again)
	if r := w.must(200, everything, "GET", instances, ""); len(r.value()) != 0 {
		t.Errorf("before its start: %s", r.text)
	}
	if r := w.must(201, everything, "POST", set+"roleEligibilityScheduleRequests", strings.Replace(again, "adminAssign", "adminRemove", 1)); r.body["status"] != "Revoked" {
		t.Errorf("removed: %s", r.text)
	}
	w.must(404, everything, "POST", set+"roleEligibilityScheduleRequests", strings.Replace(again, "adminAssign", "adminRemove", 1))
	for _, change := range []string{"selfActivate", "dance"} {
		w.must(400, everything, "POST", set+"roleEligibilityScheduleRequests", strings.Replace(again, "adminAssign", change, 1))
	}
	w.must(400, everything, "POST", set+"roleEligibilityScheduleRequests", strings.Replace(body, "P30D", "30 days", 1))
	if r := w.must(403, inPlain(everything), "GET", set+"roleEligibilitySchedules", ""); r.code() != "AadPremiumLicenseRequired" {
		t.Errorf("without P2: %s", r.text)
	}
	if r := w.must(200, everything, "GET", set+"roleAssignmentScheduleInstances"+query("$filter", "assignmentType eq 'Assigned'"), ""); len(r.value()) != 3 {
		t.Errorf("active: %s", r.text)
	}
}

// TestConsentRequests: requests are grouped by app, end after the tenant's
// number of days, and reviewers find their own.
func TestConsentRequests(t *testing.T) {
	w := newWorld(t)
	vars, _ := prepareConsentRequest(w, &route{})
	set := "/v1.0/" + appConsentSet
	r := w.must(200, everything, "GET", set+"?$expand=userConsentRequests", "")
	if len(r.value()) != 1 || at(r.value()[0], "appDisplayName") != "Portal" || at(r.value()[0].(map[string]any)["pendingScopes"].([]any)[0], "displayName") != "Mail.Read" {
		t.Fatalf("requests: %s", r.text)
	}
	one := set + "/" + vars[0] + "/userConsentRequests/" + vars[1]
	if r := w.must(200, everything, "GET", one, ""); r.body["status"] != "InProgress" || at(r.body, "createdBy", "user", "userPrincipalName") != "ben@harbour.example" || r.body["reason"] != "Work" {
		t.Errorf("request: %s", r.text)
	}
	reviewers := set + "/filterByCurrentUser(on='reviewer')"
	if r := w.must(200, w.user("ada@harbour.example", "ConsentRequest.Read.All"), "GET", reviewers, ""); len(r.value()) != 0 {
		t.Errorf("no reviewer sees %s", r.text)
	}
	w.must(204, everything, "PUT", "/v1.0/policies/adminConsentRequestPolicy", `{"isEnabled": true, "notifyReviewers": true, "remindersEnabled": true, "requestDurationInDays": 5,
		"reviewers": [{"query": "/users/`+w.ids["ada@harbour.example"]+`", "queryType": "MicrosoftGraph"}]}`)
	if r := w.must(200, w.user("ada@harbour.example", "ConsentRequest.Read.All"), "GET", reviewers, ""); len(r.value()) != 1 {
		t.Errorf("the reviewer sees %s", r.text)
	}
	w.pass(5 * 24 * time.Hour)
	if r := w.must(200, everything, "GET", one, ""); r.body["status"] != "Expired" {
		t.Errorf("after five days: %s", r.text)
	}
}
