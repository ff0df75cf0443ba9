package conditional_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/netip"
	"os"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"gatehouse/conditionalaccess"
	"gatehouse/lab/internal/conditional"
	"gatehouse/lab/internal/directory"
)

// Two readings of the documents are held against each other: this package's and
// the library's, which were written apart. Random policies and sign-ins, with
// facts missing, must come out alike. GATEHOUSE_SOAK=1 makes it ten million cases,
// or as many as it says; GATEHOUSE_SEED repeats a run.
func TestDifferential(t *testing.T) {
	cases := 100_000
	if s := os.Getenv("GATEHOUSE_SOAK"); s != "" {
		if _, err := fmt.Sscan(s, &cases); err != nil {
			t.Fatalf("GATEHOUSE_SOAK is %q: %v", s, err)
		}
		if cases == 1 {
			cases = 10_000_000
		}
	}
	seed := uint64(time.Now().UnixNano())
	if s := os.Getenv("GATEHOUSE_SEED"); s != "" {
		if _, err := fmt.Sscan(s, &seed); err != nil {
			t.Fatalf("GATEHOUSE_SEED is %q: %v", s, err)
		}
	}
	t.Logf("GATEHOUSE_SEED=%d", seed)
	defer debug.SetGCPercent(debug.SetGCPercent(1000)) // much garbage, little that stays
	const signIns, lanes = 200, 2
	var done [lanes]map[string]int
	var group sync.WaitGroup
	for lane := range lanes {
		seen := map[string]int{}
		done[lane] = seen
		group.Go(func() {
			for n := lane * signIns; n < cases && !t.Failed(); n += lanes * signIns {
				r := &random{rand.New(rand.NewPCG(seed, uint64(n)))}
				w := r.world()
				for range signIns {
					seen[w.compare(t, r.signIn())]++
				}
			}
		})
	}
	group.Wait()
	seen, total := done[0], 0
	for verdict, n := range done[1] {
		seen[verdict] += n
	}
	for _, n := range seen {
		total += n
	}
	t.Logf("%d cases: %v", total, seen)
	for _, v := range []string{"allowed", "blocked", "mfa_required", "auth_strength_required", "device_required", "app_protection_required",
		"password_change_required", "terms_of_use_required", "custom_control_required", "registration_required", "unknown"} {
		if seen[v] == 0 {
			t.Errorf("no case came out as %s: the generator has become too narrow", v)
		}
	}
}

// world is a random tenant, in the terms of both readings.
type world struct {
	policies []map[string]any
	objects  []*directory.Object
	lab      *conditional.World
	options  conditionalaccess.Options
	custom   bool // the second role is a custom one
	compiled *conditionalaccess.Compiled
	result   conditionalaccess.Result
}

// compare fails the test if the readings differ, with the smallest case that
// still does.
func (w *world) compare(t *testing.T, line []byte) (verdict string) {
	t.Helper()
	verdict, here, there := w.answers(t, line)
	if here == there {
		return verdict
	}
	w.shrink(t, &line)
	_, here, there = w.answers(t, line)
	policies, _ := json.Marshal(w.policies)
	t.Errorf("the readings differ\npolicies %s\nsign-in %s\nthe lab: %s\nthe library: %s\noptions %+v", policies, line, here, there, w.options)
	return verdict
}

// shrink drops policies, their members and facts that the difference does not
// need.
func (w *world) shrink(t *testing.T, line *[]byte) {
	differs := func(policies []map[string]any, line []byte) bool {
		smaller := *w
		smaller.policies = policies
		smaller.compile()
		_, here, there := smaller.answers(t, line)
		return here != there
	}
	for i := len(w.policies) - 1; i >= 0; i-- {
		if fewer := slices.Delete(slices.Clone(w.policies), i, i+1); differs(fewer, *line) {
			w.policies = fewer
		}
	}
	needed := []string{"id", "conditions", "users", "applications", "state", "grantControls", "sessionControls"} // which make it a policy
	for i := range w.policies {
		conditions := w.policies[i]["conditions"].(map[string]any)
		for _, from := range []map[string]any{w.policies[i], conditions} {
			for _, name := range slices.Sorted(maps.Keys(from)) {
				kept := from[name]
				if delete(from, name); slices.Contains(needed, name) || !differs(w.policies, *line) {
					from[name] = kept
				}
			}
		}
	}
	var facts map[string]any
	if err := json.Unmarshal(*line, &facts); err != nil {
		t.Fatal(err)
	}
	for _, name := range slices.Sorted(maps.Keys(facts)) {
		kept := facts[name]
		delete(facts, name)
		if fewer, _ := json.Marshal(facts); differs(w.policies, fewer) {
			*line = fewer
		} else {
			facts[name] = kept
		}
	}
	w.compile()
}

func (w *world) answers(t *testing.T, line []byte) (verdict, lab, library string) {
	t.Helper()
	var mine conditional.SignIn
	if err := json.Unmarshal(line, &mine); err != nil {
		t.Fatalf("reading %s: %v", line, err)
	}
	var theirs conditionalaccess.SignIn
	if err := theirs.UnmarshalJSON(line); err != nil {
		t.Fatalf("reading %s: %v", line, err)
	}
	d := conditional.Evaluate(w.objects, &mine, w.lab)
	r := &w.result
	w.compiled.Evaluate(&theirs, r)
	var here, there strings.Builder
	fmt.Fprintf(&here, "%s code %d, outstanding %q, lacking something %t", d.Verdict, d.ErrorCode, d.Outstanding, len(d.Missing) > 0)
	fmt.Fprintf(&there, "%s code %d, outstanding %q, lacking something %t", r.Verdict, r.ErrorCode, r.Outstanding, len(r.Missing) > 0)
	for i, p := range d.Policies {
		applies := "does_not_apply"
		if p.Applies == conditional.Applies && !slices.Contains(states, p.State) {
			p.Applies = conditional.NotKnown // here that is told apart from whether it is enforced
		}
		switch {
		case strings.EqualFold(p.State, "disabled"):
			applies = p.Applies // the library does not look at what is disabled
		case slices.Contains(r.Applied, i), slices.Contains(r.ReportOnly, i):
			applies = "applies"
		case slices.Contains(r.Undecided, i):
			applies = "unknown"
		}
		fmt.Fprintf(&here, "\n  %s %s", p.ID, p.Applies)
		fmt.Fprintf(&there, "\n  %s %s", p.ID, applies)
	}
	w.details(&here, &there, d, &theirs)
	return string(d.Verdict), here.String(), there.String()
}

// details compares what both say besides: the first unmet condition, what is
// missing of the sign-in, and the sign-in frequency.
func (w *world) details(here, there *strings.Builder, d *conditional.Decision, signIn *conditionalaccess.SignIn) {
	r := &w.result
	var mine, theirs []string
	for _, m := range d.Missing {
		mine = append(mine, word(m))
	}
	theirs = slices.Clone(r.Missing)
	common := slices.ContainsFunc(theirs, func(m string) bool { return slices.Contains(mine, m) })
	if len(mine)+len(theirs) > 0 && !common {
		fmt.Fprintf(here, "\n  missing %q", mine)
		fmt.Fprintf(there, "\n  missing %q", theirs)
	}
	frequency := time.Duration(0)
	for _, c := range w.compiled.SessionControls(r) {
		var f struct{ Value int }
		if err := json.Unmarshal([]byte(c.Value), &f); err != nil {
			panic(err)
		}
		if length := time.Duration(f.Value) * time.Hour; frequency == 0 || length < frequency {
			frequency = length
		}
	}
	fmt.Fprintf(here, "\n  frequency %v", d.Session.SignInFrequency)
	fmt.Fprintf(there, "\n  frequency %v", frequency)
	for i, trace := range w.compiled.Trace(signIn, r) {
		if p := d.Policies[i]; p.Applies == conditional.DoesNotApply && trace.Result == "does_not_apply" && slices.Contains(states[:2], p.State) {
			reason := trace.FirstUnmet
			if reason == "servicePrincipalRisk" {
				reason = "signInRisk" // What If has no reason of its own for it
			}
			fmt.Fprintf(here, "\n  %s for %s", p.ID, p.Reason)
			fmt.Fprintf(there, "\n  %s for %s", p.ID, reason)
		}
	}
}

// word is the library's name for what the lab says is missing.
func word(missing string) string {
	for _, w := range [][2]string{
		{"namedLocation ", "namedLocations"}, {"MFA trusted IPs", "mfaTrustedIPs"}, {"app group of ", "appGroups"},
		{"authenticationStrength ", "authenticationStrength"}, {"policy member grant control", "grantControls"},
		{"policy member state", "state"}, {"policy member ", "conditions"},
	} {
		if strings.HasPrefix(missing, w[0]) {
			return w[1]
		}
	}
	return missing
}

type random struct{ *rand.Rand }

func (r *random) chance(percent int) bool { return r.IntN(100) < percent }

func (r *random) one(from ...string) string { return from[r.IntN(len(from))] }

// some draws up to n different values.
func (r *random) some(n int, from ...string) []any {
	from = slices.Clone(from)
	r.Shuffle(len(from), func(i, j int) { from[i], from[j] = from[j], from[i] })
	out := []any{}
	for _, v := range from[:1+r.IntN(min(n, len(from)))] {
		out = append(out, v)
	}
	return out
}

const (
	exchange   = "00000002-0000-0ff1-ce00-000000000000"
	sharePoint = "00000003-0000-0ff1-ce00-000000000000"
	graphApp   = "00000003-0000-0000-c000-000000000000"
	aadApp     = "00000002-0000-0000-c000-000000000000"
	armApp     = "797f4846-ba00-4fd7-ba43-dac1f8f63013"
	portalApp  = "c44b4083-3bb0-49c1-b47d-974e53cbdf3c"
	powerApps  = "475226c6-020e-4fb2-8a90-7a972cbfc1d4"
)

var (
	states   = []string{"enabled", "enabledForReportingButNotEnforced", "disabled"}
	users    = []string{"a0000000-0000-0000-0000-000000000001", "a0000000-0000-0000-0000-000000000002", "a0000000-0000-0000-0000-000000000003"}
	groups   = []string{"b0000000-0000-0000-0000-000000000001", "b0000000-0000-0000-0000-000000000002", "b0000000-0000-0000-0000-000000000003", "b0000000-0000-0000-0000-000000000004"}
	roles    = []string{"62e90394-69f5-4237-9190-012177145e10", "f28a1f50-f6e7-4571-818b-6a12f2af6b6c"}
	apps     = []string{exchange, sharePoint, graphApp, aadApp, armApp, portalApp, powerApps, "d0000000-0000-0000-0000-000000000001"}
	tenants  = []string{"e0000000-0000-0000-0000-000000000001", "e0000000-0000-0000-0000-000000000002"}
	agents   = []string{"f0000000-0000-0000-0000-000000000001", "f0000000-0000-0000-0000-000000000002"}
	terms    = []string{"90000000-0000-0000-0000-000000000001", "90000000-0000-0000-0000-000000000002"}
	guests   = []string{"internalGuest", "b2bCollaborationGuest", "b2bCollaborationMember", "b2bDirectConnectUser", "otherExternalUser", "serviceProvider"}
	risks    = []string{"low", "medium", "high", "none"}
	systems  = []string{"android", "iOS", "windows", "macOS", "linux"}
	clients  = []string{"browser", "mobileAppsAndDesktopClients", "exchangeActiveSync", "other"}
	places   = []string{"70000000-0000-0000-0000-000000000001", "70000000-0000-0000-0000-000000000002", "70000000-0000-0000-0000-000000000003", "70000000-0000-0000-0000-000000000004", "70000000-0000-0000-0000-000000000005", "70000000-0000-0000-0000-00000000000f", "AllTrusted", "00000000-0000-0000-0000-000000000000"}
	contexts = []string{"c1", "c2"}
	combos   = []string{"password", "password,sms", "password, microsoftAuthenticatorPush", "fido2", "windowsHelloForBusiness", "x509CertificateMultiFactor", "x509CertificateSingleFactor", "federatedMultiFactor", "temporaryAccessPassOneTime", "microsoftAuthenticatorPush,password"}
	actions  = []string{"urn:user:registersecurityinfo", "urn:user:registerdevice"}
)

// locations exist in every world but the sixth and the MFA trusted addresses,
// which a world may know.
var locations = []map[string]any{
	{"@odata.type": "#microsoft.graph.ipNamedLocation", "id": places[0], "displayName": "Office", "isTrusted": true, "ipRanges": []any{
		map[string]any{"@odata.type": "#microsoft.graph.iPv4CidrRange", "cidrAddress": "198.51.100.0/25"},
		map[string]any{"@odata.type": "#microsoft.graph.iPv6CidrRange", "cidrAddress": "2001:db8:1::/48"}}},
	{"@odata.type": "#microsoft.graph.ipNamedLocation", "id": places[1], "displayName": "Branch", "isTrusted": false, "ipRanges": []any{
		map[string]any{"@odata.type": "#microsoft.graph.iPv4CidrRange", "cidrAddress": "198.51.100.64/26"},
		map[string]any{"@odata.type": "#microsoft.graph.iPv4CidrRange", "cidrAddress": "203.0.113.5/32"}}},
	{"@odata.type": "#microsoft.graph.countryNamedLocation", "id": places[2], "displayName": "Home and nowhere", "countriesAndRegions": []any{"DE", "CH"}, "includeUnknownCountriesAndRegions": true},
	{"@odata.type": "#microsoft.graph.countryNamedLocation", "id": places[3], "displayName": "Overseas", "countriesAndRegions": []any{"US"}, "includeUnknownCountriesAndRegions": false},
	{"@odata.type": "#microsoft.graph.compliantNetworkNamedLocation", "id": places[4], "displayName": "Compliant network", "isTrusted": true},
}

var strength = map[string]any{"id": "80000000-0000-0000-0000-000000000001", "displayName": "Push or key", "allowedCombinations": []any{"password,microsoftAuthenticatorPush", "fido2"}}

// world draws up to eight policies and what is around them.
func (r *random) world() *world {
	w := &world{}
	n := 1 + r.IntN(8)
	for i := range n {
		if i > 0 && r.chance(30) {
			w.policies = append(w.policies, r.turned(w.policies[i-1], i))
		} else {
			w.policies = append(w.policies, r.policy(i))
		}
	}
	w.lab = &conditional.World{Suites: conditional.Suites, Parents: map[string][]string{}}
	options := conditionalaccess.Options{Directory: &conditionalaccess.Directory{}}
	for i, g := range groups { // one inside the other, and sometimes in a circle
		group := conditionalaccess.DirectoryGroup{ID: g}
		if i > 0 && r.chance(60) {
			group.Members = append(group.Members, groups[i-1])
			w.lab.Parents[groups[i-1]] = append(w.lab.Parents[groups[i-1]], g)
		}
		if i == 0 && r.chance(30) {
			group.Members = append(group.Members, groups[3])
			w.lab.Parents[groups[3]] = append(w.lab.Parents[groups[3]], g)
		}
		options.Directory.Groups = append(options.Directory.Groups, group)
	}
	if r.chance(50) {
		trusted := []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}
		w.lab.TrustedIPs, options.MFATrustedIPs = conditional.Of(trusted), trusted
	}
	if r.chance(30) {
		trust := conditional.Trust{MFA: r.chance(50), CompliantDevice: r.chance(50), HybridJoined: r.chance(50)}
		w.lab.Trust = map[string]conditional.Trust{"": trust}
		options.InboundTrust = conditionalaccess.InboundTrust{MFA: trust.MFA, CompliantDevice: trust.CompliantDevice, HybridJoinedDevice: trust.HybridJoined}
	}
	if options.ServiceDependencies = r.chance(25); options.ServiceDependencies {
		w.lab.Dependencies, w.lab.Behind = conditional.EarlyBound, map[string]string{"mail": exchange, "files": sharePoint}
	}
	if w.custom = r.chance(20); w.custom {
		w.lab.CustomRoles = map[string]bool{roles[1]: true}
	}
	w.lab.OldBaselineScopes = r.chance(30)
	w.lab.AllSparesRegistration = r.chance(30)
	w.lab.ReportOnlyAsEnabled = r.chance(20)
	options.OldBaselineScopes, options.RegistrationApart, options.ReportOnlyAsEnabled = w.lab.OldBaselineScopes, w.lab.AllSparesRegistration, w.lab.ReportOnlyAsEnabled
	w.options = options
	for _, l := range locations {
		w.lab.Locations = append(w.lab.Locations, object(l))
	}
	w.lab.Strengths = []*directory.Object{object(strength)}
	w.compile()
	return w
}

func object(m map[string]any) *directory.Object {
	id, _ := m["id"].(string)
	return &directory.Object{ID: id, Members: m}
}

// compile hands the policies to both.
func (w *world) compile() {
	w.objects = nil
	for _, p := range w.policies {
		w.objects = append(w.objects, object(p))
	}
	document := func(name string, value any) conditionalaccess.Document {
		data, err := json.Marshal(map[string]any{"value": value})
		if err != nil {
			panic(err)
		}
		return conditionalaccess.Document{Name: name, Data: data}
	}
	set := conditionalaccess.Read(document("policies.json", w.policies), document("locations.json", locations), document("strengths.json", []any{strength}))
	if w.custom {
		set.CustomRoles = []string{strings.ToUpper(roles[1])}
	}
	if len(set.Faults) > 0 || len(set.Policies) != len(w.policies) || len(set.Locations) != len(locations) || len(set.Strengths) != 1 {
		panic(fmt.Sprintf("the library read %d policies, %d locations, %d strengths: %v", len(set.Policies), len(set.Locations), len(set.Strengths), set.Faults))
	}
	w.compiled = conditionalaccess.Compile(set, w.options)
}

func (r *random) policy(i int) map[string]any {
	conditions := map[string]any{"clientAppTypes": []any{"all"}}
	p := map[string]any{
		"id": fmt.Sprintf("c0000000-0000-0000-0000-%012d", i+1), "displayName": fmt.Sprintf("CA%03d", i+1), "conditions": conditions,
		"state": r.one("enabled", "enabled", "enabled", "enabled", "enabledForReportingButNotEnforced", "disabled"),
	}
	switch r.IntN(50) {
	case 0:
		delete(p, "state")
	case 1:
		p["state"] = "hibernating"
	case 2:
		p["state"] = nil
	}
	workload := r.chance(8)
	conditions["applications"] = r.applications()
	if workload {
		conditions["users"] = map[string]any{"includeUsers": []any{"None"}}
		conditions["clientApplications"] = r.workloads()
		if r.chance(30) {
			conditions["servicePrincipalRiskLevels"] = r.some(2, "low", "medium", "high")
		}
	} else {
		conditions["users"] = r.users()
		if r.chance(30) {
			conditions["clientAppTypes"] = r.some(3, append([]string{"easSupported"}, clients...)...)
		}
		if r.chance(20) {
			conditions["userRiskLevels"] = r.some(2, risks...)
		}
		if r.chance(20) {
			conditions["signInRiskLevels"] = r.some(2, risks...)
		}
		if r.chance(10) {
			conditions["insiderRiskLevels"] = r.flags(r.some(2, "minor", "moderate", "elevated"))
		}
	}
	if r.chance(35) {
		conditions["locations"] = r.choice("Locations", append([]string{"All", "All"}, places...), places)
	}
	if r.chance(25) {
		conditions["platforms"] = r.choice("Platforms", append([]string{"all", "all"}, systems...), systems)
	}
	if r.chance(20) {
		conditions["devices"] = map[string]any{"deviceFilter": map[string]any{"mode": r.one("include", "exclude"), "rule": r.rule(0)}}
	}
	if r.chance(15) {
		conditions["authenticationFlows"] = map[string]any{"transferMethods": r.flags(r.some(2, "deviceCodeFlow", "authenticationTransfer"))}
	}
	if r.chance(3) {
		conditions["phaseOfTheMoon"] = map[string]any{"includeMoons": []any{"full"}}
	}
	p["grantControls"] = r.grant(workload)
	if r.chance(20) || p["grantControls"] == nil {
		p["sessionControls"] = map[string]any{"signInFrequency": map[string]any{"isEnabled": true, "type": "hours", "value": float64(1 + r.IntN(24)), "frequencyInterval": "timeBased"}}
	}
	return p
}

// turned draws a policy that asks for the same facts as another the other way
// round, so that the two together may decide what each leaves open.
func (r *random) turned(from map[string]any, i int) map[string]any {
	data, err := json.Marshal(from)
	if err != nil {
		panic(err)
	}
	var p map[string]any
	if err := json.Unmarshal(data, &p); err != nil {
		panic(err)
	}
	p["id"], p["displayName"] = fmt.Sprintf("c0000000-0000-0000-0000-%012d", i+1), fmt.Sprintf("CA%03d", i+1)
	conditions := p["conditions"].(map[string]any)
	swap := func(name, kind, all string) {
		block, _ := conditions[name].(map[string]any)
		if in := block["include"+kind]; in != nil && !slices.Contains(texts(in.([]any)), all) {
			block["include"+kind], block["exclude"+kind] = []any{all}, in
		}
	}
	for _, turn := range []func(){
		func() { swap("platforms", "Platforms", "all") },
		func() { swap("locations", "Locations", "All") },
		func() { swap("applications", "Applications", "All") },
		func() { swap("users", "Users", "All") },
		func() {
			users := conditions["users"].(map[string]any)
			if groups := users["includeGroups"]; groups != nil {
				delete(users, "includeGroups")
				users["includeUsers"], users["excludeGroups"] = []any{"All"}, groups
			}
		},
		func() {
			users := conditions["users"].(map[string]any)
			if roles := users["includeRoles"]; roles != nil {
				delete(users, "includeRoles")
				users["includeUsers"], users["excludeRoles"] = []any{"All"}, roles
			}
		},
		func() {
			if devices, _ := conditions["devices"].(map[string]any); devices != nil {
				filter := devices["deviceFilter"].(map[string]any)
				filter["mode"] = map[any]any{"include": "exclude", "exclude": "include"}[filter["mode"]]
			}
		},
		func() {
			for _, risk := range []string{"signInRiskLevels", "userRiskLevels"} {
				if levels, _ := conditions[risk].([]any); levels != nil {
					conditions[risk] = slices.DeleteFunc([]any{"none", "low", "medium", "high", "hidden"}, func(l any) bool { return slices.Contains(levels, l) })
				}
			}
		},
	} {
		if r.chance(60) {
			turn()
		}
	}
	if r.chance(50) {
		p["grantControls"] = r.grant(conditions["clientApplications"] != nil)
		if p["grantControls"] == nil {
			delete(p, "grantControls")
		}
	}
	return p
}

func texts(list []any) []string {
	out := make([]string, len(list))
	for i, v := range list {
		out[i] = v.(string)
	}
	return out
}

// choice draws a block with an including and an excluding list.
func (r *random) choice(kind string, in, out []string) map[string]any {
	block := map[string]any{"include" + kind: r.some(3, in...)}
	if r.chance(50) {
		block["exclude"+kind] = r.some(3, out...)
	}
	return block
}

// flags writes an enumeration of flags as Graph does, or as a list.
func (r *random) flags(values []any) any {
	if r.chance(20) {
		return values
	}
	return strings.Join(texts(values), r.one(",", ", "))
}

// otherCase changes the case of an id: it never matters.
func (r *random) otherCase(id string) string {
	if r.chance(15) {
		return strings.ToUpper(id)
	}
	return id
}

func (r *random) users() map[string]any {
	u := map[string]any{}
	if r.chance(65) {
		u["includeUsers"] = []any{"All"}
	} else if r.chance(50) {
		u["includeUsers"] = r.some(2, append([]string{"GuestsOrExternalUsers", "None"}, users...)...)
	}
	set := func(percent int, name string, values []string) {
		if r.chance(percent) {
			u[name] = r.some(2, values...)
		}
	}
	set(15, "excludeUsers", append([]string{"GuestsOrExternalUsers"}, users...))
	set(25, "includeGroups", groups)
	set(25, "excludeGroups", groups)
	set(20, "includeRoles", roles)
	set(10, "excludeRoles", roles)
	for _, name := range []string{"includeGuestsOrExternalUsers", "excludeGuestsOrExternalUsers"} {
		if !r.chance(12) {
			continue
		}
		block := map[string]any{"guestOrExternalUserTypes": r.flags(r.some(3, guests...))}
		switch r.IntN(3) {
		case 0:
			block["externalTenants"] = map[string]any{"@odata.type": "#microsoft.graph.conditionalAccessAllExternalTenants", "membershipKind": "all"}
		case 1:
			block["externalTenants"] = map[string]any{"@odata.type": "#microsoft.graph.conditionalAccessEnumeratedExternalTenants", "membershipKind": "enumerated", "members": r.some(1, tenants...)}
		}
		u[name] = block
	}
	if len(u) == 0 {
		u["includeUsers"] = []any{"All"}
	}
	return u
}

func (r *random) applications() map[string]any {
	switch n := r.IntN(20); {
	case n == 0:
		return map[string]any{"includeUserActions": r.some(1, actions...)}
	case n == 1:
		return map[string]any{"includeAuthenticationContextClassReferences": r.some(2, contexts...)}
	case n < 12:
		a := map[string]any{"includeApplications": []any{"All"}}
		if r.chance(30) {
			a["excludeApplications"] = r.some(2, append([]string{"Office365", "MicrosoftAdminPortals"}, apps...)...)
		}
		return a
	default:
		a := map[string]any{"includeApplications": r.some(3, append([]string{"Office365", "MicrosoftAdminPortals", "None"}, apps...)...)}
		if r.chance(20) {
			a["excludeApplications"] = r.some(2, append([]string{"Office365"}, apps...)...)
		}
		return a
	}
}

func (r *random) workloads() map[string]any {
	c := map[string]any{"includeServicePrincipals": r.some(2, append([]string{"ServicePrincipalsInMyTenant", "ServicePrincipalsInMyTenant"}, agents...)...)}
	if r.chance(30) {
		c["excludeServicePrincipals"] = r.some(1, agents...)
	}
	return c
}

func (r *random) rule(depth int) string {
	if depth < 3 && r.chance(35) {
		switch r.IntN(3) {
		case 0:
			return "-not (" + r.rule(depth+1) + ")"
		case 1:
			return "(" + r.rule(depth+1) + " -and " + r.rule(depth+1) + ")"
		default:
			return r.rule(depth+1) + " -or " + r.rule(depth+1)
		}
	}
	not := r.one("", "not")
	switch r.IntN(8) {
	case 6:
		return "device.displayName -" + not + r.one("endsWith", "startsWith", "contains") + ` "` + r.one("PC", "lab", "C-l") + `"`
	case 7:
		return "device.physicalIds -" + r.one("contains", "notContains") + ` "` + r.one("[OrderId]:1", "x") + `"`
	case 0:
		return "device.isCompliant -" + r.one("eq", "ne") + " " + r.one("True", "False")
	case 1:
		return "device.trustType -" + r.one("eq", "ne") + ` "` + r.one("AzureAD", "ServerAD", "Workplace") + `"`
	case 2:
		return "device.deviceOwnership -" + r.one("eq", "ne") + ` "` + r.one("Personal", "Company") + `"`
	case 3:
		return "device.extensionAttribute1 -" + r.one(not+"startsWith", "eq", "ne", not+"Contains") + ` "` + r.one("SAW", "PA") + `"`
	case 4:
		return "device.model -" + r.one("in", "notIn") + ` ["` + r.one("Alpha", "Beta") + `", "Gamma"]`
	default:
		return "device.systemLabels -" + r.one("contains", "notContains") + ` "` + r.one("AzureResource", "MultiUser") + `"`
	}
}

func (r *random) grant(workload bool) any {
	if workload || r.chance(20) {
		return map[string]any{"operator": "OR", "builtInControls": []any{"block"}}
	}
	if r.chance(10) {
		return nil
	}
	g := map[string]any{"operator": r.one("AND", "OR")}
	if r.chance(75) {
		g["builtInControls"] = r.some(3, "mfa", "mfa", "compliantDevice", "domainJoinedDevice", "approvedApplication", "compliantApplication", "passwordChange")
	}
	if r.chance(20) {
		g["authenticationStrength"] = map[string]any{"id": r.one("00000000-0000-0000-0000-000000000002", "00000000-0000-0000-0000-000000000003", "00000000-0000-0000-0000-000000000004", strength["id"].(string), "80000000-0000-0000-0000-00000000000f")}
	}
	if r.chance(15) {
		g["termsOfUse"] = r.some(2, terms...)
	}
	if r.chance(8) {
		g["customAuthenticationFactors"] = []any{"factor-1"}
	}
	if r.chance(3) {
		g["builtInControls"] = []any{"bloodSample"}
	}
	if len(g) == 1 {
		g["builtInControls"] = []any{"mfa"}
	}
	return g
}

// signIn draws a sign-in as the command line reads it; each fact may be missing,
// most of the time few are.
func (r *random) signIn() []byte {
	absent := r.IntN(3) * r.IntN(12)
	s := map[string]any{"id": "1"}
	set := func(name string, value any) {
		if !r.chance(absent) {
			s[name] = value
		}
	}
	orNull := func(percent int, value any) any {
		if r.chance(percent) {
			return nil
		}
		return value
	}
	if r.chance(12) {
		r.principal(set)
	} else {
		r.person(set)
	}
	if r.chance(10) { // null says that there is none, of these two
		s["userAction"], s["authenticationContext"] = nil, nil
	}
	switch r.IntN(12) {
	case 0:
		set("userAction", r.one(append([]string{"urn:user:another"}, actions...)...))
	case 1:
		set("authenticationContext", r.otherCase(r.one("c1", "c2", "c3")))
	default:
		set("resource", r.otherCase(r.one(apps...)))
		if r.chance(50) {
			s["scopes"] = r.some(3, "openid", "profile", "User.Read", "User.Read.All", "offline_access")
		} else {
			set("scopes", r.some(3, "openid", "Mail.Read", "Files.Read", "User.Read"))
		}
	}
	set("clientAppType", r.one(append([]string{"browser", "mobileAppsAndDesktopClients"}, clients...)...))
	set("ipAddress", r.one("198.51.100.9", "198.51.100.70", "203.0.113.5", "203.0.113.6", "192.0.2.44", "2001:db8:1::7", "2001:db8:2::7", "10.1.2.3", "::ffff:198.51.100.9", "::ffff:10.1.2.3", "fe80::1"))
	set("country", orNull(15, r.one("DE", "CH", "us", "FR")))
	set("platform", orNull(20, r.one(append([]string{"windowsPhone", "ChromeOS", "IOS"}, systems...)...)))
	if r.chance(50) {
		set("compliantNetwork", r.chance(50))
	}
	set("device", orNull(40, r.device(absent)))
	for _, name := range []string{"signInRisk", "userRisk"} {
		set(name, orNull(30, r.one(append([]string{"hidden"}, risks...)...)))
	}
	set("insiderRisk", orNull(50, r.one("minor", "moderate", "elevated")))
	set("authenticationFlow", orNull(75, r.one("deviceCodeFlow", "authenticationTransfer")))
	if r.chance(50) {
		set("originalTransferMethod", orNull(75, r.one("deviceCodeFlow", "authenticationTransfer")))
	}
	data, err := json.Marshal(s)
	if err != nil {
		panic(err)
	}
	return data
}

func (r *random) person(set func(string, any)) {
	set("principalType", "user")
	set("userId", r.otherCase(r.one(users...)))
	if r.chance(4) {
		set("userType", "Guest") // and no type that says which
		set("guestOrExternalUserType", nil)
		set("externalTenantId", map[bool]any{true: tenants[0]}[r.chance(50)])
	} else if r.chance(75) {
		set("userType", "Member")
		set("guestOrExternalUserType", nil)
		set("externalTenantId", nil)
	} else {
		kind := r.one(guests...)
		if kind != "b2bDirectConnectUser" && kind != "serviceProvider" {
			set("userType", map[bool]string{true: "Member", false: "Guest"}[kind == "b2bCollaborationMember"])
		}
		set("guestOrExternalUserType", kind)
		if kind == "internalGuest" {
			set("externalTenantId", nil)
		} else {
			set("externalTenantId", r.one(tenants...))
		}
	}
	set("groups", r.list(groups...))
	set("roles", r.list(roles...))
	set("satisfied", r.satisfied())
	if r.chance(60) {
		set("authMethodCombination", r.one(combos...))
	}
	if r.chance(40) {
		set("methodsRegistered", r.list("microsoftAuthenticatorPush", "mobilePhone", "fido2", "email"))
	}
}

// list draws a list; null is no more than absent.
func (r *random) list(from ...string) any {
	if r.chance(2) {
		return nil
	}
	return r.listOrNone(from...)
}

func (r *random) satisfied() []any {
	out := []any{"password"}
	for _, v := range []string{"compliantDevice", "domainJoinedDevice", "windowsHelloForBusiness", "customAuthenticationFactor"} {
		if r.chance(4) {
			out = append(out, v)
		}
	}
	for _, v := range append([]string{"mfa", "termsOfUse", "approvedApplication", "compliantApplication", "passwordChange", "factor-1"}, terms...) {
		if r.chance(20) {
			out = append(out, v)
		}
	}
	return out
}

func (r *random) listOrNone(from ...string) []any {
	if r.chance(40) {
		return []any{}
	}
	return r.some(2, from...)
}

func (r *random) principal(set func(string, any)) {
	set("principalType", "servicePrincipal")
	set("servicePrincipalId", r.otherCase(r.one(agents...)))
	set("externalTenantId", map[bool]any{true: tenants[0], false: nil}[r.chance(25)])
	set("servicePrincipalRisk", r.one(risks...))
	set("satisfied", []any{"clientSecret"})
}

func (r *random) device(absent int) map[string]any {
	d := map[string]any{}
	set := func(name string, value any) {
		if !r.chance(absent) {
			d[name] = value
		}
	}
	set("isCompliant", r.chance(50))
	set("isManaged", r.chance(50))
	set("trustType", r.one("AzureAD", "ServerAD", "Workplace"))
	set("deviceOwnership", r.one("Personal", "Company"))
	set("model", r.one("Alpha", "BETA", "Gamma"))
	set("displayName", r.one("PC-lab-1", "pc-2", "my lab"))
	set("physicalIds", r.listOrNone("[OrderId]:1", "X"))
	if r.chance(10) {
		d[r.one("isCompliant", "trustType", "model", "extensionAttribute1", "displayName")] = nil
	}
	set("extensionAttribute1", r.one("SAW", "PAW-1"))
	set("systemLabels", r.listOrNone("AzureResource", "MultiUser"))
	return d
}
