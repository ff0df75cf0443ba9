// Package egress is the way out to addresses that operators, and not the
// program, have chosen: webhooks, metadata documents, logos. Its clients reach
// the public internet and what the configuration allows; never this machine,
// its network, or the metadata service of the cloud it runs in, however the
// address is disguised (server-side request forgery).
//
// It is the address that is being connected to that counts, checked on each
// connection: after the name was looked up, after each redirect, and after a
// name has come to mean something else.
package egress

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"syscall"
	"time"
)

// Config is what a client needs. The zero value reaches the public internet.
type Config struct {
	// Allow are further addresses that may be reached, also by plain HTTP. A
	// metadata service is allowed only by its own, whole address.
	Allow []netip.Prefix
	// MaxBytes bounds an answer, after decompression; 1 MB if zero.
	MaxBytes int64
	// Timeout bounds a request with its redirects; 15 seconds if zero.
	Timeout time.Duration
	// Roots are the trusted authorities; nil means the system's.
	Roots *x509.CertPool
	// Resolver looks names up; nil means the system's.
	Resolver *net.Resolver
}

// maxRedirects bounds how far an answer may send a request on.
const maxRedirects = 3

// New gives an HTTP client. It keeps no cookies and uses no proxy: a proxy would
// look names up by itself. What it refuses is a [*Refused] in the error.
func New(cfg Config) *http.Client {
	if cfg.MaxBytes == 0 {
		cfg.MaxBytes = 1 << 20
	}
	if cfg.Timeout == 0 {
		cfg.Timeout = 15 * time.Second
	}
	g := guard{allow: cfg.Allow}
	dialer := &net.Dialer{Timeout: 5 * time.Second, KeepAlive: 30 * time.Second, Resolver: cfg.Resolver, ControlContext: g.control}
	transport := &http.Transport{
		DialContext:           dialer.DialContext,
		TLSClientConfig:       &tls.Config{RootCAs: cfg.Roots, MinVersion: tls.VersionTLS12},
		TLSHandshakeTimeout:   5 * time.Second,
		ResponseHeaderTimeout: cfg.Timeout,
		// An answer's headers count as well.
		MaxResponseHeaderBytes: 64 << 10,
		ForceAttemptHTTP2:      true,
		MaxIdleConns:           32,
		IdleConnTimeout:        30 * time.Second,
	}
	return &http.Client{
		Transport: &sender{next: transport, max: cfg.MaxBytes},
		Timeout:   cfg.Timeout,
		CheckRedirect: func(_ *http.Request, via []*http.Request) error {
			if len(via) > maxRedirects {
				return fmt.Errorf("the address sends requests on more than %d times", maxRedirects)
			}
			return nil
		},
	}
}

// Refused says that an address may not be reached.
type Refused struct {
	Address string // what was to be connected to
	Why     string // "is a private address"
}

func (r *Refused) Error() string {
	return fmt.Sprintf("%s %s: allow it with egress_allow (GATEHOUSE_EGRESS_ALLOW) if it is meant", r.Address, r.Why)
}

// sender checks each request, redirected ones too, and bounds its answer.
type sender struct {
	next *http.Transport
	max  int64
}

type plainKey struct{}

func (s *sender) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.URL.User != nil {
		return nil, errors.New("the address holds a user name or password: leave them out")
	}
	switch r.URL.Scheme {
	case "https":
	case "http":
		r = r.WithContext(context.WithValue(r.Context(), plainKey{}, true))
	default:
		return nil, fmt.Errorf("the address begins with %q: use https", r.URL.Scheme)
	}
	response, err := s.next.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	response.Body = &limited{ReadCloser: response.Body, left: s.max, max: s.max}
	return response, nil
}

// CloseIdleConnections is what [http.Client] looks for.
func (s *sender) CloseIdleConnections() { s.next.CloseIdleConnections() }

type limited struct {
	io.ReadCloser
	left, max int64
}

func (l *limited) Read(p []byte) (int, error) {
	n, err := l.ReadCloser.Read(p)
	if l.left -= int64(n); l.left < 0 {
		return 0, fmt.Errorf("the answer is larger than %d bytes", l.max)
	}
	return n, err
}

// guard decides on addresses.
type guard struct{ allow []netip.Prefix }

// control is called with the address that is about to be connected to.
func (g guard) control(ctx context.Context, _, address string, _ syscall.RawConn) error {
	target, err := netip.ParseAddrPort(address)
	if err != nil {
		return &Refused{Address: address, Why: "is no address"}
	}
	if g.allowed(target.Addr()) {
		return nil
	}
	if why := forbidden(target.Addr()); why != "" {
		return &Refused{Address: target.Addr().String(), Why: why}
	}
	if ctx.Value(plainKey{}) != nil {
		return &Refused{Address: target.Addr().String(), Why: "would be reached without TLS, which is open to eavesdroppers (use https)"}
	}
	return nil
}

func (g guard) allowed(a netip.Addr) bool {
	a = a.Unmap()
	for _, p := range g.allow {
		if p.Contains(a) && (p.IsSingleIP() || !metadata(a)) {
			return true
		}
	}
	return false
}
