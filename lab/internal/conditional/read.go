package conditional

import (
	"slices"
	"strings"

	"gatehouse/lab/internal/directory"
)

// evaluation looks at one policy with one sign-in in mind.
type evaluation struct {
	s *SignIn
	w *World
	// given is the sign-in before anything was assumed about it, assumed what
	// was assumed besides members of the sign-in.
	given   *SignIn
	assumed map[string]bool
	// missing gathers what was not known while a condition or control was
	// looked at.
	missing []string
	tracked bool
}

// lack notes what is missing.
func (e *evaluation) lack(what string) truth {
	if !slices.Contains(e.missing, what) {
		e.missing = append(e.missing, what)
	}
	return maybe
}

// whether is what was assumed, or notes that it is missing.
func (e *evaluation) whether(what string) truth {
	if is, assumed := e.assumed[what]; assumed {
		return of(is)
	}
	return e.lack(what)
}

// unreadable notes a member of the policy that says something the evaluator
// does not understand.
func (e *evaluation) unreadable(member string) truth { return e.lack("policy member " + member) }

// block reads an object; nil if it is null, absent or of another kind. The
// latter is torn.
func block(from map[string]any, name string) (object map[string]any, torn bool) {
	value := from[name]
	object, isObject := value.(map[string]any)
	return object, value != nil && !isObject
}

// list is a list of strings of a policy; torn if a part of it was something
// else.
type list struct {
	items []string
	torn  bool
}

// list reads a list of strings.
func (e *evaluation) list(from map[string]any, name string) list {
	value := from[name]
	items, isList := value.([]any)
	out := list{torn: value != nil && !isList}
	for _, item := range items {
		if s, isText := item.(string); isText {
			out.items = append(out.items, s)
		} else {
			out.torn = true
		}
	}
	if out.torn {
		e.unreadable(name)
	}
	return out
}

// flags reads a flag string: values joined by commas. "none" is no flag.
func (e *evaluation) flags(from map[string]any, name string) list {
	value := from[name]
	out := list{}
	switch v := value.(type) {
	case nil:
	case string:
		out.items = directory.Flags(v)
	case []any: // files made by hand
		out = e.list(from, name)
	default:
		e.unreadable(name)
		out.torn = true
	}
	out.items = slices.DeleteFunc(slices.Clone(out.items), func(s string) bool { return strings.EqualFold(strings.TrimSpace(s), "none") })
	return out
}

// empty reports whether nothing is configured.
func (l list) empty() bool { return len(l.items) == 0 && !l.torn }

// any asks for each value whether it matches: values of a list are joined by
// "or".
func (l list) any(matches func(string) truth) truth {
	out := no
	for _, item := range l.items {
		out = or(out, matches(item))
	}
	if l.torn {
		out = or(out, maybe)
	}
	return out
}

// without drops the values that are excluded too: they never match, even where
// it is not known whether they would.
func (l list) without(excluded list) list {
	l.items = slices.DeleteFunc(slices.Clone(l.items), func(item string) bool { return excluded.has(item) == yes })
	return l
}

// has asks for a value, whatever its case.
func (l list) has(value string) truth {
	return l.any(func(item string) truth { return of(strings.EqualFold(strings.TrimSpace(item), value)) })
}

// strange looks for members that the evaluator does not know and that are set.
// One called include… may add to what a block includes, one called exclude… to
// what it excludes, any other may do either.
func (e *evaluation) strange(from map[string]any, known ...string) (include, exclude truth) {
	for name, value := range from {
		if unset(value) || strings.Contains(name, "@") || slices.Contains(known, name) {
			continue
		}
		e.unreadable(name)
		if !strings.HasPrefix(name, "exclude") {
			include = maybe
		}
		if !strings.HasPrefix(name, "include") {
			exclude = maybe
		}
	}
	return include, exclude
}

// unset reports whether a value says nothing: null, "", and objects and lists of
// nothing else.
func unset(value any) bool {
	switch v := value.(type) {
	case nil:
		return true
	case string:
		return v == ""
	case []any:
		return !slices.ContainsFunc(v, func(item any) bool { return !unset(item) })
	case map[string]any:
		for name, item := range v {
			if !strings.Contains(name, "@") && !unset(item) {
				return false
			}
		}
		return true
	}
	return false
}

// same compares ids and enumeration values, whose case Graph does not keep.
func same(a, b string) bool { return strings.EqualFold(a, b) }
