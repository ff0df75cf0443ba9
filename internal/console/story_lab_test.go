package console_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"gatehouse/lab"
)

// pine is a tenant in which nobody has consented to a reader yet, and a policy
// asks all but one group for MFA.
const pine = `{"tenants": [{
	"name": "Pine Harbour", "domain": "pineharbour.onmicrosoft.com", "domains": [{"name": "pineharbour.example", "default": true}], "licences": ["SPE_E5"],
	"users": [
		{"upn": "ida.lund@pineharbour.example", "name": "Ida Lund", "roles": ["Global Administrator"]},
		{"upn": "svc-backup@pineharbour.example", "name": "Backup", "licences": ["SPE_E5"]},
		{"upn": "svc-locked@pineharbour.example", "name": "Locked"}
	],
	"grants": [{"app": "Microsoft Graph Command Line Tools", "resource": "graph", "scopes": ["openid", "profile", "email", "offline_access", "User.Read"]}],
	"groups": [{"name": "Software without MFA"}, {"name": "Administrators by day", "members": ["ida.lund@pineharbour.example"]}],
	"apps": [
		{"name": "Gatehouse reader", "purpose": "reader", "secret": true, "redirect_uris": ["REPLY"], "application_permissions": {"graph": [
			"Policy.Read.All", "AuditLog.Read.All", "UserAuthenticationMethod.Read.All", "User.Read.All", "GroupMember.Read.All", "RoleManagement.Read.Directory", "Application.Read.All", "Organization.Read.All"]}},
		{"name": "Lab administration", "purpose": "admin", "secret": true,
			"application_permissions": {"graph": ["User.ReadWrite.All", "Application.ReadWrite.All", "Group.ReadWrite.All"]},
			"granted": {"graph": ["User.ReadWrite.All", "Application.ReadWrite.All", "Group.ReadWrite.All"]}}
	],
	"conditional_access": [
		{"displayName": "CA001 - MFA for everybody", "state": "enabled",
			"conditions": {"users": {"includeUsers": ["All"], "excludeGroups": ["Software without MFA", "Administrators by day"]}, "applications": {"includeApplications": ["All"]}, "clientAppTypes": ["all"]},
			"grantControls": {"operator": "OR", "builtInControls": ["mfa"]}},
		{"displayName": "CA002 - Guests", "state": "enabled",
			"conditions": {"users": {"includeUsers": ["GuestsOrExternalUsers"]}, "applications": {"includeApplications": ["All"]}, "clientAppTypes": ["all"]},
			"grantControls": {"operator": "OR", "builtInControls": ["mfa"]}}
	]
}]}`

// browsable gives the house a lab whose certificates the browser takes.
func (h *house) browsable() {
	h.t.Helper()
	s, err := theBrowser()
	state := filepath.Join(h.t.TempDir(), "state")
	if err := os.CopyFS(state, os.DirFS(must(h.t, s, err).state)); err != nil {
		h.t.Fatal(err)
	}
	h.lab = lab.Start(h.t, lab.WithConfig(func(c *lab.Config) { c.State = state }))
}

// plant adds Pine Harbour to the lab.
func (h *house) plant() {
	h.t.Helper()
	if _, err := h.lab.AddTenants(strings.NewReader(strings.Replace(pine, "REPLY", h.server.URL+"/sign-in", 1))); err != nil {
		h.t.Fatal(err)
	}
}

// trusted is the hash of the key of a lab's authority, as Chromium's list of
// trusted keys wants it.
func trusted(file string) (string, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return "", err
	}
	block, _ := pem.Decode(data)
	certificate, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(certificate.RawSubjectPublicKeyInfo)
	return base64.StdEncoding.EncodeToString(sum[:]), nil
}

// administration is Graph of a tenant of the lab, as its administrator would
// use it.
type administration struct {
	*house
	token string
}

func (h *house) administration(tenantName string) administration {
	h.t.Helper()
	at := h.at(tenantName)
	app := at.App("Lab administration")
	form := url.Values{"grant_type": {"client_credentials"}, "client_id": {app.ClientID}, "client_secret": {*app.Secret}, "scope": {"https://graph.microsoft.com/.default"}}
	response, err := h.lab.Client().PostForm(h.lab.URL()+"/"+at.ID+"/oauth2/v2.0/token", form) //nolint:bodyclose // decode closes it
	var token struct {
		Access string `json:"access_token"`
	}
	decode(h.t, must(h.t, response, err), &token) //nolint:bodyclose // decode closes it
	return administration{h, token.Access}
}

// call asks Graph for something; into may be nil.
func (a administration) call(method, path string, body, into any) {
	a.t.Helper()
	text, err := json.Marshal(body)
	request, err2 := http.NewRequestWithContext(context.Background(), method, a.lab.URL()+"/v1.0"+path, bytes.NewReader(must(a.t, text, err)))
	must(a.t, request, err2).Header.Set("Authorization", "Bearer "+a.token)
	request.Header.Set("Content-Type", "application/json")
	response, err := a.lab.Client().Do(request)
	must(a.t, response, err) //nolint:bodyclose // closed below
	defer response.Body.Close()
	if response.StatusCode >= 300 {
		a.t.Fatalf("%s %s: %s", method, path, response.Status)
	}
	if into != nil {
		if err := json.NewDecoder(response.Body).Decode(into); err != nil {
			a.t.Fatal(err)
		}
	}
}

// addToGroup puts an account into a group.
func (a administration) addToGroup(group, userID string) {
	a.t.Helper()
	var found struct {
		Value []struct {
			ID string `json:"id"`
		} `json:"value"`
	}
	a.call(http.MethodGet, "/groups?"+url.Values{"$filter": {"displayName eq '" + group + "'"}}.Encode(), nil, &found)
	if len(found.Value) != 1 {
		a.t.Fatalf("%d groups are called %s", len(found.Value), group)
	}
	a.call(http.MethodPost, "/groups/"+found.Value[0].ID+"/members/$ref", map[string]string{"@odata.id": a.lab.URL() + "/v1.0/directoryObjects/" + userID}, nil)
}

// upload adds a certificate to an app registration.
func (a administration) upload(clientID string, certificate []byte) {
	a.t.Helper()
	path := "/applications(appId='" + clientID + "')"
	var app struct {
		Keys []map[string]any `json:"keyCredentials"`
	}
	a.call(http.MethodGet, path, nil, &app)
	var keys []any
	for _, k := range app.Keys {
		keys = append(keys, map[string]any{"keyId": k["keyId"]})
	}
	keys = append(keys, map[string]any{"type": "AsymmetricX509Cert", "usage": "Verify", "key": base64.StdEncoding.EncodeToString(certificate)})
	a.call(http.MethodPatch, path, map[string]any{"keyCredentials": keys}, nil)
}

// lock locks an account of the lab, or unlocks it, over its control port.
func (h *house) lock(tenantName, user string, locked bool) {
	h.t.Helper()
	text, err := json.Marshal(map[string]bool{"locked": locked})
	request, err2 := http.NewRequestWithContext(h.t.Context(), http.MethodPatch, h.lab.Ready().ControlURL+"/tenants/"+h.at(tenantName).Domain+"/users/"+h.at(tenantName).User(user).UPN, bytes.NewReader(must(h.t, text, err)))
	response, err := http.DefaultClient.Do(must(h.t, request, err2)) //nolint:bodyclose // closed below
	must(h.t, response, err).Body.Close()
	if response.StatusCode >= 300 {
		h.t.Fatalf("locking %s: %s", user, response.Status)
	}
}
