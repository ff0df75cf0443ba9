package consent

import (
	"net/url"
	"slices"
	"strings"

	"gatehouse/internal/microsoft"
)

// App ids of Microsoft's APIs.
const (
	GraphID           = "00000003-0000-0000-c000-000000000000"
	azureADGraphID    = "00000002-0000-0000-c000-000000000000"
	sharePointID      = "00000003-0000-0ff1-ce00-000000000000"
	exchangeID        = "00000002-0000-0ff1-ce00-000000000000"
	businessCentralID = "996def3d-b36c-4153-8607-a6fd3c01b89f"
)

// openID are the scopes that belong to no API of their own.
var openID = []string{"openid", "profile", "email", "offline_access"}

// Way is an administrator's way to Microsoft's consent page.
type Way struct {
	Endpoint    string // [V1] or [V2]
	DirectoryID string // of the tenant
	ClientID    string
	Redirect    string
	State       string // "" leaves it out
	Permissions []Permission
}

// Address is that of Microsoft's consent page for a tenant of a cloud.
//
// It always names the tenant: the newer page does not take /common (AADSTS900144),
// and an administrator of another tenant is told so there. The newer page needs a
// scope; the older one takes none and asks for all that is registered
// (entra-sign-in §9.2).
func Address(cloud microsoft.Cloud, w Way) string {
	query := url.Values{"client_id": {w.ClientID}, "redirect_uri": {w.Redirect}}
	if w.State != "" {
		query.Set("state", w.State)
	}
	root := cloud.Login + "/" + url.PathEscape(w.DirectoryID)
	if w.Endpoint == V1 {
		return root + "/adminconsent?" + query.Encode()
	}
	query.Set("scope", strings.Join(Scopes(cloud, w.Permissions), " "))
	return root + "/v2.0/adminconsent?" + query.Encode()
}

// Scopes are what the newer page is asked for. Application permissions can be asked
// with .default alone, which stands for everything that is registered and cannot be
// mixed with single permissions (entra-sign-in §9.1); without them exactly the
// manifest is asked.
func Scopes(cloud microsoft.Cloud, all []Permission) []string {
	if Registered(all) {
		return []string{cloud.GraphResource + "/.default"}
	}
	var scopes []string
	for _, p := range all {
		scope := p.Name
		if !slices.Contains(openID, scope) {
			scope = resourceOf(cloud, p.Resource) + "/" + p.Name
		}
		if !slices.Contains(scopes, scope) {
			scopes = append(scopes, scope)
		}
	}
	return scopes
}

// Registered reports whether everything that is registered is asked, and not the
// manifest alone.
func Registered(all []Permission) bool {
	return slices.ContainsFunc(all, func(p Permission) bool { return p.Kind == Application })
}

// resourceOf is how an API is named in a scope: by the address that the cloud has
// for it, else by its app id, which Microsoft takes as well.
func resourceOf(cloud microsoft.Cloud, id string) string {
	name := map[string]string{GraphID: cloud.GraphResource, exchangeID: cloud.ExchangeResource, businessCentralID: cloud.BusinessCentralResource}[strings.ToLower(id)]
	if name == "" {
		return strings.ToLower(id)
	}
	return name
}

// Centre is where an administrator of a cloud finds their apps without any link of
// ours: the Microsoft Entra admin centre, for national clouds their Azure portal
// (National clouds: app registration endpoints); "" where it is not known.
func Centre(cloud microsoft.Cloud) string {
	return map[string]string{"public": "https://entra.microsoft.com", "usgov": "https://portal.azure.us", "usgov-dod": "https://portal.azure.us", "china": "https://portal.azure.cn"}[cloud.Name]
}

// Host is the host of an address.
func Host(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return ""
	}
	return u.Host
}
