package sts

import (
	"slices"

	"gatehouse/lab/internal/directory"
)

// demands lists everything that asks this user for MFA in this sign-in, in
// the words of Graph's requirementProvider. Sources: entra-sign-in §11.
func demands(t *directory.Tenant, sub *subject, q *request) []directory.Demand {
	var out []directory.Demand
	u := sub.user
	if t.SecurityDefaults {
		out = append(out, securityDefaults(sub, q)...)
	}
	// Per-user MFA: "enabled" asks as soon as a method is registered, and for
	// registration before that; a registered user becomes "enforced".
	if u.PerUserMFA == "enabled" && u.Registered() {
		u.PerUserMFA = "enforced"
	}
	if u.PerUserMFA == "enabled" || u.PerUserMFA == "enforced" {
		out = append(out, directory.Demand{Provider: "user", Detail: "Per-user MFA"})
	}
	// Mandatory MFA for Azure and the admin portals cannot be configured and
	// does not touch workload identities (entra-sign-in §11.3).
	if t.MandatoryMFA && directory.MandatoryMFAApps[q.app.ClientID] {
		out = append(out, directory.Demand{Provider: "servicePrincipal", Detail: "Mandatory MFA for " + q.app.Name})
	}
	return out
}

// securityDefaults: administrators at every sign-in, everybody in front of
// Azure management, and registration for who has no method yet once the grace
// is over. The directory synchronisation account is exempt.
func securityDefaults(sub *subject, q *request) []directory.Demand {
	const syncAccounts = "d29b2b05-8046-44ba-8758-1e26182fcf32"
	if slices.Contains(sub.roles, syncAccounts) {
		return nil
	}
	privileged := slices.ContainsFunc(directory.Roles, func(r directory.Role) bool { return r.SecurityDefaults && slices.Contains(sub.roles, r.ID) })
	azure := q.resource.ClientID == directory.AzureManagementID || directory.MandatoryMFAApps[q.app.ClientID]
	if privileged || azure {
		return []directory.Demand{{Provider: "securityDefaults", Detail: "Security defaults"}}
	}
	if !sub.user.Registered() && !q.now.Before(sub.user.RegistrationGrace) {
		return []directory.Demand{{Provider: "mfaRegistrationRequiredBySecurityDefaults", Detail: "Security defaults: registration"}}
	}
	return nil
}

// mfaRefusal is how a sign-in that cannot show a second factor ends: 50076
// with a registered method, 50079 without.
func mfaRefusal(t *directory.Tenant, sub *subject, q *request) *refusal {
	if sub.user.Registered() {
		return refuse("invalid_grant", 50076, "Because of a change that an administrator made, or because the user is in a new place, multi-factor authentication must be used to reach '%s' in '%s'.",
			q.resource.ClientID, t.Name).sub("basic_action")
	}
	return refuse("interaction_required", 50079, "Because of a change that an administrator made, or because the user is in a new place, the user must register for multi-factor authentication to reach '%s' in '%s'.",
		q.resource.ClientID, t.Name).sub("basic_action")
}
