package registration_test

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
	"testing"
	"time"

	"gatehouse/internal/audit"
	"gatehouse/internal/connection"
	"gatehouse/internal/jobs"
	"gatehouse/internal/lease"
	"gatehouse/internal/live"
	"gatehouse/internal/microsoft"
	"gatehouse/internal/microsoft/login"
	"gatehouse/internal/pace"
	"gatehouse/internal/registration"
	"gatehouse/internal/secrets"
	"gatehouse/internal/sqldb"
	"gatehouse/internal/sqldb/dbtest"
	"gatehouse/internal/tenant"
	"gatehouse/lab"
)

// house is what registrations stand on, with the lab's clock; its queue does not run:
// the tests take each step.
type house struct {
	*registration.Service
	t           *testing.T
	db          *sqldb.DB
	lab         *lab.Lab
	cloud       microsoft.Cloud
	audit       *audit.Log
	tenants     *tenant.Service
	connections *connection.Service
	at          tenant.Tenant
	clientID    string // of Backup app
	admin       string // token of an administrator for Graph
	changes     []registration.Change
}

// each runs a test on each database with a lab of its own.
func each(t *testing.T, test func(t *testing.T, h *house)) {
	t.Helper()
	dbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		must(t, jobs.Migrate(t.Context(), db))
		test(t, open(t, db))
	})
}

// home is the lab's tenant in which the registration lies.
const home = "openharbour"

func open(t *testing.T, db *sqldb.DB) *house {
	t.Helper()
	l := lab.Start(t)
	h := &house{t: t, db: db, lab: l, cloud: microsoft.Cloud{Name: "lab", Login: l.URL(), Graph: l.URL(), GraphResource: "https://graph.microsoft.com", Roots: l.Roots()}}
	log, hub := audit.New(audit.Config{DB: db}), live.New(live.Config{DB: db})
	h.audit = log
	columns := append(append(append([]secrets.Column{}, tenant.Columns...), connection.Columns...), registration.Columns...)
	keys, err := secrets.OpenKeyring(t.Context(), secrets.Config{DB: db, Wrapper: secrets.NewFileKey(filepath.Join(t.TempDir(), "master.key")), Audit: log, Columns: columns})
	must(t, err)
	replica := lease.New(lease.Config{DB: db})
	must(t, replica.Join(t.Context()))
	queue, err := jobs.New(jobs.Config{DB: db, Replica: replica})
	must(t, err)
	governor := pace.New(pace.Config{DB: db})
	h.tenants = tenant.New(tenant.Config{DB: db, Audit: log, Keys: keys, Jobs: queue, Live: hub, Pace: governor, Cloud: h.cloud, Now: l.Now})
	h.Service = registration.New(registration.Config{
		DB: db, Audit: log, Keys: keys, Jobs: queue, Live: hub, Pace: governor, Cloud: h.cloud, Tenants: h.tenants, PublicURL: "https://gate.example", Now: l.Now,
		Changed: func(_ context.Context, _ *sqldb.Tx, c registration.Change) error {
			h.changes = append(h.changes, c)
			return nil
		},
	})
	h.connections = connection.New(connection.Config{DB: db, Audit: log, Keys: keys, Live: hub, Tenants: h.tenants, Registration: h.Suits, Now: l.Now})
	h.admin = h.token(home)
	h.clientID = l.Tenant(home).App("Backup app").ClientID
	h.at, err = h.tenants.Add(h.boss(), tenant.AddRequest{NameOrID: l.Tenant(home).Domain})
	must(t, err)
	return h
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func (h *house) boss() context.Context { return h.as(audit.AllTenants, audit.Administrator) }

func (h *house) as(tenantID string, role audit.Role) context.Context {
	return audit.With(h.t.Context(), audit.Actor{Kind: audit.Operator, ID: "ada", Name: "Ada Person", Roles: map[string]audit.Role{tenantID: role}})
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

// addPassword makes a secret at Microsoft, on the application or service principal.
func (h *house) addPassword(set string) (keyID string, value secrets.Value) {
	h.t.Helper()
	made := h.graph("POST", set+"(appId='"+h.clientID+"')/addPassword", map[string]any{"passwordCredential": map[string]any{"displayName": "made for a test"}})
	return made["keyId"].(string), secrets.New(made["secretText"].(string))
}

// upload adds a certificate beside what is there.
func (h *house) upload(certificate string) {
	h.t.Helper()
	block, _ := pem.Decode([]byte(certificate))
	app := "applications(appId='" + h.clientID + "')"
	kept := []any{map[string]any{"type": "AsymmetricX509Cert", "usage": "Verify", "key": base64.StdEncoding.EncodeToString(block.Bytes)}}
	for _, k := range h.graph("GET", app+"?$select=keyCredentials", nil)["keyCredentials"].([]any) {
		kept = append(kept, map[string]any{"keyId": k.(map[string]any)["keyId"]})
	}
	h.graph("PATCH", app, map[string]any{"keyCredentials": kept})
}

// credentials are the key ids on the application and on the service principal.
func (h *house) credentials() map[string]string {
	h.t.Helper()
	out := map[string]string{}
	for _, set := range []string{"applications", "servicePrincipals"} {
		o := h.graph("GET", set+"(appId='"+h.clientID+"')?$select=id,keyCredentials,passwordCredentials", nil)
		for _, list := range []string{"keyCredentials", "passwordCredentials"} {
			for _, v := range o[list].([]any) {
				out[v.(map[string]any)["keyId"].(string)] = set + "/" + list
			}
		}
	}
	return out
}

// made is the registration of Backup app with a secret in use.
func (h *house) made(permissions ...registration.Permission) (registration.Registration, registration.Credential) {
	h.t.Helper()
	g, err := h.Create(h.boss(), registration.CreateRequest{Kind: registration.Confidential, Details: registration.Details{Name: "Backup app", Purpose: "Keeps copies.", Clients: map[string]string{"lab": h.clientID}}, Permissions: permissions})
	must(h.t, err)
	keyID, value := h.addPassword("applications")
	c, err := h.AddCredential(h.boss(), g.ID, registration.CredentialRequest{Secret: value, KeyID: keyID, Label: "first", NotAfter: after(h.lab.Now(), 30)})
	must(h.t, err)
	g, err = h.Get(h.boss(), g.ID)
	must(h.t, err)
	return g, c
}

func after(now time.Time, days int) *time.Time {
	end := now.UTC().Truncate(time.Second).AddDate(0, 0, days)
	return &end
}

// call is a caller that uses the registration now: it must be let in.
func (h *house) call(id, when string) {
	h.t.Helper()
	app, err := h.App(h.t.Context(), id)
	must(h.t, err)
	in, scopes := login.New(login.Config{Cloud: h.cloud}), []string{"https://graph.microsoft.com/.default"}
	if app.Certificate != nil {
		_, err = in.Certificate(h.t.Context(), h.at.DirectoryID, app.ClientID, *app.Certificate, scopes)
	} else {
		_, err = in.Secret(h.t.Context(), h.at.DirectoryID, app.ClientID, app.Secret, scopes)
	}
	if err != nil {
		h.t.Errorf("%s: a caller is refused: %v", when, err)
	}
}

// turn takes the steps of a check to its end on the lab's clock, with a caller between
// them, and gives how it went.
func (h *house) turn(id, credentialID string) (c registration.Credential, tries int, reasons []string) {
	h.t.Helper()
	for tries = 1; tries < 400; tries++ {
		h.call(id, "during a check")
		wait, ended, err := h.Advance(h.boss(), credentialID)
		must(h.t, err)
		c = h.credential(id, credentialID)
		if n := len(reasons); n == 0 || reasons[n-1] != c.Check.Reason {
			reasons = append(reasons, c.Check.Reason)
		}
		if ended {
			h.call(id, "after a check")
			return c, tries, reasons
		}
		h.lab.Advance(wait)
	}
	h.t.Fatal("the check does not end")
	return c, tries, reasons
}

func (h *house) credential(id, credentialID string) registration.Credential {
	h.t.Helper()
	g, err := h.Get(h.boss(), id)
	must(h.t, err)
	for _, c := range g.Credentials {
		if c.ID == credentialID {
			return c
		}
	}
	h.t.Fatal("there is no such credential")
	return registration.Credential{}
}
