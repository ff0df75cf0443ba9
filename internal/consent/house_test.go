package consent_test

import (
	"bytes"
	"cmp"
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
	"gatehouse/internal/batch"
	"gatehouse/internal/connection"
	"gatehouse/internal/consent"
	"gatehouse/internal/jobs"
	"gatehouse/internal/lease"
	"gatehouse/internal/live"
	"gatehouse/internal/microsoft"
	"gatehouse/internal/microsoft/login"
	"gatehouse/internal/pace"
	"gatehouse/internal/secrets"
	"gatehouse/internal/sqldb"
	"gatehouse/internal/sqldb/dbtest"
	"gatehouse/internal/tenant"
	"gatehouse/internal/testenv/pages"
	"gatehouse/lab"
)

// world is a vendor, a customer whose users may not consent, with a reader, one
// without, and a partner of the first.
const world = `{"tenants":[
 {"name":"Maker Mill","domain":"makermill.onmicrosoft.com","mandatory_mfa":false,"users":[{"upn":"dev@makermill.onmicrosoft.com","roles":["Global Administrator"]}],
  "apps":[
   {"name":"Mill Link","purpose":"delegated","secret":true,"multi_tenant":true,"verified_publisher":true,"redirect_uris":["https://gatehouse.example/consent/callback"],
    "delegated_permissions":{"graph":["openid","profile","offline_access","User.Read"],"business_central":["Financials.ReadWrite.All"]}},
   {"name":"Mill Feed","purpose":"service","secret":true,"multi_tenant":true,"redirect_uris":["https://gatehouse.example/consent/callback"],"application_permissions":{"graph":["Organization.Read.All"]}}]},
 {"name":"Client Creek","domain":"clientcreek.onmicrosoft.com","mandatory_mfa":false,"licences":["SPE_E3"],"consent":{"users":"none","admin_requests":true},
  "partners":[{"domain":"partnerpond.onmicrosoft.com","access":{"GDAP admins":["Global Administrator"]}}],
  "users":[
   {"upn":"gina@clientcreek.onmicrosoft.com","name":"Gina Global","roles":["Global Administrator"]},
   {"upn":"carl@clientcreek.onmicrosoft.com","name":"Carl Cloud","roles":["Cloud Application Administrator"]},
   {"upn":"paul@clientcreek.onmicrosoft.com","name":"Paul Plain"},
   {"upn":"nina@partnerpond.onmicrosoft.com","type":"guest","guest_of":"partnerpond.onmicrosoft.com"}],
  "apps":[
   {"name":"Own books","purpose":"delegated","public":true,"delegated_permissions":{"business_central":["Financials.ReadWrite.All"]}},
   {"name":"Gatehouse reader","purpose":"reader","certificate":true,
    "application_permissions":{"graph":["Policy.Read.All","AuditLog.Read.All","UserAuthenticationMethod.Read.All","User.Read.All","GroupMember.Read.All","RoleManagement.Read.Directory","Application.Read.All","Organization.Read.All","DelegatedPermissionGrant.Read.All"]},
    "granted":{"graph":["Policy.Read.All","AuditLog.Read.All","UserAuthenticationMethod.Read.All","User.Read.All","GroupMember.Read.All","RoleManagement.Read.Directory","Application.Read.All","Organization.Read.All","DelegatedPermissionGrant.Read.All"]}},
   {"name":"Lab administration","purpose":"admin","secret":true,
    "granted":{"graph":["User.ReadWrite.All","Directory.ReadWrite.All","Policy.Read.All","Policy.ReadWrite.ConditionalAccess","Policy.ReadWrite.Authorization","Application.Read.All","Application.ReadWrite.All","AppRoleAssignment.ReadWrite.All","DelegatedPermissionGrant.ReadWrite.All"]}}]},
 {"name":"Bare Brook","domain":"barebrook.onmicrosoft.com","mandatory_mfa":false,"licences":["SPE_E3"],"users":[{"upn":"bea@barebrook.onmicrosoft.com","roles":["Global Administrator"]}],"apps":[
   {"name":"Gatehouse reader","purpose":"reader","certificate":true,
    "application_permissions":{"graph":["Policy.Read.All","AuditLog.Read.All","UserAuthenticationMethod.Read.All","User.Read.All","GroupMember.Read.All","RoleManagement.Read.Directory","Application.Read.All","Organization.Read.All","DelegatedPermissionGrant.Read.All"]},
    "granted":{"graph":["Policy.Read.All","AuditLog.Read.All","UserAuthenticationMethod.Read.All","User.Read.All","GroupMember.Read.All","RoleManagement.Read.Directory","Application.Read.All","Organization.Read.All","DelegatedPermissionGrant.Read.All"]}},
   {"name":"Lab administration","purpose":"admin","secret":true,
    "granted":{"graph":["User.ReadWrite.All","Directory.ReadWrite.All","Policy.Read.All","Policy.ReadWrite.ConditionalAccess","Policy.ReadWrite.Authorization","Application.Read.All","Application.ReadWrite.All","AppRoleAssignment.ReadWrite.All","DelegatedPermissionGrant.ReadWrite.All"]}}]},
 {"name":"Lone Lake","domain":"lonelake.onmicrosoft.com","mandatory_mfa":false,"users":[{"upn":"lena@lonelake.onmicrosoft.com","roles":["Global Administrator"]}],
  "apps":[{"name":"Own books","purpose":"delegated","public":true,"delegated_permissions":{"business_central":["Financials.ReadWrite.All"]}}]},
 {"name":"Partner Pond","domain":"partnerpond.onmicrosoft.com","mandatory_mfa":false,"groups":[{"name":"GDAP admins","members":["tina@partnerpond.onmicrosoft.com"]}],
  "users":[{"upn":"tina@partnerpond.onmicrosoft.com","name":"Tina Tech"},{"upn":"uwe@partnerpond.onmicrosoft.com","name":"Uwe Unmapped"},{"upn":"nina@partnerpond.onmicrosoft.com","name":"Nina Guest"}]}
]}`

const (
	bcID = "996def3d-b36c-4153-8607-a6fd3c01b89f"
	link = "link" // our ids of the registrations
	feed = "feed"
)

// house is consent with a lab; its queue takes jobs and works on none.
type house struct {
	*consent.Service
	t           *testing.T
	db          *sqldb.DB
	lab         *lab.Lab
	log         *audit.Log
	cloud       microsoft.Cloud
	tenants     *tenant.Service
	connections *connection.Service
	batches     *batch.Service
	queue       *jobs.Queue
	replica     *lease.Replica
	started     bool
	tick        *time.Ticker
	admin       string // token for Graph in the customer's tenant

	mu        sync.Mutex
	now       time.Duration // how far the clock is ahead
	news      []consent.News
	granted   []string
	manifests map[string]consent.Manifest
	fresh     func(tenantID, registrationID, resource string) (login.Token, error)
	partner   func() (login.Token, error)
	clientID  string // of the first registration, once it was replaced
}

func each(t *testing.T, test func(t *testing.T, h *house)) {
	t.Helper()
	dbtest.Each(t, func(t *testing.T, db *sqldb.DB) { test(t, open(t, db)) })
}

func open(t *testing.T, db *sqldb.DB) *house {
	t.Helper()
	must(t, jobs.Migrate(t.Context(), db))
	l := lab.Start(t, lab.WithTenants(world))
	h := &house{t: t, db: db, lab: l, log: audit.New(audit.Config{DB: db}), cloud: microsoft.At("lab", l.URL(), l.Roots()), manifests: map[string]consent.Manifest{
		link: {Version: 1, Permissions: []consent.Permission{
			{Resource: consent.GraphID, ResourceName: "Microsoft Graph", Name: "openid", Kind: consent.Delegated}, {Resource: consent.GraphID, ResourceName: "Microsoft Graph", Name: "offline_access", Kind: consent.Delegated},
			{Resource: consent.GraphID, ResourceName: "Microsoft Graph", Name: "User.Read", Kind: consent.Delegated, Why: "to show who is signed in"}, {Resource: bcID, ResourceName: "Dynamics 365 Business Central", Name: "Financials.ReadWrite.All", Kind: consent.Delegated, Why: "to read the ledger"}}},
		feed: {Version: 1, Permissions: []consent.Permission{{Resource: consent.GraphID, ResourceName: "Microsoft Graph", Name: "Organization.Read.All", Kind: consent.Application, Why: "to name the organisation"}}},
	}}
	var columns []secrets.Column
	columns = append(append(columns, tenant.Columns...), connection.Columns...)
	keys, err := secrets.OpenKeyring(t.Context(), secrets.Config{DB: db, Wrapper: secrets.NewFileKey(filepath.Join(t.TempDir(), "master.key")), Audit: h.log, Columns: columns})
	must(t, err)
	replica, hub, governor := lease.New(lease.Config{DB: db}), live.New(live.Config{DB: db}), pace.New(pace.Config{DB: db})
	must(t, replica.Join(t.Context()))
	queue, err := jobs.New(jobs.Config{DB: db, Replica: replica})
	must(t, err)
	h.tenants = tenant.New(tenant.Config{DB: db, Audit: h.log, Keys: keys, Jobs: queue, Live: hub, Pace: governor, Cloud: h.cloud, Now: h.clock})
	h.connections = connection.New(connection.Config{DB: db, Audit: h.log, Keys: keys, Live: hub, Tenants: h.tenants, Now: h.clock,
		Registration: func(ctx context.Context, id string, _ []string) (string, error) {
			app, err := h.registration(ctx, id)
			return app.ClientID, err
		}})
	h.queue, h.replica = queue, replica
	h.batches = batch.New(batch.Config{DB: db, Audit: h.log, Jobs: queue, Live: hub})
	h.Service = consent.New(consent.Config{
		DB: db, Audit: h.log, Jobs: queue, Live: hub, Pace: governor, Cloud: h.cloud, Tenants: h.tenants, Batches: h.batches, PublicURL: "https://gatehouse.example", Now: h.clock,
		Registration: h.registration, Manifest: func(_ context.Context, id string) (consent.Manifest, error) { return h.manifests[id], nil },
		FreshToken: func(_ context.Context, tenantID, registrationID, resource string) (login.Token, error) {
			if h.fresh == nil {
				return login.Token{}, consent.ErrNoToken
			}
			return h.fresh(tenantID, registrationID, resource)
		},
		Granted: func(_ context.Context, tx *sqldb.Tx, tenantID, registrationID string) error {
			tx.OnCommit(func() { h.granted = append(h.granted, registrationID) })
			return nil
		},
		Tell: func(_ context.Context, tx *sqldb.Tx, n consent.News) error {
			tx.OnCommit(func() { h.news = append(h.news, n) })
			return nil
		},
		PartnerToken: func(context.Context, string) (login.Token, error) { return h.partner() },
	})
	return h
}

func (h *house) registration(_ context.Context, id string) (consent.Registration, error) {
	yes := true
	at := h.lab.Tenant("makermill")
	switch id {
	case link:
		return consent.Registration{ID: link, Name: "Mill Link", ClientID: cmp.Or(h.clientID, at.App("Mill Link").ClientID), Publisher: "Maker Mill", Verified: &yes}, nil
	case feed:
		return consent.Registration{ID: feed, Name: "Mill Feed", ClientID: at.App("Mill Feed").ClientID}, nil
	}
	return consent.Registration{}, consent.ErrMissing
}

func (h *house) clock() time.Time {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.lab.Now().Add(h.now)
}

func (h *house) ahead(by time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.now += by
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

// short is a tenant's name in the lab.
func short(name string) string { return strings.ToLower(strings.ReplaceAll(name, " ", "")) }

// add adds a tenant of the lab.
func (h *house) add(name string) tenant.Tenant {
	h.t.Helper()
	at, err := h.tenants.Add(h.boss(), tenant.AddRequest{NameOrID: h.lab.Tenant(short(name)).Domain, Name: name})
	must(h.t, err)
	return at
}

// read makes the customer's reader.
func (h *house) read(at tenant.Tenant) {
	h.t.Helper()
	h.admin = h.token(short(at.Name))
	client := h.lab.Tenant(short(at.Name)).App("Gatehouse reader").ClientID
	o, err := h.tenants.OnboardReader(h.boss(), at.ID, tenant.OnboardRequest{ClientID: client})
	must(h.t, err)
	block, _ := pem.Decode([]byte(o.CertificatePEM))
	kept := []any{map[string]any{"type": "AsymmetricX509Cert", "usage": "Verify", "key": base64.StdEncoding.EncodeToString(block.Bytes)}}
	for _, k := range h.graph("GET", of("applications", client)+"?$select=keyCredentials", nil)["keyCredentials"].([]any) {
		kept = append(kept, map[string]any{"keyId": k.(map[string]any)["keyId"]})
	}
	h.graph("PATCH", of("applications", client), map[string]any{"keyCredentials": kept})
	checked, err := h.tenants.CheckReader(h.boss(), at.ID)
	must(h.t, err)
	if checked.Reader.State != tenant.ReaderWorks || checked.Reader.Reason != "" {
		h.t.Fatalf("the reader is %s: %s", checked.Reader.State, checked.Reader.Reason)
	}
}

func of(set, clientID string) string { return set + "(appId='" + clientID + "')" }

func (h *house) token(name string) string {
	h.t.Helper()
	at := h.lab.Tenant(name)
	admin := at.App("Lab administration")
	return h.form(at.ID, url.Values{"grant_type": {"client_credentials"}, "client_id": {admin.ClientID}, "client_secret": {*admin.Secret}, "scope": {"https://graph.microsoft.com/.default"}})
}

func (h *house) form(tenantID string, values url.Values) string {
	h.t.Helper()
	client := h.lab.Client()
	defer client.CloseIdleConnections()
	response, err := client.PostForm(h.lab.URL()+"/"+tenantID+"/oauth2/v2.0/token", values)
	must(h.t, err)
	defer response.Body.Close()
	var token struct {
		Access string `json:"access_token"`
	}
	must(h.t, json.NewDecoder(response.Body).Decode(&token))
	return token.Access
}

// graph asks Graph as an administrator of the customer.
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

// ask makes a page and gives it with its token.
func (h *house) ask(tenantID, registrationID string) (consent.Request, string) {
	h.t.Helper()
	r, err := h.Ask(h.boss(), tenantID, registrationID, consent.AskOptions{Why: "The ledger reports read Business Central."})
	must(h.t, err)
	token, ok := strings.CutPrefix(r.URL.Reveal(), "https://gatehouse.example/consent/")
	if !ok {
		h.t.Fatal(r.URL.Reveal())
	}
	return r, token
}

// page opens a page.
func (h *house) page(token string, browser secrets.Value) consent.View {
	h.t.Helper()
	v, err := h.Open(h.t.Context(), token, browser, "192.0.2.1")
	must(h.t, err)
	return v
}

// walk follows Microsoft's pages as a person; the answer comes back.
func (h *house) walk(tenantName, user, address string) url.Values {
	h.t.Helper()
	back, stuck := pages.Of(h.t, h.lab, tenantName, user).Follow(address)
	if back == nil {
		_, stuck, _ = strings.Cut(stuck, "<main>")
		h.t.Fatalf("stuck: %s", stuck)
	}
	if !strings.HasPrefix(back.String(), "https://gatehouse.example"+consent.CallbackPath+"?") {
		h.t.Fatal(back)
	}
	return back.Query()
}

// status is how a consent stands.
func (h *house) status(tenantID string) consent.Status {
	h.t.Helper()
	s, err := h.StatusOf(h.boss(), tenantID, link)
	must(h.t, err)
	return s
}

// look reads how a consent stands.
func (h *house) look(tenantID, registrationID string) consent.Status {
	h.t.Helper()
	s, err := h.Look(h.boss(), tenantID, registrationID)
	must(h.t, err)
	return s
}

func names(all []consent.Permission) string {
	var out []string
	for _, p := range all {
		out = append(out, p.Name)
	}
	return strings.Join(out, " ")
}

// connectionOf is a connection of a tenant.
func connectionOf(tenantID string) connection.CreateRequest {
	return connection.CreateRequest{TenantID: tenantID, Kind: connection.Delegated, Profile: connection.Profile{Name: "Agent", RegistrationID: link, Services: []string{"graph"}}}
}

// startQueue lets the queue work, once.
func (h *house) startQueue() {
	h.t.Helper()
	if h.started {
		return
	}
	h.started, h.tick = true, time.NewTicker(10*time.Millisecond)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- h.replica.Run(ctx) }()
	must(h.t, h.queue.Start(h.t.Context()))
	h.t.Cleanup(func() {
		limited, end := context.WithTimeout(context.Background(), 10*time.Second)
		defer end()
		must(h.t, h.queue.Stop(limited))
		cancel()
		must(h.t, <-done)
		h.tick.Stop()
	})
}
