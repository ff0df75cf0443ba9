package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
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
     {"type": "email", "email": "ann@home.example"}, {"type": "oath"}, {"type": "temporary_access_pass"}], "default_method": "push"},
   {"upn": "bob@ropeworks.onmicrosoft.com", "name": "Bob Avery", "licences": ["SPE_E5"]}],
  "groups": [{"name": "Avery family", "members": ["Avery seniors", "bob@ropeworks.onmicrosoft.com", "ann@ropeworks.onmicrosoft.com"]}, {"name": "Avery seniors", "members": ["ann@ropeworks.onmicrosoft.com"]}],
  "apps": [
   {"name": "Reader", "purpose": "reader", "secret": true, "certificate": true, "multi_tenant": true, "redirect_uris": ["https://reader.example/"], "assigned": ["ann@ropeworks.onmicrosoft.com"],
    "delegated_permissions": {"graph": ["User.Read"]},
    "granted": {"graph": ["User.ReadWrite.All", "Directory.Read.All", "Policy.Read.All", "AuditLog.Read.All", "UserAuthenticationMethod.Read.All", "GroupMember.Read.All", "Application.ReadWrite.All",
     "RoleManagement.Read.Directory", "Organization.Read.All", "AppRoleAssignment.ReadWrite.All", "DelegatedPermissionGrant.ReadWrite.All",
     "Policy.ReadWrite.ConditionalAccess", "Application.Read.All", "Policy.ReadWrite.PermissionGrant", "RoleManagement.ReadWrite.Directory",
     "UserAuthenticationMethod.ReadWrite.All", "Agreement.ReadWrite.All", "AuthenticationContext.ReadWrite.All"]}},
   {"name": "Second", "purpose": "service", "secret": true}, {"name": "Tool", "purpose": "delegated", "public": true}],
  "grants": [{"app": "Tool", "scopes": ["User.Read", "UserAuthenticationMethod.Read.All", "GroupMember.Read.All"]}, {"app": "Reader", "scopes": ["User.Read"], "user": "ann@ropeworks.onmicrosoft.com"}]},
 {"name": "Vendor", "domain": "ropevendor.onmicrosoft.com", "apps": [{"name": "Vendor app", "multi_tenant": true}]}]}`

// notSimulated are resources that the lab does not serve, with the reason. What
// is listed here is counted apart; anything else has to match.
var notSimulated = []struct{ part, reason string }{
	{"/identityprotection/", "risk is not simulated"},
	{"/evaluate", "what would apply is not worked out: the lab does not enforce Conditional Access"},
}

// renamed are members that the older examples spell as they were then called.
var renamed = map[string]string{"creationDateTime": "createdDateTime"}

// withdrawn are members of older examples that today's metadata does not have,
// or has in beta only.
var withdrawn = []string{"useForSignIn", "orgRestrictions", "startTime", "expiryTime"}

// graphExample is one documented call.
type graphExample struct {
	Method  string          `json:"method"`
	Path    string          `json:"path"`
	Status  int             `json:"status"`
	Request json.RawMessage `json:"requestBody"`
	Body    any             `json:"body"`

	file string
}

// graphTotals counts examples.
type graphTotals struct{ ok, wrong, apart, other, members, queries, refused int }

// evalGraph holds the answers of the lab's Graph against documented ones: every
// documented member is there, with the documented type.
func evalGraph(dir string, w io.Writer) error {
	examples, err := readGraphExamples(filepath.Join(dir, "graph-examples"))
	if err != nil {
		return err
	}
	g, err := startGraph()
	if err != nil {
		return err
	}
	defer g.lab.Close()
	var total graphTotals
	for _, x := range examples {
		if err := g.judge(x, w, &total); err != nil {
			return fmt.Errorf("asking for %s: %w", x.file, err)
		}
	}
	fmt.Fprintf(w, "%d examples: %d agree (%d members compared), %d differ, %d of resources not simulated, %d without an answer to compare; %d of %d documented queries accepted as written\n",
		len(examples), total.ok, total.members, total.wrong, total.apart, total.other, total.queries-total.refused, total.queries)
	if total.wrong > 0 {
		return fmt.Errorf("%w: %d examples differ", errBar, total.wrong)
	}
	return nil
}

func readGraphExamples(folder string) ([]graphExample, error) {
	files, err := filepath.Glob(filepath.Join(folder, "*.json"))
	if err != nil || len(files) == 0 {
		return nil, fmt.Errorf("reading examples: none in %s", folder)
	}
	var out []graphExample
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			return nil, fmt.Errorf("reading example: %w", err)
		}
		x := graphExample{file: strings.TrimSuffix(filepath.Base(file), ".json")}
		if err := json.Unmarshal(data, &x); err != nil {
			return nil, fmt.Errorf("reading example %s: %w", x.file, err)
		}
		out = append(out, x)
	}
	return out, nil
}

// graph is a lab with tokens.
type simulated struct {
	lab    *lab.Lab
	tenant lab.ReadyTenant
	vendor string // client id of an app that the tenant does not have yet
	app    string // token of an application
	person string // token of a signed-in user
}

func startGraph() (*simulated, error) {
	l, err := lab.New(lab.Config{Tenants: strings.NewReader(graphTenant), Seed: 1, Deterministic: true})
	if err != nil {
		return nil, fmt.Errorf("starting the lab: %w", err)
	}
	g := &simulated{lab: l, tenant: l.Ready().Tenants[0], vendor: l.Ready().Tenants[1].Apps[0].ClientID}
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

// Bodies of the things that an empty tenant lacks.
var (
	conditionalPolicy = map[string]any{
		"displayName": "Riggers, strong", "state": "disabled", "grantControls": map[string]any{"operator": "OR", "builtInControls": []any{"mfa"}},
		"conditions": map[string]any{
			"signInRiskLevels": []any{"high"}, "clientAppTypes": []any{"all"}, "applications": map[string]any{"includeApplications": []any{"All"}}, "users": map[string]any{"includeUsers": []any{"All"}},
			"platforms": map[string]any{"includePlatforms": []any{"all"}}, "locations": map[string]any{"includeLocations": []any{"All"}},
		},
		"sessionControls": map[string]any{
			"signInFrequency": map[string]any{"value": 4, "type": "hours", "isEnabled": true}, "cloudAppSecurity": map[string]any{"cloudAppSecurityType": "monitorOnly", "isEnabled": true},
			"persistentBrowser": map[string]any{"mode": "never", "isEnabled": true}, "applicationEnforcedRestrictions": map[string]any{"isEnabled": true},
		},
	}
	countries = map[string]any{"@odata.type": "#microsoft.graph.countryNamedLocation", "displayName": "Coasts", "countriesAndRegions": []any{"NO", "PT"}}
	addresses = map[string]any{
		"@odata.type": "#microsoft.graph.ipNamedLocation", "displayName": "Yard", "isTrusted": true,
		"ipRanges": []any{
			map[string]any{"@odata.type": "#microsoft.graph.iPv4CidrRange", "cidrAddress": "192.0.2.0/24"}, map[string]any{"@odata.type": "#microsoft.graph.iPv6CidrRange", "cidrAddress": "2001:db8::/32"},
		},
	}
	terms = map[string]any{"displayName": "Yard rules", "isViewingBeforeAcceptanceRequired": true}
)

// ownPolicy is the id of a permission grant policy that the examples extend.
const ownPolicy = "yard-consent"

// furnish makes what the tenants file does not.
func (g *simulated) furnish() error {
	const conditional = "/v1.0/identity/conditionalAccess/"
	for _, made := range []struct {
		path string
		body map[string]any
	}{
		{conditional + "policies", conditionalPolicy},
		{conditional + "namedLocations", countries},
		{conditional + "namedLocations", addresses},
		{"/v1.0/identityGovernance/termsOfUse/agreements", terms},
		{conditional + "authenticationContextClassReferences", map[string]any{"id": "c1", "displayName": "Locks", "description": "Locks of the yard", "isAvailable": true}},
		{"/v1.0/policies/permissionGrantPolicies", map[string]any{"id": ownPolicy, "displayName": "Own", "description": "Of the yard"}},
	} {
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
	var body map[string]any
	if err := json.NewDecoder(answer.Body).Decode(&body); err != nil && answer.StatusCode != http.StatusNoContent {
		return 0, nil, fmt.Errorf("reading the lab's answer: %w", err)
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
	if strings.HasPrefix(path+"/", "/v1.0/me/") || strings.HasPrefix(path+"/", "/beta/me/") {
		request.Header.Set("Authorization", "Bearer "+g.person)
	}
	request.Header.Set("ConsistencyLevel", "eventual")
	if body != nil {
		request.Header.Set("Content-Type", "application/json")
	}
	return g.send(request)
}

// judge compares one example and prints a line.
func (g *simulated) judge(x graphExample, w io.Writer, total *graphTotals) error {
	line := func(format string, args ...any) {
		fmt.Fprintf(w, "%-100s %s\n", x.file, fmt.Sprintf(format, args...))
	}
	bare, rawQuery, _ := strings.Cut(x.Path, "?")
	// Method on both sides, so that notSimulated can tie a part to it.
	known := strings.ToLower(x.Method + " " + strings.TrimPrefix(strings.TrimPrefix(bare, "/v1.0"), "/beta") + " " + x.Method)
	documented := entities(x.Body)
	if x.Status == http.StatusNoContent || len(documented) == 0 || x.Method != http.MethodGet && x.Method != http.MethodPost {
		total.other++
		return nil
	}
	for _, n := range notSimulated {
		if strings.Contains(known, n.part) {
			total.apart++
			line("not simulated: %s", n.reason)
			return nil
		}
	}
	path, err := g.path(bare)
	if err != nil {
		return err
	}
	if x.Method == http.MethodGet && rawQuery != "" {
		total.queries++
		if status, body, err := g.ask(x.Method, path, strings.ReplaceAll(rawQuery, " ", "%20"), nil); err != nil {
			return err
		} else if status != http.StatusOK {
			total.refused++
			fmt.Fprintf(w, "%-100s   as written refused: %s\n", x.file, problem(body))
		}
	}
	status, body, err := g.answer(x, path, rawQuery, documented)
	if err != nil {
		return err
	}
	if reason := unknownToLab(status, body); reason != "" {
		total.apart++
		line("not simulated: %s", reason)
		return nil
	}
	if status != x.Status {
		total.wrong++
		line("DIFFERS: status %d: %s", status, problem(body))
		return nil
	}
	found := comparison{}
	found.entities("", documented, entities(body))
	total.members += found.members
	if len(found.missing)+len(found.types) > 0 {
		total.wrong++
		line("DIFFERS: missing %v, other type %v", found.missing, found.types)
		return nil
	}
	total.ok++
	line("ok, %d members%s", found.members, found.remarks())
	return nil
}

// unknownToLab says why an answer means that the lab does not have the resource
// or the expansion at all, "" if it has.
func unknownToLab(status int, body map[string]any) string {
	text := problem(body)
	switch {
	case status == http.StatusMethodNotAllowed, status == http.StatusBadRequest && strings.Contains(text, "Nothing is known under the segment"):
		return "the lab has no such route"
	case status == http.StatusBadRequest && strings.Contains(text, "$expand of"):
		return "the lab does not expand this"
	}
	return ""
}

func problem(body map[string]any) string {
	e, _ := body["error"].(map[string]any)
	return fmt.Sprint(e["code"], ": ", e["message"])
}

// answer asks the same kind of question, about what the lab's tenant has.
func (g *simulated) answer(x graphExample, path, rawQuery string, documented []map[string]any) (int, map[string]any, error) {
	if x.Method == http.MethodPost {
		return g.post(path, documented)
	}
	query := url.Values{}
	for part := range strings.SplitSeq(rawQuery, "&") {
		if name, value, ok := strings.Cut(part, "="); ok && strings.Contains(strings.ToLower(name), "expand") {
			query.Set("$expand", value)
		} else if ok && strings.Contains(strings.ToLower(name), "count") {
			query.Set("$count", "true")
		}
	}
	status, body, err := g.ask(x.Method, path, query.Encode(), nil)
	if err != nil || status != http.StatusOK {
		return status, body, err
	}
	// Members that are not given by default are asked for by name.
	have := entities(body)
	var selected []string
	for _, d := range documented {
		for name := range d {
			if !strings.Contains(name, "@") && !slices.ContainsFunc(have, func(h map[string]any) bool { _, there := h[name]; return there }) {
				selected = append(selected, name)
			}
		}
	}
	if len(selected) == 0 {
		return status, body, nil
	}
	query.Set("$select", strings.Join(slices.Compact(slices.Sorted(slices.Values(selected))), ","))
	more, extra, err := g.ask(x.Method, path, query.Encode(), nil)
	if err != nil || more != http.StatusOK {
		return status, body, err // reported as missing
	}
	for i, e := range entities(extra) {
		if i < len(have) {
			maps.Copy(have[i], e)
		}
	}
	return status, body, nil
}

// post sends a body of our own to a documented action.
func (g *simulated) post(path string, documented []map[string]any) (int, map[string]any, error) {
	ids := map[string]string{}
	_, list, err := g.ask(http.MethodGet, "/v1.0/servicePrincipals", "", nil)
	if err != nil {
		return 0, nil, err
	}
	for _, p := range entities(list) {
		ids[fmt.Sprint(p["displayName"])] = fmt.Sprint(p["id"])
	}
	lower := strings.ToLower(path)
	var body any
	switch {
	case strings.HasSuffix(lower, "/addpassword"):
		body = map[string]any{"passwordCredential": map[string]any{"displayName": "eval"}}
	case strings.HasSuffix(lower, "/checkmembergroups"):
		_, groups, err := g.ask(http.MethodGet, "/v1.0/groups", "", nil)
		if err != nil {
			return 0, nil, err
		}
		body = map[string]any{"groupIds": []any{entities(groups)[0]["id"]}}
	case strings.HasSuffix(lower, "/getmembergroups"):
		body = map[string]any{"securityEnabledOnly": false}
	case strings.HasSuffix(lower, "/oauth2permissiongrants"):
		body = map[string]any{"clientId": ids["Second"], "consentType": "AllPrincipals", "principalId": nil, "resourceId": ids["Microsoft Graph"], "scope": "User.Read"}
	case strings.HasSuffix(lower, "/approleassignedto"):
		path = "/v1.0/servicePrincipals/" + ids["Second"] + "/appRoleAssignedTo"
		body = map[string]any{"principalId": g.tenant.Users[1].ID, "resourceId": ids["Second"], "appRoleId": "00000000-0000-0000-0000-000000000000"}
	case strings.HasSuffix(lower, "/approleassignments"):
		path = "/v1.0/servicePrincipals/" + ids["Second"] + "/appRoleAssignments"
		body = map[string]any{"principalId": ids["Second"], "resourceId": ids["Microsoft Graph"], "appRoleId": "df021288-bdef-4463-88db-98f22de89214"}
	case strings.HasSuffix(lower, "/serviceprincipals"):
		body = map[string]any{"appId": g.vendor}
	case strings.HasSuffix(lower, "/conditionalaccess/policies"):
		body = conditionalPolicy
	case strings.HasSuffix(lower, "/namedlocations"):
		body = addresses
		if _, country := documented[0]["countriesAndRegions"]; country {
			body = countries
		}
	case strings.HasSuffix(lower, "/authenticationcontextclassreferences"):
		body = map[string]any{"id": "c2", "displayName": "Gates", "description": "Gates of the yard", "isAvailable": false}
	case strings.HasSuffix(lower, "/agreements"):
		body = terms
	case strings.HasSuffix(lower, "/permissiongrantpolicies"):
		body = map[string]any{"id": "yard-more", "displayName": "More", "description": "Of the yard, too"}
	case strings.HasSuffix(lower, "/includes"):
		body = map[string]any{"permissionType": "delegated", "clientApplicationsFromVerifiedPublisherOnly": true}
	case strings.HasSuffix(lower, "/emailmethods"):
		path = strings.Replace(path, g.tenant.Users[0].ID, g.tenant.Users[1].ID, 1) // who has no address yet
		body = map[string]any{"emailAddress": "bob@home.example"}
	case strings.HasSuffix(lower, "/applications"):
		body = map[string]any{"displayName": "Third"}
	case strings.HasSuffix(lower, "/directoryroles"):
		body = map[string]any{"roleTemplateId": "fe930be7-5e62-47db-91af-98c3a49a38b1"}
	default:
		body = map[string]any{}
	}
	return g.ask(http.MethodPost, path, "", body)
}

// path puts ids of the lab's tenant where the example has its own.
func (g *simulated) path(bare string) (string, error) {
	bare = strings.NewReplacer("('", "/", "(", "/", "')", "", ")", "").Replace(bare)
	parts := strings.Split(strings.Trim(bare, "/"), "/")
	for i := 1; i < len(parts); i++ {
		before := strings.ToLower(parts[i-1])
		if i > 1 && strings.EqualFold(parts[i-2], "authentication") && strings.HasSuffix(before, "methods") {
			before = "method"
		}
		if i > 1 && strings.EqualFold(parts[i-2], "conditionalAccess") && before == "policies" {
			before = "namedlocations" // found in the same way
		}
		if strings.EqualFold(parts[i], "delta") {
			continue
		}
		switch before {
		case "users":
			parts[i] = g.tenant.Users[0].ID
		case "organization":
			parts[i] = g.tenant.ID
		case "permissiongrantpolicies":
			if parts[i] == "{id}" {
				parts[i] = ownPolicy
			}
		case "groups", "directoryroles", "serviceprincipals", "applications", "oauth2permissiongrants", "subscribedskus", "roledefinitions", "roleassignments", "signins", "namedlocations", "userregistrationdetails", "method":
			if before == "directoryroles" && strings.HasPrefix(strings.ToLower(parts[i]), "roletemplateid=") {
				parts[i] = "roleTemplateId=62e90394-69f5-4237-9190-012177145e10"
				continue
			}
			_, body, err := g.ask(http.MethodGet, "/"+strings.Join(parts[:i], "/"), "", nil)
			list := entities(body)
			if err != nil || len(list) == 0 {
				return "", fmt.Errorf("finding an object in %s: %w", strings.Join(parts[:i], "/"), cmp.Or(err, errBar))
			}
			pick := list[0]
			for _, e := range list { // the tenant's own app rather than one of Microsoft's
				if e["displayName"] == "Reader" {
					pick = e
				}
			}
			parts[i] = fmt.Sprint(pick["id"])
		}
	}
	return "/" + strings.Join(parts, "/"), nil
}

// entities gives the objects of an answer: those of a collection, or itself.
// Older examples wrap a single object in "value", too.
func entities(body any) []map[string]any {
	object, isObject := body.(map[string]any)
	if !isObject {
		return nil
	}
	var out []map[string]any
	switch value := object["value"].(type) {
	case []any:
		for _, v := range value {
			if e, isObject := v.(map[string]any); isObject {
				out = append(out, e)
			}
		}
		if len(out) == 0 {
			return []map[string]any{object}
		}
	case map[string]any:
		out = append(out, value)
	default:
		out = append(out, object)
	}
	return out
}

// comparison collects what differs.
type comparison struct {
	members        int
	missing, types []string
	older          []string
}

func (c *comparison) remarks() string {
	if len(c.older) == 0 {
		return ""
	}
	return fmt.Sprintf(" (since renamed or spelled otherwise: %s)", strings.Join(c.older, ", "))
}

// entities compares each documented object with the lab's of the same type: a
// member counts as present if one of them has it.
func (c *comparison) entities(at string, documented, have []map[string]any) {
	for _, d := range documented {
		candidates := have
		if kind, typed := d["@odata.type"]; typed && at == "" {
			same := slices.DeleteFunc(slices.Clone(have), func(h map[string]any) bool { k, there := h["@odata.type"]; return there && k != kind })
			if len(same) > 0 {
				candidates = same
			}
		}
		for _, name := range slices.Sorted(maps.Keys(d)) {
			if strings.Contains(name, "@") {
				continue // annotations are optional
			}
			c.member(at+name, name, d[name], candidates)
		}
	}
}

func (c *comparison) member(path, name string, documented any, have []map[string]any) {
	var values []any
	there := false
	for _, h := range have {
		v, found := h[name]
		if !found && renamed[name] != "" {
			if v, found = h[renamed[name]]; found {
				c.note(path)
			}
		}
		if !found {
			for other := range h {
				if strings.EqualFold(other, name) {
					v, found = h[other], true
					c.note(path)
				}
			}
		}
		if found {
			there = true
			if v != nil {
				values = append(values, v)
			}
		}
	}
	if !there && slices.Contains(withdrawn, name) {
		c.note(path + " (withdrawn)")
		return
	}
	if !there {
		if !slices.Contains(c.missing, path) {
			c.missing = append(c.missing, path)
		}
		return
	}
	c.members++
	for _, v := range values {
		if kind(documented) != "null" && kind(documented) != kind(v) {
			c.types = append(c.types, fmt.Sprintf("%s (%s, is %s)", path, kind(documented), kind(v)))
			return
		}
	}
	switch d := documented.(type) {
	case map[string]any:
		if inner := objects(values); len(inner) > 0 {
			c.entities(path+"/", []map[string]any{d}, inner)
		}
	case []any:
		var flat []any
		for _, v := range values {
			flat = append(flat, v.([]any)...)
		}
		if inner := objects(flat); len(inner) > 0 {
			c.entities(path+"/", objects(d), inner)
		} else if len(flat) > 0 && len(d) > 0 && kind(d[0]) != kind(flat[0]) {
			c.types = append(c.types, fmt.Sprintf("%s (list of %s, is of %s)", path, kind(d[0]), kind(flat[0])))
		}
	}
}

func (c *comparison) note(path string) {
	if !slices.Contains(c.older, path) {
		c.older = append(c.older, path)
	}
}

func objects(list []any) []map[string]any {
	var out []map[string]any
	for _, v := range list {
		if o, isObject := v.(map[string]any); isObject {
			out = append(out, o)
		}
	}
	return out
}

// kind is a value's JSON type. A few examples hold the name of the type instead
// of a value.
func kind(v any) string {
	switch v := v.(type) {
	case nil:
		return "null"
	case bool:
		return "boolean"
	case float64:
		return "number"
	case []any:
		return "list"
	case map[string]any:
		return "object"
	case string:
		switch v {
		case "Integer", "Int32":
			return "number"
		case "Boolean":
			return "boolean"
		}
	}
	return "string"
}
