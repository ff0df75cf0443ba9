package client

import (
	"context"
	"io"
	"net/http"
	"net/url"
	"time"
)

// CampaignSettings are what is chosen for a campaign, and may be changed while it runs.
type CampaignSettings struct {
	Note          string     `json:"note,omitempty" maxLength:"500" doc:"A sentence of one's own in the mails"`
	SignInURL     string     `json:"sign_in_url,omitempty" maxLength:"500" doc:"Where people of apps that keep their own tokens sign in; an https address"`
	Deadline      *time.Time `json:"deadline,omitempty"`
	Remind        bool       `json:"remind" doc:"Reminders go out by themselves"`
	MailUsernames bool       `json:"mail_usernames" doc:"User names serve as mail addresses where none is known"`
	RemindDays    []int      `json:"remind_days,omitempty" maxItems:"10" doc:"Days after the start on which people are reminded who have not signed in"`
	RemindBefore  []int      `json:"remind_before,omitempty" maxItems:"10" doc:"Days before the deadline on which they are, too"`
	Zone          string     `json:"zone,omitempty" maxLength:"60" doc:"Time zone of these days: Europe/Berlin; UTC if left out"`
}

// CampaignRequest is a campaign to be made, as a draft.
type CampaignRequest struct {
	Name         string `json:"name" maxLength:"120"`
	Registration string `json:"registration,omitempty" maxLength:"64" doc:"Id of the app registration"`
	App          string `json:"app,omitempty" maxLength:"120" doc:"Instead: name of an app that is not registered here, whose people are added"`
	Reason       string `json:"reason" enum:"client_id,manifest,credential,revocation,by_hand"`
	Old          string `json:"old,omitempty" maxLength:"200" doc:"Of a new app id: the client id before"`
	New          string `json:"new,omitempty" maxLength:"200" doc:"And after; the registration's if left out"`
	CampaignSettings
}

// CampaignChange changes name and settings.
type CampaignChange struct {
	Name    string `json:"name" maxLength:"120"`
	Version int64  `json:"version" doc:"As it was read"`
	CampaignSettings
}

// CampaignProgress counts people.
type CampaignProgress struct {
	People   int `json:"people"`
	Pending  int `json:"pending" doc:"Not asked yet"`
	Reminded int `json:"reminded" doc:"Asked at least once"`
	Done     int `json:"done"`
	Failed   int `json:"failed" doc:"Tried in vain"`
	OnOld    int `json:"on_old" doc:"Seen on the old app last"`
	Percent  int `json:"percent" doc:"Done, rounded down"`
}

// Campaign is a re-authentication campaign. Its counts are of the tenants that the
// caller may see.
type Campaign struct {
	ID               string `json:"id"`
	Name             string `json:"name"`
	Reason           string `json:"reason" enum:"client_id,manifest,credential,revocation,by_hand"`
	RegistrationID   string `json:"registration_id,omitempty"`
	RegistrationName string `json:"registration_name"`
	Old              string `json:"old,omitempty"`
	New              string `json:"new,omitempty"`
	ClientID         string `json:"client_id,omitempty" doc:"Of the app that everybody is to sign in to"`
	State            string `json:"state" enum:"draft,running,paused,done,ended"`
	StartedBy        string `json:"started_by,omitempty" doc:"Left out for a proposal"`
	CampaignSettings
	CreatedAt        time.Time  `json:"created_at"`
	StartedAt        *time.Time `json:"started_at,omitempty"`
	EndedAt          *time.Time `json:"ended_at,omitempty"`
	Version          int64      `json:"version"`
	OldCanBeRemoved  bool       `json:"old_can_be_removed" doc:"Of a new app id: everybody in the caller's tenants was seen on the new app"`
	CampaignProgress `json:"progress"`
	Tenants          int `json:"tenants"`
	TenantsDone      int `json:"tenants_done" doc:"In which everybody signed in"`
	NoConsent        int `json:"no_consent" doc:"Tenants whose consent is missing, or asked for"`
}

// Ended reports whether nothing more will come.
func (c Campaign) Ended() bool { return c.State == "done" || c.State == "ended" }

// CampaignTenant is a tenant of a campaign.
type CampaignTenant struct {
	TenantID         string     `json:"tenant_id"`
	TenantName       string     `json:"tenant_name"`
	Consent          string     `json:"consent" enum:"unknown,missing,asked,granted,granted_not_read,not_needed"`
	ConsentReason    string     `json:"consent_reason,omitempty" doc:"Why it is unknown"`
	ConsentAt        *time.Time `json:"consent_at,omitempty" doc:"When it was last looked for"`
	AskedAt          *time.Time `json:"asked_at,omitempty" doc:"When a link was made for the administrator"`
	CampaignProgress `json:"progress"`
}

// CampaignPerson is somebody who is to sign in.
type CampaignPerson struct {
	ID           string     `json:"id"`
	TenantID     string     `json:"tenant_id"`
	TenantName   string     `json:"tenant_name"`
	ConnectionID string     `json:"connection_id,omitempty" doc:"Left out: their app keeps its own tokens"`
	Username     string     `json:"username,omitempty"`
	ObjectID     string     `json:"object_id,omitempty"`
	Name         string     `json:"name,omitempty"`
	Email        string     `json:"email,omitempty"`
	ClientID     string     `json:"client_id,omitempty" doc:"Of the app that they are signed in to, as last seen"`
	State        string     `json:"state" enum:"pending,reminded,done,failed"`
	Reason       string     `json:"reason,omitempty" doc:"Of what failed"`
	ChangedAt    time.Time  `json:"changed_at"`
	RemindedAt   *time.Time `json:"reminded_at,omitempty"`
	Reminders    int        `json:"reminders"`
	RemindAt     *time.Time `json:"remind_at,omitempty" doc:"When the next one is due"`
	MailReason   string     `json:"mail_reason,omitempty" doc:"Why the last one was not sent"`
}

// CampaignPersonRow is somebody to be added, or a tenant alone.
type CampaignPersonRow struct {
	Tenant   string `json:"tenant" maxLength:"254" doc:"Name, domain, directory id or id"`
	Username string `json:"username,omitempty" maxLength:"254"`
	ObjectID string `json:"object_id,omitempty" maxLength:"64"`
	Name     string `json:"name,omitempty" maxLength:"254"`
	Email    string `json:"email,omitempty" maxLength:"254"`
}

// CampaignPeople are people to be added: by a file or a list, one of the two.
type CampaignPeople struct {
	File   string              `json:"file,omitempty" doc:"CSV with the columns tenant, username, object_id, name, email: 8 MB and 50,000 rows at most"`
	People []CampaignPersonRow `json:"people,omitempty" maxItems:"5000"`
	DryRun bool                `json:"dry_run,omitempty" doc:"Only say what would be done"`
}

// CampaignAdded is what adding people does, or would do. Nothing is done while there
// are faults.
type CampaignAdded struct {
	Rows       int           `json:"rows"`
	Joining    int           `json:"joining"`
	Changed    int           `json:"changed" doc:"Who are there, and get another name or address"`
	Unchanged  int           `json:"unchanged"`
	Tenants    int           `json:"tenants" doc:"That join"`
	FaultCount int           `json:"fault_count"`
	Faults     []ImportFault `json:"faults" nullable:"false" doc:"The first 500"`
}

// SignInReport is a sign-in that an app reports which keeps its own tokens.
type SignInReport struct {
	Tenant   string    `json:"tenant" maxLength:"254" doc:"Name, domain, directory id or id"`
	Person   string    `json:"person" maxLength:"254" doc:"User name or object id"`
	ClientID string    `json:"client_id" maxLength:"64" doc:"Of the app that they signed in to"`
	Outcome  string    `json:"outcome" enum:"signed_in,failed"`
	Reason   string    `json:"reason,omitempty" maxLength:"2000" doc:"Of a failure, as Microsoft put it"`
	At       time.Time `json:"at"`
}

// SignInReports are at most 1000.
type SignInReports struct {
	SignIns []SignInReport `json:"sign_ins" nullable:"false" maxItems:"1000"`
}

// SignInsReported says what reports came to.
type SignInsReported struct {
	Done      int         `json:"done" doc:"Signed in to the new app"`
	OnOld     int         `json:"on_old" doc:"Signed in to the old one, which does not count"`
	Failed    int         `json:"failed"`
	Unchanged int         `json:"unchanged" doc:"Was known"`
	Bad       []BadSignIn `json:"bad" nullable:"false" doc:"What did not count, one by one"`
}

// BadSignIn is a report that did not count.
type BadSignIn struct {
	Index   int    `json:"index" doc:"In the list, from 0"`
	Field   string `json:"field"`
	Problem string `json:"problem"`
	Way     string `json:"way"`
}

// RemindRequest chooses people: by id, or else by the rest; nothing chooses all.
type RemindRequest struct {
	People []string `json:"people,omitempty" maxItems:"1000" doc:"Ids"`
	Tenant string   `json:"tenant,omitempty" maxLength:"64"`
	State  string   `json:"state,omitempty" enum:",pending,reminded,failed"`
}

// Reminding says what asking for reminders came to.
type Reminding struct {
	Due       int `json:"due" doc:"Are written to within a minute"`
	Today     int `json:"today" doc:"Were already within the last day"`
	NoConsent int `json:"no_consent" doc:"Wait for their tenant's administrator"`
	Finished  int `json:"finished" doc:"Have signed in"`
}

// CampaignLink is an address that is shown once.
type CampaignLink struct {
	URL      string    `json:"url" doc:"Whoever has it can use it: pass it on to the person alone"`
	Until    time.Time `json:"until"`
	PersonID string    `json:"person_id,omitempty"`
	Username string    `json:"username,omitempty"`
}

// CampaignPersonFilter narrows the people of a campaign. Empty members do not.
type CampaignPersonFilter struct {
	TenantID, State, Search string
	OnOld, OwnApp           bool
}

func (f CampaignPersonFilter) set(q url.Values) url.Values {
	set(q, "tenant", f.TenantID)
	set(q, "state", f.State)
	set(q, "search", f.Search)
	if f.OnOld {
		q.Set("on_old", "true")
	}
	if f.OwnApp {
		q.Set("own_app", "true")
	}
	return q
}

// CampaignTenantFilter narrows the tenants of a campaign. Empty members do not.
type CampaignTenantFilter struct {
	TenantID, Consent, Search string
	Open                      bool // not everybody has signed in
}

// Campaigns lists campaigns, newest first; state narrows it unless it is "".
func (c *Client) Campaigns(ctx context.Context, state string, p Page) (campaigns []Campaign, next string, err error) {
	q := p.query()
	set(q, "state", state)
	l, err := call[List[Campaign]](ctx, c, request{method: http.MethodGet, path: "/campaigns", query: q})
	return l.Items, l.Next, err
}

// CreateCampaign makes a draft: nobody is asked for anything before it is started.
func (c *Client) CreateCampaign(ctx context.Context, r CampaignRequest) (Campaign, error) {
	return call[Campaign](ctx, c, request{method: http.MethodPost, path: "/campaigns", body: r})
}

// Campaign gives a campaign.
func (c *Client) Campaign(ctx context.Context, id string) (Campaign, error) {
	return call[Campaign](ctx, c, request{method: http.MethodGet, path: path("campaigns", id)})
}

// ChangeCampaign changes name and settings.
func (c *Client) ChangeCampaign(ctx context.Context, id string, r CampaignChange) (Campaign, error) {
	return call[Campaign](ctx, c, request{method: http.MethodPut, path: path("campaigns", id), body: r})
}

// StartCampaign has people asked from now on.
func (c *Client) StartCampaign(ctx context.Context, id string) (Campaign, error) {
	return call[Campaign](ctx, c, request{method: http.MethodPost, path: path("campaigns", id, "start")})
}

// PauseCampaign stops reminders; sign-ins count nevertheless.
func (c *Client) PauseCampaign(ctx context.Context, id string) (Campaign, error) {
	return call[Campaign](ctx, c, request{method: http.MethodPost, path: path("campaigns", id, "pause")})
}

// ResumeCampaign goes on after a pause.
func (c *Client) ResumeCampaign(ctx context.Context, id string) (Campaign, error) {
	return call[Campaign](ctx, c, request{method: http.MethodPost, path: path("campaigns", id, "resume")})
}

// EndCampaign ends a campaign early, or discards a draft; confirm repeats its name.
func (c *Client) EndCampaign(ctx context.Context, id, confirm string) (Campaign, error) {
	return call[Campaign](ctx, c, request{method: http.MethodPost, path: path("campaigns", id, "end"), body: CampaignEnd{Confirm: confirm}})
}

// CampaignEnd confirms the end of a campaign.
type CampaignEnd struct {
	Confirm string `json:"confirm,omitempty" maxLength:"120" doc:"The campaign's name; not needed for a draft"`
}

// CampaignTenants lists the tenants of a campaign, those first that need somebody most.
func (c *Client) CampaignTenants(ctx context.Context, id string, f CampaignTenantFilter, p Page) (tenants []CampaignTenant, next string, err error) {
	q := p.query()
	set(q, "tenant", f.TenantID)
	set(q, "consent", f.Consent)
	set(q, "search", f.Search)
	if f.Open {
		q.Set("open", "true")
	}
	l, err := call[List[CampaignTenant]](ctx, c, request{method: http.MethodGet, path: path("campaigns", id, "tenants"), query: q})
	return l.Items, l.Next, err
}

// CampaignPeople lists the people of a campaign by user name.
func (c *Client) CampaignPeople(ctx context.Context, id string, f CampaignPersonFilter, p Page) (people []CampaignPerson, next string, err error) {
	l, err := call[List[CampaignPerson]](ctx, c, request{method: http.MethodGet, path: path("campaigns", id, "people"), query: f.set(p.query())})
	return l.Items, l.Next, err
}

// AddCampaignPeople adds tenants and people, or says what that would do.
func (c *Client) AddCampaignPeople(ctx context.Context, id string, r CampaignPeople) (CampaignAdded, error) {
	return call[CampaignAdded](ctx, c, request{method: http.MethodPost, path: path("campaigns", id, "people"), body: r})
}

// DropCampaignPerson takes somebody out whose app keeps its own tokens.
func (c *Client) DropCampaignPerson(ctx context.Context, id, personID string) error {
	return c.do(ctx, request{method: http.MethodDelete, path: path("campaigns", id, "people", personID)})
}

// CampaignSignInLink makes a single-use link for somebody's sign-in.
func (c *Client) CampaignSignInLink(ctx context.Context, id, personID string) (CampaignLink, error) {
	return call[CampaignLink](ctx, c, request{method: http.MethodPost, path: path("campaigns", id, "people", personID, "link")})
}

// CampaignSignInLinks makes links for all of a tenant who have not signed in.
func (c *Client) CampaignSignInLinks(ctx context.Context, id, tenantID string) ([]CampaignLink, error) {
	l, err := call[List[CampaignLink]](ctx, c, request{method: http.MethodPost, path: path("campaigns", id, "tenants", tenantID, "links")})
	return l.Items, err
}

// CampaignConsentLink makes a link for the administrator of a tenant.
func (c *Client) CampaignConsentLink(ctx context.Context, id, tenantID string) (CampaignLink, error) {
	return call[CampaignLink](ctx, c, request{method: http.MethodPost, path: path("campaigns", id, "tenants", tenantID, "consent-link")})
}

// RemindCampaign has people reminded now who have not signed in.
func (c *Client) RemindCampaign(ctx context.Context, id string, r RemindRequest) (Reminding, error) {
	return call[Reminding](ctx, c, request{method: http.MethodPost, path: path("campaigns", id, "remind"), body: r})
}

// ReportSignIns reports sign-ins of an app that keeps its own tokens. A key needs the
// permission campaign.report alone.
func (c *Client) ReportSignIns(ctx context.Context, id string, all []SignInReport) (SignInsReported, error) {
	return call[SignInsReported](ctx, c, request{method: http.MethodPost, path: path("campaigns", id, "sign-ins"), body: SignInReports{SignIns: all}})
}

// ExportCampaign writes the people that a filter lets through as csv or json, without
// links.
func (c *Client) ExportCampaign(ctx context.Context, id string, f CampaignPersonFilter, format string, w io.Writer) error {
	q := f.set(url.Values{})
	set(q, "format", format)
	return c.do(ctx, request{method: http.MethodGet, path: path("campaigns", id, "export"), query: q, into: w})
}
