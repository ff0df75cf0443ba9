// Package sts is the simulated sign-in service: what Entra ID serves under
// login.microsoftonline.com. It covers instance discovery, OpenID metadata,
// keys, user realm and the token endpoint in its v2.0 and v1.0 forms with the
// password, client-credentials and refresh-token grants.
//
// A token request passes these gates in order (entra-sign-in §7: the order is
// not documented, this is the lab's reading): tenant, app, client credential,
// resource, user, lock-out, password, account state, MFA, consent, assignment.
// Each gate is a function that returns a refusal or nil, so that the order can
// be read off [Server.password].
package sts

import (
	"net/http"
	"strings"
	"sync"

	"gatehouse/lab/internal/directory"
	"gatehouse/lab/internal/token"
)

// Config is what the sign-in service needs.
type Config struct {
	Store  *directory.Store
	Tokens *token.Signer
	// Root gives scheme and host under which the request came in:
	// "https://127.0.0.1:8443" or "https://login.microsoftonline.com".
	Root func(*http.Request) string
	// GraphRoot gives the same for Graph, for the metadata document.
	GraphRoot func(*http.Request) string
	// Hosts are the names that instance discovery gives as aliases besides the
	// one it was asked under.
	Hosts []string
	// Random gives 64 random bits; nil makes tokens equal in size and lifetime.
	Random func() uint64
	// Strict refuses client assertions in the older form: RS256 with a SHA-1
	// thumbprint.
	Strict bool
}

// Server serves the sign-in service.
type Server struct {
	cfg Config

	mu      sync.Mutex
	refresh map[string]*refreshToken
}

// New gives the sign-in service.
func New(cfg Config) *Server {
	return &Server{cfg: cfg, refresh: map[string]*refreshToken{}}
}

// ServeHTTP routes by path. Entra's paths are case-insensitive.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	segments := strings.Split(strings.Trim(r.URL.Path, "/"), "/")
	tenant := segments[0]
	switch rest := strings.ToLower(strings.Join(segments[1:], "/")); {
	case rest == "discovery/instance":
		s.instanceDiscovery(w, r)
	case rest == "v2.0/.well-known/openid-configuration":
		s.metadata(w, r, tenant, true)
	case rest == ".well-known/openid-configuration":
		s.metadata(w, r, tenant, false)
	case rest == "discovery/v2.0/keys", rest == "discovery/keys":
		s.keys(w, r)
	case len(segments) == 3 && strings.EqualFold(segments[1], "userrealm"):
		s.userRealm(w, r, segments[2])
	case rest == "oauth2/v2.0/token":
		s.token(w, r, tenant, true)
	case rest == "oauth2/token":
		s.token(w, r, tenant, false)
	case strings.EqualFold(tenant, "error") && rest == "":
		s.errorPage(w, r)
	default:
		http.Error(w, "The lab's sign-in service has no such address.", http.StatusNotFound)
	}
}

// Tenant path segments that stand for no single tenant (entra-sign-in §1).
const (
	common        = "common"
	organizations = "organizations"
	consumers     = "consumers"
	consumersID   = "9188040d-6c67-4c5b-b112-36a304b66dad"
)

func shared(tenant string) bool {
	switch strings.ToLower(tenant) {
	case common, organizations, consumers, consumersID:
		return true
	}
	return false
}
