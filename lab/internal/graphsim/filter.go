package graphsim

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"gatehouse/lab/internal/directory"
)

// filter is a $filter that has been read: OData 4.01 part 2 (URL conventions),
// as far as Graph's page "Use the $filter query parameter" goes.
type filter struct {
	root node
	// advanced names the operator that needs the directory's advanced queries,
	// "" if there is none.
	advanced string
	paths    []string // every path that is compared, lower case, lambda variables replaced
}

// Bounds of a filter: deeper or longer ones are refused, not read.
const (
	maxDepth    = 24
	maxTerms    = 512
	maxInValues = 15 // "Use the $filter query parameter": the in operator
)

// node is a part of a filter that is true or false of an object.
type node interface {
	eval(*scope) (bool, error)
}

type (
	both       struct{ left, right node } // and
	either     struct{ left, right node } // or
	not        struct{ inner node }
	comparison struct {
		path    path
		op      string // eq ne gt ge lt le
		literal any
	}
	among struct { // in
		path   path
		values []any
	}
	call struct { // startswith, endswith, contains
		name    string
		path    path
		literal string
	}
	lambda struct { // any, all
		path     path
		all      bool
		variable string
		inner    node // nil: any() without condition
	}
	flagged struct { // member has 'flags'
		path  path
		flags []string
	}
	isof    struct{ name string } // isof('microsoft.graph.type')
	counted struct {              // collection/$count
		path path
		op   string
		n    int
	}
)

// path is a/b/c; the first segment may be a lambda's variable.
type path []string

type parser struct {
	tokens    []lexeme
	at        int
	depth     int
	types     []*entity
	version   string
	variables map[string]string // lambda variable → the collection's path
	filter    *filter
}

func parseFilter(source string, types []*entity, version string) (*filter, error) {
	if len(source) > maxFilter {
		return nil, badRequest("$filter is longer than %d characters.", maxFilter)
	}
	tokens, err := lex(source)
	if err != nil {
		return nil, err
	}
	if len(tokens) > 4*maxTerms {
		return nil, badRequest("$filter has too many terms.")
	}
	p := &parser{tokens: tokens, types: types, version: version, variables: map[string]string{}, filter: &filter{}}
	if p.filter.root, err = p.or(); err != nil {
		return nil, err
	}
	if p.at < len(p.tokens) {
		return nil, badRequest("$filter cannot be read from '%s' on.", clip(p.tokens[p.at].text))
	}
	return p.filter, p.checkPaths()
}

// checkPaths refuses paths outside the documented ones of a type that lists
// them (List signIns, "Supported attributes").
func (p *parser) checkPaths() error {
	allowed := p.types[0].filters
	if allowed == nil {
		return nil
	}
	for _, used := range p.filter.paths {
		if !slices.ContainsFunc(allowed, func(a string) bool {
			return strings.EqualFold(a, used) || strings.HasSuffix(a, "/") && strings.HasPrefix(used, strings.ToLower(a))
		}) {
			return badRequest("$filter does not take '%s' on this resource.", clip(used))
		}
	}
	return nil
}

func (p *parser) peek() lexeme {
	if p.at < len(p.tokens) {
		return p.tokens[p.at]
	}
	return lexeme{}
}

// word consumes the next token if it is the keyword.
func (p *parser) word(keyword string) bool {
	if t := p.peek(); t.kind == 'w' && strings.EqualFold(t.text, keyword) {
		p.at++
		return true
	}
	return false
}

func (p *parser) symbol(s byte) bool {
	if p.peek().kind == s {
		p.at++
		return true
	}
	return false
}

func (p *parser) expect(s byte) error {
	if !p.symbol(s) {
		return badRequest("$filter lacks a '%c' before '%s'.", s, clip(p.peek().text))
	}
	return nil
}

func (p *parser) or() (node, error) {
	if p.depth++; p.depth > maxDepth {
		return nil, badRequest("$filter is nested deeper than %d levels.", maxDepth)
	}
	defer func() { p.depth-- }()
	left, err := p.and()
	for err == nil && p.word("or") {
		var right node
		if right, err = p.and(); err == nil {
			left = either{left, right}
		}
	}
	return left, err
}

func (p *parser) and() (node, error) {
	left, err := p.unary()
	for err == nil && p.word("and") {
		var right node
		if right, err = p.unary(); err == nil {
			left = both{left, right}
		}
	}
	return left, err
}

func (p *parser) unary() (node, error) {
	if p.word("not") {
		if p.depth++; p.depth > maxDepth {
			return nil, badRequest("$filter is nested deeper than %d levels.", maxDepth)
		}
		defer func() { p.depth-- }()
		p.filter.advanced = "the operator not"
		inner, err := p.unary()
		return not{inner}, err
	}
	if p.symbol('(') {
		inner, err := p.or()
		if err != nil {
			return nil, err
		}
		return inner, p.expect(')')
	}
	return p.term()
}

func (p *parser) term() (node, error) {
	t := p.peek()
	if t.kind != 'w' {
		return nil, badRequest("$filter needs a member's name where it has '%s'.", clip(t.text))
	}
	p.at++
	if p.peek().kind == '(' {
		return p.function(t.text)
	}
	route, err := p.path(t.text)
	if err != nil {
		return nil, err
	}
	if last := strings.ToLower(route[len(route)-1]); last == "$count" {
		return p.counted(route[:len(route)-1])
	}
	if p.word("in") {
		return p.in(route)
	}
	if p.word("has") {
		literal, err := p.literal()
		names, isText := literal.(string)
		if err != nil || !isText {
			return nil, badRequest("$filter: has is followed by flags in quotes.")
		}
		return flagged{route, directory.Flags(names)}, p.use(route)
	}
	op, err := p.operator()
	if err != nil {
		return nil, err
	}
	literal, err := p.literal()
	if err != nil {
		return nil, err
	}
	if op == "ne" {
		p.filter.advanced = "the operator ne"
	}
	return comparison{route, op, literal}, p.use(route)
}

func (p *parser) operator() (string, error) {
	for _, op := range []string{"eq", "ne", "gt", "ge", "lt", "le"} {
		if p.word(op) {
			return op, nil
		}
	}
	return "", badRequest("$filter: '%s' is no operator that is supported here.", clip(p.peek().text))
}

func (p *parser) counted(route path) (node, error) {
	op, err := p.operator()
	if err != nil {
		return nil, err
	}
	literal, err := p.literal()
	n, number := literal.(float64)
	if err != nil || !number || len(route) == 0 {
		return nil, badRequest("$filter: $count is compared with a number.")
	}
	p.filter.advanced = "$count in $filter"
	return counted{route, op, int(n)}, p.use(route)
}

func (p *parser) in(route path) (node, error) {
	if err := p.expect('('); err != nil {
		return nil, err
	}
	var values []any
	for {
		v, err := p.literal()
		if err != nil {
			return nil, err
		}
		if values = append(values, v); len(values) > maxInValues {
			return nil, unsupported("$filter: in takes %d values at most.", maxInValues)
		}
		if !p.symbol(',') {
			break
		}
	}
	if err := p.expect(')'); err != nil {
		return nil, err
	}
	return among{route, values}, p.use(route)
}

// path checks that a path begins with a member or a variable.
func (p *parser) path(s string) (path, error) {
	parts := path(strings.Split(s, "/"))
	if len(parts) > 1 && strings.HasPrefix(strings.ToLower(parts[0]), "microsoft.graph.") {
		parts = parts[1:] // a cast: objects of other types lack the member
	}
	if len(parts) > 6 || slices.Contains(parts, "") {
		return nil, badRequest("$filter: '%s' is no path.", clip(s))
	}
	if _, variable := p.variables[strings.ToLower(parts[0])]; variable {
		return parts, nil
	}
	for _, e := range p.types {
		if m := e.member(p.version, parts[0]); m != nil {
			if m.unfiltered {
				return nil, unsupported("$filter does not take '%s' here.", clip(parts[0]))
			}
			return parts, nil
		}
	}
	return nil, badRequest("$filter: the type 'microsoft.graph.%s' has no member '%s'.", p.types[0].name, clip(parts[0]))
}

// resolved spells a path in lower case with variables replaced.
func (p *parser) resolved(route path) string {
	s := strings.ToLower(strings.Join(route, "/"))
	first, rest, _ := strings.Cut(s, "/")
	if base, variable := p.variables[first]; variable {
		return strings.TrimSuffix(base+"/"+rest, "/")
	}
	return s
}

func (p *parser) use(route path) error {
	if len(p.filter.paths) >= maxTerms {
		return badRequest("$filter has more than %d conditions.", maxTerms)
	}
	p.filter.paths = append(p.filter.paths, p.resolved(route))
	return nil
}

func (p *parser) literal() (any, error) {
	t := p.peek()
	p.at++
	if inner := p.peek(); t.kind == 'w' && inner.kind == 's' && strings.HasPrefix(strings.ToLower(t.text), "microsoft.graph.") {
		p.at++ // an enumeration's value: microsoft.graph.riskLevel'high'
		return inner.text, nil
	}
	switch {
	case t.kind == 's':
		return t.text, nil
	case t.kind != 'w':
		return nil, badRequest("$filter lacks a value.")
	}
	switch strings.ToLower(t.text) {
	case "null":
		return nil, nil
	case "true":
		return true, nil
	case "false":
		return false, nil
	}
	if isGUID(t.text) {
		return t.text, nil
	}
	if at, err := time.Parse(time.RFC3339Nano, t.text); err == nil {
		return at, nil
	}
	if at, err := time.Parse(time.DateOnly, t.text); err == nil {
		return at, nil
	}
	if n, err := strconv.ParseFloat(t.text, 64); err == nil && strings.ContainsAny(t.text[:1], "-0123456789") {
		return n, nil
	}
	return nil, badRequest("$filter: '%s' is no value; strings stand in single quotes.", clip(t.text))
}

func isGUID(s string) bool {
	if len(s) != 36 {
		return false
	}
	for i := range len(s) {
		switch {
		case i == 8 || i == 13 || i == 18 || i == 23:
			if s[i] != '-' {
				return false
			}
		case !strings.ContainsRune("0123456789abcdefABCDEF", rune(s[i])):
			return false
		}
	}
	return true
}
