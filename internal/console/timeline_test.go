package console

import (
	"strings"
	"testing"
	"time"

	"gatehouse/internal/audit"
	"gatehouse/internal/broker"
	"gatehouse/internal/connection"
	"gatehouse/internal/diagnosis"
	"gatehouse/internal/signin"
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

// Sign-ins of people stand on the timeline with how they came out, and so do refusals
// of renewals: the first of each kind in a row, and the renewal that ended them. The
// history says the same, with by whom.
func TestTimelineOfPerson(t *testing.T) {
	noon := time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)
	v := viewAt(noon, nil)
	v.SignIns.Events = []signin.Event{
		{At: noon.Add(-time.Hour), Outcome: signin.SignedOut, By: "Ada"}, {At: noon.Add(-9 * time.Hour), Outcome: signin.SignedIn, Person: "ines@quay.example", ByLink: true},
		{At: noon.Add(-10 * time.Hour), Outcome: signin.SaidNo, ByLink: true}, {At: noon.Add(-20 * time.Hour), Outcome: signin.SignedIn, By: "Ada", Flow: "device"}, {At: noon.Add(-21 * time.Hour), Outcome: signin.Refused, By: "Ada"},
	}
	line := func(ago int, action, details string) audit.Record {
		return audit.Record{At: noon.Add(-time.Duration(ago) * time.Hour), Action: action, Details: details}
	}
	v.Renewals = []audit.Record{
		line(2, broker.ActionRecovered, `{}`), line(3, broker.ActionRefused, `{"state":"needs_sign_in","code":"AADSTS50173"}`), line(4, broker.ActionRefused, `{"state":"needs_mfa","code":"AADSTS50076"}`), line(5, broker.ActionRefused, `{"state":"needs_mfa","code":"AADSTS50076"}`),
		line(6, broker.ActionRefused, `{"state":"ready","code":""}`), line(7, broker.ActionRefused, ``), line(8, broker.ActionRefused, `{"state":"ready","code":""}`),
	}
	var got []string
	for _, m := range timelineOf(v, noon).Marks {
		if m.Lane == laneSignIns {
			got = append(got, m.At.Format("02 15h ")+m.Word+" "+m.Tone)
		}
	}
	want := `19 15h Refused bad
19 16h Signed in good
20 02h Declined warn
20 03h Signed in good
20 04h Renewal met trouble of the sign-in service warn
20 07h Renewal refused (AADSTS50076) bad
20 09h Renewal refused (AADSTS50173) bad
20 10h Renewed again good
20 11h Logged out none`
	if text := strings.Join(got, "\n"); text != want {
		t.Errorf("the marks are\n%s\nwant\n%s", text, want)
	}
	by := map[string]string{}
	for _, h := range happenings(v, noon) {
		by[h.At.Format("02 15h ")+h.Word] = h.By
	}
	for what, who := range map[string]string{"20 03h Signed in": "ines@quay.example, with a personal link", "20 02h Declined": "the person, with a personal link", "19 16h Signed in": "Ada, with a device code", "20 11h Logged out": "Ada", "20 10h Renewed again": ""} {
		if got, ok := by[what]; !ok || got != who {
			t.Errorf("%s by %q (%v), want %q", what, got, ok, who)
		}
	}

	// Who may not see the log sees that it is stopped, as it is on the card.
	v.Renewals, v.Access = nil, &broker.State{State: broker.NeedsMFA, Since: noon.Add(-4 * time.Hour), Diagnosis: &diagnosis.Diagnosis{}}
	if all := renewals(v); len(all) != 1 || all[0].Word != "Renewal refused" || !all[0].At.Equal(noon.Add(-4*time.Hour)) {
		t.Errorf("%+v", all)
	}
	v.Access = &broker.State{State: broker.NeedsSignIn, Since: noon} // nobody has signed in yet
	if all := renewals(v); len(all) != 0 {
		t.Errorf("%+v", all)
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
