package directory

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// checkReferences finds names that point nowhere and names given twice. It
// runs on a file whose single values are sound.
func checkReferences(file *File, faults *Faults) {
	fault := func(path, format string, args ...any) {
		*faults = append(*faults, Fault{path, fmt.Sprintf(format, args...)})
	}
	seen := map[string]string{}
	once := func(path, kind, name string) {
		if name == "" {
			return
		}
		key := kind + " " + strings.ToLower(name)
		if first, ok := seen[key]; ok {
			fault(path, "%s %q is given twice, first at %s", kind, clip(name), first)
			return
		}
		seen[key] = path
	}
	byDomain := map[string]*TenantSpec{}
	for i := range file.Tenants {
		t := &file.Tenants[i]
		path := fmt.Sprintf("tenants[%d]", i)
		once(path+".id", "tenant id", t.ID)
		for j, d := range t.Domains {
			domainPath := path + ".domain"
			if j > 0 {
				domainPath = fmt.Sprintf("%s.domains[%d].name", path, j-1)
			}
			once(domainPath, "domain", d.Name)
			byDomain[d.Name] = t
		}
	}
	for i := range file.Tenants {
		t := &file.Tenants[i]
		path := fmt.Sprintf("tenants[%d]", i)
		names := tenantNames(t)
		for j, u := range t.Users {
			at := fmt.Sprintf("%s.users[%d]", path, j)
			once(at+".upn", path+" user", u.UPN)
			once(at+".id", "object id", u.ID)
			_, domain, _ := strings.Cut(strings.ToLower(u.UPN), "@")
			home := t
			if u.GuestOf != "" {
				if home = byDomain[strings.ToLower(u.GuestOf)]; home == nil {
					fault(at+".guest_of", "is %q, which no tenant of this file has as a domain", clip(u.GuestOf))
					continue
				}
			}
			if !slices.ContainsFunc(home.Domains, func(d Domain) bool { return d.Name == domain }) {
				fault(at+".upn", "has the domain %q, which the tenant %s does not have; it has %s", clip(domain), home.Domain, domainNames(home))
			}
		}
		for name := range t.InboundTrust {
			if name != "" && byDomain[name] == nil {
				fault(path+".inbound_trust", "names %q, which no tenant of this file has as a domain", clip(name))
			}
		}
		for j, u := range t.Users {
			if d := u.Device; d != nil && d.Client != "" && !names[strings.ToLower(d.Client)] {
				fault(fmt.Sprintf("%s.users[%d].device.client", path, j), "no app of this tenant is called %q", clip(d.Client))
			}
		}
		for j, g := range t.Groups {
			at := fmt.Sprintf("%s.groups[%d]", path, j)
			once(at+".name", path+" group", g.Name)
			once(at+".id", "object id", g.ID)
			for k, m := range g.MemberNames {
				if !names[strings.ToLower(m)] {
					fault(fmt.Sprintf("%s.members[%d]", at, k), "no user, group or app of this tenant is called %q%s", clip(m), suggest(m, slices.Collect(maps.Keys(names))))
				}
			}
		}
		for j, a := range t.Apps {
			at := fmt.Sprintf("%s.apps[%d]", path, j)
			once(at+".name", path+" app", a.Name)
			if a.From == "" {
				once(at+".client_id", "client id", a.ClientID)
			} else if owner := byDomain[strings.ToLower(a.From)]; owner == nil {
				fault(at+".from", "is %q, which no tenant of this file has as a domain", clip(a.From))
			} else if k := slices.IndexFunc(owner.Apps, func(o AppSpec) bool { return o.Name == a.Name && o.From == "" }); k < 0 {
				fault(at+".name", "the tenant %s registers no app called %q", clip(a.From), clip(a.Name))
			} else if !owner.Apps[k].MultiTenant {
				fault(at+".from", "the app %q of %s is not multi_tenant", clip(a.Name), clip(a.From))
			}
			checkAPIs(&a, names, func(member, name string) {
				fault(at+"."+member, "no app of this tenant is called %q", clip(name))
			})
			for k, m := range a.AssignedNames {
				if !names[strings.ToLower(m)] {
					fault(fmt.Sprintf("%s.assigned[%d]", at, k), "no user or group of this tenant is called %q%s", clip(m), suggest(m, slices.Collect(maps.Keys(names))))
				}
			}
		}
		for j, g := range t.Grants {
			at := fmt.Sprintf("%s.grants[%d]", path, j)
			if !names[strings.ToLower(g.App)] {
				fault(at+".app", "no app of this tenant is called %q", clip(g.App))
			}
			if ResourceByAlias(g.Resource) == nil && !names[strings.ToLower(g.Resource)] {
				fault(at+".resource", "no app of this tenant is called %q", clip(g.Resource))
			}
			if g.User != "" && !names[strings.ToLower(g.User)] {
				fault(at+".user", "no user of this tenant is called %q", clip(g.User))
			}
		}
		for j, partner := range t.Partners {
			at := fmt.Sprintf("%s.partners[%d]", path, j)
			owner := byDomain[strings.ToLower(partner.Domain)]
			if owner == nil {
				fault(at+".domain", "is %q, which no tenant of this file has as a domain", clip(partner.Domain))
				continue
			}
			for group := range partner.Access {
				if !slices.ContainsFunc(owner.Groups, func(g GroupSpec) bool { return g.Name == group }) {
					fault(at+".access", "the partner %s has no group called %q", partner.Domain, clip(group))
				}
			}
		}
	}
}

// tenantNames are all names in a tenant that others may refer to, in lower
// case.
func tenantNames(t *TenantSpec) map[string]bool {
	names := map[string]bool{}
	for _, u := range t.Users {
		names[strings.ToLower(u.UPN)] = true
	}
	for _, g := range t.Groups {
		names[strings.ToLower(g.Name)] = true
	}
	for _, a := range t.Apps {
		names[strings.ToLower(a.Name)] = true
		names[a.ClientID] = true
	}
	for _, f := range firstParty {
		names[strings.ToLower(f.name)] = true
		names[f.id] = true
	}
	return names
}

func domainNames(t *TenantSpec) string {
	names := make([]string, len(t.Domains))
	for i, d := range t.Domains {
		names[i] = d.Name
	}
	return strings.Join(names, ", ")
}
