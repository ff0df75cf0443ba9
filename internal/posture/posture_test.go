package posture_test

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"gatehouse/internal/diagnosis"
	"gatehouse/internal/microsoft/graph"
	"gatehouse/internal/posture"
)

const (
	azureCLI    = "04b07795-8ddb-461a-bbee-02f9e1bf7b46"
	azurePortal = "c44b4083-3bb0-49c1-b47d-974e53cbdf3c"
	graphCLI    = "14d82eec-204b-4c2f-b7e8-296a70dab67e"
	tenantID    = "7b6c5d4e-0000-4000-8000-00000000aaaa"
	accountID   = "0a1b2c3d-0000-4000-8000-000000000001"
)

var (
	administrator = posture.Role{ID: "62e90394-69f5-4237-9190-012177145e10", Name: "Global Administrator", Scope: "/"}
	globalReader  = posture.Role{ID: "f2ef992c-3afb-46b9-b7cf-a126ee74c451", Name: "Global Reader", Scope: "/"}
	synchroniser  = posture.Role{ID: "d29b2b05-8046-44ba-8758-1e26182fcf32", Name: "Directory Synchronization Accounts", Scope: "/"}
	enrolled      = []string{"microsoftAuthenticator"}
)

func yes() *bool { b := true; return &b }
func no() *bool  { b := false; return &b }

// policy is a Conditional Access policy in Graph's JSON: on all users and
// resources, with the conditions and controls given besides.
func policy(t testing.TB, name, state, conditions, grant string) graph.Policy {
	t.Helper()
	raw := fmt.Sprintf(`{"id":"%s","displayName":%q,"state":%q,"conditions":{%s},"grantControls":%s}`, policyID(name), name, state, conditions, grant)
	var p graph.Policy
	if err := json.Unmarshal([]byte(raw), &p); err != nil {
		t.Fatalf("%v in %s", err, raw)
	}
	return p
}

// policyID makes a policy's id from the digits of its name.
func policyID(name string) string { return "00000000-0000-4000-8000-000000000" + name[2:5] }

const (
	allUsers     = `"users":{"includeUsers":["All"]}`
	allResources = `"applications":{"includeApplications":["All"]}`
	everybody    = allUsers + "," + allResources
	mfa          = `{"operator":"OR","builtInControls":["mfa"]}`
	block        = `{"operator":"OR","builtInControls":["block"]}`
)

func person(change func(*posture.Account)) posture.Account {
	a := posture.Account{ID: accountID, UPN: "svc-backup@contoso.example", Type: "Member", PerUserMFA: "disabled", Groups: []posture.Group{}, Roles: []posture.Role{}, Methods: enrolled}
	if change != nil {
		change(&a)
	}
	return a
}

func tenant(policies ...graph.Policy) *posture.Snapshot {
	return &posture.Snapshot{Format: posture.Format, TenantID: tenantID, SecurityDefaults: no(), Policies: append([]graph.Policy{}, policies...), Locations: []json.RawMessage{}}
}

// of finds what one enforcer means; Conditional Access as a whole has no id.
func of(t *testing.T, o posture.Outcome, kind diagnosis.RuleKind) posture.Finding {
	t.Helper()
	for _, f := range o.Findings {
		if f.Rule.Kind == kind {
			return f
		}
	}
	t.Fatalf("no finding about %s in %+v", kind, o.Findings)
	return posture.Finding{}
}

// What each enforcer means, over everything that can be known or not.
func TestEnforcers(t *testing.T) {
	read := []graph.Policy{}
	on, reportOnly := policy(t, "CA001", "enabled", everybody, mfa), policy(t, "CA002", "enabledForReportingButNotEnforced", everybody, mfa)
	tests := []struct {
		name     string
		snapshot posture.Snapshot
		account  posture.Account
		client   string
		want     [4]posture.Effect // Security Defaults, per-user MFA, mandatory MFA, Conditional Access
	}{
		{"nothing is on", posture.Snapshot{SecurityDefaults: no(), Policies: read}, posture.Account{PerUserMFA: "disabled", Roles: []posture.Role{}, Methods: enrolled}, graphCLI,
			[4]posture.Effect{posture.DoesNot, posture.DoesNot, posture.DoesNot, posture.DoesNot}},
		{"nothing could be read", posture.Snapshot{}, posture.Account{}, graphCLI,
			[4]posture.Effect{posture.NotKnown, posture.NotKnown, posture.DoesNot, posture.NotKnown}},
		{"defaults, administrator", posture.Snapshot{SecurityDefaults: yes(), Policies: read}, posture.Account{PerUserMFA: "disabled", Roles: []posture.Role{administrator}, Methods: enrolled}, graphCLI,
			[4]posture.Effect{posture.Demands, posture.DoesNot, posture.DoesNot, posture.DoesNot}},
		{"defaults, administrator of an administrative unit", posture.Snapshot{SecurityDefaults: yes(), Policies: read}, posture.Account{PerUserMFA: "disabled", Roles: []posture.Role{{ID: administrator.ID, Scope: "/administrativeUnits/1"}}, Methods: enrolled}, graphCLI,
			[4]posture.Effect{posture.MayDemand, posture.DoesNot, posture.DoesNot, posture.DoesNot}},
		{"defaults, a role outside their list", posture.Snapshot{SecurityDefaults: yes()}, posture.Account{Roles: []posture.Role{globalReader}, Methods: enrolled}, graphCLI,
			[4]posture.Effect{posture.MayDemand, posture.NotKnown, posture.DoesNot, posture.NotKnown}},
		{"defaults, not enrolled", posture.Snapshot{SecurityDefaults: yes()}, posture.Account{Roles: []posture.Role{}, Methods: []string{}}, graphCLI,
			[4]posture.Effect{posture.Demands, posture.NotKnown, posture.DoesNot, posture.NotKnown}},
		{"defaults, only e-mail registered", posture.Snapshot{SecurityDefaults: yes()}, posture.Account{Roles: []posture.Role{}, Methods: []string{"email"}}, graphCLI,
			[4]posture.Effect{posture.Demands, posture.NotKnown, posture.DoesNot, posture.NotKnown}},
		{"defaults, roles unread", posture.Snapshot{SecurityDefaults: yes()}, posture.Account{Methods: enrolled}, graphCLI,
			[4]posture.Effect{posture.NotKnown, posture.NotKnown, posture.DoesNot, posture.NotKnown}},
		{"defaults, methods unread", posture.Snapshot{SecurityDefaults: yes()}, posture.Account{Roles: []posture.Role{}}, graphCLI,
			[4]posture.Effect{posture.NotKnown, posture.NotKnown, posture.DoesNot, posture.NotKnown}},
		{"defaults, Azure CLI, everybody", posture.Snapshot{SecurityDefaults: yes()}, posture.Account{Methods: enrolled}, azureCLI,
			[4]posture.Effect{posture.Demands, posture.NotKnown, posture.Demands, posture.NotKnown}},
		{"per-user enforced", posture.Snapshot{SecurityDefaults: no(), Policies: []graph.Policy{reportOnly}}, posture.Account{PerUserMFA: "enforced"}, graphCLI,
			[4]posture.Effect{posture.DoesNot, posture.Demands, posture.DoesNot, posture.DoesNot}},
		{"per-user enabled, policy enabled", posture.Snapshot{SecurityDefaults: no(), Policies: []graph.Policy{on}}, posture.Account{PerUserMFA: "enabled"}, graphCLI,
			[4]posture.Effect{posture.DoesNot, posture.Demands, posture.DoesNot, posture.Demands}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			outcome := test.snapshot.Evaluate(test.account, posture.SignIn{ClientID: test.client, Resource: posture.Services["graph"]})
			if len(outcome.Findings) != 4 {
				t.Fatalf("%d findings", len(outcome.Findings))
			}
			for i, kind := range []diagnosis.RuleKind{diagnosis.SecurityDefaults, diagnosis.PerUserMFA, diagnosis.MandatoryMFA, diagnosis.ConditionalAccess} {
				if f := of(t, outcome, kind); f.Effect != test.want[i] || f.Why == "" || f.Rule.Name == nil {
					t.Errorf("%s: got %s (%s), want %s", kind, f.Effect, f.Why, test.want[i])
				}
			}
		})
	}
}

// Eight tenants, every combination of the three switches: the right one is
// named each time, and what comes behind it in the same order.
func TestWhichSwitch(t *testing.T) {
	kinds := []diagnosis.RuleKind{diagnosis.SecurityDefaults, diagnosis.PerUserMFA, diagnosis.ConditionalAccess}
	for mask := range 8 {
		s, account := tenant(), person(func(a *posture.Account) { a.Roles = []posture.Role{administrator} })
		want := []diagnosis.RuleKind{}
		for i, kind := range kinds {
			if mask>>i&1 == 0 {
				continue
			}
			want = append(want, kind)
			switch kind {
			case diagnosis.SecurityDefaults:
				s.SecurityDefaults = yes()
			case diagnosis.PerUserMFA:
				account.PerUserMFA = "enforced"
			case diagnosis.ConditionalAccess:
				s.Policies = append(s.Policies, policy(t, "CA001", "enabled", everybody, mfa))
			}
		}
		got := []diagnosis.RuleKind{}
		for _, f := range s.Evaluate(account, posture.SignIn{ClientID: graphCLI, Resource: posture.Services["graph"]}).Stops() {
			got = append(got, f.Rule.Kind)
			if f.Code != 50076 {
				t.Errorf("%s: code %d", f.Rule.Kind, f.Code)
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("switches %03b (-want +got):\n%s", mask, diff)
		}
	}
}

// Policies in the order in which they stop a sign-in, each with the condition
// that decides and what would spare the account.
func TestPolicies(t *testing.T) {
	const office = `{"@odata.type":"#microsoft.graph.ipNamedLocation","id":"10000000-0000-4000-8000-000000000001","displayName":"Office","isTrusted":true,"ipRanges":[{"@odata.type":"#microsoft.graph.iPv4CidrRange","cidrAddress":"198.51.100.0/24"}]}`
	const exclusions = "20000000-0000-4000-8000-000000000001"
	s := tenant(
		policy(t, "CA001", "enabled", `"users":{"includeUsers":["All"],"excludeGroups":["`+exclusions+`"]},`+allResources, mfa),
		policy(t, "CA002", "enabled", everybody+`,"locations":{"includeLocations":["All"],"excludeLocations":["AllTrusted"]}`, block),
		policy(t, "CA003", "enabled", everybody+`,"authenticationFlows":{"transferMethods":"deviceCodeFlow"}`, block),
		policy(t, "CA004", "enabledForReportingButNotEnforced", everybody, block),
		policy(t, "CA005", "enabled", everybody+`,"signInRiskLevels":["high"]`, block),
		policy(t, "CA006", "disabled", everybody, block),
		policy(t, "CA007", "enabled", `"users":{"includeUsers":["None"]},`+allResources, block),
		policy(t, "CA008", "enabled", `"users":{"includeUsers":["All"]},"applications":{"includeApplications":["`+posture.Services["sharepoint"]+`"]}`, `{"operator":"OR","builtInControls":["compliantDevice"]}`),
	)
	s.Locations = []json.RawMessage{json.RawMessage(office)}
	in := posture.SignIn{ClientID: graphCLI, Resource: posture.Services["business_central"], Address: netip.MustParseAddr("203.0.113.9")}

	outcome := s.Evaluate(person(nil), in)
	var got []string
	for _, f := range outcome.Findings {
		if f.Effect != posture.DoesNot {
			got = append(got, *f.Rule.Name+" "+string(f.Effect))
		}
	}
	if diff := cmp.Diff([]string{"CA002 blocks", "CA001 demands", "CA005 may_demand"}, got); diff != "" {
		t.Fatalf("-want +got:\n%s", diff)
	}
	blocked, asked, risk := outcome.Findings[0], outcome.Findings[1], outcome.Findings[2]
	if blocked.Code != 53003 || !strings.Contains(blocked.Why, "from everywhere but the trusted locations (this sign-in comes from 203.0.113.9)") || blocked.Because[0] != "location" {
		t.Errorf("%d %q %v", blocked.Code, blocked.Why, blocked.Because)
	}
	if asked.Code != 50076 || asked.Why != "it applies to all users; the account is among none of the excluded groups; it asks for MFA" {
		t.Errorf("%d %q", asked.Code, asked.Why)
	}
	if diff := cmp.Diff([]posture.Exclusion{{Kind: "group", ID: exclusions}, {Kind: "account", ID: accountID, Name: "svc-backup@contoso.example"}}, asked.SparedBy, cmpopts.IgnoreFields(posture.Exclusion{}, "How")); diff != "" {
		t.Errorf("spared by: -want +got\n%s", diff)
	}
	if len(risk.Missing) != 1 || risk.Missing[0] != "signInRisk" || !strings.Contains(risk.Why, "where Microsoft sees a risk") {
		t.Errorf("%v %q", risk.Missing, risk.Why)
	}
	if len(outcome.ReportOnly) != 1 || *outcome.ReportOnly[0].Rule.Name != "CA004" || outcome.ReportOnly[0].Effect != posture.Blocks {
		t.Errorf("report-only: %+v", outcome.ReportOnly)
	}
	if len(outcome.Others) != 3 || *outcome.Others[0].Rule.Name != "CA003" || outcome.Others[1].Why != "it does not apply: your account is not among those the policy includes" {
		t.Errorf("not applying: %+v", outcome.Others)
	}

	// The first one out of the way, the next one is the first.
	in.Address = netip.MustParseAddr("198.51.100.20")
	if first := s.Evaluate(person(nil), in).Findings[0]; *first.Rule.Name != "CA001" {
		t.Errorf("from the office: %+v", first)
	}
	spared := person(func(a *posture.Account) { a.Groups = []posture.Group{{ID: exclusions, Name: "CA exclusions"}} })
	if stops := s.Evaluate(spared, in).Stops(); len(stops) != 0 {
		t.Errorf("excluded, from the office: %+v", stops)
	}
	if got := s.LocationsOf(in.Address); len(got) != 1 || got[0] != "Office" {
		t.Errorf("the address lies in %v", got)
	}

	// What if: another address, another flow, another service.
	where := map[string]string{}
	for _, e := range s.Elsewhere(in, func(in posture.SignIn) posture.Outcome { return s.Evaluate(spared, in) }) {
		where[*e.Rule.Name] = e.Where
	}
	want := map[string]string{"CA002": "from an address outside the tenant's named locations", "CA003": "through the device code flow", "CA008": "for sharepoint"}
	if diff := cmp.Diff(want, where); diff != "" {
		t.Errorf("elsewhere: -want +got\n%s", diff)
	}

	// An address that is not known decides nothing, and is said to be missing.
	in.Address = netip.Addr{}
	open := s.Evaluate(spared, in).Findings[0]
	if *open.Rule.Name != "CA002" || open.Effect != posture.NotKnown || !strings.Contains(open.Why, "the address") || open.Code != 53003 {
		t.Errorf("without an address: %+v", open)
	}
	// So does an address while the named locations could not be read.
	in.Address = netip.MustParseAddr("198.51.100.20")
	unread := *tenant(s.Policies...)
	unread.Locations, unread.Unread = nil, []posture.Unread{{Part: posture.PartLocations, Reason: "refused"}}
	if open := unread.Evaluate(spared, in).Findings[0]; *open.Rule.Name != "CA002" || open.Effect != posture.NotKnown {
		t.Errorf("without named locations: %+v", open)
	}
}

// How an account comes under a policy is said in its own terms.
func TestCovers(t *testing.T) {
	group, role := posture.Group{ID: "20000000-0000-4000-8000-000000000002", Name: "Service accounts"}, globalReader
	tests := []struct {
		name, users string
		account     func(*posture.Account)
		effect      posture.Effect
		why         string
	}{
		{"by name", `{"includeUsers":["` + accountID + `"]}`, nil, posture.Demands, "names the account"},
		{"group", `{"includeGroups":["` + group.ID + `"]}`, func(a *posture.Account) { a.Groups = []posture.Group{group} }, posture.Demands, `names the group "Service accounts", to which the account belongs`},
		{"role", `{"includeRoles":["` + role.ID + `"]}`, func(a *posture.Account) { a.Roles = []posture.Role{role} }, posture.Demands, `names the role "Global Reader", which the account holds`},
		{"role of an administrative unit", `{"includeRoles":["` + role.ID + `"]}`, func(a *posture.Account) { a.Roles = []posture.Role{{ID: role.ID, Scope: "/administrativeUnits/1"}} }, posture.DoesNot, "no enabled Conditional Access policy applies"},
		{"custom role", `{"includeRoles":["` + role.ID + `"]}`, func(a *posture.Account) { a.Roles = []posture.Role{{ID: role.ID, Scope: "/", Custom: true}} }, posture.DoesNot, "no enabled Conditional Access policy applies"},
		{"guests", `{"includeGuestsOrExternalUsers":{"guestOrExternalUserTypes":"b2bCollaborationGuest","externalTenants":{"@odata.type":"#microsoft.graph.conditionalAccessAllExternalTenants","membershipKind":"all"}}}`,
			func(a *posture.Account) { a.Type, a.GuestType = "Guest", "b2bCollaborationGuest" }, posture.Demands, "applies to guests"},
		{"guests, but a member", `{"includeUsers":["GuestsOrExternalUsers"]}`, nil, posture.DoesNot, "no enabled Conditional Access policy applies"},
		{"groups unread", `{"includeGroups":["` + group.ID + `"]}`, func(a *posture.Account) { a.Groups = nil }, posture.NotKnown, "the account's groups"},
		{"roles unread", `{"includeUsers":["All"],"excludeRoles":["` + role.ID + `"]}`, func(a *posture.Account) { a.Roles = nil }, posture.NotKnown, "the account's roles"},
		{"excluded", `{"includeUsers":["All"],"excludeUsers":["` + accountID + `"]}`, nil, posture.DoesNot, "no enabled Conditional Access policy applies"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			s := tenant(policy(t, "CA001", "enabled", `"users":`+test.users+","+allResources, mfa))
			f := of(t, s.Evaluate(person(test.account), posture.SignIn{ClientID: graphCLI, Resource: posture.Services["graph"]}), diagnosis.ConditionalAccess)
			if f.Effect != test.effect || !strings.Contains(f.Why, test.why) {
				t.Errorf("got %s (%s), want %s (%s)", f.Effect, f.Why, test.effect, test.why)
			}
		})
	}
}

// Policies for workload identities reach apps of the tenant itself only.
func TestWorkloads(t *testing.T) {
	workload := `"users":{"includeUsers":["None"]},` + allResources + `,"clientApplications":{"includeServicePrincipals":["ServicePrincipalsInMyTenant"]}`
	s := tenant(policy(t, "CA001", "enabled", everybody, mfa), policy(t, "CA101", "enabled", workload+`,"locations":{"includeLocations":["All"],"excludeLocations":["AllTrusted"]}`, block))
	app := posture.App{ID: "30000000-0000-4000-8000-000000000001", Name: "Backup app", OwnerTenant: tenantID, Type: "Application"}
	in := posture.SignIn{Resource: posture.Services["graph"], Address: netip.MustParseAddr("203.0.113.9")}
	first := s.EvaluateApp(app, in).Findings[0]
	if *first.Rule.Name != "CA101" || first.Effect != posture.Blocks || first.Because[0] != "workload" || first.SparedBy[0].Kind != "service_principal" {
		t.Errorf("own app: %+v", first)
	}
	foreign, managed := app, app
	foreign.OwnerTenant, managed.Type = "another", "ManagedIdentity"
	for _, a := range []posture.App{foreign, managed} {
		if first := s.EvaluateApp(a, in).Findings[0]; first.Effect != posture.DoesNot {
			t.Errorf("%+v: %+v", a, first)
		}
	}
	unknown := app
	unknown.OwnerTenant = ""
	if first := s.EvaluateApp(unknown, in).Findings[0]; first.Effect != posture.NotKnown {
		t.Errorf("owner not known: %+v", first)
	}
	if first := tenant(s.Policies[0]).EvaluateApp(app, in).Findings[0]; first.Effect != posture.DoesNot || !strings.Contains(first.Why, "MFA rules do not touch apps") {
		t.Errorf("no workload policy: %+v", first)
	}
}

// Membership through any depth and in circles is the same as direct
// membership: Graph resolves it, and the answer does not depend on how deep
// the group lies (user story 35).
func TestManyGroups(t *testing.T) {
	s := tenant(policy(t, "CA001", "enabled", `"users":{"includeUsers":["All"],"excludeGroups":["20000000-0000-4000-8000-000000009999"]},`+allResources, mfa))
	in := posture.SignIn{ClientID: graphCLI, Resource: posture.Services["graph"]}
	account := person(func(a *posture.Account) {
		for i := range 10_000 {
			a.Groups = append(a.Groups, posture.Group{ID: fmt.Sprintf("20000000-0000-4000-8000-00000000%04d", i)})
		}
	})
	if stops := s.Evaluate(account, in).Stops(); len(stops) != 0 {
		t.Errorf("in the excluded group: %+v", stops)
	}
	account.Groups = account.Groups[:9999]
	if stops := s.Evaluate(account, in).Stops(); len(stops) != 1 {
		t.Errorf("not in the excluded group: %+v", stops)
	}
}

// A snapshot survives its file, members that nobody knows included.
func TestSnapshotFile(t *testing.T) {
	var p graph.Policy
	const raw = `{"id":"p1","displayName":"CA001","state":"enabled","conditions":{"newThing":[1,2]}}`
	if err := json.Unmarshal([]byte(raw), &p); err != nil {
		t.Fatal(err)
	}
	s := &posture.Snapshot{Format: posture.Format, TakenAt: time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC), TenantID: "t", Domains: []string{"a.example"}, SecurityDefaults: no(),
		Policies: []graph.Policy{p}, Locations: []json.RawMessage{json.RawMessage(`{"id":"l1","newThing":{"a":null}}`)}, Apps: []posture.App{{ID: "sp", ClientID: "C1", OwnerTenant: "t"}},
		Accounts: []posture.Account{{UPN: "Svc@a.example", Plans: []string{}, Methods: []string{"fido2"}, Groups: []posture.Group{{ID: "g", Name: "G"}}}}, Unread: []posture.Unread{{Part: posture.PartMemberships + " Svc@a.example", Reason: "no right"}}}
	data, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	got, err := posture.Read(strings.NewReader(string(data)))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(s, got, cmpopts.IgnoreUnexported(posture.Snapshot{})); diff != "" {
		t.Errorf("the file changes the snapshot:\n%s", diff)
	}
	for _, unknown := range []string{`"newThing":[1,2]`, `"newThing":{"a":null}`} {
		if !strings.Contains(string(data), unknown) {
			t.Errorf("an unknown member is lost: %s", data)
		}
	}
	a, ok := got.Account("svc@A.example")
	if !ok || a.Roles != nil || got.Reason(posture.PartMemberships, "svc@a.example") != "no right" {
		t.Errorf("account %+v, %v, reason %q", a, ok, got.Reason(posture.PartMemberships, "svc@a.example"))
	}
	if app, ok := got.App("c1"); !ok || app.ID != "sp" {
		t.Errorf("app %+v, %v", app, ok)
	}
	if registered := a.Registered(); registered == nil || !*registered {
		t.Error("a registered method is not seen")
	}
	for name, file := range map[string]string{"empty": "", "the format before": `{"format":1,"taken_at":"2026-11-22T10:00:00Z","conditional_access":[]}`, "no time": `{"format":2}`, "list": `[]`,
		"policy is a number": `{"format":2,"taken_at":"2026-11-22T10:00:00Z","conditional_access_policies":[7]}`} {
		if _, err := posture.Read(strings.NewReader(file)); err == nil || !strings.HasPrefix(err.Error(), "reading the snapshot") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := posture.Read(strings.NewReader(`{"format":1,"taken_at":"2026-11-22T10:00:00Z"}`)); err == nil || !strings.Contains(err.Error(), "take a new one with 'gatehouse posture snapshot'") {
		t.Errorf("the way out is not said: %v", err)
	}
}

// Whatever a snapshot file holds, each finding has an effect and a reason, and
// the file can be written again.
func FuzzRead(f *testing.F) {
	f.Add(`{"format":2,"taken_at":"2026-11-22T10:00:00Z","security_defaults":true,"accounts":[{"upn":"a","roles":[{"id":"x"}]}],"conditional_access_policies":[{"id":"p","state":"enabled"}]}`, "198.51.100.1")
	f.Add(`{"format":2,"taken_at":"2026-11-22T10:00:00Z","accounts":[null],"apps":[null],"conditional_access_policies":[null],"named_locations":[null,7,"x"]}`, "::1")
	f.Add(`{"format":2,"taken_at":"2026-11-22T10:00:00Z","accounts":[{"id":"a","groups":[{"id":"g"}]}],"named_locations":[{"id":"l","ipRanges":[{"cidrAddress":"198.51.100.0/24"}]}],"conditional_access_policies":[{"id":"p","state":"enabled","conditions":{"users":{"includeGroups":["g"]},"applications":{"includeApplications":["All"]},"locations":{"includeLocations":["l"]}},"grantControls":{"operator":"OR","builtInControls":["mfa","block"]}}]}`, "198.51.100.1")
	f.Fuzz(func(t *testing.T, file, address string) {
		s, err := posture.Read(strings.NewReader(file))
		if err != nil {
			return
		}
		in := posture.SignIn{ClientID: azureCLI, Resource: posture.Services["graph"]}
		in.Address, _ = netip.ParseAddr(address)
		var all []posture.Outcome
		for _, a := range s.Accounts {
			for _, in.Flow = range posture.Flows[:len(posture.Flows)-1] {
				all = append(all, s.Evaluate(a, in))
			}
		}
		for _, a := range s.Apps {
			all = append(all, s.EvaluateApp(a, in))
		}
		for _, o := range all {
			for _, finding := range append(o.Findings, o.Others...) {
				if finding.Effect == "" || finding.Why == "" {
					t.Errorf("%+v", finding)
				}
			}
			if len(o.Findings) == 0 {
				t.Error("no finding at all")
			}
		}
		if _, err := json.Marshal(s); err != nil {
			t.Errorf("a snapshot that was read cannot be written: %v", err)
		}
	})
}

// One snapshot serves many identities at once.
func TestParallel(t *testing.T) {
	data, err := json.Marshal(tenant(policy(t, "CA001", "enabled", everybody, mfa), policy(t, "CA002", "enabled", everybody, block)))
	if err != nil {
		t.Fatal(err)
	}
	s, err := posture.Read(strings.NewReader(strings.Replace(string(data), `"taken_at":"0001-01-01T00:00:00Z"`, `"taken_at":"2026-11-22T10:00:00Z"`, 1)))
	if err != nil {
		t.Fatal(err)
	}
	var working sync.WaitGroup
	for range 8 {
		working.Go(func() {
			for range 20 {
				if stops := s.Evaluate(person(nil), posture.SignIn{ClientID: graphCLI, Resource: posture.Services["graph"]}).Stops(); len(stops) != 2 {
					t.Errorf("stopped by %+v", stops)
				}
			}
		})
	}
	working.Wait()
}
