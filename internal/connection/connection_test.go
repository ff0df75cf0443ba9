package connection_test

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/uptrace/bun"

	"gatehouse/internal/audit"
	"gatehouse/internal/connection"
	"gatehouse/internal/jobs"
	"gatehouse/internal/lease"
	"gatehouse/internal/live"
	"gatehouse/internal/microsoft"
	"gatehouse/internal/secrets"
	"gatehouse/internal/sqldb"
	"gatehouse/internal/sqldb/dbtest"
	"gatehouse/internal/tenant"
)

const someApp = "11111111-2222-3333-4444-555555555555"

// house is the features on a database without a cloud: nothing here calls one.
type house struct {
	t           testing.TB
	db          *sqldb.DB
	log         *audit.Log
	connections *connection.Service
}

func open(t testing.TB, db *sqldb.DB) *house {
	t.Helper()
	h := &house{t: t, db: db, log: audit.New(audit.Config{DB: db})}
	keys, err := secrets.OpenKeyring(t.Context(), secrets.Config{DB: db, Wrapper: secrets.NewFileKey(filepath.Join(t.TempDir(), "master.key")), Audit: h.log, Columns: append(slices.Clone(tenant.Columns), connection.Columns...)})
	if err != nil {
		t.Fatal(err)
	}
	queue, err := jobs.New(jobs.Config{DB: db, Replica: lease.New(lease.Config{DB: db}), Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	hub := live.New(live.Config{DB: db})
	tenants := tenant.New(tenant.Config{DB: db, Audit: h.log, Keys: keys, Jobs: queue, Live: hub, Cloud: microsoft.Cloud{Name: "none"}})
	h.connections = connection.New(connection.Config{DB: db, Audit: h.log, Keys: keys, Live: hub, Tenants: tenants})
	return h
}

func each(t *testing.T, test func(t *testing.T, h *house)) {
	t.Helper()
	dbtest.Each(t, func(t *testing.T, db *sqldb.DB) { test(t, open(t, db)) })
}

// tenant puts a tenant into the database, as if it had been added.
func (h *house) tenant(id string) string {
	h.t.Helper()
	_, err := h.db.SQL().ExecContext(h.t.Context(), fmt.Sprintf("INSERT INTO tenants (id, directory_id, name, domain, cloud, realm, paused, search, created_at, version) VALUES ('%s', '%s', '%s', '', 'none', 'unknown', FALSE, '', '2026-11-22 12:00:00+00:00', 1)", id, id, id))
	if err != nil {
		h.t.Fatal(err)
	}
	return id
}

func as(ctx context.Context, name string, role audit.Role, tenants ...string) context.Context {
	a := audit.Actor{Kind: audit.Operator, ID: name, Name: name, Roles: map[string]audit.Role{}}
	for _, id := range tenants {
		a.Roles[id] = role
	}
	return audit.With(ctx, a)
}

func (h *house) boss() context.Context {
	return as(h.t.Context(), "Ada Person", audit.Administrator, audit.AllTenants)
}

func account(tenantID, name string) connection.CreateRequest {
	return connection.CreateRequest{
		TenantID: tenantID, Kind: connection.ServiceAccount, Profile: connection.Profile{Name: name, Username: name + "@contoso.example"},
		Credential: connection.CredentialRequest{Password: secrets.New("a password of " + name)},
	}
}

func (h *house) create(in connection.CreateRequest) connection.Connection {
	h.t.Helper()
	c, err := h.connections.Create(h.boss(), in)
	if err != nil {
		h.t.Fatal(err)
	}
	return c
}

// Two operators of different tenants see and touch each their own.
func TestTenantsApart(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		one, two := h.tenant("one"), h.tenant("two")
		mine, theirs := h.create(account(one, "a")), h.create(account(two, "b"))
		eve := as(t.Context(), "Eve", audit.Engineer, one)
		list, _, err := h.connections.List(eve, connection.Filter{}, connection.Page{})
		if err != nil || len(list) != 1 || list[0].ID != mine.ID || list[0].TenantName != "one" {
			t.Errorf("list %+v, %v", list, err)
		}
		if list, _, err := h.connections.List(eve, connection.Filter{TenantID: two}, connection.Page{}); err != nil || len(list) != 0 {
			t.Errorf("the other tenant's list %+v, %v", list, err)
		}
		if seen, err := h.connections.Overview(eve, connection.OverviewRequest{}); err != nil || len(seen.Verdicts) != 1 || seen.Verdicts[0].Count != 1 {
			t.Errorf("counts %+v, %v", seen, err)
		}
		another := account(two, "c")
		for name, do := range map[string]func() error{
			"get":         func() error { _, err := h.connections.Get(eve, theirs.ID); return err },
			"create":      func() error { _, err := h.connections.Create(eve, another); return err },
			"open":        func() error { _, err := h.connections.Open(eve, theirs.ID); return err },
			"certificate": func() error { _, err := h.connections.Certificate(eve, theirs.ID); return err },
			"credential":  func() error { _, err := h.connections.SetCredential(eve, theirs.ID, another.Credential); return err },
			"update": func() error {
				_, err := h.connections.Update(eve, theirs.ID, connection.UpdateRequest{Profile: another.Profile, Version: 1})
				return err
			},
			"unpark": func() error { return h.connections.Unpark(eve, theirs.ID) },
			"remove": func() error { return h.connections.Remove(eve, theirs.ID) },
		} {
			var refused *audit.Refused
			if err := do(); !errors.As(err, &refused) || !refused.Hidden {
				t.Errorf("%s: %v", name, err)
			}
		}
		if _, err := h.connections.Get(h.boss(), theirs.ID); err != nil {
			t.Errorf("the other connection is gone: %v", err)
		}
	})
}

// The schedule that connections fall back on is a tenant's or the server's: who
// manages the one does not set the other.
func TestFallbackRights(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		one, two := h.tenant("one"), h.tenant("two")
		for _, c := range []struct {
			who  string
			ctx  context.Context
			of   string
			want bool
		}{
			{"a technician", as(t.Context(), "Tom", audit.Technician, one), one, false},
			{"an engineer", as(t.Context(), "Eve", audit.Engineer, one), one, true},
			{"an engineer elsewhere", as(t.Context(), "Eve", audit.Engineer, two), one, false},
			{"an administrator elsewhere", as(t.Context(), "Ann", audit.Administrator, two), one, false},
			{"an administrator of both, for the server", as(t.Context(), "Ann", audit.Administrator, one, two), connection.ServerSchedule, false},
			{"an engineer everywhere, for the server", as(t.Context(), "Eve", audit.Engineer, audit.AllTenants), connection.ServerSchedule, false},
			{"an administrator everywhere, for the server", as(t.Context(), "Ann", audit.Administrator, audit.AllTenants), connection.ServerSchedule, true},
		} {
			err := h.connections.SetFallback(c.ctx, c.of, "every 12h")
			var refused *audit.Refused
			if errors.As(err, &refused) == c.want || err != nil && !errors.As(err, &refused) {
				t.Errorf("%s: %v", c.who, err)
			}
			now, err := h.connections.Schedules(h.boss())
			if err != nil || !now.Own(c.of).None() != c.want {
				t.Errorf("%s: it is %q, %v", c.who, now.Own(c.of), err)
			}
			if err := h.connections.SetFallback(h.boss(), c.of, ""); err != nil {
				t.Fatal(err)
			}
		}
	})
}

// Nothing that a secret was planted in shows it: database, audit log, errors.
func TestPlantedSecrets(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		id := h.tenant("one")
		const password, secret = "Planted-Password-4711", "Planted~Secret.4712"
		in := account(id, "a")
		in.Credential.Password = secrets.New(password)
		c := h.create(in)
		app := h.create(connection.CreateRequest{TenantID: id, Kind: connection.App, Profile: connection.Profile{Name: "app", ClientID: someApp}, Credential: connection.CredentialRequest{Secret: secrets.New(secret)}})
		made := h.create(connection.CreateRequest{TenantID: id, Kind: connection.App, Profile: connection.Profile{Name: "made", ClientID: someApp}, Credential: connection.CredentialRequest{Generate: true}})
		opened, err := h.connections.Open(h.boss(), made.ID)
		if err != nil {
			t.Fatal(err)
		}
		_, key, _ := strings.Cut(opened.Secret.Reveal(), "PRIVATE KEY-----\n")
		planted := []string{password, secret, strings.SplitN(key, "\n", 2)[0]}
		if opened, err = h.connections.Open(h.boss(), c.ID); err != nil || opened.Secret.Reveal() != password {
			t.Fatalf("opening: %v", err)
		}
		var said []string
		for _, wrong := range []connection.CredentialRequest{
			{Password: secrets.New(password + "\n")}, {Password: secrets.New(password), Secret: secrets.New(secret)}, {Secret: secrets.New(secret)}, {Kind: connection.AppPassword, Password: secrets.New(password)},
			{CertificatePEM: secrets.New("-----BEGIN PRIVATE KEY-----\n" + planted[2] + "\n-----END PRIVATE KEY-----\n")},
		} {
			_, err := h.connections.SetCredential(h.boss(), c.ID, wrong)
			var faults connection.Faults
			if !errors.As(err, &faults) {
				t.Errorf("a wrong credential: %v", err)
			}
			said = append(said, fmt.Sprintf("%v %+v %#v", err, err, err))
		}
		said = append(said, fmt.Sprintf("%+v %#v %+v", c, app, opened), dump(t, h.db))
		for _, text := range said {
			for _, p := range planted {
				if strings.Contains(text, p) {
					i := strings.Index(text, p)
					t.Errorf("%q shows in …%q", p, text[max(0, i-80):i])
				}
			}
		}
		// Moved to another row it does not open.
		if _, err := h.db.SQL().ExecContext(t.Context(), fmt.Sprintf("UPDATE connections SET secret = (SELECT secret FROM connections WHERE id = '%s') WHERE id = '%s'", c.ID, app.ID)); err != nil {
			t.Fatal(err)
		}
		if _, err := h.connections.Open(h.boss(), app.ID); err == nil {
			t.Error("a secret of another row opens")
		}
	})
}

var hexadecimal = regexp.MustCompile(`\\\\x((?:[0-9a-f]{2})+)`)

// dump is all that the database holds: the files themselves, or every row.
func dump(t *testing.T, db *sqldb.DB) string {
	t.Helper()
	var out bytes.Buffer
	if !db.Postgres() {
		for _, suffix := range []string{"", "-wal"} {
			data, err := os.ReadFile(db.Address() + suffix)
			if err != nil {
				t.Fatal(err)
			}
			out.Write(data)
		}
		return out.String()
	}
	var tables []string
	if err := db.Read().NewRaw("SELECT table_name FROM information_schema.tables WHERE table_schema = 'public'").Scan(t.Context(), &tables); err != nil || len(tables) < 10 {
		t.Fatal(tables, err)
	}
	for _, table := range tables {
		var rows []string
		if err := db.Read().NewRaw("SELECT CAST(row_to_json(x) AS text) FROM ? AS x", bun.Ident(table)).Scan(t.Context(), &rows); err != nil {
			t.Fatal(err)
		}
		for _, row := range rows {
			out.WriteString(row + "\n")
			for _, found := range hexadecimal.FindAllStringSubmatch(row, -1) { // what is of the type bytea
				data, err := hex.DecodeString(found[1])
				if err != nil {
					t.Fatal(err)
				}
				out.Write(data)
			}
		}
	}
	return out.String()
}

// Faults are told field by field, with the way out.
func TestFaults(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		id := h.tenant("one")
		good := account(id, "a")
		for name, test := range map[string]struct {
			change func(*connection.CreateRequest)
			field  string
		}{
			"no name":      {func(r *connection.CreateRequest) { r.Name = " " }, "name"},
			"no kind":      {func(r *connection.CreateRequest) { r.Kind = "" }, "kind"},
			"no user name": {func(r *connection.CreateRequest) { r.Username = "contoso" }, "username"},
			"no password":  {func(r *connection.CreateRequest) { r.Credential = connection.CredentialRequest{} }, "credential"},
			"a secret for an account": {func(r *connection.CreateRequest) {
				r.Credential = connection.CredentialRequest{Secret: secrets.New("x")}
			}, "credential"},
			"an app password, new":        {func(r *connection.CreateRequest) { r.Credential.Kind = connection.AppPassword }, "credential"},
			"an app password by its form": {func(r *connection.CreateRequest) { r.Credential.Kind, r.Existing = connection.AppPassword, true }, "password"},
			"an app with a user name":     {func(r *connection.CreateRequest) { r.Kind, r.ClientID = connection.App, someApp }, "username"},
			"an app without id": {func(r *connection.CreateRequest) {
				r.Kind, r.Username, r.Credential = connection.App, "", connection.CredentialRequest{Generate: true}
			}, "client_id"},
			"a federated credential here": {func(r *connection.CreateRequest) {
				r.Kind, r.Username, r.ClientID, r.Credential = connection.App, "", someApp, connection.CredentialRequest{Kind: connection.Federated}
			}, "consumer.holds_credential"},
			"a certificate that is none": {func(r *connection.CreateRequest) {
				r.Kind, r.Username, r.ClientID, r.Credential = connection.App, "", someApp, connection.CredentialRequest{CertificatePEM: secrets.New("x")}
			}, "certificate"},
			"an unknown service": {func(r *connection.CreateRequest) { r.Services = []string{"teams"} }, "services"},
			"an address":         {func(r *connection.CreateRequest) { r.Site = "http://contoso.example" }, "site"},
			"a consumer's place": {func(r *connection.CreateRequest) { r.Consumer.Addresses = []string{"home"} }, "consumer.addresses"},
			"what it accepts":    {func(r *connection.CreateRequest) { r.Consumer.Accepts = []string{"cookies"} }, "consumer.accepts"},
		} {
			in := good
			test.change(&in)
			_, err := h.connections.Create(h.boss(), in)
			var faults connection.Faults
			if !errors.As(err, &faults) || faults[0].Field != test.field || faults[0].Way == "" {
				t.Errorf("%s: %v", name, err)
			}
		}
		if _, err := h.connections.Create(h.boss(), account("nowhere", "a")); !errors.Is(err, tenant.ErrMissing) {
			t.Errorf("no tenant: %v", err)
		}
	})
}

// A profile with an app password says first that it opens SharePoint no more; it
// becomes a common one by clearing the flag and entering the password.
func TestProfileConverted(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		in := account(h.tenant("one"), "old")
		in.MFA, in.Existing, in.Services = true, true, []string{connection.SharePoint}
		in.Credential = connection.CredentialRequest{Kind: connection.AppPassword, Password: secrets.New("abcdefghijklmnop")}
		c := h.create(in)
		if c.Credential != connection.AppPassword || len(c.Warnings) != 2 || !strings.Contains(c.Warnings[0], "no longer opens SharePoint") {
			t.Fatalf("%+v", c)
		}
		in.MFA = false
		changed, err := h.connections.Update(h.boss(), c.ID, connection.UpdateRequest{Profile: in.Profile, Version: c.Version})
		if err != nil || changed.MFA {
			t.Fatalf("%+v, %v", changed, err)
		}
		if _, err := h.connections.Update(h.boss(), c.ID, connection.UpdateRequest{Profile: in.Profile, Version: c.Version}); !errors.Is(err, connection.ErrConflict) {
			t.Errorf("an old version: %v", err)
		}
		c, err = h.connections.SetCredential(h.boss(), c.ID, connection.CredentialRequest{Password: secrets.New("Ordinary password 1")})
		if err != nil || c.Credential != connection.Password || strings.Contains(strings.Join(c.Warnings, " "), "app password") {
			t.Errorf("%+v, %v", c, err)
		}
		if _, err := h.connections.Create(h.boss(), account("one", "old")); !errors.Is(err, connection.ErrTaken) {
			t.Errorf("a second of the name: %v", err)
		}
		if err := h.connections.Remove(h.boss(), c.ID); err != nil {
			t.Fatal(err)
		}
		if _, err := h.connections.Get(h.boss(), c.ID); !errors.Is(err, connection.ErrMissing) {
			t.Errorf("removed: %v", err)
		}
	})
}

// A parked password is claimed by nobody; another user name or password is
// another try, and who waits with the old one does not get it.
func TestPark(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		c := h.create(account(h.tenant("one"), "a"))
		opened, err := h.connections.Open(h.boss(), c.ID)
		if err != nil {
			t.Fatal(err)
		}
		claim := func(version int64) error {
			return h.db.Change(h.boss(), func(ctx context.Context, tx *sqldb.Tx) error { return h.connections.Claim(ctx, tx, c.ID, version) })
		}
		park := func(version int64) {
			t.Helper()
			if err := h.db.Change(h.boss(), func(ctx context.Context, tx *sqldb.Tx) error {
				return h.connections.Park(ctx, tx, c.ID, version, "refused")
			}); err != nil {
				t.Fatal(err)
			}
		}
		first := opened.CredentialVersion
		if err := claim(first); err != nil {
			t.Fatal(err)
		}
		park(first)
		var parked *connection.ParkedError
		if err := claim(first); !errors.As(err, &parked) || parked.Reason != "refused" {
			t.Errorf("a parked one: %v", err)
		}
		profile := account("one", "a").Profile
		profile.Username = "other@contoso.example"
		if c, err = h.connections.Update(h.boss(), c.ID, connection.UpdateRequest{Profile: profile, Version: c.Version}); err != nil || c.Parked {
			t.Fatalf("%+v, %v", c, err)
		}
		if err := claim(first); !errors.Is(err, connection.ErrReplaced) {
			t.Errorf("with the old user name: %v", err)
		}
		park(first) // too late
		if err := claim(first + 1); err != nil {
			t.Errorf("with the new user name: %v", err)
		}
	})
}

// Pages follow each other without gap or repetition, under every filter.
func TestPages(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		one, two := h.tenant("one"), h.tenant("two")
		fill(t, h.db, 130, one, two)
		for _, f := range []connection.Filter{{}, {TenantID: one}, {Verdict: "blocked"}, {Verdict: connection.Never}, {Kind: connection.App}, {Search: "SVC-00001"}, {Search: "%"}} {
			seen, last, after := map[string]bool{}, "", ""
			for {
				page, next, err := h.connections.List(h.boss(), f, connection.Page{After: after, Limit: 7})
				if err != nil {
					t.Fatal(err)
				}
				for _, c := range page {
					if seen[c.ID] || c.Name < last {
						t.Errorf("%+v: %s comes again or out of order", f, c.Name)
					}
					seen[c.ID], last = true, c.Name
				}
				if after = next; next == "" {
					break
				}
			}
			var want int
			where := map[connection.Filter]string{{}: "1 = 1", {TenantID: one}: "tenant_id = 'one'", {Verdict: "blocked"}: "verdict = 'blocked'", {Verdict: connection.Never}: "verdict = ''", {Kind: connection.App}: "kind = 'app'", {Search: "SVC-00001"}: "name LIKE '%svc-00001%'", {Search: "%"}: "1 = 0"}[f]
			if err := h.db.Read().NewRaw("SELECT count(*) FROM connections WHERE "+where).Scan(t.Context(), &want); err != nil {
				t.Fatal(err)
			}
			if len(seen) != want {
				t.Errorf("%+v: %d of %d", f, len(seen), want)
			}
		}
		if _, _, err := h.connections.List(h.boss(), connection.Filter{}, connection.Page{After: "nonsense"}); err == nil {
			t.Error("a cursor that is none is taken")
		}
	})
}

// fill puts connections of two tenants into the database.
func fill(t testing.TB, db *sqldb.DB, n int, tenants ...string) {
	t.Helper()
	err := db.Change(t.Context(), func(ctx context.Context, tx *sqldb.Tx) error {
		_, err := tx.ExecContext(ctx, fmt.Sprintf(`INSERT INTO connections (id, tenant_id, name, description, kind, mfa, username, client_id, credential, secret, certificate, thumbprint, credential_version,
			services, site, admin_url, environment, company, consumer, search, verdict, sentence, rule, warnings, parked, parked_reason, created_at, version)
			WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < %d)
			SELECT 'id' || n, CASE WHEN n %% 2 = 0 THEN '%s' ELSE '%s' END, 'svc-' || substr(CAST(1000000 + (n * 7919) %% 100000 AS text), 2) || '-' || n, '',
			CASE WHEN n %% 3 = 0 THEN 'app' ELSE 'service_account' END, FALSE, 'svc' || n || '@contoso.example', '', 'password', %s, '', '', 1, '["graph"]', '', '', '', '', '{}',
			'svc-' || substr(CAST(1000000 + (n * 7919) %% 100000 AS text), 2) || '-' || n, CASE n %% 4 WHEN 0 THEN 'blocked' WHEN 1 THEN '' ELSE 'works' END, '', '', '[]', FALSE, '', '2026-11-22 12:00:00+00:00', 1
			FROM numbers`, n, tenants[0], tenants[1], map[bool]string{true: `'\x00'`, false: "x'00'"}[db.Postgres()]))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// BenchmarkList is one page of 50,000 connections, in the middle of the list, as
// an administrator of all tenants and as an operator of one sees it. Bar: 100 ms.
func BenchmarkList(b *testing.B) {
	for name, address := range map[string]func(testing.TB) string{"sqlite": dbtest.SQLite, "postgres": dbtest.Postgres} {
		if name == "postgres" && os.Getenv(dbtest.Variable) == "" {
			continue
		}
		h := open(b, dbtest.Open(b, address(b)))
		one, two := h.tenant("one"), h.tenant("two")
		fill(b, h.db, 50_000, one, two)
		if _, err := h.db.SQL().ExecContext(b.Context(), "ANALYZE"); err != nil { // as the server does by itself within a minute
			b.Fatal(err)
		}
		middle := tenant.Cursor("svc-050000", "")
		for what, test := range map[string]struct {
			ctx    context.Context
			filter connection.Filter
		}{
			"all":         {h.boss(), connection.Filter{}},
			"one tenant":  {as(b.Context(), "Eve", audit.Viewer, one), connection.Filter{}},
			"two tenants": {as(b.Context(), "Eve", audit.Viewer, one, two), connection.Filter{}},
			"verdict":     {h.boss(), connection.Filter{Verdict: "blocked"}},
			"search":      {h.boss(), connection.Filter{Search: "svc4999"}},
		} {
			b.Run(name+"/"+what, func(b *testing.B) {
				for b.Loop() {
					if _, _, err := h.connections.List(test.ctx, test.filter, connection.Page{After: middle, Limit: 50}); err != nil {
						b.Fatal(err)
					}
				}
				each := b.Elapsed() / time.Duration(b.N)
				b.ReportMetric(float64(each.Microseconds())/1000, "ms/page")
				if each > 100*time.Millisecond {
					b.Errorf("a page takes %s", each)
				}
			})
		}
	}
}
