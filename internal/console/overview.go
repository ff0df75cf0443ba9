package console

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"time"

	"gatehouse/internal/audit"
	"gatehouse/internal/connection"
	"gatehouse/internal/diagnosis"
	"gatehouse/internal/tenant"
	"gatehouse/internal/validation"
)

// overviewView is the state of things.
type overviewView struct {
	Line    string
	State   state
	Tenants int
	Total   int
	More    bool // there are connections that were not looked at
	Figures []figure
	Causes  []cause     // of which so many are shown
	Hidden  int         // causes that are not shown
	Wrong   []matrixRow // tenants in which something is not well
	Well    []matrixRow
	Ends    []ending
	Changes []audit.Record
}

// cause is one reason for which connections of a tenant do not work.
type cause struct {
	state
	Title  string
	Tenant connection.Connection // any of them, for its tenant
	Reach  []connection.Connection
	Since  *time.Time
	Longer bool   // at least since then
	Actor  string // who must act; "" if that is not known
	Help   string // what helps first
}

// figure counts the connections of a state.
type figure struct {
	state
	Count int
	Href  string
}

// How far the overview looks.
const (
	mostConnections = 5000
	stripDays       = 30
	mostChanges     = 8
	mostWell        = 12 // tenants in which all works that are not folded
	mostRows        = 50 // of a matrix
	mostCauses      = 12
	lookBack        = 5 // validations that tell since when
)

func (c *console) overview(w http.ResponseWriter, r *http.Request, f *frame) error {
	var v overviewView
	tenants, err := every(r.Context(), func(ctx context.Context, p tenant.Page) ([]tenant.Tenant, string, error) {
		return c.Tenants.List(ctx, tenant.Filter{}, p)
	}, &v.More)
	if err != nil {
		return err
	}
	all, err := every(r.Context(), func(ctx context.Context, p tenant.Page) ([]connection.Connection, string, error) {
		return c.Connections.List(ctx, connection.Filter{}, p)
	}, &v.More)
	if err != nil {
		return err
	}
	v.Tenants, v.Total = len(tenants), len(all)
	v.Causes = causes(all)
	v.Line, v.State = stateLine(all, v.Causes)
	v.Figures = figures(all)
	if v.Hidden = len(v.Causes) - mostCauses; v.Hidden > 0 {
		v.Causes = v.Causes[:mostCauses]
	}
	for i := range v.Causes {
		if err := c.lookInto(r.Context(), &v.Causes[i]); err != nil {
			return err
		}
	}
	v.Wrong, v.Well = matrix(tenants, all)
	v.Ends = endings(tenants, all, f.Now)
	if f.anywhere(audit.AuditView) {
		if v.Changes, err = c.Audit.List(r.Context(), audit.Filter{From: f.Now.Add(-24 * time.Hour), Outcome: audit.OutcomeDone, Limit: mostChanges}); err != nil {
			return err
		}
	}
	f.Title, f.Noun = "Overview", "overview"
	return show(w, r, http.StatusOK, overviewPage(f, v))
}

// every reads all pages of a list, up to a bound, and says whether there is more.
func every[T any](ctx context.Context, list func(context.Context, tenant.Page) ([]T, string, error), more *bool) ([]T, error) {
	var all []T
	after := ""
	for {
		page, next, err := list(ctx, tenant.Page{After: after, Limit: 200})
		if err != nil {
			return nil, err
		}
		all = append(all, page...)
		if next == "" {
			return all, nil
		}
		if len(all) >= mostConnections {
			*more = true
			return all, nil
		}
		after = next
	}
}

// stops reports whether a connection does not get in.
func stops(c connection.Connection) bool {
	return c.Parked || c.Verdict == string(validation.Blocked) || c.Verdict == string(validation.Failed)
}

// causes groups what does not work by tenant and rule; without a rule each
// connection is a cause of its own.
func causes(all []connection.Connection) []cause {
	at := map[string]int{}
	var out []cause
	for _, c := range all {
		if !stops(c) {
			continue
		}
		key := c.ID
		if c.Rule != nil && !c.Parked {
			key = c.TenantID + "/" + string(c.Rule.Kind) + "/" + deref(c.Rule.ID)
		}
		i, ok := at[key]
		if !ok {
			i = len(out)
			at[key] = i
			out = append(out, cause{state: stateOf(c), Title: c.Sentence, Tenant: c})
			if c.Parked {
				out[i].Title = c.ParkedReason
			}
		}
		out[i].Reach = append(out[i].Reach, c)
		if c.ValidatedAt != nil && (out[i].Since == nil || c.ValidatedAt.Before(*out[i].Since)) {
			out[i].Since = c.ValidatedAt
		}
	}
	slices.SortStableFunc(out, func(a, b cause) int { return cmp.Compare(len(b.Reach), len(a.Reach)) })
	return out
}

// lookInto finds out since when a cause is there, who must act and what helps,
// from the validations of the first connection that it stops.
func (c *console) lookInto(ctx context.Context, of *cause) error {
	runs, next, err := c.Runs.List(ctx, of.Reach[0].ID, connection.Page{Limit: lookBack})
	if err != nil {
		return err
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
	if of.Reach[0].Parked {
		of.Actor, of.Help = actorWords(diagnosis.Operator), "Enter the right password"
	}
	return nil
}

// figures count the connections by state, the worst first.
func figures(all []connection.Connection) []figure {
	counts := map[state]figure{}
	for _, c := range all {
		s := stateOf(c)
		one := counts[s]
		one.state, one.Href = s, "/connections?verdict="+c.Verdict
		if c.Verdict == "" {
			one.Href += connection.Never
		}
		one.Count++
		counts[s] = one
	}
	return slices.SortedFunc(maps.Values(counts), func(a, b figure) int {
		return cmp.Or(cmp.Compare(rank(b.state), rank(a.state)), cmp.Compare(b.Count, a.Count), cmp.Compare(a.Word, b.Word))
	})
}

func deref(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

// stateLine is the one line of state.
func stateLine(all []connection.Connection, causes []cause) (string, state) {
	stopped, unknown, never := 0, 0, 0
	for _, c := range all {
		switch {
		case stops(c):
			stopped++
		case c.Verdict == string(validation.Unknown):
			unknown++
		case c.Verdict == "":
			never++
		}
	}
	switch {
	case len(all) == 0:
		return "Nothing is connected yet", state{none, "ring", ""}
	case stopped > 0:
		return fmt.Sprintf("%s %s %d of %s", count(len(causes), "cause"), stopWords(len(causes)), stopped, count(len(all), "connection")), state{bad, "stop", ""}
	case unknown > 0:
		return fmt.Sprintf("%d of %s are unknown", unknown, count(len(all), "connection")), state{none, "question", ""}
	case never > 0:
		return fmt.Sprintf("%d of %s not validated yet", never, count(len(all), "connection")), state{none, "ring", ""}
	case len(all) == 1:
		return "The one connection gets in", state{good, "check", ""}
	default:
		return fmt.Sprintf("All %d connections get in", len(all)), state{good, "check", ""}
	}
}

func stopWords(causes int) string {
	if causes == 1 {
		return "stops"
	}
	return "stop"
}
