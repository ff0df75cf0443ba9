package server_test

import (
	"bytes"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"io"
	"io/fs"
	"math/big"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"gatehouse/client"
	"gatehouse/internal/sqldb/dbtest"
	"gatehouse/internal/testenv"
)

// recorder keeps all that a server answers.
type recorder struct {
	http.RoundTripper
	mu  sync.Mutex
	all bytes.Buffer
}

// RoundTrip sends a request and reads the answer to its end.
func (r *recorder) RoundTrip(request *http.Request) (*http.Response, error) {
	response, err := r.RoundTripper.RoundTrip(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return nil, err
	}
	response.Body = io.NopCloser(bytes.NewReader(body))
	r.mu.Lock()
	defer r.mu.Unlock()
	_ = response.Header.Write(&r.all) // to memory
	r.all.Write(body)
	return response, nil
}

// shapes are the ways in which a secret may lie somewhere: as it is, escaped, in
// hexadecimal digits, in base64 at any place of a longer text.
func shapes(secret string) []string {
	quoted, _ := json.Marshal(secret) // a string
	all := []string{secret, string(quoted[1 : len(quoted)-1]), url.QueryEscape(secret), hex.EncodeToString([]byte(secret))}
	for shift := range 3 {
		text := base64.StdEncoding.EncodeToString(append(make([]byte, shift), secret...))
		text = strings.TrimRight(text, "=")[2*shift : len(text)-4]
		all = append(all, text, strings.NewReplacer("+", "-", "/", "_").Replace(text))
	}
	return all
}

// planted makes a certificate with its key, and gives what is secret of it.
func planted(t *testing.T) (text string, secret string) {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "planted"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(1000 * time.Hour)}
	certificate, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	encoded := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})
	return string(encoded) + string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate})), strings.Split(string(encoded), "\n")[2]
}

// content is all that a database holds, as text.
func content(t *testing.T, e *testenv.Env) string {
	t.Helper()
	db := dbtest.Open(t, e.Database)
	if !db.Postgres() {
		var all []byte
		for _, suffix := range []string{"", "-wal"} {
			data, err := os.ReadFile(e.Database + suffix)
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, data...)
		}
		return string(all)
	}
	var tables, rows []string
	if err := db.Read().NewRaw("SELECT table_name FROM information_schema.tables WHERE table_schema = 'public' AND table_type = 'BASE TABLE'").Scan(t.Context(), &tables); err != nil || len(tables) < 20 {
		t.Fatalf("%d tables %v", len(tables), err)
	}
	for _, table := range tables {
		var some []string
		if err := db.Read().NewRaw(`SELECT row_to_json(r)::text FROM "`+table+`" AS r`).Scan(t.Context(), &some); err != nil {
			t.Fatal(err)
		}
		rows = append(rows, some...)
	}
	return strings.Join(rows, "\n")
}

var link = regexp.MustCompile(`(?:href|hx-get|action)="(/[^"#]*)`)

// crawl reads every page that a page leads to.
func crawl(t *testing.T, c *http.Client, e *testenv.Env, paths ...string) int {
	t.Helper()
	for i := 0; i < len(paths); i++ {
		if strings.HasPrefix(paths[i], "/live") {
			continue // a stream
		}
		r := get(t, c, http.MethodGet, e.URL+paths[i], nil, "Cookie", "__Host-gatehouse="+e.Token())
		if r.StatusCode >= http.StatusInternalServerError {
			t.Errorf("%s: %s %s", paths[i], r.Status, r.Body)
		}
		for _, m := range link.FindAllSubmatch(r.Body, -1) {
			path := strings.ReplaceAll(string(m[1]), "&amp;", "&")
			if !slices.Contains(paths, path) && len(paths) < 500 {
				paths = append(paths, path)
			}
		}
	}
	return len(paths)
}

// What was given to the server as a secret is nowhere to be read again: not in
// the database, the log, the files beside it, pages, answers, errors or the
// exported audit log. Only the answer that hands one out holds it.
func TestPlantedSecrets(t *testing.T) {
	testenv.Each(t, func(t *testing.T, e *testenv.Env) {
		ctx := t.Context()
		pair, key := planted(t)
		secrets := map[string]string{
			"the operator's password": testenv.Password, "the session": e.Token(), "the set-up link": lastPart(e.SetUpLink()), "the certificate's key": key,
			"a wrong password": "planted wrong password", "a right password": "", "a client secret": "planted-client~secret_1", "a registration's secret": "planted-registration~secret_1", "a wrong old password": "planted old password",
			"a password in a broken request": "planted broken password", "a password without account": "planted nobody's password",
		}
		invited, err := e.Invite(ctx, client.InviteRequest{Email: "eve@contoso.example", Name: "Eve"})
		if err != nil {
			t.Fatal(err)
		}
		secrets["an invitation"] = lastPart(invited.Link)
		generator, err := e.NewGenerator(ctx)
		if err != nil {
			t.Fatal(err)
		}
		secrets["a code generator"] = generator.Secret

		seen := &recorder{RoundTripper: e.HTTP().Transport}
		watched := &http.Client{Transport: seen, Timeout: time.Minute, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
		c := e.NewClient(client.WithHTTPClient(watched), client.WithToken(e.Token()))
		at := e.Lab.Tenant("openharbour")
		tenant, err := c.AddTenant(ctx, client.TenantRequest{Tenant: at.Domain, Name: "Open Harbour"})
		if err != nil {
			t.Fatal(err)
		}
		user := at.Users[0]
		secrets["a right password"] = *user.Password
		add := func(name, kind, username string, credential client.CredentialRequest) {
			t.Helper()
			r := client.ConnectionRequest{TenantID: tenant.ID, Kind: kind, Profile: client.Profile{Name: name, Username: username, Services: []string{"graph"}}, Credential: credential}
			if kind == "app" {
				r.ClientID = "11111111-2222-3333-4444-555555555555"
			}
			added, err := c.AddConnection(ctx, r)
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			if _, err := c.Validate(ctx, added.ID); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
		}
		add("Visible harbour", "service_account", user.UPN, client.CredentialRequest{Password: secrets["a right password"]})
		add("Wrong password", "service_account", "svc@"+at.Domain, client.CredentialRequest{Password: secrets["a wrong password"]})
		add("Client secret", "app", "", client.CredentialRequest{Secret: secrets["a client secret"]})
		add("Certificate", "app", "", client.CredentialRequest{CertificatePEM: pair})
		add("Made here", "app", "", client.CredentialRequest{Generate: true})
		if _, err := c.OnboardReader(ctx, tenant.ID, client.ReaderRequest{ClientID: "11111111-2222-3333-4444-555555555555"}); err != nil {
			t.Fatal(err)
		}
		_, _ = c.CheckReader(ctx, tenant.ID) // refused, as nobody consented
		g, err := c.AddRegistration(ctx, client.NewRegistration{Kind: "confidential", RegistrationDetails: client.RegistrationDetails{Name: "Ledgers", ClientIDs: map[string]string{"lab": at.App("Backup app").ClientID}}})
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range []client.NewCredential{{Generate: true}, {CertificatePEM: pair}, {Secret: secrets["a registration's secret"]}} {
			k, err := c.AddRegistrationCredential(ctx, g.ID, r)
			if err == nil {
				_, err = c.CheckRegistrationCredential(ctx, g.ID, k.ID, client.CheckRequest{TenantID: tenant.ID})
			}
			if err != nil {
				t.Fatal(err)
			}
		}

		// What goes wrong tells no secret either.
		broken := secrets["a password in a broken request"]
		for path, body := range map[string]string{
			"/connections":  `{"tenant_id":"` + tenant.ID + `","kind":"` + broken + `","name":"` + strings.Repeat("n", 300) + `","credential":{"password":"` + broken + `"},"more":"` + broken + `"}`,
			"/session":      `{"email":"ada@contoso.example","password":"` + broken + `","more":"` + broken + `"}`,
			"/session/code": `{"code":"738291"}`, "/setup": `{"link":"` + secrets["an invitation"] + `x","password":"` + broken + `"}`,
			"/tenants": `{"tenant":"` + broken, "/operators": `["` + broken + `"]`,
		} {
			if r := get(t, watched, http.MethodPost, e.URL+"/api/v1"+path, strings.NewReader(body), "Content-Type", "application/json", "Authorization", "Bearer "+e.Token(), "Idempotency-Key", path); r.StatusCode < 400 {
				t.Errorf("%s: %s", path, r.Status)
			}
		}
		for path, form := range map[string]url.Values{
			"/sign-in":           {"email": {"nobody@contoso.example"}, "password": {secrets["a password without account"]}},
			"/connections/new":   {"tenant": {tenant.ID}, "kind": {"service_account"}, "username": {"x"}, "password": {broken}, "secret": {broken}},
			"/settings/password": {"old": {secrets["a wrong old password"]}, "password": {broken}, "again": {broken + "x"}},
			"/sign-in/factor":    {"code": {"738291"}},
		} {
			if r := get(t, watched, http.MethodPost, e.URL+path, strings.NewReader(form.Encode()), "Content-Type", "application/x-www-form-urlencoded", "Cookie", "__Host-gatehouse="+e.Token()); r.StatusCode >= 500 {
				t.Errorf("%s: %s", path, r.Status)
			}
		}

		if n := crawl(t, watched, e, "/", "/tenants", "/connections", "/jobs", "/audit", "/operators", "/settings", "/developers", "/sign-in", "/nowhere"); n < 30 {
			t.Errorf("only %d pages", n)
		}
		for _, path := range paths(t, e, tenant.ID) {
			get(t, watched, http.MethodGet, e.URL+path, nil, "Authorization", "Bearer "+e.Token())
		}
		if _, err := c.VerifyAudit(ctx); err != nil {
			t.Error(err)
		}
		rows := content(t, e)
		if err := e.Stop(); err != nil {
			t.Fatal(err)
		}
		places := map[string]string{"the database": rows, "the log": e.Log(), "pages and answers": seen.all.String(), "files": files(t, e)}
		for place, text := range places {
			if mark := map[string]string{"the database": "Visible harbour", "pages and answers": "Visible harbour", "the log": `"path":"/connections"`, "files": "CERTIFICATE"}[place]; !strings.Contains(text, mark) {
				t.Errorf("%s: %q is not found either", place, mark)
			}
			for what, secret := range secrets {
				for _, shape := range shapes(secret) {
					if i := strings.Index(text, shape); i >= 0 {
						t.Errorf("%s shows %s: …%q", place, what, text[max(0, i-100):i])
					}
				}
			}
		}
		if strings.Contains(rows+e.Log()+seen.all.String(), "PRIVATE KEY") {
			t.Error("a private key that was made here can be read")
		}
	})
}

func lastPart(link string) string { return link[strings.LastIndex(link, "/")+1:] }

// files are those of the data folder but the database and the keys themselves.
func files(t *testing.T, e *testenv.Env) string {
	t.Helper()
	var all []byte
	folder := os.DirFS(e.Dir)
	if err := fs.WalkDir(folder, ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || filepath.Ext(path) == ".key" {
			return err
		}
		data, err := fs.ReadFile(folder, path)
		all = append(all, data...)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	return string(all)
}

// paths are all that the API answers to GET, with each thing that there is in
// place of its id.
func paths(t *testing.T, e *testenv.Env, tenant string) (all []string) {
	t.Helper()
	var document struct {
		Paths map[string]map[string]any `json:"paths"`
	}
	if err := json.Unmarshal(get(t, e.HTTP(), http.MethodGet, e.URL+"/api/openapi.json", nil).Body, &document); err != nil {
		t.Fatal(err)
	}
	ids := map[string][]string{"tenants": {tenant}}
	for noun, into := range map[string]string{"connections": "connections", "operators": "operators", "jobs": "jobs"} {
		var list struct{ Items []struct{ ID any } }
		if err := json.Unmarshal(get(t, e.HTTP(), http.MethodGet, e.URL+"/api/v1/"+noun, nil, "Authorization", "Bearer "+e.Token()).Body, &list); err != nil || len(list.Items) == 0 {
			t.Fatalf("%s: %v", noun, err)
		}
		for _, item := range list.Items {
			id, _ := json.Marshal(item.ID)
			ids[into] = append(ids[into], strings.Trim(string(id), `"`))
		}
	}
	for _, connection := range ids["connections"] {
		runs, _, err := e.Validations(t.Context(), connection, client.Page{})
		if err != nil {
			t.Fatal(err)
		}
		for _, run := range runs {
			ids["validations"] = append(ids["validations"], run.ID)
		}
	}
	for path, methods := range document.Paths {
		if methods["get"] == nil || strings.HasSuffix(path, "events") {
			continue
		}
		noun := strings.Split(path, "/")[3]
		if !strings.Contains(path, "{id}") {
			all = append(all, path)
		}
		for _, id := range ids[noun] {
			if strings.Contains(path, "{id}") {
				all = append(all, strings.Replace(path, "{id}", id, 1))
			}
		}
	}
	if len(all) < 25 {
		t.Errorf("only %v", all)
	}
	return all
}
