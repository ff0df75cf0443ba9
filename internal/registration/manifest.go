package registration

import (
	"cmp"
	"slices"
	"strings"
	"time"
)

// The kinds of permissions.
const (
	DelegatedPermission   = "delegated"   // on behalf of whoever signed in
	ApplicationPermission = "application" // of the app for itself
)

// Permission is a permission that a registration asks for.
type Permission struct {
	Resource     string `json:"resource"`      // app id (GUID) of the API
	ResourceName string `json:"resource_name"` // as in Microsoft's screens; "" if it is not well known
	Name         string `json:"name"`          // as Microsoft names it: "User.Read"
	Kind         string `json:"kind"`          // delegated or application
	Why          string `json:"why"`           // what the registration needs it for
}

func (p Permission) same(o Permission) bool {
	return p.Resource == o.Resource && p.Kind == o.Kind && strings.EqualFold(p.Name, o.Name)
}

// Words say in plain words what the permission lets the app do; "" if it is not in
// the table of well-known ones.
func (p Permission) Words() string { return words[p.Resource][p.Kind][strings.ToLower(p.Name)] }

// Known reports whether the permission is in the table of well-known ones.
func (p Permission) Known() bool { return p.Words() != "" }

// Manifest is what a registration asks for.
type Manifest struct {
	Version     int // counted from 1; 0: there is none
	Permissions []Permission
	Reason      string // why it was changed
	By          string
	At          time.Time
}

// The scopes of a sign-in itself. They are delegated permissions of Microsoft Graph in
// the admin centre, and are asked for by their bare names with any resource.
const (
	OpenID        = "openid"
	Profile       = "profile"
	OfflineAccess = "offline_access"
)

func signInScope(p Permission) bool {
	return p.Resource == GraphResource && p.Kind == DelegatedPermission && slices.Contains([]string{OpenID, Profile, OfflineAccess}, strings.ToLower(p.Name))
}

// Scopes are the names of the delegated permissions of a resource, such as
// "User.Read", without the scopes of the sign-in itself ([Manifest.SignIn]). The
// resource is the app id of the API or the name of a service (graph, sharepoint,
// exchange, business_central).
func (m Manifest) Scopes(resource string) []string {
	return m.names(resource, DelegatedPermission)
}

// Roles are the names of the application permissions of a resource, named as in
// [Manifest.Scopes].
func (m Manifest) Roles(resource string) []string { return m.names(resource, ApplicationPermission) }

func (m Manifest) names(resource, kind string) (out []string) {
	resource = ResourceOf(resource)
	for _, p := range m.Permissions {
		if p.Resource == resource && p.Kind == kind && !signInScope(p) {
			out = append(out, p.Name)
		}
	}
	return out
}

// SignIn are those of openid, profile and offline_access that are asked for.
func (m Manifest) SignIn() (out []string) {
	for _, p := range m.Permissions {
		if signInScope(p) {
			out = append(out, strings.ToLower(p.Name))
		}
	}
	return out
}

// Offline reports whether offline_access is asked for, without which a sign-in gives
// no refresh token and ends within the hour (entra-sign-in §8).
func (m Manifest) Offline() bool { return slices.Contains(m.SignIn(), OfflineAccess) }

// Resources are the app ids of the APIs of which something is asked.
func (m Manifest) Resources() (out []string) {
	for _, p := range m.Permissions {
		if !slices.Contains(out, p.Resource) {
			out = append(out, p.Resource)
		}
	}
	return out
}

// Diff is what a manifest adds to an older one, and what it leaves out.
type Diff struct{ Added, Removed []Permission }

// Empty reports whether the same is asked for.
func (d Diff) Empty() bool { return len(d.Added)+len(d.Removed) == 0 }

// Since compares with an older manifest. Another reason for a permission is no
// difference.
func (m Manifest) Since(old Manifest) (d Diff) {
	has := func(in Manifest, p Permission) bool { return slices.ContainsFunc(in.Permissions, p.same) }
	for _, p := range m.Permissions {
		if !has(old, p) {
			d.Added = append(d.Added, p)
		}
	}
	for _, p := range old.Permissions {
		if !has(m, p) {
			d.Removed = append(d.Removed, p)
		}
	}
	return d
}

// order sorts permissions: the scopes of the sign-in last, as they are in every
// manifest.
func order(all []Permission) {
	slices.SortFunc(all, func(a, b Permission) int {
		if x, y := signInScope(a), signInScope(b); x != y {
			if x {
				return 1
			}
			return -1
		}
		return cmp.Or(strings.Compare(a.ResourceName, b.ResourceName), strings.Compare(a.Resource, b.Resource), -strings.Compare(a.Kind, b.Kind), strings.Compare(strings.ToLower(a.Name), strings.ToLower(b.Name)))
	})
}
