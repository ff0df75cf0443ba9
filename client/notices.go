package client

import (
	"context"
	"net/http"
	"time"
)

// Webhook is an address that is told what happens.
type Webhook struct {
	ID             string     `json:"id"`
	TenantID       string     `json:"tenant_id" doc:"Empty for the whole server"`
	TenantName     string     `json:"tenant_name"`
	Name           string     `json:"name"`
	URL            string     `json:"url" doc:"Whole for who may change it; for others only its host"`
	Kinds          []string   `json:"kinds" nullable:"false"`
	Tenants        []string   `json:"tenants" nullable:"false" doc:"Of one for the whole server: empty for all"`
	Enabled        bool       `json:"enabled"`
	DisabledWhy    string     `json:"disabled_why,omitempty" doc:"Why Gatehouse switched it off"`
	FailingSince   *time.Time `json:"failing_since,omitempty" doc:"Nothing gets through since then"`
	DeliveredAt    *time.Time `json:"delivered_at,omitempty" doc:"When it last took a notice"`
	OldSecretUntil *time.Time `json:"old_secret_until,omitempty" doc:"The secret was replaced: the one before signs too until then"`
	CreatedAt      time.Time  `json:"created_at"`
	Version        int64      `json:"version"`
}

// WebhookRequest makes a webhook.
type WebhookRequest struct {
	TenantID string   `json:"tenant_id,omitempty" maxLength:"64" doc:"Left out for the whole server"`
	Name     string   `json:"name" maxLength:"200"`
	URL      string   `json:"url" maxLength:"2000"`
	Kinds    []string `json:"kinds" nullable:"false" maxItems:"20" enum:"incident.opened,incident.ended,expiry.due,connection.parked,campaign.proposed,campaign.progress,campaign.done,sign_in.needed,sign_in.ends,consent.changed,webhook.disabled"`
	Tenants  []string `json:"tenants,omitempty" maxItems:"1000" doc:"Of one for the whole server: empty for all"`
	Disabled bool     `json:"disabled,omitempty" doc:"It is sent nothing yet"`
}

// WebhookChange is what a webhook is to be in place of what had a version.
type WebhookChange struct {
	Name    string   `json:"name" maxLength:"200"`
	URL     string   `json:"url,omitempty" maxLength:"2000" doc:"Left out to keep the one that is there"`
	Kinds   []string `json:"kinds" nullable:"false" maxItems:"20" enum:"incident.opened,incident.ended,expiry.due,connection.parked,campaign.proposed,campaign.progress,campaign.done,sign_in.needed,sign_in.ends,consent.changed,webhook.disabled"`
	Tenants []string `json:"tenants,omitempty" maxItems:"1000"`
	Enabled bool     `json:"enabled"`
	Version int64    `json:"version"`
}

// WebhookSecret is a webhook with the secret that its receiver checks signatures
// with.
type WebhookSecret struct {
	Webhook Webhook `json:"webhook"`
	Secret  string  `json:"secret" doc:"Given this once"`
}

// Notice is what was told.
type Notice struct {
	ID         string     `json:"id" doc:"The webhook-id of its webhooks"`
	Kind       string     `json:"kind"`
	Key        string     `json:"key" doc:"What it is about: of a kind and key there is one notice"`
	TenantID   string     `json:"tenant_id" doc:"Empty for the whole server"`
	TenantName string     `json:"tenant_name"`
	Title      string     `json:"title"`
	Text       string     `json:"text"`
	Path       string     `json:"path,omitempty" doc:"Page of the console"`
	WhoActs    string     `json:"who_acts,omitempty"`
	At         time.Time  `json:"at" doc:"When it happened"`
	CreatedAt  time.Time  `json:"created_at"`
	Deliveries []Delivery `json:"deliveries" nullable:"false"`
}

// Delivery is a notice to one receiver.
type Delivery struct {
	ID         string     `json:"id"`
	NoticeID   string     `json:"notice_id"`
	Channel    string     `json:"channel" enum:"mail,webhook"`
	WebhookID  string     `json:"webhook_id,omitempty"`
	Name       string     `json:"name" doc:"Of the receiver"`
	Address    string     `json:"address" doc:"E-mail addresses are whole for who may see operators"`
	State      string     `json:"state" enum:"waiting,delivered,failed,withheld"`
	Reason     string     `json:"reason,omitempty" doc:"Why it failed, was withheld, or is tried again"`
	Tries      int        `json:"tries" doc:"Since it was published or replayed"`
	DueAt      *time.Time `json:"due_at,omitempty" doc:"The next attempt"`
	CreatedAt  time.Time  `json:"created_at"`
	EndedAt    *time.Time `json:"ended_at,omitempty"`
	Replayable bool       `json:"replayable" doc:"It has ended and can be sent again"`
	Attempts   []Attempt  `json:"attempts,omitempty" doc:"The last 50, oldest first; only of a single notice"`
}

// Attempt is one time that a delivery was sent.
type Attempt struct {
	At      time.Time `json:"at"`
	TookMS  int64     `json:"took_ms"`
	Outcome string    `json:"outcome" enum:"under_way,taken,refused,unknown" doc:"unknown: the server ended before it was noted"`
	Status  int       `json:"status,omitempty" doc:"Of HTTP or SMTP"`
	Reason  string    `json:"reason,omitempty"`
	Answer  string    `json:"answer,omitempty" doc:"Its first bytes, escaped"`
}

// NoticeWish is what an operator hears by mail.
type NoticeWish struct {
	Kinds   []string `json:"kinds" nullable:"false"`
	Tenants []string `json:"tenants" nullable:"false" doc:"Empty for all that they may see"`
	Normal  bool     `json:"normal" doc:"Nothing was chosen: the defaults of the role hold"`
	Address string   `json:"address"`
	Mail    bool     `json:"mail" doc:"There is a mail server"`
}

// NoticeWishRequest chooses what an operator hears by mail.
type NoticeWishRequest struct {
	Kinds   []string `json:"kinds" nullable:"false" maxItems:"20" enum:"incident.opened,incident.ended,expiry.due,connection.parked,campaign.proposed,campaign.progress,campaign.done,sign_in.needed,sign_in.ends,consent.changed,webhook.disabled"`
	Tenants []string `json:"tenants,omitempty" maxItems:"1000" doc:"Empty for all that they may see"`
}

// ReplayRequest says what is to be sent again.
type ReplayRequest struct {
	Since     time.Time `json:"since" doc:"Of notices published since then"`
	WebhookID string    `json:"webhook_id,omitempty" maxLength:"64" doc:"Left out for all receivers"`
}

// Replayed says how much is sent again.
type Replayed struct {
	Count int `json:"count"`
}

// NoticeFilter narrows a list of notices.
type NoticeFilter struct {
	TenantID, Kind, WebhookID string
	State                     string // with a delivery in this state
}

// Webhooks lists webhooks; next is the cursor of the next page.
func (c *Client) Webhooks(ctx context.Context, p Page) (webhooks []Webhook, next string, err error) {
	l, err := call[List[Webhook]](ctx, c, request{method: http.MethodGet, path: "/webhooks", query: p.query()})
	return l.Items, l.Next, err
}

// AddWebhook makes a webhook and gives its secret.
func (c *Client) AddWebhook(ctx context.Context, r WebhookRequest) (WebhookSecret, error) {
	return call[WebhookSecret](ctx, c, request{method: http.MethodPost, path: "/webhooks", body: r})
}

// Webhook gives a webhook.
func (c *Client) Webhook(ctx context.Context, id string) (Webhook, error) {
	return call[Webhook](ctx, c, request{method: http.MethodGet, path: path("webhooks", id)})
}

// ChangeWebhook puts other settings in place of those that had the version; a
// [ProblemConflict] if it was changed meanwhile.
func (c *Client) ChangeWebhook(ctx context.Context, id string, r WebhookChange) (Webhook, error) {
	return call[Webhook](ctx, c, request{method: http.MethodPut, path: path("webhooks", id), body: r})
}

// RemoveWebhook deletes a webhook.
func (c *Client) RemoveWebhook(ctx context.Context, id string) error {
	return c.do(ctx, request{method: http.MethodDelete, path: path("webhooks", id)})
}

// TestWebhook sends a test at once and gives what became of it.
func (c *Client) TestWebhook(ctx context.Context, id string) (Delivery, error) {
	return call[Delivery](ctx, c, request{method: http.MethodPost, path: path("webhooks", id, "test")})
}

// RotateWebhookSecret gives a webhook a new secret; for a day both sign.
func (c *Client) RotateWebhookSecret(ctx context.Context, id string) (WebhookSecret, error) {
	return call[WebhookSecret](ctx, c, request{method: http.MethodPost, path: path("webhooks", id, "secret")})
}

// Notices lists notices, the newest first; next is the cursor of the next page.
func (c *Client) Notices(ctx context.Context, f NoticeFilter, p Page) (notices []Notice, next string, err error) {
	q := p.query()
	set(q, "tenant", f.TenantID)
	set(q, "kind", f.Kind)
	set(q, "state", f.State)
	set(q, "webhook", f.WebhookID)
	l, err := call[List[Notice]](ctx, c, request{method: http.MethodGet, path: "/notices", query: q})
	return l.Items, l.Next, err
}

// Notice gives a notice with all attempts to deliver it.
func (c *Client) Notice(ctx context.Context, id string) (Notice, error) {
	return call[Notice](ctx, c, request{method: http.MethodGet, path: path("notices", id)})
}

// ReplayDelivery sends a delivery that has ended once more.
func (c *Client) ReplayDelivery(ctx context.Context, id string) error {
	return c.do(ctx, request{method: http.MethodPost, path: path("deliveries", id, "replay")})
}

// ReplayFailed sends once more what has failed.
func (c *Client) ReplayFailed(ctx context.Context, r ReplayRequest) (int, error) {
	answer, err := call[Replayed](ctx, c, request{method: http.MethodPost, path: "/notices/replay", body: r})
	return answer.Count, err
}

// MyNotices is what the caller hears by mail.
func (c *Client) MyNotices(ctx context.Context) (NoticeWish, error) {
	return call[NoticeWish](ctx, c, request{method: http.MethodGet, path: "/me/notices"})
}

// ChooseNotices sets what the caller hears by mail.
func (c *Client) ChooseNotices(ctx context.Context, r NoticeWishRequest) (NoticeWish, error) {
	return call[NoticeWish](ctx, c, request{method: http.MethodPut, path: "/me/notices", body: r})
}

// TestMail sends a test to the caller's own address at once and gives what became
// of it.
func (c *Client) TestMail(ctx context.Context) (Delivery, error) {
	return call[Delivery](ctx, c, request{method: http.MethodPost, path: "/me/notices/test"})
}
