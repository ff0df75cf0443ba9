package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"gatehouse/lab"
)

// graphTenant is a small tenant in which every documented collection has
// something to show.
const graphTenant = `{"tenants": [
 {"name": "Rope Works", "domain": "ropeworks.onmicrosoft.com", "licences": ["SPE_E5"], "mandatory_mfa": false, "consent": {"users": "low_risk", "admin_requests": true},
  "users": [
   {"upn": "ann@ropeworks.onmicrosoft.com", "name": "Ann Avery", "department": "Yard", "job_title": "Rigger", "licences": ["SPE_E5"], "roles": ["Global Administrator", "Reports Reader"], "synced": true,
    "methods": [{"type": "authenticator", "name": "Phone"}, {"type": "fido2", "name": "Key"}, {"type": "hello", "name": "Laptop"}, {"type": "phone", "phone": "+44 7700900123"},
     {"type": "email", "email": "ann@home.example"}, {"type": "oath"}, {"type": "temporary_access_pass"}] },
   {"upn": "bob@ropeworks.onmicrosoft.com", "name": "Bob Avery", "licences": ["SPE_E5"]}],
  "groups": [{"name": "Avery family", "members": ["Avery seniors", "bob@ropeworks.onmicrosoft.com", "ann@ropeworks.onmicrosoft.com"]}, {"name": "Avery seniors", "members": ["ann@ropeworks.onmicrosoft.com"]},
   {"name": "Whole yard", "members": ["Avery family", "Reader"]}],
  "apps": [
   {"name": "Reader", "purpose": "reader", "secret": true, "certificate": true, "multi_tenant": true, "redirect_uris": ["https://reader.example/"], "assigned": ["ann@ropeworks.onmicrosoft.com"],
    "delegated_permissions": {"graph": ["User.Read"]},
    "granted": {"graph": ["User.ReadWrite.All", "Directory.Read.All", "Policy.Read.All", "AuditLog.Read.All", "UserAuthenticationMethod.Read.All", "GroupMember.Read.All", "Application.ReadWrite.All",
     "RoleManagement.Read.Directory", "Organization.Read.All", "AppRoleAssignment.ReadWrite.All", "DelegatedPermissionGrant.ReadWrite.All",
     "Policy.ReadWrite.ConditionalAccess", "Application.Read.All", "Policy.ReadWrite.PermissionGrant", "RoleManagement.ReadWrite.Directory",
     "UserAuthenticationMethod.ReadWrite.All", "Agreement.ReadWrite.All", "AuthenticationContext.ReadWrite.All", "Group.ReadWrite.All", "Policy.ReadWrite.AuthenticationMethod",
     "Policy.ReadWrite.SecurityDefaults", "Policy.ReadWrite.Authorization", "Policy.ReadWrite.ConsentRequest", "Policy.ReadWrite.AuthenticationFlows", "IdentityRiskyUser.ReadWrite.All",
     "ConsentRequest.Read.All", "User.DeleteRestore.All", "Domain.Read.All"]}},
   {"name": "Second", "purpose": "service", "secret": true}, {"name": "Tool", "purpose": "delegated", "public": true}],
  "grants": [{"app": "Tool", "scopes": ["User.Read", "User.ReadWrite.All", "UserAuthenticationMethod.ReadWrite.All", "GroupMember.Read.All", "Directory.Read.All"]}, {"app": "Reader", "scopes": ["User.Read"], "user": "ann@ropeworks.onmicrosoft.com"}]},
 {"name": "Vendor", "domain": "ropevendor.onmicrosoft.com", "apps": [{"name": "Vendor app", "multi_tenant": true}]}]}`

// simulated is a lab with tokens.
type simulated struct {
	lab    *lab.Lab
	tenant lab.ReadyTenant
	vendor string            // client id of an app that the tenant does not have yet
	app    string            // token of an application
	person string            // token of a signed-in user
	ids    map[string]string // object ids by display name: service principals, groups
	wanted any               // @odata.type of the objects that the example shows, nil if it names none
}

func startGraph() (*simulated, error) {
	l, err := lab.New(lab.Config{Tenants: strings.NewReader(graphTenant), Seed: 1, Deterministic: true})
	if err != nil {
		return nil, fmt.Errorf("starting the lab: %w", err)
	}
	g := &simulated{lab: l, tenant: l.Ready().Tenants[0], vendor: l.Ready().Tenants[1].Apps[0].ClientID, ids: map[string]string{}}
	reader, tool, ann := g.tenant.Apps[0], g.tenant.Apps[2], g.tenant.Users[0]
	g.app, err = g.token(url.Values{"grant_type": {"client_credentials"}, "client_id": {reader.ClientID}, "client_secret": {*reader.Secret}})
	if err == nil {
		g.person, err = g.token(url.Values{"grant_type": {"password"}, "client_id": {tool.ClientID}, "username": {ann.UPN}, "password": {*ann.Password}})
	}
	if err == nil {
		err = g.furnish()
	}
	if err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return g, nil
}

// ownPolicy is the id of a permission grant policy that the examples extend.
const ownPolicy = "yard-consent"

// thing is made through Graph because tenants files do not have it.
type thing struct {
	path string
	body map[string]any
}

// furnish makes what the tenants file does not.
func (g *simulated) furnish() error {
	for _, set := range []string{"servicePrincipals", "groups"} {
		_, list, err := g.ask(http.MethodGet, "/v1.0/"+set, "", nil)
		if err != nil {
			return err
		}
		for _, e := range entities(list) {
			g.ids[fmt.Sprint(e["displayName"])] = fmt.Sprint(e["id"])
		}
	}
	for _, made := range g.furniture() {
		status, body, err := g.ask(http.MethodPost, made.path, "", made.body)
		if err != nil || status/100 != 2 {
			return fmt.Errorf("making one of %s: status %d, %s, %w", made.path, status, problem(body), cmp.Or(err, errBar))
		}
	}
	return nil
}

func (g *simulated) token(form url.Values) (string, error) {
	form.Set("scope", "https://graph.microsoft.com/.default")
	request, err := http.NewRequestWithContext(context.Background(), http.MethodPost, g.lab.URL()+"/"+g.tenant.ID+"/oauth2/v2.0/token", strings.NewReader(form.Encode()))
	if err != nil {
		return "", fmt.Errorf("making a token request: %w", err)
	}
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	status, body, err := g.send(request)
	token, _ := body["access_token"].(string)
	if err != nil || token == "" {
		return "", fmt.Errorf("getting a token: status %d, %v, %w", status, body["error_description"], cmp.Or(err, errBar))
	}
	return token, nil
}

func (g *simulated) send(request *http.Request) (int, map[string]any, error) {
	answer, err := g.lab.Client().Do(request)
	if err != nil {
		return 0, nil, fmt.Errorf("calling the lab: %w", err)
	}
	defer answer.Body.Close()
	data, err := io.ReadAll(answer.Body)
	if err != nil {
		return 0, nil, fmt.Errorf("reading the lab's answer: %w", err)
	}
	var body map[string]any
	if strings.Contains(answer.Header.Get("Content-Type"), "json") {
		if err := json.Unmarshal(data, &body); err != nil {
			return 0, nil, fmt.Errorf("reading the lab's answer: %w", err)
		}
	}
	return answer.StatusCode, body, nil
}

func (g *simulated) ask(method, path, query string, body any) (int, map[string]any, error) {
	address := g.lab.URL() + path
	if query != "" {
		address += "?" + query
	}
	var content io.Reader
	if body != nil {
		data, err := json.Marshal(body)
		if err != nil {
			return 0, nil, fmt.Errorf("encoding a body: %w", err)
		}
		content = strings.NewReader(string(data))
	}
	request, err := http.NewRequestWithContext(context.Background(), method, address, content)
	if err != nil {
		return 0, nil, fmt.Errorf("making a request: %w", err)
	}
	request.Header.Set("Authorization", "Bearer "+g.app)
	if personal.MatchString(path) {
		request.Header.Set("Authorization", "Bearer "+g.person)
	}
	request.Header.Set("ConsistencyLevel", "eventual")
	if body != nil {
		request.Header.Set("Content-Type", "application/json")
	}
	return g.send(request)
}

// personal are paths that need a signed-in person.
var personal = regexp.MustCompile(`(?i)^/[^/]+/me(/|$)|/resetPassword$|/filterByCurrentUser`)

// looksMade are path segments that are examples' ids rather than names.
var looksMade = regexp.MustCompile(`^\{.*\}$|@|=|[0-9a-fA-F]{8}-|^[\w-]*\d[\w-]*[_-][\w-]*$|^[\w-]*[_-][\w-]*\d[\w-]*$`)

// path puts ids of the lab's tenant where the example has its own. It gives ""
// if the lab has nothing there.
func (g *simulated) path(method, bare string) (string, error) {
	if !strings.Contains(bare, ",") { // of a function with arguments the form stays
		bare = strings.NewReplacer("('", "/", "(", "/", "')", "", ")", "", "|", "-", " ", "").Replace(bare)
	}
	parts := strings.Split(strings.Trim(bare, "/"), "/")
	for i := 1; i < len(parts); i++ {
		before, part := strings.ToLower(parts[i-1]), parts[i]
		switch {
		case before == "users" && !slices.Contains([]string{"delta", "$count"}, part):
			parts[i] = g.tenant.Users[g.someone(method, parts, i)].ID
		case before == "organization":
			parts[i] = g.tenant.ID
		case strings.HasPrefix(strings.ToLower(part), "roletemplateid="):
			parts[i] = "roleTemplateId=62e90394-69f5-4237-9190-012177145e10"
		case before == "serviceprincipals" && i+1 < len(parts) && strings.EqualFold(parts[i+1], "delegatedPermissionClassifications"):
			parts[i] = g.ids["Microsoft Graph"] // only an API has permissions
		case method == http.MethodPost && i == len(parts)-1 && !looksMade.MatchString(part): // an action
		case before == "directoryobjects" && looksMade.MatchString(part):
			parts[i] = g.ids["Avery family"]
		case before == "me" || part == "$ref" || strings.Contains(part, ",") || strings.HasPrefix(strings.ToLower(part), "microsoft.graph."):
		default:
			id, err := g.object(strings.Join(parts[:i], "/"), part)
			if err != nil {
				return "", err
			}
			if id == "" && looksMade.MatchString(part) {
				return "", nil
			}
			parts[i] = cmp.Or(id, part)
		}
	}
	return "/" + strings.Join(parts, "/"), nil
}

// someone chooses the person that a path is about: the second one has no
// methods yet, to whom some can be added.
func (g *simulated) someone(method string, parts []string, i int) int {
	if method == http.MethodPost && i+3 == len(parts) && strings.EqualFold(parts[i+1], "authentication") {
		return 1
	}
	return 0
}

// object gives the id of an object in a collection for a segment that names
// none of it, "" if the collection has none or the segment is no id.
func (g *simulated) object(collection, part string) (string, error) {
	status, body, err := g.ask(http.MethodGet, "/"+collection, "", nil)
	if err != nil || status != http.StatusOK {
		return "", err
	}
	value, isList := body["value"].([]any)
	if !isList || len(value) == 0 {
		return "", nil
	}
	list := entities(body)
	for _, e := range list {
		if strings.EqualFold(fmt.Sprint(e["id"]), part) {
			return part, nil
		}
	}
	if status, _, err := g.ask(http.MethodGet, "/"+collection+"/"+part, "", nil); err != nil || status != http.StatusNotFound && !looksMade.MatchString(part) {
		return "", err
	}
	pick := list[0]
	for _, e := range list { // the tenant's own rather than one of Microsoft's
		if g.wanted != nil && e["@odata.type"] == g.wanted || e["displayName"] == "Reader" || e["id"] == ownPolicy || e["policyType"] == "custom" {
			pick = e
		}
	}
	id, _ := pick["id"].(string)
	return id, nil
}
