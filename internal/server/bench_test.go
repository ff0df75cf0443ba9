package server_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"gatehouse/client"
	"gatehouse/internal/sqldb"
	"gatehouse/internal/sqldb/dbtest"
	"gatehouse/internal/testenv"
	"gatehouse/lab"
)

// BenchmarkStart is from New to ready, on a database that is there already. The
// bar is 300 ms.
func BenchmarkStart(b *testing.B) {
	l := lab.Start(b)
	o := testenv.Options{Database: dbtest.SQLite(b), Dir: b.TempDir(), Lab: l}
	if err := testenv.Bare(b, o).Stop(); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		e := testenv.Bare(b, o)
		b.StopTimer()
		if err := e.Stop(); err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
	}
}

// BenchmarkPages is how long list pages take with 50,000 connections in 5,000
// tenants, a third of them stopped by 1,000 incidents, each over a connection that
// is there already, as in a browser. The bar is 100 ms, for the overview 150 ms.
func BenchmarkPages(b *testing.B) {
	e := testenv.Start(b)
	at, err := e.AddTenant(b.Context(), client.TenantRequest{Tenant: "openharbour.onmicrosoft.com", Name: "Open Harbour"})
	if err != nil {
		b.Fatal(err)
	}
	first, err := e.AddConnection(b.Context(), client.ConnectionRequest{TenantID: at.ID, Kind: "service_account", Profile: client.Profile{Name: "first", Username: "svc@contoso.example", Services: []string{"graph"}}, Credential: client.CredentialRequest{Password: "x"}})
	if err != nil {
		b.Fatal(err)
	}
	multiply(b, e.Database, first.ID)
	c := e.HTTP()
	b.Run("search", func(b *testing.B) {
		for b.Loop() {
			found, err := e.Search(b.Context(), "backup-2")
			if err != nil || len(found.Groups) == 0 {
				b.Fatalf("%+v %v", found, err)
			}
		}
		b.ReportMetric(float64(b.Elapsed().Milliseconds())/float64(b.N), "ms/search")
	})
	for _, path := range []string{"/", "/tenants", "/connections", "/connections?service=graph&parked=no", "/connections?verdict=failed", "/connections?search=backup-2", "/incidents", "/jobs", "/audit", "/api/v1/connections", "/api/v1/connections?verdict=failed", "/api/v1/incidents"} {
		b.Run(strings.ReplaceAll(path, "/", "_"), func(b *testing.B) {
			for b.Loop() {
				read(b, c, e, path)
			}
			b.ReportMetric(float64(b.Elapsed().Milliseconds())/float64(b.N), "ms/page")
		})
	}
}

// multiply makes 50,000 connections of one in 5,000 tenants of one, two of three of
// which have been validated, and incidents of those that failed.
func multiply(b *testing.B, address, id string) {
	b.Helper()
	db := dbtest.Open(b, address)
	var columns []string
	if err := db.Read().NewRaw("SELECT name FROM pragma_table_info('connections')").Scan(b.Context(), &columns); err != nil {
		b.Fatal(err)
	}
	values := make([]string, len(columns))
	for i, column := range columns {
		values[i] = map[string]string{
			"id": "'c' || n", "tenant_id": "'t' || (1 + n % 5000)", "name": "'Backup ' || n", "username": "'svc-' || n || '@contoso.example'", "search": "'backup-' || n",
			"verdict": "CASE n % 3 WHEN 0 THEN '' WHEN 1 THEN 'works' ELSE 'failed' END", "sentence": "CASE n % 3 WHEN 0 THEN '' ELSE 'a sentence about it' END",
		}[column]
		if values[i] == "" {
			values[i] = column
		}
	}
	const many = "WITH RECURSIVE many(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM many WHERE n < %d) "
	query := fmt.Sprintf("WITH RECURSIVE many(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM many WHERE n < 50000) INSERT INTO connections (%s) SELECT %s FROM connections, many WHERE id = '%s'",
		strings.Join(columns, ", "), strings.Join(values, ", "), id)
	if err := db.Change(b.Context(), func(ctx context.Context, tx *sqldb.Tx) error {
		for _, statement := range []string{
			fmt.Sprintf(many, 5000) + "INSERT INTO tenants (id, directory_id, name, domain, cloud, realm, paused, search, created_at, version) SELECT 't' || n, 'd' || n, 'Tenant ' || n, '', 'lab', 'managed', FALSE, 'tenant ' || n, created_at, 1 FROM (SELECT created_at FROM tenants LIMIT 1), many",
			query,
			fmt.Sprintf(many, 1000) + "INSERT INTO incidents (id, kind, cause, slot, tenant_id, subject, state, since, joined_at, end_told, stops, acknowledged_by, search, version) SELECT 'i' || n, 'policy', 'policy:' || n, 'policy:' || n, '', 'CA' || n, 'open', created_at, created_at, FALSE, 17, '', 'ca' || n, 1 FROM (SELECT created_at FROM tenants LIMIT 1), many",
			"INSERT INTO incident_connections (incident_id, connection_id, tenant_id, name, since, ending, title, actor, help, code, rule) SELECT 'i' || (1 + rowid % 1000), id, tenant_id, name, created_at, '', sentence, 'tenant_admin', 'Exclude the account', '', '' FROM connections WHERE verdict = 'failed'",
		} {
			if _, err := tx.ExecContext(ctx, statement); err != nil {
				return fmt.Errorf("%s: %w", statement, err)
			}
		}
		return nil
	}); err != nil {
		b.Fatal(err)
	}
}

func read(b *testing.B, c *http.Client, e *testenv.Env, path string) {
	b.Helper()
	r, err := http.NewRequestWithContext(b.Context(), http.MethodGet, e.URL+path, nil)
	if err != nil {
		b.Fatal(err)
	}
	r.Header.Set("Cookie", "__Host-gatehouse="+e.Token())
	r.Header.Set("Authorization", "Bearer "+e.Token())
	response, err := c.Do(r)
	if err != nil {
		b.Fatal(err)
	}
	defer response.Body.Close()
	if n, err := response.Body.Read(make([]byte, 1<<20)); response.StatusCode != http.StatusOK || n == 0 {
		b.Fatalf("%s: %s %v", path, response.Status, err)
	}
}
