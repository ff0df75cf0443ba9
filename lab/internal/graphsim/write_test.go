package graphsim

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"gatehouse/lab/internal/directory"
	"gatehouse/lab/internal/token"
)

// stored reads a user of the directory.
func (w *world) stored(upn string) (u directory.User) {
	w.store.View(harbour, func(t *directory.Tenant) { u = *t.User(upn) })
	return u
}

// TestPatchUser: what is written is there, a new password unlocks, and each
// permission reaches its members only.
func TestPatchUser(t *testing.T) {
	w := newWorld(t)
	const path = "/v1.0/users/svc-backup@harbour.example"
	r := w.must(204, everything, "PATCH", path, `{"displayName": "Backup", "department": "IT", "jobTitle": "Robot", "usageLocation": "DE", "accountEnabled": false}`)
	if r.text != "" || r.header.Get("Content-Type") != "" {
		t.Errorf("204 with a body: %q", r.text)
	}
	got := w.must(200, everything, "GET", path+"?$select=displayName,department,jobTitle,usageLocation,accountEnabled", "").body
	if got["displayName"] != "Backup" || got["department"] != "IT" || got["jobTitle"] != "Robot" || got["usageLocation"] != "DE" || got["accountEnabled"] != false {
		t.Errorf("read back: %v", got)
	}
	w.must(204, everything, "PATCH", path, `{"department": null}`)
	if u := w.stored("svc-backup@harbour.example"); u.Department != "" || u.LockedUntil.IsZero() || !u.PasswordExpired {
		t.Errorf("before the reset: %+v", u)
	}
	w.must(204, everything, "PATCH", path, `{"passwordProfile": {"password": "New-Password-456!", "forceChangePasswordNextSignIn": false}}`)
	u := w.stored("svc-backup@harbour.example")
	if !u.LockedUntil.IsZero() || u.FailedPasswords != 0 || u.PasswordExpired || !u.PasswordChanged.Equal(testNow) || !u.RefreshValidFrom.Equal(testNow) || !directory.CheckPassword(u.PasswordHash, "New-Password-456!") {
		t.Errorf("after the reset: %+v", u)
	}
	w.must(204, everything, "PATCH", path, `{"passwordProfile": {"password": "New-Password-789!"}}`)
	if !w.stored("svc-backup@harbour.example").PasswordExpired {
		t.Error("a reset without more must force a change")
	}

	ada := func(scopes string, roles ...string) caller { return w.user("ada@harbour.example", scopes, roles...) }
	const enable, reset, rename = `{"accountEnabled": true}`, `{"passwordProfile": {"password": "New-Password-456!"}}`, `{"department": "X"}`
	for _, c := range []struct {
		what   string
		who    caller
		upn    string
		body   string
		status int
	}{
		{"enable by its permission", app("User.EnableDisableAccount.All"), "ben@harbour.example", enable, 204},
		{"reset by the enabling permission", app("User.EnableDisableAccount.All"), "ben@harbour.example", reset, 403},
		{"reset by its permission", app("User-PasswordProfile.ReadWrite.All"), "ben@harbour.example", reset, 204},
		{"reset by Directory.ReadWrite.All", app("Directory.ReadWrite.All"), "ben@harbour.example", reset, 403},
		{"department by Directory.ReadWrite.All", app("Directory.ReadWrite.All"), "ben@harbour.example", rename, 204},
		{"a helpdesk resets a user", ada("User.ReadWrite.All", helpdeskAdministrator), "svc-backup@harbour.example", reset, 204},
		{"a helpdesk resets an administrator", ada2(w), "ada@harbour.example", reset, 403},
		{"the privileged role resets an administrator", w.user("ben@harbour.example", "User.ReadWrite.All", privilegedAuthentication), "ada@harbour.example", reset, 204},
		{"an ordinary user the own account", w.user("ben@harbour.example", "User.ReadWrite.All Directory.AccessAsUser.All"), "ben@harbour.example", enable, 403},
		{"a synchronised user's department", everything, "Cy.O'Neil@harbour.example", rename, 400},
		{"a synchronised user's account", everything, "Cy.O'Neil@harbour.example", enable, 204},
		{"short password", everything, "ben@harbour.example", `{"passwordProfile": {"password": "short"}}`, 400},
		{"empty name", everything, "ben@harbour.example", `{"displayName": ""}`, 400},
		{"long country", everything, "ben@harbour.example", `{"usageLocation": "DEU"}`, 400},
	} {
		if r := w.do(c.who, "PATCH", "/v1.0/users/"+c.upn, c.body); r.status != c.status {
			t.Errorf("%s: %d, want %d: %s", c.what, r.status, c.status, r.text)
		}
	}
	w.must(200, everything, "POST", "/v1.0/users/ben@harbour.example/revokeSignInSessions", "")
	if !w.stored("ben@harbour.example").TokensValidFrom.Equal(testNow) {
		t.Error("sessions are not revoked")
	}
}

func ada2(w *world) caller {
	return w.user("ben@harbour.example", "User.ReadWrite.All", helpdeskAdministrator)
}

// TestPerUserMFA: enabled becomes enforced once the user has registered.
func TestPerUserMFA(t *testing.T) {
	w := newWorld(t)
	for _, c := range []struct{ upn, state, want string }{
		{"ben@harbour.example", "enabled", "enforced"}, {"ben@harbour.example", "disabled", "disabled"}, {"svc-backup@harbour.example", "enabled", "enabled"}, {"svc-backup@harbour.example", "enforced", "enforced"},
	} {
		path := "/beta/users/" + c.upn + "/authentication/requirements"
		w.must(204, everything, "PATCH", path, `{"perUserMfaState": "`+c.state+`"}`)
		if r := w.must(200, everything, "GET", path, ""); r.body["perUserMfaState"] != c.want {
			t.Errorf("%s %s: %v", c.upn, c.state, r.body["perUserMfaState"])
		}
	}
	w.must(403, w.user("ben@harbour.example", "Policy.ReadWrite.AuthenticationMethod"), "PATCH", "/beta/me/authentication/requirements", `{"perUserMfaState": "disabled"}`)
	w.must(204, w.user("ben@harbour.example", "UserAuthenticationMethod.ReadWrite"), "PATCH", "/beta/me/authentication/signInPreferences", `{"userPreferredMethodForSecondaryAuthentication": "sms"}`)
	w.must(400, everything, "PATCH", "/beta/users/ben@harbour.example/authentication/requirements", `{"perUserMfaState": "on"}`)
	for body, status := range map[string]int{`{"userPreferredMethodForSecondaryAuthentication": "push"}`: 400, `{"userPreferredMethodForSecondaryAuthentication": "pigeon"}`: 400,
		`{"userPreferredMethodForSecondaryAuthentication": "oath"}`: 204, `{"userPreferredMethodForSecondaryAuthentication": "voiceOffice"}`: 400} {
		w.must(status, everything, "PATCH", "/beta/users/ben@harbour.example/authentication/signInPreferences", body)
	}
	w.must(204, everything, "PATCH", "/beta/users/ben@harbour.example/authentication/signInPreferences", `{"isSystemPreferredAuthenticationMethodEnabled": false}`)
	if r := w.must(200, everything, "GET", "/beta/users/ben@harbour.example/authentication/signInPreferences", ""); r.body["userPreferredMethodForSecondaryAuthentication"] != "oath" || r.body["isSystemPreferredAuthenticationMethodEnabled"] != false {
		t.Errorf("preferences: %s", r.text)
	}
	w.must(204, everything, "PATCH", "/v1.0/policies/identitySecurityDefaultsEnforcementPolicy", `{"isEnabled": false}`)
	if r := w.must(200, everything, "GET", "/v1.0/policies/identitySecurityDefaultsEnforcementPolicy", ""); r.body["isEnabled"] != false {
		t.Errorf("Security Defaults: %s", r.text)
	}
}

// TestGroupMembers: adding and removing by reference.
func TestGroupMembers(t *testing.T) {
	w := newWorld(t)
	members := "/v1.0/groups/" + w.ids["Ship crew"] + "/members"
	link := func(id string) string {
		return `{"@odata.id": "https://graph.microsoft.com/v1.0/directoryObjects/` + id + `"}`
	}
	w.must(204, everything, "POST", members+"/$ref", link(w.ids["svc-backup@harbour.example"]))
	if got := w.must(200, everything, "GET", members, "").names("id"); !slices.Contains(got, w.ids["svc-backup@harbour.example"]) {
		t.Errorf("members: %v", got)
	}
	w.must(400, everything, "POST", members+"/$ref", link(w.ids["svc-backup@harbour.example"]))
	w.must(404, everything, "POST", members+"/$ref", link(noRole))
	w.must(404, everything, "POST", members+"/$ref", `{}`)
	w.must(400, everything, "POST", members+"/$ref", link(w.ids["Ship crew"]))
	w.must(400, everything, "POST", "/v1.0/groups/"+w.ids["Role holders"]+"/members/$ref", link(w.ids["Ship crew"]))
	w.must(204, everything, "DELETE", members+"/"+w.ids["svc-backup@harbour.example"]+"/$ref", "")
	w.must(404, everything, "DELETE", members+"/"+w.ids["svc-backup@harbour.example"]+"/$ref", "")
}

// TestServicePrincipals: creating from another tenant's app, secrets, and what
// an app may do that writes only what it owns.
func TestServicePrincipals(t *testing.T) {
	w := newWorld(t)
	vendor := w.vendorID()
	made := w.must(201, app("Application.ReadWrite.OwnedBy"), "POST", "/v1.0/servicePrincipals", `{"appId": "`+vendor+`"}`)
	id := made.body["id"].(string)
	if made.body["appId"] != vendor || made.body["appOwnerOrganizationId"] != "33333333-aaaa-4aaa-8aaa-333333333333" || made.body["displayName"] != "Vendor" {
		t.Errorf("made: %s", made.text)
	}
	if r := w.must(409, everything, "POST", "/v1.0/servicePrincipals", `{"appId": "`+vendor+`"}`); r.code() != "Request_MultipleObjectsWithSameKeyValue" {
		t.Errorf("twice: %s", r.code())
	}
	w.must(400, everything, "POST", "/v1.0/servicePrincipals", `{"appId": "`+noRole+`"}`)
	w.must(400, everything, "POST", "/v1.0/servicePrincipals", `{"appId": "x"}`)
	w.store.Tenants(func(d *directory.Tenant) {
		for _, a := range d.Apps {
			if a.Name == "Private" {
				vendor = a.ClientID
			}
		}
	})
	w.must(400, everything, "POST", "/v1.0/servicePrincipals", `{"appId": "`+vendor+`"}`) // of another tenant, not multi-tenant

	secret := w.must(200, app("Application.ReadWrite.OwnedBy"), "POST", "/beta/servicePrincipals/"+id+"/addPassword", `{"passwordCredential": {"displayName": "push"}}`).body
	value, _ := secret["secretText"].(string)
	if len(value) < 16 || len(value) > 64 || secret["hint"] != value[:3] || secret["endDateTime"] != "2028-11-20T12:00:00Z" || secret["displayName"] != "push" {
		t.Errorf("secret: %v", secret)
	}
	w.store.View(harbour, func(d *directory.Tenant) {
		if w.store.CheckSecret(d.Principal(id).Secrets, value) == nil {
			t.Error("the secret does not open anything")
		}
	})
	shown := w.must(200, everything, "GET", "/v1.0/servicePrincipals/"+id, "").body["passwordCredentials"].([]any)[0].(map[string]any)
	if shown["secretText"] != nil || shown["keyId"] != secret["keyId"] {
		t.Errorf("shown again: %v", shown)
	}
	w.must(204, everything, "POST", "/v1.0/servicePrincipals/"+id+"/removePassword", `{"keyId": "`+secret["keyId"].(string)+`"}`)
	w.must(400, everything, "POST", "/v1.0/servicePrincipals/"+id+"/removePassword", `{"keyId": "`+secret["keyId"].(string)+`"}`)
	w.must(403, app("Application.ReadWrite.OwnedBy"), "POST", "/v1.0/servicePrincipals/"+w.ids["Portal"]+"/addPassword", "")
	w.must(403, app("Application.ReadWrite.OwnedBy"), "PATCH", "/v1.0/servicePrincipals/"+w.ids["Portal"], `{"accountEnabled": false}`)
	w.must(400, everything, "POST", "/v1.0/applications/"+w.ids["app Public tool"]+"/addPassword", "")
	w.must(400, everything, "POST", "/v1.0/applications/"+w.ids["app Reader"]+"/addPassword", `{"passwordCredential": {"endDateTime": "2020-01-01T00:00:00Z"}}`)

	byClient := "/v1.0/servicePrincipals(appId='" + w.ids["client Portal"] + "')"
	w.must(204, everything, "PATCH", byClient, `{"accountEnabled": false, "appRoleAssignmentRequired": true}`)
	if r := w.must(200, everything, "GET", byClient, ""); r.body["accountEnabled"] != false || r.body["appRoleAssignmentRequired"] != true {
		t.Errorf("patched: %s", r.text)
	}
	graph := w.must(200, everything, "GET", "/v1.0/servicePrincipals(appId='"+strings.ToUpper(graphID)+"')", "").body
	if len(graph["appRoles"].([]any)) < 20 || len(graph["oauth2PermissionScopes"].([]any)) < 20 {
		t.Error("Graph's own permissions are missing")
	}
	registration := w.must(200, everything, "GET", "/v1.0/applications(appId='"+w.ids["client Reader"]+"')", "").body
	if len(registration["keyCredentials"].([]any)) != 1 || len(registration["passwordCredentials"].([]any)) < 1 || len(registration["requiredResourceAccess"].([]any)) != 1 {
		t.Errorf("registration: %v", registration)
	}
}

// TestGrants: delegated grants and app role assignments come, change and go,
// and the directory's own view of them follows.
func TestGrants(t *testing.T) {
	w := newWorld(t)
	graph, ben := w.ids["Microsoft Graph"], w.ids["ben@harbour.example"]
	body := func(kind string, principal any) string {
		raw, _ := json.Marshal(map[string]any{"clientId": w.ids["Reader"], "consentType": kind, "principalId": principal, "resourceId": graph, "scope": "User.Read  openid"})
		return string(raw)
	}
	made := w.must(201, everything, "POST", "/v1.0/oauth2PermissionGrants", body("AllPrincipals", nil))
	if made.body["scope"] != "User.Read openid" || made.body["principalId"] != nil || made.body["startTime"] != nil {
		t.Errorf("made: %s", made.text)
	}
	w.must(409, everything, "POST", "/v1.0/oauth2PermissionGrants", body("AllPrincipals", nil))
	w.must(400, everything, "POST", "/v1.0/oauth2PermissionGrants", body("AllPrincipals", ben))
	w.must(400, everything, "POST", "/v1.0/oauth2PermissionGrants", body("Principal", nil))
	w.must(400, everything, "POST", "/v1.0/oauth2PermissionGrants", body("Everybody", nil))
	w.must(201, everything, "POST", "/v1.0/oauth2PermissionGrants", body("Principal", ben))
	path := "/v1.0/oauth2PermissionGrants/" + made.body["id"].(string)
	w.must(204, everything, "PATCH", path, `{"scope": "User.Read Mail.Read"}`)
	w.store.View(harbour, func(d *directory.Tenant) {
		if got := d.ScopesOf(w.ids["client Reader"], graphID, ben); !slices.Contains(got, "Mail.Read") {
			t.Errorf("scopes: %v", got)
		}
	})
	if r := w.must(200, everything, "GET", "/v1.0/oauth2PermissionGrants"+query("$filter", "clientId eq '"+w.ids["Reader"]+"' and consentType eq 'AllPrincipals'"), ""); len(r.value()) != 1 {
		t.Errorf("filtered: %s", r.text)
	}
	if r := w.must(200, everything, "GET", "/v1.0/users/ben@harbour.example/oauth2PermissionGrants", ""); len(r.value()) != 2 {
		t.Errorf("Ben's: %s", r.text)
	}
	if r := w.must(200, everything, "GET", "/beta/servicePrincipals/"+w.ids["Reader"]+"/oauth2PermissionGrants", ""); len(r.value()) != 2 || r.names("startTime")[0] == "" {
		t.Errorf("Reader's: %s", r.text)
	}
	w.must(204, everything, "DELETE", path, "")
	w.must(404, everything, "GET", path, "")

	role := "b0afded3-3588-46d8-8b3d-9842eff778da" // AuditLog.Read.All
	assign := func(principal, resource, role string) string {
		return `{"principalId": "` + principal + `", "resourceId": "` + resource + `", "appRoleId": "` + role + `"}`
	}
	own := "/v1.0/servicePrincipals/" + w.ids["Reader"] + "/appRoleAssignments"
	given := w.must(201, everything, "POST", own, assign(w.ids["Reader"], graph, role))
	if given.body["principalDisplayName"] != "Reader" || given.body["resourceDisplayName"] != "Microsoft Graph" || given.body["principalType"] != "ServicePrincipal" {
		t.Errorf("given: %s", given.text)
	}
	held := func() (roles []string) {
		w.store.View(harbour, func(d *directory.Tenant) { roles = d.AppRolesOf(w.ids["client Reader"], graphID) })
		return roles
	}
	if !slices.Contains(held(), "AuditLog.Read.All") {
		t.Errorf("roles: %v", held())
	}
	w.must(409, everything, "POST", own, assign(w.ids["Reader"], graph, role))
	w.must(400, everything, "POST", own, assign(w.ids["Portal"], graph, role))
	w.must(400, everything, "POST", own, assign(w.ids["Reader"], graph, directory.NameID("no role")))
	w.must(400, everything, "POST", "/v1.0/users/"+ben+"/appRoleAssignments", assign(ben, graph, role))
	if r := w.must(200, everything, "GET", "/v1.0/servicePrincipals/"+graph+"/appRoleAssignedTo", ""); !slices.Contains(r.names("id"), given.body["id"].(string)) {
		t.Errorf("assigned to Graph: %s", r.text)
	}
	w.must(204, everything, "DELETE", own+"/"+given.body["id"].(string), "")
	w.must(404, everything, "DELETE", own+"/"+given.body["id"].(string), "")
	if slices.Contains(held(), "AuditLog.Read.All") {
		t.Errorf("roles after: %v", held())
	}

	// Assigning a person lets the person in where assignment is required.
	to := "/v1.0/servicePrincipals/" + w.ids["Portal"] + "/appRoleAssignedTo"
	person := w.must(201, everything, "POST", to, assign(w.ids["ada@harbour.example"], w.ids["Portal"], noRole)).body["id"].(string)
	w.store.View(harbour, func(d *directory.Tenant) {
		if !slices.Contains(d.Principal(w.ids["Portal"]).Assigned, w.ids["ada@harbour.example"]) {
			t.Error("the sign-in service does not see the assignment")
		}
	})
	if r := w.must(200, everything, "GET", to, ""); len(r.value()) != 3 {
		t.Errorf("assigned: %s", r.text)
	}
	w.must(204, everything, "DELETE", to+"/"+person, "")
	if r := w.must(200, everything, "GET", to, ""); len(r.value()) != 2 {
		t.Errorf("assigned after: %s", r.text)
	}
}

// TestBatch: inner errors, dependencies, texts, and what makes a whole batch
// bad.
func TestBatch(t *testing.T) {
	w := newWorld(t)
	send := func(who caller, requests string) reply {
		t.Helper()
		return w.do(who, "POST", "/v1.0/$batch", `{"requests": [`+requests+`]}`)
	}
	r := send(everything, `
		{"id": "1", "method": "GET", "url": "/users/ben@harbour.example?$select=displayName"},
		{"id": "2", "method": "GET", "url": "users/nobody"},
		{"id": "3", "method": "GET", "url": "/organization", "dependsOn": ["2"]},
		{"id": "4", "method": "PATCH", "url": "/users/ben@harbour.example", "headers": {"Content-Type": "application/json"}, "body": {"department": "Deck"}},
		{"id": "5", "method": "GET", "url": "/users/ben@harbour.example?$select=department", "dependsOn": ["4"]},
		{"id": "6", "method": "GET", "url": "/users/$count", "headers": {"ConsistencyLevel": "eventual"}},
		{"id": "7", "method": "GET", "url": "https://graph.microsoft.com/v1.0/organization"},
		{"id": "8", "method": "PATCH", "url": "/users/ben@harbour.example", "body": {"department": "X"}},
		{"id": "9", "method": "POST", "url": "/$batch", "headers": {"Content-Type": "application/json"}, "body": {"requests": []}},
		{"id": "10", "method": "GET", "url": "/organization", "dependsOn": ["3"]}`)
	want := map[string]float64{"1": 200, "2": 404, "3": 424, "4": 204, "5": 200, "6": 200, "7": 400, "8": 415, "9": 400, "10": 424}
	list, _ := r.body["responses"].([]any)
	if r.status != 200 || len(list) != len(want) {
		t.Fatalf("batch: %d %s", r.status, r.text)
	}
	for _, v := range list {
		one := v.(map[string]any)
		id := one["id"].(string)
		if one["status"] != want[id] {
			t.Errorf("part %s: %v, want %v", id, one["status"], want[id])
		}
		body, _ := one["body"].(map[string]any)
		switch id {
		case "1":
			if body["displayName"] != "Ben Baker" || one["headers"].(map[string]any)["Content-Type"] != contentType {
				t.Errorf("part 1: %v", one)
			}
		case "2":
			if body["error"].(map[string]any)["code"] != "Request_ResourceNotFound" {
				t.Errorf("part 2: %v", one)
			}
		case "4":
			if one["body"] != nil {
				t.Errorf("part 4: %v", one)
			}
		case "5":
			if body["department"] != "Deck" {
				t.Errorf("part 5: %v", one)
			}
		case "6":
			if one["body"] != "5" {
				t.Errorf("part 6: %v", one)
			}
		}
	}
	var many []string
	for i := range 21 {
		many = append(many, fmt.Sprintf(`{"id": "%d", "method": "GET", "url": "/organization"}`, i))
	}
	if r := send(everything, strings.Join(many[:20], ",")); r.status != 200 {
		t.Errorf("20 requests: %d", r.status)
	}
	for what, requests := range map[string]string{
		"none": "", "too many": strings.Join(many, ","), "twice": many[1] + "," + many[1], "no id": `{"method": "GET", "url": "/me"}`, "no such": `{"id": "1", "method": "GET", "url": "/me", "dependsOn": ["9"]}`,
		"circle": `{"id": "1", "method": "GET", "url": "/a", "dependsOn": ["2"]}, {"id": "2", "method": "GET", "url": "/b", "dependsOn": ["1"]}`, "types": `{"id": 1, "method": "GET", "url": "/me"}`,
	} {
		if r := send(everything, requests); r.status != 400 {
			t.Errorf("%s: %d %s", what, r.status, r.text)
		}
	}
	if r := send(nil, many[0]); r.status != 401 {
		t.Errorf("without token: %d", r.status)
	}
	if r := send(app(), many[0]); r.status != 200 || r.body["responses"].([]any)[0].(map[string]any)["status"] != 403.0 {
		t.Errorf("without permission: %s", r.text)
	}
	w.must(405, everything, "GET", "/v1.0/$batch", "")
}

// TestConcurrent reads and writes at once; the race detector looks on.
func TestConcurrent(t *testing.T) {
	w := newWorld(t)
	bearer := w.bearer(everything)
	as := func(*token.Claims) {}
	var group sync.WaitGroup
	for i := range 4 {
		group.Go(func() {
			for j := range 15 {
				header := map[string][]string{"Authorization": {bearer}}
				name := fmt.Sprintf("Ben %d %d", i, j)
				calls := []struct{ method, path, body string }{
					{"PATCH", "/v1.0/users/ben@harbour.example", `{"displayName": "` + name + `"}`}, {"GET", "/beta/users", ""}, {"GET", "/v1.0/servicePrincipals", ""},
					{"POST", "/v1.0/servicePrincipals/" + w.ids["Reader"] + "/addPassword", ""}, {"GET", "/beta/auditLogs/signIns", ""}, {"GET", "/v1.0/groups/" + w.ids["Everyone"] + "/transitiveMembers", ""},
				}
				c := calls[j%len(calls)]
				if r := w.do(as, c.method, c.path, c.body, header); r.status/100 != 2 {
					t.Errorf("%s %s: %d %s", c.method, c.path, r.status, r.text)
				}
			}
		})
	}
	group.Wait()
}
