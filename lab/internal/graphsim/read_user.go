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

// ofUser is a handler on one user.
//
//go:noinline
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

// present reports whether a decoded body had the member.
func present(members map[string]json.RawMessage, name string) bool {
	_, there := members[name]
	return there
}
