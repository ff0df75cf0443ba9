package server_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"sync"
	"testing"
	"time"

	"gatehouse/client"
	"gatehouse/internal/sqldb"
	"gatehouse/internal/sqldb/dbtest"
	"gatehouse/lab"
)

// acknowledged is what the server said was done.
type acknowledged struct {
	mu        sync.Mutex
	tenants   []client.Tenant
	apps      []string // connections with the right secret
	accounts  []string // connections whose password is wrong
	runs      []string
	batches   []string
	tries     map[string]int // passwords that the lab saw, by user name
	rotations int
	left      int    // how many more until the server is killed
	kill      func() // kills it
}

// note adds to one of the lists.
func note[T any](a *acknowledged, list *[]T, v T) {
	a.mu.Lock()
	defer a.mu.Unlock()
	*list = append(*list, v)
	// Counted by what was done, so that a slow machine does as much; what the
	// other workers have asked for meanwhile is at any point.
	if a.left--; a.left == 0 {
		a.kill()
	}
}

// some is an element of one of the lists, if there is any.
func some[T any](a *acknowledged, list *[]T) (v T, ok bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(*list) == 0 {
		return v, false
	}
	return (*list)[rand.IntN(len(*list))], true
}

// load makes tenants, connections and validations, tries wrong passwords again,
// and begins to change the keys, until the server is gone.
func (a *acknowledged) load(ctx context.Context, c *client.Client, l *lab.Lab) {
	steps := []func(context.Context, *client.Client, *lab.Lab) error{a.addTenant, a.addApp, a.addAccount, a.addAccount, a.validateAgain, a.validateAgain, a.sweep, a.tag, a.rotate}
	for ctx.Err() == nil {
		var p *client.Problem
		err := steps[rand.IntN(len(steps))](ctx, c, l)
		if err != nil && !errors.As(err, &p) { // no answer came at all
			return
		}
	}
}

func (a *acknowledged) addTenant(ctx context.Context, c *client.Client, l *lab.Lab) error {
	all := l.Ready().Tenants
	domain := all[rand.IntN(len(all))].Domain
	t, err := c.AddTenant(ctx, client.TenantRequest{Tenant: domain, Name: domain})
	if err == nil {
		note(a, &a.tenants, t)
	}
	return err
}

func (a *acknowledged) add(ctx context.Context, c *client.Client, list *[]string, r client.ConnectionRequest) error {
	added, err := c.AddConnection(ctx, r)
	if err != nil {
		return err
	}
	note(a, list, added.ID)
	return a.validate(ctx, c, added.ID)
}

func (a *acknowledged) validate(ctx context.Context, c *client.Client, id string) error {
	v, err := c.StartValidation(ctx, id)
	if err == nil {
		note(a, &a.runs, v.ID)
	}
	return err
}

// addApp adds an app of the lab with its secret.
func (a *acknowledged) addApp(ctx context.Context, c *client.Client, l *lab.Lab) error {
	t, ok := some(a, &a.tenants)
	if !ok {
		return nil
	}
	for _, app := range l.Tenant(t.Domain).Apps {
		if app.Secret != nil {
			return a.add(ctx, c, &a.apps, client.ConnectionRequest{
				TenantID: t.ID, Kind: "app", Profile: client.Profile{Name: fmt.Sprint("app ", rand.Int64()), ClientID: app.ClientID, Services: []string{"graph"}},
				Credential: client.CredentialRequest{Secret: *app.Secret},
			})
		}
	}
	return nil
}

// addAccount adds an account that nobody has, so that its password is refused.
func (a *acknowledged) addAccount(ctx context.Context, c *client.Client, _ *lab.Lab) error {
	t, ok := some(a, &a.tenants)
	if !ok {
		return nil
	}
	name := fmt.Sprintf("svc-%d", rand.Int64())
	return a.add(ctx, c, &a.accounts, client.ConnectionRequest{
		TenantID: t.ID, Kind: "service_account", Profile: client.Profile{Name: name, Username: name + "@" + t.Domain, Services: []string{"graph"}},
		Credential: client.CredentialRequest{Password: "wrong " + name},
	})
}

// validateAgain asks for what must not be done: to try a password again of which
// nobody knows that it is right.
func (a *acknowledged) validateAgain(ctx context.Context, c *client.Client, _ *lab.Lab) error {
	id, ok := some(a, &a.accounts)
	if !ok {
		return nil
	}
	return a.validate(ctx, c, id)
}

// sweep validates all connections, tag gives all of them a tag of its own.
func (a *acknowledged) sweep(ctx context.Context, c *client.Client, _ *lab.Lab) error {
	return a.batch(ctx, c, client.BatchRequest{Action: "validate", Filter: &client.ConnectionSearch{}})
}

func (a *acknowledged) tag(ctx context.Context, c *client.Client, _ *lab.Lab) error {
	return a.batch(ctx, c, client.BatchRequest{Action: "add_tag", Value: fmt.Sprintf("t%d", rand.IntN(20)), Filter: &client.ConnectionSearch{}})
}

func (a *acknowledged) batch(ctx context.Context, c *client.Client, r client.BatchRequest) error {
	begun, err := c.StartBatch(ctx, r)
	if err == nil {
		note(a, &a.batches, begun.ID)
	}
	return err
}

func (a *acknowledged) rotate(ctx context.Context, c *client.Client, _ *lab.Lab) error {
	_, err := c.RotateKeys(ctx)
	if err == nil {
		a.mu.Lock()
		defer a.mu.Unlock()
		a.rotations++
	}
	return err
}

// count reads from the lab's own journal, which is bounded, how often each
// password was sent.
func (a *acknowledged) count(l *lab.Lab) {
	now := map[string]int{}
	for _, e := range l.Journal() {
		if e.GrantType == "password" {
			now[e.Username]++
		}
	}
	for username, n := range now {
		a.tries[username] = max(a.tries[username], n)
	}
}

// Whenever the server is killed under load: each acknowledged change is there
// and its secret opens, each acknowledged validation comes to an end, no password
// of which nobody knows that it is right was sent twice, no job is lost, and the
// audit log verifies.
func TestKilled(t *testing.T) {
	rounds := 10 // on each database
	if os.Getenv("GATEHOUSE_SOAK") == "1" {
		rounds = 100
	}
	dbtest.EachAddress(t, func(t *testing.T, address string) {
		l := lab.Start(t)
		// Answers take a while, so that kills come between a password and its answer.
		if _, err := l.AddFault(lab.Fault{Kind: "latency", Service: "login", Grant: "password", Delay: "150ms"}); err != nil {
			t.Fatal(err)
		}
		k := newKilled(t, address, l)
		token := k.setUp(k.start())
		a := &acknowledged{tries: map[string]int{}}
		for range rounds {
			var wg sync.WaitGroup
			a.left, a.kill = 1+rand.IntN(20), func() { _ = k.process.Process.Kill() } // the kill itself
			for range 3 {
				c := k.client(token)
				wg.Go(func() { a.load(t.Context(), c, l) })
			}
			wg.Wait()
			_ = k.process.Wait() // killed
			a.count(l)
			k.start()
		}
		k.check(k.client(token), a)
		k.kill()
		a.count(l)
		sent := 0
		for username, n := range a.tries {
			if sent++; n > 1 {
				t.Errorf("the password of %s was sent %d times", username, n)
			}
		}
		nothingLost(t, address)
		t.Logf("%d batches, %d tenants, %d apps, %d accounts, %d validations acknowledged; %d passwords sent, %d key rotations begun", len(a.batches), len(a.tenants), len(a.apps), len(a.accounts), len(a.runs), sent, a.rotations)
		if len(a.runs) < rounds || len(a.accounts) == 0 || len(a.apps) == 0 || sent == 0 || a.rotations == 0 {
			t.Error("there was hardly any load")
		}
	})
}

func (k *killed) check(c *client.Client, a *acknowledged) {
	k.t.Helper()
	ctx, cancel := context.WithTimeout(k.t.Context(), 3*time.Minute)
	defer cancel()
	for _, t := range a.tenants {
		if _, err := c.Tenant(ctx, t.ID); err != nil {
			k.t.Errorf("the tenant %s was acknowledged: %v", t.ID, err)
		}
	}
	for _, id := range slices.Concat(a.apps, a.accounts) {
		if _, err := c.Connection(ctx, id); err != nil {
			k.t.Errorf("the connection %s was acknowledged: %v", id, err)
		}
	}
	for _, id := range a.runs {
		k.ended(ctx, c, id)
	}
	k.swept(ctx, c, a.batches)
	k.idle(ctx, c)
	// The secrets open, whichever key sealed them.
	for _, id := range a.apps[:min(len(a.apps), 20)] {
		v, err := c.StartValidation(ctx, id)
		if err != nil {
			k.t.Errorf("validating %s: %v", id, err)
		} else if v = k.ended(ctx, c, v.ID); v.State != "done" || len(v.Probes) == 0 {
			k.t.Errorf("the validation of %s: %s %s", id, v.State, v.Reason)
		}
	}
	if _, err := c.VerifyAudit(ctx); err != nil {
		k.t.Errorf("the audit log: %v", err)
	}
}

// ended waits for the end of an acknowledged validation.
func (k *killed) ended(ctx context.Context, c *client.Client, id string) client.Validation {
	k.t.Helper()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		v, err := c.Validation(ctx, id)
		if err != nil || v.Ended() {
			if err != nil {
				k.t.Errorf("the validation %s was acknowledged: %v", id, err)
			}
			return v
		}
		<-tick.C
	}
}

// swept waits for the end of all batches, acknowledged or not: each was gone on
// with after each kill, and each of its connections has an outcome.
func (k *killed) swept(ctx context.Context, c *client.Client, acknowledged []string) {
	k.t.Helper()
	for p := (client.Page{Limit: 100}); ; {
		all, next, err := c.Batches(ctx, p)
		if err != nil {
			k.t.Fatal(err)
		}
		for _, b := range all {
			acknowledged = slices.DeleteFunc(acknowledged, func(id string) bool { return id == b.ID })
			if b, err = c.AwaitBatch(ctx, b.ID, func(client.Batch) {}); err != nil || b.State != "done" || b.Done != b.Total || b.Outcomes["error"] > 0 {
				k.t.Errorf("the batch %q: %s, %d of %d, %v, %v", b.Words, b.State, b.Done, b.Total, b.Outcomes, err)
			}
		}
		if p.After = next; next == "" {
			break
		}
	}
	if len(acknowledged) > 0 {
		k.t.Errorf("%d batches were acknowledged and are not there", len(acknowledged))
	}
}

// idle waits until no validation is left that was begun and not acknowledged.
func (k *killed) idle(ctx context.Context, c *client.Client) {
	k.t.Helper()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for open := true; open; <-tick.C {
		open = false
		for _, state := range []string{"scheduled", "retrying", "waiting", "running"} {
			jobs, _, err := c.Jobs(ctx, client.JobFilter{Kind: "validation", State: state}, client.Page{})
			if err != nil {
				k.t.Fatalf("jobs that are %s: %v", state, err)
			}
			open = open || len(jobs) > 0
		}
	}
}

// nothingLost looks into the database: no change without its entry in the log,
// no validation without its job, and no job of one that goes on without it.
func nothingLost(t *testing.T, address string) {
	t.Helper()
	db, err := sqldb.Open(t.Context(), address)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for what, query := range map[string]string{
		"connections without an entry in the audit log": "SELECT count(*) FROM connections c WHERE NOT EXISTS (SELECT 1 FROM audit a WHERE a.object_id = c.id AND a.outcome = 'done')",
		"validations without a job":                     "SELECT count(*) FROM validations v WHERE NOT EXISTS (SELECT 1 FROM river_job j WHERE j.id = v.job_id)",
		"jobs without a validation":                     "SELECT count(*) FROM river_job j WHERE j.kind = 'validation' AND NOT EXISTS (SELECT 1 FROM validations v WHERE v.job_id = j.id)",
		"jobs that failed":                              "SELECT count(*) FROM river_job j JOIN validations v ON v.job_id = j.id WHERE v.state IN ('done', 'unknown') AND j.state IN ('discarded', 'cancelled')",
		"validations that have not ended":               "SELECT count(*) FROM validations WHERE state NOT IN ('done', 'unknown')",
		"tags given twice":                              "SELECT count(*) FROM (SELECT object_id, count(*) AS n FROM audit WHERE action = 'connection.tagged' AND outcome = 'done' GROUP BY object_id) AS a WHERE a.n > (SELECT count(*) FROM batch_items i JOIN batches b ON b.id = i.batch_id WHERE b.kind = 'add_tag' AND i.object_id = a.object_id)",
		"tries without an end of a run that has one":    "SELECT count(*) FROM validation_attempts p JOIN validations v ON v.id = p.validation_id WHERE v.state = 'done' AND p.result = ''",
	} {
		var n int
		if err := db.Read().NewRaw(query).Scan(t.Context(), &n); err != nil || n != 0 {
			t.Errorf("%d %s: %v", n, what, err)
		}
	}
}
