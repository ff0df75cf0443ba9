package graphsim

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// options are OData's query options ("Use query parameters", the page
// on $select, $filter and the others).
type options struct {
	selected  []string
	filter    string
	order     []order
	expand    []string
	search    string
	skiptoken string
	// deltatoken is for …/delta only.
	deltatoken string
	top        int
	given      []string // names of the options that were there, without $
}

type order struct {
	name       string
	descending bool
}

const (
	maxQuery  = 16 << 10 // longest query string
	maxFilter = 8 << 10  // longest $filter
)

var optionNames = []string{"select", "filter", "top", "orderby", "expand", "count", "search", "skiptoken", "deltatoken", "skip", "format"}

func (o options) has(name string) bool { return slices.Contains(o.given, name) }

// parseOptions reads the query. The $ of an option may be missing; parameters
// that are none of OData's are ignored.
func parseOptions(raw string) (options, error) {
	var o options
	if len(raw) > maxQuery {
		return o, badRequest("The query is longer than %d characters.", maxQuery)
	}
	values, err := url.ParseQuery(raw)
	if err != nil {
		return o, badRequest("The query's escapes cannot be read.")
	}
	for key, list := range values {
		name := strings.ToLower(strings.TrimSpace(key))
		dollar := strings.HasPrefix(name, "$")
		name = strings.TrimPrefix(name, "$")
		if !slices.Contains(optionNames, name) {
			if dollar {
				return o, badRequest("'%s' is no query option.", clip(key))
			}
			continue
		}
		if len(list) != 1 || o.has(name) {
			return o, badRequest("The query option '$%s' is given more than once.", name)
		}
		o.given = append(o.given, name)
		if err := o.set(name, strings.TrimSpace(list[0])); err != nil {
			return o, err
		}
	}
	return o, nil
}

func (o *options) set(name, value string) error {
	switch name {
	case "select":
		o.selected = split(value)
		if len(o.selected) == 0 {
			return badRequest("$select names nothing.")
		}
		if slices.Contains(o.selected, "*") {
			o.selected = nil
		}
	case "expand":
		o.expand = split(value)
	case "filter":
		o.filter = value
		if value == "" || len(value) > maxFilter {
			return badRequest("$filter is empty or longer than %d characters.", maxFilter)
		}
	case "top":
		n, err := strconv.Atoi(value)
		if err != nil || n < 1 {
			return badRequest("$top is '%s'; it must be a whole number above 0.", clip(value))
		}
		o.top = n
	case "count":
		if !strings.EqualFold(value, "true") {
			o.given = slices.DeleteFunc(o.given, func(s string) bool { return s == "count" })
			if !strings.EqualFold(value, "false") {
				return badRequest("$count must be true or false.")
			}
		}
	case "search":
		o.search = value
	case "skiptoken":
		o.skiptoken = value
	case "deltatoken":
		o.deltatoken = value
	case "orderby":
		for _, part := range split(value) {
			words := strings.Fields(part)
			if len(words) > 2 || len(words) == 2 && !strings.EqualFold(words[1], "asc") && !strings.EqualFold(words[1], "desc") {
				return badRequest("$orderby cannot be read at '%s'.", clip(part))
			}
			o.order = append(o.order, order{words[0], len(words) == 2 && strings.EqualFold(words[1], "desc")})
		}
		if len(o.order) == 0 || len(o.order) > 8 {
			return badRequest("$orderby must name one to eight members.")
		}
	}
	return nil
}

// split takes a comma-separated list apart; commas in parentheses stay.
func split(value string) []string {
	var out []string
	depth, start := 0, 0
	for i := 0; i <= len(value); i++ {
		switch {
		case i == len(value) || value[i] == ',' && depth == 0:
			if part := strings.TrimSpace(value[start:i]); part != "" {
				out = append(out, part)
			}
			start = i + 1
		case value[i] == '(':
			depth++
		case value[i] == ')':
			depth--
		}
	}
	return out
}

// checkSelected refuses names that none of the types has.
func (r *request) checkSelected(types ...*entity) error {
	for _, name := range r.options.selected {
		if !slices.ContainsFunc(types, func(e *entity) bool { return e.member(r.version, name) != nil }) {
			return badRequest("$select: the type 'microsoft.graph.%s' has no member '%s'.", types[0].name, clip(name))
		}
	}
	return nil
}

// advanced reports whether the request asks for the directory's advanced query
// capabilities.
func (r *request) advanced() bool {
	return strings.EqualFold(r.header.Get("ConsistencyLevel"), "eventual")
}

// checkAdvanced holds a query on directory objects against the table of the
// page "Advanced query capabilities on Microsoft Entra ID objects".
func (r *request) checkAdvanced(f *filter) error {
	need := ""
	switch {
	case r.options.has("count"):
		need = "$count"
	case r.options.has("search"):
		need = "$search"
	case f != nil && f.advanced != "":
		need = f.advanced
	case f != nil && len(r.options.order) > 0:
		need = "$orderby with $filter"
	}
	switch {
	case need == "":
		return nil
	case !r.advanced():
		return unsupported("%s needs the header ConsistencyLevel: eventual on this kind of object.", need)
	case need != "$search" && !r.options.has("count"):
		return unsupported("%s needs $count=true beside the header ConsistencyLevel: eventual.", need)
	}
	return nil
}

// single renders one object with $select and nothing else.
func (r *request) single(set string, it item) (*answer, error) {
	if r.counting {
		return nil, badRequest("/$count counts the objects of a collection; this is a single one.")
	}
	if len(r.replicated([]item{it})) == 0 {
		return nil, notFound(r.idOf(it))
	}
	for _, name := range r.options.given {
		if name != "select" && name != "expand" && name != "format" {
			return nil, badRequest("'$%s' makes no sense on a single object.", name)
		}
	}
	if err := r.checkSelected(it.typ); err != nil {
		return nil, err
	}
	body := r.render(it, r.options.selected)
	if err := r.expand(it, body); err != nil {
		return nil, err
	}
	if it.typ.typed {
		body["@odata.type"] = "#microsoft.graph." + it.typ.name
	}
	body["@odata.context"] = r.context(set) + "/$entity"
	return &answer{status: http.StatusOK, body: body}, nil
}

// created is a single object that has just been made.
func (r *request) created(set string, it item) (*answer, error) {
	a, err := r.single(set, it)
	if err == nil {
		a.status = http.StatusCreated
	}
	return a, err
}

func (r *request) context(set string) string {
	if len(r.options.selected) > 0 {
		set += "(" + strings.Join(r.options.selected, ",") + ")"
	}
	return r.root + "/" + r.version + "/$metadata#" + set
}
