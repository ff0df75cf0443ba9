package federation

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"strings"
)

// Limits of a document.
const (
	// MaxDocument is the largest XML document that is read, in bytes.
	MaxDocument = 256 << 10

	maxDepth = 64
	maxNodes = 10_000
)

// element is an XML element with the prefixes that it was written with, which
// canonical form needs.
type element struct {
	prefix, local string
	space         string // namespace
	attributes    []attribute
	declared      map[string]string // namespaces declared here, by prefix
	children      []any             // *element or string
	parent        *element
}

type attribute struct{ prefix, space, local, value string }

// ErrXML is why a document is refused.
var ErrXML = errors.New("the document is not acceptable XML")

// parse reads a document.
func parse(data []byte) (*element, error) {
	if len(data) > MaxDocument {
		return nil, fmt.Errorf("%w: it has more than %d bytes", ErrXML, MaxDocument)
	}
	decoder := xml.NewDecoder(bytes.NewReader(data))
	decoder.Strict = true
	decoder.Entity = nil
	var root, at *element
	depth, nodes := 0, 0
	for {
		raw, err := decoder.RawToken()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrXML, err)
		}
		if nodes++; nodes > maxNodes {
			return nil, fmt.Errorf("%w: it has more than %d parts", ErrXML, maxNodes)
		}
		switch part := raw.(type) {
		case xml.Directive:
			return nil, fmt.Errorf("%w: it has a document type", ErrXML)
		case xml.ProcInst:
			if root != nil || part.Target != "xml" {
				return nil, fmt.Errorf("%w: it has a processing instruction", ErrXML)
			}
		case xml.StartElement:
			if depth++; depth > maxDepth || root != nil && at == nil {
				return nil, fmt.Errorf("%w: it is nested too deeply, or has two roots", ErrXML)
			}
			child, err := open(part, at)
			if err != nil {
				return nil, err
			}
			if at == nil {
				root = child
			} else {
				at.children = append(at.children, child)
			}
			at = child
		case xml.EndElement:
			if at == nil || part.Name.Space != at.prefix || part.Name.Local != at.local {
				return nil, fmt.Errorf("%w: an end tag does not match", ErrXML)
			}
			depth--
			at = at.parent
		case xml.CharData:
			if at != nil {
				at.children = append(at.children, string(part))
			} else if len(bytes.TrimSpace(part)) > 0 {
				return nil, fmt.Errorf("%w: there is text outside the root", ErrXML)
			}
		}
	}
	if root == nil || at != nil {
		return nil, fmt.Errorf("%w: it ends too early", ErrXML)
	}
	return root, nil
}

// open makes an element from its start tag, namespaces resolved.
func open(tag xml.StartElement, parent *element) (*element, error) {
	e := &element{prefix: tag.Name.Space, local: tag.Name.Local, parent: parent, declared: map[string]string{}}
	for _, a := range tag.Attr {
		switch {
		case a.Name.Space == "" && a.Name.Local == "xmlns":
			e.declared[""] = a.Value
		case a.Name.Space == "xmlns":
			e.declared[a.Name.Local] = a.Value
		default:
			e.attributes = append(e.attributes, attribute{prefix: a.Name.Space, local: a.Name.Local, value: a.Value})
		}
	}
	var known bool
	if e.space, known = e.lookup(e.prefix); !known && e.prefix != "" {
		return nil, fmt.Errorf("%w: the prefix %q is not declared", ErrXML, e.prefix)
	}
	seen := map[attribute]bool{}
	for i := range e.attributes {
		a := &e.attributes[i]
		if a.prefix != "" {
			if a.space, known = e.lookup(a.prefix); !known {
				return nil, fmt.Errorf("%w: the prefix %q is not declared", ErrXML, a.prefix)
			}
		}
		key := attribute{space: a.space, local: a.local}
		if seen[key] {
			return nil, fmt.Errorf("%w: an attribute stands there twice", ErrXML)
		}
		seen[key] = true
	}
	return e, nil
}

// lookup gives the namespace of a prefix.
func (e *element) lookup(prefix string) (string, bool) {
	if prefix == "xml" {
		return "http://www.w3.org/XML/1998/namespace", true
	}
	for at := e; at != nil; at = at.parent {
		if space, ok := at.declared[prefix]; ok {
			return space, space != "" || prefix == ""
		}
	}
	return "", prefix == ""
}

// find gives the first child element of a name, nil if there is none; the
// result of a path is nil as soon as one step is.
func (e *element) find(path ...string) *element {
	at := e
	for _, name := range path {
		var next *element
		if at != nil {
			for _, child := range at.elements() {
				if child.local == name {
					next = child
					break
				}
			}
		}
		at = next
	}
	return at
}

func (e *element) elements() []*element {
	if e == nil {
		return nil
	}
	var out []*element
	for _, child := range e.children {
		if c, ok := child.(*element); ok {
			out = append(out, c)
		}
	}
	return out
}

// value is the text of an element, "" for none.
func (e *element) value() string {
	if e == nil {
		return ""
	}
	var b strings.Builder
	for _, child := range e.children {
		if text, ok := child.(string); ok {
			b.WriteString(text)
		}
	}
	return strings.TrimSpace(b.String())
}

// attr is an attribute without a namespace.
func (e *element) attr(name string) string {
	if e == nil {
		return ""
	}
	for _, a := range e.attributes {
		if a.space == "" && a.local == name {
			return a.value
		}
	}
	return ""
}

// is reports whether an element has a name.
func (e *element) is(space, local string) bool {
	return e != nil && e.space == space && e.local == local
}
