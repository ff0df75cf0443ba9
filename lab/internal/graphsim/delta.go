package graphsim

import (
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"gatehouse/lab/internal/directory"
)

// tracked is a collection that delta queries follow ("Use delta query to track
// changes in Microsoft Graph data").
type tracked struct {
	set  string
	typ  *entity
	all  func(*request) []item
	page int
	// reason of a removal: "changed" can be undone, "deleted" cannot.
	reason string
	// members gives the ids of an object's members, for members@delta.
	members func(*request, any) []string
}

var (
	trackedUsers = &tracked{set: "users", typ: userType, page: 100, reason: "changed",
		all: func(r *request) []item { return items(userType, r.tenant.Users) }}
	trackedGroups = &tracked{set: "groups", typ: groupType, page: 100, reason: "changed",
		all:     func(r *request) []item { return items(groupType, r.tenant.Groups) },
		members: func(_ *request, v any) []string { return v.(*directory.Group).Members }}
	trackedPrincipals = &tracked{set: "servicePrincipals", typ: servicePrincipalType, page: 100, reason: "changed",
		all: func(r *request) []item { return items(servicePrincipalType, r.tenant.Principals) }}
	trackedApps = &tracked{set: "applications", typ: applicationType, page: 100, reason: "changed",
		all: func(r *request) []item { return items(applicationType, r.tenant.Apps) }}
	trackedRoles = &tracked{set: "directoryRoles", typ: directoryRoleType, page: 100, reason: "deleted",
		all: func(r *request) []item { return items(directoryRoleType, r.activeRoles()) },
		members: func(r *request, v any) []string {
			var out []string
			for _, a := range r.assignments() {
				if a.role.ID == v.(directory.Role).ID {
					out = append(out, a.id)
				}
			}
			return out
		}}
	trackedGrants = &tracked{set: "oauth2PermissionGrants", typ: grantType, page: 100, reason: "deleted",
		all: func(r *request) []item { return items(grantType, r.tenant.Grants) }}
)

// deltaLife is how long a delta link works ("token duration": seven days for
// directory objects).
const deltaLife = 7 * 24 * time.Hour

// deltaState is what a skip or delta token carries.
type deltaState struct {
	From     uint64   `json:"f"`           // journal position up to which the caller knows everything
	Until    uint64   `json:"u"`           // position at which this round began
	Full     bool     `json:"a,omitempty"` // the first round: everything
	Offset   int      `json:"o,omitempty"`
	Last     string   `json:"l,omitempty"` // id with which the last page ended
	Selected []string `json:"s,omitempty"`
	Filter   string   `json:"q,omitempty"`
	Made     int64    `json:"t"`
}

func resync(r *request, set string) error {
	f := refuse(http.StatusGone, "resyncRequired", "The token is unknown or has expired; begin again without it.")
	f.header = http.Header{"Location": {r.root + "/" + r.version + "/" + set + "/delta?$deltatoken="}}
	return f
}

// delta is a handler for …/delta.
func delta(t *tracked) func(*request) (*answer, error) {
	return func(r *request) (*answer, error) {
		state, err := t.state(r)
		if err != nil {
			return nil, err
		}
		entries, err := t.entries(r, state)
		if err != nil {
			return nil, err
		}
		return t.answer(r, state, entries)
	}
}

// state reads the token, or begins.
func (t *tracked) state(r *request) (*deltaState, error) {
	o := &r.options
	for _, name := range o.given {
		if !slices.Contains([]string{"select", "filter", "skiptoken", "deltatoken", "top", "expand"}, name) {
			return nil, badRequest("A delta query does not take '$%s'.", name)
		}
	}
	if err := r.checkSelected(t.typ, &entity{byName: map[string]*member{"members": {name: "members"}}}); err != nil {
		return nil, err
	}
	token := text2(o.skiptoken, o.deltatoken)
	given := o.has("skiptoken") || o.has("deltatoken") && token != ""
	position := r.tenant.Position()
	state := &deltaState{Until: position, Full: true, Selected: o.selected, Filter: o.filter, Made: r.now.Unix()}
	o.filter, o.selected = "", nil
	switch {
	case strings.EqualFold(token, "latest"):
		state.From, state.Full = position, false
	case given:
		sealed, _, ok := r.open(token)
		kept := &deltaState{}
		if !ok || json.Unmarshal([]byte(sealed), kept) != nil || r.now.Sub(time.Unix(kept.Made, 0)) > deltaLife {
			return nil, resync(r, t.set)
		}
		if o.deltatoken != "" {
			kept.Until, kept.Made = position, r.now.Unix()
		}
		state = kept
	}
	const most = 2500
	if len(state.Filter)+len(strings.Join(state.Selected, ",")) > most {
		return nil, badRequest("$select and $filter of a delta query may have %d characters together.", most)
	}
	o.selected = state.Selected
	return state, nil
}

// entry is one object of an answer: still there or gone.
type entry struct {
	id   string
	it   *item
	gone bool
	// joined and left are members that changed; nil joined in a first round
	// stands for all.
	joined, left []string
}

// entries gives what the round has to report, in a stable order.
func (t *tracked) entries(r *request, state *deltaState) ([]entry, error) {
	var f *filter
	if state.Filter != "" {
		var err error
		if f, err = parseFilter(state.Filter, []*entity{t.typ}, r.version); err != nil {
			return nil, err
		}
		// Only ids can be asked for ("Use delta query", directory objects).
		if slices.ContainsFunc(f.paths, func(p string) bool { return p != "id" }) {
			return nil, badRequest("$filter of a delta query compares the id only.")
		}
	}
	var out []entry
	add := func(e entry) error {
		if f != nil {
			probe := item{idType, e.id}
			if match, err := f.matches(r, probe); err != nil || !match {
				return err
			}
		}
		out = append(out, e)
		return nil
	}
	all := map[string]item{}
	for _, it := range t.all(r) {
		id := r.idOf(it)
		all[id] = it
		if state.Full {
			e := entry{id: id, it: &it}
			if t.members != nil {
				e.joined = t.members(r, it.value)
			}
			if err := add(e); err != nil {
				return nil, err
			}
		}
	}
	if state.Full {
		return out, nil
	}
	changes, ok := r.tenant.Since(state.From)
	if !ok {
		return nil, resync(r, t.set)
	}
	if end := int(state.Until - state.From); end < len(changes) {
		changes = changes[:end]
	}
	found := map[string]*entry{}
	var order []string
	for _, c := range changes {
		if c.Kind != t.typ.name {
			continue
		}
		e := found[c.ID]
		if e == nil {
			e = &entry{id: c.ID}
			found[c.ID] = e
			order = append(order, c.ID)
		}
		if c.Member != "" {
			is := func(id string) bool { return id == c.Member }
			e.joined, e.left = slices.DeleteFunc(e.joined, is), slices.DeleteFunc(e.left, is)
			if c.Left {
				e.left = append(e.left, c.Member)
			} else {
				e.joined = append(e.joined, c.Member)
			}
		}
	}
	for _, id := range order {
		e := found[id]
		if it, there := all[id]; there {
			e.it = &it
		} else {
			e.gone = true
		}
		if err := add(*e); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// idType lets a $filter judge an id alone.
var idType = newEntity("directoryObject", prop("id", func(_ *request, id string) any { return id }))

// answer cuts the page and makes the link that follows it.
func (t *tracked) answer(r *request, state *deltaState, entries []entry) (*answer, error) {
	start := min(max(state.Offset, 0), len(entries))
	if state.Last != "" {
		if i := slices.IndexFunc(entries, func(e entry) bool { return e.id == state.Last }); i >= 0 {
			start = i + 1
		}
	}
	size := t.page
	if r.options.top > 0 {
		size = min(size, r.options.top)
	}
	if small := r.server.cfg.PageSize; small > 0 {
		size = min(size, small)
	}
	end := min(start+size, len(entries))
	value := []any{}
	for _, e := range entries[start:end] {
		value = append(value, t.show(r, e))
	}
	body := map[string]any{"@odata.context": r.context(t.set), "value": value}
	next := *state
	if end < len(entries) {
		next.Offset, next.Last = end, entries[end-1].id
		body["@odata.nextLink"] = t.link(r, "skiptoken", &next)
	} else {
		next.From, next.Full, next.Offset, next.Last = state.Until, false, 0, ""
		body["@odata.deltaLink"] = t.link(r, "deltatoken", &next)
	}
	return ok(body), nil
}

func (t *tracked) show(r *request, e entry) map[string]any {
	if e.gone {
		return object("id", e.id, "@removed", object("reason", t.reason))
	}
	one := r.render(*e.it, r.options.selected)
	one["id"] = e.id
	wanted := len(r.options.selected) == 0 || slices.ContainsFunc(r.options.selected, func(s string) bool { return strings.EqualFold(s, "members") })
	if t.members == nil || !wanted {
		return one
	}
	members := []any{}
	show := func(ids []string, gone bool) {
		for _, id := range ids {
			kind := "user"
			if it, found := r.object(id); found {
				kind = it.typ.name
			}
			m := object("@odata.type", "#microsoft.graph."+kind, "id", id)
			if gone {
				m["@removed"] = object("reason", "deleted")
			}
			members = append(members, m)
		}
	}
	show(e.joined, false)
	show(e.left, true)
	if len(members) > 0 {
		one["members@delta"] = members
	}
	return one
}

// link seals the state; the token says everything, so the query repeats nothing.
func (t *tracked) link(r *request, name string, state *deltaState) string {
	data, _ := json.Marshal(state) // strings and numbers always encode
	return r.root + "/" + r.version + "/" + t.set + "/delta?$" + name + "=" + url.QueryEscape(r.seal(string(data), 0))
}
