package conditional

import (
	"strings"
	"testing"

	"gatehouse/lab/internal/directory"
)

// TestDeviceFilter: conditional-access-evaluation §2.6.
func TestDeviceFilter(t *testing.T) {
	const laptop = `{"isCompliant":true,"isManaged":true,"trustType":"AzureAD","displayName":"LAP-0042","model":"Slate 9","operatingSystem":"Windows","physicalIds":["[OrderId]:PAW","x"],
		"systemLabels":[],"deviceId":"d-1","enrollmentProfileName":null,"extensionAttribute1":"SAW","extensionAttribute2":null}`
	for _, row := range []struct {
		rule, device string
		want         truth
		missing      string
	}{
		{`device.model -eq "slate 9"`, laptop, yes, ""},
		{`device.model -ne "slate 9"`, laptop, no, ""},
		{`device.model -eq "slate"`, laptop, no, ""},
		{`device.model -startsWith "SLATE"`, laptop, yes, ""},
		{`device.model -notStartsWith "SLATE"`, laptop, no, ""},
		{`device.model -endsWith "9"`, laptop, yes, ""},
		{`device.model -notEndsWith "9"`, laptop, no, ""},
		{`device.model -contains "ate"`, laptop, yes, ""},
		{`device.model -notContains "ate"`, laptop, no, ""},
		{`device.model -in ["a", "Slate 9"]`, laptop, yes, ""},
		{`device.model -notIn ["a","b"]`, laptop, yes, ""},
		{`device.deviceId -in ["D-1"]`, laptop, yes, ""},
		{`device.physicalIds -contains "[orderid]:paw"`, laptop, yes, ""},
		{`device.physicalIds -contains "OrderId"`, laptop, no, ""},
		{`device.physicalIds -notContains "[OrderId]:PAW"`, laptop, no, ""},
		{`device.systemLabels -notContains "MultiUser"`, laptop, yes, ""},
		{`device.isCompliant -eq True`, laptop, yes, ""},
		{`device.isCompliant -eq "true"`, laptop, yes, ""},
		{`device.isCompliant -ne False`, laptop, yes, ""},
		{`device.isCompliant -eq True`, `{"isCompliant":"True"}`, yes, ""},
		{`device.trustType -eq "AzureAD"`, `{"trustType":"EntraID"}`, yes, ""},
		{`DEVICE.TRUSTTYPE -EQ "azuread"`, laptop, yes, ""},

		// No value: positive operators are false, negative ones true.
		{`device.enrollmentProfileName -eq ""`, laptop, no, ""},
		{`device.enrollmentProfileName -ne "x"`, laptop, yes, ""},
		{`device.enrollmentProfileName -contains "x"`, laptop, no, ""},
		{`device.enrollmentProfileName -notIn ["x"]`, laptop, yes, ""},
		{`device.physicalIds -notContains "x"`, "null", yes, ""},
		{`device.isCompliant -eq True`, "null", no, ""},
		{`device.isCompliant -ne True`, "null", yes, ""},
		{`-not (device.isCompliant -eq True)`, "null", yes, ""},

		// Not known.
		{`device.manufacturer -eq "M"`, laptop, maybe, "device.manufacturer"},
		{`device.manufacturer -ne "M"`, laptop, maybe, "device.manufacturer"},
		{`device.manufacturer -eq "M" -or device.isCompliant -eq True`, laptop, yes, ""},
		{`device.manufacturer -eq "M" -and device.isCompliant -eq False`, laptop, no, ""},
		{`device.isCompliant -eq True`, "", maybe, "device"},
		{`device.model -eq "x"`, `{"model":7}`, maybe, "device.model"},
		{`device.physicalIds -contains "x"`, `{"physicalIds":"x"}`, maybe, "device.physicalIds"},
		{`device.colour -eq "red"`, laptop, maybe, "policy member deviceFilter.rule: device.colour -eq"},
		{`device.trustType -contains "A"`, laptop, maybe, "policy member deviceFilter.rule: device.trustType -contains"},
		{`device.physicalIds -eq "x"`, laptop, maybe, "policy member deviceFilter.rule: device.physicalIds -eq"},
		{`device.extensionAttribute16 -eq "x"`, laptop, maybe, "policy member deviceFilter.rule: device.extensionAttribute16 -eq"},

		// Extension attributes need a device that is managed, compliant or
		// hybrid joined.
		{`device.extensionAttribute1 -eq "saw"`, laptop, yes, ""},
		{`device.extensionAttribute2 -ne "saw"`, laptop, yes, ""},
		{`device.extensionAttribute1 -eq "SAW"`, `{"extensionAttribute1":"SAW","trustType":"ServerAD"}`, yes, ""},
		{`device.extensionAttribute1 -ne "SAW"`, `{"extensionAttribute1":"SAW","trustType":"AzureAD","isManaged":false,"isCompliant":false}`, yes, ""},
		{`device.extensionAttribute1 -eq "SAW"`, `{"extensionAttribute1":"SAW"}`, yes, ""},
		{`device.extensionAttribute1 -eq "SAW"`, `{"extensionAttribute1":"other"}`, no, ""},
		{`device.extensionAttribute1 -eq "SAW"`, `{"isManaged":true}`, maybe, "device.extensionAttribute1"},
		{`device.extensionAttribute1 -eq "SAW"`, `{"isManaged":false,"isCompliant":false,"trustType":null}`, no, ""},
		{`device.extensionAttribute1 -notIn ["SAW"]`, "null", yes, ""},

		// -not before -and before -or; brackets.
		{`device.model -eq "x" -and device.model -eq "x" -or device.isCompliant -eq True`, laptop, yes, ""},
		{`device.isCompliant -eq True -or device.model -eq "x" -and device.model -eq "x"`, laptop, yes, ""},
		{`(device.isCompliant -eq True -or device.model -eq "x") -and device.model -eq "x"`, laptop, no, ""},
		{`-not device.model -eq "x" -and device.model -eq "x"`, laptop, no, ""},
		{`-not -not device.isCompliant -eq True`, laptop, yes, ""},
	} {
		t.Run(row.rule+" of "+strings.Join(strings.Fields(row.device), ""), func(t *testing.T) {
			set := []string{"device=" + row.device}
			if row.device == "" {
				set = []string{"-device"}
			}
			e := &evaluation{s: signInOf(t, set...), w: world(t)}
			r, err := parseRule(row.rule)
			if err != nil {
				t.Fatal(err)
			}
			if got := e.rule(r); got != row.want {
				t.Errorf("%s, want %s (missing %q)", got, row.want, e.missing)
			}
			if row.missing != "" && strings.Join(e.missing, "; ") != row.missing {
				t.Errorf("missing %q, want %q", e.missing, row.missing)
			}
		})
	}
}

// TestFilterMode: include and exclude, and rules that cannot be read.
func TestFilterMode(t *testing.T) {
	filter := func(mode, rule string) string {
		return `conditions.devices.deviceFilter={"mode":` + mode + `,"rule":"` + rule + `"}`
	}
	const compliant = "device.isCompliant -eq True"
	checkRows(t, []row{
		{"no filter", []string{`conditions.devices={"deviceFilter":null,"includeDevices":[]}`}, []string{"-device"}, Applies, "", ""},
		{"include", []string{filter(`"include"`, compliant)}, nil, DoesNotApply, "devices", ""},
		{"exclude", []string{filter(`"exclude"`, compliant)}, []string{`device={"isCompliant":true}`}, DoesNotApply, "devices", ""},
		{"device not known", []string{filter(`"exclude"`, compliant)}, []string{"-device"}, NotKnown, "", "device"},
		{"mode of another kind", []string{filter(`"maybe"`, compliant)}, nil, NotKnown, "", "policy member deviceFilter.mode"},
		{"no mode", []string{filter("null", compliant)}, nil, NotKnown, "", "policy member deviceFilter.mode"},
		{"rule that cannot be read", []string{filter(`"include"`, "device.isCompliant")}, nil, NotKnown, "", "policy member deviceFilter.rule"},
		{"rule that is too long", []string{filter(`"include"`, compliant+strings.Repeat(" ", maxRule))}, nil, NotKnown, "", "policy member deviceFilter.rule"},
		{"old members", []string{`conditions.devices.includeDeviceStates=["All"]`}, nil, NotKnown, "", "policy member includeDeviceStates"},
		{"torn filter", []string{`conditions.devices.deviceFilter="x"`}, nil, NotKnown, "", "policy member deviceFilter"},
	})
}

func TestRulesThatAreRefused(t *testing.T) {
	for _, rule := range []string{
		"", " ", "device", "device.", `device. -eq "x"`, "device.model", "device.model -eq", "device.model -eq x", `user.model -eq "x"`, `device.model "x"`,
		`device.model -eq "x`, `device.model -eq 'x'`, `device.model -eq ["x"]`, `device.model -in "x"`, `device.model -in []`, `device.model -in ["x"`,
		`device.model -in ["x" "y"]`, `(device.model -eq "x"`, `device.model -eq "x")`, `device.model -eq "x" device.model -eq "y"`, `device.model -eq "x" -and`,
		`-not`, `-and device.model -eq "x"`, `device.model - eq "x"`, `device.model -eq "x" && device.model -eq "y"`, `"device.model" -eq "x"`, "device.isCompliant -eq null",
	} {
		if _, err := parseRule(rule); err == nil {
			t.Errorf("%q was read", rule)
		} else if !strings.HasPrefix(err.Error(), "reading a filter: ") {
			t.Errorf("%q: %v", rule, err)
		}
	}
}

// FuzzRule: a rule of a hostile policy neither panics nor takes long, and is
// decided the same way twice.
func FuzzRule(f *testing.F) {
	for _, seed := range []string{
		`device.isCompliant -eq True -or device.trustType -eq "ServerAD"`, `-not (device.model -in ["a","b"])`, strings.Repeat("(", 3000), strings.Repeat("-not ", 600), `device.é -eq "x"`,
		`device.extensionAttribute1 -notContains "\xff"`,
	} {
		f.Add(seed)
	}
	s, w := signInOf(f, `device={"isCompliant":true,"model":"x"}`), world(f)
	f.Fuzz(func(t *testing.T, text string) {
		r, err := parseRule(text)
		if err != nil {
			return
		}
		first, second := (&evaluation{s: s, w: w}).rule(r), (&evaluation{s: s, w: w}).rule(r)
		negated := (&evaluation{s: s, w: w}).rule(&rule{join: "not", inner: []*rule{r}})
		if first != second || negated != not(first) {
			t.Errorf("%q: %s, then %s, negated %s", text, first, second, negated)
		}
	})
}

// FuzzPolicy: policies, locations and strengths of any shape are evaluated, and
// what is said holds together.
func FuzzPolicy(f *testing.F) {
	f.Add([]byte(`{"state":"enabled","conditions":{"users":{"includeUsers":["All"]},"applications":{"includeApplications":["All"]}},"grantControls":{"operator":"OR","builtInControls":["mfa"]}}`), []byte(`{}`))
	f.Add([]byte(`{"state":1,"conditions":{"users":{"includeGuestsOrExternalUsers":{"externalTenants":[]}},"devices":{"deviceFilter":{"rule":"("}},"locations":{"includeLocations":["it"]}},"grantControls":{"authenticationStrength":{"id":"it"}}}`),
		[]byte(`{"ipRanges":[{"cidrAddress":"::/0"}],"isTrusted":true,"allowedCombinations":[1,"fido2"]}`))
	f.Add([]byte(`{"conditions":null,"grantControls":[],"sessionControls":{"signInFrequency":{"value":-1e300}}}`), []byte(`{"@odata.type":"#microsoft.graph.countryNamedLocation","countriesAndRegions":7}`))
	known, nothing := signInOf(f), &SignIn{}
	f.Fuzz(func(t *testing.T, policy, other []byte) {
		members, things := object(policy), object(other)
		if members == nil || things == nil {
			return
		}
		thing := []*directory.Object{{ID: "it", Members: things}}
		w := &World{Locations: thing, Strengths: thing}
		policies := []*directory.Object{{ID: "p", Members: members}}
		for _, s := range []*SignIn{known, nothing} {
			d := Evaluate(policies, s, w)
			p := d.Policies[0]
			switch {
			case d.Verdict == Blocked && p.Applies != Applies,
				d.Verdict != Allowed && d.Verdict != Unknown && len(d.Outstanding) == 0,
				d.Verdict == Unknown && len(d.Missing) == 0,
				(p.Applies == Applies) != (p.Reason == reasonNotSet),
				(d.Refuse(Silent) == nil) != (d.Verdict == Allowed):
				t.Errorf("%s: %+v", policy, d)
			}
			for _, result := range WhatIf(policies, &WhatIfRequest{SignIn: *s}, w) {
				if result.Applies != (p.Applies == Applies) {
					t.Errorf("%s: what-if says %v, the sign-in %s", policy, result.Applies, p.Applies)
				}
			}
		}
		_, _ = ReadWhatIf(members)
	})
}
