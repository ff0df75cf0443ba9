package rotation_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"sync/atomic"
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
	"gatehouse/internal/rotation"
	"gatehouse/internal/secrets"
	"gatehouse/internal/sqldb"
	"gatehouse/internal/sqldb/dbtest"
	"gatehouse/internal/tenant"
	"gatehouse/lab"
)

// house is what a rotation stands on, with the lab's clock; its queue does not run:
// the tests take each step.
type house struct {
	*rotation.Service
	t           *testing.T
	db          *sqldb.DB
	lab         *lab.Lab
	cloud       microsoft.Cloud
	tenants     *tenant.Service
	connections *connection.Service
	config      rotation.Config
	at          tenant.Tenant
	clientID    string
	admin       string // token of an administrator for Graph
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

// readerTenant is the tenant whose registration becomes the reader.
const readerTenant = "openharbour"

func open(t *testing.T, db *sqldb.DB) *house {
	t.Helper()
	l := lab.Start(t)
	h := &house{t: t, db: db, lab: l, cloud: microsoft.Cloud{Name: "lab", Login: l.URL(), Graph: l.URL(), GraphResource: "https://graph.microsoft.com", Roots: l.Roots()}}
	log, hub := audit.New(audit.Config{DB: db}), live.New(live.Config{DB: db})
	columns := append(append(append([]secrets.Column{}, tenant.Columns...), connection.Columns...), rotation.Columns...)
	keys, err := secrets.OpenKeyring(t.Context(), secrets.Config{DB: db, Wrapper: secrets.NewFileKey(filepath.Join(t.TempDir(), "master.key")), Audit: log, Columns: columns})
	must(t, err)
	governor := pace.New(pace.Config{DB: db})
	h.config = rotation.Config{DB: db, Audit: log, Keys: keys, Live: hub, Pace: governor, Cloud: h.cloud, Now: l.Now}
	h.config.Jobs = h.queue()
	h.tenants = tenant.New(tenant.Config{DB: db, Audit: log, Keys: keys, Jobs: h.config.Jobs, Live: hub, Pace: governor, Cloud: h.cloud, Now: l.Now})
	h.connections = connection.New(connection.Config{DB: db, Audit: log, Keys: keys, Live: hub, Tenants: h.tenants, Now: l.Now})
	h.config.Tenants, h.config.Connections = h.tenants, h.connections
	h.Service = rotation.New(h.config)
	h.admin = h.token(readerTenant)
	h.onboard()
	return h
}

// queue is a queue that takes jobs and works on none.
func (h *house) queue() *jobs.Queue {
	h.t.Helper()
	replica := lease.New(lease.Config{DB: h.db})
	must(h.t, replica.Join(h.t.Context()))
	queue, err := jobs.New(jobs.Config{DB: h.db, Replica: replica})
	must(h.t, err)
	return queue
}

// again is the service of another process on the same database.
func (h *house) again(transport http.RoundTripper) *rotation.Service {
	c := h.config
	c.Transport, c.Jobs = transport, h.queue()
	return rotation.New(c)
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func (h *house) boss() context.Context { return audit.AsSystem(h.t.Context(), "test") }

// onboard makes a reader of the lab's reader app, with a certificate that lies on
// its registration beside what is there.
func (h *house) onboard() {
	h.t.Helper()
	at := h.lab.Tenant(readerTenant)
	var err error
	h.at, err = h.tenants.Add(h.boss(), tenant.AddRequest{NameOrID: at.Domain})
	must(h.t, err)
	for _, a := range at.Apps {
		if a.Purpose == "reader" {
			h.clientID = a.ClientID
		}
	}
	o, err := h.tenants.OnboardReader(h.boss(), h.at.ID, tenant.OnboardRequest{ClientID: h.clientID})
	must(h.t, err)
	h.upload(h.clientID, o.CertificatePEM)
	checked, err := h.tenants.CheckReader(h.boss(), h.at.ID)
	must(h.t, err)
	if checked.Reader.State != tenant.ReaderWorks {
		h.t.Fatalf("the reader is %s: %s", checked.Reader.State, checked.Reader.Reason)
	}
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

func (h *house) upload(clientID, certificate string) {
	h.t.Helper()
	block, _ := pem.Decode([]byte(certificate))
	app := "applications(appId='" + clientID + "')"
	kept := []any{map[string]any{"type": "AsymmetricX509Cert", "usage": "Verify", "key": base64.StdEncoding.EncodeToString(block.Bytes)}}
	for _, k := range h.graph("GET", app+"?$select=keyCredentials", nil)["keyCredentials"].([]any) {
		kept = append(kept, map[string]any{"keyId": k.(map[string]any)["keyId"]})
	}
	h.graph("PATCH", app, map[string]any{"keyCredentials": kept})
}

// credentials are the key ids on the application and on the service principal.
func (h *house) credentials(clientID string) map[string]string {
	h.t.Helper()
	out := map[string]string{}
	for _, set := range []string{"applications", "servicePrincipals"} {
		o := h.graph("GET", set+"(appId='"+clientID+"')?$select=id,keyCredentials,passwordCredentials", nil)
		for _, list := range []string{"keyCredentials", "passwordCredentials"} {
			for _, v := range o[list].([]any) {
				out[v.(map[string]any)["keyId"].(string)] = set + "/" + list
			}
		}
	}
	return out
}

// call is a caller that uses the reader now: it must be let in.
func (h *house) call(when string) {
	h.t.Helper()
	reading, err := h.tenants.Reading(h.t.Context(), h.at.ID)
	must(h.t, err)
	if reading == nil {
		h.t.Fatalf("%s: there is no reader", when)
	}
	in := login.New(login.Config{Cloud: h.cloud})
	if _, err := in.Certificate(h.t.Context(), h.at.DirectoryID, reading.ClientID, *reading.Certificate, []string{"https://graph.microsoft.com/.default"}); err != nil {
		h.t.Errorf("%s: a caller is refused: %v", when, err)
	}
}

// turn takes the steps of a rotation to its end, on the lab's clock, and calls
// between them. It gives the states that it went through.
func (h *house) turn(s *rotation.Service, id string, between func(r rotation.Rotation)) (rotation.Rotation, []rotation.State) {
	h.t.Helper()
	var states []rotation.State
	for range 400 {
		r, err := s.Get(h.boss(), id)
		must(h.t, err)
		if len(states) == 0 || states[len(states)-1] != r.State {
			states = append(states, r.State)
		}
		if between != nil {
			between(r)
		}
		wait, ended, err := s.Advance(h.boss(), id)
		must(h.t, err)
		if ended {
			r, err := s.Get(h.boss(), id)
			must(h.t, err)
			return r, append(states, r.State)
		}
		h.pass(wait)
	}
	h.t.Fatalf("the rotation does not end: %v", states)
	return rotation.Rotation{}, nil
}

// pass lets time go by. Assertions are signed by the real clock, so the lab's runs
// ahead only where that is what the test is about: long waits are passed in the
// database instead.
func (h *house) pass(wait time.Duration) {
	h.t.Helper()
	if h.lab.Settings().CredentialDelay > 0 && wait < time.Minute {
		h.lab.Advance(wait)
		return
	}
	long := h.lab.Now().UTC().Add(-time.Hour)
	must(h.t, h.db.Change(h.t.Context(), func(ctx context.Context, tx *sqldb.Tx) error {
		_, err := tx.NewRaw("UPDATE rotations SET changed_at = ? WHERE ended_at IS NULL", long).Exec(ctx)
		if err == nil {
			_, err = tx.NewRaw("UPDATE rotations SET sent_at = ? WHERE ended_at IS NULL AND sent_at IS NOT NULL", long).Exec(ctx)
		}
		return err
	}))
}

// dying lets so many requests pass and then dies, before the next is sent or after
// it was answered: nobody hears of the answer.
type dying struct {
	next   http.RoundTripper
	left   atomic.Int64
	answer bool
	last   string // path of the request at which it died
}

// killedError ends a call at once: a process that is gone tries nothing again.
type killedError struct{}

func (killedError) Error() string { return "killed" }

// NonRetriable is for the pipeline of the Graph client.
func (killedError) NonRetriable() {}

var errKilled error = killedError{}

func (d *dying) RoundTrip(r *http.Request) (*http.Response, error) {
	left := d.left.Add(-1)
	if left >= 0 {
		return d.next.RoundTrip(r)
	}
	if left == -1 {
		d.last = r.URL.Path
	}
	if left == -1 && d.answer {
		response, err := d.next.RoundTrip(r)
		if err != nil {
			return nil, err
		}
		_, _ = io.Copy(io.Discard, response.Body)
		_ = response.Body.Close()
	}
	return nil, errKilled
}

func words(states []rotation.State) string {
	return strings.ReplaceAll(fmt.Sprint(states), " ", ",")
}

func (h *house) fault(f lab.Fault) {
	h.t.Helper()
	_, err := h.lab.AddFault(f)
	must(h.t, err)
}
