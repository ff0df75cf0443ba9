package posture_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"gatehouse/internal/microsoft"
	"gatehouse/internal/microsoft/graph"
	"gatehouse/internal/microsoft/login"
	"gatehouse/internal/posture"
	"gatehouse/internal/secrets"
	"gatehouse/lab"
)

// unhurried lets the lab's clock run on before each call to Conditional Access,
// of which it lets one a second through.
type unhurried struct {
	lab  *lab.Lab
	next http.RoundTripper
}

func (u unhurried) RoundTrip(r *http.Request) (*http.Response, error) {
	if strings.Contains(r.URL.Path, "/conditionalAccess/") {
		u.lab.Advance(time.Second)
	}
	return u.next.RoundTrip(r)
}

// reader is a client of a tenant's Graph with the reader's rights.
func reader(t *testing.T, l *lab.Lab, tenant string) *graph.Client {
	t.Helper()
	cloud := microsoft.Cloud{Name: "lab", Login: l.URL(), Graph: l.URL(), GraphResource: "https://graph.microsoft.com", Roots: l.Roots()}
	app := l.Tenant(tenant).App("Gatehouse reader")
	token, err := login.New(login.Config{Cloud: cloud}).Secret(t.Context(), l.Tenant(tenant).ID, app.ClientID, secrets.New(*app.Secret), []string{"https://graph.microsoft.com/.default"})
	if err != nil {
		t.Fatal(err)
	}
	client, err := graph.New(graph.Config{Cloud: cloud, Transport: unhurried{l, cloud.Transport()}, Token: func(context.Context) (secrets.Value, error) { return token.Access, nil }})
	if err != nil {
		t.Fatal(err)
	}
	return client
}

// administer adds something to Open Harbour through Graph, as its administrator
// would.
func administer(t *testing.T, l *lab.Lab, path string, body any) map[string]any {
	t.Helper()
	at, client := l.Tenant("openharbour"), l.Client()
	app := at.App("Lab administration")
	defer client.CloseIdleConnections()
	send := func(request *http.Request, out any) {
		response, err := client.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		data, err := io.ReadAll(response.Body)
		if err != nil || response.StatusCode >= 300 {
			t.Fatalf("%s %s: %d %s %v", request.Method, request.URL.Path, response.StatusCode, data, err)
		}
		if len(data) > 0 {
			if err := json.Unmarshal(data, out); err != nil {
				t.Fatal(err)
			}
		}
	}
	form := url.Values{"grant_type": {"client_credentials"}, "client_id": {app.ClientID}, "client_secret": {*app.Secret}, "scope": {"https://graph.microsoft.com/.default"}}
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, l.URL()+"/"+at.ID+"/oauth2/v2.0/token", strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	var token struct {
		Access string `json:"access_token"`
	}
	send(request, &token)
	encoded, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	l.Advance(time.Second) // the limit of Conditional Access
	if request, err = http.NewRequestWithContext(t.Context(), http.MethodPost, l.URL()+path, bytes.NewReader(encoded)); err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+token.Access)
	request.Header.Set("Content-Type", "application/json")
	out := map[string]any{}
	send(request, &out)
	return out
}

// A tenant of the lab is read whole: one list a kind, at the pace that Graph
// allows, and nothing unread but what needs a licence.
func TestLoad(t *testing.T) {
	l := lab.Start(t)
	const conditional = "/v1.0/identity/conditionalAccess/"
	at := l.Tenant("openharbour")
	location := administer(t, l, conditional+"namedLocations", map[string]any{
		"@odata.type": "#microsoft.graph.ipNamedLocation", "displayName": "Harbour office", "isTrusted": true,
		"ipRanges": []any{map[string]any{"@odata.type": "#microsoft.graph.iPv4CidrRange", "cidrAddress": "198.51.100.0/24"}}})
	group := administer(t, l, "/v1.0/groups", map[string]any{"displayName": "Exclusions", "mailEnabled": false, "mailNickname": "exclusions", "securityEnabled": true})
	for name, state := range map[string]string{"CA001 MFA outside": "enabled", "CA002 trial": "enabledForReportingButNotEnforced"} {
		administer(t, l, conditional+"policies", map[string]any{
			"displayName": name, "state": state,
			"conditions": map[string]any{"clientAppTypes": []any{"all"}, "users": map[string]any{"includeUsers": []any{"All"}, "excludeGroups": []any{group["id"]}}, "applications": map[string]any{"includeApplications": []any{"All"}},
				"locations": map[string]any{"includeLocations": []any{"All"}, "excludeLocations": []any{location["id"]}}},
			"grantControls": map[string]any{"operator": "OR", "builtInControls": []any{"mfa"}}})
	}
	before := len(l.Journal())
	l.Advance(time.Second)
	client := reader(t, l, "openharbour")
	s, err := posture.Load(t.Context(), client, l.Now(), posture.Want{Accounts: []string{at.User("svc-backup").UPN, at.User("svc-admin").UPN}, Apps: []string{at.App("Backup app").ClientID}})
	if err != nil {
		t.Fatal(err)
	}
	if len(s.Unread) > 0 {
		t.Errorf("not read: %v", s.Unread)
	}
	calls := map[string]int{}
	for _, exchange := range l.Journal()[before:] {
		if strings.Contains(exchange.Path, "/identity/") || strings.Contains(exchange.Path, "/policies/") {
			calls[exchange.Path]++
		}
		if exchange.Status >= 400 {
			t.Errorf("%s: %d", exchange.Path, exchange.Status)
		}
	}
	for path, n := range calls {
		if n != 1 {
			t.Errorf("%s was called %d times", path, n)
		}
	}
	if len(s.Policies) != 2 || len(s.Locations) != 1 || len(s.Strengths) < 3 || s.Contexts == nil || s.SecurityDefaults == nil || *s.SecurityDefaults || s.TenantID != at.ID {
		t.Errorf("%d policies, %d locations, %d strengths, contexts %v, Security Defaults %v", len(s.Policies), len(s.Locations), len(s.Strengths), s.Contexts, s.SecurityDefaults)
	}
	if premium := s.Premium(); premium == nil || !*premium {
		t.Errorf("Entra ID P1: %v", premium)
	}
	if !bytes.Contains(s.Policies[0].Raw, []byte(`"insiderRiskLevels"`)) {
		t.Errorf("a policy is not as Graph gave it: %s", s.Policies[0].Raw)
	}
	admin, ok := s.Account(at.User("svc-admin").UPN)
	if !ok || len(admin.Roles) != 1 || !admin.Roles[0].Counts() || admin.Roles[0].Name != "Global Administrator" || admin.Groups == nil || admin.Methods == nil || admin.DefaultMethod == nil || admin.Capable == nil || admin.PerUserMFA == "" {
		t.Errorf("account %+v", admin)
	}
	app, ok := s.App(at.App("Backup app").ClientID)
	if !ok || app.OwnerTenant != at.ID || app.Type != "Application" || app.ID == "" {
		t.Errorf("app %+v", app)
	}
	// What was read can be asked.
	backup, _ := s.Account(at.User("svc-backup").UPN)
	stops := s.Evaluate(backup, posture.SignIn{ClientID: graphCLI, Resource: posture.Services["graph"], Address: s.Outside()}).Stops()
	if len(stops) != 1 || *stops[0].Rule.Name != "CA001 MFA outside" {
		t.Errorf("stopped by %+v", stops)
	}
	// Through three groups, the last of which holds the first again.
	add := func(to, member string) {
		administer(t, l, "/v1.0/groups/"+to+"/members/$ref", map[string]any{"@odata.id": "https://graph.microsoft.com/v1.0/directoryObjects/" + member})
	}
	outer, _ := group["id"].(string)
	within := outer
	for _, name := range []string{"Tools", "Backup tools"} {
		inner, _ := administer(t, l, "/v1.0/groups", map[string]any{"displayName": name, "mailEnabled": false, "mailNickname": strings.ReplaceAll(name, " ", ""), "securityEnabled": true})["id"].(string)
		add(within, inner)
		within = inner
	}
	add(within, outer)
	add(within, at.User("svc-backup").ID)
	l.Advance(time.Second)
	if s, err = posture.Load(t.Context(), client, l.Now(), posture.Want{Accounts: []string{at.User("svc-backup").UPN}}); err != nil {
		t.Fatal(err)
	}
	backup, _ = s.Account(at.User("svc-backup").UPN)
	if stops := s.Evaluate(backup, posture.SignIn{ClientID: graphCLI, Resource: posture.Services["graph"], Address: s.Outside()}).Stops(); len(stops) != 0 || len(backup.Groups) != 3 {
		t.Errorf("excluded by group %v, yet stopped by %+v", backup.Groups, stops)
	}
}

// The rules of a tenant are read once for many identities, until they are old.
func TestCache(t *testing.T) {
	l := lab.Start(t)
	at := l.Tenant("openharbour")
	cache := &posture.Cache{Now: l.Now}
	client := reader(t, l, "openharbour")
	want := posture.Want{Accounts: []string{at.User("svc-backup").UPN}}
	load := func() *posture.Snapshot {
		t.Helper()
		s, err := cache.Load(t.Context(), client, at.ID, want)
		if err != nil || len(s.Accounts) != 1 {
			t.Fatalf("%+v %v", s, err)
		}
		return s
	}
	reads := func() int {
		n := 0
		for _, exchange := range l.Journal() {
			if strings.HasSuffix(exchange.Path, "/identity/conditionalAccess/policies") {
				n++
			}
		}
		return n
	}
	first := load()
	l.Advance(4 * time.Minute)
	if again := load(); !again.TakenAt.Equal(first.TakenAt) || reads() != 1 {
		t.Errorf("taken at %v and %v, %d readings", first.TakenAt, again.TakenAt, reads())
	}
	l.Advance(2 * time.Minute)
	if again := load(); again.TakenAt.Equal(first.TakenAt) || reads() != 2 {
		t.Errorf("old rules were kept: %d readings", reads())
	}
}

// wire answers requests without a network.
type wire func(*http.Request) (int, string)

func (w wire) RoundTrip(r *http.Request) (*http.Response, error) {
	status, body := w(r)
	return &http.Response{StatusCode: status, Header: http.Header{"Content-Type": {"application/json"}}, Body: io.NopCloser(strings.NewReader(body)), Request: r}, nil
}

func wired(t *testing.T, w wire) *graph.Client {
	t.Helper()
	client, err := graph.New(graph.Config{Cloud: microsoft.Cloud{Graph: "https://graph.test"}, Transport: w,
		Token: func(context.Context) (secrets.Value, error) { return secrets.New("planted-token"), nil }})
	if err != nil {
		t.Fatal(err)
	}
	return client
}

// A refusal that passes is not kept as the tenant's rules; one that stays is.
func TestCacheRefusals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for status, kept := range map[int]bool{403: true, 503: false} {
			var asked atomic.Int32
			client := wired(t, func(r *http.Request) (int, string) {
				if strings.HasSuffix(r.URL.Path, "/subscribedSkus") {
					asked.Add(1)
					return status, `{"error":{"code":"refused","message":"No."}}`
				}
				return 200, `{"value":[],"isEnabled":false}`
			})
			var cache posture.Cache
			tries := int32(0)
			for i := range 2 {
				s, err := cache.Load(t.Context(), client, "t", posture.Want{})
				if err != nil || s.Reason(posture.PartLicences, "") == "" || s.Premium() != nil {
					t.Fatalf("%d: %+v %v", status, s, err)
				}
				if i == 0 {
					tries = asked.Load()
				}
			}
			if again := asked.Load() > tries; again == kept {
				t.Errorf("%d: asked %d times, then %d", status, tries, asked.Load())
			}
		}
	})
}

// Roles count where they hold for the whole tenant, also through a group;
// guests are told apart.
func TestAccounts(t *testing.T) {
	const assignments = `{"value":[
		{"principalId":"u1","roleDefinitionId":"r-whole","directoryScopeId":"/","roleDefinition":{"displayName":"Whole","isBuiltIn":true}},
		{"principalId":"u1","roleDefinitionId":"r-unit","directoryScopeId":"/administrativeUnits/a1","roleDefinition":{"displayName":"Unit","isBuiltIn":true}},
		{"principalId":"G1","roleDefinitionId":"r-group","directoryScopeId":"/","roleDefinition":{"displayName":"By group","isBuiltIn":true}},
		{"principalId":"u1","roleDefinitionId":"r-custom","directoryScopeId":"/","roleDefinition":{"displayName":"Own","isBuiltIn":false}},
		{"principalId":"u2","roleDefinitionId":"r-other","directoryScopeId":"/"}]}`
	const memberOf = `{"value":[
		{"@odata.type":"#microsoft.graph.group","id":"g1","displayName":"Role group"},
		{"@odata.type":"#microsoft.graph.directoryRole","id":"x","displayName":"Unit","roleTemplateId":"r-unit"},
		{"@odata.type":"#microsoft.graph.directoryRole","id":"y","displayName":"Listed","roleTemplateId":"r-listed"},
		{"@odata.type":"#microsoft.graph.administrativeUnit","id":"a1","displayName":"Unit"}]}`
	answers := func(user string, refused string) wire {
		return func(r *http.Request) (int, string) {
			switch path := r.URL.Path; {
			case refused != "" && strings.Contains(path, refused):
				return 403, `{"error":{"code":"Authorization_RequestDenied","message":"No."}}`
			case strings.HasSuffix(path, "/roleAssignments"):
				return 200, assignments
			case strings.HasSuffix(path, "/transitiveMemberOf"):
				return 200, memberOf
			case strings.HasPrefix(path, "/v1.0/users/") && strings.Count(path, "/") == 3:
				return 200, user
			case strings.HasSuffix(path, "/signInPreferences"):
				return 200, `{"isSystemPreferredAuthenticationMethodEnabled":true,"userPreferredMethodForSecondaryAuthentication":"oath"}`
			}
			return 200, `{"value":[],"isEnabled":false,"perUserMfaState":"disabled"}`
		}
	}
	load := func(w wire) (*posture.Snapshot, posture.Account) {
		s, err := posture.Load(t.Context(), wired(t, w), time.Now(), posture.Want{Accounts: []string{"someone@contoso.example"}})
		if err != nil || len(s.Accounts) != 1 {
			t.Fatalf("%+v %v", s, err)
		}
		return s, s.Accounts[0]
	}
	const member = `{"id":"u1","userPrincipalName":"someone@contoso.example","userType":"Member"}`
	_, a := load(answers(member, ""))
	counting := map[string]bool{}
	for _, role := range a.Roles {
		counting[role.ID] = role.Counts()
	}
	if diff := cmp.Diff(map[string]bool{"r-whole": true, "r-unit": false, "r-group": true, "r-custom": false, "r-listed": true}, counting); diff != "" {
		t.Errorf("roles: -want +got\n%s", diff)
	}
	if len(a.Groups) != 1 || a.Groups[0].Name != "Role group" || a.GuestType != "" || *a.DefaultMethod != "oath" || !*a.SystemPreferred {
		t.Errorf("%+v", a)
	}
	// Without the assignments what the directory lists counts.
	s, a := load(answers(member, "/roleAssignments"))
	if len(a.Roles) != 2 || !a.Roles[0].Counts() || s.Reason(posture.PartAssignments, "") == "" {
		t.Errorf("without assignments: %+v", a.Roles)
	}
	if s, a = load(answers(member, "/transitiveMemberOf")); a.Groups != nil || a.Roles != nil || s.Reason(posture.PartMemberships, "someone@contoso.example") == "" {
		t.Errorf("memberships refused: %+v", a)
	}
	for user, want := range map[string][2]string{
		`{"id":"u1","userPrincipalName":"dana_fabrikam.example#EXT#@contoso.example","userType":"Guest","externalUserState":"Accepted"}`: {"b2bCollaborationGuest", "fabrikam.example"},
		`{"id":"u1","userPrincipalName":"dana_fabrikam.example#EXT#@contoso.example","userType":"Member","creationType":"Invitation"}`:   {"b2bCollaborationMember", "fabrikam.example"},
		`{"id":"u1","userPrincipalName":"dana@contoso.example","userType":"Guest"}`:                                                      {"internalGuest", ""},
		`{"id":"u1","userPrincipalName":"some_one@contoso.example","userType":null}`:                                                     {"", ""},
	} {
		if _, a := load(answers(user, "")); a.GuestType != want[0] || a.HomeDomain != want[1] {
			t.Errorf("%s: %q of %q", user, a.GuestType, a.HomeDomain)
		}
	}
}
