package server_test

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gatehouse/client"
	"gatehouse/internal/backup"
	"gatehouse/internal/cli"
	"gatehouse/internal/sqldb/dbtest"
	"gatehouse/internal/testenv"
)

// furnished is a server with an administrator, a tenant and a connection that
// works, validated once.
func furnished(t *testing.T, address string) (e *testenv.Env, generator string, c client.Connection) {
	t.Helper()
	e = testenv.Start(t, testenv.Options{Database: address})
	ctx := t.Context()
	at := e.Lab.Tenant("openharbour")
	tenant, err := e.AddTenant(ctx, client.TenantRequest{Tenant: at.Domain, Name: "Open Harbour"})
	if err != nil {
		t.Fatal(err)
	}
	user := at.User("svc-backup")
	c, err = e.AddConnection(ctx, client.ConnectionRequest{
		TenantID: tenant.ID, Kind: "service_account", Profile: client.Profile{Name: "Nightly backup", Username: user.UPN, Services: []string{"graph"}},
		Credential: client.CredentialRequest{Password: *user.Password},
	})
	if err != nil {
		t.Fatal(err)
	}
	works(t, e.Client, c.ID)
	g, err := e.NewGenerator(ctx) // as whoever restores signs in anew
	if err != nil {
		t.Fatal(err)
	}
	if _, err := e.ConfirmGenerator(ctx, client.GeneratorRequest{Name: "second", Code: testenv.Code(t, g.Secret)}); err != nil {
		t.Fatal(err)
	}
	return e, g.Secret, c
}

func works(t *testing.T, c *client.Client, connection string) {
	t.Helper()
	v, err := c.Validate(t.Context(), connection)
	if err != nil || v.Verdict != "works" {
		t.Fatalf("%+v %v", v, err)
	}
}

// run runs a command as on the server's machine.
func run(t *testing.T, env []string, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	for _, line := range env {
		name, value, _ := strings.Cut(line, "=")
		t.Setenv(name, value)
	}
	var out, talk bytes.Buffer
	code = cli.Main(t.Context(), args, cli.Env{Stdin: strings.NewReader(""), Stdout: &out, Stderr: &talk, Getenv: os.Getenv})
	return code, out.String(), talk.String()
}

// machine is the configuration of a machine of its own, with the master key of
// another.
func machine(t *testing.T, of *testenv.Env, address string) (env []string, dir string) {
	t.Helper()
	dir = t.TempDir()
	key, err := os.ReadFile(filepath.Join(of.Dir, "master.key"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "master.key"), key, 0o600); err != nil { //nolint:gosec // a folder of the test
		t.Fatal(err)
	}
	return []string{"GATEHOUSE_DATA_DIR=" + dir, "GATEHOUSE_DATABASE=" + address}, dir
}

// A backup that was made while the server worked is restored on an empty machine
// while the old one still runs, into either kind of database: the audit log
// verifies, the secrets open with the key, and its connection works.
func TestRestoreElsewhere(t *testing.T) {
	dbtest.EachAddress(t, func(t *testing.T, address string) {
		old, generator, connection := furnished(t, address)
		file := filepath.Join(t.TempDir(), "gatehouse.backup.gz")
		if err := os.WriteFile(file, download(t, old), 0o600); err != nil {
			t.Fatal(err)
		}
		dbtest.EachEmpty(t, func(t *testing.T, other string) { restoreElsewhere(t, old, file, generator, connection, other) })
	})
}

func restoreElsewhere(t *testing.T, old *testenv.Env, file, generator string, connection client.Connection, other string) {
	env, dir := machine(t, old, other)

	code, out, talk := run(t, env, "restore", file, "--verify", "--json")
	var found struct {
		Restored bool
		Secrets  int
		Rows     int64
		Audit    client.AuditReport
		Tables   map[string]int64
	}
	if err := json.Unmarshal([]byte(out), &found); err != nil || code != 0 || found.Restored || found.Secrets < 3 || found.Audit.Entries < 5 || found.Tables["connections"] != 1 {
		t.Fatalf("verifying: %d %s %s %v", code, out, talk, err)
	}
	if code, out, talk = run(t, env, "restore", file); code != 0 || !strings.Contains(out, "Restored: ") {
		t.Fatalf("restoring: %d %s %s", code, out, talk)
	}
	if code, _, talk = run(t, env, "restore", file); code != 1 || !strings.Contains(talk, "holds something already") {
		t.Errorf("restoring over what is there: %d %s", code, talk)
	}

	restored := testenv.Bare(t, testenv.Options{Database: other, Dir: dir, Lab: old.Lab})
	if restored.SetUpLink() != "" {
		t.Error("the administrator is not known")
	}
	ctx := t.Context()
	c := restored.NewClient()
	if _, err := c.SignIn(ctx, "ada@contoso.example", testenv.Password); err != nil {
		t.Fatal(err)
	}
	if _, err := c.GiveCode(ctx, next(t, generator)); err != nil {
		t.Fatal(err)
	}
	if r, err := c.VerifyAudit(ctx); err != nil || r.Entries < found.Audit.Entries {
		t.Errorf("%+v %v", r, err)
	}
	works(t, c, connection.ID)
	works(t, old.Client, connection.ID) // goes on
	if _, err := c.Session(ctx); err != nil {
		t.Error(err)
	}
	stale := restored.NewClient(client.WithToken(old.Token()))
	if _, err := stale.Session(ctx); err == nil {
		t.Error("a session of the old server is one here")
	}
}

// next is the code of a generator after the present one, which is used up.
func next(t *testing.T, secret string) string {
	t.Helper()
	return testenv.CodeAt(t, secret, time.Now().Add(30*time.Second))
}

func download(t *testing.T, e *testenv.Env) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := e.Backup(t.Context(), &b); err != nil {
		t.Fatal(err)
	}
	if _, err := backup.Check(bytes.NewReader(b.Bytes())); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// A backup that would be of no use is found before anything is changed: another
// key, a file cut off, one bit changed.
func TestRestoreRefuses(t *testing.T) {
	e, _, _ := furnished(t, dbtest.SQLite(t))
	good := download(t, e)
	changed := bytes.Clone(good)
	changed[len(changed)/2] ^= 1
	for name, data := range map[string][]byte{"cut off": good[:len(good)-20], "changed": changed, "no backup": []byte("hello")} {
		t.Run(name, func(t *testing.T) {
			env, dir := machine(t, e, filepath.Join(t.TempDir(), "gatehouse.db"))
			refusedRestore(t, env, dir, data)
		})
	}
	t.Run("another key", func(t *testing.T) {
		env, dir := machine(t, e, filepath.Join(t.TempDir(), "gatehouse.db"))
		other := testenv.Bare(t, testenv.Options{Lab: e.Lab})
		key, err := os.ReadFile(filepath.Join(other.Dir, "master.key"))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, "master.key"), key, 0o600); err != nil { //nolint:gosec // a folder of the test
			t.Fatal(err)
		}
		refusedRestore(t, env, dir, good)
	})
	t.Run("no key", func(t *testing.T) {
		env, dir := machine(t, e, filepath.Join(t.TempDir(), "gatehouse.db"))
		if err := os.Remove(filepath.Join(dir, "master.key")); err != nil {
			t.Fatal(err)
		}
		if talk := refusedRestore(t, env, dir, good); !strings.Contains(talk, "master key") {
			t.Errorf("says %s", talk)
		}
	})
}

func refusedRestore(t *testing.T, env []string, dir string, data []byte) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "backup.gz")
	if err := os.WriteFile(file, data, 0o600); err != nil {
		t.Fatal(err)
	}
	code, out, talk := run(t, env, "restore", file)
	if code != 1 || out != "" {
		t.Errorf("%d %q %s", code, out, talk)
	}
	database := strings.TrimPrefix(env[1], "GATEHOUSE_DATABASE=")
	if _, err := os.Stat(database); !os.IsNotExist(err) {
		t.Errorf("the database was touched: %v", err)
	}
	if left, err := filepath.Glob(filepath.Join(dir, "*.db")); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v %v", left, err)
	}
	return talk
}

// A drill says how long it took and leaves nothing behind, while the server
// works; a backup is never half there under its name.
func TestDrill(t *testing.T) {
	dbtest.EachAddress(t, func(t *testing.T, address string) {
		e, _, connection := furnished(t, address)
		before := listing(t, e.Dir)
		env := []string{"GATEHOUSE_DATA_DIR=" + e.Dir, "GATEHOUSE_DATABASE=" + address}
		code, out, talk := run(t, env, "backup", "drill")
		if code != 0 || !strings.Contains(out, "It can be restored") || !strings.Contains(out, "open with the master key") {
			t.Fatalf("%d %s %s", code, out, talk)
		}
		if after := listing(t, e.Dir); after != before {
			t.Errorf("the folder held %s, now %s", before, after)
		}
		works(t, e.Client, connection.ID)
		entries, _, err := e.Audit(t.Context(), client.AuditFilter{Action: "backup.made"}, client.Page{})
		if err != nil || len(entries) != 1 {
			t.Errorf("%+v %v", entries, err)
		}

		out = filepath.Join(t.TempDir(), "kept.gz")
		if err := os.WriteFile(out, []byte("of yesterday"), 0o600); err != nil {
			t.Fatal(err)
		}
		if code, _, talk := run(t, env, "backup", "--here", "--out", out); code != 2 || !strings.Contains(talk, "is there already") {
			t.Errorf("%d %s", code, talk)
		}
		broken := append(env, "GATEHOUSE_DATABASE="+filepath.Join(t.TempDir(), "none.db"))
		if code, _, talk := run(t, broken, "backup", "--here", "--out", out, "--replace"); code != 3 {
			t.Errorf("%d %s", code, talk)
		}
		if data, err := os.ReadFile(out); err != nil || string(data) != "of yesterday" {
			t.Errorf("a backup that failed replaced the one before: %q %v", data, err)
		}
	})
}

func listing(t *testing.T, dir string) string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return strings.Join(names, " ")
}

// Neither a download nor a copy on the machine holds the master key, or anything
// that was given as a secret.
func TestBackupHoldsNoSecret(t *testing.T) {
	dbtest.EachAddress(t, func(t *testing.T, address string) {
		e, _, _ := furnished(t, address)
		key, err := os.ReadFile(filepath.Join(e.Dir, "master.key"))
		if err != nil {
			t.Fatal(err)
		}
		lines := strings.Split(strings.TrimSpace(string(key)), "\n")
		_, master, _ := strings.Cut(lines[len(lines)-1], ":")
		plain := unzipped(t, download(t, e))
		if !strings.Contains(plain, "Nightly backup") {
			t.Fatal("nothing is found at all")
		}
		for what, secret := range map[string]string{"the master key": master, "a password": *e.Lab.Tenant("openharbour").User("svc-backup").Password, "the operator's password": testenv.Password, "the session": e.Token()} {
			for _, shape := range shapes(secret) {
				if strings.Contains(plain, shape) {
					t.Errorf("the backup shows %s", what)
				}
			}
		}
	})
}

func unzipped(t *testing.T, data []byte) string {
	t.Helper()
	r, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	plain, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return string(plain)
}
