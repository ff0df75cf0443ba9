package incident_test

import (
	"context"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"gatehouse/internal/audit"
	"gatehouse/internal/connection"
	"gatehouse/internal/diagnosis"
	"gatehouse/internal/incident"
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

func TestMain(m *testing.M) {
	os.Exit(dbtest.Main(m, map[string]func(){"settler": settlerProcess}))
}

// house is a replica with all that incidents need.
type house struct {
	t           testing.TB
	keyFile     string
	db          *sqldb.DB
	log         *audit.Log
	queue       *jobs.Queue
	replica     *lease.Replica
	tenants     *tenant.Service
	connections *connection.Service
	runs        *validation.Runs
	incidents   *incident.Service

	mu     sync.Mutex
	now    time.Time // zero: the time that it is
	told   []incident.News
	spread []incident.News
}

func (h *house) time() time.Time {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.now.IsZero() {
		return time.Now()
	}
	return h.now
}

// later moves the clock, which stands still from then on.
func (h *house) later(d time.Duration) {
	now := h.time()
	h.mu.Lock()
	defer h.mu.Unlock()
	h.now = now.Add(d)
}

// news are what was told of a kind.
func (h *house) news(what incident.State) (out []incident.News) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, n := range h.told {
		if n.What == what {
			out = append(out, n)
		}
	}
	return out
}

// build puts a replica together; it is not yet at work.
func build(ctx context.Context, db *sqldb.DB, cloud microsoft.Cloud, keyFile string) (*house, error) {
	h := &house{db: db, keyFile: keyFile, log: audit.New(audit.Config{DB: db})}
	hub := live.New(live.Config{DB: db})
	keys, err := secrets.OpenKeyring(ctx, secrets.Config{DB: db, Wrapper: secrets.NewFileKey(keyFile), Audit: h.log, Columns: append(append([]secrets.Column{}, tenant.Columns...), connection.Columns...)})
	if err != nil {
		return nil, err
	}
	h.replica = lease.New(lease.Config{DB: db, TTL: time.Minute})
	if err := h.replica.Join(ctx); err != nil {
		return nil, err
	}
	if h.queue, err = jobs.New(jobs.Config{DB: db, Replica: h.replica, Log: slog.New(slog.DiscardHandler)}); err != nil {
		return nil, err
	}
	governor := pace.New(pace.Config{DB: db})
	h.tenants = tenant.New(tenant.Config{DB: db, Audit: h.log, Keys: keys, Jobs: h.queue, Live: hub, Pace: governor, Cloud: cloud})
	h.connections = connection.New(connection.Config{DB: db, Audit: h.log, Keys: keys, Live: hub, Tenants: h.tenants,
		Registration: func(context.Context, string, []string) (string, error) {
			return "11111111-2222-4333-8444-555555555555", nil
		}})
	h.runs = validation.NewRuns(validation.RunsConfig{DB: db, Audit: h.log, Connections: h.connections, Tenants: h.tenants, Jobs: h.queue, Live: hub, Pace: governor, Cloud: cloud})
	h.incidents = incident.New(incident.Config{DB: db, Audit: h.log, Tenants: h.tenants, Connections: h.connections, Runs: h.runs, Live: hub, Pace: governor, Cloud: cloud, Now: h.time,
		Tell: func(_ context.Context, tx *sqldb.Tx, n incident.News) error {
			tx.OnCommit(func() {
				h.mu.Lock()
				defer h.mu.Unlock()
				h.told = append(h.told, n)
			})
			return nil
		},
		Spread: func(_ context.Context, tx *sqldb.Tx, n incident.News) error {
			tx.OnCommit(func() {
				h.mu.Lock()
				defer h.mu.Unlock()
				h.spread = append(h.spread, n)
			})
			return nil
		}})
	return h, nil
}

// each runs a test on each database, without a cloud.
func each(t *testing.T, test func(t *testing.T, h *house)) {
	t.Helper()
	dbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		h, err := build(t.Context(), db, microsoft.Cloud{Name: "none"}, filepath.Join(t.TempDir(), "master.key"))
		if err != nil {
			t.Fatal(err)
		}
		h.t = t
		test(t, h)
	})
}

// withLab is a replica at work on a lab, with a new SQLite file.
func withLab(t *testing.T, l *lab.Lab) *house {
	t.Helper()
	db := dbtest.Open(t, dbtest.SQLite(t))
	cloud := microsoft.Cloud{Name: "lab", Login: l.URL(), Graph: l.URL(), GraphResource: "https://graph.microsoft.com", Roots: l.Roots()}
	h, err := build(t.Context(), db, cloud, filepath.Join(t.TempDir(), "master.key"))
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
		err := h.queue.Stop(limited)
		cancel()
		if err := errors.Join(err, <-done); err != nil {
			t.Error(err)
		}
	})
	return h
}

// as is the context of an operator with a role in some tenants; in all if none is
// named.
func as(ctx context.Context, name string, role audit.Role, tenants ...string) context.Context {
	roles := map[string]audit.Role{}
	for _, id := range tenants {
		roles[id] = role
	}
	if len(tenants) == 0 {
		roles[audit.AllTenants] = role
	}
	return audit.With(ctx, audit.Actor{Kind: audit.Operator, ID: name, Name: name, Roles: roles})
}

func (h *house) boss() context.Context { return as(h.t.Context(), "Ada Person", audit.Administrator) }

// tenant puts a tenant into the database: looking it up needs a cloud.
func (h *house) tenant(id string) {
	h.t.Helper()
	h.change(func(ctx context.Context, tx *sqldb.Tx) error {
		_, err := tx.NewRaw(`INSERT INTO tenants (id, directory_id, name, domain, cloud, realm, paused, search, created_at, version) VALUES (?, ?, ?, '', 'none', 'unknown', ?, ?, ?, 1)`,
			id, "directory of "+id, "Tenant "+id, false, "tenant "+id, time.Now().UTC()).Exec(ctx)
		return err
	})
}

func (h *house) change(do func(context.Context, *sqldb.Tx) error) {
	h.t.Helper()
	if err := h.db.Change(audit.AsSystem(h.t.Context(), "test"), do); err != nil {
		h.t.Fatal(err)
	}
}

// account is a connection of a service account in a tenant.
func (h *house) account(tenantID, name string) connection.Connection {
	h.t.Helper()
	p := connection.Profile{Name: name, Username: name + "@" + tenantID + ".example"}
	c, err := h.connections.Create(h.boss(), connection.CreateRequest{TenantID: tenantID, Kind: connection.ServiceAccount, Profile: p, Credential: connection.CredentialRequest{Password: secrets.New("never sent anywhere")}})
	if err != nil {
		h.t.Fatal(err)
	}
	return c
}

// app is a connection of an app in a tenant.
func (h *house) app(tenantID, name, clientID string) connection.Connection {
	h.t.Helper()
	c, err := h.connections.Create(h.boss(), connection.CreateRequest{TenantID: tenantID, Kind: connection.App, Profile: connection.Profile{Name: name, ClientID: clientID}, Credential: connection.CredentialRequest{Secret: secrets.New("never sent anywhere")}})
	if err != nil {
		h.t.Fatal(err)
	}
	return c
}

// outcome is what a validation says in these tests.
type outcome struct {
	verdict  string
	rule     *diagnosis.Rule
	category string
	service  string
}

var works = outcome{verdict: "works"}

// policy is a refusal by a Conditional Access policy, whose id every tenant has its
// own of.
func policy(tenantID, name string) outcome {
	id := "policy-of-" + tenantID
	return outcome{"blocked", &diagnosis.Rule{Kind: diagnosis.ConditionalAccess, ID: &id, Name: &name}, "conditional_access_block", "login"}
}

func (o outcome) settled(at time.Time) connection.Settled {
	s := connection.Settled{Verdict: o.verdict, Sentence: "It is so.", Rule: o.rule, At: at}
	if o.category != "" {
		d := diagnosis.Diagnosis{Category: o.category, Title: "Because of " + o.category, Actor: diagnosis.TenantAdmin, Remedies: []diagnosis.Remedy{{Title: "Mend it"}}}
		s.Found = connection.Found{Diagnosis: &d, Service: o.service}
	}
	return s
}

// settle is the end of a validation.
func (h *house) settle(c connection.Connection, o outcome) {
	h.t.Helper()
	h.change(func(ctx context.Context, tx *sqldb.Tx) error {
		return h.connections.Settle(ctx, tx, c.ID, o.settled(h.time()))
	})
}

// list gives the incidents that somebody may see.
func (h *house) list(ctx context.Context, f incident.Filter) []incident.Incident {
	h.t.Helper()
	all, next, err := h.incidents.List(ctx, f, tenant.Page{Limit: 200})
	if err != nil || next != "" {
		h.t.Fatalf("%v %q", err, next)
	}
	return all
}

// only gives the one incident that there is.
func (h *house) only() incident.Incident {
	h.t.Helper()
	all := h.list(h.boss(), incident.Filter{})
	if len(all) != 1 {
		h.t.Fatalf("%d incidents: %s", len(all), words(all))
	}
	return all[0]
}

func words(all []incident.Incident) string {
	text := ""
	for _, i := range all {
		text += fmt.Sprintf("\n%s %s %q: %d connections in %d tenants", i.State, i.Kind, i.Headline(), i.Connections, i.Tenants)
	}
	return text
}

// validate starts a run of each connection and waits until all have ended.
func (h *house) validate(connections ...connection.Connection) []validation.Run {
	h.t.Helper()
	var ids []string
	for _, c := range connections {
		run, err := h.runs.Start(h.boss(), c.ID)
		if err != nil {
			h.t.Fatal(err)
		}
		ids = append(ids, run.ID)
	}
	var out []validation.Run
	tick, deadline := time.NewTicker(10*time.Millisecond), time.After(2*time.Minute)
	defer tick.Stop()
	for len(out) < len(ids) {
		run, err := h.runs.Get(h.boss(), ids[len(out)])
		if err != nil {
			h.t.Fatal(err)
		}
		if run.State == validation.Done || run.State == validation.Lost {
			out = append(out, run)
			continue
		}
		select {
		case <-deadline:
			h.t.Fatal("the validations have not ended")
		case <-tick.C:
		}
	}
	return out
}

// add adds a tenant of the lab.
func (h *house) add(at lab.ReadyTenant) tenant.Tenant {
	h.t.Helper()
	added, err := h.tenants.Add(h.boss(), tenant.AddRequest{NameOrID: at.Domain})
	if err != nil {
		h.t.Fatal(err)
	}
	return added
}

// signsIn is a connection of an account of the lab, with the right password.
func (h *house) signsIn(l *lab.Lab, at lab.ReadyTenant, tenantID, user string, consumer connection.Consumer) connection.Connection {
	h.t.Helper()
	u := l.Tenant(at.Domain).User(user)
	c, err := h.connections.Create(h.boss(), connection.CreateRequest{TenantID: tenantID, Kind: connection.ServiceAccount, Profile: connection.Profile{Name: "Backup of " + at.Name, Username: u.UPN, Consumer: consumer},
		Credential: connection.CredentialRequest{Password: secrets.New(*u.Password)}})
	if err != nil {
		h.t.Fatal(err)
	}
	return c
}

// onboard makes the tenant's reader, as its administrator would follow the steps.
func (h *house) onboard(l *lab.Lab, at lab.ReadyTenant, id string) {
	h.t.Helper()
	app := l.Tenant(at.Domain).App("Gatehouse reader")
	steps, err := h.tenants.OnboardReader(h.boss(), id, tenant.OnboardRequest{ClientID: app.ClientID})
	if err != nil {
		h.t.Fatal(err)
	}
	block, _ := pem.Decode([]byte(steps.CertificatePEM))
	h.graph(l, at, http.MethodPatch, "/v1.0/applications(appId='"+app.ClientID+"')", map[string]any{"keyCredentials": []any{map[string]any{"type": "AsymmetricX509Cert", "usage": "Verify", "key": base64.StdEncoding.EncodeToString(block.Bytes)}}})
	if checked, err := h.tenants.CheckReader(h.boss(), id); err != nil || checked.Reader.State != tenant.ReaderWorks {
		h.t.Fatalf("reader %+v %v", checked.Reader, err)
	}
}
