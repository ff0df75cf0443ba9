package graphsim

import (
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"gatehouse/lab/internal/directory"
)

// TestRecycleBin: what was deleted comes back under its id, is purged, or is
// gone after thirty days.
func TestRecycleBin(t *testing.T) {
	w := newWorld(t)
	const bin = "/v1.0/identity/conditionalAccess/deletedItems/policies"
	dropped := func() string {
		t.Helper()
		id := w.made("identity/conditionalAccess/policies", policyBody)
		w.must(204, everything, "DELETE", caPath+"/"+id, "")
		return id
	}
	first, second, third := dropped(), dropped(), dropped()
	if r := w.must(200, everything, "GET", bin, ""); !slices.Equal(r.names("id"), []string{first, second, third}) {
		t.Errorf("bin: %s", r.text)
	}
	back := w.must(200, everything, "POST", bin+"/"+first+"/restore", "")
	if back.body["id"] != first || w.must(200, everything, "GET", caPath+"/"+first, "").body["displayName"] != "Everyone, MFA" {
		t.Errorf("restored: %s", back.text)
	}
	w.must(404, everything, "GET", bin+"/"+first, "")
	w.must(404, everything, "POST", bin+"/"+first+"/restore", "")
	w.must(204, everything, "DELETE", bin+"/"+second, "")
	w.must(404, everything, "GET", bin+"/"+second, "")
	w.pass(30*24*time.Hour - time.Second)
	w.must(200, everything, "GET", bin+"/"+third, "")
	w.pass(time.Second)
	w.must(404, everything, "POST", bin+"/"+third+"/restore", "")
	location := w.made("identity/conditionalAccess/namedLocations", locationBody)
	w.must(204, everything, "DELETE", locationPath+"/"+location, "")
	w.must(200, everything, "POST", strings.Replace(bin, "policies", "namedLocations", 1)+"/"+location+"/restore", "")
	w.must(200, everything, "GET", locationPath+"/"+location, "")
}

// TestTemplates: every template makes a policy that is taken as it stands, once
// somebody real is excluded.
func TestTemplates(t *testing.T) {
	w := newWorld(t)
	const set = "/v1.0/identity/conditionalAccess/templates"
	all := w.must(200, everything, "GET", set, "")
	if r := w.must(200, everything, "GET", set+query("$select", "name,scenarios", "$filter", "scenarios has 'secureFoundation'"), ""); len(r.value()) < 4 || len(r.value()) >= len(all.value()) || has(r.value()[0], "details") {
		t.Errorf("selected: %s", r.text)
	}
	for _, v := range all.value() {
		template := v.(map[string]any)
		policy := maps.Clone(at(template, "details").(map[string]any))
		at(policy, "conditions", "users").(map[string]any)["excludeUsers"] = texts(w.ids["ada@harbour.example"])
		maps.Copy(policy, object("displayName", template["name"], "state", "disabled", "templateId", template["id"]))
		r := w.do(everything, "POST", caPath, asText(policy))
		if r.status != 201 || r.body["templateId"] != template["id"] {
			t.Errorf("%v: %s", template["name"], r.text)
		}
	}
	w.must(404, everything, "GET", set+"/"+directory.NameID("x"), "")
}

// TestStrengthUse: which policies demand a strength, what it is limited to, and
// which methods there are.
func TestStrengthUse(t *testing.T) {
	w := newWorld(t)
	const set = "/v1.0/policies/authenticationStrengthPolicies"
	id := w.made("policies/authenticationStrengthPolicies", strengthBody)
	policy := w.made("identity/conditionalAccess/policies", strings.Replace(policyBody, `"builtInControls": ["mfa"]`, `"authenticationStrength": {"id": "`+id+`"}`, 1))
	usage := w.must(200, everything, "GET", set+"/"+id+"/usage", "")
	if list := usage.body["mfa"].([]any); len(list) != 1 || at(list[0], "id") != policy || len(usage.body["none"].([]any)) != 0 {
		t.Errorf("usage: %s", usage.text)
	}
	if r := w.must(200, everything, "GET", set+"/"+directory.StrengthMFA+"/usage()", ""); len(r.body["mfa"].([]any)) != 0 {
		t.Errorf("usage of the built-in one: %s", r.text)
	}
	changed := w.must(200, everything, "POST", set+"/"+id+"/updateAllowedCombinations", `{"allowedCombinations": ["fido2", "x509CertificateMultiFactor"]}`)
	if list := changed.body["conditionalAccessReferences"].([]any); len(list) != 1 || list[0] != policy {
		t.Errorf("changed: %s", changed.text)
	}
	configurations := set + "/" + id + "/combinationConfigurations"
	made := w.must(201, everything, "POST", configurations, configuredBody)
	one := configurations + "/" + made.body["id"].(string)
	w.must(200, everything, "PATCH", one, `{"allowedAAGUIDs": ["11111111-2222-4333-8444-555555555555"]}`)
	if r := w.must(200, everything, "GET", set+"/"+id, ""); at(r.body["combinationConfigurations"].([]any)[0], "allowedAAGUIDs").([]any)[0] != "11111111-2222-4333-8444-555555555555" {
		t.Errorf("in the strength: %s", r.text)
	}
	x509 := `{"@odata.type": "#microsoft.graph.x509CertificateCombinationConfiguration", "appliesToCombinations": ["x509CertificateMultiFactor"], "allowedIssuerSkis": ["9A4248C6AC8C2931AB2A86537818E92E7B6C97B6"]}`
	w.must(201, everything, "POST", configurations, x509)
	for _, bad := range []string{`{}`, strings.Replace(configuredBody, "fido2Comb", "fingerComb", 1), strings.Replace(configuredBody, `["fido2"]`, `["sms"]`, 1), strings.Replace(configuredBody, `["fido2"]`, `[]`, 1),
		strings.Replace(configuredBody, `["90a3ccdf-635c-4729-a248-9b709135078f"]`, `["x"]`, 1), strings.Replace(configuredBody, `["90a3ccdf-635c-4729-a248-9b709135078f"]`, `[]`, 1),
		strings.Replace(x509, "allowedIssuerSkis", "allowedAAGUIDs", 1)} {
		w.must(400, everything, "POST", configurations, bad)
	}
	w.must(204, everything, "DELETE", one, "")
	w.must(404, everything, "GET", one, "")
	w.must(400, everything, "POST", set+"/"+directory.StrengthMFA+"/combinationConfigurations", configuredBody)
	if r := w.must(200, everything, "GET", set+"/findByMethodMode(authenticationMethodModes={'sms'})", ""); !slices.Equal(r.names("displayName"), []string{"Multifactor authentication"}) {
		t.Errorf("with sms: %s", r.text)
	}
	w.must(400, everything, "GET", set+"/findByMethodMode(authenticationMethodModes={shouting})", "")
	if r := w.must(200, everything, "GET", set+query("$filter", "policyName eq 'Keys'"), ""); !slices.Equal(r.names("id"), []string{id}) {
		t.Errorf("by name: %s", r.text)
	}
	root := "/beta/identity/conditionalAccess/authenticationStrength/"
	if r := w.must(200, everything, "GET", root+"authenticationMethodModes/deviceBasedPush", ""); r.body["authenticationMethod"] != "microsoftAuthenticator" {
		t.Errorf("mode: %s", r.text)
	}
	if r := w.must(200, everything, "GET", root+"combinations", ""); !slices.Contains(r.value(), any("password,sms")) || !slices.Contains(r.value(), any("sms")) {
		t.Errorf("combinations: %s", r.text)
	}
}

// TestMethodsPolicyWrites: settings and configurations are kept, judged, and
// put back; v1.0 answers 204 and beta with the policy.
func TestMethodsPolicyWrites(t *testing.T) {
	w := newWorld(t)
	const path = "/policies/authenticationMethodsPolicy"
	w.must(204, everything, "PATCH", "/v1.0"+path, `{"systemCredentialPreferences": {"state": "disabled"}}`)
	r := w.must(200, everything, "PATCH", "/beta"+path, `{"registrationEnforcement": {"authenticationMethodsRegistrationCampaign": {"state": "enabled", "snoozeDurationInDays": 3, "includeTargets":
		[{"id": "`+w.ids["Everyone"]+`", "targetType": "group", "targetedAuthenticationMethod": "microsoftAuthenticator"}]}}}`)
	campaign := at(r.body, "registrationEnforcement", "authenticationMethodsRegistrationCampaign")
	if at(campaign, "snoozeDurationInDays") != 3.0 || at(campaign, "enforceRegistrationAfterAllowedSnoozes") != true || at(r.body, "systemCredentialPreferences", "state") != "disabled" || len(at(r.body, "systemCredentialPreferences", "includeTargets").([]any)) != 1 {
		t.Errorf("policy: %s", r.text)
	}
	for _, bad := range []string{`{"displayName": "x"}`, `{"systemCredentialPreferences": {"state": "on"}}`, `{"systemCredentialPreferences": 1}`, `{"policyMigrationState": "done"}`,
		`{"systemCredentialPreferences": {"includeTargets": [{"id": "` + directory.NameID("x") + `", "targetType": "group"}]}}`, `{"reportSuspiciousActivitySettings": {"state": "enabled"}}`} {
		w.must(400, everything, "PATCH", "/v1.0"+path, bad)
	}
	sms := "/v1.0/" + configurationSet + "/sms"
	const kind = `{"@odata.type": "#microsoft.graph.smsAuthenticationMethodConfiguration", `
	w.must(204, everything, "PATCH", sms, kind+`"state": "disabled", "excludeTargets": [{"id": "`+w.ids["Ship crew"]+`", "targetType": "group"}]}`)
	if r := w.must(200, everything, "GET", sms, ""); r.body["state"] != "disabled" || len(r.body["excludeTargets"].([]any)) != 1 || len(r.body["includeTargets"].([]any)) != 1 {
		t.Errorf("sms: %s", r.text)
	}
	for _, bad := range []string{`{"state": "enabled"}`, kind + `"state": "on"}`, kind + `"includeTargets": "all"}`, kind + `"keyRestrictions": {}}`, kind + `"id": "Voice"}`} {
		w.must(400, everything, "PATCH", sms, bad)
	}
	w.must(204, everything, "DELETE", sms, "")
	if r := w.must(200, everything, "GET", sms, ""); r.body["state"] != "enabled" {
		t.Errorf("put back: %s", r.text)
	}
	w.must(404, everything, "PATCH", "/v1.0/"+configurationSet+"/smoke", kind+`"state": "enabled"}`)
	w.must(204, everything, "PATCH", "/v1.0/policies/authenticationFlowsPolicy", `{"selfServiceSignUp": {"isEnabled": true}}`)
	if r := w.must(200, everything, "GET", "/beta/policies/authenticationFlowsPolicy", ""); at(r.body, "selfServiceSignUp", "isEnabled") != true {
		t.Errorf("flows: %s", r.text)
	}
	audits := w.must(200, everything, "GET", "/v1.0/auditLogs/directoryAudits"+query("$filter", "activityDisplayName eq 'Authentication Methods Policy Update'"), "")
	if len(audits.value()) != 4 || !strings.Contains(audits.text, "snoozeDurationInDays") {
		t.Errorf("audit: %d %s", len(audits.value()), audits.text)
	}
}

// TestWhatIf: the answer of evaluate: policies as they read, who applies and
// why not, and what makes a request bad.
func TestWhatIf(t *testing.T) {
	w := newWorld(t)
	const path = "/identity/conditionalAccess/evaluate"
	ask := func(user, more string) string {
		return `{"signInIdentity": {"@odata.type": "#microsoft.graph.userSignIn", "userId": "` + user + `"},
			"signInContext": {"@odata.type": "#microsoft.graph.applicationContext", "includeApplications": ["00000003-0000-0ff1-ce00-000000000000"]},
			"signInConditions": {"devicePlatform": "windows", "clientAppType": "browser"` + more + `}}`
	}
	report := strings.Replace(policyBody, `"disabled"`, `"enabledForReportingButNotEnforced"`, 1)
	w.made("identity/conditionalAccess/policies", policyBody) // a disabled one takes no part
	w.made("identity/conditionalAccess/policies", strings.Replace(report, `"includeUsers": ["All"]`, `"includeGroups": ["`+w.ids["Everyone"]+`"]`, 1))
	w.made("identity/conditionalAccess/policies", strings.Replace(report, `"includeUsers": ["All"]`, `"includeRoles": ["`+reportsReader+`"]`, 1))
	w.made("identity/conditionalAccess/policies", strings.Replace(report, `"users"`, `"signInRiskLevels": ["high"], "users"`, 1))
	for user, want := range map[string]string{
		"ben@harbour.example":          "true true false", // in the group through another, the role through a third
		"svc-backup@harbour.example":   "false false false",
		"dora@partner.onmicrosoft.com": "false false false", // the policies exclude guests
	} {
		r := w.must(200, everything, "POST", "/beta"+path, ask(w.ids[user], ""))
		var got []string
		for _, v := range r.value() {
			got = append(got, asText(at(v, "policyApplies")))
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%s: %v, want %s: %s", user, got, want, r.text)
		}
		if !has(at(r.value()[0], "conditions"), "times") || at(r.value()[2], "analysisReasons") == "notSet" {
			t.Errorf("%s: %s", user, r.text)
		}
	}
	r := w.must(200, everything, "POST", "/v1.0"+path, strings.Replace(ask(w.ids["ben@harbour.example"], `, "signInRiskLevel": "high"`), `}}`, `}, "appliedPoliciesOnly": true}`, 1))
	if len(r.value()) != 3 || has(at(r.value()[0], "conditions"), "times") || r.body["@odata.context"] != "https://graph.lab/v1.0/$metadata#Collection(microsoft.graph.whatIfAnalysisResult)" {
		t.Errorf("applied only: %s", r.text)
	}
	for _, bad := range []string{`{}`, `[]`, `{`, ask(w.ids["ben@harbour.example"], `, "devicePlatform": 1`), strings.Replace(ask(w.ids["ben@harbour.example"], ""), "userSignIn", "catSignIn", 1)} {
		w.must(400, everything, "POST", "/v1.0"+path, bad)
	}
	w.must(404, everything, "POST", "/v1.0"+path, ask(directory.NameID("nobody"), ""))
	w.must(404, everything, "POST", "/v1.0"+path, strings.NewReplacer("userSignIn", "servicePrincipalSignIn", "userId", "servicePrincipalId").Replace(ask(w.ids["client Reader"], "")))
	w.must(200, everything, "POST", "/v1.0"+path, strings.NewReplacer("userSignIn", "servicePrincipalSignIn", "userId", "servicePrincipalId").Replace(ask(w.ids["Reader"], "")))
}

// TestAppliedPolicies: the sign-in log shows what Conditional Access made of a
// sign-in, to those who may read policies.
func TestAppliedPolicies(t *testing.T) {
	w := newWorld(t)
	id := directory.NameID("applied")
	w.store.Update(harbour, func(d *directory.Tenant) {
		e := *d.SignIns[0]
		e.ID, e.Time, e.Status, e.CAStatus, e.TransferMethod = id, testNow, 53003, "failure", "deviceCodeFlow"
		e.Applied = []directory.AppliedPolicy{
			{ID: "p1", Name: "Block codes", Result: "failure", Grant: []string{"Block"}, Satisfied: []string{"application", "users"}},
			{ID: "p2", Name: "Keys", Result: "reportOnlyInterrupted", Grant: []string{"RequireAuthenticationStrength"}, Session: []string{"SignInFrequency"}, NotSatisfied: []string{"location"}, Strength: directory.StrengthPhishingResistant},
		}
		d.Log(&e)
	})
	v1 := w.must(200, everything, "GET", "/v1.0/auditLogs/signIns/"+id, "").body
	list := v1["appliedConditionalAccessPolicies"].([]any)
	if v1["conditionalAccessStatus"] != "failure" || len(list) != 2 || at(list[0], "result") != "failure" || at(list[0], "enforcedGrantControls").([]any)[0] != "Block" || has(list[0], "conditionsSatisfied") || has(v1, "originalTransferMethod") {
		t.Errorf("v1.0: %v", v1)
	}
	beta := w.must(200, everything, "GET", "/beta/auditLogs/signIns/"+id, "").body
	list = beta["appliedConditionalAccessPolicies"].([]any)
	if beta["originalTransferMethod"] != "deviceCodeFlow" || at(list[0], "conditionsSatisfied") != "application,users" || at(list[1], "conditionsNotSatisfied") != "location" || at(list[1], "authenticationStrength", "displayName") != "Phishing-resistant MFA" {
		t.Errorf("beta: %v", beta)
	}
	for filter, want := range map[string]int{"conditionalAccessStatus eq 'failure'": 1, "appliedConditionalAccessPolicies/any(p:p/result eq 'reportOnlyInterrupted')": 1, "conditionalAccessStatus eq 'success'": 0} {
		if r := w.must(200, everything, "GET", "/v1.0/auditLogs/signIns"+query("$filter", filter), ""); len(r.value()) != want {
			t.Errorf("%s: %d", filter, len(r.value()))
		}
	}
	if r := w.must(200, app("AuditLog.Read.All"), "GET", "/v1.0/auditLogs/signIns/"+id, ""); r.body["appliedConditionalAccessPolicies"] != nil || r.body["conditionalAccessStatus"] != "failure" {
		t.Errorf("without right on policies: %s", r.text)
	}
}
