package conditionalaccess_test

import (
	"fmt"
	"net/netip"
	"strings"

	"gatehouse/conditionalaccess"
)

// policies is what Graph answers to GET /identity/conditionalAccess/policies.
const policies = `{"value": [
  {"id": "1", "displayName": "Second factor for everybody", "state": "enabled",
   "conditions": {"users": {"includeUsers": ["All"], "excludeGroups": ["breakglass"]}, "applications": {"includeApplications": ["All"]}},
   "grantControls": {"operator": "OR", "builtInControls": ["mfa"]}},
  {"id": "2", "displayName": "Nobody at high risk", "state": "enabled",
   "conditions": {"users": {"includeUsers": ["All"]}, "applications": {"includeApplications": ["All"]}, "signInRiskLevels": ["high"]},
   "grantControls": {"operator": "OR", "builtInControls": ["block"]}}
]}`

func Example() {
	set := conditionalaccess.Read(conditionalaccess.Document{Name: "policies.json", Data: []byte(policies)})
	compiled := conditionalaccess.Compile(set, conditionalaccess.Options{})

	signIn := conditionalaccess.SignIn{
		UserID:        conditionalaccess.Is("5f1b…"),
		Groups:        conditionalaccess.Is([]string{}),
		Resource:      conditionalaccess.Is("00000003-0000-0ff1-ce00-000000000000"),
		ClientAppType: conditionalaccess.Is("browser"),
		SignInRisk:    conditionalaccess.Is("low"),
		Satisfied:     conditionalaccess.Is([]string{"password"}),
	}
	var result conditionalaccess.Result // may be used again for the next sign-in
	compiled.Evaluate(&signIn, &result)
	fmt.Println(result.Verdict, result.ErrorCode, result.Outstanding)
	for _, i := range result.Applied {
		fmt.Println("because of", compiled.Policy(i).DisplayName)
	}
	// Output:
	// mfa_required 50076 [mfa]
	// because of Second factor for everybody
}

// A member that is not given is unknown. The verdict is unknown only if it
// depends on that.
func ExampleCompiled_Evaluate_unknown() {
	set := conditionalaccess.Read(conditionalaccess.Document{Name: "policies.json", Data: []byte(policies)})
	compiled := conditionalaccess.Compile(set, conditionalaccess.Options{})

	var signIn conditionalaccess.SignIn
	var result conditionalaccess.Result
	for _, line := range []string{
		`{"userId":"u","groups":[],"resource":"app","clientAppType":"browser","satisfied":["mfa"]}`,
		`{"userId":"u","resource":"app","clientAppType":"browser","signInRisk":"high","satisfied":["mfa"]}`,
	} {
		if err := signIn.UnmarshalJSON([]byte(line)); err != nil {
			fmt.Println(err)
			return
		}
		compiled.Evaluate(&signIn, &result)
		fmt.Println(result.Verdict, result.Missing)
	}
	// Output:
	// unknown [signInRisk]
	// blocked []
}

func ExampleCompiled_Trace() {
	set := conditionalaccess.Read(conditionalaccess.Document{Name: "policies.json", Data: []byte(policies)})
	compiled := conditionalaccess.Compile(set, conditionalaccess.Options{})

	signIn := conditionalaccess.SignIn{
		UserID: conditionalaccess.Is("u"), Groups: conditionalaccess.Is([]string{"breakglass"}),
		Resource: conditionalaccess.Is("app"), SignInRisk: conditionalaccess.None[string](),
	}
	var result conditionalaccess.Result
	for _, policy := range compiled.Trace(&signIn, &result) {
		fmt.Println(compiled.Policy(policy.Policy).DisplayName, "→", policy.Result, policy.FirstUnmet)
		for _, c := range policy.Conditions {
			fmt.Println("  ", c.Condition, c.Result+":", c.Why)
		}
	}
	// Output:
	// Second factor for everybody → does_not_apply users
	//    users not_met: Your account is in the excluded group breakglass.
	//    application met: The policy is for all resources.
	// Nobody at high risk → does_not_apply signInRisk
	//    users met: The policy is for all users.
	//    application met: The policy is for all resources.
	//    signInRisk not_met: There is no risk.
}

// Options hold what the policies do not say.
func ExampleCompile_options() {
	set := conditionalaccess.Read(conditionalaccess.Document{Name: "policies.json", Data: []byte(policies)})
	compiled := conditionalaccess.Compile(set, conditionalaccess.Options{
		MFATrustedIPs: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")},
		Directory: &conditionalaccess.Directory{
			Users:  []conditionalaccess.DirectoryUser{{ID: "u", Groups: []string{"night shift"}}},
			Groups: []conditionalaccess.DirectoryGroup{{ID: "breakglass", Members: []string{"night shift"}}},
		},
	})
	signIn := conditionalaccess.SignIn{
		UserID: conditionalaccess.Is("u"), Resource: conditionalaccess.Is("app"), SignInRisk: conditionalaccess.Is("none"),
	}
	var result conditionalaccess.Result
	compiled.Evaluate(&signIn, &result)
	fmt.Println(result.Verdict)
	// Output:
	// allowed
}

func ExampleSet_faults() {
	set := conditionalaccess.Read(
		conditionalaccess.Document{Name: "policies.json", Data: []byte(policies)},
		conditionalaccess.Document{Name: "cut off.json", Data: []byte(strings.TrimSuffix(policies, "]}"))},
	)
	fmt.Println(len(set.Policies), "policies")
	for _, fault := range set.Faults {
		fmt.Println(fault)
	}
	// Output:
	// 2 policies
	// cut off.json:8: not JSON: the text ends in the middle
}
