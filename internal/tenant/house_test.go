package tenant_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"log/slog"
	"net/http"
	"net/url"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"gatehouse/internal/audit"
	"gatehouse/internal/connection"
	"gatehouse/internal/jobs"
	"gatehouse/internal/lease"
	"gatehouse/internal/live"
	"gatehouse/internal/microsoft"
	"gatehouse/internal/pace"
	"gatehouse/internal/secrets"
	"gatehouse/internal/sqldb"
	"gatehouse/internal/sqldb/dbtest"
	"gatehouse/internal/tenant"
	"gatehouse/lab"
)

// house is the tenants and their connections, with the queue at work.
type house struct {
	*tenant.Service
	t           *testing.T
	db          *sqldb.DB
	queue       *jobs.Queue
	connections *connection.Service
}

// each runs a test on each database with a lab of its own.
func each(t *testing.T, test func(t *testing.T, h *house, l *lab.Lab)) {
	t.Helper()
	dbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		if err := jobs.Migrate(t.Context(), db); err != nil {
			t.Fatal(err)
		}
		l := lab.Start(t)
		test(t, open(t, db, l), l)
	})
}

func open(t *testing.T, db *sqldb.DB, l *lab.Lab) *house {
	t.Helper()
	log, hub, replica := audit.New(audit.Config{DB: db}), live.New(live.Config{DB: db}), lease.New(lease.Config{DB: db})
	keys, err := secrets.OpenKeyring(t.Context(), secrets.Config{DB: db, Wrapper: secrets.NewFileKey(filepath.Join(t.TempDir(), "master.key")), Audit: log, Columns: append(slices.Clone(tenant.Columns), connection.Columns...)})
	if err != nil {
		t.Fatal(err)
	}
	if err := replica.Join(t.Context()); err != nil {
		t.Fatal(err)
	}
	queue, err := jobs.New(jobs.Config{DB: db, Replica: replica, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	cloud := microsoft.Cloud{Name: "lab", Login: l.URL(), Graph: l.URL(), GraphResource: "https://graph.microsoft.com", Roots: l.Roots()}
	h := &house{t: t, db: db, queue: queue}
	h.Service = tenant.New(tenant.Config{DB: db, Audit: log, Keys: keys, Jobs: queue, Live: hub, Pace: pace.New(pace.Config{DB: db}), Cloud: cloud})
	h.connections = connection.New(connection.Config{DB: db, Audit: log, Keys: keys, Live: hub, Tenants: h.Service})
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
	return h
}

func as(ctx context.Context, name, tenantID string, role audit.Role) context.Context {
	return audit.With(ctx, audit.Actor{Kind: audit.Operator, ID: name, Name: name, Roles: map[string]audit.Role{tenantID: role}})
}

func (h *house) boss() context.Context {
	return as(h.t.Context(), "Ada Person", audit.AllTenants, audit.Administrator)
}

func (h *house) add(l *lab.Lab, name string) tenant.Tenant {
	h.t.Helper()
	at, err := h.Add(h.boss(), tenant.AddRequest{NameOrID: l.Tenant(name).Domain})
	if err != nil {
		h.t.Fatal(err)
	}
	return at
}

// upload adds a certificate to an app registration, as an administrator would.
func upload(t *testing.T, l *lab.Lab, name, clientID, certificate string) {
	t.Helper()
	at, client := l.Tenant(name), l.Client()
	defer client.CloseIdleConnections()
	admin := at.App("Lab administration")
	response, err := client.PostForm(l.URL()+"/"+at.ID+"/oauth2/v2.0/token", url.Values{
		"grant_type": {"client_credentials"}, "client_id": {admin.ClientID}, "client_secret": {*admin.Secret}, "scope": {"https://graph.microsoft.com/.default"}})
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	var token struct {
		Access string `json:"access_token"`
	}
	if err := json.NewDecoder(response.Body).Decode(&token); err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode([]byte(certificate))
	body, err := json.Marshal(map[string]any{"keyCredentials": []any{map[string]any{"type": "AsymmetricX509Cert", "usage": "Verify", "key": base64.StdEncoding.EncodeToString(block.Bytes)}}})
	if err != nil {
		t.Fatal(err)
	}
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPatch, l.URL()+"/v1.0/applications(appId='"+clientID+"')", bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+token.Access)
	request.Header.Set("Content-Type", "application/json")
	answer, err := client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusNoContent {
		t.Fatalf("uploading the certificate: %d", answer.StatusCode)
	}
}
