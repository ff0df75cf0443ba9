package conditionalaccess

import (
	"maps"
	"slices"
	"strings"
)

// Bounds on the values of one device attribute that are told apart.
const (
	maxElements = 6
	maxTexts    = 512
)

// values are those that the policies of a set can tell apart, for members that
// are missing.
type values struct {
	uncertain    []id // applications
	around       rows // the groups around a group, for each
	combinations []methods
	texts        [deviceAttributes][]string
	lists        [2][][]string // PhysicalIDs, SystemLabels
}

func (c *Compiled) compileCases() {
	v := &c.values
	for _, app := range slices.Sorted(maps.Keys(suiteOf)) {
		if suiteOf[app]&uncertain != 0 {
			v.uncertain = append(v.uncertain, c.apps[app])
		}
	}
	v.around = newRows(len(c.groups), wordCount(len(c.groups)))
	for g, name := range c.groupNames {
		if c.directory != nil && c.directory.groups[name] != nil {
			or(v.around.row(g), c.directory.groups[name])
		}
	}
	// Besides what strengths name: some other MFA, and something else.
	v.combinations = []methods{otherMethod | strongMethods, otherMethod}
	for i := range c.classes {
		for _, k := range c.classes[i].controls {
			for _, m := range k.allowed {
				if !slices.Contains(v.combinations, m) {
					v.combinations = append(v.combinations, m)
				}
			}
		}
	}
	comparisons := [deviceAttributes][]*expression{IsCompliant: {compliantExpression}, TrustType: {hybridExpression}}
	for i := range c.policies {
		if f := c.policies[i].Conditions.DeviceFilter; f != nil && f.expression != nil {
			f.expression.collect(&comparisons)
		}
	}
	for a, list := range comparisons {
		if a := DeviceAttribute(a); a == PhysicalIDs || a == SystemLabels {
			v.lists[a-PhysicalIDs] = elementSets(list)
		} else {
			v.texts[a] = textClasses(list)
		}
	}
}

// collect gathers the comparisons by attribute.
func (e *expression) collect(to *[deviceAttributes][]*expression) {
	switch {
	case e.op <= opNot:
		e.left.collect(to)
		if e.op != opNot {
			e.right.collect(to)
		}
	case e.name == "":
		to[e.attribute] = append(to[e.attribute], e)
	}
}

// elementSets gives every set of the elements that are asked for, nil if they
// are too many.
func elementSets(list []*expression) [][]string {
	elements := wanted(list, opContains)
	if len(elements) > maxElements {
		return nil
	}
	return subsets(elements)
}

// textClasses gives texts such that every text compares like one of them, nil
// if they are too many. One that is not equal to any value looks, for the
// comparisons, like its longest prefix, its parts and its longest suffix with
// something between.
func textClasses(list []*expression) []string {
	const between = "\x00"
	out := slices.Concat(wanted(list, opEqual), wanted(list, opIn))
	starts := append(wanted(list, opStartsWith), "")
	ends := append(wanted(list, opEndsWith), "")
	parts := wanted(list, opContains)
	if len(parts) > maxElements || len(starts)*len(ends)<<len(parts) > maxTexts {
		return nil
	}
	for _, start := range starts {
		for _, middle := range subsets(parts) {
			for _, end := range ends {
				out = append(out, start+between+strings.Join(middle, between)+between+end)
			}
		}
	}
	return out
}

// wanted gives the different values compared with by an operator.
func wanted(list []*expression, op filterOperator) []string {
	var out []string
	for _, e := range list {
		for _, v := range e.values {
			if e.op == op && !containsFold(out, v) {
				out = append(out, v)
			}
		}
	}
	return out
}

func subsets(of []string) [][]string {
	var out [][]string
	for set := range 1 << len(of) {
		var one []string
		for i, v := range of {
			if set>>i&1 != 0 {
				one = append(one, v)
			}
		}
		out = append(out, one)
	}
	return out
}

// count gives the number of values of a device attribute, null among them, and
// 0 if there are too many.
func (v *values) count(a DeviceAttribute) int {
	n := len(v.texts[a])
	if a == PhysicalIDs || a == SystemLabels {
		n = len(v.lists[a-PhysicalIDs])
	}
	return when(n > 0, n+1)
}

// assume gives a device attribute its i-th value.
func (v *values) assume(d *Device, a DeviceAttribute, i int) {
	switch {
	case i == 0:
		d.SetNull(a)
	case a == PhysicalIDs || a == SystemLabels:
		d.SetList(a, v.lists[a-PhysicalIDs][i-1])
	default:
		d.Set(a, v.texts[a][i-1])
	}
}
