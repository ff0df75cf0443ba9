package cli_test

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"gatehouse/internal/cli"
	"gatehouse/lab"
)

var update = flag.Bool("update", false, "write golden files")

// shell runs command lines against one lab.
type shell struct {
	t      *testing.T
	lab    *lab.Lab
	folder string
	env    map[string]string
}

func newShell(t *testing.T) *shell {
	t.Helper()
	s := &shell{t: t, lab: lab.Start(t, lab.WithConfig(func(c *lab.Config) { c.Deterministic = true })), folder: t.TempDir(), env: map[string]string{}}
	ready := filepath.Join(s.folder, "lab.json")
	if err := s.lab.WriteReady(ready); err != nil {
		t.Fatal(err)
	}
	s.env["GATEHOUSE_LAB"] = ready
	return s
}

func (s *shell) file(name, content string) string {
	s.t.Helper()
	path := filepath.Join(s.folder, name)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		s.t.Fatal(err)
	}
	return path
}

func (s *shell) run(args ...string) (code int, stdout, stderr string) {
	s.t.Helper()
	var out, talk bytes.Buffer
	code = cli.Main(s.t.Context(), args, cli.Env{Stdin: strings.NewReader(""), Stdout: &out, Stderr: &talk, Getenv: func(key string) string { return s.env[key] }})
	return code, out.String(), talk.String()
}

// identity gives the flags of an account with its tenant's reader.
func (s *shell) identity(tenant, user string) []string {
	at := s.lab.Tenant(tenant)
	u := at.User(user)
	return []string{"check", "--cloud", "lab", "--tenant", at.Domain, "--username", u.UPN, "--password-file", s.file("password", *u.Password+"\n"), "--service", "graph"}
}

func (s *shell) reader(tenant string) []string {
	reader := s.lab.Tenant(tenant).App("Gatehouse reader")
	return []string{"--reader-client-id", reader.ClientID, "--reader-certificate-file", *reader.CertificateFile}
}

// What differs from run to run.
var volatile = []struct {
	pattern *regexp.Regexp
	with    string
}{
	{regexp.MustCompile(`"took_ms":[0-9.]+`), `"took_ms":0`},
	{regexp.MustCompile(`"age_seconds":[0-9]+`), `"age_seconds":0`},
	{regexp.MustCompile(`"(taken_at|correlation_id|request_id|time|as_of|expires)":"[^"]+"`), `"$1":"…"`},
	{regexp.MustCompile(`found: [0-9a-f-]{36}`), `found: …`},
	{regexp.MustCompile(`"(cloud)":"[^"]+"`), `"$1":"lab"`},
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	for _, v := range volatile {
		got = v.pattern.ReplaceAllString(got, v.with)
	}
	var indented bytes.Buffer
	if err := json.Indent(&indented, []byte(got), "", "  "); err != nil {
		t.Fatalf("no JSON: %v\n%s", err, got)
	}
	path := filepath.Join("testdata", name+".golden.json")
	if *update {
		if err := os.WriteFile(path, indented.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), indented.String()); diff != "" {
		t.Errorf("%s differs (-want +got); if the change is meant, it needs a CHANGELOG line and -update:\n%s", path, diff)
	}
}

// The JSON of check is a contract.
func TestCheckGolden(t *testing.T) {
	t.Parallel()
	s := newShell(t)
	tests := []struct {
		name string
		args []string
		code int
	}{
		{"check-works", append(s.identity("openharbour", "svc-backup"), s.reader("openharbour")...), 0},
		{"check-security-defaults", append(s.identity("defaultshield", "svc-connection"), s.reader("defaultshield")...), 1},
		{"check-per-user-mfa", append(s.identity("profilepark", "svc-avepoint"), s.reader("profilepark")...), 1},
		{"check-no-reader", s.identity("profilepark", "svc-avepoint"), 1},
		{"check-disabled", s.identity("brokenbay", "svc-disabled"), 1},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			// The password file is shared: write the one that belongs to the user.
			at := strings.SplitN(test.args[4], ".", 2)[0]
			user := test.args[6]
			s.file("password", *s.lab.Tenant(at).User(user).Password+"\n")
			code, out, talk := s.run(append(test.args, "--json")...)
			if code != test.code || talk != "" {
				t.Errorf("exit %d, want %d; stderr %q", code, test.code, talk)
			}
			golden(t, test.name, out)
		})
	}
}

// For people: verdict and rule first, then who acts and what helps.
func TestCheckForPeople(t *testing.T) {
	t.Parallel()
	s := newShell(t)
	code, out, _ := s.run(append(s.identity("defaultshield", "svc-connection"), s.reader("defaultshield")...)...)
	if code != 1 {
		t.Errorf("exit %d", code)
	}
	at := 0
	for _, want := range []string{"Blocked: svc-connection@defaultshield.example", "Rule: Security Defaults", "Through the app: Microsoft Graph Command Line Tools",
		"Who acts: ", "What helps: Move to an app-only identity", "  1. ", "Other ways:", "lowers protection", "What was looked at:", "correlation id"} {
		i := strings.Index(out[at:], want)
		if i < 0 {
			t.Fatalf("%q is missing or out of order in:\n%s", want, out)
		}
		at += i
	}
	if strings.Contains(out, "\x1b[") {
		t.Error("colours although the output is no terminal")
	}
	if strings.Contains(out, *s.lab.Tenant("defaultshield").User("svc-connection").Password) {
		t.Error("the password is shown")
	}
}

func TestCheckUsage(t *testing.T) {
	s := newShell(t)
	password := s.file("password", "x")
	ok := []string{"check", "--cloud", "lab", "--tenant", "openharbour.onmicrosoft.com", "--username", "svc-backup@openharbour.example", "--password-file", password}
	tests := []struct {
		name string
		args []string
		want string
	}{
		{"no tenant", []string{"check"}, "--tenant is missing"},
		{"bad tenant", []string{"check", "--tenant", "a/b"}, `--tenant is "a/b"`},
		{"nobody", []string{"check", "--cloud", "lab", "--tenant", "openharbour.onmicrosoft.com"}, "nobody to check"},
		{"bad user", []string{"check", "--cloud", "lab", "--tenant", "t.example", "--username", "svc", "--password-file", password}, `--username is "svc"`},
		{"unknown flag", []string{"check", "--tennant", "x"}, "--tennant"},
		{"unknown command", []string{"chekc"}, "chekc"},
		{"unknown service", append(ok, "--service", "grahp"), `--service is "grahp"`},
		{"foreign site", append(ok, "--service", "sharepoint", "--site", "https://contoso.sharepoint.com.fabrikam.example/"), "--site"},
		{"flag of another service", append(ok, "--site", "https://x"), "--site does not belong"},
		{"bad client id", append(ok, "--client-id", "42"), `--client-id is "42"`},
		{"secret with a user", append(ok, "--secret-file", password), "--username goes with a password"},
		{"missing password file", []string{"check", "--cloud", "lab", "--tenant", "t.example", "--username", "a@b.example", "--password-file", filepath.Join(s.folder, "none")}, "--password-file"},
		{"no password", []string{"check", "--cloud", "lab", "--tenant", "t.example", "--username", "a@b.example"}, "GATEHOUSE_PASSWORD"},
		{"empty password file", []string{"check", "--cloud", "lab", "--tenant", "t.example", "--username", "a@b.example", "--password-file", s.file("empty", "\n")}, "is empty"},
		{"certificate is none", []string{"check", "--cloud", "lab", "--tenant", "t.example", "--client-id", "11111111-2222-3333-4444-555555555555", "--certificate", password}, "not PEM"},
		{"reader without credential", append(ok, "--reader-client-id", "11111111-2222-3333-4444-555555555555"), "a reader needs"},
		{"unknown cloud", []string{"check", "--cloud", "mars", "--tenant", "t.example", "--username", "a@b.example"}, `no cloud is called "mars"`},
		{"cloud file is none", []string{"check", "--cloud", password + ".json", "--tenant", "t.example", "--username", "a@b.example"}, "reading cloud file"},
		{"snapshot is none", append(ok, "--snapshot", password), "--snapshot"},
		{"snapshot of another format", append(ok, "--snapshot", s.file("old", `{"format":99,"taken_at":"2026-01-01T00:00:00Z"}`)), "format is 99"},
		{"federation host with a path", append(ok, "--allow-federation-host", "https://sts.example/"), "--allow-federation-host"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			code, out, talk := s.run(test.args...)
			if code != 2 || out != "" || !strings.Contains(talk, test.want) {
				t.Errorf("exit %d, stdout %q, stderr %q; want 2 and %q", code, out, talk, test.want)
			}
		})
	}
	delete(s.env, "GATEHOUSE_LAB")
	if code, _, talk := s.run(ok...); code != 2 || !strings.Contains(talk, "GATEHOUSE_LAB is not set") {
		t.Errorf("without GATEHOUSE_LAB: %d %q", code, talk)
	}
}

// A cloud that cannot be reached is exit 3: could not find out.
func TestCheckUnreachable(t *testing.T) {
	s := newShell(t)
	file := s.file("endpoints.json", `{"login":"https://127.0.0.1:1","graph":"https://127.0.0.1:1"}`)
	code, out, _ := s.run("check", "--cloud", file, "--tenant", "t.example", "--username", "a@b.example", "--password-file", s.file("password", "x"), "--json")
	var result struct {
		Verdict   string `json:"verdict"`
		Diagnosis *struct {
			Remedies []any `json:"remedies"`
		} `json:"diagnosis"`
	}
	if err := json.Unmarshal([]byte(out), &result); err != nil {
		t.Fatal(err)
	}
	if code != 3 || result.Verdict != "unknown" || result.Diagnosis == nil || len(result.Diagnosis.Remedies) == 0 {
		t.Errorf("exit %d: %s", code, out)
	}
}

func TestPostureSnapshot(t *testing.T) {
	t.Parallel()
	s := newShell(t)
	file := filepath.Join(s.folder, "posture.json")
	args := append([]string{"posture", "snapshot", "--cloud", "lab", "--tenant", "defaultshield.onmicrosoft.com", "--account", "svc-connection@defaultshield.example", "--out", file}, s.reader("defaultshield")...)
	if code, _, talk := s.run(args...); code != 0 || !strings.Contains(talk, "1 account(s), 0 app(s), 1 part(s) not read") { // the registration report needs a licence
		t.Fatalf("exit %d: %s", code, talk)
	}
	code, out, _ := s.run(append(s.identity("defaultshield", "svc-connection"), "--snapshot", file, "--json")...)
	if code != 1 || !strings.Contains(out, `"kind":"security_defaults"`) {
		t.Errorf("exit %d: %s", code, out)
	}
	reader := s.lab.Tenant("defaultshield").App("Gatehouse reader")
	wrong := []string{"posture", "snapshot", "--cloud", "lab", "--tenant", "defaultshield.onmicrosoft.com", "--reader-client-id", reader.ClientID, "--reader-secret-file", s.file("wrong", "wrong-secret-for-the-reader")}
	if code, _, talk := s.run(wrong...); code != 3 || !strings.Contains(talk, "AADSTS7000215") {
		t.Errorf("wrong secret: exit %d: %s", code, talk)
	}
	if code, _, talk := s.run("posture", "snapshot", "--cloud", "lab", "--tenant", "x.example"); code != 2 || !strings.Contains(talk, "--reader-client-id is missing") {
		t.Errorf("no reader: exit %d: %s", code, talk)
	}
}

func TestLabCommand(t *testing.T) {
	folder := t.TempDir()
	ready := filepath.Join(folder, "lab.json")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var out, talk bytes.Buffer
	done := make(chan int)
	go func() {
		done <- cli.Main(ctx, []string{"lab", "--ready-file", ready, "--state", filepath.Join(folder, "state"), "--seed", "42"},
			cli.Env{Stdin: strings.NewReader(""), Stdout: &out, Stderr: &talk, Getenv: func(string) string { return "" }})
	}()
	var content struct {
		URL  string `json:"url"`
		Seed uint64 `json:"seed"`
	}
	for deadline := time.Now().Add(20 * time.Second); ; {
		data, err := os.ReadFile(ready)
		if err == nil {
			if err := json.Unmarshal(data, &content); err != nil {
				t.Fatalf("the ready file is half written: %v", err)
			}
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("no ready file: %s", talk.String())
		}
	}
	cancel()
	if code := <-done; code != 0 || content.Seed != 42 || !strings.HasPrefix(content.URL, "https://127.0.0.1:") {
		t.Errorf("exit %d, %+v, %s", code, content, talk.String())
	}
	if !strings.Contains(out.String(), "The lab is ready") || !strings.Contains(out.String(), "defaultshield.onmicrosoft.com") {
		t.Errorf("stdout: %s", out.String())
	}
}

func TestLabTenantsCheck(t *testing.T) {
	s := newShell(t)
	good := s.file("good.json", lab.BuiltIn())
	if code, out, _ := s.run("lab", "--tenants", good, "--check"); code != 0 || !strings.Contains(out, "fine") {
		t.Errorf("good file: %d %s", code, out)
	}
	bad := s.file("bad.json", `{"tenants":[{"name":"A","domain":"a.onmicrosoft.com","users":[{"upn":"x"}],"appz":[]}]}`)
	code, out, _ := s.run("lab", "--tenants", bad, "--check")
	if code != 1 || !strings.Contains(out, "tenants[0].users[0].upn") || !strings.Contains(out, `did you mean "apps"?`) {
		t.Errorf("bad file: %d %s", code, out)
	}
	code, out, _ = s.run("lab", "--tenants", bad, "--check", "--json")
	var faults struct {
		Faults []struct{ Path, Problem string } `json:"faults"`
	}
	if err := json.Unmarshal([]byte(out), &faults); err != nil || code != 1 || len(faults.Faults) != 2 {
		t.Errorf("bad file, JSON: %d %s %v", code, out, err)
	}
	if code, _, talk := s.run("lab", "--tenants", bad); code != 2 || !strings.Contains(talk, "2 fault(s)") {
		t.Errorf("starting with a bad file: %d %s", code, talk)
	}
	if code, _, talk := s.run("lab", "--check"); code != 2 || !strings.Contains(talk, "--tenants") {
		t.Errorf("--check alone: %d %s", code, talk)
	}
	if code, _, talk := s.run("lab", "--listen", "256.0.0.1:99999"); code != 2 || !strings.Contains(talk, "listening on") {
		t.Errorf("bad address: %d %s", code, talk)
	}
}

// The printed settings lead curl to the lab under Microsoft's names.
func TestLabEnv(t *testing.T) {
	s := newShell(t)
	code, out, talk := s.run("lab", "env", "curl")
	if code != 0 || !strings.Contains(out, "CURL_CA_BUNDLE='"+s.lab.Ready().CAFile+"'") || !strings.Contains(out, "HTTPS_PROXY='"+s.lab.Ready().ProxyURL+"'") || strings.Contains(out, "NODE") {
		t.Errorf("exit %d: %s %s", code, out, talk)
	}
	code, out, _ = s.run("lab", "env", "--json")
	var tools map[string][]struct{ Name, Value string }
	if err := json.Unmarshal([]byte(out), &tools); err != nil || code != 0 || len(tools) != 6 || len(tools["powershell"]) == 0 {
		t.Errorf("exit %d: %s %v", code, out, err)
	}
	if code, _, talk := s.run("lab", "env", "perl"); code != 2 || !strings.Contains(talk, "node, go, curl") {
		t.Errorf("unknown tool: %d %s", code, talk)
	}
	if code, _, talk := s.run("lab", "env", "--ready-file", s.file("other.json", "{}")); code != 2 || !strings.Contains(talk, "not the ready file") {
		t.Errorf("another file: %d %s", code, talk)
	}
	delete(s.env, "GATEHOUSE_LAB")
	if code, _, talk := s.run("lab", "env"); code != 2 || !strings.Contains(talk, "GATEHOUSE_LAB") {
		t.Errorf("no lab: %d %s", code, talk)
	}
	if code, _, talk := s.run("lab", "nonsense"); code != 2 || !strings.Contains(talk, "nonsense") {
		t.Errorf("unknown subcommand: %d %s", code, talk)
	}
}

func TestLabScenarios(t *testing.T) {
	s := &shell{t: t, env: map[string]string{}}
	if code, out, _ := s.run("lab", "scenarios"); code != 0 || !strings.Contains(out, "AADSTS50076") || strings.Count(out, "\n") != len(lab.Scenarios()) {
		t.Errorf("exit %d: %s", code, out)
	}
	code, out, _ := s.run("lab", "scenarios", "refresh-token-revoked")
	for _, want := range []string{"revoke the sessions", "AADSTS50173: ", "Correlation ID: ", "What helps: "} {
		if code != 0 || !strings.Contains(out, want) {
			t.Errorf("exit %d, %q is missing: %s", code, want, out)
		}
	}
	if code, out, _ := s.run("lab", "scenarios", "wrong-secret", "--json"); code != 0 || !strings.Contains(out, `"error_codes":[7000215]`) {
		t.Errorf("exit %d: %s", code, out)
	}
	if code, _, talk := s.run("lab", "scenarios", "nonsense"); code != 2 || !strings.Contains(talk, "nonsense") {
		t.Errorf("exit %d: %s", code, talk)
	}
}

// Every command's help says what it does and ends in an example.
func TestHelp(t *testing.T) {
	s := &shell{t: t, env: map[string]string{}}
	for _, command := range [][]string{{"check"}, {"explain"}, {"lab"}, {"lab", "env"}, {"lab", "scenarios"}, {"demo"}, {"posture", "snapshot"}, {"posture", "explain"}, {"version"}} {
		code, out, _ := s.run(append(command, "--help")...)
		if code != 0 || !strings.Contains(out, "Examples:") || !strings.Contains(out, "gatehouse "+strings.Join(command, " ")) {
			t.Errorf("%v: exit %d\n%s", command, code, out)
		}
	}
	if code, out, _ := s.run("version"); code != 0 || !strings.HasPrefix(out, "gatehouse ") {
		t.Errorf("version: %d %q", code, out)
	}
	if code, out, _ := s.run(); code != 0 || !strings.Contains(out, "check") {
		t.Errorf("no arguments: %d %q", code, out)
	}
}
