package directory

import (
	"crypto/rand"
	"crypto/x509"
	"slices"
	"strings"
	"sync"
	"time"
)

// Store holds all tenants. Its methods are safe for concurrent use; the
// tenants it hands to callbacks are valid only within the callback.
type Store struct {
	mu      sync.RWMutex
	key     []byte // keyed hash of client secrets
	now     func() time.Time
	tenants []*Tenant
	byName  map[string]*Tenant // by id and by domain
	indexes map[*Tenant]*index
	apps    map[string]*Tenant // client id → tenant that registered it
	cfg     Config
}

type index struct {
	users      map[string]*User // by id and by lower-case UPN
	groups     map[string]*Group
	principals map[string]*Principal // by id and by client id
	apps       map[string]*App       // by client id
}

// Config is what a [Store] needs besides the tenants.
type Config struct {
	// Seed decides all ids, passwords and secrets that the file leaves open.
	Seed uint64
	// Now is the lab's clock.
	Now func() time.Time
	// NewCertificate makes the client certificate of an app that asks for one.
	NewCertificate func(name string, start, end time.Time) (*x509.Certificate, error)
}

// Now is the lab's time.
func (s *Store) Now() time.Time { return s.now() }

// Tenants calls fn with every tenant, for reading.
func (s *Store) Tenants(fn func(*Tenant)) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	for _, t := range s.tenants {
		fn(t)
	}
}

// View calls fn with the tenant that has the id or domain, for reading. It
// reports false if there is none.
func (s *Store) View(name string, fn func(*Tenant)) bool {
	s.mu.RLock()
	defer s.mu.RUnlock()
	t := s.byName[strings.ToLower(name)]
	if t == nil {
		return false
	}
	fn(t)
	return true
}

// Update calls fn with the tenant that has the id or domain, for changing. It
// reports false if there is none. Collections are changed through the Add and
// Remove methods only.
func (s *Store) Update(name string, fn func(*Tenant)) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.byName[strings.ToLower(name)]
	if t == nil {
		return false
	}
	fn(t)
	return true
}

// TenantOf gives the id of the tenant that has the domain of a user name, ""
// if none has it.
func (s *Store) TenantOf(upn string) string {
	_, domain, _ := strings.Cut(strings.ToLower(upn), "@")
	s.mu.RLock()
	defer s.mu.RUnlock()
	if t := s.byName[domain]; t != nil {
		return t.ID
	}
	return ""
}

// Registration calls fn with the app registration that has the client id and
// the tenant that owns it. It reports false if no tenant has registered it.
// Microsoft's own apps have no owner here: see [Tenant.App].
func (s *Store) Registration(clientID string, fn func(*Tenant, *App)) bool {
	s.mu.RLock()
	defer s.mu.RUnlock()
	owner := s.apps[strings.ToLower(clientID)]
	if owner == nil {
		return false
	}
	fn(owner, s.indexes[owner].apps[strings.ToLower(clientID)])
	return true
}

func newStore(cfg Config) *Store {
	key := make([]byte, 32)
	_, _ = rand.Read(key)
	return &Store{
		key: key, now: cfg.Now, cfg: cfg,
		byName: map[string]*Tenant{}, indexes: map[*Tenant]*index{}, apps: map[string]*Tenant{},
	}
}

func (s *Store) add(t *Tenant) {
	t.store = s
	s.tenants = append(s.tenants, t)
	s.byName[t.ID] = t
	for _, d := range t.Domains {
		s.byName[d.Name] = t
	}
	s.indexes[t] = &index{users: map[string]*User{}, groups: map[string]*Group{}, principals: map[string]*Principal{}, apps: map[string]*App{}}
}

//go:noinline
func (t *Tenant) index() *index { return t.store.indexes[t] }

// Other gives another tenant by id or domain, nil if there is none. It is for
// use inside callbacks, which hold the store's lock already.
func (t *Tenant) Other(name string) *Tenant { return t.store.byName[strings.ToLower(name)] }

// Initial is the domain the tenant was made with.
func (t *Tenant) Initial() string { return t.Domains[0].Name }

// Domain finds a domain of the tenant, nil if it has none of that name.
func (t *Tenant) Domain(name string) *Domain {
	for i := range t.Domains {
		if strings.EqualFold(t.Domains[i].Name, name) {
			return &t.Domains[i]
		}
	}
	return nil
}

// Premium reports whether the tenant has Entra ID P1.
func (t *Tenant) Premium() bool {
	for _, sku := range t.Licences {
		if slices.Contains(sku.Plans, PlanP1) {
			return true
		}
	}
	return false
}

// User finds a user by id or user principal name, nil if there is none.
func (t *Tenant) User(name string) *User { return t.index().users[strings.ToLower(name)] }

// Group finds a group by id.
func (t *Tenant) Group(id string) *Group { return t.index().groups[strings.ToLower(id)] }

// Principal finds a service principal by id or client id.
func (t *Tenant) Principal(id string) *Principal { return t.index().principals[strings.ToLower(id)] }

// App finds the registration behind a client id: the tenant's own, another
// tenant's multi-tenant app or one of Microsoft's; nil if nobody registered it.
func (t *Tenant) App(clientID string) *App {
	clientID = strings.ToLower(clientID)
	if app := t.index().apps[clientID]; app != nil {
		return app
	}
	if owner := t.store.apps[clientID]; owner != nil {
		return t.store.indexes[owner].apps[clientID]
	}
	return microsoftApps[clientID]
}

// Owner gives the id of the tenant that registered an app.
func (t *Tenant) Owner(clientID string) string {
	if owner := t.store.apps[strings.ToLower(clientID)]; owner != nil {
		return owner.ID
	}
	return MicrosoftTenant
}

// AddUser adds a user.
func (t *Tenant) AddUser(u *User) {
	t.Users = append(t.Users, u)
	t.index().users[strings.ToLower(u.ID)] = u
	t.index().users[strings.ToLower(u.UPN)] = u
}

// AddGroup adds a group.
func (t *Tenant) AddGroup(g *Group) {
	t.Groups = append(t.Groups, g)
	t.index().groups[strings.ToLower(g.ID)] = g
}

// AddApp adds an app registration.
func (t *Tenant) AddApp(a *App) {
	t.Apps = append(t.Apps, a)
	t.index().apps[strings.ToLower(a.ClientID)] = a
	t.store.apps[strings.ToLower(a.ClientID)] = t
}

// AddPrincipal adds a service principal.
func (t *Tenant) AddPrincipal(p *Principal) {
	t.Principals = append(t.Principals, p)
	t.index().principals[strings.ToLower(p.ID)] = p
	t.index().principals[strings.ToLower(p.ClientID)] = p
}

// GroupsOf gives the ids of the groups that an object is in, directly or
// through other groups, in the order of the tenant's groups. Cycles end.
func (t *Tenant) GroupsOf(id string) []string {
	in := map[string]bool{}
	for frontier := []string{id}; len(frontier) > 0; {
		var next []string
		for _, g := range t.Groups {
			if !in[g.ID] && slices.ContainsFunc(g.Members, func(m string) bool { return slices.Contains(frontier, m) }) {
				in[g.ID] = true
				next = append(next, g.ID)
			}
		}
		frontier = next
	}
	var out []string
	for _, g := range t.Groups {
		if in[g.ID] {
			out = append(out, g.ID)
		}
	}
	return out
}

// RolesOf gives the template ids of the directory roles of a user or service
// principal: its own and those of role-assignable groups it is in.
func (t *Tenant) RolesOf(id string) []string {
	var out []string
	if u := t.User(id); u != nil {
		out = slices.Clone(u.Roles)
	} else if p := t.Principal(id); p != nil {
		out = slices.Clone(p.Roles)
	}
	for _, group := range t.GroupsOf(id) {
		for _, role := range t.Group(group).Roles {
			if !slices.Contains(out, role) {
				out = append(out, role)
			}
		}
	}
	return out
}

// ScopesOf gives the delegated scopes that a client holds on a resource for a
// user: granted for everybody, for the user, or by Microsoft itself. Client
// and resource are client ids.
func (t *Tenant) ScopesOf(client, resource, user string) []string {
	out := slices.Clone(Preauthorised(client, resource))
	if api := t.App(resource); api != nil && api.API != nil {
		out = append(out, api.API.Preauthorised[client]...)
	}
	c, r := t.Principal(client), t.Principal(resource)
	if c == nil || r == nil {
		return out
	}
	for _, g := range t.Grants {
		if g.Client != c.ID || g.Resource != r.ID || g.User != "" && g.User != user {
			continue
		}
		for _, scope := range g.Scopes {
			if !slices.Contains(out, scope) {
				out = append(out, scope)
			}
		}
	}
	return out
}

// AppRolesOf gives the values of the application permissions that a principal
// holds on a resource. Client and resource are client ids.
func (t *Tenant) AppRolesOf(client, resource string) []string {
	c, r, api := t.Principal(client), t.Principal(resource), t.Resource(resource)
	if c == nil || r == nil || api == nil {
		return nil
	}
	var out []string
	for _, a := range t.AppRoles {
		if a.Principal == c.ID && a.Resource == r.ID {
			if role, ok := api.Role(a.Role); ok {
				out = append(out, role.Value)
			}
		}
	}
	return out
}

// Log appends to the sign-in log and drops the oldest entries.
func (t *Tenant) Log(e *SignIn) {
	if len(t.SignIns) >= 2*MaxSignIns {
		t.SignIns = slices.Clone(t.SignIns[MaxSignIns:])
	}
	t.SignIns = append(t.SignIns, e)
}

var microsoftApps = func() map[string]*App {
	apps := map[string]*App{}
	for _, f := range firstParty {
		apps[f.id] = &App{ID: NameID("microsoft app", f.id), ClientID: f.id, Name: f.name, Purpose: "delegated", Public: true, MultiTenant: true, Verified: true, FirstParty: true,
			RedirectURIs: []string{"http://localhost", "https://login.microsoftonline.com/common/oauth2/nativeclient"}}
	}
	// Not in tenants until somebody creates its principal (graph-mfa-posture §10).
	apps[MFAClientID] = &App{ID: NameID("microsoft app", MFAClientID), ClientID: MFAClientID, Name: "Azure Multi-Factor Auth Client", MultiTenant: true, Verified: true, FirstParty: true}
	for _, r := range Resources {
		apps[r.ClientID] = &App{ID: NameID("microsoft app", r.ClientID), ClientID: r.ClientID, Name: r.Name, MultiTenant: true, Verified: true, FirstParty: true}
	}
	return apps
}()
