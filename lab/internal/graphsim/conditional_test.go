package graphsim

import (
	"encoding/json"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"gatehouse/lab/internal/directory"
)

const (
	caPath       = "/v1.0/identity/conditionalAccess/policies"
	locationPath = "/v1.0/identity/conditionalAccess/namedLocations"
)

func at(v any, path ...string) any {
	for _, name := range path {
		m, _ := v.(map[string]any)
		v = m[name]
	}
	return v
}

// has reports whether an object has a member, null or not.
func has(v any, name string) bool {
	m, _ := v.(map[string]any)
	_, there := m[name]
	return there
}

// TestPolicyBlocks: unset blocks read as null, beta has members that v1.0 has
// not, and what nobody knows is kept.
func TestPolicyBlocks(t *testing.T) {
	w := newWorld(t)
	r := w.must(201, everything, "POST", caPath, strings.Replace(policyBody, `"state"`, `"futureMember": {"x": 1}, "templateId": null, "state"`, 1))
	id := r.body["id"].(string)
	got := w.must(200, everything, "GET", caPath+"/"+strings.ToUpper(id), "").body
	for _, name := range []string{"sessionControls", "modifiedDateTime", "templateId"} {
		if !has(got, name) || got[name] != nil {
			t.Errorf("v1.0: %s is %v", name, got[name])
		}
	}
	conditions := got["conditions"]
	for _, name := range []string{"platforms", "locations", "devices", "clientApplications", "authenticationFlows", "insiderRiskLevels"} {
		if !has(conditions, name) || at(conditions, name) != nil {
			t.Errorf("v1.0: conditions.%s is %v", name, at(conditions, name))
		}
	}
	if has(conditions, "times") || has(got, "deletedDateTime") || has(at(conditions, "applications"), "networkAccess") {
		t.Errorf("v1.0 shows members of beta: %v", got)
	}
	if !has(at(got, "grantControls"), "authenticationStrength") || len(at(got, "grantControls", "termsOfUse").([]any)) != 0 || at(got, "futureMember", "x") != 1.0 || got["createdDateTime"] != "2026-11-20T12:00:00Z" {
		t.Errorf("policy: %v", got)
	}
	if list := at(conditions, "users", "includeGroups"); list == nil || len(list.([]any)) != 0 {
		t.Errorf("users: %v", at(conditions, "users"))
	}
	beta := w.must(200, everything, "GET", "/beta/identity/conditionalAccess/policies/"+id, "").body
	if !has(beta["conditions"], "times") || !has(beta, "deletedDateTime") || !has(at(beta, "conditions", "applications"), "networkAccess") {
		t.Errorf("beta: %v", beta)
	}
	for filter, want := range map[string]int{"displayName eq 'everyone, mfa'": 1, "state eq 'enabled'": 0, "startswith(displayName,'Every') and state eq 'disabled'": 1, "createdDateTime ge 2026-01-01T00:00:00Z": 1} {
		if r := w.must(200, everything, "GET", caPath+query("$filter", filter), ""); len(r.value()) != want {
			t.Errorf("%s: %s", filter, r.text)
		}
	}
}

// TestPolicyChanges: PATCH replaces at the level that was sent, DELETE moves to
// the deleted items.
func TestPolicyChanges(t *testing.T) {
	w := newWorld(t)
	id := w.made("identity/conditionalAccess/policies", policyBody)
	path := caPath + "/" + id
	w.must(204, everything, "PATCH", path, `{"conditions": {"users": {"includeUsers": ["All"], "excludeUsers": ["`+w.ids["ben@harbour.example"]+`"]}}}`)
	got := w.must(200, everything, "GET", path, "").body
	if users := at(got, "conditions", "users", "excludeUsers").([]any); len(users) != 1 || users[0] != w.ids["ben@harbour.example"] {
		t.Errorf("users: %v", users)
	}
	if apps := at(got, "conditions", "applications", "includeApplications").([]any); len(apps) != 1 || got["modifiedDateTime"] == nil {
		t.Errorf("the other blocks are gone: %v", got)
	}
	w.must(204, everything, "PATCH", path, `{"grantControls": null, "sessionControls": {"signInFrequency": {"value": 4, "type": "hours", "isEnabled": true}}}`)
	got = w.must(200, everything, "GET", path, "").body
	if got["grantControls"] != nil || at(got, "sessionControls", "signInFrequency", "value") != 4.0 || at(got, "sessionControls", "signInFrequency", "frequencyInterval") != "timeBased" || !has(got["sessionControls"], "persistentBrowser") {
		t.Errorf("session: %v", got)
	}
	w.must(400, everything, "PATCH", path, `{"conditions": {"users": null}}`)
	r := w.must(400, everything, "PATCH", path, `{"state": "enabled"}`)
	if !strings.Contains(r.text, "Security Defaults") {
		t.Errorf("with Security Defaults: %s", r.text)
	}
	w.must(204, everything, "PATCH", "/v1.0/policies/identitySecurityDefaultsEnforcementPolicy", `{"isEnabled": false}`)
	w.must(204, everything, "PATCH", path, `{"state": "enabled"}`)
	w.must(204, everything, "DELETE", path, "")
	w.must(404, everything, "GET", path, "")
	w.must(404, everything, "DELETE", path, "")
	gone := w.must(200, everything, "GET", "/beta/identity/conditionalAccess/deletedItems/policies", "")
	if names := gone.names("id"); !slices.Equal(names, []string{id}) || gone.value()[0].(map[string]any)["deletedDateTime"] == nil {
		t.Errorf("deleted items: %s", gone.text)
	}
	if r := w.must(403, inPlain(everything), "POST", caPath, policyBody); r.code() != "AccessDenied" {
		t.Errorf("without licence: %s", r.text)
	}
}

// TestPolicyRules: what is refused, and that the answer names the member.
func TestPolicyRules(t *testing.T) {
	w := newWorld(t)
	location := w.made("identity/conditionalAccess/namedLocations", locationBody)
	const apps, users, grant = `"applications": {"includeApplications": ["All"]}`, `"users": {"includeUsers": ["All"]}`, `"grantControls": {"operator": "OR", "builtInControls": ["mfa"]}`
	policy := func(conditions, rest string) string {
		return `{"displayName": "P", "state": "disabled", "conditions": {` + conditions + `}` + rest + `}`
	}
	for _, c := range []struct{ body, member string }{
		{policy(apps+","+users, ","+grant), ""},
		{`{"state": "disabled", "conditions": {` + apps + "," + users + `},` + grant + `}`, "displayName"},
		{`{"displayName": "P", "conditions": {` + apps + "," + users + `},` + grant + `}`, "state"},
		{`{"displayName": "P", "state": "on", "conditions": {` + apps + "," + users + `},` + grant + `}`, "state"},
		{`{"displayName": "P", "state": "disabled",` + grant + `}`, "conditions"},
		{policy(users, ","+grant), "conditions.applications"},
		{policy(`"applications": {"includeApplications": []},`+users, ","+grant), "conditions.applications.includeApplications"},
		{policy(`"applications": {"includeUserActions": ["urn:user:registersecurityinfo"]},`+users, ","+grant), ""},
		{policy(`"applications": {"includeUserActions": ["urn:user:dance"]},`+users, ","+grant), "conditions.applications.includeUserActions[0]"},
		{policy(`"applications": {"includeApplications": ["Everything"]},`+users, ","+grant), "conditions.applications.includeApplications[0]"},
		{policy(apps, ","+grant), "conditions.users"},
		{policy(apps+`,"users": {"includeUsers": ["ben"]}`, ","+grant), "conditions.users.includeUsers[0]"},
		{policy(apps+`,"users": "All"`, ","+grant), "conditions.users"},
		{policy(apps+`,"clientApplications": {"includeServicePrincipals": ["ServicePrincipalsInMyTenant"]}`, ","+grant), ""},
		{policy(apps+`,"users": {"includeGuestsOrExternalUsers": {"guestOrExternalUserTypes": "internalGuest, serviceProvider", "externalTenants": {"@odata.type": "#microsoft.graph.conditionalAccessAllExternalTenants", "membershipKind": "all"}}}`, ","+grant), ""},
		{policy(apps+`,"users": {"includeGuestsOrExternalUsers": {"guestOrExternalUserTypes": "stranger"}}`, ","+grant), "guestOrExternalUserTypes"},
		{policy(apps+","+users, ""), "grantControls"},
		{policy(apps+","+users, `,"sessionControls": {"signInFrequency": null}`), "grantControls"},
		{policy(apps+","+users, `,"grantControls": {"builtInControls": ["mfa"]}`), "grantControls.operator"},
		{policy(apps+","+users, `,"grantControls": {"operator": "OR", "builtInControls": []}`), "grantControls.builtInControls"},
		{policy(apps+","+users, `,"grantControls": {"operator": "OR", "builtInControls": ["luck"]}`), "grantControls.builtInControls[0]"},
		{policy(apps+","+users, `,"grantControls": {"operator": "AND", "builtInControls": ["passwordChange"]}`), "grantControls.builtInControls"},
		{policy(apps+","+users, `,"grantControls": {"operator": "AND", "builtInControls": ["passwordChange", "mfa"]}`), "conditions.userRiskLevels"},
		{policy(apps+","+users+`,"userRiskLevels": ["high"]`, `,"grantControls": {"operator": "AND", "builtInControls": ["passwordChange", "mfa"]}`), ""},
		{policy(apps+","+users, `,"grantControls": {"operator": "OR", "authenticationStrength": {"id": "`+noRole+`"}}`), "grantControls.authenticationStrength.id"},
		{policy(apps+","+users+`,"clientAppTypes": ["fax"]`, ","+grant), "conditions.clientAppTypes[0]"},
		{policy(apps+","+users+`,"platforms": {"includePlatforms": []}`, ","+grant), "conditions.platforms.includePlatforms"},
		{policy(apps+","+users+`,"locations": {"includeLocations": ["`+noRole[:35]+`1"]}`, ","+grant), "conditions.locations.includeLocations[0]"},
		{policy(apps+","+users+`,"locations": {"includeLocations": ["All"], "excludeLocations": ["AllTrusted", "`+location+`", "`+noRole+`"]}`, ","+grant), ""},
		{policy(apps+","+users+`,"devices": {"deviceFilter": {"mode": "include"}}`, ","+grant), "conditions.devices.deviceFilter.rule"},
		{policy(apps+","+users+`,"authenticationFlows": {"transferMethods": "deviceCodeFlow,authenticationTransfer"}`, ","+grant), ""},
		{policy(apps+","+users, `,"sessionControls": {"signInFrequency": {"isEnabled": true, "frequencyInterval": "everyTime", "value": 1, "type": "days"}}`), "sessionControls.signInFrequency.value"},
		{policy(apps+","+users, `,"sessionControls": {"signInFrequency": {"isEnabled": true, "frequencyInterval": "everyTime"}}`), ""},
		{policy(apps+","+users, `,"sessionControls": {"persistentBrowser": {"isEnabled": true, "mode": "maybe"}}`), "sessionControls.persistentBrowser.mode"},
	} {
		r := w.do(everything, "POST", caPath, c.body)
		if c.member == "" && r.status != 201 || c.member != "" && (r.status != 400 || !strings.Contains(r.text, "'"+c.member)) && (c.member != "guestOrExternalUserTypes" || !strings.Contains(r.text, c.member)) {
			t.Errorf("%s\nwant %q: %d %s", c.body, c.member, r.status, r.text)
		}
	}
}

// TestStrengths: the built-in ones, custom ones, and the expansion in policies.
func TestStrengths(t *testing.T) {
	w := newWorld(t)
	const path = "/v1.0/policies/authenticationStrengthPolicies"
	id := w.made("policies/authenticationStrengthPolicies", strengthBody)
	for filter, want := range map[string]int{"policyType eq 'builtIn'": 3, "policyType eq 'custom'": 1, "allowedCombinations/any(x:x has 'sms, password')": 2, "allowedCombinations/any(x:x has 'deviceBasedPush')": 2} {
		if r := w.must(200, everything, "GET", path+query("$filter", filter), ""); len(r.value()) != want {
			t.Errorf("%s: %d: %s", filter, len(r.value()), r.text)
		}
	}
	if r := w.must(200, everything, "GET", path+"/"+directory.StrengthMFA, ""); len(r.body["allowedCombinations"].([]any)) != 19 {
		t.Errorf("combinations of MFA: %s", r.text)
	}
	w.must(400, everything, "PATCH", path+"/"+directory.StrengthMFA, `{"displayName": "Mine"}`)
	w.must(400, everything, "POST", path, `{"displayName": "Bad", "allowedCombinations": ["password, shouting"]}`)
	w.must(400, everything, "POST", path, strengthBody)
	w.must(204, everything, "PATCH", path+"/"+id, `{"displayName": "Only keys"}`)
	w.must(200, everything, "POST", path+"/"+id+"/updateAllowedCombinations", `{"allowedCombinations": ["fido2"]}`)
	policy := w.made("identity/conditionalAccess/policies", strings.Replace(policyBody, `"builtInControls": ["mfa"]`, `"authenticationStrength": {"id": "`+strings.ToUpper(id)+`"}`, 1))
	strength := at(w.must(200, everything, "GET", caPath+"/"+policy, "").body, "grantControls", "authenticationStrength")
	if at(strength, "displayName") != "Only keys" || at(strength, "policyType") != "custom" || len(at(strength, "allowedCombinations").([]any)) != 1 {
		t.Errorf("expanded: %v", strength)
	}
	w.must(400, everything, "DELETE", path+"/"+id, "")
	w.must(204, everything, "DELETE", caPath+"/"+policy, "")
	w.must(204, everything, "DELETE", path+"/"+id, "")
}

// TestLocations: both kinds, filters, what is refused, and that a trusted one
// stays.
func TestLocations(t *testing.T) {
	w := newWorld(t)
	id := w.made("identity/conditionalAccess/namedLocations", locationBody)
	country := w.made("identity/conditionalAccess/namedLocations", `{"@odata.type": "#microsoft.graph.countryNamedLocation", "displayName": "Coast", "countriesAndRegions": ["NO"]}`)
	got := w.must(200, everything, "GET", locationPath+"/"+country, "").body
	if got["@odata.type"] != "#microsoft.graph.countryNamedLocation" || got["includeUnknownCountriesAndRegions"] != false || got["countryLookupMethod"] != "clientIpAddress" || has(got, "ipRanges") {
		t.Errorf("country: %v", got)
	}
	for filter, want := range map[string]string{"isof('microsoft.graph.ipNamedLocation')": id, "isof('microsoft.graph.countryNamedLocation')": country, "countriesAndRegions/any(c:c eq 'no')": country} {
		if r := w.must(200, everything, "GET", locationPath+query("$filter", filter), ""); !slices.Equal(r.names("id"), []string{want}) {
			t.Errorf("%s: %s", filter, r.text)
		}
	}
	const kind = `{"@odata.type": "#microsoft.graph.ipNamedLocation", `
	w.must(400, everything, "PATCH", locationPath+"/"+id, `{"isTrusted": true}`)
	w.must(204, everything, "PATCH", locationPath+"/"+id, kind+`"isTrusted": true}`)
	if r := w.must(400, everything, "DELETE", locationPath+"/"+id, ""); !strings.Contains(r.text, "isTrusted") {
		t.Errorf("trusted: %s", r.text)
	}
	w.must(400, everything, "PATCH", locationPath+"/"+country, kind+`"displayName": "X"}`)
	w.must(204, everything, "PATCH", locationPath+"/"+id, kind+`"isTrusted": false}`)
	w.must(204, everything, "DELETE", locationPath+"/"+id, "")
	for _, body := range []string{
		`{"displayName": "X", "ipRanges": []}`, kind + `"displayName": "X"}`, kind + `"displayName": "X", "ipRanges": [{"cidrAddress": "192.0.2.0/33"}]}`,
		kind + `"displayName": "X", "ipRanges": [{"@odata.type": "#microsoft.graph.iPv6CidrRange", "cidrAddress": "192.0.2.0/24"}]}`, kind + `"displayName": "X", "ipRanges": [7]}`,
		kind + `"displayName": "X", "ipRanges": [{"lowerAddress": "192.0.2.9", "upperAddress": "192.0.2.1"}]}`,
		`{"@odata.type": "#microsoft.graph.countryNamedLocation", "displayName": "X", "countriesAndRegions": ["Norway"]}`, `[]`, `{`,
	} {
		w.must(400, everything, "POST", locationPath, body)
	}
	w.must(201, everything, "POST", locationPath, kind+`"displayName": "Range", "ipRanges": [{"@odata.type": "#microsoft.graph.iPv4Range", "lowerAddress": "192.0.2.1", "upperAddress": "192.0.2.9"}]}`)
}

// TestContexts: ids from c1 to c25, once each.
func TestContexts(t *testing.T) {
	w := newWorld(t)
	const path = "/v1.0/identity/conditionalAccess/authenticationContextClassReferences"
	w.made(path[len("/v1.0/"):], contextBody)
	w.must(409, everything, "POST", path, contextBody)
	w.must(400, everything, "POST", path, strings.Replace(contextBody, "c1", "c26", 1))
	w.must(204, everything, "PATCH", path+"/c1", `{"isAvailable": false}`)
	if r := w.must(200, everything, "GET", path+"/C1", ""); r.body["isAvailable"] != false || r.body["displayName"] != "Locks" {
		t.Errorf("context: %s", r.text)
	}
	w.must(200, everything, "POST", "/beta"+path[len("/v1.0"):], strings.Replace(contextBody, "c1", "c2", 1))
	w.must(204, everything, "DELETE", path+"/c1", "")
	if r := w.must(200, everything, "GET", path, ""); !slices.Equal(r.names("id"), []string{"c2"}) {
		t.Errorf("contexts: %s", r.text)
	}
}

// TestThrottle: one request a second and tenant over policies and locations,
// refused without Retry-After; others are not counted.
func TestThrottle(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.Throttle = true })
	w.must(200, everything, "GET", caPath, "")
	r := w.must(429, everything, "GET", locationPath, "")
	if r.code() != "TooManyRequests" || r.header.Get("Retry-After") != "" {
		t.Errorf("refused with %v %s", r.header, r.text)
	}
	w.must(200, everything, "GET", "/v1.0/users", "")
	w.must(200, inPlain(everything), "GET", caPath, "")
	var limit throttle
	for _, c := range []struct {
		after time.Duration
		pass  bool
	}{{0, true}, {999 * time.Millisecond, false}, {time.Second, true}, {1500 * time.Millisecond, false}, {2 * time.Second, true}} {
		if _, wait := limit.spend("t", 1, 1, time.Second, testNow.Add(c.after)); (wait == 0) != c.pass {
			t.Errorf("after %v: want %v", c.after, c.pass)
		}
	}
}

// FuzzPolicy: no body makes the server panic or answer 500, and what it takes
// can be read back.
func FuzzPolicy(f *testing.F) {
	for _, body := range []string{policyBody, locationBody, contextBody, strengthBody, grantBody, setBody, `{"conditions": {"users": [1]}}`, `{"displayName": 1, "ipRanges": [[]]}`} {
		f.Add(body)
	}
	w := newWorld(f)
	bearer := w.bearer(everything)
	send := func(method, path, body string) *httptest.ResponseRecorder {
		h := httptest.NewRequest(method, path, strings.NewReader(body))
		h.Header.Set("Authorization", bearer)
		h.Header.Set("Content-Type", "application/json")
		recorder := httptest.NewRecorder()
		w.server.ServeHTTP(recorder, h)
		return recorder
	}
	f.Fuzz(func(t *testing.T, body string) {
		for set := range collections {
			made := send("POST", "/beta/"+set, body)
			if made.Code >= 500 {
				t.Fatalf("%s: %d %s", set, made.Code, made.Body)
			}
			if made.Code/100 != 2 {
				continue
			}
			var answer struct{ ID string }
			if err := json.Unmarshal(made.Body.Bytes(), &answer); err != nil {
				t.Fatalf("%s: %v", set, err)
			}
			for _, version := range []string{"/v1.0/", "/beta/"} {
				if read := send("GET", version+set+"/"+answer.ID, ""); read.Code != 200 {
					t.Fatalf("%s: reading back %d %s", set, read.Code, read.Body)
				}
			}
			send("PATCH", "/v1.0/"+set+"/"+answer.ID, `{"@odata.type": "#microsoft.graph.ipNamedLocation", "isTrusted": false}`)
			if gone := send("DELETE", "/v1.0/"+set+"/"+answer.ID, ""); gone.Code != 204 && gone.Code != 400 {
				t.Fatalf("%s: deleting %d %s", set, gone.Code, gone.Body)
			}
		}
	})
}

// FuzzBody: no body makes a writing route answer 500, whatever was there before.
func FuzzBody(f *testing.F) {
	bodies := []string{policyBody, configuredBody, federatedBody, preApprovalBody, `{"systemCredentialPreferences": {"state": "enabled"}}`, `{"userIds": ["x"]}`, `{"device": {"serialNumber": ""}}`,
		`{"api": {"oauth2PermissionScopes": [{}]}, "appRoles": [null], "keyCredentials": [{"key": "eA=="}]}`, `{"requests": [{"id": "1", "method": "PATCH", "url": "/users/x", "body": [1]}]}`,
		`{"signInIdentity": {"@odata.type": "#microsoft.graph.userSignIn", "userId": "x"}, "signInContext": {}, "signInConditions": []}`, `{"action": "adminAssign", "scheduleInfo": {"expiration": {"duration": "PT"}}}`,
		`{"proof": "a.b.c", "keyCredential": {"key": "AA=="}}`, `{"businessPhones": ["1", "2"], "passwordProfile": null}`, `{"@odata.id": ""}`, `{"ids": [""], "types": []}`}
	w := newWorld(f)
	bearer := w.bearer(everything)
	strength := w.made("policies/authenticationStrengthPolicies", strengthBody)
	var targets []string
	for i := range routes {
		if r := &routes[i]; r.method == "POST" || r.method == "PATCH" || r.method == "PUT" {
			path := strings.NewReplacer("users/{id}", "users/ben@harbour.example", "applications/{id}", "applications/"+w.ids["app Reader"], "servicePrincipals/{id}", "servicePrincipals/"+w.ids["Reader"],
				"groups/{id}", "groups/"+w.ids["Everyone"], "authenticationMethodConfigurations/{id}", "authenticationMethodConfigurations/fido2", "olicies/{id}", "olicies/"+strength).Replace(r.pattern)
			targets = append(targets, r.method+" /beta/"+path)
		}
	}
	targets = append(targets, "POST /v1.0/$batch")
	for i := range targets {
		for _, body := range bodies {
			f.Add(body, uint(i))
		}
	}
	f.Fuzz(func(t *testing.T, body string, choice uint) {
		target := targets[choice%uint(len(targets))]
		method, path, _ := strings.Cut(target, " ")
		h := httptest.NewRequest(method, path, strings.NewReader(body))
		h.Header.Set("Authorization", bearer)
		h.Header.Set("Content-Type", "application/json")
		recorder := httptest.NewRecorder()
		w.server.ServeHTTP(recorder, h)
		if recorder.Code >= 500 {
			t.Fatalf("%s: %d %s", target, recorder.Code, recorder.Body)
		}
	})
}
