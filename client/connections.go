package client

import (
	"context"
	"maps"
	"net/http"
	"net/url"
	"time"
)

// Connection is one identity that reaches services of one tenant.
type Connection struct {
	ID                 string     `json:"id"`
	TenantID           string     `json:"tenant_id"`
	TenantName         string     `json:"tenant_name"`
	Name               string     `json:"name"`
	Description        string     `json:"description"`
	Kind               string     `json:"kind" enum:"delegated,service_account,app"`
	MFA                bool       `json:"mfa" doc:"MFA is expected of the account"`
	Username           string     `json:"username,omitempty"`
	ClientID           string     `json:"client_id,omitempty"`
	RegistrationID     string     `json:"registration_id,omitempty" doc:"Of a delegated connection: the app registration"`
	ObjectID           string     `json:"object_id,omitempty" doc:"Of a delegated connection: who signed in; left out while nobody has"`
	Credential         string     `json:"credential" doc:"password, app_password, secret, certificate, federated or sign_in"`
	HasCredential      bool       `json:"has_credential" doc:"It is kept here"`
	CredentialNotAfter *time.Time `json:"credential_not_after,omitempty"`
	Thumbprint         string     `json:"thumbprint,omitempty"`
	Services           []string   `json:"services" nullable:"false" enum:"graph,sharepoint,exchange,business_central"`
	Site               string     `json:"site,omitempty"`
	AdminURL           string     `json:"admin_url,omitempty"`
	Environment        string     `json:"environment,omitempty"`
	Company            string     `json:"company,omitempty"`
	Consumer           Consumer   `json:"consumer"`
	Verdict            string     `json:"verdict" enum:",works,works_with_warnings,blocked,failed,unknown" doc:"Empty: never validated"`
	Sentence           string     `json:"sentence,omitempty" doc:"The verdict in a sentence"`
	Rule               *Rule      `json:"rule,omitempty"`
	ValidatedAt        *time.Time `json:"validated_at,omitempty"`
	Parked             bool       `json:"parked" doc:"The password was refused once and is not tried again until it is set anew"`
	ParkedReason       string     `json:"parked_reason,omitempty"`
	Warnings           []string   `json:"warnings" nullable:"false"`
	CreatedAt          time.Time  `json:"created_at"`
	Version            int64      `json:"version"`
	Tags               []string   `json:"tags" nullable:"false"`
	Schedule           string     `json:"schedule,omitempty" doc:"Its own; left out: the tenant's"`
	ScheduleInForce    string     `json:"schedule_in_force" doc:"Its own, the tenant's or the server's"`
	NextAt             *time.Time `json:"next_at,omitempty" doc:"When it is validated by itself"`
}

// Consumer is the software that uses a connection.
type Consumer struct {
	Name            string   `json:"name,omitempty" maxLength:"200"`
	HoldsCredential string   `json:"holds_credential,omitempty" enum:"gatehouse,consumer"`
	Accepts         []string `json:"accepts,omitempty" maxItems:"10" enum:"password,secret,certificate,federated"`
	Addresses       []string `json:"addresses,omitempty" maxItems:"100" doc:"Where its sign-ins come from"`
}

// Rule is the tenant's rule behind a refusal.
type Rule struct {
	Kind string  `json:"kind"`
	ID   *string `json:"id" doc:"Of the policy; null where the rule has none"`
	Name *string `json:"name"`
}

// Profile is what a connection says of itself; everything but tenant, kind and
// credential.
type Profile struct {
	Name           string   `json:"name" maxLength:"200"`
	Description    string   `json:"description,omitempty" maxLength:"2000"`
	MFA            bool     `json:"mfa,omitempty" doc:"The organisation uses MFA"`
	Username       string   `json:"username,omitempty" maxLength:"320" doc:"Of a service account; of a delegated connection who is to sign in"`
	ClientID       string   `json:"client_id,omitempty" maxLength:"36" doc:"Of an app; of a service account the app that it signs in through"`
	RegistrationID string   `json:"registration_id,omitempty" maxLength:"36" doc:"Of a delegated connection"`
	Services       []string `json:"services,omitempty" maxItems:"10" enum:"graph,sharepoint,exchange,business_central"`
	Site           string   `json:"site,omitempty" maxLength:"2048"`
	AdminURL       string   `json:"admin_url,omitempty" maxLength:"2048"`
	Environment    string   `json:"environment,omitempty" maxLength:"200"`
	Company        string   `json:"company,omitempty" maxLength:"200"`
	Consumer       Consumer `json:"consumer,omitzero"`
}

// ConnectionRequest is what a connection is made of.
type ConnectionRequest struct {
	TenantID string `json:"tenant_id" maxLength:"36"`
	Kind     string `json:"kind" enum:"delegated,service_account,app"`
	Profile
	Credential CredentialRequest `json:"credential,omitzero"`
	Existing   bool              `json:"existing,omitempty" doc:"The profile is in use elsewhere already: only then may it have an app password"`
	Schedule   string            `json:"schedule,omitempty" maxLength:"100" doc:"Its own: off, every 6h, daily 02:30 Europe/Berlin; left out: the tenant's"`
}

// ConnectionChange is a profile in place of the one that had a version.
type ConnectionChange struct {
	Profile
	Version int64 `json:"version"`
}

// CredentialRequest is a new credential: one of the members that hold it, or
// none where the consumer alone has it.
type CredentialRequest struct {
	Kind           string     `json:"kind,omitempty" enum:"password,app_password,secret,certificate,federated" doc:"Left out: what the set member says"`
	Password       string     `json:"password,omitempty" maxLength:"1024"`
	Secret         string     `json:"secret,omitempty" maxLength:"4096"`
	CertificatePEM string     `json:"certificate_pem,omitempty" maxLength:"65536" doc:"With its private key"`
	Generate       bool       `json:"generate,omitempty" doc:"Make a certificate here"`
	NotAfter       *time.Time `json:"not_after,omitempty" doc:"When a client secret ends"`
}

// ConnectionFilter narrows a list of connections.
type ConnectionFilter struct {
	TenantID, Verdict, Kind string
	Search                  string // in name and user name
	Tag, Service            string
	Parked                  string // yes or no
}

func (f ConnectionFilter) query() url.Values {
	q := url.Values{}
	set(q, "tenant", f.TenantID)
	set(q, "verdict", f.Verdict)
	set(q, "kind", f.Kind)
	set(q, "search", f.Search)
	set(q, "tag", f.Tag)
	set(q, "service", f.Service)
	set(q, "parked", f.Parked)
	return q
}

// Connections lists connections; next is the cursor of the next page.
func (c *Client) Connections(ctx context.Context, f ConnectionFilter, p Page) (connections []Connection, next string, err error) {
	q := f.query()
	maps.Copy(q, p.query())
	l, err := call[List[Connection]](ctx, c, request{method: http.MethodGet, path: "/connections", query: q})
	return l.Items, l.Next, err
}

// AddConnection makes a connection.
func (c *Client) AddConnection(ctx context.Context, r ConnectionRequest) (Connection, error) {
	return call[Connection](ctx, c, request{method: http.MethodPost, path: "/connections", body: r})
}

// Connection gives a connection.
func (c *Client) Connection(ctx context.Context, id string) (Connection, error) {
	return call[Connection](ctx, c, request{method: http.MethodGet, path: path("connections", id)})
}

// ChangeConnection puts another profile in place of the one that had the
// version; a [ProblemConflict] if it was changed meanwhile.
func (c *Client) ChangeConnection(ctx context.Context, id string, r ConnectionChange) (Connection, error) {
	return call[Connection](ctx, c, request{method: http.MethodPut, path: path("connections", id), body: r})
}

// RemoveConnection deletes a connection with its validations.
func (c *Client) RemoveConnection(ctx context.Context, id string) error {
	return c.do(ctx, request{method: http.MethodDelete, path: path("connections", id)})
}

// SetCredential gives a connection a new credential.
func (c *Client) SetCredential(ctx context.Context, id string, r CredentialRequest) (Connection, error) {
	return call[Connection](ctx, c, request{method: http.MethodPut, path: path("connections", id, "credential"), body: r})
}

// Unpark lets the password of a connection be tried again.
func (c *Client) Unpark(ctx context.Context, id string) (Connection, error) {
	return call[Connection](ctx, c, request{method: http.MethodPost, path: path("connections", id, "unpark")})
}

// Certificate gives the public part of a connection's certificate, as PEM.
func (c *Client) Certificate(ctx context.Context, id string) (string, error) {
	answer, err := call[CertificateAnswer](ctx, c, request{method: http.MethodGet, path: path("connections", id, "certificate")})
	return answer.PEM, err
}

// CertificateAnswer is a certificate without its key.
type CertificateAnswer struct {
	PEM string `json:"pem"`
}
