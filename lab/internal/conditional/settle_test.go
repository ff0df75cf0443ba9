package conditional

import (
	"fmt"
	"testing"

	"gatehouse/lab/internal/directory"
)

// TestCasesAreBounded: policies that together leave nobody out, by so many
// groups that not every case can be tried, give unknown and come to an end.
func TestCasesAreBounded(t *testing.T) {
	verdict := func(groups int) Verdict {
		var policies []*directory.Object
		for i := range groups {
			policies = append(policies, asks(t, "mfa", fmt.Sprintf(`conditions.users={"includeGroups":["g%d"],"excludeGroups":["h%d"]}`, i, i)))
		}
		policies = append(policies, asks(t, "block", `conditions.users={"includeGroups":["last"]}`),
			asks(t, "block", `conditions.users={"includeUsers":["All"],"excludeGroups":["last"]}`))
		return Evaluate(policies, signInOf(t, "-groups"), world(t)).Verdict
	}
	if v := verdict(2); v != Blocked {
		t.Errorf("few groups: %s", v)
	}
	if v := verdict(14); v != Unknown {
		t.Errorf("many groups: %s", v)
	}
}

// TestClientNotKnown: conditions alone ask for the client. Controls take one
// that is not known for a modern one, but keep to the value that is tried for a
// condition.
func TestClientNotKnown(t *testing.T) {
	mfa := asks(t, "mfa")
	of := func(control, types string) *directory.Object {
		return asks(t, control, "conditions.clientAppTypes="+types)
	}
	risk := func(levels string) *directory.Object { return asks(t, "mfa", "conditions.signInRiskLevels="+levels) }
	const done = `satisfied=["password","mfa"]`
	for _, c := range []struct {
		name     string
		policies []*directory.Object
		signIn   []string
		verdict  Verdict
	}{
		{"no condition", []*directory.Object{mfa}, nil, MFARequired},
		{"no condition, MFA done", []*directory.Object{mfa}, []string{done}, Allowed},
		{"a condition on old clients", []*directory.Object{mfa, of("block", `["exchangeActiveSync","other"]`)}, []string{done}, Unknown},
		{"old clients cannot do MFA", []*directory.Object{mfa, of("block", `["browser","mobileAppsAndDesktopClients"]`)}, []string{done}, Blocked},
		{"the condition makes no difference", []*directory.Object{mfa, of("mfa", `["other"]`)}, nil, MFARequired},
		{"nor does it beside the risk", []*directory.Object{of("mfa", `["other"]`), risk(`["high"]`), risk(`["none","low","medium","hidden"]`)}, []string{"-signInRisk"}, MFARequired},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := Evaluate(c.policies, signInOf(t, append([]string{"-clientAppType"}, c.signIn...)...), world(t))
			if d.Verdict != c.verdict || (d.Verdict == Unknown) != (len(d.Missing) == 1 && d.Missing[0] == "clientAppType") {
				t.Errorf("%s, missing %q; want %s", d.Verdict, d.Missing, c.verdict)
			}
		})
	}
}

// TestExtensionAttributeSeen: that a device has an extension attribute says that
// it is managed, compliant or hybrid joined, also while its compliance is open.
func TestExtensionAttributeSeen(t *testing.T) {
	filter := func(mode string) string {
		return `conditions.devices.deviceFilter={"mode":"` + mode + `","rule":"device.extensionAttribute1 -eq \"SAW\""}`
	}
	policies := []*directory.Object{asks(t, "compliantDevice", filter("include")), asks(t, "block", filter("exclude"))}
	for device, want := range map[string]Verdict{
		`{"extensionAttribute1":"SAW","isManaged":false,"trustType":"Workplace"}`:                     Allowed,
		`{"extensionAttribute1":"SAW","isManaged":false,"isCompliant":false,"trustType":"Workplace"}`: Blocked,
		`{"isManaged":false,"trustType":"Workplace"}`:                                                 Unknown,
	} {
		if d := Evaluate(policies, signInOf(t, "device="+device), world(t)); d.Verdict != want {
			t.Errorf("%s: %s, missing %q; want %s", device, d.Verdict, d.Missing, want)
		}
	}
}
