package conditionalaccess

import (
	"fmt"
	"strings"
)

// surroundings are what the object around a policy knows about it: Graph's
// templates keep the name outside and the policy in "details".
type surroundings struct {
	displayName string
	state       string
}

// maxWrapping bounds how deep policies are searched for inside other objects.
const maxWrapping = 8

// value looks for policies, locations and strengths in a JSON value, and
// reports whether it found any.
func (r *reader) value(n *node, around surroundings, depth int) bool {
	switch {
	case depth > maxWrapping:
		return false
	case n.kind == '[':
		found := false
		for i := range n.items {
			found = r.value(&n.items[i], around, depth+1) || found
		}
		return found
	case n.kind == '"':
		return r.embedded(n, around, depth)
	case n.kind != '{':
		if depth == 0 {
			r.ignore("a single value")
		}
		return false
	}
	switch {
	case isPolicy(n):
		r.policy(n, around)
		r.beside(n, depth)
	case isDump(n):
		return r.dump(n)
	case isLocation(n):
		r.location(n)
	case isStrength(n):
		r.strength(n)
	default:
		return r.other(n, around, depth)
	}
	return true
}

// embedded reads JSON that a tool keeps inside a string.
func (r *reader) embedded(n *node, around surroundings, depth int) bool {
	t := strings.TrimSpace(n.text)
	if !strings.HasPrefix(t, "{") || !strings.Contains(t, "onditions") && !strings.Contains(t, "Ranges") {
		return false
	}
	s := scanner{data: []byte(t)}
	inner, err := s.node()
	if err != nil || !s.end() {
		return false
	}
	outer := r.data
	r.data = s.data
	found := r.value(&inner, around, depth+1)
	r.data = outer
	return found
}

// beside reads the locations that some tools store inside the policy.
func (r *reader) beside(n *node, depth int) {
	for i, name := range n.names {
		switch strings.ToLower(name) {
		case "conditions", "grantcontrols", "sessioncontrols", "additionalproperties":
		default:
			if n.items[i].kind == '{' || n.items[i].kind == '[' {
				r.locations(&n.items[i], depth+1)
			}
		}
	}
}

func (r *reader) locations(n *node, depth int) {
	switch {
	case depth > maxWrapping:
	case n.kind == '[':
		for i := range n.items {
			r.locations(&n.items[i], depth+1)
		}
	case n.kind == '{' && isLocation(n):
		r.location(n)
	}
}

// other handles an object that is none of ours: a wrapper around some, or
// something to be ignored and named.
func (r *reader) other(n *node, around surroundings, depth int) bool {
	if n.get("isBuiltIn").kind == 'f' && !n.get("rolePermissions").null() {
		if id := n.get("id").string(); id != "" {
			r.set.CustomRoles = append(r.set.CustomRoles, id)
		}
		r.ignore("a custom role definition")
		return false
	}
	inner := surroundings{n.get("displayName").string(), n.get("state").string()}
	if inner.displayName == "" {
		inner.displayName = n.get("name").string()
	}
	if inner.displayName == "" {
		inner.displayName = around.displayName
	}
	if inner.state == "" {
		inner.state = around.state
	}
	before := r.current.Ignored
	found := false
	for i, name := range n.names {
		if annotation(name) {
			continue
		}
		switch n.items[i].kind {
		case '{', '[', '"':
			found = r.value(&n.items[i], inner, depth+1) || found
		}
	}
	if found {
		return true
	}
	if list := n.get("value"); depth == 0 && list.kind == '[' && before == "" {
		if len(list.items) > 0 {
			return false // its elements were named
		}
		r.current.Ignored = ""
		return false
	}
	r.current.Ignored = before
	r.ignore(describe(n))
	return false
}

// ignore notes what else a file holds; the first thing stands.
func (r *reader) ignore(what string) {
	if r.current.Ignored == "" {
		r.current.Ignored = what
	}
}

// describe names an object that is ignored.
func describe(n *node) string {
	if t := n.get("@odata.type").string(); t != "" {
		return "an object of type " + strings.TrimPrefix(t, "#")
	}
	if c := n.get("@odata.context").string(); c != "" {
		if _, kind, ok := strings.Cut(c, "$metadata#"); ok {
			return "an answer of " + clip(kind)
		}
	}
	has := func(names ...string) bool {
		for _, name := range names {
			if n.get(name).null() {
				return false
			}
		}
		return true
	}
	switch {
	case has("TenantId", "Objects"):
		return "a migration table"
	case has("id", "isAvailable"):
		return "an authentication context"
	case has("securityEnabled"), has("groupTypes"):
		return "a group"
	case has("userPrincipalName"):
		return "a user"
	case has("appId"):
		return "an application"
	case has("error"):
		return "an error of Graph"
	case len(n.names) == 0:
		return "an empty object"
	}
	shown := n.names[:min(3, len(n.names))]
	return clip(fmt.Sprintf("an object with the members %s", strings.Join(shown, ", ")))
}

// clip shortens a text of unknown length.
func clip(s string) string {
	const longest = 80
	if r := []rune(s); len(r) > longest {
		return string(r[:longest]) + "…"
	}
	return s
}

// isPolicy recognises a policy by its conditions.
func isPolicy(n *node) bool {
	c := n.get("conditions")
	if c.kind != '{' {
		return strings.HasSuffix(n.get("@odata.type").string(), ".conditionalAccessPolicy")
	}
	for _, name := range [...]string{"users", "applications", "clientApplications"} {
		if part := c.get(name); part.kind == '{' && part.get("Include").null() {
			return true
		}
	}
	if c.get("users").kind == '{' || c.get("applications").kind == '{' {
		return false // the older directory's own form
	}
	return !n.get("grantControls").null() || !n.get("sessionControls").null() ||
		!c.get("clientAppTypes").null() && n.get("state").kind == '"'
}

// isLocation recognises a named location, by its type or by its members.
func isLocation(n *node) bool {
	t := n.get("@odata.type").string()
	return strings.HasSuffix(t, "NamedLocation") || n.get("ipRanges").kind == '[' ||
		n.get("countriesAndRegions").kind == '[' || n.get("compliantNetworkType").kind == '"'
}

// isStrength recognises an authentication strength policy.
func isStrength(n *node) bool {
	return n.get("allowedCombinations").kind == '[' && n.get("id").kind == '"'
}
