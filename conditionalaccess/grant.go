package conditionalaccess

import (
	"fmt"
	"math/bits"
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

// verdicts is a set of verdicts that may come out.
type verdicts uint16

func (v Verdict) set() verdicts { return 1 << v }

// strongest and weakest give the ends of a set that is not empty.
func (s verdicts) strongest() Verdict { return Verdict(bits.TrailingZeros16(uint16(s))) }
func (s verdicts) weakest() Verdict   { return Verdict(15 - bits.LeadingZeros16(uint16(s))) }

// upTo gives the verdicts that are at least as strong as v.
func upTo(v Verdict) verdicts { return v.set()<<1 - 1 }

// both is what may come out if two demands must be met: the stronger of any
// two.
func both(a, b verdicts) verdicts {
	return (a | b) & upTo(min(a.weakest(), b.weakest()))
}

// An outcome is what may come out of a class for a sign-in.
type outcome struct {
	verdicts verdicts
	missing  members
	unmet    uint64 // the controls that are certainly not met, by position
}

// compileGrant gives the class of some controls, -1 if nothing is demanded.
func (c *Compiled) compileGrant(g *GrantControls, strengths map[string]*AuthenticationStrength, classes map[string]int) int {
	if g == nil {
		return -1
	}
	class := grantClass{all: g.All}
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

// demand says what may come out of a class.
func (c *Compiled) demand(class *grantClass, f *facts) outcome {
	var out outcome
	kinds := 0
	for _, client := range [...]int{clientModern, clientActiveSync, clientOther} {
		if client == clientModern && f.client&^legacy == 0 || client != clientModern && f.client&client == 0 {
			continue
		}
		got := c.demandOf(class, f, client)
		if kinds++; kinds == 1 {
			out = got
			continue
		}
		if got.verdicts != out.verdicts {
			out.missing |= mClientApp.set()
		}
		out.verdicts |= got.verdicts
		out.missing |= got.missing
		out.unmet &= got.unmet
	}
	return out
}

// demandOf says what may come out for one kind of client.
func (c *Compiled) demandOf(class *grantClass, f *facts, client int) outcome {
	if class.all {
		out := outcome{verdicts: Allowed.set()}
		for i := range class.controls {
			got := c.meet(&class.controls[i], f, client)
			out.verdicts = both(out.verdicts, got.verdicts)
			out.missing |= got.missing
			if got.verdicts&Allowed.set() == 0 {
				out.unmet |= 1 << i
			}
		}
		return out
	}
	// One control is enough. Which of the unmet ones is asked for: the first
	// that can be met at all.
	const unmet = ^verdicts(1 << Allowed)
	var out outcome
	var open verdicts  // of controls that can be met
	dead := false      // some control may be impossible to meet
	weakest := Allowed // bound for the open ones
	allUnmet, done := true, false
	for i := range class.controls {
		got := c.meet(&class.controls[i], f, client)
		out.missing |= got.missing
		switch {
		case got.verdicts == Allowed.set():
			done = true
		case got.verdicts&Allowed.set() != 0:
			allUnmet = false
		default:
			out.unmet |= 1 << i
		}
		rest := got.verdicts & unmet
		dead = dead || rest&Blocked.set() != 0
		if rest &^= Blocked.set(); rest != 0 {
			open |= rest
			if got.verdicts&Blocked.set() == 0 {
				weakest = min(weakest, rest.weakest())
			}
		}
	}
	if done {
		return outcome{verdicts: Allowed.set()}
	}
	out.verdicts = open & upTo(weakest)
	if dead && weakest == Allowed {
		out.verdicts |= Blocked.set()
	}
	if !allUnmet {
		out.verdicts |= Allowed.set()
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
		return outcome{verdicts: Blocked.set()}
	case controlMFA:
		return f.satisfied.orElse(f.satisfied.mfa, f.satisfied.demand, mSatisfied.set())
	case controlStrength:
		return f.satisfied.strength(k)
	case controlCompliantDevice:
		return c.device(f, k, compliantExpression, c.options.InboundTrust.CompliantDevice)
	case controlHybridDevice:
		return c.device(f, k, hybridExpression, c.options.InboundTrust.HybridJoinedDevice)
	case controlUnknown:
		if f.has(k) == yes {
			return outcome{verdicts: Allowed.set()}
		}
		return outcome{verdicts: Allowed.set() | Unknown.set(), missing: mControl.set()}
	}
	unmet := [...]Verdict{
		controlApprovedApp: AppProtectionRequired, controlCompliantApp: AppProtectionRequired,
		controlPasswordChange: PasswordChangeRequired, controlRiskRemediation: PasswordChangeRequired,
		controlTerms: TermsOfUseRequired, controlCustom: CustomControlRequired,
	}[k.kind]
	if f.external && k.kind <= controlRiskRemediation {
		unmet = Blocked // not supported for external users (§3)
	}
	return f.satisfied.orElse(f.has(k), unmet, mSatisfied.set())
}

// meetLegacy: clients without modern authentication can neither do MFA nor
// send a device's state, nor show anything (§2.3). ActiveSync sends the user on
// to an approved app.
func (c *Compiled) meetLegacy(k *control, f *facts, client int) outcome {
	switch k.kind {
	case controlBlock, controlMFA, controlStrength, controlCompliantDevice, controlHybridDevice:
		return outcome{verdicts: Blocked.set()}
	case controlUnknown:
		return c.meet(k, f, clientModern)
	}
	unmet := Blocked
	if client == clientActiveSync && k.kind == controlApprovedApp && !f.external {
		unmet = AppProtectionRequired
	}
	return f.satisfied.orElse(f.has(k), unmet, mSatisfied.set())
}

// device evaluates a device control. It cannot be met in the device code flow,
// nor by an external user unless the tenant trusts the user's (§3).
func (c *Compiled) device(f *facts, k *control, e *expression, trusted bool) outcome {
	flow := &f.si.AuthenticationFlow
	unmet := DeviceRequired
	switch {
	case flow.given() && strings.EqualFold(flow.Value, "deviceCodeFlow"):
		if f.external && !trusted {
			unmet = Blocked
		}
		return outcome{verdicts: unmet.set()}
	case f.si.Satisfied.given() && f.has(k) == yes:
		return outcome{verdicts: Allowed.set()}
	case f.external && !trusted:
		return outcome{verdicts: Blocked.set()}
	}
	t, missing := e.eval(&subject{device: &f.si.Device})
	return f.satisfied.orElse(t, unmet, missing)
}
