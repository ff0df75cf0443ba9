package validation_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"gatehouse/internal/diagnosis"
	"gatehouse/internal/microsoft/graph"
	"gatehouse/internal/posture"
	"gatehouse/internal/secrets"
	"gatehouse/internal/validation"
	"gatehouse/lab"
)

const correlation = "0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0"

// rule gives a policy on all users and resources in Graph's JSON; its id ends
// in the digits of its name.
func rule(name, state, users, more, control string) string {
	if users == "" {
		users = `{"includeUsers":["All"]}`
	}
	return fmt.Sprintf(`{"id":"00000000-0000-4000-8000-000000000%s","displayName":%q,"state":%q,"conditions":{"users":%s,"applications":{"includeApplications":["All"]}%s},"grantControls":{"operator":"OR","builtInControls":[%q]}}`,
		name[2:5], name, state, users, more, control)
}

// elsewhere is a condition: everywhere but the office.
const elsewhere = `,"locations":{"includeLocations":["All"],"excludeLocations":["10000000-0000-4000-8000-000000000001"]}`

const office = `{"@odata.type":"#microsoft.graph.ipNamedLocation","id":"10000000-0000-4000-8000-000000000001","displayName":"Office","isTrusted":true,"ipRanges":[{"@odata.type":"#microsoft.graph.iPv4CidrRange","cidrAddress":"198.51.100.0/24"}]}`

// answers is what stands in front of the lab: a refusal of the identity's
// sign-in (the reader's goes on), the tenant's policies, the log.
type answers struct {
	code     int // 0: the lab answers
	claims   string
	policies []string
	log      string // an entry's members after its id
}

func (a answers) refusal() string {
	body := map[string]any{"error": "invalid_grant", "error_description": fmt.Sprintf("AADSTS%d: Refused.\r\nTrace ID: x", a.code), "error_codes": []int{a.code}, "correlation_id": correlation}
	if a.claims != "" {
		body["claims"] = a.claims
	}
	encoded, err := json.Marshal(body)
	if err != nil {
		panic(err)
	}
	return string(encoded)
}

// before puts the answers in front of the lab.
func before(t *testing.T, l *lab.Lab, request *validation.Request, a answers) {
	t.Helper()
	reader := l.Tenant(strings.Split(request.Tenant, ".")[0]).App("Gatehouse reader")
	// The reader's assertion would be made for the lab's own address.
	request.Reader.Credential = validation.Credential{Secret: secrets.New(*reader.Secret)}
	list := func(values ...string) []byte { return []byte(`{"value":[` + strings.Join(values, ",") + `]}`) }
	request.Cloud = hostile(t, forward(t, l, func(w http.ResponseWriter, r *http.Request) bool {
		switch {
		case strings.HasSuffix(r.URL.Path, "/token") && a.code != 0:
			if err := r.ParseForm(); err != nil {
				t.Error(err)
			}
			if r.PostForm.Get("client_id") == reader.ClientID {
				r.Body = io.NopCloser(strings.NewReader(r.PostForm.Encode()))
				return false
			}
			w.WriteHeader(http.StatusBadRequest)
			_, _ = w.Write([]byte(a.refusal()))
		case strings.HasSuffix(r.URL.Path, "/auditLogs/signIns"):
			if a.log == "" {
				_, _ = w.Write(list())
				return true
			}
			_, _ = w.Write(list(`{"id":"entry-1","correlationId":"` + correlation + `",` + a.log + `}`))
		case strings.HasSuffix(r.URL.Path, "/conditionalAccess/policies"):
			_, _ = w.Write(list(a.policies...))
		case strings.HasSuffix(r.URL.Path, "/conditionalAccess/namedLocations"):
			_, _ = w.Write(list(office))
		default:
			return false
		}
		return true
	}))
}

// check names the policy behind a refusal, with the signals in their order of
// trust, says how sure it is, and hides no contradiction between what
// Microsoft answered and what the rules say.
func TestNamesThePolicy(t *testing.T) {
	l := lab.Start(t)
	all, second := rule("CA001 MFA for all", "enabled", "", "", "mfa"), rule("CA002 MFA again", "enabled", "", "", "mfa")
	blocked := rule("CA003 Not from outside", "enabled", "", elsewhere, "block")
	off := rule("CA004 Trial", "enabledForReportingButNotEnforced", "", "", "block")
	nobody := rule("CA005 Others", "enabled", `{"includeUsers":["00000000-0000-4000-8000-00000000beef"]}`, "", "block")
	device := rule("CA006 Devices", "enabled", "", "", "compliantDevice")
	named := func(id string) string {
		return `{"access_token":{"capolids":{"essential":true,"values":["` + id + `"]}}}`
	}
	tests := []struct {
		name string
		answers
		rule       string // display name; "" for none
		id         string // where the name is not known
		kind       diagnosis.RuleKind
		confidence diagnosis.Confidence
		remedy     string // the first one
		offered    string // another
		evidence   string // a piece of the posture probe's evidence
	}{
		{name: "bare 50076, one policy explains it", answers: answers{code: 50076, policies: []string{all, off, nobody}},
			rule: "CA001 MFA for all", kind: diagnosis.ConditionalAccess, confidence: diagnosis.High, remedy: "move-to-app-only", offered: "exclude-from-policy", evidence: "the tenant's rules, as they were read"},
		{name: "bare 50076, two policies", answers: answers{code: 50076, policies: []string{all, second}},
			rule: "CA001 MFA for all", kind: diagnosis.ConditionalAccess, confidence: diagnosis.Medium, remedy: "move-to-app-only", offered: "connect-with-person", evidence: "CA002 MFA again"},
		{name: "bare 53003, only one policy may block, the address is not known", answers: answers{code: 53003, policies: []string{all, blocked}},
			rule: "CA003 Not from outside", kind: diagnosis.ConditionalAccess, confidence: diagnosis.Medium, remedy: "move-to-app-only", offered: "allow-tool-addresses", evidence: "the address"},
		{name: "53003, the log tells the address", answers: answers{code: 53003, policies: []string{all, blocked}, log: `"ipAddress":"203.0.113.77"`},
			rule: "CA003 Not from outside", kind: diagnosis.ConditionalAccess, confidence: diagnosis.High, remedy: "move-to-app-only", offered: "use-allowed-network", evidence: "this sign-in comes from 203.0.113.77"},
		{name: "the log names the policy", answers: answers{code: 53003, policies: []string{nobody, blocked}, log: `"ipAddress":"203.0.113.77","appliedConditionalAccessPolicies":[{"id":"00000000-0000-4000-8000-000000000003","displayName":"CA003 Not from outside","result":"failure"}]`},
			rule: "CA003 Not from outside", kind: diagnosis.ConditionalAccess, confidence: diagnosis.High, remedy: "move-to-app-only", offered: "allow-tool-addresses", evidence: "the sign-in log names the rule"},
		{name: "the log says Conditional Access, not which policy", answers: answers{code: 50076, policies: []string{all, nobody}, log: `"authenticationRequirementPolicies":[{"requirementProvider":"multiConditionalAccess","detail":"Conditional Access"}]`},
			rule: "CA001 MFA for all", kind: diagnosis.ConditionalAccess, confidence: diagnosis.High, remedy: "move-to-app-only", offered: "connect-with-person", evidence: "the tenant's rules, as they were read"},
		{name: "claims against the evaluation: report-only when it was read", answers: answers{code: 53003, claims: named("00000000-0000-4000-8000-000000000004"), policies: []string{off}},
			rule: "CA004 Trial", kind: diagnosis.ConditionalAccess, confidence: diagnosis.High, remedy: "move-to-app-only", evidence: "not enforced (enabledForReportingButNotEnforced)"},
		{name: "claims against the evaluation: for other users", answers: answers{code: 53003, claims: named("00000000-0000-4000-8000-000000000005"), policies: []string{nobody}},
			rule: "CA005 Others", kind: diagnosis.ConditionalAccess, confidence: diagnosis.High, remedy: "move-to-app-only", evidence: "your account is not among those the policy includes"},
		{name: "claims name a policy that was not read", answers: answers{code: 53003, claims: named("00000000-0000-4000-8000-000000000099"), policies: []string{all}},
			id: "00000000-0000-4000-8000-000000000099", kind: diagnosis.ConditionalAccess, confidence: diagnosis.High, remedy: "move-to-app-only", evidence: "not among those that were read"},
		{name: "53003 that no policy explains", answers: answers{code: 53003, policies: []string{all, nobody}},
			kind: diagnosis.ConditionalAccess, confidence: diagnosis.High, remedy: "move-to-app-only", evidence: "which policy or provider asks, nothing tells"},
		{name: "device", answers: answers{code: 53000, policies: []string{device, nobody}},
			rule: "CA006 Devices", kind: diagnosis.ConditionalAccess, confidence: diagnosis.High, remedy: "use-workload-identity", offered: "exclude-from-policy", evidence: "a compliant device"},
		{name: "50076 that nothing explains", answers: answers{code: 50076, policies: []string{off, nobody}}, confidence: diagnosis.High, remedy: "move-to-app-only", evidence: "CA004 Trial"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			request := account(t, l, "openharbour", "svc-backup", "")
			before(t, l, &request, test.answers)
			got := check(t, request)
			if got.Verdict != validation.Blocked || got.Diagnosis == nil {
				t.Fatalf("%s", show(got))
			}
			p := probe(t, got, validation.ProbePosture)
			switch {
			case test.kind == "" && (got.Rule != nil || p.State != validation.NotKnown):
				t.Errorf("rule %+v, posture %s", got.Rule, p.State)
			case test.kind != "" && (got.Rule == nil || got.Rule.Kind != test.kind || deref(got.Rule.Name) != test.rule || p.State != validation.Fail):
				t.Fatalf("%s", show(got))
			case test.id != "" && deref(got.Rule.ID) != test.id:
				t.Errorf("policy %s", deref(got.Rule.ID))
			}
			if test.rule != "" && (!strings.Contains(got.Diagnosis.Title, test.rule) || deref(got.Rule.ID) == "") {
				t.Errorf("the title does not name the policy: %s", got.Diagnosis.Title)
			}
			var ids []string
			for _, r := range got.Diagnosis.Remedies {
				ids = append(ids, r.ID)
			}
			if got.Diagnosis.Confidence != test.confidence || ids[0] != test.remedy || !strings.Contains(strings.Join(ids, " "), test.offered) {
				t.Errorf("confidence %s, remedies %v", got.Diagnosis.Confidence, ids)
			}
			if whole := show(validation.Result{Probes: []validation.Probe{p}}); !strings.Contains(whole, test.evidence) {
				t.Errorf("%q is missing in %s", test.evidence, whole)
			}
		})
	}
}

// A wrong password is answered before any rule is asked (worked example 67).
func TestWrongPasswordBehindPolicies(t *testing.T) {
	l := lab.Start(t)
	request := account(t, l, "openharbour", "svc-backup", "")
	request.Password = secrets.New("not the password")
	before(t, l, &request, answers{policies: []string{rule("CA001 MFA for all", "enabled", "", "", "mfa"), rule("CA002 Block", "enabled", "", "", "block")}})
	got := check(t, request)
	if got.Verdict != validation.Failed || got.Rule != nil || got.Diagnosis.Category != "bad_credentials" || deref(got.Diagnosis.Code) != "AADSTS50126" {
		t.Errorf("%s", show(got))
	}
	// What would stop it next is shown all the same.
	if p := probe(t, got, validation.ProbePosture); p.State != validation.Warning || !strings.Contains(deref(p.Reason), "CA002 Block") {
		t.Errorf("%+v", p)
	}
}

// A sign-in that works, and would not from another address, by device code or
// for another service: the policy is named, and it is a warning where the
// software may come to be there without being changed.
func TestElsewhere(t *testing.T) {
	l := lab.Start(t)
	for name, test := range map[string]struct {
		policy, where string
		warns         bool
	}{
		"address": {rule("CA003 Not from outside", "enabled", "", elsewhere, "block"), "from an address outside the tenant's named locations", true},
		"flow":    {rule("CA007 No device code", "enabled", "", `,"authenticationFlows":{"transferMethods":"deviceCodeFlow"}`, "block"), "through the device code flow", false},
		"service": {strings.Replace(rule("CA008 SharePoint", "enabled", "", "", "mfa"), `"includeApplications":["All"]`, `"includeApplications":["`+posture.Services["sharepoint"]+`"]`, 1), "for sharepoint", false},
	} {
		t.Run(name, func(t *testing.T) {
			request := account(t, l, "openharbour", "svc-backup", "")
			before(t, l, &request, answers{policies: []string{test.policy}})
			got := check(t, request)
			p := probe(t, got, validation.ProbePosture)
			found, _ := p.Evidence["elsewhere"].([]posture.Elsewhere)
			if len(found) != 1 || found[0].Where != test.where || !strings.HasPrefix(deref(found[0].Rule.Name), "CA00") {
				t.Fatalf("%s", show(got))
			}
			verdict, state := validation.Works, validation.Passed
			if test.warns {
				verdict, state = validation.WorksWithWarnings, validation.Warning
			}
			said := strings.Contains(deref(p.Reason), test.where+" it would be stopped") && strings.Contains(deref(p.Reason), `the policy "CA00`)
			if got.Verdict != verdict || got.Rule != nil || p.State != state || said != test.warns {
				t.Errorf("%s", show(got))
			}
		})
	}
}

// Microsoft lets in whom the rules would have stopped: both are said.
func TestDisagreement(t *testing.T) {
	l := lab.Start(t)
	request := account(t, l, "openharbour", "svc-backup", "")
	before(t, l, &request, answers{policies: []string{rule("CA001 MFA for all", "enabled", "", "", "mfa")}})
	got := check(t, request)
	p := probe(t, got, validation.ProbePosture)
	if got.Verdict != validation.WorksWithWarnings || got.Rule != nil || p.State != validation.Warning || p.Evidence["disagrees"] == nil || !strings.Contains(deref(p.Reason), `"CA001 MFA for all"`) || !strings.Contains(deref(p.Reason), "yet the sign-in went through") {
		t.Errorf("%s", show(got))
	}
}

// Policies for workload identities stop apps of the tenant.
func TestWorkloadPolicies(t *testing.T) {
	l := lab.Start(t)
	const workloads = `,"clientApplications":{"includeServicePrincipals":["ServicePrincipalsInMyTenant"]}`
	policy := rule("CA101 Apps", "enabled", `{"includeUsers":["None"]}`, workloads+elsewhere, "block")
	people := rule("CA001 MFA for all", "enabled", "", "", "mfa")

	request := app(t, l, "openharbour", "Backup app")
	request.Credential = validation.Credential{Secret: secrets.New("never sent to the lab")}
	before(t, l, &request, answers{code: 53003, policies: []string{people, policy}, log: `"ipAddress":"203.0.113.77"`})
	got := check(t, request)
	if got.Verdict != validation.Blocked || got.Rule == nil || deref(got.Rule.Name) != "CA101 Apps" || got.Diagnosis.Remedies[0].ID != "use-allowed-network" {
		t.Errorf("blocked: %s", show(got))
	}
}

// A snapshot holds apps as well, and says how to get one that it does not hold.
func TestWorkloadSnapshot(t *testing.T) {
	l := lab.Start(t)
	request := app(t, l, "openharbour", "Backup app")
	request.Reader = nil
	var policy graph.Policy
	if err := json.Unmarshal([]byte(rule("CA001 MFA for all", "enabled", "", "", "mfa")), &policy); err != nil {
		t.Fatal(err)
	}
	no := false
	request.Snapshot = &posture.Snapshot{Format: posture.Format, TakenAt: time.Now(), TenantID: l.Tenant("openharbour").ID, SecurityDefaults: &no, Policies: []graph.Policy{policy}}
	if p := probe(t, check(t, request), validation.ProbePosture); p.State != validation.NotKnown || !strings.Contains(deref(p.Reason), "--app "+request.ClientID) {
		t.Errorf("%+v", p)
	}
	request.Snapshot.Apps = []posture.App{{ID: "sp", ClientID: request.ClientID, OwnerTenant: request.Snapshot.TenantID, Type: "Application"}}
	if p := probe(t, check(t, request), validation.ProbePosture); p.State != validation.Passed {
		t.Errorf("%+v", p)
	}
}
