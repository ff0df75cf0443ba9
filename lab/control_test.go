package lab_test

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"gatehouse/lab"
)

// ask sends a request to the control port.
func ask(t *testing.T, l *lab.Lab, method, path, body string) (int, map[string]any, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, l.Ready().ControlURL+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
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
	var out map[string]any
	_ = json.Unmarshal(data, &out) // errors are text
	return response.StatusCode, out, string(data)
}

// try sends a sign-in or a Graph call and tells how it ended, without failing
// on broken answers.
func try(t *testing.T, l *lab.Lab, r *http.Request) (status int, header http.Header, body []byte, err error) {
	t.Helper()
	client := l.Client()
	defer client.CloseIdleConnections()
	response, err := client.Do(r)
	if err != nil {
		return 0, nil, nil, err
	}
	defer response.Body.Close()
	body, err = io.ReadAll(response.Body)
	return response.StatusCode, response.Header, body, err
}

func graphCall(t *testing.T, l *lab.Lab, path, token string) *http.Request {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, l.URL()+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+token)
	return r
}

// Each kind of fault shows as what it is, as often as asked and only where it
// is meant.
func TestFaults(t *testing.T) {
	l := lab.Start(t)
	token := post(t, l, "/openharbour.onmicrosoft.com/oauth2/v2.0/token", secretForm(l.Tenant("openharbour").App("Backup app"))).text("access_token")
	add := func(fault string) {
		t.Helper()
		l.ClearFaults()
		if status, _, body := ask(t, l, http.MethodPost, "/faults", fault); status != http.StatusCreated {
			t.Fatalf("%d: %s", status, body)
		}
	}
	call := func() (int, http.Header, []byte, error) {
		return try(t, l, graphCall(t, l, "/v1.0/organization", token))
	}

	add(`{"kind":"status","service":"graph","retry_after":"7","times":2}`)
	for range 2 {
		if status, header, body, err := call(); err != nil || status != 429 || header.Get("Retry-After") != "7" || !json.Valid(body) {
			t.Errorf("throttled: %d %v %s %v", status, header.Get("Retry-After"), body, err)
		}
	}
	if status, _, _, _ := call(); status != 200 {
		t.Errorf("after two times: %d", status)
	}
	add(`{"kind":"status","status":503}`)
	if status, header, _, _ := call(); status != 503 || header.Values("Retry-After") != nil {
		t.Errorf("503 without Retry-After: %d %v", status, header)
	}
	add(`{"kind":"reset"}`)
	if status, _, _, err := call(); err == nil {
		t.Errorf("reset: answered %d", status)
	}
	add(`{"kind":"cut"}`)
	if status, _, body, err := call(); err == nil || len(body) == 0 {
		t.Errorf("cut: %d, %d bytes, %v", status, len(body), err)
	}
	add(`{"kind":"malformed"}`)
	if status, _, body, err := call(); err != nil || status != 200 || len(body) == 0 || json.Valid(body) {
		t.Errorf("malformed: %d %v %s", status, err, body)
	}
	add(`{"kind":"html"}`)
	if _, header, body, err := call(); err != nil || !strings.HasPrefix(header.Get("Content-Type"), "text/html") || !strings.Contains(string(body), "<html") {
		t.Errorf("html: %v %s", err, body)
	}
	add(`{"kind":"latency","delay":"150ms"}`)
	begin := time.Now()
	if status, _, _, _ := call(); status != 200 || time.Since(begin) < 150*time.Millisecond {
		t.Errorf("latency: %d after %v", status, time.Since(begin))
	}
	// Only where it is meant.
	add(`{"kind":"status","status":500,"service":"graph","path":"/v1.0/users/**","method":"GET"}`)
	if status, _, _, _ := call(); status != 200 {
		t.Errorf("another path: %d", status)
	}
	if status, _, _, _ := try(t, l, graphCall(t, l, "/v1.0/users/svc-backup@openharbour.example/memberOf", token)); status != 500 {
		t.Errorf("the path meant: %d", status)
	}
	add(`{"kind":"status","status":429,"grant_type":"password"}`)
	if a := signIn(t, l, "openharbour", "svc-backup", graphCLI); a.status != 429 {
		t.Errorf("password grant: %d", a.status)
	}
	if a := post(t, l, "/openharbour.onmicrosoft.com/oauth2/v2.0/token", secretForm(l.Tenant("openharbour").App("Backup app"))); a.status != 200 {
		t.Errorf("another grant: %d", a.status)
	}
	_, list, _ := ask(t, l, http.MethodGet, "/faults", "")
	faults, _ := list["faults"].([]any)
	fault, _ := faults[0].(map[string]any)
	id, _ := fault["id"].(string)
	if status, _, _ := ask(t, l, http.MethodDelete, "/faults/"+id, ""); status != 204 {
		t.Errorf("ending fault %s: %d", id, status)
	}
	if status, _, _ := ask(t, l, http.MethodDelete, "/faults/"+id, ""); status != 404 {
		t.Errorf("ending it again: %d", status)
	}
	for _, bad := range []string{`{"kind":"flood"}`, `{}`, `{"kind":"status","status":200}`, `{"kind":"latency","delay":"long"}`, `{"kind":"html","service":"grahp"}`, `{"kind":"html","path":"v1.0"}`,
		`{"kind":"html","path":"/["}`, `{"kind":"html","probability":2}`, `{"kind":"html","colour":"red"}`, `nonsense`} {
		if status, _, body := ask(t, l, http.MethodPost, "/faults", bad); status != 400 || len(body) < 15 {
			t.Errorf("%s: %d %s", bad, status, body)
		}
	}
}

// Faults by address need no control call.
func TestFaultsByAddress(t *testing.T) {
	l := lab.Start(t)
	form := func(user string) *http.Request {
		body := passwordForm(graphCLI, user, "x").Encode()
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, l.URL()+"/openharbour.onmicrosoft.com/oauth2/v2.0/token", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		return r
	}
	for user, want := range map[string]struct {
		status int
		after  string
	}{"temp503@openharbour.example": {503, "2"}, "temp429@openharbour.example": {429, "2"}, "temp429none@openharbour.example": {429, ""}, "slow0@openharbour.example": {400, ""},
		"html@openharbour.example": {200, ""}, "malformed@openharbour.example": {400, ""}, "temperate@openharbour.example": {400, ""}} {
		status, header, body, err := try(t, l, form(user))
		if err != nil || status != want.status || header.Get("Retry-After") != want.after {
			t.Errorf("%s: %d, Retry-After %q, %v: %s", user, status, header.Get("Retry-After"), err, body)
		}
	}
	for _, user := range []string{"reset@openharbour.example", "cut@openharbour.example"} {
		if _, _, _, err := try(t, l, form(user)); err == nil {
			t.Errorf("%s: a whole answer", user)
		}
	}
	token := post(t, l, "/openharbour.onmicrosoft.com/oauth2/v2.0/token", secretForm(l.Tenant("openharbour").App("Backup app"))).text("access_token")
	if status, _, _, _ := try(t, l, graphCall(t, l, "/v1.0/users/temp503@openharbour.example", token)); status != 503 {
		t.Errorf("in a Graph path: %d", status)
	}
}

// The journal tells what was asked, without secrets, and asserts it.
func TestJournal(t *testing.T) {
	l := lab.Start(t)
	app := l.Tenant("openharbour").App("Backup app")
	user := l.Tenant("openharbour").User("svc-backup")
	token := post(t, l, "/openharbour.onmicrosoft.com/oauth2/v2.0/token", secretForm(app)).text("access_token")
	signIn(t, l, "openharbour", "svc-backup", graphCLI)
	for range 3 {
		get(t, l, l.URL()+"/v1.0/organization?$select=id&code=planted", token)
	}
	_, _, raw := ask(t, l, http.MethodGet, "/journal", "")
	for _, secret := range []string{*app.Secret, *user.Password, token, "planted"} {
		if strings.Contains(raw, secret) || strings.Contains(raw, url.QueryEscape(secret)) {
			t.Errorf("the journal shows a secret: %s", raw)
		}
	}
	for query, want := range map[string]int{
		"service=graph&count=3": 200, "service=graph&path=/v1.0/*&at_least=2&at_most=3": 200, "service=graph&count=2": 409, "grant_type=password&username=" + user.UPN + "&count=1": 200,
		"client_id=" + app.ClientID + "&status=200&count=1": 200, "status=500&count=0": 200, "service=graph": 400, "count=many": 400, "colour=red&count=1": 400, "status=x&count=1": 400,
	} {
		if status, _, body := ask(t, l, http.MethodGet, "/journal/assert?"+query, ""); status != want {
			t.Errorf("%s: %d, want %d: %s", query, status, want, body)
		}
	}
	if status, _, _ := ask(t, l, http.MethodDelete, "/journal", ""); status != 204 || len(l.Journal()) != 0 {
		t.Errorf("forgetting: %d, %d left", status, len(l.Journal()))
	}
}

// Tenants are added and changed while the lab runs.
func TestTenantsAtRunTime(t *testing.T) {
	l := lab.Start(t)
	const file = `{"tenants":[{"name":"Late","domain":"late.onmicrosoft.com","users":[{"upn":"svc@late.onmicrosoft.com","password":"pass-word-1","methods":[{"type":"oath"}]}],
	 "grants":[{"app":"Microsoft Graph Command Line Tools","scopes":["User.Read"]}]}]}`
	if status, _, body := ask(t, l, http.MethodPost, "/tenants", file); status != http.StatusCreated || !strings.Contains(body, "svc@late.onmicrosoft.com") {
		t.Fatalf("%d: %s", status, body)
	}
	if status, _, body := ask(t, l, http.MethodPost, "/tenants", file); status != 400 || !strings.Contains(body, "already") {
		t.Errorf("the same again: %d %s", status, body)
	}
	if status, _, body := ask(t, l, http.MethodPost, "/tenants", `{"tenants":[{"name":"X","domain":"x"}]}`); status != 400 || !strings.Contains(body, "tenants[0].domain") {
		t.Errorf("a faulty file: %d %s", status, body)
	}
	code := func() int { return signIn(t, l, "late", "svc", graphCLI).code() }
	patch := func(path, body string) {
		t.Helper()
		if status, _, answer := ask(t, l, http.MethodPatch, path, body); status != 204 {
			t.Fatalf("%s %s: %d %s", path, body, status, answer)
		}
	}
	const user = "/tenants/late.onmicrosoft.com/users/svc@late.onmicrosoft.com"
	steps := []struct {
		path, body string
		want       int
	}{
		{"/tenants/late.onmicrosoft.com", `{"consent":{"users":"none"}}`, 0},
		{user, `{"per_user_mfa":"enforced"}`, 50076}, {user, `{"per_user_mfa":"disabled"}`, 0}, {user, `{"enabled":false}`, 50057}, {user, `{"enabled":true}`, 0},
		{user, `{"locked":true}`, 50053}, {user, `{"locked":false}`, 0}, {user, `{"password_expired":true}`, 50055}, {user, `{"password_expired":false}`, 0}, {user, `{"password":"another-one"}`, 50126},
	}
	for _, step := range steps {
		patch(step.path, step.body)
		if got := code(); got != step.want {
			t.Errorf("after %s: %d, want %d", step.body, got, step.want)
		}
	}
	for path, body := range map[string]string{"/tenants/nowhere.onmicrosoft.com": `{}`, "/tenants/late.onmicrosoft.com/users/nobody@late.onmicrosoft.com": `{}`} {
		if status, _, _ := ask(t, l, http.MethodPatch, path, body); status != 404 {
			t.Errorf("%s: %d", path, status)
		}
	}
	for path, body := range map[string]string{"/tenants/late.onmicrosoft.com": `{"consent":{"users":"some"}}`, user: `{"per_user_mfa":"on"}`, "/tenants/late.onmicrosoft.com/": `{"colour":1}`} {
		if status, _, answer := ask(t, l, http.MethodPatch, path, body); status != 400 && status != 404 || answer == "" {
			t.Errorf("%s %s: %d %s", path, body, status, answer)
		}
	}
}

// What was exported is there again after it was loaded, into this lab or
// another.
func TestStateExport(t *testing.T) {
	l, other := lab.Start(t), lab.Start(t, lab.WithConfig(func(c *lab.Config) { c.Seed = 99 }))
	_, _, saved := ask(t, l, http.MethodGet, "/state", "")
	for _, secret := range []string{*l.Tenant("openharbour").App("Backup app").Secret, *l.Tenant("openharbour").User("svc-backup").Password} {
		if strings.Contains(saved, secret) {
			t.Error("the state shows a secret")
		}
	}
	if status, _, _ := ask(t, l, http.MethodPatch, "/tenants/openharbour.onmicrosoft.com/users/svc-backup@openharbour.example", `{"enabled":false}`); status != 204 {
		t.Fatal(status)
	}
	if got := signIn(t, l, "openharbour", "svc-backup", graphCLI).code(); got != 50057 {
		t.Fatalf("disabled: %d", got)
	}
	for _, into := range []*lab.Lab{l, other} {
		if status, _, body := ask(t, into, http.MethodPut, "/state", saved); status != 204 {
			t.Fatalf("loading: %d %s", status, body)
		}
		u := l.Tenant("openharbour").User("svc-backup")
		if a := post(t, into, "/openharbour.onmicrosoft.com/oauth2/v2.0/token", passwordForm(graphCLI, u.UPN, *u.Password)); a.code() != 0 {
			t.Errorf("the user of the saved state: %s", a.raw)
		}
		app := l.Tenant("openharbour").App("Backup app")
		if a := post(t, into, "/openharbour.onmicrosoft.com/oauth2/v2.0/token", secretForm(app)); a.code() != 0 {
			t.Errorf("the secret of the saved state: %s", a.raw)
		}
	}
	for _, bad := range []string{"", "{}", `{"format":1,"key":"AAAA"}`, saved[:len(saved)/2], `{"format":1,"key":"` + strings.Repeat("A", 43) + `=","tenants":[null]}`,
		`{"format":1,"key":"` + strings.Repeat("A", 43) + `=","tenants":[{"ID":"x","Domains":[{"Name":"d"}],"Users":[null]}]}`} {
		if status, _, body := ask(t, l, http.MethodPut, "/state", bad); status != 400 || body == "" {
			t.Errorf("%.60q: %d %s", bad, status, body)
		}
	}
	if a := signIn(t, l, "openharbour", "svc-backup", graphCLI); a.code() != 0 {
		t.Errorf("a refused state changed something: %s", a.raw)
	}
}

// Go programs use the same without the control port.
func TestFaultsInGo(t *testing.T) {
	l := lab.Start(t)
	if _, err := l.AddFault(lab.Fault{Kind: "status", Status: 503, Times: 1}); err != nil {
		t.Fatal(err)
	}
	if a := signIn(t, l, "openharbour", "svc-backup", graphCLI); a.status != 503 {
		t.Errorf("%d", a.status)
	}
	if _, err := l.AddFault(lab.Fault{Kind: "none"}); err == nil {
		t.Error("an unknown kind is taken")
	}
	if j := l.Journal(); len(j) != 1 || j[0].Fault == "" || j[0].Status != 503 || j[0].GrantType != "password" {
		t.Errorf("%+v", j)
	}
	var faults lab.FileFaults
	if _, err := l.AddTenants(strings.NewReader(`{"tenants":[{}]}`)); !errors.As(err, &faults) {
		t.Errorf("%T %v", err, err)
	}
}
