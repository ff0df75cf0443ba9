package conditional

import (
	"fmt"
	"strings"
)

// rule is a filter for devices, read. A node is either a comparison or joins
// others. Source: "Conditional Access: Filter for devices".
type rule struct {
	join  string // "and", "or", "not"; "": a comparison
	inner []*rule

	attribute string   // less "device."
	operator  string   // lower case
	values    []string // one, or those of a list
}

// parseRule reads a filter. -not binds closest, then -and, then -or.
func parseRule(text string) (*rule, error) {
	tokens, err := lex(text)
	if err != nil {
		return nil, err
	}
	p := &ruleParser{rest: tokens}
	out, err := p.joined("or", func() (*rule, error) { return p.joined("and", p.negated) })
	if err == nil && len(p.rest) > 0 {
		err = p.unexpected("the end, -and or -or")
	}
	if err != nil {
		return nil, fmt.Errorf("reading a filter: %w", err)
	}
	return out, nil
}

type ruleParser struct{ rest []token }

func (p *ruleParser) next() token {
	if len(p.rest) == 0 {
		return token{}
	}
	return p.rest[0]
}

// take consumes a token if it is the one.
func (p *ruleParser) take(kind tokenKind, text string) bool {
	if t := p.next(); t.kind != kind || t.text != text {
		return false
	}
	p.rest = p.rest[1:]
	return true
}

func (p *ruleParser) unexpected(wanted string) error {
	if len(p.rest) == 0 {
		return fmt.Errorf("the rule ends where %s must stand", wanted)
	}
	return fmt.Errorf("%q stands where %s must stand", p.next().text, wanted)
}

// joined reads one or more parts with an operator between.
func (p *ruleParser) joined(operator string, part func() (*rule, error)) (*rule, error) {
	out := &rule{join: operator}
	for {
		inner, err := part()
		if err != nil {
			return nil, err
		}
		out.inner = append(out.inner, inner)
		if !p.take(tokenOption, operator) {
			break
		}
	}
	if len(out.inner) == 1 {
		return out.inner[0], nil
	}
	return out, nil
}

func (p *ruleParser) negated() (*rule, error) {
	if p.take(tokenOption, "not") {
		inner, err := p.negated()
		return &rule{join: "not", inner: []*rule{inner}}, err
	}
	if !p.take(tokenMark, "(") {
		return p.comparison()
	}
	inner, err := p.joined("or", func() (*rule, error) { return p.joined("and", p.negated) })
	if err == nil && !p.take(tokenMark, ")") {
		err = p.unexpected("a closing bracket")
	}
	return inner, err
}

func (p *ruleParser) comparison() (*rule, error) {
	out := &rule{}
	prefix, attribute, _ := strings.Cut(p.next().text, ".")
	if p.next().kind != tokenWord || !same(prefix, "device") || attribute == "" {
		return nil, p.unexpected("an attribute such as device.model")
	}
	out.attribute = attribute
	p.rest = p.rest[1:]
	if p.next().kind != tokenOption {
		return nil, p.unexpected("an operator such as -eq")
	}
	out.operator = p.next().text
	p.rest = p.rest[1:]
	listed := out.operator == "in" || out.operator == "notin"
	if listed != p.take(tokenMark, "[") {
		return nil, p.unexpected("a list after -in and -notIn, and one value after other operators")
	}
	for {
		value, err := p.value()
		if err != nil {
			return nil, err
		}
		out.values = append(out.values, value)
		if !listed {
			return out, nil
		}
		if p.take(tokenMark, "]") {
			return out, nil
		}
		if !p.take(tokenMark, ",") {
			return nil, p.unexpected("a comma or the end of the list")
		}
	}
}

// value is a text in quotes, or True or False without.
func (p *ruleParser) value() (string, error) {
	t := p.next()
	if t.kind == tokenText || t.kind == tokenWord && (same(t.text, "true") || same(t.text, "false")) {
		p.rest = p.rest[1:]
		return t.text, nil
	}
	return "", p.unexpected("a text in quotes, True or False")
}
