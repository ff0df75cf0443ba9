package cli_test

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gatehouse/client"
	"gatehouse/internal/cli"
	"gatehouse/internal/testenv"
)

// terminal runs commands against a server, with a session file of its own.
type terminal struct {
	t   *testing.T
	env map[string]string
}

func (x *terminal) run(args ...string) (code int, stdout, stderr string) {
	x.t.Helper()
	var out, talk bytes.Buffer
	code = cli.Main(context.Background(), args, cli.Env{Stdin: strings.NewReader(""), Stdout: &out, Stderr: &talk, Getenv: func(name string) string { return x.env[name] }})
	return code, out.String(), talk.String()
}

// must runs a command that answers with JSON.
func (x *terminal) must(into any, args ...string) {
	x.t.Helper()
	code, out, talk := x.run(append(args, "--json")...)
	if code != 0 {
		x.t.Fatalf("%v: exit %d: %s", args, code, talk)
	}
	if err := json.Unmarshal([]byte(out), into); err != nil {
		x.t.Fatalf("%v: %v in %s", args, err, out)
	}
}

// The way through the command line: setup, sign out and in, a tenant, a
// connection, its validation, and their removal, which asks for the name.
func TestRemote(t *testing.T) {
	t.Parallel()
	e := testenv.Bare(t)
	dir := t.TempDir()
	x := &terminal{t, map[string]string{
		"GATEHOUSE_SESSION": filepath.Join(dir, "sessions", "session.json"), "GATEHOUSE_CA": e.Server.CAFile(), "GATEHOUSE_PASSWORD": testenv.Password,
	}}
	if code, _, talk := x.run("tenant", "list"); code != 2 || !strings.Contains(talk, "which server?") {
		t.Errorf("without a server: exit %d: %s", code, talk)
	}
	if code, _, talk := x.run("tenant", "list", "--server", e.URL); code != 1 || !strings.Contains(talk, "session start") {
		t.Errorf("without a session: exit %d: %s", code, talk)
	}

	// Link and code through a pipe: the secret is known only once setup runs.
	secretFile := filepath.Join(dir, "secret")
	code, out, talk := setUp(t, x, e.SetUpLink(), secretFile, "setup", "--email", "ada@contoso.example", "--secret-file", secretFile)
	if code != 0 || !strings.Contains(out, "signed in to "+e.URL) {
		t.Fatalf("setup: exit %d: %s %s", code, out, talk)
	}
	info, err := os.Stat(x.env["GATEHOUSE_SESSION"])
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("the session file: %v %v", info, err)
	}

	var added client.Tenant
	x.must(&added, "tenant", "add", "openharbour.onmicrosoft.com", "--name", "Open Harbour")
	var tenants []client.Tenant
	x.must(&tenants, "tenant", "list")
	if len(tenants) != 1 || tenants[0].ID != added.ID {
		t.Errorf("tenants: %+v", tenants)
	}
	user, ok := userOf(e, "openharbour.onmicrosoft.com")
	if !ok {
		t.Fatal("the lab has nobody in this tenant")
	}
	word := filepath.Join(dir, "password")
	if err := os.WriteFile(word, []byte(user.password), 0o600); err != nil {
		t.Fatal(err)
	}
	var c client.Connection
	x.must(&c, "connection", "add", "Backup", "--tenant", added.ID, "--username", user.name, "--password-file", word, "--service", "graph")
	code, out, talk = x.run("validate", c.ID, "--json")
	var v client.Validation
	if err := json.Unmarshal([]byte(out), &v); err != nil || v.State != "done" || v.Verdict == "" || (code != 0) != (v.Verdict == "blocked" || v.Verdict == "failed" || v.Verdict == "unknown") {
		t.Fatalf("validate: exit %d: %s %s %v", code, out, talk, err)
	}
	if _, out, _ := x.run("validate", c.ID); !strings.Contains(out, "token") {
		t.Errorf("the probes are not told: %s", out)
	}

	if code, _, talk := x.run("tenant", "remove", added.ID); code != 2 || !strings.Contains(talk, `--confirm "Open Harbour"`) || !strings.Contains(talk, "1 connection,") {
		t.Errorf("removing without confirmation: exit %d: %s", code, talk)
	}
	if code, _, talk := x.run("connection", "remove", c.ID, "--confirm", "Backups"); code != 2 {
		t.Errorf("removing under another name: exit %d: %s", code, talk)
	}
	if code, _, talk := x.run("tenant", "remove", added.ID, "--confirm", "Open Harbour"); code != 0 {
		t.Errorf("removing: exit %d: %s", code, talk)
	}
	if code, _, _ := x.run("tenant", "show", added.ID); code != 1 {
		t.Errorf("a tenant that is gone: exit %d", code)
	}
	var report client.AuditReport
	x.must(&report, "audit", "verify")
	exported := filepath.Join(dir, "audit.jsonl")
	if code, _, talk := x.run("audit", "export", "--out", exported); code != 0 {
		t.Fatalf("export: %s", talk)
	}
	if code, out, talk := x.run("audit", "verify", exported); code != 0 || !strings.Contains(out, "as they were written") {
		t.Errorf("verifying an export: exit %d: %s %s", code, out, talk)
	}

	// A file that others can read is not used, and one for another server gives
	// no token to this one.
	if err := os.Chmod(x.env["GATEHOUSE_SESSION"], 0o644); err != nil { //nolint:gosec // that is the case
		t.Fatal(err)
	}
	if code, _, talk := x.run("tenant", "list"); code != 2 || !strings.Contains(talk, "chmod 600") {
		t.Errorf("a session for all to read: exit %d: %s", code, talk)
	}
	if err := os.Chmod(x.env["GATEHOUSE_SESSION"], 0o600); err != nil {
		t.Fatal(err)
	}
	if code, _, talk := x.run("session", "end"); code != 0 {
		t.Errorf("signing out: exit %d: %s", code, talk)
	}
	if _, err := e.NewClient(client.WithToken("gone")).Session(t.Context()); err == nil {
		t.Error("anything goes as a token")
	}
}

// Every command's help ends in an example, and every answer can be had as JSON.
func TestExamples(t *testing.T) {
	x := &terminal{t, nil}
	whole := map[string]bool{"demo": true, "serve": true, "openapi": true, "posture snapshot": true, "policies evaluate": true} // these run, or print JSON anyway
	var walk func(args []string)
	walk = func(args []string) {
		code, out, talk := x.run(append(args, "--help")...)
		_, example, ok := strings.Cut(out, "\nExamples:\n")
		if code != 0 || len(args) > 0 && (!ok || !strings.HasPrefix(example, "  ") || strings.Contains(example, "\n\n")) {
			t.Errorf("%v: exit %d, the help does not end in an example: %s %s", args, code, out, talk)
		}
		_, list, nouns := strings.Cut(out, "Available Commands:\n")
		if !nouns && !whole[strings.Join(args, " ")] && !strings.Contains(out, "--json") {
			t.Errorf("%v: no --json", args)
		}
		list, _, _ = strings.Cut(list, "\n\n")
		for line := range strings.Lines(list) {
			name := strings.Fields(line)
			if len(name) > 0 && name[0] != "help" && name[0] != "completion" {
				walk(append(append([]string{}, args...), name[0]))
			}
		}
	}
	walk(nil)
}

// Names of others cannot steer the terminal.
func TestPlain(t *testing.T) {
	t.Parallel()
	e := testenv.Start(t)
	if _, err := e.AddTenant(t.Context(), client.TenantRequest{Tenant: "openharbour.onmicrosoft.com", Name: "Open \u202eHarbour"}); err != nil {
		t.Fatal(err)
	}
	x := &terminal{t, map[string]string{"GATEHOUSE_SESSION": filepath.Join(t.TempDir(), "session.json")}}
	session, err := json.Marshal(map[string]any{"server": e.URL, "ca_file": e.Server.CAFile(), "token": e.Token()})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(x.env["GATEHOUSE_SESSION"], session, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"tenant", "list"}, {"tenant", "show", "openharbour.onmicrosoft.com"}} {
		if code, out, talk := x.run(args...); code != 0 || strings.ContainsAny(out, "\u202e\x1b") || !strings.Contains(out, "Harbour") {
			t.Errorf("%v: exit %d: %q %s", args, code, out, talk)
		}
	}
}
