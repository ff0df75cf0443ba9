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
	Causes  []cause
	Wrong   []matrixRow // tenants in which something is not well
	Well    []matrixRow
	Ends    []ending
	Changes []audit.Record
}

// cause is one reason for which connections of a tenant do not work.
type cause struct {
	state
	Title      string
	Tenant     connection.Connection // any of them, for its tenant
	Reach      []connection.Connection
	Since      *time.Time
	Rule, Help string
}

// matrixRow is one tenant with a cell for each service.
type matrixRow struct {
	ID, Name string
	Cells    []matrixCell
}

type matrixCell struct {
	state
	Service string
	Count   int
	Href    string
}

// ending is a credential that ends within the strip.
type ending struct {
	Name, Href string
	At         time.Time
	Days       int
}

// How far the overview looks.
const (
	mostConnections = 5000
	stripDays       = 30
	mostChanges     = 8
	mostWell        = 12 // tenants in which all works that are not folded
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
	v.Wrong, v.Well = matrix(tenants, all)
	v.Ends = endings(tenants, all, f.Now)
	if f.anywhere(audit.AuditView) {
		today := f.Now.UTC().Truncate(24 * time.Hour)
		if v.Changes, err = c.Audit.List(r.Context(), audit.Filter{From: today, Outcome: audit.OutcomeDone, Limit: mostChanges}); err != nil {
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
			out = append(out, cause{state: stateOf(c), Title: c.Sentence, Tenant: c, Rule: ruleWords(c.Rule)})
			if c.Parked {
				out[i].Title = sentence(c.ParkedReason)
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

// rank orders states by how much they want to be seen.
func rank(s state) int { return slices.Index([]string{"", good, none, warn, bad}, s.Tone) }

// matrix puts the worst state of each service of each tenant into a cell. The
// tenants in which all is well come apart, to be folded.
func matrix(tenants []tenant.Tenant, all []connection.Connection) (wrong, well []matrixRow) {
	byTenant := map[string][]connection.Connection{}
	for _, c := range all {
		byTenant[c.TenantID] = append(byTenant[c.TenantID], c)
	}
	for _, t := range tenants {
		row, worst := matrixRow{ID: t.ID, Name: t.Name}, 0
		for _, s := range services {
			cell := matrixCell{Service: s.Words}
			for _, c := range byTenant[t.ID] {
				if !has(c.Services, s.Name) {
					continue
				}
				cell.Count++
				if state := stateOf(c); rank(state) > rank(cell.state) {
					cell.state, cell.Href = state, "/connections/"+c.ID
				}
			}
			if cell.Count > 1 {
				cell.Href = "/connections?tenant=" + t.ID
			}
			worst = max(worst, rank(cell.state))
			row.Cells = append(row.Cells, cell)
		}
		if worst == rank(state{Tone: good}) {
			well = append(well, row)
		} else {
			wrong = append(wrong, row)
		}
	}
	return wrong, well
}

// endings are the credentials that end within the strip, the first one first.
func endings(tenants []tenant.Tenant, all []connection.Connection, now time.Time) []ending {
	var out []ending
	add := func(name, href string, at time.Time) {
		if days := int(at.Sub(now).Hours() / 24); at.Before(now.AddDate(0, 0, stripDays)) {
			out = append(out, ending{name, href, at, max(0, days)})
		}
	}
	for _, c := range all {
		if c.CredentialNotAfter != nil {
			add(c.Name, "/connections/"+c.ID, *c.CredentialNotAfter)
		}
	}
	for _, t := range tenants {
		if t.Reader != nil {
			add("Reader of "+t.Name, "/tenants/"+t.ID+"/reader", t.Reader.NotAfter)
		}
	}
	slices.SortFunc(out, func(a, b ending) int { return a.At.Compare(b.At) })
	return out
}

// stripAt is where a day lies on the strip of 600 units.
func stripAt(e ending) string { return fmt.Sprint(10 + e.Days*580/stripDays) }

func stripTone(e ending) string {
	switch {
	case e.Days < 7:
		return "late"
	case e.Days < 14:
		return "soon"
	default:
		return "far"
	}
}
