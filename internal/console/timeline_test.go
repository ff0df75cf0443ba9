package console

import (
	"strings"
	"testing"
	"time"

	"gatehouse/internal/audit"
	"gatehouse/internal/connection"
	"gatehouse/internal/validation"
)

// at is a connection's view at the tests' noon, with validations that ended so many
// days ago.
func viewAt(noon time.Time, runs map[int]validation.Result) connectionView {
	v := connectionView{Connection: connection.Connection{CreatedAt: noon.AddDate(0, 0, -40)}}
	for ago, result := range runs {
		v.History = append(v.History, validation.Run{State: validation.Done, CreatedAt: noon.AddDate(0, 0, -ago), Result: &result, Probes: result.Probes})
	}
	return v
}

// The timeline puts each happening onto its lane, in order, and leaves out what is
// too long ago or too far ahead; what was done by nobody is no change.
func TestTimeline(t *testing.T) {
	noon := time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)
	token := func(s validation.State) []validation.Probe {
		return []validation.Probe{{Name: validation.ProbeToken, State: s}}
	}
	end := noon.AddDate(0, 0, 10)
	v := viewAt(noon, map[int]validation.Result{
		1: {Verdict: validation.Works, Probes: token(validation.Passed)}, 2: {Verdict: validation.Blocked, Probes: token(validation.Fail)},
		3: {Verdict: validation.Unknown, Probes: token(validation.Skipped)}, 91: {Verdict: validation.Works},
	})
	v.CredentialNotAfter = &end
	v.Profile.Look = &validation.Look{SignIns: []validation.SeenSignIn{{At: noon.Add(-time.Hour)}, {At: noon.Add(-2 * time.Hour), Code: 50076}}}
	v.Changes = []audit.Record{
		{At: noon.AddDate(0, 0, -5), Action: "connection.changed", Outcome: audit.OutcomeDone}, {At: noon.AddDate(0, 0, -5), Action: "connection.changed", Outcome: audit.OutcomeRefused},
		{At: noon.AddDate(0, 0, -4), Action: "validation.requested", Outcome: audit.OutcomeDone},
	}
	line := timelineOf(v, noon)
	var got []string
	for _, m := range line.Marks {
		got = append(got, m.At.Format("01-02 15h ")+laneNames[m.Lane]+" "+m.Word+" "+m.Tone)
	}
	want := `10-11 12h Changes Added none
11-15 12h Changes Connection changed none
11-17 12h Verdicts Unknown none
11-18 12h Verdicts Blocked bad
11-18 12h Sign-ins failed bad
11-19 12h Verdicts Works good
11-19 12h Sign-ins passed good
11-20 10h Sign-ins Refused (50076) bad
11-20 11h Sign-ins Signed in good
11-30 12h Dates Credential ends warn`
	if text := strings.Join(got, "\n"); text != want {
		t.Errorf("the marks are\n%s\nwant\n%s", text, want)
	}
	if !line.From.Equal(v.CreatedAt) || !line.To.Equal(noon.Add(leastOn)) {
		t.Errorf("from %s to %s", line.From, line.To)
	}
	if words := line.words(); words != "From "+utcText(line.From)+" to "+utcText(line.To)+". Verdicts: 3, Sign-ins: 4, Changes: 2, Dates: 1. The history lists them." {
		t.Errorf("in words: %s", words)
	}

	// Where the end lies decides what it says; one years ahead does not stretch it.
	for days, word := range map[int]string{-3: "Credential ended bad", 29: "Credential ends warn", 31: "Credential ends none", 399: "Credential ends none", 401: ""} {
		end = noon.AddDate(0, 0, days)
		line, found := timelineOf(v, noon), ""
		for _, m := range line.Marks {
			if m.Lane == laneDates {
				found = m.Word + " " + m.Tone
			}
		}
		if found != word || line.To.After(noon.Add(mostOn)) {
			t.Errorf("an end in %d days: %q, want %q, up to %s", days, found, word, line.To)
		}
	}
	if empty := timelineOf(connectionView{Connection: connection.Connection{CreatedAt: noon}}, noon); len(empty.Marks) != 1 || !empty.From.Equal(noon.Add(-leastBack)) || !empty.To.Equal(noon.Add(leastOn)) {
		t.Errorf("of a new one: %+v", empty)
	}
}

// What was takes the left two thirds and what comes the right third; marks stay
// within the drawing, and differ by more than colour.
func TestTimelineDrawing(t *testing.T) {
	noon := time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)
	line := timeline{From: noon.AddDate(0, 0, -10), To: noon.AddDate(0, 0, 100), Now: noon}
	for days, x := range map[int]string{-20: "8.0", -10: "8.0", -5: "204.0", 0: "400.0", 50: "496.0", 100: "592.0", 200: "592.0"} {
		if got := line.x(noon.AddDate(0, 0, days)); got != x {
			t.Errorf("day %d lies at %s, want %s", days, got, x)
		}
	}
	shapes := map[string]bool{}
	for _, tone := range []string{good, warn, bad, none} {
		path := line.path(moment{state: state{Tone: tone}, At: noon, Lane: laneChanges})
		if !strings.HasPrefix(path, "M400.0 55m") {
			t.Errorf("%s: %s", tone, path)
		}
		shapes[path] = true
	}
	if len(shapes) != 4 || timelineHeight() != "88" {
		t.Errorf("%d shapes of four tones, %s high", len(shapes), timelineHeight())
	}
}
