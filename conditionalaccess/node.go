package conditionalaccess

import (
	"bytes"
	"strings"
)

// A node is a JSON value with its place in the text. Policies are read from
// nodes rather than into structs: tools differ in the case of names, in lists
// and strings, and what is not known must be noticed.
type node struct {
	kind       byte // { [ " 0 (number) t f n
	text       string
	names      []string // of the members, parallel to items
	items      []node
	start, end int
}

func (s *scanner) node() (node, error) {
	c := s.peek()
	n := node{kind: c, start: s.pos}
	var err error
	switch c {
	case '{', '[':
		err = s.container(&n)
	case '"':
		var t []byte
		t, err = s.text()
		n.text = string(t)
	case 't', 'f', 'n':
		n.text, err = s.word()
	default:
		n.kind = '0'
		var t []byte
		t, err = s.number()
		n.text = string(t)
	}
	n.end = s.pos
	return n, err
}

func (s *scanner) container(n *node) error {
	if err := s.open(n.kind); err != nil {
		return err
	}
	for first := true; ; first = false {
		more, err := s.next(first, n.kind+2)
		if err != nil || !more {
			return err
		}
		if n.kind == '{' {
			name, err := s.key()
			if err != nil {
				return err
			}
			n.names = append(n.names, string(name))
		}
		item, err := s.node()
		if err != nil {
			return err
		}
		n.items = append(n.items, item)
	}
}

// nothing stands for a member that is not there.
var nothing = &node{kind: 'n'}

// get gives a member, whatever the case of its name, or null. Members that
// PowerShell moved into AdditionalProperties count as members.
func (n *node) get(name string) *node {
	var more *node
	for i, have := range n.names {
		if strings.EqualFold(have, name) {
			return &n.items[i]
		}
		if have == "AdditionalProperties" && n.items[i].kind == '{' {
			more = &n.items[i]
		}
	}
	if more != nil {
		return more.get(name)
	}
	return nothing
}

func (n *node) null() bool { return n.kind == 'n' }

// string gives the text of a string, else "".
func (n *node) string() string {
	if n.kind == '"' {
		return n.text
	}
	return ""
}

// empty reports whether nothing is configured: null, or a container or string
// with nothing in it.
func (n *node) empty() bool {
	switch n.kind {
	case 'n':
		return true
	case '"':
		return n.text == ""
	case '{', '[':
		for i := range n.items {
			if n.kind == '{' && annotation(n.names[i]) {
				continue
			}
			if !n.items[i].empty() {
				return false
			}
		}
		return true
	}
	return false
}

// annotation reports whether a name is OData's and no member of its own
// (@odata.type, users@odata.context, #microsoft.graph.restore).
func annotation(name string) bool {
	return strings.Contains(name, "@") || strings.HasPrefix(name, "#") || strings.HasPrefix(name, "odata.")
}

// rest calls f for every configured member whose name is not among known.
func (n *node) rest(known []string, f func(name string, value *node)) {
	for i, name := range n.names {
		value := &n.items[i]
		if annotation(name) || value.empty() || containsFold(known, name) {
			continue
		}
		if name == "AdditionalProperties" {
			value.rest(known, f)
			continue
		}
		f(name, value)
	}
}

func containsFold(list []string, s string) bool {
	for _, have := range list {
		if strings.EqualFold(have, s) {
			return true
		}
	}
	return false
}

// line gives the line of a position, from 1.
func line(data []byte, pos int) int {
	return 1 + bytes.Count(data[:min(pos, len(data))], []byte{'\n'})
}
