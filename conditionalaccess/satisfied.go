package conditionalaccess

import (
	"slices"
	"strings"
)

// methods is a set of authentication methods used together.
type methods uint32

// methodCodes are Graph's authenticationMethodModes.
var methodCodes = anyCase(map[string]methods{
	"password": 1 << 0, "voice": 1 << 1, "hardwareOath": 1 << 2, "softwareOath": 1 << 3, "sms": 1 << 4,
	"fido2": 1 << 5, "windowsHelloForBusiness": 1 << 6, "microsoftAuthenticatorPush": 1 << 7,
	"deviceBasedPush": 1 << 8, "temporaryAccessPassOneTime": 1 << 9, "temporaryAccessPassMultiUse": 1 << 10,
	"email": 1 << 11, "x509CertificateSingleFactor": 1 << 12, "x509CertificateMultiFactor": 1 << 13,
	"federatedSingleFactor": 1 << 14, "federatedMultiFactor": 1 << 15, "qrCodePin": 1 << 16,
})

const (
	// strongMethods are MFA by themselves.
	strongMethods methods = 1<<5 | 1<<6 | 1<<8 | 1<<9 | 1<<10 | 1<<13 | 1<<15
	// firstMethods and secondMethods are MFA together.
	firstMethods  methods = 1<<0 | 1<<12 | 1<<14
	secondMethods methods = 1<<1 | 1<<2 | 1<<3 | 1<<4 | 1<<7
	unknownMethod methods = 1 << 31
	otherMethod   methods = 1 << 30 // one that no strength names, assumed
)

// multi reports whether a combination is MFA.
func (m methods) multi() bool {
	return m&strongMethods != 0 || m&firstMethods != 0 && m&secondMethods != 0
}

// combinationCodes are the usual combinations, ready made.
var combinationCodes = func() map[string]methods {
	codes := map[string]methods{"password": splitMethods("password")}
	for _, s := range builtInStrengths["00000000-0000-0000-0000-000000000002"] {
		codes[s] = splitMethods(s)
	}
	return codes
}()

// parseMethods reads a combination: a comma-joined set, blanks ignored.
func parseMethods(s string) methods {
	if m, ok := combinationCodes[s]; ok {
		return m
	}
	return splitMethods(s)
}

func splitMethods(s string) methods {
	var m methods
	for part := range strings.SplitSeq(s, ",") {
		part = strings.TrimSpace(part)
		if code, ok := fold(methodCodes, part); ok {
			m |= code
		} else if part != "" {
			m |= unknownMethod
		}
	}
	return m
}

// builtInStrengths are the strengths that every tenant has (§3), for policies
// that only name them.
var builtInStrengths = map[string][]string{
	"00000000-0000-0000-0000-000000000002": {
		"windowsHelloForBusiness", "fido2", "x509CertificateMultiFactor", "deviceBasedPush",
		"temporaryAccessPassOneTime", "temporaryAccessPassMultiUse", "federatedMultiFactor",
		"password,microsoftAuthenticatorPush", "password,softwareOath", "password,hardwareOath", "password,sms",
		"password,voice", "microsoftAuthenticatorPush,federatedSingleFactor", "softwareOath,federatedSingleFactor",
		"hardwareOath,federatedSingleFactor", "sms,federatedSingleFactor", "voice,federatedSingleFactor",
	},
	"00000000-0000-0000-0000-000000000003": {
		"windowsHelloForBusiness", "fido2", "x509CertificateMultiFactor", "deviceBasedPush",
	},
	"00000000-0000-0000-0000-000000000004": {"windowsHelloForBusiness", "fido2", "x509CertificateMultiFactor"},
}

// satisfiedFacts are what the sign-in did already.
type satisfiedFacts struct {
	mfa    tri
	demand ask // if MFA is not done: MFA, or registration first
	// used is the combination of methods, if usedKnown.
	used      methods
	usedKnown bool
	none      bool // no method is registered
}

// weakMethods are registered methods that are no second factor.
var weakMethods = []string{"password", "email", "securityQuestion"}

func (c *Compiled) gatherSatisfied(f *facts) {
	s := &f.satisfied
	si := f.si
	*s = satisfiedFacts{mfa: maybe, demand: askMFA}
	if si.AuthMethodCombination.given() {
		s.used, s.usedKnown = parseMethods(si.AuthMethodCombination.Value), true
	}
	if si.Satisfied.given() {
		s.mfa = no
		for _, have := range si.Satisfied.Value {
			switch {
			case have == "password": // by far the most frequent
			case have == "mfa", strings.EqualFold(have, "mfa"), methodCodes[have].multi():
				s.mfa = yes
			case c.options.InboundTrust.MFA && strings.EqualFold(have, "homeTenantMfa"):
				s.mfa = yes
			}
		}
	}
	if s.used.multi() {
		s.mfa = yes
	}
	s.none = si.MethodsRegistered.given() && !slices.ContainsFunc(si.MethodsRegistered.Value, func(m string) bool {
		return !containsFold(weakMethods, m)
	})
	c.gatherDemand(f)
}

// gatherDemand says what a demand for MFA comes to. Without a method
// registration comes first, which is not to be had where MFA is asked for it;
// users of direct connect have no account here that could do MFA, and need
// inbound trust (§3).
func (c *Compiled) gatherDemand(f *facts) {
	s := &f.satisfied
	s.demand = askMFA
	switch {
	case f.direct && !c.options.InboundTrust.MFA:
		s.demand = askBlock
	case s.none && f.target == targetAction && f.security:
		s.demand = askRegistrationPlace
	case s.none:
		s.demand = askRegistration
	}
}

// strength evaluates an authentication strength. A combination that is not
// allowed asks for MFA as long as none was done (CONTRACTS: mfa_required).
func (s *satisfiedFacts) strength(k *control) outcome {
	var unmet asks
	var missing members
	switch s.mfa {
	case yes:
		unmet = askStrength.set()
	case no:
		unmet = s.demand.set()
	default:
		unmet = askStrength.set() | s.demand.set()
		missing = mSatisfied.set()
	}
	t := s.allows(k)
	switch t {
	case yes:
		return outcome{asks: askNothing.set()}
	case no:
		return outcome{asks: unmet, missing: missing}
	}
	missing |= mCombination.set()
	if !k.defined {
		missing = missing&^mCombination.set() | mStrength.set()
	}
	return outcome{asks: askNothing.set() | unmet, missing: missing}
}

// allows says whether the combination used is allowed.
func (s *satisfiedFacts) allows(k *control) tri {
	switch {
	case !k.defined:
		return maybe
	case s.usedKnown && slices.Contains(k.allowed, s.used):
		if slices.Contains(k.restricted, s.used) || s.used&unknownMethod != 0 {
			return maybe
		}
		return yes
	case s.usedKnown:
		return no
	case s.mfa == no:
		// What was used is no MFA; only a strength that allows such can be met.
		for _, m := range k.allowed {
			if !m.multi() {
				return maybe
			}
		}
		return no
	}
	return maybe
}

// has says whether a control was satisfied, by the name of its kind or by its
// id.
func (f *facts) has(k *control) tri {
	if !f.si.Satisfied.given() {
		return maybe
	}
	for _, have := range f.si.Satisfied.Value {
		if strings.EqualFold(have, k.name) || k.id != "" && strings.EqualFold(have, k.id) {
			return yes
		}
		if k.kind == controlCustom && strings.EqualFold(have, "customAuthenticationFactor") {
			return yes
		}
	}
	return no
}
