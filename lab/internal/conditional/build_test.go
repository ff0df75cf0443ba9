package conditional

import (
	"encoding/json"
	"net/netip"
	"strings"
	"testing"

	"gatehouse/lab/internal/directory"
)

// change sets members by their path: "conditions.users.excludeUsers=[…]". A
// change that begins with "-" takes the member away.
func change(t testing.TB, object map[string]any, changes ...string) map[string]any {
	t.Helper()
	for _, c := range changes {
		path, text, _ := strings.Cut(c, "=")
		remove := strings.HasPrefix(path, "-")
		steps := strings.Split(strings.TrimPrefix(path, "-"), ".")
		at := object
		for _, step := range steps[:len(steps)-1] {
			inner, isObject := at[step].(map[string]any)
			if !isObject {
				inner = map[string]any{}
				at[step] = inner
			}
			at = inner
		}
		last := steps[len(steps)-1]
		if remove {
			delete(at, last)
			continue
		}
		var value any
		if err := json.Unmarshal([]byte(text), &value); err != nil {
			t.Fatalf("%s: %v", c, err)
		}
		at[last] = value
	}
	return object
}

func parse(t testing.TB, text string) map[string]any {
	t.Helper()
	var out map[string]any
	if err := json.Unmarshal([]byte(text), &out); err != nil {
		t.Fatal(err)
	}
	return out
}

// asks is a policy for all users, all resources and all clients that asks for a
// control.
func asks(t testing.TB, control string, changes ...string) *directory.Object {
	t.Helper()
	members := parse(t, `{"displayName":"Test","state":"enabled","conditions":{"users":{"includeUsers":["All"]},
		"applications":{"includeApplications":["All"]},"clientAppTypes":["all"]},"grantControls":{"operator":"OR","builtInControls":["`+control+`"]}}`)
	return &directory.Object{ID: "policy-" + control, Members: change(t, members, changes...)}
}

// signInOf is a sign-in of a member to SharePoint by password in a browser, with
// every fact known, and then changed.
func signInOf(t testing.TB, changes ...string) *SignIn {
	t.Helper()
	members := parse(t, `{"id":"s1","principalType":"user","userId":"user-1","userType":"Member","guestOrExternalUserType":null,"externalTenantId":null,
		"groups":[],"roles":[],"resource":"00000003-0000-0ff1-ce00-000000000000","scopes":["AllSites.Read"],"clientAppType":"browser","ipAddress":"198.51.100.7",
		"country":"DE","platform":"windows","compliantNetwork":false,"device":null,"signInRisk":"none","userRisk":"none","insiderRisk":null,"servicePrincipalRisk":null,
		"authenticationFlow":null,"satisfied":["password"],"authMethodCombination":"password","methodsRegistered":["microsoftAuthenticatorPush"]}`)
	encoded, err := json.Marshal(change(t, members, changes...))
	if err != nil {
		t.Fatal(err)
	}
	var out SignIn
	if err := json.Unmarshal(encoded, &out); err != nil {
		t.Fatal(err)
	}
	return &out
}

// world has two trusted offices, one that is not trusted, two countries and the
// addresses of the older MFA settings.
func world(t testing.TB) *World {
	t.Helper()
	location := func(id, text string) *directory.Object {
		return &directory.Object{ID: id, Members: parse(t, text)}
	}
	return &World{
		Suites: Suites, Dependencies: EarlyBound, Behind: BehindScopes,
		TrustedIPs: Of([]netip.Prefix{netip.MustParsePrefix("203.0.113.128/25"), netip.MustParsePrefix("2001:db8:99::/48")}),
		Parents:    map[string][]string{"inner": {"outer"}, "outer": {"ring"}, "ring": {"inner"}},
		CustomRoles: map[string]bool{
			"custom-role": true,
		},
		Locations: []*directory.Object{
			location("office", `{"@odata.type":"#microsoft.graph.ipNamedLocation","isTrusted":true,"ipRanges":[
				{"@odata.type":"#microsoft.graph.iPv4CidrRange","cidrAddress":"203.0.113.0/28"},{"@odata.type":"#microsoft.graph.iPv6CidrRange","cidrAddress":"2001:db8:1::/48"}]}`),
			location("plant", `{"@odata.type":"#microsoft.graph.ipNamedLocation","isTrusted":false,"ipRanges":[{"@odata.type":"#microsoft.graph.iPv4CidrRange","cidrAddress":"192.0.2.0/28"}]}`),
			location("span", `{"@odata.type":"#microsoft.graph.ipNamedLocation","ipRanges":[{"@odata.type":"#microsoft.graph.iPv4Range","lowerAddress":"192.0.2.100","upperAddress":"192.0.2.103"}]}`),
			location("alps", `{"@odata.type":"#microsoft.graph.countryNamedLocation","countriesAndRegions":["CH","AT"],"includeUnknownCountriesAndRegions":false}`),
			location("far", `{"@odata.type":"#microsoft.graph.countryNamedLocation","countriesAndRegions":["XK"],"includeUnknownCountriesAndRegions":true}`),
			location("gsa", `{"@odata.type":"#microsoft.graph.compliantNetworkNamedLocation","isTrusted":true}`),
			location("odd", `{"@odata.type":"#microsoft.graph.lunarNamedLocation"}`),
			location("gps", `{"@odata.type":"#microsoft.graph.countryNamedLocation","countriesAndRegions":["CH"],"countryLookupMethod":"authenticatorAppGps"}`),
			location("bare", `{"isTrusted":"yes","ipRanges":[{"cidrAddress":"192.0.2.208/28"}]}`),
			location("bare-country", `{"countriesAndRegions":["XK"],"includeUnknownCountriesAndRegions":"yes"}`),
			location("bare-network", `{"compliantNetworkType":"allTenantCompliantNetworks"}`),
			location("bare-nothing", `{}`),
			location("no-ranges", `{"@odata.type":"#microsoft.graph.ipNamedLocation","isTrusted":true,"ipRanges":null}`),
			location("torn-ranges", `{"@odata.type":"#microsoft.graph.ipNamedLocation","ipRanges":"192.0.2.0/24"}`),
			location("torn-span", `{"@odata.type":"#microsoft.graph.ipNamedLocation","ipRanges":[{"lowerAddress":"192.0.2.1","upperAddress":"2001:db8::1"}]}`),
			location("torn", `{"@odata.type":"#microsoft.graph.ipNamedLocation","ipRanges":[{"cidrAddress":"nowhere"},{"cidrAddress":"192.0.2.200/32"}]}`),
		},
		Strengths: []*directory.Object{
			{ID: "keys", Members: parse(t, `{"allowedCombinations":["fido2","password,hardwareOath"],"combinationConfigurations":[{"@odata.type":"#microsoft.graph.fido2CombinationConfiguration",
				"appliesToCombinations":["fido2"],"allowedAAGUIDs":["00000000-0000-0000-0000-000000000001"]}]}`)},
			{ID: "cards", Members: parse(t, `{"allowedCombinations":["x509CertificateMultiFactor"],"combinationConfigurations":[{"allowedIssuerSkis":["x"]}]}`)},
			{ID: "single", Members: parse(t, `{"allowedCombinations":["x509CertificateSingleFactor"]}`)},
		},
	}
}

// object is a JSON object, nil if the bytes hold none.
func object(data []byte) map[string]any {
	var out map[string]any
	if json.Unmarshal(data, &out) != nil {
		return nil
	}
	return out
}
