package graphsim

import (
	"net/http"
	"strings"

	"gatehouse/lab/internal/directory"
)

// sitesHost is the suffix of SharePoint's hosts in Graph's answers.
const sitesHost = ".sharepoint.com"

// siteType: resource type site, of root sites alone.
var siteType = newEntity("site",
	prop("id", func(r *request, g directory.Geo) any {
		return g.Name + sitesHost + "," + directory.NameID(r.tenant.ID, "site", "site", g.Name) + "," + directory.NameID(r.tenant.ID, "web", "site", g.Name)
	}),
	prop("createdDateTime", func(r *request, _ directory.Geo) any { return when(r.tenant.Created) }),
	prop("lastModifiedDateTime", func(r *request, _ directory.Geo) any { return when(r.tenant.Created) }),
	constant("", "name", "description"),
	prop("displayName", func(r *request, _ directory.Geo) any { return r.tenant.Name }),
	prop("webUrl", func(_ *request, g directory.Geo) any { return "https://" + g.Name + sitesHost }),
	constant(map[string]any{}, "root"),
	prop("siteCollection", func(_ *request, g directory.Geo) any {
		return object("hostname", g.Name+sitesHost, "dataLocationCode", g.Location, "root", map[string]any{})
	}),
)

// getRootSite: "Get a site resource", the address of the tenant's root site.
// Sites.Selected opens it only with a grant, which the lab gives on no root site.
func getRootSite(r *request) (*answer, error) {
	return r.single("sites", item{siteType, r.tenant.SharePointGeos()[0]})
}

// listRootSites: the one filter that solution-guidance/multigeo-discovery of
// SharePoint's documents shows. What the lab does not search, it refuses.
func listRootSites(r *request) (*answer, error) {
	if r.options.filter != "" && !strings.EqualFold(strings.Join(strings.Fields(r.options.filter), " "), "siteCollection/root ne null") {
		return nil, badRequest("The lab lists root sites alone: $filter=siteCollection/root ne null.")
	}
	return r.list(listing{set: "sites", types: []*entity{siteType}, page: 200, most: 200}, items(siteType, r.tenant.SharePointGeos()))
}

func rowsOfSites() {
	read := alike("Sites.Read.All", "Sites.ReadWrite.All").codes("accessDenied", "")
	row(http.MethodGet, "sites", read, listRootSites)
	row(http.MethodGet, "sites/root", read, getRootSite)
}
