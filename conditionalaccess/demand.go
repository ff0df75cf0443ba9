package conditionalaccess

import "math/bits"

// ask is what is asked of a sign-in, in the order in which unmet controls are
// asked for (conditional-access-evaluation §3.4). It is finer than a [Verdict]:
// each has one error code (§9, and §4 of entra-sign-in for terms of use).
type ask uint8

const (
	askBlock ask = iota
	// askRegistrationPlace: who registers security information and has none
	// cannot meet a demand for MFA (worked example 66).
	askRegistrationPlace
	askUnknown // by a control that this package does not know: maybe a block
	askRegistration
	askMFA
	askStrength
	askCompliantDevice
	askHybridDevice
	askApprovedApp
	askAppProtection
	askPasswordChange
	askTerms
	askCustom
	askNothing
)

// outcomes are what the asks come to.
var outcomes = [...]struct {
	verdict Verdict
	code    int
}{
	askBlock: {Blocked, 53003}, askRegistrationPlace: {Blocked, 53010}, askUnknown: {Unknown, 0},
	askRegistration: {RegistrationRequired, 50079}, askMFA: {MFARequired, 50076}, askStrength: {AuthStrengthRequired, 50076},
	askCompliantDevice: {DeviceRequired, 53000}, askHybridDevice: {DeviceRequired, 53001},
	askApprovedApp: {AppProtectionRequired, 53002}, askAppProtection: {AppProtectionRequired, 53009},
	askPasswordChange: {PasswordChangeRequired, 50135}, askTerms: {TermsOfUseRequired, 50158},
	askCustom: {CustomControlRequired, 50158}, askNothing: {Allowed, 0},
}

// asks is a set of what may be asked for.
type asks uint16

// impossible are the asks that nobody can meet.
const impossible asks = 1<<askBlock | 1<<askRegistrationPlace

func (a ask) set() asks { return 1 << a }

// strongest and weakest give the ends of a set that is not empty.
func (s asks) strongest() ask { return ask(bits.TrailingZeros16(uint16(s))) }
func (s asks) weakest() ask   { return ask(15 - bits.LeadingZeros16(uint16(s))) }

// one reports whether a set has a single element.
func (s asks) one() bool { return s&(s-1) == 0 }

// upTo gives the asks that are at least as strong as a.
func upTo(a ask) asks { return a.set()<<1 - 1 }

// both is what may be asked for if two demands must be met: the stronger of any
// two.
func both(a, b asks) asks { return (a | b) & upTo(min(a.weakest(), b.weakest())) }

// verdict gives what all elements come to, [Unknown] if they differ.
func (s asks) verdict() Verdict {
	v := outcomes[s.strongest()].verdict
	for ; s != 0; s &= s - 1 {
		if outcomes[s.strongest()].verdict != v {
			return Unknown
		}
	}
	return v
}

// code gives the error code of all elements, 0 if they differ.
func (s asks) code() int {
	n := outcomes[s.strongest()].code
	for ; s != 0; s &= s - 1 {
		if outcomes[s.strongest()].code != n {
			return 0
		}
	}
	return n
}
