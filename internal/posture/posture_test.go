package posture_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"gatehouse/internal/diagnosis"
	"gatehouse/internal/microsoft/graph"
	"gatehouse/internal/posture"
)

const (
	azureCLI = "04b07795-8ddb-461a-bbee-02f9e1bf7b46"
	graphCLI = "14d82eec-204b-4c2f-b7e8-296a70dab67e"
)

func yes() *bool { b := true; return &b }
func no() *bool  { b := false; return &b }

// What each enforcer means, over everything that can be known or not.
func TestEnforcers(t *testing.T) {
	administrator := posture.Role{ID: "62e90394-69f5-4237-9190-012177145e10", Name: "Global Administrator"}
	reader := posture.Role{ID: "f2ef992c-3afb-46b9-b7cf-a126ee74c451", Name: "Global Reader"}
	enrolled := []string{"microsoftAuthenticator"}
	enabled, off := graph.Policy{State: "enabled"}, graph.Policy{State: "enabledForReportingButNotEnforced"}
	tests := []struct {
		name     string
		snapshot posture.Snapshot
		account  posture.Account
		client   string
		want     [4]posture.Effect // Security Defaults, per-user MFA, mandatory MFA, Conditional Access
	}{
		{"nothing is on", posture.Snapshot{SecurityDefaults: no(), Policies: []graph.Policy{}}, posture.Account{PerUserMFA: "disabled", Roles: []posture.Role{}, Methods: enrolled}, graphCLI,
			[4]posture.Effect{posture.DoesNot, posture.DoesNot, posture.DoesNot, posture.DoesNot}},
		{"nothing could be read", posture.Snapshot{}, posture.Account{}, graphCLI,
			[4]posture.Effect{posture.NotKnown, posture.NotKnown, posture.DoesNot, posture.NotKnown}},
		{"defaults, administrator", posture.Snapshot{SecurityDefaults: yes(), Policies: []graph.Policy{}}, posture.Account{PerUserMFA: "disabled", Roles: []posture.Role{administrator}, Methods: enrolled}, graphCLI,
			[4]posture.Effect{posture.Demands, posture.DoesNot, posture.DoesNot, posture.DoesNot}},
		{"defaults, a role outside their list", posture.Snapshot{SecurityDefaults: yes()}, posture.Account{Roles: []posture.Role{reader}, Methods: enrolled}, graphCLI,
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
		{"per-user enforced", posture.Snapshot{SecurityDefaults: no(), Policies: []graph.Policy{off}}, posture.Account{PerUserMFA: "enforced"}, graphCLI,
			[4]posture.Effect{posture.DoesNot, posture.Demands, posture.DoesNot, posture.DoesNot}},
		{"per-user enabled", posture.Snapshot{SecurityDefaults: no(), Policies: []graph.Policy{enabled}}, posture.Account{PerUserMFA: "enabled"}, graphCLI,
			[4]posture.Effect{posture.DoesNot, posture.Demands, posture.DoesNot, posture.NotKnown}},
	}
	kinds := []diagnosis.RuleKind{diagnosis.SecurityDefaults, diagnosis.PerUserMFA, diagnosis.MandatoryMFA, diagnosis.ConditionalAccess}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			findings := test.snapshot.Enforcers(test.account, posture.SignIn{ClientID: test.client})
			if len(findings) != len(kinds) {
				t.Fatalf("%d findings", len(findings))
			}
			for i, f := range findings {
				if f.Rule.Kind != kinds[i] || f.Effect != test.want[i] || f.Why == "" || f.Rule.Name == nil {
					t.Errorf("%s: got %s (%s), want %s", kinds[i], f.Effect, f.Why, test.want[i])
				}
			}
		})
	}
}

// A snapshot survives its file, policies with members that nobody knows
// included.
func TestSnapshotFile(t *testing.T) {
	var policy graph.Policy
	const raw = `{"id":"p1","displayName":"CA001","state":"enabled","conditions":{"newThing":[1,2]}}`
	if err := json.Unmarshal([]byte(raw), &policy); err != nil {
		t.Fatal(err)
	}
	s := &posture.Snapshot{Format: posture.Format, TakenAt: time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC), TenantID: "t", Domains: []string{"a.example"}, SecurityDefaults: no(),
		Policies: []graph.Policy{policy}, Accounts: []posture.Account{{UPN: "Svc@a.example", Plans: []string{}, Methods: []string{"fido2"}}}, Unread: []posture.Unread{{Part: posture.PartRoles + " Svc@a.example", Reason: "no right"}}}
	data, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	got, err := posture.Read(strings.NewReader(string(data)))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(s, got); diff != "" {
		t.Errorf("the file changes the snapshot:\n%s", diff)
	}
	if !strings.Contains(string(data), `"newThing":[1,2]`) {
		t.Errorf("an unknown member is lost: %s", data)
	}
	a, ok := got.Account("svc@A.example")
	if !ok || a.Roles != nil || got.Reason(posture.PartRoles, "svc@a.example") != "no right" {
		t.Errorf("account %+v, %v, reason %q", a, ok, got.Reason(posture.PartRoles, "svc@a.example"))
	}
	if registered := a.Registered(); registered == nil || !*registered {
		t.Error("a registered method is not seen")
	}
	for name, file := range map[string]string{"empty": "", "another format": `{"format":2,"taken_at":"2026-11-22T10:00:00Z"}`, "no time": `{"format":1}`, "list": `[]`, "policy is a number": `{"format":1,"taken_at":"2026-11-22T10:00:00Z","conditional_access":[7]}`} {
		if _, err := posture.Read(strings.NewReader(file)); err == nil || !strings.HasPrefix(err.Error(), "reading the snapshot") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzRead(f *testing.F) {
	f.Add(`{"format":1,"taken_at":"2026-11-22T10:00:00Z","security_defaults":true,"accounts":[{"upn":"a","roles":[{"id":"x"}]}],"conditional_access":[{"id":"p","state":"enabled"}]}`)
	f.Add(`{"format":1,"taken_at":"2026-11-22T10:00:00Z","accounts":[null],"conditional_access":[null]}`)
	f.Fuzz(func(t *testing.T, file string) {
		s, err := posture.Read(strings.NewReader(file))
		if err != nil {
			return
		}
		for _, a := range s.Accounts {
			for _, finding := range s.Enforcers(a, posture.SignIn{ClientID: azureCLI}) {
				if finding.Effect == "" || finding.Why == "" {
					t.Errorf("%+v", finding)
				}
			}
		}
		if _, err := json.Marshal(s); err != nil {
			t.Errorf("a snapshot that was read cannot be written: %v", err)
		}
	})
}
