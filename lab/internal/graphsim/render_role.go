package graphsim

import (
	"slices"
	"strings"

	"gatehouse/lab/internal/directory"
)

// directoryRoleType: resource type directoryRole, a role that is activated
// because somebody holds it.
var directoryRoleType = newEntity("directoryRole",
	prop("id", func(r *request, role directory.Role) any { return roleID(r, role) }),
	null("deletedDateTime"),
	prop("description", func(_ *request, role directory.Role) any { return "Holders act as " + role.Name + "." }),
	prop("displayName", func(_ *request, role directory.Role) any { return role.Name }),
	prop("roleTemplateId", func(_ *request, role directory.Role) any { return role.ID }),
).ofDirectory()

func roleID(r *request, role directory.Role) string {
	return directory.NameID("directory role", r.tenant.ID, role.ID)
}

func roleOf(template string) directory.Role {
	role, ok := directory.RoleByName(template)
	if !ok {
		role = directory.Role{ID: template, Name: template}
	}
	return role
}

// activeRoles are those that somebody holds; a tenant's first administrator
// activated Global Administrator.
func (r *request) activeRoles() []directory.Role {
	held := map[string]bool{globalAdministrator: true}
	for _, role := range r.tenant.ActiveRoles {
		held[role] = true
	}
	for _, u := range r.tenant.Users {
		for _, role := range u.Roles {
			held[role] = true
		}
	}
	for _, g := range r.tenant.Groups {
		for _, role := range g.Roles {
			held[role] = true
		}
	}
	for _, p := range r.tenant.Principals {
		for _, role := range p.Roles {
			held[role] = true
		}
	}
	var out []directory.Role
	for _, role := range directory.Roles {
		if held[role.ID] {
			out = append(out, role)
		}
	}
	return out
}

// roleByKey finds an activated role by id or roleTemplateId='…'.
func (r *request) roleByKey(key string) (directory.Role, error) {
	template, byTemplate := alternate(key, "roleTemplateId")
	for _, role := range r.activeRoles() {
		if byTemplate && strings.EqualFold(role.ID, template) || strings.EqualFold(roleID(r, role), key) {
			return role, nil
		}
	}
	return directory.Role{}, notFound(key)
}

// alternate reads name=value, the alternate key form of a path segment.
func alternate(key, name string) (string, bool) {
	have, value, found := strings.Cut(key, "=")
	if !found || !strings.EqualFold(have, name) {
		return "", false
	}
	return unquote(value), true
}

// assignment is one direct assignment of a directory role.
type assignment struct {
	role      directory.Role
	principal item
	id        string // of the principal
}

func (r *request) assignments() []assignment {
	var out []assignment
	add := func(roles []string, it item, id string) {
		for _, role := range roles {
			out = append(out, assignment{roleOf(role), it, id})
		}
	}
	for _, u := range r.tenant.Users {
		add(u.Roles, item{userType, u}, u.ID)
	}
	for _, g := range r.tenant.Groups {
		add(g.Roles, item{groupType, g}, g.ID)
	}
	for _, p := range r.tenant.Principals {
		add(p.Roles, item{servicePrincipalType, p}, p.ID)
	}
	return out
}

func roleAssignmentID(r *request, a assignment) any {
	return opaque("role assignment", r.tenant.ID, a.role.ID, a.id)[:32] + "-1"
}

// roleAssignmentType: resource type unifiedRoleAssignment. All of the lab's
// assignments hold for the whole tenant.
var roleAssignmentType = newEntity("unifiedRoleAssignment",
	prop("id", roleAssignmentID),
	prop("principalId", func(_ *request, a assignment) any { return a.id }),
	prop("roleDefinitionId", func(_ *request, a assignment) any { return a.role.ID }),
	constant("/", "directoryScopeId"),
	null("appScopeId", "condition"),
	prop("principalOrganizationId", func(r *request, _ assignment) any { return r.tenant.ID }),
	constant("/", "resourceScope").inBeta(),
)

// roleDefinitionType: resource type unifiedRoleDefinition; built-in roles have
// their template's id.
var roleDefinitionType = newEntity("unifiedRoleDefinition",
	prop("id", func(_ *request, role directory.Role) any { return role.ID }),
	prop("description", func(_ *request, role directory.Role) any { return "Holders act as " + role.Name + "." }),
	prop("displayName", func(_ *request, role directory.Role) any { return role.Name }),
	constant(true, "isBuiltIn", "isEnabled"),
	prop("resourceScopes", func(*request, directory.Role) any { return texts("/") }),
	prop("templateId", func(_ *request, role directory.Role) any { return role.ID }),
	constant("1", "version"),
	prop("rolePermissions", rolePermissions),
	prop("inheritsPermissionsFrom", func(*request, directory.Role) any {
		return []any{object("id", directoryReaders)}
	}),
	prop("isPrivileged", func(_ *request, role directory.Role) any { return role.SecurityDefaults }).inBeta(),
	null("allowedPrincipalTypes").inBeta(),
	null("richDescription").inBeta(),
)

const directoryReaders = "88d8e3e3-8f55-4a1e-953a-9b9898b8876b"

// rolePermissions names an action by the role's words: the lab decides by
// roles, not by actions.
func rolePermissions(_ *request, role directory.Role) any {
	action := "microsoft.directory/" + strings.ToLower(strings.ReplaceAll(role.Name, " ", "")) + "/allTasks"
	if strings.HasSuffix(role.Name, "Reader") || strings.HasSuffix(role.Name, "Readers") {
		action = "microsoft.directory/allEntities/standard/read"
	}
	return []any{object("allowedResourceActions", texts(action), "condition", nil, "excludedResourceActions", []any{})}
}

func listRoles(r *request) (*answer, error) {
	return r.list(listing{set: "directoryRoles", types: []*entity{directoryRoleType}}, items(directoryRoleType, r.activeRoles()))
}

func getRole(r *request) (*answer, error) {
	role, err := r.roleByKey(r.vars[0])
	if err != nil {
		return nil, err
	}
	return r.single("directoryRoles", item{directoryRoleType, role})
}

func (r *request) holdersOf(role directory.Role) []item {
	var all []item
	for _, a := range r.assignments() {
		if a.role.ID == role.ID {
			all = append(all, a.principal)
		}
	}
	return all
}

// listRoleMembers gives direct members; a role-assignable group is one member.
func listRoleMembers(r *request) (*answer, error) {
	role, err := r.roleByKey(r.vars[0])
	if err != nil {
		return nil, err
	}
	all := r.holdersOf(role)
	l := directoryPages("directoryObjects", userType, groupType, servicePrincipalType)
	if len(r.vars) > 1 {
		if l, all, err = r.cast(r.vars[1], l, all); err != nil {
			return nil, err
		}
	}
	return r.list(l, all)
}

func listRoleDefinitions(r *request) (*answer, error) {
	return r.list(listing{set: "roleManagement/directory/roleDefinitions", types: []*entity{roleDefinitionType}}, items(roleDefinitionType, directory.Roles))
}

func getRoleDefinition(r *request) (*answer, error) {
	i := slices.IndexFunc(directory.Roles, func(role directory.Role) bool { return strings.EqualFold(role.ID, r.vars[0]) })
	if i < 0 {
		return nil, notFound(r.vars[0])
	}
	return r.single("roleManagement/directory/roleDefinitions", item{roleDefinitionType, directory.Roles[i]})
}

func listRoleAssignments(r *request) (*answer, error) {
	return r.list(listing{set: "roleManagement/directory/roleAssignments", types: []*entity{roleAssignmentType}, page: 100, most: 999}, items(roleAssignmentType, r.assignments()))
}

func getRoleAssignment(r *request) (*answer, error) {
	for _, it := range items(roleAssignmentType, r.assignments()) {
		if r.idOf(it) == r.vars[0] {
			return r.single("roleManagement/directory/roleAssignments", it)
		}
	}
	return nil, notFound(r.vars[0])
}
