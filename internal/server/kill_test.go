package server_test

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"gatehouse/client"
	"gatehouse/internal/cli"
	"gatehouse/internal/sqldb"
	"gatehouse/internal/sqldb/dbtest"
	"gatehouse/internal/testenv"
	"gatehouse/lab"
)

// TestMain lets a test start `gatehouse serve` as a process of its own.
func TestMain(m *testing.M) {
	os.Exit(dbtest.Main(m, map[string]func(){"serve": func() {
		os.Exit(cli.Main(context.Background(), []string{"serve"}, cli.Env{Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stdout, Getenv: os.Getenv}))
	}}))
}

// acknowledged is what the server said was done.
type acknowledged struct {
	mu          sync.Mutex
	tenants     []string
	connections []string
	runs        []string
}

func (a *acknowledged) note(list *[]string, id string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	*list = append(*list, id)
}

// killed is a server process that is started again after each kill.
type killed struct {
	t       *testing.T
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
			go func() {
				for range k.process.Lines { // so that it is never held up
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
func newKilled(t *testing.T, address string, l *lab.Lab) *killed {
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

func freePort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

// domains are the lab's tenants by domain.
func domains(l *lab.Lab) (all []string) {
	for _, t := range l.Ready().Tenants {
		all = append(all, t.Domain)
	}
	return all
}

// load makes tenants, connections and validations until the server is gone.
func (a *acknowledged) load(ctx context.Context, c *client.Client, domains []string, worker int) {
	for i := 0; ctx.Err() == nil; i++ {
		domain := domains[rand.IntN(len(domains))]
		if t, err := c.AddTenant(ctx, client.TenantRequest{Tenant: domain, Name: domain}); err == nil {
			a.note(&a.tenants, t.ID)
		} else if gone(err) {
			return
		}
		a.mu.Lock()
		tenant := ""
		if n := len(a.tenants); n > 0 {
			tenant = a.tenants[rand.IntN(n)]
		}
		a.mu.Unlock()
		if tenant == "" {
			continue
		}
		added, err := c.AddConnection(ctx, client.ConnectionRequest{
			TenantID: tenant, Kind: "app", Profile: client.Profile{Name: fmt.Sprintf("c-%d-%d-%d", worker, i, rand.Int64()), ClientID: "11111111-2222-3333-4444-555555555555", Services: []string{"graph"}},
			Credential: client.CredentialRequest{Secret: "wrong"},
		})
		if err != nil {
			if gone(err) {
				return
			}
			continue
		}
		a.note(&a.connections, added.ID)
		if v, err := c.StartValidation(ctx, added.ID); err == nil {
			a.note(&a.runs, v.ID)
		} else if gone(err) {
			return
		}
	}
}

// gone reports that no answer came at all.
func gone(err error) bool {
	var p *client.Problem
	return !errors.As(err, &p)
}

// Whenever the server is killed under load, each acknowledged change is there,
// each acknowledged validation comes to an end, and the audit log verifies.
func TestKilled(t *testing.T) {
	rounds := 5 // on each database
	if os.Getenv("GATEHOUSE_SOAK") == "1" {
		rounds = 50
	}
	l := lab.Start(t)
	dbtest.EachAddress(t, func(t *testing.T, address string) {
		k := newKilled(t, address, l)
		token := k.setUp(k.start())
		var a acknowledged
		for range rounds {
			var wg sync.WaitGroup
			for worker := range 3 {
				c := k.client(token)
				wg.Go(func() { a.load(t.Context(), c, domains(l), worker) })
			}
			time.AfterFunc(time.Duration(100+rand.IntN(500))*time.Millisecond, func() { _ = k.process.Process.Kill() }) // the kill itself
			wg.Wait()
			_ = k.process.Wait() // killed
			k.start()
		}
		c := k.client(token)
		k.check(c, &a)
		k.kill()
		noAnswerLost(t, address)
		t.Logf("%d tenants, %d connections, %d validations acknowledged", len(a.tenants), len(a.connections), len(a.runs))
		if len(a.connections) < rounds {
			t.Error("there was hardly any load")
		}
	})
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

func (k *killed) check(c *client.Client, a *acknowledged) {
	k.t.Helper()
	ctx, cancel := context.WithTimeout(k.t.Context(), time.Minute)
	defer cancel()
	for _, id := range a.tenants {
		if _, err := c.Tenant(ctx, id); err != nil {
			k.t.Errorf("the tenant %s was acknowledged: %v", id, err)
		}
	}
	for _, id := range a.connections {
		if _, err := c.Connection(ctx, id); err != nil {
			k.t.Errorf("the connection %s was acknowledged: %v", id, err)
		}
	}
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for _, id := range a.runs {
		for {
			v, err := c.Validation(ctx, id)
			if err != nil {
				k.t.Errorf("the validation %s was acknowledged: %v", id, err)
				break
			}
			if v.Ended() {
				break
			}
			<-tick.C
		}
	}
	if _, err := c.VerifyAudit(ctx); err != nil {
		k.t.Errorf("the audit log: %v", err)
	}
}

// noAnswerLost looks into the database: no change without its entry in the log.
func noAnswerLost(t *testing.T, address string) {
	t.Helper()
	db, err := sqldb.Open(t.Context(), address)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	var without int
	if err := db.Read().NewRaw("SELECT count(*) FROM connections c WHERE NOT EXISTS (SELECT 1 FROM audit a WHERE a.object_id = c.id AND a.outcome = 'done')").Scan(t.Context(), &without); err != nil || without != 0 {
		t.Errorf("%d connections without an entry in the audit log: %v", without, err)
	}
}
