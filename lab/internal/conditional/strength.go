package conditional

import (
	"slices"
	"strings"

	"gatehouse/lab/internal/directory"
)

// Combinations of the built-in strengths ("Authentication strengths").
var (
	resistantCombinations    = []string{"windowsHelloForBusiness", "fido2", "x509CertificateMultiFactor"}
	passwordlessCombinations = append(slices.Clone(resistantCombinations), "deviceBasedPush")
	mfaCombinations          = append(slices.Clone(passwordlessCombinations), "temporaryAccessPassOneTime", "temporaryAccessPassMultiUse",
		"password,microsoftAuthenticatorPush", "password,softwareOath", "password,hardwareOath", "password,x509CertificateSingleFactor",
		"password,x509CertificateMultiFactor", "password,sms", "password,voice", "federatedMultiFactor", "microsoftAuthenticatorPush,federatedSingleFactor",
		"softwareOath,federatedSingleFactor", "hardwareOath,federatedSingleFactor", "sms,federatedSingleFactor", "voice,federatedSingleFactor")

	builtInStrengths = map[string][]string{
		directory.StrengthMFA:               mfaCombinations,
		directory.StrengthPasswordless:      passwordlessCombinations,
		directory.StrengthPhishingResistant: resistantCombinations,
	}
)

// methods takes a combination apart, for comparison as a set.
func methods(combination string) []string {
	out := directory.Flags(strings.ToLower(combination))
	slices.Sort(out)
	return slices.Compact(out)
}

// allows reports whether a combination is listed, in whatever order.
func allows(combinations []string, used string) bool {
	set := methods(used)
	return len(set) > 0 && slices.ContainsFunc(combinations, func(c string) bool {
		return strings.Count(c, ",") >= len(set)-1 && slices.Equal(methods(c), set)
	})
}

// strength asks whether the methods used are allowed by the authentication
// strength of a policy.
func (e *evaluation) strength(grant map[string]any) (truth, demands) {
	if e.s.legacy() {
		return no, only(demandBlock)
	}
	met := e.strengthMet(grant)
	var ask demands
	done := e.mfaDone()
	if done != no {
		ask[demandStrength] = true
	}
	if done != yes {
		ask[e.unmetMFA()] = true
	}
	return met, ask
}

func (e *evaluation) strengthMet(grant map[string]any) truth {
	named, _ := block(grant, controlStrength)
	id, _ := named["id"].(string)
	if id == "" && len(e.combinations(named, id)) == 0 {
		return e.unreadable(controlStrength)
	}
	combinations := e.combinations(named, id)
	if combinations == nil {
		return e.lack("authenticationStrength " + id)
	}
	used := e.s.AuthMethodCombination
	if used.Value == "" {
		// Without MFA no combination of two factors was used.
		if single := slices.ContainsFunc(combinations, func(c string) bool { return !allows(mfaCombinations, c) }); !single && e.mfaDone() == no {
			return no
		}
		return e.lack("authMethodCombination")
	}
	if !allows(combinations, used.Value) {
		return no
	}
	return e.configured(named, id, used.Value)
}

// combinations are those that a strength allows: as the tenant has it, as the
// policy shows it, or as it is built in. nil: not known.
func (e *evaluation) combinations(named map[string]any, id string) []string {
	for _, members := range []map[string]any{e.kept(id), named} {
		if items, isList := members["allowedCombinations"].([]any); isList {
			return append([]string{}, textsOf(items)...)
		}
	}
	return builtInStrengths[strings.ToLower(id)]
}

// kept is a strength as the tenant has it.
func (e *evaluation) kept(id string) map[string]any {
	for _, strength := range e.w.Strengths {
		if id != "" && same(strength.ID, id) {
			return strength.Members
		}
	}
	return nil
}

// configured: a strength may narrow a combination to certain keys or
// certificates; which ones were used is not known.
func (e *evaluation) configured(named map[string]any, id, used string) truth {
	members := e.kept(id)
	if members == nil {
		members = named
	}
	configurations, _ := members["combinationConfigurations"].([]any)
	for _, c := range configurations {
		configuration, _ := c.(map[string]any)
		applies, _ := configuration["appliesToCombinations"].([]any)
		if len(applies) == 0 || allows(textsOf(applies), used) {
			return e.lack("keys and certificates of authenticationStrength " + id)
		}
	}
	return yes
}
