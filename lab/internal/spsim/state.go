package spsim

import (
	"slices"
	"strings"
	"time"
)

// state is what changes while the server runs. Everything else is derived.
type state struct {
	grants   map[grant]right
	contexts map[grant]string // authentication contexts of sites, without who
	settings map[string]TenantSettings
	created  map[string][]created // by list id
	count    int                  // of created items, all lists
}

func newState() state {
	return state{grants: map[grant]right{}, contexts: map[grant]string{}, settings: map[string]TenantSettings{}, created: map[string][]created{}}
}

// grant is a permission of one app or person on one site.
type grant struct{ tenant, site, who string }

// created is a list item that a caller added.
type created struct {
	title string
	at    time.Time
}

// maxCreated is how many items callers may add in all.
const maxCreated = 10_000

// TenantSettings are the settings of a tenant's SharePoint that an
// administrator can change and that the server reports or obeys.
type TenantSettings struct {
	// LegacyAuthProtocolsEnabled is reported; since May 2026 it brings no
	// password sign-in back.
	LegacyAuthProtocolsEnabled bool
	// ConditionalAccessPolicy for unmanaged devices: 0 full access, 1 limited,
	// 2 blocked. It is reported.
	ConditionalAccessPolicy int
	// With IPAddressEnforcement only the addresses and networks of
	// IPAddressAllowList (comma separated) get in; others are refused with 403.
	IPAddressEnforcement bool
	IPAddressAllowList   string
}

// SetTenant changes the SharePoint settings of a tenant.
func (s *Server) SetTenant(tenantID string, settings TenantSettings) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.state.settings[strings.ToLower(tenantID)] = settings
}

func (s *Server) settings(tenantID string) TenantSettings {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.state.settings[strings.ToLower(tenantID)]
}

// GrantSite gives an app with Sites.Selected a role on one site: "read",
// "write", "manage" or "fullcontrol"; any other role takes the grant away. The
// site is its path on the tenant's main host, such as "/sites/finance", or "/"
// for the root site.
func (s *Server) GrantSite(tenantID, site, clientID, role string) {
	key := grant{strings.ToLower(tenantID), siteKey(site), strings.ToLower(clientID)}
	s.mu.Lock()
	defer s.mu.Unlock()
	if r, ok := grantRights[strings.ToLower(role)]; ok {
		s.state.grants[key] = r
		return
	}
	delete(s.state.grants, key)
}

// GrantUser gives a person a role on one site, in addition to what the person
// has anyway; who is an object id or a user principal name. See
// [Server.GrantSite].
func (s *Server) GrantUser(tenantID, site, who, role string) { s.GrantSite(tenantID, site, who, role) }

// granted is the right that was given to an app or person on a site.
func (s *Server) granted(tenantID, site, who string) right {
	if who == "" {
		return rightNone
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.state.grants[grant{strings.ToLower(tenantID), site, strings.ToLower(who)}]
}

// siteKey spells a site's path as grants are kept: lower case, no slash at the
// end, "/" for the root site.
func siteKey(path string) string {
	return "/" + strings.Trim(strings.ToLower(path), "/")
}

// added lists the items that callers added to a list.
func (s *Server) added(list string) []created {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.state.created[list])
}

// add keeps a new item and gives its place among the added ones, from 0. It
// reports false if the server holds too many.
func (s *Server) add(list, title string, at time.Time) (int, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state.count >= maxCreated {
		return 0, false
	}
	s.state.count++
	s.state.created[list] = append(s.state.created[list], created{title, at})
	return len(s.state.created[list]) - 1, true
}
