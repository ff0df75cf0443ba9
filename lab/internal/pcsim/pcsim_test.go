package pcsim

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"gatehouse/lab/internal/directory"
	"gatehouse/lab/internal/labtest"
	"gatehouse/lab/internal/token"
)

const (
	partnerID = "0f1e2d3c-4b5a-4978-8796-a5b4c3d2e1f0"
	agentID   = "0a0a0a0a-0000-4000-8000-000000000001"
	helperID  = "0a0a0a0a-0000-4000-8000-000000000002"
	appID     = "11111111-2222-4333-8444-555555555555"
	nobodysID = "99999999-2222-4333-8444-555555555555"
	bookID    = "21111111-2222-4333-8444-555555555555"
	target    = "c0c0c0c0-0000-4000-8000-000000000000" // the first customer
)

// file has a partner with 11 customers: the third lets nobody consent, the
// fourth's relationship ends in a day, the fifth names the other role that may.
func file() string {
	var b strings.Builder
	fmt.Fprintf(&b, `{"tenants":[{"name":"Partner","domain":"partner.onmicrosoft.com","id":%q,
	 "users":[{"upn":"agent@partner.onmicrosoft.com","id":%q},{"upn":"helper@partner.onmicrosoft.com","id":%q}],
	 "groups":[{"name":"AdminAgents","members":["agent@partner.onmicrosoft.com"]},{"name":"Apps","members":["agent@partner.onmicrosoft.com","helper@partner.onmicrosoft.com"]}],
	 "apps":[{"name":"Console","client_id":%q,"multi_tenant":true},{"name":"Own","client_id":%q}]}`, partnerID, agentID, helperID, appID, bookID)
	for i := range 11 {
		role, until := "Cloud Application Administrator", ""
		switch i {
		case 2:
			role = "Helpdesk Administrator"
		case 4:
			role = "Application Administrator"
		}
		if i == 3 {
			until = `,"until":"24h"`
		}
		fmt.Fprintf(&b, `,{"name":"Customer %d","domain":"c%d.onmicrosoft.com","id":"c0c0c0c0-0000-4000-8000-%012d","partners":[{"domain":"partner.onmicrosoft.com","access":{"Apps":[%q]}%s}]}`, i, i, i, role, until)
	}
	return b.String() + `,{"name":"Stranger","domain":"stranger.onmicrosoft.com","id":"d0d0d0d0-0000-4000-8000-000000000000"}]}`
}

// world is a server with its clock.
type world struct {
	clock labtest.Clock
	store *directory.Store
	*Server
}

func newWorld(t testing.TB, hostile bool) *world {
	w := &world{}
	w.store = labtest.Store(t, file(), &w.clock)
	w.Server = New(Config{Store: w.store, Tokens: labtest.Signer(), Random: labtest.Random(3), Deterministic: !hostile})
	return w
}

func (w *world) bearer(t testing.TB, change func(*token.Claims)) string {
	now := w.clock.Now().Unix()
	c := &token.Claims{Audience: "https://api.partnercenter.microsoft.com", TenantID: partnerID, ObjectID: agentID, IDType: "user", AppID: appID, AMR: []string{"pwd", "mfa"}, Scopes: "user_impersonation", IssuedAt: now, NotBefore: now, Expires: now + 3600}
	if change != nil {
		change(c)
	}
	return labtest.Bearer(t, c)
}

// call gives status and body of a request; header are pairs.
func (w *world) call(t testing.TB, method, path, body, authorization string, header ...string) (int, map[string]any) {
	t.Helper()
	h := httptest.NewRequestWithContext(t.Context(), method, "https://"+Host+path, strings.NewReader(body))
	h.Header.Set("Authorization", authorization)
	for i := 0; i+1 < len(header); i += 2 {
		h.Header.Set(header[i], header[i+1])
	}
	recorder := httptest.NewRecorder()
	w.ServeHTTP(recorder, h)
	out := map[string]any{}
	if recorder.Body.Len() > 0 {
		if err := json.Unmarshal(recorder.Body.Bytes(), &out); err != nil {
			t.Fatalf("%s %s: %v: %s", method, path, err, recorder.Body)
		}
	}
	return recorder.Code, out
}

// All customers come, each once, however long the pages are.
func TestCustomers(t *testing.T) {
	w := newWorld(t, true)
	agent := w.bearer(t, nil)
	list := func(size string) []string {
		var out []string
		path, header := "/v1/customers?size="+size, []string{}
		for range 40 {
			status, body := w.call(t, http.MethodGet, path, "", agent, header...)
			if status != http.StatusOK {
				t.Fatalf("%s: %d %v", path, status, body)
			}
			items, _ := body["items"].([]any)
			if body["totalCount"] != float64(len(items)) {
				t.Errorf("totalCount %v of %d", body["totalCount"], len(items))
			}
			for _, item := range items {
				profile, _ := item.(map[string]any)["companyProfile"].(map[string]any)
				out = append(out, fmt.Sprint(profile["companyName"]))
			}
			links, _ := body["links"].(map[string]any)
			next, more := links["next"].(map[string]any)
			if !more {
				return out
			}
			one, _ := next["headers"].([]any)[0].(map[string]any)
			path, header = "/v1"+fmt.Sprint(next["uri"]), []string{fmt.Sprint(one["key"]), fmt.Sprint(one["value"])}
		}
		t.Fatalf("no end: %v", out)
		return nil
	}
	for _, size := range []string{"1", "3", "500"} {
		seen := map[string]bool{}
		for _, name := range list(size) {
			if seen[name] {
				t.Errorf("size %s: %s twice", size, name)
			}
			seen[name] = true
		}
		if len(seen) != 11 || seen["Stranger"] {
			t.Errorf("size %s: %v", size, seen)
		}
	}
	w.clock.Pass(25 * time.Hour)
	agent = w.bearer(t, nil)
	if got := list("500"); len(got) != 10 {
		t.Errorf("a relationship that has ended: %v", got)
	}
	for path, want := range map[string]int{
		"/v1/customers?size=0": 400, "/v1/customers?size=501": 400, "/v1/customers?seekOperation=Next": 400, "/v1/customers/" + target: 200,
		"/v1/customers/d0d0d0d0-0000-4000-8000-000000000000": 404, "/v1/invoices": 404,
	} {
		if status, body := w.call(t, http.MethodGet, path, "", agent); status != want || status >= 400 && body["description"] == "" {
			t.Errorf("%s: %d %v", path, status, body)
		}
	}
}

// A consent writes grants for everybody and the app's principal; a second is a
// conflict; what is taken back is gone.
func TestConsents(t *testing.T) {
	w := newWorld(t, false)
	agent := w.bearer(t, nil)
	body := func(app, resource, scope string) string {
		return fmt.Sprintf(`{"applicationId":%q,"displayName":"Console","applicationGrants":[{"enterpriseApplicationId":%q,"scope":%q}]}`, app, resource, scope)
	}
	good := body(appID, directory.GraphID, "User.Read, Directory.Read.All")
	scopes := func() []string {
		var out []string
		w.store.View(target, func(tenant *directory.Tenant) { out = tenant.ScopesOf(appID, directory.GraphID, "anybody") })
		return out
	}
	for name, test := range map[string]struct {
		customer, body, bearer string
		want                   int
	}{
		"no token":             {target, good, "", 401},
		"token of Graph":       {target, good, w.bearer(t, func(c *token.Claims) { c.Audience = "https://graph.microsoft.com" }), 401},
		"old token":            {target, good, w.bearer(t, func(c *token.Claims) { c.Expires -= 7200; c.NotBefore -= 7200 }), 401},
		"an app alone":         {target, good, w.bearer(t, func(c *token.Claims) { c.IDType, c.Scopes = "app", "" }), 403},
		"no second factor":     {target, good, w.bearer(t, func(c *token.Claims) { c.AMR = []string{"pwd"} }), 401},
		"another app's token":  {target, good, w.bearer(t, func(c *token.Claims) { c.AppID = bookID }), 400},
		"no admin agent":       {target, good, w.bearer(t, func(c *token.Claims) { c.ObjectID = helperID }), 403},
		"another's agent":      {target, good, w.bearer(t, func(c *token.Claims) { c.TenantID = target }), 403},
		"no role that may":     {"c0c0c0c0-0000-4000-8000-000000000002", good, agent, 403},
		"no customer":          {"d0d0d0d0-0000-4000-8000-000000000000", good, agent, 404},
		"by domain":            {"c0.onmicrosoft.com", good, agent, 404},
		"no JSON":              {target, "{", agent, 400},
		"no grants":            {target, `{"applicationId":"` + appID + `"}`, agent, 400},
		"single-tenant app":    {target, body(bookID, directory.GraphID, "User.Read"), w.bearer(t, func(c *token.Claims) { c.AppID = bookID }), 400},
		"missing resource":     {target, body(appID, directory.BusinessCentralID, "user_impersonation"), agent, 400},
		"unknown permission":   {target, body(appID, directory.GraphID, "User.Read,Magic.Do"), agent, 400},
		"no scope":             {target, body(appID, directory.GraphID, " ,"), agent, 400},
		"nobody's application": {target, body(nobodysID, directory.GraphID, "User.Read"), w.bearer(t, func(c *token.Claims) { c.AppID = nobodysID }), 400},
	} {
		if status, got := w.call(t, http.MethodPost, "/v1/customers/"+test.customer+"/applicationconsents", test.body, test.bearer); status != test.want || got["description"] == "" {
			t.Errorf("%s: %d %v", name, status, got)
		}
	}
	if got := scopes(); len(got) != 0 {
		t.Fatalf("refused, and granted %v", got)
	}
	at := "/v1/customers/" + target + "/applicationconsents"
	if status, got := w.call(t, http.MethodPost, at, good, agent); status != http.StatusCreated || got["applicationId"] != appID {
		t.Fatalf("%d %v", status, got)
	}
	if got := scopes(); len(got) != 2 {
		t.Errorf("granted %v", got)
	}
	if status, got := w.call(t, http.MethodPost, at, good, agent); status != http.StatusConflict || got["description"] != "Permission entry already exists." {
		t.Errorf("again: %d %v", status, got)
	}
	if status, _ := w.call(t, http.MethodDelete, at+"/"+appID, "", agent); status != http.StatusNoContent || len(scopes()) != 0 {
		t.Errorf("taken back: %d, %v", status, scopes())
	}
	if status, _ := w.call(t, http.MethodDelete, at+"/"+appID, "", agent); status != http.StatusNotFound {
		t.Errorf("taken back twice: %d", status)
	}
	if status, got := w.call(t, http.MethodPost, "/v1/customers/c0c0c0c0-0000-4000-8000-000000000004/applicationconsents", good, agent); status != http.StatusCreated {
		t.Errorf("as an Application Administrator: %d %v", status, got)
	}
	if status, _ := w.call(t, http.MethodPut, at, "", agent); status != http.StatusMethodNotAllowed {
		t.Errorf("PUT: %d", status)
	}
}

// Whatever arrives, the server answers with JSON or nothing, and never with an
// error of its own.
func FuzzServer(f *testing.F) {
	w := newWorld(f, true)
	agent := w.bearer(f, nil)
	at := "/v1/customers/" + target + "/applicationconsents"
	f.Add("POST", at, "", `{"applicationId":"`+appID+`","applicationGrants":[{"enterpriseApplicationId":"`+directory.GraphID+`","scope":"User.Read"}]}`, "")
	f.Add("DELETE", at+"/"+appID, "", "", "")
	f.Add("GET", "/v1/customers", "size=2&seekOperation=Next", "", "YWZ0ZXIgYw==")
	f.Add("GET", "//", "%", "\x00", "*")
	f.Fuzz(func(t *testing.T, method, path, query, body, continuation string) {
		h := httptest.NewRequest(http.MethodGet, "https://"+Host+"/", strings.NewReader(body))
		h.Method, h.URL = method, &url.URL{Path: "/" + strings.TrimPrefix(path, "/"), RawQuery: query}
		h.Header = http.Header{"Authorization": {agent}, "Ms-Continuationtoken": {continuation}}
		recorder := httptest.NewRecorder()
		w.ServeHTTP(recorder, h)
		if recorder.Code >= 500 || recorder.Body.Len() > 0 && !json.Valid(recorder.Body.Bytes()) {
			t.Errorf("%s %q ? %q: %d %s", method, path, query, recorder.Code, recorder.Body)
		}
	})
}
