package server_test

import (
	"context"
	"crypto/x509"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gatehouse/client"
	"gatehouse/internal/cli"
	"gatehouse/internal/sqldb/dbtest"
	"gatehouse/internal/testenv"
	"gatehouse/lab"
)

// TestMain lets a test start `gatehouse serve`, and callers of a server, as processes
// of their own.
func TestMain(m *testing.M) {
	os.Exit(dbtest.Main(m, map[string]func(){"serve": func() {
		os.Exit(cli.Main(context.Background(), []string{"serve"}, cli.Env{Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stdout, Getenv: os.Getenv}))
	}, "callers": callers}))
}

// killed is a server process that is started again after each kill.
type killed struct {
	t       testing.TB
	url     string
	env     []string
	caFile  string
	process *dbtest.Process
}

func (k *killed) start() (first string) {
	k.t.Helper()
	k.process = dbtest.Start(k.t, "serve", k.env...)
	for line := range k.process.Lines {
		if i := strings.Index(line, k.url+"/setup/"); i >= 0 {
			first = strings.TrimSpace(line[i:])
		}
		if strings.Contains(line, "msg=ready") {
			lines := k.process.Lines
			go func() {
				for range lines { // so that it is never held up
				}
			}()
			return first
		}
		if strings.Contains(line, "gatehouse:") {
			k.t.Log(line)
		}
	}
	k.t.Fatal("the server ended instead of starting")
	return ""
}

func (k *killed) kill() {
	k.t.Helper()
	if err := k.process.Process.Kill(); err != nil {
		k.t.Fatal(err)
	}
	_ = k.process.Wait() // killed
}

func (k *killed) client(token string) *client.Client {
	k.t.Helper()
	pem, err := os.ReadFile(k.caFile)
	roots := x509.NewCertPool()
	if err != nil || !roots.AppendCertsFromPEM(pem) {
		k.t.Fatalf("reading the authority: %v", err)
	}
	c, err := client.New(k.url, client.WithRoots(roots), client.WithToken(token))
	if err != nil {
		k.t.Fatal(err)
	}
	return c
}

// newKilled prepares a server on a database, with a lab.
func newKilled(t testing.TB, address string, l *lab.Lab) *killed {
	t.Helper()
	dir := t.TempDir()
	ready := filepath.Join(dir, "lab.json")
	if err := l.WriteReady(ready); err != nil {
		t.Fatal(err)
	}
	port := freePort(t)
	return &killed{t: t, url: fmt.Sprintf("https://localhost:%d", port), caFile: filepath.Join(dir, "data", "tls", "ca.pem"), env: []string{
		"GATEHOUSE_LISTEN=127.0.0.1:" + fmt.Sprint(port), "GATEHOUSE_DATA_DIR=" + filepath.Join(dir, "data"), "GATEHOUSE_DATABASE=" + address,
		"GATEHOUSE_CLOUD=lab", "GATEHOUSE_LAB=" + ready,
	}}
}

func freePort(t testing.TB) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

func (k *killed) setUp(link string) string {
	k.t.Helper()
	ctx, c := k.t.Context(), k.client("")
	if _, err := c.SetUp(ctx, client.SetUpRequest{Link: link, Email: "ada@contoso.example", Name: "Ada", Password: testenv.Password}); err != nil {
		k.t.Fatal(err)
	}
	g, err := c.NewGenerator(ctx)
	if err != nil {
		k.t.Fatal(err)
	}
	s, err := c.ConfirmGenerator(ctx, client.GeneratorRequest{Code: testenv.Code(k.t, g.Secret)})
	if err != nil {
		k.t.Fatal(err)
	}
	return s.Token
}
