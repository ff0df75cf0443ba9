package server_test

import (
	"context"
	"net/http"
	"strings"
	"testing"

	"gatehouse/internal/microsoft"
	"gatehouse/internal/server"
	"gatehouse/internal/testenv"
)

// The doctor looks after six things, and says what is the matter.
func TestDoctor(t *testing.T) {
	e := testenv.Start(t)
	findings, err := e.Doctor(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]string{}
	for _, f := range findings {
		seen[f.Name] = f.State
		if f.State == "failed" || f.Detail == "" {
			t.Errorf("%+v", f)
		}
	}
	for _, name := range []string{"clock", "disk", "database", "key", "egress", "dns"} {
		if seen[name] == "" {
			t.Errorf("%s is not looked after", name)
		}
	}
	for _, f := range server.ExamineMachine(context.Background(), e.Dir, microsoft.Cloud{Login: "https://127.0.0.1:1", Graph: "https://127.0.0.1:1"}) {
		if f.Name == "egress" && (f.State != "failed" || f.Way == "") || f.Name == "clock" && f.State != "unknown" {
			t.Errorf("with nothing to reach: %+v", f)
		}
	}
}

// A rotation of the keys begins once.
func TestRotateKeys(t *testing.T) {
	e := testenv.Start(t)
	if k, err := e.RotateKeys(t.Context()); err != nil || k.State != "distributed" {
		t.Fatalf("%+v %v", k, err)
	}
	_, err := e.RotateKeys(t.Context())
	if p := problem(t, err); p.Status != http.StatusConflict {
		t.Errorf("a second one: %+v", p)
	}
}

// The page of the API needs nothing from elsewhere and no script.
func TestAPIPage(t *testing.T) {
	e := testenv.Bare(t)
	page := string(get(t, e.HTTP(), http.MethodGet, e.URL+"/api/docs", nil).Body)
	for _, want := range []string{"/api/v1/tenants", "connection.validate", "urn:gatehouse:problem:refused", `href="/api/docs.css"`} {
		if !strings.Contains(page, want) {
			t.Errorf("%q is missing", want)
		}
	}
	for _, unwanted := range []string{"<script", "http://", "https://", " style="} {
		if strings.Contains(page, unwanted) {
			t.Errorf("there is %q in it", unwanted)
		}
	}
}
