package graphsim

import (
	"slices"
	"strings"

	"gatehouse/lab/internal/directory"
)

func listGroups(r *request) (*answer, error) {
	return r.list(directoryPages("groups", groupType), items(groupType, r.tenant.Groups))
}

// ofGroup is a handler on one group.
func ofGroup(fn func(*request, *directory.Group) (*answer, error)) func(*request) (*answer, error) {
	return func(r *request) (*answer, error) {
		g := r.tenant.Group(r.vars[0])
		if g == nil {
			return nil, notFound(r.vars[0])
		}
		return fn(r, g)
	}
}

func getGroup(r *request, g *directory.Group) (*answer, error) {
	return r.single("groups", item{groupType, g})
}

func listGroupMembers(deep bool) func(*request, *directory.Group) (*answer, error) {
	return func(r *request, g *directory.Group) (*answer, error) {
		all := r.membersOf(g, deep)
		l := directoryPages("directoryObjects", userType, groupType, servicePrincipalType)
		if len(r.vars) > 1 {
			var err error
			if l, all, err = r.cast(r.vars[1], l, all); err != nil {
				return nil, err
			}
		}
		return r.list(l, all)
	}
}

// addMember: POST …/members/$ref with a link to the object.
func addMember(r *request, g *directory.Group) (*answer, error) {
	it, err := r.linked()
	if err != nil {
		return nil, err
	}
	id := r.idOf(it)
	switch {
	case slices.Contains(g.Members, id):
		return nil, badBody("The object is a member already.")
	case id == g.ID:
		return nil, badBody("A group cannot be its own member.")
	}
	if inner, isGroup := it.value.(*directory.Group); isGroup && (g.RoleAssignable || inner.RoleAssignable) {
		return nil, badBody("Groups that can hold roles are neither nested nor nest others.")
	}
	r.joins(core("Add member to group", groupManagement), item{groupType, g}, it)
	g.Members = append(slices.Clone(g.Members), id)
	return noContent(), nil
}

func removeMember(r *request, g *directory.Group) (*answer, error) {
	i := slices.IndexFunc(g.Members, func(m string) bool { return strings.EqualFold(m, r.vars[1]) })
	if i < 0 {
		return nil, notFound(r.vars[1])
	}
	if it, found := r.object(g.Members[i]); found {
		r.leaves(core("Remove member from group", groupManagement), item{groupType, g}, it)
	}
	g.Members = slices.Delete(slices.Clone(g.Members), i, i+1)
	return noContent(), nil
}
