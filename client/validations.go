package client

import (
	"context"
	"net/http"
	"time"
)

// Validation is one run of probes of a connection.
type Validation struct {
	ID           string     `json:"id"`
	ConnectionID string     `json:"connection_id"`
	TenantID     string     `json:"tenant_id"`
	State        string     `json:"state" enum:"queued,running,done,unknown" doc:"unknown: it was cut off after a password may have been tried, and is not repeated"`
	RequestedBy  string     `json:"requested_by"`
	CreatedAt    time.Time  `json:"created_at"`
	StartedAt    *time.Time `json:"started_at,omitempty"`
	EndedAt      *time.Time `json:"ended_at,omitempty"`
	Probes       []Probe    `json:"probes" nullable:"false"`
	Reason       string     `json:"reason,omitempty" doc:"Why nothing is known"`
	Verdict      string     `json:"verdict,omitempty" enum:"works,works_with_warnings,blocked,failed,unknown"`
	Rule         *Rule      `json:"rule,omitempty"`
	Diagnosis    *Diagnosis `json:"diagnosis,omitempty"`
}

// Probe is one thing that was looked at.
type Probe struct {
	Name      string         `json:"name"`
	State     string         `json:"state" enum:"passed,warning,failed,skipped,unknown"`
	TookMS    float64        `json:"took_ms"`
	Evidence  map[string]any `json:"evidence,omitempty"`
	Reason    string         `json:"reason,omitempty"`
	Diagnosis *Diagnosis     `json:"diagnosis,omitempty"`
}

// Diagnosis says why, who acts and what helps.
type Diagnosis struct {
	Category     string        `json:"category"`
	Detail       *string       `json:"detail,omitempty"`
	Code         *string       `json:"code,omitempty" doc:"Microsoft's"`
	Actor        string        `json:"actor"`
	Title        string        `json:"title"`
	Cause        string        `json:"cause"`
	Confidence   string        `json:"confidence" enum:"high,medium,low"`
	Remedies     []Remedy      `json:"remedies" nullable:"false" doc:"Safest first"`
	Alternatives []Alternative `json:"alternatives" nullable:"false"`
}

// Remedy is one way out.
type Remedy struct {
	ID               string   `json:"id"`
	Title            string   `json:"title"`
	Actor            string   `json:"actor"`
	Steps            []string `json:"steps" nullable:"false"`
	Automatic        bool     `json:"automatic" doc:"Gatehouse can do it"`
	LowersProtection bool     `json:"lowers_protection"`
	Reference        *string  `json:"reference,omitempty"`
}

// Alternative is another cause that the evidence does not exclude.
type Alternative struct {
	Category   string `json:"category"`
	Actor      string `json:"actor"`
	Cause      string `json:"cause"`
	Confidence string `json:"confidence"`
}

// Ended reports whether nothing more will come.
func (v Validation) Ended() bool { return v.State == "done" || v.State == "unknown" }

// StartValidation begins to validate a connection.
func (c *Client) StartValidation(ctx context.Context, connectionID string) (Validation, error) {
	return call[Validation](ctx, c, request{method: http.MethodPost, path: path("connections", connectionID, "validations")})
}

// Validation gives a validation.
func (c *Client) Validation(ctx context.Context, id string) (Validation, error) {
	return call[Validation](ctx, c, request{method: http.MethodGet, path: path("validations", id)})
}

// Validations lists the validations of a connection, newest first.
func (c *Client) Validations(ctx context.Context, connectionID string, p Page) (validations []Validation, next string, err error) {
	l, err := call[List[Validation]](ctx, c, request{method: http.MethodGet, path: path("connections", connectionID, "validations"), query: p.query()})
	return l.Items, l.Next, err
}

// Validate starts a validation and waits for its end, as long as the context
// allows.
func (c *Client) Validate(ctx context.Context, connectionID string) (Validation, error) {
	v, err := c.StartValidation(ctx, connectionID)
	for pause := 20 * time.Millisecond; err == nil && !v.Ended(); pause = min(2*pause, time.Second) {
		select {
		case <-ctx.Done():
			return v, ctx.Err()
		case <-time.After(pause):
		}
		v, err = c.Validation(ctx, v.ID)
	}
	return v, err
}
