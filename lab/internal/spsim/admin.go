package spsim

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"gatehouse/lab/internal/directory"
)

// tenant is the object behind the admin centre.
func (r *request) tenant() (any, error) {
	if !r.admin() {
		return nil, denied("The admin centre is for SharePoint Administrators, Global Administrators and apps with Sites.FullControl.All.")
	}
	settings := r.server.settings(r.place.tenant)
	main := r.place.sibling(kindSite)
	return &entity{
		typ: "Microsoft.Online.SharePoint.TenantAdministration.Tenant", uri: "SPO.Tenant",
		fields: map[string]any{
			"LegacyAuthProtocolsEnabled": settings.LegacyAuthProtocolsEnabled, "AllowLegacyAuthProtocolsEnabledSetting": false, "DisableCustomAppAuthentication": true,
			"ConditionalAccessPolicy": settings.ConditionalAccessPolicy, "IPAddressEnforcement": settings.IPAddressEnforcement, "IPAddressAllowList": settings.IPAddressAllowList,
			"RootSiteUrl": main.root(), "SharingCapability": 1, "StorageQuota": 1_048_576, "CompatibilityRange": "15,15", "NoAccessRedirectUrl": nil, "ShowEveryoneClaim": false,
			"OneDriveStorageQuota": 1_048_576, "IsMultiGeo": r.multiGeo(),
		},
		steps: map[string]step{
			"sites": {do: func(c call) (any, error) {
				if !c.has {
					return r.siteProperties(r.listSites(false)), nil
				}
				id, err := one(c)
				if err != nil {
					return nil, err
				}
				return r.siteMatching(func(s *site) bool { return strings.EqualFold(s.id, id) })
			}},
			"getsitepropertiesbyurl":                   by(r.siteByURL),
			"getsitepropertiesfromsharepointbyfilters": plain(r.filterSites).viaPost(),
		},
	}, nil
}

func (r *request) multiGeo() (several bool) {
	r.server.cfg.Store.View(r.place.tenant, func(t *directory.Tenant) { several = len(t.SharePoint.Geos) > 0 })
	return several
}

func (r *request) listSites(own bool) []*entity {
	sites := r.allSites(own)
	out := make([]*entity, len(sites))
	for i, s := range sites {
		out[i] = r.properties(s)
	}
	return out
}

func (r *request) siteProperties(all []*entity) *collection {
	return &collection{typ: "Microsoft.Online.SharePoint.TenantAdministration.SiteProperties", uri: "SPO.Tenant/sites", all: all}
}

func (r *request) properties(s *site) *entity {
	at := r.place.sibling(s.kind)
	owner := ""
	r.server.cfg.Store.View(r.place.tenant, func(t *directory.Tenant) {
		if u := t.User(s.owner); u != nil {
			owner = u.UPN
		}
	})
	lock := "Unlock"
	if s.locked {
		lock = "ReadOnly"
	}
	return &entity{
		typ: "Microsoft.Online.SharePoint.TenantAdministration.SiteProperties", uri: fmt.Sprintf("SPO.Tenant/sites('%s')", s.id),
		fields: map[string]any{
			"SiteId": s.id, "Url": at.root() + s.path, "Title": s.title, "Template": s.template + "#0", "Status": "Active", "LockState": lock, "Owner": owner, "CreatedTime": moment(s.created),
			"LastContentModifiedDate": moment(s.modified), "Lcid": 1033, "ConditionalAccessPolicy": 0, "SharingCapability": 1, "StorageMaximumLevel": 1_048_576, "StorageUsage": 1 + number(500, s.id), "WebsCount": 1,
		},
	}
}

func (r *request) siteMatching(match func(*site) bool) (any, error) {
	sites := r.allSites(true)
	for _, s := range sites {
		if match(s) {
			return r.properties(s), nil
		}
	}
	return nil, refuse(http.StatusNotFound, codeNoFile, "The tenant has no such site.")
}

func (r *request) siteByURL(url string) (any, error) {
	return r.siteMatching(func(s *site) bool {
		at := r.place.sibling(s.kind)
		return strings.EqualFold(strings.TrimRight(url, "/"), at.root()+s.path)
	})
}

// sitesPage is how many sites one call gives at most.
const sitesPage = 300

// filterSites answers a call whose body names a filter of kind
// SPOSitePropertiesEnumerableFilter. The next call starts at the index that
// the last row names.
func (r *request) filterSites() (any, error) {
	given := map[string]any{}
	if len(r.body) > 0 {
		members, err := r.decode()
		if err != nil {
			return nil, err
		}
		filter, isObject := members["speFilter"].(map[string]any)
		if !isObject && members["speFilter"] != nil {
			return nil, badPath("speFilter is an object.")
		}
		given = filter
	}
	text := func(name string) string {
		switch v := given[name].(type) {
		case string:
			return v
		case float64:
			return strconv.Itoa(int(v))
		}
		return ""
	}
	start := 0
	if s := text("StartIndex"); s != "" {
		var err error
		if start, err = strconv.Atoi(s); err != nil || start < 0 {
			return nil, badPath("StartIndex is '%s', must be a whole number from 0.", clip(s))
		}
	}
	personal := text("IncludePersonalSite")
	template := strings.TrimSuffix(text("Template"), "#0")
	filter, err := urlFilter(text("Filter"))
	if err != nil {
		return nil, err
	}
	var out []*entity
	for _, e := range r.listSites(personal == "1" || personal == "2" || template == "SPSPERS") {
		isOwn := e.fields["Template"] == "SPSPERS#0"
		if personal == "2" && !isOwn || template != "" && e.fields["Template"] != template+"#0" || !filter(e.fields["Url"].(string)) {
			continue
		}
		out = append(out, e)
	}
	out = out[min(start, len(out)):]
	most := sitesPage
	if r.server.cfg.Random.Chance(4) {
		most = 2 // pages may be any shorter
	}
	if len(out) > most {
		out = out[:most]
		for i, e := range out {
			e.fields["StartIndex"] = strconv.Itoa(start + i + 1)
		}
	}
	return r.siteProperties(out), nil
}

// urlFilter reads "Url -like '…'": the one filter that is in wide use.
func urlFilter(filter string) (func(string) bool, error) {
	if strings.TrimSpace(filter) == "" {
		return func(string) bool { return true }, nil
	}
	words := strings.SplitN(strings.TrimSpace(filter), " ", 3)
	if len(words) != 3 || !strings.EqualFold(words[0], "Url") || !strings.EqualFold(words[1], "-like") {
		return nil, badPath("Filter is '%s'; the lab reads Url -like '…' only.", clip(filter))
	}
	part := strings.ToLower(strings.Trim(words[2], `'"* `))
	return func(url string) bool { return strings.Contains(strings.ToLower(url), part) }, nil
}
