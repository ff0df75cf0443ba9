package graphsim

import (
	"net/http"
	"strings"
	"testing"

	"gatehouse/lab/internal/directory"
	"gatehouse/lab/internal/token"
)

// call gives an address and a body under which a route answers 2xx in a fresh
// world, for a caller whose app is Reader.
func (w *world) call(r *route) (path, body string) {
	if path, body, known := w.prepared(r); known {
		return path, body
	}
	ids := w.ids
	method := ""
	if strings.HasSuffix(r.pattern, "/{method}") {
		method = w.methodID(r.pattern)
	}
	first := strings.SplitN(r.pattern, "/", 2)[0]
	id := map[string]string{
		"users": ids["ben@harbour.example"], "groups": ids["Everyone"], "servicePrincipals": ids["Reader"], "applications": ids["app Reader"], "organization": harbour,
		"subscribedSkus": harbour + "_cbdc14ab-d96c-4c30-b9f4-6ada7cdc1d46", "directoryRoles": "roleTemplateId=" + globalAdministrator, "oauth2PermissionGrants": w.grantID(),
		"auditLogs": directory.NameID("sign-in", "0"), "reports": ids["ben@harbour.example"],
	}[first]
	switch {
	case strings.HasPrefix(r.pattern, "roleManagement/directory/roleDefinitions/"):
		id = globalReader
	case strings.HasPrefix(r.pattern, "roleManagement/directory/roleAssignments/"):
		id = w.must(200, everything, "GET", "/v1.0/roleManagement/directory/roleAssignments", "").names("id")[0]
	case strings.HasPrefix(r.pattern, configurationSet):
		id = "sms"
	case strings.Contains(r.pattern, "/{id}"):
		if made := w.madeFor(r); made != "" {
			id = made
		}
	}
	cast := "microsoft.graph.group"
	if first == "directoryRoles" {
		cast = "microsoft.graph.user"
	}
	path = strings.NewReplacer("{id}", id, "{cast}", cast, "{method}", method, "{member}", ids["Ship crew"], "{assignment}", w.assignmentID(r.pattern), "{classification}", w.classificationID(r), "{set}", w.setID(r)).Replace(r.pattern)
	if strings.HasPrefix(r.pattern, "directoryRoles/{id}/members/{member}") {
		path = strings.Replace(path, ids["Ship crew"], ids["ada@harbour.example"], 1)
	}
	if r.method == http.MethodGet || r.method == http.MethodDelete {
		return path, ""
	}
	graph := ids["Microsoft Graph"]
	if body := w.bodyOf(r); body != "" {
		return path, body
	}
	switch r.method + " " + r.pattern {
	case "PATCH users/{id}":
		return path, `{"accountEnabled": true}`
	case "POST users/{id}/checkMemberGroups":
		return path, `{"groupIds": ["` + ids["Everyone"] + `"]}`
	case "POST users/{id}/getMemberGroups":
		return path, `{"securityEnabledOnly": true}`
	case "POST users/{id}/appRoleAssignments":
		return path, `{"principalId": "` + id + `", "resourceId": "` + ids["Reader"] + `", "appRoleId": "` + noRole + `"}`
	case "PATCH users/{id}/authentication/requirements":
		return path, `{"perUserMfaState": "disabled"}`
	case "PATCH users/{id}/authentication/signInPreferences":
		return path, `{"userPreferredMethodForSecondaryAuthentication": "sms"}`
	case "POST groups/{id}/members/$ref":
		return path, `{"@odata.id": "https://graph.lab/v1.0/directoryObjects/` + ids["ben@harbour.example"] + `"}`
	case "PATCH policies/identitySecurityDefaultsEnforcementPolicy":
		return path, `{"isEnabled": false}`
	case "POST servicePrincipals":
		return path, `{"appId": "` + w.vendorID() + `"}`
	case "PATCH servicePrincipals/{id}":
		return path, `{"appRoleAssignmentRequired": true}`
	case "POST servicePrincipals/{id}/appRoleAssignments":
		return path, `{"principalId": "` + ids["Reader"] + `", "resourceId": "` + graph + `", "appRoleId": "b0afded3-3588-46d8-8b3d-9842eff778da"}`
	case "POST servicePrincipals/{id}/appRoleAssignedTo":
		return path, `{"principalId": "` + ids["ben@harbour.example"] + `", "resourceId": "` + ids["Reader"] + `", "appRoleId": "` + noRole + `"}`
	case "POST servicePrincipals/{id}/removePassword", "POST applications/{id}/removePassword":
		key := w.must(200, everything, "POST", "/v1.0/"+strings.Replace(path, "removePassword", "addPassword", 1), "").body["keyId"].(string)
		return path, `{"keyId": "` + key + `"}`
	case "POST oauth2PermissionGrants":
		return path, `{"clientId": "` + ids["Reader"] + `", "consentType": "AllPrincipals", "principalId": null, "resourceId": "` + graph + `", "scope": "User.Read"}`
	case "PATCH oauth2PermissionGrants/{id}":
		return path, `{"scope": "openid"}`
	}
	return path, ""
}

func (w *world) grantID() (id string) {
	w.store.View(harbour, func(t *directory.Tenant) { id = t.Grants[0].ID })
	return id
}

func (w *world) vendorID() (id string) {
	w.store.Tenants(func(t *directory.Tenant) {
		for _, a := range t.Apps {
			if a.Name == "Vendor" {
				id = a.ClientID
			}
		}
	})
	return id
}

func (w *world) methodID(pattern string) string {
	segment := strings.Split(pattern, "/")[3]
	for _, upn := range []string{"ben@harbour.example", "ada@harbour.example"} {
		list := w.must(200, everything, "GET", "/v1.0/users/"+upn+"/authentication/"+segment, "").names("id")
		if len(list) > 0 && upn == "ben@harbour.example" {
			return list[0]
		}
		if len(list) > 0 {
			w.lend(upn)
			return list[0]
		}
	}
	w.t.Fatalf("nobody has a method for %s", pattern)
	return ""
}

// lend gives Ben the methods of another user, too.
func (w *world) lend(upn string) {
	w.store.Update(harbour, func(t *directory.Tenant) {
		ben := t.User("ben@harbour.example")
		ben.Methods = append(ben.Methods, t.User(upn).Methods...)
	})
}

func (w *world) assignmentID(pattern string) string {
	if !strings.HasSuffix(pattern, "{assignment}") {
		return ""
	}
	list := "/v1.0/servicePrincipals/" + w.ids["Reader"] + "/appRoleAssignments"
	switch {
	case strings.HasPrefix(pattern, "users/"):
		list = "/v1.0/users/" + w.ids["ben@harbour.example"] + "/appRoleAssignments"
	case strings.Contains(pattern, "AssignedTo"):
		w.must(201, everything, "POST", "/v1.0/servicePrincipals/"+w.ids["Reader"]+"/appRoleAssignedTo",
			`{"principalId": "`+w.ids["ada@harbour.example"]+`", "resourceId": "`+w.ids["Reader"]+`", "appRoleId": "`+noRole+`"}`)
		list = "/v1.0/servicePrincipals/" + w.ids["Reader"] + "/appRoleAssignedTo"
	}
	return w.must(200, everything, "GET", list, "").names("id")[0]
}

// scopedPatch are bodies that the lesser permissions of PATCH /users reach.
var scopedPatch = map[string]string{
	"User.EnableDisableAccount.All": `{"accountEnabled": true}`, "User-PasswordProfile.ReadWrite.All": `{"passwordProfile": {"password": "New-Password-456!"}}`,
	"User.ReadWrite.All": `{"accountEnabled": true}`, "Directory.ReadWrite.All": `{"department": "Quay"}`, asUser: `{"accountEnabled": true}`,
}

// first and last keep one entry of a list.
func first(list []string) []string { return list[:min(1, len(list))] }

func last(list []string) []string { return list[max(0, len(list)-1):] }

// TestPermissions walks every route: without token 401, with a token that
// carries nothing 403, with each alternative of the table 2xx, and with the
// delegated permission but no directory role 403.
func TestPermissions(t *testing.T) {
	shared := newWorld(t) // for the routes that only read
	for i := range routes {
		r := &routes[i]
		for _, version := range []string{"v1.0", "beta"} {
			if r.only != "" && r.only != version {
				continue
			}
			t.Run(version+" "+r.method+" "+r.pattern, func(t *testing.T) {
				t.Parallel()
				w := shared
				if r.writes || prepares(r) || strings.HasSuffix(r.pattern, "/{method}") || strings.Contains(r.pattern, "/{") && sharedState(r) {
					w = newWorld(t)
				}
				path, body := w.call(r)
				try := func(who caller, ok bool, status int, what string) {
					t.Helper()
					if r.writes && ok { // what was written would stand in the next one's way
						w = newWorld(t)
						path, body = w.call(r)
					}
					if what, scoped := strings.CutPrefix(what, "users patch: "); scoped {
						body = scopedPatch[what]
					}
					if who == nil {
						got := w.do(nil, r.method, "/"+version+"/"+path, body)
						if got.status != 401 || got.header.Get("WWW-Authenticate") == "" || got.code() != "InvalidAuthenticationToken" {
							t.Errorf("%s: %d %s", what, got.status, got.text)
						}
						return
					}
					headers := eventual
					got := w.do(who, r.method, "/"+version+"/"+path, body, headers)
					good := got.status == status || ok && got.status/100 == 2
					if !good {
						t.Errorf("%s: %d %s", what, got.status, got.text)
					}
				}
				try(nil, false, 401, "no token")
				try(func(c *token.Claims) {
					app()(c)
					if r.need.reachesItself { // another one's token: TestOwnKeys
						c.AppID = w.ids["client Portal"]
					}
				}, false, 403, "empty app token")
				need := r.need
				if version == "beta" && r.only == "" { // the same row: one of each kind will do
					need.app, need.user, need.roles, need.self = first(need.app), last(need.user), first(need.roles), first(need.self)
				}
				what := "app "
				if r.method+r.pattern == "PATCHusers/{id}" {
					what = "users patch: "
				}
				for _, p := range need.app {
					try(app(strings.Split(p, "+")...), true, 0, what+p)
				}
				delegated := func(scopes string, roles ...string) caller {
					return w.user("ada@harbour.example", strings.ReplaceAll(scopes, "+", " "), roles...)
				}
				try(delegated("openid"), false, 403, "empty delegated token")
				for _, p := range need.user {
					try(delegated(p, globalAdministrator), true, 0, what+p)
				}
				for _, role := range need.roles {
					if r.pattern == "users/{id}" && role != userAdministrator {
						continue // what else each may change: TestPatchUser
					}
					try(delegated(need.user[len(need.user)-1], role), true, 0, "role "+role)
				}
				if need.roles != nil {
					try(delegated(need.user[len(need.user)-1]), false, 403, "no role")
				}
				for _, p := range need.self {
					try(w.user("ben@harbour.example", p), true, 0, "self "+p)
					try(delegated(p), false, 403, "self on another "+p)
				}
			})
		}
	}
}

// TestPremium: the log and the report need Entra ID P1.
func TestPremium(t *testing.T) {
	w := newWorld(t)
	for _, path := range []string{"auditLogs/signIns", "auditLogs/signIns/x", "reports/authenticationMethods/userRegistrationDetails"} {
		r := w.must(403, inPlain(everything), "GET", "/v1.0/"+path, "")
		if r.code() != "Authentication_RequestFromNonPremiumTenantOrB2CTenant" {
			t.Errorf("%s: %s", path, r.code())
		}
	}
	r := w.must(403, inPlain(everything), "GET", "/v1.0/users?$select=id,signInActivity", "")
	if r.code() != "Authentication_RequestFromNonPremiumTenantOrB2CTenant" {
		t.Errorf("signInActivity: %s", r.code())
	}
}

// TestTokens: what makes a token unacceptable, and in which forms the audience
// is accepted.
func TestTokens(t *testing.T) {
	w := newWorld(t)
	for name, c := range map[string]struct {
		change caller
		status int
	}{
		"client id":            {func(c *token.Claims) { c.Audience = graphID }, 200},
		"client id with slash": {func(c *token.Claims) { c.Audience = graphID + "/" }, 200},
		"address with slash":   {func(c *token.Claims) { c.Audience = "https://graph.microsoft.com/" }, 200},
		"other audience":       {func(c *token.Claims) { c.Audience = "https://management.azure.com" }, 401},
		"expired":              {func(c *token.Claims) { c.Expires = testNow.Add(-6 * 60 * 1e9).Unix() }, 401},
		"not yet valid":        {func(c *token.Claims) { c.NotBefore = testNow.Add(6 * 60 * 1e9).Unix() }, 401},
		"unknown tenant":       {func(c *token.Claims) { c.TenantID = directory.NameID("nobody") }, 401},
	} {
		t.Run(name, func(t *testing.T) {
			r := w.get(func(claims *token.Claims) { everything(claims); c.change(claims) }, "/v1.0/organization")
			if r.status != c.status {
				t.Errorf("status %d, want %d: %s", r.status, c.status, r.text)
			}
		})
	}
	for name, header := range map[string]string{"garbage": "Bearer abc.def.ghi", "basic": "Basic YTpi", "empty": "Bearer ", "foreign": "Bearer " + foreign(t)} {
		r := w.get(nil, "/v1.0/organization", http.Header{"Authorization": {header}})
		if r.status != 401 || r.code() != "InvalidAuthenticationToken" {
			t.Errorf("%s: %d %s", name, r.status, r.text)
		}
	}
}

func foreign(t *testing.T) string {
	compact, err := token.NewSigner(nil).Sign(&token.Claims{Audience: graphID, TenantID: harbour, Expires: testNow.Add(1e12).Unix()})
	if err != nil {
		t.Fatal(err)
	}
	return compact
}
