// Package testenv starts the real server for tests, on a database of its own and
// with a lab, set up by an administrator who is signed in.
package testenv

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pquerna/otp/totp"

	"gatehouse/client"
	"gatehouse/internal/config"
	"gatehouse/internal/microsoft"
	"gatehouse/internal/secrets"
	"gatehouse/internal/server"
	"gatehouse/internal/sqldb/dbtest"
	"gatehouse/lab"
)

// Password is everybody's.
const Password = "correct horse battery staple"

// Env is a running server.
type Env struct {
	*client.Client // of the administrator
	URL            string
	Database       string
	Dir            string // the data folder
	Roots          *x509.CertPool
	Lab            *lab.Lab
	Server         *server.Server

	t      testing.TB
	talk   *words
	log    *words
	ended  chan struct{}
	cancel context.CancelFunc
	failed error

	clients atomic.Int32
}

// words collects what is written by several goroutines.
type words struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (w *words) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.b.Write(p)
}

func (w *words) String() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.b.String()
}

// Options are what a test may want otherwise.
type Options struct {
	Database string // a new SQLite file if empty
	Dir      string // a new folder if empty
	Lab      *lab.Lab
	Change   func(*server.Config)
}

// Start starts a server with a lab and sets its administrator up. It ends with
// the test.
func Start(t testing.TB, options ...Options) *Env {
	t.Helper()
	e := Bare(t, options...)
	link := e.SetUpLink()
	if link == "" {
		t.Fatalf("the server printed no set-up link: %s", e.talk.String())
	}
	e.Client = e.SetUp(link, "ada@contoso.example")
	return e
}

// Each runs a test with a server on each kind of database.
func Each(t *testing.T, test func(t *testing.T, e *Env)) {
	t.Helper()
	dbtest.EachAddress(t, func(t *testing.T, address string) { test(t, Start(t, Options{Database: address})) })
}

// Bare starts a server that nobody has set up.
func Bare(t testing.TB, options ...Options) *Env {
	t.Helper()
	var o Options
	if len(options) > 0 {
		o = options[0]
	}
	if o.Database == "" {
		o.Database = dbtest.SQLite(t)
	}
	if o.Dir == "" {
		o.Dir = t.TempDir()
	}
	if o.Lab == nil {
		o.Lab = lab.Start(t)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	e := &Env{t: t, Database: o.Database, Dir: o.Dir, Lab: o.Lab, talk: &words{}, log: &words{}, ended: make(chan struct{})}
	e.URL = fmt.Sprintf("https://localhost:%d", listener.Addr().(*net.TCPAddr).Port)
	c := server.Config{
		Config: config.Config{
			PublicURL: e.URL, DataDir: o.Dir, Database: secrets.New(o.Database), KeyFile: filepath.Join(o.Dir, "master.key"), TLS: config.TLS{Mode: config.TLSSelf},
			TrustedProxies: []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")},
			OIDC:           config.OIDC{Issuer: o.Lab.URL() + "/" + o.Lab.Ready().Tenants[0].ID + "/v2.0", ClientID: "a0000000-0000-4000-8000-00000000c001", Name: "the lab"},
		},
		Cloud: Cloud(o.Lab), Listener: listener, Talk: e.talk, Version: "test",
		Log: slog.New(slog.NewJSONHandler(e.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	}
	if o.Change != nil {
		o.Change(&c)
	}
	ctx, cancel := context.WithCancel(context.Background())
	e.cancel = cancel
	e.Server, err = server.New(ctx, c)
	if err != nil {
		cancel()
		t.Fatal(err)
	}
	go func() {
		defer close(e.ended)
		e.failed = e.Server.Run(ctx)
	}()
	t.Cleanup(func() {
		if err := e.Stop(); err != nil {
			t.Errorf("the server ended with: %v", err)
		}
		if t.Failed() {
			t.Logf("the server's log:\n%s", e.log.String())
		}
	})
	select {
	case <-e.Server.Ready():
	case <-e.ended:
		t.Fatalf("the server did not start: %v", e.failed)
	}
	e.Roots = x509.NewCertPool()
	if file := e.Server.CAFile(); file != "" {
		pem, err := os.ReadFile(file)
		if err != nil || !e.Roots.AppendCertsFromPEM(pem) {
			t.Fatalf("reading the server's authority: %v", err)
		}
	}
	return e
}

// Stop ends the server and waits for it.
func (e *Env) Stop() error {
	e.cancel()
	<-e.ended
	return e.failed
}

// Log is what the server has logged.
func (e *Env) Log() string { return e.log.String() }

// Talk is what the server told whoever started it.
func (e *Env) Talk() string { return e.talk.String() }

// Cloud is the lab as a Microsoft cloud.
func Cloud(l *lab.Lab) microsoft.Cloud {
	ready := l.Ready()
	return microsoft.Cloud{Name: "lab", Login: ready.URL, Graph: ready.URL, GraphResource: "https://graph.microsoft.com", Roots: l.Roots()}
}

var link = regexp.MustCompile(`https://\S+/setup/\S+`)

// SetUpLink is the link that the server printed, "" if it did not.
func (e *Env) SetUpLink() string { return link.FindString(e.talk.String()) }

// HTTP is a client that trusts the server; each has connections and an address
// of its own, so that they do not use up each other's tries.
func (e *Env) HTTP() *http.Client {
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: e.Roots, MinVersion: tls.VersionTLS12}, ForceAttemptHTTP2: true}
	e.t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: from{transport, fmt.Sprintf("198.18.%d.%d", e.clients.Add(1)/250, e.clients.Load()%250+1)}, Timeout: time.Minute, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

// from sends requests as a trusted proxy would, for an address.
type from struct {
	*http.Transport
	address string
}

// RoundTrip sends a request.
func (f from) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Header.Get("X-Forwarded-For") == "" {
		r = r.Clone(r.Context())
		r.Header.Set("X-Forwarded-For", f.address)
	}
	return f.Transport.RoundTrip(r)
}

// NewClient is a client that is not signed in.
func (e *Env) NewClient(options ...client.Option) *client.Client {
	e.t.Helper()
	c, err := client.New(e.URL, append([]client.Option{client.WithHTTPClient(e.HTTP())}, options...)...)
	if err != nil {
		e.t.Fatal(err)
	}
	return c
}

// SetUp uses a set-up link, with a code generator, and gives the client that is
// signed in then.
func (e *Env) SetUp(link, email string) *client.Client {
	e.t.Helper()
	ctx, c := context.Background(), e.NewClient()
	if _, err := c.SetUp(ctx, client.SetUpRequest{Link: link, Email: email, Name: "Ada Person", Password: Password}); err != nil {
		e.t.Fatalf("using a set-up link: %v", err)
	}
	g, err := c.NewGenerator(ctx)
	if err != nil {
		e.t.Fatal(err)
	}
	if _, err := c.ConfirmGenerator(ctx, client.GeneratorRequest{Name: "phone", Code: Code(e.t, g.Secret)}); err != nil {
		e.t.Fatal(err)
	}
	return c
}

// Code is the present code of a generator.
func Code(t testing.TB, secret string) string {
	t.Helper()
	return CodeAt(t, secret, time.Now())
}

// CodeAt is the code of a generator at a time.
func CodeAt(t testing.TB, secret string, at time.Time) string {
	t.Helper()
	code, err := totp.GenerateCode(secret, at)
	if err != nil {
		t.Fatal(err)
	}
	return code
}

// Member makes an operator with roles by tenant and gives a client signed in as
// them.
func (e *Env) Member(email string, roles map[string]string) *client.Client {
	e.t.Helper()
	i, err := e.Invite(context.Background(), client.InviteRequest{Email: email, Name: "Eve Person", Roles: roles})
	if err != nil {
		e.t.Fatal(err)
	}
	return e.SetUp(i.Link, "")
}
