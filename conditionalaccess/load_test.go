package conditionalaccess

import (
	"strings"
	"testing"
	"testing/fstest"
)

// small is the smallest policy that does anything.
const small = `{"conditions":{"users":{"includeUsers":["All"]},"applications":{"includeApplications":["All"]}},"grantControls":{"builtInControls":["mfa"]}}`

// TestLayouts: the wrappings in which policies and locations come.
func TestLayouts(t *testing.T) {
	location := `{"displayName":"L","ipRanges":[{"cidrAddress":"192.0.2.0/24"}],"isTrusted":true}`
	for _, c := range []struct {
		name, text                     string
		policies, locations, strengths int
		ignored                        string
	}{
		{"single object", small, 1, 0, 0, ""},
		{"array", `[` + small + `,` + small + `]`, 2, 0, 0, ""},
		{"list answer", `{"@odata.context":"x","value":[` + small + `]}`, 1, 0, 0, ""},
		{"one object after another", small + "\n" + small, 2, 0, 0, ""},
		{"template with details", `{"id":"t","name":"Template","scenarios":"new","details":` + small + `}`, 1, 0, 0, ""},
		{"named lists", `{"policies":[` + small + `],"namedLocations":[` + location + `]}`, 1, 1, 0, ""},
		{"JSON inside a string", `{"RowKey":"1","JSON":` + quote(small) + `}`, 1, 0, 0, ""},
		{"locations beside the conditions", strings.TrimSuffix(small, "}") + `,"LocationInfo":[` + location + `]}`, 1, 1, 0, ""},
		{"location without type", location, 0, 1, 0, ""},
		{"strengths", `{"value":[{"id":"s","displayName":"S","allowedCombinations":["fido2"]}]}`, 0, 0, 1, ""},
		{"empty list", `{"value":[]}`, 0, 0, 0, "an empty list"},
		{"another answer", `{"@odata.context":"https://x/$metadata#users","id":"1"}`, 0, 0, 0, "an answer of users"},
		{"authentication context", `{"id":"c1","displayName":"C","isAvailable":true}`, 0, 0, 0, "an authentication context"},
		{"a number", `7`, 0, 0, 0, "a single value"},
		{"error answer", `{"error":{"code":"Forbidden"}}`, 0, 0, 0, "an error of Graph"},
	} {
		t.Run(c.name, func(t *testing.T) {
			set := Read(Document{"x.json", []byte(c.text)})
			f := set.Files[0]
			if len(set.Faults) > 0 || f.Policies != c.policies || f.Locations != c.locations || f.Strengths != c.strengths || f.Ignored != c.ignored {
				t.Errorf("%+v, faults %v", f, set.Faults)
			}
			if len(set.Policies) != c.policies || len(set.Locations) != c.locations {
				t.Errorf("%d policies, %d locations", len(set.Policies), len(set.Locations))
			}
		})
	}
}

func quote(s string) string {
	return `"` + strings.ReplaceAll(s, `"`, `\"`) + `"`
}

// TestTemplateTakesItsNameFromOutside: Graph's templates keep the name apart
// and have no state; whether one is enforced is not known.
func TestTemplateTakesItsNameFromOutside(t *testing.T) {
	set := Read(Document{"x.json", []byte(`{"id":"t","name":"Template","details":` + small + `}`)})
	if p := set.Policies[0]; p.DisplayName != "Template" || p.ID != "" || p.State != StateUnknown {
		t.Errorf("%+v", p)
	}
}

// TestFaults: a file that cannot be read is named with line and reason, and
// the rest goes on.
func TestFaults(t *testing.T) {
	deep := strings.Repeat("[", maxDepth+1) + strings.Repeat("]", maxDepth+1)
	files := fstest.MapFS{
		"a good.json":    {Data: []byte(small)},
		"b cut.json":     {Data: []byte("{\n\"conditions\": {\n\"users\"")},
		"c deep.json":    {Data: []byte(deep)},
		"d empty.json":   {Data: []byte(" \n")},
		"e half.json":    {Data: []byte("\xff\xfe{\x00}")},
		"f latin.json":   {Data: []byte("{\"displayName\":\n\"Z\xfcrich\"}")},
		"g range.json":   {Data: []byte("{\"displayName\":\"L\",\n\"ipRanges\":[\n{\"cidrAddress\":\"192.0.2.0/99\"}]}")},
		"h list.json":    {Data: []byte(strings.Replace(small, `["All"]`, "[\n7]", 1))},
		"i rule.json":    {Data: []byte(strings.Replace(small, `"users"`, "\n"+`"devices":{"deviceFilter":{"mode":"include","rule":"device.colour -eq 1"}},"users"`, 1))},
		"j readme.md":    {Data: []byte("# Policies")},
		"k notes":        {Data: []byte("only words")},
		".git/x.json":    {Data: []byte("broken")},
		"l comma.json":   {Data: []byte("[1,]")},
		"m control.json": {Data: []byte("[\"\x01\"]")},
	}
	set := Load(files)
	want := map[string]string{
		"b cut.json":     "b cut.json:3: not JSON: expected a colon",
		"c deep.json":    "c deep.json:1: not JSON: nested deeper than 64 levels",
		"d empty.json":   "d empty.json: the file is empty",
		"e half.json":    "e half.json: UTF-16 text with half a character at the end; the file is cut off",
		"f latin.json":   "f latin.json:2: not JSON: a string that is not UTF-8; save the file as UTF-8",
		"g range.json":   `g range.json:3: the range "192.0.2.0/99" of the location "L": not an address with a mask, such as 192.0.2.0/24`,
		"h list.json":    "h list.json:2: conditions.users.includeUsers holds a number where a string belongs",
		"i rule.json":    `i rule.json:2: conditions.devices.deviceFilter.rule: at character 1: "colour" is no attribute of devices`,
		"l comma.json":   "l comma.json:1: not JSON: a comma with nothing behind it",
		"m control.json": "m control.json:1: not JSON: a control character inside a string",
	}
	for _, f := range set.Faults {
		if f.Error() != want[f.File] {
			t.Errorf("%q, want %q", f.Error(), want[f.File])
		}
		delete(want, f.File)
	}
	if len(want) > 0 {
		t.Errorf("no fault for %v", want)
	}
	if len(set.Policies) != 3 || len(set.Files) != len(files)-1 {
		t.Errorf("%d policies, %d files", len(set.Policies), len(set.Files))
	}
}

// TestWhatIsNotKnownMakesUnknown: a condition, control, list or range that
// could not be understood makes the verdict unknown where it could matter, and
// only there.
func TestWhatIsNotKnownMakesUnknown(t *testing.T) {
	with := func(more string) string { return pol(everybody, allApps, more, block) }
	for _, c := range []struct {
		name, policy, signIn string
		verdict              Verdict
		missing              string
	}{
		{"condition", with(`"weather":{"includeWeather":["rain"]}`), `{}`, Unknown, "conditions"},
		{"condition, but excluded elsewhere", with(`"weather":["rain"],"platforms":{"includePlatforms":["iOS"]}`), `{}`, Allowed, ""},
		{"times", with(`"times":{"includedRanges":[{}, {"x":1}]}`), `{}`, Unknown, "conditions"},
		{"empty unknown condition", with(`"weather":{"includeWeather":[],"note":null}`), `{}`, Blocked, ""},
		{"unknown client type", with(`"clientAppTypes":["toaster"]`), `{}`, Unknown, "conditions"},
		{"unknown client type beside the right one", with(`"clientAppTypes":["toaster","browser"]`), `{}`, Blocked, ""},
		{"unknown platform", with(`"platforms":{"includePlatforms":["toaster"]}`), `{}`, Unknown, "conditions"},
		{"unknown excluded platform", with(`"platforms":{"includePlatforms":["all"],"excludePlatforms":["toaster"]}`), `{}`, Unknown, "conditions"},
		{"unknown risk", with(`"signInRiskLevels":["extreme"]`), `{}`, Unknown, "conditions"},
		{"unknown include of users", pol(`"users":{"includeFriends":["x"]}`, allApps, "", block), `{}`, Unknown, "conditions"},
		{"unknown exclude of users", pol(excluding(`"excludeFriends":["x"]`), allApps, "", block), `{}`, Unknown, "conditions"},
		{"unknown type of guest, a member", pol(`"users":{"includeGuestsOrExternalUsers":{"guestOrExternalUserTypes":"martian"}}`, allApps, "", block), `{}`, Unknown, "conditions"},
		{"location that was not supplied", with(locations(`"nowhere"`, ``)), `{}`, Unknown, "namedLocations"},
		{"excluded location that was not supplied", with(locations(`"All"`, `"nowhere"`)), `{}`, Unknown, "namedLocations"},
		{"MFA trusted IPs", with(locations(`"00000000-0000-0000-0000-000000000000"`, ``)), `{}`, Unknown, "mfaTrustedIPs"},
		{"control", pol(everybody, allApps, "", `"grantControls":{"operator":"OR","builtInControls":["oath"]}`), `{}`, Unknown, "grantControls"},
		{"control beside one that is met", pol(everybody, allApps, "", `"grantControls":{"operator":"OR","builtInControls":["oath","mfa"]}`), `{"satisfied":["mfa"]}`, Allowed, ""},
		{"control that the sign-in met", pol(everybody, allApps, "", `"grantControls":{"operator":"OR","builtInControls":["oath"]}`), `{"satisfied":["oath"]}`, Allowed, ""},
		{"operator", pol(everybody, allApps, "", `"grantControls":{"operator":"XOR","builtInControls":["mfa","compliantDevice"]}`), `{"satisfied":["mfa"]}`, Unknown, "grantControls"},
		{"strength", pol(everybody, allApps, "", `"grantControls":{"operator":"OR","authenticationStrength":{"id":"ours"}}`), `{"satisfied":["mfa"]}`, Unknown, "authenticationStrength"},
		{"strength, without MFA", pol(everybody, allApps, "", `"grantControls":{"operator":"OR","authenticationStrength":{"id":"ours"}}`), `{}`, Unknown, "authenticationStrength"},
		{"certain kinds of key", pol(everybody, allApps, "", `"grantControls":{"operator":"OR","authenticationStrength":{"id":"ours","allowedCombinations":["fido2"],"combinationConfigurations":[{"id":"x","appliesToCombinations":["fido2"],"allowedAAGUIDs":["y"]}]}}`),
			`{"satisfied":["mfa"],"authMethodCombination":"fido2"}`, Unknown, "authMethodCombination"},
		{"state", polState("hibernating", everybody, allApps, "", block), `{}`, Unknown, "state"},
		{"no state", polState("", everybody, allApps, "", block), `{}`, Unknown, "state"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var r Result
			Compile(readSet(t, c.policy), Options{}).Evaluate(readSignIn(t, signInJSON(c.signIn)), &r)
			if r.Verdict != c.verdict || strings.Join(r.Missing, " ") != c.missing {
				t.Errorf("%v, missing %q", r.Verdict, r.Missing)
			}
		})
	}
}

func FuzzRead(f *testing.F) {
	f.Add([]byte(small))
	f.Add([]byte(namedPlaces))
	f.Add([]byte(`[{"policyType":18,"policyDetail":["{\"Conditions\":{\"Users\":{\"Include\":[{\"Users\":[\"All\"]}]}}}"]},{"policyType":6,"policyDetail":["{\"CompressedCidrIpRanges\":\"M7Q00jMAAA==\"}"]}]`))
	f.Add([]byte("\xff\xfe{\x00}\x00"))
	f.Add([]byte(`{"details":{"conditions":{"users":{"includeUsers":"All"}}}}`))
	si := &SignIn{UserID: Is("u"), Resource: Is(sharePoint)}
	f.Fuzz(func(_ *testing.T, data []byte) {
		set := Read(Document{"x.json", data})
		c := Compile(set, Options{ServiceDependencies: true})
		var r Result
		c.Evaluate(si, &r)
		c.Trace(&SignIn{}, &r)
	})
}
