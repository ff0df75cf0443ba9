package validation

// What becomes of a password that was sent, for others who send one.
const (
	TryAccepted   = tryAccepted
	TryRefused    = tryRefused
	TryAnswered   = tryAnswered
	TryNotSent    = tryNotSent
	TryUnanswered = tryUnanswered
)

// OutcomeOf says what became of a password, by the error of
// [gatehouse/internal/microsoft/login.Client.Password].
func OutcomeOf(err error) string { return classify(err) }

// RefusedReason is the sentence on a refused password for the connection that is
// parked.
func RefusedReason(err error) string { return refusedReason(err) }
