package directory

import (
	"encoding/json"
	"fmt"
	"slices"
	"sort"
	"strings"
	"time"
)

// Fault is one mistake in a tenants file.
type Fault struct {
	Path    string // where: tenants[0].users[2].upn
	Problem string // what is wrong and what would be right
}

func (f Fault) String() string {
	if f.Path == "" {
		return f.Problem
	}
	return f.Path + ": " + f.Problem
}

// Faults are all mistakes of a tenants file, as one error.
type Faults []Fault

func (f Faults) Error() string {
	lines := make([]string, len(f))
	for i, fault := range f {
		lines[i] = fault.String()
	}
	return strings.Join(lines, "\n")
}

// node is one value of a tenants file with its path. Reading a value of the
// wrong type records a fault and goes on with the zero value, so that one run
// reports everything.
type node struct {
	path   string
	value  any
	faults *Faults
}

//go:noinline
func (n node) fault(format string, args ...any) {
	// A file that is wrong throughout would otherwise print itself.
	const most = 200
	if len(*n.faults) < most {
		*n.faults = append(*n.faults, Fault{n.path, fmt.Sprintf(format, args...)})
	} else if len(*n.faults) == most {
		*n.faults = append(*n.faults, Fault{"", "more faults follow; mend these first"})
	}
}

func kindOf(v any) string {
	switch v.(type) {
	case nil:
		return "null"
	case bool:
		return "true or false"
	case string:
		return "a string"
	case json.Number:
		return "a number"
	case []any:
		return "a list"
	}
	return "an object"
}

// object reads n as an object whose members may only be the ones named. The
// result gives each member's node; a missing member has value nil.
func (n node) object(known ...string) func(string) node {
	members, ok := n.value.(map[string]any)
	if !ok && n.value != nil {
		n.fault("is %s, must be an object", kindOf(n.value))
	}
	names := make([]string, 0, len(members))
	for name := range members {
		names = append(names, name)
	}
	sort.Strings(names)
	for _, name := range names {
		if !slices.Contains(known, name) {
			n.fault("unknown member %q%s", clip(name), suggest(name, known))
		}
	}
	return func(name string) node {
		path := name
		if n.path != "" {
			path = n.path + "." + name
		}
		return node{path, members[name], n.faults}
	}
}

func (n node) list() []node {
	items, ok := n.value.([]any)
	if !ok && n.value != nil {
		n.fault("is %s, must be a list", kindOf(n.value))
	}
	out := make([]node, len(items))
	for i, item := range items {
		out[i] = node{fmt.Sprintf("%s[%d]", n.path, i), item, n.faults}
	}
	return out
}

func (n node) str() string {
	s, ok := n.value.(string)
	if !ok && n.value != nil {
		n.fault("is %s, must be a string", kindOf(n.value))
	}
	return s
}

func (n node) required() string {
	s := n.str()
	if s == "" && (n.value == nil || n.value == "") {
		n.fault("is missing")
	}
	return s
}

func (n node) flag(standard bool) bool {
	b, ok := n.value.(bool)
	if !ok {
		if n.value != nil {
			n.fault("is %s, must be true or false", kindOf(n.value))
		}
		return standard
	}
	return b
}

func (n node) integer(standard, least, most int) int {
	if n.value == nil {
		return standard
	}
	number, ok := n.value.(json.Number)
	if !ok {
		n.fault("is %s, must be a number", kindOf(n.value))
		return standard
	}
	i, err := number.Int64()
	if err != nil || i < int64(least) || i > int64(most) {
		n.fault("is %s, must be a whole number from %d to %d", clip(number.String()), least, most)
		return standard
	}
	return int(i)
}

func (n node) oneOf(standard string, allowed ...string) string {
	s := n.str()
	if s == "" {
		return standard
	}
	if !slices.Contains(allowed, s) {
		n.fault("is %q, must be one of %s%s", clip(s), strings.Join(allowed, ", "), suggest(s, allowed))
		return standard
	}
	return s
}

func (n node) strings() []string {
	var out []string
	for _, item := range n.list() {
		if s := item.required(); s != "" {
			out = append(out, s)
		}
	}
	return out
}

// moment reads a point in time: RFC 3339, or a duration from now such as
// "720h" or "-24h".
func (n node) moment(now, standard time.Time) time.Time {
	s := n.str()
	if s == "" {
		return standard
	}
	if t, err := time.Parse(time.RFC3339, s); err == nil {
		return t.UTC()
	}
	if d, err := time.ParseDuration(s); err == nil {
		return now.Add(d)
	}
	n.fault(`is %q, must be a time such as "2027-01-31T00:00:00Z" or a duration from the start such as "720h" or "-24h"`, clip(s))
	return standard
}

// clip keeps a quoted value from filling the screen.
func clip(s string) string {
	const most = 60
	if r := []rune(s); len(r) > most {
		return string(r[:most]) + "…"
	}
	return s
}

// suggest names the closest allowed value when a typing mistake is likely.
func suggest(got string, allowed []string) string {
	if len(got) > 64 {
		return ""
	}
	best, distance := "", 1+len(got)/3
	for _, a := range allowed {
		if d := editDistance(strings.ToLower(got), strings.ToLower(a)); d < distance {
			best, distance = a, d
		}
	}
	if best == "" {
		return ""
	}
	return fmt.Sprintf("; did you mean %q?", best)
}

func editDistance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		previous := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := previous
			if a[i] != b[j] {
				cost++
			}
			previous = row[j+1]
			row[j+1] = min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
