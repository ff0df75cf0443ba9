package spsim

import (
	"net/http/httptest"
	"strings"
	"testing"

	"gatehouse/lab/internal/directory"
	"gatehouse/lab/internal/labtest"
)

const geoFile = `{"tenants": [
 {"name": "Renamed", "domain": "oldname.onmicrosoft.com", "id": "` + contoso + `", "sharepoint": {"name": "newname", "formerly": ["oldname"]}},
 {"name": "Wide", "domain": "wide.onmicrosoft.com", "id": "` + fabrikam + `", "sharepoint": {"location": "NAM", "satellites": [{"name": "wideeur", "location": "EUR"}]}}
]}`

// Hosts of a renamed tenant and of satellites name their tenant; the name from
// before leads to the present one.
func TestHostsOfLocations(t *testing.T) {
	store := labtest.Store(t, geoFile, &labtest.Clock{})
	server := New(Config{Store: store, Tokens: labtest.Signer(), Deterministic: true})
	for host, want := range map[string]string{
		"newname.sharepoint.com": contoso, "newname-admin.sharepoint.com": contoso, "newname-my.sharepoint.com": contoso,
		"wide-admin.sharepoint.com": fabrikam, "wideeur.sharepoint.com": fabrikam, "wideeur-admin.sharepoint.com": fabrikam,
		"nobody-admin.sharepoint.com": "", "oldname-admin.sharepoint.com": "moved https://newname-admin.sharepoint.com/_api/web", "oldname.sharepoint.com": "moved https://newname.sharepoint.com/_api/web",
	} {
		h := httptest.NewRequest("GET", "https://"+host+"/_api/web", nil)
		w := httptest.NewRecorder()
		server.ServeHTTP(w, h)
		got := ""
		challenge := w.Header().Get("WWW-Authenticate")
		switch w.Code {
		case 401:
			got = challenge[strings.Index(challenge, `"`)+1:][:36]
		case 308:
			got = "moved " + w.Header().Get("Location")
		}
		if got != want {
			t.Errorf("%s: %d %q, want %q", host, w.Code, got, want)
		}
	}
	under := httptest.NewRecorder()
	server.ServeHTTP(under, httptest.NewRequest("GET", "https://127.0.0.1:8443/sharepoint/oldname-admin/_api/web", nil))
	if at := under.Header().Get("Location"); at != "https://127.0.0.1:8443/sharepoint/newname-admin/_api/web" {
		t.Errorf("under the lab's own address: %d %s", under.Code, at)
	}
	if _, err := directory.Parse(strings.NewReader(strings.Replace(geoFile, `"location": "NAM",`, "", 1)), labtest.Start); err == nil || !strings.Contains(err.Error(), "location") {
		t.Errorf("satellites without a main location: %v", err)
	}
}
