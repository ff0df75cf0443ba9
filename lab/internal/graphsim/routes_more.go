package graphsim

import (
	"net/http"
	"slices"
	"strings"

	"gatehouse/lab/internal/directory"
)

// domainType: resource type domain.
var domainType = newEntity("domain",
	prop("id", func(_ *request, d directory.Domain) any { return d.Name }),
	prop("authenticationType", func(_ *request, d directory.Domain) any {
		if d.Federation != nil {
			return "Federated"
		}
		return "Managed"
	}),
	null("availabilityStatus", "model", "state").plain(),
	constant(true, "isAdminManaged", "isRoot", "isVerified"),
	prop("isDefault", func(_ *request, d directory.Domain) any { return d.Default }),
	prop("isInitial", func(_ *request, d directory.Domain) any { return d.Initial }),
	prop("supportedServices", func(*request, directory.Domain) any { return texts("Email", "OfficeCommunicationsOnline") }),
	constant(14, "passwordNotificationWindowInDays"),
	prop("passwordValidityPeriodInDays", func(_ *request, d directory.Domain) any {
		if d.PasswordDays == 0 {
			return 2147483647
		}
		return d.PasswordDays
	}),
)

func listDomains(r *request) (*answer, error) {
	return r.list(listing{set: "domains", types: []*entity{domainType}, page: 100, most: 999}, items(domainType, r.tenant.Domains))
}

func getDomain(r *request) (*answer, error) {
	d := r.tenant.Domain(r.vars[0])
	if d == nil {
		return nil, notFound(r.vars[0])
	}
	return r.single("domains", item{domainType, *d})
}

// preApprovalType: resource type permissionGrantPreApprovalPolicy (beta).
var preApprovalType = objectEntity("permissionGrantPreApprovalPolicy", null("deletedDateTime"), otherwise("conditions", []any{}).plain())

var preApprovals = &family{
	set: "policies/permissionGrantPreApprovalPolicies", typ: preApprovalType, name: "permission grant pre-approval policy", service: coreDirectory, most: 100,
	list: func(t *directory.Tenant) *[]*directory.Object { return &t.PreApprovals },
	check: func(_ *request, o *directory.Object, _ map[string]any) error {
		list, isList := o.Members["conditions"].([]any)
		if !isList || len(list) == 0 || len(list) > 100 {
			return badRequest("The member 'conditions' must have 1 to 100 conditions.")
		}
		for _, v := range list {
			condition, _ := v.(map[string]any)
			scope, _ := condition["scopeType"].(string)
			_, named := condition["permissions"].(map[string]any)
			if !slices.Contains([]string{"chat", "group", "team"}, scope) || !named {
				return badRequest("The member 'conditions' must name scopeType (chat, group or team) and permissions in each condition.")
			}
		}
		return nil
	},
}

// summary reads the arguments of the two functions that count registrations:
// …(includedUserTypes='all',includedUserRoles='all').
func summary(r *request) (users []*directory.User, types, roles string, err error) {
	types, roles = "all", "all"
	for part := range strings.SplitSeq(r.vars[0], ",") {
		name, value, _ := strings.Cut(part, "=")
		switch value = unquote(strings.TrimSpace(value)); strings.ToLower(strings.TrimSpace(name)) {
		case "includedusertypes":
			types = value
		case "includeduserroles":
			roles = value
		default:
			return nil, "", "", badRequest("The function has no parameter '%s'.", clip(name))
		}
	}
	if !slices.Contains([]string{"all", "member", "guest"}, types) || !slices.Contains([]string{"all", "privilegedAdmin", "admin", "user"}, roles) {
		return nil, "", "", badRequest("includedUserTypes is all, member or guest; includedUserRoles is all, privilegedAdmin, admin or user.")
	}
	for _, u := range r.report().users {
		admin := administers(r.tenant, u)
		fits := roles == "all" || (roles == "user") != admin
		if fits && (types == "all" || strings.EqualFold(u.Type, types)) {
			users = append(users, u)
		}
	}
	return users, types, roles, nil
}

// counts counts the users for whom something holds, in a given order.
func counts(users []*directory.User, label string, names []string, holds func(*directory.User, string) bool) []any {
	out := []any{}
	for _, name := range names {
		n := 0
		for _, u := range users {
			if holds(u, name) {
				n++
			}
		}
		out = append(out, object(label, name, "userCount", n))
	}
	return out
}

// registeredByMethod: function usersRegisteredByMethod.
func registeredByMethod(r *request) (*answer, error) {
	users, types, roles, err := summary(r)
	if err != nil {
		return nil, err
	}
	names := []string{"password", "email", "mobilePhone", "alternateMobilePhone", "officePhone", "microsoftAuthenticatorPush", "softwareOneTimePasscode", "hardwareOneTimePasscode",
		"microsoftAuthenticatorPasswordless", "windowsHelloForBusiness", "fido2", "temporaryAccessPass"}
	list := counts(users, "authenticationMethod", names, func(u *directory.User, name string) bool {
		return name == "password" && u.PasswordHash != nil || slices.Contains(registeredNames(u), name)
	})
	return ok(object("@odata.context", r.context("microsoft.graph.userRegistrationMethodSummary"), "totalUserCount", len(users), "userTypes", types, "userRoles", roles,
		"userRegistrationMethodCounts", list)), nil
}

// registeredByFeature: function usersRegisteredByFeature.
func registeredByFeature(r *request) (*answer, error) {
	users, types, roles, err := summary(r)
	if err != nil {
		return nil, err
	}
	features := map[string]string{"ssprRegistered": "isSsprRegistered", "ssprEnabled": "isSsprEnabled", "ssprCapable": "isSsprCapable", "passwordlessCapable": "isPasswordlessCapable", "mfaCapable": "isMfaCapable"}
	list := counts(users, "feature", []string{"ssprRegistered", "ssprEnabled", "ssprCapable", "passwordlessCapable", "mfaCapable"}, func(u *directory.User, feature string) bool {
		return registrationType.member("v1.0", features[feature]).get(r, u) == true
	})
	return ok(object("@odata.context", r.context("microsoft.graph.userRegistrationFeatureSummary"), "totalUserCount", len(users), "userTypes", types, "userRoles", roles,
		"userRegistrationFeatureCounts", list)), nil
}

// rowsOfMore are smaller resources.
func rowsOfMore() {
	const get, post, patch, del = http.MethodGet, http.MethodPost, http.MethodPatch, http.MethodDelete
	domains := alike("Domain.Read.All", "Domain.ReadWrite.All", "Directory.Read.All", "Directory.ReadWrite.All").also(asUser)
	row(get, "domains", domains, listDomains)
	row(get, "domains/{id}", domains, getDomain)

	read := alike("Policy.Read.PermissionGrant", "Policy.ReadWrite.PermissionGrant").by(append([]string{cloudAppAdministrator, applicationAdministrator}, policyReaders...)...)
	write := alike("Policy.ReadWrite.PermissionGrant").by(privilegedRoleAdministrator)
	row(get, preApprovals.set, read, preApprovals.all, "beta")
	row(post, preApprovals.set, write, preApprovals.create, "beta", "writes")
	row(get, preApprovals.set+"/{id}", read, preApprovals.get, "beta")
	row(patch, preApprovals.set+"/{id}", write, preApprovals.patch, "beta", "writes")
	row(del, preApprovals.set+"/{id}", write, preApprovals.del, "beta", "writes")

	const reports = "reports/authenticationMethods/"
	row(get, reports+"usersRegisteredByMethod/{arguments}", logRead, registeredByMethod, "P1")
	row(get, reports+"usersRegisteredByFeature/{arguments}", logRead, registeredByFeature, "P1")

	ownKeys := appsWrite.itself()
	row(post, "applications/{id}/addKey", ownKeys, addKey(appKeys), "writes")
	row(post, "applications/{id}/removeKey", ownKeys, removeKey(appKeys), "writes")
	row(post, "servicePrincipals/{id}/addKey", ownKeys, addKey(principalKeys), "writes")
	row(post, "servicePrincipals/{id}/removeKey", ownKeys, removeKey(principalKeys), "writes")
	rowsOfMethods()
	rowsOfSigning()

	// Nobody but the person does this: no role helps, no application may.
	row(post, "users/{id}/changePassword", access{self: []string{"UserAuthenticationMethod.ReadWrite", "User-PasswordProfile.ReadWrite", "Directory.AccessAsUser.All"}}, ofUser(changePassword), "writes")
}
