package directory

import (
	"maps"
	"slices"
	"strconv"
	"strings"
)

// Resource finds the API that an identifier URI or client id names, as seen
// from the tenant: one of Microsoft's, or one that this or another tenant
// registered. It returns nil if there is none. Whether the tenant has its
// service principal is another question.
func (t *Tenant) Resource(name string) *Resource {
	if r := ResourceByURI(name); r != nil {
		return r
	}
	return t.store.registered(t, name)
}

// Resource is [Tenant.Resource] for callers that hold no tenant. A name that
// stands for no single tenant ("organizations") sees the multi-tenant APIs.
func (s *Store) Resource(tenant, name string) *Resource {
	if r := ResourceByURI(name); r != nil {
		return r
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.registered(s.byName[strings.ToLower(tenant)], name)
}

// registered finds an API that a tenant registered.
func (s *Store) registered(from *Tenant, name string) *Resource {
	name = strings.TrimRight(name, "/")
	visible := func(owner *Tenant, a *App) bool { return owner == from || a.MultiTenant }
	if owner := s.apps[strings.ToLower(name)]; owner != nil {
		if a := s.indexes[owner].apps[strings.ToLower(name)]; visible(owner, a) {
			return a.resource()
		}
		return nil
	}
	// Identifier URIs are unique within a tenant: its own come first.
	for _, owner := range append([]*Tenant{from}, s.tenants...) {
		if owner == nil {
			continue
		}
		for _, a := range owner.Apps {
			if a.API != nil && visible(owner, a) && slices.ContainsFunc(a.API.URIs, func(uri string) bool { return strings.EqualFold(strings.TrimRight(uri, "/"), name) }) {
				return a.resource()
			}
		}
	}
	return nil
}

// resource is a registration as an API. Every registration can be one, if only
// of tokens without permissions.
func (a *App) resource() *Resource {
	r := &Resource{ClientID: strings.ToLower(a.ClientID), Name: a.Name, Alias: strings.ToLower(a.ClientID), App: a, Version: 1}
	if a.API != nil {
		r.URIs, r.Roles, r.Scopes = a.API.URIs, a.API.Roles, a.API.Scopes
		if a.API.Version == 2 {
			r.Version = 2
		}
	}
	return r
}

// Requested is what a registration asks of one API.
type Requested struct {
	Resource *Resource
	Values   []string
}

// Requests sorts what a registration asks for ([App.Delegated] or
// [App.Application]) by API: Microsoft's in their order, then others.
func (t *Tenant) Requests(asked map[string][]string) []Requested {
	var out []Requested
	for _, r := range Resources {
		if values := asked[r.Alias]; len(values) > 0 {
			out = append(out, Requested{r, values})
		}
	}
	for _, alias := range slices.Sorted(maps.Keys(asked)) {
		if ResourceByAlias(alias) != nil || len(asked[alias]) == 0 {
			continue
		}
		if r := t.Resource(alias); r != nil {
			out = append(out, Requested{r, asked[alias]})
		}
	}
	return out
}

// RedirectKind tells of a registered redirect URI whether it is for "web",
// "spa" or "publicClient".
func (a *App) RedirectKind(uri string) string {
	switch kind := a.RedirectKinds[uri]; {
	case kind != "":
		return kind
	case a.Public:
		return PublicRedirect
	}
	return WebRedirect
}

// Kinds of redirect URIs, as a registration groups them.
const (
	WebRedirect    = "web"
	SPARedirect    = "spa"
	PublicRedirect = "publicClient"
)

// PublisherID is the id of the app's verified publisher, "" without one.
func (a *App) PublisherID() string {
	if !a.Verified || a.FirstParty {
		return ""
	}
	return verifiedPublisherID(a.Name)
}

func verifiedPublisherID(name string) string { return strconv.Itoa(1_000_000 + len(name)) }

// ImmutableID is the anchor of a synchronised user, which the assertions of a
// federated domain carry; "" for others.
func (u *User) ImmutableID() string {
	if !u.Synced {
		return ""
	}
	return NameID("immutable", u.ID)
}
