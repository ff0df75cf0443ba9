package graphsim

import (
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"gatehouse/lab/internal/directory"
)

// family is a collection of objects that are kept as Graph's JSON.
type family struct {
	set  string
	typ  *entity
	name string // in the audit log: "conditional access policy"
	list func(*directory.Tenant) *[]*directory.Object
	// deleted, where set, keeps what was deleted.
	deleted func(*directory.Tenant) *[]*directory.Object
	service string
	// most is how many a tenant may have.
	most int
	// fixed are members that callers cannot write; they are dropped silently.
	fixed []string
	// check judges an object as it would be stored; before is nil for new ones.
	check func(r *request, o *directory.Object, before map[string]any) error
	// merge joins a PATCH into what is stored; nil replaces member by member.
	merge func(old, patch map[string]any) map[string]any
	// remove judges a deletion.
	remove func(r *request, o *directory.Object) error
	// fresh is the status of a creation, where it is not 201 in both versions.
	fresh func(*request) int
}

// raw reads the body as an object of any members, less annotations that
// clients send along.
func (r *request) raw() (map[string]any, error) {
	var members map[string]any
	if err := json.Unmarshal(r.body, &members); err != nil || members == nil {
		return nil, badRequest("The body is not a JSON object.")
	}
	for name := range members {
		if strings.Contains(name, "@odata.") && name != "@odata.type" {
			delete(members, name)
		}
	}
	return members, nil
}

func (f *family) objects(r *request) []*directory.Object { return *f.list(r.tenant) }

func (f *family) find(r *request, key string) (*directory.Object, error) {
	for _, o := range f.objects(r) {
		if strings.EqualFold(o.ID, key) {
			return o, nil
		}
	}
	return nil, notFound(key)
}

func (f *family) all(r *request) (*answer, error) {
	return r.list(listing{set: f.set, types: []*entity{f.typ}}, items(f.typ, f.objects(r)))
}

func (f *family) get(r *request) (*answer, error) {
	o, err := f.find(r, r.vars[0])
	if err != nil {
		return nil, err
	}
	return r.single(f.set, item{f.typ, o})
}

func (f *family) activity(verb string) activity {
	return activity{verb + " " + f.name, policyCategory, f.service}
}

func (f *family) create(r *request) (*answer, error) {
	members, err := r.raw()
	if err != nil {
		return nil, err
	}
	list := f.list(r.tenant)
	if len(*list) >= f.most {
		return nil, badBody("The tenant has %d of these already, which is the most.", f.most)
	}
	o := &directory.Object{ID: r.newID(f.name, itoa(len(*list))), Created: r.now}
	if id, given := members["id"].(string); given && f.typ.named {
		o.ID = id
	}
	o.Members = f.writable(members)
	if err := f.check(r, o, nil); err != nil {
		return nil, err
	}
	*list = append(slices.Clone(*list), o)
	r.adds(f.activity("Add"), item{f.typ, o})
	a, err := r.created(f.set, item{f.typ, o})
	if err == nil && f.fresh != nil {
		a.status = f.fresh(r)
	}
	return a, err
}

// writable drops what the service sets itself.
func (f *family) writable(members map[string]any) map[string]any {
	out := maps.Clone(members)
	for _, name := range append([]string{"id", "createdDateTime", "modifiedDateTime", "deletedDateTime"}, f.fixed...) {
		delete(out, name)
	}
	return out
}

func (f *family) patch(r *request) (*answer, error) {
	o, err := f.find(r, r.vars[0])
	if err != nil {
		return nil, err
	}
	members, err := r.raw()
	if err != nil {
		return nil, err
	}
	next := maps.Clone(o.Members)
	if f.merge != nil {
		next = f.merge(next, f.writable(members))
	} else {
		maps.Copy(next, f.writable(members))
	}
	changed := *o
	changed.Members, changed.Modified = next, r.now
	if err := f.check(r, &changed, o.Members); err != nil {
		return nil, err
	}
	r.updates(f.activity("Update"), item{f.typ, o})
	*o = changed
	return noContent(), nil
}

func (f *family) del(r *request) (*answer, error) {
	o, err := f.find(r, r.vars[0])
	if err != nil {
		return nil, err
	}
	if f.remove != nil {
		if err := f.remove(r, o); err != nil {
			return nil, err
		}
	}
	r.deletes(f.activity("Delete"), item{f.typ, o})
	list := f.list(r.tenant)
	*list = slices.DeleteFunc(slices.Clone(*list), func(other *directory.Object) bool { return other == o })
	if f.deleted != nil {
		gone := *o
		gone.Deleted = r.now
		bin := f.deleted(r.tenant)
		*bin = append(slices.Clone(*bin), &gone)
		if len(*bin) > f.most {
			*bin = (*bin)[len(*bin)-f.most:]
		}
	}
	return noContent(), nil
}

// newID makes an id; without randomness, from names and the journal's length.
func (r *request) newID(names ...string) string {
	if !r.server.cfg.Deterministic {
		return directory.RandomID()
	}
	return directory.NameID(append([]string{"made", r.tenant.ID, itoa(int(r.tenant.Position()))}, names...)...)
}

// kept is a member as it was written, null if it was not.
func kept(names ...string) members {
	var out members
	for _, name := range names {
		out = append(out, prop(name, func(_ *request, o *directory.Object) any { return o.Members[name] })...)
	}
	return out
}

// otherwise is kept with a value for null.
func otherwise(name string, standard any) members {
	return prop(name, func(_ *request, o *directory.Object) any {
		if v := o.Members[name]; v != nil {
			return v
		}
		return standard
	})
}

// objectEntity is a type of such objects: id and times, and more.
func objectEntity(name string, parts ...members) *entity {
	e := newEntity(name, append([]members{
		prop("id", func(_ *request, o *directory.Object) any { return o.ID }),
	}, parts...)...)
	e.open = func(_ *request, v any) map[string]any { return v.(*directory.Object).Members }
	return e
}

// times are the members that say when an object was made and changed.
func times() members {
	return slices.Concat(
		prop("createdDateTime", func(_ *request, o *directory.Object) any { return when(o.Created) }),
		prop("modifiedDateTime", func(_ *request, o *directory.Object) any { return when(o.Modified) }),
	)
}

// badMember refuses a body for a member of it, as a whole sentence.
func badMember(f directory.Fault) error {
	return badRequest("The member '%s' %s.", clip(f.Path), f.Problem)
}

// stamp is the time that built-in objects show.
var stamp = time.Date(2021, 12, 1, 8, 0, 0, 0, time.UTC)

// statusOK is for creations that beta's examples answer with 200.
func statusOK(r *request) int {
	if r.beta() {
		return http.StatusOK
	}
	return http.StatusCreated
}
