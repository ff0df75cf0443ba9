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
func directoryFile(groups int, granted bool) string {
	list := make([]string, groups)
	for i := range list {
		member := "nora@harbour.onmicrosoft.com"
		if i > 0 {
			member = fmt.Sprintf("Ring %d", i-1)
		}
		list[i] = fmt.Sprintf(`{"name":"Ring %d","members":["%s"]}`, i, member)
	}
	scopes := `"openid","profile","email","User.Read"`
	if !granted {
		scopes = `"openid","profile","email"`
	}
	return `{"tenants":[{"id":"` + harbourID + `","name":"Harbour","domain":"harbour.onmicrosoft.com","mandatory_mfa":false,
	  "users":[{"upn":"nora@harbour.onmicrosoft.com","name":"Nora Person","password":"harbour-pass-1"},{"upn":"olaf@harbour.onmicrosoft.com","name":"Olaf Person","password":"harbour-pass-1"}],
	  "groups":[` + strings.Join(list, ",") + `],
	  "apps":[{"name":"Gatehouse console","client_id":"` + consoleID + `","multi_tenant":true,"group_claims":"security_groups","secret":{"value":"a secret that is long enough"},"redirect_uris":["http://localhost` + console.SSOCallback + `"],"delegated_permissions":{"graph":["User.Read"]}},
	    {"name":"Gatehouse reader","purpose":"reader","secret":true,"certificate":true,"application_permissions":` + readerPermissions + `,"granted":` + readerPermissions + `},
	    {"name":"Lab administration","purpose":"admin","secret":true,"application_permissions":{"graph":["Directory.ReadWrite.All","Application.ReadWrite.All","GroupMember.ReadWrite.All"]},"granted":{"graph":["Directory.ReadWrite.All","Application.ReadWrite.All","GroupMember.ReadWrite.All"]}}],
	  "grants":[{"app":"Gatehouse console","scopes":[` + scopes + `]}]},
	 {"id":"` + strangeID + `","name":"Strange","domain":"strange.onmicrosoft.com","mandatory_mfa":false,"users":[{"upn":"sven@strange.onmicrosoft.com","name":"Sven Person","password":"strange-pass-1"}],
	  "apps":[{"name":"Gatehouse console","from":"harbour.onmicrosoft.com"}],"grants":[{"app":"Gatehouse console","scopes":["openid","profile","email","User.Read"]}]}]}`
}

const readerPermissions = `{"graph":["Policy.Read.All","AuditLog.Read.All","UserAuthenticationMethod.Read.All","User.Read.All","GroupMember.Read.All","RoleManagement.Read.Directory","Application.Read.All","Organization.Read.All"]}`

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
func (h *house) stranger(cookies ...*http.Cookie) *visitor {
	v := h.visitor(cookies...)
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
	response, err := v.client.Get(v.server.URL + path)
	for range 8 {
		at := must(v.t, response, err).Request.URL
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
		response, err = v.client.PostForm(must(v.t, to, err2).String(), form)
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
	h := entra(t, directoryFile(500, true), harbourID)
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
	h := entra(t, directoryFile(3, true), "organizations")
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
	h := entra(t, directoryFile(201, true), harbourID)
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
