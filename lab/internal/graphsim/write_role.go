package graphsim

import (
	"slices"
	"strings"

	"gatehouse/lab/internal/directory"
)

// rolesOf gives the list in which an object's directory roles are kept, nil if
// it can hold none.
func rolesOf(it item) *[]string {
	switch v := it.value.(type) {
	case *directory.User:
		return &v.Roles
	case *directory.Principal:
		return &v.Roles
	case *directory.Group:
		if v.RoleAssignable {
			return &v.Roles
		}
	}
	return nil
}

// assign gives an object a role.
func (r *request) assign(role directory.Role, it item) error {
	list := rolesOf(it)
	switch {
	case list == nil:
		return badBody("The group cannot hold roles: it was not made with isAssignableToRole.")
	case slices.Contains(*list, role.ID):
		return badBody("The principal has this role already.")
	}
	r.joins(core("Add member to role", roleManagement), item{directoryRoleType, role}, it)
	*list = append(slices.Clone(*list), role.ID)
	return nil
}

func (r *request) unassign(role directory.Role, it item) {
	r.leaves(core("Remove member from role", roleManagement), item{directoryRoleType, role}, it)
	list := rolesOf(it)
	*list = slices.DeleteFunc(slices.Clone(*list), func(id string) bool { return id == role.ID })
}

// dropRoles notes that roles lose a holder that is deleted.
func (r *request) dropRoles(id string, roles []string) {
	for _, role := range roles {
		r.tenant.Touch(directory.Change{Kind: directoryRoleType.name, ID: roleID(r, roleOf(role)), Member: id, Left: true})
	}
}

// createRoleAssignment: POST /roleManagement/directory/roleAssignments.
func createRoleAssignment(r *request) (*answer, error) {
	var principal, definition string
	var directoryScope, appScope, condition *string
	if _, err := r.decode(map[string]any{"principalId": &principal, "roleDefinitionId": &definition, "directoryScopeId": &directoryScope, "appScopeId": &appScope, "condition": &condition}); err != nil {
		return nil, err
	}
	i := slices.IndexFunc(directory.Roles, func(role directory.Role) bool { return strings.EqualFold(role.ID, definition) })
	if i < 0 {
		return nil, badBody("roleDefinitionId names no role definition.")
	}
	it, found := r.object(principal)
	if !found {
		return nil, notFound(principal)
	}
	if directoryScope == nil || *directoryScope != "/" {
		return nil, badBody("directoryScopeId must be '/': the lab's roles hold for the whole tenant.")
	}
	if err := r.assign(directory.Roles[i], it); err != nil {
		return nil, err
	}
	return r.created("roleManagement/directory/roleAssignments", item{roleAssignmentType, assignment{directory.Roles[i], it, r.idOf(it)}})
}

func deleteRoleAssignment(r *request) (*answer, error) {
	for _, it := range items(roleAssignmentType, r.assignments()) {
		if r.idOf(it) == r.vars[0] {
			a := it.value.(assignment)
			r.unassign(a.role, a.principal)
			return noContent(), nil
		}
	}
	return nil, notFound(r.vars[0])
}

// activateRole: POST /directoryRoles with the id of a template.
func activateRole(r *request) (*answer, error) {
	var template string
	if _, err := r.decode(map[string]any{"roleTemplateId": &template}); err != nil {
		return nil, err
	}
	i := slices.IndexFunc(directory.Roles, func(role directory.Role) bool { return strings.EqualFold(role.ID, template) })
	if i < 0 {
		return nil, badBody("roleTemplateId names no role template.")
	}
	role := directory.Roles[i]
	if slices.ContainsFunc(r.activeRoles(), func(active directory.Role) bool { return active.ID == role.ID }) {
		return nil, conflict("The role is active already.")
	}
	r.tenant.ActiveRoles = append(slices.Clone(r.tenant.ActiveRoles), role.ID)
	r.adds(core("Add role from template", roleManagement), item{directoryRoleType, role})
	return r.created("directoryRoles", item{directoryRoleType, role})
}

// addRoleMember: POST /directoryRoles/{id}/members/$ref.
func addRoleMember(r *request) (*answer, error) {
	role, err := r.roleByKey(r.vars[0])
	if err != nil {
		return nil, err
	}
	it, err := r.linked()
	if err != nil {
		return nil, err
	}
	if err := r.assign(role, it); err != nil {
		return nil, err
	}
	return noContent(), nil
}

// removeRoleMember: DELETE /directoryRoles/{id}/members/{member}/$ref.
func removeRoleMember(r *request) (*answer, error) {
	role, err := r.roleByKey(r.vars[0])
	if err != nil {
		return nil, err
	}
	for _, a := range r.assignments() {
		if a.role.ID == role.ID && strings.EqualFold(a.id, r.vars[1]) {
			r.unassign(role, a.principal)
			return noContent(), nil
		}
	}
	return nil, notFound(r.vars[1])
}
