package server_test

import (
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gatehouse/client"
	"gatehouse/internal/audit"
	"gatehouse/internal/config"
	"gatehouse/internal/secrets"
	"gatehouse/internal/server"
	"gatehouse/internal/sqldb/dbtest"
	"gatehouse/internal/testenv"
)

// The way in: the link of the first start, a password, a code; then a tenant.
func TestFirstStart(t *testing.T) {
	testenv.Each(t, func(t *testing.T, e *testenv.Env) {
		ctx := t.Context()
		s, err := e.Session(ctx)
		if err != nil || s.Stage != client.StageSignedIn || s.Operator.Roles[client.AllTenants] != "administrator" {
			t.Fatalf("%+v %v", s, err)
		}
		added, err := e.AddTenant(ctx, client.TenantRequest{Tenant: "openharbour.onmicrosoft.com", Name: "Open Harbour"})
		if err != nil {
			t.Fatal(err)
		}
		tenants, next, err := e.Tenants(ctx, client.TenantFilter{}, client.Page{})
		if err != nil || next != "" || len(tenants) != 1 || tenants[0].ID != added.ID {
			t.Fatalf("%+v %q %v", tenants, next, err)
		}
		if !strings.Contains(e.Talk(), "master.key") {
			t.Errorf("nobody was told of the new master key: %s", e.Talk())
		}
		// The link works once.
		_, err = e.NewClient().SetUp(ctx, client.SetUpRequest{Link: e.SetUpLink(), Email: "mallory@contoso.example", Password: testenv.Password})
		if p := problem(t, err); p.Type != client.ProblemSignIn || p.Status != http.StatusUnauthorized {
			t.Errorf("the link works twice: %+v", p)
		}
	})
}

func problem(t *testing.T, err error) *client.Problem {
	t.Helper()
	var p *client.Problem
	if !errors.As(err, &p) {
		t.Fatalf("no problem but %v", err)
	}
	return p
}

// A restart finds everything: no new link, the same authority, the session.
func TestRestart(t *testing.T) {
	dbtest.EachAddress(t, func(t *testing.T, address string) {
		e := testenv.Start(t, testenv.Options{Database: address})
		if err := e.Stop(); err != nil {
			t.Fatal(err)
		}
		ca, err := os.ReadFile(e.Server.CAFile())
		if err != nil {
			t.Fatal(err)
		}
		again := testenv.Bare(t, testenv.Options{Database: address, Dir: e.Dir, Lab: e.Lab})
		if again.SetUpLink() != "" {
			t.Error("a second start with an administrator prints a link")
		}
		after, err := os.ReadFile(again.Server.CAFile())
		if err != nil || string(after) != string(ca) {
			t.Errorf("another authority: %v", err)
		}
		if _, err := again.NewClient(client.WithToken(e.Token())).Session(t.Context()); err != nil {
			t.Errorf("the session did not survive: %v", err)
		}
		if err := again.Stop(); err != nil {
			t.Fatal(err)
		}
		// Without the master key, or with one of another installation, nothing starts.
		key := filepath.Join(e.Dir, "master.key")
		right, err := os.ReadFile(key)
		if err != nil {
			t.Fatal(err)
		}
		other := filepath.Join(testenv.Bare(t, testenv.Options{Lab: e.Lab}).Dir, "master.key")
		for what, file := range map[string]string{"another key": other, "no key": filepath.Join(t.TempDir(), "none"), "a damaged key": damaged(t, right)} {
			s, err := server.New(t.Context(), server.Config{
				Config: config.Config{Listen: "127.0.0.1:0", PublicURL: "https://localhost", DataDir: e.Dir, Database: secrets.New(address), KeyFile: file, TLS: config.TLS{Mode: config.TLSSelf}},
				Cloud:  testenv.Cloud(e.Lab),
			})
			if err == nil {
				t.Errorf("started with %s", what)
				if err := s.Close(); err != nil {
					t.Error(err)
				}
			} else if !strings.Contains(err.Error(), "key") {
				t.Errorf("%s: %v", what, err)
			}
			if _, err := os.Stat(file); what == "no key" && err == nil {
				t.Error("a new key was made for secrets that it cannot open")
			}
		}
	})
}

func damaged(t *testing.T, key []byte) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "damaged.key")
	if err := os.WriteFile(file, key[:len(key)/2], 0o600); err != nil { //nolint:gosec // a file of the test
		t.Fatal(err)
	}
	return file
}

// Every day the end of the audit log is signed, and the statement is logged.
func TestDailyCheckpoint(t *testing.T) {
	e := testenv.Start(t)
	tick, deadline := time.NewTicker(20*time.Millisecond), time.After(time.Minute)
	defer tick.Stop()
	for !strings.Contains(e.Log(), `"msg":"audit checkpoint"`) {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatal("nothing was signed")
		}
	}
	r, err := e.VerifyAudit(t.Context())
	if err != nil || r.Checkpoints != 1 || r.Signed == 0 {
		t.Fatalf("%+v %v", r, err)
	}
	var c struct {
		Seq       int64
		Hash, Key string
		At        time.Time
		Signature string
	}
	for line := range strings.Lines(e.Log()) {
		if strings.Contains(line, "audit checkpoint") {
			if err := json.Unmarshal([]byte(line), &c); err != nil {
				t.Fatal(err)
			}
		}
	}
	key, err := base64.StdEncoding.DecodeString(c.Key)
	signed := audit.Checkpoint{Seq: c.Seq, Hash: c.Hash, At: c.At, Key: c.Key, Signature: c.Signature}
	if err != nil || c.Seq != r.Signed || !signed.Signed(ed25519.PublicKey(key)) {
		t.Errorf("the log says %+v: %v", c, err)
	}
}
