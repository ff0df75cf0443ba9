package client

import (
	"context"
	"encoding/json"
	"net/http"
	"strconv"
	"time"
)

// Tenant is a Microsoft 365 tenant that Gatehouse looks after.
type Tenant struct {
	ID             string     `json:"id" doc:"Gatehouse's own id"`
	DirectoryID    string     `json:"directory_id" doc:"The tenant's id at Microsoft"`
	Name           string     `json:"name"`
	Domain         string     `json:"domain"`
	Cloud          string     `json:"cloud"`
	Realm          string     `json:"realm" enum:"managed,federated,unknown"`
	Paused         bool       `json:"paused" doc:"Nothing is done in a paused tenant"`
	CreatedAt      time.Time  `json:"created_at"`
	Switches       []Switch   `json:"switches" nullable:"false"`
	Reader         *Reader    `json:"reader,omitempty"`
	SnapshotAt     *time.Time `json:"snapshot_at,omitempty" doc:"When the tenant's rules were read"`
	SnapshotSource string     `json:"snapshot_source,omitempty" enum:"reader,upload"`
	Version        int64      `json:"version"`
}

// Switch is one of the four consents of a tenant.
type Switch struct {
	Name        string       `json:"name" enum:"diagnose,connect,verify,repair"`
	State       string       `json:"state" enum:"off,pending,on,broken"`
	Available   bool         `json:"available" doc:"False: not in this release"`
	Purpose     string       `json:"purpose"`
	Permissions []Permission `json:"permissions" nullable:"false"`
	WhoConsents string       `json:"who_consents"`
	Stays       string       `json:"stays" doc:"What stays in the tenant"`
	Remove      string       `json:"remove" doc:"How to take it away"`
	ConsentedBy string       `json:"consented_by,omitempty"`
	ConsentedAt *time.Time   `json:"consented_at,omitempty"`
	Reason      string       `json:"reason,omitempty" doc:"Why it is broken"`
}

// Permission is one that a switch needs.
type Permission struct {
	Name  string `json:"name" doc:"Microsoft's"`
	Words string `json:"words"`
}

// Reader is the app with which Gatehouse reads a tenant's rules.
type Reader struct {
	ClientID   string     `json:"client_id"`
	Thumbprint string     `json:"thumbprint"`
	NotAfter   time.Time  `json:"not_after"`
	State      string     `json:"state" enum:"unchecked,works,broken"`
	Reason     string     `json:"reason,omitempty"`
	CheckedAt  *time.Time `json:"checked_at,omitempty"`
}

// Detected is what Microsoft tells about a tenant to everybody.
type Detected struct {
	DirectoryID string `json:"directory_id"`
	Domain      string `json:"domain"`
	Cloud       string `json:"cloud"`
	Realm       string `json:"realm"`
}

// TenantRequest adds a tenant.
type TenantRequest struct {
	Tenant string `json:"tenant" maxLength:"253" doc:"A domain or the tenant's id at Microsoft"`
	Name   string `json:"name,omitempty" maxLength:"200"`
}

// TenantChange changes what is set.
type TenantChange struct {
	Name   *string `json:"name,omitempty" maxLength:"200"`
	Paused *bool   `json:"paused,omitempty"`
}

// Removal is what goes with a tenant.
type Removal struct {
	Name        string   `json:"name" doc:"To be repeated as confirmation"`
	Connections int      `json:"connections"`
	Some        []string `json:"some" nullable:"false" doc:"Names of some of the connections"`
	Reader      bool     `json:"reader"`
	Snapshot    bool     `json:"snapshot"`
	Stays       []string `json:"stays" nullable:"false" doc:"What stays in the tenant, for an administrator there to remove"`
}

// ReaderRequest names the app registration that is to read.
type ReaderRequest struct {
	ClientID string `json:"client_id" maxLength:"36"`
}

// Onboarding is what is left to do at Microsoft.
type Onboarding struct {
	CertificatePEM string   `json:"certificate_pem" doc:"To be uploaded to the app registration; the key stays here"`
	Thumbprint     string   `json:"thumbprint"`
	ConsentURL     string   `json:"consent_url"`
	Steps          []string `json:"steps" nullable:"false"`
}

// TenantFilter narrows a list of tenants.
type TenantFilter struct {
	Search string // in name and domain
	Paused *bool
}

// Tenants lists tenants; next is the cursor of the next page.
func (c *Client) Tenants(ctx context.Context, f TenantFilter, p Page) (tenants []Tenant, next string, err error) {
	q := p.query()
	set(q, "search", f.Search)
	if f.Paused != nil {
		q.Set("paused", strconv.FormatBool(*f.Paused))
	}
	l, err := call[List[Tenant]](ctx, c, request{method: http.MethodGet, path: "/tenants", query: q})
	return l.Items, l.Next, err
}

// DetectTenant asks Microsoft about a tenant; nothing is stored.
func (c *Client) DetectTenant(ctx context.Context, nameOrID string) (Detected, error) {
	q := Page{}.query()
	set(q, "tenant", nameOrID)
	return call[Detected](ctx, c, request{method: http.MethodGet, path: "/tenants/detect", query: q})
}

// AddTenant adds a tenant.
func (c *Client) AddTenant(ctx context.Context, r TenantRequest) (Tenant, error) {
	return call[Tenant](ctx, c, request{method: http.MethodPost, path: "/tenants", body: r})
}

// Tenant gives a tenant.
func (c *Client) Tenant(ctx context.Context, id string) (Tenant, error) {
	return call[Tenant](ctx, c, request{method: http.MethodGet, path: path("tenants", id)})
}

// ChangeTenant renames, pauses or resumes a tenant.
func (c *Client) ChangeTenant(ctx context.Context, id string, r TenantChange) (Tenant, error) {
	return call[Tenant](ctx, c, request{method: http.MethodPatch, path: path("tenants", id), body: r})
}

// Removal tells what would go with a tenant.
func (c *Client) Removal(ctx context.Context, id string) (Removal, error) {
	return call[Removal](ctx, c, request{method: http.MethodGet, path: path("tenants", id, "removal")})
}

// RemoveTenant deletes a tenant with its connections. Confirm repeats its name.
func (c *Client) RemoveTenant(ctx context.Context, id, confirm string) error {
	q := Page{}.query()
	q.Set("confirm", confirm)
	return c.do(ctx, request{method: http.MethodDelete, path: path("tenants", id), query: q})
}

// OnboardReader makes a certificate for an app registration that is to read the
// tenant's rules.
func (c *Client) OnboardReader(ctx context.Context, id string, r ReaderRequest) (Onboarding, error) {
	return call[Onboarding](ctx, c, request{method: http.MethodPut, path: path("tenants", id, "reader"), body: r})
}

// CheckReader signs the reader in and looks what it may read.
func (c *Client) CheckReader(ctx context.Context, id string) (Tenant, error) {
	return call[Tenant](ctx, c, request{method: http.MethodPost, path: path("tenants", id, "reader", "check")})
}

// RemoveReader forgets the reader.
func (c *Client) RemoveReader(ctx context.Context, id string) error {
	return c.do(ctx, request{method: http.MethodDelete, path: path("tenants", id, "reader")})
}

// RefreshSnapshot has the tenant's rules read anew, soon.
func (c *Client) RefreshSnapshot(ctx context.Context, id string) error {
	return c.do(ctx, request{method: http.MethodPost, path: path("tenants", id, "snapshot", "refresh")})
}

// UploadSnapshot stores a snapshot that `gatehouse posture snapshot` made.
func (c *Client) UploadSnapshot(ctx context.Context, id string, snapshot []byte) error {
	return c.do(ctx, request{method: http.MethodPut, path: path("tenants", id, "snapshot"), raw: snapshot})
}

// Snapshot gives the tenant's rules as they were read last, in the form of
// `gatehouse posture snapshot`.
func (c *Client) Snapshot(ctx context.Context, id string) (json.RawMessage, error) {
	return call[json.RawMessage](ctx, c, request{method: http.MethodGet, path: path("tenants", id, "snapshot")})
}
