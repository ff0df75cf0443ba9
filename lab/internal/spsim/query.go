package spsim

import (
	"cmp"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// Sizes of pages of list items.
const (
	itemsPage = 100
	maxItems  = 5000
)

// options are the OData options of a query that the lab reads. Others are
// refused: what is ignored silently looks as if it worked.
type options struct {
	choose  []string // $select; nil: all
	filter  []condition
	order   string
	down    bool
	top     int // -1: not given
	skip    int
	afterID int // of $skiptoken
}

// condition is one comparison of a $filter; all must hold.
type condition struct {
	member, op string
	value      any
}

func (r *request) options() (options, error) {
	o := options{top: -1}
	for name, values := range r.query {
		if !strings.HasPrefix(name, "$") {
			continue // aliases and what other parts of SharePoint read
		}
		value := values[0]
		var err error
		switch name {
		case "$select":
			for part := range strings.SplitSeq(value, ",") {
				if part = strings.TrimSpace(part); part != "" && part != "*" {
					o.choose = append(o.choose, part)
				}
			}
		case "$top":
			o.top, err = number0(name, value)
		case "$skip":
			o.skip, err = number0(name, value)
		case "$skiptoken":
			o.afterID, err = pageToken(value)
		case "$filter":
			o.filter, err = parseFilter(value)
		case "$orderby":
			member, way, _ := strings.Cut(strings.TrimSpace(value), " ")
			o.order, o.down = member, strings.EqualFold(strings.TrimSpace(way), "desc")
			if member == "" || strings.Contains(value, ",") {
				err = badQuery("$orderby takes one member here.")
			}
		default:
			err = badQuery("The query option '%s' is not served by the lab.", clip(name))
		}
		if err != nil {
			return o, err
		}
	}
	return o, nil
}

func number0(name, value string) (int, error) {
	n, err := strconv.Atoi(value)
	if err != nil || n < 0 {
		return 0, badQuery("%s is '%s', must be a whole number from 0.", name, clip(value))
	}
	return n, nil
}

// pageToken reads a token as nextLink carries it: Paged=TRUE&p_ID=100.
func pageToken(value string) (int, error) {
	members, err := url.ParseQuery(value)
	if err == nil && members.Get("Paged") == "TRUE" {
		if id, err := strconv.Atoi(members.Get("p_ID")); err == nil && id >= 0 {
			return id, nil
		}
	}
	return 0, badQuery("$skiptoken is no token that this server gave.")
}

// parseFilter reads comparisons joined by and: Status eq 'Open' and Amount gt 10.
func parseFilter(source string) ([]condition, error) {
	var out []condition
	words, err := lex(source)
	if err != nil {
		return nil, err
	}
	for i := 0; i < len(words); i += 4 {
		if i+3 > len(words) || len(out) == 32 || i+3 < len(words) && !strings.EqualFold(words[i+3], "and") || i+4 == len(words) {
			return nil, badQuery("$filter is not of the form that the lab reads: member, operator, value, joined by 'and'.")
		}
		c := condition{member: words[i], op: strings.ToLower(words[i+1])}
		if !slices.Contains([]string{"eq", "ne", "gt", "ge", "lt", "le"}, c.op) {
			return nil, badQuery("$filter: '%s' is no operator that the lab reads.", clip(words[i+1]))
		}
		switch text := words[i+2]; {
		case strings.HasPrefix(text, "'"):
			c.value = strings.ReplaceAll(text[1:len(text)-1], "''", "'")
		case text == "true" || text == "false":
			c.value = text == "true"
		case text == "null":
		default:
			n, err := strconv.ParseFloat(text, 64)
			if err != nil {
				return nil, badQuery("$filter: '%s' is no value.", clip(text))
			}
			c.value = n
		}
		out = append(out, c)
	}
	return out, nil
}

// lex cuts at blanks outside quotes; datetime'…' and guid'…' are strings.
func lex(source string) ([]string, error) {
	var words []string
	for rest := strings.TrimSpace(source); rest != ""; rest = strings.TrimLeft(rest, " ") {
		for _, kind := range []string{"datetime'", "guid'"} {
			if strings.HasPrefix(strings.ToLower(rest), kind) {
				rest = rest[len(kind)-1:]
			}
		}
		if rest[0] != '\'' {
			end := strings.IndexByte(rest+" ", ' ')
			words, rest = append(words, rest[:end]), rest[end:]
			continue
		}
		end := 1
		for end < len(rest) && (rest[end] != '\'' || end+1 < len(rest) && rest[end+1] == '\'') {
			if rest[end] == '\'' {
				end++
			}
			end++
		}
		if end >= len(rest) {
			return nil, badQuery("$filter has a quote that does not close.")
		}
		words, rest = append(words, rest[:end+1]), rest[end+1:]
	}
	return words, nil
}

// value finds a member of an object as $select, $filter and $orderby name it.
func (e *entity) value(name string) (any, error) {
	for _, fields := range []map[string]any{e.fields, e.unasked} {
		if v, ok := fields[name]; ok {
			return v, nil
		}
	}
	return nil, badQuery("The query to field '%s' is not valid. The field or property does not exist.", clip(name))
}

// compare orders two values of a kind; false if they are of different kinds.
func compare(a, b any) (int, bool) {
	if n, ok := a.(int); ok {
		a = float64(n)
	}
	if n, ok := b.(int); ok {
		b = float64(n)
	}
	switch a := a.(type) {
	case float64:
		if b, ok := b.(float64); ok {
			return cmp.Compare(a, b), true
		}
	case string:
		if b, ok := b.(string); ok {
			return cmp.Compare(strings.ToLower(a), strings.ToLower(b)), true
		}
	case bool:
		if b, ok := b.(bool); ok {
			return cmp.Compare(strconv.FormatBool(a), strconv.FormatBool(b)), true
		}
	case nil:
		return 0, b == nil
	}
	return 0, false
}

func (c condition) holds(e *entity) (bool, error) {
	v, err := e.value(c.member)
	if err != nil {
		return false, err
	}
	order, alike := compare(v, c.value)
	switch {
	case c.op == "ne":
		return !alike || order != 0, nil
	case !alike:
		return false, nil
	case c.op == "eq":
		return order == 0, nil
	case c.op == "gt":
		return order > 0, nil
	case c.op == "ge":
		return order >= 0, nil
	case c.op == "lt":
		return order < 0, nil
	}
	return order <= 0, nil
}

// page applies the options to a collection: filter, order, cut. next is the
// address of the next page, "" at the end.
func (r *request) page(c *collection, o options) (rows []*entity, next string, err error) {
	for _, e := range c.all {
		keep := true
		for _, condition := range o.filter {
			ok, err := condition.holds(e)
			if err != nil {
				return nil, "", err
			}
			keep = keep && ok
		}
		if keep {
			rows = append(rows, e)
		}
	}
	if o.order != "" && len(rows) > 0 {
		if _, err := rows[0].value(o.order); err != nil {
			return nil, "", err
		}
		if c.paged && (!strings.EqualFold(o.order, "id") || o.down) {
			return nil, "", badQuery("The lab pages list items by id; it orders them by nothing else.")
		}
		slices.SortStableFunc(rows, func(a, b *entity) int {
			x, _ := a.value(o.order)
			y, _ := b.value(o.order)
			order, _ := compare(x, y)
			if o.down {
				order = -order
			}
			return order
		})
	}
	if !c.paged {
		rows = rows[min(o.skip, len(rows)):]
		if o.top >= 0 {
			rows = rows[:min(o.top, len(rows))]
		}
		return rows, "", nil
	}
	// $skip has no effect on list items (SharePoint's own page on OData
	// operations says so): pages go by id.
	rows = slices.DeleteFunc(rows, func(e *entity) bool { return e.fields["Id"].(int) <= o.afterID })
	size := itemsPage
	if o.top >= 0 {
		size = min(o.top, maxItems)
	}
	if size > 1 && r.server.cfg.Random.Chance(4) {
		size = 1 + int(r.server.cfg.Random()%uint64(size))
	}
	if size >= len(rows) || size == 0 {
		return rows[:min(size, len(rows))], "", nil
	}
	rows = rows[:size]
	query := url.Values{}
	for name, values := range r.query {
		query[name] = values
	}
	query.Set("$skiptoken", fmt.Sprintf("Paged=TRUE&p_ID=%d", rows[size-1].fields["Id"]))
	return rows, r.url("_api/"+c.uri) + "?" + query.Encode(), nil
}
