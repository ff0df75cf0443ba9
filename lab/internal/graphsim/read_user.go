package graphsim

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"

	"gatehouse/lab/internal/directory"
)

var userPages = directoryPages("users", userType)

// checkActivity guards signInActivity: it needs AuditLog.Read.All and Entra ID
// P1 (resource type user, signInActivity).
func (r *request) checkActivity() error {
	mentioned := slices.ContainsFunc(r.options.selected, func(s string) bool { return strings.EqualFold(s, "signInActivity") }) ||
		strings.Contains(strings.ToLower(r.options.filter), "signinactivity")
	switch {
	case !mentioned:
		return nil
	case !r.holds("AuditLog.Read.All"):
		return refuse(http.StatusForbidden, "Authorization_RequestDenied", "signInActivity needs AuditLog.Read.All as well.")
	case !r.tenant.Premium():
		return refuse(http.StatusForbidden, "Authentication_RequestFromNonPremiumTenantOrB2CTenant", "signInActivity needs a premium licence (Microsoft Entra ID P1 or P2).")
	}
	return nil
}

func listUsers(r *request) (*answer, error) {
	if err := r.checkActivity(); err != nil {
		return nil, err
	}
	return r.list(userPages, items(userType, r.tenant.Users))
}

func countUsers(r *request) (*answer, error) {
	return r.count(userPages, items(userType, r.tenant.Users))
}

// ofUser is a handler on one user.
func ofUser(fn func(*request, *directory.User) (*answer, error)) func(*request) (*answer, error) {
	return func(r *request) (*answer, error) {
		u := r.tenant.User(r.vars[0])
		if u == nil {
			return nil, notFound(r.vars[0])
		}
		return fn(r, u)
	}
}

func getUser(r *request, u *directory.User) (*answer, error) {
	if err := r.checkActivity(); err != nil {
		return nil, err
	}
	return r.single("users", item{userType, u})
}

func listLicences(r *request, u *directory.User) (*answer, error) {
	return r.list(listing{set: "users('" + u.ID + "')/licenseDetails", types: []*entity{licenseDetailsType}, bare: true}, items(licenseDetailsType, skusOf(u)))
}

func listMemberOf(deep bool) func(*request, *directory.User) (*answer, error) {
	return func(r *request, u *directory.User) (*answer, error) {
		return r.memberships(r.memberOf(u.ID, u.Roles, deep), r.vars[1:])
	}
}

// memberships lists groups and directory roles, or those of one type.
func (r *request) memberships(all []item, cast []string) (*answer, error) {
	l := directoryPages("directoryObjects", groupType, directoryRoleType)
	if len(cast) > 0 {
		var err error
		if l, all, err = r.cast(cast[0], l, all); err != nil {
			return nil, err
		}
	}
	return r.list(l, all)
}

// checkMemberGroups: of at most 20 groups, those that the user is in, directly
// or not (directoryObject: checkMemberGroups).
func checkMemberGroups(r *request, u *directory.User) (*answer, error) {
	var ids []string
	if _, err := r.decode(map[string]any{"groupIds": &ids}); err != nil {
		return nil, err
	}
	if len(ids) == 0 || len(ids) > 20 {
		return nil, badBody("groupIds must name 1 to 20 groups.")
	}
	in := r.tenant.GroupsOf(u.ID)
	out := []any{}
	for _, id := range ids {
		if i := slices.IndexFunc(in, func(g string) bool { return strings.EqualFold(g, id) }); i >= 0 {
			out = append(out, in[i])
		}
	}
	return ok(map[string]any{"@odata.context": r.context("Collection(Edm.String)"), "value": out}), nil
}

// getMemberGroups: all groups, or the security-enabled ones, which in the lab
// are all.
func getMemberGroups(r *request, u *directory.User) (*answer, error) {
	var only *bool
	if _, err := r.decode(map[string]any{"securityEnabledOnly": &only}); err != nil {
		return nil, err
	}
	if only == nil {
		return nil, badBody("securityEnabledOnly is missing.")
	}
	return ok(map[string]any{"@odata.context": r.context("Collection(Edm.String)"), "value": texts(r.tenant.GroupsOf(u.ID)...)}), nil
}

// present reports whether a decoded body had the member.
func present(members map[string]json.RawMessage, name string) bool {
	_, there := members[name]
	return there
}
