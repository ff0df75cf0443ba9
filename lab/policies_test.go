package lab_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"gatehouse/lab"
)

// control sends a request to the control port.
func control(t *testing.T, l *lab.Lab, method, path, body string) (int, string) {
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
	return response.StatusCode, string(data)
}

// Who gets in, is asked or is stopped in the tenants about Conditional Access.
func TestPolicyTenants(t *testing.T) {
	l := lab.Start(t)
	try := func(tenant, home, user string) answer {
		u := l.Tenant(home).User(user)
		return post(t, l, "/"+l.Tenant(tenant).ID+"/oauth2/v2.0/token", passwordForm(graphCLI, u.UPN, *u.Password))
	}
	for _, test := range []struct {
		tenant, home, user string
		code               int
	}{
		{"policypier", "policypier", "emergency", 0},
		{"policypier", "policypier", "erik.lund", 50076},
		{"policypier", "policypier", "nora.new", 50079},
		{"policypier", "policypier", "ada.admin", 50076},
		{"policypier", "policypier", "svc-nightly", 53003},
		{"policypier", "policypier", "till.terminal", 0},
		{"policypier", "policypier", "cora.contract", 50158},
		{"devicedock", "devicedock", "fay.finance", 53000},
		{"devicedock", "devicedock", "finn.finance", 0},
		{"devicedock", "devicedock", "wade.workshop", 53001},
		{"devicedock", "devicedock", "sal.sales", 53002},
		{"devicedock", "devicedock", "cleo.crew", 53009},
		{"devicedock", "devicedock", "otto.office", 0},
		{"devicedock", "devicedock", "ona.office", 50076},
		{"devicedock", "devicedock", "op.one", 0},
		{"devicedock", "devicedock", "op.two", 53003},
		{"riskreef", "riskreef", "rita.calm", 0},
		{"riskreef", "riskreef", "mel.medium", 50076},
		{"riskreef", "riskreef", "nils.naked", 53004},
		{"riskreef", "riskreef", "hal.high", 50076},
		{"riskreef", "riskreef", "bo.both", 53003},
		{"guestgate", "guestgate", "gus.host", 0},
		{"guestgate", "openharbour", "lena.fischer", 50079},
		{"guestgate", "callercove", "wei.chen", 50076},
		{"guestgate", "riskreef", "rita.calm", 53003},
		{"guestgate", "riskreef", "hal.high", 53011},
		{"workloadwharf", "workloadwharf", "wil.wharf", 0},
	} {
		if a := try(test.tenant, test.home, test.user); a.code() != test.code {
			t.Errorf("%s at %s: %d, want %d: %s", test.user, test.tenant, a.code(), test.code, a.raw)
		}
	}
	for app, want := range map[string]int{"Crane sync": 53003, "Gatehouse reader": 0, "Tide feed": 0} {
		form := secretForm(l.Tenant("workloadwharf").App("Gatehouse reader"))
		if app != "Gatehouse reader" {
			form.Set("client_id", l.Tenant("workloadwharf").App(app).ClientID)
			if app == "Tide feed" {
				form.Set("client_secret", *l.Tenant("vendorvale").App(app).Secret)
			} else {
				form.Set("client_secret", *l.Tenant("workloadwharf").App(app).Secret)
			}
		}
		if a := post(t, l, "/workloadwharf.onmicrosoft.com/oauth2/v2.0/token", form); a.code() != want {
			t.Errorf("%s: %d: %s", app, a.code(), a.raw)
		}
	}

	// The road out for the service account: the office's address.
	if status, body := control(t, l, "PUT", "/network", `{"address":"198.51.100.20","tenant":"policypier.onmicrosoft.com","user":"svc-nightly@policypier.example"}`); status != 204 {
		t.Fatal(body)
	}
	if a := try("policypier", "policypier", "svc-nightly"); a.code() != 0 {
		t.Errorf("at the office: %s", a.raw)
	}
	if _, body := control(t, l, "GET", "/network", ""); !strings.Contains(body, "198.51.100.20") {
		t.Errorf("networks: %s", body)
	}
	// The log tells it all, to a reader who may see policies.
	reader := post(t, l, "/policypier.onmicrosoft.com/oauth2/v2.0/token", secretForm(l.Tenant("policypier").App("Gatehouse reader"))).text("access_token")
	log := get(t, l, l.URL()+"/beta/auditLogs/signIns?$filter="+url.QueryEscape("userPrincipalName eq 'svc-nightly@policypier.example'"), reader)
	var entries struct {
		Value []struct {
			IPAddress string
			Status    struct{ ErrorCode int }
			Policies  []struct {
				DisplayName, Result   string
				EnforcedGrantControls []string
			} `json:"appliedConditionalAccessPolicies"`
			Conditional string `json:"conditionalAccessStatus"`
		}
	}
	if err := json.Unmarshal([]byte(log.raw), &entries); err != nil || len(entries.Value) != 2 {
		t.Fatalf("%v: %s", err, log.raw)
	}
	now, before := entries.Value[0], entries.Value[1]
	if now.IPAddress != "198.51.100.20" || now.Status.ErrorCode != 0 || before.Status.ErrorCode != 53003 || before.Conditional != "failure" {
		t.Errorf("%+v", entries)
	}
	results := map[string]string{}
	for _, p := range before.Policies {
		results[p.DisplayName] = p.Result + fmt.Sprint(p.EnforcedGrantControls)
	}
	for name, want := range map[string]string{"CA006 - Service accounts - Block outside the office": "failure[Block]", "CA001 - All users - Require MFA": "notApplied[Mfa]", "CA900 - All users - Require a compliant device (trial)": "reportOnlyFailure[RequireCompliantDevice]"} {
		if results[name] != want {
			t.Errorf("%s: %s, want %s", name, results[name], want)
		}
	}
}

// The control port changes what Conditional Access asks of a user.
func TestCircumstances(t *testing.T) {
	l := lab.Start(t)
	for _, test := range []struct {
		tenant, user, change string
		code                 int
	}{
		{"devicedock", "fay.finance", `{"device":{"isCompliant":true}}`, 0},
		{"devicedock", "finn.finance", `{"device":null}`, 53000},
		{"devicedock", "finn.finance", `{"device":{"client":"Microsoft Azure CLI","isCompliant":true}}`, 53000},
		{"riskreef", "rita.calm", `{"sign_in_risk":"medium"}`, 50076},
		{"riskreef", "bo.both", `{"user_risk":"none","sign_in_risk":"none"}`, 0},
		{"policypier", "cora.contract", `{"forget_terms":true}`, 50158},
	} {
		path := "/tenants/" + test.tenant + ".onmicrosoft.com/users/" + l.Tenant(test.tenant).User(test.user).UPN
		if status, body := control(t, l, "PATCH", path, test.change); status != 204 {
			t.Errorf("%s: %d %s", test.change, status, body)
		}
		if a := signIn(t, l, test.tenant, test.user, graphCLI); a.code() != test.code {
			t.Errorf("%s: %s", test.change, a.raw)
		}
	}
	for path, bodies := range map[string][]string{
		"/tenants/riskreef.onmicrosoft.com/users/rita.calm@riskreef.example": {`{"user_risk":"huge"}`, `{"device":{"colour":"red"}}`, `{"device":7}`},
	} {
		for _, body := range bodies {
			if status, _ := control(t, l, "PATCH", path, body); status != 400 {
				t.Errorf("%s: %d", body, status)
			}
		}
	}
	for _, body := range []string{`{"address":"nowhere"}`, `{"address":"192.0.2.1","tenant":"nowhere.example"}`, `{"address":"192.0.2.1","country":"Norway"}`} {
		if status, _ := control(t, l, "PUT", "/network", body); status != 400 {
			t.Errorf("%s: %d", body, status)
		}
	}
}
