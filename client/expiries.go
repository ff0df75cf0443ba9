package client

import (
	"context"
	"net/http"
	"strconv"
	"time"
)

// Expiry is a credential with its end.
type Expiry struct {
	ID             string     `json:"id" doc:"The same in each reading"`
	TenantID       string     `json:"tenant_id"`
	TenantName     string     `json:"tenant_name"`
	Kind           string     `json:"kind" enum:"secret,certificate,saml_key,password,reader"`
	Holder         string     `json:"holder" enum:"application,service_principal,user,gatehouse" doc:"What it belongs to; gatehouse: it is stored here and was not seen at Microsoft"`
	ObjectID       string     `json:"object_id,omitempty" doc:"Of the holder in the directory"`
	ClientID       string     `json:"client_id,omitempty"`
	Username       string     `json:"username,omitempty"`
	Name           string     `json:"name" doc:"Of the app or account"`
	Label          string     `json:"label,omitempty" doc:"Of the credential itself"`
	CredentialID   string     `json:"credential_id,omitempty" doc:"Its key id"`
	Thumbprint     string     `json:"thumbprint,omitempty" doc:"SHA-1, of a certificate"`
	Active         bool       `json:"active" doc:"Of a SAML key: it signs at present; of an app registration: it is in use"`
	ConnectionID   string     `json:"connection_id,omitempty" doc:"The connection that it is stored with"`
	RegistrationID string     `json:"registration_id,omitempty" doc:"The app registration that it is stored with: tenant_id is empty then"`
	State          string     `json:"state" enum:"dated,never,unknown"`
	Reason         string     `json:"reason,omitempty" doc:"Why it never ends, or is not known"`
	Level          string     `json:"level" enum:",90,30,7,past" doc:"How near the end is, in days; empty while more than 90 are left, or no end is known"`
	NotAfter       *time.Time `json:"not_after,omitempty"`
	UsedAt         *time.Time `json:"used_at,omitempty" doc:"The last sign-in with it that Microsoft tells of; left out: unknown"`
	SeenAt         *time.Time `json:"seen_at,omitempty" doc:"When it was read at Microsoft; left out: it is stored here"`
	Used           bool       `json:"used" doc:"A connection or reader uses the app or account"`
	Actor          string     `json:"actor" enum:"gatehouse,operator,app_owner,tenant_admin" doc:"Who acts"`
	Steps          []string   `json:"steps" nullable:"false"`
	Uses           []Use      `json:"uses" nullable:"false"`
}

// Use is a connection, reader or caller that uses a credential.
type Use struct {
	Kind       string     `json:"kind" enum:"connection,reader,caller"`
	ID         string     `json:"id" doc:"Of the connection, for a caller that it calls through; of the reader's tenant"`
	Name       string     `json:"name"`
	TenantID   string     `json:"tenant_id"`
	TenantName string     `json:"tenant_name"`
	Consumer   string     `json:"consumer,omitempty" doc:"The software that uses it"`
	Certain    bool       `json:"certain" doc:"It is known to be this credential, not only one of the same app"`
	Verdict    string     `json:"verdict,omitempty"`
	UsedAt     *time.Time `json:"used_at,omitempty" doc:"The last validation, check of the reader, or token of a caller"`
}

// ExpiryReading is how a tenant's credentials were read last.
type ExpiryReading struct {
	TenantID   string     `json:"tenant_id"`
	TenantName string     `json:"tenant_name"`
	At         *time.Time `json:"at,omitempty" doc:"Left out: never"`
	Reason     string     `json:"reason,omitempty" doc:"Why the last try failed, or none was made"`
	Unread     []Unread   `json:"unread" nullable:"false"`
}

// Unread is a part that could not be read.
type Unread struct {
	Part   string `json:"part"`
	Reason string `json:"reason"`
}

// ConsentChange is a permission that came or went.
type ConsentChange struct {
	ClientID   string    `json:"client_id"`
	Name       string    `json:"name" doc:"Of the app"`
	Kind       string    `json:"kind" enum:"application,delegated,user_consent" doc:"delegated: for everybody who signs in to the app; user_consent: single people consented for themselves"`
	Resource   string    `json:"resource" doc:"The API that it is for"`
	Permission string    `json:"permission"`
	Change     string    `json:"change" enum:"added,removed"`
	Since      time.Time `json:"since" doc:"The reading before: it changed between the two"`
	SeenAt     time.Time `json:"seen_at"`
}

// CalendarText is a calendar (RFC 5545).
type CalendarText struct {
	ICS string `json:"ics"`
}

// CalendarFeed is a secret address at which a calendar program reads.
type CalendarFeed struct {
	ID        string     `json:"id"`
	Name      string     `json:"name"`
	CreatedAt time.Time  `json:"created_at"`
	UsedAt    *time.Time `json:"used_at,omitempty"`
	Address   string     `json:"address,omitempty" doc:"Only when it is made: it is not kept"`
}

// FeedRequest makes a secret address.
type FeedRequest struct {
	Name string `json:"name" maxLength:"100" doc:"Which calendar it is for"`
}

// ExpiryFilter narrows a list of expiries. Empty members do not.
type ExpiryFilter struct {
	TenantID, Kind, Search string
	Within                 string // 90, 30, 7, past, unknown, never
	All                    bool   // of all apps, not only of those that are used here
}

// Expiries lists what ends, the first one first; next is the cursor of the next
// page.
func (c *Client) Expiries(ctx context.Context, f ExpiryFilter, p Page) (expiries []Expiry, next string, err error) {
	q := p.query()
	set(q, "tenant", f.TenantID)
	set(q, "kind", f.Kind)
	set(q, "search", f.Search)
	set(q, "within", f.Within)
	if f.All {
		q.Set("all", strconv.FormatBool(f.All))
	}
	l, err := call[List[Expiry]](ctx, c, request{method: http.MethodGet, path: "/expiries", query: q})
	return l.Items, l.Next, err
}

// Expiry gives one credential with its end.
func (c *Client) Expiry(ctx context.Context, id string) (Expiry, error) {
	return call[Expiry](ctx, c, request{method: http.MethodGet, path: path("expiries", id)})
}

// ExpiryReadings says how the tenants were read, those that could not be first.
func (c *Client) ExpiryReadings(ctx context.Context) ([]ExpiryReading, error) {
	l, err := call[List[ExpiryReading]](ctx, c, request{method: http.MethodGet, path: "/expiry-readings"})
	return l.Items, err
}

// RefreshExpiries has a tenant's credentials read anew, soon.
func (c *Client) RefreshExpiries(ctx context.Context, tenantID string) error {
	return c.do(ctx, request{method: http.MethodPost, path: path("tenants", tenantID, "expiries", "refresh")})
}

// ConsentChanges gives the newest changes of permissions in a tenant.
func (c *Client) ConsentChanges(ctx context.Context, tenantID string) ([]ConsentChange, error) {
	l, err := call[List[ConsentChange]](ctx, c, request{method: http.MethodGet, path: path("tenants", tenantID, "consent-changes")})
	return l.Items, err
}

// Calendar gives what ends as a calendar (RFC 5545).
func (c *Client) Calendar(ctx context.Context) (string, error) {
	answer, err := call[CalendarText](ctx, c, request{method: http.MethodGet, path: "/calendar"})
	return answer.ICS, err
}

// CalendarFeeds lists one's own secret addresses.
func (c *Client) CalendarFeeds(ctx context.Context) ([]CalendarFeed, error) {
	l, err := call[List[CalendarFeed]](ctx, c, request{method: http.MethodGet, path: "/calendar/feeds"})
	return l.Items, err
}

// NewCalendarFeed makes a secret address for one's own calendar program.
func (c *Client) NewCalendarFeed(ctx context.Context, r FeedRequest) (CalendarFeed, error) {
	return call[CalendarFeed](ctx, c, request{method: http.MethodPost, path: "/calendar/feeds", body: r})
}

// RevokeCalendarFeed ends one of one's own secret addresses.
func (c *Client) RevokeCalendarFeed(ctx context.Context, id string) error {
	return c.do(ctx, request{method: http.MethodDelete, path: path("calendar", "feeds", id)})
}
