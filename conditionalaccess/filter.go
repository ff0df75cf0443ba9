package conditionalaccess

import (
	"fmt"
	"strings"
)

// maxRule is the longest rule that Entra takes, in characters
// (conditional-access-evaluation §2.6).
const maxRule = 3072

type filterOperator uint8

const (
	opAnd filterOperator = iota
	opOr
	opNot
	opEqual
	opStartsWith
	opEndsWith
	opContains
	opIn
)

// An expression is a rule over attributes. Comparisons are kept in their
// positive form below a not: the attribute that is null makes every positive
// operator false and every negative one true (§2.6).
type expression struct {
	op          filterOperator
	left, right *expression
	attribute   DeviceAttribute
	name        string // of a custom security attribute; then attribute counts for nothing
	values      []string
	null        bool // compared with null
}

// deviceNames are the attributes in the rule language.
var deviceNames = [...]string{
	"deviceId", "mdmAppId", "deviceOwnership", "isCompliant", "profileType", "trustType", "physicalIds",
	"systemLabels", "displayName", "enrollmentProfileName", "manufacturer", "model", "operatingSystem",
	"operatingSystemVersion",
}

// deviceAttribute finds an attribute by name.
func deviceAttribute(name string) (DeviceAttribute, bool) {
	for i, have := range deviceNames {
		if strings.EqualFold(have, name) {
			return DeviceAttribute(i), true
		}
	}
	const extension = "extensionAttribute"
	if len(name) > len(extension) && strings.EqualFold(name[:len(extension)], extension) {
		number := 0
		for _, c := range name[len(extension):] {
			if c < '0' || c > '9' || number > 15 {
				return 0, false
			}
			number = number*10 + int(c-'0')
		}
		if 1 <= number && number <= 15 && name[len(extension)] != '0' {
			return ExtensionAttribute1 + DeviceAttribute(number-1), true
		}
	}
	return 0, false
}

// takes reports whether an attribute takes an operator (§2.6, the table).
func (a DeviceAttribute) takes(op filterOperator) bool {
	switch a {
	case DeviceID, MDMAppID:
		return op == opEqual || op == opIn
	case DeviceOwnership, IsCompliant, ProfileType, TrustType:
		return op == opEqual
	case PhysicalIDs, SystemLabels:
		return op == opContains
	}
	return true
}

// A subject is what an expression is evaluated on: a device, or the custom
// security attributes of an application or service principal.
type subject struct {
	device     *Member[Device]
	attributes *Member[map[string][]string]
	missing    members // what is missing if the attributes are
}

// eval gives the value of an expression and, if that is maybe, what is missing.
func (e *expression) eval(s *subject) (tri, members) {
	switch e.op {
	case opNot:
		t, m := e.left.eval(s)
		return t.not(), m
	case opAnd, opOr:
		a, am := e.left.eval(s)
		decisive := no
		if e.op == opOr {
			decisive = yes
		}
		if a == decisive {
			return a, 0
		}
		b, bm := e.right.eval(s)
		switch {
		case b == decisive:
			return b, 0
		case a == maybe || b == maybe:
			return maybe, am | bm
		}
		return a, 0
	}
	if e.name != "" {
		return e.evalCustom(s)
	}
	return e.evalDevice(s.device)
}

func (e *expression) evalDevice(m *Member[Device]) (tri, members) {
	switch m.State {
	case Absent:
		return maybe, mDevice.set()
	case Null:
		return triOf(e.null), 0
	}
	d := &m.Value
	switch d.state(e.attribute) {
	case Absent:
		return maybe, attributeMember(e.attribute)
	case Null:
		return triOf(e.null), 0
	}
	if e.null {
		return no, 0
	}
	if e.attribute == PhysicalIDs || e.attribute == SystemLabels {
		for _, element := range d.lists[e.attribute-PhysicalIDs].Value {
			if strings.EqualFold(element, e.values[0]) {
				return yes, 0
			}
		}
		return no, 0
	}
	return triOf(e.compare(d.attributes[e.attribute].Value)), 0
}

// state says whether an attribute is known. Extension attributes of a device
// that is neither managed nor compliant nor hybrid joined are not available
// (§2.6).
func (d *Device) state(a DeviceAttribute) State {
	if a >= ExtensionAttribute1 && a <= ExtensionAttribute15 && d.plain() {
		return Null
	}
	return d.attributes[a].State
}

// plain reports whether a device is certainly neither managed nor compliant nor
// hybrid joined.
func (d *Device) plain() bool {
	compliant, trust := &d.attributes[IsCompliant], &d.attributes[TrustType]
	known := compliant.State != Absent && d.IsManaged.State != Absent && trust.State != Absent
	return known && !strings.EqualFold(compliant.Value, "True") && !d.IsManaged.Value && !strings.EqualFold(trust.Value, serverAD)
}

// extended reports whether an extension attribute has a value: then the device
// is managed, compliant or hybrid joined, if it is not known to be neither.
func (d *Device) extended() bool {
	for a := ExtensionAttribute1; a <= ExtensionAttribute15; a++ {
		if d.attributes[a].given() {
			return true
		}
	}
	return false
}

// serverAD is the trust type of hybrid joined devices.
const serverAD = "ServerAD"

func (e *expression) evalCustom(s *subject) (tri, members) {
	if s.attributes.State != Given {
		return maybe, s.missing
	}
	for name, values := range s.attributes.Value {
		if !strings.EqualFold(name, e.name) {
			continue
		}
		for _, v := range values {
			if !e.null && e.compare(v) {
				return yes, 0
			}
		}
		return triOf(e.null && len(values) == 0), 0
	}
	return triOf(e.null), 0
}

func (e *expression) compare(have string) bool {
	for _, want := range e.values {
		match := false
		switch e.op {
		case opStartsWith:
			match = len(have) >= len(want) && strings.EqualFold(have[:len(want)], want)
		case opEndsWith:
			match = len(have) >= len(want) && strings.EqualFold(have[len(have)-len(want):], want)
		case opContains:
			match = containsText(have, want)
		default:
			match = strings.EqualFold(have, want)
		}
		if match {
			return true
		}
	}
	return false
}

// containsText reports whether s contains part, whatever the case.
func containsText(s, part string) bool {
	for i := 0; i+len(part) <= len(s); i++ {
		if strings.EqualFold(s[i:i+len(part)], part) {
			return true
		}
	}
	return false
}

// parseFilter reads a rule.
func parseFilter(rule string) (*expression, error) {
	if len([]rune(rule)) > maxRule {
		return nil, fmt.Errorf("the rule is longer than %d characters", maxRule)
	}
	p := &filterParser{rule: rule}
	if err := p.advance(); err != nil {
		return nil, err
	}
	e, err := p.or(0)
	if err != nil {
		return nil, err
	}
	if p.token.kind != endToken {
		return nil, p.errorf("%s where the rule should end", p.token)
	}
	return e, nil
}
