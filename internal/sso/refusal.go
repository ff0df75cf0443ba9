package sso

import "fmt"

// Reason says why a sign-in was refused.
type Reason string

// The reasons.
const (
	Unreachable Reason = "unreachable"   // the issuer, or its keys, gave no usable answer
	Declined    Reason = "declined"      // the issuer itself said no
	State       Reason = "state"         // not the sign-in that this browser began
	Replayed    Reason = "replayed"      // the answer was used before
	Lapsed      Reason = "lapsed"        // begun too long ago
	MixUp       Reason = "mix_up"        // an answer of another issuer (RFC 9207)
	Code        Reason = "code"          // the token endpoint does not take the code
	Algorithm   Reason = "algorithm"     // an id token without signature, or with a shared key
	Signature   Reason = "signature"     // not signed by the issuer
	Malformed   Reason = "malformed"     // no id token as the standard has it
	Issuer      Reason = "issuer"        // the id token of another issuer
	Tenant      Reason = "tenant"        // a tenant that may not sign in
	Audience    Reason = "audience"      // the id token is for another app
	Nonce       Reason = "nonce"         // the id token of another sign-in
	Expired     Reason = "expired"       // the id token is too old
	NotYet      Reason = "not_yet_valid" // the id token is of the future
	Groups      Reason = "groups"        // the person's groups could not be read
	NoAccess    Reason = "no_access"     // neither the person nor a group of theirs has a role
	Disabled    Reason = "disabled"      // the operator was disabled
	AddressUsed Reason = "address_used"  // a local account has the person's address
	Linked      Reason = "linked"        // the directory account belongs to another operator
)

// Refusal says that a sign-in was refused.
type Refusal struct {
	Reason Reason
	Detail string // for the server's log, and for those who look after it
	Who    Person // as far as proved: whom to tell an administrator
	Err    error  // the cause, if there is one
}

// Error says why.
func (r *Refusal) Error() string {
	text := "signing in through the directory: " + string(r.Reason)
	if r.Detail != "" {
		text += ": " + r.Detail
	}
	if r.Err != nil {
		text += fmt.Sprintf(" (%v)", r.Err)
	}
	return text
}

// Unwrap gives the cause.
func (r *Refusal) Unwrap() error { return r.Err }

func refuse(reason Reason, err error, format string, args ...any) *Refusal {
	return &Refusal{Reason: reason, Detail: fmt.Sprintf(format, args...), Err: err}
}
