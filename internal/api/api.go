// Package api is the REST face: it parses, calls one method of a feature and
// answers with the types of package client.
//
// A request goes through these, in this order: [face.authenticate] finds the
// session of its bearer token and puts the operator into the context,
// [face.once] answers a repeated POST as the first time, the router finds its
// route, and [face.authorise] demands that the operator has the route's
// permission in some tenant. Whether it is the right tenant is decided by the
// feature, on the object that it loads. Every route is made by [add], which
// takes its permission.
package api

import (
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

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
	"gatehouse/internal/secrets"
	"gatehouse/internal/signin"
	"gatehouse/internal/sqldb"
	"gatehouse/internal/tenant"
	"gatehouse/internal/transfer"
	"gatehouse/internal/validation"
)

// Config is what the face calls. All but Now must be given.
type Config struct {
	DB            *sqldb.DB
	Audit         *audit.Log
	Keys          *secrets.Keyring // opened with [Columns]
	Operators     *operator.Service
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
	Jobs          *jobs.Queue
	Live          *live.Hub
	Backups       *backup.Service
	// Doctor looks after the machine.
	Doctor doctor
	// Open limits requests without a session, by address.
	Open      *operator.Limiter
	PublicURL string
	Version   string
	Log       *slog.Logger
	// Stopping is closed when the server stops: streams end then.
	Stopping <-chan struct{}
	Now      func() time.Time // time.Now if nil
}

// face is the API with what it calls.
type face struct {
	Config
	routes []route
	// beat is how often a stream says that it lives, and looks whether its
	// reader may still read it.
	beat time.Duration
}

// prefix is where the API lives.
const prefix = "/api/v1"

// New gives the handler of everything under /api/.
func New(c Config) http.Handler {
	if c.Now == nil {
		c.Now = time.Now
	}
	return (&face{Config: c, beat: 15 * time.Second}).handler()
}

func (f *face) handler() http.Handler {
	mux := http.NewServeMux()
	document := f.mount(mux)
	mux.HandleFunc("/api/", func(w http.ResponseWriter, r *http.Request) {
		writeProblem(w, problem(http.StatusNotFound, client.ProblemNotFound, "there is nothing at this address; /api/docs lists what there is"))
	})
	mux.Handle("GET /api/openapi.json", openDocument(document))
	mux.Handle("GET /api/docs", openPage(document))
	mux.Handle("GET /api/docs.css", openStyle())
	return f.authenticate(f.once(f.quickly(methods(mux))))
}

// Document is the OpenAPI document, without a server behind it.
func Document(version string) ([]byte, error) {
	f := &face{Config: Config{Version: version}}
	return f.mount(http.NewServeMux()).MarshalJSON()
}

// mount registers all routes and gives their document.
func (f *face) mount(mux *http.ServeMux) *huma.OpenAPI {
	f.routes = nil
	h := humago.New(mux, huma.Config{
		OpenAPI: &huma.OpenAPI{
			OpenAPI: "3.1.0",
			Info: &huma.Info{
				Title: "Gatehouse", Version: f.Version,
				Description: "Whether software gets into Microsoft 365 tenants without a person, which rule stops it, and who must act.\n\n" +
					"Sign in with POST /api/v1/session and POST /api/v1/session/code, and send the token as `Authorization: Bearer`; " +
					"programs send an API key (`ghk_…`) there. " +
					"A POST may carry an `Idempotency-Key`: repeated within a day, it gets the first answer again. " +
					"Problems are RFC 9457 documents with a stable `type`.",
				License: &huma.License{Name: "Apache-2.0", Identifier: "Apache-2.0"},
				Contact: &huma.Contact{Name: "Gatehouse"},
			},
			Servers: []*huma.Server{{URL: serverURL(f.PublicURL)}},
			Components: &huma.Components{
				Schemas:         huma.NewMapRegistry("#/components/schemas/", schemaName),
				SecuritySchemes: map[string]*huma.SecurityScheme{"session": {Type: "http", Scheme: "bearer", Description: "The token of a session, or an API key."}},
			},
			Tags: tags,
		},
		Formats:                      huma.DefaultFormats,
		DefaultFormat:                "application/json",
		RejectUnknownQueryParameters: true,
	})
	f.session(h)
	f.operators(h)
	f.assignments(h)
	f.keys(h)
	f.tenants(h)
	f.connections(h)
	f.conversions(h)
	f.signIns(h)
	f.validations(h)
	f.notices(h)
	f.incidents(h)
	f.daily(h)
	f.batches(h)
	f.transfers(h)
	f.searches(h)
	f.expiries(h)
	f.rotations(h)
	f.registrations(h)
	f.dataSources(h)
	f.tokens(h)
	f.consents(h)
	f.campaigns(h)
	f.audits(h)
	f.jobs(h)
	f.house(h)
	f.backups(h)
	f.events(h)
	return h.OpenAPI()
}

func serverURL(public string) string {
	if public == "" {
		return "/"
	}
	return strings.TrimSuffix(public, "/")
}

var tags = []*huma.Tag{
	{Name: "Session", Description: "Signing in and out."},
	{Name: "Operators", Description: "Who signs in to Gatehouse."},
	{Name: "Keys", Description: "API keys: programs act with a part of their owner's permissions."},
	{Name: "Tenants", Description: "The Microsoft 365 tenants that are looked after."},
	{Name: "Connections", Description: "The identities that reach services of a tenant."},
	{Name: "Sign-ins", Description: "People signing in for connections, by an operator or with a personal link."},
	{Name: "Conversions", Description: "From old profiles to common ones, and to apps; what there is to know of a profile."},
	{Name: "Validations", Description: "Whether an identity gets in, and what stops it."},
	{Name: "Notices", Description: "What was told to whom, by mail and webhook."},
	{Name: "Webhooks", Description: "Other software that is told what happens."},
	{Name: "Incidents", Description: "Many failures, one cause."},
	{Name: "Batches", Description: "What is done to many connections."},
	{Name: "Expiries", Description: "What ends, and when."},
	{Name: "Rotations", Description: "Certificates that the apps replace themselves."},
	{Name: "Registrations", Description: "The app registrations through which people sign in."},
	{Name: "Sources", Description: "What a connection reaches: environments, companies, a few records."},
	{Name: "Tokens", Description: "Access tokens for software, of connections."},
	{Name: "Consents", Description: "What tenants' administrators consented to."},
	{Name: "Campaigns", Description: "Everybody consents and signs in again, followed to the last one."},
	{Name: "Audit", Description: "Who did what."},
	{Name: "Jobs", Description: "Work in the background."},
	{Name: "Server", Description: "The server itself."},
	{Name: "Events", Description: "What changes, as it changes."},
}
