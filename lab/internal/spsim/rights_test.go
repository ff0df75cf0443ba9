package spsim

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"gatehouse/lab/internal/directory"
	"gatehouse/lab/internal/token"
)

const accessDenied = "-2147024891, System.UnauthorizedAccessException"

// Who may read and write which site.
func TestRights(t *testing.T) {
	w := newWorld(t)
	w.server.GrantSite(contoso, "/sites/finance", selectedApp, "read")
	w.server.GrantUser(contoso, "/sites/finance/", "GIL@fabrikam.onmicrosoft.com", "write")
	selected := app("Sites.Selected").with(func(c *token.Claims) { c.AppID = selectedApp })
	const finance, projects, archive = main + "/sites/finance", main + "/sites/projects", main + "/sites/archive"
	for _, c := range []struct {
		name        string
		who         asCaller
		site        string
		read, write int
	}{
		{"app without permission", app(), projects, 403, 403},
		{"app with another permission", app("User.Read.All"), projects, 403, 403},
		{"app that reads", app("Sites.Read.All"), finance, 200, 403},
		{"app that writes", app("Sites.ReadWrite.All"), finance, 200, 201},
		{"app with full control", app("Sites.FullControl.All"), archive, 200, 201},
		{"app with two permissions", app("Sites.Read.All", "Sites.ReadWrite.All"), finance, 200, 201},
		{"selected, granted to read", selected, finance, 200, 403},
		{"selected, granted at the start", selected, projects, 200, 201},
		{"selected, not granted", selected, archive, 403, 403},
		{"selected, root not granted", selected, main, 403, 403},
		{"another selected app", app("Sites.Selected"), finance, 403, 403},
		{"granted, without Sites.Selected", app("User.Read.All").with(func(c *token.Claims) { c.AppID = selectedApp }), finance, 403, 403},
		{"member", w.person("ben@contoso.example", "AllSites.Write"), projects, 200, 201},
		{"member through an app that reads", w.person("ben@contoso.example", "AllSites.Read"), projects, 200, 403},
		{"member through an app that may nothing", w.person("ben@contoso.example", "User.Read.All"), projects, 403, 403},
		{"member, archive", w.person("ben@contoso.example", "AllSites.FullControl"), archive, 200, 403},
		{"member, finance", w.person("ben@contoso.example", "AllSites.FullControl"), finance, 403, 403},
		{"finance department", w.person("fay@contoso.example", "AllSites.Write"), finance, 200, 201},
		{"disabled", w.person("off@contoso.example", "AllSites.Write"), projects, 403, 403},
		{"guest", w.person("gil@fabrikam.onmicrosoft.com", "AllSites.Write"), projects, 403, 403},
		{"guest, granted", w.person("gil@fabrikam.onmicrosoft.com", "AllSites.Write"), finance, 200, 201},
		{"Global Administrator", w.person("ada@contoso.example", "AllSites.FullControl"), finance, 200, 201},
		{"Global Administrator through an app that reads", w.person("ada@contoso.example", "AllSites.Read"), finance, 200, 403},
		{"SharePoint Administrator: the role opens no content", w.person("sue@contoso.example", "AllSites.FullControl"), finance, 403, 403},
		{"somebody unknown", w.person("nobody@contoso.example", "AllSites.Write"), projects, 403, 403},
	} {
		t.Run(c.name, func(t *testing.T) {
			read := w.do(c.who, http.MethodGet, c.site+"/_api/web?$select=Title", "")
			if read.status != c.read {
				t.Errorf("reading: status %d, want %d: %s", read.status, c.read, read.text)
			}
			lists := app("Sites.Read.All")
			id := w.get(lists, c.site+"/_api/web/lists?$select=Id&$filter=BaseTemplate eq 100").value()[0]["Id"].(string)
			write := w.do(c.who, http.MethodPost, c.site+"/_api/web/lists(guid'"+id+"')/items", `{"Title":"New"}`)
			if write.status != c.write {
				t.Errorf("writing: status %d, want %d: %s", write.status, c.write, write.text)
			}
			for _, r := range []reply{read, write} {
				if r.status != 403 {
					continue
				}
				if code, message := r.error(); code != accessDenied || !strings.HasPrefix(message, "Access denied.") {
					t.Errorf("refusal %q %q", code, message)
				}
			}
		})
	}
}

// A grant can be taken back, and is one site's only.
func TestGrants(t *testing.T) {
	w := newWorld(t)
	selected := app("Sites.Selected").with(func(c *token.Claims) { c.AppID = strings.ToUpper(selectedApp) })
	const site = main + "/sites/archive/_api/web"
	w.must(403, selected, http.MethodGet, site, "")
	w.server.GrantSite(strings.ToUpper(contoso), "sites/Archive", selectedApp, "fullcontrol")
	w.must(200, selected, http.MethodGet, site, "")
	w.must(403, selected, http.MethodGet, main+"/sites/finance/_api/web", "")
	w.server.GrantSite(contoso, "/sites/archive", selectedApp, "")
	w.must(403, selected, http.MethodGet, site, "")
	w.server.GrantSite(contoso, "/", selectedApp, "read")
	w.must(200, selected, http.MethodGet, main+"/_api/web", "")
	// A grant on the root site is none on the admin centre or on OneDrive.
	w.must(403, selected, http.MethodGet, adminHost+"/_api/web", "")
	w.must(403, selected, http.MethodGet, myHost+"/_api/web", "")
}

// The admin centre is for administrators through an app with full control, and
// for apps with full control.
func TestAdminRights(t *testing.T) {
	w := newWorld(t)
	for _, c := range []struct {
		name   string
		who    asCaller
		status int
	}{
		{"app with full control", app("Sites.FullControl.All"), 200},
		{"app that reads all", app("Sites.Read.All"), 403},
		{"app that writes all", app("Sites.ReadWrite.All"), 403},
		{"app without permission", app(), 403},
		{"app with a secret", app("Sites.FullControl.All").with(func(c *token.Claims) { c.AppIDACR = "1" }), 401},
		{"SharePoint Administrator", w.person("sue@contoso.example", "AllSites.FullControl"), 200},
		{"SharePoint Administrator through an app that reads", w.person("sue@contoso.example", "AllSites.Read"), 403},
		{"Global Administrator", w.person("ada@contoso.example", "AllSites.FullControl User.Read.All"), 200},
		{"member", w.person("ben@contoso.example", "AllSites.FullControl"), 403},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, path := range []string{"/_api/SPO.Tenant", "/_api/SPO.Tenant/sites", "/_api/Microsoft.Online.SharePoint.TenantAdministration.Tenant/LegacyAuthProtocolsEnabled"} {
				r := w.do(c.who, http.MethodGet, adminHost+path, "")
				if r.status != c.status {
					t.Errorf("%s: status %d, want %d: %s", path, r.status, c.status, r.text)
				}
				if code, _ := r.error(); r.status == 403 && code != accessDenied {
					t.Errorf("%s: code %q", path, code)
				}
			}
		})
	}
	w.must(404, app("Sites.FullControl.All"), http.MethodGet, main+"/_api/SPO.Tenant", "")
}

// Network locations keep others out, with a token as good as any.
func TestNetworkLocations(t *testing.T) {
	w := newWorld(t)
	for _, c := range []struct {
		allowed string
		status  int
	}{{"", 403}, {"192.0.2.1", 200}, {"198.51.100.7, 192.0.2.0/24", 200}, {"198.51.100.0/24", 403}, {"nonsense,,/8", 403}} {
		w.server.SetTenant(contoso, TenantSettings{IPAddressEnforcement: true, IPAddressAllowList: c.allowed})
		w.must(c.status, reader, http.MethodGet, main+"/_api/web", "") // httptest sends from 192.0.2.1
	}
	w.must(401, nil, http.MethodGet, main+"/_api/web", "")
}

// People's own storage is theirs, and apps'.
func TestPersonalSites(t *testing.T) {
	w := newWorld(t)
	const own = myHost + "/personal/ben_contoso_example/_api/web"
	r := w.get(w.person("ben@contoso.example", "AllSites.Write"), own)
	if r.body["Title"] != "Ben O'Neil" || r.body["ServerRelativeUrl"] != "/personal/ben_contoso_example" {
		t.Errorf("own site: %v", r.body)
	}
	w.must(403, w.person("fay@contoso.example", "AllSites.Write"), http.MethodGet, own, "")
	w.must(200, reader, http.MethodGet, own, "")
	w.must(404, reader, http.MethodGet, myHost+"/personal/gil_fabrikam_onmicrosoft_com/_api/web", "")
}

// What callers are called.
func TestCurrentUser(t *testing.T) {
	w := newWorld(t)
	r := w.get(w.person("ben@contoso.example", "AllSites.Read"), main+"/_api/web/currentuser")
	if r.body["LoginName"] != "i:0#.f|membership|ben@contoso.example" || r.body["Title"] != "Ben O'Neil" || r.body["IsSiteAdmin"] != false {
		t.Errorf("person: %v", r.body)
	}
	if r := w.get(w.person("ada@contoso.example", "AllSites.FullControl"), main+"/_api/web/currentuser?$select=IsSiteAdmin"); r.body["IsSiteAdmin"] != true || len(r.body) != 1 {
		t.Errorf("administrator: %v", r.body)
	}
	if r := w.get(reader, main+"/_api/web/currentuser"); r.body["LoginName"] != "i:0i.t|"+directory.SharePointID+"|app@sharepoint" {
		t.Errorf("app: %v", r.body)
	}
}

// Callers and scripts do not get in each other's way.
func TestConcurrent(t *testing.T) {
	w := newWorld(t, hostile(5))
	writer := bearer(t, directory.SharePointID, app("Sites.ReadWrite.All"))
	const each = 20
	var working sync.WaitGroup
	for n := range 8 {
		working.Go(func() {
			for i := range each {
				w.server.GrantSite(contoso, "/sites/finance", fmt.Sprint(n), []string{"read", ""}[i%2])
				w.server.SetTenant(contoso, TenantSettings{ConditionalAccessPolicy: i % 3})
				h := httptest.NewRequest(http.MethodPost, "https://"+main+"/sites/projects/_api/web/lists/getbytitle('Risks')/items", strings.NewReader(`{"Title":"x"}`))
				h.Header.Set("Authorization", writer)
				h.Header.Set("Content-Type", "application/json")
				recorder := httptest.NewRecorder()
				if w.server.ServeHTTP(recorder, h); recorder.Code != http.StatusCreated {
					t.Errorf("status %d: %s", recorder.Code, recorder.Body)
				}
			}
		})
	}
	list := main + "/sites/projects/_api/web/lists/getbytitle('Risks')"
	working.Wait()
	plain := newWorld(t).get(reader, list).body["ItemCount"].(float64)
	if after := w.get(reader, list).body["ItemCount"]; after != plain+8*each {
		t.Errorf("%v items, want %v", after, plain+8*each)
	}
}
