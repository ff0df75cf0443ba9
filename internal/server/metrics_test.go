package server_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"regexp"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"gatehouse/client"
	"gatehouse/internal/microsoft"
	"gatehouse/internal/server"
	"gatehouse/internal/testenv"
)

// scrape reads the metrics of a server.
func scrape(t *testing.T, e *testenv.Env) string {
	t.Helper()
	response, err := http.Get("http://" + e.Server.MetricsAddress().String() + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	data, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != http.StatusOK {
		t.Fatalf("%s %v", response.Status, err)
	}
	return string(data)
}

func withMetrics(c *server.Config) { c.Metrics.Listen = "127.0.0.1:0" }

// What monitoring sees follows what happens, names nobody, and holds every
// figure that the example alert rules ask for.
func TestMetrics(t *testing.T) {
	e := testenv.Start(t, testenv.Options{Change: withMetrics})
	ctx := t.Context()
	at := e.Lab.Tenant("openharbour")
	tenant, err := e.AddTenant(ctx, client.TenantRequest{Tenant: at.Domain, Name: "Open Harbour"})
	if err != nil {
		t.Fatal(err)
	}
	add := func(name, password string) {
		t.Helper()
		c, err := e.AddConnection(ctx, client.ConnectionRequest{
			TenantID: tenant.ID, Kind: "service_account", Profile: client.Profile{Name: name, Username: at.User("svc-backup").UPN, Services: []string{"graph"}},
			Credential: client.CredentialRequest{Password: password},
		})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := e.Validate(ctx, c.ID); err != nil {
			t.Fatal(err)
		}
	}
	add("Right", *at.User("svc-backup").Password)
	add("Wrong", "planted wrong password")
	download(t, e)
	get(t, e.HTTP(), "BREW", e.URL+"/somewhere/"+tenant.ID, nil)

	text := scrape(t, e)
	for _, line := range []string{
		`gatehouse_build_info{version="test"} 1`, `gatehouse_database_up 1`, `gatehouse_connections{verdict="works"} 1`, `gatehouse_connections{verdict="failed"} 1`,
		`gatehouse_job_duration_seconds_count{kind="validation",outcome="done"} 2`, `gatehouse_microsoft_request_duration_seconds_count{code="200",service="login"}`,
		`gatehouse_http_request_duration_seconds_count{code="200",face="api",method="POST"}`, `method="other"`, `gatehouse_jobs_late_seconds 0`, `gatehouse_backup_last_timestamp_seconds 1.`,
		`go_goroutines`, `process_resident_memory_bytes`, `go_sql_open_connections{db_name="sqlite"}`,
	} {
		if !strings.Contains(text, line) {
			t.Errorf("%s is missing", line)
		}
	}
	for _, name := range []string{tenant.ID, "openharbour", "Right", "svc-backup", "contoso", "BREW", "somewhere", e.Token()} {
		if strings.Contains(text, name) {
			t.Errorf("metrics name %s", name)
		}
	}
	for name := range alerted(t) {
		if !strings.Contains(text, "\n"+name) {
			t.Errorf("a rule asks for %s, which there is not", name)
		}
	}

	if r := get(t, e.HTTP(), http.MethodGet, e.URL+"/metrics", nil); strings.Contains(string(r.Body), "gatehouse_") {
		t.Error("the public address gives metrics away")
	}
	if quiet := testenv.Bare(t, testenv.Options{Lab: e.Lab}); quiet.Server.MetricsAddress() != nil {
		t.Error("metrics are served without having been asked for")
	}
}

var figure = regexp.MustCompile(`\b(gatehouse_\w+)`)

// alerted are the figures of the example rules, each of which says what to do.
func alerted(t *testing.T) map[string]bool {
	t.Helper()
	data, err := os.ReadFile("../../docs/alerts.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Groups []struct {
			Rules []struct {
				Alert, Expr string
				Annotations map[string]string
			}
		}
	}
	if err := yaml.Unmarshal(data, &file); err != nil || len(file.Groups) == 0 {
		t.Fatalf("%v %v", file, err)
	}
	names := map[string]bool{}
	for _, rule := range file.Groups[0].Rules {
		if rule.Alert == "" || rule.Annotations["summary"] == "" || rule.Annotations["remedy"] == "" {
			t.Errorf("%s says too little", rule.Alert)
		}
		for _, m := range figure.FindAllStringSubmatch(rule.Expr, -1) {
			names[m[1]] = true
		}
	}
	if len(names) < 6 {
		t.Errorf("only %v", names)
	}
	return names
}

// A validation that Microsoft refuses stands in the log with the id under which
// the tenant's own log has it.
func TestLogHasCorrelationID(t *testing.T) {
	e := testenv.Start(t)
	ctx := t.Context()
	at := e.Lab.Tenant("openharbour")
	tenant, err := e.AddTenant(ctx, client.TenantRequest{Tenant: at.Domain, Name: "Open Harbour"})
	if err != nil {
		t.Fatal(err)
	}
	c, err := e.AddConnection(ctx, client.ConnectionRequest{
		TenantID: tenant.ID, Kind: "service_account", Profile: client.Profile{Name: "Wrong", Username: at.User("svc-backup").UPN, Services: []string{"graph"}},
		Credential: client.CredentialRequest{Password: "wrong"},
	})
	if err != nil {
		t.Fatal(err)
	}
	v, err := e.Validate(ctx, c.ID)
	if err != nil {
		t.Fatal(err)
	}
	want := ""
	for _, p := range v.Probes {
		if id, ok := p.Evidence["correlation_id"].(string); ok && p.State == "failed" {
			want = id
		}
	}
	type said struct {
		Service       string
		Code          string
		CorrelationID string `json:"correlation_id"`
	}
	lines := func() (all []said) {
		for line := range strings.Lines(e.Log()) {
			var l struct {
				Msg       string
				Verdict   string
				Microsoft said
			}
			if err := json.Unmarshal([]byte(line), &l); err != nil {
				t.Fatalf("%v in %s", err, line)
			}
			if l.Microsoft != (said{}) {
				all = append(all, l.Microsoft)
			}
		}
		return all
	}
	if all := lines(); want == "" || len(all) != 1 || all[0].CorrelationID != want || all[0].Code != "AADSTS50126" {
		t.Errorf("want %q in %+v", want, all)
	}
}

// An error of Microsoft's anywhere in a chain gives its line the ids; other
// errors and lines stay as they are.
func TestLinesAreCorrelated(t *testing.T) {
	var b bytes.Buffer
	log := slog.New(server.Correlated(slog.NewJSONHandler(&b, nil))).With("job", 7)
	said := &microsoft.Error{Service: "graph", Op: "listing policies", Status: 403, Code: "Authorization_RequestDenied", CorrelationID: "c-1", RequestID: "r-1", Message: "no"}
	log.Warn("a job failed", "error", fmt.Errorf("refreshing: %w", said))
	log.Warn("a job failed", "error", errors.New("disk full"))
	lines := strings.Split(strings.TrimSpace(b.String()), "\n")
	if len(lines) != 2 || !strings.Contains(lines[0], `"microsoft":{"service":"graph","status":403,"code":"Authorization_RequestDenied","correlation_id":"c-1","request_id":"r-1"}`) ||
		!strings.Contains(lines[0], `"job":7`) || strings.Contains(lines[1], "microsoft") {
		t.Errorf("%s", b.String())
	}
}
