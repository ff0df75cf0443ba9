package console

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"time"

	"gatehouse/internal/audit"
	"gatehouse/internal/connection"
	"gatehouse/internal/expiry"
	"gatehouse/internal/incident"
)

// overviewView is the state of things.
type overviewView struct {
	connection.Overview
	Line       string
	State      state
	Figures    []figure
	Incidents  incident.Summary
	Wrong      matrix // tenants in which something is not well
	Well       matrix
	Ends       []ending
	MoreEnding int // that the strip does not show
	Changes    []audit.Record
}

// figure counts the connections of a verdict.
type figure struct {
	state
	Count int
	Href  string
}

// How far the overview looks.
const (
	stripDays   = 30
	mostEnds    = 20
	mostChanges = 8
	mostWell    = 12 // tenants in which all works that are not folded
	mostRows    = 50 // of a matrix
	mostCards   = 12
)

func (c *console) overview(w http.ResponseWriter, r *http.Request, f *frame) error {
	v := overviewView{}
	var errs [4]error
	var ends []expiry.Item
	var ending int
	var reading sync.WaitGroup // each fills in members of its own
	reading.Go(func() {
		v.Overview, errs[0] = c.Connections.Overview(r.Context(), connection.OverviewRequest{Tenants: mostRows})
	})
	reading.Go(func() { v.Incidents, errs[1] = c.Incidents.Summary(r.Context(), "", mostCards) })
	reading.Go(func() { v.Changes, errs[2] = c.changes(r, f) })
	reading.Go(func() {
		ends, ending, errs[3] = c.Expiries.Strip(r.Context(), f.Now.AddDate(0, 0, stripDays), mostEnds)
	})
	reading.Wait()
	if err := errors.Join(errs[:]...); err != nil {
		return err
	}
	v.Ends, v.MoreEnding = endings(ends, f.Now), ending-len(ends)
	v.Line, v.State = stateLine(v.Tally, v.Incidents)
	v.Figures = figures(v.Verdicts)
	used := usedServices(v.Overview.Wrong, v.Overview.Well)
	v.Wrong, v.Well = matrixOf(v.Overview.Wrong, v.WrongCount, used), matrixOf(v.Overview.Well, v.WellCount, used)
	f.Title, f.Noun = "Overview", "overview"
	return show(w, r, http.StatusOK, overviewPage(f, v))
}

// changes are what was done in the last day, for whom may see the log.
func (c *console) changes(r *http.Request, f *frame) ([]audit.Record, error) {
	if !f.anywhere(audit.AuditView) {
		return nil, nil
	}
	return c.Audit.List(r.Context(), audit.Filter{From: f.Now.Add(-24 * time.Hour), Outcome: audit.OutcomeDone, Limit: mostChanges})
}

// figures count the connections by verdict, the worst first.
func figures(counts []connection.Count) []figure {
	var out []figure
	for _, one := range counts {
		verdict := one.Verdict
		if verdict == "" {
			verdict = connection.Never
		}
		out = append(out, figure{verdictState(one.Verdict), one.Count, "/connections?verdict=" + verdict})
	}
	slices.SortFunc(out, func(a, b figure) int {
		return cmp.Or(cmp.Compare(rank(b.state), rank(a.state)), cmp.Compare(b.Count, a.Count), cmp.Compare(a.Word, b.Word))
	})
	return out
}

// stateLine is the one line of state.
func stateLine(t connection.Tally, s incident.Summary) (string, state) {
	switch {
	case t.Total == 0:
		return "Nothing is connected yet", state{none, "ring", ""}
	case t.Stopped > 0 && s.Count > s.Trouble:
		return incidentLine(s, t.Stopped, t.Total), state{bad, "stop", ""}
	case t.Stopped > 0:
		return fmt.Sprintf("%d of %s %s stopped", t.Stopped, count(t.Total, "connection"), areWords(t.Stopped)), state{bad, "stop", ""}
	case s.Trouble > 0:
		return fmt.Sprintf("%d of %s %s unknown: a service is in trouble", t.Unknown, count(t.Total, "connection"), areWords(t.Unknown)), state{none, "question", ""}
	case t.Unknown > 0:
		return fmt.Sprintf("%d of %s are unknown", t.Unknown, count(t.Total, "connection")), state{none, "question", ""}
	case t.Never > 0:
		return fmt.Sprintf("%d of %s not validated yet", t.Never, count(t.Total, "connection")), state{none, "ring", ""}
	case t.Total == 1:
		return "The one connection gets in", state{good, "check", ""}
	default:
		return fmt.Sprintf("All %d connections get in", t.Total), state{good, "check", ""}
	}
}

func areWords(n int) string {
	if n == 1 {
		return "is"
	}
	return "are"
}

func stopWords(incidents int) string {
	if incidents == 1 {
		return "stops"
	}
	return "stop"
}
