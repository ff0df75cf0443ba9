package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// renamed are members that the older examples spell as they were then called.
var renamed = map[string]string{"creationDateTime": "createdDateTime"}

// withdrawn are members of older examples that today's metadata does not have,
// or has in beta only.
var withdrawn = []string{"useForSignIn", "orgRestrictions", "startTime", "expiryTime"}

// entities gives the objects of an answer: those of a collection, or itself.
// Older examples wrap a single object in "value", too.
func entities(body any) []map[string]any {
	object, isObject := body.(map[string]any)
	if !isObject {
		return nil
	}
	var out []map[string]any
	switch value := object["value"].(type) {
	case []any:
		for _, v := range value {
			if e, isObject := v.(map[string]any); isObject {
				out = append(out, e)
			}
		}
		if len(out) == 0 {
			return []map[string]any{object}
		}
	case map[string]any:
		out = append(out, value)
	default:
		out = append(out, object)
	}
	return out
}

// comparison collects what differs.
type comparison struct {
	members        int
	missing, types []string
	older          []string
}

func (c *comparison) remarks() string {
	if len(c.older) == 0 {
		return ""
	}
	return fmt.Sprintf(" (since renamed or spelled otherwise: %s)", strings.Join(c.older, ", "))
}

// entities compares each documented object with the lab's of the same type: a
// member counts as present if one of them has it.
func (c *comparison) entities(at string, documented, have []map[string]any) {
	for _, d := range documented {
		candidates := have
		if kind, typed := d["@odata.type"]; typed && at == "" {
			same := slices.DeleteFunc(slices.Clone(have), func(h map[string]any) bool { k, there := h["@odata.type"]; return there && k != kind })
			if len(same) > 0 {
				candidates = same
			}
		}
		for _, name := range slices.Sorted(maps.Keys(d)) {
			if strings.Contains(name, "@") {
				continue // annotations are optional
			}
			c.member(at+name, name, d[name], candidates)
		}
	}
}

func (c *comparison) member(path, name string, documented any, have []map[string]any) {
	var values []any
	there := false
	for _, h := range have {
		v, found := h[name]
		if !found && renamed[name] != "" {
			if v, found = h[renamed[name]]; found {
				c.note(path)
			}
		}
		if !found {
			for other := range h {
				if strings.EqualFold(other, name) {
					v, found = h[other], true
					c.note(path)
				}
			}
		}
		if found {
			there = true
			if v != nil {
				values = append(values, v)
			}
		}
	}
	if !there && slices.Contains(withdrawn, name) {
		c.note(path + " (withdrawn)")
		return
	}
	if !there {
		if !slices.Contains(c.missing, path) {
			c.missing = append(c.missing, path)
		}
		return
	}
	c.members++
	for _, v := range values {
		if kind(documented) != "null" && kind(documented) != kind(v) {
			c.types = append(c.types, fmt.Sprintf("%s (%s, is %s)", path, kind(documented), kind(v)))
			return
		}
	}
	switch d := documented.(type) {
	case map[string]any:
		if inner := objects(values); len(inner) > 0 {
			c.entities(path+"/", []map[string]any{d}, inner)
		}
	case []any:
		var flat []any
		for _, v := range values {
			flat = append(flat, v.([]any)...)
		}
		if inner := objects(flat); len(inner) > 0 {
			c.entities(path+"/", objects(d), inner)
		} else if len(flat) > 0 && len(d) > 0 && kind(d[0]) != kind(flat[0]) {
			c.types = append(c.types, fmt.Sprintf("%s (list of %s, is of %s)", path, kind(d[0]), kind(flat[0])))
		}
	}
}

func (c *comparison) note(path string) {
	if !slices.Contains(c.older, path) {
		c.older = append(c.older, path)
	}
}

func objects(list []any) []map[string]any {
	var out []map[string]any
	for _, v := range list {
		if o, isObject := v.(map[string]any); isObject {
			out = append(out, o)
		}
	}
	return out
}

// kind is a value's JSON type. A few examples hold the name of the type instead
// of a value.
func kind(v any) string {
	switch v := v.(type) {
	case nil:
		return "null"
	case bool:
		return "boolean"
	case float64:
		return "number"
	case []any:
		return "list"
	case map[string]any:
		return "object"
	case string:
		switch v {
		case "Integer", "Int32":
			return "number"
		case "Boolean":
			return "boolean"
		}
	}
	return "string"
}
