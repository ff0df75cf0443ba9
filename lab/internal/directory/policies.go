package directory

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"time"
)

// policies reads the members named_locations, terms_of_use and
// conditional_access of a tenants file: lists of objects in Graph's JSON.
// Instead of ids policies may name users, groups, roles, apps, locations and
// agreements of the tenant.
func policies(t *TenantSpec, locations, agreements, conditional node) {
	ids := map[string]bool{}
	read := func(list node, most int, check func(map[string]any) Faults) []map[string]any {
		var out []map[string]any
		items := list.list()
		if len(items) > most {
			list.fault("has %d entries, %d are the most", len(items), most)
			return nil
		}
		for _, item := range items {
			object, isObject := ordinary(item.value).(map[string]any)
			if !isObject {
				item.fault("is %s, must be an object", kindOf(item.value))
				continue
			}
			if id, given := object["id"]; given {
				text, _ := id.(string)
				if !guidPattern.MatchString(strings.ToLower(text)) || ids[strings.ToLower(text)] {
					node{item.path + ".id", nil, item.faults}.fault("is %q, must be a GUID that nothing else in the tenant's lists has", clip(text))
				}
				ids[strings.ToLower(text)] = true
			}
			for _, name := range []string{"createdDateTime", "modifiedDateTime"} {
				if text, given := object[name].(string); given {
					if _, err := time.Parse(time.RFC3339, text); err != nil {
						node{item.path + "." + name, nil, item.faults}.fault("is %q, must be a time such as 2026-01-31T00:00:00Z", clip(text))
					}
				}
			}
			for _, f := range check(object) {
				node{strings.TrimSuffix(item.path+"."+f.Path, "."), nil, item.faults}.fault("%s", f.Problem)
			}
			out = append(out, object)
		}
		return out
	}
	t.NamedLocations = read(locations, MaxLocations, CheckLocation)
	t.Agreements = read(agreements, MaxAgreements, func(a map[string]any) Faults {
		c := &checker{}
		c.name(a)
		return c.faults
	})
	exists := func(kind, name string) bool { return namedHere(t, kind, name) }
	t.ConditionalAccess = read(conditional, MaxPolicies, func(p map[string]any) Faults {
		c := &checker{exists: exists, names: true}
		c.policy(p)
		return c.faults
	})
}

// ordinary turns the numbers of a decoded file into those of encoding/json.
func ordinary(v any) any {
	switch v := v.(type) {
	case json.Number:
		n, _ := v.Float64()
		return n
	case []any:
		out := make([]any, len(v))
		for i, item := range v {
			out[i] = ordinary(item)
		}
		return out
	case map[string]any:
		out := make(map[string]any, len(v))
		for name, item := range v {
			out[name] = ordinary(item)
		}
		return out
	}
	return v
}

// namedHere reports whether a name of a tenants file, in lower case, stands for
// something of the kind.
func namedHere(t *TenantSpec, kind, name string) bool {
	switch kind {
	case "user":
		return slices.ContainsFunc(t.Users, func(u UserSpec) bool { return strings.EqualFold(u.UPN, name) })
	case "group":
		return slices.ContainsFunc(t.Groups, func(g GroupSpec) bool { return strings.EqualFold(g.Name, name) })
	case "role":
		_, found := RoleByName(name)
		return found
	case "app", "principal":
		return slices.ContainsFunc(t.Apps, func(a AppSpec) bool { return strings.EqualFold(a.Name, name) })
	case "location", "agreement":
		list := t.NamedLocations
		if kind == "agreement" {
			list = t.Agreements
		}
		return slices.ContainsFunc(list, func(l map[string]any) bool {
			id, _ := l["id"].(string)
			called, _ := l["displayName"].(string)
			return strings.EqualFold(id, name) || strings.EqualFold(called, name)
		})
	case "strength":
		return name == StrengthMFA || name == StrengthPasswordless || name == StrengthPhishingResistant
	}
	return false
}

// AddPolicies gives the tenants the Conditional Access policies and named
// locations of the file that they were built from. Doing it again changes
// nothing.
func (s *Store) AddPolicies(file *File) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.addPolicies(file)
}

// addPolicies is AddPolicies for callers that hold the lock.
func (s *Store) addPolicies(file *File) {
	gen := generator{s.cfg.Seed}
	for i := range file.Tenants {
		spec := &file.Tenants[i]
		t := s.byName[spec.Domain]
		if t == nil {
			continue
		}
		now := s.now().UTC().Truncate(time.Second)
		objects := func(kind string, list []map[string]any) []*Object {
			var out []*Object
			for _, members := range list {
				name, _ := members["displayName"].(string)
				id, _ := members["id"].(string)
				o := &Object{ID: strings.ToLower(or(id, gen.id(t.ID, kind, name))), Created: now.AddDate(0, -1, 0)}
				o.Created = moment(members, "createdDateTime", o.Created)
				o.Modified = moment(members, "modifiedDateTime", time.Time{})
				o.Members = without(members, "id", "createdDateTime", "modifiedDateTime", "deletedDateTime")
				out = append(out, o)
			}
			return out
		}
		t.NamedLocations = objects("named location", spec.NamedLocations)
		t.Agreements = objects("agreement", spec.Agreements)
		t.ConditionalAccess = objects("policy", spec.ConditionalAccess)
		for _, o := range t.ConditionalAccess {
			o.Members = t.resolve(o.Members)
		}
	}
}

func moment(members map[string]any, name string, standard time.Time) time.Time {
	text, _ := members[name].(string)
	if when, err := time.Parse(time.RFC3339, text); err == nil {
		return when.UTC()
	}
	return standard
}

// resolve puts ids where a policy of a tenants file has names.
func (t *Tenant) resolve(policy map[string]any) map[string]any {
	conditions, _ := policy["conditions"].(map[string]any)
	conditions = maps.Clone(conditions)
	ids := func(block, member string, find func(string) string) {
		from, _ := conditions[block].(map[string]any)
		list, _ := from[member].([]any)
		if list == nil {
			return
		}
		out := make([]any, len(list))
		for i, item := range list {
			out[i] = item
			if text, _ := item.(string); !guidPattern.MatchString(strings.ToLower(text)) {
				if id := find(text); id != "" {
					out[i] = id
				}
			}
		}
		from = maps.Clone(from)
		from[member] = out
		conditions[block] = from
	}
	user := func(name string) string {
		if u := t.User(name); u != nil {
			return u.ID
		}
		return ""
	}
	group := func(name string) string {
		for _, g := range t.Groups {
			if strings.EqualFold(g.Name, name) {
				return g.ID
			}
		}
		return ""
	}
	role := func(name string) string {
		r, _ := RoleByName(name)
		return r.ID
	}
	principal := func(name string) *Principal {
		for _, p := range t.Principals {
			if a := t.App(p.ClientID); a != nil && strings.EqualFold(a.Name, name) {
				return p
			}
		}
		return &Principal{}
	}
	among := func(list []*Object) func(string) string {
		return func(name string) string {
			for _, o := range list {
				if called, _ := o.Members["displayName"].(string); strings.EqualFold(called, name) {
					return o.ID
				}
			}
			return ""
		}
	}
	for _, side := range []string{"include", "exclude"} {
		ids("users", side+"Users", user)
		ids("users", side+"Groups", group)
		ids("users", side+"Roles", role)
		ids("applications", side+"Applications", func(name string) string { return principal(name).ClientID })
		ids("clientApplications", side+"ServicePrincipals", func(name string) string { return principal(name).ID })
		ids("locations", side+"Locations", among(t.NamedLocations))
	}
	out := maps.Clone(policy)
	out["conditions"] = conditions
	if grant, _ := policy["grantControls"].(map[string]any); grant["termsOfUse"] != nil {
		grant = maps.Clone(grant)
		conditions = map[string]any{"grant": grant}
		ids("grant", "termsOfUse", among(t.Agreements))
		out["grantControls"] = conditions["grant"]
	}
	return out
}
