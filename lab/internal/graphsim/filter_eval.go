package graphsim

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"gatehouse/lab/internal/directory"
)

// scope is what a filter's paths are looked up in.
type scope struct {
	request   *request
	item      item
	variables map[string]any
}

func (f *filter) matches(r *request, it item) (bool, error) {
	return f.root.eval(&scope{request: r, item: it})
}

// lookup follows a path. A null on the way makes the result null, as OData
// says; a member that does not exist is an error.
func (s *scope) lookup(p path) (any, error) {
	first, rest := strings.ToLower(p[0]), p[1:]
	value, bound := s.variables[first]
	if !bound {
		m := s.item.typ.member(s.request.version, first)
		if m == nil {
			return nil, nil // another type of a mixed collection has it
		}
		value = s.request.value(s.item, m)
	}
	for _, name := range rest {
		if value == nil {
			return nil, nil
		}
		members, isObject := value.(map[string]any)
		if !isObject {
			return nil, badRequest("$filter: '%s' has no members.", clip(strings.Join(p, "/")))
		}
		found := false
		for key, v := range members {
			if strings.EqualFold(key, name) {
				value, found = v, true
				break
			}
		}
		if !found {
			return nil, badRequest("$filter: nothing is called '%s'.", clip(strings.Join(p, "/")))
		}
	}
	return value, nil
}

func (n both) eval(s *scope) (bool, error) {
	left, err := n.left.eval(s)
	if err != nil || !left {
		return false, err
	}
	return n.right.eval(s)
}

func (n either) eval(s *scope) (bool, error) {
	left, err := n.left.eval(s)
	if err != nil || left {
		return left, err
	}
	return n.right.eval(s)
}

func (n not) eval(s *scope) (bool, error) {
	inner, err := n.inner.eval(s)
	return !inner && err == nil, err
}

func (n comparison) eval(s *scope) (bool, error) {
	value, err := s.lookup(n.path)
	if err != nil {
		return false, err
	}
	return test(value, n.op, n.literal, n.path)
}

func (n among) eval(s *scope) (bool, error) {
	value, err := s.lookup(n.path)
	if err != nil {
		return false, err
	}
	for _, literal := range n.values {
		if same, err := test(value, "eq", literal, n.path); err != nil || same {
			return same, err
		}
	}
	return false, nil
}

func (n call) eval(s *scope) (bool, error) {
	value, err := s.lookup(n.path)
	if err != nil || value == nil {
		return false, err
	}
	have, isText := value.(string)
	if !isText {
		return false, badRequest("$filter: %s needs a member that is a string; '%s' is none.", n.name, clip(strings.Join(n.path, "/")))
	}
	have, want := strings.ToLower(have), strings.ToLower(n.literal)
	switch n.name {
	case "startswith":
		return strings.HasPrefix(have, want), nil
	case "endswith":
		return strings.HasSuffix(have, want), nil
	}
	return strings.Contains(have, want), nil
}

// eval of has: a flag string has all the flags.
func (n flagged) eval(s *scope) (bool, error) {
	value, err := s.lookup(n.path)
	if err != nil || value == nil {
		return false, err
	}
	have := directory.Flags(value)
	for _, flag := range n.flags {
		if !slices.ContainsFunc(have, func(h string) bool { return strings.EqualFold(h, flag) }) {
			return false, nil
		}
	}
	return len(n.flags) > 0, nil
}

// eval of isof: an object that names its own type is of that, others of the
// type of their collection.
func (n isof) eval(s *scope) (bool, error) {
	if o, isObject := s.item.value.(*directory.Object); isObject && s.item.typ == locationType {
		return strings.EqualFold(directory.LocationType(o.Members), n.name), nil
	}
	return strings.EqualFold(s.item.typ.name, n.name), nil
}

func (n lambda) eval(s *scope) (bool, error) {
	value, err := s.lookup(n.path)
	if err != nil || value == nil {
		return n.all, err
	}
	list, isList := value.([]any)
	if !isList {
		return false, badRequest("$filter: '%s' is no collection.", clip(strings.Join(n.path, "/")))
	}
	if n.inner == nil {
		return len(list) > 0, nil
	}
	inner := &scope{request: s.request, item: s.item, variables: map[string]any{}}
	for name, v := range s.variables {
		inner.variables[name] = v
	}
	for _, element := range list {
		inner.variables[n.variable] = element
		holds, err := n.inner.eval(inner)
		if err != nil {
			return false, err
		}
		if holds != n.all {
			return holds, nil
		}
	}
	return n.all, nil
}

func (n counted) eval(s *scope) (bool, error) {
	value, err := s.lookup(n.path)
	if err != nil {
		return false, err
	}
	list, isList := value.([]any)
	if !isList && value != nil {
		return false, badRequest("$filter: '%s' is no collection.", clip(strings.Join(n.path, "/")))
	}
	return ordered(len(list)-n.n, n.op), nil
}

func ordered(c int, op string) bool {
	switch op {
	case "eq":
		return c == 0
	case "ne":
		return c != 0
	case "gt":
		return c > 0
	case "ge":
		return c >= 0
	case "lt":
		return c < 0
	}
	return c <= 0
}

// test compares a value with a literal. Null equals null only, and neither is
// greater nor smaller than anything (OData 4.01 part 2, 5.1.1.1). Strings
// compare without regard to case, as the directory does.
func test(value any, op string, literal any, p path) (bool, error) {
	if value == nil || literal == nil {
		switch op {
		case "eq":
			return value == nil && literal == nil, nil
		case "ne":
			return value != nil || literal != nil, nil
		}
		return false, nil
	}
	mismatch := badRequest("$filter compares '%s' with a value of another type.", clip(strings.Join(p, "/")))
	switch v := value.(type) {
	case string:
		l, isText := literal.(string)
		if !isText {
			return false, mismatch
		}
		return ordered(strings.Compare(strings.ToLower(v), strings.ToLower(l)), op), nil
	case bool:
		l, isTruth := literal.(bool)
		if !isTruth || op != "eq" && op != "ne" {
			return false, mismatch
		}
		return (v == l) == (op == "eq"), nil
	case float64:
		l, isNumber := literal.(float64)
		if !isNumber {
			return false, mismatch
		}
		return ordered(cmp.Compare(v, l), op), nil
	case int:
		l, isNumber := literal.(float64)
		if !isNumber {
			return false, mismatch
		}
		switch {
		case float64(v) < l:
			return ordered(-1, op), nil
		case float64(v) > l:
			return ordered(1, op), nil
		}
		return ordered(0, op), nil
	case time.Time:
		l, isTime := literal.(time.Time)
		if !isTime {
			return false, mismatch
		}
		return ordered(v.Compare(l), op), nil
	}
	return false, mismatch
}

// searched is a $search: alternatives of member:words, all of which may be
// joined by AND or OR ("Use the $search query parameter", directory objects).
type searched struct{ alternatives [][]term }

type term struct{ member, word string }

func parseSearch(source string) (*searched, error) {
	out := &searched{alternatives: [][]term{nil}}
	rest := strings.TrimSpace(source)
	for rest != "" {
		if rest[0] != '"' {
			return nil, badRequest(`$search has the form "member:text", with the double quotes.`)
		}
		end := strings.IndexByte(rest[1:], '"')
		if end < 0 {
			return nil, badRequest("$search has a clause without end.")
		}
		name, word, found := strings.Cut(rest[1:1+end], ":")
		if !found || word == "" {
			return nil, badRequest(`$search has the form "member:text", with the double quotes.`)
		}
		last := len(out.alternatives) - 1
		out.alternatives[last] = append(out.alternatives[last], term{name, strings.ToLower(word)})
		rest = strings.TrimSpace(rest[end+2:])
		switch {
		case rest == "":
		case strings.HasPrefix(rest, "OR "):
			out.alternatives = append(out.alternatives, nil)
			rest = strings.TrimSpace(rest[3:])
		case strings.HasPrefix(rest, "AND "):
			rest = strings.TrimSpace(rest[4:])
		default:
			return nil, badRequest("$search joins clauses by AND and OR.")
		}
		if len(out.alternatives) > 32 {
			return nil, badRequest("$search has too many clauses.")
		}
	}
	return out, nil
}

func (s *searched) match(r *request, it item) bool {
	for _, all := range s.alternatives {
		holds := len(all) > 0
		for _, t := range all {
			m := it.typ.member(r.version, t.member)
			holds = holds && m != nil && startsWord(r.value(it, m), t.word)
		}
		if holds {
			return true
		}
	}
	return false
}

// startsWord: displayName and description are searched by words, others by
// their beginning.
func startsWord(value any, word string) bool {
	s, _ := value.(string)
	s = strings.ToLower(s)
	if strings.HasPrefix(s, word) {
		return true
	}
	for _, part := range strings.FieldsFunc(s, func(r rune) bool { return r == ' ' || r == '-' || r == '.' || r == '_' || r == '@' }) {
		if strings.HasPrefix(part, word) {
			return true
		}
	}
	return false
}
