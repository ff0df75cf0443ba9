package conditional

import (
	"fmt"
	"slices"
	"strings"
)

// Operators of filters, by what attributes take them. Each has a negative twin.
var (
	equality = []string{"eq", "ne"}
	identity = []string{"eq", "ne", "in", "notin"}
	elements = []string{"contains", "notcontains"}
	anyText  = []string{"eq", "ne", "startswith", "notstartswith", "endswith", "notendswith", "contains", "notcontains", "in", "notin"}
)

// attributes of a device, in lower case, with the operators that they take.
var attributes = func() map[string][]string {
	out := map[string][]string{
		"deviceid": identity, "mdmappid": identity,
		"deviceownership": equality, "iscompliant": equality, "profiletype": equality, "trusttype": equality,
		"physicalids": elements, "systemlabels": elements,
	}
	for _, name := range []string{"displayname", "enrollmentprofilename", "manufacturer", "model", "operatingsystem", "operatingsystemversion"} {
		out[name] = anyText
	}
	for i := 1; i <= 15; i++ {
		out[fmt.Sprintf("extensionattribute%d", i)] = anyText
	}
	return out
}()

// devices asks the filter for devices. Source: "Conditional Access: Filter for
// devices".
func (e *evaluation) devices(conditions map[string]any) truth {
	devices, torn := block(conditions, "devices")
	if torn {
		return e.unreadable("devices")
	}
	strangeIn, strangeOut := e.strange(devices, "deviceFilter")
	return and(e.deviceFilter(devices), not(or(strangeIn, strangeOut)))
}

func (e *evaluation) deviceFilter(devices map[string]any) truth {
	filter, torn := block(devices, "deviceFilter")
	if torn {
		return e.unreadable("deviceFilter")
	}
	if unset(filter) {
		return yes
	}
	text, _ := filter["rule"].(string)
	parsed, err := parseRule(text)
	if err != nil {
		return e.unreadable("deviceFilter.rule")
	}
	matches := e.rule(parsed)
	switch mode, _ := filter["mode"].(string); {
	case same(mode, "include"):
		return matches
	case same(mode, "exclude"):
		return not(matches)
	}
	return e.unreadable("deviceFilter.mode")
}

func (e *evaluation) rule(r *rule) truth {
	switch r.join {
	case "not":
		return not(e.rule(r.inner[0]))
	case "and":
		out := yes
		for _, inner := range r.inner {
			out = and(out, e.rule(inner))
		}
		return out
	case "or":
		out := no
		for _, inner := range r.inner {
			out = or(out, e.rule(inner))
		}
		return out
	}
	return e.comparison(r)
}

func (e *evaluation) comparison(r *rule) truth {
	name := strings.ToLower(r.attribute)
	if !slices.Contains(attributes[name], r.operator) {
		return e.unreadable("deviceFilter.rule: device." + r.attribute + " -" + r.operator)
	}
	value, known := e.s.attribute(name)
	if strings.HasPrefix(name, "extensionattribute") {
		return e.extension(r, value, known)
	}
	if !known {
		return e.lackOfDevice(r.attribute)
	}
	return e.compare(r, value)
}

// lackOfDevice notes that an attribute is missing, or all of them.
func (e *evaluation) lackOfDevice(attribute string) truth {
	if !e.s.Device.Known {
		return e.lack("device")
	}
	return e.lack("device." + attribute)
}

// attribute is what is known of the device under a name in lower case. A device
// that is not registered has no attributes.
func (s *SignIn) attribute(name string) (value any, known bool) {
	if s.Device.Value == nil {
		return nil, s.Device.Known // not registered
	}
	for have, value := range s.Device.Value {
		if same(have, name) {
			return value, true
		}
	}
	return nil, false
}

// extension compares an extension attribute. It has a value only if the device
// is managed, compliant or hybrid joined; one that is given stands unless the
// device is known to be neither.
func (e *evaluation) extension(r *rule, value any, known bool) truth {
	switch {
	case e.extensions() == no:
		return e.compare(r, nil)
	case !known:
		return e.lackOfDevice(r.attribute)
	}
	return e.compare(r, value)
}

// extensions says whether the device has extension attributes.
func (e *evaluation) extensions() truth {
	return or(e.device("isManaged", "true"), e.device("isCompliant", "true"), e.device("trustType", "ServerAD"))
}

// device asks for the value of an attribute without noting that it is missing.
func (e *evaluation) device(name, wanted string) truth {
	value, known := e.s.attribute(strings.ToLower(name))
	if !known {
		return maybe
	}
	text, isText := attributeText(value)
	return of(isText && sameAttribute(text, wanted))
}

// compare holds a known value against a comparison. Without a value the
// positive operators are false and the negative ones true.
func (e *evaluation) compare(r *rule, value any) truth {
	operator, negative := positive(r.operator)
	out := no
	if value != nil {
		out = e.matches(r, operator, value)
	}
	if negative {
		return not(out)
	}
	return out
}

// positive is the operator without its negation.
func positive(operator string) (string, bool) {
	if operator == "ne" {
		return "eq", true
	}
	return strings.CutPrefix(operator, "not")
}

func (e *evaluation) matches(r *rule, operator string, value any) truth {
	if name := strings.ToLower(r.attribute); name == "physicalids" || name == "systemlabels" {
		return e.element(r, value)
	}
	text, isText := attributeText(value)
	if !isText {
		return e.lack("device." + r.attribute)
	}
	have := strings.ToLower(text)
	return of(slices.ContainsFunc(r.values, func(value string) bool {
		want := strings.ToLower(value)
		switch operator {
		case "startswith":
			return strings.HasPrefix(have, want)
		case "endswith":
			return strings.HasSuffix(have, want)
		case "contains":
			return strings.Contains(have, want)
		}
		return sameAttribute(have, want)
	}))
}

// element looks for a whole element of a list.
func (e *evaluation) element(r *rule, value any) truth {
	items, isList := value.([]any)
	if !isList {
		return e.lack("device." + r.attribute)
	}
	return list{items: textsOf(items)}.has(r.values[0])
}

func textsOf(items []any) []string {
	var out []string
	for _, item := range items {
		if text, isText := item.(string); isText {
			out = append(out, text)
		}
	}
	return out
}

// attributeText is a single value as rules write it.
func attributeText(value any) (string, bool) {
	switch v := value.(type) {
	case string:
		return v, true
	case bool:
		return fmt.Sprint(v), true
	}
	return "", false
}

// sameAttribute compares whole values, whatever their case. An example of
// Microsoft's spells the trust type AzureAD as EntraID.
func sameAttribute(a, b string) bool {
	canonical := func(s string) string {
		if same(s, "EntraID") {
			return "AzureAD"
		}
		return s
	}
	return same(canonical(a), canonical(b))
}
