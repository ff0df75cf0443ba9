package signin

import (
	"slices"
	"strings"

	"gatehouse/internal/connection"
	"gatehouse/internal/posture"
	"gatehouse/internal/tenant"
)

// openID are the scopes of every sign-in: who signed in, and a refresh token
// (entra-sign-in §9.1).
var openID = []string{"openid", "profile", "offline_access"}

// wanted is what a sign-in asks for: the delegated permissions of one service.
type wanted struct {
	service string
	root    string   // of the scopes
	names   []string // of the permissions
}

// scopes are those of the requests: the same at authorize and redemption.
func (w wanted) scopes() []string {
	out := make([]string, 0, len(w.names)+len(openID))
	for _, name := range w.names {
		out = append(out, w.root+"/"+name)
	}
	return append(out, openID...)
}

// delegated are the permissions of a registration that people grant for a service.
func (r Registration) delegated(service string) []Permission {
	var out []Permission
	for _, p := range r.Permissions {
		if p.Kind == "delegated" && strings.EqualFold(p.Resource, posture.Services[service]) && !slices.Contains(openID, p.Name) {
			out = append(out, p)
		}
	}
	return out
}

// wants decides what a sign-in for a connection asks for. service is "" for the
// first one of the connection that the registration has permissions of.
func (s *Service) wants(c connection.Connection, r Registration, service string) (wanted, error) {
	if service != "" && !slices.Contains(c.Services, service) {
		return wanted{}, tenant.Fault("resource", "is not a service of this connection", "use one of "+strings.Join(c.Services, ", "))
	}
	for _, name := range c.Services {
		all := r.delegated(name)
		if len(all) == 0 || service != "" && name != service {
			continue
		}
		root := s.root(c, name)
		if root == "" {
			return wanted{}, tenant.Fault("services", "has "+name+", whose address is not known", "enter the SharePoint site of the connection, or choose another service")
		}
		w := wanted{service: name, root: root}
		for _, p := range all {
			w.names = append(w.names, p.Name)
		}
		return w, nil
	}
	return wanted{}, tenant.Fault("registration_id", "names an app registration that asks for no delegated permission of "+strings.Join(c.Services, ", "), "add the permissions to its manifest, or choose another registration")
}

// root is what scopes of a service begin with; "" where that is not known.
func (s *Service) root(c connection.Connection, service string) string {
	switch service {
	case connection.Graph:
		return s.Cloud.GraphResource
	case connection.BusinessCentral:
		return s.Cloud.BusinessCentralResource
	case connection.Exchange:
		return s.Cloud.ExchangeResource
	}
	for _, address := range []string{c.Site, c.AdminURL} {
		if name, _, ok := s.Cloud.SharePointName(address); ok {
			_, resource := s.Cloud.SharePointHost(name)
			return resource
		}
	}
	return ""
}

// lacking are the asked scopes that were not granted. Services write them short or
// with their resource in front, and tell of the scopes of OpenID only some
// (entra-sign-in §15.3): those show in what comes with the token.
func lacking(asked, granted []string) (out []string) {
	has := map[string]bool{}
	for _, g := range granted {
		has[strings.ToLower(g[strings.LastIndexByte(g, '/')+1:])] = true
	}
	for _, a := range asked {
		if name := a[strings.LastIndexByte(a, '/')+1:]; !slices.Contains(openID, a) && !has[strings.ToLower(name)] {
			out = append(out, name)
		}
	}
	return out
}
