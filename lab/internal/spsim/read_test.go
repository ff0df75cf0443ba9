package spsim

import (
	"encoding/xml"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"gatehouse/lab/internal/directory"
)

// The objects of a site, by every way that leads to them.
func TestRead(t *testing.T) {
	w := newWorld(t)
	const finance = main + "/sites/finance/_api"
	invoices := w.get(reader, finance+"/web/lists/getbytitle('Invoices')").body["Id"].(string)
	for _, c := range []struct{ path, member, want string }{
		{"/web", "Title", "Finance"},
		{"/web?$select=Title,Url", "Url", "https://" + main + "/sites/finance"},
		{"/Web", "ServerRelativeUrl", "/sites/finance"},
		{"/web/title", "value", "Finance"},
		{"/site", "Url", "https://" + main + "/sites/finance"},
		{"/site/rootweb/Title", "value", "Finance"},
		{"/web/lists(guid'" + invoices + "')", "Title", "Invoices"},
		{"/web/lists('" + strings.ToUpper(invoices) + "')", "Title", "Invoices"},
		{"/web/lists/getbyid('" + invoices + "')/title", "value", "Invoices"},
		{"/web/getlist('/sites/finance/Lists/Invoices')", "Title", "Invoices"},
		{"/web/lists/getbytitle('invoices')/items(1)", "Title", "Invoice 0001"},
		{"/web/lists/getbytitle('Documents')/rootfolder", "ServerRelativeUrl", "/sites/finance/Shared Documents"},
		{"/web/getfolderbyserverrelativeurl('/sites/finance/Shared Documents')", "Name", "Shared Documents"},
		{"/web/getfolderbyserverrelativeurl('Shared Documents/Reports')", "Name", "Reports"},
		{"/web/GetFolderByServerRelativePath(decodedurl='/Sites/Finance/shared documents/reports/')", "Name", "Reports"},
		{"/web/GetFolderByServerRelativePath(DecodedUrl=@a1)?@a1='/sites/finance/Shared Documents'", "Name", "Shared Documents"},
		{"/web/getfilebyserverrelativeurl('/sites/finance/Shared Documents/O''Neil & Sons offer.pdf')", "Name", "O'Neil & Sons offer.pdf"},
		{"/web/getfilebyserverrelativeurl('/sites/finance/Shared%20Documents/Reports/Quarter%201.txt')", "Length", "14"},
		{"/web/lists/getbytitle('Documents')/items(2)?$select=FileLeafRef,FileRef", "FileRef", "/sites/finance/Shared Documents/Budget 2026.xlsx"},
	} {
		if r := w.get(reader, finance+c.path); fmt.Sprint(r.body[c.member]) != c.want {
			t.Errorf("%s: %s is %v, want %s", c.path, c.member, r.body[c.member], c.want)
		}
	}
	for _, c := range []struct {
		path, member string
		want         []string
	}{
		{"/web/lists", "Title", []string{"Documents", "Invoices", "Suppliers"}},
		{"/web/webs", "Title", nil},
		{"/web/rootfolder/folders", "Name", []string{"Shared Documents"}},
		{"/web/getfolderbyserverrelativeurl('/sites/finance/Shared Documents')/files", "Name", []string{"Budget 2026.xlsx", "O'Neil & Sons offer.pdf"}},
		{"/web/getfolderbyserverrelativeurl('/sites/finance/Shared Documents')/folders", "Name", []string{"Reports"}},
		{"/web/getfolderbyserverrelativeurl('Shared Documents')/files?$filter=Name eq 'O''Neil %26 Sons offer.pdf'", "Name", []string{"O'Neil & Sons offer.pdf"}},
		{"/web/lists?$filter=Hidden eq false and BaseTemplate gt 100&$select=Title", "Title", []string{"Documents"}},
		{"/web/lists?$orderby=Title desc&$top=2", "Title", []string{"Suppliers", "Invoices"}},
		{"/web/lists?$orderby=ItemCount&$skip=1&$top=1", "Title", []string{"Suppliers"}},
		{"/web/lists/getbytitle('Invoices')/items?$top=2&$skip=50", "Title", []string{"Invoice 0001", "Invoice 0002"}}, // $skip has no effect on items
		{"/web/lists/getbytitle('Documents')/items?$select=Id,FileSystemObjectType", "FileSystemObjectType", []string{"1", "0", "0", "0", "0"}},
	} {
		if got := w.get(reader, finance+c.path).names(c.member); !slices.Equal(got, c.want) {
			t.Errorf("%s: %q, want %q", c.path, got, c.want)
		}
	}
	if r := w.get(reader, finance+"/web/getfilebyserverrelativeurl('Shared Documents/Budget 2026.xlsx')/$value"); r.text != "Income, Expense\n" {
		t.Errorf("content: %q", r.text)
	}
	// Another tenant has the same sites with other ids.
	other := bearer(t, directory.SharePointID, asOf(fabrikam))
	if r := w.do(nil, http.MethodGet, "fabrikam.sharepoint.com/sites/finance/_api/web", "", "Authorization", other); r.status != 200 || r.body["Id"] == w.get(reader, finance+"/web").body["Id"] {
		t.Errorf("another tenant: %d %s", r.status, r.text)
	}
}

// Everything that is not there or cannot be read, in the form it takes.
func TestErrors(t *testing.T) {
	w := newWorld(t)
	const finance = main + "/sites/finance/_api"
	everything := app("Sites.FullControl.All")
	for _, c := range []struct {
		method, address, body string
		status                int
		code                  string
	}{
		{"GET", finance + "/nothing", "", 404, "-1, Microsoft.SharePoint.Client.ResourceNotFoundException"},
		{"GET", finance + "/web/nothing", "", 404, "-1, Microsoft.SharePoint.Client.ResourceNotFoundException"},
		{"GET", finance + "/web/title/more", "", 404, "-1, Microsoft.SharePoint.Client.ResourceNotFoundException"},
		{"GET", finance + "/web/lists/getbytitle('No''such')", "", 404, "-1, System.ArgumentException"},
		{"GET", finance + "/web/lists(guid'00000000-0000-0000-0000-000000000000')/items", "", 404, "-1, System.ArgumentException"},
		{"GET", finance + "/web/getlist('/sites/projects/Lists/Tasks')", "", 404, "-1, System.ArgumentException"},
		{"GET", finance + "/web/lists/getbytitle('Invoices')/items(99999)", "", 404, "-2130575338, System.ArgumentException"},
		{"GET", finance + "/web/getfolderbyserverrelativeurl('/sites/projects/Shared Documents')", "", 404, "-2147024894, System.IO.FileNotFoundException"},
		{"GET", finance + "/web/getfilebyserverrelativeurl('Shared Documents/none.txt')", "", 404, "-2147024894, System.IO.FileNotFoundException"},
		{"GET", finance + "/web/lists(guid'x", "", 400, "-1, Microsoft.SharePoint.Client.ClientServiceException"},
		{"GET", finance + "/web/lists('a')b", "", 400, "-1, Microsoft.SharePoint.Client.ClientServiceException"},
		{"GET", finance + "/web/lists(@x)", "", 400, "-1, Microsoft.SharePoint.Client.ClientServiceException"},
		{"GET", finance + "/web/lists(@x)?@x=@x", "", 404, "-1, System.ArgumentException"},
		{"GET", finance + "/web/lists/getbytitle", "", 400, "-1, Microsoft.SharePoint.Client.ClientServiceException"},
		{"GET", finance + "/web('x')", "", 400, "-1, Microsoft.SharePoint.Client.ClientServiceException"},
		{"GET", finance + strings.Repeat("/web", 30), "", 400, "-1, Microsoft.SharePoint.Client.ClientServiceException"},
		{"GET", finance + "/" + strings.Repeat("w", 5000), "", 414, "-1, Microsoft.SharePoint.Client.ClientServiceException"},
		{"GET", finance + "/web?$select=Nothing", "", 400, "-1, Microsoft.SharePoint.Client.InvalidClientQueryException"},
		{"GET", finance + "/web/lists?$select=title", "", 400, "-1, Microsoft.SharePoint.Client.InvalidClientQueryException"},
		{"GET", finance + "/web/lists?$expand=Fields", "", 400, "-1, Microsoft.SharePoint.Client.InvalidClientQueryException"},
		{"GET", finance + "/web/lists?$top=-1", "", 400, "-1, Microsoft.SharePoint.Client.InvalidClientQueryException"},
		{"GET", finance + "/web/lists?$filter=Title", "", 400, "-1, Microsoft.SharePoint.Client.InvalidClientQueryException"},
		{"GET", finance + "/web/lists?$filter=Title eq 'x' and", "", 400, "-1, Microsoft.SharePoint.Client.InvalidClientQueryException"},
		{"GET", finance + "/web/lists?$filter=Title like 'x'", "", 400, "-1, Microsoft.SharePoint.Client.InvalidClientQueryException"},
		{"GET", finance + "/web/lists?$filter=Nothing eq 'x'", "", 400, "-1, Microsoft.SharePoint.Client.InvalidClientQueryException"},
		{"GET", finance + "/web/lists?$filter=Title eq 'x", "", 400, "-1, Microsoft.SharePoint.Client.InvalidClientQueryException"},
		{"GET", finance + "/web/lists?$orderby=Nothing", "", 400, "-1, Microsoft.SharePoint.Client.InvalidClientQueryException"},
		{"GET", finance + "/web/lists/getbytitle('Invoices')/items?$orderby=Title", "", 400, "-1, Microsoft.SharePoint.Client.InvalidClientQueryException"},
		{"GET", finance + "/web/lists/getbytitle('Invoices')/items?$skiptoken=5", "", 400, "-1, Microsoft.SharePoint.Client.InvalidClientQueryException"},
		{"GET", finance + "/web?%zz", "", 400, "-1, Microsoft.SharePoint.Client.InvalidClientQueryException"},
		{"GET", finance + "/contextinfo", "", 405, "-1, Microsoft.SharePoint.Client.ClientServiceException"},
		{"POST", finance + "/web", "", 405, "-1, Microsoft.SharePoint.Client.ClientServiceException"},
		{"DELETE", finance + "/web/lists/getbytitle('Invoices')/items(1)", "", 405, "-1, Microsoft.SharePoint.Client.ClientServiceException"},
		{"POST", finance + "/web/lists/getbytitle('Invoices')/items", "{", 400, "-1, Microsoft.SharePoint.Client.ClientServiceException"},
		{"POST", finance + "/web/lists/getbytitle('Invoices')/items", "[]", 400, "-1, Microsoft.SharePoint.Client.ClientServiceException"},
		{"POST", finance + "/web/lists/getbytitle('Invoices')/items", `{"Titel":"x"}`, 400, "-1, Microsoft.SharePoint.Client.InvalidClientQueryException"},
		{"POST", finance + "/web/lists/getbytitle('Invoices')/items", `{"Title":7}`, 400, "-1, Microsoft.SharePoint.Client.ClientServiceException"},
		{"POST", finance + "/web/lists/getbytitle('Invoices')/items", `{"Title":"` + strings.Repeat("x", 1<<20) + `"}`, 413, "-1, Microsoft.SharePoint.Client.ClientServiceException"},
		{"POST", finance + "/web/lists/getbytitle('Documents')/items", `{"Title":"x"}`, 400, "-2147024809, System.ArgumentException"},
		{"POST", adminHost + "/_api/SPO.Tenant/GetSitePropertiesFromSharePointByFilters", `{"speFilter":7}`, 400, "-1, Microsoft.SharePoint.Client.ClientServiceException"},
		{"POST", adminHost + "/_api/SPO.Tenant/GetSitePropertiesFromSharePointByFilters", `{"speFilter":{"StartIndex":"x"}}`, 400, "-1, Microsoft.SharePoint.Client.ClientServiceException"},
		{"POST", adminHost + "/_api/SPO.Tenant/GetSitePropertiesFromSharePointByFilters", `{"speFilter":{"Filter":"Owner -eq 'x'"}}`, 400, "-1, Microsoft.SharePoint.Client.ClientServiceException"},
		{"GET", adminHost + "/_api/SPO.Tenant/GetSitePropertiesByUrl('https://contoso.sharepoint.com/none')", "", 404, "-2147024894, System.IO.FileNotFoundException"},
	} {
		r := w.do(everything, c.method, c.address, c.body)
		code, message := r.error()
		if r.status != c.status || code != c.code || message == "" {
			t.Errorf("%s %.140s: %d %q, want %d %q", c.method, c.address, r.status, code, c.status, c.code)
		}
	}
	// Where no web is, there is no OData either.
	for _, address := range []string{main + "/sites/none/_api/web", main + "/sites/finance", main + "/sites/finance/_apiweb", main + "/_vti_bin/lists.asmx", main + "/personal/x/_api/web"} {
		if r := w.do(everything, http.MethodGet, address, ""); r.status != 404 || r.text != "404 FILE NOT FOUND" || !strings.HasPrefix(r.header.Get("Content-Type"), "text/plain") {
			t.Errorf("%s: %d %q", address, r.status, r.text)
		}
	}
	// Nothing of this left an item behind.
	for _, c := range []struct {
		path   string
		status int
	}{{"/items?$select=Nothing", 400}, {"/items?$top=x", 400}, {"/items/x", 404}} {
		list := finance + "/web/lists/getbytitle('Suppliers')"
		before := w.get(everything, list).body["ItemCount"]
		w.must(c.status, everything, http.MethodPost, list+c.path, `{"Title":"x"}`)
		if after := w.get(everything, list).body["ItemCount"]; after != before {
			t.Errorf("%s: %v items after %v", c.path, after, before)
		}
	}
	// A body needs its type.
	if r := w.do(everything, "POST", finance+"/web/lists/getbytitle('Invoices')/items", `{"Title":"x"}`, "Content-Type", "text/plain"); r.status != 415 {
		t.Errorf("text/plain: %d", r.status)
	}
}

// Lists are read to their end by odata.nextLink, each item once, whatever the
// size of pages.
func TestPaging(t *testing.T) {
	for seed := range byte(4) {
		w := newWorld(t)
		if seed > 0 {
			w = newWorld(t, hostile(seed))
		}
		items := main + "/sites/finance/_api/web/lists/getbytitle('Invoices')"
		count := int(w.get(reader, items).body["ItemCount"].(float64))
		for _, query := range []string{"", "?$top=7", "?$top=5000&$select=Id,Title", "?$filter=Status eq 'Paid'&$top=10"} {
			var ids []string
			pages := 0
			for address := items + "/items" + query; address != ""; pages++ {
				r := w.get(reader, address)
				ids = append(ids, r.names("Id")...)
				next, _ := r.body["odata.nextLink"].(string)
				if next != "" && !strings.Contains(next, "%24skiptoken=Paged%3DTRUE") {
					t.Fatalf("link %q", next)
				}
				address = strings.TrimPrefix(next, "https://")
			}
			want := count
			if strings.Contains(query, "Paid") {
				if want = len(ids); want == 0 || want >= count {
					t.Errorf("seed %d: filtered %d of %d", seed, want, count)
				}
			}
			if len(ids) != want || len(slices.Compact(slices.Sorted(slices.Values(ids)))) != want {
				t.Errorf("seed %d %q: %d items on %d pages, want %d", seed, query, len(ids), pages, want)
			}
			if seed == 0 && query == "" && pages != 3 {
				t.Errorf("%d pages of the standard size", pages)
			}
		}
	}
}

// The same web in each form of answer.
func TestForms(t *testing.T) {
	w := newWorld(t)
	address := main + "/sites/finance/_api/web"
	r := w.get(reader, address+"?$select=Title", "Accept", "application/json; odata=nometadata")
	if len(r.body) != 1 || r.body["Title"] != "Finance" {
		t.Errorf("nometadata: %v", r.body)
	}
	for _, accept := range []string{"application/json", "application/json;odata=minimalmetadata", "text/html, application/json;odata=fullmetadata"} {
		r = w.get(reader, address+"?$select=Title", "Accept", accept)
		if r.body["odata.type"] != "SP.Web" || r.body["odata.id"] != "https://"+address || r.body["Title"] != "Finance" {
			t.Errorf("%s: %v", accept, r.body)
		}
	}
	r = w.get(reader, address+"?$select=Title", "Accept", "application/json;odata=verbose")
	d, _ := r.body["d"].(map[string]any)
	if meta, _ := d["__metadata"].(map[string]any); meta["type"] != "SP.Web" || d["Title"] != "Finance" {
		t.Errorf("verbose: %v", r.body)
	}
	r = w.get(reader, address+"/lists/getbytitle('Invoices')/items?$top=1", "Accept", "application/json;odata=verbose")
	d, _ = r.body["d"].(map[string]any)
	if results, _ := d["results"].([]any); len(results) != 1 || d["__next"] == nil {
		t.Errorf("verbose list: %v", r.body)
	}
	if r = w.get(reader, address+"/title", "Accept", "application/json;odata=verbose"); r.text != `{"d":{"Title":"Finance"}}` {
		t.Errorf("verbose value: %s", r.text)
	}
	if r = w.must(404, reader, "GET", address+"/none", "", "Accept", "application/json;odata=verbose"); r.body["error"] == nil {
		t.Errorf("verbose error: %s", r.text)
	}
	// Who asks for no JSON gets Atom.
	for _, accept := range []string{"", "*/*", "text/html"} {
		for path, root := range map[string]string{"?$select=Title,Language,Description": "entry", "/lists": "feed", "/lists/getbytitle('Invoices')/items?$top=3": "feed", "/title": "Title", "/nothing": "error", "/currentuser": "entry"} {
			r := w.do(reader, "GET", address+path, "", "Accept", accept)
			var document struct {
				XMLName xml.Name
			}
			if err := xml.Unmarshal([]byte(r.text), &document); err != nil || document.XMLName.Local != root || !strings.Contains(r.header.Get("Content-Type"), "atom+xml") {
				t.Errorf("%q %s: %v, root %q, %s", accept, path, err, document.XMLName.Local, r.header.Get("Content-Type"))
			}
		}
	}
	if r := w.must(200, reader, http.MethodHead, address, ""); r.text != "" {
		t.Errorf("HEAD: %q", r.text)
	}
}

// A form digest, as libraries ask for it before they write.
func TestContextInfo(t *testing.T) {
	w := newWorld(t)
	r := w.must(200, reader, http.MethodPost, main+"/sites/finance/_api/contextinfo", "")
	digest, at, _ := strings.Cut(r.body["FormDigestValue"].(string), ",")
	made, err := time.Parse("02 Jan 2006 15:04:05 -0000", at)
	if !strings.HasPrefix(digest, "0x") || len(digest) != 130 || err != nil || !made.Equal(testNow) || r.body["FormDigestTimeoutSeconds"] != 1800.0 || r.body["WebFullUrl"] != "https://"+main+"/sites/finance" {
		t.Errorf("%v", r.body)
	}
	r = w.must(200, reader, http.MethodPost, main+"/_api/contextinfo", "", "Accept", "application/json;odata=verbose")
	d, _ := r.body["d"].(map[string]any)
	info, _ := d["GetContextWebInformation"].(map[string]any)
	if versions, _ := info["SupportedSchemaVersions"].(map[string]any); versions["results"] == nil {
		t.Errorf("verbose: %v", r.body)
	}
}

// What is written is read back.
func TestAddItem(t *testing.T) {
	w := newWorld(t)
	list := main + "/sites/projects/_api/web/lists/getbytitle('Risks')"
	before := w.get(reader, list).body["ItemCount"].(float64)
	r := w.must(201, app("Sites.ReadWrite.All"), http.MethodPost, list+"/items", `{"__metadata":{"type":"SP.Data.RisksListItem"},"Title":"It rains"}`)
	if r.body["Title"] != "It rains" || r.body["Id"] != before+1 || r.body["Created"] != "2026-11-20T12:00:00Z" {
		t.Errorf("answer: %v", r.body)
	}
	if got := w.get(reader, fmt.Sprintf("%s/items(%v)", list, r.body["Id"])).body["Title"]; got != "It rains" {
		t.Errorf("read back: %v", got)
	}
	if after := w.get(reader, list).body["ItemCount"]; after != before+1 {
		t.Errorf("count %v after %v", after, before)
	}
}

// The admin centre's settings and its list of sites.
func TestAdmin(t *testing.T) {
	w := newWorld(t)
	full := app("Sites.FullControl.All")
	r := w.get(full, adminHost+"/_api/SPO.Tenant")
	if r.body["LegacyAuthProtocolsEnabled"] != false || r.body["ConditionalAccessPolicy"] != 0.0 || r.body["DisableCustomAppAuthentication"] != true || r.body["RootSiteUrl"] != "https://"+main {
		t.Errorf("settings: %v", r.body)
	}
	w.server.SetTenant(contoso, TenantSettings{LegacyAuthProtocolsEnabled: true, ConditionalAccessPolicy: 2})
	if r := w.get(full, adminHost+"/_api/SPO.Tenant?$select=LegacyAuthProtocolsEnabled,ConditionalAccessPolicy"); r.body["LegacyAuthProtocolsEnabled"] != true || r.body["ConditionalAccessPolicy"] != 2.0 {
		t.Errorf("settings: %v", r.body)
	}
	if r := w.get(w.person("sue@contoso.example", "AllSites.FullControl"), adminHost+"/_api/web"); r.body["WebTemplate"] != "TENANTADMIN" {
		t.Errorf("web: %v", r.body)
	}
	urls := []string{"https://" + main, "https://" + main + "/sites/finance", "https://" + main + "/sites/projects", "https://" + main + "/sites/archive"}
	if got := w.get(full, adminHost+"/_api/SPO.Tenant/sites").names("Url"); !slices.Equal(got, urls) {
		t.Errorf("sites: %q", got)
	}
	const filters = adminHost + "/_api/SPO.Tenant/GetSitePropertiesFromSharePointByFilters"
	for body, want := range map[string]int{
		`{}`: 4, `{"speFilter":{"Filter":"Url -like '/sites/'"}}`: 3, `{"speFilter":{"IncludePersonalSite":1}}`: 8, `{"speFilter":{"IncludePersonalSite":2}}`: 4,
		`{"speFilter":{"Template":"SPSPERS"}}`: 4, `{"speFilter":{"Template":"STS#0"}}`: 2, `{"speFilter":{"StartIndex":"3"}}`: 1, `{"speFilter":{"StartIndex":"900"}}`: 0, "": 4,
	} {
		if got := len(w.must(200, full, http.MethodPost, filters, body).value()); got != want {
			t.Errorf("%s: %d sites, want %d", body, got, want)
		}
	}
	id := w.get(full, adminHost+"/_api/SPO.Tenant/sites").value()[3]["SiteId"].(string)
	if r := w.get(full, adminHost+"/_api/SPO.Tenant/sites('"+id+"')"); r.body["LockState"] != "ReadOnly" {
		t.Errorf("site by id: %v", r.body)
	}
	if r := w.get(full, adminHost+"/_api/SPO.Tenant/GetSitePropertiesByUrl('https://contoso.sharepoint.com/sites/Finance/')"); r.body["Title"] != "Finance" {
		t.Errorf("site by address: %v", r.body)
	}
	// The site of the list is the site itself.
	if r := w.get(full, main+"/sites/archive/_api/site"); r.body["Id"] != id {
		t.Errorf("ids differ: %v, %s", r.body["Id"], id)
	}
	hard := newWorld(t, hostile(3))
	for range 20 {
		var seen []string
		for start := ""; ; {
			r := hard.must(200, full, http.MethodPost, filters, `{"speFilter":{"StartIndex":"`+start+`"}}`)
			seen = append(seen, r.names("Url")...)
			rows := r.value()
			next, more := rows[len(rows)-1]["StartIndex"].(string)
			if !more {
				break
			}
			start = next
		}
		if !slices.Equal(seen, urls) {
			t.Fatalf("in pages: %q", seen)
		}
	}
}

// Under a lab's own address everything stands below /sharepoint/{name}, links
// included.
func TestPrefix(t *testing.T) {
	w := newWorld(t)
	const lab = "127.0.0.1:8443/sharepoint/contoso"
	r := w.get(reader, lab+"/sites/finance/_api/web")
	if r.body["Url"] != "https://"+lab+"/sites/finance" || r.body["ServerRelativeUrl"] != "/sharepoint/contoso/sites/finance" {
		t.Errorf("web: %v", r.body)
	}
	for _, path := range []string{"/sharepoint/contoso/sites/finance/Shared Documents", "/sites/finance/Shared Documents", "Shared Documents"} {
		if got := w.get(reader, lab+"/sites/finance/_api/web/getfolderbyserverrelativeurl('"+path+"')/files").names("ServerRelativeUrl"); len(got) != 2 || !strings.HasPrefix(got[0], "/sharepoint/contoso/sites/finance/Shared Documents/") {
			t.Errorf("%s: %q", path, got)
		}
	}
	next := w.get(reader, lab+"/sites/finance/_api/web/lists/getbytitle('Invoices')/items?$top=5").body["odata.nextLink"].(string)
	if link, err := url.Parse(next); err != nil || link.Host != "127.0.0.1:8443" {
		t.Errorf("link %q", next)
	}
	if got := w.get(reader, strings.TrimPrefix(next, "https://")).names("Id"); !slices.Equal(got, []string{"6", "7", "8", "9", "10"}) {
		t.Errorf("next page: %q", got)
	}
	full := app("Sites.FullControl.All")
	admin := w.get(full, "127.0.0.1:8443/sharepoint/Contoso-admin/_api/SPO.Tenant/sites?$top=2").names("Url")
	if !slices.Equal(admin, []string{"https://" + lab, "https://" + lab + "/sites/finance"}) {
		t.Errorf("admin centre: %q", admin)
	}
	// The real host as audience is good here too; another's is not.
	h := httptest.NewRequest(http.MethodGet, "https://"+lab+"/_api/web", nil)
	h.Header.Set("Authorization", bearer(t, "https://"+main, reader))
	if r := w.send(h); r.status != 200 {
		t.Errorf("audience of the real host: %d", r.status)
	}
	h.Header.Set("Authorization", bearer(t, "https://"+adminHost, reader))
	if r := w.send(h); r.status != 401 {
		t.Errorf("audience of the admin centre: %d", r.status)
	}
	// Under the real host with a port, siblings keep the port.
	r = w.do(full, http.MethodGet, adminHost+":8443/_api/SPO.Tenant", "", "Authorization", bearer(t, "https://"+adminHost, full))
	if r.body["RootSiteUrl"] != "https://contoso.sharepoint.com:8443" {
		t.Errorf("root site: %v", r.body["RootSiteUrl"])
	}
}

// The server keeps so many new items and no more.
func TestStorageEnds(t *testing.T) {
	w := newWorld(t)
	for range maxCreated {
		w.server.add("some list", "x", testNow)
	}
	list := main + "/sites/projects/_api/web/lists/getbytitle('Risks')"
	before := w.get(reader, list).body["ItemCount"]
	w.must(507, app("Sites.ReadWrite.All"), http.MethodPost, list+"/items", `{"Title":"One too many"}`)
	if after := w.get(reader, list).body["ItemCount"]; after != before {
		t.Errorf("%v items after %v", after, before)
	}
}
