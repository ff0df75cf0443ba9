package console

import (
	"net/http"

	"gatehouse/internal/broker"
)

// mostCallers bounds how many callers the card names.
const mostCallers = 10

var accessStates = map[string]state{
	broker.Ready: {good, "check", "Gives tokens"}, broker.NeedsSignIn: {bad, "cross", "Needs a sign-in"}, broker.NeedsMFA: {bad, "cross", "Needs a second factor"},
	broker.NeedsConsent: {bad, "cross", "Needs consent"}, broker.Parked: {bad, "cross", "Stands still"},
}

func accessState(name string) state { return accessStates[name] }

func secondFactorWords(with *bool) string {
	switch {
	case with == nil:
		return "not known: the token does not tell"
	case *with:
		return "shown"
	}
	return "not shown"
}

func callerName(c broker.Caller) string {
	if c.Name != "" {
		return c.Name
	}
	return "somebody who is gone"
}

// tryToken lets Microsoft be asked for a token again.
func (c *console) tryToken(w http.ResponseWriter, r *http.Request, _ *frame) error {
	if err := c.Tokens.TryAgain(r.Context(), r.PathValue("id")); err != nil {
		return err
	}
	return back(w, r, "/connections/"+r.PathValue("id"), "token-retry")
}
