package graphsim

import (
	"slices"
	"testing"

	"gatehouse/lab/internal/directory"
)

// Graph names the hosts of each location, also of a tenant that was renamed.
func TestRootSites(t *testing.T) {
	w := newWorld(t)
	reader := app("Sites.Read.All")
	root := func() any {
		return w.must(200, reader, "GET", "/v1.0/sites/root?$select=webUrl,siteCollection", "").body["siteCollection"].(map[string]any)["hostname"]
	}
	if host := root(); host != "harbour.sharepoint.com" {
		t.Errorf("root site at %v", host)
	}
	w.store.Update(harbour, func(d *directory.Tenant) { d.SharePoint.Name = "quayside" })
	if host := root(); host != "quayside.sharepoint.com" {
		t.Errorf("root site at %v after the rename", host)
	}
	w.store.Update(harbour, func(d *directory.Tenant) {
		d.SharePoint = directory.SharePoint{Location: "NAM", Geos: []directory.Geo{{Name: "harboureur", Location: "EUR"}}}
	})
	all := w.must(200, reader, "GET", "/v1.0/sites?filter=siteCollection/root ne null&select=webUrl,siteCollection", "")
	if got := all.names("webUrl"); !slices.Equal(got, []string{"https://harbour.sharepoint.com", "https://harboureur.sharepoint.com"}) {
		t.Errorf("sites %v", got)
	}
	if code := all.value()[1].(map[string]any)["siteCollection"].(map[string]any)["dataLocationCode"]; code != "EUR" {
		t.Errorf("location %v", code)
	}
	if r := w.get(app("User.Read.All"), "/v1.0/sites/root"); r.status != 403 || r.code() != "accessDenied" {
		t.Errorf("without permission: %d %s", r.status, r.text)
	}
}
