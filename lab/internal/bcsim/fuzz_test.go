package bcsim

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
)

// Whatever path, query, header and body arrive, the server answers with JSON or
// nothing and never with an error of its own.
func FuzzServer(f *testing.F) {
	w := newWorld(f)
	company := w.company("Production", 0)
	for _, seed := range [][5]string{
		{"GET", company + "/customers", "$filter=contains(number,'C') or id ne null&$orderby=number desc&$top=3", "", ""},
		{"POST", company + "/customers", "", `{"displayName":"x","number":null}`, ""},
		{"PATCH", company + "/customers(00000000-0000-0000-0000-000000000000)", "", `{"city":"x"}`, `W/"x"`},
		{"GET", "/v2.0/Production/ODataV4/Company('Coast & Sons'' Ledger')/customers('C00010')", "$select=No", "", ""},
		{"GET", "/admin/v2.29/applications/BusinessCentral/environments/Production", "", "", ""}, {"GET", "/environments/v1.", "", "", ""},
		{"PUT", "/admin/v2.29/authorizedAadApps/" + otherApp, "", "", ""}, {"GET", "/admin/v2.24/authorizedAadApps/manageableTenants", "", "", ""},
		{"GET", "/v2.0/api/api/v2.0/companies", "$skiptoken='", "", ""}, {"GET", company + "/items(", "$filter=''", "", ""}, {"DELETE", "//", "%", "\x00", "*"},
	} {
		f.Add(seed[0], seed[1], seed[2], seed[3], seed[4], false)
	}
	worlds := map[bool]*world{false: w, true: newWorld(f, hostile(9))}
	authorisation := bearer(f, service)
	f.Fuzz(func(t *testing.T, method, path, query, body, match string, hard bool) {
		h := httptest.NewRequest(http.MethodGet, audience+"/", strings.NewReader(body))
		h.Method, h.URL = method, &url.URL{Path: "/" + strings.TrimPrefix(path, "/"), RawQuery: query}
		h.Header = http.Header{"Authorization": {authorisation}, "Content-Type": {"application/json"}, "If-Match": {match}}
		recorder := httptest.NewRecorder()
		worlds[hard].server.ServeHTTP(recorder, h)
		if recorder.Code >= 500 || recorder.Header().Get("request-id") == "" || recorder.Body.Len() > 0 && !strings.HasPrefix(recorder.Header().Get("Content-Type"), "application/json") {
			t.Errorf("%s %q ? %q: %d %s", method, path, query, recorder.Code, recorder.Body)
		}
	})
}
