package validation_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"gatehouse/internal/audit"
	"gatehouse/internal/connection"
	"gatehouse/internal/diagnosis"
	"gatehouse/internal/jobs"
	"gatehouse/internal/live"
	"gatehouse/internal/microsoft"
	"gatehouse/internal/microsoft/login"
	"gatehouse/internal/posture"
	"gatehouse/internal/secrets"
	"gatehouse/internal/sqldb"
	"gatehouse/internal/sqldb/dbtest"
	"gatehouse/internal/tenant"
	"gatehouse/internal/validation"
	"gatehouse/lab"
)

func TestMain(m *testing.M) {
	os.Exit(dbtest.Main(m, map[string]func(){"validator": validatorProcess, "sovereign": sovereignProcess}))
}

// A validation with a reader names the rule, shows its progress while it runs,
// and is in the history afterwards; the connection carries the verdict.
func TestRun(t *testing.T) {
	each(t, func(t *testing.T, h *house, l *lab.Lab) {
		at := h.add(l, "profilepark")
		if on := h.onboard(l, "profilepark", at.ID); on.Reader.State != tenant.ReaderWorks {
			t.Fatalf("reader %+v", on.Reader)
		}
		user := l.Tenant("profilepark").User("svc-avepoint")
		c := h.account(at.ID, user.UPN, *user.Password)
		ctx, end := context.WithCancel(t.Context())
		defer end()
		events, err := h.live.Subscribe(ctx, live.Filter{Tenants: []string{at.ID}, Topics: []string{validation.Topic(c.ID)}}, "")
		if err != nil {
			t.Fatal(err)
		}
		go h.live.Run(ctx)
		run := h.validate(c.ID)
		if run.State != validation.Done || run.Result.Verdict != validation.Blocked || run.Result.Rule == nil || run.Result.Rule.Kind != diagnosis.PerUserMFA || run.RequestedBy != "Ada Person" {
			t.Fatalf("run %+v, result %+v", run, run.Result)
		}
		if run.Outcome == nil || len(run.Outcome.Stops()) == 0 || run.Outcome.Stops()[0].Rule.Kind != diagnosis.PerUserMFA {
			t.Errorf("rules that see the account: %+v", run.Outcome)
		}
		if got, err := h.connections.Get(h.boss(), c.ID); err != nil || got.Verdict != "blocked" || got.Rule == nil || got.Sentence == "" || got.ValidatedAt == nil || got.Parked {
			t.Errorf("connection %+v, %v", got, err)
		}
		if all, _, err := h.runs.List(h.boss(), c.ID, connection.Page{}); err != nil || len(all) != 1 || all[0].Result == nil {
			t.Errorf("history %+v, %v", all, err)
		}
		if rules, err := h.runs.Rules(h.boss(), c.ID); err != nil || rules == nil {
			t.Errorf("rules %v, %v", rules, err)
		}
		states, probes := map[string]bool{}, map[string]bool{}
		for !states[validation.Done] {
			select {
			case e := <-events:
				var p validation.Progress
				if err := json.Unmarshal(e.Data, &p); err != nil || p.Run != run.ID {
					t.Fatalf("event %s, %v", e.Data, err)
				}
				states[p.State] = true
				if p.Probe != nil {
					probes[p.Probe.Name] = true
				}
			case <-time.After(20 * time.Second):
				t.Fatalf("events so far: %v %v", states, probes)
			}
		}
		if !states[validation.Queued] || !states[validation.Running] || len(probes) != len(run.Result.Probes) {
			t.Errorf("live: states %v, probes %v of %d", states, probes, len(run.Result.Probes))
		}
	})
}

// A wrong password is sent once, whoever clicks how often on however many
// replicas; then the connection is parked until there is another password.
func TestWrongPasswordOnce(t *testing.T) {
	each(t, func(t *testing.T, h *house, l *lab.Lab) {
		at := h.add(l, "brokenbay")
		user := l.Tenant("brokenbay").User("svc-ok")
		c := h.account(at.ID, user.UPN, "surely-not-this-one-17")
		other := h
		if h.db.Postgres() {
			other = opened(t, parts{db: h.db, cloud: cloudOf(l), keyFile: h.keyFile})
		}
		var clicks sync.WaitGroup
		for i := range 20 {
			clicks.Go(func() {
				on := h
				if i%2 == 1 {
					on = other
				}
				var parked *connection.ParkedError
				if _, err := on.runs.Start(on.boss(), c.ID); err != nil && !errors.As(err, &parked) && err.Error() != "the connection is being validated already" {
					t.Error(err)
				}
			})
		}
		clicks.Wait()
		runs, _, err := h.runs.List(h.boss(), c.ID, connection.Page{})
		if err != nil || len(runs) == 0 {
			t.Fatalf("%d runs, %v", len(runs), err)
		}
		for _, run := range runs {
			h.await(run.ID)
		}
		if n := passwords(l, user.UPN); n != 1 {
			t.Errorf("the wrong password was sent %d times", n)
		}
		got, err := h.connections.Get(h.boss(), c.ID)
		if err != nil || !got.Parked || got.Verdict == "" {
			t.Fatalf("connection %+v, %v", got, err)
		}
		var parked *connection.ParkedError
		if _, err := h.runs.Start(h.boss(), c.ID); !errors.As(err, &parked) {
			t.Errorf("validating a parked connection: %v", err)
		}
		if !h.db.Postgres() { // jobs, events, runs and the audit log among the rest
			for _, suffix := range []string{"", "-wal"} {
				data, err := os.ReadFile(h.db.Address() + suffix)
				if err != nil || bytes.Contains(data, []byte("surely-not-this-one")) {
					t.Errorf("the password shows in the database file%s (%v)", suffix, err)
				}
			}
		}
		if _, err := h.connections.SetCredential(h.boss(), c.ID, connection.CredentialRequest{Password: secrets.New(*user.Password)}); err != nil {
			t.Fatal(err)
		}
		if run := h.validate(c.ID); run.Result == nil || run.Result.Verdict == validation.Failed || passwords(l, user.UPN) != 2 {
			t.Errorf("with the right password: %+v, sent %d times", run.Result, passwords(l, user.UPN))
		}
	})
}

// What a child process is told.
type childArgs struct {
	Address, KeyFile, Cloud, Run string
}

// validatorProcess is a replica that works on what is queued until it is killed.
func validatorProcess() {
	fail := func(err error) {
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
	var args childArgs
	fail(json.Unmarshal([]byte(os.Getenv("GATEHOUSE_TEST_CHILD")), &args))
	ctx := context.Background()
	db, err := sqldb.Open(ctx, args.Address)
	fail(err)
	cloud, err := microsoft.FindCloud("lab", args.Cloud)
	fail(err)
	h, err := build(ctx, parts{db: db, cloud: cloud, keyFile: args.KeyFile, ttl: time.Second})
	fail(err)
	go func() { fail(h.replica.Run(ctx)) }()
	fail(h.queue.Start(ctx))
	actor := as(ctx, "Ada Person", audit.AllTenants, audit.Administrator)
	run, err := h.runs.Start(actor, args.Run)
	fail(err)
	fmt.Println("run " + run.ID)
	select {} // until it is killed
}

// A replica that is killed between the intent and the answer leaves a run of
// which nothing is known. Nobody sends the password again by themselves.
func TestKilledWhileTrying(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		if err := jobs.Migrate(t.Context(), db); err != nil {
			t.Fatal(err)
		}
		l := lab.Start(t)
		folder := t.TempDir()
		keyFile, ready := filepath.Join(folder, "master.key"), filepath.Join(folder, "lab.json")
		if err := l.WriteReady(ready); err != nil {
			t.Fatal(err)
		}
		user := l.Tenant("brokenbay").User("svc-ok")
		// A house that is not at work prepares everything.
		desk, err := build(t.Context(), parts{db: db, cloud: cloudOf(l), keyFile: keyFile, ttl: time.Second})
		if err != nil {
			t.Fatal(err)
		}
		desk.t = t
		c := desk.account(desk.add(l, "brokenbay").ID, user.UPN, *user.Password)
		// The answer never comes.
		if _, err := l.AddFault(lab.Fault{Kind: "latency", Service: "login", Grant: "password", Delay: "60s", Times: 1}); err != nil {
			t.Fatal(err)
		}
		args, err := json.Marshal(childArgs{db.Address(), keyFile, ready, c.ID})
		if err != nil {
			t.Fatal(err)
		}
		child := dbtest.Start(t, "validator", "GATEHOUSE_TEST_CHILD="+string(args))
		id := child.Await(t, "run ")
		desk.eventually("no intent was written down", func() bool {
			var n int
			if err := db.Read().NewRaw("SELECT count(*) FROM validation_attempts WHERE validation_id = ?", id).Scan(t.Context(), &n); err != nil {
				t.Fatal(err)
			}
			return n == 1
		})
		if err := child.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		_ = child.Wait() // killed
		h := open(t, db, l, keyFile)
		run := h.await(id)
		if run.State != validation.Lost || run.Result != nil || run.Reason == "" {
			t.Fatalf("run %+v", run)
		}
		got, err := h.connections.Get(h.boss(), c.ID)
		if err != nil || !got.Parked {
			t.Errorf("connection %+v, %v", got, err)
		}
		var parked *connection.ParkedError
		if _, err := h.runs.Start(h.boss(), c.ID); !errors.As(err, &parked) {
			t.Errorf("validating again: %v", err)
		}
		if n := passwords(l, user.UPN); n > 1 {
			t.Errorf("the password was sent %d times", n)
		}
		// A person decides.
		if err := h.connections.Unpark(h.boss(), c.ID); err != nil {
			t.Fatal(err)
		}
		l.ClearFaults()
		if run := h.validate(c.ID); run.State != validation.Done || run.Result.Verdict != validation.Works && run.Result.Verdict != validation.WorksWithWarnings {
			t.Errorf("after a person decided: %+v", run)
		}
	})
}

// Without reader and snapshot the rule stays unknown; an uploaded snapshot names
// it.
func TestUploadedSnapshot(t *testing.T) {
	each(t, func(t *testing.T, h *house, l *lab.Lab) {
		at := h.add(l, "defaultshield")
		user := l.Tenant("defaultshield").User("svc-connection")
		c := h.account(at.ID, user.UPN, *user.Password)
		if run := h.validate(c.ID); run.Result.Rule != nil || run.Outcome != nil || at.Without() == "" {
			t.Fatalf("without reader: %+v", run.Result)
		}
		reader := l.Tenant("defaultshield").App("Gatehouse reader")
		s := snapshotOf(t, l, "defaultshield", reader, user.UPN)
		data, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		if err := h.tenants.UploadSnapshot(h.boss(), at.ID, data); err != nil {
			t.Fatal(err)
		}
		run := h.validate(c.ID)
		if run.Result.Rule == nil || run.Result.Rule.Kind != diagnosis.SecurityDefaults || run.Outcome == nil {
			t.Errorf("with a snapshot: %+v", run.Result)
		}
		if got, err := h.tenants.Get(h.boss(), at.ID); err != nil || got.SnapshotSource != tenant.FromUpload || got.Without() != "" {
			t.Errorf("tenant %+v, %v", got, err)
		}
		s.TenantID = l.Tenant("openharbour").ID
		data, _ = json.Marshal(s)
		var fault *tenant.FieldError
		if err := h.tenants.UploadSnapshot(h.boss(), at.ID, data); !errors.As(err, &fault) || fault.Field != "snapshot" {
			t.Errorf("another tenant's snapshot: %v", err)
		}
	})
}

// An app whose certificate is made here works once it is uploaded; its key is
// nowhere to be had. One whose credential the consumer alone has is judged by
// the rules.
func TestApps(t *testing.T) {
	each(t, func(t *testing.T, h *house, l *lab.Lab) {
		at := h.add(l, "openharbour")
		h.onboard(l, "openharbour", at.ID)
		app := l.Tenant("openharbour").App("Backup app")
		create := func(name string, p connection.Profile, in connection.CredentialRequest) connection.Connection {
			t.Helper()
			p.Name, p.ClientID = name, app.ClientID
			c, err := h.connections.Create(h.boss(), connection.CreateRequest{TenantID: at.ID, Kind: connection.App, Profile: p, Credential: in})
			if err != nil {
				t.Fatal(err)
			}
			return c
		}
		made := create("made here", connection.Profile{}, connection.CredentialRequest{Generate: true})
		certificate, err := h.connections.Certificate(h.boss(), made.ID)
		if err != nil || made.Thumbprint == "" || made.CredentialNotAfter == nil {
			t.Fatalf("%+v, %v", made, err)
		}
		if run := h.validate(made.ID); run.Result.Verdict != validation.Failed {
			t.Errorf("before the upload: %+v", run.Result)
		}
		upload(t, l, "openharbour", app.ClientID, certificate)
		if run := h.validate(made.ID); run.Result.Verdict != validation.Works && run.Result.Verdict != validation.WorksWithWarnings {
			t.Errorf("after the upload: %+v", run.Result.Diagnosis)
		}
		secret := create("secret", connection.Profile{}, connection.CredentialRequest{Secret: secrets.New(*app.Secret)})
		if run := h.validate(secret.ID); run.Result.Verdict != validation.Works {
			t.Errorf("with a secret: %+v", run.Result)
		}
		data, err := os.ReadFile(*app.CertificateFile)
		if err != nil {
			t.Fatal(err)
		}
		own := create("uploaded", connection.Profile{}, connection.CredentialRequest{CertificatePEM: secrets.New(string(data))})
		if run := h.validate(own.ID); run.Result.Verdict != validation.Works {
			t.Errorf("with a certificate of its own: %+v", run.Result)
		}
		before := len(l.Journal())
		elsewhere := create("elsewhere", connection.Profile{Consumer: connection.Consumer{Name: "Tool", HoldsCredential: connection.HeldByConsumer}}, connection.CredentialRequest{Kind: connection.Federated})
		run := h.validate(elsewhere.ID)
		if run.Result.Verdict != validation.Unknown || run.Outcome == nil {
			t.Errorf("credential elsewhere: %+v, rules %v", run.Result, run.Outcome)
		}
		for _, e := range l.Journal()[before:] {
			if e.GrantType == "client_credentials" && e.ClientID == app.ClientID {
				t.Errorf("a sign-in was tried: %+v", e)
			}
		}
	})
}

// What a validation may not be started for.
func TestStartRefused(t *testing.T) {
	each(t, func(t *testing.T, h *house, l *lab.Lab) {
		at := h.add(l, "openharbour")
		c := h.account(at.ID, l.Tenant("openharbour").User("svc-backup").UPN, "x")
		var refused *audit.Refused
		if _, err := h.runs.Start(as(t.Context(), "Eve", at.ID, audit.Viewer), c.ID); !errors.As(err, &refused) {
			t.Errorf("a viewer: %v", err)
		}
		if _, err := h.runs.Start(as(t.Context(), "Eve", "other", audit.Administrator), c.ID); !errors.As(err, &refused) || !refused.Hidden {
			t.Errorf("an operator of another tenant: %v", err)
		}
		if _, err := h.runs.Start(h.boss(), "nothing"); !errors.Is(err, connection.ErrMissing) {
			t.Errorf("no connection: %v", err)
		}
		if err := h.tenants.Pause(h.boss(), at.ID, true); err != nil {
			t.Fatal(err)
		}
		if _, err := h.runs.Start(h.boss(), c.ID); !errors.Is(err, tenant.ErrPaused) {
			t.Errorf("a paused tenant: %v", err)
		}
		if _, err := h.runs.Get(h.boss(), "nothing"); !errors.Is(err, validation.ErrMissing) {
			t.Errorf("no run: %v", err)
		}
		if len(passwordsOfAll(l)) != 0 {
			t.Errorf("something was sent: %v", passwordsOfAll(l))
		}
	})
}

func passwordsOfAll(l *lab.Lab) (out []lab.Exchange) {
	for _, e := range l.Journal() {
		if e.GrantType == "password" {
			out = append(out, e)
		}
	}
	return out
}

// snapshotOf takes a snapshot as the command line does.
func snapshotOf(t *testing.T, l *lab.Lab, name string, reader lab.ReadyApp, account string) *posture.Snapshot {
	t.Helper()
	token, err := login.New(login.Config{Cloud: cloudOf(l)}).Secret(t.Context(), l.Tenant(name).ID, reader.ClientID, secrets.New(*reader.Secret), []string{"https://graph.microsoft.com/.default"})
	if err != nil {
		t.Fatal(err)
	}
	return snapshot(t, cloudOf(l), token.Access, account)
}
