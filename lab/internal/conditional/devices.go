package conditional

import (
	"maps"
	"slices"
	"strings"
)

// maxTexts bounds the values of one attribute that are tried.
const maxTexts = 512

// devices are the cases of a missing attribute of a registered device.
func (x *settling) devices(name string, s situation) []situation {
	values := x.attributeValues(name)
	if len(values) > maxTexts {
		return nil
	}
	var out []situation
	for _, v := range values {
		next := s
		device := maps.Clone(s.signIn.Device.Value)
		device[name] = v
		next.signIn.Device = Of(device)
		if x.agrees(&next.signIn) {
			out = append(out, next)
		}
	}
	return out
}

// agrees: a device on which an extension attribute was seen is not at the same
// time one that has none, unless the sign-in itself says so.
func (x *settling) agrees(filled *SignIn) bool {
	seen := false
	for name, value := range x.given.Device.Value {
		seen = seen || value != nil && strings.HasPrefix(strings.ToLower(name), "extensionattribute")
	}
	unavailable := func(s *SignIn) bool { return (&evaluation{s: s}).extensions() == no }
	return !seen || unavailable(x.given) || !unavailable(filled)
}

// attributeValues are no value, and such that every other value compares like
// one of them: those that a rule names whole; and for rules on a part, what
// begins, contains and ends with some of the parts and is nothing else.
func (x *settling) attributeValues(name string) []any {
	begins, parts, ends := []string{""}, [][]string{nil}, []string{""}
	whole := map[string][]string{"iscompliant": {"True", "False"}, "trusttype": {"ServerAD"}}[name]
	for _, r := range x.comparisons(name) {
		switch operator, _ := positive(r.operator); operator {
		case "startswith":
			begins = append(begins, r.values...)
		case "endswith":
			ends = append(ends, r.values...)
		case "contains":
			for _, so := range parts {
				parts = append(parts, append(slices.Clip(so), r.values...))
			}
		default:
			whole = append(whole, r.values...)
		}
		if len(begins)*len(parts)*len(ends) > maxTexts {
			return make([]any, maxTexts+1)
		}
	}
	out := []any{nil}
	if name == "physicalids" || name == "systemlabels" {
		for _, elements := range parts {
			items := []any{}
			for _, element := range elements {
				items = append(items, element)
			}
			out = append(out, items)
		}
		return out
	}
	for _, w := range whole {
		out = append(out, w)
	}
	const nowhere = "\x01" // in no rule
	for _, begin := range begins {
		for _, middle := range parts {
			for _, end := range ends {
				out = append(out, begin+nowhere+strings.Join(middle, nowhere)+nowhere+end)
			}
		}
	}
	return out
}

// comparisons are those of all filters with an attribute, each once.
func (x *settling) comparisons(name string) []*rule {
	var out []*rule
	var walk func(*rule)
	walk = func(r *rule) {
		for _, inner := range r.inner {
			walk(inner)
		}
		known := func(have *rule) bool {
			a, _ := positive(have.operator)
			b, _ := positive(r.operator)
			return a == b && slices.EqualFunc(have.values, r.values, same)
		}
		if r.join == "" && same(r.attribute, name) && !slices.ContainsFunc(out, known) {
			out = append(out, r)
		}
	}
	for _, policy := range x.policies {
		conditions, _ := block(policy.Members, "conditions")
		devices, _ := block(conditions, "devices")
		filter, _ := block(devices, "deviceFilter")
		text, _ := filter["rule"].(string)
		if parsed, err := parseRule(text); err == nil {
			walk(parsed)
		}
	}
	return out
}
