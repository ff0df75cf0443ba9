package validation_test

import (
	"strings"
	"testing"

	"gatehouse/internal/diagnosis"
	"gatehouse/internal/secrets"
	"gatehouse/internal/validation"
	"gatehouse/lab"
)

// The story tenants about policies, whose policies the lab enforces by its own
// reading: check names the policy that refused, by its name, and says who can
// get in.
func TestPolicyTenants(t *testing.T) {
	l := lab.Start(t)
	for _, test := range []struct {
		tenant, user string
		verdict      validation.Verdict
		rule         string // the beginning of the policy's name, "" for none
	}{
		{"policypier", "emergency", validation.WorksWithWarnings, ""},
		{"policypier", "erik.lund", validation.Blocked, "CA001"},
		{"policypier", "nora.new", validation.Blocked, "CA001"},
		{"policypier", "svc-nightly", validation.Blocked, "CA006"},
		{"policypier", "cora.contract", validation.Blocked, "CA008"},
		{"devicedock", "fay.finance", validation.Blocked, "CA201"},
		{"devicedock", "wade.workshop", validation.Blocked, "CA202"},
		{"devicedock", "sal.sales", validation.Blocked, "CA203"},
		{"devicedock", "cleo.crew", validation.Blocked, "CA204"},
		{"devicedock", "ona.office", validation.Blocked, "CA205"},
		{"riskreef", "mel.medium", validation.Blocked, "CA301"},
		{"riskreef", "hal.high", validation.Blocked, "CA302"},
		{"riskreef", "bo.both", validation.Blocked, "CA303"},
	} {
		t.Run(test.tenant+"/"+test.user, func(t *testing.T) {
			got := check(t, account(t, l, test.tenant, test.user, ""))
			named(t, got, test.verdict, test.rule)
		})
	}
	t.Run("workloadwharf/Crane sync", func(t *testing.T) {
		at := l.Tenant("workloadwharf")
		app, reader := at.App("Crane sync"), at.App("Gatehouse reader")
		got := check(t, validation.Request{
			Cloud: cloudOf(l), Tenant: at.Domain, ClientID: app.ClientID, Credential: validation.Credential{Secret: secrets.New(*app.Secret)},
			Reader: &validation.Reader{ClientID: reader.ClientID, Credential: validation.Credential{Certificate: certificate(t, reader)}},
		})
		named(t, got, validation.Blocked, "CA501")
	})
}

func named(t *testing.T, got validation.Result, verdict validation.Verdict, rule string) {
	t.Helper()
	switch {
	case got.Verdict != verdict:
		t.Errorf("the verdict is %s, want %s\n%s", got.Verdict, verdict, show(got))
	case rule == "" && got.Rule != nil:
		t.Errorf("the rule is %+v, want none", *got.Rule)
	case rule == "":
	case got.Rule == nil || got.Rule.Kind != diagnosis.ConditionalAccess || !strings.HasPrefix(deref(got.Rule.Name), rule):
		t.Errorf("the rule is %+v, want the policy %s\n%s", got.Rule, rule, show(got))
	case got.Diagnosis == nil || !strings.Contains(got.Diagnosis.Cause, rule):
		t.Errorf("the diagnosis does not name %s: %+v", rule, got.Diagnosis)
	}
}
