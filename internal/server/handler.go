package server

import (
	"crypto/rand"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"runtime/debug"
	"strings"
	"time"

	"gatehouse/client"
	"gatehouse/internal/api"
	"gatehouse/internal/consent"
	"gatehouse/internal/operator"
	"gatehouse/internal/signin"
)

// bounds hold slow and large requests off. Streams set deadlines of their own.
type bounds struct {
	header, read, write, idle time.Duration
	stop                      time.Duration // for requests and jobs under way to end
	headerBytes               int
	body                      int64
}

var limits = bounds{
	header: 5 * time.Second, read: 30 * time.Second, write: 60 * time.Second, idle: 2 * time.Minute, stop: 20 * time.Second, headerBytes: 32 << 10, body: 40 << 20,
}

// policy is the content security policy of every answer: nothing from
// elsewhere, no inline script, no frame around it.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; connect-src 'self'; manifest-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

// handler mounts the faces behind what holds for all of them.
func (s *Server) handler() http.Handler {
	open := operator.NewLimiter(operator.LimiterConfig{Every: 200 * time.Millisecond, Burst: 100})
	programs, people := api.New(api.Config{
		DB: s.db, Audit: s.audit, Keys: s.keys, Operators: s.operator, Tenants: s.tenants, Connections: s.connections, Runs: s.runs, Notices: s.notices, Hosts: s.sites, Conversions: s.conversions, Incidents: s.incidents, Batches: s.batches, Transfer: s.transfer, Search: s.search, Expiries: s.expiries, Rotations: s.rotations, Registrations: s.registrations, Sources: s.access.Sources, SignIns: s.access.SignIns, Tokens: s.access.Tokens, Consents: s.access.Consents, Campaigns: s.access.Campaigns, Jobs: s.queue, Live: s.hub, Backups: s.backups,
		Doctor: s.Examine, Open: open, PublicURL: s.c.PublicURL, Version: s.c.Version, Log: s.log, Stopping: s.stopping,
	}), s.console(open)
	face := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/api/") {
			programs.ServeHTTP(w, r)
			return
		}
		people.ServeHTTP(w, r)
	})
	origins := http.NewCrossOriginProtection()
	origins.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		refuse(w, r, http.StatusForbidden, client.ProblemRefused, "another site's page sent this request")
	}))
	faces := origins.Handler(s.hosts(face))

	root := http.NewServeMux()
	root.Handle("GET /healthz", limited(open, http.HandlerFunc(health)))
	root.Handle("GET /readyz", limited(open, http.HandlerFunc(s.readiness)))
	root.Handle("/", faces)
	return s.outermost(root)
}

// outermost numbers requests, finds who is behind a trusted proxy, bounds
// bodies, sets the headers of every answer, and logs.
func (s *Server) outermost(next http.Handler) http.Handler {
	every := fixedHeaders(s.c.PublicURL)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		began := time.Now()
		id := rand.Text()[:16]
		r.Header.Set(api.RequestIDHeader, id) // whatever the caller sent
		h := w.Header()
		maps.Copy(h, every)
		h.Set(api.RequestIDHeader, id)
		seen := &watched{ResponseWriter: w, status: http.StatusOK}
		defer func() {
			if p := recover(); p != nil {
				if p == http.ErrAbortHandler { //nolint:errorlint // the value that net/http compares with
					panic(p)
				}
				s.log.Error("a request panicked", "request", id, "panic", p, "stack", string(debug.Stack()))
				if !seen.begun {
					refuse(seen, r, http.StatusInternalServerError, client.ProblemInternal, "internal error; the server's log tells more under "+id)
				}
			}
			took := time.Since(began)
			s.metrics.answered(r, seen.status, took)
			if s.log.Enabled(r.Context(), slog.LevelDebug) {
				s.log.Debug("request", "request", id, "method", r.Method, "path", safePath(r.URL.Path), "status", seen.status, "took", took, "from", r.RemoteAddr)
			}
		}()
		peer, ok := s.peer(r)
		if !ok {
			refuse(seen, r, http.StatusForbidden, client.ProblemRefused, "only the proxies in trusted_proxies may connect")
			return
		}
		r.RemoteAddr = net.JoinHostPort(peer, "0")
		r.Body = http.MaxBytesReader(seen, r.Body, limits.body)
		next.ServeHTTP(seen, r)
	})
}

// fixedHeaders are those of every answer. The answers share the values: whoever adds
// one gets a slice of their own, as these are full.
func fixedHeaders(public string) http.Header {
	h := http.Header{
		"Content-Security-Policy":      {policy},
		"X-Content-Type-Options":       {"nosniff"},
		"Referrer-Policy":              {"same-origin"},
		"Cross-Origin-Opener-Policy":   {"same-origin"},
		"Cross-Origin-Resource-Policy": {"same-origin"},
		"Permissions-Policy":           {"camera=(), geolocation=(), microphone=(), payment=(), usb=()"},
	}
	if strictTransport(public) {
		h.Set("Strict-Transport-Security", "max-age=31536000")
	}
	return h
}

// consentPage is what pages for administrators are below.
const consentPage = "/consent/"

// safePath is a path for the log: what follows /setup/ opens an account, what
// follows /signin/link/ somebody's sign-in, what follows /calendar/ their calendar,
// what follows /consent/ the page for an administrator.
func safePath(path string) string {
	if strings.HasPrefix(path, "/setup/") {
		return "/setup/…"
	}
	if strings.HasPrefix(path, signin.LinkPath) {
		return signin.LinkPath + "…"
	}
	if strings.HasPrefix(path, "/calendar/") {
		return "/calendar/…"
	}
	if strings.HasPrefix(path, consentPage) && path != consent.CallbackPath {
		return consentPage + "…"
	}
	return path
}

// peer is the address that a request comes from: of trusted proxies, the one
// that they ask for. It is false for whoever bypasses the proxy in front.
func (s *Server) peer(r *http.Request) (string, bool) {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr, true
	}
	address, err := netip.ParseAddr(host)
	if err != nil {
		return host, true
	}
	if !s.trusted(address) {
		return address.Unmap().String(), s.c.TLS.Mode != "proxy"
	}
	// From the right: what a proxy added; what stands further left anybody may
	// have written.
	hops := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	for i := len(hops) - 1; i >= 0; i-- {
		hop, err := netip.ParseAddr(strings.TrimSpace(hops[i]))
		if err != nil {
			break
		}
		address = hop.WithZone("")
		if !s.trusted(address) {
			break
		}
	}
	return address.Unmap().String(), true
}

func (s *Server) trusted(a netip.Addr) bool {
	a = a.Unmap().WithZone("")
	for _, p := range s.c.TrustedProxies {
		if p.Contains(a) {
			return true
		}
	}
	return false
}

// hosts refuses requests under another name than the public one: a name of
// somebody else that leads here (DNS rebinding) would make their pages ours.
func (s *Server) hosts(next http.Handler) http.Handler {
	public, err := url.Parse(s.c.PublicURL)
	if err != nil {
		public = &url.URL{}
	}
	want := strings.ToLower(strings.TrimSuffix(public.Host, ":443"))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.ToLower(strings.TrimSuffix(r.Host, ":443")) != want {
			refuse(w, r, http.StatusMisdirectedRequest, client.ProblemMisdirected, "this server is "+s.c.PublicURL+" (public_url)")
			return
		}
		next.ServeHTTP(w, r)
	})
}

// refuse answers what comes to no face, in the form of the one that was meant.
func refuse(w http.ResponseWriter, r *http.Request, status int, kind, detail string) {
	if strings.HasPrefix(r.URL.Path, "/api/") {
		api.Refuse(w, status, kind, detail)
		return
	}
	http.Error(w, detail, status)
}

// strictTransport reports whether browsers may be told to use nothing but TLS
// for this host: not on names that other programs of a machine share.
func strictTransport(public string) bool {
	u, err := url.Parse(public)
	if err != nil {
		return false
	}
	_, ip := netip.ParseAddr(u.Hostname())
	return u.Hostname() != "localhost" && ip != nil
}

// limited bounds how often an address may ask.
func limited(l *operator.Limiter, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host, _, err := net.SplitHostPort(r.RemoteAddr)
		if err != nil {
			host = r.RemoteAddr
		}
		if err := l.Take(host); err != nil {
			w.Header().Set("Retry-After", "1")
			http.Error(w, err.Error(), http.StatusTooManyRequests)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// watched notes the status of an answer.
type watched struct {
	http.ResponseWriter
	status int
	begun  bool
}

func (w *watched) WriteHeader(status int) {
	if !w.begun {
		w.status, w.begun = status, true
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *watched) Write(data []byte) (int, error) {
	w.begun = true
	return w.ResponseWriter.Write(data)
}

// Unwrap is for http.ResponseController.
func (w *watched) Unwrap() http.ResponseWriter { return w.ResponseWriter }
