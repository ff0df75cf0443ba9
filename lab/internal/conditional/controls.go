package conditional

import (
	"slices"
	"strings"
)

// Names of grant controls in Graph.
const (
	controlBlock       = "block"
	controlMFA         = "mfa"
	controlStrength    = "authenticationStrength"
	controlCompliant   = "compliantDevice"
	controlHybrid      = "domainJoinedDevice"
	controlApprovedApp = "approvedApplication"
	controlProtected   = "compliantApplication"
	controlPassword    = "passwordChange"
	controlRemediation = "riskRemediation"
	controlTerms       = "termsOfUse"

	customFactor = "customAuthenticationFactor" // any, among what was shown
)

// control is a grant control with this sign-in in mind.
type control struct {
	name    string
	met     truth
	ask     demands // what may be asked for while it is not met
	missing []string
}

// grant reads the grant controls of a policy: built-in ones, the strength,
// agreements and custom factors together.
func (e *evaluation) grant(policy map[string]any) (controls []control, operator string) {
	set, torn := block(policy, "grantControls")
	if torn {
		e.missing = nil
		e.unreadable("grantControls")
		return []control{{"grantControls", maybe, only(demandUnknown), e.missing}}, "AND"
	}
	add := func(name string, read func() (truth, demands)) {
		e.missing = nil
		met, ask := read()
		controls = append(controls, control{name, met, ask, e.missing})
	}
	strange := func() (truth, demands) { return maybe, only(demandUnknown) }
	lists := map[string]list{}
	for _, name := range []string{"builtInControls", "termsOfUse", "customAuthenticationFactors"} {
		lists[name] = e.list(set, name)
		if lists[name].torn {
			add(name, func() (truth, demands) { e.unreadable(name); return strange() })
		}
	}
	for _, name := range lists["builtInControls"].items {
		add(name, func() (truth, demands) { return e.builtIn(name) })
	}
	if !unset(set["authenticationStrength"]) {
		add(controlStrength, func() (truth, demands) { return e.strength(set) })
	}
	for _, id := range lists["termsOfUse"].items {
		add(controlTerms, func() (truth, demands) { return e.beyondLegacy(or(e.shown(controlTerms), e.shown(id)), demandTerms) })
	}
	for _, id := range lists["customAuthenticationFactors"].items {
		add(id, func() (truth, demands) { return e.beyondLegacy(or(e.shown(id), e.shown(customFactor)), demandCustom) })
	}
	e.missing = nil
	if in, out := e.strange(set, "operator", "builtInControls", controlStrength, "termsOfUse", "customAuthenticationFactors"); or(in, out) != no {
		missing := e.missing
		add("grantControls", func() (truth, demands) { e.missing = missing; return strange() })
	}
	operator, _ = set["operator"].(string)
	return controls, operator
}

// shown asks whether something was shown in this sign-in.
func (e *evaluation) shown(what string) truth {
	switch {
	case slices.ContainsFunc(e.s.Satisfied.Value, func(s string) bool { return same(s, what) }):
		return yes
	case !e.s.Satisfied.Known:
		return e.lack("satisfied")
	}
	return no
}

func (e *evaluation) builtIn(name string) (truth, demands) {
	switch strings.ToLower(name) {
	case controlBlock:
		return no, only(demandBlock)
	case controlMFA:
		return e.mfa()
	case strings.ToLower(controlCompliant):
		return e.managed(name, "isCompliant", "true", demandCompliant, e.trust().CompliantDevice)
	case strings.ToLower(controlHybrid):
		return e.managed(name, "trustType", "ServerAD", demandHybrid, e.trust().HybridJoined)
	case strings.ToLower(controlApprovedApp):
		// ActiveSync is sent on to Outlook; other old clients go nowhere.
		return e.protection(controlApprovedApp, demandApprovedApp, same(e.s.ClientAppType.Value, otherClient))
	case strings.ToLower(controlProtected):
		return e.protection(controlProtected, demandAppProtection, e.s.legacy())
	case strings.ToLower(controlPassword):
		return e.protection(controlPassword, demandPassword, e.s.legacy())
	case strings.ToLower(controlRemediation):
		return e.protection(controlRemediation, demandPassword, e.s.legacy())
	}
	if e.shown(name) == yes {
		return yes, only(demandUnknown)
	}
	e.unreadable("grant control " + name)
	return maybe, only(demandUnknown)
}

// beyondLegacy is a control that legacy clients cannot meet, whatever was shown
// elsewhere.
func (e *evaluation) beyondLegacy(met truth, ask demand) (truth, demands) {
	if e.s.legacy() {
		return no, only(demandBlock)
	}
	return met, only(ask)
}

// protection is a control that guests cannot meet unless it is met already.
func (e *evaluation) protection(name string, ask demand, never bool) (truth, demands) {
	if never || e.given.external() {
		ask = demandBlock
	}
	return e.shown(name), only(ask)
}

// managed is a control on the state of the device. Legacy clients do not send
// it; the device code flow does not pass it on; that of a guest's device counts
// only with inbound trust.
// A flow that is not known is taken for another. What was shown as satisfied
// stands, be the device a guest's.
func (e *evaluation) managed(name, attribute, wanted string, ask demand, trusted bool) (truth, demands) {
	if e.given.external() && !trusted {
		ask = demandBlock
	}
	shown := slices.ContainsFunc(e.s.Satisfied.Value, func(s string) bool { return same(s, name) })
	switch {
	case e.s.legacy():
		return no, only(demandBlock)
	case same(e.given.AuthenticationFlow.Value, "deviceCodeFlow"):
		return no, only(ask)
	case shown:
		return yes, only(ask)
	case ask == demandBlock:
		return no, only(ask)
	}
	met := e.device(attribute, wanted)
	if met == maybe {
		e.lackOfDevice(attribute)
	}
	return met, only(ask)
}

// trust is what inbound access settings accept from the user's home tenant.
func (e *evaluation) trust() Trust {
	if t, given := e.w.Trust[strings.ToLower(e.given.ExternalTenantID.Value)]; given {
		return t
	}
	return e.w.Trust[""]
}

// mfa asks whether multi-factor authentication was done.
func (e *evaluation) mfa() (truth, demands) {
	if e.s.legacy() { // these clients cannot do it
		return no, only(demandBlock)
	}
	return e.mfaDone(), only(e.unmetMFA())
}

// mfaDone: by a claim, or by methods that are two factors.
func (e *evaluation) mfaDone() truth {
	claim := e.shown(controlMFA)
	if slices.ContainsFunc(e.s.Satisfied.Value, func(s string) bool { return allows(mfaCombinations, s) }) {
		return yes // "windowsHelloForBusiness" and the like
	}
	if claim != yes && e.s.AuthMethodCombination.Known && allows(mfaCombinations, e.s.AuthMethodCombination.Value) {
		return yes
	}
	return claim
}

// unmetMFA is what a sign-in without MFA is asked for. Users of direct connect,
// who have no account here, can only bring it along, with inbound trust. Who
// registers security information and has none cannot meet a demand for it.
func (e *evaluation) unmetMFA() demand {
	switch {
	case same(e.given.GuestOrExternalUserType.Value, directConnect) && !e.trust().MFA:
		return demandBlock
	case !e.s.MethodsRegistered.Known, slices.ContainsFunc(e.s.MethodsRegistered.Value, secondFactor):
		return demandMFA
	case same(e.s.action(), RegisterSecurityInfo):
		return demandNoRegistration
	}
	return demandRegistration
}

// secondFactor reports whether a registered method can be a second factor; some
// only serve password reset.
func secondFactor(method string) bool {
	return !same(method, "email") && !same(method, "password") && !same(method, "securityQuestion")
}
