package server

import (
	"crypto/tls"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"time"

	"gatehouse/internal/config"
)

// Patience changes how long the server waits for headers, bodies, readers of its
// answers, another request, and the end of jobs, where it is not zero, until the function that it
// gives is called.
func Patience(header, read, write, idle, stop time.Duration) (restore func()) {
	before := limits
	for limit, d := range map[*time.Duration]time.Duration{&limits.header: header, &limits.read: read, &limits.write: write, &limits.idle: idle, &limits.stop: stop} {
		if d != 0 {
			*limit = d
		}
	}
	return func() { limits = before }
}

// Peer is the address that a request is held to come from, with trusted proxies.
func Peer(r *http.Request, proxies ...netip.Prefix) (string, bool) {
	s := &Server{c: Config{Config: config.Config{TrustedProxies: proxies}}}
	return s.peer(r)
}

// Outermost is what stands before every face of a server with a public address.
func Outermost(publicURL string, log *slog.Logger, next http.Handler) http.Handler {
	return (&Server{c: Config{Config: config.Config{PublicURL: publicURL}}, log: log, metrics: newMetrics("test")}).outermost(next)
}

// Authority makes or reads the server's own authority in a folder, with a clock.
func Authority(dir, host string, now func() time.Time) (get func() (*tls.Certificate, error), err error) {
	a, err := openAuthority(dir, host)
	if err != nil {
		return nil, err
	}
	a.now = now
	return func() (*tls.Certificate, error) { return a.get(nil) }, nil
}

// Correlated is the handler of the server's log.
func Correlated(h slog.Handler) slog.Handler { return correlated{h} }

// Handler is what a server answers with.
func Handler(s *Server) http.Handler { return s.http.Handler }

// Alike is another HTTP server with a server's settings, and how it listens: as behind
// a proxy that ends TLS, or ending it itself with the server's own certificate.
func Alike(s *Server, h http.Handler, l net.Listener, withTLS bool) (*http.Server, net.Listener) {
	if withTLS {
		l = tls.NewListener(l, &tls.Config{MinVersion: tls.VersionTLS12, NextProtos: []string{"h2", "http/1.1"}, GetCertificate: s.authority.get})
	}
	of := s.http
	return &http.Server{
		Handler: h, ReadHeaderTimeout: of.ReadHeaderTimeout, ReadTimeout: of.ReadTimeout, WriteTimeout: of.WriteTimeout, IdleTimeout: of.IdleTimeout,
		MaxHeaderBytes: of.MaxHeaderBytes, ErrorLog: of.ErrorLog,
	}, l
}
