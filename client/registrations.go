package client

import (
	"context"
	"net/http"
	"time"
)

// Registration is an app registration through which people sign in.
type Registration struct {
	ID          string                   `json:"id"`
	Name        string                   `json:"name"`
	Kind        string                   `json:"kind" enum:"confidential,public"`
	Purpose     string                   `json:"purpose,omitempty"`
	Cloud       string                   `json:"cloud" doc:"The one that this server serves"`
	ClientID    string                   `json:"client_id" doc:"In this cloud; empty if it has none there"`
	Clients     []RegistrationClient     `json:"clients" nullable:"false" doc:"In each cloud, with those that it had before"`
	Credentials []RegistrationCredential `json:"credentials" nullable:"false" doc:"Of this cloud, the newest first"`
	Redirects   []Redirect               `json:"redirects" nullable:"false"`
	Publisher   Publisher                `json:"publisher"`
	Manifest    Manifest                 `json:"manifest"`
	Connections int                      `json:"connections" doc:"How many use it, in all tenants"`
	Lacks       string                   `json:"lacks,omitempty" doc:"What keeps people from signing in through it"`
	LookedIn    string                   `json:"looked_in,omitempty" doc:"The tenant in which it was looked up last"`
	LookedAt    *time.Time               `json:"looked_at,omitempty"`
	CreatedBy   string                   `json:"created_by"`
	CreatedAt   time.Time                `json:"created_at"`
	Version     int64                    `json:"version"`
}

// RegistrationClient is a client id in a cloud.
type RegistrationClient struct {
	Cloud    string     `json:"cloud"`
	ClientID string     `json:"client_id"`
	Since    time.Time  `json:"since"`
	Until    *time.Time `json:"until,omitempty" doc:"Left out: it is the present one"`
}

// Redirect is an address that people come back to.
type Redirect struct {
	URI    string `json:"uri" maxLength:"1000"`
	Note   string `json:"note,omitempty" maxLength:"200"`
	Needed bool   `json:"needed,omitempty" readOnly:"true" doc:"By Gatehouse itself"`
	State  string `json:"state,omitempty" readOnly:"true" enum:"there,missing,unknown" doc:"As a directory showed it last"`
}

// Publisher says whether Microsoft has verified who publishes an app.
type Publisher struct {
	State  string     `json:"state" enum:"verified,unverified,unknown"`
	Name   string     `json:"name,omitempty"`
	Source string     `json:"source,omitempty" enum:"directory,entered"`
	At     *time.Time `json:"at,omitempty"`
}

// RegistrationCredential is a secret or certificate of an app registration.
type RegistrationCredential struct {
	ID         string           `json:"id"`
	ClientID   string           `json:"client_id"`
	Kind       string           `json:"kind" enum:"secret,certificate"`
	Origin     string           `json:"origin" enum:"pasted,uploaded,made" doc:"made: here, its key never left"`
	Label      string           `json:"label,omitempty"`
	State      string           `json:"state" enum:"new,checked,active,retired"`
	Thumbprint string           `json:"thumbprint,omitempty"`
	KeyID      string           `json:"key_id,omitempty"`
	NotAfter   *time.Time       `json:"not_after,omitempty"`
	UsedAt     *time.Time       `json:"used_at,omitempty" doc:"To the minute"`
	ActiveAt   *time.Time       `json:"active_at,omitempty"`
	ReplacedAt *time.Time       `json:"replaced_at,omitempty"`
	RetiredAt  *time.Time       `json:"retired_at,omitempty"`
	Check      *CredentialCheck `json:"check,omitempty"`
	Removal    string           `json:"removal,omitempty" doc:"How it is removed at Microsoft, once it is not in use"`
	AddedBy    string           `json:"added_by"`
	AddedAt    time.Time        `json:"added_at"`
}

// CredentialCheck is the last check of a credential at the token endpoint.
type CredentialCheck struct {
	State     string     `json:"state" enum:"running,passed,failed"`
	TenantID  string     `json:"tenant_id,omitempty"`
	Successes int        `json:"successes" doc:"In a row"`
	Need      int        `json:"need"`
	Reason    string     `json:"reason,omitempty" doc:"Why it waits or failed"`
	BegunAt   time.Time  `json:"begun_at"`
	At        *time.Time `json:"at,omitempty" doc:"The last try"`
	Switch    bool       `json:"switch" doc:"It is put into use once it passed"`
	Retire    bool       `json:"retire" doc:"And the one that was in use is retired"`
}

// RegistrationDetails are what an app registration says of itself.
type RegistrationDetails struct {
	Name          string            `json:"name" maxLength:"120"`
	Purpose       string            `json:"purpose,omitempty" maxLength:"2000"`
	ClientIDs     map[string]string `json:"client_ids,omitempty" doc:"By cloud: public, usgov, usgov-dod, china, or the server's own"`
	Redirects     []Redirect        `json:"redirects,omitempty" doc:"Further ones, besides those that Gatehouse needs"`
	Publisher     string            `json:"publisher,omitempty" enum:"verified,unverified,unknown" doc:"Left out: as it is"`
	PublisherName string            `json:"publisher_name,omitempty" maxLength:"200"`
}

// NewRegistration is an app registration to make.
type NewRegistration struct {
	RegistrationDetails
	Kind        string               `json:"kind" enum:"confidential,public"`
	Permissions []ManifestPermission `json:"permissions,omitempty" doc:"Left out: the scopes of the sign-in"`
}

// RegistrationChange is details in place of those that had a version.
type RegistrationChange struct {
	RegistrationDetails
	Version int64 `json:"version"`
}

// NewCredential is a credential to add: one of the members that hold it.
type NewCredential struct {
	Kind           string     `json:"kind,omitempty" enum:"secret,certificate,federated" doc:"Left out: what the set member says"`
	Label          string     `json:"label,omitempty" maxLength:"120"`
	ClientID       string     `json:"client_id,omitempty" maxLength:"36" doc:"Left out: the present one"`
	Secret         string     `json:"secret,omitempty" maxLength:"1024"`
	NotAfter       *time.Time `json:"not_after,omitempty" doc:"When the secret ends"`
	KeyID          string     `json:"key_id,omitempty" maxLength:"36" doc:"Of a secret, as Microsoft shows it"`
	CertificatePEM string     `json:"certificate_pem,omitempty" maxLength:"65536" doc:"With its private key"`
	Generate       bool       `json:"generate,omitempty" doc:"Make a certificate here"`
}

// CheckRequest is a check to begin.
type CheckRequest struct {
	TenantID string `json:"tenant_id,omitempty" maxLength:"64" doc:"One that has consented to the app. Left out: as last time, or that of a connection"`
	Switch   bool   `json:"switch,omitempty" doc:"Put it into use once it passed"`
	Retire   bool   `json:"retire,omitempty" doc:"And retire the one that was in use"`
}

// Manifest is what an app registration asks for.
type Manifest struct {
	Version     int                  `json:"version"`
	Permissions []ManifestPermission `json:"permissions" nullable:"false"`
	Added       []ManifestPermission `json:"added" nullable:"false" doc:"Since the version before"`
	Removed     []ManifestPermission `json:"removed" nullable:"false" doc:"Since the version before"`
	Reason      string               `json:"reason,omitempty"`
	By          string               `json:"by"`
	At          time.Time            `json:"at"`
}

// ManifestPermission is a permission of a manifest.
type ManifestPermission struct {
	Resource     string `json:"resource" maxLength:"64" doc:"App id of the API; graph, sharepoint, exchange and business_central are taken too"`
	ResourceName string `json:"resource_name,omitempty" readOnly:"true"`
	Name         string `json:"name" maxLength:"120"`
	Kind         string `json:"kind" enum:"delegated,application"`
	Why          string `json:"why,omitempty" maxLength:"500"`
	Words        string `json:"words,omitempty" readOnly:"true" doc:"What it lets the app do; left out where that is not known"`
}

// ManifestRequest is a manifest in place of the one that has a version.
type ManifestRequest struct {
	Permissions []ManifestPermission `json:"permissions" nullable:"false"`
	Reason      string               `json:"reason,omitempty" maxLength:"500"`
	Version     int                  `json:"version" doc:"Of the one that it replaces"`
}

// RegistrationUse is a connection that uses an app registration.
type RegistrationUse struct {
	ConnectionID string `json:"connection_id"`
	Name         string `json:"name"`
	TenantID     string `json:"tenant_id"`
	TenantName   string `json:"tenant_name"`
	Username     string `json:"username,omitempty"`
	ClientID     string `json:"client_id"`
	Verdict      string `json:"verdict,omitempty"`
	Former       bool   `json:"former" doc:"Its person signed in to a former client id"`
}

// Registrations lists app registrations by name.
func (c *Client) Registrations(ctx context.Context, search string, p Page) (registrations []Registration, next string, err error) {
	q := p.query()
	set(q, "search", search)
	l, err := call[List[Registration]](ctx, c, request{method: http.MethodGet, path: "/registrations", query: q})
	return l.Items, l.Next, err
}

// AddRegistration makes an app registration known.
func (c *Client) AddRegistration(ctx context.Context, r NewRegistration) (Registration, error) {
	return call[Registration](ctx, c, request{method: http.MethodPost, path: "/registrations", body: r})
}

// Registration gives an app registration.
func (c *Client) Registration(ctx context.Context, id string) (Registration, error) {
	return call[Registration](ctx, c, request{method: http.MethodGet, path: path("registrations", id)})
}

// ChangeRegistration changes an app registration's details.
func (c *Client) ChangeRegistration(ctx context.Context, id string, r RegistrationChange) (Registration, error) {
	return call[Registration](ctx, c, request{method: http.MethodPut, path: path("registrations", id), body: r})
}

// RemoveRegistration forgets an app registration with its credentials.
func (c *Client) RemoveRegistration(ctx context.Context, id string) error {
	return c.do(ctx, request{method: http.MethodDelete, path: path("registrations", id)})
}

// LookUpRegistration reads an app registration's redirect addresses and publisher in a
// tenant, with that tenant's reader.
func (c *Client) LookUpRegistration(ctx context.Context, id, tenantID string) (Registration, error) {
	return call[Registration](ctx, c, request{method: http.MethodPost, path: path("registrations", id, "look"), body: LookRequest{TenantID: tenantID}})
}

// LookRequest names the tenant in which an app registration is looked up.
type LookRequest struct {
	TenantID string `json:"tenant_id" maxLength:"64"`
}

// RegistrationConnections lists the connections that use an app registration, 500 at
// most.
func (c *Client) RegistrationConnections(ctx context.Context, id string) ([]RegistrationUse, error) {
	l, err := call[List[RegistrationUse]](ctx, c, request{method: http.MethodGet, path: path("registrations", id, "connections")})
	return l.Items, err
}

// AddRegistrationCredential adds a credential. The first one is in use at once.
func (c *Client) AddRegistrationCredential(ctx context.Context, id string, r NewCredential) (RegistrationCredential, error) {
	return call[RegistrationCredential](ctx, c, request{method: http.MethodPost, path: path("registrations", id, "credentials"), body: r})
}

// RegistrationCertificate gives the public half of a certificate as PEM.
func (c *Client) RegistrationCertificate(ctx context.Context, id, credentialID string) (string, error) {
	answer, err := call[CertificateAnswer](ctx, c, request{method: http.MethodGet, path: path("registrations", id, "credentials", credentialID, "certificate")})
	return answer.PEM, err
}

// CheckRegistrationCredential begins to try a credential at the token endpoint.
func (c *Client) CheckRegistrationCredential(ctx context.Context, id, credentialID string, r CheckRequest) (RegistrationCredential, error) {
	return call[RegistrationCredential](ctx, c, request{method: http.MethodPost, path: path("registrations", id, "credentials", credentialID, "check"), body: r})
}

// SwitchRegistrationCredential puts a checked credential into use.
func (c *Client) SwitchRegistrationCredential(ctx context.Context, id, credentialID string) (RegistrationCredential, error) {
	return call[RegistrationCredential](ctx, c, request{method: http.MethodPost, path: path("registrations", id, "credentials", credentialID, "switch")})
}

// RetireRegistrationCredential forgets a credential that is not in use.
func (c *Client) RetireRegistrationCredential(ctx context.Context, id, credentialID string) (RegistrationCredential, error) {
	return call[RegistrationCredential](ctx, c, request{method: http.MethodPost, path: path("registrations", id, "credentials", credentialID, "retire")})
}

// UndoRegistrationSwitch goes back to the credential that was in use before, once it
// was accepted again.
func (c *Client) UndoRegistrationSwitch(ctx context.Context, id string) (RegistrationCredential, error) {
	return call[RegistrationCredential](ctx, c, request{method: http.MethodPost, path: path("registrations", id, "undo")})
}

// Manifests lists the versions of what an app registration asks for, the newest first.
func (c *Client) Manifests(ctx context.Context, id string) ([]Manifest, error) {
	l, err := call[List[Manifest]](ctx, c, request{method: http.MethodGet, path: path("registrations", id, "manifests")})
	return l.Items, err
}

// SetManifest makes a new version of what an app registration asks for.
func (c *Client) SetManifest(ctx context.Context, id string, r ManifestRequest) (Manifest, error) {
	return call[Manifest](ctx, c, request{method: http.MethodPut, path: path("registrations", id, "manifest"), body: r})
}
