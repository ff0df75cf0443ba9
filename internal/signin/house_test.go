package signin_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gatehouse/internal/audit"
	"gatehouse/internal/connection"
	"gatehouse/internal/jobs"
	"gatehouse/internal/lease"
	"gatehouse/internal/live"
	"gatehouse/internal/microsoft"
	"gatehouse/internal/microsoft/login"
	"gatehouse/internal/posture"
	"gatehouse/internal/secrets"
	"gatehouse/internal/signin"
	"gatehouse/internal/sqldb"
	"gatehouse/internal/sqldb/dbtest"
	"gatehouse/internal/tenant"
	"gatehouse/internal/testenv/pages"
	"gatehouse/lab"
)

// file has a tenant with a confidential and a public client, its people, a guest
// and a partner.
const file = `{"tenants":[{"name":"Quiet Quay","domain":"quietquay.onmicrosoft.com","mandatory_mfa":false,
 "partners":[{"domain":"helpfulharbour.onmicrosoft.com","access":{"Helpers":["Helpdesk Administrator"]}}],
 "conditional_access":[{"displayName":"CA004 - Block device code","state":"enabled","conditions":{"users":{"includeUsers":["olaf@quietquay.onmicrosoft.com"]},"applications":{"includeApplications":["All"]},"clientAppTypes":["all"],"authenticationFlows":{"transferMethods":"deviceCodeFlow"}},"grantControls":{"operator":"OR","builtInControls":["block"]}}],
 "users":[{"upn":"ines@quietquay.onmicrosoft.com","name":"Ines Person","methods":[{"type":"oath"}]},
  {"upn":"olaf@quietquay.onmicrosoft.com","name":"Olaf Other"},
  {"upn":"admin@quietquay.onmicrosoft.com","name":"The Administrator","roles":["Global Administrator"]},
  {"upn":"gus@helpfulharbour.onmicrosoft.com","name":"Gus Guest","type":"guest","guest_of":"helpfulharbour.onmicrosoft.com"}],
 "apps":[{"name":"Quay reports","secret":true,"redirect_uris":["http://localhost/signin/callback"],"delegated_permissions":{"graph":["openid","profile","offline_access","User.Read","User.RevokeSessions.All"]}},
  {"name":"Quay device","public":true,"redirect_uris":["http://localhost/signin/callback"],"delegated_permissions":{"graph":["openid","profile","offline_access","User.Read"]}}],
 "grants":[{"app":"Quay reports","resource":"graph","scopes":["openid","profile","offline_access","User.Read","User.RevokeSessions.All"]},{"app":"Quay device","resource":"graph","scopes":["openid","profile","offline_access","User.Read"]}]},
 {"name":"Helpful Harbour","domain":"helpfulharbour.onmicrosoft.com","mandatory_mfa":false,"groups":[{"name":"Helpers","members":["pia@helpfulharbour.onmicrosoft.com"]}],
 "users":[{"upn":"gus@helpfulharbour.onmicrosoft.com","name":"Gus Guest"},{"upn":"pia@helpfulharbour.onmicrosoft.com","name":"Pia Partner"}],
 "grants":[{"app":"Microsoft Graph Command Line Tools","resource":"graph","scopes":["openid","profile","offline_access","User.Read"]}]}]}`

const (
	ines = "ines@quietquay.onmicrosoft.com"
	olaf = "olaf@quietquay.onmicrosoft.com"
)

// house is the feature in front of a lab; what other features do, the test notes.
type house struct {
	t           *testing.T
	db          *sqldb.DB
	lab         *lab.Lab
	queue       *jobs.Queue
	log         *audit.Log
	connections *connection.Service
	signin      *signin.Service
	wire        *wire
	tenantID    string
	now         time.Time // zero: the machine's

	permissions []string // that the registration asks for
	client      string   // name of the app of the lab that people sign in to
	grants      []signin.Grant
	told        []error
	consents    []*microsoft.Error
	forgotten   []string
	retired     bool         // the operator was disabled
	token       *login.Token // with which sign-ins can be revoked
}

// wire is the way to the sign-in service, on which an answer can be changed.
type wire struct {
	next   http.RoundTripper
	change func(path string, form url.Values, status int, body map[string]any) int
}

func (w *wire) RoundTrip(r *http.Request) (*http.Response, error) {
	var form url.Values
	if r.Body != nil && w.change != nil {
		data, err := io.ReadAll(r.Body)
		if err != nil {
			return nil, err
		}
		form, _ = url.ParseQuery(string(data))
		r = r.Clone(r.Context())
		r.Body = io.NopCloser(bytes.NewReader(data))
	}
	response, err := w.next.RoundTrip(r)
	if err != nil || w.change == nil || !strings.HasSuffix(r.URL.Path, "/token") {
		return response, err
	}
	defer response.Body.Close()
	var body map[string]any
	if err := json.NewDecoder(response.Body).Decode(&body); err != nil {
		return nil, err
	}
	response.StatusCode = w.change(r.URL.Path, form, response.StatusCode, body)
	text, err := json.Marshal(body)
	response.Body, response.ContentLength = io.NopCloser(bytes.NewReader(text)), int64(len(text))
	return response, err
}

func each(t *testing.T, test func(t *testing.T, h *house)) {
	t.Helper()
	dbtest.Each(t, func(t *testing.T, db *sqldb.DB) { test(t, open(t, db, lab.Start(t, lab.WithTenants(file)))) })
}

func open(t *testing.T, db *sqldb.DB, l *lab.Lab) *house {
	t.Helper()
	h := &house{t: t, db: db, lab: l, client: "Quay reports", permissions: []string{"User.Read"}}
	log := audit.New(audit.Config{DB: db})
	h.log = log
	var columns []secrets.Column
	for _, of := range [][]secrets.Column{tenant.Columns, connection.Columns, signin.Columns} {
		columns = append(columns, of...)
	}
	keys, err := secrets.OpenKeyring(t.Context(), secrets.Config{DB: db, Wrapper: secrets.NewFileKey(filepath.Join(t.TempDir(), "master.key")), Audit: log, Columns: columns})
	if err != nil {
		t.Fatal(err)
	}
	h.queue, err = jobs.New(jobs.Config{DB: db, Replica: lease.New(lease.Config{DB: db}), Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	hub, cloud := live.New(live.Config{DB: db}), microsoft.At("lab", l.URL(), l.Roots())
	h.wire = &wire{next: cloud.Transport()}
	tenants := tenant.New(tenant.Config{DB: db, Audit: log, Keys: keys, Jobs: h.queue, Live: hub, Cloud: cloud})
	h.connections = connection.New(connection.Config{DB: db, Audit: log, Keys: keys, Live: hub, Tenants: tenants, Registration: func(context.Context, string, []string) (string, error) {
		return h.app(h.client).ClientID, nil
	}})
	h.signin = signin.New(signin.Config{
		DB: db, Audit: log, Keys: keys, Jobs: h.queue, Live: hub, Cloud: cloud, Tenants: tenants, Connections: h.connections, PublicURL: "http://localhost:1234", Transport: h.wire,
		App: func(context.Context, string) (login.App, error) {
			app := h.app(h.client)
			out := login.App{ClientID: app.ClientID}
			if app.Secret != nil {
				out.Secret = secrets.New(*app.Secret)
			}
			return out, nil
		},
		Registration: func(_ context.Context, id string) (signin.Registration, error) {
			r := signin.Registration{ID: id, Name: h.client}
			for _, name := range h.permissions {
				r.Permissions = append(r.Permissions, signin.Permission{Resource: posture.Services["graph"], ResourceName: "Microsoft Graph", Name: name, Kind: "delegated", Why: "To see who you are"})
			}
			return r, nil
		},
		ActingFor: func(ctx context.Context, id, address string, only ...audit.Permission) (context.Context, error) {
			if id != "ada" || h.retired {
				return ctx, errors.New("the operator is gone")
			}
			return audit.With(ctx, audit.Actor{Kind: audit.Operator, ID: id, Name: "Ada Person", Address: address, Only: only, Roles: map[string]audit.Role{audit.AllTenants: audit.Engineer}}), nil
		},
		Earned: func(_ context.Context, tx *sqldb.Tx, g signin.Grant) error {
			tx.OnCommit(func() { h.grants = append(h.grants, g) })
			return nil
		},
		SignedIn: func(_ context.Context, tx *sqldb.Tx, _, _, _ string, err error) error {
			tx.OnCommit(func() { h.told = append(h.told, err) })
			return nil
		},
		NeedsConsent: func(_ context.Context, tx *sqldb.Tx, _ string, e *microsoft.Error) error {
			tx.OnCommit(func() { h.consents = append(h.consents, e) })
			return nil
		},
		Forget: func(_ context.Context, tx *sqldb.Tx, id, _ string) error {
			tx.OnCommit(func() { h.forgotten = append(h.forgotten, id) })
			return nil
		},
		Revocable: func(context.Context, string) (login.Token, error) {
			if h.token == nil {
				return login.Token{}, errors.New("the sign-in lacks User.RevokeSessions.All")
			}
			return *h.token, nil
		},
		Now: func() time.Time {
			if h.now.IsZero() {
				return time.Now()
			}
			return h.now
		},
	})
	added, err := tenants.Add(h.ada(), tenant.AddRequest{NameOrID: "quietquay.onmicrosoft.com", Name: "Quiet Quay"})
	if err != nil {
		t.Fatal(err)
	}
	h.tenantID = added.ID
	return h
}

func (h *house) app(name string) lab.ReadyApp { return h.lab.Tenant("quietquay").App(name) }

// ada is an operator, nobody a browser in which nobody is signed in.
func (h *house) ada() context.Context {
	return audit.With(h.t.Context(), audit.Actor{Kind: audit.Operator, ID: "ada", Name: "Ada Person", Address: "192.0.2.7", Roles: map[string]audit.Role{audit.AllTenants: audit.Administrator}})
}

func (h *house) nobody() context.Context {
	return audit.With(h.t.Context(), audit.Actor{Kind: audit.Visitor, Address: "192.0.2.9"})
}

// connect makes a connection for a person to sign in; "" for anybody.
func (h *house) connect(username string) connection.Connection {
	h.t.Helper()
	c, err := h.connections.Create(h.ada(), connection.CreateRequest{TenantID: h.tenantID, Kind: connection.Delegated, Profile: connection.Profile{
		Name: fmt.Sprintf("Reports %d", time.Now().UnixNano()), Username: username, RegistrationID: "registration", Services: []string{connection.Graph},
	}})
	if err != nil {
		h.t.Fatal(err)
	}
	return c
}

func (h *house) begin(c connection.Connection) signin.Attempt {
	h.t.Helper()
	a, err := h.signin.Begin(h.ada(), c.ID, signin.Options{})
	if err != nil {
		h.t.Fatal(err)
	}
	return a
}

// walk signs somebody in on Microsoft's pages and gives the answer.
func (h *house) walk(user, address string) url.Values {
	h.t.Helper()
	of := "quietquay"
	if strings.HasPrefix(user, "gus") || strings.HasPrefix(user, "pia") {
		of = "helpfulharbour"
	}
	who := pages.Of(h.t, h.lab, of, user)
	to, err := url.Parse(address)
	if err != nil {
		h.t.Fatal(err)
	}
	if q := to.Query(); q.Get("login_hint") != who.UPN { // as if they chose another account
		q.Del("login_hint")
		to.RawQuery = q.Encode()
	}
	back, stuck := who.Follow(to.String())
	if back == nil {
		h.t.Fatalf("%s is stuck: %s", user, stuck)
	}
	return back.Query()
}

// refusedFor demands a refusal with its reason, and that nothing was kept: one more
// sign-in that came to nothing, in the log as well.
func (h *house) refusedFor(what string, err error, want signin.Reason) (said struct{ Words, AttemptID string }) {
	h.t.Helper()
	var r *signin.Refusal
	if !errors.As(err, &r) || r.Reason != want {
		h.t.Errorf("%s: %v, want %s", what, err, want)
		return said
	}
	if len(h.grants) > 0 {
		h.t.Errorf("%s: kept %+v", what, h.grants)
		h.grants = nil
	}
	said.Words, said.AttemptID = r.Words, r.AttemptID
	return said
}

func (h *house) get(id string) connection.Connection {
	h.t.Helper()
	c, err := h.connections.Get(h.ada(), id)
	if err != nil {
		h.t.Fatal(err)
	}
	return c
}

func (h *house) last(c connection.Connection) signin.Event {
	h.t.Helper()
	all, _, err := h.signin.List(h.ada(), c.ID, tenant.Page{})
	if err != nil || len(all) == 0 {
		h.t.Fatalf("no sign-in is noted: %v", err)
	}
	return all[0]
}

// audited is how often the log has an act on a connection with an outcome.
func (h *house) audited(c connection.Connection, action, outcome string) (n int) {
	h.t.Helper()
	if err := h.db.Read().NewRaw("SELECT count(*) FROM audit WHERE object_id = ? AND action = ? AND outcome = ?", c.ID, action, outcome).Scan(h.t.Context(), &n); err != nil {
		h.t.Fatal(err)
	}
	return n
}

// replace puts something else into what the token endpoint gives.
func (h *house) replace(member string, value any) {
	h.wire.change = func(_ string, _ url.Values, status int, body map[string]any) int {
		if status == http.StatusOK {
			body[member] = value
		}
		return status
	}
}

func (h *house) without(member string) { h.replace(member, "") }

func (h *house) granted(scopes string) { h.replace("scope", scopes) }

// foreignToken puts a genuine id token of another tenant in the place of the right
// one.
func (h *house) foreignToken() { h.replace("id_token", h.password()["id_token"]) }

// otherAccess puts somebody else's access token beside the right id token.
func (h *house) otherAccess() { h.replace("access_token", h.password()["access_token"]) }

// password signs somebody of the other tenant in with a password.
func (h *house) password() map[string]any {
	h.t.Helper()
	pia := pages.Of(h.t, h.lab, "helpfulharbour", "pia")
	response, err := h.lab.Client().PostForm(h.lab.URL()+"/helpfulharbour.onmicrosoft.com/oauth2/v2.0/token", url.Values{
		"grant_type": {"password"}, "client_id": {"14d82eec-204b-4c2f-b7e8-296a70dab67e"}, "scope": {"openid https://graph.microsoft.com/User.Read"}, "username": {pia.UPN}, "password": {pia.Password},
	})
	if err != nil {
		h.t.Fatal(err)
	}
	defer response.Body.Close()
	var body map[string]any
	if err := json.NewDecoder(response.Body).Decode(&body); err != nil || body["id_token"] == nil {
		h.t.Fatal(body, err)
	}
	return body
}

func (h *house) retire() { h.retired = true }
