package console_test

import (
	"crypto/tls"
	"fmt"
	"html"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"gatehouse/internal/audit"
	"gatehouse/internal/console"
	"gatehouse/internal/microsoft"
	"gatehouse/internal/operator"
	"gatehouse/internal/secrets"
	"gatehouse/internal/sso"
	"gatehouse/lab"
)

const (
	harbourID = "a0000000-0000-4000-8000-000000000001"
	strangeID = "a0000000-0000-4000-8000-000000000002"
	consoleID = "a0000000-0000-4000-8000-00000000c001"
)

// directoryFile is a tenant whose people operate Gatehouse, and another one. Nora
// is in as many groups as said, each within the next.
func directoryFile(groups int) string {
	list := make([]string, groups)
	for i := range list {
		member := "nora@harbour.onmicrosoft.com"
		if i > 0 {
			member = fmt.Sprintf("Ring %d", i-1)
		}
		list[i] = fmt.Sprintf(`{"name":"Ring %d","members":["%s"]}`, i, member)
	}
	return `{"tenants":[{"id":"` + harbourID + `","name":"Harbour","domain":"harbour.onmicrosoft.com","mandatory_mfa":false,
	  "users":[{"upn":"nora@harbour.onmicrosoft.com","name":"Nora Person","password":"harbour-pass-1"},{"upn":"olaf@harbour.onmicrosoft.com","name":"Olaf Person","password":"harbour-pass-1"}],
	  "groups":[` + strings.Join(list, ",") + `],
	  "apps":[{"name":"Gatehouse console","client_id":"` + consoleID + `","multi_tenant":true,"group_claims":"security_groups","secret":{"value":"a secret that is long enough"},"redirect_uris":["http://localhost` + console.SSOCallback + `"],"delegated_permissions":{"graph":["User.Read"]}},
	    {"name":"Gatehouse reader","purpose":"reader","secret":true,"certificate":true,"application_permissions":` + readerPermissions + `,"granted":` + readerPermissions + `},
	    {"name":"Lab administration","purpose":"admin","secret":true,"application_permissions":{"graph":["Directory.ReadWrite.All","Application.ReadWrite.All","GroupMember.ReadWrite.All"]},"granted":{"graph":["Directory.ReadWrite.All","Application.ReadWrite.All","GroupMember.ReadWrite.All"]}}],
	  "grants":[{"app":"Gatehouse console","scopes":["openid","profile","email","User.Read"]}]},
	 {"id":"` + strangeID + `","name":"Strange","domain":"strange.onmicrosoft.com","mandatory_mfa":false,"users":[{"upn":"sven@strange.onmicrosoft.com","name":"Sven Person","password":"strange-pass-1"}],
	  "apps":[{"name":"Gatehouse console","from":"harbour.onmicrosoft.com"}],"grants":[{"app":"Gatehouse console","scopes":["openid","profile","email","User.Read"]}]}]}`
}

const readerPermissions = `{"graph":["Policy.Read.All","AuditLog.Read.All","UserAuthenticationMethod.Read.All","User.Read.All","GroupMember.Read.All","RoleManagement.Read.Directory","Application.Read.All","Organization.Read.All"]}`

// throughTheLab lets operators of the lab's own tenants sign in.
func (h *house) throughTheLab() {
	h.signOn = func(address string) *sso.Provider {
		var tenants []string
		for _, t := range h.lab.Ready().Tenants {
			tenants = append(tenants, t.ID)
		}
		cloud := microsoft.Cloud{Name: "lab", Login: h.lab.URL(), Graph: h.lab.URL(), GraphResource: "https://graph.microsoft.com", Roots: h.lab.Roots()}
		p, err := sso.New(sso.Config{Issuer: h.lab.URL() + "/organizations/v2.0", ClientID: consoleID, Name: "Contoso", Tenants: tenants, Redirect: address + console.SSOCallback, Cloud: cloud})
		return must(h.t, p, err)
	}
}

// entra makes a house whose operators sign in through the lab. authority is a
// tenant's id or "organizations".
func entra(t *testing.T, file, authority string) *house {
	t.Helper()
	return newHouse(t, func(h *house) {
		h.lab = lab.Start(t, lab.WithTenants(file))
		h.signOn = func(address string) *sso.Provider {
			cloud := microsoft.Cloud{Name: "lab", Login: h.lab.URL(), Graph: h.lab.URL(), GraphResource: "https://graph.microsoft.com", Roots: h.lab.Roots()}
			c := sso.Config{Issuer: h.lab.URL() + "/" + authority + "/v2.0", ClientID: consoleID, Secret: secrets.New("a secret that is long enough"), Name: "Harbour", Redirect: address + console.SSOCallback, Cloud: cloud}
			if authority == "organizations" {
				c.Tenants = []string{harbourID}
			}
			p, err := sso.New(c)
			return must(t, p, err)
		}
	})
}

// stranger is a visitor whose browser trusts the lab.
func (h *house) stranger() *visitor {
	v := h.visitor()
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: h.lab.Roots(), MinVersion: tls.VersionTLS12}}
	h.t.Cleanup(transport.CloseIdleConnections)
	v.client.Transport = transport
	return v
}

var (
	labForm  = regexp.MustCompile(`<form method="post" action="([^"]*)"`)
	labField = regexp.MustCompile(`<input [^>]*name="([^"]*)"[^>]*?value="([^"]*)"`)
)

// throughEntra signs a person in on the lab's pages and gives the page of the
// console after it.
func (v *visitor) throughEntra(path, upn, password string) page {
	v.t.Helper()
	response, err := v.client.Get(v.server.URL + path) //nolint:bodyclose // read closes it
	for range 8 {
		at := must(v.t, response, err).Request.URL //nolint:bodyclose // read closes it
		p := v.read(response, nil)
		if at.Host == strings.TrimPrefix(v.server.URL, "http://") {
			return p
		}
		m := labForm.FindStringSubmatch(p.Text)
		if m == nil {
			v.t.Fatalf("no form on %s: %s", at, p.Text)
		}
		form := url.Values{}
		for _, f := range labField.FindAllStringSubmatch(p.Text, -1) {
			form.Set(f[1], html.UnescapeString(f[2]))
		}
		switch form.Get("step") {
		case "account":
			form.Set("upn", upn)
		case "password":
			form.Set("password", password)
		case "stay":
			form.Set("action", "no")
		}
		to, err2 := at.Parse(html.UnescapeString(m[1]))
		response, err = v.client.PostForm(must(v.t, to, err2).String(), form) //nolint:bodyclose // read closes it
	}
	v.t.Fatal("the sign-in does not end")
	return page{}
}

// groupID finds a group of the lab by its name.
func (a administration) groupID(name string) string {
	a.t.Helper()
	var found struct {
		Value []struct {
			ID string `json:"id"`
		} `json:"value"`
	}
	a.call(http.MethodGet, "/groups?"+url.Values{"$filter": {"displayName eq '" + name + "'"}}.Encode(), nil, &found)
	if len(found.Value) != 1 {
		a.t.Fatalf("%d groups are called %s", len(found.Value), name)
	}
	return found.Value[0].ID
}

// cookieBytes are what a browser sends along with each request.
func (v *visitor) cookieBytes() (n int) {
	at, err := url.Parse(v.server.URL)
	for _, c := range v.client.Jar.Cookies(must(v.t, at, err)) {
		n += len(c.Name) + len(c.Value) + 3
	}
	return n
}

// TestStory47CookieStaysSmall: an operator in 500 groups signs in; the groups are
// more than an id token has room for, and none of them is in the cookie.
func TestStory47CookieStaysSmall(t *testing.T) {
	t.Parallel()
	h := entra(t, directoryFile(500), harbourID)
	admin := h.administration("Harbour")
	h.assign(operator.GroupKind, admin.groupID("Ring 499"), audit.Engineer)
	v := h.stranger()
	p := v.throughEntra("/sign-in/sso?next=%2Fsettings", "nora@harbour.onmicrosoft.com", "harbour-pass-1")
	if p.has(t, "You signed in through the directory", "nora@harbour.onmicrosoft.com"); p.Path != "/settings" {
		t.Errorf("led to %s: %s", p.Path, title(p))
	}
	if n := v.cookieBytes(); n == 0 || n > 4096 {
		t.Errorf("the cookies have %d bytes", n)
	}
	records, err := h.log.List(h.boss(), audit.Filter{})
	if details := must(t, records, err)[0].Details; !strings.Contains(details, `"groups_from":"graph"`) {
		t.Errorf("the groups did not come from Graph: %s", details)
	}
}

// TestSSOEntra: groups in the token and by Graph, a person who leaves a group,
// Graph that refuses, and people of a tenant that may not sign in.
func TestSSOEntra(t *testing.T) {
	t.Parallel()
	h := entra(t, directoryFile(3), "organizations")
	admin := h.administration("Harbour")
	ring := admin.groupID("Ring 2")
	h.assign(operator.GroupKind, strings.ToUpper(ring), audit.Viewer)
	v := h.stranger()
	if p := v.throughEntra("/sign-in/sso?next=/tenants", "nora@harbour.onmicrosoft.com", "harbour-pass-1"); p.Path != "/tenants" {
		t.Fatalf("a member of a group within a group: %s", title(p))
	}
	h.stranger().throughEntra("/sign-in/sso", "olaf@harbour.onmicrosoft.com", "harbour-pass-1").has(t, "You have no role here yet", "olaf@harbour.onmicrosoft.com")
	h.stranger().throughEntra("/sign-in/sso", "sven@strange.onmicrosoft.com", "strange-pass-1").has(t, "Your organisation may not sign in here")

	// Out of the innermost group: at the next sign-in there is nothing left.
	admin.call(http.MethodDelete, "/groups/"+admin.groupID("Ring 0")+"/members/"+h.at("Harbour").User("nora").ID+"/$ref", nil, nil)
	again := h.stranger().throughEntra("/sign-in/sso", "nora@harbour.onmicrosoft.com", "harbour-pass-1")
	again.has(t, "You have no role here yet")
	if p := v.get("/tenants"); !strings.HasPrefix(p.Path, "/sign-in") {
		t.Errorf("whoever left the group still sees %s", p.Path)
	}
}

// TestSSOGraphRefuses: groups that Graph does not tell give no access, not even
// what the person has by name.
func TestSSOGraphRefuses(t *testing.T) {
	t.Parallel()
	h := entra(t, directoryFile(201), harbourID)
	admin := h.administration("Harbour")
	h.assign(operator.GroupKind, admin.groupID("Ring 200"), audit.Viewer)
	h.assign(operator.PersonKind, h.at("Harbour").User("nora").ID, audit.Viewer)
	_, err := h.lab.AddFault(lab.Fault{Service: "graph", Path: "/v1.0/me/transitiveMemberOf", Kind: "status", Status: http.StatusForbidden, Times: 1})
	must(t, 0, err)
	p := h.stranger().throughEntra("/sign-in/sso", "nora@harbour.onmicrosoft.com", "harbour-pass-1")
	p.has(t, "Your groups could not be read", "nora@harbour.onmicrosoft.com")
	if p := h.stranger().throughEntra("/sign-in/sso?next=/tenants", "nora@harbour.onmicrosoft.com", "harbour-pass-1"); p.Path != "/tenants" {
		t.Errorf("once Graph answers: %s", title(p))
	}
}

// TestChooser finds people and groups of the directory by their names while they
// are typed, and without scripts; what was found gets a role.
func TestChooser(t *testing.T) {
	t.Parallel()
	h := entra(t, directoryFile(3), harbourID)
	ada := h.administrator()
	v := h.visitor(ada)
	v.get("/operators/directory").has(t, "Nobody has a role through the directory yet")
	v.get("/operators/directory/new").has(t, "it is no tenant with a working reader here")
	wrong := v.post("/operators/directory/new", url.Values{"kind": {"group"}, "object_id": {"everybody"}, "tenant": {""}, "role": {"viewer"}})
	wrong.has(t, "is no object id", `value="everybody"`)

	h.onboard(h.add("Harbour"))
	found := v.get("/operators/directory/new?search=Ri")
	found.has(t, "Ring 0", "Ring 2")
	v.get("/operators/directory/new?search=zz").has(t, "Nobody's name begins so")
	v.get("/operators/directory/new?search=o'").has(t, "Nobody's name begins so")
	v.get("/operators/directory/new?search=x").has(t, "at least two")
	v.get("/operators/directory/new?search=nora").has(t, "Nora Person", "Person, nora@harbour.onmicrosoft.com")
	chosen := html.UnescapeString(regexp.MustCompile(`value="(group/[^"]*/Ring 2)"`).FindStringSubmatch(found.Text)[1])
	form := url.Values{"chosen": {chosen}, "tenant": {""}, "role": {"viewer"}, "directory": {harbourID}}
	v.post("/operators/directory/new", form).has(t, "The role is assigned", "Ring 2", "Viewer in all tenants", "Harbour")
	v.post("/operators/directory/new", form).has(t, "has a role in this tenant already")

	b := h.browse(ada)
	b.open("/operators/directory/new")
	b.fill("search", "No")
	b.sees("nora@harbour.onmicrosoft.com") // nothing was pressed
	if strings.Contains(evaluate[string](b, `location.search`), "search") {
		t.Error("the page was left")
	}
	b.do(chromedp.Click(`//label[contains(., "Nora Person")]/input`, patiently))
	b.press("Assign the role")
	b.sees("The role is assigned")
	b.sees("Nora Person")
}

// TestKeyPages makes a key with forms, which is shown once, and revokes it.
func TestKeyPages(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	v := h.visitor(h.administrator())
	at := h.add("Open Harbour")
	v.get("/keys").has(t, "wants a key of its own")
	if text := v.get("/keys/new").Text; strings.Contains(text, "operator.manage") || !strings.Contains(text, "connection.manage") {
		t.Error("the form offers what no key may have, or not what it may")
	}
	v.post("/keys/new", url.Values{"name": {" "}, "days": {"soon"}, "permissions": {"connection.view"}, "tenants": {at.ID}}).has(t, "Name is missing", "write 1 to 365", `value="soon"`)
	v.post("/keys/new", url.Values{"name": {"x"}, "days": {"30"}, "permissions": {"operator.manage"}, "tenants": {at.ID}}).has(t, "which no key may have")
	made := v.post("/keys/new", url.Values{"name": {"Nightly report"}, "days": {"30"}, "permissions": {"connection.view", "tenant.view"}, "tenants": {at.ID}})
	token := regexp.MustCompile(`ghk_[A-Za-z0-9_-]{43}`).FindString(made.Text)
	if made.has(t, "It is shown only now"); token == "" {
		t.Fatal("the key is not shown")
	}
	list := v.get("/keys")
	list.has(t, "Nightly report", token[:8]+"…", "2 permissions", "Open Harbour", "Never seen", "Good")
	if strings.Contains(list.Text, token) {
		t.Error("the key is shown again")
	}
	if _, _, err := h.operators.AuthenticateKey(t.Context(), secrets.New(token), operator.Visit{}); err != nil {
		t.Fatal(err)
	}
	must(t, 0, h.log.Flush(h.boss()))
	if text := v.get("/keys").Text; strings.Contains(text, "Never seen") {
		t.Error("a use is not shown")
	}
	revoke := regexp.MustCompile(`/keys/[0-9a-f-]{36}/revoke`).FindString(list.Text)
	v.get(revoke).has(t, "refused from now on", "It was last used at")
	v.post(revoke, nil).has(t, "The key is revoked", "wants a key of its own")
	h.audited(t, "api_key.added done", "api_key.revoked done")
}
