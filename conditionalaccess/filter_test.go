package conditionalaccess

import (
	"strings"
	"testing"
)

// TestDeviceFilter covers every operator and attribute with a device that has
// it, one that has not, and one of which it is not known
// (conditional-access-evaluation §2.6).
func TestDeviceFilter(t *testing.T) {
	laptop := Device{}
	for a, v := range map[DeviceAttribute]string{
		DeviceID: "d-1", MDMAppID: "m-1", DeviceOwnership: "Company", IsCompliant: "True", ProfileType: "RegisteredDevice",
		TrustType: "AzureAD", DisplayName: "PC-Reception", EnrollmentProfileName: "Kiosk profile", Manufacturer: "Acme",
		Model: "X1", OperatingSystem: "Windows", OperatingSystemVersion: "10.0.26100", ExtensionAttribute1: "SAW",
		ExtensionAttribute15: "last",
	} {
		laptop.Set(a, v)
	}
	laptop.SetList(PhysicalIDs, []string{"[OrderId]:5", "[ZTDId]:9"})
	laptop.SetList(SystemLabels, []string{"M365Managed"})
	registered, unregistered, unknown := Is(laptop), None[Device](), Member[Device]{}
	for _, c := range []struct {
		rule             string
		laptop, stranger tri
	}{
		{`device.deviceId -eq "D-1"`, yes, no},
		{`device.deviceId -ne "d-1"`, no, yes},
		{`device.deviceId -in ["x", "d-1"]`, yes, no},
		{`device.mdmAppId -notIn ["m-1"]`, no, yes},
		{`device.deviceOwnership -eq "Company"`, yes, no},
		{`device.isCompliant -eq True`, yes, no},
		{`device.isCompliant -eq "true"`, yes, no},
		{`device.isCompliant -ne False`, yes, yes},
		{`device.profileType -eq "SecureVM"`, no, no},
		{`device.trustType -eq "EntraID"`, yes, no},
		{`device.trustType -ne "ServerAD"`, yes, yes},
		{`device.physicalIds -contains "[ZTDId]:9"`, yes, no},
		{`device.physicalIds -contains "[ZTDId]"`, no, no},
		{`device.systemLabels -notContains "MultiUser"`, yes, yes},
		{`device.displayName -startsWith "pc-"`, yes, no},
		{`device.displayName -notStartsWith "pc-"`, no, yes},
		{`device.displayName -endsWith "ption"`, yes, no},
		{`device.enrollmentProfileName -notEndsWith "profile"`, no, yes},
		{`device.manufacturer -contains "CM"`, yes, no},
		{`device.model -notContains "X"`, no, yes},
		{`device.operatingSystem -in ["Linux","windows"]`, yes, no},
		{`device.operatingSystemVersion -startsWith "10.0.2"`, yes, no},
		{`device.extensionAttribute1 -eq "SAW"`, yes, no},
		{`device.extensionAttribute15 -ne "last"`, no, yes},
		{`device.model -eq null`, no, yes},
		{`device.model -ne $null`, yes, no},
		{`device.isCompliant -eq True -and device.model -eq "X2"`, no, no},
		{`device.model -eq "X2" -or device.isCompliant -eq True`, yes, no},
		{`device.model -eq "X1" -or device.model -eq "X2" -and device.isCompliant -eq False`, yes, no},
		{`(device.model -eq "X1" -or device.model -eq "X2") -and device.isCompliant -eq False`, no, no},
		{`-not (device.model -eq "X1")`, no, yes},
		{`-not device.model -eq "X1" -and device.isCompliant -eq True`, no, no},
		{"device.displayName -eq \"a`\"b\"", no, no},
		{`DEVICE.ISCOMPLIANT -EQ TRUE`, yes, no},
		{`device.model -eq 'X1'`, yes, no},
	} {
		e, err := parseFilter(c.rule)
		if err != nil {
			t.Errorf("%s: %v", c.rule, err)
			continue
		}
		if got, _ := e.eval(&subject{device: &registered}); got != c.laptop {
			t.Errorf("%s on the laptop: %d", c.rule, got)
		}
		if got, _ := e.eval(&subject{device: &unregistered}); got != c.stranger {
			t.Errorf("%s on an unregistered device: %d", c.rule, got)
		}
		if got, missing := e.eval(&subject{device: &unknown}); got != maybe || missing != mDevice.set() {
			t.Errorf("%s without knowledge: %d, %v", c.rule, got, missing.appendNames(nil))
		}
	}
}

// TestFilterMissing: what is missing is named only where it decides.
func TestFilterMissing(t *testing.T) {
	device := Device{}
	device.Set(IsCompliant, "True")
	for rule, want := range map[string]string{
		`device.model -eq "A"`:                                            "device.model",
		`device.model -eq "A" -or device.isCompliant -eq True`:            "",
		`device.model -eq "A" -and device.isCompliant -eq False`:          "",
		`device.model -eq "A" -and device.trustType -eq "AzureAD"`:        "device.trustType device.model",
		`device.isCompliant -eq True -and -not device.model -eq "A"`:      "device.model",
		`device.extensionAttribute3 -eq "x" -or device.isCompliant -eq 1`: "device.extensionAttribute3",
	} {
		e, err := parseFilter(rule)
		if err != nil {
			t.Fatal(err)
		}
		m := Is(device)
		if _, missing := e.eval(&subject{device: &m}); strings.Join(missing.appendNames(nil), " ") != want {
			t.Errorf("%s: missing %v", rule, missing.appendNames(nil))
		}
	}
}

func TestFilterErrors(t *testing.T) {
	for rule, want := range map[string]string{
		``:                                    `at character 1: the end where an attribute such as device.isCompliant belongs`,
		`device.model`:                        `at character 13: the end where an operator such as -eq belongs`,
		`device.model -eq`:                    `at character 17: the end where a value belongs`,
		`device.model -eq "A`:                 `at character 18: a string without end`,
		`device.model -eq "A" "B"`:            `at character 22: "B" where the rule should end`,
		`device.isCompliant -contains "x"`:    `at character 20: isCompliant does not take "-contains"`,
		`device.model -in "A"`:                `at character 18: "A" where a list in square brackets belongs`,
		`device.model -in ["A" "B"]`:          `at character 23: "B" where a comma belongs`,
		`(device.model -eq "A"`:               `at character 22: the end where a closing bracket belongs`,
		`user.model -eq "A"`:                  `at character 1: "user" has no attributes here`,
		`device.extensionAttribute16 -eq "A"`: `at character 1: "extensionAttribute16" is no attribute of devices`,
		strings.Repeat(" ", maxRule+1):        `the rule is longer than 3072 characters`,
		strings.Repeat("(", 200):              `at character 102: nested deeper than 100 levels`,
		`device.model -startsWith null`:       `at character 26: only -eq and -ne compare with null`,
	} {
		if _, err := parseFilter(rule); err == nil || err.Error() != want {
			t.Errorf("%.40q: %v", rule, err)
		}
	}
}

// TestApplicationFilter: custom security attributes of the resource.
func TestApplicationFilter(t *testing.T) {
	set := readSet(t, pol(everybody, `"applications":{"includeApplications":[],"applicationFilter":{"mode":"include","rule":"CustomSecurityAttribute.Trade_Secret -eq \"high\""}}`, "", block))
	c := Compile(set, Options{})
	for _, row := range []struct {
		signIn  string
		verdict Verdict
		missing string
	}{
		{`{"resourceAttributes":{"Trade_Secret":"High"}}`, Blocked, ""},
		{`{"resourceAttributes":{"Trade_Secret":["low","high"]}}`, Blocked, ""},
		{`{"resourceAttributes":{"Other_Set":"high"}}`, Allowed, ""},
		{`{}`, Unknown, "resourceAttributes"},
	} {
		var r Result
		if c.Evaluate(readSignIn(t, signInJSON(row.signIn)), &r); r.Verdict != row.verdict || strings.Join(r.Missing, " ") != row.missing {
			t.Errorf("%s: %v, missing %v", row.signIn, r.Verdict, r.Missing)
		}
	}
}

func FuzzFilter(f *testing.F) {
	for _, rule := range someRules {
		f.Add(rule)
	}
	f.Add(`CustomSecurityAttribute.A_B -notIn ["x","y"]`)
	f.Fuzz(func(t *testing.T, rule string) {
		e, err := parseFilter(rule)
		if err != nil {
			return
		}
		var device Member[Device]
		s := &subject{device: &device, attributes: &Member[map[string][]string]{}, missing: mResourceAttributes.set()}
		if got, missing := e.eval(s); got != maybe || missing == 0 {
			t.Errorf("%q without knowledge: %d, %v", rule, got, missing)
		}
		device = None[Device]()
		e.eval(s)
	})
}
