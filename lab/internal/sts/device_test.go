package sts_test

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"
	"time"

	"gatehouse/lab/internal/directory"
)

const grantDevice = "urn:ietf:params:oauth:grant-type:device_code"

// TestDeviceCode: every state of a device code, at a tenant's address and the
// shared ones, with both names of the grant.
func TestDeviceCode(t *testing.T) {
	c := start(t, people)
	begin := func(tenant, client string) (device, user string) {
		t.Helper()
		status, body := c.post(t, "/"+tenant+"/oauth2/v2.0/devicecode", url.Values{"client_id": {client}, "scope": {"User.Read openid offline_access"}})
		device, _ = body["device_code"].(string)
		user, _ = body["user_code"].(string)
		if status != 200 || device == "" || len(user) != 9 || body["expires_in"] != 900.0 || body["interval"] != 5.0 || body["verification_uri"] != root+"/common/oauth2/deviceauth" || body["message"] == "" {
			t.Fatalf("%d %v", status, body)
		}
		return device, user
	}
	poll := func(tenant, grant, client, device string) map[string]any {
		t.Helper()
		_, body := c.post(t, "/"+tenant+"/oauth2/v2.0/token", url.Values{"grant_type": {grant}, "client_id": {client}, "device_code": {device}})
		return body
	}
	state := func(body map[string]any, oauth string, n int) {
		t.Helper()
		if body["error"] != oauth || code(body) != n {
			t.Errorf("%v, want %s %d", body, oauth, n)
		}
	}
	for _, tenant := range []string{"t.onmicrosoft.com", "organizations"} {
		client := desktop
		if tenant == "organizations" {
			client = directory.GraphCLIID
			c.tenant(t, func(tenant *directory.Tenant) {
				tenant.GrantScopes(tenant.Principal(client).ID, tenant.Principal(directory.GraphID).ID, "", []string{"User.Read"})
			})
		}
		device, user := begin(tenant, client)
		for _, grant := range []string{"device_code", grantDevice} {
			state(poll(tenant, grant, client, device), "authorization_pending", 70016)
		}
		state(poll(tenant, grantDevice, client, "x"), "bad_verification_code", 70018)
		state(poll(tenant, grantDevice, directory.M365CLIID, device), "bad_verification_code", 70018)
		b := c.browser(t).get("/common/oauth2/deviceauth").want("200")
		b.fill("otc", "WRONG").want("200", "AADSTS70018").fill("otc", user[:4]+"-"+user[4:]).want("device").fill("action", "continue")
		b.signIn("plain@t.onmicrosoft.com").want("200", "You are signed in to")
		body := poll(tenant, "device_code", client, device)
		if body["access_token"] == nil || body["refresh_token"] == nil || body["id_token"] == nil || claims(t, body["access_token"])["upn"] != "plain@t.onmicrosoft.com" {
			t.Errorf("%v", body)
		}
		state(poll(tenant, "device_code", client, device), "invalid_grant", 54005)
		b.get("/common/oauth2/deviceauth?otc="+user).fill().want("200", "AADSTS70018")
	}
	c.tenant(t, func(tenant *directory.Tenant) {
		if e := tenant.SignIns[len(tenant.SignIns)-1]; e.Protocol != "deviceCode" || !e.Interactive || e.Status != 0 {
			t.Errorf("%+v", e)
		}
	})

	// Declined on the first page, and on the consent page.
	device, user := begin("t.onmicrosoft.com", desktop)
	c.browser(t).get("/common/oauth2/deviceauth?otc="+user).fill().want("device").fill("action", "cancel").want("200", "declined")
	state(poll("t.onmicrosoft.com", grantDevice, desktop, device), "authorization_declined", 65004)
	device, user = begin("organizations", directory.M365CLIID)
	c.browser(t).get("/common/oauth2/deviceauth?otc="+user).fill().fill("action", "continue").signIn("plain@t.onmicrosoft.com").want("consent").fill("action", "cancel").want("200", "declined")
	state(poll("organizations", grantDevice, directory.M365CLIID, device), "authorization_declined", 65004)

	device, user = begin("t.onmicrosoft.com", desktop)
	b := c.browser(t).get("/common/oauth2/deviceauth?otc=" + user).fill().want("device")
	c.now = c.now.Add(10 * time.Minute)
	b.fill("action", "continue").want("account").fill("upn", "plain@t.onmicrosoft.com")
	c.now = c.now.Add(5 * time.Minute)
	state(poll("t.onmicrosoft.com", grantDevice, desktop, device), "expired_token", 70019)
	c.browser(t).get("/common/oauth2/deviceauth?otc="+user).fill().want("200", "AADSTS70018")

	for _, test := range []struct {
		tenant, client string
		status, code   int
	}{
		{"t.onmicrosoft.com", "", 400, 900144},
		{"t.onmicrosoft.com", "99999999-2222-4333-8444-555555555555", 400, 700016},
		{"t.onmicrosoft.com", webApp, 401, 7000218},
		{"nowhere.onmicrosoft.com", desktop, 400, 90002},
	} {
		status, body := c.post(t, "/"+test.tenant+"/oauth2/v2.0/devicecode", url.Values{"client_id": {test.client}, "scope": {"User.Read"}})
		if status != test.status || code(body) != test.code {
			t.Errorf("%+v: %d %v", test, status, body)
		}
	}
	w := httptest.NewRecorder()
	c.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, root+"/common/oauth2/v2.0/devicecode", nil))
	if w.Code != 400 {
		t.Errorf("GET: %d", w.Code)
	}
	// The v1.0 endpoint writes numbers as strings.
	_, body := c.post(t, "/t.onmicrosoft.com/oauth2/devicecode", url.Values{"client_id": {desktop}, "resource": {"https://graph.microsoft.com"}})
	if body["expires_in"] != "900" || body["verification_url"] == nil {
		t.Errorf("%v", body)
	}
}
