package graphsim

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// listing says how a collection is read.
type listing struct {
	set   string    // for @odata.context
	types []*entity // what may be in it
	mixed bool      // items name their type
	// page and most are the documented default and largest page; most 0: the
	// collection comes whole and $top does not cut it.
	page, most int
	bare       bool // takes no query options ("no query options", authentication methods)
}

// directoryPages is the page size of directory objects (List users: default
// 100, largest 999).
func directoryPages(set string, types ...*entity) listing {
	return listing{set: set, types: types, page: 100, most: 999, mixed: len(types) > 1}
}

// list answers with a page of a collection.
func (r *request) list(l listing, all []item) (*answer, error) {
	all = r.replicated(all)
	if r.counting {
		return r.count(l, all)
	}
	if l.bare {
		for _, name := range r.options.given {
			if name == "filter" || name == "search" || name == "orderby" || name == "expand" {
				return nil, badRequest("This collection does not take '$%s'.", name)
			}
		}
	}
	if r.options.has("skip") {
		return nil, unsupported("$skip is not supported here; follow the next link.")
	}
	if err := r.checkSelected(l.types...); err != nil {
		return nil, err
	}
	chosen, err := r.choose(l, all)
	if err != nil {
		return nil, err
	}
	total := len(chosen)
	page, next, err := r.cut(l, chosen)
	if err != nil {
		return nil, err
	}
	value := make([]any, len(page))
	for i, it := range page {
		one := r.render(it, r.options.selected)
		if err := r.expand(it, one); err != nil {
			return nil, err
		}
		if l.mixed || it.typ.typed {
			one["@odata.type"] = "#microsoft.graph." + it.typ.name
		}
		value[i] = one
	}
	body := map[string]any{"@odata.context": r.context(l.set), "value": value}
	if r.options.has("count") {
		body["@odata.count"] = total
	}
	if next != "" {
		body["@odata.nextLink"] = next
	}
	return &answer{status: http.StatusOK, body: body}, nil
}

// choose filters, searches and orders.
func (r *request) choose(l listing, all []item) ([]item, error) {
	var f *filter
	if r.options.filter != "" {
		var err error
		if f, err = parseFilter(r.options.filter, l.types, r.version); err != nil {
			return nil, err
		}
	}
	if l.types[0].directory {
		if err := r.checkAdvanced(f); err != nil {
			return nil, err
		}
	} else if r.options.has("search") {
		return nil, unsupported("$search is not supported on this kind of object.")
	}
	chosen := all
	if f != nil {
		chosen = nil
		for _, it := range all {
			match, err := f.matches(r, it)
			if err != nil {
				return nil, err
			}
			if match {
				chosen = append(chosen, it)
			}
		}
	}
	if r.options.search != "" {
		words, err := parseSearch(r.options.search)
		if err != nil {
			return nil, err
		}
		chosen = slices.DeleteFunc(slices.Clone(chosen), func(it item) bool { return !words.match(r, it) })
	}
	return r.sorted(l, chosen)
}

func (r *request) sorted(l listing, chosen []item) ([]item, error) {
	for _, o := range r.options.order {
		if !slices.ContainsFunc(l.types, func(e *entity) bool { m := e.member(r.version, o.name); return m != nil && !m.unfiltered }) {
			return nil, unsupported("$orderby does not take '%s' here.", clip(o.name))
		}
	}
	if len(r.options.order) == 0 {
		return chosen, nil
	}
	chosen = slices.Clone(chosen)
	bad := ""
	slices.SortStableFunc(chosen, func(a, b item) int {
		for _, o := range r.options.order {
			var x, y any
			if m := a.typ.member(r.version, o.name); m != nil {
				x = r.value(a, m)
			}
			if m := b.typ.member(r.version, o.name); m != nil {
				y = r.value(b, m)
			}
			c, comparable := compare(x, y)
			if !comparable {
				bad = o.name
			}
			if o.descending {
				c = -c
			}
			if c != 0 {
				return c
			}
		}
		return 0
	})
	if bad != "" {
		return nil, unsupported("$orderby does not take '%s': it has no order.", clip(bad))
	}
	return chosen, nil
}

// compare orders two values of a member; null comes first.
func compare(a, b any) (int, bool) {
	if a == nil || b == nil {
		switch {
		case a == nil && b == nil:
			return 0, true
		case a == nil:
			return -1, true
		}
		return 1, true
	}
	switch x := a.(type) {
	case string:
		y, same := b.(string)
		return strings.Compare(strings.ToLower(x), strings.ToLower(y)), same
	case time.Time:
		y, same := b.(time.Time)
		return x.Compare(y), same
	case bool:
		y, same := b.(bool)
		switch {
		case x == y:
			return 0, same
		case !x:
			return -1, same
		}
		return 1, same
	case int:
		y, same := b.(int)
		return x - y, same
	}
	return 0, false
}

// cut gives the page that the request asks for and the link to the next.
func (r *request) cut(l listing, chosen []item) ([]item, string, error) {
	if l.most == 0 && r.server.cfg.PageSize == 0 {
		return chosen, "", nil
	}
	size, most := l.page, l.most
	if most == 0 {
		size, most = len(chosen), len(chosen)
	}
	if r.options.top > 0 && l.most > 0 {
		if r.options.top > most && l.types[0].directory {
			return nil, "", unsupported("$top is %d; here it must be from 1 to %d.", r.options.top, most)
		}
		size = min(r.options.top, most)
	}
	if small := r.server.cfg.PageSize; small > 0 {
		size = min(size, small)
	}
	if r.server.cfg.Random != nil && size > 1 {
		size -= int(r.server.cfg.Random() % uint64(size/2+1))
	}
	start := 0
	if r.options.skiptoken != "" {
		last, position, ok := r.open(r.options.skiptoken)
		if !ok {
			return nil, "", badRequest("The paging token does not belong to this query.")
		}
		// The object the last page ended with marks the place; if it is gone by
		// now, its old position does.
		start = min(position, len(chosen))
		if i := slices.IndexFunc(chosen, func(it item) bool { return r.idOf(it) == last }); i >= 0 {
			start = i + 1
		}
	}
	end := min(start+max(size, 1), len(chosen))
	if end == len(chosen) {
		return chosen[start:], "", nil
	}
	return chosen[start:end], r.nextLink(r.idOf(chosen[end-1]), end), nil
}

// nextLink repeats the query and adds the place to go on from.
func (r *request) nextLink(last string, position int) string {
	query := url.Values{}
	o := r.options
	for _, name := range o.given {
		switch name {
		case "select":
			query.Set("$select", strings.Join(o.selected, ","))
			if len(o.selected) == 0 {
				query.Set("$select", "*")
			}
		case "filter":
			query.Set("$filter", o.filter)
		case "top":
			query.Set("$top", strconv.Itoa(o.top))
		case "count":
			query.Set("$count", "true")
		case "search":
			query.Set("$search", o.search)
		case "expand":
			query.Set("$expand", strings.Join(o.expand, ","))
		case "orderby":
			query.Set("$orderby", orderText(o.order))
		}
	}
	query.Set("$skiptoken", r.seal(last, position))
	path := make([]string, len(r.segments))
	for i, s := range r.segments {
		path[i] = url.PathEscape(s)
	}
	return r.root + "/" + r.version + "/" + strings.Join(path, "/") + "?" + strings.ReplaceAll(query.Encode(), "%24", "$")
}

func orderText(list []order) string {
	parts := make([]string, len(list))
	for i, o := range list {
		parts[i] = o.name
		if o.descending {
			parts[i] += " desc"
		}
	}
	return strings.Join(parts, ",")
}

// seal makes the paging token: a stream cipher and a MAC out of one keyed hash,
// so that nobody is tempted to read or build one.
func (r *request) seal(last string, position int) string {
	plain := binary.BigEndian.AppendUint32(nil, uint32(position))
	plain = append(plain, last...)
	salt := make([]byte, 8)
	if random := r.server.cfg.Random; random != nil {
		binary.BigEndian.PutUint64(salt, random())
	}
	tag := r.mac("tag", salt, plain)[:12]
	return base64.RawURLEncoding.EncodeToString(slices.Concat(salt, tag, r.stream(tag, plain)))
}

func (r *request) open(sealed string) (last string, position int, ok bool) {
	raw, err := base64.RawURLEncoding.DecodeString(sealed)
	if err != nil || len(raw) < 24 || len(raw) > 4096 {
		return "", 0, false
	}
	salt, tag, body := raw[:8], raw[8:20], raw[20:]
	plain := r.stream(tag, body)
	if !hmac.Equal(tag, r.mac("tag", salt, plain)[:12]) {
		return "", 0, false
	}
	return string(plain[4:]), int(binary.BigEndian.Uint32(plain)), true
}

func (r *request) stream(tag, in []byte) []byte {
	out := make([]byte, len(in))
	var block []byte
	for i := range in {
		if i%sha256.Size == 0 {
			block = r.mac("stream", tag, binary.BigEndian.AppendUint32(nil, uint32(i)))
		}
		out[i] = in[i] ^ block[i%sha256.Size]
	}
	return out
}

// mac binds to tenant, path, filter and order: a token serves no other query.
func (r *request) mac(purpose string, parts ...[]byte) []byte {
	m := hmac.New(sha256.New, r.server.key)
	fmt.Fprintf(m, "%s\x00%s\x00%s\x00%s\x00%s\x00%s\x00", purpose, r.claims.TenantID, strings.ToLower(strings.Join(r.segments, "/")), r.options.filter, orderText(r.options.order), r.options.search)
	for _, p := range parts {
		m.Write(p)
	}
	return m.Sum(nil)
}

// count answers …/$count: the number as text.
func (r *request) count(l listing, all []item) (*answer, error) {
	if l.types[0].directory && !r.advanced() {
		return nil, unsupported("/$count needs the header ConsistencyLevel: eventual on this kind of object.")
	}
	r.options.given = append(r.options.given, "count")
	chosen, err := r.choose(l, all)
	if err != nil {
		return nil, err
	}
	return &answer{status: http.StatusOK, text: strconv.Itoa(len(chosen))}, nil
}
