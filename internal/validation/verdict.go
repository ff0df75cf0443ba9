package validation

import "slices"

// blocking are the categories in which a rule or a decision of the tenant
// says no.
var blocking = []string{
	"mfa_required", "mfa_enrollment", "conditional_access_block", "conditional_access_device", "consent_user", "consent_admin",
	"user_not_assigned", "license_missing", "legacy_auth_blocked", "ropc_unsupported_federated", "permission_missing", "reauth_required",
}

// result sums up the probes. The first probe that failed decides; the posture
// probe only says which rule it was.
func (r *run) result() Result {
	result := Result{Verdict: Works, Rule: r.rule, Probes: r.probes, Outcome: r.outcome, Hosts: r.hosts}
	if r.tokenErr == nil && r.serviceErr == nil && !slices.ContainsFunc(r.probes, func(p Probe) bool { return p.State == Fail }) {
		result.Rule = nil
		if slices.ContainsFunc(r.probes, func(p Probe) bool { return p.Name == ProbeService && p.State == NotKnown }) {
			result.Verdict = Unknown // a service that was asked for was not reached
			return result
		}
		for _, p := range r.probes {
			if p.State == Warning {
				result.Verdict = WorksWithWarnings
				break
			}
		}
		return result
	}
	for _, p := range r.probes {
		if p.Diagnosis == nil || p.Name == ProbePosture || p.Name == ProbeRegistration || p.Name == ProbeAccount {
			continue
		}
		if p.State == Fail || p.State == NotKnown {
			result.Diagnosis = p.Diagnosis
			switch {
			case p.State == NotKnown:
				result.Verdict = Unknown
			case slices.Contains(blocking, p.Diagnosis.Category):
				result.Verdict = Blocked
			default:
				result.Verdict = Failed
			}
			return result
		}
	}
	result.Verdict = Unknown
	return result
}
