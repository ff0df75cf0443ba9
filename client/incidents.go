package client

import (
	"context"
	"net/http"
	"time"
)

// Incident is many failures with one cause, as far as they are in the caller's
// tenants.
type Incident struct {
	ID             string     `json:"id"`
	Kind           string     `json:"kind" enum:"policy,rule,app,sign_ins,expiry,account,service,environment,connection" doc:"policy: a Conditional Access policy of one name, in whichever tenants; sign_ins: people of one tenant who are refused through one app for one reason; connection: what is wrong with one alone"`
	State          string     `json:"state" enum:"open,acknowledged,ended"`
	Headline       string     `json:"headline" doc:"It in a line"`
	Subject        string     `json:"subject,omitempty" doc:"The policy, app, account or service"`
	Title          string     `json:"title,omitempty" doc:"What stops one of the connections"`
	Actor          string     `json:"actor,omitempty" doc:"Who must act: end_user, tenant_admin, app_owner, operator, microsoft, nobody_retry"`
	Help           string     `json:"help,omitempty" doc:"What helps first"`
	Code           string     `json:"code,omitempty" doc:"Microsoft's"`
	Rule           *Rule      `json:"rule,omitempty"`
	Since          time.Time  `json:"since"`
	EndedAt        *time.Time `json:"ended_at,omitempty"`
	Connections    int        `json:"connections" doc:"That it affects; of one that has ended, that it did"`
	Tenants        int        `json:"tenants"`
	TenantID       string     `json:"tenant_id" doc:"One of these"`
	AcknowledgedBy string     `json:"acknowledged_by,omitempty"`
	AcknowledgedAt *time.Time `json:"acknowledged_at,omitempty"`
}

// IncidentDetail is an incident with what helps and what was written about it.
type IncidentDetail struct {
	Incident
	Diagnosis *Diagnosis        `json:"diagnosis,omitempty" doc:"Of one of its connections, while it goes on"`
	Comments  []IncidentComment `json:"comments" nullable:"false" doc:"The first first"`
}

// IncidentComment is what somebody wrote about an incident.
type IncidentComment struct {
	ID     string    `json:"id"`
	At     time.Time `json:"at"`
	Author string    `json:"author"`
	Text   string    `json:"text"`
}

// CommentRequest is a comment to write.
type CommentRequest struct {
	Text string `json:"text" maxLength:"4000"`
}

// IncidentConnection is a connection that an incident affects, or did.
type IncidentConnection struct {
	ConnectionID string     `json:"connection_id"`
	Name         string     `json:"name"`
	TenantID     string     `json:"tenant_id"`
	TenantName   string     `json:"tenant_name"`
	Since        time.Time  `json:"since"`
	Until        *time.Time `json:"until,omitempty" doc:"Left out while it is affected"`
	Ending       string     `json:"ending,omitempty" enum:"works,removed,paused,another,unsure" doc:"Why it is not any more"`
	Title        string     `json:"title,omitempty"`
	Rule         *Rule      `json:"rule,omitempty"`
	Removed      bool       `json:"removed,omitempty"`
	Proof        *Proof     `json:"proof,omitempty"`
}

// Proof is whether the software itself was seen to sign in since its connection
// worked again for Gatehouse. There is none where only Gatehouse has the credential.
type Proof struct {
	State  string     `json:"state" enum:"waiting,seen,unknown" doc:"waiting: works from Gatehouse, not yet seen from the tool"`
	Since  time.Time  `json:"since" doc:"When it worked for Gatehouse"`
	SeenAt *time.Time `json:"seen_at,omitempty"`
	From   string     `json:"from,omitempty" doc:"Address of the sign-in"`
	App    string     `json:"app,omitempty"`
	Reason string     `json:"reason,omitempty" doc:"Why nothing is known"`
}

// IncidentFilter narrows a list of incidents.
type IncidentFilter struct {
	State    string // open, acknowledged, ended, or current for what has not ended
	TenantID string
	Search   string // in what it is about, and in names of connections and tenants
}

// Incidents lists incidents, newest first; next is the cursor of the next page.
func (c *Client) Incidents(ctx context.Context, f IncidentFilter, p Page) (incidents []Incident, next string, err error) {
	q := p.query()
	set(q, "state", f.State)
	set(q, "tenant", f.TenantID)
	set(q, "search", f.Search)
	l, err := call[List[Incident]](ctx, c, request{method: http.MethodGet, path: "/incidents", query: q})
	return l.Items, l.Next, err
}

// Incident gives an incident.
func (c *Client) Incident(ctx context.Context, id string) (IncidentDetail, error) {
	return call[IncidentDetail](ctx, c, request{method: http.MethodGet, path: path("incidents", id)})
}

// IncidentConnections lists the connections of an incident: those that it affects
// first.
func (c *Client) IncidentConnections(ctx context.Context, id string, p Page) (connections []IncidentConnection, next string, err error) {
	l, err := call[List[IncidentConnection]](ctx, c, request{method: http.MethodGet, path: path("incidents", id, "connections"), query: p.query()})
	return l.Items, l.Next, err
}

// AcknowledgeIncident says that somebody takes care of an incident; a
// [ProblemConflict] if it has ended.
func (c *Client) AcknowledgeIncident(ctx context.Context, id string) (Incident, error) {
	return call[Incident](ctx, c, request{method: http.MethodPost, path: path("incidents", id, "acknowledge")})
}

// CommentIncident writes something about an incident.
func (c *Client) CommentIncident(ctx context.Context, id, text string) (IncidentComment, error) {
	return call[IncidentComment](ctx, c, request{method: http.MethodPost, path: path("incidents", id, "comments"), body: CommentRequest{text}})
}
