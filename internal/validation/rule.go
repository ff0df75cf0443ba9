package validation

import (
	"encoding/json"
	"errors"
	"fmt"
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
	if posture.OfPolicy(e.Code) {
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

// source is where the rule behind a refusal was learnt. In order of trust.
type source string

const (
	fromRefusal source = "the refusal itself names the policy"
	fromLog     source = "the sign-in log names the rule"
	fromRules   source = "the tenant's rules, as they were read"
	fromCode    source = "the code alone; which policy or provider asks, nothing tells"
)

// verdict on which rule refused a sign-in, and how sure that is.
type decision struct {
	rule       *diagnosis.Rule
	from       source
	confidence diagnosis.Confidence
	finding    *posture.Finding  // what the evaluation says of the rule; nil: nothing
	others     []posture.Finding // what stands behind it
}

// decideRule names the rule behind a refusal. In order of trust: the policy
// that the refusal itself names, the sign-in log's own account of who demanded
// it, the evaluation of the tenant's rules, the code. What only says that it is
// Conditional Access leaves it to the next one which policy.
func decideRule(named *diagnosis.Rule, code string, outcome posture.Outcome, logged []diagnosis.Rule) decision {
	from := fromCode
	if named == nil && len(logged) > 0 {
		named, from = first(logged, outcome), fromLog
	}
	var d decision
	switch i := slices.IndexFunc(logged, func(r diagnosis.Rule) bool { return named != nil && r.Kind == named.Kind && r.ID != nil }); {
	case named != nil && named.ID != nil && from == fromCode:
		d = decision{rule: named, from: fromRefusal, confidence: diagnosis.High}
	case named != nil && named.Kind != diagnosis.ConditionalAccess:
		d = decision{rule: named, from: fromLog, confidence: diagnosis.High}
	case i >= 0:
		d = decision{rule: &logged[i], from: fromLog, confidence: diagnosis.High}
	default:
		d = fromEvaluation(named, from, code, outcome)
	}
	for i, f := range outcome.Findings {
		if same(d.rule, f.Rule) && f.Effect != posture.DoesNot {
			d.finding = &outcome.Findings[i]
		} else if f.Stops() {
			d.others = append(d.others, f)
		}
	}
	return d
}

// first gives, of the rules that the log names, the one that stands first by what
// was read: with it out of the way the others come in their order.
func first(logged []diagnosis.Rule, outcome posture.Outcome) *diagnosis.Rule {
	for _, f := range outcome.Findings {
		for i := range logged {
			if f.Stops() && (same(&logged[i], f.Rule) || logged[i].ID == nil && f.Rule.Kind == logged[i].Kind) {
				return &logged[i]
			}
		}
	}
	return &logged[0]
}

// fromEvaluation takes the first rule that stops the sign-in for certain in the
// way that the code says; without one, the only rule that might. Where the kind
// is named, only rules of that kind count, and without any it is all there is.
func fromEvaluation(named *diagnosis.Rule, from source, code string, outcome posture.Outcome) decision {
	var certain, open []posture.Finding
	for _, f := range outcome.Findings {
		switch {
		case !f.Explains(code), named != nil && f.Rule.Kind != named.Kind, f.Rule.Kind == diagnosis.ConditionalAccess && f.Rule.ID == nil:
		case f.Stops():
			certain = append(certain, f)
		default:
			open = append(open, f)
		}
	}
	switch {
	case len(certain) == 1 && len(open) == 0:
		return decision{rule: &certain[0].Rule, from: fromRules, confidence: diagnosis.High}
	case len(certain) > 0:
		return decision{rule: &certain[0].Rule, from: fromRules, confidence: diagnosis.Medium}
	case len(open) == 1:
		return decision{rule: &open[0].Rule, from: fromRules, confidence: diagnosis.Medium}
	case named == nil:
		return decision{}
	}
	return decision{rule: &diagnosis.Rule{Kind: named.Kind}, from: from, confidence: diagnosis.High}
}

// same reports whether a finding is about the rule.
func same(rule *diagnosis.Rule, of diagnosis.Rule) bool {
	switch {
	case rule == nil || rule.Kind != of.Kind:
		return false
	case rule.ID == nil || of.ID == nil:
		return rule.ID == nil && of.ID == nil
	}
	return strings.EqualFold(*rule.ID, *of.ID)
}

// judgeRefusal writes what was decided into the posture probe, also where the
// evaluation sees it in another way than Microsoft does.
func (r *run) judgeRefusal(p *Probe, code string, outcome posture.Outcome, logged []diagnosis.Rule) {
	named := r.rule
	if named != nil && named.Kind == diagnosis.ExternalMFA {
		named = nil // the code also stands for terms of use and custom controls of a policy
	}
	d := decideRule(named, code, outcome, logged)
	if d.rule == nil && r.rule != nil {
		d = decision{rule: r.rule, from: fromCode, confidence: diagnosis.Medium}
	}
	r.rule = d.rule
	r.namePolicy()
	if r.rule == nil {
		// Something that was not read, or cannot be read, demanded it.
		judgePosture(p, outcome.Findings)
		if p.State != NotKnown {
			p.set(NotKnown, "none of the rules that were read explains the refusal")
		}
		return
	}
	p.Evidence["rule_from"], p.Evidence["confidence"] = string(d.from), string(d.confidence)
	r.facts.Confidence = d.confidence
	why := string(d.from)
	if d.finding != nil {
		why = posture.Sentence(*d.finding)
		r.facts.Because = d.finding.Because
		if d.finding.Rule.Kind == diagnosis.ConditionalAccess {
			r.facts.Why = d.finding.Why
		}
	} else if contradiction := r.contradiction(d, outcome); contradiction != "" {
		p.Evidence["disagrees"] = contradiction
	}
	if len(d.others) > 0 {
		p.Evidence["also_demanded_by"] = rulesOf(d.others)
	}
	p.set(Fail, "%s", why)
}

// contradiction says that the rules, as they were read, do not explain what
// Microsoft says of the rule. Nothing is hidden: one of the two views is old or
// incomplete.
func (r *run) contradiction(d decision, outcome posture.Outcome) string {
	if d.from != fromRefusal && d.from != fromLog || r.rule.Kind != diagnosis.ConditionalAccess || r.rule.ID == nil || r.snapshot.Policies == nil {
		return ""
	}
	for _, f := range slices.Concat(outcome.Others, outcome.Findings) {
		if same(r.rule, f.Rule) {
			return "by what was read the policy does not stop this sign-in (" + f.Why + "): it was changed since, or looks at something that is not known here"
		}
	}
	for _, policy := range r.snapshot.Policies {
		if strings.EqualFold(policy.ID, *r.rule.ID) {
			return fmt.Sprintf("by what was read the policy is not enforced (%s): it was changed since", policy.State)
		}
	}
	return "the policy is not among those that were read: it is newer than the reading, or deleted since"
}

func rulesOf(findings []posture.Finding) []diagnosis.Rule {
	var out []diagnosis.Rule
	for _, f := range findings {
		out = append(out, f.Rule)
	}
	return out
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
