package bcsim

import (
	"slices"
	"strings"

	"gatehouse/lab/internal/directory"
)

// state is what changes while the server runs. Everything else is derived.
type state struct {
	cards     map[place]card        // by tenant, environment, client id
	users     map[place]user        // by tenant, "", object id or user name
	statuses  map[place]string      // by tenant, environment, ""
	admins    map[place]bool        // by tenant, "", client id
	customers map[string][]customer // by company id; absent: as derived
}

// place names something of a tenant: all parts in lower case.
type place struct{ tenant, environment, who string }

func at(tenant, environment, who string) place {
	return place{strings.ToLower(tenant), strings.ToLower(environment), strings.ToLower(who)}
}

// card is an app's record in one environment.
type card struct {
	enabled bool
	sets    []string
}

// user is what was said about a person; others follow the directory.
type user struct {
	licensed bool
	sets     []string
}

// SetCard puts the card of an app into an environment, or changes it: page
// "Microsoft Entra Applications". SUPER is left out, as the real page refuses
// it for apps.
func (s *Server) SetCard(tenantID, environment, clientID string, enabled bool, permissionSets []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	sets := slices.DeleteFunc(slices.Clone(permissionSets), func(set string) bool { return strings.EqualFold(set, "SUPER") })
	s.state.cards[at(tenantID, environment, clientID)] = card{enabled, sets}
}

// RemoveCard takes the card of an app out of an environment.
func (s *Server) RemoveCard(tenantID, environment, clientID string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.state.cards, at(tenantID, environment, clientID))
}

// SetUser decides a person's licence and permission sets in all environments;
// who is an object id. Without it people with any licence in the directory are
// licensed and have full access to data, and the administrators of the product
// come in without.
func (s *Server) SetUser(tenantID, who string, licensed bool, permissionSets []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.state.users[at(tenantID, "", who)] = user{licensed, slices.Clone(permissionSets)}
}

// SetStatus changes the state of an environment: "Active", "Upgrading",
// "SoftDeleted" and what else the admin centre knows. Only Active serves data.
func (s *Server) SetStatus(tenantID, environment, status string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.state.statuses[at(tenantID, environment, "")] = status
}

// SetAdminApp authorises an app in the admin centre, or takes that back. Apps
// that hold AdminCenter.ReadWrite.All when the server is made are authorised.
func (s *Server) SetAdminApp(tenantID, clientID string, authorised bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.state.admins[at(tenantID, "", clientID)] = authorised
}

// newState gives apps what a finished set-up has.
func newState(store *directory.Store) state {
	s := state{cards: map[place]card{}, users: map[place]user{}, statuses: map[place]string{}, admins: map[place]bool{}, customers: map[string][]customer{}}
	store.Tenants(func(t *directory.Tenant) {
		for _, p := range t.Principals {
			roles := t.AppRolesOf(p.ClientID, directory.BusinessCentralID)
			if slices.Contains(roles, roleAPI) {
				s.cards[at(t.ID, production, p.ClientID)] = card{true, []string{fullAccess}}
			}
			if slices.Contains(roles, roleAdmin) {
				s.admins[at(t.ID, "", p.ClientID)] = true
			}
		}
	})
	return s
}

func (s *Server) card(p place) card {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.state.cards[p]
}

func (s *Server) user(p place) (user, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	u, ok := s.state.users[p]
	return u, ok
}

func (s *Server) status(p place) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if status := s.state.statuses[p]; status != "" {
		return status
	}
	return active
}

func (s *Server) adminApp(p place) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.state.admins[p]
}
