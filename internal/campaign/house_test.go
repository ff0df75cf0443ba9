package campaign_test

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"gatehouse/internal/audit"
	"gatehouse/internal/campaign"
	"gatehouse/internal/jobs"
	"gatehouse/internal/lease"
	"gatehouse/internal/live"
	"gatehouse/internal/secrets"
	"gatehouse/internal/sqldb"
	"gatehouse/internal/sqldb/dbtest"
)

const (
	oldApp = "00000000-0000-4000-8000-00000000000a"
	newApp = "00000000-0000-4000-8000-00000000000b"
	jet    = "registration-1"
)

// letter is what was mailed.
type letter struct {
	to, subject, text string
	link              secrets.Value
}

// house is a service with a clock that the test moves; its queue does not work by
// itself.
type house struct {
	*campaign.Service
	t   testing.TB
	db  *sqldb.DB
	log *audit.Log

	mu      sync.Mutex
	at      time.Time
	mail    []letter
	news    []campaign.News
	links   int
	consent map[string]string // by tenant
}

func each(t *testing.T, test func(t *testing.T, h *house)) {
	t.Helper()
	dbtest.Each(t, func(t *testing.T, db *sqldb.DB) { test(t, open(t, db)) })
}

func open(t testing.TB, db *sqldb.DB) *house {
	t.Helper()
	h := &house{t: t, db: db, at: time.Date(2026, 11, 2, 10, 0, 0, 0, time.UTC), consent: map[string]string{}}
	h.log = audit.New(audit.Config{DB: db, Now: h.now})
	queue, err := jobs.New(jobs.Config{DB: db, Replica: lease.New(lease.Config{DB: db}), Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	c := campaign.Config{
		DB: db, Audit: h.log, Jobs: queue, Live: live.New(live.Config{DB: db}), Now: h.now,
		Registrations: func(context.Context) ([]campaign.Registration, error) {
			return []campaign.Registration{{ID: jet, Name: "Jet Reports", ClientID: newApp}}, nil
		},
		Link: func(_ context.Context, connectionID, _, _, _ string) (secrets.Value, time.Time, error) {
			h.mu.Lock()
			defer h.mu.Unlock()
			h.links++
			return secrets.New(fmt.Sprintf("https://gatehouse.example/signin/link/planted-%s-%d", connectionID, h.links)), h.at.Add(time.Hour), nil
		},
		Consent: func(_ context.Context, tenantID, _, _ string) (secrets.Value, time.Time, error) {
			return secrets.New("https://gatehouse.example/consent/planted-" + tenantID), h.now().Add(time.Hour), nil
		},
		ConsentState: func(_ context.Context, tenantID, _ string) (string, error) {
			h.mu.Lock()
			defer h.mu.Unlock()
			return h.consent[tenantID], nil
		},
		Mail: func(_ context.Context, tx *sqldb.Tx, to, _, subject, text string, link secrets.Value, _ time.Time) error {
			tx.OnCommit(func() {
				h.mu.Lock()
				defer h.mu.Unlock()
				h.mail = append(h.mail, letter{to, subject, text, link})
			})
			return nil
		},
		Tell: func(_ context.Context, tx *sqldb.Tx, n campaign.News) error {
			tx.OnCommit(func() {
				h.mu.Lock()
				defer h.mu.Unlock()
				h.news = append(h.news, n)
			})
			return nil
		},
	}
	h.Service = campaign.New(c)
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

// letters takes what was mailed since the last time.
func (h *house) letters() []letter {
	h.mu.Lock()
	defer h.mu.Unlock()
	out := h.mail
	h.mail = nil
	return out
}

// told takes what was told since the last time.
func (h *house) told() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	var out []string
	for _, n := range h.news {
		out = append(out, n.What)
	}
	h.news = nil
	return strings.Join(out, " ")
}

func (h *house) as(tenantID string, role audit.Role, only ...audit.Permission) context.Context {
	return audit.With(h.t.Context(), audit.Actor{Kind: audit.Operator, ID: "op-" + tenantID, Name: "Eve", Roles: map[string]audit.Role{tenantID: role}, Only: only})
}

func (h *house) boss() context.Context   { return h.as(audit.AllTenants, audit.Administrator) }
func (h *house) system() context.Context { return audit.AsSystem(h.t.Context(), "test") }

func (h *house) change(do func(ctx context.Context, tx *sqldb.Tx) error) {
	h.t.Helper()
	if err := h.db.Change(h.system(), do); err != nil {
		h.t.Fatal(err)
	}
}

func (h *house) exec(query string, args ...any) {
	h.t.Helper()
	h.change(func(ctx context.Context, tx *sqldb.Tx) error {
		_, err := tx.NewRaw(query, args...).Exec(ctx)
		return err
	})
}

func (h *house) watch() {
	h.t.Helper()
	if err := h.Watch(h.system()); err != nil {
		h.t.Fatal(err)
	}
}

func tenantID(n int) string      { return fmt.Sprintf("tenant-%03d", n) }
func connection(n, m int) string { return fmt.Sprintf("connection-%03d-%02d", n, m) }

// fill makes tenants, each with as many delegated connections, whose people are
// signed in to the old app.
func (h *house) fill(tenants, people int) {
	h.t.Helper()
	h.change(func(ctx context.Context, tx *sqldb.Tx) error {
		for n := range tenants {
			id := tenantID(n)
			if _, err := tx.NewRaw("INSERT INTO tenants (id, directory_id, name, domain, cloud, realm, paused, search, created_at, version) VALUES (?, ?, ?, ?, 'public', 'managed', ?, ?, ?, 1)",
				id, fmt.Sprintf("00000000-0000-4000-9000-%012d", n), "Tenant "+id, id+".example", false, "tenant "+id, h.now()).Exec(ctx); err != nil {
				return err
			}
			var values []string
			for m := range people {
				values = append(values, fmt.Sprintf("('%s', '%s', 'Person %d', '', 'delegated', FALSE, 'person%02d@%s.example', '%s', '%s', 'object-%03d-%02d', 'sign_in', ?0, '', '', 0, '[]', '', '', '', '', '{}', '', '', '', '', '[]', FALSE, '', '2026-11-01 00:00:00+00:00', 1)",
					connection(n, m), id, m, m, id, oldApp, jet, n, m))
			}
			if len(values) == 0 {
				continue
			}
			if _, err := tx.NewRaw("INSERT INTO connections (id, tenant_id, name, description, kind, mfa, username, client_id, registration_id, object_id, credential, secret, certificate, thumbprint, credential_version, services, site, admin_url, environment, company, consumer, search, verdict, sentence, rule, warnings, parked, parked_reason, created_at, version) VALUES "+strings.Join(values, ","), []byte{}).Exec(ctx); err != nil {
				return err
			}
		}
		return nil
	})
}

// signIn lets a connection's person sign in to an app, or fail to.
func (h *house) signIn(n, m int, app string, failure error) {
	h.t.Helper()
	if err := h.trySignIn(n, m, app, failure); err != nil {
		h.t.Fatal(err)
	}
}

func (h *house) trySignIn(n, m int, app string, failure error) error {
	return h.db.Change(h.system(), func(ctx context.Context, tx *sqldb.Tx) error {
		if failure == nil {
			if _, err := tx.NewRaw("UPDATE connections SET client_id = ? WHERE id = ?", app, connection(n, m)).Exec(ctx); err != nil {
				return err
			}
		}
		return h.SignedIn(ctx, tx, connection(n, m), "", "", failure)
	})
}

func (h *house) get(id string) campaign.Campaign {
	h.t.Helper()
	c, err := h.Get(h.boss(), id)
	if err != nil {
		h.t.Fatal(err)
	}
	return c
}

// progress is a campaign's counts in one line.
func progress(c campaign.Campaign) string {
	return fmt.Sprintf("%s: %d people, %d pending, %d reminded, %d done, %d failed, %d old; %d tenants, %d done, %d without consent", c.State, c.People, c.Pending, c.Reminded, c.Done, c.Failed, c.OnOld, c.Tenants, c.TenantsDone, c.NoConsent)
}

func (h *house) want(id, want string) {
	h.t.Helper()
	if got := progress(h.get(id)); got != want {
		h.t.Errorf("got  %s\nwant %s", got, want)
	}
}

// begin makes and starts a campaign to the new app.
func (h *house) begin(change func(*campaign.Request)) campaign.Campaign {
	h.t.Helper()
	in := campaign.Request{Name: "New app id", RegistrationID: jet, Reason: campaign.NewClientID, Old: oldApp, New: newApp, Settings: campaign.Defaults()}
	if change != nil {
		change(&in)
	}
	c, err := h.Create(h.boss(), in)
	if err != nil {
		h.t.Fatal(err)
	}
	if c, err = h.Start(h.boss(), c.ID); err != nil {
		h.t.Fatal(err)
	}
	return c
}
