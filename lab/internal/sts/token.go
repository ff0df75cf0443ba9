package sts

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"mime"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"gatehouse/lab/internal/conditional"
	"gatehouse/lab/internal/directory"
	"gatehouse/lab/internal/token"
)

// maxBody is the largest token request that is read, in bytes.
const maxBody = 1 << 20

// request is a token request on its way through the gates.
type request struct {
	http   *http.Request
	form   url.Values
	ids    requestIDs
	v2     bool
	now    time.Time
	tenant string // tenant id
	host   string // root under which it came

	app        directory.App       // the client's registration
	client     directory.Principal // and its principal in the tenant
	keyID      string              // of the credential with which it did
	credential string              // how the client authenticated: "0" not, "1" secret, "2" certificate (azpacr)

	resource  *directory.Resource
	asked     []string // scopes as asked, OpenID ones included
	permitted []string // permission names asked of the resource; empty with isDefault
	isDefault bool
	aud       string // the resource in the form it was asked in
	claims    claimsRequest
	spaUntil  time.Time // until when a single-page app's refresh tokens live; zero for others
	family    string    // of the refresh token that is redeemed
	behalf    bool      // on-behalf-of: nobody can be asked, the caller passes the refusal on

	// For Conditional Access:
	how      conditional.Request
	transfer string   // deviceCodeFlow, "" for none
	renewal  bool     // a refresh token is redeemed
	page     bool     // a single-page app asks from its page
	guest    bool     // the person is another tenant's
	done     []string // what the person did in this sign-in besides: passwordChange
}

// OpenID scopes; they belong to no resource (entra-sign-in §9.1).
var openIDScopes = []string{"openid", "profile", "email", "offline_access"}

func (s *Server) token(w http.ResponseWriter, r *http.Request, tenant string, v2 bool) {
	if allowScripts(w, r) {
		return
	}
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
		s.answerRefusal(w, r, idsOf(r), refuse("invalid_request", 900561, "The endpoint accepts only POST requests; this was a %s.", r.Method))
		return
	}
	if kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type")); kind != "application/x-www-form-urlencoded" {
		s.answerRefusal(w, r, idsOf(r), refuse("invalid_request", 900144, "The request body must contain the parameter 'grant_type', and be form-encoded."))
		return
	}
	r.Body = http.MaxBytesReader(w, r.Body, maxBody)
	if err := r.ParseForm(); err != nil {
		var large *http.MaxBytesError
		if errors.As(err, &large) {
			s.answerRefusal(w, r, idsOf(r), refuse("invalid_request", 9002313, "The request is larger than %d bytes.", large.Limit).with(http.StatusRequestEntityTooLarge))
			return
		}
		s.answerRefusal(w, r, idsOf(r), refuse("invalid_request", 9002313, "The request is malformed: its body cannot be read as a form."))
		return
	}
	q := &request{http: r, form: r.PostForm, ids: idsOf(r), v2: v2, now: s.cfg.Store.Now(), host: s.cfg.Root(r), how: conditional.Silent}
	result, refused := s.grant(q, tenant)
	if refused != nil {
		s.answerRefusal(w, r, q.ids, refused)
		return
	}
	s.answer(w, q.ids, http.StatusOK, result)
}

func (s *Server) grant(q *request, tenant string) (map[string]any, *refusal) {
	kind := q.form.Get("grant_type")
	switch kind {
	case "":
		return nil, missingParameter("grant_type")
	case grantDevice:
		kind = grantDeviceShort
	case "password", "client_credentials", "refresh_token", "authorization_code", grantDeviceShort, grantBehalf, grantSAML1, grantSAML2:
	default:
		return nil, refuse("unsupported_grant_type", 70003, "The grant type '%s' is not supported.", clip(kind))
	}
	var refused *refusal
	if q.claims, refused = readClaims(q.form.Get("claims")); refused != nil {
		return nil, refused
	}
	if refused := s.resolveTenant(q, tenant, kind); refused != nil {
		return nil, refused
	}
	if refused := s.authenticateClient(q, kind); refused != nil {
		return nil, refused
	}
	switch kind {
	case "password":
		return s.password(q)
	case "client_credentials":
		return s.clientCredentials(q)
	case "authorization_code":
		return s.redeemCode(q)
	case grantDeviceShort:
		return s.pollDevice(q)
	case grantBehalf:
		return s.onBehalf(q)
	case grantSAML1, grantSAML2:
		return s.redeemSAML(q, kind)
	}
	return s.redeemRefresh(q)
}

// resolveTenant finds the tenant that the path names. The password grant is
// refused on the authorities that include personal accounts, and taken to the
// user's own tenant on "organizations" (entra-sign-in §7).
func (s *Server) resolveTenant(q *request, tenant, kind string) *refusal {
	if shared(tenant) {
		switch {
		case kind == "client_credentials":
			return refuse("invalid_request", 50059, "No tenant could be found in the request: an app signs in to one tenant, name it in the address.")
		case kind == "password" && strings.ToLower(tenant) != organizations:
			return refuse("invalid_request", 9001023, "The grant type is not supported over the /common or /consumers endpoints. Use /organizations or a tenant's own.")
		case kind == "password":
			tenant = s.cfg.Store.TenantOf(q.form.Get("username"))
			if tenant == "" {
				return refuse("invalid_grant", 50034, "The account '%s' does not exist in any directory of this cloud.", clip(q.form.Get("username"))).sub("bad_token")
			}
		case kind == "authorization_code":
			e := s.heldCode(q.form.Get("code"))
			if e == nil {
				return refuse("invalid_grant", 70008, "The authorization code is not one of this service, or it has expired.")
			}
			tenant = e.tenant
		case kind == grantDeviceShort:
			var refused *refusal
			if tenant, refused = s.deviceTenant(q); refused != nil {
				return refused
			}
		case kind == grantBehalf:
			tenant = s.assertionTenant(q.form.Get("assertion"))
		case kind == grantSAML1, kind == grantSAML2:
			tenant = s.cfg.Store.TenantOf(q.form.Get("username"))
			if tenant == "" {
				return refuse("invalid_request", 90002, "The tenant cannot be told from the request: name it in the address, or send the user name.")
			}
		default:
			tenant = s.refreshTenant(q.form.Get("refresh_token"))
		}
	}
	if !s.cfg.Store.View(tenant, func(t *directory.Tenant) { q.tenant = t.ID }) {
		return unknownTenant(clip(tenant))
	}
	return nil
}

// resolveScopes reads scope (v2.0) or resource (v1.0).
func (s *Server) resolveScopes(q *request, appOnly bool) *refusal {
	if refused := s.abroad(q.http, q.form.Get("scope")+" "+q.form.Get("resource"), q.tenant); refused != nil {
		return refused
	}
	if !q.v2 {
		resource := q.form.Get("resource")
		if resource == "" {
			return missingParameter("resource")
		}
		if q.resource = s.cfg.Store.Resource(q.tenant, resource); q.resource == nil {
			return unknownResource(clip(resource), q.tenant)
		}
		q.isDefault, q.aud = true, strings.TrimRight(resource, "/")
		if strings.Contains(q.form.Get("scope"), "openid") {
			q.asked = append(q.asked, "openid")
		}
		return nil
	}
	if strings.TrimSpace(q.form.Get("scope")) == "" {
		return missingParameter("scope")
	}
	for _, scope := range strings.Fields(q.form.Get("scope")) {
		q.asked = append(q.asked, scope)
		if slices.Contains(openIDScopes, strings.ToLower(scope)) {
			continue
		}
		resource, permission := directory.ResourceByID(directory.GraphID), scope
		if i := strings.LastIndexByte(scope, '/'); i >= 0 {
			if resource = s.cfg.Store.Resource(q.tenant, scope[:i]); resource == nil {
				return unknownResource(clip(scope[:i]), q.tenant)
			}
			permission = scope[i+1:]
			if q.aud == "" {
				q.aud = strings.TrimRight(scope[:i], "/")
			}
		}
		if q.resource != nil && q.resource.ClientID != resource.ClientID {
			return refuse("invalid_request", 28000, "The scope names more than one resource (%s and %s); a token is for one.", q.resource.Name, resource.Name)
		}
		q.resource = resource
		if permission == ".default" {
			q.isDefault = true
			continue
		}
		if appOnly {
			return refuse("invalid_scope", 1002012, "The scope '%s' is not valid for an app: client credential flows ask for the resource followed by /.default.", clip(scope))
		}
		if _, ok := resource.Scope(permission); !ok {
			return refuse("invalid_scope", 70011, "The scope '%s' is not valid: %s has no such permission.", clip(scope), resource.Name)
		}
		q.permitted = append(q.permitted, permission)
	}
	if q.isDefault && len(q.permitted) > 0 {
		return refuse("invalid_scope", 70011, "The scope is not valid: .default cannot be combined with '%s'.", clip(q.permitted[0]))
	}
	if q.resource == nil {
		if appOnly {
			return refuse("invalid_scope", 1002012, "The scope is not valid for an app: client credential flows ask for a resource followed by /.default.")
		}
		// Only OpenID scopes: the token is for Graph, to read the profile.
		q.resource = directory.ResourceByID(directory.GraphID)
	}
	return nil
}

// audience is what the access token is for, in the form it was asked in.
func (q *request) audience() string {
	if q.aud != "" {
		return q.aud
	}
	return q.resource.ClientID
}

// clientCredentials is the grant of an app for itself (entra-sign-in §5.4).
func (s *Server) clientCredentials(q *request) (map[string]any, *refusal) {
	if refused := s.resolveScopes(q, true); refused != nil {
		return nil, refused
	}
	var roles []string
	var refused *refusal
	entry := &directory.SignIn{PrincipalID: q.client.ID, Protocol: "none"}
	s.cfg.Store.View(q.tenant, func(t *directory.Tenant) {
		if refused = s.checkResource(q, t); refused != nil {
			return
		}
		roles = t.AppRolesOf(q.client.ClientID, q.resource.ClientID)
		r := s.judgeApp(t, q)
		r.note(entry, proof{})
		refused = r.refusal(q, conditional.Application)
	})
	s.logSignIn(q, entry, refused)
	if refused != nil {
		return nil, refused
	}
	claims := &token.Claims{
		ObjectID: q.client.ID, Subject: q.client.ID, IDType: "app", Roles: roles, AppID: q.app.ClientID, AppIDACR: q.credential,
		WIDs: []string{"0997a1d0-0d1d-4acb-b408-d5ca73121e90"}, // every app-only token carries it
	}
	result, err := s.accessToken(q, claims, proof{})
	if err != nil {
		return nil, unavailable(err)
	}
	return result, nil
}

func (s *Server) checkResource(q *request, t *directory.Tenant) *refusal {
	p := t.Principal(q.resource.ClientID)
	if q.resource == directory.TokenExchange {
		return nil // everywhere, without a principal
	}
	if p == nil {
		return unknownResource(q.audience(), t.ID)
	}
	if !p.Enabled {
		return refuse("invalid_resource", 500014, "The service principal of '%s' is disabled, or the subscription behind it has lapsed.", q.resource.Name)
	}
	if q.itself() && !strings.EqualFold(q.audience(), q.app.ClientID) {
		return refuse("invalid_request", 90009, "The application '%s' asks for a token for itself; it must name itself by its client id.", q.app.ClientID)
	}
	return nil
}

// itself reports whether an app asks for a token for itself.
func (q *request) itself() bool {
	return q.resource.App != nil && q.resource.ClientID == q.app.ClientID
}

// clientInfo is the account key that MSAL asks for with client_info=1.
func clientInfo(uid, utid string) string {
	encoded, _ := json.Marshal(map[string]string{"uid": uid, "utid": utid})
	return base64.RawURLEncoding.EncodeToString(encoded)
}

// logSignIn writes the sign-in log entry of a request. Entry fields that the
// request itself knows are filled in here.
func (s *Server) logSignIn(q *request, e *directory.SignIn, refused *refusal) {
	e.ID, e.CorrelationID, e.Time = q.ids.trace, q.ids.correlation, q.now
	e.ClientID, e.ClientName = q.app.ClientID, q.app.Name
	if q.resource != nil {
		e.Resource, e.ResourceName = q.resource.ClientID, q.resource.Name
	}
	e.IPAddress = s.networkOf(q, e.UPN).Address
	e.UserAgent = clip(q.http.UserAgent())
	e.KeyID = q.keyID
	e.CredentialType = map[string]string{"0": "none", "1": "clientSecret", "2": "clientAssertion"}[q.credential]
	if refused != nil {
		e.Status, e.Failure = refused.code, refused.text
	}
	s.cfg.Store.Update(q.tenant, func(t *directory.Tenant) { t.Log(e) })
}

// addressOf is where a request came from, without port.
func addressOf(r *http.Request) string {
	if host, _, err := net.SplitHostPort(r.RemoteAddr); err == nil {
		return host
	}
	return r.RemoteAddr
}

// clip keeps a caller's text from filling an answer or the log.
//
//go:noinline
func clip(s string) string {
	const most = 120
	if r := []rune(s); len(r) > most {
		return string(r[:most]) + "…"
	}
	return s
}
