package sts

import (
	"errors"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"gatehouse/lab/internal/directory"
)

// ask is what an app asked of the authorize endpoint (entra-sign-in §3), read
// and checked.
type ask struct {
	v2       bool
	segment  string // tenant as the address names it
	clientID string
	redirect string
	code     bool // response types
	idToken  bool
	mode     string
	state    string
	nonce    string
	prompt   string
	hint     string // login_hint

	challenge, method string // PKCE
	scope             string // as asked; v1.0: made from resource
	wishes            []wish
	openID            []string
	claims            claimsRequest
	redirectKind      string // of the registered address: web, spa or publicClient
}

// wish is what an app asks of one resource.
type wish struct {
	resource *directory.Resource
	scopes   []string // permission names
	all      bool     // .default: what the registration lists
}

// Response modes (entra-sign-in §3).
const (
	modeQuery    = "query"
	modeFragment = "fragment"
	modeFormPost = "form_post"
)

// authorize begins an interactive sign-in. Faults in client id and redirect
// address are shown; once both are sound, faults are sent to the app.
func (s *Server) authorize(w http.ResponseWriter, r *http.Request, tenant string, v2 bool) {
	if refused := readForm(w, r); refused != nil {
		s.showError(w, r, idsOf(r), "", refused)
		return
	}
	ids := idsOf(r)
	a, app, refused := s.readAsk(r, tenant, v2)
	if refused != nil {
		s.showError(w, r, ids, app.Name, refused)
		return
	}
	if refused := s.readRest(r, a, &app); refused != nil {
		s.deliverRefusal(w, r, ids, a, refused)
		return
	}
	f := s.newFlow(w, r, signIn, a, app, ids)
	f.mu.Lock()
	defer f.mu.Unlock()
	s.begin(r, f)
	if a.prompt == "none" {
		s.silent(w, r, f)
		return
	}
	s.show(w, r, f)
}

// readForm reads query and body, for GET and POST alike.
func readForm(w http.ResponseWriter, r *http.Request) *refusal {
	if r.Method != http.MethodGet && r.Method != http.MethodPost && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, POST")
		return refuse("invalid_request", 900561, "The address accepts GET and POST requests; this was a %s.", clip(r.Method)).with(http.StatusMethodNotAllowed)
	}
	r.Body = http.MaxBytesReader(w, r.Body, maxBody)
	if err := r.ParseForm(); err != nil {
		if large := (*http.MaxBytesError)(nil); errors.As(err, &large) {
			return refuse("invalid_request", 9002313, "The request is larger than %d bytes.", large.Limit).with(http.StatusRequestEntityTooLarge)
		}
		return refuse("invalid_request", 9002313, "The request is malformed: it cannot be read as a form.")
	}
	return nil
}

// readAsk checks tenant, app and redirect address: what must be sound before
// anything is sent anywhere.
func (s *Server) readAsk(r *http.Request, tenant string, v2 bool) (*ask, directory.App, *refusal) {
	a := &ask{v2: v2, segment: tenant, clientID: strings.ToLower(r.Form.Get("client_id")), redirect: r.Form.Get("redirect_uri")}
	app, refused := s.askedApp(tenant, a.clientID)
	if refused != nil {
		return a, app, refused
	}
	a.redirectKind, refused = s.redirectURI(r, &app, a.redirect)
	return a, app, refused
}

// askedApp finds an app that may be signed in to through a tenant's address or
// a shared one.
func (s *Server) askedApp(tenant, clientID string) (directory.App, *refusal) {
	var app directory.App
	if clientID == "" {
		return app, missingParameter("client_id")
	}
	if !shared(tenant) {
		var refused *refusal
		if !s.cfg.Store.View(tenant, func(t *directory.Tenant) { app, refused = installable(t, clientID) }) {
			return app, unknownTenant(clip(tenant))
		}
		return app, refused
	}
	if name := strings.ToLower(tenant); name == consumers || name == consumersID {
		return app, refuse("invalid_request", 9002332, "The application is for work and school accounts; the lab has no personal ones. Use /organizations or a tenant's own address.")
	}
	found := false
	s.cfg.Store.Tenants(func(t *directory.Tenant) {
		if a := t.App(clientID); a != nil && !found {
			app, found = *a, true
		}
	})
	switch {
	case !found:
		return app, unknownApp(clip(clientID), "any tenant of this cloud")
	case !app.MultiTenant:
		return app, refuse("invalid_request", 50194, "The application '%s' (%s) is for one tenant: use that tenant's address instead of /%s.", app.ClientID, app.Name, strings.ToLower(tenant))
	}
	return app, nil
}

// installable finds an app that is in the tenant or could come into it by
// consent: the tenant's own, and other tenants' multi-tenant ones.
func installable(t *directory.Tenant, clientID string) (directory.App, *refusal) {
	app, principal := t.App(clientID), t.Principal(clientID)
	if app == nil || principal == nil && !app.MultiTenant && t.Owner(clientID) != t.ID {
		return directory.App{}, unknownApp(clip(clientID), t.Name)
	}
	if principal != nil && !principal.Enabled {
		return *app, refuse("unauthorized_client", 7000112, "The application '%s' (%s) is disabled.", app.ClientID, app.Name)
	}
	return *app, nil
}

// readRest reads the rest of the request. Its faults go to the app.
func (s *Server) readRest(r *http.Request, a *ask, app *directory.App) *refusal {
	form := r.Form
	a.state, a.nonce, a.prompt = stripTags(form.Get("state")), form.Get("nonce"), strings.ToLower(form.Get("prompt"))
	a.hint = strings.TrimSpace(form.Get("login_hint"))
	types := strings.Fields(form.Get("response_type"))
	for _, kind := range types {
		switch kind {
		case "code":
			a.code = true
		case "id_token":
			a.idToken = true
		default:
			return refuse("unsupported_response_type", 70005, "The response type '%s' is not supported.", clip(form.Get("response_type")))
		}
	}
	if refused := a.readMode(form.Get("response_mode")); refused != nil {
		return refused
	}
	switch {
	case len(types) == 0:
		return missingParameter("response_type")
	case a.prompt != "" && !slices.Contains([]string{"login", "none", "consent", "select_account", "admin_consent", "create"}, a.prompt):
		return refuse("invalid_request", 90023, "The value '%s' of the parameter 'prompt' is not supported.", clip(a.prompt))
	case a.prompt == "admin_consent" && a.v2: // seen so: MSAL.js issue 3446
		return refuse("invalid_request", 901001, "The value '%s' of the parameter 'prompt' is not valid: an administrator consents at the address of admin consent.", a.prompt)
	case a.prompt == "admin_consent" || a.prompt == "create":
		return refuse("invalid_request", 90023, "The value '%s' of the parameter 'prompt' is not supported by the lab.", a.prompt)
	}
	if a.idToken && !app.IDTokens {
		return refuse("unsupported_response_type", 700054, "The response type 'id_token' is not enabled for the application '%s'.", app.ClientID)
	}
	if refused := s.readScope(r, a, form); refused != nil {
		return refused
	}
	if a.idToken && (a.nonce == "" || !slices.Contains(a.openID, "openid")) {
		if a.nonce == "" {
			return missingParameter("nonce")
		}
		return refuse("invalid_request", 70011, "The scope must contain 'openid' where an id_token is asked for.")
	}
	if refused := a.readChallenge(form); refused != nil {
		return refused
	}
	var refused *refusal
	a.claims, refused = readClaims(form.Get("claims"))
	return refused
}

func (a *ask) readMode(mode string) *refusal {
	a.mode = strings.ToLower(mode)
	switch {
	case a.mode == "" && a.idToken:
		a.mode = modeFragment
	case a.mode == "":
		a.mode = modeQuery
	case a.mode == modeQuery && a.idToken:
		// Tokens never travel in a query; the refusal may not either.
		a.mode = modeFragment
		return refuse("invalid_request", 70007, "The response mode 'query' is not supported where a token is asked for.")
	case !slices.Contains([]string{modeQuery, modeFragment, modeFormPost}, a.mode):
		refused := refuse("invalid_request", 70007, "The response mode '%s' is not supported.", clip(mode))
		a.mode = modeQuery
		return refused
	}
	return nil
}

// readScope reads scope (v2.0) or resource (v1.0). Scopes may span several
// resources here (entra-sign-in §3).
func (s *Server) readScope(r *http.Request, a *ask, form url.Values) *refusal {
	if !a.v2 {
		// v1.0 asks for one resource and takes what was granted.
		a.openID = []string{"openid", "profile", "offline_access"}
		resource := form.Get("resource")
		if resource == "" {
			a.wishes = []wish{{resource: directory.ResourceByID(directory.GraphID)}}
			return nil
		}
		r := s.cfg.Store.Resource(a.segment, resource)
		if r == nil {
			return unknownResource(clip(resource), a.segment)
		}
		a.scope, a.wishes = resource, []wish{{resource: r, all: true}}
		return nil
	}
	a.scope = strings.TrimSpace(form.Get("scope"))
	if a.scope == "" {
		return missingParameter("scope")
	}
	if refused := s.abroad(r, a.scope, a.segment); refused != nil {
		return refused
	}
	var refused *refusal
	a.wishes, a.openID, refused = s.parseScopes(a.scope, a.segment)
	return refused
}

// abroad refuses scopes that name Graph as another cloud does: each cloud has an
// address of its own for it (entra-sign-in §1). The lab's own address stands for
// all clouds.
func (s *Server) abroad(r *http.Request, scopes, tenant string) *refusal {
	here := s.hostOf(r)
	if !slices.ContainsFunc(s.cfg.Clouds, func(c Cloud) bool { return slices.Contains(c.Login, here) }) {
		return nil
	}
	for scope := range strings.FieldsSeq(scopes) {
		u, err := url.Parse(scope)
		if err != nil || u.Scheme != "https" {
			continue
		}
		home := false
		known := slices.ContainsFunc(s.cfg.Clouds, func(c Cloud) bool {
			has := slices.Contains(c.Graph, strings.ToLower(u.Host))
			home = home || has && slices.Contains(c.Login, here)
			return has
		})
		if known && !home {
			return unknownResource("https://"+u.Host, tenant)
		}
	}
	return nil
}

// parseScopes sorts scopes by resource. OpenID scopes belong to none; alone,
// they are asked of Graph.
func (s *Server) parseScopes(scope, tenant string) (wishes []wish, openID []string, refused *refusal) {
	graph := directory.ResourceByID(directory.GraphID)
	for _, one := range strings.Fields(scope) {
		if name := strings.ToLower(one); slices.Contains(openIDScopes, name) {
			openID = append(openID, name)
			continue
		}
		resource, permission := graph, one
		if i := strings.LastIndexByte(one, '/'); i >= 0 {
			if resource = s.cfg.Store.Resource(tenant, one[:i]); resource == nil {
				return nil, nil, unknownResource(clip(one[:i]), tenant)
			}
			permission = one[i+1:]
		}
		i := slices.IndexFunc(wishes, func(w wish) bool { return w.resource.ClientID == resource.ClientID })
		if i < 0 {
			wishes = append(wishes, wish{resource: resource})
			i = len(wishes) - 1
		}
		if permission == ".default" {
			wishes[i].all = true
		} else if known, ok := resource.Scope(permission); ok {
			wishes[i].scopes = append(wishes[i].scopes, known.Value)
		} else {
			return nil, nil, refuse("invalid_scope", 70011, "The scope '%s' is not valid: %s has no such permission.", clip(one), resource.Name)
		}
		if wishes[i].all && len(wishes[i].scopes) > 0 {
			return nil, nil, refuse("invalid_scope", 70011, "The scope is not valid: .default cannot be combined with other permissions of %s.", resource.Name)
		}
	}
	if len(wishes) == 0 {
		wishes = []wish{{resource: graph}}
	}
	return wishes, openID, nil
}

// challengePattern is the form of a PKCE verifier and challenge (RFC 7636 §4).
var challengePattern = regexp.MustCompile(`^[A-Za-z0-9._~-]{43,128}$`)

func (a *ask) readChallenge(form url.Values) *refusal {
	a.challenge, a.method = form.Get("code_challenge"), form.Get("code_challenge_method")
	switch {
	case a.challenge == "":
		return nil
	case a.method == "":
		a.method = "plain"
	case a.method != "plain" && a.method != "S256":
		return refuse("invalid_request", 501491, "The code challenge method '%s' is not supported.", clip(a.method))
	}
	if !challengePattern.MatchString(a.challenge) || a.method == "S256" && len(a.challenge) != 43 {
		return refuse("invalid_request", 501491, "The parameter 'code_challenge' has the wrong length or form.")
	}
	return nil
}

var tagPattern = regexp.MustCompile(`<[^>]*>?`)

// stripTags takes HTML out of a state value, as Entra does before it echoes it
// (entra-sign-in §3).
func stripTags(s string) string { return tagPattern.ReplaceAllString(s, "") }
