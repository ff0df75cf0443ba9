package spsim

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"gatehouse/lab/internal/directory"
	"gatehouse/lab/internal/token"
)

// asOf is an app with every right in a tenant.
func asOf(tenant string) asCaller {
	return app("Sites.FullControl.All").with(func(c *token.Claims) { c.TenantID = tenant })
}

// Whatever path, query and body arrive, the server answers, with the headers
// that every answer has and never with an error of its own.
func FuzzServer(f *testing.F) {
	for _, seed := range [][4]string{
		{"GET", "/sites/finance/_api/web/lists(guid'x')/items", "$top=1&$skiptoken=Paged=TRUE", ""},
		{"POST", "/_api/web/lists/getbytitle('Announcements')/items", "", `{"Title":"x","__metadata":null}`},
		{"GET", "/_api/web/getfolderbyserverrelativeurl(@a)/files", "@a='/Shared Documents'&$filter=Name eq 'x' and Length ne null", ""},
		{"POST", "/_api/SPO.Tenant/GetSitePropertiesFromSharePointByFilters", "", `{"speFilter":{"StartIndex":-1,"Filter":"Url -like '"}}`},
		{"GET", "/_vti_bin/idcrl.svc", "", ""}, {"POST", "/_api/contextinfo", "$select=", "null"}, {"GET", "//_api//web//", "$orderby= desc", ""},
		{"GET", "/_api/web/lists(')/(')", "$filter='", ""}, {"DELETE", "/sites/archive/_API/Web", "%", "\x00"},
		{"GET", "\xdb/_API", "", ""}, {"GET", "/sites/İİ/_API/web", "", ""},
	} {
		f.Add(seed[0], seed[1], seed[2], seed[3], byte(0))
	}
	worlds := []*world{newWorld(f), newWorld(f, hostile(9))}
	authorisation := bearer(f, directory.SharePointID, asOf(contoso))
	f.Fuzz(func(t *testing.T, method, path, query, body string, choice byte) {
		h := httptest.NewRequest(http.MethodGet, "https://"+main+"/", strings.NewReader(body))
		h.Method, h.URL = method, &url.URL{Path: "/" + strings.TrimPrefix(path, "/"), RawQuery: query}
		h.Host = []string{main, adminHost, myHost, "127.0.0.1"}[choice%4]
		if h.Host == "127.0.0.1" {
			h.URL.Path = Prefix + "contoso" + h.URL.Path
		}
		h.Header.Set("Authorization", authorisation)
		h.Header.Set("Content-Type", "application/json")
		h.Header.Set("Accept", []string{"", "application/json;odata=nometadata", "application/json;odata=verbose"}[choice/4%3])
		recorder := httptest.NewRecorder()
		worlds[choice/16%2].server.ServeHTTP(recorder, h)
		if recorder.Code >= 500 && recorder.Code != http.StatusInsufficientStorage || recorder.Header().Get("SPRequestGuid") == "" {
			t.Errorf("%s %q ? %q: %d %s", method, path, query, recorder.Code, recorder.Body)
		}
	})
}
