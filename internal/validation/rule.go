package validation

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"

	"gatehouse/internal/diagnosis"
	"gatehouse/internal/microsoft"
	"gatehouse/internal/microsoft/graph"
	"gatehouse/internal/microsoft/login"
	"gatehouse/internal/posture"
)

// ruleOfRefusal reads the rule from the refusal alone, where a code stands for
// one rule or the claims name a policy. A bare demand for MFA names none.
func ruleOfRefusal(err error, app string) *diagnosis.Rule {
	var e *microsoft.Error
	if !errors.As(err, &e) {
		return nil
	}
	if id := policyInClaims(e.Claims); id != "" {
		return &diagnosis.Rule{Kind: diagnosis.ConditionalAccess, ID: &id}
	}
	if slices.Contains(policyCodes, e.Code) {
		return &diagnosis.Rule{Kind: diagnosis.ConditionalAccess}
	}
	switch e.Code {
	case "AADSTS65001", "AADSTS90094", "AADSTS90093", "AADSTS90095", "AADSTS90099":
		return &diagnosis.Rule{Kind: diagnosis.Consent, Name: text(app)}
	case "AADSTS50105":
		return &diagnosis.Rule{Kind: diagnosis.UserAssignment, Name: text(app)}
	case "AADSTS530035":
		rule := posture.Rule(diagnosis.SecurityDefaults)
		return &rule
	case "AADSTS50158":
		return &diagnosis.Rule{Kind: diagnosis.ExternalMFA}
	case "AADSTS70043", "AADSTS70044":
		return &diagnosis.Rule{Kind: diagnosis.SignInFrequency}
	case login.CodeFederatedRealm:
		rule := posture.Rule(diagnosis.Federation)
		return &rule
	}
	return nil
}

// policyInClaims finds the id of the policy that a claims challenge names:
// capolids or polids (entra-sign-in §4.3).
func policyInClaims(claims string) string {
	var challenge struct {
		AccessToken map[string]struct {
			Values []string `json:"values"`
		} `json:"access_token"`
	}
	if json.Unmarshal([]byte(claims), &challenge) != nil {
		return ""
	}
	for _, member := range []string{"capolids", "polids"} {
		if values := challenge.AccessToken[member].Values; len(values) > 0 {
			return values[0]
		}
	}
	return ""
}

// policyCodes are the codes with which Conditional Access refuses.
var policyCodes = []string{"AADSTS53003", "AADSTS53000", "AADSTS53001", "AADSTS53002", "AADSTS53009", "AADSTS530031", "AADSTS530032"}

// wantsRule reports whether a sign-in was refused by a rule that the refusal
// need not name: for want of a second factor or its registration, behind which
// any of the enforcers may stand, or by one of the Conditional Access policies.
func wantsRule(err error) bool {
	var e *microsoft.Error
	return errors.As(err, &e) && slices.Contains(append([]string{"AADSTS50076", "AADSTS50079", "AADSTS50072", "AADSTS50074"}, policyCodes...), e.Code)
}

// decideRule names the rule behind a demand for MFA. In order of trust: the
// policy that the refusal itself names, the sign-in log's own account of who
// demanded it, the posture.
func decideRule(named *diagnosis.Rule, findings []posture.Finding, entry *graph.SignIn, clientID string, p *Probe) *diagnosis.Rule {
	if named != nil && named.ID != nil {
		p.set(Fail, "the refusal itself names the policy")
		return named
	}
	var demanding []diagnosis.Rule
	source := "the sign-in log names the rule"
	if entry != nil {
		demanding = rulesOfLog(entry, clientID)
	}
	if named != nil { // Conditional Access, but which policy?
		for _, rule := range demanding {
			if rule.Kind == named.Kind && rule.ID != nil {
				p.set(Fail, "%s", source)
				return &rule
			}
		}
		p.set(Fail, "a Conditional Access policy refused the sign-in; which one, the log has not told yet")
		return named
	}
	if len(demanding) == 0 {
		source = "the tenant's rules, as they were read"
		for _, f := range findings {
			if f.Effect == posture.Demands {
				demanding = append(demanding, f.Rule)
			}
		}
	}
	if len(demanding) == 0 {
		// Something that was not read or is not evaluated demanded it.
		judgePosture(p, findings)
		if p.State != NotKnown {
			p.set(NotKnown, "none of the rules that were read explains the demand for MFA")
		}
		return nil
	}
	if len(demanding) > 1 {
		p.Evidence["also_demanded_by"] = demanding[1:]
	}
	p.Evidence["rule_from"] = source
	why := source
	for _, f := range findings {
		if f.Rule.Kind == demanding[0].Kind && f.Effect == posture.Demands {
			why = f.Why
		}
	}
	p.set(Fail, "%s", why)
	return &demanding[0]
}

// rulesOfLog reads who demanded MFA from a sign-in log entry. Providers:
// authenticationRequirementPolicies of the beta signIn resource.
func rulesOfLog(entry *graph.SignIn, clientID string) []diagnosis.Rule {
	var out []diagnosis.Rule
	for _, policy := range entry.AppliedConditionalAccessPolicies {
		if strings.EqualFold(policy.Result, "failure") {
			out = append(out, diagnosis.Rule{Kind: diagnosis.ConditionalAccess, ID: text(policy.ID), Name: text(policy.DisplayName)})
		}
	}
	for _, demand := range entry.AuthenticationRequirementPolicies {
		var kind diagnosis.RuleKind
		switch demand.RequirementProvider {
		case "securityDefaults", "mfaRegistrationRequiredBySecurityDefaults", "baselineProtection", "mfaRegistrationRequiredByBaselineProtection":
			kind = diagnosis.SecurityDefaults
		case "user":
			kind = diagnosis.PerUserMFA
		case "multiConditionalAccess", "v1ConditionalAccess", "mfaRegistrationRequiredByMultiConditionalAccess", "authenticationStrengths":
			kind = diagnosis.ConditionalAccess
		case "servicePrincipal", "request":
			// The app or the request demanded it: for the apps that mandatory MFA
			// covers, that is what it is.
			if posture.MandatoryApp(clientID) {
				kind = diagnosis.MandatoryMFA
			}
		}
		if kind != "" && !slices.ContainsFunc(out, func(r diagnosis.Rule) bool { return r.Kind == kind }) {
			out = append(out, posture.Rule(kind))
		}
	}
	return out
}

// rediagnose renews the diagnosis of a refused token with what was learnt
// since: the rule, whether a factor is registered, the app's name.
func (r *run) rediagnose() {
	if r.tokenErr == nil {
		return
	}
	if r.rule != nil && r.rule.Name == nil && (r.rule.Kind == diagnosis.Consent || r.rule.Kind == diagnosis.UserAssignment) {
		r.rule.Name = text(r.facts.ClientName)
	}
	for i := range r.probes {
		if p := &r.probes[i]; p.Name == ProbeToken && p.Diagnosis != nil {
			d := diagnosis.Of(r.tokenErr, r.withRule())
			p.Diagnosis = &d
		}
	}
}
