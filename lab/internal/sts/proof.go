package sts

import (
	"slices"
	"time"
)

// proof is how somebody signed in. Sessions, codes and refresh tokens carry it
// on, access tokens for a tenant's own APIs as a note.
type proof struct {
	amr   []string // pwd, fed, mfa
	modes []string // the same as Graph's authenticationMethodModes, first factor first
	// signedIn is when the first factor was given.
	signedIn time.Time
	factorAt time.Time // when the second was; zero: it was not, or nobody knows
	external bool      // a control outside the service was passed: a custom control
	// transfer is deviceCodeFlow for what began with a device code: it stays
	// tracked ("Conditional Access: Authentication flows", protocol tracking).
	transfer string
}

// Authentication method modes (conditionalaccess: authenticationMethodModes).
var (
	firstModes  = map[string]string{"pwd": "password", "fed": "federatedSingleFactor"}
	secondModes = map[string]string{"push": "microsoftAuthenticatorPush", "oath": "softwareOath", "text": "sms", "call": "voice"}
)

// firstFactor is the proof of a password, or of a federation server's word.
func firstFactor(amr string, now time.Time) proof {
	return proof{amr: []string{amr}, modes: []string{firstModes[amr]}, signedIn: now}
}

// with adds a second factor, by the way that it was given.
func (p proof) with(way string, at time.Time) proof {
	p.factorAt = at
	p.modes = append(slices.Clone(p.modes[:min(1, len(p.modes))]), secondModes[way])
	p.amr = append(slices.DeleteFunc(slices.Clone(p.amr), func(s string) bool { return s == "mfa" }), "mfa")
	return p
}

// clone keeps two holders of a proof from sharing its lists.
func (p proof) clone() proof {
	p.amr, p.modes = slices.Clone(p.amr), slices.Clone(p.modes)
	return p
}

// once leaves the first factor only.
func (p proof) once() proof {
	p.amr = slices.DeleteFunc(slices.Clone(p.amr), func(s string) bool { return s == "mfa" })
	p.modes, p.factorAt = slices.Clone(p.modes[:min(1, len(p.modes))]), time.Time{}
	return p
}

func (p proof) factor() bool   { return slices.Contains(p.amr, "mfa") }
func (p proof) password() bool { return slices.Contains(p.amr, "pwd") }
