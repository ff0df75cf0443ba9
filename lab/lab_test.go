package lab_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"gatehouse/lab"
)

func TestDiscovery(t *testing.T) {
	l := lab.Start(t)
	host := strings.TrimPrefix(l.URL(), "https://")
	discover := func(at, endpoint string) answer {
		return get(t, l, at+"/common/discovery/instance?api-version=1.1&authorization_endpoint="+url.QueryEscape(endpoint), "")
	}
	for _, real := range []string{host, "login.microsoftonline.com", "login.microsoftonline.us", "login.partner.microsoftonline.cn"} {
		a := discover("https://"+real, "https://"+real+"/openharbour.onmicrosoft.com/oauth2/v2.0/authorize")
		if want := "https://" + real + "/openharbour.onmicrosoft.com/v2.0/.well-known/openid-configuration"; a.text("tenant_discovery_endpoint") != want {
			t.Errorf("%s: endpoint %q, want %q", real, a.text("tenant_discovery_endpoint"), want)
		}
		// The host is an alias in exactly one group: clouds share no tokens.
		groups, _ := a.body["metadata"].([]any)
		in := 0
		for _, group := range groups {
			members, _ := group.(map[string]any)
			aliases, _ := members["aliases"].([]any)
			if slices.Contains(aliases, any(real)) {
				in++
			}
			if slices.Contains(aliases, any("login.microsoftonline.com")) && slices.Contains(aliases, any("login.microsoftonline.us")) {
				t.Errorf("two clouds in one group: %v", aliases)
			}
		}
		if in != 1 {
			t.Errorf("%s is an alias in %d groups: %s", real, in, a.raw)
		}
	}
	if a := discover(l.URL(), "https://evil.example/t/oauth2/v2.0/authorize"); a.status != 400 || a.text("error") != "invalid_instance" || a.code() != 50049 {
		t.Errorf("unknown host: %s", a.raw)
	}
}

func TestMetadata(t *testing.T) {
	l := lab.Start(t)
	id := l.Tenant("openharbour").ID
	for tenant, issuer := range map[string]string{
		id: l.URL() + "/" + id + "/v2.0", "openharbour.onmicrosoft.com": l.URL() + "/" + id + "/v2.0", "openharbour.example": l.URL() + "/" + id + "/v2.0",
		"common": l.URL() + "/{tenantid}/v2.0", "organizations": l.URL() + "/{tenantid}/v2.0",
	} {
		a := get(t, l, l.URL()+"/"+tenant+"/v2.0/.well-known/openid-configuration", "")
		if a.text("issuer") != issuer || a.text("token_endpoint") == "" || a.text("authorization_endpoint") == "" || a.text("jwks_uri") == "" {
			t.Errorf("%s: %s", tenant, a.raw)
		}
	}
	v1 := get(t, l, l.URL()+"/"+id+"/.well-known/openid-configuration", "")
	if v1.text("issuer") != "https://sts.windows.net/"+id+"/" || !strings.HasSuffix(v1.text("token_endpoint"), "/oauth2/token") {
		t.Errorf("v1.0: %s", v1.raw)
	}
	for host, want := range map[string][2]string{"login.microsoftonline.com": {"microsoftonline.com", "graph.microsoft.com"}, "login.microsoftonline.us": {"microsoftonline.us", "graph.microsoft.us"},
		"login.partner.microsoftonline.cn": {"partner.microsoftonline.cn", "microsoftgraph.chinacloudapi.cn"}} {
		a := get(t, l, "https://"+host+"/"+id+"/v2.0/.well-known/openid-configuration", "")
		if a.text("cloud_instance_name") != want[0] || a.text("msgraph_host") != want[1] || a.text("token_endpoint") != "https://"+host+"/"+id+"/oauth2/v2.0/token" {
			t.Errorf("%s: %s", host, a.raw)
		}
	}
	if a := get(t, l, l.URL()+"/nowhere.example/v2.0/.well-known/openid-configuration", ""); a.status != 400 || a.code() != 90002 || a.text("error") != "invalid_tenant" {
		t.Errorf("unknown tenant: %d %s", a.status, a.raw)
	}
}

func TestUserRealm(t *testing.T) {
	l := lab.Start(t)
	realm := func(upn string) answer {
		return get(t, l, l.URL()+"/common/UserRealm/"+url.PathEscape(upn)+"?api-version=1.0", "")
	}
	managed := realm("anyone@openharbour.example")
	// MSAL Go refuses a realm in which one of these is empty.
	for _, member := range []string{"account_type", "domain_name", "cloud_instance_name", "cloud_audience_urn"} {
		if managed.text(member) == "" {
			t.Errorf("managed realm lacks %s: %s", member, managed.raw)
		}
	}
	if managed.text("account_type") != "Managed" {
		t.Errorf("managed: %s", managed.raw)
	}
	federated := realm("svc-sync@corp.federaford.example")
	if federated.text("account_type") != "Federated" || federated.text("federation_metadata_url") == "" || federated.text("federation_protocol") != "WSTrust" {
		t.Errorf("federated: %s", federated.raw)
	}
	for _, upn := range []string{"someone@nowhere.example", "no-domain"} {
		if a := realm(upn); a.text("account_type") != "Unknown" {
			t.Errorf("%s: %s", upn, a.raw)
		}
	}
}

// One address serves everything by path; real host names serve one service.
func TestRouting(t *testing.T) {
	l := lab.Start(t)
	for address, want := range map[string]int{l.Tenant("openharbour").SharePointURL + "/_api/web": 401, "https://openharbour.sharepoint.com/_api/web": 401, "https://openharbour-admin.sharepoint.com/_api/web": 401,
		"https://nobody.sharepoint.com/_api/web": 404, l.URL() + "/environments/v1.2": 401, "https://api.businesscentral.dynamics.com/environments/v1.2": 401} {
		if a := get(t, l, address, ""); a.status != want {
			t.Errorf("%s: %d, want %d", address, a.status, want)
		}
	}
	token := signIn(t, l, "openharbour", "svc-backup", graphCLI).text("access_token")
	for _, root := range []string{l.URL(), "https://graph.microsoft.com", "https://graph.microsoft.us", "https://localhost" + l.URL()[strings.LastIndexByte(l.URL(), ':'):]} {
		if a := get(t, l, root+"/v1.0/me", token); a.status != http.StatusOK || a.text("userPrincipalName") != "svc-backup@openharbour.example" {
			t.Errorf("%s: %d %s", root, a.status, a.raw)
		}
	}
	if a := get(t, l, "https://login.microsoftonline.com/v1.0/me", token); a.status == http.StatusOK {
		t.Error("Graph answers under the sign-in service's name")
	}
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, l.URL()+"/common/discovery/keys", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Host = "evil.example"
	if a := do(t, l, r); a.status != http.StatusMisdirectedRequest {
		t.Errorf("a foreign host name is answered with %d", a.status)
	}
	if _, err := l.Client().Get("https://example.com/"); err == nil { //nolint:bodyclose // it must fail before any request
		t.Error("the lab's client reaches other hosts than the lab")
	}
}

func TestProxy(t *testing.T) {
	l := lab.Start(t)
	proxy, err := url.Parse(l.Ready().ProxyURL)
	if err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{Proxy: http.ProxyURL(proxy), TLSClientConfig: l.Transport().TLSClientConfig}
	t.Cleanup(transport.CloseIdleConnections)
	client := &http.Client{Transport: transport}
	response, err := client.Get("https://login.microsoftonline.com/common/discovery/keys")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if body, _ := io.ReadAll(response.Body); response.StatusCode != http.StatusOK || !bytes.Contains(body, []byte(`"RSA"`)) {
		t.Errorf("%d: %s", response.StatusCode, body)
	}
	if response, err := client.Get("https://example.com/"); err == nil {
		_ = response.Body.Close()
		t.Error("the proxy leads elsewhere")
	}
	plain, err := client.Get("http://example.com/")
	if err != nil {
		t.Fatal(err)
	}
	defer plain.Body.Close()
	if plain.StatusCode != http.StatusMethodNotAllowed {
		t.Errorf("plain HTTP through the proxy: %d", plain.StatusCode)
	}
}

// A state folder keeps ids, secrets, certificates and keys across starts.
func TestState(t *testing.T) {
	folder := t.TempDir()
	start := func(seed uint64) (*lab.Lab, error) { return lab.New(lab.Config{State: folder, Seed: seed}) }
	first, err := start(0)
	if err != nil {
		t.Fatal(err)
	}
	before := first.Ready()
	token := post(t, first, "/openharbour.onmicrosoft.com/oauth2/v2.0/token", secretForm(first.Tenant("openharbour").App("Backup app"))).text("access_token")
	certificate, err := os.ReadFile(*before.Tenants[0].Apps[0].CertificateFile)
	if err != nil {
		t.Fatal(err)
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	second, err := start(0)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := second.Close(); err != nil {
			t.Error(err)
		}
	}()
	after := second.Ready()
	if diff := cmp.Diff(placeless(before.Tenants), placeless(after.Tenants)); diff != "" || before.Seed != after.Seed {
		t.Errorf("tenants changed across starts:\n%s", diff)
	}
	again, err := os.ReadFile(*after.Tenants[0].Apps[0].CertificateFile)
	if err != nil || !bytes.Equal(certificate, again) {
		t.Errorf("the certificate changed: %v", err)
	}
	if a := get(t, second, second.URL()+"/v1.0/organization", token); a.status != http.StatusOK {
		t.Errorf("a token of the first start is refused by the second: %d %s", a.status, a.raw)
	}
	if _, err := start(before.Seed + 1); err == nil || !strings.Contains(err.Error(), "seed") {
		t.Errorf("another seed than the folder's: %v", err)
	}
	for _, file := range []string{"authority.pem", "signing.key", "seed.json"} {
		if info, err := os.Stat(filepath.Join(folder, file)); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", file, info, err)
		}
	}
}

// placeless leaves out what depends on the port of a start.
func placeless(tenants []lab.ReadyTenant) []lab.ReadyTenant {
	out := slices.Clone(tenants)
	for i := range out {
		out[i].SharePointURL = ""
	}
	return out
}

func TestSeed(t *testing.T) {
	one, same, other := lab.Start(t), lab.Start(t), lab.Start(t, lab.WithConfig(func(c *lab.Config) { c.Seed = 2 }))
	strip := func(l *lab.Lab) []lab.ReadyTenant {
		tenants := l.Ready().Tenants
		out := placeless(tenants)
		for i := range out {
			out[i].Apps = slices.Clone(out[i].Apps)
			for j := range out[i].Apps {
				out[i].Apps[j].CertificateFile = nil // lies in a folder of its own
			}
		}
		return out
	}
	if diff := cmp.Diff(strip(one), strip(same)); diff != "" {
		t.Errorf("equal seeds differ:\n%s", diff)
	}
	if cmp.Equal(strip(one), strip(other)) {
		t.Error("different seeds are equal")
	}
}

func TestReadyFile(t *testing.T) {
	l := lab.Start(t)
	file := filepath.Join(t.TempDir(), "lab.json")
	if err := l.WriteReady(file); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var ready map[string]any
	if err := json.Unmarshal(data, &ready); err != nil {
		t.Fatal(err)
	}
	for _, member := range []string{"url", "control_url", "proxy_url", "phone_url", "ca_file", "seed", "tenants"} {
		if ready[member] == nil {
			t.Errorf("%s is missing", member)
		}
	}
	tenants, _ := ready["tenants"].([]any)
	tenant, _ := tenants[0].(map[string]any)
	users, _ := tenant["users"].([]any)
	user, _ := users[0].(map[string]any)
	apps, _ := tenant["apps"].([]any)
	app, _ := apps[0].(map[string]any)
	for what, want := range map[*map[string]any][]string{
		&tenant: {"id", "domain", "story", "sharepoint_url", "users", "apps"},
		&user:   {"id", "upn", "password", "app_password", "totp_secret", "story"},
		&app:    {"client_id", "name", "purpose", "public", "secret", "certificate_file"},
	} {
		for _, member := range want {
			if _, ok := (*what)[member]; !ok {
				t.Errorf("%s is left out; without value it must be null", member)
			}
		}
	}
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the ready file holds credentials, its mode is %v, %v", info.Mode(), err)
	}
	for _, id := range []string{graphCLI, azureCLI, "31359c7f-bd7e-475c-86db-fdb8c937548e"} {
		for _, tenant := range l.Ready().Tenants {
			if !tenant.App(id).Public {
				t.Errorf("%s lacks the public client %s", tenant.Domain, id)
			}
		}
	}
}

func TestControl(t *testing.T) {
	l := lab.Start(t)
	send := func(method, path, body string, change func(*http.Request)) (int, string) {
		r, err := http.NewRequestWithContext(t.Context(), method, l.Ready().ControlURL+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		if change != nil {
			change(r)
		}
		response, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		data, err := io.ReadAll(response.Body)
		if err != nil {
			t.Fatal(err)
		}
		return response.StatusCode, string(data)
	}
	if status, body := send(http.MethodGet, "/health", "", nil); status != 200 || !strings.Contains(body, "ok") {
		t.Errorf("health: %d %s", status, body)
	}
	before := l.Now()
	if status, body := send(http.MethodPost, "/clock", `{"advance":"48h"}`, nil); status != 200 || !strings.Contains(body, "48h0m0s") {
		t.Errorf("clock: %d %s", status, body)
	}
	if moved := l.Now().Sub(before); moved < 48*time.Hour {
		t.Errorf("the clock moved by %v", moved)
	}
	for _, body := range []string{`{"advance":"soon"}`, `{"back":"1h"}`, `nonsense`} {
		if status, answer := send(http.MethodPost, "/clock", body, nil); status != 400 || len(answer) < 20 {
			t.Errorf("clock with %s: %d %s", body, status, answer)
		}
	}
	status, page := send(http.MethodGet, "/phone", "", nil)
	if status != 200 || !strings.Contains(page, "Wei Chen") || !strings.Contains(page, "wei.chen@callercove.example") {
		t.Errorf("phone page: %d %s", status, page)
	}
	// A page of another site must not reach the port, by form or by a name of
	// its own that resolves to loopback.
	if status, _ := send(http.MethodPost, "/clock", `{"advance":"1h"}`, func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", "cross-site") }); status != http.StatusForbidden {
		t.Errorf("cross-site: %d", status)
	}
	if status, _ := send(http.MethodGet, "/ready", "", func(r *http.Request) { r.Host = "rebound.example:80" }); status != http.StatusMisdirectedRequest {
		t.Errorf("rebound name: %d", status)
	}
}

// A lab that others may reach does not answer to Microsoft's names.
func TestNoRealNamesBeyondLoopback(t *testing.T) {
	l := lab.Start(t, lab.WithConfig(func(c *lab.Config) { c.Listen = "0.0.0.0:0" }))
	port := l.URL()[strings.LastIndexByte(l.URL(), ':'):]
	transport := &http.Transport{TLSClientConfig: l.Transport().TLSClientConfig}
	t.Cleanup(transport.CloseIdleConnections)
	ask := func(host string) int {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://127.0.0.1"+port+"/common/discovery/keys", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Host = host
		response, err := transport.RoundTrip(r)
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		return response.StatusCode
	}
	if status := ask("127.0.0.1" + port); status != http.StatusOK {
		t.Errorf("its own address: %d", status)
	}
	if status := ask("login.microsoftonline.com"); status != http.StatusMisdirectedRequest {
		t.Errorf("Microsoft's name: %d", status)
	}
}

func TestTenantsFileFaults(t *testing.T) {
	const file = `{"tenants":[
	 {"name":"A","domain":"a.onmicrosoft.com","licence":["SPE_E3"],"security_defaults":"yes","licences":["SPE_E33"],"lockout":{"threshold":0},
	  "consent":{"users":"everyone"},
	  "users":[
	   {"upn":"no-at-sign","per_user_mfa":"on"},
	   {"upn":"x@a.onmicrosoft.com","roles":["Exchnage Administrator"],"methods":[{"type":"phone"},{"type":"pigeon"},{"type":"oath","secret":"!"}],"type":"guest"},
	   {"upn":"y@a.onmicrosoft.com","password":" blank ","locked":1}],
	  "apps":[{"name":"P","public":true,"secret":true},{"client_id":"42","name":"Q","secret":{"value":"short","expires":"tomorrow"},"granted":{"graph":["User.Raed.All"],"sharepiont":[]}}],
	  "grants":[{"app":"P"}],"partners":[{"domain":"b.onmicrosoft.com"}]},
	 {"name":"B","domain":"not a domain"},
	 7]}`
	err := lab.Check(strings.NewReader(file))
	faults, ok := err.(lab.FileFaults) //nolint:errorlint // the contract of Check
	if !ok {
		t.Fatalf("got %T: %v", err, err)
	}
	got := err.Error()
	for _, want := range []string{
		`tenants[0]: unknown member "licence"; did you mean "licences"?`,
		`tenants[0].security_defaults: is a string, must be true or false`,
		`tenants[0].licences[0]: unknown licence "SPE_E33"; did you mean`,
		`tenants[0].lockout.threshold: is 0`,
		`tenants[0].consent.users: is "everyone", must be one of`,
		`tenants[0].users[0].upn: is "no-at-sign", must look like name@domain`,
		`tenants[0].users[0].per_user_mfa: is "on", must be one of`,
		`tenants[0].users[1].roles[0]: unknown directory role "Exchnage Administrator"; did you mean "Exchange Administrator"?`,
		`tenants[0].users[1].methods[0].phone: is missing`,
		`tenants[0].users[1].methods[1].type: is "pigeon"`,
		`tenants[0].users[1].methods[2].secret: is not base32`,
		`tenants[0].users[1].guest_of: names a guest's home tenant`,
		`tenants[0].users[2].password: begins or ends with a blank`,
		`tenants[0].users[2].locked: is a number, must be true or false`,
		`tenants[0].apps[0].public: is true`,
		`tenants[0].apps[1].client_id: is "42", must be a GUID`,
		`tenants[0].apps[1].secret.value: has 5 characters`,
		`tenants[0].apps[1].secret.expires: is "tomorrow", must be a time`,
		`tenants[0].apps[1].granted.graph[0]: is "User.Raed.All", which Microsoft Graph does not have; did you mean "User.Read.All"?`,
		`tenants[0].apps[1].granted: unknown member "sharepiont"; did you mean "sharepoint"?`,
		`tenants[0].grants[0].scopes: is missing or empty`,
		`tenants[0].partners[0].access: is missing`,
		`tenants[1].domain: is "not a domain", must be a domain name`,
		`tenants[2]: is a number, must be an object`,
	} {
		if !strings.Contains(got, want) {
			t.Errorf("not reported: %s", want)
		}
	}
	if t.Failed() {
		t.Logf("%d faults:\n%s", len(faults), got)
	}
}

func TestTenantsFileReferences(t *testing.T) {
	const file = `{"tenants":[
	 {"name":"A","domain":"a.onmicrosoft.com",
	  "users":[{"upn":"x@a.onmicrosoft.com"},{"upn":"X@a.onmicrosoft.com"},{"upn":"y@b.onmicrosoft.com"},{"upn":"g@c.onmicrosoft.com","type":"guest","guest_of":"c.onmicrosoft.com"}],
	  "groups":[{"name":"G","members":["x@a.onmicrosoft.con"]}],
	  "apps":[{"name":"P","assigned":["nobody"]},{"name":"Q","from":"b.onmicrosoft.com"}],
	  "grants":[{"app":"missing","scopes":["User.Read"],"user":"z@a.onmicrosoft.com"}],
	  "partners":[{"domain":"b.onmicrosoft.com","access":{"H":["User Administrator"]}}]},
	 {"name":"B","domain":"b.onmicrosoft.com"},{"name":"B2","domain":"b.onmicrosoft.com"}]}`
	err := lab.Check(strings.NewReader(file))
	if err == nil {
		t.Fatal("no fault found")
	}
	for _, want := range []string{
		`tenants[0].users[1].upn: tenants[0] user "X@a.onmicrosoft.com" is given twice, first at tenants[0].users[0].upn`,
		`tenants[0].users[2].upn: has the domain "b.onmicrosoft.com", which the tenant a.onmicrosoft.com does not have`,
		`tenants[0].users[3].guest_of: is "c.onmicrosoft.com", which no tenant of this file has`,
		`tenants[0].groups[0].members[0]: no user, group or app of this tenant is called "x@a.onmicrosoft.con"; did you mean "x@a.onmicrosoft.com"?`,
		`tenants[0].apps[0].assigned[0]: no user or group of this tenant is called "nobody"`,
		`tenants[0].apps[1].name: the tenant b.onmicrosoft.com registers no app called "Q"`,
		`tenants[0].grants[0].app: no app of this tenant is called "missing"`,
		`tenants[0].grants[0].user: no user of this tenant is called "z@a.onmicrosoft.com"`,
		`tenants[0].partners[0].access: the partner b.onmicrosoft.com has no group called "H"`,
		`tenants[2].domain: domain "b.onmicrosoft.com" is given twice, first at tenants[1].domain`,
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("not reported: %s\ngot:\n%v", want, err)
		}
	}
}

func TestTenantsFileSyntax(t *testing.T) {
	for file, want := range map[string]string{
		"{\n \"tenants\": [\n  {,}\n]}": "line 3",
		``:                              "not JSON",
		`{"tenants":[]} trailing`:       "more after its end",
		`[]`:                            "must be an object",
		`{"tenants":[]}`:                "at least one tenant",
	} {
		if err := lab.Check(strings.NewReader(file)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", file, err, want)
		}
	}
	if err := lab.Check(strings.NewReader("\xef\xbb\xbf" + lab.BuiltIn())); err != nil {
		t.Errorf("the built-in tenants with a byte order mark: %v", err)
	}
}

func FuzzTenantsFile(f *testing.F) {
	f.Add(lab.BuiltIn())
	f.Add(`{"tenants":[{"name":"A","domain":"a.onmicrosoft.com","users":[{"upn":"x@a.onmicrosoft.com","methods":[{"type":"phone","phone":"1"}]}]}]}`)
	f.Add(`{"tenants":[null,7,"x",[],{}]}`)
	f.Fuzz(func(t *testing.T, file string) {
		// Whatever passes the check must also start, and nothing may crash.
		if lab.Check(strings.NewReader(file)) != nil {
			return
		}
		l, err := lab.New(lab.Config{Tenants: strings.NewReader(file), Seed: 1})
		if err != nil {
			t.Fatalf("the file passes the check, but the lab does not start: %v", err)
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
	})
}

func ExampleNew() {
	l, err := lab.New(lab.Config{Seed: 7})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer l.Close()
	tenant := l.Tenant("defaultshield")
	user := tenant.User("svc-connection")
	response, err := l.Client().PostForm("https://login.microsoftonline.com/"+tenant.ID+"/oauth2/v2.0/token", url.Values{
		"grant_type": {"password"}, "client_id": {"14d82eec-204b-4c2f-b7e8-296a70dab67e"}, "scope": {"https://graph.microsoft.com/.default"},
		"username": {user.UPN}, "password": {*user.Password},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer response.Body.Close()
	var refusal struct {
		Codes []int `json:"error_codes"`
	}
	if err := json.NewDecoder(response.Body).Decode(&refusal); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(response.StatusCode, refusal.Codes)
	// Output: 400 [50076]
}
