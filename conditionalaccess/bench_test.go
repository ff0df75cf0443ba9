package conditionalaccess

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"testing"
)

// tenant makes policies and sign-ins like those of a large tenant: groups and
// roles, excluded break-glass groups, locations, risks, device filters.
type tenant struct {
	random *rand.Rand
	set    *Set
	groups []string
	apps   []string
	users  []string
}

func guid(n int) string { return fmt.Sprintf("%08x-1111-4222-8333-%012x", n*2654435761%(1<<32), n) }

func newTenant(policies int) *tenant {
	t := &tenant{random: rand.New(rand.NewPCG(1, uint64(policies))), set: &Set{}}
	for i := range 150 {
		t.groups = append(t.groups, guid(i))
	}
	for app := range suiteOf {
		t.apps = append(t.apps, app)
	}
	for i := range 100 {
		t.apps = append(t.apps, guid(1000+i))
	}
	for i := range 5000 {
		t.users = append(t.users, guid(10_000+i))
	}
	for i := range 20 {
		l := &NamedLocation{ID: guid(2000 + i), DisplayName: fmt.Sprint("Site ", i), Trusted: i < 8}
		if i >= 15 {
			l.Kind, l.Countries, l.Trusted = CountryLocation, []string{"NO", "SE", "DE", "FR"}[i%4:i%4+1], false
		}
		for j := range 20 {
			r, err := parseCIDR(fmt.Sprintf("%d.%d.%d.0/24", 11+i, j*7, i))
			if err != nil {
				panic(err)
			}
			l.Ranges = append(l.Ranges, r)
		}
		t.set.Locations = append(t.set.Locations, l)
	}
	for i := range policies {
		t.set.Policies = append(t.set.Policies, t.policy(i))
	}
	return t
}

func (t *tenant) some(list []string, n int) []string {
	var out []string
	for range n {
		out = append(out, list[t.random.IntN(len(list))])
	}
	return out
}

func (t *tenant) policy(i int) *Policy {
	r := t.random
	p := &Policy{ID: guid(50_000 + i), DisplayName: fmt.Sprint("Policy ", i), State: Enabled, File: "policies.json"}
	if i%10 == 0 {
		p.State = ReportOnly
	}
	c := &p.Conditions
	c.Users = &Users{Groups: Choice{Exclude: t.some(t.groups, 2)}}
	if i%3 == 0 {
		c.Users.Users.Include = []string{"All"}
	} else {
		c.Users.Groups.Include = t.some(t.groups, 1+r.IntN(3))
	}
	if i%7 == 0 {
		c.Users.Users.Exclude = append(t.some(t.users, 3), "GuestsOrExternalUsers")
	}
	c.Applications = &Applications{Choice: Choice{Include: []string{"All"}}}
	switch i % 4 {
	case 1:
		c.Applications.Include = t.some(t.apps, 5)
	case 2:
		c.Applications.Include = []string{"Office365"}
	case 3:
		c.Applications.Exclude = t.some(t.apps, 2)
	}
	if i%5 == 0 {
		c.Locations = &Choice{Include: []string{"All"}, Exclude: []string{"AllTrusted"}}
	}
	if i%9 == 0 {
		c.Locations = &Choice{Include: []string{guid(2000 + r.IntN(20)), guid(2000 + r.IntN(20))}}
	}
	if i%6 == 0 {
		c.Platforms = &Choice{Include: []string{"all"}, Exclude: []string{"iOS", "android"}}
	}
	if i%4 == 0 {
		c.ClientAppTypes = []string{"browser", "mobileAppsAndDesktopClients"}
	}
	if i%8 == 0 {
		c.SignInRiskLevels = []string{"medium", "high"}
	}
	if i%11 == 0 {
		rule := `device.isCompliant -eq True -or device.trustType -eq "ServerAD"`
		e, err := parseFilter(rule)
		if err != nil {
			panic(err)
		}
		c.DeviceFilter = &Filter{Exclude: true, Rule: rule, expression: e}
	}
	switch i % 5 {
	case 0:
		p.Grant = &GrantControls{BuiltIn: []string{"mfa"}}
	case 1:
		p.Grant = &GrantControls{BuiltIn: []string{"mfa", "compliantDevice", "domainJoinedDevice"}}
	case 2:
		p.Grant = &GrantControls{All: true, BuiltIn: []string{"mfa", "compliantDevice"}}
	case 3:
		p.Grant = &GrantControls{Strength: &AuthenticationStrength{ID: "00000000-0000-0000-0000-000000000002"}}
	case 4:
		p.Grant = &GrantControls{BuiltIn: []string{"block"}}
		c.SignInRiskLevels = []string{"high"}
	}
	return p
}

func (t *tenant) signIn(i int) *SignIn {
	r := t.random
	pick := func(list ...string) Member[string] { return Is(list[r.IntN(len(list))]) }
	si := &SignIn{
		ID: fmt.Sprint(i), PrincipalType: Is("user"), UserID: Is(t.users[r.IntN(len(t.users))]), UserType: Is("Member"),
		GuestOrExternalUserType: None[string](), ExternalTenantID: None[string](),
		Groups: Is(t.some(t.groups, 1+r.IntN(8))), Roles: Is([]string{}), Resource: Is(t.apps[r.IntN(len(t.apps))]),
		ClientAppType: pick("browser", "browser", "mobileAppsAndDesktopClients", "other"),
		IPAddress:     Is(netip.AddrFrom4([4]byte{byte(11 + r.IntN(40)), byte(r.IntN(140)), byte(r.IntN(40)), byte(r.IntN(256))})),
		Country:       pick("NO", "SE", "DE", "US"), Platform: pick("windows", "iOS", "macOS", "linux"),
		SignInRisk: pick("none", "none", "low", "medium", "high"), UserRisk: None[string](), InsiderRisk: None[string](),
		AuthenticationFlow: None[string](), Satisfied: Is([]string{"password", "mfa"}),
		AuthMethodCombination: pick("password,sms", "fido2", "password,microsoftAuthenticatorPush"),
	}
	if r.IntN(3) == 0 {
		si.Satisfied.Value = si.Satisfied.Value[:1]
		si.AuthMethodCombination = Is("password")
	}
	si.Device = None[Device]()
	if r.IntN(2) == 0 {
		si.Device = Is(Device{})
		si.Device.Value.Set(IsCompliant, []string{"True", "False"}[r.IntN(2)])
		si.Device.Value.Set(TrustType, []string{"AzureAD", "ServerAD"}[r.IntN(2)])
	}
	if r.IntN(20) == 0 { // some know less
		si.SignInRisk, si.Device = Member[string]{}, Member[Device]{}
	}
	return si
}

// BenchmarkEvaluate decides 16,000 different sign-ins with 200 policies, of
// which everything that the policies ask for is known, and with one in twenty
// that lacks its risk and device. An evaluation is one policy decided for one
// sign-in; the processor's time says more than the clock on a busy machine.
func BenchmarkEvaluate(b *testing.B) {
	for _, mix := range []struct {
		name  string
		known bool
	}{{"known", true}, {"mixed", false}} {
		b.Run(mix.name, func(b *testing.B) { benchmarkEvaluate(b, mix.known) })
	}
}

func benchmarkEvaluate(b *testing.B, known bool) {
	const policies = 200
	t := newTenant(policies)
	c := Compile(t.set, Options{})
	signIns := make([]*SignIn, 0, 16_000)
	for i := 0; len(signIns) < cap(signIns); i++ {
		if si := t.signIn(i); !known || si.SignInRisk.State != Absent {
			signIns = append(signIns, si)
		}
	}
	var r Result
	verdicts := map[Verdict]int{}
	for _, si := range signIns {
		c.Evaluate(si, &r)
		verdicts[r.Verdict]++
	}
	b.ReportAllocs()
	i := 0
	before := cpuTime(b)
	for b.Loop() {
		c.Evaluate(signIns[i], &r)
		if i++; i == len(signIns) {
			i = 0
		}
	}
	spent := cpuTime(b) - before
	b.ReportMetric(float64(spent.Nanoseconds())/float64(b.N), "cpu-ns/op")
	b.ReportMetric(policies*float64(b.N)/spent.Seconds(), "policies/cpu-s")
	b.Logf("verdicts: %v", verdicts)
}

func BenchmarkCompile(b *testing.B) {
	t := newTenant(1000)
	b.ReportAllocs()
	for b.Loop() {
		Compile(t.set, Options{})
	}
}

func BenchmarkReadSignIn(b *testing.B) {
	line := []byte(signInJSON(`{}`))
	var si SignIn
	b.SetBytes(int64(len(line)))
	b.ReportAllocs()
	for b.Loop() {
		if err := si.UnmarshalJSON(line); err != nil {
			b.Fatal(err)
		}
	}
}

// TestEvaluateAllocatesNothing holds the promise of [Compiled.Evaluate], also
// where something is missing.
func TestEvaluateAllocatesNothing(t *testing.T) {
	world := newTenant(200)
	c := Compile(world.set, Options{})
	var signIns []*SignIn
	for i := range 500 {
		signIns = append(signIns, world.signIn(i))
	}
	var r Result
	all := func() {
		for _, si := range signIns {
			c.Evaluate(si, &r)
		}
	}
	all()
	if n := testing.AllocsPerRun(5, all); n != 0 {
		t.Errorf("%v allocations for %d sign-ins", n, len(signIns))
	}
}
