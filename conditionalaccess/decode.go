package conditionalaccess

import (
	"fmt"
	"strings"
)

// A decoder reads the members of one object and collects what does not fit.
type decoder struct {
	wrong func(at *node, reason string)
}

// strings reads a list of strings. Tools also write a single string, null, or
// objects of which the id counts. ok is false if an element was of no use.
func (d *decoder) strings(n *node, path string) (list []string, ok bool) {
	ok = true
	bad := func(at *node) {
		ok = false
		d.wrong(at, fmt.Sprintf("%s holds %s where a string belongs", path, kindName(at.kind)))
	}
	switch n.kind {
	case 'n':
	case '"':
		if n.text != "" {
			list = []string{n.text}
		}
	case '[':
		for i := range n.items {
			item := &n.items[i]
			switch {
			case item.kind == '"':
				if item.text != "" {
					list = append(list, item.text)
				}
			case item.null():
			case item.kind == '{' && item.get("id").kind == '"':
				list = append(list, item.get("id").text)
			default:
				bad(item)
			}
		}
	default:
		if !n.empty() {
			bad(n)
		}
	}
	return list, ok
}

// flags reads Graph's flag strings ("a,b") and lists of them. The value none
// says nothing.
func (d *decoder) flags(n *node, path string) []string {
	joined, _ := d.strings(n, path)
	var list []string
	for _, j := range joined {
		for f := range strings.SplitSeq(j, ",") {
			if f = strings.TrimSpace(f); f != "" && !strings.EqualFold(f, "none") {
				list = append(list, f)
			}
		}
	}
	return list
}

func kindName(kind byte) string {
	switch kind {
	case '{':
		return "an object"
	case '[':
		return "a list"
	case '0':
		return "a number"
	case '"':
		return "a string"
	}
	return "true or false"
}

// choice reads a pair of lists, or nil if neither is configured.
func (d *decoder) choice(n *node, path, include, exclude string) *Choice {
	var c Choice
	var ok bool
	if c.Include, ok = d.strings(n.get(include), path+"."+include); !ok {
		c.UnknownInclude = true
	}
	if c.Exclude, ok = d.strings(n.get(exclude), path+"."+exclude); !ok {
		c.UnknownExclude = true
	}
	n.rest([]string{include, exclude}, c.unknown)
	if len(c.Include) == 0 && len(c.Exclude) == 0 && !c.UnknownInclude && !c.UnknownExclude {
		return nil
	}
	return &c
}

// unknown takes note of a member that this package does not know.
func (c *Choice) unknown(name string, _ *node) {
	if strings.HasPrefix(strings.ToLower(name), "exclude") {
		c.UnknownExclude = true
	} else {
		c.UnknownInclude = true
	}
}

// filter reads a mode and a rule, or nil if there is no rule.
func (d *decoder) filter(n *node, path string) *Filter {
	rule := n.get("rule").string()
	if rule == "" {
		return nil
	}
	f := &Filter{Rule: rule}
	switch mode := n.get("mode"); {
	case strings.EqualFold(mode.string(), "exclude"):
		f.Exclude = true
	case strings.EqualFold(mode.string(), "include"):
	default:
		d.wrong(mode, path+".mode is neither include nor exclude")
		return f
	}
	e, err := parseFilter(rule)
	if err != nil {
		d.wrong(n.get("rule"), fmt.Sprintf("%s.rule: %v", path, err))
		return f
	}
	f.expression = e
	return f
}
