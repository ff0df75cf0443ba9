package backup_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"gatehouse/internal/audit"
	"gatehouse/internal/backup"
	"gatehouse/internal/secrets"
	"gatehouse/internal/sqldb"
	"gatehouse/internal/sqldb/dbtest"
)

func TestMain(m *testing.M) { os.Exit(dbtest.Main(m, nil)) }

var made = time.Date(2026, 11, 1, 8, 0, 0, 0, time.UTC)

// house is a database with something in it, and its master key.
type house struct {
	*sqldb.DB
	t   *testing.T
	key string
	log *audit.Log
}

var columns = []secrets.Column{{Table: "connections", Key: "id", Name: "secret"}}

const planted = "planted-secret-9f2c"

func furnish(t *testing.T, db *sqldb.DB) *house {
	t.Helper()
	h := &house{DB: db, t: t, key: filepath.Join(t.TempDir(), "master.key"), log: audit.New(audit.Config{DB: db})}
	ctx := audit.AsSystem(t.Context(), "test")
	ring, err := secrets.OpenKeyring(ctx, secrets.Config{DB: db, Wrapper: secrets.NewFileKey(h.key), Audit: h.log, Columns: columns})
	h.must(err)
	h.must(db.Change(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		h.run(ctx, tx, "INSERT INTO tenants (id, directory_id, name, domain, cloud, realm, paused, search, created_at, version) VALUES (?, ?, ?, ?, 'lab', 'managed', ?, '', ?, 1)",
			"t1", "d1", "Größe \"€\" \n", "contoso.example", true, time.Date(2026, 3, 29, 1, 30, 0, 123456000, time.UTC))
		h.run(ctx, tx, "INSERT INTO tenant_switches (tenant_id, name, state, consented_by, consented_at, reason) VALUES ('t1', 'diagnose', 'on', 'Ada', NULL, ''), ('t1', 'connect', 'off', '', ?, '')", made)
		sealed, err := ring.Seal(ctx, tx, "connections", "c1", "secret", secrets.New(planted))
		if err != nil {
			return err
		}
		for id, secret := range map[string][]byte{"c1": sealed, "c2": {}} {
			h.run(ctx, tx, `INSERT INTO connections (id, tenant_id, name, description, kind, mfa, username, client_id, credential, secret, certificate, thumbprint, credential_not_after, credential_version,
				services, site, admin_url, environment, company, consumer, search, verdict, sentence, rule, warnings, validated_at, parked, parked_reason, created_at, version)
				VALUES (?, 't1', ?, '', 'app', ?, '', '', 'secret', ?, '', '', NULL, 9007199254740993, '[]', '', '', '', '', '{}', '', '', '', '', '[]', NULL, ?, '', ?, 1)`,
				id, id, false, secret, true, made)
		}
		return h.log.Act(ctx, tx, audit.Entry{Action: "test.done", ObjectKind: "tenant", ObjectID: "t1", ObjectName: "Größe", TenantID: "t1", Permission: audit.TenantManage})
	}))
	return h
}

func (h *house) must(err error) {
	h.t.Helper()
	if err != nil {
		h.t.Fatal(err)
	}
}

func (h *house) run(ctx context.Context, tx *sqldb.Tx, query string, args ...any) {
	h.t.Helper()
	if _, err := tx.NewRaw(query, args...).Exec(ctx); err != nil {
		h.t.Fatalf("%s: %v", query, err)
	}
}

func write(t *testing.T, db *sqldb.DB) []byte {
	t.Helper()
	var out bytes.Buffer
	if _, err := backup.Write(t.Context(), db, &out, "test", made); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func plain(t testing.TB, packed []byte) string {
	t.Helper()
	r, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func packed(t testing.TB, text string) []byte {
	t.Helper()
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	if _, err := io.WriteString(w, text); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func bare(t *testing.T, address string) *sqldb.DB {
	t.Helper()
	db, err := sqldb.Open(t.Context(), address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db
}

// TestRestore takes a database from each kind to each kind: a backup of what was
// restored is the same to the byte, the audit log verifies and secrets open.
func TestRestore(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, from *sqldb.DB) {
		h := furnish(t, from)
		first := write(t, from)
		if text := plain(t, first); strings.Contains(text, planted) || !strings.Contains(text, `"Größe \"€\" \n"`) {
			t.Errorf("a secret is readable in the backup, or a name is not")
		}
		key, err := os.ReadFile(h.key)
		h.must(err)
		if bytes.Contains([]byte(plain(t, first)), bytes.TrimSpace(key)) {
			t.Error("the master key is in the backup")
		}
		dbtest.EachEmpty(t, func(t *testing.T, address string) {
			to := bare(t, address)
			report, err := backup.Restore(t.Context(), to, bytes.NewReader(first))
			if err != nil {
				t.Fatal(err)
			}
			if again := plain(t, write(t, to)); again != plain(t, first) {
				t.Errorf("what was restored is not the same:\n%s\nwant\n%s", again, plain(t, first))
			}
			found, err := backup.Examine(t.Context(), to, report, secrets.NewFileKey(h.key), columns)
			if err != nil || found.Secrets != 1 || found.Audit.Entries == 0 || !report.MadeAt.Equal(made) || report.Rows < 7 {
				t.Errorf("%+v, %v", found, err)
			}
			// What migrations put there must not be doubled, and changes go on.
			h := &house{DB: to, t: t, log: audit.New(audit.Config{DB: to})}
			h.must(to.Change(audit.AsSystem(t.Context(), "test"), func(ctx context.Context, tx *sqldb.Tx) error {
				return h.log.Act(ctx, tx, audit.Entry{Action: "test.done", ObjectKind: "tenant", ObjectID: "t1", TenantID: "t1", Permission: audit.TenantManage})
			}))
			if after, err := h.log.Verify(audit.AsSystem(t.Context(), "test"), nil); err != nil || after.Entries != found.Audit.Entries+1 {
				t.Errorf("after another entry: %+v, %v", after, err)
			}
		})
	})
}

// TestVerify says whether a backup could be worked with, and why not.
func TestVerify(t *testing.T) {
	db := dbtest.Open(t, dbtest.SQLite(t))
	h := furnish(t, db)
	good := write(t, db)
	found, err := backup.Verify(t.Context(), bytes.NewReader(good), secrets.NewFileKey(h.key), columns)
	if err != nil || found.Secrets != 1 {
		t.Errorf("%+v, %v", found, err)
	}
	other := furnish(t, dbtest.Open(t, dbtest.SQLite(t)))
	if _, err := backup.Verify(t.Context(), bytes.NewReader(good), secrets.NewFileKey(other.key), columns); err == nil || !strings.Contains(err.Error(), "put back the key that belongs to this database") {
		t.Errorf("another master key: %v", err)
	}
	if _, err := backup.Verify(t.Context(), bytes.NewReader(good), secrets.NewFileKey(filepath.Join(t.TempDir(), "none")), columns); err == nil {
		t.Error("no master key: no error")
	}
	h.must(db.Change(t.Context(), func(ctx context.Context, tx *sqldb.Tx) error {
		h.run(ctx, tx, "UPDATE audit SET outcome = 'refused' WHERE seq = 1")
		return nil
	}))
	if _, err := backup.Verify(t.Context(), bytes.NewReader(write(t, db)), secrets.NewFileKey(h.key), columns); err == nil || !strings.Contains(err.Error(), "audit") {
		t.Errorf("a broken audit log: %v", err)
	}
}

// TestOneMoment takes backups while pairs of rows are added: both of a pair are
// in it, or none is.
func TestOneMoment(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		h := furnish(t, db)
		stop, ended := make(chan struct{}), make(chan error)
		go func() {
			ended <- func() error {
				for {
					select {
					case <-stop:
						return nil
					default:
					}
					id := uuid.Must(uuid.NewV7()).String()
					err := db.Change(context.Background(), func(ctx context.Context, tx *sqldb.Tx) error {
						if _, err := tx.NewRaw("INSERT INTO audit_checkpoints (seq, hash, at, key, signature) SELECT coalesce(max(seq), 0) + 1, 'pair', ?, '', '' FROM audit_checkpoints", made).Exec(ctx); err != nil {
							return err
						}
						_, err := tx.NewRaw("INSERT INTO tenant_domains (tenant_id, domain) VALUES ('t1', ?)", id).Exec(ctx)
						return err
					})
					if err != nil {
						return err
					}
				}
			}()
		}()
		last := -1
		for range 20 {
			text := plain(t, write(t, db))
			count := func(name string) int {
				_, rest, _ := strings.Cut(text, `{"table":"`+name+`"`)
				rest, _, _ = strings.Cut(rest, "\n{")
				return strings.Count(rest, "\n")
			}
			pairs, other := count("audit_checkpoints"), count("tenant_domains")
			if pairs != other || pairs < last {
				t.Errorf("%d and %d of a pair, %d before", pairs, other, last)
			}
			last = pairs
		}
		close(stop)
		h.must(<-ended)
	})
}

// TestRefused: what is not whole, not ours or not for here changes nothing.
func TestRefused(t *testing.T) {
	db := dbtest.Open(t, dbtest.SQLite(t))
	furnish(t, db)
	good := write(t, db)
	text := plain(t, good)
	for _, c := range []struct {
		name, says string
		file       []byte
	}{
		{"empty", "no gzip file", nil},
		{"no gzip", "no gzip file", []byte("hello, this is no backup")},
		{"another file", "no backup of Gatehouse", packed(t, "{}\n")},
		{"cut off in the gzip", "cut off", good[:len(good)/2]},
		{"cut off before its sum", "damaged", good[:len(good)-4]},
		{"cut off by a line", "cut off", packed(t, text[:strings.LastIndex(strings.TrimSpace(text), "\n")+1])},
		{"a row changed", "do not add up", packed(t, strings.Replace(text, "contoso.example", "fabrikam.example", 1))},
		{"something after its end", "follows its end", packed(t, text+"[]\n")},
		{"a newer format", "use the release that made it", packed(t, strings.Replace(text, `"format":1`, `"format":2`, 1))},
		{"a newer schema", "newer release", packed(t, strings.Replace(text, `"schema":`, `"schema":99`, 1))},
		{"an unknown table", `a table "nonsense"`, packed(t, strings.Replace(text, `"table":"tenants"`, `"table":"nonsense"`, 1))},
		{"an unknown column", `a column "nonsense"`, packed(t, strings.Replace(text, `"directory_id"`, `"nonsense"`, 1))},
		{"another kind", "holds bytes there", packed(t, strings.Replace(text, `"kinds":["text"`, `"kinds":["bytes"`, 1))},
		{"no time", "cannot", packed(t, strings.Replace(text, `"2026-03-29T01:30:00.123456Z"`, `"yesterday"`, 1))},
	} {
		t.Run(c.name, func(t *testing.T) {
			to := bare(t, filepath.Join(t.TempDir(), "gatehouse.db"))
			_, err := backup.Restore(t.Context(), to, bytes.NewReader(c.file))
			if err == nil || !strings.Contains(err.Error(), c.says) {
				t.Fatalf("%v; want %q", err, c.says)
			}
			if _, err := backup.Restore(t.Context(), to, bytes.NewReader(good)); err != nil {
				t.Errorf("a good one afterwards: %v", err)
			}
		})
	}
	if _, err := backup.Restore(t.Context(), db, bytes.NewReader(good)); !errors.Is(err, backup.ErrNotEmpty) {
		t.Errorf("into a database in use: %v", err)
	}
}

// FuzzRestore: no file makes restoring panic, and what is refused leaves the
// database empty.
func FuzzRestore(f *testing.F) {
	f.Add(`{"kind":"gatehouse backup","format":1,"schema":1}` + "\n" + `{"table":"instance","columns":["name","value"],"kinds":["text","text"]}` + "\n" + `["a","b"]` + "\n" + `{"end":true,"rows":1,"sha256":"00"}` + "\n")
	f.Add("[]\n{}\n")
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, text string) {
		db, err := sqldb.Open(t.Context(), filepath.Join(dir, "fuzz.db"))
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = db.Close() }()
		if _, err := backup.Restore(t.Context(), db, bytes.NewReader(packed(t, text))); err == nil {
			t.Errorf("it was taken for a backup: %q", text)
		}
	})
}
