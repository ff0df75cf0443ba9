package graphsim

import (
	"maps"
	"slices"
	"strings"
	"time"
)

// entity is a type of Graph: its members in the order of the metadata.
type entity struct {
	name    string // as in #microsoft.graph.name
	members members
	byName  map[string]*member // lower case
	// basic are the members that a caller sees who may only know little of it.
	basic []string
	// directory objects have stricter query rules ("Advanced query capabilities
	// on Microsoft Entra ID objects").
	directory bool
	// filters, where set, are the only paths that $filter takes.
	filters []string
	// typed: the answer names the type even where the collection implies it.
	typed bool
	// named: who makes an object chooses its id.
	named bool
	// open gives members that the table does not name but the object has.
	open func(*request, any) map[string]any
}

// member is one property of a type.
type member struct {
	name string
	get  func(*request, any) any
	// asked: v1.0 gives it only to those who $select it; beta always gives it.
	asked bool
	// rare: both versions give it only to those who $select it.
	rare bool
	only string // the version that has it, "" for both
	// unfiltered: $filter does not take it.
	unfiltered bool
}

type members []*member

// prop is a member whose value depends on the object.
//
//go:noinline
func prop[T any](name string, get func(*request, T) any) members {
	return members{{name: name, get: func(r *request, v any) any { return get(r, v.(T)) }}}
}

// null are members that the lab never has a value for.
//
//go:noinline
func null(names ...string) members { return constant(nil, names...) }

// none are collections that are always empty in the lab.
func none(names ...string) members { return constant([]any{}, names...) }

//go:noinline
func constant(value any, names ...string) members {
	var out members
	for _, name := range names {
		out = append(out, &member{name: name, get: func(*request, any) any { return value }})
	}
	return out
}

//go:noinline
func (m members) each(fn func(*member)) members {
	for _, one := range m {
		fn(one)
	}
	return m
}

func (m members) ask() members    { return m.each(func(m *member) { m.asked = true }) }
func (m members) seldom() members { return m.each(func(m *member) { m.rare = true }) }

//go:noinline
func (m members) inBeta() members { return m.each(func(m *member) { m.only = "beta" }) }

//go:noinline
func (m members) plain() members { return m.each(func(m *member) { m.unfiltered = true }) }

func newEntity(name string, parts ...members) *entity {
	e := &entity{name: name, byName: map[string]*member{}}
	for _, part := range parts {
		for _, m := range part {
			e.members = append(e.members, m)
			e.byName[strings.ToLower(m.name)] = m
		}
	}
	return e
}

func (e *entity) ofDirectory(basic ...string) *entity {
	e.directory, e.basic = true, basic
	return e
}

// member finds a member that the version has, in any case of letters.
func (e *entity) member(version, name string) *member {
	m := e.byName[strings.ToLower(name)]
	if m == nil || m.only != "" && m.only != version {
		return nil
	}
	return m
}

// item is an object with its type.
type item struct {
	typ   *entity
	value any
}

func items[T any](typ *entity, list []T) []item {
	out := make([]item, len(list))
	for i, v := range list {
		out[i] = item{typ, v}
	}
	return out
}

// id is the object's id member.
//
//go:noinline
func (r *request) idOf(it item) string {
	id, _ := it.typ.byName["id"].get(r, it.value).(string)
	return id
}

// value is one member as this caller may see it.
func (r *request) value(it item, m *member) any {
	switch r.sees(it) {
	case seesNothing:
		if m.name != "id" {
			return nil
		}
	case seesBasics:
		if !slices.Contains(it.typ.basic, m.name) {
			return nil
		}
	case seesAll:
	}
	if l, lags := r.lag(it); lags {
		if v, known := l.before[m.name]; known {
			return v
		}
	}
	return m.get(r, it.value)
}

// render gives the members that were selected, or the default ones. Selected
// names that this type does not have are left out: list checks them.
func (r *request) render(it item, selected []string) map[string]any {
	out := map[string]any{}
	if len(selected) > 0 {
		for _, name := range selected {
			if m := it.typ.member(r.version, name); m != nil {
				out[m.name] = r.value(it, m)
			}
		}
		return out
	}
	for _, m := range it.typ.members {
		if m.only != "" && m.only != r.version || m.rare || m.asked && !r.beta() {
			continue
		}
		out[m.name] = r.value(it, m)
	}
	if it.typ.open != nil {
		for name, value := range it.typ.open(r, it.value) {
			m := it.typ.byName[strings.ToLower(name)]
			if _, known := out[name]; !known && (m == nil || m.rare) {
				out[name] = value
			}
		}
	}
	if r.server.cfg.Random.Chance(8) {
		out["labUnknownMember"] = "Clients ignore members that they do not know."
	}
	return out
}

// object builds a complex value from names and values in turn.
//
//go:noinline
func object(pairs ...any) map[string]any {
	out := make(map[string]any, len(pairs)/2)
	for i := 0; i+1 < len(pairs); i += 2 {
		out[pairs[i].(string)] = pairs[i+1]
	}
	return out
}

// texts copies strings into a JSON array that is never null.
//
//go:noinline
func texts(list ...string) []any {
	out := make([]any, len(list))
	for i, s := range list {
		out[i] = s
	}
	return out
}

// text is null for "".
func text(s string) any {
	if s == "" {
		return nil
	}
	return s
}

// when is null for the zero time.
//
//go:noinline
func when(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return t.UTC()
}

// extend is a shallow copy with more members.
func extend(base map[string]any, pairs ...any) map[string]any {
	out := maps.Clone(base)
	maps.Copy(out, object(pairs...))
	return out
}
