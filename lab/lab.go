// Package lab is a simulated Microsoft cloud: a sign-in service that enforces
// MFA, Microsoft Graph, and a directory of tenants to try software against.
// Real clients (MSAL, azidentity, Graph SDKs) work with it unchanged.
//
// In a Go test:
//
//	l := lab.Start(t)
//	client := l.Client() // an HTTP client that reaches the lab under Microsoft's host names
//
// For everybody else there is the command "gatehouse lab". What the lab
// simulates, and how surely the real cloud behaves the same, is written down
// in docs/parity.md. It is for tests: it has no security of its own, and its
// client keys are public.
package lab

import (
	"context"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	_ "embed" // the built-in tenants
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"gatehouse/lab/internal/bcsim"
	"gatehouse/lab/internal/directory"
	"gatehouse/lab/internal/federation"
	"gatehouse/lab/internal/graphsim"
	"gatehouse/lab/internal/pcsim"
	"gatehouse/lab/internal/spsim"
	"gatehouse/lab/internal/sts"
	"gatehouse/lab/internal/token"
)

//go:embed tenants.json
var builtin string

// BuiltIn is the tenants file that a lab uses if it is given none: a tenant
// for each story.
func BuiltIn() string { return builtin }

// Config says how a lab is started. The zero value is a lab with the built-in
// tenants on free loopback ports.
type Config struct {
	// Listen, Control and Proxy are addresses such as "127.0.0.1:8443"; empty
	// means a free port of 127.0.0.1.
	Listen, Control, Proxy string
	// Federation is the address of the federation servers and workload issuers,
	// given in the same way.
	Federation string
	// Tenants is a tenants file; nil means [BuiltIn]. docs/lab.md has the schema.
	Tenants io.Reader
	// State is a folder that keeps authority, keys, ids and secrets across
	// starts; empty means that everything is new at each start.
	State string
	// Seed decides ids, passwords and secrets that the tenants file leaves open;
	// 0 means the seed of State, or a random one.
	Seed uint64
	// Deterministic switches off what the lab does to keep clients honest:
	// varying page sizes, token sizes, lifetimes and member order.
	Deterministic bool
	// Strict switches on restrictions that are announced or to be expected:
	// assertions in the older form (RS256 with a SHA-1 thumbprint) are refused.
	Strict bool
	// Settings are delays and limits of Graph; [Lab.SetSettings] changes them.
	Settings Settings
	// Journal is how many exchanges the journal keeps; 10,000 if zero.
	Journal int
	// Now is the clock; nil means the system's. [Lab.Advance] moves it.
	Now func() time.Time
}

// Lab is a running lab.
type Lab struct {
	cfg    Config
	store  *directory.Store
	tokens *token.Signer
	ready  Ready
	sts    *sts.Server

	federation      *federation.Server
	graph           graphServer
	sharePoint      *spsim.Server
	businessCentral *bcsim.Server
	ca              *x509.Certificate
	offset          atomic.Int64 // nanoseconds that the clock was moved

	readyMu sync.RWMutex // guards ready.Tenants: tenants are added at run time
	faults  faults
	journal journal
	folder  string // of certificates

	servers []*http.Server
	address string // of the main listener
	names   hostNames
	scratch string // folder to remove, "" with State
	working sync.WaitGroup
}

// New starts a lab. Close ends it.
func New(cfg Config) (*Lab, error) {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Tenants == nil {
		cfg.Tenants = strings.NewReader(builtin)
	}
	if cfg.Journal == 0 {
		cfg.Journal = maxJournal
	}
	l := &Lab{cfg: cfg, journal: journal{most: cfg.Journal}}
	if err := l.start(); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return l, nil
}

// Check reads a tenants file and reports every fault in it at once.
func Check(tenants io.Reader) error {
	_, err := directory.Parse(tenants, time.Now())
	return err
}

// Now is the lab's time.
func (l *Lab) Now() time.Time { return l.cfg.Now().Add(time.Duration(l.offset.Load())) }

// Advance moves the lab's clock.
func (l *Lab) Advance(d time.Duration) { l.offset.Add(int64(d)) }

func (l *Lab) start() error {
	folder, err := l.makeFolder()
	if err != nil {
		return err
	}
	st, err := loadState(folder, l.cfg.State != "", l.cfg.Seed, l.Now())
	if err != nil {
		return err
	}
	l.ca, l.folder = st.authority.Certificate, folder
	file, err := directory.Parse(l.cfg.Tenants, l.Now())
	if err != nil {
		return err
	}
	store, samples, err := directory.New(file, directory.Config{Seed: st.seed, Now: l.Now, NewCertificate: st.clientCertificate})
	if err != nil {
		return err
	}
	l.store, l.tokens = store, token.NewSigner(st.signingKey)

	main, err := listen(l.cfg.Listen)
	if err != nil {
		return err
	}
	l.address = main.Addr().String()
	names := serverNames(l.address)
	certificates, err := newCertificates(st.authority, names.certificate(), l.Now)
	if err != nil {
		return err
	}
	l.federation = federation.New(federation.Config{Store: store, SignIn: names.signIn})
	if names.real {
		names.federated = l.federation.Hosts
		certificates.also = l.federation.Hosts
	}
	l.names = names
	var random func() uint64
	if !l.cfg.Deterministic {
		var seed [32]byte
		binary.LittleEndian.PutUint64(seed[:], st.seed)
		source := rand.NewChaCha8(seed)
		var mu sync.Mutex
		random = func() uint64 {
			mu.Lock()
			defer mu.Unlock()
			return source.Uint64()
		}
	}
	root := func(r *http.Request) string { return "https://" + r.Host }
	l.sts = sts.New(sts.Config{Store: store, Tokens: l.tokens, Root: root, Clouds: names.clouds(), Random: random, Federation: l.federation, Strict: l.cfg.Strict})
	l.sharePoint = spsim.New(spsim.Config{Store: store, Tokens: l.tokens, Root: root, Random: random, Deterministic: l.cfg.Deterministic})
	l.businessCentral = bcsim.New(bcsim.Config{Store: store, Tokens: l.tokens, Root: root, Random: random, Deterministic: l.cfg.Deterministic})
	partnerCenter := pcsim.New(pcsim.Config{Store: store, Tokens: l.tokens, Random: random, Deterministic: l.cfg.Deterministic})
	l.graph.cfg = graphsim.Config{Store: store, Tokens: l.tokens, Root: root, Random: random, Deterministic: l.cfg.Deterministic}
	if err := l.SetSettings(l.cfg.Settings); err != nil {
		return err
	}
	handler := &router{names: names, now: l.Now, services: map[string]http.Handler{
		loginService:           l.observe(loginService, l.sts),
		graphService:           l.observe(graphService, &l.graph),
		sharePointService:      l.observe(sharePointService, l.sharePoint),
		businessCentralService: l.observe(businessCentralService, l.businessCentral),
		partnerCenterService:   l.observe(partnerCenterService, partnerCenter),
		federationService:      l.observe(federationService, l.federation),
	}}
	secure := &tls.Config{GetCertificate: certificates.get, NextProtos: []string{"h2", "http/1.1"}, MinVersion: tls.VersionTLS12}
	l.serve(tls.NewListener(main, secure), handler)
	outside, err := listen(l.cfg.Federation)
	if err != nil {
		return err
	}
	l.federation.Listen("https://" + outside.Addr().String())
	l.serve(tls.NewListener(outside, secure), handler.services[federationService])

	control, err := listen(l.cfg.Control)
	if err != nil {
		return err
	}
	l.serve(control, l.control())
	proxy, err := listen(l.cfg.Proxy)
	if err != nil {
		return err
	}
	l.serve(proxy, &forwarder{names: names, target: l.address})

	l.ready = l.describe(st, samples, control.Addr().String(), proxy.Addr().String())
	// The signing key is made once everything else is up; a token request that
	// comes earlier waits for it.
	l.working.Go(func() { _ = l.tokens.Prepare() })
	return nil
}

// makeFolder gives the absolute folder for files that clients read.
func (l *Lab) makeFolder() (string, error) {
	if l.cfg.State == "" {
		folder, err := os.MkdirTemp("", "gatehouse-lab-")
		if err != nil {
			return "", fmt.Errorf("making a folder for certificates: %w", err)
		}
		l.scratch = folder
		return folder, nil
	}
	folder, err := filepath.Abs(l.cfg.State)
	if err != nil {
		return "", fmt.Errorf("finding the state folder: %w", err)
	}
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return "", fmt.Errorf("making the state folder: %w", err)
	}
	return folder, nil
}

func listen(address string) (net.Listener, error) {
	if address == "" {
		address = "127.0.0.1:0"
	}
	listener, err := new(net.ListenConfig).Listen(context.Background(), "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("listening on %s: %w", address, err)
	}
	return listener, nil
}

func (l *Lab) serve(listener net.Listener, handler http.Handler) {
	// The time-out also covers the TLS handshake: hundreds of clients at once on a
	// busy machine take a while.
	server := &http.Server{Handler: handler, ReadHeaderTimeout: time.Minute, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 256 << 10, ErrorLog: quiet}
	l.servers = append(l.servers, server)
	l.working.Go(func() { _ = server.Serve(listener) }) // ends with Close
}

// Close ends the lab and removes what it wrote, unless it has a state folder.
func (l *Lab) Close() error {
	var errs []error
	for _, server := range l.servers {
		errs = append(errs, server.Close())
	}
	l.working.Wait()
	if l.scratch != "" {
		errs = append(errs, os.RemoveAll(l.scratch))
	}
	return errors.Join(errs...)
}

// URL is the address of the lab: authority, Graph root and service root in one.
func (l *Lab) URL() string { return l.ready.URL }

// Roots holds the lab's authority.
func (l *Lab) Roots() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(l.ca)
	return pool
}

// Transport reaches the lab under every name that it serves, Microsoft's host
// names included, and nothing else.
func (l *Lab) Transport() *http.Transport {
	dialer := &net.Dialer{}
	return &http.Transport{
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			host, _, err := net.SplitHostPort(address)
			if err != nil {
				return nil, err
			}
			service, ok := l.names.service(host)
			switch {
			case !ok && address != l.address && "https://"+address != l.federation.Address():
				return nil, fmt.Errorf("the lab does not serve %s", host)
			case service == "": // its own addresses, the control port's too
				return dialer.DialContext(ctx, network, address)
			}
			return dialer.DialContext(ctx, network, l.address)
		},
		TLSClientConfig:     &tls.Config{RootCAs: l.Roots(), MinVersion: tls.VersionTLS12},
		ForceAttemptHTTP2:   true,
		MaxIdleConnsPerHost: 64,
	}
}

// Client is an HTTP client over [Lab.Transport].
func (l *Lab) Client() *http.Client { return &http.Client{Transport: l.Transport()} }

func loopback(address string) bool {
	ap, err := netip.ParseAddrPort(address)
	return err == nil && ap.Addr().IsLoopback()
}

// sharedKey is one signing key for all labs of a process without a state
// folder: tests start hundreds.
var sharedKey = sync.OnceValues(func() (*rsa.PrivateKey, error) { return token.NewSigner(nil).Key() })

// FileFault is one mistake in a tenants file: where, and what would be right.
type FileFault = directory.Fault

// FileFaults are all mistakes of a tenants file, as one error.
type FileFaults = directory.Faults
