package console

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"gatehouse/internal/audit"
	"gatehouse/internal/broker"
	"gatehouse/internal/validation"
)

// The lanes of a timeline, from above.
const (
	laneVerdicts = iota
	laneSignIns
	laneChanges
	laneDates
)

var laneNames = []string{"Verdicts", "Sign-ins", "Changes", "Dates"}

// moment is one mark on a timeline.
type moment struct {
	state
	At   time.Time
	Lane int
}

// timeline is what happened to a connection, and what is known to come, to look
// at. The history below it says the same in words.
type timeline struct {
	Marks    []moment
	From, To time.Time
	Now      time.Time
}

// The part of time that is shown at least, and at most.
const (
	leastBack = 7 * 24 * time.Hour
	mostBack  = 90 * 24 * time.Hour
	leastOn   = 30 * 24 * time.Hour
	mostOn    = 400 * 24 * time.Hour
)

// timelineOf puts validations, sign-ins, changes and dates onto lanes.
func timelineOf(v connectionView, now time.Time) timeline {
	t := timeline{From: now.Add(-leastBack), To: now.Add(leastOn), Now: now}
	add := func(lane int, s state, at time.Time) {
		if at.Before(now.Add(-mostBack)) || at.After(now.Add(mostOn)) {
			return
		}
		t.Marks = append(t.Marks, moment{s, at, lane})
		t.From, t.To = earlier(t.From, at), later(t.To, at)
	}
	for _, run := range v.History {
		add(laneVerdicts, verdict(run), run.CreatedAt)
		if s, ok := tried(run); ok {
			add(laneSignIns, s, run.CreatedAt)
		}
	}
	for _, s := range v.signIns() {
		add(laneSignIns, signInState(s), s.At)
	}
	for _, e := range v.SignIns.Events {
		add(laneSignIns, signedState(e), e.At)
	}
	for _, r := range renewals(v) {
		add(laneSignIns, r.state, r.At)
	}
	for _, r := range v.Changes {
		if r.Outcome == audit.OutcomeDone {
			add(laneChanges, state{none, "ring", actionWords(r.Action)}, r.At)
		}
	}
	add(laneChanges, state{none, "ring", "Added"}, v.CreatedAt)
	if end := v.CredentialNotAfter; end != nil {
		add(laneDates, endState(*end, now), *end)
	}
	slices.SortStableFunc(t.Marks, func(a, b moment) int { return a.At.Compare(b.At) })
	return t
}

// renewals are the refusals of the broker that stopped a connection, or met trouble of
// the sign-in service, the first of each kind in a row, and when tokens came again; the
// earliest first. That it is stopped now is known to whoever sees the connection.
func renewals(v connectionView) (out []happening) {
	last := ""
	for _, r := range slices.Backward(v.Renewals) {
		var d struct{ State, Code string }
		if json.Unmarshal([]byte(r.Details), &d) != nil {
			continue // erased
		}
		s := state{bad, "cross", "Renewal refused"}
		switch {
		case r.Action == broker.ActionRecovered:
			d.State, s = "", state{good, "check", "Renewed again"}
		case d.State == broker.Ready:
			s = state{warn, "warning", "Renewal met trouble of the sign-in service"}
		}
		if r.Action == broker.ActionRefused && d.State == last {
			continue
		}
		last = d.State
		if d.Code != "" {
			s.Word += " (" + d.Code + ")"
		}
		out = append(out, happening{state: s, At: r.At})
	}
	if a := v.Access; len(v.Renewals) == 0 && a != nil && a.Diagnosis != nil && a.State != broker.Ready {
		out = append(out, happening{state: state{bad, "cross", "Renewal refused"}, At: a.Since})
	}
	return out
}

func endState(end, now time.Time) state {
	switch {
	case end.Before(now):
		return state{bad, "cross", "Credential ended"}
	case end.Before(now.Add(stripDays * 24 * time.Hour)):
		return state{warn, "warning", "Credential ends"}
	}
	return state{none, "ring", "Credential ends"}
}

// tried is the sign-in of a validation; false if it tried none.
func tried(run validation.Run) (state, bool) {
	for _, p := range run.Probes {
		if p.Name == validation.ProbeToken && (p.State == validation.Passed || p.State == validation.Fail) {
			return probeState(p.State), true
		}
	}
	return state{}, false
}

func (v connectionView) signIns() []validation.SeenSignIn {
	if v.Profile.Look == nil {
		return nil
	}
	return v.Profile.Look.SignIns
}

func signInState(s validation.SeenSignIn) state {
	if s.Code != 0 {
		return state{bad, "cross", fmt.Sprintf("Refused (%d)", s.Code)}
	}
	return state{good, "check", "Signed in"}
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// The drawing is 600 units wide; a lane is 22 high. What was takes the left two
// thirds, what comes the right third, so that a date next year does not press
// the last days together.
const (
	timelineWidth = 600.0
	timelineEdge  = 8.0
	timelineNow   = 400.0
	laneHeight    = 22
)

// x is where a moment lies.
func (t timeline) x(at time.Time) string {
	from, to, left, width := t.From, t.Now, timelineEdge, timelineNow-timelineEdge
	if at.After(t.Now) {
		from, to, left, width = t.Now, t.To, timelineNow, timelineWidth-timelineEdge-timelineNow
	}
	part := float64(at.Sub(from)) / math.Max(1, float64(to.Sub(from)))
	return fmt.Sprintf("%.1f", left+width*math.Min(1, math.Max(0, part)))
}

func laneY(lane int) string { return fmt.Sprint(lane*laneHeight + laneHeight/2) }

func timelineHeight() string { return fmt.Sprint(len(laneNames) * laneHeight) }

// path draws a mark at its place: a shape for each tone, so that colour is not
// all that tells.
func (t timeline) path(m moment) string {
	x, y := t.x(m.At), laneY(m.Lane)
	switch m.Tone {
	case bad:
		return fmt.Sprintf("M%s %sm-4 -4l8 8m0 -8l-8 8", x, y)
	case warn:
		return fmt.Sprintf("M%s %sm0 -5l5 9h-10z", x, y)
	case good:
		return fmt.Sprintf("M%s %sm-4.5 0l3 3.5l6 -7", x, y)
	}
	return fmt.Sprintf("M%s %sm-3.5 0a3.5 3.5 0 1 0 7 0a3.5 3.5 0 1 0 -7 0", x, y)
}

// words sum the timeline up for who does not see it.
func (t timeline) words() string {
	counts := make([]int, len(laneNames))
	for _, m := range t.Marks {
		counts[m.Lane]++
	}
	var parts []string
	for lane, n := range counts {
		parts = append(parts, fmt.Sprintf("%s: %d", laneNames[lane], n))
	}
	return "From " + utcText(t.From) + " to " + utcText(t.To) + ". " + strings.Join(parts, ", ") + ". The history lists them."
}
