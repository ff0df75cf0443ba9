package sts

import (
	"fmt"
	"slices"
	"time"

	"gatehouse/lab/internal/conditional"
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

// unmet refuses a request that does not meet what is asked of it: a block comes
// first, then the age of the sign-in, then MFA, whoever asks for it, then the
// rest of what policies want.
func (s *Server) unmet(t *directory.Tenant, q *request, sub *subject, entry *directory.SignIn, p proof) *refusal {
	// A refresh token's second factor counts for as long as the tenant remembers
	// one.
	outdated := q.renewal && p.outdated(t, q.now)
	if outdated {
		p = p.once()
	}
	if refused := sub.suspicious(); refused != nil {
		return refused
	}
	r := s.judge(t, q, sub, p)
	_, home := sub.guestType(t)
	q.guest = home != ""
	others := demands(t, sub, q)
	entry.Demands = others
	r.note(entry, p)
	asked := len(others) > 0 || q.claims.factor(t)
	entry.MFARequired = entry.MFARequired || asked
	switch {
	case r.is(conditional.Blocked):
		return r.refusal(q, q.how)
	case sub.gdap && r.is(conditional.TermsRequired, conditional.CustomRequired):
		return passthrough(q)
	case q.renewal && r.aged(p, q.now):
		return refuse("invalid_grant", 70043, "The refresh token has expired: the user signed in on %s, and the sign-in frequency of a Conditional Access policy wants a newer sign-in.",
			p.signedIn.UTC().Format(time.RFC3339)).sub("token_expired")
	case outdated && (asked || r.wantsFactor()):
		refused := mfaRefusal(t, sub, q, r)
		refused.oauth, refused.code = "interaction_required", 50078
		refused.text = fmt.Sprintf("The multi-factor authentication of the sign-in has expired: the tenant remembers one for %d days. It must be done again to reach '%s'.", t.RememberDays, q.resource.ClientID)
		return refused
	case asked && !p.factor():
		return mfaRefusal(t, sub, q, r)
	}
	return r.refusal(q, q.how)
}

// suspicious refuses partners' people whose account is at high risk at home
// (530034).
func (sub *subject) suspicious() *refusal {
	if !sub.gdap || sub.user.Risk.Level != "high" {
		return nil
	}
	return refuse("invalid_grant", 530034, "The delegated administrator is blocked: the account is at risk in its home tenant '%s'.", sub.home.Name)
}

// passthrough refuses partners' people what they would have to do outside the
// request (50177): they have no object in the tenant to note it on.
func passthrough(q *request) *refusal {
	return refuse("invalid_grant", 50177, "'%s' asks for an external challenge, which people who come through a partner relationship cannot meet.", q.resource.Name)
}

// mfaRefusal is how a sign-in that cannot show a second factor ends: 50076
// with a registered method, 50079 without. Policies that ask too are named.
func mfaRefusal(t *directory.Tenant, sub *subject, q *request, r *ruling) *refusal {
	refused := factorRefusal(t, sub, q)
	if r.wantsFactor() {
		by := r.refusal(q, q.how)
		refused.policies, refused.claims = by.policies, by.claims
	}
	if !q.behalf {
		return refused
	}
	// The middle tier passes the challenge on: what its client brings back from
	// an interactive sign-in then satisfies the rule.
	var ids []string
	for _, d := range demands(t, sub, q) {
		ids = append(ids, directory.NameID("demand", t.ID, d.Provider))
	}
	refused.oauth = "interaction_required"
	if r.wantsFactor() {
		ids = append(ids, r.Refuse(q.how).Policies...)
	}
	if len(ids) > 0 {
		refused.claims = policyClaims(ids)
	}
	return refused
}

func factorRefusal(t *directory.Tenant, sub *subject, q *request) *refusal {
	if sub.user.Registered() {
		return refuse("invalid_grant", 50076, "Because of a change that an administrator made, or because the user is in a new place, multi-factor authentication must be used to reach '%s' in '%s'.",
			q.resource.ClientID, t.Name).sub("basic_action")
	}
	return refuse("interaction_required", 50079, "Because of a change that an administrator made, or because the user is in a new place, the user must register for multi-factor authentication to reach '%s' in '%s'.",
		q.resource.ClientID, t.Name).sub("basic_action")
}
