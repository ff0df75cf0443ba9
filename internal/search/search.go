// Package search looks a text up in everything that there is: tenants,
// connections, people, accounts of tenants, saved filters, tags, pages, the newest
// entries of the audit log, and, where the text is an error message, what is known
// about errors. Each part shows only what the actor may see,
// as its own list does.
package search

import (
	"cmp"
	"context"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"

	"gatehouse/internal/audit"
	"gatehouse/internal/connection"
	"gatehouse/internal/diagnosis"
	"gatehouse/internal/fault"
	"gatehouse/internal/incident"
	"gatehouse/internal/operator"
	"gatehouse/internal/tenant"
)

// The kinds of what is found.
const (
	Tenants     = "tenants"
	Connections = "connections"
	People      = "people"
	Filters     = "filters"
	Incidents   = "incidents"
	Tags        = "tags"
	Pages       = "pages"
	Accounts    = "accounts" // in tenants, as far as snapshots hold them
	Audit       = "audit"
)

// Hit is one thing that was found.
type Hit struct {
	ID, Name, Note string
	Path           string // of its page in the console
	TenantID       string
	At             *time.Time // of an entry of the audit log
	// Connection is set for one, for its state.
	Connection *connection.Connection
}

// Group is what was found of one kind.
type Group struct {
	Kind string
	Hits []Hit
	More string // the page that shows the rest; "" if there is none
}

// Answer is what a text leads to.
type Answer struct {
	Groups []Group // those with hits
	// Diagnosis is what is known about the text as an error message; nil where it
	// is a name.
	Diagnosis *diagnosis.Diagnosis
}

// Config is what the service needs.
type Config struct {
	Tenants     *tenant.Service
	Connections *connection.Service
	Operators   *operator.Service
	Incidents   *incident.Service
	Audit       *audit.Log
}

// Service looks things up.
type Service struct{ Config }

// New makes the service.
func New(c Config) *Service { return &Service{c} }

// MaxText bounds a text, in bytes: an error message pasted whole.
const MaxText = 64 << 10

const (
	// maxName is up to how many bytes a text in one line may also be a name.
	maxName = 100
	most    = 8 // of each kind
)

// Look looks a text up.
func (s *Service) Look(ctx context.Context, text string) (Answer, error) {
	text = strings.TrimSpace(text)
	switch {
	case text == "":
		return Answer{}, fault.Of("text", "is missing", "write a name, or paste an error as the program shows it")
	case len(text) > MaxText:
		return Answer{}, fault.Of("text", "is too long", "paste the part with the error's code")
	}
	var out Answer
	if len(text) <= maxName && !strings.Contains(text, "\n") {
		for _, look := range []func(context.Context, string, int) (Group, error){s.tenants, s.connections, s.incidents, s.people, s.accounts, s.filters, s.tags, s.pages, s.audit} {
			g, err := look(ctx, text, most)
			if err != nil {
				return Answer{}, fmt.Errorf("looking up a text: %w", err)
			}
			if len(g.Hits) > 0 {
				out.Groups = append(out.Groups, g)
			}
		}
	}
	// Where the text is a name, nothing known about errors is no answer to it.
	if answer := diagnosis.Explain(text); answer.Category != "other" || len(out.Groups) == 0 {
		out.Diagnosis = &answer
	}
	return out, nil
}

func (s *Service) tenants(ctx context.Context, text string, most int) (Group, error) {
	found, next, err := s.Tenants.List(ctx, tenant.Filter{Search: text}, tenant.Page{Limit: most})
	g := Group{Kind: Tenants}
	for _, t := range found {
		g.Hits = append(g.Hits, Hit{ID: t.ID, Name: t.Name, Note: t.Domain, Path: "/tenants/" + t.ID, TenantID: t.ID})
	}
	if next != "" {
		g.More = "/tenants?search=" + url.QueryEscape(text)
	}
	return g, err
}

func (s *Service) connections(ctx context.Context, text string, most int) (Group, error) {
	found, next, err := s.Connections.List(ctx, connection.Filter{Search: text}, connection.Page{Limit: most})
	g := Group{Kind: Connections}
	for _, c := range found {
		note := c.TenantName
		if c.Username != "" {
			note += ", " + c.Username
		}
		g.Hits = append(g.Hits, Hit{ID: c.ID, Name: c.Name, Note: note, Path: "/connections/" + c.ID, TenantID: c.TenantID, Connection: &c})
	}
	if next != "" {
		g.More = "/connections?search=" + url.QueryEscape(text)
	}
	return g, err
}

func contains(text string, in ...string) bool {
	for _, s := range in {
		if strings.Contains(strings.ToLower(s), strings.ToLower(text)) {
			return true
		}
	}
	return false
}

// people are operators, for whom may see them.
func (s *Service) people(ctx context.Context, text string, most int) (Group, error) {
	g := Group{Kind: People}
	scope, err := audit.Tenants(ctx, audit.OperatorView)
	if err != nil || !scope.All && len(scope.IDs) == 0 {
		return g, err
	}
	all, err := s.Operators.List(ctx)
	for _, o := range all {
		if len(g.Hits) < most && contains(text, o.Name, o.Email) {
			g.Hits = append(g.Hits, Hit{ID: o.ID, Name: o.Name, Note: o.Email, Path: "/operators/" + o.ID})
		}
	}
	return g, err
}

// accounts are those that the tenants' snapshots hold.
func (s *Service) accounts(ctx context.Context, text string, most int) (Group, error) {
	g := Group{Kind: Accounts}
	found, err := s.Tenants.Accounts(ctx, text, most)
	for _, a := range found {
		note := a.TenantName
		if a.Name != "" {
			note = a.UPN + ", " + note
		}
		g.Hits = append(g.Hits, Hit{ID: a.AccountID, Name: cmp.Or(a.Name, a.UPN), Note: note, Path: "/tenants/" + a.TenantID, TenantID: a.TenantID})
	}
	return g, err
}

// audit are entries of the audit log, the newest first.
func (s *Service) audit(ctx context.Context, text string, most int) (Group, error) {
	g := Group{Kind: Audit}
	found, err := s.Audit.List(ctx, audit.Filter{Search: text, Limit: most})
	for _, r := range found {
		note := "by " + cmp.Or(r.ActorName, string(r.ActorKind))
		if r.ObjectName != "" {
			note = r.ObjectName + ", " + note
		}
		at := r.At.UTC()
		g.Hits = append(g.Hits, Hit{ID: strconv.FormatInt(r.Seq, 10), Name: r.Action, Note: note, Path: "/audit?" + url.Values{"object": {r.ObjectID}, "action": {r.Action}}.Encode(), TenantID: r.TenantID, At: &at})
	}
	if len(found) == most {
		g.More = "/audit?" + url.Values{"search": {text}}.Encode()
	}
	return g, err
}

func (s *Service) incidents(ctx context.Context, text string, most int) (Group, error) {
	g := Group{Kind: Incidents}
	scope, err := audit.Tenants(ctx, audit.IncidentView)
	if err != nil || !scope.All && len(scope.IDs) == 0 {
		return g, err
	}
	found, next, err := s.Incidents.List(ctx, incident.Filter{State: incident.Current, Search: text}, tenant.Page{Limit: most})
	for _, i := range found {
		g.Hits = append(g.Hits, Hit{ID: i.ID, Name: i.Headline(), Note: i.Title, Path: "/incidents/" + i.ID})
	}
	if next != "" {
		g.More = "/incidents?" + url.Values{"search": {text}}.Encode()
	}
	return g, err
}

func (s *Service) filters(ctx context.Context, text string, most int) (Group, error) {
	g := Group{Kind: Filters}
	all, err := s.Connections.SavedFilters(ctx)
	for _, f := range all {
		if len(g.Hits) < most && contains(text, f.Name) {
			g.Hits = append(g.Hits, Hit{ID: f.ID, Name: f.Name, Note: "by " + f.By, Path: "/connections?" + f.Filter.Query().Encode(), TenantID: f.Filter.TenantID})
		}
	}
	return g, err
}

// mostTags is how many tags are looked through.
const mostTags = 1000

func (s *Service) tags(ctx context.Context, text string, most int) (Group, error) {
	g := Group{Kind: Tags}
	all, err := s.Connections.Tags(ctx, mostTags)
	for _, t := range all {
		if len(g.Hits) < most && contains(text, t.Tag) {
			g.Hits = append(g.Hits, Hit{ID: t.Tag, Name: t.Tag, Note: fmt.Sprintf("%d connections", t.Count), Path: "/connections?tag=" + url.QueryEscape(t.Tag)})
		}
	}
	return g, err
}

// pages of the console, with words by which people look for them.
var pages = []struct {
	name, path, words string
	permission        audit.Permission // had anywhere; "" for everybody
}{
	{"Overview", "/", "overview start home state", ""},
	{"Tenants", "/tenants", "tenants", audit.TenantView},
	{"Connections", "/connections", "connections accounts apps", audit.ConnectionView},
	{"Add a connection", "/connections/new", "add new connection", audit.ConnectionManage},
	{"Import connections", "/connections/import", "import upload csv json spreadsheet", audit.ConnectionManage},
	{"Batches", "/batches", "batches sweep bulk progress", audit.ConnectionView},
	{"Incidents", "/incidents", "incidents outages causes what is wrong", audit.IncidentView},
	{"Campaigns", "/campaigns", "campaigns re-authentication sign in again consent reminders", audit.ConnectionView},
	{"Expiries", "/expiries", "expiries expiring certificates secrets calendar forecast", audit.ConnectionView},
	{"Notices", "/settings/notices", "notices mail webhooks deliveries", audit.NotifyView},
	{"Webhooks", "/settings/webhooks", "webhooks notices receivers", audit.NotifyView},
	{"What I hear", "/settings/notices/mine", "my notices mail subscription unsubscribe", ""},
	{"API keys", "/keys", "api keys tokens programs", ""},
	{"Directory", "/operators/directory", "directory groups single sign-on sso oidc", audit.OperatorManage},
	{"Server", "/server", "server backup restore health doctor release", audit.SettingsView},
	{"Jobs", "/jobs", "jobs queue background", audit.JobView},
	{"Audit", "/audit", "audit log who did what", audit.AuditView},
	{"Operators", "/operators", "operators people users roles", audit.OperatorView},
	{"Invite an operator", "/operators/new", "invite operator add person", audit.OperatorManage},
	{"Explain", "/explain", "explain error code aadsts", ""},
	{"Settings", "/settings", "settings password passkey second factor sessions", ""},
	{"Schedule", "/settings/schedule", "schedule daily hours when validated", audit.SettingsView},
	{"API", "/developers", "api rest openapi command line cli", ""},
}

func (s *Service) pages(ctx context.Context, text string, most int) (Group, error) {
	g := Group{Kind: Pages}
	for _, p := range pages {
		if len(g.Hits) >= most || !contains(text, p.name, p.words) {
			continue
		}
		if p.permission != "" {
			scope, err := audit.Tenants(ctx, p.permission)
			if err != nil {
				return g, err
			}
			if !scope.All && len(scope.IDs) == 0 {
				continue
			}
		}
		g.Hits = append(g.Hits, Hit{ID: p.path, Name: p.name, Path: p.path})
	}
	return g, nil
}
