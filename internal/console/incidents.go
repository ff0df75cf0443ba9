package console

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"time"

	"gatehouse/internal/audit"
	"gatehouse/internal/diagnosis"
	"gatehouse/internal/incident"
	"gatehouse/internal/tenant"
)

// incidentList is what the page of all incidents shows.
type incidentList struct {
	Incidents []incident.Incident
	Tenants   []option
	Query     url.Values
	State     string
	Next      string
}

// filtered reports whether the list is narrowed.
func (l incidentList) filtered() bool {
	return slices.ContainsFunc([]string{"search", "tenant", "state"}, func(name string) bool { return l.Query.Get(name) != "" })
}

// incidentStates are the states to filter by.
var incidentStates = []option{{string(incident.Current), "Not ended"}, {string(incident.Open), "Open"}, {string(incident.Acknowledged), "Acknowledged"}, {string(incident.Ended), "Ended"}, {"all", "All"}}

func (c *console) incidents(w http.ResponseWriter, r *http.Request, f *frame) error {
	q := r.URL.Query()
	v := incidentList{Query: q, State: q.Get("state")}
	filter := incident.Filter{State: incident.State(v.State), TenantID: q.Get("tenant"), Search: q.Get("search")}
	switch {
	case v.State == "":
		v.State, filter.State = string(incident.Current), incident.Current
	case !slices.ContainsFunc(incidentStates, func(o option) bool { return o.Value == v.State }):
		return errNoPage
	case v.State == "all":
		filter.State = ""
	}
	all, next, err := c.Incidents.List(r.Context(), filter, tenant.Page{After: q.Get("after")})
	if err != nil {
		return err
	}
	v.Incidents, v.Next = all, onward(r, next)
	if v.Tenants, err = c.tenantOptions(r, q.Get("tenant")); err != nil {
		return err
	}
	f.Title, f.Noun = "Incidents", "incidents"
	return show(w, r, http.StatusOK, incidentsPage(f, v))
}

// incidentView is what the page of one incident shows.
type incidentView struct {
	incident.Incident
	Members   []incident.Member
	Diagnosis *diagnosis.Diagnosis
	Comments  []incident.Comment
	Form      *form
	Next      string
}

func (c *console) incident(w http.ResponseWriter, r *http.Request, f *frame) error {
	return c.showIncident(w, r, f, &form{}, http.StatusOK)
}

func (c *console) showIncident(w http.ResponseWriter, r *http.Request, f *frame, typed *form, status int) error {
	one, err := c.Incidents.Get(r.Context(), r.PathValue("id"))
	if err != nil {
		return err
	}
	v := incidentView{Incident: one, Form: typed}
	next := ""
	if v.Members, next, err = c.Incidents.Members(r.Context(), one.ID, tenant.Page{After: r.URL.Query().Get("after")}); err != nil {
		return err
	}
	v.Next = onward(r, next)
	if v.Diagnosis, err = c.Incidents.Diagnosis(r.Context(), one); err != nil {
		return err
	}
	if v.Comments, err = c.Incidents.Comments(r.Context(), one.ID); err != nil {
		return err
	}
	f.Title, f.Noun = one.Headline(), "incidents"
	return show(w, r, status, incidentPage(f, v))
}

func (c *console) acknowledge(w http.ResponseWriter, r *http.Request, f *frame) error {
	id := r.PathValue("id")
	_, err := c.Incidents.Acknowledge(r.Context(), id)
	if errors.Is(err, incident.ErrEnded) {
		return c.showIncident(w, r, f, &form{Problem: "There is nothing to take care of: " + err.Error()}, http.StatusConflict)
	}
	if err != nil {
		return err
	}
	return back(w, r, "/incidents/"+id, "acknowledged")
}

func (c *console) comment(w http.ResponseWriter, r *http.Request, f *frame) error {
	typed, err := typed(w, r)
	if err != nil {
		return err
	}
	id := r.PathValue("id")
	if _, err := c.Incidents.Comment(r.Context(), id, typed.text("text")); err != nil {
		if err := typed.refused(err); err != nil {
			return err
		}
		return c.showIncident(w, r, f, typed, http.StatusUnprocessableEntity)
	}
	return back(w, r, "/incidents/"+id, "commented")
}

func incidentState(i incident.Incident) state {
	switch {
	case i.State == incident.Ended:
		return state{good, "check", "Ended"}
	case i.Kind == incident.KindService:
		return state{none, "question", "Waiting"}
	case i.State == incident.Acknowledged:
		return state{warn, "half", "Acknowledged"}
	case i.Kind == incident.KindEnvironment:
		return state{warn, "warning", "Open"}
	default:
		return state{bad, "stop", "Open"}
	}
}

// reachWords say what an incident affects, or did.
func reachWords(i incident.Incident) string {
	words := count(i.Connections, "connection")
	if i.Tenants != 1 {
		return words + " in " + count(i.Tenants, "tenant")
	}
	return words + " of " + i.First.TenantName
}

// incidentLead says in a sentence what an incident is.
func incidentLead(i incident.Incident) string {
	verb := "stops"
	switch {
	case i.State == incident.Ended:
		verb = "stopped"
	case i.Kind == incident.KindService, i.Kind == incident.KindEnvironment:
		verb = "leaves open whether they work:"
	}
	if i.State == incident.Ended && (i.Kind == incident.KindService || i.Kind == incident.KindEnvironment) {
		verb = "left open whether they worked:"
	}
	return "It " + verb + " " + reachWords(i) + "."
}

// fix is a link to where something is done about an incident.
type fix struct{ Words, Href string }

// fixes are the places where the person can do something about it.
func fixes(f *frame, i incident.Incident) []fix {
	if i.State == incident.Ended || i.First.Gone {
		return nil
	}
	of := "/connections/" + i.First.ConnectionID
	var out []fix
	switch i.Kind {
	case incident.KindAccount:
		if f.may(i.First.TenantID, audit.ConnectionManage) {
			out = append(out, fix{"Enter the right password", of + "/credential"})
		}
	case incident.KindSignIns:
		if i.Connections > 1 && f.may(audit.AllTenants, audit.ConnectionManage) {
			out = append(out, fix{"Ask everybody to sign in again", "/campaigns/new"})
		}
	case incident.KindExpiry, incident.KindApp:
		if f.may(i.First.TenantID, audit.ConnectionManage) {
			out = append(out, fix{"Replace the credential", of + "/credential"})
		}
	}
	return append(out, fix{"See " + i.First.Name, of})
}

// memberState is how a connection of an incident is now.
func memberState(m incident.Member) state {
	switch m.Ending {
	case "":
		return state{bad, "stop", "Affected"}
	case incident.Works:
		return state{good, "check", "Works again"}
	case incident.Removed:
		return state{none, "ring", "Removed"}
	case incident.Paused:
		return state{none, "pause", "Tenant paused"}
	case incident.Another:
		return state{none, "half", "Another cause"}
	default:
		return state{none, "question", "Not known"}
	}
}

// proofState is whether the software itself was seen to sign in.
func proofState(p *incident.Proof) state {
	switch p.State {
	case incident.Seen:
		return state{good, "check", "Proved"}
	case incident.NotYetSeen:
		return state{none, "ring", "Not yet proved"}
	default:
		return state{none, "question", "Unknown"}
	}
}

// proofWords say it in a sentence.
func proofWords(p *incident.Proof) string {
	switch p.State {
	case incident.Seen:
		text := "The tool's own sign-in was seen in the tenant's sign-in log"
		if p.From != "" {
			text += ", from " + p.From
		}
		if p.App != "" {
			text += " by " + p.App
		}
		return text + "."
	case incident.NotYetSeen:
		if !p.Looks {
			return "Works from Gatehouse, not seen from the tool in 14 days."
		}
		return "Works from Gatehouse, not yet seen from the tool. Entries reach the sign-in log after minutes."
	default:
		return "Works from Gatehouse; whether from the tool is unknown: " + p.Reason + "."
	}
}

// event is one line of an incident's history.
type event struct {
	state
	At   time.Time
	By   string
	Text string
}

// events are what happened to an incident, the latest first.
func events(v incidentView) []event {
	out := []event{{state{bad, "stop", "Began"}, v.Since, "", ""}}
	if v.AcknowledgedAt != nil {
		out = append(out, event{state{none, "half", "Acknowledged"}, *v.AcknowledgedAt, v.AcknowledgedBy, ""})
	}
	for _, c := range v.Comments {
		out = append(out, event{state{none, "ring", "Comment"}, c.At, c.Author, c.Text})
	}
	if v.EndedAt != nil {
		out = append(out, event{state{good, "check", "Ended by itself"}, *v.EndedAt, "", ""})
	}
	slices.SortStableFunc(out, func(a, b event) int { return b.At.Compare(a.At) })
	return out
}

// incidentLine is the beginning of the overview's line of state.
func incidentLine(s incident.Summary, stopped, total int) string {
	line := fmt.Sprintf("%s %s %d of %s", count(s.Count-s.Trouble, "incident"), stopWords(s.Count-s.Trouble), stopped, count(total, "connection"))
	if s.Trouble > 0 {
		line += ", and " + count(s.Trouble, "service") + " in trouble"
	}
	return line
}
