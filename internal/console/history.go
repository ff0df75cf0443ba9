package console

import (
	"cmp"
	"slices"
	"time"

	"gatehouse/internal/audit"
	"gatehouse/internal/diagnosis"
	"gatehouse/internal/signin"
	"gatehouse/internal/validation"
)

// happening is one line of a connection's history.
type happening struct {
	state
	At    time.Time
	Href  string // of a validation
	Shown bool   // the page shows this validation
	By    string
}

// happenings are what is known to come, validations, and changes for whom may
// see them, the latest first.
func happenings(v connectionView, now time.Time) []happening {
	var out []happening
	note := func(s state, at time.Time, by string) { out = append(out, happening{state: s, At: at, By: by}) }
	if end := v.CredentialNotAfter; end != nil {
		switch days := int(end.Sub(now).Hours() / 24); {
		case end.Before(now):
			note(state{bad, "cross", "Credential ended"}, *end, "")
		case days < stripDays:
			note(state{warn, "warning", "Credential ends"}, *end, "")
		default:
			note(state{none, "ring", "Credential ends"}, *end, "")
		}
	}
	for _, run := range v.History {
		out = append(out, happening{state: verdict(run), At: run.CreatedAt, Href: "/connections/" + v.ID + "?run=" + run.ID, Shown: v.Run != nil && v.Run.ID == run.ID, By: run.RequestedBy})
	}
	for _, e := range v.SignIns.Events {
		if within(v, e.At) {
			note(signedState(e), e.At, signedBy(e))
		}
	}
	for _, r := range renewals(v) {
		if within(v, r.At) {
			out = append(out, r)
		}
	}
	created := false
	for _, r := range v.Changes {
		if r.Action == "connection.created" {
			created = true
		}
		if r.Outcome == audit.OutcomeDone && within(v, r.At) {
			note(state{none, "ring", actionWords(r.Action)}, r.At, who(r))
		}
	}
	if !created && v.Older == "" {
		note(state{none, "ring", "Added"}, v.CreatedAt, "")
	}
	slices.SortStableFunc(out, func(a, b happening) int { return b.At.Compare(a.At) })
	return out
}

// signedBy says by whose hand and on which way somebody signed in.
func signedBy(e signin.Event) string {
	switch {
	case e.ByLink:
		return cmp.Or(e.Person, "the person") + ", with a personal link"
	case e.Flow == "device":
		return e.By + ", with a device code"
	}
	return e.By
}

// within reports whether a change belongs to the part of the history that the
// page shows: what lies before the oldest validation shown comes with older ones.
func within(v connectionView, at time.Time) bool {
	return v.Older == "" || !at.Before(v.History[len(v.History)-1].CreatedAt)
}

// mustAct says who must act for a connection to work; "" where nobody must, or
// that is not known.
func mustAct(v connectionView) string {
	if v.Parked {
		return actorWords(diagnosis.Operator)
	}
	if len(v.History) == 0 {
		return ""
	}
	return actorOf(v.History[0])
}

// actorOf says who must act after a validation; "" where nobody must.
func actorOf(run validation.Run) string {
	if run.Result == nil || run.Result.Diagnosis == nil {
		return ""
	}
	return actorWords(run.Result.Diagnosis.Actor)
}
