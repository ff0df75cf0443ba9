package cli_test

import (
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"gatehouse/internal/testenv"
	"gatehouse/lab"
)

// TestServerScripts runs testdata/server, one file for each noun, against a
// server: each as an administrator of its own, who is signed in already.
// `code N COMMAND…` demands an exit code.
func TestServerScripts(t *testing.T) {
	t.Parallel()
	e := testenv.Start(t)
	ready := filepath.Join(t.TempDir(), "lab.json")
	if err := e.Lab.WriteReady(ready); err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, testscript.Params{
		Dir: "testdata/server",
		Setup: func(s *testscript.Env) error {
			name := strings.TrimPrefix(filepath.Base(s.WorkDir), "script-")
			token := e.Member(name+"@contoso.example", map[string]string{"*": "administrator"}).Token()
			session, err := json.Marshal(map[string]any{"server": e.URL, "ca_file": e.Server.CAFile(), "token": token, "expires_at": time.Now().Add(time.Hour)})
			if err != nil {
				return err
			}
			s.Setenv("GATEHOUSE_SESSION", filepath.Join(s.WorkDir, "session.json"))
			s.Setenv("GATEHOUSE_LAB", ready)
			s.Setenv("SERVER", e.URL)
			s.Setenv("CA", e.Server.CAFile())
			s.Setenv("APP", e.Lab.Tenant("tiertown").App("Lab administration").ClientID)
			at := e.Lab.Tenant("defaultshield")
			files := map[string]string{
				"session.json": string(session), "connection.pw": *at.User("svc-connection").Password, "plain.pw": *at.User("svc-plain").Password,
				"admin.token": adminToken(t, e.Lab, "azurequay"), "weak.token": appToken(t, e.Lab, "openharbour", "Backup app"),
				"app.secret": *e.Lab.Tenant("tiertown").App("Lab administration").Secret,
			}
			for file, text := range files {
				if err := os.WriteFile(filepath.Join(s.WorkDir, file), []byte(text), 0o600); err != nil {
					return err
				}
			}
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"code": exitCode},
	})
}

func exitCode(s *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		s.Fatalf("usage: code N COMMAND…")
	}
	want, err := strconv.Atoi(args[0])
	s.Check(err)
	got := 0
	if err := s.Exec(args[1], args[2:]...); err != nil {
		ended, ok := errors.AsType[*exec.ExitError](err)
		if !ok {
			s.Fatalf("%v", err)
		}
		got = ended.ExitCode()
	}
	if got != want {
		s.Fatalf("exit %d, want %d", got, want)
	}
}

// adminToken is what an administrator of a tenant could give to setup.
func adminToken(t *testing.T, l *lab.Lab, tenant string) string {
	t.Helper()
	return appToken(t, l, tenant, "Lab administration")
}
