package graphsim

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"

	"gatehouse/lab/internal/directory"
)

// quota is how many users or groups a tenant of the lab may have.
const quota = 100_000

// createUser: POST /users.
func createUser(r *request) (*answer, error) {
	var enabled *bool
	var name, nick, upn, department, title, location, given, surname *string
	var profile *struct {
		Password string `json:"password"`
		Force    *bool  `json:"forceChangePasswordNextSignIn"`
		ForceMFA *bool  `json:"forceChangePasswordNextSignInWithMfa"`
	}
	kept := newProfile()
	members, err := r.decode(kept.take(map[string]any{"accountEnabled": &enabled, "displayName": &name, "mailNickname": &nick, "userPrincipalName": &upn, "department": &department, "jobTitle": &title,
		"usageLocation": &location, "givenName": &given, "surname": &surname, "passwordProfile": &profile}))
	if err != nil {
		return nil, err
	}
	if err := kept.check(); err != nil {
		return nil, err
	}
	unset := func(s *string) bool { return s == nil || *s == "" }
	for _, need := range []struct {
		member  string
		missing bool
	}{{"accountEnabled", enabled == nil}, {"displayName", unset(name)}, {"mailNickname", unset(nick)}, {"userPrincipalName", unset(upn)}, {"passwordProfile", profile == nil}} {
		if need.missing {
			return nil, badBody("%s is missing.", need.member)
		}
	}
	local, domain, _ := strings.Cut(*upn, "@")
	switch {
	case local == "" || len(*upn) > 113 || strings.ContainsAny(local, " @\\/\"<>"):
		return nil, badBody("userPrincipalName must look like name@domain.")
	case r.tenant.Domain(domain) == nil:
		return nil, badBody("userPrincipalName has the domain '%s', which is not a verified domain of the tenant.", clip(domain))
	case r.tenant.User(*upn) != nil:
		return nil, badBody("Another object has the same value for userPrincipalName.")
	case len(*name) > 256 || len(*nick) > 64:
		return nil, badBody("displayName may have 256 characters and mailNickname 64.")
	case len(profile.Password) < 8 || len(profile.Password) > 256:
		return nil, badBody("The password does not meet the tenant's rules: 8 to 256 characters.")
	case location != nil && *location != "" && len(*location) != 2:
		return nil, badBody("usageLocation must be a country code of two letters.")
	case len(r.tenant.Users) >= quota:
		return nil, refuse(http.StatusBadRequest, "Directory_QuotaExceeded", "The tenant has %d users, which is the most.", quota)
	}
	value := func(s *string) string {
		if s == nil {
			return ""
		}
		return *s
	}
	u := &directory.User{
		ID: r.newID("user", *upn), UPN: *upn, Name: *name, GivenName: value(given), Surname: value(surname), Type: directory.Member, Department: value(department),
		JobTitle: value(title), UsageLocation: value(location), Enabled: *enabled, PasswordHash: directory.HashPassword(profile.Password), PasswordChanged: r.now,
		PasswordExpired: profile.Force == nil || *profile.Force, PerUserMFA: "disabled", SystemPreferred: true, Created: r.now,
		Profile: kept.joined(nil, members),
	}
	r.tenant.AddUser(u)
	r.adds(core("Add user", userManagement), item{userType, u})
	return r.created("users", item{userType, u})
}

// deleteUser: DELETE /users/{id}. The lab has no recycle bin for directory
// objects; delta queries report the removal as one that could be undone.
func deleteUser(r *request, u *directory.User) (*answer, error) {
	if err := r.mayChange(u); err != nil {
		return nil, err
	}
	r.deletes(core("Delete user", userManagement), item{userType, u})
	r.dropRoles(u.ID, u.Roles)
	r.tenant.RemoveUser(u)
	return noContent(), nil
}

// createGroup: POST /groups, security groups only.
func createGroup(r *request) (*answer, error) {
	var name, nick, description *string
	var mail, security, roles *bool
	var types []string
	var members, owners json.RawMessage
	if _, err := r.decode(map[string]any{"displayName": &name, "description": &description, "mailNickname": &nick, "mailEnabled": &mail, "securityEnabled": &security,
		"isAssignableToRole": &roles, "groupTypes": &types, "members@odata.bind": &members, "owners@odata.bind": &owners}); err != nil {
		return nil, err
	}
	switch {
	case name == nil || *name == "" || len(*name) > 256:
		return nil, badBody("displayName must have 1 to 256 characters.")
	case nick == nil || *nick == "" || len(*nick) > 64:
		return nil, badBody("mailNickname must have 1 to 64 characters.")
	case mail == nil || security == nil:
		return nil, badBody("mailEnabled and securityEnabled are needed.")
	case *mail || !*security || len(types) > 0:
		return nil, badBody("The lab's groups are security groups without mail: mailEnabled false, securityEnabled true, no groupTypes.")
	case len(r.tenant.Groups) >= quota:
		return nil, refuse(http.StatusBadRequest, "Directory_QuotaExceeded", "The tenant has %d groups, which is the most.", quota)
	case roles != nil && *roles && !r.mayAssignRoles():
		return nil, refuse(http.StatusForbidden, "Authorization_RequestDenied", "A group that can hold roles needs RoleManagement.ReadWrite.Directory as well.")
	}
	g := &directory.Group{ID: r.newID("group", itoa(len(r.tenant.Groups))), Name: *name, MailNickname: *nick, RoleAssignable: roles != nil && *roles, Created: r.now}
	if description != nil {
		g.Description = clip(*description)
	}
	if members != nil {
		list, err := r.bound(members)
		if err != nil {
			return nil, err
		}
		for _, it := range list {
			if it.typ == groupType && g.RoleAssignable {
				return nil, badBody("Groups that can hold roles are neither nested nor nest others.")
			}
			if id := r.idOf(it); !slices.Contains(g.Members, id) {
				g.Members = append(g.Members, id)
			}
		}
	}
	r.tenant.AddGroup(g)
	r.adds(core("Add group", groupManagement), item{groupType, g})
	return r.created("groups", item{groupType, g})
}

func (r *request) mayAssignRoles() bool {
	return r.holds("RoleManagement.ReadWrite.Directory", asUser) && (r.app() || r.hasRole(privilegedRoleAdministrator))
}

// guarded refuses to change a group that can hold roles with the permissions of
// an ordinary one.
func (r *request) guarded(g *directory.Group) error {
	if g.RoleAssignable && !r.mayAssignRoles() {
		return refuse(http.StatusForbidden, "Authorization_RequestDenied", "The group can hold roles: changing it needs RoleManagement.ReadWrite.Directory as well.")
	}
	return nil
}

func patchGroup(r *request, g *directory.Group) (*answer, error) {
	var name, nick, description *string
	given, err := r.decode(map[string]any{"displayName": &name, "description": &description, "mailNickname": &nick})
	if err != nil {
		return nil, err
	}
	switch {
	case present(given, "displayName") && (name == nil || *name == "" || len(*name) > 256):
		return nil, badBody("displayName must have 1 to 256 characters.")
	case present(given, "mailNickname") && (nick == nil || *nick == "" || len(*nick) > 64):
		return nil, badBody("mailNickname must have 1 to 64 characters.")
	case description != nil && len(*description) > 1024:
		return nil, badBody("description may have 1024 characters at most.")
	}
	if err := r.guarded(g); err != nil {
		return nil, err
	}
	r.updates(core("Update group", groupManagement), item{groupType, g})
	if name != nil {
		g.Name = *name
	}
	if nick != nil {
		g.MailNickname = *nick
	}
	if description != nil {
		g.Description = *description
	} else if present(given, "description") {
		g.Description = ""
	}
	return noContent(), nil
}

func deleteGroup(r *request, g *directory.Group) (*answer, error) {
	if err := r.guarded(g); err != nil {
		return nil, err
	}
	r.deletes(core("Delete group", groupManagement), item{groupType, g})
	r.dropRoles(g.ID, g.Roles)
	r.tenant.RemoveGroup(g)
	return noContent(), nil
}
