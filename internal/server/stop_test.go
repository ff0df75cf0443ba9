package server_test

import (
	"testing"
	"time"

	"gatehouse/client"
	"gatehouse/internal/server"
	"gatehouse/internal/sqldb/dbtest"
	"gatehouse/internal/testenv"
	"gatehouse/lab"
)

// slowRun begins a validation of an app that has to wait for Microsoft, and
// waits until its job is at work.
func slowRun(t *testing.T, e *testenv.Env, delay string) client.Validation {
	t.Helper()
	ctx := t.Context()
	at := e.Lab.Tenant("openharbour")
	tenant, err := e.AddTenant(ctx, client.TenantRequest{Tenant: at.Domain, Name: "Open Harbour"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := e.Lab.AddFault(lab.Fault{Kind: "latency", Service: "login", Grant: "client_credentials", Delay: delay}); err != nil {
		t.Fatal(err)
	}
	app := at.App("Backup app")
	added, err := e.AddConnection(ctx, client.ConnectionRequest{TenantID: tenant.ID, Kind: "app", Profile: client.Profile{Name: "Backup", ClientID: app.ClientID, Services: []string{"graph"}}, Credential: client.CredentialRequest{Secret: *app.Secret}})
	if err != nil {
		t.Fatal(err)
	}
	run, err := e.StartValidation(ctx, added.ID)
	if err != nil {
		t.Fatal(err)
	}
	tick, deadline := time.NewTicker(10*time.Millisecond), time.After(time.Minute)
	defer tick.Stop()
	for run.State != "running" {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("the validation is %s", run.State)
		}
		if run, err = e.Validation(ctx, run.ID); err != nil {
			t.Fatal(err)
		}
	}
	return run
}

// A stop lets the job that is at work finish.
func TestStopWaitsForJobs(t *testing.T) {
	dbtest.EachAddress(t, func(t *testing.T, address string) {
		e := testenv.Start(t, testenv.Options{Database: address})
		run := slowRun(t, e, "1s")
		if err := e.Stop(); err != nil {
			t.Fatal(err)
		}
		var state string
		if err := dbtest.Open(t, address).Read().NewRaw("SELECT state FROM validations WHERE id = ?", run.ID).Scan(t.Context(), &state); err != nil || state != "done" {
			t.Errorf("the validation is %q: %v", state, err)
		}
	})
}

// A job that takes longer than a stop may is handed back, without this counting
// as an attempt, and done after the next start.
func TestStopHandsJobsBack(t *testing.T) {
	defer server.Patience(0, 0, 0, 0, 3*time.Second)()
	dbtest.EachAddress(t, func(t *testing.T, address string) {
		e := testenv.Start(t, testenv.Options{Database: address})
		run := slowRun(t, e, "60s")
		if err := e.Stop(); err != nil {
			t.Fatal(err)
		}
		var state string
		if err := dbtest.Open(t, address).Read().NewRaw("SELECT j.state FROM river_job AS j JOIN validations AS v ON v.job_id = j.id WHERE v.id = ?", run.ID).Scan(t.Context(), &state); err != nil || state != "available" {
			t.Errorf("the job is %q: %v", state, err)
		}
		e.Lab.ClearFaults()
		again := testenv.Bare(t, testenv.Options{Database: address, Dir: e.Dir, Lab: e.Lab})
		c := again.NewClient(client.WithToken(e.Token()))
		tick, deadline := time.NewTicker(20*time.Millisecond), time.After(time.Minute)
		defer tick.Stop()
		for !run.Ended() {
			select {
			case <-tick.C:
			case <-deadline:
				t.Fatalf("the validation is %s", run.State)
			}
			var err error
			if run, err = c.Validation(t.Context(), run.ID); err != nil {
				t.Fatal(err)
			}
		}
		if run.State != "done" {
			t.Errorf("the validation is %s: %s", run.State, run.Reason)
		}
		jobs, _, err := c.Jobs(t.Context(), client.JobFilter{Kind: "validation"}, client.Page{})
		if err != nil || len(jobs) != 1 || len(jobs[0].Failures) != 0 {
			t.Errorf("%+v %v", jobs, err)
		}
	})
}
