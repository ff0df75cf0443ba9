package graphsim

import (
	"strings"
)

func (p *parser) function(name string) (node, error) {
	p.at++ // the parenthesis
	if i := strings.LastIndexByte(name, '/'); i > 0 {
		switch quantifier := strings.ToLower(name[i+1:]); quantifier {
		case "any", "all":
			return p.lambda(name[:i], quantifier == "all")
		}
	}
	f := strings.ToLower(name)
	if f == "isof" {
		literal, err := p.literal()
		kind, isText := literal.(string)
		if err != nil || !isText {
			return nil, badRequest("$filter: isof needs the name of a type in quotes.")
		}
		return isof{strings.TrimPrefix(strings.ToLower(kind), "microsoft.graph.")}, p.expect(')')
	}
	if f != "startswith" && f != "endswith" && f != "contains" {
		return nil, badRequest("$filter: the function '%s' is not supported here.", clip(name))
	}
	t := p.peek()
	p.at++
	if t.kind != 'w' {
		return nil, badRequest("$filter: %s needs a member's name first.", f)
	}
	route, err := p.path(t.text)
	if err != nil {
		return nil, err
	}
	if err := p.expect(','); err != nil {
		return nil, err
	}
	literal, err := p.literal()
	if err != nil {
		return nil, err
	}
	s, isText := literal.(string)
	if !isText {
		return nil, badRequest("$filter: %s compares with a string in quotes.", f)
	}
	if err := p.expect(')'); err != nil {
		return nil, err
	}
	// startswith(…) eq true says the same.
	wanted := true
	if p.word("eq") {
		literal, err := p.literal()
		truth, isTruth := literal.(bool)
		if err != nil || !isTruth {
			return nil, badRequest("$filter: %s(…) is compared with true or false.", f)
		}
		wanted = truth
	}
	switch {
	case f == "endswith":
		p.filter.advanced = "endswith"
	case f == "contains" && p.types[0].directory:
		return nil, unsupported("$filter: contains is not supported on directory objects.")
	}
	var out node = call{f, route, s}
	if !wanted {
		p.filter.advanced = "the operator not"
		out = not{out}
	}
	return out, p.use(route)
}

func (p *parser) lambda(collection string, all bool) (node, error) {
	route, err := p.path(collection)
	if err != nil {
		return nil, err
	}
	if err := p.use(route); err != nil {
		return nil, err
	}
	if p.symbol(')') {
		if all {
			return nil, badRequest("$filter: all() needs a condition.")
		}
		return lambda{path: route}, nil
	}
	variable := p.peek()
	p.at++
	if variable.kind != 'w' || strings.ContainsAny(variable.text, "/$") {
		return nil, badRequest("$filter: any() needs a variable.")
	}
	if err := p.expect(':'); err != nil {
		return nil, err
	}
	name := strings.ToLower(variable.text)
	if _, taken := p.variables[name]; taken {
		return nil, badRequest("$filter: the variable '%s' is taken.", clip(variable.text))
	}
	p.variables[name] = p.resolved(route)
	defer delete(p.variables, name)
	inner, err := p.or()
	if err != nil {
		return nil, err
	}
	if all {
		p.filter.advanced = "all()"
	}
	return lambda{route, all, name, inner}, p.expect(')')
}
