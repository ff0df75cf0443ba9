package conversion

import (
	"testing"
	"time"

	"gatehouse/internal/connection"
	"gatehouse/internal/microsoft/graph"
)

// A sign-in is the consumer's by its address; without known addresses, if
// Gatehouse did not sign in at the time.
func TestTheirs(t *testing.T) {
	at := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	ours := []span{{at.Add(-around), at.Add(around)}}
	for name, test := range map[string]struct {
		address   string
		at        time.Time
		addresses []string
		want      bool
	}{
		"its address":              {"192.0.2.7", at, []string{"192.0.2.0/24"}, true},
		"its single address":       {"192.0.2.7", at, []string{"198.51.100.1", "192.0.2.7"}, true},
		"mapped":                   {"::ffff:192.0.2.7", at, []string{"192.0.2.7"}, true},
		"another address":          {"198.51.100.7", at.Add(time.Hour), []string{"192.0.2.0/24"}, false},
		"no address":               {"", at.Add(time.Hour), []string{"192.0.2.0/24"}, false},
		"none known, ours":         {"192.0.2.7", at.Add(time.Minute), nil, false},
		"none known, at its edge":  {"192.0.2.7", at.Add(around), nil, false},
		"none known, another time": {"192.0.2.7", at.Add(time.Hour), nil, true},
	} {
		if got := theirs(graph.SignIn{IPAddress: test.address, CreatedDateTime: test.at}, test.addresses, ours); got != test.want {
			t.Errorf("%s: %t", name, got)
		}
	}
}

// Steps follow each other: one is to do now, those behind it later, and no app is
// proved without its sign-in seen.
func TestSteps(t *testing.T) {
	app := connection.Connection{ID: "app", Thumbprint: "AB", Sentence: "It works."}
	states := func(c Conversion, app connection.Connection) (out string) {
		for _, s := range c.Steps(app) {
			out += s.State[:1]
		}
		return out
	}
	c := Conversion{State: Open}
	check := func(what, want string) {
		t.Helper()
		if got := states(c, app); got != want {
			t.Errorf("%s: %s, want %s", what, got, want)
		}
	}
	check("begun", "nlllll")
	c.ClientID = "id"
	check("registration", "dnllll")
	c.AppID, c.Way = "app", MadeHere
	check("credential", "ddnlll")
	c.Consented = &Mark{By: "Ada"}
	check("consent", "dddnll")
	app.Verdict = "failed"
	check("failed", "dddnll")
	app.Verdict = "works_with_warnings"
	check("validated", "ddddnl")
	c.Handed = &Mark{}
	check("handed over", "ddddnl")
	c.Seen = &Evidence{}
	check("seen", "dddddn")
	c.State = Done
	check("done", "dddddd")
	c = Conversion{State: Open, Progress: Progress{ClientID: "id", Way: Own, Consented: &Mark{}}, AppID: "app"}
	app.Verdict = "unknown"
	check("own key", "ddddnl")
}
