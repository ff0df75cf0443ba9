package server_test

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"gatehouse/client"
	"gatehouse/internal/sqldb/dbtest"
	"gatehouse/internal/testenv"
	"gatehouse/lab"
)

// fleet is a server with many tenants, a reader and service accounts in each.
type fleet struct {
	*testenv.Env
	each    int
	tenants []string // ids
}

// The accounts of a tenant: most get in; some are stopped by a policy, some have a
// wrong password here, and some are no longer in the directory.
func kindOf(i int) string {
	switch {
	case i%10 == 7:
		return "blocked"
	case i%10 == 8:
		return "wrong"
	case i%50 == 19:
		return "gone"
	}
	return "fine"
}

var readerPermissions = []string{
	"Policy.Read.All", "AuditLog.Read.All", "UserAuthenticationMethod.Read.All", "User.Read.All", "GroupMember.Read.All", "RoleManagement.Read.Directory", "Application.Read.All", "Organization.Read.All",
}

func fleetDomain(n int) string { return fmt.Sprintf("fleet%03d.onmicrosoft.com", n) }

// fleetFile is a tenants file of the lab.
func fleetFile(t testing.TB, tenants, each int) string {
	t.Helper()
	var all []any
	for n := range tenants {
		domain := fleetDomain(n)
		var users []any
		var stopped []string
		for i := range each {
			upn := fmt.Sprintf("svc-%03d@%s", i, domain)
			switch kindOf(i) {
			case "gone":
				continue
			case "blocked":
				stopped = append(stopped, upn)
			}
			users = append(users, map[string]any{"upn": upn, "name": fmt.Sprintf("Service %d", i), "password": "Correct-horse-7", "licences": []string{"SPE_E3"}})
		}
		permissions := map[string]any{"graph": readerPermissions}
		admin := map[string]any{"graph": []string{"Application.ReadWrite.All"}}
		all = append(all, map[string]any{
			"name": fmt.Sprintf("Fleet %03d", n), "domain": domain, "licences": []string{"SPE_E3"}, "users": users,
			"groups": []any{map[string]any{"name": "Stopped", "members": stopped}},
			"apps": []any{
				map[string]any{"name": "Gatehouse reader", "purpose": "reader", "certificate": true, "application_permissions": permissions, "granted": permissions},
				map[string]any{"name": "Lab administration", "purpose": "admin", "secret": true, "application_permissions": admin, "granted": admin},
			},
			"grants": []any{map[string]any{"app": "Microsoft Graph Command Line Tools", "resource": "graph", "scopes": []string{"openid", "profile", "email", "offline_access", "User.Read"}}},
			"conditional_access": []any{map[string]any{
				"displayName": "CA001 - Stopped - Require MFA", "state": "enabled",
				"conditions":    map[string]any{"users": map[string]any{"includeGroups": []string{"Stopped"}}, "applications": map[string]any{"includeApplications": []string{"All"}}, "clientAppTypes": []string{"all"}},
				"grantControls": map[string]any{"operator": "OR", "builtInControls": []string{"mfa"}},
			}},
		})
	}
	text, err := json.Marshal(map[string]any{"tenants": all})
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// newFleet adds the tenants, onboards their readers and stores the accounts. The
// lab keeps Microsoft's limits.
func newFleet(t testing.TB, tenants, each int, options ...testenv.Options) *fleet {
	t.Helper()
	o := testenv.Options{}
	if len(options) > 0 {
		o = options[0]
	}
	o.Lab = lab.Start(t, lab.WithTenants(fleetFile(t, tenants, each)), lab.WithConfig(func(c *lab.Config) {
		c.Journal = 1000 + tenants*each*40
		c.Settings.Throttle = true
	}))
	f := &fleet{Env: testenv.Start(t, o), each: each, tenants: make([]string, tenants)}
	ready := map[string]lab.ReadyTenant{}
	for _, at := range f.Lab.Ready().Tenants {
		ready[at.Domain] = at
	}
	// Nothing is validated but by the sweep.
	if _, err := f.SetServerSchedule(t.Context(), "off"); err != nil {
		t.Fatal(err)
	}
	next := make(chan int)
	var working sync.WaitGroup
	for range 4 {
		working.Go(func() {
			for n := range next {
				f.settle(t, n, ready[fleetDomain(n)])
			}
		})
	}
	for n := range tenants {
		next <- n
	}
	close(next)
	working.Wait()
	if t.Failed() {
		t.FailNow()
	}
	return f
}

func (f *fleet) settle(t testing.TB, n int, at lab.ReadyTenant) {
	ctx := t.Context()
	added, err := f.AddTenant(ctx, client.TenantRequest{Tenant: at.Domain, Name: fmt.Sprintf("Fleet %03d", n)})
	if err != nil {
		t.Error(err)
		return
	}
	f.tenants[n] = added.ID
	steps, err := f.OnboardReader(ctx, added.ID, client.ReaderRequest{ClientID: at.App("Gatehouse reader").ClientID})
	if err != nil {
		t.Error(err)
		return
	}
	uploadCertificate(t, f.Lab, at, steps.CertificatePEM)
	if checked, err := f.CheckReader(ctx, added.ID); err != nil || checked.Reader == nil || checked.Reader.State != "works" {
		t.Errorf("the reader of %s: %+v %v", at.Domain, checked.Reader, err)
		return
	}
	for i := range f.each {
		password := "Correct-horse-7"
		if kindOf(i) == "wrong" {
			password = "Wrong-horse-7"
		}
		_, err := f.AddConnection(ctx, client.ConnectionRequest{
			TenantID: added.ID, Kind: "service_account", Credential: client.CredentialRequest{Password: password},
			Profile: client.Profile{Name: fmt.Sprintf("Account %03d", i), Username: fmt.Sprintf("svc-%03d@%s", i, at.Domain), Services: []string{"graph"}},
		})
		if err != nil {
			t.Error(err)
			return
		}
	}
}

// counts are how many accounts of a kind there are in all tenants.
func (f *fleet) counts(kind string) int {
	n := 0
	for i := range f.each {
		if kindOf(i) == kind {
			n++
		}
	}
	return n * len(f.tenants)
}

// sweep validates everything and waits.
func (f *fleet) sweep(t testing.TB) client.Batch {
	t.Helper()
	b, err := f.StartBatch(t.Context(), client.BatchRequest{Action: client.ActionValidate, Filter: &client.ConnectionSearch{}})
	if err == nil {
		b, err = f.AwaitBatch(t.Context(), b.ID, nil)
	}
	if err != nil {
		t.Fatal(err)
	}
	return b
}

var ofPolicies = regexp.MustCompile(`^/(v1\.0|beta)/(identity/conditionalAccess|identityProtection)`)

// honest reads in the lab's journal what a sweep did since a moment: no limit of a
// tenant was broken, and each password was tried once.
func (f *fleet) honest(t testing.TB, since time.Time) {
	t.Helper()
	passwords, policies, reports, seen := map[string]int{}, map[string][]time.Time{}, map[string][]time.Time{}, map[string][]lab.Exchange{}
	calls := 0
	for _, e := range f.Lab.Journal() {
		if e.Time.Before(since) {
			continue
		}
		calls++
		if e.Status == 429 {
			t.Errorf("%s %s was throttled (%s)", e.Method, e.Path, e.ClientID)
		}
		if e.GrantType == "password" {
			passwords[e.Username]++
		}
		switch {
		case ofPolicies.MatchString(e.Path):
			policies[e.TenantID] = append(policies[e.TenantID], e.Time)
			seen[e.TenantID] = append(seen[e.TenantID], e)
		case strings.Contains(e.Path, "/reports/"), strings.Contains(e.Path, "/auditLogs/"):
			reports[e.TenantID] = append(reports[e.TenantID], e.Time)
		}
	}
	// What lies between sending and arriving differs by a few milliseconds: over a
	// row of calls that does not add up.
	for tenant, times := range policies {
		slices.SortFunc(times, time.Time.Compare)
		if took, least := times[len(times)-1].Sub(times[0]), time.Duration(len(times)-1)*time.Second; took < least {
			t.Errorf("Conditional Access of tenant %s was asked %d times in %s: once a second is allowed: %+v", tenant, len(times), took, seen[tenant])
		}
	}
	for tenant, times := range reports {
		slices.SortFunc(times, time.Time.Compare)
		for i := range times {
			if i >= 5 && times[i].Sub(times[i-5]) < 10*time.Second {
				t.Errorf("reports of tenant %s were asked six times in %s: five times in 10 s are allowed", tenant, times[i].Sub(times[i-5]))
				break
			}
		}
	}
	if len(policies) != len(f.tenants) || policies[""] != nil {
		t.Errorf("policies of %d tenants were read", len(policies))
	}
	for n := range f.tenants {
		for i := range f.each {
			if name := fmt.Sprintf("svc-%03d@%s", i, fleetDomain(n)); passwords[name] != 1 {
				t.Errorf("the password of %s was tried %d times", name, passwords[name])
			}
		}
	}
	t.Logf("%d connections of %d tenants took %d calls", len(f.tenants)*f.each, len(f.tenants), calls)
}

// swept holds the outcome of a sweep against what the accounts are like.
func (f *fleet) swept(t testing.TB, b client.Batch) {
	t.Helper()
	want := map[string]int{"works": f.counts("fine"), "blocked": f.counts("blocked"), "failed": f.counts("wrong") + f.counts("gone")}
	total := 0
	for outcome, n := range want {
		total += n
		if got := b.Outcomes[outcome] + map[bool]int{true: b.Outcomes["works_with_warnings"]}[outcome == "works"]; got != n {
			t.Errorf("%d are %s, not %d: %v", got, outcome, n, b.Outcomes)
		}
	}
	if b.Total != total || b.Done != total || b.State != "done" {
		t.Errorf("%+v", b)
	}
}

// A sweep asks each tenant no faster than Microsoft allows and tries each password
// once; a second one leaves those alone whose password was refused.
func TestSweep(t *testing.T) {
	t.Parallel()
	dbtest.EachAddress(t, func(t *testing.T, address string) {
		f := newFleet(t, 3, 20, testenv.Options{Database: address})
		since := f.Lab.Now()
		f.swept(t, f.sweep(t))
		f.honest(t, since)
		since = f.Lab.Now()
		again := f.sweep(t)
		if refused := f.counts("wrong") + f.counts("gone"); again.Outcomes["skipped"] != refused {
			t.Errorf("%v: %d passwords were refused before", again.Outcomes, refused)
		}
		for _, e := range f.Lab.Journal() {
			if e.Time.After(since) && e.GrantType == "password" && strings.HasPrefix(e.Username, "svc-008") {
				t.Errorf("the refused password of %s was tried again", e.Username)
			}
		}
	})
}

// BenchmarkSweep is a sweep of 10,000 connections in 200 tenants, server and lab on
// the same machine. The bar is two minutes on two cores, with every limit kept.
func BenchmarkSweep(b *testing.B) {
	const bar = 2 * time.Minute
	f := newFleet(b, 200, 50)
	b.ResetTimer() // once: its refused passwords are not tried a second time
	since, before := f.Lab.Now(), processorTime(b)
	done := f.sweep(b)
	b.ReportMetric((processorTime(b) - before).Seconds(), "cpu-s/sweep") // of server and lab together
	took := done.EndedAt.Sub(done.CreatedAt)
	b.ReportMetric(took.Seconds(), "s/sweep")
	b.ReportMetric(float64(done.Done)/took.Seconds(), "connections/s")
	if took > bar {
		b.Errorf("the sweep took %s, the bar is %s", took, bar)
	}
	f.swept(b, done)
	f.honest(b, since)
}
