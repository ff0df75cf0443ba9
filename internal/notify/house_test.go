package notify_test

import (
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"gatehouse/internal/audit"
	"gatehouse/internal/jobs"
	"gatehouse/internal/lease"
	"gatehouse/internal/live"
	"gatehouse/internal/notify"
	"gatehouse/internal/notify/notifytest"
	"gatehouse/internal/operator"
	"gatehouse/internal/secrets"
	"gatehouse/internal/sqldb"
	"gatehouse/internal/sqldb/dbtest"
)

// TestMain lets a test start a process that is killed.
func TestMain(m *testing.M) {
	os.Exit(dbtest.Main(m, map[string]func(){"sender": senderProcess}))
}

const console = "https://gatehouse.contoso.example"

// house is a service whose queue does not work by itself, with a clock that a
// test moves.
type house struct {
	*notify.Service
	t         *testing.T
	db        *sqldb.DB
	log       *audit.Log
	queue     *jobs.Queue
	operators *operator.Service
	mail      *notifytest.MailServer
	hooks     *notifytest.Receiver

	mu   sync.Mutex
	at   time.Time
	seen map[int64]bool // jobs that were worked on
}

// each runs a test on each database.
func each(t *testing.T, test func(t *testing.T, h *house)) {
	t.Helper()
	dbtest.Each(t, func(t *testing.T, db *sqldb.DB) { test(t, open(t, db, nil)) })
}

func open(t *testing.T, db *sqldb.DB, change func(*notify.Config)) *house {
	t.Helper()
	h := &house{t: t, db: db, at: time.Now().Add(time.Minute).UTC().Truncate(time.Microsecond), seen: map[int64]bool{}, mail: notifytest.Mail(t, notifytest.Behaviour{}), hooks: notifytest.Receive(t, "127.0.0.1")}
	h.log = audit.New(audit.Config{DB: db, Now: h.now})
	keys, err := secrets.OpenKeyring(t.Context(), secrets.Config{DB: db, Wrapper: secrets.NewFileKey(filepath.Join(t.TempDir(), "master.key")), Audit: h.log, Columns: append(slices.Clone(operator.Columns), notify.Columns...)})
	if err != nil {
		t.Fatal(err)
	}
	if h.operators, err = operator.New(operator.Config{DB: db, Keyring: keys, Audit: h.log, Origin: console, Now: h.now}); err != nil {
		t.Fatal(err)
	}
	if h.queue, err = jobs.New(jobs.Config{DB: db, Replica: lease.New(lease.Config{DB: db}), Log: slog.New(slog.DiscardHandler)}); err != nil {
		t.Fatal(err)
	}
	c := notify.Config{
		DB: db, Audit: h.log, Keys: keys, Jobs: h.queue, Live: live.New(live.Config{DB: db}), Operators: h.operators, PublicURL: console, Now: h.now, Draw: func() float64 { return 0.5 },
		Mail:    notify.Mail{Server: h.mail.Address, From: "Gatehouse <gatehouse@contoso.example>", TLS: notify.StartTLS, Roots: notifytest.Roots(t)},
		Outside: notify.Outside{Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}, Roots: notifytest.Roots(t)},
	}
	if change != nil {
		change(&c)
	}
	h.Service = notify.New(c)
	return h
}

func (h *house) now() time.Time {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.at
}

func (h *house) pass(d time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.at = h.at.Add(d)
}

func (h *house) system() context.Context { return audit.AsSystem(h.t.Context(), "test") }

func as(ctx context.Context, id, tenantID string, role audit.Role) context.Context {
	return audit.With(ctx, audit.Actor{Kind: audit.Operator, ID: id, Name: id, Roles: map[string]audit.Role{tenantID: role}})
}

func (h *house) boss() context.Context {
	return as(h.t.Context(), "boss", audit.AllTenants, audit.Administrator)
}

// tenant adds a row of a tenant: what makes one is not tried here.
func (h *house) tenant(id, name string) string {
	h.t.Helper()
	h.exec("INSERT INTO tenants (id, directory_id, name, domain, cloud, realm, paused, search, created_at, version) VALUES (?, ?, ?, '', 'public', 'managed', ?, '', ?, 1)", id, id, name, false, h.now())
	return id
}

func (h *house) exec(query string, args ...any) {
	h.t.Helper()
	if err := h.db.Change(h.t.Context(), func(ctx context.Context, tx *sqldb.Tx) error {
		_, err := tx.NewRaw(query, args...).Exec(ctx)
		return err
	}); err != nil {
		h.t.Fatal(err)
	}
}

// operator invites somebody and gives their id.
func (h *house) operator(email string, roles map[string]audit.Role) string {
	h.t.Helper()
	o, _, err := h.operators.Invite(h.system(), email, "Eve of "+email, roles)
	if err != nil {
		h.t.Fatal(err)
	}
	return o.ID
}

// me is the context of an operator who acts.
func (h *house) me(id string, roles map[string]audit.Role) context.Context {
	return audit.With(h.t.Context(), audit.Actor{Kind: audit.Operator, ID: id, Name: id, Roles: roles})
}

func (h *house) publish(e notify.Event) {
	h.t.Helper()
	if err := h.db.Change(h.t.Context(), func(ctx context.Context, tx *sqldb.Tx) error { return h.Publish(ctx, tx, e) }); err != nil {
		h.t.Fatal(err)
	}
}

// webhook adds one to the receiver and gives it with its secret.
func (h *house) webhook(r notify.WebhookRequest) (notify.Webhook, string) {
	h.t.Helper()
	if r.Name == "" {
		r.Name = "Receiver"
	}
	if r.URL.Empty() {
		r.URL = secrets.New(h.hooks.URL + "/in?key=planted-key")
	}
	if r.Kinds == nil {
		r.Kinds = []string{notify.IncidentOpened, notify.IncidentEnded}
	}
	r.Enabled = true
	w, secret, err := h.AddWebhook(h.boss(), r)
	if err != nil {
		h.t.Fatal(err)
	}
	return w, secret.Reveal()
}

func (h *house) waiting() []jobs.Job {
	h.t.Helper()
	var all []jobs.Job
	for after := ""; ; {
		some, next, err := h.queue.List(h.t.Context(), jobs.Filter{AllTenants: true, Kinds: []string{"notice_deliver"}}, after, 200)
		if err != nil {
			h.t.Fatal(err)
		}
		for _, j := range some {
			if !h.seen[j.ID] {
				all = append(all, j)
			}
		}
		if after = next; after == "" {
			slices.Reverse(all) // the oldest first
			return all
		}
	}
}

// work does the jobs that are due and gives how many.
func (h *house) work() int {
	h.t.Helper()
	n := 0
	for _, j := range h.waiting() {
		if j.Due.After(h.now()) {
			continue
		}
		h.seen[j.ID] = true
		n++
		if err := h.Work(h.t.Context(), j.Args); err != nil {
			h.t.Fatal(err)
		}
	}
	return n
}

// skip moves the clock to the next job and gives how far.
func (h *house) skip() (time.Duration, bool) {
	h.t.Helper()
	all := h.waiting()
	if len(all) == 0 {
		return 0, false
	}
	next := slices.MinFunc(all, func(a, b jobs.Job) int { return a.Due.Compare(b.Due) }).Due
	gap := max(0, next.Sub(h.now()))
	h.pass(gap)
	return gap, true
}

// only is the only notice there is, with its attempts.
func (h *house) only() notify.Notice {
	h.t.Helper()
	all, _, err := h.List(h.boss(), notify.Filter{}, notify.Page{})
	if err != nil || len(all) != 1 {
		h.t.Fatalf("%d notices, %v", len(all), err)
	}
	return h.get(all[0].ID)
}

func (h *house) get(id string) notify.Notice {
	h.t.Helper()
	n, err := h.Get(h.boss(), id)
	if err != nil {
		h.t.Fatal(err)
	}
	return n
}

func opened(tenantID string) notify.Event {
	return notify.Event{Kind: notify.IncidentOpened, TenantID: tenantID, Key: "incident 1", Title: "12 connections are stopped", Text: "Policy CA004 demands MFA.\nExclude the account.", Path: "/incidents/1", Data: map[string]any{"reach": 12, "who_acts": "the tenant's administrator"}}
}

var errOther = errors.New("another")
