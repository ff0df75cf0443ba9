package validation_test

import (
	"context"
	"encoding/base64"
	"encoding/pem"
	"log/slog"
	"net/http"
	"path/filepath"
	"testing"
	"time"

	"gatehouse/internal/audit"
	"gatehouse/internal/connection"
	"gatehouse/internal/jobs"
	"gatehouse/internal/lease"
	"gatehouse/internal/live"
	"gatehouse/internal/microsoft"
	"gatehouse/internal/pace"
	"gatehouse/internal/secrets"
	"gatehouse/internal/sqldb"
	"gatehouse/internal/sqldb/dbtest"
	"gatehouse/internal/tenant"
	"gatehouse/internal/validation"
	"gatehouse/lab"
)

// house is a replica with all features, its queue at work.
type house struct {
	t           testing.TB
	keyFile     string
	db          *sqldb.DB
	log         *audit.Log
	live        *live.Hub
	queue       *jobs.Queue
	replica     *lease.Replica
	tenants     *tenant.Service
	connections *connection.Service
	runs        *validation.Runs
}

type parts struct {
	db      *sqldb.DB
	cloud   microsoft.Cloud
	keyFile string
	ttl     time.Duration    // after which a silent replica counts as dead; the usual one if 0
	now     func() time.Time // of tenants and validations; time.Now if nil
	unpaced bool             // Microsoft's limits are not kept, to save waiting for them
	people  *people          // who signed in for delegated connections; nil: there are none
}

// build puts a replica together; it is not yet at work.
func build(ctx context.Context, p parts) (*house, error) {
	h := &house{db: p.db, keyFile: p.keyFile, log: audit.New(audit.Config{DB: p.db}), live: live.New(live.Config{DB: p.db}), replica: lease.New(lease.Config{DB: p.db, TTL: p.ttl})}
	keys, err := secrets.OpenKeyring(ctx, secrets.Config{DB: p.db, Wrapper: secrets.NewFileKey(p.keyFile), Audit: h.log, Columns: append(append([]secrets.Column{}, tenant.Columns...), connection.Columns...)})
	if err != nil {
		return nil, err
	}
	if err := h.replica.Join(ctx); err != nil {
		return nil, err
	}
	if h.queue, err = jobs.New(jobs.Config{DB: p.db, Replica: h.replica, Log: slog.New(slog.DiscardHandler)}); err != nil {
		return nil, err
	}
	governor := pace.New(pace.Config{DB: p.db})
	if p.unpaced {
		governor = nil
	}
	h.tenants = tenant.New(tenant.Config{DB: p.db, Audit: h.log, Keys: keys, Jobs: h.queue, Live: h.live, Pace: governor, Cloud: p.cloud, Now: p.now})
	of := connection.Config{DB: p.db, Audit: h.log, Keys: keys, Live: h.live, Tenants: h.tenants, Now: p.now}
	runs := validation.RunsConfig{DB: p.db, Audit: h.log, Tenants: h.tenants, Jobs: h.queue, Live: h.live, Pace: governor, Cloud: p.cloud, Now: p.now}
	if p.people != nil {
		p.people.cloud = p.cloud
		of.Registration, runs.Token, runs.Needs = p.people.registration, p.people.token, p.people.needs
	}
	h.connections = connection.New(of)
	runs.Connections = h.connections
	h.runs = validation.NewRuns(runs)
	return h, nil
}

// open builds a replica for a test and sets it to work.
func open(t testing.TB, db *sqldb.DB, l *lab.Lab, keyFile string) *house {
	t.Helper()
	return opened(t, parts{db: db, cloud: cloudOf(l), keyFile: keyFile, ttl: time.Second})
}

func opened(t testing.TB, p parts) *house {
	t.Helper()
	h, err := build(t.Context(), p)
	if err != nil {
		t.Fatal(err)
	}
	h.t = t
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- h.replica.Run(ctx) }()
	if err := h.queue.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		limited, end := context.WithTimeout(context.Background(), 10*time.Second)
		defer end()
		if err := h.queue.Stop(limited); err != nil {
			t.Error(err)
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return h
}

// each runs a test with a replica on each database and a lab of its own.
func each(t *testing.T, test func(t *testing.T, h *house, l *lab.Lab)) {
	t.Helper()
	eachWith(t, parts{}, test)
}

// eachWith is [each] with a replica made of given parts.
func eachWith(t *testing.T, p parts, test func(t *testing.T, h *house, l *lab.Lab), options ...lab.Option) {
	t.Helper()
	dbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		if err := jobs.Migrate(t.Context(), db); err != nil {
			t.Fatal(err)
		}
		l := lab.Start(t, options...)
		p.db, p.cloud, p.keyFile = db, cloudOf(l), filepath.Join(t.TempDir(), "master.key")
		test(t, opened(t, p), l)
	})
}

// as is the context of an operator with a role in a tenant, "" for all.
func as(ctx context.Context, name, tenantID string, role audit.Role) context.Context {
	return audit.With(ctx, audit.Actor{Kind: audit.Operator, ID: name, Name: name, Roles: map[string]audit.Role{tenantID: role}})
}

func (h *house) boss() context.Context {
	return as(h.t.Context(), "Ada Person", audit.AllTenants, audit.Administrator)
}

// add adds a tenant of the lab.
func (h *house) add(l *lab.Lab, name string) tenant.Tenant {
	h.t.Helper()
	at, err := h.tenants.Add(h.boss(), tenant.AddRequest{NameOrID: l.Tenant(name).Domain})
	if err != nil {
		h.t.Fatal(err)
	}
	return at
}

// onboard makes the tenant's reader, as its administrator would follow the steps.
func (h *house) onboard(l *lab.Lab, name, id string) tenant.Tenant {
	h.t.Helper()
	app := l.Tenant(name).App("Gatehouse reader")
	steps, err := h.tenants.OnboardReader(h.boss(), id, tenant.OnboardRequest{ClientID: app.ClientID})
	if err != nil {
		h.t.Fatal(err)
	}
	upload(h.t, l, name, app.ClientID, steps.CertificatePEM)
	at, err := h.tenants.CheckReader(h.boss(), id)
	if err != nil {
		h.t.Fatal(err)
	}
	return at
}

// upload adds a certificate to an app registration.
func upload(t testing.TB, l *lab.Lab, tenantName, clientID, certificate string) {
	t.Helper()
	block, _ := pem.Decode([]byte(certificate))
	if block == nil {
		t.Fatalf("no certificate: %q", certificate)
	}
	path := "/v1.0/applications(appId='" + clientID + "')"
	keys := []any{}
	for _, k := range graphAdmin(t, l, tenantName, http.MethodGet, path, nil)["keyCredentials"].([]any) {
		keys = append(keys, map[string]any{"keyId": k.(map[string]any)["keyId"]})
	}
	keys = append(keys, map[string]any{"type": "AsymmetricX509Cert", "usage": "Verify", "key": base64.StdEncoding.EncodeToString(block.Bytes)})
	graphAdmin(t, l, tenantName, http.MethodPatch, path, map[string]any{"keyCredentials": keys})
}

// account makes a connection of a service account.
func (h *house) account(tenantID, username, password string) connection.Connection {
	h.t.Helper()
	c, err := h.connections.Create(h.boss(), connection.CreateRequest{
		TenantID: tenantID, Kind: connection.ServiceAccount, Profile: connection.Profile{Name: username, Username: username},
		Credential: connection.CredentialRequest{Password: secrets.New(password)},
	})
	if err != nil {
		h.t.Fatal(err)
	}
	return c
}

// validate starts a run and waits until it has ended.
func (h *house) validate(connectionID string) validation.Run {
	h.t.Helper()
	run, err := h.runs.Start(h.boss(), connectionID)
	if err != nil {
		h.t.Fatal(err)
	}
	return h.await(run.ID)
}

func (h *house) await(id string) validation.Run {
	h.t.Helper()
	var run validation.Run
	h.eventually("the validation has not ended", func() (done bool) {
		var err error
		if run, err = h.runs.Get(h.boss(), id); err != nil {
			h.t.Fatal(err)
		}
		return run.State == validation.Done || run.State == validation.Lost
	})
	return run
}

// eventually waits for a condition.
func (h *house) eventually(what string, met func() bool) {
	h.t.Helper()
	tick, deadline := time.NewTicker(5*time.Millisecond), time.After(60*time.Second)
	defer tick.Stop()
	for !met() {
		select {
		case <-deadline:
			h.t.Fatal(what)
		case <-tick.C:
		}
	}
}

// passwords counts the password sign-ins of a user that reached the lab.
func passwords(l *lab.Lab, username string) int {
	n := 0
	for _, e := range l.Journal() {
		if e.GrantType == "password" && e.Username == username {
			n++
		}
	}
	return n
}
