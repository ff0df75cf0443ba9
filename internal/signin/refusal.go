package signin

import (
	"fmt"

	"gatehouse/internal/microsoft"
)

// Reason says why a sign-in was refused.
type Reason string

// The reasons.
const (
	Malformed   Reason = "malformed"      // the answer is no answer: too long, or a parameter twice
	State       Reason = "state"          // not a sign-in that was begun here
	Browser     Reason = "other_browser"  // begun in another browser
	Replayed    Reason = "replayed"       // the answer was used before
	Lapsed      Reason = "lapsed"         // begun too long ago
	MixUp       Reason = "mix_up"         // an answer of another issuer or cloud (RFC 9207)
	Microsoft   Reason = "microsoft"      // Microsoft itself said no
	Blocked     Reason = "device_blocked" // Microsoft said no to device codes
	Declined    Reason = "declined"       // the person said no
	NoRefresh   Reason = "no_refresh"     // without offline_access
	Narrow      Reason = "scopes"         // less than was asked for
	Identity    Reason = "identity"       // the id token is wrong
	Foreign     Reason = "foreign"        // a guest, or a partner's administrator
	OtherPerson Reason = "other_person"   // somebody else than expected
	Changed     Reason = "changed"        // the app registration is another one by now
	LinkUsed    Reason = "link_used"
	LinkLapsed  Reason = "link_lapsed"
	Withdrawn   Reason = "link_withdrawn"
)

// Refusal says that a sign-in was refused. Nothing of it was kept.
type Refusal struct {
	Reason    Reason
	Words     string // for the person, in a sentence
	Detail    string // for who looks after it
	Who       string // user name of who signed in, as far as proved
	ObjectID  string
	AttemptID string // of a sign-in that was begun here
	// Err is what Microsoft said, or the cause.
	Err error
}

// Error says why.
func (r *Refusal) Error() string {
	text := "signing in: " + r.Words
	if r.Detail != "" {
		text += " (" + r.Detail + ")"
	}
	return text
}

// Unwrap gives the cause.
func (r *Refusal) Unwrap() error { return r.Err }

func refuse(reason Reason, words, detail string, args ...any) *Refusal {
	return &Refusal{Reason: reason, Words: words, Detail: fmt.Sprintf(detail, args...)}
}

// refusedBy is a refusal of Microsoft's.
func refusedBy(e *microsoft.Error) *Refusal {
	return &Refusal{Reason: Microsoft, Words: "Microsoft refused the sign-in", Detail: e.Error(), Err: e}
}
