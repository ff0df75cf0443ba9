package console_test

import (
	"context"
	"encoding/json"
	"encoding/pem"
	"io"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/pquerna/otp/totp"

	"gatehouse/client"
	"gatehouse/internal/access"
	"gatehouse/internal/audit"
	"gatehouse/internal/backup"
	"gatehouse/internal/batch"
	"gatehouse/internal/broker"
	"gatehouse/internal/campaign"
	"gatehouse/internal/connection"
	"gatehouse/internal/consent"
	"gatehouse/internal/console"
	"gatehouse/internal/conversion"
	"gatehouse/internal/datasource"
	"gatehouse/internal/expiry"
	"gatehouse/internal/hosts"
	"gatehouse/internal/incident"
	"gatehouse/internal/jobs"
	"gatehouse/internal/lease"
	"gatehouse/internal/live"
	"gatehouse/internal/microsoft"
	"gatehouse/internal/notify"
	"gatehouse/internal/notify/notifytest"
	"gatehouse/internal/operator"
	"gatehouse/internal/pace"
	"gatehouse/internal/registration"
	"gatehouse/internal/rotation"
	"gatehouse/internal/search"
	"gatehouse/internal/secrets"
	"gatehouse/internal/signin"
	"gatehouse/internal/sqldb"
	"gatehouse/internal/sqldb/dbtest"
	"gatehouse/internal/sso"
	"gatehouse/internal/tenant"
	"gatehouse/internal/transfer"
	"gatehouse/internal/validation"
	"gatehouse/lab"
)

const (
	goodPassword = "correct horse battery staple"
	adaEmail     = "ada@gatehouse.example"
)

// house is the console in front of all features, its queue at work.
type house struct {
	t             testing.TB
	address       string // of the database; a new SQLite file if empty
	demo          bool
	organisation  string            // who runs the house; "" is not said
	everywhere    bool              // SharePoint and Business Central are reached too
	partnered     bool              // Partner Center is, as it is everywhere
	register      func(*jobs.Queue) // adds jobs of the test
	tellCampaigns func(ctx context.Context, tx *sqldb.Tx, n campaign.News) error
	signOn        func(address string) *sso.Provider
	mail          func(ctx context.Context, tx *sqldb.Tx, to, name string, link secrets.Value, until time.Time) error
	db            *sqldb.DB
	server        *httptest.Server
	lab           *lab.Lab
	log           *audit.Log
	operators     *operator.Service
	tenants       *tenant.Service
	connections   *connection.Service
	batches       *batch.Service
	runs          *validation.Runs
	notices       *notify.Service
	letters       *notifytest.MailServer
	hooks         *notifytest.Receiver
	sites         *hosts.Service
	conversions   *conversion.Service
	incidents     *incident.Service
	rotations     *rotation.Service
	registrations *registration.Service
	sources       *datasource.Service
	expiries      *expiry.Service
	signIns       *signin.Service
	tokens        *broker.Service
	quayApp       string   // registration of the tests of signing in
	millApp       string   // of those of consent
	harbourApp    string   // of those of campaigns
	outside       []screen // pages that need no sign-in
	consents      *consent.Service
	campaigns     *campaign.Service
}

// in is the house within a part of a test.
func (h *house) in(t testing.TB) *house {
	part := *h
	part.t = t
	return &part
}

func (h *house) demonstrating() { h.demo = true }

func (h *house) named() { h.organisation = "Harbour Help" }

func newHouse(t testing.TB, options ...func(*house)) *house {
	t.Helper()
	h := &house{t: t}
	for _, o := range options {
		o(h)
	}
	if h.address == "" {
		h.address = dbtest.SQLite(t)
	}
	if h.lab == nil {
		h.lab = lab.Start(t)
	}
	db := dbtest.Open(t, h.address)
	h.db = db
	if err := jobs.Migrate(t.Context(), db); err != nil {
		t.Fatal(err)
	}
	h.log = audit.New(audit.Config{DB: db})
	var columns []secrets.Column
	for _, of := range [][]secrets.Column{operator.Columns, tenant.Columns, connection.Columns, notify.Columns, rotation.Columns, access.Columns()} {
		columns = append(columns, of...)
	}
	keys, err := secrets.OpenKeyring(t.Context(), secrets.Config{DB: db, Wrapper: secrets.NewFileKey(filepath.Join(t.TempDir(), "master.key")), Audit: h.log, Columns: columns})
	if err != nil {
		t.Fatal(err)
	}
	hub, governor := live.New(live.Config{DB: db}), pace.New(pace.Config{DB: db})
	queue := startQueue(t, db, hub)
	if h.register != nil {
		h.register(queue.Queue)
	}
	cloud := microsoft.Cloud{Name: "lab", Login: h.lab.URL(), Graph: h.lab.URL(), GraphResource: "https://graph.microsoft.com", Roots: h.lab.Roots()}
	if h.everywhere {
		cloud = microsoft.At("lab", h.lab.URL(), h.lab.Roots())
	}
	if h.partnered {
		cloud.PartnerCenter, cloud.PartnerCenterResource = h.lab.URL(), microsoft.At("lab", h.lab.URL(), nil).PartnerCenterResource
	}
	h.tenants = tenant.New(tenant.Config{DB: db, Audit: h.log, Keys: keys, Jobs: queue.Queue, Live: hub, Pace: governor, Cloud: cloud})
	backups, err := backup.New(backup.Config{DB: db, Audit: h.log, Dir: t.TempDir(), Version: "test"})
	if err != nil {
		t.Fatal(err)
	}
	h.sites = hosts.New(hosts.Config{DB: db, Audit: h.log, Live: hub, Tenants: h.tenants, Pace: governor, Cloud: cloud})
	h.server = httptest.NewUnstartedServer(nil)
	address := "http://" + strings.Replace(h.server.Listener.Addr().String(), "127.0.0.1", "localhost", 1)
	h.registrations = registration.New(registration.Config{DB: db, Audit: h.log, Keys: keys, Jobs: queue.Queue, Live: hub, Pace: governor, Cloud: cloud, Tenants: h.tenants, PublicURL: address})
	h.connections = connection.New(connection.Config{DB: db, Audit: h.log, Keys: keys, Live: hub, Tenants: h.tenants, AdminURL: h.sites.CheckAdmin, Registration: h.registrations.Suits})
	h.runs = validation.NewRuns(validation.RunsConfig{DB: db, Audit: h.log, Connections: h.connections, Tenants: h.tenants, Jobs: queue.Queue, Live: hub, Pace: governor, Cloud: cloud, KnownHost: h.sites.Known, FoundHosts: h.sites.Learn})
	h.conversions = conversion.New(conversion.Config{DB: db, Audit: h.log, Live: hub, Tenants: h.tenants, Connections: h.connections, Runs: h.runs, Cloud: cloud})
	h.incidents = incident.New(incident.Config{DB: db, Audit: h.log, Tenants: h.tenants, Connections: h.connections, Runs: h.runs, Live: hub, Pace: governor, Cloud: cloud})
	h.batches = batch.New(batch.Config{DB: db, Audit: h.log, Connections: h.connections, Runs: h.runs, Jobs: queue.Queue, Live: hub})
	transfers := transfer.New(transfer.Config{Tenants: h.tenants, Connections: h.connections, Batches: h.batches})
	h.rotations = rotation.New(rotation.Config{DB: db, Audit: h.log, Keys: keys, Jobs: queue.Queue, Live: hub, Pace: governor, Cloud: cloud, Tenants: h.tenants, Connections: h.connections})
	h.expiries = expiry.New(expiry.Config{
		DB: db, Audit: h.log, Jobs: queue.Queue, Live: hub, Pace: governor, Cloud: cloud, Tenants: h.tenants, Rotations: h.rotations,
		ActingFor: func(ctx context.Context, id, address string, only ...audit.Permission) (context.Context, error) {
			return h.operators.ActingFor(ctx, id, address, only...)
		},
	})
	var directory *sso.Provider
	if h.signOn != nil {
		directory = h.signOn(address)
	}
	h.operators, err = operator.New(operator.Config{DB: db, Keyring: keys, Audit: h.log, Origin: address, SSO: directory, Mail: h.mail})
	if err != nil {
		t.Fatal(err)
	}
	h.letters, h.hooks = notifytest.Mail(t, notifytest.Behaviour{}), notifytest.Receive(t, "127.0.0.1")
	h.notices = notify.New(notify.Config{
		DB: db, Audit: h.log, Keys: keys, Jobs: queue.Queue, Live: hub, Operators: h.operators, PublicURL: address,
		Mail:    notify.Mail{Server: h.letters.Address, From: "gatehouse@gatehouse.example", Roots: notifytest.Roots(t)},
		Outside: notify.Outside{Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}, Roots: notifytest.Roots(t)},
	})
	joined := access.New(access.Config{
		DB: db, Audit: h.log, Keys: keys, Jobs: queue.Queue, Live: hub, Pace: governor, Cloud: cloud, Tenants: h.tenants, Registrations: h.registrations, Connections: h.connections, Runs: h.runs, Batches: h.batches,
		PublicURL: address, KnownHost: h.sites.Known, ActingFor: h.operators.ActingFor, Letter: h.notices.Write, TellCampaigns: h.tellCampaigns,
	})
	h.sources, h.signIns, h.tokens, h.consents, h.campaigns = joined.Sources, joined.SignIns, joined.Tokens, joined.Consents, joined.Campaigns
	queue.start()
	searching := search.New(search.Config{Tenants: h.tenants, Connections: h.connections, Operators: h.operators, Incidents: h.incidents, Audit: h.log})
	h.server.Config.Handler = http.NewCrossOriginProtection().Handler(console.New(console.Config{
		DB: db, Tenants: h.tenants, Connections: h.connections, Runs: h.runs, Notices: h.notices, Hosts: h.sites, Conversions: h.conversions, Incidents: h.incidents, Batches: h.batches, Transfer: transfers, Search: searching, Expiries: h.expiries, Rotations: h.rotations, Registrations: h.registrations, Sources: h.sources, SignIns: h.signIns, Tokens: h.tokens, Consents: h.consents, Campaigns: h.campaigns, Operators: h.operators, Audit: h.log, Jobs: queue.Queue, Hub: hub, Backups: backups, Version: "test",
		Doctor: func(context.Context) []client.Finding {
			return []client.Finding{{Name: "disk", State: "passed", Detail: "12.0 GB free"}, {Name: "clock", State: "failed", Detail: "90 s off Microsoft's", Way: "set the machine's clock"}, {Name: "dns", State: "unknown", Detail: "no answer"}}
		},
		Limiter: operator.NewLimiter(operator.LimiterConfig{Every: time.Millisecond, Burst: 1000}), PublicURL: address, Organisation: h.organisation, Demo: h.demo,
		Log: slog.New(slog.NewTextHandler(t.Output(), nil)),
	}))
	h.server.Start()
	h.server.URL = address
	t.Cleanup(h.server.CloseClientConnections)
	return h
}

// startedQueue is a queue that a test starts once the jobs are registered.
type startedQueue struct {
	*jobs.Queue
	start func()
}

func startQueue(t testing.TB, db *sqldb.DB, hub *live.Hub) startedQueue {
	t.Helper()
	replica := lease.New(lease.Config{DB: db, TTL: time.Minute})
	if err := replica.Join(t.Context()); err != nil {
		t.Fatal(err)
	}
	queue, err := jobs.New(jobs.Config{DB: db, Replica: replica, Live: hub, Log: slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn}))})
	if err != nil {
		t.Fatal(err)
	}
	return startedQueue{queue, func() {
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan error, 1)
		go func() { done <- replica.Run(ctx) }()
		if err := queue.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			limited, end := context.WithTimeout(context.Background(), 10*time.Second)
			defer end()
			if err := queue.Stop(limited); err != nil {
				t.Error(err)
			}
			cancel()
			if err := <-done; err != nil {
				t.Error(err)
			}
		})
	}}
}

func (h *house) boss() context.Context { return audit.AsSystem(h.t.Context(), "test") }

// must gives a value and ends the test if there is an error.
func must[T any](t testing.TB, v T, err error) T {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// administrator makes Ada, the first administrator, and gives the cookie of her
// session.
func (h *house) administrator() *http.Cookie {
	h.t.Helper()
	ctx, visit := h.t.Context(), operator.Visit{Address: "192.0.2.7", UserAgent: "Mozilla/5.0 (X11; Linux x86_64) Chrome/156.0"}
	token, err := h.operators.FirstLink(h.boss())
	link := must(h.t, token, err)
	issued, err := h.operators.Setup(ctx, operator.SetupRequest{Token: link, Email: adaEmail, Name: "Ada Person", Password: secrets.New(goodPassword)}, visit)
	session := must(h.t, issued, err).Session
	enrolment, err := h.operators.BeginTOTPEnrolment(ctx, session)
	code, err2 := totp.GenerateCode(must(h.t, enrolment, err).Secret.Reveal(), time.Now())
	issued, err = h.operators.FinishTOTPEnrolment(ctx, session, "Phone", must(h.t, code, err2), visit)
	return &http.Cookie{Name: "gatehouse", Value: must(h.t, issued, err).Token.Reveal(), Path: "/"} //nolint:gosec // a browser's own, over http
}

// at is a tenant of the lab by the name that people see.
func (h *house) at(name string) lab.ReadyTenant {
	return h.lab.Tenant(strings.ToLower(strings.ReplaceAll(name, " ", "")))
}

// add adds a tenant of the lab by its name there.
func (h *house) add(name string) tenant.Tenant {
	h.t.Helper()
	added, err := h.tenants.Add(h.boss(), tenant.AddRequest{NameOrID: h.at(name).Domain, Name: name})
	return must(h.t, added, err)
}

// onboard makes the tenant's reader and reads its rules.
func (h *house) onboard(t tenant.Tenant) {
	h.t.Helper()
	app := h.at(t.Name).App("Gatehouse reader")
	steps, err := h.tenants.OnboardReader(h.boss(), t.ID, tenant.OnboardRequest{ClientID: app.ClientID})
	block, _ := pem.Decode([]byte(must(h.t, steps, err).CertificatePEM))
	h.administration(t.Name).upload(app.ClientID, block.Bytes)
	_, err = h.tenants.CheckReader(h.boss(), t.ID)
	if err != nil {
		h.t.Fatal(err)
	}
	h.eventually("the rules were not read", func() bool {
		now, err := h.tenants.Get(h.boss(), t.ID)
		return must(h.t, now, err).SnapshotAt != nil
	})
}

func decode(t testing.TB, response *http.Response, into any) {
	t.Helper()
	defer response.Body.Close()
	if err := json.NewDecoder(response.Body).Decode(into); err != nil {
		t.Fatal(err)
	}
}

// account makes a connection of a service account of the lab.
func (h *house) account(t tenant.Tenant, user, name string, services ...string) connection.Connection {
	h.t.Helper()
	u := h.at(t.Name).User(user)
	made, err := h.connections.Create(h.boss(), connection.CreateRequest{
		TenantID: t.ID, Kind: connection.ServiceAccount,
		Profile:    connection.Profile{Name: name, Username: u.UPN, Services: services, Consumer: connection.Consumer{Name: "Backup for Microsoft 365", HoldsCredential: connection.HeldHere, Addresses: []string{"192.0.2.0/24"}}},
		Credential: connection.CredentialRequest{Password: secrets.New(*u.Password)},
	})
	return must(h.t, made, err)
}

// validate validates a connection and waits for the end.
func (h *house) validate(c connection.Connection) {
	h.t.Helper()
	started, err := h.runs.Start(h.boss(), c.ID)
	run := must(h.t, started, err)
	h.eventually("the validation has not ended", func() bool {
		now, err := h.runs.Get(h.boss(), run.ID)
		run = must(h.t, now, err)
		return run.State == validation.Done
	})
}

// eventually waits for a condition.
func (h *house) eventually(what string, met func() bool) {
	h.t.Helper()
	tick, deadline := time.NewTicker(10*time.Millisecond), time.After(60*time.Second)
	defer tick.Stop()
	for !met() {
		select {
		case <-tick.C:
		case <-deadline:
			h.t.Fatal(what)
		}
	}
}

// visitor is a browser without scripts.
type visitor struct {
	*house
	client *http.Client
}

func (h *house) visitor(cookies ...*http.Cookie) *visitor {
	h.t.Helper()
	jar, err := cookiejar.New(nil)
	at, err2 := url.Parse(h.server.URL)
	must(h.t, jar, err).SetCookies(must(h.t, at, err2), cookies)
	return &visitor{h, &http.Client{Jar: jar}}
}

// page is an answer as a person sees it.
type page struct {
	Status     int
	Path, Text string
	Header     http.Header
}

func (v *visitor) read(response *http.Response, err error) page {
	v.t.Helper()
	must(v.t, response, err) //nolint:bodyclose // decode, read or the caller closes it
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	return page{response.StatusCode, response.Request.URL.Path, string(must(v.t, text, err)), response.Header}
}

func (v *visitor) get(path string) page {
	v.t.Helper()
	response, err := v.client.Get(v.server.URL + path) //nolint:bodyclose // decode, read or the caller closes it
	return v.read(response, err)
}

func (v *visitor) post(path string, form url.Values) page {
	v.t.Helper()
	response, err := v.client.PostForm(v.server.URL+path, form) //nolint:bodyclose // decode, read or the caller closes it
	return v.read(response, err)
}

// has demands texts on a page.
func (p page) has(t testing.TB, texts ...string) {
	t.Helper()
	for _, text := range texts {
		if !strings.Contains(p.Text, text) {
			t.Errorf("%s (%d) does not say %q", p.Path, p.Status, text)
		}
	}
}
