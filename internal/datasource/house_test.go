package datasource_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"testing"

	"gatehouse/internal/audit"
	"gatehouse/internal/connection"
	"gatehouse/internal/datasource"
	"gatehouse/internal/jobs"
	"gatehouse/internal/lease"
	"gatehouse/internal/live"
	"gatehouse/internal/microsoft"
	"gatehouse/internal/microsoft/login"
	"gatehouse/internal/secrets"
	"gatehouse/internal/sqldb"
	"gatehouse/internal/sqldb/dbtest"
	"gatehouse/internal/tenant"
	"gatehouse/internal/testenv/pages"
	"gatehouse/lab"
)

// house is what the service stands on.
type house struct {
	t           *testing.T
	lab         *lab.Lab
	db          *sqldb.DB
	cloud       microsoft.Cloud
	tenants     *tenant.Service
	connections *connection.Service
	sources     *datasource.Service
	tenantID    string
	app         login.App                // of the people
	refresh     map[string]secrets.Value // by connection
}

const file = `{"tenants":[{"name":"Ledger Works","domain":"ledgerworks.onmicrosoft.com","licences":["SPE_E3"],
 "users":[{"upn":"anna@ledgerworks.onmicrosoft.com","name":"Anna Bauer","licences":["SPE_E3"]},{"upn":"ben@ledgerworks.onmicrosoft.com","name":"Ben Koch","licences":["SPE_E3"]}],
 "apps":[
  {"name":"Gatehouse reader","secret":true,"certificate":true,"granted":{"graph":["Policy.Read.All","GroupMember.Read.All","RoleManagement.Read.Directory","UserAuthenticationMethod.Read.All","AuditLog.Read.All","User.Read.All","Application.Read.All","Organization.Read.All"]}},
  {"name":"Lab administration","secret":true,"granted":{"graph":["Application.ReadWrite.All"]}},
  {"name":"Ledger Link","public":true,"redirect_uris":["http://localhost"],"delegated_permissions":{"graph":["User.Read"],"sharepoint":["AllSites.Read"],"business_central":["Financials.ReadWrite.All"]}},
  {"name":"Ledger","secret":true,"application_permissions":{"business_central":["API.ReadWrite.All"]},"granted":{"business_central":["API.ReadWrite.All"]}},
  {"name":"Keeper","secret":true,"application_permissions":{"business_central":["API.ReadWrite.All","AdminCenter.ReadWrite.All"]},"granted":{"business_central":["API.ReadWrite.All","AdminCenter.ReadWrite.All"]}},
  {"name":"Asks","secret":true,"application_permissions":{"business_central":["API.ReadWrite.All"]}},
  {"name":"Silent","secret":true}],
 "grants":[{"app":"Ledger Link","resource":"graph","scopes":["openid","profile","offline_access","User.Read"]},{"app":"Ledger Link","resource":"sharepoint","scopes":["AllSites.Read"]},{"app":"Ledger Link","resource":"business_central","scopes":["Financials.ReadWrite.All"]}]},
 {"name":"Vendor","domain":"vendor.onmicrosoft.com","apps":[{"name":"Far","secret":true,"multi_tenant":true,"application_permissions":{"business_central":["API.ReadWrite.All"]}}]}]}`

func each(t *testing.T, test func(h *house)) {
	t.Helper()
	dbtest.Each(t, func(t *testing.T, db *sqldb.DB) { test(open(t, db)) })
}

func open(t *testing.T, db *sqldb.DB) *house {
	t.Helper()
	ctx := t.Context()
	if err := jobs.Migrate(ctx, db); err != nil {
		t.Fatal(err)
	}
	l := lab.Start(t, lab.WithTenants(file))
	h := &house{t: t, lab: l, db: db, cloud: microsoft.At("lab", l.URL(), l.Roots()), refresh: map[string]secrets.Value{}}
	h.app = login.App{ClientID: l.Tenant("ledgerworks").App("Ledger Link").ClientID}
	log, hub := audit.New(audit.Config{DB: db}), live.New(live.Config{DB: db})
	keys, err := secrets.OpenKeyring(ctx, secrets.Config{DB: db, Wrapper: secrets.NewFileKey(filepath.Join(t.TempDir(), "master.key")), Audit: log, Columns: append(append([]secrets.Column{}, tenant.Columns...), connection.Columns...)})
	if err != nil {
		t.Fatal(err)
	}
	replica := lease.New(lease.Config{DB: db})
	if err := replica.Join(ctx); err != nil {
		t.Fatal(err)
	}
	queue, err := jobs.New(jobs.Config{DB: db, Replica: replica, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	h.tenants = tenant.New(tenant.Config{DB: db, Audit: log, Keys: keys, Jobs: queue, Live: hub, Cloud: h.cloud})
	h.connections = connection.New(connection.Config{DB: db, Audit: log, Keys: keys, Live: hub, Tenants: h.tenants, Registration: func(context.Context, string, []string) (string, error) { return h.app.ClientID, nil }})
	h.sources = datasource.New(datasource.Config{DB: db, Audit: log, Connections: h.connections, Tenants: h.tenants, Cloud: h.cloud, Token: h.token})
	at, err := h.tenants.Add(h.boss(), tenant.AddRequest{NameOrID: "ledgerworks.onmicrosoft.com"})
	if err != nil {
		t.Fatal(err)
	}
	h.tenantID = at.ID
	return h
}

func as(ctx context.Context, tenantID string, role audit.Role) context.Context {
	return audit.With(ctx, audit.Actor{Kind: audit.Operator, ID: "ada", Name: "Ada Person", Roles: map[string]audit.Role{tenantID: role}})
}

func (h *house) boss() context.Context {
	return as(h.t.Context(), audit.AllTenants, audit.Administrator)
}

// token renews a person's sign-in, as the broker does.
func (h *house) token(ctx context.Context, connectionID, resource, claims string) (login.Token, error) {
	address := map[string]string{connection.Graph: h.cloud.GraphResource, connection.BusinessCentral: h.cloud.BusinessCentralResource}[resource]
	if address == "" {
		address = resource
	}
	earned, err := login.New(login.Config{Cloud: h.cloud}).Renew(ctx, h.app, h.lab.Tenant("ledgerworks").ID, h.refresh[connectionID], []string{address + "/.default", "offline_access"}, claims)
	return earned.Token, err
}

// delegated makes a connection of a person who signs in.
func (h *house) delegated(name, user string, p connection.Profile) connection.Connection {
	h.t.Helper()
	p.Name, p.RegistrationID = name, "0190a000-0000-7000-8000-000000000001"
	c, err := h.connections.Create(h.boss(), connection.CreateRequest{TenantID: h.tenantID, Kind: connection.Delegated, Profile: p})
	if err != nil {
		h.t.Fatal(err)
	}
	if user == "" {
		return c
	}
	who := pages.Of(h.t, h.lab, "ledgerworks", user)
	client, verifier, scopes := login.New(login.Config{Cloud: h.cloud}), login.NewVerifier(), []string{"openid", "profile", "offline_access", "https://graph.microsoft.com/User.Read"}
	tenantID := h.lab.Tenant("ledgerworks").ID
	at, stuck := who.Follow(client.AuthorizeURL(login.Ask{Tenant: tenantID, ClientID: h.app.ClientID, Redirect: "http://localhost", Scopes: scopes, State: "s", Nonce: "n", Verifier: verifier}))
	if at == nil {
		h.t.Fatal(stuck)
	}
	earned, err := client.Code(h.t.Context(), h.app, login.Redemption{Tenant: tenantID, Redirect: "http://localhost", Code: secrets.New(at.Query().Get("code")), Verifier: verifier, Scopes: scopes})
	if err != nil {
		h.t.Fatal(err)
	}
	h.refresh[c.ID] = earned.Refresh
	err = h.db.Change(h.t.Context(), func(ctx context.Context, tx *sqldb.Tx) error {
		return h.connections.SignedIn(ctx, tx, c.ID, connection.Person{ObjectID: earned.Claims.ObjectID, Username: who.UPN, ClientID: h.app.ClientID})
	})
	if err != nil {
		h.t.Fatal(err)
	}
	return c
}

// byApp makes a connection of an app with its secret.
func (h *house) byApp(name, app, environment string) connection.Connection {
	h.t.Helper()
	a := h.lab.Tenant("ledgerworks").App(app)
	return h.withSecret(name, a.ClientID, *a.Secret, environment)
}

func (h *house) withSecret(name, clientID, secret, environment string) connection.Connection {
	h.t.Helper()
	c, err := h.connections.Create(h.boss(), connection.CreateRequest{TenantID: h.tenantID, Kind: connection.App,
		Profile: connection.Profile{Name: name, ClientID: clientID, Services: []string{connection.BusinessCentral}, Environment: environment}, Credential: connection.CredentialRequest{Secret: secrets.New(secret)}})
	if err != nil {
		h.t.Fatal(err)
	}
	return c
}

// control changes the lab from outside.
func (h *house) control(path, body string) {
	h.t.Helper()
	request, err := http.NewRequestWithContext(h.t.Context(), http.MethodPut, h.lab.Ready().ControlURL+"/tenants/ledgerworks.onmicrosoft.com"+path, strings.NewReader(body))
	if err != nil {
		h.t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		h.t.Fatal(err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusNoContent {
		text, _ := io.ReadAll(response.Body)
		h.t.Fatalf("%s: %d %s", path, response.StatusCode, text)
	}
}

// onboard sets the tenant's reader up, as its administrator would.
func (h *house) onboard() {
	h.t.Helper()
	at := h.lab.Tenant("ledgerworks")
	reader, admin := at.App("Gatehouse reader"), at.App("Lab administration")
	steps, err := h.tenants.OnboardReader(h.boss(), h.tenantID, tenant.OnboardRequest{ClientID: reader.ClientID})
	if err != nil {
		h.t.Fatal(err)
	}
	client := h.lab.Client()
	defer client.CloseIdleConnections()
	response, err := client.PostForm(h.lab.URL()+"/"+at.ID+"/oauth2/v2.0/token", url.Values{"grant_type": {"client_credentials"}, "client_id": {admin.ClientID}, "client_secret": {*admin.Secret}, "scope": {"https://graph.microsoft.com/.default"}})
	if err != nil {
		h.t.Fatal(err)
	}
	defer response.Body.Close()
	var token struct {
		Access string `json:"access_token"`
	}
	if err := json.NewDecoder(response.Body).Decode(&token); err != nil {
		h.t.Fatal(err)
	}
	block, _ := pem.Decode([]byte(steps.CertificatePEM))
	body, err := json.Marshal(map[string]any{"keyCredentials": []any{map[string]any{"type": "AsymmetricX509Cert", "usage": "Verify", "key": base64.StdEncoding.EncodeToString(block.Bytes)}}})
	if err != nil {
		h.t.Fatal(err)
	}
	request, err := http.NewRequestWithContext(h.t.Context(), http.MethodPatch, h.lab.URL()+"/v1.0/applications(appId='"+reader.ClientID+"')", strings.NewReader(string(body)))
	if err != nil {
		h.t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+token.Access)
	request.Header.Set("Content-Type", "application/json")
	answer, err := client.Do(request)
	if err != nil || answer.StatusCode >= 300 {
		h.t.Fatalf("%v %v", answer, err)
	}
	_ = answer.Body.Close()
	if on, err := h.tenants.CheckReader(h.boss(), h.tenantID); err != nil || on.Reader.State != tenant.ReaderWorks {
		h.t.Fatalf("%+v %v", on.Reader, err)
	}
}
