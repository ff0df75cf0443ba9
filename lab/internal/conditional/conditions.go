package conditional

import (
	"slices"
)

// Values of whatIfAnalysisReasons.
const (
	reasonNotSet    = "notSet"
	reasonTooLittle = "notEnoughInformation"
	reasonUsers     = "users"
	reasonWorkloads = "workloadIdentities"
	reasonInvalid   = "invalidPolicy"
	reasonEmpty     = "emptyPolicy"

	reasonApplication = "application"
	reasonUserActions = "userActions"
	reasonContext     = "authenticationContext"
)

// conditions in the order in which they are tested: that of the reasons in
// Graph's enumeration, as the true order is not documented. A policy applies if
// all hold; one that is not configured holds.
var conditions = []struct {
	reason string
	holds  func(*evaluation, map[string]any) truth
}{
	{reasonUsers, (*evaluation).who},
	{reasonApplication, (*evaluation).what},
	{"devicePlatform", (*evaluation).platform},
	{"devices", (*evaluation).devices},
	{"clientApps", (*evaluation).client},
	{"location", (*evaluation).where},
	{"signInRisk", (*evaluation).signInRisk},
	{"signInRisk", (*evaluation).principalRisk}, // Graph has no reason of its own for it
	{"userRisk", (*evaluation).userRisk},
	{"insiderRisk", (*evaluation).insiderRisk},
	{"authenticationFlow", (*evaluation).flow},
	{"invalidCondition", (*evaluation).others},
}

// others finds conditions that the evaluator does not know: what they would say
// is not known either.
func (e *evaluation) others(conditions map[string]any) truth {
	include, exclude := e.strange(conditions, "users", "clientApplications", "applications", "platforms", "devices", "clientAppTypes", "locations",
		"signInRiskLevels", "servicePrincipalRiskLevels", "userRiskLevels", "insiderRiskLevels", "authenticationFlows")
	return not(or(include, exclude))
}

// applies asks whether the policy is for the sign-in; reason is the first
// condition that is not met.
func (e *evaluation) applies(policy map[string]any) (result truth, reason string, missing []string) {
	set, torn := block(policy, "conditions")
	switch {
	case torn:
		e.unreadable("conditions")
		return maybe, reasonTooLittle, e.missing
	case unset(set):
		return no, reasonInvalid, nil // Graph keeps no such policy
	case unset(set["users"]) && unset(set["clientApplications"]), unset(set["applications"]):
		return no, reasonEmpty, nil
	}
	result, reason = yes, reasonNotSet
	for _, c := range conditions {
		e.missing = nil
		holds := c.holds(e, set)
		if holds == maybe {
			missing = append(missing, e.missing...)
		}
		if result != no && holds == no {
			reason = e.name(c.reason)
		}
		result = and(result, holds)
	}
	if !unset(policy["partialEnablementStrategy"]) {
		missing = append(missing, "policy member partialEnablementStrategy")
		result = and(result, maybe)
	}
	switch result {
	case yes:
		return result, reasonNotSet, nil
	case maybe:
		slices.Sort(missing)
		return result, reasonTooLittle, slices.Compact(missing)
	}
	return no, reason, nil
}

// name says which of the reasons of a kind it is.
func (e *evaluation) name(reason string) string {
	switch {
	case reason == reasonUsers && e.s.workload():
		return reasonWorkloads
	case reason == reasonApplication:
		return e.s.target()
	}
	return reason
}
