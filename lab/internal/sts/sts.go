// Package sts is the simulated sign-in service: what Entra ID serves under
// login.microsoftonline.com. It covers instance discovery, OpenID metadata,
// keys, user realm, and the token endpoint in its v2.0 and v1.0 forms with the
// password, client-credentials, refresh-token, authorization-code, device-code,
// on-behalf-of and SAML bearer grants.
//
// People sign in on its pages, which begin at the authorize, admin consent and
// device code addresses: flow.go tells how. What lands on their phones,
// [Server.Prompts] and [Server.Texts] show.
//
// A token request passes these gates in order (entra-sign-in §7: the order is
// not documented, this is the lab's reading): tenant, app, client credential,
// resource, user, lock-out, password, account state, Conditional Access
// and other demands for MFA, consent, assignment.
// Each gate is a function that returns a refusal or nil, so that the order can
// be read off [Server.password].
package sts

import (
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"gatehouse/lab/internal/directory"
	"gatehouse/lab/internal/federation"
	"gatehouse/lab/internal/token"
)

// Config is what the sign-in service needs.
type Config struct {
	Store  *directory.Store
	Tokens *token.Signer
	// Root gives scheme and host under which the request came in:
	// "https://127.0.0.1:8443" or "https://login.microsoftonline.com".
	Root func(*http.Request) string
	// Clouds are the real clouds whose hosts lead here.
	Clouds []Cloud
	// Random gives 64 random bits; nil makes tokens equal in size and lifetime.
	Random func() uint64
	// Federation plays the servers of federated domains and the issuers of
	// workload tokens; nil: there are none, and nobody federated can sign in.
	Federation *federation.Server
	// Strict refuses client assertions in the older form: RS256 with a SHA-1
	// thumbprint.
	Strict bool
}

// Cloud is a group of sign-in hosts that share tokens.
type Cloud struct {
	Instance string   // cloud_instance_name
	Login    []string // the first is the one that clients are sent to
	Cache    string   // the one that they file tokens under
	Graph    []string
}

// cloud gives the cloud that a request came in for: a real one by its host, or
// the lab's own address as a cloud of its own.
func (s *Server) cloud(host string) Cloud {
	for _, c := range s.cfg.Clouds {
		if slices.Contains(c.Login, host) {
			return c
		}
	}
	return Cloud{Instance: "microsoftonline.com", Login: []string{host}, Cache: host, Graph: []string{"graph.microsoft.com"}}
}

// hostOf is the host that a request was sent to, as its own cloud.
func (s *Server) hostOf(r *http.Request) string { return strings.TrimPrefix(s.cfg.Root(r), "https://") }

// Server serves the sign-in service.
type Server struct {
	cfg Config

	// mu comes after a flow's lock and is never held across the directory's.
	mu        sync.Mutex
	refresh   map[string]*refreshToken
	singleUse bool // of refresh tokens
	flows     *shelf[*flow]
	sessions  *shelf[*session]
	codes     *shelf[*earned]
	devices   *shelf[*deviceCode] // by device code
	userCodes *shelf[*deviceCode] // by user code
	prompts   *shelf[*push]
	texts     *shelf[Text]
	used      *shelf[bool]             // codes of code apps
	trusts    *shelf[map[string]trust] // of browsers that need not ask again
	requests  *shelf[ConsentRequest]
	networks  atomic.Pointer[[]Network] // written under mu
}

// New gives the sign-in service.
func New(cfg Config) *Server {
	return &Server{
		cfg: cfg, refresh: map[string]*refreshToken{},
		flows: newShelf[*flow](maxFlows), sessions: newShelf[*session](maxSessions), codes: newShelf[*earned](maxCodes),
		devices: newShelf[*deviceCode](maxDevices), userCodes: newShelf[*deviceCode](maxDevices),
		prompts: newShelf[*push](maxPrompts), texts: newShelf[Text](maxPrompts), used: newShelf[bool](maxPrompts), trusts: newShelf[map[string]trust](maxSessions), requests: newShelf[ConsentRequest](maxConsentRequests),
	}
}

// ServeHTTP routes by path. Entra's paths are case-insensitive.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	segments := strings.Split(strings.Trim(r.URL.Path, "/"), "/")
	tenant := segments[0]
	if strings.EqualFold(r.URL.Path, signInPath) {
		s.fromFederation(w, r)
		return
	}
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
	case rest == "oauth2/v2.0/authorize":
		s.authorize(w, r, tenant, true)
	case rest == "oauth2/authorize":
		s.authorize(w, r, tenant, false)
	case rest == "login":
		s.login(w, r)
	case rest == "oauth2/v2.0/logout", rest == "oauth2/logout":
		s.logout(w, r, tenant)
	case rest == "v2.0/adminconsent":
		s.adminConsent(w, r, tenant, adminConsentV2)
	case rest == "adminconsent":
		s.adminConsent(w, r, tenant, adminConsentV1)
	case rest == "oauth2/v2.0/devicecode":
		s.deviceAuthorization(w, r, tenant, true)
	case rest == "oauth2/devicecode":
		s.deviceAuthorization(w, r, tenant, false)
	case strings.EqualFold(tenant, common) && rest == "oauth2/deviceauth":
		s.deviceAuth(w, r)
	case strings.EqualFold(tenant, common) && rest == "oauth2/nativeclient":
		s.nativeClient(w, r)
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
