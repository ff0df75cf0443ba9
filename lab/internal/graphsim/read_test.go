package graphsim

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"gatehouse/lab/internal/directory"
	"gatehouse/lab/internal/token"
)

// TestHeaders: what every answer carries.
func TestHeaders(t *testing.T) {
	w := newWorld(t)
	for _, path := range []string{"/v1.0/organization", "/v1.0/users/nobody", "/v1.0/$metadata"} {
		r := w.get(everything, path, http.Header{"Client-Request-Id": {"mine"}})
		if r.header.Get("request-id") == "" || r.header.Get("client-request-id") != "mine" || r.header.Get("Date") != testNow.Format(http.TimeFormat) {
			t.Errorf("%s: headers %v", path, r.header)
		}
		if r.status == 200 {
			if r.header.Get("Content-Type") != contentType {
				t.Errorf("content type %q", r.header.Get("Content-Type"))
			}
			continue
		}
		inner, _ := r.body["error"].(map[string]any)["innerError"].(map[string]any)
		if inner["date"] != "2026-11-20T12:00:00" || inner["client-request-id"] != "mine" || inner["request-id"] != r.header.Get("request-id") {
			t.Errorf("%s: innerError %v", path, inner)
		}
	}
}

// TestErrors: status and code of what cannot be answered.
func TestErrors(t *testing.T) {
	w := newWorld(t)
	for _, c := range []struct {
		method, path, body string
		status             int
		code               string
	}{
		{"GET", "/v1.0/users/nobody@harbour.example", "", 404, "Request_ResourceNotFound"},
		{"GET", "/v1.0/groups/" + noRole, "", 404, "Request_ResourceNotFound"},
		{"GET", "/v1.0/servicePrincipals(appId='" + noRole + "')", "", 404, "Request_ResourceNotFound"},
		{"GET", "/v1.0/users/ben@harbour.example/authentication/phoneMethods/" + noRole, "", 404, "itemNotFound"},
		{"GET", "/v1.0/$metadata", "", 404, "NotFound"},
		{"GET", "/v1.0/teapots", "", 400, "BadRequest"},
		{"GET", "/v1.0/users/ben@harbour.example/teapots", "", 400, "BadRequest"},
		{"GET", "/v1.0/users/ben@harbour.example/memberOf/microsoft.graph.teapot", "", 400, "BadRequest"},
		{"GET", "/v2.0/users", "", 400, "BadRequest"},
		{"GET", "/v1.0", "", 400, "BadRequest"},
		{"GET", "/v1.0/policies", "", 400, "BadRequest"},
		{"GET", "/v1.0/me", "", 400, "BadRequest"}, // an application has no me
		{"GET", "/v1.0/users/ben@harbour.example/authentication/requirements", "", 400, "BadRequest"},
		{"DELETE", "/v1.0/users", "", 405, "Request_BadRequest"},
		{"GET", "/v1.0/users?$select=id,teapot", "", 400, "BadRequest"},
		{"GET", "/v1.0/users?$teapot=1", "", 400, "BadRequest"},
		{"GET", "/v1.0/users?$top=0", "", 400, "BadRequest"},
		{"GET", "/v1.0/users?$top=1000", "", 400, "Request_UnsupportedQuery"},
		{"GET", "/v1.0/users?$skip=1", "", 400, "Request_UnsupportedQuery"},
		{"GET", "/v1.0/users?$skiptoken=abc", "", 400, "BadRequest"},
		{"GET", "/v1.0/users?$expand=manager", "", 400, "BadRequest"},
		{"GET", "/v1.0/users?$orderby=teapot", "", 400, "Request_UnsupportedQuery"},
		{"GET", "/v1.0/users?$orderby=identities", "", 400, "Request_UnsupportedQuery"},
		{"GET", "/v1.0/users?$top=1&$top=2", "", 400, "BadRequest"},
		{"GET", "/v1.0/users/ben@harbour.example?$filter=id eq null", "", 400, "BadRequest"},
		{"GET", "/v1.0/users/ben@harbour.example/authentication/methods?$filter=id eq 'x'", "", 400, "BadRequest"},
		{"PATCH", "/v1.0/policies/identitySecurityDefaultsEnforcementPolicy", `{"isEnabled": true, "colour": 1}`, 400, "Request_BadRequest"},
		{"PATCH", "/v1.0/policies/identitySecurityDefaultsEnforcementPolicy", `{"isEnabled": "yes"}`, 400, "Request_BadRequest"},
		{"PATCH", "/v1.0/policies/identitySecurityDefaultsEnforcementPolicy", `[]`, 400, "BadRequest"},
		{"PATCH", "/v1.0/policies/identitySecurityDefaultsEnforcementPolicy", `{`, 400, "BadRequest"},
		{"PATCH", "/v1.0/policies/identitySecurityDefaultsEnforcementPolicy", `{"isEnabled": true, "x": "` + strings.Repeat("y", MaxBody) + `"}`, 413, "BadRequest"},
	} {
		r := w.do(everything, c.method, c.path, c.body)
		if r.status != c.status || r.code() != c.code {
			t.Errorf("%s %s: %d %s, want %d %s", c.method, c.path, r.status, r.code(), c.status, c.code)
		}
	}
	r := w.do(everything, "PATCH", "/v1.0/users/ben@harbour.example", `{"colour": 1}`)
	if !strings.Contains(r.text, "colour") {
		t.Errorf("an unknown member is not named: %s", r.text)
	}
	r = w.do(everything, "PATCH", "/v1.0/users/ben@harbour.example", "x=1", http.Header{"Content-Type": {"text/plain"}})
	if r.status != 415 {
		t.Errorf("foreign content type: %d", r.status)
	}
}

// TestUser: names, casing, default members and $select.
func TestUser(t *testing.T) {
	w := newWorld(t)
	ben := w.must(200, everything, "GET", "/v1.0/users/BEN@harbour.example", "")
	want := []string{"@odata.context", "businessPhones", "displayName", "givenName", "id", "jobTitle", "mail", "mobilePhone", "officeLocation", "preferredLanguage", "surname", "userPrincipalName"}
	if got := sortedKeys(ben.body); !slices.Equal(got, want) {
		t.Errorf("default members %v", got)
	}
	upper := w.must(200, everything, "GET", "/v1.0/users('"+strings.ToUpper(w.ids["ben@harbour.example"])+"')?select=accountEnabled,DEPARTMENT", "")
	if got := sortedKeys(upper.body); !slices.Equal(got, []string{"@odata.context", "accountEnabled", "department"}) {
		t.Errorf("selected members %v", got)
	}
	if upper.body["@odata.context"] != "https://graph.lab/v1.0/$metadata#users(accountEnabled,DEPARTMENT)/$entity" {
		t.Errorf("context %v", upper.body["@odata.context"])
	}
	quoted := w.must(200, everything, "GET", "/v1.0/users/Cy.O'Neil@harbour.example?$select=onPremisesSyncEnabled,accountEnabled", "")
	if quoted.body["onPremisesSyncEnabled"] != true || quoted.body["accountEnabled"] != false {
		t.Errorf("Cy: %v", quoted.body)
	}
	if len(w.must(200, everything, "GET", "/beta/users/ben@harbour.example", "").body) < 60 {
		t.Error("beta does not give the whole user")
	}
	guest := w.must(200, everything, "GET", "/v1.0/users/"+w.ids["dora@partner.onmicrosoft.com"]+"?$select=userType,externalUserState,creationType", "").body
	if guest["userType"] != "Guest" || guest["externalUserState"] != "Accepted" {
		t.Errorf("guest: %v", guest)
	}
	licensed := w.must(200, everything, "GET", "/v1.0/users/ben@harbour.example/licenseDetails", "")
	if !slices.Equal(licensed.names("skuPartNumber"), []string{"SPB"}) {
		t.Errorf("licences: %s", licensed.text)
	}
	activity := w.must(200, everything, "GET", "/v1.0/users/ben@harbour.example?$select=signInActivity", "").body["signInActivity"].(map[string]any)
	if activity["lastSignInDateTime"] != testNow.Add(-3*time.Minute).Format(time.RFC3339) || activity["lastNonInteractiveSignInRequestId"] != directory.NameID("sign-in", "10") {
		t.Errorf("activity: %v", activity)
	}
	w.must(403, app("User.Read.All"), "GET", "/v1.0/users?$select=signInActivity", "")
}

func sortedKeys(m map[string]any) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// TestSight: what a token may only half see comes with nulls, not with data.
func TestSight(t *testing.T) {
	w := newWorld(t)
	me := w.user("ben@harbour.example", "User.Read")
	if r := w.must(200, me, "GET", "/v1.0/me?$select=department", ""); r.body["department"] != "Stores" {
		t.Errorf("me: %s", r.text)
	}
	w.must(403, me, "GET", "/v1.0/users/ada@harbour.example", "")
	organization := w.must(200, me, "GET", "/v1.0/organization", "").value()[0].(map[string]any)
	if organization["displayName"] != "Harbour Freight Lines" || organization["verifiedDomains"] == nil || organization["assignedPlans"] != nil {
		t.Errorf("organization: %v", organization)
	}
	for _, v := range w.must(200, me, "GET", "/v1.0/me/memberOf", "").value() {
		if g := v.(map[string]any); g["id"] == nil || g["@odata.type"] != "#microsoft.graph.group" || g["displayName"] != nil {
			t.Errorf("a group that may not be read: %v", g)
		}
	}
	basic := w.must(200, app("User.ReadBasic.All"), "GET", "/v1.0/users/ben@harbour.example?$select=displayName,department,accountEnabled", "").body
	if basic["displayName"] != "Ben Baker" || basic["department"] != nil || basic["accountEnabled"] != nil {
		t.Errorf("basics: %v", basic)
	}
	for _, v := range w.must(200, app("GroupMember.Read.All"), "GET", "/v1.0/groups/"+w.ids["Ship crew"]+"/members", "").value() {
		if m := v.(map[string]any); m["id"] == nil || m["displayName"] != nil {
			t.Errorf("a member that may not be read: %v", m)
		}
	}
	// A filter must not tell what the eye may not see.
	if r := w.must(200, app("User.ReadBasic.All"), "GET", "/v1.0/users"+query("$filter", "department eq 'Stores'"), ""); len(r.value()) != 0 {
		t.Errorf("filter over hidden members found %v", r.names("id"))
	}
}

// TestMembership: groups in groups, roles and casts.
func TestMembership(t *testing.T) {
	w := newWorld(t)
	for _, c := range []struct {
		path, member string
		want         []string
	}{
		{"users/ben@harbour.example/memberOf", "displayName", []string{"Ship crew", "Role holders"}},
		{"users/ben@harbour.example/transitiveMemberOf", "displayName", []string{"Everyone", "Ship crew", "Role holders", "Reports Reader"}},
		{"users/ben@harbour.example/transitiveMemberOf/microsoft.graph.directoryRole", "displayName", []string{"Reports Reader"}},
		{"users/ben@harbour.example/transitiveMemberOf/microsoft.graph.group", "displayName", []string{"Everyone", "Ship crew", "Role holders"}},
		{"groups/" + w.ids["Everyone"] + "/members", "displayName", []string{"Ship crew", "Ada Admin"}},
		{"groups/" + w.ids["Everyone"] + "/transitiveMembers/microsoft.graph.user", "displayName", []string{"Ada Admin", "Ben Baker", "Cy O'Neil"}},
		{"groups/" + w.ids["Everyone"] + "/transitiveMembers/microsoft.graph.servicePrincipal", "displayName", []string{"Reader"}},
		{"servicePrincipals(appId='" + w.ids["client Reader"] + "')/memberOf", "displayName", []string{"Ship crew", "Global Reader"}},
		{"servicePrincipals/" + w.ids["Reader"] + "/transitiveMemberOf", "displayName", []string{"Everyone", "Ship crew", "Global Reader"}},
		{"directoryRoles", "displayName", []string{"Global Administrator", "Global Reader", "Reports Reader"}},
		{"directoryRoles(roleTemplateId='" + reportsReader + "')/members", "displayName", []string{"Role holders"}},
		{"directoryRoles/roleTemplateId=" + globalAdministrator + "/members", "displayName", []string{"Ada Admin"}},
		{"roleManagement/directory/roleAssignments" + query("$filter", "principalId eq '"+w.ids["Reader"]+"'"), "roleDefinitionId", []string{globalReader}},
		{"roleManagement/directory/roleAssignments" + query("$filter", "roleDefinitionId eq '"+reportsReader+"'"), "principalId", []string{w.ids["Role holders"]}},
	} {
		if got := w.must(200, everything, "GET", "/v1.0/"+c.path, "").names(c.member); !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", c.path, got, c.want)
		}
	}
	for _, v := range w.must(200, everything, "GET", "/v1.0/roleManagement/directory/roleAssignments?$expand=roleDefinition", "").value() {
		a := v.(map[string]any)
		if a["roleDefinition"].(map[string]any)["id"] != a["roleDefinitionId"] || a["directoryScopeId"] != "/" {
			t.Errorf("expanded assignment %v", a)
		}
	}
	check := w.must(200, everything, "POST", "/v1.0/users/ben@harbour.example/checkMemberGroups", `{"groupIds": ["`+strings.ToUpper(w.ids["Everyone"])+`", "`+noRole+`"]}`)
	if len(check.value()) != 1 || check.value()[0] != w.ids["Everyone"] {
		t.Errorf("checkMemberGroups: %s", check.text)
	}
	w.must(400, everything, "POST", "/v1.0/users/ben@harbour.example/checkMemberGroups", `{"groupIds": []}`)
	if r := w.must(200, everything, "POST", "/v1.0/users/ben@harbour.example/getMemberGroups", `{"securityEnabledOnly": true}`); len(r.value()) != 3 {
		t.Errorf("getMemberGroups: %s", r.text)
	}
}

// TestMethods: each type by its segment, the same ids for every user, and the
// masked number.
func TestMethods(t *testing.T) {
	w := newWorld(t)
	all := w.must(200, everything, "GET", "/v1.0/users/ben@harbour.example/authentication/methods", "")
	want := []string{"passwordAuthenticationMethod", "phoneAuthenticationMethod", "emailAuthenticationMethod", "softwareOathAuthenticationMethod", "windowsHelloForBusinessAuthenticationMethod", "temporaryAccessPassAuthenticationMethod"}
	for i, kind := range all.names("@odata.type") {
		if kind != "#microsoft.graph."+want[i] {
			t.Errorf("method %d is %s", i, kind)
		}
	}
	if len(all.value()) != len(want) {
		t.Errorf("methods: %s", all.text)
	}
	phone := "/v1.0/users/ben@harbour.example/authentication/phoneMethods/" + directory.PhoneMobileID
	if r := w.must(200, everything, "GET", phone, ""); r.body["phoneNumber"] != "+44 7700900123" || r.body["phoneType"] != "mobile" {
		t.Errorf("phone: %s", r.text)
	}
	if r := w.must(200, w.user("ada@harbour.example", "UserAuthenticationMethod.Read.All", authenticationAdministrator), "GET", phone, ""); r.body["phoneNumber"] != "+44 XXXXXXXX23" {
		t.Errorf("masked phone: %v", r.body["phoneNumber"])
	}
	if r := w.must(200, w.user("ben@harbour.example", "UserAuthenticationMethod.Read"), "GET", "/v1.0/me/authentication/phoneMethods", ""); r.names("phoneNumber")[0] != "+44 7700900123" {
		t.Errorf("own phone: %s", r.text)
	}
	pass := w.must(200, everything, "GET", "/v1.0/users/ben@harbour.example/authentication/temporaryAccessPassMethods", "").value()[0].(map[string]any)
	if pass["isUsable"] != true || pass["lifetimeInMinutes"] != 60.0 || pass["temporaryAccessPass"] != nil {
		t.Errorf("pass: %v", pass)
	}
	r := w.do(w.user("ada@harbour.example", "UserAuthenticationMethod.Read.All"), "GET", phone, "")
	if r.status != 403 || r.code() != "accessDenied" {
		t.Errorf("no role: %d %s", r.status, r.code())
	}
	details := w.must(200, everything, "GET", "/v1.0/reports/authenticationMethods/userRegistrationDetails"+query("$filter", "isMfaRegistered eq true and userType eq 'member'", "$orderby", "userPrincipalName desc"), "")
	if !slices.Equal(details.names("userPrincipalName"), []string{"ben@harbour.example", "ada@harbour.example"}) {
		t.Errorf("report: %s", details.text)
	}
	if one := details.value()[1].(map[string]any); one["isAdmin"] != true || one["userPreferredMethodForSecondaryAuthentication"] != "push" || one["isPasswordlessCapable"] != true {
		t.Errorf("Ada's report: %v", one)
	}
}

// TestPolicies: what the tenants file says comes out in Graph's words.
func TestPolicies(t *testing.T) {
	w := newWorld(t)
	if r := w.must(200, everything, "GET", "/v1.0/policies/identitySecurityDefaultsEnforcementPolicy", ""); r.body["isEnabled"] != true || r.body["id"] != "00000000-0000-0000-0000-000000000005" {
		t.Errorf("Security Defaults: %s", r.text)
	}
	for consent, want := range map[string]any{"all": "ManagePermissionGrantsForSelf.microsoft-user-default-legacy", "low_risk": "ManagePermissionGrantsForSelf.microsoft-user-default-low",
		"managed": "ManagePermissionGrantsForSelf.microsoft-user-default-recommended", "none": nil} {
		w.store.Update(harbour, func(d *directory.Tenant) { d.Consent.Users = consent })
		var got any
		list := w.must(200, everything, "GET", "/v1.0/policies/authorizationPolicy", "").body["defaultUserRolePermissions"].(map[string]any)["permissionGrantPoliciesAssigned"].([]any)
		if len(list) > 0 {
			got = list[0]
		}
		if got != want {
			t.Errorf("consent %s: %v", consent, got)
		}
	}
	if r := w.must(200, everything, "GET", "/beta/policies/authorizationPolicy", ""); len(r.value()) != 1 {
		t.Errorf("beta collection: %s", r.text)
	}
	if r := w.must(200, everything, "GET", "/beta/policies/authorizationPolicy/authorizationPolicy", ""); r.body["id"] != "authorizationPolicy" {
		t.Errorf("beta policy: %s", r.text)
	}
	if r := w.must(200, everything, "GET", "/v1.0/policies/adminConsentRequestPolicy", ""); r.body["isEnabled"] != true || len(r.body["reviewers"].([]any)) != 1 {
		t.Errorf("consent requests: %s", r.text)
	}
	if r := w.must(200, everything, "GET", "/v1.0/policies/authenticationMethodsPolicy/authenticationMethodConfigurations/microsoftauthenticator", ""); r.body["state"] != "enabled" {
		t.Errorf("configuration: %s", r.text)
	}
	for _, set := range []string{"policies", "namedLocations"} {
		if r := w.must(200, everything, "GET", "/v1.0/identity/conditionalAccess/"+set, ""); r.body["value"] == nil || len(r.value()) != 0 {
			t.Errorf("%s: %s", set, r.text)
		}
	}
	sku := w.must(200, everything, "GET", "/v1.0/subscribedSkus", "").value()[0].(map[string]any)
	if sku["skuPartNumber"] != "SPB" || sku["consumedUnits"] != 2.0 || sku["id"] != harbour+"_"+sku["skuId"].(string) {
		t.Errorf("sku: %v", sku)
	}
}

// TestSignIns: newest first, the kinds of entries, the documented filters.
func TestSignIns(t *testing.T) {
	w := newWorld(t)
	id := func(i int) string { return directory.NameID("sign-in", itoa(i)) }
	minute := func(i int) string { return testNow.Add(time.Duration(i-12) * time.Minute).Format(time.RFC3339) }
	for _, c := range []struct {
		path string
		want []int
	}{
		{"/v1.0/auditLogs/signIns", []int{9, 8, 5, 4, 1, 0}},
		{"/beta/auditLogs/signIns", []int{9, 8, 5, 4, 1, 0}},
		{"/v1.0/auditLogs/signIns" + query("$orderby", "createdDateTime asc"), []int{0, 1, 4, 5, 8, 9}},
		{"/beta/auditLogs/signIns" + query("$filter", "signInEventTypes/any(t: t eq 'nonInteractiveUser')"), []int{10, 6, 2}},
		{"/beta/auditLogs/signIns" + query("$filter", "signInEventTypes/any(t:t eq 'servicePrincipal')"), []int{11, 7, 3}},
		{"/beta/auditLogs/signIns" + query("$filter", "signInEventTypes/any(t:t eq 'interactiveUser' or t eq 'servicePrincipal') and createdDateTime ge "+minute(7)), []int{11, 9, 8, 7}},
		{"/v1.0/auditLogs/signIns" + query("$filter", "status/errorCode eq 50076"), []int{9, 5, 1}},
		{"/v1.0/auditLogs/signIns" + query("$filter", "createdDateTime ge "+minute(4)+" and createdDateTime le "+minute(8)), []int{8, 5, 4}},
		{"/v1.0/auditLogs/signIns" + query("$filter", "correlationId eq '"+directory.NameID("correlation", "4")+"'"), []int{4}},
		{"/v1.0/auditLogs/signIns" + query("$filter", "ipAddress eq '192.0.2.8' or startswith(ipAddress,'192.0.2.9')"), []int{9, 8}},
		{"/v1.0/auditLogs/signIns" + query("$filter", "userPrincipalName eq 'Ben@harbour.example' and appId eq '"+directory.GraphCLIID+"' and clientAppUsed eq 'Browser'"), nil},
	} {
		var want []string
		for _, i := range c.want {
			want = append(want, id(i))
		}
		if got := w.must(200, everything, "GET", c.path, "").names("id"); !slices.Equal(got, want) && len(got)+len(want) > 0 {
			t.Errorf("%s: %v, want %v", c.path, got, c.want)
		}
	}
	w.must(400, everything, "GET", "/v1.0/auditLogs/signIns"+query("$filter", "status/additionalDetails eq 'x'"), "")
	w.must(400, everything, "GET", "/v1.0/auditLogs/signIns"+query("$filter", "authenticationRequirement eq 'x'"), "")
	one := w.must(200, everything, "GET", "/beta/auditLogs/signIns/"+id(1), "").body
	if one["authenticationRequirement"] != "multiFactorAuthentication" || one["authenticationProtocol"] != "ropc" || one["status"].(map[string]any)["errorCode"] != 50076.0 {
		t.Errorf("sign-in: %v", one)
	}
	if p := one["authenticationRequirementPolicies"].([]any)[0].(map[string]any); p["requirementProvider"] != "securityDefaults" {
		t.Errorf("requirement: %v", p)
	}
	w.must(404, everything, "GET", "/v1.0/auditLogs/signIns/"+id(3), "")
}

// TestPaging walks to the end with every page size: nothing twice, nothing
// missing, never more than asked; also where the lab cuts pages short.
func TestPaging(t *testing.T) {
	var state uint64 = 1
	hostile := func(c *Config) {
		c.Deterministic = false
		c.Random = func() uint64 { state = state*6364136223846793005 + 1442695040888963407; return state >> 16 }
	}
	for name, change := range map[string]func(*Config){"plain": func(*Config) {}, "hostile": hostile, "small": func(c *Config) { c.PageSize = 2 }} {
		w := newWorld(t, change)
		w.store.Update(harbour, func(d *directory.Tenant) {
			for i := range 230 {
				n := itoa(i)
				d.AddUser(&directory.User{ID: directory.NameID("crowd", n), UPN: "crowd" + n + "@harbour.example", Name: "Crowd " + n, Type: directory.Member, Enabled: i%2 == 0, Created: testNow})
			}
		})
		for _, c := range []struct {
			path  string
			total int
			most  int
		}{
			{"/v1.0/users", 235, 100},
			{"/v1.0/users?$top=7&$select=id", 235, 7},
			{"/v1.0/users" + query("$top", "50", "$filter", "startswith(displayName,'Crowd ') and accountEnabled eq true"), 115, 50},
			{"/v1.0/users" + query("$top", "9", "$orderby", "displayName desc"), 235, 9},
			{"/beta/auditLogs/signIns?$top=1", 6, 1},
			{"/v1.0/servicePrincipals?$top=2", len(w.must(200, everything, "GET", "/v1.0/servicePrincipals?$top=999", "").value()), 2},
			{"/v1.0/subscribedSkus", 2, 2},
		} {
			if name != "plain" && strings.Contains(c.path, "servicePrincipals") {
				continue // the total above is one page of many
			}
			seen := map[string]bool{}
			next := c.path
			for pages := 0; next != ""; pages++ {
				if pages > 400 {
					t.Fatalf("%s %s: does not end", name, c.path)
				}
				r := w.must(200, everything, "GET", next, "")
				if len(r.value()) > c.most || len(r.value()) == 0 {
					t.Errorf("%s %s: a page of %d", name, c.path, len(r.value()))
				}
				for _, id := range r.names("id") {
					if seen[id] {
						t.Errorf("%s %s: %s comes twice", name, c.path, id)
					}
					seen[id] = true
				}
				link, _ := r.body["@odata.nextLink"].(string)
				next = strings.TrimPrefix(link, "https://graph.lab")
			}
			if len(seen) != c.total {
				t.Errorf("%s %s: %d objects, want %d", name, c.path, len(seen), c.total)
			}
		}
		// A token of one query serves no other, and a new sign-in shifts no page.
		link := w.must(200, everything, "GET", "/v1.0/auditLogs/signIns?$top=2", "").body["@odata.nextLink"].(string)
		u, err := url.Parse(link)
		if err != nil {
			t.Fatal(err)
		}
		w.must(400, everything, "GET", "/v1.0/users"+query("$skiptoken", u.Query().Get("$skiptoken")), "")
		first := w.must(200, everything, "GET", u.RequestURI(), "").names("id")[0]
		w.store.Update(harbour, func(d *directory.Tenant) {
			d.Log(&directory.SignIn{ID: directory.NameID("late"), Time: testNow, UserID: w.ids["ben@harbour.example"], Interactive: true})
		})
		if again := w.must(200, everything, "GET", u.RequestURI(), "").names("id")[0]; again != first {
			t.Errorf("%s: a new sign-in moved the page from %s to %s", name, first, again)
		}
	}
}

// TestDeterministic: without randomness equal questions have equal answers,
// with it the order of members changes and nothing else.
func TestDeterministic(t *testing.T) {
	texts := map[string]bool{}
	for range 5 {
		texts[newWorld(t).must(200, everything, "GET", "/v1.0/users?$top=2", "").text] = true
	}
	if len(texts) != 1 {
		t.Errorf("%d different answers", len(texts))
	}
	var state uint64 = 3
	w := newWorld(t, func(c *Config) {
		c.Deterministic, c.Random = false, func() uint64 { state = state*6364136223846793005 + 1442695040888963407; return state >> 16 }
	})
	orders := map[string]bool{}
	for range 20 {
		r := w.must(200, everything, "GET", "/v1.0/users/ben@harbour.example?$select=id,displayName,surname", "")
		if r.body["displayName"] != "Ben Baker" || len(r.body) != 4 {
			t.Fatalf("answer: %s", r.text)
		}
		orders[r.text] = true
	}
	if len(orders) < 3 {
		t.Error("the order of members never changes")
	}
}

// TestOtherTenant: a token sees its own tenant only.
func TestOtherTenant(t *testing.T) {
	w := newWorld(t)
	if r := w.must(200, inPlain(everything), "GET", "/v1.0/users", ""); !slices.Equal(r.names("displayName"), []string{"Pat Plain"}) {
		t.Errorf("users: %s", r.text)
	}
	w.must(404, inPlain(everything), "GET", "/v1.0/users/"+w.ids["ben@harbour.example"], "")
	guest := func(c *token.Claims) { everything(c); c.TenantID = "HARBOUR.onmicrosoft.com" }
	w.must(200, guest, "GET", "/v1.0/organization", "")
}
