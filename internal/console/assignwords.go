package console

import (
	"github.com/a-h/templ"

	"gatehouse/internal/audit"
	"gatehouse/internal/operator"
	"gatehouse/internal/tenant"
)

func assignedWords(a operator.Assignment, tenants map[string]string) string {
	return sentenceCase(a.Role) + " in " + nameOr(tenants, a.TenantID)
}

// nameOr is the name of an id, or the id where it has none.
func nameOr(names map[string]string, id string) string {
	if name := names[id]; name != "" {
		return name
	}
	return id
}

// chosenValue is what the form sends for somebody who was found.
func chosenValue(o tenant.DirectoryObject) string {
	kind := operator.PersonKind
	if o.Group {
		kind = operator.GroupKind
	}
	return kind + "/" + o.ID + "/" + o.Name
}

func objectWords(o tenant.DirectoryObject) string {
	if o.Group {
		return "Group"
	}
	return "Person, " + o.Username
}

func idLabel(v assigning) string {
	if v.Entra {
		return "Object id"
	}
	return "Group or subject"
}

func searchWords(v assigning) string {
	if v.Searchable {
		return "Search"
	}
	return "Take this directory"
}

// searchAsTyped looks up while somebody types, once they pause; without scripts
// the button does.
func searchAsTyped() templ.Attributes {
	return templ.Attributes{
		"hx-get": "/operators/directory/new", "hx-trigger": "input delay:400ms, submit", "hx-target": "#found", "hx-select": "#found", "hx-swap": "outerHTML", "hx-sync": "this:replace",
	}
}

// throughWords are an operator's roles through a directory, in lines.
func throughWords(o *operator.Operator, names map[string]string) []string {
	var out []string
	for _, t := range o.Through {
		words := sentenceCase(t.Role.String()) + " in " + nameOr(names, t.TenantID)
		if t.Kind == operator.GroupKind {
			words += ", through the group " + t.Name
		} else {
			words += ", by assignment"
		}
		out = append(out, words)
	}
	return out
}

// permissionWords say what permissions allow, in the order of their nouns.
func permissionWords(all []audit.Permission) []option {
	out := make([]option, len(all))
	for i, p := range all {
		out[i] = option{string(p), string(p)}
	}
	return out
}
