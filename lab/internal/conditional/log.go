package conditional

import (
	"slices"
	"strings"
)

// logged is the result of a policy in the sign-in log
// (appliedConditionalAccessPolicyResult). asked is what the controls may ask
// for.
func (p *PolicyResult) logged(s *SignIn, asked demands, operator string) string {
	reportOnly := same(p.State, stateReportOnly) && !p.enforced
	name := func(result string) string {
		if reportOnly {
			return "reportOnly" + strings.ToUpper(result[:1]) + result[1:]
		}
		return result
	}
	switch {
	case same(p.State, stateDisabled):
		return "notEnabled"
	case reportOnly && s.action() != "", p.Applies == DoesNotApply: // report-only is not available for user actions
		return name("notApplied")
	case p.Applies == NotKnown, asked.uncertain() && asked[demandNone], asked[demandUnknown], !p.enforced && !reportOnly:
		return "unknown"
	case asked[demandNone]:
		return name("success")
	case reportOnly && p.interrupts(operator):
		return name("interrupted")
	}
	return name("failure")
}

// interrupts reports whether the person could meet what is unmet here and now:
// all of it, or with OR a part.
func (p *PolicyResult) interrupts(operator string) bool {
	possible := func(c control) bool {
		for d := range c.ask.each {
			if !d.interactive() {
				return false
			}
		}
		return true
	}
	if same(operator, "OR") {
		return slices.ContainsFunc(p.controls, possible)
	}
	return !slices.ContainsFunc(p.controls, func(c control) bool { return c.met == no && !possible(c) })
}

// failTerms: terms of use log a failure while MFA is still pending ("Conditional
// Access: Grant").
func (d *Decision) failTerms() {
	if !slices.Contains(d.Outstanding, controlMFA) && !slices.Contains(d.Outstanding, controlStrength) {
		return
	}
	for i := range d.Policies {
		p := &d.Policies[i]
		if p.enforced && p.Log == "success" && slices.ContainsFunc(p.controls, func(c control) bool { return c.name == controlTerms }) {
			p.Log = "failure"
		}
	}
}

// Status is conditionalAccessStatus of the sign-in.
func (d *Decision) Status() string {
	applied := slices.ContainsFunc(d.Policies, func(p PolicyResult) bool { return p.enforced && p.Applies == Applies })
	switch {
	case d.Verdict == Unknown:
		return "unknownFutureValue"
	case d.Verdict != Allowed:
		return "failure"
	case applied:
		return "success"
	}
	return "notApplied"
}

// grantNames are the controls as the sign-in log spells them.
var grantNames = map[string]string{
	controlBlock: "Block", controlMFA: "Mfa", controlCompliant: "RequireCompliantDevice", controlHybrid: "RequireDomainJoinedDevice",
	controlApprovedApp: "RequireApprovedApp", controlProtected: "RequireCompliantApp", controlPassword: "MfaAndChangePassword",
}

// sessionNames are the session controls as the sign-in log spells them.
var sessionNames = []struct{ member, name string }{
	{"applicationEnforcedRestrictions", "AppEnforcedRestrictions"}, {"cloudAppSecurity", "CloudAppSecurity"},
	{"signInFrequency", "SignInFrequency"}, {"persistentBrowser", "PersistentBrowserSessionMode"},
	{"secureSignInSession", "SecureSignInSession"}, {"continuousAccessEvaluation", "ContinuousAccessEvaluation"},
	{"disableResilienceDefaults", "DisableResilienceDefaults"},
}

// logNames are the controls of a policy as the sign-in log spells them; those
// that the log has no name for appear as in Graph.
func logNames(policy map[string]any) (grant, session []string) {
	e := &evaluation{}
	controls, _ := block(policy, "grantControls")
	for _, name := range e.list(controls, "builtInControls").items {
		if logged, known := grantNames[name]; known {
			name = logged
		}
		grant = append(grant, name)
	}
	if strength, _ := block(controls, controlStrength); strength != nil {
		name, _ := strength["displayName"].(string)
		if name == "" {
			name = controlStrength
		}
		grant = append(grant, name)
	}
	grant = append(grant, e.list(controls, "termsOfUse").items...)
	grant = append(grant, e.list(controls, "customAuthenticationFactors").items...)

	set, _ := block(policy, "sessionControls")
	for _, s := range sessionNames {
		if active(set[s.member]) {
			session = append(session, s.name)
		}
	}
	return grant, session
}

// active reports whether a session control is set and not switched off.
func active(value any) bool {
	control, isObject := value.(map[string]any)
	if !isObject {
		return value == true
	}
	enabled, given := control["isEnabled"]
	return !unset(control) && (!given || enabled != false)
}
