package console

import (
	"encoding/json"
	"errors"
	"net/http"
	"slices"

	"gatehouse/internal/audit"
	"gatehouse/internal/broker"
	"gatehouse/internal/connection"
	"gatehouse/internal/incident"
	"gatehouse/internal/posture"
	"gatehouse/internal/tenant"
	"gatehouse/internal/validation"
)

// connectionView is what the page of one connection shows: it, and one of its
// validations, the last if none is asked for.
type connectionView struct {
	connection.Connection
	Run      *validation.Run // nil: never validated
	History  []validation.Run
	Older    string
	Form     *form
	Without  string             // which answers stay unknown for want of reader and snapshot
	Incident *incident.Incident // that it is part of; nil if none
	Proof    *incident.Proof    // of the software itself; nil if nothing is to be proved
	Changes  []audit.Record     // of it, for whom may see the log; newest first
	Renewals []audit.Record     // refused ones, and the first that worked again, for whom may see the log; newest first
	Profile  profile
	SignIns  signIns       // of a delegated connection
	Access   *broker.State // as a source of tokens
}

// historySize is how many validations the page lists.
const historySize = 20

// mostRenewals bounds the refusals of renewals that are read: a connection that is
// asked for tokens all day is refused 24 times.
const mostRenewals = 500

// notChanges is what the log says of a connection without anything having changed, or
// what its sign-ins tell better.
var notChanges = []string{"validation.requested", broker.ActionRefreshed, broker.ActionRefused, broker.ActionRecovered, "connection.signed_in", "connection.signed_out", "connection.sign_in_begun", "connection.sign_in_declined"}

func (c *console) connection(w http.ResponseWriter, r *http.Request, f *frame) error {
	return c.showConnection(w, r, f, &form{}, http.StatusOK)
}

func (c *console) showConnection(w http.ResponseWriter, r *http.Request, f *frame, typed *form, status int) error {
	one, err := c.Connections.Get(r.Context(), r.PathValue("id"))
	if err != nil {
		return err
	}
	v := connectionView{Connection: one, Form: typed}
	access, err := c.Tokens.StateOf(r.Context(), one.ID)
	if err != nil {
		return err
	}
	v.Access = &access
	next := ""
	if v.History, next, err = c.Runs.List(r.Context(), one.ID, connection.Page{After: r.URL.Query().Get("after"), Limit: historySize}); err != nil {
		return err
	}
	v.Older = onward(r, next)
	if len(v.History) > 0 {
		v.Run = &v.History[0]
	}
	if id := r.URL.Query().Get("run"); id != "" {
		run, err := c.Runs.Get(r.Context(), id)
		if err != nil {
			return err
		}
		if run.ConnectionID != one.ID {
			return errNoPage
		}
		v.Run = &run
	}
	if v.Profile, err = c.profileOf(r.Context(), one); err != nil {
		return err
	}
	if v.SignIns, err = c.signInsOf(r.Context(), one); err != nil {
		return err
	}
	of, err := c.Tenants.Get(r.Context(), one.TenantID)
	if err != nil {
		return err
	}
	v.Without = of.Without()
	if f.may(one.TenantID, audit.AuditView) {
		if v.Changes, err = c.Audit.List(r.Context(), audit.Filter{TenantID: one.TenantID, ObjectID: one.ID, Without: notChanges, Limit: historySize}); err != nil {
			return err
		}
		if v.Renewals, err = c.Audit.List(r.Context(), audit.Filter{TenantID: one.TenantID, ObjectID: one.ID, Among: []string{broker.ActionRefused, broker.ActionRecovered}, From: f.Now.Add(-mostBack), Limit: mostRenewals}); err != nil {
			return err
		}
	}
	if v.Incident, err = c.Incidents.Of(r.Context(), one.ID); err != nil {
		return err
	}
	if v.Proof, err = c.Incidents.Proof(r.Context(), one.ID); err != nil {
		return err
	}
	f.Title, f.Noun = one.Name, "connections"
	return show(w, r, status, connectionPage(f, v))
}

func (c *console) validate(w http.ResponseWriter, r *http.Request, f *frame) error {
	_, err := c.Runs.Start(r.Context(), r.PathValue("id"))
	if parked, ok := errors.AsType[*connection.ParkedError](err); ok {
		return c.showConnection(w, r, f, &form{Problem: parked.Error()}, http.StatusConflict)
	}
	if errors.Is(err, tenant.ErrPaused) {
		return c.showConnection(w, r, f, &form{Problem: err.Error()}, http.StatusConflict)
	}
	if err != nil {
		return err
	}
	return to(w, r, "/connections/"+r.PathValue("id"))
}

// underWay reports whether a validation has not ended yet.
func underWay(run *validation.Run) bool {
	return run != nil && (run.State == validation.Queued || run.State == validation.Running)
}

// again asks the stream of a page on which something is under way to have the
// page read once more at its beginning.
func again(waiting bool) string {
	if waiting {
		return "&again"
	}
	return ""
}

// verdict is how a validation came out, or how far it is.
func verdict(run validation.Run) state {
	switch {
	case run.State == validation.Queued:
		return state{none, "ring", "Waiting to begin"}
	case run.State == validation.Running:
		return state{none, "turning", "Running"}
	case run.Result == nil:
		return state{none, "question", "Unknown"}
	default:
		return verdictState(string(run.Result.Verdict))
	}
}

// probeRow is one line of the list of probes.
type probeRow struct {
	validation.Probe
	state
	Name    string
	Waiting bool // not run yet
}

// probeOrder is the order in which probes run.
var probeOrder = []string{
	validation.ProbeConfiguration, validation.ProbeTenant, validation.ProbeRealm, validation.ProbeToken, validation.ProbeClaims, validation.ProbeAccount,
	validation.ProbeRegistration, validation.ProbePosture, validation.ProbeService, validation.ProbePermissions,
}

// probeRows are the probes that ended; while the validation is under way also
// those that are still to come.
func probeRows(run *validation.Run) []probeRow {
	var rows []probeRow
	seen := map[string]bool{}
	for _, p := range run.Probes {
		seen[p.Name] = true
		rows = append(rows, probeRow{Probe: p, state: probeState(p.State), Name: probeWords(p.Name)})
	}
	if !underWay(run) {
		return rows
	}
	last := -1
	for _, p := range run.Probes {
		last = max(last, slices.Index(probeOrder, p.Name))
	}
	for i, name := range probeOrder {
		if i > last && !seen[name] {
			row := probeRow{Name: probeWords(name), state: state{none, "ring", "to come"}, Waiting: true}
			if i == last+1 && run.State == validation.Running {
				row.state = state{none, "turning", "running"}
			}
			rows = append(rows, row)
		}
	}
	return rows
}

func probeWords(name string) string {
	if words, ok := probeNames[name]; ok {
		return words
	}
	return name
}

// evidence is what a probe saw, as text.
func evidence(p validation.Probe) string {
	if len(p.Evidence) == 0 {
		return ""
	}
	text, err := json.MarshalIndent(p.Evidence, "", "  ")
	if err != nil {
		return err.Error()
	}
	return string(text)
}

// raw is the whole result, as the API gives it.
func raw(run *validation.Run) string {
	text, err := json.MarshalIndent(run.Result, "", "  ")
	if err != nil {
		return err.Error()
	}
	return string(text)
}

// ruleRow is one rule that sees the account.
type ruleRow struct {
	posture.Finding
	state
	Place int // in which it stops the sign-in; 0 where it does not
}

// ruleRows are the rules in the order in which they stop the sign-in, then
// those that would, then the rest.
func ruleRows(o *posture.Outcome) []ruleRow {
	var rows []ruleRow
	place := 0
	for _, finding := range o.Findings {
		row := ruleRow{Finding: finding, state: effectState(finding.Effect)}
		if finding.Stops() {
			place++
			row.Place = place
		}
		rows = append(rows, row)
	}
	for _, finding := range o.ReportOnly {
		rows = append(rows, ruleRow{Finding: finding, state: state{none, "half", "Only reports"}})
	}
	return rows
}
