package graphsim

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"mime"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"gatehouse/lab/internal/directory"
	"gatehouse/lab/internal/token"
	"gatehouse/lab/internal/vary"
)

const graphID = directory.GraphID

// Config is what a [Server] needs.
type Config struct {
	Store  *directory.Store
	Tokens *token.Signer
	// Root gives "https://host[:port]" under which the request reached Graph,
	// for links in answers; nil takes the host that the request names.
	Root func(*http.Request) string
	// Authority gives the sign-in host that a refused token is pointed to; nil
	// names the public cloud's.
	Authority func(*http.Request) string
	// PageSize caps pages; 0 leaves each resource its documented size.
	PageSize int
	// Random shuffles members and shortens pages; nil, or Deterministic, leaves
	// everything in its order.
	Random        vary.Source
	Deterministic bool
	// Throttle keeps the documented limits: one request a second and tenant on
	// Conditional Access policies, named locations and risk; five in ten seconds,
	// app and tenant on logs and reports; resource units on the directory.
	Throttle bool
	// PropagationDelay is how long a new credential of an app stays unknown to
	// the token endpoint: Usable of [directory.Secret] and [directory.Certificate].
	PropagationDelay time.Duration
	// ReplicationDelay is how long a reader sees a changed object as it was, and a
	// new one not at all.
	ReplicationDelay time.Duration
	// ReportLag is how old the report of registered methods is at most; 0 means
	// that it is always fresh.
	ReportLag time.Duration
}

// Server is a simulated Microsoft Graph. Paths begin with /v1.0/ or /beta/.
type Server struct {
	cfg      Config
	key      []byte // seals paging tokens
	counter  atomic.Uint64
	calls    throttle
	reports  reports
	replicas replicas
}

// New makes a server.
func New(cfg Config) *Server {
	if cfg.Root == nil {
		cfg.Root = func(r *http.Request) string { return "https://" + r.Host }
	}
	if cfg.Authority == nil {
		cfg.Authority = func(*http.Request) string { return "https://login.microsoftonline.com" }
	}
	if cfg.Deterministic {
		cfg.Random = nil
	}
	key := make([]byte, 32)
	if !cfg.Deterministic {
		_, _ = rand.Read(key)
	}
	return &Server{cfg: cfg, key: key}
}

// MaxBody is the largest body of a request that is read, in bytes.
const MaxBody = 1 << 20

// request is one call, from the network or from inside a batch.
type request struct {
	server    *Server
	method    string
	version   string // "v1.0" or "beta"
	root      string
	authority string
	segments  []string // of the path, after the version, unescaped
	options   options
	header    http.Header
	body      []byte
	now       time.Time
	address   string // the caller's

	claims *token.Claims
	route  *route
	vars   []string // what stands for {…} in the route's pattern
	self   bool     // the path's user is the one who signed in
	// counting: the path ends in /$count.
	counting bool

	// tenant is valid only while a handler runs.
	tenant *directory.Tenant
	sight  map[*entity]sight
	// changes wait for the handler's success: see record.go.
	changes []*change
}

func (r *request) beta() bool { return r.version == "beta" }

// ServeHTTP answers a request.
func (s *Server) ServeHTTP(w http.ResponseWriter, h *http.Request) {
	ids := s.ids(h.Header)
	body, err := io.ReadAll(http.MaxBytesReader(w, h.Body, MaxBody))
	if err != nil {
		s.write(w, nil, ids, refuse(http.StatusRequestEntityTooLarge, "BadRequest", "A body may have %d bytes at most, and must arrive whole.", MaxBody))
		return
	}
	r := &request{
		server: s, method: h.Method, root: s.cfg.Root(h), authority: s.cfg.Authority(h), header: h.Header, body: body, now: s.cfg.Store.Now().UTC(), address: host(h.RemoteAddr),
	}
	answer, err := s.serve(r, h.URL)
	s.write(w, answer, ids, err)
}

// serve is one call from the token to the answer.
func (s *Server) serve(r *request, address *url.URL) (*answer, error) {
	if err := r.authenticate(); err != nil {
		return nil, err
	}
	return s.route(r, address)
}

// route is a call whose token has been checked.
func (s *Server) route(r *request, address *url.URL) (*answer, error) {
	if err := r.parse(address); err != nil {
		return nil, err
	}
	if len(r.segments) == 1 && strings.EqualFold(r.segments[0], "$batch") {
		return r.batch()
	}
	if err := r.find(); err != nil {
		return nil, err
	}
	if err := r.authorise(); err != nil {
		return nil, err
	}
	if len(r.body) > 0 && r.method != http.MethodGet {
		kind, _, err := mime.ParseMediaType(r.header.Get("Content-Type"))
		if err != nil || kind != "application/json" {
			return nil, refuse(http.StatusUnsupportedMediaType, "BadRequest", "A body must come as application/json.")
		}
	}
	limits, err := r.limited()
	if err != nil {
		return nil, err
	}
	lock := s.cfg.Store.View
	if r.route.writes {
		lock = s.cfg.Store.Update
	}
	var given *answer
	found := lock(r.claims.TenantID, func(t *directory.Tenant) {
		r.tenant = t
		if err = r.route.unlicensed(t); err != nil {
			return
		}
		if r.route.writes {
			s.reports.refresh(t, r.now, s.cfg.ReportLag)
		}
		if given, err = r.route.handle(r); err == nil && r.route.writes {
			r.record()
		}
		r.tenant = nil
	})
	if !found {
		return nil, unauthenticated(r.authority, "The token's tenant does not exist.")
	}
	if err == nil {
		given.header = joined(given.header, limits)
	}
	return given, err
}

// joined adds headers.
func joined(to, more http.Header) http.Header {
	if to == nil {
		return more
	}
	maps.Copy(to, more)
	return to
}

// audiences are the forms in which Graph accepts itself as audience: its client
// id and its address in each cloud.
var audiences = func() map[string]bool {
	forms := map[string]bool{graphID: true}
	for _, uri := range directory.ResourceByID(graphID).URIs {
		forms[uri] = true
	}
	return forms
}()

func (r *request) authenticate() error {
	header := r.header.Get("Authorization")
	scheme, compact, _ := strings.Cut(header, " ")
	if header == "" || !strings.EqualFold(scheme, "Bearer") || compact == "" {
		return unauthenticated(r.authority, "The request carries no access token.")
	}
	claims, err := r.server.cfg.Tokens.Verify(strings.TrimSpace(compact), r.now)
	switch {
	case errors.Is(err, token.ErrLifetime):
		return unauthenticated(r.authority, "The access token is outside its lifetime: it has expired or is not valid yet.")
	case errors.Is(err, token.ErrSignature):
		return unauthenticated(r.authority, "The access token's signature does not hold.")
	case err != nil:
		return unauthenticated(r.authority, "The access token cannot be read as a signed JWT.")
	case !audiences[strings.TrimRight(strings.ToLower(claims.Audience), "/")]:
		return unauthenticated(r.authority, "The access token is meant for another audience.")
	}
	r.claims = claims
	return nil
}

// app reports whether an application called, not a person.
func (r *request) app() bool { return r.claims.IDType == "app" }

// decode reads the body's object. Members that take does not name are refused.
func (r *request) decode(take map[string]any) (map[string]json.RawMessage, error) {
	var members map[string]json.RawMessage
	if err := json.Unmarshal(r.body, &members); err != nil || members == nil {
		return nil, badRequest("The body is not a JSON object.")
	}
	for name, raw := range members {
		if strings.HasPrefix(name, "@odata.") {
			if _, known := take[name]; !known {
				delete(members, name)
				continue
			}
		}
		into, known := take[name]
		if !known {
			return nil, badBody("A member '%s' cannot be set here.", clip(name))
		}
		if err := json.Unmarshal(raw, into); err != nil {
			return nil, badBody("The member '%s' has a value of the wrong type.", clip(name))
		}
	}
	return members, nil
}

type requestIDs struct{ request, client string }

func (s *Server) ids(h http.Header) requestIDs {
	id := directory.RandomID()
	if s.cfg.Deterministic {
		id = directory.NameID("graph request", fmt.Sprint(s.counter.Add(1)))
	}
	client := h.Get("client-request-id")
	if client == "" || len(client) > 128 {
		client = id
	}
	return requestIDs{id, client}
}
