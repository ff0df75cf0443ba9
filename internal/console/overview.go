package console

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"slices"
	"time"

	"gatehouse/internal/audit"
	"gatehouse/internal/connection"
	"gatehouse/internal/diagnosis"
	"gatehouse/internal/validation"
)

// overviewView is the state of things.
type overviewView struct {
	connection.Overview
	Line       string
	State      state
	Figures    []figure
	Shown      []cause
	Wrong      matrix // tenants in which something is not well
	Well       matrix
	Ends       []ending
	MoreEnding int // that the strip does not show
	Changes    []audit.Record
}

// cause is one reason for which connections of a tenant do not work.
type cause struct {
	connection.Cause
	state
	Title  string
	Longer bool   // at least since then
	Actor  string // who must act; "" if that is not known
	Help   string // what helps first
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
	mostCauses  = 12
	lookBack    = 5 // validations that tell since when
)

func (c *console) overview(w http.ResponseWriter, r *http.Request, f *frame) error {
	all, err := c.Connections.Overview(r.Context(), connection.OverviewRequest{Causes: mostCauses, Reach: fewNames, Tenants: mostRows, Ends: mostEnds, EndsBefore: f.Now.AddDate(0, 0, stripDays)})
	if err != nil {
		return err
	}
	v := overviewView{Overview: all, Ends: endings(all.Ends, f.Now), MoreEnding: all.EndCount - len(all.Ends)}
	v.Line, v.State = stateLine(all.Tally)
	if v.Figures, err = c.figures(r.Context()); err != nil {
		return err
	}
	for _, one := range all.Causes {
		shown, err := c.lookInto(r.Context(), one)
		if err != nil {
			return err
		}
		v.Shown = append(v.Shown, shown)
	}
	used := usedServices(all.Wrong, all.Well)
	v.Wrong, v.Well = matrixOf(all.Wrong, all.WrongCount, used), matrixOf(all.Well, all.WellCount, used)
	if f.anywhere(audit.AuditView) {
		if v.Changes, err = c.Audit.List(r.Context(), audit.Filter{From: f.Now.Add(-24 * time.Hour), Outcome: audit.OutcomeDone, Limit: mostChanges}); err != nil {
			return err
		}
	}
	f.Title, f.Noun = "Overview", "overview"
	return show(w, r, http.StatusOK, overviewPage(f, v))
}

// lookInto finds out since when a cause is there, who must act and what helps,
// from the validations of a connection that it stops.
func (c *console) lookInto(ctx context.Context, found connection.Cause) (cause, error) {
	of := cause{Cause: found, state: stateOf(found.First), Title: found.First.Sentence}
	runs, next, err := c.Runs.List(ctx, found.First.ID, connection.Page{Limit: lookBack})
	if err != nil {
		return cause{}, err
	}
	for _, run := range runs {
		if run.Result == nil {
			continue
		}
		if run.Result.Verdict != validation.Blocked && run.Result.Verdict != validation.Failed {
			next = ""
			break
		}
		if of.Actor == "" && run.Result.Diagnosis != nil {
			of.Actor = actorOf(run)
			if len(run.Result.Diagnosis.Remedies) > 0 {
				of.Help = run.Result.Diagnosis.Remedies[0].Title
			}
		}
		of.Since = &run.CreatedAt
	}
	of.Longer = next != ""
	if found.First.Parked {
		of.Title, of.Actor, of.Help = found.First.ParkedReason, actorWords(diagnosis.Operator), "Enter the right password"
	}
	return of, nil
}

// figures count the connections by verdict, the worst first.
func (c *console) figures(ctx context.Context) ([]figure, error) {
	counts, err := c.Connections.Verdicts(ctx)
	if err != nil {
		return nil, err
	}
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
	return out, nil
}

// stateLine is the one line of state.
func stateLine(t connection.Tally) (string, state) {
	switch {
	case t.Total == 0:
		return "Nothing is connected yet", state{none, "ring", ""}
	case t.Stopped > 0:
		return fmt.Sprintf("%s %s %d of %s", count(t.CauseCount, "cause"), stopWords(t.CauseCount), t.Stopped, count(t.Total, "connection")), state{bad, "stop", ""}
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

func stopWords(causes int) string {
	if causes == 1 {
		return "stops"
	}
	return "stop"
}
