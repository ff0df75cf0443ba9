package graphsim

import (
	"net/http"
	"slices"
	"strings"

	"gatehouse/lab/internal/directory"
)

// access is what a call needs. Each list holds alternatives, the least first;
// an alternative that joins names by "+" needs them all. Sources: the
// permission tables of the reference pages, and Microsoft's machine-readable
// list (microsoft-graph-devx-content, permissions/new, August 2026).
type access struct {
	app  []string // application permissions
	user []string // delegated permissions
	self []string // delegated permissions that reach only the caller's own object
	// roles are directory roles of which a signed-in user needs one unless the
	// object is the user's own; Global Administrator always suffices. nil: none
	// is needed, because every member may do this.
	roles []string
	// refused and unfit are the error codes for a missing permission and a
	// missing role; "" means Authorization_RequestDenied.
	refused, unfit string
	// reachesItself: an app needs no permission for its own object; handlers check
	// whose it is ([request.rolls]).
	reachesItself bool
}

// alike is an access whose delegated and application permissions are the same.
//
//go:noinline
func alike(list ...string) access { return access{app: list, user: list} }

func (a access) also(delegated ...string) access {
	a.user = slices.Concat(a.user, delegated)
	return a
}

func (a access) own(self ...string) access {
	a.self = self
	return a
}

//go:noinline
func (a access) by(roles ...string) access {
	a.roles = roles
	return a
}

func (a access) itself() access {
	a.reachesItself = true
	return a
}

func (a access) codes(refused, unfit string) access {
	a.refused, a.unfit = refused, unfit
	return a
}

// Directory roles that the table names.
const (
	globalAdministrator         = "62e90394-69f5-4237-9190-012177145e10"
	applicationAdministrator    = "9b895d92-2cd3-44c7-9d02-a6ac2d5ea5c3"
	authenticationAdministrator = "c4e39bd9-1100-46d3-8c65-fb160da0071f"
	cloudAppAdministrator       = "158c047a-c907-4556-b7ef-446551a6b5f7"
	conditionalAccessAdmin      = "b1be1c3e-b65d-4f19-8427-f6fa0d97feb9"
	helpdeskAdministrator       = "729827e3-9c14-49f7-bb1b-9608f156bbb8"
	passwordAdministrator       = "966707d0-3269-4727-9be2-8c3a10f19b9d"
	privilegedAuthentication    = "7be44c8a-adaf-4e2a-84d6-ab2649e08a13"
	privilegedRoleAdministrator = "e8611ab8-c189-46e8-94e1-60213ab1f814"
	securityAdministrator       = "194ae4cb-b126-40b2-bd5b-6091b380977d"
	userAdministrator           = "fe930be7-5e62-47db-91af-98c3a49a38b1"
	authenticationPolicyAdmin   = "0526716b-113d-4c15-b2c8-68e3c22b9f80"
	globalReader                = "f2ef992c-3afb-46b9-b7cf-a126ee74c451"
	securityReader              = "5d6b6bb7-de71-4623-b4af-96380a352509"
	reportsReader               = "4a5d8f65-41da-4de4-8968-e035b65339cf"
	groupsAdministrator         = "fdd7a751-b60b-444a-984c-02652fe8fa1c"
	directoryWriters            = "9360feb5-f418-4baa-8175-e2a00bac4301"
)

// holds reports whether the token carries one of the alternatives.
func (r *request) holds(alternatives ...string) bool {
	granted := r.claims.Roles
	if !r.app() {
		granted = strings.Fields(r.claims.Scopes)
	}
	return slices.ContainsFunc(alternatives, func(alternative string) bool {
		for name := range strings.SplitSeq(alternative, "+") {
			if !slices.ContainsFunc(granted, func(g string) bool { return strings.EqualFold(g, name) }) {
				return false
			}
		}
		return true
	})
}

// hasRole reports whether the signed-in user's token names one of the roles.
func (r *request) hasRole(roles ...string) bool {
	return slices.ContainsFunc(r.claims.WIDs, func(id string) bool { return id == globalAdministrator || slices.Contains(roles, id) })
}

// authorise holds the token against the route's row.
func (r *request) authorise() error {
	need := r.route.need
	if r.app() {
		// Application.ReadWrite.OwnedBy reaches only what the app owns; handlers
		// that write check that themselves.
		if r.holds(need.app...) || need.reachesItself && r.claims.AppID != "" {
			return nil
		}
		return r.refusedFor(need)
	}
	if r.self && r.holds(need.self...) {
		return nil
	}
	if !r.holds(need.user...) {
		return r.refusedFor(need)
	}
	// Acting on oneself needs no role only where self-service exists at all: nobody
	// switches off their own per-user MFA.
	selfService := r.self && need.self != nil
	if need.roles != nil && !selfService && !r.hasRole(need.roles...) {
		code := need.unfit
		if code == "" {
			code = "Authorization_RequestDenied"
		}
		return refuse(http.StatusForbidden, code, "The signed-in user has no directory role that may do this.")
	}
	return nil
}

func (r *request) refusedFor(need access) error {
	code := need.refused
	if code == "" {
		code = "Authorization_RequestDenied"
	}
	return refuse(http.StatusForbidden, code, "The token lacks a permission that this call needs.")
}

// sight is how much of an object a caller sees. Relationships list objects of
// types that the caller may not read with their id only ("Limited information
// returned for inaccessible member objects").
type sight int

const (
	seesUnset sight = iota
	seesNothing
	seesBasics
	seesAll
)

var (
	readUsers  = []string{"User.Read.All", "User.ReadWrite.All", "Directory.Read.All", "Directory.ReadWrite.All", "Directory.AccessAsUser.All"}
	readGroups = []string{"GroupMember.ReadBasic.All", "GroupMember.Read.All", "GroupMember.ReadWrite.All", "Group.ReadBasic.All", "Group.Read.All", "Group.ReadWrite.All",
		"Directory.Read.All", "Directory.ReadWrite.All", "Directory.AccessAsUser.All"}
	readApps  = []string{"Application.Read.All", "Application.ReadWrite.All", "Application.ReadWrite.OwnedBy", "Directory.Read.All", "Directory.ReadWrite.All", "Directory.AccessAsUser.All"}
	readRoles = []string{"RoleManagement.Read.Directory", "RoleManagement.ReadWrite.Directory", "RoleManagement.Read.All", "Directory.Read.All", "Directory.ReadWrite.All", "Directory.AccessAsUser.All"}
	readOrg   = []string{"Organization.Read.All", "Organization.ReadWrite.All", "Directory.Read.All", "Directory.ReadWrite.All", "Directory.AccessAsUser.All"}
)

// sees gives the caller's sight of an object.
func (r *request) sees(it item) sight {
	if u, isUser := it.value.(*directory.User); isUser && it.typ == userType && !r.app() && u.ID == r.claims.ObjectID && r.holds("User.Read", "User.ReadWrite") {
		return seesAll
	}
	if known := r.sight[it.typ]; known != seesUnset {
		return known
	}
	s := seesAll
	choose := func(all bool, basics bool) {
		switch {
		case all:
		case basics:
			s = seesBasics
		default:
			s = seesNothing
		}
	}
	switch it.typ {
	case userType:
		choose(r.holds(readUsers...), r.holds("User.ReadBasic.All"))
	case groupType:
		choose(r.holds(readGroups...), false)
	case servicePrincipalType, applicationType:
		choose(r.holds(readApps...), false)
	case directoryRoleType:
		choose(r.holds(readRoles...), false)
	case organizationType:
		// Get organization: with User.Read only id, displayName and verifiedDomains.
		choose(r.holds(readOrg...), true)
	}
	if r.sight == nil {
		r.sight = map[*entity]sight{}
	}
	r.sight[it.typ] = s
	return s
}

// administers reports whether a user holds a role that protects the account
// against other administrators ("Who can reset passwords").
func administers(t *directory.Tenant, u *directory.User) bool {
	return slices.ContainsFunc(t.RolesOf(u.ID), func(id string) bool {
		role, _ := directory.RoleByName(id)
		return strings.Contains(role.Name, "Administrator")
	})
}

// mayChange reports whether the signed-in user may change another user's
// credentials: administrators yield only to the privileged role.
func (r *request) mayChange(u *directory.User) error {
	if r.app() || r.self || !administers(r.tenant, u) || r.hasRole(privilegedAuthentication) {
		return nil
	}
	return refuse(http.StatusForbidden, "Authorization_RequestDenied", "The target is an administrator; a Privileged Authentication Administrator or Global Administrator may change this.")
}

// owned refuses an app that may write only what it owns.
func (r *request) owned(clientID, createdBy string, owners []string) error {
	if !r.app() || r.holds("Application.ReadWrite.All", "Directory.ReadWrite.All") || r.claims.AppID != "" && (clientID == r.claims.AppID || createdBy == r.claims.AppID) ||
		slices.Contains(owners, r.claims.ObjectID) {
		return nil
	}
	return refuse(http.StatusForbidden, "Authorization_RequestDenied", "Application.ReadWrite.OwnedBy reaches only what the calling app owns.")
}

// rolls refuses whoever may not change the keys of an app. The app itself needs no
// permission for its own ("An application does not need any specific permission to
// roll its own keys").
func (r *request) rolls(clientID, createdBy string, owners []string) error {
	if r.app() && !r.holds(appsWrite.app...) {
		if strings.EqualFold(clientID, r.claims.AppID) {
			return nil
		}
		return r.refusedFor(appsWrite)
	}
	return r.owned(clientID, createdBy, owners)
}
