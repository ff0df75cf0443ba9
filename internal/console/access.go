package console

import (
	"net/http"

	"gatehouse/internal/audit"
	"gatehouse/internal/broker"
	"gatehouse/internal/connection"
	"gatehouse/internal/diagnosis"
)

// mostCallers bounds how many callers the card names.
const mostCallers = 10

var accessStates = map[string]state{
	broker.Ready: {good, "check", "Gives tokens"}, broker.NeedsSignIn: {bad, "cross", "Needs a sign-in"}, broker.NeedsMFA: {bad, "cross", "Needs a second factor"},
	broker.NeedsConsent: {bad, "cross", "Needs consent"}, broker.Parked: {bad, "cross", "Stands still"},
}

// accessState is how a connection stands. That nobody has signed in yet is no failure.
func accessState(s broker.State, person string) state {
	if s.State == broker.NeedsSignIn && s.Diagnosis == nil && person == "" {
		return state{none, "ring", "Not signed in yet"}
	}
	return accessStates[s.State]
}

// toldBeside reports whether the validation that the page shows found the same: then it
// says what helps, and who acts, with more to go by.
func toldBeside(v connectionView) bool {
	d := v.Access.Diagnosis
	return v.Run != nil && v.Run.Result != nil && v.Run.Result.Diagnosis != nil && d.Code != nil && v.Run.Result.Diagnosis.Code != nil && *v.Run.Result.Diagnosis.Code == *d.Code
}

// accessActor says who must act where nobody asked Microsoft; "" where nobody must.
func accessActor(v connectionView) string {
	switch {
	case v.Access.State == broker.Ready:
		return ""
	case v.Kind == connection.Delegated && v.Access.State == broker.NeedsSignIn:
		return actorWords(diagnosis.EndUser)
	}
	return actorWords(diagnosis.Operator)
}

// accessWay leads to where a connection is mended; nil where that is not in this house,
// or not the person's to do.
func accessWay(f *frame, v connectionView) *fix {
	switch {
	case v.Kind != connection.Delegated || !f.may(v.TenantID, audit.ConnectionManage):
		return nil
	case v.Access.State == broker.NeedsConsent:
		return &fix{"Ask for consent", "/tenants/" + v.TenantID + "/consents/" + v.RegistrationID}
	case v.Access.State == broker.NeedsSignIn && v.ObjectID == "":
		return &fix{"Sign in", "/connections/" + v.ID + "/sign-in"}
	case v.Access.State == broker.NeedsSignIn, v.Access.State == broker.NeedsMFA:
		return &fix{"Sign in again", "/connections/" + v.ID + "/sign-in"}
	}
	return nil
}

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
