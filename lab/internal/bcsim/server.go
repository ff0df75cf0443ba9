package bcsim

import (
	"encoding/json"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"gatehouse/lab/internal/directory"
	"gatehouse/lab/internal/token"
	"gatehouse/lab/internal/vary"
)

// Host is the product's host. Under a lab's own address the same paths are
// served: their first steps are v2.0, environments and admin.
const Host = "api.businesscentral.dynamics.com"

// Config is what a [Server] needs.
type Config struct {
	Store  *directory.Store
	Tokens *token.Signer
	// Root gives "https://host[:port]" under which the request arrived, for
	// links in answers; nil takes the host that the request names.
	Root func(*http.Request) string
	// Random shuffles members and varies the size of pages; nil, or
	// Deterministic, leaves everything as it is.
	Random        vary.Source
	Deterministic bool
}

// Server is a simulated Business Central online, all tenants.
type Server struct {
	cfg     Config
	counter atomic.Uint64 // correlation ids

	mu    sync.Mutex
	state state // guarded by mu
}

// New makes a server.
func New(cfg Config) *Server {
	if cfg.Root == nil {
		cfg.Root = func(r *http.Request) string { return "https://" + r.Host }
	}
	if cfg.Deterministic {
		cfg.Random = nil
	}
	return &Server{cfg: cfg, state: newState(cfg.Store)}
}

// Bounds of a request.
const (
	maxBody  = 1 << 20
	maxPath  = 4096
	maxQuery = 8192
)

// request is one call on its way through the server.
type request struct {
	server *Server
	http   *http.Request
	root   string
	claims *token.Claims
	query  url.Values
	body   []byte
	now    time.Time

	tenant      tenant
	environment environment
	base        string // address of the API within the environment, for links
	sets        []string
}

func (r *request) app() bool { return r.claims.IDType == "app" }

func (r *request) reads() bool {
	return r.http.Method == http.MethodGet || r.http.Method == http.MethodHead
}

// ServeHTTP answers a request.
func (s *Server) ServeHTTP(w http.ResponseWriter, h *http.Request) {
	correlation := directory.RandomID()
	if s.cfg.Deterministic {
		correlation = directory.NameID("business central request", fmt.Sprint(s.counter.Add(1)))
	}
	r := &request{server: s, http: h, root: strings.TrimRight(s.cfg.Root(h), "/"), now: s.cfg.Store.Now().UTC()}
	answer, err := r.serve(w)
	r.write(w, answer, err, correlation)
}

func (r *request) serve(w http.ResponseWriter) (*answer, error) {
	if err := r.authenticate(); err != nil {
		return nil, err
	}
	if len(r.http.URL.Path) > maxPath || len(r.http.URL.RawQuery) > maxQuery {
		return nil, refuse(http.StatusRequestURITooLong, codeBadRequest, "The address is too long.")
	}
	var err error
	if r.query, err = url.ParseQuery(r.http.URL.RawQuery); err != nil {
		return nil, syntax("The query cannot be read.")
	}
	if r.body, err = io.ReadAll(http.MaxBytesReader(w, r.http.Body, maxBody)); err != nil {
		return nil, refuse(http.StatusRequestEntityTooLarge, codeBadRequest, "The lab reads bodies of %d bytes at most, which must arrive whole.", maxBody)
	}
	r.tenant = r.findTenant()
	segments := cut(r.http.URL.Path)
	if len(segments) > 0 {
		switch strings.ToLower(segments[0]) {
		case "environments":
			return r.environments(segments[1:])
		case "admin":
			return r.admin(segments[1:])
		case "v2.0":
			return r.data(segments[1:])
		}
	}
	return nil, noResource(strings.Trim(r.http.URL.Path, "/"))
}

// cut splits a path at slashes that stand outside quotes, as in
// Company('Coast/Sea').
func cut(path string) []string {
	var out []string
	quoted := false
	start := 0
	path = strings.Trim(path, "/")
	for i := range len(path) {
		switch {
		case path[i] == '\'':
			quoted = !quoted
		case path[i] == '/' && !quoted:
			out = append(out, path[start:i])
			start = i + 1
		}
	}
	if path == "" {
		return nil
	}
	return append(out, path[start:])
}

// key splits name(key) in two; a key in quotes loses them.
func key(segment string) (name, key string, has bool, err error) {
	name, rest, has := strings.Cut(segment, "(")
	if !has {
		return name, "", false, nil
	}
	inner, closed := strings.CutSuffix(rest, ")")
	if !closed {
		return "", "", false, syntax("The segment '%s' has a parenthesis that does not close.", clip(segment))
	}
	if strings.HasPrefix(inner, "'") {
		if len(inner) < 2 || !strings.HasSuffix(inner, "'") {
			return "", "", false, syntax("The segment '%s' has a quote that does not close.", clip(segment))
		}
		inner = strings.ReplaceAll(inner[1:len(inner)-1], "''", "'")
	}
	return name, inner, true, nil
}

// decode reads the body as a JSON object.
func (r *request) decode() (map[string]any, error) {
	kind, _, err := mime.ParseMediaType(r.http.Header.Get("Content-Type"))
	if err != nil || kind != "application/json" {
		return nil, refuse(http.StatusUnsupportedMediaType, codeBadRequest, "A body must come as application/json.")
	}
	var members map[string]any
	if err := json.Unmarshal(r.body, &members); err != nil || members == nil {
		return nil, refuse(http.StatusBadRequest, codeBadRequest, "The request body is no JSON object.")
	}
	return members, nil
}
