package graphsim

import (
	"strings"
	"testing"
	"time"

	"gatehouse/lab/internal/directory"
)

// TestFederatedCredentials: by id and by name, with the documented bounds, and
// in the audit log.
func TestFederatedCredentials(t *testing.T) {
	w := newWorld(t)
	set := "/v1.0/applications/" + w.ids["app Reader"] + "/federatedIdentityCredentials"
	made := w.must(201, everything, "POST", set, federatedBody)
	if made.body["description"] != nil || made.body["audiences"].([]any)[0] != "api://AzureADTokenExchange" {
		t.Errorf("made: %s", made.text)
	}
	w.must(204, everything, "PATCH", set+"(name='build-main')", `{"subject": "repo:harbour/ships:env:prod"}`)
	if r := w.must(200, everything, "GET", set+"/"+made.body["id"].(string), ""); r.body["subject"] != "repo:harbour/ships:env:prod" || r.body["issuer"] != "https://tokens.build.example" {
		t.Errorf("changed: %s", r.text)
	}
	w.must(409, everything, "POST", set, federatedBody)
	w.must(409, everything, "POST", set, strings.NewReplacer("build-main", "build-other", "ref:main", "env:prod").Replace(federatedBody))
	for _, change := range []string{`build-main|a`, `build-main|a b c`, `https://tokens|http://tokens`, `repo:harbour/ships:ref:main|`, `["api://AzureADTokenExchange"]|[]`, `["api://AzureADTokenExchange"]|["a", "b"]`} {
		from, to, _ := strings.Cut(change, "|")
		w.must(400, everything, "POST", set, strings.Replace(federatedBody, from, to, 1))
	}
	w.must(400, everything, "PATCH", set+"/"+made.body["id"].(string), `{"name": "renamed"}`)
	for i := len("x"); i < maxFederated; i++ {
		w.must(201, everything, "POST", set, strings.NewReplacer("build-main", "build-"+itoa(i), "ref:main", itoa(i)).Replace(federatedBody))
	}
	if r := w.must(400, everything, "POST", set, strings.NewReplacer("build-main", "build-last", "ref:main", "last").Replace(federatedBody)); r.code() != "Directory_QuotaExceeded" {
		t.Errorf("the twenty-first: %s", r.text)
	}
	w.must(204, everything, "DELETE", set+"/"+made.body["id"].(string), "")
	w.must(404, everything, "GET", set+"(name='build-main')", "")
	if r := w.must(200, everything, "GET", "/v1.0/auditLogs/directoryAudits"+query("$filter", "startswith(activityDisplayName,'Update application')"), ""); len(r.value()) != maxFederated+2 {
		t.Errorf("audit: %d", len(r.value()))
	}
}

// TestRollingKeys: a proof must be made out for the object, by one of its valid
// keys, for ten minutes at most.
func TestRollingKeys(t *testing.T) {
	w := newWorld(t)
	id := w.ids["app Reader"]
	_, key, second := w.proof(id)
	var held *directory.Certificate
	w.store.View(harbour, func(d *directory.Tenant) { held = d.Apps[0].Certificates[len(d.Apps[0].Certificates)-1] })
	claims := func(audience, issuer string, from, to time.Duration) string {
		return w.sign(held.Certificate, map[string]any{"aud": audience, "iss": issuer, "nbf": testNow.Add(from).Unix(), "exp": testNow.Add(to).Unix()})
	}
	path := "/v1.0/applications/" + id + "/addKey"
	body := func(proof string) string {
		return `{"keyCredential": {"type": "AsymmetricX509Cert", "usage": "Verify", "key": "` + second + `"}, "proof": "` + proof + `"}`
	}
	for what, proof := range map[string]string{
		"another audience": claims(graphID, id, 0, time.Minute), "another issuer": claims(proofAudience, w.ids["client Reader"], 0, time.Minute), "expired": claims(proofAudience, id, -2*time.Minute, -time.Minute),
		"too long": claims(proofAudience, id, 0, 11*time.Minute), "not yet": claims(proofAudience, id, time.Minute, 2*time.Minute),
	} {
		if r := w.must(403, everything, "POST", path, body(proof)); r.code() != "Authentication_MissingOrMalformed" {
			t.Errorf("%s: %s", what, r.text)
		}
	}
	w.must(400, everything, "POST", path, body("a.b.c"))
	good := claims(proofAudience, id, -time.Minute, 9*time.Minute)
	made := w.must(200, everything, "POST", path, body(good))
	if made.body["key"] != nil || made.body["keyId"] == key {
		t.Errorf("made: %s", made.text)
	}
	w.must(204, everything, "POST", strings.Replace(path, "addKey", "removeKey", 1), `{"keyId": "`+key+`", "proof": "`+good+`"}`)
	w.must(400, everything, "POST", strings.Replace(path, "addKey", "removeKey", 1), `{"keyId": "`+key+`", "proof": "`+good+`"}`)
	w.pass(2 * time.Hour)
	if r := w.must(403, everything, "POST", path, body(good)); r.code() != "Authentication_MissingOrMalformed" {
		t.Errorf("with an expired certificate: %s", r.text)
	}
}

// TestExposedAPI: what a registration offers as an API can be granted, and its
// service principal shows it.
func TestExposedAPI(t *testing.T) {
	w := newWorld(t)
	path := "/v1.0/applications/" + w.ids["app Portal"]
	scope, role := directory.NameID("a scope"), directory.NameID("a role")
	w.must(204, everything, "PATCH", path, `{"identifierUris": ["api://portal.harbour"], "web": {"implicitGrantSettings": {"enableIdTokenIssuance": true}},
		"api": {"requestedAccessTokenVersion": 2, "oauth2PermissionScopes": [{"id": "`+scope+`", "value": "Cargo.Read", "type": "Admin", "isEnabled": true}],
			"preAuthorizedApplications": [{"appId": "`+w.ids["client Reader"]+`", "delegatedPermissionIds": ["`+scope+`"]}]},
		"appRoles": [{"id": "`+role+`", "value": "Cargo.Write", "allowedMemberTypes": ["Application"], "isEnabled": true}]}`)
	r := w.must(200, everything, "GET", path, "")
	if at(r.body, "api", "requestedAccessTokenVersion") != 2.0 || at(at(r.body, "api", "preAuthorizedApplications").([]any)[0], "delegatedPermissionIds").([]any)[0] != scope || at(r.body, "web", "implicitGrantSettings", "enableIdTokenIssuance") != true {
		t.Errorf("application: %s", r.text)
	}
	r = w.must(200, everything, "GET", "/v1.0/servicePrincipals/"+w.ids["Portal"], "")
	if at(r.body["oauth2PermissionScopes"].([]any)[0], "type") != "Admin" || at(r.body["appRoles"].([]any)[0], "value") != "Cargo.Write" || r.body["servicePrincipalNames"].([]any)[1] != "api://portal.harbour" {
		t.Errorf("service principal: %s", r.text)
	}
	w.must(201, everything, "POST", "/v1.0/servicePrincipals/"+w.ids["Reader"]+"/appRoleAssignments", `{"principalId": "`+w.ids["Reader"]+`", "resourceId": "`+w.ids["Portal"]+`", "appRoleId": "`+role+`"}`)
	w.must(204, everything, "PATCH", "/v1.0/applications/"+w.ids["app Reader"], `{"requiredResourceAccess": [{"resourceAppId": "`+w.ids["client Portal"]+`", "resourceAccess": [{"id": "`+scope+`", "type": "Scope"}]}]}`)
	if r := w.must(200, everything, "GET", "/v1.0/applications/"+w.ids["app Reader"], ""); at(r.body["requiredResourceAccess"].([]any)[0], "resourceAppId") != w.ids["client Portal"] {
		t.Errorf("wanted: %s", r.text)
	}
	for _, bad := range []string{`{"identifierUris": ["portal"]}`, `{"appRoles": [{"id": "x", "value": "y"}]}`, `{"appRoles": [{"id": "` + role + `", "value": "a b"}]}`, `{"api": {"requestedAccessTokenVersion": 3}}`,
		`{"api": {"oauth2PermissionScopes": [{"id": "` + scope + `", "value": "A"}, {"id": "` + scope + `", "value": "B"}]}}`, `{"api": {"preAuthorizedApplications": [{"appId": "x", "delegatedPermissionIds": ["` + scope + `"]}]}}`} {
		w.must(400, everything, "PATCH", path, bad)
	}
}

// TestLaterMethods: methods that came later, sign-in by text message, and
// resetting a password.
func TestLaterMethods(t *testing.T) {
	w := newWorld(t)
	ben := "/users/ben@harbour.example/authentication/"
	_, hardware, _ := prepareMethodKnown(&route{segments: strings.Split("users/{id}/authentication/hardwareOathMethods", "/")})
	token := w.must(201, everything, "POST", "/beta"+ben+"hardwareOathMethods", hardware)
	if at(token.body, "device", "serialNumber") != "7" || at(token.body, "device", "secretKey") != nil {
		t.Errorf("token: %s", token.text)
	}
	w.must(400, everything, "POST", "/v1.0"+ben+"hardwareOathMethods", hardware) // beta only
	_, external, _ := prepareMethodKnown(&route{segments: strings.Split("users/{id}/authentication/externalAuthenticationMethods", "/")})
	w.must(201, everything, "POST", "/v1.0"+ben+"externalAuthenticationMethods", external)
	_, code, _ := prepareMethodKnown(&route{segments: strings.Split("users/{id}/authentication/qrCodePinMethod", "/")})
	made := w.must(201, everything, "PUT", "/beta"+ben+"qrCodePinMethod", code)
	if at(made.body, "standardQRCode", "image", "rawContent") == nil {
		t.Errorf("code: %s", made.text)
	}
	if r := w.must(200, everything, "GET", "/beta"+ben+"qrCodePinMethod", ""); at(r.body, "standardQRCode", "image") != nil || at(r.body, "pin", "code") != nil {
		t.Errorf("the code is shown again: %s", r.text)
	}
	w.must(400, everything, "PUT", "/beta"+ben+"qrCodePinMethod", strings.Replace(code, "90512873", "12", 1))
	if r := w.must(200, everything, "GET", "/v1.0"+ben+"methods", ""); !strings.Contains(r.text, "externalAuthenticationMethod") || !strings.Contains(r.text, "hardwareOathAuthenticationMethod") {
		t.Errorf("methods: %s", r.text)
	}
	phone := "/v1.0" + ben + "phoneMethods/" + directory.PhoneMobileID
	w.must(204, everything, "POST", phone+"/enableSmsSignIn", "")
	if r := w.must(200, everything, "GET", phone, ""); r.body["smsSignInState"] != "ready" {
		t.Errorf("enabled: %s", r.text)
	}
	w.must(204, everything, "POST", phone+"/disableSmsSignIn", "")

	ada := w.user("ada@harbour.example", "UserAuthenticationMethod.ReadWrite.All", authenticationAdministrator)
	reset := "/v1.0" + ben + "methods/" + directory.PasswordMethodID + "/resetPassword"
	w.must(403, everything, "POST", reset, "") // not for apps
	r := w.must(202, ada, "POST", reset, "")
	word, _ := r.body["newPassword"].(string)
	if u := w.stored("ben@harbour.example"); !directory.CheckPassword(u.PasswordHash, word) || !u.PasswordExpired {
		t.Errorf("reset to %q: %+v", word, u)
	}
	if got := w.must(200, ada, "GET", strings.TrimPrefix(r.header.Get("Location"), "https://graph.lab"), ""); got.body["status"] != "succeeded" {
		t.Errorf("operation: %s", got.text)
	}
	w.must(403, w.user("ben@harbour.example", "UserAuthenticationMethod.ReadWrite.All", authenticationAdministrator), "POST", strings.Replace(reset, "ben@", "ada@", 1), "") // an administrator
	self := w.user("ben@harbour.example", "UserAuthenticationMethod.ReadWrite")
	w.must(400, self, "POST", "/v1.0/me/changePassword", `{"currentPassword": "wrong", "newPassword": "Some-New-Password-2!"}`)
	w.must(204, self, "POST", "/v1.0/me/changePassword", `{"currentPassword": "`+word+`", "newPassword": "Some-New-Password-2!"}`)
	if u := w.stored("ben@harbour.example"); !directory.CheckPassword(u.PasswordHash, "Some-New-Password-2!") || u.PasswordExpired {
		t.Errorf("changed: %+v", u)
	}
}

// TestRegistrationSummary: the two functions count the report's people.
func TestRegistrationSummary(t *testing.T) {
	w := newWorld(t)
	count := func(path, list, label, name string) any {
		t.Helper()
		r := w.must(200, everything, "GET", "/v1.0/reports/authenticationMethods/"+path, "")
		for _, v := range r.body[list].([]any) {
			if at(v, label) == name {
				return at(v, "userCount")
			}
		}
		t.Fatalf("%s has no %s: %s", path, name, r.text)
		return nil
	}
	all := "(includedUserTypes='all',includedUserRoles='all')"
	if n := count("usersRegisteredByMethod"+all, "userRegistrationMethodCounts", "authenticationMethod", "fido2"); n != 1.0 {
		t.Errorf("fido2: %v", n)
	}
	if n := count("usersRegisteredByMethod(includedUserTypes='member',includedUserRoles='user')", "userRegistrationMethodCounts", "authenticationMethod", "fido2"); n != 0.0 {
		t.Errorf("fido2 of people without roles: %v", n)
	}
	if n := count("usersRegisteredByFeature"+all, "userRegistrationFeatureCounts", "feature", "mfaCapable"); n != 2.0 {
		t.Errorf("mfaCapable: %v", n)
	}
	w.must(400, everything, "GET", "/v1.0/reports/authenticationMethods/usersRegisteredByMethod(includedUserTypes='robots',includedUserRoles='all')", "")
	w.must(400, everything, "GET", "/v1.0/reports/authenticationMethods/usersRegisteredByMethod(who='x')", "")
}
