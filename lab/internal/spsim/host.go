package spsim

import (
	"net"
	"net/http"
	"slices"
	"strings"

	"gatehouse/lab/internal/directory"
)

// Kinds of hosts.
const (
	kindSite  = "site"
	kindAdmin = "admin"
	kindMy    = "my"
)

// suffixes of SharePoint's hosts: the public cloud, US Government (GCC High, DoD),
// 21Vianet.
var suffixes = []string{".sharepoint.com", ".sharepoint.us", ".sharepoint-mil.us", ".sharepoint.cn"}

// Tenant finds the tenant that a SharePoint host belongs to, and what is
// reached there: "site", "admin" or "my". A port is ignored. It reports false
// for other hosts and for names that no tenant has.
func Tenant(store *directory.Store, host string) (tenantID, kind string, ok bool) {
	label, _, ok := split(host)
	if !ok {
		return "", "", false
	}
	f, ok := lookUp(store, label)
	return f.tenant, f.kind, ok
}

// IsHost reports whether a host has the form of SharePoint's, whether a tenant
// has it or not. A port is ignored.
func IsHost(host string) bool {
	_, _, ok := split(host)
	return ok
}

// Address gives where a lab serves a tenant's sites under its own address, such
// as "https://127.0.0.1:8443/sharepoint/contoso", from the lab's address and
// the name in the tenant's hosts, or its initial domain. The admin centre is there with "-admin", people's
// own storage with "-my" at the end.
func Address(lab, of string) string {
	name, _, _ := strings.Cut(strings.ToLower(of), ".")
	return strings.TrimRight(lab, "/") + Prefix + name
}

// split cuts a host into the tenant's label and SharePoint's suffix.
func split(host string) (label, suffix string, ok bool) {
	if bare, _, err := net.SplitHostPort(host); err == nil {
		host = bare
	}
	host = strings.TrimSuffix(strings.ToLower(host), ".")
	for _, suffix := range suffixes {
		if label, found := strings.CutSuffix(host, suffix); found && label != "" && !strings.Contains(label, ".") {
			return label, suffix, true
		}
	}
	return "", "", false
}

// found is what a label stands for.
type found struct {
	tenant, kind string
	geo          string // name of the satellite; "" on the main hosts
	moved        string // the label that it leads to since a rename; "" otherwise
}

// lookUp reads a label. A tenant that is itself called "…-my" comes before
// another's OneDrive host, and what is in use before what once was.
func lookUp(store *directory.Store, label string) (found, bool) {
	label = strings.ToLower(label)
	for _, kind := range []string{kindSite, kindAdmin, kindMy} {
		name, suffix := label, ""
		if kind != kindSite {
			var cut bool
			if name, cut = strings.CutSuffix(label, "-"+kind); !cut {
				continue
			}
			suffix = "-" + kind
		}
		if f, ok := named(store, name); ok {
			f.kind = kind
			if f.moved != "" {
				f.moved += suffix
			}
			return f, true
		}
	}
	return found{}, false
}

func named(store *directory.Store, name string) (f found, ok bool) {
	store.Tenants(func(t *directory.Tenant) {
		for i, geo := range t.SharePointGeos() {
			if geo.Name != name || ok && f.moved == "" {
				continue
			}
			f, ok = found{tenant: t.ID}, true
			if i > 0 {
				f.geo = geo.Name
			}
		}
		if !ok && slices.Contains(t.SharePoint.Formerly, name) {
			f, ok = found{tenant: t.ID, moved: t.SharePointName()}, true
		}
	})
	return f, ok
}

// Prefix is the path below which a lab serves SharePoint under its own address.
const Prefix = "/sharepoint/"

// place is where a request arrived: a host of a tenant.
type place struct {
	tenant string // id
	kind   string
	label  string // first label of the host: name, name-admin or name-my
	host   string // the host's real name, whatever address led here
	origin string // "https://host", as the caller sees it
	prefix string // path that stands before everything; "" under SharePoint's own host
	path   string // what follows the prefix
	geo    string // name of the satellite; "" on the main hosts
	moved  string // the label to which the host leads; "" where it is in use
}

// find reads host and path of a request.
func (s *Server) find(r *http.Request) (place, bool) {
	origin := strings.TrimRight(s.cfg.Root(r), "/")
	if label, suffix, ok := split(r.Host); ok {
		f, known := lookUp(s.cfg.Store, label)
		return place{tenant: f.tenant, kind: f.kind, label: label, host: label + suffix, origin: origin, path: r.URL.Path, geo: f.geo, moved: f.moved}, known
	}
	if len(r.URL.Path) < len(Prefix) || !strings.EqualFold(r.URL.Path[:len(Prefix)], Prefix) {
		return place{}, false
	}
	label, rest, _ := strings.Cut(r.URL.Path[len(Prefix):], "/")
	f, known := lookUp(s.cfg.Store, label)
	label = strings.ToLower(label)
	return place{tenant: f.tenant, kind: f.kind, label: label, host: label + suffixes[0], origin: origin, prefix: Prefix + label, path: "/" + rest, geo: f.geo, moved: f.moved}, known
}

// root is the address of the host's root site.
func (p *place) root() string { return p.origin + p.prefix }

// target is where a host that was renamed leads.
func (p *place) target() string {
	host := p.moved + strings.TrimPrefix(p.host, p.label)
	if p.prefix != "" {
		return p.origin + Prefix + p.moved + p.path
	}
	return strings.Replace(p.origin, "//"+p.host, "//"+host, 1) + p.path
}

// sibling is the place of another host of the tenant.
func (p *place) sibling(kind string) place {
	other := *p
	if p.kind != kindSite {
		other.label = strings.TrimSuffix(p.label, "-"+p.kind)
	}
	if kind != kindSite {
		other.label += "-" + kind
	}
	other.kind = kind
	other.host = other.label + strings.TrimPrefix(p.host, p.label)
	if p.prefix != "" {
		other.prefix = Prefix + other.label
	} else {
		other.origin = strings.Replace(p.origin, "//"+p.host, "//"+other.host, 1)
	}
	return other
}
