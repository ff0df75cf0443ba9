package server_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"gatehouse/client"
	"gatehouse/internal/sqldb/dbtest"
	"gatehouse/lab"
)

// Two server processes on one PostgreSQL are one Gatehouse: a session holds on
// both, what changes on one reaches pages that the other serves, jobs are shared
// out, one tenant's Conditional Access is asked no faster than by one, and when
// one is killed the other finishes its work.
func TestTwoReplicas(t *testing.T) {
	if os.Getenv(dbtest.Variable) == "" {
		return // a SQLite file belongs to one process
	}
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	l, address := lab.Start(t), dbtest.Postgres(t)
	a, b := newKilled(t, address, l), newKilled(t, address, l)
	key := "GATEHOUSE_KEY_FILE=" + filepath.Join(t.TempDir(), "master.key")
	a.env, b.env = append(a.env, key), append(b.env, key)
	token := a.setUp(a.start())
	if link := b.start(); link != "" {
		t.Error("the second replica wants to be set up as well")
	}
	onA, onB := a.client(token), b.client(token)
	at := l.Tenant("openharbour")
	tenant, err := onA.AddTenant(ctx, client.TenantRequest{Tenant: at.Domain, Name: "Open Harbour"})
	if err != nil {
		t.Fatal(err)
	}

	// Events of A on B, of a change and of a job.
	events := make(chan client.Event, 1000)
	go func() {
		_ = onB.Events(ctx, "", nil, func(e client.Event) error { events <- e; return nil }) // ends with the test
	}()
	arrives := func(what string, change func(i int) error, is func(client.Event) bool) {
		t.Helper()
		tick := time.NewTicker(200 * time.Millisecond) // the stream begins at some time
		defer tick.Stop()
		for i := 0; ; i++ {
			if err := change(i); err != nil {
				t.Fatal(err)
			}
			for waiting := true; waiting; {
				select {
				case e := <-events:
					if is(e) {
						return
					}
				case <-tick.C:
					waiting = false
				case <-ctx.Done():
					t.Fatalf("no event of %s arrived", what)
				}
			}
		}
	}
	arrives("a tenant", func(i int) error {
		name := "Harbour " + strconv.Itoa(i)
		_, err := onA.ChangeTenant(ctx, tenant.ID, client.TenantChange{Name: &name})
		return err
	}, func(e client.Event) bool { return e.Topic == "tenant/"+tenant.ID })

	// The reader, and snapshots asked for on both.
	steps, err := onA.OnboardReader(ctx, tenant.ID, client.ReaderRequest{ClientID: at.App("Gatehouse reader").ClientID})
	if err != nil {
		t.Fatal(err)
	}
	uploadCertificate(t, l, at, steps.CertificatePEM)
	if _, err := onA.CheckReader(ctx, tenant.ID); err != nil {
		t.Fatal(err)
	}
	arrives("a job", func(i int) error { return []*client.Client{onA, onB}[i%2].RefreshSnapshot(ctx, tenant.ID) },
		func(e client.Event) bool { return e.Topic == "job" && e.TenantID == tenant.ID })
	var asked []time.Time
	for tick := time.NewTicker(50 * time.Millisecond); len(asked) < 8; <-tick.C {
		for _, c := range []*client.Client{onA, onB} {
			if err := c.RefreshSnapshot(ctx, tenant.ID); err != nil {
				t.Fatal(err)
			}
		}
		asked = nil
		for _, e := range l.Journal() {
			if strings.Contains(e.Path, "conditionalAccess") {
				asked = append(asked, e.Time)
			}
		}
	}
	// What lies between sending and arriving differs: one second for all of them.
	if took, least := asked[len(asked)-1].Sub(asked[0]), time.Duration(len(asked)-2)*time.Second; took < least {
		t.Errorf("Conditional Access was asked %d times in %s: once a second is allowed", len(asked), took)
	}

	// A validation is under way when A is killed.
	user := at.User("svc-backup")
	added, err := onA.AddConnection(ctx, client.ConnectionRequest{TenantID: tenant.ID, Kind: "service_account", Profile: client.Profile{Name: "backup", Username: user.UPN, Services: []string{"graph"}}, Credential: client.CredentialRequest{Password: *user.Password}})
	if err != nil {
		t.Fatal(err)
	}
	run, err := onA.StartValidation(ctx, added.ID)
	if err != nil {
		t.Fatal(err)
	}
	a.kill()
	if v := b.ended(ctx, onB, run.ID); v.State != "done" && v.State != "unknown" {
		t.Errorf("the validation is %s", v.State)
	}
	if _, err := onB.VerifyAudit(ctx); err != nil {
		t.Error(err)
	}
	replicas := map[string]bool{}
	jobs, _, err := onB.Jobs(ctx, client.JobFilter{}, client.Page{Limit: 200})
	for _, j := range jobs {
		replicas[j.Replica] = true
	}
	delete(replicas, "")
	if err != nil || len(replicas) != 2 {
		t.Errorf("jobs were worked on by %d replicas: %v", len(replicas), err)
	}
	b.kill()
}

// uploadCertificate does what an administrator does in the portal.
func uploadCertificate(t testing.TB, l *lab.Lab, at lab.ReadyTenant, certificate string) {
	t.Helper()
	c, admin := l.Client(), at.App("Lab administration")
	defer c.CloseIdleConnections()
	send := func(method, path, contentType, authorization string, body io.Reader) []byte {
		t.Helper()
		r := get(t, c, method, l.URL()+path, body, "Content-Type", contentType, "Authorization", authorization)
		if r.StatusCode >= 300 {
			t.Fatalf("%s: %s %s", path, r.Status, r.Body)
		}
		return r.Body
	}
	form := url.Values{"grant_type": {"client_credentials"}, "client_id": {admin.ClientID}, "client_secret": {*admin.Secret}, "scope": {"https://graph.microsoft.com/.default"}}
	var token struct {
		Access string `json:"access_token"`
	}
	if err := json.Unmarshal(send(http.MethodPost, "/"+at.ID+"/oauth2/v2.0/token", "application/x-www-form-urlencoded", "", strings.NewReader(form.Encode())), &token); err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode([]byte(certificate))
	body, err := json.Marshal(map[string]any{"keyCredentials": []any{map[string]any{"type": "AsymmetricX509Cert", "usage": "Verify", "key": base64.StdEncoding.EncodeToString(block.Bytes)}}})
	if err != nil {
		t.Fatal(err)
	}
	send(http.MethodPatch, "/v1.0/applications(appId='"+at.App("Gatehouse reader").ClientID+"')", "application/json", "Bearer "+token.Access, bytes.NewReader(body))
}
