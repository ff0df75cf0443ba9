package posture_test

import (
	"testing"

	"gatehouse/internal/diagnosis"
	"gatehouse/internal/microsoft/graph"
	"gatehouse/internal/posture"
)

// The worked examples of conditional-access-evaluation §10 that are about the
// enforcers around Conditional Access, each with its public source.
func TestWorkedExamples(t *testing.T) {
	on := func(s *posture.Snapshot) { s.SecurityDefaults = yes() }
	off := func(*posture.Snapshot) {}
	tests := []struct {
		row      string
		source   string
		snapshot func(*posture.Snapshot)
		account  func(*posture.Account)
		in       posture.SignIn
		kind     diagnosis.RuleKind
		effect   posture.Effect
		code     int
		stopped  bool // by anything at all
	}{
		{"61: no policy, Security Defaults on, Global Administrator by password", "Security defaults in Microsoft Entra ID",
			on, func(a *posture.Account) { a.Roles = []posture.Role{administrator} }, posture.SignIn{ClientID: graphCLI, Flow: posture.FlowPassword},
			diagnosis.SecurityDefaults, posture.Demands, 50076, true},
		{"62: Security Defaults on, IMAP", "Security defaults in Microsoft Entra ID; Microsoft Entra error codes",
			on, nil, posture.SignIn{Flow: posture.FlowLegacy, Resource: posture.Services["exchange"]},
			diagnosis.SecurityDefaults, posture.Blocks, 530035, true},
		{"62: the same with an app password", "Security defaults in Microsoft Entra ID",
			on, func(a *posture.Account) { a.PerUserMFA = "enforced" }, posture.SignIn{Flow: posture.FlowAppPassword, Resource: posture.Services["exchange"]},
			diagnosis.SecurityDefaults, posture.Blocks, 530035, true},
		{"63: Security Defaults on, the account that synchronises the directory", "Security defaults in Microsoft Entra ID",
			on, func(a *posture.Account) { a.Roles = []posture.Role{synchroniser} }, posture.SignIn{ClientID: graphCLI},
			diagnosis.SecurityDefaults, posture.DoesNot, 0, false},
		{"64: per-user enforced, no policy, IMAP with the account's password", "Enable per-user multifactor authentication",
			off, func(a *posture.Account) { a.PerUserMFA = "enforced" }, posture.SignIn{Flow: posture.FlowLegacy, Resource: posture.Services["exchange"]},
			diagnosis.PerUserMFA, posture.Blocks, 0, true},
		{"64: the same with an app password", "Enable per-user multifactor authentication",
			off, func(a *posture.Account) { a.PerUserMFA = "enforced" }, posture.SignIn{Flow: posture.FlowAppPassword, Resource: posture.Services["exchange"]},
			diagnosis.PerUserMFA, posture.DoesNot, 0, false},
		{"64: per-user enabled, not registered yet, IMAP with the account's password", "Enable per-user multifactor authentication",
			off, func(a *posture.Account) { a.PerUserMFA, a.Methods = "enabled", []string{} }, posture.SignIn{Flow: posture.FlowLegacy, Resource: posture.Services["exchange"]},
			diagnosis.PerUserMFA, posture.DoesNot, 0, false},
		{"65: break-glass account excluded from all policies, Azure portal", "Planning for mandatory multifactor authentication",
			func(s *posture.Snapshot) {
				s.Policies = []graph.Policy{policy(t, "CA001", "enabled", `"users":{"includeUsers":["All"],"excludeUsers":["`+accountID+`"]},`+allResources, mfa)}
			}, func(a *posture.Account) { a.Roles = []posture.Role{administrator} }, posture.SignIn{ClientID: azurePortal, Flow: posture.FlowBrowser},
			diagnosis.MandatoryMFA, posture.Demands, 50076, true},
	}
	for _, test := range tests {
		t.Run(test.row, func(t *testing.T) {
			s := tenant()
			test.snapshot(s)
			outcome := s.Evaluate(person(test.account), test.in)
			f := of(t, outcome, test.kind)
			if f.Effect != test.effect || f.Code != test.code || f.Why == "" {
				t.Errorf("%s: got %s, code %d (%s), want %s, %d", test.source, f.Effect, f.Code, f.Why, test.effect, test.code)
			}
			switch stops := outcome.Stops(); {
			case test.stopped != (len(stops) > 0):
				t.Errorf("stopped by %+v", stops)
			case test.stopped && stops[0].Rule.Kind != test.kind:
				t.Errorf("first stopped by %s", stops[0].Rule.Kind)
			}
		})
	}
}

// Row 67: policies on all resources, wrong password: the refusal is 50126, and
// no rule stands behind it, whatever the policies ("Conditional Access policies
// are enforced after first-factor authentication is completed"; Microsoft Entra
// error codes).
func TestWrongPasswordExample(t *testing.T) {
	s := tenant(policy(t, "CA001", "enabled", everybody, mfa), policy(t, "CA002", "enabled", everybody, block))
	outcome := s.Evaluate(person(func(a *posture.Account) { a.PerUserMFA = "enforced" }), posture.SignIn{ClientID: graphCLI, Resource: posture.Services["graph"]})
	if len(outcome.Stops()) != 3 {
		t.Fatalf("stopped by %+v", outcome.Stops())
	}
	for _, code := range []string{"AADSTS50126", "AADSTS50053", "AADSTS50055", "AADSTS50057", ""} {
		if posture.MayStandBehind(code) || posture.OfPolicy(code) {
			t.Errorf("a rule is suspected behind %q", code)
		}
		for _, f := range outcome.Findings {
			if f.Explains(code) {
				t.Errorf("%q is laid to %+v", code, f.Rule)
			}
		}
	}
	for code, policyOnly := range map[string]bool{"AADSTS50076": false, "AADSTS50079": false, "AADSTS53003": true, "AADSTS53000": true} {
		if !posture.MayStandBehind(code) || posture.OfPolicy(code) != policyOnly {
			t.Errorf("%s: of policies alone %v", code, posture.OfPolicy(code))
		}
	}
}
