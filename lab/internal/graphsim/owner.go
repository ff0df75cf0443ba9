package graphsim

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"

	"gatehouse/lab/internal/directory"
)

// objects finds users, groups and service principals by their ids; those that
// are gone are left out.
func (r *request) objects(ids []string) []item {
	var out []item
	for _, id := range ids {
		if it, found := r.object(id); found {
			out = append(out, it)
		}
	}
	return out
}

// ownedBy are the groups, registrations and service principals that an object
// owns.
func (r *request) ownedBy(id string) []item {
	var out []item
	for _, g := range r.tenant.Groups {
		if slices.Contains(g.Owners, id) {
			out = append(out, item{groupType, g})
		}
	}
	for _, a := range r.tenant.Apps {
		if slices.Contains(a.Owners, id) {
			out = append(out, item{applicationType, a})
		}
	}
	for _, p := range r.tenant.Principals {
		if slices.Contains(p.Owners, id) {
			out = append(out, item{servicePrincipalType, p})
		}
	}
	return out
}

// ownable is an object that has owners: where its list is kept, and how the
// audit log calls a change of it.
type ownable struct {
	it       item
	owners   *[]string
	noun     string // "group", "application", "service principal"
	category string
	clientID string // of an app, "" for a group
	created  string
}

func groupOwners(r *request) (ownable, error) {
	g := r.tenant.Group(r.vars[0])
	if g == nil {
		return ownable{}, notFound(r.vars[0])
	}
	return ownable{item{groupType, g}, &g.Owners, "group", groupManagement, "", ""}, nil
}

func appOwners(r *request) (ownable, error) {
	a, err := r.appByKey(r.vars[0])
	if err != nil {
		return ownable{}, err
	}
	return ownable{item{applicationType, a}, &a.Owners, "application", appManagement, a.ClientID, ""}, nil
}

func principalOwners(r *request) (ownable, error) {
	p, err := r.principalByKey(r.vars[0])
	if err != nil {
		return ownable{}, err
	}
	return ownable{item{servicePrincipalType, p}, &p.Owners, "service principal", appManagement, p.ClientID, p.CreatedBy}, nil
}

func listOwners(find func(*request) (ownable, error)) func(*request) (*answer, error) {
	return func(r *request) (*answer, error) {
		o, err := find(r)
		if err != nil {
			return nil, err
		}
		l, all := directoryPages("directoryObjects", userType, servicePrincipalType), r.objects(*o.owners)
		if len(r.vars) > 1 {
			if l, all, err = r.cast(r.vars[1], l, all); err != nil {
				return nil, err
			}
		}
		return r.list(l, all)
	}
}

// guarded refuses an app that may change only what it owns, and groups that
// hold roles.
func (o *ownable) guarded(r *request) error {
	if g, isGroup := o.it.value.(*directory.Group); isGroup {
		return r.guarded(g)
	}
	return r.owned(o.clientID, o.created, *o.owners)
}

// linked reads a body that points to an object: {"@odata.id": …/{id}}.
func (r *request) linked() (item, error) {
	var link string
	if _, err := r.decode(map[string]any{"@odata.id": &link}); err != nil {
		return item{}, err
	}
	parts := keyed(link[strings.LastIndexByte(link, '/')+1:]) // …/id or …/directoryObjects('id')
	it, found := r.object(parts[len(parts)-1])
	if link == "" || !found {
		return item{}, notFound(link)
	}
	return it, nil
}

const maxOwners = 100 // "Add owners"

// addOwner: POST …/owners/$ref.
func addOwner(find func(*request) (ownable, error)) func(*request) (*answer, error) {
	return func(r *request) (*answer, error) {
		o, err := find(r)
		if err != nil {
			return nil, err
		}
		if err := o.guarded(r); err != nil {
			return nil, err
		}
		it, err := r.linked()
		if err != nil {
			return nil, err
		}
		id := r.idOf(it)
		switch {
		case it.typ == groupType:
			return nil, badBody("An owner is a user or a service principal.")
		case slices.Contains(*o.owners, id):
			return nil, badBody("The object is an owner already.")
		case len(*o.owners) >= maxOwners:
			return nil, badBody("The object has %d owners, which is the most.", maxOwners)
		}
		r.joins(core("Add owner to "+o.noun, o.category), o.it, it)
		*o.owners = append(slices.Clone(*o.owners), id)
		return noContent(), nil
	}
}

// removeOwner: DELETE …/owners/{id}/$ref. The last user among a group's owners
// stays.
func removeOwner(find func(*request) (ownable, error)) func(*request) (*answer, error) {
	return func(r *request) (*answer, error) {
		o, err := find(r)
		if err != nil {
			return nil, err
		}
		if err := o.guarded(r); err != nil {
			return nil, err
		}
		i := slices.IndexFunc(*o.owners, func(id string) bool { return strings.EqualFold(id, r.vars[1]) })
		if i < 0 {
			return nil, notFound(r.vars[1])
		}
		rest := slices.Delete(slices.Clone(*o.owners), i, i+1)
		isUser := func(id string) bool { return r.tenant.User(id) != nil }
		if o.it.typ == groupType && isUser((*o.owners)[i]) && !slices.ContainsFunc(rest, isUser) {
			return nil, badBody("The last owner of a group cannot be removed.")
		}
		if it, found := r.object((*o.owners)[i]); found {
			r.leaves(core("Remove owner from "+o.noun, o.category), o.it, it)
		}
		*o.owners = rest
		return noContent(), nil
	}
}

// listOwned: …/ownedObjects of users and service principals.
func (r *request) listOwned(id string) (*answer, error) {
	l, all := directoryPages("directoryObjects", groupType, applicationType, servicePrincipalType), r.ownedBy(id)
	if len(r.vars) > 1 {
		var err error
		if l, all, err = r.cast(r.vars[1], l, all); err != nil {
			return nil, err
		}
	}
	return r.list(l, all)
}

// getDirectoryObject: GET /directoryObjects/{id}, of any type.
func getDirectoryObject(r *request) (*answer, error) {
	it, found := r.anyObject(r.vars[0])
	if !found {
		return nil, notFound(r.vars[0])
	}
	a, err := r.single("directoryObjects", it)
	if err == nil {
		a.body.(map[string]any)["@odata.type"] = "#microsoft.graph." + it.typ.name
	}
	return a, err
}

// anyObject also finds registrations, directory roles and the organization.
func (r *request) anyObject(id string) (item, bool) {
	if it, found := r.object(id); found {
		return it, true
	}
	for _, a := range r.tenant.Apps {
		if strings.EqualFold(a.ID, id) {
			return item{applicationType, a}, true
		}
	}
	for _, role := range r.activeRoles() {
		if strings.EqualFold(roleID(r, role), id) {
			return item{directoryRoleType, role}, true
		}
	}
	return item{organizationType, r.tenant}, strings.EqualFold(id, r.tenant.ID)
}

// getByIds: POST /directoryObjects/getByIds, up to 1000 ids; unknown ones are
// left out.
func getByIds(r *request) (*answer, error) {
	var ids, types []string
	if _, err := r.decode(map[string]any{"ids": &ids, "types": &types}); err != nil {
		return nil, err
	}
	const most = 1000
	if len(ids) == 0 || len(ids) > most {
		return nil, badBody("ids must name 1 to %d objects.", most)
	}
	out := []any{}
	for _, id := range ids {
		it, found := r.anyObject(id)
		wanted := len(types) == 0 || slices.ContainsFunc(types, func(t string) bool {
			return strings.EqualFold(t, it.typ.name) || strings.EqualFold(t, "directoryObject")
		})
		if found && wanted && len(r.replicated([]item{it})) > 0 {
			out = append(out, extend(r.render(it, r.options.selected), "@odata.type", "#microsoft.graph."+it.typ.name))
		}
	}
	return ok(map[string]any{"@odata.context": r.context("directoryObjects"), "value": out}), nil
}

// memberIDs are the groups and directory roles of an object, directly or not.
func memberIDs(r *request, id string, roles []string) []string {
	out := r.tenant.GroupsOf(id)
	for _, it := range r.memberOf(id, roles, true) {
		if it.typ == directoryRoleType {
			out = append(out, r.idOf(it))
		}
	}
	return out
}

// asked answers the four questions on membership: checkMemberGroups,
// getMemberGroups, checkMemberObjects and getMemberObjects. Objects are groups
// and directory roles.
func (r *request) asked(id string, roles []string) (*answer, error) {
	question := strings.ToLower(r.segments[len(r.segments)-1])
	in, member, most := r.tenant.GroupsOf(id), "groupIds", 20
	if strings.HasSuffix(question, "objects") {
		in, member = memberIDs(r, id, roles), "ids"
	}
	var ids []string
	var only *bool
	var raw json.RawMessage
	take := map[string]any{member: &ids}
	if strings.HasPrefix(question, "get") {
		take = map[string]any{"securityEnabledOnly": &only}
	} else if member == "ids" {
		take["groupIds"] = &raw // older callers send both
	}
	if _, err := r.decode(take); err != nil {
		return nil, err
	}
	out := []any{}
	switch {
	case strings.HasPrefix(question, "get"):
		if only == nil {
			return nil, badBody("securityEnabledOnly is missing.")
		}
		out = texts(in...) // all groups of the lab are security-enabled
	case len(ids) == 0 || len(ids) > most:
		return nil, badBody("%s must name 1 to %d objects.", member, most)
	default:
		for _, id := range ids {
			if i := slices.IndexFunc(in, func(g string) bool { return strings.EqualFold(g, id) }); i >= 0 {
				out = append(out, in[i])
			}
		}
	}
	return ok(map[string]any{"@odata.context": r.context("Collection(Edm.String)"), "value": out}), nil
}

// rowsOfMembership are owners, owned objects, questions on membership, and
// objects whose type the caller does not know.
func rowsOfMembership() {
	const get, post, del = http.MethodGet, http.MethodPost, http.MethodDelete
	groupsWrite := alike("Group.ReadWrite.All", "Directory.ReadWrite.All").also(asUser).by(groupsAdministrator, userAdministrator, directoryWriters)
	for _, owners := range []struct {
		set         string
		find        func(*request) (ownable, error)
		read, write access
	}{{"groups", groupOwners, groupsRead, groupsWrite}, {"applications", appOwners, appsRead, appsWrite}, {"servicePrincipals", principalOwners, appsRead, appsWrite}} {
		at := owners.set + "/{id}/owners"
		row(get, at, owners.read, listOwners(owners.find))
		row(post, at+"/$ref", owners.write, addOwner(owners.find), "writes")
		row(del, at+"/{owner}/$ref", owners.write, removeOwner(owners.find), "writes")
		row(get, at+"/{cast}", owners.read, listOwners(owners.find))
	}
	ownedRead := alike("User.Read.All", "User.ReadWrite.All", "Directory.Read.All", "Directory.ReadWrite.All").also(asUser).own("User.Read")
	user := ofUser(func(r *request, u *directory.User) (*answer, error) { return r.listOwned(u.ID) })
	principal := ofPrincipal(func(r *request, p *directory.Principal) (*answer, error) { return r.listOwned(p.ID) })
	for _, end := range []string{"/{id}/ownedObjects", "/{id}/ownedObjects/{cast}"} {
		row(get, "users"+end, ownedRead, user)
		row(get, "servicePrincipals"+end, appsRead, principal)
	}

	groupMemberOf := alike("GroupMember.ReadBasic.All", "GroupMember.Read.All", "Group.ReadBasic.All", "Group.Read.All", "Directory.Read.All", "Directory.ReadWrite.All").also(asUser)
	for _, deep := range []bool{false, true} {
		end := map[bool]string{false: "/{id}/memberOf", true: "/{id}/transitiveMemberOf"}[deep]
		handle := ofGroup(func(r *request, g *directory.Group) (*answer, error) {
			return r.memberships(r.memberOf(g.ID, g.Roles, deep), r.vars[1:])
		})
		row(get, "groups"+end, groupMemberOf, handle)
		row(get, "groups"+end+"/{cast}", groupMemberOf, handle)
	}
	row(get, "servicePrincipals/{id}/transitiveMemberOf/{cast}", appsRead, ofPrincipal(listPrincipalMemberOf(true)))

	others := memberAsk.own()
	for _, question := range []string{"checkMemberGroups", "getMemberGroups", "checkMemberObjects", "getMemberObjects"} {
		row(post, "users/{id}/"+question, memberAsk, ofUser(func(r *request, u *directory.User) (*answer, error) { return r.asked(u.ID, u.Roles) }))
		row(post, "groups/{id}/"+question, others, ofGroup(func(r *request, g *directory.Group) (*answer, error) { return r.asked(g.ID, g.Roles) }))
		row(post, "servicePrincipals/{id}/"+question, others, ofPrincipal(func(r *request, p *directory.Principal) (*answer, error) { return r.asked(p.ID, p.Roles) }))
		row(post, "directoryObjects/{id}/"+question, others, func(r *request) (*answer, error) {
			it, found := r.object(r.vars[0])
			if !found {
				return nil, notFound(r.vars[0])
			}
			roles := rolesOf(it)
			if roles == nil {
				roles = &[]string{}
			}
			return r.asked(r.idOf(it), *roles)
		})
	}
	anything := alike("Directory.Read.All", "Directory.ReadWrite.All").also(asUser)
	row(get, "directoryObjects/{id}", anything, getDirectoryObject)
	row(post, "directoryObjects/getByIds", anything, getByIds)

	groupAssignments := alike("Directory.Read.All", "AppRoleAssignment.ReadWrite.All").also(asUser)
	row(get, "groups/{id}/appRoleAssignments", groupAssignments, ofGroup(func(r *request, g *directory.Group) (*answer, error) {
		return r.list(pages100("appRoleAssignments", appRoleAssignmentType), r.heldBy(g.ID))
	}))
	row(post, "groups/{id}/appRoleAssignments", assignmentsWrite, createAssignment, "writes")
	row(del, "groups/{id}/appRoleAssignments/{assignment}", assignmentsWrite, deleteAssignment, "writes")
}
