package conditionalaccess

import (
	"fmt"
	"slices"
	"strings"
)

// controlKind orders controls as unmet ones are asked for
// (conditional-access-evaluation §3.4).
type controlKind uint8

const (
	controlBlock controlKind = iota
	controlMFA
	controlStrength
	controlCompliantDevice
	controlHybridDevice
	controlApprovedApp
	controlCompliantApp
	controlPasswordChange
	controlRiskRemediation
	controlTerms
	controlCustom
	controlUnknown
)

var controlNames = [...]string{
	controlBlock: "block", controlMFA: "mfa", controlStrength: "authenticationStrength",
	controlCompliantDevice: "compliantDevice", controlHybridDevice: "domainJoinedDevice",
	controlApprovedApp: "approvedApplication", controlCompliantApp: "compliantApplication",
	controlPasswordChange: "passwordChange", controlRiskRemediation: "riskRemediation",
	controlTerms: "termsOfUse",
}

var controlKinds = map[string]controlKind{
	"block": controlBlock, "mfa": controlMFA, "compliantDevice": controlCompliantDevice,
	"domainJoinedDevice": controlHybridDevice, "approvedApplication": controlApprovedApp,
	"compliantApplication": controlCompliantApp, "passwordChange": controlPasswordChange,
	"riskRemediation": controlRiskRemediation,
}

// A control is one demand of a policy.
type control struct {
	kind controlKind
	name string // as it is named when outstanding
	id   string // of terms of use, a custom factor or an unknown control
	// allowed and restricted are the combinations of a strength.
	allowed, restricted []methods
	defined             bool // the combinations are known
}

// A grantClass is what the policies with the same controls demand.
type grantClass struct {
	all      bool
	controls []control
}

// An outcome is what may come out of a class for a sign-in.
type outcome struct {
	asks    asks
	missing members
	unmet   uint64 // the controls that are certainly not met, by position
}

// compileGrant gives the class of some controls, -1 if nothing is demanded.
func (c *Compiled) compileGrant(g *GrantControls, strengths map[string]*AuthenticationStrength, classes map[string]int) int {
	if g == nil {
		return -1
	}
	// A block stands above the operator (§3.2).
	class := grantClass{all: g.All || slices.Contains(g.BuiltIn, "block")}
	for _, b := range g.BuiltIn {
		class.controls = append(class.controls, control{kind: controlKinds[b], name: b})
	}
	if g.Strength != nil {
		class.controls = append(class.controls, strengthControl(g.Strength, strengths))
	}
	for _, t := range g.TermsOfUse {
		class.controls = append(class.controls, control{kind: controlTerms, name: controlNames[controlTerms], id: t})
	}
	for _, f := range g.CustomFactors {
		class.controls = append(class.controls, control{kind: controlCustom, name: f, id: f})
	}
	for _, u := range g.Unknown {
		class.controls = append(class.controls, control{kind: controlUnknown, name: u, id: u})
	}
	slices.SortStableFunc(class.controls, func(a, b control) int { return int(a.kind) - int(b.kind) })
	key := fmt.Sprintf("%v %v", class.all, class.controls)
	i, ok := classes[key]
	if !ok {
		i = len(c.classes)
		classes[key] = i
		c.classes = append(c.classes, class)
	}
	return i
}

// strengthControl resolves a strength: as the policy spells it out, as it was
// supplied, or as it is built in.
func strengthControl(s *AuthenticationStrength, strengths map[string]*AuthenticationStrength) control {
	k := control{kind: controlStrength, name: controlNames[controlStrength]}
	id := strings.ToLower(s.ID)
	if s.Combinations == nil && strengths[id] != nil {
		s = strengths[id]
	}
	combinations := s.Combinations
	if combinations == nil {
		combinations = builtInStrengths[id]
	}
	k.defined = combinations != nil
	for _, combination := range combinations {
		k.allowed = append(k.allowed, parseMethods(combination))
	}
	for _, combination := range s.Restricted {
		k.restricted = append(k.restricted, parseMethods(combination))
	}
	return k
}

// demand says what may come out of a class. A client that is not known counts
// as a modern one.
func (c *Compiled) demand(class *grantClass, f *facts) outcome {
	client := clientModern
	if f.client&^legacy == 0 {
		client = f.client
	}
	if class.all {
		out := outcome{asks: askNothing.set()}
		for i := range class.controls {
			got := c.meet(&class.controls[i], f, client)
			out.asks = both(out.asks, got.asks)
			out.missing |= got.missing
			if got.asks&askNothing.set() == 0 {
				out.unmet |= 1 << i
			}
		}
		return out
	}
	// One control is enough. Which of the unmet ones is asked for: the first
	// that can be met at all.
	var out outcome
	var open, dead asks                          // of controls that can be met, and of others
	weakest, firstDead := askNothing, askNothing // their bounds
	allUnmet := true
	for i := range class.controls {
		got := c.meet(&class.controls[i], f, client)
		out.missing |= got.missing
		switch {
		case got.asks == askNothing.set():
			return got
		case got.asks&askNothing.set() != 0:
			allUnmet = false
		default:
			out.unmet |= 1 << i
		}
		if never := got.asks & impossible; never != 0 {
			dead |= never
			firstDead = min(firstDead, never.weakest())
		}
		if rest := got.asks &^ (impossible | askNothing.set()); rest != 0 {
			open |= rest
			if got.asks&impossible == 0 {
				weakest = min(weakest, rest.weakest())
			}
		}
	}
	out.asks = open & upTo(weakest)
	if weakest == askNothing {
		out.asks |= dead & upTo(firstDead)
	}
	if !allUnmet {
		out.asks |= askNothing.set()
	}
	return out
}

// meet says what may come out of one control.
func (c *Compiled) meet(k *control, f *facts, client int) outcome {
	if client != clientModern {
		return c.meetLegacy(k, f, client)
	}
	switch k.kind {
	case controlBlock:
		return outcome{asks: askBlock.set()}
	case controlMFA:
		return orElse(f.satisfied.mfa, f.satisfied.demand, mSatisfied.set())
	case controlStrength:
		return f.satisfied.strength(k)
	case controlCompliantDevice:
		return c.device(f, k, compliantExpression, askCompliantDevice, c.options.InboundTrust.CompliantDevice)
	case controlHybridDevice:
		return c.device(f, k, hybridExpression, askHybridDevice, c.options.InboundTrust.HybridJoinedDevice)
	case controlUnknown:
		if f.has(k) == yes {
			return outcome{asks: askNothing.set()}
		}
		return outcome{asks: askNothing.set() | askUnknown.set(), missing: mControl.set()}
	}
	unmet := [...]ask{
		controlApprovedApp: askApprovedApp, controlCompliantApp: askAppProtection,
		controlPasswordChange: askPasswordChange, controlRiskRemediation: askPasswordChange,
		controlTerms: askTerms, controlCustom: askCustom,
	}[k.kind]
	if f.external && k.kind <= controlRiskRemediation {
		unmet = askBlock // not supported for external users (§3)
	}
	return orElse(f.has(k), unmet, mSatisfied.set())
}

// meetLegacy: clients without modern authentication can neither do MFA nor
// send a device's state, nor show terms of use or a custom factor (§2.3), be
// they accepted elsewhere. ActiveSync sends the user on to an approved app.
func (c *Compiled) meetLegacy(k *control, f *facts, client int) outcome {
	switch k.kind {
	case controlBlock, controlMFA, controlStrength, controlCompliantDevice, controlHybridDevice, controlTerms, controlCustom:
		return outcome{asks: askBlock.set()}
	case controlUnknown:
		return c.meet(k, f, clientModern)
	}
	unmet := askBlock
	if client == clientActiveSync && k.kind == controlApprovedApp && !f.external {
		unmet = askApprovedApp
	}
	return orElse(f.has(k), unmet, mSatisfied.set())
}

// device evaluates a device control. It cannot be met in the device code flow,
// nor by an external user unless the tenant trusts the user's (§3).
func (c *Compiled) device(f *facts, k *control, e *expression, unmet ask, trusted bool) outcome {
	foreign := f.external && !trusted
	if foreign {
		unmet = askBlock
	}
	switch {
	case f.deviceCode:
		return outcome{asks: unmet.set()}
	case f.si.Satisfied.given() && f.has(k) == yes:
		return outcome{asks: askNothing.set()}
	case foreign:
		return outcome{asks: unmet.set()}
	}
	t, missing := e.eval(&subject{device: f.device})
	return orElse(t, unmet, missing)
}

// orElse is what comes out of a control that is met as t says.
func orElse(t tri, unmet ask, missing members) outcome {
	switch t {
	case yes:
		return outcome{asks: askNothing.set()}
	case no:
		return outcome{asks: unmet.set()}
	}
	return outcome{asks: askNothing.set() | unmet.set(), missing: missing}
}
