package client

import (
	"context"
	"io"
	"net/http"
	"strconv"
	"time"
)

// AuditEntry is an entry of the audit log.
type AuditEntry struct {
	Seq        int64     `json:"seq"`
	At         time.Time `json:"at"`
	ActorKind  string    `json:"actor_kind"`
	ActorID    string    `json:"actor_id"`
	ActorName  string    `json:"actor_name"`
	Address    string    `json:"address"`
	Action     string    `json:"action"`
	ObjectKind string    `json:"object_kind"`
	ObjectID   string    `json:"object_id"`
	ObjectName string    `json:"object_name"`
	Details    string    `json:"details" doc:"JSON"`
	TenantID   string    `json:"tenant_id"`
	Outcome    string    `json:"outcome" enum:"done,refused,failed"`
	Hash       string    `json:"hash"`
}

// AuditFilter narrows the log. Empty members do not.
type AuditFilter struct {
	TenantID, ActorID, ObjectID, Action, Outcome string
	Search                                       string // in action and names, of the newest 20,000 entries
	From, To                                     time.Time
}

// AuditReport is what a verification found in order.
type AuditReport struct {
	Entries     int64  `json:"entries"`
	Hash        string `json:"hash" doc:"Of the last entry"`
	Erased      int64  `json:"erased"`
	Checkpoints int64  `json:"checkpoints"`
	Signed      int64  `json:"signed" doc:"The last entry under a signed checkpoint"`
}

// AuditCheckpoint is a signed statement of the log's end, to be kept elsewhere.
type AuditCheckpoint struct {
	Seq       int64     `json:"seq"`
	Hash      string    `json:"hash"`
	At        time.Time `json:"at"`
	Key       string    `json:"key"`
	Signature string    `json:"signature"`
}

// Audit lists entries, newest first; next is the cursor of the next page.
func (c *Client) Audit(ctx context.Context, f AuditFilter, p Page) (entries []AuditEntry, next string, err error) {
	q := p.query()
	set(q, "tenant", f.TenantID)
	set(q, "actor", f.ActorID)
	set(q, "object", f.ObjectID)
	set(q, "action", f.Action)
	set(q, "search", f.Search)
	set(q, "outcome", f.Outcome)
	for name, at := range map[string]time.Time{"from": f.From, "to": f.To} {
		if !at.IsZero() {
			q.Set(name, at.UTC().Format(time.RFC3339Nano))
		}
	}
	l, err := call[List[AuditEntry]](ctx, c, request{method: http.MethodGet, path: "/audit", query: q})
	return l.Items, l.Next, err
}

// VerifyAudit checks the whole log. What is wrong is a [Problem] of the type
// [ProblemConflict].
func (c *Client) VerifyAudit(ctx context.Context) (AuditReport, error) {
	return call[AuditReport](ctx, c, request{method: http.MethodPost, path: "/audit/verify"})
}

// Checkpoint signs the end of the log.
func (c *Client) Checkpoint(ctx context.Context) (AuditCheckpoint, error) {
	return call[AuditCheckpoint](ctx, c, request{method: http.MethodPost, path: "/audit/checkpoint"})
}

// ExportAudit writes the whole log, one JSON object a line.
func (c *Client) ExportAudit(ctx context.Context, w io.Writer) error {
	return c.do(ctx, request{method: http.MethodGet, path: "/audit/export", into: w})
}

// Job is work that is waiting, under way or over.
type Job struct {
	ID       int64        `json:"id"`
	Kind     string       `json:"kind"`
	TenantID string       `json:"tenant_id"`
	State    string       `json:"state" enum:"waiting,scheduled,retrying,running,done,cancelled,failed"`
	Attempt  int          `json:"attempt"`
	Attempts int          `json:"attempts" doc:"How often at most"`
	Created  time.Time    `json:"created_at"`
	Due      time.Time    `json:"due_at"`
	Started  *time.Time   `json:"started_at,omitempty"`
	Finished *time.Time   `json:"finished_at,omitempty"`
	Replica  string       `json:"replica,omitempty"`
	Failures []JobFailure `json:"failures" nullable:"false"`
}

// JobFailure is an attempt that failed.
type JobFailure struct {
	At      time.Time `json:"at"`
	Attempt int       `json:"attempt"`
	Error   string    `json:"error"`
}

// JobFilter narrows a list of jobs.
type JobFilter struct{ Kind, State string }

// Jobs lists jobs, newest first; next is the cursor of the next page.
func (c *Client) Jobs(ctx context.Context, f JobFilter, p Page) (jobs []Job, next string, err error) {
	q := p.query()
	set(q, "kind", f.Kind)
	set(q, "state", f.State)
	l, err := call[List[Job]](ctx, c, request{method: http.MethodGet, path: "/jobs", query: q})
	return l.Items, l.Next, err
}

// Job gives a job.
func (c *Client) Job(ctx context.Context, id int64) (Job, error) {
	return call[Job](ctx, c, request{method: http.MethodGet, path: path("jobs", strconv.FormatInt(id, 10))})
}

// CancelJob ends a job for good.
func (c *Client) CancelJob(ctx context.Context, id int64) error {
	return c.do(ctx, request{method: http.MethodPost, path: path("jobs", strconv.FormatInt(id, 10), "cancel")})
}

// RetryJob lets a job begin at once.
func (c *Client) RetryJob(ctx context.Context, id int64) error {
	return c.do(ctx, request{method: http.MethodPost, path: path("jobs", strconv.FormatInt(id, 10), "retry")})
}
