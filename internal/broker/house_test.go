package broker_test

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"gatehouse/internal/audit"
	"gatehouse/internal/broker"
	"gatehouse/internal/connection"
	"gatehouse/internal/jobs"
	"gatehouse/internal/lease"
	"gatehouse/internal/live"
	"gatehouse/internal/microsoft"
	"gatehouse/internal/microsoft/graph"
	"gatehouse/internal/microsoft/login"
	"gatehouse/internal/posture"
	"gatehouse/internal/secrets"
	"gatehouse/internal/sqldb"
	"gatehouse/internal/sqldb/dbtest"
	"gatehouse/internal/tenant"
	"gatehouse/internal/testenv/pages"
	"gatehouse/lab"
)

func TestMain(m *testing.M) {
	os.Exit(dbtest.Main(m, map[string]func(){"callers": callers}))
}

// tenants are one without rules and one whose sign-ins last twelve hours.
const tenants = `{"tenants":[
{"name":"Quiet Quay","domain":"quietquay.onmicrosoft.com","mandatory_mfa":false,"security_defaults":false,"licences":["SPE_E5"],"sharepoint":{"contexts":{"/sites/Projects":"c1"}},
 "conditional_access":[{"displayName":"CA021 - Projects","state":"enabled","conditions":{"clientAppTypes":["all"],"users":{"includeUsers":["All"]},"applications":{"includeAuthenticationContextClassReferences":["c1"]}},"grantControls":{"operator":"OR","builtInControls":["mfa"]}}],
 "users":[{"upn":"ines@quietquay.onmicrosoft.com","name":"Ines Person","methods":[{"type":"oath"}]},{"upn":"svc-report@quietquay.onmicrosoft.com","name":"Report service"}],
 "apps":[
 {"name":"Quay reports","secret":true,"certificate":true,"redirect_uris":["http://localhost/back"],"delegated_permissions":{"graph":["openid","profile","offline_access","User.Read"]},"application_permissions":{"graph":["User.Read.All"]},"granted":{"graph":["User.Read.All"]}}],
 "grants":[{"app":"Quay reports","scopes":["openid","profile","offline_access","User.Read"]},{"app":"Quay reports","resource":"sharepoint","scopes":["AllSites.Read"]},{"app":"Microsoft Graph Command Line Tools","resource":"graph","scopes":["openid","profile","User.Read"]}]},
{"name":"Tidal Tower","domain":"tidaltower.onmicrosoft.com","mandatory_mfa":false,"licences":["SPE_E5"],
 "conditional_access":[{"displayName":"CA007 - Sign in each half day","state":"enabled","conditions":{"users":{"includeUsers":["All"]},"applications":{"includeApplications":["All"]},"clientAppTypes":["all"]},"sessionControls":{"signInFrequency":{"value":12,"type":"hours","frequencyInterval":"timeBased","authenticationType":"primaryAndSecondaryAuthentication","isEnabled":true}}}],
 "users":[{"upn":"ines@tidaltower.onmicrosoft.com","name":"Ines Person","methods":[{"type":"oath"}]}],
 "apps":[{"name":"Quay reports","secret":true,"redirect_uris":["http://localhost/back"],"delegated_permissions":{"graph":["openid","profile","offline_access","User.Read"]}},
 {"name":"Tower audit","secret":true,"application_permissions":{"graph":["Policy.Read.All","User.Read.All","GroupMember.Read.All","RoleManagement.Read.Directory","Organization.Read.All"]},"granted":{"graph":["Policy.Read.All","User.Read.All","GroupMember.Read.All","RoleManagement.Read.Directory","Organization.Read.All"]}}],
 "grants":[{"app":"Quay reports","scopes":["openid","profile","offline_access","User.Read"]}]}]}`

// ground is what the broker stands on, in whichever process.
type ground struct {
	*broker.Service
	db          *sqldb.DB
	audit       *audit.Log
	tenants     *tenant.Service
	connections *connection.Service
	config      broker.Config
}

// stand builds a broker on a database; the app is every registration's.
func stand(ctx context.Context, db *sqldb.DB, keyFile string, cloud microsoft.Cloud, app login.App, now func() time.Time, change func(*broker.Config)) (*ground, error) {
	g := &ground{db: db, audit: audit.New(audit.Config{DB: db})}
	columns := append(append(append([]secrets.Column{}, tenant.Columns...), connection.Columns...), broker.Columns...)
	keys, err := secrets.OpenKeyring(ctx, secrets.Config{DB: db, Wrapper: secrets.NewFileKey(keyFile), Audit: g.audit, Columns: columns})
	if err != nil {
		return nil, err
	}
	hub := live.New(live.Config{DB: db})
	replica := lease.New(lease.Config{DB: db})
	queue, err := jobs.New(jobs.Config{DB: db, Replica: replica})
	if err != nil {
		return nil, err
	}
	g.tenants = tenant.New(tenant.Config{DB: db, Audit: g.audit, Keys: keys, Jobs: queue, Live: hub, Cloud: cloud, Now: now})
	g.connections = connection.New(connection.Config{DB: db, Audit: g.audit, Keys: keys, Live: hub, Tenants: g.tenants, Now: now, Registration: func(context.Context, string, []string) (string, error) { return app.ClientID, nil }})
	g.config = broker.Config{
		DB: db, Audit: g.audit, Keys: keys, Live: hub, Cloud: cloud, Tenants: g.tenants, Connections: g.connections, Now: now,
		App: func(context.Context, string) (login.App, error) { return app, nil },
	}
	if change != nil {
		change(&g.config)
	}
	g.Service = broker.New(g.config)
	return g, nil
}

// house is a broker with a lab and its clock, and a connection whose person is
// signed in.
type house struct {
	*ground
	t       *testing.T
	lab     *lab.Lab
	cloud   microsoft.Cloud
	keyFile string
	login   *login.Client
	at      lab.ReadyTenant
	app     login.App
	tenant  tenant.Tenant
	id      string // of the connection
	wire    *wire

	mu   sync.Mutex
	news []broker.News
}

// wire is the way to the lab, on which a test may put an answer of its own in place
// of the lab's.
type wire struct {
	http.RoundTripper
	mu      sync.Mutex
	first   func() // called when a token request leaves
	instead func(*http.Request) *http.Response
	asked   int    // token requests
	last    string // claims of the last one
}

func (w *wire) RoundTrip(r *http.Request) (*http.Response, error) {
	w.mu.Lock()
	instead := w.instead
	if strings.HasSuffix(r.URL.Path, "/oauth2/v2.0/token") {
		w.asked++
		w.last = formOf(r).Get("claims")
		if w.first != nil {
			w.first()
		}
	}
	w.mu.Unlock()
	if instead != nil {
		if answer := instead(r); answer != nil {
			return answer, nil
		}
	}
	return w.RoundTripper.RoundTrip(r)
}

// formOf reads a request's form and leaves it to be read again.
func formOf(r *http.Request) url.Values {
	data, err := io.ReadAll(r.Body)
	if err != nil {
		panic(err)
	}
	r.Body = io.NopCloser(bytes.NewReader(data))
	form, _ := url.ParseQuery(string(data)) // what it is not has no claims
	return form
}

// claims gives those of the last token request.
func (w *wire) claims() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.last
}

// say has token requests answered so; nil lets the lab answer.
func (w *wire) say(status int, kind, body string, header ...string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.instead = func(r *http.Request) *http.Response {
		answer := &http.Response{StatusCode: status, Header: http.Header{"Content-Type": {kind}}, Body: io.NopCloser(strings.NewReader(body)), Request: r}
		for i := 0; i+1 < len(header); i += 2 {
			answer.Header.Set(header[i], header[i+1])
		}
		return answer
	}
	if status == 0 {
		w.instead = nil
	}
}

// before has something done when a token request leaves.
func (w *wire) before(do func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.first = do
}

// since gives how many token requests there were since it was asked last.
func (w *wire) since() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	n := w.asked
	w.asked = 0
	return n
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// advance moves the clock, once no refresh is under way that nobody waits for: no
// answer of a service is older by the jump when it arrives.
func (h *house) advance(d time.Duration) {
	h.Quiet()
	h.lab.Advance(d)
}

// exec changes the database behind everybody's back.
func (h *house) exec(query string, args ...any) error {
	return h.db.Change(h.t.Context(), func(ctx context.Context, tx *sqldb.Tx) error {
		_, err := tx.NewRaw(query, args...).Exec(ctx)
		return err
	})
}

func boss(ctx context.Context) context.Context { return audit.AsSystem(ctx, "test") }

// each runs a test on each database, with a person of Quiet Quay signed in.
func each(t *testing.T, test func(t *testing.T, h *house)) {
	t.Helper()
	dbtest.Each(t, func(t *testing.T, db *sqldb.DB) { test(t, open(t, db, "quietquay", nil)) })
}

func open(t *testing.T, db *sqldb.DB, domain string, change func(*broker.Config)) *house {
	t.Helper()
	must(t, jobs.Migrate(t.Context(), db))
	l := lab.Start(t, lab.WithTenants(tenants))
	h := &house{t: t, lab: l, keyFile: filepath.Join(t.TempDir(), "master.key"), at: l.Tenant(domain)}
	h.cloud = microsoft.At("lab", l.URL(), l.Roots())
	h.wire = &wire{RoundTripper: h.cloud.Transport()}
	app := h.at.App("Quay reports")
	h.app = login.App{ClientID: app.ClientID, Secret: secrets.New(*app.Secret)}
	var err error
	h.ground, err = stand(t.Context(), db, h.keyFile, h.cloud, h.app, l.Now, func(c *broker.Config) {
		c.Transport = h.wire
		c.Tell = func(_ context.Context, _ *sqldb.Tx, n broker.News) error {
			h.mu.Lock()
			defer h.mu.Unlock()
			h.news = append(h.news, n)
			return nil
		}
		if change != nil {
			change(c)
		}
	})
	must(t, err)
	h.login = login.New(login.Config{Cloud: h.cloud, Now: l.Now})
	h.tenant, err = h.tenants.Add(boss(t.Context()), tenant.AddRequest{NameOrID: h.at.Domain})
	must(t, err)
	c, err := h.connections.Create(boss(t.Context()), connection.CreateRequest{TenantID: h.tenant.ID, Kind: connection.Delegated, Profile: connection.Profile{Name: "Reports", RegistrationID: "r1", Services: []string{connection.Graph, connection.BusinessCentral}}})
	must(t, err)
	h.id = c.ID
	h.signIn()
	return h
}

const person = "ines"

var scopes = []string{"https://graph.microsoft.com/User.Read", "openid", "profile", "offline_access"}

// earn signs the person in through the lab's pages.
func (h *house) earn() broker.Grant {
	h.t.Helper()
	verifier := login.NewVerifier()
	address := h.login.AuthorizeURL(login.Ask{Tenant: h.at.ID, ClientID: h.app.ClientID, Redirect: "http://localhost/back", Scopes: scopes, State: "s", Nonce: "n", Verifier: verifier, Prompt: "login"})
	back, stuck := pages.Of(h.t, h.lab, h.at.Domain, person).Follow(address)
	if back == nil {
		h.t.Fatal(stuck)
	}
	earned, err := h.login.Code(h.t.Context(), h.app, login.Redemption{Tenant: h.at.ID, Redirect: "http://localhost/back", Code: secrets.New(back.Query().Get("code")), Verifier: verifier, Scopes: scopes})
	must(h.t, err)
	return broker.Grant{
		ConnectionID: h.id, TenantID: h.tenant.ID, RegistrationID: "r1", ClientID: h.app.ClientID, Cloud: "lab", DirectoryID: h.at.ID, ObjectID: earned.Claims.ObjectID, Username: earned.Claims.UPN,
		Refresh: earned.Refresh, Access: earned.Token, Resource: "https://graph.microsoft.com", AuthTime: h.lab.Now(), AMR: earned.Claims.AMR, Flow: "code", By: "ada",
	}
}

// signIn is what a sign-in does.
func (h *house) signIn() {
	h.t.Helper()
	must(h.t, h.keep(h.earn()))
}

func (h *house) keep(g broker.Grant) error {
	return h.db.Change(h.t.Context(), func(ctx context.Context, tx *sqldb.Tx) error {
		if err := h.connections.SignedIn(ctx, tx, h.id, connection.Person{ObjectID: g.ObjectID, Username: g.Username, ClientID: g.ClientID}); err != nil {
			return err
		}
		return h.Keep(ctx, tx, g)
	})
}

// caller is a program with some of an engineer's permissions in the tenant.
func (h *house) caller(permissions ...audit.Permission) context.Context {
	return audit.With(h.t.Context(), audit.Actor{Kind: audit.Operator, ID: "o1", Name: "program", Roles: map[string]audit.Role{h.tenant.ID: audit.Engineer}, Only: permissions})
}

// token asks for a token for Graph and demands that it is good.
func (h *house) token() login.Token {
	h.t.Helper()
	token, err := h.Token(h.caller(audit.ConnectionUse), h.id, "graph", "")
	must(h.t, err)
	h.good(token)
	return token
}

func (h *house) good(token login.Token) {
	h.t.Helper()
	if end := time.Unix(int64(login.ReadClaims(token.Access).Expires), 0); !end.After(h.lab.Now()) {
		h.t.Fatalf("a token was given that ended at %s, at %s", end, h.lab.Now())
	}
}

// refused asks for a token and demands a refusal in a state.
func (h *house) refused(state string) *broker.Refused {
	h.t.Helper()
	_, err := h.Token(h.caller(audit.ConnectionUse), h.id, "graph", "")
	var r *broker.Refused
	if !errors.As(err, &r) || r.State != state {
		h.t.Fatalf("the answer is %v, not a refusal in state %s", err, state)
	}
	return r
}

func (h *house) state() broker.State {
	h.t.Helper()
	s, err := h.StateOf(boss(h.t.Context()), h.id)
	must(h.t, err)
	return s
}

// patch changes the person in the lab.
func (h *house) patch(body string) {
	h.t.Helper()
	h.patchAt("/users/ines@quietquay.onmicrosoft.com", body)
}

func (h *house) patchUser(upn, body string) {
	h.t.Helper()
	h.patchAt("/users/"+upn, body)
}

// patchAt changes something of the tenant in the lab; "" is the tenant itself.
func (h *house) patchAt(path, body string) {
	h.t.Helper()
	address := h.lab.Ready().ControlURL + "/tenants/" + h.at.Domain + path
	r, err := http.NewRequestWithContext(h.t.Context(), http.MethodPatch, address, bytes.NewBufferString(body))
	must(h.t, err)
	r.Header.Set("Content-Type", "application/json")
	response, err := h.lab.Client().Do(r)
	must(h.t, err)
	defer response.Body.Close()
	if response.StatusCode >= 300 {
		data, _ := io.ReadAll(response.Body)
		h.t.Fatalf("%s: %s", response.Status, data)
	}
}

// site reads a site of the tenant's SharePoint, and gives the challenge that it
// answers with.
func (h *house) site(path string, token login.Token) (status int, challenge string) {
	h.t.Helper()
	r, err := http.NewRequestWithContext(h.t.Context(), http.MethodGet, "https://quietquay.sharepoint.com"+path+"/_api/web", nil)
	must(h.t, err)
	r.Header.Set("Authorization", "Bearer "+token.Access.Reveal())
	response, err := h.lab.Client().Do(r)
	must(h.t, err)
	defer response.Body.Close()
	if _, rest, ok := strings.Cut(response.Header.Get("WWW-Authenticate"), `error="insufficient_claims",claims="`); ok {
		text, _, _ := strings.Cut(rest, `"`)
		data, err := base64.StdEncoding.DecodeString(text)
		must(h.t, err)
		challenge = string(data)
	}
	return response.StatusCode, challenge
}

// payload reads what an access token says.
func payload(t *testing.T, token login.Token, into any) {
	t.Helper()
	parts := strings.Split(token.Access.Reveal(), ".")
	if len(parts) != 3 {
		t.Fatal("the token is none of the lab's")
	}
	data, err := base64.RawURLEncoding.DecodeString(parts[1])
	must(t, err)
	must(t, json.Unmarshal(data, into))
}

// snapshot reads the tenant's rules and keeps them.
func (h *house) snapshot(appName string) {
	h.t.Helper()
	app := h.at.App(appName)
	client, err := graph.New(graph.Config{Cloud: h.cloud, Token: func(ctx context.Context) (secrets.Value, error) {
		token, err := h.login.Credentials(ctx, login.App{ClientID: app.ClientID, Secret: secrets.New(*app.Secret)}, h.at.ID, []string{"https://graph.microsoft.com/.default"}, "")
		return token.Access, err
	}})
	must(h.t, err)
	snapshot, err := posture.Load(h.t.Context(), client, h.lab.Now(), posture.Want{Accounts: []string{person + "@" + h.at.Domain}})
	must(h.t, err)
	data, err := json.Marshal(snapshot)
	must(h.t, err)
	must(h.t, h.tenants.UploadSnapshot(boss(h.t.Context()), h.tenant.ID, data))
}

// roots are the lab's authorities for another process.
func roots(file string) *x509.CertPool {
	data, err := os.ReadFile(file) //nolint:gosec // of the test
	if err != nil {
		panic(err)
	}
	pool := x509.NewCertPool()
	if block, _ := pem.Decode(data); block == nil || !pool.AppendCertsFromPEM(data) {
		panic("no certificate in " + file)
	}
	return pool
}
