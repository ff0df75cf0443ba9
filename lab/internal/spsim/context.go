package spsim

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"

	"gatehouse/lab/internal/directory"
)

// contextOf is the id of an authentication context.
var contextOf = regexp.MustCompile(`^c[1-9][0-9]?$`)

// SetContext puts an authentication context ("c1") on a site, or takes it away
// with "" ("Manage site access based on sensitivity label", Set-SPOSite
// -ConditionalAccessPolicy AuthenticationContext). It reports false for what is no
// context. The site is its path, as in [Server.GrantSite].
func (s *Server) SetContext(tenantID, site, context string) bool {
	key := grant{tenant: strings.ToLower(tenantID), site: siteKey(site)}
	s.mu.Lock()
	defer s.mu.Unlock()
	if context == "" {
		delete(s.state.contexts, key)
		return true
	}
	if !contextOf.MatchString(context) {
		return false
	}
	s.state.contexts[key] = context
	return true
}

// stepUp demands the site's authentication context of a person's token. What an app
// calls for itself carries none, and is not asked for one.
func (r *request) stepUp() error {
	r.server.mu.Lock()
	context := r.server.state.contexts[grant{tenant: strings.ToLower(r.place.tenant), site: siteKey(r.site.path)}]
	r.server.mu.Unlock()
	if context == "" || r.caller.app || slices.Contains(r.caller.contexts, context) {
		return nil
	}
	claims := base64.StdEncoding.EncodeToString(fmt.Appendf(nil, `{"access_token":{"acrs":{"essential":true,"value":%q}}}`, context))
	return &fault{status: http.StatusUnauthorized, code: "context", bare: true, header: http.Header{"Www-Authenticate": {fmt.Sprintf(
		`Bearer realm="%s",client_id="%s",authorization_uri="%s",error="insufficient_claims",claims="%s"`, r.place.tenant, directory.SharePointID, r.authority(), claims)}}}
}

// contextsIn reads the authentication contexts that a token, which was verified,
// says were met.
func contextsIn(compact string) []string {
	var claims struct {
		ACRs []string `json:"acrs"`
	}
	if parts := strings.Split(compact, "."); len(parts) == 3 {
		payload, _ := base64.RawURLEncoding.DecodeString(parts[1])
		_ = json.Unmarshal(payload, &claims) // what cannot be read was not met
	}
	return claims.ACRs
}
