package api_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"gatehouse/client"
	"gatehouse/internal/api"
	"gatehouse/internal/audit"
	"gatehouse/internal/testenv"
)

// operation is a route as the document tells it.
type operation struct {
	method, path, id, permission string
	statuses                     map[string]json.RawMessage // answers that it promises
	parameters                   []struct{ Name, In string }
}

func operations(t *testing.T) (all []operation) {
	t.Helper()
	data, err := api.Document("test")
	if err != nil {
		t.Fatal(err)
	}
	var document struct {
		Paths map[string]map[string]struct {
			ID         string                      `json:"operationId"`
			Permission string                      `json:"x-permission"`
			Responses  map[string]json.RawMessage  `json:"responses"`
			Parameters []struct{ Name, In string } `json:"parameters"`
		}
	}
	if err := json.Unmarshal(data, &document); err != nil {
		t.Fatal(err)
	}
	for path, methods := range document.Paths {
		for method, op := range methods {
			all = append(all, operation{strings.ToUpper(method), path, op.ID, op.Permission, op.Responses, op.Parameters})
		}
	}
	slices.SortFunc(all, func(a, b operation) int { return strings.Compare(a.id, b.id) })
	if len(all) < 40 {
		t.Fatalf("the document has only %d operations", len(all))
	}
	return all
}

// requests are a good request for each operation that has a body or a query. A
// new operation that needs one fails the walk until it stands here.
var requests = map[string]struct{ query, body string }{
	"detect-tenant":                 {query: "?tenant=openharbour.onmicrosoft.com"},
	"remove-tenant":                 {query: "?confirm=Walk"},
	"add-tenant":                    {body: `{"tenant":"azurequay.onmicrosoft.com"}`},
	"change-tenant":                 {body: `{"name":"Walk"}`},
	"onboard-reader":                {body: `{"client_id":"11111111-2222-3333-4444-555555555555"}`},
	"upload-snapshot":               {body: `{}`},
	"add-connection":                {body: `{"tenant_id":"{tenant}","kind":"service_account","name":"More","username":"more@openharbour.onmicrosoft.com","services":["graph"],"credential":{"password":"x"}}`},
	"change-connection":             {body: `{"name":"Other","username":"a@openharbour.onmicrosoft.com","services":["graph"],"version":999}`},
	"convert-to-common":             {body: `{"version":1,"password":"y"}`},
	"set-registration":              {body: `{"client_id":"11111111-2222-3333-4444-555555555555"}`},
	"set-app-credential":            {body: `{"way":"made_here"}`},
	"choose-company":                {body: `{"environment":"Production","company":"Walk"}`},
	"set-credential":                {body: `{"password":"y"}`},
	"comment-incident":              {body: `{"text":"A word"}`},
	"assign-role":                   {body: `{"kind":"group","object_id":"22222222-2222-4222-8222-222222222222","tenant_id":"{tenant}","role":"viewer"}`},
	"add-key":                       {body: `{"name":"walk","permissions":["tenant.view"],"tenants":["{tenant}"]}`},
	"invite-operator":               {body: `{"email":"new@contoso.example","name":"New Person","roles":{"{tenant}":"viewer"}}`},
	"set-role":                      {body: `{"role":"viewer"}`},
	"add-webhook":                   {body: `{"tenant_id":"{tenant}","name":"Walk","url":"https://127.0.0.1:1/","kinds":["incident.opened"]}`},
	"change-webhook":                {body: `{"name":"Walk","kinds":["incident.opened"],"enabled":true,"version":999}`},
	"choose-my-notices":             {body: `{"kinds":["incident.opened"]}`},
	"replay-failed":                 {body: `{"since":"2026-01-01T00:00:00Z"}`},
	"add-registration":              {body: `{"name":"More","kind":"public"}`},
	"change-registration":           {body: `{"name":"Other","version":999}`},
	"look-up-registration":          {body: `{"tenant_id":"{tenant}"}`},
	"set-manifest":                  {body: `{"permissions":[],"version":999}`},
	"add-registration-credential":   {body: `{"secret":"some-value-of-a-secret"}`},
	"check-registration-credential": {body: `{"tenant_id":"{tenant}"}`},
	"new-token":                     {body: `{"service":"graph"}`},
	"begin-rotation":                {body: `{"tenant_id":"{tenant}"}`},
	"get-consent":                   {query: "?registration=none"},
	"look-at-consent":               {query: "?registration=none"},
	"ask-consent":                   {body: `{"registration_id":"none"}`},
	"get-customers":                 {query: "?connection=none"},
	"onboard-customers":             {body: `{"connection_id":"none","registration_id":"none","customers":[{"id":"11111111-2222-3333-4444-555555555555"}]}`},
	"new-calendar-feed":             {body: `{"name":"Outlook"}`},
	"sign-in":                       {body: `{"email":"nobody@contoso.example","password":"wrong"}`},
	"preview-batch":                 {body: `{"action":"validate","filter":{"tenant":"{tenant}"}}`},
	"start-batch":                   {body: `{"action":"validate","filter":{"tenant":"{tenant}"}}`},
	"search":                        {body: `{"text":"walk"}`},
	"save-filter":                   {body: `{"name":"Walk","filter":{"tenant":"{tenant}"}}`},
	"set-tags":                      {body: `{"tags":["walk"]}`},
	"set-schedule":                  {body: `{"schedule":"every 6h"}`},
	"set-tenant-schedule":           {body: `{"schedule":"every 6h"}`},
	"set-server-schedule":           {body: `{"schedule":"every 6h"}`},
	"create-campaign":               {body: `{"name":"Walk","app":"Walk","reason":"by_hand","remind":false,"mail_usernames":false,"remind_days":[],"remind_before":[]}`},
	"change-campaign":               {body: `{"name":"Walk","version":999,"remind":false,"mail_usernames":false,"remind_days":[],"remind_before":[]}`},
	"end-campaign":                  {body: `{"confirm":"no"}`},
	"add-campaign-people":           {body: `{"people":[{"tenant":"{tenant}","username":"more@openharbour.example"}]}`},
	"remind-campaign":               {body: `{"tenant":"{tenant}"}`},
	"report-sign-ins":               {body: `{"sign_ins":[]}`},
	"import-connections":            {body: `{"format":"csv","file":"tenant,name\n","dry_run":true}`},
	"export-connections":            {query: "?tenant={tenant}"},
	"sign-in-connection":            {body: `{}`},
	"new-sign-in-link":              {body: `{"why":"walk"}`},
	"begin-device-sign-in":          {body: `{}`},
	"sign-out-connection":           {body: `{}`},
	"set-up":                        {body: `{"link":"none","password":"wrong"}`},
	"give-code":                     {body: `{"code":"000000"}`},
	"confirm-generator":             {body: `{"code":"000000"}`},
}

// walk is two tenants with something in each, and who has which role.
type walk struct {
	*testenv.Env
	t                        *testing.T
	web                      *http.Client
	tenant                   string // the walk's own
	connection               string
	run                      string
	job                      string
	incident                 string // of the run
	somebody                 string // an operator
	webhook                  string
	notice                   string
	delivery                 string
	assignment               string // a role of a group of the directory
	key                      string
	batch                    string
	filter                   string
	rotation                 string
	registration, credential string
	campaign                 string
	person                   string // of the campaign
}

func newWalk(t *testing.T, e *testenv.Env) *walk {
	ctx := t.Context()
	w := &walk{Env: e, t: t, web: e.HTTP()}
	added, err := e.AddTenant(ctx, client.TenantRequest{Tenant: "openharbour.onmicrosoft.com", Name: "Walk"})
	if err != nil {
		t.Fatal(err)
	}
	w.tenant = added.ID
	c, err := e.AddConnection(ctx, client.ConnectionRequest{
		TenantID: added.ID, Kind: "service_account", Profile: client.Profile{Name: "Backup", Username: "nobody@openharbour.onmicrosoft.com", Services: []string{"graph"}},
		Credential: client.CredentialRequest{Password: "wrong"},
	})
	if err != nil {
		t.Fatal(err)
	}
	v, err := e.Validate(ctx, c.ID)
	if err != nil {
		t.Fatal(err)
	}
	jobs, _, err := e.Jobs(ctx, client.JobFilter{Kind: "validation"}, client.Page{})
	if err != nil || len(jobs) == 0 || jobs[0].TenantID != added.ID {
		t.Fatalf("no job of the tenant: %+v %v", jobs, err)
	}
	if _, err := e.OnboardReader(ctx, added.ID, client.ReaderRequest{ClientID: "11111111-2222-3333-4444-555555555555"}); err != nil {
		t.Fatal(err)
	}
	rotated, err := e.BeginRotation(ctx, client.RotationRequest{TenantID: added.ID})
	if err != nil {
		t.Fatal(err)
	}
	w.rotation = rotated.ID
	g, err := e.AddRegistration(ctx, client.NewRegistration{Kind: "confidential", RegistrationDetails: client.RegistrationDetails{Name: "Ledgers", ClientIDs: map[string]string{"lab": "33333333-2222-4333-8444-555555555555"}}})
	if err != nil {
		t.Fatal(err)
	}
	held, err := e.AddRegistrationCredential(ctx, g.ID, client.NewCredential{Generate: true})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := e.CheckRegistrationCredential(ctx, g.ID, held.ID, client.CheckRequest{TenantID: added.ID}); err != nil {
		t.Fatal(err)
	}
	w.registration, w.credential = g.ID, held.ID
	i, err := e.Invite(ctx, client.InviteRequest{Email: "somebody@contoso.example", Name: "Some Body", Roles: map[string]string{added.ID: "viewer"}})
	if err != nil {
		t.Fatal(err)
	}
	hook, err := e.AddWebhook(ctx, client.WebhookRequest{TenantID: added.ID, Name: "Tickets", URL: "https://127.0.0.1:1/", Kinds: []string{"incident.opened"}})
	if err != nil {
		t.Fatal(err)
	}
	d, err := e.TestWebhook(ctx, hook.Webhook.ID)
	if err != nil {
		t.Fatal(err)
	}
	w.webhook, w.notice, w.delivery = hook.Webhook.ID, d.NoticeID, d.ID
	incidents, _, err := e.Incidents(ctx, client.IncidentFilter{}, client.Page{})
	if err != nil || len(incidents) != 1 {
		t.Fatalf("no incident of the connection: %+v %v", incidents, err)
	}
	w.incident = incidents[0].ID
	a, err := e.Assign(ctx, client.AssignmentRequest{Kind: client.AssignGroup, ObjectID: "11111111-1111-4111-8111-111111111111", TenantID: added.ID, Role: "viewer"})
	if err != nil {
		t.Fatal(err)
	}
	k, err := e.AddKey(ctx, client.KeyRequest{Name: "walk", Permissions: []string{"tenant.view"}, Tenants: []string{added.ID}})
	if err != nil {
		t.Fatal(err)
	}
	w.assignment, w.key = a.ID, k.Key.ID
	b, err := e.StartBatch(ctx, client.BatchRequest{Action: client.ActionValidate, IDs: []string{c.ID}})
	if err != nil {
		t.Fatal(err)
	}
	saved, err := e.SaveFilter(ctx, client.FilterRequest{Name: "Of the walk", Filter: client.ConnectionSearch{TenantID: added.ID}, Shared: true})
	if err != nil {
		t.Fatal(err)
	}
	w.batch, w.filter = b.ID, saved.ID
	again, err := e.CreateCampaign(ctx, client.CampaignRequest{Name: "Of " + added.ID, App: "Walk", Reason: "by_hand"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := e.AddCampaignPeople(ctx, again.ID, client.CampaignPeople{People: []client.CampaignPersonRow{{Tenant: added.ID, Username: "somebody@openharbour.example"}}}); err != nil {
		t.Fatal(err)
	}
	asked, _, err := e.CampaignPeople(ctx, again.ID, client.CampaignPersonFilter{}, client.Page{})
	if err != nil || len(asked) != 1 {
		t.Fatalf("%+v %v", asked, err)
	}
	w.campaign, w.person = again.ID, asked[0].ID
	w.connection, w.run, w.job, w.somebody = c.ID, v.ID, fmt.Sprint(jobs[0].ID), i.Operator.ID
	return w
}

// object is the id of what an operation is about.
func (w *walk) object(op operation) string {
	for prefix, id := range map[string]string{"connections": w.connection, "validations": w.run, "incidents": w.incident, "jobs": w.job, "operators": w.somebody, "webhooks": w.webhook, "notices": w.notice, "deliveries": w.delivery, "assignments": w.assignment, "keys": w.key, "batches": w.batch, "filters": w.filter, "rotations": w.rotation, "registrations": w.registration, "expiries": "c-" + w.connection, "campaigns": w.campaign} {
		if strings.HasPrefix(op.path, "/api/v1/"+prefix+"/") {
			return id
		}
	}
	return w.tenant
}

// ask makes the good request of an operation as somebody.
func (w *walk) ask(op operation, token string) (status int, body []byte) {
	w.t.Helper()
	r := requests[op.id]
	path := strings.NewReplacer("{credential}", w.credential, "{id}", w.object(op), "{tenant}", w.tenant, "{person}", w.person).Replace(op.path)
	return w.send(op, token, path+strings.ReplaceAll(r.query, "{tenant}", w.tenant), strings.ReplaceAll(r.body, "{tenant}", w.tenant))
}

// send makes some request of an operation. Its answer has to be one that the
// document promises, and a refusal a problem.
func (w *walk) send(op operation, token, path, with string) (status int, body []byte) {
	w.t.Helper()
	request, err := http.NewRequestWithContext(w.t.Context(), op.method, w.URL+path, strings.NewReader(with))
	if err != nil {
		w.t.Fatal(err)
	}
	if token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	if with != "" {
		request.Header.Set("Content-Type", "application/json")
	}
	web := w.web
	if token == "" {
		web = w.HTTP() // from an address of its own: there are more routes than one may ask for at once
	}
	response, err := web.Do(request)
	if err != nil {
		w.t.Fatal(err)
	}
	defer response.Body.Close()
	if _, promised := op.statuses[fmt.Sprint(response.StatusCode)]; !promised {
		w.t.Errorf("%s answers %s, of which the document says nothing", op.id, response.Status)
	}
	if strings.HasPrefix(response.Header.Get("Content-Type"), "text/event-stream") {
		return response.StatusCode, nil // endless
	}
	body, err = io.ReadAll(response.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	if response.StatusCode >= 400 {
		checkProblem(w.t, op.id, response, body)
	}
	return response.StatusCode, body
}

// checkProblem wants a problem as RFC 9457 and package client have it.
func checkProblem(t *testing.T, what string, response *http.Response, body []byte) {
	t.Helper()
	var p client.Problem
	if err := json.Unmarshal(body, &p); err != nil {
		t.Errorf("%s: %v in %s %q", what, err, response.Status, body)
		return
	}
	if response.Header.Get("Content-Type") != "application/problem+json" || p.Status != response.StatusCode || !strings.HasPrefix(p.Type, "urn:gatehouse:problem:") || p.Title == "" || p.Detail == "" {
		t.Errorf("%s: %s is no whole problem (%s): %s", what, response.Status, response.Header.Get("Content-Type"), body)
	}
	for _, f := range p.Faults {
		if f.Problem == "" {
			t.Errorf("%s: a fault without a word: %s", what, body)
		}
	}
}

func kind(body []byte) string {
	var p client.Problem
	_ = json.Unmarshal(body, &p) // no problem: no type
	return p.Type
}

// lists are the operations that answer whoever has the permission anywhere with
// what they may see; self is for everybody about themselves.
func isList(op operation) bool {
	return strings.HasPrefix(op.id, "list-") && !strings.Contains(op.path, "{") || op.id == "stream-events"
}

// Every route × every role × own, other and all tenants, and without a session.
// The routes come from the document, so that a new one is walked at once; each
// declares its permission, or it could not be registered.
func TestWalk(t *testing.T) {
	t.Parallel()
	testenv.Each(t, walkAll)
}

func walkAll(t *testing.T, e *testenv.Env) {
	w := newWalk(t, e)
	other, err := e.AddTenant(t.Context(), client.TenantRequest{Tenant: "ledgerlane.onmicrosoft.com", Name: "Elsewhere"})
	if err != nil {
		t.Fatal(err)
	}
	roles := []string{"none", "viewer", "technician", "engineer", "administrator"}
	type person struct {
		name        string
		own, widely audit.Role // in the walk's tenant, in all
		foreign     audit.Role // in another
		token       string
	}
	people := []person{}
	member := func(name string, given map[string]string) string {
		for tenant, role := range given {
			if role == "none" {
				delete(given, tenant)
			}
		}
		return e.Member(name+"@contoso.example", given).Token()
	}
	for r, role := range roles {
		if r > 0 { // a role in another tenant alone; and little here beside much there
			people = append(people,
				person{"foreign " + role, 0, 0, audit.Role(r), member("foreign-"+role, map[string]string{other.ID: role})},
				person{"all " + role, audit.Role(r), audit.Role(r), audit.Role(r), member("all-"+role, map[string]string{client.AllTenants: role})})
		}
		people = append(people, person{"own " + role + ", foreign administrator", audit.Role(r), 0, audit.Administrator,
			member("own-"+role, map[string]string{w.tenant: role, other.ID: "administrator"})})
	}

	var allowed, removals []func()
	for _, op := range operations(t) {
		if op.permission == "" {
			t.Errorf("%s declares no permission", op.id)
		}
		status, body := w.ask(op, "")
		switch {
		case op.permission == "none":
			if status == http.StatusForbidden || kind(body) == client.ProblemNotSignedIn {
				t.Errorf("%s is open, and yet: %d %s", op.id, status, body)
			}
			continue
		case status != http.StatusUnauthorized || kind(body) != client.ProblemNotSignedIn:
			t.Errorf("%s without a session: %d %s", op.id, status, body)
		}
		if op.permission == "session" || op.permission == string(audit.Self) {
			continue // about oneself
		}
		least, known := audit.Least(audit.Permission(op.permission))
		if !known || least == 0 {
			t.Fatalf("%s declares %q, which nobody has", op.id, op.permission)
		}
		for _, p := range people {
			nowhere := max(p.own, p.widely, p.foreign) < least
			may := max(p.own, p.widely) >= least
			if isList(op) {
				may = !nowhere
			}
			if may || ownRules(op) && !nowhere {
				removal := strings.HasPrefix(op.id, "remove-")
				ask := func() {
					status, body := w.ask(op, p.token)
					no := status == http.StatusUnauthorized || kind(body) == client.ProblemRefused || kind(body) == client.ProblemNotFound && !removal
					if no && !ownRules(op) || status >= 500 && status != http.StatusBadGateway || kind(body) == client.ProblemMethod {
						t.Errorf("%s as %s: %d %s", op.id, p.name, status, body)
					}
				}
				if removal { // what others are to find there
					removals = append(removals, ask)
				} else {
					allowed = append(allowed, ask)
				}
				continue
			}
			status, body := w.ask(op, p.token)
			hidden := status == http.StatusNotFound && kind(body) == client.ProblemNotFound
			refused := status == http.StatusForbidden && kind(body) == client.ProblemRefused
			switch {
			case !hidden && !refused:
				t.Errorf("%s as %s: %d %s", op.id, p.name, status, body)
			case !nowhere && p.own == 0 && p.widely == 0 && strings.Contains(op.path, "{") && !hidden && !strings.HasPrefix(op.path, "/api/v1/operators/"):
				t.Errorf("%s as %s tells that the object is there: %d %s", op.id, p.name, status, body)
			}
		}
	}
	// Nothing was done by those who were refused.
	if still, err := e.Tenant(t.Context(), w.tenant); err != nil || still.Paused || still.Name != "Walk" {
		t.Errorf("the tenant was changed by somebody who may not: %+v %v", still, err)
	}
	for _, ask := range append(allowed, removals...) {
		ask()
	}
}

// ownRules are routes whose feature demands more than the permission in one of
// the tenants: the object belongs to none, or to several.
func ownRules(op operation) bool {
	return slices.Contains([]string{"invite-operator", "relink-operator", "disable-operator", "enable-operator", "remove-operator", "erase-operator", "set-role", "add-tenant", "detect-tenant", "doctor", "rotate-keys",
		"replay-failed", "verify-audit", "checkpoint-audit", "export-audit", "make-backup", "count-tags", "export-connections", "import-connections", "save-filter", "remove-filter", "search", "get-schedule", "set-server-schedule", "get-consents",
		"create-campaign", "change-campaign", "start-campaign", "pause-campaign", "resume-campaign", "end-campaign", "add-campaign-people"}, op.id) ||
		strings.HasPrefix(op.path, "/api/v1/registrations") // they belong to the whole server
}

// Every list shows what is in the caller's tenants and nothing else.
func TestListsFilter(t *testing.T) {
	t.Parallel()
	testenv.Each(t, listsFilter)
}

func listsFilter(t *testing.T, e *testenv.Env) {
	w := newWalk(t, e)
	other, err := e.AddTenant(t.Context(), client.TenantRequest{Tenant: "ledgerlane.onmicrosoft.com", Name: "Elsewhere"})
	if err != nil {
		t.Fatal(err)
	}
	own := e.Member("own@contoso.example", map[string]string{w.tenant: "administrator"}).Token()
	foreign := e.Member("foreign@contoso.example", map[string]string{other.ID: "administrator"}).Token()
	for _, op := range operations(t) {
		if !strings.HasPrefix(op.id, "list-") || strings.Contains(op.path, "{") {
			continue
		}
		// What names the walk's tenant is in its administrator's list.
		status, body := w.ask(op, own)
		if status != http.StatusOK || !bytes.Contains(body, []byte(w.tenant)) {
			t.Errorf("%s hides one's own tenant: %d %s", op.id, status, body)
		}
		if bytes.Contains(body, []byte(other.ID)) {
			t.Errorf("%s shows another's tenant: %s", op.id, body)
		}
		status, body = w.ask(op, foreign)
		if status != http.StatusOK {
			t.Errorf("%s: %d %s", op.id, status, body)
		}
		for _, id := range []string{w.tenant, w.connection, w.run, w.somebody, w.webhook, w.notice, w.delivery, w.incident, w.assignment, w.key} {
			if bytes.Contains(body, []byte(id)) {
				t.Errorf("%s shows another's tenant: %s", op.id, body)
			}
		}
	}
}
