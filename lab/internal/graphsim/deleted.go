package graphsim

import (
	"slices"
	"strings"
	"time"

	"gatehouse/lab/internal/directory"
)

// recycleBin keeps deleted policies or named locations for thirty days, after
// which they are gone ("Recover from deletions").
type recycleBin struct{ of *family }

const binLife = 30 * 24 * time.Hour

func (b recycleBin) set() string {
	return "identity/conditionalAccess/deletedItems" + b.of.set[strings.LastIndexByte(b.of.set, '/'):]
}

func (b recycleBin) objects(r *request) []*directory.Object {
	return slices.DeleteFunc(slices.Clone(*b.of.deleted(r.tenant)), func(o *directory.Object) bool { return !r.now.Before(o.Deleted.Add(binLife)) })
}

func (b recycleBin) find(r *request) (*directory.Object, error) {
	for _, o := range b.objects(r) {
		if strings.EqualFold(o.ID, r.vars[0]) {
			return o, nil
		}
	}
	return nil, notFound(r.vars[0])
}

func (b recycleBin) list(r *request) (*answer, error) {
	return r.list(listing{set: b.set(), types: []*entity{b.of.typ}}, items(b.of.typ, b.objects(r)))
}

func (b recycleBin) get(r *request) (*answer, error) {
	o, err := b.find(r)
	if err != nil {
		return nil, err
	}
	return r.single(b.set(), item{b.of.typ, o})
}

func (b recycleBin) drop(r *request, o *directory.Object) {
	bin := b.of.deleted(r.tenant)
	*bin = slices.DeleteFunc(b.objects(r), func(other *directory.Object) bool { return other == o })
}

// purge deletes for good.
func (b recycleBin) purge(r *request) (*answer, error) {
	o, err := b.find(r)
	if err != nil {
		return nil, err
	}
	r.deletes(b.of.activity("Hard delete"), item{b.of.typ, o})
	b.drop(r, o)
	return noContent(), nil
}

// restore puts an object back under its id, as it was. A policy comes back in
// the state that it had.
func (b recycleBin) restore(r *request) (*answer, error) {
	o, err := b.find(r)
	if err != nil {
		return nil, err
	}
	list := b.of.list(r.tenant)
	if len(*list) >= b.of.most {
		return nil, badBody("The tenant has %d of these already, which is the most.", b.of.most)
	}
	back := *o
	back.Deleted, back.Modified = time.Time{}, r.now
	if err := b.of.check(r, &back, nil); err != nil {
		return nil, err
	}
	b.drop(r, o)
	*list = append(slices.Clone(*list), &back)
	r.adds(b.of.activity("Restore"), item{b.of.typ, &back})
	return r.single(b.of.set, item{b.of.typ, &back})
}
