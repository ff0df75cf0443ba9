// Package pcsim is a simulated Partner Center, as far as a partner needs it to
// bring an app into customers' tenants: the list of customers, and application
// consents. Sources: partner-center/developer "Get a list of customers" and
// "Get customer consent as Control Panel Vendor"; entra-sign-in §9.4.
package pcsim

import (
	"net/http"
	"slices"
	"strings"

	"gatehouse/lab/internal/directory"
	"gatehouse/lab/internal/token"
	"gatehouse/lab/internal/vary"
)

// Host is the service's host. Under a lab's own address the same paths are
// served: their first step is v1.
const Host = "api.partnercenter.microsoft.com"

// AdminAgents is the group of the partner's tenant whose members may act for
// customers.
const AdminAgents = "AdminAgents"

// scope is the one permission of the API.
const scope = "user_impersonation"

// Config is what a [Server] needs.
type Config struct {
	Store  *directory.Store
	Tokens *token.Signer
	// Random shuffles members and shortens pages; nil, or Deterministic, leaves
	// everything as it is.
	Random        vary.Source
	Deterministic bool
}

// Server is a simulated Partner Center, all partners.
type Server struct{ cfg Config }

// New makes a server.
func New(cfg Config) *Server {
	if cfg.Deterministic {
		cfg.Random = nil
	}
	return &Server{cfg}
}

// Bounds of a request.
const (
	maxBody  = 64 << 10
	maxQuery = 8192
)

// request is one call on its way through the server.
type request struct {
	server  *Server
	http    *http.Request
	writer  http.ResponseWriter
	claims  *token.Claims
	partner string // tenant id
}

// fault is a refusal: the status and what the body says of it. The numbers are
// the lab's own.
type fault struct {
	status, code int
	text         string
}

func refuse(status, code int, text string) *fault { return &fault{status, code, text} }

// ServeHTTP answers a request.
func (s *Server) ServeHTTP(w http.ResponseWriter, h *http.Request) {
	r := &request{server: s, http: h, writer: w}
	header := w.Header()
	for _, name := range []string{"MS-RequestId", "MS-CorrelationId"} {
		id := h.Header.Get(name)
		if id == "" || len(id) > 64 {
			id = directory.RandomID()
		}
		header.Set(name, id)
	}
	header.Set("X-Content-Type-Options", "nosniff")
	status, body, refused := r.serve()
	if refused != nil {
		if refused.status == http.StatusUnauthorized {
			header.Set("WWW-Authenticate", "Bearer")
		}
		status = refused.status
		body = map[string]any{"code": refused.code, "description": refused.text, "data": []any{}, "source": "PartnerAPI"}
	}
	if body == nil {
		w.WriteHeader(status)
		return
	}
	header.Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write(s.cfg.Random.JSON(body))
}

func (r *request) serve() (int, map[string]any, *fault) {
	if refused := r.authenticate(); refused != nil {
		return 0, nil, refused
	}
	if len(r.http.URL.RawQuery) > maxQuery {
		return 0, nil, refuse(http.StatusRequestURITooLong, 414, "The address is too long.")
	}
	segments := strings.Split(strings.Trim(r.http.URL.Path, "/"), "/")
	is := func(i int, name string) bool { return len(segments) > i && strings.EqualFold(segments[i], name) }
	switch n, method := len(segments), r.http.Method; {
	case !is(0, "v1") || !is(1, "customers"):
	case n == 2 && method == http.MethodGet:
		return r.customers()
	case n == 3 && method == http.MethodGet:
		return r.customer(segments[2])
	case is(3, "applicationconsents") && n == 4 && method == http.MethodPost:
		return r.consent(segments[2])
	case is(3, "applicationconsents") && n == 5 && method == http.MethodDelete:
		return r.withdraw(segments[2], segments[4])
	case n <= 3 || is(3, "applicationconsents") && n <= 5:
		return 0, nil, refuse(http.StatusMethodNotAllowed, 405, "The address does not take "+method+".")
	}
	return 0, nil, refuse(http.StatusNotFound, 404, "The lab's Partner Center has no such address.")
}

// authenticate reads the token: a person's of the partner's own tenant ("App +
// User"), for this API, who passed a second factor (demanded of all such calls
// since April 2026: Partner Center authentication).
func (r *request) authenticate() *fault {
	scheme, compact, _ := strings.Cut(r.http.Header.Get("Authorization"), " ")
	unauthorised := refuse(http.StatusUnauthorized, 401, "The access token is missing, has expired or is for another audience.")
	if !strings.EqualFold(scheme, "Bearer") {
		return unauthorised
	}
	claims, err := r.server.cfg.Tokens.Verify(strings.TrimSpace(compact), r.server.cfg.Store.Now().UTC())
	if err != nil {
		return unauthorised
	}
	if resource := directory.ResourceByURI(claims.Audience); resource == nil || resource.ClientID != directory.PartnerCenterID {
		return unauthorised
	}
	if claims.IDType == "app" || !slices.Contains(strings.Fields(claims.Scopes), scope) {
		return refuse(http.StatusForbidden, 403, "Application consents are for a user together with an app (App + User), with the permission user_impersonation.")
	}
	if !slices.Contains(claims.AMR, "mfa") {
		return refuse(http.StatusUnauthorized, 401, "Unauthorized - MFA required")
	}
	r.claims, r.partner = claims, claims.TenantID
	return nil
}

// agent refuses people who are no admin agents.
func (r *request) agent() *fault {
	is := false
	r.server.cfg.Store.View(r.partner, func(t *directory.Tenant) {
		is = slices.ContainsFunc(t.GroupsOf(r.claims.ObjectID), func(id string) bool { return strings.EqualFold(t.Group(id).Name, AdminAgents) })
	})
	if !is {
		return refuse(http.StatusForbidden, 403, "The user is no admin agent of the partner.")
	}
	return nil
}
