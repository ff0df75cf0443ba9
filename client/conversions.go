package client

import (
	"context"
	"net/http"
	"time"
)

// Conversion is a service account's profile on its way to an app.
type Conversion struct {
	ID           string           `json:"id"`
	ConnectionID string           `json:"connection_id" doc:"The old profile"`
	TenantID     string           `json:"tenant_id"`
	AppID        string           `json:"app_id,omitempty" doc:"The connection of the app, once its credential is there"`
	State        string           `json:"state" enum:"open,done,given_up"`
	ClientID     string           `json:"client_id,omitempty" doc:"Of the app registration"`
	Way          string           `json:"way,omitempty" enum:"made_here,own,signing,secret" doc:"How the app proves itself"`
	ConsentURL   string           `json:"consent_url,omitempty" doc:"For the tenant's administrator"`
	Needs        []Need           `json:"needs" nullable:"false" doc:"The least that the app is to be granted"`
	Steps        []ConversionStep `json:"steps" nullable:"false"`
	CreatedAt    time.Time        `json:"created_at"`
	EndedAt      *time.Time       `json:"ended_at,omitempty"`
}

// ConversionStep is one step with how it stands.
type ConversionStep struct {
	Name  string `json:"name" enum:"registration,credential,consent,validation,hand_over,retirement"`
	State string `json:"state" enum:"done,now,later"`
	Words string `json:"words" doc:"What is to be done, or how it came out"`
}

// Need is what one task of a service asks of an identity.
type Need struct {
	Service     string   `json:"service"`
	Task        string   `json:"task"`
	Least       string   `json:"least,omitempty" doc:"The least permission that suffices; empty where any will do"`
	Beside      string   `json:"beside,omitempty" doc:"What it needs beside it"`
	Roles       []string `json:"roles,omitempty" doc:"Directory roles, of which one stands beside it"`
	Others      []string `json:"others,omitempty" doc:"Other permissions that open the task"`
	Application bool     `json:"application" doc:"An application permission; otherwise a delegated one"`
	Source      string   `json:"source"`
}

// RegistrationRequest names an app registration.
type RegistrationRequest struct {
	ClientID string `json:"client_id" maxLength:"36"`
}

// AppCredentialRequest is how the app of a conversion proves itself.
type AppCredentialRequest struct {
	Way      string     `json:"way" enum:"made_here,own,signing,secret" doc:"A certificate made here; the consumer's own certificate; its signing request; a client secret"`
	Public   string     `json:"public,omitempty" maxLength:"32768" doc:"The consumer's certificate (PEM), without its key"`
	Signing  string     `json:"signing,omitempty" maxLength:"32768" doc:"The consumer's signing request (PEM, PKCS #10)"`
	Secret   string     `json:"secret,omitempty" maxLength:"4096"`
	NotAfter *time.Time `json:"not_after,omitempty" doc:"When the secret ends"`
}

// Package is a certificate with its key, handed over once.
type Package struct {
	Name     string `json:"name" doc:"Of the file"`
	PFX      []byte `json:"pfx" doc:"PKCS #12"`
	Password string `json:"password" doc:"Opens it; shown once"`
}

// Sheet is what is handed to whoever looks after the consumer; nothing secret is
// on it.
type Sheet struct {
	Consumer   string       `json:"consumer,omitempty"`
	Connection string       `json:"connection"`
	TenantName string       `json:"tenant_name"`
	Made       time.Time    `json:"made"`
	Fields     []SheetField `json:"fields" nullable:"false"`
	Needs      []Need       `json:"needs" nullable:"false"`
	Steps      []string     `json:"steps" nullable:"false"`
	Warnings   []string     `json:"warnings" nullable:"false"`
}

// SheetField is one thing to paste.
type SheetField struct {
	Label string `json:"label"`
	Value string `json:"value"`
	Where string `json:"where,omitempty"`
}

// CommonRequest converts a profile to a common one.
type CommonRequest struct {
	Version  int64  `json:"version"`
	Password string `json:"password,omitempty" maxLength:"1024" doc:"The account's ordinary password"`
}

// SharePointHosts is where a tenant's SharePoint is.
type SharePointHosts struct {
	At     *time.Time       `json:"at,omitempty" doc:"When it was looked for; left out if nobody has looked"`
	From   string           `json:"from" enum:",graph,rename,initial_domain" doc:"Where the name came from"`
	Why    string           `json:"why,omitempty" doc:"Why Graph did not tell"`
	Reason string           `json:"reason,omitempty" doc:"Why none is known"`
	Hosts  []SharePointHost `json:"hosts" nullable:"false" doc:"The main one first"`
}

// SharePointHost is the admin centre of one location.
type SharePointHost struct {
	Name     string `json:"name"`
	Location string `json:"location,omitempty"`
	AdminURL string `json:"admin_url"`
	State    string `json:"state" enum:"own,foreign,none,unknown" doc:"What it says of itself"`
	Tenant   string `json:"tenant,omitempty" doc:"That it names"`
	Reason   string `json:"reason,omitempty"`
}

// OwnerLook is what was found of who uses an account.
type OwnerLook struct {
	At         *time.Time  `json:"at,omitempty" doc:"Left out if nobody has looked"`
	Conclusion string      `json:"conclusion" enum:",likely,perhaps,no_sign,unknown" doc:"Whether it is a person's own; never certain"`
	Signs      []OwnerSign `json:"signs" nullable:"false"`
}

// OwnerSign is something from which it can be told.
type OwnerSign struct {
	Name  string `json:"name"`
	Says  string `json:"says" enum:"person,nothing,unknown"`
	Words string `json:"words"`
}

// ProfileNotes are what there is to know of a profile.
type ProfileNotes struct {
	Limits []ProfileLimit `json:"limits" nullable:"false"`
	Roles  []RoleNeed     `json:"roles" nullable:"false" doc:"The role that the old form demanded beside what suffices"`
	Needs  []Need         `json:"needs" nullable:"false"`
}

// ProfileLimit is a limit of a profile with the MFA flag, as it binds here.
type ProfileLimit struct {
	Limit string `json:"limit"`
	Here  string `json:"here" doc:"What it means in Gatehouse"`
	Way   string `json:"way" doc:"The way out"`
	Binds bool   `json:"binds"`
}

// RoleNeed is what a service asks of an account.
type RoleNeed struct {
	Service  string `json:"service"`
	Demanded string `json:"demanded"`
	Suffices string `json:"suffices"`
	Beside   string `json:"beside,omitempty"`
	Source   string `json:"source"`
}

func (c *Client) conversion(ctx context.Context, method, connectionID, part string, body any) (Conversion, error) {
	parts := []string{"connections", connectionID, "conversion"}
	if part != "" {
		parts = append(parts, part)
	}
	return call[Conversion](ctx, c, request{method: method, path: path(parts...), body: body})
}

// StartConversion begins to convert a service account's profile to an app; if a
// conversion is open, it is that one.
func (c *Client) StartConversion(ctx context.Context, connectionID string) (Conversion, error) {
	return c.conversion(ctx, http.MethodPost, connectionID, "", nil)
}

// Conversion gives the last conversion of a connection.
func (c *Client) Conversion(ctx context.Context, connectionID string) (Conversion, error) {
	return c.conversion(ctx, http.MethodGet, connectionID, "", nil)
}

// SetRegistration says which app registration the consumer is to use.
func (c *Client) SetRegistration(ctx context.Context, connectionID, clientID string) (Conversion, error) {
	return c.conversion(ctx, http.MethodPut, connectionID, "registration", RegistrationRequest{clientID})
}

// SetAppCredential makes the app's connection, or gives it another credential.
func (c *Client) SetAppCredential(ctx context.Context, connectionID string, r AppCredentialRequest) (Conversion, error) {
	return c.conversion(ctx, http.MethodPut, connectionID, "credential", r)
}

// ConversionAct does one of the acts of a conversion: consented, look, confirm,
// retire, give-up.
func (c *Client) ConversionAct(ctx context.Context, connectionID, act string) (Conversion, error) {
	return c.conversion(ctx, http.MethodPost, connectionID, act, nil)
}

// HandOver gives the app's certificate with its key, once.
func (c *Client) HandOver(ctx context.Context, connectionID string) (Package, error) {
	return call[Package](ctx, c, request{method: http.MethodPost, path: path("connections", connectionID, "conversion", "package")})
}

// Sheet gives the hand-over sheet of a conversion.
func (c *Client) Sheet(ctx context.Context, connectionID string) (Sheet, error) {
	return call[Sheet](ctx, c, request{method: http.MethodGet, path: path("connections", connectionID, "conversion", "sheet")})
}

// ConvertToCommon clears a profile's MFA flag and gives it the account's ordinary
// password; UndoCommon brings back what was there until that was accepted.
func (c *Client) ConvertToCommon(ctx context.Context, connectionID string, r CommonRequest) (Connection, error) {
	return call[Connection](ctx, c, request{method: http.MethodPost, path: path("connections", connectionID, "common"), body: r})
}

// UndoCommon undoes [Client.ConvertToCommon].
func (c *Client) UndoCommon(ctx context.Context, connectionID string) (Connection, error) {
	return call[Connection](ctx, c, request{method: http.MethodPost, path: path("connections", connectionID, "common", "undo")})
}

// ProfileNotes gives limits, roles and permissions of a profile.
func (c *Client) ProfileNotes(ctx context.Context, connectionID string) (ProfileNotes, error) {
	return call[ProfileNotes](ctx, c, request{method: http.MethodGet, path: path("connections", connectionID, "notes")})
}

// LookAtOwner looks whether a service account is a person's own.
func (c *Client) LookAtOwner(ctx context.Context, connectionID string) (OwnerLook, error) {
	return call[OwnerLook](ctx, c, request{method: http.MethodPost, path: path("connections", connectionID, "owner")})
}

// Owner gives what was found when somebody looked last.
func (c *Client) Owner(ctx context.Context, connectionID string) (OwnerLook, error) {
	return call[OwnerLook](ctx, c, request{method: http.MethodGet, path: path("connections", connectionID, "owner")})
}

// SharePointHosts gives where a tenant's SharePoint was found last.
func (c *Client) SharePointHosts(ctx context.Context, tenantID string) (SharePointHosts, error) {
	return call[SharePointHosts](ctx, c, request{method: http.MethodGet, path: path("tenants", tenantID, "sharepoint")})
}

// FindSharePointHosts looks for them.
func (c *Client) FindSharePointHosts(ctx context.Context, tenantID string) (SharePointHosts, error) {
	return call[SharePointHosts](ctx, c, request{method: http.MethodPost, path: path("tenants", tenantID, "sharepoint")})
}
