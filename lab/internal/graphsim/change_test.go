package graphsim

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"gatehouse/lab/internal/directory"
	"gatehouse/lab/internal/pki"
)

// TestAudit: writes leave entries that say who changed what, failed ones and
// reads do not; filters and the time that the licence keeps.
func TestAudit(t *testing.T) {
	w := newWorld(t)
	const path = "/v1.0/auditLogs/directoryAudits"
	w.must(204, everything, "PATCH", "/v1.0/users/ben@harbour.example", `{"department": "Deck"}`)
	w.must(400, everything, "PATCH", "/v1.0/users/ben@harbour.example", `{"displayName": ""}`)
	w.must(204, w.user("ada@harbour.example", "GroupMember.ReadWrite.All", globalAdministrator), "POST", "/v1.0/groups/"+w.ids["Everyone"]+"/members/$ref",
		`{"@odata.id": "https://graph.lab/v1.0/directoryObjects/`+w.ids["svc-backup@harbour.example"]+`"}`)
	policy := w.made("identity/conditionalAccess/policies", policyBody)
	w.must(200, everything, "POST", "/v1.0/servicePrincipals/"+w.ids["Portal"]+"/addPassword", "")
	w.must(204, everything, "DELETE", caPath+"/"+policy, "")
	r := w.must(200, everything, "GET", path, "")
	want := []string{"Delete conditional access policy", "Add service principal credentials", "Add conditional access policy", "Add member to group", "Update user"}
	if !slices.Equal(r.names("activityDisplayName"), want) {
		t.Fatalf("entries: %v", r.names("activityDisplayName"))
	}
	update := r.value()[4]
	change := at(update, "targetResources").([]any)[0].(map[string]any)
	if at(update, "initiatedBy", "app", "displayName") != "Reader" || at(update, "initiatedBy", "user") != nil || change["userPrincipalName"] != "ben@harbour.example" || change["type"] != "User" {
		t.Errorf("update: %v", update)
	}
	if list := change["modifiedProperties"].([]any); len(list) != 1 || at(list[0], "displayName") != "department" || at(list[0], "oldValue") != `"Stores"` || at(list[0], "newValue") != `"Deck"` {
		t.Errorf("modified: %v", list)
	}
	if at(r.value()[3], "initiatedBy", "user", "userPrincipalName") != "ada@harbour.example" || len(at(r.value()[3], "targetResources").([]any)) != 2 {
		t.Errorf("by a user: %v", r.value()[3])
	}
	if strings.Contains(r.text, "~") {
		t.Error("the log shows a secret")
	}
	for filter, n := range map[string]int{"category eq 'Policy'": 2, "activityDisplayName eq 'Update user'": 1, "initiatedBy/user/userPrincipalName eq 'ada@harbour.example'": 1,
		"targetResources/any(t:t/id eq '" + w.ids["ben@harbour.example"] + "')": 1, "activityDateTime ge 2026-11-20T12:00:00Z": 5, "loggedByService eq 'Conditional Access'": 2, "result eq 'failure'": 0} {
		if r := w.must(200, everything, "GET", path+query("$filter", filter), ""); len(r.value()) != n {
			t.Errorf("%s: %d entries", filter, len(r.value()))
		}
	}
	w.must(400, everything, "GET", path+query("$filter", "additionalDetails/any(a:a/key eq 'x')"), "")
	w.must(404, everything, "GET", path+"/"+noRole, "")
	for tenant, days := range map[string]int{harbour: 30, plain: 7} {
		w.store.Update(tenant, func(d *directory.Tenant) {
			d.Audits = nil
			for i := range 40 {
				d.Audit(&directory.Audit{ID: directory.NameID("old", itoa(i)), Time: testNow.AddDate(0, 0, i-39)})
			}
		})
		who := everything
		if tenant == plain {
			who = inPlain(everything)
		}
		if r := w.must(200, who, "GET", path, ""); len(r.value()) != days+1 {
			t.Errorf("%s keeps %d", tenant, len(r.value()))
		}
	}
}

// TestGrantPolicies: Microsoft's and the tenant's own, their conditions, and
// who they are assigned to.
func TestGrantPolicies(t *testing.T) {
	w := newWorld(t)
	const path = "/v1.0/policies/permissionGrantPolicies"
	if r := w.must(200, everything, "GET", path, ""); len(r.value()) != 6 || has(r.value()[0], "includes") {
		t.Errorf("policies: %s", r.text)
	}
	low := w.must(200, everything, "GET", path+"/microsoft-user-default-low/includes", "")
	if len(low.value()) != 2 || at(low.value()[1], "clientApplicationTenantIds").([]any)[0] != harbour {
		t.Errorf("low: %s", low.text)
	}
	w.made("policies/permissionGrantPolicies", grantBody)
	w.must(409, everything, "POST", path, grantBody)
	w.must(400, everything, "POST", path, strings.Replace(grantBody, "harbour-own", "microsoft-own", 1))
	w.must(403, everything, "PATCH", path+"/microsoft-user-default-low", `{"displayName": "X"}`)
	set := w.must(201, everything, "POST", path+"/harbour-own/excludes", setBody).body["id"].(string)
	if r := w.must(200, everything, "GET", path+"/harbour-own/excludes/"+set, ""); r.body["permissionClassification"] != "low" || r.body["resourceApplication"] != "any" {
		t.Errorf("set: %s", r.text)
	}
	w.must(400, everything, "POST", path+"/harbour-own/excludes", `{"permissionType": "both"}`)
	w.must(204, everything, "DELETE", path+"/harbour-own/excludes/"+set, "")
	if r := w.must(200, everything, "GET", path+"/harbour-own/excludes", ""); len(r.value()) != 0 {
		t.Errorf("after the deletion: %s", r.text)
	}
	assign := func(status int, entries ...string) {
		t.Helper()
		list, _ := json.Marshal(entries)
		w.must(status, everything, "PATCH", "/v1.0/policies/authorizationPolicy", `{"defaultUserRolePermissions": {"permissionGrantPoliciesAssigned": `+string(list)+`}}`)
	}
	for entry, want := range map[string]string{"managePermissionGrantsForSelf.microsoft-user-default-legacy": "all", "ManagePermissionGrantsForSelf.microsoft-user-default-low": "low_risk",
		"managePermissionGrantsForSelf.microsoft-user-default-recommended": "managed", "managePermissionGrantsForSelf.harbour-own": "none"} {
		assign(204, entry)
		w.store.View(harbour, func(d *directory.Tenant) {
			if d.Consent.Users != want {
				t.Errorf("%s: %s", entry, d.Consent.Users)
			}
		})
	}
	assign(204, "managePermissionGrantsForSelf.harbour-own")
	if r := w.must(200, everything, "GET", "/v1.0/policies/authorizationPolicy", ""); !strings.Contains(r.text, "managePermissionGrantsForSelf.harbour-own") {
		t.Errorf("assigned: %s", r.text)
	}
	w.must(400, everything, "DELETE", path+"/harbour-own", "")
	assign(400, "managePermissionGrantsForSelf.nobody")
	assign(400, "managePermissionGrantsForSelf.microsoft-user-default-low", "managePermissionGrantsForSelf.microsoft-user-default-legacy")
	assign(204, []string{}...)
	w.must(204, everything, "DELETE", path+"/harbour-own", "")

	w.must(204, everything, "PATCH", "/v1.0/policies/authorizationPolicy", `{"allowInvitesFrom": "none", "blockMsolPowerShell": true}`)
	w.must(204, everything, "PATCH", "/beta/policies/authorizationPolicy/authorizationPolicy", `{"defaultUserRolePermissions": {"allowedToCreateApps": false}, "guestUserRole": "`+noRole+`"}`)
	settings := w.must(200, everything, "GET", "/v1.0/policies/authorizationPolicy", "").body
	if settings["allowInvitesFrom"] != "none" || settings["blockMsolPowerShell"] != true || settings["allowedToUseSSPR"] != true || settings["guestUserRoleId"] != noRole || at(settings, "defaultUserRolePermissions", "allowedToCreateApps") != false {
		t.Errorf("settings: %v", settings)
	}
	for _, body := range []string{`{"allowInvitesFrom": "me"}`, `{"defaultUserRolePermissions": {"allowedToCreateApps": 1}}`, `{"defaultUserRolePermissions": {"x": 1}}`, `{"guestUserRoleId": "x"}`} {
		w.must(400, everything, "PATCH", "/v1.0/policies/authorizationPolicy", body)
	}

	w.must(204, everything, "PUT", "/v1.0/policies/adminConsentRequestPolicy", `{"isEnabled": true, "notifyReviewers": true, "remindersEnabled": false, "requestDurationInDays": 5, "reviewers": [{"query": "/users/x", "queryType": "MicrosoftGraph"}]}`)
	if r := w.must(200, everything, "GET", "/v1.0/policies/adminConsentRequestPolicy", ""); r.body["requestDurationInDays"] != 5.0 || r.body["version"] != 1.0 || r.body["remindersEnabled"] != false || len(r.body["reviewers"].([]any)) != 1 {
		t.Errorf("requests: %s", r.text)
	}
	w.must(400, everything, "PUT", "/v1.0/policies/adminConsentRequestPolicy", `{"isEnabled": true}`)

	classes := "/v1.0/servicePrincipals/" + w.ids["Microsoft Graph"] + "/delegatedPermissionClassifications"
	id := w.must(201, everything, "POST", classes, `{"permissionName": "openid", "classification": "low"}`).body["id"].(string)
	w.must(409, everything, "POST", classes, `{"permissionName": "openid", "classification": "medium"}`)
	w.must(400, everything, "POST", classes, `{"permissionName": "Nothing.Real", "classification": "low"}`)
	w.must(204, everything, "DELETE", classes+"/"+id, "")
	w.must(404, everything, "GET", classes+"/"+id, "")
}

// TestRegistrations: an app's whole life through Graph.
func TestRegistrations(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.PropagationDelay = time.Minute })
	made := w.must(201, everything, "POST", "/v1.0/applications", `{"displayName": "Crane", "signInAudience": "AzureADMyOrg", "web": {"redirectUris": ["https://crane.example/back"]}, "spa": {"redirectUris": ["https://crane.example/page"]},
		"publicClient": {"redirectUris": ["http://localhost"]}, "requiredResourceAccess": [{"resourceAppId": "`+graphID+`", "resourceAccess": [{"id": "df021288-bdef-4463-88db-98f22de89214", "type": "Role"}, {"id": "e1fe6dd8-ba31-4d61-89e7-88639da4683d", "type": "Scope"}]}]}`).body
	path := "/v1.0/applications/" + made["id"].(string)
	got := w.must(200, everything, "GET", path, "").body
	for kind, want := range map[string]string{"web": "https://crane.example/back", "spa": "https://crane.example/page", "publicClient": "http://localhost"} {
		if list := at(got, kind, "redirectUris").([]any); len(list) != 1 || list[0] != want {
			t.Errorf("%s: %v", kind, list)
		}
	}
	if list := got["requiredResourceAccess"].([]any); len(list) != 1 || len(at(list[0], "resourceAccess").([]any)) != 2 {
		t.Errorf("permissions: %v", list)
	}
	client := made["appId"].(string)
	principal := w.must(201, everything, "POST", "/v1.0/servicePrincipals", `{"appId": "`+client+`"}`).body["id"].(string)
	w.must(200, everything, "POST", path+"/addPassword", "")
	certificate, err := pki.Client("crane", testNow, testNow.AddDate(1, 0, 0))
	if err != nil {
		t.Fatal(err)
	}
	w.must(204, everything, "PATCH", path, `{"displayName": "Big crane", "keyCredentials": [{"type": "AsymmetricX509Cert", "usage": "Verify", "key": "`+base64.StdEncoding.EncodeToString(certificate.Raw)+`"}]}`)
	w.store.View(harbour, func(d *directory.Tenant) {
		a := d.App(client)
		late := testNow.Add(time.Minute)
		if a.Name != "Big crane" || len(a.Secrets) != 1 || len(a.Certificates) != 1 || !a.Secrets[0].Usable.Equal(late) || !a.Certificates[0].Usable.Equal(late) || len(a.RedirectURIs) != 3 {
			t.Errorf("registration: %+v", a)
		}
	})
	key := w.must(200, everything, "GET", path, "").body["keyCredentials"].([]any)[0].(map[string]any)["keyId"].(string)
	w.must(204, everything, "PATCH", path, `{"keyCredentials": [{"keyId": "`+key+`"}], "web": {"redirectUris": []}}`)
	if got := w.must(200, everything, "GET", path, "").body; len(got["keyCredentials"].([]any)) != 1 || len(at(got, "web", "redirectUris").([]any)) != 0 || len(at(got, "spa", "redirectUris").([]any)) != 1 {
		t.Errorf("after the second change: %v", got)
	}
	for _, body := range []string{`{"displayName": ""}`, `{"signInAudience": "All"}`, `{"web": {"redirectUris": ["nowhere"]}}`, `{"keyCredentials": [{"key": "AAAA"}]}`, `{"keyCredentials": [{}]}`,
		`{"requiredResourceAccess": [{"resourceAppId": "x"}]}`, `{"requiredResourceAccess": [{"resourceAppId": "` + graphID + `", "resourceAccess": [{"id": "User.Read", "type": "Scope"}]}]}`} {
		w.must(400, everything, "PATCH", path, body)
	}
	w.must(403, app("Application.ReadWrite.OwnedBy"), "DELETE", path, "")
	w.must(403, everything, "DELETE", "/v1.0/servicePrincipals/"+w.ids["Microsoft Graph"], "")
	w.must(204, everything, "DELETE", path, "")
	w.must(404, everything, "GET", path, "")
	w.must(404, everything, "GET", "/v1.0/servicePrincipals/"+principal, "")
	w.must(204, everything, "DELETE", "/v1.0/servicePrincipals/"+w.ids["Portal"], "")
	if r := w.must(200, everything, "GET", "/v1.0/oauth2PermissionGrants", ""); slices.Contains(r.names("clientId"), w.ids["Portal"]) {
		t.Errorf("grants of what is gone: %s", r.text)
	}
}

// TestPeople: users, groups and roles are made, changed and deleted.
func TestPeople(t *testing.T) {
	w := newWorld(t)
	const eve = `{"accountEnabled": true, "displayName": "Eve Early", "mailNickname": "eve", "userPrincipalName": "eve@harbour.example", "passwordProfile": {"password": "Some-Password-1!", "forceChangePasswordNextSignIn": false}}`
	id := w.must(201, everything, "POST", "/v1.0/users", eve).body["id"].(string)
	if u := w.stored("eve@harbour.example"); u.ID != id || u.PasswordExpired || !directory.CheckPassword(u.PasswordHash, "Some-Password-1!") || u.PerUserMFA != "disabled" {
		t.Errorf("user: %+v", u)
	}
	w.must(400, everything, "POST", "/v1.0/users", eve)
	for old, bad := range map[string]string{"@harbour.example": "@elsewhere.example", "Some-Password-1!": "x", `"accountEnabled": true, `: "", `"eve@`: `"e ve@`} {
		w.must(400, everything, "POST", "/v1.0/users", strings.Replace(eve, old, bad, 1))
	}
	group := w.must(201, everything, "POST", "/v1.0/groups", `{"displayName": "Night watch", "description": "By night", "mailNickname": "night", "mailEnabled": false, "securityEnabled": true, "isAssignableToRole": true, "members@odata.bind": ["https://graph.lab/v1.0/directoryObjects/`+id+`"]}`).body
	if group["description"] != "By night" || group["mailNickname"] != "night" || group["isAssignableToRole"] != true {
		t.Errorf("group: %v", group)
	}
	path := "/v1.0/groups/" + group["id"].(string)
	if r := w.must(200, everything, "GET", path+"/members", ""); !slices.Equal(r.names("id"), []string{id}) {
		t.Errorf("members: %s", r.text)
	}
	w.must(204, everything, "PATCH", path, `{"displayName": "Watch", "description": null}`)
	if r := w.must(200, everything, "GET", path, ""); r.body["displayName"] != "Watch" || r.body["description"] != nil {
		t.Errorf("group after: %s", r.text)
	}
	w.must(403, app("Group.ReadWrite.All"), "PATCH", path, `{"displayName": "Mine"}`)
	w.must(403, app("Group.ReadWrite.All"), "DELETE", path, "")
	w.must(400, everything, "POST", "/v1.0/groups", `{"displayName": "T", "mailNickname": "t", "mailEnabled": true, "securityEnabled": false, "groupTypes": ["Unified"]}`)

	role := w.must(201, everything, "POST", "/v1.0/directoryRoles", `{"roleTemplateId": "`+userAdministrator+`"}`).body["id"].(string)
	w.must(409, everything, "POST", "/v1.0/directoryRoles", `{"roleTemplateId": "`+userAdministrator+`"}`)
	const assignments = "/v1.0/roleManagement/directory/roleAssignments"
	body := func(principal string) string {
		return `{"principalId": "` + principal + `", "roleDefinitionId": "` + userAdministrator + `", "directoryScopeId": "/"}`
	}
	made := w.must(201, everything, "POST", assignments, body(group["id"].(string))).body["id"].(string)
	w.must(400, everything, "POST", assignments, body(group["id"].(string)))
	w.must(400, everything, "POST", assignments, body(w.ids["Everyone"]))
	w.must(404, everything, "POST", assignments, body(noRole))
	if r := w.must(200, everything, "GET", assignments+"/"+made, ""); r.body["principalId"] != group["id"] {
		t.Errorf("assignment: %s", r.text)
	}
	w.must(204, everything, "DELETE", assignments+"/"+made, "")
	members := "/v1.0/directoryRoles/" + role + "/members"
	w.must(204, everything, "POST", members+"/$ref", `{"@odata.id": "https://graph.lab/v1.0/users/`+id+`"}`)
	if r := w.must(200, everything, "GET", members, ""); !slices.Equal(r.names("id"), []string{id}) {
		t.Errorf("holders: %s", r.text)
	}
	w.must(204, everything, "DELETE", members+"/"+id+"/$ref", "")
	w.must(404, everything, "DELETE", members+"/"+id+"/$ref", "")
	w.must(204, everything, "DELETE", path, "")
	w.must(404, everything, "GET", path, "")
	w.must(403, w.user("ben@harbour.example", "User.ReadWrite.All", userAdministrator), "DELETE", "/v1.0/users/ada@harbour.example", "")
	w.must(204, everything, "DELETE", "/v1.0/users/eve@harbour.example", "")
	w.must(404, everything, "GET", "/v1.0/users/"+id, "")
}

// TestMethodWrites: methods are registered, changed and deleted; the pass is
// shown once; the default method stays.
func TestMethodWrites(t *testing.T) {
	w := newWorld(t)
	const backup = "/v1.0/users/svc-backup@harbour.example/authentication/"
	w.must(400, everything, "POST", backup+"phoneMethods", `{"phoneNumber": "+44 7700900200", "phoneType": "alternateMobile"}`)
	w.must(400, everything, "POST", backup+"phoneMethods", `{"phoneNumber": "12", "phoneType": "mobile"}`)
	w.must(204, everything, "PATCH", "/beta/users/svc-backup@harbour.example/authentication/requirements", `{"perUserMfaState": "enabled"}`)
	if r := w.must(201, everything, "POST", backup+"phoneMethods", `{"phoneNumber": "+44 7700900200", "phoneType": "mobile"}`); r.body["id"] != directory.PhoneMobileID {
		t.Errorf("phone: %s", r.text)
	}
	if state := w.stored("svc-backup@harbour.example").PerUserMFA; state != "enforced" {
		t.Errorf("per-user MFA after registration: %s", state)
	}
	w.must(400, everything, "POST", backup+"phoneMethods", `{"phoneNumber": "+44 7700900201", "phoneType": "mobile"}`)
	w.must(200, everything, "PATCH", backup+"phoneMethods/"+directory.PhoneMobileID, `{"phoneNumber": "+44 7700900202"}`)
	if r := w.must(200, everything, "GET", backup+"phoneMethods", ""); !slices.Equal(r.names("phoneNumber"), []string{"+44 7700900202"}) {
		t.Errorf("phones: %s", r.text)
	}
	w.must(201, everything, "POST", backup+"emailMethods", `{"emailAddress": "backup@home.example"}`)
	w.must(400, everything, "POST", backup+"emailMethods", `{"emailAddress": "backup@home.example"}`)
	w.must(400, everything, "PATCH", backup+"emailMethods/"+directory.EmailMethodID, `{"emailAddress": "nowhere"}`)
	w.must(200, everything, "PUT", backup+"emailMethods/"+directory.EmailMethodID, `{"emailAddress": "other@home.example"}`)
	pass := w.must(201, everything, "POST", backup+"temporaryAccessPassMethods", `{"lifetimeInMinutes": 30, "isUsableOnce": true}`).body
	if len(pass["temporaryAccessPass"].(string)) < 8 || pass["isUsable"] != true || pass["lifetimeInMinutes"] != 30.0 {
		t.Errorf("pass: %v", pass)
	}
	if r := w.must(200, everything, "GET", backup+"temporaryAccessPassMethods/"+pass["id"].(string), ""); r.body["temporaryAccessPass"] != nil {
		t.Errorf("the pass is shown again: %s", r.text)
	}
	w.must(400, everything, "POST", backup+"temporaryAccessPassMethods", `{}`)
	w.must(400, everything, "POST", backup+"temporaryAccessPassMethods", `{"lifetimeInMinutes": 5}`)
	w.must(204, everything, "PATCH", "/beta/users/svc-backup@harbour.example/authentication/signInPreferences", `{"userPreferredMethodForSecondaryAuthentication": "sms"}`)
	if r := w.must(400, everything, "DELETE", backup+"phoneMethods/"+directory.PhoneMobileID, ""); !strings.Contains(r.text, "default") {
		t.Errorf("default method: %s", r.text)
	}
	w.must(204, everything, "DELETE", backup+"temporaryAccessPassMethods/"+pass["id"].(string), "")
	w.must(204, everything, "DELETE", backup+"phoneMethods/"+directory.PhoneMobileID, "")
	if u := w.stored("svc-backup@harbour.example"); u.DefaultMethod != "" || u.Registered() {
		t.Errorf("after the last method: %+v", u)
	}
	w.must(404, everything, "DELETE", backup+"fido2Methods/"+noRole, "")
	w.must(403, w.user("ben@harbour.example", "UserAuthenticationMethod.ReadWrite.All", authenticationAdministrator), "POST", "/v1.0/users/ada@harbour.example/authentication/emailMethods", `{"emailAddress": "x@home.example"}`)
	w.must(403, w.user("ben@harbour.example", "UserAuthenticationMethod.ReadWrite"), "POST", "/v1.0/me/authentication/temporaryAccessPassMethods", `{}`)
}

// TestReportLag: the report shows what was there when it was made.
func TestReportLag(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.ReportLag = 24 * time.Hour })
	path := "/v1.0/reports/authenticationMethods/userRegistrationDetails/" + w.ids["svc-backup@harbour.example"]
	w.must(201, everything, "POST", "/v1.0/users/svc-backup@harbour.example/authentication/phoneMethods", `{"phoneNumber": "+44 7700900200", "phoneType": "mobile"}`)
	r := w.must(200, everything, "GET", path, "")
	if r.body["isMfaRegistered"] != false || r.body["lastUpdatedDateTime"] != "2026-11-20T12:00:00Z" {
		t.Errorf("lagging report: %s", r.text)
	}
	w.pass(24*time.Hour - time.Second)
	if r := w.must(200, everything, "GET", path, ""); r.body["isMfaRegistered"] != false {
		t.Errorf("not yet a day later: %s", r.text)
	}
	w.pass(time.Second)
	if r := w.must(200, everything, "GET", path, ""); r.body["isMfaRegistered"] != true || r.body["lastUpdatedDateTime"] != "2026-11-21T12:00:00Z" {
		t.Errorf("a day later: %s", r.text)
	}
	fresh := newWorld(t)
	fresh.must(201, everything, "POST", "/v1.0/users/svc-backup@harbour.example/authentication/phoneMethods", `{"phoneNumber": "+44 7700900200", "phoneType": "mobile"}`)
	if r := fresh.must(200, everything, "GET", path, ""); r.body["isMfaRegistered"] != true {
		t.Errorf("fresh report: %s", r.text)
	}
}

// follow reads pages to the delta link.
func (w *world) follow(address string) (all []any, link string) {
	w.t.Helper()
	for range 50 {
		u, err := url.Parse(address)
		if err != nil {
			w.t.Fatal(err)
		}
		r := w.must(200, everything, "GET", u.RequestURI(), "")
		all = append(all, r.value()...)
		if next, more := r.body["@odata.nextLink"].(string); more {
			address = next
			continue
		}
		return all, r.body["@odata.deltaLink"].(string)
	}
	w.t.Fatal("no end of pages")
	return nil, ""
}

// TestDelta: everything first, then what changed or went; and when to begin
// again.
func TestDelta(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.PageSize = 2 })
	all, users := w.follow("/v1.0/users/delta?$select=displayName,department")
	if len(all) != 5 || at(all[0], "displayName") != "Ada Admin" || has(all[0], "mail") || at(all[0], "id") == nil {
		t.Fatalf("first round: %v", all)
	}
	groups, link := w.follow("/v1.0/groups/delta")
	if len(groups) != 3 || len(at(groups[1], "members@delta").([]any)) != 3 {
		t.Fatalf("groups: %v", groups)
	}
	_, roles := w.follow("/v1.0/directoryRoles/delta")
	_, grants := w.follow("/v1.0/oauth2PermissionGrants/delta")
	_, principals := w.follow("/beta/servicePrincipals/delta?$deltatoken=latest")
	if none, again := w.follow(users); len(none) != 0 || again == "" {
		t.Errorf("nothing changed: %v", none)
	}
	ben := w.ids["ben@harbour.example"]
	w.must(204, everything, "PATCH", "/v1.0/users/svc-backup@harbour.example", `{"department": "Deck"}`)
	w.must(204, everything, "PATCH", "/v1.0/users/svc-backup@harbour.example", `{"department": "Hold"}`)
	w.must(201, everything, "POST", "/v1.0/roleManagement/directory/roleAssignments", `{"principalId": "`+ben+`", "roleDefinitionId": "`+globalAdministrator+`", "directoryScopeId": "/"}`)
	w.must(204, everything, "POST", "/v1.0/groups/"+w.ids["Everyone"]+"/members/$ref", `{"@odata.id": "https://graph.lab/v1.0/directoryObjects/`+w.ids["svc-backup@harbour.example"]+`"}`)
	w.must(204, everything, "DELETE", "/v1.0/users/"+ben, "")
	w.must(201, everything, "POST", "/v1.0/servicePrincipals", `{"appId": "`+w.vendorID()+`"}`)

	changed, next := w.follow(users)
	if len(changed) != 2 || at(changed[0], "department") != "Hold" || at(changed[1], "id") != ben || at(changed[1], "@removed", "reason") != "changed" {
		t.Errorf("users: %v", changed)
	}
	if again, _ := w.follow(next); len(again) != 0 {
		t.Errorf("reported twice: %v", again)
	}
	changed, _ = w.follow(link)
	var joined, left []any
	for _, g := range changed {
		for _, m := range at(g, "members@delta").([]any) {
			if has(m, "@removed") {
				left = append(left, at(m, "id"))
			} else {
				joined = append(joined, at(m, "id"))
			}
		}
	}
	if len(changed) != 3 || len(joined) != 1 || joined[0] != w.ids["svc-backup@harbour.example"] || len(left) != 2 || left[0] != ben {
		t.Errorf("groups: joined %v left %v: %v", joined, left, changed)
	}
	if changed, _ = w.follow(roles); len(changed) != 1 || at(at(changed[0], "members@delta").([]any)[0], "@removed", "reason") != "deleted" {
		t.Errorf("roles: %v", changed)
	}
	if changed, _ = w.follow(grants); len(changed) != 1 || at(changed[0], "@removed", "reason") != "deleted" {
		t.Errorf("grants: %v", changed)
	}
	if changed, _ = w.follow(principals); len(changed) != 1 || at(changed[0], "appId") != w.vendorID() {
		t.Errorf("principals: %v", changed)
	}
	one, _ := w.follow("/v1.0/users/delta" + query("$filter", "id eq '"+w.ids["ada@harbour.example"]+"'"))
	if len(one) != 1 {
		t.Errorf("filtered: %v", one)
	}
	w.must(400, everything, "GET", "/v1.0/users/delta"+query("$filter", "displayName eq 'Ada'"), "")
	w.must(400, everything, "GET", "/v1.0/users/delta?$orderby=displayName", "")
	gone := w.must(410, everything, "GET", "/v1.0/users/delta?$deltatoken=AAAA", "")
	if gone.code() != "resyncRequired" || !strings.Contains(gone.header.Get("Location"), "/users/delta") {
		t.Errorf("unknown token: %v %s", gone.header, gone.text)
	}
	u, err := url.Parse(next)
	if err != nil {
		t.Fatal(err)
	}
	if r := w.do(inPlain(everything), "GET", u.RequestURI(), ""); r.status != 410 {
		t.Errorf("another tenant's token: %d", r.status)
	}
	w.store.Update(harbour, func(d *directory.Tenant) {
		for range 2*directory.MaxChanges + 1 {
			d.Touch(directory.Change{Kind: "user", ID: noRole})
		}
	})
	w.must(410, everything, "GET", u.RequestURI(), "")
}

// TestConcurrentChanges: writes, logs, reports and delta queries at the same
// time.
func TestConcurrentChanges(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.ReportLag, c.Throttle = time.Hour, true })
	bearer := w.bearer(everything)
	var group sync.WaitGroup
	for i := range 8 {
		group.Go(func() {
			for _, call := range [][3]string{
				{"PATCH", "/v1.0/users/svc-backup@harbour.example", `{"department": "` + itoa(i) + `"}`}, {"POST", "/v1.0/policies/authenticationStrengthPolicies", strings.Replace(strengthBody, "Keys", "Keys "+itoa(i), 1)},
				{"POST", caPath, policyBody}, {"GET", caPath, ""}, {"GET", "/v1.0/users/delta?$deltatoken=latest", ""}, {"GET", "/v1.0/auditLogs/directoryAudits", ""},
				{"GET", "/v1.0/reports/authenticationMethods/userRegistrationDetails", ""}, {"POST", "/v1.0/applications", `{"displayName": "App"}`}, {"GET", "/beta/policies/authenticationStrengthPolicies", ""},
			} {
				h := httptest.NewRequest(call[0], call[1], strings.NewReader(call[2]))
				h.Header = http.Header{"Authorization": {bearer}, "Content-Type": {"application/json"}}
				recorder := httptest.NewRecorder()
				w.server.ServeHTTP(recorder, h)
				if recorder.Code >= 400 && recorder.Code != 429 {
					t.Errorf("%v: %d %s", call, recorder.Code, recorder.Body)
				}
			}
		})
	}
	group.Wait()
	if r := w.must(200, everything, "GET", "/v1.0/policies/authenticationStrengthPolicies", ""); len(r.value()) != 11 {
		t.Errorf("%d strengths", len(r.value()))
	}
}
