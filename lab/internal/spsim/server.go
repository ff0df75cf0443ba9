package spsim

import (
	"encoding/json"
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

// Config is what a [Server] needs.
type Config struct {
	Store  *directory.Store
	Tokens *token.Signer
	// Root gives "https://host[:port]" under which the request arrived, for
	// links in answers; nil takes the host that the request names.
	Root func(*http.Request) string
	// Random shuffles members, shortens pages and drops bodies of refusals; nil,
	// or Deterministic, leaves everything as it is.
	Random        vary.Source
	Deterministic bool
}

// Server is a simulated SharePoint Online: all hosts of all tenants.
type Server struct {
	cfg     Config
	counter atomic.Uint64 // request ids

	mu    sync.Mutex
	state state // guarded by mu
}

// New makes a server. Apps that hold Sites.Selected at that moment are granted
// write on /sites/projects, and on no other site.
func New(cfg Config) *Server {
	if cfg.Root == nil {
		cfg.Root = func(r *http.Request) string { return "https://" + r.Host }
	}
	if cfg.Deterministic {
		cfg.Random = nil
	}
	s := &Server{cfg: cfg, state: newState()}
	cfg.Store.Tenants(func(t *directory.Tenant) {
		for _, p := range t.Principals {
			for _, role := range t.AppRolesOf(p.ClientID, directory.SharePointID) {
				if role == sitesSelected {
					s.state.grants[grant{t.ID, "/sites/projects", p.ClientID}] = rightWrite
				}
			}
		}
	})
	return s
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
	place  place
	site   *site
	caller *caller
	right  right
	query  url.Values
	calls  []call
	last   bool // the step that is gone is the last one
	body   []byte
	now    time.Time
}

// ServeHTTP answers a request.
func (s *Server) ServeHTTP(w http.ResponseWriter, h *http.Request) {
	s.identify(w.Header())
	p, ok := s.find(h)
	if !ok {
		s.write(w, h, nil, noSite())
		return
	}
	if p.moved != "" { // "Change your SharePoint domain name": redirected for a year
		w.Header().Set("Location", p.target())
		w.WriteHeader(http.StatusPermanentRedirect)
		return
	}
	r := &request{server: s, http: h, place: p, now: s.cfg.Store.Now().UTC()}
	answer, err := r.serve(w)
	s.write(w, h, answer, err)
}

func (r *request) serve(w http.ResponseWriter) (any, error) {
	path, api, isAPI := cutAPI(r.place.path)
	if strings.HasPrefix(strings.ToLower(api), "idcrl.svc") && !isAPI {
		return nil, legacy()
	}
	if err := r.authenticate(); err != nil {
		return nil, err
	}
	if err := r.admit(); err != nil {
		return nil, err
	}
	if len(r.place.path) > maxPath || len(r.http.URL.RawQuery) > maxQuery {
		return nil, refuse(http.StatusRequestURITooLong, codeClient, "The address is too long.")
	}
	if r.site = r.findSite(path); r.site == nil || !isAPI {
		return nil, noSite()
	}
	if r.right = r.siteRight(); r.admin() {
		r.right = rightFull
	}
	if r.right < rightRead {
		return nil, denied("The caller has no right on this site.")
	}
	if err := r.stepUp(); err != nil {
		return nil, err
	}
	var err error
	if r.query, err = url.ParseQuery(r.http.URL.RawQuery); err != nil {
		return nil, badQuery("The query cannot be read.")
	}
	if r.calls, err = parseCalls(api, r.query); err != nil {
		return nil, err
	}
	if r.body, err = io.ReadAll(http.MaxBytesReader(w, r.http.Body, maxBody)); err != nil {
		return nil, refuse(http.StatusRequestEntityTooLarge, codeClient, "A body may have %d bytes at most, and must arrive whole.", maxBody)
	}
	at, err := r.walk()
	if err != nil {
		return nil, err
	}
	return r.render(at)
}

// cutAPI splits a path into the site's and what follows /_api/. The older
// spelling of the interface, /_vti_bin/client.svc, means the same; other
// services below /_vti_bin are no part of it.
func cutAPI(path string) (site, api string, isAPI bool) {
	for _, mark := range []string{"/_api", "/_vti_bin/client.svc"} {
		if i := indexFold(path, mark); i >= 0 && (len(path) == i+len(mark) || path[i+len(mark)] == '/') {
			return path[:i], strings.TrimPrefix(path[i+len(mark):], "/"), true
		}
	}
	if i := indexFold(path, "/_vti_bin/"); i >= 0 {
		return path[:i], path[i+len("/_vti_bin/"):], false
	}
	return path, "", false
}

// indexFold finds part in s, upper and lower case alike, by the bytes of s: a
// path in lower case may have another length.
func indexFold(s, part string) int {
	for i := 0; i+len(part) <= len(s); i++ {
		if strings.EqualFold(s[i:i+len(part)], part) {
			return i
		}
	}
	return -1
}

// decode reads the body as a JSON object.
func (r *request) decode() (map[string]any, error) {
	kind, _, err := mime.ParseMediaType(r.http.Header.Get("Content-Type"))
	if err != nil || kind != "application/json" {
		return nil, refuse(http.StatusUnsupportedMediaType, codeClient, "A body must come as application/json.")
	}
	var members map[string]any
	if err := json.Unmarshal(r.body, &members); err != nil || members == nil {
		return nil, refuse(http.StatusBadRequest, codeClient, "The body is no JSON object.")
	}
	return members, nil
}
