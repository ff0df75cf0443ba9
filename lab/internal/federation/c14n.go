package federation

import (
	"maps"
	"slices"
	"strings"
)

// canonical writes an element in exclusive canonical form without comments
// (W3C, Exclusive XML Canonicalization 1.0), leaving out one child: the
// signature that the form is made for, or nil.
func (e *element) canonical(without *element) string {
	var b strings.Builder
	e.write(&b, without, map[string]string{})
	return b.String()
}

// write writes the element; rendered are the namespaces that an ancestor in
// the output has declared, by prefix.
func (e *element) write(b *strings.Builder, without *element, rendered map[string]string) {
	// Only prefixes that are used here are declared, and only where the output
	// has not said the same already.
	used := map[string]string{e.prefix: e.space}
	for _, a := range e.attributes {
		if a.prefix != "" && a.prefix != "xml" {
			used[a.prefix] = a.space
		}
	}
	inner := maps.Clone(rendered)
	name := e.local
	if e.prefix != "" {
		name = e.prefix + ":" + e.local
	}
	b.WriteString("<" + name)
	for _, prefix := range slices.Sorted(maps.Keys(used)) {
		space := used[prefix]
		if had, ok := rendered[prefix]; ok && had == space || !ok && prefix == "" && space == "" {
			continue
		}
		inner[prefix] = space
		if prefix == "" {
			b.WriteString(` xmlns="` + attributeText.Replace(space) + `"`)
		} else {
			b.WriteString(" xmlns:" + prefix + `="` + attributeText.Replace(space) + `"`)
		}
	}
	attributes := slices.Clone(e.attributes)
	slices.SortFunc(attributes, func(a, b attribute) int {
		if c := strings.Compare(a.space, b.space); c != 0 {
			return c
		}
		return strings.Compare(a.local, b.local)
	})
	for _, a := range attributes {
		b.WriteByte(' ')
		if a.prefix != "" {
			b.WriteString(a.prefix + ":")
		}
		b.WriteString(a.local + `="` + attributeText.Replace(a.value) + `"`)
	}
	b.WriteByte('>')
	for _, child := range e.children {
		switch child := child.(type) {
		case string:
			b.WriteString(elementText.Replace(child))
		case *element:
			if child != without {
				child.write(b, without, inner)
			}
		}
	}
	b.WriteString("</" + name + ">")
}

// How canonical form writes text and attributes.
var (
	elementText   = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", "\r", "&#xD;")
	attributeText = strings.NewReplacer("&", "&amp;", "<", "&lt;", `"`, "&quot;", "\t", "&#x9;", "\n", "&#xA;", "\r", "&#xD;")
)
