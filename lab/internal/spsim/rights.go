package spsim

import (
	"net/netip"
	"slices"
	"strings"

	"gatehouse/lab/internal/directory"
)

// right is what somebody may do on a site; each includes those before it.
type right int

const (
	rightNone right = iota
	rightRead
	rightWrite
	rightManage
	rightFull
)

// sitesSelected is the application permission that opens no site by itself.
const sitesSelected = "Sites.Selected"

var appRights = map[string]right{
	"Sites.Read.All": rightRead, "Sites.ReadWrite.All": rightWrite, "Sites.Manage.All": rightManage, "Sites.FullControl.All": rightFull,
}

var scopeRights = map[string]right{
	"AllSites.Read": rightRead, "AllSites.Write": rightWrite, "AllSites.Manage": rightManage, "AllSites.FullControl": rightFull,
}

// grantRights are the roles of a permission on a site, as Graph names them.
var grantRights = map[string]right{"read": rightRead, "write": rightWrite, "manage": rightManage, "owner": rightFull, "fullcontrol": rightFull}

const (
	globalAdministrator     = "62e90394-69f5-4237-9190-012177145e10"
	sharePointAdministrator = "f28a1f50-f6e7-4571-818b-6a12f2af6b6c"
)

// siteRight is what the caller may do on the request's site.
func (r *request) siteRight() right {
	if r.caller.app {
		return r.appRight()
	}
	scope := rightNone
	for name := range strings.FieldsSeq(r.caller.claims.Scopes) {
		scope = max(scope, scopeRights[name])
	}
	return min(scope, r.personRight())
}

func (r *request) appRight() right {
	most := rightNone
	for _, role := range r.caller.claims.Roles {
		most = max(most, appRights[role])
		if role == sitesSelected {
			most = max(most, r.server.granted(r.place.tenant, r.site.key, r.caller.claims.AppID))
		}
	}
	return most
}

// personRight is what the person may do, whatever the app was allowed.
func (r *request) personRight() right {
	claims := r.caller.claims
	if slices.Contains(claims.WIDs, globalAdministrator) {
		return rightFull
	}
	most := max(r.server.granted(r.place.tenant, r.site.key, claims.ObjectID), r.server.granted(r.place.tenant, r.site.key, claims.UPN))
	r.server.cfg.Store.View(r.place.tenant, func(t *directory.Tenant) {
		u := t.User(claims.ObjectID)
		switch {
		case u == nil || !u.Enabled || u.Type != directory.Member: // guests and partners come by grant only
		case r.site.owner != "":
			if r.site.owner == u.ID {
				most = rightFull
			}
		case r.site.department == "" || strings.EqualFold(r.site.department, u.Department):
			most = max(most, r.site.members)
		}
	})
	if r.site.locked {
		most = min(most, rightRead)
	}
	return most
}

// admin reports whether the caller may use the admin centre: an app with full
// control of all sites, or one of the two administrators through an app that
// may do everything for them.
func (r *request) admin() bool {
	if r.place.kind != kindAdmin {
		return false
	}
	claims := r.caller.claims
	if r.caller.app {
		return slices.Contains(claims.Roles, "Sites.FullControl.All")
	}
	return slices.Contains(strings.Fields(claims.Scopes), "AllSites.FullControl") &&
		(slices.Contains(claims.WIDs, globalAdministrator) || slices.Contains(claims.WIDs, sharePointAdministrator))
}

// admit applies the tenant's network locations.
func (r *request) admit() error {
	settings := r.server.settings(r.place.tenant)
	if !settings.IPAddressEnforcement {
		return nil
	}
	from, err := netip.ParseAddrPort(r.http.RemoteAddr)
	if err == nil {
		for part := range strings.SplitSeq(settings.IPAddressAllowList, ",") {
			part = strings.TrimSpace(part)
			if !strings.Contains(part, "/") {
				if address, err := netip.ParseAddr(part); err == nil && address == from.Addr().Unmap() {
					return nil
				}
			} else if network, err := netip.ParsePrefix(part); err == nil && network.Contains(from.Addr().Unmap()) {
				return nil
			}
		}
	}
	return denied("The tenant's network locations do not include the address that this came from.")
}
