package graphsim

import (
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"

	"gatehouse/lab/internal/directory"
	"gatehouse/lab/internal/pki"
)

// preparation makes what a route needs: what stands for the variables of its
// pattern, in turn, and a body for routes that take one.
type preparation func(w *world, r *route) (vars []string, body string)

// preparations are for routes whose objects have to be made first, by the
// beginning of their patterns; the first that fits counts.
var preparations = []struct {
	prefix  string
	prepare preparation
}{
	{"identityProtection/riskyUsers", prepareRisk},
	{"riskyUsers", prepareRisk},
	{"identity/conditionalAccess/deletedItems/", prepareDeleted},
	{"identity/conditionalAccess/templates", constantVars(`c7503427-338e-4c5e-902d-abe252abfb43`)},
	{modeSet, constantVars("fido2")},
	{"policies/authenticationStrengthPolicies/findByMethodMode", constantVars("authenticationMethodModes=fido2")},
	{"policies/authenticationStrengthPolicies/{id}/combinationConfigurations", prepareConfigured},
	{"identity/conditionalAccess/authenticationStrength/policies/findByMethodMode", constantVars("authenticationMethodModes=fido2")},
	{"identity/conditionalAccess/authenticationStrength/policies/{id}/combinationConfigurations", prepareConfigured},
	{configurationSet + "/{id}", func(_ *world, r *route) ([]string, string) {
		return []string{"Sms"}, `{"@odata.type": "#microsoft.graph.smsAuthenticationMethodConfiguration", "state": "disabled"}`
	}},
	{"policies/authenticationMethodsPolicy", bodied(`{"systemCredentialPreferences": {"state": "disabled"}}`)},
	{"policies/authenticationFlowsPolicy", bodied(`{"selfServiceSignUp": {"isEnabled": true}}`)},
	{"policies/permissionGrantPreApprovalPolicies", prepareApproved},
	{"applications/{id}/federatedIdentityCredentials", prepareFederated},
	{"applications/{id}/addKey", prepareKey},
	{"applications/{id}/removeKey", prepareKey},
	{"servicePrincipals/{id}/addKey", prepareKey},
	{"servicePrincipals/{id}/removeKey", prepareKey},
	{"applications/{id}/owners", prepareOwner("app Reader")},
	{"servicePrincipals/{id}/owners", prepareOwner("Reader")},
	{"groups/{id}/owners", prepareOwner("Ship crew")},
	{"groups/{id}/appRoleAssignments", prepareGroupRole},
	{"users/{id}/ownedObjects", ownedVars("ben@harbour.example")},
	{"servicePrincipals/{id}/ownedObjects", ownedVars("Reader")},
	{"identityGovernance/appConsent/", prepareConsentRequest},
	{"roleManagement/directory/roleEligibility", prepareEligible},
	{"roleManagement/directory/roleAssignmentSchedule", prepareEligible},
	{"directoryRoleTemplates", constantVars(globalReader)},
	{"identity/conditionalAccess/evaluate", func(w *world, _ *route) ([]string, string) {
		return nil, `{"signInIdentity": {"@odata.type": "#microsoft.graph.userSignIn", "userId": "` + w.ids["ben@harbour.example"] + `"},
			"signInContext": {"@odata.type": "#microsoft.graph.userActionContext", "userAction": "registerSecurityInformation"}, "signInConditions": {}}`
	}},
	{"users/{id}/changePassword", func(w *world, _ *route) ([]string, string) {
		w.store.Update(harbour, func(t *directory.Tenant) {
			t.User("ben@harbour.example").SetPassword(directory.HashPassword("Old-Password-1!"), directory.AzurePortal, testNow)
		})
		return []string{w.ids["ben@harbour.example"]}, `{"currentPassword": "Old-Password-1!", "newPassword": "New-Password-2!"}`
	}},
	{"directoryObjects/getByIds", func(w *world, _ *route) ([]string, string) { return nil, `{"ids": ["` + w.ids["Reader"] + `"]}` }},
	{"directoryObjects/{id}", func(w *world, r *route) ([]string, string) {
		return []string{w.ids["ben@harbour.example"]}, w.question(r)
	}},
	{"domains", constantVars("harbour.example")},
	{"reports/authenticationMethods/usersRegistered", constantVars("includedUserTypes='all',includedUserRoles='all'")},
	{"users/{id}/authentication/operations/", func(w *world, _ *route) ([]string, string) {
		return []string{w.ids["ben@harbour.example"], directory.NameID("operation")}, ""
	}},
	{"users/{id}/authentication/", prepareMethod},
}

// questions are the routes that ask for membership.
func (w *world) question(r *route) string {
	switch last := r.segments[len(r.segments)-1]; last {
	case "checkMemberGroups":
		return `{"groupIds": ["` + w.ids["Everyone"] + `"]}`
	case "checkMemberObjects":
		return `{"ids": ["` + w.ids["Everyone"] + `"]}`
	case "getMemberGroups", "getMemberObjects":
		return `{"securityEnabledOnly": false}`
	}
	return ""
}

func preparationOf(r *route) preparation {
	for _, p := range preparations {
		if strings.HasPrefix(r.pattern, p.prefix) {
			if _, _, known := prepareMethodKnown(r); p.prefix == "users/{id}/authentication/" && !known {
				return nil
			}
			return p.prepare
		}
	}
	switch last := r.segments[len(r.segments)-1]; {
	case strings.HasPrefix(last, "checkMember"), strings.HasPrefix(last, "getMember"):
		return func(w *world, r *route) ([]string, string) {
			id := map[string]string{"users": "ben@harbour.example", "groups": "Ship crew", "servicePrincipals": "Reader"}[r.segments[0]]
			return []string{w.ids[id]}, w.question(r)
		}
	}
	return nil
}

func prepares(r *route) bool { return preparationOf(r) != nil }

// prepared gives the address and body of a route that has a preparation.
func (w *world) prepared(r *route) (path, body string, known bool) {
	prepare := preparationOf(r)
	if prepare == nil {
		return "", "", false
	}
	vars, body := prepare(w, r)
	segments := strings.Split(r.pattern, "/")
	for i, s := range segments {
		if s[0] == '{' {
			segments[i], vars = vars[0], vars[1:]
		}
	}
	if r.method == "GET" || r.method == "DELETE" {
		body = ""
	}
	return strings.Join(segments, "/"), body, true
}

func constantVars(vars ...string) preparation {
	return func(w *world, r *route) ([]string, string) {
		if strings.Contains(r.pattern, "/policies/{id}") {
			vars = append([]string{w.made("policies/authenticationStrengthPolicies", strengthBody)}, vars...)
		}
		return vars, ""
	}
}

func bodied(body string) preparation {
	return func(*world, *route) ([]string, string) { return nil, body }
}

func ownedVars(name string) preparation {
	return func(w *world, _ *route) ([]string, string) { return []string{w.ids[name], "microsoft.graph.group"}, "" }
}

func prepareRisk(w *world, _ *route) ([]string, string) {
	entry := ""
	w.store.Update(harbour, func(t *directory.Tenant) {
		ben := t.User("ben@harbour.example")
		ben.SetRisk("medium", "atRisk", "none", "", testNow)
		entry = ben.Risk.History[0].ID
	})
	return []string{w.ids["ben@harbour.example"], entry}, `{"userIds": ["` + w.ids["ben@harbour.example"] + `"]}`
}

func prepareDeleted(w *world, r *route) ([]string, string) {
	set := "identity/conditionalAccess/" + r.segments[3]
	id := w.made(set, collections[set])
	w.must(204, everything, "DELETE", "/v1.0/"+set+"/"+id, "")
	return []string{id}, ""
}

const configuredBody = `{"@odata.type": "#microsoft.graph.fido2CombinationConfiguration", "allowedAAGUIDs": ["90a3ccdf-635c-4729-a248-9b709135078f"], "appliesToCombinations": ["fido2"]}`

func prepareConfigured(w *world, _ *route) ([]string, string) {
	id := w.made("policies/authenticationStrengthPolicies", strengthBody)
	return []string{id, w.made("policies/authenticationStrengthPolicies/"+id+"/combinationConfigurations", configuredBody)}, configuredBody
}

const preApprovalBody = `{"conditions": [{"scopeType": "chat", "permissions": {"@odata.type": "#microsoft.graph.allPreApprovedPermissions", "permissionKind": "all"}}]}`

func prepareApproved(w *world, _ *route) ([]string, string) {
	return []string{w.must(201, everything, "POST", "/beta/policies/permissionGrantPreApprovalPolicies", preApprovalBody).body["id"].(string)}, preApprovalBody
}

const federatedBody = `{"name": "build-main", "issuer": "https://tokens.build.example", "subject": "repo:harbour/ships:ref:main", "audiences": ["api://AzureADTokenExchange"]}`

func prepareFederated(w *world, r *route) ([]string, string) {
	at := "applications/" + w.ids["app Reader"] + "/federatedIdentityCredentials"
	if r.method == "POST" {
		return []string{w.ids["app Reader"]}, federatedBody
	}
	return []string{w.ids["app Reader"], w.made(at, federatedBody)}, `{"description": "Builds"}`
}

// prepareKey signs a proof with a certificate that the app gets for it.
func prepareKey(w *world, r *route) ([]string, string) {
	id := map[string]string{"applications": w.ids["app Reader"], "servicePrincipals": w.ids["Reader"]}[r.segments[0]]
	proof, key, second := w.proof(id)
	if strings.HasSuffix(r.pattern, "removeKey") {
		return []string{id}, `{"keyId": "` + key + `", "proof": "` + proof + `"}`
	}
	return []string{id}, `{"keyCredential": {"type": "AsymmetricX509Cert", "usage": "Verify", "key": "` + second + `"}, "passwordCredential": null, "proof": "` + proof + `"}`
}

func prepareOwner(name string) preparation {
	return func(w *world, r *route) ([]string, string) {
		owner := "ben@harbour.example"
		if r.method == "DELETE" {
			set := r.segments[0] + "/" + w.ids[name] + "/owners"
			w.store.Update(harbour, func(t *directory.Tenant) {
				for _, owners := range []*[]string{&t.Group(w.ids["Ship crew"]).Owners, &t.Principal(w.ids["Reader"]).Owners, &t.Apps[0].Owners} {
					*owners = []string{w.ids["ben@harbour.example"], w.ids["ada@harbour.example"]}
				}
			})
			if len(w.must(200, everything, "GET", "/v1.0/"+set, "").value()) != 2 {
				w.t.Fatalf("%s: no owners", set)
			}
		}
		last := w.ids[owner]
		if strings.HasSuffix(r.pattern, "{cast}") {
			last = "microsoft.graph.user"
		}
		return []string{w.ids[name], last}, `{"@odata.id": "https://graph.lab/v1.0/directoryObjects/` + w.ids[owner] + `"}`
	}
}

func prepareGroupRole(w *world, r *route) ([]string, string) {
	body := `{"principalId": "` + w.ids["Everyone"] + `", "resourceId": "` + w.ids["Portal"] + `", "appRoleId": "` + noRole + `"}`
	vars := []string{w.ids["Everyone"]}
	if r.method == "DELETE" {
		vars = append(vars, w.made("groups/"+w.ids["Everyone"]+"/appRoleAssignments", body))
	}
	return vars, body
}

func prepareConsentRequest(w *world, r *route) ([]string, string) {
	const id = "d2f0a1c4-0000-4000-8000-000000000001"
	w.store.Update(harbour, func(t *directory.Tenant) {
		t.RequestApproval(&directory.ApprovalRequest{ID: id, User: w.ids["ben@harbour.example"], ClientID: w.ids["client Portal"], Reason: "Work", Requested: testNow.Add(-time.Hour),
			Scopes: map[string][]string{graphID: {"Mail.Read"}}})
	})
	app := directory.NameID("app consent request", harbour, strings.ToLower(w.ids["client Portal"]))
	switch r.pattern {
	case appConsentSet + "/filterByCurrentUser/{on}":
		return []string{"on=reviewer"}, ""
	case appConsentSet + "/{id}/userConsentRequests/filterByCurrentUser/{on}":
		return []string{app, "on=reviewer"}, ""
	}
	return []string{app, id}, ""
}

func prepareEligible(w *world, r *route) ([]string, string) {
	body := `{"action": "adminAssign", "principalId": "` + w.ids["ben@harbour.example"] + `", "roleDefinitionId": "` + globalReader + `", "directoryScopeId": "/", "justification": "Cover",
		"scheduleInfo": {"startDateTime": "2026-11-20T12:00:00Z", "expiration": {"type": "afterDuration", "duration": "P30D"}}}`
	switch {
	case r.method == "POST":
		return nil, body
	case strings.Contains(r.pattern, "filterByCurrentUser"):
		return []string{"on=principal"}, ""
	case strings.Contains(r.pattern, "Assignment"):
		return []string{w.must(200, everything, "GET", "/v1.0/roleManagement/directory/roleAssignments", "").names("id")[0]}, ""
	}
	return []string{w.made("roleManagement/directory/roleEligibilityScheduleRequests", body)}, ""
}

// prepareMethodKnown tells of a route on methods what its method is and what it
// takes; others are prepared elsewhere.
func prepareMethodKnown(r *route) (kind, body string, known bool) {
	for segment, c := range map[string]struct{ kind, body string }{
		"platformCredentialMethods": {directory.PlatformCredential, ""}, "hardwareOathMethods": {directory.HardwareOATH, `{"device": {"serialNumber": "7", "manufacturer": "Lab", "model": "M", "secretKey": "JBSWY3DPEHPK3PXP"}}`},
		"externalAuthenticationMethods": {directory.External, `{"configurationId": "` + directory.NameID("configuration") + `", "displayName": "Elsewhere"}`},
		"qrCodePinMethod":               {directory.QRCodePIN, `{"standardQRCode": {"expireDateTime": "2027-05-01T00:00:00Z"}, "pin": {"code": "90512873"}}`},
	} {
		if len(r.segments) > 3 && r.segments[3] == segment {
			return c.kind, c.body, true
		}
	}
	last := r.segments[len(r.segments)-1]
	return "", `{"newPassword": "Some-New-Password-1!"}`, last == "resetPassword" || strings.HasSuffix(last, "SmsSignIn")
}

func prepareMethod(w *world, r *route) ([]string, string) {
	kind, body, _ := prepareMethodKnown(r)
	ben := w.ids["ben@harbour.example"]
	if strings.HasSuffix(r.pattern, "SmsSignIn") {
		return []string{ben, directory.PhoneMobileID}, ""
	}
	if kind == "" {
		return []string{ben, directory.PasswordMethodID}, body
	}
	const id = "d2f0a1c4-0000-4000-8000-000000000002"
	w.store.Update(harbour, func(t *directory.Tenant) {
		u := t.User(ben)
		u.Methods = append(u.Methods, &directory.Method{ID: id, Type: kind, Name: "Mine", Created: testNow, TAPLife: 24 * time.Hour})
	})
	return []string{ben, id}, body
}

// proof gives an object a certificate and a proof made with it, the key's id,
// and another certificate to add.
func (w *world) proof(id string) (proof, key, second string) {
	w.t.Helper()
	certificate, err := pki.Client("rolling", testNow.Add(-time.Hour), testNow.Add(time.Hour))
	if err != nil {
		w.t.Fatalf("making a certificate: %v", err)
	}
	key = directory.NameID("rolling key")
	w.store.Update(harbour, func(t *directory.Tenant) {
		held := &directory.Certificate{KeyID: key, Certificate: certificate}
		t.Apps[0].Certificates = append(t.Apps[0].Certificates, held)
		t.Principal(w.ids["Reader"]).Certificates = []*directory.Certificate{held}
	})
	return w.sign(certificate, map[string]any{"aud": proofAudience, "iss": id, "nbf": testNow.Unix(), "exp": testNow.Add(5 * time.Minute).Unix()}), key,
		base64.StdEncoding.EncodeToString(certificate.Raw)
}

// sign makes a JWT with the key of a client certificate.
func (w *world) sign(certificate *x509.Certificate, claims map[string]any) string {
	w.t.Helper()
	_, rest := pem.Decode(pki.EncodeClient(certificate))
	private, err := pki.DecodeRSA(rest)
	if err != nil {
		w.t.Fatalf("reading the key: %v", err)
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.RS256, Key: private}, nil)
	if err != nil {
		w.t.Fatalf("making a signer: %v", err)
	}
	payload, err := json.Marshal(claims)
	if err != nil {
		w.t.Fatalf("encoding claims: %v", err)
	}
	jws, err := signer.Sign(payload)
	if err != nil {
		w.t.Fatalf("signing: %v", err)
	}
	compact, err := jws.CompactSerialize()
	if err != nil {
		w.t.Fatalf("encoding the proof: %v", err)
	}
	return compact
}
