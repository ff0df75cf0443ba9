package console

import (
	"time"

	"gatehouse/internal/audit"
	"gatehouse/internal/connection"
	"gatehouse/internal/jobs"
	"gatehouse/internal/operator"
	"gatehouse/internal/posture"
	"gatehouse/internal/tenant"
	"gatehouse/internal/validation"
)

// state is how a state looks: a tone for the colour, a shape, and a word.
type state struct{ Tone, Shape, Word string }

// The tones.
const (
	good = "good"
	warn = "warn"
	bad  = "bad"
	none = "none"
)

var verdicts = map[string]state{
	string(validation.Works):             {good, "check", "Works"},
	string(validation.WorksWithWarnings): {warn, "warning", "Works, with warnings"},
	string(validation.Blocked):           {bad, "stop", "Blocked"},
	string(validation.Failed):            {bad, "cross", "Failed"},
	string(validation.Unknown):           {none, "question", "Unknown"},
	"":                                   {none, "ring", "Not validated yet"},
}

func verdictState(v string) state {
	if s, ok := verdicts[v]; ok {
		return s
	}
	return state{none, "question", v}
}

// stateOf is the state of a connection: one that is parked is not tried at all.
func stateOf(c connection.Connection) state {
	if c.Parked {
		return state{bad, "pause", "Parked"}
	}
	return verdictState(c.Verdict)
}

func probeState(s validation.State) state {
	switch s {
	case validation.Passed:
		return state{good, "check", "passed"}
	case validation.Warning:
		return state{warn, "warning", "warning"}
	case validation.Fail:
		return state{bad, "cross", "failed"}
	case validation.Skipped:
		return state{none, "ring", "skipped"}
	default:
		return state{none, "question", "unknown"}
	}
}

func effectState(e posture.Effect) state {
	switch e {
	case posture.Blocks:
		return state{bad, "stop", "Refuses"}
	case posture.Demands:
		return state{bad, "cross", "Demands"}
	case posture.MayDemand:
		return state{warn, "warning", "May demand"}
	case posture.DoesNot:
		return state{good, "check", "Lets through"}
	default:
		return state{none, "question", "Unknown"}
	}
}

func switchState(s tenant.Switch) state {
	switch {
	case !s.Available && s.State == tenant.Off:
		return state{none, "ring", "Not in this release"}
	case s.State == tenant.On:
		return state{good, "check", "On"}
	case s.State == tenant.Pending:
		return state{warn, "half", "Waiting for consent"}
	case s.State == tenant.Broken:
		return state{bad, "cross", "Broken"}
	default:
		return state{none, "ring", "Off"}
	}
}

func jobState(s jobs.State) state {
	switch s {
	case jobs.Done:
		return state{good, "check", "Done"}
	case jobs.Running:
		return state{none, "half", "Running"}
	case jobs.Retrying:
		return state{warn, "warning", "Will be tried again"}
	case jobs.Failed:
		return state{bad, "cross", "Failed"}
	case jobs.Cancelled:
		return state{none, "pause", "Cancelled"}
	case jobs.Scheduled:
		return state{none, "ring", "Scheduled"}
	default:
		return state{none, "ring", "Waiting"}
	}
}

func policyState(s string) state {
	switch s {
	case "enabled":
		return state{good, "check", "On"}
	case "disabled":
		return state{none, "ring", "Off"}
	default:
		return state{none, "half", "Report-only"}
	}
}

func yesNo(v *bool) state {
	switch {
	case v == nil:
		return state{none, "question", "Unknown"}
	case *v:
		return state{good, "check", "Yes"}
	default:
		return state{none, "ring", "No"}
	}
}

func readerState(r *tenant.Reader) state {
	switch r.State {
	case tenant.ReaderWorks:
		return state{good, "check", "Works"}
	case tenant.ReaderBroken:
		return state{bad, "cross", "Broken"}
	default:
		return state{none, "question", "Not checked yet"}
	}
}

func operatorState(o *operator.Operator, now time.Time) state {
	switch {
	case o.DisabledAt != nil:
		return state{none, "pause", "Disabled"}
	case o.LockedUntil != nil && o.LockedUntil.After(now):
		return state{warn, "warning", "Locked for a while"}
	case o.PasswordHash == "" && len(o.Accounts) == 0:
		return state{none, "ring", "Invited"}
	default:
		return state{good, "check", "Active"}
	}
}

func outcomeState(o audit.Outcome) state {
	switch o {
	case audit.OutcomeDone:
		return state{good, "check", "Done"}
	case audit.OutcomeRefused:
		return state{bad, "stop", "Refused"}
	default:
		return state{warn, "cross", "Failed"}
	}
}
