package conversion

import (
	"context"

	"gatehouse/internal/connection"
	"gatehouse/internal/validation"
)

// The steps, in their order.
const (
	StepRegistration = "registration"
	StepCredential   = "credential"
	StepConsent      = "consent"
	StepValidation   = "validation"
	StepHandOver     = "hand_over"
	StepRetirement   = "retirement"
)

// The states of a step.
const (
	StepDone  = "done"
	StepNow   = "now"
	StepLater = "later"
)

// Step is one step with how it stands.
type Step struct {
	Name  string
	State string
	Words string
}

// Steps says how far a conversion has come. App is the app's connection; its zero
// value while there is none.
func (c Conversion) Steps(app connection.Connection) []Step {
	works := app.Verdict == string(validation.Works) || app.Verdict == string(validation.WorksWithWarnings)
	elsewhere := c.Way == Own || c.Way == Signing
	consent := c.Consented != nil || works
	proof := works || elsewhere && consent
	handed := c.Handed != nil || c.AppID != "" && c.Way != MadeHere
	done := []struct {
		name      string
		done      bool
		was, todo string
	}{
		{StepRegistration, c.ClientID != "", "The app registration is " + c.ClientID + ".", "Choose or make the app registration, and give it exactly the permissions below."},
		{StepCredential, c.AppID != "", credentialWas(c, app), "Choose how the app proves itself."},
		{StepConsent, consent, consentWas(c), "The tenant's administrator uploads the certificate, then consents."},
		{StepValidation, proof, validationWas(app, elsewhere), "Validate the app beside the old profile."},
		{StepHandOver, handed && c.Seen != nil, handOverWas(c), "Hand the sheet over, and the certificate apart from it; then see the software sign in."},
		{StepRetirement, c.State == Done, "The old profile is parked.", "Take the old account out of use."},
	}
	out, open := []Step{}, false
	for _, d := range done {
		s := Step{d.name, StepDone, d.was}
		switch {
		case !d.done && open, d.done && open && d.name == StepRetirement:
			s.State, s.Words = StepLater, d.todo
		case !d.done:
			s.State, s.Words, open = StepNow, d.todo, true
		}
		out = append(out, s)
	}
	return out
}

func credentialWas(c Conversion, app connection.Connection) string {
	return map[string]string{
		MadeHere: "A certificate was made here (" + app.Thumbprint + ").", Own: "The software has its own certificate (" + app.Thumbprint + ").",
		Signing: "A certificate was made for the software's own key (" + app.Thumbprint + ").", Secret: "A client secret was entered.",
	}[c.Way]
}

func consentWas(c Conversion) string {
	if c.Consented != nil {
		return "Consent was noted by " + c.Consented.By + "."
	}
	return "The app works, so consent is there."
}

func validationWas(app connection.Connection, elsewhere bool) string {
	if elsewhere {
		return "The key is with the software alone, so that Gatehouse cannot sign in as the app: what proves it is the software's own sign-in."
	}
	return "The app gets in: " + app.Sentence
}

func handOverWas(c Conversion) string {
	switch {
	case c.Seen == nil:
		return ""
	case c.Seen.Log:
		return "The software's own sign-in as the app is in the tenant's log, from " + c.Seen.Address + ": proved."
	}
	return c.Seen.By + " says that the software signs in as the app. Its sign-in was not seen in the log."
}

// App gives the app's connection of a conversion; the zero value while there is
// none.
func (s *Service) App(ctx context.Context, c Conversion) (connection.Connection, error) {
	if c.AppID == "" {
		return connection.Connection{}, nil
	}
	return s.Connections.Get(ctx, c.AppID)
}
