package console

import (
	"context"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"gatehouse/client"
	"gatehouse/internal/audit"
	"gatehouse/internal/backup"
	"gatehouse/internal/batch"
	"gatehouse/internal/broker"
	"gatehouse/internal/campaign"
	"gatehouse/internal/connection"
	"gatehouse/internal/consent"
	"gatehouse/internal/conversion"
	"gatehouse/internal/datasource"
	"gatehouse/internal/expiry"
	"gatehouse/internal/hosts"
	"gatehouse/internal/incident"
	"gatehouse/internal/jobs"
	"gatehouse/internal/live"
	"gatehouse/internal/notify"
	"gatehouse/internal/operator"
	"gatehouse/internal/registration"
	"gatehouse/internal/rotation"
	"gatehouse/internal/search"
	"gatehouse/internal/signin"
	"gatehouse/internal/sqldb"
	"gatehouse/internal/tenant"
	"gatehouse/internal/transfer"
	"gatehouse/internal/validation"
)

// Config is what the console needs.
type Config struct {
	DB            *sqldb.DB // for what is done to jobs
	Tenants       *tenant.Service
	Connections   *connection.Service
	Runs          *validation.Runs
	Notices       *notify.Service
	Hosts         *hosts.Service
	Conversions   *conversion.Service
	Incidents     *incident.Service
	Batches       *batch.Service
	Transfer      *transfer.Service
	Search        *search.Service
	Expiries      *expiry.Service
	Campaigns     *campaign.Service
	Rotations     *rotation.Service
	Registrations *registration.Service
	Sources       *datasource.Service
	SignIns       *signin.Service
	Tokens        *broker.Service
	Consents      *consent.Service
	Operators     *operator.Service
	Audit         *audit.Log
	Jobs          *jobs.Queue
	Hub           *live.Hub
	Backups       *backup.Service
	// Doctor looks after the machine.
	Doctor  func(ctx context.Context) []client.Finding
	Version string
	// Limiter bounds what one address may ask of the pages that need no sign-in.
	Limiter *operator.Limiter
	// PublicURL is where browsers find the console, for example
	// "https://gatehouse.contoso.example". With https the cookie is Secure.
	PublicURL string
	// Organisation is the name of who runs the server; "" if it is not said.
	Organisation string
	Demo         bool // says on every page that this is a demo
	Log          *slog.Logger
	// Stopping is closed when the server stops: streams end then.
	Stopping <-chan struct{}
	Now      func() time.Time // time.Now if nil
}

// console serves the pages.
type console struct {
	Config
}

// New gives the handler of all pages. It expects to be mounted at "/".
func New(c Config) http.Handler {
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	c.PublicURL = strings.TrimSuffix(c.PublicURL, "/")
	return protect((&console{c}).routes())
}

// routes are all pages. What is open needs no sign-in; step needs a session in
// any stage; page one that is signed in.
func (c *console) routes() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /static/", static())
	open := func(pattern string, h handler) { mux.Handle(pattern, c.limited(c.serve(h))) }
	step := func(pattern string, h handler) { mux.Handle(pattern, c.serve(c.inSession(h))) }
	page := func(pattern string, h handler) { mux.Handle(pattern, c.serve(c.signedIn(h))) }

	open("GET /setup/{token}", c.setupPage)
	open("POST /setup/{token}", c.setup)
	open("GET /sign-in", c.signInPage)
	open("POST /sign-in", c.signIn)
	open("GET /sign-in/sso", c.beginSSO)
	open("GET "+SSOCallback, c.finishSSO)
	c.signInRoutes(open, page)
	open("POST /theme", c.setTheme)
	open("GET /calendar/{file}", c.calendarFeed)
	open("GET /consent/{token}", c.consentPage)
	open("POST /consent/{token}/look", c.consentLook)
	open("GET "+consent.CallbackPath, c.consentAnswer)
	step("GET /sign-in/factor", c.factorPage)
	step("POST /sign-in/factor", c.code)
	step("POST /sign-in/passkey/begin", c.beginPasskey)
	step("POST /sign-in/passkey", c.finishPasskey)
	step("GET /factors/new", c.newFactorPage)
	step("POST /factors/code", c.enrolCode)
	step("POST /factors/passkey/begin", c.beginEnrolPasskey)
	step("POST /factors/passkey", c.enrolPasskey)
	step("POST /sign-out", c.signOut)

	page("GET /{$}", c.overview)
	page("GET /explain", c.explainPage)
	page("POST /explain", c.explain)
	page("GET /search", c.searchPage)
	page("POST /search", c.search)
	page("GET /live", c.live)

	page("GET /tenants", c.tenants)
	page("GET /tenants/new", c.newTenantPage)
	page("POST /tenants/new", c.newTenant)
	page("GET /tenants/{id}", c.tenant)
	page("POST /tenants/{id}/name", c.renameTenant)
	page("POST /tenants/{id}/pause", c.pauseTenant)
	page("POST /tenants/{id}/refresh", c.refreshTenant)
	page("POST /tenants/{id}/snapshot", c.uploadSnapshot)
	page("GET /tenants/{id}/reader", c.readerPage)
	page("POST /tenants/{id}/reader", c.onboardReader)
	page("POST /tenants/{id}/reader/check", c.checkReader)
	page("GET /tenants/{id}/reader/remove", c.removeReaderPage)
	page("POST /tenants/{id}/reader/remove", c.removeReader)
	page("GET /tenants/{id}/remove", c.removeTenantPage)
	page("POST /tenants/{id}/remove", c.removeTenant)

	page("GET /connections", c.connections)
	page("GET /connections/new", c.newConnectionPage)
	page("POST /connections/new", c.newConnection)
	page("POST /connections/bulk", c.bulk)
	page("GET /connections/export", c.export)
	page("GET /connections/import", c.importPage)
	page("POST /connections/import", c.importFile)
	page("POST /filters", c.saveFilter)
	page("POST /filters/{id}/remove", c.forgetFilter)
	page("GET /batches", c.batches)
	page("POST /batches", c.startBatch)
	page("GET /batches/{id}", c.batch)
	page("POST /batches/{id}/cancel", c.cancelBatch)
	page("POST /connections/{id}/daily", c.setDaily)
	page("POST /tenants/{id}/schedule", c.setFallback)
	page("GET /settings/schedule", c.schedulePage)
	page("POST /settings/schedule", c.setSchedule)
	page("GET /connections/{id}", c.connection)
	page("GET /connections/{id}/edit", c.editConnectionPage)
	page("POST /connections/{id}/edit", c.editConnection)
	page("GET /connections/{id}/credential", c.credentialPage)
	page("POST /connections/{id}/credential", c.setCredential)
	page("GET /connections/{id}/certificate.pem", c.certificate)
	page("POST /connections/{id}/validate", c.validate)
	page("POST /connections/{id}/unpark", c.unpark)
	page("GET /connections/{id}/data", c.dataSource)
	page("POST /connections/{id}/data", c.chooseCompany)
	page("POST /connections/{id}/data/sample", c.sample)
	page("POST /connections/{id}/data/set-up", c.checkSetUp)
	page("POST /connections/{id}/token-retry", c.tryToken)
	page("POST /connections/{id}/sharepoint", c.findHosts)
	page("POST /connections/{id}/owner", c.lookAtOwner)
	page("GET /connections/{id}/convert", c.convertPage)
	page("POST /connections/{id}/convert/common", c.toCommon)
	page("POST /connections/{id}/convert/undo", c.undoCommon)
	page("GET /connections/{id}/convert/app", c.conversionPage)
	page("POST /connections/{id}/convert/app", c.startConversion)
	page("POST /connections/{id}/convert/app/{step}", c.conversionStep)
	page("POST /connections/{id}/convert/package", c.handOver)
	page("GET /connections/{id}/convert/sheet", c.sheetPage)
	page("GET /connections/{id}/remove", c.removeConnectionPage)
	page("POST /connections/{id}/remove", c.removeConnection)

	page("GET /registrations", c.registrations)
	page("GET /registrations/new", c.newRegistrationPage)
	page("POST /registrations/new", c.newRegistration)
	page("GET /registrations/{id}", c.registration)
	page("GET /registrations/{id}/edit", c.editRegistrationPage)
	page("POST /registrations/{id}/edit", c.editRegistration)
	page("GET /registrations/{id}/remove", c.removeRegistrationPage)
	page("POST /registrations/{id}/remove", c.removeRegistration)
	page("POST /registrations/{id}/look", c.lookUpRegistration)
	page("GET /registrations/{id}/manifest", c.manifest)
	page("POST /registrations/{id}/manifest", c.setManifest)
	page("GET /registrations/{id}/credential", c.newRegCredentialPage)
	page("POST /registrations/{id}/credential", c.newRegCredential)
	page("POST /registrations/{id}/undo", c.undoRegSwitch)
	page("GET /registrations/{id}/credentials/{credential}", c.regCredential)
	page("GET /registrations/{id}/credentials/{credential}/certificate.pem", c.regCertificate)
	page("POST /registrations/{id}/credentials/{credential}/check", c.checkRegCredential)
	page("POST /registrations/{id}/credentials/{credential}/switch", c.switchRegCredential)
	page("GET /registrations/{id}/credentials/{credential}/retire", c.retireRegCredentialPage)
	page("POST /registrations/{id}/credentials/{credential}/retire", c.retireRegCredential)

	page("GET /incidents", c.incidents)
	page("GET /incidents/{id}", c.incident)
	page("POST /incidents/{id}/acknowledge", c.acknowledge)
	page("POST /incidents/{id}/comments", c.comment)

	page("GET /campaigns", c.campaigns)
	page("GET /campaigns/new", c.newCampaign)
	page("POST /campaigns", c.createCampaign)
	page("GET /campaigns/{id}", c.campaign)
	page("GET /campaigns/{id}/edit", c.editCampaignPage)
	page("POST /campaigns/{id}/edit", c.editCampaign)
	page("GET /campaigns/{id}/export", c.exportCampaign)
	page("GET /campaigns/{id}/people/add", c.campaignPeople)
	page("POST /campaigns/{id}/people/add", c.addCampaignPeople)
	page("POST /campaigns/{id}/people/{person}/link", c.campaignLink)
	page("POST /campaigns/{id}/people/{person}/remove", c.dropCampaignPerson)
	page("POST /campaigns/{id}/tenants/{tenant}/links", c.campaignLinks)
	page("POST /campaigns/{id}/tenants/{tenant}/consent-link", c.campaignConsent)
	page("POST /campaigns/{id}/{act}", c.campaignAct)
	page("GET /expiries", c.expiries)
	page("GET /expiries/{id}", c.expiry)
	page("GET /expiries/calendar", c.calendarPage)
	page("POST /expiries/calendar", c.newFeed)
	page("POST /expiries/calendar/{id}/revoke", c.revokeFeed)
	page("GET /expiries/calendar.ics", c.downloadCalendar)
	page("POST /tenants/{id}/expiries", c.refreshExpiries)
	page("GET /tenants/{id}/consent-changes", c.drift)
	page("POST /tenants/{id}/reader/rotate", c.rotateReader)
	page("POST /connections/{id}/rotate", c.rotateConnection)
	page("GET /rotations/{id}", c.rotation)
	page("POST /rotations/{id}/undo", c.undoRotation)

	page("GET /consents", c.consents)
	page("GET /consents/customers", c.customers)
	page("POST /consents/customers", c.onboardCustomers)
	page("GET /tenants/{id}/consents/{registration}", c.consentDetail)
	page("POST /tenants/{id}/consents/{registration}", c.askConsent)
	page("POST /tenants/{id}/consents/{registration}/look", c.lookAtConsent)
	page("POST /consents/pages/{id}/withdraw", c.withdrawConsent)

	page("GET /jobs", c.jobs)
	page("POST /jobs/{id}/{act}", c.jobAct)
	page("GET /audit", c.audit)
	page("POST /audit/verify", c.verifyAudit)

	page("GET /operators", c.operators)
	page("GET /operators/new", c.invitePage)
	page("POST /operators/new", c.invite)
	page("GET /operators/directory", c.assignments)
	page("GET /operators/directory/new", c.assignPage)
	page("POST /operators/directory/new", c.assign)
	page("GET /operators/directory/{id}/remove", c.unassignPage)
	page("POST /operators/directory/{id}/remove", c.unassign)
	page("GET /operators/local", c.localPage)
	page("POST /operators/local", c.limitLocal)
	page("GET /operators/{id}", c.operator)
	page("POST /operators/{id}/role", c.setRole)
	page("POST /operators/{id}/link", c.relink)
	page("POST /operators/{id}/{act}", c.operatorAct)
	page("GET /operators/{id}/remove", c.removeOperatorPage)
	page("GET /operators/{id}/disable", c.disableOperatorPage)
	page("POST /sessions/{id}/revoke", c.revokeSession)

	page("GET /settings", c.settings)
	page("POST /settings/password", c.changePassword)
	page("GET /settings/factors/{id}/remove", c.removeFactorPage)
	page("POST /settings/factors/{id}/remove", c.removeFactor)
	page("POST /settings/sessions/revoke", c.revokeOthers)

	page("GET /server", c.server)
	page("POST /server/backup", c.backup)
	page("GET /audit/people/{id}/erase", c.erasePage)
	page("POST /audit/people/{id}/erase", c.erase)

	c.noticeRoutes(page)

	page("POST /settings/link", c.linkSSO)

	page("GET /keys", c.keys)
	page("GET /keys/new", c.newKeyPage)
	page("POST /keys/new", c.newKey)
	page("GET /keys/{id}/revoke", c.revokeKeyPage)
	page("POST /keys/{id}/revoke", c.revokeKey)

	page("GET /developers", c.apiPage)
	page("/", func(_ http.ResponseWriter, _ *http.Request, _ *frame) error { return errNoPage })
	return mux
}
