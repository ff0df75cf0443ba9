package conditionalaccess

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

type tokenKind uint8

const (
	endToken tokenKind = iota
	wordToken
	textToken // quoted
	markToken // ( ) [ ] ,
)

type filterToken struct {
	kind tokenKind
	text string
	at   int
}

// String shows the token in a message.
func (t filterToken) String() string {
	if t.kind == endToken {
		return "the end"
	}
	return fmt.Sprintf("%q", clip(t.text))
}

func (t filterToken) mark(s string) bool { return t.kind == markToken && t.text == s }

// operator reports whether a word is the operator with that name; the hyphen
// may be left out.
func (t filterToken) operator(name string) bool {
	return t.kind == wordToken && strings.EqualFold(strings.TrimPrefix(t.text, "-"), name)
}

// A filterParser reads a rule: or below and below not below comparison.
type filterParser struct {
	rule  string
	pos   int
	token filterToken
}

// maxFilterDepth bounds brackets and nots inside one another.
const maxFilterDepth = 100

func (p *filterParser) errorf(format string, args ...any) error {
	return fmt.Errorf("at character %d: %s", utf8.RuneCountInString(p.rule[:min(p.token.at, len(p.rule))])+1, fmt.Sprintf(format, args...))
}

// advance reads the next token.
func (p *filterParser) advance() error {
	rest := strings.TrimLeftFunc(p.rule[p.pos:], unicode.IsSpace)
	p.pos = len(p.rule) - len(rest)
	p.token = filterToken{at: p.pos}
	if rest == "" {
		return nil
	}
	switch c := rest[0]; c {
	case '(', ')', '[', ']', ',':
		p.token.kind, p.token.text = markToken, rest[:1]
		p.pos++
		return nil
	case '"', '\'':
		return p.quoted(rest, c)
	}
	end := strings.IndexFunc(rest, func(r rune) bool { return unicode.IsSpace(r) || strings.ContainsRune(`()[],"'`, r) })
	if end < 0 {
		end = len(rest)
	}
	p.token.kind, p.token.text = wordToken, rest[:end]
	p.pos += end
	return nil
}

// quoted reads a string. As in PowerShell a backtick takes the meaning from
// the quote behind it, and so does a backslash, which some tools write.
func (p *filterParser) quoted(rest string, quote byte) error {
	var b strings.Builder
	for i := 1; i < len(rest); i++ {
		c := rest[i]
		if (c == '`' || c == '\\') && i+1 < len(rest) && rest[i+1] == quote {
			if c == '`' || strings.IndexByte(rest[i+2:], quote) >= 0 {
				b.WriteByte(quote)
				i++
				continue
			}
		}
		if c == quote {
			p.token.kind, p.token.text = textToken, b.String()
			p.pos += i + 1
			return nil
		}
		b.WriteByte(c)
	}
	return p.errorf("a string without end")
}

func (p *filterParser) or(depth int) (*expression, error) {
	return p.chain(opOr, "or", depth, p.and)
}

func (p *filterParser) and(depth int) (*expression, error) {
	return p.chain(opAnd, "and", depth, p.not)
}

func (p *filterParser) chain(op filterOperator, name string, depth int, operand func(int) (*expression, error)) (*expression, error) {
	left, err := operand(depth)
	for err == nil && p.token.operator(name) {
		if err = p.advance(); err != nil {
			break
		}
		var right *expression
		if right, err = operand(depth); err == nil {
			left = &expression{op: op, left: left, right: right}
		}
	}
	return left, err
}

func (p *filterParser) not(depth int) (*expression, error) {
	if depth > maxFilterDepth {
		return nil, p.errorf("nested deeper than %d levels", maxFilterDepth)
	}
	switch {
	case p.token.operator("not"):
		if err := p.advance(); err != nil {
			return nil, err
		}
		e, err := p.not(depth + 1)
		return &expression{op: opNot, left: e}, err
	case p.token.mark("("):
		if err := p.advance(); err != nil {
			return nil, err
		}
		e, err := p.or(depth + 1)
		if err != nil {
			return nil, err
		}
		if !p.token.mark(")") {
			return nil, p.errorf("%s where a closing bracket belongs", p.token)
		}
		return e, p.advance()
	}
	return p.comparison()
}

var comparisons = []struct {
	name     string
	op       filterOperator
	negative bool
}{
	{"eq", opEqual, false}, {"ne", opEqual, true},
	{"startsWith", opStartsWith, false}, {"notStartsWith", opStartsWith, true},
	{"endsWith", opEndsWith, false}, {"notEndsWith", opEndsWith, true},
	{"contains", opContains, false}, {"notContains", opContains, true},
	{"in", opIn, false}, {"notIn", opIn, true},
}

func (p *filterParser) comparison() (*expression, error) {
	e := &expression{}
	if err := p.attribute(e); err != nil {
		return nil, err
	}
	for _, c := range comparisons {
		if !p.token.operator(c.name) {
			continue
		}
		e.op = c.op
		if e.name == "" && !e.attribute.takes(c.op) {
			return nil, p.errorf("%s does not take %s", deviceNames[e.attribute], p.token)
		}
		if err := p.advance(); err != nil {
			return nil, err
		}
		if err := p.operand(e); err != nil {
			return nil, err
		}
		if c.negative {
			return &expression{op: opNot, left: e}, nil
		}
		return e, nil
	}
	return nil, p.errorf("%s where an operator such as -eq belongs", p.token)
}

// attribute reads device.trustType or CustomSecurityAttribute.Set_Name.
func (p *filterParser) attribute(e *expression) error {
	owner, name, ok := strings.Cut(p.token.text, ".")
	if p.token.kind != wordToken || !ok || name == "" {
		return p.errorf("%s where an attribute such as device.isCompliant belongs", p.token)
	}
	switch {
	case strings.EqualFold(owner, "device"):
		if e.attribute, ok = deviceAttribute(name); !ok {
			return p.errorf("%q is no attribute of devices", clip(name))
		}
	case strings.EqualFold(owner, "CustomSecurityAttribute"):
		e.name = name
	default:
		return p.errorf("%q has no attributes here", clip(owner))
	}
	return p.advance()
}

// operand reads a value, or for -in a list in square brackets.
func (p *filterParser) operand(e *expression) error {
	if e.op != opIn {
		if p.token.kind == wordToken && (strings.EqualFold(p.token.text, "null") || strings.EqualFold(p.token.text, "$null")) {
			if e.op != opEqual {
				return p.errorf("only -eq and -ne compare with null")
			}
			e.null = true
			return p.advance()
		}
		return p.value(e)
	}
	if !p.token.mark("[") {
		return p.errorf("%s where a list in square brackets belongs", p.token)
	}
	for {
		if err := p.advance(); err != nil {
			return err
		}
		if err := p.value(e); err != nil {
			return err
		}
		if p.token.mark("]") {
			return p.advance()
		}
		if !p.token.mark(",") {
			return p.errorf("%s where a comma belongs", p.token)
		}
	}
}

func (p *filterParser) value(e *expression) error {
	if p.token.kind != textToken && p.token.kind != wordToken {
		return p.errorf("%s where a value belongs", p.token)
	}
	v := p.token.text
	if p.token.kind == wordToken {
		v = strings.TrimPrefix(v, "$") // $true
	}
	if e.name == "" && e.attribute == TrustType {
		v = trustType(v)
	}
	e.values = append(e.values, v)
	return p.advance()
}

// trustType gives the rule language's word for a trust type, which What If and
// the sign-in log call otherwise.
func trustType(s string) string {
	switch strings.ToLower(s) {
	case "entraid", "azure ad joined", "microsoft entra joined":
		return "AzureAD"
	case "hybrid azure ad joined", "microsoft entra hybrid joined":
		return serverAD
	case "azure ad registered", "microsoft entra registered":
		return "Workplace"
	}
	return s
}
