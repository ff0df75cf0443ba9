package spsim

import (
	"maps"
	"net/http"
	"slices"
	"strings"
)

// entity is an object of the interface.
type entity struct {
	typ    string // SP.Web
	uri    string // below /_api/
	etag   string
	fields map[string]any
	// unasked are fields that appear only if $select names them.
	unasked map[string]any
	steps   map[string]step // by lower-case name
}

// collection is a set of objects.
type collection struct {
	typ   string // of the members
	uri   string
	all   []*entity
	paged bool // list items: in pages, by id
	steps map[string]step
}

// scalar is a single value.
type scalar struct {
	name  string
	value any
}

// stream is a file's content.
type stream struct{ content, name string }

// step goes on from an object: arguments in, next object out.
type step struct {
	do   func(c call) (any, error)
	post bool // goes by POST; all others by GET
	both bool // by either
}

// walk goes along the path, from the root of the interface.
func (r *request) walk() (any, error) {
	var at any = r.start()
	for i, c := range r.calls {
		r.last = i == len(r.calls)-1
		next, err := r.step(at, c)
		if err != nil {
			return nil, err
		}
		at = next
	}
	if method := r.http.Method; len(r.calls) == 0 && method != http.MethodGet && method != http.MethodHead {
		return nil, noMethod(method, "_api", http.MethodGet)
	}
	return at, nil
}

func (r *request) step(at any, c call) (any, error) {
	var steps map[string]step
	fields := map[string]any{}
	switch at := at.(type) {
	case *entity:
		steps = at.steps
		maps.Copy(fields, at.fields)
		maps.Copy(fields, at.unasked)
	case *collection:
		steps = at.steps
	}
	method := r.http.Method
	get := method == http.MethodGet || method == http.MethodHead
	next, ok := steps[strings.ToLower(c.name)]
	if ok {
		switch {
		case r.last && next.post && method != http.MethodPost:
			return nil, noMethod(method, c.name, http.MethodPost)
		case r.last && next.both && !get && method != http.MethodPost, r.last && !next.post && !next.both && !get:
			return nil, noMethod(method, c.name, http.MethodGet)
		}
		return next.do(c)
	}
	if !c.has {
		for _, name := range slices.Sorted(maps.Keys(fields)) {
			if strings.EqualFold(name, c.name) {
				if r.last && !get {
					return nil, noMethod(method, c.name, http.MethodGet)
				}
				return scalar{name, fields[name]}, nil
			}
		}
	}
	return nil, noResource(c.name)
}

// one reads the single argument that a call must have.
func one(c call) (string, error) {
	if len(c.args) != 1 {
		return "", badPath("'%s' takes one value in parentheses.", clip(c.name))
	}
	return c.args[0], nil
}

// plain is a step that takes no arguments.
func plain(f func() (any, error)) step {
	return step{do: func(c call) (any, error) {
		if len(c.args) > 0 {
			return nil, badPath("'%s' takes no value in parentheses.", clip(c.name))
		}
		return f()
	}}
}

// by is a step that takes one argument.
func by(f func(string) (any, error)) step {
	return step{do: func(c call) (any, error) {
		value, err := one(c)
		if err != nil {
			return nil, err
		}
		return f(value)
	}}
}

func (s step) viaPost() step {
	s.post = true
	return s
}

func (s step) viaBoth() step {
	s.both = true
	return s
}
