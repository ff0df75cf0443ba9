package expiry_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"io"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"gatehouse/internal/audit"
	"gatehouse/internal/connection"
	"gatehouse/internal/expiry"
	"gatehouse/internal/jobs"
	"gatehouse/internal/lease"
	"gatehouse/internal/live"
	"gatehouse/internal/microsoft"
	"gatehouse/internal/operator"
	"gatehouse/internal/pace"
	"gatehouse/internal/registration"
	"gatehouse/internal/rotation"
	"gatehouse/internal/secrets"
	"gatehouse/internal/sqldb"
	"gatehouse/internal/sqldb/dbtest"
	"gatehouse/internal/tenant"
	"gatehouse/lab"
)

// house is a forecast with a lab; its queue takes jobs and works on none.
type house struct {
	*expiry.Service
	t             *testing.T
	db            *sqldb.DB
	lab           *lab.Lab
	queue         *jobs.Queue
	tenants       *tenant.Service
	connections   *connection.Service
	rotations     *rotation.Service
	registrations *registration.Service
	audit         *audit.Log
	operators     *operator.Service
	reader        string // client id
	admin         string // token of an administrator for Graph

	mu   sync.Mutex
	now  time.Duration // how far the forecast's clock is ahead
	news []expiry.News
}

// harbour is the tenant of the tests: its passwords last 90 days.
const harbour = "openharbour"

// tenants are the built-in ones, with a reader that may read domains as well.
func tenants() string {
	text := strings.Replace(lab.BuiltIn(), `{"name": "openharbour.example", "default": true}`, `{"name": "openharbour.example", "default": true, "password_days": 90}`, 1)
	return strings.Replace(text, `"Organization.Read.All"`, `"Organization.Read.All", "Domain.Read.All"`, 2)
}

// each runs a test on each database with a lab of its own.
func each(t *testing.T, test func(t *testing.T, h *house)) {
	t.Helper()
	dbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		if err := jobs.Migrate(t.Context(), db); err != nil {
			t.Fatal(err)
		}
		test(t, open(t, db))
	})
}

func open(t *testing.T, db *sqldb.DB) *house {
	t.Helper()
	l := lab.Start(t, lab.WithTenants(tenants()))
	h := &house{t: t, db: db, lab: l}
	cloud := microsoft.Cloud{Name: "lab", Login: l.URL(), Graph: l.URL(), GraphResource: "https://graph.microsoft.com", Roots: l.Roots()}
	log, hub := audit.New(audit.Config{DB: db}), live.New(live.Config{DB: db})
	var columns []secrets.Column
	for _, of := range [][]secrets.Column{operator.Columns, tenant.Columns, connection.Columns, rotation.Columns, registration.Columns} {
		columns = append(columns, of...)
	}
	keys, err := secrets.OpenKeyring(t.Context(), secrets.Config{DB: db, Wrapper: secrets.NewFileKey(filepath.Join(t.TempDir(), "master.key")), Audit: log, Columns: columns})
	must(t, err)
	replica := lease.New(lease.Config{DB: db})
	must(t, replica.Join(t.Context()))
	h.queue, err = jobs.New(jobs.Config{DB: db, Replica: replica})
	must(t, err)
	governor := pace.New(pace.Config{DB: db})
	h.operators, err = operator.New(operator.Config{DB: db, Keyring: keys, Audit: log, Origin: "https://gatehouse.example"})
	must(t, err)
	h.tenants = tenant.New(tenant.Config{DB: db, Audit: log, Keys: keys, Jobs: h.queue, Live: hub, Pace: governor, Cloud: cloud, Now: h.clock})
	h.audit = log
	h.registrations = registration.New(registration.Config{DB: db, Audit: log, Keys: keys, Jobs: h.queue, Live: hub, Pace: governor, Cloud: cloud, Tenants: h.tenants, PublicURL: "https://gatehouse.example", Now: h.clock})
	h.connections = connection.New(connection.Config{DB: db, Audit: log, Keys: keys, Live: hub, Tenants: h.tenants, Registration: h.registrations.Suits, Now: h.clock})
	h.rotations = rotation.New(rotation.Config{DB: db, Audit: log, Keys: keys, Jobs: h.queue, Live: hub, Pace: governor, Cloud: cloud, Tenants: h.tenants, Connections: h.connections, Now: h.clock})
	h.Service = expiry.New(expiry.Config{DB: db, Audit: log, Jobs: h.queue, Live: hub, Pace: governor, Cloud: cloud, Tenants: h.tenants, Rotations: h.rotations, ActingFor: h.operators.ActingFor, Tell: h.tell, Now: h.clock})
	return h
}

// clock is the forecast's: the real one, put ahead.
func (h *house) clock() time.Time {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.lab.Now().Add(h.now)
}

func (h *house) ahead(by time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.now = by
}

// tell keeps what was told, if its transaction is committed.
func (h *house) tell(_ context.Context, tx *sqldb.Tx, n expiry.News) error {
	tx.OnCommit(func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		h.news = append(h.news, n)
	})
	return nil
}

// told gives what was told since it was asked last.
func (h *house) told() []expiry.News {
	h.mu.Lock()
	defer h.mu.Unlock()
	out := h.news
	h.news = nil
	return out
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func (h *house) boss() context.Context { return audit.AsSystem(h.t.Context(), "test") }

func as(ctx context.Context, tenantID string, role audit.Role) context.Context {
	return audit.With(ctx, audit.Actor{Kind: audit.Operator, ID: "eve", Name: "Eve", Roles: map[string]audit.Role{tenantID: role}})
}

// add adds a tenant of the lab.
func (h *house) add(name string) tenant.Tenant {
	h.t.Helper()
	at, err := h.tenants.Add(h.boss(), tenant.AddRequest{NameOrID: h.lab.Tenant(name).Domain})
	must(h.t, err)
	return at
}

// onboard adds the harbour with a reader that works.
func (h *house) onboard() tenant.Tenant {
	h.t.Helper()
	at := h.add(harbour)
	h.admin = h.token(harbour)
	for _, a := range h.lab.Tenant(harbour).Apps {
		if a.Purpose == "reader" {
			h.reader = a.ClientID
		}
	}
	o, err := h.tenants.OnboardReader(h.boss(), at.ID, tenant.OnboardRequest{ClientID: h.reader})
	must(h.t, err)
	h.upload("applications", h.reader, o.CertificatePEM)
	checked, err := h.tenants.CheckReader(h.boss(), at.ID)
	must(h.t, err)
	if checked.Reader.State != tenant.ReaderWorks || checked.Reader.Reason != "" {
		h.t.Fatalf("the reader is %s: %s", checked.Reader.State, checked.Reader.Reason)
	}
	return at
}

func (h *house) token(name string) string {
	h.t.Helper()
	at, client := h.lab.Tenant(name), h.lab.Client()
	defer client.CloseIdleConnections()
	admin := at.App("Lab administration")
	response, err := client.PostForm(h.lab.URL()+"/"+at.ID+"/oauth2/v2.0/token", url.Values{
		"grant_type": {"client_credentials"}, "client_id": {admin.ClientID}, "client_secret": {*admin.Secret}, "scope": {"https://graph.microsoft.com/.default"}})
	must(h.t, err)
	defer response.Body.Close()
	var token struct {
		Access string `json:"access_token"`
	}
	must(h.t, json.NewDecoder(response.Body).Decode(&token))
	return token.Access
}

// graph asks Graph as an administrator.
func (h *house) graph(method, path string, in any) map[string]any {
	h.t.Helper()
	body, err := json.Marshal(in)
	must(h.t, err)
	if in == nil {
		body = nil
	}
	request, err := http.NewRequestWithContext(h.t.Context(), method, h.lab.URL()+"/v1.0/"+path, bytes.NewReader(body))
	must(h.t, err)
	request.Header.Set("Authorization", "Bearer "+h.admin)
	request.Header.Set("Content-Type", "application/json")
	client := h.lab.Client()
	defer client.CloseIdleConnections()
	response, err := client.Do(request)
	must(h.t, err)
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	must(h.t, err)
	if response.StatusCode/100 != 2 {
		h.t.Fatalf("%s %s: %d %s", method, path, response.StatusCode, text)
	}
	var out map[string]any
	if len(text) > 0 {
		must(h.t, json.Unmarshal(text, &out))
	}
	return out
}

func of(set, clientID string) string { return set + "(appId='" + clientID + "')" }

// upload adds a certificate to an application or service principal.
func (h *house) upload(set, clientID, certificate string) {
	h.t.Helper()
	block, _ := pem.Decode([]byte(certificate))
	kept := []any{map[string]any{"type": "AsymmetricX509Cert", "usage": "Verify", "key": base64.StdEncoding.EncodeToString(block.Bytes)}}
	for _, k := range h.graph("GET", of(set, clientID)+"?$select=keyCredentials", nil)["keyCredentials"].([]any) {
		kept = append(kept, map[string]any{"keyId": k.(map[string]any)["keyId"]})
	}
	h.graph("PATCH", of(set, clientID), map[string]any{"keyCredentials": kept})
}

// register makes an app with its service principal and gives its client id.
func (h *house) register(name string) string {
	h.t.Helper()
	id := h.graph("POST", "applications", map[string]any{"displayName": name})["appId"].(string)
	h.graph("POST", "servicePrincipals", map[string]any{"appId": id})
	return id
}

// secret adds a client secret that ends after a time, and gives its key id.
func (h *house) secret(set, clientID string, ends time.Duration) string {
	h.t.Helper()
	made := h.graph("POST", of(set, clientID)+"/addPassword", map[string]any{"passwordCredential": map[string]any{"displayName": "of " + set, "endDateTime": h.lab.Now().Add(ends).UTC().Format(time.RFC3339)}})
	return made["keyId"].(string)
}

// all lists everything.
func (h *house) all(ctx context.Context, f expiry.Filter) []expiry.Item {
	h.t.Helper()
	var out []expiry.Item
	for p := (expiry.Page{Limit: 3}); ; { // small pages, so that cursors are used
		items, next, err := h.List(ctx, f, p)
		must(h.t, err)
		out = append(out, items...)
		if next == "" {
			return out
		}
		p.After = next
	}
}

// connect makes a connection of an app.
func (h *house) connect(tenantID, name, clientID string, c connection.CredentialRequest) connection.Connection {
	h.t.Helper()
	holder := connection.HeldHere
	if c == (connection.CredentialRequest{Kind: c.Kind}) {
		holder = connection.HeldByConsumer
	}
	made, err := h.connections.Create(h.boss(), connection.CreateRequest{
		TenantID: tenantID, Kind: connection.App, Profile: connection.Profile{Name: name, ClientID: clientID, Services: []string{"graph"}, Consumer: connection.Consumer{Name: "Tool of " + name, HoldsCredential: holder}}, Credential: c,
	})
	must(h.t, err)
	return made
}

func (h *house) cloudOf() microsoft.Cloud {
	return microsoft.Cloud{Name: "lab", Login: h.lab.URL(), Graph: h.lab.URL(), GraphResource: "https://graph.microsoft.com", Roots: h.lab.Roots()}
}
