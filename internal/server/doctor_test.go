package server_test

import (
	"crypto/x509"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"gatehouse/internal/microsoft"
	"gatehouse/internal/server"
	"gatehouse/internal/testenv"
)

// The doctor looks after seven things, and says what is the matter.
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
	for _, name := range []string{"clock", "disk", "database", "key", "mail", "egress", "dns"} {
		if seen[name] == "" {
			t.Errorf("%s is not looked after", name)
		}
	}
	// A server whose database has gone.
	if err := e.Stop(); err != nil {
		t.Fatal(err)
	}
	for _, f := range e.Server.Examine(t.Context()) {
		if (f.Name == "database" || f.Name == "key") && (f.State != "failed" || f.Way == "") {
			t.Errorf("without a database: %+v", f)
		}
	}
}

// What is the matter with the machine is told by what looks after it, with a
// way out, and by nothing else.
func TestDoctorFinds(t *testing.T) {
	var skew atomic.Int64
	remote := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Date", time.Now().Add(time.Duration(skew.Load())).UTC().Format(http.TimeFormat))
	}))
	defer remote.Close()
	roots := x509.NewCertPool()
	roots.AddCert(remote.Certificate())
	well := microsoft.Cloud{Login: remote.URL, Graph: remote.URL, Roots: roots}
	nobody := microsoft.Cloud{Login: "https://127.0.0.1:1", Graph: "https://127.0.0.1:1"}
	unnamed := microsoft.Cloud{Login: remote.URL, Graph: "https://no..name", Roots: roots}
	stranger := microsoft.Cloud{Login: remote.URL, Graph: remote.URL, Roots: x509.NewCertPool()}
	for name, test := range map[string]struct {
		dir   string
		cloud microsoft.Cloud
		skew  time.Duration
		want  string
	}{
		"all is well":             {t.TempDir(), well, 0, "clock passed dns passed egress passed"},
		"the clock is slow":       {t.TempDir(), well, 5 * time.Minute, "clock failed dns passed egress passed"},
		"the clock is fast":       {t.TempDir(), well, -5 * time.Minute, "clock failed dns passed egress passed"},
		"nothing can be reached":  {t.TempDir(), nobody, 0, "clock unknown dns passed egress failed"},
		"a stranger answers":      {t.TempDir(), stranger, 0, "clock unknown dns passed egress failed"},
		"a name is not found":     {t.TempDir(), unnamed, 0, "clock passed dns failed egress passed"},
		"there is no such folder": {filepath.Join(t.TempDir(), "none"), well, 0, "clock passed disk unknown dns passed egress passed"},
	} {
		skew.Store(int64(test.skew))
		var got []string
		for _, f := range server.ExamineMachine(t.Context(), test.dir, test.cloud) {
			if f.Name == "disk" && (f.State == "passed" || f.State == "warning") { // of this machine
				continue
			}
			got = append(got, f.Name+" "+f.State)
			if f.State != "passed" && (f.Way == "" || f.Detail == "") {
				t.Errorf("%s: %+v", name, f)
			}
		}
		slices.Sort(got)
		if text := strings.Join(got, " "); text != test.want {
			t.Errorf("%s: %s, want %s", name, text, test.want)
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
