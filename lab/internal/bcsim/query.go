package bcsim

import (
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// pageSize is how many rows an answer has at most. The real service gives up to
// 20,000; no sensible test has so many.
const pageSize = 20

// known are the options that the lab serves; others are refused, not ignored.
var known = []string{"$select", "$filter", "$orderby", "$top", "$skip", "$skiptoken", "$count"}

// single answers one record.
func (r *request) single(record row, context string) (*answer, error) {
	for name := range r.query {
		if strings.HasPrefix(name, "$") && name != "$select" {
			return nil, syntax("The option %s does not fit a single record.", clip(name))
		}
	}
	out, err := r.choose(record)
	if err != nil {
		return nil, err
	}
	out["@odata.context"] = r.base + "/$metadata#" + context
	return &answer{status: http.StatusOK, body: map[string]any(out)}, nil
}

// choose copies a record with the members that $select names.
func (r *request) choose(record row) (row, error) {
	names := r.query.Get("$select")
	if names == "" || names == "*" {
		return maps.Clone(record), nil
	}
	out := row{}
	for name := range strings.SplitSeq(names, ",") {
		name = strings.TrimSpace(name)
		value, ok := record[name]
		if !ok || name == etagName {
			return nil, syntax("Could not find a property named '%s'.", clip(name))
		}
		out[name] = value
	}
	if tag, ok := record[etagName]; ok {
		out[etagName] = tag
	}
	return out, nil
}

func (r *request) count(name string, standard int) (int, error) {
	value, given := r.query[name]
	if !given {
		return standard, nil
	}
	n, err := strconv.Atoi(value[0])
	if err != nil || n < 0 {
		return 0, syntax("%s is '%s', must be a whole number from 0.", name, clip(value[0]))
	}
	return n, nil
}

// many answers a list: filtered, ordered, cut, in pages.
func (r *request) many(rows []row, context, address string) (*answer, error) {
	for name := range r.query {
		if strings.HasPrefix(name, "$") && !slices.Contains(known, name) {
			return nil, syntax("The option '%s' is not served by the lab.", clip(name))
		}
	}
	rows, err := r.filtered(rows)
	if err != nil {
		return nil, err
	}
	total := len(rows)
	if rows, err = r.ordered(rows); err != nil {
		return nil, err
	}
	top, err := r.count("$top", -1)
	if err != nil {
		return nil, err
	}
	skip, err := r.count("$skip", 0)
	if err != nil {
		return nil, err
	}
	if token := r.query.Get("$skiptoken"); token != "" {
		last := slices.IndexFunc(rows, func(x row) bool { return x.token() == token })
		if last < 0 {
			return nil, syntax("$skiptoken names no row of this list.")
		}
		skip = last + 1 // the link has no $skip any more
	}
	rows = rows[min(skip, len(rows)):]
	if top >= 0 {
		rows = rows[:min(top, len(rows))]
	}
	size := r.pageSize()
	next := ""
	if len(rows) > size {
		rows = rows[:size]
		next = r.next(address, rows[size-1].token(), top-size)
	}
	values := make([]any, len(rows))
	for i, record := range rows {
		chosen, err := r.choose(record)
		if err != nil {
			return nil, err
		}
		values[i] = map[string]any(chosen)
	}
	body := map[string]any{"@odata.context": r.base + "/$metadata#" + context, "value": values}
	if next != "" {
		body["@odata.nextLink"] = next
	}
	switch r.query.Get("$count") {
	case "", "false":
	case "true":
		body["@odata.count"] = total
	default:
		return nil, syntax("$count is true or false.")
	}
	return &answer{status: http.StatusOK, body: body}, nil
}

// token names a row in a link to the page after it.
func (x row) token() string {
	for _, name := range []string{"id", "No", "Id"} {
		if value, ok := x[name]; ok {
			return fmt.Sprintf("'%v'", value)
		}
	}
	return ""
}

// next is the address of the page after this one.
func (r *request) next(address, token string, top int) string {
	query := url.Values{}
	maps.Copy(query, r.query)
	query.Del("$skip")
	query.Set("$skiptoken", token)
	if query.Has("$top") {
		query.Set("$top", strconv.Itoa(top))
	}
	return address + "?" + query.Encode()
}

// pageSize obeys Prefer: odata.maxpagesize where that is less.
func (r *request) pageSize() int {
	size := pageSize
	if r.server.cfg.Random != nil {
		size = 1 + int(r.server.cfg.Random()%pageSize)
	}
	for preference := range strings.SplitSeq(r.http.Header.Get("Prefer"), ",") {
		if value, ok := strings.CutPrefix(strings.ToLower(strings.TrimSpace(preference)), "odata.maxpagesize="); ok {
			if n, err := strconv.Atoi(value); err == nil && n > 0 {
				size = min(size, n)
			}
		}
	}
	return size
}

func (r *request) filtered(rows []row) ([]row, error) {
	source := r.query.Get("$filter")
	if source == "" {
		return rows, nil
	}
	f, err := parseFilter(source)
	if err != nil {
		return nil, err
	}
	var out []row
	for _, record := range rows {
		ok, err := f.holds(record)
		if err != nil {
			return nil, err
		}
		if ok {
			out = append(out, record)
		}
	}
	return out, nil
}

func (r *request) ordered(rows []row) ([]row, error) {
	source := strings.TrimSpace(r.query.Get("$orderby"))
	if source == "" || len(rows) == 0 {
		return rows, nil
	}
	name, way, _ := strings.Cut(source, " ")
	way = strings.ToLower(strings.TrimSpace(way))
	if _, ok := rows[0][name]; !ok || way != "" && way != "asc" && way != "desc" {
		return nil, syntax("$orderby is '%s', must be one member, with asc or desc.", clip(source))
	}
	rows = slices.Clone(rows)
	slices.SortStableFunc(rows, func(a, b row) int {
		order, _ := compare(a[name], b[name])
		if way == "desc" {
			order = -order
		}
		return order
	})
	return rows, nil
}
