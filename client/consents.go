package client

import (
	"context"
	"net/http"
	"net/url"
	"time"
)

// Consent is how the consent of a tenant to an app registration stands.
type Consent struct {
	TenantID       string              `json:"tenant_id"`
	TenantName     string              `json:"tenant_name"`
	RegistrationID string              `json:"registration_id"`
	Name           string              `json:"name" doc:"Of the app registration"`
	ClientID       string              `json:"client_id"`
	State          string              `json:"state" enum:"unknown,missing,partly,granted,approved_not_read"`
	Reason         string              `json:"reason,omitempty" doc:"Why it is not known, or was not read back"`
	ReadFrom       string              `json:"read_from" enum:",directory,token,directory and token"`
	Missing        []ConsentPermission `json:"missing" nullable:"false"`
	Held           []ConsentPermission `json:"held" nullable:"false"`
	Problems       []ConsentProblem    `json:"problems" nullable:"false"`
	Policy         *UserConsent        `json:"policy,omitempty" doc:"What users may consent to themselves; left out: not read"`
	Version        int                 `json:"version" doc:"Of the permission manifest that it was read against"`
	ReadAt         *time.Time          `json:"read_at,omitempty"`
	ApprovedAt     *time.Time          `json:"approved_at,omitempty" doc:"When an administrator came back from Microsoft without an error"`
	GrantedAt      *time.Time          `json:"granted_at,omitempty" doc:"When it was first read to be whole"`
	Changes        []ConsentDrift      `json:"changes" nullable:"false" doc:"What came or went by itself, last"`
	ChangedAt      *time.Time          `json:"changed_at,omitempty"`
	Following      bool                `json:"following" doc:"It is looked at again every so often"`
}

// ConsentPermission is a permission of an app.
type ConsentPermission struct {
	Resource     string `json:"resource" doc:"App id of the API"`
	ResourceName string `json:"resource_name,omitempty"`
	Name         string `json:"name"`
	Kind         string `json:"kind" enum:"delegated,application"`
	Why          string `json:"why,omitempty"`
}

// ConsentAsked is a permission that is asked, with plain words.
type ConsentAsked struct {
	ConsentPermission
	Words  string `json:"words"`
	Change string `json:"change" enum:",new,gone" doc:"Since the last consent"`
	Held   *bool  `json:"held,omitempty" doc:"Left out: not known"`
}

// ConsentDrift is a permission that came or went by itself.
type ConsentDrift struct {
	ConsentPermission
	Change string `json:"change" enum:"added,removed"`
}

// ConsentProblem is what stands in the way in the tenant.
type ConsentProblem struct {
	Kind  string   `json:"kind" enum:"app_missing,app_disabled,assignment_required,service_missing,licence_missing"`
	Text  string   `json:"text"`
	Steps []string `json:"steps" nullable:"false"`
	Actor string   `json:"actor"`
}

// UserConsent is what a tenant lets its users consent to themselves.
type UserConsent struct {
	Words    string        `json:"words"`
	Policies []string      `json:"policies" nullable:"false" doc:"Ids of the permission grant policies that users have"`
	Verified *bool         `json:"verified,omitempty" doc:"The app's publisher is verified"`
	Assigned bool          `json:"assigned" doc:"The app requires assignment"`
	Verdicts []UserVerdict `json:"verdicts" nullable:"false"`
	ReadAt   time.Time     `json:"read_at"`
}

// UserVerdict is whether a user may consent to one permission.
type UserVerdict struct {
	ConsentPermission
	May    string `json:"may" enum:"yes,no,unknown"`
	Reason string `json:"reason"`
}

// ConsentDetail is all that is known of a consent.
type ConsentDetail struct {
	Consent
	Asked []ConsentAsked `json:"asked" nullable:"false"`
	Roles []string       `json:"roles" nullable:"false" doc:"Directory roles of the tenant itself that may approve all of it, the least first"`
	Pages []ConsentPage  `json:"pages" nullable:"false"`
}

// ConsentPage is a page for a tenant's administrator.
type ConsentPage struct {
	ID             string     `json:"id"`
	TenantID       string     `json:"tenant_id"`
	RegistrationID string     `json:"registration_id"`
	Address        string     `json:"address,omitempty" doc:"Only in the answer that makes it: it is not kept"`
	Why            string     `json:"why,omitempty"`
	Endpoint       string     `json:"endpoint" enum:"v1,v2"`
	Until          time.Time  `json:"until"`
	CreatedBy      string     `json:"created_by,omitempty"`
	CreatedAt      time.Time  `json:"created_at"`
	WithdrawnAt    *time.Time `json:"withdrawn_at,omitempty"`
	Opened         int        `json:"opened" doc:"How often; openings within a minute count once"`
	OpenedAt       *time.Time `json:"opened_at,omitempty"`
	AnsweredAt     *time.Time `json:"answered_at,omitempty"`
	Answer         string     `json:"answer,omitempty" doc:"approved, or why it was not"`
}

// ConsentRequest asks for a page for a tenant's administrator.
type ConsentRequest struct {
	RegistrationID string `json:"registration_id" maxLength:"64"`
	Why            string `json:"why,omitempty" maxLength:"500" doc:"For the administrator: which software, and what for"`
	Hours          int    `json:"hours,omitempty" minimum:"0" maximum:"2160" doc:"How long it opens; 30 days if left out"`
	Endpoint       string `json:"endpoint,omitempty" enum:",v1,v2" doc:"Microsoft's page: v2, or v1 for an old registration"`
}

// ConsentFilter narrows a list. Empty members do not.
type ConsentFilter struct {
	TenantID, RegistrationID, State string
}

// PartnerCustomer is a customer of a partner.
type PartnerCustomer struct {
	ID       string     `json:"id" doc:"Directory id"`
	Name     string     `json:"name"`
	Domain   string     `json:"domain"`
	TenantID string     `json:"tenant_id,omitempty" doc:"Of the tenant here; left out: it was not added"`
	State    string     `json:"state" enum:",sending,done,failed,removing,removed" doc:"Of the consent through Partner Center, from here"`
	Note     string     `json:"note,omitempty"`
	At       *time.Time `json:"at,omitempty"`
	Read     string     `json:"read,omitempty" enum:",unknown,missing,partly,granted,approved_not_read" doc:"How the consent stands as it was read from the customer's own directory; left out where it was not"`
}

// OnboardRequest asks for consent in the tenants of a partner's customers.
type OnboardRequest struct {
	ConnectionID   string        `json:"connection_id" maxLength:"64" doc:"Of the partner's tenant: of an admin agent"`
	RegistrationID string        `json:"registration_id" maxLength:"64" doc:"Through which the connection's person signs in: Partner Center takes a consent to an app from that app alone"`
	Customers      []CustomerRef `json:"customers" nullable:"false" maxItems:"5000"`
	Undo           bool          `json:"undo,omitempty" doc:"Take it back"`
}

// CustomerRef names a customer.
type CustomerRef struct {
	ID   string `json:"id" maxLength:"64" doc:"Directory id"`
	Name string `json:"name,omitempty" maxLength:"200"`
}

// Consents lists how consents stand, by tenant.
func (c *Client) Consents(ctx context.Context, f ConsentFilter, p Page) (consents []Consent, next string, err error) {
	q := p.query()
	set(q, "tenant", f.TenantID)
	set(q, "registration", f.RegistrationID)
	set(q, "state", f.State)
	l, err := call[List[Consent]](ctx, c, request{method: http.MethodGet, path: "/consents", query: q})
	return l.Items, l.Next, err
}

// Consent gives how the consent of a tenant to a registration stands.
func (c *Client) Consent(ctx context.Context, tenantID, registrationID string) (ConsentDetail, error) {
	return call[ConsentDetail](ctx, c, request{method: http.MethodGet, path: path("tenants", tenantID, "consent"), query: url.Values{"registration": {registrationID}}})
}

// AskConsent makes a page for a tenant's administrator.
func (c *Client) AskConsent(ctx context.Context, tenantID string, r ConsentRequest) (ConsentPage, error) {
	return call[ConsentPage](ctx, c, request{method: http.MethodPost, path: path("tenants", tenantID, "consent"), body: r})
}

// LookAtConsent reads how a consent stands right now.
func (c *Client) LookAtConsent(ctx context.Context, tenantID, registrationID string) (ConsentDetail, error) {
	return call[ConsentDetail](ctx, c, request{method: http.MethodPost, path: path("tenants", tenantID, "consent", "look"), query: url.Values{"registration": {registrationID}}})
}

// WithdrawConsentPage closes a page. What was consented to stays.
func (c *Client) WithdrawConsentPage(ctx context.Context, id string) error {
	return c.do(ctx, request{method: http.MethodDelete, path: path("consent-pages", id)})
}

// PartnerCustomers lists the customers of a partner as Partner Center does; after is
// Partner Center's own cursor.
func (c *Client) PartnerCustomers(ctx context.Context, tenantID, connectionID, registrationID, after string) (customers []PartnerCustomer, next string, err error) {
	q := url.Values{"connection": {connectionID}, "registration": {registrationID}}
	set(q, "after", after)
	l, err := call[List[PartnerCustomer]](ctx, c, request{method: http.MethodGet, path: path("tenants", tenantID, "customers"), query: q})
	return l.Items, l.Next, err
}

// OnboardCustomers consents in the tenants of a partner's customers, as a batch.
func (c *Client) OnboardCustomers(ctx context.Context, tenantID string, r OnboardRequest) (Batch, error) {
	return call[Batch](ctx, c, request{method: http.MethodPost, path: path("tenants", tenantID, "customers"), body: r})
}
