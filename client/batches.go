package client

import (
	"context"
	"net/http"
	"time"
)

// What can be done to many connections: [BatchRequest.Action].
const (
	ActionValidate    = "validate"
	ActionAddTag      = "add_tag"
	ActionRemoveTag   = "remove_tag"
	ActionSetSchedule = "set_schedule"
	ActionSetConsumer = "set_consumer"
	ActionRemove      = "remove"
)

// BatchRequest is something to be done to many connections: those that are named,
// or else those that the filter lets through.
type BatchRequest struct {
	Action  string            `json:"action" enum:"validate,add_tag,remove_tag,set_schedule,set_consumer,remove"`
	Value   string            `json:"value,omitempty" maxLength:"200" doc:"The tag, the schedule (off, every 6h, daily 02:30 Europe/Berlin; empty for the tenant's), or the consumer's name"`
	IDs     []string          `json:"ids,omitempty" maxItems:"5000" doc:"Of connections"`
	Filter  *ConnectionSearch `json:"filter,omitempty" doc:"Which connections; an empty one means all that may be seen"`
	Saved   string            `json:"saved,omitempty" maxLength:"80" doc:"Id or name of a saved filter, instead of a filter"`
	Confirm string            `json:"confirm,omitempty" maxLength:"40" doc:"To remove: 'remove 12', with how many there are"`
}

// ConnectionSearch is a filter of connections as JSON.
type ConnectionSearch struct {
	TenantID string `json:"tenant,omitempty" maxLength:"64"`
	Verdict  string `json:"verdict,omitempty" enum:",works,works_with_warnings,blocked,failed,unknown,never"`
	Kind     string `json:"kind,omitempty" enum:",service_account,app"`
	Tag      string `json:"tag,omitempty" maxLength:"40"`
	Service  string `json:"service,omitempty" enum:",graph,sharepoint,exchange,business_central"`
	Parked   string `json:"parked,omitempty" enum:",yes,no"`
	Search   string `json:"search,omitempty" maxLength:"200" doc:"In name, user name and client id"`
}

// BatchPreview says what a batch would do.
type BatchPreview struct {
	Words        string   `json:"words" doc:"What is done"`
	Total        int      `json:"total" doc:"Connections to which it may be done"`
	Refused      int      `json:"refused" doc:"Connections of tenants in which the caller may not do this"`
	RefusedNames []string `json:"refused_names" nullable:"false" doc:"Some of them"`
	Confirm      string   `json:"confirm,omitempty" doc:"What is to be repeated as confirm"`
}

// Batch is something that is done to many connections. Its counts are of those that
// the caller may see.
type Batch struct {
	ID          string         `json:"id"`
	Action      string         `json:"action"`
	Words       string         `json:"words" doc:"What is done"`
	RequestedBy string         `json:"requested_by"`
	TenantID    string         `json:"tenant_id,omitempty" doc:"Of all its connections; left out if there are several"`
	State       string         `json:"state" enum:"running,done,cancelled"`
	CreatedAt   time.Time      `json:"created_at"`
	EndedAt     *time.Time     `json:"ended_at,omitempty"`
	Total       int            `json:"total"`
	Done        int            `json:"done"`
	Outcomes    map[string]int `json:"outcomes" doc:"How many came out how: a verdict, or changed, unchanged, refused, skipped, error, cancelled"`
	PerSecond   float64        `json:"per_second"`
	SecondsLeft int            `json:"seconds_left,omitempty" doc:"At the rate so far"`
}

// Ended reports whether nothing more will come.
func (b Batch) Ended() bool { return b.State != "running" }

// BatchItem is one connection of a batch.
type BatchItem struct {
	Seq          int64  `json:"seq"`
	TenantID     string `json:"tenant_id"`
	ConnectionID string `json:"connection_id,omitempty" doc:"Left out for one that is to be made"`
	Name         string `json:"name"`
	Outcome      string `json:"outcome,omitempty" doc:"Left out until it is done"`
	Note         string `json:"note,omitempty" doc:"Why"`
}

// PreviewBatch says what a batch would do, and does nothing.
func (c *Client) PreviewBatch(ctx context.Context, r BatchRequest) (BatchPreview, error) {
	return call[BatchPreview](ctx, c, request{method: http.MethodPost, path: "/batches/preview", body: r})
}

// StartBatch begins something that is done to many connections.
func (c *Client) StartBatch(ctx context.Context, r BatchRequest) (Batch, error) {
	return call[Batch](ctx, c, request{method: http.MethodPost, path: "/batches", body: r})
}

// Batches lists batches, newest first.
func (c *Client) Batches(ctx context.Context, p Page) (batches []Batch, next string, err error) {
	l, err := call[List[Batch]](ctx, c, request{method: http.MethodGet, path: "/batches", query: p.query()})
	return l.Items, l.Next, err
}

// Batch gives a batch.
func (c *Client) Batch(ctx context.Context, id string) (Batch, error) {
	return call[Batch](ctx, c, request{method: http.MethodGet, path: path("batches", id)})
}

// BatchItems lists what became of the connections of a batch; outcome narrows it if
// it is not "".
func (c *Client) BatchItems(ctx context.Context, id, outcome string, p Page) (items []BatchItem, next string, err error) {
	q := p.query()
	set(q, "outcome", outcome)
	l, err := call[List[BatchItem]](ctx, c, request{method: http.MethodGet, path: path("batches", id, "items"), query: q})
	return l.Items, l.Next, err
}

// CancelBatch calls a batch off. What is done by then stays.
func (c *Client) CancelBatch(ctx context.Context, id string) (Batch, error) {
	return call[Batch](ctx, c, request{method: http.MethodPost, path: path("batches", id, "cancel")})
}

// AwaitBatch waits for the end of a batch, as long as the context allows; seen is
// called with each look at it, if it is not nil.
func (c *Client) AwaitBatch(ctx context.Context, id string, seen func(Batch)) (Batch, error) {
	for pause := 50 * time.Millisecond; ; pause = min(2*pause, time.Second) {
		b, err := c.Batch(ctx, id)
		if err == nil && seen != nil {
			seen(b)
		}
		if err != nil || b.Ended() {
			return b, err
		}
		select {
		case <-ctx.Done():
			return b, ctx.Err()
		case <-time.After(pause):
		}
	}
}
